"""Scores of pictures and kernels, each with its protocol in its docstring, and the intervals around them."""

from deblur_core.metrics.alignment import Aligned, aligned, error_ratio
from deblur_core.metrics.kernels import align_kernel, delta_fraction, kernel_error, kernel_similarity
from deblur_core.metrics.quality import psnr, ssim, wang_ssim
from deblur_core.metrics.statistics import Interval, mean_interval, paired_difference, rate_interval

__all__ = [
    "Aligned",
    "Interval",
    "align_kernel",
    "aligned",
    "delta_fraction",
    "error_ratio",
    "kernel_error",
    "kernel_similarity",
    "mean_interval",
    "paired_difference",
    "psnr",
    "rate_interval",
    "ssim",
    "wang_ssim",
]
