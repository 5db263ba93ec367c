"""Memory that ran out, as libraries put it, and the error for people: what was wanted, what there is, what helps."""

from __future__ import annotations

import re
from typing import Final

from engine.errors import InsufficientMemory
from engine.library.pools import MAIN
from engine.settings import show_size
from engine.text_safety import plain

_SIGNS: Final = ("allocat", "out of memory", "outofmemory", "insufficient memory", "alloc_failed")
"""What is in every such message of PyTorch (CPU, CUDA, MPS), MLX, Metal, cuBLAS and llama.cpp."""
_UNITS: Final = {"k": 2**10, "m": 2**20, "g": 2**30}
"""By the first letter of a unit: llama.cpp and older PyTorch write MB and GB, and count MiB and GiB."""
# "tried to allocate 512.00 MiB", "allocating 1024.00 MiB on device 0", "buffer of size 1073741824", "Unable to
# allocate 4294967296 bytes".
_WANTED: Final = re.compile(
    r"(?:allocat(?:e|ing)|buffer of size)\s+([\d.]+)\s*(bytes|[KMG]i?B)?", re.IGNORECASE
)
_ON_GPU: Final = re.compile(r"GPU (\d+) has a total capacity of \S+ \w+ of which ([\d.]+) ([KMG]i?B) is free")
_MPS: Final = re.compile(r"MPS allocated: ([\d.]+) ([KMG]i?B).*max allowed: ([\d.]+) ([KMG]i?B)")


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an allocation failed: libraries say so by types of their own, or only in words."""
    said = f"{type(error).__name__} {error}".lower()
    return isinstance(error, MemoryError) or any(sign in said for sign in _SIGNS)


def out_of_memory(model: str, reason: str, remedy: str) -> InsufficientMemory:
    """The error for an allocation that failed for `reason`, in the library's words."""
    wanted = _sizes(_WANTED.findall(reason))
    said = f"{plain(reason, 300).rstrip('.')}."
    if wanted:
        said = f"{show_size(max(wanted))} more were needed; {_free(reason)}. ({said})"
    else:
        said = f"{said} ({_free(reason)[0].upper()}{_free(reason)[1:]}.)"
    return InsufficientMemory(f"There is not enough memory for {model}.", said, remedy, param="model")


def _free(reason: str) -> str:
    """What there is where it was wanted: the message's own word for a GPU, else that of the system."""
    if found := _ON_GPU.search(reason):
        return f"{show_size(_size(found[2], found[3]))} of CUDA{found[1]} are free"
    if found := _MPS.search(reason):
        left = _size(found[3], found[4]) - _size(found[1], found[2])
        return f"{show_size(max(0, left))} of what PyTorch may take on MPS are free"
    import psutil

    return f"{show_size(int(psutil.virtual_memory().available))} of {MAIN} are free"


def _sizes(found: list[tuple[str, str]]) -> list[int]:
    return [_size(number, unit) for number, unit in found if number.strip(".")]


def _size(number: str, unit: str) -> int:
    return int(float(number.rstrip(".")) * _UNITS.get(unit[:1].lower(), 1))
