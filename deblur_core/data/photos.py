"""Real photographs, blurred by the hand that held the camera: there is no sharp picture and no kernel to compare with.

The three that Ren et al. (CVPR 2020) publish with their code, with the kernel sizes that it tells their method.
"""

from __future__ import annotations

from deblur_core.data.images import read_image
from deblur_core.data.pair import Dataset, Pair, content_digest
from deblur_core.data.registry import checksums, fetch

_KERNEL_SIZES = {"fishes": 41, "flower": 25, "house": 51}


def _file(name: str) -> str:
    return f"photos/{name}.jpg"


def _digest(name: str) -> str:
    return content_digest("photos", name, checksums()[_file(name)])


def _load(name: str) -> Pair:
    return Pair(
        dataset="photos",
        name=name,
        image=name,
        kernel_name="unknown",
        blurry=read_image(fetch(_file(name))),
        sharp=None,
        kernel=None,
        kernel_size=_KERNEL_SIZES[name],
        digest=_digest(name),
        tags=("photograph",),
    )


PHOTOS = Dataset(
    names=tuple(_KERNEL_SIZES),
    load=_load,
    digest=_digest,
    files=tuple(map(_file, _KERNEL_SIZES)),
    licence="none stated; for research, cite the paper",
    citation="Ren et al.: Neural Blind Deconvolution Using Deep Priors, CVPR 2020",
)
