"""The chat workspace: puts its panes together and carries what happens between them and the presenter."""

from __future__ import annotations

from typing import Any

from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical

from tui.actions import bindings
from tui.base import ChatScroll
from tui.screens.chat.actions import ACTIONS
from tui.screens.chat.activity import ActivityLine
from tui.screens.chat.completion import CompletionList
from tui.screens.chat.conversation import Node
from tui.screens.chat.generation import Generation
from tui.screens.chat.presenter import ChatPresenter
from tui.screens.chat.prompt import Prompt
from tui.screens.chat.view import ConversationView
from tui.status import ChatStatus
from tui.workspace_screen import WorkspaceScreen


class ChatScreen(WorkspaceScreen):
    """Conversations with models."""

    CSS_PATH = "chat.tcss"
    BINDINGS = bindings(ACTIONS, "chat")
    AUTO_FOCUS = "#prompt"

    def __init__(self) -> None:
        super().__init__()
        self.presenter = ChatPresenter(
            self._engine,
            lambda: self.hearth.chat_model,
            changed=self._changed,
            ticked=self._tell,
        )
        self.view = ConversationView(self.presenter)
        self.activity = ActivityLine()
        self.completion = CompletionList()
        self.prompt = Prompt(self.completion)

    def compose_workspace(self) -> ComposeResult:
        """Conversation, activity, prompt."""
        with Horizontal(id="panes"), Vertical(id="talk"):
            yield self.view
            yield self.activity
            yield self.completion
            yield self.prompt

    def _engine(self) -> Any:
        connection = self.hearth.connection
        if connection.error is not None:
            raise connection.error
        return connection.ready

    # --- showing

    def _changed(self) -> None:
        """Something of the conversations changed: bring the screen to it."""
        self.call_later(self._sync)

    async def _sync(self, at: Node | None = None) -> None:
        await self.view.sync(at)
        self._tell()

    def _tell(self) -> None:
        conversation = self.presenter.current
        running = self.presenter.running(conversation)
        generation = running.generation if running else None
        self.hearth.show_chat_status(self._status(generation))
        self.activity.tell(
            generation,
            len(self.presenter.waiting(conversation)),
            self.view.status if generation is not None or not self.view.following else "",
            moving=self.hearth.animation_level != "none",
        )

    def _status(self, generation: Generation | None) -> ChatStatus:
        conversation = self.presenter.current
        path = conversation.path()
        return ChatStatus(
            model=self.presenter.model_of(conversation),
            title=conversation.title,
            follow=self.view.following if path else None,
            pending=self.view.pending,
        )

    @on(ChatScroll.FollowChanged)
    def _follow_changed(self) -> None:
        self._tell()

    @on(ActivityLine.FollowAsked)
    def action_follow(self) -> None:
        """Go to the end and follow."""
        self.view.follow()

    # --- asking

    @on(Prompt.Sent)
    def _sent(self, event: Prompt.Sent) -> None:
        self.presenter.send(self.presenter.current, event.text)

    def action_stop(self) -> None:
        """Stop the answer that is being written."""
        self.presenter.stop(self.presenter.current)
        self._tell()
