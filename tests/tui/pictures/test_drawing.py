"""Pictures as cells: what is drawn, how large, and that nothing moves when it comes."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from textual.color import Color

from engine.errors import InvalidRequest, StorageFailed
from tui.asking.pictures import Picture, look
from tui.pictures.blocks import half_blocks
from tui.pictures.box import Box, fitted, largest
from tui.pictures.decoding import decoded
from tui.pictures.gallery import Drawing, Gallery
from tui.stream.frozen import FrozenMessage, MessageView
from tui.stream.pictures import PictureShelf

sizes = st.tuples(st.integers(1, 20_000), st.integers(1, 20_000))


def picture(name: str = "a.png", width: int = 40, height: int = 30) -> Picture:
    return Picture(
        name=name,
        path=f"/tmp/{name}",
        media_type="image/png",
        width=width,
        height=height,
        size=9,
        digest=name,
    )


def colours(row) -> list[tuple[str, Color | None, Color | None]]:
    """(character, foreground, background) of every cell."""
    cells: list[tuple[str, Color | None, Color | None]] = [(each, None, None) for each in row.plain]
    for start, end, style in row.spans:
        for at in range(start, end):
            cells[at] = (row.plain[at], style.foreground, style.background)
    return cells


def test_a_cell_is_two_pixels_and_what_is_transparent_is_left_free() -> None:
    image = Image.new("RGBA", (4, 3))
    for x, (above, below) in enumerate(
        [
            ((255, 0, 0, 255), (0, 0, 255, 255)),
            ((9, 9, 9, 255), (9, 9, 9, 255)),
            ((9, 9, 9, 0), (1, 2, 3, 255)),
        ]
    ):
        image.putpixel((x, 0), above)
        image.putpixel((x, 1), below)
    image.putpixel((3, 2), (7, 7, 7, 255))
    first, last = half_blocks(image)
    assert colours(first) == [
        ("▀", Color(255, 0, 0), Color(0, 0, 255)),
        (" ", None, Color(9, 9, 9)),
        ("▄", Color(1, 2, 3), None),
        (" ", None, None),
    ]
    assert colours(last)[3] == ("▀", Color(7, 7, 7), None)  # an odd last line is half a row


@given(sizes, st.integers(1, 250), st.integers(1, 8))
def test_a_box_keeps_within_its_room_and_its_proportions(
    size: tuple[int, int], width: int, count: int
) -> None:
    most = largest(width, count)
    box = fitted(size, most)
    assert 1 <= box.columns <= min(width, most.columns) and 1 <= box.rows <= most.rows
    assert box.columns <= size[0]
    if box.columns > 4 and box.rows > 4:
        drawn, real = box.columns / (box.rows * 2), size[0] / size[1]
        assert drawn / real == pytest.approx(1, abs=0.25)


@given(
    st.lists(sizes, max_size=8), st.integers(1, 200), st.sampled_from(["blocks", "placeholder", "graphics"])
)
def test_no_row_is_wider_than_the_message(found: list[tuple[int, int]], width: int, way) -> None:
    gallery = Gallery(way, why="because" if width % 2 else "")
    shelf = PictureShelf([picture(f"p{n}.png", *size) for n, size in enumerate(found)], width, gallery)
    rows = shelf.rows()
    assert len(rows) == shelf.height
    assert all(row.content.cell_length <= width and not row.copied for row in rows)


def test_a_placeholder_says_what_and_why() -> None:
    shelf = PictureShelf(
        [picture("cat.png", 640, 480)], 60, Gallery("placeholder", why="ui.images is placeholder")
    )
    text = "\n".join(row.content.plain for row in shelf.rows())
    assert "▣ cat.png" in text and "640×480" in text and "PNG" in text and "ui.images is placeholder" in text


async def test_a_picture_is_decoded_once_for_a_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Box] = []
    gallery = Gallery("blocks")
    drawn = gallery._drawn

    def counted(picture: Picture, box: Box) -> Drawing:
        asked.append(box)
        return drawn(picture, box)

    monkeypatch.setattr(gallery, "_drawn", counted)
    Image.new("RGB", (40, 40), "red").save(tmp_path / "a.png")
    (tmp_path / "b.png").write_bytes((tmp_path / "a.png").read_bytes())
    for name in ("a.png", "b.png", "a.png"):  # the same bytes under another name are the same picture
        drawing = await gallery.draw(look(name, tmp_path), Box(10, 5))
        assert [row.cell_length for row in drawing.rows] == [10] * 5
    assert asked == [Box(10, 5)]
    await gallery.draw(look("a.png", tmp_path), Box(4, 2))
    assert len(asked) == 2


@pytest.mark.parametrize(
    ("mode", "kind"),
    [("RGB", "JPEG"), ("L", "PNG"), ("P", "GIF"), ("CMYK", "JPEG"), ("I;16", "PNG"), ("1", "BMP")],
)
def test_every_kind_of_pixel_becomes_colours(tmp_path: Path, mode: str, kind: str) -> None:
    Image.new(mode, (64, 32), {"I;16": 65535, "L": 255, "1": 1}.get(mode, 0)).save(tmp_path / "x", kind)
    image = decoded(look("x", tmp_path), 8, 4)
    assert (image.mode, image.size) == ("RGBA", (8, 4))
    if mode in ("I;16", "L", "1"):
        assert image.getpixel((3, 2)) == (255, 255, 255, 255)


def test_a_picture_is_turned_upright(tmp_path: Path) -> None:
    image = Image.new("RGB", (80, 40), "red")
    image.paste((0, 0, 255), (0, 0, 40, 40))
    exif = image.getexif()
    exif[0x0112] = 6  # what was left is on top
    image.save(tmp_path / "x.jpg", exif=exif, quality=95)
    upright = decoded(look("x.jpg", tmp_path), 4, 8)
    top, bottom = upright.getpixel((1, 1)), upright.getpixel((1, 6))
    assert top[2] > 200 > top[0] + 150 and bottom[0] > 200 > bottom[2] + 150


def test_a_file_that_is_gone_changed_or_cut_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    Image.effect_noise((64, 64), 60).save(path)
    seen = look("a.png", tmp_path)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(StorageFailed, match="changed"):
        decoded(seen, 4, 4)
    with pytest.raises(InvalidRequest, match="damaged"):
        decoded(look("a.png", tmp_path), 4, 4)
    path.unlink()
    with pytest.raises(StorageFailed, match="gone"):
        decoded(seen, 4, 4)


@given(st.integers(12, 160), st.integers(1, 6))
def test_a_message_is_as_high_before_its_pictures_are_drawn_as_after(width: int, count: int) -> None:
    shown = tuple(picture(f"{n}.png", 300 + 50 * n, 200) for n in range(count))
    view = MessageView("m", "user", "What is this?", pictures=shown)
    gallery = Gallery("blocks")
    before = FrozenMessage(view, gallery).height_at(width)
    for place in PictureShelf(shown, width, gallery).places:
        rows = half_blocks(Image.new("RGBA", (place.box.columns, place.box.rows * 2), "red"))
        gallery._kept[place.picture.digest, place.box] = Drawing(rows)
    assert FrozenMessage(view, gallery).height_at(width) == before


async def test_a_picture_that_is_drawn_twice_at_once_is_kept_and_weighed_once(tmp_path: Path) -> None:
    gallery = Gallery("blocks")
    Image.new("RGB", (40, 40), "red").save(tmp_path / "a.png")
    found = look("a.png", tmp_path)
    drawings = await asyncio.gather(*(gallery.draw(found, Box(10, 5)) for _ in range(4)))
    assert gallery._weight == drawings[0].weight > 0
