"""The chain of samplers that all backends share leaves of any row what the formulas leave, with the same chances."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from engine.runtime.backends.sampling.candidates import Workbench
from engine.runtime.backends.sampling.chain import Chain
from engine.sampling import resolve
from engine.types import Sampling
from tests.parity.formulas import Candidates, distribution

SIZE = 60
PLAIN: dict[str, Any] = {"temperature": 1.0, "top_k": 0, "top_p": 1.0}


@dataclass
class Tokens:
    """A vocabulary of nothing but numbers."""

    size: int = SIZE
    end_tokens: tuple[int, ...] = (SIZE - 1,)
    suppressed: tuple[int, ...] = ()
    handle: int | None = None
    dry: None = None
    workbench: Workbench = field(default_factory=lambda: Workbench(SIZE))


VOCABULARY = Tokens()


def left(row: NDArray[np.float32], said: Sampling, history: Sequence[int]) -> dict[int, float]:
    """The chances of what the chain leaves to its last sampler, which draws."""
    chain = Chain(said, 1, VOCABULARY, 512, history)
    try:
        found = chain._shaped(row)
        if chain._is_greedy:
            return {chain.sample(row): 1.0}
    finally:
        chain.close()
    found = found[found["logit"] > -np.inf]
    kept = Candidates(found["id"].astype(np.int64), found["logit"].astype(np.float64))
    return {
        int(token): float(chance) for token, chance in zip(kept.ids, kept.chances, strict=True) if chance > 0
    }


def check(row: NDArray[np.float32], history: Sequence[int], **said: Any) -> None:
    sampling = resolve(PLAIN | said)
    expected = distribution(row, sampling, history)
    assert left(row, sampling, history) == pytest.approx(expected, abs=1e-5), said


CASES: tuple[dict[str, Any], ...] = (
    {},
    *({"temperature": value} for value in (0.0, 0.1, 0.7, 2.0)),
    *({"top_k": value} for value in (1, 3, SIZE - 1, SIZE, 500)),
    *({"top_p": value} for value in (0.0, 0.2, 0.7, 0.95)),
    *({"min_p": value} for value in (0.01, 0.3, 1.0)),
    *({"typical_p": value} for value in (0.2, 0.6, 0.95)),
    *({"top_n_sigma": value} for value in (0.5, 1.0, 2.0)),
    *({**each, "min_keep": 5} for each in ({"top_p": 0.1}, {"min_p": 0.9}, {"typical_p": 0.1}, {"top_k": 2})),
    {"temperature": 1.0, "dynatemp_range": 0.5},
    {"temperature": 0.8, "dynatemp_range": 2.0, "dynatemp_exponent": 2.5},
    {"xtc_probability": 1.0, "xtc_threshold": 0.05},
    {"xtc_probability": 1.0, "xtc_threshold": 0.3},
    {"xtc_probability": 1.0, "xtc_threshold": 0.6},
    {"repetition_penalty": 1.7},
    {"repetition_penalty": 0.5, "repeat_last_n": -1},
    {"repetition_penalty": 1.7, "repeat_last_n": 3},
    {"repetition_penalty": 1.7, "repeat_last_n": 0},
    {"presence_penalty": 1.5},
    {"presence_penalty": -1.5, "frequency_penalty": 0.4, "repeat_last_n": 10},
    {"frequency_penalty": 0.7, "repetition_penalty": 1.2, "temperature": 0.0},
    {"logit_bias": {3: 4.0, 9: -7.5}},
    {"logit_bias": {3: 4.0}, "banned_tokens": (3, 5, 8), "temperature": 0.0},
    {"typical_p": 0.6, "banned_tokens": (3, 5, 8)},
    {"typical_p": 0.6, "top_n_sigma": 1.5},
    {"typical_p": 0.6, "logit_bias": {3: 100.0, 4: 100.0, 5: 98.5, 6: -100.0}},
    {"top_k": 20, "top_p": 0.8, "min_p": 0.02, "temperature": 1.5},
    {"top_k": 20, "top_p": 0.8, "temperature": 1.5, "samplers": ("temperature", "top_p", "top_k")},
    {"top_k": 2, "min_p": 0.1, "samplers": ("min_p",)},
)


@pytest.mark.parametrize("said", CASES, ids=str)
def test_what_is_left_of_a_row_is_what_the_formula_leaves(said: dict[str, Any]) -> None:
    for seed in range(12):
        lots = np.random.default_rng(seed)
        row = (lots.standard_normal(SIZE) * lots.uniform(0.5, 4.0)).astype(np.float32)
        check(row, lots.integers(0, SIZE, 40).tolist(), **said)


@given(data=st.data())
def test_in_any_company(data: st.DataObject) -> None:
    """Several parameters at once, in the usual order and in others."""
    lots = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    row = (lots.standard_normal(SIZE) * 2).astype(np.float32)
    names = ("top_n_sigma", "top_k", "typical_p", "top_p", "min_p", "temperature", "penalties")
    said = {
        "temperature": data.draw(st.floats(0.1, 3.0)),
        "top_k": data.draw(st.integers(0, SIZE)),
        "top_p": data.draw(st.floats(0.1, 1.0)),
        "min_p": data.draw(st.floats(0.0, 0.5)),
        "typical_p": data.draw(st.floats(0.3, 1.0)),
        "top_n_sigma": data.draw(st.one_of(st.just(-1.0), st.floats(0.5, 3.0))),
        "repetition_penalty": data.draw(st.floats(0.8, 1.5)),
        "presence_penalty": data.draw(st.floats(-2.0, 2.0)),
        "samplers": data.draw(st.one_of(st.just(()), st.permutations(names).map(tuple))),
    }
    check(row, lots.integers(0, SIZE, 100).tolist(), **said)


@pytest.mark.parametrize("least", [{"seed": 3}, {"seed": 2**31}])
def test_a_draw_is_by_chance_alone(least: dict[str, Any]) -> None:
    """How often a token comes is its chance: over 4,000 seeds, five standard deviations around it."""
    row = np.full(SIZE, -30.0, np.float32)
    chances = {7: 0.5, 20: 0.3, 21: 0.15, 50: 0.05}
    for token, chance in chances.items():
        row[token] = np.log(chance)
    count = 4000
    drawn = np.zeros(SIZE)
    for seed in range(count):
        chain = Chain(resolve(PLAIN), least["seed"] + seed, VOCABULARY, 512, ())
        drawn[chain.sample(row)] += 1
        chain.close()
    for token, chance in chances.items():
        assert abs(drawn[token] - count * chance) < 5 * np.sqrt(count * chance * (1 - chance))


@pytest.mark.parametrize("tau", [0.5, 2.0, 4.0])
def test_mirostat_2_cuts_at_its_surprise_and_learns(tau: float) -> None:
    """Basu et al. 2021: mu begins at 2 tau and moves by eta times (surprise - tau); surprise in bits."""
    lots = np.random.default_rng(5)
    chain = Chain(
        resolve(PLAIN | {"mirostat": 2, "mirostat_tau": tau, "mirostat_eta": 0.3}), 9, VOCABULARY, 512, ()
    )
    mu = 2 * tau
    narrow = 0
    for _ in range(200):
        row = (lots.standard_normal(SIZE) * 2).astype(np.float32)
        found = Candidates.of(row.astype(np.float64))
        surprise = -np.log2(found.chances)
        kept = found.keep(np.arange(max(1, int((surprise <= mu).sum()))))
        narrow += len(kept.ids) < SIZE
        token = chain.sample(row)
        assert token in kept.ids
        seen = -np.log2(kept.chances[kept.ids.tolist().index(token)])
        mu -= 0.3 * (seen - tau)
    chain.close()
    assert narrow > 100
