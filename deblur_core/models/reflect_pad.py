"""Mirror the border of a feature map by one pixel, as every 3x3 convolution of SelfDeblur's image network does.

PyTorch's CUDA kernel knows only the channels-first layout, so around it every map is copied to that layout and back,
and its backward pass adds with atomics, in no fixed order. The Triton kernel stays in channels-last: one launch
forward, one backward, the same numbers every time. On the CPU, and without Triton, PyTorch's own padding is used.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def reflect_pad(features: Tensor) -> Tensor:
    """`(b, c, h, w)` to `(b, c, h + 2, w + 2)`; h and w at least 2. Differentiable."""
    if features.is_cuda and features.is_contiguous(memory_format=torch.channels_last) and _triton_kernel():
        return _triton_kernel()(features)
    return reference(features)


def reference(features: Tensor) -> Tensor:
    return F.pad(features, (1, 1, 1, 1), mode="reflect")


def _triton_kernel():
    try:
        from deblur_core.models.triton_reflect_pad import pad
    except ImportError:
        return None
    return pad
