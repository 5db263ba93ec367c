"""The licence of a model folder is what its card says."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.library.licence import licence_in


@pytest.mark.parametrize(
    ("card", "licence"),
    [
        ("---\nlicense: apache-2.0\nlanguage:\n- en\n---\n# A model\n", "apache-2.0"),
        ("---\r\ntags: [a]\r\nlicense: 'mit'  # yes\r\n---\r\n", "mit"),
        ("---\nlicense: other\nlicense_name: llama3.2\n---\n", "llama3.2"),
        ("---\nlicense: other\n---\n", "other"),
        ("# A model\nlicense: mit\n", ""),
        ("---\nlicense: mit\n", ""),
        ("---\nlicense: \x1b[31mred\u202e\n---\n", "[31mred"),
        ("", ""),
    ],
)
def test_a_card_says_it(tmp_path: Path, card: str, licence: str) -> None:
    (tmp_path / "README.md").write_bytes(card.encode())
    assert licence_in(tmp_path) == licence


def test_without_a_card_nothing_is_said(tmp_path: Path) -> None:
    assert licence_in(tmp_path) == ""
    (tmp_path / "README.md").mkdir()
    assert licence_in(tmp_path) == ""
