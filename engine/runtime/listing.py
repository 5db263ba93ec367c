"""Models and aliases in one list, with whether each could be loaded now.

By headers alone, without a trial of any file: buffers are a rule of thumb (`library.fit`). Disk work: not for a loop.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from engine.errors import HearthError, InvalidRequest
from engine.library import fit, folder_fit, pools
from engine.library.catalog import Catalog
from engine.library.devices import gpu_layers, left_by, usable
from engine.library.dimensions import dimensions_of
from engine.library.names import Names
from engine.library.shape import context_shape
from engine.runtime.fitting import LEAST_CONTEXT
from engine.runtime.load_defaults import completed
from engine.settings import Settings
from engine.types import Alias, Device, Listed, LoadOptions, ModelEntry, NamedAlias
from engine.types.hub import Verdict

_BACKENDS: Final = {"gguf": "llama", "mlx": "mlx"}


class _Judged(Struct, frozen=True):
    need: int = 0
    verdict: Verdict = "unknown"
    reason: str = ""


class Listing:
    """`free` is what models may take, in bytes by pool of memory, on `devices`."""

    def __init__(
        self,
        names: Names,
        catalog: Catalog,
        settings: Settings,
        devices: Sequence[Device],
        free: Mapping[str, int],
    ) -> None:
        self._names, self._catalog, self._runtime = names, catalog, settings.runtime
        self._devices, self._free = devices, free
        self._judged: dict[tuple[str, LoadOptions], _Judged] = {}

    def rows(self) -> list[Listed]:
        """Everything, by name; what cannot be used comes last. Raises StorageFailed for a broken file of aliases."""
        entries = self._catalog.entries()
        found = [self._model(entry) for entry in entries]
        by_name = {entry.id.lower(): entry for entry in entries}
        found += [self._alias(named, by_name) for named in self._names.aliases.all()]
        return sorted(found, key=lambda each: (bool(each.reason), each.name.lower()))

    def _model(self, entry: ModelEntry) -> Listed:
        judged = self._judge(entry, LoadOptions())
        return Listed(
            kind="model", name=entry.id, model=entry.id, entry=entry, need=judged.need, verdict=judged.verdict,
            reason=judged.reason,
        )  # fmt: skip

    def _alias(self, named: NamedAlias, by_name: Mapping[str, ModelEntry]) -> Listed:
        alias = named.alias
        if alias is None:
            return Listed(kind="alias", name=named.name, model="", reason=f"broken: {named.broken}")
        # Nearly all of them name a model as it is listed: no need to look further.
        entry = by_name.get(alias.model.lower())
        row = Listed(kind="alias", name=named.name, model=alias.model, alias=alias)
        if entry is None:
            try:
                entry = self._names.model(alias.model).entry
            except HearthError as error:
                return replace(row, reason=error.what)
        judged = self._judge(entry, _options(alias))
        return replace(
            row, model=entry.id, entry=entry, need=judged.need, verdict=judged.verdict, reason=judged.reason
        )

    def _judge(self, entry: ModelEntry, said: LoadOptions) -> _Judged:
        """What loading `entry` with the options `said` would take, and whether that fits."""
        if entry.broken:
            return _Judged(reason=f"broken: {entry.broken}")
        if entry.format == "scripted":
            return _Judged()
        known = self._judged.get((entry.path, said))
        if known is None:
            try:
                known = self._measured(entry, said)
            except HearthError:
                # It is listed all the same; who loads it hears what is wrong.
                known = _Judged()
            self._judged[entry.path, said] = known
        return known

    def _measured(self, entry: ModelEntry, said: LoadOptions) -> _Judged:
        backend = _backend(entry)
        options = completed(said, self._runtime, backend)
        wanted = self._demand(entry, options, backend)
        need = sum(wanted.values())
        if not pools.missing(wanted, self._free):
            return _Judged(need, "fits")
        tight: list[LoadOptions] = []
        if options.gpu_layers is None:
            tight.append(replace(options, gpu_layers=0))
        if options.context is None:
            tight += [replace(each, context=LEAST_CONTEXT) for each in (options, *tight)]
        for each in tight:
            less = self._demand(entry, each, backend)
            if not pools.missing(less, self._free):
                return _Judged(sum(less.values()), "tight" if each.context != options.context else "fits")
        short = pools.missing(wanted, self._free)
        can_be_had = {pool: self._free.get(pool, 0) for pool in short}
        needed = {pool: wanted[pool] for pool in short}
        return _Judged(need, "too_big", f"needs {pools.show(needed)}; {pools.show(can_be_had)} can be had")

    def _demand(self, entry: ModelEntry, options: LoadOptions, backend: str) -> dict[str, int]:
        devices = usable(self._devices, backend)
        if backend != "llama":
            folder = self._catalog.folder(entry)
            shape = context_shape(options, folder.context)
            need = folder_fit.needs(folder, shape, devices, options, backend=backend)
            return pools.demand(need, folder_fit.resident_bytes(need, backend))
        headers = self._catalog.headers(entry)
        dimensions = dimensions_of(headers[0])
        try:
            devices = left_by(devices, options.device)
        except InvalidRequest:
            devices = usable(self._devices, backend)
        need = fit.needs(
            headers,
            dimensions,
            context_shape(options, dimensions.context),
            devices,
            kv_type=options.kv_type,
            flash_attention=options.flash_attention,
            gpu_layers=gpu_layers(options),
            split=options.split,
            mapped=options.use_mmap is not False,
        )
        return pools.demand(need, fit.resident_bytes(need, dimensions))


def _backend(entry: ModelEntry) -> str:
    return entry.backends[0] if entry.backends else _BACKENDS.get(entry.format, "transformers")


def _options(alias: Alias) -> LoadOptions:
    return alias.load if alias.load is not None else LoadOptions()
