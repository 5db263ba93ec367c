"""A finished message: plain data (`MessageView`) and the one widget that shows it (`FrozenMessage`).

    view = MessageView(id="m7", role="assistant", text=markdown, title="ember", meta="64 tok · 92 tok/s")
    widget = FrozenMessage(view)
    widget.source          # the Markdown as it came
    widget.code_blocks     # [(language, code), ...] in order

The text is laid out once per width and never parsed as markup. Changing the theme only repaints. Whatever is
drawn is cleaned here, also what only Markdown spells (entities, escaped addresses); clean the text before
you keep it all the same, because `source` is what gets copied.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from textual.content import Content

from engine.text_safety import clean, plain
from tui.stream.blocks import DIM, layout
from tui.stream.lines import Line, wrap_content
from tui.stream.splitter import Block, code_blocks, split
from tui.stream.view import LineView

THOUGHT_STYLE = "$foreground-muted italic"
ALERT_STYLE = "$text-error"


@dataclass(frozen=True, slots=True)
class MessageView:
    """What a message shows. Equal views look the same, so a window may keep the widget of one.

    `role` is `user`, `assistant`, `system` or `tool` and becomes the widget's class `-<role>`. `title`
    stands above the text (the role if empty), `alert` below it says what went wrong, the first line in red, and
    `meta` stands dim at the end (neither if empty). `reasoning` is the model's thinking, shown as one summary
    line while `folded`.
    """

    id: str
    role: str
    text: str
    title: str = ""
    meta: str = ""
    alert: str = ""
    reasoning: str = ""
    folded: bool = True

    @property
    def typed(self) -> bool:
        """True where a person typed the text, whose line breaks are kept."""
        return self.role == "user"


class FrozenMessage(LineView):
    """One finished message as one widget. Constructor: `FrozenMessage(view)`."""

    def __init__(self, view: MessageView) -> None:
        super().__init__(classes=f"message -{view.role}")
        self._view = view

    @property
    def view(self) -> MessageView:
        """The message shown."""
        return self._view

    @property
    def source(self) -> str:
        """The message's Markdown, exactly as it came."""
        return self._view.text

    @cached_property
    def _blocks(self) -> list[Block]:
        return split(clean(self._view.text))

    @property
    def code_blocks(self) -> list[tuple[str, str]]:
        """(language, code) of every code block, in order; the code is as written, tabs and all."""
        return code_blocks(self._blocks)

    def show(self, view: MessageView) -> None:
        """Show a changed message (new meta line, unfolded reasoning, edited text) in place."""
        if view == self._view:
            return
        if view.text != self._view.text:
            self.__dict__.pop("_blocks", None)
        self._view = view
        self.forget_layout()

    def lay_out(self, width: int) -> list[Line]:
        """Title, reasoning, text, meta line and an empty row."""
        body = layout(self._blocks, width, line_breaks=self._view.typed)
        return assemble(self._view, body, width)


def assemble(view: MessageView, body: Sequence[Line], width: int) -> list[Line]:
    """The rows of a message around its laid-out text."""
    return [*head(view, width), *body, *foot(view, width)]


def head(view: MessageView, width: int) -> list[Line]:
    """The title row and the reasoning."""
    style = "bold $text-primary" if view.role == "assistant" else "bold $text-secondary"
    lines = _decoration(plain(view.title or view.role), style, width)
    if view.reasoning:
        lines += _thoughts(view, width)
    return lines


def foot(view: MessageView, width: int) -> list[Line]:
    """The meta line, if there is one, and the empty row between messages."""
    lines: list[Line] = []
    if view.alert:
        for place, sentence in enumerate(clean(view.alert).splitlines()):
            lines += _decoration(sentence, "" if place else ALERT_STYLE, width)
    if view.meta:
        lines += _decoration(plain(view.meta), DIM, width)
    return [*lines, Line(Content(""), copied=False)]


def thought_summary(reasoning: str, folded: bool) -> str:
    """The row that stands for the reasoning when folded, and above it when not."""
    words = len(reasoning.split())
    return f"{'▸' if folded else '▾'} thought, {words} word{'' if words == 1 else 's'}"


def _thoughts(view: MessageView, width: int) -> list[Line]:
    lines = _decoration(thought_summary(view.reasoning, view.folded), DIM, width)
    if not view.folded:
        lines += thought_rows(view.reasoning.strip(), width)
        lines.append(Line(Content(""), copied=False))
    return lines


def thought_rows(text: str, width: int) -> list[Line]:
    """Reasoning as plain wrapped text; it is not Markdown."""
    content = Content.styled(clean(text).expandtabs(4), THOUGHT_STYLE)
    return [Line(row, join=join) for row, join in wrap_content(content, width)]


def _decoration(text: str, style: str, width: int) -> list[Line]:
    rows = wrap_content(Content.styled(text, style), width)
    return [Line(content, copied=False) for content, _ in rows]
