"""Blind deblurring of pictures whose blur is not one kernel, in a kernel space and by its rivals.

Tran et al., "Explore Image Deblurring via Encoded Blur Kernel Space", CVPR 2021: the figure on general deblurring shows
three pictures with their LPIPS (C2.4, C2.5). Here are means over all pictures at hand, paired by scene, and what the
paper has not: an operator made by hand in the place of the learned one, the priors switched off, and a network that
inverts the learned operator in one forward pass.

The operator has seen synthetic blur only. Test pictures are filmed by a turning camera, or GoPro's: other scenes, and
blur of another kind.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache
from math import comb
from typing import Any

import numpy as np
import torch
from scipy import stats
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from deblur_core import data, metrics, trainings, weights
from deblur_core.data import camera_pairs, to_luma_chroma, to_uint8, training_pairs
from deblur_core.data.gopro import may_train, scene_of
from deblur_core.models.counting import count_macs
from deblur_core.runs import Context, Job, Result, from_settings, task
from deblur_core.solvers import kernel_space, large_picture, selfdeblur
from deblur_core.solvers.losses import hyper_laplacian
from deblur_core.solvers.untrained import Deblurred, Optimisation
from deblur_core.studies import operators, pairs
from deblur_core.studies.claims import Comparison, Evidence, paired_by_name
from deblur_core.studies.refining import show_picture
from deblur_core.studies.study import NOT_AVAILABLE, Figure, Study, Table, grouped, of_task, rounded, with_interval
from deblur_core.studies.style import DASHED, PALETTE, show_spread, subplots

FILMED = "filmed"
"""The data set of pairs that a turning camera films of the held-out pictures, one of each; see `camera_pairs`."""
REACH = 8
"""How far estimates are moved at most to fit, in pixels, and the border that is not scored."""
LPIPS, AS_IT_IS = "lpips", "lpips as it is"

BLURRY, ONE_KERNEL, OURS, JOINT, BY_HAND = (
    "blurry input", "SelfDeblur", "kernel space, alternating", "kernel space, joint", "made by hand, joint",
)  # fmt: skip
ONCE = {"srn": "SRN", "kernel_space_inverse": "inverse of the operator"}
"""Shipped weights of networks that restore in one forward pass, by what tables call them."""
RIVALS = (BLURRY, ONE_KERNEL, ONCE["srn"])
"""Of the paper's comparison; the weights of the fourth, DeblurGAN-v2, are not part of this project."""
INVERSE = ONCE["kernel_space_inverse"]
METHODS = (*RIVALS, OURS, JOINT, BY_HAND, INVERSE)
TIMED = 10
"""Pictures that a job of single passes needs at least for its seconds to say something."""


@dataclass(frozen=True)
class Picture:
    """A window of `side` px of a pair; of GoPro's, the window with the strongest edges."""

    dataset: str
    pair: str
    side: int


@dataclass(frozen=True)
class Profile:
    """alternating, joint: recipes in the learned space, the second also in the one made by hand; the priors are
    switched off in turn for the first `without_priors` pictures; LPIPS is left out where its weights are missing unless
    `download`."""

    pictures: tuple[Picture, ...]
    one_kernel: selfdeblur.Recipe
    alternating: kernel_space.Recipe
    joint: kernel_space.Recipe
    without_priors: int
    download: bool = False


def filmed(side: int) -> tuple[Picture, ...]:
    return tuple(Picture(FILMED, pair, side) for pair in training_pairs.HELD_OUT)


def street_scenes(side: int) -> tuple[Picture, ...]:
    """Windows of all GoPro pairs: six official ones, and 18 that somebody else averaged."""
    datasets = ("gopro", "gopro_averaged")
    return tuple(Picture(dataset, pair, side) for dataset in datasets for pair in data.names(dataset))


def quick(iterations: int, warm_up: int, **changes: Any) -> dict[str, kernel_space.Recipe]:
    """Both recipes of our own size: taking turns, and jointly with the released code's norm of k."""
    recipe = kernel_space.recipe("quick", iterations=iterations, warm_up=warm_up, **changes)
    return {
        "alternating": replace(recipe, alternating=True),
        "joint": replace(recipe, squared_norm=False),
    }


_TINY = {"width": 8, "skip": 2, "nonlocal_from": None, "kernel_blocks": 1, "precision": "float32"}
PROFILES = {
    "smoke": Profile(
        filmed(64)[:1], replace(pairs.SMOKE, iterations=4), **quick(4, 2, **_TINY), without_priors=1,
    ),
    "laptop": Profile(
        filmed(128), replace(pairs.LAPTOP, iterations=120), **quick(110, 25), without_priors=1,
    ),
    "overnight": Profile(
        street_scenes(192), replace(pairs.LAPTOP, iterations=250), **quick(200, 40), without_priors=2, download=True,
    ),
    "paper": Profile(
        street_scenes(256), selfdeblur.recipe("released"), kernel_space.recipe("paper"),
        kernel_space.recipe("joint"), without_priors=24, download=True,
    ),
}  # fmt: skip


def jobs(profile: Profile) -> list[Job]:
    """Those that judge come last: they build on the others."""
    shipped = [model for model in ONCE if model in weights.names()]
    methods = [[once_job(model, profile.pictures)] for model in (None, *shipped)]
    methods.append([one_kernel_job(picture, profile.one_kernel) for picture in profile.pictures])
    arms = [("learned", profile.alternating), ("learned", profile.joint), ("linear", profile.joint)]
    methods += [[space_job(picture, *arm) for picture in profile.pictures] for arm in arms]
    few = profile.pictures[: profile.without_priors]
    methods += [[space_job(picture, "learned", recipe) for picture in few] for recipe in _weakened(profile.alternating)]
    restored = [job for group in methods for job in group]
    measured = profile.download or metrics.available("LPIPS (AlexNet)")[0]
    judged = [Job.create(judge, of=[job.to_json() for job in group]) for group in methods] if measured else []
    return [*restored, *judged]


def _weakened(recipe: kernel_space.Recipe) -> list[kernel_space.Recipe]:
    """Without the prior of k, without that of x."""
    return [replace(recipe, kernel_weight=(0.0, 0.0)), replace(recipe, gradient_weight=(0.0, 0.0))]


def once_job(model: str | None, pictures: Sequence[Picture]) -> Job:
    made_by = [weights.card(model)["sha256"]] if model else []
    digest = data.content_digest(*map(_digest, pictures), *made_by)
    return Job.create(restore_at_once, data=digest, model=model, pictures=list(pictures))


def one_kernel_job(picture: Picture, recipe: selfdeblur.Recipe, seed: int = 0) -> Job:
    return Job.create(restore_by_one_kernel, data=_digest(picture), pictures=[picture], recipe=recipe, seed=seed)


def space_job(picture: Picture, operator: str, recipe: kernel_space.Recipe, seed: int = 0) -> Job:
    digest = data.content_digest(_digest(picture), operators.digest(operator))
    return Job.create(restore_in_space, data=digest, pictures=[picture], operator=operator, recipe=recipe, seed=seed)


# Pictures


@cache
def read(picture: Picture) -> tuple[Tensor, Tensor]:
    """Blurry and sharp, float32 (1, 3, side, side) in [0, 1]."""
    if picture.dataset == FILMED:
        both = _film(picture.side)[picture.pair][None].float() / 255
        return both[:, :3], both[:, 3:]
    pair = data.crop(data.load(picture.dataset, picture.pair), picture.side)
    return pair.blurry, pair.sharp


@cache
def _film(side: int) -> dict[str, Tensor]:
    sharp = training_pairs.sharp_pictures("held out")
    taken = camera_pairs.camera_pairs(sharp, camera_pairs.Camera(side=side), len(sharp), seed=0)
    return dict(zip(training_pairs.HELD_OUT, taken.values(), strict=True))


@cache
def _digest(picture: Picture) -> str:
    if picture.dataset != FILMED:
        return data.content_digest(data.digest(picture.dataset, picture.pair), f"crop {picture.side}")
    camera = repr(asdict(camera_pairs.Camera(side=picture.side)))
    return data.content_digest(training_pairs.digest("held out"), camera, picture.pair)


def kernel_size(picture: Picture) -> int:
    """What SelfDeblur is told, in pixels."""
    if picture.dataset == FILMED:
        return 2 * camera_pairs.Camera(side=picture.side).margin - 1
    return data.load(picture.dataset, picture.pair).kernel_size


# Jobs


@task()
def restore_at_once(
    context: Context, *, model: str | None, pictures: list[dict[str, Any]]
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """One forward pass for each blurry picture; without a model they are left as they are.

    Values, as of the other two: `names`, and for each of them `psnr` in dB, `ssim` and `shift` in pixels, see
    `registered`; `macs`, multiply-adds for the last picture. Arrays: `restored`, uint8 (n, 3, side, side).
    """
    network = trainings.load(model).to(context.device) if model else torch.nn.Identity()
    chosen = [from_settings(Picture, picture) for picture in pictures]
    with torch.no_grad():
        estimates = [network(read(picture)[0].to(context.device)).cpu() for picture in chosen]
    macs = count_macs(network, torch.empty_like(estimates[-1])) if model else 0
    return scored(chosen, estimates, macs=macs)


@task()
def restore_by_one_kernel(
    context: Context, *, pictures: list[dict[str, Any]], recipe: dict[str, Any], seed: int
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """SelfDeblur on the luma of one picture, with the blurry chroma."""
    (picture,) = (from_settings(Picture, picture) for picture in pictures)
    chosen, size = from_settings(selfdeblur.Recipe, recipe), kernel_size(picture)
    y = read(picture)[0]
    luma = large_picture.luma_of(y)
    found = selfdeblur.deblur(luma, size, chosen, seed=seed, device=context.device, **_watched(context))
    said = {"macs": _macs(None, chosen, picture.side, size), "losses": _thinned(found)}
    return scored([picture], [large_picture.recolour(found.x, y)], **said)


@task()
def restore_in_space(
    context: Context, *, pictures: list[dict[str, Any]], operator: str, recipe: dict[str, Any], seed: int
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """One picture in the space of an operator. Values also: `reblurred`, PSNR of operator(x, k) against y; `spread`,
    the root mean square of k; `sparsity`, the hyper-Laplacian prior of x."""
    (picture,) = (from_settings(Picture, picture) for picture in pictures)
    model, chosen, y = operators.get(operator), from_settings(kernel_space.Recipe, recipe), read(picture)[0]
    found = kernel_space.deblur(model, y, chosen, seed=seed, device=context.device, **_watched(context))
    with torch.no_grad():
        again = model.blur(found.x, found.k).clamp(0, 1)
    said = {
        "macs": _macs(operator, chosen, picture.side),
        "losses": _thinned(found),
        "reblurred": metrics.psnr(again, y),
        "spread": found.k.square().mean().sqrt().item(),
        "sparsity": hyper_laplacian(found.x, chosen.exponent).item(),
    }
    return scored([picture], [found.x], **said)


def _watched(context: Context) -> dict[str, Any]:
    return {"checkpoint": context.checkpoint, "progress": context.progress}


def _thinned(found: Deblurred) -> list[float]:
    return found.losses[:: max(1, len(found.losses) // 100)]


@cache
def _macs(operator: str | None, recipe: Any, side: int, size: int = 0) -> int:
    """Of a run on a picture of side x side pixels, in the space of an operator or, for None, for one kernel."""
    y = torch.full((1, 3, side, side), 0.5)
    if operator is None:
        return multiply_adds(selfdeblur.optimisation(y[:, :1], size, recipe, 0, "cpu"))
    return multiply_adds(kernel_space.optimisation(operators.get(operator), y, recipe, 0, "cpu"))


def multiply_adds(run: Optimisation) -> int:
    """Of a whole run, forward and backward, from the first iteration of every phase. Fourier transforms, by which small
    operators blur on a CPU, are not counted. The run is spoilt."""
    total, before = 0, 0.0
    for phase in run.phases:
        count = round(run.iterations * phase.until) - round(run.iterations * before)
        if count > 0:
            run.iteration = round(run.iterations * before)
            with FlopCounterMode(display=False) as counter:
                run.step()
            total += count * counter.get_total_flops() // 2
        before = phase.until
    return total


def scored(
    pictures: Sequence[Picture], estimates: Sequence[Tensor], **more: Any
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """What the jobs above return, for estimates that are rounded to 8 bits."""
    values: dict[str, Any] = {"names": [picture.pair for picture in pictures], "psnr": [], "ssim": [], "shift": []}
    levels = [to_uint8(estimate) for estimate in estimates]
    for picture, drawn in zip(pictures, levels, strict=True):
        moved, sharp, shift = registered(drawn.float() / 255, read(picture)[1])
        values["psnr"].append(metrics.psnr(moved, sharp))
        values["ssim"].append(metrics.ssim(moved, sharp))
        values["shift"].append(shift)
    return values | more, {"restored": torch.cat(levels).numpy()}


def registered(estimate: Tensor, sharp: Tensor) -> tuple[Tensor, Tensor, int]:
    """Both `(1, 3, h, w)` without their border of REACH px, the estimate moved by the whole pixels by which its luma
    fits best; and how far it was moved, the larger of both directions.

    Blind methods find a picture up to a shift, which its kernel undoes.
    """
    found = metrics.aligned(*(to_luma_chroma(picture)[0] for picture in (estimate, sharp)), REACH, border=REACH)
    down, right = (round(shift) for shift in found.shift)
    height, width = (side - 2 * REACH for side in sharp.shape[-2:])
    moved = estimate[..., REACH + down : REACH + down + height, REACH + right : REACH + right + width]
    return moved, sharp[..., REACH:-REACH, REACH:-REACH], max(abs(down), abs(right))


@task()
def judge(context: Context, *, of: list[dict[str, Any]]) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """LPIPS (AlexNet) of what these jobs have restored: for each of `names`, `lpips` after registration, and `lpips as
    it is`, of the whole picture where it is."""
    values: dict[str, Any] = {"names": [], LPIPS: [], AS_IT_IS: []}
    for run in (context.result(Job.from_json(job)) for job in of):
        for picture, restored in zip(run.job.settings["pictures"], run.arrays["restored"], strict=True):
            estimate = torch.from_numpy(restored)[None].float() / 255
            sharp = read(from_settings(Picture, picture))[1]
            values["names"].append(picture["pair"])
            values[LPIPS].append(_lpips(context, *registered(estimate, sharp)[:2]))
            values[AS_IT_IS].append(_lpips(context, estimate, sharp))
    return values, {}


def _lpips(context: Context, estimate: Tensor, sharp: Tensor) -> float:
    return metrics.lpips(estimate.to(context.device), sharp.to(context.device)).item()


# Results


Scores = dict[str, dict[str, float]]
"""By measure and name of the picture."""
TASKS = (restore_at_once, restore_by_one_kernel, restore_in_space)


def restorations(results: list[Result]) -> list[Result]:
    return [run for function in TASKS for run in of_task(results, function)]


def priors_of(job: Job) -> tuple[bool, bool]:
    """Whether k has its prior, and x."""
    recipe = job.settings.get("recipe", {})
    of_k, of_x = (any(recipe.get(weight, (1,))) for weight in ("kernel_weight", "gradient_weight"))
    return of_k, of_x


def method_of(job: Job) -> str:
    settings = job.settings
    if "model" in settings:
        return ONCE.get(settings["model"], BLURRY)
    if "operator" not in settings:
        return ONE_KERNEL
    if settings["operator"] == "linear":
        return BY_HAND
    return OURS if settings["recipe"]["alternating"] else JOINT


def runs_by_method(results: list[Result]) -> dict[str, list[Result]]:
    """In the order of METHODS, those with both priors."""
    with_both = [run for run in restorations(results) if all(priors_of(run.job))]
    found = grouped(with_both, lambda run: method_of(run.job))
    return {method: found[method] for method in METHODS if method in found}


def scores_by_method(results: list[Result]) -> dict[str, Scores]:
    marks = _marks(results)
    return {method: _scores(runs, marks) for method, runs in runs_by_method(results).items()}


def _marks(results: list[Result]) -> dict[Job, Result]:
    return {Job.from_json(job): run for run in of_task(results, judge) for job in run.job.settings["of"]}


def _scores(runs: Iterable[Result], marks: dict[Job, Result]) -> Scores:
    scores: Scores = {}
    for run in runs:
        judged = [marks[run.job].values] if run.job in marks else []
        for values in (run.values, *judged):
            for measure in {"psnr", "ssim", "shift", LPIPS, AS_IT_IS} & values.keys():
                known = dict(zip(values["names"], values[measure], strict=True))
                scores.setdefault(measure, {}).update({name: known[name] for name in run.values["names"]})
    return scores


def by_scene(values: dict[str, float]) -> dict[str, float]:
    """Means over the pictures of each scene, which were filmed in a row."""
    scenes: dict[str, list[float]] = {}
    for name, value in values.items():
        scenes.setdefault(scene_of(name), []).append(value)
    return {scene: float(np.mean(group)) for scene, group in scenes.items()}


def mean(scores: Scores, measure: str) -> float | None:
    """Over scenes; None where it was not measured."""
    return float(np.mean(list(by_scene(scores[measure]).values()))) if scores.get(measure) else None


def better(label: str, ours: Scores, theirs: Scores, measure: str) -> Comparison | None:
    """By how much we are better over the pictures that both have, scene by scene; None where there are none."""
    if not ours.get(measure, {}).keys() & theirs.get(measure, {}).keys():
        return None
    higher, lower = (ours, theirs) if measure in ("psnr", "ssim") else (theirs, ours)
    unit = "dB" if measure == "psnr" else ""
    return paired_by_name(label, higher[measure], lower[measure], scene_of, unit, "scenes")


def sign_test(wins: int, n: int) -> float:
    """How probable a count at least so far from n/2, to either side, would be if both were equally good."""
    return float(stats.binomtest(wins, n).pvalue) if n else 1.0


# Tables


def tables(results: list[Result]) -> list[Table]:
    scores = scores_by_method(results)
    drawn = (_means_table(results, scores), _three_table(scores), _cost_table(results, scores), _prior_table(results))
    return [table for table in drawn if table.rows]


def _interval(comparison: Comparison | None, digits: int) -> str:
    return NOT_AVAILABLE if comparison is None else with_interval(comparison, digits)


def _means_table(results: list[Result], scores: dict[str, Scores]) -> Table:
    blurry, rows = scores.get(BLURRY, {}), []
    for method, own in scores.items():
        cells = []
        for measure, digits in (("psnr", 2), ("ssim", 3), (LPIPS, 3)):
            gain = None if method == BLURRY else _interval(better("", own, blurry, measure), digits)
            cells += [rounded(mean(own, measure), digits), gain]
        rows.append((method, *cells, rounded(mean(own, AS_IT_IS), 3)))
    names = {name for own in scores.values() for name in own["psnr"]}
    caption = (
        f"{len(names)} pictures of {len(set(map(scene_of, names)))} scenes{origin(results)}. The pictures of a scene "
        f"are averaged first. Estimates are moved by up to {REACH} whole pixels to fit, but for the last column. Gains "
        "over the blurry input have 95 % intervals, paired by scene; a gain in LPIPS is how much lower it is."
    )
    columns = ("method", "PSNR (dB)", "gain [95 %]", "SSIM", "gain [95 %]", "LPIPS", "gain [95 %]",
               "LPIPS, not moved")  # fmt: skip
    return Table("Means over all pictures", columns, rows, caption)


def origin(results: list[Result]) -> str:
    """Where the pictures are from, for captions."""
    pictures = [picture for run in restorations(results) for picture in run.job.settings["pictures"]]
    scenes = {scene_of(picture["pair"]) for picture in pictures if picture["dataset"] != FILMED}
    if not scenes:
        return ": held-out ones, filmed by a simulated camera"
    training = sum(map(may_train, scenes))
    return (
        f", {training} of GoPro's training split and {len(scenes) - training} of its test split: windows of "
        f"{pictures[0]['side']} px where edges are strongest. No network or operator was trained on GoPro"
    )


def _three_table(scores: dict[str, Scores]) -> Table:
    rows: list[tuple[object, ...]] = []
    for method, theirs in scores.items():
        comparison = better("", scores.get(OURS, {}), theirs, LPIPS)
        if method == OURS or comparison is None:
            continue
        ours = scores[OURS][LPIPS]
        gaps = {name: value - ours[name] for name, value in theirs[LPIPS].items() if name in ours}
        scenes = by_scene(gaps).values()
        wins, won = (sum(gap > 0 for gap in found) for found in (gaps.values(), scenes))
        three = f"{comb(wins, 3) / comb(len(gaps), 3):.0%}" if len(gaps) >= 3 else None
        rows.append((method, f"{wins} of {len(gaps)}", three, f"{won} of {len(scenes)}",
                     f"{sign_test(won, len(scenes)):.2g}", _interval(comparison, 3)))  # fmt: skip
    if rows:
        rows.append(("each of the paper's four", "3 of 3", None, "3 of 3", f"{sign_test(3, 3):.2g}", None))
    return Table(
        f"What three pictures can show: LPIPS of '{OURS}' against the others",
        ("rival", "pictures won", "triples all won", "scenes won", "p of the sign test", "rival's LPIPS above [95 %]"),
        rows,
        "Triples: of all sets of three of these pictures, the share in which all three are won, as in the paper's "
        "figure. The exact two-sided sign test counts scenes.",
    )


def _cost_table(results: list[Result], scores: dict[str, Scores]) -> Table:
    rows, ratios = [], relative_times(results)
    for method, runs in runs_by_method(results).items():
        recipe = runs[0].job.settings.get("recipe", {})
        iterations = recipe.get("iterations", 0) + recipe.get("warm_up", 0) or (None if method == BLURRY else 1)
        quality = (rounded(mean(scores[method], measure), digits) for measure, digits in (("psnr", 2), (LPIPS, 3)))
        time = [_two_digits(ratios[method]) if method in ratios else None] if ratios else []
        rows.append((method, iterations, f"{cost_of(runs):,.1f}", *time, *quality))
    caption = (
        "Of products and convolutions, forward and backward, of one picture; Fourier transforms are not counted. What "
        "training has cost is not in it."
    )
    if ratios:
        (machine,) = _machines(results)
        caption += (
            f" Time: the median over pictures of the seconds of recorded jobs, each on {machine}. Loading, reading and "
            "scoring are in it, all that the first row has: little of an optimisation, most of a single pass. So for "
            "optimisations it is a lower bound."
        )
    time = ["times the inverse's time"] if ratios else []
    columns = ("method", "passes", "G multiply-adds a picture", *time, "PSNR (dB)", "LPIPS")
    return Table("Optimise, or invert at once", columns, rows, caption)


def cost_of(runs: list[Result]) -> float:
    """In 10⁹ multiply-adds a picture."""
    return float(np.mean([run.values["macs"] for run in runs])) / 1e9


def relative_times(results: list[Result]) -> dict[str, float]:
    """Seconds a picture as a multiple of the inverse's, by method; none where they could not be compared."""
    seconds = {}
    for method, runs in runs_by_method(results).items():
        timed = [run for run in runs if run.provenance.get("seconds") and not run.provenance["resumed"]]
        if timed:
            each = [run.provenance["seconds"] / len(run.values["names"]) for run in timed]
            seconds[method] = float(np.median(each))
    enough = all(len(run.values["names"]) >= TIMED for run in runs_by_method(results).get(INVERSE, []))
    if INVERSE not in seconds or not enough or len(_machines(results)) > 1:
        return {}
    return {method: value / seconds[INVERSE] for method, value in seconds.items()}


def _machines(results: list[Result]) -> set[str]:
    made = [run.provenance for run in restorations(results) if run.provenance]
    return {one["gpu"] or f"{one['threads']} thread{'s' * (one['threads'] > 1)} of {one['cpu']}" for one in made}


def _two_digits(value: float) -> str:
    return f"{float(f'{value:.2g}'):,g}"


def by_priors(results: list[Result]) -> dict[tuple[bool, bool], list[Result]]:
    """Runs of the method that has them switched off, over the pictures that all have: by (prior of k, of x)."""
    found: dict[tuple[bool, bool], dict[str, Result]] = {}
    for run in of_task(results, restore_in_space):
        if method_of(run.job) == OURS:
            found.setdefault(priors_of(run.job), {})[run.values["names"][0]] = run
    names = set.intersection(*map(set, found.values())) if len(found) > 1 else set()
    order = sorted(found, reverse=True)
    return {arm: [run for name, run in found[arm].items() if name in names] for arm in order if names}


def _prior_table(results: list[Result]) -> Table:
    marks, rows = _marks(results), []
    for (of_k, of_x), runs in by_priors(results).items():
        scores = _scores(runs, marks)
        spread, sparsity, reblurred = (
            np.mean([run.values[key] for run in runs]) for key in ("spread", "sparsity", "reblurred")
        )
        priors = ("on" if switched_on else "off" for switched_on in (of_k, of_x))
        quality = rounded(mean(scores, "psnr"), 2), rounded(mean(scores, LPIPS), 3)
        rows.append((*priors, *quality, f"{spread:.2f}", f"{sparsity:.3f}", f"{reblurred:.2f}"))
    count = len(runs) if rows else 0
    return Table(
        "The two priors",
        ("‖k‖", "hyper-Laplacian", "PSNR (dB)", "LPIPS", "size of k", "gradients of x", "PSNR of operator(x, k) to y"),
        rows,
        f"'{OURS}', {count} picture{'s' * (count != 1)}, one seed. Size of k: root mean square. Gradients: the "
        "hyper-Laplacian prior of x, which is small where edges are few.",
    )


# Figures


def figures(results: list[Result]) -> list[Figure]:
    scores = scores_by_method(results)
    measured = {method: own for method, own in scores.items() if own.get(LPIPS)}
    drawn = _pictures(results)
    if measured:
        drawn.append(_lpips_figure(measured))
    if len(scores) > 1:
        drawn.append(_cost_figure(results, scores))
    return drawn


def restored(run: Result, name: str) -> np.ndarray:
    """uint8 (3, h, w)."""
    return run.arrays["restored"][run.values["names"].index(name)]


def shown_at(results: list[Result]) -> dict[str, dict[str, np.ndarray]]:
    """By picture and method, the pictures of runs that have their arrays, from the blurry to the sharp one. Of GoPro
    none is shown."""
    found: dict[str, dict[str, np.ndarray]] = {}
    for method, runs in runs_by_method(results).items():
        for run in runs:
            for settings in run.job.settings["pictures"] if run.arrays else []:
                if settings["dataset"] == FILMED:
                    found.setdefault(settings["pair"], {})[method] = restored(run, settings["pair"])
    sharp = {settings["pair"]: read(from_settings(Picture, settings))[1][0].numpy()
             for run in restorations(results) for settings in run.job.settings["pictures"]
             if settings["pair"] in found}  # fmt: skip
    return {name: drawn | {"sharp": sharp[name]} for name, drawn in found.items()}


def _pictures(results: list[Result]) -> list[Figure]:
    found = shown_at(results)
    columns = list(dict.fromkeys(title for drawn in found.values() for title in drawn))
    if not columns:
        return []
    columns.sort(key=[*METHODS, "sharp"].index)
    figure, panels = subplots(len(found), len(columns), width=1.9, height=2.1)
    for drawn, row in zip(found.values(), panels, strict=True):
        for axes, title in zip(row, columns, strict=True):
            axes.set_axis_off()
            if title in drawn:
                show_picture(axes, drawn[title], title.replace(", ", ",\n"))
    caption = (
        "Blur that turns with the camera, restored by every method. Are edges sharper than in the first column, and is "
        "there anything that the last column has not?"
    )
    return [Figure("pictures", figure, caption)]


def _lpips_figure(measured: dict[str, Scores]) -> Figure:
    figure, ((axes,),) = subplots(width=5.6, height=0.4 * len(measured) + 1.0)
    for row, own in enumerate(measured.values()):
        show_spread(axes, list(own[LPIPS].values()), mean(own, LPIPS), row)
    axes.set(yticks=range(len(measured)), yticklabels=list(measured), xlabel="LPIPS (lower is better)")
    axes.set_ylim(len(measured) - 0.4, -0.6)
    caption = "A dot is a picture, the bar the mean over scenes. How much wider are the pictures spread than the means?"
    return Figure("lpips", figure, caption)


def _cost_figure(results: list[Result], scores: dict[str, Scores]) -> Figure:
    figure, ((axes,),) = subplots(width=5.0, height=3.2)
    measure, label = (LPIPS, "LPIPS") if any(own.get(LPIPS) for own in scores.values()) else ("psnr", "PSNR (dB)")
    for i, (method, runs) in enumerate(runs_by_method(results).items()):
        quality = mean(scores[method], measure)
        if quality is None:
            continue
        if method == BLURRY:
            axes.axhline(quality, label=method, **DASHED)
        else:
            axes.plot(cost_of(runs), quality, "o", color=PALETTE[(i - 1) % len(PALETTE)], label=method)
    axes.set(xscale="log", xlabel="G multiply-adds a picture", ylabel=label)
    low, high = axes.get_xlim()
    axes.set_xlim(low / 3, high * 3)  # a whole power of ten at least
    axes.legend(fontsize=7)
    side = "below" if measure == LPIPS else "above"
    caption = f"What a picture costs, and what it gains: what lies {side} the dashed line is better than doing nothing."
    return Figure("cost", figure, caption)


# Evidence


ALIGNMENTS = (("moved to fit", LPIPS), ("not moved", AS_IT_IS))
"""The paper names no alignment, and a blind method may put its picture elsewhere: a claim has to hold both ways."""


def evidence(results: list[Result]) -> dict[str, Evidence]:
    scores = scores_by_method(results)
    found: dict[str, Evidence] = {}
    said = {method: rounded(mean(own, LPIPS), 3) for method, own in scores.items()}
    measured = {method for method, own in scores.items() if own.get(LPIPS)}
    if measured >= {OURS, *RIVALS}:
        compared = [_in_lpips(f"{rival} − ours", scores[OURS], scores[rival]) for rival in RIVALS]
        rivals = ", ".join(f"{rival} {said[rival]}" for rival in RIVALS)
        joint = f" ({said[JOINT]} jointly)" if JOINT in said else ""
        found["C2.4"] = Evidence(
            tuple(comparison for both in compared for comparison in both),
            ours=f"mean LPIPS {said[OURS]}{joint}; {rivals}",
            reduced=unlike_the_paper(results),
        )
    if measured >= {BLURRY, ONE_KERNEL}:
        found["C2.5"] = Evidence(
            tuple(_in_lpips("SelfDeblur − blurry", scores[BLURRY], scores[ONE_KERNEL])),
            ours=f"mean LPIPS {said[ONE_KERNEL]} against {said[BLURRY]}",
            reduced=shortened(results, ONE_KERNEL),
        )
    return found


def _in_lpips(label: str, ours: Scores, theirs: Scores) -> list[Comparison]:
    """Moved to fit, and not moved; none where both have no picture in common."""
    both = (better(f"LPIPS, {label}, {how}", ours, theirs, measure) for how, measure in ALIGNMENTS)
    return [comparison for comparison in both if comparison]


def unlike_the_paper(results: list[Result]) -> str:
    """What stands in for the paper's method and its rivals."""
    cards = [weights.card(name) for name in ("kernel_space", "srn")]
    operator, srn = (card["parameters"] / 1e6 for card in cards)
    reach = [card["data"]["blur"]["size"] for card in cards]
    filmed = ", some of it filmed" if cards[0]["data"].get("filmed") else ""
    parts = (
        f"an operator of {operator:.2f} M parameters, trained on synthetic blur, for the paper's of 49 M (115 M with "
        "its VAE head), trained on REDS",
        f"SRN with {srn:.1f} M parameters in place of 8 M",
        f"SRN trained on blur of up to {reach[1]} px, the same everywhere, the operator on up to {reach[0]} px{filmed}",
        "DeblurGAN-v2 is missing",
        shortened(results, OURS),
    )
    return "; ".join(filter(None, parts))


def shortened(results: list[Result], method: str) -> str:
    """How much shorter than the paper's the runs of a method were, if they were: their networks may have had no time to
    draw what is fine."""
    paper = PROFILES["paper"].alternating if method == OURS else PROFILES["paper"].one_kernel
    least = min(run.job.settings["recipe"]["iterations"] for run in runs_by_method(results)[method])
    return f"{least:,} iterations of {method}, of {paper.iterations:,}" if least < paper.iterations else ""


STUDY = Study(
    "blind_in_kernel_space", "Blind deblurring in the kernel space (its general deblurring figure)", "kernel_space",
    "16_blind_in_kernel_space", PROFILES, jobs, tables, figures, evidence, claims=("C2.4", "C2.5"),
)  # fmt: skip
