"""The devices of this machine as each library sees them, for the processes that may wake one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from msgspec.structs import replace

from engine.errors import ModelLoadFailed
from engine.library.devices import canonical
from engine.runtime.backends import nvml
from engine.types import Device

_UNIFIED: Final = ("llama", "mlx", "transformers")


def all_devices() -> tuple[Device, ...]:
    """Those of llama.cpp and the GPUs that CUDA shows, each with the backends that can use it."""
    from engine.runtime.backends.llama import library

    try:
        own: Sequence[Device] = library.devices()
    except ModelLoadFailed:
        own = [processor()]
    return joined(own, nvml.cuda_devices())


def joined(own: Sequence[Device], cuda: Sequence[Device]) -> tuple[Device, ...]:
    """`own` devices of llama.cpp, and those of CUDA, which PyTorch uses whatever llama.cpp was built for. Pure."""
    shown = {device.name for device in cuda}

    def users(device: Device) -> tuple[str, ...]:
        if device.kind not in ("gpu", "igpu"):
            return ()
        if canonical(device.name) == "metal":
            return _UNIFIED
        return ("llama", "transformers") if device.name in shown else ("llama",)

    known = {device.name for device in own}
    return (
        *(replace(device, backends=users(device)) for device in own),
        *(replace(device, backends=("transformers",)) for device in cuda if device.name not in known),
    )


def processor(description: str = "") -> Device:
    """The CPU with main memory."""
    import psutil

    memory = psutil.virtual_memory()
    return Device(name="CPU", description=description, free=int(memory.available), total=int(memory.total))


def torch_devices() -> list[Device]:
    """Those of this PyTorch, its first choice first. No GPU is woken to be asked what it has free."""
    import torch

    found: list[Device] = []
    if torch.cuda.is_available():
        family = "ROCm" if torch.version.hip else "CUDA"
        free = {device.name: device.free for device in nvml.cuda_devices()}
        for index in range(torch.cuda.device_count()):
            facts = torch.cuda.get_device_properties(index)
            name, total = f"{family}{index}", int(facts.total_memory)
            found.append(
                Device(name=name, description=facts.name, kind="gpu", free=free.get(name, total), total=total)
            )
    if torch.backends.mps.is_available():
        memory = processor()
        found.append(
            Device(name="MPS", description="Apple GPU", kind="gpu", free=memory.free, total=memory.total)
        )
    return [*found, processor()]


def mlx_devices() -> list[Device]:
    """Those of this MLX, its first choice first."""
    import mlx.core as mx

    cpu = processor(str(mx.device_info(mx.cpu).get("device_name", "")))
    found: list[Device] = []
    if mx.metal.is_available() or mx.default_device() == mx.gpu:
        facts = mx.device_info(mx.gpu)
        name = "Metal" if mx.metal.is_available() else "CUDA0"
        total = int(facts.get("memory_size", facts.get("total_memory", 0)))
        found.append(
            Device(
                name=name,
                description=str(facts.get("device_name", "")),
                kind="gpu",
                free=min(cpu.free, total),
                total=total,
            )
        )
    return [*found, cpu]
