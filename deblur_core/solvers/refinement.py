"""Predict and refine: sampling by Whang et al., "Deblurring via Stochastic Refinement", CVPR 2022, Algorithm 1.

x_init = g_θ(y) once; z_T ~ N(0, I); for t = T ... 1: z_{t−1} = μ_t(z_t, ẑ_0) + √β_t ε; x = x_init + z_0. With many
steps a sample is a sharp restoration among several possible ones ("Ours": T = 500). The mean of samples tends to
E[x | y], the restoration of least squared error ("Ours-SA": T = 10, number of samples not stated). Schedule and T are
free at inference: the paper chose them by a small grid search.

Differs from the paper's print: ẑ_0 is computed from the estimated noise, where Algorithm 1 writes f_θ itself, and ε has
the factor √β_t. Ours, as the paper does not say: ẑ_0 is clipped so that x_init + ẑ_0 stays a picture in [0, 1].
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product

import torch
from torch import Tensor

from deblur_core.errors import UsageError
from deblur_core.models.diffusion import Schedule, remove_noise
from deblur_core.models.refinement import Refinement, pad_to_multiple
from deblur_core.runs import own_stream
from deblur_core.solvers.acceleration import Captured, arithmetic
from deblur_core.solvers.nonblind import check_values

PIXELS = {"cpu": 2**16, "cuda": 2**20}
"""Pixels predicted or drawn at a time. On a CPU more take longer in sum: their features no longer fit into memory that
is already there (8 samples of 256 px at once take 1.3 times as long as one by one)."""


@dataclass(frozen=True)
class Restored:
    """initial x_init `(b, 3, h, w)` and samples `(b, n, 3, h, w)` of x given y, all in [0, 1]."""

    initial: Tensor
    samples: Tensor

    def average(self, count: int | None = None) -> Tensor:
        """Mean `(b, 3, h, w)` of the first `count` samples; of all where left out. UsageError where there are fewer."""
        available = self.samples.shape[1]
        count = available if count is None else count
        if not 1 <= count <= available:
            raise UsageError(f"{count} samples cannot be averaged: 1 to {available} are there.")
        return self.samples[:, :count].mean(1)

    def deviation(self) -> Tensor:
        """Standard deviation over samples, by pixel and channel `(b, 3, h, w)`: where y leaves x open."""
        if self.samples.shape[1] < 2:
            raise UsageError("A standard deviation needs at least two samples: pass more seeds.")
        return self.samples.std(1)


def refine(
    model: Refinement,
    blurry: Tensor,
    schedule: Schedule,
    seeds: Sequence[int] = (0,),
    *,
    device: str = "cpu",
    precision: str = "bfloat16",
    clip: bool = True,
    batch: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Restored:
    """One sample of the sharp picture for every seed, and the initial prediction; results are on the CPU.

    Args: blurry `(b, 3, h, w)` in [0, 1], any size; schedule, any; seeds, each decides its sample alone, whatever else
    is sampled with it (up to rounding, and per kind of device); precision, see `acceleration.arithmetic`; clip, see
    above; batch, pictures predicted or samples drawn at a time, by default as PIXELS says; progress, called as
    progress(step, steps).
    Raises UsageError for pictures or seeds that cannot be used; warns where the schedule ends far from pure noise.
    """
    check_input(blurry, seeds, batch)
    if model.denoiser is None:
        raise UsageError("This model has no denoiser, so nothing can be sampled: use its predict(blurry).")
    schedule.check_start()
    with torch.no_grad(), own_stream(device):
        twin = copy.deepcopy(model).eval()
        twin = twin.to(device, arithmetic(precision, device), memory_format=torch.channels_last)
        height, width = blurry.shape[-2:]
        y = pad_to_multiple(blurry.to(device, torch.float32), twin.denoiser.multiple)
        batch = batch or max(1, PIXELS[y.device.type] // (y.shape[-2] * y.shape[-1]))
        parts = y.contiguous(memory_format=torch.channels_last).split(batch)
        initial = torch.cat([twin.predict(part) for part in parts])
        limits = (twin.residual(0.0, initial), twin.residual(1.0, initial)) if clip else None
        chains = list(product(range(len(y)), seeds))
        groups = [chains[start : start + batch] for start in range(0, len(chains), batch)]
        samples, denoisers = [], {}
        for done, group in enumerate(groups):
            of = [picture for picture, _ in group]
            if len(group) not in denoisers:
                denoisers[len(group)] = _Denoiser(twin, (len(group), *y.shape[1:]), y.device)
            z = diffuse_back(
                denoisers[len(group)].of(twin.scaled(y[of])),
                _Noise([seed for _, seed in group], y.shape[1:], y.device),
                schedule,
                limits and (limits[0][of], limits[1][of]),
                progress and (lambda step, steps, done=done: progress(done * steps + step, len(groups) * steps)),
            )
            samples.append(twin.picture(z, initial[of])[..., :height, :width].clamp(0, 1).cpu())
    drawn = torch.cat(samples).unflatten(0, (len(y), len(seeds)))
    return Restored(initial[..., :height, :width].clamp(0, 1).cpu(), drawn)


def diffuse_back(
    estimate_noise: Callable[[Tensor, float], Tensor],
    draw: Callable[[], Tensor],
    schedule: Schedule,
    limits: tuple[Tensor, Tensor] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Tensor:
    """The loop of Algorithm 1: z_0 from pure noise, for tensors of any shape.

    estimate_noise(z_t, ᾱ_t) is f_θ; draw() gives standard normal noise of z's shape; limits, of ẑ_0.
    """
    z = draw().clone()
    for t in range(schedule.steps, 0, -1):
        alpha_bar = schedule.alpha_bars[t].item()
        clean = remove_noise(z, alpha_bar, estimate_noise(z, alpha_bar))
        if limits:
            clean = clean.clamp_(*limits)
        z, variance = schedule.posterior(z, clean, t)
        if t > 1:
            z.add_(draw(), alpha=variance**0.5)
        if progress:
            progress(schedule.steps + 1 - t, schedule.steps)
    return z


def check_input(blurry: Tensor, seeds: Sequence[int], batch: int | None) -> None:
    """Raises UsageError unless these are finite colour pictures and different seeds."""
    if blurry.ndim != 4 or blurry.shape[1] != 3 or not blurry.numel():
        raise UsageError(f"Refinement takes colour pictures of shape (b, 3, h, w), not {tuple(blurry.shape)}.")
    check_values(blurry)
    if len(seeds) < 1:
        raise UsageError("At least one sample must be drawn: pass a seed for each.")
    if len(set(seeds)) < len(seeds):
        raise UsageError("A seed that is passed twice gives the same sample twice: pass different ones.")
    if batch is not None and batch < 1:
        raise UsageError(f"{batch} samples at a time are none: at least 1.")


class _Denoiser:
    """f_θ for y `(b, c, h, w)`: what changes is written into the same tensors, and on a GPU one captured graph reads
    them. On a CPU bfloat16 with channels last takes half the time of plain float32."""

    def __init__(self, model: Refinement, shape: Sequence[int], device: torch.device):
        self.network, self.noise_of = model.denoiser, model.noise_of
        b, c, h, w = shape
        self.inputs = torch.empty((b, 2 * c, h, w), dtype=model.dtype, device=device, memory_format=torch.channels_last)
        self.noisy, self.blurry = self.inputs.split(c, 1)
        self.alpha_bar = torch.empty(b, device=device)
        self.graph = Captured() if device.type == "cuda" else None

    def of(self, blurry: Tensor) -> _Denoiser:
        """The same for another y, as `Refinement.scaled` has it."""
        self.blurry.copy_(blurry)
        return self

    def __call__(self, z: Tensor, alpha_bar: float) -> Tensor:
        self.noisy.copy_(z)
        self.alpha_bar.fill_(alpha_bar)
        if self.graph is None:
            self._run()
        else:
            self.graph(self._run)
        return self.noise_of(self.given.float(), z, alpha_bar)

    def _run(self) -> None:
        self.given = self.network(self.inputs, self.alpha_bar)


class _Noise:
    """Standard normal noise `(n, c, h, w)`, row by row from the generator of its seed."""

    def __init__(self, seeds: Sequence[int], shape: Sequence[int], device: torch.device):
        self.generators = [torch.Generator(device).manual_seed(seed) for seed in seeds]
        self.noise = torch.empty((len(seeds), *shape), device=device)

    def __call__(self) -> Tensor:
        for row, generator in zip(self.noise, self.generators, strict=True):
            row.normal_(generator=generator)
        return self.noise
