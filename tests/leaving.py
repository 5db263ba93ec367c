"""What a folder of tests has open for all its files is closed when the last of them is over.

Else its workers would stand beside the tests of other folders, which count and kill those that they find.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

_OPEN: dict[Path, list[Callable[[], None]]] = {}


def when_leaving(folder: Path, close: Callable[[], None]) -> None:
    """Have `close` called after the last test in `folder` that this process runs in a row."""
    _OPEN.setdefault(folder, []).append(close)


def left(folder: Path) -> None:
    """The last test in `folder` is over."""
    for close in reversed(_OPEN.pop(folder, [])):
        close()
