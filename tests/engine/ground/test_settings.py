"""Settings come from four layers, each value knows its origin, and a wrong one says place, key and remedy."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from engine import settings
from engine.errors import InvalidSettings
from engine.sampling import resolve
from engine.types import Sampling


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "home").mkdir()
    return tmp_path / "home"


def load(home: Path, **how: Any) -> settings.Loaded:
    environ = {"HEARTH_HOME": str(home), **how.pop("environ", {})}
    return settings.load_with_sources(how.pop("config", None), environ=environ, cwd=home.parent, **how)


def error(home: Path, **how: Any) -> InvalidSettings:
    with pytest.raises(InvalidSettings) as caught:
        load(home, **how)
    assert caught.value.what and caught.value.fix
    return caught.value


def test_defaults_hold_where_nothing_is_said(home: Path) -> None:
    loaded = load(home)
    assert loaded.settings == settings.Settings()
    assert set(loaded.sources.values()) == {"default"}
    assert loaded.files == ()


def test_the_stronger_layer_wins_and_is_named(home: Path) -> None:
    own, here = home / "config.toml", home.parent / "hearth.toml"
    own.write_text(
        '[server]\nport = 1001\n[ui]\ntheme = "own"\n[log]\nlevel = "error"\n[runtime]\nslots = 2\n'
    )
    here.write_text('[server]\nport = 1002\n[ui]\ntheme = "here"\n[log]\nlevel = "warning"\n')
    environ = {"HEARTH_SERVER__PORT": "1003", "HEARTH_UI__THEME": "variable"}
    loaded = load(home, environ=environ, cli={"server.port": 1004, "runtime.slots": None})
    got = loaded.settings
    assert (got.server.port, got.ui.theme, got.log.level, got.runtime.slots) == (
        1004,
        "variable",
        "warning",
        2,
    )
    assert loaded.sources["server.port"] == "command line"
    assert loaded.sources["ui.theme"] == "environment HEARTH_UI__THEME"
    assert loaded.sources["log.level"] == str(here)
    assert loaded.sources["runtime.slots"] == str(own)
    assert loaded.sources["hub.offline"] == "default"
    assert loaded.files == (own, here)


def test_a_named_file_takes_the_place_of_both(home: Path, tmp_path: Path) -> None:
    (home / "config.toml").write_text("[server]\nport = 1001\n")
    other = tmp_path / "other.toml"
    other.write_text("[runtime]\nslots = 9\n")
    loaded = load(home, config=other)
    assert (loaded.settings.server.port, loaded.settings.runtime.slots) == (11434, 9)
    assert "cannot be read" in error(home, config=tmp_path / "absent.toml").what


def test_files_names_what_is_looked_at(home: Path) -> None:
    found = settings.files(environ={"HEARTH_HOME": str(home)}, cwd=home.parent)
    assert found == (home / "config.toml", home.parent / "hearth.toml")


def test_variables_spell_every_kind_of_value(home: Path) -> None:
    environ = {
        "HEARTH_UI__FOLLOW": "false",
        "HEARTH_RUNTIME__KEEP_ALIVE": "1h30m",
        "HEARTH_RUNTIME__CONTEXT": "4096",
        "HEARTH_WEB__MODELS": "a, b",
        "HEARTH_GENERATION__SYSTEM": "[Be] {brief}",
        "HEARTH_GENERATION__SAMPLING__TEMPERATURE": "0.25",
        "HEARTH_GENERATION__SAMPLING__LOGIT_BIAS": "{5 = -1.5}",
        "HEARTH_GENERATION__SAMPLING__DRY_SEQUENCE_BREAKERS": '["\\n", ","]',
        "HEARTH_GENERATION__SAMPLING__BANNED_TOKENS": "1,2",
        "HEARTH_LOG__LEVEL": "",
        "HEARTH_LAUNCHED": "yes",
    }
    got = load(home, environ=environ).settings
    assert (got.ui.follow, got.runtime.keep_alive, got.runtime.context) == (False, 5400.0, 4096)
    assert (got.web.models, got.generation.system, got.log.level) == (("a", "b"), "[Be] {brief}", "info")
    assert got.generation.sampling_overrides == {
        "temperature": 0.25,
        "logit_bias": {5: -1.5},
        "dry_sequence_breakers": ("\n", ","),
        "banned_tokens": (1, 2),
    }


def test_every_sampling_field_can_be_set_and_described(home: Path) -> None:
    rows = [row for row in settings.rows(load(home)) if row.key.startswith("generation.sampling.")]
    assert [row.key.rpartition(".")[2] for row in rows] == list(Sampling.__struct_fields__)
    values = msgspec.to_builtins(
        Sampling(temperature=0.5, seed=3, top_k=7, logit_bias={1: 2.0}), str_keys=True
    )
    got = load(home, cli={"generation": {"sampling": values}}).settings.generation
    assert resolve(got.sampling_overrides) == Sampling(temperature=0.5, seed=3, top_k=7, logit_bias={1: 2.0})


def test_paths_are_meant_from_the_file_that_names_them(home: Path, tmp_path: Path) -> None:
    (home / "config.toml").write_text(
        '[models]\nfolders = ["gguf", "~/m", "/abs"]\nadapter_path = "a/b.gguf"\n'
    )
    got = load(home).settings.models
    assert got.folders == (str(home / "gguf"), str(Path.home() / "m"), "/abs")
    assert got.adapter_path == str(home / "a" / "b.gguf")
    assert load(home, environ={"HEARTH_MODELS__FOLDERS": "x"}).settings.models.folders == (
        str(tmp_path / "x"),
    )


@pytest.mark.parametrize(
    ("text", "key", "value", "line"),
    [
        ('[server]\nhost = "x"\nport = 70000\n', "server.port", "70000", 3),
        ('[server]\n\n# comment\nport = "80"\n', "server.port", "'80'", 4),
        ('[log]\nlevel = "loud"\n', "log.level", "'loud'", 2),
        ('server.auth = "maybe"\n', "server.auth", "'maybe'", 1),
        ("runtime = {slots = 0}\n", "runtime.slots", "0", 1),
        ('[runtime]\nkeep_alive = "soon"\n', "runtime.keep_alive", "'soon'", 2),
        ("[runtime]\nkeep_alive = inf\n", "runtime.keep_alive", "inf", 2),
        ("[generation]\nmax_tokens = 1.5\n", "generation.max_tokens", "1.5", 2),
        ("[generation.sampling]\ntemperature = nan\n", "generation.sampling.temperature", "nan", 2),
        ("[generation.sampling]\ntop_p = 1.5\n", "generation.sampling.top_p", "1.5", 2),
        ("[generation.sampling]\nlogit_bias = {x = 1}\n", "generation.sampling.logit_bias", "{'x': 1}", 2),
        ('[hub]\ntrust_remote_code = ["org/name"]\n', "hub.trust_remote_code", "['org/name']", 2),
        ('[hub]\nendpoint = "ftp://x"\n', "hub.endpoint", "'ftp://x'", 2),
        ('[models]\nfolders = "gguf"\n', "models.folders", "'gguf'", 2),
    ],
)
def test_a_wrong_value_names_file_line_key_and_remedy(
    home: Path, text: str, key: str, value: str, line: int
) -> None:
    (home / "config.toml").write_text(text)
    found = error(home)
    assert found.param == key
    assert f"`{key}`" in found.what and value in found.what
    assert f"{home / 'config.toml'}, line {line}" in found.why
    assert "Give " in found.fix


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("[server]\nprot = 1\n", "server.port"),
        ('log_level = "debug"\n', "log.level"),
        ('adapter_path = "x"\n', "models.adapter_path"),
        ("[sever]\nport = 1\n", "server"),
        ("[generation.sampling]\ntemprature = 1\n", "generation.sampling.temperature"),
        ("temperature = 1\n", "generation.sampling.temperature"),
        ("max_tokens = 1\n", "generation.max_tokens"),
    ],
)
def test_an_unknown_key_says_which_was_meant(home: Path, text: str, meant: str) -> None:
    (home / "config.toml").write_text(text)
    found = error(home)
    assert "Unknown setting" in found.what and f"`{meant}`" in found.fix
    assert str(home / "config.toml") in found.why


def test_a_wrong_variable_or_flag_is_named(home: Path) -> None:
    found = error(home, environ={"HEARTH_SERVER__PORT": "many"})
    assert "environment HEARTH_SERVER__PORT" in found.why
    assert "`server.port`" in error(home, environ={"HEARTH_SERVER__PROT": "1"}).fix
    assert "command line" in error(home, cli={"runtime.slots": 0}).why
    assert "is a section" in error(home, cli={"runtime": 3}).what


def test_a_broken_file_says_where(home: Path) -> None:
    (home / "config.toml").write_text("[server]\nport = \n")
    assert "line 2" in error(home).why
    (home / "config.toml").write_bytes(b'[ui]\ntheme = "\xff"\n')
    assert "UTF-8" in error(home).what


def test_the_folders_file_may_not_open_the_machine(home: Path) -> None:
    text = f'[hub]\ntrust_remote_code = ["a/b@{"0" * 40}"]\n'
    (home.parent / "hearth.toml").write_text(text)
    found = error(home)
    assert "current folder" in found.what and found.param == "hub.trust_remote_code"
    (home.parent / "hearth.toml").unlink()
    (home / "config.toml").write_text(text)
    assert load(home).settings.hub.trust_remote_code == (f"a/b@{'0' * 40}",)


DURATIONS = {
    "300": 300.0, "5m": 300.0, "1h30m": 5400.0, "-1": -1.0, "0": 0.0, "1.5s": 1.5, "250ms": 0.25,
    "1d": 86400.0, "-5m": -300.0, " 5M ": 300.0,
}  # fmt: skip


@pytest.mark.parametrize(("text", "seconds"), DURATIONS.items())
def test_durations_are_read_as_people_write_them(text: str, seconds: float) -> None:
    assert settings.parse_duration(text) == seconds


@given(st.text(max_size=12))
def test_a_duration_is_finite_or_refused(text: str) -> None:
    try:
        seconds = settings.parse_duration(text)
    except ValueError as error:
        assert str(error)
    else:
        assert abs(seconds) < float("inf")


SIZES = {
    "0": 0, "4096": 4096, "512MB": 512 * 2**20, "8GB": 8 * 2**30, "1.5 GiB": 3 * 2**29, "2k": 2048, " 3T ": 3 * 2**40,
}  # fmt: skip


@pytest.mark.parametrize(("text", "count"), SIZES.items())
def test_sizes_are_read_as_people_write_them(text: str, count: int) -> None:
    assert settings.parse_size(text) == count


@given(st.text(max_size=12) | st.integers() | st.floats())
def test_a_size_is_an_amount_of_bytes_or_refused(value: str | float) -> None:
    try:
        count = settings.parse_size(value)
    except ValueError as error:
        assert str(error)
    else:
        assert isinstance(count, int) and count >= 0


@given(st.integers(0, 2**50))
def test_a_size_that_is_shown_reads_nearly_as_itself(count: int) -> None:
    assert settings.parse_size(settings.show_size(count)) == pytest.approx(count, rel=0.06, abs=1)


def test_a_size_can_be_set_with_its_unit(home: Path) -> None:
    assert load(home, cli={"runtime.memory_limit": "2GB"}).settings.runtime.memory_limit == 2 * 2**30
    assert "800MB" in error(home, cli={"runtime.memory_limit": "two"}).fix


def test_every_setting_is_described(home: Path) -> None:
    described = settings.describe()
    assert [entry.key for entry in described] == [row.key for row in settings.rows(load(home))]
    assert all(entry.description.endswith(".") and entry.expects != "a value" for entry in described)
    assert len(described) > 60


def test_the_schema_covers_every_setting() -> None:
    schema = json.loads(json.dumps(settings.schema()))
    for entry in settings.describe():
        node = schema["$defs"]["Settings"]
        for part in entry.key.split("."):
            node = node["properties"][part]
            node = schema["$defs"][node["$ref"].rpartition("/")[2]] if "$ref" in node else node
        assert node["description"] == entry.description
    assert schema["$defs"]["Runtime"]["properties"]["keep_alive"]["type"] == ["number", "string"]


keys = st.sampled_from(
    [entry.key for entry in settings.describe()] + ["server", "nope.nope", "runtime.slots.x"]
)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=5,
)


@example({"runtime.keep_alive": []})
@example({"runtime.keep_alive": 10**400})
@given(st.dictionaries(keys, values, max_size=4))
def test_any_value_gives_settings_or_the_one_error(
    tmp_path_factory: pytest.TempPathFactory, flags: dict[str, Any]
) -> None:
    where = tmp_path_factory.getbasetemp()
    try:
        loaded = settings.load(environ={"HEARTH_HOME": str(where / "none")}, cwd=where, cli=flags)
    except InvalidSettings as error:
        assert error.what and error.fix
    else:
        assert isinstance(loaded, settings.Settings)
        resolve(loaded.generation.sampling_overrides)


@given(
    st.dictionaries(
        st.text("HEARTH_SV", max_size=12), st.text(st.characters(exclude_characters="\0"), max_size=8)
    )
)
def test_any_environment_gives_settings_or_the_one_error(
    tmp_path_factory: pytest.TempPathFactory, environ: dict[str, str]
) -> None:
    where = tmp_path_factory.getbasetemp()
    try:
        settings.load(environ={**environ, "HEARTH_HOME": str(where / "none")}, cwd=where)
    except InvalidSettings as error:
        assert error.what and error.fix


def test_loading_settings_imports_nothing_heavy(repository: Path) -> None:
    code = (
        "import sys; before = set(sys.modules); from engine import settings; settings.load()\n"
        "new = {name.partition('.')[0] for name in set(sys.modules) - before}\n"
        "print(*new - set(sys.stdlib_module_names))"
    )
    output = subprocess.check_output([sys.executable, "-c", code], cwd=repository, text=True)
    assert set(output.split()) <= {"engine", "msgspec", "typing_extensions"}


def test_other_keys_of_models_are_names_for_models(home: Path) -> None:
    own = home / "config.toml"
    own.write_text(
        '[models]\ndefault = "ember"\nmistral = "~/m/x.gguf"\nllama3.2 = "./l.gguf"\n"a:b" = "org/name:Q4_K_M"\n'
    )
    loaded = load(home, environ={"HEARTH_MODELS__QWEN": "/abs/q.gguf", "HEARTH_MODELS__MISTRAL": "org/other"})
    assert loaded.settings.models.names == {
        "mistral": "org/other",
        "llama3.2": str(home / "l.gguf"),
        "a:b": "org/name:Q4_K_M",
        "qwen": "/abs/q.gguf",
    }
    assert loaded.settings.models.default == "ember"
    assert loaded.sources["models.mistral"] == "environment HEARTH_MODELS__MISTRAL"
    assert loaded.sources["models.llama3.2"] == str(own)
    rows = {row.key: (row.value, row.source) for row in settings.rows(loaded)}
    assert rows["models.qwen"] == ("/abs/q.gguf", "environment HEARTH_MODELS__QWEN")
    assert settings.schema()["$defs"]["Models"]["additionalProperties"]["type"] == "string"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('defualt = "/abs/x.gguf"', "Did you mean `models.default`"),
        ('adapter_pth = "/x"', "Did you mean `models.adapter_path`"),
        ('mistral = "mistral"', "org/name at the hub"),
        ("mistral = 7", "Unknown setting `models.mistral`"),
        ('"a b" = "/x.gguf"', "'a b' cannot be the name of a model"),
        ('x = "https://example.org/x.gguf"', "org/name at the hub"),
    ],
)
def test_what_is_no_name_for_a_model_is_refused(home: Path, line: str, said: str) -> None:
    (home / "config.toml").write_text(f"[models]\n{line}\n")
    with pytest.raises(InvalidSettings) as caught:
        load(home)
    assert said in str(caught.value)
    assert "line 2" in str(caught.value)
