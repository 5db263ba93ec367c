"""Images as dialects write them: round trips, both alphabets, and errors that name the place."""

from __future__ import annotations

import base64
import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import HearthError, InvalidRequest, Unsupported
from engine.media import image_from_json, image_from_text
from engine.types import ImagePart
from tests.engine.media.pictures import FORMATS, bombs, encoded, quarters

PNG = encoded(quarters())
B64 = base64.b64encode(PNG).decode()
FILES = {kind: encoded(quarters(), kind) for kind in FORMATS}

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


@given(
    st.sampled_from(sorted(FORMATS)),
    st.binary(max_size=40),
    st.booleans(),
    st.booleans(),
    st.sampled_from(["", " ", "\n", "\r\n", "\t"]),
    st.integers(1, 90),
)
def test_base64_comes_back_as_the_very_bytes(
    kind: str, tail: bytes, url_safe: bool, padded: bool, space: str, every: int
) -> None:
    data = FILES[kind] + tail
    text = (base64.urlsafe_b64encode if url_safe else base64.b64encode)(data).decode()
    if not padded:
        text = text.rstrip("=")
    folded = space.join(text[at : at + every] for at in range(0, len(text), every))
    part = image_from_text(folded, "images[0]")
    assert part == ImagePart(data=data, media_type=FORMATS[kind])
    # The sender's word for its kind is not believed.
    assert image_from_text(f"data:image/svg+xml;base64,{folded}", "images[0]") == part


@pytest.mark.parametrize(
    "value",
    [
        {"type": "image", "image": {"b64": B64}},
        {"type": "image", "image": B64},
        {"type": "image", "image": {"url": f"data:image/png;base64,{B64}"}},
        {"type": "image", "source": {"type": "base64", "media_type": "image/jpeg", "data": B64}},
        {"type": "image", "source": {"type": "url", "url": f"DATA:;base64,{B64}"}},
        {"type": "image_url", "image_url": {"url": f"data:image/png;charset=x;base64,{B64}"}},
        {"type": "image_url", "image_url": f"data:image/png;base64,{B64}"},
        {"type": "input_image", "image_url": f"data:image/png;base64,{B64}"},
    ],
)
def test_every_dialect_says_the_same(value: dict[str, Any]) -> None:
    assert image_from_json(value, "messages[0].content[0]") == ImagePart(data=PNG, media_type="image/png")


@pytest.mark.parametrize(
    "value",
    [
        {"type": "image", "image": {"url": "HTTPS://a.example/b.png"}},
        {"type": "image", "source": {"type": "url", "url": "HTTPS://a.example/b.png"}},
        {"type": "image_url", "image_url": {"url": " HTTPS://a.example/b.png\n"}},
        {"type": "input_image", "image_url": "HTTPS://a.example/b.png"},
    ],
)
def test_an_address_is_left_to_who_may_fetch_it(value: dict[str, Any]) -> None:
    assert image_from_json(value, "x") == ImagePart(url="HTTPS://a.example/b.png")


def test_how_closely_to_look() -> None:
    url = f"data:image/png;base64,{B64}"
    inside = image_from_json({"type": "image_url", "image_url": {"url": url, "detail": "low"}}, "x")
    beside = image_from_json({"type": "input_image", "image_url": url, "detail": "high"}, "x")
    assert (inside.detail, beside.detail) == ("low", "high")
    with pytest.raises(InvalidRequest, match="`detail` cannot be 'most'") as caught:
        image_from_json({"type": "image_url", "image_url": {"url": url, "detail": "most"}}, "m[0]")
    assert caught.value.param == "m[0].image_url.detail"


@pytest.mark.parametrize(
    ("value", "param", "words"),
    [
        (None, "m", "missing"),
        ({}, "m.type", "None is no type"),
        ({"type": "text"}, "m.type", "'text' is no type"),
        ({"type": "image"}, "m.image", "exactly one"),
        ({"type": "image", "image": {"path": "/etc/passwd"}}, "m.image", "exactly one"),
        ({"type": "image", "image": {"b64": B64, "url": "http://a"}}, "m.image", "exactly one"),
        ({"type": "image", "image": {"b64": 7}}, "m.image.b64", "a number"),
        ({"type": "image", "image": {"b64": "!!!"}}, "m.image.b64", "not base64"),
        ({"type": "image", "source": "x"}, "m.source.type", "base64 or url"),
        ({"type": "image", "source": {"type": "base64"}}, "m.source.data", "missing"),
        (
            {"type": "image", "source": {"type": "base64", "data": "http://a/b"}},
            "m.source.data",
            "not base64",
        ),
        ({"type": "image_url"}, "m.image_url", "missing"),
        ({"type": "image_url", "image_url": {"url": ""}}, "m.image_url.url", "empty"),
        (
            {"type": "image_url", "image_url": {"url": "file:///etc/passwd"}},
            "m.image_url.url",
            "never followed",
        ),
        ({"type": "image_url", "image_url": {"url": "ftp://a/b.png"}}, "m.image_url.url", "begins with ftp:"),
        (
            {"type": "image_url", "image_url": {"url": "data:image/png,abc"}},
            "m.image_url.url",
            "not in base64",
        ),
        ({"type": "image_url", "image_url": {"url": "data:;base64"}}, "m.image_url.url", "not in base64"),
        ({"type": "image_url", "image_url": {"url": "/etc/passwd"}}, "m.image_url.url", "of no kind"),
    ],
)
def test_errors_name_the_place(value: object, param: str, words: str) -> None:
    with pytest.raises(InvalidRequest, match=words) as caught:
        image_from_json(value, "m")
    assert caught.value.param == param


@pytest.mark.parametrize(
    "value",
    [{"type": "input_image", "file_id": "f"}, {"type": "image", "source": {"type": "file", "file_id": "f"}}],
)
def test_files_kept_on_a_server_are_unsupported(value: dict[str, Any]) -> None:
    with pytest.raises(Unsupported, match="file_id"):
        image_from_json(value, "m")


@pytest.mark.parametrize(
    "text",
    [
        B64[:8] + "*" + B64[8:],
        B64 + "=",
        B64.rstrip("=") + "=" * 3,
        "=" + B64,
        B64[:4] + "=" + B64[5:],
        B64 + B64[:4] if B64.endswith("=") else B64 + "A",
        "+-" + B64[2:],
        B64 + "é",
    ],
)
def test_base64_is_strict_but_for_space_and_padding(text: str) -> None:
    with pytest.raises(InvalidRequest, match="not base64"):
        image_from_text(text, "images")


def test_size_is_seen_before_anything_is_decoded() -> None:
    with pytest.raises(InvalidRequest, match=r"more than 1\.0 KiB"):
        image_from_text("!" * 2000, "images", most_bytes=1024)
    for bomb in bombs().values():
        with pytest.raises(InvalidRequest, match="pixels"):
            image_from_text(base64.b64encode(bomb).decode(), "images")


@given(anything, st.sampled_from(["image", "image_url", "input_image"]))
def test_garbage_never_crashes(value: object, kind: str) -> None:
    for said in (
        value,
        {"type": value},
        {"type": kind, "image": value},
        {"type": kind, "image_url": value},
        {"type": kind, "image_url": {"url": value, "detail": value}},
        {"type": kind, "source": value},
        {"type": kind, "source": {"type": "base64", "data": value}},
        {"type": kind, "source": {"type": "url", "url": value}},
    ):
        try:
            part = image_from_json(said, "m")
        except HearthError as error:
            assert error.param is not None and error.param.startswith("m")
        else:
            assert part.path is None


@given(st.text() | st.text(alphabet="ABCz09+/-_= \n"))
def test_text_never_becomes_a_path(text: str) -> None:
    for said in (text, f"data:{text}", f"data:image/png;base64,{text}", f"file:{text}"):
        with contextlib.suppress(InvalidRequest):
            assert image_from_text(said, "m").path is None
