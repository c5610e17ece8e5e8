"""Lai et al. 2016, uniform set: colour images of five categories, each blurred by four large kernels.

Here are images 01 and 02 of each category. blurry = true convolution of the replicate-padded sharp image,
plus 0.01 times uniform noise in [0, 1]; the images tagged `saturated` were blurred from a stretched range and
clipped, so convolution does not explain them. The authors' kernel files are not to be had: `kernel` is a
least-squares estimate from sharp and blurry images, and None where DEBLUR_DATA does not hold it. It is
off-centre, so sharp and blurry images are shifted against each other.
"""

from __future__ import annotations

import numpy as np
import torch

from deblur_core.data.images import read_image
from deblur_core.data.pair import Dataset, Pair, content_digest
from deblur_core.data.registry import checksums, fetch, find

_CATEGORIES = ("manmade", "natural", "people", "saturated", "text")
_KERNEL_SIZES = {"kernel_01": 31, "kernel_02": 51, "kernel_03": 55, "kernel_04": 75}
_KERNELS = "lai2016/kernels_estimated/kernels.npz"


def _files(name: str) -> tuple[str, str]:
    image, _ = name.split("_kernel_")
    return f"lai2016/blurry_rgb/{name}.png", f"lai2016/ground_truth/{image}.png"


def _digest(name: str) -> str:
    """Without the kernel, which follows from the two images: it is the same with and without DEBLUR_DATA."""
    return content_digest("lai", name, *(checksums()[path] for path in _files(name)))


def _kernel(kernel_name: str) -> torch.Tensor | None:
    if find(_KERNELS) is None:
        return None
    with np.load(fetch(_KERNELS)) as kernels:
        return torch.from_numpy(kernels[kernel_name].astype(np.float32))[None]


def _load(name: str) -> Pair:
    image, number = name.split("_kernel_")
    kernel_name = f"kernel_{number}"
    blurry, sharp = (read_image(fetch(path)) for path in _files(name))
    return Pair(
        dataset="lai",
        name=name,
        image=image,
        kernel_name=kernel_name,
        blurry=blurry,
        sharp=sharp,
        kernel=_kernel(kernel_name),
        kernel_size=_KERNEL_SIZES[kernel_name],
        digest=_digest(name),
        tags=(image.partition("_")[0],),
    )


_IMAGES = [f"{category}_{number}" for category in _CATEGORIES for number in ("01", "02")]
_NAMES = tuple(f"{image}_{kernel}" for image in _IMAGES for kernel in _KERNEL_SIZES)

LAI = Dataset(
    names=_NAMES,
    load=_load,
    digest=_digest,
    files=tuple(sorted({path for name in _NAMES for path in _files(name)})),
    licence="none stated; for research, cite the paper",
    citation="Lai et al.: A comparative study for single image blind deblurring, CVPR 2016",
)
