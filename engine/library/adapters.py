"""The LoRA adapters that go with a model: those in `adapters/` beside it, the configured ones, Hearth's own.

A GGUF file `pirate.gguf`, a folder `pirate/` with one inside and a folder `pirate/` of PEFT or mlx-lm are all the
adapter `pirate`; where there are several forms the GGUF is taken. Folders are converted when they are asked for. Model
folders take them as they are, and no others.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from engine.errors import HearthError, InvalidRequest, ModelNotFound
from engine.library.adapter_names import DEFAULT, NO_ADAPTER, parse
from engine.library.conversions import Conversions
from engine.library.folder_lora import FolderBase, misfit
from engine.library.gguf import Header
from engine.library.lora import Base, OtherModel, check_fits
from engine.library.lora_folder import is_lora_folder, read_lora, weights_of
from engine.library.peft import PeftAdapter, plan
from engine.library.peft_config import CONFIG
from engine.library.remembered import Remembered, Stamp, stamp_of
from engine.text_safety import plain
from engine.types import AdapterRef, ModelEntry


class _Judged(NamedTuple):
    """What was found about an adapter and a model, and of which state of both."""

    adapter: Header | PeftAdapter
    base: Base | FolderBase
    error: HearthError | None


class Adapters:
    """Finds adapters by name, and holds them against the model.

    `header` and `base` read and remember; `configured` is an adapter or a folder of them, `own` a folder.
    """

    def __init__(
        self,
        header: Callable[[Path], Header],
        base: Callable[[ModelEntry], Base | FolderBase],
        *,
        configured: Path | None,
        own: Path,
        conversions: Conversions,
    ) -> None:
        self._header, self._base, self._conversions = header, base, conversions
        self._configured, self._own = configured, own
        self._folders = Remembered(read_lora, _folder_stamp)
        self._judged: dict[tuple[Path, str], _Judged] = {}

    def of(self, entry: ModelEntry) -> dict[str, Path]:
        """Every adapter that fits the model: name to GGUF file or folder."""
        return self.survey(entry)[0]

    def survey(self, entry: ModelEntry) -> tuple[dict[str, Path], dict[str, str]]:
        """The adapters that fit the model, and those that no model could use, with the reason."""
        fit: dict[str, Path] = {}
        broken: dict[str, str] = {}
        for name, path in self._candidates(entry).items():
            error = self._error(path, entry)
            if error is None:
                fit[name] = path
            elif not isinstance(error, OtherModel):
                broken[name] = f"{error.why} {error.fix}"
        return fit, broken

    def named(self, entry: ModelEntry, text: str) -> tuple[AdapterRef, ...]:
        """The files and scales of what follows the colon of `model:adapter`; see `adapter_names`.

        Raises InvalidRequest, ModelNotFound, and what `ready` raises.
        """
        return self.chosen(entry, parse(text, self._candidates(entry)))

    def chosen(self, entry: ModelEntry, asked: Sequence[AdapterRef]) -> tuple[AdapterRef, ...]:
        """`asked` with the path of a GGUF file, ready to be loaded, as each name.

        `default` stands for the model's own, if it has one; `base` and `none` for nothing. Raises
        ModelNotFound with the nearest names, InvalidRequest for one that is named twice, and for what is
        broken or does not fit ModelLoadFailed or Unsupported with the reason.
        """
        found: list[AdapterRef] = []
        for each in asked:
            if each.name.lower() in NO_ADAPTER:
                continue
            path = self._default(entry) if each.name.lower() == DEFAULT else self._find(entry, each.name)
            if path is not None:
                found.append(AdapterRef(str(self._ready(path, entry)), each.scale))
        if len({each.name for each in found}) < len(found):
            raise InvalidRequest(
                "An adapter is named twice.",
                "A model holds each of its adapters once, with one scale.",
                "Name it once, with the scale that you want.",
                param="adapters",
            )
        return tuple(found)

    def _default(self, entry: ModelEntry) -> Path | None:
        """The adapter of the name `default`, else a single configured one, unless it is another model's."""
        path = self._candidates(entry).get(DEFAULT)
        if path is None and self._configured is not None and _is_adapter(self._configured):
            path = self._configured
        return None if path is None or isinstance(self._error(path, entry), OtherModel) else path

    def _find(self, entry: ModelEntry, name: str) -> Path:
        candidates = self._candidates(entry)
        path = next((found for known, found in candidates.items() if known.lower() == name.lower()), None)
        path = path or _at(name)
        if path is None:
            raise _not_found(entry, name, list(self.of(entry)))
        return path

    def _ready(self, path: Path, entry: ModelEntry) -> Path:
        """What the backend takes of the adapter at `path`, converted if need be. Raises what is wrong with it."""
        if (error := self._error(path, entry)) is not None:
            raise error
        base = self._base(entry)
        if path.is_dir() and isinstance(base, Base):
            return self._conversions.gguf_of(self._folders.of(path), base)
        return path

    def _error(self, path: Path, entry: ModelEntry) -> HearthError | None:
        """What keeps the adapter at `path` from being used with the model."""
        try:
            base = self._base(entry)
            adapter = self._folders.of(path) if path.is_dir() else self._header(path)
        except HearthError as error:
            return error
        judged = self._judged.get((path, entry.path))
        # Both are the same objects as long as their files are as they were.
        if judged is None or judged.adapter is not adapter or judged.base is not base:
            judged = _Judged(adapter, base, _misfit(adapter, base, plain(path.stem, 80)))
            self._judged[path, entry.path] = judged
        return judged.error

    def _candidates(self, entry: ModelEntry) -> dict[str, Path]:
        """Name to path; the nearest place wins."""
        # A GGUF adapter is of no use to a model folder, and must not hide the folder of the same name.
        only_folders = entry.format in ("safetensors", "mlx")
        found = _inside(Path(entry.path).parent / "adapters", only_folders=only_folders)
        if only_folders:
            found |= _inside(Path(entry.path) / "adapters", only_folders=True)
        if self._configured is not None:
            found = {**_configured(self._configured, only_folders=only_folders), **found}
        found = {**_inside(self._own, only_folders=only_folders), **found}
        return {**found, **own_of(entry)}


def own_of(entry: ModelEntry) -> dict[str, Path]:
    """The adapters that come with a model in its store: the only one is its default, several have numbers."""
    paths = [Path(path) for path in entry.own_adapters]
    if len(paths) == 1:
        return {DEFAULT: paths[0]}
    return {f"{entry.source}-{number}": path for number, path in enumerate(paths, 1)}


def _misfit(adapter: Header | PeftAdapter, base: Base | FolderBase, name: str) -> HearthError | None:
    if isinstance(base, FolderBase):
        return misfit(adapter, base, name)
    try:
        if isinstance(adapter, Header):
            check_fits(adapter, base, name)
        else:
            plan(adapter, base)
    except HearthError as error:
        return error
    return None


def _folder_stamp(folder: Path) -> tuple[Stamp, Stamp]:
    return stamp_of(folder / CONFIG), stamp_of(weights_of(folder))


def _is_adapter(path: Path) -> bool:
    return path.is_file() or is_lora_folder(path)


def _configured(path: Path, *, only_folders: bool) -> dict[str, Path]:
    if not _is_adapter(path):
        return _inside(path, only_folders=only_folders)
    return {plain(path.name if path.is_dir() else path.stem): path}


def _inside(folder: Path, *, only_folders: bool = False) -> dict[str, Path]:
    """The adapters of a folder: its files, and those of its subfolders that are adapters or hold one file."""
    if not folder.is_dir() or not os.access(folder, os.R_OK | os.X_OK):
        return {}
    found: dict[str, Path] = {}
    for place in sorted(folder.iterdir()):
        if not place.is_dir() or not os.access(place, os.R_OK | os.X_OK):
            continue
        inside = sorted(place.glob("*.gguf"))
        if len(inside) == 1 and not only_folders:
            found[plain(place.name)] = inside[0]
        elif is_lora_folder(place):
            found[plain(place.name)] = place
    if only_folders:
        return found
    files = {plain(path.stem): path for path in sorted(folder.glob("*.gguf")) if path.is_file()}
    return {**found, **files}


def _at(name: str) -> Path | None:
    """The adapter that `name` is the path of."""
    # Of os.path, since those of Path raise for a name that is too long or a home that nobody has.
    path = os.path.abspath(os.path.expanduser(name)) if "\0" not in name else ""
    if name.lower().endswith(".gguf") and os.path.isfile(path):
        return Path(path)
    if os.sep in name and os.path.isfile(os.path.join(path, CONFIG)):
        return Path(path)
    return None


def _not_found(entry: ModelEntry, name: str, known: list[str]) -> ModelNotFound:
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
    if known:
        why = f"It has: {', '.join(known)}."
    else:
        why = "It has none; a folder `adapters` beside the model and models.adapter_path are looked at."
    return ModelNotFound(
        f"{entry.id} has no adapter {plain(name, 80)!r}.",
        why,
        f"Did you mean {' or '.join(near)}?" if near else "`base` is the model without an adapter.",
        param="adapters",
    )
