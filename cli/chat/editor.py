"""Writing a prompt in `$EDITOR`."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

from engine.errors import InvalidRequest

FALLBACKS = ("nano", "vim", "vi")


def command(environ: Mapping[str, str] = os.environ) -> list[str]:
    """The editor to run: `$VISUAL`, `$EDITOR` or one that is there. Raises InvalidRequest if none is."""
    for name in ("VISUAL", "EDITOR"):
        if words := shlex.split(environ.get(name, "")):
            return words
    for fallback in FALLBACKS:
        if shutil.which(fallback):
            return [fallback]
    raise InvalidRequest("No editor was found.", "EDITOR is not set.", "Set it, as in: export EDITOR=nano")


def edit(text: str, environ: Mapping[str, str] = os.environ) -> str:
    """`text` as the person left it in the editor. Raises InvalidRequest if the editor could not be run."""
    words = command(environ)
    with tempfile.TemporaryDirectory(prefix="hearth-") as folder:
        file = Path(folder) / "prompt.md"
        file.write_text(f"{text}\n" if text else "", encoding="utf-8")
        try:
            status = subprocess.run([*words, str(file)], check=False).returncode
        except OSError as error:
            raise InvalidRequest(
                f"The editor {words[0]!r} cannot be run.",
                f"{error.strerror or error}.",
                "Set EDITOR to another.",
            ) from None
        if status:
            raise InvalidRequest(
                f"The editor {words[0]!r} failed.", f"Its exit status is {status}.", "Nothing is sent."
            )
        return file.read_text(encoding="utf-8", errors="replace").strip()
