"""Answers to exercises, right and wrong, as students write them: blind deblurring in the kernel space."""

import math
from itertools import pairwise

import numpy as np
from scipy import stats


def price(row, alpha):
    return sum(abs(b - a) ** alpha for a, b in pairwise(row))


def rows(width, n, black=50):
    """The sharp row and the blurred one, pixel by pixel."""
    sharp = [0] * black + [1] * width + [0] * black
    return sharp, [sum(sharp[max(0, i - n + 1) : i + 1]) / n for i in range(len(sharp))]


def dearer(width, n, alpha, black=50):
    sharp, blurred = rows(width, n, black)
    return price(blurred, alpha) / price(sharp, alpha)


def binomial(wins, n):
    return math.comb(n, wins) * 0.5**n


def upper(wins, n):
    return stats.binom.sf(wins - 1, n, 0.5)


def more(wins, n):
    return max(wins, n - wins)


def grouped(values, scenes):
    return np.array([np.mean([v for v, s in zip(values.tolist(), scenes.tolist(), strict=True) if s == scene])
                     for scene in sorted(set(scenes.tolist()))])  # fmt: skip


def scene_mean(values, scenes):
    return grouped(values, scenes).mean()


RIGHT = {
    "price_of_blur": [dearer, lambda width, n, alpha: min(width, n) / n**alpha],
    "sign_test": [
        lambda wins, n: stats.binomtest(wins, n).pvalue,
        lambda wins, n: min(1, sum(binomial(i, n) for i in range(n + 1) if min(i, n - i) <= min(wins, n - wins))),
    ],
    "mean_over_scenes": [
        lambda v, s: (scene_mean(v, s), stats.sem(grouped(v, s))),
        lambda v, s: [scene_mean(v, s), grouped(v, s).std(ddof=1) / math.sqrt(len(set(s.tolist())))],
    ],
}
WRONG = {  # by a few words of the hint that should come
    "price_of_blur": {
        "wider than the blur": lambda width, n, alpha: n / n**alpha,
        "narrower than the blur": lambda width, n, alpha: width / n**alpha,
        "What is alpha for": lambda width, n, alpha: dearer(width, n, 1),
        "the whole rise": lambda width, n, alpha: max(rows(width, n)[1]) ** alpha,
        "Upside down": lambda width, n, alpha: 1 / dearer(width, n, alpha),
        "that of the sharp one": lambda width, n, alpha: price(rows(width, n)[1], alpha),
        "You square": lambda width, n, alpha: dearer(width, n, 2 * alpha),
        "count as well": lambda width, n, alpha: price(np.convolve(np.ones(width), np.ones(n) / n), alpha) / 2,
        "no step in your row": lambda width, n, alpha: math.inf,
        "is expected": lambda width, n, alpha: dearer(width, n, alpha / 2),
    },
    "sign_test": {
        "one side. Before": lambda wins, n: upper(more(wins, n), n),
        "exactly this count": binomial,
        "mirror image": lambda wins, n: binomial(wins, n) + binomial(n - wins, n),
        "this count itself": lambda wins, n: 2 * stats.binom.sf(more(wins, n), n, 0.5),
        "never above 1": lambda wins, n: 2 * upper(more(wins, n), n),
        "share of pictures": lambda wins, n: wins / n,
    },
    "mean_over_scenes": {
        "Every picture counts": lambda v, s: (v.mean(), stats.sem(v.numpy())),
        "scatter of the scenes, and not": lambda v, s: (scene_mean(v, s), stats.sem(v.numpy())),
        "as many independent values": lambda v, s: (scene_mean(v, s), grouped(v, s).std(ddof=1) / len(v) ** 0.5),
        "better known": lambda v, s: (scene_mean(v, s), grouped(v, s).std(ddof=1)),
        "minus 1": lambda v, s: (scene_mean(v, s), grouped(v, s).std() / len(set(s.tolist())) ** 0.5),
        "with its root": lambda v, s: (scene_mean(v, s), grouped(v, s).std(ddof=1) / len(set(s.tolist()))),
    },
}  # fmt: skip
