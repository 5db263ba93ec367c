"""Keys and values of every sequence under MLX: alone in mlx-lm's caches, or in a batch of those that decode together.

A batch is made when the set of those that decode changes, and then grows in place: putting it together copies all of
it, a step in it nothing. Who reads, is cut or leaves comes out of it.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from engine.errors import InternalError

if TYPE_CHECKING:
    from mlx_lm.models.cache import BatchKVCache, KVCache

    from engine.runtime.backends.mlx.quantised import KvForm


class _Holder(Struct):
    layers: list[Any] | None = None
    """A `KVCache` for each layer; None where it has nothing, or lies in the batch."""
    count: int = 0


class Holders:
    """`total` holders of a model of `depth` layers; `form` says how keys and values are quantised, if they are."""

    def __init__(self, total: int, depth: int, form: KvForm | None = None) -> None:
        self._depth, self._form = depth, form
        self._holders = [_Holder() for _ in range(total)]
        self._batch: tuple[int, ...] = ()
        """The holders whose state lies in the batch, row by row."""
        self._rows: list[BatchKVCache] = []

    @property
    def tokens(self) -> int:
        """How many tokens all of them have together."""
        return sum(holder.count for holder in self._holders)

    @property
    def size(self) -> int:
        """Bytes that their arrays take."""
        alone = [layer for holder in self._holders for layer in holder.layers or ()]
        return sum(int(layer.nbytes) for layer in (*alone, *self._rows))

    def count(self, holder: int) -> int:
        return self._holders[holder].count

    def advanced(self, holder: int, count: int) -> None:
        """What was written up to `count` tokens is valid; what lies behind is not."""
        self._holders[holder].count = count

    def alone(self, holder: int) -> list[KVCache]:
        """The caches of one sequence, one for each layer, to compute it with by itself."""
        if holder in self._batch:
            self._scatter()
        kept = self._holders[holder]
        if kept.layers is None:
            kept.layers = [self._cache() for _ in range(self._depth)]
        for layer in kept.layers:
            layer.offset = kept.count
        return kept.layers

    def together(self, holders: Sequence[int]) -> list[BatchKVCache]:
        """The caches of sequences that are computed as one batch, a row each, in this order."""
        wanted = tuple(holders)
        lengths = [row.size() - int(pad) for row in self._rows[:1] for pad in row.left_padding.tolist()]
        if wanted == self._batch and lengths == [self._holders[each].count for each in wanted]:
            return self._rows
        self._scatter()
        caches = [self.alone(each) for each in wanted]
        merge = self._batch_type().merge
        self._rows = [merge([cache[layer] for cache in caches]) for layer in range(self._depth)]
        self._batch = wanted
        for each in wanted:
            self._holders[each].layers = None
        return self._rows

    def share(self, source: int, target: int, start: int, stop: int) -> None:
        """Give `target`, which has those before, the tokens from `start` to `stop` of `source` too."""
        import mlx.core as mx
        from mlx.utils import tree_map

        given, taken = self._holders[source], self._holders[target]
        if taken.count != start or stop > given.count:
            raise InternalError(f"Holder {target} cannot have tokens {start} to {stop} of holder {source}.")

        def taken_over(given: Any, before: Any = None) -> Any:
            part = given[..., start:stop, :]
            if before is not None:
                part = mx.concatenate([before[..., :start, :], part], axis=2)
            # Of its own: a slice would keep the whole of the source alive.
            return mx.contiguous(part)

        pairs = self._arrays(source)
        for layer, pair in zip(self.alone(target), pairs, strict=True):
            before = ((layer.keys, layer.values),) if start else ()
            layer.keys, layer.values = tree_map(taken_over, pair, *before)
            layer.offset = stop
            mx.eval(layer.keys, layer.values)
        taken.count = stop

    def cut(self, holder: int, count: int) -> None:
        """Forget what follows the first `count` tokens."""
        kept = self._holders[holder]
        if count > kept.count:
            raise InternalError(f"Holder {holder} has no {count} tokens.")
        kept.count = count
        if count:
            return
        kept.layers = None
        if holder in self._batch:
            rows = [row for row, each in enumerate(self._batch) if each != holder]
            self._batch = tuple(self._batch[row] for row in rows)
            if rows:
                for layer in self._rows:
                    layer.filter(rows)
            else:
                self._rows = []

    def save(self, holder: int, count: int) -> memoryview:
        """The first `count` tokens as the bytes of a safetensors file."""
        import mlx.core as mx
        from mlx.utils import tree_flatten

        # Named 0.0 for the keys of the first layer, 0.1 for its values; 0.0.1 where they have several parts.
        arrays = {
            name: mx.contiguous(array[..., :count, :]) for name, array in tree_flatten(self._arrays(holder))
        }
        buffer = io.BytesIO()
        mx.save_safetensors(buffer, arrays)
        return buffer.getbuffer()

    def restore(self, holder: int, state: bytes | memoryview, count: int) -> None:
        """Put what `save` gave into an empty holder. Raises InternalError."""
        import mlx.core as mx

        kept = self._holders[holder]
        if kept.count:
            raise InternalError(f"Holder {holder} is not empty.")
        try:
            arrays: Any = mx.load(io.BytesIO(bytes(state)), format="safetensors")
            pairs = [
                [self._named(arrays, f"{index}.{part}") for part in (0, 1)] for index in range(self._depth)
            ]
            mx.eval(pairs)
        except (RuntimeError, ValueError, KeyError) as error:
            raise InternalError("A saved state could not be read back.", f"{error}.") from None
        if any(array.shape[2] != count for array in arrays.values()):
            raise InternalError("A saved state could not be read back.", "It is of another length.")
        for layer, (keys, values) in zip(self.alone(holder), pairs, strict=True):
            layer.keys, layer.values, layer.offset = keys, values, count
        kept.count = count

    def clear(self) -> None:
        import mlx.core as mx

        self._batch, self._rows = (), []
        for holder in self._holders:
            holder.layers, holder.count = None, 0
        # Others may have it now: MLX keeps what is freed for itself.
        mx.clear_cache()

    def _arrays(self, holder: int) -> list[tuple[Any, Any]]:
        """Keys and values of each layer, [1, KV heads, tokens or more, head size]; quantised ones in three parts."""
        if holder in self._batch:
            row = self._batch.index(holder)
            return [(one.keys, one.values) for one in (layer.extract(row) for layer in self._rows)]
        return [(layer.keys, layer.values) for layer in self._holders[holder].layers or ()]

    def _named(self, arrays: Any, name: str) -> Any:
        return arrays[name] if self._form is None else tuple(arrays[f"{name}.{part}"] for part in range(3))

    def _cache(self) -> KVCache:
        if self._form is not None:
            from engine.runtime.backends.mlx.quantised import PackedKVCache

            return PackedKVCache(self._form)
        from mlx_lm.models.cache import KVCache

        return KVCache()

    def _batch_type(self) -> Any:
        if self._form is not None:
            from engine.runtime.backends.mlx.quantised import PackedBatch

            return PackedBatch
        from mlx_lm.models.cache import BatchKVCache

        return BatchKVCache

    def _scatter(self) -> None:
        """Give every sequence of the batch caches of its own."""
        for row, holder in enumerate(self._batch):
            self._holders[holder].layers = [layer.extract(row) for layer in self._rows]
        self._batch, self._rows = (), []
