"""The models in LM Studio's folders, read where they lie: `publisher/repository/` with GGUF files or a model folder.

They are called as in the cache of the Hugging Face programs. Disk work: not for an event loop.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from engine.library.found import Found
from engine.library.hub_cache import named_models
from engine.text_safety import plain

SOURCE: Final = "lmstudio"
PREFIX: Final = "lmstudio:"
"""Before a name it says that LM Studio's model is meant, whatever else is called so."""
MOST_MODELS: Final = 10_000
_MAX_SETTINGS: Final = 1 << 20


def folders_of(environ: Mapping[str, str] = os.environ) -> tuple[Path, ...]:
    """The folders of models that LM Studio has on this machine; they need not exist.

    Its home may lie elsewhere (`~/.lmstudio-home-pointer`), and its settings may name another folder.
    """
    user = Path(environ.get("HOME") or Path.home())
    pointed = _short(user / ".lmstudio-home-pointer").strip()
    homes = [Path(pointed)] if os.path.isabs(pointed) and "\0" not in pointed else []
    homes += [user / ".lmstudio", user / ".cache" / "lm-studio"]
    found: list[Path] = []
    for home in homes:
        said = _settings(home / "settings.json").get("downloadsFolder")
        if isinstance(said, str) and os.path.isabs(said) and "\0" not in said:
            found.append(Path(said))
        found.append(home / "models")
    return tuple(dict.fromkeys(found))


class LmStudio:
    """The models in `folders`."""

    def __init__(self, folders: Iterable[Path]) -> None:
        self._folders = tuple(folders)

    def models(self) -> Iterator[Found]:
        """Every model file and model folder."""
        count = 0
        for folder in self._folders:
            for publisher in _folders(folder):
                for repository in _folders(Path(publisher.path)):
                    removal = f"My Models in LM Studio, or rm -r {plain(repository.path, 200)}"
                    for path, name in named_models(
                        Path(repository.path), f"{publisher.name}/{repository.name}"
                    ):
                        yield Found(path=path, source=SOURCE, name=plain(name), removal=removal)
                        count += 1
                        if count >= MOST_MODELS:
                            return


def _folders(place: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(place) as entries:
            found = [each for each in entries if not each.name.startswith(".") and each.is_dir()]
    except OSError:
        return []
    return sorted(found, key=lambda each: each.name)


def _short(file: Path) -> str:
    """The text of a small file; empty if there is none."""
    try:
        if not file.is_file() or file.stat().st_size > _MAX_SETTINGS:
            return ""
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return ""


def _settings(file: Path) -> Mapping[str, Any]:
    try:
        said = msgspec.json.decode(_short(file))
    except (msgspec.MsgspecError, RecursionError):
        return {}
    return said if isinstance(said, dict) else {}
