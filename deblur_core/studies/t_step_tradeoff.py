"""Perception against distortion in the number of steps T and the schedule, all from one set of weights.

Whang et al., "Deblurring via Stochastic Refinement", CVPR 2022: Figure 1 and Table 1 (C3.1 to C3.3), Table 2 (other
pictures than those of the training; C3.4), Figure 6 (quality against time, with and without an initial predictor;
C3.8), and what averaging weights does for plain regression in Table 4 (C3.6).

LPIPS, NIQE and KID take weights of others. Where these are missing, the distance of local contrasts stands in the
figures, and the columns say that they are not available.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from deblur_core import metrics
from deblur_core.data.training_pairs import Blur
from deblur_core.models.counting import count_parameters
from deblur_core.models.diffusion import START_SIGNAL, TRAINING, strided
from deblur_core.models.refinement import Design, preset
from deblur_core.runs import Context, Job, Result, from_settings, task
from deblur_core.solvers.refinement import refine
from deblur_core.studies import learning, refining
from deblur_core.studies.claims import Comparison, Evidence, paired
from deblur_core.studies.learning import Pictures
from deblur_core.studies.refining import (
    KID,
    LPIPS,
    NIQE,
    PERCEPTUAL,
    blurred,
    picture_of,
    show_picture,
    shown_pair,
)
from deblur_core.studies.study import Figure, Study, Table, of_task, with_interval
from deblur_core.studies.style import PALETTE, subplots
from deblur_core.training import Settings

Steps = tuple[int, float | None]
"""T, and the last of linear betas; None: the training schedule in fewer steps."""
TEXTURE = "texture"
NOT_AVAILABLE = "not available"


@dataclass(frozen=True)
class Rivals:
    """Networks that are trained alike, seed by seed, and what they are judged by."""

    designs: tuple[Design, ...]
    pictures: Pictures
    settings: Settings
    seeds: tuple[int, ...]

    def jobs(self) -> list[Job]:
        return [
            refining.train_job(design, self.pictures, self.settings, seed)
            for seed in self.seeds
            for design in self.designs
        ]


def ends_in_noise(steps: Steps) -> bool:
    """Whether sampling may start from pure noise."""
    return refining.schedule(*steps).alpha_bars[-1].item() <= START_SIGNAL


@dataclass(frozen=True)
class Profile:
    """network, regression: shipped weights, else the first that `direct` and `averaged` train.

    pictures, elsewhere: to be judged by, the latter unlike those of the training; their blur is taken from the card of
    the weights. grid: schedules of which one sample is drawn; few: that of which `samples` are, and averaged. direct:
    with initial predictor, and without; times: T of their samples. averaged: plain regressions. measures: those that
    need weights of others, and are left out where these are missing unless `download`.
    """

    network: str
    regression: str
    pictures: Pictures
    elsewhere: Pictures
    parts: int
    grid: tuple[Steps, ...]
    few: Steps
    samples: int
    direct: Rivals | None = None
    times: tuple[int, ...] = ()
    averaged: Rivals | None = None
    measures: tuple[str, ...] = ()
    download: bool = False


# As in the paper, the predictor is twice as wide as the denoiser, which without one is as wide as the predictor.
_SMALL = (
    replace(preset("small"), denoiser_width=8, residual_scale=8.0),  # about as large as the pictures themselves
    replace(preset("small"), predictor_width=0, residual_scale=1.0, predictor_weight=0.0),
    replace(preset("small"), denoiser_width=8),
)
_TINY = (Design(4, 4, (1, 2), blocks=1, residual_scale=4.0), Design(0, 4, (1, 2), blocks=1),
         Design(4, 4, (1, 2), blocks=1, residual_scale=None, predictor_weight=100.0))  # fmt: skip
_SHORT = Blur(size=7, kinds=("x",), count=8, shortest=4.0)
_STRIDED = tuple((steps, None) for steps in (5, 10, 20, 50, 100))
_LINEAR = ((10, 0.5), (20, 0.5), (50, 0.2), (100, 0.1))
_SMOKE = Settings(steps=3, batch=2, crop=32, precision="float32", validate_every=2)
_RIVALS = Settings(steps=1000, batch=4, crop=64, learning_rate=1e-3, warm_up=100, clip=1.0, validate_every=1000)
# A constant rate: a rate that falls to zero averages the last steps, too.
_CONSTANT = replace(_RIVALS, steps=2000, schedule="constant", learning_rate=5e-4)
_PAPER = Settings(steps=1_000_000, batch=32, learning_rate=1e-4, schedule="constant", clip=1.0, average=0.9999,
                  validate_every=5000)  # fmt: skip
_ELSEWHERE = Pictures(held_out=("elsewhere",), crop=128)
_PHOTOGRAPHS = Pictures(("builtin", "CBSD68"), ("Kodak24",), crop=256, blur=refining.MIXED)
PROFILES = {
    "smoke": Profile(
        "", "", Pictures(crop=32, blur=_SHORT), replace(_ELSEWHERE, crop=32, blur=_SHORT), 1,
        grid=((3, None), (4, 0.9)), few=(2, None), samples=2,
        direct=Rivals(_TINY, Pictures(crop=32, blur=_SHORT), _SMOKE, (0,)), times=(2, 3),
        averaged=Rivals((Design(4, 0, (1, 2), blocks=1),), Pictures(crop=32, blur=_SHORT), _SMOKE, (0,)),
    ),
    "laptop": Profile(
        "refinement", "refinement_regression", Pictures(crop=192), _ELSEWHERE, 3,
        grid=(*_STRIDED, *_LINEAR), few=(10, 0.5), samples=8, measures=(LPIPS, NIQE),
    ),
    "overnight": Profile(
        "refinement", "refinement_regression", replace(_PHOTOGRAPHS, crop=192), _ELSEWHERE, 12,
        grid=(*_STRIDED, (200, None), *_LINEAR[:3]), few=(10, 0.5), samples=16,
        direct=Rivals(_SMALL, replace(_PHOTOGRAPHS, crop=128), _RIVALS, (0, 1, 2)), times=(5, 10, 20, 50, 100),
        averaged=Rivals((preset("small_regression"),), replace(_PHOTOGRAPHS, crop=128), _CONSTANT, (0, 1, 2)),
        measures=PERCEPTUAL, download=True,
    ),
    "paper": Profile(
        "", "", replace(_PHOTOGRAPHS, crop=None), replace(_ELSEWHERE, blur=refining.MIXED), 12,
        grid=tuple((steps, last) for steps in (10, 20, 30, 50, 100, 200, 300, 500)
                   for last in (0.02, 0.05, 0.1, 0.2, 0.5) if ends_in_noise((steps, last))),
        few=(10, 0.5), samples=64, direct=Rivals((Design(), Design(0, 64)), _PHOTOGRAPHS, _PAPER, (0,)),
        times=(10, 20, 50, 100, 200, 500),
        averaged=Rivals((Design(denoiser_width=0),), _PHOTOGRAPHS, _PAPER, (0, 1, 2)),
        measures=PERCEPTUAL, download=True,
    ),
}  # fmt: skip


def jobs(profile: Profile) -> list[Job]:
    """Those that judge come last: they build on the others."""
    trained = [rivals.jobs() if rivals else [] for rivals in (profile.direct, profile.averaged)]
    network, regression = (
        shipped or made[0] for shipped, made in zip((profile.network, profile.regression), trained, strict=True)
    )
    blur = refining.learnt_blur(network, profile.pictures.blur)
    here, elsewhere = (replace(pictures, blur=blur) for pictures in (profile.pictures, profile.elsewhere))
    measures = [name for name in profile.measures if profile.download or metrics.available(name)[0]]
    comparing = [name for name in measures if name == LPIPS]  # of few or small pictures the others tell little
    restored, judged = [], []
    strided_ones = [schedule for schedule in profile.grid if schedule[1] is None]
    for pictures, grid, by, parts in (
        (here, profile.grid, measures, profile.parts),
        (elsewhere, strided_ones, comparing, max(1, profile.parts // 3)),
    ):
        predictions = [refining.predict_job(made, pictures) for made in (network, regression)]
        groups = [([job], "initial", 0) for job in predictions]
        groups += [(predictions[:1], array, 0) for array in ("blurry", "sharp")]
        for (steps, last), samples in [*((schedule, 1) for schedule in grid), (profile.few, profile.samples)]:
            runs = refining.restore_jobs(network, pictures, parts=parts, steps=steps, last=last, samples=samples)
            restored += runs
            groups += [(runs, "means", index) for index in range(samples.bit_length())]
        restored += predictions
        judged += [refining.judge_job(*group, by) for group in groups if by]
    timed = [
        Job.create(quality_over_steps, **refining.job_on(job, profile.direct.pictures), times=profile.times,
                   measures=comparing)
        for job in trained[0]
    ]  # fmt: skip
    return [*trained[0], *trained[1], *restored, *timed, *judged]


@task()
def quality_over_steps(
    context: Context, *, network: str | dict[str, Any], pictures: dict[str, Any], times: list[int], measures: list[str]
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """One sample of every picture, blurred by the first kind of blur alone, in each number of steps.

    Values: `names`, `parameters`; for each T, `macs` of a sample of the last picture, `seconds` of a sample, of the
    processor where there is no GPU, and for each of the names `psnr`, `texture` and, where it is among the measures,
    LPIPS.
    """
    model, chosen = refining.open_network(context, network), from_settings(Pictures, pictures)
    pairs = dict(list(blurred(chosen).items())[:: len(set(chosen.blur.kinds))])
    values: dict[str, Any] = {name: [] for name in ("macs", "seconds", "psnr", TEXTURE, *measures)}
    clock = refining.clock(context)
    for steps in times:
        scored, seconds = [], 0.0
        for y, x in pairs.values():
            started = clock()
            estimate = refine(model, y, strided(TRAINING, steps), device=context.device).samples[:, 0]
            seconds += clock() - started
            learned = {name: metrics.lpips(estimate, x).item() for name in measures}
            scored.append(refining.score(estimate, x) | learned)
        for name in ("psnr", TEXTURE, *measures):
            values[name].append([scores[name] for scores in scored])
        values["macs"].append(refining.multiply_adds(model, y.shape, steps))
        values["seconds"].append(seconds / len(pairs))
    return values | {"names": list(pairs), "parameters": count_parameters(model)}, {}


# Results


@dataclass(frozen=True)
class Row:
    """One way to restore: its scores by measure and name of the picture, and 1000 KID, its mean and standard deviation
    over subsets."""

    scores: dict[str, dict[str, float]]
    kid: tuple[float, float] | None = None

    def mean(self, measure: str) -> float | None:
        """Over the pictures; None where it was not measured."""
        if measure == KID:
            return self.kid and self.kid[0]
        return float(np.mean(list(self.scores[measure].values()))) if self.scores.get(measure) else None

    def cell(self, measure: str, digits: int) -> str:
        value = self.mean(measure)
        spread = f" ± {self.kid[1]:.{digits}f}" if measure == KID and self.kid else ""
        return NOT_AVAILABLE if value is None else f"{value:.{digits}f}{spread}"


def steps_of(run: Result) -> Steps:
    return run.job.settings["steps"], run.job.settings["last"]


def is_elsewhere(run: Result) -> bool:
    return run.job.settings["pictures"]["held_out"] == ["elsewhere"]


def rows_of(results: list[Result], elsewhere: bool = False) -> dict[Any, Row]:
    """By what they are: "blurry", "sharp", "initial", "regression"; by (T, last beta), single samples; by a number,
    means of so many samples in few steps."""
    marks = {}
    for run in of_task(results, refining.judge):
        settings = run.job.settings
        marks[Job.from_json(settings["of"][0]), settings["array"], settings["index"]] = run.values

    def row(scores: dict[str, dict[str, float]], *mark: Any) -> Row:
        judged = marks.get(mark, {})
        scores |= {name: dict(zip(judged["names"], judged[name], strict=True)) for name in (LPIPS, NIQE)
                   if name in judged}  # fmt: skip
        return Row(scores, (1000 * judged[KID][0], 1000 * judged[KID][1]) if KID in judged else None)

    found: dict[Any, Row] = {}
    ours = [run for run in of_task(results, refining.restore) if is_elsewhere(run) == elsewhere]
    for run in of_task(results, refining.predict):
        if is_elsewhere(run) != elsewhere or not ours:
            continue
        own = run.job.settings["network"] == ours[0].job.settings["network"]
        found["initial" if own else "regression"] = row(_transposed(run.values, "initial"), run.job, "initial", 0)
        if own:
            found["blurry"] = row(_transposed(run.values, "blurry"), run.job, "blurry", 0)
            found["sharp"] = row({}, run.job, "sharp", 0)
    for runs in _by_schedule(ours):
        names, averages = ([entry for run in runs for entry in run.values[key]] for key in ("names", "averages"))
        for index, count in enumerate(refining.doublings(runs[0].job.settings["samples"])):
            key = steps_of(runs[0]) if runs[0].job.settings["samples"] == 1 else count
            values = {"names": names, "means": [scores[str(count)] for scores in averages]}
            found[key] = row(_transposed(values, "means"), runs[0].job, "means", index)
    return found


def _transposed(values: dict[str, Any], key: str) -> dict[str, dict[str, float]]:
    """From scores by measure, picture by picture, to scores by picture, measure by measure."""
    return {
        measure: {name: scores[measure] for name, scores in zip(values["names"], values[key], strict=True)}
        for measure in values[key][0]
    }


def _by_schedule(restored: list[Result]) -> list[list[Result]]:
    found: dict[Any, list[Result]] = {}
    for run in restored:
        found.setdefault((steps_of(run), run.job.settings["samples"]), []).append(run)
    return list(found.values())


def averaged(rows: dict[Any, Row]) -> int:
    """The largest number of samples that were averaged; 0 where none were."""
    return max((key for key in rows if isinstance(key, int)), default=0)


def most_steps(schedules: Iterable[Any]) -> Steps | None:
    """Of the schedules among these, each (T, last beta); of several with most steps the training schedule's."""
    return max(
        (key for key in schedules if isinstance(key, tuple)), key=lambda key: (key[0], key[1] is None), default=None
    )


def perception(rows: dict[Any, Row]) -> str:
    """LPIPS where it was measured, else what stands in for it."""
    return LPIPS if any(row.scores.get(LPIPS) for row in rows.values()) else TEXTURE


def best_perception(rows: dict[Any, Row], among: Iterable[Any] = ()) -> tuple[Steps, Row] | None:
    """Single samples by the schedule that is nearest to sharp pictures in perception, as the paper chose its own, and
    the schedule. For every picture it is chosen by all the others; shown is what is chosen most often.

    among: schedules, of which only these may be chosen; none: all.
    """
    singles = {key: row for key, row in rows.items() if isinstance(key, tuple) and (not among or key in among)}
    if not singles:
        return None
    measure, choices = perception(singles), {}
    names = sorted(set.intersection(*(set(row.scores.get(measure, {})) for row in singles.values())))
    for name in names:
        others = [other for other in names if picture_of(other) != picture_of(name)] or names
        choices[name] = min(singles, key=lambda key: np.mean([singles[key].scores[measure][other] for other in others]))
    if not choices:
        return None
    most = max(singles, key=lambda key: list(choices.values()).count(key))
    scores = {
        measure: {name: singles[key].scores[measure][name] for name, key in choices.items()}
        for measure in singles[most].scores
    }
    return most, Row(scores, singles[most].kid)


def ends_of(rows: dict[Any, Row], schedule: Steps | None = None) -> dict[str, tuple[str, Row]]:
    """The ways to restore that the paper's Table 1 compares, by name, each with its label.

    schedule: of "single", single samples; None: that of best perception. "many" has most steps.
    """
    single = (schedule, rows[schedule]) if schedule in rows else best_perception(rows)
    many, count = most_steps(rows), averaged(rows)
    found = {name: (label, rows.get(name)) for name, label in LABELS.items()}
    if count > 1:
        found["averaged"] = (f"mean of {count} samples, few steps", rows[count])
    if single:
        found["single"] = (f"one sample, best T (mostly {single[0][0]})", single[1])
    if many and single and many != single[0]:
        found["many"] = (f"one sample, most steps ({many[0]})", rows[many])
    found["sharp"] = ("sharp picture", rows.get("sharp"))
    return {name: (label, row) for name, (label, row) in found.items() if row}


LABELS = {"blurry": "blurry picture", "regression": "plain regression", "initial": "initial prediction"}


# The law of averaging


def decompose(mse: dict[int, float]) -> tuple[float, float]:
    """(a, b) of mse(n) = a + b / n by least squares: the squared error of an endless average, and the variance of the
    sampler. A perfect sampler has b = a."""
    b, a = np.polyfit([1 / n for n in mse], list(mse.values()), 1)
    return float(a), float(b)


def averages_of(rows: dict[Any, Row]) -> dict[int, Row]:
    return {key: rows[key] for key in sorted(key for key in rows if isinstance(key, int))}


# Quality against time


Curve = tuple[Sequence[float], Sequence[float]]
"""Costs that rise, and the distances, the lower the better, that they reach."""


def cost_of(distance: float, curve: Curve) -> tuple[float, float]:
    """What it takes to get as near as `distance`, at least and at most: where the curve first crosses it, straight
    between logarithms of costs. A curve that begins as near might have done it for less than its first cost; one that
    never gets there costs infinitely much."""
    costs, reached = curve
    if reached[0] <= distance:
        return 0.0, costs[0]
    for i in range(1, len(costs)):
        if reached[i] <= distance:
            share = (reached[i - 1] - distance) / (reached[i - 1] - reached[i])
            return (float(costs[i - 1] * (costs[i] / costs[i - 1]) ** share),) * 2
    return math.inf, math.inf


def speed_up(ours: Curve, theirs: Curve) -> tuple[float, float]:
    """How many times less we pay for the best quality that both reach, at least and at most."""
    both = max(min(ours[1]), min(theirs[1]))
    (our_least, our_most), (their_least, their_most) = cost_of(both, ours), cost_of(both, theirs)
    return their_least / our_most, their_most / our_least if our_least else math.inf


def timed(results: list[Result]) -> dict[int, dict[bool, Result]]:
    """By seed, with (True) and without (False) an initial predictor."""
    return _by_seed(results, lambda design: design["predictor_width"] > 0 if design["residual_scale"] else None)


def in_units(results: list[Result]) -> dict[int, dict[bool, Result]]:
    """By seed, with predictor: residuals in units of the local contrast (True), or in one unit everywhere (False)."""
    return _by_seed(results, lambda design: design["residual_scale"] is None if design["predictor_width"] else None)


def _by_seed(results: list[Result], arm: Callable[[dict[str, Any]], bool | None]) -> dict[int, dict[bool, Result]]:
    """Seeds of which there are both arms; a design is in no arm where `arm` says None."""
    found: dict[int, dict[bool, Result]] = {}
    for run in of_task(results, quality_over_steps):
        trained = run.job.settings["network"]["settings"]
        if (which := arm(trained["design"])) is not None:
            found.setdefault(trained["seed"], {})[which] = run
    return {seed: arms for seed, arms in found.items() if len(arms) == 2}


def quality_of(run: Result) -> str:
    """LPIPS, or what stands in for it."""
    return LPIPS if LPIPS in run.values else TEXTURE


def curve_of(run: Result, cost: str = "macs") -> Curve:
    return run.values[cost], [float(np.mean(scores)) for scores in run.values[quality_of(run)]]


# Tables


MEASURES = (("psnr", "PSNR (dB)", 2), ("ssim", "SSIM", 3), (TEXTURE, "texture distance", 2), (LPIPS, LPIPS, 3),
            (NIQE, NIQE, 2), (KID, f"1000 {KID}", 1))  # fmt: skip


def tables(results: list[Result]) -> list[Table]:
    rows = rows_of(results)
    drawn = [_ends_table(ends_of(rows), "The two ends, and between them"), _grid_table(rows), _averaging_table(rows)]
    drawn += [_steps_table(rows), _cost_table(results)]
    drawn += [_ends_table(ends_elsewhere(results), "Pictures of another kind"), _time_table(results)]
    drawn += [_units_table(results)]
    return [table for table in [*drawn, _weights_table(results)] if table]


def ends_elsewhere(results: list[Result]) -> dict[str, tuple[str, Row]]:
    """On pictures of another kind, with the schedule that was best on those of the same kind as the training's."""
    rows, elsewhere = rows_of(results), rows_of(results, elsewhere=True)
    chosen = best_perception(rows, among=elsewhere)
    return ends_of(elsewhere, chosen and chosen[0])


def _ends_table(ends: dict[str, tuple[str, Row]], title: str) -> Table | None:
    if not ends:
        return None
    cells = []
    for name, (label, row) in ends.items():
        of_truth = {"psnr": "∞", "ssim": "1.000", TEXTURE: "0.00"} if name == "sharp" else {}
        cells.append((label, *(of_truth.get(name) or row.cell(name, digits) for name, _, digits in MEASURES)))
    caption = (
        f"{len(next(iter(ends.values()))[1].scores['psnr'])} blurry pictures; one set of weights for all but the "
        "regression, whose predictor is as large. Best T: by LPIPS or else the texture distance, of other pictures. "
        "Texture distance: between the distributions of differences of neighbouring pixels and those of the sharp "
        "picture, in grey levels. Lower is better, except for PSNR and SSIM."
    )
    if any(row.kid for _, row in ends.values()):
        caption += (
            " KID: mean ± standard deviation over subsets. Both sets show the same pictures, so it is no estimate "
            "between independent sets: its level means nothing, and a perfect restoration would have the sharp "
            "pictures' own value, in the last row."
        )
    if any(row.scores.get(NIQE) for _, row in ends.values()):
        caption += " NIQE below that of the sharp pictures is no better."
    return Table(title, ("restoration", *(label for _, label, _ in MEASURES)), cells, caption)


def _grid_table(rows: dict[Any, Row]) -> Table | None:
    singles = {key: row for key, row in rows.items() if isinstance(key, tuple)}
    if not singles:
        return None
    measure = perception(singles)
    lasts = sorted({last for _, last in singles}, key=lambda last: (last is not None, last or 0))
    cells = []
    for steps in sorted({steps for steps, _ in singles}):
        shown = [singles.get((steps, last)) for last in lasts]
        cells.append((steps, *(row and f"{row.cell('psnr', 2)} / {row.cell(measure, 3)}" for row in shown)))
    names = ["training schedule, strided" if last is None else f"linear to {last:g}" for last in lasts]
    caption = (
        f"PSNR in dB / {measure if measure == LPIPS else 'texture distance'} of one sample. Schedules that do not end "
        "in noise, where sampling starts, are left out."
    )
    return Table("Steps and schedules, one set of weights", ("T", *names), cells, caption)


def _averaging_table(rows: dict[Any, Row]) -> Table | None:
    averages = averages_of(rows)
    if len(averages) < 2:
        return None
    a, b = mean_law(averages)
    cells, before = [], None
    for count, row in averages.items():
        gain = before and better("", "psnr", row, before, "dB")
        before = row
        cells.append((
            count, row.cell("psnr", 2), gain and with_interval(gain),
            f"{row.mean('mse') / a:.3f}", f"{1 + b / a / count:.3f}", f"{1 + 1 / count:.3f}", row.cell(TEXTURE, 2),
            row.cell(LPIPS, 3),
        ))  # fmt: skip
    caption = (
        "Squared error in units of that of an endless average, as fitted by a + b / n. A perfect sampler has b = a; "
        f"this one has b = {b / a:.2f} a: {_meaning(a, b)}"
    )
    columns = ("samples averaged", "PSNR (dB)", "above half as many [95 %]", "squared error", "fit", "perfect, 1 + 1/n",
               "texture distance", LPIPS)  # fmt: skip
    return Table("The law of averaging", columns, cells, caption)


def _meaning(a: float, b: float) -> str:
    """Of the two numbers of `decompose`, in words."""
    if b >= a:
        return "samples vary at least as much as their mean is off."
    return (
        "samples vary less than their mean is off. Either they vary less than what is unknown, or the mean has an "
        "error of its own, which averaging cannot remove; the two numbers cannot tell which."
    )


def _steps_table(rows: dict[Any, Row]) -> Table | None:
    """What more steps are worth in the eyes of a network."""
    strided_ = {key: rows[key] for key in sorted(key for key in rows if isinstance(key, tuple) and key[1] is None)}
    rivals = {label: rows.get(name) for name, label in LABELS.items()}
    rivals[f"mean of {averaged(rows)}"] = rows.get(averaged(rows))
    if not strided_ or not all(row and row.scores.get(LPIPS) for row in (*strided_.values(), *rivals.values())):
        return None
    cells = []
    for (steps, _), row in strided_.items():
        gains = (better("", LPIPS, row, rival) for rival in rivals.values() if rival)
        cells.append((steps, row.cell(LPIPS, 3), *(with_interval(gain, 3) for gain in gains)))
    caption = (
        f"{LPIPS}, lower is better: of one sample by the training schedule in T steps, and how far below each rival it "
        "is, with 95 % intervals, paired by picture."
    )
    columns = ("T", LPIPS, *(f"below {name} [95 %]" for name in rivals))
    return Table("What more steps are worth", columns, cells, caption)


def _cost_table(results: list[Result]) -> Table | None:
    """Processor time in units of that of the fewest steps and the smaller pictures."""
    runs = {}
    for run in of_task(results, refining.restore):
        if run.job.settings["samples"] == 1 and run.job.settings["last"] is None and not run.provenance.get("gpu"):
            runs.setdefault((is_elsewhere(run), run.job.settings["steps"]), []).append(run)
    cost = {key: np.median([run.values["seconds"] for run in found]) for key, found in runs.items()}
    steps = sorted({steps for elsewhere, steps in cost if not elsewhere} & {s for elsewhere, s in cost if elsewhere})
    if len(steps) < 2 or not cost[False, steps[0]]:
        return None
    sides = [runs[elsewhere, steps[0]][0].job.settings["pictures"]["crop"] for elsewhere in (False, True)]
    cells = []
    for count in steps:
        times = [cost[elsewhere, count] / cost[elsewhere, steps[0]] for elsewhere in (False, True)]
        between = cost[False, count] / cost[True, count]
        cells.append((count, f"{count / steps[0]:g}", *(f"{time:.1f}" for time in times), f"{between:.1f}"))
    caption = (
        f"Processor time of one sample, medians of runs, against that of {steps[0]} steps; the initial prediction is "
        f"in it, once. Right: a picture of {sides[0]} px, which has {(sides[0] / sides[1]) ** 2:.2f} times the pixels, "
        f"against one of {sides[1]} px."
    )
    columns = ("T", "times the fewest", *(f"time, {side} px" for side in sides), "time, large by small")
    return Table("Cost by steps and by pixels", columns, cells, caption)


def mean_law(averages: dict[int, Row]) -> tuple[float, float]:
    return decompose({count: row.mean("mse") or 0.0 for count, row in averages.items()})


def aligned_scores(a: dict[str, float], b: dict[str, float]) -> tuple[list[float], list[float], list[str]]:
    """Both scores of the pictures that both have, and the names without kinds of blur: what `paired` takes."""
    common = sorted(a.keys() & b.keys())
    return [a[name] for name in common], [b[name] for name in common], list(map(picture_of, common))


def blurry_psnr(results: list[Result], run: Result) -> float | None:
    """In dB, mean over the pictures that this run restored, before it did; None where no training has scored them."""
    trained = run.job.settings["network"]["settings"]
    for made in of_task(results, refining.train_refinement, pictures=trained["pictures"]):
        known = dict(zip(made.values["names"], made.values["blurry"], strict=True))
        if known.keys() >= set(run.values["names"]):
            return float(np.mean([known[name] for name in run.values["names"]]))
    return None


def _of_the_blurry(results: list[Result], run: Result) -> str:
    level = blurry_psnr(results, run)
    return "" if level is None else f" The blurry pictures themselves have {level:.2f} dB."


def _time_table(results: list[Result]) -> Table | None:
    cells: list[tuple[object, ...]] = []
    found = timed(results)
    for seed, arms in found.items():
        fastest = min(seconds for run in arms.values() for seconds in run.values["seconds"])
        for residual in (True, False):
            run = arms[residual]
            for i, steps in enumerate(run.job.settings["times"]):
                cells.append((
                    seed, "predict and refine" if residual else "without predictor", steps,
                    f"{run.values['macs'][i] / 1e9:.1f}", f"{run.values['seconds'][i] / fastest:.1f}",
                    f"{np.mean(run.values['psnr'][i]):.2f}",
                    f"{np.mean(run.values[TEXTURE][i]):.2f}",
                    f"{np.mean(run.values[LPIPS][i]):.3f}" if LPIPS in run.values else NOT_AVAILABLE,
                ))  # fmt: skip
    if not cells:
        return None
    counts = [f"{run.values['parameters']:,}" for run in (arms[True], arms[False])]
    caption = (
        f"{len(run.values['names'])} blurry pictures, one sample each; {counts[0]} parameters with predictor and "
        f"{counts[1]} without, {_rivals(found)}. As in the paper, the denoiser is half as wide as the one that has no "
        "predictor to rely on, so that a step costs a quarter. Time: of a sample, against the fastest of the seed."
        f"{_of_the_blurry(results, run)}"
    )
    columns = ("seed", "network", "T", "G multiply-adds a sample", "time", "PSNR (dB)", "texture distance", LPIPS)
    return Table("Quality against cost", columns, cells, caption)


def _units_table(results: list[Result]) -> Table | None:
    """What a unit of the residual for every place does to samples in many steps."""
    found = in_units(results)
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
        means = (f"{np.mean(db):.2f} / {np.mean(distance):.3f}" for db, distance in zip(psnr, lpips, strict=True))
        cells.append((steps, *means, with_interval(gain, 3)))
    caption = (
        f"PSNR in dB / {LPIPS} of one sample, means over pictures and {len(found)} seeds, networks as under Quality "
        "against cost. A unit for every place: what the local contrast of the initial prediction lets expect of the "
        "residual (`expected_residual`), to keep noise from being taken for texture where the picture is smooth; the "
        f"predictor then learns from its own loss alone. Not in the paper. Right: how much lower {LPIPS} is, with a "
        f"95 % interval over pictures or over seeds, whichever is wider.{_of_the_blurry(results, local[0])}"
    )
    columns = ("T", "one unit everywhere", "a unit for every place", "lower by [95 %]")
    return Table("Residuals in units of the local contrast", columns, cells, caption)


def regressions(results: list[Result]) -> list[Result]:
    trained = of_task(results, refining.train_refinement)
    return [run for run in trained if not run.job.settings["design"]["denoiser_width"]]


def weight_effects(results: list[Result]) -> dict[tuple[int, str], float]:
    """PSNR with averaged weights above that with the last ones, in dB, by seed and picture."""
    return {
        (run.job.settings["seed"], name): own - last
        for run in regressions(results)
        for name, own, last in zip(run.values["names"], run.values["psnr"], run.values["last"], strict=True)
    }


def _weights_table(results: list[Result]) -> Table | None:
    cells = [
        (run.job.settings["seed"], *(f"{np.mean(run.values[key]):.3f}" for key in ("blurry", "last", "psnr")),
         f"{np.mean(run.values['psnr']) - np.mean(run.values['last']):+.3f}")
        for run in regressions(results)
    ]  # fmt: skip
    if not cells:
        return None
    settings = regressions(results)[0].job.settings["settings"]
    caption = (
        f"Plain regression, {settings['steps']:,} steps of {settings['batch']} crops, learning rate "
        f"{settings['schedule']}; the moving average of the weights has the decay {settings['average']:g}."
    )
    columns = ("seed", "PSNR of y (dB)", "last weights", "averaged weights", "difference")
    return Table("Averaging weights", columns, cells, caption)


# Figures


def figures(results: list[Result]) -> list[Figure]:
    rows = rows_of(results)
    drawn = [_trade_off_figure(rows)] if most_steps(rows) else []
    if len(averages_of(rows)) > 1:
        drawn.append(_averaging_figure(averages_of(rows)))
    drawn += _pictures(results)
    return [*drawn, _time_figure(timed(results))] if timed(results) else drawn


def _trade_off_figure(rows: dict[Any, Row]) -> Figure:
    """Figure 1."""
    measures = [(name, label) for name, label, _ in MEASURES[2:] if any(row.mean(name) is not None for key, row in
                rows.items() if isinstance(key, tuple))]  # fmt: skip
    columns = min(2, len(measures))
    figure, grid = subplots(math.ceil(len(measures) / columns), columns, width=4.2, height=3.2)
    panels = [axes for row in grid for axes in row]
    for axes in panels[len(measures) :]:
        axes.set_axis_off()
    for axes, (measure, label) in zip(panels, measures, strict=False):
        _trade_off(axes, rows, measure)
        axes.set(xlabel="PSNR (dB)", ylabel=_with_unit(measure, label))
        axes.margins(0.1)
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=3, fontsize=8)
    caption = (
        "One set of weights, every point but diamond and triangle another way to sample: the best place is the lower "
        "right. Numbers at the ends are T and n. Follow the discs from few steps to many, and the squares from one "
        "sample to the mean of many: both walk the same way, in opposite directions. It is a trade-off only in panels "
        "where they rise to the right."
    )
    if KID in dict(measures):
        caption += f" Bars of {KID} are a standard deviation over subsets: where they overlap, it decides nothing."
    if dotted := [measure for measure, _ in measures if _level(rows, measure) is not None]:
        caption += f" Dotted: {' and '.join(dotted)} of the sharp pictures themselves"
        caption += "; NIQE below that is no better." if NIQE in dotted else "."
    return Figure("trade_off", figure, caption)


def _level(rows: dict[Any, Row], measure: str) -> float | None:
    """Of the sharp pictures, where that is not 0 anyway."""
    return rows["sharp"].mean(measure) if "sharp" in rows and measure != LPIPS else None


def _with_unit(measure: str, label: str) -> str:
    return f"{label} (grey levels)" if measure == TEXTURE else label


def _trade_off(axes: Any, rows: dict[Any, Row], measure: str) -> None:
    strided_, linear = ({key: rows[key] for key in sorted(key for key in rows if isinstance(key, tuple)
                         and (key[1] is None) == none)} for none in (True, False))  # fmt: skip
    averages = {key: row for key, row in averages_of(rows).items() if row.mean(measure) is not None}

    def points(chosen: dict[Any, Row], label: str, style: str, color: str, numbers: Sequence[Any],
               places: Sequence[tuple[int, int]]) -> None:  # fmt: skip
        """Numbers stand at both ends; places: of all, to the left (-1) or right of the points and above (1) or below,
        in turn."""
        kept = [(str(number), row) for number, row in zip(numbers, chosen.values(), strict=True)
                if row.mean(measure) is not None]  # fmt: skip
        if not kept:
            return
        at = [(row.mean("psnr"), row.mean(measure)) for _, row in kept]
        axes.plot(*zip(*at, strict=True), style, color=color, markersize=4, label=label)
        if measure == KID:
            bars = [row.kid[1] for _, row in kept if row.kid]
            axes.errorbar(*zip(*at, strict=True), bars, fmt="none", ecolor=color, elinewidth=0.5, alpha=0.5)
        for i in {0, len(at) - 1}:
            right, up = places[i % len(places)]
            axes.annotate(kept[i][0], at[i], xytext=(4 * right, 5 * up), textcoords="offset points", fontsize=6.5,
                          color=color, ha=("center", "left", "right")[right], va="center")  # fmt: skip

    points(strided_, "one sample, T steps", "o-", PALETTE[0], [steps for steps, _ in strided_], [(-1, 1)])
    points(linear, "the same, linear betas", "o", PALETTE[5], [steps for steps, _ in linear], [(0, -2)])
    points(averages, "mean of n, few steps", "s-", PALETTE[1], list(averages), [*3 * [(1, -1)], (-1, 1)])
    for name, marker, color in (("regression", "D", PALETTE[2]), ("initial", "^", PALETTE[3])):
        if name in rows and rows[name].mean(measure) is not None:
            axes.plot(rows[name].mean("psnr"), rows[name].mean(measure), marker, color=color, label=LABELS[name])
    if (level := _level(rows, measure)) is not None:
        axes.axhline(level, color="0.5", linewidth=0.8, linestyle=":")


def _averaging_figure(averages: dict[int, Row]) -> Figure:
    figure, ((axes,),) = subplots(width=4.6, height=2.9)
    a, b = mean_law(averages)
    grid = np.geomspace(1, max(averages), 50)
    axes.plot(1 / grid, (a + b / grid) / a, color=PALETTE[0], linewidth=1, label=f"1 + {b / a:.2f} / n, fitted")
    axes.plot(1 / grid, 1 + 1 / grid, "--", color="0.5", linewidth=1, label="1 + 1/n, a perfect sampler")
    measured = [(1 / n, (row.mean("mse") or 0.0) / a) for n, row in averages.items()]
    axes.plot(*zip(*measured, strict=True), "o", color=PALETTE[1], label="measured")
    axes.set(xlabel="1 / samples averaged", ylabel="squared error, in units of a")
    axes.legend()
    caption = (
        "Squared error, in units of a, that of an endless average. Against 1/n it is a straight line for every sampler "
        "whose samples are independent. Its slope is their variance. Here "
        f"{_meaning(a, b)}"
    )
    return Figure("averaging", figure, caption)


def _pictures(results: list[Result]) -> list[Figure]:
    """Of the built-in pictures alone, where the runs have their arrays."""
    ours = [run for run in of_task(results, refining.restore) if not is_elsewhere(run)]
    predicted = [run for run in of_task(results, refining.predict) if not is_elsewhere(run)]
    if not ours or len(predicted) < 2 or not all(run.arrays for run in [*ours, *predicted]):
        return []
    if ours[0].job.settings["pictures"]["held_out"] != ["held out"]:
        return []
    groups = {(steps_of(runs[0]), runs[0].job.settings["samples"]): runs for runs in _by_schedule(ours)}
    rows = rows_of(results)
    best, many = best_perception(rows), most_steps(rows)
    (regression,) = (run for run in predicted if run.job.settings["network"] != ours[0].job.settings["network"])
    shown = {f"mean of {key[1]}, T = {key[0][0]}": key for key in groups if key[1] > 1}
    shown |= {f"one sample, T = {schedule[0]}": (schedule, 1) for schedule in (best and best[0], many) if schedule}
    names = regression.values["names"]
    figure, panels = subplots(len(names), 3 + len(shown), width=1.9, height=2.0)
    for i, (name, row) in enumerate(zip(names, panels, strict=True)):
        y, x = shown_pair(regression, name)
        columns = {"blurry": y, "plain regression": regression.arrays["initial"][i]}
        for label, key in shown.items():
            run = next(run for run in groups[key] if name in run.values["names"])
            columns[label] = run.arrays["means"][run.values["names"].index(name), -1]
        for axes, (title, picture) in zip(row, (columns | {"sharp": x}).items(), strict=True):
            show_picture(axes, picture, title)
    caption = (
        "Regression and averages are nearest to the truth pixel by pixel. Which column looks most like the last one? "
        "Look at fur and seams, and for grain where there should be none."
    )
    return [Figure("pictures", figure, caption)]


def _time_figure(found: dict[int, dict[bool, Result]]) -> Figure:
    """Figure 6."""
    figure, ((axes,),) = subplots(width=5.0, height=3.2)
    for arms in found.values():
        for residual, color, label in ((True, PALETTE[0], "predict and refine"), (False, PALETTE[1], "no predictor")):
            macs, quality = curve_of(arms[residual])
            first = arms is next(iter(found.values()))
            axes.plot(np.divide(macs, 1e9), quality, "o-", color=color, markersize=3, label=label if first else None)
            for cost, value, steps in zip(macs, quality, arms[residual].job.settings["times"], strict=True):
                if first:
                    axes.annotate(str(steps), (cost / 1e9, value), xytext=(3, 3), textcoords="offset points",
                                  fontsize=6.5, color=color)  # fmt: skip
    measure = quality_of(arms[True])
    label = dict((name, label) for name, label, _ in MEASURES)[measure]
    axes.set(xscale="log", xlabel="G multiply-adds of a sample", ylabel=_with_unit(measure, label))
    axes.legend()
    caption = (
        "Lower is better, left is cheaper; numbers are T, and several lines of a colour are seeds. Draw a horizontal "
        "line: how far apart do the two curves cross it? Where no line crosses both, one network is better in its "
        "fewest steps than the other in any number."
    )
    return Figure("time", figure, caption)


# Evidence


def evidence(results: list[Result]) -> dict[str, Evidence]:
    found: dict[str, Evidence] = {}
    compared = ("single", "averaged", "regression")
    ends, elsewhere = (
        {name: row for name, (_, row) in of.items()} for of in (ends_of(rows_of(results)), ends_elsewhere(results))
    )
    reasons = [(_reduced(run), CHOSEN if isinstance(run.job.settings["network"], str) else "")
               for run in of_task(results, refining.restore)[:1]]  # fmt: skip
    if all(name in ends for name in compared):
        found |= _ends_evidence(ends, *reasons[0])
    if all(name in elsewhere and elsewhere[name].scores.get(LPIPS) for name in compared):
        found["C3.4"] = _elsewhere_evidence(elsewhere, *reasons[0])
    if effects := weight_effects(results):
        found["C3.6"] = _weights_evidence(effects, results)
    if arms := timed(results):
        found["C3.8"] = _time_evidence(arms, blurry_psnr(results, next(iter(arms.values()))[True]))
    return found


def better(label: str, measure: str, ours: Row, theirs: Row, unit: str = "") -> Comparison:
    """By how much we are better, whatever the sense of the measure."""
    a, b, pictures = aligned_scores(ours.scores[measure], theirs.scores[measure])
    return paired(label, *((a, b) if measure in ("psnr", "ssim") else (b, a)), pictures, unit, of="pictures")


def _reduced(run: Result) -> str:
    """Why runs on this network decide nothing of the paper's."""
    return ", ".join(filter(None, [refining.smaller(run), "blur made here"]))


ONE_RIVAL = "the only rival is a plain regression with the same predictor, and of both there is one training"


CHOSEN = (
    "the blur that these weights learnt was chosen after this LPIPS had been seen: single samples of an earlier pair, "
    "which learnt motion along x and y, too, lost to regression"
)
RIVALS = ("regression", "blurry")
"""Doing nothing is one: what loses to the blurry picture is no restoration."""


def _ends_evidence(ends: dict[str, Row], reduced: str, chosen: str) -> dict[str, Evidence]:
    single, mean, regression = (ends[name] for name in ("single", "averaged", "regression"))
    many = f"; in most steps {ends['many'].cell('psnr', 2)} dB" if "many" in ends else ""
    said = {name: f"{row.cell('psnr', 2)} dB / {row.cell('ssim', 3)}" for name, row in ends.items()}
    found = {
        "C3.3": Evidence(
            (better("PSNR, averaged − single", "psnr", mean, single, "dB"),),
            ours=f"{single.cell('psnr', 2)} dB against {mean.cell('psnr', 2)} dB{many}",
            reduced=f"{reduced}; one trained network",
        ),
        "C3.2": Evidence(
            (
                better("PSNR, averaged − regression", "psnr", mean, regression, "dB"),
                better("SSIM, averaged − regression", "ssim", mean, regression),
            ),
            ours=f"averaged {said['averaged']}, regression {said['regression']}",
            reduced=f"{reduced}; {ONE_RIVAL}; LPIPS, NIQE, FID and KID untested",
        ),
    }
    measured = [name for name in (LPIPS, NIQE) if None not in (single.mean(name), regression.mean(name))]
    if LPIPS in measured:
        digits = {name: digits for name, _, digits in MEASURES}
        rivals = [name for name in RIVALS if name in ends and all(ends[name].scores.get(m) for m in measured)]
        compared = (
            f"{name} {single.cell(name, digits[name])} against "
            + ", ".join(f"{ends[rival].cell(name, digits[name])} ({rival})" for rival in rivals)
            for name in measured
        )
        found["C3.1"] = Evidence(
            tuple(better(f"{name}, {rival} − single", name, single, ends[rival])
                  for rival in rivals for name in measured),
            ours="; ".join(compared),
            reduced="; ".join(filter(None, [reduced, ONE_RIVAL, "KID and FID untested", chosen])),
        )  # fmt: skip
    return found


def _elsewhere_evidence(ends: dict[str, Row], reduced: str, chosen: str) -> Evidence:
    rivals = [name for name in RIVALS if name in ends and ends[name].scores.get(LPIPS)]
    comparisons = (
        better(f"LPIPS, {rival} − {name}", LPIPS, ends[name], ends[rival])
        for rival in rivals
        for name in ("single", "averaged")
    )
    compared = {"single": "single samples", "averaged": "averages"} | {name: name for name in rivals}
    elsewhere = "documents, drawings and views through lenses instead of HIDE; LPIPS alone"
    return Evidence(
        tuple(comparisons),
        ours=f"LPIPS {' / '.join(ends[name].cell(LPIPS, 3) for name in compared)}, {' / '.join(compared.values())}",
        reduced="; ".join(filter(None, [reduced, ONE_RIVAL, elsewhere, chosen])),
    )


def _weights_evidence(effects: dict[tuple[int, str], float], results: list[Result]) -> Evidence:
    comparison = learning.over_seeds_and_pictures("PSNR, averaged − last weights", effects, "dB")
    means = [np.mean([np.mean(run.values[key]) for run in regressions(results)]) for key in ("psnr", "last")]
    run = regressions(results)[0]
    return Evidence(
        (comparison,), ours=f"{means[0]:.2f} dB with the moving average of the weights, {means[1]:.2f} dB without",
        reduced=f"{_reduced(run)}; of three factors the moving average alone, in a training of "
        f"{run.job.settings['settings']['steps']:,} steps; HINet was not run",
    )  # fmt: skip


def _time_evidence(found: dict[int, dict[bool, Result]], blurry: float | None) -> Evidence:
    """blurry: PSNR of the blurry pictures in dB. A bound has no interval, and neither has the equal quality of networks
    that restore nothing."""
    by = {"multiply-adds": "macs", "seconds": "seconds"}
    ratios = {
        name: [speed_up(curve_of(arms[True], cost), curve_of(arms[False], cost)) for arms in found.values()]
        for name, cost in by.items()
    }
    bounds = [bound for values in ratios.values() for bound in values]
    measured = all(least == most for least, most in bounds)
    spoilt = [arm for arm, residual in (("with", True), ("without", False))
              if blurry is not None and all(best_psnr(arms[residual]) < blurry for arms in found.values())]  # fmt: skip
    arms = next(iter(found.values()))
    counts = " against ".join(f"{arms[residual].values['parameters']:,}" for residual in (True, False))
    known = ", ".join(f"{times} fewer {name}" for name, values in ratios.items() if (times := _times(values)))
    comparisons = tuple(_faster(name, values, list(found)) for name, values in ratios.items())
    if not measured or spoilt:
        comparisons = tuple(replace(comparison, low=-math.inf, high=math.inf) for comparison in comparisons)
    reasons = [
        "" if measured else "at equal quality a network is in its fewest steps, and might have done with less",
        f"{' and '.join(spoilt)} a predictor no number of steps is as good here as the blurry pictures, in PSNR"
        if spoilt
        else "",
        _reduced_time(found),
    ]
    return Evidence(
        comparisons,
        ours=f"to equal {quality_of(arms[True])} {known or 'no cost was measured'}, with {counts} parameters",
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
    least, most = ([ratio[i] for ratio in ratios] for i in (0, 1))
    if min(least) > 0:
        return f"{'' if least == most else 'at least '}{np.exp(np.mean(np.log(least))):.1f} times"
    if max(most) < math.inf:
        return f"at most {np.exp(np.mean(np.log(most))):.1f} times"
    return ""


def best_psnr(run: Result) -> float:
    """Mean over the pictures in dB, in the best number of steps."""
    return max(float(np.mean(scores)) for scores in run.values["psnr"])


def _rivals(found: dict[int, dict[bool, Result]]) -> str:
    """How both networks were trained."""
    trained = next(iter(found.values()))[True].job.settings["network"]["settings"]["design"]
    own = "the predictor also by a loss of its own, which the paper's has not"
    return "trained on the same pictures for as many steps" + (f", {own}" if trained["predictor_weight"] else "")


def _reduced_time(found: dict[int, dict[bool, Result]]) -> str:
    runs = [run for arms in found.values() for run in arms.values()]
    trained = runs[0].job.settings["network"]["settings"]["settings"]
    if any(run.values["parameters"] < refining.WHOLE for run in runs):
        size = f"networks far below 33 and 28 million parameters, after {trained['steps']:,} steps, not a million"
        return f"{size}; {_rivals(found)}"
    shared = any(run.provenance.get("gpu") for run in runs)
    return "the seconds are those of a GPU that other jobs may have shared" if shared else ""


STUDY = Study(
    "t_step_tradeoff", "Steps, averages and the price of perception (refinement, Figure 1, Table 1)", "refinement",
    "13_t_step_tradeoff", PROFILES, jobs, tables, figures, evidence,
    claims=("C3.1", "C3.2", "C3.3", "C3.4", "C3.6", "C3.8"),
)  # fmt: skip
