"""Answers to exercises, right and wrong, as students write them: failures and seeds."""

import itertools
import math

import numpy as np
from scipy import optimize, stats

Z = 1.96


def end(runs):
    """Wilson's upper end for no failure."""
    return stats.binomtest(0, runs).proportion_ci(method="wilson").high


def searched(rate):
    return next(runs for runs in itertools.count(1) if end(runs) < rate)


def root(rate):
    """Where the end is the rate itself."""
    return optimize.brentq(lambda runs: Z**2 / (runs + Z**2) - rate, 0, 1e6)


def loop(data_terms, psnr):
    gains = []
    for terms, values in zip(data_terms.tolist(), psnr.tolist(), strict=True):
        gains.append(values[terms.index(min(terms))] - sum(values) / len(values))
    return sum(gains) / len(gains)


def least(terms, psnr):
    return np.take_along_axis(psnr, terms.argmin(1)[:, None], 1)[:, 0]


RIGHT = {"clean_runs_needed": [searched, lambda rate: math.ceil(root(rate))], "rule_gain": [loop]}
WRONG = {  # by a few words of the hint that should come
    "clean_runs_needed": {
        "Round up": lambda rate: int(root(rate)),
        "too many": lambda rate: searched(rate) + 1,
        "a whole one": root,
        "square it": lambda rate: math.ceil(1.96 * (1 - rate) / rate),
        "which is z²/(n + z²)": lambda rate: next(n for n in itertools.count(1) if 1.96**2 / n < rate),
        "rule of three": lambda rate: math.ceil(3 / rate),
        "Clopper": lambda rate: next(
            n for n in itertools.count(1) if stats.binomtest(0, n).proportion_ci(method="exact").high < rate),
        "naive": lambda rate: next(n for n in itertools.count(1) if rate > 0),
        "lower end": lambda rate: 0,
    },
    "rule_gain": {
        "oracle": lambda t, p: (p.max(1) - p.mean(1)).mean(),
        "*largest*": lambda t, p: loop(-t, p),
        "lost against the best": lambda t, p: (least(t, p) - p.max(1)).mean(),
        "first seed": lambda t, p: (least(t, p) - p[:, 0]).mean(),
        "one seed for all": lambda t, p: (p[:, t.sum(0).argmin()] - p.mean(1)).mean(),
        "one run of all": lambda t, p: p.ravel()[t.argmin()] - p.mean(),
        "one gain for each": lambda t, p: least(t, p) - p.mean(1),
        "PSNR of the chosen": lambda t, p: least(t, p).mean(),
        "sign is wrong": lambda t, p: -loop(t, p),
    },
}  # fmt: skip
