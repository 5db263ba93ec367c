"""What a forward pass is given: the tokens of many sequences one behind the other, with pictures among them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from msgspec import Struct

from engine.runtime.backends.folder.library import Part
from engine.runtime.backends.hf.attention import Piece
from engine.runtime.backends.media import Span, position_of


class Shown(Struct, frozen=True):
    """Embeddings of a picture, or of a part of one, for the tokens of the pass from `begin` on."""

    begin: int
    vectors: Any


class Pass(Struct, frozen=True, kw_only=True):
    """All parts of a pass: its tokens (0 for those of pictures), their positions, who sees whom."""

    tokens: tuple[int, ...]
    positions: np.ndarray[Any, np.dtype[np.int64]]
    """[3, tokens] where pictures have positions of their own (M-RoPE), else [tokens]."""
    pieces: tuple[Piece, ...]
    shown: tuple[Shown, ...]
    wanted: tuple[int, ...]
    """The tokens behind which logits are wanted."""


def laid(parts: Sequence[Part], *, mrope: bool) -> Pass:
    """`parts` one behind the other."""
    tokens: list[int] = []
    positions: list[np.ndarray[Any, np.dtype[np.int64]]] = []
    pieces: list[Piece] = []
    shown: list[Shown] = []
    wanted: list[int] = []
    for part in parts:
        begin, stop = len(tokens), part.start + len(part.tokens)
        both = tuple((span.start, span.end) for span in part.spans if span.two_ways)
        pieces.append(Piece(part.holder, begin, begin + len(part.tokens), part.start, both))
        for span in part.spans:
            first, last = max(span.start, part.start), min(span.end, stop)
            if first < last:
                vectors = span.vectors[first - span.start : last - span.start]
                shown.append(Shown(begin + first - part.start, vectors))
        positions.append(_positions(part.spans, part.start, stop, mrope=mrope))
        tokens += [max(0, token) for token in part.tokens] if part.spans else part.tokens
        wanted += range(len(tokens) - part.outputs, len(tokens))
    return Pass(
        tokens=tuple(tokens),
        positions=np.concatenate(positions, -1),
        pieces=tuple(pieces),
        shown=tuple(shown),
        wanted=tuple(wanted),
    )


def _positions(
    spans: Sequence[Span], start: int, stop: int, *, mrope: bool
) -> np.ndarray[Any, np.dtype[np.int64]]:
    if not mrope:
        return np.arange(start, stop)
    found = np.empty((3, stop - start), np.int64)
    place = start
    while place < stop:
        span = next((each for each in spans if each.end > place), None)
        position = position_of(spans, place)
        if span is not None and span.start <= place and span.positions is not None:
            end = min(stop, span.end)
            inner = span.positions[:, place - span.start : end - span.start]
            found[:, place - start : end - start] = inner + position
        else:
            end = stop if span is None else min(stop, max(span.start, place + 1))
            found[:, place - start : end - start] = np.arange(position, position + end - place)
        place = end
    return found
