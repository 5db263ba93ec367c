"""Keeps a talk of the plain terminal where the workstation keeps its own: each answer as it comes."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

from msgspec.structs import replace

from cli.chat.answer import Answer, follow
from cli.chat.session import Session
from engine import Engine
from engine.errors import HearthError
from engine.types import (
    Attachment,
    ConversationChange,
    GenerationRequest,
    ImagePart,
    Message,
    StoredMessage,
)
from tui.asking.files import written
from tui.screens.chat.conversation import title_of

JOURNAL_S = 0.3
"""Seconds between two looks at what was written: half a second at most is lost in a crash."""


class KeptChat:
    """The conversation of a session. What cannot be kept is told once by `note`, and the chat goes on."""

    def __init__(self, engine: Engine, session: Session, note: Callable[[str], None]) -> None:
        self._engine, self._session, self._note = engine, session, note
        self.id = os.urandom(8).hex()
        self._ids: dict[int, str] = {}
        self._held: list[Message] = []
        """The messages that are kept, so that no other can have the identity of one."""
        self._answer_id = ""
        self._failed = False

    def begin(self) -> None:
        """The messages so far are another conversation from now on."""
        self.id = os.urandom(8).hex()
        self._ids.clear()
        self._held.clear()

    @asynccontextmanager
    async def writing(self, request: GenerationRequest) -> AsyncIterator[Callable[[Answer], None]]:
        """Keep the question; within, what is given grows and is kept as it grows; afterwards it is whole."""
        messages = [self._kept(message, before) for before, message in self._new()]
        parent = messages[-1].id if messages else self._last()
        self._answer_id = os.urandom(8).hex()
        fresh = StoredMessage(id=self._answer_id, parent=parent, role="assistant", state="writing")
        growing = [Answer()]
        await self._save([*messages, _filled(fresh, request, growing[-1])], request)
        task = asyncio.create_task(self._journal(fresh, request, growing))
        try:
            yield growing.append
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
            await self._save([_whole(_filled(fresh, request, growing[-1]), growing[-1])])

    def took(self) -> None:
        """The session has taken the answer in: its message is the one that was kept."""
        if self._session.messages and self._session.messages[-1].role == "assistant":
            self._know(self._session.messages[-1], self._answer_id)

    def _new(self) -> list[tuple[Message | None, Message]]:
        found: list[tuple[Message | None, Message]] = []
        before: Message | None = None
        for message in self._session.messages:
            if message.role != "system" and id(message) not in self._ids:
                found.append((before, message))
            if message.role != "system":
                before = message
        return found

    def _last(self) -> str:
        said = [message for message in self._session.messages if message.role != "system"]
        return self._ids.get(id(said[-1]), "") if said else ""

    def _know(self, message: Message, name: str) -> None:
        self._ids[id(message)] = name
        self._held.append(message)

    def _kept(self, message: Message, before: Message | None) -> StoredMessage:
        name = os.urandom(8).hex()
        parent = self._ids.get(id(before), "") if before is not None else ""
        self._know(message, name)
        content, attachments = _content(message)
        assert message.role != "system"
        return StoredMessage(
            id=name,
            parent=parent,
            role=message.role,
            content=content,
            attachments=attachments,
            reasoning=message.reasoning or "",
            tool_calls=message.tool_calls,
            tool_call_id=message.tool_call_id or "",
            tool_name=message.tool_name or "",
            tool_error=message.tool_error,
        )

    async def _journal(self, fresh: StoredMessage, request: GenerationRequest, growing: list[Answer]) -> None:
        while True:
            await asyncio.sleep(JOURNAL_S)
            with suppress(HearthError):
                await self._engine.conversations.journal(self.id, _filled(fresh, request, growing[-1]))

    async def _save(self, messages: list[StoredMessage], request: GenerationRequest | None = None) -> None:
        change = None
        if request is not None:
            question = next((each.content for each in messages if each.role == "user"), "")
            first = bool(messages) and not messages[0].parent
            title = {"title": title_of(question)} if first and question else {}
            settings = {
                name: value
                for name, value in (
                    ("system", request.system),
                    ("sampling", dict(request.sampling)),
                    ("max_tokens", request.max_tokens),
                )
                if value
            }
            change = ConversationChange(model=request.model, settings=settings or None, **title)
        try:
            await self._engine.conversations.save(self.id, messages, change)
        except HearthError as error:
            if not self._failed:
                self._failed = True
                self._note(f"Not saved: {error.info.sentence()}")


async def answer_of(engine: Engine, request: GenerationRequest, kept: KeptChat | None) -> Answer:
    """Ask and write the answer; with `kept` it is kept as it comes."""
    if kept is None:
        return await follow(engine.generate(request), request)
    async with kept.writing(request) as watch:
        return await follow(engine.generate(request), request, watch=watch)


def _filled(message: StoredMessage, request: GenerationRequest, answer: Answer) -> StoredMessage:
    return replace(
        message,
        content=answer.text,
        reasoning=answer.reasoning,
        tool_calls=tuple(answer.calls),
        model=request.model,
        adapters=request.adapters or (),
    )


def _whole(message: StoredMessage, answer: Answer) -> StoredMessage:
    return replace(
        message,
        state="whole",
        usage=answer.usage,
        timings=answer.timings,
        context=answer.context,
        miss=answer.miss,
        dropped=answer.dropped_messages,
        dropped_tokens=answer.dropped_tokens,
        shifted=answer.shifted,
        finish=answer.reason or None,
        error=answer.error,
        stopped=answer.stopped,
    )


def _content(message: Message) -> tuple[str, tuple[Attachment, ...]]:
    """A message's text, a mention where a picture stands, and the pictures."""
    if isinstance(message.content, str):
        return message.content, ()
    pieces: list[str] = []
    pictures: list[Attachment] = []
    for part in message.content:
        if isinstance(part, ImagePart):
            if part.path:
                pieces.append(
                    f"{'' if not pieces or pieces[-1][-1:].isspace() else ' '}{written(part.path)} "
                )
                pictures.append(
                    Attachment(name=part.path, path=part.path, media_type=part.media_type or "image/png")
                )
        else:
            pieces.append(getattr(part, "text", ""))
    return "".join(pieces).strip(), tuple(pictures)
