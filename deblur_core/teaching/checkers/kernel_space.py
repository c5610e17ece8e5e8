"""Exercises on the encoded blur kernel space: extraction, and codes drawn and walked."""

from __future__ import annotations

import torch
from torch import Tensor

from deblur_core.teaching.checkers.checker import Checker, random

# The loss: two pictures of one shape -> mean of √(d² + 10⁻⁶)


def _charbonnier(blurry: Tensor, again: Tensor) -> Tensor:
    return ((blurry - again).square() + 1e-6).sqrt()


charbonnier_loss = Checker(
    right=lambda blurry, again: _charbonnier(blurry, again).mean(),
    mistakes={
        "You return the sum. So does the released code; the mean does not depend on the size of the picture.":
            lambda blurry, again: _charbonnier(blurry, again).sum(),
        "One number is wanted, the mean over all values.": _charbonnier,
        "You take one root, of the mean: that is nearly the root mean square error. Here every value gets a root of "
        "its own.": lambda blurry, again: ((blurry - again).square() + 1e-6).mean().sqrt(),
        "The root is missing: that is the squared error, on which few large errors weigh most.":
            lambda blurry, again: (blurry - again).square().mean() + 1e-6,
        "That is the absolute value. Without 10⁻⁶ its slope jumps where the difference is zero.":
            lambda blurry, again: (blurry - again).abs().mean(),
        "The root of each part, then the sum? The root is of the sum.":
            lambda blurry, again: ((blurry - again).abs() + 1e-3).mean(),
        "Not ε, but ε² = 10⁻⁶ is added.": lambda blurry, again: ((blurry - again).square() + 1e-3).sqrt().mean(),
    },
    probes=((0.003 * random(3, 4, 5), 0.003 * random(4, 5, 3).permute(2, 0, 1)),
            (random(2, 6), random(6, 2).T)),
    praise="Small errors count as squares, large ones as they are, and the slope is defined everywhere.",
)  # fmt: skip


# A walk: two codes (c, kh, kw) and a number -> (steps, c, kh, kw), both ends included


def _walk(start: Tensor, end: Tensor, shares: Tensor) -> Tensor:
    return start + shares[:, None, None, None] * (end - start)


walk_between_codes = Checker(
    right=lambda start, end, steps: _walk(start, end, torch.linspace(0, 1, steps)),
    mistakes={
        "The last code is not `end`: of n steps, the shares go up by 1 / (n - 1).":
            lambda start, end, steps: _walk(start, end, torch.arange(steps) / steps),
        "The first code is not `start`: shares begin at 0.":
            lambda start, end, steps: _walk(start, end, torch.arange(1, steps + 1) / steps),
        "Neither end is there: shares go from 0 to 1, both included.":
            lambda start, end, steps: _walk(start, end, torch.arange(1, steps + 1) / (steps + 1)),
        "You walk from the end to the start.": lambda start, end, steps: _walk(end, start, torch.linspace(0, 1, steps)),
        "You walk `end` far, not as far as `end`: what is added is a share of their difference.":
            lambda start, end, steps: _walk(start, start + end, torch.linspace(0, 1, steps)),
        "Both ends fade in together: the share of `start` is 1 minus that of `end`.":
            lambda start, end, steps: torch.linspace(0, 1, steps)[:, None, None, None] * (start + end),
    },
    probes=((random(2, 3, 2), random(3, 2, 2).transpose(0, 1), 5), (random(4, 2, 3), -random(4, 3, 2).mT, 3)),
    praise="Any code on the way can be given to the operator; whether it is a blur, the operator has to show.",
)  # fmt: skip


# The VAE term: mean and deviation of one shape -> Kullback-Leibler divergence from the standard normal distribution


def _divergence(mean: Tensor, deviation: Tensor, power: int = 2, half: float = 0.5) -> Tensor:
    variance = deviation.abs() ** power
    return half * (mean.square() + variance - variance.log() - 1).sum()


normal_divergence = Checker(
    right=_divergence,
    mistakes={
        "Twice too much: the factor ½ is missing, as it is in the released code.":
            lambda mean, deviation: _divergence(mean, deviation, half=1),
        "You take the deviation where its square, the variance, belongs.":
            lambda mean, deviation: _divergence(mean, deviation, power=1),
        "The logarithm is that of the deviation; it is ln σ², which is twice as much.": lambda mean, deviation: 0.5 * (
            mean.square() + deviation.square() - deviation.abs().log() - 1).sum(),
        "The sign of the logarithm: a variance near zero is far from normal, so its logarithm is subtracted.":
            lambda mean, deviation: 0.5 * (mean.square() + deviation.square() + deviation.square().log() - 1).sum(),
        "The 1 is missing: for a standard normal distribution the divergence is zero.":
            lambda mean, deviation: _divergence(mean, deviation) + 0.5 * mean.numel(),
        "You return the mean over all numbers; their sum is wanted.":
            lambda mean, deviation: _divergence(mean, deviation) / mean.numel(),
        "The mean is missing its square.": lambda mean, deviation: _divergence(mean, deviation) + 0.5 * (
            mean - mean.square()).sum(),
        "The logarithm of a negative deviation is no number. Take the logarithm of its square.":
            lambda mean, deviation: 0.5 * (mean.square() + deviation.square() - 2 * deviation.log() - 1).sum(),
    },
    probes=((random(2, 3) - 0.3, 0.2 + random(3, 2).T), (random(4, 2, 2), random(2, 4, 2).transpose(0, 1) - 0.6)),
    praise="It is zero for mean 0 and deviation 1 alone, and there k says nothing about the picture's blur.",
)  # fmt: skip
