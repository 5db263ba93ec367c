"""A dataset: samples in their order, how they are scored unless somebody says otherwise, and what tells it apart."""

from __future__ import annotations

import hashlib

import msgspec
from msgspec import Struct

from evals.sample import Sample


class Dataset(Struct, frozen=True, kw_only=True):
    """`scorer` is what it is scored by unless told otherwise; `max_tokens` what an answer may take."""

    name: str
    samples: tuple[Sample, ...]
    scorer: str
    source: str = ""
    """The file it came from, or `shipped`."""
    format: str = "plain"
    max_tokens: int = 512
    about: str = ""

    @property
    def digest(self) -> str:
        """Twelve hex digits over all samples: equal digests are equal sets."""
        return hashlib.sha256(msgspec.json.encode(self.samples, order="deterministic")).hexdigest()[:12]

    @property
    def categories(self) -> tuple[str, ...]:
        """In order of appearance; the empty one is none."""
        return tuple(dict.fromkeys(sample.category for sample in self.samples if sample.category))


def fitting_scorer(sample: Sample) -> str:
    """The scorer that what a sample holds speaks for."""
    if sample.code is not None:
        return "code"
    if sample.instructions:
        return "instructions"
    if sample.calls is not None:
        return "tool_calls"
    if sample.choice is not None:
        return "choice"
    if sample.keywords:
        return "keywords"
    if sample.schema is not None:
        return "json_schema"
    if sample.text is not None:
        return "perplexity"
    if sample.answers:
        return "normalised"
    return "rubric"
