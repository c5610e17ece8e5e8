"""95 % confidence intervals for the tables and the claims board."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from math import ceil, inf, nan

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from deblur_core.errors import UsageError


@dataclass(frozen=True)
class Interval:
    """An effect and its 95 % confidence interval from n independent observations, in their unit."""

    effect: float
    low: float
    high: float
    n: int


def mean_interval(values: ArrayLike) -> Interval:
    """Mean with Student's t interval.

    One value tells nothing of its spread, so its interval is infinite; the mean of none is NaN. Equal values
    have an interval of no width: that is Student's answer, to be read together with n.
    """
    values = np.asarray(values, dtype=np.float64).ravel()
    if not np.isfinite(values).all():
        raise UsageError("an interval needs finite values, not NaN or infinity: look at the runs behind them")
    n = len(values)
    if n < 2:
        return Interval(float(values[0]) if n else nan, -inf, inf, n)
    mean, half_width = float(values.mean()), float(t_quantile(0.975, n) * stats.sem(values))
    return Interval(mean, mean - half_width, mean + half_width, n)


def t_quantile(probability: float, n: int) -> float:
    """Of Student's distribution for the mean of n values; infinite for less than two."""
    return float(stats.t.ppf(probability, n - 1)) if n > 1 else inf


def paired_difference(a: Sequence[float], b: Sequence[float], groups: Sequence[Hashable]) -> Interval:
    """Mean of a - b with Student's t interval over groups, a group being an image-kernel pair.

    a[i] and b[i] are two methods' scores of one run (pair and seed), and groups[i] names its pair. The seeds
    of a pair are no independent evidence, so differences are first averaged in each pair; n counts the pairs.
    """
    if not len(a) == len(b) == len(groups):
        raise UsageError(
            f"a paired comparison needs as many scores of each method as groups, "
            f"not {len(a)}, {len(b)} and {len(groups)}: pass one entry per run"
        )
    differences = defaultdict(list)
    for first, second, group in zip(a, b, groups, strict=True):
        differences[group].append(first - second)
    return mean_interval([float(np.mean(inside)) for inside in differences.values()])


def runs_needed(differences: ArrayLike) -> int | None:
    """How many runs would put zero outside Student's interval of their mean, by the effect and scatter of these.

    differences: one number a run, such as how much better one method was with the same seed. None where they tell
    nothing of it: fewer than two runs, or an effect that is not even a ten-thousandth of their scatter.
    """
    interval = mean_interval(differences)
    if interval.n < 2 or abs(interval.effect) <= 1e-4 * np.std(differences, ddof=1):
        return None
    scatter = float(np.std(differences, ddof=1)) / abs(interval.effect)
    n = max(2, ceil((stats.norm.ppf(0.975) * scatter) ** 2))  # fewer would not do with a known scatter either
    while t_quantile(0.975, n) * scatter >= n**0.5:
        n += 1
    return n


def rate_interval(successes: int, n: int) -> Interval:
    """Share of successes in n trials with Wilson's score interval (1927), in [0, 1]; for n = 0, all of it."""
    if not 0 <= successes <= n:
        raise UsageError(f"{successes} successes in {n} trials are impossible: count them again")
    if n == 0:
        return Interval(nan, 0.0, 1.0, 0)
    interval = stats.binomtest(successes, n).proportion_ci(method="wilson")
    return Interval(successes / n, float(interval.low), float(interval.high), n)
