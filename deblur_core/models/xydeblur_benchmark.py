"""Speed of a training step of XYDeblur's shared rotated pair, beside other ways to compute the same gradients."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor

from deblur_core.models.selfdeblur import initialize
from deblur_core.models.xydeblur import XYDeblur, rotate, with_rotated_features
from deblur_core.timing import in_turn

WIDTH, BLOCKS = 16, 2


def rows(device: str = "cpu", repeats: int = 5, crops: int = 8, pixels: int = 128) -> list[dict[str, Any]]:
    """Median time of a forward and backward pass in each number format, all variants in turn within one run.

    On the CPU it is processor time, which other programs hardly disturb. `one decoder` is the time in units of the
    single decoder's (the multiply-adds are 1.5 times as many), `naive` how many times the variant beats the last row:
    features rotated in PyTorch's default layout, one decoder after the other, as the released code does.
    """
    generator = torch.Generator().manual_seed(0)
    y = torch.rand(crops, 3, pixels, pixels, generator=generator).to(device)
    clock = time.perf_counter if torch.device(device).type == "cuda" else time.process_time
    table = []
    for dtype in (torch.float32, torch.bfloat16):
        single, pair = (XYDeblur(decoders, width=WIDTH, blocks=BLOCKS) for decoders in (1, 2))
        for network in (single, pair):
            initialize(network, generator).to(device, dtype)
        variants: dict[str, tuple[XYDeblur, Callable[[XYDeblur, Tensor], Tensor]]] = {
            "one decoder": (single, lambda network, y: network.residuals(y)),
            "two, rotated weights": (pair, lambda network, y: network.residuals(y)),
            "two, rotated features": (pair, lambda network, y: network.residuals(y, with_rotated_features)),
            "two, rotated features in one batch": (pair, in_one_batch),
            "two, rotated features, default layout": (pair, in_the_default_layout),
        }
        steps = {name: partial(_step, network, residuals, y) for name, (network, residuals) in variants.items()}
        median = in_turn(steps, device, repeats, clock=clock)
        table += [
            {
                "operation": f"XYDeblur step, {crops} crops of {pixels} px, {str(dtype).removeprefix('torch.')}",
                "variant": name,
                "device": device,
                "milliseconds": round(1e3 * median[name], 1),
                "one decoder": f"{median[name] / median['one decoder']:.2f}",
                "naive": f"{median['two, rotated features, default layout'] / median[name]:.2f} x",
            }
            for name in variants
        ]
    return table


def _step(network: XYDeblur, residuals: Callable[[XYDeblur, Tensor], Tensor], y: Tensor) -> None:
    network.zero_grad()
    (y + residuals(network, y).sum(0)).abs().mean().backward()


def in_one_batch(network: XYDeblur, y: Tensor) -> Tensor:
    """Both decoders as one with twice the batch, for square pictures; residuals `(2, b, 3, h, w)`."""
    features = [
        torch.cat((feature, rotate(feature, -1))).contiguous(memory_format=torch.channels_last)
        for feature in network.encode(y)
    ]
    first, second = network.decoders[0](*features).chunk(2)
    return torch.stack((first, rotate(second, 1)))


def in_the_default_layout(network: XYDeblur, y: Tensor) -> Tensor:
    features = network.encoder(y.to(next(network.parameters()).dtype))
    return torch.stack([with_rotated_features(network.decoders[0], features, turns) for turns in (0, 1)])
