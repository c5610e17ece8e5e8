"""How much of SelfDeblur's gradient bfloat16 rounds away, beside what the method itself perturbs it by."""

from __future__ import annotations

from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor

from deblur_core.solvers.acceleration import Bfloat16
from deblur_core.solvers.selfdeblur import Recipe, _Optimisation


def gradient_errors(
    y: Tensor, kernel_size: int, recipe: Recipe, at: tuple[int, ...], seed: int = 0
) -> list[dict[str, float]]:
    """Relative errors of the image network's gradient at some iterations of a run in float32.

    Every iteration adds fresh noise to the network's input z_x, so two draws of it give two gradients. `noise` is the
    relative distance between those, `rounding` that between float32 and bfloat16 with the same draw; `noise_cosine` and
    `rounding_cosine` are the cosines between the same gradients. y as for `selfdeblur.deblur`.
    """
    run = _Optimisation(y, kernel_size, replace(recipe, precision="float32"), seed, "cpu")
    draws = torch.Generator().manual_seed(seed + 1)
    rows = []
    for iteration in at:
        while run.iteration < iteration:
            run.step()
        inputs = [run.z_image + _draw(run, draws) for _ in range(2)]
        exact, other = (_gradient(run, z, run.image_network) for z in inputs)
        rounded = _gradient(run, inputs[0], Bfloat16(run.image_network))
        row: dict[str, float] = {"iteration": iteration}
        for name, gradient in (("rounding", rounded), ("noise", other)):
            row[name] = float((gradient - exact).norm() / exact.norm())
            row[f"{name}_cosine"] = float(F.cosine_similarity(gradient, exact, dim=0))
        rows.append(row)
    return rows


def _draw(run: _Optimisation, generator: torch.Generator) -> Tensor:
    noise = torch.randn(run.z_image.shape, generator=generator) * run.recipe.input_noise
    return noise.contiguous(memory_format=torch.channels_last)


def _gradient(run: _Optimisation, z: Tensor, artist: torch.nn.Module | Bfloat16) -> Tensor:
    """`(weights,)`, float64: of the loss that the run's next iteration has."""
    for weight in run.image_network.parameters():
        weight.grad = None
    run.loss_of(artist(z), run.kernel_network(run.z_kernel)).backward()
    if isinstance(artist, Bfloat16):
        artist.return_gradients()
    gradients = (weight.grad for weight in run.image_network.parameters() if weight.grad is not None)
    return torch.cat([gradient.flatten() for gradient in gradients]).double()
