"""The keys that act on a message: regenerate, edit, continue, copy, branches, thinking. A part of the chat screen."""

from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from textual.widgets import Input, TextArea

from engine.errors import HearthError
from engine.text_safety import clean
from tui.asking.files import mentioned, written
from tui.asking.pictures import Picture, pictures
from tui.screens.chat.call_dialogue import CallDialogue, Result
from tui.screens.chat.conversation import Conversation, Node
from tui.screens.chat.dialogues import CodePicker, EditDialogue, Edited
from tui.screens.chat.keeper import Keeper
from tui.screens.chat.presenter import ChatPresenter
from tui.screens.chat.view import ConversationView
from tui.telling.calls import as_markdown
from tui.workspace_screen import WorkspaceScreen

ON_A_MESSAGE = frozenset(
    {
        "regenerate",
        "edit",
        "continue",
        "copy_message",
        "copy_code",
        "sibling",
        "fold",
        "top",
        "answer_call",
        "beside",
        "star",
    }
)
"""Actions that need a message to act on."""


class MessageActions(WorkspaceScreen):
    """What a message can be told; the screen itself is in `screen.py`."""

    presenter: ChatPresenter
    view: ConversationView
    keeper: Keeper

    if TYPE_CHECKING:

        def action_focus_prompt(self) -> None:
            """Back to writing."""
            ...

        def tell(self) -> None:
            """Tell activity line, status bar and lists how things stand."""
            ...

    def is_writing(self) -> bool:
        """Whether the focus is where letters are text."""
        return isinstance(self.focused, TextArea | Input)

    def busy(self) -> bool:
        """Say so if an answer is being written here."""
        if self.presenter.running(self.presenter.current) is None:
            return False
        self.hearth.flash("An answer is being written; esc stops it.", "warning")
        return True

    def action_regenerate(self) -> None:
        """Another answer beside this one, or below this question."""
        node = self.view.cursor
        if node is None or self.busy():
            return
        self.view.drop_cursor()
        self.presenter.regenerate(self.presenter.current, node)

    def action_continue(self) -> None:
        """Write the last answer on; where it waits for the result of a call, ask for that."""
        if self.presenter.current.leaf is None or self.busy():
            return
        self.view.drop_cursor()
        if self.presenter.current.open_calls():
            self.action_answer_call()
        else:
            self.presenter.resume(self.presenter.current)

    def action_answer_call(self) -> None:
        """Write what a tool gave, for the first call that waits; from the last one on the model may go on."""
        conversation = self.presenter.current
        waiting = conversation.open_calls()
        if not waiting:
            self.hearth.flash("No tool call waits for a result here.")
            return
        if self.busy():
            return
        call = waiting[0]

        def save(result: Result | None) -> None:
            if result is None or call not in conversation.open_calls():
                return
            last = len(waiting) == 1
            self.view.drop_cursor()
            self.presenter.answer_call(
                conversation, call, result.text, failed=result.failed, resend=result.resend and last
            )
            if result.resend and not last:
                self.action_answer_call()

        self.app.push_screen(CallDialogue(call, len(waiting) - 1), save)

    def action_edit(self) -> None:
        """Edit a message; the old version stays beside the new."""
        node = self.view.cursor
        if node is None or self.busy():
            return
        self._edit(self.presenter.current, node, node.content)

    def _edit(self, conversation: Conversation, node: Node, text: str) -> None:
        def save(edited: Edited | None) -> None:
            if edited is None or (edited.text == node.content and not edited.resend):
                return
            known = set(mentioned(node.content))
            new = [written(name) for name in mentioned(edited.text) if name not in known]
            if new and node.role == "user":
                self.run_worker(
                    partial(self._save_with_pictures, conversation, node, edited, " ".join(new)), group="edit"
                )
            else:
                self._save(conversation, node, edited, ())

        self.app.push_screen(EditDialogue(text, question=node.role != "assistant"), save)

    async def _save_with_pictures(
        self, conversation: Conversation, node: Node, edited: Edited, mentions: str
    ) -> None:
        """Look for the pictures that the old version did not mention; if one cannot go along, edit on."""
        try:
            added = await asyncio.to_thread(pictures, mentions, Path.cwd())
        except HearthError as error:
            self._edit(conversation, node, edited.text)
            self.hearth.flash(error.info.sentence(), "error")
        else:
            self._save(conversation, node, edited, added)

    def _save(
        self, conversation: Conversation, node: Node, edited: Edited, added: tuple[Picture, ...]
    ) -> None:
        below = len(conversation.children.get(node.id, []))
        version = self.presenter.edit(conversation, node, edited.text, resend=edited.resend, pictures=added)
        self.view.drop_cursor()
        if version is None:
            self.call_later(self.view.sync)
        if below:
            self.hearth.flash("A new branch. [ goes back to the old one.")

    def action_star(self) -> None:
        """Set a message apart, for a dataset; or no longer."""
        node = self.view.cursor
        if node is None:
            return
        node.starred = not node.starred
        self.presenter.starred(self.presenter.current, node)
        self.hearth.flash(
            "Starred: s in Evals makes a dataset of the starred messages."
            if node.starred
            else "No star any more."
        )

    def action_copy_message(self) -> None:
        """Copy a message's text and its calls, as Markdown."""
        node = self.view.cursor
        if node is not None and (node.content or node.tool_calls):
            self.hearth.copy(clean(as_markdown(node.content, node.tool_calls)))
        else:
            self.hearth.flash("Nothing is written yet.")

    def action_copy_code(self) -> None:
        """Copy a code block; asks which if there are several."""
        node = self._node_with_code()
        if node is None:
            self.hearth.flash("There is no code block here.")
            return
        blocks = self.view.code_blocks(node)

        def take(place: int | None) -> None:
            if place is not None:
                self.hearth.copy(blocks[place][1].rstrip("\n"))

        if len(blocks) == 1:
            take(0)
        else:
            self.app.push_screen(CodePicker(blocks), take)

    def _node_with_code(self) -> Node | None:
        """The chosen message, or with none chosen the last that has code."""
        if self.view.cursor_id is not None:
            nodes = [node] if (node := self.view.cursor) is not None else []
        else:
            nodes = self.presenter.current.path()[::-1]
        return next((node for node in nodes if self.view.code_blocks(node)), None)

    async def action_sibling(self, by: int) -> None:
        """The previous or next version of a message; with none chosen, of the last that has versions."""
        conversation = self.presenter.current
        nodes = conversation.path()[::-1]
        if self.view.cursor_id is not None:
            nodes = [node for node in nodes if node.id == self.view.cursor_id]
        node = next((node for node in nodes if conversation.place(node.id)[1] > 1), None)
        if node is None:
            self.hearth.flash("There is one version only: r makes another, e edits.")
            return
        other = conversation.step(node.id, by)
        if other is None:
            self.hearth.flash("That is the last version." if by > 0 else "That is the first version.")
            return
        self.keeper.chose(conversation, other)
        chosen = self.view.cursor_id is not None
        await self.view.sync(other)
        if chosen:
            self.view.cursor_id = other.id
            self.view.mark()
        self.tell()

    async def action_fold(self) -> None:
        """Fold or unfold the thinking of a message, and the arguments of its calls."""
        nodes = self.presenter.current.path()[::-1]
        if self.view.cursor_id is not None and (chosen := self.view.cursor) is not None:
            nodes = [chosen]
        node = next((node for node in nodes if node.reasoning or node.tool_calls), None)
        if node is None:
            self.hearth.flash("Nothing to unfold here.")
        else:
            await self.view.fold(node)

    def action_message(self, by: int) -> None:
        """Choose the message before or after; behind the last is the prompt."""
        if not self.view.move_cursor(by):
            if by > 0:
                self.action_focus_prompt()
            return
        self.view.focus(scroll_visible=False)

    def action_top(self) -> None:
        """Go to the first message."""
        self.view.scroll_home(animate=False)

    def action_follow(self) -> None:
        """Go to the end and follow."""
        self.view.drop_cursor()
        self.view.follow()
