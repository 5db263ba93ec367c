"""Guides: at each token of an output, which tokens a grammar allows. Backend-neutral, executed by llguidance.

A backend describes its vocabulary in a `TokenTable`; `GuideMaker` compiles grammars for it; a `Guide` follows one
output. Asking for one token costs microseconds, for the whole vocabulary a fraction of a millisecond to a few, so a
sampler draws first and asks then, and takes the mask only where the draw was not allowed.

The library never leaves its error state: a guide that has raised is of no more use.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Sequence
from copy import copy
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any, Final, TypeVar

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from engine.errors import InternalError, InvalidRequest

if TYPE_CHECKING:
    from llguidance import LLMatcher, LLParserLimits, LLTokenizer

T = TypeVar("T")

SLOWEST: Final = 1.0
"""Seconds of processor time in which a grammar must be compiled and its first mask computed."""
# What the library calls a mask that is empty though the grammar goes on.
_NO_TOKEN: Final = "NoExtensionBias"
# "at 1(8): failed to compile JSON schema: Unsatisfiable schema": a place in text that no person wrote.
_PLACE: Final = re.compile(r"(?:at )?\d+\(\d+\): (?:failed to compile JSON schema: )?")


class TokenTable(Struct, frozen=True, kw_only=True):
    """What a grammar has to know of a vocabulary."""

    pieces: Sequence[bytes]
    """The bytes that each token stands for in output, by id; may be partial UTF-8, and empty for tokens never used."""
    special: frozenset[int]
    """Tokens that are no text: a grammar allows them only where it names them (`<[id]>`)."""
    ends: tuple[int, ...]
    """Tokens that end a turn; allowed exactly where the grammar may end."""
    tokenize: Callable[[bytes], Sequence[int]]
    """Tokens of UTF-8 text that goes on from other text: nothing is added, and special tokens are read as text."""


class Guide:
    """Follows one output through a grammar. Used from one thread at a time."""

    def __init__(self, matcher: LLMatcher, table: TokenTable) -> None:
        self._matcher = matcher
        self._size = len(table.pieces)
        self.ends = table.ends
        self._over = 0
        """How many of the last tokens ended the turn; the library is not told of those."""
        self._only_empty = False
        """Whether the grammar allows the empty output alone, which the library notices only in its masks."""

    def allows(self, token: int) -> bool:
        """Whether `token` may come next."""
        if token in self.ends:
            return self.may_end
        if self.ended or not 0 <= token < self._size:
            return False
        allowed = _run(self._matcher.validate_tokens, [token]) == 1
        if not allowed:
            self._check()
        return allowed

    def mask(self) -> NDArray[np.bool_]:
        """Which tokens may come next, bool [vocabulary].

        Where the grammar leaves one text only, it is the tokens that the model would be given that text in: then
        `allows` says yes to more of them, and the texts are the same.
        """
        if self.ended:
            allowed = np.zeros(self._size, np.bool_)
            allowed[list(self.ends)] = True
            return allowed
        packed = np.frombuffer(_run(self._matcher.compute_bitmask), np.uint8)
        self._check()
        allowed = np.unpackbits(packed, count=self._size, bitorder="little").view(np.bool_)
        if not self.may_end:
            # A grammar may name them, or all but some other token; the turn would be over in the middle of it.
            allowed[list(self.ends)] = False
        return allowed

    def accept(self, token: int) -> None:
        """Note that `token` came. Raises InternalError if it is not allowed; the guide is then as before."""
        if not self.allows(token):
            raise InternalError(
                f"Token {token} does not follow the constraint.", "It should have been asked for."
            )
        if token in self.ends:
            self._over += 1
            return
        _run(self._matcher.consume_token, token)
        self._check()

    def rollback(self, count: int) -> None:
        """Forget the last `count` tokens that were accepted."""
        ends = min(count, self._over)
        self._over -= ends
        if count > ends:
            _run(self._matcher.rollback, count - ends)
            self._check()

    def fork(self) -> Guide:
        """A guide at the same place that goes on by itself."""
        twin = copy(self)
        twin._matcher = self._matcher.deep_copy()
        return twin

    @property
    def may_end(self) -> bool:
        """Whether the output is whole as it stands, so that an end token may come."""
        return self._over > 0 or self._matcher.is_accepting()

    @property
    def ended(self) -> bool:
        """Whether nothing but an end token may come."""
        return (
            self._over > 0
            or self._only_empty
            or (self._matcher.is_stopped() and self._matcher.is_accepting())
        )

    def forced(self) -> tuple[int, ...]:
        """The tokens that must come next, where the grammar leaves one text only; else empty."""
        if self.ended:
            return ()
        tokens = tuple(_run(self._matcher.compute_ff_tokens))
        self._check()
        return tokens

    def _check(self) -> None:
        if self._matcher.is_error():
            raise _broken(self._matcher.get_error())


class GuideMaker:
    """Compiles grammars for the vocabulary of one model; from any thread.

    The library's own view of the vocabulary is made with the first grammar (a fraction of a second for 152,000
    tokens), and `table` is asked for then, if it is a function.
    """

    def __init__(self, table: TokenTable | Callable[[], TokenTable]) -> None:
        self._table = table
        self._lock = threading.Lock()
        self._made: tuple[LLTokenizer, TokenTable] | None = None

    def make(self, grammar: str) -> Guide:
        """A guide at the beginning of `grammar` (of `engine.prompt.grammar`).

        Raises InvalidRequest if it is wrong, takes too long to compile, or allows no output with this vocabulary.
        """
        from llguidance import LLMatcher

        tokenizer, table = self._ready()
        began = time.thread_time()
        matcher = _run(LLMatcher, tokenizer, grammar, log_level=0, limits=_limits())
        if matcher.is_error():
            raise _refused(matcher.get_error())
        guide = Guide(matcher, table)
        try:
            allowed = np.flatnonzero(guide.mask())
        except InvalidRequest as error:
            raise _refused(error.why) from None
        if not len(allowed):
            raise _refused(_NO_TOKEN)
        if time.thread_time() - began > SLOWEST:
            raise InvalidRequest(
                "The constraint is too complex.",
                f"Preparing it took more than {SLOWEST:.0f} second.",
                "Simplify it.",
                param="constraint",
            )
        guide._only_empty = guide.may_end and set(allowed) <= set(table.ends)
        return guide

    def _ready(self) -> tuple[LLTokenizer, TokenTable]:
        with self._lock:
            if self._made is None:
                table = self._table() if callable(self._table) else self._table
                self._made = _tokenizer(table), table
            return self._made


def _tokenizer(table: TokenTable) -> LLTokenizer:
    from llguidance import LLTokenizer, TokenizerWrapper

    ends = list(table.ends)
    pieces = list(table.pieces)
    if not ends:
        # The library wants an end token; one beyond the vocabulary is never drawn.
        ends = [len(pieces)]
        pieces.append(b"<end>")
    return LLTokenizer(TokenizerWrapper(_Tokens(pieces, ends, table)), eos_token=ends)


class _Tokens:
    """A vocabulary as `TokenizerWrapper` expects it; an end token is special whatever its table says."""

    bos_token_id: None = None

    def __init__(self, pieces: list[bytes], ends: list[int], table: TokenTable) -> None:
        self.tokens = pieces
        self.eos_token_id = ends[0]
        self.special_token_ids = sorted({*table.special, *ends})
        self._tokenize = table.tokenize
        self._longest = max(map(len, pieces), default=0)

    def __call__(self, text: bytes) -> list[int]:
        """Tokens of `text`, of those bytes and no others: the library takes that for granted."""
        tokens = list(self._tokenize(text))
        if b"".join(self.tokens[token] for token in tokens) == text:
            return tokens
        return self._spelled(text)

    def _spelled(self, text: bytes) -> list[int]:
        """The longest piece first, for text that the tokenizer gives back changed."""
        found = []
        while text:
            sizes = range(min(self._longest, len(text)), 0, -1)
            token = next(
                (self._by_piece[text[:size]] for size in sizes if text[:size] in self._by_piece), None
            )
            if token is None:
                break
            found.append(token)
            text = text[len(self.tokens[token]) :]
        return found

    @cached_property
    def _by_piece(self) -> dict[bytes, int]:
        special = set(self.special_token_ids)
        return {piece: token for token, piece in enumerate(self.tokens) if piece and token not in special}


@cache
def _limits() -> LLParserLimits:
    """What one grammar may cost: the library's usual figures, but for the states, of a kilobyte or two each.

    Measured on grammars made to be hostile, within the caps of `engine.prompt.grammar`: 0.5 s to compile, 30 ms
    for a mask or a token.
    """
    from llguidance import LLParserLimits

    return LLParserLimits(
        max_items_in_row=2_000,
        initial_lexer_fuel=1_000_000,
        step_lexer_fuel=200_000,
        step_max_items=50_000,
        max_lexer_states=50_000,
        max_grammar_size=500_000,
        verbose_errors=False,
    )


def _run(work: Callable[..., T], *given: Any, **named: Any) -> T:
    """The answer of the library; a panic in it, which is no `Exception`, becomes an error of the request."""
    try:
        return work(*given, **named)
    except BaseException as error:
        if type(error).__name__ != "PanicException":
            raise
        raise _broken(str(error)) from None


def _refused(message: str) -> InvalidRequest:
    return InvalidRequest(
        "The constraint cannot be used.", _reason(message), "Change or simplify it.", param="constraint"
    )


def _broken(message: str) -> InvalidRequest:
    return InvalidRequest(
        "The output can no longer be held to its constraint.",
        _reason(message),
        "Simplify the constraint, or ask for a shorter output.",
        param="constraint",
    )


def _reason(message: str) -> str:
    """The reason that the library gives, without the state that it may append."""
    if message.startswith(_NO_TOKEN):
        return "No token of this model goes on as it asks."
    line = _PLACE.sub("", message.strip().partition("\n")[0]).strip().rstrip(".")
    return f"{line[:1].upper()}{line[1:300]}." if line else ""
