"""Joint against alternating optimisation (SelfDeblur, Table 1; claims C1.1 and C1.2)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from deblur_core import metrics
from deblur_core.runs import Job, Result, from_settings
from deblur_core.solvers import selfdeblur
from deblur_core.solvers.selfdeblur import RECIPES, Recipe
from deblur_core.studies import pairs
from deblur_core.studies.claims import Comparison, Evidence
from deblur_core.studies.pairs import PAIRS, mean_over_pairs, over_pairs
from deblur_core.studies.printed import TABLE_1
from deblur_core.studies.study import Figure, Study, Table
from deblur_core.studies.style import PALETTE, subplots


@dataclass(frozen=True)
class Profile:
    """Every pair once; the first `repeated` pairs again with each of `more_seeds`."""

    dataset: str
    names: tuple[str, ...]
    recipe: Recipe
    crop: int | None = None
    repeated: int = 0
    more_seeds: tuple[int, ...] = ()

    def runs(self) -> list[tuple[str, int]]:
        return [(name, 0) for name in self.names] + [
            (name, seed) for seed in self.more_seeds for name in self.names[: self.repeated]
        ]


PROFILES = {
    "smoke": Profile("builtin", PAIRS[:2], pairs.SMOKE, crop=64),
    "laptop": Profile("builtin", PAIRS[:8], pairs.LAPTOP, crop=128),
    "overnight": Profile("levin", PAIRS, RECIPES["quick"], repeated=8, more_seeds=(1, 2)),
    "paper": Profile("levin", PAIRS, RECIPES["released"]),
}
ARMS = ("joint", "alternating")


def jobs(profile: Profile) -> list[Job]:
    return [
        pairs.restore_job(
            profile.dataset, name, replace(profile.recipe, alternating=arm == "alternating"), seed, profile.crop
        )
        for name, seed in profile.runs()
        for arm in ARMS
    ]


def arms(results: list[Result]) -> dict[str, list[Result]]:
    return pairs.arms(results, ARMS, lambda recipe: "alternating" if recipe["alternating"] else "joint")


COLUMNS = ("source", "optimisation", "PSNR (dB)", "SSIM", "PSNR ±5", "SSIM ±5")
COLUMNS += ("kernel similarity", "delta kernels", "failed")
CAPTION = (
    "PSNR and SSIM after alignment to a quarter pixel within 10 px, and (±5) within the 5 px of the paper's time; "
    "15 px border left out. A kernel counts as a delta when more than 90 % of its mass lies within 3x3 px; a run has "
    "failed when it gains less than 3 dB. The seeds of a pair are averaged first, as in the interval of the claim."
)


def tables(results: list[Result]) -> list[Table]:
    rows: list[tuple[object, ...]] = [
        ("paper", f"{arm} (SelfDeblur-{arm[0].upper()})", None, None, f"{psnr:.2f}", f"{ssim:.4f}", *[None] * 3)
        for arm, (psnr, ssim) in TABLE_1.items()
    ]
    found = arms(results)
    if found["joint"]:
        rows += [_row(arm, found[arm]) for arm in reversed(ARMS)]
        psnr = mean_over_pairs(found["joint"], lambda run: run.values["blurry"]["psnr"])
        ssim = mean_over_pairs(found["joint"], lambda run: run.values["blurry"]["ssim"])
        rows.append(("this code", "blurry input", f"{psnr:.2f}", f"{ssim:.4f}", *[None] * 5))
    caption = CAPTION + recipes_in_words(run.job.settings["recipe"] for runs in found.values() for run in runs)
    return [Table("Joint against alternating optimisation", COLUMNS, rows, caption), *_range_table(results)]


def range_gain(run: Result) -> float:
    """What a search for the place within 10 px finds that one within 5 px does not, in dB."""
    return run.values["psnr"] - run.values["narrow"]["psnr"]


def _range_table(results: list[Result]) -> Iterator[Table]:
    rows = [
        (run.job.settings["pair"], run.job.settings["seed"],
         "alternating" if run.job.settings["recipe"]["alternating"] else "joint",
         f"{run.values['narrow']['psnr']:.2f}", f"{run.values['psnr']:.2f}", f"{range_gain(run):+.2f}")
        for run in sorted(results, key=range_gain, reverse=True) if range_gain(run) > 0.1
    ]  # fmt: skip
    if rows:
        yield Table(
            "The same results, two search ranges",
            ("pair", "seed", "optimisation", "within 5 px (dB)", "within 10 px (dB)", "difference"),
            rows,
            f"Those of {len(results)} runs whose score depends on the range by more than 0.1 dB: picture and kernel "
            "drifted apart by more than 5 px. The mean over all runs rises by "
            f"{np.mean([range_gain(run) for run in results]):.2f} dB.",
        )


def recipes_in_words(recipes: Iterable[dict[str, Any]], start: str = "SelfDeblur ran by") -> str:
    """A sentence for a caption: the recipes in the settings of SelfDeblur's jobs; nothing where there are none."""
    words = sorted({selfdeblur.in_words(from_settings(Recipe, recipe)) for recipe in recipes})
    return f" {start} {' and '.join(words)}." if words else ""


def _row(arm: str, runs: list[Result]) -> tuple[object, ...]:
    def mean(value: Callable[[Result], float]) -> float:
        return mean_over_pairs(runs, value)

    return (
        f"this code, {len(over_pairs(runs, pairs.collapsed))} pairs, {len(runs)} runs",
        arm,
        f"{mean(lambda run: run.values['psnr']):.2f}",
        f"{mean(lambda run: run.values['ssim']):.4f}",
        f"{mean(lambda run: run.values['narrow']['psnr']):.2f}",
        f"{mean(lambda run: run.values['narrow']['ssim']):.4f}",
        f"{mean(lambda run: run.values['kernel_similarity']):.3f}",
        f"{mean(pairs.collapsed):.0%}",
        f"{mean(pairs.failed):.0%}",
    )


def figures(results: list[Result]) -> list[Figure]:
    found = arms(results)
    if not found["joint"]:
        return []
    figure, ((scatter, curves),) = subplots(1, 2, width=3.6, height=3.2)
    pairs.scatter(scatter, found["alternating"], found["joint"], ("alternating", "joint"))
    for arm, color in zip(("joint", "alternating"), PALETTE, strict=False):
        iterations, values = pairs.curves_of_pairs(found[arm], "psnr")
        curves.plot(iterations, values.mean(0), color=color, label=arm)
        curves.fill_between(
            iterations, *np.quantile(values, (0.25, 0.75), axis=0), color=color, alpha=0.15, linewidth=0
        )
    curves.set(xlabel="iteration", ylabel="PSNR (dB), mean and quartiles")
    curves.legend()
    return [
        Figure(
            "joint_vs_alternating",
            figure,
            "Left: each dot is one picture-kernel pair and seed; above the line joint optimisation wins. "
            "Right: how both get there, mean and middle half of the pairs. These are single outputs, aligned within "
            "5 px, so a curve may end below the table.",
        )
    ]


def evidence(results: list[Result]) -> dict[str, Evidence]:
    found = arms(results)
    if not found["joint"]:
        return {}
    joint, alternating = found["joint"], found["alternating"]
    names, reduced = [run.job.settings["pair"] for run in joint], pairs.reduced(run.job for run in joint)

    def better(title: str, value: str, unit: str = "") -> Comparison:
        effects = [a.values[value] - b.values[value] for a, b in zip(joint, alternating, strict=True)]
        return pairs.compare(f"{title}, joint − alternating", names, effects, unit)

    ours = " against ".join(
        f"{mean_over_pairs(runs, lambda run: run.values['psnr']):.2f} dB / "
        f"{mean_over_pairs(runs, lambda run: run.values['ssim']):.4f}"
        for runs in (joint, alternating)
    )
    return {
        "C1.1": Evidence((better("PSNR", "psnr", "dB"), better("SSIM", "ssim")), ours=ours, reduced=reduced),
        "C1.2": Evidence(
            (more_collapses(alternating, joint),),
            reduced=reduced,
            ours=f"{pairs.share(alternating, pairs.collapsed):.0%} of alternating and "
            f"{pairs.share(joint, pairs.collapsed):.0%} of joint runs end in a delta",
        ),
    }


def more_collapses(more: list[Result], fewer: list[Result]) -> Comparison:
    """How many more pairs the one arm ends in a delta for than the other, in any of a pair's runs.

    The wider of two intervals counts. That of all comparisons here (`pairs.compare`) knows that pairs share pictures
    and kernels, but has no width where nothing collapses. There, Wilson's limits of both shares are combined (Newcombe,
    Statistics in Medicine 1998, method 10), as if all pairs were independent and the arms had different ones.
    """
    title = "share of pairs with a delta kernel, alternating − joint"
    ends = [{pair: float(share > 0) for pair, share in over_pairs(runs, pairs.collapsed).items()}
            for runs in (more, fewer)]  # fmt: skip
    shared = pairs.compare(title, list(ends[0]), [ends[0][pair] - ends[1][pair] for pair in ends[0]])
    a, b = (metrics.rate_interval(int(sum(found.values())), len(found)) for found in ends)
    low = shared.effect - float(np.hypot(a.effect - a.low, b.high - b.effect))
    high = shared.effect + float(np.hypot(a.high - a.effect, b.effect - b.low))
    return shared if shared.high - shared.low > high - low else Comparison(title, shared.effect, low, high, a.n)


STUDY = Study(
    "joint_vs_alternating",
    "Joint against alternating optimisation (SelfDeblur, Table 1)",
    "selfdeblur",
    "02_joint_vs_alternating",
    PROFILES,
    jobs,
    tables,
    figures,
    evidence,
    claims=("C1.1", "C1.2"),
)
