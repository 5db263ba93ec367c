"""`StreamingAnswer`: the widget of a message that is still being written.

    answer = StreamingAnswer(MessageView("m8", "assistant", "", title="ember"))
    answer.append("Hello ")            # cleaned text, in any pieces; redraws what changed
    answer.append_reasoning("...")     # thinking, shown until the answer starts
    answer.finish(meta="64 tok")       # closes what is open; from now on the frozen form

Closed blocks are committed rows that are not drawn again; the open one is drawn by `tail.py`. It is one
widget from its first token on and stays that widget when it finishes, so selection and scroll position
survive. Text comes from the pump (`pump.py`), never token by token; the widget is a `Sink`.
"""

from __future__ import annotations

from dataclasses import replace

from engine.text_safety import clean
from tui.stream.blocks import collect_references, draw_block, gap_before
from tui.stream.frozen import FrozenMessage, MessageView, foot, head, thought_rows
from tui.stream.lines import Line
from tui.stream.splitter import Block, BlockSplitter
from tui.stream.tail import Tail


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
        if view.text:
            self._text.append(clean(view.text))
            self._blocks_new = self._splitter.feed(self._text[0])

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
    def code_blocks(self) -> list[tuple[str, str]]:
        """(language, code) of the code blocks so far, an open one included."""
        return FrozenMessage(self.view).code_blocks

    def append(self, text: str) -> None:
        """Add answer text and draw it. Costs the new text and the open block's unsettled part."""
        text = clean(text)
        if not text:
            return
        first = not self._text
        self._text.append(text)
        self._blocks_new += self._splitter.feed(text)
        if self._lines_width < 0:
            self.refresh(layout=True)
        elif first and self._reasoning:
            self.forget_layout()  # the thinking folds when the answer starts
        else:
            self._draw()

    def append_reasoning(self, text: str) -> None:
        """Add thinking text and draw it; only its unfinished line is drawn again."""
        text = clean(text)
        if not text:
            return
        first = not self._reasoning
        self._reasoning.append(text)
        if first or self._text or self._lines_width < 0:
            self.forget_layout()
            return
        rows, unfinished = self._thought(self._thought_open + text, self._lines_width)
        start, self._thought_row = self._thought_row, self._thought_row + len(rows)
        self._committed = self._thought_row + len(unfinished)
        self.replace_from(start, [*rows, *unfinished, *foot(self._view, self._lines_width)])

    def _thought(self, text: str, width: int) -> tuple[list[Line], list[Line]]:
        """Rows of finished lines of thinking, and of the line that may still grow."""
        finished, newline, self._thought_open = text.rpartition("\n")
        return (thought_rows(finished, width) if newline else []), thought_rows(self._thought_open, width)

    def show(self, view: MessageView) -> None:
        """Take over title, meta and folding of `view`; its text is ignored while streaming."""
        view = replace(view, text="", reasoning="")
        only_meta = view == replace(self._view, text="", reasoning="", meta=view.meta)
        self._view = view
        if only_meta and self._lines_width >= 0 and not self._finished:
            self._draw()
        else:
            self.forget_layout()

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
        self._lines = head(replace(view, reasoning="") if thinking else view, width)
        if thinking:
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
        return start, [*rows, *foot(self._view, width)]

    def _block_rows(self, block: Block, width: int) -> list[Line]:
        if block.kind == "blank":
            self._after_blank = True
            return []
        rows = gap_before(block, self._previous, self._after_blank)
        rows += draw_block(block, width, None, self._view.typed)
        self._previous, self._after_blank = block, False
        return rows
