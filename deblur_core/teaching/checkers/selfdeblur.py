"""Exercises on blind deconvolution (notebooks 1 to 7)."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from deblur_core import blur, metrics
from deblur_core.teaching.checkers.checker import Checker, random

# Blur by hand: x (h, w), k (kh, kw) -> y (h - kh + 1, w - kw + 1)


def _convolve(x: Tensor, k: Tensor) -> Tensor:
    return blur.convolve(x[None, None], k[None])[0, 0]


convolution = Checker(
    right=_convolve,
    mistakes={
        "You do not turn the kernel round: this is correlation. Convolution pairs k[p, q] with the pixel p rows *up* "
        "and q columns to the *left*, so flip k along both axes first.": lambda x, k: _convolve(x, k.flip(0, 1)),
        "The kernel is flipped upside down only: flip its columns, too.": lambda x, k: _convolve(x, k.flip(1)),
        "The kernel is flipped left to right only: flip its rows, too.": lambda x, k: _convolve(x, k.flip(0)),
        "You take the mean of the products: a blurry pixel is their sum. The weights of a kernel add up to 1 "
        "already.": lambda x, k: _convolve(x, k) / k.numel(),
        "You divide by the sum of the kernel. A kernel comes with sum 1; where it does not, convolution keeps its "
        "scale.": lambda x, k: _convolve(x, k) / k.sum(),
        "Your y is as large as x: near the border it has used pixels that x does not have, as if the world were black "
        "out there. Keep only the pixels where the whole kernel lies inside x.": lambda x, k: _convolve(
            F.pad(x, (k.shape[1] - 1 - k.shape[1] // 2, k.shape[1] // 2, k.shape[0] - 1 - k.shape[0] // 2,
                      k.shape[0] // 2)), k),
        "The last row and the last column of y are missing: there are h - kh + 1 rows, not h - kh.": lambda x, k:
            _convolve(x, k)[:-1, :-1],
    },
    probes=((random(7, 8), random(3, 5)), (random(6, 6), random(3, 3))),
    praise="So much for the mystery: `blur.convolve` does the same, a few hundred times faster.",
)  # fmt: skip


# A kernel from any numbers: (h, w) -> (h, w), non-negative, sum 1


def _softmax(numbers: Tensor) -> Tensor:
    return numbers.flatten().softmax(0).view_as(numbers)


kernel_from_numbers = Checker(
    right=_softmax,
    mistakes={
        "Every *row* sums to 1, so the kernel as a whole sums to its height: take the softmax over all positions at "
        "once. (Calling softmax without saying over which dimension has bitten others before you.)":
            lambda numbers: numbers.softmax(1),
        "Every *column* sums to 1, so the kernel as a whole sums to its width: take the softmax over all positions at "
        "once.": lambda numbers: numbers.softmax(0),
        "The normalisation is missing: the result is positive, but it does not sum to 1 and would brighten the "
        "picture.": lambda numbers: numbers.exp(),
        "You divide by the largest value, as one does to *look* at a kernel. To blur with it, divide by the sum, or "
        "the picture changes its brightness.": lambda numbers: _softmax(numbers) / _softmax(numbers).max(),
        "Without the exponential, negative numbers stay negative: a kernel cannot take light away.":
            lambda numbers: numbers / numbers.sum(),
        "Absolute values are never negative, but then -3 weighs as much as 3, and the network cannot push a weight "
        "down beyond zero. Use the exponential.": lambda numbers: numbers.abs() / numbers.abs().sum(),
        "Right for small numbers, but the exponential of a large one overflows to infinity, and infinity over infinity "
        "is not a number. Subtract the largest number first: the quotient stays the same.":
            lambda numbers: numbers.exp() / numbers.exp().sum(),
    },
    probes=((4 * random(4, 5) - 2,), (1000 * random(3, 3),)),
    praise="Whatever the network puts out, this is a blur kernel, and the optimiser needs no constraint.",
)  # fmt: skip


# Centre of mass: k (kh, kw) -> (down, right) from the centre pixel (kh // 2, kw // 2)


def _offset(k: Tensor) -> Tensor:
    return _centroid(k) - torch.tensor([k.shape[0] // 2, k.shape[1] // 2])


def _centroid(k: Tensor) -> Tensor:
    rows, columns = (torch.arange(length, dtype=k.dtype) for length in k.shape)
    return torch.stack([(k.sum(1) * rows).sum(), (k.sum(0) * columns).sum()]) / k.sum()


centre_offset = Checker(
    right=_offset,
    mistakes={
        "Half a pixel off: the centre is the *pixel* kh // 2, not the length kh / 2. In a row of 3 pixels, numbered "
        "from 0, the middle one is number 1.": lambda k: _centroid(k) - torch.tensor(k.shape) / 2,
        "Right for odd sides. Where a side is even no pixel is in the middle, and kh // 2 is the one behind it.":
            lambda k: _centroid(k) - (torch.tensor(k.shape) - 1) / 2,
        "One pixel off: you count from 1, Python counts from 0.": lambda k: _offset(k) + 1,
        "Half a pixel off: positions are 0, 1, 2, ... and not the middles 0.5, 1.5, 2.5.": lambda k: _offset(k) + 0.5,
        "That is where the centre of mass is, from the corner. How far is that from the centre pixel "
        "(kh // 2, kw // 2)?": _centroid,
        "The sign is wrong: it should be positive where the mass lies below, or to the right of, the centre.":
            lambda k: -_offset(k),
        "Down and right are swapped: rows come first.": lambda k: _offset(k).flip(0),
        "The mass is missing: divide the weighted sum by the sum of k, which need not be 1.": lambda k:
            _centroid(k) * k.sum() - torch.tensor([k.shape[0] // 2, k.shape[1] // 2]),
    },
    probes=((random(5, 7),), (random(3, 9),), (random(4, 6),)),
    praise="The offset between estimated and true kernel, with the sign turned, is how far the picture has moved.",
)  # fmt: skip


# Where moving together ends, in small steps on (k x - y)^2 / 2: positive (x, k, y) -> (x, k)


def _end(x: float, k: float, y: float) -> tuple[float, float]:
    """k² - x² stays as it is."""
    stays = k**2 - x**2
    k = ((stays + math.hypot(stays, 2 * y)) / 2) ** 0.5
    return y / k, k


def _descend(x: float, k: float, y: float, turn: int = 0, rate: float = 0.05, steps: int = 4000) -> tuple[float, float]:
    for step in range(steps):
        picture = turn == 0 or step // turn % 2 == 0
        residual = k * x - y
        x, k = x - picture * rate * k * residual, k - (turn == 0 or not picture) * rate * x * residual
    return x, k


def _with_sum(total: float, y: float) -> tuple[float, float]:
    """Both solve k x = y, and their squares add up to total; the larger one is k."""
    difference = max(total**2 - 4 * y**2, 0) ** 0.5
    return ((total - difference) / 2) ** 0.5, ((total + difference) / 2) ** 0.5


end_together = Checker(
    right=_end,
    mistakes={
        "So it ends if x has its turn first and explains everything. Moving together, k moves as well.":
            lambda x, k, y: (y / k, k),
        "So it ends if k has its turn first and explains everything. Moving together, x moves as well.":
            lambda x, k, y: (x, y / x),
        "That solves the equation, but it knows nothing of the start. What stays as it was, on all of the way?":
            lambda x, k, y: (y**0.5, y**0.5),
        "The two are swapped: return x, then k.": lambda *given: _end(*given)[::-1],
        "You keep the *sum* of the squares. It is another number that stays: see step 1.":
            lambda x, k, y: _with_sum(x**2 + k**2, y),
        "You keep the difference of x and k; that of their *squares* stays.":
            lambda x, k, y: _with_sum((k - x) ** 2 + 2 * y, y),
        "You keep the ratio of x and k, but whoever is smaller catches up.":
            lambda x, k, y: ((y * x / k) ** 0.5, (y * k / x) ** 0.5),
        "Nearly: your steps are too large, and k² - x² drifts. Make them smaller, or calculate where they lead.":
            _descend,
        "You take turns, with steps so large that it shows. Both move at once, by gradients at the same point.":
            lambda *given: _descend(*given, turn=1),
    },
    probes=((0.5, 2.0, 1.5), (0.1, 0.5, 1.0), (0.4, 0.9, 0.3)),
    praise="No step was taken, and one knows where all of them lead. The start decides, by the one number that stays.",
    otherwise="Yours end at x = {:.4f}, k = {:.4f}. Is k x = y there, and k² - x² what it was at the start?",
)  # fmt: skip


# Paired 95 % interval: (a, b, t) -> (low, high)


def _interval(difference: np.ndarray, spread: float, t: float) -> tuple[float, float]:
    return difference.mean() - t * spread, difference.mean() + t * spread


def _standard_error(values: np.ndarray) -> float:
    return values.std(ddof=1) / len(values) ** 0.5


paired_interval = Checker(
    right=lambda a, b, t: _interval(a - b, _standard_error(a - b), t),
    mistakes={
        "This is the unpaired interval: it counts how much the pictures differ, which is the same for both methods. "
        "Take the differences picture by picture first, then their spread.":
            lambda a, b, t: _interval(a - b, np.hypot(_standard_error(a), _standard_error(b)), t),
        "Too wide: this is where single differences lie. The mean of n of them is surer by the square root of n.":
            lambda a, b, t: _interval(a - b, (a - b).std(ddof=1), t),
        "Too narrow: divide by the square root of n, not by n.":
            lambda a, b, t: _interval(a - b, (a - b).std(ddof=1) / len(a), t),
        "1.96 is for a spread that is known. Here it is estimated from few values: use t.":
            lambda a, b, t: _interval(a - b, _standard_error(a - b), 1.96),
        "A little too narrow: a spread estimated around the sample's own mean needs n - 1 (`ddof=1`).":
            lambda a, b, t: _interval(a - b, (a - b).std() / len(a) ** 0.5, t),
        "The sign is wrong: positive should mean that a is better, so take a - b.":
            lambda a, b, t: _interval(b - a, _standard_error(a - b), t),
        "That is the half width alone: put it below and above the mean difference.":
            lambda a, b, t: (-t * _standard_error(a - b), t * _standard_error(a - b)),
    },
    probes=((np.array([30.0, 27.0, 33.5, 24.0]), np.array([29.0, 26.5, 32.0, 24.2]), 3.182446),
            (np.array([22.0, 35.0, 28.0]), np.array([22.5, 33.0, 27.0]), 4.302653)),
    praise="This is what the claims board does, with the seeds of each pair averaged beforehand.",
)  # fmt: skip


# How much of a kernel is a delta: k (h, w) -> share of the mass in the heaviest 3x3 window


def _windows(k: Tensor) -> Tensor:
    return F.avg_pool2d(F.pad(k, (1, 1, 1, 1))[None], 3, 1)[0] * 9


concentration = Checker(
    right=metrics.delta_fraction,
    mistakes={
        "You look at the centre alone: the shift between picture and kernel is free, so the delta may stand anywhere. "
        "Try every window.": lambda k: _windows(k)[k.shape[0] // 2, k.shape[1] // 2] / k.sum(),
        "You look at a single pixel: a delta that stands between two pixels would escape. Sum over 3x3 windows.":
            lambda k: k.max() / k.sum(),
        "The normalisation is missing: divide by the sum of k, so that the result is a share between 0 and 1.":
            lambda k: _windows(k).max(),
        "This is the mean of the heaviest window; its sum is asked for, as a share of the whole.":
            lambda k: _windows(k).max() / 9 / k.sum(),
        "You look for the lightest window: take the largest sum.":
            lambda k: _windows(k)[1:-1, 1:-1].min() / k.sum(),
        "The window around the brightest pixel need not be the heaviest one. Try every window.":
            lambda k: _windows(k).flatten()[k.argmax()] / k.sum(),
    },
    probes=((torch.tensor([[1., 5, 0, 0, 0, 0], [0, 0, 0, 0, 0, 0], [0, 0, 0, 0, 2, 2], [0, 0, 0, 2, 2, 2],
                           [1, 0, 0, 0, 2, 2], [0, 0, 0, 0, 0, 1]]),), (random(5, 7),)),
    praise="Above 0.9 the board calls a kernel a delta.",
)  # fmt: skip


# Two means, two winners: number of pictures n -> PSNRs (2, n) of two methods, each ahead by another mean


def _winners(psnr: np.ndarray) -> tuple[bool, bool] | tuple[float, float]:
    """Whether the first has the higher mean PSNR, and the higher mean squared error."""
    if not ((psnr >= 10) & (psnr <= 50)).all():
        return math.nan, math.nan
    first, second = psnr.mean(1)
    error, other = (10 ** (-psnr / 10)).mean(1)
    return first > second + 1e-9, error > other * (1 + 1e-9)


def _methods(n: int, one: float, others: float, rival: float) -> np.ndarray:
    return np.stack([np.r_[one, np.full(n - 1, others)], np.full(n, rival)])


two_winners = Checker(
    right=lambda n: _methods(n, 10.0, 50.0, 29.0),
    mistakes={
        "The first has the higher mean PSNR and the *lower* mean error, as one expects. To which of the two means "
        "does one very bad picture do more?": lambda n: _methods(n, 30.0, 30.0, 29.0),
        "The first has the higher mean error, and its mean PSNR is not higher, as one expects. What does it need "
        "besides its bad pictures?": lambda n: _methods(n, 29.0, 29.0, 30.0),
        "The first has neither. If it is the second that has both, exchange them.":
            lambda n: _methods(n, 10.0, 50.0, 29.0)[::-1],
        "All PSNRs have to be numbers between 10 and 50 dB.": lambda n: _methods(n, 0.0, 100.0, 30.0),
    },
    probes=((2,), (5,)),
    praise="So a table of mean PSNRs and one of mean errors can name different winners. One failure counts little in "
    "the first and decides the second.",
    measure=_winners,
)  # fmt: skip


# PSNR at the best whole-pixel shift: estimate and sharp (h, w), reach -> dB


def _best_psnr(estimate: np.ndarray, sharp: np.ndarray, steps: Sequence[tuple[int, int]], reach: int) -> float:
    h, w = sharp.shape
    inside = sharp[reach : h - reach, reach : w - reach]
    squares = [
        ((estimate[reach + i : h - reach + i, reach + j : w - reach + j] - inside) ** 2).mean() for i, j in steps
    ]
    return -10 * np.log10(min(squares))


def _steps(rows: Sequence[int], columns: Sequence[int]) -> list[tuple[int, int]]:
    return [(i, j) for i in rows for j in columns]


def _rolled_psnr(estimate: np.ndarray, sharp: np.ndarray, reach: int) -> float:
    around = _steps(range(-reach, reach + 1), range(-reach, reach + 1))
    return -10 * np.log10(min(((np.roll(estimate, step, (0, 1)) - sharp) ** 2).mean() for step in around))


def _moved(down: int, right: int, reach: int, seed: int) -> tuple[np.ndarray, np.ndarray, int]:
    """A picture and its noisy copy, which lies further down and to the right."""
    random = np.random.RandomState(seed)
    scene = random.rand(40, 36)
    sharp = scene[8:32, 8:28]
    estimate = scene[8 - down : 32 - down, 8 - right : 28 - right] + 0.02 * random.standard_normal(sharp.shape)
    return estimate, sharp, reach


best_psnr = Checker(
    right=lambda estimate, sharp, reach: _best_psnr(
        estimate, sharp, _steps(range(-reach, reach + 1), range(-reach, reach + 1)), reach),
    mistakes={
        "That is the PSNR in place: nothing is moved yet.": lambda estimate, sharp, reach:
            _best_psnr(estimate, sharp, [(0, 0)], 0),
        "The shift is never used: move the window in the estimate, and leave the one in the sharp picture.":
            lambda estimate, sharp, reach: _best_psnr(estimate, sharp, [(0, 0)], reach),
        "One step short: `range(-reach, reach)` ends before `reach`.": lambda estimate, sharp, reach:
            _best_psnr(estimate, sharp, _steps(range(-reach, reach), range(-reach, reach)), reach),
        "You search down and to the right only: shifts go from -reach to reach.": lambda estimate, sharp, reach:
            _best_psnr(estimate, sharp, _steps(range(reach + 1), range(reach + 1)), reach),
        "You search along rows only: down and up count as well.": lambda estimate, sharp, reach:
            _best_psnr(estimate, sharp, _steps([0], range(-reach, reach + 1)), reach),
        "You search along columns only: left and right count as well.": lambda estimate, sharp, reach:
            _best_psnr(estimate, sharp, _steps(range(-reach, reach + 1), [0]), reach),
        "You search along the diagonal only: rows and columns move independently, in two loops.":
            lambda estimate, sharp, reach:
            _best_psnr(estimate, sharp, [(i, i) for i in range(-reach, reach + 1)], reach),
        "np.roll carries in at one side what it pushes out at the other, and you compare that, too. Leave out a border "
        "of `reach` pixels.": _rolled_psnr,
        "The sign is wrong: a small error is a high PSNR.": lambda estimate, sharp, reach:
            -_best_psnr(estimate, sharp, _steps(range(-reach, reach + 1), range(-reach, reach + 1)), reach),
        "That is half of it: the mean *squared* error goes with 10 log10.": lambda estimate, sharp, reach:
            _best_psnr(estimate, sharp, _steps(range(-reach, reach + 1), range(-reach, reach + 1)), reach) / 2,
    },
    probes=(_moved(3, -2, 3, 8), _moved(-1, 3, 3, 1), _moved(2, 4, 4, 2)),
    praise="`metrics.aligned` does the same in steps of a quarter pixel, and leaves out 15 pixels of border.",
)  # fmt: skip


# Soft threshold: (v, beta) -> argmin over w of |w| + beta / 2 (w - v)^2, entry by entry


def _soft(v: Tensor, threshold: float) -> Tensor:
    return v.sign() * (v.abs() - threshold).clamp_min(0)


soft_threshold = Checker(
    right=lambda v, beta: _soft(v, 1 / beta),
    mistakes={
        "That is a *hard* threshold: it keeps large values as they are. The price |w| pulls at large values, too.":
            lambda v, beta: torch.where(v.abs() > 1 / beta, v, 0),
        "You subtract beta. The slope of the second term is beta (w - v): at which w does it cancel that of |w|?":
            lambda v, beta: _soft(v, beta),
        "Twice too far: the derivative of beta / 2 times a square has no 2 left.": lambda v, beta: _soft(v, 2 / beta),
        "Half as far as it should: do not forget the 1/2 in front of the square.":
            lambda v, beta: _soft(v, 0.5 / beta),
        "Small values overshoot: where |v| is below 1 / beta the minimum is at zero, not on the other side.":
            lambda v, beta: v - v.sign() / beta,
        "Right for positive values. Negative ones have a mirrored solution, and you make them zero.":
            lambda v, beta: (v - 1 / beta).clamp_min(0),
        "That is the size of w: give it the sign of v back.": lambda v, beta: _soft(v, 1 / beta).abs(),
        "That is the solution for the price w² / 2: it shrinks everything by a factor, and makes nothing zero.":
            lambda v, beta: v * beta / (1 + beta),
    },
    probes=((torch.tensor([-2.0, -0.7, -0.1, 0.0, 0.2, 0.9, 3.0]), 4.0), (4 * random(3, 4) - 2, 1.5)),
    praise="Zero for noise, a little less for edges: this line is total variation's whole idea of pictures.",
)  # fmt: skip


# How far the two error ratios can be apart: side n -> two errors (n, n) whose SSDs are equal and whose norms are not


def _ratios(errors: np.ndarray) -> tuple[float, float]:
    """SSD ratio and norm ratio of two errors (2, n, n)."""
    norms = np.linalg.norm(np.nan_to_num(errors), 2, axis=(1, 2))
    return (errors[0] ** 2).sum() / (errors[1] ** 2).sum(), norms[0] / norms[1]


ratios_apart = Checker(
    right=lambda side: np.stack([np.ones((side, side)), side**0.5 * np.eye(side)]),
    mistakes={
        "The right two, but the first has the larger SSD. Multiply one of them by a number.":
            lambda side: np.stack([np.ones((side, side)), np.eye(side)]),
        "The right two, the wrong way round: first the error of the estimate, whose norm is to be the larger one.":
            lambda side: np.stack([side**0.5 * np.eye(side), np.ones((side, side))]),
        "Both ratios are 1. The SSD is shared out among n singular values. How can one error share it out otherwise "
        "than the other, so that its largest is larger?": lambda side: np.ones((2, side, side)),
        "The known error is zero, and so nothing can be divided by it.":
            lambda side: np.stack([np.ones((side, side)), np.zeros((side, side))]),
    },
    probes=((4,), (9,)),
    praise="The same SSD, and a norm ratio of √n. A picture a little too bright everywhere has all of its error in one "
    "singular value; so no factor turns the one ratio into the other.",
    measure=_ratios,
    otherwise="Yours have the SSD ratio {:.3g} and the norm ratio {:.3g}. The first has to be 1, and then the second "
    "as large as it can be: how small can the largest of n singular values be, and how large, with the same SSD?",
)  # fmt: skip


# Parameters of SelfDeblur's kernel network: (kernel_size, hidden_layers) -> number


def _layers(widths: Sequence[int], biases: int = 1) -> int:
    return sum((widths[i] + biases) * widths[i + 1] for i in range(len(widths) - 1))


kernel_network_parameters = Checker(
    right=lambda side, hidden: _layers([200, *[1000] * hidden, side**2]),
    mistakes={
        "The biases are missing: a layer from a to b numbers has (a + 1) b parameters.":
            lambda side, hidden: _layers([200, *[1000] * hidden, side**2], biases=0),
        "The last layer draws kernel_size x kernel_size positions, not kernel_size.":
            lambda side, hidden: _layers([200, *[1000] * hidden, side]),
        "You always count one hidden layer.": lambda side, hidden: _layers([200, 1000, side**2]),
        "One hidden layer too many: with n of them there are n + 1 layers of weights.":
            lambda side, hidden: _layers([200, *[1000] * (hidden + 1), side**2]),
        "You count 200 inputs for every layer: the later ones see the 1000 numbers of the layer before.":
            lambda side, hidden: 201 * (1000 * hidden + side**2),
        "You count the hidden layers alone: the last layer draws the kernel, and has parameters as well.":
            lambda side, hidden: _layers([200, *[1000] * hidden]),
        "The biases of the last layer are missing.":
            lambda side, hidden: _layers([200, *[1000] * hidden, side**2]) - side**2,
        "The softmax has no parameters: it only divides.":
            lambda side, hidden: _layers([200, *[1000] * hidden, side**2, side**2]),
    },
    probes=((15, 2), (27, 1), (13, 0)),
    praise="A kernel of 27 px has 729 numbers. Whatever is gained by a thousand times more, it is not expressiveness.",
)  # fmt: skip


# How long G_k without hidden layers has to learn: share of the frame that the trace covers, share of the light that it
# should have, learning rate, z -> number of iterations


def _iterations(cover: float, share: float, rate: float, z: Tensor, ways: int = 2, bias: float = 1) -> float:
    return math.log(share * (1 - cover) / (cover * (1 - share))) / (ways * rate * (bias + z.sum().item()))


iterations_needed = Checker(
    right=lambda *given: math.ceil(_iterations(*given)),
    mistakes={
        "That is the ratio of all the light on the trace to all beside it. Contrast is that of single weights, and "
        "beside the trace there are more of them.": lambda cover, *given: math.ceil(_iterations(0.5, *given)),
        "That is how far the trace rises above a flat kernel. The weights beside it fall at the same time.":
            lambda cover, share, rate, z: math.ceil(math.log(share / cover) / (2 * rate * (1 + z.sum()))),
        "Only one of the two moves in your formula: while the largest weight goes up, the smallest goes down.":
            lambda *given: math.ceil(_iterations(*given, ways=1)),
        "The bias moves, too: it adds 1 to the sum over z.": lambda *given: math.ceil(_iterations(*given, bias=0)),
        "You use the contrast itself. What the steps add up to stands in an exponent.":
            lambda cover, share, rate, z: math.ceil(
                share * (1 - cover) / (cover * (1 - share)) / (2 * rate * (1 + z.sum()))),
        "The contrast grows as a power of e, not of 10.": lambda *given: math.ceil(_iterations(*given) / math.log(10)),
        "You count the entries of z: a weight's step counts as much as the entry that it is multiplied with.":
            lambda cover, share, rate, z: math.ceil(_iterations(cover, share, rate, torch.ones(len(z)))),
        "There are no fractions of iterations: round up.": _iterations,
        "You round down, and then a little light is missing: round up.":
            lambda *given: math.floor(_iterations(*given)),
    },
    probes=((0.08, 0.95, 1e-3, random(200) / 10), (0.05, 0.8, 0.01, random(50) / 10)),
    praise="Twice the rate is half the time. Much more light does not take much longer: its logarithm counts.",
)  # fmt: skip


# Runs without a failure until Wilson's interval of their rate ends below: rate -> number of runs


Z = 1.96


def _clean_runs(rate: float) -> int:
    """Wilson's upper end for no failure in n runs is z² / (n + z²)."""
    return math.floor(Z**2 * (1 / rate - 1)) + 1


clean_runs_needed = Checker(
    right=_clean_runs,
    mistakes={
        "One run short: that many still leave the end above the rate. Round up.": lambda rate: _clean_runs(rate) - 1,
        "One run too many: with one less, the end is below the rate already.": lambda rate: _clean_runs(rate) + 1,
        "A number of runs is a whole one: round up.": lambda rate: Z**2 * (1 / rate - 1),
        "z² is 1.96² = 3.84, not 1.96: square it.": lambda rate: math.ceil(Z * (1 / rate - 1)),
        "You take z²/n for the end, which is z²/(n + z²): the interval is divided by 1 + z²/n.": lambda rate:
            math.ceil(Z**2 / rate),
        "That is the rule of three, which asks from which rate on 0 failures have less than 5 % probability: one side "
        "only, and another interval. Take Wilson's upper end.": lambda rate: math.ceil(3 / rate),
        "That is the exact interval of Clopper and Pearson, not Wilson's.": lambda rate:
            math.ceil(math.log(0.025) / math.log(1 - rate)),
        "That is the naive interval, which has no width after a single run without a failure. Take Wilson's.":
            lambda rate: 1,
        "You look at the lower end, which is zero from the start: use `.high`.": lambda rate: 0,
    },
    probes=((0.02,), (0.1,), (0.5,)),
    praise="35 runs without a failure for one in ten, and eight of them for one in three.",
)  # fmt: skip


# Worth of keeping the seed of the least data term: data_terms, psnr (pairs, seeds) -> dB


def _chosen(data_terms: np.ndarray, psnr: np.ndarray) -> np.ndarray:
    return psnr[np.arange(len(psnr)), data_terms.argmin(1)]


rule_gain = Checker(
    right=lambda data_terms, psnr: (_chosen(data_terms, psnr) - psnr.mean(1)).mean(),
    mistakes={
        "That is the oracle's gain: it looks at PSNR, which nobody has without the truth. Choose by the data term.":
            lambda data_terms, psnr: (psnr.max(1) - psnr.mean(1)).mean(),
        "You keep the *largest* data term, the run that explains the picture worst.":
            lambda data_terms, psnr: (_chosen(-data_terms, psnr) - psnr.mean(1)).mean(),
        "That is what is lost against the best seed. Compare with a seed at random, the pair's mean.":
            lambda data_terms, psnr: (_chosen(data_terms, psnr) - psnr.max(1)).mean(),
        "You compare with the first seed; one at random has the mean of the pair.":
            lambda data_terms, psnr: (_chosen(data_terms, psnr) - psnr[:, 0]).mean(),
        "You choose one seed for all pairs: a data term says something about its own picture only.":
            lambda data_terms, psnr: psnr[:, data_terms.mean(0).argmin()].mean() - psnr.mean(),
        "You choose one run of all: take the least data term of every pair, along the seeds.":
            lambda data_terms, psnr: psnr.flatten()[data_terms.argmin()] - psnr.mean(),
        "That is one gain for each pair: take their mean.":
            lambda data_terms, psnr: _chosen(data_terms, psnr) - psnr.mean(1),
        "That is the PSNR of the chosen runs. How much higher is it than at random?":
            lambda data_terms, psnr: _chosen(data_terms, psnr).mean(),
        "The sign is wrong: positive should mean that the rule helps.":
            lambda data_terms, psnr: (psnr.mean(1) - _chosen(data_terms, psnr)).mean(),
    },
    probes=((np.array([[3.0, 1.0, 2.0], [9.0, 8.0, 7.5], [0.4, 0.5, 0.6]]),
             np.array([[30.5, 31.0, 33.0], [24.0, 28.0, 25.5], [27.0, 19.0, 24.0]])),
            (np.array([[2.0, 1.0], [1.0, 3.0], [5.0, 4.0]]), np.array([[33.0, 25.0], [29.0, 28.0], [22.0, 25.0]]))),
    praise="Whether it is worth three times the time is a question of the scatter of seeds.",
)  # fmt: skip


# A camera's picture: light x (h, w), which may exceed 1, and k (kh, kw) -> y (h - kh + 1, w - kw + 1) in [0, 1]


camera = Checker(
    right=lambda x, k: _convolve(x, k).clamp(0, 1),
    mistakes={
        "You clip the light before it is blurred, but a sensor clips what falls on it: light moves during exposure, "
        "and the pixel overflows at its end. Blur first.": lambda x, k: _convolve(x.clamp(0, 1), k),
        "Nothing is clipped yet: a pixel can hold no more than 1.": _convolve,
        "You scale the picture until it fits. A camera does not know the brightest lamp in advance; it cuts off at 1.":
            lambda x, k: _convolve(x, k) / _convolve(x, k).max(),
        "You do not turn the kernel round: this is correlation (`blur.convolve` does it right).":
            lambda x, k: _convolve(x, k.flip(0, 1)).clamp(0, 1),
    },
    probes=((4 * random(7, 8) ** 4, random(3, 5) / random(3, 5).sum()),
            (6 * random(9, 6) ** 6, random(3, 3) / random(3, 3).sum())),
    praise="Two lines, and no convolution any more: no kernel turns a clipped streak back into a lamp.",
)  # fmt: skip


# PSNR at the best brightness: estimate and sharp (h, w) -> dB


def _psnr(difference: Tensor) -> Tensor:
    return -10 * torch.log10(difference.square().mean())


def _slope(of: Tensor, on: Tensor) -> Tensor:
    return (of * on).sum() / on.square().sum()


psnr_at_best_brightness = Checker(
    right=lambda estimate, sharp: _psnr(_slope(sharp, estimate) * estimate - sharp),
    mistakes={
        "That is the PSNR as it is: no brightness is tried yet.": lambda estimate, sharp: _psnr(estimate - sharp),
        "You make the mean brightness right, and that does not make the squared error least.":
            lambda estimate, sharp: _psnr(sharp.mean() / estimate.mean() * estimate - sharp),
        "You make the brightest pixels alike, and a single one decides: ask all of them.":
            lambda estimate, sharp: _psnr(sharp.max() / estimate.max() * estimate - sharp),
        "You make the estimate as strong as the sharp picture. Where it errs it has to be weaker than that.":
            lambda estimate, sharp: _psnr(sharp.norm() / estimate.norm() * estimate - sharp),
        "You change the *sharp* picture. Then a darker truth counts as a smaller error.":
            lambda estimate, sharp: _psnr(estimate - _slope(estimate, sharp) * sharp),
        "Your number is the best one for the sharp picture; it is the estimate that is multiplied.":
            lambda estimate, sharp: _psnr(_slope(estimate, sharp) * estimate - sharp),
        "You divide by the best number for the sharp picture. Its inverse is not the best one for the estimate.":
            lambda estimate, sharp: _psnr(estimate / _slope(estimate, sharp) - sharp),
        "You add a number as well, which forgives a grey veil, too. Only multiply.": lambda estimate, sharp: _psnr(
            _slope(sharp - sharp.mean(), estimate - estimate.mean()) * (estimate - estimate.mean())
            - (sharp - sharp.mean())),
        "The sign is wrong: a small error is a high PSNR.":
            lambda estimate, sharp: -_psnr(_slope(sharp, estimate) * estimate - sharp),
    },
    probes=((0.4 * random(5, 6) + 0.3 * random(6, 5).T, random(5, 6)), (random(4, 3) ** 2, random(4, 3) * 0.5 + 0.2)),
    praise="It forgives a wrong exposure, as an aligned PSNR forgives a wrong place. A table of it has to say so.",
)  # fmt: skip
