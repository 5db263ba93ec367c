"""Keys and values of every sequence, in slots and on shelves, each in tensors of its own.

A sequence's tensors are [KV heads, room, head size] for each layer, of which the first `count` tokens are valid. Room
grows by halves, so that a long sequence is copied a few times and a short one takes little.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct, field

from engine.errors import InternalError

if TYPE_CHECKING:
    from torch import Tensor

_LEAST_ROOM: Final = 64


class _Holder(Struct):
    layers: dict[int, tuple[Any, Any]] = field(default_factory=dict)
    """Keys and values by the index of their layer."""
    count: int = 0


class Holders:
    """`total` holders, slots first; none grows past `window` tokens.

    `layers` are the devices of the layers, if they differ.
    """

    def __init__(self, total: int, window: int, device: Any, layers: Sequence[Any] = ()) -> None:
        self._window, self._device, self._layers = window, device, layers
        self._holders = [_Holder() for _ in range(total)]

    @property
    def tokens(self) -> int:
        """How many tokens all of them have together."""
        return sum(holder.count for holder in self._holders)

    @property
    def size(self) -> int:
        """Bytes that their tensors take."""
        return sum(
            tensor.numel() * tensor.element_size()
            for holder in self._holders
            for pair in holder.layers.values()
            for tensor in pair
        )

    def count(self, holder: int) -> int:
        return self._holders[holder].count

    def advanced(self, holder: int, count: int) -> None:
        """What was written up to `count` tokens is valid."""
        self._holders[holder].count = count

    def write(
        self, holder: int, layer: int, start: int, keys: Tensor, values: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Put `keys` and `values`, [KV heads, tokens, head size], behind the first `start` tokens of a layer.

        Gives all of them up to there, as views; valid until the next call.
        """
        end = start + keys.shape[1]
        kept = self._holders[holder]
        pair = kept.layers.get(layer)
        if pair is None or pair[0].shape[1] < end:
            room = min(self._window, max(_LEAST_ROOM, end + end // 2))
            pair = (
                _grown(pair and pair[0], keys, start, room),
                _grown(pair and pair[1], values, start, room),
            )
            kept.layers[layer] = pair
        pair[0][:, start:end] = keys
        pair[1][:, start:end] = values
        return pair[0][:, :end], pair[1][:, :end]

    def share(self, source: int, target: int, start: int, stop: int) -> None:
        """Copy the tokens from `start` to `stop`; `target` has those before."""
        given, taken = self._holders[source], self._holders[target]
        if taken.count != start or stop > given.count:
            raise InternalError(f"Holder {target} cannot have tokens {start} to {stop} of holder {source}.")
        for layer, (keys, values) in given.layers.items():
            self.write(target, layer, start, keys[:, start:stop], values[:, start:stop])
        taken.count = stop

    def cut(self, holder: int, count: int) -> None:
        """Forget what follows the first `count` tokens."""
        kept = self._holders[holder]
        if count > kept.count:
            raise InternalError(f"Holder {holder} has no {count} tokens.")
        kept.count = count
        if count == 0:
            kept.layers = {}

    def save(self, holder: int, count: int) -> memoryview:
        """The first `count` tokens as the bytes of a safetensors file."""
        from safetensors.torch import save

        tensors = {}
        for layer, (keys, values) in self._holders[holder].layers.items():
            tensors[f"{layer}.keys"] = keys[:, :count].contiguous().cpu()
            tensors[f"{layer}.values"] = values[:, :count].contiguous().cpu()
        return memoryview(save(tensors))

    def restore(self, holder: int, state: bytes | memoryview, count: int) -> None:
        """Put what `save` gave into an empty holder. Raises InternalError."""
        from safetensors import SafetensorError
        from safetensors.torch import load

        kept = self._holders[holder]
        if kept.count:
            raise InternalError(f"Holder {holder} is not empty.")
        try:
            tensors = load(bytes(state))
            for layer in sorted({int(name.partition(".")[0]) for name in tensors}):
                keys, values = tensors[f"{layer}.keys"], tensors[f"{layer}.values"]
                if keys.shape[1] != count or values.shape[1] != count:
                    raise InternalError("A saved state could not be read back.", "It is of another length.")
                device = self._layers[layer] if self._layers else self._device
                self.write(holder, layer, 0, keys.to(device), values.to(device))
        except (SafetensorError, KeyError, ValueError) as error:
            kept.layers = {}
            raise InternalError("A saved state could not be read back.", f"{error}.") from None
        kept.count = count

    def clear(self) -> None:
        for holder in self._holders:
            holder.layers, holder.count = {}, 0


def _grown(old: Any, like: Tensor, valid: int, room: int) -> Tensor:
    grown = like.new_empty((like.shape[0], room, like.shape[2]))
    if old is not None and valid:
        grown[:, :valid] = old[:, :valid]
    return grown
