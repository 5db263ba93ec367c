"""Text that a command is given in a file, or on stdin as `-`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

from engine.errors import InvalidRequest

MOST: Final = 8 * 1024 * 1024
"""Bytes."""


def text_of(path: Path) -> str:
    """What is in the file at `path`, UTF-8 with or without a mark. Raises InvalidRequest where it cannot be read."""
    try:
        if str(path) == "-":
            if sys.stdin is None:
                raise InvalidRequest("There is no standard input.", fix="Name a file.")
            data = sys.stdin.buffer.read(MOST + 1)
        else:
            with path.open("rb") as file:
                data = file.read(MOST + 1)
        if len(data) > MOST:
            raise InvalidRequest(f"{path} is too large.", f"{MOST >> 20} MiB are the most.", param="file")
        return data.decode("utf-8-sig")
    except OSError as error:
        raise InvalidRequest(f"{path} cannot be read.", f"{error.strerror or error}.", param="file") from None
    except UnicodeDecodeError as error:
        raise InvalidRequest(
            f"{path} is not UTF-8 text.",
            f"Byte {error.start} does not fit.",
            "Save it as UTF-8.",
            param="file",
        ) from None
