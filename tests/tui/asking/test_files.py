"""Files named in a message: which words name one, and how its text travels."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import InvalidRequest
from tui.asking import files
from tui.asking.files import LARGEST, TextFile, with_files


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, empty."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def attachments(message: str) -> list[TextFile]:
    return files.attachments(message, Path.cwd())


@pytest.mark.parametrize(
    "message", ["@a.txt", "see @a.txt.", "(see) @a.txt, please", "@a.txt and @a.txt", '@"a.txt"']
)
def test_a_word_that_names_a_file_takes_it_along_once(folder: Path, message: str) -> None:
    (folder / "a.txt").write_text("text")
    assert [file.path.name for file in attachments(message)] == ["a.txt"]


def test_quotes_hold_a_name_with_spaces(folder: Path) -> None:
    (folder / "a b.txt").write_text("text")
    assert [file.text for file in attachments('read @"a b.txt" now')] == ["text"]


@pytest.mark.parametrize(
    "message", ["me@a.txt", "@missing", "a @ b", "@", "\\@a.txt", "@~nobody-of-this-name/a"]
)
def test_other_words_are_text(folder: Path, message: str) -> None:
    (folder / "a.txt").write_text("text")
    assert attachments(message) == []


@pytest.mark.parametrize("data", [b"\0", b"\xff\xfe", b"PK\x03\x04\x00"])
def test_a_binary_file_is_refused(folder: Path, data: bytes) -> None:
    (folder / "a.bin").write_bytes(data)
    with pytest.raises(InvalidRequest, match="not a text file"):
        attachments("@a.bin")


def test_a_folder_and_a_huge_file_are_refused(folder: Path) -> None:
    (folder / "sub").mkdir()
    with pytest.raises(InvalidRequest, match="not a file"):
        attachments("@sub")
    with (folder / "huge.txt").open("wb") as stream:
        stream.truncate(LARGEST + 1)
    with pytest.raises(InvalidRequest, match="too large"):
        attachments("@huge.txt")


@given(st.text(alphabet="`~ab\n", max_size=60))
def test_no_text_can_close_its_own_fence(text: str) -> None:
    name, fence, *body = TextFile("a.md", Path("a.md"), text).fenced().split("\n")
    assert name == "a.md:"
    assert fence.endswith("md")
    fence = fence.removesuffix("md")
    assert set(fence) == {"`"}
    assert len(fence) >= 3
    end = body.index(fence)
    assert body[end + 1 :] == [""]
    assert "\n".join(body[:end]) == text.removesuffix("\n")


def test_files_follow_the_message() -> None:
    found = [TextFile("a", Path("a"), "one"), TextFile("b.py", Path("b.py"), "two\n")]
    assert with_files("look", found) == "look\n\na:\n```\none\n```\n\n\nb.py:\n```py\ntwo\n```\n"


def test_a_smaller_limit_may_be_set_for_a_screen(folder: Path) -> None:
    (folder / "a.txt").write_text("x" * 11)
    with pytest.raises(InvalidRequest, match="11 B, and 10 B is the limit"):
        files.attachments("@a.txt", folder, largest=10)


@pytest.mark.parametrize(
    ("message", "names"),
    [
        ("sum up @a.txt and @missing.txt.", ["missing.txt"]),
        ('see @src/gone or @"my notes.md"', ["src/gone", "my notes.md"]),
        ("ask @ann, @bob! and mail me@home.org", []),
        ("@a.txt", []),
    ],
)
def test_a_mention_that_looks_like_a_file_and_is_none_is_told(
    folder: Path, message: str, names: list[str]
) -> None:
    (folder / "a.txt").write_text("x")
    assert files.missing(message, folder) == names
    assert len(files.not_there(names)) == len(names)
