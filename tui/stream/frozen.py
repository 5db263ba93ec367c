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
from textual.widget import Widget

from engine.text_safety import clean, plain
from tui.asking.pictures import Picture
from tui.pictures.gallery import Gallery
from tui.stream.blocks import DIM, layout
from tui.stream.calls import CallBlock, CallView
from tui.stream.lines import Line, wrap_content
from tui.stream.pictures import PictureShelf
from tui.stream.splitter import Block, code_blocks, split
from tui.stream.view import LineView
from tui.telling.json_layout import laid_out

THOUGHT_STYLE = "$foreground-muted italic"
ALERT_STYLE = "$text-error"
WARNING_STYLE = "$text-warning"
BETWEEN = " · "
"""What stands between the figures of a meta line."""
FENCE = "`" * 24
"""Opens the block of a text that is code as a whole; no line of such a text is as long a fence."""


@dataclass(frozen=True, slots=True)
class MessageView:
    """What a message shows. Equal views look the same, so a window may keep the widget of one.

    `role` is `user`, `assistant`, `system` or `tool` and becomes the widget's class `-<role>`. `title`
    stands above the text (the role if empty), `alert` below it says what went wrong, the first line in red,
    `warning` what the reader must know all the same, and `meta` stands dim at the end (none if empty).
    `reasoning` is the model's thinking, shown as one line (`thought`, or a count of words) while `folded`; so
    are long arguments of `calls`. With a `syntax` the whole text is code of that language. `pictures` are shown
    below the text.
    """

    id: str
    role: str
    text: str
    title: str = ""
    meta: str = ""
    alert: str = ""
    reasoning: str = ""
    folded: bool = True
    thought: str = ""
    warning: str = ""
    calls: tuple[CallView, ...] = ()
    syntax: str = ""
    pictures: tuple[Picture, ...] = ()

    @property
    def typed(self) -> bool:
        """True where a person typed the text, whose line breaks are kept."""
        return self.role in ("user", "tool")


class FrozenMessage(LineView):
    """One finished message as one widget; pictures come from `gallery`, without one they are frames."""

    def __init__(self, view: MessageView, gallery: Gallery | None = None) -> None:
        super().__init__(classes=f"message -{view.role}")
        self._view = view
        self._gallery = gallery
        self._shelf = PictureShelf((), 0)
        self._shelf_row = 0
        """The row at which the pictures begin."""

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
        return split(as_blocks(clean(self._view.text), self._view.syntax))

    @property
    def code_blocks(self) -> list[tuple[str, str]]:
        """(language, code) of every code block, in order; the code is as written, tabs and all."""
        return code_blocks(self._blocks)

    def show(self, view: MessageView) -> None:
        """Show a changed message (new meta line, unfolded reasoning, edited text) in place."""
        if view == self._view:
            return
        if (view.text, view.syntax) != (self._view.text, self._view.syntax):
            self.__dict__.pop("_blocks", None)
        self._view = view
        self.forget_layout()

    def lay_out(self, width: int) -> list[Line]:
        """Title, reasoning, text, pictures, calls, meta line and an empty row."""
        body = layout(self._blocks, width, line_breaks=self._view.typed)
        if self._view.pictures:
            self._shelf_row = len(head(self._view, width)) + len(body)
            self._shelf = PictureShelf(self._view.pictures, width, self._gallery)
            body = [*body, *self._shelf.rows()]
            if self.is_mounted:
                self.call_later(self._draw_pictures)
        return assemble(self._view, body, width)

    # --- pictures

    def on_mount(self) -> None:
        """Have the pictures drawn."""
        if self._view.pictures:
            self._draw_pictures()

    def _draw_pictures(self) -> None:
        """Put up what is drawn already, and ask for the rest: rows keep their number, so nothing moves."""
        if self._gallery is None or self._gallery.way == "placeholder":
            return
        self.run_worker(self._take_drawings(self._gallery, self._shelf), group="pictures", exclusive=True)

    async def _take_drawings(self, gallery: Gallery, shelf: PictureShelf) -> None:
        for place in shelf.places:
            if place.drawing is None:
                place.drawing = await gallery.draw(place.picture, place.box)
                if shelf is not self._shelf:
                    return  # laid out anew meanwhile, which asks again
                self.replace_rows(self._shelf_row, shelf.rows())
        await self._overlay(shelf)

    async def _overlay(self, shelf: PictureShelf) -> None:
        """Lay the widgets with which the terminal draws over the rows that are kept free for them."""
        new: list[Widget] = []
        for place in shelf.places:
            if place.drawing is not None and place.drawing.widget is not None:
                widget = place.drawing.widget()
                widget.styles.position = "absolute"
                widget.styles.offset = (place.x, self._shelf_row + place.y)
                widget.styles.width, widget.styles.height = place.box.columns, place.box.rows
                new.append(widget)
        if self.children:
            await self.remove_children()
        if new:
            await self.mount(*new)


def as_blocks(text: str, syntax: str) -> str:
    """The Markdown of a message's text: that itself, or a fence around what is code as a whole."""
    if not (syntax and text):
        return text
    return f"{FENCE}{syntax}\n{laid_out(text) if syntax == 'json' else text}"


def assemble(view: MessageView, body: Sequence[Line], width: int) -> list[Line]:
    """The rows of a message around its laid-out text."""
    calls = call_rows(view, [CallBlock(width) for _ in view.calls], bool(view.text.strip()))
    return [*head(view, width), *body, *calls, *foot(view, width)]


def head(view: MessageView, width: int) -> list[Line]:
    """The title row and the reasoning."""
    lines = title_rows(view, width)
    if view.reasoning:
        lines += thought_line(view, width)
        if not view.folded:
            lines += thought_rows(view.reasoning.strip(), width)
            lines.append(Line(Content(""), copied=False))
    return lines


def title_rows(view: MessageView, width: int) -> list[Line]:
    """Who speaks."""
    style = {"assistant": "bold $text-primary", "tool": "bold $role-tool"}.get(
        view.role, "bold $text-secondary"
    )
    return _decoration(plain(view.title or view.role), style, width)


def call_rows(view: MessageView, blocks: Sequence[CallBlock], after_text: bool) -> list[Line]:
    """The blocks of the calls, an empty row before them where there is text."""
    lines: list[Line] = [Line(Content(""), copied=False)] if view.calls and after_text else []
    for call, block in zip(view.calls, blocks, strict=True):
        lines += block.draw(call, folded=view.folded)
    return lines


def foot(view: MessageView, width: int) -> list[Line]:
    """What went wrong, what must be known, the meta line, and the empty row between messages."""
    lines: list[Line] = []
    if view.alert:
        for place, sentence in enumerate(clean(view.alert).splitlines()):
            lines += _decoration(sentence, "" if place else ALERT_STYLE, width)
    for sentence in clean(view.warning).splitlines():
        lines += _decoration(f"! {sentence}", WARNING_STYLE, width)
    for row in _packed(plain(view.meta), width) if view.meta else ():
        lines += _decoration(row, DIM, width)
    return [*lines, Line(Content(""), copied=False)]


def _packed(meta: str, width: int) -> list[str]:
    """The figures of a meta line in rows, none of them torn apart."""
    rows: list[str] = []
    for part in meta.split(BETWEEN):
        if rows and len(rows[-1]) + len(BETWEEN) + len(part) <= width:
            rows[-1] += BETWEEN + part
        else:
            rows.append(part)
    return rows


def thought_line(view: MessageView, width: int) -> list[Line]:
    """The row that stands for the reasoning while that is folded, and above it when not."""
    words = len(view.reasoning.split()) if not view.thought else 0
    said = view.thought or f"thought, {words} word{'' if words == 1 else 's'}"
    return _decoration(f"{'▸' if view.folded else '▾'} {plain(said)}", DIM, width, mark="thought")


def thought_rows(text: str, width: int) -> list[Line]:
    """Reasoning as plain wrapped text; it is not Markdown."""
    content = Content.styled(clean(text).expandtabs(4), THOUGHT_STYLE)
    return [Line(row, join=join) for row, join in wrap_content(content, width)]


def _decoration(text: str, style: str, width: int, mark: str = "") -> list[Line]:
    rows = wrap_content(Content.styled(text, style), width)
    return [Line(content, copied=False, mark=mark) for content, _ in rows]
