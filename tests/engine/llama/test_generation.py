"""Batching changes nothing: however a prompt is cut and whoever shares the step, the same tokens come out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from engine.errors import ContextOverflow, InternalError, InvalidRequest
from engine.runtime.backends.base import Outcome, Row, SequenceSpec
from engine.runtime.backends.llama.backend import LlamaBackend
from engine.sampling import resolve
from tests.engine.llama.driving import distribution, generate, generate_together, insert, opened, prefill

STORY = "Once upon a time, there was a little girl named Lily. She loved to play outside in the park."


def test_a_trained_model_tells_its_story(shared_data: Path) -> None:
    for name in ("F16", "Q8_0"):
        model = opened(shared_data / "models" / f"stories260K-{name}.gguf", slots=1)
        start = model.tokenize("Once upon a time", add_special=True, parse_special=False)
        text = b"".join(map(model.piece, [*start, *generate(model, start, 60)])).decode()
        model.close()
        assert text.lstrip().startswith(STORY)


def test_sequences_in_one_batch_write_what_each_writes_alone(backend: LlamaBackend) -> None:
    prompts = [
        backend.tokenize(text, add_special=True, parse_special=False)
        for text in ("a", "Hello there", "0123456789" * 8, "x = [1, 2, 3]\n")
    ]
    drawn: dict[str, Any] = {"temperature": 1.0, "top_k": 20, "repetition_penalty": 1.2, "seed": 7}
    for sampling in ({}, drawn):
        alone = [generate(backend, prompt, 40, **sampling) for prompt in prompts]
        assert generate_together(backend, prompts, 40, **sampling) == alone


@pytest.mark.parametrize("chunk", [1, 7, 64, 199])
def test_a_prompt_computed_in_chunks_gives_what_it_gives_whole(backend: LlamaBackend, chunk: int) -> None:
    prompt = backend.tokenize("many words " * 18, add_special=True, parse_special=False)
    assert generate(backend, prompt, 20, chunk=chunk) == generate(backend, prompt, 20)


def test_prefill_and_decode_share_a_step(backend: LlamaBackend, prompt: list[int]) -> None:
    long = backend.tokenize("another voice " * 12, add_special=True, parse_special=False)
    expected = generate(backend, prompt, 12), generate(backend, long, 1)
    insert(backend, prompt, slot=0)
    insert(backend, long, slot=2)
    first = [prefill(backend, 0, len(prompt))]
    second: list[int] = []
    left = len(long)
    while len(first) < 12:
        rows = [Row(0, 1)] + ([Row(2, min(17, left))] if left else [])
        left -= min(17, left)
        for sampled in backend.step(rows).sampled:
            (first if sampled.slot == 0 else second).append(sampled.token)
    backend.remove(0)
    backend.remove(2)
    assert (first, second) == expected


def test_no_room_leaves_everything_as_it_was(tiny: Path) -> None:
    """Two sequences outgrow the 256 cells of their cache; the one that stays ends as if it had been alone."""
    model = opened(tiny, slots=2, context=128, batch=128)
    prompts = [list(range(33, 33 + 120)), list(range(60, 60 + 110))]
    expected = generate(model, prompts[0], 60)
    for slot, tokens in enumerate(prompts):
        insert(model, tokens, slot=slot)
    found = [prefill(model, slot, len(prompts[slot])) for slot in (0, 1)][:1]
    outcome = Outcome.OK
    while outcome is Outcome.OK:
        result = model.step([Row(0, 1), Row(1, 1)])
        outcome = result.outcome
        found += [sampled.token for sampled in result.sampled if sampled.slot == 0]
    assert outcome is Outcome.NO_SLOT
    assert len(found) < 60
    assert model.step([Row(0, 1), Row(1, 1)]).outcome is Outcome.NO_SLOT
    model.remove(1)
    while len(found) < 60:
        found.append(model.step([Row(0, 1)]).sampled[0].token)
    model.close()
    assert found == expected


def test_logprobs_are_those_of_the_raw_distribution(backend: LlamaBackend, prompt: list[int]) -> None:
    full = distribution(backend, prompt)
    assert sum(2.718281828459045**value for value in full.values()) == pytest.approx(1.0, abs=1e-6)
    assert list(full.values()) == sorted(full.values(), reverse=True)
    # Truncation and temperature leave the figures alone.
    insert(backend, prompt, top_logprobs=3, temperature=2.0, top_k=2)
    drawn = backend.step([Row(0, len(prompt))]).sampled[0]
    backend.remove(0)
    assert drawn.logprob is not None
    assert drawn.logprob.logprob == pytest.approx(full[drawn.token])
    assert drawn.logprob.piece == backend.piece(drawn.token)
    assert [each.token for each in drawn.logprob.top] == list(full)[:3]


def test_what_cannot_be_honoured_is_refused_and_the_slot_stays_free(
    backend: LlamaBackend, prompt: list[int]
) -> None:
    spec = SequenceSpec(slot=0, tokens=tuple(prompt), sampling=resolve({}), seed=1)
    for tokens, error in (
        ((), InvalidRequest),
        ((1, 99_999), InvalidRequest),
        ((1, -5), InvalidRequest),
        (tuple([1] * 257), ContextOverflow),
    ):
        with pytest.raises(error):
            backend.insert(SequenceSpec(slot=0, tokens=tokens, sampling=spec.sampling, seed=1))
    assert len(generate(backend, prompt, 3)) == 3


def test_a_step_beyond_the_known_tokens_is_refused(backend: LlamaBackend, prompt: list[int]) -> None:
    expected = generate(backend, prompt, 1)
    insert(backend, prompt)
    with pytest.raises(InternalError):
        backend.step([Row(0, len(prompt) + 1)])
    with pytest.raises(InternalError):
        backend.step([Row(1, 1)])
    assert [prefill(backend, 0, len(prompt))] == expected
    backend.remove(0)


@example("\x00\x01")
@example("ab\x00\x01\x00\x01cd")
@given(text=st.text(st.characters(exclude_categories=["Cs"]), max_size=60))
def test_tokens_spell_the_text_they_were_made_of(backend: LlamaBackend, text: str) -> None:
    tokens = backend.tokenize(text, add_special=False, parse_special=False)
    assert b"".join(map(backend.piece, tokens)) == text.encode()


def test_control_tokens_are_read_only_when_asked_and_write_nothing(backend: LlamaBackend) -> None:
    eos = backend.facts.eos[0]
    assert backend.tokenize("<|eos|>", add_special=False, parse_special=True) == [eos]
    assert eos not in backend.tokenize("<|eos|>", add_special=False, parse_special=False)
    assert backend.piece(eos) == b""
    assert backend.special_text(eos) == "<|eos|>"
    assert backend.tokenize("a", add_special=True, parse_special=False)[0] == backend.facts.bos
    assert backend.tokenize("\ud800", add_special=False, parse_special=False) == [ord("?")]
