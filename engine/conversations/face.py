"""The face of the conversations that are kept, as `engine.conversations` gives it; a part of `engine.face`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from engine.types import (
    ConversationChange,
    ConversationFile,
    ConversationForm,
    ConversationLabels,
    ConversationPage,
    ConversationQuery,
    ConversationTree,
    ImportReport,
    StarredMessage,
    StoredMessage,
)


class Conversations(Protocol):
    """May be called from any loop; calls take effect in the order in which they are made.

    What is written is on disk when the call returns. Calls raise `engine.errors.StorageFailed`, and those that name a
    conversation ConversationNotFound. The engine writes nothing here by itself: whoever talks keeps what was said.
    """

    async def find(self, query: ConversationQuery) -> ConversationPage:
        """The conversations that fit, pinned ones first, then the newest."""
        ...

    async def get(self, conversation: str) -> ConversationTree:
        """The whole tree, with what other processes are writing in it just now."""
        ...

    async def save(
        self,
        conversation: str,
        messages: Sequence[StoredMessage] = (),
        change: ConversationChange | None = None,
    ) -> tuple[StoredMessage, ...]:
        """Add or replace messages by id, and change what `change` says; a new id begins a conversation.

        A message that is saved as `writing` is begun; `journal` tells of it until it is saved whole. Parents come
        before their children. Returns the messages as they are kept: the files that they show are copied first.
        Raises InvalidRequest for a parent that is not there.
        """
        ...

    async def journal(self, conversation: str, message: StoredMessage) -> None:
        """What a message that is being written holds so far, so that the end of this process does not take it along."""
        ...

    async def choose(self, conversation: str, message: str) -> None:
        """Put a message on the path; below it the path goes where it went before."""
        ...

    async def delete(self, conversations: Sequence[str]) -> None:
        """Take conversations out of sight; they go for good when this process ends."""
        ...

    async def restore(self, conversations: Sequence[str]) -> None:
        """Take a deletion of this process back."""
        ...

    async def labels(self) -> ConversationLabels:
        """The folders and tags in use."""
        ...

    async def starred(self) -> tuple[StarredMessage, ...]:
        """The messages that were set apart, the oldest first, each with what was said before it."""
        ...

    async def export(
        self, conversations: Sequence[str], form: ConversationForm, *, files: bool = True
    ) -> ConversationFile:
        """Conversations as a file: `json` is everything, the others are the chosen path. `files`: pictures within."""
        ...

    async def take_in(
        self, source: bytes | Path, form: ConversationForm | None = None, *, name: str = ""
    ) -> ImportReport:
        """Import a file, by its bytes or its path on this machine, of a form that is recognised if none is said.

        Hearth's JSON, OpenAI messages and Markdown come in as copies, all of a file or nothing. Histories of other
        programs (ChatGPT, LM Studio, oterm) are known when they come again: only what is new of them is added, and an
        entry that cannot be read is named in the report while the others come in. `name` is a title for what has none.
        Raises InvalidRequest for a file that cannot be read at all.
        """
        ...

    async def told(self) -> tuple[str, ...]:
        """What a person should know of how the conversations were found; empty when all is well."""
        ...
