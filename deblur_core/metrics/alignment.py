"""Aligned PSNR and SSIM: Levin's protocol (CVPR 2009) as SelfDeblur (Ren et al., CVPR 2020) evaluates it.

Blind deconvolution finds the picture only up to a shift, which the kernel undoes. So the estimate is
resampled at all quarter-pixel shifts and compared where its squared difference to the sharp one is least.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy import fft

from deblur_core.errors import UsageError
from deblur_core.metrics.quality import as_pictures, psnr, wang_ssim


@dataclass(frozen=True, eq=False)
class Aligned:
    """The scores at the best shift, and the two crops (h - 2 border, w - 2 border) that gave them."""

    psnr: float  # dB, peak 1 on [0, 1], which is peak 255 on [0, 255]
    ssim: float  # wang_ssim
    shift: tuple[float, float]  # (dy, dx) px: estimate[y + dy, x + dx] matches sharp[y, x]
    ssd: float  # sum of squared differences, values in [0, 1]
    estimate: np.ndarray = field(repr=False)  # resampled at the shift; neither clipped nor rounded
    sharp: np.ndarray = field(repr=False)


def aligned(
    estimate: ArrayLike, sharp: ArrayLike, max_shift: int = 5, border: int = 15, downsample: bool = False
) -> Aligned:
    """PSNR and SSIM of a grey estimate at its best shift against the sharp picture.

    Protocol (comp_upto_shift.m by A. Levin, as in the SelfDeblur release): `border` pixels are cut off each
    side of the sharp picture; the estimate is resampled bilinearly (interp2) at shifts -max_shift : 1/4 :
    max_shift px in both directions; the least sum of squared differences wins, of equal ones the first in
    MATLAB's order (smallest dy, then smallest dx). PSNR has peak 255 on [0, 255] and no clipping or rounding.
    SSIM is `wang_ssim`; `downsample` chooses the release's variant, which on Levin's 255 px makes no
    difference. max_shift is 5 in the paper's code of 2019, and 10 in that of 2020.

    Differs from the release: the peak is 255 for a black estimate, too (its psnr.m takes 1 if no value
    exceeds 2/255), and ties have a winner (there, an error).

    estimate, sharp: arrays or tensors (h, w) or (1, 1, h, w) in [0, 1], with sides of at least 2 border + 11.
    """
    if not 0 <= max_shift <= border:
        raise UsageError(
            f"max_shift must lie between 0 and the border of {border} px, not be {max_shift}: "
            f"a larger shift would look outside the picture"
        )
    estimate, sharp = as_pictures(estimate, sharp, side=2 * border + 11)
    if len(sharp) != 1:
        raise UsageError(f"aligned metrics compare grey pictures, not {len(sharp)} channels: pass their luma")
    estimate, sharp = _crop(estimate[0], border - max_shift), _crop(sharp[0], border)

    y, x = _best_corner(estimate, sharp)
    estimate = _resample(estimate, y, x, sharp.shape)
    return Aligned(
        psnr=psnr(estimate, sharp),
        ssim=wang_ssim(estimate, sharp, downsample),
        shift=(y - max_shift, x - max_shift),
        ssd=float(((estimate - sharp) ** 2).sum()),
        estimate=estimate,
        sharp=sharp,
    )


def error_ratio(estimate: Aligned, known: Aligned, definition: Literal["ssd", "norm"] = "ssd") -> float:
    """Error of an estimate over that of the deconvolution with the known kernel: in [0, inf], 1 is as good, also where
    neither has any.

    Both results are aligned to the same sharp picture.
    "ssd": ratio of the sums of squared differences (Levin et al., CVPR 2009).
    "norm": ratio of the matrix 2-norms, the largest singular values, of the two differences. The SelfDeblur
    release computes this one (MATLAB's `norm`); its Table 3 cannot hold the other.
    """
    if definition == "ssd":
        errors = np.array([result.ssd for result in (estimate, known)])
    elif definition == "norm":
        errors = np.array([np.linalg.norm(result.estimate - result.sharp, 2) for result in (estimate, known)])
    else:
        raise UsageError(f'unknown error ratio "{definition}": choose "ssd" or "norm"')
    with np.errstate(divide="ignore"):  # the known kernel may leave no error at all
        return float(errors[0] / errors[1]) if errors.any() else 1.0


def _crop(picture: np.ndarray, margin: int) -> np.ndarray:
    height, width = picture.shape
    return picture[margin : height - margin, margin : width - margin]


def _resample(picture: np.ndarray, y: float, x: float, shape: tuple[int, int]) -> np.ndarray:
    """The window of this shape with its corner at (y, x), interpolated linearly along each axis."""

    def along_rows(a: np.ndarray, start: float, length: int) -> np.ndarray:
        whole, fraction = int(start), start % 1
        near, far = a[whole : whole + length], a[whole + 1 : whole + 1 + length]
        return (1 - fraction) * near + fraction * far if fraction else near

    return along_rows(along_rows(picture, y, shape[0]).T, x, shape[1]).T


def _best_corner(estimate: np.ndarray, sharp: np.ndarray) -> tuple[float, float]:
    """Corner (y, x), to a quarter pixel, of the estimate's window that is nearest to the sharp picture."""
    level = sharp.mean()  # common to both, so it changes no difference; without it the squares round less
    estimate, sharp = estimate - level, sharp - level
    ssd = _ssd_of_shifts(estimate, sharp)
    rounding = 1e-14 * ((estimate**2).sum() + (sharp**2).sum())  # measured: at most 2e-15
    row, column = np.unravel_index(np.argmax(ssd <= ssd.min() + rounding), ssd.shape)
    return float(row) / 4, float(column) / 4


def _ssd_of_shifts(estimate: np.ndarray, sharp: np.ndarray) -> np.ndarray:
    """Sum of squared differences at every quarter-pixel shift: (h + 2m, w + 2m), (h, w) -> (8m + 1, 8m + 1).

    At a fraction f between neighbours a and b, the square of the interpolated value is nearly the
    interpolated square: ((1-f) a + f b)^2 = (1-f) a^2 + f b^2 - f (1-f) (a - b)^2. The other terms of
    (estimate - sharp)^2 interpolate as the estimate does. So the map at quarter pixels is the map at whole
    pixels, interpolated, less f (1-f) times the energy of the estimate's differences along y and along x;
    applying the rule along one axis after the other adds a term in the mixed difference.
    """
    positions = [length - window + 1 for length, window in zip(estimate.shape, sharp.shape, strict=True)]
    spectrum = fft.rfft2(estimate) * fft.rfft2(sharp, estimate.shape).conj()
    correlation = fft.irfft2(spectrum, estimate.shape)[: positions[0], : positions[1]]

    def energy(picture: np.ndarray) -> np.ndarray:
        """Sums of squares over all windows that have the shape of the sharp picture."""
        rows, columns = (_windows(*lengths) for lengths in zip(picture.shape, sharp.shape, strict=True))
        return rows @ picture**2 @ columns.T

    along_y, along_x = np.diff(estimate, axis=0), np.diff(estimate, axis=1)
    whole = energy(estimate) - 2 * correlation + (sharp**2).sum()
    (hat_y, bump_y), (hat_x, bump_x) = (_quarter_steps(count) for count in positions)
    return (
        hat_y @ whole @ hat_x.T
        - bump_y @ energy(along_y) @ hat_x.T
        - hat_y @ energy(along_x) @ bump_x.T
        + bump_y @ energy(np.diff(along_y, axis=1)) @ bump_x.T
    )


def _windows(length: int, window: int) -> np.ndarray:
    """Row p sums the elements p ... p + window - 1 of a vector: zeros and ones, (positions, length)."""
    count = length - window + 1
    return np.tri(count, length, length - count) - np.tri(count, length, -1)


def _quarter_steps(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Interpolation of `count` samples in steps of 1/4, and the weights f (1-f) of the gaps between them."""
    offset = np.arange(0, count - 0.75, 0.25)[:, None] - np.arange(count)
    return np.maximum(0, 1 - np.abs(offset)), np.maximum(0, offset * (1 - offset))[:, :-1]
