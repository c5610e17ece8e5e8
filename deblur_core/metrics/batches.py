"""Batches of pictures as the perceptual metrics take them, and the patches that DvSR scores."""

from __future__ import annotations

from torch import Tensor

from deblur_core.errors import UsageError


def as_batch(pictures: Tensor, *, height: int = 1, width: int = 1) -> Tensor:
    """(b, c, h, w) floats, c 1 or 3 -> (b, 3, h, w), checked to be finite and at least `height` x `width`."""
    if pictures.ndim != 4 or pictures.shape[1] not in (1, 3) or not len(pictures):
        raise UsageError(f"expected pictures (batch, 1 or 3, height, width), not {tuple(pictures.shape)}")
    if not pictures.is_floating_point():
        raise UsageError(f"metrics expect floats, not {pictures.dtype}: divide 8-bit values by 255 first")
    if pictures.shape[2] < height or pictures.shape[3] < width:
        size = f"{pictures.shape[2]} x {pictures.shape[3]}"
        raise UsageError(f"this metric needs at least {height} x {width} pixels, not {size}: use larger pictures")
    if not pictures.isfinite().all():
        raise UsageError("metrics expect finite values, not NaN or infinity: look at the run that made them")
    return pictures.expand(-1, 3, -1, -1)


def patches(pictures: Tensor, height: int = 240, width: int = 256) -> Tensor:
    """Cut pictures into patches that do not overlap: (b, c, h, w) -> (b * rows * columns, c, height, width).

    Picture by picture, row by row. By default those of FID and KID in Whang et al., CVPR 2022 (DvSR), section 4:
    240 high and 256 wide, so that a picture of 1280 x 720 gives 15. What is left over at the right and at the
    bottom of other sizes is dropped. UsageError where a picture is smaller than one patch, or the shape another.
    """
    if pictures.ndim != 4:
        raise UsageError(f"patches are cut from pictures (b, c, h, w), not from a tensor of {pictures.ndim} dimensions")
    channels, *size = pictures.shape[1:]
    if size[0] < height or size[1] < width:
        size = f"{size[0]} x {size[1]}"
        raise UsageError(f"a picture of {size} pixels holds no patch of {height} x {width}: cut smaller patches")
    grid = pictures.unfold(2, height, height).unfold(3, width, width)  # (b, c, rows, columns, height, width)
    return grid.movedim(1, 3).reshape(-1, channels, height, width)
