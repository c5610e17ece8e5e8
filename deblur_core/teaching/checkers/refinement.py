"""Exercises on stochastic refinement."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from deblur_core.teaching.checkers.checker import Checker, random

# Diffusion: clean signal, ᾱ and noise -> noisy signal


def _noisy(clean: Tensor, alpha_bar: float, noise: Tensor) -> Tensor:
    return alpha_bar**0.5 * clean + (1 - alpha_bar) ** 0.5 * noise


noisy_at_once = Checker(
    right=_noisy,
    mistakes={
        "You multiply the noise by 1 - alpha_bar, as one formula of the paper prints it. Variances add up, so the "
        "*variance* of the noise is 1 - alpha_bar: take the root.":
            lambda clean, alpha_bar, noise: alpha_bar**0.5 * clean + (1 - alpha_bar) * noise,
        "alpha_bar is what is left of the signal's power, the square of its size: take the root.":
            lambda clean, alpha_bar, noise: alpha_bar * clean + (1 - alpha_bar) ** 0.5 * noise,
        "Two roots are missing: alpha_bar and 1 - alpha_bar are powers, squares of sizes.":
            lambda clean, alpha_bar, noise: alpha_bar * clean + (1 - alpha_bar) * noise,
        "The two are swapped: alpha_bar near 1 is little noise.":
            lambda clean, alpha_bar, noise: _noisy(noise, alpha_bar, clean),
        "The signal keeps its size in your formula: with every step of noise it shrinks, so that the sum keeps its "
        "power.": lambda clean, alpha_bar, noise: clean + (1 - alpha_bar) ** 0.5 * noise,
    },
    probes=((random(3, 4), 0.36, random(4, 3).T), (random(5), 0.9, random(6)[1:])),
    praise="However many steps it stands for, this is one line, and training needs no other.",
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
