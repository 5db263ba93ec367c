"""What a conversation's answers are made with, as text fields: read, checked and written back. Knows no widget.

The inspector and `/set` share this table. A blank value means "not said", so that the model's own and the house
defaults hold.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import msgspec

from engine import resolve_sampling
from engine.errors import InvalidRequest
from engine.settings import SAMPLING_HELP
from engine.types import Sampling
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
    Field("max_tokens", "max tokens", "Most tokens of an answer; blank fills the window.", "fill"),
    Field("context", "context", "Window in tokens; another one loads the model anew.", "model's"),
)
"""The fields of the inspector, in order. `/set` knows every sampling field besides."""

OTHERS = ("system", "thinking", "max_tokens", "context")
NAMES: tuple[str, ...] = (*OTHERS, *Sampling.__struct_fields__)
"""Everything that `/set` can set."""
_LEAST = {"max_tokens": 1, "context": 8}
_SWITCH = {"on": True, "true": True, "yes": True, "off": False, "false": False, "no": False}


def text_of(controls: Controls, name: str) -> str:
    """A field's value as text; empty where it is not said."""
    value = controls.sampling.get(name) if name in Sampling.__struct_fields__ else getattr(controls, name)
    if value is None:
        return ""
    if name == "thinking":
        return "on" if value else "off"
    return _written(value)


def with_value(controls: Controls, name: str, text: str) -> Controls:
    """`controls` with a field changed; blank or `default` takes it back. Raises InvalidRequest, naming the field."""
    name = name.strip().lower().replace("-", "_").replace(" ", "_")
    text = text.strip()
    if name not in NAMES:
        raise InvalidRequest(
            f"There is nothing called `{name}` to set.", fix=f"Known: {', '.join(NAMES)}.", param=name
        )
    blank = text == "" or (text == "default" and name != "system")
    if name in Sampling.__struct_fields__:
        sampling = {key: value for key, value in controls.sampling.items() if key != name}
        if not blank:
            sampling[name] = getattr(resolve_sampling({name: _value(text)}), name)
        return msgspec.structs.replace(controls, sampling=sampling)
    value: Any = None if blank else text
    if name == "thinking" and value is not None:
        value = _switch(text)
    elif name in _LEAST and value is not None:
        value = _count(name, text)
    return msgspec.structs.replace(controls, **{name: value})


def _value(text: str) -> Any:
    """A number, list or object as JSON writes it, else the text itself."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def _count(name: str, text: str) -> int:
    least = _LEAST[name]
    number = int(text) if text.isdecimal() and len(text) < 10 else -1
    if number < least:
        raise InvalidRequest(
            f"`{name}` has a value that cannot be used: {text!r}.",
            f"Expected a whole number >= {least}.",
            param=name,
        )
    return number


def _switch(text: str) -> bool:
    if text.lower() not in _SWITCH:
        raise InvalidRequest(
            f"`thinking` has a value that cannot be used: {text!r}.", "Say on or off.", param="thinking"
        )
    return _SWITCH[text.lower()]
