"""What the study of T trains networks for: the time that an initial predictor saves.

Whang et al., "Deblurring via Stochastic Refinement", CVPR 2022: Figure 6 (quality against time, with and without an
initial predictor; C3.8). Not in the paper: residuals in units of the local contrast.

Everywhere `runs` are of `t_step_tradeoff.quality_over_steps`, and `trained` of `refining.train_refinement`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from matplotlib.ticker import LogLocator

from deblur_core.runs import Result
from deblur_core.runs.job import canonical
from deblur_core.studies import learning, refining
from deblur_core.studies.claims import Comparison, Evidence, paired
from deblur_core.studies.refining import LPIPS, MEASURES, TEXTURE
from deblur_core.studies.study import Figure, Table, of_task, rounded, with_interval
from deblur_core.studies.style import PALETTE, subplots

Arms = dict[int, dict[bool, Result]]
"""By seed, two runs that differ in one thing, which True has."""


def timed(runs: list[Result]) -> Arms:
    """With (True) and without (False) an initial predictor."""
    return _by_seed(runs, lambda design: design["predictor_width"] > 0 if design["residual_scale"] else None)


def in_units(runs: list[Result]) -> Arms:
    """With predictor: residuals in units of the local contrast (True), or in one unit everywhere (False)."""
    return _by_seed(runs, lambda design: design["residual_scale"] is None if design["predictor_width"] else None)


def _by_seed(runs: list[Result], arm: Callable[[dict[str, Any]], bool | None]) -> Arms:
    """Seeds of which there are both arms, trained alike; a design is in no arm where `arm` says None."""
    found: dict[Any, dict[bool, Result]] = {}
    for run in runs:
        trained = run.job.settings["network"]["settings"]
        alike = canonical([trained["pictures"], trained["settings"], trained["design"].get("velocity")])
        if (which := arm(trained["design"])) is not None:
            found.setdefault((alike, trained["seed"]), {})[which] = run
    return {seed: arms for (_, seed), arms in found.items() if len(arms) == 2}


def means(run: Result, measure: str) -> list[float]:
    """Over the pictures, for each number of steps."""
    return [float(np.mean(scores)) for scores in run.values[measure]]


def of_the_blurry(run: Result, measure: str, trained: list[Result]) -> float | None:
    """Mean over the pictures that this run restored, before it did; None where neither it nor a training, which has
    PSNR alone, has scored them."""
    if "blurry" in run.values:
        return float(np.mean(run.values["blurry"][measure]))
    if measure != "psnr":
        return None
    pictures = run.job.settings["network"]["settings"]["pictures"]
    for made in of_task(trained, refining.train_refinement, pictures=pictures):
        known = dict(zip(made.values["names"], made.values["blurry"], strict=True))
        if known.keys() >= set(run.values["names"]):
            return float(np.mean([known[name] for name in run.values["names"]]))
    return None


# Quality against time


class Curve(NamedTuple):
    """Costs that rise, and the distances, the lower the better, that they reach; whole: nothing costs less than the
    first."""

    costs: Sequence[float]
    reached: Sequence[float]
    whole: bool = False


def cost_of(distance: float, curve: Curve) -> tuple[float, float]:
    """What it takes to get as near as `distance`, at least and at most: where the curve first crosses it, straight
    between logarithms of costs. A curve that begins as near might have done it for less than its first cost, unless it
    is whole; one that never gets there costs infinitely much."""
    costs, reached, whole = curve
    if reached[0] <= distance:
        return costs[0] if whole else 0.0, costs[0]
    for i in range(1, len(costs)):
        if reached[i] <= distance:
            share = (reached[i - 1] - distance) / (reached[i - 1] - reached[i])
            cost = float(costs[i - 1] * (costs[i] / costs[i - 1]) ** share)
            return cost, cost
    return math.inf, math.inf


def speed_up(ours: Curve, theirs: Curve) -> tuple[float, float]:
    """How many times less we pay for the best quality that both reach, at least and at most."""
    both = max(min(ours.reached), min(theirs.reached))
    (our_least, our_most), (their_least, their_most) = cost_of(both, ours), cost_of(both, theirs)
    return their_least / our_most, their_most / our_least if our_least else math.inf


def quality_of(run: Result) -> str:
    """LPIPS, or what stands in for it."""
    return LPIPS if LPIPS in run.values else TEXTURE


def curve_of(run: Result, cost: str = "macs") -> Curve:
    return Curve(run.values[cost], means(run, quality_of(run)), whole=run.job.settings["times"][0] == 1)


# Tables


def tables(runs: list[Result], trained: list[Result]) -> list[Table]:
    drawn = [_time_table(timed(runs), trained), _units_table(in_units(runs), trained)]
    return [table for table in drawn if table]


def _time_table(found: Arms, trained: list[Result]) -> Table | None:
    if not found:
        return None
    cells = []
    for seed, arms in found.items():
        fastest = min(seconds for run in arms.values() for seconds in run.values["seconds"])
        for label, run in (("predict and refine", arms[True]), ("without predictor", arms[False])):
            scores = {name: means(run, name) if name in run.values else None for name in ("psnr", TEXTURE, LPIPS)}
            for i, steps in enumerate(run.job.settings["times"]):
                cost = f"{run.values['macs'][i] / 1e9:.1f}", f"{run.values['seconds'][i] / fastest:.1f}"
                reached = (rounded(every and every[i], MEASURES[name][1]) for name, every in scores.items())
                cells.append((seed, label, steps, *cost, *reached))
    first = next(iter(found.values()))
    with_predictor, without = (first[which].values["parameters"] for which in (True, False))
    caption = (
        f"{len(first[True].values['names'])} blurry pictures, one sample each; {with_predictor:,} parameters with "
        f"predictor and {without:,} without, {_training(found)}. As in the paper, the denoiser is half as wide as the "
        "one that has no predictor to rely on, so that a step costs a quarter. Time: of a sample, against the fastest "
        f"of the seed.{_level(first[True], trained)}"
    )
    columns = ("seed", "network", "T", "G multiply-adds a sample", "time", "PSNR (dB)", "texture distance", LPIPS)
    return Table("Quality against cost", columns, cells, caption)


def _training(found: Arms) -> str:
    """How both networks were trained, and what theirs is and the paper's is not."""
    network = next(iter(found.values()))[True].job.settings["network"]["settings"]
    design, blur = network["design"], network["pictures"]["blur"]
    notes = [
        f"trained on the same pictures, {blur['shortest']:g} to {blur['size'] - 1} px of motion, for as many steps",
        "the predictor also by a loss of its own, which the paper's has not" if design["predictor_weight"] else "",
        "both denoisers give the velocity, of which the paper says nothing" if design.get("velocity") else "",
    ]
    return ", ".join(filter(None, notes))


def _level(run: Result, trained: list[Result]) -> str:
    levels = {name: of_the_blurry(run, name, trained) for name in ("psnr", LPIPS) if name in run.values}
    known = {name: rounded(level, MEASURES[name][1]) for name, level in levels.items() if level is not None}
    said = " and ".join(f"{level} dB" if name == "psnr" else f"{name} {level}" for name, level in known.items())
    return f" The blurry pictures themselves have {said}." if said else ""


def _units_table(found: Arms, trained: list[Result]) -> Table | None:
    """What a unit of the residual for every place does to samples in many steps."""
    if not found or not all(LPIPS in run.values for arms in found.values() for run in arms.values()):
        return None
    one, local = ([arms[which] for arms in found.values()] for which in (False, True))
    places = [(seed, name) for seed, run in zip(found, local, strict=True) for name in run.values["names"]]
    cells = []
    for i, steps in enumerate(local[0].job.settings["times"]):
        psnr, lpips = (
            [np.concatenate([run.values[key][i] for run in runs]) for runs in (one, local)] for key in ("psnr", LPIPS)
        )
        gain = learning.over_seeds_and_pictures("", dict(zip(places, np.subtract(*lpips), strict=True)))
        both = (f"{np.mean(db):.2f} / {np.mean(distance):.3f}" for db, distance in zip(psnr, lpips, strict=True))
        cells.append((steps, *both, with_interval(gain, 3)))
    caption = (
        f"PSNR in dB / {LPIPS} of one sample, means over pictures and {len(found)} seeds, networks as under Quality "
        "against cost. A unit for every place: what the local contrast of the initial prediction lets expect of the "
        "residual (`expected_residual`), to keep noise from being taken for texture where the picture is smooth; the "
        f"predictor then learns from its own loss alone. Not in the paper. Right: how much lower {LPIPS} is, with a "
        f"95 % interval over pictures or over seeds, whichever is wider.{_level(local[0], trained)}"
    )
    columns = ("T", "one unit everywhere", "a unit for every place", "lower by [95 %]")
    return Table("Residuals in units of the local contrast", columns, cells, caption)


# Figures


def figures(runs: list[Result]) -> list[Figure]:
    return [_time_figure(found)] if (found := timed(runs)) else []


def _time_figure(found: Arms) -> Figure:
    """Figure 6."""
    figure, ((axes,),) = subplots(width=5.0, height=3.2)
    first, any_run = next((seed, arms[True]) for seed, arms in found.items())
    for seed, arms in found.items():
        for run, color, label in ((arms[True], PALETTE[0], "predict and refine"),
                                  (arms[False], PALETTE[1], "no predictor")):  # fmt: skip
            macs, reached, _ = curve_of(run)
            costs = np.divide(macs, 1e9)
            axes.plot(costs, reached, "o-", color=color, markersize=3, label=label if seed == first else None)
            if seed == first:
                for steps, *place in zip(run.job.settings["times"], costs, reached, strict=True):
                    axes.annotate(str(steps), place, xytext=(3, 3), textcoords="offset points", fontsize=6.5,
                                  color=color)  # fmt: skip
    quality = quality_of(any_run)
    if (level := of_the_blurry(any_run, quality, [])) is not None:
        axes.axhline(level, color="0.5", linewidth=0.8, linestyle=":", label="blurry pictures")
    axes.set(xscale="log", xlabel="G multiply-adds of a sample", ylabel=refining.axis_label(quality))
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter("{x:g}")
    axes.minorticks_off()
    axes.legend()
    caption = (
        "Lower is better, left is cheaper; numbers are T, and several lines of a colour are seeds. Draw a horizontal "
        "line: how far apart do the two curves cross it? Where no line crosses both, one network is better in its "
        "fewest steps than the other in any number."
    )
    return Figure("time", figure, caption)


# Evidence


def evidence(runs: list[Result], trained: list[Result]) -> dict[str, Evidence]:
    return {"C3.8": _time_evidence(arms, trained)} if (arms := timed(runs)) else {}


def unlike_the_papers(run: Result) -> str:
    """Why runs on this network, or its training, decide nothing of the paper's."""
    return ", ".join(filter(None, [refining.smaller(run), "blur made here"]))


def _time_evidence(found: Arms, trained: list[Result]) -> Evidence:
    """A bound has no interval, and neither has the equal quality of networks that restore nothing."""
    first = next(iter(found.values()))
    ratios = {
        name: [speed_up(curve_of(arms[True], cost), curve_of(arms[False], cost)) for arms in found.values()]
        for name, cost in (("multiply-adds", "macs"), ("seconds", "seconds"))
    }
    measured = all(least == most for bounds in ratios.values() for least, most in bounds)
    quality = quality_of(first[True])
    blurry = of_the_blurry(first[True], quality, trained)
    best = {which: np.mean([min(means(arms[which], quality)) for arms in found.values()]) for which in (True, False)}
    spoilt = [label for label, which in (("with", True), ("without", False))
              if blurry is not None and best[which] > blurry]  # fmt: skip
    reasons = [
        "" if measured else "at equal quality a network is in its fewest steps, and might have done with less",
        f"{' and '.join(spoilt)} a predictor no number of steps is on average as good as the blurry pictures"
        if spoilt
        else "",
        _reduced(found),
    ]
    comparisons = tuple(_faster(name, bounds, list(found)) for name, bounds in ratios.items())
    if not measured or spoilt:
        comparisons = tuple(replace(comparison, low=-math.inf, high=math.inf) for comparison in comparisons)
    known = ", ".join(f"{times} fewer {name}" for name, bounds in ratios.items() if (times := _times(bounds)))
    digits = MEASURES[quality][1]
    counts = " against ".join(f"{first[which].values['parameters']:,}" for which in (True, False))
    return Evidence(
        comparisons,
        ours=f"to equal {quality} {known or 'no cost was measured'}, with {counts} parameters; at best "
        f"{rounded(best[True], digits)} against {rounded(best[False], digits)}",
        reduced="; ".join(filter(None, reasons)),
    )


Bounds = Sequence[tuple[float, float]]
"""By seed, what a ratio is at least and at most; the same where it was measured."""


def _faster(name: str, ratios: Bounds, seeds: Sequence[int]) -> Comparison:
    """By what is known of each ratio; the effect is nan where nothing is."""
    label = f"log2 of how many times fewer {name}"
    known = [least or most for least, most in ratios]
    if max(known) == math.inf:
        return Comparison(label, math.nan, -math.inf, math.inf, len(seeds), of="seeds")
    return paired(label, list(np.log2(known)), [0.0] * len(known), seeds, of="seeds")


def _times(ratios: Bounds) -> str:
    """Geometric means over seeds: "4.0 times" or "at least 4.0 times"; empty where nothing is known."""
    least, most = zip(*ratios, strict=True)
    if min(least) > 0:
        return f"{'' if least == most else 'at least '}{np.exp(np.mean(np.log(least))):.1f} times"
    if max(most) < math.inf:
        return f"at most {np.exp(np.mean(np.log(most))):.1f} times"
    return ""


def _reduced(found: Arms) -> str:
    runs = [run for arms in found.values() for run in arms.values()]
    if any(run.values["parameters"] < refining.WHOLE for run in runs):
        steps = runs[0].job.settings["network"]["settings"]["settings"]["steps"]
        size = f"networks far below 33 and 28 million parameters, after {steps:,} steps, not a million"
        return f"{size}; {_training(found)}"
    shared = any(run.provenance.get("gpu") for run in runs)
    return "the seconds are those of a GPU that other jobs may have shared" if shared else ""
