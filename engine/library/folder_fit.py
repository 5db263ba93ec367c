"""What a model folder needs in memory under transformers or MLX. Arithmetic over its headers; no dry run exists there.

Weights are counted tensor by tensor in the type they will be held in. Keys and values are two rows for each KV head and
token. Buffers follow a rule of thumb: torch frees and takes them anew with each step.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Final

from engine.errors import InvalidRequest
from engine.library.devices import DISK, left_by, on_cpu
from engine.library.folder_split import Placement, Sizes, may_be_spread, placement
from engine.library.model_folder import FLOATS, WIDTHS, ModelFolder, Weight
from engine.library.shape import ContextShape
from engine.media.header import MAX_SIDE
from engine.types import Device, DeviceNeed, LoadOptions

PROCESS: Final = {"transformers": 340 * 2**20, "mlx": 100 * 2**20}
"""Resident set of a worker with the libraries of a backend, before it has a model; one of MLX is without torch."""
_WIDTH_OF: Final = {
    **dict.fromkeys(("float32", "f32", "fp32"), 4),
    **dict.fromkeys(("float16", "f16", "fp16", "half", "bfloat16", "bf16"), 2),
}
_KV_BITS: Final = {"q8_0": 8, "q4_0": 4}
MLX_BUFFERS: Final = 3
"""Over the rule of thumb: MLX keeps freed buffers for the next step, and takes them again only for such as fit."""
MLX_GROUP: Final = 64
"""Numbers that share a scale where MLX quantises weights while it loads."""
_CPU: Final = "CPU"
_HIDDEN: Final = ("embed_dim", "hidden_size")
_INNER: Final = ("intermediate_size",)
_PATCH: Final = ("patch_size",)
_ANY_SIZE: Final = frozenset({"idefics3", "smolvlm", "internvl", "mistral3", "glm4v", "glm4v_moe"})
"""Model types that say an `image_size` and take pictures in tiles of it, or of any size."""


def needs(
    folder: ModelFolder,
    shape: ContextShape,
    devices: Sequence[Device],
    options: LoadOptions,
    *,
    backend: str = "transformers",
) -> tuple[DeviceNeed, ...]:
    """What the model needs on each device that it would be on, the one that it enters first.

    Raises as `placed`.
    """
    plan = placed(folder, shape, devices, options) if backend == "transformers" else None
    device = device_for(devices, options, plan)
    width = _width(folder, options, device) if backend == "transformers" else 0
    number = width or _float_width(folder)
    sees = folder.sees and backend == "transformers"
    cache = kv_bytes(folder, number, options.kv_type) * shape.cells
    buffers = (MLX_BUFFERS if backend == "mlx" else 1) * _compute(folder, shape)
    picture = _picture(folder, number) if sees else 0
    if plan is None:
        weights = _weights(folder, options, width, mlx=backend == "mlx")
        return (_need(device, weights, cache, buffers + picture),)
    layers, rest = _by_layer(folder, options, width)
    held = [each.name for each in (device, *devices) if each.kind == "cpu" and each.name != plan.main]
    kept = (*held, DISK.name)
    found = []
    for each in dict.fromkeys((device, *devices)):
        is_main = each.name == plan.main
        own = [layer for layer, name in enumerate(plan.layers) if name == each.name]
        computed = sum(plan.computes(layer, kept) == each.name for layer in range(len(layers)))
        weights = sum(layers[layer] for layer in own) + (rest if is_main else 0)
        if not (own or computed or is_main):
            continue
        taken = buffers if computed or is_main else 0
        if is_main and set(plan.layers) & set(kept):
            # A layer that is held elsewhere is copied here to be computed.
            taken += max(layers)
        share = cache * computed // len(layers)
        found.append(_need(each, weights, share, taken + (picture if is_main else 0)))
    return tuple(found)


def placed(
    folder: ModelFolder, shape: ContextShape, devices: Sequence[Device], options: LoadOptions
) -> Placement | None:
    """Where each layer goes under transformers; None where all are on the device that `device_for` tells.

    Raises InvalidRequest or Unsupported for what cannot be spread so.
    """
    if not may_be_spread(devices, options):
        return None
    width = _width(folder, options, device_for(devices, options))
    layers, rest = _by_layer(folder, options, width)
    if not layers:
        return None
    number = width or _float_width(folder)
    sizes = Sizes(
        layers=layers,
        cache=kv_bytes(folder, number, options.kv_type) * shape.cells // len(layers),
        rest=rest + (_picture(folder, number) if folder.sees else 0),
        buffers=_compute(folder, shape),
    )
    return placement(sizes, devices, options)


def _need(device: Device, weights: int, cache: int, compute: int) -> DeviceNeed:
    return DeviceNeed(
        device=device.name, kind=device.kind, weights=weights, kv_cache=cache, compute=compute,
        free=device.free, capacity=device.total,
    )  # fmt: skip


def _width(folder: ModelFolder, options: LoadOptions, device: Device) -> int:
    """Bytes of a number as transformers holds the weights on `device`; 0: as the files have them."""
    width = _WIDTH_OF.get(options.dtype or "", 0)
    if not width and device.kind in ("cpu", "accelerator") and folder.quantisation == "F16":
        return 4
    return width


def device_for(devices: Sequence[Device], options: LoadOptions, plan: Placement | None = None) -> Device:
    """The one that `options` ask for, else the first GPU, unless it is not wanted; else the CPU.

    One that is not known is left to the library to refuse. With a `plan` it is the first that computes.
    """
    if plan is not None:
        return next((device for device in devices if device.name == plan.main), Device(name=plan.main))
    if not on_cpu(options):
        with suppress(InvalidRequest):
            devices = left_by(devices, options.device)
        if gpus := [device for device in devices if device.kind == "gpu"]:
            return gpus[0]
    return next((device for device in devices if device.kind == "cpu"), Device(name=_CPU))


def kv_bytes(folder: ModelFolder, width: int, kv_type: str | None = None) -> int:
    """Bytes of keys and values for one token, all layers: numbers of `width` bytes, or quantised as MLX does it.

    There a group of numbers has a scale and a bias of `width` bytes each.
    """
    size = _head_size(folder)
    if kv_type in _KV_BITS:
        group = 64 if size % 64 == 0 else 32
        return _kv_numbers(folder) * (_KV_BITS[kv_type] * group + 16 * width) // (8 * group)
    return _kv_numbers(folder) * width


def _kv_numbers(folder: ModelFolder) -> int:
    """Of one token: rows of all matrices that make keys and values, else by the configuration."""
    rows = sum(
        weight.shape[0]
        for weight in folder.weights
        if weight.is_text
        and weight.name.endswith((".k_proj.weight", ".v_proj.weight"))
        and len(weight.shape) == 2
        and weight.type in FLOATS
    )
    if rows:
        return rows
    layers = folder.number("num_hidden_layers") or folder.number("n_layer")
    kv_heads = folder.number("num_key_value_heads") or _heads(folder)
    return 2 * layers * kv_heads * _head_size(folder)


def _head_size(folder: ModelFolder) -> int:
    heads = _heads(folder)
    hidden = folder.number("hidden_size") or folder.number("n_embd")
    return folder.number("head_dim") or (hidden // heads if heads else 0)


def _heads(folder: ModelFolder) -> int:
    return folder.number("num_attention_heads") or folder.number("n_head")


def resident_bytes(need: Sequence[DeviceNeed], backend: str = "transformers") -> int:
    """The resident set that the worker will have."""
    return PROCESS[backend] + sum(each.total for each in need if each.kind in ("cpu", "accelerator"))


def _weights(folder: ModelFolder, options: LoadOptions, width: int, *, mlx: bool) -> int:
    return sum(_held(weight, options, width, mlx=mlx) for weight in folder.weights)


def _by_layer(folder: ModelFolder, options: LoadOptions, width: int) -> tuple[tuple[int, ...], int]:
    """Bytes of the weights of each layer of the language part under transformers, and of all others."""
    layers = [0] * (folder.number("num_hidden_layers") or folder.number("n_layer"))
    rest = 0
    for weight in folder.weights:
        size = _held(weight, options, width, mlx=False)
        number = weight.layer
        if number is not None and number < len(layers):
            layers[number] += size
        else:
            rest += size
    if layers and not any(layers):
        # Where names do not tell them, nearly all is in layers, and these are alike.
        return (rest // len(layers),) * len(layers), 0
    return tuple(layers), rest


def _held(weight: Weight, options: LoadOptions, width: int, *, mlx: bool) -> int:
    """Bytes that a tensor takes once it is loaded."""
    bits = 4 if options.load_in_4bit else 8 if options.load_in_8bit else 0
    own = width if width and weight.type in FLOATS else WIDTHS[weight.type]
    if bits and mlx and len(weight.shape) > 1 and weight.shape[-1] % MLX_GROUP == 0:
        # A scale and a bias for each group; embeddings too.
        return weight.numbers * bits // 8 + weight.numbers // MLX_GROUP * 2 * own
    if bits and not mlx and weight.is_text and len(weight.shape) == 2 and not _is_embedding(weight.name):
        # Embeddings, norms and towers stay as they are where bitsandbytes quantises matrices.
        return weight.numbers * bits // 8
    return weight.numbers * own


def _float_width(folder: ModelFolder) -> int:
    """Bytes of a number as keys and values have them: those of the weights' own floats."""
    totals: dict[str, int] = {}
    for weight in folder.weights:
        if weight.type in FLOATS:
            totals[weight.type] = totals.get(weight.type, 0) + weight.numbers
    return WIDTHS[max(totals, key=lambda kind: totals[kind])] if totals else 2


def _is_embedding(name: str) -> bool:
    return "embed" in name or "lm_head" in name or "wte" in name


def _compute(folder: ModelFolder, shape: ContextShape) -> int:
    """Activations of a full step in float32, and the logits twice: as computed, and as floats for the samplers."""
    hidden = folder.number("hidden_size") or folder.number("n_embd")
    inner = folder.number("intermediate_size") or 4 * hidden
    vocabulary = folder.number("vocab_size")
    return 4 * shape.batch * (6 * hidden + 2 * inner) + 8 * shape.outputs * vocabulary


def _picture(folder: ModelFolder, width: int) -> int:
    """Activations of the vision tower over one picture, in numbers of `width` bytes, and its pixels twice.

    A picture is one of `image_size` where nothing says that it is cut into tiles, else of the longest sides that are
    let through. The tower's attention keeps no table of all patches; some keep what all their layers say.
    """
    hidden, inner, patch = (_vision_number(folder, *names) for names in (_HIDDEN, _INNER, _PATCH))
    side = _vision_number(folder, "image_size")
    if not side or folder.architecture in _ANY_SIZE or "image_grid_pinpoints" in folder.config:
        side = max(side, MAX_SIDE)
    patches = (side // max(1, patch)) ** 2
    layers = _vision_number(folder, "num_hidden_layers") if "vision_feature_layer" in folder.config else 0
    return width * patches * ((layers + 9) * hidden + 3 * (inner or 4 * hidden)) + 2 * 4 * 3 * side**2


def _vision_number(folder: ModelFolder, *names: str) -> int:
    """The first of these counts that the configuration of the vision tower has; of a pair its larger number."""
    said = folder.config.get("vision_config")
    if not isinstance(said, Mapping):
        return 0
    for name in names:
        value = said.get(name)
        found = [each for each in (value if isinstance(value, list) else [value]) if isinstance(each, int)]
        if found and 0 < max(found) < 2**20:
            return max(found)
    return 0
