"""The line of views of a workspace that has several: `▌Requests 12   Running 1   Keys 2 …`; a click goes there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, cast

from textual.content import Content

from tui.chrome import Line, Part

NARROW = 64


class Viewed(Protocol):
    """A screen with views; its action `go` shows one."""

    view: str

    def views(self) -> Sequence[tuple[str, str, int]]:
        """Name, title and number of rows of each view; 0 is not told."""
        ...


class ViewLine(Line):
    """The views of the screen it is on."""

    DEFAULT_CSS = """
    ViewLine { height: 1; padding: 0 1; color: $muted; }
    """

    def parts(self) -> Sequence[Part]:
        """One part a view, with the number of its rows."""
        screen = cast(Viewed, self.screen)
        found: list[Part] = []
        narrow = self.content_region.width < NARROW
        for name, title, count in screen.views():
            here = name == screen.view
            text = Content.assemble(
                ("▌" if here else " ", "$primary"),
                (title, "bold $primary" if here else "$muted"),
                (f" {count}" if count else "", "$muted"),
                " " if narrow else "   ",
            )
            found.append(Part(text, f"go('{name}')"))
        return found
