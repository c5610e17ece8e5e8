"""Losses of test-time optimisation."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


class SimilarityLoss:
    """1 − SSIM to a fixed picture y in [0, 1]: Gaussian window of 11 px and σ 1.5, zero padding (released code).

    The window is separable and y's own moments never change: both are used.
    """

    def __init__(self, y: Tensor):
        offsets = torch.arange(11, device=y.device) - 5.0
        window = torch.exp(-offsets.square() / (2 * 1.5**2))
        self.window = window / window.sum()
        self.y = y
        self.mean_y, mean_yy = self._smooth(torch.cat([y, y * y])).split(1)
        self.variance_y = mean_yy - self.mean_y.square()

    def _smooth(self, maps: Tensor) -> Tensor:
        columns = F.conv2d(maps, self.window.view(1, 1, 11, 1), padding=(5, 0))
        return F.conv2d(columns, self.window.view(1, 1, 1, 11), padding=(0, 5))

    def __call__(self, x: Tensor) -> Tensor:
        mean_x, mean_xx, mean_xy = self._smooth(torch.cat([x, x * x, x * self.y])).split(1)
        variance_x = mean_xx - mean_x.square()
        covariance = mean_xy - mean_x * self.mean_y
        luminance = (2 * mean_x * self.mean_y + 0.01**2) / (mean_x.square() + self.mean_y.square() + 0.01**2)
        structure = (2 * covariance + 0.03**2) / (variance_x + self.variance_y + 0.03**2)
        return 1 - (luminance * structure).mean()


def total_variation(x: Tensor) -> Tensor:
    """Isotropic total variation, mean over pixels (the released code of 2019 squares the differences instead)."""
    dy = F.pad(x.diff(dim=-2), (0, 0, 0, 1))
    dx = F.pad(x.diff(dim=-1), (0, 1))
    return (dx.square() + dy.square() + 1e-12).sqrt().mean()
