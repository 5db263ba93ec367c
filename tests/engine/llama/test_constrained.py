"""Output under a constraint: drawn as the chain draws, from what the guide allows."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest

from engine.errors import InvalidRequest
from engine.prompt.grammar import grammar_of
from engine.runtime.backends.guide import Guide
from engine.types import Constraint
from tests.engine.llama.decoding import Decoder
from tests.engine.prompt.judging import fits
from tests.weights import Llama, tiny_llama, write_llama

HOT = {"temperature": 1.0, "top_k": 0, "top_p": 1.0}
SCHEMA = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "maxLength": 8},
        "age": {"type": "integer", "minimum": 0, "maximum": 130},
        "tags": {"type": "array", "items": {"enum": ["a", "b", None]}, "maxItems": 3},
    },
    "required": ["name", "age"],
    "additionalProperties": False,
}
NESTED = re.compile(r"(?:\((?:\(x\)|x)\)|x)(?:\+(?:\((?:\(x\)|x)\)|x)){0,2}")


@pytest.fixture(scope="module")
def decoder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Decoder]:
    with Decoder.opened(tiny_llama(tmp_path_factory.mktemp("constrained"))) as model:
        yield model


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Decoder]:
    """A vocabulary of 6,000 tokens, pairs of characters among them, where top-p alone takes the pre-cut."""
    path: Path = write_llama(tmp_path_factory.mktemp("wide") / "wide.gguf", Llama(vocabulary=6000))
    with Decoder.opened(path) as model:
        yield model


@pytest.fixture
def prompt(decoder: Decoder) -> list[int]:
    return decoder.vocabulary.tokenize("The hearth is warm.", add_special=True, parse_special=False)


def constrained(kind: Any, value: Any = None) -> str:
    return grammar_of(Constraint(kind=kind, value=value))


KINDS: dict[str, tuple[str, Callable[[str], bool]]] = {
    "json": (constrained("json"), lambda text: isinstance(json.loads(text), dict)),
    "schema": (constrained("schema", SCHEMA), lambda text: fits(json.loads(text), SCHEMA)),
    "regex": (constrained("regex", r"[a-c]{2,5}-\d+(é|😀)?"), re.compile(r"[a-c]{2,5}-\d+(é|😀)?").fullmatch),
    "grammar": (
        constrained("grammar", 'root ::= t ("+" t){0,2}\nt ::= "(" u ")" | "x"\nu ::= "(x)" | "x"'), NESTED.fullmatch
    ),
    "choice": (constrained("choice", ["yes", "yes, but", "no"]), {"yes", "yes, but", "no"}.__contains__),
}  # type: ignore[dict-item]  # fmt: skip
SAMPLINGS: dict[str, dict[str, Any]] = {
    "greedy": {"temperature": 0.0},
    "greedy with a penalty": {"temperature": 0.0, "repetition_penalty": 1.3},
    "house": {},
    "hot": HOT,
    "very hot": {"temperature": 3.0, "top_k": 0, "top_p": 0.95},
    "one token in sight": {"top_k": 1, "temperature": 1.0},
    "mirostat": {"mirostat": 2, "temperature": 1.0},
    "mirostat 1": {"mirostat": 1, "temperature": 1.0},
    "xtc": {**HOT, "xtc_probability": 0.5},
    "all of them": {
        "temperature": 1.2, "dynatemp_range": 0.3, "top_k": 50, "top_p": 0.9, "min_p": 0.01, "typical_p": 0.95,
        "top_n_sigma": 3.0, "repetition_penalty": 1.1, "frequency_penalty": 0.2, "dry_multiplier": 0.8, "min_keep": 2,
    },
}  # fmt: skip


# --- what comes out


@pytest.mark.parametrize("sampling", SAMPLINGS)
@pytest.mark.parametrize("kind", KINDS)
def test_what_ends_by_itself_fits(decoder: Decoder, prompt: list[int], kind: str, sampling: str) -> None:
    grammar, is_right = KINDS[kind]
    ended = 0
    for seed in range(4):
        guide = decoder.guide(grammar)
        tokens = decoder.generate(prompt, 300, guide, seed=seed, **SAMPLINGS[sampling])
        if len(tokens) < 300:
            assert guide.ended
            assert is_right(decoder.text(tokens)), decoder.text(tokens)
            ended += 1
    # A random model that is sure of itself may go round in circles, inside a string or in ever deeper lists.
    assert ended or sampling not in ("hot", "very hot", "mirostat", "xtc")


def test_a_model_that_would_say_something_else_is_held(decoder: Decoder, prompt: list[int]) -> None:
    grammar = KINDS["choice"][0]
    sampling = {"temperature": 5.0, "top_k": 0, "top_p": 1.0}
    for seed in range(3):
        assert bytes(decoder.generate(prompt, 3, seed=seed, **sampling)) not in (b"yes", b"no")
    found = {
        decoder.text(decoder.generate(prompt, 20, decoder.guide(grammar), seed=seed, **sampling))
        for seed in range(60)
    }
    assert found == {"yes", "yes, but", "no"}


def test_the_pre_cut_over_a_large_vocabulary_is_held(wide: Decoder) -> None:
    prompt = wide.vocabulary.tokenize("A large vocabulary", add_special=True, parse_special=False)
    for sampling in (
        {"top_k": 0, "top_p": 0.5, "temperature": 2.0},
        {"top_k": 0, "top_p": 0.99, "temperature": 5.0},
    ):
        for seed in range(10):
            guide = wide.guide(KINDS["regex"][0])
            tokens = wide.generate(prompt, 40, guide, seed=seed, **sampling)
            if len(tokens) < 40:
                assert KINDS["regex"][1](wide.text(tokens))


# --- how it is drawn


class Anything:
    """A guide that allows all and notes what it is told."""

    ends = ()

    def __init__(self) -> None:
        self.accepted: list[int] = []

    def allows(self, token: int) -> bool:
        return True

    def mask(self) -> np.ndarray[Any, Any]:
        return np.ones(258, np.bool_)

    def accept(self, token: int) -> None:
        self.accepted.append(token)


@pytest.mark.parametrize("sampling", SAMPLINGS)
def test_a_guide_that_allows_everything_changes_nothing(
    decoder: Decoder, prompt: list[int], sampling: str
) -> None:
    for seed in (0, 7, 2**32 - 1):
        free = decoder.generate(prompt, 60, seed=seed, **SAMPLINGS[sampling])
        guide: Any = Anything()
        guided = decoder.generate(prompt, 60, guide, seed=seed, **SAMPLINGS[sampling])
        assert guided == free
        assert guide.accepted[: len(free)] == free


@pytest.mark.parametrize("sampling", SAMPLINGS)
def test_one_seed_is_one_constrained_text_and_another_seed_another(
    decoder: Decoder, prompt: list[int], sampling: str
) -> None:
    grammar = constrained("regex", "[a-z ]{60}")

    def text(seed: int) -> str:
        return decoder.text(
            decoder.generate(prompt, 60, decoder.guide(grammar), seed=seed, **SAMPLINGS[sampling])
        )

    assert text(5) == text(5)
    by_lot = not sampling.startswith("greedy") and sampling != "one token in sight"
    assert (len({text(seed) for seed in range(5)}) > 1) is by_lot


def shares(draw: Callable[[int], int], draws: int) -> Counter[int]:
    return Counter(draw(seed) for seed in range(draws))


def first(decoder: Decoder, row: Any, guide: Any, seed: int, **sampling: Any) -> int:
    chain = decoder.chain(seed=seed, **sampling)
    try:
        return chain.sample(row, guide, place=(decoder.context, -1))
    finally:
        chain.close()


class Masked:
    """A guide that allows `mask`; `says` answers for single tokens, so that a draw is either checked or never right."""

    ends = ()
    may_end = False

    def __init__(self, mask: Any, *, checks: bool) -> None:
        self._mask, self._checks = mask, checks

    def allows(self, token: int) -> bool:
        return self._checks and bool(self._mask[token])

    def mask(self) -> Any:
        return self._mask

    def accept(self, token: int) -> None:
        assert self._mask[token]


@pytest.mark.parametrize(
    "sampling",
    [
        HOT,
        {"temperature": 2.0, "top_k": 0, "top_p": 1.0},
        {**HOT, "top_k": 40},
        {**HOT, "top_p": 0.8},
        {**HOT, "min_p": 0.05},
    ],
)
def test_drawing_first_and_asking_then_draws_as_often_as_masking_first(
    decoder: Decoder, prompt: list[int], sampling: dict[str, Any]
) -> None:
    """Against the chain's own distribution, given that the token is allowed: chi-squared over 4,000 seeds each."""
    row = decoder.start(prompt).copy()
    order = np.argsort(-row)
    mask = np.zeros(len(row), np.bool_)
    mask[order[[1, 2, 4, 7, 30, 100]]] = True
    expected = conditional(row, mask, **sampling)
    draws = 4000
    for checks in (True, False):
        guide = Masked(mask, checks=checks)
        found = shares(lambda seed, guide=guide: first(decoder, row, guide, seed, **sampling), draws)
        assert set(found) <= set(expected)
        terms = [
            (found[token] - draws * share) ** 2 / (draws * share)
            for token, share in expected.items()
            if share * draws > 5
        ]
        # The 99.9 % quantile of chi-squared for five degrees of freedom.
        assert sum(terms) < 20.5, (checks, found, expected)


def conditional(row: Any, mask: Any, **sampling: Any) -> dict[int, float]:
    """The distribution of the sampling over `row`, given `mask`, worked out by hand."""
    weights = np.exp((row.astype(np.float64) - row.max()) / sampling["temperature"])
    order = np.argsort(-row)
    plain = np.exp(row.astype(np.float64) - row.max())
    keep = np.ones(len(row), np.bool_)
    if sampling["top_k"]:
        keep[order[sampling["top_k"] :]] = False
    if sampling["top_p"] < 1:
        mass = np.cumsum(plain[order]) / plain.sum()
        keep[order[np.searchsorted(mass, sampling["top_p"]) + 1 :]] = False
    if "min_p" in sampling:
        keep &= plain >= sampling["min_p"]
    weights = np.where(keep & mask, weights, 0.0)
    assert weights.sum() > 0
    return {int(token): float(weights[token] / weights.sum()) for token in np.flatnonzero(weights)}


def test_where_the_chain_leaves_nothing_allowed_it_begins_anew_with_what_is(
    decoder: Decoder, prompt: list[int]
) -> None:
    row = decoder.start(prompt).copy()
    order = np.argsort(-row)
    mask = np.zeros(len(row), np.bool_)
    mask[order[[50, 60, 70]]] = True
    guide = Masked(mask, checks=True)
    for sampling in ({**HOT, "top_k": 5}, {**HOT, "top_p": 0.3}, {**HOT, "min_p": 0.5}, {"temperature": 0.0}):
        found = {first(decoder, row, guide, seed, **sampling) for seed in range(60)}
        assert found <= set(order[[50, 60, 70]].tolist())
        assert int(order[50]) in found
    assert {
        first(
            decoder,
            row,
            guide,
            seed,
            **HOT,
        )
        for seed in range(200)
    } == set(order[[50, 60, 70]].tolist())


def test_penalties_count_an_emitted_token_once_and_a_refused_one_never(decoder: Decoder) -> None:
    """`z` is best, then `y`; only `x` and `y` are allowed. The window must see y, x, y, x, not z."""
    row = np.zeros(258, np.float32)
    row[[ord("z"), ord("y"), ord("x")]] = 9.0, 6.0, 5.5
    allowed = np.zeros(258, np.bool_)
    allowed[[ord("x"), ord("y")]] = True
    for sampling in (
        {"temperature": 0.0, "presence_penalty": 1.0, "repeat_last_n": 1},
        {"temperature": 0.01, "presence_penalty": 1.0, "repeat_last_n": 1, "top_k": 0, "top_p": 1.0},
        {"temperature": 0.01, "presence_penalty": 1.0, "repeat_last_n": 1, "top_k": 2},
    ):
        chain = decoder.chain(**sampling)
        guide = Masked(allowed, checks=True)
        drawn = [chain.sample(row, guide, place=(decoder.context, -1)) for _ in range(6)]
        assert bytes(drawn) == b"yxyxyx", sampling
        chain.close()


@pytest.mark.parametrize("version", [1, 2])
def test_mirostat_learns_from_the_token_that_came(decoder: Decoder, version: int) -> None:
    """Held to tokens that surprise nobody, its target rises until it takes everything in; so it does unguided."""
    row = np.zeros(258, np.float32)
    row[:40] = np.linspace(4.0, 0.0, 40)
    allowed = np.zeros(258, np.bool_)
    allowed[:40] = True
    sampling = {"temperature": 1.0, "mirostat": version, "mirostat_tau": 3.0, "mirostat_eta": 0.3}
    chain = decoder.chain(seed=3, **sampling)
    only = np.where(allowed, row, -np.inf).astype(np.float32)
    free = decoder.chain(seed=3, **sampling)
    everything = Masked(allowed, checks=True)
    found = [chain.sample(row, everything, place=(decoder.context, -1)) for _ in range(60)]
    expected = [free.sample(only, everything, place=(decoder.context, -1)) for _ in range(60)]
    assert found == expected
    assert len(set(found)) > 3
    chain.close()
    free.close()


def test_the_logits_stay_as_the_model_gave_them(decoder: Decoder, prompt: list[int]) -> None:
    for sampling in SAMPLINGS.values():
        row = decoder.start(prompt)
        before = row.copy()
        first(decoder, row, decoder.guide(KINDS["choice"][0]), 1, **sampling)
        assert np.array_equal(row, before)


# --- ends


def test_where_nothing_can_follow_the_output_ends_even_if_its_end_is_banned(
    decoder: Decoder, prompt: list[int]
) -> None:
    (end,) = decoder.vocabulary.end_tokens
    for sampling in (HOT, {"temperature": 0.0}, {"mirostat": 2}, {}):
        for ban in ({"ignore_eos": True}, {"banned_tokens": (end,)}, {"logit_bias": {end: -100.0}}):
            guide = decoder.guide(constrained("choice", ["ab"]))
            tokens = decoder.generate(prompt, 20, guide, **sampling, **ban)
            assert decoder.text(tokens) == "ab"
            assert guide.ended


def test_an_end_that_is_banned_is_put_off_while_something_can_follow(
    decoder: Decoder, prompt: list[int]
) -> None:
    guide = decoder.guide(constrained("regex", "[a-z]{1,30}"))
    tokens = decoder.generate(prompt, 60, guide, ignore_eos=True, **HOT)
    assert len(tokens) == 30


def test_where_all_that_may_follow_is_banned_the_request_ends_with_an_error(
    decoder: Decoder, prompt: list[int]
) -> None:
    for sampling in (HOT, {"temperature": 0.0}, {"mirostat": 2}, {}):
        with pytest.raises(InvalidRequest, match="leaves no token to sample") as raised:
            decoder.generate(
                prompt,
                20,
                decoder.guide(constrained("choice", ["ab"])),
                banned_tokens=(ord("b"),),
                **sampling,
            )
        assert raised.value.param == "constraint"


# --- a trained model, whose tokenizer puts a blank before every text


@pytest.fixture(scope="module")
def stories(shared_data: Path) -> Iterator[Decoder]:
    with Decoder.opened(shared_data / "models" / "stories260K-F16.gguf") as model:
        yield model


def test_a_story_teller_is_held_to_a_constraint(stories: Decoder) -> None:
    prompt = stories.vocabulary.tokenize("Once upon a time", add_special=True, parse_special=False)
    sentence = constrained("regex", r"[A-Z][a-z]+( [a-z]+){2,6}\.")
    for seed in range(5):
        text = stories.text(stories.generate(prompt, 60, stories.guide(sentence), seed=seed))
        assert re.fullmatch(r"[A-Z][a-z]+( [a-z]+){2,6}\.", text)
        guide = stories.guide(KINDS["schema"][0])
        text = stories.text(stories.generate(prompt, 400, guide, seed=seed, **HOT))
        assert guide.ended
        assert fits(json.loads(text), SCHEMA)


def test_forced_text_is_tokens_as_they_go_on_and_not_as_they_begin(stories: Decoder) -> None:
    guide = stories.guide('start: "once upon a time, " /[a-z]/')
    text = b""
    while tokens := guide.forced():
        for token in tokens:
            assert guide.mask()[token]
            assert guide.allows(token)
            guide.accept(token)
            text += stories.vocabulary.piece(token)
    assert b"once upon a time,".startswith(text)
    assert len(text) > 10


def test_what_the_mask_allows_is_allowed_by_itself(stories: Decoder) -> None:
    guide = stories.guide(KINDS["schema"][0])
    for _ in range(40):
        found = np.flatnonzero(guide.mask())
        assert all(guide.allows(int(token)) for token in found)
        guide.accept(int(found[len(found) // 2]))


# --- the vocabulary


def test_a_token_table_holds_the_bytes_of_the_output(wide: Decoder) -> None:
    table = wide.vocabulary.token_table()
    assert len(table.pieces) == 6000
    assert table.ends == wide.vocabulary.end_tokens
    assert table.special == {5998, 5999}
    assert table.pieces[5998:] == [b"<|bos|>", b"<|eos|>"]
    assert [table.pieces[token] for token in range(5998)] == [
        wide.vocabulary.piece(token) for token in range(5998)
    ]
    assert list(table.tokenize('!"é'.encode())) == wide.vocabulary.tokenize(
        '!"é', add_special=False, parse_special=False
    )
    assert list(table.tokenize(b"<|eos|>")) != [5999]


def test_tags_and_unseen_tokens_are_special_and_other_added_tokens_are_text(tmp_path: Path) -> None:
    kinds = {
        0: gguf.TokenType.UNKNOWN,
        1: gguf.TokenType.USER_DEFINED,
        2: gguf.TokenType.USER_DEFINED,
        3: gguf.TokenType.UNUSED,
    }
    path = write_llama(tmp_path / "kinds.gguf", Llama(vocabulary=300))
    reader = gguf.GGUFReader(path, "r+")
    types = reader.fields["tokenizer.ggml.token_type"]
    for token, kind in kinds.items():
        types.parts[types.data[256 + token]][0] = kind
    del reader, types
    with Decoder.opened(path) as decoder:
        table = decoder.vocabulary.token_table()
        assert 256 in table.special
        assert 257 not in table.special
        assert {298, 299} <= table.special
        guide: Guide = decoder.guide(r"start: /(.|\n)+/")
        assert not guide.allows(256)
        assert guide.allows(257)
        assert not guide.allows(298)
