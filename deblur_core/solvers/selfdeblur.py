"""SelfDeblur: blind deconvolution by fitting two untrained networks to one blurry picture.

Ren et al., "Neural Blind Deconvolution Using Deep Priors", CVPR 2020, section 3:

    min over (θ_x, θ_k) of  ‖G_k(z_k) * G_x(z_x) − y‖² + λ TV(G_x(z_x))                                    (eq. 6)

Joint optimisation takes one Adam step on both networks per iteration; alternating optimisation a step on θ_x with θ_k
fixed, then one on θ_k with θ_x fixed (section 3.3; the order inside an iteration is not stated).

Differs from the authors' released code: blur is a true convolution, so k comes out in its true orientation (theirs is
rotated by 180 degrees); the random state belongs to the run, so different seeds are different runs (theirs reseeds
inside the noise helper); the arithmetic may be bfloat16.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor

from deblur_core import blur, metrics
from deblur_core.errors import UsageError
from deblur_core.models import selfdeblur as networks
from deblur_core.randomness import own_randomness
from deblur_core.solvers import nonblind
from deblur_core.solvers.losses import SimilarityLoss, total_variation
from deblur_core.solvers.untrained import Deblurred, Optimisation, Phase, Unknown, measure_cost, run


@dataclass(frozen=True)
class Recipe:
    """Everything that decides a run but the picture, the kernel size and the seed. Times are shares of the run."""

    iterations: int = 5000
    width: int = 128  # channels of G_x
    skip: int = 16  # channels of its skip branches
    nonlocal_from: int | None = 2
    kernel_network: str = "dense"  # or "convolutional", Double-DIP's
    hidden_layers: int = 1
    image_rate: float = 0.01  # learning rates of Adam
    kernel_rate: float = 1e-4
    halve_at: tuple[float, ...] = (0.4, 0.6, 0.8)
    squared_error_until: float = 1.0  # afterwards the loss is 1 − SSIM
    tv_weight: float = 0.0
    input_noise: float = 0.001  # standard deviation, drawn anew in every iteration
    alternating: bool = False
    average_from: float = 1.0  # the answer is the mean of the outputs from here on; 1: the last output
    precision: str = "bfloat16"  # or "float32"


RECIPES = {
    # Section 4 of the paper: squared error throughout. Its TV weight is tied to a noise estimate that is nearly zero
    # on Levin's pictures, and the authors' own script sets it to zero there; 1e-6 is what a user recalls in an issue.
    # Iterations and learning rates are the code's.
    "paper": Recipe(tv_weight=1e-6),
    # The authors' code of 2020: squared error for the first fifth, on Lai's pictures the first tenth, then 1 − SSIM.
    "released": Recipe(squared_error_until=0.2),
    "released_lai": Recipe(squared_error_until=0.1),
    # Ours, for a laptop: half the channels, a third of the iterations, higher learning rates, the mean of the last
    # outputs. Chosen on Levin's pairs, on which reports/recorded/joint_vs_alternating.overnight.json shows it.
    "quick": Recipe(
        iterations=1600,
        width=64,
        skip=8,
        image_rate=0.02,
        kernel_rate=5e-4,
        squared_error_until=0.2,
        average_from=0.85,
    ),
}


ORIGINS = {
    "paper": "the paper's text, completed from its code",
    "released": "the authors' code of 2020",
    "released_lai": "the authors' code of 2020 for Lai's pictures",
    "quick": "ours, chosen on Levin's pairs",
}
"""Where each recipe comes from, in words."""


def recipe(name: str, **changes: object) -> Recipe:
    """A named recipe with changes. Raises UsageError for an unknown name."""
    if name not in RECIPES:
        raise UsageError(f"Unknown recipe '{name}': choose one of {', '.join(RECIPES)}.")
    return replace(RECIPES[name], **changes)


def in_words(recipe: Recipe) -> str:
    """For captions: which named recipe it is, but for its size and what a study varies, and how large."""
    size_and_precision = ("iterations", "width", "skip", "nonlocal_from", "precision")
    free = (*size_and_precision, "kernel_network", "hidden_layers", "alternating")

    def is_a(whole: Recipe) -> bool:
        return replace(recipe, **{field: getattr(whole, field) for field in free}) == whole

    name = next((name for name, whole in RECIPES.items() if is_a(whole)), None)
    size = f"{recipe.width} channels, {recipe.iterations:,} iterations"
    if name is None:
        return f"a recipe without a name ({size})"
    reduced = (recipe.width, recipe.iterations) != (RECIPES[name].width, RECIPES[name].iterations)
    mean = ", the mean of the last outputs" if recipe.average_from < 1 else ""
    return f"the recipe “{name}”{', reduced' if reduced else ''} ({ORIGINS[name]}; {size}{mean})"


def deblur(
    y: Tensor,
    kernel_size: int,
    recipe: Recipe,
    *,
    seed: int = 0,
    device: str = "cpu",
    truth: Tensor | None = None,
    snapshots: tuple[int, ...] = (),
    checkpoint=None,
    progress: Callable[..., None] | None = None,
) -> Deblurred:
    """Blind deconvolution of one luma picture: x `(1, 1, h, w)` in [0, 1]; k `(1, size, size)`, sum 1, upright.

    Args: y `(1, 1, h, w)` in [0, 1]; kernel_size, odd, in pixels; truth, a sharp picture used only to report PSNR while
    running; snapshots, iterations after which x and k are kept; checkpoint, an object with load() and save(state);
    progress, called as progress(iteration, iterations, loss=..., psnr=...).
    Raises UsageError for a picture or kernel size that cannot be used, DeblurError when the optimisation diverges.
    Warns of noise and saturation that make the answer doubtful.
    """
    check_input(y, kernel_size)
    nonblind.warn_of_noise(y, stacklevel=3)
    nonblind.warn_of_saturation(y, stacklevel=3)
    return run(
        partial(optimisation, y, kernel_size, recipe, seed, device),
        device=device,
        score=None if truth is None else lambda x: metrics.aligned(x, truth).psnr,
        snapshots=snapshots,
        checkpoint=checkpoint,
        progress=progress,
    )


def check_input(y: Tensor, kernel_size: int) -> None:
    """Raises UsageError unless y is one luma picture in [0, 1] and the kernel size is odd, at least 3 and smaller."""
    if y.ndim != 4 or y.shape[:2] != (1, 1):
        raise UsageError(
            f"Blind deconvolution takes one luma picture of shape (1, 1, h, w), not {tuple(y.shape)}: "
            "convert colour to luma and chroma first."
        )
    if min(y.shape[-2:]) < 32:
        raise UsageError(f"A picture of {y.shape[-1]}x{y.shape[-2]} pixels is too small: 32x32 is the least.")
    nonblind.check_values(y)
    if kernel_size < 3 or kernel_size % 2 == 0:
        raise UsageError(f"The kernel size must be an odd number of at least 3, not {kernel_size}.")
    if kernel_size >= min(y.shape[-2:]):
        raise UsageError(
            f"A kernel of {kernel_size} pixels is too large for a picture of "
            f"{y.shape[-1]}x{y.shape[-2]}: choose a smaller one."
        )


def estimate_cost(recipe: Recipe, shape: tuple[int, int], kernel_size: int, device: str = "cpu") -> tuple[float, int]:
    """(seconds, bytes) that a run on a picture of `shape` will take, from a few iterations measured on this machine."""

    def start(tile: tuple[int, int]) -> Optimisation:
        return optimisation(torch.full((1, 1, *tile), 0.5), kernel_size, replace(recipe, iterations=10), 0, device)

    return measure_cost(start, shape, max(255, kernel_size + 1), recipe.iterations, device)


def optimisation(y: Tensor, kernel_size: int, recipe: Recipe, seed: int, device: str) -> Optimisation:
    """A run at its start; y as for `deblur`, checked before. Raises UsageError for an impossible recipe."""
    if recipe.iterations < 1:
        raise UsageError(f"At least one iteration is needed, not {recipe.iterations}.")
    if recipe.kernel_network not in ("dense", "convolutional"):
        raise UsageError(f"There is no kernel network '{recipe.kernel_network}': choose dense or convolutional.")
    if recipe.hidden_layers < 0:
        raise UsageError(f"A network cannot have {recipe.hidden_layers} hidden layers: 0 is the least.")
    generator = torch.Generator().manual_seed(seed)
    with own_randomness():  # PyTorch's own initial weights, replaced below
        image = networks.ImageNetwork(recipe.width, recipe.skip, nonlocal_from=recipe.nonlocal_from)
        kernel = (
            networks.KernelNetwork(kernel_size, recipe.hidden_layers)
            if recipe.kernel_network == "dense"
            else networks.ConvolutionalKernelNetwork(kernel_size, recipe.width, recipe.skip)
        )
    for network in (image, kernel):
        networks.initialize(network, generator)
    h, w = y.shape[-2] + kernel_size - 1, y.shape[-1] + kernel_size - 1
    z_image = networks.draw_image_input(h, w, generator).contiguous(memory_format=torch.channels_last)
    y = y.detach().to(device, torch.float32)
    similarity = SimilarityLoss(y)

    def objective(use_similarity: bool, x: Tensor, k: Tensor) -> tuple[Tensor, Tensor]:
        """What is minimised, and the squared error alone."""
        blurred = blur.convolve(x, k)
        squared_error = (blurred - y).square().mean()
        loss = similarity(blurred) if use_similarity else squared_error
        if recipe.tv_weight:
            loss = loss + recipe.tv_weight * total_variation(x)
        return loss, squared_error

    return Optimisation(
        Unknown(image, z_image, recipe.image_rate, recipe.input_noise, recipe.precision),
        Unknown(kernel, kernel.draw_input(generator), recipe.kernel_rate),
        (
            Phase(recipe.squared_error_until, partial(objective, False), recipe.alternating),
            Phase(1.0, partial(objective, True), recipe.alternating),
        ),
        iterations=recipe.iterations,
        falls_at=recipe.halve_at,
        average_from=recipe.average_from,
        margin=kernel_size // 2,
        seed=seed,
        device=device,
    )
