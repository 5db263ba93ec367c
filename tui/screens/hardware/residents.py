"""The rows of the models in memory, as plain text, and the table that shows them."""

from __future__ import annotations

from collections.abc import Sequence

from textual.binding import Binding
from textual.content import Content
from textual.coordinate import Coordinate
from textual.message import Message
from textual.widgets import DataTable

from engine.text_safety import plain
from engine.types import ModelReading
from tui import units
from tui.status import STATES
from tui.telling.machine import rate

COLUMNS = ("model", "memory", "on GPUs", "tok/s", "read/s", "cores", "requests", "leaves")
RIGHT = frozenset({"memory", "on GPUs", "tok/s", "read/s", "cores"})
DISPENSABLE = ("read/s", "on GPUs", "cores", "requests", "memory")
"""Columns that give way, in this order, when names would have fewer than `NAME` cells."""
NAME = 16
STATE_WIDTH = 12


def cells(reading: ModelReading) -> dict[str, str]:
    """What the columns say of a model."""
    model = reading.model
    asked = [f"{model.active} running"] if model.active else []
    asked += [f"{model.queued} waiting"] if model.queued else []
    return {
        "model": plain(model.id),
        "memory": units.size(reading.resident),
        "on GPUs": units.size(reading.gpu_memory),
        "tok/s": rate(reading.decode_rate) if reading.decode_rate else "–",
        "read/s": rate(reading.prefill_rate) if reading.prefill_rate else "–",
        "cores": f"{reading.cpu:.1f}" if reading.cpu >= 0.05 else "–",
        "requests": ", ".join(asked) or "–",
        "leaves": leaves(reading),
    }


def leaves(reading: ModelReading) -> str:
    """When the model goes: `in 4:59`, `pinned`, `stays`."""
    if reading.model.pinned:
        return "pinned"
    if reading.model.state == "loading":
        share = reading.model.fraction
        return "–" if share is None else f"{share:.0%} loaded"
    if reading.leaves_s is None:
        return "at work" if reading.model.active or reading.model.queued else "stays"
    minutes, seconds = divmod(round(reading.leaves_s), 60)
    if minutes >= 60:
        return f"in {minutes // 60} h {minutes % 60:02} min"
    return f"in {minutes}:{seconds:02}"


class ResidentTable(DataTable[Content], inherit_bindings=False):
    """The models in memory. Enter is left to the screen."""

    HELP = """The models in memory: what each takes, how fast it writes and reads, and when it leaves. l loads
    another, u unloads, p pins, enter makes the chat talk to it."""
    BINDING_GROUP_TITLE = "Models in memory"
    BINDINGS = [  # noqa: RUF012
        Binding("up", "cursor_up", "Up", show=False, id="resident.up"),
        Binding("down", "cursor_down", "Down", show=False, id="resident.down"),
        Binding("home,g", "scroll_top", "First", show=False, id="resident.first"),
        Binding("end,G", "scroll_bottom", "Last", show=False, id="resident.last"),
    ]

    class Resized(Message):
        """The room for the columns changed."""

    def on_resize(self) -> None:
        """Tell the screen."""
        self.post_message(self.Resized())

    def show(self, readings: Sequence[ModelReading]) -> None:
        """Show `readings`, the cursor staying on its model."""
        place = self.cursor_row
        rows = [cells(reading) for reading in readings]
        widths = {
            name: max([len(name), *(Content(row[name]).cell_length for row in rows)]) for name in COLUMNS
        }
        columns, widths["model"] = self._columns(widths)
        self.clear(columns=True)
        self.add_column(Content("state"), width=STATE_WIDTH, key="state")
        for name in columns:
            title = Content(name)
            self.add_column(
                title.right(widths[name]) if name in RIGHT else title, width=widths[name], key=name
            )
        for reading, row in zip(readings, rows, strict=True):
            self.add_row(_state(reading), *(_cell(name, row[name], widths[name]) for name in columns))
        if rows:
            self.cursor_coordinate = Coordinate(min(place, len(rows) - 1), 0)

    def _columns(self, widths: dict[str, int]) -> tuple[tuple[str, ...], int]:
        """The columns that there is room for, and the cells that names have beside them."""
        columns = COLUMNS
        for name in ("", *DISPENSABLE):
            columns = tuple(column for column in columns if column != name)
            others = STATE_WIDTH + 2 + sum(widths[column] + 2 for column in columns if column != "model")
            room = self.scrollable_content_region.width - others - 3
            if room >= min(NAME, widths["model"]):
                break
        return columns, max(8, min(room, widths["model"]))


def _state(reading: ModelReading) -> Content:
    glyph, word, variable = STATES[reading.model.state]
    return Content.assemble(
        (f"{glyph} {word}", f"${variable}"), (" ▪" if reading.model.pinned else "", "$accent")
    )


def _cell(column: str, text: str, width: int) -> Content:
    if column == "model":
        return Content(text).truncate(width, ellipsis=True).stylize("bold")
    content = Content(text).right(width) if column in RIGHT else Content(text)
    return content.stylize("$muted") if text == "–" else content
