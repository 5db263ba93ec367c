"""The LoRA adapters that go with a model: those in `adapters/` beside it, the configured ones, Hearth's own.

A GGUF file `pirate.gguf` and a folder `pirate/` with one inside are both the adapter `pirate`.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Callable
from pathlib import Path

from engine.errors import ModelLoadFailed, ModelNotFound
from engine.library.gguf import Header
from engine.text_safety import plain
from engine.types import ModelEntry

NO_ADAPTER = frozenset({"base", "none"})
DEFAULT = "default"


class Adapters:
    """Finds adapters by name. `configured` is a file or a folder of them, `own` a folder."""

    def __init__(self, header: Callable[[Path], Header], configured: Path | None, own: Path) -> None:
        self._header, self._configured, self._own = header, configured, own

    def of(self, entry: ModelEntry) -> dict[str, Path]:
        """Every adapter that fits the model, by name."""
        return {name: path for name, path in self._candidates(entry).items() if self._fits(path, entry)}

    def chosen(self, entry: ModelEntry, name: str) -> tuple[Path, ...]:
        """The files of the adapter `name` of a model: none for `base` and `none`, its own for `default`."""
        if name.lower() in NO_ADAPTER:
            return ()
        if name.lower() == DEFAULT:
            fitting = self.of(entry)
            if DEFAULT in fitting:
                return (fitting[DEFAULT],)
            configured = self._configured
            return (configured,) if configured is not None and configured in fitting.values() else ()
        return (self.find(entry, name),)

    def find(self, entry: ModelEntry, name: str) -> Path:
        """One adapter by name or path. Raises ModelNotFound, ModelLoadFailed if it does not fit."""
        candidates = self._candidates(entry)
        path = next((found for known, found in candidates.items() if known.lower() == name.lower()), None)
        if path is None and name.lower().endswith(".gguf") and os.path.isfile(os.path.expanduser(name)):
            path = Path(os.path.expanduser(name)).absolute()
        if path is None:
            raise _not_found(entry, name, list(self.of(entry)))
        header = self._header(path)
        if header.kind != "adapter":
            raise ModelLoadFailed(
                f"{path.name} is not an adapter.",
                f"{path} is a file of the kind {plain(header.kind)}.",
                "Choose a LoRA adapter in GGUF form.",
                param="adapters",
            )
        if header.architecture != entry.architecture:
            raise ModelLoadFailed(
                f"The adapter {path.stem} does not fit {entry.id}.",
                f"It was made for {plain(header.architecture)}, and the model is {entry.architecture}.",
                "Choose an adapter made from this model.",
                param="adapters",
            )
        return path

    def _candidates(self, entry: ModelEntry) -> dict[str, Path]:
        found = _inside(Path(entry.path).parent / "adapters")
        if self._configured is not None:
            listed = (
                {plain(self._configured.stem): self._configured}
                if self._configured.is_file()
                else _inside(self._configured)
            )
            found = {**listed, **found}
        return {**_inside(self._own), **found}

    def _fits(self, path: Path, entry: ModelEntry) -> bool:
        try:
            header = self._header(path)
        except ModelLoadFailed:
            return False
        return header.kind == "adapter" and header.architecture == entry.architecture


def _inside(folder: Path) -> dict[str, Path]:
    """The adapter files of a folder: its own, and those of its subfolders that hold exactly one."""
    if not folder.is_dir() or not os.access(folder, os.R_OK | os.X_OK):
        return {}
    found: dict[str, Path] = {}
    for place in sorted(folder.iterdir()):
        inside = sorted(place.glob("*.gguf")) if place.is_dir() else []
        if len(inside) == 1:
            found[plain(place.name)] = inside[0]
    files = {plain(path.stem): path for path in sorted(folder.glob("*.gguf")) if path.is_file()}
    return {**found, **files}


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
