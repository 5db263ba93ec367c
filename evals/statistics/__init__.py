"""The statistics of evals: intervals, and paired tests of one model against another. Pure functions over numbers.

They agree with scipy's to 1e-9 (`tests/evals/test_statistics.py`), which Hearth itself does not need.
"""

from evals.statistics.intervals import Interval, bootstrap, mean, stdev, t_interval, wilson
from evals.statistics.paired import MIN_DISCORDANT, mcnemar, sign_flip
from evals.statistics.repeated import majority, pass_at_k, pass_hat_k

__all__ = [
    "MIN_DISCORDANT",
    "Interval",
    "bootstrap",
    "majority",
    "mcnemar",
    "mean",
    "pass_at_k",
    "pass_hat_k",
    "sign_flip",
    "stdev",
    "t_interval",
    "wilson",
]
