"""Schemas, grammars, choices and tools as people name them; what cannot be used is refused with its place."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from engine.errors import InvalidRequest
from engine.types import Constraint, Tool, ToolChoice
from tui.asking import constraints, tools

WEATHER = {"name": "weather", "description": "Of a city.", "parameters": {"type": "object"}}


def test_a_schema_comes_from_a_file_or_is_written_out(tmp_path: Path) -> None:
    (tmp_path / "s.json").write_text('\ufeff{"type": "object"}', encoding="utf-8")
    wanted = Constraint(kind="schema", value={"type": "object"})
    assert constraints.constraint("schema", "s.json", tmp_path) == wanted
    assert constraints.constraint("schema", ' {"type": "object"} ', tmp_path) == wanted


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("schema", ""),
        ("schema", "missing.json"),
        ("schema", "list.json"),
        ("schema", "broken.json"),
        ("schema", "{broken"),
        ("schema", "huge.json"),
        ("schema", "."),
        ("schema", "a\0b"),
        ("grammar", "binary"),
        ("regex", "  "),
        ("choice", "yes | | no"),
        ("choice", "yes | yes"),
    ],
)
def test_a_form_that_cannot_be_read_is_refused(tmp_path: Path, kind: constraints.Kind, text: str) -> None:
    (tmp_path / "list.json").write_text("[1]")
    (tmp_path / "broken.json").write_text("[" * 100_000)
    (tmp_path / "huge.json").write_bytes(b" " * (constraints.LARGEST_FILE + 1))
    (tmp_path / "binary").write_bytes(b"\x00\xff")
    with pytest.raises(InvalidRequest) as caught:
        constraints.constraint(kind, text, tmp_path)
    assert caught.value.what


@pytest.mark.parametrize(
    "listed",
    [
        [{"type": "function", "function": WEATHER}],
        [WEATHER],
        {"tools": [WEATHER]},
        [{"name": "weather", "description": "Of a city.", "input_schema": {"type": "object"}}],
    ],
)
def test_tools_are_read_in_the_forms_that_people_have(tmp_path: Path, listed: object) -> None:
    (tmp_path / "t.json").write_text(json.dumps(listed))
    assert tools.tools("t.json", tmp_path) == (
        Tool(name="weather", description="Of a city.", parameters={"type": "object"}),
    )


@pytest.mark.parametrize(
    ("listed", "says"),
    [
        ([], "no tools"),
        ({"tools": "x"}, "no tools"),
        ([3], "Tool 1 of"),
        ([WEATHER, {"name": ""}], "Tool 2 of"),
        ([WEATHER, WEATHER], "two tools of the name 'weather'"),
        ([{**WEATHER, "parameters": [1]}], "parameters"),
        ([{**WEATHER, "description": 3}], "description"),
    ],
)
def test_a_file_without_usable_tools_says_where(tmp_path: Path, listed: object, says: str) -> None:
    (tmp_path / "t.json").write_text(json.dumps(listed))
    with pytest.raises(InvalidRequest) as caught:
        tools.tools("t.json", tmp_path)
    assert says in str(caught.value)


@pytest.mark.parametrize("text", ["auto", "none", "required", "weather", "weather,clock"])
def test_a_choice_of_tools_can_be_written_and_read(text: str) -> None:
    assert tools.choice_text(tools.tool_choice(text)) == text
    assert tools.tool_choice("weather, clock") == ToolChoice(mode="named", names=("weather", "clock"))
    with pytest.raises(ValueError, match="auto, none, required"):
        tools.tool_choice("weather,")
