"""Files that messages show, kept by their content, so that a conversation outlives the originals.

They lie as `<digest>/<name>` in a folder of the state; equal files are kept once. Disk work: not for an event loop.
"""

from __future__ import annotations

import hashlib
import os
from contextlib import suppress
from pathlib import Path

from msgspec.structs import replace

from engine.errors import StorageFailed
from engine.paths import ensure
from engine.types import Attachment

LARGEST = 64 * 2**20
"""Bytes of a file that is kept."""


class AttachmentFiles:
    """The folder; without one files stay where they are."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder

    @property
    def keeps(self) -> bool:
        """Whether there is a folder."""
        return self._folder is not None

    def keep(self, attachment: Attachment) -> Attachment:
        """`attachment` with the path of its kept copy; one whose file is gone, and was never kept, stays as it is.

        Raises StorageFailed when there is no room for it.
        """
        if self._folder is None:
            return attachment
        if attachment.digest and (there := self.find(attachment.digest)) is not None:
            return replace(attachment, path=str(there))
        try:
            with open(attachment.path, "rb") as file:
                data = file.read(LARGEST + 1)
        except (OSError, ValueError):
            return attachment
        if len(data) > LARGEST:
            return attachment
        path = self.write(data, Path(attachment.path).name)
        return replace(attachment, path=str(path), digest=path.parent.name, size=len(data))

    def write(self, data: bytes, name: str) -> Path:
        """Keep `data`; its path. Raises StorageFailed."""
        assert self._folder is not None
        digest = digest_of(data)
        if (there := self.find(digest)) is not None:
            return there
        folder = self._folder / digest
        path = folder / _safe(name)
        part = folder / f".{os.getpid()}.part"
        try:
            ensure(folder)
            descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            part.rename(path)
        except OSError as error:
            with suppress(OSError):
                part.unlink(missing_ok=True)
                folder.rmdir()
            raise StorageFailed(
                "A picture cannot be kept.", f"{error.strerror or error}.", "Free some space."
            ) from None
        return path

    def find(self, digest: str) -> Path | None:
        """The kept file of that content."""
        if self._folder is None or not digest.isalnum():
            return None
        try:
            return next(
                (path for path in (self._folder / digest).iterdir() if not path.name.startswith(".")), None
            )
        except OSError:
            return None

    def remove(self, digest: str) -> None:
        """Let the file of that content go."""
        if self._folder is None or not digest.isalnum():
            return
        with suppress(OSError):
            for path in (self._folder / digest).iterdir():
                path.unlink(missing_ok=True)
            (self._folder / digest).rmdir()

    def digests(self) -> set[str]:
        """Everything that is kept."""
        try:
            return {path.name for path in self._folder.iterdir()} if self._folder is not None else set()
        except OSError:
            return set()


def digest_of(data: bytes) -> str:
    """The content's name: BLAKE2b of 16 bytes, in hex."""
    return hashlib.blake2b(data, digest_size=16).hexdigest()


def _safe(name: str) -> str:
    """A file name that is one: no folder, nothing hidden, no control code, and not too long."""
    kept = "".join(character for character in name if character.isprintable() and character not in "/\\\0")
    stem, dot, ending = kept.lstrip(".").rpartition(".")
    short = f"{stem[:60]}{dot}{ending[:12]}" if stem else ending[:60]
    return short if len(short.encode()) <= 200 and short else "picture"
