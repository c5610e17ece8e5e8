"""Pictures, kernels and curves for notebooks, in the house style and with a caption."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike

from deblur_core.errors import UsageError
from deblur_core.metrics.quality import as_float64
from deblur_core.studies.study import Figure
from deblur_core.studies.style import show_image, subplots


def show(
    pictures: Mapping[str, ArrayLike], kernels: Mapping[str, ArrayLike] | None = None, caption: str = ""
) -> Figure:
    """A row of pictures on one scale and of kernels, each on its own.

    Each is (h, w) or (3, h, w), or the same with leading dimensions of 1; floats in [0, 1] or bytes. UsageError for
    anything else.
    """
    kernels = kernels or {}
    figure, (row,) = subplots(1, len(pictures) + len(kernels), width=2.3, height=2.4)
    for axes, (title, picture) in zip(row, pictures.items(), strict=False):
        show_image(axes, _plane(picture).clip(0, 1), title)
    for axes, (title, kernel) in zip(row[len(pictures) :], kernels.items(), strict=True):
        show_image(axes, _plane(kernel), title, maximum=None)
    return Figure("pictures", figure, caption)


def plot(curves: Mapping[str, Sequence[float]], at: Sequence[float] = (), caption: str = "", **axes: Any) -> Figure:
    """Curves by their label, over the points `at` or over 1, 2, ...; axes: labels and scales, as in Axes.set."""
    figure, ((panel,),) = subplots(width=4.6, height=2.8)
    for label, values in curves.items():
        panel.plot(at if len(at) else range(1, len(values) + 1), values, label=label, marker="o" if len(at) else None)
    panel.set(**axes)
    if len(curves) > 1:
        panel.legend()
    return Figure("curves", figure, caption)


def _plane(image: ArrayLike) -> np.ndarray:
    if getattr(image, "dtype", None) in (np.uint8, torch.uint8):
        image = np.asarray(image) / 255
    image = as_float64(image)
    shape = image.shape[-3:] if image.ndim >= 3 and image.shape[-3] == 3 else image.shape[-2:]
    if len(shape) < 2 or image.size != prod(shape):
        raise UsageError(f"One picture is shown as (h, w) or (3, h, w), not {image.shape}: pass a mapping of several.")
    return image.reshape(shape) if len(shape) == 2 else image.reshape(shape).transpose(1, 2, 0)
