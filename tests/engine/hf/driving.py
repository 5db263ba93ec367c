"""Drives an `FolderBackend` the way the scheduler does, without one: sequences in, tokens out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from engine.runtime.backends.base import LoadSpec, Outcome, Row, SequenceSpec
from engine.runtime.backends.folder.backend import FolderBackend
from engine.runtime.backends.hf.library import open_model
from engine.sampling import resolve
from engine.types import LoadOptions


def opened(path: Path, **options: Any) -> FolderBackend:
    """The model folder at `path`, loaded with `options` of `LoadOptions`; one thread unless told otherwise."""
    options = {"threads": 1, "slots": 3, "context": 256, **options}
    spec = LoadSpec(model=path.name, path=str(path), options=LoadOptions(**options))
    return open_model(spec, lambda stage, fraction: True)


def insert(backend: FolderBackend, tokens: list[int], *, slot: int = 0, seed: int = 1, **more: Any) -> None:
    """Put `tokens` into `slot`; greedy unless `sampling` says otherwise."""
    sampling = resolve({"temperature": 0.0, "ignore_eos": True, **more.pop("sampling", {})})
    backend.insert(SequenceSpec(slot=slot, tokens=tuple(tokens), sampling=sampling, seed=seed, **more))


def prefill(backend: FolderBackend, slot: int, count: int, chunk: int | None = None) -> int:
    """Compute the `count` tokens of a prompt, `chunk` at a time, and return the first token drawn."""
    while count > 0:
        part = min(chunk or count, count)
        result = backend.step([Row(slot, part)])
        assert result.outcome is Outcome.OK
        count -= part
    return result.sampled[0].token


def go_on(backend: FolderBackend, slot: int, left: int, count: int, chunk: int | None = None) -> list[int]:
    """`count` tokens of the sequence in `slot`, of which `left` known ones are not computed yet; frees it."""
    found = [prefill(backend, slot, left, chunk)]
    while len(found) < count:
        found.append(backend.step([Row(slot, 1)]).sampled[0].token)
    backend.remove(slot)
    return found


def generate(backend: FolderBackend, prompt: list[int], count: int, *, chunk: int | None = None) -> list[int]:
    """`count` tokens after `prompt`, greedily, alone in the batch."""
    insert(backend, prompt)
    return go_on(backend, 0, len(prompt), count, chunk)
