"""The chat workspace: puts its panes together and carries what happens between them and the presenter."""

from __future__ import annotations

import asyncio
import difflib
from inspect import isawaitable

from textual import events, on
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.widget import Widget
from textual.widgets import Input, TextArea

from engine import Engine
from engine.errors import HearthError, InvalidRequest
from engine.text_safety import plain
from engine.types import ModelEntry
from tui import units
from tui.actions import bindings
from tui.base import ChatScroll
from tui.screens.chat.actions import ACTIONS
from tui.screens.chat.activity import ActivityLine
from tui.screens.chat.column import Column
from tui.screens.chat.composer import Composer
from tui.screens.chat.controls import text_of, with_value
from tui.screens.chat.inspector import Inspector
from tui.screens.chat.message_actions import ON_A_MESSAGE, MessageActions
from tui.screens.chat.presenter import ChatPresenter
from tui.screens.chat.sidebar import Sidebar
from tui.screens.chat.status import status_of
from tui.screens.chat.view import ConversationView
from tui.screens.chat.welcome import SUGGESTIONS, Welcome
from tui.status import Sample
from tui.stream.frozen import FrozenMessage

BROAD = 150
"""Columns from which a second conversation opens the list of them."""


class ChatScreen(MessageActions):
    """Conversations with models."""

    CSS_PATH = "chat.tcss"
    BINDINGS = bindings(ACTIONS, "chat")
    SIDEBAR = "#conversations"
    INSPECTOR = "#inspector"
    AUTO_FOCUS = "#prompt"
    HELP = "Talk with a model. What is above the prompt takes keys: alt+up goes there, i comes back."

    def __init__(self) -> None:
        super().__init__()
        self.presenter = ChatPresenter(
            self._engine, lambda: self.hearth.chat_model, changed=self._changed, ticked=self.tell
        )
        self.view = ConversationView(self.presenter)
        self.welcome = Welcome()
        self.activity = ActivityLine()
        self.composer = Composer(self._count_tokens)
        self.sidebar = Sidebar()
        self.inspector = Inspector()
        self._entries: dict[str, ModelEntry] = {}

    def compose_workspace(self) -> ComposeResult:
        """Conversations, conversation, inspector; activity and prompt below the middle."""
        self.sidebar.display = False
        self.inspector.display = self.hearth.settings.ui.inspector
        with Horizontal(id="panes"):
            yield self.sidebar
            with Vertical(id="talk"):
                yield self.welcome
                yield self.view
                with Column():
                    yield self.activity
                    yield self.composer
            yield self.inspector

    def on_mount(self) -> None:
        """Listen to the app, and show the empty conversation."""
        self.view.scrolls_along = self.hearth.settings.ui.follow
        self.hearth.model_chosen.subscribe(self, self._model_chosen)
        self.hearth.sampled.subscribe(self, self._sampled)
        self.run_worker(self._look_for_models, group="chat-models")
        self._show_conversation()

    def on_unmount(self) -> None:
        """Leave no answer behind."""
        self.presenter.stop_all()

    def pane(self, selector: str | None) -> Widget | None:
        """None for the inspector while ctrl+x waits for its second key, which is the inspector's."""
        if selector == self.INSPECTOR and self.composer.prompt.awaits_chord:
            return None
        return super().pane(selector)

    def sidebar_switched(self, pane: Widget) -> None:
        """Into the list when it is shown, back to writing when it is hidden."""
        super().sidebar_switched(pane)
        if not pane.display:
            self.action_focus_prompt()

    # --- the engine

    def _engine(self) -> Engine | None:
        connection = self.hearth.connection
        if connection.error is not None:
            raise connection.error
        return connection.ready

    async def _started_engine(self) -> Engine:
        return await asyncio.to_thread(self.hearth.connection.get)

    async def _count_tokens(self, text: str) -> int:
        engine = await self._started_engine()
        return len(
            await engine.tokenize(self.presenter.model_of(self.presenter.current), text, special=False)
        )

    async def _look_for_models(self) -> None:
        try:
            engine = await self._started_engine()
            self._entries = {entry.id: entry for entry in await engine.models()}
        except Exception:
            return  # the status bar says that there is no engine, and the first question says why
        self._tell_welcome()

    # --- showing

    def _changed(self) -> None:
        """Something of the conversations changed: bring the screen to it."""
        self.call_later(self._sync)

    async def _sync(self) -> None:
        empty = not self.presenter.current.nodes
        had_focus = self.welcome.has_focus
        self.welcome.display, self.view.display = empty, not empty
        if had_focus and not empty:
            self.action_focus_prompt()
        await self.view.sync()
        self.tell()
        self.refresh_bindings()

    def _show_conversation(self) -> None:
        """Another conversation is on screen."""
        self.view.drop_cursor()
        self.inspector.show(self.presenter.current.controls)
        self._tell_welcome()
        self._changed()

    def tell(self) -> None:
        """Tell activity line, status bar and list how things stand; each draws only what changed."""
        if not self.is_mounted:
            return
        presenter, view = self.presenter, self.view
        conversation = presenter.current
        running = presenter.running(conversation)
        status = status_of(presenter, following=view.following, pending=view.pending)
        if status != self.hearth.chat_status:
            self.hearth.show_chat_status(status)
        chip = view.status if conversation.nodes and (running is not None or not view.following) else ""
        moving = self.app.animation_level != "none"
        self.activity.tell(
            running.generation if running else None, len(presenter.waiting(conversation)), chip, moving=moving
        )
        self.sidebar.tell(presenter.conversations, presenter.running_ids)

    def _tell_welcome(self) -> None:
        model = self.presenter.model_of(self.presenter.current)
        sample = self.hearth.sample
        free = sample.memory_total - sample.memory_used
        memory = f"{units.size(free)} of {units.size(sample.memory_total)} memory free" if free > 0 else ""
        self.welcome.tell(model, self._entries.get(model), memory)

    def _sampled(self, sample: Sample) -> None:
        if self.welcome.display:
            self._tell_welcome()

    def _model_chosen(self, model: str) -> None:
        self.presenter.current.model = model
        self._tell_welcome()
        self.tell()

    @on(ChatScroll.FollowChanged)
    def _follow_changed(self) -> None:
        self.tell()

    @on(ActivityLine.FollowAsked)
    def _follow_asked(self) -> None:
        self.action_follow()

    # --- asking

    @on(Composer.Submitted)
    def _submitted(self, event: Composer.Submitted) -> None:
        text = event.text
        if not self.presenter.current.nodes and text in {"1", "2", "3"}:
            text = SUGGESTIONS[int(text) - 1]
        self._ask(text)

    @on(Welcome.Asked)
    def _asked(self, event: Welcome.Asked) -> None:
        self._ask(event.question)

    def _ask(self, text: str) -> None:
        self.view.drop_cursor()
        self.view.follow()
        self.presenter.send(self.presenter.current, text)
        self.tell()

    def action_stop(self) -> None:
        """Stop the answer in progress; what waited behind it is back in the prompt."""
        waiting = self.presenter.stop(self.presenter.current)
        if waiting:
            prompt = self.composer.prompt
            prompt.load("\n\n".join([*waiting, prompt.text]).strip())
        self.tell()

    def action_leave(self) -> None:
        """From the prompt to the messages; just after an answer's end the key was meant to stop it."""
        if not self.presenter.just_ended(self.presenter.current):
            self.view.focus(scroll_visible=False)

    # --- conversations

    def action_new(self) -> None:
        """An empty conversation; answers go on being written in the others."""
        self._open(self.presenter.conversations.new().id)
        if self.app.size.width >= BROAD and len(self.presenter.conversations.every) > 1:
            self.sidebar.display = True
        self.action_focus_prompt()

    def action_conversation(self, by: int) -> None:
        """The conversation before or after this one."""
        every = self.presenter.conversations.every
        place = every.index(self.presenter.current) + by
        if 0 <= place < len(every):
            self._open(every[place].id)

    @on(Sidebar.Opened)
    def _opened(self, event: Sidebar.Opened) -> None:
        self._open(event.conversation_id)
        self.action_focus_prompt()

    def _open(self, conversation_id: str) -> None:
        conversation = self.presenter.conversations.open(conversation_id)
        if conversation.model and conversation.model != self.hearth.chat_model:
            self.hearth.choose_model(conversation.model)
        self._show_conversation()

    @on(Inspector.Changed)
    def _controls_changed(self, event: Inspector.Changed) -> None:
        self.presenter.current.controls = event.controls

    # --- focus

    @on(Welcome.Left)
    def action_focus_prompt(self) -> None:
        """Back to writing."""
        self.view.drop_cursor()
        self.composer.prompt.focus()

    def on_key(self, event: events.Key) -> None:
        """A character that is no command where the focus is belongs to the prompt."""
        prompt = self.composer.prompt
        if self.focused not in (None, self.view, self.welcome, self.sidebar, prompt):
            return
        if event.character is None or not event.is_printable or event.key in self.active_bindings:
            return
        event.stop()
        event.prevent_default()
        self.view.drop_cursor()
        self.set_focus(prompt)  # at once, so that what is typed next comes behind it
        prompt.type_in(event.character)

    def on_prompt_left_upwards(self) -> None:
        """Up in an empty prompt: to the suggestions."""
        if self.welcome.display:
            self.welcome.focus()

    async def on_click(self, event: events.Click) -> None:
        """A click on a message chooses it; on its line about thinking, folds that."""
        widget = event.widget
        if isinstance(widget, FrozenMessage) and self.get_selected_text() is None:
            node_id = widget.view.id.rpartition(".")[2]
            at = event.get_content_offset(widget)
            self.view.cursor_id = node_id
            self.view.mark()
            node = self.view.cursor
            if at is not None and at.y == 1 and node is not None and node.reasoning:
                await self.view.fold(node)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Letters act on messages only where they are not text, and only if there is a message."""
        if action in ON_A_MESSAGE:
            return bool(self.presenter.current.nodes) and not self.is_writing()
        if action == "stop":
            return self.presenter.running(self.presenter.current) is not None
        if action == "leave":
            return self.focused is self.composer.prompt and bool(self.presenter.current.nodes)
        if action == "focus_prompt":
            return not isinstance(self.focused, TextArea | Input)
        return super().check_action(action, parameters)

    # --- commands

    @on(Composer.Commanded)
    async def _commanded(self, event: Composer.Commanded) -> None:
        command, argument = event.command, event.argument
        try:
            if command.takes:
                await getattr(self, f"_command_{command.action}")(argument)
            elif command.action.startswith("screen."):
                # Called, not run as an action: letters are off in the prompt, commands are not.
                done = getattr(self, f"action_{command.action.removeprefix('screen.')}")()
                if isawaitable(done):
                    await done
            else:
                await self.app.run_action(command.action, self)
        except HearthError as error:
            self.hearth.flash(error.info.sentence(), "error")

    async def _command_model(self, name: str) -> None:
        if not name:
            self.hearth.action_pick_model()
            return
        self._entries = {entry.id: entry for entry in await (await self._started_engine()).models()}
        if (
            name.partition(":")[0] not in self._entries
            and "/" not in name
            and not name.startswith("scripted:")
        ):
            near = difflib.get_close_matches(name, self._entries, n=1)
            raise InvalidRequest(
                f"There is no model {name!r}.",
                fix=f"Did you mean {near[0]}?" if near else "/model without a name shows them all.",
            )
        self.hearth.choose_model(name)
        self.hearth.flash(f"{plain(name, 40)} answers from now on.", "success")

    async def _command_system(self, text: str) -> None:
        await self._set("system", text)

    async def _command_set(self, argument: str) -> None:
        name, _, text = argument.partition(" ")
        if not name:
            raise InvalidRequest("/set needs a name and a value.", fix="As in: /set temperature 0.2")
        await self._set(name, text)

    async def _set(self, name: str, text: str) -> None:
        conversation = self.presenter.current
        conversation.controls = with_value(conversation.controls, name, text)
        self.inspector.show(conversation.controls)
        name = name.lower().replace("-", "_")
        said = text_of(conversation.controls, name)
        self.hearth.flash(f"{name}: {plain(said, 60)}" if said else f"{name} is no longer set.", "success")

    def action_editor(self) -> None:
        """Write the message in `$EDITOR`."""
        self.composer.write_in_editor()
