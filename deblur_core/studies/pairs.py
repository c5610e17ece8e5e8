"""The one task that all SelfDeblur studies share: restore one picture of a benchmark, and measure how well.

Because every study asks for the same job when it needs the same run, a run is computed once and told from many sides.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes

from deblur_core import data, metrics
from deblur_core.runs import Context, Job, Result, from_settings, task
from deblur_core.solvers import nonblind, selfdeblur
from deblur_core.solvers.selfdeblur import RECIPES, Recipe, recipe
from deblur_core.studies.claims import Comparison, crossed
from deblur_core.studies.study import Figure
from deblur_core.studies.style import PALETTE, show_image, subplots

FAILED_BELOW = 3.0
"""A run has failed when its aligned PSNR is less than this many dB above the blurry picture's."""
COLLAPSED_ABOVE = 0.9
"""A kernel has collapsed to the delta when its largest 3x3 window holds more than this share of its mass."""
CURVE_AT = (0.005, 0.01, 0.02, 0.03, 0.05, 0.07, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
"""Shares of a run at which PSNR and kernel error are measured."""
SNAPSHOTS_AT = (0.01, 0.05, 0.2, 0.5, 1.0)
"""Shares of a run at which x and k themselves are kept."""

# Every eight in a row show each kernel once and each picture twice, so that any first few are a fair small set.
PAIRS = tuple(f"im{(i + shift) % 4 + 1}_kernel{j}" for shift in range(4) for i, j in enumerate(range(1, 9)))
"""The 32 pairs of Levin's set and of the built-in one, which is laid out like it."""
COMPARED = ("kernel_network", "hidden_layers", "alternating", "precision")
"""Fields of a recipe in which the arms of a study, or machines, differ."""
SCORES = (("PSNR (dB)", "psnr", 2), ("SSIM", "ssim", 4), ("kernel similarity", "kernel_similarity", 3))
"""Title, name in the values of `restore`, and digits of the scores that tables show."""
LAPTOP = recipe("quick", iterations=400, width=32, skip=4)
SMOKE = recipe("quick", iterations=20, width=8, skip=2, nonlocal_from=None)


def restore_job(dataset: str, pair: str, recipe: Recipe, seed: int = 0, crop: int | None = None) -> Job:
    """The job that restores one pair with SelfDeblur; crop, side of a window in pixels, None for the whole picture."""
    return Job.create(
        restore,
        data=data.digest(dataset, pair),
        dataset=dataset,
        pair=pair,
        crop=crop,
        seed=seed,
        recipe=asdict(recipe),
    )


@task(numerics=2)
def restore(
    context: Context, *, dataset: str, pair: str, crop: int | None, seed: int, recipe: dict[str, Any]
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Run SelfDeblur on one pair, and measure the result as `solve` does."""
    return solve(context, load(dataset, pair, crop), recipe, seed)


def solve(
    context: Context, target: data.Pair, recipe: dict[str, Any], seed: int, max_shift: int = 10
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Run SelfDeblur on a pair. Arrays: pictures and kernels. Values: scores of the end (of the picture as it is saved,
    in 8 bits, aligned within max_shift px, and `narrow`, within 5 px), of the blurry input, and along the way (5 px).
    """
    chosen = from_settings(Recipe, recipe)
    at = [max(1, round(share * chosen.iterations)) for share in CURVE_AT]
    with nonblind.without_warning("noisy"):  # studies of noise say so themselves
        found = selfdeblur.deblur(
            target.blurry,
            target.kernel_size,
            chosen,
            seed=seed,
            device=context.device,
            snapshots=tuple(sorted(set(at))),
            checkpoint=context.checkpoint,
            progress=context.progress,
        )
    curve = [{"iteration": i, **score(target, *found.snapshots[i], max_shift=5)} for i in at]
    every = max(1, chosen.iterations // 200)
    saved = torch.from_numpy(to_bytes(found.x)).float()[None, None] / 255
    values = {
        **score(target, saved, found.k, max_shift),
        "narrow": score(target, saved, max_shift=5),
        "blurry": score(target, target.blurry, max_shift=max_shift),
        "kernel_size": target.kernel_size,
        "curve": curve,
        "data_term": float(found.residual),
        "losses": found.losses[every - 1 :: every],
    }
    kept = [i for share, i in zip(CURVE_AT, at, strict=True) if share in SNAPSHOTS_AT]
    arrays = {
        "x": to_bytes(found.x),
        "k": found.k[0].numpy(),
        "iterations": np.array(kept),
        "x_snapshots": np.stack([to_bytes(found.snapshots[i][0]) for i in kept]),
        "k_snapshots": np.stack([found.snapshots[i][1][0].numpy() for i in kept]),
    }
    return values, arrays


def load(dataset: str, pair: str, crop: int | None = None) -> data.Pair:
    whole = data.load(dataset, pair)
    return data.crop(whole, crop) if crop else whole


def score(pair: data.Pair, x: torch.Tensor, k: torch.Tensor | None = None, max_shift: int = 10) -> dict[str, float]:
    """Aligned PSNR and SSIM of x; where k is given its concentration and, with a known truth, similarity and error.

    The authors searched shifts of 5 px for the paper and of 10 px since: picture and kernel may drift apart by more
    than 5 px, and a good result then scores as a failure.
    """
    aligned = metrics.aligned(x, pair.sharp, max_shift)
    scores = {"psnr": aligned.psnr, "ssim": aligned.ssim}
    if k is not None and pair.kernel is not None:
        scores["kernel_similarity"] = metrics.kernel_similarity(k, pair.kernel)
        scores["kernel_error"] = metrics.kernel_error(k, pair.kernel)
    if k is not None:
        scores["delta_fraction"] = metrics.delta_fraction(k)
    return scores


def to_bytes(x: torch.Tensor) -> np.ndarray:
    return (x[0, 0].clamp(0, 1) * 255).round().to(torch.uint8).numpy()


def gain(result: Result) -> float:
    """PSNR over that of the picture that was given, in dB."""
    return result.values["psnr"] - result.values["blurry"]["psnr"]


def failed(result: Result) -> bool:
    return result.values["psnr"] < result.values["blurry"]["psnr"] + FAILED_BELOW


def collapsed(result: Result) -> bool:
    return result.values["delta_fraction"] > COLLAPSED_ABOVE


def mean(results: list[Result], value: str) -> float:
    return float(np.mean([result.values[value] for result in results]))


def share(results: list[Result], condition) -> float:
    return float(np.mean([condition(result) for result in results]))


def counted(hits: Sequence[bool]) -> str:
    """For example: 1 of 4 [5%, 70%], with Wilson's interval of the share."""
    count = sum(map(bool, hits))
    rate = metrics.rate_interval(count, len(hits))
    return f"{count} of {rate.n} [{rate.low:.0%}, {rate.high:.0%}]"


def over_pairs(runs: Iterable[Result], value: Callable[[Result], float]) -> dict[str, float]:
    """value(run) by pair, the seeds of a pair averaged: a pair with three seeds is still one picture."""
    return _by_name(*zip(*((run.job.settings["pair"], value(run)) for run in runs), strict=True))


def mean_over_pairs(runs: Iterable[Result], value: Callable[[Result], float]) -> float:
    return float(np.mean(list(over_pairs(runs, value).values())))


def compare(title: str, names: Sequence[str], effects: Sequence[float], unit: str = "") -> Comparison:
    """The mean of effects, positive on the paper's side, over pairs; names: the pair of each, called like im1_kernel2.

    The seeds of a pair are averaged first. Pairs share their pictures and their kernels, and both are chance: the wider
    of the two intervals counts (`crossed`), around the mean over pairs even where some pictures have more of them.
    """
    by_pair = _by_name(names, effects)
    chance = {
        "pictures": [name.partition("_kernel")[0] for name in by_pair],
        "kernels": [name.partition("_kernel")[2] for name in by_pair],
    }
    found = crossed(title, list(by_pair.values()), chance, unit)
    mean = float(np.mean(list(by_pair.values()))) if by_pair else found.effect
    return replace(found, effect=mean, low=found.low + mean - found.effect, high=found.high + mean - found.effect)


def _by_name(names: Sequence[str] = (), values: Sequence[float] = ()) -> dict[str, float]:
    found: dict[str, list[float]] = defaultdict(list)
    for name, value in zip(names, values, strict=True):
        found[name].append(value)
    return {name: float(np.mean(inside)) for name, inside in found.items()}


def reduced(jobs: Iterable[Job]) -> str:
    """For `Evidence.reduced`: how SelfDeblur's recipe in these jobs differs from the authors'; empty where it is
    theirs, but for what studies compare and for the arithmetic."""
    authors, said = RECIPES["released"], {}
    for job in jobs:
        chosen = from_settings(Recipe, job.settings["recipe"])
        alike = {field: getattr(chosen, field) for field in COMPARED}
        if chosen in [replace(RECIPES[name], **alike) for name in ("released", "released_lai", "paper")]:
            continue
        whose = "these very" if job.settings["dataset"] == "levin" else "Levin's"
        words = (
            f"SelfDeblur ran with {chosen.width} of the authors' {authors.width} channels and {chosen.iterations:,} of "
            f"their {authors.iterations:,} iterations, by a recipe of ours that was chosen on {whose} pictures"
        )
        said[words] = None
    return " and ".join(said)


def run_of(result: Result) -> tuple[str, int]:
    """The pair and the seed of a run: what two runs must share to be compared."""
    settings = result.job.settings
    return settings["pair"], settings["seed"]


def arms(
    results: list[Result], names: Sequence[str], arm_of: Callable[[dict[str, Any]], str]
) -> dict[str, list[Result]]:
    """Results by arm, arm_of(recipe), in the same order of pairs and seeds; runs that one arm lacks are left out."""
    by_run = {(arm_of(result.job.settings["recipe"]), run_of(result)): result for result in results}
    runs = dict.fromkeys(run_of(result) for result in results)
    complete = [run for run in runs if all((name, run) in by_run for name in names)]
    return {name: [by_run[(name, run)] for run in complete] for name in names}


def curves(results: list[Result], value: str) -> tuple[list[int], np.ndarray]:
    """Iterations, and `value` of every run at these iterations, `(run, iteration)`."""
    iterations = [point["iteration"] for point in results[0].values["curve"]]
    return iterations, np.array([[point[value] for point in result.values["curve"]] for result in results])


def curves_of_pairs(results: list[Result], value: str) -> tuple[list[int], np.ndarray]:
    """As `curves`, `(pair, iteration)`: the seeds of a pair averaged."""
    iterations, values = curves(results, value)
    names = [result.job.settings["pair"] for result in results]
    rows = [values[[name == other for other in names]].mean(0) for name in dict.fromkeys(names)]
    return iterations, np.array(rows)


def scatter(axes: Axes, across: list[Result], up: list[Result], labels: tuple[str, str]) -> None:
    """PSNR of the runs of two arms against each other; above the line, the arm that goes up is better."""
    x, y = ([run.values["psnr"] for run in runs] for runs in (across, up))
    limits = min(x + y) - 1, max(x + y) + 1
    axes.plot(limits, limits, color="0.6", linewidth=1)
    axes.scatter(x, y, s=18, color=PALETTE[0])
    axes.set(xlabel=f"{labels[0]}, PSNR (dB)", ylabel=f"{labels[1]}, PSNR (dB)", xlim=limits, ylim=limits)
    axes.set_aspect("equal")


# Pictures above kernels

Column = tuple[str, np.ndarray, np.ndarray | None]
"""Title, picture in bytes, kernel."""


def drawable(runs: Iterable[Result]) -> list[Result]:
    """Those of built-in pictures that have their arrays."""
    return [run for run in runs if run.arrays and run.job.settings["dataset"] == "builtin"]


def target_of(run: Result) -> data.Pair:
    settings = run.job.settings
    return load(settings["dataset"], settings["pair"], settings["crop"])


def found_column(title: str, run: Result) -> Column:
    return f"{title}\n{run.values['psnr']:.1f} dB", run.arrays["x"], run.arrays["k"]


def truth_column(target: data.Pair) -> Column:
    return "truth", to_bytes(target.sharp), target.kernel[0].numpy()


def gallery(name: str, columns: Sequence[Column], caption: str) -> Figure:
    figure, panels = subplots(2, len(columns), width=1.6, height=1.7)
    for (title, x, k), (top, bottom) in zip(columns, panels.T, strict=True):
        show_image(top, x, title, maximum=255)
        top.title.set_fontsize(8)
        bottom.set_axis_off()
        if k is not None:
            show_image(bottom, k, maximum=None)
    return Figure(name, figure, caption)
