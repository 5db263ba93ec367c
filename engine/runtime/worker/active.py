"""A request inside a worker: its choices and its account (moments, tokens), ended by one terminal event."""

from __future__ import annotations

import time

from engine.errors import HearthError
from engine.runtime.backends.base import StepBackend
from engine.runtime.wire import Item, Notice, Piece, Submit
from engine.runtime.worker.cache import Root
from engine.runtime.worker.choice import Choice
from engine.runtime.worker.draft import Lookup
from engine.runtime.worker.intake import Prepared
from engine.types import (
    Admitted,
    CacheMiss,
    Done,
    DoneReason,
    Failed,
    Timings,
    TokenLogprob,
    Usage,
)

SEEDS = 1 << 32
MOST_LOSSES = 4
"""How often a request may be there when a step breaks, if it makes progress in between."""


class Active:
    """Times are ns of the monotonic clock, 0 where the moment has not come."""

    def __init__(
        self, work: Submit, prepared: Prepared, order: int, backend: StepBackend, *, draft: int
    ) -> None:
        request = work.request
        facts = backend.facts
        self.work = work
        self.order = order
        self.priority = request.priority
        self.client = request.client
        self.root = Root(backend.adapter_identity(work.adapters), request.cache.salt)
        self.position = 0
        self.limit = prepared.limit
        self.prepared = prepared
        self.scored = request.logprobs is not None and request.logprobs.prompt
        """Whether the probabilities of the prompt are wanted, so that all of it has to be computed."""
        self.cached = 0
        self.drafted = self.accepted = 0
        self.losses = 0
        """How often it was running when the state of all sequences was lost."""
        self.suspect = False
        """Whether it was, and has not drawn a token since."""
        self._scores: list[TokenLogprob | None] = [None]
        self._miss: CacheMiss | None = None
        self._backend_name = facts.capabilities.backend
        self._context = facts.context
        self._echo = request.echo
        ends = {*request.stop_tokens, *(() if work.sampling.ignore_eos else facts.eos)}
        self.choices = [
            Choice(
                key=work.key,
                index=index,
                prompt=prepared.tokens,
                seed=(work.seed + index) % SEEDS,
                piece=backend.piece,
                visible=prepared.visible,
                ends=ends,
                stops=(*request.stop, *prepared.stops),
                reader=prepared.reader() if prepared.reader is not None else None,
                limit=prepared.limit,
                context=facts.context,
                shifts=request.overflow == "shift",
                keep_ids=request.return_tokens,
                show_reasoning=request.thinking.visible,
                guide=None if prepared.guide is None else prepared.guide.fork(),
                lookup=Lookup(prepared.tokens) if draft else None,
                spans=prepared.spans,
            )
            for index in range(request.n)
        ]
        self._admitted = self._first_prefill = self._first_token = self._last_token = 0

    @property
    def waits(self) -> bool:
        """Whether no choice has had a slot yet."""
        return self._admitted == 0

    @property
    def finished(self) -> bool:
        return all(choice.finished for choice in self.choices)

    def admit(self, now: int, cached: int, miss: CacheMiss | None) -> list[Item]:
        """The first choice has a slot, with `cached` tokens in it; nothing for the others."""
        if self._admitted:
            return []
        self._admitted, self.cached, self._miss = now, cached, miss
        return self._admission(now) if self.scored_all else []

    def score(self, start: int, logprobs: tuple[TokenLogprob, ...], now: int) -> list[Item]:
        """The probabilities of the prompt's tokens from `start` on; with the last of them it is admitted."""
        if self.scored_all or start > len(self._scores):
            return []
        # A preempted choice reads some of it again.
        self._scores += logprobs[len(self._scores) - start :]
        del self._scores[len(self.prepared.tokens) :]
        return self._admission(now) if self.scored_all else []

    @property
    def scored_all(self) -> bool:
        """Whether no probability of the prompt is missing that was asked for."""
        return not self.scored or len(self._scores) >= len(self.prepared.tokens)

    def _admission(self, now: int) -> list[Item]:
        prepared = self.prepared
        items: list[Item] = [
            Notice(
                self.work.key,
                Admitted(
                    t_ns=now,
                    prompt_tokens=len(prepared.tokens),
                    cached_tokens=self.cached,
                    miss=self._miss,
                    dropped_messages=prepared.dropped_messages,
                    dropped_tokens=prepared.dropped_tokens,
                    prompt_logprobs=tuple(self._scores) if self.scored else None,
                    context=self._context,
                ),
            )
        ]
        if self._echo:
            items += [Piece(self.work.key, now, each.index, False, prepared.text, 0) for each in self.choices]
        return items

    def started(self, now: int) -> None:
        """A step with rows of this request begins."""
        self._first_prefill = self._first_prefill or now

    def lost(self) -> bool:
        """The state of all sequences was lost while it ran. Whether it may start again."""
        self.losses += 1
        again = not self.suspect and self.losses < MOST_LOSSES
        self.suspect = True
        return again

    def sampled(self, now: int) -> None:
        """A token was drawn for it."""
        self.suspect = False
        self._first_token = self._first_token or now
        self._last_token = now

    def done(self, reason: DoneReason, now: int) -> Notice:
        return Notice(
            self.work.key,
            Done(
                t_ns=now,
                reason=reason,
                usage=self._usage(),
                timings=self._timings(now),
                seed=self.work.seed,
                model=self.work.request.model,
                adapters=self.work.adapters,
                backend=self._backend_name,
            ),
        )

    def failed(self, error: HearthError, now: int) -> Notice:
        return Notice(
            self.work.key,
            Failed(t_ns=now, error=error.info, usage=self._usage(), timings=self._timings(now)),
        )

    def _usage(self) -> Usage:
        return Usage(
            prompt_tokens=len(self.prepared.tokens),
            image_tokens=sum(span.count for span in self.prepared.spans),
            cached_tokens=self.cached,
            completion_tokens=sum(choice.generated for choice in self.choices),
            reasoning_tokens=sum(choice.reasoning_tokens for choice in self.choices),
            draft_accepted=self.accepted,
            draft_rejected=self.drafted - self.accepted,
        )

    @property
    def served_s(self) -> float:
        """Seconds since it was admitted."""
        return (time.monotonic_ns() - self._admitted) / 1e9 if self._admitted else 0.0

    def _timings(self, now: int) -> Timings:
        return Timings(
            submitted=self.work.submitted,
            admitted=self._admitted,
            first_prefill=self._first_prefill,
            first_token=self._first_token,
            last_token=self._last_token,
            ended=now,
            load=self.work.load,
        )
