"""Pixels out of real files: every mode, every orientation, and files that want to do harm."""

from __future__ import annotations

import base64
import random
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from engine.errors import InvalidRequest
from engine.media.header import MOST_SCANS
from engine.media.picture import Picture, read
from tests.engine.media.pictures import (
    FORMATS,
    animations,
    bombs,
    chunk,
    encoded,
    noise,
    png,
    quarters,
)
from tests.tiers import examples

RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)


def corners(picture: Picture) -> list[tuple[int, ...]]:
    """Colours near the corners: above left and right, below left and right."""
    pixels = picture.array()
    right, bottom = picture.width - 3, picture.height - 3
    return [tuple(map(int, pixels[y, x])) for y, x in ((2, 2), (2, right), (bottom, 2), (bottom, right))]


def near(found: list[tuple[int, ...]], wanted: list[tuple[int, ...]], most: int) -> bool:
    return int(np.abs(np.array(found) - np.array(wanted)).max()) <= most


@pytest.mark.parametrize("kind", sorted(FORMATS))
def test_every_format_gives_its_pixels(kind: str) -> None:
    options = {"JPEG": {"quality": 95, "subsampling": 0}, "WEBP": {"quality": 95}}.get(kind, {})
    picture = read(encoded(quarters(), kind, **options))
    assert (picture.width, picture.height, len(picture.pixels)) == (64, 32, 64 * 32 * 3)
    assert near(corners(picture), [RED, GREEN, BLUE, WHITE], 0 if kind in ("PNG", "BMP") else 6)
    assert picture.image().mode == "RGB" and picture.image().size == (64, 32)
    assert picture.array().shape == (32, 64, 3)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"])
def test_every_mode_becomes_rgb(mode: str) -> None:
    grey = quarters().convert("L")
    image = Image.fromarray(np.array(grey, np.uint16) * 257) if mode == "I;16" else quarters().convert(mode)
    seen = quarters() if mode in ("P", "RGB", "RGBA") else quarters().convert("1") if mode == "1" else grey
    assert read(encoded(image)).pixels == seen.convert("RGB").tobytes()


@pytest.mark.parametrize("mode", ["L", "CMYK", "YCbCr"])
def test_every_mode_of_jpeg_becomes_rgb(mode: str) -> None:
    seen = quarters().convert("L").convert("RGB") if mode == "L" else quarters()
    picture = read(encoded(quarters().convert(mode), "JPEG", quality=95, subsampling=0))
    assert near(corners(picture), [seen.getpixel((x, y)) for y in (2, 29) for x in (2, 61)], 6)


def test_sixteen_bits_are_scaled_not_clipped() -> None:
    deep = np.array([[0, 128, 257, 32768, 65535]], np.uint16)
    assert read(encoded(Image.fromarray(deep))).array()[0, :, 0].tolist() == [0, 0, 1, 128, 255]
    colours = png(2, 1, [struct.pack(">6H", 65535, 0, 0, 32768, 32768, 32768)], depth=16, colour=2)
    assert read(colours).array()[0].tolist() == [[255, 0, 0], [128, 128, 128]]


def test_what_is_transparent_is_white() -> None:
    clear = Image.new("RGBA", (4, 4), (0, 0, 0, 0))
    assert read(encoded(clear)).array().min() == 255
    assert read(encoded(clear, "WEBP", lossless=True)).array().min() == 255
    half = Image.new("RGBA", (4, 4), (0, 0, 0, 128))
    assert set(np.unique(read(encoded(half)).array())) <= {126, 127, 128}
    # A colour that stands for nothing, in each way that a PNG and a GIF can say so.
    palette = quarters().convert("P")
    index = palette.getpixel((2, 2))
    assert corners(read(encoded(palette, transparency=index)))[:2] == [WHITE, GREEN]
    assert corners(read(encoded(palette, "GIF", transparency=index)))[:2] == [WHITE, GREEN]
    assert corners(read(encoded(quarters(), transparency=BLUE))) == [RED, GREEN, WHITE, WHITE]
    grey = Image.new("L", (4, 4), 10)
    assert read(encoded(grey, transparency=10)).array().min() == 255
    deep = Image.fromarray(np.full((4, 4), 1000, np.uint16))
    assert read(encoded(deep, transparency=1000)).array().min() == 255
    assert read(encoded(deep, transparency=1001)).array().max() == 4


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_is_put_upright(kind: str, orientation: int) -> None:
    """The file holds what a camera held so would have written of the quarters."""
    away = {1: None, 2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}[orientation]
    stored = quarters() if away is None else quarters().transpose(Image.Transpose(away))
    exif = Image.Exif()
    exif[0x0112] = orientation
    picture = read(encoded(stored, kind, exif=exif, quality=95))
    assert (picture.width, picture.height) == (64, 32)
    assert near(corners(picture), [RED, GREEN, BLUE, WHITE], 8)


def test_an_upright_picture_keeps_its_transparent_colour() -> None:
    exif = Image.Exif()
    exif[0x0112] = 3
    assert corners(read(encoded(quarters(), exif=exif, transparency=BLUE))) == [WHITE, WHITE, GREEN, RED]


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data", "ignore:Tag data larger")
def test_broken_notes_do_no_harm() -> None:
    for exif in (
        b"Exif\0\0garbage",
        b"Exif\0\0II*\0\xff\xff\xff\xff",
        b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x02\0\0\xff\xff\0\0\xff\xff",
    ):
        assert read(encoded(quarters(), "JPEG", exif=exif)).width == 64


@given(st.integers(1, 90), st.integers(1, 90), st.integers(8, 64))
@settings(max_examples=examples(50))
def test_the_longest_side_is_limited_and_nothing_is_enlarged(width: int, height: int, most: int) -> None:
    picture = read(encoded(noise(width, height)), most)
    longest = max(width, height)
    assert max(picture.width, picture.height) == min(longest, most)
    if longest <= most:
        assert (picture.width, picture.height) == (width, height)
    else:
        assert abs(picture.width - width * most / longest) <= 1
        assert abs(picture.height - height * most / longest) <= 1


def test_what_is_made_smaller_looks_the_same() -> None:
    whole = quarters(400, 200)
    small = ImageOps.contain(whole, (100, 100), Image.Resampling.LANCZOS)
    assert read(encoded(whole), 100).pixels == small.tobytes()
    assert read(encoded(noise(1600, 10))).width == 1440


def test_the_key_is_of_the_pixels_not_of_the_file() -> None:
    one = read(encoded(quarters()))
    assert len(one.key) == 64
    assert one.key == read(encoded(quarters(), compress_level=0)).key == read(encoded(quarters(), "BMP")).key
    assert one.key != read(encoded(ImageOps.mirror(quarters()))).key
    plain = [read(encoded(Image.new("RGB", size))) for size in ((4, 2), (2, 4))]
    assert plain[0].pixels == plain[1].pixels and plain[0].key != plain[1].key


@pytest.mark.parametrize("name", sorted(bombs()))
def test_a_bomb_is_not_decoded(name: str) -> None:
    with pytest.raises(InvalidRequest, match="million are decoded"):
        read(bombs()[name])


def test_a_frame_larger_than_the_screen_of_a_gif_is_a_bomb_too() -> None:
    small = encoded(Image.new("P", (8, 8)), "GIF")
    at = small.index(b",\0\0\0\0\x08\0\x08\0")
    grown = small[: at + 5] + struct.pack("<HH", 60000, 60000) + small[at + 9 :]
    with pytest.raises(InvalidRequest):
        read(grown)


def test_a_jpeg_of_many_scans_is_refused() -> None:
    """Each of its scans is some 40 bytes long and takes as long to decode as all pixels."""
    image = Image.new("L", (64, 64), 128)
    plain = encoded(image, "JPEG", progressive=True)
    scan = plain[plain.rindex(b"\xff\xda") : -2]
    few = plain[:-2] + scan * (MOST_SCANS - plain.count(b"\xff\xda")) + b"\xff\xd9"
    assert read(few).pixels == read(plain).pixels
    # What follows the end of a picture (the film of a moving photo) is not looked at.
    assert read(few + scan * 100).pixels == read(plain).pixels
    with pytest.raises(InvalidRequest, match="more than 32 scans"):
        read(few[:-2] + scan + b"\xff\xd9")


def test_scans_are_counted_as_they_stand_among_other_things() -> None:
    for options in ({"progressive": True}, {"restart_marker_blocks": 1}, {"comment": b"\xff\xda" * 100}):
        assert read(encoded(noise(200, 100), "JPEG", quality=95, **options)).width == 200


def test_of_several_pictures_in_a_jpeg_the_first_is_shown() -> None:
    several = encoded(quarters(), "MPO", save_all=True, append_images=[noise(64, 32)], quality=95)
    assert near(corners(read(several)), [RED, GREEN, BLUE, WHITE], 8)


def test_text_that_unpacks_to_much_is_refused() -> None:
    import zlib

    bomb = chunk(b"zTXt", b"x\0\0" + zlib.compress(bytes(80 * 1024 * 1024)))
    with pytest.raises(InvalidRequest, match="damaged"):
        read(png(1, 1, [b"\0\0\0"], extra=bomb))


@pytest.mark.parametrize("kind", sorted(FORMATS))
def test_a_file_cut_short_is_refused(kind: str) -> None:
    data = encoded(noise(120, 80), kind)
    for share in (0.05, 0.3, 0.6, 0.9):
        with pytest.raises(InvalidRequest, match="damaged or cut short") as caught:
            read(data[: int(len(data) * share)], param="images[1]")
        assert caught.value.param == "images[1]"


@pytest.mark.parametrize("kind", sorted(animations()))
def test_an_animation_is_refused_by_name(kind: str) -> None:
    with pytest.raises(InvalidRequest, match="animated"):
        read(animations()[kind])


def test_one_frame_that_could_have_been_many_is_a_picture() -> None:
    for kind in ("GIF", "PNG", "WEBP"):
        assert read(encoded(quarters(), kind, save_all=True)).width == 64


def test_other_decoders_are_not_tried() -> None:
    for kind in ("TIFF", "ICO", "PPM", "TGA", "PCX", "EPS", "JPEG2000", "DDS"):
        with pytest.raises(InvalidRequest, match="no kind"):
            read(encoded(quarters(), kind))


@pytest.mark.parametrize("kind", sorted(FORMATS))
def test_damage_anywhere_is_a_picture_or_a_refusal(kind: str) -> None:
    whole, chance = encoded(noise(24, 16), kind), random.Random(kind)
    for _ in range(300):
        data = bytearray(whole)
        for _ in range(chance.randint(1, 4)):
            data[chance.randrange(len(data) if chance.random() < 0.5 else 80)] = chance.randrange(256)
        try:
            picture = read(bytes(data), 64)
        except InvalidRequest:
            continue
        assert len(picture.pixels) == picture.width * picture.height * 3


def test_a_real_photograph_in_cmyk() -> None:
    """Adobe writes the inks of a JPEG inverted; one pixel of each colour, as Photoshop does."""
    image = Image.new("CMYK", (16, 16), (0, 255, 255, 0))
    red = read(encoded(image, "JPEG", quality=100)).array()[8, 8]
    assert red.tolist()[0] > 245 and max(red.tolist()[1:]) < 10


def test_a_picture_of_one_pixel() -> None:
    dot = base64.b64decode("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7")
    assert read(dot).array().tolist() == [[[255, 255, 255]]]
