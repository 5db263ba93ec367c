"""Takes the content encoding off a body: gzip, deflate, zstd; never more of it than may come out."""

from __future__ import annotations

import zlib
from typing import Final

from api.errors import TooLarge, UnknownEncoding
from engine.errors import InvalidRequest

_CHUNK: Final = 64 * 1024
_WINDOW_LOG: Final = 27
"""The largest window that a zstd frame may ask for, as its logarithm: 128 MiB."""


def unpacked(raw: bytes, encoding: str, limit: int) -> bytes:
    """`raw` without its content encoding, at most `limit` bytes. Raises UnknownEncoding, TooLarge, InvalidRequest."""
    match encoding:
        case "" | "identity":
            return raw
        case "gzip" | "deflate" | "x-gzip":
            return _inflated(raw, limit)
        case "zstd":
            return _unzstd(raw, limit)
    raise UnknownEncoding(
        "The request's body is encoded in a way that is not known.",
        "Known are gzip, deflate and zstd.",
        "Send it as it is.",
    )


def _unzstd(raw: bytes, limit: int) -> bytes:
    try:
        # The standard library has it from Python 3.14 on.
        from compression import zstd  # type: ignore[import-not-found, unused-ignore]
    except ImportError:
        try:
            from backports import zstd
        except ImportError:
            raise UnknownEncoding(
                "The request's body is packed with zstd.",
                "No library for it is installed.",
                "Send it as it is, or install backports.zstd.",
            ) from None
    options = {zstd.DecompressionParameter.window_log_max: _WINDOW_LOG}
    parts: list[bytes] = []
    size, rest = 0, raw
    try:
        # Several frames behind one another are one body.
        while rest or not parts:
            reader = zstd.ZstdDecompressor(options=options)
            while not reader.eof:
                if reader.needs_input and not rest:
                    raise _cut_short()
                piece = reader.decompress(rest if reader.needs_input else b"", _CHUNK)
                rest = b""
                size += len(piece)
                if size > limit:
                    raise _too_large(limit)
                parts.append(piece)
            rest = reader.unused_data
    except zstd.ZstdError:
        raise _damaged() from None
    return b"".join(parts)


def _inflated(raw: bytes, limit: int) -> bytes:
    reader = zlib.decompressobj(zlib.MAX_WBITS | 32)
    parts: list[bytes] = []
    size = 0
    try:
        rest = raw
        while rest:
            piece = reader.decompress(rest, _CHUNK)
            size += len(piece)
            if size > limit:
                raise _too_large(limit)
            parts.append(piece)
            rest = reader.unconsumed_tail
            if not rest or reader.eof:
                break
        last = reader.flush(limit - size + 1)
    except zlib.error:
        raise _damaged() from None
    if size + len(last) > limit:
        raise _too_large(limit)
    if not reader.eof:
        raise _cut_short()
    return b"".join([*parts, last])


def _too_large(limit: int) -> TooLarge:
    return TooLarge("The unpacked body is too large.", f"The server reads at most {limit:,} bytes.")


def _damaged() -> InvalidRequest:
    return InvalidRequest("The request's body cannot be unpacked.", "It is damaged.")


def _cut_short() -> InvalidRequest:
    return InvalidRequest("The request's body cannot be unpacked.", "Its end is missing.")
