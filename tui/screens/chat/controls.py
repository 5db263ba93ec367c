"""What a conversation's answers are made with, as text fields: read, checked and written back. Knows no widget.

The inspector and `/set` share this table. A blank value means "not said", so that the model's own and the house
defaults hold. Names are those of the flags of `hearth chat`; others that people know are taken too. A schema, a
grammar and tools are read from files, so a screen calls `with_value` for those of `FROM_FILES` in a thread.
"""

from __future__ import annotations

import difflib
import json
import shlex
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import msgspec

from engine import resolve_sampling
from engine.errors import InvalidRequest
from engine.settings import SAMPLING_HELP, parse_duration
from engine.types import (
    BackendName,
    Constraint,
    Effort,
    GenerationRequest,
    LoadOptions,
    Overflow,
    Sampling,
    ToolChoice,
)
from tui.asking import adapters, constraints, tools
from tui.screens.chat.conversation import Controls


@dataclass(frozen=True, slots=True)
class Field:
    """A field: its `name` as `/set` knows it, what it reads as, what it does, what holds when it is blank."""

    name: str
    label: str
    help: str
    default: str


def _sampling(name: str, label: str) -> Field:
    return Field(name, label, SAMPLING_HELP[name], _written(getattr(Sampling(), name)))


def _written(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


INSPECTED: tuple[Field, ...] = (
    _sampling("temperature", "temperature"),
    _sampling("top_p", "top p"),
    _sampling("top_k", "top k"),
    _sampling("min_p", "min p"),
    _sampling("repetition_penalty", "repetition"),
    _sampling("presence_penalty", "presence"),
    _sampling("frequency_penalty", "frequency"),
    Field("seed", "seed", SAMPLING_HELP["seed"], "random"),
    Field("max_new_tokens", "max tokens", "Most tokens of an answer; blank fills the window.", "fill"),
    Field("ctx", "context", "Window in tokens; another one loads the model anew.", "model's"),
)
"""The number fields of the inspector, in order. `/set` knows every sampling field besides."""
BUDGET = Field("think_budget", "budget", "Most tokens of thinking; blank is no limit.", "no limit")

EFFORTS: tuple[str, ...] = get_args(Effort)
SWITCH = {"on": True, "true": True, "yes": True, "off": False, "false": False, "no": False}
FIELDS: dict[str, str] = {
    "system": "system",
    "adapter": "adapters",
    "think": "thinking",
    "effort": "effort",
    "think_budget": "budget",
    "tools": "tools_file",
    "tool_choice": "tool_choice",
    "max_new_tokens": "max_tokens",
    "stop": "stop",
    "overflow": "overflow",
    "cache": "cache",
    "keep_alive": "keep_alive",
    "image_max_side": "image_max_side",
    "backend": "backend",
}
"""Names beside sampling, constraints and loading, and the field of `Controls` behind each."""
LOADING: dict[str, str] = {
    "ctx": "context",
    "slots": "slots",
    "device": "device",
    "split": "split",
    "gpu_layers": "gpu_layers",
    "kv_type": "kv_type",
    "load_in_8bit": "load_in_8bit",
    "load_in_4bit": "load_in_4bit",
    "draft_model": "draft_model",
    "draft_tokens": "draft_tokens",
}
"""What is decided when a model is loaded, and the field of `LoadOptions` behind each name."""
SYNONYMS = {
    "max_tokens": "max_new_tokens",
    "context": "ctx",
    "thinking": "think",
    "adapters": "adapter",
    "json_mode": "json",
    "budget": "think_budget",
}
NAMES: tuple[str, ...] = (*FIELDS, *LOADING, *constraints.KINDS, *Sampling.__struct_fields__)
"""Everything that `/set` can set."""
FROM_FILES = frozenset({"schema", "grammar", "tools"})
GRADED = frozenset({"think", "effort"})
"""What is left to the model by `auto` too."""
_LEAST = {"max_new_tokens": 1, "think_budget": 0, "image_max_side": 64}
_WORDS: dict[str, tuple[str, ...]] = {
    "effort": EFFORTS,
    "overflow": get_args(Overflow),
    "backend": get_args(BackendName),
}
"""What is one of a few words."""


def canonical(name: str) -> str:
    """The name in this table of what people may also call otherwise."""
    name = name.strip().lower().replace("-", "_").replace(" ", "_")
    return SYNONYMS.get(name, name)


def text_of(controls: Controls, name: str) -> str:
    """A field's value as text; empty where it is not said."""
    name = canonical(name)
    if name in Sampling.__struct_fields__:
        value = controls.sampling.get(name)
        return "" if value is None else _written(value)
    if name in constraints.KINDS:
        if name == "json" and controls.constraint == Constraint(kind="text"):
            return "off"
        if controls.constraint is None or controls.constraint.kind != name:
            return ""
        return controls.constraint_text if name != "json" else "on"
    if name in LOADING:
        value = getattr(controls.load, LOADING[name])
        if isinstance(value, bool):
            return "on" if value else ""
        return "" if value is None else _written(value)
    value = getattr(controls, FIELDS[name])
    if value == getattr(Controls(), FIELDS[name]):
        return ""
    match name:
        case "adapter":
            return adapters.written(value)
        case "tool_choice":
            return tools.choice_text(value)
        case "stop":
            return shlex.join(value)
        case "think" | "cache":
            return "on" if value else "off"
        case "keep_alive":
            return f"{value:g}"
    return _written(value)


def with_value(
    controls: Controls,
    name: str,
    text: str,
    *,
    known_adapters: Collection[str] = (),
    folder: Path | None = None,
) -> Controls:
    """`controls` with a field changed; blank or `default` takes it back. Raises InvalidRequest, naming the field.

    `known_adapters` are the model's; files are looked for from `folder`, the current one if None.
    """
    name, text = canonical(name), text.strip()
    if name not in NAMES:
        near = difflib.get_close_matches(name, NAMES, n=1)
        raise InvalidRequest(
            f"There is nothing called `{name}` to set.",
            fix=f"Did you mean {near[0]}?" if near else "What can be set is offered behind `/set `.",
            param=name,
        )
    blank = text == "" or (text == "default" and name != "system") or (text == "auto" and name in GRADED)
    if name in Sampling.__struct_fields__:
        sampling = {key: value for key, value in controls.sampling.items() if key != name}
        if not blank:
            sampling[name] = getattr(resolve_sampling({name: _value(text)}), name)
        return msgspec.structs.replace(controls, sampling=sampling)
    if name in constraints.KINDS:
        return _constrained(controls, name, "" if blank else text, folder or Path.cwd())
    if name == "tools":
        taken_back = blank or text.lower() in ("off", "none")
        return msgspec.structs.replace(
            controls,
            tools=() if taken_back else tools.tools(text, folder or Path.cwd()),
            tools_file="" if taken_back else text,
        )
    if name in LOADING:
        load = _loading(name, "" if blank else text)
        return msgspec.structs.replace(
            controls, load=msgspec.structs.replace(controls.load, **{LOADING[name]: load})
        )
    default = getattr(Controls(), FIELDS[name])
    changed = default if blank else _READERS[name](name, text, known_adapters)
    return msgspec.structs.replace(controls, **{FIELDS[name]: changed})


def taken_over(controls: Controls, made: Controls, name: str) -> Controls:
    """`controls` with that field of `made`: what was read in a thread meets what was changed meanwhile."""
    name = canonical(name)
    fields = ("constraint", "constraint_text") if name in constraints.KINDS else ("tools", "tools_file")
    return msgspec.structs.replace(controls, **{field: getattr(made, field) for field in fields})


def _constrained(controls: Controls, kind: str, text: str, folder: Path) -> Controls:
    """One constraint holds at a time: another kind takes the place of what was said before."""
    held = "" if controls.constraint is None else controls.constraint.kind
    if kind == "json" and text and not _switch("json", text):
        # An alias may ask for JSON, which silence would leave standing.
        if held not in ("", "json"):
            return controls
        return msgspec.structs.replace(controls, constraint=Constraint(kind="text"), constraint_text="")
    if not text:
        own = held == kind or (kind == "json" and held == "text")
        return msgspec.structs.replace(controls, constraint=None, constraint_text="") if own else controls
    made = constraints.constraint(kind, text, folder)  # type: ignore[arg-type]
    return msgspec.structs.replace(controls, constraint=made, constraint_text="" if kind == "json" else text)


def _loading(name: str, text: str) -> Any:
    """Raises InvalidRequest for a value out of the bounds that `LoadOptions` gives."""
    field = LOADING[name]
    default = getattr(LoadOptions(), field)
    if not text:
        return default
    value = _switch(name, text) if isinstance(default, bool) else _value(text)
    try:
        return getattr(msgspec.convert({field: value}, LoadOptions), field)
    except msgspec.ValidationError as error:
        raise _wrong(name, _written(value), str(error).partition(" - at")[0] + ".") from None


def _value(text: str) -> Any:
    """A number, list or object as JSON writes it, else the text itself."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def _count(name: str, text: str, known: Collection[str] = ()) -> int:
    least = _LEAST[name]
    number = int(text) if text.isdecimal() and len(text) < 10 else -1
    if number < least:
        raise _wrong(name, text, f"Expected a whole number >= {least}.")
    return number


def _switch(name: str, text: str, known: Collection[str] = ()) -> bool:
    if text.lower() not in SWITCH:
        raise _wrong(name, text, "Say on or off.")
    return SWITCH[text.lower()]


def _word(name: str, text: str, known: Collection[str] = ()) -> str:
    words = _WORDS[name]
    if text.lower() not in words:
        raise _wrong(name, text, f"Say one of {', '.join(words)}.")
    return text.lower()


def _stop(name: str, text: str, known: Collection[str] = ()) -> tuple[str, ...]:
    """Texts with blanks between them; what holds a blank stands in quotes."""
    try:
        return msgspec.convert({"model": "", "stop": shlex.split(text)}, GenerationRequest).stop
    except (ValueError, msgspec.ValidationError) as error:
        raise _wrong(name, text, str(error).partition(" - at")[0] + ".") from None


def _duration(name: str, text: str, known: Collection[str] = ()) -> float:
    try:
        return parse_duration(text)
    except ValueError as error:
        raise _wrong(name, text, str(error)) from None


def _tool_choice(name: str, text: str, known: Collection[str] = ()) -> ToolChoice:
    try:
        return tools.tool_choice(text)
    except ValueError as error:
        raise _wrong(name, text, str(error)) from None


def _wrong(name: str, text: str, why: str) -> InvalidRequest:
    return InvalidRequest(f"`{name}` has a value that cannot be used: {text!r}.", why, param=name)


_READERS: dict[str, Callable[[str, str, Collection[str]], Any]] = {
    "system": lambda name, text, known: text,
    "adapter": lambda name, text, known: adapters.adapters(text, known),
    "think": _switch,
    "effort": _word,
    "think_budget": _count,
    "tool_choice": _tool_choice,
    "max_new_tokens": _count,
    "image_max_side": _count,
    "stop": _stop,
    "overflow": _word,
    "cache": _switch,
    "keep_alive": _duration,
    "backend": _word,
}
