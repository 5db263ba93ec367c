"""The projector (mmproj) that belongs to a GGUF model: the file beside it through which it sees.

Nothing in either file names the other for sure. Publishers put both into one folder, and say by the names which belong
together; a projector whose name says nothing serves a folder that holds one model, in however many quantisations.
Where each quantisation has a folder of its own, the projector may lie in the one above them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

from engine.errors import ModelLoadFailed
from engine.library.gguf import Header
from engine.library.gguf_parts import PART
from engine.library.quantisations import label_of
from engine.text_safety import clean, plain

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
        own = _base(model)
        for projectors, models in self._places(model.parent):
            found = [path for path in projectors if self._sees(path)]
            named = [path for path in found if _base(path) and _same(_base(path), own)]
            if not named and found and _one_model(models):
                named = [path for path in found if not _base(path)]
            if named:
                return min(named, key=_rank)
        return None

    def problem(self, model: Path) -> str:
        """Why a projector beside `model` is not used, if one cannot be read; empty if there is none such."""
        for projectors, _ in self._places(model.parent):
            for path in projectors:
                try:
                    self._header_of(path)
                except ModelLoadFailed as error:
                    return f"The projector {plain(path.name, 80)} beside it cannot be used: {error.why} {error.fix}"
        return ""

    def _places(self, folder: Path) -> Iterator[tuple[Sequence[Path], Sequence[Path]]]:
        """Where the projector of a model in `folder` may lie, the nearest first: projectors, and models beside them."""
        projectors, models = self._beside(folder)
        yield projectors, models
        if not label_of(folder.name):
            return
        above, others = self._beside(folder.parent)
        if above:
            yield above, [*others, *self._quantised(folder.parent)]

    def _quantised(self, folder: Path) -> list[Path]:
        """The models in those of its subfolders that are called by a quantisation."""
        try:
            inside = [each for each in folder.iterdir() if label_of(each.name) and each.is_dir()]
        except OSError:
            return []
        return [path for each in sorted(inside) for path in self._beside(each)[1]]

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
                # One whose name is not in UTF-8 no backend opens.
                files = sorted(
                    each
                    for each in folder.iterdir()
                    if each.name.lower().endswith(".gguf") and each.name == clean(each.name)
                )
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
