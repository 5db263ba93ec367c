"""The part of `LocalEngine` that is about models: which there are, which are in memory, what each would take."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

from engine.checking import check
from engine.errors import HearthError, ModelLoadFailed, Unsupported
from engine.library.load_options import meant_for
from engine.local_parts import LocalParts
from engine.runtime.completing import keep_alive_of, load_of
from engine.runtime.fits import in_order
from engine.runtime.readers import BACKENDS as READABLE
from engine.types import BackendName, Estimate, Fit, LoadedModel, LoadOptions, ModelEntry, ModelFacts

if TYPE_CHECKING:
    from engine.runtime.ticket import Target


class LocalModels(LocalParts):
    """What `LocalEngine` inherits of `engine.face.Engine`."""

    def _open_models(self) -> None:
        """Get ready; nothing is looked for."""
        self._known: dict[tuple[str, str], tuple[object, Target]] = {}
        """Targets of resident models by name and backend, with the stamp of the files by which they were found."""

    async def load(
        self,
        model: str,
        options: LoadOptions | None = None,
        *,
        keep_alive: float | None = None,
        force: bool = False,
    ) -> None:
        check(options or LoadOptions())

        async def there() -> None:
            target = await self._find(model)
            await self._supervisor.load(
                target,
                load_of(options or LoadOptions(), target),
                keep_alive_of(keep_alive, target),
                force=force,
            )

        await self._on_loop(there())

    async def unload(self, model: str) -> bool:
        async def there() -> bool:
            names, problem = {model}, None
            try:
                names.add((await self._find(model)).id)
            except (ModelLoadFailed, Unsupported):
                # It is there, and will not do.
                pass
            except HearthError as error:
                # It may be gone from the catalog and still in memory under this very name.
                problem = error
            left = [await self._supervisor.unload(name) for name in names]
            if problem is not None and not any(left):
                raise problem
            return any(left)

        return await self._on_loop(there())

    async def estimate(self, model: str, options: LoadOptions | None = None) -> Estimate:
        check(options or LoadOptions())

        async def there() -> Estimate:
            target = await self._find(model)
            found = await self._supervisor.estimate(target, load_of(options or LoadOptions(), target))
            if found is None:
                raise Unsupported(
                    f"What {target.id} would need cannot be said before it is loaded.",
                    f"Its backend ({target.backend}) has no way to tell.",
                    param="model",
                )
            return found

        return await self._on_loop(there())

    async def fits(
        self, models: Sequence[str] | None = None, options: LoadOptions | None = None
    ) -> list[Fit]:
        check(asked := options or LoadOptions())
        targets = self._targets.runnable(await self.models())
        wanted = [(target, load_of(meant_for(target.backend, asked), target)) for target in targets]
        return in_order(await self._on_loop(self._supervisor.fits(wanted)), models)

    async def pin(self, model: str) -> None:
        await self._set_pinned(model, True)

    async def unpin(self, model: str) -> None:
        await self._set_pinned(model, False)

    async def _set_pinned(self, model: str, pinned: bool) -> None:
        async def there() -> None:
            self._supervisor.pin(await self._find(model), pinned=pinned)

        await self._on_loop(there())

    def loaded(self) -> list[LoadedModel]:
        return self._supervisor.loaded()

    async def models(self) -> list[ModelEntry]:
        return await asyncio.to_thread(lambda: list(self._targets.catalog.entries()))

    async def facts(self, model: str) -> ModelFacts:
        async def there() -> ModelFacts:
            target = await self._find(model)
            if target.backend in READABLE:
                return await self._facts_of(target)
            known = self._supervisor.facts(target.id)
            return known or await self._supervisor.load(target, load_of(LoadOptions(), target), None)

        return await self._on_loop(there())

    async def _facts_of(self, target: Target) -> ModelFacts:
        return self._supervisor.facts(target.id) or await self._readers.facts(target)

    async def _find(self, name: str, backend: BackendName = "auto") -> Target:
        """See `LocalParts`.

        A resident model is not looked up again, until the files of aliases and prompts change.
        """
        stamp = self._targets.stamp()
        before, known = self._known.get((name, backend), (None, None))
        if known is not None and before == stamp and self._supervisor.facts(known.id) is not None:
            return known
        target = await asyncio.to_thread(self._targets.find, name, backend)
        self._known[name, backend] = stamp, target
        return target
