"""Who writes: each process holds a locked file, so that others know whether what it began is still being written.

The kernel frees the lock at the end of the process, however it ends.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from engine.paths import ensure


class Writers:
    """This process among those that write; without a folder it is the only one."""

    def __init__(self, folder: Path | None) -> None:
        self.me = os.urandom(8).hex()
        self._folder = folder
        self._descriptor: int | None = None
        if folder is not None:
            ensure(folder)
            self._descriptor = os.open(
                folder / self.me, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600
            )
            fcntl.flock(self._descriptor, fcntl.LOCK_EX)

    def writes(self, writer: str | None) -> bool:
        """Whether that process is still there. The file of one that is not is removed."""
        if writer == self.me:
            return True
        if not writer or self._folder is None:
            return False
        path = self._folder / writer
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        except OSError:
            return False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(descriptor)
        path.unlink(missing_ok=True)
        return False

    def leave(self) -> None:
        """Write no more."""
        if self._descriptor is not None and self._folder is not None:
            (self._folder / self.me).unlink(missing_ok=True)
            os.close(self._descriptor)
            self._descriptor = None

    def sweep(self) -> None:
        """Remove the files of processes that are gone."""
        if self._folder is not None:
            for path in self._folder.iterdir():
                self.writes(path.name)
