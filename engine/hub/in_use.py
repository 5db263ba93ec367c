"""Which programs have a file open or mapped, as far as the system tells: nothing is deleted that is in use."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Set
from pathlib import Path


def holders(paths: Set[str]) -> dict[str, str]:
    """Those of `paths` (real paths) that another process of this user has open or mapped, with its `name (pid)`."""
    import psutil

    found: dict[str, str] = {}
    if not paths:
        return found
    for process in psutil.process_iter(["pid", "name"]):
        if process.pid == os.getpid():
            continue
        with contextlib.suppress(psutil.Error, OSError):
            for path in paths & _files(process):
                found[path] = f"{process.info['name']} ({process.pid})"
    return found


def _files(process: object) -> set[str]:
    """Files that a process has open or mapped. Linux tells both quickly; elsewhere the open ones are asked for."""
    import psutil

    assert isinstance(process, psutil.Process)
    folder = Path(f"/proc/{process.pid}")
    if not folder.is_dir():
        return {file.path for file in process.open_files()}
    found = set()
    for line in (folder / "maps").read_text(errors="replace").splitlines():
        if (at := line.find("/")) >= 0:
            found.add(line[at:])
    for link in (folder / "fd").iterdir():
        with contextlib.suppress(OSError):
            found.add(os.readlink(link))
    return found
