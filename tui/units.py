"""How figures are written: bytes, token counts, parameters, seconds. Short, and of a width that hardly changes."""

from __future__ import annotations

import time


def size(count: int) -> str:
    """Bytes in binary units: `742 MiB`, `7.6 GiB`; nothing known is `–`."""
    if count <= 0:
        return "–"
    value = float(count)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if value < 1024 or unit == "GiB":
            break
        value /= 1024
    return f"{value:.1f} {unit}" if value < 10 and unit != "B" else f"{value:.0f} {unit}"


def share(part: int, whole: int) -> str:
    """Bytes of bytes: `2.0/4.7 GiB`, `812 MiB/4.7 GiB`; the whole alone where there is nothing yet."""
    if part <= 0:
        return size(whole)
    first, second = size(part), size(whole)
    number, _, unit = first.partition(" ")
    return f"{number}/{second}" if second.partition(" ")[2] == unit else f"{first}/{second}"


def tokens(count: int) -> str:
    """Tokens: `812`, `3.1k`, `128k`."""
    if count < 1000:
        return str(count)
    return f"{count / 1000:.1f}k" if count < 9950 else f"{count / 1000:.0f}k"


def window(count: int) -> str:
    """A context window: `8k` for 8,192 as its makers write it, else as tokens."""
    return f"{count // 1024}k" if count >= 1024 and count % 1024 == 0 else tokens(count)


def parameters(count: int) -> str:
    """Weights of a model: `3.1M`, `8.0B`; nothing known is `–`."""
    if count <= 0:
        return "–"
    for limit, unit in ((1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "K")):
        if count >= limit:
            value = count / limit
            return f"{value:.1f}{unit}" if value < 100 else f"{value:.0f}{unit}"
    return str(count)


def seconds(value: float) -> str:
    """A short time: `84 ms`, `1.2 s`, `75 s`."""
    if value < 0.9995:
        return f"{value * 1000:.0f} ms"
    return f"{value:.1f} s" if value < 9.95 else f"{value:.0f} s"


def count(number: int) -> str:
    """How many: `812`, `3.4k`, `1.2M`."""
    if number < 1000:
        return str(max(0, number))
    for limit, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if number >= limit:
            value = number / limit
            return f"{value:.1f}{unit}" if value < 9.95 else f"{value:.0f}{unit}"
    return str(number)


def wait(value: float) -> str:
    """A time that is only guessed: `40 s`, `12 min`, `3 h 20 min`."""
    if value < 90:
        return f"{max(1, round(value))} s"
    minutes = round(value / 60)
    if minutes < 90:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours < 100 else "days"


def ago(moment: float, now: float | None = None) -> str:
    """How long a moment (Unix seconds) is past: `just now`, `12 min ago`, `3 h ago`, `5 days ago`; 0 is `never`."""
    if moment <= 0:
        return "never"
    passed = (time.time() if now is None else now) - moment
    for limit, unit in ((86400, "day"), (3600, "h"), (60, "min")):
        if passed >= limit:
            count = int(passed // limit)
            return f"{count} {unit}{'s' if unit == 'day' and count > 1 else ''} ago"
    return "just now"
