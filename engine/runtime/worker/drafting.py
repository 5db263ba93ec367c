"""Decides which guesses go into the next step: from where, and how many for each sequence.

They come from the text itself (`draft`), which costs nothing, or from a second model (`draft_model`), which does. Of
the two the one is asked that is likelier right. How many pay is told by what steps cost (`pace`). Guesses of the model
show their worth only where they are made: where they did not pay they are tried again now and then, ever less often.
"""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct
from msgspec.structs import replace

from engine.runtime.limits import Limits
from engine.runtime.worker.choice import Choice
from engine.runtime.worker.draft_model import DraftModel
from engine.runtime.worker.pace import Guesses, Pace
from engine.runtime.worker.scheduler import Running
from engine.runtime.worker.slots import Slots

_HOPE = 0.9
"""The chance of a guess of a model that has made none yet, or none for long."""
_WEIGHT = 0.15
_COMMON_WEIGHT = 0.1
_TRY_AFTER = 32
"""Tokens after which guesses that did not pay are tried again; twice as many after each try in vain."""
_TRY_AT_LAST = 1024
_TRIED = 2
"""Guesses of such a try."""


class _Luck(Struct):
    """How the model fares with one sequence."""

    choice: Choice
    chance: float
    """How likely a guess is right once those before it were."""
    last: int
    """How many tokens the sequence had when guesses were made for it last."""
    patience: int = _TRY_AFTER

    @property
    def is_due(self) -> bool:
        return len(self.choice.tokens) - self.last >= self.patience


class Drafting:
    """See the module. `trims`: whether the main model can be cut back, without which there are no guesses."""

    def __init__(self, limits: Limits, slots: Slots, model: DraftModel | None, *, trims: bool) -> None:
        self._most = limits.draft if trims else 0
        self._slots, self._model = slots, model
        self.pace = Pace()
        """What steps of the main model cost."""
        self._luck: dict[Choice, _Luck] = {}
        self._chance = _HOPE
        """That of a sequence of which nothing is known yet."""
        self._asked: frozenset[int] = frozenset()
        """Slots whose guesses in this step are the model's."""

    def guessed(self, running: list[Running]) -> list[Running]:
        """`running` with guesses for those that decode."""
        self._asked = frozenset()
        if not self._most:
            return running
        choices = {each.slot: self._slots.running[each.slot] for each in running if each.decoding}
        step = Guesses(self.pace, len(choices))
        found: dict[int, tuple[int, ...]] = {}
        # A step in which somebody reads takes no guesses.
        if self._model is not None and len(choices) == len(running):
            found = self._from_model(self._model, choices, step)
            self._asked = frozenset(found)
        for slot, choice in choices.items():
            if not found.get(slot) and choice.lookup is not None:
                known = choice.lookup.guess(max(0, min(self._most, choice.room - 1)))
                found[slot] = known[: step.count(choice.lookup.chance, len(known))]
                self._asked -= {slot}
        return [replace(each, draft=found[each.slot]) if found.get(each.slot) else each for each in running]

    def checked(self, slot: int, choice: Choice, sent: int, right: int) -> None:
        """Of `sent` guesses for `choice` in `slot` the first `right` were right."""
        if slot in self._asked:
            self._learn(self._luck_of(choice), sent, right)

    def _from_model(
        self, model: DraftModel, choices: Mapping[int, Choice], step: Guesses
    ) -> dict[int, tuple[int, ...]]:
        running = set(choices.values())
        model.settle(running)
        self._luck = {choice: luck for choice, luck in self._luck.items() if choice in running}
        found = {slot: kept for slot, choice in choices.items() if (kept := model.kept(choice))}
        asked: dict[int, _Luck] = {}
        for slot, choice in choices.items():
            luck = self._luck_of(choice)
            if slot not in found and not self._is_known(choice, luck):
                asked[slot] = luck
        hopes = [_HOPE if luck.is_due else luck.chance for luck in asked.values()]
        most = [
            min(model.most(luck.choice), _TRIED if luck.is_due else self._most) for luck in asked.values()
        ]
        counts = step.rounds(hopes, most, model.cost([luck.choice for luck in asked.values()]))
        requests = self._slots.requests
        wanted = {
            slot: (requests[luck.choice.key], luck.choice, count)
            for (slot, luck), count in zip(asked.items(), counts, strict=True)
            if count
        }
        if wanted:
            made = model.guess(wanted)
            for slot, guesses in made.items():
                if not guesses:
                    # It was not sure of one: as much in vain as a wrong one.
                    self._learn(asked[slot], 1, 0)
            found |= made
        return found

    def _is_known(self, choice: Choice, luck: _Luck) -> bool:
        """Whether the text itself is the better guide."""
        lookup = choice.lookup
        return lookup is not None and lookup.chance >= luck.chance and bool(lookup.guess(1))

    def _luck_of(self, choice: Choice) -> _Luck:
        luck = self._luck.get(choice)
        if luck is None:
            luck = self._luck[choice] = _Luck(choice, self._chance, len(choice.tokens))
        return luck

    def _learn(self, luck: _Luck, sent: int, right: int) -> None:
        for was_right in [True] * right + [False] * (right < sent):
            luck.chance += _WEIGHT * (was_right - luck.chance)
            self._chance += _COMMON_WEIGHT * (was_right - self._chance)
        luck.last = len(luck.choice.tokens)
        luck.patience = _TRY_AFTER if right else min(2 * luck.patience, _TRY_AT_LAST)
