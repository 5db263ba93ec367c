"""Every model on this machine, and what a name stands for.

Models are the starter models, the GGUF files and model folders (`model_folder`) in `models.folders` and in Hearth's own
models folder, and those in the cache that all Hugging Face programs share (`hub_cache`).
Folders are read anew each time, headers only when a file has changed. Disk work: not for an event loop.
"""

from __future__ import annotations

import difflib
import importlib.util
import os
import platform
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from engine.errors import ModelLoadFailed, ModelNotFound
from engine.library.adapter_names import DEFAULT
from engine.library.adapters import Adapters
from engine.library.conversions import Conversions
from engine.library.folder_lora import FolderBase, folder_base
from engine.library.gguf import Header, read_header
from engine.library.gguf_parts import PART, parts_of
from engine.library.hub_cache import SOURCE, models_in
from engine.library.lora import Base, base_of
from engine.library.model_folder import CONFIG, ModelFolder, is_model_folder, read_folder, stamped_files
from engine.library.projectors import Projectors
from engine.library.quantisations import rank
from engine.library.recommended import recommended_in, recommended_sampling
from engine.library.remembered import Remembered, Stamp, stamp_of
from engine.library.well_known import well_known
from engine.paths import Paths
from engine.settings import Settings
from engine.text_safety import plain
from engine.types import AdapterRef, ModelEntry

MAX_FILES = 10_000
MAX_DEPTH = 8
SCRIPTED = "scripted:"
_REPOSITORY = re.compile(r"(?:hf\.co/)?[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*(?::[\w.-]+)?")
_SITE = re.compile(r"^(?:https://)?(?:hf\.co|huggingface\.co)/", re.IGNORECASE)
_LIBRARIES = {"transformers": ("transformers", "torch"), "mlx": ("mlx_lm", "mlx")}
"""What each backend of model folders must find installed."""


class Resolved(Struct, frozen=True, kw_only=True):
    """What a name stands for. `entry.broken` is not an error here: who wants to load it says so."""

    entry: ModelEntry
    adapters: tuple[AdapterRef, ...] = ()
    """Paths and scales of the adapters that the name asks for, or that the model has by default: of GGUF or PEFT."""
    sampling: dict[str, Any] = {}
    """Sampling that comes with the model's files."""
    adapter_names: dict[str, str] = {}
    """Every adapter that fits the model: name to path."""


class Catalog:
    """The models of this machine. `starter` is the folder of the only built-in model; None: there is none.

    `hub_cache` is the cache of the Hugging Face programs.
    """

    def __init__(
        self,
        settings: Settings,
        paths: Paths,
        *,
        starter: Path | str | None = "installed",
        hub_cache: Path | None = None,
    ) -> None:
        self._hub_cache = hub_cache
        self._folders = [Path(folder) for folder in settings.models.folders] + [paths.models]
        if isinstance(starter, str):
            self._starters = starter_folders()
        else:
            self._starters = () if starter is None else (starter,)
        self._headers = Remembered(read_header)
        trusted = settings.hub.trust_remote_code
        self._model_folders = Remembered(lambda path: read_folder(path, trusted), _folder_stamp)
        self.projectors = Projectors(self._headers.of)
        self._bases: dict[str, tuple[Sequence[Header | ModelFolder], Base | FolderBase]] = {}
        configured = settings.models.adapter_path
        self._adapters = Adapters(
            self._headers.of,
            self._base,
            configured=Path(configured) if configured is not None else None,
            own=paths.adapters,
            conversions=Conversions(paths.converted_adapters),
        )

    def entries(self) -> list[ModelEntry]:
        """Every model, the starter first, then by name; what cannot be used is there with its reason."""
        taken: dict[str, ModelEntry] = {}
        seen: set[str] = set()
        for path, source, name in self._files():
            real = os.path.realpath(path)
            if real in seen:
                continue
            seen.add(real)
            entry = self._entry(path, source, name)
            if entry is None:
                continue
            for name in (entry.id, f"{path.parent.name}/{entry.id}", str(path)):
                if name.lower() not in taken:
                    taken[name.lower()] = _renamed(entry, name)
                    break
        starters = [entry for entry in taken.values() if entry.source == "starter"]
        others = [entry for entry in taken.values() if entry.source != "starter"]
        return starters + sorted(others, key=lambda entry: entry.id.lower())

    def entry(self, name: str) -> ModelEntry | None:
        """The model of this very name, or at this path; None if there is none."""
        return self._named(name.strip().removesuffix(":latest"), self.entries())

    def resolve(self, name: str, *, also: Sequence[str] = ()) -> Resolved:
        """What `name` stands for: a model, `model:adapter`, a path to a GGUF file, or `scripted:…`.

        Case does not matter, nor does a tag `:latest`. For the part behind the colon see `adapter_names`; an
        adapter of PEFT is converted here. Raises ModelNotFound with the nearest names, those in `also` among them, and
        what `Adapters.chosen` raises.
        """
        if name.startswith(SCRIPTED):
            backends = ("scripted",)
            return Resolved(
                entry=ModelEntry(id=name, path=name, format="scripted", source="path", backends=backends)
            )
        entries = self.entries()
        wanted = name.strip().removesuffix(":latest")
        entry = self._named(wanted, entries)
        if entry is not None:
            return self.with_adapter(entry, DEFAULT)
        model, _, adapter = wanted.rpartition(":")
        entry = self._named(model, entries)
        if entry is not None:
            return self.with_adapter(entry, adapter)
        raise _not_found(name, entries, also)

    def adapters(self, entry: ModelEntry, wanted: Sequence[AdapterRef]) -> tuple[AdapterRef, ...]:
        """`wanted` with the paths of GGUF files as names, converted here where need be.

        Raises what `Adapters.chosen` raises.
        """
        return self._adapters.chosen(entry, wanted)

    def adapter(self, entry: ModelEntry, wanted: AdapterRef) -> AdapterRef:
        """`wanted`, the name of one adapter, with the path of its GGUF file as its name."""
        found = self.adapters(entry, (wanted,))
        if not found:
            raise ModelNotFound(f"{plain(wanted.name, 80)!r} is no adapter of {entry.id}.", param="adapters")
        return found[0]

    def headers(self, entry: ModelEntry) -> list[Header]:
        """The headers of all parts of a GGUF model, the first part's first. Raises ModelLoadFailed."""
        return [self._headers.of(path) for path in parts_of(Path(entry.path))]

    def folder(self, entry: ModelEntry) -> ModelFolder:
        """What a model folder holds. Raises ModelLoadFailed."""
        return self._model_folders.of(Path(entry.path))

    def with_adapter(self, entry: ModelEntry, adapter: str) -> Resolved:
        """A model with what stands behind the colon of `model:adapter`. Raises what `Adapters.chosen` raises."""
        return Resolved(
            entry=entry,
            # What cannot be loaded at all is said first, and by whoever wants to load it.
            adapters=() if entry.broken else self._adapters.named(entry, adapter),
            sampling=_recommended(entry),
            adapter_names={name: str(path) for name, path in self._adapters.of(entry).items()},
        )

    def _base(self, entry: ModelEntry) -> Base | FolderBase:
        """What adapters of the model must fit, the same object while its files stay. Raises ModelLoadFailed."""
        if entry.format in ("safetensors", "mlx"):
            read: Sequence[Header | ModelFolder] = [self.folder(entry)]
        else:
            read = self.headers(entry)
        known = self._bases.get(entry.path)
        if known is None or any(old is not new for old, new in zip(known[0], read, strict=True)):
            known = (read, _base_of(entry.id, read))
            self._bases[entry.path] = known
        return known[1]

    def _named(self, name: str, entries: list[ModelEntry]) -> ModelEntry | None:
        name = _SITE.sub("", name)
        for entry in entries:
            if entry.id.lower() == name.lower():
                return entry
        # A repository of which several quantisations are here.
        several = [entry for entry in entries if entry.id.lower().startswith(name.lower() + ":")]
        several = [entry for entry in several if entry.source == SOURCE and not entry.broken] or several
        if several:
            return min(several, key=lambda entry: rank(entry.quantisation, entry.size))
        # Of os.path, since those of Path raise for a name that is too long or a home that nobody has.
        path = Path(os.path.expanduser(name)).absolute() if "\0" not in name else Path(os.sep)
        is_file = name.lower().endswith(".gguf") and os.path.isfile(path)
        if not is_file and not (os.sep in name and os.path.isfile(path / CONFIG)):
            return None
        listed = next(
            (entry for entry in entries if os.path.realpath(entry.path) == os.path.realpath(path)), None
        )
        return listed or self._entry(path, "path", str(path), even_if_no_model=True)

    def _files(self) -> Iterator[tuple[Path, str, str]]:
        """Path, source and name of every file that looks like a model."""
        for starter in self._starters:
            for index, path in enumerate(sorted(starter.glob("*.gguf"))):
                yield path, "starter", path.stem if index else starter.name
            if is_model_folder(starter / "hf") and _installed(tuple(_LIBRARIES)):
                yield starter / "hf", "starter", f"{starter.name}-hf"
        for folder in self._folders:
            for path in _model_files(folder):
                if path.is_dir():
                    yield path, "folder", path.name
                    continue
                part = PART.match(path.stem)
                if part is None or int(part["number"]) == 1:
                    yield path, "folder", part["stem"] if part else path.stem
        if self._hub_cache is not None:
            for path, name in models_in(self._hub_cache):
                yield path, SOURCE, name

    def _entry(
        self, path: Path, source: str, name: str, *, even_if_no_model: bool = False
    ) -> ModelEntry | None:
        """The entry of the file or folder at `path`; None where it holds an adapter or a projector."""
        if path.is_dir():
            return self._folder_entry(path, source, name)
        parts = parts_of(path)
        size = sum(part.stat().st_size for part in parts if part.is_file())
        entry = ModelEntry(id=plain(name), path=str(path), format="gguf", source=source, size=size)
        try:
            headers = [self._headers.of(part) for part in parts]
        except ModelLoadFailed as error:
            return replace(entry, broken=f"{error.why} {error.fix}")
        first = headers[0]
        if first.kind != "model" and not even_if_no_model:
            return None
        broken = None
        if first.kind != "model":
            broken = f"It is not a model but a file of the kind {plain(first.kind)}."
        elif not first.architecture or not any(header.tensors for header in headers):
            broken = (
                "It holds no weights." if first.architecture else "It does not say which architecture it has."
            )
        entry = replace(
            entry,
            architecture=plain(first.architecture),
            parameters=sum(header.parameters for header in headers),
            quantisation=first.quantisation,
            context=first.context,
            licence=plain(first.text("general.license"), 80),
            backends=("llama",),
            broken=broken,
        )
        if broken:
            return entry
        fit, unusable = self._adapters.survey(entry)
        projector = self.projectors.of(path)
        return replace(
            entry,
            adapters=tuple(fit),
            broken_adapters=unusable,
            projector=None if projector is None else str(projector),
            modalities=("text",) if projector is None else ("text", "image"),
        )

    def _folder_entry(self, path: Path, source: str, name: str) -> ModelEntry:
        entry = ModelEntry(id=plain(name), path=str(path), format="safetensors", source=source)
        try:
            folder = self._model_folders.of(path)
        except ModelLoadFailed as error:
            return replace(entry, broken=f"{error.why} {error.fix}")
        runners = _runners(folder)
        backends = _installed(runners)
        missing = f"It needs {runners[0]}, which is not installed: pip install 'hearth[{runners[0]}]'."
        entry = replace(
            entry,
            size=sum(file.stat().st_size for file in folder.files if file.is_file()),
            architecture=plain(folder.architecture),
            parameters=folder.parameters,
            quantisation=plain(folder.quantisation),
            context=folder.context,
            format="mlx" if runners == ("mlx",) else "safetensors",
            backends=backends or runners,
            modalities=("text", "image") if folder.sees and "transformers" in backends else ("text",),
            broken=None if backends else missing,
        )
        if entry.broken:
            return entry
        fit, unusable = self._adapters.survey(entry)
        return replace(entry, adapters=tuple(fit), broken_adapters=unusable)


def starter_folders() -> tuple[Path, ...]:
    """The folders of the built-in models, beside this package or where Hearth is installed, the first one's first."""
    found = importlib.util.find_spec("starter")
    if found is None or not found.submodule_search_locations:
        return ()
    here = Path(found.submodule_search_locations[0])
    return tuple(here / name for name in ("ember", "ember-vision"))


def _base_of(name: str, read: Sequence[Header | ModelFolder]) -> Base | FolderBase:
    first = read[0]
    if isinstance(first, ModelFolder):
        return folder_base(name, first)
    return base_of(name, [header for header in read if isinstance(header, Header)])


def _recommended(entry: ModelEntry) -> dict[str, Any]:
    path = Path(entry.path)
    return recommended_in(path) if path.is_dir() else recommended_sampling(path)


def _runners(folder: ModelFolder) -> tuple[str, ...]:
    """The backends that could run a model folder, best first; weights that MLX has quantised are its alone."""
    if folder.runs_code:
        # Written for transformers.
        return ("transformers",)
    if "quantization" in folder.config:
        return ("mlx",)
    apple = sys.platform == "darwin" and platform.machine() == "arm64"
    return ("mlx", "transformers") if apple else ("transformers", "mlx")


def _installed(backends: Sequence[str]) -> tuple[str, ...]:
    """Those of `backends` whose libraries are there, without importing them."""
    return tuple(
        backend
        for backend in backends
        if all(importlib.util.find_spec(name) is not None for name in _LIBRARIES[backend])
    )


def _folder_stamp(path: Path) -> tuple[tuple[str, Stamp], ...]:
    return tuple((file.name, stamp_of(file)) for file in stamped_files(path))


def _model_files(folder: Path) -> list[Path]:
    """The GGUF files in `folder`, and the model folders."""
    found: list[Path] = []
    for place, folders, files in os.walk(folder):
        here = Path(place)
        depth = len(here.relative_to(folder).parts)
        # Adapters have their own place in the catalog, beside their model.
        folders[:] = (
            sorted(f for f in folders if not f.startswith(".") and f != "adapters")
            if depth < MAX_DEPTH
            else []
        )
        found += [here / name for name in sorted(files) if name.lower().endswith(".gguf")]
        if CONFIG in files and is_model_folder(here):
            found.append(here)
        if len(found) >= MAX_FILES:
            break
    return found[:MAX_FILES]


def _renamed(entry: ModelEntry, name: str) -> ModelEntry:
    return entry if name == entry.id else replace(entry, id=plain(name))


def _not_found(name: str, entries: list[ModelEntry], also: Sequence[str]) -> ModelNotFound:
    by_lower = {each.lower(): each for each in (*also, *(entry.id for entry in entries))}
    near = difflib.get_close_matches(name.lower().partition(":")[0], by_lower, n=3, cutoff=0.5)
    hint = f"Did you mean {' or '.join(by_lower[key] for key in near)}? " if near else ""
    if (repository := well_known(name)) is not None:
        hint = f"It is well known as {repository}: fetch it with `hearth pull {repository}`. {hint}"
    elif _REPOSITORY.fullmatch(name):
        hint += f"Fetch it with `hearth pull {name}`. "
    is_path = name.lower().endswith(".gguf") or name.startswith((os.sep, "~", "."))
    return ModelNotFound(
        f"There is no model {plain(name, 120)!r}.",
        "There is no such file." if is_path else f"Known on this machine: {len(entries)}.",
        f"{hint}`hearth models` lists them; add folders with models.folders.",
        param="model",
    )
