"""The diffusion equations of Whang et al., "Deblurring via Stochastic Refinement", CVPR 2022, section 3.

Noise is added to x_0 in T small steps and taken away again. α_t = 1 − `betas[t − 1]` is what a step keeps of the
signal's power and ᾱ_t = α_1 ... α_t what is left after t of them; ᾱ is the noise level that a denoiser is told, so that
one network serves every schedule (as in WaveGrad, Chen et al., ICLR 2021). Steps count t = 1 ... T, and ᾱ_0 = 1.

Differs from the paper's print, where it slips: the noise of the forward process has the factor √(1 − ᾱ), that of a
sampling step the root of the variance. `betas` are those of the forward steps, as in Ho et al. (2020); the paper writes
1 − α_t for them and β_t for the variance of the posterior.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from deblur_core.errors import UsageError

LEAST_SIGNAL = 1e-24
"""ᾱ is never below this: float32 has lost the signal long before, and 1/√ᾱ would overflow."""
START_SIGNAL = 0.05
"""Sampling starts from pure noise; a schedule that keeps more of the signal's power than this is warned of."""


@dataclass(frozen=True, eq=False)
class Schedule:
    """A noise schedule: betas `(T,)`, each between 0 and 1, kept in float64. Raises UsageError for anything else, and
    for a step t that is not in 1 ... T."""

    betas: Tensor

    def __post_init__(self) -> None:
        betas = torch.as_tensor(self.betas, dtype=torch.float64)
        if betas.ndim != 1 or len(betas) < 1:
            raise UsageError("A noise schedule needs at least one step: a row of betas.")
        if not ((betas > 0) & (betas < 1)).all():
            raise UsageError("Every beta of a noise schedule lies between 0 and 1, both excluded.")
        object.__setattr__(self, "betas", betas)

    @property
    def steps(self) -> int:
        return len(self.betas)

    @cached_property
    def alpha_bars(self) -> Tensor:
        """ᾱ_0 = 1, ᾱ_1, ..., ᾱ_T `(T + 1,)`: what is left of the signal's power."""
        kept = torch.cumprod(1 - self.betas, 0).clamp_min(LEAST_SIGNAL)
        return torch.cat([torch.ones(1, dtype=torch.float64), kept])

    def forward_step(self, x: Tensor, t: int, noise: Tensor) -> Tensor:
        """x_t from x_{t−1}: a draw from q(x_t | x_{t−1}) = N(√α_t x_{t−1}, (1 − α_t) I)."""
        beta = self._beta(t)
        return (1 - beta) ** 0.5 * x + beta**0.5 * noise

    def posterior(self, x: Tensor, clean: Tensor, t: int) -> tuple[Tensor, float]:
        """Mean and variance of q(x_{t−1} | x_t, x_0) = N(μ_t, β_t I), for x_t and x_0 of any one shape:

        μ_t = √ᾱ_{t−1} (1 − α_t) / (1 − ᾱ_t) x_0 + √α_t (1 − ᾱ_{t−1}) / (1 − ᾱ_t) x_t
        β_t = (1 − ᾱ_{t−1}) / (1 − ᾱ_t) (1 − α_t), which is 0 for t = 1
        """
        beta, before, after = self._beta(t), self.alpha_bars[t - 1].item(), self.alpha_bars[t].item()
        of_clean = before**0.5 * beta / (1 - after)
        of_noisy = (1 - beta) ** 0.5 * (1 - before) / (1 - after)
        return of_clean * clean + of_noisy * x, (1 - before) / (1 - after) * beta

    def _beta(self, t: int) -> float:
        if not 1 <= t <= self.steps:
            raise UsageError(f"The steps of this schedule are 1 to {self.steps}: there is no step {t}.")
        return self.betas[t - 1].item()

    def draw_levels(self, count: int, generator: torch.Generator) -> Tensor:
        """Noise levels ᾱ `(count,)` for training, float32 on the generator's device.

        t is uniform in 1 ... T, then √ᾱ uniform between √ᾱ_t and √ᾱ_{t−1}, as in WaveGrad; the paper does not say.
        """
        options = {"generator": generator, "device": generator.device}
        t = torch.randint(1, self.steps + 1, (count,), **options)
        share = torch.rand(count, **options)
        roots = self.alpha_bars.sqrt().to(generator.device, non_blocking=True)
        return (roots[t] + share * (roots[t - 1] - roots[t])).square().float()

    def check_start(self) -> None:
        """Warn where x_T is far from pure noise, so that to start there is not legitimate."""
        if (left := self.alpha_bars[-1].item()) > START_SIGNAL:
            warnings.warn(
                f"After its {self.steps} steps this schedule still holds {left:.0%} of the signal's power, but "
                "sampling starts from pure noise: take more steps or larger betas.",
                stacklevel=3,
            )


def add_noise(clean: Tensor, alpha_bar: Tensor | float, noise: Tensor) -> Tensor:
    """x_t from x_0 at once: a draw from q(x_t | x_0) = N(√ᾱ x_0, (1 − ᾱ) I); alpha_bar, in [0, 1], broadcasts."""
    return alpha_bar**0.5 * clean + (1 - alpha_bar) ** 0.5 * noise


def remove_noise(noisy: Tensor, alpha_bar: Tensor | float, noise: Tensor) -> Tensor:
    """x̂_0 = (x_t − √(1 − ᾱ) ε) / √ᾱ: what x_0 was, if ε is the noise in x_t; alpha_bar in (0, 1]."""
    return (noisy - (1 - alpha_bar) ** 0.5 * noise) / alpha_bar**0.5


def linear_schedule(steps: int, last: float, first: float = 1e-6) -> Schedule:
    """Betas that grow linearly from `first` to `last`; a single step is `last`. UsageError for no step, and for betas
    that are not between 0 and 1."""
    if steps < 1:
        raise UsageError(f"A noise schedule of {steps} steps does not exist: at least 1.")
    betas = torch.linspace(first, last, steps, dtype=torch.float64)
    return Schedule(betas if steps > 1 else torch.tensor([last]))


def strided(schedule: Schedule, steps: int) -> Schedule:
    """The same way from picture to noise in fewer steps: ᾱ at `steps` evenly spaced points of the schedule.

    Raises UsageError for steps that it does not have, and where its last ones find no signal that they could drown.
    """
    if not 1 <= steps <= schedule.steps:
        raise UsageError(f"A schedule of {schedule.steps} steps cannot be walked in {steps}: 1 to {schedule.steps}.")
    kept = schedule.alpha_bars[torch.linspace(0, schedule.steps, steps + 1, dtype=torch.float64).round().long()]
    betas = 1 - kept[1:] / kept[:-1]
    if not ((betas > 0) & (betas < 1)).all():
        raise UsageError("This schedule drowns all of the signal before its end: take smaller betas or fewer of them.")
    return Schedule(betas)


TRAINING = linear_schedule(2000, 1e-2)
"""Betas from 1e-6 to 1e-2 over 2000 steps; ours, as the paper does not state its own."""
