"""Answers to exercises, right and wrong, as students write them: blind deblurring in the kernel space."""

import math

import numpy as np
import torch
from scipy import stats


def slopes(across, down):
    return torch.hypot(torch.hypot(across, down), torch.tensor(1e-3))


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
    "hyper_laplacian": [
        lambda a, d, alpha: (slopes(a, d) ** alpha).mean(),
        lambda a, d, alpha: np.mean([(p * p + q * q + 1e-6) ** (alpha / 2)
                                     for p, q in zip(a.flatten().tolist(), d.flatten().tolist(), strict=True)]),
    ],
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
    "hyper_laplacian": {
        "the exponent is alpha / 2": lambda a, d, alpha: ((a**2 + d**2 + 1e-6) ** alpha).mean(),
        "That is the sum": lambda a, d, alpha: (slopes(a, d) ** alpha).sum(),
        "directions apart": lambda a, d, alpha: sum(((g**2 + 1e-6) ** (alpha / 2)).mean() for g in (a, d)),
        "first the power": lambda a, d, alpha: (a**2 + d**2 + 1e-6).mean().sqrt() ** alpha,
        "total variation": lambda a, d, alpha: slopes(a, d).mean(),
        "no finite slope": lambda a, d, alpha: (torch.hypot(a, d) ** alpha).mean(),
        "one diagonal": lambda a, d, alpha: (((a + d) ** 2 + 1e-6) ** (alpha / 2)).mean(),
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
