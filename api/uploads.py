"""Files that clients send: received by their SHA-256, and laid where the catalog of models finds them.

A blob lies as `sha256-<hex>` in a folder of its own, private and read-only, and is there only when it is whole and its
digest is the one that was said. What a model is made of is a hard link to it. Disk work happens on threads.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import hashlib
import os
import re
import secrets
import shutil
import time
from collections.abc import AsyncIterable, Callable, Mapping
from pathlib import Path
from typing import Any, Final

from engine.errors import DiskFull, InvalidRequest, ModelUnavailable, NotAllowed, StorageFailed
from engine.paths import Paths, ensure
from engine.text_safety import plain

_DIGEST: Final = re.compile(r"sha256[:-]([0-9a-f]{64})")
_FILE: Final = re.compile(r"[A-Za-z0-9][\w.-]{0,119}", re.ASCII)
_KINDS: Final = (".gguf", ".safetensors", ".json", ".txt", ".model", ".jinja")
"""No pickles and no programs."""
_PIECE: Final = 4 * 2**20
_SPARE: Final = 512 * 2**20
"""Bytes of the disk that a file that is sent leaves free."""
_AT_ONCE: Final = 4
_OLD_S: Final = 86_400.0


class Uploads:
    """The blobs and the models made of them; `most` is the largest file in bytes, 0 takes none."""

    def __init__(self, paths: Paths, most: int) -> None:
        self._blobs, self._models = paths.blobs, paths.uploaded
        self._most = most
        self._coming = 0

    async def has(self, digest: str) -> bool:
        """Whether the file of that digest is here. Raises InvalidRequest for what is no digest."""
        path = self._place(digest)
        return await asyncio.to_thread(path.is_file)

    async def receive(self, digest: str, pieces: AsyncIterable[bytes], length: int | None) -> None:
        """Keep what comes in `pieces`, `length` bytes if that was said, as the file of that digest.

        Raises InvalidRequest for another digest, NotAllowed, DiskFull, ModelUnavailable while several are coming.
        """
        path = self._place(digest)
        if not self._most:
            raise NotAllowed("No files are taken here.", "server.max_upload is 0.")
        if self._coming >= _AT_ONCE:
            raise ModelUnavailable("Several files are being sent already.", fix="Send this one in a moment.")
        self._coming += 1
        part = self._blobs / f".{secrets.token_hex(8)}.part"
        try:
            await self._on_disk(lambda: self._room(length or 0))
            file = await self._on_disk(lambda: _opened(part))
            try:
                found = await self._written(file, pieces)
            finally:
                await asyncio.to_thread(os.close, file)
            wanted = path.name.partition("-")[2]
            if found != wanted:
                raise InvalidRequest(
                    f'digest mismatch, expected "sha256:{wanted}", got "sha256:{found}"', param="digest"
                )
            await self._on_disk(lambda: os.rename(part, path))
        finally:
            self._coming -= 1
            with contextlib.suppress(OSError):
                await asyncio.to_thread(part.unlink, missing_ok=True)

    def laid(self, files: Mapping[str, str]) -> tuple[Path, bool]:
        """Lay blobs, by file name, out as a model; the GGUF file or folder that it is, and whether it is new.

        Raises InvalidRequest for names that are none, and blobs that are not here.
        """
        blobs = self._checked(files)
        key = hashlib.sha256("\0".join(sorted(f"{n}\0{b.name}" for n, b in blobs.items())).encode())
        weights = sorted(name for name in blobs if name.lower().endswith(".gguf"))
        stem = Path(weights[0] if weights else "model").stem[:80]
        name = f"{stem}-{key.hexdigest()[:8]}"
        with _explained():
            ensure(self._models)
            if len(blobs) == 1 and weights:
                path = self._models / f"{name}.gguf"
                fresh = not path.exists()
                _linked(next(iter(blobs.values())), path)
                return path, fresh
            path = self._models / name
            fresh = not path.exists()
            path.mkdir(mode=0o700, exist_ok=True)
            for each, blob in blobs.items():
                _linked(blob, path / each)
        return path, fresh

    def staged(self, files: Mapping[str, str]) -> Path:
        """Blobs laid out until `unstage`: the only file, or a folder of several. Raises as `laid`."""
        blobs = self._checked(files)
        with _explained():
            place = self._blobs / f".{secrets.token_hex(8)}.part"
            place.mkdir(mode=0o700)
            for each, blob in blobs.items():
                _linked(blob, place / each)
        return place / next(iter(blobs)) if len(blobs) == 1 else place

    def unstage(self, path: Path) -> None:
        """Take away what `staged` laid out."""
        place = path if path.parent == self._blobs else path.parent
        shutil.rmtree(place, ignore_errors=True)

    def owns(self, path: str) -> bool:
        """Whether the model at `path` was made of files that were sent."""
        return Path(path).is_relative_to(self._models)

    def remove(self, path: str) -> None:
        """Delete a model that was made of files that were sent, with its blobs. Raises StorageFailed."""
        if not self.owns(path) or Path(path) == self._models:
            return
        own = Path(path)
        while own.parent != self._models:
            own = own.parent
        with _explained():
            files = list(own.iterdir()) if own.is_dir() and not own.is_symlink() else [own]
            marks = {(facts.st_dev, facts.st_ino) for facts in map(os.lstat, files)}
            for file in files:
                file.unlink(missing_ok=True)
            if own.is_dir():
                own.rmdir()
            for blob in self._all():
                facts = os.lstat(blob)
                if (facts.st_dev, facts.st_ino) in marks and facts.st_nlink == 1:
                    blob.unlink(missing_ok=True)

    def tidy(self) -> None:
        """Delete what was begun, and what no model was made of, a day ago."""
        before = time.time() - _OLD_S
        with contextlib.suppress(OSError):
            for path in self._blobs.iterdir():
                facts = os.lstat(path)
                if facts.st_mtime > before:
                    continue
                if path.name.endswith(".part"):
                    shutil.rmtree(path) if path.is_dir() else path.unlink()
                elif facts.st_nlink == 1:
                    path.unlink()

    def _checked(self, files: Mapping[str, str]) -> dict[str, Path]:
        found: dict[str, Path] = {}
        for name, digest in files.items():
            if not _FILE.fullmatch(name) or not name.lower().endswith(_KINDS):
                raise InvalidRequest(
                    f"{plain(name, 80)!r} is no file of a model.",
                    f"Files are named without folders, and end in {', '.join(_KINDS)}.",
                    param="files",
                )
            blob = self._place(digest)
            if not blob.is_file():
                raise InvalidRequest(
                    f"The file of {plain(name, 80)!r} is not here.",
                    f"There is no blob {digest}.",
                    "Send it to /api/blobs first.",
                    param="files",
                )
            found[name] = blob
        if not found:
            raise InvalidRequest("There are no files.", param="files")
        return found

    def _all(self) -> list[Path]:
        return [path for path in self._blobs.iterdir() if path.name.startswith("sha256-")]

    def _place(self, digest: str) -> Path:
        match = _DIGEST.fullmatch(digest) if isinstance(digest, str) else None
        if match is None:
            raise InvalidRequest("invalid digest format", param="digest")
        return self._blobs / f"sha256-{match[1]}"

    def _room(self, length: int) -> None:
        ensure(self._blobs)
        free = shutil.disk_usage(self._blobs).free
        if length + _SPARE > free:
            raise DiskFull(
                "There is no room for this file.",
                f"It has {length:,} bytes; {max(0, free - _SPARE):,} can be had at {self._blobs}.",
                "Make room, and send it again.",
            )

    async def _written(self, file: int, pieces: AsyncIterable[bytes]) -> str:
        """Write `pieces`; the SHA-256 of all of them in hex."""
        digest = hashlib.sha256()
        waiting: list[bytes] = []
        size = 0

        def put(last: bool) -> None:
            data = b"".join(waiting)
            digest.update(data)
            view = memoryview(data)
            while view:
                view = view[os.write(file, view) :]
            if last:
                os.fchmod(file, 0o400)
                os.fsync(file)

        async for piece in pieces:
            waiting.append(piece)
            size += len(piece)
            if size >= _PIECE:
                await self._on_disk(lambda: put(False))
                waiting.clear()
                size = 0
        await self._on_disk(lambda: put(True))
        return digest.hexdigest()

    async def _on_disk(self, work: Callable[[], Any]) -> Any:
        def explained() -> Any:
            with _explained():
                return work()

        return await asyncio.to_thread(explained)


def _opened(path: Path) -> int:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    return os.open(path, flags, 0o600)


def _linked(blob: Path, path: Path) -> None:
    """`blob` as `path` too: the same file where the filesystem can, else a copy."""
    if path.exists():
        return
    try:
        os.link(blob, path)
    except OSError:
        part = path.with_name(f".{path.name}.part")
        shutil.copyfile(blob, part)
        os.rename(part, path)


@contextlib.contextmanager
def _explained() -> Any:
    """Turns an error of the disk into one for people. Raises DiskFull, StorageFailed."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskFull(
                "The disk is full.", "There is no room for the file.", "Make room, and send it again."
            ) from None
        raise StorageFailed("The file cannot be kept.", f"{error.strerror or error}.") from None
