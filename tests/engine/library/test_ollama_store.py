"""Ollama's store is read where it lies: names, layers, what is damaged, and manifests that mean harm."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine import paths
from engine import settings as hearth_settings
from engine.errors import ModelNotFound
from engine.library import Catalog
from engine.library.ollama_store import OllamaStore, folders_of
from engine.library.stores import stores_of
from engine.types import AdapterRef, ModelEntry
from starter import adapter_path, gguf_path, vision_paths
from tests.ollama import blob, layer, manifest
from tests.weights import tiny_llama

Make = Callable[..., Catalog]
EMBER = gguf_path()


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "ollama"


@pytest.fixture
def make(tmp_path: Path, store: Path) -> Make:
    def made(**said: Any) -> Catalog:
        where = paths.resolve({"HEARTH_HOME": str(tmp_path / "home")})
        found = hearth_settings.load(
            environ={}, cwd=tmp_path, cli={f"models.{key}": value for key, value in said.items()}
        )
        environ = {"OLLAMA_MODELS": str(store), "HOME": str(tmp_path)}
        return Catalog(found, where, starter=None, stores=stores_of(found.models, environ))

    return made


def listed(catalog: Catalog) -> dict[str, ModelEntry]:
    return {entry.id: entry for entry in catalog.entries()}


def weights(store: Path) -> dict[str, Any]:
    return layer(store, "model", EMBER)


def test_a_model_of_every_layer_is_used_whole(make: Make, store: Path) -> None:
    seeing, projector, _ = vision_paths()
    params = {"stop": ["<|end|>", "User:"], "temperature": 0.25, "top_k": 7, "num_ctx": 128, "num_thread": 4}
    layers = [
        layer(store, "model", seeing),
        layer(store, "projector", projector),
        layer(store, "template", "{{ .Prompt }}"),
        layer(store, "system", "You are a lighthouse."),
        layer(store, "params", params),
        layer(
            store, "messages", [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "ahoy"}]
        ),
        layer(store, "license", "Apache License\nVersion 2.0, January 2004\n"),
    ]
    manifest(store, "lighthouse:1b", layers)
    found = make().resolve("lighthouse:1b")
    entry = found.entry
    assert (entry.source, entry.broken, entry.modalities) == ("ollama", None, ("text", "image"))
    assert entry.removal == "ollama rm lighthouse:1b"
    assert entry.projector == str(store / "blobs" / layers[1]["digest"].replace(":", "-"))
    assert entry.licence
    assert found.sampling == {"temperature": 0.25, "top_k": 7}
    assert found.own is not None and found.own.load is not None
    assert (found.own.system, found.own.stop) == ("You are a lighthouse.", ("<|end|>", "User:"))
    assert found.own.load.context == 128 and found.own.load.threads is None
    assert [each.text for each in found.own.messages] == ["hi", "ahoy"]


def test_names_are_ollamas_and_plain_ones_do(make: Make, store: Path) -> None:
    for name in ("ember", "ember:4m", "friend/lamp:1b"):
        manifest(store, name, [weights(store), layer(store, "system", name)])
    manifest(store, "org/lamp-GGUF:Q4_K_M", [weights(store), layer(store, "system", "a")], host="hf.co")
    manifest(store, "org/lamp", [weights(store), layer(store, "system", "b")], host="models.example")
    catalog = make()
    names = ["ember", "ember:4m", "friend/lamp:1b", "models.example/org/lamp", "org/lamp-GGUF:Q4_K_M"]
    assert list(listed(catalog)) == names
    for asked, name in (
        ("ember:latest", "ember"),
        ("Ollama:EMBER:4m", "ember:4m"),
        ("hf.co/org/lamp-GGUF:Q4_K_M", "org/lamp-GGUF:Q4_K_M"),
        ("friend/lamp", "friend/lamp:1b"),
    ):
        assert catalog.resolve(asked).entry.id == name
    assert listed(catalog)["org/lamp-GGUF:Q4_K_M"].removal == "ollama rm hf.co/org/lamp-GGUF:Q4_K_M"


def test_a_name_without_its_tag_is_no_guess(make: Make, store: Path) -> None:
    for tag in ("1b", "3b"):
        manifest(store, f"lamp:{tag}", [weights(store), layer(store, "system", tag)])
    with pytest.raises(ModelNotFound, match=r"lamp:3b or lamp:1b"):
        make().resolve("lamp")


def test_tags_of_the_same_layers_are_one_model(make: Make, store: Path) -> None:
    for name in ("ember", "ember:4m"):
        manifest(store, name, [weights(store)])
    manifest(store, "ember:brief", [weights(store), layer(store, "params", {"temperature": 0.1})])
    catalog = make()
    assert {name: entry.also for name, entry in listed(catalog).items()} == {
        "ember:4m": ("ember",),
        "ember:brief": (),
    }
    assert catalog.resolve("ember").entry.id == "ember:4m"
    assert catalog.resolve("ember:brief").sampling == {"temperature": 0.1}


def test_another_model_of_that_name_goes_first(make: Make, store: Path, tmp_path: Path) -> None:
    (tmp_path / "home" / "models").mkdir(parents=True)
    tiny_llama(tmp_path).rename(tmp_path / "home" / "models" / "lamp.gguf")
    manifest(store, "lamp", [weights(store)])
    catalog = make()
    assert list(listed(catalog)) == ["lamp", "ollama:lamp"]
    assert catalog.resolve("lamp").entry.source == "folder"
    assert catalog.resolve("ollama:lamp").entry.source == "ollama"


def test_its_adapter_lies_over_it_unasked(make: Make, store: Path) -> None:
    pirate = adapter_path("pirate")
    manifest(store, "pirate", [weights(store), layer(store, "adapter", pirate)])
    catalog = make()
    place = store / "blobs" / blob(store, pirate)[0].replace(":", "-")
    assert catalog.resolve("pirate").adapters == (AdapterRef(str(place)),)
    assert catalog.resolve("pirate:base").adapters == ()
    assert listed(catalog)["pirate"].adapters == ("default",)


def test_a_template_of_gos_is_told_where_it_matters(make: Make, store: Path, tmp_path: Path) -> None:
    go = layer(store, "template", "{{ .System }}{{ .Prompt }}")
    manifest(store, "with", [weights(store), go])
    manifest(store, "without", [layer(store, "model", tiny_llama(tmp_path)), go])
    found = listed(make())
    assert found["with"].remarks == ()
    assert "language of Go" in found["without"].remarks[0]


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda store, said: said["layers"][0].update(digest="sha256:../../../../etc/passwd"), "no digest"),
        (lambda store, said: said["layers"][0].update(digest="sha256:" + "0" * 64), "is missing"),
        (lambda store, said: said["layers"][0].update(digest="x" * 3_000_000), "no digest"),
        (lambda store, said: said["layers"][0].update(size=12), "bytes of 12"),
        (lambda store, said: said["layers"].append(said["layers"][0]), "split over 2 layers"),
        (lambda store, said: said["layers"].clear(), "names no weights"),
        (lambda store, said: said.update(layers=None), "names no weights"),
        (lambda store, said: said.update(layers={"a": 1}), "cannot be read"),
        (lambda store, said: said["layers"][0].update(mediaType="application/vnd.ollama.image.tensor"), "tensor"),
    ],
)  # fmt: skip
def test_what_is_damaged_is_listed_with_its_reason(
    make: Make, store: Path, spoil: Callable[[Path, dict[str, Any]], None], reason: str
) -> None:
    path = manifest(store, "ember", [weights(store)])
    said = json.loads(path.read_text())
    spoil(store, said)
    path.write_text(json.dumps(said))
    (entry,) = listed(make()).values()
    assert entry.id == "ember" and entry.broken is not None and reason in entry.broken
    assert len(entry.broken) <= 300


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", "[" * 100_000, '{"layers": [{"digest": 7}]}', "\xff"]
)
def test_what_is_no_manifest_is_listed_as_broken(make: Make, store: Path, text: str) -> None:
    path = manifest(store, "ember", [weights(store)])
    path.write_bytes(text.encode("latin-1"))
    (entry,) = listed(make()).values()
    assert entry.broken


def test_a_model_of_ollamas_servers_says_so(make: Make, store: Path) -> None:
    manifest(store, "huge:cloud", [], config={"remote_host": "https://ollama.com", "remote_model": "huge"})
    (entry,) = listed(make()).values()
    assert entry.broken is not None and "servers" in entry.broken


def test_a_vision_tower_in_the_same_file_is_told(make: Make, store: Path, tmp_path: Path) -> None:
    path = tmp_path / "gemma.gguf"
    writer = gguf.GGUFWriter(path, "gemma3")
    for name in ("token_embd.weight", "v.blk.0.attn_q.weight", "mm.mm_input_projection.weight"):
        writer.add_tensor(name, np.zeros((32, 32), dtype=np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    manifest(store, "gemma3:4b", [layer(store, "model", path)])
    entry = listed(make())["gemma3:4b"]
    assert entry.architecture == "gemma3" and entry.broken is not None
    assert "vision tower" in entry.broken


def test_links_out_of_the_store_are_not_followed(make: Make, store: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("the key to the house")
    said = layer(store, "system", "a text")
    place = store / "blobs" / said["digest"].replace(":", "-")
    place.unlink()
    place.symlink_to(secret)
    manifest(store, "spy", [weights(store), {**said, "size": secret.stat().st_size}])
    outside = manifest(tmp_path / "elsewhere", "other", [weights(tmp_path / "elsewhere")])
    link = store / "manifests" / "registry.ollama.ai" / "library" / "linked" / "latest"
    link.parent.mkdir(parents=True)
    link.symlink_to(outside)
    (store / "manifests" / "models.example").symlink_to(tmp_path / "elsewhere" / "manifests")
    found = listed(make())
    assert set(found) == {"spy", "linked"}
    assert all(entry.broken for entry in found.values())
    assert "leads out of the store" in str(found["spy"].broken)


def test_links_inside_the_store_are_fine(make: Make, store: Path) -> None:
    said = weights(store)
    place = store / "blobs" / said["digest"].replace(":", "-")
    place.rename(place.with_name("moved"))
    place.symlink_to("moved")
    manifest(store, "ember", [said])
    assert listed(make())["ember"].broken is None


def test_a_pipe_or_a_huge_text_in_place_of_a_layer_holds_nothing_up(make: Make, store: Path) -> None:
    pipe, long = layer(store, "system", "x"), layer(store, "system", "y" * (1 << 20) + "y")
    place = store / "blobs" / pipe["digest"].replace(":", "-")
    place.unlink()
    os.mkfifo(place)
    manifest(store, "pipe", [weights(store), pipe])
    manifest(store, "long", [weights(store), long])
    assert all(entry.broken for entry in make().entries())


def test_values_that_cannot_be_are_left_out(make: Make, store: Path) -> None:
    params = {
        "temperature": "hot", "top_p": 7, "top_k": True, "min_p": 0.5, "stop": ["", 3, "s" * 300, "ok"],
        "num_ctx": -1, "num_predict": -2,
    }  # fmt: skip
    manifest(store, "odd", [weights(store), layer(store, "params", params)])
    found = make().resolve("odd")
    assert found.sampling == {"min_p": 0.5}
    assert found.own is not None and found.own.stop == ("ok",) and found.own.load is None


def test_what_cannot_be_takes_nothing_else_with_it(make: Make, store: Path) -> None:
    params = {"temperature": 0.5, "num_ctx": 10**30, "num_predict": 7}
    layers = [weights(store), layer(store, "params", params), layer(store, "system", "Be short.")]
    manifest(store, "odd", layers)
    own = make().resolve("odd").own
    assert own is not None and (own.system, own.max_tokens, own.load) == ("Be short.", 7, None)
    assert own.sampling == {"temperature": 0.5}


def test_texts_of_strangers_cannot_draw_on_the_screen(make: Make, store: Path) -> None:
    nasty = "\x1b]0;owned\x07\u202e"
    manifest(store, "ember", [weights(store), layer(store, "license", nasty + "MIT")])
    manifest(store, f"a{nasty}b", [weights(store), layer(store, "system", "x")])
    text = json.dumps([[e.id, e.licence, e.broken, e.removal] for e in make().entries()], ensure_ascii=False)
    assert "\x1b" not in text and "\u202e" not in text and "\\u001b" not in text


def test_the_store_is_never_written_to(make: Make, store: Path) -> None:
    manifest(store, "pirate", [weights(store), layer(store, "adapter", adapter_path("pirate"))])
    before = {path: path.lstat().st_mtime_ns for path in sorted(store.rglob("*"))}
    make().resolve("pirate")
    assert {path: path.lstat().st_mtime_ns for path in sorted(store.rglob("*"))} == before


def test_it_can_be_switched_off_and_others_added(make: Make, store: Path, tmp_path: Path) -> None:
    manifest(store, "ember", [weights(store)])
    more = tmp_path / "more"
    manifest(more, "lamp", [weights(more), layer(more, "system", "x")])
    assert list(listed(make(ollama=False))) == []
    assert list(listed(make(ollama_folders=[str(more)]))) == ["ember", "lamp"]


def test_where_ollama_keeps_models() -> None:
    home = folders_of({"HOME": "/home/ada"})
    assert home[0] == Path("/home/ada/.ollama/models")
    assert Path("/usr/share/ollama/.ollama/models") in home
    assert folders_of({"HOME": "/home/ada", "OLLAMA_MODELS": "/big/ollama"}) == (Path("/big/ollama"),)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.sampled_from(["layers", "config", "digest", "size", "mediaType"]), inner, max_size=5),
    max_leaves=12,
))  # fmt: skip
def test_no_manifest_brings_the_catalog_down(tmp_path: Path, said: Any) -> None:
    store = tmp_path / "any"
    path = store / "manifests" / "registry.ollama.ai" / "library" / "any" / "latest"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(said))
    (found,) = OllamaStore([store]).models()
    assert found.name == "any" and found.problem
