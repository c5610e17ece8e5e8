"""The blur operators that studies of the kernel space compare.

    model = operators.get("learned")      k = model.encode(x, y).mean      y = model.blur(x, k)
"""

from __future__ import annotations

from functools import cache

from torch import Tensor

from deblur_core import data, trainings, weights
from deblur_core.data import training_pairs
from deblur_core.models.compact_kernel_space import CompactKernelSpace
from deblur_core.models.linear_kernel_space import LinearKernelSpace

NAMES = ("learned", "linear")
"""The weights that come with the project; principal components of simulated shakes."""
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
