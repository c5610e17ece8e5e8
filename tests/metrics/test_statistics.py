"""Intervals against tabled values, and that they cover what they promise."""

from math import inf, isnan, sqrt

import numpy as np
import pytest

from deblur_core.errors import UsageError
from deblur_core.metrics import Interval, mean_interval, paired_difference, rate_interval
from deblur_core.metrics.statistics import runs_needed


def test_students_interval_by_hand():
    interval = mean_interval([1, 2, 3, 4])
    half_width = 3.182446 * sqrt(5 / 3) / 2  # t(0.975; 3) from the table, standard deviation sqrt(5 / 3)
    assert (interval.effect, interval.n) == (2.5, 4)
    assert interval.low == pytest.approx(2.5 - half_width, abs=1e-6)
    assert interval.high == pytest.approx(2.5 + half_width, abs=1e-6)


def test_intervals_cover_the_truth_95_times_in_100():
    rng = np.random.default_rng(0)
    intervals = [mean_interval(rng.normal(3, 2, size=5)) for _ in range(2000)]
    assert np.mean([i.low <= 3 <= i.high for i in intervals]) == pytest.approx(0.95, abs=0.015)


def test_few_or_equal_values():
    assert mean_interval([2.5]) == Interval(2.5, -inf, inf, 1)
    assert mean_interval([2.5, 2.5, 2.5]) == Interval(2.5, 2.5, 2.5, 3)
    none = mean_interval([])
    assert isnan(none.effect)
    assert (none.low, none.high, none.n) == (-inf, inf, 0)


def test_more_seeds_are_not_more_pairs():
    a, b, pairs = [30, 32, 31, 35], [29, 30, 31, 31], [(1, 1), (1, 2), (2, 1), (2, 2)]
    once, thrice = paired_difference(a, b, pairs), paired_difference(a * 3, b * 3, pairs * 3)
    assert once == thrice == mean_interval([1, 2, 0, 4])


def test_seeds_are_averaged_inside_their_pair():
    interval = paired_difference(a=[10, 20, 30], b=[0, 0, 0], groups=["first", "first", "second"])
    assert interval == mean_interval([15, 30])


def test_pairing_removes_what_the_pairs_share():
    rng = np.random.default_rng(0)
    difficulty, pairs = rng.normal(30, 5, size=32), range(32)
    b = difficulty + rng.normal(0, 0.1, size=32)
    interval = paired_difference(difficulty + 1, b, pairs)
    assert interval.low > 0.9
    assert interval.high < 1.1
    swapped = paired_difference(b, difficulty + 1, pairs)
    assert (swapped.effect, swapped.low, swapped.high) == pytest.approx(
        (-interval.effect, -interval.high, -interval.low)
    )


@pytest.mark.parametrize(
    ("successes", "n", "low", "high"),
    [
        (0, 10, 0, 0.2775),
        (5, 10, 0.2366, 0.7634),
        (10, 10, 0.7225, 1),
        (1, 32, 0.0055, 0.1575),
    ],
)
def test_wilsons_interval_as_tabled(successes, n, low, high):
    interval = rate_interval(successes, n)
    assert (interval.effect, interval.n) == (successes / n, n)
    assert (interval.low, interval.high) == pytest.approx((low, high), abs=6e-5)


def test_a_rate_of_no_trials_is_unknown():
    interval = rate_interval(0, 0)
    assert isnan(interval.effect)
    assert (interval.low, interval.high, interval.n) == (0, 1, 0)


@pytest.mark.parametrize(("effect", "scatter"), [(0.05, 0.12), (-0.3, 0.1), (1.0, 4.0), (0.2, 0.0), (0.002, 1.0)])
def test_runs_needed_are_the_fewest_that_put_zero_outside_the_interval(effect, scatter):
    def runs(n):  # with exactly this mean and standard deviation
        values = np.arange(n) - (n - 1) / 2
        return effect + scatter * values / values.std(ddof=1)

    n = runs_needed(runs(5))
    assert n >= 2
    for count, clear in ((n, True), (n - 1, False)):
        if count > 1:
            interval = mean_interval(runs(count))
            assert (interval.low > 0 or interval.high < 0) is clear


@pytest.mark.parametrize("differences", [[], [0.3], [0.0, 0.0], [1.0, -1.0], [1.0, -1.0 + 1e-15]])
def test_runs_that_tell_nothing_do_not_say_how_many_are_needed(differences):
    assert runs_needed(differences) is None


@pytest.mark.parametrize(
    ("refused", "message"),
    [
        (lambda: paired_difference([1, 2], [1, 2], ["one"]), "not 2, 2 and 1"),
        (lambda: mean_interval([1, inf]), "infinity"),
        (lambda: rate_interval(3, 2), "3 successes in 2 trials"),
    ],
)
def test_refuses_with_one_sentence(refused, message):
    with pytest.raises(UsageError, match=message):
        refused()
