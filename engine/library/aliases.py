"""The user's own names for models set up in one way, in `aliases.json` beside the settings, and the rules for them.

Case does not matter in a name, nor does a tag `:latest`. Disk work: not for an event loop.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from msgspec import Struct

from engine.checking import check
from engine.errors import HearthError, InvalidRequest, InvalidSettings, ModelNotFound
from engine.library.prompts import split
from engine.sampling import resolve
from engine.store.registry import Registry, Stamp, checked_name, spelt
from engine.text_safety import plain
from engine.types import Alias, NamedAlias

LATEST: Final = ":latest"
RESERVED: Final = ("scripted:",)
"""What the name of an alias may not begin with: it means something else already."""


class Named(Struct, frozen=True):
    """An alias that was found, spelt as its maker spells it; `adapter` is what stood behind a further colon."""

    name: str
    alias: Alias
    adapter: str | None = None


class Aliases:
    """The aliases in `file`. Usable from any thread. Calls raise StorageFailed for a file that cannot be read."""

    def __init__(self, file: Path) -> None:
        self._registry = Registry(file, "aliases", Alias, check=check_alias)

    def stamp(self) -> Stamp | None:
        """What changes with the file."""
        return self._registry.stamp()

    def all(self) -> list[NamedAlias]:
        """Every alias by name, those that cannot be used with the reason."""
        found = [NamedAlias(name=name, alias=alias) for name, alias in self._registry.all().items()]
        found += [NamedAlias(name=name, broken=why) for name, why in self._registry.broken().items()]
        return sorted(found, key=lambda each: each.name.lower())

    def find(self, name: str) -> Named | None:
        """The alias `name`; None if there is none. Raises InvalidSettings for one that cannot be used."""
        wanted = key_of(name)
        records = self._registry.all()
        if (key := spelt(records, wanted)) is not None:
            return Named(key, records[key])
        broken = self._registry.broken()
        if (key := spelt(broken, wanted)) is not None:
            raise InvalidSettings(
                f"The alias {plain(key, 80)!r} cannot be used.",
                f"{self._registry.path}, {broken[key]}",
                "Mend it in an editor, or remove it with `hearth rm`.",
                param="model",
            )
        return None

    def get(self, name: str) -> Named:
        """The alias `name`. Raises ModelNotFound if there is none, InvalidSettings for one that cannot be used."""
        found = self.find(name)
        if found is None:
            raise self._missing(name)
        return found

    def put(self, name: str, alias: Alias, *, taken: Iterable[str] = (), replace: bool = True) -> str:
        """Keep `alias` under `name`, in place of one that has it already; the name as it is kept.

        `taken` are names that a new alias may not have: those of models. Raises InvalidRequest.
        """
        check_alias(alias)
        name = alias_name(name)

        def edit(records: dict[str, Alias]) -> None:
            before = spelt(records, name.lower())
            if before is None:
                _check_free(name, taken)
            elif not replace:
                raise _exists(before, "put this one in its place with --replace")
            else:
                del records[before]
            records[name] = alias

        self._registry.change(edit)
        return name

    def copy(self, source: str, name: str, *, taken: Iterable[str] = (), move: bool = False) -> str:
        """Keep the alias `source` under `name` too, or with `move` instead; the name as it is kept.

        Raises ModelNotFound, and InvalidRequest for a name that is taken.
        """
        old, name = self.get(source).name, alias_name(name)

        def edit(records: dict[str, Alias]) -> None:
            if old not in records:
                raise self._missing(source)
            before = spelt(records, name.lower())
            if before is not None and not (move and before == old):
                raise _exists(before, f"remove it first: hearth rm {plain(before, 80)}")
            if before is None:
                _check_free(name, taken)
            alias = records[old]
            if move:
                del records[old]
            records[name] = alias

        self._registry.change(edit)
        return name

    def remove(self, name: str) -> str:
        """Forget an alias, a damaged one too; its name. Raises ModelNotFound if there is none."""
        wanted = key_of(name)
        names = [*self._registry.all(), *self._registry.broken()]
        key = spelt(dict.fromkeys(names, ""), wanted)
        if key is None or not self._registry.discard(key):
            raise self._missing(name)
        return key

    def users_of(self, prompt: str) -> list[str]:
        """The aliases that use a named system prompt."""
        return [
            name
            for name, alias in self._registry.all().items()
            if alias.prompt is not None and split(alias.prompt)[0].lower() == prompt.lower()
        ]

    def _missing(self, name: str) -> ModelNotFound:
        known = list(self._registry.all())
        near = difflib.get_close_matches(name.lower(), [each.lower() for each in known], n=3, cutoff=0.5)
        return ModelNotFound(
            f"There is no alias {plain(name, 120)!r}.",
            f"Known: {len(known)}.",
            f"Did you mean {' or '.join(near)}?" if near else "`hearth list` lists them.",
            param="name",
        )


def check_alias(alias: Alias) -> None:
    """Raises InvalidRequest naming the field whose value cannot be used."""
    check(alias)
    resolve(alias.sampling)
    if alias.system is not None and alias.prompt is not None:
        raise InvalidRequest(
            "An alias has one system prompt.",
            f"Both a text and the prompt {plain(alias.prompt, 80)!r} are named.",
            "Leave one of them out.",
            param="prompt",
        )
    if alias.prompt is not None:
        split(alias.prompt)
    if alias.load is not None and alias.load.load_in_8bit and alias.load.load_in_4bit:
        raise InvalidRequest(
            "Weights are loaded in 8 bits or in 4, not in both.", fix="Choose one.", param="load_in_4bit"
        )
    if alias.template is not None:
        from engine.prompt.template import Template

        Template(alias.template)


def key_of(name: str) -> str:
    """`name` as aliases are compared."""
    return name.strip().lower().removesuffix(LATEST)


def alias_name(name: str) -> str:
    """`name` as it would be kept. Raises InvalidRequest for what cannot be the name of an alias."""
    name = name.strip()
    if name.lower().endswith(LATEST):
        name = name[: -len(LATEST)]
    checked_name(name, "an alias")
    if name.lower().startswith(RESERVED):
        raise InvalidRequest(
            f"{plain(name, 80)!r} cannot be the name of an alias.",
            "Names that begin so are those of scripted models.",
            "Choose another name.",
            param="name",
        )
    return name


def _check_free(name: str, taken: Iterable[str]) -> None:
    if name.lower() in {each.lower() for each in taken}:
        raise InvalidRequest(
            f"{plain(name, 80)!r} is the name of a model.",
            "An alias of that name would hide it.",
            "Choose another name.",
            param="name",
        )


def _exists(name: str, way: str) -> HearthError:
    return InvalidRequest(
        f"There is an alias {plain(name, 80)!r} already.",
        "It would be lost.",
        f"Choose another name, or {way}.",
        param="name",
    )
