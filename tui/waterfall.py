"""Where the time of a request went, drawn to scale: a bar a phase, one after the other. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from textual.content import Content

from tui import units

LABEL, VALUE = 9, 9
"""Cells of a phase's name and of its time."""
COLOURS = {
    "queue": "$muted",
    "load": "$secondary",
    "prefill": "$state-ready",
    "decode": "$gauge",
    "other": "$line",
}


def phases(
    *, queue: float, load: float, prefill: float, decode: float, total: float
) -> list[tuple[str, float]]:
    """Name and seconds of each phase in order; what is left is `other`: reading the request, sending the answer."""
    found = [("queue", queue), ("load", load), ("prefill", prefill), ("decode", decode)]
    return [*found, ("other", max(0.0, total - sum(seconds for _, seconds in found)))]


def waterfall(parts: Sequence[tuple[str, float]], width: int) -> list[Content]:
    """A bar a phase, each beginning where the one before ends; at least one cell for what took any time."""
    whole = sum(seconds for _, seconds in parts)
    room = max(8, width - LABEL - VALUE)
    drawn: list[Content] = []
    before = 0.0
    for name, seconds in parts:
        begin = min(room - 1, round(before / whole * room)) if whole else 0
        before += seconds
        end = round(before / whole * room) if whole else 0
        length = min(max(1, end - begin), room - begin) if seconds > 0 else 0
        bar = Content.assemble(
            (f"{name:<{LABEL}}", "$muted"),
            " " * begin,
            ("━" * length, COLOURS[name]),
            " " * (room - begin - length),
            f"{units.seconds(seconds):>{VALUE}}" if seconds else f"{'–':>{VALUE}}",
        )
        drawn.append(bar)
    return drawn
