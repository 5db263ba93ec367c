"""LM Studio's folders are read where they lie."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

from engine import paths, settings
from engine.library import Catalog
from engine.library.lm_studio import LmStudio, folders_of
from engine.library.stores import stores_of
from starter import gguf_path, hf_path, vision_paths
from tests.ollama import layer, manifest


def put(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(source, target)


def catalog(tmp_path: Path, home: Path, **said: object) -> Catalog:
    found = settings.load(
        environ={}, cwd=tmp_path, cli={f"models.{key}": value for key, value in said.items()}
    )
    where = paths.resolve({"HEARTH_HOME": str(tmp_path / "hearth")})
    return Catalog(found, where, starter=None, stores=stores_of(found.models, {"HOME": str(home)}))


def test_models_are_listed_as_in_the_hubs_cache(tmp_path: Path) -> None:
    models = tmp_path / "home" / ".lmstudio" / "models"
    put(gguf_path(), models / "ada" / "Lamp-GGUF" / "Lamp-Q8_0.gguf")
    put(gguf_path(), models / "ada" / "Lamp-GGUF" / "Lamp-Q4_K_M.gguf")
    seeing, projector, _ = vision_paths()
    put(seeing, models / "ada" / "Eye-GGUF" / "Eye-F16.gguf")
    put(projector, models / "ada" / "Eye-GGUF" / "mmproj-Eye-F16.gguf")
    shutil.copytree(hf_path(), models / "mlx-community" / "Lamp-4bit")
    put(gguf_path(), models / "stray.gguf")
    old = tmp_path / "home" / ".cache" / "lm-studio" / "models"
    (old / "eve" / "Broken-GGUF").mkdir(parents=True)
    (old / "eve" / "Broken-GGUF" / "Broken-Q4_0.gguf").write_bytes(b"GGUF but no more")
    (models / "ada" / "empty").mkdir()
    found = {entry.id: entry for entry in catalog(tmp_path, tmp_path / "home").entries()}
    assert set(found) == {
        "ada/Lamp-GGUF:Q8_0", "ada/Lamp-GGUF:Q4_K_M", "ada/Eye-GGUF:F16", "mlx-community/Lamp-4bit",
        "eve/Broken-GGUF:Q4_0",
    }  # fmt: skip
    assert {entry.source for entry in found.values()} == {"lmstudio"}
    assert found["ada/Eye-GGUF:F16"].modalities == ("text", "image")
    assert found["mlx-community/Lamp-4bit"].format == "safetensors"
    assert [name for name, entry in found.items() if entry.broken] == ["eve/Broken-GGUF:Q4_0"]
    assert "LM Studio" in found["ada/Lamp-GGUF:Q8_0"].removal
    resolved = catalog(tmp_path, tmp_path / "home").resolve("lmstudio:ada/lamp-gguf")
    assert resolved.entry.id == "ada/Lamp-GGUF:Q4_K_M"


def test_it_can_be_switched_off_and_others_added(tmp_path: Path) -> None:
    put(gguf_path(), tmp_path / "home" / ".lmstudio" / "models" / "ada" / "lamp" / "a.gguf")
    put(gguf_path(), tmp_path / "more" / "eve" / "lamp" / "b.gguf")
    home = tmp_path / "home"
    assert catalog(tmp_path, home, lm_studio=False).entries() == []
    both = catalog(tmp_path, home, lm_studio_folders=[str(tmp_path / "more")])
    assert [entry.id for entry in both.entries()] == ["ada/lamp:a", "eve/lamp:b"]


def test_a_link_to_ollamas_file_is_that_model_and_no_second_one(tmp_path: Path) -> None:
    store = tmp_path / "home" / ".ollama" / "models"
    weights = layer(store, "model", gguf_path())
    manifest(store, "ember", [weights])
    link = tmp_path / "home" / ".lmstudio" / "models" / "ollama" / "ember" / "ember.gguf"
    link.parent.mkdir(parents=True)
    os.symlink(store / "blobs" / weights["digest"].replace(":", "-"), link)
    assert [entry.source for entry in catalog(tmp_path, tmp_path / "home").entries()] == ["ollama"]


def test_where_lm_studio_keeps_models(tmp_path: Path) -> None:
    home = tmp_path / "home"
    usual = (home / ".lmstudio" / "models", home / ".cache" / "lm-studio" / "models")
    assert folders_of({"HOME": str(home)}) == usual
    (home / ".lmstudio").mkdir(parents=True)
    (home / ".lmstudio" / "settings.json").write_text(json.dumps({"downloadsFolder": "/big/models"}))
    assert folders_of({"HOME": str(home)})[0] == Path("/big/models")
    (home / ".lmstudio" / "settings.json").write_text("[" * 90_000)
    assert folders_of({"HOME": str(home)}) == usual
    (home / ".lmstudio-home-pointer").write_text("/else/where\n")
    assert folders_of({"HOME": str(home)})[0] == Path("/else/where/models")


def test_a_pointer_that_a_crash_tore_leads_nowhere(tmp_path: Path) -> None:
    (tmp_path / ".lmstudio-home-pointer").write_bytes(b"/home/some\0\0\0\0")
    assert list(LmStudio(folders_of({"HOME": str(tmp_path)})).models()) == []
