"""What the library logs of its buffers while it loads: bytes by kind and device, of a real load and of a dry run.

The lines are those of llama.cpp's `load_tensors`, `llama_kv_cache`, `llama_memory_recurrent`, `llama_context` and
`sched_reserve`; sizes in them are MiB with two digits behind the point. In a dry run weights and KV cache are not
allocated and their buffers say 0, but the KV cache still says how large it is in all, and debug lines say where its
layers lie.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Final

from engine.library.shape import DryRun
from engine.types import Device, DeviceNeed

_MIB: Final = 2**20
# "load_tensors:   CPU_Mapped model buffer size =     0.31 MiB"; one line for each device and kind.
_BUFFER: Final = re.compile(r"(\S+)\s+(model|KV|RS|compute|output) buffer size\s*=\s*([\d.]+) MiB")
_KV_LAYER: Final = re.compile(r"llama_kv_cache: layer\s+\d+: dev = (\S+)")
_KV_TOTAL: Final = re.compile(r"llama_kv_cache: size =\s*([\d.]+) MiB \(")
_LAYER: Final = re.compile(r"load_tensors: layer\s+(\d+) assigned to device ([^\s,]+)")


def allocated(lines: Iterable[str], devices: Sequence[Device]) -> tuple[DeviceNeed, ...]:
    """Bytes by device of a real load, in the order of `devices`; `lines` are what the library logged during it."""
    found: dict[tuple[str, str], int] = {}
    for line in lines:
        if match := _BUFFER.search(line):
            key = device_of(match[1], devices), match[2]
            found[key] = found.get(key, 0) + _bytes(match[3])
    return tuple(
        DeviceNeed(
            device=device.name,
            kind=device.kind,
            weights=found.get((device.name, "model"), 0),
            kv_cache=found.get((device.name, "KV"), 0) + found.get((device.name, "RS"), 0),
            compute=found.get((device.name, "compute"), 0) + found.get((device.name, "output"), 0),
            free=device.free,
            capacity=device.total,
        )
        for device in devices
        if any(name == device.name for name, _ in found)
    )


def dry_run(lines: Iterable[str], devices: Sequence[Device]) -> DryRun:
    """What a dry run would have allocated; `lines` include debug lines."""
    kv_cache: dict[str, int] = {}
    compute: dict[str, int] = {}
    layers: dict[int, str] = {}
    cached: list[str] = []
    for line in lines:
        if match := _KV_LAYER.search(line):
            cached.append(match[1])
        elif match := _KV_TOTAL.search(line):
            for device in set(cached):
                share = cached.count(device) / len(cached)
                kv_cache[device] = kv_cache.get(device, 0) + round(_bytes(match[1]) * share)
            # Sliding-window models make two caches, each with layers of its own.
            cached = []
        elif match := _LAYER.search(line):
            layers[int(match[1])] = match[2]
        elif match := _BUFFER.search(line):
            device = device_of(match[1], devices)
            if match[2] == "RS":
                kv_cache[device] = kv_cache.get(device, 0) + _bytes(match[3])
            elif match[2] in ("compute", "output"):
                compute[device] = compute.get(device, 0) + _bytes(match[3])
    return DryRun(kv_cache=kv_cache, compute=compute, layers=tuple(layers[index] for index in sorted(layers)))


def rearranges(lines: Iterable[str]) -> bool:
    """Whether some weights go into a buffer type of the CPU's own order (CPU_REPACK, CPU_AARCH64, AMX, …)."""
    found = {match[1] for line in lines if (match := _BUFFER.search(line)) and match[2] == "model"}
    return any(name == "AMX" or (name.startswith("CPU_") and name != "CPU_Mapped") for name in found)


def device_of(buffer: str, devices: Sequence[Device]) -> str:
    """The device whose memory a buffer type is in: `CPU_Mapped`, `CPU_REPACK` and `CUDA_Host` are the CPU's."""
    if not buffer.endswith("_Host"):
        fitting = [device.name for device in devices if buffer.startswith(device.name)]
        if fitting:
            return max(fitting, key=len)
    return "CPU"


def _bytes(mib: str) -> int:
    return round(float(mib) * _MIB)
