"""Answers to exercises, right and wrong, as students write them: failures and seeds."""

import numpy as np
from scipy import stats

Z = 1.96


def scipys(failures, runs):
    interval = stats.binomtest(int(failures), int(runs)).proportion_ci(method="wilson")
    return interval.low, interval.high


def roots(failures, runs):
    """Where |share - rate| = z sqrt(rate (1 - rate) / runs), the interval's definition."""
    share, a = failures / runs, Z**2 / runs
    return sorted(np.roots([1 + a, -2 * share - a, share**2]).real)


def spread(failures, runs):
    share = failures / runs
    return Z * np.sqrt(share * (1 - share) / runs + Z**2 / (4 * runs**2))


def loop(data_terms, psnr):
    gains = []
    for terms, values in zip(data_terms.tolist(), psnr.tolist(), strict=True):
        gains.append(values[terms.index(min(terms))] - sum(values) / len(values))
    return sum(gains) / len(gains)


def least(terms, psnr):
    return np.take_along_axis(psnr, terms.argmin(1)[:, None], 1)[:, 0]


def halves(failures, runs, z2):
    share = failures / runs
    half = Z * np.sqrt(share * (1 - share) / runs + z2 / 4 / runs**2)
    return [(share + z2 / 2 / runs + sign * half) / (1 + z2 / runs) for sign in (-1, 1)]


RIGHT = {"failure_interval": [scipys, roots], "rule_gain": [loop]}
WRONG = {  # by a few words of the hint that should come
    "failure_interval": {
        "naive interval": lambda f, n: stats.norm.interval(0.95, f / n, np.sqrt(f / n * (1 - f / n) / n) + 1e-30),
        "may then leave": lambda f, n: [f / n + Z**2 / 2 / n + sign * spread(f, n) for sign in (-1, 1)],
        "half width only": lambda f, n: [
            f / n + Z**2 / 2 / n + sign * spread(f, n) / (1 + Z**2 / n) for sign in (-1, 1)],
        "stands around p": lambda f, n: [(f / n + sign * spread(f, n)) / (1 + Z**2 / n) for sign in (-1, 1)],
        "gives 0 failures a width": lambda f, n: [
            (f / n + Z**2 / 2 / n + sign * Z * np.sqrt(f / n * (1 - f / n) / n)) / (1 + Z**2 / n)
            for sign in (-1, 1)],
        "square it": lambda f, n: halves(f, n, Z),
        "Swapped": lambda f, n: scipys(f, n)[::-1],
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
