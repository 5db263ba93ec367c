"""State that is shared, kept, cut, saved and read back changes no answer: greedy tokens are those of a fresh start."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from engine.errors import InternalError
from engine.runtime.backends.base import Row
from engine.runtime.backends.llama.backend import LlamaBackend
from engine.types import EmbedRequest
from tests.engine.llama.driving import generate, insert, opened, prefill
from tests.weights import tiny_gemma, tiny_hybrid, tiny_llama, tiny_mamba

MODELS: dict[str, Callable[[Path], Path]] = {
    "llama": tiny_llama,
    "gemma": tiny_gemma,
    "mamba": tiny_mamba,
    "hybrid": tiny_hybrid,
}
CUTTABLE = ("llama", "gemma")
"""Gemma slides over windows of 32 tokens, less than half of TEXT."""


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("state")
    return {name: write(folder) for name, write in MODELS.items()}


def load(path: Path) -> LlamaBackend:
    """Without flash attention, which computes in half precision and rounds otherwise for other chunks."""
    return opened(path, slots=3, context=256, batch=256, flash_attention=False)


@pytest.fixture(scope="module", params=MODELS)
def model(request: pytest.FixtureRequest, files: dict[str, Path]) -> Iterator[LlamaBackend]:
    made = load(files[request.param])
    yield made
    made.close()


@pytest.fixture(scope="module", params=CUTTABLE)
def cuttable(request: pytest.FixtureRequest, files: dict[str, Path]) -> Iterator[LlamaBackend]:
    made = load(files[request.param])
    yield made
    made.close()


TEXT = [*b"All happy families are alike; every unhappy family is unhappy in its own way."]
SHELF = 3
"""The first shelf behind three slots."""


def go_on(backend: LlamaBackend, slot: int, left: int, count: int) -> list[int]:
    """`count` tokens of the sequence in `slot`, of which `left` known ones are not computed yet; frees it."""
    found = [prefill(backend, slot, left)]
    while len(found) < count:
        found.append(backend.step([Row(slot, 1)]).sampled[0].token)
    backend.remove(slot)
    return found


def compute(backend: LlamaBackend, slot: int, tokens: list[int]) -> None:
    """Compute all of `tokens` in `slot`, and no more."""
    insert(backend, [*tokens, 33], slot=slot)
    backend.step([Row(slot, len(tokens))])


def test_a_prompt_goes_on_from_a_shelf(model: LlamaBackend) -> None:
    expected = generate(model, TEXT, 12)
    compute(model, 0, TEXT[:50])
    model.share(0, SHELF, 0, 50)
    model.remove(0)
    for slot in (0, 2):
        insert(model, TEXT, slot=slot)
        model.share(SHELF, slot, 0, 50)
    assert go_on(model, 0, len(TEXT) - 50, 12) == expected
    assert go_on(model, 2, len(TEXT) - 50, 12) == expected, "the shelf has changed under nobody"
    model.cut(SHELF, 0)


def test_a_sequence_that_still_runs_can_be_kept_meanwhile(model: LlamaBackend) -> None:
    expected = generate(model, TEXT, 12)
    compute(model, 1, TEXT[:-1])
    model.share(1, SHELF, 0, len(TEXT) - 1)
    model.remove(1)
    insert(model, TEXT, slot=1)
    model.share(SHELF, 1, 0, len(TEXT) - 1)
    assert go_on(model, 1, 1, 12) == expected
    insert(model, TEXT, slot=0)
    model.share(SHELF, 0, 0, len(TEXT) - 1)
    assert go_on(model, 0, 1, 12) == expected
    model.cut(SHELF, 0)


def test_a_saved_state_is_read_back_by_another_context(model: LlamaBackend) -> None:
    expected = generate(model, TEXT, 12)
    compute(model, 0, TEXT[:60])
    model.share(0, SHELF, 0, 60)
    model.remove(0)
    state = bytes(model.save(SHELF, 60))
    model.rebuild()
    model.restore(SHELF, state, 60)
    insert(model, TEXT, slot=2)
    model.share(SHELF, 2, 0, 60)
    assert go_on(model, 2, len(TEXT) - 60, 12) == expected
    model.cut(SHELF, 0)


def test_a_state_that_is_damaged_is_refused(model: LlamaBackend) -> None:
    compute(model, 0, TEXT[:40])
    model.share(0, SHELF, 0, 40)
    model.remove(0)
    state = bytes(model.save(SHELF, 40))
    for wrong, count in ((state[:-9], 40), (state[: len(state) // 2], 40), (b"", 40), (state, 41)):
        with pytest.raises(InternalError):
            model.restore(SHELF + 1, wrong, count)
    model.restore(SHELF + 1, state, 40)
    model.cut(SHELF, 0)
    model.cut(SHELF + 1, 0)


def test_after_a_rebuild_everything_is_empty_and_works(model: LlamaBackend) -> None:
    expected = generate(model, TEXT, 8)
    compute(model, 0, TEXT)
    model.rebuild()
    assert generate(model, TEXT, 8) == expected
    model.shrink()
    assert model.memory().kv_cache == model.memory().compute == 0 < model.memory().weights
    # The next request may be one for vectors, and it is put together before there is a context again.
    assert not model.texts.embed_job(EmbedRequest(model="m", inputs=("a text",)), ()).done
    model.rebuild()
    assert model.memory().kv_cache > 0
    assert generate(model, TEXT, 8) == expected


def test_a_suspended_sequence_draws_on_as_if_it_had_never_been_away(model: LlamaBackend) -> None:
    warm = {"temperature": 1.0, "top_k": 0, "repetition_penalty": 1.3, "seed": 5}
    expected = generate(model, TEXT, 20, **warm)
    insert(model, TEXT, slot=1, **warm)
    found = [prefill(model, 1, len(TEXT))]
    while len(found) < 9:
        found.append(model.step([Row(1, 1)]).sampled[0].token)
    sampler = model.suspend(1)
    insert(model, [*TEXT, *found], slot=0, sampler=sampler, **warm)
    assert [*found, *go_on(model, 0, len(TEXT) + 9, 11)] == expected


def test_a_part_of_a_shelf_serves_another_prompt(cuttable: LlamaBackend) -> None:
    other = [*TEXT[:30], *b" and all the rest is something else"]
    expected = generate(cuttable, other, 12)
    compute(cuttable, 0, TEXT)
    cuttable.share(0, SHELF, 0, len(TEXT))
    cuttable.remove(0)
    insert(cuttable, other, slot=1)
    cuttable.share(SHELF, 1, 0, 30)
    assert go_on(cuttable, 1, len(other) - 30, 12) == expected
    cuttable.cut(SHELF, 10)
    insert(cuttable, other, slot=1)
    with pytest.raises(InternalError):
        cuttable.share(SHELF, 1, 0, 30)
    cuttable.share(SHELF, 1, 0, 10)
    assert go_on(cuttable, 1, len(other) - 10, 12) == expected
    cuttable.cut(SHELF, 0)


def test_slots_share_with_one_another_only_what_they_have_in_common(cuttable: LlamaBackend) -> None:
    other = [*TEXT[:30], *b" and all the rest is something else"]
    expected = generate(cuttable, TEXT, 12), generate(cuttable, other, 12)
    insert(cuttable, TEXT, slot=0)
    cuttable.step([Row(0, 40)])
    insert(cuttable, other, slot=1)
    with pytest.raises(InternalError):
        cuttable.share(0, 1, 0, 31)
    with pytest.raises(InternalError):
        cuttable.share(0, 1, 0, 41)
    cuttable.share(0, 1, 0, 30)
    first = go_on(cuttable, 0, len(TEXT) - 40, 12)
    assert (first, go_on(cuttable, 1, len(other) - 30, 12)) == expected


@pytest.mark.parametrize("name", ["mamba", "hybrid"])
def test_a_state_that_cannot_be_cut_is_not_cut(name: str, files: dict[str, Path]) -> None:
    model = load(files[name])
    compute(model, 0, TEXT)
    model.share(0, SHELF, 0, len(TEXT))
    assert not model.cuttable(SHELF) and not model.facts.capabilities.trim
    insert(model, TEXT, slot=1)
    with pytest.raises(InternalError):
        model.share(SHELF, 1, 0, 10)
    with pytest.raises(InternalError):
        model.cut(SHELF, 10)
    model.close()


def test_guesses_change_no_answer_and_right_ones_save_steps(cuttable: LlamaBackend) -> None:
    expected = generate(cuttable, TEXT, 20)
    insert(cuttable, TEXT)
    found = [prefill(cuttable, 0, len(TEXT))]
    steps = 0
    while len(found) < 20:
        # Three right ones and one wrong.
        draft = [*expected[len(found) : len(found) + 3], 7][: 19 - len(found)]
        result = cuttable.step([Row(0, 1, tuple(draft))])
        assert 1 <= len(result.sampled) <= 1 + len(draft)
        found += [sampled.token for sampled in result.sampled]
        steps += 1
    cuttable.remove(0)
    assert found == expected
    assert steps == 5


def test_known_tokens_are_scored_as_they_would_have_been_drawn(cuttable: LlamaBackend) -> None:
    """Each token of a prompt has the probability that it had where it could have been drawn."""
    insert(cuttable, TEXT, slot=1, top_logprobs=2)
    scores = {}
    done = 0
    while done < len(TEXT):
        count = min(cuttable.output_limit, len(TEXT) - done)
        result = cuttable.step([Row(1, count, scored=True)])
        (scored,) = result.scored
        scores |= {scored.start + index: each for index, each in enumerate(scored.logprobs)}
        done += count
    cuttable.remove(1)
    assert [each.token for each in result.sampled] == generate(cuttable, TEXT, 1)
    assert sorted(scores) == list(range(1, len(TEXT)))
    for place in (1, 20, len(TEXT) - 1):
        insert(cuttable, TEXT[:place], top_logprobs=cuttable.facts.vocabulary)
        drawn = cuttable.step([Row(0, place)]).sampled[0].logprob
        cuttable.remove(0)
        assert drawn is not None and scores[place].token == TEXT[place]
        known = {each.token: each.logprob for each in drawn.top}
        assert scores[place].logprob == pytest.approx(known[TEXT[place]], abs=3e-3), "GELU rounds"
        assert [each.token for each in scores[place].top] == [each.token for each in drawn.top[:2]]
