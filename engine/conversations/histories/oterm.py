"""`store.db` of oterm: SQLite with a table `chat` (id, name, model, system, parameters) and one `message` (id, chat_id,
author, text, images: a JSON list of base64). Older ones have fewer columns.

The file may be anybody's: it is copied, opened for reading alone, and its statements are stopped after a bound. Only
tables that are tables are read.
"""

from __future__ import annotations

import base64
import binascii
import json
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import apsw

from engine.conversations.imported import (
    Entry,
    Files,
    Imported,
    attached,
    fields,
    items,
    mentioning,
    refusal,
    stable_id,
    text,
)
from engine.conversations.tree import checked
from engine.errors import InvalidRequest
from engine.types import Attachment, ConversationSummary, ConversationTree, Json, StoredMessage

FOLDER = "oterm"
HEADER = b"SQLite format 3\0"
MOST_STEPS = 2_000_000_000
"""Instructions of SQLite's machine for the whole file; a table of a million messages takes some hundredths of it."""
_STRIDE = 1_000_000
_AUTHORS = {"user": "user", "me": "user", "assistant": "assistant", "ollama": "assistant"}
_SAMPLING = ("temperature", "top_p", "top_k", "min_p", "seed", "repeat_penalty")


def read(data: bytes, log: bytes = b"") -> Iterator[Entry]:
    """The chats of a database; `log` is its write-ahead log, if oterm is running. Raises InvalidRequest."""
    folder = Path(tempfile.mkdtemp(prefix="hearth-oterm-"))
    try:
        path = folder / "store.db"
        path.write_bytes(data)
        if log:
            path.with_name("store.db-wal").write_bytes(log)
        yield from _chats(path)
    except (apsw.Error, OSError) as error:
        raise InvalidRequest("The database cannot be read.", f"{error}.") from None
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _chats(path: Path) -> Iterator[Entry]:
    connection = apsw.Connection(str(path))
    try:
        steps = 0

        def too_long() -> bool:
            nonlocal steps
            steps += _STRIDE
            return steps > MOST_STEPS

        connection.set_progress_handler(too_long, _STRIDE)
        connection.execute(
            "PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON; PRAGMA mmap_size = 0"
        ).fetchall()
        chat, message = (_columns(connection, table) for table in ("chat", "message"))
        if not {"id", "name", "model"} <= chat or not {"chat_id", "author", "text"} <= message:
            raise InvalidRequest("The database is not one of oterm.", "It has no tables chat and message.")
        wanted = [each for each in ("id", "name", "model", "system", "parameters") if each in chat]
        rows = connection.execute(f"SELECT {', '.join(wanted)} FROM chat ORDER BY id").fetchall()
        for row in rows:
            one = dict(zip(wanted, row, strict=True))
            name = text(one.get("name")) or f"chat {one['id']}"
            try:
                yield _chat(connection, one, message)
            except (InvalidRequest, TypeError, ValueError, RecursionError, apsw.Error) as error:
                yield refusal(name, error)
    finally:
        connection.close()


def _columns(connection: apsw.Connection, table: str) -> set[str]:
    kind = connection.execute("SELECT type FROM sqlite_schema WHERE name = ?", (table,)).get
    if kind != "table":
        return set()
    return {row[1] for row in connection.execute(f"PRAGMA table_info({table})")}


def _chat(connection: apsw.Connection, chat: dict[str, Any], columns: set[str]) -> Imported:
    order, images = ("id" if "id" in columns else "rowid"), ("images" if "images" in columns else "'[]'")
    rows = connection.execute(
        f"SELECT author, text, {images} FROM message WHERE chat_id = ? ORDER BY {order}", (chat["id"],)
    ).fetchall()
    files: Files = {}
    missing: list[str] = []
    messages: list[StoredMessage] = []
    # A chat's number is its own within one database alone, so what it begins with counts as well.
    source = stable_id("oterm", chat["id"], text(rows[0][1]) if rows else "")
    for author, said, encoded in rows:
        role = _AUTHORS.get(str(author).lower())
        if role is None:
            raise InvalidRequest("A message has no author that is known.", f"It is {author!r}.")
        pictures = _pictures(encoded, files, missing)
        above = messages[-1].id if messages else ""
        messages.append(
            StoredMessage(
                id=stable_id(source, above, role, text(said)),
                parent=above,
                role="user" if role == "user" else "assistant",
                content=mentioning(text(said), pictures),
                attachments=pictures,
                model=text(chat["model"]) if role == "assistant" else "",
            )
        )
    if not messages:
        raise InvalidRequest("There is no message in it.")
    tree = ConversationTree(
        summary=ConversationSummary(id=source, title=text(chat["name"]), folder=FOLDER),
        settings=_settings(chat),
        messages=checked(messages),
    )
    return Imported(tree=tree, files=files, known=True, missing=tuple(missing))


def _pictures(encoded: Any, files: Files, missing: list[str]) -> tuple[Attachment, ...]:
    found = []
    try:
        listed = items(json.loads(encoded or "[]"))
    except (ValueError, TypeError, RecursionError):
        listed = [None]
    for each in listed:
        try:
            found.append(attached(base64.b64decode(each, validate=True), files))
        except (InvalidRequest, TypeError, ValueError, binascii.Error):
            missing.append("a picture")
    return tuple(found)


def _settings(chat: dict[str, Any]) -> Json:
    found: dict[str, Json] = {}
    if system := text(chat.get("system")):
        found["system"] = system
    try:
        parameters = fields(json.loads(chat.get("parameters") or "{}"))
    except (ValueError, TypeError, RecursionError):
        parameters = {}
    sampling: dict[str, Json] = {
        name: value
        for name in _SAMPLING
        if isinstance(value := parameters.get(name), int | float) and not isinstance(value, bool)
    }
    if sampling:
        found["sampling"] = sampling
    return found or None
