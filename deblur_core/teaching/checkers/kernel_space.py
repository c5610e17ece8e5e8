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


# Codes over all pictures: means and deviations (n, c) -> mean and standard deviation (c,) of the codes drawn from them


def _codes(mean: Tensor, deviation: Tensor, correction: int = 0) -> list[Tensor]:
    return [mean.mean(0), (deviation.square().mean(0) + mean.var(0, correction=correction)).sqrt()]


drawn_codes = Checker(
    right=_codes,
    mistakes={
        "The means scatter from picture to picture as well, and codes scatter around each of them: add that variance.":
            lambda mean, deviation: [mean.mean(0), deviation.square().mean(0).sqrt()],
        "That is how the means scatter. Codes scatter around each of them: add that variance.":
            lambda mean, deviation: [mean.mean(0), mean.std(0, correction=0)],
        "You take the mean square of μ. It holds the square of the common mean, too, which is no scatter.":
            lambda mean, deviation: [mean.mean(0), (deviation.square() + mean.square()).mean(0).sqrt()],
        "You add deviations. Variances add up, their roots do not.": lambda mean, deviation: [
            mean.mean(0), deviation.square().mean(0).sqrt() + mean.std(0, correction=0)],
        "You average the deviations. Average their squares: it is variances that add up, and a sign does not count.":
            lambda mean, deviation: [mean.mean(0), (deviation.mean(0).square() + mean.var(0, correction=0)).sqrt()],
        "You average the absolute deviations. Average their squares: it is variances that add up.":
            lambda mean, deviation: [
                mean.mean(0), (deviation.abs().mean(0).square() + mean.var(0, correction=0)).sqrt()],
        "That is the variance: take the root.": lambda mean, deviation: [mean.mean(0), _codes(mean, deviation)[1] ** 2],
        "Codes are drawn from these n pictures and no others, each as often as any other: divide by n, not by n - 1.":
            lambda mean, deviation: _codes(mean, deviation, correction=1),
        "You average over all the numbers of a code. Each has its own mean and its own deviation.":
            lambda mean, deviation: [part[0] for part in _codes(mean.reshape(-1, 1), deviation.reshape(-1, 1))],
    },
    probes=((2 * random(6, 2) - 0.4, random(2, 6).T - 0.6), (random(4, 3) + 0.5, 0.2 + random(3, 4).T)),
    praise="Drawn from this, codes are as wide as those that were extracted. Whether they blur as well is another "
    "question: their numbers need not be independent.",
)  # fmt: skip
