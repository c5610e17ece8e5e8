"""Colour pictures that scikit-image bundles, blurred by large camera shakes: Lai's set without a download.

Three pictures of up to 640 px times kernels of 31 and 51 px, made as Lai et al. 2016 made theirs: convolution of the
picture with its border repeated, plus 0.01 times uniform noise in [0, 1], rounded to 8 bits. `rocket` is tagged
`saturated`: pixels brighter than 3/4 stand for light of up to six times the camera's range, which is clipped in the
sharp picture as it is, and in the blurry one after the blur. `chelsea`, tagged `photograph`, comes
without its sharp picture and kernel, in the place of a real photograph.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import skimage.data
import torch
from torch import Tensor

from deblur_core import blur
from deblur_core.data.pair import Dataset, Pair, content_digest

_TAGS = {"astronaut": "people", "coffee": "manmade", "rocket": "saturated", "chelsea": "photograph"}
_KERNELS = {25: 12, 31: 6, 51: 48}  # size -> seed of the camera shake
_NOISE = 0.01
_RANGE = 6.0


@cache
def _kernel(size: int) -> Tensor:
    """(1, size, size), in 8-bit levels as a kernel picture would store it, sum 1."""
    levels = blur.psf.camera_shake(size, _KERNELS[size], extent=0.7).double()
    return blur.normalize((levels / levels.max() * 255).round())


@cache
def _levels(name: str) -> tuple[np.ndarray, np.ndarray]:
    """The blurry and the sharp picture as (h, w, 3) uint8."""
    image, size = name.split("_kernel_")
    light = torch.from_numpy(getattr(skimage.data, image)()).double().permute(2, 0, 1)[None] / 255
    if _TAGS[image] == "saturated":
        light = light * (1 + (_RANGE - 1) * 4 * (light.amax(1, keepdim=True) - 0.75).clamp_min(0))
    k = _kernel(int(size))
    blurry = blur.convolve(blur.pad_for_same(light, k.shape[-1]), k)[0].permute(1, 2, 0).numpy()
    noise = _NOISE * np.random.RandomState(len(image) + int(size)).random_sample(blurry.shape)
    sharp = light[0].permute(1, 2, 0).numpy()
    blurry, sharp = (np.rint(255 * values.clip(0, 1)).astype(np.uint8) for values in (blurry + noise, sharp))
    return blurry, sharp


def _digest(name: str) -> str:
    kernel = _kernel(int(name.split("_kernel_")[1])).numpy()
    return content_digest("builtin_colour", name, *(array.tobytes() for array in (*_levels(name), kernel)))


def _load(name: str) -> Pair:
    image, size = name.split("_kernel_")
    blurry, sharp = (torch.from_numpy(levels).permute(2, 0, 1)[None].float() / 255 for levels in _levels(name))
    known = _TAGS[image] != "photograph"
    return Pair(
        dataset="builtin_colour",
        name=name,
        image=image,
        kernel_name=f"kernel_{size}",
        blurry=blurry,
        sharp=sharp if known else None,
        kernel=_kernel(int(size)).float() if known else None,
        kernel_size=int(size),
        digest=_digest(name),
        tags=(_TAGS[image],),
    )


_NAMES = tuple(f"{image}_kernel_{size}" for image in ("astronaut", "coffee", "rocket") for size in (31, 51))

BUILTIN_COLOUR = Dataset(
    names=(*_NAMES, "chelsea_kernel_25"),
    load=_load,
    digest=_digest,
    place="bundled with scikit-image",
    licence="public domain (astronaut, rocket), CC0 (coffee, chelsea)",
    citation="van der Walt et al.: scikit-image, image processing in Python, PeerJ 2014",
)
