"""Answers to exercises, right and wrong, as students write them: stochastic refinement."""

import math

import numpy as np
import torch
from scipy import stats

from deblur_core.models.diffusion import Schedule, add_noise, remove_noise


def step(z, noise, alpha, before, fresh, clean=None):
    """By the project's own equations: two steps that end in the same noise levels."""
    after = alpha * before
    schedule = Schedule(torch.tensor([1 - before, 1 - alpha] if before < 1 else [1 - alpha], dtype=torch.float64))
    clean = remove_noise(z, after, noise) if clean is None else clean
    mean, variance = schedule.posterior(z, clean, schedule.steps)
    return mean, variance, fresh


def stepped(*given, **options):
    mean, variance, fresh = step(*given, **options)
    return mean + variance**0.5 * fresh


def gap(decibels):
    return math.exp(decibels * math.log(10) / 10) - 1


def shares(levels):
    return np.unique(np.asarray(levels), return_counts=True)[1] / np.asarray(levels).size


def counted(levels):
    """Over all 511 levels, most of which never occur."""
    return np.bincount(np.asarray(levels).ravel() + 255, minlength=511)


def bits(levels, log=np.log2):
    return -sum(share * log(share) for share in shares(levels))


def parts(samples, x):
    scatter = np.mean([((one - samples.mean(0)) ** 2).mean() for one in samples])
    return ((samples.mean(0) - x) ** 2).mean(), scatter


def reach(decay, share, first=1.0):
    """By adding up the shares of the last steps."""
    held, steps = 0.0, 0
    while held < share:
        held, steps = held + (1 - decay) * first * decay**steps, steps + 1
    return steps


def later(z, before, after, fresh):
    """What a clean signal and its noise become, by what is missing of the variance."""
    shrunk = math.sqrt(after / before)
    return shrunk * z + math.sqrt((1 - after) - shrunk**2 * (1 - before)) * fresh


RIGHT = {
    "error_parts": [
        parts,
        lambda s, x: (np.mean((np.mean(s.numpy(), 0) - x.numpy()) ** 2), np.var(s.numpy(), 0).mean()),
        lambda s, x: [((s - x) ** 2).mean() - s.var(0, correction=0).mean(), s.var(0, correction=0).mean()],
    ],
    "level_entropy": [
        lambda levels: stats.entropy(counted(levels), base=2),
        bits,
        lambda levels: torch.special.entr(torch.tensor(counted(levels) / levels.numel())).sum() / math.log(2),
    ],
    "in_the_colours_of": [
        lambda g, y: g - g.mean((-2, -1), keepdim=True) + y.mean((-2, -1), keepdim=True),
        lambda g, y: torch.stack([a + (b.mean() - a.mean()) for a, b in zip(g, y, strict=True)]),
    ],
    "endless_average": [
        lambda one, many, n: np.linalg.solve([[1, 1], [1, 1 / n]], [one, many])[0],
        lambda one, many, n: many - (one - many) / (n - 1),
    ],
    "reach_of_average": [
        reach,
        lambda d, share: math.ceil(math.log(1 - share, d)),
    ],
    "more_noise": [lambda z, a, b, e: add_noise(z, b / a, e), later],
    "step_back": [stepped],
    "samples_needed": [
        lambda d: math.ceil(1 / gap(d)),
        lambda d: next(n for n in range(1, 1000) if 10 * math.log10(1 + 1 / n) <= d),
    ],
}
WRONG = {  # by a few words of the hint that should come
    "error_parts": {
        "variance of the sampler": lambda s, x: (parts(s, x)[0], np.var(s.numpy(), 0, ddof=1).mean()),
        "roots": lambda s, x: (torch.dist(s.mean(0), x) / x.numel() ** 0.5, parts(s, x)[1] ** 0.5),
        "other way round": lambda s, x: parts(s, x)[::-1],
        "Average the samples": lambda s, x: (np.mean([((one - x) ** 2).mean() for one in s]), parts(s, x)[1]),
        "not x": lambda s, x: (parts(s, x)[0], ((s - x) ** 2).mean()),
        "cancel": lambda s, x: ((s.mean() - x.mean()) ** 2, parts(s, x)[1]),
        "Hold the pixel": lambda s, x: (parts(s, x)[0], np.mean([np.var(one.numpy()) for one in s])),
        "sums": lambda s, x: (((s.mean(0) - x) ** 2).sum(), ((s - s.mean(0)) ** 2).sum()),
    },
    "level_entropy": {
        "nats": lambda levels: stats.entropy(counted(levels)),
        "The sign": lambda levels: -bits(levels),
        "never occurs adds nothing": lambda levels: (
            lambda p: -(p * torch.log2(p)).sum())(torch.tensor(counted(levels) / levels.numel())),
        "Counts are no shares": lambda levels: -sum(c * math.log2(c) for c in counted(levels) if c),
        "equally frequent": lambda levels: math.log2(len(set(levels.flatten().tolist()))),
        "average over the levels": lambda levels: np.mean(-np.log2(shares(levels))),
        "whole picture": lambda levels: levels.numel() * bits(levels),
    },
    "in_the_colours_of": {
        "The sign": lambda g, y: g - (y.mean((1, 2)) - g.mean((1, 2)))[:, None, None],
        "alike": lambda g, y: g - g.mean() + y.mean(),
        "colours of each pixel": lambda g, y: g - g.mean(0) + y.mean(0),
        "You scale": lambda g, y: g * (y.mean((1, 2)) / g.mean((1, 2)))[:, None, None],
        "all of it": lambda g, y: y,
        "You clip": lambda g, y: np.clip(g + (y - g).mean((1, 2))[:, None, None], 0, 1),
        "got none": lambda g, y: g - g.mean((1, 2))[:, None, None],
    },
    "endless_average": {
        "the variance of the samples": lambda one, many, n: (one - many) / (1 - 1 / n),
        "Half": lambda one, many, n: 0.5 * one,
        "whose mean of n": lambda one, many, n: many * n / (n + 1),
        "an n-th": lambda one, many, n: many,
        "should be a": lambda one, many, n: many - one / n,
        "Nearly": lambda one, many, n: many * (1 + 1 / n) - one / n,
    },
    "reach_of_average": {
        "no fractions": lambda d, share: math.log(1 - share) / math.log(d),
        "round down": lambda d, share: int(math.log(1 - share) / math.log(d)),
        "*old* average": lambda d, share: math.ceil(math.log(share) / math.log(d)),
        "like the last one": lambda d, share: math.ceil(share / (1 - d)),
        "rule of thumb": lambda d, share: 1 / (1 - d),
        "very last step": lambda d, share: reach(d, share, first=d),
    },
    "more_noise": {
        "as if it were clean": lambda z, a, b, e: add_noise(z, b, e),
        "difference of two": lambda z, a, b, e: (b / a) ** 0.5 * z + (math.sqrt(1 - b) - math.sqrt(1 - a)) * e,
        "difference of both": lambda z, a, b, e: (b / a) ** 0.5 * z + math.sqrt(a - b) * e,
        "multiplied by its variance": lambda z, a, b, e: (b / a) ** 0.5 * z + (1 - b / a) * e,
        "left of its *power*": lambda z, a, b, e: b / a * z + math.sqrt(1 - b / a) * e,
        "keeps its size": lambda z, a, b, e: z + math.sqrt(a - b) * e,
        "swapped": lambda z, a, b, e: later(e, a, b, z),
    },
    "step_back": {
        "factor β_t": lambda *given: step(*given)[0] + step(*given)[1] * given[-1],
        "put the estimated noise": lambda z, noise, *given: stepped(z, noise, *given, clean=noise),
        "divide by √ᾱ_t": lambda z, noise, alpha, before, fresh: stepped(
            z, noise, alpha, before, fresh, clean=remove_noise(z, alpha * before, noise) * (alpha * before) ** 0.5),
        "take ᾱ_{t-1}": lambda z, noise, alpha, before, fresh: stepped(
            z, noise, alpha, before, fresh, clean=remove_noise(z, before, noise)),
        "one slide": lambda z, noise, alpha, before, fresh: stepped(z, noise, alpha, before, fresh)
        - alpha**0.5 * (1 - before**0.5) * (1 - before) / (1 - alpha * before) * z,
        "forward step": lambda *given: step(*given)[0] + (1 - given[2]) ** 0.5 * given[-1],
        "is missing": lambda *given: step(*given)[0],
        "at once": lambda z, noise, alpha, before, fresh: remove_noise(z, alpha * before, noise),
    },
    "samples_needed": {
        "fractions": lambda d: 1 / gap(d),
        "round down": lambda d: int(1 / gap(d)),
        "not 20": lambda d: math.ceil(1 / gap(d / 2)),
        "Natural": lambda d: math.ceil(1 / math.expm1(d / 10)),
        "One more": lambda d: math.ceil(1 / gap(d)) + 1,
        "1 over the ratio": lambda d: math.ceil(1 / (gap(d) + 1)),
    },
}  # fmt: skip
