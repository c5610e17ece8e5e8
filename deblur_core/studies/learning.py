"""What studies of learned networks share: train one network on blurred pictures, score it on pictures kept apart.

    network = {"name": "xydeblur", "decoders": 2, "width": 8, "blocks": 1}
    job = learn_job(network, Pictures(), Settings(steps=500), seed=1)

Runs of one seed see the same crops and kernels in the same order, whatever the network. The layers that draw residuals
start almost at zero (`START`), so that every network starts as the one that changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from deblur_core import metrics, trainings, weights
from deblur_core.data import content_digest, training_pairs
from deblur_core.data.images import middle
from deblur_core.data.training_pairs import Blur
from deblur_core.errors import UsageError
from deblur_core.metrics.statistics import mean_interval, runs_needed
from deblur_core.models import backbones
from deblur_core.models.counting import count_parameters
from deblur_core.models.srn import SRN
from deblur_core.models.xydeblur import XYDeblur
from deblur_core.runs import Context, Job, Result, from_settings, task
from deblur_core.studies.claims import Comparison, crossed
from deblur_core.training import Loss, PictureValidation, Settings, Source, seeded, start_quietly, train
from deblur_core.trainings import absolute_error

NETWORKS: dict[str, type[nn.Module]] = {"xydeblur": XYDeblur, "srn": SRN, **backbones.NETWORKS}
"""What `network["name"]` may be; its other entries are `start` and arguments of the constructor."""
START = 0.01
"""The scale of the layers that draw residuals, at the start, relative to PyTorch's; `network["start"]` overrules it."""
SMALL = 8_000_000
"""Networks of at most so many parameters keep their weights among the arrays of their result."""
NOTHING = 0.005
"""In dB: a network that gains less than this, 0.00 in a table, ends no better than the blurry picture."""
LITTLE = 0.2
"""In dB: of trainings that gain less than this over the blurry picture, nothing can be told by comparing others."""
SHOWN = 128
"""Restored pictures are kept up to so many pixels a side: their middle."""


@dataclass(frozen=True)
class Pictures:
    """sources, to train on, and held_out, to be judged by, are what `sharp_pictures` takes. Every held-out picture is
    blurred once by each kind of blur. crop: the side in pixels of its middle that is scored; None: all of it.

    The blur, motion of 6 to 8 px along x or y, is what a tiny network learns to undo within a minute; where lengths
    begin at 1 px it only learns to sharpen, for it has to find out first how long the motion was.
    """

    sources: tuple[str, ...] = ("builtin",)
    held_out: tuple[str, ...] = ("held out",)
    crop: int | None = None
    blur: Blur = Blur(size=9, kinds=("x", "y"), count=64, shortest=6.0)  # noqa: RUF009, it is frozen


def learn_job(network: dict[str, Any], pictures: Pictures, settings: Settings, seed: int) -> Job:
    digest = _digest(*pictures.sources, *pictures.held_out)
    return Job.create(learn, data=digest, network=network, pictures=pictures, settings=settings, seed=seed)


_digest = cache(training_pairs.digest)


@task(numerics=1)
def learn(
    context: Context, *, network: dict[str, Any], pictures: dict[str, Any], settings: dict[str, Any], seed: int
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Train a network from nothing by its mean absolute error.

    Values: `psnr`, a score in dB for each of `names`, "picture, kind of blur"; `blurry`, the same of doing nothing;
    `parameters`; `curve` and `doubts` as in `Trained`. Arrays: `restored`, uint8 `(n, 3, h, w)` in the order of names;
    `weights NAME` where the network is `SMALL`. The averaged weights are judged, in float32.
    """
    recipe, chosen = from_settings(Settings, settings), read_pictures(pictures)
    names, pairs = held_out(chosen)
    batches = training_pairs.SyntheticPairs(
        training_pairs.sharp_pictures(*chosen.sources), training_pairs.kernels(chosen.blur, seed), chosen.blur,
        recipe.batch, recipe.crop, context.device,
    )  # fmt: skip
    return fit(context, network, batches, dict(zip(names, pairs, strict=True)), recipe, seed)


def fit(
    context: Context,
    network: dict[str, Any],
    batches: Source,
    tests: Mapping[str, tuple[Tensor, Tensor]],
    recipe: Settings,
    seed: int,
    loss: Loss = absolute_error,
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Values and arrays of `learn`, for any source of batches and any pairs (blurry, sharp) held out, by name."""
    pairs = list(tests.values())
    validate = PictureValidation(pairs, device=context.device)
    trained = train(
        seeded(lambda: build(network), seed),
        loss,
        batches,
        recipe,
        seed=seed,
        device=context.device,
        validate=validate,
        baseline=validate.baseline,
        checkpoint=context.checkpoint,
        progress=context.progress,
    )
    restored = [restore(trained.network, blurry) for blurry, _ in pairs]
    values = {
        "names": list(tests),
        "psnr": [metrics.psnr(x, sharp) for x, (_, sharp) in zip(restored, pairs, strict=True)],
        "blurry": [metrics.psnr(blurry, sharp) for blurry, sharp in pairs],
        "parameters": count_parameters(trained.network),
        "curve": trained.curve,
        "doubts": trained.doubts,
    }
    arrays = {"restored": to_bytes(restored)}
    if values["parameters"] <= SMALL:
        state = trained.network.state_dict()
        arrays |= {f"weights {name}": tensor.cpu().contiguous().numpy() for name, tensor in state.items()}
    return values, arrays


def shipped_job(model: str, pictures: Pictures) -> Job:
    """Weights that come with the project, judged by held-out pictures with the blur that they have learnt."""
    card = weights.card(model)
    pictures = replace(pictures, blur=from_settings(Blur, card["data"]["blur"]))
    digest = content_digest(card["sha256"], _digest(*pictures.held_out))
    return Job.create(shipped, data=digest, model=model, pictures=pictures)


@task()
def shipped(context: Context, *, model: str, pictures: dict[str, Any]) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """As `learn`, with weights that are there: `names`, `psnr`, `blurry`, `parameters`, and the array `restored`."""
    network = trainings.load(model).to(context.device)
    names, pairs = held_out(read_pictures(pictures))
    restored = [restore(network, blurry) for blurry, _ in pairs]
    return {
        "names": names,
        "psnr": [metrics.psnr(x, sharp) for x, (_, sharp) in zip(restored, pairs, strict=True)],
        "blurry": [metrics.psnr(blurry, sharp) for blurry, sharp in pairs],
        "parameters": count_parameters(network),
    }, {"restored": to_bytes(restored)}


def build(network: dict[str, Any]) -> nn.Module:
    """The network that `network` describes, with the initial weights of this moment's random numbers."""
    name = network["name"]
    if name not in NETWORKS:
        raise UsageError(f"There is no network '{name}': choose one of {', '.join(NETWORKS)}.")
    start = network.get("start", START)
    made = NETWORKS[name](**{key: value for key, value in network.items() if key not in ("name", "start")})
    return start_quietly(made, start)


def trained_network(result: Result) -> nn.Module:
    """The network of a result that has its weights, in evaluation mode on the CPU; KeyError where it has none."""
    network = seeded(lambda: build(result.job.settings["network"]), seed=0)
    network.load_state_dict({
        name: torch.from_numpy(result.arrays[f"weights {name}"]) for name in network.state_dict()
    })  # fmt: skip
    return network.eval()


def read_pictures(settings: dict[str, Any]) -> Pictures:
    """From the settings of a job."""
    return from_settings(Pictures, settings)


def held_out(pictures: Pictures) -> tuple[list[str], list[tuple[Tensor, Tensor]]]:
    """Names and pairs (blurry, sharp), float32 (1, 3, h, w) in [0, 1]."""
    sharp = training_pairs.sharp_pictures(*pictures.held_out)
    if pictures.crop:
        side = pictures.crop + pictures.blur.size - 1
        sharp = {name: middle(picture, side) for name, picture in sharp.items()}
    names = [f"{name.rpartition('/')[2]}, {kind}" for name in sharp for kind in dict.fromkeys(pictures.blur.kinds)]
    return names, training_pairs.whole_pairs(sharp, pictures.blur, seed=0)


def restore(network: nn.Module, blurry: Tensor) -> Tensor:
    """(1, 3, h, w) in [0, 1], on the CPU."""
    with torch.no_grad():
        return network(blurry.to(next(network.parameters()).device)).float().clamp(0, 1).cpu()


def to_bytes(pictures: Sequence[Tensor]) -> np.ndarray:
    """The middle of every picture (1, 3, h, w), together uint8 (n, 3, side, side) with a side of at most `SHOWN`."""
    side = min(SHOWN, *(min(picture.shape[-2:]) for picture in pictures))
    return torch.cat([(middle(picture, side) * 255).round().to(torch.uint8) for picture in pictures]).numpy()


def gain(result: Result) -> float:
    """Mean over the held-out pictures of PSNR above the blurry picture's, in dB."""
    return float(np.mean(np.subtract(result.values["psnr"], result.values["blurry"])))


def unlearned(runs: Mapping[str, Sequence[Result]]) -> str:
    """A sentence, without its full stop, on training runs, by name of the network, that end no better than the blurry
    picture: means over seeds have them in. Empty where there are none."""
    every = {name: [run.job.settings["seed"] for run in own if gain(run) < NOTHING] for name, own in runs.items()}
    named = [f"{name}, seed{'s' * (len(seeds) > 1)} {', '.join(map(str, seeds))}"
             for name, seeds in every.items() if seeds]  # fmt: skip
    count, of = (sum(map(len, found.values())) for found in (every, runs))
    said = f"{count} of {of} runs end{'s' * (count == 1)} no better than the blurry picture"
    return f"{said} ({'; '.join(named)})" if named else ""


def compare(name: str, ours: Sequence[Result], theirs: Sequence[Result]) -> Comparison | None:
    """How much better `ours` restores, in dB: runs of the same seeds, scored on the same pictures. None where they have
    no seed in common."""
    found = differences(ours, theirs)
    return over_seeds_and_pictures(name, found, "dB") if found else None


def scores(runs: Sequence[Result]) -> dict[tuple[int, str], float]:
    """PSNR in dB by (seed, "picture, kind of blur")."""
    return {
        (run.job.settings["seed"], name): psnr
        for run in runs
        for name, psnr in zip(run.values["names"], run.values["psnr"], strict=True)
    }


def over_seeds_and_pictures(name: str, effects: Mapping[tuple[int, str], float], unit: str = "") -> Comparison:
    """`crossed`, for effects by (seed, "picture, kind of blur") or (seed, "picture")."""
    pictures = [place.rpartition(", ")[0] or place for _, place in effects]
    return crossed(name, list(effects.values()), {"pictures": pictures, "seeds": [seed for seed, _ in effects]}, unit)


def more_needed(effects: Mapping[tuple[int, str], float]) -> str:
    """How many seeds, and how many pictures, would settle the sign of the mean effect, of those kinds that leave it
    open: "about 16 seeds". Empty where it is settled, or where nothing can be said."""
    if len({seed for seed, _ in effects}) < 2:
        return "at least 2 seeds"  # pictures alone would not settle it, see `crossed`
    seeds: dict[int, list[float]] = {}
    pictures: dict[str, list[float]] = {}
    for (seed, place), effect in effects.items():
        seeds.setdefault(seed, []).append(effect)
        pictures.setdefault(place.rpartition(", ")[0] or place, []).append(effect)
    said = []
    for kind, found in (("seeds", seeds), ("pictures", pictures)):
        means = [float(np.mean(values)) for values in found.values()]
        interval = mean_interval(means)
        if interval.low <= 0 <= interval.high and (needed := runs_needed(means)):
            said.append(f"{needed:,} {kind}")
    return f"about {' and '.join(said)}" if said else ""


def differences(ours: Sequence[Result], theirs: Sequence[Result]) -> dict[tuple[int, str], float]:
    """PSNR of `ours` above `theirs` in dB, by seed and picture that both have."""
    mine, other = scores(ours), scores(theirs)
    return {place: mine[place] - other[place] for place in sorted(mine.keys() & other.keys())}
