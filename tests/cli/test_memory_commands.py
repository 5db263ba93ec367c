"""`hearth ps`, `load` and `unload`, asked of a real server behind the terminal."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.library import catalog
from starter import hf_path
from tests.cli.inside import Hearth
from tests.cli.program import run


@pytest.fixture
def hearth(
    hearth_home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Hearth]:
    yield Hearth(capsys, monkeypatch)
    run(hearth_home, "stop", "--force")


def test_models_are_loaded_listed_and_let_go(hearth: Hearth, hearth_home: Path) -> None:
    for command in (("ps",), ("load", "ember"), ("unload", "ember")):
        assert "hearth start" in hearth.refused(*command)
    hearth.said("create", "--alias", "small", "--model", "ember", "--ctx", "256", "--keep-alive", "1h")
    started = run(hearth_home, "start", "--port", "0")
    assert started.returncode == 0, started.stderr
    assert hearth.asked("ps") == []
    assert hearth.said("load", "small") == "small is loaded.\n"
    (loaded,) = hearth.asked("ps")
    assert loaded["context_length"] == 256
    head, row = hearth.said("ps").splitlines()
    assert head.split() == ["MODEL", "MEMORY", "ON", "GPU", "CONTEXT", "STAYS"]
    assert row.startswith("ember ") and row.endswith("59 minutes")
    hearth.said("load", "ember", "--keep-alive", "-1")
    assert hearth.said("ps").splitlines()[1].endswith("for ever")
    assert "nobody" in hearth.refused("load", "nobody")
    assert "stays for a while" in hearth.refused("load", "ember", "--keep-alive", "0")
    assert "nosuch" in hearth.refused("unload", "nosuch")
    assert hearth.asked("unload", "small") == {"unloaded": ["small"], "not_loaded": []}
    assert hearth.asked("unload", "small") == {"unloaded": [], "not_loaded": ["small"]}
    assert hearth.said("unload", "ember") == "ember was not loaded.\n"
    assert hearth.asked("ps") == []


def test_a_model_whose_library_is_not_installed_is_not_to_be_fetched_again(
    hearth: Hearth, hearth_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is missing is an extra, and how to get it from a checkout is said."""
    shutil.copytree(hf_path(), hearth_home / "models" / "sound")
    monkeypatch.setattr(catalog, "_LIBRARIES", dict.fromkeys(("transformers", "mlx"), ("nowhere_installed",)))
    for command in (("estimate", "sound"), ("chat", "sound", "Hi")):
        said = hearth.refused("--alone", *command)
        assert "which is not installed" in said and "make setup-dev" in said, said
        assert "again" not in said and "'hearth[" not in said, said


@pytest.mark.parametrize(
    ("name", "id"), [("wide", "ember"), pytest.param("ember-folder", "ember-folder", marks=pytest.mark.long)]
)
def test_what_does_not_fit_is_refused_with_figures_unless_forced(
    hearth: Hearth, hearth_home: Path, name: str, id: str
) -> None:
    hearth.said("create", "--alias", "wide", "--model", "ember", "--ctx", "1024")
    shutil.copytree(hf_path(), hearth_home / "models" / "ember-folder")
    started = run(hearth_home, "start", "--port", "0", HEARTH_RUNTIME__MEMORY_LIMIT="30MB")
    assert started.returncode == 0, started.stderr
    said = hearth.refused("load", name)
    assert "does not fit into memory" in said and "It needs" in said and "can be had" in said
    assert hearth.asked("ps") == []
    assert hearth.said("load", name, "--force") == f"{name} is loaded.\n"
    assert [each["name"].removesuffix(":latest") for each in hearth.asked("ps")] == [id]
