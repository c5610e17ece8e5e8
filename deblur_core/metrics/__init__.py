"""Scores of pictures and kernels, each with its protocol in its docstring, and the intervals around them."""

from deblur_core.metrics.alignment import Aligned, aligned, error_ratio
from deblur_core.metrics.backbones import PERCEPTUAL, available
from deblur_core.metrics.batches import patches
from deblur_core.metrics.distributions import (
    alexnet_features,
    fid_inception,
    inception_features,
    kid_alexnet,
    kid_inception,
)
from deblur_core.metrics.kernels import align_kernel, delta_fraction, kernel_error, kernel_similarity
from deblur_core.metrics.perceptual import lpips, niqe
from deblur_core.metrics.quality import psnr, ssim, wang_ssim
from deblur_core.metrics.statistics import Interval, mean_interval, paired_difference, rate_interval

__all__ = [
    "PERCEPTUAL",
    "Aligned",
    "Interval",
    "alexnet_features",
    "align_kernel",
    "aligned",
    "available",
    "delta_fraction",
    "error_ratio",
    "fid_inception",
    "inception_features",
    "kernel_error",
    "kernel_similarity",
    "kid_alexnet",
    "kid_inception",
    "lpips",
    "mean_interval",
    "niqe",
    "paired_difference",
    "patches",
    "psnr",
    "rate_interval",
    "ssim",
    "wang_ssim",
]
