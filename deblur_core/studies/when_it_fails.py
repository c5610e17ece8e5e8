"""What decides whether SelfDeblur succeeds: noise, the kernel size, the seed, and blur that is no convolution.

The questions of those who used the authors' code. Failures are counted as everywhere here: a run has failed when it
gains less than 3 dB over the picture that it was given.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from deblur_core import blur, data, metrics
from deblur_core.blur import nonuniform
from deblur_core.runs import Context, Job, Result, task
from deblur_core.solvers.selfdeblur import RECIPES, Recipe
from deblur_core.studies import joint_vs_alternating, pairs, seeds
from deblur_core.studies.claims import Comparison, Evidence
from deblur_core.studies.pairs import PAIRS, gain
from deblur_core.studies.study import Figure, Study, Table, of_task, with_interval
from deblur_core.studies.style import DASHED, PALETTE, show_spread, subplots

MARGIN = 16
"""Of the scene around the picture, in pixels, for the turning camera to look at."""
SHIFT = 5.0
"""How far the turning camera moves along an axis at most, in pixels."""
TOLD = 19
"""The kernel size that is given for the turning camera, whose kernel in the middle has 11 px."""
REACH = 15
"""Shifts searched where the kernel size is wrong: a large kernel lets the picture drift further than 10 px."""
PHOTOGRAPHS = ("GOPR0869_11_00_000020", "GOPR0881_11_01_000295", "GOPR0372_07_00_000049")
PHOTOGRAPH_KERNEL = 31
Arm = tuple[str, float]
ARMS: tuple[Arm, ...] = (
    ("1 − SSIM", 0), ("1 − SSIM", 1), ("squared error", 0), ("squared error", 0.1), ("squared error", 1),
    ("squared error", 10),
)  # fmt: skip
"""How noise is met: the loss of the run's later part, and the TV weight as a multiple of the estimated noise level."""


@dataclass(frozen=True)
class Profile:
    """Runs without a disturbance are those of Table 1 (`shared`) and those of `names` with the own recipe.

    sigmas: noise that is added, each met by all `arms`; sizes: kernel size that is told, in units of the usual one;
    corners: how far the camera's turn moves the corners of the picture, in px; window: side of those pictures.
    """

    shared: joint_vs_alternating.Profile
    dataset: str
    recipe: Recipe
    crop: int | None
    names: tuple[str, ...]
    noisy: tuple[str, ...]
    sigmas: tuple[float, ...]
    arms: tuple[Arm, ...]
    sized: tuple[str, ...]
    sizes: tuple[float, ...]
    seeded: tuple[str, ...]
    seeds: tuple[int, ...]
    scenes: tuple[str, ...]
    corners: tuple[float, ...]
    window: int = 128
    photographs: tuple[str, ...] = ()


SCENES = tuple(f"im{i}_kernel1" for i in (1, 2, 3, 4))  # whose sharp pictures the turning camera sees
PROFILES = {
    "smoke": Profile(
        joint_vs_alternating.PROFILES["smoke"], "builtin", pairs.SMOKE, 64, PAIRS[:1],
        noisy=PAIRS[:1], sigmas=(0.03,), arms=(ARMS[0], ARMS[4]), sized=PAIRS[:1], sizes=(2,),
        seeded=PAIRS[:1], seeds=(1,), scenes=SCENES[:1], corners=(0, 8), window=64,
    ),
    "laptop": Profile(
        joint_vs_alternating.PROFILES["laptop"], "builtin", pairs.LAPTOP, 128, PAIRS[6:7],
        noisy=PAIRS[6:7], sigmas=(0.03,), arms=(ARMS[0], ARMS[2], *ARMS[4:]), sized=PAIRS[6:7], sizes=(0.5, 2),
        seeded=PAIRS[2:3], seeds=(1, 2), scenes=SCENES[2:3], corners=(0, 8),
    ),
    "overnight": Profile(
        joint_vs_alternating.PROFILES["overnight"], "levin", replace(pairs.LAPTOP, iterations=600), 128, PAIRS[:8],
        noisy=PAIRS[:5], sigmas=(0, 0.01, 0.03), arms=ARMS, sized=PAIRS[:8], sizes=(0.6, 1.5, 2),
        seeded=PAIRS[:8], seeds=(1, 2), scenes=SCENES, corners=(0, 2, 4, 8), photographs=PHOTOGRAPHS,
    ),
    "paper": Profile(
        joint_vs_alternating.PROFILES["paper"], "levin", RECIPES["released"], None, PAIRS[:8],
        noisy=PAIRS[:6], sigmas=(0, 0.01, 0.02, 0.05), arms=ARMS, sized=PAIRS[:8], sizes=(0.6, 0.8, 1.5, 2),
        seeded=PAIRS[:8], seeds=(1, 2, 3, 4), scenes=SCENES, corners=(0, 2, 4, 8), window=192,
        photographs=PHOTOGRAPHS,
    ),
}  # fmt: skip


def jobs(profile: Profile) -> list[Job]:
    """Every job once; those without a disturbance are jobs of other studies, where these have the same recipe."""
    shared, recipe = profile.shared, profile.recipe

    def disturbed(function: Callable, name: str, recipe: Recipe = recipe, **settings: Any) -> Job:
        return Job.create(function, data=data.digest(profile.dataset, name), dataset=profile.dataset, pair=name,
                          crop=profile.crop, seed=0, recipe=asdict(recipe), **settings)  # fmt: skip

    def window(function: Callable, dataset: str, name: str, **settings: Any) -> Job:
        return Job.create(function, data=data.digest(dataset, name), dataset=dataset, pair=name, window=profile.window,
                          seed=0, recipe=asdict(recipe), **settings)  # fmt: skip

    made = [pairs.restore_job(shared.dataset, name, shared.recipe, seed, shared.crop) for name, seed in shared.runs()]
    runs = [(name, 0) for name in profile.names] + [(name, seed) for name in profile.seeded for seed in profile.seeds]
    made += [pairs.restore_job(profile.dataset, name, recipe, seed, profile.crop) for name, seed in runs]
    made += [
        disturbed(restore_noisy, name, _with_loss(recipe, loss), sigma=sigma, tv_factor=factor)
        for name in profile.noisy for sigma in profile.sigmas for loss, factor in profile.arms
        if sigma or (loss, factor) != ARMS[0]
    ]  # fmt: skip
    made += [disturbed(restore_resized, name, size=size) for name in profile.sized for size in profile.sizes]
    made += [window(restore_turned, "builtin", name, motion=motion, corner=corner)
             for motion, name in enumerate(profile.scenes) for corner in profile.corners]  # fmt: skip
    made += [window(restore_photograph, "gopro", name) for name in profile.photographs]
    return list(dict.fromkeys(made))


def _with_loss(recipe: Recipe, loss: str) -> Recipe:
    return recipe if loss == "1 − SSIM" else replace(recipe, squared_error_until=1.0)


@task(numerics=1)
def restore_noisy(
    context: Context, *, dataset: str, pair: str, crop: int | None, seed: int, recipe: dict[str, Any], sigma: float,
    tv_factor: float,
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:  # fmt: skip
    """A pair with white noise added, in 8 bits; the TV weight is tv_factor times the noise that is estimated."""
    target = pairs.load(dataset, pair, crop)
    y = blur.add_gaussian(target.blurry, sigma, torch.Generator().manual_seed(seed)) if sigma else target.blurry
    target = replace(target, blurry=blur.quantize_8bit(y))
    estimate = float(blur.estimate_sigma(target.blurry))
    weight = tv_factor * estimate
    values, arrays = pairs.solve(context, target, recipe | {"tv_weight": weight}, seed)
    values |= {"estimated_sigma": estimate, "tv_weight": weight}
    return values, {**arrays, "blurry": pairs.to_bytes(target.blurry)}


@task(numerics=1)
def restore_resized(
    context: Context, *, dataset: str, pair: str, crop: int | None, seed: int, recipe: dict[str, Any], size: float
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """A pair with a kernel size that is `size` times the usual one, rounded to an odd number."""
    target = pairs.load(dataset, pair, crop)
    told = 2 * round((size * target.kernel_size - 1) / 2) + 1
    return pairs.solve(context, replace(target, kernel_size=told), recipe, seed, max_shift=REACH)


@task(numerics=1)
def restore_turned(
    context: Context, *, dataset: str, pair: str, window: int, seed: int, recipe: dict[str, Any], motion: int,
    corner: float,
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:  # fmt: skip
    """A sharp picture under a camera that turns; the true kernel is that of the middle of the picture."""
    target, scene = turned(dataset, pair, window, motion, corner)
    values, arrays = pairs.solve(context, target, recipe, seed)
    fit = best_fit(scene.sharp, target.blurry, target.kernel_size)
    return {**values, "fit": fit}, {**arrays, "blurry": pairs.to_bytes(target.blurry)}


def turned(dataset: str, pair: str, window: int, motion: int, corner: float) -> tuple[data.Pair, data.Pair]:
    """(pair, scene) of side `window` and that plus two margins; motion: seed of the camera's motion.

    corner: how far the turn alone moves the picture's corners at most, in px. Noise and rounding as of built-in pairs.
    """
    scene = pairs.load(dataset, pair, window + 2 * MARGIN)
    moved = nonuniform.camera_motion(motion, SHIFT, corner / (window / 2**0.5))
    y = nonuniform.expose(scene.sharp, moved, MARGIN)
    y = blur.quantize_8bit(blur.add_gaussian(y, 0.002, torch.Generator().manual_seed(motion)))
    sharp = scene.sharp[..., MARGIN:-MARGIN, MARGIN:-MARGIN].contiguous()
    k = nonuniform.kernel_at(moved, (0, 0), TOLD)
    return replace(scene, blurry=y, sharp=sharp, kernel=k, kernel_size=TOLD), scene


@task(numerics=1)
def restore_photograph(
    context: Context, *, dataset: str, pair: str, window: int, seed: int, recipe: dict[str, Any]
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """A window of a GoPro pair (Nah et al., CVPR 2017: the mean of some frames, and the middle one), half-size luma."""
    whole = half_size_luma(dataset, pair)
    target = data.crop(whole, window)
    values, arrays = pairs.solve(context, target, recipe, seed)
    fits = {
        name: best_fit(shown.sharp, shown.blurry[..., MARGIN:-MARGIN, MARGIN:-MARGIN], PHOTOGRAPH_KERNEL)
        for name, shown in (("fit", target), ("fit_whole", whole))
    }
    return {**values, **fits}, arrays


def half_size_luma(dataset: str, pair: str) -> data.Pair:
    whole = data.load(dataset, pair)
    assert whole.sharp is not None
    blurry, sharp = (F.avg_pool2d(data.to_luma_chroma(image)[0], 2) for image in (whole.blurry, whole.sharp))
    return replace(whole, blurry=blurry, sharp=sharp, kernel_size=PHOTOGRAPH_KERNEL)


def best_fit(x: torch.Tensor, y: torch.Tensor, size: int) -> float:
    """PSNR to which the best of all kernels of size x size px, by least squares, explains y (1, 1, h, w) from x.

    x is larger than y by 2 MARGIN. How well blur is a convolution at all: no method that finds x explains more.
    """
    reach = size // 2
    x = x[..., MARGIN - reach : x.shape[-2] - MARGIN + reach, MARGIN - reach : x.shape[-1] - MARGIN + reach].double()
    rows = range(0, y.shape[-2], 16)  # in strips, since every pixel becomes size² numbers

    def strips() -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        for i in rows:
            yield F.unfold(x[..., i : i + 16 + size - 1, :], size)[0], y[0, 0, i : i + 16].flatten().double()

    normal, right = (sum(parts) for parts in zip(*((p @ p.T, p @ t) for p, t in strips()), strict=True))
    normal.diagonal().add_(1e-9 * normal.diagonal().mean())
    k = torch.linalg.solve(normal, right)
    squares = sum((k @ p - t).square().sum() for p, t in strips())
    return float(-10 * (squares / y.numel()).log10())


# Results


Cells = tuple[object, ...]
Runs = dict[str, Result]  # by pair


def noise_runs(results: list[Result]) -> dict[tuple[float, Arm], Runs]:
    """By the noise that was added and the arm; the undisturbed runs are the first arm without noise."""

    def key(settings: dict[str, Any]) -> tuple[float, Arm]:
        loss = "squared error" if settings["recipe"]["squared_error_until"] == 1 else "1 − SSIM"
        return settings["sigma"], (loss, settings["tv_factor"])

    return _disturbed(results, restore_noisy, key, undisturbed=(0, ARMS[0]))


def size_runs(results: list[Result]) -> dict[float, Runs]:
    """By the kernel size that was told, in units of the usual one; the undisturbed runs are 1."""
    return _disturbed(results, restore_resized, lambda settings: settings["size"], undisturbed=1)


def turned_runs(results: list[Result]) -> dict[float, Runs]:
    """By how far the camera's turn moved the corners."""
    return _disturbed(results, restore_turned, lambda settings: settings["corner"])


def _disturbed(
    results: list[Result], function: Callable, key: Callable[[dict[str, Any]], Any], undisturbed: Any = None
) -> dict[Any, Runs]:
    """Runs of a task by key(settings), in its order. Their twins, the same pair, recipe and seed as it is, stand under
    the key `undisturbed`."""
    twins = {run.job: run for run in of_task(results, pairs.restore)}
    found: dict[Any, Runs] = defaultdict(dict)
    for run in of_task(results, function):
        settings = run.job.settings
        found[key(settings)][settings["pair"]] = run
        if undisturbed is not None:
            same = {name: settings[name] for name in ("dataset", "pair", "crop", "seed", "recipe")}
            if twin := twins.get(Job.create(pairs.restore, data=run.job.data, **same)):
                found[undisturbed][settings["pair"]] = twin
    return dict(sorted(found.items()))


# Tables


def tables(results: list[Result]) -> list[Table]:
    return [_summary_table(results), _noise_table(results), _size_table(results), *seeds.tables(results),
            _turned_table(results)]  # fmt: skip


def _summary_table(results: list[Result]) -> Table:
    noise, size, turn = noise_runs(results), size_runs(results), turned_runs(results)
    rows: list[Cells] = []
    if noise:
        most = max(sigma for sigma, _ in noise)
        ssim, plain, strong = (noise.get((most, arm), {}) for arm in (ARMS[0], ("squared error", 0),
                                                                     ("squared error", 10)))  # fmt: skip
        rows += [
            (f"noise {most:g}", "fails at high noise", "against no noise", _above(ssim, noise.get((0, ARMS[0]), {}))),
            ("loss", "", f"squared error against 1 − SSIM, noise {most:g}", _above(plain, ssim)),
            ("TV weight", "10 σ is a rule of thumb", f"10 σ against none, noise {most:g}", _above(strong, plain)),
        ]
    for factor, runs in size.items():
        if factor in (min(size), max(size)) and factor != 1:
            words = "kernel size", "if unknown, set it large", f"{factor:g} times the usual one against 1"
            rows.append((*words, _above(runs, size.get(1, {}))))
    for setup, by_pair in seeds.seed_runs(results).items():
        if seeds.repeated(by_pair):
            words = "seeds", "runs differ, some fail", f"standard deviation between them, {setup}"
            rows.append((*words, f"{seeds.scatter_of_seeds(by_pair):.2f}"))
    if len(turn) > 1:
        words = "non-uniform blur", "not robust to it", f"corners turn by {max(turn):g} px against {min(turn):g} px"
        more, less = turn[max(turn)], turn[min(turn)]
        differences = [gain(more[pair]) - gain(less[pair]) for pair in more if pair in less]
        rows.append((*words, _interval(metrics.mean_interval(differences))))
    caption = (
        "Same pairs, seeds and recipe on both sides; of turned pictures the gain over the input is compared. Runs with "
        f"another kernel size are searched within {REACH} px, their reference within 10 px. Intervals are over "
        "pictures or over kernels, whichever is wider."
    )
    return Table("In one number", ("question", "what users report", "here", "dB [95 %]"), rows, caption)


FAILED = "failed [95 %]"
PSNR_AND_MORE = ("PSNR (dB)", "difference (dB) [95 %]", "kernel similarity", "delta kernels", FAILED)


def _noise_table(results: list[Result]) -> Table:
    found = noise_runs(results)
    rows: list[Cells] = []
    for (sigma, (loss, factor)), runs in found.items():
        noisy = [run for run in of_task(results, restore_noisy) if run.job.settings["sigma"] == sigma]
        estimate = pairs.mean(noisy, "estimated_sigma") if noisy else None
        weight = f"{factor:g} σ = {pairs.mean(list(runs.values()), 'tv_weight'):.2g}" if factor else "0"
        scores = _scores(runs, found.get((sigma, ARMS[0]), {}))
        rows.append((f"{sigma:g}", None if estimate is None else f"{estimate:.4f}", loss, weight, *scores))
    columns = ("noise added", "noise σ estimated", "loss", "TV weight", *PSNR_AND_MORE)
    caption = (
        "Differences are to the first row of the same noise, pair by pair. The loss is that of the last four fifths of "
        "a run; squared error throughout, with TV, is the paper's equation 6. A run has failed when it gains less than "
        "3 dB over its noisy input; intervals of shares are Wilson's. A kernel counts as a delta when more than 90 % "
        "of its mass lies within 3x3 px."
    )
    return Table("Noise and the TV weight", columns, rows, caption)


def _size_table(results: list[Result]) -> Table:
    found = size_runs(results)
    rows = [(f"{size:g}", *_scores(runs, found.get(1, {}))) for size, runs in found.items()]
    caption = (
        f"In units of the size that is usual for the pair. Aligned within {REACH} px where it is another one, within "
        "10 px where it is the usual one."
    )
    return Table("Kernel size", ("kernel size", *PSNR_AND_MORE), rows, caption)


def _turned_table(results: list[Result]) -> Table:
    rows: list[Cells] = []
    for corner, runs in turned_runs(results).items():
        values = list(runs.values())
        similarity = f"{pairs.mean(values, 'kernel_similarity'):.3f}"
        rows.append((f"camera turned, corners {corner:g} px", *_fits(values), similarity, _failures(values)))
    for run in of_task(results, restore_photograph):
        rows.append((run.job.settings["pair"], *_fits([run]), None, _failures([run])))
    columns = ("picture", "best kernel explains to (dB)", "best kernel explains the whole picture to (dB)",
               "PSNR (dB)", "gain (dB) [95 %]", "kernel similarity", FAILED)  # fmt: skip
    caption = (
        "How far rotation alone moves the corners, beside a shake of 5 px; then windows of GoPro at half size. "
        "Best kernel: least squares with the sharp picture at hand; a method that finds this picture cannot do better. "
        "Similarity is to the kernel in the middle of the picture."
    )
    if of_task(results, restore_photograph):
        caption += (
            " Where a window of GoPro fails although one kernel explains it well, something else than a turn spoils it."
        )
    return Table("Turning camera, and windows of GoPro", columns, rows, caption)


def _scores(runs: Runs, reference: Runs) -> Cells:
    values = list(runs.values())
    difference = None if runs == reference else _above(runs, reference)
    similarity, deltas = f"{pairs.mean(values, 'kernel_similarity'):.3f}", f"{pairs.share(values, pairs.collapsed):.0%}"
    return f"{pairs.mean(values, 'psnr'):.2f}", difference, similarity, deltas, _failures(values)


def difference_over_pairs(runs: Runs, reference: Runs) -> Comparison:
    """How much better the runs are than those of the same pairs in `reference`, in dB."""
    both = [pair for pair in runs if pair in reference]
    gains = [runs[pair].values["psnr"] - reference[pair].values["psnr"] for pair in both]
    return pairs.compare("difference", both, gains, "dB")


def _interval(found: Comparison | metrics.Interval) -> str | None:
    return with_interval(found) if found.n else None


def _failures(runs: list[Result]) -> str:
    return pairs.counted(list(map(pairs.failed, runs)))


def _above(runs: Runs, reference: Runs) -> str | None:
    return _interval(difference_over_pairs(runs, reference))


def _fits(runs: list[Result]) -> Cells:
    whole = f"{pairs.mean(runs, 'fit_whole'):.1f}" if "fit_whole" in runs[0].values else None
    psnr, gained = f"{pairs.mean(runs, 'psnr'):.2f}", _interval(metrics.mean_interval(list(map(gain, runs))))
    return f"{pairs.mean(runs, 'fit'):.1f}", whole, psnr, gained


# Figures


def figures(results: list[Result]) -> list[Figure]:
    drawn = [_noise_curves(results), _noise_pictures(results), _size_curves(results), _size_pictures(results),
             *seeds.figures(results), _turned_curves(results), _turned_pictures(results)]  # fmt: skip
    return [figure for figure in drawn if figure]


def _in_words(arm: Arm) -> str:
    loss, factor = arm
    return f"{loss}, {f'TV {factor:g} σ' if factor else 'no TV'}"


def _noise_curves(results: list[Result]) -> Figure | None:
    found = noise_runs(results)
    sigmas = sorted({sigma for sigma, _ in found})
    if not found:
        return None
    figure, (row,) = subplots(1, len(sigmas), width=3.2, height=3.0, sharex=True, sharey=True)
    arms = sorted({arm for _, arm in found})
    for axes, sigma in zip(row, sigmas, strict=True):
        for i, arm in enumerate(arms):
            color = PALETTE[0] if arm[0] == "1 − SSIM" else PALETTE[1]
            if gains := [gain(run) for run in found.get((sigma, arm), {}).values()]:
                show_spread(axes, gains, np.mean(gains), i, color, color)
        axes.axvline(pairs.FAILED_BELOW, **DASHED)
        axes.set(title=f"noise {sigma:g} added", xlabel="gain over the input (dB)", ylim=(len(arms) - 0.5, -0.5))
    row[0].set_yticks(range(len(arms)), list(map(_in_words, arms)))
    caption = (
        "Each dot is a pair, the bar their mean: by the loss and the TV weight, a multiple of the estimated noise. "
        "Left of the dashed line a run counts as failed."
    )
    return Figure("noise", figure, caption)


def _size_curves(results: list[Result]) -> Figure | None:
    found = size_runs(results)
    if not found.get(1):
        return None
    figure, (row,) = subplots(1, 2, width=3.6, height=2.9)
    for axes, value, label in zip(row, ("psnr", "kernel_similarity"), ("PSNR (dB)", "kernel similarity"), strict=True):
        for pair in found[1]:
            sizes = [size for size in found if pair in found[size]]
            axes.plot(sizes, [found[size][pair].values[value] for size in sizes], color=PALETTE[5], linewidth=0.8)
        means = [pairs.mean(list(runs.values()), value) for runs in found.values()]
        axes.plot(list(found), means, "o-", color=PALETTE[0])
        axes.set(xscale="log", xlabel="kernel size told (usual = 1)", ylabel=label)
        axes.set_xticks(list(found), [f"{size:g}" for size in found])
        axes.minorticks_off()
    caption = "Thin lines are pairs, the thick one their mean. Compare too small with too large: which is worse?"
    return Figure("kernel_size", figure, caption)


def _turned_curves(results: list[Result]) -> Figure | None:
    found, photographs = turned_runs(results), of_task(results, restore_photograph)
    if not found:
        return None
    figure, ((left, right),) = subplots(1, 2, width=3.6, height=3.0)
    for pair in next(iter(found.values())):
        line = [(corner, gain(runs[pair])) for corner, runs in found.items() if pair in runs]
        left.plot(*zip(*line, strict=True), color=PALETTE[5], linewidth=0.8)
    means = [np.mean([gain(run) for run in runs.values()]) for runs in found.values()]
    left.plot(list(found), means, "o-", color=PALETTE[0])
    left.set(xlabel="motion of the corners by rotation (px)", ylabel="gain (dB)")
    synthetic = [run for runs in found.values() for run in runs.values()]
    for runs, color, label in ((synthetic, PALETTE[0], "camera turned"), (photographs, PALETTE[1], "GoPro")):
        if runs:
            right.plot([run.values["fit"] for run in runs], list(map(gain, runs)), "o", color=color, label=label)
    right.set(xlabel="best kernel explains y to (dB)", ylabel="gain (dB)")
    right.legend()
    for axes in (left, right):
        axes.axhline(pairs.FAILED_BELOW, **DASHED)
    caption = (
        "Left: gain by how far the camera turns; thin lines are scenes. Right: the same runs"
        f"{', and windows of GoPro,' if photographs else ''} by how well a single kernel could explain the picture at "
        "all. Below the dashed line a run has failed."
    )
    return Figure("non_uniform", figure, caption)


def _noise_pictures(results: list[Result]) -> Figure | None:
    runs = pairs.drawable(of_task(results, restore_noisy))
    if not runs:
        return None
    name, sigma = runs[0].job.settings["pair"], max(run.job.settings["sigma"] for run in runs)
    columns: list[pairs.Column] = [("noisy and blurry", runs[0].arrays["blurry"], None)]
    for (added, arm), by_pair in noise_runs(results).items():
        if added == sigma and name in by_pair:
            columns.append(pairs.found_column(_in_words(arm), by_pair[name]))
    caption = f"{name} with noise of {sigma:g}: look for noise drawn as texture, and texture that TV takes for noise."
    return pairs.gallery("noise_pictures", [*columns, pairs.truth_column(pairs.target_of(runs[0]))], caption)


def _size_pictures(results: list[Result]) -> Figure | None:
    runs = pairs.drawable(of_task(results, restore_resized))
    if not runs:
        return None
    name = runs[0].job.settings["pair"]
    by_size = {size: by_pair[name] for size, by_pair in size_runs(results).items() if name in by_pair}
    columns = [pairs.found_column(f"told {run.values['kernel_size']} px", run) for run in by_size.values()]
    caption = f"{name}: each kernel in a frame of the size that was told. Too small a frame cuts it off."
    return pairs.gallery("kernel_size_pictures", [*columns, pairs.truth_column(pairs.target_of(runs[0]))], caption)


def _turned_pictures(results: list[Result]) -> Figure | None:
    runs = pairs.drawable(of_task(results, restore_turned))
    if not runs:
        return None
    settings, columns = runs[0].job.settings, []
    for run in runs:
        if run.job.settings["pair"] == settings["pair"]:
            corner = run.job.settings["corner"]
            columns += [(f"corners {corner:g} px", run.arrays["blurry"], None), pairs.found_column("found", run)]
    where = {name: settings[name] for name in ("dataset", "pair", "window", "motion", "corner")}
    caption = "The same shake, with and without a turn of the camera: one kernel has to serve a picture that has many."
    return pairs.gallery("non_uniform_pictures", [*columns, pairs.truth_column(turned(**where)[0])], caption)


def evidence(results: list[Result]) -> dict[str, Evidence]:
    """No claim of the paper is about failures; the rates are for the tables of those that are."""
    return {}


STUDY = Study(
    "when_it_fails", "What decides success (SelfDeblur)", "selfdeblur", "06_when_it_fails",
    PROFILES, jobs, tables, figures, evidence,
)  # fmt: skip
