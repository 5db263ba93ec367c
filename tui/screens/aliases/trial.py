"""The try-it box: one question to the model with the values on the form, saved or not; streamed, stopped by esc.

What is sent says everything itself that the alias would say, so that the answer is the alias's.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, cast

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical, VerticalScroll
from textual.message import Message as Said
from textual.timer import Timer
from textual.widgets import Input, Static

from engine.text_safety import clean, plain
from engine.types import Alias, Constraint, GenerationRequest, LoadOptions, Message, Thinking
from tui.screens.chat.activity import SPINNER, activity
from tui.screens.chat.conversation import Conversation, Node
from tui.screens.chat.figures import meta_line, warnings
from tui.screens.chat.generation import Generation
from tui.stream.answer import StreamingAnswer
from tui.stream.frozen import FrozenMessage, MessageView
from tui.stream.pump import TICK
from tui.telling.thinking import thought

if TYPE_CHECKING:
    from tui.app import HearthApp

CONTINUES = " · c continues"
"""What a chat says behind an answer that can be written on; this one cannot."""


def request_by(alias: Alias, question: str, system: str | None = None) -> GenerationRequest:
    """`question` as a request that says itself all that `alias` would; `system` is the text of its named prompt."""
    return GenerationRequest(
        model=alias.model,
        messages=(*alias.messages, Message(role="user", content=question)),
        system=system if alias.prompt is not None else alias.system,
        template=alias.template,
        sampling=dict(alias.sampling),
        stop=alias.stop,
        max_tokens=alias.max_tokens,
        constraint=Constraint(kind="json") if alias.json_mode else None,
        thinking=alias.thinking or Thinking(),
        overflow=alias.overflow,
        adapters=alias.adapters,
        load=alias.load or LoadOptions(),
        backend=alias.backend,
        keep_alive=alias.keep_alive,
        image_max_side=alias.image_max_side,
        client="tui",
        source="tui",
        priority="interactive",
    )


def view_of(node: Node, name: str) -> MessageView:
    """An answer by the alias `name` as it is shown: with its figures, and what went wrong."""
    error = node.error
    alert = (
        [f"✗ {error.what}", error.why and f"  {error.why}", error.fix and f"→ {error.fix}"] if error else []
    )
    return MessageView(
        id="trial",
        role="assistant",
        text=clean(node.content),
        title=f"◆ {plain(name, 60)}",
        meta=meta_line(node).replace(CONTINUES, ""),
        alert=clean("\n".join(part for part in alert if part)),
        reasoning=clean(node.reasoning),
        thought=thought(node.thought_ns / 1e9, node.thought_tokens) if node.reasoning else "",
        warning=warnings(node),
        syntax=node.syntax,
    )


class TrialBox(Vertical, can_focus=False):
    """A question, its answer, and figures. Posts `Asked`; the screen says with what values by `ask`."""

    HELP = """Ask one question with the values on the form, saved or not. Enter asks, esc stops the answer and then goes
    back. Nothing of it is kept."""
    BINDING_GROUP_TITLE = "Try it"
    BINDINGS = [  # noqa: RUF012
        Binding("escape", "stop", "Stop, back", show=True, id="aliases.try.stop"),
    ]

    class Asked(Said):
        """The question is to be answered."""

        def __init__(self, question: str) -> None:
            super().__init__()
            self.question = question

    class Left(Said):
        """Back to the form."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.generation: Generation | None = None
        self._node: Node | None = None
        self._asked = ""
        """The alias that was asked."""
        self._talk = Conversation(id="trial")
        self._timer: Timer | None = None
        self._turn = 0

    @property
    def hearth(self) -> HearthApp:
        """The app, by its own type."""
        return cast("HearthApp", self.app)

    def compose(self) -> ComposeResult:
        """The question, what is going on, the answer."""
        self.border_title = "Try it"
        yield Input(placeholder="Ask something with these values", id="question", select_on_focus=False)
        yield Static("", id="going", markup=False)
        yield VerticalScroll(id="answer", can_focus=True)

    def on_mount(self) -> None:
        """Nothing goes on."""
        self.query_one("#going").display = False

    @property
    def question(self) -> Input:
        """Where it is asked."""
        return self.query_one("#question", Input)

    @property
    def busy(self) -> bool:
        """Whether an answer is being written."""
        return self.generation is not None and not self.generation.ended

    @on(Input.Submitted, "#question")
    def _submitted(self, event: Input.Submitted) -> None:
        event.stop()
        if event.value.strip() and not self.busy:
            self.post_message(self.Asked(event.value))

    @on(Input.Changed, "#question")
    def _typed(self, event: Input.Changed) -> None:
        event.stop()

    async def ask(self, request: GenerationRequest, name: str) -> None:
        """Ask, in place of what was asked before."""
        self.forget()
        self._asked = name
        self._node = Node(id="answer", parent="", role="assistant", model=name)
        if request.constraint is not None:
            self._node.syntax = "json"
        self.generation = Generation(
            self._talk, self._node, request, engine=lambda: self.hearth.connection.ready
        )
        scroll = self.query_one("#answer", VerticalScroll)
        await scroll.remove_children()
        await scroll.mount(StreamingAnswer(replace(view_of(self._node, name), text="")))
        self._timer = self.set_interval(TICK, self._tick)
        self._tick()

    def forget(self) -> None:
        """Stop what is running, and its clock."""
        if self.generation is not None:
            self.generation.stop()
        if self._timer is not None:
            self._timer.stop()
            self._timer = None

    def _tick(self) -> None:
        generation, node = self.generation, self._node
        answers = self.query(StreamingAnswer)
        if generation is None or node is None or not answers:
            return
        answer = answers.last(StreamingAnswer)
        pieces = generation.poll()
        for reasons, text in pieces:
            (answer.append_reasoning if reasons else answer.append)(text)
        if pieces:
            self.query_one("#answer", VerticalScroll).scroll_end(animate=False)
        self._turn += 1
        going = self.query_one("#going", Static)
        going.display = True
        if not generation.ended:
            going.update(activity(generation, 0, SPINNER[self._turn // 2 % len(SPINNER)]))
            return
        self.forget()
        going.display = False
        self.run_worker(self._finished(node), group="trial", exclusive=True)

    async def _finished(self, node: Node) -> None:
        """Put the finished form in place of the growing one: with its figures, or what went wrong."""
        scroll = self.query_one("#answer", VerticalScroll)
        await scroll.remove_children()
        await scroll.mount(FrozenMessage(view_of(node, self._asked)))

    def action_stop(self) -> None:
        """Stop the answer; with none going, leave."""
        if self.busy and self.generation is not None:
            self.generation.stop()
        else:
            self.post_message(self.Left())

    def on_unmount(self) -> None:
        """Nobody reads on."""
        self.forget()
