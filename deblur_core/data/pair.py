"""A blurry picture with what is known about it, and the datasets that hold such pairs."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace

from torch import Tensor
from torch.nn.functional import avg_pool2d, pad

from deblur_core.errors import UsageError


@dataclass(frozen=True, eq=False)
class Pair:
    """One deblurring problem. Images are float32 (1, c, h, w) in [0, 1]."""

    dataset: str
    name: str
    image: str
    kernel_name: str
    blurry: Tensor
    sharp: Tensor | None  # same shape as blurry; None where no truth is known
    kernel: Tensor | None  # (1, kh, kw), non-negative, sum 1, for true convolution
    kernel_size: int  # what a blind method is told
    digest: str  # of everything above
    tags: tuple[str, ...] = ()


@dataclass(frozen=True)
class Dataset:
    """The pairs of one source: their names, and how one of them is read and identified."""

    names: tuple[str, ...]
    load: Callable[[str], Pair]
    digest: Callable[[str], str]  # without reading a file where the registry knows its checksum
    place: str = ""  # where the pictures are, unless they are files of the registry
    files: tuple[str, ...] = ()  # paths in the registry
    licence: str = ""
    citation: str = ""


def content_digest(*parts: str | bytes) -> str:
    """The SHA-256 of the parts, each preceded by its length so that ("ab", "c") and ("a", "bc") differ."""
    digest = hashlib.sha256()
    for part in parts:
        content = part.encode() if isinstance(part, str) else part
        digest.update(len(content).to_bytes(8, "big") + content)
    return digest.hexdigest()


def crop(pair: Pair, size: int) -> Pair:
    """The `size` x `size` window with the strongest edges, cut alike from the blurry and the sharp image.

    The edges are those of the sharp image where there is one, so that the window is the same for all kernels of an
    image. Near the window's border, blur mixes in what lies beyond it, as `valid` means. Raises UsageError for a size
    that does not fit.
    """
    rows, columns = strongest_window(pair.blurry if pair.sharp is None else pair.sharp, size)
    return replace(
        pair,
        blurry=pair.blurry[..., rows, columns].contiguous(),
        sharp=None if pair.sharp is None else pair.sharp[..., rows, columns].contiguous(),
        digest=content_digest(pair.digest, f"crop {size}"),
    )


def strongest_window(image: Tensor, size: int) -> tuple[slice, slice]:
    """Rows and columns of the `size` x `size` window with the strongest edges of an image (1, c, h, w) in [0, 1].

    Edges count by their squared gradient at the scale of 3 px, which prefers outlines, from which kernels are found,
    to grain. Raises UsageError for another shape, for integers, and for a size below 2 px or above the image's.
    """
    if image.ndim != 4 or len(image) != 1 or not image.is_floating_point():
        raise UsageError(f"Edges are looked for in one image (1, c, h, w) of floats, not in {tuple(image.shape)}.")
    height, width = image.shape[-2:]
    if not 2 <= size <= min(height, width):
        raise UsageError(f"Cannot crop {size} px from {width} x {height}: choose 2 to {min(height, width)}.")
    levels = pad((image * 255).round().sum(dim=1), (1, 1, 1, 1), mode="replicate")
    # Sums over 3 x 3 px, as integers so that every machine picks the same window
    coarse = avg_pool2d(levels, 3, stride=1, divisor_override=1)[0].long()
    edges = pad(coarse.diff(dim=0) ** 2, (0, 0, 0, 1)) + pad(coarse.diff(dim=1) ** 2, (0, 1, 0, 0))
    total = pad(edges.cumsum(0).cumsum(1), (1, 0, 1, 0))
    windows = total[size:, size:] - total[:-size, size:] - total[size:, :-size] + total[:-size, :-size]
    top, left = divmod(int(windows.argmax()), windows.shape[1])
    return slice(top, top + size), slice(left, left + size)
