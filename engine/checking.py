"""Checks Structs that were made in Python: msgspec looks at types and bounds only when it decodes.

A worker decodes everything that it is sent and takes a value out of bounds for a broken connection, so what
callers bring is checked on this side, before it travels.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import msgspec

from engine.errors import InvalidRequest

DEEPEST: Final = 100
"""Lists and tables inside one another. What reads and writes them descends on the stack."""


def check(value: msgspec.Struct) -> None:
    """Raises InvalidRequest naming the field of `value` that is of the wrong type, out of bounds or nested too deep."""
    for field in value.__struct_fields__:
        _check_depth(field, getattr(value, field))
    try:
        msgspec.msgpack.decode(msgspec.msgpack.encode(value), type=type(value))
    except msgspec.ValidationError as error:
        # msgspec says where in its message only: "Expected `int` >= 1 - at `$.load.slots`".
        problem, _, place = str(error).partition(" - at `$.")
        field = place.rstrip("`").partition("[")[0]
        raise InvalidRequest(
            f"`{field}` has a value that cannot be used: {repr(_at(value, field))[:80]}.",
            f"{problem}.",
            "Give another value, or leave it out.",
            param=field,
        ) from None
    except (msgspec.MsgspecError, TypeError, ValueError, OverflowError) as error:
        raise InvalidRequest(
            "The request holds a value that cannot be sent.",
            f"{error}.",
            "Use text, numbers, lists and tables only.",
        ) from None


def _check_depth(field: str, value: Any) -> None:
    level: Iterable[Any] = (value,)
    for _ in range(DEEPEST):
        # By identity, so that what holds itself does not multiply.
        inner = {id(child): child for each in level for child in _inside(each)}
        if not inner:
            return
        level = inner.values()
    raise InvalidRequest(
        f"`{field}` is nested too deep.",
        f"It holds more than {DEEPEST} lists and tables inside one another.",
        "Make it flatter.",
        param=field,
    )


def _inside(value: Any) -> list[Any]:
    """The parts of `value` that may hold others."""
    parts: Iterable[Any] = ()
    if isinstance(value, dict):
        parts = value.values()
    elif isinstance(value, (list, tuple)):
        parts = value
    elif isinstance(value, msgspec.Struct):
        parts = (getattr(value, name) for name in value.__struct_fields__)
    return [part for part in parts if isinstance(part, (dict, list, tuple, msgspec.Struct))]


def _at(value: Any, field: str) -> Any:
    for name in field.split("."):
        value = getattr(value, name, None)
    return value
