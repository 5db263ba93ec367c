"""Reads the JSON of a request, whatever its Content-Type says, within bounds.

`curl -d` sends forms, browsers and old clients send nothing of use; so the header is not asked. What is not JSON, not
UTF-8 or nested too deep is refused in words.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Any, Final

import msgspec

from api.errors import TooLarge, UnknownEncoding
from engine.errors import InvalidRequest

if TYPE_CHECKING:
    from litestar import Request

DEEPEST: Final = 64
"""Lists and tables inside one another."""
_CHUNK: Final = 64 * 1024


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


def unpacked(raw: bytes, encoding: str, limit: int) -> bytes:
    """`raw` without its content encoding, at most `limit` bytes. Raises UnknownEncoding, TooLarge, InvalidRequest."""
    if encoding in ("", "identity"):
        return raw
    if encoding in ("gzip", "deflate", "x-gzip"):
        return _inflated(raw, zlib.decompressobj(zlib.MAX_WBITS | 32), limit)
    if encoding == "zstd":
        return _unzstd(raw, limit)
    raise UnknownEncoding(
        "The request's body is encoded in a way that is not known.",
        "Known are gzip, deflate and zstd.",
        "Send it as it is.",
    )


def _inflated(raw: bytes, reader: Any, limit: int) -> bytes:
    parts: list[bytes] = []
    size = 0
    try:
        rest = raw
        while rest:
            piece = reader.decompress(rest, _CHUNK)
            size += len(piece)
            if size > limit:
                raise TooLarge(
                    "The unpacked body is too large.", f"The server reads at most {limit:,} bytes."
                )
            parts.append(piece)
            rest = reader.unconsumed_tail
            if not rest or reader.eof:
                break
        last = reader.flush(limit - size + 1)
    except zlib.error:
        raise InvalidRequest("The request's body cannot be unpacked.", "It is damaged.") from None
    if size + len(last) > limit:
        raise TooLarge("The unpacked body is too large.", f"The server reads at most {limit:,} bytes.")
    if not reader.eof:
        raise InvalidRequest("The request's body cannot be unpacked.", "Its end is missing.")
    return b"".join([*parts, last])


def _unzstd(raw: bytes, limit: int) -> bytes:
    try:
        import zstandard  # type: ignore[import-not-found]
    except ImportError:
        raise UnknownEncoding(
            "The request's body is packed with zstd.", "No library for it is installed.", "Send it as it is."
        ) from None
    try:
        with zstandard.ZstdDecompressor(max_window_size=2**27).stream_reader(raw) as reader:
            found: bytes = reader.read(limit + 1)
    except zstandard.ZstdError:
        raise InvalidRequest("The request's body cannot be unpacked.", "It is damaged.") from None
    if len(found) > limit:
        raise TooLarge("The unpacked body is too large.", f"The server reads at most {limit:,} bytes.")
    return found


def _too_deep() -> InvalidRequest:
    return InvalidRequest(
        "The request is nested too deep.", f"At most {DEEPEST} lists and tables inside one another are read."
    )


def _kind(value: Any) -> str:
    names = {list: "a list", str: "text", bool: "true or false", type(None): "null"}
    return names.get(type(value), "a number")
