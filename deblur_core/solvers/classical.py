"""Classical blind deconvolution: kernel k and sharp picture x from one blurry picture y, in about a second.

    perrone_favaro   Perrone and Favaro, "Total variation blind deconvolution: the devil is in the details", CVPR 2014
    edge_based       Pan et al., "Deblurring text images via L0-regularized intensity and gradient prior", CVPR 2014,
                     with its prior on gradients alone, as Xu et al., "Unnatural L0 sparse representation", CVPR 2013

Both alternate between a picture of few, strong edges and the kernel that blurs those edges into y's, from coarse to
fine. That picture is a means: the answer x comes from a last non-blind step, `nonblind.sparse_irls`.

y is one luma picture (1, 1, h, w) in [0, 1]; kernel_size is odd and in pixels. Returned are x, like y, and
k (1, kernel_size, kernel_size), non-negative with sum 1, for true convolution, its centre of mass in its centre.
Deterministic. Raise UsageError for impossible input and DeblurError where no kernel can be found, and warn of noise or
saturation that make the answer doubtful. `final_weight` is the weight of the last step, None: from the noise.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from deblur_core import blur
from deblur_core.errors import DeblurError, UsageError
from deblur_core.solvers import nonblind
from deblur_core.solvers.selfdeblur import check_input

Normal = Callable[[Tensor], Tensor]
_NO_EDGES = (
    "No kernel can be found, because this picture has no strong edges or is too small for a kernel of this size: "
    "take another picture or part of it, or a smaller kernel."
)
Estimate = Callable[[Tensor, Tensor, list[float]], Tensor]  # picture, kernel, weights -> kernel


def perrone_favaro(
    y: Tensor,
    kernel_size: int,
    *,
    tv_weights: tuple[float, float] = (0.06, 1e-3),
    iterations: int = 20,
    final_weight: float | None = None,
) -> tuple[Tensor, Tensor]:
    """Total variation with projected alternating minimisation.

        min over x, k of  1/2 ‖k * x − y‖² + λ ‖∇x‖,   k ≥ 0, Σ k = 1

    The devil is in the details: k takes a gradient step, is then made non-negative, and only then scaled to sum 1.
    Constrained during the step, it would go to the no-blur answer, which costs less; total variation lowers the
    contrast of x, k makes up for it in its sum, and scaling late turns that into sharpness. λ falls from
    the first of `tv_weights` to the second over the whole run of `iterations` a scale.

    Differs from the paper, for speed: k's step is steepest descent on the residual of gradients, ∇x * k − ∇y; in
    intensities, coarse scales outweigh fine ones by orders of magnitude, which costs thousands of steps. x takes a few
    conjugate gradients on a quadratic that touches the total variation from above, instead of one gradient step. Of k,
    values below 2 percent of the largest become zero.
    """
    y = _checked(y, kernel_size)
    x = blur.pad_for_same(y, kernel_size)

    def estimate(y: Tensor, k: Tensor, weights: list[float]) -> Tensor:
        nonlocal x  # one picture through all scales, on the frame that y sees
        frame = [length + k.shape[-1] - 1 for length in y.shape[-2:]]
        x = F.interpolate(x, frame, mode="bicubic", antialias=True)
        for weight in weights:
            x = _total_variation_step(x, y, k, weight)
            normal, b = kernel_equations(x, y, k.shape[-1])
            slope = normal(k) - b
            step = slope.square().sum() / (slope * normal(slope)).sum().clamp_min(1e-30)
            k = _project(k - step * slope, 0.02)
        return k

    k = _centred(_coarse_to_fine(y, kernel_size, estimate, tv_weights, iterations))
    return nonblind.sparse_irls(y, k, final_weight), k


def _total_variation_step(x: Tensor, y: Tensor, k: Tensor, weight: float, iterations: int = 8) -> Tensor:
    """Towards argmin over x of 1/2 ‖k * x − y‖² + weight Σ |∇x|, with |∇x| ≈ (|∇x|² / m + m) / 2, m = |∇x₀|."""
    forward, adjoint = nonblind.valid_operator(k, x.shape[-2:])
    dy, dx = nonblind.gradient(x)
    size = (F.pad(dy, (0, 0, 0, 1)).square() + F.pad(dx, (0, 1)).square() + 3e-3**2).sqrt()
    along_y, along_x = weight / size[..., :-1, :], weight / size[..., :-1]

    def normal(v: Tensor) -> Tensor:
        dy, dx = nonblind.gradient(v)
        return adjoint(forward(v)) + nonblind.gradient_adjoint(along_y * dy, along_x * dx)

    return nonblind.conjugate_gradients(normal, adjoint(y), x, iterations, 1e-5)


def edge_based(
    y: Tensor,
    kernel_size: int,
    *,
    edge_weights: tuple[float, float] = (1e-2, 2e-4),
    kernel_weight: float = 2.0,
    iterations: int = 5,
    final_weight: float | None = None,
) -> tuple[Tensor, Tensor]:
    """Few edges: an L0 prior on the gradient of x.

        min over x, k of  ‖k * x − y‖² + λ #{∇x ≠ 0} + γ ‖k‖²

    x: half-quadratic splitting in Fourier space (`_few_edges`). k: least squares on the gradients;
    then values below a twentieth of the largest become zero, as in Cho and Lee, SIGGRAPH Asia 2009, and the rest is
    scaled to sum 1. λ falls from the first of `edge_weights` to the second over the whole run of `iterations` a scale;
    γ is `kernel_weight`.

    Differs from the papers: k is solved for within its support and on pixels that see no border, not by dividing
    periodic spectra and cutting out the middle.
    """
    y = _checked(y, kernel_size)

    def estimate(y: Tensor, k: Tensor, weights: list[float]) -> Tensor:
        for weight in weights:
            x = _few_edges(y, k, weight)
            normal, b = kernel_equations(x, y, k.shape[-1], kernel_weight)
            k = _centred(_project(nonblind.conjugate_gradients(normal, b, k, 30, 1e-4), 0.05))
        return k

    k = _coarse_to_fine(y, kernel_size, estimate, edge_weights, iterations)
    return nonblind.sparse_irls(y, k, final_weight), k


def _few_edges(y: Tensor, k: Tensor, weight: float) -> Tensor:
    """argmin over x of ‖k * x − y‖² + weight #{∇x ≠ 0}, in y's frame.

    g stands in for ∇x at the price β ‖∇x − g‖², and β doubles up to 1e5: g is ∇x where |∇x|² > weight / β, else zero.
    """
    padded, top, left = nonblind.periodic(y, k)
    grid = padded.shape[-2:]
    k_hat, differences = nonblind.transfer(k, grid), nonblind.difference_spectra(grid, y)
    x_hat = torch.fft.rfft2(padded)
    numerator, power = k_hat.conj() * x_hat, k_hat.abs().square()
    smoothness = sum(d.abs().square() for d in differences)
    beta = 2 * weight
    while beta < 1e5:
        dy, dx = (torch.fft.irfft2(d * x_hat, grid) for d in differences)
        edges = dy.square() + dx.square() > weight / beta
        pull = sum(d.conj() * torch.fft.rfft2(edges * g) for d, g in zip(differences, (dy, dx), strict=True))
        x_hat = (numerator + beta * pull) / (power + beta * smoothness)
        beta *= 2
    return torch.fft.irfft2(x_hat, grid)[..., top : top + y.shape[-2], left : left + y.shape[-1]]


def kernel_equations(x: Tensor, y: Tensor, size: int, weight: float = 0.0) -> tuple[Normal, Tensor]:
    """normal and b of the least-squares problem min over k of ‖∇x * k − ∇y‖² + weight ‖k‖²: normal(k) = b.

    x is y's size, or larger by size - 1; of y, the pixels count which x and k explain without a boundary.
    """

    def gradients(picture: Tensor) -> Tensor:
        dy, dx = nonblind.gradient(picture[0])
        return torch.cat([dy[..., 1:], dx[..., 1:, :]])  # (2, h - 1, w - 1)

    edges = gradients(x)
    if edges.abs().max() < 1e-3:
        raise DeblurError(_NO_EDGES)
    h, w = edges.shape[-2:]
    margin = (y.shape[-2] - h + size - 2) // 2
    goal = gradients(y[..., margin : y.shape[-2] - margin, margin : y.shape[-1] - margin])
    grid = (nonblind.fast_length(h), nonblind.fast_length(w))
    spectra = torch.fft.rfft2(edges, grid)

    def adjoint(residual: Tensor) -> Tensor:
        residual_hat = torch.fft.rfft2(F.pad(residual, (size - 1, 0, size - 1, 0)), grid)
        return torch.fft.irfft2((spectra.conj() * residual_hat).sum(0, keepdim=True), grid)[..., :size, :size]

    def normal(k: Tensor) -> Tensor:
        blurred = torch.fft.irfft2(spectra * torch.fft.rfft2(k, grid), grid)[..., size - 1 : h, size - 1 : w]
        return adjoint(blurred) + weight * k

    return normal, adjoint(goal)


def _coarse_to_fine(
    y: Tensor, kernel_size: int, estimate: Estimate, weights: tuple[float, float], iterations: int
) -> Tensor:
    """Kernels of 3, ... kernel_size pixels, each the start of the next, from pictures that shrink alike.

    The weight of the picture's prior goes from weights[0] to weights[1] in equal ratios, once in every iteration.
    """
    if iterations < 1 or not min(weights) > 0:
        raise UsageError(f"Iterations are 1 or more, and weights of a prior positive, not {iterations} and {weights}.")
    sizes = [kernel_size]
    while sizes[-1] > 3:
        sizes.append(max(3, min(sizes[-1] - 2, 2 * int(kernel_size * 2 ** (-len(sizes) / 2) / 2) + 1)))
    total = len(sizes) * iterations
    schedule = [weights[0] * (weights[1] / weights[0]) ** (t / max(1, total - 1)) for t in range(total)]
    k = y.new_full((1, 3, 3), 1 / 9)
    for level, size in enumerate(reversed(sizes)):
        shape = [round(length * size / kernel_size) for length in y.shape[-2:]]
        start = _project(F.interpolate(k[None], (size, size), mode="bicubic")[0], 0)
        k = estimate(
            F.interpolate(y, shape, mode="bicubic", antialias=True),
            start,
            schedule[level * iterations : (level + 1) * iterations],
        )
    return k


def _project(k: Tensor, threshold: float) -> Tensor:
    """k without its negative values and those below `threshold` of the largest, scaled to sum 1."""
    k = torch.where(k < threshold * k.max(), 0, k).clamp_min(0)
    total = k.sum()
    if not (torch.isfinite(total) and total > 0):
        raise DeblurError(_NO_EDGES)
    return k / total


def _centred(k: Tensor) -> Tensor:
    """k moved by whole pixels so that its centre of mass is in its centre; what leaves the frame is lost."""
    size = k.shape[-1]
    position = torch.arange(size, dtype=k.dtype, device=k.device)
    shift = [size // 2 - round(float((k[0].sum(1 - axis) * position).sum())) for axis in (0, 1)]
    moved = F.pad(k, (size,) * 4).roll(shift, (-2, -1))[..., size : 2 * size, size : 2 * size]
    return moved / moved.sum()


def _checked(y: Tensor, kernel_size: int) -> Tensor:
    check_input(y, kernel_size)
    y = y.to(torch.promote_types(y.dtype, torch.float32))
    nonblind.warn_of_noise(y)
    return y
