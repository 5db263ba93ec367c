"""What a name stands for: an alias, a name of the settings table `[models]`, a model of the catalog, in this order.

An alias leads to a model and never to another alias. Disk work: not for an event loop.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from msgspec.structs import replace

from engine.errors import HearthError, InvalidRequest, ModelNotFound, StorageFailed
from engine.library.adapter_names import DEFAULT, parse
from engine.library.aliases import Aliases, Named, check_alias, key_of
from engine.library.prompts import Prompts
from engine.library.well_known import well_known
from engine.paths import Paths
from engine.text_safety import plain
from engine.types import Alias

if TYPE_CHECKING:
    from engine.library.catalog import Catalog, Resolved


class Names:
    """Aliases and prompts by their files, `names` of the settings, and a catalog, which is made at its first use."""

    def __init__(self, names: Mapping[str, str], paths: Paths, catalog: Callable[[], Catalog]) -> None:
        self._names = {name.lower(): (name, target) for name, target in names.items()}
        self._catalog = catalog
        self.aliases = Aliases(paths.aliases_file)
        self.prompts = Prompts(paths.prompts_file)

    def alias(self, name: str) -> Named | None:
        """The alias that `name` or `name:adapter` means; None if it means none.

        Raises InvalidSettings for one that cannot be used, StorageFailed if the file cannot be read.
        """
        found = self.aliases.find(name)
        if found is not None:
            return found
        head, colon, adapter = name.strip().rpartition(":")
        if not colon or not head or (found := self.aliases.find(head)) is None:
            return None
        # A model may have a name with a colon.
        if key_of(name) in self._names or self._catalog().entry(name) is not None:
            return None
        return Named(found.name, found.alias, adapter)

    def model(self, name: str, adapter: str | None = None) -> Resolved:
        """The model that `name` means, which is no alias here, with `adapter` in place of what the name says.

        Raises ModelNotFound with the nearest names, and what `Catalog.resolve` raises.
        """
        found = self._model(name)
        if adapter is None:
            return found
        if found.entry.format == "scripted":
            return replace(found, adapters=parse(adapter, ()))
        return self._catalog().with_adapter(found.entry, adapter)

    def _model(self, name: str) -> Resolved:
        catalog = self._catalog()
        key = key_of(name)
        if key in self._names:
            return self._of_settings(key)
        try:
            return catalog.resolve(name, also=self._spellings())
        except ModelNotFound:
            head, colon, adapter = key.rpartition(":")
            if colon and head in self._names:
                return catalog.with_adapter(self._of_settings(head).entry, adapter)
            # It may have been pulled under its full name.
            repository = well_known(name)
            if repository is None or (entry := catalog.entry(repository)) is None:
                raise
            return catalog.with_adapter(entry, DEFAULT)

    def of_settings(self) -> list[tuple[str, str]]:
        """The names of the settings, as they are spelt, and what each stands for."""
        return list(self._names.values())

    def _of_settings(self, key: str) -> Resolved:
        name, target = self._names[key]
        try:
            return self._catalog().resolve(target)
        except ModelNotFound as error:
            raise ModelNotFound(
                f"The model {plain(name, 80)!r} is not here.",
                f"The settings say that it is {plain(target, 200)}. {error.why}",
                error.fix,
                param="model",
            ) from None

    def _spellings(self) -> list[str]:
        names = [name for name, _ in self._names.values()]
        # What is wrong with it is said where somebody asks for an alias.
        with contextlib.suppress(StorageFailed):
            names += [each.name for each in self.aliases.all()]
        return names

    # --- changing

    def put(self, name: str, alias: Alias, *, force: bool = False, overwrite: bool = True) -> str:
        """Keep `alias` as `name`; the name as it is kept. `force` takes a model that is not here.

        Raises InvalidRequest for a name or a value that cannot be, ModelNotFound for an unknown model.
        """
        alias = self.checked(alias, force=force)
        return self.aliases.put(name, alias, taken=self.taken(), replace=overwrite)

    def checked(self, alias: Alias, *, force: bool = False) -> Alias:
        """`alias` as it would be kept. Raises as `put`."""
        check_alias(alias)
        return self._placed(alias, force=force)

    def copy(self, source: str, name: str, *, move: bool = False) -> str:
        """Keep the alias `source` as `name` too, or with `move` instead. Raises as `Aliases.copy`.

        A copy of a model is an alias of it that says nothing more.
        """
        if not move and self.aliases.find(source) is None:
            # What is neither is said to be no alias, and told the nearest ones.
            with contextlib.suppress(ModelNotFound):
                self.model(source)
                return self.put(name, Alias(model=source), overwrite=False)
        return self.aliases.copy(source, name, taken=self.taken(), move=move)

    def taken(self) -> list[str]:
        """Names that mean a model, and may not be those of new aliases."""
        ids = [entry.id for entry in self._catalog().entries()]
        # Of a repository with several quantisations the bare name means one of them.
        heads = [each.partition(":")[0] for each in ids]
        return [*ids, *heads, *(name for name, _ in self._names.values())]

    def remove_prompt(self, name: str, *, force: bool = False) -> None:
        """Forget a named system prompt. Raises InvalidRequest if there is none, or where aliases use it."""
        users = self.aliases.users_of(name)
        if users and not force:
            raise InvalidRequest(
                f"The prompt {plain(name, 80)!r} is in use.",
                f"Aliases that use it: {', '.join(plain(user, 80) for user in users)}.",
                "Change these first.",
                param="prompt",
            )
        self.prompts.remove(name)

    def _placed(self, alias: Alias, *, force: bool) -> Alias:
        """`alias` with an absolute path where it leads to a file. Raises what keeps it from being used."""
        try:
            found = self.model(alias.model)
            if alias.adapters and found.entry.format != "scripted" and not found.entry.broken:
                self._catalog().adapters(found.entry, alias.adapters)
            if alias.prompt is not None:
                self.prompts.text(alias.prompt)
        except HearthError as error:
            if isinstance(error, ModelNotFound) and error.param == "model":
                error = self._no_model(alias.model, error)
            if force and not isinstance(error, StorageFailed):
                return alias
            raise error from None
        if alias.adapters:
            alias = replace(
                alias, adapters=tuple(replace(each, name=_whole(each.name)) for each in alias.adapters)
            )
        if alias.load is not None and alias.load.draft_model is not None:
            alias = replace(alias, load=replace(alias.load, draft_model=_whole(alias.load.draft_model)))
        if found.entry.format == "scripted":
            return alias
        whole = self._catalog().entry(alias.model) is not None
        place, _, adapter = (alias.model, "", "") if whole else alias.model.rpartition(":")
        path = os.path.abspath(os.path.expanduser(place))
        if key_of(place) == key_of(found.entry.id) or os.path.realpath(path) != os.path.realpath(
            found.entry.path
        ):
            return alias
        return replace(alias, model=f"{path}:{adapter}" if adapter else path)

    def _no_model(self, name: str, error: HearthError) -> HearthError:
        if (other := self.alias(name)) is not None:
            return InvalidRequest(
                f"{plain(name, 80)!r} is an alias, and an alias leads to a model.",
                f"It stands for {plain(other.alias.model, 200)}.",
                f"Name that model, or copy the alias: hearth cp {plain(other.name, 80)} NAME",
                param="model",
            )
        return ModelNotFound(
            error.what,
            error.why,
            f"{error.fix} An alias for it can be made all the same with --force.",
            param="model",
        )


def _whole(name: str) -> str:
    """`name`, or the whole path where it is one of something that is there."""
    looks_so = os.sep in name or name.lower().endswith(".gguf")
    path = os.path.abspath(os.path.expanduser(name)) if "\0" not in name else name
    return path if looks_so and os.path.exists(path) else name
