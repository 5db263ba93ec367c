"""Changes of the settings file: checked first, written at once, comments kept; and what is shown of values."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine import settings
from engine.errors import InvalidSettings, StorageFailed
from engine.settings import Hub, Log, Runtime, Settings, Ui, definitions
from engine.settings.wording import show_duration


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "home" / "config.toml"


def loaded(file: Path) -> Settings:
    return settings.load(file, environ={})


def test_a_file_that_is_not_there_is_made(file: Path) -> None:
    assert settings.set_value(file, "runtime.slots", "6") == 6
    assert file.read_text() == "[runtime]\nslots = 6\n"
    assert file.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    ("key", "text", "value", "line"),
    [
        ("runtime.keep_alive", "1h30m", 5400.0, 'keep_alive = "1h30m"'),
        ("runtime.keep_alive", "-1", -1.0, "keep_alive = -1"),
        ("runtime.memory_limit", "12GB", 12 * 2**30, 'memory_limit = "12GB"'),
        ("runtime.memory_margin", "0.25", 0.25, "memory_margin = 0.25"),
        ("ui.rail", "false", False, "rail = false"),
        ("ui.images", "blocks", "blocks", 'images = "blocks"'),
        ("media.url_ports", "80, 8080", (80, 8080), "url_ports = [80, 8080]"),
        ("generation.sampling.logit_bias", "{ 5 = 1.5 }", {5: 1.5}, "logit_bias = { 5 = 1.5 }"),
        ("generation.system", "two\nlines", "two\nlines", 'system = "two\\nlines"'),
    ],
)
def test_values_are_written_as_a_person_would(file: Path, key: str, text: str, value: Any, line: str) -> None:
    assert settings.set_value(file, key, text) == value
    assert line in file.read_text().splitlines()
    assert settings.value_of(loaded(file), key) == value


def test_paths_are_meant_from_where_they_are_typed(file: Path, tmp_path: Path) -> None:
    settings.set_value(file, "models.folders", "here, ../there", folder=tmp_path / "a")
    assert loaded(file).models.folders == (str(tmp_path / "a" / "here"), str(tmp_path / "there"))
    settings.set_value(file, "ui.keymap", "~/keys.toml")
    assert 'keymap = "~/keys.toml"' in file.read_text()


@pytest.mark.parametrize(
    ("key", "text"),
    [("runtime.slots", "0"), ("runtime.slots", "many"), ("ui.images", "big"), ("ui.imagse", "auto")],
)
def test_a_wrong_value_is_refused_before_anything_is_written(file: Path, key: str, text: str) -> None:
    with pytest.raises(InvalidSettings) as caught:
        settings.set_value(file, key, text)
    assert caught.value.param == key and caught.value.fix
    assert not file.exists()


def test_comments_mode_and_links_stay(file: Path, tmp_path: Path) -> None:
    real = tmp_path / "dotfiles" / "hearth.toml"
    real.parent.mkdir()
    real.write_text("# mine\n[ui]\nrail = true  # left\n")
    real.chmod(0o640)
    file.parent.mkdir()
    file.symlink_to(real)
    settings.set_value(file, "ui.rail", "false")
    assert file.is_symlink()
    assert real.read_text() == "# mine\n[ui]\nrail = false  # left\n"
    assert real.stat().st_mode & 0o777 == 0o640
    assert settings.unset(file, "ui.rail")
    assert not settings.unset(file, "ui.rail")
    assert real.read_text() == "# mine\n[ui]\n"
    assert [each.name for each in real.parent.iterdir()] == ["hearth.toml"]


@pytest.mark.parametrize("text", ["[ui\n", "ui = 3\n", "\xff"])
def test_a_file_that_cannot_be_edited_stays_as_it_is(file: Path, text: str) -> None:
    file.parent.mkdir()
    file.write_bytes(text.encode("latin-1"))
    with pytest.raises(InvalidSettings):
        settings.set_value(file, "ui.rail", "false")
    assert file.read_bytes() == text.encode("latin-1")


def test_a_folder_in_the_way_is_told(tmp_path: Path) -> None:
    with pytest.raises(StorageFailed):
        settings.set_value(tmp_path, "ui.rail", "false")


def test_check_reports_everything_and_gives_the_rest(tmp_path: Path) -> None:
    own, here = tmp_path / "config.toml", tmp_path / "hearth.toml"
    own.write_text('[ui]\nrail = 3\nfooter = false\n[serve]\nport = 1\n[log]\nlevel = "x"\n')
    here.write_text('[hub]\nendpoint = "https://a.example"\nui = 3\n')
    found, problems = settings.check(
        environ={"HEARTH_RUNTIME__SLOTS": "0"}, cwd=tmp_path, own=own, cli={"log.redact": "perhaps"}
    )
    said = [problem.param for problem in problems]
    assert said == ["ui.rail", "serve", "log.level", "hub.endpoint", "hub.ui", "runtime.slots", "log.redact"]
    assert found.settings == Settings(ui=Ui(footer=False))
    assert found.sources["ui.rail"] == "default"


def test_states_say_layer_default_and_when_a_change_holds(tmp_path: Path) -> None:
    own, here = tmp_path / "config.toml", tmp_path / "hearth.toml"
    own.write_text("[ui]\nfooter = false\nrail = false\n")
    here.write_text("[ui]\nrail = true\n")
    loaded = settings.load_with_sources(
        environ={"HEARTH_RUNTIME__SLOTS": "2"}, cwd=tmp_path, own=own, cli={"log.level": "debug"}
    )
    states = {state.key: state for state in settings.states(loaded)}
    assert set(states) == set(definitions())
    layers = {
        key: states[key].layer for key in ("ui.footer", "ui.rail", "runtime.slots", "log.level", "ui.theme")
    }
    assert list(layers.values()) == ["file", "project file", "environment", "command line", "default"]
    assert (states["ui.footer"].value, states["ui.footer"].default) == (False, True)
    assert [states[key].applies for key in layers] == ["now", "now", "load", "start", "now"]
    assert states["ui.images"].choices == ("auto", "blocks", "placeholder")


def test_a_running_workstation_takes_over_what_need_not_wait() -> None:
    changed = Settings(ui=Ui(rail=False, images="blocks"), runtime=Runtime(slots=7), log=Log(level="debug"))
    now = settings.taken_over(Settings(), changed)
    assert now == Settings(ui=Ui(rail=False), runtime=Runtime(slots=7))


def test_passwords_in_addresses_are_hidden(tmp_path: Path) -> None:
    setting = definitions()["hub.endpoint"]
    assert settings.shown(setting, "https://me:secret@mirror.example/x") == "https://me:••••@mirror.example/x"
    own = tmp_path / "config.toml"
    own.write_text('[hub]\nendpoint = "https://me:secret@mirror.example"\n')
    loaded = settings.load_with_sources(own, environ={})
    assert isinstance(loaded.settings.hub, Hub) and "secret" in (loaded.settings.hub.endpoint or "")
    assert "secret" not in repr([*settings.rows(loaded), *settings.states(loaded)])


@given(st.integers(0, 10**7))
def test_durations_are_read_back(seconds: int) -> None:
    assert settings.parse_duration(show_duration(float(seconds))) == seconds


def test_what_is_typed_gives_each_default_again(tmp_path: Path) -> None:
    for key, setting in definitions().items():
        if setting.default is not None and setting.default != ():
            assert settings.parsed(key, settings.typed(setting, setting.default), tmp_path) == setting.default


def test_names_of_models_are_written_and_taken_out_wherever_they_stand(file: Path) -> None:
    file.parent.mkdir()
    file.write_text('[models]\nllama3.2 = "/a.gguf"  # mine\n"b.c" = "org/b"\n[models.names]\nd = "org/d"\n')
    assert settings.set_value(file, "models.mistral", "~/m.gguf").endswith("/m.gguf")
    for key in ("models.llama3.2", "models.b.c", "models.d"):
        settings.set_value(file, key, "org/new")
    assert loaded(file).models.names == {
        "llama3.2": "org/new", "b.c": "org/new", "d": "org/new", "mistral": str(Path("~/m.gguf").expanduser()),
    }  # fmt: skip
    assert "# mine" in file.read_text() and '"~/m.gguf"' in file.read_text()
    for key in ("models.llama3.2", "models.b.c", "models.d", "models.mistral"):
        assert settings.unset(file, key)
    assert not settings.unset(file, "models.d")
    assert loaded(file).models.names == {}
    with pytest.raises(InvalidSettings):
        settings.set_value(file, "models.flders", "/a.gguf")
    with pytest.raises(InvalidSettings):
        settings.set_value(file, "models.x", "no path")
