"""Finds out what a repository offers at a revision, and what a pull of it would fetch. Fetches no weights."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from engine.errors import HearthError
from engine.hub import addresses, choice, listing
from engine.hub.client import Client
from engine.hub.layout import Layout
from engine.hub.partial import left_behind
from engine.hub.reference import Reference
from engine.types import HubFile, HubFiles, PullPlan, Quantisation

INDEX: Final = "model.safetensors.index.json"
MOST_INDEX: Final = 32 << 20
Judge = Callable[
    [Client, Reference, str, Sequence[Quantisation]], Awaitable[tuple[Sequence[Quantisation], int]]
]
"""Says of each quantisation what it would need and whether that fits, and how much memory there is."""


class Plan(Struct, frozen=True):
    """What a pull fetches: `chosen` of what `offer` has. `reference` has the choice filled in."""

    reference: Reference
    offer: HubFiles
    chosen: Quantisation


async def offer(client: Client, reference: Reference, judge: Judge | None = None) -> HubFiles:
    """Everything that could be pulled of a repository, and what of it is here already. Raises HearthError."""
    about, _ = await listing.model(client, reference)
    tree = await listing.tree(client, reference.repository, about.commit)
    index = await _index(client, reference.repository, about.commit, tree.files)
    offered: Sequence[Quantisation] = choice.quantisations(
        tree.files,
        index,
        mlx="mlx" in about.libraries,
        code=f"{reference.repository}@{about.commit}" in client.access.trusted_code,
    )
    free = 0
    if judge is not None and offered:
        offered, free = await judge(client, reference, about.commit, offered)
    if len(offered) > 1 or free:
        best = choice.best(offered) if offered else None
        offered = [replace(each, recommended=each is best and each.verdict != "too big") for each in offered]
    layout = Layout(client.access.cache, reference)
    offered = await asyncio.to_thread(
        lambda: [replace(each, present=_present(layout, each)) for each in offered]
    )
    used = {file.path for each in offered for file in each.files}
    return HubFiles(
        id=reference.repository,
        revision=reference.revision,
        commit=about.commit,
        quantisations=tuple(offered),
        others=tuple(file for file in tree.files if file.path not in used),
        unsafe=tree.unsafe,
        gated=about.gated,
        free=free,
    )


async def plan(
    client: Client, reference: Reference, judge: Judge | None = None, *, always: bool = False
) -> Plan:
    """What a pull of `reference` fetches. Raises HearthError, also where there is nothing fit to be fetched.

    What would fit is judged only where the choice is ours, or `always`.
    """
    found = await offer(client, reference, judge if always or not reference.choice else None)
    every = [*found.others, *(file for each in found.quantisations for file in each.files)]
    chosen = choice.chosen(reference.repository, found.quantisations, reference.choice, every)
    named = chosen.name if chosen.format == "gguf" else ""
    return Plan(Reference(reference.repository, named, reference.revision), found, chosen)


async def told(client: Client, reference: Reference, judge: Judge | None = None) -> PullPlan:
    """The plan as callers of the engine see it. Raises HearthError."""
    found = await plan(client, reference, judge, always=True)
    layout = Layout(client.access.cache, found.reference)

    def look() -> tuple[int, int]:
        return missing(layout, found.chosen.files), disk_free(layout.cache)

    lacking, free = await asyncio.to_thread(look)
    return PullPlan(
        model=str(found.reference),
        commit=found.offer.commit,
        chosen=found.chosen,
        offered=found.offer.quantisations,
        unsafe=found.offer.unsafe,
        missing=lacking,
        disk_free=free,
    )


def disk_free(folder: Path) -> int:
    """Bytes that are free on the disk of `folder`, which need not exist."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    try:
        return shutil.disk_usage(folder).free
    except OSError:
        return 0


def missing(layout: Layout, files: Sequence[HubFile]) -> int:
    """Bytes that the disk must still take for `files`."""
    distinct = {file.etag: file for file in files}.values()
    return sum(
        max(0, file.size - left_behind(layout.blob(file))) for file in distinct if not layout.is_here(file)
    )


def _present(layout: Layout, each: Quantisation) -> int:
    return sum(file.size for file in each.files if layout.is_here(file))


async def _index(
    client: Client, repository: str, commit: str, files: Sequence[HubFile]
) -> Mapping[str, str] | None:
    """The folder's index of weights; None where there is none that can be read."""
    if not any(file.path == INDEX and file.size <= MOST_INDEX for file in files):
        return None
    url = addresses.file(client.access, repository, commit, INDEX)
    try:
        body, _ = await client.body(url, MOST_INDEX, repository=repository, path=INDEX)
        said = await asyncio.to_thread(msgspec.json.decode, body, type=dict[str, Any])
        return msgspec.convert(said.get("weight_map"), dict[str, str])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    except HearthError as error:
        if error.retryable:
            raise
        return None
