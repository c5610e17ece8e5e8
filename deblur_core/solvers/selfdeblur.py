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

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial

import torch
from torch import Tensor

from deblur_core import blur, metrics
from deblur_core.errors import DeblurError, UsageError
from deblur_core.models import selfdeblur as networks
from deblur_core.solvers.acceleration import Bfloat16, Captured, own_stream
from deblur_core.solvers.losses import SimilarityLoss, total_variation

REPORT_EVERY = 20  # iterations
CHECKPOINT_AFTER = 60.0  # seconds


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
    # on Levin's pictures, and the authors' own script sets it to zero there.
    "paper": Recipe(tv_weight=1e-6),
    # The authors' code of 2020: squared error for the first fifth, then 1 − SSIM, no TV.
    "released": Recipe(squared_error_until=0.2),
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


def recipe(name: str, **changes: object) -> Recipe:
    """A named recipe with changes. Raises UsageError for an unknown name."""
    if name not in RECIPES:
        raise UsageError(f"Unknown recipe '{name}': choose one of {', '.join(RECIPES)}.")
    return replace(RECIPES[name], **changes)


@dataclass
class Deblurred:
    """x `(1, 1, h, w)` in [0, 1]; k `(1, size, size)`, sum 1, true convolution; losses, one value an iteration."""

    x: Tensor
    k: Tensor
    losses: list[float]
    residual: float  # mean squared error of k * x against y, over the last iterations
    snapshots: dict[int, tuple[Tensor, Tensor]] = field(default_factory=dict)
    seconds: float = 0.0


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
    """Blind deconvolution of one luma picture.

    Args: y `(1, 1, h, w)` in [0, 1]; kernel_size, odd, in pixels; truth, a sharp picture used only to report PSNR while
    running; snapshots, iterations after which x and k are kept; checkpoint, an object with load() and save(state);
    progress, called as progress(iteration, iterations, loss=..., psnr=...).
    Raises UsageError for a picture or kernel size that cannot be used, DeblurError when the optimisation diverges.
    """
    check_input(y, kernel_size)
    with own_stream(device):
        return _deblur(y, kernel_size, recipe, seed, device, truth, snapshots, checkpoint, progress)


def _deblur(y, kernel_size, recipe, seed, device, truth, snapshots, checkpoint, progress) -> Deblurred:
    started = time.perf_counter()
    run = _Optimisation(y, kernel_size, recipe, seed, device)
    if state := checkpoint and checkpoint.load():
        run.restore(state)
    last_saved = time.perf_counter()
    while run.iteration < recipe.iterations:
        run.step()
        if run.iteration in snapshots:
            run.keep_snapshot()
        if progress and (run.iteration % REPORT_EVERY == 0 or run.iteration == recipe.iterations):
            progress(run.iteration, recipe.iterations, **run.report(truth))
        if checkpoint and time.perf_counter() - last_saved > CHECKPOINT_AFTER:
            checkpoint.save(run.state())
            last_saved = time.perf_counter()
    x, k = run.answer()
    losses = run.losses.tolist()
    if not torch.isfinite(x).all() or losses[-1] != losses[-1]:
        raise DeblurError(
            "The optimisation diverged (the loss is not a number): try another seed or a lower learning rate."
        )
    return Deblurred(x, k, losses, run.data_term(), run.snapshots, time.perf_counter() - started)


def check_input(y: Tensor, kernel_size: int) -> None:
    """Raises UsageError unless y is one finite luma picture and the kernel size is odd, at least 3 and smaller."""
    if y.ndim != 4 or y.shape[:2] != (1, 1):
        raise UsageError(
            f"Blind deconvolution takes one luma picture of shape (1, 1, h, w), not {tuple(y.shape)}: "
            "convert colour to luma and chroma first."
        )
    if min(y.shape[-2:]) < 32:
        raise UsageError(f"A picture of {y.shape[-2]}x{y.shape[-1]} pixels is too small: 32x32 is the least.")
    if not torch.isfinite(y).all():
        raise UsageError("The picture holds values that are not finite numbers.")
    if kernel_size < 3 or kernel_size % 2 == 0:
        raise UsageError(f"The kernel size must be an odd number of at least 3, not {kernel_size}.")
    if kernel_size >= min(y.shape[-2:]):
        raise UsageError(
            f"A kernel of {kernel_size} pixels is too large for a picture of "
            f"{y.shape[-2]}x{y.shape[-1]}: choose a smaller one."
        )


def estimate_cost(recipe: Recipe, shape: tuple[int, int], kernel_size: int, device: str = "cpu") -> tuple[float, int]:
    """(seconds, bytes) that a run on a picture of `shape` will take, from a few iterations measured on this machine.

    They are measured on at most 255 x 255 pixels and scaled by the number of pixels, so that the estimate for a picture
    that does not fit into memory still comes.
    """
    tile = tuple(min(side, max(255, kernel_size + 1)) for side in shape)
    scale = shape[0] * shape[1] / (tile[0] * tile[1])
    saved: dict[int, int] = {}

    def weigh(tensor: Tensor) -> Tensor:
        saved[tensor.data_ptr()] = tensor.numel() * tensor.element_size()
        return tensor

    seconds = []
    with own_stream(device):
        run = _Optimisation(torch.full((1, 1, *tile), 0.5), kernel_size, replace(recipe, iterations=10), 0, device)
        with torch.autograd.graph.saved_tensors_hooks(weigh, lambda tensor: tensor):
            run.step()
        while run.iteration < 10:
            started = time.perf_counter()
            run.step()
            run.finish()
            seconds.append(time.perf_counter() - started)
    parameters = [p for network in (run.image_network, run.kernel_network) for p in network.parameters()]
    fixed = sum(4 * p.numel() * p.element_size() for p in parameters)  # weight, gradient, Adam's two moments
    return sorted(seconds)[len(seconds) // 2] * recipe.iterations * scale, round(sum(saved.values()) * scale) + fixed


class _Optimisation:
    """The state of one run and its single step."""

    def __init__(self, y: Tensor, kernel_size: int, recipe: Recipe, seed: int, device: str):
        self.recipe, self.device = recipe, torch.device(device)
        cuda = self.device.type == "cuda"
        self.y = y.to(self.device, torch.float32)
        self.margin = kernel_size // 2
        generator = torch.Generator().manual_seed(seed)
        with torch.random.fork_rng(
            devices=[]
        ):  # PyTorch's own initialisation, replaced below, draws from the global state
            self.image_network = networks.ImageNetwork(recipe.width, recipe.skip, nonlocal_from=recipe.nonlocal_from)
            self.kernel_network = (
                networks.KernelNetwork(kernel_size, recipe.hidden_layers)
                if recipe.kernel_network == "dense"
                else networks.ConvolutionalKernelNetwork(kernel_size, recipe.width, recipe.skip)
            )
        for network in (self.image_network, self.kernel_network):
            networks.initialize(network, generator).to(self.device, memory_format=torch.channels_last)
        h, w = y.shape[-2] + kernel_size - 1, y.shape[-1] + kernel_size - 1
        channels_last = {"memory_format": torch.channels_last}
        self.z_image = networks.draw_image_input(h, w, generator).to(self.device, **channels_last)
        self.z_kernel = self.kernel_network.draw_input(generator).to(self.device)
        self.z_noisy = torch.empty_like(self.z_image, **channels_last)
        self.perturbation = torch.empty(self.z_image.shape, device=self.device)  # contiguous: drawn 3 times faster
        self.noise = torch.Generator(self.device).manual_seed(seed)
        self.rates = [torch.tensor(rate, device=self.device) for rate in (recipe.image_rate, recipe.kernel_rate)]
        self.optimizers = [
            torch.optim.Adam(network.parameters(), lr=rate if cuda else float(rate), fused=True, capturable=cuda)
            for network, rate in zip((self.image_network, self.kernel_network), self.rates, strict=True)
        ]
        self.artist = Bfloat16(self.image_network) if recipe.precision == "bfloat16" else self.image_network
        self.similarity = SimilarityLoss(self.y)
        self.iteration = 0
        self.losses = torch.full((recipe.iterations,), torch.nan, device=self.device)
        self.residuals = torch.zeros((), device=self.device)  # running mean of the squared error
        self.loss = torch.zeros((), device=self.device)
        self.x = torch.zeros(1, 1, h, w, device=self.device)
        self.k = torch.zeros(1, kernel_size, kernel_size, device=self.device)
        self.mean = (torch.zeros_like(self.x), torch.zeros_like(self.k))
        self.averaged = 0
        self.snapshots: dict[int, tuple[Tensor, Tensor]] = {}
        self._steps: dict[bool, Callable[[], None]] = {}

    def step(self) -> None:
        recipe, share = self.recipe, self.iteration / self.recipe.iterations
        self._set_rates(0.5 ** sum(share >= at for at in recipe.halve_at))
        self.perturbation.normal_(std=recipe.input_noise, generator=self.noise)
        torch.add(self.z_image, self.perturbation, out=self.z_noisy)
        use_similarity = self._uses_similarity()
        if use_similarity not in self._steps:
            plain = partial(self._optimise, use_similarity)
            self._steps[use_similarity] = Captured(plain) if self.device.type == "cuda" else plain
        self._steps[use_similarity]()
        self.losses[self.iteration] = self.loss
        if share >= recipe.average_from:
            self.averaged += 1
            for mean, value in zip(self.mean, (self.x, self.k), strict=True):
                mean.lerp_(value, 1 / self.averaged)
        self.iteration += 1

    def _optimise(self, use_similarity: bool) -> None:
        """One iteration: both networks at once, or one after the other."""
        for group in ((0,), (1,)) if self.recipe.alternating else ((0, 1),):
            for i in group:
                self.optimizers[i].zero_grad(set_to_none=True)
            with torch.set_grad_enabled(0 in group):
                x = self.artist(self.z_noisy)
            with torch.set_grad_enabled(1 in group):
                k = self.kernel_network(self.z_kernel)
            loss, squared_error = self._losses(x, k, use_similarity)
            loss.backward()
            if 0 in group and self.artist is not self.image_network:
                self.artist.return_gradients()
            for i in group:
                self.optimizers[i].step()
        with torch.no_grad():
            self.residuals.lerp_(squared_error, 0.05)
            self.loss.copy_(loss)
            self.x.copy_(x)
            self.k.copy_(k)

    def _losses(self, x: Tensor, k: Tensor, use_similarity: bool) -> tuple[Tensor, Tensor]:
        """What is minimised, and the squared error alone."""
        blurred = blur.convolve(x, k)
        squared_error = (blurred - self.y).square().mean()
        loss = self.similarity(blurred) if use_similarity else squared_error
        if self.recipe.tv_weight:
            loss = loss + self.recipe.tv_weight * total_variation(x)
        return loss, squared_error

    def _uses_similarity(self) -> bool:
        return self.iteration / self.recipe.iterations >= self.recipe.squared_error_until

    def loss_of(self, x: Tensor, k: Tensor) -> Tensor:
        """What the next iteration minimises."""
        return self._losses(x, k, self._uses_similarity())[0]

    def _set_rates(self, factor: float) -> None:
        for rate, start, optimizer in zip(
            self.rates, (self.recipe.image_rate, self.recipe.kernel_rate), self.optimizers, strict=True
        ):
            if self.device.type == "cuda":
                rate.fill_(start * factor)
            else:
                optimizer.param_groups[0]["lr"] = start * factor

    def finish(self) -> None:
        """Wait until the device has done what it was told."""
        if self.device.type == "cuda":
            torch.cuda.current_stream().synchronize()

    def data_term(self) -> float:
        return float(self.residuals)

    def answer(self) -> tuple[Tensor, Tensor]:
        """x cropped to y's window, and k, on the CPU."""
        x, k = self.mean if self.averaged else (self.x, self.k)
        h, w = self.y.shape[-2:]
        return x[..., self.margin : self.margin + h, self.margin : self.margin + w].cpu().clone(), k.cpu().clone()

    def keep_snapshot(self) -> None:
        averaged, self.averaged = self.averaged, 0
        self.snapshots[self.iteration] = self.answer()
        self.averaged = averaged

    def report(self, truth: Tensor | None) -> dict[str, float]:
        found = {"loss": float(self.loss)}
        if truth is not None:
            found["psnr"] = metrics.aligned(self.answer()[0], truth).psnr
        return found

    def state(self) -> dict:
        return {
            "iteration": self.iteration,
            "losses": self.losses,
            "residuals": self.residuals,
            "mean": self.mean,
            "averaged": self.averaged,
            "snapshots": self.snapshots,
            "noise": self.noise.get_state(),
            "inputs": (self.z_image, self.z_kernel),
            "x": self.x,
            "k": self.k,
            "networks": [self.image_network.state_dict(), self.kernel_network.state_dict()],
            "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
        }

    def restore(self, state: dict) -> _Optimisation:
        self.iteration, self.averaged = state["iteration"], state["averaged"]
        self.snapshots = state["snapshots"]
        for mine, theirs in zip(
            (self.losses, self.residuals, *self.mean, self.z_image, self.z_kernel, self.x, self.k),
            (state["losses"], state["residuals"], *state["mean"], *state["inputs"], state["x"], state["k"]),
            strict=True,
        ):
            mine.copy_(theirs)
        self.noise.set_state(state["noise"])
        for network, weights in zip((self.image_network, self.kernel_network), state["networks"], strict=True):
            network.load_state_dict(weights)
        for optimizer, saved, rate in zip(self.optimizers, state["optimizers"], self.rates, strict=True):
            optimizer.load_state_dict(saved)
            optimizer.param_groups[0]["lr"] = rate if self.device.type == "cuda" else float(rate)
        return self
