"""The datasets that come with Hearth, by name; all are our own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from evals.datasets.dataset import Dataset
from evals.datasets.fields import sample_of
from evals.datasets.rows import read_rows
from evals.sample import Sample

FOLDER = Path(__file__).resolve().parent.parent / "shipped"


def _lines(name: str) -> tuple[Sample, ...]:
    path = FOLDER / f"{name}.jsonl"
    return tuple(sample_of(row, {}, FOLDER) for row in read_rows(path))


def _vision() -> tuple[Sample, ...]:
    from evals.datasets.vision import samples

    return samples()


def _needle() -> tuple[Sample, ...]:
    from evals.datasets.needle import samples

    return samples()


class _Entry:
    def __init__(
        self,
        about: str,
        scorer: str,
        max_tokens: int,
        samples: Callable[[], tuple[Sample, ...]] | None = None,
    ) -> None:
        self.about, self.scorer, self.max_tokens, self.samples = about, scorer, max_tokens, samples


_TABLE: Mapping[str, _Entry] = {
    "golden_general": _Entry("50 short questions of general knowledge, by keyword", "keywords", 96),
    "golden_json": _Entry("30 requests for JSON, each held against a schema", "json_schema", 192),
    "golden_tools": _Entry("30 requests with tools: the right call, or none", "tool_calls", 128),
    "golden_vision": _Entry("60 questions about drawn pictures of shapes", "normalised", 48, _vision),
    "needle": _Entry(
        "a sentence to be found again in long texts, at 25 lengths and depths", "keywords", 48, _needle
    ),
}
SHIPPED: Mapping[str, str] = {name: entry.about for name, entry in _TABLE.items()}
"""Their names, and what each is."""


def shipped(name: str) -> Dataset:
    """The dataset of that name; KeyError if there is none."""
    entry = _TABLE[name]
    samples = entry.samples() if entry.samples is not None else _lines(name)
    return Dataset(
        name=name,
        samples=samples,
        scorer=entry.scorer,
        source="shipped",
        max_tokens=entry.max_tokens,
        about=entry.about,
    )
