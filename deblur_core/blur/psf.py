"""Blur kernels (point-spread functions), seeded where they are random.

Every generator returns (1, size, size) float32: non-negative, sum 1, centred at (size//2, size//2), size odd. All raise
UsageError for another size, and for what does not fit into it.
"""

import itertools
import math

import numpy as np
import torch
from scipy.signal import lfilter
from torch import Tensor

from ..errors import UsageError


def camera_shake(size: int, seed: int, *, extent: float = 0.8, jerks: float = 2.0) -> Tensor:
    """The trace of a shaking hand during one exposure: a smooth random path of varying speed, with jerks.

    Each coordinate is a damped spring (the hand returns to its aim) driven by white noise (its tremor), so
    that velocity is continuous (inertia), with `jerks` sudden kicks on average. These are the ingredients of
    Boracchi and Foi, "Modeling the performance of image restoration from motion blur", IEEE TIP 2012; unlike
    theirs, the speed varies, and the time spent at a point is its brightness, as in the measured kernels of
    Levin et al., CVPR 2009. extent: the largest distance from the centre along an axis, in half sizes.
    """
    _check_size(size)
    if not (0 < extent <= 1 and jerks >= 0):
        raise UsageError(f"Camera shake needs 0 < extent <= 1 and jerks >= 0; got {extent} and {jerks}.")
    path = hand_path(seed, 2, jerks)
    return rasterize(path * (extent * (size // 2) / np.abs(path).max()), size)


def hand_path(seed: int, axes: int, jerks: float = 2.0, samples: int = 2000) -> np.ndarray:
    """The path of `camera_shake`, of arbitrary scale: (axes, samples), the mean of each axis zero."""
    random = np.random.default_rng(seed)
    dt = 1 / samples
    stiffness, damping = random.uniform(0, 60), random.uniform(1, 6)
    impulse = random.normal(0, 30 * math.sqrt(dt), (axes, samples))
    impulse[:, 0] = random.normal(0, 3, axes)  # the velocity at the start
    kicked = random.random(samples) < jerks * dt
    impulse[:, kicked] += random.normal(0, 6, (axes, kicked.sum()))
    # position'' = -stiffness position - damping position' + impulse / dt, as a recursion over samples
    path = lfilter([dt], [1, damping * dt - 2, 1 - damping * dt + stiffness * dt**2], impulse)
    return path - path.mean(1, keepdims=True)


def linear_motion(size: int, length: float, angle: float) -> Tensor:
    """Uniform motion along a line of `length` pixels, `angle` degrees counter-clockwise from horizontal."""
    _check_size(size)
    if not 0 <= length <= size - 1:
        raise UsageError(f"A motion in a {size}x{size} kernel is 0 to {size - 1} px long, not {length}.")
    along = np.linspace(-length / 2, length / 2, 1 + 64 * math.ceil(length))
    direction = np.array([-math.sin(math.radians(angle)), math.cos(math.radians(angle))])  # down, right
    return rasterize(direction[:, None] * along, size)


def gaussian(size: int, sigma: float) -> Tensor:
    """A Gaussian of standard deviation `sigma` pixels, sampled at pixel centres and cut off at the border."""
    _check_size(size)
    if not sigma > 0:
        raise UsageError(f"The standard deviation of a Gaussian kernel must be positive, not {sigma}.")
    profile = torch.exp(-0.5 * ((torch.arange(size).double() - size // 2) / sigma) ** 2)
    return _normalized(profile[:, None] * profile)


def delta(size: int) -> Tensor:
    """No blur: all mass in the centre."""
    _check_size(size)
    k = torch.zeros(1, size, size)
    k[0, size // 2, size // 2] = 1
    return k


def rasterize(path: np.ndarray, size: int) -> Tensor:
    """Time spent in each pixel by a path (2, samples), in pixels (down, right) from the centre, at most size // 2.

    Each sample is shared bilinearly among four pixels, which keeps its position: the centroid is the path's mean.
    Raises UsageError for an even size and for a path that leaves the kernel.
    """
    _check_size(size)
    if not np.abs(path).max() <= size // 2 + 1e-6:  # rounding
        raise UsageError(f"The path leaves a kernel of {size}x{size} pixels: choose a larger one.")
    corner = np.floor(path).astype(int)
    fraction = path - corner
    k = np.zeros((size + 1, size + 1))  # one spare row and column for weights of zero
    for down, right in itertools.product((0, 1), repeat=2):
        weight = abs(1 - down - fraction[0]) * abs(1 - right - fraction[1])
        np.add.at(k, (corner[0] + down + size // 2, corner[1] + right + size // 2), weight)
    return _normalized(torch.from_numpy(k[:size, :size]))


def _normalized(k: Tensor) -> Tensor:
    return (k / k.sum())[None].float()


def _check_size(size: int) -> None:
    if size < 1 or size % 2 != 1:
        raise UsageError(f"A blur kernel needs an odd size, so that it has a centre pixel; got {size}.")
