"""A sampling parameter means the same on every backend: its formula, on the logits that the bare library computes.

What is drawn is known beforehand: a seed draws from the formula's distribution as the shared chain does (which
`test_formulas` holds against the formulas), whatever library computed the row.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from engine.runtime.backends.sampling.candidates import Workbench
from engine.runtime.backends.sampling.chain import Chain
from engine.runtime.backends.sampling.dry import DrySamplers
from engine.sampling import resolve
from engine.types import Sampling
from tests.parity.bare import END, VOCABULARY, Bare
from tests.parity.formulas import distribution
from tests.parity.subject import LOAD, Subject

PLAIN: dict[str, Any] = {"temperature": 1.0, "top_k": 0, "top_p": 1.0, "seed": 11}
QUESTION = "red blue red green red blue red, what comes next?"
DRAWS, LENGTH = 4, 4

CASES: dict[str, dict[str, Any]] = {
    "temperature": {"temperature": 1.8},
    "greedy": {"temperature": 0.0},
    "dynatemp_range": {"temperature": 1.5, "dynatemp_range": 1.0},
    "dynatemp_exponent": {"temperature": 1.5, "dynatemp_range": 1.0, "dynatemp_exponent": 0.4},
    "top_k": {"top_k": 3, "temperature": 3.0},
    "top_p": {"top_p": 0.8, "temperature": 3.0},
    "min_p": {"min_p": 0.04, "temperature": 3.0},
    "typical_p": {"typical_p": 0.6, "temperature": 2.0},
    "top_n_sigma": {"top_n_sigma": 1.0, "temperature": 3.0},
    "min_keep": {"top_p": 0.05, "min_keep": 4, "temperature": 4.0},
    "repetition_penalty": {"repetition_penalty": 1.5},
    "repeat_last_n": {"repetition_penalty": 1.5, "repeat_last_n": 8},
    "presence_penalty": {"presence_penalty": 2.0},
    "frequency_penalty": {"frequency_penalty": 1.5, "repeat_last_n": -1},
    "xtc_probability": {"xtc_probability": 1.0, "xtc_threshold": 0.2},
    "xtc_threshold": {"xtc_probability": 1.0, "xtc_threshold": 0.05},
    "seed": {"seed": 2**40 + 3},
    "logit_bias": {"logit_bias": {1780: 3.0, 308: -5.0}},
    "banned_tokens": {"banned_tokens": (308, 1780)},
    "ignore_eos": {"ignore_eos": True, "logit_bias": {END: 50.0}},
    "samplers": {"temperature": 3.0, "min_p": 0.04, "samplers": ("temperature", "min_p")},
}
"""One case or more for each field, by the field that makes it."""
BY_LOT: dict[str, dict[str, Any]] = {
    "mirostat": {"mirostat": 1},
    "mirostat_tau": {"mirostat": 2, "mirostat_tau": 1.0},
    "mirostat_eta": {"mirostat": 2, "mirostat_tau": 1.0, "mirostat_eta": 0.9},
    "half_xtc": {"xtc_probability": 0.5, "xtc_threshold": 0.05},
    "dry_multiplier": {"dry_multiplier": 1.5},
    "dry_base": {"dry_multiplier": 0.8, "dry_base": 3.0},
    "dry_allowed_length": {"dry_multiplier": 1.5, "dry_allowed_length": 1},
    "dry_penalty_last_n": {"dry_multiplier": 1.5, "dry_penalty_last_n": 9},
    "dry_sequence_breakers": {"dry_multiplier": 1.5, "dry_sequence_breakers": (" red",)},
}
"""Those whose formula has a state, or draws lots of its own."""


@dataclass
class Tokens:
    """The starter model's vocabulary, as far as samplers ask."""

    handle: int | None
    size: int = VOCABULARY
    end_tokens: tuple[int, ...] = (END,)
    suppressed: tuple[int, ...] = ()
    dry: DrySamplers | None = None
    workbench: Workbench = field(default_factory=lambda: Workbench(VOCABULARY))


class Reference:
    """Draws from a bare library's logits."""

    def __init__(self, bare: Bare) -> None:
        dry = DrySamplers(bare.handle) if bare.handle is not None else None
        self._bare, self._tokens = bare, Tokens(bare.handle, dry=dry)
        self._rows: dict[tuple[int, ...], NDArray[np.float32]] = {}

    def row(self, tokens: Sequence[int]) -> NDArray[np.float32]:
        """The logits after `tokens`."""
        if tuple(tokens) not in self._rows:
            self.read(tokens, 1)
        return self._rows[tuple(tokens)]

    def read(self, tokens: Sequence[int], last: int) -> None:
        """Compute the rows after each of the `last` of `tokens` in one go."""
        if tuple(tokens) not in self._rows:
            rows = self._bare.logits(tokens)
            for end in range(len(tokens) - last, len(tokens)):
                self._rows[tuple(tokens[: end + 1])] = rows[end].copy()

    def drawn(self, prompt: Sequence[int], said: Sampling, seed: int) -> list[int]:
        """At most `LENGTH` tokens, the end token left out."""
        chain = Chain(said, seed, self._tokens, LOAD.context or 0, prompt)
        found: list[int] = []
        try:
            while len(found) < LENGTH:
                token = chain.sample(self.row([*prompt, *found]))
                if token == END:
                    break
                found.append(token)
        finally:
            chain.close()
        return found


@pytest.fixture(scope="module")
def reference_of(bare_of: Callable[..., Bare]) -> Callable[[Subject], Reference]:
    found: dict[str, Reference] = {}
    return lambda subject: found.setdefault(subject.backend, Reference(bare_of(subject.backend)))


async def answers(subject: Subject, said: dict[str, Any]) -> list[list[int]]:
    heard = await subject.hear(QUESTION, sampling=said, n=DRAWS, max_tokens=LENGTH, return_tokens=True)
    assert heard.done.seed == said["seed"] % 2**32
    return [heard.tokens(choice) for choice in range(DRAWS)]


def test_every_parameter_has_its_case() -> None:
    assert CASES.keys() | BY_LOT.keys() >= set(Sampling.__struct_fields__)


@pytest.mark.parametrize("name", [*CASES, *BY_LOT])
async def test_it_draws_what_the_formula_says(
    ember: Subject, bare_of: Callable[..., Bare], reference_of: Callable[[Subject], Reference], name: str
) -> None:
    said = PLAIN | (CASES | BY_LOT)[name]
    if not {field for field in said if said[field] != getattr(Sampling(), field)} <= ember.can.sampling:
        pytest.skip(f"{ember.backend} refuses it by name, as test_refusals has it")
    prompt = bare_of(ember.backend).prompt(QUESTION)
    reference, sampling = reference_of(ember), resolve(said)
    found = await answers(ember, said)
    for tokens in found:
        reference.read([*prompt, *tokens], LENGTH + 1)
    seed = said["seed"] % 2**32
    assert found == [reference.drawn(prompt, sampling, seed + draw) for draw in range(DRAWS)]
    if name in CASES:
        plain = distribution(reference.row(prompt), resolve(PLAIN), prompt)
        for tokens in found:
            for place, token in enumerate([*tokens, END][:LENGTH]):
                before = [*prompt, *tokens[:place]]
                assert token in distribution(reference.row(before), sampling, before)
        assert name == "seed" or distribution(reference.row(prompt), sampling, prompt) != plain


async def test_what_is_certain(ember: Subject) -> None:
    """The ends of each scale, where one token alone is left: the best."""
    best = (await ember.hear(QUESTION, return_tokens=True, max_tokens=LENGTH)).tokens()
    for said in ({"top_k": 1}, {"top_p": 0.0}, {"min_p": 1.0}, {"temperature": 1e-4}, {"top_n_sigma": 1e-3}):
        assert await answers(ember, PLAIN | {"temperature": 2.0} | said) == [best] * DRAWS, said
    for said in ({"banned_tokens": tuple(best)}, {"logit_bias": dict.fromkeys(best, -100.0)}):
        for tokens in await answers(ember, PLAIN | said):
            assert not set(tokens) & set(best)
    assert await answers(ember, PLAIN | {"logit_bias": {best[0]: 100.0}}) == [best[:1] * LENGTH] * DRAWS
