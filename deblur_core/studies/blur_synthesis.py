"""Synthesised blur beside ordinary augmentation, where few originals leave blur scarce (augmentation table; C2.3).

Tran et al., "Explore Image Deblurring via Encoded Blur Kernel Space", CVPR 2021: SRN trained with ordinary augmentation
("imgaug") and with synthesised blur added ("comb."). Here, from a few filmed pairs: with `training_sets.augmented`
alone, and with half of every batch from the same sharp pictures blurred anew, by k of other pairs and by drawn k. Two
more arms say what that is worth: straight motions, which know nothing of the originals, and really new cameras.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from deblur_core.data.camera_pairs import Camera
from deblur_core.runs import Job, Result
from deblur_core.studies import training_sets
from deblur_core.studies.blur_swap import OVERNIGHT, PAN, PHOTOGRAPHS
from deblur_core.studies.claims import Evidence
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
    synthesise,
    synthesise_job,
    train_job,
)
from deblur_core.training import Settings

ORDINARY, COMBINED, LINES, FILMED = "ordinary", "with synthesised blur", "with straight motions", "with new cameras"
PAPER = {ORDINARY: "“imgaug”", COMBINED: "“comb.”, better"}


@dataclass(frozen=True)
class Profile:
    """rounds: how often every original picture is blurred anew, even; lines: whether also by straight motions."""

    scenes: Scenes
    rounds: int
    network: dict[str, int]
    settings: Settings
    seeds: tuple[int, ...]
    lines: bool = True


PROFILES = {
    "smoke": Profile(
        Scenes(Camera(side=64, shift=(0.5, 1.0), pan=(4.0, 9.0)), count=2, tests=2), 2, {"width": 2, "blocks": 1},
        Settings(steps=3, batch=2, crop=32, precision="float32", validate_every=2), (0,),
    ),
    "laptop": Profile(
        Scenes(PAN, count=8, tests=9), 4, {"width": 4, "blocks": 1, "scales": 2},
        Settings(steps=200, batch=8, crop=32, learning_rate=5e-3, warm_up=20, clip=1.0, average=0.98,
                 precision="float32", validate_every=50),
        (0, 1), lines=False,
    ),
    # Each of the 76 pictures once.
    "overnight": Profile(
        Scenes(PAN, 76, 54, *PHOTOGRAPHS), 8, {"width": 8, "blocks": 1}, OVERNIGHT, (0, 1, 2, 3, 4)
    ),
    "paper": Profile(
        Scenes(Camera(side=192, shift=(4.0, 12.0), turn=6.0), 152, 108, *PHOTOGRAPHS), 16, {"width": 32, "blocks": 3},
        Settings(steps=500_000, batch=16, crop=192, learning_rate=1e-4, clip=1.0, validate_every=5000), (0, 1, 2, 3, 4),
    ),
}  # fmt: skip


def jobs(profile: Profile) -> list[Job]:
    sets, trained = [training_sets.held_out_job(profile.scenes)], []
    for seed in profile.seeds:
        own = film_job(profile.scenes, "own", seed)
        added = {
            ORDINARY: None,
            COMBINED: synthesise_job(own, "learned", profile.rounds, seed),
            **({LINES: synthesise_job(own, "lines", profile.rounds, seed)} if profile.lines else {}),
            FILMED: film_job(profile.scenes, "new", seed, profile.rounds),
        }
        sets += [own, *filter(None, added.values())]
        trained += [
            train_job(arm, [own, *([new] if new else [])], profile.scenes, profile.network, profile.settings, seed,
                      ordinary=True)
            for arm, new in added.items()
        ]  # fmt: skip
    return sets + trained


# Results


def sets_of(results: list[Result]) -> dict[str, list[Result]]:
    """The sets of pairs, by the arm that adds them; the originals by `ORDINARY`."""
    found: dict[str, list[Result]] = {}
    for result in of_task(results, film):
        settings = result.job.settings
        if settings["seed"] != training_sets.TESTS:
            found.setdefault(ORDINARY if settings["motions"] == "own" else FILMED, []).append(result)
    for result in of_task(results, synthesise):
        found.setdefault(LINES if result.job.settings["operator"] == "lines" else COMBINED, []).append(result)
    return {arm: found[arm] for arm in (ORDINARY, COMBINED, LINES, FILMED) if arm in found}


def strengths(runs: list[Result]) -> list[float]:
    """PSNR of the blurry pictures in dB: the lower, the stronger the blur."""
    return [psnr for run in runs for psnr in run.values["psnr"]]


# Tables


def tables(results: list[Result]) -> list[Table]:
    return [*_set_table(results), *_training_table(results)]


def _set_table(results: list[Result]) -> Iterator[Table]:
    rows = []
    for arm, runs in sets_of(results).items():
        low, high = np.quantile(strengths(runs), (0.1, 0.9))
        label = "the originals" if arm == ORDINARY else f"added {arm}"
        rows.append((label, len(runs[0].values["psnr"]), f"{np.mean(strengths(runs)):.2f}", f"{low:.2f} to {high:.2f}"))
    if rows:
        yield Table(
            "What is trained on",
            ("set", "pairs a seed", "PSNR of the blurry picture (dB)", "of the middle 80 % (dB)"), rows,
            "All sets of a seed show the same sharp pictures. A lower PSNR is a stronger blur.",
        )  # fmt: skip


def _training_table(results: list[Result]) -> Iterator[Table]:
    arms = by_arm(results)
    if not arms:
        return
    blurry = np.mean([run.values["blurry"] for runs in arms.values() for run in runs])
    rows: list[tuple[object, ...]] = [("none: the blurry picture", f"{blurry:.2f}", None, None, None)]
    for arm, runs in arms.items():
        found = difference(arms, arm, ORDINARY) if arm != ORDINARY else None
        mean = np.mean([run.values["psnr"] for run in runs])
        gained = f"{np.mean(gains(runs)):+.2f}"
        rows.append((arm, f"{mean:.2f}", gained, found and with_interval(found), PAPER.get(arm)))
    yield Table(
        "Ordinary augmentation, and synthesised blur added",
        ("augmentation", "PSNR (dB)", "over the blurry picture", f"minus “{ORDINARY}”", "the paper"), rows,
        f"{conditions(results)}. Ordinary: mirrored left to right and upside down, colours exchanged, darkened by up "
        "to 30 %, noise of up to one grey level; all arms have it. In the others half of every batch is blurred anew; "
        "drawn k and straight motions have any direction. "
        "In brackets 95 % intervals over pictures or over seeds, whichever is wider. "
        f"{_synthesised_against_filmed(arms)}{paper_says('C2.3')}",
    )  # fmt: skip


def _synthesised_against_filmed(arms: dict[str, list[Result]]) -> str:
    found = difference(arms, COMBINED, FILMED) if {COMBINED, FILMED} <= arms.keys() else None
    return f"Synthesised blur minus new cameras: {with_interval(found)} dB. " if found else ""


# Figures


def figures(results: list[Result]) -> list[Figure]:
    arms = by_arm(results)
    drawn = [*_set_figure(results)]
    if arms:
        drawn.append(_gain_figure(arms))
    return [*drawn, *training_sets.restored_figure(results, arms)]


def views(results: list[Result], number: int) -> dict[str, Any]:
    """One sharp picture of the first seed and its blurry ones, uint8 (3, side, side), by title."""
    sets = {arm: runs[0] for arm, runs in sets_of(results).items() if runs[0].arrays}
    count = len(sets[ORDINARY].values["names"])
    pair = sets[ORDINARY].arrays["pairs"][number]
    pictures = {"sharp": pair[3:], "original": pair[:3]}
    for title, arm, at in (("another's k", COMBINED, number), ("drawn k", COMBINED, number + count),
                           ("straight motion", LINES, number), ("new camera", FILMED, number)):  # fmt: skip
        if arm in sets:
            pictures[title] = sets[arm].arrays["pairs"][at, :3]
    return pictures


def _set_figure(results: list[Result]) -> Iterator[Figure]:
    sets = sets_of(results)
    if not all(arm in sets and sets[arm][0].arrays for arm in (ORDINARY, COMBINED)):
        return
    chosen = training_sets.builtin_pairs(sets[ORDINARY][0], 3)
    columns = len(views(results, chosen[0]))
    figure, panels = subplots(len(chosen), columns, width=1.8, height=1.95)
    for number, row in zip(chosen, panels, strict=True):
        for axes, (title, picture) in zip(row, views(results, number).items(), strict=True):
            show_pair(axes, picture, title)
    yield Figure(
        "sets", figure,
        "Original pictures, and what is made of them: with k of another original, with k drawn from a normal "
        "distribution, and by new cameras. Do the drawn blurs look like filmed ones?",
    )  # fmt: skip


def _gain_figure(arms: dict[str, list[Result]]) -> Figure:
    figure, ((left, right),) = subplots(1, 2, width=4.4, height=2.8)
    training_sets.draw_gains(left, arms)
    training_sets.draw_differences(right, arms, ORDINARY)
    caption = (
        "Left: what training gains, a dot a seed, a line their mean. Right: what each addition gains over ordinary "
        "augmentation alone, with 95 % intervals. New cameras are what synthesised blur stands in for."
    )
    return Figure("gains", figure, caption)


# Evidence


def evidence(results: list[Result]) -> dict[str, Evidence]:
    arms = by_arm(results)
    found = difference(arms, COMBINED, ORDINARY)
    if found is None:
        return {}
    ordinary = np.mean(gains(arms[ORDINARY]))
    ours = f"{with_interval(found)} dB over ordinary augmentation, itself {ordinary:+.2f} dB over the blurry picture"
    for arm in (LINES, FILMED):
        if other := difference(arms, arm, ORDINARY):
            ours += f"; {arm} {with_interval(other)} dB"
    return {"C2.3": Evidence((found,), ours=ours, reduced=training_sets.reduced(results, ORDINARY))}


STUDY = Study(
    "blur_synthesis", "Synthesised blur as augmentation (kernel space, augmentation table)", "kernel_space",
    "17_blur_synthesis", PROFILES, jobs, tables, figures, evidence, claims=("C2.3",),
)  # fmt: skip
