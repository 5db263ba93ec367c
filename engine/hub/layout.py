"""The cache that all Hugging Face programs share, as far as a pull writes it.

    models--org--name/blobs/<etag>                    the bytes, named by their content
    models--org--name/snapshots/<commit>/<path>       links to them, one folder a revision
    models--org--name/refs/<branch or tag>            the commit that it stood for when somebody looked
    .locks/models--org--name/<etag>.lock              held by whoever fetches that blob

A revision that is new here appears whole, by one rename. Into one that is there already (another quantisation was
pulled before) the files come one by one, that by which a model is found last. Disk work: not for an event loop.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import filelock

from engine.hub.disk import explained
from engine.hub.reference import Reference, is_commit
from engine.library.gguf_parts import PART
from engine.types import HubFile

_TAG: Final = (
    "Signature: 8a477f597d28d172789f06886806bc55\n"
    "# A cache of models that can be fetched again. See https://bford.info/cachedir/.\n"
)


class Layout:
    """The part of the cache at `cache` that belongs to one repository. Makes nothing until something is written."""

    def __init__(self, cache: Path, reference: Reference) -> None:
        self.cache = cache
        self.folder = cache / reference.folder
        self._locks = cache / ".locks" / reference.folder

    @property
    def blobs(self) -> Path:
        return self.folder / "blobs"

    def blob(self, file: HubFile) -> Path:
        return self.blobs / file.etag

    def snapshot(self, commit: str) -> Path:
        return self.folder / "snapshots" / commit

    def is_here(self, file: HubFile) -> bool:
        """Whether the whole file is in the cache."""
        try:
            return self.blob(file).stat().st_size == file.size
        except OSError:
            return False

    def prepare(self) -> None:
        """Make the folders that a pull writes into. Raises StorageFailed."""
        with explained(self.cache):
            self.blobs.mkdir(parents=True, exist_ok=True)
            # Others take a repository without this folder for a damaged one.
            (self.folder / "snapshots").mkdir(exist_ok=True)
            self._locks.mkdir(parents=True, exist_ok=True)
            tag = self.cache / "CACHEDIR.TAG"
            if not tag.exists():
                with contextlib.suppress(OSError):
                    tag.write_text(_TAG)

    def lock(self, file: HubFile) -> filelock.BaseFileLock:
        """The lock of a blob, not yet taken. Other programs take the same one."""
        return filelock.FileLock(self._locks / f"{file.etag}.lock", mode=0o664, thread_local=False)

    def publish(self, reference: Reference, commit: str, files: Sequence[HubFile]) -> Path:
        """Show `files`, whose blobs are here, as part of the revision `commit`; its folder. Raises StorageFailed."""
        assert is_commit(commit)
        snapshot = self.snapshot(commit)
        ordered = sorted(files, key=_shows_a_model)
        with explained(self.cache):
            if not snapshot.is_dir():
                hidden = self.folder / f".{commit}.{uuid.uuid4().hex[:8]}"
                try:
                    for file in ordered:
                        self._show(file, hidden / file.path, depth=file.path.count("/"))
                    with contextlib.suppress(OSError):
                        # Fails if another program has made it meanwhile; then its files come one by one.
                        os.rename(hidden, snapshot)
                finally:
                    shutil.rmtree(hidden, ignore_errors=True)
            for file in ordered:
                self._show(file, snapshot / file.path, depth=file.path.count("/"))
            if reference.revision != commit:
                self._point(reference.revision, commit)
        return snapshot

    def revision(self, name: str) -> str:
        """The commit that a branch or tag stood for here; empty if it is not known."""
        try:
            said = (self.folder / "refs" / name).read_text(encoding="ascii").strip()
        except (OSError, ValueError):
            return ""
        return said if is_commit(said) else ""

    def _show(self, file: HubFile, place: Path, *, depth: int) -> None:
        blob = self.blob(file)
        if place.exists() and place.stat().st_size == file.size:
            return
        place.parent.mkdir(parents=True, exist_ok=True)
        place.unlink(missing_ok=True)
        # The text of the link is that of its final place, two folders below the repository's, whatever it is in now.
        target = "../" * (depth + 2) + f"blobs/{file.etag}"
        try:
            if os.environ.get("HF_HUB_DISABLE_SYMLINKS", "").lower() in ("1", "on", "yes", "true"):
                raise OSError
            place.symlink_to(target)
        except OSError:
            try:
                os.link(blob, place)
            except OSError:
                copy = place.with_name(place.name + ".hearth.incomplete")
                shutil.copyfile(blob, copy)
                os.rename(copy, place)

    def _point(self, revision: str, commit: str) -> None:
        place = self.folder / "refs" / revision
        place.parent.mkdir(parents=True, exist_ok=True)
        unfinished = place.with_name(f"{place.name}.{uuid.uuid4().hex[:8]}.tmp")
        unfinished.write_text(commit, encoding="ascii")
        os.replace(unfinished, place)


def _shows_a_model(file: HubFile) -> int:
    """What makes a model appear comes last: its configuration, or the first part of a GGUF file."""
    name = file.path.rpartition("/")[2].lower()
    if name == "config.json":
        return 2
    if not name.endswith(".gguf") or "mmproj" in name:
        return 0
    part = PART.match(name.removesuffix(".gguf"))
    return 1 if part is not None and int(part["number"]) > 1 else 2
