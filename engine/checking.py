"""Checks Structs that were made in Python: msgspec looks at types and bounds only when it decodes.

A worker decodes everything that it is sent and takes a value out of bounds for a broken connection, so what
callers bring is checked on this side, before it travels.
"""

from __future__ import annotations

from typing import Any

import msgspec

from engine.errors import InvalidRequest


def check(value: msgspec.Struct) -> None:
    """Raises InvalidRequest naming the field of `value` that is of the wrong type or out of bounds."""
    try:
        msgspec.msgpack.decode(msgspec.msgpack.encode(value), type=type(value))
    except msgspec.ValidationError as error:
        # msgspec says where in its message only: "Expected `int` >= 1 - at `$.load.slots`".
        problem, _, place = str(error).partition(" - at `$.")
        field = place.rstrip("`").partition("[")[0]
        raise InvalidRequest(
            f"`{field}` has a value that cannot be used: {_at(value, field)!r}.",
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


def _at(value: Any, field: str) -> Any:
    for name in field.split("."):
        value = getattr(value, name, None)
    return value
