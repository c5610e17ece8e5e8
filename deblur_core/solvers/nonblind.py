"""Non-blind deconvolution: the sharp picture x from the blurry y = k * x + noise, the kernel k being known.

    hyper_laplacian   Krishnan and Fergus, NIPS 2009: half-quadratic splitting, all in Fourier space, a fraction of a second
    sparse_irls       Levin et al., SIGGRAPH 2007: re-weighted least squares by conjugate gradients, seconds, the best here
    wiener, richardson_lucy   the classical baselines, scikit-image's, with this project's conventions

All take y (1, c, h, w) in [0, 1], each channel on its own, and one kernel k (1, kh, kw), non-negative with sum 1, of a
true convolution with centre (kh // 2, kw // 2). All return x (1, c, h, w) in [0, 1] in y's frame, device and dtype.
`weight` multiplies the prior in every one of them: more of it gives smoother pictures and fewer ringing edges.

All raise UsageError for an impossible y or k, and warn of saturated highlights, where no linear blur holds.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from scipy.fft import next_fast_len
from skimage import restoration
from torch import Tensor

from deblur_core import blur
from deblur_core.errors import UsageError


def hyper_laplacian(y: Tensor, k: Tensor, weight: float = 5e-4, alpha: float = 2 / 3) -> Tensor:
    """Krishnan and Fergus, "Fast image deconvolution using hyper-Laplacian priors", NIPS 2009.

        min over x of  1/2 ‖k * x − y‖² + weight Σ |∂x|^α,   ∂ the first differences in both directions      (eq. 2)

    where their λ is 1 / weight. Auxiliary variables w stand in for ∂x at the price β/2 ‖∂x − w‖² (eq. 3); w and x are
    solved for in turn, exactly, for β = 1, 2√2, 8, ... below 256. alpha: 1/2, 2/3, or 1 (total variation, anisotropic).

    Fourier space makes the picture periodic, so it is padded by repeating its border, and tapered (`_periodic`).
    Differs from the authors' code: the w-step is solved by Newton's method to rounding, theirs looks it up in a table.
    """
    if not 0 < alpha <= 1:
        raise UsageError(f"The exponent of a hyper-Laplacian prior lies in (0, 1], and is not {alpha}: try 2/3.")
    y, k = _checked(y, k, weight)
    padded, top, left = _periodic(y, k)
    grid = padded.shape[-2:]
    k_hat, differences = transfer(k, grid), difference_spectra(grid, y)
    numerator, power = k_hat.conj() * torch.fft.rfft2(padded), k_hat.abs().square()
    smoothness = sum(d.abs().square() for d in differences)
    x_hat, beta = torch.fft.rfft2(padded), 1.0
    while beta < 256:
        w_hat = [torch.fft.rfft2(shrink(torch.fft.irfft2(d * x_hat, grid), beta, alpha)) for d in differences]
        pull = sum(d.conj() * w for d, w in zip(differences, w_hat, strict=True))
        x_hat = (numerator + weight * beta * pull) / (power + weight * beta * smoothness)
        beta *= 2 * 2**0.5
    x = torch.fft.irfft2(x_hat, grid)[..., top : top + y.shape[-2], left : left + y.shape[-1]]
    return x.clamp(0, 1)


def shrink(v: Tensor, beta: float, alpha: float) -> Tensor:
    """argmin over w of |w|^α + β/2 (w − v)², elementwise (Krishnan and Fergus, eq. 5).

    For α < 1 the minimum sits at 0 up to a threshold of |v|, where it jumps to w_c = (2 (1 − α) / β)^(1 / (2 − α)):
    the two conditions at the jump, equal energies and zero slope, give |v| = w_c (2 − α) / (2 (1 − α)). Beyond, the
    slope is convex and increasing on [w_c, |v|], so that Newton's method from |v| descends to the root and cannot miss.
    """
    size = v.abs()
    if alpha == 1:
        return v.sign() * (size - 1 / beta).clamp_min(0)
    jump = (2 * (1 - alpha) / beta) ** (1 / (2 - alpha))
    chosen = size > jump * (2 - alpha) / (2 * (1 - alpha))
    target = size[chosen]
    w = target
    for _ in range(5):
        power = w ** (alpha - 2)
        w = w - (alpha * power * w + beta * (w - target)) / (beta - alpha * (1 - alpha) * power)
    return torch.zeros_like(v).masked_scatter(chosen, w) * v.sign()


def sparse_irls(
    y: Tensor,
    k: Tensor,
    weight: float = 4e-4,
    *,
    exponent: float = 0.8,
    passes: int = 2,
    iterations: int = 200,
    tolerance: float = 1e-4,
) -> Tensor:
    """Sparse deconvolution: Levin et al., "Image and depth from a conventional camera with a coded aperture", SIGGRAPH 2007.

        min over x of  ‖k * x − y‖² + weight Σ_f c_f Σ |f * x|^exponent

    over first (c = 1) and second (c = 1/4) differences f, as in the evaluations of Levin et al., CVPR 2009 and TPAMI
    2011. Iteratively re-weighted least squares: |z|^p becomes z² max(|z₀|, 0.01)^(p − 2) around the last estimate z₀.
    A first pass with all weights one, then `passes` re-weighted ones, each at most `iterations` conjugate gradients,
    less once the residual has fallen below `tolerance`.

    The boundary is unknown, not invented: x is estimated on the larger frame that y = k * x (`valid`) sees.
    """
    y, k = _checked(y, k, weight)
    kh, kw = k.shape[-2:]
    x = blur.pad_for_same(y, (kh, kw))
    forward, adjoint = valid_operator(k, x.shape[-2:])
    b = adjoint(y)
    weights = [torch.full_like(d, weight * c) for d, c in zip(differences_of(x), _FILTER_WEIGHTS, strict=True)]
    for _ in range(passes + 1):

        def normal(v: Tensor) -> Tensor:
            weighted = [w * d for w, d in zip(weights, differences_of(v), strict=True)]  # noqa: B023
            return adjoint(forward(v)) + differences_adjoint(weighted)

        x = conjugate_gradients(normal, b, x, iterations, tolerance)
        weights = [
            weight * c * d.abs().clamp_min(0.01) ** (exponent - 2)
            for d, c in zip(differences_of(x), _FILTER_WEIGHTS, strict=True)
        ]
    top, left = kh - 1 - kh // 2, kw - 1 - kw // 2
    return x[..., top : top + y.shape[-2], left : left + y.shape[-1]].clamp(0, 1)


_FILTER_WEIGHTS = (1, 1, 0.25, 0.25, 0.25)


def differences_of(x: Tensor) -> list[Tensor]:
    """The differences of x (..., h, w) along y, x, yy, xx and yx, wherever they fit."""
    dy, dx = x.diff(dim=-2), x.diff(dim=-1)
    return [dy, dx, dy.diff(dim=-2), dx.diff(dim=-1), dy.diff(dim=-1)]


def differences_adjoint(d: list[Tensor]) -> Tensor:
    """The transpose of `differences_of`."""
    dy = d[0] - F.pad(d[2], (0, 0, 1, 1)).diff(dim=-2) - F.pad(d[4], (1, 1)).diff(dim=-1)
    dx = d[1] - F.pad(d[3], (1, 1)).diff(dim=-1)
    return -F.pad(dy, (0, 0, 1, 1)).diff(dim=-2) - F.pad(dx, (1, 1)).diff(dim=-1)


def valid_operator(k: Tensor, shape: tuple[int, int]) -> tuple[Callable[[Tensor], Tensor], Callable[[Tensor], Tensor]]:
    """`blur.convolve` and its transpose for one kernel and pictures x of one shape, the kernel's spectrum kept."""
    (h, w), (kh, kw) = shape, k.shape[-2:]
    grid = (fast_length(h), fast_length(w))
    k_hat = torch.fft.rfft2(k, grid)

    def forward(x: Tensor) -> Tensor:
        return torch.fft.irfft2(torch.fft.rfft2(x, grid) * k_hat, grid)[..., kh - 1 : h, kw - 1 : w]

    def adjoint(y: Tensor) -> Tensor:
        y_hat = torch.fft.rfft2(F.pad(y, (kw - 1, 0, kh - 1, 0)), grid)
        return torch.fft.irfft2(y_hat * k_hat.conj(), grid)[..., :h, :w]

    return forward, adjoint


def conjugate_gradients(
    normal: Callable[[Tensor], Tensor], b: Tensor, x: Tensor, iterations: int, tolerance: float
) -> Tensor:
    """Solve normal(x) = b, a symmetric positive operator, from x on, until ‖b − normal(x)‖ < tolerance ‖b‖."""
    residual = b - normal(x)
    direction, energy = residual, residual.square().sum()
    enough = tolerance**2 * b.square().sum()
    for _ in range(iterations):
        if energy <= enough:
            break
        image = normal(direction)
        step = energy / (direction * image).sum()
        x = x + step * direction
        residual = residual - step * image
        energy, previous = residual.square().sum(), energy
        direction = residual + energy / previous * direction
    return x


def wiener(y: Tensor, k: Tensor, weight: float = 0.01) -> Tensor:
    """scikit-image's Wiener filter: least squares with weight ‖Laplacian of x‖², on the padded and tapered picture."""
    y, k = _checked(y, k, weight)
    padded, top, left = _periodic(y, k)
    return _channelwise(lambda c, psf: restoration.wiener(c, psf, weight, clip=False), padded, k, y, top, left)


def richardson_lucy(y: Tensor, k: Tensor, iterations: int = 30) -> Tensor:
    """scikit-image's Richardson-Lucy: maximum likelihood under Poisson noise, stopped early instead of a prior."""
    y, k = _checked(y, k, 0)
    kh, kw = k.shape[-2:]
    padded = blur.pad_for_same(y, (2 * kh - 1, 2 * kw - 1))  # it blurs with black beyond the border: keep that far off
    return _channelwise(
        lambda c, psf: restoration.richardson_lucy(c, psf, iterations, clip=False),
        padded,
        k,
        y,
        kh - 1,
        kw - 1,
    )


def _channelwise(
    solve: Callable[[np.ndarray, np.ndarray], np.ndarray],
    padded: Tensor,
    k: Tensor,
    y: Tensor,
    top: int,
    left: int,
) -> Tensor:
    psf = k[0].cpu().double().numpy()
    x = np.stack([solve(channel, psf) for channel in padded[0].cpu().double().numpy()])
    x = x[:, top : top + y.shape[-2], left : left + y.shape[-1]]
    return torch.from_numpy(x)[None].to(y).clamp(0, 1)


def _periodic(y: Tensor, k: Tensor) -> tuple[Tensor, int, int]:
    """y padded to a size that transforms fast and wraps around smoothly, and y's top left corner in it.

    The border is repeated by at least a kernel's half on each side; then edges are tapered: four times, near the
    border, the picture is mixed with its own periodic blur, as if light from the other side had come in.
    """
    (h, w), (kh, kw) = y.shape[-2:], k.shape[-2:]
    top, left = kh // 2, kw // 2
    grid = fast_length(h + kh - 1), fast_length(w + kw - 1)
    padded = F.pad(y, (left, grid[1] - w - left, top, grid[0] - h - top), mode="replicate")
    k_hat = transfer(k, grid)
    inside = [1 - _autocorrelation(k[0].sum(1 - axis), grid[axis]) for axis in (0, 1)]
    inside = inside[0][:, None] * inside[1]
    for _ in range(4):
        blurred = torch.fft.irfft2(torch.fft.rfft2(padded) * k_hat, grid)
        padded = inside * padded + (1 - inside) * blurred
    return padded, top, left


def _autocorrelation(profile: Tensor, length: int) -> Tensor:
    """Periodic autocorrelation, 1 at both ends of the line: how much of a pixel's light comes from over there."""
    spectrum = torch.fft.rfft(profile, length - 1)
    found = torch.fft.irfft(spectrum.abs().square(), length - 1)
    return torch.cat([found, found[:1]]) / found[0]


def transfer(k: Tensor, grid: tuple[int, int]) -> Tensor:
    """Spectrum (1, h, w // 2 + 1) of k on a periodic grid, its centre at the origin."""
    kh, kw = k.shape[-2:]
    canvas = F.pad(k, (0, grid[1] - kw, 0, grid[0] - kh))
    return torch.fft.rfft2(canvas.roll((-(kh // 2), -(kw // 2)), (-2, -1)))


def difference_spectra(grid: tuple[int, int], like: Tensor) -> list[Tensor]:
    """Spectra of the periodic forward differences along y and x, in the precision and on the device of `like`."""
    along_y = torch.fft.fftfreq(grid[0], dtype=like.dtype, device=like.device)[:, None]
    along_x = torch.fft.rfftfreq(grid[1], dtype=like.dtype, device=like.device)
    return [torch.polar(torch.ones_like(f), 2 * torch.pi * f) - 1 for f in (along_y, along_x)]


def fast_length(n: int) -> int:
    """The next length whose real transform is fast; a multiple of 4, as odd lengths cost up to 1.8 times more."""
    return 4 * next_fast_len(-(-n // 4), real=True)


def _checked(y: Tensor, k: Tensor, weight: float) -> tuple[Tensor, Tensor]:
    """y and k in one precision (at least float32), k with odd sides."""
    if y.ndim != 4 or y.shape[0] != 1 or y.shape[1] not in (1, 3):
        raise UsageError(
            f"Deconvolution takes one picture (1, 1 or 3, h, w), not {tuple(y.shape)}: pass them one by one."
        )
    if k.ndim != 3 or k.shape[0] != 1:
        raise UsageError(f"Deconvolution takes one kernel (1, kh, kw), not {tuple(k.shape)}.")
    if not (torch.isfinite(y).all() and torch.isfinite(k).all()):
        raise UsageError("The picture or the kernel holds values that are not finite numbers.")
    if (k < 0).any():
        raise UsageError(
            f"The blur kernel has negative values (least: {k.min():.3g}): clip it at zero, then normalise."
        )
    if abs(k.sum() - 1) > 1e-3:
        raise UsageError(f"The blur kernel sums to {k.sum():.4g}, not to 1: divide it by its sum (blur.normalize).")
    if k.shape[-2] > y.shape[-2] or k.shape[-1] > y.shape[-1]:
        raise UsageError(
            f"A kernel of {k.shape[-2]}x{k.shape[-1]} does not fit into a picture of "
            f"{y.shape[-2]}x{y.shape[-1]}: use a larger picture or a smaller kernel."
        )
    if weight < 0:
        raise UsageError(f"The weight of the prior cannot be negative, and is {weight}.")
    warn_of_saturation(y)
    kh, kw = k.shape[-2:]
    dtype = torch.promote_types(torch.promote_types(y.dtype, k.dtype), torch.float32)
    k = F.pad(k, (0, 1 - kw % 2, 0, 1 - kh % 2))  # at the end: there an even kernel is short of its centre's mirror
    return y.to(dtype), k.to(dtype)


def warn_of_saturation(y: Tensor) -> None:
    """A visible warning where more than 2 percent of the values of y are saturated: at least 254 of 255."""
    share = float((y >= 254 / 255).double().mean())
    if share > 0.02:
        warnings.warn(
            f"{share:.0%} of this picture is saturated, where no linear blur holds: expect ringing around highlights.",
            stacklevel=4,
        )
