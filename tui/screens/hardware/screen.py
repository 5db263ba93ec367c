"""The Hardware workspace: cards of gauges and curves, and under them the models in memory.

It asks the engine once a second while it is in sight, and not at all while it is hidden.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Final

import msgspec
from textual import on
from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import DataTable, Static

from engine import Engine
from engine.errors import HearthError
from engine.text_safety import clean, plain
from engine.types import Hardware, HardwarePoint, ModelReading
from tui.actions import bindings
from tui.board import board
from tui.model_care import ModelCare
from tui.screens.hardware.actions import ACTIONS
from tui.screens.hardware.residents import ResidentTable
from tui.telling.machine import cards

INTERVAL_S: Final = 1.0
AGAIN_S: Final = 30.0
"""How often the kept history is read anew; between that it grows by what was read here."""
SPANS: Final = {
    60.0: "1 min",
    300.0: "5 min",
    900.0: "15 min",
    3600.0: "1 h",
    6 * 3600.0: "6 h",
    86_400.0: "24 h",
}
"""Seconds that the curves show, by name."""
TABLE_ROWS: Final = 7
"""Models that the table shows at most without scrolling."""


class Board(VerticalScroll):
    """The cards. They fill the room; where there is too little they scroll."""

    HELP = """Processors, memory, GPUs, tokens per second and disks: bars of what is taken now (of memory the first
    part is Hearth's), and curves of the time that + and - choose. A ! marks what is worrying."""
    BINDING_GROUP_TITLE = "Readings"


class HardwareScreen(ModelCare):
    """What the machine does, and the models on it."""

    CSS_PATH = "hardware.tcss"
    BINDINGS = bindings(ACTIONS, "hardware")
    AUTO_FOCUS = "#resident"

    def __init__(self) -> None:
        super().__init__()
        self._now: Hardware | None = None
        self._history: deque[HardwarePoint] = deque()
        self._read_again = float("-inf")
        self._span = 300.0
        self._in_sight = asyncio.Event()

    def compose_workspace(self) -> ComposeResult:
        """Cards, models in memory, a line of figures."""
        with Board(id="board"):
            yield Static("Reading the machine …", id="cards", markup=False)
        yield Static("", id="caption", markup=False)
        yield ResidentTable(id="resident", cursor_type="row", cell_padding=1, zebra_stripes=False)
        yield Static("", id="summary", markup=False)

    def on_mount(self) -> None:
        """Begin to look."""
        self.run_worker(self._watch(), group="watch", exclusive=True)

    def on_screen_resume(self) -> None:
        """In sight again."""
        super().on_screen_resume()
        self._in_sight.set()

    def on_screen_suspend(self) -> None:
        """Out of sight: nothing is asked for."""
        self._in_sight.clear()

    def on_resize(self) -> None:
        """Cards follow the room."""
        self.call_after_refresh(self.redraw)

    @on(ResidentTable.Resized)
    def _table_resized(self) -> None:
        self.redraw()

    # --- data

    async def _watch(self) -> None:
        engine = await asyncio.to_thread(lambda: self.hearth.engine)
        while True:
            await self._in_sight.wait()
            try:
                await self._look(engine)
            except HearthError as error:
                self.query_one("#cards", Static).update(Content(clean(error.info.sentence())))
            else:
                self.redraw()
            await asyncio.sleep(INTERVAL_S)

    async def _look(self, engine: Engine) -> None:
        now = await engine.hardware()
        if now.t_unix >= self._read_again:
            self._history = deque(await engine.hardware_history(self._span))
            self._read_again = now.t_unix + AGAIN_S
        if not self._history or now.t_unix > self._history[-1].t_unix:
            self._history.append(now.point)
        while self._history and self._history[0].t_unix < now.t_unix - self._span:
            self._history.popleft()
        self._now = now

    @property
    def _models(self) -> tuple[ModelReading, ...]:
        return self._now.models if self._now is not None else ()

    @property
    def _chosen(self) -> ModelReading | None:
        place = self.query_one(ResidentTable).cursor_row
        return self._models[place] if 0 <= place < len(self._models) else None

    # --- drawing

    def redraw(self) -> None:
        """Show the last reading."""
        now = self._now
        if now is None or not self.is_mounted:
            return
        room = self.query_one(Board).scrollable_content_region
        found = cards(now, self._history)
        lines = board(found, max(20, room.width), room.height, now=now.t_unix, span=self._span)
        table = self.query_one(ResidentTable)
        with self.app.batch_update():
            self.query_one("#cards", Static).update(Content("\n").join(lines))
            self.query_one("#caption", Static).update(self._caption())
            table.styles.height = min(TABLE_ROWS, len(now.models)) + 1
            table.display = bool(now.models)
            table.show(now.models)
            self.query_one("#summary", Static).update(self._summary(now))

    def _caption(self) -> Content:
        if not self._models:
            return Content.assemble(("Models in memory", "bold $primary"), ("  none: l loads one", "$muted"))
        count = f"  {len(self._models)}"
        pinned = sum(reading.model.pinned for reading in self._models)
        return Content.assemble(
            ("Models in memory", "bold $primary"),
            (count + (f" · {pinned} pinned" if pinned else ""), "$muted"),
        )

    def _summary(self, now: Hardware) -> Content:
        """The system and the span; before it what could be read and is not."""
        said = f"curves of {SPANS[self._span]} (+ longer, - shorter) · {plain(now.system, 60)}"
        if not now.notes:
            return Content.styled(said, "$muted")
        note = now.notes[0]
        return Content.assemble(("! ", "$text-warning"), plain(f"{note.what} {note.fix}", 200))

    # --- what happens

    def action_span(self, step: int) -> None:
        """Show a longer or shorter time."""
        names = list(SPANS)
        self._span = names[max(0, min(len(names) - 1, names.index(self._span) + step))]
        self._read_again = float("-inf")
        self.hearth.flash(f"The curves show {SPANS[self._span]}.")
        self.run_worker(self._show_span(), group="span", exclusive=True)

    async def _show_span(self) -> None:
        await self._look(await asyncio.to_thread(lambda: self.hearth.engine))
        self.redraw()

    def action_move(self, step: int) -> None:
        """Move the cursor."""
        table = self.query_one(ResidentTable)
        table.move_cursor(row=table.cursor_row + step)

    @on(DataTable.RowSelected)
    async def _selected(self) -> None:
        await self.action_use()

    async def action_use(self) -> None:
        """Make the chat talk to the highlighted model, and go there."""
        if (chosen := self._chosen) is not None:
            await self.talk_to(chosen.model.id)

    def action_load(self) -> None:
        """Choose a model to load."""
        from tui.picker import ModelPicker

        self.app.push_screen(
            ModelPicker("", title="Load a model"), lambda name: self.load_model(name) if name else None
        )

    def action_unload(self) -> None:
        """Unload the highlighted model."""
        if (chosen := self._chosen) is None:
            self.hearth.flash("No model is in memory.")
        else:
            self.unload_model(chosen.model.id, answers=chosen.model.state == "busy")

    def action_pin(self) -> None:
        """Pin the highlighted model, or let it go."""
        if (chosen := self._chosen) is None:
            self.hearth.flash("Only a model in memory can be pinned: l loads one.")
        else:
            self.pin_model(chosen.model.id, not chosen.model.pinned)

    def action_copy_reading(self) -> None:
        """Copy the reading as JSON."""
        if self._now is not None:
            self.hearth.copy(msgspec.json.format(msgspec.json.encode(self._now)).decode())
