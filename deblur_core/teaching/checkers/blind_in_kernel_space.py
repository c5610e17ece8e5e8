"""Exercises on blind deblurring in the kernel space, and on what a few pictures can show."""

from __future__ import annotations

from math import comb

import torch
from torch import Tensor

from deblur_core.teaching.checkers.checker import Checker, random

# The hyper-Laplacian prior: gradients across and down, and the exponent -> a number


def _edges(across: Tensor, down: Tensor, alpha: float, least: float = 1e-6) -> Tensor:
    return ((across**2 + down**2 + least) ** (alpha / 2)).mean()


hyper_laplacian = Checker(
    right=_edges,
    mistakes={
        "You raise the *squared* length to alpha. The length is its root, so the exponent is alpha / 2.":
            lambda across, down, alpha: _edges(across, down, 2 * alpha),
        "That is the sum; the weight of the prior must not depend on the size of the picture: take the mean.":
            lambda across, down, alpha: _edges(across, down, alpha) * across.numel(),
        "You treat both directions apart, so a slanted edge counts otherwise than an upright one: first the length.":
            lambda across, down, alpha: (across**2 + 1e-6).pow(alpha / 2).mean()
            + (down**2 + 1e-6).pow(alpha / 2).mean(),
        "You raise the mean to the power. Each pixel has its own edge: first the power, then the mean.":
            lambda across, down, alpha: (across**2 + down**2 + 1e-6).mean() ** (alpha / 2),
        "That is total variation, exponent 1. What is alpha for?":
            lambda across, down, alpha: _edges(across, down, 1.0),
        "Where the gradient is 0 its power has no finite slope, so 0.000001 is added to the squared length.":
            lambda across, down, alpha: _edges(across, down, alpha, least=0.0),
        "Directions add up as squares: across + down is the slope along one diagonal.":
            lambda across, down, alpha: ((across + down) ** 2 + 1e-6).pow(alpha / 2).mean(),
    },
    probes=((random(3, 4) / 50, random(4, 3).T / 50, 0.66), (random(5, 2) - 0.5, random(2, 5).T - 0.5, 0.8)),
    praise="One strong edge costs less than the same rise spread over many pixels. Is that so for exponent 2, too?",
)  # fmt: skip


# The exact sign test: (wins, n) -> two-sided p


def _tail(wins: int, n: int) -> float:
    """Of counts from `wins` on."""
    return sum(comb(n, i) for i in range(wins, n + 1)) / 2**n


def _two_sided(wins: int, n: int) -> float:
    far = max(wins, n - wins)
    return min(1.0, 2 * _tail(far, n))


sign_test = Checker(
    right=_two_sided,
    mistakes={
        "That is one side. Before you looked, the other method could have won as clearly: count both sides.":
            lambda wins, n: _tail(max(wins, n - wins), n),
        "That is the probability of exactly this count. A p-value takes in all that is as far from n/2, or further.":
            lambda wins, n: comb(n, wins) / 2**n,
        "Of this count and its mirror image; what is *further* from n/2 belongs to it, too.":
            lambda wins, n: 2 * comb(n, wins) / 2**n,
        "You leave out this count itself: as far, or further.":
            lambda wins, n: _two_sided(max(wins, n - wins) + 1, n) if max(wins, n - wins) < n else 0.0,
        "A probability is never above 1: at n/2 the two sides share their middle.":
            lambda wins, n: 2 * _tail(max(wins, n - wins), n),
        "That is the share of pictures that were won. How probable is it by chance?": lambda wins, n: wins / n,
    },
    probes=((7, 9), (3, 3), (2, 9), (4, 8)),
    praise="Three of three is one chance in four. It takes six of six to be below 0.05.",
)  # fmt: skip


# The mean over scenes: scores (n,) and numbers of scenes (n,) -> mean and standard error


def _of_scenes(values: Tensor, scenes: Tensor) -> Tensor:
    return torch.stack([values[scenes == scene].mean() for scene in scenes.unique()])


def _with_error(values: Tensor, ddof: int = 1) -> list[Tensor]:
    return [values.mean(), values.std(correction=ddof) / len(values) ** 0.5]


mean_over_scenes = Checker(
    right=lambda values, scenes: _with_error(_of_scenes(values, scenes)),
    mistakes={
        "Every picture counts as independent in your error, and a scene with many pictures counts more than another. "
        "Average each scene first.": lambda values, scenes: _with_error(values),
        "The mean is right. The error comes from the scatter of the scenes, and not of all pictures.":
            lambda values, scenes: [_of_scenes(values, scenes).mean(), _with_error(values)[1]],
        "The mean is right. There are as many independent values as scenes: divide by the root of their number.":
            lambda values, scenes: [_of_scenes(values, scenes).mean(),
                                    _of_scenes(values, scenes).std() / len(values) ** 0.5],
        "That is the scatter of the scenes. Their mean is better known: divide by the root of their number.":
            lambda values, scenes: [_of_scenes(values, scenes).mean(), _of_scenes(values, scenes).std()],
        "Nearly. The mean was estimated from the same scenes, so the variance divides by their number minus 1.":
            lambda values, scenes: _with_error(_of_scenes(values, scenes), ddof=0),
        "You divide by the number of scenes; the error falls with its root.":
            lambda values, scenes: [_of_scenes(values, scenes).mean(),
                                    _of_scenes(values, scenes).std() / len(scenes.unique())],
    },
    probes=(
        (random(7), torch.tensor([0, 0, 0, 0, 1, 2, 2])),
        (random(6), torch.tensor([5, 3, 5, 5, 3, 8])),
    ),
    praise="Forty frames of one street are one street. That is why intervals here count scenes.",
)  # fmt: skip
