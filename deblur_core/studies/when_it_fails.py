"""What decides whether SelfDeblur succeeds: noise, the kernel size, the seed, and blur that is no convolution.

The questions of those who used the authors' code. Failures are counted as everywhere here: a run has failed when it
gains less than 3 dB over the picture that it was given.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from matplotlib.ticker import MaxNLocator
from scipy import stats

from deblur_core import blur, data, metrics
from deblur_core.blur import nonuniform
from deblur_core.runs import Context, Job, Result, task
from deblur_core.solvers.selfdeblur import RECIPES, Recipe
from deblur_core.studies import joint_vs_alternating, pairs
from deblur_core.studies.claims import Comparison, Evidence
from deblur_core.studies.pairs import PAIRS
from deblur_core.studies.study import Figure, Study, Table, of_task, with_interval
from deblur_core.studies.style import PALETTE, show_image, subplots

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
ARMS = (("1 − SSIM", 0), ("1 − SSIM", 1), ("squared error", 0), ("squared error", 0.1), ("squared error", 1),
        ("squared error", 10))  # fmt: skip
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
    arms: tuple[tuple[str, float], ...]
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
    shared, recipe, place = profile.shared, profile.recipe, {"dataset": profile.dataset, "crop": profile.crop}

    def disturbed(function: Callable, name: str, recipe: Recipe = recipe, **settings: Any) -> Job:
        digest = data.digest(profile.dataset, name)
        return Job.create(function, data=digest, pair=name, seed=0, recipe=asdict(recipe), **place, **settings)

    made = [pairs.restore_job(shared.dataset, name, shared.recipe, seed, shared.crop) for name, seed in shared.runs()]
    runs = [(name, 0) for name in profile.names] + [(name, seed) for name in profile.seeded for seed in profile.seeds]
    made += [pairs.restore_job(profile.dataset, name, recipe, seed, profile.crop) for name, seed in runs]
    made += [
        disturbed(restore_noisy, name, _with_loss(recipe, loss), sigma=sigma, tv_factor=factor)
        for name in profile.noisy for sigma in profile.sigmas for loss, factor in profile.arms
        if sigma or (loss, factor) != ARMS[0]
    ]  # fmt: skip
    made += [disturbed(restore_resized, name, size=size) for name in profile.sized for size in profile.sizes]
    window = {"window": profile.window, "seed": 0, "recipe": asdict(recipe)}
    made += [
        Job.create(restore_turned, data=data.digest("builtin", name), dataset="builtin", pair=name, motion=motion,
                   corner=corner, **window)
        for motion, name in enumerate(profile.scenes) for corner in profile.corners
    ]  # fmt: skip
    made += [
        Job.create(restore_photograph, data=data.digest("gopro", name), dataset="gopro", pair=name, **window)
        for name in profile.photographs
    ]
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
    return {**values, "estimated_sigma": estimate, "tv_weight": weight}, {
        **arrays,
        "blurry": pairs.to_bytes(target.blurry),
    }


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


def psnr(run: Result) -> float:
    return run.values["psnr"]


def gain(run: Result) -> float:
    """PSNR over that of the picture that was given, in dB."""
    return psnr(run) - run.values["blurry"]["psnr"]


CELL = tuple[object, ...]
Runs = dict[str, Result]  # by pair


def noise_runs(results: list[Result]) -> dict[tuple[float, tuple[str, float]], Runs]:
    """By the noise that was added and the arm; the undisturbed runs are the first arm without noise."""
    found: dict[tuple[float, tuple[str, float]], Runs] = defaultdict(dict)
    for run in of_task(results, restore_noisy):
        settings = run.job.settings
        loss = "squared error" if settings["recipe"]["squared_error_until"] == 1 else "1 − SSIM"
        found[settings["sigma"], (loss, settings["tv_factor"])][settings["pair"]] = run
        if twin := _undisturbed(run, results):
            found[0, ARMS[0]][settings["pair"]] = twin
    return dict(sorted(found.items(), key=lambda item: (item[0][0], ARMS.index(item[0][1]))))


def size_runs(results: list[Result]) -> dict[float, Runs]:
    """By the kernel size that was told, in units of the usual one; the undisturbed runs are 1."""
    found: dict[float, Runs] = defaultdict(dict)
    for run in of_task(results, restore_resized):
        found[run.job.settings["size"]][run.job.settings["pair"]] = run
        if twin := _undisturbed(run, results):
            found[1][run.job.settings["pair"]] = twin
    return dict(sorted(found.items()))


def seed_runs(results: list[Result]) -> dict[str, dict[str, list[Result]]]:
    """The undisturbed runs by set-up, in words, and pair: one for every seed."""
    found: dict[str, dict[str, list[Result]]] = defaultdict(lambda: defaultdict(list))
    for run in of_task(results, pairs.restore):
        settings = run.job.settings
        extent = f"{settings['crop']} px crops" if settings["crop"] else "whole pictures"
        setup = f"{settings['dataset']}, {extent}, {settings['recipe']['iterations']} iterations"
        found[setup][settings["pair"]].append(run)
    return found


def turned_runs(results: list[Result]) -> dict[float, Runs]:
    """By how far the camera's turn moved the corners."""
    found: dict[float, Runs] = defaultdict(dict)
    for run in of_task(results, restore_turned):
        found[run.job.settings["corner"]][run.job.settings["pair"]] = run
    return dict(sorted(found.items()))


def _undisturbed(run: Result, results: list[Result]) -> Result | None:
    """The run of the same pair, recipe and seed as it is."""
    settings = run.job.settings
    same = {name: settings[name] for name in ("dataset", "pair", "crop", "seed", "recipe")}
    job = Job.create(pairs.restore, data=run.job.data, **same)
    return next((result for result in results if result.job == job), None)


def tables(results: list[Result]) -> list[Table]:
    return [_summary_table(results), _noise_table(results), _size_table(results), _seed_table(results),
            _restart_table(results), _turned_table(results)]  # fmt: skip


def _summary_table(results: list[Result]) -> Table:
    noise, size, turn = noise_runs(results), size_runs(results), turned_runs(results)
    rows: list[CELL] = []
    if noise:
        most = max(sigma for sigma, _ in noise)
        plain, strong = ("squared error", 0), ("squared error", 10)
        comparisons = (
            (f"noise {most:g}", "fails at high noise", "against no noise", (most, ARMS[0]), (0, ARMS[0])),
            ("loss", "", f"squared error against 1 − SSIM, noise {most:g}", (most, plain), (most, ARMS[0])),
            (
                "TV weight",
                "10 σ is a rule of thumb",
                f"10 σ against none, noise {most:g}",
                (most, strong),
                (most, plain),
            ),
        )
        rows += [
            (*words, _interval(difference_over_pairs(noise.get(a, {}), noise.get(b, {}))))
            for *words, a, b in comparisons
        ]
    report = "if unknown, set it large"
    rows += [
        ("kernel size", report, f"{factor:g} times the usual one against 1",
         _interval(difference_over_pairs(runs, size.get(1, {}))))
        for factor, runs in size.items()
        if factor in (min(size), max(size)) and factor != 1
    ]  # fmt: skip
    for setup, by_pair in seed_runs(results).items():
        if _repeated(by_pair):
            words = "seeds", "runs differ, some fail", f"standard deviation between them, {setup}"
            rows.append((*words, f"{_scatter(by_pair):.2f}"))
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
    rows: list[CELL] = []
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


def _seed_table(results: list[Result]) -> Table:
    rows: list[CELL] = []
    for setup, by_pair in seed_runs(results).items():
        runs = [run for group in by_pair.values() for run in group]
        repeated = [values for _, values in _repeated(by_pair)]
        scatter = gap = slips = None
        if repeated:
            scatter = f"{_scatter(by_pair):.2f}"
            gap = f"{max(np.ptp(values) for values in repeated):.1f}"
            slipped = [(values < values.max() - pairs.FAILED_BELOW).sum() for values in repeated]
            slips = f"{sum(slipped)} of {sum(len(values) - 1 for values in repeated)}"
        mean = pairs.compare("PSNR", [run.job.settings["pair"] for run in runs], list(map(psnr, runs)))
        interval = f" [{mean.low:.2f}, {mean.high:.2f}]" if np.isfinite(mean.low) else ""
        failed = _share([any(map(pairs.failed, group)) for group in by_pair.values()])
        row = (setup, len(by_pair), len(runs), f"{mean.effect:.2f}{interval}", scatter, gap, failed)
        rows.append((*row, f"{sum(map(pairs.failed, runs))} of {len(runs)}", slips))
    columns = ("runs of", "pairs", "runs", "PSNR (dB) [95 %]", "scatter of seeds (dB)", "largest gap (dB)",
               "pairs with a failed run [95 %]", "failed runs", "slipped")  # fmt: skip
    caption = (
        "PSNR: the seeds of a pair averaged first, the interval over pictures or over kernels, whichever is wider. "
        "Scatter: standard deviation between the seeds of a pair. Gap: between the best and the worst seed of a pair. "
        "Slipped: more than 3 dB below the best seed of the pair, of the other seeds. Runs of one pair are no "
        "independent ones, so pairs have an interval (Wilson's) and runs have none; a pair with several seeds has as "
        "many chances to fail."
    )
    return Table("Seeds", columns, rows, caption)


def rank_correlation(by_pair: dict[str, list[Result]], repetitions: int = 2000) -> metrics.Interval:
    """Spearman's, of data term and gain by pair, the seeds of a pair averaged. Of two intervals by the bootstrap, with
    pictures or with kernels drawn anew, the wider one counts (see `claims.crossed`)."""
    terms = [np.mean([run.values["data_term"] for run in group]) for group in by_pair.values()]
    means = np.array([terms, [np.mean(list(map(gain, group))) for group in by_pair.values()]])

    def spearman(chosen: np.ndarray) -> float:
        a, b = (ranks - ranks.mean() for ranks in stats.rankdata(means[:, chosen], axis=-1))
        scale = np.sqrt((a**2).sum() * (b**2).sum())
        return float(np.clip((a * b).sum() / scale, -1, 1)) if scale else np.nan  # a draw of one pair has no ranks

    def interval(part: int) -> tuple[float, float]:
        labels = np.array([name.partition("_kernel")[part] for name in by_pair])
        members, random = [np.flatnonzero(labels == label) for label in np.unique(labels)], np.random.default_rng(0)
        drawn = random.integers(len(members), size=(repetitions, len(members)))
        found = [spearman(np.concatenate([members[i] for i in row])) for row in drawn]
        return tuple(np.nanpercentile(found, (2.5, 97.5)))

    low, high = max((interval(0), interval(2)), key=lambda ends: ends[1] - ends[0])
    return metrics.Interval(spearman(np.arange(len(by_pair))), float(low), float(high), len(by_pair))


def _restart_table(results: list[Result]) -> Table:
    rows: list[CELL] = []
    for setup, by_pair in seed_runs(results).items():
        betrayed = _betrayed([run for group in by_pair.values() for run in group])
        hits = chance = gained = best = None
        if repeated := _repeated(by_pair):
            chosen = [psnr(min(group, key=lambda run: run.values["data_term"])) for group, _ in repeated]
            seeds = [values for _, values in repeated]
            hits = _share([choice == values.max() for choice, values in zip(chosen, seeds, strict=True)])
            chance = f"{np.mean([1 / len(values) for values in seeds]):.0%}"
            gains = [choice - values.mean() for choice, values in zip(chosen, seeds, strict=True)]
            gained = _interval(pairs.compare("gain", [group[0].job.settings["pair"] for group, _ in repeated], gains))
            best = f"{np.mean([values.max() - values.mean() for values in seeds]):.2f}"
        rows.append((setup, None if betrayed is None else f"{betrayed:.0%}", hits, chance, gained, best))
    columns = ("runs of", "failed above good", "least is best [95 %]", "by chance", "gain of the rule (dB) [95 %]")
    caption = (
        "Failed above good: in how many pairings of a failed with a good run the failed one has the larger data term; "
        "50 % is no information. The rule: start a few seeds and keep the run of the least data term. Its gain is over "
        "a seed at random, beside that of an oracle that knows the best seed."
    )
    return Table("Does the data term betray a failure?", (*columns, "of an oracle (dB)"), rows, caption)


def _repeated(by_pair: dict[str, list[Result]]) -> list[tuple[list[Result], np.ndarray]]:
    """The runs and PSNRs of the pairs that have run with several seeds."""
    return [(group, np.array(list(map(psnr, group)))) for group in by_pair.values() if len(group) > 1]


def _scatter(by_pair: dict[str, list[Result]]) -> float:
    """Standard deviation of PSNR between the seeds of a pair, pooled over pairs."""
    return float(np.sqrt(np.mean([values.var(ddof=1) for _, values in _repeated(by_pair)])))


def _turned_table(results: list[Result]) -> Table:
    rows: list[CELL] = []
    for corner, runs in turned_runs(results).items():
        values = list(runs.values())
        similarity = f"{pairs.mean(values, 'kernel_similarity'):.3f}"
        rows.append((f"camera turned, corners {corner:g} px", *_fits(values), similarity, _failures(values)))
    for run in of_task(results, restore_photograph):
        rows.append((run.job.settings["pair"], *_fits([run]), None, _failures([run])))
    columns = (
        "picture",
        "best kernel explains to (dB)",
        "best kernel explains the whole picture to (dB)",
        "PSNR (dB)",
        "gain (dB) [95 %]",
        "kernel similarity",
        FAILED,
    )
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


def _scores(runs: Runs, reference: Runs) -> tuple[object, ...]:
    values = list(runs.values())
    difference = None if runs == reference else _interval(difference_over_pairs(runs, reference))
    similarity, deltas = f"{pairs.mean(values, 'kernel_similarity'):.3f}", f"{pairs.share(values, pairs.collapsed):.0%}"
    return f"{pairs.mean(values, 'psnr'):.2f}", difference, similarity, deltas, _failures(values)


def difference_over_pairs(runs: Runs, reference: Runs) -> Comparison:
    """How much better the runs are than those of the same pairs in `reference`, in dB."""
    both = [pair for pair in runs if pair in reference]
    return pairs.compare("difference", both, [psnr(runs[pair]) - psnr(reference[pair]) for pair in both], "dB")


def _fits(runs: list[Result]) -> tuple[object, ...]:
    whole = f"{pairs.mean(runs, 'fit_whole'):.1f}" if "fit_whole" in runs[0].values else None
    psnr, gained = f"{pairs.mean(runs, 'psnr'):.2f}", _interval(metrics.mean_interval(list(map(gain, runs))))
    return f"{pairs.mean(runs, 'fit'):.1f}", whole, psnr, gained


def _betrayed(runs: list[Result]) -> float | None:
    """Share of (failed, good) run pairings in which the failed run has the larger data term; None without either."""
    failed, good = ([run.values["data_term"] for run in runs if pairs.failed(run) is truth] for truth in (True, False))
    return float(np.mean(np.greater.outer(failed, good))) if failed and good else None


def _interval(found: Comparison | metrics.Interval) -> str | None:
    return with_interval(found) if found.n else None


def _failures(runs: list[Result]) -> str:
    return _share([pairs.failed(run) for run in runs])


def _share(hits: list[bool]) -> str:
    rate = metrics.rate_interval(sum(map(bool, hits)), len(hits))
    return f"{sum(map(bool, hits))} of {rate.n} [{rate.low:.0%}, {rate.high:.0%}]"


def figures(results: list[Result]) -> list[Figure]:
    drawn = (_noise_curves, _noise_pictures, _size_curves, _size_pictures, _seed_dots, _seed_pictures, _data_terms,
             _turned_curves, _turned_pictures)  # fmt: skip
    return [figure for draw in drawn if (figure := draw(results))]


def _noise_curves(results: list[Result]) -> Figure | None:
    found = noise_runs(results)
    sigmas = sorted({sigma for sigma, _ in found})
    if not found:
        return None
    figure, (row,) = subplots(1, len(sigmas), width=3.2, height=3.0, sharex=True, sharey=True)
    arms = [arm for arm in ARMS if any(arm == met for _, met in found)]
    names = [f"{loss}, {f'TV {factor:g} σ' if factor else 'no TV'}" for loss, factor in arms]
    for axes, sigma in zip(row, sigmas, strict=True):
        for i, arm in enumerate(arms):
            gains = [gain(run) for run in found.get((sigma, arm), {}).values()]
            color = PALETTE[0] if arm[0] == "1 − SSIM" else PALETTE[1]
            axes.plot(gains, [i] * len(gains), "o", color=color, markersize=4, alpha=0.5)
            if gains:
                axes.plot(np.mean(gains), i, "|", color=color, markersize=18, markeredgewidth=2.5)
        axes.axvline(pairs.FAILED_BELOW, color="0.5", linestyle="--", linewidth=1)
        axes.set(title=f"noise {sigma:g} added", xlabel="gain over the input (dB)", ylim=(len(arms) - 0.5, -0.5))
    row[0].set_yticks(range(len(arms)), names)
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
        axes.plot(
            list(found), [pairs.mean(list(runs.values()), value) for runs in found.values()], "o-", color=PALETTE[0]
        )
        axes.set(xscale="log", xlabel="kernel size told (usual = 1)", ylabel=label)
        axes.set_xticks(list(found), [f"{size:g}" for size in found])
        axes.minorticks_off()
    caption = "Thin lines are pairs, the thick one their mean. Compare too small with too large: which is worse?"
    return Figure("kernel_size", figure, caption)


def _seed_dots(results: list[Result]) -> Figure | None:
    found = seed_runs(results)
    if not found:
        return None
    figure, rows = subplots(len(found), 1, width=6.4, height=2.6)
    for (axes,), (setup, by_pair) in zip(rows, found.items(), strict=True):
        order = sorted(by_pair.values(), key=lambda group: max(map(gain, group)))
        for i, group in enumerate(order):
            axes.plot([i, i], [min(map(gain, group)), max(map(gain, group))], color="0.7", linewidth=1, zorder=1)
            for run in group:
                color = PALETTE[1] if pairs.failed(run) else PALETTE[0]
                axes.plot(i, gain(run), "o", color=color, markersize=4)
        axes.axhline(pairs.FAILED_BELOW, color="0.5", linestyle="--", linewidth=1)
        axes.set(title=setup, xlabel="pair, by its best seed", ylabel="gain (dB)", xticks=[])
    caption = (
        "Every run is a dot, the seeds of a pair on one line. Below the dashed line, in orange, a run has failed. Look "
        "for long lines: there the seed decides."
    )
    return Figure("seeds", figure, caption)


def _data_terms(results: list[Result]) -> Figure | None:
    found = seed_runs(results)
    if not found:
        return None
    repeated = any(_repeated(by_pair) for by_pair in found.values())
    figure, (row,) = subplots(1, 1 + repeated, width=3.8, height=3.1)
    left, right = row[0], row[-1]
    for (setup, by_pair), marker in zip(found.items(), "os", strict=False):
        runs = [run for group in by_pair.values() for run in group]
        for failed, color, word in ((False, PALETTE[0], "good"), (True, PALETTE[1], "failed")):
            some = [run for run in runs if pairs.failed(run) is failed]
            terms = [run.values["data_term"] for run in some]
            label = f"{word}, {setup.split(', ')[1]}" if some else None
            left.plot(terms, [gain(run) for run in some], marker, color=color, markersize=4, label=label)
        for group, values in _repeated(by_pair):
            logarithms = np.log2([run.values["data_term"] for run in group])
            ratios = 2 ** (logarithms - logarithms.mean())
            right.plot(ratios, values - values.mean(), marker, color=PALETTE[2], markersize=4)
    left.axhline(pairs.FAILED_BELOW, color="0.5", linestyle="--", linewidth=1)
    left.set(xscale="log", xlabel="data term (10⁻⁶)", ylabel="gain (dB)", title="all runs")
    left.xaxis.set_major_locator(MaxNLocator(4))  # they lie within a decade or so, which may hold no power of ten
    left.xaxis.set_major_formatter(lambda term, _: f"{1e6 * term:g}")
    left.xaxis.set_minor_formatter("")
    left.legend(fontsize=7)
    caption = "If the data term betrayed failures, orange dots would lie to the right of the blue ones"
    if repeated:
        right.axhline(0, color="0.5", linewidth=0.8)
        right.set(xlabel="data term, pair's mean = 1", ylabel="PSNR − pair's mean (dB)", title="seeds of each pair")
        caption += ", and the green ones would fall from the upper left to the lower right"
    caption += "."
    return Figure("data_term", figure, caption)


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
        axes.axhline(pairs.FAILED_BELOW, color="0.5", linestyle="--", linewidth=1)
    caption = (
        "Left: gain by how far the camera turns; thin lines are scenes. Right: the same runs"
        f"{', and windows of GoPro,' if photographs else ''} by how well a single kernel could explain the picture at "
        "all. Below the dashed line a run has failed."
    )
    return Figure("non_uniform", figure, caption)


Column = tuple[str, np.ndarray, np.ndarray | None]  # title, picture in bytes, kernel


def _gallery(name: str, columns: list[Column], caption: str) -> Figure:
    figure, panels = subplots(2, len(columns), width=1.6, height=1.7)
    for (title, x, k), (top, bottom) in zip(columns, panels.T, strict=True):
        show_image(top, x, title, maximum=255)
        top.title.set_fontsize(8)
        bottom.set_axis_off()
        if k is not None:
            show_image(bottom, k, maximum=None)
    return Figure(name, figure, caption)


def _drawable(runs: Iterable[Result]) -> list[Result]:
    return [run for run in runs if run.arrays and run.job.settings["dataset"] == "builtin"]


def _found(title: str, run: Result) -> Column:
    return f"{title}\n{run.values['psnr']:.1f} dB", run.arrays["x"], run.arrays["k"]


def _truth(target: data.Pair) -> Column:
    assert target.kernel is not None
    return "truth", pairs.to_bytes(target.sharp), target.kernel[0].numpy()


def _load(run: Result) -> data.Pair:
    settings = run.job.settings
    return pairs.load(settings["dataset"], settings["pair"], settings["crop"])


def _noise_pictures(results: list[Result]) -> Figure | None:
    runs = _drawable(of_task(results, restore_noisy))
    if not runs:
        return None
    name, sigma = runs[0].job.settings["pair"], max(run.job.settings["sigma"] for run in runs)
    columns: list[Column] = [("noisy and blurry", runs[0].arrays["blurry"], None)]
    for (added, (loss, factor)), by_pair in noise_runs(results).items():
        if added == sigma and name in by_pair:
            columns.append(_found(f"{loss}, {f'TV {factor:g} σ' if factor else 'no TV'}", by_pair[name]))
    caption = f"{name} with noise of {sigma:g}: look for noise drawn as texture, and texture that TV takes for noise."
    return _gallery("noise_pictures", [*columns, _truth(_load(runs[0]))], caption)


def _size_pictures(results: list[Result]) -> Figure | None:
    runs = _drawable(of_task(results, restore_resized))
    if not runs:
        return None
    name = runs[0].job.settings["pair"]
    by_size = {size: by_pair[name] for size, by_pair in size_runs(results).items() if name in by_pair}
    columns = [_found(f"told {run.values['kernel_size']} px", run) for run in by_size.values()]
    caption = f"{name}: each kernel in a frame of the size that was told. Too small a frame cuts it off."
    return _gallery("kernel_size_pictures", [*columns, _truth(_load(runs[0]))], caption)


def _seed_pictures(results: list[Result]) -> Figure | None:
    groups = [_drawable(group) for by_pair in seed_runs(results).values() for group in by_pair.values()]
    group = max(groups, key=len, default=[])
    if len(group) < 2:
        return None
    columns = [_found(f"seed {run.job.settings['seed']}", run) for run in group]
    caption = f"{group[0].job.settings['pair']}: the same picture and recipe, other random numbers. Compare kernels."
    return _gallery("seed_pictures", [*columns, _truth(_load(group[0]))], caption)


def _turned_pictures(results: list[Result]) -> Figure | None:
    runs = _drawable(of_task(results, restore_turned))
    if not runs:
        return None
    settings, columns = runs[0].job.settings, []
    for run in runs:
        if run.job.settings["pair"] == settings["pair"]:
            corner = run.job.settings["corner"]
            columns += [(f"corners {corner:g} px", run.arrays["blurry"], None), _found("found", run)]
    where = {name: settings[name] for name in ("dataset", "pair", "window", "motion", "corner")}
    caption = "The same shake, with and without a turn of the camera: one kernel has to serve a picture that has many."
    return _gallery("non_uniform_pictures", [*columns, _truth(turned(**where)[0])], caption)


def evidence(results: list[Result]) -> dict[str, Evidence]:
    """No claim of the paper is about failures; the rates are for the tables of those that are."""
    return {}


STUDY = Study(
    "when_it_fails", "What decides success (SelfDeblur)", "selfdeblur", "06_when_it_fails",
    PROFILES, jobs, tables, figures, evidence,
)  # fmt: skip
