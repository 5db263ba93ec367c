"""Amounts of memory as people write and read them: bytes as a number, or `800MB`, `12GB`, `1.5 GiB`.

Units are binary however they are spelt, as memory is sold and as operating systems count it.
"""

from __future__ import annotations

import math
import re

_UNITS = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4}
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([kmgt]?)(?:i?b)?")
_MOST = 2**62


def parse_size(value: float | str) -> int:
    """Bytes. Raises ValueError with a sentence for people when `value` is no amount of memory."""
    problem = "A size is a number of bytes or a text such as 800MB, 12GB or 1.5GiB."
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError(problem)
    if isinstance(value, str):
        match = _SIZE.fullmatch(value.strip().lower())
        if match is None:
            raise ValueError(problem)
        value = float(match[1]) * 1024.0 ** _UNITS[match[2]]
    if not (math.isfinite(value) if isinstance(value, float) else True) or not 0 <= value <= _MOST:
        raise ValueError(problem)
    return int(value)


def show_size(count: int) -> str:
    """Bytes in binary units: `742 MiB`, `7.6 GiB`."""
    value = float(max(0, count))
    for unit in ("B", "KiB", "MiB", "GiB"):
        if value < 1000 or unit == "GiB":
            break
        value /= 1024
    return f"{value:.1f} {unit}" if value < 10 and unit != "B" else f"{value:.0f} {unit}"
