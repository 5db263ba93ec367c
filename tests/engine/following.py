"""Guides over a vocabulary of single bytes, for tests that ask which texts a constraint allows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from engine.prompt.grammar import grammar_of
from engine.runtime.backends.guide import Guide, GuideMaker, TokenTable
from engine.types import Constraint

END = 256
BYTES = TokenTable(
    pieces=[*(bytes([byte]) for byte in range(256)), b"<end>"],
    special=frozenset({END}),
    ends=(END,),
    tokenize=list,
)
_maker = GuideMaker(BYTES)


def guide_of(grammar: str) -> Guide:
    """A guide through the text of a grammar."""
    return _maker.make(grammar)


def guide_for(kind: Any, value: Any = None, *, strict: bool = True) -> Guide:
    """A guide through a constraint."""
    return guide_of(grammar_of(Constraint(kind=kind, value=value, strict=strict)))


def accepts(guide: Guide, text: str | bytes) -> bool:
    """Whether `text` is a whole output; the guide stays where it is."""
    walker = guide.fork()
    for byte in text.encode() if isinstance(text, str) else text:
        if not walker.allows(byte):
            return False
        walker.accept(byte)
    return walker.may_end


def written(guide: Guide, choose: Callable[[list[int]], int], most: int = 400) -> bytes | None:
    """The output that comes of choosing among the allowed bytes again and again; None if it has no end in time."""
    walker, found = guide.fork(), bytearray()
    for _ in range(most):
        token = choose([int(token) for token in np.flatnonzero(walker.mask())])
        if token == END:
            return bytes(found)
        walker.accept(token)
        found.append(token)
    return None
