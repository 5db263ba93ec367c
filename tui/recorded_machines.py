"""Machines that the recorded engine reads: a desktop without a GPU, a workstation with two, a Mac. Always the same."""

from __future__ import annotations

import math
from collections.abc import Sequence

from msgspec.structs import replace

from engine.types import (
    CpuReading,
    DiskReading,
    GpuReading,
    Hardware,
    HardwarePoint,
    LoadedModel,
    MemoryReading,
    ModelReading,
    SourceNote,
)

GIB = 2**30
NOW = 1_763_700_000.0


def at_work(models: Sequence[LoadedModel]) -> tuple[LoadedModel, ...]:
    """`models`, the first of them answering somebody."""
    return tuple(
        replace(model, state="busy", active=1) if not place else model for place, model in enumerate(models)
    )


def desktop(models: tuple[LoadedModel, ...] = ()) -> Hardware:
    """Four cores, 16 GiB, no GPU that anybody reads."""
    return Hardware(
        t_unix=NOW,
        system="Linux 6.12.9 x86_64",
        cpu=CpuReading(
            name="Intel(R) Core(TM) i5-8350U CPU @ 1.70GHz",
            cores=(0.72, 0.31, 0.0, 0.96),
            load=(2.14, 1.62, 0.98),
            clock=3312.0,
            temperature=71.0,
        ),
        memory=MemoryReading(
            total=16 * GIB, available=int(6.8 * GIB), swap_total=4 * GIB, swap_used=int(0.4 * GIB)
        ),
        disks=(
            DiskReading(
                path="/home/ada/.local/share/hearth",
                holds=("models", "cache", "state"),
                total=480 * GIB,
                free=61 * GIB,
            ),
        ),
        models=_readings(models),
    )


def workstation(models: tuple[LoadedModel, ...] = ()) -> Hardware:
    """32 cores and two cards, one of them hot and full."""
    return Hardware(
        t_unix=NOW,
        system="Linux 6.12.9 x86_64",
        cpu=CpuReading(
            name="AMD Ryzen Threadripper PRO 5955WX 16-Cores",
            cores=tuple(abs(math.sin(core * 1.7)) ** 3 for core in range(32)),
            load=(7.31, 6.12, 5.5),
            clock=4012.0,
            temperature=62.0,
            power=143.0,
        ),
        memory=MemoryReading(
            total=128 * GIB, available=87 * GIB, swap_total=8 * GIB, swap_used=int(0.2 * GIB)
        ),
        disks=(
            DiskReading(path="/srv/models", holds=("models",), total=3600 * GIB, free=211 * GIB),
            DiskReading(path="/home/ada", holds=("cache", "state"), total=900 * GIB, free=402 * GIB),
        ),
        gpus=(
            GpuReading(
                index=0,
                vendor="nvidia",
                name="NVIDIA GeForce RTX 4090",
                busy=0.97,
                memory_total=24 * GIB,
                memory_used=int(23.1 * GIB),
                temperature=83.0,
                power=412.0,
                power_limit=450.0,
                clock=2610.0,
                clock_most=3105.0,
                memory_clock=10501.0,
                processes={4242: int(21 * GIB)},
            ),
            GpuReading(
                index=1,
                vendor="nvidia",
                name="NVIDIA GeForce RTX 3090",
                busy=0.22,
                memory_total=24 * GIB,
                memory_used=int(9.4 * GIB),
                temperature=47.0,
                power=131.0,
                power_limit=350.0,
                clock=1395.0,
                clock_most=2100.0,
            ),
        ),
        models=_readings(models),
    )


def mac(models: tuple[LoadedModel, ...] = ()) -> Hardware:
    """Unified memory, and no macmon to read the GPU with."""
    return Hardware(
        t_unix=NOW,
        system="macOS 15.3 arm64",
        cpu=CpuReading(
            name="Apple M3 Pro",
            cores=(0.4, 0.35, 0.2, 0.15, 0.1, 0.1, 0.7, 0.6, 0.5, 0.4, 0.3),
            load=(3.2, 2.9, 2.5),
        ),
        memory=MemoryReading(total=36 * GIB, available=14 * GIB, swap_total=2 * GIB, swap_used=GIB),
        disks=(
            DiskReading(
                path="/Users/ada", holds=("models", "cache", "state"), total=900 * GIB, free=120 * GIB
            ),
        ),
        gpus=(GpuReading(index=0, vendor="apple", name="Apple M3 Pro", unified=True, memory_total=24 * GIB),),
        models=_readings(models),
        notes=(
            SourceNote(
                source="macmon",
                what="GPU use, temperatures and power are not read.",
                fix="Install macmon: brew install macmon",
            ),
        ),
    )


def points_before(now: Hardware, seconds: int = 900) -> list[HardwarePoint]:
    """A second-by-second history that ends in `now`, with answers coming and going."""
    last = now.point
    found = []
    for ago in range(seconds, -1, -1):
        wave = 0.5 + 0.5 * math.sin(ago / 23.0) * math.cos(ago / 71.0)
        busy = 1.0 if ago < 20 or int(ago / 37) % 3 == 0 else 0.15
        share = 1.0 if not ago else busy * (0.55 + 0.45 * wave)
        found.append(
            HardwarePoint(
                t_unix=now.t_unix - ago,
                cpu=min(1.0, last.cpu * (0.4 + 0.9 * share)),
                load=last.load,
                temperature=last.temperature and last.temperature - 14 * (1 - share),
                power=last.power and last.power * (0.4 + 0.6 * share),
                memory_used=int(last.memory_used * (0.82 + 0.18 * (share if ago < 400 else 0.3))),
                memory_total=last.memory_total,
                swap_used=last.swap_used,
                models=last.models,
                resident=last.resident,
                decode_rate=last.decode_rate * share if busy == 1.0 else 0.0,
                prefill_rate=last.prefill_rate or (210.0 * wave if ago % 37 < 4 else 0.0),
                gpus=tuple(
                    type(gpu)(
                        device=gpu.device,
                        name=gpu.name,
                        busy=gpu.busy and min(1.0, gpu.busy * share),
                        memory_used=gpu.memory_used and int(gpu.memory_used * (0.9 + 0.1 * share)),
                        memory_total=gpu.memory_total,
                        temperature=gpu.temperature and gpu.temperature - 20 * (1 - share),
                        power=gpu.power and gpu.power * (0.35 + 0.65 * share),
                    )
                    for gpu in last.gpus
                ),
            )
        )
    return found


def _readings(models: tuple[LoadedModel, ...]) -> tuple[ModelReading, ...]:
    """The first writes, the others wait for something to do."""
    return tuple(
        ModelReading(
            model=model,
            resident=model.memory.resident or 5 * GIB,
            gpu_memory=0 if place else int(21 * GIB),
            cpu=0.0 if place else 1.9,
            decode_rate=0.0 if place else 92.4,
            leaves_s=None if model.pinned or not place else 184.0,
        )
        for place, model in enumerate(models)
    )
