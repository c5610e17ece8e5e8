"""Blind deblurring in an encoded blur kernel space (Tran et al., CVPR 2021): the picture and its blur are both sought.

    min over (θ_x, θ_k) of  ρ(y − operator(x, k)) + λ ‖k‖² + γ |∇x|^α,    x = G_x(z_x), k = G_k(z_k)

The learned operator (`models.kernel_space`) stands where SelfDeblur has a convolution, so blur may differ from place to
place. Both unknowns are drawn by untrained networks: x by SelfDeblur's with three outputs, k by a convolutional one.
‖k‖ holds k where the operator has learned to blur, the hyper-Laplacian prior makes gradients sparse.

The paper describes alternating optimisation with Charbonnier's ρ; λ, γ and α are not stated, nor how many steps each
network takes in turn: here it is one. The released code takes joint steps and minimises another loss, 0.6 P + 1 − SSIM
at first, then P, with P the difference of VGG-19 features and weights 5e-5, then 5e-4 for the un-squared norm of k, and
0.02, then 0.05 for the prior. Its G_x pads with zeros because of a misspelt option, here it mirrors the border. The
VGG-19 weights are not part of this project: in the recipe "joint" ρ, far smaller, stands in for P, and all weights are
ours. α = 0.66, the Sobel filters and their sum over the colours are the released code's; norms are of k's mean square,
for k of any size.

Both networks are warmed up first: G_x until it draws y, G_k until it draws a k that was extracted. In the released code
that is one stored kernel; here it is the mean of what the extractor says of y before and after a few camera shakes.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from deblur_core import blur, metrics
from deblur_core.errors import UsageError
from deblur_core.models import selfdeblur as networks
from deblur_core.models.compact_kernel_space import CompactKernelSpace
from deblur_core.models.kernel_space import KernelPrior, KernelSpace, charbonnier
from deblur_core.models.linear_kernel_space import LinearKernelSpace
from deblur_core.randomness import own_randomness
from deblur_core.solvers.acceleration import arithmetic
from deblur_core.solvers.losses import SimilarityLoss, hyper_laplacian
from deblur_core.solvers.nonblind import check_values
from deblur_core.solvers.untrained import Deblurred, Optimisation, Phase, Unknown, measure_cost, run

Operator = KernelSpace | CompactKernelSpace | LinearKernelSpace
SHAKES, SHAKE_SIZE = 8, 15
"""Camera shakes whose mean k is the start of a run, and their extent in pixels."""
SHAKEN = SHAKES * 256**2
"""Pixels that k is extracted from at a time: more would need more memory than the run that follows."""


@dataclass(frozen=True)
class Recipe:
    """Everything that decides a run but the operator, the picture and the seed. Pairs are the weights of the first and
    of the second half of the iterations; shares are of the iterations after the warm-up."""

    iterations: int = 5000
    warm_up: int = 300  # iterations before them
    width: int = 128  # channels of G_x
    skip: int = 16
    nonlocal_from: int | None = 2
    kernel_blocks: int = 6  # residual blocks of G_k
    image_rate: float = 5e-4  # learning rates of Adam
    kernel_rate: float = 5e-4
    fall: float = 0.7  # of both, after every fifth of the iterations
    alternating: bool = False
    similarity_weight: tuple[float, float] = (0.0, 0.0)  # of 1 − SSIM, beside ρ
    kernel_weight: tuple[float, float] = (1e-4, 1e-4)  # λ
    squared_norm: bool = True  # of k
    gradient_weight: tuple[float, float] = (2e-4, 2e-4)  # γ
    exponent: float = 0.66  # α
    input_noise: float = 0.001  # standard deviation, drawn anew in every iteration
    average_from: float = 1.0  # the answer is the mean of the outputs from here on; 1: the last output
    precision: str = "bfloat16"  # of G_x and the paper's operator; or "float32"


RECIPES = {
    "paper": Recipe(alternating=True),
    "joint": Recipe(similarity_weight=(1.0, 0.0), squared_norm=False),
    # Ours, for a laptop.
    "quick": Recipe(
        iterations=400,
        warm_up=60,
        width=32,
        skip=4,
        kernel_blocks=2,
        image_rate=0.01,
        kernel_rate=3e-3,
        similarity_weight=(1.0, 0.0),
        average_from=0.85,
    ),
}


def recipe(name: str, **changes: object) -> Recipe:
    """A named recipe with changes. Raises UsageError for an unknown name."""
    if name not in RECIPES:
        raise UsageError(f"Unknown recipe '{name}': choose one of {', '.join(RECIPES)}.")
    return replace(RECIPES[name], **changes)


def deblur(
    model: Operator,
    y: Tensor,
    recipe: Recipe,
    *,
    seed: int = 0,
    device: str = "cpu",
    truth: Tensor | None = None,
    snapshots: tuple[int, ...] = (),
    checkpoint=None,
    progress: Callable[..., None] | None = None,
) -> Deblurred:
    """Blind deblurring of one colour picture: x `(1, 3, h, w)` in [0, 1], k `(1, c, kh, kw)`.

    Args: model, a trained operator, or a linear one; y `(1, 3, h, w)` in [0, 1], at least one cell of the operator high
    and wide; truth, a sharp picture used only to report PSNR while running; the rest as for `selfdeblur.deblur`, where
    iterations count the warm-up, too. Raises UsageError for a picture that cannot be used, DeblurError when the
    optimisation diverges.
    """
    check_input(model, y)
    return run(
        partial(optimisation, model, y, recipe, seed, device),
        device=device,
        score=None if truth is None else lambda x: metrics.psnr(x, truth),
        snapshots=snapshots,
        checkpoint=checkpoint,
        progress=progress,
    )


def check_input(model: Operator, y: Tensor) -> None:
    """Raises UsageError unless y is one colour picture in [0, 1] that the operator can blur."""
    if y.ndim != 4 or y.shape[:2] != (1, 3):
        raise UsageError(f"Deblurring takes one colour picture of shape (1, 3, h, w), not {tuple(y.shape)}.")
    if min(y.shape[-2:]) < 33:
        raise UsageError(f"A picture of {y.shape[-1]}x{y.shape[-2]} pixels is too small: 33x33 is the least.")
    check_values(y)
    model.kernel_shape(*y.shape[-2:])


def estimate_cost(model: Operator, recipe: Recipe, shape: tuple[int, int], device: str = "cpu") -> tuple[float, int]:
    """(seconds, bytes) that a run on a picture of `shape` will take, from a few iterations measured on this machine."""

    def start(tile: tuple[int, int]) -> Optimisation:
        return optimisation(model, torch.full((1, 3, *tile), 0.5), short, 0, device)

    short = replace(recipe, iterations=10, warm_up=0)
    return measure_cost(start, shape, max(256, model.multiple), recipe.warm_up + recipe.iterations, device)


def optimisation(model: Operator, y: Tensor, recipe: Recipe, seed: int, device: str) -> Optimisation:
    """A run at its start; y as for `deblur`, checked before. Raises UsageError for a recipe without an iteration."""
    if recipe.iterations < 1 or recipe.warm_up < 0:
        raise UsageError(
            f"At least one iteration is needed, after a warm-up of none or more, not {recipe.iterations} after "
            f"{recipe.warm_up}."
        )
    total = recipe.warm_up + recipe.iterations
    channels, *cells = model.kernel_shape(*y.shape[-2:])
    generator = torch.Generator().manual_seed(seed)
    with own_randomness():  # PyTorch's own initial weights, replaced below
        image = networks.ImageNetwork(recipe.width, recipe.skip, nonlocal_from=recipe.nonlocal_from, output_channels=3)
        kernel = KernelPrior(channels, recipe.kernel_blocks)
    for network in (image, kernel):
        networks.initialize(network, generator)
    z_image = networks.draw_image_input(*y.shape[-2:], generator).contiguous(memory_format=torch.channels_last)
    z_kernel = kernel.draw_input(*cells, generator).contiguous(memory_format=torch.channels_last)

    y = y.detach().to(device, torch.float32)
    # A copy of the operator: it is neither trained nor moved here.
    operator = copy.deepcopy(model).eval().requires_grad_(False).to(device)
    first_k = usual_kernel(operator, y)
    if isinstance(operator, KernelSpace):  # the small ones gain nothing by it
        operator = operator.to(dtype=arithmetic(recipe.precision, device), memory_format=torch.channels_last)
    similarity = SimilarityLoss(y)

    def warm_up(x: Tensor, k: Tensor) -> tuple[Tensor, Tensor]:
        return F.mse_loss(x, y) + F.mse_loss(k, first_k), charbonnier(x - y).mean()

    def objective(half: int, x: Tensor, k: Tensor) -> tuple[Tensor, Tensor]:
        """What is minimised, and ρ alone."""
        blurred = operator.blur(x, k)
        data_term = charbonnier(blurred - y).mean()
        power = k.square().mean()
        loss = data_term + recipe.kernel_weight[half] * (power if recipe.squared_norm else power.sqrt())
        if recipe.similarity_weight[half]:
            loss = loss + recipe.similarity_weight[half] * similarity(blurred)
        if recipe.gradient_weight[half]:
            loss = loss + recipe.gradient_weight[half] * hyper_laplacian(x, recipe.exponent)
        return loss, data_term

    def at(share: float) -> float:
        return (recipe.warm_up + share * recipe.iterations) / total

    return Optimisation(
        Unknown(image, z_image, recipe.image_rate, recipe.input_noise, recipe.precision),
        Unknown(kernel, z_kernel, recipe.kernel_rate, recipe.input_noise),
        (
            Phase(at(0), warm_up),
            Phase(at(0.5), partial(objective, 0), recipe.alternating),
            Phase(at(1), partial(objective, 1), recipe.alternating),
        ),
        iterations=total,
        falls_at=tuple(at(share) for share in (0.2, 0.4, 0.6, 0.8)),
        fall=recipe.fall,
        average_from=at(recipe.average_from),
        seed=seed,
        device=device,
    )


@torch.no_grad()
def usual_kernel(model: Operator, y: Tensor) -> Tensor:
    """A k `(1, c, kh, kw)` to start from: the mean of what is extracted from y and y shaken by a few cameras."""
    shakes = torch.cat([blur.psf.camera_shake(SHAKE_SIZE, seed) for seed in range(SHAKES)]).to(y.device)
    padded = blur.pad_for_same(y, SHAKE_SIZE)
    found = []
    for some in shakes.split(max(1, SHAKEN // y[0, 0].numel())):
        sharp, shaken = (picture.expand(len(some), -1, -1, -1) for picture in (y, padded))
        found.append(model.encode(sharp, blur.convolve(shaken, some)).mean)
    return torch.cat(found).mean(0, keepdim=True)
