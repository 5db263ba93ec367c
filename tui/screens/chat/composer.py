"""The lower part of the chat: prompt, completion, attached files. It ends in a message to send, or a command to run."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, cast

from textual import on
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.message import Message
from textual.widgets import Static, TextArea

from engine.errors import HearthError
from engine.text_safety import plain
from tui import editor, units
from tui.asking import files
from tui.screens.chat import mentions, slash
from tui.screens.chat.completion import CompletionList, Offer
from tui.screens.chat.prompt import Prompt
from tui.screens.chat.slash import SlashCommand

if TYPE_CHECKING:
    from tui.app import HearthApp


LARGEST_FILE = 256 * 1024
"""Bytes of a file that goes along: the message is drawn with it. The window sets the real limit, in tokens."""


class Composer(Vertical):
    """`count` gives the number of tokens of a text, for the model that is asked next."""

    class Submitted(Message):
        """A message is to be sent, its files within it."""

        def __init__(self, text: str) -> None:
            super().__init__()
            self.text = text

    class Commanded(Message):
        """A `/` command is to be run."""

        def __init__(self, command: SlashCommand, argument: str) -> None:
            super().__init__()
            self.command, self.argument = command, argument

    def __init__(self, count: Callable[[str], Awaitable[int]]) -> None:
        super().__init__(id="composer")
        self.completion = CompletionList()
        self.prompt = Prompt(self.completion, self._settle)
        self._count = count
        self._offered_for: tuple[int, str] | None = None
        """Row and line up to the cursor that the offers, or their absence, belong to."""
        self._attached: dict[str, int | None] = {}
        """Files put in by completion, and their tokens once counted."""

    @property
    def hearth(self) -> HearthApp:
        """The app, by its own type."""
        return cast("HearthApp", self.app)

    @property
    def attached(self) -> dict[str, int | None]:
        """The files that go along, by name as typed, and their tokens; None while they are counted."""
        return self._attached

    def compose(self) -> ComposeResult:
        """Offers, files, prompt."""
        yield self.completion
        yield Static("", id="attached", markup=False)
        yield self.prompt

    # --- completion

    @on(TextArea.Changed, "#prompt")
    @on(TextArea.SelectionChanged, "#prompt")
    def _typed(self) -> None:
        self._forget_unmentioned()
        here = self._here()
        if here == self._offered_for:
            return
        self._offered_for = here
        row, line = here
        if row == 0 and line.startswith("/"):
            self.completion.offer(list(slash.offers(line)))
            return
        mention = mentions.open_mention(line)
        if mention is None:
            self.completion.close()
        else:
            self.run_worker(partial(self._offer_files, mention, here), group="files", exclusive=True)

    def _here(self) -> tuple[int, str]:
        row, column = self.prompt.cursor_location
        return row, self.prompt.document.get_line(row)[:column]

    def _settle(self) -> None:
        """Offer for the text as it is now. Files that are still looked up are not offered until they are found."""
        if self._here() != self._offered_for:
            self.completion.close()
            self._typed()

    async def _offer_files(self, mention: mentions.Mention, here: tuple[int, str]) -> None:
        found = await asyncio.to_thread(mentions.candidates, mention.name, Path.cwd())
        if here != self._here():
            return
        offers = [
            Offer(
                f"{name}{'/' if folder else ''}",
                _mention_text(name, folder),
                mention.start,
                "folder" if folder else "",
            )
            for name, folder in found
            if name != mention.name or folder
        ]
        self.completion.offer(offers)

    @on(CompletionList.Taken)
    def _clicked(self) -> None:
        self.prompt.focus()
        self.prompt.action_complete()

    @on(Prompt.Completed)
    def _completed(self, event: Prompt.Completed) -> None:
        text = event.offer.text
        if text.startswith("@") and text.endswith(" "):
            name = text.strip().removeprefix("@").strip('"')
            self.run_worker(partial(self._take_in, name), group="attach")

    # --- files

    async def _take_in(self, name: str) -> None:
        """Read a file and count its tokens, to show both before anything is sent."""
        try:
            file = await asyncio.to_thread(files.read, name, Path.cwd(), largest=LARGEST_FILE)
            self._attached[name] = None
            self._show_attached()
            tokens = await self._count(file.text)
        except HearthError as error:
            self._attached.pop(name, None)
            self.hearth.flash(error.info.sentence(), "error")
        else:
            if name in self._attached:
                self._attached[name] = tokens
        self._show_attached()

    def _forget_unmentioned(self) -> None:
        names = set(files.mentioned(self.prompt.text))
        gone = [name for name in self._attached if name not in names]
        for name in gone:
            del self._attached[name]
        if gone:
            self._show_attached()

    def _show_attached(self) -> None:
        strip = self.query_one("#attached", Static)
        strip.display = bool(self._attached)
        parts = [
            Content.assemble(
                ("⊕ ", "$primary"),
                plain(name, 40),
                (f"  {'counting …' if tokens is None else units.tokens(tokens) + ' tokens'}", "$muted"),
            )
            for name, tokens in self._attached.items()
        ]
        strip.update(Content("    ").join(parts))

    # --- sending

    @on(Prompt.Sent)
    async def _sent(self, event: Prompt.Sent) -> None:
        event.stop()
        try:
            found = slash.parse(event.text)
            if found is not None:
                self.post_message(self.Commanded(*found))
                return
            text = event.text[1:] if event.text.startswith("//") else event.text
            if files.mentioned(text):
                found_files = await asyncio.to_thread(
                    files.attachments, text, Path.cwd(), largest=LARGEST_FILE
                )
                text = files.with_files(text, found_files)
        except HearthError as error:
            self.prompt.load(event.text)
            self.hearth.flash(error.info.sentence(), "error")
            return
        self.post_message(self.Submitted(text))

    # --- the editor

    @on(Prompt.EditorAsked)
    def write_in_editor(self) -> None:
        """Open `$EDITOR` on what is written so far; nothing is sent by leaving it."""
        try:
            words = editor.command(os.environ)
            with self.app.suspend():
                text = editor.edit(self.prompt.text, words)
        except HearthError as error:
            self.hearth.flash(error.info.sentence(), "error")
        else:
            self.prompt.load(text)
        self.prompt.focus()


def _mention_text(name: str, folder: bool) -> str:
    return f"@{name}/" if folder else f"{files.written(name)} "
