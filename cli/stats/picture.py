"""A report as one picture: charts over time, and bars of throughput by group. PNG, by Pillow."""

from __future__ import annotations

import io
import time
from typing import TYPE_CHECKING, Final

from cli.stats import tables
from cli.stats.curves import Panel, panels, ticks
from cli.stats.gathered import Gathered
from cli.stats.page import runs
from engine.text_safety import plain

if TYPE_CHECKING:
    from PIL.ImageDraw import ImageDraw
    from PIL.ImageFont import FreeTypeFont, ImageFont

WIDTH: Final = 1200
_MARGIN, _GAP, _HIGH, _LEFT = 40, 40, 190, 60
_ROW, _MOST_GROUPS = 28, 12
_INK, _DIM, _LINE, _BACK = (29, 29, 31), (107, 107, 112), (217, 217, 222), (255, 255, 255)
_COLOURS: Final = ((194, 98, 45), (59, 120, 194))
_AREA: Final = (240, 216, 202)


class _Pen:
    """A brush with the two fonts of a picture."""

    def __init__(
        self, brush: ImageDraw, font: ImageFont | FreeTypeFont, large: ImageFont | FreeTypeFont
    ) -> None:
        self.brush, self.font, self.large = brush, font, large

    def text(self, x: float, y: float, text: str, *, dim: bool = False, anchor: str = "la") -> None:
        self.brush.text((x, y), text, fill=_DIM if dim else _INK, font=self.font, anchor=anchor)


def png(found: Gathered) -> bytes:
    """The file's bytes."""
    from PIL import Image, ImageDraw, ImageFont

    drawn = panels(found.traffic)
    rows = -(-len(drawn) // 2)
    groups = found.groups[:_MOST_GROUPS]
    top = 110
    height = top + rows * (_HIGH + _GAP) + 40 + len(groups) * _ROW + _MARGIN
    image = Image.new("RGB", (WIDTH, height), _BACK)
    pen = _Pen(ImageDraw.Draw(image), ImageFont.load_default(13), ImageFont.load_default(24))
    pen.brush.text((_MARGIN, 28), "Throughput and latency", fill=_INK, font=pen.large)
    about = f"{time.strftime('%Y-%m-%d %H:%M', time.localtime(found.made))} · {tables.headline(found)}"
    if only := tables.narrowed(found):
        about += f" · {only}"
    pen.text(_MARGIN, 66, _short(about, 150), dim=True)
    wide = (WIDTH - 2 * _MARGIN - _GAP) // 2
    for place, panel in enumerate(drawn):
        x = _MARGIN + place % 2 * (wide + _GAP)
        y = top + place // 2 * (_HIGH + _GAP)
        _panel(pen, panel, found, x, y, wide)
    _bars(pen, found, top + rows * (_HIGH + _GAP))
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def _panel(pen: _Pen, panel: Panel, found: Gathered, x: int, y: int, wide: int) -> None:
    pen.text(x, y, f"{panel.title}, {panel.unit}")
    if len(panel.lines) > 1:
        across = float(x + wide)
        for number, (name, _) in reversed(list(enumerate(panel.lines))):
            across -= pen.brush.textlength(name, font=pen.font)
            pen.brush.text((across, y), name, fill=_COLOURS[number], font=pen.font)
            across -= 14
    left, ground, high, top = x + _LEFT, y + _HIGH - 24, _HIGH - 52, panel.top
    room = wide - _LEFT
    for share in (0.0, 0.5, 1.0):
        level = ground - high * share
        pen.brush.line((left, level, left + room, level), fill=_LINE)
        pen.text(left - 8, level, f"{top * share:g}", dim=True, anchor="rm")
    for share, text in ticks(found.traffic, 5):
        anchor = "la" if share == 0 else "ra" if share == 1 else "ma"
        pen.text(left + room * share, ground + 6, text, dim=True, anchor=anchor)
    count = max(1, len(panel.lines[0][1]))
    for number, (_, values) in enumerate(panel.lines):
        for run in runs(values):
            points = [
                (left + room * (place + 0.5) / count, ground - high * value / top) for place, value in run
            ]
            if panel.filled and number == 0:
                pen.brush.polygon([(points[0][0], ground), *points, (points[-1][0], ground)], fill=_AREA)
            if len(points) == 1:
                across, level = points[0]
                pen.brush.ellipse((across - 2, level - 2, across + 2, level + 2), fill=_COLOURS[number])
            else:
                pen.brush.line(points, fill=_COLOURS[number], width=2)


def _bars(pen: _Pen, found: Gathered, y: int) -> None:
    """Tokens a second of an answer by group, with its time to first token."""
    pen.text(_MARGIN, y, f"Speed of an answer by {found.by}, tokens a second, and median time to first token")
    groups = found.groups[:_MOST_GROUPS]
    most = max((group.decode_rate or 0.0 for group in groups), default=0.0) or 1.0
    left, room = _MARGIN + 300, WIDTH - 2 * _MARGIN - 300 - 260
    for place, group in enumerate(groups):
        top = y + 26 + place * _ROW
        pen.text(_MARGIN, top + 5, _short(group.name or "none", 40), dim=True)
        rate = group.decode_rate or 0.0
        pen.brush.rectangle((left, top + 4, left + room * rate / most, top + _ROW - 6), fill=_COLOURS[0])
        first = "" if group.ttft_p50 is None else f" · {group.ttft_p50 * 1e3:,.0f} ms"
        pen.text(left + room * rate / most + 8, top + 5, f"{rate:.1f}{first} · {group.requests:,} requests")


def _short(text: str, most: int) -> str:
    text = plain(text)
    return text if len(text) <= most else f"{text[: most - 1]}…"
