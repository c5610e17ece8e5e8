"""Speed of one training step, beside the loop that one would write first, and what making a batch adds to it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from deblur_core.models.xydeblur import Features, XYDeblur
from deblur_core.solvers.acceleration import usual
from deblur_core.timing import in_turn
from deblur_core.training import Settings, TrainingRun, seeded
from deblur_core.training_data import blurred_pictures
from deblur_core.trainings import absolute_error

WIDTH, BLOCKS = 16, 2


class _Plain(XYDeblur):
    """Channels first, as PyTorch does by itself."""

    def encode(self, y: Tensor) -> Features:
        return self.encoder(F.pad(y, (0, -y.shape[-1] % 4, 0, -y.shape[-2] % 4), mode="reflect").contiguous())


def rows(device: str = "cpu", repeats: int = 5) -> list[dict[str, Any]]:
    """Median milliseconds of a step on the same batch, all variants in turn, and how many times each beats plain."""
    settings = Settings(steps=1000)
    data = blurred_pictures(("builtin",), settings, 0, device)
    batch = data.pairs(torch.Generator().manual_seed(0))

    def step(precision: str) -> Callable[[], Any]:
        network = seeded(lambda: XYDeblur(width=WIDTH, blocks=BLOCKS), seed=0)
        run = TrainingRun(network, absolute_error, Settings(steps=1000, precision=precision), 0, device)
        return lambda: run.take_step(batch)

    variants = {
        "plain float32": plain_step(batch, device),
        "training loop, float32": step("float32"),
        f"training loop, {usual(device)}": step("bfloat16"),
        "making the batch": lambda: data.pairs(torch.Generator().manual_seed(0)),
    }
    median = in_turn(variants, device, repeats, warm_up=2)
    return [
        {
            "operation": f"training step of XYDeblur, width {WIDTH}, {settings.batch} crops of {settings.crop} px",
            "variant": name,
            "device": device,
            "milliseconds": round(1e3 * median[name], 1),
            "speed": f"{median['plain float32'] / median[name]:.1f} x",
        }
        for name in variants
    ]


def plain_step(batch: tuple[Tensor, ...], device: str) -> Callable[[], Any]:
    """What one would write first: float32, channels first, Adam as it comes, the average one weight after another."""
    network = seeded(lambda: _Plain(width=WIDTH, blocks=BLOCKS), seed=0).to(device)
    averaged = {name: weight.detach().clone() for name, weight in network.named_parameters()}
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-4)
    blurry, sharp = (tensor.contiguous() for tensor in batch)

    def step() -> None:
        optimizer.zero_grad()
        (network(blurry) - sharp).abs().mean().backward()
        optimizer.step()
        for name, weight in network.named_parameters():
            averaged[name].mul_(0.999).add_(weight.detach(), alpha=0.001)

    return step
