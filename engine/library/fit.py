"""What a GGUF model needs in memory, device by device, and whether that fits. Pure arithmetic over a header.

Weights are counted by their tensors, exactly. The KV cache and running states follow llama.cpp's formulas
(`dimensions`, `shape`). Compute and output buffers come from a dry run of the library where there is one; else a
rule of thumb stands in for them, which the tests hold against dry runs. A dry run, where there is one, also has the
last word on the KV cache.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final

from engine.library.dimensions import Dimensions, Layer
from engine.library.ggml import BLOCKS
from engine.library.gguf import Header, Tensor
from engine.library.shape import ContextShape, DryRun, Matrix, sequence_ids
from engine.library.split import check_count, parse_split
from engine.types import Device, DeviceNeed

PROCESS: Final = 34 * 2**20
"""Resident set of a worker before it has a model: the interpreter, llama.cpp, what is imported to serve requests."""
PER_TOKEN: Final = 330
"""Bytes that a vocabulary entry costs the process: its text twice, score, kind, its part of the merges."""
_CPU: Final = "CPU"
_BLOCK: Final = re.compile(r"blk\.(\d+)\.")
# First into memory before any layer; everything else without a layer comes after the last one.
_INPUTS: Final = ("token_embd", "token_types", "position_embd", "per_layer_token_embd")
_SIZES: Final = {name.lower(): (block, width) for name, block, width in BLOCKS.values()}


def matrices(headers: Sequence[Header]) -> tuple[Matrix, ...]:
    """Every kind of matrix among the weights, once."""
    found = {Matrix(each.type, each.shape): None for header in headers for each in header.tensors}
    return tuple(matrix for matrix in found if len(matrix.shape) > 1)


def needs(
    headers: Sequence[Header],
    dimensions: Dimensions,
    shape: ContextShape,
    devices: Sequence[Device],
    *,
    kv_type: str | None = None,
    flash_attention: bool | None = None,
    gpu_layers: int | None = None,
    split: str | None = None,
    mapped: bool = True,
    dry_run: DryRun | None = None,
    weights: Mapping[str, int] | None = None,
) -> tuple[DeviceNeed, ...]:
    """What a model (the headers of all its parts) needs on each of `devices` that it would touch, the CPU first.

    `mapped`: the file is mapped into memory, so that weights which are copied besides count twice. `weights` are those
    of `weights_on`, for who has asked before.
    """
    places = dry_run.layers if dry_run is not None else ()
    if len(places) != len(dimensions.layers) + 1:
        places = placed(len(dimensions.layers), devices, gpu_layers, split)
    if weights is None or dry_run is not None:
        weights = _weights(headers, places, dry_run.rearranged if dry_run is not None else (), mapped=mapped)
    if dry_run is not None:
        kv_cache, compute = dry_run.kv_cache, dry_run.compute
    else:
        kv_cache = _kv_cache(dimensions, shape, kv_type, places)
        compute = _compute(dimensions, shape, places, flash_attention=flash_attention is not False)
    found = []
    for device in _cpu_first(devices):
        parts = [part.get(device.name, 0) for part in (weights, kv_cache, compute)]
        if any(parts) or device.kind == "cpu":
            found.append(
                DeviceNeed(
                    device=device.name,
                    kind=device.kind,
                    weights=parts[0],
                    kv_cache=parts[1],
                    compute=parts[2],
                    free=device.free,
                    capacity=device.total,
                )
            )
    return tuple(found)


def weights_on(
    headers: Sequence[Header],
    dimensions: Dimensions,
    devices: Sequence[Device],
    *,
    gpu_layers: int | None = None,
    split: str | None = None,
    mapped: bool = True,
) -> dict[str, int]:
    """Bytes of a model's weights by device, whatever its window."""
    return _weights(headers, placed(len(dimensions.layers), devices, gpu_layers, split), (), mapped=mapped)


def sequences_of(dimensions: Dimensions, shape: ContextShape) -> int:
    """How many sequence ids the context is opened for: slots, twins, shelves."""
    return sequence_ids(
        shape.slots,
        stateful=dimensions.stateful,
        slides=dimensions.slides,
        whole_window=shape.whole_window,
    ).sequences


def kv_bytes(layer: Layer, shape: ContextShape, sequences: int, kv_type: str | None) -> int:
    """Bytes of one layer's keys and values for all cells, and of its running states (always F32)."""
    block, width = _SIZES[kv_type or "f16"]
    rows = -(-layer.keys // block) + -(-layer.values // block)
    return rows * width * shape.sliding_cells(layer.window, sequences) + 4 * layer.state * sequences


def compute_bytes(dimensions: Dimensions, shape: ContextShape, *, flash_attention: bool) -> int:
    """A rule of thumb for the largest compute buffer: what one micro-batch holds at its fullest moment.

    Six rows of the model's width (of its inner width where it has running states) and two of the feed-forward's per
    token, or the logits of every output; an attention mask over the cells of each kind of layer; without flash
    attention also the scores of every head.
    """
    rows = shape.micro_batch
    hidden = 4 * rows * (2 * dimensions.feed_forward + 6 * max(dimensions.width, dimensions.inner))
    sequences = sequences_of(dimensions, shape)
    logits = 4 * max(shape.outputs, sequences) * dimensions.vocabulary
    # A mask for every kind of cache; without a cache a batch attends to itself.
    kinds = {layer.window for layer in dimensions.layers if layer.keys}
    cells = [shape.sliding_cells(window, sequences) for window in kinds]
    if not cells and not any(layer.state for layer in dimensions.layers):
        cells = [] if flash_attention else [rows]
    masks = rows * sum(cells) * (2 if flash_attention else 4)
    scores = 0 if flash_attention else 4 * dimensions.heads * rows * max(cells, default=0)
    return max(hidden, logits) + masks + scores


def placed(
    layers: int, devices: Sequence[Device], gpu_layers: int | None, split: str | None = None
) -> tuple[str, ...]:
    """The device of each layer and of the output, as llama.cpp deals them out.

    The last `gpu_layers` of them (all, for None and negative numbers) go to the GPUs, to each in proportion to its
    free memory or to what `split` says; integrated GPUs are used where there are no others. The rest stays on the
    CPU. Raises InvalidRequest for a split that is not for so many GPUs.
    """
    gpus = [device for device in devices if device.kind == "gpu"]
    gpus = gpus or [device for device in devices if device.kind == "igpu"][:1]
    count = layers + 1
    wanted = count if gpu_layers is None or gpu_layers < 0 else min(gpu_layers, count)
    said = parse_split(split) if split is not None else None
    check_count(said, len(gpus))
    if not gpus or not wanted:
        return (_CPU,) * count
    parts = said.shares if said is not None else [device.free for device in gpus]
    if not sum(parts):
        parts = [1] * len(gpus)
    shares = [part / sum(parts) for part in parts]
    bounds = [sum(shares[: index + 1]) for index in range(len(gpus))]
    found = [_CPU] * (count - wanted)
    for index in range(wanted):
        at = next((place for place, bound in enumerate(bounds) if index / wanted < bound), len(gpus) - 1)
        found.append(gpus[at].name)
    return tuple(found)


def resident_bytes(need: Sequence[DeviceNeed], dimensions: Dimensions) -> int:
    """The resident set that the worker will have: what it holds in main memory, and the process itself.

    Mapped weights count too: the loader reads all of them.
    """
    held = sum(each.total for each in need if each.kind in ("cpu", "accelerator"))
    return held + PROCESS + PER_TOKEN * dimensions.vocabulary


def _weights(
    headers: Sequence[Header], places: tuple[str, ...], rearranged: tuple[Matrix, ...], *, mapped: bool
) -> dict[str, int]:
    """Bytes of weights by device. Token embeddings are read on the CPU; as output weights too they are copied."""
    found: dict[str, int] = {}
    embeddings: Tensor | None = None
    has_output = False

    def count(device: str, tensor: Tensor, times: int) -> None:
        found[device] = found.get(device, 0) + times * tensor.size

    def copied(device: str, tensor: Tensor) -> bool:
        return device == _CPU and Matrix(tensor.type, tensor.shape) in rearranged

    for header in headers:
        for tensor in header.tensors:
            block = _BLOCK.match(tensor.name)
            if tensor.name == "token_embd.weight":
                embeddings = tensor
            has_output |= tensor.name == "output.weight"
            if not block and tensor.name.startswith(_INPUTS):
                count(_CPU, tensor, 1)
                continue
            device = places[min(int(block[1]), len(places) - 1)] if block else places[-1]
            count(device, tensor, 2 if mapped and copied(device, tensor) else 1)
    if embeddings is not None and not has_output and (places[-1] != _CPU or copied(_CPU, embeddings)):
        count(places[-1], embeddings, 1)
    return found


def _kv_cache(
    dimensions: Dimensions, shape: ContextShape, kv_type: str | None, places: tuple[str, ...]
) -> dict[str, int]:
    found: dict[str, int] = {}
    sequences = sequences_of(dimensions, shape)
    # Nearly all layers are alike.
    for (layer, device), count in Counter(zip(dimensions.layers, places, strict=False)).items():
        found[device] = found.get(device, 0) + count * kv_bytes(layer, shape, sequences, kv_type)
    return found


def _compute(
    dimensions: Dimensions, shape: ContextShape, places: tuple[str, ...], *, flash_attention: bool
) -> dict[str, int]:
    largest = compute_bytes(dimensions, shape, flash_attention=flash_attention)
    found = dict.fromkeys(places, largest)
    # Where all layers are elsewhere, the CPU still holds the inputs of a micro-batch and the outputs.
    found.setdefault(_CPU, 4 * shape.micro_batch * dimensions.width)
    found[_CPU] += 4 * max(shape.outputs, sequences_of(dimensions, shape)) * dimensions.vocabulary
    return found


def _cpu_first(devices: Sequence[Device]) -> list[Device]:
    return sorted(devices, key=lambda device: device.kind != "cpu") or [Device(name=_CPU)]
