"""Large kernels and colour: Lai's benchmark and real photographs (SelfDeblur, Table 4, Figures 1, 6 and 7; C1.11).

Every blind method finds its kernel in the same window of the blurry luma, that with the strongest edges, and the same
deconvolution of the whole picture follows (`solvers.large_picture`; Δ in the tables). SelfDeblur's own picture, which
its networks draw, exists on its window alone, and is compared with the others there. At `paper`, the window is the
whole picture, as Ren et al. (CVPR 2020) have it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from torch import Tensor

from deblur_core import blur, data, metrics
from deblur_core.errors import DeblurError
from deblur_core.runs import Context, Job, Result, from_settings, task
from deblur_core.solvers import classical, large_picture, nonblind, selfdeblur
from deblur_core.solvers.selfdeblur import RECIPES, Recipe, recipe
from deblur_core.studies import pairs
from deblur_core.studies.claims import Comparison, Evidence
from deblur_core.studies.levin_benchmark import WEIGHT
from deblur_core.studies.printed import CATEGORIES, OWN, TABLE_4
from deblur_core.studies.study import Figure, Study, Table
from deblur_core.studies.style import PALETTE, show_image, subplots

WHOLE = 100
"""Pairs of Lai's uniform set, on which the paper's averages are."""
KNOWN, OURS, PLAIN, BLURRY = "known kernel Δ", "SelfDeblur Δ", "SelfDeblur", "blurry input"
RIVALS = {
    "Perrone & Favaro": classical.perrone_favaro,
    # Kernels with ten times the pixels of Levin's want a heavier prior on them; chosen on the built-in colour pictures.
    # It is no cure: six of the first ten of Lai's pairs have a better PSNR as they are, and in one it finds no kernel.
    "L0 edges": partial(classical.edge_based, kernel_weight=20.0),
}
NOISE = 1.0
"""Grey levels that noise and rounding leave unexplained at most; a larger misfit is that of clipped light."""
REACH = 15
"""Pixels that the aligned metric searches. The authors' scripts search 10; but a large kernel has room to drift, and a
good picture in the wrong place then scores as a failure."""


@dataclass(frozen=True)
class Profile:
    """photographs: pictures without truth; window: least side in pixels, None for the whole picture."""

    dataset: str
    names: tuple[str, ...]
    photographs: tuple[tuple[str, str], ...]
    recipe: Recipe
    window: int | None


# Every five in a row show each category once and each kernel at least once, so that any first few are a fair small set.
LAI = tuple(
    f"{category}_{1 + (i + block // 4) % 2:02}_kernel_{1 + (i + block) % 4:02}"
    for block in range(8)
    for i, category in enumerate(CATEGORIES)
)
BUILTIN = ("astronaut_kernel_31", "coffee_kernel_51", "rocket_kernel_31")
PHOTOGRAPHS = (("photos", "flower"), ("photos", "fishes"), ("photos", "house"))
STAND_IN = (("builtin_colour", "chelsea_kernel_25"),)
PROFILES = {
    "smoke": Profile("builtin_colour", BUILTIN[::2], STAND_IN, pairs.SMOKE, window=96),
    "laptop": Profile("builtin_colour", BUILTIN, STAND_IN, recipe("quick", iterations=250, width=32, skip=4), 112),
    "overnight": Profile("lai", LAI, PHOTOGRAPHS, RECIPES["quick"], window=208),
    "paper": Profile("lai", LAI, PHOTOGRAPHS, RECIPES["released_lai"], window=None),
}


def jobs(profile: Profile) -> list[Job]:
    made = []
    benchmark = [(profile.dataset, name) for name in profile.names]
    for dataset, pair in (*benchmark, *profile.photographs):
        place = {"dataset": dataset, "pair": pair, "window": profile.window}
        digest = data.digest(dataset, pair)
        methods = RIVALS if (dataset, pair) in profile.photographs else (KNOWN, *RIVALS)
        made += [Job.create(restore_whole, data=digest, method=method, **place) for method in methods]
        drawn = Job.create(draw_window, data=digest, seed=0, recipe=asdict(profile.recipe), **place)
        made.append(Job.create(restore_whole, data=digest, method=OURS, of=drawn.to_json(), **place))
    return made


def side(window: int | None, kernel_size: int) -> int | None:
    """Of the window in which a kernel is found: four kernels wide. Time grows with the square of it, as does the number
    of equations for the kernel's pixels."""
    return None if window is None else max(window, 4 * kernel_size)


# Tasks


@task()
def draw_window(
    context: Context, *, dataset: str, pair: str, window: int | None, seed: int, recipe: dict[str, Any]
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """SelfDeblur on the window: its picture `x` and kernel `k`; values: the scores of x, where there is a truth."""
    target = data.load(dataset, pair)
    luma = large_picture.luma_of(target.blurry)
    rows, columns = large_picture.place(luma, side(window, target.kernel_size))
    with nonblind.without_warning("saturated"):  # its share is in the tables
        found = selfdeblur.deblur(
            luma[..., rows, columns],
            target.kernel_size,
            from_settings(Recipe, recipe),
            seed=seed,
            device=context.device,
            checkpoint=context.checkpoint,
            progress=context.progress,
        )
    x = pairs.to_bytes(found.x)
    values = {"data_term": found.residual, "delta_fraction": metrics.delta_fraction(found.k)}
    if target.sharp is not None:
        values["scores"] = scores(x, large_picture.luma_of(target.sharp)[..., rows, columns])
    return values, {"x": x, "k": found.k[0].numpy()}


@task()
def restore_whole(
    context: Context, *, dataset: str, pair: str, window: int | None, method: str, of: dict[str, Any] | None = None
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """The whole luma, deconvolved with the kernel that a method finds in the window; `of`: the job that found it.

    A method that finds no kernel is scored as if it had found no blur.

    Values: `saturated`, the share of pixels left out; and where there is a truth: scores of the picture found and of
    the blurry one, on the whole and on the window; `plain`, of SelfDeblur's own picture; `kernel_similarity`; with the
    known kernel also `brightness`. Arrays: luma `x`, kernel `k`.
    """
    target = data.load(dataset, pair)
    base = context.result(Job.from_json(of)) if of else None
    truth = None if target.sharp is None else true_kernel(context, target)

    def solve(part: Tensor) -> tuple[None, Tensor]:
        if base:
            return None, torch.from_numpy(base.arrays["k"])[None]
        if method == KNOWN:
            return None, truth
        try:
            return None, RIVALS[method](part, target.kernel_size)[1]
        except DeblurError:  # it finds no kernel: its answer is that there is no blur
            return None, blur.psf.delta(target.kernel_size)

    luma, width = large_picture.luma_of(target.blurry), side(window, target.kernel_size)
    weight = None if truth is None else WEIGHT  # a photograph's noise is its own
    with nonblind.without_warning("saturated"):  # its share is in the tables
        x, k = large_picture.deblur(luma, solve, width, weight)
    values: dict[str, Any] = {
        "category": target.tags[0],
        "saturated": large_picture.saturated_share(luma),
        "delta_fraction": metrics.delta_fraction(k),
    }
    if truth is not None:
        sharp, seen = large_picture.luma_of(target.sharp), large_picture.place(luma, width)
        for name, picture in (("found", x), ("blurry", luma)):
            saved = pairs.to_bytes(picture)
            values[name] = {"whole": scores(saved, sharp), "window": scores(saved[seen], sharp[(..., *seen)])}
        values["kernel_similarity"] = metrics.kernel_similarity(k, truth)
        if base:
            values["plain"] = base.values["scores"]
        if method == KNOWN:
            values["brightness"] = brightness(target, k)
    return values, {"x": pairs.to_bytes(x), "k": k[0].numpy()}


@task()
def estimate_kernel(context: Context, *, dataset: str, pair: str) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """The kernel that turns a pair's sharp luma into its blurry one: least squares on gradients. What is below 2
    percent of the largest value is noise, and becomes zero."""
    target = data.load(dataset, pair)
    sharp, blurry = (large_picture.luma_of(image) for image in (target.sharp, target.blurry))
    size = target.kernel_size
    normal, b = classical.kernel_equations(blur.pad_for_same(sharp, size), blurry, size)
    k = nonblind.conjugate_gradients(normal, b, torch.zeros(1, size, size), 300, 1e-5)
    return {}, {"k": blur.normalize(torch.where(k < 0.02 * k.max(), 0, k))[0].numpy()}


def true_kernel(context: Context, target: data.Pair) -> Tensor:
    """The pair's kernel. Lai's kernel files are not to be had, so theirs is estimated, from a picture whose blur is a
    convolution: what is left of it afterwards is the noise that Lai et al. added."""
    if target.dataset != "lai":
        return target.kernel
    source = f"manmade_01_{target.kernel_name}"
    job = Job.create(estimate_kernel, data=data.digest("lai", source), dataset="lai", pair=source)
    return torch.from_numpy(context.result(job).arrays["k"])[None]


def scores(estimate: np.ndarray, sharp: Tensor) -> dict[str, Any]:
    """Of a luma in 8 bits against the sharp luma (1, 1, h, w) in [0, 1], by the paper's protocol: luma in MATLAB's
    limited range, 15 px border left out, SSIM after automatic downsampling, but aligned within REACH; `narrow`: within
    10 px. Beside it `ssim_plain`, without downsampling."""
    estimate, limited = ((16 + 219 * np.asarray(luma, np.float64)) / 255 for luma in (estimate / 255, sharp[0, 0]))
    best, narrow = (metrics.aligned(estimate, limited, reach, downsample=True) for reach in (REACH, 10))
    return {
        "psnr": best.psnr,
        "ssim": best.ssim,
        "ssim_plain": metrics.wang_ssim(best.estimate, best.sharp),
        "shift": best.shift,
        "narrow": {"psnr": narrow.psnr, "ssim": narrow.ssim},
    }


def brightness(target: data.Pair, k: Tensor) -> dict[str, float]:
    """Whether convolution explains the pair: least squares of y = gain (k * x) + offset over colour values that are
    neither black nor saturated, the standard deviation of what is left (`misfit`), and the PSNR of gain x + offset
    against x, clipped, without any blur: what the best of methods can reach (`ceiling`)."""
    again = blur.convolve(blur.pad_for_same(target.sharp, k.shape[-1]), k)
    usable = (target.blurry > 0.02) & (target.blurry < 0.98)
    u, v = again[usable].double().numpy(), target.blurry[usable].double().numpy()
    gain, offset = np.polyfit(u, v, 1)
    best = data.matlab_luma((gain * target.sharp + offset).clamp(0, 1))
    return {
        "gain": gain,
        "offset": offset,
        "misfit": float(np.std(v - gain * u - offset)),
        "ceiling": metrics.psnr(best, data.matlab_luma(target.sharp)),
    }


# What the results say


def methods(
    results: list[Result], part: str = "whole", needed: Sequence[str] = (*RIVALS, OURS, KNOWN)
) -> dict[str, list[dict[str, Any]]]:
    """Scores of the methods `needed` on the whole pictures or on the window, each with the name and the category of its
    pair, in the same order of pairs; pairs that one of these methods lacks are left out. The blurry input is among
    them, and SelfDeblur's own picture where it was drawn."""
    by_pair: dict[str, dict[str, dict[str, Any]]] = {}
    for result in results:
        values, settings = result.values, result.job.settings
        if "found" not in values:
            continue
        found = by_pair.setdefault(settings["pair"], {})
        common = {name: values[name] for name in ("category", "kernel_similarity", "saturated")}
        common["pair"] = settings["pair"]
        found[settings["method"]] = values["found"][part] | common
        found[BLURRY] = values["blurry"][part] | common
        if "plain" in values and (part == "window" or settings["window"] is None):
            found[PLAIN] = values["plain"] | common
    complete = [found for found in by_pair.values() if set(needed) <= found.keys()]
    kept = {BLURRY, *needed, *((PLAIN,) if OURS in needed else ())}.intersection(*complete)
    names = [name for name in (BLURRY, *RIVALS, PLAIN, OURS, KNOWN) if complete and name in kept]
    return {name: [found[name] for found in complete] for name in names}


def tables(results: list[Result]) -> list[Table]:
    return [_score_table(results), *_classical_table(results), *_window_table(results), *_brightness_table(results)]


def _mean(scores: Sequence[dict[str, Any]]) -> str | None:
    if not scores:
        return None
    psnr, ssim = (float(np.mean([score[name] for score in scores])) for name in ("psnr", "ssim"))
    return f"{psnr:.2f} / {ssim:.4f}"


def _score_table(results: list[Result]) -> Table:
    rows: list[tuple[object, ...]] = []
    for name, printed in TABLE_4.items():
        columns = list(zip(*printed, strict=True))
        usual = [column for column, category in zip(columns, CATEGORIES, strict=False) if category != "saturated"]
        rows.append(("paper", name, *(f"{psnr:.2f} / {ssim:.4f}" for psnr, ssim in (*columns, np.mean(usual, axis=0)))))
    rows += _rows(methods(results))
    return Table(
        "PSNR (dB) / SSIM on the whole picture",
        SCORED,
        rows,
        f"Rows of the paper are cited, not run: its averages are over {WHOLE} pairs, and the one without saturated "
        "pictures is computed from them. Δ is a final deconvolution with the kernel found, which ends every row of "
        "this code; Lai's known kernels are estimated, from the sharp and the blurry version of one picture. Luma in "
        "MATLAB's limited range, which adds 1.32 dB; aligned within "
        f"{REACH} px (the authors' scripts: 5 px in 2019, 10 px since 2020); 15 px border left out; SSIM after "
        "automatic downsampling. A method that finds no kernel counts as having found no blur. SelfDeblur's seed is 0.",
    )


SCORED = ("source", "method", *CATEGORIES, "all", "without saturated")


def _rows(found: dict[str, list[dict[str, Any]]]) -> Iterator[tuple[object, ...]]:
    """By method, as many pairs as all of them have: the means of every category, of all, and of the unsaturated."""
    for name, scores in found.items():
        groups = [[score for score in scores if score["category"] == category] for category in CATEGORIES]
        groups += [scores, [score for score in scores if score["category"] != "saturated"]]
        yield (f"this code, {len(scores)} pairs", name, *map(_mean, groups))


def _classical_table(results: list[Result]) -> Iterator[Table]:
    """Where SelfDeblur's runs are the last to come: the other methods on all the pairs that they have."""
    found = methods(results, needed=(*RIVALS, KNOWN))
    if found and len(found[KNOWN]) > len(methods(results).get(OURS, [])):
        yield Table(
            "Classical methods and the known kernel, all pairs recorded",
            SCORED,
            list(_rows(found)),
            "As above, without SelfDeblur, which has not run on all of these pairs.",
        )


def _window_table(results: list[Result]) -> Iterator[Table]:
    rows = []
    found = methods(results, "window")
    for name, scores in found.items():
        similarity = None if name == BLURRY else f"{np.mean([score['kernel_similarity'] for score in scores]):.3f}"
        gains = [score["psnr"] - blurry["psnr"] for score, blurry in zip(scores, found[BLURRY], strict=True)]
        failed = None if name == BLURRY else f"{np.mean([gain < pairs.FAILED_BELOW for gain in gains]):.0%}"
        narrow = np.mean([score["narrow"]["psnr"] - score["psnr"] for score in scores])
        plain = np.mean([score["ssim_plain"] for score in methods(results).get(name, [])] or [np.nan])
        cells = (_mean(scores), similarity, failed, f"{narrow:+.2f}", None if np.isnan(plain) else f"{plain:.4f}")
        rows.append((name, *cells))
    if rows:
        yield Table(
            "The window in which kernels are found",
            ("method", "PSNR (dB) / SSIM there", "kernel similarity", "failed", "within 10 px only (dB)",
             "SSIM of the whole, not downsampled"),
            rows,
            "SelfDeblur's own picture exists here alone, unless the window is the whole picture. Failed: less than "
            f"{pairs.FAILED_BELOW:.0f} dB above the blurry input. Within 10 px only: what that costs in PSNR.",
        )  # fmt: skip


def _brightness_table(results: list[Result]) -> Iterator[Table]:
    by_image: dict[str, list[Result]] = {}
    for result in results:
        if "brightness" in result.values:
            by_image.setdefault(result.job.settings["pair"].partition("_kernel_")[0], []).append(result)
    rows = []
    for image, runs in sorted(by_image.items()):
        fit = {name: np.mean([run.values["brightness"][name] for run in runs]) for name in runs[0].values["brightness"]}
        psnr = np.mean([run.values["found"]["whole"]["psnr"] for run in runs])
        clipped = np.mean([run.values["saturated"] for run in runs])
        rows.append(
            (image, f"{fit['gain']:.3f}", f"{fit['offset']:+.3f}", f"{255 * fit['misfit']:.2f}", f"{clipped:.1%}",
             f"{fit['ceiling']:.1f}" if 255 * fit["misfit"] < NOISE else None, f"{psnr:.1f}")
        )  # fmt: skip
    clipped = {r.job.settings["pair"]: r.values["saturated"] for r in results if "found" not in r.values}
    rows += [(pair, None, None, None, f"{share:.1%}", None, None) for pair, share in sorted(clipped.items())]
    if rows:
        yield Table(
            "Does convolution explain the blurry picture? y = gain (k * x) + offset",
            ("picture", "gain", "offset", "misfit (grey levels)", "left out as saturated", "ceiling (dB)",
             "known kernel (dB)"),
            rows,
            "Means over kernels, with the known kernel. Lai's noise alone gives gain 1, offset +0.005 and a misfit of "
            "0.8. Another gain means that the sharp picture is not what was blurred: the ceiling is the PSNR of a "
            "result without any blur or noise, but in the brightness of the blurry picture. Gain and ceiling can be "
            "read so only where the misfit is that of the noise; a larger misfit is clipped light, which no gain "
            "explains. Of a photograph, only what is left out is known.",
        )  # fmt: skip


def figures(results: list[Result]) -> list[Figure]:
    """No pictures but built-in ones: the others may be looked at, but not passed on."""
    found = methods(results)
    drawn = [_gains(found)] if found else []
    builtin = [r for r in results if r.job.settings["dataset"] == "builtin_colour"]
    return [*drawn, *_pictures([r for r in builtin if "found" in r.values]), *photographs(builtin)]


def _gains(found: dict[str, list[dict[str, Any]]]) -> Figure:
    figure, ((axes,),) = subplots(width=6.4, height=3.2)
    shown = [name for name in (*RIVALS, OURS, KNOWN) if name in found]
    present = [category for category in CATEGORIES if any(score["category"] == category for score in found[OURS])]
    for i, (name, color) in enumerate(zip(shown, PALETTE, strict=False)):
        gains = [score["psnr"] - blurry["psnr"] for score, blurry in zip(found[name], found[BLURRY], strict=True)]
        at = [present.index(score["category"]) + 0.17 * (i - (len(shown) - 1) / 2) for score in found[name]]
        axes.scatter(at, gains, s=16, color=color, alpha=0.8, label=name)
    axes.axhline(0, color="0.5", linewidth=1)
    axes.set_xticks(range(len(present)), present)
    axes.set(ylabel="PSNR against the blurry input (dB)")
    figure.legend(loc="outside upper center", ncols=4)
    caption = "One dot a pair. Below the line, doing nothing would have been better: a wrong kernel is worse than none."
    return Figure("gains", figure, caption)


def _pictures(results: list[Result]) -> list[Figure]:
    """Figure 6: every pair that all methods have, one a row. One of them has lamps, as the picture in Figure 1."""
    chosen = _by_pair(results)
    columns = (KNOWN, *RIVALS, OURS)
    rows = [runs for runs in chosen.values() if set(columns) <= runs.keys() and runs[OURS].arrays]
    if not rows:
        return []
    figure, panels = subplots(len(rows), len(columns) + 2, width=1.75, height=1.65)
    for runs, line in zip(rows, panels, strict=True):
        target = data.load(*_place(runs[OURS]))
        show_image(line[0], _plane(target.blurry), "blurry")
        for axes, name in zip(line[1:], columns, strict=False):
            _show_result(axes, runs[name], target, f"{name}\n{runs[name].values['found']['whole']['psnr']:.1f} dB")
        show_image(line[-1], _plane(target.sharp), "truth")
    caption = "Built-in pictures, whole, with the kernels found: compare the kernels first, then look for rings."
    if any(runs[KNOWN].values["category"] == "saturated" for runs in rows):
        caption += " The rocket stands for the paper's Figure 1: its lamps are saturated, and no convolution of them."
    return [Figure("pictures", figure, caption)]


def photographs(results: list[Result]) -> list[Figure]:
    """Figure 7: pictures without truth, blurry and as every method leaves them."""
    chosen = {
        pair: runs
        for pair, runs in _by_pair([r for r in results if "found" not in r.values and r.arrays]).items()
        if {*RIVALS, OURS} <= runs.keys()
    }
    drawn = []
    for pair, runs in chosen.items():
        target = data.load(*_place(runs[OURS]))
        height, width = target.blurry.shape[-2:]
        figure, (line,) = subplots(1, 2 + len(RIVALS), width=2.3, height=2.3 * height / width + 0.3)
        show_image(line[0], _plane(target.blurry), "blurry")
        for axes, name in zip(line[1:], (*RIVALS, OURS), strict=True):
            _show_result(axes, runs[name], target, name)
        what = "a stand-in for a photograph" if target.dataset == "builtin_colour" else "a real photograph"
        caption = f"{pair}, {what}: judged without the truth. Look at fine detail, and for rings at edges."
        drawn.append(Figure(f"photograph_{target.image}", figure, caption))
    return drawn


def _by_pair(results: list[Result]) -> dict[str, dict[str, Result]]:
    chosen: dict[str, dict[str, Result]] = {}
    for result in results:
        chosen.setdefault(result.job.settings["pair"], {})[result.job.settings["method"]] = result
    return chosen


def _place(result: Result) -> tuple[str, str]:
    return result.job.settings["dataset"], result.job.settings["pair"]


def _plane(image: Tensor) -> np.ndarray:
    return image[0].permute(1, 2, 0).numpy()


def _show_result(axes: Axes, result: Result, target: data.Pair, title: str) -> None:
    """The picture in colour, and the kernel in its corner."""
    luma = torch.from_numpy(result.arrays["x"]).float()[None, None] / 255
    show_image(axes, _plane(large_picture.recolour(luma, target.blurry)), title)
    show_image(axes.inset_axes((0.01, 0.69, 0.3, 0.3)), result.arrays["k"], maximum=None)


def evidence(results: list[Result]) -> dict[str, Evidence]:
    found = methods(results)
    if not found:
        return {}
    names = [score["pair"] for score in found[OURS]]
    drawn = PLAIN if PLAIN in found else OURS  # the paper's SSIM is that of SelfDeblur's own picture

    def lead(title: str, name: str, rival: str, score: str, unit: str = "") -> Comparison:
        gains = [a[score] - b[score] for a, b in zip(found[name], found[rival], strict=True)]
        return pairs.compare(f"{title}, {name} against {rival}", names, gains, unit)

    leads = [(lead("PSNR", OURS, rival, "psnr", "dB"), lead("SSIM", drawn, rival, "ssim")) for rival in RIVALS]
    known = methods(results, needed=(KNOWN,))[KNOWN]
    of_lai = results[0].job.settings["dataset"] == "lai"
    ours = f"on {len(names)} of {len(known)} pairs, " + ", ".join(
        f"{name} {_mean(found[name])}" for name in dict.fromkeys((OURS, drawn, *RIVALS))
    )
    ours += f"; SSIM is tested with {OURS}, the paper's is {PLAIN}'s own picture" if drawn == OURS else ""
    # Less of the picture is more of a handicap for a network than for a method with a handcrafted prior.
    windows = any(result.job.settings["window"] is not None for result in results)
    reduced = (
        "of the paper's rivals, Perrone & Favaro and a variant of Pan's L0 run here in our own versions, the other "
        f"{len(TABLE_4) - len(OWN) - len(RIVALS)} do not",
        f"{len(known)} of the {WHOLE} pairs of Lai's set could be had" if of_lai else "",
        "kernels were found in windows, which the paper's method does not do" if windows else "",
        pairs.reduced(Job.from_json(of) for r in results if "found" in r.values and (of := r.job.settings["of"])),
    )
    comparisons = tuple(comparison for both in leads for comparison in both)
    return {"C1.11": Evidence(comparisons, ours=ours, reduced=", and ".join(filter(None, reduced)))}


STUDY = Study(
    "lai_benchmark", "Large kernels and colour: Lai's benchmark and photographs (SelfDeblur, Table 4)", "selfdeblur",
    "05_lai_and_photographs", PROFILES, jobs, tables, figures, evidence, claims=("C1.11",),
)  # fmt: skip
