"""Exercises on blind deblurring in the kernel space, and on what a few pictures can show."""

from __future__ import annotations

from math import comb

import numpy as np
import torch
from torch import Tensor

from deblur_core.teaching.checkers.checker import Checker, random

# What blur does to the price of a detail: width of a bright bar, length of the blur, exponent -> factor


def _price(row: np.ndarray, alpha: float) -> float:
    return (np.abs(np.diff(np.pad(row, 1))) ** alpha).sum()


def _change(width: int, n: int, alpha: float) -> float:
    bar = np.ones(width)
    return _price(np.convolve(bar, np.full(n, 1 / n)), alpha) / _price(bar, alpha)


price_of_blur = Checker(
    right=_change,
    mistakes={
        "So it is for a bar wider than the blur. A narrower one no longer reaches its full brightness: how many steps "
        "up are there then?": lambda width, n, alpha: n ** (1 - alpha),
        "So it is for a bar narrower than the blur. In a wider one, how many steps up does one edge become?":
            lambda width, n, alpha: width * n**-alpha,
        "What is alpha for? Many small steps cost more than a large one of the same height, if alpha is below 1.":
            lambda width, n, alpha: _change(width, n, 1.0),
        "You raise the whole rise to alpha. It is made of steps, and each of them is raised by itself.":
            lambda width, n, alpha: (min(width, n) / n) ** alpha,
        "Upside down: the blurred price over the sharp one.": lambda width, n, alpha: 1 / _change(width, n, alpha),
        "That is the price of the blurred row. Divide it by that of the sharp one.":
            lambda width, n, alpha: 2 * _change(width, n, alpha),
        "You square the steps: the exponent is alpha, not 2 alpha.":
            lambda width, n, alpha: _change(width, n, 2 * alpha),
        "Black goes on beyond both ends of the row: the first step up and the last one down count as well.":
            lambda width, n, alpha: _change(width, n, alpha) - n**-alpha,
        "The sharp bar has no step in your row. Begin and end with black, then take the differences.":
            lambda width, n, alpha: np.inf,
    },
    probes=((3, 9, 0.66), (20, 9, 0.66), (1, 5, 0.5), (6, 4, 0.8)),
    praise="Bars narrower than n ** alpha are cheaper when they are blurred, wider ones are dearer. So a lone edge "
    "asks to be sharp and fine texture to be smeared, and pictures are full of texture.",
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
