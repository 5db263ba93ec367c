"""`POST /api/create`: an alias, of a model that is here or of files that were sent before."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec
from msgspec.structs import replace

from api.dialects.ollama import removing
from api.dialects.ollama.messages import messages_of
from api.dialects.ollama.options import checked, thinking_of
from api.reading.extensions import adapter_of, keep_alive_of, load_of
from api.reading.fields import Fields
from api.reading.keywords import OLLAMA, OLLAMA_OPTIONS
from api.reading.sampling import sampling_of, stops_of
from engine.errors import HearthError, InvalidRequest, ModelNotFound, NotAllowed, Unsupported
from engine.text_safety import plain
from engine.types import AdapterRef, Alias, LoadOptions, ModelEntry, Thinking

if TYPE_CHECKING:
    from api.answering.call import Call
    from api.dialects.listing import Listing

_GO: Final = re.compile(
    r"\{\{-?\s*(?:\.|\$|(?:if|range|with|else|end|block|define|template|and|or|not|len)\b)"
)
_WITHOUT: Final = ("renderer", "parser", "requires", "info")
"""Parts of Ollama, or of a conversion, that nothing here goes by."""


async def create(call: Call, listing: Listing) -> list[str]:
    """Make the alias that the body describes; what was done, in Ollama's words.

    Raises InvalidRequest and its kin, ModelNotFound for a model that is not here, ModelLoadFailed for files that are
    no model.
    """
    fields = call.fields
    fields.known(OLLAMA)
    fields.known(_WITHOUT)
    for name, why in _REFUSED.items():
        fields.refuse(name, why)
    name = fields.take("model", str, "name") or ""
    call.hub.model(name)
    told: list[str] = []
    files = fields.take("files", dict[str, str])
    base = await _base(call, listing, files, told)
    alias = _said(call, base, told)
    alias = await _adapted(call, alias, told)
    before = await listing.find(name)
    await call.hub.engine.put_alias(name, alias)
    listing.forget()
    if before is not None and before.alias is not None and before.alias.model != alias.model:
        await removing.let_go(call, listing, before.entry)
    return [*told, "writing manifest", "success"]


async def _base(call: Call, listing: Listing, files: dict[str, str] | None, told: list[str]) -> Alias:
    """What the alias begins as: that of `from`, or the model that the files are."""
    source = call.fields.take("from", str)
    if source:
        wanted = call.hub.model(source)
        if call.hub.is_scripted(wanted):
            return Alias(model=wanted)
        found = await listing.find(wanted)
        if found is None:
            raise ModelNotFound(
                f"model '{plain(source, 80)}' not found",
                "An alias leads to a model that is here.",
                f"Pull it first: hearth pull {plain(source, 80)}",
                param="from",
            )
        told.append(f"using existing layer sha256:{found.digest}")
        # An alias leads to a model and never to another alias: what that one says is said again.
        return found.alias if found.alias is not None else Alias(model=found.id)
    if not files:
        raise InvalidRequest("neither 'from' or 'files' was specified", param="from")
    told.append("parsing GGUF" if any(name.endswith(".gguf") for name in files) else "reading model metadata")
    path, fresh = await asyncio.to_thread(call.hub.uploads.laid, files)
    listing.forget()
    entry = next((one for one in await call.hub.engine.models() if _is_of(one, path)), None)
    try:
        if entry is None or entry.broken:
            raise InvalidRequest(
                "These files are no model.", entry.broken or "" if entry is not None else "", param="files"
            )
        with contextlib.suppress(Unsupported):
            # New files are tried in a process of their own.
            await call.attended(call.hub.engine.estimate(entry.id))
    except HearthError:
        if fresh:
            await asyncio.to_thread(call.hub.uploads.remove, str(path))
            listing.forget()
        raise
    told.extend(f"creating new layer {digest}" for digest in files.values())
    return Alias(model=entry.id)


def _is_of(entry: ModelEntry, path: Path) -> bool:
    return Path(entry.path) == path or Path(entry.path).is_relative_to(path)


def _said(call: Call, base: Alias, told: list[str]) -> Alias:
    """`base` with what the body says over it."""
    fields = call.fields
    changes: dict[str, Any] = {}
    if (system := fields.take("system", str)) is not None:
        changes |= {"system": system or None, "prompt": None}
        told.append("creating system layer")
    if (template := fields.take("template", str)) is not None and template.strip():
        if _GO.search(template):
            told.append("leaving out template: it is in the language of Go; the model's own holds")
        elif "admin" not in call.principal.scopes:
            raise NotAllowed(
                "This key may not write templates.",
                "A template is a small program.",
                "Use a key with the scope `admin`, or make the alias with `hearth create`.",
                param="template",
            )
        else:
            changes["template"] = template
    licence = fields.any("license")
    if licence:
        several = [licence] if isinstance(licence, str) else licence
        changes["licence"] = "\n\n".join(str(each) for each in several)[:1_000_000]
    if fields.any("messages"):
        changes["messages"] = messages_of(fields.any("messages"))
    if (alive := fields.any("keep_alive")) is not None:
        changes["keep_alive"] = keep_alive_of(alive)
    if (thinking := thinking_of(fields)) != Thinking():
        changes["thinking"] = thinking
    if (form := fields.any("format")) is not None:
        if form not in ("json", ""):
            raise InvalidRequest("An alias has no schema.", 'Its `format` is "json" or "".', param="format")
        changes["json_mode"] = form == "json"
    return replace(base, **changes, **_parameters(base, fields.take("parameters", dict[str, Any]) or {}))


def _parameters(base: Alias, given: Mapping[str, Any]) -> dict[str, Any]:
    """What `parameters`, which are Ollama's options, come to in an alias."""
    given = checked(given)
    options = Fields(given, "parameters")
    options.known(OLLAMA_OPTIONS)
    found: dict[str, Any] = {}
    if sampling := sampling_of(options):
        found["sampling"] = {**base.sampling, **sampling}
    if stops := stops_of(options):
        found["stop"] = stops
    limit = given.get("num_predict")
    if limit is not None:
        found["max_tokens"] = int(limit) if limit > 0 else None
    load, plain_load = load_of(given), LoadOptions()
    if load != plain_load:
        own = base.load if base.load is not None else plain_load
        said = {
            each: getattr(load, each)
            for each in LoadOptions.__struct_fields__
            if getattr(load, each) != getattr(plain_load, each)
        }
        found["load"] = replace(own, **said)
    return found


async def _adapted(call: Call, alias: Alias, told: list[str]) -> Alias:
    """`alias` with its adapters: names, or files that were sent, which become adapters of Hearth's own."""
    value = call.fields.any("adapters")
    if not value:
        return alias
    if isinstance(value, list):
        return replace(alias, adapters=tuple(adapter_of(each, "adapters") for each in value))
    try:
        files = msgspec.convert(value, dict[str, str])
    except msgspec.ValidationError:
        raise InvalidRequest(
            "`adapters` is a list of names, or file names with digests.", param="adapters"
        ) from None
    uploads = call.hub.uploads
    path = await asyncio.to_thread(uploads.staged, files)
    stem = Path(next((each for each in files if not each.endswith(".json")), "adapter")).stem
    name = f"{stem[:60]}-{hashlib.sha256(repr(sorted(files.items())).encode()).hexdigest()[:8]}"
    try:
        told.append("converting adapter")
        await call.hub.engine.add_adapter(str(path), name)
    except InvalidRequest as error:
        if error.param != "name":
            raise
        # The very same files are there already.
    finally:
        await asyncio.to_thread(uploads.unstage, path)
    return replace(alias, adapters=(AdapterRef(name),))


_REFUSED: Final = {
    "quantize": "Weights are taken as they are; nothing is converted here.",
    "quantization": "Weights are taken as they are; nothing is converted here.",
    "draft_files": "An alias names its draft model among the load options.",
    "draft_quantize": "Weights are taken as they are; nothing is converted here.",
    "remote_host": "Hearth runs on this machine alone.",
    "modelfile": "A Modelfile names files. `hearth import` reads it; over HTTP its parts are sent one by one.",
    "path": "No path is followed over HTTP.",
}
