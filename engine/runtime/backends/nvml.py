"""The NVIDIA GPUs of this machine by the driver's own library, without waking one or importing PyTorch.

NVML numbers GPUs by their place on the bus. Workers are told to do so too (`CUDA_DEVICE_ORDER`), so that `CUDA1` is the
same card for everybody. Constants and structures are those of NVML's API reference.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Mapping, Sequence
from typing import Any, Final

from engine.types import Device

_LIBRARY: Final = "libnvidia-ml.so.1"
_DEVICE_FILE: Final = "/dev/nvidiactl"
_TEXT: Final = 96


class Memory(ctypes.Structure):
    """nvmlMemory_t, in bytes."""

    _fields_ = (("total", ctypes.c_ulonglong), ("free", ctypes.c_ulonglong), ("used", ctypes.c_ulonglong))


def has_driver() -> bool:
    """Whether NVIDIA's driver is there, at no cost."""
    return os.path.exists(_DEVICE_FILE)


def cuda_devices() -> list[Device]:
    """The GPUs that CUDA would show this process, by its names; none where there is no driver."""
    if not has_driver():
        return []
    try:
        return read(ctypes.CDLL(_LIBRARY), os.environ)
    except OSError:
        return []


def read(library: Any, environ: Mapping[str, str]) -> list[Device]:
    """The same from a loaded library; `CUDA_VISIBLE_DEVICES` of `environ` chooses and numbers them anew."""
    if library.nvmlInit_v2() != 0:
        return []
    try:
        count = ctypes.c_uint()
        if library.nvmlDeviceGetCount_v2(ctypes.byref(count)) != 0:
            return []
        found = [each for each in (_one(library, index) for index in range(count.value)) if each is not None]
    finally:
        library.nvmlShutdown()
    visible = _visible(environ.get("CUDA_VISIBLE_DEVICES"), [uuid for uuid, _, _ in found])
    return [
        Device(
            name=f"CUDA{number}", description=name, kind="gpu", free=int(memory.free), total=int(memory.total)
        )
        for number, (_, name, memory) in enumerate(found[place] for place in visible)
    ]


def _one(library: Any, index: int) -> tuple[str, str, Memory] | None:
    """Its UUID, name and memory; None for one that does not answer."""
    handle, memory = ctypes.c_void_p(), Memory()
    name, uuid = ctypes.create_string_buffer(_TEXT), ctypes.create_string_buffer(_TEXT)
    answers = (
        library.nvmlDeviceGetHandleByIndex_v2(ctypes.c_uint(index), ctypes.byref(handle)),
        library.nvmlDeviceGetName(handle, name, ctypes.c_uint(_TEXT)),
        library.nvmlDeviceGetUUID(handle, uuid, ctypes.c_uint(_TEXT)),
        library.nvmlDeviceGetMemoryInfo(handle, ctypes.byref(memory)),
    )
    if any(answers):
        return None
    return uuid.value.decode("utf-8", "replace"), name.value.decode("utf-8", "replace"), memory


def _visible(said: str | None, uuids: Sequence[str]) -> list[int]:
    """Places in `uuids` of those that CUDA shows: the list ends at the first that it does not know."""
    if said is None:
        return list(range(len(uuids)))
    found: list[int] = []
    for each in said.split(","):
        word = each.strip()
        if word.isdecimal():
            places = [int(word)] if int(word) < len(uuids) else []
        else:
            places = [place for place, uuid in enumerate(uuids) if word and uuid.startswith(word)]
        if len(places) != 1 or places[0] in found:
            break
        found += places
    return found
