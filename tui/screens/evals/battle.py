"""A battle of the arena: two models answer the same, unnamed, and a person says which answer is better."""

from __future__ import annotations

import os
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from itertools import combinations
from typing import TYPE_CHECKING, Literal

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Input, Static

from engine.errors import HearthError
from engine.text_safety import clean, plain
from tui.dialogue import Dialogue
from tui.screens.chat.conversation import ROOT, Controls, Conversation
from tui.screens.chat.figures import meta_line
from tui.screens.chat.generation import Generation
from tui.screens.chat.request import build
from tui.screens.chat.views import alert, growing_view
from tui.side_by_side import SideBySide

if TYPE_CHECKING:
    from evals import Battle

TICK_S = 1 / 15
Vote = Literal["first", "second", "tie", "neither"]
TOLD = {"first": "A is better", "second": "B is better", "tie": "both are as good", "neither": "both are bad"}


def drawn(models: Sequence[str], fought: Sequence[Battle], rng: random.Random) -> tuple[str, str]:
    """Two of `models` that met least so far, and which of them is left."""
    met = Counter(frozenset((each.first, each.second)) for each in fought)
    pairs = list(combinations(dict.fromkeys(models), 2))
    least = min(met[frozenset(pair)] for pair in pairs)
    one, other = rng.choice([pair for pair in pairs if met[frozenset(pair)] == least])
    return (one, other) if rng.random() < 0.5 else (other, one)


class BattleScreen(Dialogue[None]):
    """Battle after battle, until escape. `keep` keeps a vote."""

    HELP = """Write a question; two models answer it, and who they are is told only when you have voted. a or left: A is
    better; b or right: B is; t: both are as good; n: both are bad. Escape ends the battles."""
    DEFAULT_CSS = """
    BattleScreen .whole { width: 96%; height: 92%; background: $surface; border: round $border; padding: 0 1;
        border-title-color: $primary; border-title-style: bold; border-subtitle-color: $muted; }
    BattleScreen #state { height: auto; padding: 0 1; }
    BattleScreen Input { margin: 0 1; }
    """
    BINDINGS = [  # noqa: RUF012
        Binding("a,left", "vote('first')", "A is better", id="battle.first"),
        Binding("b,right", "vote('second')", "B is better", id="battle.second"),
        Binding("t", "vote('tie')", "Both as good", id="battle.tie"),
        Binding("n", "vote('neither')", "Both bad", id="battle.neither"),
        Binding("escape", "leave", "Close", id="battle.close"),
    ]

    def __init__(
        self,
        models: Sequence[str],
        fought: Sequence[Battle],
        keep: Callable[[Battle], Awaitable[None]],
        *,
        system: str = "",
        max_tokens: int | None = None,
        rng: random.Random | None = None,
    ) -> None:
        super().__init__()
        self._models, self._fought, self._keep = tuple(models), list(fought), keep
        self._system, self._max_tokens = system, max_tokens
        self._rng = rng or random.SystemRandom()
        self._prompt = ""
        self._pair: tuple[str, str] = ("", "")
        self._fighting: tuple[Generation, ...] = ()
        self._named = False
        """Whether it is told who answered."""

    def compose(self) -> ComposeResult:
        """Both answers, what is to be done, the question."""
        with Vertical(classes="whole") as box:
            box.border_title = f"Arena, {len(self._models)} models"
            box.border_subtitle = "esc end"
            yield SideBySide()
            yield Static("", id="state")
            yield Input(placeholder="Ask both something, enter sends it", id="question")

    def on_mount(self) -> None:
        """Begin with a question."""
        self._tell("Two of the models answer what you ask; you do not see which. Then you vote.")
        self.query_one(Input).focus()
        self.set_interval(TICK_S, self._tick)

    def on_unmount(self) -> None:
        """Leave no answer behind."""
        self._stop()

    # --- asking

    @property
    def state(self) -> Literal["asking", "answering", "voting"]:
        """What is waited for."""
        if not self._fighting or self._named:
            return "asking"
        if not all(each.ended for each in self._fighting):
            return "answering"
        return "asking" if any(each.node.error for each in self._fighting) else "voting"

    @on(Input.Submitted)
    def _submitted(self, event: Input.Submitted) -> None:
        prompt = clean(event.value).strip()
        if not prompt or self.state != "asking":
            return
        event.input.value = ""
        self._prompt, self._named = prompt, False
        self._pair = drawn(self._models, self._fought, self._rng)
        self._fighting = tuple(self._generation(model) for model in self._pair)
        self.query_one(SideBySide).choose(None)
        event.input.disabled = True
        self.query_one(SideBySide).side(0).focus()
        self._tell("Both are answering …")

    def _generation(self, model: str) -> Generation:
        talk = Conversation(id=os.urandom(6).hex())
        talk.controls = Controls(system=self._system or None, max_tokens=self._max_tokens)
        question = talk.add(ROOT, "user", self._prompt)
        node = talk.add(question.id, "assistant", model=model)
        request = build(model, [question], talk.controls)
        generation = Generation(talk, node, request, lambda: self.hearth.connection.ready)
        generation.begin()
        return generation

    def _tick(self) -> None:
        if not self._fighting or self._named:
            return
        for place, each in enumerate(self._fighting):
            if not each.ended:
                each.poll()
            self._show(place)
        if self.state == "voting":
            self._tell("a A is better · b B is better · t both as good · n both bad", "bold $primary")
        elif self.state == "asking":
            self._named = True
            self._show(0)
            self._show(1)
            self._tell(
                "One of the two could not answer, so there is nothing to vote on. Ask again.", "$text-warning"
            )
            self._ask_again()
        self.refresh_bindings()

    def _show(self, place: int) -> None:
        generation = self._fighting[place]
        node = generation.node
        view = growing_view(generation.conversation, node)
        progress = generation.progress
        waits = "" if node.content or node.reasoning or generation.ended else f" · {progress.stage}"
        name = f" · {plain(self._pair[place], 60)}" if self._named else waits
        view = replace(
            view,
            id=f"{generation.conversation.id}",
            text=node.content,
            reasoning=node.reasoning,
            title=f"{'AB'[place]}{name}",
            # How fast it was would tell who it was.
            meta=meta_line(node) if self._named else "",
            alert=alert(generation.conversation, node) if generation.ended else "",
        )
        self.query_one(SideBySide).show(place, view, over=generation.ended)

    # --- voting

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """A vote needs two answers, and a key that is not text."""
        if action == "vote":
            return self.state == "voting" and not isinstance(self.focused, Input)
        return True

    def action_vote(self, outcome: Vote) -> None:
        """Say which is better; then it is told who they are."""
        from evals import Battle

        battle = Battle(
            id=os.urandom(8).hex(),
            created=time.time(),
            prompt=self._prompt,
            first=self._pair[0],
            second=self._pair[1],
            answers=(self._fighting[0].node.content, self._fighting[1].node.content),
            outcome=outcome,
        )
        self._named = True
        self._fought.append(battle)
        self.query_one(SideBySide).choose({"first": 0, "second": 1}.get(outcome))
        self._show(0)
        self._show(1)
        self._tell(f"You said that {TOLD[outcome]}. Ask something else, or esc.", "$text-success")
        self._ask_again()
        self.run_worker(self._kept(battle), group="vote")

    async def _kept(self, battle: Battle) -> None:
        try:
            await self._keep(battle)
        except HearthError as error:
            self.hearth.show_error(error)

    def _ask_again(self) -> None:
        field = self.query_one(Input)
        field.disabled = False
        field.focus()

    def _tell(self, text: str, style: str = "$muted") -> None:
        self.query_one("#state", Static).update(Content.styled(text, style))

    def _stop(self) -> None:
        for each in self._fighting:
            each.stop()

    def action_leave(self) -> None:
        """End the battles; a question that is being answered is given up."""
        self._stop()
        self.dismiss()
