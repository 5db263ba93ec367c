"""What a search of the hub is narrowed by, and the line above the results that shows it. Clicks and keys turn it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec import Struct
from msgspec.structs import replace
from textual.content import Content
from textual.dom import DOMNode

from engine.types import HubQuery
from tui.chrome import Line, Part

LIBRARIES: tuple[tuple[Any, str], ...] = (
    ("gguf", "GGUF"),
    ("mlx", "MLX"),
    ("safetensors", "safetensors"),
    (None, "any"),
)
TASKS: tuple[tuple[Any, str], ...] = (
    ("", "any"),
    ("text-generation", "text"),
    ("image-text-to-text", "images and text"),
    ("feature-extraction", "vectors"),
    ("sentence-similarity", "similarity"),
    ("text-ranking", "ranking"),
)
SIZES: tuple[tuple[Any, str], ...] = (
    (None, "any"),
    (1_500_000_000, "≤ 1.5B"),
    (4_500_000_000, "≤ 4B"),
    (9_500_000_000, "≤ 9B"),
    (15_000_000_000, "≤ 15B"),
    (36_000_000_000, "≤ 36B"),
    (80_000_000_000, "≤ 80B"),
)
ORDERS: tuple[tuple[Any, str], ...] = (
    ("downloads", "downloads"),
    ("likes", "likes"),
    ("date", "date"),
    ("trending", "trending"),
)
CHOICES = {"library": LIBRARIES, "task": TASKS, "size": SIZES, "order": ORDERS}
"""By field of `Filters`: what it may be, and what that is called. What it is at first stands first."""
LIMIT = 50
MOST_TEXT = 200


class Filters(Struct, frozen=True):
    """Every field but `fits` is a place in its row of `CHOICES`."""

    library: int = 0
    task: int = 0
    size: int = 0
    order: int = 0
    fits: bool = False
    """Whether only what may fit into this machine's memory is shown."""

    def turned(self, field: str) -> Filters:
        """With the next choice for `field`."""
        if field == "fits":
            return replace(self, fits=not self.fits)
        return replace(self, **{field: (getattr(self, field) + 1) % len(CHOICES[field])})

    def said(self, field: str) -> str:
        """What `field` is now, for people."""
        return CHOICES[field][getattr(self, field)][1]

    def query(self, words: str) -> HubQuery:
        """The search for `words`."""
        return HubQuery(
            text=" ".join(words.split())[:MOST_TEXT],
            library=LIBRARIES[self.library][0],
            task=TASKS[self.task][0],
            order=ORDERS[self.order][0],
            most_parameters=SIZES[self.size][0],
            fits=self.fits,
            limit=LIMIT,
        )


class FilterLine(Line):
    """`f ○ fits   m format GGUF   t task any   z size any   s by downloads`; a click turns what is under it."""

    DEFAULT_CSS = """
    FilterLine { height: 1; padding: 0 2; color: $foreground; }
    """

    def __init__(self, view: DOMNode) -> None:
        super().__init__(id="filters")
        self._view = view
        self._filters = Filters()

    @property
    def acts_on(self) -> DOMNode:
        """The view, whose filters they are."""
        return self._view

    def show(self, filters: Filters) -> None:
        """Draw these."""
        self._filters = filters
        self.refresh()

    def parts(self) -> Sequence[Part]:
        """One a filter; the labels go where the room is small."""
        now = self._filters
        on = ("● ", "$primary") if now.fits else ("○ ", "$muted")
        found = [("fits", "f", "", Content.assemble(on, ("fits", "bold" if now.fits else "")))]
        for field, key, label in (
            ("library", "m", "format"),
            ("task", "t", "task"),
            ("size", "z", "size"),
            ("order", "s", "by"),
        ):
            is_set = getattr(now, field) != 0 or field == "library"
            found.append((field, key, label, Content.styled(now.said(field), "bold" if is_set else "")))
        room = self.content_region.width
        between = 3
        drawn = [_drawn(key, label, value) for _, key, label, value in found]
        if sum(each.cell_length + between for each in drawn) > room:
            drawn = [_drawn(key, "", value) for _, key, _, value in found]
        if sum(each.cell_length + between for each in drawn) > room:
            between = 1
        parts: list[Part] = []
        for (field, *_), content in zip(found, drawn, strict=True):
            if parts:
                parts.append(Part(Content(" " * between)))
            parts.append(Part(content, f"turn('{field}')"))
        return parts


def _drawn(key: str, label: str, value: Content) -> Content:
    return Content.assemble((f"{key} ", "$accent"), (f"{label} " if label else "", "$muted"), value)
