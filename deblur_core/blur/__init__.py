"""The forward model: y = k * x + noise. Blur operator, blur kernels (point-spread functions), noise."""

from . import noise, nonuniform, psf
from .noise import add_gaussian, estimate_sigma, quantize_8bit
from .operator import convolve, convolve_adjoint, fast_length, flip, normalize, pad_for_same

__all__ = [
    "add_gaussian",
    "convolve",
    "convolve_adjoint",
    "estimate_sigma",
    "fast_length",
    "flip",
    "noise",
    "nonuniform",
    "normalize",
    "pad_for_same",
    "psf",
    "quantize_8bit",
]
