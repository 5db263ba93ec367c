"""A file on its way: whatever is torn from it, what is taken up is what was written."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.hub.partial import JOURNAL, PIECE, SUFFIX, Partial, Whole
from tests.hub.conftest import noise
from tests.tiers import examples

SIZE = 3 * PIECE + 17
CONTENT = noise(SIZE)


def piece(index: int) -> bytes:
    return CONTENT[index * PIECE : (index + 1) * PIECE]


def reopened(blob: Path, size: int = SIZE) -> Partial:
    partial = Partial(blob, size)
    partial.open()
    return partial


def test_pieces_are_taken_up_by_the_next_process(tmp_path: Path) -> None:
    blob = tmp_path / "blob"
    first = reopened(blob)
    assert first.missing() == [0, 1, 2, 3] and first.done == 0
    assert first.write(3, piece(3)) and first.write(1, piece(1)) and not first.write(1, piece(1))
    first.close()
    second = reopened(blob)
    assert second.missing() == [0, 2] and second.done == PIECE + 17
    assert second.read(1) == piece(1) and second.read(3) == piece(3)
    second.write(0, piece(0))
    second.write(2, piece(2))
    second.finish()
    second.close()
    assert blob.read_bytes() == CONTENT
    assert [path.name for path in tmp_path.iterdir()] == ["blob"]


def test_a_piece_that_was_forgotten_is_missing_for_the_next_process_too(tmp_path: Path) -> None:
    first = reopened(tmp_path / "blob")
    first.write(0, piece(0))
    first.forget(0)
    first.close()
    assert reopened(tmp_path / "blob").missing() == [0, 1, 2, 3]


def test_a_piece_that_reads_back_otherwise_is_missing(tmp_path: Path) -> None:
    partial = reopened(tmp_path / "blob")
    partial.write(2, piece(2))
    with (tmp_path / ("blob" + SUFFIX)).open("r+b") as file:
        file.seek(2 * PIECE + 5)
        file.write(b"?")
    assert partial.read(2) is None and not partial.has(2)


def test_another_length_begins_anew(tmp_path: Path) -> None:
    first = reopened(tmp_path / "blob")
    first.write(0, piece(0))
    first.close()
    assert reopened(tmp_path / "blob", SIZE + 1).missing() == [0, 1, 2, 3]


def test_a_partial_does_not_follow_links(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("precious")
    (tmp_path / ("blob" + SUFFIX)).symlink_to(tmp_path / "precious")
    with pytest.raises(OSError):
        reopened(tmp_path / "blob")
    assert (tmp_path / "precious").read_text() == "precious"


@settings(max_examples=examples(40))
@given(
    order=st.lists(st.integers(0, 3), max_size=8),
    cut=st.integers(0, 40),
    flips=st.lists(st.tuples(st.integers(0, 200), st.integers(1, 255)), max_size=3),
)
def test_a_torn_or_damaged_journal_never_says_too_much(
    tmp_path_factory: pytest.TempPathFactory, order: list[int], cut: int, flips: list[tuple[int, int]]
) -> None:
    blob = tmp_path_factory.mktemp("torn") / "blob"
    partial = reopened(blob)
    for index in order:
        partial.write(index, piece(index))
    partial.close()
    journal = blob.with_name(blob.name + JOURNAL)
    data = bytearray(journal.read_bytes())
    data = data[: len(data) - cut] if cut else data
    for at, change in flips:
        if at < len(data):
            data[at] ^= change
    journal.write_bytes(bytes(data))
    again = reopened(blob)
    for index in set(range(4)) - set(again.missing()):
        assert again.read(index) == piece(index)
    for index in again.missing():
        again.write(index, piece(index))
    again.finish()
    again.close()
    assert blob.read_bytes() == CONTENT


def test_both_kinds_of_names_for_content() -> None:
    large = Whole(hashlib.sha256(CONTENT).hexdigest(), SIZE)
    # `git hash-object` of a file that holds "hello\n".
    small = Whole("ce013625030ba8dba906f756967f9e9ca394464a", 6)
    for index in range(4):
        large.update(piece(index))
    small.update(b"hello\n")
    assert large.right and small.right
    small.update(b"more")
    assert not small.right
