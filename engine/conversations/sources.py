"""What is imported, by what it looks like: a file of ours, OpenAI messages, Markdown, or another program's history.

    for entry in entries(path_or_bytes, form, name): ...

A path may lead to a folder: LM Studio's, or an unpacked export of ChatGPT. Conversations come one after the other, so
that a large history is never whole in memory with its pictures.
"""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from engine.conversations import importing
from engine.conversations.histories import chatgpt, lm_studio
from engine.conversations.histories.beside import MOST_ENTRIES, Beside, InFolders, InZip, file_bytes, unpacked
from engine.conversations.imported import Entry, refusal
from engine.errors import InvalidRequest
from engine.types import ConversationForm

LARGEST = importing.LARGEST
LARGEST_DATABASE = 4 * 2**30
_EXPORT = re.compile(r"conversations(-\d+)?\.json")
_LM_STUDIO = ".conversation.json"
_SQLITE = b"SQLite format 3\0"


def entries(source: bytes | Path, form: ConversationForm | None = None, name: str = "") -> Iterator[Entry]:
    """The conversations of a file's bytes, or of the file or folder at a path; `name` is a title for what has none.

    Raises InvalidRequest where the whole of it cannot be read; then nothing was given before.
    """
    if isinstance(source, bytes):
        return _of_bytes(source, form, name, Beside())
    if source.is_dir():
        return _of_folder(source)
    if source.suffix.lower() == ".zip" or _starts_with(source, b"PK\x03\x04"):
        return _of_zip(source)
    if _starts_with(source, _SQLITE):
        return _of_database(source)
    data = file_bytes(source, LARGEST)
    return _of_bytes(data, form, name or source.name.removesuffix(_LM_STUDIO), _beside(source))


def _of_bytes(data: bytes, form: ConversationForm | None, name: str, beside: Beside) -> Iterator[Entry]:
    if data.startswith(b"PK\x03\x04"):
        return _of_zip(io.BytesIO(data))
    if data.startswith(_SQLITE):
        from engine.conversations.histories import oterm

        return oterm.read(data)
    text = importing.decoded(data)
    if form == "markdown" or not text.lstrip().startswith(("{", "[")):
        return iter(importing.read(data, form, name))
    values = importing.values(text)
    found = _of_json(values[0], name, beside) if form is None and len(values) == 1 else None
    return iter(importing.of_values(values, form, name)) if found is None else found


def _of_json(value: Any, name: str, beside: Beside) -> Iterator[Entry] | None:
    if isinstance(value, list) and any(map(chatgpt.is_one, value)):
        return chatgpt.read(value, beside)
    if chatgpt.is_one(value):
        return chatgpt.read([value], beside)
    if lm_studio.is_one(value):
        return lm_studio.read(value, beside, name=name)
    return None


def _of_zip(source: Path | io.BytesIO) -> Iterator[Entry]:
    """An export of ChatGPT, or LM Studio's folder packed."""
    try:
        archive = zipfile.ZipFile(source)
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise InvalidRequest("The ZIP file cannot be read.", f"{error}.") from None
    beside = InZip(archive)
    wanted = [
        each
        for each in archive.infolist()
        if _EXPORT.fullmatch(each.filename.rpartition("/")[2]) or each.filename.endswith(_LM_STUDIO)
    ]
    if not wanted:
        raise InvalidRequest(
            "There is no conversation in the ZIP file.",
            "An export of ChatGPT holds conversations.json, LM Studio’s folder *.conversation.json.",
        )

    def read() -> Iterator[Entry]:
        with archive:
            for entry in wanted:
                yield from _file(
                    entry.filename, lambda entry=entry: unpacked(archive, entry, LARGEST), beside
                )

    return read()


def _of_folder(folder: Path) -> Iterator[Entry]:
    """LM Studio's conversations, an unpacked export of ChatGPT, or oterm's folder."""
    paths = [
        path
        for number, path in enumerate(sorted(folder.rglob("*")))
        if number < MOST_ENTRIES
        and (_EXPORT.fullmatch(path.name) or path.name.endswith(_LM_STUDIO))
        and path.is_file()
    ]
    database = folder / "store.db"
    if not paths and database.is_file():
        return _of_database(database)
    if not paths:
        raise InvalidRequest(
            f"There is no conversation in {folder.name}.",
            "It holds neither conversations.json (ChatGPT), *.conversation.json (LM Studio) nor store.db (oterm).",
            "Name the files themselves.",
        )

    def read() -> Iterator[Entry]:
        for path in paths:
            within = path.parent.relative_to(folder).parts
            within = within[1:] if within[:1] == ("conversations",) else within
            yield from _file(
                path.name,
                lambda path=path: file_bytes(path, LARGEST),
                _beside(path),
                folder="/".join(within),
            )

    return read()


def _file(name: str, data: Any, beside: Beside, *, folder: str = "") -> Iterator[Entry]:
    """One of several files: where it cannot be read the others can."""
    title = name.rpartition("/")[2].removesuffix(_LM_STUDIO)
    try:
        values = importing.values(importing.decoded(data()))
        found = None
        if len(values) == 1:
            if name.endswith(_LM_STUDIO) and isinstance(values[0], dict):
                found = lm_studio.read(values[0], beside, name=title, folder=folder)
            else:
                found = _of_json(values[0], title, beside)
        if found is None:
            raise InvalidRequest("It holds no conversation of a form that is known.")
    except InvalidRequest as error:
        yield refusal(name, error)
        return
    yield from found


def _of_database(path: Path) -> Iterator[Entry]:
    from engine.conversations.histories import oterm

    log = path.with_name(path.name + "-wal")
    return oterm.read(
        file_bytes(path, LARGEST_DATABASE), file_bytes(log, LARGEST_DATABASE) if log.is_file() else b""
    )


def _beside(path: Path) -> Beside:
    """The files that came with the one at `path`: its own folder's, and LM Studio's `user-files` above it."""
    above = list(path.absolute().parents)[:6]
    users = next((each / "user-files" for each in above if (each / "user-files").is_dir()), None)
    # An export of ChatGPT keeps pictures beside it and in folders of their own.
    within = [each for each in path.parent.iterdir() if each.is_dir() and not each.is_symlink()][:200]
    if path.name.endswith(_LM_STUDIO):
        within = []
    return InFolders(*([users] if users is not None else []), path.parent, *within)


def _starts_with(path: Path, magic: bytes) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(len(magic)) == magic
    except OSError:
        return False  # reading it says why
