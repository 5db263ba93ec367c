"""`hearth models`, and a chat with a real model by the name that it lists."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cli.columns import within
from tests.cli.inside import ran as run
from tests.weights import tiny_adapter, tiny_llama
from tests.weights.peft_folders import write_peft

TEMPLATE = "{% for m in messages %}{{ m['role'] }}: {{ m['content'] }}\n{% endfor %}assistant:"


@pytest.fixture
def models(hearth_home: Path) -> Path:
    """The folder of models in the home of Hearth, with one that runs and one that does not."""
    folder = hearth_home / "models"
    folder.mkdir()
    tiny_llama(folder, chat_template=TEMPLATE)
    (folder / "torn.gguf").write_bytes(b"GGUF\x03\0\0\0 and then nothing")
    return folder


def test_models_lists_what_could_run_and_why_one_could_not(hearth_home: Path, models: Path) -> None:
    done = run(hearth_home, "models")
    assert done.returncode == 0
    head, *rows = done.stdout.splitlines()
    assert head.split() == [
        "MODEL", "FAMILY", "PARAMS", "SIZE", "QUANT", "CONTEXT", "READS", "LICENCE", "SOURCE", "USED", "ADAPTERS",
    ]  # fmt: skip
    listed = {row.split()[0]: row for row in rows}
    assert "kB" in listed["tiny-0"] and "llama" in listed["tiny-0"] and "never" in listed["tiny-0"]
    assert "broken" not in listed["tiny-0"]
    assert "broken: " in listed["torn"]


def test_columns_give_way_where_the_terminal_is_narrow() -> None:
    rows = [("NAME", "LONG", "MORE", ""), ("a", "x" * 10, "y" * 10, "a note " * 20)]
    assert within(rows, None, ("MORE", "LONG")).splitlines()[0].split() == ["NAME", "LONG", "MORE"]
    assert within(rows, 30, ("MORE", "LONG")).splitlines()[0].split() == ["NAME", "LONG", "MORE"]
    assert within(rows, 20, ("MORE", "LONG")).splitlines()[0].split() == ["NAME", "LONG"]
    assert within(rows, 8, ("MORE", "LONG")).splitlines()[0].split() == ["NAME"]


def test_a_broken_adapter_is_listed_with_its_model(hearth_home: Path, models: Path) -> None:
    write_peft(models / "adapters" / "fancy", config={"use_dora": True})
    rows = run(hearth_home, "models").stdout.splitlines()
    (row,) = (row for row in rows if row.startswith("tiny-0"))
    assert "broken adapter fancy: " in row and "use_dora" in row


def test_the_adapters_of_a_model_are_listed(hearth_home: Path, models: Path) -> None:
    (models / "adapters").mkdir()
    tiny_adapter(models / "adapters")
    rows = run(hearth_home, "models").stdout.splitlines()
    column = rows[0].index("ADAPTERS")
    listed = {row.split()[0]: row[column:].split()[0] for row in rows[1:]}
    assert listed["tiny-0"] == "tiny-adapter-1" and listed["torn"] == "-"


def test_models_as_json_has_every_field(hearth_home: Path, models: Path) -> None:
    entries = {entry["id"]: entry for entry in json.loads(run(hearth_home, "models", "--json").stdout)}
    assert entries["tiny-0"]["path"] == str(models / "tiny-0.gguf")
    assert entries["tiny-0"]["broken"] is None
    assert entries["torn"]["broken"]


def test_a_name_in_the_list_cannot_steer_the_terminal(hearth_home: Path, models: Path) -> None:
    (models / "evil\x1b]0;owned\x07.gguf").write_bytes(b"GGUF")
    done = run(hearth_home, "models")
    assert "evil" in done.stdout
    assert "\x1b" not in done.stdout


def test_a_real_model_answers_the_same_twice_and_differently_with_an_adapter(
    hearth_home: Path, models: Path, tmp_path: Path
) -> None:
    ask = ("chat", "tiny-0", "hello", "--temperature", "0", "--max-new-tokens", "12", "--ctx", "128")
    first, second = run(hearth_home, *ask), run(hearth_home, *ask)
    assert first.returncode == 0, first.stderr
    assert first.stdout == second.stdout
    assert first.stderr == ""
    adapted = run(hearth_home, *ask, "--adapter", str(tiny_adapter(tmp_path)))
    assert adapted.returncode == 0, adapted.stderr
    assert adapted.stdout != first.stdout


def test_an_unknown_model_is_an_error_with_a_remedy(hearth_home: Path, models: Path) -> None:
    done = run(hearth_home, "chat", "no-such-model", "hi")
    assert (done.returncode, done.stdout) == (1, "")
    assert "'no-such-model'" in done.stderr.splitlines()[0]
    assert "hearth models" in done.stderr
