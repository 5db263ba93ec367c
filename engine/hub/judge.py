"""What each form of a model would need in memory, before it is pulled, and whether that fits.

The first half megabyte of a GGUF file has the model's sizes; of a folder the configuration has them. Weights are as
large as their files. The arithmetic is that of `library.fit` and `library.folder_fit`, without a dry run: for the
buffers of the library a rule of thumb stands in.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec.structs import replace

from engine.errors import HearthError, InvalidRequest
from engine.hub import addresses
from engine.hub.client import Client
from engine.hub.reference import Reference
from engine.hub.source import NoRanges, Source
from engine.library import fit, folder_fit, pools
from engine.library.devices import gpu_layers, left_by, usable
from engine.library.dimensions import MOST_LAYERS, dimensions_of
from engine.library.gguf import Header, Tensor, read_beginning
from engine.library.load_options import meant_for
from engine.library.model_folder import CONFIG, ModelFolder, Weight
from engine.library.shape import context_shape
from engine.library.verdicts import verdict
from engine.types import Device, HubFile, LoadOptions, Quantisation, Verdict

BEGINNING: Final = 512 << 10
LEAST_CONTEXT: Final = 2048
"""A model that fits with this context only, and not with the one it would get, is tight."""
MOST_CONFIG: Final = 8 << 20
Memory = Callable[[], Awaitable[tuple[Sequence[Device], Mapping[str, int]]]]
"""The devices there are, and the bytes by pool that models may take."""


class Judge:
    """See `plan.Judge`. `options` tells those that a model would now be loaded with where nobody says others."""

    def __init__(self, memory: Memory, options: Callable[[], LoadOptions]) -> None:
        self._memory, self._options = memory, options
        self._beginnings: dict[str, Header | None] = {}

    async def __call__(
        self, client: Client, reference: Reference, commit: str, offered: Sequence[Quantisation]
    ) -> tuple[Sequence[Quantisation], int]:
        """`offered` with need and verdict as far as they can be told, and the memory that models may take.

        Raises HearthError where the memory cannot be told; a hub that does not answer only leaves verdicts open.
        """
        devices, free = await self._memory()
        usual = self._options()
        header: Header | None = None
        ggufs = [each for each in offered if each.format == "gguf"]
        if ggufs:
            header = await self._beginning(client, reference.repository, commit, ggufs[0].files[0])
        config: Mapping[str, Any] | None = None
        if len(ggufs) < len(offered):
            config = await _config(client, reference.repository, commit)

        def work() -> list[Quantisation]:
            return [_judged(each, header, config, devices, free, usual) for each in offered]

        return await asyncio.to_thread(work), sum(free.values())

    async def _beginning(self, client: Client, repository: str, commit: str, file: HubFile) -> Header | None:
        if file.etag not in self._beginnings:
            data = bytearray()
            try:
                source = Source(client, repository, commit, file)
                async with source.range(0, min(BEGINNING, file.size)) as chunks:
                    async for chunk in chunks:
                        data += chunk
            except (HearthError, NoRanges):
                return None
            self._beginnings[file.etag] = await asyncio.to_thread(read_beginning, bytes(data), file.size)
        return self._beginnings[file.etag]


def _judged(
    each: Quantisation,
    header: Header | None,
    config: Mapping[str, Any] | None,
    devices: Sequence[Device],
    free: Mapping[str, int],
    asked: LoadOptions,
) -> Quantisation:
    def demand(options: LoadOptions) -> dict[str, int] | None:
        if each.format == "gguf":
            return gguf_demand(each, header, devices, options) if header is not None else None
        # A device that is not there is for the load to refuse.
        with contextlib.suppress(InvalidRequest):
            return folder_demand(each, config, devices, options) if config is not None else None
        return None

    usual = demand(asked)
    if usual is None:
        return each
    found: Verdict = verdict(usual, free)
    on_cpu = replace(asked, gpu_layers=0)
    small = LEAST_CONTEXT if asked.context is None else asked.context
    # Slower, or in a smaller window, than somebody would want: as `runtime.fits` says it of what is here.
    for options in (on_cpu, replace(on_cpu, context=small)) if found == "too big" else ():
        wanted = demand(options)
        if wanted is not None and not pools.missing(wanted, free):
            found = "tight"
            break
    return replace(each, need=sum(usual.values()), verdict=found)


def gguf_demand(
    each: Quantisation, header: Header, devices: Sequence[Device], options: LoadOptions
) -> dict[str, int] | None:
    """Bytes by pool for a quantisation whose sizes `header` has; None if it does not have them."""
    layers = header.number(f"{header.architecture}.block_count")
    if not 0 < layers <= MOST_LAYERS:
        return None
    dimensions = dimensions_of(header)
    projector = sum(file.size for file in each.files if "mmproj" in file.path.lower())
    share = (each.weights - projector) // (layers + 1)
    # Weights are spread evenly over the layers, one share for the embeddings and the output together.
    tensors = [Tensor("output.weight", (share,), "I8", 0, share)]
    tensors += [Tensor(f"blk.{layer}.weights", (share,), "I8", 0, share) for layer in range(layers)]
    with contextlib.suppress(InvalidRequest):
        devices = left_by(usable(devices, "llama"), options.device)
    need = fit.needs(
        [replace(header, tensors=tuple(tensors))],
        dimensions,
        context_shape(options, dimensions.context),
        devices,
        kv_type=options.kv_type,
        flash_attention=options.flash_attention,
        gpu_layers=gpu_layers(options),
        split=options.split,
    )
    found = pools.demand(need, fit.resident_bytes(need, dimensions))
    found[pools.MAIN] += projector
    return found


def folder_demand(
    each: Quantisation, config: Mapping[str, Any], devices: Sequence[Device], options: LoadOptions
) -> dict[str, int] | None:
    """Bytes by pool for a model folder of that configuration; None for one that no model has."""
    said = config.get("torch_dtype") or config.get("dtype")
    kind, width = ("F32", 4) if said == "float32" else ("BF16", 2)
    folder = ModelFolder(
        path=Path(each.name),
        config=config,
        files=(),
        weights=(Weight("weights", kind, (each.weights // width,)),),
    )
    if max(folder.number("num_hidden_layers"), folder.number("n_layer")) > MOST_LAYERS:
        return None
    backend = "mlx" if each.format == "mlx" else "transformers"
    options = meant_for(backend, options)
    devices = usable(devices, backend)
    need = folder_fit.needs(folder, context_shape(options, folder.context), devices, options, backend=backend)
    return pools.demand(need, folder_fit.resident_bytes(need, backend))


async def _config(client: Client, repository: str, commit: str) -> Mapping[str, Any] | None:
    url = addresses.file(client.access, repository, commit, CONFIG)
    try:
        body, _ = await client.body(url, MOST_CONFIG, repository=repository, path=CONFIG)
        return await asyncio.to_thread(msgspec.json.decode, body, type=dict[str, Any])
    except (HearthError, msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
