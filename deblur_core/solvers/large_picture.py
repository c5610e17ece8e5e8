"""Large colour pictures: the kernel from one window of them, the picture by deconvolution of the whole.

Ren et al. (CVPR 2020) let their networks draw the whole picture, for minutes per 255 x 255 px on a CPU. But uniform
blur is the same everywhere: a window with strong edges is enough to find the kernel, by whatever method, and with it
all of the picture is deconvolved in seconds. As in their paper only luma is deblurred, and the blurry chroma used
again: the eye sees little of what is missing there.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from deblur_core import data
from deblur_core.errors import UsageError
from deblur_core.solvers import nonblind

SATURATED = 0.98
"""Luma from here on counts as clipped by the camera, and is left out of the deconvolution. Where it was not clipped,
as on white paper, leaving it out costs 0.1 dB; around lamps, keeping it costs 3 dB and leaves rings."""

Solver = Callable[[Tensor], tuple[Tensor | None, Tensor]]
"""A blind method: luma (1, 1, h, w) -> sharp luma or None, and k (1, kh, kw) for true convolution."""


def deblur(
    y: Tensor, solve: Solver, side: int | None, weight: float | None = None, device: str | torch.device | None = None
) -> tuple[Tensor, Tensor]:
    """x, like y, and the kernel k (1, kh, kw) that `solve` finds in the window of `side` px with the strongest edges.

    y (1, 1 or 3, h, w) in [0, 1]. Where y is hardly larger than the window, or side is None, `solve` gets the whole
    luma, and the picture it returns, if it returns one, is the answer; else x is `nonblind.sparse_irls` with `weight`,
    computed on `device` (default: y's).
    Raises UsageError for another shape of y and what `solve` raises. Warns of saturation, before anything is solved, by
    the share of the window or of the whole, whichever is larger.
    """
    luma = luma_of(y)
    rows, columns = window = place(luma, side)
    nonblind.warn_of_saturation(max(luma, luma[..., rows, columns], key=saturated_share), stacklevel=3)
    with nonblind.without_warning("saturated"):
        x, k = solve(luma[..., rows, columns])
    if x is None or window != place(luma, None):
        seen, there = luma.to(device or y.device), k.to(device or y.device)
        x = nonblind.sparse_irls(seen, there, weight, observed=seen < SATURATED).to(y.device)
    return recolour(x, y), k


def place(luma: Tensor, side: int | None) -> tuple[slice, slice]:
    """Rows and columns of the window with the strongest edges; of everything, where that is less than two windows."""
    height, width = luma.shape[-2:]
    if side is None or height * width < 2 * side**2 or min(height, width) < side:
        return slice(0, height), slice(0, width)
    return data.strongest_window(luma, side)


def luma_of(y: Tensor) -> Tensor:
    """Full-range luma (1, 1, h, w) of a grey or colour picture."""
    if y.ndim != 4 or y.shape[0] != 1 or y.shape[1] not in (1, 3):
        raise UsageError(f"A picture is grey or RGB, of shape (1, 1 or 3, h, w), and not {tuple(y.shape)}.")
    return data.to_luma_chroma(y)[0] if y.shape[1] == 3 else y


def recolour(x: Tensor, y: Tensor) -> Tensor:
    """A luma x (1, 1, h, w) with the chroma of y, in [0, 1]; x itself where y is grey."""
    return data.from_luma_chroma(x, data.to_luma_chroma(y)[1]).clamp(0, 1) if y.shape[1] == 3 else x


def saturated_share(y: Tensor) -> float:
    """Share of the pixels of y that the deconvolution leaves out."""
    return float((luma_of(y) >= SATURATED).double().mean())
