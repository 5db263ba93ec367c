"""Pictures in the plain chat: `--image`, `@picture.png`, and what is written of them."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from cli.chat.addressed import _seeing
from cli.chat.images import image_parts, joined, named
from cli.chat.oneshot import prompt_of
from cli.chat.session import Session
from engine.errors import Unsupported
from engine.types import ImagePart, TextPart
from tests.cli.inside import ran as run
from tests.tui.fake_engine import fake_engine
from tui.recordings import entries


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


@pytest.mark.parametrize("question", ["What is this?", "Describe"])
def test_a_picture_and_a_question_go_to_a_model_that_sees(
    hearth_home: Path, tmp_path: Path, question: str
) -> None:
    Image.new("RGB", (64, 64), "red").save(tmp_path / "cat.png")
    done = run(hearth_home, "chat", "--image", "cat.png", question, "--max-new-tokens", "3", cwd=tmp_path)
    assert done.returncode == 0 and done.stdout.strip(), done.stderr
    assert "ember takes no pictures, so ember-vision answers." in done.stderr
    assert ("so that is the question" in done.stderr) is (question == "Describe")


def test_a_picture_goes_to_the_default_model_if_that_sees(hearth_home: Path, tmp_path: Path) -> None:
    Image.new("RGB", (64, 64), "red").save(tmp_path / "cat.png")
    (hearth_home / "config.toml").write_text('[models]\ndefault = "ember-vision"\n')
    done = run(hearth_home, "chat", "What is @cat.png?", "--max-new-tokens", "3", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "") and done.stdout.strip()


def test_a_name_that_is_known_is_no_question_though_a_picture_comes_with_it(
    hearth_home: Path, tmp_path: Path
) -> None:
    Image.new("RGB", (8, 8)).save(tmp_path / "cat.png")
    (hearth_home / "aliases.json").write_text('{"version": 1, "aliases": {"gone": {"model": "org/none"}}}')
    for name, why in (("EMBER", "image"), ("gone", "org/none"), ("ember:nobody", "no adapter")):
        done = run(hearth_home, "chat", name, "--image", "cat.png", piped="What is it?", cwd=tmp_path)
        assert (done.returncode, done.stdout) == (1, "") and why in done.stderr
        assert "so that is the question" not in done.stderr


async def test_where_nothing_sees_that_is_said() -> None:
    with pytest.raises(Unsupported, match="No model on this machine takes pictures") as caught:
        await _seeing(fake_engine(entries=[entries()[0]], loaded=[]), entries()[0].id)
    assert "hearth models" in caught.value.info.fix
