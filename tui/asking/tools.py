"""A file of tools that a model may call: JSON, in the form of OpenAI's functions.

    [{"type": "function", "function": {"name": "weather", "description": "…", "parameters": {…JSON Schema…}}}]

The inner objects alone are taken too, and so is a table with the list under `tools`. Hearth runs no tool: what a
model calls is shown, and a person or a program answers it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from engine.errors import InvalidRequest
from engine.types import Tool, ToolChoice
from tui.asking.files import text_of

LARGEST_FILE = 1024 * 1024
MODES = ("auto", "none", "required")


def tools(name: str, folder: Path) -> tuple[Tool, ...]:
    """The tools of the file `name`. Raises InvalidRequest with the place of what cannot be used."""
    file = text_of(name, folder, largest=LARGEST_FILE)
    try:
        listed = json.loads(file.text)
    except (ValueError, RecursionError) as error:
        raise InvalidRequest(f"{name!r} is not JSON.", f"{error}.", param="tools") from None
    if isinstance(listed, dict) and isinstance(listed.get("tools"), list):
        listed = listed["tools"]
    if not isinstance(listed, list) or not listed:
        raise InvalidRequest(
            f"{name!r} holds no tools.",
            "It must be a list of functions as OpenAI writes them.",
            param="tools",
        )
    found = tuple(_tool(entry, f"tool {place} of {name!r}") for place, entry in enumerate(listed, 1))
    names = [tool.name for tool in found]
    twice = next((each for each in names if names.count(each) > 1), None)
    if twice is not None:
        raise InvalidRequest(
            f"{name!r} has two tools of the name {twice!r}.", fix="Rename one.", param="tools"
        )
    return found


def _tool(entry: Any, place: str) -> Tool:
    function = entry.get("function", entry) if isinstance(entry, dict) else None
    if not isinstance(function, dict):
        raise _wrong(place, "It must be an object.")
    name, description = function.get("name"), function.get("description") or ""
    parameters = function.get("parameters", function.get("input_schema"))
    if not isinstance(name, str) or not name.strip():
        raise _wrong(place, "`name` must be a text that is not empty.")
    if not isinstance(description, str):
        raise _wrong(place, "`description` must be a text.")
    if parameters is not None and not isinstance(parameters, dict):
        raise _wrong(place, "`parameters` must be a JSON Schema, which is an object.")
    return Tool(
        name=name, description=description, parameters=parameters, strict=function.get("strict") is True
    )


def _wrong(place: str, why: str) -> InvalidRequest:
    return InvalidRequest(f"{place[0].upper()}{place[1:]} cannot be used.", why, param="tools")


def tool_choice(text: str) -> ToolChoice:
    """`auto`, `none`, `required`, or the names of the tools to be called with commas between. Raises ValueError."""
    word = text.strip()
    if word in MODES:
        return ToolChoice(mode=word)  # type: ignore[arg-type]
    names = tuple(name.strip() for name in word.split(","))
    if not all(names):
        raise ValueError("It must be auto, none, required, or the name of a tool.")
    return ToolChoice(mode="named", names=names)


def choice_text(choice: ToolChoice) -> str:
    """The text that `tool_choice` reads as this."""
    return ",".join(choice.names) if choice.mode == "named" else choice.mode
