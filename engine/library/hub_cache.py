"""Finds the models in the cache that all Hugging Face programs share, by its layout alone.

Of each repository the revision that `main` stands for comes first, then others, the newest first; what they share is
one file and found once. Disk work: not for an event loop.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from engine.library.gguf_parts import PART
from engine.library.model_folder import is_model_folder
from engine.library.quantisations import label_of

SOURCE: Final = "huggingface"
MAIN: Final = "main"
_FOLDER: Final = re.compile(r"models--([A-Za-z0-9][\w.-]*?)(?:--([A-Za-z0-9][\w.-]*))?")
_COMMIT: Final = re.compile(r"[0-9a-f]{40}")
_DEEPEST: Final = 3
_MOST_REVISIONS: Final = 20


def models_in(cache: Path) -> Iterator[tuple[Path, str]]:
    """Every model file and model folder with the name that it is listed under: `org/name`, `org/name:Q4_K_M`.

    Behind an @ stands the commit of a revision that is not the main one.
    """
    try:
        folders = sorted(os.scandir(cache), key=lambda entry: entry.name)
    except OSError:
        return
    for folder in folders:
        match = _FOLDER.fullmatch(folder.name)
        if match is None:
            continue
        repository = "/".join(part for part in match.groups() if part)
        for snapshot, is_main in _snapshots(Path(folder.path)):
            yield from named_models(snapshot, repository if is_main else f"{repository}@{snapshot.name[:7]}")


def named_models(folder: Path, name: str) -> Iterator[tuple[Path, str]]:
    """The model files in the folder of the repository `name`, and it itself if it is a model folder."""
    if is_model_folder(folder):
        yield folder, name
    ggufs = list(_ggufs(folder))
    labels = [label_of(path.stem) or label_of(path.parent.name) for path in ggufs]
    for path, label in zip(ggufs, labels, strict=True):
        part = PART.match(path.stem)
        stem = part["stem"] if part else path.stem
        yield path, f"{name}:{label if label and labels.count(label) == 1 else stem}"


def _snapshots(folder: Path) -> list[tuple[Path, bool]]:
    """The revisions of a repository, and whether each is the main one."""
    try:
        main = (folder / "refs" / MAIN).read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        main = ""
    found = []
    try:
        for entry in os.scandir(folder / "snapshots"):
            if _COMMIT.fullmatch(entry.name) and entry.is_dir():
                found.append((entry.stat().st_mtime, Path(entry.path)))
    except OSError:
        return []
    newest = [path for _, path in sorted(found, reverse=True)][:_MOST_REVISIONS]
    # Without a ref the newest stands for it.
    first = next((path for path in newest if path.name == main), newest[0] if newest else None)
    return [(path, path == first) for path in sorted(newest, key=lambda path: path != first)]


def _ggufs(snapshot: Path) -> Iterator[Path]:
    """The GGUF files of a revision; of a split one the first part. Links are not followed into other folders."""
    for place, folders, files in os.walk(snapshot):
        folders.sort()
        if len(Path(place).relative_to(snapshot).parts) >= _DEEPEST:
            folders.clear()
        for name in sorted(files):
            if name.lower().endswith(".gguf") and "mmproj" not in name.lower():
                part = PART.match(name[:-5])
                if part is None or int(part["number"]) == 1:
                    yield Path(place, name)
