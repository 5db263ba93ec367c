"""What would help where a model does not fit: one sentence that names what alone would free enough. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from engine.library.pools import MAIN, pool_of
from engine.library.shape import ContextShape
from engine.types import DeviceNeed

_LEAST_CONTEXT: Final = 512
_SMALLER_KV: Final = {None: 34 / 64, "f16": 34 / 64, "bf16": 34 / 64, "f32": 34 / 128}
"""Bytes of a KV cache in q8_0 over those in the type that it has."""


def advice(
    short: Mapping[str, int],
    need: Sequence[DeviceNeed],
    shape: ContextShape,
    kv_type: str | None,
    others: Mapping[str, Mapping[str, int]],
    *,
    largest: int | None = None,
    quantisation: str = "",
) -> str:
    """How a model that is `short` of memory (bytes by pool) could be made to fit.

    `others` are the models in memory that do not make way by themselves, and what each holds. `largest` is the longest
    window that fits, 0 if none does, None if that was not looked for: then halves of the window are tried by what the
    cache alone would save. `quantisation` is one that would fit.
    """
    if not short:
        return ""
    cache = dict.fromkeys(short, 0)
    for each in need:
        pool = pool_of(each.device, each.kind)
        if pool in cache:
            cache[pool] += each.kv_cache
    ways = []
    if largest is None:
        largest = _smaller_context(short, cache, shape) or 0
    if _LEAST_CONTEXT <= (context := largest) < shape.context:
        ways.append(f"a context of {context}")
    if shape.slots > 1 and (slots := _fewer_slots(short, cache, shape)):
        ways.append(f"{slots} slot{'s' if slots > 1 else ''} instead of {shape.slots}")
    if (left := _SMALLER_KV.get(kv_type)) and _covers(short, cache, 1 - left):
        ways.append("`kv_type` q8_0")
    if any(pool != MAIN for pool in short) and MAIN not in short:
        ways.append("fewer `gpu_layers`")
    ways += [f"unloading {name}" for name, held in others.items() if _frees(short, held)]
    if not ways:
        smaller = f"this one in {quantisation}" if quantisation else "one in a smaller quantisation"
        return f"Choose a smaller model, or {smaller}."
    if quantisation:
        ways.append(f"the model in {quantisation}")
    *most, last = ways
    sentence = f"{', '.join(most)} or {last}" if most else last
    return f"{sentence[0].upper()}{sentence[1:]} would make it fit."


def _covers(short: Mapping[str, int], cache: Mapping[str, int], saved: float) -> bool:
    return all(cache[pool] * saved >= size for pool, size in short.items())


def _smaller_context(short: Mapping[str, int], cache: Mapping[str, int], shape: ContextShape) -> int | None:
    context = shape.context // 2
    while context >= _LEAST_CONTEXT:
        if _covers(short, cache, 1 - context / shape.context):
            return context
        context //= 2
    return None


def _fewer_slots(short: Mapping[str, int], cache: Mapping[str, int], shape: ContextShape) -> int | None:
    for slots in range(shape.slots - 1, 0, -1):
        if _covers(short, cache, 1 - slots / shape.slots):
            return slots
    return None


def _frees(short: Mapping[str, int], held: Mapping[str, int]) -> bool:
    return all(held.get(pool, 0) >= size for pool, size in short.items())
