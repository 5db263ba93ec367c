"""Errors stay with the request that causes them, and a state that is lost is computed anew."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.runtime.limits import Limits
from engine.types import Constraint, Delta, Done, Failed, GenerationRequest, LoadOptions
from tests.engine.runtime.worker.desk import Desk, load
from tests.weights import tiny_llama

LIMITS = Limits(chunk=64, busy_chunk=16, answer_reserve=16)
OPTIONS = LoadOptions(context=512, slots=4, batch=128)
ANSWER = " ".join(f"w{number}" for number in range(30))


def ask(prompt: str, **more: object) -> GenerationRequest:
    return GenerationRequest(model="m", prompt=prompt, raw=True, **more)  # type: ignore[arg-type]


def start(script: str) -> Desk:
    return Desk(load("scripted", f"scripted:tokens=30,{script}", OPTIONS), LIMITS)


def ends(desk: Desk) -> list[str]:
    """The answer of each request, or the code of its error."""
    found = []
    for ticket in desk.tickets.values():
        events = ticket.stream.drain()
        text = "".join(event.text for event in events if isinstance(event, Delta))
        found.append(text if isinstance(events[-1], Done) else events[-1].error.code)  # type: ignore[union-attr]
    return found


@pytest.mark.parametrize("place", range(4))
def test_a_request_that_no_step_takes_fails_alone(place: int) -> None:
    """Wherever it stands in the batch, the others answer in full."""
    desk = start("poison=venom")
    for number in range(4):
        desk.submit(ask("venom " * 5 if number == place else f"good {number} " * 5))
    desk.run()
    assert ends(desk) == ["internal_error" if number == place else ANSWER for number in range(4)]


def test_it_fails_alone_also_when_it_comes_later() -> None:
    desk = start("poison=venom")
    for number in range(3):
        desk.submit(ask(f"good {number} " * 5))
    for _ in range(8):
        desk.runner.turn()
    desk.submit(ask("venom", n=2))
    desk.run()
    assert ends(desk) == [ANSWER] * 3 + ["internal_error"]


def test_a_step_that_breaks_once_costs_nobody_an_answer(tmp_path: Path) -> None:
    """Those who had shown something go on behind it; nothing is said twice."""
    desk = start(f"breaks=fragile,once={tmp_path / 'broken'}")
    for number in range(3):
        desk.submit(ask(f"good {number} " * 5))
    for _ in range(10):
        desk.runner.turn()
    desk.submit(ask("fragile"))
    desk.run()
    assert (tmp_path / "broken").exists()
    assert ends(desk) == [ANSWER] * 4


def test_who_breaks_every_step_is_found_out_and_fails_alone() -> None:
    desk = start("breaks=fragile")
    for number in range(5):
        desk.submit(ask("fragile" if number == 2 else f"good {number} " * 5))
    desk.run()
    assert ends(desk) == ["internal_error" if number == 2 else ANSWER for number in range(5)]
    assert desk.answer(ask("good again")).text == ANSWER


def test_the_cache_is_empty_after_a_broken_step_and_fills_again(tmp_path: Path) -> None:
    desk = start(f"breaks=fragile,once={tmp_path / 'broken'}")
    long = "a prompt that is worth keeping " * 4
    desk.answer(ask(long))
    assert desk.answer(ask(long)).cached > 0
    desk.answer(ask("fragile"))
    assert desk.answer(ask(long)).cached <= 1, "the mark that begins every text"
    assert desk.answer(ask(long)).cached > 0


def test_a_full_cache_of_prefixes_makes_way_for_those_who_run() -> None:
    desk = start("cells=600")
    for number in range(12):
        text = f"{number:03} is another prompt of some length, " * 3
        assert desk.answer(ask(text)).text == ANSWER
    together = [desk.submit(ask(f"{number:03} is one of four " * 4)) for number in range(20, 24)]
    desk.run()
    for ticket in together:
        assert isinstance(ticket.terminal, Done)


def test_a_prompt_that_can_never_fit_says_so() -> None:
    backend = load("scripted", "scripted:tokens=30,cells=100", OPTIONS)
    desk = Desk(backend, LIMITS)
    ticket = desk.submit(ask("x" * 300))
    desk.run()
    assert isinstance(ticket.terminal, Failed) and ticket.terminal.error.code == "insufficient_memory"


def test_a_request_whose_choices_all_fail_at_once_fails_alone(tmp_path: Path) -> None:
    """Both before they have a slot, and in one and the same step."""
    backend = load("llama", str(tiny_llama(tmp_path)), OPTIONS)
    desk = Desk(backend, LIMITS)
    letters = tuple(token for token in range(backend.facts.vocabulary) if backend.piece(token) == b"x")
    good = desk.submit(ask("good", max_tokens=8, sampling={"ignore_eos": True}))
    early = desk.submit(ask("early", n=3, sampling={"logit_bias": {1 << 20: 1.0}}))
    late = desk.submit(
        ask(
            "late",
            n=3,
            constraint=Constraint(kind="regex", value="x+y"),
            sampling={"banned_tokens": letters, "temperature": 0.0},
        )
    )
    desk.run()
    assert isinstance(good.terminal, Done) and good.terminal.usage.completion_tokens == 8
    for ticket in (early, late):
        assert isinstance(ticket.terminal, Failed) and ticket.terminal.error.code == "invalid_request"
    backend.close()


def test_who_waits_for_a_prompt_goes_on_when_its_request_ends_with_it() -> None:
    """In the very step in which its last token is read, so that nobody runs any more."""
    desk = start("")
    prompt = "x" * (LIMITS.chunk + 40)
    first = desk.submit(ask(prompt, max_tokens=1))
    desk.runner.turn()
    (running,) = desk.runner._slots.running.values()
    assert running.computed == LIMITS.chunk and 32 < running.remaining <= LIMITS.chunk
    second = desk.submit(ask(f"{prompt} more", max_tokens=1))
    for _ in range(10):
        if desk.busy:
            # Without work it would sleep for ever.
            assert desk.runner._slots.busy or desk.runner._inbox
            desk.runner.turn()
    assert first.terminal is not None and second.terminal is not None
