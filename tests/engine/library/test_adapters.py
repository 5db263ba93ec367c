"""Adapters of a model by name: GGUF or PEFT, one or several, and what is wrong with those that cannot be used."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.weights import finish
from engine import paths, settings
from engine.errors import HearthError, InvalidRequest, ModelLoadFailed, ModelNotFound, Unsupported
from engine.library import Catalog
from engine.library.gguf import read_header
from engine.library.lora import Base, base_of, check_fits
from engine.types import AdapterRef
from tests.weights import Llama, tiny_adapter, tiny_embedder, tiny_llama, write_adapter
from tests.weights.peft_folders import lora_tensors, write_peft

Make = Callable[..., Catalog]


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """A folder with the model `tiny-0` and adapters: `pirate` in both forms, `poet` as PEFT only."""
    folder = tmp_path / "models"
    adapters = folder / "adapters"
    adapters.mkdir(parents=True)
    tiny_llama(folder)
    tiny_adapter(adapters).rename(adapters / "pirate.gguf")
    write_peft(adapters / "pirate", lora_tensors(seed=2))
    write_peft(adapters / "poet", lora_tensors(seed=3))
    return folder


@pytest.fixture
def make(tmp_path: Path, models: Path) -> Make:
    def made(**cli: Any) -> Catalog:
        where = paths.resolve({"HEARTH_HOME": str(tmp_path / "home")})
        said = {f"models.{key}": value for key, value in {"folders": [str(models)], **cli}.items()}
        return Catalog(settings.load(environ={}, cwd=tmp_path, cli=said), where, starter=None)

    return made


def converted(ref: AdapterRef, home: Path) -> bool:
    path = Path(ref.name)
    return path.parent == home / "cache" / "adapters" and read_header(path).kind == "adapter"


def test_both_forms_are_one_adapter_and_the_gguf_is_taken(make: Make, models: Path) -> None:
    found = make().resolve("tiny-0:pirate")
    assert found.adapters == (AdapterRef(str(models / "adapters" / "pirate.gguf")),)
    assert found.entry.adapters == ("pirate", "poet")
    assert found.adapter_names["poet"] == str(models / "adapters" / "poet")


def test_an_adapter_of_peft_is_converted_when_asked_for(make: Make, tmp_path: Path) -> None:
    catalog = make()
    assert not (tmp_path / "home").exists(), "listing converts nothing"
    (ref,) = catalog.resolve("tiny-0:Poet").adapters
    assert converted(ref, tmp_path / "home")
    assert catalog.resolve("tiny-0:poet").adapters == (ref,)
    entry = catalog.resolve("tiny-0").entry
    assert catalog.adapter(entry, AdapterRef("poet", 0.25)) == AdapterRef(ref.name, 0.25)


def test_several_adapters_are_named_with_their_scales(make: Make, models: Path, tmp_path: Path) -> None:
    first, second = make().resolve("tiny-0:poet=0.5+pirate").adapters
    assert converted(first, tmp_path / "home") and first.scale == 0.5
    assert second == AdapterRef(str(models / "adapters" / "pirate.gguf"), 1.0)


@pytest.mark.parametrize(
    ("name", "error", "said"),
    [
        ("tiny-0:poet+poet", InvalidRequest, "named twice"),
        ("tiny-0:poet=x", InvalidRequest, "A scale is"),
        ("tiny-0:base+poet", InvalidRequest, "without an adapter"),
        ("tiny-0:poet+prate", ModelNotFound, r"Did you mean pirate\?"),
        ("tiny-0:=", InvalidRequest, "missing"),
    ],
)
def test_names_that_make_no_sense_are_refused(
    make: Make, name: str, error: type[HearthError], said: str
) -> None:
    with pytest.raises(error, match=said):
        make().resolve(name)


def test_a_name_with_a_plus_is_a_name(make: Make, models: Path) -> None:
    (models / "adapters" / "pirate.gguf").rename(models / "adapters" / "a+b=2.gguf")
    (ref,) = make().resolve("tiny-0:a+b=2").adapters
    assert ref == AdapterRef(str(models / "adapters" / "a+b=2.gguf"))


def test_adapters_of_a_request_may_be_default_and_none(make: Make, models: Path) -> None:
    catalog = make()
    entry = catalog.resolve("tiny-0").entry
    assert catalog.adapters(entry, (AdapterRef("base"),)) == ()
    assert catalog.adapters(entry, (AdapterRef("default"),)) == ()
    (models / "adapters" / "pirate.gguf").rename(models / "adapters" / "default.gguf")
    default = AdapterRef(str(models / "adapters" / "default.gguf"), 0.5)
    assert catalog.adapters(entry, (AdapterRef("Default", 0.5),)) == (default,)
    assert catalog.resolve("tiny-0").adapters == (AdapterRef(default.name),)
    assert catalog.resolve("tiny-0:none").adapters == ()


def test_a_configured_folder_of_peft_is_the_default(make: Make, models: Path, tmp_path: Path) -> None:
    mine = write_peft(tmp_path / "elsewhere" / "mine", lora_tensors(seed=5))
    catalog = make(adapter_path=str(mine))
    (ref,) = catalog.resolve("tiny-0").adapters
    assert converted(ref, tmp_path / "home")
    assert catalog.resolve("tiny-0:mine").adapters == (ref,)
    assert "mine" in catalog.resolve("tiny-0").entry.adapters
    many = make(adapter_path=str(mine.parent))
    assert many.resolve("tiny-0").adapters == ()
    assert many.resolve("tiny-0:mine").adapters == (ref,)


def test_an_adapter_in_hearths_own_folder_goes_with_the_models_it_fits(
    make: Make, models: Path, tmp_path: Path
) -> None:
    own = tmp_path / "home" / "adapters"
    write_peft(own / "slim")
    write_adapter(own / "wide.gguf", Llama(width=128))
    write_peft(own / "broad", lora_tensors(Llama(width=128)))
    entry = make().resolve("tiny-0").entry
    assert set(entry.adapters) == {"pirate", "poet", "slim"}
    assert entry.broken_adapters == {}, "those of other models are no business of this one"
    with pytest.raises(ModelLoadFailed, match="does not fit tiny-0"):
        make().resolve("tiny-0:broad")
    with pytest.raises(ModelLoadFailed, match="128"):
        make().resolve("tiny-0:wide")


def test_broken_adapters_are_shown_with_their_reason(make: Make, models: Path) -> None:
    adapters = models / "adapters"
    write_peft(adapters / "fancy", config={"use_dora": True})
    (write_peft(adapters / "torn") / "adapter_model.safetensors").write_bytes(b"")
    (adapters / "cut.gguf").write_bytes((adapters / "pirate.gguf").read_bytes()[:300])
    catalog = make()
    entry = catalog.resolve("tiny-0").entry
    assert set(entry.adapters) == {"pirate", "poet"}
    assert "use_dora" in entry.broken_adapters["fancy"]
    assert "header too small" in entry.broken_adapters["torn"]
    assert "damaged or cut short" in entry.broken_adapters["cut"]
    with pytest.raises(Unsupported, match="use_dora"):
        catalog.resolve("tiny-0:fancy")


def test_a_default_that_is_broken_is_not_passed_over(make: Make, tmp_path: Path) -> None:
    mine = write_peft(tmp_path / "mine", config={"use_dora": True})
    catalog = make(adapter_path=str(mine))
    with pytest.raises(Unsupported, match="use_dora"):
        catalog.resolve("tiny-0")
    assert catalog.resolve("tiny-0:base").adapters == ()


def test_a_mended_adapter_is_seen_at_once(make: Make, models: Path) -> None:
    catalog = make()
    folder = write_peft(models / "adapters" / "new", config={"bias": "all"})
    assert "new" in catalog.resolve("tiny-0").entry.broken_adapters
    write_peft(folder)
    assert "new" in catalog.resolve("tiny-0").entry.adapters


def test_a_path_to_a_folder_of_peft_stands_for_itself(make: Make, tmp_path: Path) -> None:
    folder = write_peft(tmp_path / "mine")
    catalog = make()
    entry = catalog.resolve("tiny-0").entry
    assert converted(catalog.adapter(entry, AdapterRef(str(folder))), tmp_path / "home")
    with pytest.raises(ModelNotFound):
        catalog.adapter(entry, AdapterRef(str(tmp_path)))


@given(text=st.text(max_size=30) | st.text(alphabet="poet+=base./~\x00", max_size=30))
def test_any_name_of_an_adapter_is_found_or_refused(make_once: Catalog, text: str) -> None:
    try:
        make_once.resolve(f"tiny-0:{text}")
    except HearthError as error:
        assert len(str(error)) < 800


@pytest.fixture(scope="module")
def make_once(tmp_path_factory: pytest.TempPathFactory) -> Catalog:
    folder = tmp_path_factory.mktemp("once")
    tiny_llama(folder)
    write_peft(folder / "adapters" / "poet")
    where = paths.resolve({"HEARTH_HOME": str(folder / "home")})
    return Catalog(
        settings.load(environ={}, cwd=folder, cli={"models.folders": [str(folder)]}), where, starter=None
    )


# --- GGUF adapters that would end the process that uses them


def gguf_adapter(
    path: Path, architecture: str, metadata: dict[str, Any] | None = None, **tensors: Any
) -> Path:
    writer = gguf.GGUFWriter(path, architecture)
    writer.add_type("adapter")
    writer.add_string("adapter.type", "lora")
    writer.add_float32("adapter.lora.alpha", 4.0)
    for key, value in (metadata or {}).items():
        writer.add_array(key, value)
    for name, shape in tensors.items():
        writer.add_tensor(name.replace("__", ".weight."), np.ones(shape, np.float32))
    finish(writer)
    return path


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Base:
    return base_of("tiny", [read_header(tiny_llama(tmp_path_factory.mktemp("base")))])


def test_a_changed_embedding_is_refused_where_it_is_the_output_too(tmp_path: Path, llama: Base) -> None:
    tensors = {"token_embd__lora_a": (258, 4), "token_embd__lora_b": (64, 4)}
    tied = base_of("tied", [read_header(tiny_embedder(tmp_path))])
    with pytest.raises(Unsupported, match="the output matrix of tied too"):
        check_fits(read_header(gguf_adapter(tmp_path / "a.gguf", "qwen3", **tensors)), tied, "it")
    check_fits(read_header(gguf_adapter(tmp_path / "b.gguf", "llama", **tensors)), llama, "it")


@pytest.mark.parametrize(
    ("tensors", "said"),
    [
        ({"token_embd__lora_a": (258, 4), "token_embd__lora_b": (64, 3)}, "rank 4 and 3"),
        ({"output__lora_a": (4, 64), "output__lora_b": (258, 3)}, "rank 4 and 3"),
        ({"output__lora_a": (4, 64)}, "Half of what"),
        ({"output__lora_a": (64,), "output__lora_b": (258, 4)}, "Half of what"),
        ({"output_norm.weight": (64,)}, "changes no matrix"),
    ],
)
def test_factors_that_do_not_go_together_are_refused(
    tmp_path: Path, llama: Base, tensors: dict[str, Any], said: str
) -> None:
    with pytest.raises(ModelLoadFailed, match=said):
        check_fits(read_header(gguf_adapter(tmp_path / "a.gguf", "llama", **tensors)), llama, "it")


def test_an_adapter_that_waits_for_its_words_is_refused(tmp_path: Path, llama: Base) -> None:
    tensors = {"output__lora_a": (4, 64), "output__lora_b": (258, 4)}
    path = gguf_adapter(tmp_path / "a.gguf", "llama", {"adapter.alora.invocation_tokens": [1, 2]}, **tensors)
    with pytest.raises(Unsupported, match="aLoRA"):
        check_fits(read_header(path), llama, "it")
