"""The blur operator: true convolution of each image with its own kernel, `valid` boundary.

    y[i, j] = sum_{p, q} k[p, q] x[i + kh - 1 - p, j + kw - 1 - q]

x is larger than y by (kh - 1, kw - 1): pixels of x alone explain y, no boundary is invented. The operator is
linear in x and in k, and differentiable in both, by `direct` more than once.
Three methods compute the same numbers:

    direct   PyTorch's conv2d, the reference
    fft      products of spectra, exact up to rounding
    triton   the GPU kernel of `triton_convolve.py`

Half-precision inputs are computed in float32 and returned in their own dtype.
"""

import functools
import os
import warnings

import torch
import torch.nn.functional as F
from scipy.fft import next_fast_len
from torch import Tensor
from torch.autograd.function import once_differentiable

from ..errors import UsageError

METHODS = ("auto", "direct", "fft", "triton")
PADDINGS = ("replicate", "reflect", "circular", "constant")


def convolve(x: Tensor, k: Tensor, method: str = "auto") -> Tensor:
    """Blur x with k, keeping the pixels that see no boundary.

    x (b, c, h, w), k (b, kh, kw), or (1, kh, kw) for all images -> y (b, c, h - kh + 1, w - kw + 1).
    `auto` takes the fastest method for the device and the sizes. Raises UsageError for impossible shapes.
    """
    _check(x, k, method)
    dtype = torch.promote_types(x.dtype, k.dtype)
    working = torch.promote_types(dtype, torch.float32)
    x, k = x.to(working), k.to(working)
    with torch.autocast(x.device.type, enabled=False):  # it would round the reference to bfloat16
        return _function(_fastest(x, k) if method == "auto" else method)(x, k).to(dtype)


def convolve_adjoint(y: Tensor, k: Tensor, method: str = "auto") -> Tensor:
    """The transpose of `convolve` in x: <convolve(x, k), y> = <x, convolve_adjoint(y, k)>.

    y (b, c, h, w), k (b, kh, kw) or (1, kh, kw) -> x (b, c, h + kh - 1, w + kw - 1). This full correlation is
    the valid convolution of the zero-padded y with the flipped kernel. Raises UsageError as `convolve` does.
    """
    _check_dimensions(y, k)
    kh, kw = k.shape[-2:]
    return convolve(F.pad(y, (kw - 1, kw - 1, kh - 1, kh - 1)), flip(k), method)


def pad_for_same(x: Tensor, k_size: int | tuple[int, int], mode: str = "replicate") -> Tensor:
    """Pad x (b, c, h, w) so that `convolve` returns (b, c, h, w), the kernel's centre being (kh//2, kw//2).

    mode: "replicate", "reflect", "circular" or "constant" (zeros), as in `torch.nn.functional.pad`. Raises UsageError
    for another mode or shape, and where x is too small to be mirrored or wrapped so far.
    """
    if mode not in PADDINGS:
        raise UsageError(f"Unknown padding '{mode}': choose one of {', '.join(PADDINGS)}.")
    kh, kw = (k_size, k_size) if isinstance(k_size, int) else k_size
    if x.ndim != 4 or min(kh, kw) < 1:
        raise UsageError(
            f"Padding is for images (batch, channel, height, width) and kernels of 1x1 pixels or more, not for "
            f"{kh}x{kw} and an image of shape {tuple(x.shape)}."
        )
    if mode in ("reflect", "circular") and (kh // 2 >= x.shape[-2] or kw // 2 >= x.shape[-1]):
        raise UsageError(
            f"Padding by '{mode}' needs an image larger than half the {kh}x{kw} kernel, and this one has "
            f"{x.shape[-2]}x{x.shape[-1]} pixels: use mode='replicate' or a smaller kernel."
        )
    return F.pad(x, (kw - 1 - kw // 2, kw // 2, kh - 1 - kh // 2, kh // 2), mode=mode)


def normalize(k: Tensor) -> Tensor:
    """Scale kernels (..., kh, kw) to sum 1 each. Raises UsageError where a sum is not positive and finite."""
    total = k.sum((-2, -1), keepdim=True)
    if not ((total > 0) & total.isfinite()).all():
        raise UsageError("A blur kernel must have a positive, finite sum: it is empty, negative or damaged.")
    return k / total


def flip(k: Tensor) -> Tensor:
    """Rotate kernels (..., kh, kw) by 180 degrees: turns convolution into correlation and back."""
    return torch.flip(k, (-2, -1))


def fast_length(n: int) -> int:
    """The next length whose real transform is fast; a multiple of 4, as odd lengths cost up to 1.8 times more."""
    return 4 * next_fast_len(-(-n // 4), real=True)


def _check_dimensions(x: Tensor, k: Tensor) -> None:
    if x.ndim != 4 or k.ndim != 3:
        raise UsageError(
            "Blur needs images (batch, channel, height, width) and kernels (batch, height, width); "
            f"got shapes {tuple(x.shape)} and {tuple(k.shape)}."
        )


def _check(x: Tensor, k: Tensor, method: str) -> None:
    if method not in METHODS:
        raise UsageError(f"Unknown blur method '{method}': choose one of {', '.join(METHODS)}.")
    _check_dimensions(x, k)
    if not (x.is_floating_point() and k.is_floating_point()):
        raise UsageError(f"Blur needs floating-point images and kernels; got {x.dtype} and {k.dtype}.")
    if len(x) == 0 or len(k) not in (1, len(x)):
        raise UsageError(f"Got {k.shape[0]} kernels for {x.shape[0]} images: give one each, or one for all.")
    (h, w), (kh, kw) = x.shape[-2:], k.shape[-2:]
    if not (1 <= kh <= h and 1 <= kw <= w):
        raise UsageError(f"A {kh}x{kw} kernel does not fit into a {h}x{w} image: use a smaller one, or pad.")
    if x.device != k.device:
        raise UsageError(f"The image is on {x.device}, the kernel on {k.device}: move them to one device.")
    if method == "triton" and not (x.is_cuda or os.environ.get("TRITON_INTERPRET") == "1"):
        raise UsageError("Method 'triton' needs a CUDA device (or TRITON_INTERPRET=1): use 'auto' on a CPU.")


def _fastest(x: Tensor, k: Tensor) -> str:
    """The rule, measured forward and backward in float32 (`benchmark.py` measures again).

    CPU (AMD EPYC, 1 and 2 threads, batch 1, images of 32-800 px, kernels of 1-75): from 5x5 on FFT is faster
    at all sizes, 1.8 times (32 px) to 200 times; at 3x3 it is faster from 200 px on, conv2d up to 128 px.
    CUDA (H200, captured graphs): FFT takes 62 to 70 us for one image up to 400 px, 117 us for 8 of 255 px.
    The Triton kernel's three launches, timed one by one and added, grow with the products: about 40 us at 100 px
    and 11x11 (1e6 products), 52 us at 255 px and 27x27 (47e6), 280 us for 8 of those (380e6).
    """
    batch, channels, h, w = x.shape
    taps = k.shape[-2] * k.shape[-1]
    if x.is_cuda:
        products = batch * channels * (h - k.shape[-2] + 1) * (w - k.shape[-1] + 1) * taps
        small = x.dtype == torch.float32 and products < 64e6 and batch * channels < 2**16  # CUDA's largest grid
        return "triton" if small and triton_is_usable(x.device) else "fft"
    return "direct" if taps < 25 and h * w < 150**2 else "fft"


@functools.cache
def triton_is_usable(device: torch.device) -> bool:
    """Whether this GPU runs the project's Triton kernels; warns once where only the package is missing."""
    if torch.version.cuda is None or torch.cuda.get_device_capability(device) < (8, 0):
        return False
    try:
        import triton  # noqa: F401
    except ImportError:
        warnings.warn("Triton is not installed: this GPU uses slower ways to blur and to pad.", stacklevel=4)
        return False
    return True


def _function(method: str):
    if method == "triton":
        from .triton_convolve import convolve as triton_convolve

        return triton_convolve
    return {"direct": _direct, "fft": _SpectralConvolution.apply}[method]


def _direct(x: Tensor, k: Tensor) -> Tensor:
    b, c, h, w = x.shape
    groups = k.shape[0]  # conv2d has one kernel per group: images become groups, the rest becomes its batch
    grouped = x.reshape(b // groups, groups, c, h, w).transpose(1, 2).reshape(-1, groups, h, w)
    y = F.conv2d(grouped, flip(k)[:, None], groups=groups)
    return y.reshape(b // groups, c, groups, *y.shape[-2:]).transpose(1, 2).reshape(b, c, *y.shape[-2:])


class _SpectralConvolution(torch.autograd.Function):
    """Circular convolution on a grid no smaller than x: it wraps around outside the valid region only.

    The transposes multiply by the conjugate spectra, which the forward pass has already computed.
    """

    @staticmethod
    def forward(ctx, x: Tensor, k: Tensor) -> Tensor:
        (h, w), (kh, kw) = x.shape[-2:], k.shape[-2:]
        grid = [fast_length(n) for n in (h, w)]
        x_hat, k_hat = torch.fft.rfft2(x, grid), torch.fft.rfft2(k, grid)[:, None]
        x_needed, k_needed = ctx.needs_input_grad
        ctx.save_for_backward(x_hat if k_needed else None, k_hat if x_needed else None)
        ctx.sizes = grid, h, w, k.shape
        return torch.fft.irfft2(x_hat * k_hat, grid)[..., kh - 1 : h, kw - 1 : w]

    @staticmethod
    @once_differentiable
    def backward(ctx, g: Tensor) -> tuple[Tensor | None, Tensor | None]:
        x_hat, k_hat = ctx.saved_tensors
        grid, h, w, (kernels, kh, kw) = ctx.sizes
        g_hat = torch.fft.rfft2(F.pad(g, (kw - 1, 0, kh - 1, 0)), grid)
        grad_x = grad_k = None
        if k_hat is not None:
            grad_x = torch.fft.irfft2(g_hat * k_hat.conj(), grid)[..., :h, :w]
        if x_hat is not None:
            products = (g_hat * x_hat.conj()).reshape(kernels, -1, *g_hat.shape[-2:])
            grad_k = torch.fft.irfft2(products.sum(1), grid)[..., :kh, :kw]
        return grad_x, grad_k
