"""What the screen remembers between runs: a damaged file is none, and keeps nobody from starting."""

from __future__ import annotations

from pathlib import Path

import pytest

from tui.state import UiState, load, save


def test_it_is_the_same_in_the_next_run(tmp_path: Path) -> None:
    said = UiState(theme="nord", model="ember", conversation="c")
    save(tmp_path / "state" / "ui.json", said)
    assert load(tmp_path / "state" / "ui.json") == said


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"theme": 7}', b'{"model": "\xff"}', b"\0" * 9])
def test_a_damaged_file_counts_as_empty(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "ui.json").write_bytes(content)
    assert load(tmp_path / "ui.json") == UiState()
