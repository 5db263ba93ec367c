"""A request inside a worker: its choices and its account (moments, tokens), ended by one terminal event."""

from __future__ import annotations

from engine.errors import HearthError
from engine.runtime.backends.base import StepBackend
from engine.runtime.choice import Choice
from engine.runtime.intake import Prepared
from engine.runtime.wire import Item, Notice, Piece, Submit
from engine.types import Admitted, Done, DoneReason, Failed, Timings, Usage

SEEDS = 1 << 32


class Active:
    """Times are ns of the monotonic clock, 0 where the moment has not come."""

    def __init__(self, work: Submit, prepared: Prepared, order: int, backend: StepBackend) -> None:
        request = work.request
        facts = backend.facts
        self.work = work
        self.order = order
        self.priority = request.priority
        self.position = 0
        self.limit = prepared.limit
        self._prepared = prepared
        self._backend_name = facts.capabilities.backend
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
                splitter=prepared.splitter() if prepared.splitter is not None else None,
                limit=prepared.limit,
                context=facts.context,
                shifts=request.overflow == "shift",
                keep_ids=request.return_tokens,
                show_reasoning=request.thinking.visible,
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

    def admitted(self, now: int, context: int) -> list[Item]:
        """The first choice has a slot; nothing for the others."""
        if self._admitted:
            return []
        self._admitted = now
        prepared = self._prepared
        items: list[Item] = [
            Notice(
                self.work.key,
                Admitted(
                    t_ns=now,
                    prompt_tokens=len(prepared.tokens),
                    dropped_messages=prepared.dropped_messages,
                    dropped_tokens=prepared.dropped_tokens,
                    context=context,
                ),
            )
        ]
        if self._echo:
            items += [Piece(self.work.key, now, each.index, False, prepared.text, 0) for each in self.choices]
        return items

    def started(self, now: int) -> None:
        """A step with rows of this request begins."""
        self._first_prefill = self._first_prefill or now

    def sampled(self, now: int) -> None:
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
            prompt_tokens=len(self._prepared.tokens),
            completion_tokens=sum(choice.generated for choice in self.choices),
            reasoning_tokens=sum(choice.reasoning_tokens for choice in self.choices),
        )

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
