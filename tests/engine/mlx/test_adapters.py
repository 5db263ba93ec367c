"""Adapters in mlx-lm's own form do what mlx-lm does with them, under every backend, and leave the base as it was."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from engine import paths, settings
from engine.errors import HearthError, ModelLoadFailed, Unsupported
from engine.library import Catalog
from engine.runtime.backends.folder.backend import FolderBackend
from engine.types import AdapterRef
from tests.engine.hf.driving import generate
from tests.engine.hf.driving import opened as with_transformers
from tests.engine.mlx.test_passes import opened as with_mlx
from tests.weights.hf_folders import write_hf, write_hf_adapter
from tests.weights.mlx_adapters import write_mlx_adapter

pytest.importorskip("mlx_lm")
TEXT = [*b"All happy families are alike; every unhappy family"]
COUNT = 10


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    path = write_hf(folder / "tiny", "llama")
    write_mlx_adapter(folder / "adapters" / "one", path)
    write_mlx_adapter(folder / "adapters" / "two", path, seed=2, rank=8, scale=0.5, keys=["self_attn.v_proj"])
    write_hf_adapter(folder / "adapters" / "three", path)
    return path


def by_mlx_lm(model: Path, *adapters: tuple[Path, float]) -> list[int]:
    """What mlx-lm says with `adapters`, of which all but the last are fused into the weights."""
    import mlx.core as mx
    from mlx.utils import tree_unflatten
    from mlx_lm.generate import generate_step
    from mlx_lm.tuner.utils import load_adapters
    from mlx_lm.utils import load_model

    made = load_model(model)[0]
    for path, scale in adapters:
        load_adapters(made, str(path))
        layers = [(name, each) for name, each in made.named_modules() if hasattr(each, "fuse")]
        for _, layer in layers:
            layer.scale *= scale
        made.update_modules(tree_unflatten([(name, layer.fuse()) for name, layer in layers]))
    made.eval()
    return [int(token) for token, _ in generate_step(mx.array(TEXT), made, max_tokens=COUNT)]


@pytest.mark.parametrize("open_it", [with_mlx, with_transformers], ids=["mlx", "transformers"])
def test_they_do_what_mlx_lm_does_with_them(model: Path, open_it: Callable[[Path], FolderBackend]) -> None:
    one, two = (model.parent / "adapters" / name for name in ("one", "two"))
    backend = open_it(model)
    base = generate(backend, TEXT, COUNT)
    assert base == by_mlx_lm(model)
    seen = [base]
    for chosen in (((one, 1.0),), ((two, 1.0),), ((one, 0.4),), ((one, 1.0), (two, 0.5))):
        refs = tuple(AdapterRef(str(path), scale) for path, scale in chosen)
        backend.set_adapters(refs)
        found = generate(backend, TEXT, COUNT)
        assert found == by_mlx_lm(model, *chosen) and found not in seen
        seen.append(found)
        backend.set_adapters(())
        assert generate(backend, TEXT, COUNT) == base
    said = {backend.adapter_identity((AdapterRef(str(path)),)) for path in (one, two)}
    assert len(said) == 2
    backend.close()


def test_beside_one_of_peft(model: Path) -> None:
    """Both forms at once, under both libraries, come to the same."""
    refs = tuple(AdapterRef(str(model.parent / "adapters" / name), 0.5) for name in ("one", "three"))
    found = []
    for open_it in (with_mlx, with_transformers):
        backend = open_it(model)
        backend.set_adapters(refs)
        found.append(generate(backend, TEXT, COUNT))
        backend.close()
    assert found[0] == found[1]


def test_over_weights_that_mlx_has_quantised(tmp_path: Path) -> None:
    from mlx_lm.convert import convert

    source = write_hf(tmp_path / "source", "llama")
    path = tmp_path / "models" / "small"
    path.parent.mkdir()
    convert(str(source), str(path), quantize=True, q_group_size=32, q_bits=4)
    adapter = write_mlx_adapter(path.parent / "adapters" / "one", path)
    wide = write_hf(tmp_path / "wide", "llama", hidden_size=96)
    write_mlx_adapter(path.parent / "adapters" / "other", wide)
    assert catalog(tmp_path, path).resolve("small").entry.adapters == ("one",)
    backend = with_mlx(path)
    backend.set_adapters((AdapterRef(str(adapter)),))
    assert generate(backend, TEXT, COUNT) == by_mlx_lm_unfused(path, adapter)
    backend.close()


def by_mlx_lm_unfused(model: Path, adapter: Path) -> list[int]:
    """Fused into quantised weights an adapter would be rounded with them."""
    import mlx.core as mx
    from mlx_lm.generate import generate_step
    from mlx_lm.tuner.utils import load_adapters
    from mlx_lm.utils import load_model

    made = load_adapters(load_model(model)[0], str(adapter))
    made.eval()
    return [int(token) for token, _ in generate_step(mx.array(TEXT), made, max_tokens=COUNT)]


def catalog(tmp_path: Path, model: Path) -> Catalog:
    said = settings.load(environ={}, cwd=tmp_path, cli={"models.folders": [str(model.parent)]})
    return Catalog(said, paths.resolve({"HEARTH_HOME": str(tmp_path / "home")}), starter=None)


def test_they_are_found_beside_the_model(model: Path, tmp_path: Path) -> None:
    found = catalog(tmp_path, model).resolve("tiny:one=0.5+three")
    assert found.entry.adapters == ("one", "three", "two")
    folder = model.parent / "adapters"
    assert found.adapters == (AdapterRef(str(folder / "one"), 0.5), AdapterRef(str(folder / "three")))


@pytest.mark.parametrize(
    ("change", "error", "said"),
    [
        ({"fine_tune_type": "dora"}, Unsupported, "fine_tune_type is dora"),
        ({"fine_tune_type": "full"}, Unsupported, "fine_tune_type is full"),
        ({"lora_parameters": {"rank": 4, "alpha": 8}}, ModelLoadFailed, "do not say the scale"),
        ({"lora_parameters": {"scale": 4.0}}, ModelLoadFailed, "do not say the rank"),
        ({"lora_parameters": {"rank": 5, "scale": 4.0}}, ModelLoadFailed, "of rank 4"),
        ({"lora_parameters": [4]}, ModelLoadFailed, "no object"),
        ({"lora_parameters": {"rank": 4, "scale": "large"}}, ModelLoadFailed, "scale is large"),
    ],
)
def test_what_is_no_plain_lora_is_refused_by_name(
    model: Path, tmp_path: Path, change: dict[str, object], error: type[HearthError], said: str
) -> None:
    adapter = write_mlx_adapter(tmp_path / "other", model, config=change)
    found = catalog(tmp_path, model)
    entry = found.resolve("tiny").entry
    with pytest.raises(error, match=said):
        found.adapters(entry, (AdapterRef(str(adapter)),))


def test_the_magnitudes_of_dora_are_seen_also_under_another_name(model: Path, tmp_path: Path) -> None:
    adapter = write_mlx_adapter(tmp_path / "other", model, kind="dora")
    config = json.loads((adapter / "adapter_config.json").read_text()) | {"fine_tune_type": "lora"}
    (adapter / "adapter_config.json").write_text(json.dumps(config))
    found = catalog(tmp_path, model)
    with pytest.raises(Unsupported, match="magnitudes of DoRA"):
        found.adapters(found.resolve("tiny").entry, (AdapterRef(str(adapter)),))
