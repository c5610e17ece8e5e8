"""Losses of test-time optimisation."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


class SimilarityLoss:
    """1 − SSIM to a fixed picture y in [0, 1]: Gaussian window of 11 px and σ 1.5, zero padding (released code).

    y and the pictures compared with it are `(1, c, h, w)`, float32; the result is a scalar, the mean over the channels.
    The window is separable and y's own moments never change: both are used. Smoothing is a product with two banded
    matrices, which beats a convolution of one channel three times on a CPU.
    """

    def __init__(self, y: Tensor):
        self.windows = [_smoothing_matrix(n, y.device) for n in y.shape[-2:]]
        self.y = y
        self.mean_y, mean_yy = self._smooth(torch.cat([y, y * y])).split(1)
        self.variance_y = mean_yy - self.mean_y.square()

    def _smooth(self, maps: Tensor) -> Tensor:
        rows, columns = self.windows
        return rows @ maps @ columns

    def __call__(self, x: Tensor) -> Tensor:
        mean_x, mean_xx, mean_xy = self._smooth(torch.cat([x, x * x, x * self.y])).split(1)
        variance_x = mean_xx - mean_x.square()
        covariance = mean_xy - mean_x * self.mean_y
        luminance = (2 * mean_x * self.mean_y + 0.01**2) / (mean_x.square() + self.mean_y.square() + 0.01**2)
        structure = (2 * covariance + 0.03**2) / (variance_x + self.variance_y + 0.03**2)
        return 1 - (luminance * structure).mean()


def _smoothing_matrix(n: int, device: torch.device) -> Tensor:
    """`(n, n)`, symmetric: row i holds the Gaussian window around pixel i, cut at the border."""
    at = torch.arange(n, device=device)
    distance = (at[:, None] - at).abs()
    window = torch.exp(-distance.square() / (2 * 1.5**2)) * (distance <= 5)
    offsets = torch.arange(11, device=device) - 5.0
    return window / torch.exp(-offsets.square() / (2 * 1.5**2)).sum()


def total_variation(x: Tensor) -> Tensor:
    """Isotropic total variation, mean over pixels (the released code of 2019 squares the differences instead)."""
    dy = F.pad(x.diff(dim=-2), (0, 0, 0, 1))
    dx = F.pad(x.diff(dim=-1), (0, 1))
    return (dx.square() + dy.square() + 1e-12).sqrt().mean()


def hyper_laplacian(x: Tensor, exponent: float) -> Tensor:
    """Mean over pixels of |∇x|^exponent, with ∇ the Sobel filters of the sum over colours (released code of the kernel
    space, but without a border of zeros, which would count as an edge); small where edges are few."""
    grey = x.sum(1)
    across, down = grey[..., 2:] - grey[..., :-2], grey[..., 2:, :] - grey[..., :-2, :]
    across = across[..., :-2, :] + 2 * across[..., 1:-1, :] + across[..., 2:, :]
    down = down[..., :-2] + 2 * down[..., 1:-1] + down[..., 2:]
    return (across.square() + down.square() + 1e-6).pow(exponent / 2).mean()
