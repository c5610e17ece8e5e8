"""How near an estimated blur kernel is to the true one, up to the shift that blind deconvolution leaves open.

Kernels are arrays or tensors (kh, kw) or (1, kh, kw), non-negative, both in the orientation of true
convolution (a method that correlates has to rotate its kernel by 180 degrees first). They may differ in size.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy import signal

from deblur_core.errors import UsageError
from deblur_core.metrics.quality import as_float64


def kernel_similarity(k: ArrayLike, k_true: ArrayLike) -> float:
    """Largest normalised cross-correlation over all whole-pixel shifts, in [0, 1]: 1 for equal shapes.

    max over shifts s of sum_p k[p - s] k_true[p] / (|k| |k_true|), the kernels being zero outside their
    frames; scale plays no role. Source: Hu & Yang, ECCV 2012; others call it the maximum of normalised
    convolution (MNC).
    """
    k, k_true = _kernel(k), _kernel(k_true)
    peak = _correlation(k, k_true).max() / (np.linalg.norm(k) * np.linalg.norm(k_true))
    return float(np.clip(peak, 0, 1))


def align_kernel(k: ArrayLike, k_true: ArrayLike) -> np.ndarray:
    """k at the whole-pixel shift where it is nearest to k_true: (kh, kw) of k_true, zero where k ends.

    The largest cross-correlation marks the least squared difference as well, since a shift changes no norm.
    """
    k, k_true = _kernel(k), _kernel(k_true)
    correlation = _correlation(k, k_true)
    row, column = np.unravel_index(correlation.argmax(), correlation.shape)
    (height, width), (rows, columns) = k.shape, k_true.shape
    canvas = np.zeros((rows + 2 * (height - 1), columns + 2 * (width - 1)))
    canvas[row : row + height, column : column + width] = k
    return canvas[height - 1 : height - 1 + rows, width - 1 : width - 1 + columns]


def kernel_error(k: ArrayLike, k_true: ArrayLike) -> float:
    """Mean squared error of k at its best whole-pixel shift, in [0, inf), as in SelfDeblur's Figure 3.

    The squares are divided by the number of pixels of k_true; what of k lies outside its frame counts as
    error, too. Both kernels should sum to one.
    """
    k, k_true = _kernel(k), _kernel(k_true)
    squares = (k**2).sum() + (k_true**2).sum() - 2 * _correlation(k, k_true).max()
    return float(max(0, squares) / k_true.size)


def delta_fraction(k: ArrayLike) -> float:
    """Share of the mass in the heaviest 3x3 window, in (0, 1]: above 0.9 the kernel is taken for a delta."""
    k = _kernel(k)
    return float(signal.correlate(k, np.ones((3, 3)), method="direct").max() / k.sum())


def _correlation(k: np.ndarray, k_true: np.ndarray) -> np.ndarray:
    """sum_p k[p - s] k_true[p] at all shifts s where the two overlap; the first is s = (1 - kh, 1 - kw)."""
    return signal.correlate(k_true, k)


def _kernel(values: ArrayLike) -> np.ndarray:
    k = as_float64(values)
    k = k[0] if k.ndim == 3 and len(k) == 1 else k
    if k.ndim != 2 or (k < 0).any() or not k.any():
        raise UsageError(
            f"a kernel is (h, w) or (1, h, w), non-negative and not all zero, unlike this one "
            f"of shape {k.shape}: pass one kernel, clipped at zero"
        )
    return k
