"""What Hearth keeps for people beside settings: prompts, keys, conversations."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from cli.doctor.check import Check
from engine.errors import HearthError
from engine.paths import Paths
from engine.settings import Loaded

if TYPE_CHECKING:
    import apsw

MOST = 5
"""Things of one kind that are named one by one."""


def prompts(paths: Paths) -> list[Check]:
    """The registry of system prompts: readable, and every one of it sound."""
    from engine.library.prompts import Prompts

    file = paths.prompts_file
    try:
        found = Prompts(file).all()
    except HearthError as error:
        return [Check("prompts", "broken", f"{error.what} {error.why}".strip(), error.fix)]
    broken = [each for each in found if each.broken]
    if broken:
        return [
            Check(
                "prompts",
                "broken",
                f"{each.name}: {each.broken}",
                f"Mend it in {file}; the others go on working.",
            )
            for each in broken[:MOST]
        ]
    return [Check("prompts", "ok", f"{len(found)} in {file}" if file.exists() else "none yet")]


def screen(loaded: Loaded | None, paths: Paths) -> list[Check]:
    """Keymap and theme: every line of them understood."""
    from cli.commands.config import on_the_screen

    if loaded is None:
        return []
    found = on_the_screen(loaded)
    if found:
        return [
            Check("keymap and theme", "broken", f"{each.what} {each.why}".strip(), each.fix)
            for each in found[:MOST]
        ]
    file = Path(loaded.settings.ui.keymap) if loaded.settings.ui.keymap else paths.keymap_file
    return [Check("keymap and theme", "ok", f"keys of {file}" if file.exists() else "the usual keys")]


def conversations(paths: Paths) -> Check:
    """The database of conversations: Hearth's own, of a form that is known, and sound. It is read and not changed."""
    import apsw

    from engine.store.schema import APPLICATION_ID, MIGRATIONS

    file = paths.database_file
    if not file.exists():
        return Check("conversations", "ok", "none yet")
    back = f"Start Hearth: it goes back to the newest good copy in {paths.database_backups}."
    try:
        with _opened(file) as database:
            if database.execute("PRAGMA application_id").get != APPLICATION_ID:
                return Check(
                    "conversations", "broken", f"{file} is not a database of Hearth", "Move it away."
                )
            version = database.execute("PRAGMA user_version").get
            if version > len(MIGRATIONS):
                return Check(
                    "conversations",
                    "broken",
                    f"{file} was made by a newer Hearth (form {version}; this one knows {len(MIGRATIONS)})",
                    "Use that version, or another HEARTH_HOME.",
                )
            said = str(database.execute("PRAGMA quick_check(1)").get)
            if said != "ok":
                return Check("conversations", "broken", f"{file} is damaged: {said}", back)
            count = database.execute("SELECT count(*) FROM conversations").get
    except (apsw.CorruptError, apsw.NotADBError) as error:
        return Check("conversations", "broken", f"{file} is damaged: {error}", back)
    except apsw.BusyError:
        return Check("conversations", "note", f"{file} is held by another process", "Look again later.")
    except apsw.Error as error:
        return Check("conversations", "broken", f"{file} cannot be read: {error}", "Check its permissions.")
    return Check("conversations", "ok", f"{count} in {file}")


@contextlib.contextmanager
def _opened(file: Path) -> Iterator[apsw.Connection]:
    """The database, read only. One that nobody writes is opened as a file that stays as it is, and leaves no log."""
    import apsw

    log = file.with_name(f"{file.name}-wal")
    still = not (log.exists() and log.stat().st_size)
    name = f"file:{_quoted(str(file))}?mode=ro{'&immutable=1' if still else ''}"
    connection = apsw.Connection(name, flags=apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI)
    try:
        connection.set_busy_timeout(1000)
        yield connection
    finally:
        connection.close()


def _quoted(path: str) -> str:
    from urllib.parse import quote

    return quote(path)
