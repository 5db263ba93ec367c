"""Instructions that can be checked by rule, by the ids of IFEval (Zhou et al. 2023)."""

from evals.scorers.instructions.scorer import CHECKS, kept, make

__all__ = ["CHECKS", "kept", "make"]
