"""The projector (mmproj) that belongs to a GGUF model: the file beside it through which it sees.

Nothing in either file names the other for sure. Publishers put both into one folder, and say by the names which belong
together; a projector whose name says nothing serves a folder that holds one model, in however many quantisations.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from engine.errors import ModelLoadFailed
from engine.library.gguf import Header
from engine.library.gguf_parts import PART

_MARK: Final = "mmproj"
_TYPES: Final = ("f16", "bf16", "q8_0", "f32")
"""Number types of projectors, the one preferred first."""
_NOISE: Final = re.compile(
    r"mmproj|model|vision|(?:ud[-_.])?(?:i?q\d\w*|bf16|f16|f32|fp16|fp32)(?=$|[-_.])|gguf", re.IGNORECASE
)


class Projectors:
    """Finds them; `header_of` reads the header of a file. Disk work."""

    def __init__(self, header_of: Callable[[Path], Header]) -> None:
        self._header_of = header_of
        self._folders: dict[Path, tuple[int, tuple[Path, ...], tuple[Path, ...]]] = {}

    def of(self, model: Path) -> Path | None:
        """The projector of the GGUF file `model`; None where there is none, or none that is surely its own."""
        projectors, models = self._beside(model.parent)
        found = [path for path in projectors if self._sees(path)]
        own = _base(model)
        named = [path for path in found if _base(path) and _same(_base(path), own)]
        if not named and found and _one_model(models):
            named = [path for path in found if not _base(path)]
        return min(named, key=_rank, default=None)

    def size(self, path: Path) -> int:
        """Bytes of a projector's weights."""
        return self._header_of(path).tensor_bytes

    def compute(self, path: Path) -> int:
        """Bytes that looking at one picture takes, by a rule of thumb: six rows of the width and two of the
        feed-forward for each patch, and the scores of every head.
        """
        header = self._header_of(path)
        patch = header.number("clip.vision.patch_size") or 14
        patches = (header.number("clip.vision.image_size") // patch) ** 2
        width = header.number("clip.vision.embedding_length")
        inner = header.number("clip.vision.feed_forward_length") or 4 * width
        heads = header.number("clip.vision.attention.head_count")
        return 4 * patches * (6 * width + 2 * inner + heads * patches)

    def _beside(self, folder: Path) -> tuple[tuple[Path, ...], tuple[Path, ...]]:
        """The files of a folder by their names: projectors, and models."""
        try:
            changed = folder.stat().st_mtime_ns
            known = self._folders.get(folder)
            if known is None or known[0] != changed:
                files = sorted(each for each in folder.iterdir() if each.name.lower().endswith(".gguf"))
                projectors = tuple(each for each in files if _MARK in each.name.lower())
                models = tuple(each for each in files if _MARK not in each.name.lower())
                known = self._folders[folder] = (changed, projectors, models)
        except OSError:
            return (), ()
        return known[1:]

    def _sees(self, path: Path) -> bool:
        try:
            header = self._header_of(path)
        except ModelLoadFailed:
            return False
        return header.kind == "mmproj" and header.metadata.get("clip.has_vision_encoder") is not False


def _base(path: Path) -> str:
    """What the name of a file says of the model, without what it says of the file."""
    part = PART.match(path.stem)
    return re.sub(r"[-_. ]+", "-", _NOISE.sub("", part["stem"] if part else path.stem)).strip("-").lower()


def _same(one: str, other: str) -> bool:
    shorter, longer = sorted((one, other), key=len)
    return longer == shorter or longer.startswith(f"{shorter}-")


def _one_model(models: Sequence[Path]) -> bool:
    return len({_base(path) for path in models}) == 1


def _rank(path: Path) -> tuple[int, str]:
    name = path.stem.lower()
    # "bf16" holds "f16" too.
    kinds = [place for place, kind in enumerate(_TYPES) if re.search(rf"(?:^|[-_.]){kind}(?:$|[-_.])", name)]
    return min(kinds, default=len(_TYPES)), name
