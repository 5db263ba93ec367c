"""The conversations of `hearth.db`: written, read and deleted, one call at a time on one thread.

`local.LocalConversations` is what others call; it gives this its thread.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import apsw
import msgspec
from msgspec import UNSET
from msgspec.structs import replace

from engine.conversations import search
from engine.conversations.attachments import AttachmentFiles
from engine.conversations.journal import Journal
from engine.conversations.records import (
    MESSAGE_COLUMNS,
    SUMMARY,
    body_of,
    message_of,
    summary_of,
    with_pieces,
)
from engine.conversations.tree import path_to
from engine.conversations.writers import Writers
from engine.errors import ConversationNotFound, InvalidRequest
from engine.paths import Paths
from engine.store.sqlite import Database, one
from engine.types import (
    ConversationChange,
    ConversationLabels,
    ConversationPage,
    ConversationQuery,
    ConversationTree,
    Json,
    Label,
    StarredMessage,
    StoredMessage,
)

log = logging.getLogger(__name__)

_COLUMNS = ("title", "folder", "pinned", "archived", "model", "draft", "place")
"""What a `ConversationChange` says that has a column of its name."""


class ConversationStore:
    """Opens the database; what crashed processes left is brought in order. `paths` None: all of it in memory.

    Methods raise StorageFailed, and ConversationNotFound for an id that is not there.
    """

    def __init__(self, paths: Paths | None, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self.files = AttachmentFiles(paths.attachments if paths is not None else None)
        self.writers = Writers(paths.writers if paths is not None else None)
        try:
            if paths is None:
                self._database = Database.open(None)
            else:
                self._database = Database.open(paths.database_file, backups=paths.database_backups)
        except BaseException:
            self.writers.leave()
            raise
        self._journal = Journal(self.writers)
        self._keys: dict[tuple[str, str], int] = {}
        """Row keys of the messages that this process is writing."""
        self.told = list(self._database.told)
        self._put_in_order()

    def _put_in_order(self) -> None:
        connection = self._database.connection
        abandoned = self._journal.abandoned(connection)
        leavers = [
            writer
            for (writer,) in self._database.reading(
                "SELECT DISTINCT deleted_by FROM conversations WHERE deleted_by IS NOT NULL"
            )
            if not self.writers.writes(writer)
        ]
        self.writers.sweep()
        if not abandoned and not leavers:
            return
        with self._database.writing():
            count = self._journal.recover(connection, abandoned)
            for writer in leavers:
                self._purge("deleted_by = ?", writer)
        if count:
            self.told.append(
                f"{count} answer{'s were' if count > 1 else ' was'} cut off when Hearth ended: "
                f"what there was of {'them' if count > 1 else 'it'} is kept."
            )

    def close(self) -> None:
        """Let deletions be for good, and let go of the file. What is still being written counts as interrupted."""
        try:
            with self._database.writing() as connection:
                self._journal.recover(connection, list(self._keys.values()))
                self._purge("deleted_by = ?", self.writers.me)
        finally:
            self._database.close()
            self.writers.leave()

    # --- reading

    def find(self, query: ConversationQuery) -> ConversationPage:
        """See the face."""
        with self._database.read():
            return search.find(self._database.connection, query)

    def get(self, conversation: str) -> ConversationTree:
        """See the face."""
        connection = self._database.connection
        key = self._key(conversation)
        left = self._journal.abandoned(connection, key)
        if left:
            with self._database.writing():
                self._journal.recover(connection, left)
        with self._database.read():
            row = one(connection.execute(f"{SUMMARY} WHERE c.key = ?", (key,)))
            settings, draft, place = one(
                connection.execute("SELECT settings, draft, place FROM conversations WHERE key = ?", (key,))
            )
            rows: list[tuple[Any, ...]] = connection.execute(
                f"SELECT {MESSAGE_COLUMNS} FROM messages WHERE conversation = ? ORDER BY key", (key,)
            ).fetchall()
            messages = tuple(
                with_pieces(message, self._journal.pieces(connection, each[0]))
                if (message := message_of(each)).state == "writing"
                else message
                for each in rows
            )
        return ConversationTree(
            summary=summary_of(row),
            settings=_settings(settings),
            draft=draft,
            place=place,
            messages=messages,
        )

    def labels(self) -> ConversationLabels:
        """See the face."""
        folders = self._database.reading(
            "SELECT folder, count(*) FROM conversations WHERE folder <> '' AND deleted_by IS NULL"
            " GROUP BY folder ORDER BY folder"
        )
        tags = self._database.reading(
            "SELECT tag, count(*) FROM tags AS t JOIN conversations AS c ON c.key = t.conversation"
            " WHERE c.deleted_by IS NULL GROUP BY tag ORDER BY tag"
        )
        return ConversationLabels(
            folders=tuple(Label(*row) for row in folders), tags=tuple(Label(*row) for row in tags)
        )

    def starred(self) -> tuple[StarredMessage, ...]:
        """See the face."""
        rows = self._database.reading(
            "SELECT c.id, m.id FROM messages AS m JOIN conversations AS c ON c.key = m.conversation"
            " WHERE json_extract(m.body, '$.starred') AND c.deleted_by IS NULL ORDER BY m.created, m.key"
        )
        trees = {conversation: self.get(conversation) for conversation in {each for each, _ in rows}}
        return tuple(
            StarredMessage(
                conversation=conversation,
                title=trees[conversation].summary.title,
                system=_system(trees[conversation].settings),
                messages=path_to(trees[conversation].messages, message),
            )
            for conversation, message in rows
        )

    # --- writing

    def save(
        self, conversation: str, messages: Sequence[StoredMessage], change: ConversationChange | None
    ) -> tuple[StoredMessage, ...]:
        """See the face."""
        if not conversation:
            raise InvalidRequest("A conversation needs an id.", param="conversation")
        written: list[tuple[int, StoredMessage]] = []
        with self._database.writing() as connection:
            key = self._made(connection, conversation, turn=bool(messages))
            for message in messages:
                written.append(self._put(connection, key, message))
            if change is not None:
                self._change(connection, key, change)
        # Only now is it so.
        for row, message in written:
            if message.state == "writing":
                self._keys[conversation, message.id] = row
                self._journal.begin(row, message)
            else:
                self._keys.pop((conversation, message.id), None)
        return tuple(message for _, message in written)

    def journal(self, conversation: str, message: StoredMessage) -> None:
        """See the face."""
        row = self._keys.get((conversation, message.id))
        if row is None:
            return  # it is saved whole, or its conversation is deleted
        with self._database.writing(lasting=False) as connection:
            told = self._journal.add(connection, row, message)
        if told:
            self._journal.added(row, message)

    def choose(self, conversation: str, message: str) -> None:
        """See the face."""
        with self._database.writing() as connection:
            key = self._key(conversation)
            at = message
            while at:
                row = connection.execute(
                    "SELECT parent FROM messages WHERE conversation = ? AND id = ?", (key, at)
                ).fetchone()
                if row is None:
                    raise ConversationNotFound(
                        "There is no such message.", f"{conversation} has no message {at!r}.", param="message"
                    )
                connection.execute(_CHOOSE, (at, key, row[0], at))
                at = row[0]

    def delete(self, conversations: Sequence[str]) -> None:
        """See the face."""
        with self._database.writing() as connection:
            for each in conversations:
                connection.execute(
                    "UPDATE conversations SET deleted_by = ? WHERE key = ?",
                    (self.writers.me, self._key(each)),
                )

    def restore(self, conversations: Sequence[str]) -> None:
        """See the face."""
        with self._database.writing() as connection:
            for each in conversations:
                self._key(each, deleted=True)
                connection.execute(
                    "UPDATE conversations SET deleted_by = NULL WHERE id = ? AND deleted_by = ?",
                    (each, self.writers.me),
                )

    def add(self, trees: Iterable[ConversationTree]) -> list[str]:
        """Add whole conversations, under new ids where theirs are taken; the ids. All of them or none."""
        ids: list[str] = []
        with self._database.writing() as connection:
            for tree in trees:
                id = tree.summary.id
                while not id or connection.execute("SELECT 1 FROM conversations WHERE id = ?", (id,)).get:
                    id = new_id()
                self._add(connection, id, tree)
                ids.append(id)
        return ids

    def merge(self, tree: ConversationTree) -> int:
        """Add a conversation, or what is new of one that is here by its id; how many messages came.

        What is here stays as it is, and shows the branch that it showed; one that was deleted is back.
        """
        id = tree.summary.id
        with self._database.writing() as connection:
            row = connection.execute("SELECT key FROM conversations WHERE id = ?", (id,)).fetchone()
            if row is None:
                key = self._add(connection, id, tree)
                if tree.summary.updated:
                    # Among the others by its age: it is not what somebody talked of last.
                    connection.execute(_BY_AGE, (tree.summary.updated, key))
                return len(tree.messages)
            key = int(row[0])
            connection.execute("UPDATE conversations SET deleted_by = NULL WHERE key = ?", (key,))
            here = "SELECT id, parent, chosen FROM messages WHERE conversation = ?"
            known: set[str] = set()
            decided: set[str] = set()
            for name, parent, chosen in connection.execute(here, (key,)):
                known.add(name)
                decided |= {parent} if chosen else set()
            new = [each for each in tree.messages if each.id not in known]
            for message in new:
                message = replace(message, chosen=message.chosen and message.parent not in decided)
                self._put(connection, key, message, choose=False)
            return len(new)

    def _add(self, connection: apsw.Connection, id: str, tree: ConversationTree) -> int:
        summary = tree.summary
        key = self._made(connection, id, turn=True)
        for message in tree.messages:
            state = "interrupted" if message.state == "writing" else message.state
            self._put(connection, key, replace(message, state=state), choose=False)
        connection.execute(
            "UPDATE conversations SET created = ?, updated = ? WHERE key = ?",
            (summary.created or self._clock(), summary.updated or self._clock(), key),
        )
        change = ConversationChange(
            title=summary.title,
            folder=summary.folder,
            tags=summary.tags,
            pinned=summary.pinned,
            archived=summary.archived,
            model=summary.model,
            settings=tree.settings,
            draft=tree.draft,
        )
        self._change(connection, key, change)
        return key

    # --- within a transaction of others, who keep more in the same database

    @property
    def database(self) -> Database:
        """Where all of it is; for the thread of this store."""
        return self._database

    def made(self, connection: apsw.Connection, conversation: str) -> int:
        """The number of a conversation, which is begun if it is not there."""
        return self._made(connection, conversation, turn=False)

    def join(
        self, connection: apsw.Connection, conversation: int, parent: str, messages: Sequence[StoredMessage]
    ) -> None:
        """Add `messages` one after the other below `parent`, which may be gone: then at the end of the path.

        Where something has come below `parent` meanwhile they are a branch beside it.
        """
        here = connection.execute("SELECT id FROM conversations WHERE key = ?", (conversation,)).get
        if here is None:
            return
        there = "SELECT 1 FROM messages WHERE conversation = ? AND id = ?"
        if parent and not connection.execute(there, (conversation, parent)).get:
            parent = self._leaf(connection, conversation)
        below = "SELECT 1 FROM messages WHERE conversation = ? AND parent = ? AND chosen"
        chosen = not connection.execute(below, (conversation, parent)).get
        self._made(connection, here, turn=True)
        for message in messages:
            self._put(connection, conversation, replace(message, parent=parent, chosen=chosen))
            parent, chosen = message.id, True

    def _leaf(self, connection: apsw.Connection, conversation: int) -> str:
        at = ""
        below = "SELECT id FROM messages WHERE conversation = ? AND parent = ? AND chosen"
        while (found := connection.execute(below, (conversation, at)).get) is not None:
            at = found
        return at

    # --- within a transaction

    def _made(self, connection: apsw.Connection, id: str, *, turn: bool) -> int:
        """The row of a conversation, which is made if need be; with `turn` it is the newest from now on."""
        now = self._clock()
        row = connection.execute("SELECT key FROM conversations WHERE id = ?", (id,)).fetchone()
        if row is None:
            connection.execute(
                f"INSERT INTO conversations (id, created, updated, turn) VALUES (?, ?, ?, {_NEXT_TURN})",
                (id, now, now),
            )
            return connection.last_insert_rowid()
        if turn:
            connection.execute(
                f"UPDATE conversations SET updated = ?, turn = {_NEXT_TURN} WHERE key = ?", (now, row[0])
            )
        return int(row[0])

    def _put(
        self, connection: apsw.Connection, conversation: int, message: StoredMessage, *, choose: bool = True
    ) -> tuple[int, StoredMessage]:
        """Add or replace a message; its row and what was kept."""
        message = replace(
            message,
            created=message.created or self._clock(),
            attachments=tuple(self.files.keep(each) for each in message.attachments),
        )
        where = (conversation, message.parent)
        if (
            message.parent
            and not connection.execute("SELECT 1 FROM messages WHERE conversation = ? AND id = ?", where).get
        ):
            raise InvalidRequest(
                "A message follows one that is not there.",
                f"{message.id!r} names {message.parent!r} as its parent.",
                param="messages",
            )
        writer = self.writers.me if message.state == "writing" else None
        values = (message.content, message.state, writer, int(message.chosen), body_of(message))
        row = connection.execute(
            "SELECT key FROM messages WHERE conversation = ? AND id = ?", (conversation, message.id)
        ).fetchone()
        if row is None:
            connection.execute(
                "INSERT INTO messages (conversation, id, parent, role, created, content, state, writer, chosen, body)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (conversation, message.id, message.parent, message.role, message.created, *values),
            )
            key = connection.last_insert_rowid()
        else:
            key = int(row[0])
            connection.execute(
                "UPDATE messages SET content = ?, state = ?, writer = ?, chosen = ?, body = ? WHERE key = ?",
                (*values, key),
            )
            self._journal.end(connection, key)
            connection.execute("DELETE FROM attachments WHERE message = ?", (key,))
        for digest in {each.digest for each in message.attachments if each.digest}:
            connection.execute("INSERT INTO attachments (message, digest) VALUES (?, ?)", (key, digest))
        if choose and message.chosen:
            connection.execute(_CHOOSE, (message.id, *where, message.id))
        return key, message

    def _change(self, connection: apsw.Connection, key: int, change: ConversationChange) -> None:
        said = {name: value for name in _COLUMNS if (value := getattr(change, name)) is not UNSET}
        if change.settings is not UNSET:
            said["settings"] = msgspec.json.encode(change.settings).decode()
        if said:
            columns = ", ".join(f"{name} = :{name}" for name in said)
            values = {name: int(value) if isinstance(value, bool) else value for name, value in said.items()}
            connection.execute(f"UPDATE conversations SET {columns} WHERE key = :key", {**values, "key": key})
        if change.tags is not UNSET:
            connection.execute("DELETE FROM tags WHERE conversation = ?", (key,))
            for tag in {" ".join(each.split()) for each in change.tags} - {""}:
                connection.execute("INSERT INTO tags (conversation, tag) VALUES (?, ?)", (key, tag))

    def _purge(self, where: str, value: str) -> None:
        """Delete conversations for good, and the files that nobody shows any more."""
        connection = self._database.connection
        digests: list[tuple[Any, ...]] = connection.execute(
            "SELECT DISTINCT a.digest FROM conversations AS c JOIN messages AS m ON m.conversation = c.key"
            f" JOIN attachments AS a ON a.message = m.key WHERE c.{where}",
            (value,),
        ).fetchall()
        connection.execute(f"DELETE FROM conversations WHERE {where}", (value,))
        for (digest,) in digests:
            # Whoever shows a file writes that down before another process can be here: the write lock is held.
            if not connection.execute("SELECT 1 FROM attachments WHERE digest = ?", (digest,)).get:
                self.files.remove(digest)

    def _key(self, conversation: str, *, deleted: bool = False) -> int:
        row = self._database.connection.execute(
            "SELECT key, deleted_by FROM conversations WHERE id = ?", (conversation,)
        ).fetchone()
        if row is None or (row[1] is not None and not deleted):
            raise ConversationNotFound(
                f"There is no conversation {conversation!r}.",
                fix="hearth conversations list shows those there are.",
                param="conversation",
            )
        return int(row[0])


_NEXT_TURN = "(SELECT coalesce(max(turn), 0) + 1 FROM conversations)"
_BY_AGE = (
    "UPDATE conversations SET turn = coalesce((SELECT min(turn) FROM conversations WHERE updated > ?), turn)"
    " WHERE key = ?"
)
# Of the messages with one parent this one, and no other, is chosen; rows that are so already are not touched.
_CHOOSE = (
    "UPDATE messages SET chosen = (id = ?) WHERE conversation = ? AND parent = ? AND chosen IS NOT (id = ?)"
)


def new_id() -> str:
    """An id that no other conversation has."""
    return os.urandom(8).hex()


def _system(settings: Json) -> str:
    """The system prompt of a conversation; empty where it has none."""
    said = settings.get("system") if isinstance(settings, dict) else None
    return said if isinstance(said, str) else ""


def _settings(text: str) -> Json:
    try:
        return msgspec.json.decode(text)
    except msgspec.MsgspecError:
        return None
