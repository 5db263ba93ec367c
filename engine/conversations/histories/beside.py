"""Files that came beside a history: in its ZIP file, or in its folder. Only names are looked for, paths never followed.

Whatever is read has a bound that its own header has no say in: a ZIP entry ends where the bound does.
"""

from __future__ import annotations

import os
import stat
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

from engine.errors import InvalidRequest
from engine.media import MOST_BYTES

MOST_ENTRIES = 100_000
"""Entries of a ZIP file, or files of a folder, that are looked at."""
MOST_PICTURES = 8 * 2**30
"""Bytes of pictures that one history brings at most; further ones count as missing."""


class Beside:
    """No files at all; what the others have in common."""

    def __init__(self) -> None:
        self._left = MOST_PICTURES

    def named(self, name: str) -> bytes | None:
        """The picture file of that very name."""
        return self._picture(self._find(name)) if _is_name(name) else None

    def beginning(self, start: str) -> bytes | None:
        """The picture file whose name begins so."""
        if not _is_name(start) or len(start) < 4:
            return None
        return self._picture(next((name for name in self._names() if name.startswith(start)), None))

    def _picture(self, name: str | None) -> bytes | None:
        if name is None:
            return None
        data = self._bytes(name, min(MOST_BYTES, self._left))
        if data is not None:
            self._left -= len(data)
        return data

    def _find(self, name: str) -> str | None:
        return next((each for each in self._names() if each == name), None)

    def _names(self) -> Iterator[str]:
        return iter(())

    def _bytes(self, name: str, most: int) -> bytes | None:
        """The file, or None where it cannot be read or is larger than `most`."""
        return None


class InZip(Beside):
    """The entries of a ZIP file, by the last part of their names."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        super().__init__()
        self.archive = archive
        if len(archive.infolist()) > MOST_ENTRIES:
            raise InvalidRequest("The ZIP file has too many entries.", f"{MOST_ENTRIES:,} are the most.")
        self.entries = {
            each.filename.rpartition("/")[2]: each for each in archive.infolist() if not each.is_dir()
        }

    def _names(self) -> Iterator[str]:
        return iter(self.entries)

    def _find(self, name: str) -> str | None:
        return name if name in self.entries else None

    def _bytes(self, name: str, most: int) -> bytes | None:
        try:
            return unpacked(self.archive, self.entries[name], most)
        except InvalidRequest:
            return None


class InFolders(Beside):
    """The files of some folders, without those within them."""

    def __init__(self, *folders: Path) -> None:
        super().__init__()
        self._paths: dict[str, Path] = {}
        for folder in folders:
            try:
                with os.scandir(folder) as entries:
                    for entry in entries:
                        if len(self._paths) < MOST_ENTRIES and entry.is_file(follow_symlinks=False):
                            self._paths.setdefault(entry.name, Path(entry.path))
            except OSError:
                continue

    def _names(self) -> Iterator[str]:
        return iter(self._paths)

    def _find(self, name: str) -> str | None:
        return name if name in self._paths else None

    def _bytes(self, name: str, most: int) -> bytes | None:
        try:
            return file_bytes(self._paths[name], most)
        except InvalidRequest:
            return None


def unpacked(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, most: int) -> bytes:
    """An entry of a ZIP file, read no further than `most` bytes. Raises InvalidRequest."""
    try:
        with archive.open(entry) as file:
            data = file.read(most + 1)
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, OSError, EOFError) as error:
        raise InvalidRequest(f"{entry.filename} in the ZIP file cannot be read.", f"{error}.") from None
    if len(data) > most:
        raise InvalidRequest(
            f"{entry.filename} in the ZIP file is too large.", f"{most >> 20} MiB are the most."
        )
    return data


def file_bytes(path: Path, most: int) -> bytes:
    """A file that is one, read no further than `most` bytes. Raises InvalidRequest."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        with os.fdopen(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise InvalidRequest(f"{path.name} is no file.", fix="Name a file, or a folder.")
            data = file.read(most + 1)
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise InvalidRequest(f"{path.name} cannot be read.", f"{why}.") from None
    if len(data) > most:
        raise InvalidRequest(f"{path.name} is too large.", f"{most >> 20} MiB are the most.", "Split it.")
    return data


def _is_name(name: str) -> bool:
    return (
        bool(name) and "/" not in name and "\\" not in name and "\0" not in name and name not in (".", "..")
    )
