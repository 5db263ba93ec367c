"""The engine's side of one runner, driven turn by turn in this process: ticket, wire, runner, backend and back."""

from __future__ import annotations

from pathlib import Path

from msgspec.structs import replace

from engine.runtime.backends import opener
from engine.runtime.backends.base import LoadSpec, StepBackend
from engine.runtime.limits import Limits
from engine.runtime.ticket import Ticket
from engine.runtime.wire import Item, Piece, StepFrame, Submit, encode, engine_side, worker_side
from engine.runtime.worker.cache import PrefixCache
from engine.runtime.worker.draft_model import DraftModel
from engine.runtime.worker.kvstore import KvStore
from engine.runtime.worker.runner import StepRunner
from engine.sampling import resolve
from engine.stream import EventStream
from engine.types import Admitted, Delta, Done, GenerationRequest, LoadOptions, StreamEvent, TokenLogprob

LIMITS = Limits(chunk=32, busy_chunk=8, answer_reserve=16)
OPTIONS = LoadOptions(context=128, slots=3, batch=64, threads=1, batch_threads=1)


def load(name: str, path: str, options: LoadOptions = OPTIONS) -> StepBackend:
    """A loaded model, small enough that its limits are met; a library of folders is asked what it can honour."""
    if name in ("transformers", "mlx"):
        options = replace(options, threads=None, batch_threads=None, flash_attention=None)
    return opener(name, lambda level, text: None)(
        LoadSpec(model="m", path=path, options=options), lambda stage, fraction: True
    )


CLOSE = 1e-3
"""Tokens nearer to one another than this, natural log."""


class Answer:
    """The events of one request, taken apart."""

    def __init__(self, events: list[StreamEvent]) -> None:
        self.events = events
        assert isinstance(events[-1], Done), events[-1]
        self.usage = events[-1].usage
        self.admitted = next(event for event in events if isinstance(event, Admitted))
        self.text = "".join(event.text for event in events if isinstance(event, Delta))

    def tokens(self, choice: int = 0) -> list[int]:
        """The ids of a choice; asked for by `logprobs`."""
        return [each.token for each in self._logprobs(choice)]

    def clear(self, choice: int = 0) -> list[int]:
        """The same up to the first of which the two best are as good as equal: sums may be made in another order."""
        probabilities = [[each.logprob for each in said.top] for said in self._logprobs(choice)]
        close = (place for place, (best, second) in enumerate(probabilities) if best - second < CLOSE)
        return self.tokens(choice)[: next(close, None)]

    def _logprobs(self, choice: int) -> list[TokenLogprob]:
        return [
            said
            for event in self.events
            if isinstance(event, Delta) and event.choice == choice
            for said in event.logprobs
        ]

    @property
    def cached(self) -> int:
        return self.admitted.cached_tokens


class Desk:
    """The engine's side of one runner, driven turn by turn. With a `folder`, prefixes outlive it.

    `draft` guesses for `backend`; what it says of failures is in `complaints`.
    """

    def __init__(
        self,
        backend: StepBackend,
        limits: Limits = LIMITS,
        *,
        folder: Path | None = None,
        draft: StepBackend | None = None,
        helpers: int = 0,
    ) -> None:
        self.tickets: dict[int, Ticket] = {}
        self.items: list[Item] = []
        self._from_worker = engine_side()
        self._to_worker = worker_side()
        self.complaints: list[str] = []
        store = None
        if folder is not None:
            store = KvStore(
                folder,
                1 << 30,
                lambda: backend.identity,
                lambda: self.runner.poke(),
                self.complaints.append,
            )
        self.cache = PrefixCache(backend, store)
        vocabulary = backend.facts.vocabulary
        guesser = DraftModel(draft, limits, vocabulary, self.complaints.append) if draft is not None else None
        self.runner = StepRunner(
            backend,
            limits,
            self._take,
            lambda reply: None,
            cache=self.cache,
            draft=guesser,
            helpers=helpers,
        )

    def submit(self, request: GenerationRequest) -> Ticket:
        key = len(self.tickets) + 1
        ticket = Ticket(key, request, EventStream(str(key), lambda: None), lambda ticket: None)
        self.tickets[key] = ticket
        work = Submit(
            key=key,
            request=request,
            sampling=resolve(request.sampling),
            seed=ticket.seed,
            adapters=request.adapters or (),
            submitted=ticket.submitted,
        )
        for frame in self._to_worker.feed(encode(work)):
            assert isinstance(frame, Submit)
            self.runner.submit(frame)
        return ticket

    def run(self) -> None:
        """Until every request has ended."""
        while self.busy:
            self.runner.turn()

    def answer(self, request: GenerationRequest) -> Answer:
        """Submit a request and run until everything has ended."""
        ticket = self.submit(request)
        self.run()
        return Answer(ticket.stream.drain())

    @property
    def busy(self) -> bool:
        return any(ticket.terminal is None for ticket in self.tickets.values())

    def _take(self, items: list[Item]) -> None:
        for frame in self._from_worker.feed(encode(StepFrame(items))):
            assert isinstance(frame, StepFrame)
            self.items += frame.items
            for item in frame.items:
                ticket = self.tickets[item.key]
                if isinstance(item, Piece):
                    ticket.take_piece(item)
                else:
                    ticket.take(item.event)
