"""Another model's answer beside the first: both on screen, and which of them the conversation goes on from."""

from __future__ import annotations

from dataclasses import replace

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Static

from engine.text_safety import plain
from tui.dialogue import Dialogue
from tui.screens.chat.conversation import Conversation, Node
from tui.screens.chat.presenter import ChatPresenter
from tui.screens.chat.views import growing_view, view_of
from tui.side_by_side import SideBySide

TICK_S = 1 / 15


class Beside(Dialogue[str]):
    """Closes with the id of the answer to go on from: the left one, unless the right one was chosen.

    Both are branches of the conversation, whatever is chosen.
    """

    HELP = """The same question, answered by two models. Left and right choose the answer that the conversation goes on
    from, enter takes it; escape takes the left one, which was there before. Both stay in the conversation, as
    branches."""
    DEFAULT_CSS = """
    Beside .whole { width: 96%; height: 92%; background: $surface; border: round $border; padding: 0 1;
        border-title-color: $primary; border-title-style: bold; border-subtitle-color: $muted; }
    Beside #asked { height: auto; max-height: 4; color: $muted; padding: 0 1; }
    """
    BINDINGS = [  # noqa: RUF012
        Binding("left", "choose(0)", "Left", priority=True, id="beside.left"),
        Binding("right", "choose(1)", "Right", priority=True, id="beside.right"),
        Binding("enter", "take", "Go on from it", priority=True, id="beside.take"),
        Binding("escape", "leave", "Close", id="beside.close"),
    ]

    def __init__(
        self, presenter: ChatPresenter, conversation: Conversation, first: Node, second: Node
    ) -> None:
        super().__init__()
        self._presenter, self._conversation = presenter, conversation
        self._answers = (first, second)
        self._chosen = 0
        self._over: set[str] = set()

    def compose(self) -> ComposeResult:
        """The question, both answers."""
        question = self._conversation.nodes[self._answers[0].parent]
        with Vertical(classes="whole") as box:
            box.border_title = "Side by side"
            box.border_subtitle = "←→ choose · enter go on from it · esc as before"
            yield Static(Content(plain(" ".join(question.content.split()), 400)), id="asked")
            yield SideBySide()

    def on_mount(self) -> None:
        """Draw what there is, then what comes."""
        self.query_one(SideBySide).choose(0)
        self.query_one(SideBySide).side(0).focus()
        self._draw()
        self.set_interval(TICK_S, self._draw)

    def _draw(self) -> None:
        running = self._presenter.running(self._conversation)
        writes = running.generation.node.id if running is not None else ""
        for place, node in enumerate(self._answers):
            if node.id in self._over:
                continue
            over = node.id != writes
            view = view_of(self._conversation, node) if over else growing_view(self._conversation, node)
            view = replace(view, id=node.id, text=node.content, reasoning=node.reasoning)
            self.query_one(SideBySide).show(place, view, over=over)
            if over:
                self._over.add(node.id)

    def action_choose(self, place: int) -> None:
        """Mark the answer to go on from."""
        self._chosen = place
        pair = self.query_one(SideBySide)
        pair.choose(place)
        pair.side(place).focus()

    def action_take(self) -> None:
        """Close with the marked one."""
        self.dismiss(self._answers[self._chosen].id)

    def action_leave(self) -> None:
        """Close with the one that was there before."""
        self.dismiss(self._answers[0].id)
