"""A network trained on synthesised blur against one trained on the original blur (blur-swap table; C2.2).

Tran et al., "Explore Image Deblurring via Encoded Blur Kernel Space", CVPR 2021. Training pairs are filmed; then every
sharp picture gets the blur of another pair, by a learned blur operator, by one made by hand, or by really filming it
again, the most that any operator can do. SRN is trained on each set alike. "Comparable" is tested as equivalence: the
difference has to be smaller than a margin stated beforehand, which a mere lack of significance does not show.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from deblur_core.data.camera_pairs import Camera
from deblur_core.runs import Job, Result
from deblur_core.studies import training_sets
from deblur_core.studies.claims import Comparison, Evidence, verdict
from deblur_core.studies.study import Figure, Study, Table, of_task, with_interval
from deblur_core.studies.style import subplots
from deblur_core.studies.training_sets import (
    Scenes,
    by_arm,
    conditions,
    difference,
    film,
    film_job,
    gains,
    paper_says,
    show_pair,
    swap,
    swap_job,
    train_job,
)
from deblur_core.training import Settings

ORIGINAL, AGAIN = "original", "filmed again"
ARMS = {"learned": "swapped, learned", "linear": "swapped, linear"}
"""What tables call the sets that operators made."""
CLAIMED = ARMS["learned"]
MARGIN = 0.1
"""In dB: networks that differ by less are called comparable, for tables of this field seldom call so little an
improvement. It says something only where training gains much more than that, see `learning.LITTLE`."""


@dataclass(frozen=True)
class Profile:
    scenes: Scenes
    network: dict[str, int]
    settings: Settings
    seeds: tuple[int, ...]


# A pan of some pixels along one axis is what a tiny network learns to undo within seconds, see `learning.Pictures`.
PAN = Camera(shift=(0.5, 1.0), pan=(4.0, 9.0), turn=2.0, nearness=(1.2, 1.5))
PHOTOGRAPHS = ("builtin", "CBSD68"), ("held out", "Kodak24")
# Steps enough for the original blur alone to gain several margins.
OVERNIGHT = Settings(steps=6000, batch=4, crop=64, learning_rate=1e-3, warm_up=100, clip=1.0, average=0.99,
                     validate_every=1000)  # fmt: skip

PROFILES = {
    "smoke": Profile(
        Scenes(Camera(side=64, shift=(0.5, 1.0), pan=(4.0, 9.0)), count=4, tests=2), {"width": 2, "blocks": 1},
        Settings(steps=3, batch=2, crop=32, precision="float32", validate_every=2), (0,),
    ),
    "laptop": Profile(
        Scenes(PAN, count=24, tests=9), {"width": 4, "blocks": 1, "scales": 2},
        Settings(steps=200, batch=8, crop=32, learning_rate=5e-3, warm_up=20, clip=1.0, average=0.98,
                 precision="float32", validate_every=50),
        (0, 1),
    ),
    "overnight": Profile(
        Scenes(PAN, 152, 54, *PHOTOGRAPHS), {"width": 8, "blocks": 1}, OVERNIGHT, (0, 1, 2, 3, 4, 5, 6)
    ),
    "paper": Profile(
        Scenes(Camera(side=192, shift=(4.0, 12.0), turn=6.0), 2432, 108, *PHOTOGRAPHS),
        {"width": 32, "blocks": 3},
        Settings(steps=500_000, batch=16, crop=192, learning_rate=1e-4, clip=1.0, validate_every=5000), (0, 1, 2, 3, 4),
    ),
}  # fmt: skip


def jobs(profile: Profile) -> list[Job]:
    films, trained = [training_sets.held_out_job(profile.scenes)], []
    for seed in profile.seeds:
        own, others = (film_job(profile.scenes, motions, seed) for motions in ("own", "others"))
        swapped = {ARMS[operator]: swap_job(own, others, operator, seed) for operator in ARMS}
        films += [own, others, *swapped.values()]
        for arm, pairs in {ORIGINAL: own, **swapped, AGAIN: others}.items():
            trained.append(train_job(arm, [pairs], profile.scenes, profile.network, profile.settings, seed))
    return films + trained


# Results


def equivalent(found: Comparison, margin: float = MARGIN) -> tuple[Comparison, Comparison]:
    """Two one-sided comparisons, at 2.5 % each; both intervals lie above zero where the whole 95 % interval of the
    difference lies within the margin."""
    return (
        replace(found, name=f"{margin} dB + ({found.name})", effect=margin + found.effect, low=margin + found.low,
                high=margin + found.high),
        replace(found, name=f"{margin} dB − ({found.name})", effect=margin - found.effect, low=margin - found.high,
                high=margin - found.low),
    )  # fmt: skip


def answer(found: Comparison, margin: float = MARGIN) -> str:
    """ "yes", "no" or "undecided": are the two comparable? As the claim is judged."""
    said = verdict(Evidence(equivalent(found, margin)))
    return {"reproduced": "yes", "contradicted": "no"}.get(said, "undecided")


def reblurred(results: list[Result]) -> dict[str, dict[str, float]]:
    """Mean PSNR against the same picture really filmed so, in dB, by arm: `swapped`, `own`, `sharp`."""
    found: dict[str, list[Result]] = {}
    for result in of_task(results, swap):
        found.setdefault(ARMS[result.job.settings["operator"]], []).append(result)
    return {arm: {name: float(np.mean([run.values[name] for run in runs])) for name in ("swapped", "own", "sharp")}
            for arm, runs in found.items()}  # fmt: skip


# Tables


def tables(results: list[Result]) -> list[Table]:
    return [*_blur_table(results), *_training_table(results)]


def _blur_table(results: list[Result]) -> Iterator[Table]:
    found = reblurred(results)
    if found:
        first = next(iter(found.values()))
        psnr = {"none: the sharp picture": first["sharp"], "the picture's own": first["own"]}
        psnr |= {arm: scores["swapped"] for arm, scores in found.items()}
        rows = [(name, f"{value:.2f}") for name, value in psnr.items()]
        yield Table(
            "Blur put onto another picture", ("blur", "PSNR against really filming it (dB)"), rows,
            "Of training pairs: the blurry picture that an operator makes, against the same picture filmed with the "
            "motion of the pair that k was taken from. The first two rows are what no swap at all has.",
        )  # fmt: skip


def _training_table(results: list[Result]) -> Iterator[Table]:
    arms = by_arm(results)
    if not arms:
        return
    rows: list[tuple[object, ...]] = []
    blurry = np.mean([run.values["blurry"] for runs in arms.values() for run in runs])
    rows.append(("none: the blurry picture", f"{blurry:.2f}", None, None, None, None))
    for arm, runs in arms.items():
        found = difference(arms, arm, ORIGINAL) if arm != ORIGINAL else None
        mean = np.mean([run.values["psnr"] for run in runs])
        rows.append((arm, f"{mean:.2f}", f"{np.mean(gains(runs)):+.2f}", found and with_interval(found),
                     found and answer(found), "comparable" if arm == CLAIMED else None))  # fmt: skip
    yield Table(
        "Trained on swapped blur",
        ("training set", "PSNR (dB)", "over the blurry picture", f"minus “{ORIGINAL}”", f"within ±{MARGIN} dB?",
         "the paper says"),
        rows,
        f"{conditions(results)}. In brackets 95 % intervals over pictures or over seeds, whichever is wider. “Yes” "
        "needs all of it within the margin, “no” all of it outside, and still so when it is widened for there being "
        f"two sides. {paper_says('C2.2')}",
    )  # fmt: skip


# Figures


def figures(results: list[Result]) -> list[Figure]:
    arms = by_arm(results)
    drawn = [*_swap_figure(results)]
    if arms:
        drawn.append(_equivalence_figure(results, arms))
    return [*drawn, *training_sets.restored_figure(results, arms)]


def sets_of(results: list[Result], seed: int) -> dict[str, Result]:
    """Results with pairs, by arm, for one seed."""
    films = {"own": ORIGINAL, "others": AGAIN}
    found = {}
    for result in [*of_task(results, film), *of_task(results, swap)]:
        settings = result.job.settings
        if result.arrays and settings["seed"] == seed:
            found[films[settings["motions"]] if "motions" in settings else ARMS[settings["operator"]]] = result
    return {arm: found[arm] for arm in (ORIGINAL, AGAIN, *ARMS.values()) if arm in found}


def seeds_of(results: list[Result]) -> list[int]:
    return list(dict.fromkeys(run.job.settings["seed"] for run in of_task(results, swap)))


def views(sets: dict[str, Result], number: int) -> dict[str, Any]:
    """One sharp picture and its blurry ones, uint8 (3, side, side), by title."""
    sharp = next(iter(sets.values())).arrays["pairs"][number, 3:]
    pictures = {arm: result.arrays["pairs"][number, :3] for arm, result in sets.items()}
    for arm, result in sets.items():
        if "swapped" in result.values:
            pictures[f"{arm}, {result.values['swapped'][number]:.1f} dB"] = pictures.pop(arm)
    return {"sharp": sharp, **pictures}


def _swap_figure(results: list[Result]) -> Iterator[Figure]:
    seeds = seeds_of(results)
    sets = sets_of(results, seeds[0]) if seeds else {}
    chosen = training_sets.builtin_pairs(sets[ORIGINAL], 3) if ORIGINAL in sets else []
    if not chosen or len(sets) < 3:
        return
    figure, panels = subplots(len(chosen), len(sets) + 1, width=1.9, height=2.05)
    for number, row in zip(chosen, panels, strict=True):
        for axes, (title, picture) in zip(row, views(sets, number).items(), strict=True):
            show_pair(axes, picture, title)
    yield Figure(
        "swapped", figure,
        "The same sharp pictures, each with its own blur and with that of another pair: really filmed so, and by the "
        "two operators, with the PSNR against filming. Compare the last three of a row.",
    )  # fmt: skip


def _equivalence_figure(results: list[Result], arms: dict[str, list[Result]]) -> Figure:
    figure, ((left, right),) = subplots(1, 2, width=4.2, height=2.8)
    training_sets.draw_gains(left, arms)
    training_sets.draw_differences(right, arms, ORIGINAL)
    right.axvspan(-MARGIN, MARGIN, color="0.9", zorder=0)
    caption = (
        "Left: what training gains, a dot a seed, a line their mean. Right: how much the other sets lose or win "
        "against the original one, with 95 % intervals. Comparable is what lies inside the grey band of "
        f"±{MARGIN} dB with all of its interval."
    )
    return Figure("equivalence", figure, caption)


# Evidence


def evidence(results: list[Result]) -> dict[str, Evidence]:
    arms = by_arm(results)
    found = difference(arms, CLAIMED, ORIGINAL)
    if found is None:
        return {}
    gain, own = (np.mean(gains(arms[arm])) for arm in (CLAIMED, ORIGINAL))
    ours = f"{gain:+.2f} dB over the blurry picture against {own:+.2f} dB, difference {with_interval(found)} dB"
    if AGAIN in arms and (ceiling := difference(arms, AGAIN, ORIGINAL)):
        ours += f", with the same pictures filmed again {with_interval(ceiling)} dB"
    return {"C2.2": Evidence(equivalent(found), ours=ours, reduced=training_sets.reduced(results, ORIGINAL))}


STUDY = Study(
    "blur_swap", "Trained on swapped blur (kernel space, blur-swap table)", "kernel_space",
    "15_blur_swap", PROFILES, jobs, tables, figures, evidence, claims=("C2.2",),
)  # fmt: skip
