"""Speed of the non-blind solvers and the classical blind methods, beside what scikit-image offers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from skimage import restoration
from torch import Tensor

from deblur_core import data, metrics
from deblur_core.solvers import classical, nonblind
from deblur_core.timing import in_turn

PAIR = "im1_kernel2"


def rows(device: str = "cpu", repeats: int = 5) -> list[dict[str, Any]]:
    """Median time on one built-in pair, all in turn, and the aligned PSNR in dB that the time buys.

    scikit-image's functions run on the CPU as a user would call them: on the picture as it is, with default settings.
    """
    pair = data.load("builtin", PAIR)
    assert pair.kernel is not None and pair.sharp is not None
    y, k = pair.blurry.to(device), pair.kernel.to(device)
    image, psf = pair.blurry[0, 0].double().numpy(), pair.kernel[0].double().numpy()
    known: dict[str, Callable[[], Any]] = {
        "hyper_laplacian": lambda: nonblind.hyper_laplacian(y, k),
        "sparse_irls": lambda: nonblind.sparse_irls(y, k),
        "wiener": lambda: nonblind.wiener(y, k),
        "richardson_lucy": lambda: nonblind.richardson_lucy(y, k),
        "skimage.restoration.wiener": lambda: restoration.wiener(image, psf, balance=0.01),
        "skimage.restoration.unsupervised_wiener": lambda: restoration.unsupervised_wiener(image, psf, rng=0)[0],
        "skimage.restoration.richardson_lucy": lambda: restoration.richardson_lucy(image, psf, num_iter=30),
    }
    blind: dict[str, Callable[[], Any]] = {
        "perrone_favaro": lambda: classical.perrone_favaro(y, pair.kernel_size)[0],
        "edge_based": lambda: classical.edge_based(y, pair.kernel_size)[0],
    }
    size = f"{image.shape[0]} px, kernel {psf.shape[0]} px"
    variants = {(f"known kernel, {size}", name): run for name, run in known.items()}
    variants |= {(f"blind, {size}", name): run for name, run in blind.items()}
    found = {variant: run() for variant, run in variants.items()}
    quality = {
        variant: metrics.aligned(x.cpu() if isinstance(x, Tensor) else x, pair.sharp).psnr
        for variant, x in found.items()
    }
    seconds = in_turn(variants, device, repeats, warm_up=0)
    return [
        {
            "operation": operation,
            "variant": name,
            "device": "cpu" if name.startswith("skimage") else device,
            "milliseconds": round(1e3 * seconds[operation, name], 1),
            "psnr": round(quality[operation, name], 2),
        }
        for operation, name in variants
    ]
