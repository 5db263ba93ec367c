"""Pictures in a message: which files are some, where they stand in what is sent, which are refused and why."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from engine.errors import InvalidRequest
from engine.media import MOST_BYTES
from engine.types import ImagePart, TextPart
from tui.asking import files
from tui.asking.files import written
from tui.asking.pictures import Picture, content_of, kept, look, named, pictures


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, colour in (("red.png", "red"), ("blue sky.jpg", "blue"), ("green.webp", "green")):
        Image.new("RGB", (40, 30), colour).save(tmp_path / name)
    (tmp_path / "notes.txt").write_text("text")
    return tmp_path


def shape(content: str | tuple[object, ...]) -> list[str]:
    """Texts as they are, pictures by their file's name."""
    assert not isinstance(content, str)
    return [
        part.text if isinstance(part, TextPart) else f"<{Path(part.path or '').name}>"
        for part in content
        if isinstance(part, TextPart | ImagePart)
    ]


def test_text_and_pictures_keep_the_order_in_which_they_were_written(folder: Path) -> None:
    message = 'Is @red.png darker than @"blue sky.jpg"? Say why, @red.png first.'
    found = pictures(message, folder)
    assert shape(content_of(message, found)) == [
        "Is ",
        "<red.png>",
        " darker than ",
        "<blue sky.jpg>",
        "? Say why, @red.png first.",
    ]
    assert named(message, found) == "Is red.png darker than blue sky.jpg? Say why, @red.png first."


def test_the_sentence_s_punctuation_is_no_part_of_the_name(folder: Path) -> None:
    found = pictures("What is this, @red.png?", folder)
    assert [(picture.label, picture.width, picture.height) for picture in found] == [("red.png", 40, 30)]
    assert shape(content_of("What is this, @red.png?", found)) == ["What is this, ", "<red.png>", "?"]


def test_the_first_bytes_decide_and_not_the_ending(folder: Path) -> None:
    (folder / "red.png").rename(folder / "notes.md")
    (folder / "fake.png").write_text("not a picture")
    found = pictures("@notes.md @fake.png @notes.txt", folder)
    assert [picture.media_type for picture in found] == ["image/png"]
    assert [file.name for file in files.attachments("@notes.md @fake.png @notes.txt", folder)] == [
        "fake.png",
        "notes.txt",
    ]


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF", "BMP"])
def test_every_format_is_looked_at(folder: Path, kind: str) -> None:
    Image.new("RGB", (7, 5), "red").save(folder / "x", kind)
    picture = look("x", folder)
    assert (picture.width, picture.height, picture.size) == (7, 5, (folder / "x").stat().st_size)


def test_a_picture_that_lies_on_its_side_is_measured_upright(folder: Path) -> None:
    image = Image.new("RGB", (40, 30))
    exif = image.getexif()
    exif[0x0112] = 6
    image.save(folder / "turned.jpg", exif=exif)
    assert (look("turned.jpg", folder).width, look("turned.jpg", folder).height) == (30, 40)


def test_what_cannot_go_along_is_refused_by_name_and_reason(folder: Path) -> None:
    (folder / "photo.heic").write_bytes(b"\0\0\0\x18ftypheic" + bytes(40))
    with pytest.raises(InvalidRequest, match=r"@photo.heic cannot go along\..*HEIC"):
        pictures("see @photo.heic", folder)
    (folder / "cut.png").write_bytes((folder / "red.png").read_bytes()[:30])
    with pytest.raises(InvalidRequest, match=r"@cut.png cannot go along\. .*damaged"):
        pictures("see @cut.png", folder)
    Image.new("1", (6000, 5000)).save(folder / "vast.png")
    with pytest.raises(InvalidRequest, match="25 million"):
        pictures("see @vast.png", folder)
    with (folder / "red.png").open("r+b") as file:
        file.truncate(MOST_BYTES + 1)
    with pytest.raises(InvalidRequest, match="too large"):
        pictures("see @red.png", folder)
    frames = [Image.new("RGB", (4, 4), colour) for colour in ("red", "blue")]
    frames[0].save(folder / "moves.gif", save_all=True, append_images=frames[1:])
    with pytest.raises(InvalidRequest, match="animated"):
        pictures("see @moves.gif", folder)


def picture(name: str) -> Picture:
    return Picture(name=name, path=f"/{name}", media_type="image/png", width=1, height=1, size=1, digest=name)


names = st.text(
    st.characters(exclude_characters='"\n\r', exclude_categories=("Cs", "Cc", "Zl", "Zp")), min_size=1
)
words = st.text(st.characters(exclude_characters="@", exclude_categories=("Cs", "Cc")), max_size=12)


@given(st.lists(st.tuples(words, names), max_size=5, unique_by=lambda pair: pair[1]), words)
def test_a_message_comes_apart_and_together_again(pairs: list[tuple[str, str]], end: str) -> None:
    """Whatever the names are: each picture once, at its place, and no letter of the text lost."""
    text = "".join(f"{word} {written(name)} " for word, name in pairs) + end
    given_pictures = [picture(name) for _, name in pairs if not name.startswith("@")]
    content = content_of(text, given_pictures)
    placed = kept(text, given_pictures)
    if isinstance(content, str):
        assert content == text and not placed
        return
    assert [part.path for part in content if isinstance(part, ImagePart)] == [each.path for each in placed]
    at = 0
    for part in content:
        if isinstance(part, TextPart):
            assert text.find(part.text, at) >= at
            at = text.find(part.text, at) + len(part.text)
