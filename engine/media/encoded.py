"""Images as dialects write them, turned into `ImagePart`: data URIs, base64, addresses, and JSON parts.

Pure text work for the codecs of the API, the jobs and the evals. Nothing here makes a part with a `path`: files are
for callers in this process alone. A media type that a sender names is not believed; `engine.media.header` looks.
"""

from __future__ import annotations

import binascii
from collections.abc import Mapping
from typing import Any, Final, Literal, cast

from engine.errors import InvalidRequest, Unsupported
from engine.media.header import MOST_BYTES, read_header, too_long
from engine.types import ImagePart

_URL_SAFE: Final = str.maketrans("-_", "+/")
_DETAILS: Final = ("auto", "low", "high")


def image_from_text(text: Any, param: str, *, most_bytes: int = MOST_BYTES) -> ImagePart:
    """A data URI, an http(s) address, or base64 of an image file (Ollama's `images`, mostly).

    `param` is the place in the request, for errors. Whether addresses may be fetched is decided by who fetches.
    Raises InvalidRequest for anything else, and for bytes that are no accepted image.
    """
    if not isinstance(text, str):
        raise _wrong(param, f"It is {_kind(text)}.", "Send a string: a data URI or base64.")
    text = text.strip()
    scheme = text[:8].lower()
    if scheme.startswith("data:"):
        return _from_data_uri(text, param, most_bytes)
    if scheme.startswith(("http://", "https://")):
        return ImagePart(url=text)
    if "://" in text[:32] or scheme.startswith("file:"):
        named = text[: text.find(":")][:32]
        raise _wrong(
            param,
            f"An address that begins with {named}: is never followed.",
            "Send the image itself, as a data URI or base64.",
        )
    return _from_base64(text, param, most_bytes)


def image_from_json(value: Any, param: str, *, most_bytes: int = MOST_BYTES) -> ImagePart:
    """An image part of a message, by its `type`.

        Hearth     {"type": "image", "image": {"b64": …} | {"url": …}}
        OpenAI     {"type": "image_url", "image_url": {"url": …, "detail": …} | …}
                   {"type": "input_image", "image_url": …, "detail": …}
        Anthropic  {"type": "image", "source": {"type": "base64", "data": …} | {"type": "url", "url": …}}

    Raises InvalidRequest naming the field.
    """
    if not isinstance(value, Mapping):
        raise _wrong(param, f"It is {_kind(value)}.", 'Send an object such as {"type": "image", …}.')
    match value.get("type"):
        case "image" if "source" in value:
            return _from_anthropic(value["source"], f"{param}.source", most_bytes)
        case "image":
            return _from_hearth(value.get("image"), f"{param}.image", most_bytes)
        case "image_url" | "input_image":
            return _from_openai(value, param, most_bytes)
    raise _wrong(
        f"{param}.type",
        f"{repr(value.get('type'))[:60]} is no type of an image part.",
        "Use image, image_url or input_image.",
    )


def _from_hearth(image: Any, param: str, most_bytes: int) -> ImagePart:
    if isinstance(image, str):
        return image_from_text(image, param, most_bytes=most_bytes)
    if isinstance(image, Mapping):
        said = [name for name in ("b64", "url") if image.get(name) is not None]
        if len(said) == 1:
            return image_from_text(image[said[0]], f"{param}.{said[0]}", most_bytes=most_bytes)
    raise _wrong(param, "It has not exactly one of `b64` and `url`.", 'Send {"b64": "…"}.')


def _from_openai(value: Mapping[str, Any], param: str, most_bytes: int) -> ImagePart:
    image: Any = value.get("image_url")
    if image is None and value.get("file_id") is not None:
        raise Unsupported(
            "Images by `file_id` cannot be used.",
            "No files are kept here.",
            "Send the image as a data URI in `image_url`.",
            param=f"{param}.file_id",
        )
    place, detail = f"{param}.image_url", value.get("detail")
    if isinstance(image, Mapping):
        place, detail, image = f"{place}.url", image.get("detail", detail), image.get("url")
    part = image_from_text(image, place, most_bytes=most_bytes)
    if detail is None:
        return part
    if detail not in _DETAILS:
        raise InvalidRequest(
            f"`detail` cannot be {repr(detail)[:60]}.",
            "It says how closely to look.",
            f"Use {', '.join(_DETAILS[:-1])} or {_DETAILS[-1]}.",
            param=f"{place.removesuffix('.url')}.detail" if place.endswith(".url") else f"{param}.detail",
        )
    return ImagePart(
        data=part.data,
        url=part.url,
        media_type=part.media_type,
        detail=cast("Literal['auto', 'low', 'high']", detail),
    )


def _from_anthropic(source: Any, param: str, most_bytes: int) -> ImagePart:
    kind = source.get("type") if isinstance(source, Mapping) else None
    if kind == "base64":
        data = source.get("data")
        if not isinstance(data, str):
            raise _wrong(f"{param}.data", f"It is {_kind(data)}.", "Send base64 of an image file.")
        return _from_base64(data, f"{param}.data", most_bytes)
    if kind == "url":
        return image_from_text(source.get("url"), f"{param}.url", most_bytes=most_bytes)
    if kind == "file":
        raise Unsupported(
            "Images by `file_id` cannot be used.",
            "No files are kept here.",
            "Send the image as base64.",
            param=f"{param}.file_id",
        )
    raise _wrong(f"{param}.type", "A source is of type base64 or url.", "Send base64 of an image file.")


def _from_data_uri(text: str, param: str, most_bytes: int) -> ImagePart:
    """RFC 2397; only base64 is taken, as nobody writes images percent-encoded."""
    head, comma, body = text.partition(",")
    if not comma or not head.lower().endswith(";base64"):
        raise _wrong(param, "Its data URI is not in base64.", "Write it as data:image/png;base64,…")
    return _from_base64(body, param, most_bytes)


def _from_base64(text: str, param: str, most_bytes: int) -> ImagePart:
    """RFC 4648, either alphabet but not both; white space and missing padding do no harm."""
    bare = "".join(text.split())
    if not bare:
        raise _wrong(param, "It is empty.", "Send base64 of an image file.")
    if len(bare) > (most_bytes + 2) // 3 * 4:
        raise too_long(param, most_bytes)
    body = bare.rstrip("=")
    padded = len(bare) - len(body)
    try:
        if ("-" in body or "_" in body) and ("+" in body or "/" in body):
            raise ValueError("two alphabets")
        if padded and (len(bare) % 4 or padded > 2):
            raise ValueError("padding of another length")
        whole = body.translate(_URL_SAFE) + "=" * (-len(body) % 4)
        data = binascii.a2b_base64(whole.encode("ascii"), strict_mode=True)
    except ValueError:
        raise _wrong(
            param,
            f"{text[:40]!r}{'…' if len(text) > 40 else ''} is not base64.",
            "Send base64 of an image file.",
        ) from None
    return ImagePart(data=data, media_type=read_header(data, param, most_bytes=most_bytes).media_type)


def _wrong(param: str, why: str, fix: str) -> InvalidRequest:
    return InvalidRequest(f"The image in `{param}` cannot be used.", why, fix, param=param)


def _kind(value: Any) -> str:
    """What JSON calls the value's type."""
    if value is None:
        return "missing"
    names = {
        bool: "a boolean",
        int: "a number",
        float: "a number",
        str: "a string",
        list: "a list",
        dict: "an object",
    }
    return names.get(type(value), "no string")
