"""Several sharp pictures for one blurry one: samples, their spread, and the first prediction beneath them.

Whang et al., "Deblurring via Stochastic Refinement", CVPR 2022: Figure 3 (initial prediction, residual, samples;
C3.10), Figure 5 (the standard deviation over samples grows with blur; C3.7), the entropy of residuals (C3.9), whole
pictures by networks that were trained on crops (C3.11). A tiny network is trained besides by the paper's loss, which
leaves the colours of its initial prediction open, and with each of the two losses that hold them (see `ARMS`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any

import numpy as np
import torch
from torch import Tensor

from deblur_core import metrics, weights
from deblur_core.data.training_pairs import Blur
from deblur_core.metrics.statistics import mean_interval
from deblur_core.models.refinement import Design, expected_residual
from deblur_core.runs import Context, Job, Result, from_settings, task
from deblur_core.solvers.refinement import refine
from deblur_core.studies import learning, refining
from deblur_core.studies.claims import Comparison, Evidence, paired
from deblur_core.studies.learning import Pictures
from deblur_core.studies.refining import Network, blurred, picture_of, show_picture, shown_pair
from deblur_core.studies.study import Figure, Study, Table, of_task
from deblur_core.studies.style import PALETTE, subplots
from deblur_core.training import Settings

TILE, BORDER = 128, 16
"""Side in pixels of the crops that a large picture is restored by, and of the rim of each that is not scored."""
MARGIN = 0.1
"""In dB: a smaller loss by restoring a picture as a whole is called little or none."""
PAPER_ENTROPY = (7.42, None, 3.91)
ALONE = "the paper's loss"
ARMS: dict[str, dict[str, float]] = {
    ALONE: {},
    "paper's loss + colour loss": {"colour_weight": 1.0},
    "paper's loss + g's own loss": {"predictor_weight": 100.0},
}
"""What the small networks learn from. In the last, g_θ learns from both losses; the shipped predictor learnt from its
own loss alone."""
UNMOVED = 0.05
"""In dB: where g_θ(y) is nowhere further from the PSNR of y, it is said to change nothing."""


@dataclass(frozen=True)
class Profile:
    """network: shipped weights, else the first that `design` and `settings` train; pictures, in so many parts: their
    blur is taken from the card of the weights; steps, samples and last beta of the restorations, None for the training
    schedule in fewer steps; few: (steps, last beta, samples) with which large pictures are restored."""

    network: str
    pictures: Pictures
    parts: int
    steps: int
    samples: int
    large: Pictures
    few: tuple[int, float | None, int]
    design: Design
    settings: Settings
    seeds: tuple[int, ...]
    last: float | None = None


_NO_LOSSES = {"colour_weight": 0.0, "predictor_weight": 0.0}
_TINY = Design(predictor_width=8, denoiser_width=8, multipliers=(1, 2), blocks=1, residual_scale=4.0)
_PHOTOGRAPHS = Pictures(("builtin", "CBSD68"), ("Kodak24",), crop=128, blur=refining.MIXED)
PROFILES = {
    "smoke": Profile(
        "", Pictures(crop=32, blur=Blur(size=7, kinds=("shake",), count=8)), parts=1, steps=4, samples=2,
        large=Pictures(crop=160), few=(2, None, 2), design=replace(_TINY, predictor_width=4, denoiser_width=4),
        settings=Settings(steps=3, batch=2, crop=32, precision="float32", validate_every=2), seeds=(0,),
    ),
    "laptop": Profile(
        "refinement", Pictures(crop=160), parts=3, steps=20, samples=8, large=Pictures(crop=256), few=(10, None, 2),
        design=_TINY, settings=Settings(steps=300, batch=8, crop=48, learning_rate=3e-3, warm_up=20, clip=1.0,
                                        average=0.99, precision="float32", validate_every=50),
        seeds=(0,),
    ),
    "overnight": Profile(
        "refinement", _PHOTOGRAPHS, parts=12, steps=50, samples=8, large=Pictures(held_out=("gopro",)),
        few=(10, None, 2), design=_TINY,
        settings=Settings(steps=600, batch=8, crop=48, learning_rate=2e-3, warm_up=100, clip=1.0, validate_every=250),
        seeds=(0, 1, 2),
    ),
    "paper": Profile(
        "", replace(_PHOTOGRAPHS, crop=None), parts=12, steps=500, samples=8, large=Pictures(held_out=("gopro",)),
        few=(10, 0.5, 8), design=Design(), settings=Settings(steps=1_000_000, batch=32, learning_rate=1e-4, clip=1.0,
                                                             average=0.9999, validate_every=5000),
        seeds=(0,), last=0.02,
    ),
}  # fmt: skip


def network_of(profile: Profile) -> Network:
    """What is sampled from."""
    return profile.network or refining.train_job(profile.design, profile.pictures, profile.settings, profile.seeds[0])


def sizes_of(blur: Blur) -> list[int]:
    """Up to three odd sizes in pixels of shakes that the network has learnt: the largest; half of it, but at least 5,
    the smallest shake there is; between."""
    smallest = min(blur.size, max(5, blur.size // 4 * 2 + 1))
    return sorted({smallest, (smallest + blur.size) // 4 * 2 + 1, blur.size})


def jobs(profile: Profile) -> list[Job]:
    network = network_of(profile)
    blur = refining.learnt_blur(network, profile.pictures.blur)
    trained = [
        refining.train_job(replace(profile.design, **arm), profile.pictures, profile.settings, seed)
        for seed in profile.seeds
        for arm in ARMS.values()
    ]
    restored = [
        refining.restore_jobs(
            network,
            replace(profile.pictures, blur=replace(blur, size=size, kinds=("shake",))),
            parts=profile.parts, steps=profile.steps, last=profile.last, samples=profile.samples, shown=3,
        )
        for size in sizes_of(blur)
    ]  # fmt: skip
    steps, last, samples = profile.few
    large = replace(profile.large, blur=replace(blur, kinds=blur.kinds[:1]))
    compared = Job.create(whole_and_tiles, **refining.job_on(network, large), steps=steps, last=last, samples=samples)
    predicted = refining.predict_job(network, replace(profile.pictures, blur=blur))
    units = restored if refining.in_local_units(network) else []
    measured = [Job.create(relative_spread, of=[job.to_json() for job in of]) for of in units]
    return [*trained, *chain(*restored), *measured, predicted, compared]


@task()
def relative_spread(context: Context, *, of: list[dict[str, Any]]) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """The scatter of samples in the units in which a network with local units draws residuals.

    Values, for each of `names`: `spread`, root mean square over the pixels of the standard deviation over samples
    divided by the unit there; `unit`, its root mean square in grey levels.
    """
    values: dict[str, Any] = {"names": [], "spread": [], "unit": []}
    for run in (context.result(Job.from_json(job)) for job in of):
        unit = expected_residual(torch.from_numpy(run.arrays["initial"]).float() / 255)
        spread = torch.from_numpy(run.arrays["deviation"]).float() / unit
        values["names"] += run.values["names"]
        values["spread"] += spread.square().mean((1, 2, 3)).sqrt().tolist()
        values["unit"] += (255 * unit.square().mean((1, 2, 3)).sqrt()).tolist()
    return values, {}


@task()
def whole_and_tiles(
    context: Context,
    *,
    network: str | dict[str, Any],
    pictures: dict[str, Any],
    steps: int,
    last: float | None,
    samples: int,
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Every picture restored as a whole, and crop by crop of 128 px, the size that the paper trained with.

    Values: `names`, `size` (h, w) of the last picture, and for the `initial` prediction and the mean of the `samples`
    the PSNR in dB of both restorations, [whole, crop by crop], away from the rims of the crops.
    """
    model = refining.open_network(context, network)
    betas = refining.schedule(steps, last)
    values: dict[str, Any] = {"names": [], "initial": [], "samples": []}
    for name, (y, x) in blurred(from_settings(Pictures, pictures)).items():
        whole, tiled = (
            refine(model, given, betas, range(samples), device=context.device, progress=context.progress)
            for given in (y, to_tiles(y))
        )
        for kind in ("initial", "samples"):
            drawn = [found.initial if kind == "initial" else found.average() for found in (whole, tiled)]
            both = (to_tiles(drawn[0]), drawn[1])
            values[kind].append([metrics.psnr(inside(tiles), inside(to_tiles(x))) for tiles in both])
        values["names"].append(name)
        values["size"] = list(y.shape[-2:])
    return values, {}


def to_tiles(picture: Tensor) -> Tensor:
    """(1, 3, h, w) -> (n, 3, 128, 128); what is left over at the right and at the bottom is dropped."""
    return metrics.patches(picture, TILE, TILE)


def inside(tiles: Tensor) -> Tensor:
    """Crops without their rims, one below the other: (n, 3, 128, 128) -> (3, n · 96, 96)."""
    return tiles[..., BORDER:-BORDER, BORDER:-BORDER].movedim(0, 1).flatten(1, 2)


# Results


def size_of(run: Result) -> int:
    """Of the largest shake in pixels."""
    return run.job.settings["pictures"]["blur"]["size"]


def in_pixels(sizes: Iterable[int]) -> str:
    """For example "5, 7 and 9 px"."""
    *first, last = sizes
    return f"{', '.join(map(str, first))} and {last} px" if first else f"{last} px"


def training_crop(run: Result) -> int:
    """Side in pixels of the crops that the network of this run has trained on."""
    network = run.job.settings["network"]
    recipe = weights.card(network)["recipe"] if isinstance(network, str) else network["settings"]["settings"]
    return recipe["crop"]


def by_size(results: list[Result]) -> dict[int, list[Result]]:
    runs = of_task(results, refining.restore)
    return {size: [run for run in runs if size_of(run) == size] for size in sorted(set(map(size_of, runs)))}


def in_units(results: list[Result]) -> dict[int, Result]:
    """Runs of `relative_spread` by the size of the shakes."""
    of = ((Job.from_json(run.job.settings["of"][0]), run) for run in of_task(results, relative_spread))
    return {restored.settings["pictures"]["blur"]["size"]: run for restored, run in of}


def deviations(runs: list[Result]) -> dict[str, float]:
    """By picture, in grey levels."""
    return {name: 255 * value for run in runs for name, value in zip(run.values["names"], run.values["deviation"],
                                                                     strict=True)}  # fmt: skip


def by_loss(results: list[Result]) -> dict[str, list[Result]]:
    """Training runs by the names of `ARMS`."""
    found: dict[str, list[Result]] = {}
    for run in of_task(results, refining.train_refinement):
        design = from_settings(Design, run.job.settings["design"])
        name = next(name for name, arm in ARMS.items() if replace(design, **(_NO_LOSSES | arm)) == design)
        found.setdefault(name, []).append(run)
    return {name: found[name] for name in ARMS if name in found}


# Tables


def tables(results: list[Result]) -> list[Table]:
    drawn = (_prediction_table, _spread_table, _entropy_table, _size_table, _colour_table)
    return [table for draw in drawn for table in draw(results)]


def _prediction_table(results: list[Result]) -> Iterator[Table]:
    for run in of_task(results, refining.predict):
        values, rows = run.values, []
        kinds = [name.rpartition(", ")[2] for name in values["names"]]
        columns = {
            "blurry": [scores["psnr"] for scores in values["blurry"]],
            "initial": [scores["psnr"] for scores in values["initial"]],
            "corrected": values["corrected"],
            "drift": [np.abs(colours).mean() for colours in values["drift"]],
            "blurry texture": [scores["texture"] for scores in values["blurry"]],
            "initial texture": [scores["texture"] for scores in values["initial"]],
        }
        for kind in dict.fromkeys(kinds):
            chosen = [i for i, other in enumerate(kinds) if other == kind]
            rows.append((kind, *(f"{np.mean([column[i] for i in chosen]):.2f}" for column in columns.values())))
        yield Table(
            "The initial prediction",
            ("blur", "PSNR of y (dB)", "of g(y)", "of g(y) in the colours of y", "colour drift (grey levels)",
             "texture distance of y", "of g(y)"),
            rows,
            f"{len(values['names'])} blurry pictures held out. Colour drift: how far the mean red, green and blue of "
            "g(y) are off those of y, which blur does not change. Texture distance: between the distributions of "
            "differences of neighbouring pixels and those of the sharp picture, in grey levels.",
        )  # fmt: skip


UNITS = {"unit": ".2f", "spread": ".3f"}
"""What `relative_spread` measured, and how it is written."""


def _spread_table(results: list[Result]) -> Iterator[Table]:
    rows, relative = [], in_units(results)
    for size, runs in by_size(results).items():
        count = runs[0].job.settings["samples"]
        averages = [scores for run in runs for scores in run.values["averages"]]
        last = max(map(int, averages[0]))
        psnr = [np.mean([scores[str(n)]["psnr"] for scores in averages]) for n in (1, last)]
        blurry = np.mean([value for run in runs for value in run.values["blurry"]])
        spread = deviations(runs)
        cells = [f"{np.mean(list(spread.values())):.2f}"]
        if relative:
            measured = relative.get(size)
            cells += [measured and f"{np.mean(measured.values[key]):{digits}}" for key, digits in UNITS.items()]
        rows.append((size, *cells, f"{blurry:.2f}", *(f"{v:.2f}" for v in psnr)))
    if rows:
        caption = (
            f"The same {len(spread)} pictures, {count} samples each, T = {runs[0].job.settings['steps']}. Standard "
            "deviation over samples, root mean square over the pixels."
        )
        units = ("unit of the residual", "deviation in units") if relative else ()  # as UNITS
        if relative:
            caption += (
                " The unit is what the local contrast of the initial prediction lets expect of a residual, in grey "
                "levels; the denoiser draws in this unit."
            )
        yield Table(
            "Scatter of samples, by size of the shake",
            ("shakes up to (px)", "standard deviation (grey levels)", *units, "PSNR of y (dB)", "of one sample",
             f"mean of {last}"),
            rows,
            caption,
        )  # fmt: skip


def _entropy_table(results: list[Result]) -> Iterator[Table]:
    for run in of_task(results, refining.predict):
        per_picture = np.mean(run.values["entropy"], 0)
        names = ("sharp picture x", "x − y", "residual x − g(y)")
        rows = [
            (name, f"{pooled:.2f}", f"{own:.2f}", paper)
            for name, pooled, own, paper in zip(names, run.values["pooled"], per_picture, PAPER_ENTROPY, strict=True)
        ]
        yield Table(
            "Entropy of 8-bit levels",
            ("values", "over all pictures (bits)", "picture by picture", "paper"),
            rows,
            "Of the histogram of levels, wherever in the picture they are. The paper's numbers are for DIV2K with "
            "camera shake and noise, by a recipe in its appendix, which we did not have.",
        )


def _size_table(results: list[Result]) -> Iterator[Table]:
    for run in of_task(results, whole_and_tiles):
        rows, settings = [], run.job.settings
        averaged = f"mean of {settings['samples']} samples, T = {settings['steps']}"
        for kind, label in (("initial", "initial prediction"), ("samples", averaged)):
            whole, tiles = np.transpose(run.values[kind])
            found = size_comparison("", run, kind)
            shown = f" [{found.low - MARGIN:+.3f}, {found.high - MARGIN:+.3f}]" if np.isfinite(found.low) else ""
            rows.append(
                (label, f"{np.mean(whole):.2f}", f"{np.mean(tiles):.2f}", f"{np.mean(whole - tiles):+.3f}{shown}")
            )
        height, width = run.values["size"]
        yield Table(
            "As a whole, or crop by crop",
            ("restoration", "PSNR as a whole (dB)", f"crops of {TILE} px", "difference"),
            rows,
            f"{len(run.values['names'])} pictures, the last of {width} x {height} px; the network has trained on crops "
            f"of {training_crop(run)} px. Scored {BORDER} px away from the rims of the crops. The network sees further "
            "than that, and finds zeros beyond the rim of a crop, which counts against crops. In brackets the 95 % "
            "interval.",
        )


def _colour_table(results: list[Result]) -> Iterator[Table]:
    rows = []
    for name, runs in by_loss(results).items():
        ends = [run.values["curve"][-1] for run in runs]
        worst = [max(row["drift"] for row in run.values["curve"]) for run in runs]
        gains = [np.mean(run.values["psnr"]) - np.mean(run.values["blurry"]) for run in runs]
        rows.append((name, f"{np.mean([row['drift'] for row in ends]):.2f}", f"{np.mean(worst):.2f}",
                     f"{np.mean(gains):+.2f}"))  # fmt: skip
    if rows:
        settings = runs[0].job.settings
        yield Table(
            "Remedies for drifting colours",
            ("trained by", "drift at the end (grey levels)", "largest drift", "PSNR of g(y) above y (dB)"),
            rows,
            f"{runs[0].values['parameters']:,} parameters, {settings['settings']['steps']:,} steps, {len(runs)} "
            f"seed{'s' if len(runs) > 1 else ''}. The paper's loss leaves the mean colour of g(y) open, for diffusion "
            "can put it right; the other two do not.",
        )  # fmt: skip


# Figures


def figures(results: list[Result]) -> list[Figure]:
    drawn = [_training_figure(arms)] if (arms := by_loss(results)) else []
    sizes = by_size(results)
    if sizes and all(run.arrays for runs in sizes.values() for run in runs):
        largest = list(sizes.values())[-1][0]
        if largest.job.settings["pictures"]["held_out"] == ["held out"]:  # the built-in pictures alone are shown
            drawn += [_restorations_figure(list(sizes.values())[-1]), _deviation_figure(sizes)]
    if len(sizes) > 1:
        drawn.append(_spread_figure(sizes))
    return drawn + [_entropy_figure(run) for run in of_task(results, refining.predict) if run.arrays]


def _training_figure(arms: dict[str, list[Result]]) -> Figure:
    figure, (row,) = subplots(1, 3, width=2.9, height=2.5)
    labels = {"loss": "loss", "psnr": "PSNR of g(y) (dB)", "drift": "colour drift (grey levels)"}
    for axes, (name, label) in zip(row, labels.items(), strict=True):
        for (arm, runs), color in zip(arms.items(), PALETTE, strict=False):
            for run in runs:
                curve = [(point["step"], point[name]) for point in run.values["curve"]]
                axes.plot(*zip(*curve, strict=True), color=color, marker="." if len(curve) < 30 else None,
                          label=arm if run is runs[0] else None)  # fmt: skip
        axes.set(xlabel="training step", ylabel=label)
    blurry = np.mean(runs[0].values["blurry"])
    row[1].axhline(blurry, color="0.5", linewidth=1.2, linestyle="--", zorder=5)
    row[2].legend(fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5))
    row[2].set_ylim(bottom=-0.5)
    unmoved = [
        f"\"{arm}\""
        for arm, runs in arms.items()
        if all(abs(point["psnr"] - blurry) < UNMOVED for run in runs for point in run.values["curve"])
    ]
    caption = (
        "Predictor and denoiser learn from one loss, here from nothing. Left: what each arm minimises, added losses "
        "included, falls. Middle: the initial prediction of pictures held out, which the paper's loss does not ask to "
        "be good; the dashed line is the blurry picture. Right: how far its mean colours drift, with and without a "
        "loss that holds them."
    )
    if unmoved:
        caption += f" By {' and by '.join(unmoved)} g(y) changes next to nothing: its curve lies on the dashed line."
    return Figure("training", figure, caption)


def _restorations_figure(runs: list[Result]) -> Figure:
    """Figure 3."""
    shown = [(run, i) for run in runs for i in range(len(run.values["names"]))]
    samples = min(2, shown[0][0].arrays["samples"].shape[1])
    figure, panels = subplots(len(shown), 5 + samples, width=1.55, height=1.7)
    for (run, i), row in zip(shown, panels, strict=True):
        name, count = run.values["names"][i], run.job.settings["samples"]
        y, x = shown_pair(run, name)
        initial = run.arrays["initial"][i]
        columns = {
            f"{name.rpartition(', ')[0]}, blurry": y,
            "initial g(y)": initial,
            "residual x − g(y)": 0.5 + 2 * (x - initial / 255),
            **{f"sample {n + 1}": run.arrays["samples"][i, n] for n in range(samples)},
            f"mean of {count}": run.arrays["means"][i, -1],
            "sharp x": x,
        }
        for axes, (title, picture) in zip(row, columns.items(), strict=True):
            show_picture(axes, picture, title)
            axes.title.set_fontsize(8)
    caption = (
        f"Shakes of up to {size_of(runs[0])} px, T = {runs[0].job.settings['steps']}. The residual, shown at twice "
        "its contrast around grey, is what the initial prediction leaves for diffusion to draw. Compare the samples "
        "with each other where the blurry picture says nothing, and with their mean."
    )
    return Figure("restorations", figure, caption)


def _deviation_figure(sizes: dict[int, list[Result]]) -> Figure:
    """Figure 5, of one picture."""
    every = {size: [(run, i) for run in runs for i in range(len(run.values["names"]))]
             for size, runs in sizes.items()}  # fmt: skip
    chosen = {size: found[min(1, len(found) - 1)] for size, found in every.items()}
    maps = {size: 255 * run.arrays["deviation"][i].astype(float).mean(0) for size, (run, i) in chosen.items()}
    largest = float(np.quantile(list(maps.values())[-1], 0.995))
    figure, panels = subplots(len(sizes), 4, width=2.0, height=2.0)
    for (size, (run, i)), row in zip(chosen.items(), panels, strict=True):
        show_picture(row[0], shown_pair(run, run.values["names"][i])[0], f"blurry, up to {size} px")
        for n, sample in enumerate(run.arrays["samples"][i, :2]):
            show_picture(row[1 + n], sample, f"sample {n + 1}")
        drawn = row[3].imshow(maps[size], vmin=0, vmax=largest, cmap="magma")
        row[3].set_title(f"deviation, {255 * run.values['deviation'][i]:.2f} rms")
        row[3].set_axis_off()
    figure.colorbar(drawn, ax=panels[:, 3], label="standard deviation (grey levels)", shrink=0.7)
    caption = (
        f"The same picture under shakes of up to {in_pixels(sizes)}. Right: the standard deviation over samples, "
        "pixel by pixel, all on one scale. Where is it bright: at edges, where blur has destroyed something, or "
        "elsewhere, too?"
    )
    return Figure("deviation", figure, caption)


def _spread_figure(sizes: dict[int, list[Result]]) -> Figure:
    figure, ((axes,),) = subplots(width=4.2, height=2.8)
    per_size = [deviations(runs) for runs in sizes.values()]
    for name in per_size[0]:
        values = [found.get(name, np.nan) for found in per_size]
        axes.plot(list(sizes), values, color=PALETTE[0], alpha=0.5, marker="o", markersize=3)
    mean = [np.mean(list(found.values())) for found in per_size]
    axes.plot(list(sizes), mean, color=PALETTE[1], linewidth=2.5, label="mean")
    axes.set(xlabel="shakes up to (px)", ylabel="standard deviation (grey levels)", xticks=list(sizes))
    axes.set_ylim(bottom=0)
    axes.legend()
    caption = "Standard deviation over samples, a thin line for each picture. Do they rise, as the paper says?"
    return Figure("spread", figure, caption)


def _entropy_figure(run: Result) -> Figure:
    figure, ((axes,),) = subplots(width=5.0, height=2.8)
    names = ("sharp picture x", "x − y", "residual x − g(y)")
    for counts, name, bits, color in zip(run.arrays["counts"], names, run.values["pooled"], PALETTE, strict=False):
        shares = counts / counts.sum()
        axes.plot(
            np.arange(-255, 256), np.where(shares > 0, shares, np.nan), color=color, label=f"{name}: {bits:.2f} bits"
        )
    axes.set(xlabel="8-bit level", ylabel="share of all values", yscale="log", ylim=(1e-6, 1))
    axes.legend(fontsize=8)
    caption = "How often each level occurs. A narrow histogram has little entropy: most of a residual is nearly zero."
    return Figure("entropy", figure, caption)


# Evidence


def size_comparison(name: str, run: Result, kind: str) -> Comparison:
    """PSNR as a whole above that crop by crop, plus the margin."""
    whole, tiles = np.transpose(run.values[kind])
    scenes = [picture_of(name) for name in run.values["names"]]
    return paired(name, list(whole + MARGIN), list(tiles), scenes, "dB", of="scenes")


def evidence(results: list[Result]) -> dict[str, Evidence]:
    found = {}
    if len(sizes := by_size(results)) > 1:
        found["C3.7"] = _spread_evidence(sizes, in_units(results))
    for run in of_task(results, refining.predict):
        found["C3.9"] = _entropy_evidence(run)
        found["C3.10"] = _prediction_evidence(run, by_loss(results).get(ALONE, []))
    for run in of_task(results, whole_and_tiles):
        found["C3.11"] = _size_evidence(run)
    return found


def _spread_evidence(sizes: dict[int, list[Result]], relative: dict[int, Result]) -> Evidence:
    """From each size to the next, the same pictures."""
    spreads = {size: deviations(runs) for size, runs in sizes.items()}
    comparisons = []
    for smaller, larger in zip(list(spreads), list(spreads)[1:], strict=False):
        common = sorted(spreads[smaller].keys() & spreads[larger].keys())
        values = [[spreads[size][name] for name in common] for size in (larger, smaller)]
        pictures = list(map(picture_of, common))
        comparisons.append(paired(f"{larger} − {smaller} px", *values, pictures, "grey levels", of="pictures"))
    means = ", ".join(f"{np.mean(list(spread.values())):.2f} up to {size} px" for size, spread in spreads.items())
    small = refining.smaller(next(iter(sizes.values()))[0])
    ours = f"standard deviation in grey levels: {means}"
    if relative:
        shares = ", ".join(f"{np.mean(run.values['spread']):.3f}" for run in relative.values())
        ours += f"; in units of what the local contrast lets expect {shares}"
    return Evidence(
        tuple(comparisons),
        ours=ours,
        reduced=small and f"{small}, trained once; shakes of up to {in_pixels(sizes)} alone, made here",
    )


def _entropy_evidence(run: Result) -> Evidence:
    """Of residuals of the first prediction, and of those that are left where nothing at all is predicted, x − y: a
    network that is better than none leaves less, so its size does not matter. But blur and noise of the pictures do."""
    sharp, *rests = map(list, np.transpose(run.values["entropy"]))
    pictures = list(map(picture_of, run.values["names"]))
    x, unpredicted, z = run.values["pooled"]
    noise = 255 * run.job.settings["pictures"]["blur"]["noise"]
    return Evidence(
        tuple(
            paired(f"entropy, picture − {name}", sharp, rest, pictures, "bits", of="pictures")
            for name, rest in zip(("blurry residual x − y", "residual x − g(y)"), rests, strict=True)
        ),
        ours=f"{z:.2f} against {x:.2f} bits over all pictures, {unpredicted:.2f} where nothing is predicted",
        reduced=refining.smaller(run)
        and f"photographs blurred here, with noise of {noise:.1f} grey levels; the paper's set has noise, too, by a "
        "recipe in its appendix, which we did not have; one trained network",
    )


def _prediction_evidence(run: Result, small: list[Result]) -> Evidence:
    """Where the network that is sampled from has learnt its first prediction by a loss of its own, the small ones speak
    that learnt by the one loss alone."""
    initial, blurry = ([scores["psnr"] for scores in run.values[part]] for part in ("initial", "blurry"))
    drift, corrected = np.abs(run.values["drift"]).mean(), np.mean(run.values["corrected"])
    ours = (
        f"{np.mean(initial):.2f} dB against {np.mean(blurry):.2f} dB of the blurry pictures; its colours are off by "
        f"{drift:.1f} grey levels, and with those of the blurry picture it has {corrected:.2f} dB"
    )
    pictures = list(map(picture_of, run.values["names"]))
    own = paired("PSNR, initial − blurry", initial, blurry, pictures, "dB", of="pictures")
    if not run.values["own_loss"]:
        return Evidence((own,), ours=ours)
    gains = {
        (run.job.settings["seed"], name): ours - given
        for run in small
        for name, ours, given in zip(run.values["names"], run.values["psnr"], run.values["blurry"], strict=True)
    }
    if not gains:
        return Evidence((own,), ours=f"with a loss of its own {ours}", reduced="it was also trained by that loss")
    steps, parameters = small[0].job.settings["settings"]["steps"], small[0].values["parameters"]
    return Evidence(
        (learning.over_seeds_and_pictures(f"{own.name}, without a loss of its own", gains, "dB"),),
        ours=f"{np.mean(list(gains.values())):+.2f} dB above the blurry pictures after {steps:,} steps; with a loss of "
        f"its own, in a longer training, {ours}",
        reduced=f"networks of {parameters:,} parameters after {steps:,} steps, not 33 million after a million",
    )


def _size_evidence(run: Result) -> Evidence:
    comparisons = tuple(
        size_comparison(f"{name}, whole − crops + {MARGIN} dB", run, kind)
        for kind, name in (("initial", "initial prediction"), ("samples", "samples"))
    )
    lost = [mean_interval(np.subtract(*np.transpose(run.values[kind]))).effect for kind in ("initial", "samples")]
    height, width = run.values["size"]
    whole = height * width >= 0.95 * 720 * 1280  # blur takes some pixels of the border
    reasons = [] if whole else [f"pictures of {width} x {height} px, not 1280 x 720"]
    if small := refining.smaller(run):
        reasons += [
            f"{small}, trained once, on crops of {training_crop(run)} px and not of {TILE}, and on blur made here",
            f"it sees further than the rim of {BORDER} px that is not scored, which counts against crops",
        ]
    return Evidence(
        comparisons, ours=f"as a whole {lost[0]:+.3f} dB (initial prediction) and {lost[1]:+.3f} dB (samples); a loss "
        f"below {MARGIN} dB is called little", reduced="; ".join(reasons),
    )  # fmt: skip


STUDY = Study(
    "stochastic_refinement", "Samples, their spread, the initial prediction (refinement, Figures 3, 5)", "refinement",
    "12_stochastic_refinement", PROFILES, jobs, tables, figures, evidence, claims=("C3.7", "C3.9", "C3.10", "C3.11"),
)  # fmt: skip
