"""What is said of pulls: their order, a line for each, and all of them in a few cells for the status bar."""

from __future__ import annotations

from collections.abc import Iterable, Sequence, Set

from textual.content import Content

from engine.text_safety import plain
from engine.types import PullState
from tui import units
from tui.telling.waiting import bar

MARKS: dict[str, tuple[str, str, str]] = {
    "queued": ("◌", "waits", "muted"),
    "asking": ("◐", "asking the hub", "state-busy"),
    "locked": ("◌", "another program fetches it", "ctx-warn"),
    "fetching": ("◐", "", "state-busy"),
    "waiting": ("◌", "waiting", "ctx-warn"),
    "verifying": ("◑", "verifying", "state-busy"),
    "done": ("●", "is here", "state-ready"),
    "cancelled": ("○", "given up", "muted"),
    "interrupted": ("○", "broken off", "ctx-warn"),
    "failed": ("✗", "failed", "error"),
}
"""Glyph, word and colour variable of each stage."""
RESUMABLE = frozenset({"failed", "cancelled", "interrupted"})
"""Stages after which the same pull may be asked for again, and goes on with what is here."""
NAME, LEAST_NAME, BAR = 34, 14, 12
_RANKS = {"failed": 1, "interrupted": 2, "cancelled": 2, "done": 3}


def key(state: PullState) -> tuple[str, str]:
    """Tells pulls apart, those of earlier runs too, which have no id."""
    return state.id, state.model


def going(states: Iterable[PullState]) -> list[PullState]:
    """Those that have neither ended nor been broken off."""
    return [state for state in states if not state.ended and state.stage != "interrupted"]


def listed(
    states: Sequence[PullState], interrupted: Sequence[PullState], hidden: Set[tuple[str, str]] = frozenset()
) -> list[PullState]:
    """What the queue shows, a model once: what goes on, what failed, what was broken off, what is here.

    `states` has of the ended ones the newest first; `hidden` are the keys of those that were put away.
    """
    seen: set[str] = set()
    found: list[PullState] = []
    for state in (*states, *interrupted):
        if state.model not in seen:
            seen.add(state.model)
            if key(state) not in hidden:
                found.append(state)
    return sorted(found, key=lambda state: _RANKS.get(state.stage, 0))


def share(state: PullState) -> float | None:
    """How much of it is here, 0 to 1; None before its size is known."""
    return min(1.0, state.done / state.size) if state.size else None


def line(state: PullState, width: int) -> Content:
    """Name, bar, figures and what it waits for, in `width` cells."""
    glyph, _, variable = MARKS[state.stage]
    told = said(state)
    part = share(state)
    shown = part is not None and state.stage not in ("done", "failed")
    cells = BAR if width >= 90 else BAR // 2
    gauge = f"{bar(part, cells)} {part:>4.0%}  " if shown and part is not None and width >= 60 else ""
    room = min(
        NAME if width < 120 else 2 * NAME, max(LEAST_NAME, width - len(gauge) - 4 - min(len(told), 40))
    )
    name = _fitted(plain(state.model), room)
    return Content.assemble(
        (f"{glyph} ", f"${variable}"),
        name.pad_right(max(0, room - name.cell_length)),
        "  ",
        (gauge, "$gauge"),
        (told, "$text-error" if state.stage == "failed" else "$foreground"),
    ).truncate(max(1, width), ellipsis=True)


def _fitted(model: str, room: int) -> Content:
    """A name in `room` cells. The owner matters least, the quantisation behind the colon most."""
    name = Content(model)
    if name.cell_length > room:
        base, colon, form = model.rpartition("/")[2].partition(":")
        end = Content(colon + form)
        if end.cell_length > room // 2:
            return (Content(base) + end).truncate(room, ellipsis=True)
        name = Content(base).truncate(room - end.cell_length, ellipsis=True) + end
    return name


def said(state: PullState) -> str:
    """How far it is, or what became of it."""
    word = MARKS[state.stage][1]
    if state.stage == "queued":
        before = f"{state.position} before it" if state.position else "next"
        return f"{word} · {before}"
    if state.stage == "failed":
        return plain(state.error.what, 200) if state.error is not None else word
    if state.stage == "done":
        return f"{word} · {units.size(state.size)}" + (f" · {plain(state.note, 80)}" if state.note else "")
    if state.stage in RESUMABLE:
        return f"{word} at {units.share(state.done, state.size)}" if state.size else word
    parts = [word] if word else []
    if state.stage == "fetching":
        parts.append(units.share(state.done, state.size))
        parts += [f"{units.size(round(state.speed))}/s"] if state.speed > 0 else []
        parts += [f"{units.wait(state.left_s)} left"] if state.left_s is not None else []
    return " · ".join([*parts, *([plain(state.note, 80)] if state.note else [])])
