"""Pictures that scikit-image bundles, blurred by seeded camera shakes: Levin's set without a download.

Four grey images of 255 x 255 px times eight kernels of the sizes of Levin et al. 2009, named alike. A blurry
image is the `valid` convolution of a larger scene, so what lies beyond its border is real and not padded;
noise of half a grey level and rounding to 8 bits follow. Kernels are rounded to 8 bits before they are used,
and the noise comes from NumPy's frozen generator, so that all machines make the same pairs.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import skimage.data
import torch
from torch import Tensor

from deblur_core import blur
from deblur_core.data.pair import Dataset, Pair, content_digest

_SIZE = 255
_LARGEST_KERNEL = 27
_NOISE = 0.002

_SCENES = {  # picture, shrink by (numerator, denominator), top left corner of the scene after shrinking
    "im1": ("camera", (2, 3), (40, 35)),
    "im2": ("astronaut", (2, 3), (25, 55)),
    "im3": ("coffee", (3, 4), (10, 75)),
    "im4": ("chelsea", (1, 1), (5, 75)),
}
_KERNELS = {  # stored size, size given to blind methods, seed of the camera shake
    "kernel1": (19, 17, 26),
    "kernel2": (17, 15, 3),
    "kernel3": (15, 13, 48),
    "kernel4": (27, 27, 31),
    "kernel5": (13, 11, 32),
    "kernel6": (21, 19, 6),
    "kernel7": (23, 21, 19),
    "kernel8": (23, 21, 39),
}


@cache
def _scene(image: str) -> np.ndarray:
    """The sharp scene (h, w) uint8, larger than the image by what the largest kernel reaches beyond it."""
    picture, (numerator, denominator), (top, left) = _SCENES[image]
    pixels = getattr(skimage.data, picture)().astype(np.int64)
    if pixels.ndim == 3:
        pixels = (pixels @ [299, 587, 114] + 500) // 1000
    # Area resampling by a ratio of integers is exact: repeat each pixel, then average blocks.
    pixels = pixels.repeat(numerator, axis=0).repeat(numerator, axis=1)
    height, width = (length // denominator for length in pixels.shape)
    whole = pixels[: height * denominator, : width * denominator]
    sums = whole.reshape(height, denominator, width, denominator).sum(axis=(1, 3))
    shrunk = ((sums + denominator**2 // 2) // denominator**2).astype(np.uint8)
    extent = _SIZE + _LARGEST_KERNEL - 1
    return shrunk[top : top + extent, left : left + extent]


@cache
def _kernel_levels(kernel_name: str) -> np.ndarray:
    """The kernel (k, k) as 8-bit levels with maximum 255, as a kernel picture would store it."""
    size, _, seed = _KERNELS[kernel_name]
    kernel = blur.psf.camera_shake(size, seed, extent=0.7)[0].numpy()  # Levin's kernels fill 0.6 to 0.8
    return np.rint(kernel / kernel.max() * 255).astype(np.uint8)


@cache
def _levels(name: str) -> tuple[np.ndarray, np.ndarray]:
    """The blurry and the sharp image as (255, 255) uint8."""
    image, kernel_name = name.split("_")
    kernel = torch.from_numpy(_kernel_levels(kernel_name)).double()[None]
    unused = (_LARGEST_KERNEL - kernel.shape[-1]) // 2
    scene = torch.from_numpy(_scene(image)).double()[None, None]
    scene = scene[..., unused : scene.shape[-2] - unused, unused : scene.shape[-1] - unused]
    blurry = blur.convolve(scene, blur.normalize(kernel))[0, 0].numpy()
    noise = np.random.RandomState(_NAMES.index(name)).standard_normal(blurry.shape) * (_NOISE * 255)
    border = (_LARGEST_KERNEL - 1) // 2
    sharp = _scene(image)[border : border + _SIZE, border : border + _SIZE]
    return np.rint(blurry + noise).clip(0, 255).astype(np.uint8), sharp


def _digest(name: str) -> str:
    levels = (*_levels(name), _kernel_levels(name.split("_")[1]))
    return content_digest("builtin", name, *(array.tobytes() for array in levels))


def _load(name: str) -> Pair:
    image, kernel_name = name.split("_")
    blurry, sharp = (_image(levels) for levels in _levels(name))
    kernel = torch.from_numpy(_kernel_levels(kernel_name)).float()[None]
    return Pair(
        dataset="builtin",
        name=name,
        image=image,
        kernel_name=kernel_name,
        blurry=blurry,
        sharp=sharp,
        kernel=blur.normalize(kernel),
        kernel_size=_KERNELS[kernel_name][1],
        digest=_digest(name),
    )


def _image(levels: np.ndarray) -> Tensor:
    return torch.from_numpy(levels.astype(np.float32) / 255)[None, None]


_NAMES = tuple(f"{image}_{kernel}" for image in _SCENES for kernel in _KERNELS)

BUILTIN = Dataset(
    names=_NAMES,
    load=_load,
    digest=_digest,
    place="bundled with scikit-image",
    licence="public domain (astronaut), CC0 (camera, coffee, chelsea)",
    citation="van der Walt et al.: scikit-image, image processing in Python, PeerJ 2014",
)
