"""LPIPS and NIQE: how far a picture looks from the sharp one, and how natural it looks by itself."""

from __future__ import annotations

from functools import cache

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from deblur_core.data import registry, to_luma_chroma
from deblur_core.errors import UsageError
from deblur_core.metrics.backbones import NIQE, lpips_network
from deblur_core.metrics.batches import as_batch


@torch.no_grad()
def lpips(estimate: Tensor, sharp: Tensor) -> Tensor:
    """Learned perceptual distance (LPIPS) on AlexNet, v0.1 of the lpips package: from 0, equal, up; lower is better.

    estimate (b, c, h, w), sharp (b, c, h, w) or (1, c, h, w) -> (b,). Floats in [0, 1], which are rescaled inside;
    c is 1 or 3, and the sides at least 31 px. One sharp picture for many estimates is passed through the network
    once. No alignment, border, clipping, rounding or gradient. Source: Zhang et al., CVPR 2018, equation 1.
    UsageError for pictures of other shapes or types; DeblurError without the packages or weights, which
    `available("LPIPS (AlexNet)")` tells beforehand.
    """
    estimate, sharp = as_batch(estimate, height=31, width=31), as_batch(sharp, height=31, width=31)
    if estimate.shape[2:] != sharp.shape[2:] or len(sharp) not in (1, len(estimate)):
        raise UsageError(f"LPIPS compares pictures of one size, not {tuple(estimate.shape)} and {tuple(sharp.shape)}")
    return lpips_network(estimate.device)(estimate.float(), sharp.float(), normalize=True).flatten()


BLOCK = 96  # pixels; the pristine model was fitted on blocks of this side
_SHAPES = torch.arange(200, 10001, dtype=torch.float64) / 1000  # of the generalised Gaussian: 0.2 to 10


@torch.no_grad()
def niqe(pictures: Tensor) -> Tensor:
    """Natural image quality evaluator, no reference: distance from natural pictures, from 0 up; lower is better.

    pictures (b, c, h, w), floats in [0, 1], c 1 or 3 -> (b,) in float64, without gradient. The variant is the authors'
    release: full-range BT.601 luma rounded to 8 bit; 7x7 Gaussian window of sigma 7/6; blocks of 96 x 96 px from the
    top left, the rest is dropped; neighbours wrap around inside a block; second scale by MATLAB's imresize(.., 0.5);
    all blocks count, not only sharp ones; the authors' pristine model. Source: Mittal et al., IEEE SPL 2013,
    equations 1-10. Few blocks score higher and scatter: crops of one sharp GoPro picture gave 5.8 +- 1.4 at 4 blocks
    and 4.1 +- 0.2 at 36, where the whole picture, of 91 blocks, has 3.9. Compare pictures of one size only.
    UsageError for a picture with fewer than two blocks, or with fewer than two that are not flat.
    """
    pictures = as_batch(pictures)
    height, width = pictures.shape[2:]
    rows, columns = height // BLOCK, width // BLOCK
    if rows * columns < 2:
        raise UsageError(f"NIQE needs two blocks of {BLOCK} x {BLOCK} pixels or more, not {height} x {width} pixels")
    luma = (255 * to_luma_chroma(pictures.double())[0]).round().clamp(0, 255)
    luma = luma[..., : rows * BLOCK, : columns * BLOCK]
    features = torch.cat([_features(luma, BLOCK), _features(_halve(luma), BLOCK // 2)], dim=-1)  # (b, blocks, 36)
    textured = ~features.isnan().any(dim=-1, keepdim=True)
    count = textured.sum(dim=1, keepdim=True)
    if (count < 2).any():
        raise UsageError("NIQE needs at least two blocks that are not flat: look at the picture")
    mean = features.where(textured, 0).sum(dim=1, keepdim=True) / count
    centred = (features - mean).where(textured, 0)
    covariance = centred.mT @ centred / (count - 1)
    natural_mean, natural_covariance = (values.to(luma.device) for values in _pristine_model())
    difference = (natural_mean - features.nanmean(dim=1))[:, None]  # (b, 1, 36)
    inverse = torch.linalg.pinv((natural_covariance + covariance) / 2)
    return (difference @ inverse @ difference.mT).flatten().sqrt()


@cache
def _pristine_model() -> tuple[Tensor, Tensor]:
    with np.load(registry.fetch(NIQE)) as model:
        return torch.from_numpy(model["mu_pris_param"][0]), torch.from_numpy(model["cov_pris_param"])


def _features(luma: Tensor, side: int) -> Tensor:
    """Shapes and scales of the normalised luminances and of four products of neighbours: (b, blocks, 18)."""
    b, _, height, width = luma.shape
    mean = _smooth(luma)
    deviation = (luma - mean).round(decimals=9)  # in flat areas and on ramps, rounding errors are not texture
    normalized = deviation / ((_smooth(luma**2) - mean**2).abs().sqrt() + 1)  # equations 1-3
    blocks = normalized.view(b, height // side, side, width // side, side).transpose(2, 3).reshape(b, -1, side, side)
    shape, left, right, _ = _fit(blocks)
    features = [shape, (left + right) / 2]
    for shift in (0, 1), (1, 0), (1, 1), (1, -1):
        shape, left, right, mean = _fit(blocks * blocks.roll(shift, dims=(2, 3)))
        features += [shape, mean, left, right]
    return torch.stack(features, dim=-1)


def _fit(blocks: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Asymmetric generalised Gaussian by moments, equations 4-8: shape, left and right scale, mean. NaN if flat."""
    values = blocks.flatten(2)
    squares = values**2
    left, right = (((squares * side).sum(-1) / side.sum(-1)).sqrt() for side in (values < 0, values > 0))
    ratio = left / right
    moments = values.abs().mean(-1) ** 2 / squares.mean(-1) * (ratio**3 + 1) * (ratio + 1) / (ratio**2 + 1) ** 2
    table = (2 * torch.lgamma(2 / _SHAPES) - torch.lgamma(1 / _SHAPES) - torch.lgamma(3 / _SHAPES)).exp()
    nearest = torch.bucketize(moments.nan_to_num(0), ((table[1:] + table[:-1]) / 2).to(moments.device))
    shape = _SHAPES.to(moments.device)[nearest]  # 0.2 for a flat block, as in the release
    first, second, third = (torch.lgamma(n / shape) for n in (1, 2, 3))
    left, right = (side * ((first - third) / 2).exp() for side in (left, right))
    return shape, left, right, (right - left) * (second - first).exp()


def _smooth(luma: Tensor) -> Tensor:
    """A Gaussian window of 7x7 and sigma 7/6; the border is repeated."""
    offsets = torch.arange(-3, 4, dtype=luma.dtype, device=luma.device)
    window = torch.exp(-(offsets**2) / (2 * (7 / 6) ** 2))
    window = window / window.sum()
    padded = F.pad(luma, (3, 3, 3, 3), mode="replicate")
    return F.conv2d(F.conv2d(padded, window.view(1, 1, 7, 1)), window.view(1, 1, 1, 7))


def _halve(luma: Tensor) -> Tensor:
    """MATLAB's imresize(luma, 0.5): bicubic with antialiasing, mirrored at the border; sides are even."""
    taps = luma.new_tensor([-0.01171875, -0.03515625, 0.11328125, 0.43359375])
    taps = torch.cat([taps, taps.flip(0)])
    for _ in range(2):  # along the rows, then, transposed, along the columns
        mirrored = torch.cat([luma[..., :3].flip(-1), luma, luma[..., -3:].flip(-1)], dim=-1)
        luma = F.conv2d(mirrored, taps.view(1, 1, 1, 8), stride=(1, 2)).mT
    return luma
