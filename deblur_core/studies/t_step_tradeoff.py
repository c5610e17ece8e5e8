"""Perception against distortion in the number of steps T and the schedule, all from one set of weights.

Whang et al., "Deblurring via Stochastic Refinement", CVPR 2022: Figure 1 and Table 1 (C3.1 to C3.3), and Table 2 (other
pictures than those of the training; C3.4). For Figure 6 (C3.8) networks are trained: their jobs are here, what comes of
them is in `t_step_networks`.

LPIPS, NIQE and KID take weights of others. Where these are missing, the distance of local contrasts stands in the
figures, and the columns say that they are not available.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from torch import Tensor

from deblur_core import metrics
from deblur_core.data.training_pairs import Blur
from deblur_core.models.counting import count_parameters
from deblur_core.models.diffusion import START_SIGNAL, TRAINING, strided
from deblur_core.models.refinement import Design, preset
from deblur_core.runs import Context, Job, Result, from_settings, task
from deblur_core.solvers.refinement import refine
from deblur_core.studies import refining, t_step_networks
from deblur_core.studies.claims import Comparison, Evidence, paired_by_name
from deblur_core.studies.learning import Pictures
from deblur_core.studies.refining import (
    KID,
    LPIPS,
    MEASURES,
    NIQE,
    PERCEPTUAL,
    TEXTURE,
    blurred,
    picture_of,
    show_picture,
    shown_pair,
)
from deblur_core.studies.study import Figure, Study, Table, grouped, of_task, rounded, with_interval
from deblur_core.studies.style import PALETTE, subplots
from deblur_core.training import Settings

Steps = tuple[int, float | None]
"""T, and the last of linear betas; None: the training schedule in fewer steps."""
LABELS = {"blurry": "blurry picture", "regression": "plain regression", "initial": "initial prediction"}


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

    def twin(self) -> Job:
        """Plain regression by the predictor of the first design."""
        alone = replace(self.designs[0], denoiser_width=0, velocity=False)
        return refining.train_job(alone, self.pictures, self.settings, self.seeds[0])


def ends_in_noise(steps: Steps) -> bool:
    """Whether sampling may start from pure noise."""
    return refining.schedule(*steps).alpha_bars[-1].item() <= START_SIGNAL


@dataclass(frozen=True)
class Profile:
    """network, regression: shipped weights, else the first that `direct` trains, and its predictor alone.

    pictures, elsewhere: to be judged by, the latter unlike those of the training; their blur is taken from the card of
    the weights. grid: schedules of which one sample is drawn; few: that of which `samples` are, and averaged. direct:
    with initial predictor, and without; local: residuals in one unit everywhere, and in units of the local contrast;
    times, local_times: T of their samples. measures: those that need weights of others, and are left out where these
    are missing unless `download`.
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
    local: Rivals | None = None
    local_times: tuple[int, ...] = ()
    measures: tuple[str, ...] = ()
    download: bool = False


# As in the paper, the predictor is twice as wide as the denoiser, which without one is as wide as the predictor. Small
# networks without a predictor are far worse in few steps unless they give the velocity.
_ONE_UNIT = replace(preset("small"), denoiser_width=8, residual_scale=8.0)  # z about as large as pictures are
_DIRECT = (
    replace(_ONE_UNIT, velocity=True),
    replace(preset("small"), predictor_width=0, residual_scale=1.0, predictor_weight=0.0, velocity=True),
)
_LOCAL = (_ONE_UNIT, replace(preset("small"), denoiser_width=8))
_TINY_UNIT = Design(4, 4, (1, 2), blocks=1, residual_scale=4.0)
_TINY_DIRECT = (replace(_TINY_UNIT, velocity=True), Design(0, 4, (1, 2), blocks=1, velocity=True))
_TINY_LOCAL = (_TINY_UNIT, replace(_TINY_UNIT, residual_scale=None, predictor_weight=100.0))
_SHORT = Blur(size=7, kinds=("x",), count=8, shortest=4.0)
_STRIDED = tuple((steps, None) for steps in (5, 10, 20, 50, 100))
_LINEAR = ((10, 0.5), (20, 0.5), (50, 0.2), (100, 0.1))
_SMOKE = Settings(steps=3, batch=2, crop=32, precision="float32", validate_every=2)
_RIVALS = Settings(steps=3000, batch=4, crop=64, learning_rate=1e-3, warm_up=100, clip=1.0, validate_every=1000)
_IN_UNITS = replace(_RIVALS, steps=1000)
_PAPER = Settings(steps=1_000_000, batch=32, learning_rate=1e-4, schedule="constant", clip=1.0, average=0.9999,
                  validate_every=5000)  # fmt: skip
_FAR = Blur(size=15, kinds=("x",), count=4096, shortest=10.0)
"""So strong that there is much to win, and so simple that small networks learn it."""
_ELSEWHERE = Pictures(held_out=("elsewhere",), crop=128)
_PHOTOGRAPHS = Pictures(("builtin", "CBSD68"), ("Kodak24",), crop=256, blur=refining.MIXED)
PROFILES = {
    "smoke": Profile(
        "", "", Pictures(crop=32, blur=_SHORT), replace(_ELSEWHERE, crop=32, blur=_SHORT), 1,
        grid=((3, None), (4, 0.9)), few=(2, None), samples=2,
        direct=Rivals(_TINY_DIRECT, Pictures(crop=32, blur=_SHORT), _SMOKE, (0,)), times=(1, 2, 3),
        local=Rivals(_TINY_LOCAL, Pictures(crop=32, blur=_SHORT), _SMOKE, (0,)), local_times=(2, 3),
    ),
    "laptop": Profile(
        "refinement", "refinement_regression", Pictures(crop=192), _ELSEWHERE, 3,
        grid=(*_STRIDED, *_LINEAR), few=(10, 0.5), samples=8, measures=(LPIPS, NIQE),
    ),
    "overnight": Profile(
        "refinement", "refinement_regression", replace(_PHOTOGRAPHS, crop=192), _ELSEWHERE, 12,
        grid=(*_STRIDED, (200, None), *_LINEAR[:3]), few=(10, 0.5), samples=16,
        direct=Rivals(_DIRECT, replace(_PHOTOGRAPHS, crop=128, blur=_FAR), _RIVALS, (0, 1, 2)),
        times=(1, 2, 3, 5, 10, 20, 50),
        local=Rivals(_LOCAL, replace(_PHOTOGRAPHS, crop=128), _IN_UNITS, (0, 1, 2)), local_times=(5, 10, 20, 50, 100),
        measures=PERCEPTUAL, download=True,
    ),
    "paper": Profile(
        "", "", replace(_PHOTOGRAPHS, crop=None), replace(_ELSEWHERE, blur=refining.MIXED), 12,
        grid=tuple((steps, last) for steps in (10, 20, 30, 50, 100, 200, 300, 500)
                   for last in (0.02, 0.05, 0.1, 0.2, 0.5) if ends_in_noise((steps, last))),
        few=(10, 0.5), samples=64, direct=Rivals((Design(), Design(0, 64)), _PHOTOGRAPHS, _PAPER, (0,)),
        times=(1, 2, 5, 10, 20, 50, 100, 200, 500),
        measures=PERCEPTUAL, download=True,
    ),
}  # fmt: skip


def jobs(profile: Profile) -> list[Job]:
    """Those that judge come last: they build on the others."""
    rivals = [(group, times) for group, times in ((profile.direct, profile.times), (profile.local, profile.local_times))
              if group]  # fmt: skip
    trained = [job for group, _ in rivals for job in group.jobs()]
    plain = [] if profile.regression else [profile.direct.twin()]
    network, regression = profile.network or trained[0], profile.regression or plain[0]
    blur = refining.learnt_blur(network, profile.pictures.blur)
    measures = [name for name in profile.measures if profile.download or metrics.available(name)[0]]
    lpips = [name for name in measures if name == LPIPS]  # of few or small pictures the others tell little
    restored, judged = [], []
    for pictures, schedules, by, parts in (
        (profile.pictures, profile.grid, measures, profile.parts),
        (profile.elsewhere, [schedule for schedule in profile.grid if schedule[1] is None], lpips,
         max(1, profile.parts // 3)),
    ):  # fmt: skip
        pictures = replace(pictures, blur=blur)
        predictions = [refining.predict_job(made, pictures) for made in (network, regression)]
        groups = [([job], "initial", 0) for job in predictions]
        groups += [(predictions[:1], array, 0) for array in ("blurry", "sharp")]
        for (steps, last), samples in [*((schedule, 1) for schedule in schedules), (profile.few, profile.samples)]:
            runs = refining.restore_jobs(network, pictures, parts=parts, steps=steps, last=last, samples=samples)
            restored += runs
            groups += [(runs, "means", index) for index in range(samples.bit_length())]
        restored += predictions
        judged += [refining.judge_job(*group, by) for group in groups if by]
    timed = [
        Job.create(quality_over_steps, **refining.job_on(job, group.pictures), times=times, measures=lpips)
        for group, times in rivals
        for job in group.jobs()
    ]  # fmt: skip
    return [*trained, *plain, *restored, *timed, *judged]


@task()
def quality_over_steps(
    context: Context, *, network: str | dict[str, Any], pictures: dict[str, Any], times: list[int], measures: list[str]
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """One sample of every picture, blurred by the first kind of blur alone, in each number of steps.

    Values: `names`, `parameters`; for each T, `macs` of a sample of the last picture, `seconds` of a sample, of the
    processor where there is no GPU, and for each of the names `psnr`, `texture` and, where it is among the measures,
    LPIPS; `blurry`, these scores of the blurry pictures.
    """
    model, chosen = refining.open_network(context, network), from_settings(Pictures, pictures)
    pairs = dict(list(blurred(chosen).items())[:: len(set(chosen.blur.kinds))])
    values: dict[str, Any] = {name: [] for name in ("macs", "seconds", "psnr", TEXTURE, *measures)}
    clock = refining.clock(context)

    def score(estimate: Tensor, x: Tensor) -> dict[str, float]:
        learned = {name: metrics.lpips(estimate, x).item() for name in measures}
        return refining.score(estimate, x) | learned

    def by_measure(scored: list[dict[str, float]]) -> dict[str, list[float]]:
        return {name: [scores[name] for scores in scored] for name in ("psnr", TEXTURE, *measures)}

    for steps in times:
        scored, seconds = [], 0.0
        for y, x in pairs.values():
            started = clock()
            estimate = refine(model, y, strided(TRAINING, steps), device=context.device).samples[:, 0]
            seconds += clock() - started
            scored.append(score(estimate, x))
        for name, scores in by_measure(scored).items():
            values[name].append(scores)
        values["macs"].append(refining.multiply_adds(model, y.shape, steps))
        values["seconds"].append(seconds / len(pairs))
    blurry = by_measure([score(y, x) for y, x in pairs.values()])
    return values | {"names": list(pairs), "parameters": count_parameters(model), "blurry": blurry}, {}


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

    def cell(self, measure: str, digits: int | None = None) -> str:
        """digits: None, as many as the measure has in tables."""
        digits = MEASURES[measure][1] if digits is None else digits
        spread = f" ± {self.kid[1]:.{digits}f}" if measure == KID and self.kid else ""
        return rounded(self.mean(measure), digits) + spread


def steps_of(run: Result) -> Steps:
    return run.job.settings["steps"], run.job.settings["last"]


def is_elsewhere(run: Result) -> bool:
    return run.job.settings["pictures"]["held_out"] == ["elsewhere"]


def by_schedule(restored: list[Result]) -> dict[tuple[Steps, int], list[Result]]:
    """By schedule and number of samples: runs that share the pictures among them."""
    return grouped(restored, lambda run: (steps_of(run), run.job.settings["samples"]))


def rows_of(results: list[Result], elsewhere: bool = False) -> dict[Any, Row]:
    """By what they are: "blurry", "sharp", "initial", "regression"; by (T, last beta), single samples; by a number,
    means of so many samples in few steps."""
    restored, predicted = (
        [run for run in of_task(results, function) if is_elsewhere(run) == elsewhere]
        for function in (refining.restore, refining.predict)
    )
    if not restored:
        return {}
    judged = {}
    for run in of_task(results, refining.judge):
        settings = run.job.settings
        judged[Job.from_json(settings["of"][0]), settings["array"], settings["index"]] = run.values

    def row(scores: list[dict[str, float]], names: list[str], *judged_as: Any) -> Row:
        """scores: by measure, of each of the names."""
        by_measure = {measure: dict(zip(names, [own[measure] for own in scores], strict=True))
                      for measure in (scores[0] if scores else ())}  # fmt: skip
        marks = judged.get(judged_as, {})
        by_measure |= {name: dict(zip(marks["names"], marks[name], strict=True)) for name in (LPIPS, NIQE)
                       if name in marks}  # fmt: skip
        return Row(by_measure, (1000 * marks[KID][0], 1000 * marks[KID][1]) if KID in marks else None)

    found: dict[Any, Row] = {}
    for run in predicted:
        names, own = run.values["names"], run.job.settings["network"] == restored[0].job.settings["network"]
        found["initial" if own else "regression"] = row(run.values["initial"], names, run.job, "initial", 0)
        if own:
            found["blurry"] = row(run.values["blurry"], names, run.job, "blurry", 0)
            found["sharp"] = row([], [], run.job, "sharp", 0)
    for (schedule, samples), runs in by_schedule(restored).items():
        names, averages = ([entry for run in runs for entry in run.values[key]] for key in ("names", "averages"))
        for index, count in enumerate(refining.doublings(samples)):
            scores = [by_count[str(count)] for by_count in averages]
            found[schedule if samples == 1 else count] = row(scores, names, runs[0].job, "means", index)
    return found


def singles_of(rows: dict[Any, Row]) -> dict[Steps, Row]:
    """Single samples, by schedule."""
    return {key: row for key, row in rows.items() if isinstance(key, tuple)}


def strided_of(rows: dict[Any, Row]) -> dict[int, Row]:
    """Single samples by the training schedule, by T from few to many."""
    singles = singles_of(rows)
    return {steps: singles[steps, None] for steps in sorted(steps for steps, last in singles if last is None)}


def averages_of(rows: dict[Any, Row]) -> dict[int, Row]:
    """By the number of samples, from 1 on."""
    return {key: rows[key] for key in sorted(key for key in rows if isinstance(key, int))}


def averaged(rows: dict[Any, Row]) -> int:
    """The largest number of samples that were averaged; 0 where none were."""
    return max(averages_of(rows), default=0)


def most_steps(rows: dict[Any, Row]) -> Steps | None:
    """Of the schedules of single samples; of several with most steps the training schedule's."""
    return max(singles_of(rows), key=lambda key: (key[0], key[1] is None), default=None)


def perception(rows: dict[Any, Row]) -> str:
    """LPIPS where it was measured, else what stands in for it."""
    return LPIPS if any(row.scores.get(LPIPS) for row in rows.values()) else TEXTURE


def best_perception(rows: dict[Any, Row], among: Iterable[Any] = ()) -> tuple[Steps, Row] | None:
    """Single samples by the schedule that is nearest to sharp pictures in perception, as the paper chose its own, and
    the schedule. For every picture it is chosen by all the others; shown is what is chosen most often.

    among: schedules, of which only these may be chosen; none: all.
    """
    singles = {key: row for key, row in singles_of(rows).items() if not among or key in among}
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
    found = {name: (label, rows.get(name)) for name, label in LABELS.items()}
    if (count := averaged(rows)) > 1:
        found["averaged"] = (f"mean of {count} samples, few steps", rows[count])
    if single := (schedule, rows[schedule]) if schedule in rows else best_perception(rows):
        found["single"] = (f"one sample, best T (mostly {single[0][0]})", single[1])
        if (many := most_steps(rows)) != single[0]:
            found["many"] = (f"one sample, most steps ({many[0]})", rows[many])
    found["sharp"] = ("sharp picture", rows.get("sharp"))
    return {name: (label, row) for name, (label, row) in found.items() if row}


def ends_elsewhere(results: list[Result]) -> dict[str, tuple[str, Row]]:
    """On pictures of another kind, with the schedule that was best on those of the same kind as the training's."""
    elsewhere = rows_of(results, elsewhere=True)
    chosen = best_perception(rows_of(results), among=elsewhere)
    return ends_of(elsewhere, chosen and chosen[0])


def better(label: str, measure: str, ours: Row, theirs: Row, unit: str = "") -> Comparison:
    """By how much we are better, whatever the sense of the measure, on the pictures that both restored."""
    a, b = (dict(sorted(row.scores[measure].items())) for row in (ours, theirs))
    higher, lower = (a, b) if measure in ("psnr", "ssim") else (b, a)
    return paired_by_name(label, higher, lower, picture_of, unit)


def decompose(mse: dict[int, float]) -> tuple[float, float]:
    """(a, b) of mse(n) = a + b / n by least squares: the squared error of an endless average, and the variance of the
    sampler. A perfect sampler has b = a."""
    b, a = np.polyfit([1 / n for n in mse], list(mse.values()), 1)
    return float(a), float(b)


def mean_law(averages: dict[int, Row]) -> tuple[float, float]:
    return decompose({count: row.mean("mse") for count, row in averages.items()})


# Tables


def tables(results: list[Result]) -> list[Table]:
    rows = rows_of(results)
    drawn = [
        _ends_table(ends_of(rows), "The two ends, and between them"), _grid_table(singles_of(rows)),
        _averaging_table(averages_of(rows)), _steps_table(rows), _cost_table(results),
        _ends_table(ends_elsewhere(results), "Pictures of another kind"),
    ]  # fmt: skip
    return [table for table in drawn if table] + t_step_networks.tables(of_task(results, quality_over_steps), results)


def _ends_table(ends: dict[str, tuple[str, Row]], title: str) -> Table | None:
    if not ends:
        return None
    cells = []
    for name, (label, row) in ends.items():
        of_truth = {"psnr": "∞", "ssim": "1.000", TEXTURE: "0.00"} if name == "sharp" else {}
        cells.append((label, *(of_truth.get(measure) or row.cell(measure) for measure in MEASURES)))
    rows = [row for _, row in ends.values()]
    caption = (
        f"{len(rows[0].scores['psnr'])} blurry pictures; one set of weights for all but the regression, whose "
        "predictor is as large. Best T: by LPIPS or else the texture distance, of other pictures. Texture distance: "
        "between the distributions of differences of neighbouring pixels and those of the sharp picture, in grey "
        "levels. Lower is better, except for PSNR and SSIM."
    )
    if any(row.kid for row in rows):
        caption += (
            " KID: mean ± standard deviation over subsets. Both sets show the same pictures, so it is no estimate "
            "between independent sets: its level means nothing, and a perfect restoration would have the sharp "
            "pictures' own value, in the last row."
        )
    if any(row.scores.get(NIQE) for row in rows):
        caption += " NIQE below that of the sharp pictures is no better."
    return Table(title, ("restoration", *(label for label, _ in MEASURES.values())), cells, caption)


def _grid_table(singles: dict[Steps, Row]) -> Table | None:
    if not singles:
        return None
    measure = perception(singles)
    lasts = sorted({last for _, last in singles}, key=lambda last: (last is not None, last or 0))
    cells = []
    for steps in sorted({steps for steps, _ in singles}):
        shown = [singles.get((steps, last)) for last in lasts]
        cells.append((steps, *(row and f"{row.cell('psnr')} / {row.cell(measure, 3)}" for row in shown)))
    names = ["training schedule, strided" if last is None else f"linear to {last:g}" for last in lasts]
    caption = (
        f"PSNR in dB / {measure if measure == LPIPS else 'texture distance'} of one sample. Schedules that do not end "
        "in noise, where sampling starts, are left out."
    )
    return Table("Steps and schedules, one set of weights", ("T", *names), cells, caption)


def _averaging_table(averages: dict[int, Row]) -> Table | None:
    if len(averages) < 2:
        return None
    a, b = mean_law(averages)
    cells, before = [], None
    for count, row in averages.items():
        gain = before and with_interval(better("", "psnr", row, before, "dB"))
        errors = row.mean("mse") / a, 1 + b / a / count, 1 + 1 / count
        cells.append((count, row.cell("psnr"), gain, *(f"{error:.3f}" for error in errors), row.cell(TEXTURE),
                      row.cell(LPIPS)))  # fmt: skip
        before = row
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
    by_steps, most = strided_of(rows), averaged(rows)
    rivals = {label: rows.get(name) for name, label in LABELS.items()} | {f"mean of {most}": rows.get(most)}
    if not by_steps or not all(row and row.scores.get(LPIPS) for row in (*by_steps.values(), *rivals.values())):
        return None
    cells = []
    for steps, row in by_steps.items():
        gains = (with_interval(better("", LPIPS, row, rival), 3) for rival in rivals.values())
        cells.append((steps, row.cell(LPIPS), *gains))
    caption = (
        f"{LPIPS}, lower is better: of one sample by the training schedule in T steps, and how far below each rival it "
        "is, with 95 % intervals, paired by picture."
    )
    columns = ("T", LPIPS, *(f"below {name} [95 %]" for name in rivals))
    return Table("What more steps are worth", columns, cells, caption)


def _cost_table(results: list[Result]) -> Table | None:
    """Processor time in units of that of the fewest steps and the smaller pictures."""
    timed = [run for run in of_task(results, refining.restore, samples=1, last=None) if not run.provenance.get("gpu")]
    large, small = (
        grouped((run for run in timed if is_elsewhere(run) == elsewhere), lambda run: run.job.settings["steps"])
        for elsewhere in (False, True)
    )
    steps = sorted(large.keys() & small.keys())
    seconds = [{count: np.median([run.values["seconds"] for run in runs[count]]) for count in steps}
               for runs in (large, small)]  # fmt: skip
    if len(steps) < 2 or not seconds[0][steps[0]]:
        return None
    cells = []
    for count in steps:
        times = (f"{time[count] / time[steps[0]]:.1f}" for time in seconds)
        cells.append((count, f"{count / steps[0]:g}", *times, f"{seconds[0][count] / seconds[1][count]:.1f}"))
    sides = [runs[steps[0]][0].job.settings["pictures"]["crop"] for runs in (large, small)]
    caption = (
        f"Processor time of one sample, medians of runs, against that of {steps[0]} steps; the initial prediction is "
        f"in it, once. Right: a picture of {sides[0]} px, which has {(sides[0] / sides[1]) ** 2:.2f} times the pixels, "
        f"against one of {sides[1]} px."
    )
    columns = ("T", "times the fewest", *(f"time, {side} px" for side in sides), "time, large by small")
    return Table("Cost by steps and by pixels", columns, cells, caption)


# Figures


def figures(results: list[Result]) -> list[Figure]:
    rows = rows_of(results)
    drawn = [_trade_off_figure(rows)] if singles_of(rows) else []
    if len(averages := averages_of(rows)) > 1:
        drawn.append(_averaging_figure(averages))
    return [*drawn, *_pictures(results), *t_step_networks.figures(of_task(results, quality_over_steps))]


def _trade_off_figure(rows: dict[Any, Row]) -> Figure:
    """Figure 1."""
    singles = singles_of(rows).values()
    measures = [name for name in MEASURES if name not in ("psnr", "ssim")
                and any(row.mean(name) is not None for row in singles)]  # fmt: skip
    columns = min(2, len(measures))
    figure, grid = subplots(math.ceil(len(measures) / columns), columns, width=4.2, height=3.2)
    panels = list(grid.flat)
    for axes in panels[len(measures) :]:
        axes.set_axis_off()
    for axes, measure in zip(panels, measures, strict=False):
        _trade_off(axes, rows, measure)
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=3, fontsize=8)
    caption = (
        "One set of weights, every point but diamond and triangle another way to sample: the best place is the lower "
        "right. Numbers at the ends are T and n. Follow the discs from few steps to many, and the squares from one "
        "sample to the mean of many: both walk the same way, in opposite directions. It is a trade-off only in panels "
        "where they rise to the right."
    )
    if KID in measures:
        caption += f" Bars of {KID} are a standard deviation over subsets: where they overlap, it decides nothing."
    if dotted := [measure for measure in measures if _level(rows, measure) is not None]:
        caption += f" Dotted: {' and '.join(dotted)} of the sharp pictures themselves"
        caption += "; NIQE below that is no better." if NIQE in dotted else "."
    return Figure("trade_off", figure, caption)


def _level(rows: dict[Any, Row], measure: str) -> float | None:
    """Of the sharp pictures, where that is not 0 anyway."""
    return rows["sharp"].mean(measure) if "sharp" in rows and measure != LPIPS else None


def _trade_off(axes: Axes, rows: dict[Any, Row], measure: str) -> None:
    """PSNR against this measure of every way to sample."""
    singles = singles_of(rows)
    linear = [(key[0], singles[key]) for key in sorted(key for key in singles if key[1] is not None)]
    _points(axes, measure, strided_of(rows).items(), "one sample, T steps", "o-", PALETTE[0], [(-1, 1)])
    _points(axes, measure, linear, "the same, linear betas", "o", PALETTE[5], [(0, -2)])
    _points(axes, measure, averages_of(rows).items(), "mean of n, few steps", "s-", PALETTE[1],
            [*3 * [(1, -1)], (-1, 1)])  # fmt: skip
    for name, marker, color in (("regression", "D", PALETTE[2]), ("initial", "^", PALETTE[3])):
        if name in rows and rows[name].mean(measure) is not None:
            axes.plot(rows[name].mean("psnr"), rows[name].mean(measure), marker, color=color, label=LABELS[name])
    if (level := _level(rows, measure)) is not None:
        axes.axhline(level, color="0.5", linewidth=0.8, linestyle=":")
    axes.set(xlabel="PSNR (dB)", ylabel=refining.axis_label(measure))
    axes.margins(0.1)


def _points(
    axes: Axes,
    measure: str,
    numbered: Iterable[tuple[int, Row]],
    label: str,
    style: str,
    color: str,
    places: Sequence[tuple[int, int]],
) -> None:
    """Numbers stand at both ends; places: of all, to the left (-1) or right of the points and above (1) or below, in
    turn."""
    kept = [(number, row) for number, row in numbered if row.mean(measure) is not None]
    if not kept:
        return
    at = [(row.mean("psnr"), row.mean(measure)) for _, row in kept]
    axes.plot(*zip(*at, strict=True), style, color=color, markersize=4, label=label)
    if measure == KID:
        bars = [row.kid[1] for _, row in kept]
        axes.errorbar(*zip(*at, strict=True), bars, fmt="none", ecolor=color, elinewidth=0.5, alpha=0.5)
    for i in {0, len(at) - 1}:
        right, up = places[i % len(places)]
        axes.annotate(str(kept[i][0]), at[i], xytext=(4 * right, 5 * up), textcoords="offset points", fontsize=6.5,
                      color=color, ha=("center", "left", "right")[right], va="center")  # fmt: skip


def _averaging_figure(averages: dict[int, Row]) -> Figure:
    figure, ((axes,),) = subplots(width=4.6, height=2.9)
    a, b = mean_law(averages)
    grid = np.geomspace(1, max(averages), 50)
    axes.plot(1 / grid, (a + b / grid) / a, color=PALETTE[0], linewidth=1, label=f"1 + {b / a:.2f} / n, fitted")
    axes.plot(1 / grid, 1 + 1 / grid, "--", color="0.5", linewidth=1, label="1 + 1/n, a perfect sampler")
    measured = [(1 / n, row.mean("mse") / a) for n, row in averages.items()]
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
    restored, predicted = (
        [run for run in of_task(results, function) if run.job.settings["pictures"]["held_out"] == ["held out"]]
        for function in (refining.restore, refining.predict)
    )
    if not restored or len(predicted) < 2 or not all(run.arrays for run in [*restored, *predicted]):
        return []
    rows, groups = rows_of(results), by_schedule(restored)
    best, many = best_perception(rows), most_steps(rows)
    shown = {f"mean of {samples}, T = {steps}": ((steps, last), samples)
             for (steps, last), samples in groups if samples > 1}  # fmt: skip
    shown |= {f"one sample, T = {schedule[0]}": (schedule, 1) for schedule in (best and best[0], many) if schedule}
    network = restored[0].job.settings["network"]
    (regression,) = (run for run in predicted if run.job.settings["network"] != network)
    names = regression.values["names"]
    figure, panels = subplots(len(names), 3 + len(shown), width=1.9, height=2.0)
    for i, (name, row) in enumerate(zip(names, panels, strict=True)):
        y, x = shown_pair(regression, name)
        columns = {"blurry": y, "plain regression": regression.arrays["initial"][i]}
        for label, group in shown.items():
            run = next(run for run in groups[group] if name in run.values["names"])
            columns[label] = run.arrays["means"][run.values["names"].index(name), -1]
        for axes, (title, picture) in zip(row, (columns | {"sharp": x}).items(), strict=True):
            show_picture(axes, picture, title)
    caption = (
        "Regression and averages are nearest to the truth pixel by pixel. Which column looks most like the last one? "
        "Look at fur and seams, and for grain where there should be none."
    )
    return [Figure("pictures", figure, caption)]


# Evidence


COMPARED = ("single", "averaged", "regression")
RIVALS = ("regression", "blurry")
"""Doing nothing is one: what loses to the blurry picture is no restoration."""
ONE_RIVAL = "the only rival is a plain regression with the same predictor, and of both there is one training"
CHOSEN = (
    "the blur that these weights learnt was chosen after this LPIPS had been seen: single samples of an earlier pair, "
    "which learnt motion along x and y, too, lost to regression"
)


def evidence(results: list[Result]) -> dict[str, Evidence]:
    found: dict[str, Evidence] = {}
    ends, elsewhere = (
        {name: row for name, (_, row) in of.items()} for of in (ends_of(rows_of(results)), ends_elsewhere(results))
    )
    if all(name in ends for name in COMPARED):
        found |= _ends_evidence(ends, _reasons(results))
    if all(name in elsewhere and elsewhere[name].scores.get(LPIPS) for name in COMPARED):
        found["C3.4"] = _elsewhere_evidence(elsewhere, _reasons(results))
    return found | t_step_networks.evidence(of_task(results, quality_over_steps), results)


def _reasons(results: list[Result]) -> tuple[str, str]:
    """Why these weights decide nothing of the paper's, and what else there is to say against their LPIPS."""
    run = of_task(results, refining.restore)[0]
    shipped = isinstance(run.job.settings["network"], str)
    return t_step_networks.unlike_the_papers(run), CHOSEN if shipped else ""


def _ends_evidence(ends: dict[str, Row], reasons: tuple[str, str]) -> dict[str, Evidence]:
    single, mean, regression = (ends[name] for name in COMPARED)
    reduced, chosen = reasons
    many = f"; in most steps {ends['many'].cell('psnr')} dB" if "many" in ends else ""
    said = {name: f"{row.cell('psnr')} dB / {row.cell('ssim')}" for name, row in ends.items()}
    found = {
        "C3.3": Evidence(
            (better("PSNR, averaged − single", "psnr", mean, single, "dB"),),
            ours=f"{single.cell('psnr')} dB against {mean.cell('psnr')} dB{many}",
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
    measured = [name for name in (LPIPS, NIQE) if single.scores.get(name) and regression.scores.get(name)]
    if LPIPS in measured:
        rivals = [name for name in RIVALS if name in ends and all(ends[name].scores.get(one) for one in measured)]
        compared = (
            f"{name} {single.cell(name)} against "
            + ", ".join(f"{ends[rival].cell(name)} ({rival})" for rival in rivals)
            for name in measured
        )
        found["C3.1"] = Evidence(
            tuple(better(f"{name}, {rival} − single", name, single, ends[rival])
                  for rival in rivals for name in measured),
            ours="; ".join(compared),
            reduced="; ".join(filter(None, [reduced, ONE_RIVAL, "KID and FID untested", chosen])),
        )  # fmt: skip
    return found


def _elsewhere_evidence(ends: dict[str, Row], reasons: tuple[str, str]) -> Evidence:
    reduced, chosen = reasons
    rivals = [name for name in RIVALS if name in ends and ends[name].scores.get(LPIPS)]
    compared = {"single": "single samples", "averaged": "averages"} | {name: name for name in rivals}
    elsewhere = "documents, drawings and views through lenses instead of HIDE; LPIPS alone"
    return Evidence(
        tuple(better(f"LPIPS, {rival} − {name}", LPIPS, ends[name], ends[rival])
              for rival in rivals for name in ("single", "averaged")),
        ours=f"LPIPS {' / '.join(ends[name].cell(LPIPS) for name in compared)}, {' / '.join(compared.values())}",
        reduced="; ".join(filter(None, [reduced, ONE_RIVAL, elsewhere, chosen])),
    )  # fmt: skip


STUDY = Study(
    "t_step_tradeoff", "Steps, averages and the price of perception (refinement, Figure 1, Table 1)", "refinement",
    "13_t_step_tradeoff", PROFILES, jobs, tables, figures, evidence,
    claims=("C3.1", "C3.2", "C3.3", "C3.4", "C3.8"),
)  # fmt: skip
