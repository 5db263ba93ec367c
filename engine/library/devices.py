"""The names of devices: what people may call them, which one a load asks for, and which a backend can use. Pure.

A device has its library's name (`CPU`, `CUDA1`, `Vulkan0`, `Metal`). People may write it in any case, with a colon as
PyTorch does (`cuda:1`), without the number for the first of its family, `gpu` for the first GPU, and `mps` or `metal`
for Apple's. Several have commas between them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from engine.errors import InvalidRequest
from engine.settings import show_size
from engine.text_safety import plain
from engine.types import Device, LoadOptions

AUTO: Final = "auto"
_CPU: Final = "cpu"
_GPUS: Final = ("gpu", "igpu")
DISK: Final = Device(name="DISK", kind="other")
"""In place of a device: layers are read from the model's files whenever they are computed."""
_APPLE: Final = ("metal", "mtl", "mps")
"""What Apple's GPU is called by MLX, llama.cpp and PyTorch."""


def canonical(name: str | None) -> str | None:
    """One spelling for all ways to write a device's name; None: whichever there is."""
    if name is None:
        return None
    if "," in name:
        return ",".join(canonical(part) or AUTO for part in name.split(","))
    short = re.sub(r"[\s:_-]", "", name.lower())
    if re.sub(r"\d+$", "", short) in _APPLE:
        return "metal"
    if short in ("", AUTO):
        return None
    return short if short in (_CPU, "gpu", "disk") or short[-1].isdigit() else f"{short}0"


def on_cpu(options: LoadOptions) -> bool:
    """Whether no layer is to be on a GPU."""
    return options.gpu_layers == 0 or canonical(options.device) == _CPU


def gpu_layers(options: LoadOptions) -> int | None:
    """How many layers are to be on a GPU; None: as many as fit."""
    return 0 if on_cpu(options) else options.gpu_layers


def asked_of(devices: Sequence[Device], name: str | None) -> Device | None:
    """The one of `devices` that `name` means; None if it leaves the choice.

    Raises InvalidRequest with those that are there.
    """
    wanted = canonical(name)
    if wanted is None:
        return None
    for device in devices:
        is_gpu = device.kind in _GPUS
        if wanted == canonical(device.name) or (wanted == "gpu" and is_gpu):
            return device
        if wanted == _CPU and device.kind == "cpu":
            return device
    raise InvalidRequest(
        f"There is no device {plain(str(name), 40)!r} for this model here.",
        f"There are: {', '.join(described(device) for device in devices)}.",
        f"Use one of: {', '.join((AUTO, *(spoken(device) for device in devices)))}.",
        param="device",
    )


def asked_all(devices: Sequence[Device], names: str | None) -> tuple[Device, ...]:
    """Those that `names`, with commas between, mean, in that order; none if they leave the choice.

    The disk is one of them, where it is named. Raises InvalidRequest as `asked_of`, and for one that is named twice.
    """
    if names is None or "," not in names:
        one = asked_of(devices, names)
        return () if one is None else (one,)
    found: list[Device] = []
    for name in names.split(","):
        device = DISK if canonical(name) == "disk" else asked_of(devices, name)
        if device is None or device in found:
            raise InvalidRequest(
                f"`device` {plain(names, 80)!r} cannot be used.",
                "Of several devices each has a name of its own.",
                "Name each of them once.",
                param="device",
            )
        found.append(device)
    return tuple(found)


def left_by(devices: Sequence[Device], name: str | None) -> tuple[Device, ...]:
    """The devices that a load may use which asks for those called `name`: they, and the CPU. Raises as `asked_all`.

    GPUs come last, in the order in which they were named.
    """
    chosen = asked_all(devices, name)
    if not chosen:
        return tuple(devices)
    others = (device for device in devices if device.kind not in _GPUS)
    return (*others, *(device for device in chosen if device.kind in _GPUS))


def usable(devices: Sequence[Device], backend: str) -> tuple[Device, ...]:
    """Those of `devices` that `backend` can compute on."""
    return tuple(device for device in devices if not device.backends or backend in device.backends)


def spoken(device: Device) -> str:
    """The name of `device` as people write it: `cpu`, `cuda:1`, `metal`."""
    name = canonical(device.name) or device.name
    match = re.fullmatch(r"(\D+)(\d+)", name)
    return f"{match[1]}:{match[2]}" if match else name


def titled(device: Device) -> str:
    """Its name and what it is: `CUDA0 (NVIDIA H100 80GB HBM3)`."""
    what = plain(device.description, 80)
    return f"{device.name} ({what})" if what and what != device.name else device.name


def described(device: Device) -> str:
    """The same with its memory: `CUDA0 (NVIDIA H100 80GB HBM3, 78 GiB free of 79 GiB)`."""
    if not device.total:
        return titled(device)
    what = plain(device.description, 80)
    memory = f"{show_size(device.free)} free of {show_size(device.total)}"
    return f"{device.name} ({f'{what}, ' if what else ''}{memory})"
