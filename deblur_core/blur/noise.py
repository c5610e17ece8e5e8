"""Noise models of the benchmarks, and an estimate of the noise level from one image."""

import numpy as np
import torch
import torch.nn.functional as F
from scipy.fft import dct
from torch import Tensor

from ..errors import UsageError


def add_gaussian(y: Tensor, sigma: float, generator: torch.Generator | None = None) -> Tensor:
    """y (any shape) plus white Gaussian noise of standard deviation sigma, not clipped.

    The generator is of y's device. Raises UsageError for integers, and for a sigma that is negative or no number.
    """
    _check_floats(y, "Noise")
    if not sigma >= 0:
        raise UsageError(f"The standard deviation of noise is 0 or more, and not {sigma}.")
    return y + sigma * torch.randn(y.shape, generator=generator, device=y.device, dtype=y.dtype)


def quantize_8bit(y: Tensor) -> Tensor:
    """y (any shape) as an 8-bit file holds it: clipped to [0, 1] and rounded to multiples of 1/255.

    Rounding has no slope, so gradients through it are zero. Raises UsageError for integers.
    """
    _check_floats(y, "Rounding to 8 bits")
    return (y.clamp(0, 1) * 255).round() / 255


def estimate_sigma(y: Tensor) -> Tensor:
    """Standard deviation of white Gaussian noise in y (b, c, h, w) -> (b,), from the image alone.

    Zoran and Weiss, "Scale invariance and noise in natural images", ICCV 2009: all band-pass responses of a
    clean image have the same kurtosis, and noise, being Gaussian, lowers it most where the signal is weakest.
    With variances v_i and excess kurtoses e_i of the 63 bands of an 8x8 DCT, independent noise gives

        e_i = e (1 - sigma^2 / v_i)^2,    so    sqrt(e_i) is a straight line in 1 / v_i

    that vanishes at 1 / sigma^2. We fit it by least absolute deviations.

    Blur empties the high bands, which then hold noise alone: on the blurry images of Levin et al. the estimate is
    good to 3 percent from sigma = 0.005 on, and without added noise it is their rounding to 8 bits, 0.0012. On
    sharp images it is good to about 10 percent from 0.05 on; below, fine texture can pass for noise, or noise
    for texture. Raises UsageError below 16x16 pixels, for another shape, and for integers.
    """
    _check_floats(y, "An estimate of the noise level")
    if y.ndim != 4:
        raise UsageError(f"The noise level is that of images (batch, channel, height, width), not of {tuple(y.shape)}.")
    b, c, h, w = y.shape
    if min(h, w) < 16:
        raise UsageError(f"An estimate of the noise level needs 16x16 pixels or more; the image has {h}x{w}.")
    basis = torch.as_tensor(dct(np.eye(8), axis=0, norm="ortho"))
    bands = torch.einsum("ip,jq->ijpq", basis, basis).reshape(64, 1, 8, 8)[1:].to(y.device)
    response = F.conv2d(y.double().reshape(b * c, 1, h, w), bands).flatten(2)
    variance = response.var(-1, correction=0)
    excess = (response - response.mean(-1, keepdim=True)).pow(4).mean(-1) / variance**2 - 3
    level, slope = _least_absolute_line(1 / variance, excess.clamp_min(0).sqrt())
    # a level of zero: no band differs from noise; and none can hold less than the noise
    sigma2 = torch.where(level > 0, (-slope / level).clamp_min(0), torch.inf).minimum(variance.amin(1))
    return sigma2.reshape(b, c).mean(1).sqrt().to(y.dtype)


def _check_floats(y: Tensor, what: str) -> None:
    if not y.is_floating_point():
        raise UsageError(f"{what} needs a floating-point image, and this one is {y.dtype}: divide 8-bit values by 255.")


def _least_absolute_line(abscissa: Tensor, ordinate: Tensor) -> tuple[Tensor, Tensor]:
    """Level and slope (n,) of the line through points (n, m) with the least sum of absolute deviations.

    Some such line passes through two of the points, so we try all pairs.
    """
    first, second = torch.combinations(torch.arange(abscissa.shape[1], device=abscissa.device)).T
    slope = (ordinate[:, second] - ordinate[:, first]) / (abscissa[:, second] - abscissa[:, first])
    level = ordinate[:, first] - slope * abscissa[:, first]
    deviation = level[..., None] + slope[..., None] * abscissa[:, None] - ordinate[:, None]
    best = deviation.abs().sum(-1).nan_to_num(torch.inf).argmin(1, keepdim=True)
    return level.gather(1, best)[:, 0], slope.gather(1, best)[:, 0]
