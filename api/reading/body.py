"""Reads the JSON of a request, whatever its Content-Type says, within bounds.

`curl -d` sends forms, browsers and old clients send nothing of use; so the header is not asked. What is not JSON, not
UTF-8 or nested too deep is refused in words.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from api.reading.unpacking import unpacked
from engine.errors import InvalidRequest

if TYPE_CHECKING:
    from litestar import Request

DEEPEST: Final = 64
"""Lists and tables inside one another."""
MOST_PARTS: Final = 200_000
"""Brackets and braces of a body, those in its texts included: a million of them takes seconds to read, in which the
server could do nothing else."""


async def read_object(request: Request[Any, Any, Any], limit: int) -> dict[str, Any]:
    """The JSON object in the body. Raises InvalidRequest, TooLarge, UnknownEncoding."""
    value = await read_json(request, limit)
    if not isinstance(value, dict):
        raise InvalidRequest("The request's body must be a JSON object.", f"It is {_kind(value)}.")
    return value


async def read_json(request: Request[Any, Any, Any], limit: int) -> Any:
    """The JSON in the body, of whatever kind."""
    raw = await request.body()
    encoding = request.headers.get("content-encoding", "").strip().lower()
    return parse(unpacked(raw, encoding, limit))


def parse(raw: bytes) -> Any:
    """`raw` as JSON. Raises InvalidRequest."""
    if not raw.strip():
        raise InvalidRequest("missing request body")
    if raw.count(b"{") + raw.count(b"[") > MOST_PARTS:
        raise InvalidRequest(
            "The request has too many parts.",
            f"At most {MOST_PARTS:,} opening brackets and braces are read, those in texts included.",
            "Send less at once; many requests go into a file of a batch.",
        )
    try:
        value = msgspec.json.decode(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError, ValueError) as error:
        raise InvalidRequest("The request's body is not JSON.", f"{error}.") from None
    except RecursionError:
        raise _too_deep() from None
    check_depth(value)
    return value


def check_depth(value: Any) -> None:
    """Raises InvalidRequest where lists and tables are nested deeper than `DEEPEST`."""
    level = [value]
    for _ in range(DEEPEST + 1):
        inner: list[Any] = []
        for each in level:
            if isinstance(each, dict):
                inner += [child for child in each.values() if isinstance(child, dict | list)]
            elif isinstance(each, list):
                inner += [child for child in each if isinstance(child, dict | list)]
        if not inner:
            return
        level = inner
    raise _too_deep()


def _too_deep() -> InvalidRequest:
    return InvalidRequest(
        "The request is nested too deep.", f"At most {DEEPEST} lists and tables inside one another are read."
    )


def _kind(value: Any) -> str:
    names = {list: "a list", str: "text", bool: "true or false", type(None): "null"}
    return names.get(type(value), "a number")
