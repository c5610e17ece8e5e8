"""Answers to exercises, right and wrong, as students write them: stochastic refinement."""

import math

import torch

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


RIGHT = {
    "noisy_at_once": [add_noise, lambda x, a, e: torch.lerp(0 * x, x, a**0.5) + math.sqrt(1 - a) * e],
    "step_back": [stepped],
    "samples_needed": [
        lambda d: math.ceil(1 / gap(d)),
        lambda d: next(n for n in range(1, 1000) if 10 * math.log10(1 + 1 / n) <= d),
    ],
}
WRONG = {  # by a few words of the hint that should come
    "noisy_at_once": {
        "one formula of the paper": lambda x, a, e: math.sqrt(a) * x + (1 - a) * e,
        "what is left of the signal's power, the square": lambda x, a, e: a * x + math.sqrt(1 - a) * e,
        "Two roots": lambda x, a, e: torch.lerp(e, x, a),
        "swapped": lambda x, a, e: add_noise(x, 1 - a, e),
        "keeps its size": lambda x, a, e: x + math.sqrt(1 - a) * e,
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
