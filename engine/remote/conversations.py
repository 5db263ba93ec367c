"""The conversations that the other side keeps: see `engine.conversations.face.Conversations`.

Pictures travel by their bytes: those of a message that is saved go along, those of one that is read are fetched once
and kept by their content in the cache of this machine.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from msgspec.structs import replace

from engine.errors import HearthError, InvalidRequest, StorageFailed
from engine.types import (
    Attachment,
    ConversationChange,
    ConversationFile,
    ConversationForm,
    ConversationLabels,
    ConversationPage,
    ConversationQuery,
    ConversationTree,
    ImportedConversation,
    ImportReport,
    RefusedEntry,
    StarredMessage,
    StoredMessage,
)

if TYPE_CHECKING:
    from engine.remote.asking import Asking

_BYTES: Final = 16
"""Of the digest by which pictures are kept."""


class RemoteConversations:
    """`kept` is the folder of pictures that were fetched."""

    def __init__(self, engine: Asking, kept: Path) -> None:
        self._engine, self._kept = engine, kept
        self._turns: asyncio.Lock | None = None
        self._fetched: dict[str, asyncio.Lock] = {}

    async def find(self, query: ConversationQuery) -> ConversationPage:
        return await self._engine._post("conversations/find", ConversationPage, query)

    async def get(self, conversation: str) -> ConversationTree:
        tree = await self._engine._post("conversations/get", ConversationTree, {"conversation": conversation})
        if not any(message.attachments for message in tree.messages):
            return tree
        messages = [await self._here(conversation, message) for message in tree.messages]
        return replace(tree, messages=tuple(messages))

    async def save(
        self,
        conversation: str,
        messages: Sequence[StoredMessage] = (),
        change: ConversationChange | None = None,
    ) -> tuple[StoredMessage, ...]:
        files = await asyncio.to_thread(_files, messages)
        asked = {
            "conversation": conversation,
            "messages": tuple(messages),
            "change": change,
            "files": files,
        }
        kept = await self._change("conversations/save", tuple[StoredMessage, ...], asked)
        return tuple([await self._here(conversation, message) for message in kept])

    async def journal(self, conversation: str, message: StoredMessage) -> None:
        await self._change("conversations/journal", dict, {"conversation": conversation, "message": message})

    async def choose(self, conversation: str, message: str) -> None:
        await self._change("conversations/choose", dict, {"conversation": conversation, "message": message})

    async def delete(self, conversations: Sequence[str]) -> None:
        await self._change("conversations/delete", dict, {"conversations": tuple(conversations)})

    async def restore(self, conversations: Sequence[str]) -> None:
        await self._change("conversations/restore", dict, {"conversations": tuple(conversations)})

    async def labels(self) -> ConversationLabels:
        return await self._engine._get("conversations/labels", ConversationLabels)

    async def starred(self) -> tuple[StarredMessage, ...]:
        found = await self._engine._get("conversations/starred", tuple[StarredMessage, ...])
        return tuple(
            [
                replace(each, messages=tuple([await self._here(each.conversation, m) for m in each.messages]))
                for each in found
            ]
        )

    async def export(
        self, conversations: Sequence[str], form: ConversationForm, *, files: bool = True
    ) -> ConversationFile:
        asked = {"conversations": tuple(conversations), "form": form, "files": files}
        return await self._engine._post("conversations/export", ConversationFile, asked, patient=True)

    async def take_in(
        self, source: bytes | Path, form: ConversationForm | None = None, *, name: str = ""
    ) -> ImportReport:
        if isinstance(source, bytes):
            return await self._take_in(source, form, name)
        # The file is here, not there: it is read here, and sent one conversation at a time.
        from engine.conversations.exporting import packed
        from engine.conversations.sources import entries

        found = await asyncio.to_thread(entries, source, form, name)
        taken: list[ImportedConversation] = []
        refused: list[RefusedEntry] = []
        while (entry := await asyncio.to_thread(next, found, None)) is not None:
            if isinstance(entry, RefusedEntry):
                refused.append(entry)
                continue
            report = await self._take_in(await asyncio.to_thread(packed, entry), "json", "")
            taken += [replace(each, missing=entry.missing) for each in report.conversations]
            refused += report.refused
        return ImportReport(conversations=tuple(taken), refused=tuple(refused))

    async def _take_in(self, data: bytes, form: ConversationForm | None, name: str) -> ImportReport:
        asked = {"data": data, "form": form, "name": name}
        report: ImportReport = await self._change("conversations/take_in", ImportReport, asked)
        return report

    async def told(self) -> tuple[str, ...]:
        return await self._engine._get("conversations/told", tuple[str, ...])

    async def _change(self, path: str, kind: Any, body: object) -> Any:
        """Changes are sent one after the other, so that they come in the order in which they were made."""

        async def there() -> Any:
            if self._turns is None:
                self._turns = asyncio.Lock()
            async with self._turns:
                return await self._engine._link.ask("POST", path, kind, body, patient=True)

        return await self._engine._on_loop(there())

    # --- pictures

    async def _here(self, conversation: str, message: StoredMessage) -> StoredMessage:
        """`message` with paths that lead to its pictures on this machine."""
        if not message.attachments:
            return message
        shown = [await self._picture(conversation, message.id, each) for each in message.attachments]
        return replace(message, attachments=tuple(shown))

    async def _picture(self, conversation: str, message: str, picture: Attachment) -> Attachment:
        if not picture.digest or not picture.digest.isalnum():
            return picture
        # On this very machine it is there already.
        if await asyncio.to_thread(_is, Path(picture.path), picture.digest):
            return picture
        file = self._kept / picture.digest
        if not await asyncio.to_thread(file.is_file):
            try:
                data = await self._fetch(conversation, message, picture.name)
                await asyncio.to_thread(_keep, file, data, picture.digest)
            except HearthError:
                # The message is worth reading without it; the chat says that the picture is not there.
                return picture
        return replace(picture, path=str(file))

    async def _fetch(self, conversation: str, message: str, name: str) -> bytes:
        asked = {"conversation": conversation, "message": message, "name": name}

        async def there() -> bytes:
            return await self._engine._link.fetch("conversations/attachment", asked)

        return await self._engine._on_loop(there())


def _files(messages: Sequence[StoredMessage]) -> dict[str, bytes]:
    """The bytes of pictures that are not kept yet, by their path. Raises InvalidRequest for one that cannot be read."""
    found: dict[str, bytes] = {}
    for message in messages:
        for each in message.attachments:
            if each.digest or each.path in found:
                continue
            try:
                found[each.path] = Path(each.path).read_bytes()
            except OSError as error:
                raise InvalidRequest(
                    f"{each.name} cannot be kept.", f"{each.path}: {error.strerror or error}."
                ) from None
    return found


def _digest(data: bytes) -> str:
    return hashlib.blake2b(data, digest_size=_BYTES).hexdigest()


def _is(file: Path, digest: str) -> bool:
    try:
        return file.is_absolute() and file.is_file() and _digest(file.read_bytes()) == digest
    except OSError:
        return False


def _keep(file: Path, data: bytes, digest: str) -> None:
    if _digest(data) != digest:
        raise StorageFailed("The picture is not the one that was kept.")
    try:
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        beside = file.with_name(f".{file.name}.part")
        beside.write_bytes(data)
        beside.replace(file)
    except OSError as error:
        raise StorageFailed(f"{file} cannot be written.", f"{error.strerror or error}.") from None
