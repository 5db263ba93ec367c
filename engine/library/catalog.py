"""Every model on this machine, and what a name stands for.

Models are the starter models, the GGUF files and model folders (`model_folder`) in `models.folders` and in Hearth's own
models folder, those in the cache that all Hugging Face programs share (`hub_cache`), and those of other programs
(`stores`).
Folders are read anew each time, headers only when a file has changed. Disk work: not for an event loop.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import platform
import re
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

from msgspec import Struct
from msgspec.structs import replace

from engine.errors import ModelLoadFailed, ModelNotFound
from engine.extras import wanting
from engine.library import lm_studio, ollama_store
from engine.library.adapter_names import DEFAULT
from engine.library.adapters import Adapters, own_of
from engine.library.conversions import Conversions
from engine.library.dimensions import too_many_layers
from engine.library.folder_lora import FolderBase, folder_base
from engine.library.found import Found
from engine.library.gguf import Header
from engine.library.gguf_parts import PART, parts_of
from engine.library.hub_cache import SOURCE, models_in
from engine.library.kept_headers import KeptHeaders
from engine.library.licence import licence_in
from engine.library.lora import Base, base_of
from engine.library.missing import not_found
from engine.library.model_folder import CONFIG, ModelFolder, is_model_folder, read_folder, stamped_files
from engine.library.ollama_store import SOURCE as OLLAMA
from engine.library.projectors import Projectors
from engine.library.quantisations import rank
from engine.library.recommended import recommended_in, recommended_sampling
from engine.library.remembered import Remembered, Stamp, stamp_of
from engine.library.uses import Uses
from engine.paths import Paths
from engine.settings import Settings
from engine.text_safety import plain
from engine.types import AdapterRef, Alias, ModelEntry

MAX_FILES = 10_000
MAX_DEPTH = 8
SCRIPTED = "scripted:"
_SITE = re.compile(r"^(?:https://)?(?:hf\.co|huggingface\.co)/", re.IGNORECASE)
_PREFIXES = {ollama_store.PREFIX: OLLAMA, lm_studio.PREFIX: lm_studio.SOURCE}
"""What says of a name that it is one of a store's."""
_TOWER = ("v.blk.", "v.patch_embd", "mm.", "a.blk.")
"""Tensors that stand in a projector's file."""
_TEMPLATE = (
    "Its prompt template is in the language of Go, which Hearth does not run, and its file has none of its own: it "
    "gets a plain transcript. An alias can give it one in Jinja."
)
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
    own: Alias | None = None
    """What the store that keeps the model says it answers with; see `Found`."""


class Store(Protocol):
    """Models that another program keeps."""

    def models(self) -> Iterator[Found]: ...


class Catalog:
    """The models of this machine. `starter` is the folder of the only built-in model; None: there is none.

    `hub_cache` is the cache of the Hugging Face programs, `stores` are those of other programs.
    """

    def __init__(
        self,
        settings: Settings,
        paths: Paths,
        *,
        starter: Path | str | None = "installed",
        hub_cache: Path | None = None,
        stores: Sequence[Store] = (),
    ) -> None:
        self._hub_cache, self._stores = hub_cache, tuple(stores)
        self._own: dict[str, Alias] = {}
        """What models of stores answer with, by id, as last looked at."""
        self._folders = [Path(folder) for folder in settings.models.folders] + [paths.models]
        if isinstance(starter, str):
            self._starters = starter_folders()
        else:
            self._starters = () if starter is None else (starter,)
        self._glance = threading.local()
        self._uses = Uses(paths.uses_file)
        self._kept = KeptHeaders(paths.headers_file)
        self._headers = Remembered(self._kept.of)
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

    @contextlib.contextmanager
    def looked_at_once(self) -> Iterator[None]:
        """Within it this thread goes by one look at the folders: for whoever resolves many names."""
        before: list[ModelEntry] | None = getattr(self._glance, "kept", None)
        self._glance.kept = before if before is not None else []
        try:
            yield
        finally:
            self._glance.kept = before

    def entries(self) -> list[ModelEntry]:
        """Every model, the starter first, then by name; what cannot be used is there with its reason."""
        kept: list[ModelEntry] | None = getattr(self._glance, "kept", None)
        if kept is None:
            return self._look()
        kept[:] = kept or self._look()
        return list(kept)

    def _look(self) -> list[ModelEntry]:
        taken: dict[str, ModelEntry] = {}
        seen: set[str] = set()
        own: dict[str, Alias] = {}
        used = self._uses.all()
        for found in self._found():
            real = os.path.realpath(found.path)
            if (found.key or real) in seen:
                continue
            seen |= {found.key or real, real}
            entry = self._entry(found)
            if entry is None:
                continue
            for name in _free_names(found, entry):
                if name.lower() not in taken:
                    entry = _renamed(entry, name)
                    if entry.id in used:
                        entry = replace(entry, used=used[entry.id])
                    taken[name.lower()] = entry
                    if found.own is not None:
                        own[entry.id] = found.own
                    break
        self._own = own
        self._kept.save()
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
        raise not_found(name, entries, also)

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

    def own(self, entry: ModelEntry) -> Alias | None:
        """What the store that keeps a listed model says it answers with."""
        return self._own.get(entry.id)

    def with_adapter(self, entry: ModelEntry, adapter: str) -> Resolved:
        """A model with what stands behind the colon of `model:adapter`. Raises what `Adapters.chosen` raises."""
        own = self.own(entry)
        asked: tuple[AdapterRef, ...] = ()
        # What cannot be loaded at all is said first, and by whoever wants to load it.
        if not entry.broken and adapter == DEFAULT and entry.own_adapters:
            asked = self._adapters.chosen(entry, [AdapterRef(name) for name in own_of(entry)])
        elif not entry.broken:
            asked = self._adapters.named(entry, adapter)
        return Resolved(
            entry=entry,
            adapters=asked,
            sampling=_recommended(entry, own),
            adapter_names={name: str(path) for name, path in self._adapters.of(entry).items()},
            own=own,
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
        for prefix, source in _PREFIXES.items():
            if name.lower().startswith(prefix):
                of_store = [entry for entry in entries if entry.source == source]
                # One whose name was taken by another is listed with the prefix.
                found = _listed(name, of_store) or _listed(name[len(prefix) :], of_store)
                if found is not None:
                    return found
        if (found := _listed(name, entries)) is not None:
            return found
        # Of os.path, since those of Path raise for a name that is too long or a home that nobody has.
        path = Path(os.path.expanduser(name)).absolute() if "\0" not in name else Path(os.sep)
        is_file = name.lower().endswith(".gguf") and os.path.isfile(path)
        if not is_file and not (os.sep in name and os.path.isfile(path / CONFIG)):
            return None
        listed = next(
            (entry for entry in entries if os.path.realpath(entry.path) == os.path.realpath(path)), None
        )
        return listed or self._entry(Found(path=path, source="path", name=str(path)), even_if_no_model=True)

    def _found(self) -> Iterator[Found]:
        """Every file and folder that looks like a model."""
        for starter in self._starters:
            for index, path in enumerate(sorted(starter.glob("*.gguf"))):
                yield Found(path=path, source="starter", name=path.stem if index else starter.name)
            if is_model_folder(starter / "hf") and _installed(tuple(_LIBRARIES)):
                yield Found(path=starter / "hf", source="starter", name=f"{starter.name}-hf")
        for folder in self._folders:
            for path in _model_files(folder):
                if os.path.isdir(path):
                    yield Found(path=path, source="folder", name=path.name)
                    continue
                part = PART.match(path.stem)
                if part is None or int(part["number"]) == 1:
                    yield Found(path=path, source="folder", name=part["stem"] if part else path.stem)
        if self._hub_cache is not None:
            for path, name in models_in(self._hub_cache):
                yield Found(path=path, source=SOURCE, name=name)
        for store in self._stores:
            yield from store.models()

    def _entry(self, found: Found, *, even_if_no_model: bool = False) -> ModelEntry | None:
        """The entry of a file or folder; None where it holds an adapter or a projector."""
        path = found.path
        entry = ModelEntry(
            id=plain(found.name),
            path=_told(path),
            format="gguf",
            source=found.source,
            also=tuple(plain(name) for name in found.also),
            removal=found.removal,
        )
        if found.problem:
            return replace(entry, broken=found.problem)
        if entry.path != str(path):
            return replace(entry, broken="Its path is not in UTF-8, which backends need: rename it.")
        if os.path.isdir(path):
            return self._folder_entry(replace(entry, format="safetensors"), path)
        parts = parts_of(path)
        size = sum(_size(part) for part in parts)
        entry = replace(entry, size=size)
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
        elif (claim := too_many_layers(first)) is not None:
            broken = claim
        elif found.source == OLLAMA and any(each.name.startswith(_TOWER) for each in first.tensors):
            broken = "Its vision tower lies in the same file, as only Ollama's own engine reads it."
        entry = replace(
            entry,
            architecture=plain(first.architecture),
            parameters=sum(header.parameters for header in headers),
            quantisation=first.quantisation,
            context=first.context,
            licence=plain(first.text("general.license"), 80) or found.licence,
            backends=("llama",),
            own_adapters=tuple(str(each) for each in found.adapters),
            broken=broken,
        )
        if broken:
            return entry
        fit, unusable = self._adapters.survey(entry)
        projector = found.projector or self.projectors.of(path)
        remarks = [_TEMPLATE] if found.template and first.chat_template is None else []
        if projector is None and (problem := self.projectors.problem(path)):
            remarks.append(problem)
        return replace(
            entry,
            remarks=tuple(remarks),
            adapters=tuple(fit),
            broken_adapters=unusable,
            projector=None if projector is None else str(projector),
            modalities=("text",) if projector is None else ("text", "image"),
        )

    def _folder_entry(self, entry: ModelEntry, path: Path) -> ModelEntry:
        try:
            folder = self._model_folders.of(path)
        except ModelLoadFailed as error:
            return replace(entry, broken=f"{error.why} {error.fix}")
        runners = _runners(folder)
        backends = _installed(runners)
        entry = replace(
            entry,
            size=sum(_size(file) for file in folder.files),
            architecture=plain(folder.architecture),
            parameters=folder.parameters,
            quantisation=plain(folder.quantisation),
            context=folder.context,
            format="mlx" if runners == ("mlx",) else "safetensors",
            licence=licence_in(path),
            backends=backends or runners,
            modalities=("text", "image") if folder.sees and "transformers" in backends else ("text",),
            broken=None if backends else wanting(runners[0]),
            missing=None if backends else runners[0],
        )
        if entry.broken:
            return entry
        fit, unusable = self._adapters.survey(entry)
        return replace(entry, adapters=tuple(fit), broken_adapters=unusable)


def _told(path: Path) -> str:
    """The path as text; bytes that are none are spelt out."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def _size(path: Path) -> int:
    """Bytes of a file; 0 where it has just gone or may not be looked at."""
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _free_names(found: Found, entry: ModelEntry) -> tuple[str, ...]:
    """What a model may be called, the best first."""
    if found.source in _PREFIXES.values():
        prefix = next(each for each, source in _PREFIXES.items() if source == found.source)
        return entry.id, f"{prefix}{entry.id}"
    path = plain(_told(found.path))
    # Of a name that holds nothing to be shown nothing is left.
    return (entry.id, f"{found.path.parent.name}/{entry.id}", path) if entry.id else (path,)


def _listed(name: str, entries: Sequence[ModelEntry]) -> ModelEntry | None:
    """The one of `entries` that is listed as `name`, or is the best of those that it may mean."""
    wanted = name.lower()
    for entry in entries:
        if entry.id.lower() == wanted:
            return entry
    for entry in entries:
        if wanted in (each.lower() for each in entry.also):
            return entry
    # A repository of which several quantisations are here.
    several = [entry for entry in entries if entry.id.lower().startswith(wanted + ":")]
    several = [entry for entry in several if entry.source == SOURCE and not entry.broken] or several
    if len(several) > 1 and all(entry.source == OLLAMA for entry in several):
        # Tags of Ollama's are other models, not the same one in other forms.
        return None
    return min(several, key=lambda entry: rank(entry.quantisation, entry.size), default=None)


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


def _recommended(entry: ModelEntry, own: Alias | None) -> dict[str, Any]:
    if own is not None and own.sampling:
        return dict(own.sampling)
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
