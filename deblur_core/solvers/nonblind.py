"""Non-blind deconvolution: the sharp picture x from the blurry y = k * x + noise, the kernel k being known.

    hyper_laplacian           Krishnan and Fergus, NIPS 2009: splitting in Fourier space, hundredths of a second
    sparse_irls               Levin et al., SIGGRAPH 2007: re-weighted least squares, tenths of a second, the best here
    wiener, richardson_lucy   the classical baselines: scikit-image's, with this project's conventions

All take y (1, c, h, w) in [0, 1], each channel on its own, and one kernel k (1, kh, kw), non-negative with sum 1, of
a true convolution with centre (kh // 2, kw // 2). All return x (1, c, h, w) in [0, 1] in y's frame, on y's device.

`weight` multiplies the prior in each of them: more of it gives smoother pictures and less ringing. None takes it from
y's noise, of standard deviation σ (blur.estimate_sigma): 0.6 σ^1.5, but at least 2e-4 for what is not noise, such as a
kernel that is only nearly right; for `wiener` 100 σ², at least 4e-3. Both rules follow the best weights on the built-in
pictures with noise of σ = 0.002 to 0.1.

All raise UsageError for an impossible y, k or setting, and warn of saturated highlights, where no linear blur holds.
The blind methods warn by the functions at the end of this file, too.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar

import numpy as np
import torch
import torch.nn.functional as F
from skimage import restoration
from torch import Tensor

from deblur_core import blur
from deblur_core.blur import fast_length
from deblur_core.errors import UsageError


def hyper_laplacian(y: Tensor, k: Tensor, weight: float | None = None, alpha: float = 2 / 3) -> Tensor:
    """Krishnan and Fergus, "Fast image deconvolution using hyper-Laplacian priors", NIPS 2009.

        min over x of  1/2 ‖k * x − y‖² + weight Σ |∂x|^α,   ∂: first differences along y and x

    where their λ is 1 / weight. Auxiliary variables w stand in for ∂x at the price β/2 ‖∂x − w‖² (section 2); w and x
    are solved for in turn, exactly, for β = 1, 2√2, 8, ... below 256. alpha: 1/2, 2/3, or 1 (total variation).

    Fourier space makes the picture periodic, so it is padded by repeating its border, and tapered (`periodic`).
    Differs from the paper: Newton's method solves the w-step to rounding, instead of a table or roots of a polynomial.
    """
    if not 0 < alpha <= 1:
        raise UsageError(f"The exponent of a hyper-Laplacian prior lies in (0, 1], and is not {alpha}: try 2/3.")
    y, k, weight = _checked(y, k, weight)
    _check_positive(weight)
    padded, top, left = periodic(y, k)
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
    """argmin over w of |w|^α + β/2 (w − v)², elementwise (Krishnan and Fergus, section 2.2).

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
    weight: float | None = None,
    *,
    exponent: float = 0.8,
    passes: int = 2,
    iterations: int = 200,
    tolerance: float = 1e-4,
    observed: Tensor | None = None,
) -> Tensor:
    """Levin et al., "Image and depth from a conventional camera with a coded aperture", SIGGRAPH 2007.

        min over x of  ‖k * x − y‖² + weight Σ_f c_f Σ |f * x|^exponent

    over first (c = 1) and second (c = 1/4) differences f, as in the evaluations of Levin et al., CVPR 2009 and TPAMI
    2011. Iteratively re-weighted least squares: |z|^p becomes z² max(|z₀|, 0.01)^(p − 2) around the last estimate z₀.
    A first pass with all weights one, then `passes` re-weighted ones, each at most `iterations` conjugate gradients,
    less once the residual has fallen below `tolerance`.

    The boundary is unknown, not invented: x is estimated on the larger frame that y = k * x (`valid`) sees. So are the
    pixels of y that `observed` (1, 1, h, w), if given, marks as False, such as saturated ones: of these there is no
    warning.
    """
    y, k, weight = _checked(y, k, weight, observed=observed)
    seen = torch.ones_like(y[:, :1]) if observed is None else observed.to(y)
    top, left = k.shape[-2] // 2, k.shape[-1] // 2
    settings = (weight, exponent, passes, iterations, tolerance)
    channels = [_reweighted(channel, seen, k, *settings) for channel in y.split(1, 1)]
    return torch.cat(channels, 1)[..., top : top + y.shape[-2], left : left + y.shape[-1]].clamp(0, 1)


def _reweighted(
    y: Tensor, seen: Tensor, k: Tensor, weight: float, exponent: float, passes: int, iterations: int, tolerance: float
) -> Tensor:
    """`sparse_irls` of one channel, on the frame that y sees."""
    x = blur.pad_for_same(y, (k.shape[-2], k.shape[-1]))
    forward, adjoint = valid_operator(k, x.shape[-2:])
    b = adjoint(seen * y)
    weights = [torch.full_like(d, weight * c) for d, c in zip(differences_of(x), _FILTER_WEIGHTS, strict=True)]

    def normal(v: Tensor) -> Tensor:
        weighted = [w * d for w, d in zip(weights, differences_of(v), strict=True)]
        return adjoint(seen * forward(v)) + differences_adjoint(weighted)

    for _ in range(passes + 1):
        x = conjugate_gradients(normal, b, x, iterations, tolerance)
        weights = [
            weight * c * d.abs().clamp_min(0.01) ** (exponent - 2)
            for d, c in zip(differences_of(x), _FILTER_WEIGHTS, strict=True)
        ]
    return x


_FILTER_WEIGHTS = (1, 1, 0.25, 0.25, 0.25)


def gradient(x: Tensor) -> tuple[Tensor, Tensor]:
    """First differences of x (..., h, w) along y and along x, where they fit."""
    return x.diff(dim=-2), x.diff(dim=-1)


def gradient_adjoint(dy: Tensor, dx: Tensor) -> Tensor:
    """The transpose of `gradient`."""
    return -F.pad(dy, (0, 0, 1, 1)).diff(dim=-2) - F.pad(dx, (1, 1)).diff(dim=-1)


def differences_of(x: Tensor) -> list[Tensor]:
    """First and second differences of x (..., h, w), along y, x, yy, xx and yx."""
    dy, dx = gradient(x)
    return [dy, dx, dy.diff(dim=-2), dx.diff(dim=-1), dy.diff(dim=-1)]


def differences_adjoint(d: list[Tensor]) -> Tensor:
    """The transpose of `differences_of`."""
    dy = d[0] - F.pad(d[2], (0, 0, 1, 1)).diff(dim=-2) - F.pad(d[4], (1, 1)).diff(dim=-1)
    dx = d[1] - F.pad(d[3], (1, 1)).diff(dim=-1)
    return gradient_adjoint(dy, dx)


def valid_operator(k: Tensor, shape: Sequence[int]) -> tuple[Callable[[Tensor], Tensor], Callable[[Tensor], Tensor]]:
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


def wiener(y: Tensor, k: Tensor, weight: float | None = None) -> Tensor:
    """scikit-image's Wiener filter: least squares with weight ‖Laplacian of x‖², on the padded and tapered picture."""
    y, k, weight = _checked(y, k, weight, factor=100, power=2, least=4e-3)
    _check_positive(weight)
    padded, top, left = periodic(y, k)
    x = _channelwise(restoration.wiener, padded, k, balance=weight)
    return x[..., top : top + y.shape[-2], left : left + y.shape[-1]].clamp(0, 1)


def richardson_lucy(y: Tensor, k: Tensor, iterations: int = 30) -> Tensor:
    """scikit-image's Richardson-Lucy: maximum likelihood under Poisson noise, stopped early instead of a prior."""
    if iterations < 1:
        raise UsageError(f"At least one iteration is needed, not {iterations}.")
    y, k, _ = _checked(y, k, 0)
    top, left = (3 * (length - 1) for length in k.shape[-2:])  # beyond its border all is black: keep that far away
    x = _channelwise(
        restoration.richardson_lucy, F.pad(y, (left, left, top, top), mode="replicate"), k, num_iter=iterations
    )
    return x[..., top : top + y.shape[-2], left : left + y.shape[-1]].clamp(0, 1)


def _channelwise(solve: Callable[..., np.ndarray], y: Tensor, k: Tensor, **settings: float) -> Tensor:
    """A function of scikit-image, applied to each channel."""
    psf = k[0].cpu().double().numpy()
    channels = y[0].cpu().double().numpy()
    return torch.from_numpy(np.stack([solve(c, psf, clip=False, **settings) for c in channels]))[None].to(y)


def periodic(y: Tensor, k: Tensor) -> tuple[Tensor, int, int]:
    """y padded to a size that transforms fast and wraps around smoothly, and y's top left corner in it.

    The border is repeated by at least a kernel's half on each side; then edges are tapered: four times, near the
    border, the picture is mixed with its own periodic blur, as if light from the other side had come in.
    """
    (h, w), (kh, kw) = y.shape[-2:], k.shape[-2:]
    top, left = kh // 2, kw // 2
    grid = fast_length(h + kh - 1), fast_length(w + kw - 1)
    padded = F.pad(y, (left, grid[1] - w - left, top, grid[0] - h - top), mode="replicate")
    k_hat = transfer(k, grid)
    along_y, along_x = (1 - _autocorrelation(k[0].sum(1 - axis), grid[axis]) for axis in (0, 1))
    inside = along_y[:, None] * along_x
    for _ in range(4):
        blurred = torch.fft.irfft2(torch.fft.rfft2(padded) * k_hat, grid)
        padded = inside * padded + (1 - inside) * blurred
    return padded, top, left


def _autocorrelation(profile: Tensor, length: int) -> Tensor:
    """Periodic autocorrelation, 1 at both ends of the line: how much of a pixel's light comes from over there."""
    spectrum = torch.fft.rfft(profile, length - 1)
    found = torch.fft.irfft(spectrum.abs().square(), length - 1)
    return torch.cat([found, found[:1]]) / found[0]


def transfer(k: Tensor, grid: Sequence[int]) -> Tensor:
    """Spectrum (1, h, w // 2 + 1) of k on a periodic grid, its centre at the origin."""
    kh, kw = k.shape[-2:]
    canvas = F.pad(k, (0, grid[1] - kw, 0, grid[0] - kh))
    return torch.fft.rfft2(canvas.roll((-(kh // 2), -(kw // 2)), (-2, -1)))


def difference_spectra(grid: Sequence[int], like: Tensor) -> list[Tensor]:
    """Spectra of the periodic forward differences along y and x, in the precision and on the device of `like`."""
    along_y = torch.fft.fftfreq(grid[0], dtype=like.dtype, device=like.device)[:, None]
    along_x = torch.fft.rfftfreq(grid[1], dtype=like.dtype, device=like.device)
    return [torch.polar(torch.ones_like(f), 2 * torch.pi * f) - 1 for f in (along_y, along_x)]


def _checked(
    y: Tensor, k: Tensor, weight: float | None, factor: float = 0.6, power: float = 1.5, least: float = 2e-4,
    observed: Tensor | None = None,
) -> tuple[Tensor, Tensor, float]:  # fmt: skip
    """y and k in one precision (at least float32), k with odd sides, and the weight, for y's noise where it is None."""
    if y.ndim != 4 or y.shape[0] != 1 or y.shape[1] not in (1, 3):
        raise UsageError(
            f"Deconvolution takes one picture (1, 1 or 3, h, w), not {tuple(y.shape)}: pass them one by one."
        )
    if k.ndim != 3 or k.shape[0] != 1:
        raise UsageError(f"Deconvolution takes one kernel (1, kh, kw), not {tuple(k.shape)}.")
    check_values(y)
    if not torch.isfinite(k).all():
        raise UsageError("The kernel holds values that are not finite numbers.")
    if (k < 0).any():
        raise UsageError(
            f"The blur kernel has negative values (least: {k.min():.3g}): clip it at zero, then normalise."
        )
    if abs(k.sum() - 1) > 1e-3:
        raise UsageError(f"The blur kernel sums to {k.sum():.4g}, not to 1: divide it by its sum (blur.normalize).")
    if k.shape[-2] > y.shape[-2] or k.shape[-1] > y.shape[-1]:
        raise UsageError(
            f"A kernel of {k.shape[-1]}x{k.shape[-2]} does not fit into a picture of "
            f"{y.shape[-1]}x{y.shape[-2]}: use a larger picture or a smaller kernel."
        )
    if weight is not None and not 0 <= weight < torch.inf:
        raise UsageError(f"The weight of the prior is a number of 0 or more, and not {weight}.")
    warn_of_saturation(y if observed is None else y[observed.bool().expand_as(y)])
    kh, kw = k.shape[-2:]
    dtype = torch.promote_types(torch.promote_types(y.dtype, k.dtype), torch.float32)
    k = F.pad(k, (0, 1 - kw % 2, 0, 1 - kh % 2))  # at the end: there an even kernel is short of its centre's mirror
    y, k = y.to(dtype), k.to(dtype)
    if weight is None:
        weight = max(factor * noise_level(y) ** power, least)
    return y, k, weight


def _check_positive(weight: float) -> None:
    if weight == 0:
        raise UsageError(
            "Without a prior nothing is known of the frequencies that the kernel removes: the weight must be positive."
        )


def check_values(y: Tensor) -> None:
    """Raises UsageError unless y, of any shape, holds floats that are finite and in [0, 1], up to a little noise."""
    if not torch.isfinite(y).all():
        raise UsageError("The picture holds values that are not finite numbers.")
    # Noise may leave the range a little, other units leave it at once.
    if not y.is_floating_point() or (y.numel() and (y.min() < -0.5 or y.max() > 1.5)):
        raise UsageError("Pictures are floats with values from 0 to 1: divide 8-bit levels by 255.")


def noise_level(y: Tensor) -> float:
    """Standard deviation of the noise in the middle 128 x 128 px of y; 0 where y is too small to tell."""
    h, w = y.shape[-2:]
    if min(h, w) < 16:
        return 0.0
    top, left = max(0, h // 2 - 64), max(0, w // 2 - 64)
    return float(blur.estimate_sigma(y[..., top : top + 128, left : left + 128]))


_SILENT: ContextVar[frozenset[str]] = ContextVar("_SILENT", default=frozenset())  # see `without_warning`


def warn_of_saturation(y: Tensor, stacklevel: int = 4) -> None:
    """A visible warning where more than 2 percent of the values of y are saturated: at least 254 of 255."""
    share = float((y >= 254 / 255).double().mean())
    if share > 0.02 and "saturated" not in _SILENT.get():
        warnings.warn(
            f"{share:.0%} of this picture is saturated, where no linear blur holds: expect ringing around highlights.",
            stacklevel=stacklevel,
        )


def warn_of_noise(y: Tensor, stacklevel: int = 4) -> None:
    """A visible warning where y is too noisy for a blind method to be trusted."""
    if "noisy" not in _SILENT.get() and (sigma := noise_level(y)) > 0.02:
        warnings.warn(
            f"This picture is noisy (standard deviation about {sigma:.3f}): a kernel found from it is doubtful, "
            "so compare it with that of another method or average several exposures.",
            stacklevel=stacklevel,
        )


@contextmanager
def without_warning(of: str) -> Iterator[None]:
    """Inside, no solver of this thread warns of what is "saturated" or "noisy": for a caller that says so itself."""
    token = _SILENT.set(_SILENT.get() | {of})
    try:
        yield
    finally:
        _SILENT.reset(token)
