"""Every sampler does what its name says, told from the raw distribution and from which tokens come."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import InvalidRequest
from engine.runtime.backends.base import Row
from engine.runtime.backends.llama.backend import LlamaBackend
from engine.runtime.backends.llama.library import native
from engine.runtime.backends.sampling.nucleus import nucleus
from tests.engine.llama.driving import distribution, first_tokens, generate, insert, opened
from tests.weights import Llama, write_llama

HOT = {"temperature": 1.0, "top_k": 0, "top_p": 1.0}


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LlamaBackend]:
    """A vocabulary of 6,000 tokens, where top-p alone takes the pre-cut."""
    path: Path = write_llama(tmp_path_factory.mktemp("wide") / "wide.gguf", Llama(vocabulary=6000))
    model = opened(path, slots=1, context=256)
    yield model
    model.close()


def head_of(full: dict[int, float], mass: float) -> set[int]:
    """The smallest set of best tokens that holds `mass`."""
    kept: set[int] = set()
    for token, logprob in full.items():
        kept.add(token)
        mass -= math.exp(logprob)
        if mass <= 0:
            break
    return kept


def test_temperature_spreads_the_draws(backend: LlamaBackend, prompt: list[int]) -> None:
    best = next(iter(distribution(backend, prompt)))
    assert first_tokens(backend, prompt, temperature=0.05) == {best}
    warm = first_tokens(backend, prompt, temperature=0.7)
    hot = first_tokens(backend, prompt, temperature=4.0)
    assert 1 < len(warm) < len(hot)


def test_one_seed_is_one_text_and_another_seed_another(backend: LlamaBackend, prompt: list[int]) -> None:
    for sampling in (HOT, {**HOT, "mirostat": 1}, {**HOT, "mirostat": 2}, {**HOT, "xtc_probability": 0.5}):
        for seed in (0, 5, 2**32 - 1):
            first = generate(backend, prompt, 30, seed=seed, **sampling)
            assert generate(backend, prompt, 30, seed=seed, **sampling) == first
            assert generate(backend, prompt, 30, seed=seed // 2 + 17, **sampling) != first


@pytest.mark.parametrize("presence", [0.0, 0.001])
def test_top_p_over_a_large_vocabulary(wide: LlamaBackend, presence: float) -> None:
    """The same nucleus with the pre-cut and, where a penalty stands before it, with the native sort."""
    prompt = wide.tokenize("A large vocabulary", add_special=True, parse_special=False)
    expected = head_of(distribution(wide, prompt), 0.5)
    assert len(expected) > 1
    drawn = first_tokens(wide, prompt, draws=400, top_p=0.5, temperature=5.0, presence_penalty=presence)
    assert drawn <= expected
    assert len(drawn) > len(expected) / 2
    same = [generate(wide, prompt, 20, seed=4, **{**HOT, "top_p": 0.9}) for _ in range(2)]
    assert same[0] == same[1]


@given(data=st.data())
def test_the_pre_cut_is_the_nucleus(data: st.DataObject) -> None:
    size = data.draw(st.integers(1, 400))
    spread = data.draw(st.floats(0.0, 30.0))
    row = np.random.default_rng(data.draw(st.integers(0, 2**32))).standard_normal(size) * spread
    row = row.astype(np.float32)
    p, min_keep = data.draw(st.floats(0.01, 0.99)), data.draw(st.integers(0, 20))
    weights = np.exp(row.astype(np.float64) - row.max())
    order = np.argsort(-weights)
    mass = np.cumsum(weights[order]) / weights.sum()
    found = nucleus(row, p, min_keep)
    kept = len(found)
    assert list(found["logit"]) == list(np.sort(row)[::-1][:kept])
    assert [row[token] for token in found["id"]] == list(found["logit"])
    assert kept >= min(size, max(1, min_keep))
    # As small as it can be, but for the rounding of single floats.
    assert kept == size or mass[kept - 1] >= p - 1e-4
    if kept > max(1, min_keep):
        assert mass[kept - 2] < p + 1e-4


@pytest.mark.parametrize("version", [1, 2])
def test_mirostat_aims_at_the_surprise_asked(backend: LlamaBackend, prompt: list[int], version: int) -> None:
    def surprise(tau: float) -> float:
        insert(backend, prompt, temperature=1.0, mirostat=version, mirostat_tau=tau, top_logprobs=0)
        total, rows = 0.0, len(prompt)
        for _ in range(150):
            logprob = backend.step([Row(0, rows)]).sampled[0].logprob
            rows = 1
            assert logprob is not None
            total -= logprob.logprob / math.log(2)
        backend.remove(0)
        return total / 150

    low, high = surprise(1.0), surprise(4.0)
    assert low < 1.8
    assert high > low + 0.5


# --- penalties: a token is lifted just above the others, then pushed down by its own repetition ---


def lift(backend: LlamaBackend, prompt: list[int], token: int, margin: float) -> dict[int, float]:
    """A bias that makes `token` the best after `prompt` by `margin` (natural-log units)."""
    full = distribution(backend, prompt)
    best = max(value for other, value in full.items() if other != token)
    return {token: best - full[token] + margin}


def test_repetition_penalty_counts_the_last_tokens_only(backend: LlamaBackend) -> None:
    token = ord("z")
    prompt = [*b"zabcdefgh"]
    bias = {token: 30.0}

    def drawn(**sampling: Any) -> int:
        return generate(backend, prompt, 1, logit_bias=bias, **sampling)[0]

    assert drawn() == token
    assert drawn(repetition_penalty=10.0, repeat_last_n=64) != token
    assert drawn(repetition_penalty=10.0, repeat_last_n=-1) != token
    assert drawn(repetition_penalty=10.0, repeat_last_n=4) == token
    assert drawn(repetition_penalty=10.0, repeat_last_n=0) == token


def test_repetition_penalty_sees_what_was_generated(backend: LlamaBackend, prompt: list[int]) -> None:
    bias = {ord("z"): 40.0}
    assert generate(backend, prompt, 6, logit_bias=bias) == [ord("z")] * 6
    once = generate(backend, prompt, 6, logit_bias=bias, repetition_penalty=10.0, repeat_last_n=-1)
    assert once.count(ord("z")) == 1
    again = generate(backend, prompt, 6, logit_bias=bias, repetition_penalty=10.0, repeat_last_n=1)
    assert again.count(ord("z")) == 3


def test_presence_and_frequency_penalties(backend: LlamaBackend) -> None:
    token = ord("z")
    for prompt, count in ([*b"abcz"], 1), ([*b"zzzzabcz"], 5):
        bias = lift(backend, prompt, token, margin=1.0)

        def drawn(prompt: list[int] = prompt, bias: dict[int, float] = bias, **sampling: Any) -> int:
            return generate(backend, prompt, 1, logit_bias=bias, **sampling)[0]

        assert drawn() == token
        assert drawn(presence_penalty=0.8) == token
        assert drawn(presence_penalty=1.2) != token
        assert (drawn(frequency_penalty=0.4) == token) is (count * 0.4 < 1.0)
    other = [*b"abcd"]
    bias = lift(backend, other, token, margin=1.0)
    sampling = {"presence_penalty": 2.0, "frequency_penalty": 2.0}
    assert generate(backend, other, 1, logit_bias=bias, **sampling) == [token]


def test_dry_breaks_a_repeated_sequence_unless_a_breaker_stands_in_it(backend: LlamaBackend) -> None:
    prompt = [*b"qwerty one qwert"]
    token = ord("y")
    bias = lift(backend, prompt, token, margin=2.0)

    def drawn(**sampling: Any) -> int:
        return generate(backend, prompt, 1, logit_bias=bias, **sampling)[0]

    assert drawn() == token
    assert drawn(dry_multiplier=4.0) != token
    assert drawn(dry_multiplier=4.0, dry_sequence_breakers=["t"]) == token
    assert drawn(dry_multiplier=4.0, dry_allowed_length=9) == token
    assert drawn(dry_multiplier=4.0, dry_penalty_last_n=5) == token
    assert drawn(dry_multiplier=4.0, dry_penalty_last_n=0) == token
    assert drawn(dry_multiplier=0.3, dry_base=1.0) == token
    assert drawn(dry_multiplier=0.3, dry_base=4.0) != token


def test_the_breakers_of_dry_are_looked_for_once(
    backend: LlamaBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    api, made = native(), list[tuple[int, ...]]()
    make = api.llama_sampler_init_dry

    def counted(*arguments: Any) -> Any:
        made.append(arguments)
        return make(*arguments)

    monkeypatch.setattr(api, "llama_sampler_init_dry", counted)
    prompt = [*b"qwerty one qwert"]

    def drawn(*breakers: str) -> list[int]:
        return generate(backend, prompt, 20, dry_multiplier=4.0, dry_sequence_breakers=list(breakers))

    first = drawn("n", "u")
    # None has seen what those before it were shown.
    assert [drawn("n", "u") for _ in range(3)] == [first] * 3
    assert len(made) == 1
    several = [drawn(chr(letter)) for letter in range(ord("a"), ord("p"))]
    assert [drawn(chr(letter)) for letter in range(ord("a"), ord("p"))] == several
    assert drawn("n", "u") == first


def test_penalties_hold_under_mirostat_too(backend: LlamaBackend, prompt: list[int]) -> None:
    sampling = {"temperature": 0.2, "mirostat": 2, "logit_bias": {ord("z"): 40.0}}
    assert generate(backend, prompt, 5, **sampling) == [ord("z")] * 5
    held = generate(backend, prompt, 5, **sampling, repetition_penalty=10.0)
    assert held.count(ord("z")) == 1


# --- biases and bans ---


def test_banned_tokens_never_come(backend: LlamaBackend, prompt: list[int]) -> None:
    free = generate(backend, prompt, 40, **HOT)
    banned = tuple(sorted(set(free[:10])))
    assert set(generate(backend, prompt, 100, **HOT, banned_tokens=banned)).isdisjoint(banned)
    everything_but_two = tuple(range(backend.facts.vocabulary - 2))
    assert set(generate(backend, prompt, 50, **HOT, banned_tokens=everything_but_two)) == {256, 257}


def test_ignore_eos_bans_every_end_of_generation(backend: LlamaBackend, prompt: list[int]) -> None:
    (eos,) = backend.facts.eos
    assert generate(backend, prompt, 2, logit_bias={eos: 100.0}) == [eos, eos]
    assert eos not in generate(backend, prompt, 20, logit_bias={eos: 100.0}, ignore_eos=True)


@pytest.mark.parametrize(
    ("param", "value"),
    [
        ("logit_bias", {5000: 1.0}),
        ("banned_tokens", (-3,)),
        ("banned_tokens", tuple(range(258))),
        ("samplers", ("top_k", "magic")),
        ("samplers", ("top_k", "top-k")),
    ],
)
def test_values_that_the_model_cannot_honour_are_named(
    backend: LlamaBackend, prompt: list[int], param: str, value: Any
) -> None:
    with pytest.raises(InvalidRequest) as raised:
        insert(backend, prompt, **{param: value})
    assert raised.value.param == param
    assert generate(backend, prompt, 1)


# --- order ---


def test_a_custom_order_applies_what_it_names_and_nothing_else(
    backend: LlamaBackend, prompt: list[int]
) -> None:
    full = list(distribution(backend, prompt))
    sampling: dict[str, Any] = {"temperature": 5.0, "top_k": 2, "min_p": 0.0}
    assert first_tokens(backend, prompt, **sampling) == set(full[:2])
    assert len(first_tokens(backend, prompt, **sampling, samplers=("temp", "min-p"))) > 40
