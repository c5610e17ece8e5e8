"""Exercises on the encoded blur kernel space: extraction, and codes drawn and walked."""

from __future__ import annotations

import torch
from torch import Tensor

from deblur_core.teaching.checkers.checker import Checker, random

# Ridge: blurry pictures by component (n, c), what is left to explain (n,), and a number -> weights (c,)


def _ridge(seen: Tensor, left: Tensor, ridge: float) -> Tensor:
    return torch.linalg.solve(seen.T @ seen + ridge * torch.eye(seen.shape[1]), seen.T @ left)


ridge_weights = Checker(
    right=_ridge,
    mistakes={
        "That is plain least squares: where is `ridge`? In a flat cell it has no answer.":
            lambda seen, left, ridge: torch.linalg.lstsq(seen, left[:, None]).solution[:, 0],
        "`ridge` is added to every number of the matrix; it belongs on the diagonal.":
            lambda seen, left, ridge: torch.linalg.solve(seen.T @ seen + ridge, seen.T @ left),
        "You square `ridge`. The derivative of ridge |w|² is 2 ridge w, and the 2 is in the other term as well.":
            lambda seen, left, ridge: _ridge(seen, left, ridge**2),
        "Half of it is missing: both terms are squares, so both derivatives have the factor 2.":
            lambda seen, left, ridge: _ridge(seen, left, ridge / 2),
        "Twice too much: both terms are squares, and the factor 2 of their derivatives is gone on both sides.":
            lambda seen, left, ridge: _ridge(seen, left, 2 * ridge),
        "The sign: so the weights are driven away from zero.":
            lambda seen, left, ridge: _ridge(seen, left, -ridge),
        "`ridge` stands beside a sum over n pixels here, not beside their mean.":
            lambda seen, left, ridge: _ridge(seen, left, ridge * len(seen)),
        "You shrink the answer of least squares, all weights alike. Those that the picture says little of must shrink "
        "most.": lambda seen, left, ridge: torch.linalg.lstsq(seen, left[:, None]).solution[:, 0] / (1 + ridge),
    },
    probes=((random(9, 4), random(9), 0.3), (random(7, 2) - 0.5, random(2, 7)[1] - 0.2, 1.7)),
    praise="A flat cell gets w = 0, the mean of all kernels; one full of edges hardly feels it.",
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
