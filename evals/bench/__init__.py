"""Is it faster? Load put on models, here or behind a URL, and what it came to, by definitions that are printed."""

from evals.bench.figures import DEFINITIONS, Figures, Slo, Spread, figures
from evals.bench.run import Plan, Shape, Target, bench
from evals.bench.timing import Timed

__all__ = ["DEFINITIONS", "Figures", "Plan", "Shape", "Slo", "Spread", "Target", "Timed", "bench", "figures"]
