"""What is being written just now, in pieces, so that a crash keeps it; what crashed writers left becomes messages.

Each call gets all that a message holds so far; only what is new of it is written, a few hundred bytes that need not
reach the platter: the end of the process does not touch them.
"""

from __future__ import annotations

from typing import Any

import apsw
import msgspec
from msgspec.structs import replace

from engine.conversations.records import MESSAGE_COLUMNS, body_of, message_of, with_pieces
from engine.conversations.writers import Writers
from engine.types import StoredMessage, ToolCall

_Told = tuple[int, int, tuple[ToolCall, ...]]
"""How much of content and reasoning a journal holds (characters), and which calls."""


class Journal:
    """The journal of this process. Callers hold the transaction."""

    def __init__(self, writers: Writers) -> None:
        self._writers = writers
        self._told: dict[int, _Told] = {}

    def begin(self, key: int, message: StoredMessage) -> None:
        """The message with that row is begun, or gone on with, from what its row holds."""
        self._told[key] = (len(message.content), len(message.reasoning), message.tool_calls)

    def end(self, connection: apsw.Connection, key: int) -> None:
        """The message's row holds all of it."""
        self._told.pop(key, None)
        connection.execute("DELETE FROM journal WHERE message = ?", (key,))

    def add(self, connection: apsw.Connection, key: int, message: StoredMessage) -> bool:
        """Keep what is new; False if nothing is, or if the message is not being written by this process."""
        told = self._told.get(key)
        if told is None:
            return False
        content, reasoning = message.content[told[0] :], message.reasoning[told[1] :]
        calls = message.tool_calls if message.tool_calls != told[2] else ()
        if not content and not reasoning and not calls:
            return False
        connection.execute(
            "INSERT INTO journal (message, piece, content, reasoning, calls) VALUES (?1,"
            " (SELECT coalesce(max(piece), 0) + 1 FROM journal WHERE message = ?1), ?2, ?3, ?4)",
            (key, content, reasoning, msgspec.json.encode(calls).decode() if calls else ""),
        )
        return True

    def added(self, key: int, message: StoredMessage) -> None:
        """What `add` wrote is committed."""
        self.begin(key, message)

    def pieces(self, connection: apsw.Connection, key: int) -> list[tuple[str, str, str]]:
        """What the journal holds of a message."""
        return list(
            connection.execute(
                "SELECT content, reasoning, calls FROM journal WHERE message = ? ORDER BY piece", (key,)
            )
        )

    def abandoned(self, connection: apsw.Connection, conversation: int | None = None) -> list[int]:
        """Messages whose writers are gone, as row keys: in one conversation or in all."""
        where = "" if conversation is None else f" AND conversation = {conversation:d}"
        rows: list[tuple[Any, ...]] = connection.execute(
            "SELECT key, writer FROM messages WHERE state = 'writing'" + where
        ).fetchall()
        return [key for key, writer in rows if not self._writers.writes(writer)]

    def recover(self, connection: apsw.Connection, keys: list[int]) -> int:
        """Make whole rows, marked as interrupted, of abandoned messages; how many there were."""
        count = 0
        for key in keys:
            row = connection.execute(
                f"SELECT {MESSAGE_COLUMNS} FROM messages WHERE key = ? AND state = 'writing'", (key,)
            ).fetchone()
            if row is None:
                continue  # another process was faster
            message = with_pieces(message_of(row), self.pieces(connection, key))
            message = replace(message, state="interrupted")
            connection.execute(
                "UPDATE messages SET content = ?, body = ?, state = 'interrupted', writer = NULL WHERE key = ?",
                (message.content, body_of(message), key),
            )
            connection.execute("DELETE FROM journal WHERE message = ?", (key,))
            count += 1
        return count
