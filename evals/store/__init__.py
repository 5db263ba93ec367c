"""Where runs are kept, row by row, so that a run that is killed goes on where it was."""

from evals.store.records import Baseline, Battle, Reduce, Row, Run, RunState, Settings
from evals.store.store import EvalStore

__all__ = ["Baseline", "Battle", "EvalStore", "Reduce", "Row", "Run", "RunState", "Settings"]
