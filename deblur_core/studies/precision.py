"""Is bfloat16 as good as float32 here? The paper computes in float32; all other runs of this code in bfloat16."""

from __future__ import annotations

from dataclasses import dataclass, replace

from deblur_core.runs import Job, Result
from deblur_core.solvers.selfdeblur import Recipe
from deblur_core.studies import pairs
from deblur_core.studies.claims import Evidence, paired
from deblur_core.studies.study import Figure, Study, Table
from deblur_core.studies.style import subplots

ARMS = ("float32", "bfloat16")


@dataclass(frozen=True)
class Profile:
    names: tuple[str, ...]
    recipe: Recipe = pairs.LAPTOP
    crop: int = 128


PROFILES = {
    "smoke": Profile(pairs.PAIRS[:2], pairs.SMOKE, crop=64),
    "laptop": Profile(pairs.PAIRS[:4]),
    "overnight": Profile(pairs.PAIRS[:16]),
    "paper": Profile(pairs.PAIRS[:16]),
}


def jobs(profile: Profile) -> list[Job]:
    return [
        pairs.restore_job("builtin", name, replace(profile.recipe, precision=precision), crop=profile.crop)
        for name in profile.names
        for precision in ARMS
    ]


def arms(results: list[Result]) -> dict[str, list[Result]]:
    return pairs.arms(results, ARMS, lambda recipe: recipe["precision"])


def tables(results: list[Result]) -> list[Table]:
    found = arms(results)
    groups = [pairs.run_of(run)[0] for run in found["float32"]]
    rows = []
    for title, value, digits in pairs.SCORES if groups else ():
        single, half = ([run.values[value] for run in found[arm]] for arm in ARMS)
        gain = paired(title, half, single, groups)
        means = (f"{pairs.mean(found[arm], value):.{digits}f}" for arm in ARMS)
        interval = f"{gain.low:+.{digits}f} to {gain.high:+.{digits}f}"
        rows.append((title, *means, f"{gain.effect:+.{digits}f}", interval, gain.n))
    return [
        Table(
            "bfloat16 against float32",
            ("mean of", "float32", "bfloat16", "difference", "95 % interval", "pairs"),
            rows,
            "The same pairs, seeds and recipe. An interval around zero, narrow beside the scatter of single runs, says "
            "that the faster arithmetic loses nothing.",
        )
    ]


def figures(results: list[Result]) -> list[Figure]:
    found = arms(results)
    if not found["float32"]:
        return []
    figure, ((axes,),) = subplots(width=3.4, height=3.4)
    pairs.scatter(axes, found["float32"], found["bfloat16"], ARMS)
    caption = "Each dot is one pair: runs scatter around the line, to both sides of it alike."
    return [Figure("precision", figure, caption)]


def evidence(results: list[Result]) -> dict[str, Evidence]:
    return {}


STUDY = Study(
    "precision", "bfloat16 against float32 (SelfDeblur)", "selfdeblur", "01_selfdeblur",
    PROFILES, jobs, tables, figures, evidence,
)  # fmt: skip
