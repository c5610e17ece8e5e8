"""What averaged weights, a larger batch and a larger network add to plain regression (refinement, Table 4; C3.6).

Whang et al., "Deblurring via Stochastic Refinement", CVPR 2022, switch the three on one after the other, and end at
33.07 dB on GoPro; the rows between are not known. Here every rung of the ladder takes as many steps from the same seeds
(a larger batch has seen more crops), and is scored with the averaged and with the last weights.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from deblur_core.data.training_pairs import Blur
from deblur_core.models.refinement import Design, preset
from deblur_core.runs import Job, Result, from_settings
from deblur_core.studies import learning, refining
from deblur_core.studies.claims import Comparison, Evidence
from deblur_core.studies.learning import Pictures
from deblur_core.studies.study import Figure, Study, Table, of_task, with_interval
from deblur_core.studies.style import DASHED, PALETTE, subplots
from deblur_core.training import Settings

FIRST, BATCH, NETWORK = "small batch and network", "larger batch", "larger network"


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
    """What is trained, by what it has more than the one before."""
    many, large = replace(profile.settings, batch=profile.batch), replace(profile.design, predictor_width=profile.width)
    return {FIRST: (profile.design, profile.settings), BATCH: (profile.design, many), NETWORK: (large, many)}


def jobs(profile: Profile) -> list[Job]:
    return [refining.train_job(design, profile.pictures, settings, seed)
            for seed in profile.seeds for design, settings in rungs(profile).values()]  # fmt: skip


# Results


def trainings(results: list[Result]) -> dict[str, list[Result]]:
    """By rung, from the lowest on."""
    found: dict[str, list[Result]] = {FIRST: [], BATCH: [], NETWORK: []}
    every = [(rung, kind) for profile in PROFILES.values() for rung, kind in rungs(profile).items()]
    for run in of_task(results, refining.train_refinement):
        kind = from_settings(Design, run.job.settings["design"]), from_settings(Settings, run.job.settings["settings"])
        found[next(rung for rung, known in every if known == kind)].append(run)
    return {rung: runs for rung, runs in found.items() if runs}


def averaging(results: list[Result]) -> dict[str, Comparison]:
    """What averaged weights restore better than the last ones of the same training, by rung, in dB."""
    found = {}
    for rung, runs in trainings(results).items():
        effects = {
            (run.job.settings["seed"], name): averaged - last
            for run in runs
            for name, averaged, last in zip(run.values["names"], run.values["psnr"], run.values["last"], strict=True)
        }
        found[rung] = learning.over_seeds_and_pictures(f"PSNR, averaged − last weights, {rung}", effects, "dB")
    return found


def steps_up(results: list[Result]) -> dict[str, Comparison]:
    """What each rung adds to the one below, both with averaged weights, in dB; of those that share a seed."""
    runs = trainings(results)
    found = {rung: learning.compare(f"PSNR, {rung} − {below}", runs.get(rung, ()), runs.get(below, ()))
             for below, rung in ((FIRST, BATCH), (BATCH, NETWORK))}  # fmt: skip
    return {rung: comparison for rung, comparison in found.items() if comparison}


def mean(runs: list[Result], key: str) -> float:
    return float(np.mean([run.values[key] for run in runs]))


# Tables and figures


def tables(results: list[Result]) -> list[Table]:
    found = trainings(results)
    if not found:
        return []
    averaged, added, every = averaging(results), steps_up(results), [run for runs in found.values() for run in runs]
    blurry = f"{mean(every, 'blurry'):.2f}"
    rows: list[tuple[object, ...]] = [("the blurry picture", None, None, blurry, blurry, None, None)]
    for rung, runs in found.items():
        batch, parameters = runs[0].job.settings["settings"]["batch"], f"{runs[0].values['parameters']:,}"
        both = (f"{mean(runs, key):.2f}" for key in ("last", "psnr"))
        over = with_interval(added[rung]) if rung in added else None
        rows.append((rung, batch, parameters, *both, with_interval(averaged[rung]), over))
    settings, seeds = every[0].job.settings["settings"], len({run.job.settings["seed"] for run in every})
    caption = (
        f"PSNR in dB. Trained by squared error for {settings['steps']:,} steps, learning rate {settings['schedule']}, "
        f"{f'{seeds} seeds' if seeds > 1 else 'one seed'}; the moving average of the weights has the decay "
        f"{settings['average']:g}. A larger batch sees more crops in as many steps. In brackets 95 % intervals over "
        "pictures or over seeds, whichever is wider. The paper ends at 33.07 dB on GoPro; its other rows are not known."
    )
    columns = ("", "batch", "parameters", "last weights", "averaged weights", "averaging gains", "over the row above")
    return [Table("Plain regression, step by step", columns, rows, caption)]


def figures(results: list[Result]) -> list[Figure]:
    found = trainings(results)
    if len(found) < 2:
        return []
    seeds = sorted({run.job.settings["seed"] for runs in found.values() for run in runs})
    figure, ((axes,),) = subplots(1, 1, width=5.2, height=3.0)
    for key, color, label in (("psnr", PALETTE[0], "averaged weights"), ("last", PALETTE[1], "last weights")):
        for seed, marker in zip(seeds, "os^Dv", strict=False):
            own = [[run for run in runs if run.job.settings["seed"] == seed] for runs in found.values()]
            values = [mean(runs, key) if runs else np.nan for runs in own]
            axes.plot(values, f"{marker}-", color=color, linewidth=1, markersize=5, label=label)
            label = None
    blurry = mean([run for runs in found.values() for run in runs], "blurry")
    axes.axhline(blurry, **DASHED, label="the blurry picture")
    axes.set_xticks(range(len(found)), found)
    axes.set(ylabel="PSNR (dB)", xlim=(-0.3, len(found) - 0.7))
    axes.legend()
    caption = "A marker a seed. Which remedy helps in every seed? Does averaging help where little was learned?"
    return [Figure("ladder", figure, caption)]


# Evidence


def evidence(results: list[Result]) -> dict[str, Evidence]:
    found = trainings(results)
    if not found:
        return {}
    added, largest = steps_up(results), list(found.values())[-1]
    little = [f"“{rung}”" for rung, runs in found.items() if np.mean(list(map(learning.gain, runs))) < learning.LITTLE]
    reduced = [
        refining.smaller(largest[0]), "blur made here", f"{largest[0].job.settings['settings']['steps']:,} steps",
        *(f"no {rung} was tried" for rung in (BATCH, NETWORK) if rung not in added),
        f"{' and '.join(little)} gains less than {learning.LITTLE} dB over the blurry picture" if little else "",
        "HINet was not run, and averaged samples stand in C3.2",
    ]  # fmt: skip
    said = ", ".join(f"{rung} {mean(runs, 'psnr'):.2f} dB ({mean(runs, 'last'):.2f} dB with the last weights)"
                     for rung, runs in found.items())  # fmt: skip
    comparisons = *averaging(results).values(), *added.values()
    return {"C3.6": Evidence(comparisons, ours=said, reduced="; ".join(filter(None, reduced)))}


STUDY = Study(
    "regression_ablation", "What plain regression gains (refinement, Table 4)", "refinement", "13_t_step_tradeoff",
    PROFILES, jobs, tables, figures, evidence, claims=("C3.6",),
)  # fmt: skip
