"""Notices that the file of a loaded model is changed in place, which a mapped model would take as its weights.

A file that is replaced or removed is no danger: the mapping holds on to the old one. So the files that were loaded are
held open, and it is those that are looked at, whatever lies at their paths by now.
"""

from __future__ import annotations

import contextlib
import os

from engine.library.identity import Identity, Stamp


class FileWatch:
    """The files of `identity`, held open. Looking at them costs a system call each and no disk work."""

    def __init__(self, identity: Identity) -> None:
        self._files: list[tuple[Stamp, int]] = []
        for stamp in identity.stamps:
            # One that is gone already was replaced: nobody will change what the mapping holds.
            with contextlib.suppress(OSError):
                self._files.append((stamp, os.open(stamp.path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)))

    def changed(self) -> str:
        """The path of a file that is not what it was when it was loaded; empty if all are."""
        for stamp, descriptor in self._files:
            try:
                facts = os.fstat(descriptor)
            except OSError:
                # It lay on a network, and is no more.
                return stamp.path
            if facts.st_ino == stamp.inode and (facts.st_size, facts.st_mtime_ns) != (
                stamp.size,
                stamp.modified_ns,
            ):
                return stamp.path
        return ""

    def close(self) -> None:
        """Let go of the files."""
        files, self._files = self._files, []
        for _, descriptor in files:
            os.close(descriptor)
