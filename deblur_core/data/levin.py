"""Levin et al. 2009: 4 grey images of 255 x 255 px, each photographed through 8 camera shakes.

The kernels are stored in two orientations. With blur as true convolution, least squares on all four images
agree: kernels 4 and 8 are right as stored, the others have to be rotated by 180 degrees. Sharp and blurry
images are shifted against each other by up to 5 px, so only an aligned metric has a meaning.
"""

from __future__ import annotations

from deblur_core import blur
from deblur_core.data.images import read_image
from deblur_core.data.pair import Dataset, Pair, content_digest
from deblur_core.data.registry import checksums, fetch

_UPRIGHT = {"kernel4", "kernel8"}
_KERNEL_SIZES = {  # as told to SelfDeblur by its released code (Ren et al. 2020); most files are 2 px larger
    "kernel1": 17,
    "kernel2": 15,
    "kernel3": 13,
    "kernel4": 27,
    "kernel5": 11,
    "kernel6": 19,
    "kernel7": 21,
    "kernel8": 21,
}


def _files(name: str) -> tuple[str, str, str]:
    image, kernel = name.split("_")
    return f"levin2009/{name}_img.png", f"levin2009/gt/{image}.png", f"levin2009/gt/{kernel}.png"


def _digest(name: str) -> str:
    return content_digest("levin", name, *(checksums()[path] for path in _files(name)))


def _load(name: str) -> Pair:
    image, kernel_name = name.split("_")
    blurry, sharp, kernel = (read_image(fetch(path)) for path in _files(name))
    kernel = kernel[0] if kernel_name in _UPRIGHT else blur.flip(kernel[0])
    return Pair(
        dataset="levin",
        name=name,
        image=image,
        kernel_name=kernel_name,
        blurry=blurry,
        sharp=sharp,
        kernel=blur.normalize(kernel),
        kernel_size=_KERNEL_SIZES[kernel_name],
        digest=_digest(name),
    )


_NAMES = tuple(f"im{image}_{kernel}" for image in range(1, 5) for kernel in _KERNEL_SIZES)

LEVIN = Dataset(
    names=_NAMES,
    load=_load,
    digest=_digest,
    files=tuple(sorted({path for name in _NAMES for path in _files(name)})),
    licence="none stated; for research, cite the paper",
    citation="Levin et al.: Understanding and evaluating blind deconvolution algorithms, CVPR 2009",
)
