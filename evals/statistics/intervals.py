"""How sure a score is: Wilson's interval for shares, the bootstrap and Student's t for graded scores."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist
from typing import NamedTuple

import numpy as np

CONFIDENCE = 0.95
RESAMPLES = 10_000


class Interval(NamedTuple):
    """Lower and upper end."""

    low: float
    high: float


def mean(values: Sequence[float]) -> float:
    """The arithmetic mean, summed without rounding on the way. ValueError for none."""
    if not values:
        raise ValueError("there is no mean of nothing")
    return math.fsum(values) / len(values)


def stdev(values: Sequence[float]) -> float | None:
    """The sample standard deviation (n - 1); None below two values."""
    if len(values) < 2:
        return None
    middle = mean(values)
    return math.sqrt(math.fsum((value - middle) ** 2 for value in values) / (len(values) - 1))


def wilson(passed: int, total: int, confidence: float = CONFIDENCE) -> Interval:
    """Wilson's score interval of a share (Wilson 1927), which stays within 0 and 1.

    ValueError unless 0 <= passed <= total and total > 0.
    """
    if not 0 <= passed <= total or total == 0:
        raise ValueError(f"{passed} of {total} is no share")
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    share = passed / total
    middle = (share + z * z / (2 * total)) / (1 + z * z / total)
    half = z / (1 + z * z / total) * math.sqrt(share * (1 - share) / total + z * z / (4 * total * total))
    # At the borders the formula gives them up to rounding.
    return Interval(
        0.0 if passed == 0 else middle - half,
        1.0 if passed == total else middle + half,
    )


def bootstrap(
    values: Sequence[float],
    confidence: float = CONFIDENCE,
    *,
    weights: Sequence[float] | None = None,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Interval:
    """The percentile bootstrap interval of the mean (Efron 1979), weighted if `weights` are given.

    Of paired differences it is the paired bootstrap. The same `seed` gives the same interval. ValueError for no values.
    """
    if not values:
        raise ValueError("there is no interval of nothing")
    data = np.asarray(values, dtype=np.float64)
    heavy = None if weights is None else np.asarray(weights, dtype=np.float64)
    generator = np.random.default_rng(seed)
    # In pieces of about a million draws, so that a large set takes no more memory than a small one.
    piece = max(1, 1_000_000 // len(data))
    means = []
    for begin in range(0, resamples, piece):
        drawn = generator.integers(0, len(data), (min(piece, resamples - begin), len(data)))
        if heavy is None:
            means.append(data[drawn].mean(axis=1))
        else:
            chosen = heavy[drawn]
            means.append((data[drawn] * chosen).sum(axis=1) / chosen.sum(axis=1))
    tail = (1 - confidence) / 2
    low, high = np.quantile(np.concatenate(means), (tail, 1 - tail))
    return Interval(float(low), float(high))


def t_interval(values: Sequence[float], confidence: float = CONFIDENCE) -> Interval | None:
    """Student's interval of the mean with n - 1 degrees of freedom; None below two values."""
    spread = stdev(values)
    if spread is None:
        return None
    half = t_quantile(0.5 + confidence / 2, len(values) - 1) * spread / math.sqrt(len(values))
    return Interval(mean(values) - half, mean(values) + half)


def t_quantile(probability: float, freedom: int) -> float:
    """The quantile of Student's t for a probability of at least one half, by bisection of its distribution."""
    if not 0.5 <= probability < 1 or freedom < 1:
        raise ValueError("the probability must be in [0.5, 1) and the degrees of freedom positive")
    low, high = 0.0, 1.0
    while t_cdf(high, freedom) < probability:
        high *= 2
    for _ in range(200):
        middle = (low + high) / 2
        if middle in (low, high):
            break
        low, high = (middle, high) if t_cdf(middle, freedom) < probability else (low, middle)
    return (low + high) / 2


def t_cdf(t: float, freedom: int) -> float:
    """Student's distribution for t >= 0, as a finite sum for whole degrees (Abramowitz and Stegun 26.7.3, 26.7.4)."""
    theta = math.atan(t / math.sqrt(freedom))
    cosine, sine = math.cos(theta), math.sin(theta)
    if freedom == 1:
        return 0.5 + theta / math.pi
    term, total = (cosine, cosine) if freedom % 2 else (1.0, 1.0)
    first = 3 if freedom % 2 else 2
    for k in range(first, freedom - 1, 2):
        term *= cosine * cosine * (k - 1) / k
        total += term
    if freedom % 2:
        return 0.5 + (theta + sine * total) / math.pi
    return 0.5 + sine * total / 2
