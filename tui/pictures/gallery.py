"""Draws pictures for the messages that show them: in threads, each once for a size, kept by content.

gallery = Gallery(Ways.blocks())
drawing = gallery.cached(picture, box) or await gallery.draw(picture, box)
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from textual.content import Content

from engine.errors import HearthError
from tui.asking.pictures import Picture
from tui.pictures.box import Box

if TYPE_CHECKING:
    from PIL import Image
    from textual.widget import Widget

MOST_KEPT = 64 * 2**20
"""Bytes of drawings; those that were looked at longest ago are let go, and made again if they are needed."""
CELL_BYTES = 800
"""What a cell of a drawing in blocks takes where no two are alike, measured."""
AT_ONCE = 2
"""Pictures that are decoded at once: the answer wants the other cores."""

Way = Literal["graphics", "blocks", "placeholder"]
Maker = Callable[["Image.Image"], "Callable[[], Widget]"]
"""From pixels to what makes the widget with which the terminal draws them; run in a thread."""


@dataclass(frozen=True, slots=True)
class Drawing:
    """A picture in one box: rows of cells, or a widget that lies over them, or what kept it from being drawn."""

    rows: tuple[Content, ...] = ()
    widget: Callable[[], Widget] | None = None
    problem: str = ""
    weight: int = 0
    """Bytes of memory, about."""


class Gallery:
    """`cell` is the size of a terminal's cell in pixels, `why` what a placeholder says of itself."""

    def __init__(
        self,
        way: Way = "placeholder",
        *,
        make: Maker | None = None,
        cell: tuple[int, int] = (10, 20),
        why: str = "",
    ) -> None:
        self.way: Way = way
        self.why = why
        self.cell = cell
        self._make = make
        self._kept: OrderedDict[tuple[str, Box], Drawing] = OrderedDict()
        self._weight = 0
        self._places = asyncio.Semaphore(AT_ONCE)

    def cached(self, picture: Picture, box: Box) -> Drawing | None:
        """The drawing, if it was made before."""
        drawing = self._kept.get((picture.digest, box))
        if drawing is not None:
            self._kept.move_to_end((picture.digest, box))
        return drawing

    async def draw(self, picture: Picture, box: Box) -> Drawing:
        """The drawing; what goes wrong is in it. A problem is not kept: the file may come back."""
        async with self._places:
            drawing = self.cached(picture, box)
            if drawing is None:
                drawing = await asyncio.to_thread(self._drawn, picture, box)
                if not drawing.problem:
                    self._keep(picture, box, drawing)
        return drawing

    def _keep(self, picture: Picture, box: Box, drawing: Drawing) -> None:
        # Two may have been at it at once.
        before = self._kept.pop((picture.digest, box), None)
        self._kept[picture.digest, box] = drawing
        self._weight += drawing.weight - (before.weight if before is not None else 0)
        while self._weight > MOST_KEPT and len(self._kept) > 1:
            self._weight -= self._kept.popitem(last=False)[1].weight

    def _drawn(self, picture: Picture, box: Box) -> Drawing:
        from tui.pictures.blocks import half_blocks
        from tui.pictures.decoding import decoded

        try:
            if self.way == "graphics" and self._make is not None:
                across, down = self.cell
                image = decoded(picture, box.columns * across, box.rows * down)
                return Drawing(widget=self._make(image), weight=4 * image.width * image.height)
            rows = half_blocks(decoded(picture, box.columns, box.rows * 2))
            return Drawing(rows, weight=CELL_BYTES * box.columns * box.rows)
        except HearthError as error:
            return Drawing(problem=error.info.what)
        except ImportError:
            return Drawing(problem="Pillow is not installed.")
