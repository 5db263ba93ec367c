"""One route a method of `engine.conversations.face.Conversations`, and the pictures that messages show.

A path means something on one machine alone. Whoever saves a message from elsewhere sends its pictures along, by the
names that its attachments give as paths; `attachment` hands out one that is kept.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from litestar import Request, get, post
from litestar.types import ASGIApp
from msgspec import Struct, field
from msgspec.structs import replace

from api.answering.reply import Reply, as_json
from api.dialects.native.reading import read
from engine.errors import InvalidRequest
from engine.types import (
    ConversationChange,
    ConversationForm,
    ConversationQuery,
    StoredMessage,
)

if TYPE_CHECKING:
    from api.answering.call import Call
    from api.hub import Hub


class One(Struct, frozen=True, kw_only=True):
    conversation: str


class Several(Struct, frozen=True, kw_only=True):
    conversations: tuple[str, ...]


class Save(Struct, frozen=True, kw_only=True):
    """`files` holds the bytes of attachments that are new, by the path that the attachment has."""

    conversation: str
    messages: tuple[StoredMessage, ...] = ()
    change: ConversationChange | None = None
    files: dict[str, bytes] = field(default_factory=dict)


class Journal(Struct, frozen=True, kw_only=True):
    conversation: str
    message: StoredMessage


class Choose(Struct, frozen=True, kw_only=True):
    conversation: str
    message: str


class Export(Struct, frozen=True, kw_only=True):
    conversations: tuple[str, ...]
    form: ConversationForm
    files: bool = True


class TakeIn(Struct, frozen=True, kw_only=True):
    data: bytes
    form: ConversationForm | None = None
    name: str = ""


class ShownPicture(Struct, frozen=True, kw_only=True):
    conversation: str
    message: str
    name: str


@post("/hearth/v1/conversations/find", status_code=200)
async def find(request: Request[Any, Any, Any]) -> ASGIApp:
    """The conversations that fit."""
    call, query = await read(request, ConversationQuery)
    return as_json(await call.hub.engine.conversations.find(query))


@post("/hearth/v1/conversations/get", status_code=200)
async def get_one(request: Request[Any, Any, Any]) -> ASGIApp:
    """A whole conversation."""
    call, asked = await read(request, One)
    return as_json(await call.hub.engine.conversations.get(asked.conversation))


@post("/hearth/v1/conversations/save", status_code=200)
async def save(request: Request[Any, Any, Any]) -> ASGIApp:
    """Add or replace messages, and change what there is to change; the messages as they are kept."""
    call, asked = await read(request, Save)
    with tempfile.TemporaryDirectory(prefix="hearth-") as folder:
        messages = await asyncio.to_thread(_placed, asked, Path(folder), call)
        kept = await call.hub.engine.conversations.save(asked.conversation, messages, asked.change)
    return as_json(kept)


@post("/hearth/v1/conversations/journal", status_code=200)
async def journal(request: Request[Any, Any, Any]) -> ASGIApp:
    """What a message that is being written holds so far."""
    call, asked = await read(request, Journal)
    (message,) = _placed(Save(conversation="", messages=(asked.message,)), None, call)
    await call.hub.engine.conversations.journal(asked.conversation, message)
    return as_json({})


@post("/hearth/v1/conversations/choose", status_code=200)
async def choose(request: Request[Any, Any, Any]) -> ASGIApp:
    """Put a message on the path."""
    call, asked = await read(request, Choose)
    await call.hub.engine.conversations.choose(asked.conversation, asked.message)
    return as_json({})


@post("/hearth/v1/conversations/delete", status_code=200)
async def delete(request: Request[Any, Any, Any]) -> ASGIApp:
    """Take conversations out of sight."""
    call, asked = await read(request, Several)
    await call.hub.engine.conversations.delete(asked.conversations)
    return as_json({})


@post("/hearth/v1/conversations/restore", status_code=200)
async def restore(request: Request[Any, Any, Any]) -> ASGIApp:
    """Take a deletion back."""
    call, asked = await read(request, Several)
    await call.hub.engine.conversations.restore(asked.conversations)
    return as_json({})


@get("/hearth/v1/conversations/labels", status_code=200)
async def labels(request: Request[Any, Any, Any]) -> ASGIApp:
    """The folders and tags in use."""
    hub: Hub = request.app.state["hub"]
    return as_json(await hub.engine.conversations.labels())


@get("/hearth/v1/conversations/starred", status_code=200)
async def starred(request: Request[Any, Any, Any]) -> ASGIApp:
    """The messages that were set apart, each with what was said before it."""
    hub: Hub = request.app.state["hub"]
    return as_json(await hub.engine.conversations.starred())


@post("/hearth/v1/conversations/export", status_code=200)
async def export(request: Request[Any, Any, Any]) -> ASGIApp:
    """Conversations as a file; its bytes are base64."""
    call, asked = await read(request, Export)
    return as_json(
        await call.hub.engine.conversations.export(asked.conversations, asked.form, files=asked.files)
    )


@post("/hearth/v1/conversations/take_in", status_code=200)
async def take_in(request: Request[Any, Any, Any]) -> ASGIApp:
    """Import a file, its bytes in base64."""
    call, asked = await read(request, TakeIn)
    return as_json(await call.hub.engine.conversations.take_in(asked.data, asked.form, name=asked.name))


@get("/hearth/v1/conversations/told", status_code=200)
async def told(request: Request[Any, Any, Any]) -> ASGIApp:
    """What a person should know of how the conversations were found."""
    hub: Hub = request.app.state["hub"]
    return as_json(await hub.engine.conversations.told())


@post("/hearth/v1/conversations/attachment", status_code=200)
async def attachment(request: Request[Any, Any, Any]) -> ASGIApp:
    """The bytes of a picture that a kept message shows. Raises InvalidRequest if there is none of that name."""
    call, asked = await read(request, ShownPicture)
    tree = await call.hub.engine.conversations.get(asked.conversation)
    for message in tree.messages:
        for each in message.attachments if message.id == asked.message else ():
            if each.name == asked.name and each.digest:
                data = await asyncio.to_thread(_bytes_of, each.path)
                return Reply(data, media_type=b"application/octet-stream")
    raise InvalidRequest("The message shows no such picture.", "It is not kept.", param="name")


def _placed(asked: Save, folder: Path | None, call: Call) -> Sequence[StoredMessage]:
    """The messages with the files that came with them in `folder`. Raises InvalidRequest for a path of others.

    An attachment that the request brings no bytes for is one that is kept already, known by its digest.
    """
    found: list[StoredMessage] = []
    for message in asked.messages:
        shown = list(message.attachments)
        for place, each in enumerate(shown):
            data = asked.files.get(each.path)
            if data is not None and folder is not None:
                path = folder / f"{len(found)}-{place}" / (Path(each.name).name or "picture")
                path.parent.mkdir()
                path.write_bytes(data)
                shown[place] = replace(each, path=str(path), digest="")
            elif not call.principal.own:
                if not each.digest:
                    raise InvalidRequest(
                        "A picture cannot be named by its path over HTTP.",
                        "No file of this machine is opened for its clients.",
                        "Send its bytes in `files`, by that path.",
                        param="messages",
                    )
                # Looked up by its content alone; a path that is not kept is not followed.
                shown[place] = replace(each, path="")
        found.append(replace(message, attachments=tuple(shown)) if shown else message)
    return found


def _bytes_of(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise InvalidRequest(
            "The picture cannot be read.", f"{error.strerror or error}.", param="name"
        ) from None


ROUTES = [
    find, get_one, save, journal, choose, delete, restore, labels, starred, export, take_in, told, attachment,
]  # fmt: skip
