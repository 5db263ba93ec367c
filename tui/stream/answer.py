"""`StreamingAnswer`: the widget of a message that is still being written.

    answer = StreamingAnswer(MessageView("m8", "assistant", "", title="ember"))
    answer.append("Hello ")            # cleaned text, in any pieces; redraws what changed
    answer.append_reasoning("...")     # thinking: a line that says so, or the text itself while unfolded
    answer.show(view)                  # title, figures, folding, tool calls: all but the text
    answer.finish(meta="64 tok")       # closes what is open; from now on the frozen form

Closed blocks are committed rows that are not drawn again; the open one is drawn by `tail.py`. It is one
widget from its first token on and stays that widget when it finishes, so selection and scroll position
survive. Text comes from the pump (`pump.py`), never token by token; the widget is a `Sink`.
"""

from __future__ import annotations

from dataclasses import replace

from engine.text_safety import clean
from tui.stream.blocks import collect_references, draw_block, gap_before
from tui.stream.calls import CallBlock, CallView
from tui.stream.frozen import (
    FENCE,
    FrozenMessage,
    MessageView,
    call_rows,
    foot,
    head,
    thought_line,
    thought_rows,
    title_rows,
)
from tui.stream.lines import Line
from tui.stream.splitter import Block, BlockSplitter
from tui.stream.tail import Tail
from tui.telling.json_layout import JsonLayout

BELOW = frozenset({"meta", "warning", "alert", "calls"})
"""Fields of a view that are drawn below the text."""


class StreamingAnswer(FrozenMessage):
    """A message that grows. Constructor: `StreamingAnswer(view)`; text already in the view is shown first."""

    def __init__(self, view: MessageView) -> None:
        super().__init__(view)
        self.add_class("-streaming")
        self._text: list[str] = []
        self._reasoning: list[str] = [view.reasoning] if view.reasoning else []
        self._finished = False
        self._splitter = BlockSplitter()
        self._blocks_done: list[Block] = []
        self._blocks_new: list[Block] = []  # closed, but not drawn yet
        self._committed = 0  # rows that stand, head included
        self._previous: Block | None = None
        self._after_blank = False
        self._tail: Tail | None = None
        self._tail_row = 0
        self._thought_open = ""  # the line of thinking that may still grow, and the row it begins at
        self._thought_row = 0
        self._summary = (0, 0)  # where the line that stands for the thinking is: first row, rows
        self._layout = JsonLayout() if view.syntax == "json" else None
        self._calls: list[CallBlock] = []
        self._calls_width = 0
        self._spoken = False  # whether there is more than white space
        if view.text:
            self._blocks_new = self._take(clean(view.text))

    @property
    def source(self) -> str:
        """Everything appended so far."""
        return "".join(self._text)

    @property
    def is_finished(self) -> bool:
        """True after `finish`."""
        return self._finished

    @property
    def view(self) -> MessageView:
        """The message as far as it has come."""
        return replace(self._view, text=self.source, reasoning="".join(self._reasoning))

    @property
    def folded(self) -> bool:
        """Whether thinking and long calls are."""
        return self._view.folded

    @property
    def shown_calls(self) -> tuple[CallView, ...]:
        """The calls as they are drawn."""
        return self._view.calls

    @property
    def code_blocks(self) -> list[tuple[str, str]]:
        """(language, code) of the code blocks so far, an open one included."""
        return FrozenMessage(self.view).code_blocks

    def append(self, text: str) -> None:
        """Add answer text and draw it. Costs the new text and the open block's unsettled part."""
        text = clean(text)
        if not text:
            return
        first = not self._text
        self._blocks_new += self._take(text)
        if self._lines_width < 0:
            self.refresh(layout=True)
        elif first and self._reasoning:
            self.forget_layout()  # the thinking is over
        else:
            self._draw()

    def _take(self, text: str) -> list[Block]:
        """Keep `text`; the blocks that it closes. Where the whole text is code, a fence comes before it."""
        opening = f"{FENCE}{self._view.syntax}\n" if self._view.syntax and not self._text else ""
        self._text.append(text)
        self._spoken = self._spoken or not text.isspace()
        return self._splitter.feed(opening + (self._layout.feed(text) if self._layout else text))

    def append_reasoning(self, text: str) -> None:
        """Add thinking text; unfolded it is drawn, only its unfinished line again."""
        text = clean(text)
        if not text:
            return
        first = not self._reasoning
        self._reasoning.append(text)
        if first or self._lines_width < 0 or (self._text and not self._view.folded):
            self.forget_layout()
            return
        if self._view.folded:
            return  # its figures come with `show`
        rows, unfinished = self._thought(self._thought_open + text, self._lines_width)
        start, self._thought_row = self._thought_row, self._thought_row + len(rows)
        self._committed = self._thought_row + len(unfinished)
        self.replace_from(start, [*rows, *unfinished, *self._below(self._lines_width)])

    def _thought(self, text: str, width: int) -> tuple[list[Line], list[Line]]:
        """Rows of finished lines of thinking, and of the line that may still grow."""
        finished, newline, self._thought_open = text.rpartition("\n")
        return (thought_rows(finished, width) if newline else []), thought_rows(self._thought_open, width)

    def show(self, view: MessageView) -> None:
        """Take over everything of `view` but its text and reasoning, and draw what differs."""
        before, self._view = self._view, replace(view, text="", reasoning="")
        changed = {name for name in view.__slots__ if getattr(before, name) != getattr(self._view, name)}
        if not changed:
            return
        if self._lines_width < 0 or self._finished or changed - BELOW - {"thought"}:
            self.forget_layout()
            return
        if "thought" in changed and self._reasoning:
            self._draw_summary()
        if changed & BELOW and self._lines_width >= 0:
            self._draw()

    def _draw_summary(self) -> None:
        first, rows = self._summary
        lines = thought_line(self._thinking_view(), self._lines_width)
        if len(lines) == rows:
            self.replace_rows(first, lines)
        else:
            self.forget_layout()

    def _thinking_view(self) -> MessageView:
        """The view, with something to say of thinking that has no figures yet."""
        view = self.view
        return view if view.thought or view.text else replace(view, thought="thinking")

    def _below(self, width: int) -> list[Line]:
        """The rows behind the text: calls, figures, the empty row."""
        if width != self._calls_width or len(self._calls) > len(self._view.calls):
            self._calls, self._calls_width = [], width
        self._calls += [CallBlock(width) for _ in self._view.calls[len(self._calls) :]]
        calls = call_rows(self._view, self._calls, self._spoken)
        return [*calls, *foot(self._view, width)]

    def finish(self, meta: str = "") -> None:
        """No more text comes: close the open blocks, show `meta`, become the frozen form."""
        if self._finished:
            return
        self._finished = True
        self._blocks_new += self._splitter.finish()
        if meta:
            self._view = replace(self._view, meta=meta)
        self.remove_class("-streaming")
        if self._lines_width >= 0:
            self._draw()
            if collect_references(self._blocks_done) or (self._reasoning and not self._text):
                self.forget_layout()  # links may name later definitions; bare thinking folds

    def lay_out(self, width: int) -> list[Line]:
        """All rows for a new width: the frozen layout of what is closed, then the open block."""
        view = self.view
        if self._finished:
            self._view = view
            self.__dict__.pop("_blocks", None)
            return super().lay_out(width)
        self._blocks_new = [*self._blocks_done, *self._blocks_new]
        self._blocks_done = []
        self._previous, self._after_blank, self._tail = None, False, None
        thinking = bool(view.reasoning) and not view.text
        if thinking:
            self._lines = [*title_rows(view, width), *thought_line(self._thinking_view(), width)]
        else:
            self._lines = head(view, width)
        titles = len(title_rows(view, width))
        self._summary = (titles, len(thought_line(self._thinking_view(), width)))
        if thinking and not view.folded:
            finished, unfinished = self._thought(view.reasoning, width)
            self._lines += finished
            self._thought_row = len(self._lines)
            self._lines += unfinished
        self._committed = len(self._lines)
        _, rows = self._rows(width)
        return [*self._lines[: self._committed], *rows]

    def _draw(self) -> None:
        start, rows = self._rows(self._lines_width)
        self.replace_from(start, rows)

    def _rows(self, width: int) -> tuple[int, list[Line]]:
        """(first row that changes, the rows from there on); commits what has closed.

        When called, rows up to `_committed` stand in `_lines`; the committed rows that this call makes
        are part of what it returns.
        """
        start = self._committed
        committed: list[Line] = []
        for block in self._blocks_new:
            committed += self._block_rows(block, width)
        self._blocks_done += self._blocks_new
        if self._blocks_new:
            self._blocks_new = []
            self._tail = None
        rows: list[Line] = [*committed]
        previous, after_blank = self._previous, self._after_blank
        for block in self._splitter.preview() if not self._finished else []:
            if block.kind == "blank":
                after_blank = True
                continue
            if self._tail is not None and self._tail.is_for(block, width):
                standing, rows = self._tail.draw(block)
                start = self._tail_row + standing
            else:
                rows += gap_before(block, previous, after_blank)
                self._tail = Tail(block, width)
                self._tail_row = start + len(rows)
                rows += self._tail.draw(block)[1]
            previous, after_blank = block, False
        self._committed += len(committed)
        return start, [*rows, *self._below(width)]

    def _block_rows(self, block: Block, width: int) -> list[Line]:
        if block.kind == "blank":
            self._after_blank = True
            return []
        rows = gap_before(block, self._previous, self._after_blank)
        rows += draw_block(block, width, None, self._view.typed)
        self._previous, self._after_blank = block, False
        return rows
