"""Blur that differs from place to place: a camera that turns while it exposes, and things nearer than others.

A sensor takes the mean of what it sees: y = mean over t of W_t x, where W_t moves the scene x as the camera's motion at
time t does. Translations alone are a convolution, whose kernel is the trace of the motion; with rotations every pixel
has a kernel of its own (Whyte et al., "Non-uniform deblurring for shaken images", CVPR 2010; Tai et al.,
"Richardson-Lucy deblurring for scenes under a projective motion path", PAMI 2011).

A motion is (samples, 3), one row a moment, all of equal length: pixels down, pixels right, and radians
counter-clockwise about the picture's centre; a point is turned first, then moved.
"""

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..errors import UsageError
from .psf import hand_path, rasterize


def camera_motion(seed: int, shift: float, turn: float) -> Tensor:
    """A shaking hand, as in `psf.camera_shake`, that turns the camera too: (100, 3), each of mean zero.

    shift: the largest distance from the centre along an axis, in pixels. turn: the largest angle, in radians. The path
    is the same whatever their size.
    """
    path = hand_path(seed, 3).reshape(3, 100, -1).mean(2)
    path[:2] *= shift / np.abs(path[:2]).max()
    path[2] *= turn / np.abs(path[2]).max()
    return torch.from_numpy(path.T.copy())


def expose(x: Tensor, motion: Tensor, margin: int, foreground: Sequence[tuple[Tensor, float]] = ()) -> Tensor:
    """The mean of the scene x (b, c, h, w) along the motion: (b, c, h - 2 margin, w - 2 margin).

    foreground: layers from far to near, each a mask (h, w) in [0, 1] and how many times as far as the rest of the scene
    it is moved, since it is so much nearer; rotation moves all alike. What a layer uncovers shows x itself. Raises
    UsageError where the motion looks beyond the scene (leave a larger margin) or is empty, where the margin leaves
    nothing of the scene, and for another shape or integers.
    """
    if x.ndim != 4 or not x.is_floating_point() or min(x.shape[-2:]) <= 2 * margin or len(motion) == 0:
        raise UsageError(
            f"A camera sees a scene (batch, channel, height, width) of floats, larger than twice the margin of "
            f"{margin} px, for a moment or longer: not {tuple(x.shape)} of {x.dtype} for {len(motion)} moments."
        )
    y = torch.zeros_like(x[..., margin : x.shape[-2] - margin, margin : x.shape[-1] - margin])
    for moment in motion:
        frame = _seen(x, moment, margin)
        for mask, nearness in foreground:
            near = torch.cat([x * mask, mask.expand_as(x[:, :1])], dim=1)
            moved = _seen(near, moment * torch.tensor([nearness, nearness, 1.0], dtype=moment.dtype), margin)
            frame = frame * (1 - moved[:, -1:]) + moved[:, :-1]
        y += frame / len(motion)
    return y


def kernel_at(motion: Tensor, place: tuple[float, float], size: int) -> Tensor:
    """The blur kernel of one pixel, (1, size, size), not centred; `place`: (down, right) px from the picture's centre.

    Raises UsageError where the kernel is larger than `size`.
    """
    here = torch.tensor(place, dtype=motion.dtype)
    path = torch.stack([here - torch.stack(_origin(*here, moment)) for moment in motion], dim=1)
    if size % 2 == 0 or path.abs().max() > size // 2:
        raise UsageError(f"The motion at {place} does not fit into a kernel of {size} px: choose a larger odd size.")
    return rasterize(path.numpy(), size)


def _seen(x: Tensor, moment: Tensor, margin: int) -> Tensor:
    """x at one moment, bilinearly resampled, without `margin` pixels on each side."""
    h, w = x.shape[-2:]
    rows, columns = (torch.arange(margin, n - margin, dtype=torch.float64) - (n - 1) / 2 for n in (h, w))
    down, right = _origin(rows[:, None], columns, moment)
    position = torch.stack([right / ((w - 1) / 2), down / ((h - 1) / 2)], dim=-1)  # in [-1, 1] inside the scene
    corners = position[:: max(1, len(rows) - 1), :: max(1, len(columns) - 1)]  # nothing is further out than they are
    if not corners.abs().max() <= 1 + 1e-9:  # so written, it refuses NaN too
        raise UsageError(f"With a margin of {margin} px the motion looks beyond the scene: leave a larger one.")
    grid = position.to(x)[None].expand(len(x), -1, -1, -1)
    return F.grid_sample(x, grid, mode="bilinear", padding_mode="border", align_corners=True)


def _origin(down: Tensor, right: Tensor, moment: Tensor) -> tuple[Tensor, Tensor]:
    """Where in the scene that comes from which is seen `down` and `right` of the centre, and so measured."""
    down, right = down - moment[0], right - moment[1]
    cosine, sine = moment[2].cos(), moment[2].sin()
    return cosine * down + sine * right, cosine * right - sine * down
