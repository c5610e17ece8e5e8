"""The blur operators that studies of the kernel space compare, and what they make of a bright point.

    model = operators.get("learned")      k = model.encode(x, y).mean      y = model.blur(x, k)
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from functools import cache

import torch
from torch import Tensor

from deblur_core import data, trainings, weights
from deblur_core.data import training_pairs
from deblur_core.models.compact_kernel_space import CompactKernelSpace
from deblur_core.models.linear_kernel_space import LinearKernelSpace
from deblur_core.runs import Context

NAMES = ("learned", "linear")
"""The weights that come with the project; principal components of simulated shakes."""
EXTENT = 27
"""Pixels: the side of a response to a point."""
Operator = CompactKernelSpace | LinearKernelSpace


@cache
def get(name: str) -> Operator:
    """In evaluation mode, without gradients, on the CPU; not to be changed."""
    if name == "linear":
        return LinearKernelSpace(kernels()).eval()
    return trainings.load("kernel_space").requires_grad_(False)


@cache
def digest(name: str) -> str:
    """What identifies an operator in the key of a job."""
    if name == "linear":
        return data.content_digest("linear", kernels().numpy().tobytes())
    return weights.card("kernel_space")["sha256"]


@cache
def kernels() -> Tensor:
    """Shakes (n, size, size) that both have seen; the learned one has seen Levin's and built-in kernels, too."""
    return training_pairs.kernels(trainings.KERNEL_SPACE_BLUR, seed=0)


def on_device(name: str, context: Context) -> Operator:
    model = get(name)
    return model if context.device == "cpu" else copy.deepcopy(model).to(context.device)


def responses(model: Operator, k: Tensor, places: Sequence[tuple[int, int]], side: int) -> Tensor:
    """What the operator makes of a bright point at each place (down, right) of a black picture, (n, EXTENT, EXTENT):
    its blur kernel there. One picture a point, so that responses do not touch."""
    half = EXTENT // 2
    points = torch.zeros(len(places), 3, side, side, device=k.device)
    for point, (down, right) in zip(points, places, strict=True):
        point[:, down, right] = 1
    with torch.no_grad():
        seen = model.blur(points, k).mean(1).cpu()
    return torch.stack([one[i - half : i + half + 1, j - half : j + half + 1]
                        for one, (i, j) in zip(seen, places, strict=True)])  # fmt: skip


def misplaced(response: Tensor, k: Tensor) -> float:
    """The share of the true kernel's mass that the response has elsewhere: half the sum of absolute differences."""
    border = (EXTENT - k.shape[-1]) // 2
    return 0.5 * (response - torch.nn.functional.pad(k.squeeze(0), (border,) * 4)).abs().sum().item()
