"""Which network should draw the kernel? (SelfDeblur, Table 2 and Figure 4; claims C1.3 to C1.5)"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np

from deblur_core import metrics
from deblur_core.runs import Job, Result
from deblur_core.solvers.selfdeblur import RECIPES, Recipe
from deblur_core.studies import pairs
from deblur_core.studies.claims import Comparison, Evidence
from deblur_core.studies.joint_vs_alternating import recipes_in_words
from deblur_core.studies.printed import TABLE_2
from deblur_core.studies.study import Figure, Study, Table, with_interval
from deblur_core.studies.style import PALETTE, show_image, subplots

ARMS: dict[str, dict[str, Any]] = {
    "1 hidden layer": {"hidden_layers": 1},
    "2 hidden layers": {"hidden_layers": 2},
    "no hidden layer": {"hidden_layers": 0},
    "Double-DIP": {"kernel_network": "convolutional"},
}
FASTER = "no hidden layer, tenfold rate"
"""Ours, not the paper's: is it depth that counts, or the speed that comes with it?"""
PLAUSIBLE = 0.8
"""Similarity to the true kernel from which on a kernel counts as plausible: a line that we drew, the paper has none."""


@dataclass(frozen=True)
class Profile:
    dataset: str
    names: tuple[str, ...]
    recipe: Recipe
    crop: int | None = None


PROFILES = {
    "smoke": Profile("builtin", pairs.PAIRS[:2], pairs.SMOKE, crop=64),
    "laptop": Profile("builtin", pairs.PAIRS[:4], pairs.LAPTOP, crop=128),
    "overnight": Profile("levin", pairs.PAIRS[:8], RECIPES["quick"]),
    "paper": Profile("levin", pairs.PAIRS, RECIPES["released"]),
}


def jobs(profile: Profile) -> list[Job]:
    """The first arm is the joint run of Table 1: the same job, so it is computed once."""
    faster = {"hidden_layers": 0, "kernel_rate": 10 * profile.recipe.kernel_rate}
    return [
        pairs.restore_job(profile.dataset, name, replace(profile.recipe, **changes), crop=profile.crop)
        for name in profile.names
        for changes in (*ARMS.values(), faster)
    ]


def arms(results: list[Result]) -> dict[str, list[Result]]:
    """Runs by arm, of the pairs that the paper's arms all have; with `FASTER` once it has run on all of them, too."""
    slow = min((result.job.settings["recipe"]["kernel_rate"] for result in results), default=0)

    def arm_of(recipe: dict[str, Any]) -> str:
        if recipe["kernel_rate"] > slow:
            return FASTER
        return next(name for name, changes in reversed(ARMS.items()) if changes.items() <= recipe.items())

    of_the_paper, every = (pairs.arms(results, names, arm_of) for names in (tuple(ARMS), (*ARMS, FASTER)))
    whole = len(every[FASTER]) == len(of_the_paper["1 hidden layer"]) > 0
    return every if whole else of_the_paper


def tables(results: list[Result]) -> list[Table]:
    found = arms(results)
    rows: list[tuple[object, ...]] = [
        ("paper", arm, f"{psnr:.2f}", f"{ssim:.4f}", None, None, None) for arm, (psnr, ssim) in TABLE_2.items()
    ]
    for arm, runs in found.items():
        if runs:
            scores = (f"{pairs.mean(runs, name):.{digits}f}" for _, name, digits in pairs.SCORES)
            shares = (f"{pairs.share(runs, condition):.0%}" for condition in (pairs.collapsed, pairs.failed))
            rows.append((f"this code, {len(runs)} pairs", arm, *scores, *shares))
    made = [
        Table(
            "Depth of the kernel network",
            ("source", "kernel network", "PSNR (dB)", "SSIM", "kernel similarity", "delta kernels", "failed"),
            rows,
            "Same pairs, iterations and learning rates for all, where no other rate is named. PSNR and SSIM aligned "
            "within 10 px (the paper's: 5 px), 15 px border left out. A kernel counts as a delta when more than 90 % "
            "of its mass lies within 3x3 px; a run has failed when it gains less than 3 dB."
            + recipes_in_words(run.job.settings["recipe"] for arm in ARMS for run in found[arm]),
        )
    ]
    if found.get(FASTER):
        made.append(_speed_table(found))
    return made


def _speed_table(found: dict[str, list[Result]]) -> Table:
    names = [run.job.settings["pair"] for run in found[FASTER]]

    def difference(a: str, b: str, value: str) -> Comparison:
        return pairs.compare("", names, [one.values[value] - other.values[value]
                                         for one, other in zip(found[a], found[b], strict=True)])  # fmt: skip

    rows = [
        (f"{a} − {b}", *(with_interval(difference(a, b, value), digits) for _, value, digits in pairs.SCORES))
        for a, b in ((FASTER, "no hidden layer"), ("1 hidden layer", FASTER))
    ]
    return Table(
        "Depth, or speed?",
        ("difference", *(title for title, *_ in pairs.SCORES)),
        rows,
        "The paper has no such row. If a tenfold rate does for a network without hidden layers what a hidden layer "
        "does, it is the speed that counts. In brackets 95 % intervals over pictures or over kernels, whichever is "
        "wider.",
    )


def figures(results: list[Result]) -> list[Figure]:
    found = arms(results)
    if not found["1 hidden layer"]:
        return []
    placed = [all(not drifted(runs[i]) for runs in found.values()) for i in range(len(found["1 hidden layer"]))]
    figure, ((left, right),) = subplots(1, 2, width=3.6, height=3.0)
    for (arm, runs), color in zip(found.items(), PALETTE, strict=False):
        iterations, similarity = pairs.curves(runs, "kernel_similarity")
        left.plot(iterations, similarity.mean(0), color=color, label=arm)
        if any(placed):
            right.plot(iterations, pairs.curves(runs, "psnr")[1][placed].mean(0), color=color)
    left.set(xlabel="iteration", ylabel="kernel similarity, mean", xscale="log")
    right.set(xlabel="iteration", ylabel="PSNR (dB), mean", xscale="log")
    figure.legend(loc="outside upper center", ncols=3)
    caption = (
        "Does it depend on how long one waits which kernel network is ahead? Compare the order early and at the end, "
        "and the network without a hidden layer at both rates. "
        f"PSNR along the run is aligned within 5 px, so it is the mean over those {sum(placed)} of {len(placed)} pairs "
        "of which no run drifted further."
    )
    drawn = [Figure("curves", figure, caption)]
    if all(runs[0].arrays and runs[0].job.settings["dataset"] == "builtin" for runs in found.values()):
        drawn.append(_kernels(found))
    return drawn


def drifted(run: Result) -> bool:
    """Whether the result lies too far from its place for the search within 5 px, with which curves are measured."""
    return run.values["psnr"] - run.values["narrow"]["psnr"] > 0.5


def _kernels(found: dict[str, list[Result]]) -> Figure:
    shown = min(4, len(found["1 hidden layer"]))
    figure, panels = subplots(shown, 2 * (len(found) + 1), width=1.2, height=1.25)
    for row, axes in enumerate(panels):
        settings = found["1 hidden layer"][row].job.settings
        target = pairs.load(settings["dataset"], settings["pair"], settings["crop"])
        columns = [
            (arm, runs[row].arrays["x"], metrics.align_kernel(runs[row].arrays["k"], target.kernel))
            for arm, runs in found.items()
        ]
        columns.append(("truth", pairs.to_bytes(target.sharp), target.kernel[0]))
        for (arm, x, k), picture, kernel in zip(columns, axes[::2], axes[1::2], strict=True):
            show_image(picture, x, arm if row == 0 else "", maximum=255)
            show_image(kernel, k, maximum=None)
    caption = (
        "Pictures and kernels of the first pairs, the kernels aligned with the truth, each on its own scale. Which of "
        "them could be the trace of a hand, which are fog or noise? And does the picture suffer as much as its kernel?"
    )
    return Figure("kernels", figure, caption)


def evidence(results: list[Result]) -> dict[str, Evidence]:
    found = arms(results)
    if not found["1 hidden layer"]:
        return {}
    names = [run.job.settings["pair"] for run in found["1 hidden layer"]]

    def values(arm: str, value: str) -> np.ndarray:
        return np.array([run.values[value] for run in found[arm]])

    def better(title: str, value: str, unit: str = "") -> list[Comparison]:
        return [
            pairs.compare(f"{title}, {a} − {b}", names, values(a, value) - values(b, value), unit)
            for a, b in pairwise(ARMS)
        ]

    similarity = {arm: values(arm, "kernel_similarity") for arm in ARMS}
    plausible = (
        pairs.compare(f"kernel similarity, no hidden layer − {PLAUSIBLE}", names,
                      similarity["no hidden layer"] - PLAUSIBLE),
        pairs.compare(f"kernel similarity, {PLAUSIBLE} − Double-DIP", names, PLAUSIBLE - similarity["Double-DIP"]),
    )  # fmt: skip
    doubled = {value: values("Double-DIP", value) for value in ("psnr", "ssim")}
    blurry = {value: np.array([run.values["blurry"][value] for run in found["Double-DIP"]]) for value in doubled}
    worse = tuple(
        pairs.compare(f"{title}, blurry − Double-DIP", names, blurry[value] - doubled[value], unit)
        for title, value, unit in (("PSNR", "psnr", "dB"), ("SSIM", "ssim", ""))
    )
    guessed = "Double-DIP's kernel comes by a softmax over the output, as the paper does not say how"
    reduced = ", and ".join(filter(None, (guessed, pairs.reduced(run.job for run in found["1 hidden layer"]))))
    in_words = {arm: f"{pairs.mean(found[arm], 'psnr'):.2f} dB / {pairs.mean(found[arm], 'ssim'):.4f}" for arm in ARMS}
    similar = ", ".join(f"{arm} {similarity[arm].mean():.2f}" for arm in ("no hidden layer", "Double-DIP"))
    return {
        "C1.3": Evidence((*better("PSNR", "psnr", "dB"), *better("SSIM", "ssim")), reduced=reduced,
                         ours=", ".join(f"{arm} {words}" for arm, words in in_words.items())),
        "C1.4": Evidence(plausible, reduced=reduced, ours=f"kernel similarity: {similar}; plausible is here from "
                         f"{PLAUSIBLE} on, a line that we drew"),
        "C1.5": Evidence(worse, reduced=reduced, ours=f"{in_words['Double-DIP']}, blurry "
                         f"{blurry['psnr'].mean():.2f} dB / {blurry['ssim'].mean():.4f}"),
    }  # fmt: skip


STUDY = Study(
    "kernel_network_depth", "Depth of the kernel network (SelfDeblur, Table 2)", "selfdeblur",
    "03_kernel_network_depth", PROFILES, jobs, tables, figures, evidence, claims=("C1.3", "C1.4", "C1.5"),
)  # fmt: skip
