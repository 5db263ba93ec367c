"""Attention of many sequences in one forward pass: their tokens lie one behind the other, each sees its own past.

transformers calls this in place of its own attention (`AttentionInterface`). Everything else a layer does is done for
each token alone, so one pass serves prompts and answers of any lengths without padding; only here a token meets
others. Windows, soft caps and sinks are taken as transformers hands them over (`sliding_window`, `softcap`, `s_aux`).
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from engine.errors import Unsupported
from engine.runtime.backends.folder.library import Interrupted
from engine.runtime.backends.hf.holders import Holders

if TYPE_CHECKING:
    from torch import Tensor

_NUMBERS: Final = itertools.count(1)


class Piece:
    """Consecutive tokens of one sequence: those from `begin` to `end` of the pass, behind `start` known ones."""

    __slots__ = ("_masks", "begin", "both", "end", "holder", "start")

    def __init__(
        self, holder: int, begin: int, end: int, start: int, both: Sequence[tuple[int, int]] = ()
    ) -> None:
        self.holder, self.begin, self.end, self.start = holder, begin, end, start
        self.both = both
        """Runs of tokens of the sequence, from and to, that see one another."""
        self._masks: dict[tuple[int, Any], Tensor | None] = {}

    @property
    def count(self) -> int:
        return self.end - self.begin

    def mask(self, window: int, device: Any) -> Tensor | None:
        """Which known tokens (columns) each of these (rows) sees; None where that is all, or plainly causal."""
        if (window, device) not in self._masks:
            self._masks[window, device] = self._made(window, device)
        return self._masks[window, device]

    def _made(self, window: int, device: Any) -> Tensor | None:
        import torch

        if self.count == 1:
            return None
        if self.start == 0 and not self.both and (not window or self.count <= window):
            return None
        rows = torch.arange(self.start, self.start + self.count, device=device)[:, None]
        columns = torch.arange(self.start + self.count, device=device)[None]
        sees = columns <= rows
        for first, last in self.both:
            sees |= (first <= rows) & (rows < last) & (first <= columns) & (columns < last)
        # A window bounds what lies behind, in a picture too.
        return sees & (columns > rows - window) if window else sees


class Attention:
    """What transformers calls; `pieces` of the pass under way are set by the backend."""

    def __init__(self, holders: Holders) -> None:
        self._holders = holders
        self.pieces: Sequence[Piece] = ()
        self.stop = threading.Event()
        self.calls = 0
        """How often a layer came here, for the check of a new model."""

    def __call__(
        self,
        module: Any,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        attention_mask: Any,
        *,
        scaling: float | None = None,
        sliding_window: int | None = None,
        softcap: float | None = None,
        s_aux: Tensor | None = None,
        **others: Any,
    ) -> tuple[Tensor, None]:
        """`query` [1, heads, tokens, size], `key` and `value` with KV heads; gives [1, tokens, heads, size]."""
        from torch.nn.functional import scaled_dot_product_attention

        if self.stop.is_set():
            raise Interrupted
        if others.get("is_causal") is False:
            raise Unsupported("A model that reads both ways cannot generate here.", param="model")
        self.calls += 1
        layer = module.layer_idx
        window = sliding_window or 0
        out = query.new_empty((1, query.shape[2], query.shape[1], value.shape[3]))
        for piece in self.pieces:
            begin, end = piece.begin, piece.end
            keys, values = self._holders.write(
                piece.holder, layer, piece.start, key[0, :, begin:end], value[0, :, begin:end]
            )
            if piece.count == 1 and window and keys.shape[1] > window:
                keys, values = keys[:, -window:], values[:, -window:]
            asked = query[:, :, begin:end]
            mask = piece.mask(window, query.device)
            if softcap is not None or s_aux is not None:
                seen = _by_hand(asked, keys, values, mask, scaling, softcap, s_aux)
            elif piece.count == 1:
                # The heads that share keys stand in for tokens: none of them has to be copied for each of them.
                heads = asked.view(1, keys.shape[0], -1, asked.shape[3])
                seen = scaled_dot_product_attention(heads, keys[None], values[None], scale=scaling)
                seen = seen.view(1, asked.shape[1], 1, -1)
            else:
                seen = scaled_dot_product_attention(
                    asked,
                    keys[None],
                    values[None],
                    attn_mask=mask,
                    is_causal=mask is None,
                    scale=scaling,
                    enable_gqa=asked.shape[1] != keys.shape[0],
                )
            out[0, begin:end] = seen[0].transpose(0, 1)
        return out, None


def _by_hand(
    query: Tensor,
    keys: Tensor,
    values: Tensor,
    mask: Tensor | None,
    scaling: float | None,
    softcap: float | None,
    sinks: Tensor | None,
) -> Tensor:
    """Attention whose scores are capped (`softcap · tanh(score / softcap)`), or shared with a sink for each head."""
    import torch

    groups = query.shape[1] // keys.shape[0]
    keys, values = keys.repeat_interleave(groups, 0), values.repeat_interleave(groups, 0)
    scores = query[0] @ keys.transpose(1, 2) * (scaling or query.shape[3] ** -0.5)
    if softcap is not None:
        scores = torch.tanh(scores / softcap) * softcap
    count, known = scores.shape[1:]
    if mask is None and count > 1:
        mask = torch.ones(count, known, dtype=torch.bool, device=query.device).tril(known - count)
    if mask is not None:
        scores = scores.masked_fill(~mask, float("-inf"))
    if sinks is not None:
        scores = torch.cat([scores, sinks.reshape(-1, 1, 1).expand(-1, count, 1).to(scores.dtype)], -1)
    weights = scores.float().softmax(-1)[..., :known].to(values.dtype)
    return (weights @ values)[None]


def install(attention: Attention) -> str:
    """Make transformers know it, by the name that this gives; one for each model, since each has holders of its own.

    Models that use it get no masks from transformers: it makes them only for names that it knows of.
    """
    from transformers import AttentionInterface

    name = f"hearth_{next(_NUMBERS)}"
    AttentionInterface.register(name, attention)
    return name
