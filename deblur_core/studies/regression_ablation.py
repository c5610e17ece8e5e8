"""What averaged weights, a larger batch and a larger network add to plain regression (refinement, Table 4; C3.6).

Whang et al., "Deblurring via Stochastic Refinement", CVPR 2022, switch the three on one after the other, and end at
33.07 dB on GoPro; the rows between are not known. Here all steps of the ladder take as many gradients, from the same
seeds: a larger batch has seen more crops.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from deblur_core.data.training_pairs import Blur
from deblur_core.models.refinement import Design, preset
from deblur_core.runs import Job, Result, from_settings
from deblur_core.studies import refining
from deblur_core.studies.claims import Comparison, Evidence
from deblur_core.studies.learning import Pictures, over_seeds_and_pictures
from deblur_core.studies.study import Figure, Study, Table, of_task, with_interval
from deblur_core.studies.style import PALETTE, subplots
from deblur_core.training import Settings

LAST, AVERAGED, BATCH, NETWORK = "last weights", "averaged weights", "larger batch", "larger network"
Scores = dict[tuple[int, str], float]
"""PSNR in dB by seed and picture."""


@dataclass(frozen=True)
class Profile:
    """design and settings begin the ladder; batch and width (of the predictor) are the larger ones at its end."""

    design: Design
    pictures: Pictures
    settings: Settings
    batch: int
    width: int
    seeds: tuple[int, ...]


# A constant rate: one that falls to zero averages the last steps, too.
_CONSTANT = Settings(steps=2000, batch=4, crop=64, learning_rate=5e-4, schedule="constant", warm_up=100, clip=1.0,
                     average=0.99, validate_every=500)  # fmt: skip
_PHOTOGRAPHS = Pictures(("builtin", "CBSD68"), ("Kodak24",), crop=128, blur=refining.MIXED)
PROFILES = {
    "smoke": Profile(
        Design(4, 0, (1, 2), blocks=1), Pictures(crop=32, blur=Blur(size=7, kinds=("x",), count=8, shortest=4.0)),
        Settings(steps=3, batch=2, crop=32, precision="float32", validate_every=2), 4, 6, (0,),
    ),
    "laptop": Profile(
        Design(4, 0, (1, 2), blocks=1), Pictures(crop=128),
        replace(_CONSTANT, steps=200, crop=48, learning_rate=2e-3, warm_up=20, average=0.95, precision="float32",
                validate_every=100),
        8, 8, (0,),
    ),
    "overnight": Profile(replace(preset("small_regression"), predictor_width=8), _PHOTOGRAPHS, _CONSTANT, 16, 16,
                         (0, 1, 2)),
    "paper": Profile(
        Design(32, 0), replace(_PHOTOGRAPHS, crop=None),
        Settings(steps=1_000_000, batch=8, learning_rate=1e-4, schedule="constant", clip=1.0, average=0.9999,
                 validate_every=5000),
        32, 64, (0, 1, 2),
    ),
}  # fmt: skip


def rungs(profile: Profile) -> dict[str, tuple[Design, Settings]]:
    """What is trained, by what it adds; the first training has the rung `LAST`, too."""
    many, large = replace(profile.settings, batch=profile.batch), replace(profile.design, predictor_width=profile.width)
    return {AVERAGED: (profile.design, profile.settings), BATCH: (profile.design, many), NETWORK: (large, many)}


def jobs(profile: Profile) -> list[Job]:
    return [refining.train_job(design, profile.pictures, settings, seed)
            for seed in profile.seeds for design, settings in rungs(profile).values()]  # fmt: skip


# Results


def trainings(results: list[Result]) -> dict[str, list[Result]]:
    """By rung, in the ladder's order."""
    found: dict[str, list[Result]] = {AVERAGED: [], BATCH: [], NETWORK: []}
    every = [(rung, kind) for profile in PROFILES.values() for rung, kind in rungs(profile).items()]
    for run in of_task(results, refining.train_refinement):
        kind = from_settings(Design, run.job.settings["design"]), from_settings(Settings, run.job.settings["settings"])
        found[next(rung for rung, known in every if known == kind)].append(run)
    return {rung: runs for rung, runs in found.items() if runs}


def ladder(results: list[Result]) -> dict[str, Scores]:
    """PSNR of every rung."""
    found = trainings(results)
    scores = {rung: _scores(runs, "psnr") for rung, runs in found.items()}
    return {LAST: _scores(found[AVERAGED], "last")} | scores if AVERAGED in found else scores


def _scores(runs: list[Result], key: str) -> Scores:
    return {(run.job.settings["seed"], name): psnr
            for run in runs for name, psnr in zip(run.values["names"], run.values[key], strict=True)}  # fmt: skip


def steps_up(scores: dict[str, Scores]) -> dict[str, Comparison]:
    """What each rung adds to the one below, in dB, of those that are there."""
    found = {}
    for below, rung in pairwise((LAST, AVERAGED, BATCH, NETWORK)):
        lower, upper = scores.get(below, {}), scores.get(rung, {})
        if common := sorted(lower.keys() & upper.keys()):
            effects = {place: upper[place] - lower[place] for place in common}
            found[rung] = over_seeds_and_pictures(f"PSNR, {rung} − {below}", effects, "dB")
    return found


def of_seed(scores: Scores, seed: int) -> float:
    """Mean over the pictures; NaN where there are none."""
    found = [psnr for (own, _), psnr in scores.items() if own == seed]
    return float(np.mean(found)) if found else float("nan")


# Tables and figures


def tables(results: list[Result]) -> list[Table]:
    runs, scores = trainings(results), ladder(results)
    if not scores:
        return []
    added, first = steps_up(scores), next(iter(runs.values()))[0]
    blurry = f"{np.mean(first.values['blurry']):.2f}"
    rows: list[tuple[object, ...]] = [("the blurry picture", None, None, blurry, None)]
    for rung, psnr in scores.items():
        run = runs[AVERAGED if rung == LAST else rung][0]
        batch, parameters = run.job.settings["settings"]["batch"], f"{run.values['parameters']:,}"
        gain = with_interval(added[rung]) if rung in added else None
        label = rung if rung == LAST else f"+ {rung}"
        rows.append((label, batch, parameters, f"{np.mean(list(psnr.values())):.2f}", gain))
    settings, seeds = first.job.settings["settings"], len({seed for psnr in scores.values() for seed, _ in psnr})
    by_seeds = f"{seeds} seeds" if seeds > 1 else "one seed"
    caption = (
        f"Trained by squared error for {settings['steps']:,} steps, learning rate {settings['schedule']}, {by_seeds}; "
        f"the moving average of the weights has the decay {settings['average']:g}. A larger batch sees more crops in "
        "as many steps. In brackets 95 % intervals over pictures or over seeds, whichever is wider. The paper ends at "
        "33.07 dB on GoPro; its rows between are not known."
    )
    columns = ("", "batch", "parameters", "PSNR (dB)", "over the row above [95 %]")
    return [Table("Plain regression, step by step", columns, rows, caption)]


def figures(results: list[Result]) -> list[Figure]:
    scores = ladder(results)
    if len(scores) < 2:
        return []
    figure, ((axes,),) = subplots(1, 1, width=5.2, height=3.0)
    for seed in sorted({seed for psnr in scores.values() for seed, _ in psnr}):
        axes.plot([of_seed(psnr, seed) for psnr in scores.values()], "o-", color=PALETTE[0], linewidth=1, markersize=4)
    blurry = np.mean([run.values["blurry"] for runs in trainings(results).values() for run in runs])
    axes.axhline(blurry, color="0.3", linewidth=1, linestyle="--", label="the blurry picture")
    axes.set_xticks(range(len(scores)), [rung if rung == LAST else f"+ {rung}" for rung in scores])
    axes.set(ylabel="PSNR (dB)")
    axes.legend()
    return [Figure("ladder", figure, "A line a seed, each step one more remedy. Which of them helps in every seed?")]


# Evidence


def evidence(results: list[Result]) -> dict[str, Evidence]:
    scores = ladder(results)
    if not (added := steps_up(scores)):
        return {}
    runs = trainings(results)
    largest = list(runs.values())[-1][0]
    missing = [rung for rung in (AVERAGED, BATCH, NETWORK) if rung not in added]
    steps = f"{largest.job.settings['settings']['steps']:,} steps"
    reduced = [refining.smaller(largest), "blur made here", steps, *(f"{rung} was not run" for rung in missing),
               "HINet was not run, and averaged samples stand in C3.2"]  # fmt: skip
    said = ", ".join(f"{np.mean(list(psnr.values())):.2f} dB with {rung}" for rung, psnr in scores.items())
    return {"C3.6": Evidence(tuple(added.values()), ours=said, reduced="; ".join(filter(None, reduced)))}


STUDY = Study(
    "regression_ablation", "What plain regression gains (refinement, Table 4)", "refinement", "13_t_step_tradeoff",
    PROFILES, jobs, tables, figures, evidence, claims=("C3.6",),
)  # fmt: skip
