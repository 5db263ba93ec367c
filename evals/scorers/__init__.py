"""Scorers by name: what is looked at in an answer. Each is a pure function of sample and answer, but for the judges."""

from evals.scorers.registry import SCORERS, Spec, make_scorer, spec_of
from evals.scorers.scorer import Context, Scorer

__all__ = ["SCORERS", "Context", "Scorer", "Spec", "make_scorer", "spec_of"]
