"""Saved prefixes as files: what was written comes back, and nothing else, however it was damaged."""

from __future__ import annotations

import queue
import tempfile
from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from engine.runtime.worker.kvstore import Entry, KvStore, Loaded, Opened
from tests.tiers import examples

TOKENS = np.arange(300, 600, dtype=np.int32)
STATE = bytes(range(256)) * 8
ROOT = "an adapter*1.0\nsomebody"
PATIENCE = 60.0


class Opening:
    """A store on `folder`, and what it tells."""

    def __init__(self, folder: Path) -> None:
        self._woken: queue.SimpleQueue[None] = queue.SimpleQueue()
        self.complaints: list[str] = []
        self.store = KvStore(
            folder, 10**9, lambda: "a model", lambda: self._woken.put(None), self.complaints.append
        )

    def entries(self) -> list[Entry]:
        """What earlier stores left."""
        found: list[Entry] = []
        while True:
            self._woken.get(timeout=PATIENCE)
            for each in self.store.news():
                if isinstance(each, Opened):
                    return found
                assert isinstance(each, Entry)
                found.append(each)

    def state(self, entry: Entry) -> bytes | None:
        self.store.read(entry.file)
        while True:
            self._woken.get(timeout=PATIENCE)
            for each in self.store.news():
                assert isinstance(each, Loaded) and each.file == entry.file
                return None if each.state is None else bytes(each.state)


def written(folder: Path) -> Path:
    """A folder with one saved prefix; its file."""
    opening = Opening(folder)
    opening.store.write(ROOT, TOKENS, memoryview(STATE), exact=False)
    opening.store.close(PATIENCE)
    (file,) = folder.rglob("*.kv")
    return file


def test_what_was_written_comes_back(tmp_path: Path) -> None:
    written(tmp_path)
    opening = Opening(tmp_path)
    (entry,) = opening.entries()
    assert (entry.root, entry.exact) == (ROOT, False)
    assert np.array_equal(entry.tokens, TOKENS)
    assert opening.state(entry) == STATE
    opening.store.close(PATIENCE)


@given(st.data())
@hypothesis_settings(max_examples=examples(200), deadline=None)
def test_a_flipped_bit_anywhere_is_never_believed(data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as name:
        file = written(Path(name))
        body = bytearray(file.read_bytes())
        at = data.draw(st.integers(0, len(body) - 1), label="byte")
        body[at] ^= 1 << data.draw(st.integers(0, 7), label="bit")
        file.write_bytes(body)
        opening = Opening(Path(name))
        for entry in opening.entries():
            state = opening.state(entry)
            # A state under other tokens than those it was computed of would be a wrong answer.
            assert state is None or (
                state == STATE and entry.root == ROOT and np.array_equal(entry.tokens, TOKENS)
            )
        opening.store.close(PATIENCE)
