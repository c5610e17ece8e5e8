"""Exercises on stochastic refinement."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from deblur_core.teaching.checkers.checker import Checker, random

# Diffusion: noisy signal, its ᾱ, a smaller ᾱ, and new noise -> the signal with that much more noise


def _noisier(noisy: Tensor, before: float, after: float, fresh: Tensor) -> Tensor:
    left = after / before
    return left**0.5 * noisy + (1 - left) ** 0.5 * fresh


more_noise = Checker(
    right=_noisier,
    mistakes={
        "You noise it as if it were clean. It has noise already, and has shrunk already: only what is missing is to be "
        "done.": lambda noisy, before, after, fresh: after**0.5 * noisy + (1 - after) ** 0.5 * fresh,
        "The signal is right. The noise is a difference of two standard deviations, but it is variances that add up.":
            lambda noisy, before, after, fresh: (after / before) ** 0.5 * noisy
            + ((1 - after) ** 0.5 - (1 - before) ** 0.5) * fresh,
        "The signal is right. You add the difference of both variances, but the noise that was there shrinks with the "
        "signal, so more is missing.": lambda noisy, before, after, fresh: (after / before) ** 0.5 * noisy
            + (before - after) ** 0.5 * fresh,
        "The noise is multiplied by its variance: take the root. (One formula of the paper has the same slip.)":
            lambda noisy, before, after, fresh: (after / before) ** 0.5 * noisy + (1 - after / before) * fresh,
        "The signal is multiplied by what is left of its *power*: take the root.":
            lambda noisy, before, after, fresh: after / before * noisy + (1 - after / before) ** 0.5 * fresh,
        "The signal keeps its size in your formula. It has to shrink on, or the sum gains power.":
            lambda noisy, before, after, fresh: noisy + (before - after) ** 0.5 * fresh,
        "The two are swapped.": lambda noisy, before, after, fresh: _noisier(fresh, before, after, noisy),
    },
    probes=((random(3, 4), 0.9, 0.36, random(4, 3).T), (random(5), 0.5, 0.45, random(6)[1:])),
    praise="From any noise level to any later one in one line, and always the same one: that is why levels can be left "
    "out.",
)  # fmt: skip


# One step of the sampler: (z, noise, alpha, before, fresh) -> z one step cleaner; ᾱ_t = alpha · before


def _step_back(
    z: Tensor, noise: Tensor, alpha: float, before: float, fresh: Tensor, clean: Tensor | None = None, root: float = 0.5
) -> Tensor:
    after = alpha * before
    clean = (z - (1 - after) ** 0.5 * noise) / after**0.5 if clean is None else clean
    mean = before**0.5 * (1 - alpha) / (1 - after) * clean + alpha**0.5 * (1 - before) / (1 - after) * z
    return mean + ((1 - before) / (1 - after) * (1 - alpha)) ** root * fresh


step_back = Checker(
    right=_step_back,
    mistakes={
        "The fresh noise has the factor β_t, as Algorithm 1 prints it; β_t is a variance, so take its root.":
            lambda *given: _step_back(*given, root=1),
        "You put the estimated noise where the clean signal belongs, as Algorithm 1 prints it: first work out what is "
        "clean, (z - √(1 - ᾱ_t) noise) / √ᾱ_t.": lambda z, noise, *given: _step_back(z, noise, *given, clean=noise),
        "The clean signal is too small: divide by √ᾱ_t, as noising has multiplied by it.":
            lambda z, noise, alpha, before, fresh: _step_back(
                z, noise, alpha, before, fresh, z - (1 - alpha * before) ** 0.5 * noise),
        "For the clean signal you take ᾱ_{t-1}, `before`; z has the noise of ᾱ_t = alpha · before.":
            lambda z, noise, alpha, before, fresh: _step_back(
                z, noise, alpha, before, fresh, (z - (1 - before) ** 0.5 * noise) / before**0.5),
        "The factor of z has √ᾱ_t, as one slide prints it; it is √α_t.":
            lambda z, noise, alpha, before, fresh: _step_back(z, noise, alpha, before, fresh)
            + ((alpha * before) ** 0.5 - alpha**0.5) * (1 - before) / (1 - alpha * before) * z,
        "The variance of the fresh noise is that of a forward step, 1 - α_t. Going back, we know more, and it is "
        "smaller by (1 - ᾱ_{t-1}) / (1 - ᾱ_t).": lambda z, noise, alpha, before, fresh: _step_back(
            z, noise, alpha, before, 0 * fresh) + (1 - alpha) ** 0.5 * fresh,
        "The fresh noise is missing: that is the mean of where we may be, not a place.":
            lambda z, noise, alpha, before, fresh: _step_back(z, noise, alpha, before, 0 * fresh),
        "You jump to the clean signal at once. A step mixes it with z.": lambda z, noise, alpha, before, fresh: (
            z - (1 - alpha * before) ** 0.5 * noise) / (alpha * before) ** 0.5,
    },
    probes=((random(3, 4), random(4, 3).T, 0.8, 0.6, random(5, 4)[:3]),
            (random(2, 2), random(3, 2)[1:], 0.95, 1.0, random(4, 2)[:2])),
    praise="Put it into a loop, and you have written the paper's Algorithm 1.",
)  # fmt: skip


# How many samples to average: decibels above the least error -> number of samples


def _samples(decibels: float) -> float:
    return 1 / (10 ** (decibels / 10) - 1)


samples_needed = Checker(
    right=lambda decibels: np.ceil(_samples(decibels)),
    mistakes={
        "There are no fractions of samples: round up.": _samples,
        "You round down, so the error is still a little above the bound: round up.":
            lambda decibels: np.floor(_samples(decibels)),
        "Decibels of an error that is squared already: 10 log10 of the ratio, not 20.":
            lambda decibels: np.ceil(_samples(decibels / 2)),
        "Natural logarithms? d decibels are a factor of 10 ** (d / 10).":
            lambda decibels: np.ceil(1 / (np.exp(decibels / 10) - 1)),
        "One more than needed: the error is 1 + 1/n times the least, so 1/n may be as large as the ratio minus 1.":
            lambda decibels: np.ceil(_samples(decibels)) + 1,
        "That is 1 over the ratio. The part that averaging can take away is the ratio minus 1.":
            lambda decibels: np.ceil(10 ** (-decibels / 10)),
    },
    probes=((0.3,), (0.05,), (2.0,)),
    praise="The first few samples buy nearly everything; for the last tenth of a decibel one pays dearly.",
)  # fmt: skip


# Two errors in one: samples (n, 3, h, w) and x (3, h, w) -> squared error of their mean, and scatter around it


def _parts(samples: Tensor, x: Tensor) -> list[Tensor]:
    mean = samples.mean(0)
    return [(mean - x).square().mean(), (samples - mean).square().mean()]


error_parts = Checker(
    right=_parts,
    mistakes={
        "The scatter is too large by n / (n - 1). That would be the variance of the sampler; here distances from the "
        "samples' own mean are asked for, and only with n do the parts add up.":
            lambda samples, x: [_parts(samples, x)[0], samples.var(0).mean()],
        "Those are roots. Squares add up, their roots do not.":
            lambda samples, x: [part.sqrt() for part in _parts(samples, x)],
        "The other way round: first the error of the mean.": lambda samples, x: _parts(samples, x)[::-1],
        "The first number is the error of the samples, which is the sum of both. Average the samples, then compare.":
            lambda samples, x: [(samples - x).square().mean(), _parts(samples, x)[1]],
        "The second number is the error of the samples, which is the sum of both. Compare them with their mean, not x.":
            lambda samples, x: [_parts(samples, x)[0], (samples - x).square().mean()],
        "In the first number errors of opposite sign cancel: square before you take the mean over the pixels.":
            lambda samples, x: [(samples.mean(0) - x).mean().square(), _parts(samples, x)[1]],
        "Your scatter is over the pixels of a sample. Hold the pixel, and compare the samples.":
            lambda samples, x: [_parts(samples, x)[0], samples.flatten(1).var(1, correction=0).mean()],
        "Those are sums. Take means over pixels and colours (and, for the scatter, over samples).":
            lambda samples, x: [_parts(samples, x)[0] * x.numel(), _parts(samples, x)[1] * samples.numel()],
    },
    probes=((random(4, 3, 5, 6), random(3, 5, 6)), (random(2, 3, 4, 3), random(4, 3, 4)[1:].mT)),
    praise="So it is for any sampler. Averaging takes away the second part; the first it leaves.",
)  # fmt: skip


# Entropy of 8-bit levels: whole numbers of any shape -> bits for one value


def _shares(levels: Tensor) -> Tensor:
    return torch.unique(levels, return_counts=True)[1] / levels.numel()


def _bits(levels: Tensor) -> Tensor:
    return -(_shares(levels) * _shares(levels).log2()).sum()


level_entropy = Checker(
    right=_bits,
    mistakes={
        "Those are nats: bits need the logarithm to base 2.": lambda levels: _bits(levels) * np.log(2),
        "The sign: shares are below 1, their logarithms negative, and entropy is not.": lambda levels: -_bits(levels),
        "0 times the logarithm of 0 is not a number here. A level that never occurs adds nothing: leave it out.":
            lambda levels: torch.tensor(float("nan")),
        "Counts are no shares yet: divide by how many values there are.":
            lambda levels: -(_shares(levels) * levels.numel() * (_shares(levels) * levels.numel()).log2()).sum(),
        "That is the entropy if all levels that occur were equally frequent. Weight each by its share.":
            lambda levels: np.log2(len(_shares(levels))),
        "You average over the levels. Each counts as often as it occurs: weight its -log2 share by its share.":
            lambda levels: -_shares(levels).log2().mean(),
        "That is the sum over all values, what the whole picture needs; divide by how many values there are.":
            lambda levels: _bits(levels) * levels.numel(),
    },
    probes=((torch.tensor([[3, 3, 7], [3, 0, 255]]),), (torch.tensor([-20, 0, 0, 0, 0, 0, 1, 0]),)),
    praise="What is nearly always zero needs few bits. Whether it is easier to draw as well, entropy does not say.",
)  # fmt: skip


# Colours put right: (initial prediction, blurry picture), both (3, h, w) -> initial prediction in the colours of y


in_the_colours_of = Checker(
    right=lambda initial, blurry: initial + (blurry - initial).mean((1, 2), keepdim=True),
    mistakes={
        "The sign: your picture is twice as far off as before.":
            lambda initial, blurry: initial - (blurry - initial).mean((1, 2), keepdim=True),
        "You shift red, green and blue alike. The brightness is right now, the colours are not: one mean for each.":
            lambda initial, blurry: initial + (blurry - initial).mean(),
        "You take the mean over the colours of each pixel; what drifts is the mean over the pixels of each colour.":
            lambda initial, blurry: initial + (blurry - initial).mean(0, keepdim=True),
        "You scale each colour. That changes its contrast, too; a drift is a shift.":
            lambda initial, blurry: initial * blurry.mean((1, 2), keepdim=True) / initial.mean((1, 2), keepdim=True),
        "You clip, and so the means are off again. A shift is all that is asked for.":
            lambda initial, blurry: (initial + (blurry - initial).mean((1, 2), keepdim=True)).clamp(0, 1),
        "Only the means are taken from the blurry picture. You return all of it.": lambda initial, blurry: blurry,
        "The picture has lost its own colours and got none: add the means of the blurry one.":
            lambda initial, blurry: initial - initial.mean((1, 2), keepdim=True),
    },
    probes=((random(3, 4, 5), random(4, 4, 5)[1:]), (random(3, 2, 6), random(5, 2, 6)[2:] ** 2)),
    praise="Blur keeps mean colours, so this costs nothing and uses nothing but the blurry picture.",
)  # fmt: skip


# The law of averaging: (error of one sample, error of the mean of n, n) -> error of the mean of infinitely many


endless_average = Checker(
    right=lambda one, many, n: (n * many - one) / (n - 1),
    mistakes={
        "That is the variance of the samples, the part that averaging takes away. What is left?":
            lambda one, many, n: (one - many) * n / (n - 1),
        "Half the error of one sample: so it would be for a perfect sampler. This one was measured at n, too: use it.":
            lambda one, many, n: one / 2,
        "So it would be for a perfect sampler, whose mean of n has 1 + 1/n times the least error. Use both numbers.":
            lambda one, many, n: many / (1 + 1 / n),
        "The mean of n still has an n-th of the variance. Subtract that as well.": lambda one, many, n: many,
        "Nearly: the factor. one = a + b and many = a + b/n; with b = 0 your answer should be a.":
            lambda one, many, n: (n * many - one) / n,
        "Nearly. The difference of the two holds 1 - 1/n of the variance, not all of it.":
            lambda one, many, n: many - (one - many) / n,
    },
    probes=((2.0, 1.25, 4.0), (0.9, 0.5, 16.0)),
    praise="Two measurements tell where the straight line over 1/n ends, without drawing another sample.",
)  # fmt: skip


# How far an average of weights reaches back: its decay, and a share -> number of last steps that hold this share


def _reach(decay: float, share: float) -> float:
    return np.log(1 - share) / np.log(decay)


reach_of_average = Checker(
    right=lambda decay, share: np.ceil(_reach(decay, share)),
    mistakes={
        "There are no fractions of steps: round up.": _reach,
        "You round down, so a little of the share is missing: round up.":
            lambda decay, share: np.floor(_reach(decay, share)),
        "After so many steps that share of the *old* average is left. What have the new steps by then?":
            lambda decay, share: np.ceil(np.log(share) / np.log(decay)),
        "You count all steps like the last one. The one before has `decay` times its share, and so on.":
            lambda decay, share: np.ceil(share / (1 - decay)),
        "That is the usual rule of thumb, 1 / (1 - decay), whatever the share. How much do so many steps hold?":
            lambda decay, share: np.round(1 / (1 - decay)),
        "The very last step has no `decay` in its share yet: it holds 1 - decay.":
            lambda decay, share: np.ceil(_reach(decay, share / decay)),
    },
    probes=((0.98, 0.8), (0.9, 0.5), (0.995, 0.95)),
    praise="Is that much of the training, or little? In the first case the average holds weights of a worse network, "
    "in the second it hardly differs from the last ones.",
)  # fmt: skip
