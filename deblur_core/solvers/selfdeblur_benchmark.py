"""Speed of one SelfDeblur iteration, beside a plain float32 implementation that convolves directly."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from deblur_core import blur
from deblur_core.models import selfdeblur as networks
from deblur_core.runs import own_stream
from deblur_core.solvers.acceleration import usual
from deblur_core.solvers.selfdeblur import RECIPES, Recipe, optimisation
from deblur_core.timing import in_turn

PIXELS, KERNEL_SIZE = 255, 19
PLAIN_ITERATIONS = RECIPES["released"].iterations


def rows(device: str = "cpu", repeats: int = 5) -> list[dict[str, Any]]:
    """Median time of an iteration, all variants in turn within one run, and how many times each beats the plain one.

    `run` is the ratio of whole runs: the released recipe's iterations by the plain code against this row's recipe.
    """
    y = torch.rand(1, 1, PIXELS, PIXELS, generator=torch.Generator().manual_seed(0))
    released = replace(RECIPES["released"], squared_error_until=0.0)
    quick = replace(RECIPES["quick"], squared_error_until=0.0)
    here = usual(device)
    alternating = replace(released, alternating=True)
    variants: dict[str, tuple[Callable[[], Any], int]] = {
        "plain float32, direct convolution": (plain_step(y, released, device), PLAIN_ITERATIONS),
        "released, float32": (_step(y, replace(released, precision="float32"), device), PLAIN_ITERATIONS),
        f"released, {here}": (_step(y, released, device), PLAIN_ITERATIONS),
        f"released, alternating, {here}": (_step(y, alternating, device), PLAIN_ITERATIONS),
        f"quick, {here}": (_step(y, quick, device), quick.iterations),
    }
    steps = {name: step for name, (step, _) in variants.items()}
    with own_stream(device):
        median = in_turn(steps, device, repeats, warm_up=4)  # a GPU records its graph in the fourth
    plain = median["plain float32, direct convolution"]
    return [
        {
            "operation": f"SelfDeblur iteration, {PIXELS} px, kernel {KERNEL_SIZE} px",
            "variant": name,
            "device": device,
            "milliseconds": round(1e3 * median[name], 2),
            "iteration": f"{plain / median[name]:.1f} x",
            "run": f"{plain * PLAIN_ITERATIONS / (median[name] * iterations):.1f} x",
        }
        for name, (_, iterations) in variants.items()
    ]


def _step(y: torch.Tensor, recipe: Recipe, device: str) -> Callable[[], Any]:
    with own_stream(device):
        return optimisation(y, KERNEL_SIZE, recipe, 0, device).step


def plain_step(y: torch.Tensor, recipe: Recipe, device: str) -> Callable[[], Any]:
    """What one would write first, as the released code does.

    Float32, channels first, conv2d with k as its weights, a bias in every convolution, SSIM by five convolutions with
    an 11 x 11 window.
    """
    generator = torch.Generator().manual_seed(0)
    y = y.to(device)
    image = networks.initialize(_with_biases(networks.ImageNetwork(recipe.width, recipe.skip)), generator).to(device)
    kernel = networks.initialize(networks.KernelNetwork(KERNEL_SIZE), generator).to(device)
    optimizer = torch.optim.Adam(
        [
            {"params": image.parameters(), "lr": recipe.image_rate},
            {"params": kernel.parameters(), "lr": recipe.kernel_rate},
        ]
    )
    side = PIXELS + KERNEL_SIZE - 1
    z_image = networks.draw_image_input(side, side, generator).to(device)
    z_kernel = kernel.draw_input(generator).to(device)
    similarity = plain_similarity(y)

    def step() -> None:
        optimizer.zero_grad()
        x = image(z_image + recipe.input_noise * torch.randn_like(z_image))
        loss = 1 - similarity(blur.convolve(x, kernel(z_kernel), method="direct"))
        loss.backward()
        optimizer.step()

    return step


def plain_similarity(y: torch.Tensor) -> Callable[[torch.Tensor], torch.Tensor]:
    """SSIM to y `(b, c, h, w)` by five convolutions with an 11 x 11 window, each time."""
    gaussian = torch.exp(-(torch.arange(11, device=y.device) - 5.0).square() / (2 * 1.5**2))
    window = (gaussian[:, None] * gaussian / gaussian.sum() ** 2)[None, None]
    y = y.flatten(0, 1)[:, None]

    def similarity(x: torch.Tensor) -> torch.Tensor:
        x = x.flatten(0, 1)[:, None]
        mean_x, mean_y, xx, yy, xy = (F.conv2d(m, window, padding=5) for m in (x, y, x * x, y * y, x * y))
        luminance = (2 * mean_x * mean_y + 0.01**2) / (mean_x.square() + mean_y.square() + 0.01**2)
        variances = xx - mean_x.square() + yy - mean_y.square()
        return (luminance * (2 * (xy - mean_x * mean_y) + 0.03**2) / (variances + 0.03**2)).mean()

    return similarity


def _with_biases(network: nn.Module) -> nn.Module:
    for parent in list(network.modules()):
        for name, conv in parent.named_children():
            if isinstance(conv, networks.UnbiasedConv):
                mirrored = {"padding": 1, "padding_mode": "reflect"} if isinstance(conv, networks.ReflectConv) else {}
                plain = nn.Conv2d(conv.in_channels, conv.out_channels, conv.kernel_size, conv.stride, **mirrored)
                setattr(parent, name, plain)
    return network
