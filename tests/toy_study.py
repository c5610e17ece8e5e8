"""A study that takes milliseconds, for the tests of whatever stands on studies."""

from dataclasses import dataclass

import numpy as np

from deblur_core.runs import Job, task
from deblur_core.studies import PROFILES, Figure, Study, Table
from deblur_core.studies.claims import Evidence, paired
from deblur_core.studies.style import show_image, subplots


@dataclass(frozen=True)
class Size:
    pairs: int
    advantage: float = 2.0
    fail_at: int = -1


@task()
def measure(context, *, dataset, pair, seed, advantage, fails):
    if fails:
        raise RuntimeError("no luck")
    noise = np.random.default_rng([seed, *pair.encode()]).normal()
    return {"joint": 30 + advantage + noise / 10, "alternating": 30.0}, {"x": np.full((4, 4), 0.5)}


def jobs(size):
    return [
        Job.create(measure, dataset="toys", pair=f"p{i}", seed=0, advantage=size.advantage, fails=i == size.fail_at)
        for i in range(size.pairs)
    ]


def values(results, name):
    return [result.values[name] for result in results]


def tables(results):
    return [Table("Toys", ("arm", "PSNR | dB"), [(arm, f"{np.mean(values(results, arm)):.2f}") for arm in
                                                 ("joint", "alternating")], "More is better.")]  # fmt: skip


def figures(results):
    figure, ((curve,),) = subplots()
    curve.plot(values(results, "joint"))
    curve.set(xlabel="toy", ylabel="PSNR (dB)")
    drawn = [Figure("curve", figure, "Look at the height.")]
    for result in results[:1]:
        if result.arrays:
            figure, ((panel,),) = subplots()
            show_image(panel, result.arrays["x"], "toy")
            drawn.append(Figure("picture", figure, "Look at the grey."))
    return drawn


def evidence(results):
    arms = (values(results, arm) for arm in ("joint", "alternating"))
    groups = [result.job.settings["pair"] for result in results]
    return {"C1.1": Evidence((paired("PSNR", *arms, groups, "dB"),), ours="toys")}


def toy(name="toy", claims=("C1.1",), **sizes):
    """A study with this name; sizes by profile, three pairs of its own where none is given."""
    profiles = {profile: sizes.get(profile, Size(3, 1.1 + i / 10)) for i, profile in enumerate(PROFILES)}
    return Study(name, "A toy", "selfdeblur", "99_toy", profiles, jobs, tables, figures, evidence, claims)
