"""One route a method of `engine.face.Naming`: aliases, adapters of Hearth's own, named system prompts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from litestar import Request, get, post
from litestar.types import ASGIApp
from msgspec import Struct

from api.answering.reply import as_json
from api.dialects.native.files import check_alias, check_own
from api.dialects.native.reading import read
from engine.types import Alias

if TYPE_CHECKING:
    from api.hub import Hub


class Name(Struct, frozen=True, kw_only=True):
    name: str


class Put(Struct, frozen=True, kw_only=True):
    name: str
    alias: Alias
    force: bool = False
    overwrite: bool = True


class Unkept(Struct, frozen=True, kw_only=True):
    alias: Alias


class Copy(Struct, frozen=True, kw_only=True):
    source: str
    name: str


class Modelfile(Struct, frozen=True, kw_only=True):
    """`folder` is where relative paths begin; naming one is for this user's own programs."""

    name: str
    text: str
    folder: str = ""
    force: bool = False
    overwrite: bool = False


class AdapterFile(Struct, frozen=True, kw_only=True):
    path: str
    name: str | None = None


class PromptText(Struct, frozen=True, kw_only=True):
    name: str
    text: str
    note: str = ""


class RestoredPrompt(Struct, frozen=True, kw_only=True):
    name: str
    version: int


class RemovedPrompt(Struct, frozen=True, kw_only=True):
    name: str
    force: bool = False


@get("/hearth/v1/aliases", status_code=200)
async def aliases(request: Request[Any, Any, Any]) -> ASGIApp:
    """Every alias."""
    return as_json(await _hub(request).engine.aliases())


@post("/hearth/v1/alias", status_code=200)
async def alias(request: Request[Any, Any, Any]) -> ASGIApp:
    """One alias."""
    call, asked = await read(request, Name)
    return as_json(await call.hub.engine.alias(asked.name))


@post("/hearth/v1/put_alias", status_code=200)
async def put_alias(request: Request[Any, Any, Any]) -> ASGIApp:
    """Keep an alias; the name as it is kept."""
    call, asked = await read(request, Put)
    check_alias(asked.alias, call)
    kept = await call.hub.engine.put_alias(
        asked.name, asked.alias, force=asked.force, overwrite=asked.overwrite
    )
    return as_json({"name": kept})


@post("/hearth/v1/copy_alias", status_code=200)
async def copy_alias(request: Request[Any, Any, Any]) -> ASGIApp:
    """Keep an alias under another name too."""
    call, asked = await read(request, Copy)
    call.hub.model(asked.source)
    return as_json({"name": await call.hub.engine.copy_alias(asked.source, asked.name)})


@post("/hearth/v1/rename_alias", status_code=200)
async def rename_alias(request: Request[Any, Any, Any]) -> ASGIApp:
    """Keep an alias under another name instead."""
    call, asked = await read(request, Copy)
    return as_json({"name": await call.hub.engine.rename_alias(asked.source, asked.name)})


@post("/hearth/v1/remove_alias", status_code=200)
async def remove_alias(request: Request[Any, Any, Any]) -> ASGIApp:
    """Forget an alias."""
    call, asked = await read(request, Name)
    return as_json({"name": await call.hub.engine.remove_alias(asked.name)})


@post("/hearth/v1/import_alias", status_code=200)
async def import_alias(request: Request[Any, Any, Any]) -> ASGIApp:
    """Make an alias of a Modelfile, which may name files; what was left out of it."""
    call, asked = await read(request, Modelfile)
    check_own(call, "Modelfiles are read")
    remarks = await call.hub.engine.import_alias(
        asked.name, asked.text, asked.folder, force=asked.force, overwrite=asked.overwrite
    )
    return as_json({"remarks": remarks})


@post("/hearth/v1/export_alias", status_code=200)
async def export_alias(request: Request[Any, Any, Any]) -> ASGIApp:
    """An alias or a model as a Modelfile."""
    call, asked = await read(request, Name)
    return as_json({"text": await call.hub.engine.export_alias(call.hub.model(asked.name))})


@get("/hearth/v1/listing", status_code=200)
async def listing(request: Request[Any, Any, Any]) -> ASGIApp:
    """Models and aliases, with whether they could be loaded now."""
    return as_json(await _hub(request).engine.listing())


@post("/hearth/v1/setup", status_code=200)
async def setup(request: Request[Any, Any, Any]) -> ASGIApp:
    """Every value that a request to a name gets, and where it comes from."""
    call, asked = await read(request, Name)
    return as_json(await call.attended(call.hub.engine.setup(call.hub.model(asked.name))))


@post("/hearth/v1/setup_of", status_code=200)
async def setup_of(request: Request[Any, Any, Any]) -> ASGIApp:
    """The same for an alias that is not kept."""
    call, asked = await read(request, Unkept)
    check_alias(asked.alias, call)
    return as_json(await call.attended(call.hub.engine.setup_of(asked.alias)))


@post("/hearth/v1/add_adapter", status_code=200)
async def add_adapter(request: Request[Any, Any, Any]) -> ASGIApp:
    """Copy an adapter of this machine into Hearth's own folder; its name."""
    call, asked = await read(request, AdapterFile)
    check_own(call, "Adapters are added")
    return as_json({"name": await call.hub.engine.add_adapter(asked.path, asked.name)})


@post("/hearth/v1/remove_adapter", status_code=200)
async def remove_adapter(request: Request[Any, Any, Any]) -> ASGIApp:
    """Delete an adapter from Hearth's own folder."""
    call, asked = await read(request, Name)
    await call.hub.engine.remove_adapter(asked.name)
    return as_json({})


@get("/hearth/v1/prompts", status_code=200)
async def prompts(request: Request[Any, Any, Any]) -> ASGIApp:
    """Every named system prompt."""
    return as_json(await _hub(request).engine.prompts())


@post("/hearth/v1/prompt", status_code=200)
async def prompt(request: Request[Any, Any, Any]) -> ASGIApp:
    """One of them."""
    call, asked = await read(request, Name)
    return as_json(await call.hub.engine.prompt(asked.name))


@post("/hearth/v1/put_prompt", status_code=200)
async def put_prompt(request: Request[Any, Any, Any]) -> ASGIApp:
    """Make a text the newest version; its number."""
    call, asked = await read(request, PromptText)
    return as_json({"version": await call.hub.engine.put_prompt(asked.name, asked.text, asked.note)})


@post("/hearth/v1/restore_prompt", status_code=200)
async def restore_prompt(request: Request[Any, Any, Any]) -> ASGIApp:
    """Make an old version the newest; its new number."""
    call, asked = await read(request, RestoredPrompt)
    return as_json({"version": await call.hub.engine.restore_prompt(asked.name, asked.version)})


@post("/hearth/v1/remove_prompt", status_code=200)
async def remove_prompt(request: Request[Any, Any, Any]) -> ASGIApp:
    """Forget a prompt with all its versions."""
    call, asked = await read(request, RemovedPrompt)
    await call.hub.engine.remove_prompt(asked.name, force=asked.force)
    return as_json({})


def _hub(request: Request[Any, Any, Any]) -> Hub:
    hub: Hub = request.app.state["hub"]
    return hub


ROUTES = [
    aliases, alias, put_alias, copy_alias, rename_alias, remove_alias, import_alias, export_alias, listing, setup,
    setup_of,
    add_adapter, remove_adapter, prompts, prompt, put_prompt, restore_prompt, remove_prompt,
]  # fmt: skip
