"""Models and aliases in one list, with whether each could be loaded now.

By headers alone, without a trial of any file: verdicts are those of `fits`. Disk work: not for a loop.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec import Struct
from msgspec.structs import replace

from engine.errors import HearthError
from engine.library import pools
from engine.runtime.completing import load_of
from engine.runtime.fits import Wanted
from engine.runtime.targets import Targets
from engine.types import Fit, Listed, LoadOptions, ModelEntry, NamedAlias


class Candidate(Struct, frozen=True):
    """A row, and what would be loaded for it; None where that is clear already."""

    row: Listed
    wanted: Wanted | None = None


def candidates(targets: Targets) -> list[Candidate]:
    """Everything that is listed. Raises StorageFailed for a broken file of aliases."""
    with targets.catalog.looked_at_once():
        entries = targets.catalog.entries()
        by_name = {name.lower(): entry for entry in entries for name in (entry.id, *entry.also)}
        found = [_model(targets, entry) for entry in entries]
        found += [_alias(targets, named, by_name) for named in targets.names.aliases.all()]
        return found + [_name(targets, name, said) for name, said in targets.names.of_settings()]


def rows(found: Sequence[Candidate], fits: Sequence[Fit]) -> list[Listed]:
    """The rows by name, what cannot be used last. `fits` are those of the candidates that want one, in their order."""
    verdicts = iter(fits)
    judged = [each.row if each.wanted is None else _judged(each, next(verdicts)) for each in found]
    return sorted(judged, key=lambda each: (bool(each.reason), each.name.lower()))


def _model(targets: Targets, entry: ModelEntry) -> Candidate:
    row = Listed(kind="model", name=entry.id, model=entry.id, entry=entry)
    return _candidate(targets, row, entry, None)


def _alias(targets: Targets, named: NamedAlias, by_name: Mapping[str, ModelEntry]) -> Candidate:
    alias = named.alias
    if alias is None:
        reason = f"broken: {named.broken}"
        return Candidate(Listed(kind="alias", name=named.name, model="", reason=reason))
    # Nearly all of them name a model as it is listed: no need to look further.
    entry = by_name.get(alias.model.lower())
    row = Listed(kind="alias", name=named.name, model=alias.model, alias=alias)
    if entry is None:
        try:
            entry = targets.names.model(alias.model).entry
        except HearthError as error:
            return Candidate(replace(row, reason=error.what))
    return _candidate(targets, replace(row, model=entry.id, entry=entry), entry, named)


def _name(targets: Targets, name: str, said: str) -> Candidate:
    row = Listed(kind="name", name=name, model=said)
    try:
        entry = targets.names.model(name).entry
    except HearthError as error:
        return Candidate(replace(row, reason=f"{error.what} {error.why}"))
    return _candidate(targets, replace(row, model=entry.id, entry=entry), entry, None)


def _candidate(targets: Targets, row: Listed, entry: ModelEntry, named: NamedAlias | None) -> Candidate:
    if entry.broken:
        return Candidate(replace(row, reason=f"broken: {entry.broken}"))
    alias = named.alias if named is not None else None
    try:
        target = replace(targets.of(entry, alias.backend if alias is not None else "auto"), alias=alias)
        wanted: Wanted = (target, load_of(LoadOptions(), target))
    except HearthError as error:
        return Candidate(replace(row, reason=f"{error.what} {error.why}"))
    return Candidate(row, wanted)


def _judged(each: Candidate, fit: Fit) -> Listed:
    assert each.wanted is not None
    reason = ""
    if fit.verdict == "too big":
        short = pools.missing(fit.needs, fit.free)
        needed = {pool: fit.needs[pool] for pool in short}
        free = {pool: fit.free[pool] for pool in short}
        reason = f"needs {pools.show(needed)}; {pools.show(free)} can be had"
    elif fit.verdict == "unknown" and each.wanted[1].draft_model is not None:
        # Of the model alone it would be known.
        reason = fit.reason
    return replace(each.row, need=sum(fit.needs.values()), verdict=fit.verdict, reason=reason)
