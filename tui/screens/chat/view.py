"""The conversation on screen: keeps a `MessageWindow` equal to the chosen path of a tree, and streams into it."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from functools import partial

from tui.pictures.gallery import Gallery
from tui.screens.chat.column import side
from tui.screens.chat.conversation import Conversation, Node
from tui.screens.chat.presenter import ChatPresenter, Running
from tui.screens.chat.views import growing_view, view_id, view_of, views_of
from tui.stream.answer import StreamingAnswer
from tui.stream.frozen import FrozenMessage, MessageView
from tui.stream.message_list import MessageList
from tui.stream.window import MessageWindow

MOST_APPENDED = 4
"""Messages that are added one by one; more are shown anew, which costs as much as opening."""


class ConversationView(MessageWindow):
    """`sync` brings it to what the presenter says; every change ends in a call of it."""

    HELP = """The conversation. alt+up and alt+down choose a message; the keys below act on it.
    `[` and `]` go between the versions of a message that editing and regenerating made."""
    BINDING_GROUP_TITLE = "Conversation"

    def __init__(self, presenter: ChatPresenter, gallery: Gallery | None = None) -> None:
        super().__init__(id="conversation", gallery=gallery)
        self._presenter = presenter
        self._shown: Conversation | None = None
        self._streamed: Running | None = None
        self._answer: StreamingAnswer | None = None
        self._syncing = asyncio.Lock()
        self._unfolded: set[str] = set()
        self.cursor_id: str | None = None
        """The message that keys act on; None is the last."""
        self.scrolls_along = True
        """Whether an answer is followed while it is written; else it grows below where the reader is."""

    # --- what is shown

    async def sync(self, at: Node | None = None) -> None:
        """Show the current conversation as it is now; with `at` that message stays in sight."""
        async with self._syncing:
            await self._sync(at)

    async def _sync(self, at: Node | None) -> None:
        conversation = self._presenter.current
        running = self._presenter.running(conversation)
        path = conversation.path()
        if running is not None and (not path or path[-1] is not running.generation.node):
            running = None  # it is written on another branch
        finished = views_of(conversation, path[:-1] if running else path, self._unfolded)
        if self._answer is not None and (running is not self._streamed or conversation is not self._shown):
            await self._let_go(conversation, finished)
        if conversation is not self._shown or not self._extends(finished):
            position = view_id(conversation, at) if at is not None else None
            self.cursor_id = None if conversation is not self._shown else self.cursor_id
            await self.show(finished, position)
            self._answer = None
        else:
            for view in finished[len(self.views) :]:
                await self.append(view)
            await self.refresh_views(finished)
        self._shown = conversation
        if running is not None and self._answer is None:
            await self._stream(conversation, running)
        self.mark()

    async def _stream(self, conversation: Conversation, running: Running) -> None:
        answer = await self.stream(self._growing(conversation, running.generation.node))
        self._answer, self._streamed = answer, running
        self._presenter.show_in(running, answer)
        if self.scrolls_along:
            self.follow_feed(running.feed)
        else:
            self.call_after_refresh(self.pause)

    async def _let_go(self, conversation: Conversation, finished: MessageList) -> None:
        """The answer has ended in sight and becomes the last message, or it goes on out of sight."""
        answer, running = self._answer, self._streamed
        assert answer is not None and running is not None
        self._answer = self._streamed = None
        node = running.generation.node
        if running.generation.ended and conversation is self._shown and finished:
            last = finished[-1]
            if last.id == view_id(conversation, node) and last.text == answer.source:
                answer.show(last)
                await self.finish(answer, last.meta)
                return
        if not running.generation.ended:
            self._presenter.hide(running)
        self._shown = None  # the window is made anew

    def _extends(self, finished: MessageList) -> bool:
        """Whether what is shown is the beginning of `finished`, some texts changed in place perhaps."""
        shown = self.ids
        if len(finished) > len(shown) + (MOST_APPENDED if self._answer is None else 0):
            return False
        return finished.ids[: len(shown)] == shown

    def _growing(self, conversation: Conversation, node: Node) -> MessageView:
        return growing_view(conversation, node, folded=view_id(conversation, node) not in self._unfolded)

    def grow(self) -> None:
        """Show how far the answer in sight has come, beside its text: thinking, calls, what was cut.

        While the reader is elsewhere new calls wait as new text does.
        """
        answer, running = self._answer, self._streamed
        if answer is None or running is None or answer.is_finished or self._shown is None:
            return
        view = self._growing(self._shown, running.generation.node)
        if not self.following and view.folded == answer.folded:
            view = replace(view, calls=answer.shown_calls)
        answer.show(view)

    # --- the cursor

    @property
    def cursor(self) -> Node | None:
        """The message that keys act on: the chosen one, else the last."""
        path = self._presenter.current.path()
        if not path:
            return None
        chosen = self.cursor_id
        return next((node for node in path if node.id == chosen), path[-1])

    def move_cursor(self, by: int) -> bool:
        """Choose the message `by` places further; False at the ends."""
        path = self._presenter.current.path()
        at = self.cursor
        if at is None:
            return False
        place = path.index(at) + (by if self.cursor_id is not None else 0)
        if (self.cursor_id is None and by > 0) or not 0 <= place < len(path):
            return False
        self.cursor_id = path[place].id
        self.mark()
        self._bring_into_sight(path[place])
        return True

    def drop_cursor(self) -> None:
        """Keys act on the last message again."""
        self.cursor_id = None
        self.mark()

    def mark(self) -> None:
        """Let the chosen message's widget show that it is chosen."""
        at = self.cursor if self.cursor_id is not None else None
        name = view_id(self._presenter.current, at) if at is not None else None
        for widget in self.query(FrozenMessage):
            widget.set_class(widget.view.id == name, "-cursor")

    def _bring_into_sight(self, node: Node) -> None:
        name = view_id(self._presenter.current, node)
        widget = self.widget_of(name)
        if widget is not None and self.scrollable_content_region.contains_region(widget.region):
            return
        if name in self.ids:
            self.run_worker(partial(self._go, name), group="chat")
        else:
            self.follow()  # the answer that is being written is at the end

    async def _go(self, name: str) -> None:
        async with self._syncing:
            if name in self.ids:
                await self.go_to(name)
        self.mark()

    # --- thinking and calls

    async def fold(self, node: Node) -> bool:
        """Fold or unfold a message's thinking and the arguments of its calls; False if it has neither."""
        if not node.reasoning and not node.tool_calls:
            return False
        name = view_id(self._presenter.current, node)
        self._unfolded ^= {name}
        if self._streamed is not None and self._answer is not None and node is self._streamed.generation.node:
            self.grow()
        else:
            await self.sync(node)
        return True

    def code_blocks(self, node: Node) -> list[tuple[str, str]]:
        """(language, code) of every code block of a message."""
        return FrozenMessage(view_of(self._presenter.current, node)).code_blocks

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """A message that comes back into the window is marked again if it is the chosen one."""
        super().watch_scroll_y(old_value, new_value)
        if self.cursor_id is not None:
            self.call_after_refresh(self.mark)

    def on_resize(self, event: object) -> None:
        """Margins on a wide screen."""
        margin = side(self.outer_size.width)
        self.styles.padding = (1, margin, 0, margin)
