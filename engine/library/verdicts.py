"""Whether a model fits into the memory that can be had, and what of it would: the window, the quantisation. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

from engine.library.pools import missing, pool_of
from engine.library.quantisations import label_of
from engine.types import DeviceNeed, ModelEntry
from engine.types.models import Verdict

TIGHT: Final = 0.9
"""Share of what can be had above which a model fits only just."""
STEP: Final = 256
"""Windows are looked for in steps of so many tokens, as llama.cpp rounds its cells; the first is also the least."""
_BITS: Final = {
    "Q8_0": 8.5,
    "Q6_K": 6.6,
    "Q5_K_M": 5.7,
    "Q4_K_M": 4.9,
    "IQ4_XS": 4.5,
    "Q3_K_M": 4.0,
    "Q2_K": 3.2,
}
"""Bits per weight of a whole file, the best first (llama.cpp, tools/quantize/README, of an 8B model)."""


def verdict(demand: Mapping[str, int], room: Mapping[str, int]) -> Verdict:
    """Whether `demand` (bytes by pool) fits into `room`; a pool that `room` does not name is boundless."""
    if missing(demand, room):
        return "too big"
    is_tight = any(size > TIGHT * room[pool] for pool, size in demand.items() if pool in room)
    return "tight" if is_tight else "fits"


def largest_window(demand_at: Callable[[int], Mapping[str, int]], room: Mapping[str, int], most: int) -> int:
    """The longest window, a multiple of `STEP` or `most` itself, whose demand fits into `room`; 0 if none does.

    `demand_at` tells bytes by pool for a window in tokens and must not fall as that grows.
    """
    if most <= 0 or missing(demand_at(min(STEP, most)), room):
        return 0
    if not missing(demand_at(most), room):
        return most
    fits, fails = 1, -(-most // STEP)
    while fails - fits > 1:
        middle = (fits + fails) // 2
        if missing(demand_at(middle * STEP), room):
            fails = middle
        else:
            fits = middle
    return fits * STEP


def quantisation_that_fits(short: Mapping[str, int], need: Sequence[DeviceNeed], parameters: int) -> str:
    """The best usual quantisation whose weights would be small enough where `short` bytes by pool are missing.

    Empty if not even the smallest would do, or if the model has no more bits than that already.
    """
    weights: dict[str, int] = {}
    for each in need:
        pool = pool_of(each.device, each.kind)
        weights[pool] = weights.get(pool, 0) + each.weights
    if not short or parameters <= 0 or any(weights.get(pool, 0) <= size for pool, size in short.items()):
        return ""
    bits = 8 * sum(weights.values()) / parameters
    may_stay = bits * min(1 - size / weights[pool] for pool, size in short.items())
    return next((name for name, each in _BITS.items() if each <= may_stay), "")


def instead_of(entry: ModelEntry, others: Iterable[tuple[ModelEntry, Verdict]]) -> str:
    """The id of the largest of `others` that is the same model in another quantisation and fits; empty if none is."""
    same = [
        other
        for other, found in others
        if found != "too big"
        and found != "unknown"
        and other.size < entry.size
        and other.architecture == entry.architecture
        and _stem(other) == _stem(entry)
    ]
    return max(same, key=lambda other: other.size).id if same else ""


def _stem(entry: ModelEntry) -> str:
    """The model's name without its quantisation."""
    name = entry.id.rpartition("/")[2].lower()
    label = label_of(name.replace(":", "-")).lower()
    return re.sub(r"[^a-z0-9]+", "", name.replace(label, "")) if label else re.sub(r"[^a-z0-9]+", "", name)
