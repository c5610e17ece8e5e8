"""Pictures, kernels and curves for notebooks, in the house style and with a caption."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from deblur_core.metrics.quality import as_float64
from deblur_core.studies.study import Figure
from deblur_core.studies.style import show_image, subplots


def show(
    pictures: Mapping[str, ArrayLike], kernels: Mapping[str, ArrayLike] | None = None, caption: str = ""
) -> Figure:
    """A row of pictures on one scale and of kernels, each on its own.

    Each is (h, w) or (3, h, w), or the same with leading dimensions of 1; floats in [0, 1] or bytes.
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
        panel.plot(at or range(1, len(values) + 1), values, label=label, marker="o" if at else None)
    panel.set(**axes)
    if len(curves) > 1:
        panel.legend()
    return Figure("curves", figure, caption)


def _plane(image: ArrayLike) -> np.ndarray:
    if getattr(image, "dtype", None) == np.uint8:
        image = np.asarray(image) / 255
    image = as_float64(image)
    if image.ndim >= 3 and image.shape[-3] == 3:
        return image.reshape(image.shape[-3:]).transpose(1, 2, 0)
    return image.reshape(image.shape[-2:])
