"""A second, small model in the same process, which guesses what the main one says next (speculative decoding).

Its sequences follow those of the main model: they are cut back to where the two agree, and what they lack is computed,
for all of them in one step. Then it draws greedily, a token for each sequence a round, and stops early where it is not
sure itself. What it computed of beginnings is kept as the main model's is, on shelves of its own.

Nothing that goes wrong here may hurt an answer: then there are no guesses. After Leviathan et al. 2023 ("Fast Inference
from Transformers via Speculative Decoding"), with a check that draws as it would without guesses.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Set

import numpy as np
from msgspec import Struct, field

from engine.errors import HearthError
from engine.runtime.backends.base import Outcome, Row, Sampled, SequenceSpec, StepBackend
from engine.runtime.limits import Limits
from engine.runtime.worker.active import Active
from engine.runtime.worker.cache import Live, Marks, PrefixCache, Root
from engine.runtime.worker.choice import Choice
from engine.runtime.worker.pace import Pace
from engine.types import MemoryUse, Sampling

UNSURE = 0.3
"""The draft model's own probability of its token below which it stops guessing."""
_LEAST_ROOM = 256
"""KV cells that are freed at once."""
_MOST_FAILURES = 3
"""Steps that may fail in a row before there are no guesses any more."""


class _Followed(Struct, kw_only=True):
    """A sequence in a slot of the draft model."""

    choice: Choice
    slot: int
    root: Root
    shifts: int
    """How often the main sequence had been changed otherwise than at its end."""
    keeps: bool
    """Whether what is computed of it may be kept for others."""
    doubts: bool
    """Whether its probabilities say how sure the model is: biases are not in them."""
    tokens: list[int]
    """What the slot holds: the main sequence, and guesses behind it."""
    computed: int = 0
    sure: int = 0
    """How many tokens the main sequence had when it was looked at last."""
    guesses: list[int] = field(default_factory=list)


class DraftModel:
    """Owns `backend`, whose vocabulary is that of a main model with `vocabulary` tokens. For the runner's thread.

    `complain` takes a sentence for the log; without `caches` nothing is kept of a sequence that has ended.
    """

    def __init__(
        self,
        backend: StepBackend,
        limits: Limits,
        vocabulary: int,
        complain: Callable[[str], None],
        *,
        caches: bool = True,
    ) -> None:
        self._backend, self._limits, self._complain = backend, limits, complain
        self._vocabulary = vocabulary
        self._cache = PrefixCache(backend, None, enabled=caches)
        self._followed: dict[Choice, _Followed] = {}
        self._free = list(range(backend.facts.capabilities.max_slots))[::-1]
        self._given_up: set[Choice] = set()
        """Those that it cannot follow."""
        self._pace = Pace()
        self._failures = 0

    # --- what it may guess, and what that costs

    def settle(self, running: Set[Choice]) -> None:
        """Let go of every sequence that does not run any more."""
        try:
            for choice in self._followed.keys() - running:
                self._leave(self._followed[choice])
        except HearthError as error:
            self._start_anew(error)
        self._given_up &= running

    def most(self, choice: Choice) -> int:
        """How many tokens it could guess for `choice`: none where that holds pictures, which it does not see."""
        if self._failures >= _MOST_FAILURES or choice in self._given_up or choice.spans:
            return 0
        window = self._backend.facts.context
        return max(0, min(self._limits.draft, choice.room - 1, window - len(choice.tokens)))

    def cost(self, choices: Collection[Choice]) -> Callable[[int], float]:
        """What so many rounds for `choices` take, ns; nothing where that is not known, so that it is tried."""
        first = sum(self._lacks(choice) for choice in choices)
        later = self._pace.cost(len(choices)) or self._pace.cost(first) or 0.0
        opening = self._pace.cost(first) or later
        return lambda rounds: opening + (rounds - 1) * later

    def _lacks(self, choice: Choice) -> int:
        """How many tokens the first round for `choice` computes, if the last one was a moment ago."""
        followed = self._of(choice)
        return 1 if followed is None else min(2, max(1, len(choice.tokens) - followed.computed))

    def kept(self, choice: Choice) -> tuple[int, ...]:
        """The guesses that were made for `choice` as it stands, and not used."""
        followed = self._of(choice)
        return tuple(followed.guesses) if followed and followed.sure == len(choice.tokens) else ()

    def _of(self, choice: Choice) -> _Followed | None:
        followed = self._followed.get(choice)
        return followed if followed is not None and followed.shifts == choice.shifts else None

    # --- guessing

    def guess(self, wanted: Mapping[int, tuple[Active, Choice, int]]) -> dict[int, tuple[int, ...]]:
        """At most so many guesses for each choice, by the slot of the main model.

        One of which much has to be computed first is not in what it gives; one about which it is not sure has none
        there.
        """
        asked: dict[int, tuple[int, _Followed]] = {}
        """By slot of the draft model: that of the main model, and the sequence."""
        most: dict[int, int] = {}
        found: dict[int, tuple[int, ...]] = {}
        try:
            for slot, (active, choice, count) in wanted.items():
                followed = self._caught(active, choice)
                if followed is not None:
                    asked[followed.slot], most[followed.slot] = (slot, followed), count
            rows = self._first([followed for _, followed in asked.values()])
            while rows:
                drawn = self._step(rows, {slot: followed for slot, (_, followed) in asked.items()})
                rows = []
                for each in drawn:
                    slot, followed = asked[each.slot]
                    more = self._takes(followed, each) and len(followed.guesses) < most[each.slot]
                    found[slot] = tuple(followed.guesses)
                    if more:
                        rows.append(Row(each.slot, 1))
        except HearthError as error:
            self._given_up |= {choice for _, choice, _ in wanted.values()}
            self._start_anew(error)
        return found

    def _caught(self, active: Active, choice: Choice) -> _Followed | None:
        """The sequence of `choice`, brought up to it, with at least its last token to be computed."""
        followed = self._of(choice)
        try:
            if followed is None:
                return self._enter(active, choice)
            self._align(followed)
        except HearthError:
            # It holds a token, or needs a window, that this model has not.
            self._given_up.add(choice)
            return None
        return followed

    def _enter(self, active: Active, choice: Choice) -> _Followed | None:
        if choice in self._followed:
            self._leave(self._followed[choice])
        if not self._free:
            return None
        slot = self._free[-1]
        said, policy = active.work.sampling, active.work.request.cache
        greedy = Sampling(
            temperature=0.0,
            ignore_eos=said.ignore_eos,
            logit_bias=said.logit_bias,
            banned_tokens=said.banned_tokens,
        )
        self._backend.insert(
            SequenceSpec(slot=slot, tokens=tuple(choice.tokens), sampling=greedy, seed=0, top_logprobs=0)
        )
        self._free.pop()
        root = Root(caller=policy.salt)
        live = [
            Live(each.slot, each.root, _array(each, each.computed), each.computed, each.computed, False)
            for each in self._followed.values()
            if policy.read or each.choice.key == choice.key
        ]
        followed = self._followed[choice] = _Followed(
            choice=choice,
            slot=slot,
            root=root,
            shifts=choice.shifts,
            keeps=policy.write,
            doubts=not said.logit_bias,
            tokens=list(choice.tokens),
            sure=len(choice.tokens),
        )
        hit = self._cache.find(root, choice.array(), live, shelves=policy.read)
        if hit.holder is not None and hit.count:
            self._backend.share(hit.holder, slot, 0, hit.count)
            followed.computed = hit.count
        return followed

    def _align(self, followed: _Followed) -> None:
        """Cut the sequence back to where it agrees with the main one, and let that follow."""
        held, known = followed.tokens, followed.choice.tokens
        same, most = followed.sure, min(len(held), len(known))
        while same < most and held[same] == known[same]:
            same += 1
        # What follows the last token is wanted, so that one is computed in any case.
        same = min(same, len(known) - 1)
        self._backend.amend(followed.slot, same, known[same:])
        held[same:] = known[same:]
        followed.computed = min(followed.computed, same)
        followed.sure = len(known)
        followed.guesses = []

    def _first(self, asked: Collection[_Followed]) -> list[Row]:
        """What the sequences lack, those first that lack least; a long text is read in chunks, one a step."""
        left = self._limits.chunk if len(asked) == 1 else self._limits.busy_chunk
        left = min(max(left, 2 * len(asked)), self._backend.batch_limit)
        rows = []
        for each in sorted(asked, key=lambda each: len(each.tokens) - each.computed):
            count = min(len(each.tokens) - each.computed, left)
            if count:
                rows.append(Row(each.slot, count))
                left -= count
        return rows

    def _step(self, rows: list[Row], asked: Mapping[int, _Followed]) -> Iterable[Sampled]:
        tokens = sum(row.count for row in rows)
        started = time.monotonic_ns()
        result = self._backend.step(rows)
        if result.outcome is Outcome.NO_SLOT:
            if not self._cache.give_room(max(tokens, _LEAST_ROOM)):
                # The others have room without it.
                last = asked[rows[-1].slot]
                self._given_up.add(last.choice)
                self._leave(last)
            return ()
        if result.outcome is not Outcome.OK:
            return ()
        self._failures = 0
        for row in rows:
            asked[row.slot].computed += row.count
        if all(row.count <= 2 for row in rows):
            self._pace.took(tokens, time.monotonic_ns() - started)
        return result.sampled

    def _takes(self, followed: _Followed, drawn: Sampled) -> bool:
        """Whether what was drawn is a guess; nothing is guessed behind one that is none."""
        followed.tokens.append(drawn.token)
        unsure = followed.doubts and drawn.logprob is not None and math.exp(drawn.logprob.logprob) < UNSURE
        if unsure or drawn.token in self._backend.facts.eos or drawn.token >= self._vocabulary:
            return False
        followed.guesses.append(drawn.token)
        return True

    # --- its sequences and its memory

    def _leave(self, followed: _Followed) -> None:
        """Take a sequence out of its slot; what it has computed of the main one is kept for others."""
        count = min(followed.computed, followed.sure)
        if followed.keeps and count:
            tokens = _array(followed, count)
            self._cache.keep(followed.slot, followed.root, tokens, prompt=count, marks=Marks())
        self._backend.remove(followed.slot)
        del self._followed[followed.choice]
        self._free.append(followed.slot)

    def _start_anew(self, error: HearthError) -> None:
        """Something went wrong with the model: it begins again with nothing, unless that happens all the time."""
        self._failures += 1
        said = error.info.sentence()
        try:
            self.rebuild()
        except HearthError as worse:
            self._failures = _MOST_FAILURES
            said = f"{said} {worse.info.sentence()}"
        end = " It guesses no more." if self._failures >= _MOST_FAILURES else ""
        self._complain(f"The draft model {self._backend.facts.name} failed.{end} {said}")

    def rebuild(self) -> None:
        """Make its context anew, empty. Raises what opening it raises."""
        self._forget()
        self._backend.rebuild()

    def shrink(self) -> None:
        """Free everything but the weights, until `rebuild`."""
        self._forget()
        self._backend.shrink()

    def _forget(self) -> None:
        self._cache.forget()
        self._free += [each.slot for each in self._followed.values()]
        self._followed.clear()

    def memory(self) -> MemoryUse:
        return self._backend.memory()

    def close(self) -> None:
        self._followed.clear()
        self._backend.close()


def _array(followed: _Followed, count: int) -> np.typing.NDArray[np.int32]:
    return np.array(followed.tokens[:count], np.int32)
