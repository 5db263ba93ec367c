"""What is free on GPUs by their drivers, for devices that a library has told of before: asking it anew takes a process.

A library names devices by its own count. They are taken to be the driver's only where that cannot be mistaken: as many,
with the same names and sizes in the same order, and nothing that hides or reorders them. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from msgspec.structs import replace

from engine.types import Device
from engine.types.hardware import GpuReading

REORDERING: Final = (
    "CUDA_VISIBLE_DEVICES",
    "CUDA_DEVICE_ORDER",
    "HIP_VISIBLE_DEVICES",
    "ROCR_VISIBLE_DEVICES",
)
ALIKE: Final = 0.06
"""Part of a device's memory by which driver and library may differ: what the driver keeps for itself."""


def refreshed(
    devices: Sequence[Device], gpus: Sequence[GpuReading], environ: Mapping[str, str]
) -> tuple[Device, ...] | None:
    """`devices` with what is free on their GPUs now; None where the library has to be asked."""
    own = [device for device in devices if device.kind == "gpu"]
    if not own or len(own) != len(gpus) or any(environ.get(name) for name in REORDERING):
        return None
    free: dict[str, int] = {}
    for device, gpu in zip(own, gpus, strict=True):
        total, used = gpu.memory_total, gpu.memory_used
        if total is None or used is None or gpu.unified or not gpu.name or gpu.name not in device.description:
            return None
        if abs(total - device.total) > ALIKE * total:
            return None
        free[device.name] = min(device.total, total - used)
    return tuple(replace(device, free=free.get(device.name, device.free)) for device in devices)
