"""Models that are split over several files: `name-00001-of-00003.gguf` and so on."""

from __future__ import annotations

import re
from pathlib import Path

PART = re.compile(r"(?P<stem>.+)-(?P<number>\d{5})-of-(?P<count>\d{5})$")
"""The name of a part, without its suffix."""
MOST_PARTS = 999


def parts_of(path: Path) -> list[Path]:
    """The files of the model at `path`: one, or the numbered parts of a split one, whether they are there or not."""
    part = PART.match(path.stem)
    if part is None:
        return [path]
    count = min(int(part["count"]), MOST_PARTS)
    return [
        path.with_name(f"{part['stem']}-{n:05}-of-{part['count']}{path.suffix}") for n in range(1, count + 1)
    ]
