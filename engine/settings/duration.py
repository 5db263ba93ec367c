"""Durations as people write them: seconds as a number, or `90s`, `5m`, `1h30m`; `-1` means "for ever"."""

from __future__ import annotations

import math
import re

_UNITS = {"d": 86_400.0, "h": 3_600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|[dhms])")
_WHOLE = re.compile(rf"-?(?:{_PART.pattern})+")


def parse_duration(value: float | str) -> float:
    """Seconds. Raises ValueError with a sentence for people when `value` is no duration."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError("A duration is a number of seconds or a text such as 90s, 5m or 1h30m.")
    if isinstance(value, int | float):
        seconds = float(value) if abs(value) < 1e300 else math.inf
    else:
        text = value.strip().lower()
        if _WHOLE.fullmatch(text):
            seconds = sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(text))
            seconds = -seconds if text.startswith("-") else seconds
        else:
            try:
                seconds = float(text)
            except ValueError:
                raise ValueError(
                    "A duration is a number of seconds or a text such as 90s, 5m or 1h30m."
                ) from None
    if not math.isfinite(seconds):
        raise ValueError("A duration must be finite; -1 stands for “for ever”.")
    return seconds
