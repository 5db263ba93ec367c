"""Kind and size from the first bytes: as Pillow reads them, and nothing worse than a refusal for anything else."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from engine.errors import InvalidRequest
from engine.media.header import MAX_SIDE, MOST_BYTES, MOST_PIXELS, read_header
from engine.settings import Media
from tests.engine.media.pictures import FORMATS, bombs, encoded, quarters


@given(st.sampled_from(sorted(FORMATS)), st.integers(1, 300), st.integers(1, 300))
def test_kind_and_size_are_those_of_the_file(kind: str, width: int, height: int) -> None:
    header = read_header(encoded(Image.new("RGB", (width, height)), kind), "images[0]")
    assert (header.media_type, header.width, header.height) == (FORMATS[kind], width, height)


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("JPEG", {"progressive": True}),
        ("JPEG", {"exif": b"Exif\0\0" + b"\xff\xc0\0\x11\x08\0\x01\0\x01" * 9, "comment": b"\xff\xc0"}),
        ("WEBP", {"lossless": True}),
        ("WEBP", {"exif": b"Exif\0\0MM\0*\0\0\0\x08\0\0"}),
    ],
)
def test_it_is_not_misled_by_what_stands_before_the_size(kind: str, options: dict[str, object]) -> None:
    header = read_header(encoded(quarters(60, 34), kind, **options), "images")
    assert (header.width, header.height) == (60, 34)


@given(st.sampled_from(sorted(FORMATS)), st.binary(max_size=60), st.integers(0, 60), st.integers(0, 90))
def test_garbage_is_refused_or_read_but_never_crashes(kind: str, noise: bytes, at: int, length: int) -> None:
    data = encoded(quarters(), kind)
    for broken in (noise, data[:length], data[:at] + noise + data[at + len(noise) :], data[:20] + noise):
        try:
            header = read_header(broken, "images")
        except InvalidRequest as error:
            assert error.param == "images"
        else:
            assert 0 < header.width * header.height <= MOST_PIXELS


@pytest.mark.parametrize("name", sorted(bombs()))
def test_a_bomb_is_told_by_its_header(name: str) -> None:
    with pytest.raises(InvalidRequest, match=r"too large: .* pixels") as caught:
        read_header(bombs()[name], "images[3]")
    assert caught.value.param == "images[3]"


def test_what_is_no_image_is_called_by_its_name() -> None:
    tiff = io.BytesIO()
    quarters().save(tiff, "TIFF")
    for data, name in (
        (tiff.getvalue(), "TIFF"),
        (b"%PDF-1.7", "PDF"),
        (b"\0\0\0\x18ftypheic", "HEIC"),
        (b"<svg xmlns=''/>", "SVG"),
        (b"%!PS-Adobe-3.0 EPSF-3.0", "PostScript"),
        (b"8BPS\0\x01", "Photoshop"),
        (b"Hello", "those of no image"),
        (b"BMW is a maker of cars", "those of no image"),
    ):
        with pytest.raises(InvalidRequest, match=name):
            read_header(data, "images")
    with pytest.raises(InvalidRequest, match="empty"):
        read_header(b"", "images")
    with pytest.raises(InvalidRequest, match=r"more than 25 MiB \(media\.max_bytes\)"):
        read_header(bytes(MOST_BYTES + 1), "images")


def test_the_limits_are_those_of_the_settings() -> None:
    assert Media().max_bytes == MOST_BYTES
    assert Media().max_side == MAX_SIDE
