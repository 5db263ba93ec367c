"""An alias's fields as text and back: `text_of` gives what `with_text` reads as the same value. Knows no widget.

Texts of several lines are written as they are; a list is a text a line, with `\\n`, `\\t` and `\\\\` for what a line
cannot hold.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import msgspec
from msgspec.structs import replace

from engine import resolve_sampling
from engine.errors import HearthError, InvalidRequest
from engine.settings import parse_duration, show_duration
from engine.types import AdapterRef, Alias, Message
from tui.asking import adapters
from tui.screens.aliases import messages
from tui.screens.aliases.fields import NESTED, UNSAID, Field, fields

ESCAPES = {"\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r"}


def raw(alias: Alias, key: str) -> Any:
    """A field's value; None where the alias leaves it open."""
    table, _, name = key.rpartition(".")
    if table == "sampling":
        return alias.sampling.get(name)
    holder = getattr(alias, table) if table else alias
    if holder is None:
        return None
    value = getattr(holder, name)
    default = getattr(NESTED[table](), name) if table else getattr(Alias(model=""), name)
    return None if value == default else value


def said(alias: Alias) -> list[str]:
    """The fields that it says something of, the model apart, in the order of the form."""
    return [key for key in fields() if key != "model" and raw(alias, key) is not None]


def text_of(alias: Alias, key: str) -> str:
    """A field as it would be typed; empty where it is not said."""
    value = raw(alias, key)
    field = fields()[key]
    if value is None:
        return UNSAID
    if field.kind == "adapters":
        return adapters.written(value)
    if field.kind == "messages":
        return messages.written(value)
    if field.kind == "list":
        return "\n".join(_escaped(str(each)) for each in value)
    if key == "keep_alive":
        return show_duration(value) if value >= 0 else "-1"
    if isinstance(value, bool):
        return "on" if value else "off"
    return value if isinstance(value, str) else _written(value)


def with_text(alias: Alias, key: str, text: str) -> Alias:
    """`alias` with a field as it was typed; nothing but blanks leaves it open. Raises InvalidRequest."""
    field = fields()[key]
    if key == "model":
        if not text.strip():
            raise _wrong(field, text, "An alias needs a model.")
        return _put(alias, field, text.strip(), text)
    blank = not text.strip("\n") if field.kind == "list" else not text.strip()
    if blank:
        return put(alias, key, None)
    return _put(alias, field, _read(field, text), text)


def put(alias: Alias, key: str, value: Any) -> Alias:
    """`alias` with the value of a field, which is not checked; None leaves it open."""
    table, _, name = key.rpartition(".")
    if table == "sampling":
        rest = {each: held for each, held in alias.sampling.items() if each != name}
        return replace(alias, sampling=rest if value is None else {**rest, name: value})
    if not table:
        return replace(alias, **{name: getattr(Alias(model=""), name) if value is None else value})
    plain = NESTED[table]()
    holder = getattr(alias, table) or plain
    made = replace(holder, **{name: getattr(plain, name) if value is None else value})
    return replace(alias, **{table: None if made == plain else made})


def _read(field: Field, text: str) -> Any:
    match field.kind:
        case "adapters":
            return adapters.adapters(text)
        case "messages":
            return messages.read(text)
        case "list":
            return tuple(_unescaped(line) for line in text.split("\n") if line)
        case "text":
            return text
    text = text.strip()
    if field.key == "keep_alive":
        try:
            return parse_duration(text)
        except ValueError as error:
            raise _wrong(field, text, str(error)) from None
    if field.kind == "choice" and text in ("on", "off"):
        return text == "on"
    if field.kind == "prompt" or field.expects == "text":
        return text
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _put(alias: Alias, field: Field, value: Any, text: str) -> Alias:
    """`alias` with a value that suits. Raises InvalidRequest."""
    table, _, name = field.key.rpartition(".")
    if table == "sampling":
        try:
            whole = resolve_sampling({name: value})
        except HearthError as error:
            raise _wrong(field, text, error.why or error.what) from None
        return put(alias, field.key, getattr(whole, name))
    needed = {} if table or name == "model" else {"model": "-"}
    try:
        made = msgspec.convert(
            {name: value, **needed}, NESTED[table] if table else Alias, from_attributes=True
        )
    except msgspec.ValidationError as error:
        raise _wrong(field, text, _in_words(field, str(error))) from None
    return put(alias, field.key, getattr(made, name))


def _in_words(field: Field, problem: str) -> str:
    if field.kind == "list":
        return "Each may have 1 to 256 characters."
    return f"It takes {field.expects}." if field.expects else problem.partition(" - at")[0] + "."


def _wrong(field: Field, text: str, why: str) -> InvalidRequest:
    return InvalidRequest(f"`{field.label}` cannot be {text[:60]!r}.", why, param=field.key)


def _written(value: Any) -> str:
    return json.dumps(msgspec.to_builtins(value, str_keys=True), ensure_ascii=False)


def _escaped(text: str) -> str:
    return "".join(ESCAPES.get(letter, letter) for letter in text)


def _unescaped(line: str) -> str:
    found, rest = "", line
    while rest:
        pair = next((known for known in ESCAPES.items() if rest.startswith(known[1])), None)
        found += pair[0] if pair else rest[0]
        rest = rest[2 if pair else 1 :]
    return found


def shown(key: str, value: Any) -> str:
    """A value that holds, on one line for people; `–` for none."""
    if value is None or value == () or value == {} or value == "":
        return "–"
    if key == "keep_alive":
        return show_duration(value)
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, str):
        return " ".join(value.split()) or "–"
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, Iterable) and not isinstance(value, dict):
        parts = list(value)
        if all(isinstance(each, AdapterRef) for each in parts):
            return adapters.shown(tuple(parts))
        if all(isinstance(each, Message) for each in parts):
            return f"{len(parts)}: " + " · ".join(
                f"{each.role}: {' '.join(each.text.split())}" for each in parts
            )
        if all(isinstance(each, str) for each in parts):
            return "  ".join(f"“{_escaped(each)}”" for each in parts)
    return _written(value)
