"""`MessageWindow`: a conversation of any length with at most some forty widgets mounted.

    window = MessageWindow()
    await window.show(views)                  # the whole conversation, newest last; ends at the bottom
    await window.refresh_views(views)         # the same messages, some of which show something else now
    await window.append(view)                 # one more finished message
    answer = await window.stream(view)        # a message that grows; see answer.py
    await window.finish(answer, meta="...")   # it became a finished message
    await window.update(view)                 # same id, changed content
    window.follow_feed(feed)                  # its text waits while the reader scrolled up; see pump.py
    window.widget_of("m7"); window.views; await window.go_to("m7")

Messages that are not mounted are two spacers of remembered (or guessed) height, so the scroll bar is
honest. When the reader scrolls near the end of what is mounted, the window moves, in either direction;
the message at the top of the screen keeps its row. A streaming message always stays mounted.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from textual import events
from textual.app import ComposeResult
from textual.layout import WidgetPlacement
from textual.widget import Widget

from tui.base import ChatScroll
from tui.pictures.gallery import Gallery
from tui.stream.answer import StreamingAnswer
from tui.stream.frozen import FrozenMessage, MessageView
from tui.stream.heights import HeightMap, guess_height
from tui.stream.message_list import MessageList
from tui.stream.pump import Feed
from tui.stream.spacer import Spacer, at_the_end

MOST_MOUNTED = 40
"""Finished messages that are mounted at once, at most."""
OVERSCAN = 1.5
"""Viewports of messages that are mounted beyond either edge of the screen."""
HYSTERESIS = 0.5
"""Viewports of mounted messages left before the window moves."""
_SIDES = 2  # columns of padding around a message


@dataclass(frozen=True, slots=True)
class Anchor:
    """A message and how far below the top of the screen it begins, in rows (negative: above)."""

    id: str
    offset: int


class MessageWindow(ChatScroll):
    """A `ChatScroll` that shows messages. See the module for its methods."""

    DEFAULT_CSS = """
    MessageWindow { layout: stream; height: 1fr; scrollbar-size-vertical: 1; scrollbar-gutter: stable; }
    """

    def __init__(
        self, *, id: str | None = None, classes: str | None = None, gallery: Gallery | None = None
    ) -> None:
        super().__init__(id=id, classes=classes)
        self._gallery = gallery
        self._views = MessageList.of(())
        self._index: dict[str, int] = {}
        self._heights = HeightMap()
        self._low = self._high = 0  # mounted finished messages: [low, high)
        self._mounted: dict[str, FrozenMessage] = {}
        self._above, self._below = Spacer(), Spacer()
        self._answers: list[StreamingAnswer] = []
        self._anchor: Anchor | None = None
        self._width = 0
        self._move_queued = False
        self._changing = asyncio.Lock()  # one change of what is mounted at a time

    def compose(self) -> ComposeResult:
        """The spacers; messages come between them, streaming ones after them."""
        yield self._above
        yield self._below

    def process_layout(self, placements: list[WidgetPlacement]) -> list[WidgetPlacement]:
        """The rows of a spacer count, and nothing is laid out over them."""
        return [at_the_end(each) if isinstance(each.widget, Spacer) else each for each in placements]

    @property
    def views(self) -> Sequence[MessageView]:
        """The finished messages, oldest first; what each shows is made when it is asked for."""
        return self._views

    @property
    def ids(self) -> Sequence[str]:
        """Ids of the finished messages, oldest first."""
        return self._views.ids

    @property
    def mounted_ids(self) -> list[str]:
        """Ids of the finished messages that are mounted now, in order."""
        return self._views.ids[self._low : self._high]

    @property
    def top_id(self) -> str | None:
        """The finished message at the top of the screen; None at the end, where new text is followed."""
        if self.following or not self._views:
            return None
        return self._views.ids[self._heights.at(self.scroll_y)]

    @property
    def is_streaming(self) -> bool:
        """True while any answer in this window grows."""
        return bool(self._answers)

    def widget_of(self, message_id: str) -> FrozenMessage | None:
        """The widget of a message if it is mounted (a streaming one always is)."""
        for answer in self._answers:
            if answer.view.id == message_id:
                return answer
        return self._mounted.get(message_id)

    async def show(self, views: Sequence[MessageView], at: str | None = None) -> None:
        """Show a whole conversation, in place of what was there; widgets of equal messages are kept.

        Ends at the bottom and follows, or with `at` (a message id) puts that message at the top.
        Streaming answers of the former conversation are removed.
        """
        async with self._changing:
            with self.app.batch_update():
                await self._show(views, at)
        self.call_after_refresh(self._arrive)

    async def _show(self, views: Sequence[MessageView], at: str | None) -> None:
        old, self._mounted = self._mounted, {}
        stale: list[Widget] = [*self._answers]
        self._answers = []
        self._views = MessageList.of(views)
        self._index = {message_id: index for index, message_id in enumerate(self._views.ids)}
        self._width = self._message_width()
        self._heights = HeightMap(self._views.heights(self._width))
        self._low = self._high = len(self._views)
        for message_id, widget in old.items():
            index = self._index.get(message_id)
            if index is None or self._views[index] != widget.view:
                stale.append(widget)
            else:
                self._mounted[message_id] = widget
        if stale:
            await self.remove_children(stale)
        if at is None or at not in self._index:
            self.follow()
            await self._mount_range(*self._range_at_end())
        else:
            await self._go_to(at)

    async def append(self, view: MessageView) -> None:
        """Add a finished message at the end."""
        async with self._changing:
            self._add(view)
            if self._high == len(self._views) - 1:
                low = max(self._low, self._range_at_end()[0]) if self.following else self._low
                with self.app.batch_update():
                    await self._mount_range(low, len(self._views))
            else:
                self._set_spacers()

    async def update(self, view: MessageView) -> None:
        """Replace the message of the same id."""
        for answer in self._answers:
            if answer.view.id == view.id:
                answer.show(view)
                return
        index = self._index[view.id]
        self._views[index] = view
        widget = self._mounted.get(view.id)
        if widget is not None:
            widget.show(view)
            self._heights.measure(index, widget.height_at(self._width))
        self._set_spacers()

    async def refresh_views(self, views: MessageList) -> None:
        """Show what the same messages, in the same order, show now; those out of sight when they come back."""
        assert views.ids == self._views.ids, "other messages are shown, or appended"
        self._views = views
        for index in range(self._low, self._high):
            if views[index] != self._mounted[views.ids[index]].view:
                await self.update(views[index])

    async def stream(self, view: MessageView) -> StreamingAnswer:
        """Add a message that grows at the end; it stays mounted until `finish`."""
        answer = StreamingAnswer(view)
        async with self._changing:
            self._answers.append(answer)
            await self.mount(answer)
        return answer

    async def finish(self, answer: StreamingAnswer, meta: str = "") -> None:
        """End a streaming message: it is the last of the finished ones from now on."""
        answer.finish(meta)
        async with self._changing:
            if answer not in self._answers:
                return  # another conversation is shown meanwhile
            self._answers.remove(answer)
            at_end = self._high == len(self._views)
            self._add(answer.view)
            index = len(self._views) - 1
            self._heights.measure(index, answer.height_at(self._width or self._message_width()))
            if at_end:
                self.move_child(answer, before=self._below)
                self._mounted[answer.view.id] = answer
                self._high += 1
                self._queue_move()
            else:
                await answer.remove()
            self._set_spacers()

    async def go_to(self, message_id: str) -> None:
        """Put a message at the top of the screen and stop following, unless that is the end anyway."""
        async with self._changing:
            with self.app.batch_update():
                await self._go_to(message_id)
        self.call_after_refresh(self._arrive)

    async def _go_to(self, message_id: str) -> None:
        index = self._index[message_id]
        self._anchor = Anchor(message_id, 0)
        self.pause()
        await self._mount_range(*self._range_around(self._heights.top(index)))

    def _arrive(self) -> None:
        """The layout knows the new heights now: scroll to the anchor, or to the end if it is that near."""
        self._restore_anchor()
        if not self.following and self.is_at_bottom:
            self.follow()

    def follow_feed(self, feed: Feed) -> None:
        """Hold the feed's text back while the reader is elsewhere, and count it in `pending`."""

        def held() -> bool:
            if self.following or not self.is_attached:
                return False
            self.pending = feed.pending
            return True

        feed.held = held

    def _add(self, view: MessageView) -> None:
        self._index[view.id] = len(self._views)
        self._views.append(view)
        self._heights.append(guess_height(view, self._width or self._message_width()))

    def _message_width(self) -> int:
        return max(1, self.scrollable_content_region.width - _SIDES)

    # Where the window should be

    def _range_at_end(self) -> tuple[int, int]:
        return self._range_around(self._heights.total - self._viewport_rows())

    def _viewport_rows(self) -> int:
        return max(1, self.scrollable_content_region.height or self.app.size.height)

    def _range_around(self, row: float) -> tuple[int, int]:
        """Messages to mount when the screen begins at `row`."""
        if not self._views:
            return 0, 0
        rows = self._viewport_rows()
        low = self._heights.at(row - OVERSCAN * rows)
        high = self._heights.at(row + rows + OVERSCAN * rows) + 1
        if high - low > MOST_MOUNTED:
            first, last = self._heights.at(row), self._heights.at(row + rows) + 1
            spare = max(0, MOST_MOUNTED - (last - first)) // 2
            low, high = max(low, first - spare), min(high, last + spare)
        return low, high

    def _must_move(self) -> bool:
        if not self._views:
            return False
        rows = self._viewport_rows()
        margin = HYSTERESIS * rows
        top = self._heights.top(self._low)
        bottom = self._heights.top(self._high)
        return (
            (self._low > 0 and self.scroll_y - margin < top)
            or (self._high < len(self._views) and self.scroll_y + rows + margin > bottom)
            or self._high - self._low > MOST_MOUNTED + MOST_MOUNTED // 4
        )

    # Moving it

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """Remember what is at the top of the screen, and move the window when its edge comes near."""
        super().watch_scroll_y(old_value, new_value)
        if not self._placing:
            self._remember_anchor()
            if self._must_move():
                self._queue_move()

    def follow(self) -> None:
        """Jump to the end and stay there; what is mounted follows."""
        super().follow()
        self.call_after_refresh(self._queue_move)

    def _queue_move(self) -> None:
        if not self._move_queued:
            self._move_queued = True
            self.call_later(self._move)

    async def _move(self) -> None:
        self._move_queued = False
        if not self.is_attached or not self._must_move():
            return
        async with self._changing:
            wanted = self._range_at_end() if self.following else self._range_around(self.scroll_y)
            with self.app.batch_update():
                self._placing = True
                try:
                    await self._mount_range(*wanted)
                finally:
                    self._placing = False
        self.call_after_refresh(self._restore_anchor)

    async def _mount_range(self, low: int, high: int) -> None:
        """Make exactly the finished messages [low, high) mounted, the reader's place kept."""
        wanted = set(self._views.ids[low:high])
        gone = [widget for message_id, widget in self._mounted.items() if message_id not in wanted]
        self._width = self._message_width()
        before: Widget = self._below
        new: list[tuple[FrozenMessage, Widget]] = []
        for index in range(high - 1, low - 1, -1):
            message_id = self._views.ids[index]
            widget = self._mounted.get(message_id)
            if widget is None:
                widget = FrozenMessage(self._views[index], self._gallery)
                self._mounted[message_id] = widget
                new.append((widget, before))
            self._heights.measure(index, widget.height_at(self._width))
            before = widget
        for widget in gone:
            del self._mounted[widget.view.id]
        self._low, self._high = low, high
        self._set_spacers()
        self._restore_anchor()
        if gone:
            await self.remove_children(gone)
        for run, place in _runs(new):
            await self.mount(*run, before=place)

    def _set_spacers(self) -> None:
        self._above.set_rows(self._heights.top(self._low))
        self._below.set_rows(self._heights.total - self._heights.top(self._high))

    # Keeping the reader's place

    def _remember_anchor(self) -> None:
        if self._views and not self.following:
            index = self._heights.at(self.scroll_y)
            self._anchor = Anchor(self._views.ids[index], self._heights.top(index) - round(self.scroll_y))

    def _restore_anchor(self) -> None:
        """Scroll so that the anchored message is where it was; does nothing while following."""
        if self.following or self._anchor is None or self._anchor.id not in self._index:
            return
        row = self._heights.top(self._index[self._anchor.id]) - self._anchor.offset
        if round(self.scroll_y) != row:
            placing, self._placing = self._placing, True
            self.scroll_target_y = self.scroll_y = row
            self._placing = placing

    def on_resize(self, event: events.Resize) -> None:
        """At a new width every height is a guess again, except those mounted."""
        width = self._message_width()
        if not self._views or width == self._width:
            return
        self._width = width
        self._heights = HeightMap(self._views.heights(width))
        for index in range(self._low, self._high):
            widget = self._mounted[self._views.ids[index]]
            self._heights.measure(index, widget.height_at(width))
        self._set_spacers()
        self._restore_anchor()
        self.call_after_refresh(self._restore_anchor)
        if self._must_move():
            self._queue_move()


def _runs(new: list[tuple[FrozenMessage, Widget]]) -> list[tuple[list[FrozenMessage], Widget]]:
    """Widgets to mount, last first with the widget each stands before, as runs that mount at once."""
    runs: list[tuple[list[FrozenMessage], Widget]] = []
    for widget, place in new:
        if runs and runs[-1][0][0] is place:
            runs[-1][0].insert(0, widget)
        else:
            runs.append(([widget], place))
    return runs
