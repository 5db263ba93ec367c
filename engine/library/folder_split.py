"""Which device each layer of a model folder goes to, where transformers is to use more than one. Arithmetic alone.

A layer that lies in main memory or on the disk while a GPU computes is copied to the first GPU for each pass; without a
GPU one that lies on the disk is read for each pass. All that is no layer (embeddings, output, eyes) is on the first
device that computes, and keys and values of a layer are where it is computed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from msgspec import Struct

from engine.errors import InvalidRequest, Unsupported
from engine.library.devices import DISK, asked_all, canonical, on_cpu
from engine.library.split import Split, check_count, parse_split
from engine.types import Device, LoadOptions

LEFT: Final = 0.9
"""Share of a device's free memory that is planned with where nobody says how much to take."""
_KEPT: Final = ("cpu", "other")
_WITHOUT_GPU: Final = "cpu,disk"


class Placement(Struct, frozen=True):
    """`layers`: the name of the device that holds each; `main` is the first that computes."""

    main: str
    layers: tuple[str, ...]

    def computes(self, layer: int, kept: Sequence[str]) -> str:
        """The device that computes a layer; those of the devices `kept` only hold what others compute."""
        return self.main if self.layers[layer] in kept else self.layers[layer]


class Sizes(Struct, frozen=True, kw_only=True):
    """Bytes: of each layer where it is held, and of its keys and values, which are where it is computed.

    `rest` is all that is no layer, `buffers` what each device takes that computes.
    """

    layers: tuple[int, ...]
    cache: int = 0
    """Of one layer."""
    rest: int = 0
    buffers: int = 0


def placement(sizes: Sizes, devices: Sequence[Device], options: LoadOptions) -> Placement | None:
    """Where each layer goes; None where one device has all of them, which `device_for` tells.

    Raises InvalidRequest for devices that are not there or a split that does not fit them, Unsupported for what cannot
    be spread.
    """
    split = parse_split(options.split) if options.split is not None else None
    if on_cpu(options) and canonical(options.device) != _WITHOUT_GPU:
        return None
    computing, kept, named = _places(devices, options)
    count = len(sizes.layers)
    on_gpu = count
    if options.gpu_layers is not None and options.gpu_layers >= 0 and computing[0].kind != "cpu":
        on_gpu = min(count, options.gpu_layers)
        if on_gpu < count and not kept:
            kept = (_cpu(devices),)
    if len(computing) == 1 and not kept:
        check_count(split, 1)
        return None
    if split is None and not named:
        computing = _fewest(sizes, computing, on_gpu)
    if on_gpu < count or not kept:
        # How many layers are on GPUs is said, or all are.
        check_count(split, len(computing))
        names = (
            *_spread(sizes, computing, split, on_gpu),
            *_filled(sizes.layers[on_gpu:], kept, [LEFT * each.free for each in kept], [0] * len(kept)),
        )
    else:
        places = (*computing, *kept)
        check_count(split, len(places))
        if split is not None and split.shares:
            names = _by_shares(places, split.shares, count)
        else:
            limits = split.sizes if split is not None else [LEFT * each.free for each in places]
            room = _room(sizes, limits, len(computing), kept=count)
            caches = [0, *[sizes.cache] * (len(computing) - 1), *[0] * len(kept)]
            names = _filled(sizes.layers, places, room, caches)
    main = computing[0].name
    if set(names) == {main}:
        return None
    if (options.load_in_4bit or options.load_in_8bit) and set(names) & {each.name for each in kept}:
        raise Unsupported(
            "Layers that are quantised while they are loaded cannot be kept beside a GPU.",
            "bitsandbytes computes them where they are held.",
            "Leave `load_in_4bit` and `load_in_8bit` out, or spread the model over GPUs alone.",
            param="load_in_4bit" if options.load_in_4bit else "load_in_8bit",
        )
    return Placement(main, names)


def may_be_spread(devices: Sequence[Device], options: LoadOptions) -> bool:
    """Whether `placement` has anything to decide, or to refuse."""
    several = "," in (options.device or "") or sum(device.kind == "gpu" for device in devices) > 1
    return several or options.split is not None or (options.gpu_layers or 0) > 0


def _places(
    devices: Sequence[Device], options: LoadOptions
) -> tuple[tuple[Device, ...], tuple[Device, ...], bool]:
    """Those that compute, those that only keep, and whether more than one was named."""
    said = asked_all(devices, options.device)
    if not said:
        gpus = tuple(device for device in devices if device.kind == "gpu")
        return gpus or (_cpu(devices),), (), False
    gpus = tuple(device for device in said if device.kind not in _KEPT)
    kept = tuple(device for device in said if device.kind in _KEPT)
    if said[: len(gpus)] != gpus:
        raise InvalidRequest(
            "A GPU cannot come after main memory or the disk.",
            f"`device` is {options.device}.",
            "Name the GPUs first, then cpu, then disk.",
            param="device",
        )
    if list(gpus) != sorted(gpus, key=_number):
        # PyTorch's dispatcher enters a model by the GPU of the lowest number.
        raise InvalidRequest(
            "GPUs are named in the order of their numbers.",
            f"`device` is {options.device}.",
            "Say with `split` which of them takes more.",
            param="device",
        )
    if gpus:
        return gpus, kept, len(said) > 1
    if kept[0].name == DISK.name:
        raise InvalidRequest(
            "The disk computes nothing.", "`device` names it first.", "Name cpu,disk.", param="device"
        )
    return kept[:1], kept[1:], len(said) > 1


def _number(device: Device) -> int:
    return int("".join(filter(str.isdecimal, device.name)) or 0)


def _cpu(devices: Sequence[Device]) -> Device:
    return next((device for device in devices if device.kind == "cpu"), Device(name="CPU"))


def _fewest(sizes: Sizes, gpus: tuple[Device, ...], layers: int) -> tuple[Device, ...]:
    """The first of `gpus` that have room for so many layers together: each one more costs time in every pass."""
    whole = sum(sizes.layers[:layers]) + len(sizes.layers) * sizes.cache + sizes.rest
    if layers < len(sizes.layers):
        whole += max(sizes.layers)
    for count in range(1, len(gpus) + 1):
        if sum(LEFT * gpu.free - sizes.buffers for gpu in gpus[:count]) >= whole:
            return gpus[:count]
    return gpus


def _spread(sizes: Sizes, computing: Sequence[Device], split: Split | None, count: int) -> tuple[str, ...]:
    """The names of the devices of the first `count` layers, all of which compute."""
    if split is not None and split.shares:
        return _by_shares(computing, split.shares, count)
    if split is not None:
        room = _room(sizes, split.sizes, len(computing))
        return _filled(sizes.layers[:count], computing, room, [sizes.cache] * len(computing))
    room = [max(0.0, each) for each in _room(sizes, [LEFT * each.free for each in computing], len(computing))]
    return _by_shares(computing, room if sum(room) else [1.0] * len(room), count)


def _room(sizes: Sizes, limits: Sequence[float], computing: int, *, kept: int = 0) -> list[float]:
    """What is left for layers of `limits`, of which the first are of devices that compute.

    The first of all computes what others keep, of up to `kept` layers: their caches, and one of them at a time.
    """
    room = [limit - (sizes.buffers if place < computing else 0) for place, limit in enumerate(limits)]
    room[0] -= sizes.rest + (max(sizes.layers) + kept * sizes.cache if kept else 0)
    return room


def _filled(
    layers: Sequence[int], places: Sequence[Device], room: Sequence[float], caches: Sequence[int]
) -> tuple[str, ...]:
    """One place after the other, as far as its `room` goes; the last takes what is left.

    `caches`: what each takes for a layer beside its weights.
    """
    left, place, names = list(room), 0, []
    for layer in layers:
        while place + 1 < len(places) and left[place] < layer + caches[place]:
            place += 1
        left[place] -= layer + caches[place]
        names.append(places[place].name)
    return tuple(names)


def _by_shares(places: Sequence[Device], shares: Sequence[float], count: int) -> tuple[str, ...]:
    """Layers in proportion to `shares`, in order."""
    total, names, place, reached = sum(shares), [], 0, shares[0]
    for layer in range(count):
        while place + 1 < len(places) and (layer + 0.5) * total / count > reached:
            place += 1
            reached += shares[place]
        names.append(places[place].name)
    return tuple(names)
