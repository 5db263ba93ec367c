"""The pulls: one line each with how far it is, seen from both views; go on, cancel, put away."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

from textual import on
from textual.binding import Binding
from textual.message import Message
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from engine.errors import HearthError
from engine.types import PullRequest, PullState
from tui.screens.models import pull_lines
from tui.screens.models.actions import PULLS
from tui.status import Sample

if TYPE_CHECKING:
    from tui.app import HearthApp


class PullList(OptionList, inherit_bindings=False):
    """The queue: what goes on, what failed, what was broken off, what came. It is not there while it is empty."""

    HELP = """Pulls from the hub. One runs at a time, the others wait. x cancels one, and what is here of it stays:
    enter goes on with what was cancelled, broken off or failed, and says first why it failed."""
    BINDING_GROUP_TITLE = "Pulls"
    BINDINGS = [  # noqa: RUF012
        Binding("up,k", "cursor_up", "Up", show=False, id="pulls.up"),
        Binding("down,j", "cursor_down", "Down", show=False, id="pulls.down"),
        Binding("home,g", "first", "First", show=False, id="pulls.first"),
        Binding("end,G", "last", "Last", show=False, id="pulls.last"),
        *(action.binding for action in PULLS),
    ]

    class Left(Message):
        """The view above is wanted."""

    class Came(Message):
        """A model came: there is more on this machine."""

    def __init__(self) -> None:
        super().__init__(id="pulls", markup=False)
        self._states: list[PullState] = []
        self._interrupted: list[PullState] = []
        self._hidden: set[tuple[str, str]] = set()
        self._ended: frozenset[tuple[str, str]] = frozenset()
        self._told: tuple[object, ...] = ()

    @property
    def hearth(self) -> HearthApp:
        """The app, by its own type."""
        return cast("HearthApp", self.app)

    def on_mount(self) -> None:
        """Listen, and ask what earlier runs left behind."""
        self.border_title = "pulls"
        self.display = False
        self._draw()
        self.hearth.sampled.subscribe(self, self._sampled)
        self._ask()

    def on_resize(self) -> None:
        """Lines follow the width."""
        self._draw()

    def _ask(self) -> None:
        self.run_worker(self._look(), group="interrupted", exclusive=True)

    async def _look(self) -> None:
        try:
            engine = await self.hearth.connection.reached()
            self._interrupted = await engine.interrupted_pulls()
        except HearthError:
            self._interrupted = []
        self._draw()

    def _sampled(self, sample: Sample) -> None:
        ended = frozenset((state.id, state.stage) for state in sample.pulls if state.ended)
        new = ended - self._ended
        if new:
            self._ended = ended
            self._ask()
            if any(stage == "done" for _, stage in new):
                self.post_message(self.Came())
        self._draw()

    def _draw(self) -> None:
        known = pull_lines.listed(self.hearth.sample.pulls, self._interrupted, self._hidden)
        width = self.scrollable_content_region.width or self.screen.size.width - 6
        now = (known, width)
        if now == self._told:
            return
        same = [pull_lines.key(state) for state in known] == [pull_lines.key(state) for state in self._states]
        before = self._state
        self._told, self._states = now, known
        lines = [pull_lines.line(state, width) for state in known]
        if same and self.option_count == len(lines):
            for place, line in enumerate(lines):
                self.replace_option_prompt_at_index(place, line)
        else:
            self.clear_options()
            self.add_options(Option(line) for line in lines)
            keys = [pull_lines.key(state) for state in known]
            if known:
                at = pull_lines.key(before) if before is not None else None
                self.highlighted = keys.index(at) if at in keys else 0
        self.border_subtitle = self._figures(known)
        if self.has_focus and not known:
            self.post_message(self.Left())
        self.display = bool(known)

    def _figures(self, known: Sequence[PullState]) -> str:
        going = len(pull_lines.going(known))
        return f"{going} going on" if going else ""

    @property
    def _state(self) -> PullState | None:
        """The highlighted pull."""
        place = self.highlighted
        return self._states[place] if place is not None and place < len(self._states) else None

    # --- what happens -----------------------------------------------------------------------------------------

    @on(OptionList.OptionSelected)
    def _selected(self) -> None:
        self.action_go_on()

    def action_go_on(self) -> None:
        """Go on with a pull that does not; of one that failed, say why first."""
        state = self._state
        if state is None:
            return
        if state.stage not in pull_lines.RESUMABLE:
            self.hearth.flash("It is here." if state.stage == "done" else "It goes on already.")
        elif state.error is not None:
            from tui.confirm import Confirm

            why = "\n".join(part for part in (state.error.why, state.error.fix) if part)
            self.app.push_screen(
                Confirm(state.error.what, f"{why}\n\nGo on with it now?"),
                lambda sure: self._go_on(state) if sure else None,
            )
        else:
            self._go_on(state)

    def _go_on(self, state: PullState) -> None:
        self._hidden.discard(pull_lines.key(state))
        self.run_worker(self._pull(state.model), group="pull")

    async def _pull(self, model: str) -> None:
        (await self.hearth.connection.reached()).pull(PullRequest(model=model))

    def action_cancel(self) -> None:
        """Give the highlighted pull up; put away one that has ended."""
        state = self._state
        if state is None:
            return
        if state.ended or state.stage == "interrupted":
            self._hidden.add(pull_lines.key(state))
            self._draw()
        else:
            self.run_worker(self._cancel(state), group="pull")

    async def _cancel(self, state: PullState) -> None:
        engine = await self.hearth.connection.reached()
        if await engine.cancel_pull(state.id):
            self.hearth.flash("Given up. What is here of it stays: enter goes on from there.")

    def action_clear(self) -> None:
        """Put away what has ended."""
        self._hidden |= {pull_lines.key(state) for state in self._states if state.ended}
        self._draw()

    def action_back(self) -> None:
        """Go back to the view above."""
        self.post_message(self.Left())
