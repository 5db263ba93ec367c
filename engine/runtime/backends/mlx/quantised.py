"""Keys and values kept in 8 or 4 bits under MLX, and handed to attention as floats.

mlx-lm's own quantised cache multiplies with packed matrices: it knows no batch, no sinks and only some of the models,
and on a CPU it takes two to three times as long as to unpack a layer and attend as usual. Rows are quantised one by
one, so what is kept of a sequence does not depend on its company, and may be shared, cut and saved.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import mlx.core as mx
from mlx.utils import tree_map
from mlx_lm.models.cache import BatchKVCache, KVCache
from msgspec import Struct

BITS: Final = {"q8_0": 8, "q4_0": 4}
"""Bits of a number, by the names of llama.cpp; with 16-bit scales both take as much as there: 8.5 and 4.5 bits."""
GROUPS: Final = (64, 32)
"""How many numbers of a row share a scale and a bias, the best first."""
Packed = tuple[mx.array, mx.array, mx.array]
"""Numbers, scales and biases, tokens on the third axis of each."""


class KvForm(Struct, frozen=True):
    """How keys and values are kept."""

    bits: int
    group: int

    def pack(self, numbers: mx.array) -> Packed:
        packed: Packed = mx.quantize(numbers, group_size=self.group, bits=self.bits)
        return packed

    def unpack(self, packed: Packed) -> mx.array:
        return mx.dequantize(*packed, group_size=self.group, bits=self.bits)


def form_for(kv_type: str, sizes: Sequence[int]) -> KvForm | None:
    """The form of `kv_type` for heads of `sizes` numbers; None if they cannot be grouped."""
    group = next((group for group in GROUPS if all(size % group == 0 for size in sizes)), None)
    return KvForm(BITS[kv_type], group) if group is not None else None


class PackedKVCache(KVCache):  # type: ignore[misc]
    """One sequence's; `keys` and `values` are `Packed`."""

    offset: int

    def __init__(self, form: KvForm) -> None:
        super().__init__()
        self.form = form

    def update_and_fetch(self, keys: mx.array, values: mx.array) -> tuple[mx.array, mx.array]:
        end = self.offset + keys.shape[2]
        self.keys, self.values = _written(self, keys, values, self.offset, end)
        self.offset = end
        return self.keys_and_values()

    def keys_and_values(self) -> tuple[mx.array, mx.array]:
        return _unpacked(self.form, self.keys, self.values, self.offset)

    @property
    def nbytes(self) -> int:
        return _bytes(self.keys, self.values)


class PackedBatch(BatchKVCache):  # type: ignore[misc]
    """A row for each sequence that decodes, padded on the left."""

    offset: Any
    left_padding: Any
    _idx: int

    def __init__(self, left_padding: list[int], form: KvForm) -> None:
        super().__init__(left_padding)
        self.form = form

    def update_and_fetch(self, keys: mx.array, values: mx.array) -> tuple[mx.array, mx.array]:
        end = self._idx + keys.shape[2]
        self.keys, self.values = _written(self, keys, values, self._idx, end)
        self.offset = self.offset + keys.shape[2]
        self._idx = end
        return self.keys_and_values()

    def keys_and_values(self) -> tuple[mx.array, mx.array]:
        return _unpacked(self.form, self.keys, self.values, self._idx)

    def filter(self, batch_indices: list[int]) -> None:
        self.keys, self.values = tree_map(lambda each: each[batch_indices], (self.keys, self.values))
        self.offset, self.left_padding = self.offset[batch_indices], self.left_padding[batch_indices]
        spare = min(self.left_padding.tolist())
        if spare:
            self.keys, self.values = tree_map(lambda each: each[..., spare:, :], (self.keys, self.values))
            self._idx -= spare
            self.left_padding = self.left_padding - spare

    def extract(self, idx: int) -> PackedKVCache:
        padding = self.left_padding.tolist()[idx]
        cache = PackedKVCache(self.form)
        cache.keys, cache.values = tree_map(
            lambda each: mx.contiguous(each[idx : idx + 1, :, padding : self._idx]), (self.keys, self.values)
        )
        cache.offset = self._idx - padding
        return cache

    @classmethod
    def merge(cls, caches: Sequence[PackedKVCache]) -> PackedBatch:
        """The batch of `caches`, all of which have something."""
        longest = max(cache.offset for cache in caches)
        paddings = [longest - cache.offset for cache in caches]
        made = cls(paddings, caches[0].form)

        def joined(part: Callable[[PackedKVCache], Packed]) -> Packed:
            rows = [
                [
                    mx.pad(each[..., : cache.offset, :], [(0, 0), (0, 0), (padding, 0), (0, 0)])
                    for each in part(cache)
                ]
                for cache, padding in zip(caches, paddings, strict=True)
            ]
            numbers, scales, biases = (mx.concatenate(list(each), axis=0) for each in zip(*rows, strict=True))
            return numbers, scales, biases

        made.keys, made.values = joined(lambda cache: cache.keys), joined(lambda cache: cache.values)
        made.offset = made.offset + longest
        made._idx = longest
        return made

    @property
    def nbytes(self) -> int:
        return _bytes(self.keys, self.values)


def _written(cache: Any, keys: mx.array, values: mx.array, start: int, end: int) -> tuple[Packed, Packed]:
    """What `cache` keeps, with `keys` and `values` written from `start` to `end`; it grows in steps."""
    new = (cache.form.pack(keys), cache.form.pack(values))
    step = cache.step
    if cache.keys is None or end > cache.keys[0].shape[2]:
        more = -(-(end - start) // step) * step

        def grown(part: mx.array, old: mx.array | None = None) -> mx.array:
            room = mx.zeros((*part.shape[:2], more, part.shape[3]), part.dtype)
            return room if old is None else mx.concatenate([old[..., :start, :], room], axis=2)

        kept = (
            tree_map(grown, new) if cache.keys is None else tree_map(grown, new, (cache.keys, cache.values))
        )
    else:
        kept = (cache.keys, cache.values)

    def put(into: mx.array, part: mx.array) -> mx.array:
        into[..., start:end, :] = part
        return into

    found: tuple[Packed, Packed] = tree_map(put, kept, new)
    return found


def _unpacked(form: KvForm, keys: Packed, values: Packed, count: int) -> tuple[mx.array, mx.array]:
    first, second = tree_map(lambda each: each[..., :count, :], (keys, values))
    return form.unpack(first), form.unpack(second)


def _bytes(*kept: Packed | None) -> int:
    return sum(int(each.nbytes) for packed in kept if packed is not None for each in packed)
