"""Mirror the border of a feature map by one pixel, as every 3x3 convolution of SelfDeblur's image network does.

PyTorch's CUDA kernel knows only the channels-first layout, so around it every map is copied to that layout and back,
and its backward pass adds with atomics, in no fixed order. The Triton kernel stays in channels-last: one launch
forward, one backward, the same numbers every time. On the CPU, without Triton, on a GPU that Triton does not know, and
for maps of 2**31 numbers or more, which its 32-bit indices do not reach, PyTorch's own padding is used.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from deblur_core.blur.operator import triton_is_usable


def reflect_pad(features: Tensor) -> Tensor:
    """`(b, c, h, w)` to `(b, c, h + 2, w + 2)`; h and w at least 2. Differentiable."""
    if features.is_cuda and features.is_contiguous(memory_format=torch.channels_last) and _fits(features.shape):
        return _kernel(features.device)(features)
    return reference(features)


def reference(features: Tensor) -> Tensor:
    """The same by PyTorch, on any device."""
    return F.pad(features, (1, 1, 1, 1), mode="reflect")


def _fits(shape: torch.Size) -> bool:
    images, channels, height, width = shape
    return images * channels * (height + 2) * (width + 2) < 2**31


@functools.cache
def _kernel(device: torch.device) -> Callable[[Tensor], Tensor]:
    if not triton_is_usable(device):
        return reference
    from deblur_core.models.triton_reflect_pad import pad

    return pad
