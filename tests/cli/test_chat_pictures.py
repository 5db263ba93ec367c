"""Pictures in the plain chat: `--image`, `@picture.png`, and what is written of them."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from cli.chat.images import image_parts, joined, named
from cli.chat.oneshot import prompt_of
from cli.chat.session import Session
from engine.types import ImagePart, TextPart
from tests.cli.inside import ran as run


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with two pictures; nothing is piped in."""
    for name in ("cat.png", "two words.jpg"):
        Image.new("RGB", (8, 8), "red").save(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.stdin", None)
    return tmp_path


def shape(content: object) -> list[str]:
    assert isinstance(content, tuple)
    return [part.text if isinstance(part, TextPart) else f"<{Path(part.path).name}>" for part in content]


def test_pictures_given_by_flag_come_before_the_text_and_mentions_in_their_place(folder: Path) -> None:
    content = prompt_of('Is it like @cat.png, or @"two words.jpg"?', ["two words.jpg"])
    assert shape(content) == ["<two words.jpg>", "Is it like ", "<cat.png>", ", or ", "<two words.jpg>", "?"]
    assert shape(prompt_of(None, ["cat.png"])) == ["<cat.png>"]
    assert prompt_of("no picture") == "no picture"


def test_piped_text_stands_before_what_was_typed() -> None:
    picture = ImagePart(path="/a.png")
    assert joined([], "piped", "typed") == "piped\n\ntyped"
    assert joined([picture], "piped", "typed") == (picture, TextPart("piped\n\ntyped"))
    assert joined([], "piped", (picture, TextPart(" typed"))) == (
        TextPart("piped"),
        picture,
        TextPart(" typed"),
    )
    assert joined([], "", "") == ""


def test_a_saved_conversation_names_its_pictures(folder: Path) -> None:
    session = Session("ember")
    session.ask(joined(image_parts(["cat.png"]), "", "What is it?"))
    (message,) = session.messages
    assert named(message.content) == f"![cat.png](<{folder}/cat.png>) What is it?"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--image", "missing.png", "What is it?"), "@missing.png is not there."),
        (("--image", "notes.txt", "What is it?"), "@notes.txt cannot go along."),
    ],
)
def test_what_is_no_picture_is_a_usage_error_before_a_model_is_loaded(
    hearth_home: Path, tmp_path: Path, arguments: tuple[str, ...], said: str
) -> None:
    (tmp_path / "notes.txt").write_text("text")
    done = run(hearth_home, "chat", "no-such-model", *arguments, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr


def test_a_model_that_takes_no_pictures_says_so(hearth_home: Path, tmp_path: Path) -> None:
    Image.new("RGB", (8, 8)).save(tmp_path / "cat.png")
    done = run(hearth_home, "chat", "ember", "What is @cat.png?", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert "image" in done.stderr
