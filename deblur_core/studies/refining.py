"""What studies of stochastic refinement share: small networks, blurry pictures kept apart, and restorations of them.

    pictures = Pictures(crop=160)
    jobs = restore_jobs("refinement", pictures, steps=50, samples=8, parts=3)

A network is the name of weights that come with the project, or the job that trains one.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import cache, lru_cache
from typing import Any

import numpy as np
import skimage.data
import torch
from matplotlib.axes import Axes
from torch import Tensor

from deblur_core import data, metrics, trainings, weights
from deblur_core.data import training_pairs
from deblur_core.data.training_pairs import Blur
from deblur_core.models.counting import count_macs, count_parameters
from deblur_core.models.diffusion import TRAINING, Schedule, linear_schedule, strided
from deblur_core.models.refinement import Design, Refinement, refinement_loss, regression_loss
from deblur_core.runs import Context, Job, Result, from_settings, task
from deblur_core.solvers.refinement import refine
from deblur_core.studies import learning
from deblur_core.studies.learning import Pictures
from deblur_core.studies.style import show_image
from deblur_core.training import PictureValidation, Settings, seeded, train

Network = str | Job
MIXED = Blur(size=9, kinds=("shake", "x", "y"), count=4096, shortest=6.0)
"""What the small networks learn that studies train for themselves."""
WHOLE = 20_000_000
"""Parameters from which on a network is as large as the paper's."""
TEXTURE = "texture"
"""The score that needs no network, see `texture_distance`."""
ELSEWHERE = ("page", "text", "logo", "horse", "shepp_logan_phantom", "cell", "moon", "retina")
"""Pictures of scikit-image that are no everyday photographs: documents, drawings, views through lenses."""


# Blurry pictures


def sharp_pictures(source: str) -> dict[str, Tensor]:
    """As `training_pairs.sharp_pictures`; also "elsewhere", see ELSEWHERE, and "gopro", street scenes of 1280 x 720."""
    if source == "elsewhere":
        return {name: _as_levels(getattr(skimage.data, name)()) for name in ELSEWHERE}
    if source == "gopro":
        return {name: (255 * data.load("gopro", name).sharp[0]).round().to(torch.uint8) for name in data.names("gopro")}
    return training_pairs.sharp_pictures(source)


def _as_levels(picture: np.ndarray) -> Tensor:
    """uint8 (3, h, w) of a picture of any kind that scikit-image has; what is transparent becomes white."""
    picture = np.atleast_3d(skimage.util.img_as_float(picture))
    if picture.shape[2] == 4:
        picture = 1 - picture[..., 3:] * (1 - picture[..., :3])
    return torch.from_numpy(255 * picture).round().to(torch.uint8).permute(2, 0, 1).expand(3, -1, -1).contiguous()


@lru_cache(maxsize=2)
def blurred(pictures: Pictures) -> dict[str, tuple[Tensor, Tensor]]:
    """Pairs (blurry, sharp), float32 (1, 3, h, w) in [0, 1], by "picture, kind of blur": the middle of every held-out
    picture, blurred once by each kind."""
    sharp = {name.rpartition("/")[2]: picture for source in pictures.held_out
             for name, picture in sharp_pictures(source).items()}  # fmt: skip
    if pictures.crop:
        side = pictures.crop + pictures.blur.size - 1
        sharp = {name: learning.middle(picture, side) for name, picture in sharp.items()}
    names = [f"{name}, {kind}" for name in sharp for kind in dict.fromkeys(pictures.blur.kinds)]
    return dict(zip(names, training_pairs.whole_pairs(sharp, pictures.blur, seed=0), strict=True))


@cache
def digest(source: str) -> str:
    """What identifies the pictures of a source in the key of a job; GoPro's are not read."""
    if source == "gopro":
        return data.content_digest(*(data.digest("gopro", name) for name in data.names("gopro")))
    if source == "elsewhere":
        return data.content_digest(*(picture.numpy().tobytes() for picture in sharp_pictures(source).values()))
    return training_pairs.digest(source)


# Networks


def train_job(design: Design, pictures: Pictures, settings: Settings, seed: int = 0) -> Job:
    sources = data.content_digest(*map(digest, (*pictures.sources, *pictures.held_out)))
    return Job.create(train_refinement, data=sources, design=design, pictures=pictures, settings=settings, seed=seed)


@task()
def train_refinement(
    context: Context, *, design: dict[str, Any], pictures: dict[str, Any], settings: dict[str, Any], seed: int
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Train predictor and denoiser together by the one loss; where the design has no denoiser, the predictor alone by
    squared error.

    Values: PSNR in dB for each of `names`: `blurry`; `psnr`, of g_θ(y) with averaged weights; `last`, with the weights
    of the last step. `curve`, with the PSNR and the colour drift of g_θ(y). Without a predictor there is none of these
    but the curve of the loss. Arrays: the averaged weights.
    """
    built, recipe, chosen = (
        from_settings(kind, given) for kind, given in ((Design, design), (Settings, settings), (Pictures, pictures))
    )
    pairs = blurred(chosen) if built.predictor_width else {}
    batches = training_pairs.SyntheticPairs(
        training_pairs.sharp_pictures(*chosen.sources), training_pairs.kernels(chosen.blur, seed), chosen.blur,
        recipe.batch, recipe.crop, context.device,
    )  # fmt: skip
    predicted = PictureValidation(list(pairs.values()), Refinement.predict, context.device) if pairs else None

    def validate(network: Refinement) -> dict[str, float]:
        if predicted is None:
            return {}
        moved = [(network.predict(y.to(context.device)).cpu() - y).mean((2, 3)) for y, _ in pairs.values()]
        return predicted(network) | {"drift": 255 * torch.cat(moved).abs().mean().item()}

    network = seeded(lambda: Refinement(built), seed)
    trained = train(
        network,
        refinement_loss if built.denoiser_width else regression_loss,
        batches,
        recipe,
        seed=seed,
        device=context.device,
        validate=validate,
        checkpoint=context.checkpoint,
        progress=context.progress,
    )

    def scores(network: Refinement) -> list[float]:
        with torch.no_grad():
            drawn = [network.predict(y.to(context.device)).clamp(0, 1).cpu() for y, _ in pairs.values()]
        return [metrics.psnr(picture, x) for picture, (_, x) in zip(drawn, pairs.values(), strict=True)]

    values = {
        "names": list(pairs),
        "blurry": [metrics.psnr(y, x) for y, x in pairs.values()],
        "psnr": scores(trained.network),
        "last": scores(network.eval()),
        "parameters": count_parameters(network),
        "curve": trained.curve,
    }
    return values, {name: tensor.cpu().contiguous().numpy() for name, tensor in trained.network.state_dict().items()}


def open_network(context: Context, network: str | dict[str, Any]) -> Refinement:
    """The network that the settings of a job name: shipped weights, or a training job in JSON."""
    if isinstance(network, str):
        return trainings.load(network)
    trained = context.result(Job.from_json(network))
    made = Refinement(from_settings(Design, trained.job.settings["design"]))
    made.load_state_dict({name: torch.from_numpy(array) for name, array in trained.arrays.items()})
    return made.eval()


def learnt_blur(network: Network, otherwise: Blur) -> Blur:
    """The blur that shipped weights were trained on."""
    card = _card(network)
    return from_settings(Blur, card["data"]["blur"]) if card else otherwise


def _card(network: Network) -> dict[str, Any]:
    """Of shipped weights. Empty where they are missing: jobs on them can be named, and say what is missing when run."""
    return weights.card(network) if network in weights.names() else {}


def in_local_units(network: Network) -> bool:
    """Whether it measures residuals in units of `expected_residual`."""
    design = _card(network).get("design", {}) if isinstance(network, str) else network.settings["design"]
    return "residual_scale" in design and design["residual_scale"] is None


def job_on(network: Network, pictures: Pictures) -> dict[str, Any]:
    """What a job on this network and these pictures is created with."""
    identity = data.content_digest(_card(network).get("sha256", ""), *map(digest, pictures.held_out))
    named = network if isinstance(network, str) else network.to_json()
    return {"data": identity, "network": named, "pictures": pictures}


# Restorations


def restore_jobs(network: Network, pictures: Pictures, *, parts: int = 1, **settings: Any) -> list[Job]:
    """Jobs of `restore`, which share the pictures among them."""
    return [
        Job.create(restore, **job_on(network, pictures), part=part, parts=parts, **settings) for part in range(parts)
    ]


def predict_job(network: Network, pictures: Pictures) -> Job:
    return Job.create(predict, **job_on(network, pictures))


def schedule(steps: int, last: float | None) -> Schedule:
    """Linear betas up to `last`; None: the training schedule, in fewer steps."""
    return strided(TRAINING, steps) if last is None else linear_schedule(steps, last)


@task()
def restore(
    context: Context,
    *,
    network: str | dict[str, Any],
    pictures: dict[str, Any],
    steps: int,
    samples: int,
    last: float | None = None,
    part: int = 0,
    parts: int = 1,
    shown: int = 1,
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Samples of every `parts`-th blurry picture from the number `part` on.

    Values, for each of `names`: `blurry`, PSNR in dB; `averages`, scores of means over n of the samples by n = 1, 2, 4
    ..., themselves means over all such groups; `deviation`, root mean square over the pixels of the standard deviation
    over samples. `alpha_bar` where the schedule ends; of one sample of one picture `macs`, the initial prediction
    included, and `seconds`, of the processor where there is no GPU. Arrays, uint8 `(n, ..., 3, h, w)`: `samples`, the
    first `shown` of them; `means` of the first 1, 2, 4 ...; `initial`; float16 `deviation`.
    """
    model, chosen = (
        open_network(context, network),
        list(blurred(from_settings(Pictures, pictures)).items())[part::parts],
    )
    betas = schedule(steps, last)
    seconds, now = 0.0, clock(context)
    values: dict[str, Any] = {"names": [name for name, _ in chosen], "blurry": [], "averages": [], "deviation": []}
    arrays: dict[str, list[Tensor]] = {"samples": [], "means": [], "initial": [], "deviation": []}
    for _, (y, x) in chosen:
        started = now()
        found = refine(model, y, betas, range(samples), device=context.device, progress=context.progress)
        seconds += now() - started
        values["blurry"].append(metrics.psnr(y, x))
        values["averages"].append(score_averages(found.samples[0], x))
        arrays["samples"].append(to_levels(found.samples[:, :shown]))
        arrays["means"].append(to_levels(torch.stack(list(map(found.average, doublings(samples))), 1)))
        arrays["initial"].append(to_levels(found.initial))
        if samples > 1:
            values["deviation"].append(found.deviation().square().mean().sqrt().item())
            arrays["deviation"].append(found.deviation().half())
    values |= {
        "alpha_bar": betas.alpha_bars[-1].item(),
        "macs": multiply_adds(model, y.shape, steps),
        "seconds": seconds / (len(chosen) * samples),
    }
    return values, {name: torch.cat(parts).numpy() for name, parts in arrays.items() if parts}


def clock(context: Context) -> Callable[[], float]:
    """Of the processor; where there is a GPU, of the wall."""
    return time.process_time if context.device == "cpu" else time.perf_counter


def score_averages(samples: Tensor, x: Tensor) -> dict[int, dict[str, float]]:
    """Scores of means over n of the samples `(count, 3, h, w)`, by n = 1, 2, 4 ...: means over disjoint groups."""
    found = {}
    for count in doublings(len(samples)):
        groups = samples[: len(samples) // count * count].unflatten(0, (-1, count)).mean(1)
        every = [score(group[None], x) for group in groups]
        found[count] = {name: float(np.mean([scores[name] for scores in every])) for name in every[0]}
    return found


def doublings(count: int) -> list[int]:
    """1, 2, 4 ... up to count."""
    return [2**power for power in range(count.bit_length())]


def score(estimate: Tensor, x: Tensor) -> dict[str, float]:
    return {
        "mse": (estimate - x).square().mean().item(),
        "psnr": metrics.psnr(estimate, x),
        "ssim": metrics.ssim(estimate, x),
        TEXTURE: texture_distance(estimate, x),
    }


def texture_distance(estimate: Tensor, x: Tensor) -> float:
    """How far the differences between neighbouring pixels of the estimate are, as a distribution, from those of the
    sharp picture: Wasserstein-1 distance in grey levels of 255, over both directions and all colours.

    0 where edges and texture are as strong and as frequent as they should be, wherever they lie. It needs no network.
    """

    def differences(picture: Tensor) -> Tensor:
        return torch.cat([picture.diff(dim=axis).abs().flatten() for axis in (-1, -2)]).sort()[0]

    return 255 * (differences(estimate) - differences(x)).abs().mean().item()


def multiply_adds(model: Refinement, shape: Sequence[int], steps: int) -> int:
    """Of one sample of a picture `(1, 3, h, w)`, with its initial prediction."""
    y = torch.empty(tuple(shape), device="meta")
    first = count_macs(model.predictor, y) if model.predictor is not None else 0
    return first + steps * count_macs(model.denoiser, torch.cat([y, y], 1), torch.rand(1))


@task()
def predict(
    context: Context, *, network: str | dict[str, Any], pictures: dict[str, Any]
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """The initial predictions g_θ(y) of all blurry pictures; of a network without denoiser, its restorations.

    Values, for each of `names`: `blurry` and `initial`, scores; `corrected`, PSNR with the mean colours of y; `drift`,
    by how much the three mean colours are off those of y, in grey levels; `entropy` in bits of the 8-bit levels of x,
    of x − y and of x − g_θ(y), and `pooled`, the same over all pictures; `own_loss`, whether g_θ was trained by more
    than the loss of refinement. Arrays: `initial`, uint8 `(n, 3, h, w)`;
    `counts` (3, 511) of all these levels.
    """
    model = open_network(context, network).to(context.device)
    values: dict[str, Any] = {name: [] for name in ("names", "blurry", "initial", "corrected", "drift", "entropy")}
    drawn, counts = [], np.zeros((3, 511), np.int64)
    for name, (y, x) in blurred(from_settings(Pictures, pictures)).items():
        with torch.no_grad():
            initial = model.predict(y.to(context.device)).cpu()
        drift = (initial - y).mean((2, 3), keepdim=True)
        own = np.stack([level_counts(levels) for levels in (x, x - y, x - initial)])
        counts += own
        values["names"].append(name)
        values["blurry"].append(score(y, x))
        values["initial"].append(score(initial.clamp(0, 1), x))
        values["corrected"].append(metrics.psnr((initial - drift).clamp(0, 1), x))
        values["drift"].append((255 * drift).flatten().tolist())
        values["entropy"].append([entropy(row) for row in own])
        drawn.append(to_levels(initial))
    values["pooled"] = [entropy(row) for row in counts]
    values["own_loss"] = model.denoiser is None or model.design.predictor_weight > 0
    return values, {"initial": torch.cat(drawn).numpy(), "counts": counts}


def level_counts(values: Tensor) -> np.ndarray:
    """How often each of the 511 levels −255 ... 255 occurs, where values in [−1, 1] are rounded to 8 bits."""
    levels = (255 * values).round().clamp(-255, 255).long().flatten() + 255
    return torch.bincount(levels, minlength=511).numpy()


def entropy(counts: np.ndarray) -> float:
    """Of a histogram, in bits for one value."""
    shares = counts[counts > 0] / counts.sum()
    return float(-(shares * np.log2(shares)).sum())


def to_levels(pictures: Tensor) -> Tensor:
    return (255 * pictures.clamp(0, 1)).round().to(torch.uint8)


# What needs the weights of others

PERCEPTUAL = LPIPS, NIQE, KID = ("LPIPS (AlexNet)", "NIQE", "KID (AlexNet)")
PATCH = 128
"""Side in pixels of the patches that KID compares."""
MEASURES = {
    "psnr": ("PSNR (dB)", 2), "ssim": ("SSIM", 3), TEXTURE: ("texture distance", 2), LPIPS: (LPIPS, 3),
    NIQE: (NIQE, 2), KID: (f"1000 {KID}", 1),
}  # fmt: skip
"""What tables call a measure, and its digits."""


def axis_label(measure: str) -> str:
    label, _ = MEASURES[measure]
    return f"{label} (grey levels)" if measure == TEXTURE else label


def judge_job(of: Sequence[Job], array: str, index: int = 0, measures: Sequence[str] = PERCEPTUAL) -> Job:
    """array: "initial", or "means" at `index`, of these restorations; "blurry" or "sharp", of what they restore."""
    return Job.create(judge, of=[job.to_json() for job in of], array=array, index=index, measures=list(measures))


@task()
def judge(
    context: Context, *, of: list[dict[str, Any]], array: str, index: int, measures: list[str]
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """How restorations look to networks and statistics. Each is rounded to 8 bits.

    Values: `names`; `LPIPS (AlexNet)` and `NIQE`, a number for each of them; `KID (AlexNet)`, mean and standard
    deviation over 100 subsets of half of the patches of 128 x 128 px.
    """
    pairs: dict[str, tuple[Tensor, Tensor]] = {}
    for job in of:
        result = context.result(Job.from_json(job))
        known = blurred(from_settings(Pictures, result.job.settings["pictures"]))
        for i, name in enumerate(result.values["names"]):
            y, x = known[name]
            if array in ("blurry", "sharp"):
                levels = to_levels(y if array == "blurry" else x)[0]
            else:
                levels = torch.from_numpy(result.arrays[array][i])
                levels = levels[index] if array == "means" else levels
            pairs[name] = (levels[None].float() / 255, x)
    values: dict[str, Any] = {"names": list(pairs)}
    estimates, sharp = (torch.cat(pictures).to(context.device) for pictures in zip(*pairs.values(), strict=True))
    if LPIPS in measures:
        values[LPIPS] = torch.cat(list(map(metrics.lpips, estimates.split(1), sharp.split(1)))).tolist()
    if NIQE in measures:
        values[NIQE] = metrics.niqe(estimates).tolist()
    if KID in measures:
        real, fake = (metrics.alexnet_features(metrics.patches(stack, PATCH, PATCH)) for stack in (sharp, estimates))
        values[KID] = metrics.kid_alexnet(real, fake, subset_size=len(real) // 2)
    return values, {}


# Results


def smaller(run: Result) -> str:
    """How far the network of a run, or of a training, is from the paper's in size; empty where it is as large."""
    network = run.job.settings.get("network", {"settings": run.job.settings})
    if isinstance(network, str):
        parameters = weights.card(network)["parameters"]
    else:
        with torch.device("meta"):
            parameters = count_parameters(Refinement(from_settings(Design, network["settings"]["design"])))
    return "" if parameters >= WHOLE else f"a network of {parameters / 1e6:.2g} M parameters, not 33 M"


def picture_of(name: str) -> str:
    """Without the kind of blur; scenes of GoPro, which were filmed in a row, without the number of the frame."""
    name = name.rpartition(", ")[0]
    return name.rpartition("_")[0] if name.startswith("GOPR") else name


def shown_pair(run: Result, name: str) -> tuple[np.ndarray, np.ndarray]:
    """The blurry and the sharp picture (3, h, w) of this name."""
    y, x = blurred(from_settings(Pictures, run.job.settings["pictures"]))[name]
    return y[0].numpy(), x[0].numpy()


def show_picture(axes: Axes, picture: np.ndarray, title: str) -> None:
    """Draw (3, h, w), bytes or floats in [0, 1]."""
    levels = picture if picture.dtype == np.uint8 else 255 * picture.clip(0, 1)
    show_image(axes, levels.transpose(1, 2, 0) / 255, title)
