"""How much of SelfDeblur's gradient bfloat16 rounds away, beside what the method itself perturbs it by."""

from __future__ import annotations

from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor

from deblur_core.solvers.acceleration import Bfloat16
from deblur_core.solvers.selfdeblur import Recipe, optimisation
from deblur_core.solvers.untrained import Optimisation


def gradient_errors(
    y: Tensor, kernel_size: int, recipe: Recipe, at: tuple[int, ...], seed: int = 0
) -> list[dict[str, float]]:
    """Relative errors of the image network's gradient at some iterations of a run in float32, a row each.

    Every iteration adds fresh noise to the network's input z_x, so two draws of it give two gradients. `noise` is the
    relative distance between those, `rounding` that between float32 and bfloat16 with the same draw; `noise_cosine` and
    `rounding_cosine` are the cosines between the same gradients. y as for `selfdeblur.deblur`.
    at: from 0 to the recipe's iterations; rows come in the run's order.
    """
    run = optimisation(y, kernel_size, replace(recipe, precision="float32"), seed, "cpu")
    image = run.unknowns[0].network
    draws = torch.Generator().manual_seed(seed + 1)
    rows = []
    for iteration in sorted(at):
        while run.iteration < iteration:
            run.step()
        inputs = [_noisy_input(run, draws) for _ in range(2)]
        exact, other = (_gradient(run, z, image) for z in inputs)
        rounded = _gradient(run, inputs[0], Bfloat16(image))
        row: dict[str, float] = {"iteration": iteration}
        for name, gradient in (("rounding", rounded), ("noise", other)):
            row[name] = float((gradient - exact).norm() / exact.norm())
            row[f"{name}_cosine"] = float(F.cosine_similarity(gradient, exact, dim=0))
        rows.append(row)
    return rows


def _noisy_input(run: Optimisation, generator: torch.Generator) -> Tensor:
    image = run.unknowns[0]
    noise = torch.randn(image.z.shape, generator=generator) * image.noise
    return image.z + noise.contiguous(memory_format=torch.channels_last)


def _gradient(run: Optimisation, z: Tensor, artist: torch.nn.Module | Bfloat16) -> Tensor:
    """`(weights,)`, float64: of the loss that the run's next iteration has."""
    image, kernel = run.unknowns
    for weight in image.network.parameters():
        weight.grad = None
    run.phase.objective(artist(z), kernel.network(kernel.z))[0].backward()
    if isinstance(artist, Bfloat16):
        artist.return_gradients()
    gradients = (weight.grad for weight in image.network.parameters() if weight.grad is not None)
    return torch.cat([gradient.flatten() for gradient in gradients]).double()
