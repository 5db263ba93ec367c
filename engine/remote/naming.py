"""The part of `RemoteEngine` that is about aliases and system prompts: see `engine.face.Naming`."""

from __future__ import annotations

from engine.remote.asking import Asking
from engine.types import Alias, Listed, NamedAlias, NamedPrompt, Setup


class RemoteNaming(Asking):
    """What `RemoteEngine` inherits. Files that calls name lie on the other machine, which lets only its own user."""

    async def aliases(self) -> list[NamedAlias]:
        return await self._get("aliases", list[NamedAlias])

    async def alias(self, name: str) -> NamedAlias:
        return await self._post("alias", NamedAlias, {"name": name})

    async def put_alias(self, name: str, alias: Alias, *, force: bool = False, overwrite: bool = True) -> str:
        asked = {"name": name, "alias": alias, "force": force, "overwrite": overwrite}
        return str(await self._said("put_alias", asked))

    async def copy_alias(self, source: str, name: str) -> str:
        return str(await self._said("copy_alias", {"source": source, "name": name}))

    async def rename_alias(self, source: str, name: str) -> str:
        return str(await self._said("rename_alias", {"source": source, "name": name}))

    async def remove_alias(self, name: str) -> str:
        return str(await self._said("remove_alias", {"name": name}))

    async def import_alias(
        self, name: str, text: str, folder: str = "", *, force: bool = False, overwrite: bool = False
    ) -> tuple[str, ...]:
        asked = {"name": name, "text": text, "folder": folder, "force": force, "overwrite": overwrite}
        return tuple(await self._said("import_alias", asked, patient=True))

    async def export_alias(self, name: str) -> str:
        return str(await self._said("export_alias", {"name": name}))

    async def listing(self) -> list[Listed]:
        return await self._get("listing", list[Listed])

    async def setup(self, name: str) -> Setup:
        return await self._post("setup", Setup, {"name": name}, patient=True)

    async def setup_of(self, alias: Alias) -> Setup:
        return await self._post("setup_of", Setup, {"alias": alias}, patient=True)

    async def add_adapter(self, path: str, name: str | None = None) -> str:
        return str(await self._said("add_adapter", {"path": path, "name": name}, patient=True))

    async def remove_adapter(self, name: str) -> None:
        await self._post("remove_adapter", dict, {"name": name})

    async def prompts(self) -> list[NamedPrompt]:
        return await self._get("prompts", list[NamedPrompt])

    async def prompt(self, name: str) -> NamedPrompt:
        return await self._post("prompt", NamedPrompt, {"name": name})

    async def put_prompt(self, name: str, text: str, note: str = "") -> int:
        return int(await self._said("put_prompt", {"name": name, "text": text, "note": note}))

    async def restore_prompt(self, name: str, version: int) -> int:
        return int(await self._said("restore_prompt", {"name": name, "version": version}))

    async def remove_prompt(self, name: str, *, force: bool = False) -> None:
        await self._post("remove_prompt", dict, {"name": name, "force": force})
