"""Lays out a fill-in-the-middle prompt: what stands before the gap, what after it, and other files of the repository.

The order is that in which such models were trained: other files first, each under its name, then prefix, suffix and the
mark after which the model writes the middle (the repository-level format of Qwen2.5-Coder, arXiv 2409.12186, which is
also that of llama.cpp's server). What does not fit goes from the ends that are farthest from the gap. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from msgspec import Struct

from engine.types import DocumentPart, Infill

PREFIX_SHARE = 0.75
"""Part of the room that goes to the prefix where prefix and suffix do not both fit."""
REPOSITORY = "repository\n"
CURRENT = "current file\n"
SNIPPET = "\n\n--- snippet ---\n\n"
"""Stands between other files for a model that has no mark for them."""

Tokenize = Callable[[str], Sequence[int]]


class Laid(Struct, frozen=True):
    """The prompt, and how many tokens of the texts are not in it."""

    tokens: tuple[int, ...]
    dropped: int


def lay_out(
    prefix: str,
    suffix: str,
    extra: Sequence[DocumentPart],
    marks: Infill,
    tokenize: Tokenize,
    *,
    begin: Sequence[int],
    room: int,
) -> Laid:
    """At most `room` tokens (of at least 8), `begin` first. `tokenize` reads plain text, special tokens not."""
    before, after = list(tokenize(prefix)), list(tokenize(suffix))
    name = _named(CURRENT, marks, tokenize) if extra or marks.repository is not None else []
    frame = len(begin) + len(name) + 3
    if len(before) + len(after) + frame > room:
        name, frame = [], len(begin) + 3
    left = max(0, room - frame)
    kept_before, kept_after = _shares(len(before), len(after), left)
    others = _others(extra, marks, tokenize, left - kept_before - kept_after)
    tokens = [
        *begin,
        *others.tokens,
        *name,
        marks.prefix,
        *before[len(before) - kept_before :],
        marks.suffix,
        *after[:kept_after],
        marks.middle,
    ]
    dropped = len(before) - kept_before + len(after) - kept_after + others.dropped
    return Laid(tuple(tokens), dropped)


def _shares(before: int, after: int, room: int) -> tuple[int, int]:
    """How much of prefix and suffix stays: all, or their shares, and what one does not need the other gets."""
    if before + after <= room:
        return before, after
    kept = min(before, max(int(room * PREFIX_SHARE), room - after))
    return kept, min(after, room - kept)


def _others(extra: Sequence[DocumentPart], marks: Infill, tokenize: Tokenize, room: int) -> Laid:
    """The other files, the first ones left out where there is no room: the last are nearest to the gap."""
    head: list[int] = []
    if marks.repository is not None and extra:
        head = [marks.repository, *tokenize(REPOSITORY)]
    chosen: list[int] = []
    dropped = 0
    for document in reversed(extra):
        body = list(tokenize(document.text))
        chunk = [*_named(f"{document.title or 'another file'}\n", marks, tokenize), *body]
        if dropped or len(head) + len(chunk) + len(chosen) > room:
            dropped += len(body)
            continue
        chosen = chunk + chosen
    return Laid(tuple(head + chosen) if chosen else (), dropped)


def _named(name: str, marks: Infill, tokenize: Tokenize) -> list[int]:
    if marks.file is None:
        return list(tokenize(SNIPPET))
    return [marks.file, *tokenize(name)]
