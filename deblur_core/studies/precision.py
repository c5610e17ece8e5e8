"""Is bfloat16 as good as float32? The authors' code computes in float32, our recipes in bfloat16 where it is fast.

Whole runs answer slowly: they are chaotic, and two seeds end decibels apart. So the gradients are compared too, with
a yardstick that the method brings along: it adds fresh noise to its input in every iteration, and whatever changes the
gradient less than another draw of that noise does not matter.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from deblur_core import data
from deblur_core.runs import Context, Job, Result, from_settings, task
from deblur_core.solvers.rounding import gradient_errors
from deblur_core.solvers.selfdeblur import Recipe
from deblur_core.studies import pairs
from deblur_core.studies.study import Figure, Study, Table
from deblur_core.studies.style import PALETTE, subplots

ARMS = ("float32", "bfloat16")
LOOKED_AT = (0.01, 0.05, 0.15, 0.25, 0.5, 0.75, 1.0)
"""Shares of a run at which gradients are compared."""


@dataclass(frozen=True)
class Profile:
    names: tuple[str, ...]
    """Of pairs on which whole runs are compared: a few would say nothing."""
    gradients: tuple[str, ...]
    """Of pairs on which gradients are compared."""
    recipe: Recipe = pairs.LAPTOP
    crop: int = 128


PROFILES = {
    "smoke": Profile(pairs.PAIRS[:2], pairs.PAIRS[:1], pairs.SMOKE, crop=64),
    "laptop": Profile((), pairs.PAIRS[:1]),
    "overnight": Profile(pairs.PAIRS[:16], pairs.PAIRS[:8]),
    "paper": Profile(pairs.PAIRS[:16], pairs.PAIRS[:8]),
}


def jobs(profile: Profile) -> list[Job]:
    runs = [
        pairs.restore_job("builtin", name, replace(profile.recipe, precision=precision), crop=profile.crop)
        for name in profile.names
        for precision in ARMS
    ]
    place = {"dataset": "builtin", "crop": profile.crop, "recipe": asdict(profile.recipe)}
    return runs + [
        Job.create(compare_gradients, data=data.digest("builtin", name), pair=name, **place)
        for name in profile.gradients
    ]


@task(numerics=1)
def compare_gradients(
    context: Context, *, dataset: str, pair: str, crop: int, recipe: dict[str, Any]
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """`solvers.rounding.gradient_errors` along a run of one pair. Always on the CPU."""
    target = pairs.load(dataset, pair, crop)
    chosen = from_settings(Recipe, recipe)
    # The last iteration is one short of the end, for a gradient needs a loss to come.
    at = tuple(max(1, round(share * chosen.iterations) - 1) for share in LOOKED_AT)
    return {"gradients": gradient_errors(target.blurry, target.kernel_size, chosen, at)}, {}


def arms(results: list[Result]) -> dict[str, list[Result]]:
    """Whole runs by their arithmetic. Where a processor lacks bfloat16 they are computed in float32, and left out."""
    runs = [run for run in results if "gradients" not in run.values and run.provenance.get("bfloat16", True)]
    return pairs.arms(runs, ARMS, lambda recipe: recipe["precision"])


def gradients(results: list[Result], name: str) -> np.ndarray:
    """One column of what `compare_gradients` found, `(pair, iteration)`."""
    found = [result.values["gradients"] for result in results if "gradients" in result.values]
    return np.array([[row[name] for row in rows] for rows in found])


def tables(results: list[Result]) -> list[Table]:
    found = arms(results)
    names = [run.job.settings["pair"] for run in found["float32"]]
    rows, made = [], []
    for title, value, digits in pairs.SCORES if names else ():
        single, half = ([run.values[value] for run in found[arm]] for arm in ARMS)
        gain = pairs.compare(title, names, np.subtract(half, single))
        means = (f"{pairs.mean(found[arm], value):.{digits}f}" for arm in ARMS)
        interval = f"{gain.low:+.{digits}f} to {gain.high:+.{digits}f}" if np.isfinite(gain.low) else None
        rows.append((title, *means, f"{gain.effect:+.{digits}f}", interval, f"{gain.n} {gain.of}"))
    if rows:
        made.append(
            Table(
                "bfloat16 against float32",
                ("mean of", "float32", "bfloat16", "difference", "95 % interval", "n"),
                rows,
                f"The same {len(names)} pairs, seeds and recipe; the interval is over pictures or over kernels, "
                "whichever is wider. Single runs scatter by decibels, so it takes many pairs to see little. "
                "Runs on a processor that has no instructions for bfloat16 are left out: they were computed in "
                "float32.",
            )
        )
    rounding, noise = (gradients(results, name) for name in ("rounding", "noise"))
    if len(rounding):
        cosines = (gradients(results, f"{name}_cosine").mean(0) for name in ("rounding", "noise"))
        columns = ("share of the run", "bfloat16 changes it by", "another draw by",
                   "cosine to the float32 gradient: bfloat16", "... another draw", "smaller in")  # fmt: skip
        rows = [
            (f"{at:.0%}", f"{r.mean():.3f}", f"{n.mean():.3f}", f"{a:.3f}", f"{b:.3f}", f"{(r < n).sum()} of {len(r)}")
            for at, r, n, a, b in zip(LOOKED_AT, rounding.T, noise.T, *cosines, strict=True)
        ]
        made.append(
            Table(
                "Rounding and the method's own noise, in the gradient",
                columns,
                rows,
                "Relative change of the image network's gradient: by computing it in bfloat16, and by another draw of "
                f"the noise that every iteration adds to z_x. Means over {len(rounding)} pairs.",
            )
        )
    return made


def figures(results: list[Result]) -> list[Figure]:
    found, rounding = arms(results), gradients(results, "rounding")
    if not found["float32"] or not len(rounding):
        return []
    figure, ((left, right),) = subplots(1, 2, width=3.4, height=3.4)
    pairs.scatter(left, found["float32"], found["bfloat16"], ARMS)
    for name, label, color in (("noise", "another draw of the noise", "0.5"), ("rounding", "bfloat16", PALETTE[0])):
        right.plot(LOOKED_AT, gradients(results, name).T, color=color, linewidth=1)
        right.plot([], [], color=color, label=label)
    right.set(xlabel="share of the run", ylabel="relative change of the gradient", yscale="log")
    right.legend()
    caption = (
        "Left, each dot is one pair: runs scatter around the line, to both sides of it. Right, each line is a pair: "
        "rounding changes a gradient less than the noise that the method adds in every iteration."
    )
    return [Figure("precision", figure, caption)]


STUDY = Study(
    "precision", "bfloat16 against float32 (SelfDeblur)", "selfdeblur", "07_auditing_the_numbers",
    PROFILES, jobs, tables, figures,
)  # fmt: skip
