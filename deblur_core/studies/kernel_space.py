"""What an encoded blur kernel knows: blur extracted from one picture, put into another, sampled, and walked through.

Tran et al., "Explore Image Deblurring via Encoded Blur Kernel Space", CVPR 2021: Table 1 (extraction with known
kernels; C2.1), the transfer of blur between pictures, blurs sampled from the variational extractor. The operator here
is another one, much smaller, beside a linear space that is made by hand (`studies.operators`).

Pictures are blurred with what lies around their crop, which neither the operator nor anybody who has the crop alone
knows: near the border even the true kernel fails. So PSNR is given for the pixels that see no border, and for all.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from deblur_core import blur, data, metrics, weights
from deblur_core.blur import nonuniform
from deblur_core.data.gopro import scene_of
from deblur_core.data.images import middle, to_uint8
from deblur_core.models.compact_kernel_space import CompactKernelSpace
from deblur_core.models.counting import count_parameters
from deblur_core.models.kernel_space import Encoding, KernelSpace, preset
from deblur_core.models.linear_kernel_space import LinearKernelSpace
from deblur_core.runs import Context, Job, Result, task
from deblur_core.studies import operators, refining
from deblur_core.studies.claims import Comparison, Evidence, crossed, paired
from deblur_core.studies.operators import EXTENT, misplaced, on_device, responses
from deblur_core.studies.refining import show_picture
from deblur_core.studies.study import Figure, Study, Table, grouped, of_task, with_interval
from deblur_core.studies.style import PALETTE, show_image, subplots

PAPER_PSNR = (49.48, 51.93, 52.06, 53.74, 49.91, 49.49, 51.43, 50.38)
"""Table 1 in dB, kernels 1 to 8."""
FLOOR = 49.0
"""In dB: what the claim says of each of the eight kernels."""
NOISE = 0.002
"""Standard deviation of the noise in the blurry pictures that blur is extracted from, as in training."""
RIM, SHOWN = 16, 128
"""Pixels: the rim of a picture that is not scored, what is kept of a picture."""
SCALE = 1.2
"""Standard deviation of sampled blurs, as in the released code."""
LABELS = {"learned": "learned space", "linear": "linear space"}


@dataclass(frozen=True)
class Profile:
    """known: the set whose kernels `numbers` are those of Table 1; shakes: new kernels as large as these; motions: of
    the turning camera; samples: blurs that are drawn; crop: side in px of the middle of every picture."""

    known: str
    numbers: tuple[int, ...]
    shakes: tuple[int, ...]
    motions: tuple[int, ...]
    samples: int
    pictures: tuple[str, ...] = ("held out",)
    crop: int = 256


_ALL = tuple(range(1, 9))
PROFILES = {
    "smoke": Profile("builtin", (1, 3), (3,), (0,), samples=4, crop=128),
    "laptop": Profile("builtin", _ALL, _ALL, (0,), samples=24),
    "overnight": Profile("levin", _ALL, _ALL, (0, 1, 2, 3), samples=256, pictures=("Kodak24", "gopro")),
    "paper": Profile("levin", _ALL, tuple(range(1, 33)), tuple(range(8)), 1024, ("Kodak24", "gopro")),
}


def jobs(profile: Profile) -> list[Job]:
    known = [f"{profile.known} {i}" for i in profile.numbers]
    kernels = known + [f"shake {i}" for i in profile.shakes]
    ends = [known[0], known[-1]]
    common = {"pictures": list(profile.pictures), "crop": profile.crop}
    made = []
    for name in operators.NAMES:
        digest = data.content_digest(
            operators.digest(name), operators.digest("linear"), *map(refining.digest, profile.pictures)
        )
        local = data.content_digest(
            operators.digest(name), refining.digest("held out"), *map(_kernel_digest, ends)
        )
        made += [Job.create(reblur, data=data.content_digest(digest, _kernel_digest(kernel)), operator=name,
                            kernel=kernel, **common) for kernel in kernels]  # fmt: skip
        made += [Job.create(film, data=digest, operator=name, motion=motion, **common) for motion in profile.motions]
        made.append(Job.create(sample, data=local, operator=name, samples=profile.samples))
        made.append(Job.create(walk, data=local, operator=name, ends=ends))
    return [*made, Job.create(count, data=operators.digest("learned"), side=256)]


# Pictures and kernels


@cache
def sharp(source: str) -> dict[str, Tensor]:
    """uint8 (3, h, w) by name."""
    return {name.rpartition("/")[2]: picture for name, picture in refining.sharp_pictures(source).items()}


@cache
def kernel_of(name: str) -> Tensor:
    """(1, size, size), by "set number", such as "levin 3"; "shake 3" is a new camera shake, as large as kernel 3."""
    source, number = name.split()
    if source != "shake":
        return data.load(source, f"im1_kernel{number}").kernel
    size = kernel_of(f"builtin {(int(number) - 1) % 8 + 1}").shape[-1]
    return blur.psf.camera_shake(size, seed=1000 + int(number))


def _kernel_digest(name: str) -> str:
    source, number = name.split()
    return name if source == "shake" else data.digest(source, f"im1_kernel{number}")


def cut(pictures: Sequence[str], side: int) -> dict[str, Tensor]:
    """The middle of every picture, float32 (1, 3, side, side) in [0, 1]."""
    return {name: middle(picture, side)[None].float() / 255
            for source in pictures for name, picture in sharp(source).items()}  # fmt: skip


def inside(picture: Tensor, border: int) -> Tensor:
    """Without so many pixels on each side."""
    return picture[..., border : picture.shape[-2] - border, border : picture.shape[-1] - border]


def observed(blurry: Tensor, seed: int) -> Tensor:
    """With the noise that extraction has to live with."""
    return blur.add_gaussian(blurry, NOISE, torch.Generator().manual_seed(seed)).clamp(0, 1)


def other(index: int, count: int) -> int:
    """The number of the picture whose k blurs picture `index`: half the set away, so no frame of the same film."""
    return (index + max(1, count // 2)) % count


def both_psnr(estimate: Tensor, truth: Tensor) -> list[float]:
    """In dB, [pixels that see no border, all pixels]; of RGB, not rounded."""
    estimate = estimate.to(truth.device)
    return [metrics.psnr(inside(estimate, RIM), inside(truth, RIM)), metrics.psnr(estimate, truth)]


def blur_same(x: Tensor, k: Tensor) -> Tensor:
    """x blurred by k of sum 1, its border repeated."""
    return blur.convolve(blur.pad_for_same(x, k.shape[-1]), k)


def levels(picture: Tensor) -> Tensor:
    """The middle, as bytes (1, 3, SHOWN, SHOWN)."""
    return to_uint8(middle(picture, min(SHOWN, picture.shape[-1])))


# Jobs


@task(numerics=1)
@torch.no_grad()
def reblur(
    context: Context, *, operator: str, kernel: str, pictures: list[str], crop: int
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Pictures blurred by one kernel, k extracted from each, and each blurred again.

    Values, of each of `names` the PSNR [inside, all] to the blurry picture without noise: `same` and `other`, with k of
    the same and of another picture; `copy`, the sharp picture itself; `average`, by the mean kernel of the collection;
    `true`, by the true one where the crop alone is known (inside it is exact: None); `observed`, the noisy picture.
    `misplaced`: of the responses at the centre of a cell and in the middle between four. `power` of k: mean squares of
    its mean and of its deviation. Arrays of the first picture, uint8: `source`, `source_blurry`, `target`, `moved`,
    `truth`, the blur of another picture put into it; float32 `responses` (2, EXTENT, EXTENT).
    """
    model, k = on_device(operator, context), kernel_of(kernel)
    border = k.shape[-1] // 2
    whole = cut(pictures, crop + 2 * border)
    names, x = list(whole), [inside(picture, border).to(context.device) for picture in whole.values()]
    y = [blur.convolve(picture, k) for picture in whole.values()]
    noisy = [observed(picture, i) for i, picture in enumerate(y)]
    codes = [model.encode(a, b.to(context.device)) for a, b in zip(x, noisy, strict=True)]
    average = operators.kernels().mean(0, keepdim=True)
    values: dict[str, Any] = {name: [] for name in ("same", "other", "copy", "average", "true", "observed")}
    for i, (a, b) in enumerate(zip(x, y, strict=True)):
        moved = model.blur(a, codes[other(i, len(x))].mean)
        drawn = {
            "same": model.blur(a, codes[i].mean), "other": moved, "copy": a, "average": blur_same(a.cpu(), average),
            "true": blur_same(a.cpu(), k), "observed": noisy[i],
        }  # fmt: skip
        for name, picture in drawn.items():
            scores = both_psnr(picture, b)
            values[name].append([None, scores[1]] if name == "true" else scores)
        if i == 0:
            source = other(0, len(x))
            shown = {"source": x[source], "source_blurry": noisy[source], "target": a, "moved": moved, "truth": b}
    cell = model.multiple
    points = responses(model, codes[0].mean, [(cell * 3 // 2,) * 2, (cell,) * 2], crop)
    values |= {"names": names, "misplaced": [misplaced(point, k) for point in points], "power": power(codes)}
    return values, {name: levels(picture).numpy() for name, picture in shown.items()} | {"responses": points.numpy()}


def power(codes: Sequence[Encoding]) -> list[float | None]:
    """Mean squares of mean and deviation, together 1 where codes as a whole are standard normal."""
    mean, *deviation = (torch.stack([part.square().mean() for part in parts]).mean().item()
                        for parts in zip(*codes, strict=True) if parts[0] is not None)  # fmt: skip
    return [mean, deviation[0] if deviation else None]


def camera_path(motion: int, crop: int) -> Tensor:
    """A shaking hand that turns the camera by 6 px in the corners."""
    return nonuniform.camera_motion(2000 + motion, shift=3.0, turn=6.0 / (crop / 2**0.5))


@lru_cache(maxsize=2)
def filmed(pictures: tuple[str, ...], crop: int, motion: int, device: str) -> dict[str, tuple[Tensor, Tensor]]:
    """Sharp pictures, on the device, and what the turning camera makes of them."""
    margin, path = EXTENT // 2 + 2, camera_path(motion, crop)
    return {
        name: (inside(picture, margin).to(device), nonuniform.expose(picture.to(device), path, margin).cpu())
        for name, picture in cut(pictures, crop + 2 * margin).items()
    }


@task(numerics=1)
@torch.no_grad()
def film(
    context: Context, *, operator: str, motion: int, pictures: list[str], crop: int
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """As `reblur`, filmed by a camera that also turns: blur differs from place to place.

    Values: `names`; PSNR [inside, all] of `same`, `other`, `copy`, `average`, and of `uniform`, where every cell of the
    picture's own k is replaced by their mean. Arrays of the first picture: `blurry`, uint8; `cells`, `truth`, responses
    and true kernels at the centres of the cells, (kh, kw, EXTENT, EXTENT).
    """
    model, path = on_device(operator, context), camera_path(motion, crop)
    pairs = filmed(tuple(pictures), crop, motion, context.device)
    x, y = ([pair[part] for pair in pairs.values()] for part in (0, 1))
    codes = [model.encode(a, observed(b, i).to(context.device)).mean for i, (a, b) in enumerate(zip(x, y, strict=True))]
    average = operators.kernels().mean(0, keepdim=True)
    values: dict[str, Any] = {name: [] for name in ("same", "other", "uniform", "copy", "average")}
    for i, (a, b) in enumerate(zip(x, y, strict=True)):
        uniform = codes[i].mean((2, 3), keepdim=True).expand_as(codes[i])
        blurs = {"same": codes[i], "other": codes[other(i, len(x))], "uniform": uniform}
        drawn = {name: model.blur(a, k) for name, k in blurs.items()}
        for name, picture in (drawn | {"copy": a, "average": blur_same(a.cpu(), average)}).items():
            values[name].append(both_psnr(picture, b))
    centres = [cell * model.multiple + model.multiple // 2 for cell in range(crop // model.multiple)]
    places = [(down, right) for down in centres for right in centres]
    cells = responses(model, codes[0], places, crop)
    from_centre = [(down + 0.5 - crop / 2, right + 0.5 - crop / 2) for down, right in places]
    truth = torch.stack([nonuniform.kernel_at(path, place, EXTENT) for place in from_centre])
    off = [misplaced(*pair) for pair in zip(cells, truth, strict=True)]
    values |= {"names": list(pairs), "misplaced": float(np.mean(off))}
    square = (len(centres), len(centres), EXTENT, EXTENT)
    arrays = {"cells": cells.float().view(square).numpy(), "truth": truth.float().view(square).numpy()}
    return values, arrays | {"blurry": levels(y[0]).numpy()}


@task(numerics=1)
@torch.no_grad()
def sample(context: Context, *, operator: str, samples: int) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Blurs of nowhere: k drawn from a normal distribution of deviation SCALE, all cells alike.

    Values of `drawn` blurs and of as many of the `collection`: `size`, root mean square distance in px from the centre
    of mass; `negative`, share of mass below zero; `likeness`, mean of the similarity of neighbours in the row. Arrays
    of the first few: `blurry`, uint8 (n, 3, SHOWN, SHOWN), and `responses`.
    """
    model = on_device(operator, context)
    channels, *cells = model.kernel_shape(SHOWN, SHOWN)
    codes = SCALE * torch.randn(samples, channels, 1, 1, generator=torch.Generator().manual_seed(0))
    codes = codes.expand(-1, -1, *cells).to(context.device)
    place = [(SHOWN // 2, SHOWN // 2)]
    drawn = torch.cat([responses(model, k[None], place, SHOWN) for k in codes])
    picture = cut(["held out"], SHOWN)["astronaut"].to(context.device)
    blurry = torch.cat([levels(model.blur(picture, k[None])) for k in codes[:6]])
    known = operators.kernels()[:: len(operators.kernels()) // samples][:samples]
    values = {"drawn": describe(drawn), "collection": describe(known)}
    return values, {"blurry": blurry.numpy(), "responses": drawn[:6].numpy()}


def describe(kernels: Tensor) -> dict[str, float]:
    """Of kernels (n, size, size), means as `sample` says."""
    mass = kernels.clamp_min(0)
    mass = mass / mass.sum((1, 2), keepdim=True)
    axis = torch.arange(kernels.shape[-1]) - kernels.shape[-1] // 2
    total = 0
    for shares in (mass.sum(1), mass.sum(2)):
        mean = (shares * axis).sum(1, keepdim=True)
        total = total + (shares * (axis - mean) ** 2).sum(1)
    alike = [metrics.kernel_similarity(a, b) for a, b in pairwise(mass)]
    return {
        "size": total.sqrt().mean().item(),
        "negative": (kernels.clamp_max(0).sum() / kernels.abs().sum()).abs().item(),
        "likeness": float(np.mean(alike)),
    }


@task(numerics=1)
@torch.no_grad()
def walk(context: Context, *, operator: str, ends: list[str]) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """From the k of one kernel to that of another in a straight line, seven steps; both from the first picture.

    Values: `bend`, the misplaced mass between the response half way and the mean of the responses at both ends. Arrays:
    `responses` (7, EXTENT, EXTENT).
    """
    model, codes, crop = on_device(operator, context), [], 192
    for name in ends:
        k = kernel_of(name)
        x = cut(["held out"], crop + k.shape[-1] - 1)["astronaut"]
        pair = inside(x, k.shape[-1] // 2), observed(blur.convolve(x, k), 0)
        codes.append(model.encode(*(picture.to(context.device) for picture in pair)).mean.mean((2, 3), keepdim=True))
    cells = model.kernel_shape(SHOWN, SHOWN)[1:]
    steps = [torch.lerp(*codes, share).expand(-1, -1, *cells) for share in np.linspace(0, 1, 7).tolist()]
    seen = torch.cat([responses(model, k, [(SHOWN // 2, SHOWN // 2)], SHOWN) for k in steps])
    return {"bend": misplaced(seen[3], (seen[:1] + seen[-1:]) / 2)}, {"responses": seen.numpy()}


@task(numerics=1)
def count(context: Context, *, side: int) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Values by model: `parameters`, `channels` of k, and multiply-adds of `extraction` and `application` for a picture
    of side² pixels; `minutes`, `steps` and `pictures` of the learned operator's training."""
    picture = torch.empty(1, 3, side, side, device="meta")
    with torch.device("meta"):
        models = {name: (KernelSpace(preset(name)), picture) for name in ("paper", "paper_vae")}
    models |= {name: (operators.get(name), torch.rand(1, 3, side, side)) for name in operators.NAMES}
    values: dict[str, Any] = {}
    for name, (model, x) in models.items():
        k = torch.zeros(1, *model.kernel_shape(side, side), device=x.device)
        fixed = [3 * side**2 * taps for taps in transformed(model)]
        values[name] = {
            "parameters": count_parameters(model),
            "channels": model.channels,
            "extraction": multiply_adds(model.encode, x, x) + fixed[0],
            "application": multiply_adds(model.blur, x, k) + fixed[1],
        }
    card = weights.card("kernel_space")
    values["card"] = {"minutes": card["made by"]["seconds"] / 60, "steps": card["recipe"]["steps"],
                      "device": card["made by"]["device"], "pictures": card["data"]["pictures"]}  # fmt: skip
    return values, {}


def transformed(model: torch.nn.Module) -> tuple[int, int]:
    """Multiply-adds for each value of a picture, of extraction and application, that Fourier transforms save and the
    counter does not see: the linear space convolves with all its components, the learned one with those of four
    cells."""
    if isinstance(model, LinearKernelSpace):
        return (taps := len(model.filters) * model.filters.shape[-1] ** 2), taps
    return 0, 4 * model.design.extent**2 if isinstance(model, CompactKernelSpace) else 0


def multiply_adds(function: Callable, *inputs: Tensor) -> int:
    """Of convolutions and matrix products."""
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        function(*inputs)
    return counter.get_total_flops() // 2


# Results


def number_of(run: Result) -> int:
    return int(run.job.settings["kernel"].split()[1])


def is_new(run: Result) -> bool:
    return run.job.settings["kernel"].startswith("shake")


def papers(run: Result) -> float | None:
    """The PSNR that the paper has for this kernel, in dB, if it is one of Levin's."""
    return PAPER_PSNR[number_of(run) - 1] if run.job.settings["kernel"].startswith("levin ") else None


def by_operator(results: list[Result], function: Callable) -> dict[str, list[Result]]:
    """The runs of a task, in the order of `operators.NAMES`."""
    found = grouped(of_task(results, function), lambda run: run.job.settings["operator"])
    return {name: found[name] for name in operators.NAMES if name in found}


def short(kernel: str) -> str:
    source, number = kernel.split()
    return f"{'new' if source == 'shake' else 'kernel'} {number}"


def kernels_of(results: list[Result]) -> dict[str, dict[str, Result]]:
    """Runs of `reblur` by kernel and operator."""
    found = grouped(of_task(results, reblur), lambda run: run.job.settings["kernel"])
    return {kernel: {run.job.settings["operator"]: run for run in runs} for kernel, runs in found.items()}


def score(run: Result, name: str, everywhere: bool = False) -> list[float]:
    """PSNR in dB, picture by picture."""
    return [both[everywhere] for both in run.values[name]]


def mean_score(runs: Sequence[Result], name: str, everywhere: bool = False) -> float:
    """PSNR in dB, over the pictures of all these runs."""
    return float(np.mean([psnr for run in runs for psnr in score(run, name, everywhere)]))


def mean_at(runs: dict[str, Result], name: str, operator: str | None, everywhere: bool = False) -> float:
    """`mean_score` at one kernel with this operator, nan where it has not run; None: with any, of what has nothing to
    do with operators."""
    run = runs.get(operator) if operator else next(iter(runs.values()))
    return mean_score([run], name, everywhere) if run else np.nan


def picture_of(name: str) -> str:
    """Frames of one film are one picture."""
    return scene_of(name) if name.startswith("GOPR") else name


def gain(name: str, runs: list[Result], over: str = "average") -> Comparison:
    """By how many dB transfer, k of another picture, is better. Kernels and pictures are both chance."""
    return _difference(name, [(run, score(run, "other"), score(run, over)) for run in runs], "kernels")


def learned_over_linear(films: dict[str, list[Result]]) -> Comparison | None:
    """By how many dB the learned operator blurs better with k of the same picture. Motions and pictures are both
    chance. None where no motion was filmed for both."""
    linear = {run.job.settings["motion"]: run for run in films.get("linear", [])}
    both = [
        (run, score(run, "same"), score(linear[run.job.settings["motion"]], "same"))
        for run in films.get("learned", [])
        if run.job.settings["motion"] in linear
    ]
    return _difference("PSNR, learned − linear", both, "motions") if both else None


def _difference(name: str, scores: list[tuple[Result, list[float], list[float]]], of: str) -> Comparison:
    """a − b over (a run that names the pictures, a, b), one entry for each of the `of`; frames of one film are one
    picture."""
    effects: dict[tuple[int, str], list[float]] = {}
    for index, (run, a, b) in enumerate(scores):
        for picture, one, other in zip(run.values["names"], a, b, strict=True):
            effects.setdefault((index, picture_of(picture)), []).append(one - other)
    indices, pictures = zip(*effects, strict=True)
    return crossed(name, [float(np.mean(values)) for values in effects.values()],
                   {"pictures": pictures, of: indices}, "dB")  # fmt: skip


# Tables


def tables(results: list[Result]) -> list[Table]:
    kernels = kernels_of(results)
    drawn = [_extraction_table(kernels, everywhere) for everywhere in (False, True)] if kernels else []
    drawn += [_gain_table(results), _filmed_table(results), _sample_table(results)]
    return [table for table in drawn if table] + [_cost_table(run) for run in of_task(results, count)]


COLUMNS = {
    "copy": ("copy", None), "average kernel": ("average", None), "linear, same": ("same", "linear"),
    "linear, other": ("other", "linear"), "learned, same": ("same", "learned"),
    "learned, other": ("other", "learned"),
}  # fmt: skip
"""What tables call the values of `reblur` that an operator has, or any of them (None)."""


def _extraction_table(kernels: dict[str, dict[str, Result]], everywhere: bool) -> Table:
    """Table 1."""
    rows, means, theirs = [], {False: [], True: []}, []
    for runs in kernels.values():
        run = next(iter(runs.values()))
        values = [mean_at(runs, *column, everywhere) for column in COLUMNS.values()]
        means[is_new(run)].append(values)
        if papers(run):
            theirs.append(papers(run))
        rows.append((
            f"new shake {number_of(run)}" if is_new(run) else number_of(run), *map(_decibels, values),
            _decibels(mean_score([run], "true", everywhere)) if everywhere else "exact",
            papers(run) and f"{papers(run):.2f}",
        ))  # fmt: skip
    for new, label in ((False, "mean, known kernels"), (True, "mean, new shakes")):
        if means[new]:
            paper = f"{np.mean(theirs):.2f}" if theirs and not new else None
            rows.append((label, *map(_decibels, np.mean(means[new], 0)), None, paper))
    where, border = (
        ("all pixels", "The true kernel, too, has to do with the crop, its border repeated. ")
        if everywhere
        else ("pixels that see no border", "")
    )
    rim = "" if everywhere else f", {RIM} px away from the border of the crop"
    caption = (
        f"PSNR in dB to the blurry picture without noise, mean over {len(run.values['names'])} pictures, RGB, "
        f"{run.job.settings['crop']} px, not rounded{rim}. k is extracted from a blurry picture with noise, which "
        f"itself has {mean_score([run], 'observed'):.1f} dB: from the same picture or another one. {border}Principal "
        "components and average kernel are of simulated shakes alone; the learned operator was trained with these "
        "kernels, too, but not with the new shakes. The paper's numbers are of Levin's kernels"
        f"{'; its protocol is not known.' if theirs else ', which these are not.'}"
    )
    columns = ("kernel", *COLUMNS, "true kernel", "paper")
    return Table(f"Extraction with known kernels, {where}", columns, rows, caption)


def _decibels(value: float) -> str | None:
    return None if np.isnan(value) else f"{value:.1f}"


def _gain_table(results: list[Result]) -> Table | None:
    rows = []
    for name, runs in by_operator(results, reblur).items():
        for new, label in ((False, "known kernels"), (True, "new shakes")):
            if chosen := [run for run in runs if is_new(run) is new]:
                above = (with_interval(gain("", chosen, over), 1) for over in ("average", "copy"))
                lost = mean_score(chosen, "same") - mean_score(chosen, "other")
                off = np.mean([run.values["misplaced"] for run in chosen], 0)
                rows.append((LABELS[name], label, *above, f"{lost:.1f}", *(f"{100 * share:.0f} %" for share in off)))
    if not rows:
        return None
    columns = ("operator", "kernels", "above the average kernel (dB)", "above a copy (dB)", "lost by moving (dB)",
               "misplaced mass, centre of a cell", "between four cells")  # fmt: skip
    caption = (
        f"k of one picture blurs another one; {len(runs[0].values['names'])} pictures for each kernel, pixels "
        "that see no border. In brackets the 95 % interval, over kernels or over pictures, whichever is wider. "
        "Misplaced mass: how much of the true kernel's mass a bright point's response has elsewhere."
    )
    return Table("A blur moved to another picture", columns, rows, caption)


def _filmed_table(results: list[Result]) -> Table | None:
    films = by_operator(results, film)
    if not films:
        return None
    rows, ahead = [], learned_over_linear(films)
    for name, runs in films.items():
        means = (f"{mean_score(runs, key):.1f}" for key in ("copy", "average", "uniform", "same", "other"))
        misplaced = np.mean([run.values["misplaced"] for run in runs])
        against = with_interval(ahead, 1) if ahead and name == "learned" else None
        rows.append((LABELS[name], *means, against, f"{100 * misplaced:.0f} %"))
    columns = ("operator", "copy", "average kernel", "one k for all cells", "k of the same picture", "of another one",
               "same picture, learned − linear [95 %]", "misplaced mass")  # fmt: skip
    one = "" if len(runs) > 1 else " One motion: the order of the operators is not decided."
    caption = (
        f"PSNR in dB, {len(runs[0].values['names'])} pictures, {len(runs)} motion{'s' if len(runs) > 1 else ''}, "
        "pixels that see no border. Blur differs from place to place, so one kernel cannot be right everywhere. "
        f"Intervals are over motions or over pictures, whichever is wider.{one}"
    )
    return Table("Filmed by a turning camera", columns, rows, caption)


def _sample_table(results: list[Result]) -> Table | None:
    rows, extracted = [], by_operator(results, reblur)
    for name, (run,) in by_operator(results, sample).items():
        powers = [other.values["power"] for other in extracted.get(name, [])]
        mean = f"{np.mean([of_mean for of_mean, _ in powers]):.2f}" if powers else None
        own = [of_deviation for _, of_deviation in powers if of_deviation is not None]
        rows.append((LABELS[name], *_described(run.values["drawn"]), mean, f"{np.mean(own):.2f}" if own else None))
    if not rows:
        return None
    rows.append(("collection", *_described(run.values["collection"]), None, None))
    columns = ("blurs", "size (px)", "mass below zero", "likeness", "mean² of extracted k", "its variance")
    caption = (
        f"{run.job.settings['samples']} blurs of k = {SCALE} N(0, I), and kernels that were trained with. Size: root "
        "mean square distance from the centre of mass. Likeness: similarity of one blur to the next, 1 where all are "
        "alike. If extracted codes were as normal as those drawn, mean² and variance would add up to 1."
    )
    return Table("Blurs of nowhere", columns, rows, caption)


def _described(values: dict[str, float]) -> tuple[str, ...]:
    return f"{values['size']:.1f}", f"{100 * values['negative']:.0f} %", f"{values['likeness']:.2f}"


def _cost_table(run: Result) -> Table:
    rows = []
    for key, label in ({"paper": "the paper's", "paper_vae": "the paper's, with VAE head"} | LABELS).items():
        counted = run.values[key]
        work = (f"{counted[part] / 1e9:.2f}" for part in ("extraction", "application"))
        rows.append((label, counted["channels"], f"{counted['parameters']:,}", *work))
    side = run.job.settings["side"]
    columns = ("space", "numbers a cell", "parameters", "extraction (10⁹ multiply-adds)", "application")
    caption = (
        f"For a picture of {side} x {side} px; convolutions counted as such, also where Fourier transforms save most "
        "of it."
    )
    return Table("What extraction and operator cost", columns, rows, caption)


# Figures


def figures(results: list[Result]) -> list[Figure]:
    drawn = [_extraction_figure(kernels)] if (kernels := kernels_of(results)) else []
    built_in = ["held out"]  # pictures of others are not shown
    with_arrays = [run for run in results if run.arrays and run.job.settings.get("pictures", built_in) == built_in]
    for draw, function in (
        (_transfer_figure, reblur), (_points_figure, reblur), (_filmed_figure, film), (_sample_figure, sample),
        (_walk_figure, walk),
    ):  # fmt: skip
        if runs := by_operator(with_arrays, function):
            drawn.append(draw(runs))
    return drawn


def _extraction_figure(kernels: dict[str, dict[str, Result]]) -> Figure:
    figure, ((axes,),) = subplots(width=7.2, height=3.2)
    shown = {
        "copy": ("copy", None, "0.6", "x"), "average kernel": ("average", None, "0.3", "+"),
        "linear, other picture": ("other", "linear", PALETTE[1], "s"),
        "learned, other picture": ("other", "learned", PALETTE[0], "o"),
        "learned, same picture": ("same", "learned", PALETTE[5], "^"),
    }  # fmt: skip
    for label, (key, operator, color, marker) in shown.items():
        values = [mean_at(runs, key, operator) for runs in kernels.values()]
        axes.plot(range(len(kernels)), values, marker, color=color, markersize=6, label=label)
    paper = [(i, psnr) for i, runs in enumerate(kernels.values()) if (psnr := papers(next(iter(runs.values()))))]
    if paper:
        axes.plot(*zip(*paper, strict=True), "_", color="black", markersize=14, label="paper")
    labels = [short(name).removeprefix("kernel ").replace(" ", "\n") for name in kernels]
    axes.set_xticks(range(len(kernels)), labels, fontsize=7)
    axes.set(xlabel="kernel", ylabel="PSNR (dB)")
    axes.legend(fontsize=7, loc="center left", bbox_to_anchor=(1, 0.5))
    caption = (
        "The picture blurred again, kernel by kernel. Does k of another picture do as well as k of the same one? And "
        "on the right, where kernels are new?"
    )
    return Figure("extraction", figure, caption)


def _transfer_figure(runs: dict[str, list[Result]]) -> Figure:
    chosen = next(iter(runs.values()))
    chosen = [next((run for run in chosen if is_new(run) is new), None) for new in (False, True)]
    rows = [run for run in chosen if run]
    figure, panels = subplots(len(rows), 6, width=1.6, height=1.75)
    name = rows[0].job.settings["operator"]
    for run, row in zip(rows, panels, strict=True):
        moved, truth = (run.arrays[key][0].astype(float) / 255 for key in ("moved", "truth"))
        drawn = {
            "source": run.arrays["source"][0], "source, blurry": run.arrays["source_blurry"][0],
            "target": run.arrays["target"][0], "blur moved here": run.arrays["moved"][0],
            "truth": run.arrays["truth"][0], "error, times 10": 0.5 + 10 * (moved - truth),
        }  # fmt: skip
        for axes, (title, picture) in zip(row, drawn.items(), strict=True):
            show_picture(axes, picture, title)
            axes.title.set_fontsize(8)
        row[0].set_title(f"source, {short(run.job.settings['kernel'])}", fontsize=8)
    caption = (
        f"{LABELS[name].capitalize()}: k is extracted from the two pictures at the left and blurs the third. Where is "
        "the error: everywhere, or at edges and near the border?"
    )
    return Figure("transfer", figure, caption)


def _points_figure(runs: dict[str, list[Result]]) -> Figure:
    """Responses to a bright point beside the true kernel."""
    names = list(dict.fromkeys(run.job.settings["kernel"] for every in runs.values() for run in every))
    known = [name for name in names if "shake" not in name][:6]
    names = known + [name for name in names if "shake" in name][:4]
    figure, panels = subplots(1 + 2 * len(runs), len(names), width=0.95, height=1.0)
    for name, column in zip(names, panels.T, strict=True):
        k = kernel_of(name)[0].numpy()
        drawn = [np.pad(k, (EXTENT - len(k)) // 2)]
        for every in runs.values():
            found = [run for run in every if run.job.settings["kernel"] == name]
            drawn += list(found[0].arrays["responses"]) if found else [np.zeros((EXTENT, EXTENT))] * 2
        for axes, kernel in zip(column, drawn, strict=True):
            show_image(axes, kernel.clip(0), maximum=float(k.max()))
        column[0].set_title(short(name), fontsize=7)
    labels = ["true", *(f"{name}, {place}" for name in runs for place in ("centre", "between"))]
    _label_rows(panels, labels)
    caption = (
        "What the operator makes of one bright point, with k extracted from a picture: at the centre of a cell, and "
        "between four cells. Each column on the scale of its true kernel; black is zero or below. Which parts of a "
        "kernel are lost?"
    )
    return Figure("points", figure, caption)


def _label_rows(panels: np.ndarray, labels: Sequence[str]) -> None:
    for axes, label in zip(panels[:, 0], labels, strict=True):
        axes.text(-0.15, 0.5, label, transform=axes.transAxes, ha="right", va="center", fontsize=7)


def _filmed_figure(runs: dict[str, list[Result]]) -> Figure:
    first = {name: every[0] for name, every in runs.items()}
    run = next(iter(first.values()))
    figure, (row,) = subplots(1, 2 + len(first), width=2.4, height=2.6)
    show_picture(row[0], run.arrays["blurry"][0], "blurry, the middle")
    maximum = float(run.arrays["truth"].max())
    grids = {"true kernels": run.arrays["truth"]} | {LABELS[name]: run.arrays["cells"] for name, run in first.items()}
    for axes, (title, grid) in zip(row[1:], grids.items(), strict=True):
        framed = np.pad(grid, ((0, 0), (0, 0), (1, 0), (1, 0)), constant_values=maximum)
        show_image(axes, framed.transpose(0, 2, 1, 3).reshape(2 * [len(grid) * (EXTENT + 1)]), title, 0.6 * maximum)
    caption = (
        "A camera that turns while it exposes. The blur of a point at the centre of each cell: the true one, and what "
        "the operators make of a point with k extracted from the picture. Does blur turn with the place?"
    )
    return Figure("filmed", figure, caption)


def _sample_figure(runs: dict[str, list[Result]]) -> Figure:
    shown = min(6, *(len(every[0].arrays["blurry"]) for every in runs.values()))
    figure, panels = subplots(2 * len(runs), shown, width=1.25, height=1.3)
    for (run, *_), rows in zip(runs.values(), panels.reshape(-1, 2, shown), strict=True):
        for i, (above, below) in enumerate(rows.T):
            show_picture(above, run.arrays["blurry"][i], "")
            kernel = run.arrays["responses"][i]
            show_image(below, kernel, maximum=float(kernel.max()))
    _label_rows(panels, [label for name in runs for label in (LABELS[name], "of a point")])
    caption = (
        f"Blurs that no camera made: k = {SCALE} N(0, I), {shown} of them, and what each makes of a bright point; "
        "black is zero or below. Could these be paths of a shaking camera?"
    )
    return Figure("samples", figure, caption)


def _walk_figure(runs: dict[str, list[Result]]) -> Figure:
    figure, panels = subplots(len(runs), 7, width=1.1, height=1.2)
    for (run, *_), row in zip(runs.values(), panels, strict=True):
        for step, (axes, kernel) in enumerate(zip(row, run.arrays["responses"], strict=True)):
            show_image(axes, kernel.clip(0), maximum=float(kernel.max()))
            axes.set_title(f"{step}/6", fontsize=7)
    _label_rows(panels, [LABELS[name] for name in runs])
    caption = (
        "A straight line from the k of one kernel to that of another; what each k on the way makes of a point. In a "
        "linear space one fades out while the other fades in. Is the learned way another one?"
    )
    return Figure("walk", figure, caption)


# Evidence


def evidence(results: list[Result]) -> dict[str, Evidence]:
    every = by_operator(results, reblur).get("learned", [])
    known, new = ([run for run in every if is_new(run) is which] for which in (False, True))
    if not known:
        return {}
    known.sort(key=number_of)
    inner, everywhere = (", ".join(f"{mean_score([run], 'same', all_pixels):.1f}" for run in known)
                         for all_pixels in (False, True))  # fmt: skip
    unseen = f"; {mean_score(new, 'same'):.1f} dB for new shakes, not trained with" if new else ""
    ours = (
        f"{inner} dB where no border is seen, {everywhere} dB everywhere{unseen}, means over pictures (in the "
        "intervals frames of one film are one); k of another picture is "
        f"{gain('', known).effect:.1f} dB above the average kernel"
    )
    return {"C2.1": Evidence(tuple(map(_above_floor, known)), ours=ours, reduced=_reduced(results, known))}


def _above_floor(run: Result) -> Comparison:
    psnr, pictures = score(run, "same"), list(map(picture_of, run.values["names"]))
    name = f"kernel {number_of(run)}, PSNR − {FLOOR:g} dB"
    return paired(name, psnr, [FLOOR] * len(psnr), pictures, "dB", "pictures")


def _reduced(results: list[Result], known: list[Result]) -> str:
    kernels = "" if all(map(papers, known)) else "; camera shakes as large as Levin's kernels in their place"
    counted = of_task(results, count)
    if not counted:
        return f"another operator, one trained network, much smaller than the paper's and trained much shorter{kernels}"
    ours, paper, card = (counted[0].values[name] for name in ("learned", "paper", "card"))
    return (
        f"another operator, a blur kernel in every cell, of {ours['parameters'] / 1e6:.2f} M parameters against "
        f"{paper['parameters'] / 1e6:.1f} M, trained for {card['minutes']:.0f} minutes on {card['pictures']} "
        f"pictures; one trained network; the paper's border and pictures are not known{kernels}"
    )


STUDY = Study(
    "kernel_space", "Blur extracted, moved, sampled (kernel space, Table 1)", "kernel_space",
    "14_kernel_space", PROFILES, jobs, tables, figures, evidence, claims=("C2.1",),
)  # fmt: skip
