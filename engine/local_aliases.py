"""The part of `LocalEngine` that is about aliases and named system prompts: see `engine.face.Naming`.

All of it is disk work, done on threads.
"""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

from engine.errors import HearthError
from engine.library import modelfile, own_adapters
from engine.local_parts import LocalParts
from engine.runtime.effective import setup
from engine.runtime.listing import candidates, rows
from engine.runtime.readers import BACKENDS as READABLE
from engine.types import Alias, Listed, ModelFacts, NamedAlias, NamedPrompt, Setup

if TYPE_CHECKING:
    from engine.runtime.ticket import Target


class LocalAliases(LocalParts):
    """What `LocalEngine` inherits."""

    async def aliases(self) -> list[NamedAlias]:
        return await asyncio.to_thread(self._targets.names.aliases.all)

    async def alias(self, name: str) -> NamedAlias:
        found = await asyncio.to_thread(self._targets.names.aliases.get, name)
        return NamedAlias(name=found.name, alias=found.alias)

    async def put_alias(self, name: str, alias: Alias, *, force: bool = False, overwrite: bool = True) -> str:
        return await asyncio.to_thread(self._targets.put, name, alias, force=force, overwrite=overwrite)

    async def copy_alias(self, source: str, name: str) -> str:
        return await asyncio.to_thread(self._targets.names.copy, source, name)

    async def rename_alias(self, source: str, name: str) -> str:
        return await asyncio.to_thread(self._targets.names.copy, source, name, move=True)

    async def remove_alias(self, name: str) -> str:
        return await asyncio.to_thread(self._targets.names.aliases.remove, name)

    async def import_alias(
        self, name: str, text: str, folder: str = "", *, force: bool = False, overwrite: bool = False
    ) -> tuple[str, ...]:
        def work() -> tuple[str, ...]:
            read = modelfile.read(text, Path(folder) if folder else None)
            self._targets.put(name, read.alias, force=force, overwrite=overwrite)
            return read.remarks

        return await asyncio.to_thread(work)

    async def export_alias(self, name: str) -> str:
        def work() -> str:
            found = self._targets.names.alias(name)
            if found is None:
                entry = self._targets.names.model(name).entry
                return modelfile.written(Alias(model=entry.id), entry.id)
            alias = found.alias
            if alias.prompt is not None:
                alias = modelfile.with_text(alias, self._targets.names.prompts.text(alias.prompt))
            return modelfile.written(alias, found.name)

        return await asyncio.to_thread(work)

    async def listing(self) -> list[Listed]:
        found = await asyncio.to_thread(candidates, self._targets)
        wanted = [each.wanted for each in found if each.wanted is not None]
        return rows(found, await self._on_loop(self._supervisor.fits(wanted, windows=False)))

    async def setup(self, name: str) -> Setup:
        return await self._setup(name, await self._on_loop(self._find(name)))

    async def setup_of(self, alias: Alias) -> Setup:
        return await self._setup("", await asyncio.to_thread(self._targets.unkept, alias))

    async def _setup(self, name: str, target: Target) -> Setup:
        facts: ModelFacts | None = None
        if target.backend in READABLE:
            # Without them the model's own values are left out, which is better than nothing.
            with contextlib.suppress(HearthError):
                facts = await self._on_loop(self._facts_of(target))
        adapters = await asyncio.to_thread(self._targets.names_of, target)
        return setup(name, target, adapters, self._settings, facts)

    async def add_adapter(self, path: str, name: str | None = None) -> str:
        return await asyncio.to_thread(own_adapters.add, self._paths.adapters, path, name)

    async def remove_adapter(self, name: str) -> None:
        await asyncio.to_thread(own_adapters.remove, self._paths.adapters, name)

    async def prompts(self) -> list[NamedPrompt]:
        return await asyncio.to_thread(self._targets.names.prompts.all)

    async def prompt(self, name: str) -> NamedPrompt:
        return await asyncio.to_thread(self._targets.names.prompts.get, name)

    async def put_prompt(self, name: str, text: str, note: str = "") -> int:
        return await asyncio.to_thread(self._targets.names.prompts.put, name, text, note)

    async def restore_prompt(self, name: str, version: int) -> int:
        return await asyncio.to_thread(self._targets.names.prompts.restore, name, version)

    async def remove_prompt(self, name: str, *, force: bool = False) -> None:
        await asyncio.to_thread(self._targets.names.remove_prompt, name, force=force)
