"""Text in which some characters take two cells: columns stay aligned, and the progress line is one line."""

from __future__ import annotations

import os
import pty
import termios

from rich.cells import cell_len

from cli.chat.progress import CLEAR, ProgressLine
from cli.columns import columns
from engine.types import Loading

WIDE = "模型" * 20


def test_columns_are_as_wide_as_what_is_seen() -> None:
    first, second = columns([(WIDE, "a"), ("ember", "b")]).splitlines()
    assert cell_len(first) == cell_len(second)


def test_the_progress_line_never_wraps() -> None:
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, 60))
    with os.fdopen(theirs, "w") as stream:
        ProgressLine(WIDE, stream).show(Loading(stage="weights", fraction=0.5))
        shown = os.read(ours, 4096).decode()
    os.close(ours)
    text = shown.removeprefix(CLEAR).replace("\x1b[2m", "").replace("\x1b[0m", "")
    assert "模型" in text and cell_len(text) < 60
