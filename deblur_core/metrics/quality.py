"""PSNR and SSIM of an estimate against the sharp picture, pixel by pixel: nothing is aligned.

Pictures are arrays or tensors (h, w), (c, h, w) or (1, c, h, w) of floats in [0, 1]; they become float64.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import ArrayLike
from scipy import ndimage
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from deblur_core.errors import UsageError


def psnr(estimate: ArrayLike, sharp: ArrayLike) -> float:
    """Peak signal-to-noise ratio in dB, in (-inf, inf]: peak 1; no alignment, border, clipping or rounding.

    The mean squared error runs over all channels together. Source: skimage.metrics.peak_signal_noise_ratio.
    """
    estimate, sharp = as_pictures(estimate, sharp)
    with np.errstate(divide="ignore"):  # equal pictures: infinite, as it should be
        return float(peak_signal_noise_ratio(sharp, estimate, data_range=1))


def ssim(estimate: ArrayLike, sharp: ArrayLike) -> float:
    """Structural similarity in [-1, 1], scikit-image's default variant; no alignment, border or clipping.

    Uniform 7x7 window, sample covariance, K = (0.01, 0.03), range 1, windows inside the picture, mean over
    the channels. Source: skimage.metrics.structural_similarity. The original paper's variant is `wang_ssim`.
    """
    estimate, sharp = as_pictures(estimate, sharp, side=7)
    return float(structural_similarity(estimate, sharp, data_range=1, channel_axis=0))


def wang_ssim(estimate: ArrayLike, sharp: ArrayLike, downsample: bool = False) -> float:
    """Structural similarity in [-1, 1], the variant of Wang et al., IEEE TIP 2004; no alignment or clipping.

    11x11 Gaussian window of sigma 1.5, K = (0.01, 0.03), range 1, windows inside the picture, mean over the
    channels. `downsample` makes it the authors' ssim.m of 2009, which first reduces both pictures by
    f = max(1, round(short side / 256)) through an f x f mean filter (MATLAB's imfilter, symmetric border).
    From a short side of 384 px on, f is 2 or more, and the scores of the two variants cannot share a table.
    """
    estimate, sharp = as_pictures(estimate, sharp, side=11)
    factor = max(1, int(min(sharp.shape[1:]) / 256 + 0.5))  # MATLAB rounds a half up
    if downsample and factor > 1:
        estimate, sharp = _reduce(estimate, factor), _reduce(sharp, factor)
    return float(
        structural_similarity(
            estimate, sharp, data_range=1, channel_axis=0, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
        )
    )


def _reduce(picture: np.ndarray, factor: int) -> np.ndarray:
    """Mean filter, then every factor-th pixel from the first: (c, h, w) -> (c, ceil(h / f), ceil(w / f))."""
    origin = factor % 2 - 1  # imfilter's even window leans to the next pixel, SciPy's to the last
    means = ndimage.uniform_filter(picture, (1, factor, factor), mode="reflect", origin=(0, origin, origin))
    return means[:, ::factor, ::factor]


def as_float64(values: ArrayLike) -> np.ndarray:
    """An array or tensor of finite floats, from any device, as a float64 array of the same shape."""
    if isinstance(values, torch.Tensor):
        values = values.detach().cpu()
        values = values.double() if values.is_floating_point() else values  # NumPy has no bfloat16
    array = np.asarray(values)
    if not np.issubdtype(array.dtype, np.floating):
        raise UsageError(f"metrics expect floats, not {array.dtype}: divide 8-bit values by 255 first")
    if not np.isfinite(array).all():
        raise UsageError("metrics expect finite values, not NaN or infinity: look at the run that made them")
    return array.astype(np.float64, copy=False)


def as_pictures(estimate: ArrayLike, sharp: ArrayLike, *, side: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Both as float64 (c, h, w), checked to have one shape and at least `side` pixels each way."""
    first, second = (_with_channels(as_float64(picture)) for picture in (estimate, sharp))
    if first.shape != second.shape or first.ndim != 3:
        raise UsageError(
            f"metrics compare two pictures of one shape, (h, w), (c, h, w) or (1, c, h, w), "
            f"not {first.shape} and {second.shape}: crop or convert one of them"
        )
    height, width = first.shape[1:]
    if min(height, width) < side:
        raise UsageError(
            f"this metric needs at least {side} x {side} pixels, not {height} x {width}: use a larger picture"
        )
    return first, second


def _with_channels(picture: np.ndarray) -> np.ndarray:
    if picture.ndim == 2:
        return picture[None]
    return picture[0] if picture.ndim == 4 and len(picture) == 1 else picture
