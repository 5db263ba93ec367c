"""What is kept of readings, and how points from the store and of the last minutes make one line. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from engine.types.hardware import GpuPoint, Hardware, HardwarePoint


def point_of(reading: Hardware) -> HardwarePoint:
    """The figures of a reading that are worth keeping."""
    return HardwarePoint(
        t_unix=reading.t_unix,
        cpu=reading.cpu.busy,
        load=reading.cpu.load[0] if reading.cpu.load is not None else None,
        temperature=reading.cpu.temperature,
        power=reading.power if reading.power is not None else reading.cpu.power,
        memory_used=reading.memory.used,
        memory_total=reading.memory.total,
        swap_used=reading.memory.swap_used,
        models=len(reading.models),
        resident=sum(model.resident for model in reading.models),
        decode_rate=reading.decode_rate,
        prefill_rate=reading.prefill_rate,
        gpus=tuple(
            GpuPoint(
                device=f"{gpu.vendor}{gpu.index}",
                name=gpu.name,
                busy=gpu.busy,
                memory_used=gpu.memory_used,
                memory_total=gpu.memory_total,
                temperature=gpu.temperature,
                power=gpu.power,
            )
            for gpu in reading.gpus
        ),
    )


def joined(stored: Sequence[HardwarePoint], fine: Sequence[HardwarePoint]) -> list[HardwarePoint]:
    """Both, oldest first: where fine points begin, the stored ones end."""
    start = fine[0].t_unix if fine else float("inf")
    return [*(point for point in stored if point.t_unix < start), *fine]
