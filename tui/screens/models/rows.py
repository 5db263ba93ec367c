"""What is shown of the models that are here, as plain data: rows, order, the card. Knows no widget."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any

from engine.text_safety import clean, plain
from engine.types import Fit, LoadedModel, ModelEntry
from tui import units
from tui.screens.models.found import VERDICTS
from tui.status import STATES
from tui.telling.waiting import bar, stage

SORTS = ("name", "size", "params", "used", "state")
_STATES = {"shrunk": "shrunk: weights in memory, KV cache given up"}
"""States that a word does not explain."""
RESIDENT = frozenset({"ready", "busy", "shrunk", "draining"})
"""States in which a model's weights are in memory."""
BAR = 16


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table."""

    entry: ModelEntry
    state: str
    """A key of `STATES`."""
    chosen: bool
    """Whether the chat talks to it."""
    pinned: bool = False
    newer: bool = False
    """Whether the hub was asked, and has a newer revision."""
    fit: Fit | None = None
    """Whether it would fit into memory, once that is known."""

    @property
    def cells(self) -> tuple[str, ...]:
        """Name, family, parameters, quantisation, context, size, fit, source: clean text."""
        entry = self.entry
        fit = VERDICTS[self.fit.verdict][1] if self.fit is not None and self.fit.verdict != "unknown" else ""
        return (
            plain(entry.id),
            plain(entry.architecture, 12) or "–",
            units.parameters(entry.parameters),
            plain(entry.quantisation, 10) or "–",
            units.window(entry.context) if entry.context else "–",
            units.size(entry.size),
            fit,
            plain(entry.source, 12),
        )


def rows(
    entries: Sequence[ModelEntry],
    loaded: Sequence[LoadedModel],
    chosen: str,
    *,
    words: str = "",
    sort: str = "name",
    newer: Set[str] = frozenset(),
    fits: Mapping[str, Fit] = {},
    only_fitting: bool = False,
) -> list[Row]:
    """The rows whose name, family, quantisation or source hold every word, in order; broken ones last.

    With `only_fitting` without those that are too big, or broken.
    """
    states = {model.id: model.state for model in loaded}
    pinned = {model.id for model in loaded if model.pinned}
    found = [
        Row(
            entry,
            "broken" if entry.broken else states.get(entry.id, ""),
            entry.id == chosen,
            entry.id in pinned,
            entry.source == "huggingface" and repository(entry) in newer,
            fits.get(entry.id),
        )
        for entry in entries
        if matches(entry, words)
    ]
    if only_fitting:
        found = [
            row
            for row in found
            if row.state in RESIDENT
            or not (row.entry.broken or (row.fit is not None and row.fit.verdict == "too big"))
        ]
    keys: dict[str, Callable[[Row], Any]] = {
        "name": lambda row: row.entry.id.lower(),
        "size": lambda row: -row.entry.size,
        "params": lambda row: -row.entry.parameters,
        "used": lambda row: -row.entry.used,
        "state": lambda row: (row.state == "", row.entry.id.lower()),
    }
    return sorted(sorted(found, key=keys["name"]), key=lambda row: (row.state == "broken", keys[sort](row)))


def repository(entry: ModelEntry) -> str:
    """The repository that a model of the hub's cache belongs to: its name without quantisation and revision."""
    return entry.id.partition(":")[0].partition("@")[0]


def matches(entry: ModelEntry, words: str) -> bool:
    """Whether every word of `words` is in what the table says about `entry`."""
    text = f"{entry.id} {entry.architecture} {entry.quantisation} {entry.source} {entry.format}".lower()
    return all(word in text for word in words.lower().split())


def card(row: Row, loaded: Mapping[str, LoadedModel], now_ns: int | None = None) -> list[tuple[str, str]]:
    """Label and value of everything known about a model; clean text, values may be long."""
    entry = row.entry
    model = loaded.get(entry.id)
    found = [
        ("state", _STATES.get(row.state) or STATES[row.state][1] or "on disk"),
        ("stage", stage(model.stage) if model is not None else ""),
        ("so far", _share(model.fraction) if model is not None else ""),
        ("family", entry.architecture or "unknown"),
        ("parameters", f"{entry.parameters:,}" if entry.parameters else "unknown"),
        ("quantised", entry.quantisation or "unknown"),
        ("context", f"{entry.context:,} tokens" if entry.context else "unknown"),
        ("size", units.size(entry.size)),
        ("reads", ", ".join(entry.modalities)),
        ("format", entry.format),
        ("runs on", ", ".join(entry.backends) or "no backend here"),
        ("adapters", ", ".join(entry.adapters)),
        ("licence", entry.licence),
        ("source", entry.source),
        ("also", ", ".join(entry.also)),
        ("last used", units.ago(entry.used) if entry.used else ""),
        *(("note", remark) for remark in entry.remarks),
        ("revision", "the hub has a newer one: n asks for it" if row.newer else ""),
        ("path", entry.path),
    ]
    if model is not None:
        found += [
            ("", ""),
            ("worker", f"process {model.pid}" if model.pid else ""),
            ("requests", f"{model.active} running, {model.queued} waiting"),
            ("leaves", _leaves(model, time.monotonic_ns() if now_ns is None else now_ns)),
        ]
        if model.facts is not None and model.facts.context:
            found.append(("window", f"{model.facts.context:,} tokens"))
        if model.facts is not None and model.facts.device:
            found.append(("device", model.facts.device))
    return [(label, clean(value)) for label, value in found if value or not label]


def _share(fraction: float | None) -> str:
    """How far a stage is; empty where that is not known."""
    return "" if fraction is None else f"{fraction:.0%} {bar(fraction, BAR)}"


def _leaves(model: LoadedModel, now_ns: int) -> str:
    if model.pinned:
        return "stays: it is pinned, p lets it go"
    if model.expires_ns is None:
        return "stays"
    minutes, seconds = divmod(max(0, model.expires_ns - now_ns) // 10**9, 60)
    return f"in {minutes} min" if minutes else f"in {seconds} s"
