"""Files that clients give for batches, in `hearth.db`: they are there whole or not at all."""

from __future__ import annotations

from engine.errors import JobNotFound
from engine.jobs.records import FILE, file_of
from engine.jobs.store import JobStore
from engine.types import KeptFile


def keep(store: JobStore, file: KeptFile, data: bytes) -> KeptFile:
    """See `engine.jobs.face.Jobs.keep_file`."""
    with store.database.writing() as connection:
        connection.execute(
            "INSERT INTO files (id, owner, name, purpose, created, data) VALUES (?, ?, ?, ?, ?, ?)"
            " ON CONFLICT (id) DO NOTHING",
            (file.id, file.owner, file.name, file.purpose, file.created or store.clock(), data),
        )
    return get(store, file.id, None)


def get(store: JobStore, file: str, owner: str | None) -> KeptFile:
    """Raises JobNotFound."""
    rows = store.database.reading(f"{FILE} WHERE id = ?", (file,))
    if not rows or (owner is not None and rows[0][3] != owner):
        raise JobNotFound(f"There is no file {file[:80]}.", "It is unknown, or no longer kept.")
    return file_of(rows[0])


def read(store: JobStore, file: str, owner: str | None) -> bytes:
    """Raises JobNotFound."""
    get(store, file, owner)
    data: bytes = store.database.reading("SELECT data FROM files WHERE id = ?", (file,))[0][0]
    return data


def find(
    store: JobStore, owner: str | None, purpose: str | None, before: str | None, limit: int
) -> list[KeptFile]:
    """The newest first."""
    rows = store.database.reading(
        f"{FILE} WHERE (?1 IS NULL OR owner = ?1) AND (?2 IS NULL OR purpose = ?2)"
        " AND (?3 IS NULL OR key < (SELECT key FROM files WHERE id = ?3)) ORDER BY key DESC LIMIT ?4",
        (owner, purpose, before, limit),
    )
    return [file_of(row) for row in rows]


def drop(store: JobStore, file: str, owner: str | None) -> None:
    """Raises JobNotFound."""
    get(store, file, owner)
    with store.database.writing() as connection:
        connection.execute("DELETE FROM files WHERE id = ?", (file,))
