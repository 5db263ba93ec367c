"""Scorers in tests: made by name, and asked about an answer that is only a text."""

from __future__ import annotations

import asyncio
from typing import Any

from evals.sample import Answer, Sample, Score
from evals.scorers import Context, make_scorer, spec_of


def scored(scorer: str, text: str = "", **sample: Any) -> Score:
    """The score of an answer that says `text`, to a sample with these fields."""
    made = make_scorer(spec_of(scorer), Context())
    found = Sample(id="x", **{"turns": ("?",), **sample})
    return asyncio.run(made.score(found, Answer(texts=(text,))))


def passes(scorer: str, text: str = "", **more: Any) -> bool:
    """Whether it passed."""
    score = scored(scorer, text, **more)
    assert score.passed is not None
    return score.passed
