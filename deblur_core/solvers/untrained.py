"""Blind deblurring with two untrained networks: the optimisation that SelfDeblur and kernel-space deblurring share.

One network draws the picture x from a fixed random input, another the kernel k; their weights are fitted by Adam until
a model of blur turns x and k into the blurry picture y. A joint iteration takes a step on both networks, an alternating
one a step on x's weights with k fixed, then one on k's with x fixed. What is minimised is up to the method.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

import torch
from torch import Tensor, nn

from deblur_core.errors import DeblurError
from deblur_core.runs import own_stream
from deblur_core.solvers.acceleration import Bfloat16, Captured, rounded

REPORT_EVERY = 20  # iterations
CHECKPOINT_AFTER = 60.0  # seconds
NEWEST = 0.05  # weight of the last iteration in the running mean of the data term

Objective = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
"""(x, k) -> (what is minimised, the data term alone), two scalars."""


@dataclass
class Unknown:
    """A network, its fixed input z, its learning rate, and the deviation of the noise that z gets in every iteration;
    precision, see `acceleration.arithmetic`."""

    network: nn.Module
    z: Tensor
    rate: float
    noise: float = 0.0
    precision: str = "float32"


@dataclass(frozen=True)
class Phase:
    """What is minimised until a share of the iterations is done, and whether the networks take turns."""

    until: float
    objective: Objective
    alternating: bool = False


@dataclass
class Deblurred:
    """x (1, c, h, w) in [0, 1]; k; losses, one value an iteration."""

    x: Tensor
    k: Tensor
    losses: list[float]
    residual: float  # the data term, over the last iterations
    snapshots: dict[int, tuple[Tensor, Tensor]] = field(default_factory=dict)
    seconds: float = 0.0


class Optimisation:
    """The state of one run, and its single step.

    Args: image and kernel, the two unknowns; phases, in order; iterations, of all phases together; falls_at, shares of
    the run from which on the learning rates are multiplied by `fall` (once more each); average_from, the share from
    which on outputs are averaged for the answer, 1 for the last output; margin, pixels by which x is larger than the
    answer on each side; seed, of the noise.
    """

    def __init__(
        self,
        image: Unknown,
        kernel: Unknown,
        phases: Sequence[Phase],
        *,
        iterations: int,
        seed: int,
        device: str,
        falls_at: tuple[float, ...] = (),
        fall: float = 0.5,
        average_from: float = 1.0,
        margin: int = 0,
    ):
        self.iterations, self.phases, self.margin = iterations, tuple(phases), margin
        self.falls_at, self.fall, self.average_from = falls_at, fall, average_from
        self.device, self.unknowns = torch.device(device), (image, kernel)
        cuda = self.device.type == "cuda"
        for unknown in self.unknowns:
            unknown.network.to(self.device, memory_format=torch.channels_last)
            unknown.z = unknown.z.to(self.device)
        self.artists = [rounded(u.network, u.precision, device) or u.network for u in self.unknowns]
        self.inputs = [torch.empty_like(u.z) if u.noise else u.z for u in self.unknowns]
        # Noise is drawn into contiguous memory: that is three times faster.
        self.perturbations = [torch.empty(u.z.shape, device=self.device) for u in self.unknowns]
        self.noise = torch.Generator(self.device).manual_seed(seed)
        self.rates = [torch.tensor(u.rate, device=self.device) for u in self.unknowns]
        self.optimizers = [
            torch.optim.Adam(u.network.parameters(), lr=rate if cuda else u.rate, fused=True, capturable=cuda)
            for u, rate in zip(self.unknowns, self.rates, strict=True)
        ]
        self.iteration = 0
        self.losses = torch.full((iterations,), torch.nan, device=self.device)
        self.residuals = torch.zeros((), device=self.device)  # running mean of the data term, from zero on
        self.loss = torch.zeros((), device=self.device)
        with torch.no_grad():
            self.x, self.k = (torch.zeros_like(u.network(u.z)) for u in self.unknowns)
        self.mean = (torch.zeros_like(self.x), torch.zeros_like(self.k))
        self.averaged = 0
        self.snapshots: dict[int, tuple[Tensor, Tensor]] = {}
        self._captured: tuple[Phase, Captured] | None = None  # of the present phase: they never come back

    @property
    def phase(self) -> Phase:
        """The phase that the next iteration belongs to."""
        share = self.iteration / self.iterations
        return next((phase for phase in self.phases if share < phase.until), self.phases[-1])

    def step(self) -> None:
        """The next iteration."""
        share, phase = self.iteration / self.iterations, self.phase
        self._set_rates(self.fall ** sum(share >= at for at in self.falls_at))
        for unknown, z, perturbation in zip(self.unknowns, self.inputs, self.perturbations, strict=True):
            if unknown.noise:
                perturbation.normal_(std=unknown.noise, generator=self.noise)
                torch.add(unknown.z, perturbation, out=z)
        optimise = partial(self._optimise, phase)
        if self.device.type == "cuda":
            if self._captured is None or self._captured[0] is not phase:
                self._captured = phase, Captured()
            self._captured[1](optimise)
        else:
            optimise()
        self.losses[self.iteration] = self.loss
        if share >= self.average_from:
            self.averaged += 1
            for mean, value in zip(self.mean, (self.x, self.k), strict=True):
                mean.lerp_(value, 1 / self.averaged)
        self.iteration += 1

    def _optimise(self, phase: Phase) -> None:
        """One iteration: both networks at once, or one after the other."""
        for group in ((0,), (1,)) if phase.alternating else ((0, 1),):
            for i in group:
                self.optimizers[i].zero_grad(set_to_none=True)
            drawn = []
            for i, (artist, z) in enumerate(zip(self.artists, self.inputs, strict=True)):
                with torch.set_grad_enabled(i in group):
                    drawn.append(artist(z))
            loss, data_term = phase.objective(*drawn)
            loss.backward()
            for i in group:
                if isinstance(self.artists[i], Bfloat16):
                    self.artists[i].return_gradients()
                self.optimizers[i].step()
        with torch.no_grad():
            self.residuals.lerp_(data_term, NEWEST)
            for kept, value in zip((self.loss, self.x, self.k), (loss, *drawn), strict=True):
                kept.copy_(value)

    def _set_rates(self, factor: float) -> None:
        for unknown, rate, optimizer in zip(self.unknowns, self.rates, self.optimizers, strict=True):
            if self.device.type == "cuda":
                rate.fill_(unknown.rate * factor)
            else:
                optimizer.param_groups[0]["lr"] = unknown.rate * factor

    def finish(self) -> None:
        """Wait until the device has done what it was told."""
        if self.device.type == "cuda":
            torch.cuda.current_stream().synchronize()

    def answer(self) -> tuple[Tensor, Tensor]:
        """x without its margin, and k, on the CPU."""
        x, k = self.mean if self.averaged else (self.x, self.k)
        h, w = x.shape[-2:]
        inside = x[..., self.margin : h - self.margin, self.margin : w - self.margin]
        return inside.cpu().clone(), k.cpu().clone()

    def keep_snapshot(self) -> None:
        """Keep x and k of the last iteration, never a mean."""
        averaged, self.averaged = self.averaged, 0
        self.snapshots[self.iteration] = self.answer()
        self.averaged = averaged

    def state(self) -> dict:
        """What `restore` takes to go on from here."""
        return {
            "iteration": self.iteration,
            "losses": self.losses,
            "residuals": self.residuals,
            "mean": self.mean,
            "averaged": self.averaged,
            "snapshots": self.snapshots,
            "noise": self.noise.get_state(),
            "inputs": tuple(unknown.z for unknown in self.unknowns),
            "x": self.x,
            "k": self.k,
            "networks": [unknown.network.state_dict() for unknown in self.unknowns],
            "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
        }

    def can_restore(self, state: dict) -> bool:
        """Whether a state is of this layout and of this kind of device, whose generators no other can go on from."""
        own = self.state()
        return state.keys() == own.keys() and state["noise"].shape == own["noise"].shape

    def restore(self, state: dict) -> None:
        """Go on from where a state was taken."""
        self.iteration, self.averaged = state["iteration"], state["averaged"]
        self.snapshots = state["snapshots"]
        own = (self.losses, self.residuals, *self.mean, *(unknown.z for unknown in self.unknowns), self.x, self.k)
        saved = (state["losses"], state["residuals"], *state["mean"], *state["inputs"], state["x"], state["k"])
        for mine, theirs in zip(own, saved, strict=True):
            mine.copy_(theirs)
        self.noise.set_state(state["noise"])
        for unknown, weights in zip(self.unknowns, state["networks"], strict=True):
            unknown.network.load_state_dict(weights)
        for optimizer, saved, unknown, rate in zip(
            self.optimizers, state["optimizers"], self.unknowns, self.rates, strict=True
        ):
            optimizer.load_state_dict(saved)
            optimizer.param_groups[0]["lr"] = rate if self.device.type == "cuda" else unknown.rate


def run(
    start: Callable[[], Optimisation],
    *,
    device: str = "cpu",
    score: Callable[[Tensor], float] | None = None,
    snapshots: tuple[int, ...] = (),
    checkpoint=None,
    progress: Callable[..., None] | None = None,
) -> Deblurred:
    """Take a run from where its checkpoint is, or from the start, to its end.

    Args: start, makes the run; score, of x, for progress only; snapshots, iterations after which x and k are kept;
    checkpoint, an object with load() and save(state), which is of use on the same kind of device; progress, called as
    progress(iteration, iterations, loss=..., psnr=...). Raises DeblurError when the optimisation diverges.
    """
    with own_stream(device):
        started = last_saved = time.perf_counter()
        of = start()
        if state := checkpoint and checkpoint.load():
            if of.can_restore(state):
                of.restore(state)
            else:
                warnings.warn(
                    "The checkpoint was made by another version of this code, or on another kind of device, which "
                    "draws other random numbers: this run starts again.",
                    stacklevel=3,
                )
        while of.iteration < of.iterations:
            of.step()
            if of.iteration in snapshots:
                of.keep_snapshot()
            if progress and (of.iteration % REPORT_EVERY == 0 or of.iteration == of.iterations):
                _check_loss(of.loss)
                scores = {"psnr": score(of.answer()[0])} if score else {}
                progress(of.iteration, of.iterations, loss=float(of.loss), **scores)
            if checkpoint and time.perf_counter() - last_saved > CHECKPOINT_AFTER:
                _check_loss(of.loss)
                checkpoint.save(of.state())
                last_saved = time.perf_counter()
        x, k = of.answer()
        _check_loss(of.loss + x.sum())
        residual = float(of.residuals) / (1 - (1 - NEWEST) ** of.iteration)  # without its share of the zero
        return Deblurred(x, k, of.losses.tolist(), residual, of.snapshots, time.perf_counter() - started)


def _check_loss(loss: Tensor) -> None:
    if not torch.isfinite(loss):
        raise DeblurError(
            "The optimisation diverged (the loss is not a number): try another seed or a lower learning rate."
        )


def measure_cost(
    start: Callable[[tuple[int, int]], Optimisation], shape: tuple[int, int], least: int, iterations: int, device: str
) -> tuple[float, int]:
    """(seconds, bytes) that `iterations` on a picture of `shape` will take, from a few measured on this machine.

    They are measured on at most `least` pixels a side and scaled by the number of pixels, so that the estimate for a
    picture that does not fit into memory still comes. start(shape) makes a run of ten iterations or more.
    """
    tile = (min(shape[0], least), min(shape[1], least))
    scale = shape[0] * shape[1] / (tile[0] * tile[1])
    saved: dict[int, int] = {}

    def weigh(tensor: Tensor) -> Tensor:
        saved[tensor.data_ptr()] = tensor.numel() * tensor.element_size()
        return tensor

    seconds = []
    with own_stream(device):
        of = start(tile)
        with torch.autograd.graph.saved_tensors_hooks(weigh, lambda tensor: tensor):
            of.step()
        while of.iteration < 10:
            started = time.perf_counter()
            of.step()
            of.finish()
            seconds.append(time.perf_counter() - started)
    parameters = [p for unknown in of.unknowns for p in unknown.network.parameters()]
    fixed = sum(4 * p.numel() * p.element_size() for p in parameters)  # weight, gradient, Adam's two moments
    # On a GPU nearly all iterations of a run replay a graph, and few of these do.
    typical = min(seconds) if of.device.type == "cuda" else sorted(seconds)[len(seconds) // 2]
    return typical * iterations * scale, round(sum(saved.values()) * scale) + fixed
