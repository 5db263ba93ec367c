"""Who is asked what, where a command says one thing: whether it is a model or a question, and which model sees."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from engine.errors import HearthError, ModelNotFound, Unsupported
from engine.text_safety import clean, plain

if TYPE_CHECKING:
    from cli.configuration import GlobalOptions
    from engine import Engine
    from engine.settings import Settings

_PATHS = ("/", "./", "../", "~/")
_LONGEST_NAME = 1024
SIGHT = "image"
"""The modality of models that take pictures."""


def addressed(
    options: GlobalOptions, settings: Settings, model: str | None, prompt: str | None, *, images: bool
) -> tuple[str, str | None]:
    """The model that is asked, and the question, if there is one; what was not said outright is told on stderr.

    One argument alone is a question if it names no model and holds white space, or `images` go with it. Pictures for
    no model in particular go to the default model if it sees, else to the first one here that does. Raises Unsupported
    where none does.
    """
    doubtful = model is not None and prompt is None and (images or _spaced(model)) and not _is_path(model)
    shows = images or (prompt is not None and _mentions_pictures(prompt))
    if not doubtful and (model or not shows):
        return model or settings.models.default, prompt
    from cli.engines import opened

    async def work() -> tuple[str, str | None]:
        engine = opened(options, settings, computes=True)
        try:
            return await _addressed(engine, settings.models.default, model, prompt, images=images)
        finally:
            await engine.close()

    return asyncio.run(work())


async def _addressed(
    engine: Engine, default: str, model: str | None, prompt: str | None, *, images: bool
) -> tuple[str, str | None]:
    if model and prompt is None:
        if await _names_model(engine, model):
            return model, None
        if not _spaced(model):
            _tell(f"There is no model {plain(model, 120)!r}, so that is the question.")
        prompt = model
    if images or _mentions_pictures(prompt or ""):
        return await _seeing(engine, default), prompt
    return default, prompt


async def _names_model(engine: Engine, text: str) -> bool:
    """Whether the engine knows a model, or an alias, called so; also one that cannot be used."""
    if len(text) > _LONGEST_NAME:
        return False
    try:
        await engine.setup(text)
    except ModelNotFound:
        if _spaced(text):
            return False
    except HearthError:
        return True
    else:
        return True
    # An alias whose model is gone, or a model without that adapter: the engine says best what is wrong with it.
    known = {entry.id.lower() for entry in await engine.models()}
    known |= {named.name.lower() for named in await engine.aliases()}
    return not known.isdisjoint((text.lower(), text.lower().rpartition(":")[0]))


async def _seeing(engine: Engine, default: str) -> str:
    """The default model if it takes pictures, or is one that is not listed; else the first that does."""
    from tui.asking.adapters import without_adapter
    from tui.asking.choices import ALIAS, choices

    entries = await choices(engine)
    known = {entry.id.lower(): entry for entry in entries}
    usual = known.get(without_adapter(default.lower(), known))
    if usual is None or SIGHT in usual.modalities:
        return default
    for entry in entries:
        if SIGHT in entry.modalities and not entry.broken and entry.source != ALIAS:
            _tell(f"{plain(default, 120)} takes no pictures, so {plain(entry.id, 120)} answers.")
            return entry.id
    raise Unsupported(
        "No model on this machine takes pictures.",
        f"The default model, {plain(default, 120)}, reads text alone.",
        "Fetch one that does; `hearth models` tells what each one reads.",
        param="model",
    )


def _mentions_pictures(prompt: str) -> bool:
    from tui.asking.pictures import pictures

    return bool(pictures(prompt, Path.cwd()))


def _spaced(text: str) -> bool:
    return any(letter.isspace() for letter in text)


def _is_path(text: str) -> bool:
    return text.startswith(_PATHS) or os.path.exists(text)


def _tell(note: str) -> None:
    if sys.stderr is not None:
        print(clean(note), file=sys.stderr)
