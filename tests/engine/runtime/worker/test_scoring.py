"""How likely a prompt was, token by token, whatever else runs beside it."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.runtime.backends.base import StepBackend
from engine.runtime.limits import Limits
from engine.types import Admitted, Delta, GenerationRequest, LoadOptions, Logprobs, Prefill, TokenLogprob
from tests.engine.runtime.worker.desk import Answer, Desk, load
from tests.weights import tiny_llama
from tests.weights.hf_folders import write_hf

Scores = tuple[TokenLogprob | None, ...]
LIMITS = Limits(chunk=64, busy_chunk=16, answer_reserve=16)
OPTIONS = LoadOptions(context=512, slots=3, batch=128, threads=1, batch_threads=1, flash_attention=False)
TEXT = "The hearth is warm, and the cat knows it better than anybody. " * 3


@pytest.fixture(params=["scripted", "llama", "transformers", "mlx"])
def backend(request: pytest.FixtureRequest, tmp_path: Path) -> StepBackend:
    path = {
        "scripted": lambda: "scripted:tokens=9",
        "llama": lambda: str(tiny_llama(tmp_path)),
        "transformers": lambda: str(write_hf(tmp_path / "qwen3", "qwen3")),
        "mlx": lambda: str(write_hf(tmp_path / "llama", "llama")),
    }[request.param]()
    return load(request.param, path, OPTIONS)


def ask(prompt: str, **more: object) -> GenerationRequest:
    said = {"raw": True, "max_tokens": 4, "sampling": {"temperature": 0.0}} | more
    return GenerationRequest(model="m", prompt=prompt, **said)  # type: ignore[arg-type]


def scored(**more: object) -> GenerationRequest:
    return ask(TEXT, logprobs=Logprobs(top=2, prompt=True), **more)


def alike(one: Scores | None, other: Scores | None) -> bool:
    """The same tokens, as likely up to what rounding does: sums in another order give other last digits."""
    assert one is not None and other is not None
    values = [[each.logprob for each in scores[1:] if each is not None] for scores in (one, other)]
    return values[0] == pytest.approx(values[1], abs=1e-3) and [
        each.token for each in one[1:] if each is not None
    ] == [each.token for each in other[1:] if each is not None]


def test_every_token_of_the_prompt_but_the_first_has_its_probability(backend: StepBackend) -> None:
    answer = Desk(backend, LIMITS).answer(scored())
    logprobs = answer.admitted.prompt_logprobs
    assert logprobs is not None and len(logprobs) == answer.usage.prompt_tokens
    assert logprobs[0] is None
    tokens = backend.tokenize(TEXT, add_special=True, parse_special=True)
    assert [each.token for each in logprobs[1:] if each is not None] == tokens[1:]
    assert all(each is not None and each.logprob <= 0 and len(each.top) == 2 for each in logprobs[1:])
    kinds = [type(event) for event in answer.events]
    assert kinds.index(Admitted) < kinds.index(Prefill) < kinds.index(Delta)


def test_the_cache_does_not_hide_what_was_asked_about(backend: StepBackend) -> None:
    desk = Desk(backend, LIMITS)
    first = desk.answer(scored())
    again = desk.answer(scored())
    assert again.cached == 0
    assert alike(again.admitted.prompt_logprobs, first.admitted.prompt_logprobs)
    assert desk.answer(ask(TEXT)).cached == first.usage.prompt_tokens - 1, "others have what it computed"


def test_company_changes_no_score(backend: StepBackend) -> None:
    alone = Desk(backend, LIMITS).answer(scored()).admitted.prompt_logprobs
    backend.rebuild()
    desk = Desk(backend, LIMITS)
    for number in range(2):
        desk.submit(ask(f"{number} is another text altogether. " * 3, max_tokens=40, priority="batch"))
    for _ in range(4):
        desk.runner.turn()
    ticket = desk.submit(scored(priority="batch"))
    desk.runner.turn()
    # Makes one of the three give up its slot while it is read.
    desk.submit(ask("And who are you?", priority="interactive"))
    desk.run()
    beside = Answer(ticket.stream.drain()).admitted.prompt_logprobs
    assert alike(alone, beside)


def test_an_echo_and_several_choices_come_after_the_scores(backend: StepBackend) -> None:
    answer = Desk(backend, LIMITS).answer(scored(echo=True, n=2))
    assert sum(isinstance(event, Admitted) for event in answer.events) == 1
    for choice in (0, 1):
        text = "".join(
            event.text for event in answer.events if isinstance(event, Delta) and event.choice == choice
        )
        assert text.startswith(TEXT)


def test_reading_alone_is_enough(backend: StepBackend) -> None:
    """With no token to write, as for the probability of a given text."""
    answer = Desk(backend, LIMITS).answer(scored(max_tokens=0))
    assert answer.admitted.prompt_logprobs is not None and answer.usage.completion_tokens == 0
