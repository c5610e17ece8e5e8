"""One training loop for every learned model of the project.

    trained = train(network, loss, pairs, Settings(steps=2000), seed=1, validate=PictureValidation(held_out))

    loss(network, batch, generator) -> scalar    what is minimised; it draws random numbers from the generator alone
    pairs(generator) -> batch                    a tuple of tensors on the device
    validate(network) -> dict of scores          called now and then with the averaged weights, without gradients

The random numbers of a step depend on the seed and the number of the step and on nothing else, so a run that was
stopped goes on as if it had not been, and two runs with one seed are the same, bit for bit on a CPU. Networks draw no
random numbers themselves (no dropout) and keep no running statistics (no batch normalisation).
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from deblur_core import metrics
from deblur_core.data.training_pairs import Source
from deblur_core.errors import DeblurError, UsageError
from deblur_core.randomness import own_randomness
from deblur_core.runs import own_stream
from deblur_core.solvers.acceleration import rounded

REPORT_EVERY = 20  # steps on a GPU, which has to wait when its loss is looked at; on a CPU every step reports
CHECKPOINT_AFTER = 60.0  # seconds
JUDGED_AT = 0.25  # the share of a run after which a network should be better than doing nothing

Batch = tuple[Tensor, ...]
Loss = Callable[[nn.Module, Batch, torch.Generator], Tensor]
Validation = Callable[[nn.Module], dict[str, float]]


@dataclass(frozen=True)
class Settings:
    """Everything that decides a run but the network, the data and the seed. Points in time are shares of the run."""

    steps: int
    batch: int = 8
    crop: int = 128  # px
    learning_rate: float = 3e-4
    schedule: str = "cosine"  # falls to final_rate; or "constant"
    halve_at: tuple[float, ...] = ()  # halves the rate, whatever the schedule
    restart_at: tuple[float, ...] = ()  # where the cosine starts again
    final_rate: float = 0.0
    warm_up: int = 0  # steps over which the rate grows from zero
    betas: tuple[float, float] = (0.9, 0.999)  # of Adam
    weight_decay: float = 0.0  # decoupled, as in AdamW
    clip: float | None = None  # largest norm of the gradient
    average: float = 0.999  # decay of the moving average of the weights; 0: the last weights
    precision: str = "bfloat16"  # or "float32"
    validate_every: int = 500  # steps; the last step is always validated


@dataclass
class Trained:
    """network, with the averaged weights, float32, in evaluation mode; losses, one a step; curve, one row a validation:
    {"step", "loss" (mean since the last row), scores}; doubts, sentences for whoever uses the weights."""

    network: nn.Module
    losses: list[float]
    curve: list[dict[str, float]]
    doubts: list[str] = field(default_factory=list)
    seconds: float = 0.0  # of this sitting, validation included


def train(
    network: nn.Module,
    loss: Loss,
    pairs: Source,
    settings: Settings,
    *,
    seed: int = 0,
    device: str = "cpu",
    validate: Validation | None = None,
    baseline: dict[str, float] | None = None,
    checkpoint=None,
    progress: Callable[..., None] | None = None,
) -> Trained:
    """Minimise the loss by Adam from the network's present weights, which the caller draws (see `seeded`).

    baseline: scores, the higher the better, that doing nothing reaches, such as the PSNR of the blurry pictures; where
    the network does not beat them, `doubts` says so. checkpoint: an object with load() and save(state). progress is
    called as progress(step, steps, loss=..., and the last scores). The network itself is trained in place.
    Raises UsageError for settings or a network that cannot be trained here, DeblurError when the loss is not finite, or
    the checkpoint is another run's.
    """
    with own_stream(device):
        run = TrainingRun(network, loss, settings, seed, device)
        if state := checkpoint and checkpoint.load():
            run.restore(state)
        return _train(run, pairs, validate, baseline or {}, checkpoint, progress)


def seeded(build: Callable[[], nn.Module], seed: int) -> nn.Module:
    """`build()` with initial weights that depend on `seed` alone; PyTorch's global random state stays as it was."""
    with own_randomness(seed):
        return build()


def start_quietly(network: nn.Module, scale: float = 0.01) -> nn.Module:
    """The same network, the layers that draw its residual pictures made smaller: at first it changes almost nothing.

    They are the convolutions with three outputs. Without this, the first hundreds of steps go into unlearning noise.
    """
    with torch.no_grad():
        for layer in network.modules():
            if isinstance(layer, nn.Conv2d) and layer.out_channels == 3:
                layer.weight *= scale
                layer.bias *= scale
    return network


def learning_rate(settings: Settings, step: int) -> float:
    """The rate of step 0, 1, ..., steps - 1."""
    share = step / settings.steps
    rate = settings.learning_rate
    if settings.schedule == "cosine":
        starts = [0.0, *settings.restart_at, 1.0]
        begin, end = max(t for t in starts if t <= share), min(t for t in starts if t > share)
        fall = (1 + math.cos(math.pi * (share - begin) / (end - begin))) / 2
        rate = settings.final_rate + (rate - settings.final_rate) * fall
    warm = min(1.0, (step + 1) / settings.warm_up) if settings.warm_up else 1.0
    return rate * warm * 0.5 ** sum(share >= at for at in settings.halve_at)


def average_decay(decay: float, step: int) -> float:
    """The decay of the moving average after step 0, 1, ...: small at first, to forget the initial weights."""
    return min(decay, (1 + step) / (10 + step))


class PictureValidation:
    """The mean PSNR over whole pictures that are kept apart: pairs (blurry, sharp) of (1, c, h, w) in [0, 1].

    restore(network, blurry) -> estimate, where a network returns more than the picture. `baseline` has the score of the
    blurry pictures themselves.
    """

    def __init__(
        self,
        pairs: Sequence[tuple[Tensor, Tensor]],
        restore: Callable[[nn.Module, Tensor], Tensor] = lambda network, blurry: network(blurry),
        device: str = "cpu",
    ):
        self.pairs, self.restore, self.device = pairs, restore, device
        self.baseline = {"psnr": float(np.mean([metrics.psnr(blurry, sharp) for blurry, sharp in pairs]))}

    def __call__(self, network: nn.Module) -> dict[str, float]:
        scores = []
        for blurry, sharp in self.pairs:
            with torch.no_grad():
                estimate = self.restore(network, blurry.to(self.device)).float().clamp(0, 1).cpu()
            scores.append(metrics.psnr(estimate, sharp))
        return {"psnr": float(np.mean(scores))}


def _train(
    run: TrainingRun,
    pairs: Source,
    validate: Validation | None,
    baseline: dict[str, float],
    checkpoint,
    progress: Callable[..., None] | None,
) -> Trained:
    settings, began = run.settings, time.perf_counter()
    last_saved = began
    scores: dict[str, float] = {}
    while run.step < settings.steps:
        run.take_step(pairs(run.generator("data")))
        ends = run.step == settings.steps
        if validate and (ends or run.step % settings.validate_every == 0):
            run.check()
            with torch.no_grad():
                scores = validate(run.averaged)
            run.add_to_curve(scores)
        if ends or run.step % run.report_every == 0:
            loss = run.check()
            if progress:
                progress(run.step, settings.steps, loss=loss, **scores)
        if checkpoint and time.perf_counter() - last_saved > CHECKPOINT_AFTER:
            run.check()
            checkpoint.save(run.state())
            last_saved = time.perf_counter()
    seconds = time.perf_counter() - began
    return Trained(run.averaged, run.losses.tolist(), run.curve, run.doubts(baseline), seconds)


class TrainingRun:
    """The state of a run and its single step."""

    def __init__(self, network: nn.Module, loss: Loss, settings: Settings, seed: int, device: str):
        _check(network, settings)
        self.settings, self.seed, self.device, self.loss = settings, seed, torch.device(device), loss
        self.network = network.to(self.device, memory_format=torch.channels_last).train()
        self.averaged = copy.deepcopy(self.network).eval().requires_grad_(False)
        self.bfloat16 = rounded(self.network, settings.precision, device)
        self.weights = [weight for weight in network.parameters() if weight.requires_grad]
        self.optimizer = torch.optim.AdamW(
            self.weights,
            lr=settings.learning_rate,
            betas=settings.betas,
            weight_decay=settings.weight_decay,
            fused=True,
        )
        self.report_every = 1 if self.device.type == "cpu" else REPORT_EVERY
        self.step = 0
        self.losses = torch.full((settings.steps,), torch.nan, device=self.device)
        self.curve: list[dict[str, float]] = []

    def generator(self, purpose: str) -> torch.Generator:
        """The random numbers of this step: on the CPU for "data", on the device for the "loss"."""
        on_device = purpose == "loss"
        mixed = np.random.SeedSequence((self.seed, self.step, on_device)).generate_state(1, np.uint64)
        return torch.Generator(self.device if on_device else "cpu").manual_seed(int(mixed[0]))

    def take_step(self, batch: Batch) -> None:
        settings = self.settings
        batch = tuple(_channels_last(tensor.to(self.device)) for tensor in batch)
        self.optimizer.zero_grad(set_to_none=True)
        if self.bfloat16:
            self.bfloat16.refresh()
            # Autocast has no weight to cast: it brings float32 inputs and bfloat16 weights together.
            with torch.autocast(self.device.type, torch.bfloat16):
                loss = self.loss(self.bfloat16.twin, batch, self.generator("loss"))
            loss.backward()
            self.bfloat16.return_gradients()
        else:
            loss = self.loss(self.network, batch, self.generator("loss"))
            loss.backward()
        if settings.clip is not None:
            torch.nn.utils.clip_grad_norm_(self.weights, settings.clip)
        self.optimizer.param_groups[0]["lr"] = learning_rate(settings, self.step)
        self.optimizer.step()
        decay = average_decay(settings.average, self.step)
        with torch.no_grad():
            torch._foreach_lerp_(list(self.averaged.parameters()), list(self.network.parameters()), 1 - decay)
        self.losses[self.step] = loss.detach()
        self.step += 1

    def check(self) -> float:
        """The last loss. DeblurError where any of the last ones is not finite."""
        recent = self.losses[max(0, self.step - self.report_every) : self.step].cpu()
        if not torch.isfinite(recent).all():
            first = self.step - len(recent) + int((~torch.isfinite(recent)).nonzero()[0]) + 1
            raise DeblurError(
                f"The training loss is not finite from step {first} on: lower the learning rate (now "
                f"{self.settings.learning_rate:g}), clip the gradient, or train in float32."
            )
        return float(recent[-1])

    def add_to_curve(self, scores: dict[str, float]) -> None:
        since = int(self.curve[-1]["step"]) if self.curve else 0
        self.curve.append({"step": self.step, "loss": float(self.losses[since : self.step].mean()), **scores})

    def doubts(self, baseline: dict[str, float]) -> list[str]:
        """What the curve says against the network: at the first validation after `JUDGED_AT`, and at the last step."""
        steps = self.settings.steps
        judged = [row for row in self.curve if row["step"] >= JUDGED_AT * steps]
        return [
            f"At step {row['step']} of {steps} the network is no better than doing nothing: "
            f"{name} {row[name]:.4g} against {least:.4g}."
            for row in judged
            if row is judged[0] or row["step"] == steps
            for name, least in baseline.items()
            if not row[name] > least
        ]

    def state(self) -> dict[str, Any]:
        return {
            "run": self._name(),
            "step": self.step,
            "losses": self.losses,
            "curve": self.curve,
            "network": self.network.state_dict(),
            "averaged": self.averaged.state_dict(),
            "optimizer": self.optimizer.state_dict(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        if (run := state.get("run")) != self._name():
            raise DeblurError(
                f"The checkpoint belongs to another run ({run}): delete it, or train with the settings it has."
            )
        try:
            self.network.load_state_dict(state["network"])
            self.averaged.load_state_dict(state["averaged"])
            self.optimizer.load_state_dict(state["optimizer"])
            self.step, self.curve = state["step"], state["curve"]
            self.losses.copy_(state["losses"])
        except (KeyError, RuntimeError, ValueError) as error:
            raise DeblurError(
                "The checkpoint belongs to a network of another architecture, or to another version of this code: "
                "delete it."
            ) from error

    def _name(self) -> str:
        return f"seed {self.seed}, {self.settings}"


def _channels_last(tensor: Tensor) -> Tensor:
    return tensor.contiguous(memory_format=torch.channels_last) if tensor.ndim == 4 else tensor


def _check(network: nn.Module, settings: Settings) -> None:
    if settings.steps < 1 or settings.batch < 1 or settings.crop < 1 or settings.validate_every < 1:
        raise UsageError("Training needs at least one step, one picture a batch, one pixel and a validation interval.")
    if settings.schedule not in ("cosine", "constant"):
        raise UsageError(f"Cannot train with the schedule '{settings.schedule}': choose cosine or constant.")
    for name, module in network.named_modules():
        draws = isinstance(module, nn.modules.dropout._DropoutNd) and module.p > 0
        if draws or isinstance(module, nn.modules.batchnorm._BatchNorm):
            raise UsageError(
                f"{name} is a {type(module).__name__}, whose random numbers or running statistics this loop does not "
                "keep: leave it out, or draw in the loss."
            )
