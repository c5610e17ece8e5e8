"""The learned models that `deblur train` makes, each declared in one place: network, loss, data and settings."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from deblur_core import weights
from deblur_core.blur import convolve
from deblur_core.data import content_digest, home, training_pairs
from deblur_core.errors import DeblurError, UsageError
from deblur_core.models import kernel_space
from deblur_core.models.compact_kernel_space import CompactKernelSpace, Design, start_from_shakes
from deblur_core.models.counting import count_parameters
from deblur_core.models.kernel_space import KernelSpace, kernel_space_loss
from deblur_core.models.refinement import Refinement, preset, refinement_loss, regression_loss
from deblur_core.models.srn import SRN, srn_loss
from deblur_core.models.xydeblur import XYDeblur
from deblur_core.runs import Context, Job, Result, Store, from_settings, run_stored, task
from deblur_core.runs.job import canonical, unwatched
from deblur_core.training import Batch, Loss, Settings, seeded, start_quietly, train
from deblur_core.training_data import Data, blurred_alike, digest, restoration_pairs


def absolute_error(network: nn.Module, batch: Batch, generator: torch.Generator) -> Tensor:
    """Mean absolute difference between the network's answer to the blurry crops and the sharp ones."""
    blurry, sharp = batch
    return (network(blurry).float() - sharp).abs().mean()


@dataclass(frozen=True)
class Training:
    """How one set of weights is made."""

    network: Callable[[], nn.Module]
    loss: Loss
    profiles: dict[str, Settings]  # smoke, laptop, overnight, paper
    whole: Callable[[], nn.Module] | None = None  # of the paper's size, for the profile `paper`; None: as `network`
    start: Callable[[nn.Module], nn.Module] = lambda network: network  # changes its first weights
    sources: tuple[str, ...] = ("builtin", "CBSD68")  # of sharp pictures, or of filmed pairs
    data: Callable[[tuple[str, ...], Settings, int, str], Data] = restoration_pairs
    reads: tuple[str, ...] = ()  # weights that come with the project and make the data

    def build(self, profile: str) -> nn.Module:
        """The network that this profile trains, with PyTorch's own first weights."""
        return self.whole() if self.whole and profile == "paper" else self.network()


_SIZES = {
    "smoke": Settings(steps=2, batch=2, crop=32),
    "laptop": Settings(steps=24_000, batch=4, crop=64, learning_rate=1e-3, warm_up=100, clip=1.0, validate_every=1000),
    "overnight": Settings(steps=20000, batch=8, crop=128, learning_rate=1e-3, warm_up=100, clip=1.0),
    # As the released code: 3000 epochs of 526 steps, the rate halved every 500 epochs. The average of the weights and
    # bfloat16 are ours.
    "paper": Settings(
        steps=1_578_000,
        batch=4,
        crop=256,
        learning_rate=1e-4,
        schedule="constant",
        halve_at=(1 / 6, 2 / 6, 3 / 6, 4 / 6, 5 / 6),
        validate_every=5000,
    ),
}


def seen_by_operator(blur: training_pairs.Blur, seed: int) -> Tensor:
    """The collection `training_pairs.kernels` (count, size, size) as the shipped blur operator knows it: each extracted
    from a photograph of gravel that it has blurred, and decoded again, (count, 27, 27)."""
    operator, true = compact_kernel_space(), training_pairs.kernels(blur, seed)
    x = training_pairs.sharp_pictures("builtin")["builtin/gravel"][None, :, :160, :160] / 255
    border, found = blur.size // 2, []
    for k in true.split(16):
        code = operator.encode(x[..., border:-border, border:-border], convolve(x.expand(len(k), -1, -1, -1), k)).mean
        found.append(operator.decode(code.mean((2, 3), keepdim=True))[:, 0, 0])
    return torch.cat(found)


def _from_shakes(model: nn.Module) -> nn.Module:
    """Only the compact model has layers that can hold kernels."""
    if isinstance(model, CompactKernelSpace):
        return start_from_shakes(model, training_pairs.kernels(KERNEL_SPACE_BLUR, seed=0))
    return model


def _refinement(denoiser: bool) -> Training:
    """The predictor's estimate is what the curve shows; samples take too long to be drawn now and then."""
    return Training(
        lambda: Refinement(preset("small" if denoiser else "small_regression")),
        refinement_loss if denoiser else regression_loss,
        whole=lambda: Refinement(preset("paper") if denoiser else replace(preset("paper"), denoiser_width=0)),
        profiles=_SIZES | {"laptop": _REFINEMENT_LAPTOP, "paper": _REFINEMENT_PAPER},
        data=partial(
            restoration_pairs,
            blur=_SHAKES,
            restore=lambda network, blurry: network.predict(blurry),
            turn=True,
        ),
    )


def _short_motion(size: int) -> training_pairs.Blur:
    """What small networks learn to undo within an hour. From 1 px on, or up to 20, they only sharpen."""
    return training_pairs.Blur(size=size, kinds=("shake", "x", "y"), count=4096, shortest=6.0)


# As in the paper's synthetic set. Of motion along x or y a small predictor leaves too little open to draw samples of.
_SHAKES = training_pairs.Blur(size=9, kinds=("shake",), count=4096)
# At 1e-3 the predictor is lost early, and what is built on it, too: the denoiser's gradient is far larger, and to clip
# their common norm does not hold the predictor's.
_REFINEMENT_LAPTOP = replace(_SIZES["laptop"], steps=12_000, learning_rate=5e-4)
# Crops as the paper, steps as its ablation; the rest is not known.
_REFINEMENT_PAPER = Settings(
    steps=1_000_000, batch=32, crop=128, learning_rate=1e-4, warm_up=1000, clip=1.0, average=0.9999, validate_every=5000
)
# 2000 epochs of GoPro, the rate falling to 1e-6 as in the paper, there by a power and not by a cosine.
_SRN_PAPER = Settings(
    steps=263_000, batch=16, crop=256, learning_rate=1e-4, final_rate=1e-6, average=0.0, validate_every=5000
)
# The released recipe of the network with the VAE head, which starts from one without it there, and from nothing here.
_KERNEL_SPACE_PAPER = Settings(
    steps=600_000,
    batch=8,
    crop=256,
    learning_rate=1e-4,
    restart_at=(1 / 12, 1 / 4, 1 / 2, 3 / 4),
    final_rate=1e-8,
    betas=(0.9, 0.99),
    average=0.0,
    validate_every=5000,
)
_SHORT_MOTION = partial(restoration_pairs, blur=_short_motion(11))

KERNEL_SPACE_BLUR = training_pairs.Blur(size=27, kinds=("shake",), count=4096)

TRAININGS: dict[str, Training] = {
    "xydeblur": Training(
        lambda: XYDeblur(width=16, blocks=2),
        absolute_error,
        _SIZES,
        whole=XYDeblur,
        start=start_quietly,
        data=_SHORT_MOTION,
    ),
    "xydeblur_unet": Training(
        lambda: XYDeblur(decoders=1, width=16, blocks=2),
        absolute_error,
        _SIZES,
        whole=lambda: XYDeblur(decoders=1),
        start=start_quietly,
        data=_SHORT_MOTION,
    ),
    "srn": Training(
        lambda: SRN(width=16, blocks=1),
        srn_loss,
        _SIZES | {"laptop": replace(_SIZES["laptop"], steps=10_000), "paper": _SRN_PAPER},
        whole=SRN,
        start=start_quietly,
        data=_SHORT_MOTION,
    ),
    "kernel_space": Training(
        lambda: CompactKernelSpace(Design()),
        kernel_space_loss,
        {name: replace(settings, precision="float32") for name, settings in _SIZES.items()} | {
            "smoke": Settings(steps=2, batch=4, crop=32, precision="float32"),
            "laptop": Settings(
                steps=6_000,
                batch=8,
                learning_rate=5e-4,
                warm_up=100,
                clip=1.0,
                precision="float32",
                validate_every=250,
            ),
            "paper": _KERNEL_SPACE_PAPER,
        },
        whole=lambda: KernelSpace(kernel_space.preset("paper_vae")),
        start=_from_shakes,
        data=partial(blurred_alike, blur=KERNEL_SPACE_BLUR, filmed=2),
    ),
    "kernel_space_inverse": Training(
        lambda: SRN(width=16, blocks=1),
        srn_loss,
        _SIZES | {"laptop": replace(_SIZES["laptop"], steps=8_000), "paper": _SRN_PAPER},
        start=start_quietly,
        data=partial(restoration_pairs, blur=_short_motion(11), collection=seen_by_operator, exchange=True),
        reads=("kernel_space",),
    ),
    "refinement": _refinement(denoiser=True),
    "refinement_regression": _refinement(denoiser=False),
}


def get(model: str) -> Training:
    """The training of this name; UsageError for an unknown one."""
    if model not in TRAININGS:
        known = ", ".join(TRAININGS) or "none yet"
        raise UsageError(f"'{model}' cannot be trained; models that can be: {known}.")
    return TRAININGS[model]


def load(model: str) -> nn.Module:
    """The network of this name with the weights that come with the project, or that DEBLUR_WEIGHTS has in their place,
    in evaluation mode on the CPU. Raises UsageError for an unknown name, DeblurError where the weights are damaged or
    were made by another design than the present one."""
    chosen, card = get(model), weights.card(model)
    network = seeded(lambda: chosen.build(card["profile"]), seed=0)
    if (made_by := card.get("design")) and made_by != _design(network):
        raise DeblurError(f"The weights '{model}' are of another design: make them again with deblur train {model}.")
    return weights.load(model, network)


def compact_kernel_space() -> CompactKernelSpace:
    """The blur operator, without gradients. Raises UsageError where DEBLUR_WEIGHTS has one without kernels to show."""
    operator = load("kernel_space").requires_grad_(False)
    if not isinstance(operator, CompactKernelSpace):
        raise UsageError("Only the compact kernel space has kernels to show, and DEBLUR_WEIGHTS names another one.")
    return operator


def _design(network: nn.Module) -> dict[str, Any]:
    """What a network was built by, JSON-able, for what the shapes of weights do not tell."""
    return json.loads(canonical(getattr(network, "design", {})))


@task(numerics=2)
def train_model(
    context: Context, *, model: str, settings: dict[str, Any], sources: list[str], seed: int, profile: str = ""
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Train from nothing; profile: "paper" for a network of the paper's size. Values: what the card says; arrays: the
    weights."""
    chosen = get(model)
    recipe = from_settings(Settings, settings)
    data = chosen.data(tuple(sources), recipe, seed, context.device)
    trained = train(
        seeded(lambda: chosen.start(chosen.build(profile)), seed),
        chosen.loss,
        data.pairs,
        recipe,
        seed=seed,
        device=context.device,
        validate=data.validate,
        baseline=data.baseline,
        checkpoint=context.checkpoint,
        progress=context.progress,
    )
    values = {
        "parameters": count_parameters(trained.network),
        "design": _design(trained.network),
        "data": data.description,
        "baseline": data.baseline,
        "curve": trained.curve,
        "doubts": trained.doubts,
    }
    return values, {name: tensor.cpu().numpy() for name, tensor in trained.network.state_dict().items()}


def train_and_save(
    model: str,
    profile: str = "laptop",
    *,
    steps: int | None = None,
    sources: tuple[str, ...] | None = None,
    seed: int = 0,
    device: str = "cpu",
    folder: Path | None = None,
    progress: Callable[..., None] = unwatched,
) -> tuple[Path, dict[str, Any]]:
    """Train a model and write its weights and card to `folder` (default: weights/ in DEBLUR_HOME); returns both.

    A run that was stopped goes on where its last checkpoint was, and one that was finished is not done again. Raises
    UsageError for an unknown model, profile or source, a negative seed, or pictures that judge.
    """
    chosen = get(model)
    if profile not in chosen.profiles:
        raise UsageError(f"{model} has no profile '{profile}': choose one of {', '.join(chosen.profiles)}.")
    settings = chosen.profiles[profile]
    if steps is not None:
        settings = replace(settings, steps=steps)
    if seed < 0:
        raise UsageError(f"A seed is 0 or more, not {seed}.")
    sources = sources or chosen.sources
    if "held out" in sources:
        raise UsageError("The pictures 'held out' judge every training and are in none: name another source.")
    job = Job.create(
        train_model,
        data=content_digest(digest(sources), *(weights.card(name)["sha256"] for name in chosen.reads)),
        model=model,
        settings=settings,
        sources=list(sources),
        seed=seed,
        **({"profile": profile} if chosen.whole and profile == "paper" else {}),
    )
    result = run_stored(job, Store(home()), device, progress)
    tensors = {name: torch.from_numpy(array) for name, array in result.arrays.items()}
    return weights.save(model, tensors, _card(result, profile), folder or home() / "weights"), result.values


def _card(result: Result, profile: str) -> dict[str, Any]:
    settings, values, made = result.job.settings, result.values, result.provenance
    return {
        "model": settings["model"],
        "profile": profile,
        "parameters": values["parameters"],
        "design": values.get("design", {}),  # which a run that was finished before it was noted lacks
        "recipe": settings["settings"],
        "data": values["data"],
        "seed": settings["seed"],
        "scores": values["curve"][-1] if values["curve"] else {},
        "baseline": values["baseline"],
        "curve": values["curve"],
        "doubts": values["doubts"],
        "made by": made,
    }
