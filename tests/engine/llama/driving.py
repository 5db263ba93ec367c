"""Drives a `LlamaBackend` the way the scheduler does, without one: sequences in, tokens out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from engine.runtime.backends.base import LoadSpec, Outcome, Row, SequenceSpec
from engine.runtime.backends.llama.backend import LlamaBackend, open_model
from engine.runtime.backends.media import Span
from engine.sampling import resolve
from engine.types import LoadOptions, TokenLogprob


def opened(path: Path, projector: Path | None = None, **options: Any) -> LlamaBackend:
    """The model at `path`, with its `projector`, loaded with `options` of `LoadOptions`.

    One thread unless told otherwise: on a busy machine two would wait for one another at every layer.
    """
    options = {"threads": 1, "batch_threads": 1, **options}
    spec = LoadSpec(
        model=path.stem,
        path=str(path),
        options=LoadOptions(**options),
        projector=None if projector is None else str(projector),
    )
    return open_model(spec, lambda stage, fraction: True)


def insert(
    backend: LlamaBackend,
    tokens: list[int],
    *,
    slot: int = 0,
    seed: int = 1,
    top_logprobs: int | None = None,
    sampler: object = None,
    spans: tuple[Span, ...] = (),
    **sampling: Any,
) -> None:
    """Put `tokens` into `slot`; greedy unless `sampling` says a temperature."""
    backend.insert(
        SequenceSpec(
            slot=slot,
            tokens=tuple(tokens),
            sampling=resolve({"temperature": 0.0, **sampling}),
            seed=seed,
            top_logprobs=top_logprobs,
            sampler=sampler,
            spans=spans,
        )
    )


def prefill(backend: LlamaBackend, slot: int, count: int, chunk: int | None = None) -> int:
    """Compute the `count` tokens of a prompt, `chunk` at a time, and return the first token drawn."""
    while count > 0:
        part = min(chunk or count, count)
        result = backend.step([Row(slot, part)])
        assert result.outcome is Outcome.OK
        count -= part
    return result.sampled[0].token


def generate(
    backend: LlamaBackend,
    prompt: list[int],
    count: int,
    *,
    slot: int = 0,
    chunk: int | None = None,
    **sampling: Any,
) -> list[int]:
    """`count` tokens after `prompt`, alone in the batch; the slot is free again afterwards."""
    insert(backend, prompt, slot=slot, **sampling)
    tokens = [prefill(backend, slot, len(prompt), chunk)]
    while len(tokens) < count:
        tokens.append(backend.step([Row(slot, 1)]).sampled[0].token)
    backend.remove(slot)
    return tokens


def generate_together(
    backend: LlamaBackend, prompts: list[list[int]], count: int, **sampling: Any
) -> list[list[int]]:
    """`count` tokens after each of `prompts`, all of them in every step."""
    for slot, prompt in enumerate(prompts):
        insert(backend, prompt, slot=slot, **sampling)
    rows = [Row(slot, len(prompt)) for slot, prompt in enumerate(prompts)]
    found: list[list[int]] = [[] for _ in prompts]
    for _ in range(count):
        for sampled in backend.step(rows).sampled:
            found[sampled.slot].append(sampled.token)
        rows = [Row(slot, 1) for slot in range(len(prompts))]
    for slot in range(len(prompts)):
        backend.remove(slot)
    return found


def first_tokens(backend: LlamaBackend, prompt: list[int], draws: int = 200, **sampling: Any) -> set[int]:
    """Every token that `draws` seeds draw after `prompt`."""
    sampling = {"temperature": 1.0, "top_k": 0, "top_p": 1.0, **sampling}
    return {generate(backend, prompt, 1, seed=seed, **sampling)[0] for seed in range(draws)}


def distribution(backend: LlamaBackend, prompt: list[int]) -> dict[int, float]:
    """Natural-log probability of every token after `prompt`, most probable first."""
    insert(backend, prompt, top_logprobs=backend.facts.vocabulary)
    logprob = backend.step([Row(0, len(prompt))]).sampled[0].logprob
    backend.remove(0)
    assert isinstance(logprob, TokenLogprob)
    return {each.token: each.logprob for each in logprob.top}
