"""The sequences in the slots of a backend: taken in, drawn for and scored, whatever computes their logits."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Protocol

from msgspec import Struct

from engine.errors import ContextOverflow, HearthError, InternalError, InvalidRequest
from engine.runtime.backends.base import Failure, Outcome, Row, Sampled, Scored, SequenceSpec, StepResult
from engine.runtime.backends.sampling.chain import Chain, Tokens
from engine.runtime.backends.sampling.logprobs import Floats, logprob_of

if TYPE_CHECKING:
    from engine.runtime.backends.guide import Guide
    from engine.runtime.backends.media import Span


class Vocabulary(Tokens, Protocol):
    """What is asked of a vocabulary here."""

    def piece(self, token: int) -> bytes: ...


class SlotSequence(Struct):
    """A sequence in its slot: `tokens` known, the first `computed` of them computed."""

    slot: int
    tokens: list[int]
    chain: Chain
    guide: Guide | None
    top_logprobs: int | None
    spans: tuple[Span, ...] = ()
    computed: int = 0

    def span_at(self, index: int) -> Span | None:
        """The picture that the token at `index` belongs to."""
        return next((span for span in self.spans if span.start <= index < span.end), None)


class Moving(Struct, frozen=True):
    """A row of the step under way: where it ends in its sequence, and its first row of the step's logits.

    `place` is where llama.cpp has the first of these logits itself: the context, and the index in its batch.
    """

    sequence: SlotSequence
    asked: Row
    end: int
    row: int
    place: tuple[int, int] | None = None
    span: Span | None = None
    """The picture that the row is a part of."""


Kept = Callable[[SlotSequence, int], None]
"""Told of a sequence with guesses how many of its tokens had been computed with all of them, right ones and wrong."""


class Slots:
    """`count` slots of a model that sees `context` tokens. Used from one thread."""

    def __init__(self, count: int, context: int, vocabulary: Vocabulary) -> None:
        self._context, self._vocabulary = context, vocabulary
        self._slots: list[SlotSequence | None] = [None] * count

    def __iter__(self) -> Iterator[SlotSequence]:
        return (sequence for sequence in self._slots if sequence is not None)

    def insert(self, spec: SequenceSpec) -> None:
        """Take a sequence in. Raises InvalidRequest, ContextOverflow or Unsupported; its slot then stays free."""
        if self._slots[spec.slot] is not None:
            raise InternalError(f"Slot {spec.slot} is taken.")
        words = tuple(token for token in spec.tokens if token >= 0) if spec.spans else spec.tokens
        self._check(spec.tokens, words)
        chain = spec.sampler
        if not isinstance(chain, Chain):
            chain = Chain(spec.sampling, spec.seed, self._vocabulary, self._context, words)
        self._slots[spec.slot] = SlotSequence(
            spec.slot, list(spec.tokens), chain, spec.guide, spec.top_logprobs, spec.spans
        )

    def amend(self, slot: int, count: int, tokens: Sequence[int]) -> SlotSequence:
        """See `StepBackend.amend`; what was computed is for the caller to cut."""
        sequence = self.of(slot)
        self._check(tokens, tokens, behind=count)
        sequence.tokens[count:] = tokens
        return sequence

    def _check(self, tokens: Sequence[int], words: Sequence[int], *, behind: int = 0) -> None:
        """A library may refuse a whole batch, other sequences and all, for one bad token."""
        if not words:
            raise InvalidRequest("There is nothing to generate from.", "The prompt holds no token.")
        if behind + len(tokens) > self._context:
            raise ContextOverflow(
                "The prompt does not fit the context window.",
                f"It has {behind + len(tokens)} tokens, the window {self._context}.",
            )
        if min(words) < 0 or max(words) >= self._vocabulary.size:
            raise InvalidRequest(
                "The prompt holds a token that the model does not have.",
                f"Its tokens are 0 to {self._vocabulary.size - 1}.",
                param="tokens",
            )

    def of(self, slot: int) -> SlotSequence:
        """The sequence in `slot`. Raises InternalError if there is none."""
        sequence = self._slots[slot]
        if sequence is None:
            raise InternalError(f"Slot {slot} holds no sequence.")
        return sequence

    def leave(self, slot: int) -> Chain:
        """Let the sequence of `slot` go; its sampler, with which it can come back."""
        chain = self.of(slot).chain
        self._slots[slot] = None
        return chain

    def clear(self) -> None:
        """Let all go, for good."""
        for sequence in self:
            sequence.chain.close()
        self._slots = [None] * len(self._slots)

    def results(self, moving: list[Moving], logits: Floats, kept: Kept) -> StepResult:
        """Draw where a sequence is at its end, and score the known tokens that were asked about."""
        drawn: list[Sampled] = []
        scored: list[Scored] = []
        failed: list[Failure] = []
        for each in moving:
            offset = 0
            if each.asked.scored:
                scored.append(self._score(each, logits))
                offset = each.asked.count - 1
            if each.end == len(each.sequence.tokens):
                try:
                    drawn += self._draw(each, offset, logits[each.row + offset :], kept)
                except HearthError as error:
                    failed.append(Failure(each.sequence.slot, error))
        return StepResult(Outcome.OK, tuple(drawn), tuple(scored), tuple(failed))

    def _draw(self, moved: Moving, offset: int, logits: Floats, kept: Kept) -> list[Sampled]:
        """The token after the sequence, and those after each guess that was the token drawn."""
        sequence, draft = moved.sequence, moved.asked.draft
        drawn: list[Sampled] = []
        known = len(sequence.tokens)
        for index in range(1 + len(draft)):
            place = (moved.place[0], moved.place[1] + offset + index) if moved.place is not None else None
            token = sequence.chain.sample(logits[index], sequence.guide, place=place)
            logprob = None
            if sequence.top_logprobs is not None:
                logprob = logprob_of(logits[index], token, sequence.top_logprobs, self._vocabulary.piece)
            sequence.tokens.append(token)
            drawn.append(Sampled(sequence.slot, token, logprob))
            if index == len(draft) or token != draft[index] or token in self._vocabulary.end_tokens:
                break
        if draft:
            sequence.computed = known + len(drawn) - 1
            kept(sequence, known + len(draft))
        return drawn

    def _score(self, moved: Moving, logits: Floats) -> Scored:
        """How likely each token after the first of the row was; the one after its last only where it is known."""
        tokens, count = moved.sequence.tokens, moved.asked.count
        start = moved.end - count + 1
        top = moved.sequence.top_logprobs or 0
        return Scored(
            moved.sequence.slot,
            start,
            tuple(
                logprob_of(logits[moved.row + index], token, top, self._vocabulary.piece)
                for index, token in enumerate(tokens[start : moved.end + 1])
            ),
        )
