"""What studies of training sets share: filmed pairs, blurs put onto other pictures, and an SRN trained on either.

    own, others = film_job(scenes, "own", seed), film_job(scenes, "others", seed)
    job = train_job("swapped", [swap_job(own, others, "learned", seed)], scenes, network, settings, seed)

Every set is a job whose array `pairs` is uint8 (n, 6, side, side), blurry then sharp, and sets of one seed show the
same sharp pictures. Filmed pairs have no noise but their rounding to 8 bits, so that re-blurred ones are rounded, too.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from deblur_core import metrics
from deblur_core.blur import convolve, psf
from deblur_core.data import training_pairs
from deblur_core.data.camera_pairs import Camera, camera_pairs
from deblur_core.data.images import to_uint8
from deblur_core.models.srn import srn_loss
from deblur_core.runs import Context, Job, Result, from_settings, task
from deblur_core.studies import operators
from deblur_core.studies.claims import Comparison, get
from deblur_core.studies.learning import LITTLE, compare, fit, gain, unlearned
from deblur_core.studies.study import Figure, of_task
from deblur_core.studies.style import PALETTE, show_image, subplots
from deblur_core.training import Settings

TESTS = 10_000
"""The seed of the held-out pairs, which no training set has."""
DRAWN = 1.2
"""The deviation of blurs that are drawn, as in the paper's released code; 1 is that of the prior."""
LINES = (3.0, 15.0)
"""Shortest and longest straight motion, in pixels, of blurs that know nothing of the originals."""
DARKEST, NOISIEST = 0.7, 0.004
"""Ordinary augmentation: the least brightness, and the largest standard deviation of the noise, one grey level."""
PAPERS_WIDTH = 32
"""Of SRN."""


@dataclass(frozen=True)
class Scenes:
    """`count` pairs filmed from `sources` to train on, `tests` of the held-out pictures to be judged by."""

    camera: Camera
    count: int
    tests: int
    sources: tuple[str, ...] = ("builtin",)
    held_out: tuple[str, ...] = ("held out",)


_digest = cache(training_pairs.digest)


# Filming


def film_job(scenes: Scenes, motions: str, seed: int, rounds: int = 1) -> Job:
    """motions: "own" of each pair; "others", of the pair that `swap_job` takes k from; "new", of new cameras, which
    film all pictures `rounds` times."""
    return Job.create(film, data=_digest(*scenes.sources), sources=scenes.sources, camera=scenes.camera,
                      count=scenes.count, seed=seed, motions=motions, rounds=rounds)  # fmt: skip


def held_out_job(scenes: Scenes) -> Job:
    """The held-out pairs: other pictures under other motions of the same kind of camera."""
    return Job.create(film, data=_digest(*scenes.held_out), sources=scenes.held_out, camera=scenes.camera,
                      count=scenes.tests, seed=TESTS, motions="own", rounds=1)  # fmt: skip


@task(numerics=1)
def film(
    context: Context, *, sources: list[str], camera: dict[str, Any], count: int, seed: int, motions: str, rounds: int
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Values: `names`, "picture, number", of the pairs; `psnr` in dB of each blurry picture. Array: `pairs`."""
    pictures, device = training_pairs.sharp_pictures(*sources), from_settings(Camera, camera)
    orders = {
        "own": [range(count)],
        "others": [derangement(count, seed)],
        "new": [range(count * i, count * (i + 1)) for i in range(1, rounds + 1)],
    }[motions]
    pairs: dict[str, Tensor] = {}
    for i, order in enumerate(orders):
        found = camera_pairs(pictures, device, count, seed, order=list(order))
        pairs |= {_named(name, i * count): pair for name, pair in found.items()}
    blurry, sharp = as_floats(torch.stack(list(pairs.values())).numpy())
    psnr = [metrics.psnr(y, x) for y, x in zip(blurry.split(1), sharp.split(1), strict=True)]
    return {"names": list(pairs), "psnr": psnr}, {"pairs": torch.stack(list(pairs.values())).numpy()}


def _named(name: str, first: int) -> str:
    """ "builtin/coins/11" -> "coins, 11"."""
    picture, number = name.split("/")[-2:]
    return f"{picture}, {int(number) + first}"


def derangement(count: int, seed: int) -> list[int]:
    """An order of 0 ... count - 1 that leaves nothing in its place, and uses each once: a single random ring."""
    ring = np.random.default_rng([seed, count]).permutation(count)
    order = np.empty(count, int)
    order[ring] = np.roll(ring, 1)
    return order.tolist()


def as_floats(pairs: np.ndarray) -> tuple[Tensor, Tensor]:
    """Blurry and sharp pictures (n, 3, h, w) in [0, 1]."""
    both = torch.from_numpy(pairs).float() / 255
    return both[:, :3], both[:, 3:]


# Re-blurring


def swap_job(own: Job, others: Job, operator: str, seed: int) -> Job:
    """The blur of every pair exchanged for that of another one, by an operator of `studies.operators`."""
    return Job.create(swap, data=operators.digest(operator), own=own.to_json(), others=others.to_json(),
                      operator=operator, seed=seed)  # fmt: skip


@task(numerics=1)
def swap(
    context: Context, *, own: dict[str, Any], others: dict[str, Any], operator: str, seed: int
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Values, in dB for each of `names`: PSNR against the same picture really filmed so, of the `swapped` blurry
    picture, of the blurry one with its `own` blur, and of the `sharp` one. Array: `pairs`."""
    originals, filmed = (context.result(Job.from_json(job)) for job in (own, others))
    (blurry, sharp), (target, _) = (as_floats(result.arrays["pairs"]) for result in (originals, filmed))
    k = extracted(operator, blurry, sharp)
    pairs = reblurred(operator, sharp, k[derangement(len(k), seed)])
    candidates = {"swapped": as_floats(pairs)[0], "own": blurry, "sharp": sharp}
    scores = {name: [metrics.psnr(*two) for two in zip(pictures.split(1), target.split(1), strict=True)]
              for name, pictures in candidates.items()}  # fmt: skip
    return {"names": originals.values["names"], **scores}, {"pairs": pairs}


def synthesise_job(own: Job, operator: str, rounds: int, seed: int) -> Job:
    """Original pictures blurred anew, all of them `rounds` times; operator: "lines" for straight motions."""
    digest = operators.digest(operator) if operator in operators.NAMES else ""
    return Job.create(synthesise, data=digest, own=own.to_json(), operator=operator, rounds=rounds, seed=seed)


@task(numerics=1)
def synthesise(
    context: Context, *, own: dict[str, Any], operator: str, rounds: int, seed: int
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """In even rounds with k of other pairs, in odd ones with k drawn from a normal distribution; or straight motions.

    Values: `names`; `psnr` in dB of each blurry picture, which says how strong its blur is. Array: `pairs`.
    """
    originals = context.result(Job.from_json(own))
    blurry, sharp = as_floats(originals.arrays["pairs"])
    parts = []
    for i in range(rounds):
        own_seed = 1000 * seed + i
        if operator not in operators.NAMES:
            parts.append(straight(sharp, np.random.default_rng(own_seed)))
            continue
        if i % 2:
            k = drawn(operator, sharp, torch.Generator().manual_seed(own_seed))
        else:
            k = extracted(operator, blurry, sharp)[derangement(len(sharp), own_seed)]
        parts.append(reblurred(operator, sharp, k))
    pairs = np.concatenate(parts)
    psnr = [metrics.psnr(y, x) for y, x in zip(*(part.split(1) for part in as_floats(pairs)), strict=True)]
    return {"names": originals.values["names"] * rounds, "psnr": psnr}, {"pairs": pairs}


@torch.no_grad()
def extracted(operator: str, blurry: Tensor, sharp: Tensor) -> Tensor:
    """k (n, c, kh, kw) of pairs (n, 3, h, w)."""
    model = operators.get(operator)
    return torch.cat([model.encode(x, y).mean for x, y in zip(sharp.split(1), blurry.split(1), strict=True)])


def drawn(operator: str, sharp: Tensor, generator: torch.Generator) -> Tensor:
    """k (n, c, kh, kw) from the prior, `DRAWN` times as wide, one for each picture (n, 3, h, w)."""
    shape = operators.get(operator).kernel_shape(*sharp.shape[-2:])
    return DRAWN * torch.randn(len(sharp), *shape, generator=generator)


@torch.no_grad()
def reblurred(operator: str, sharp: Tensor, k: Tensor) -> np.ndarray:
    """Pairs uint8 (n, 6, h, w) of sharp pictures (n, 3, h, w), each with a k of its own."""
    model = operators.get(operator)
    blurry = torch.cat([model.blur(x, one) for x, one in zip(sharp.split(1), k.split(1), strict=True)])
    return to_uint8(torch.cat([blurry, sharp], 1)).numpy()


def straight(sharp: Tensor, random: np.random.Generator) -> np.ndarray:
    """Pairs uint8 (n, 6, h, w) blurred by straight motions of any length in `LINES` and any direction."""
    size = int(LINES[1]) // 2 * 2 + 3
    k = [psf.linear_motion(size, random.uniform(*LINES), random.uniform(0, 180)) for _ in sharp]
    wide = torch.nn.functional.pad(sharp, (size // 2,) * 4, mode="reflect")
    return to_uint8(torch.cat([convolve(wide, torch.cat(k)), sharp], 1)).numpy()


# Training


def train_job(
    arm: str, sets: Sequence[Job], scenes: Scenes, network: dict[str, Any], settings: Settings, seed: int,
    ordinary: bool = False,
) -> Job:  # fmt: skip
    """arm: what tables call these sets."""
    return Job.create(train_on, arm=arm, sets=[job.to_json() for job in sets], tests=held_out_job(scenes).to_json(),
                      network={"name": "srn", **network}, settings=settings, seed=seed, ordinary=ordinary)  # fmt: skip


@task(numerics=1)
def train_on(
    context: Context, *, arm: str, sets: list[dict[str, Any]], tests: dict[str, Any], network: dict[str, Any],
    settings: dict[str, Any], seed: int, ordinary: bool,
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:  # fmt: skip
    """Train an SRN by its own loss on sets of pairs, an equal share of every batch from each; with `ordinary`
    augmentation, see `augmented`. Values and arrays as of `learning.learn`, for the pairs of the job `tests`."""
    recipe = from_settings(Settings, settings)
    pairs = [context.result(Job.from_json(job)).arrays["pairs"] for job in sets]
    judged = context.result(Job.from_json(tests))
    blurry, sharp = (part.split(1) for part in as_floats(judged.arrays["pairs"]))
    held_out = dict(zip(judged.values["names"], zip(blurry, sharp, strict=True), strict=True))
    return fit(context, network, Mixed(pairs, recipe, context.device, ordinary), held_out, recipe, seed, srn_loss)


class Mixed:
    """Batches (blurry, sharp) in equal shares from several sets of pairs uint8 (n, 6, h, w), as `RealPairs` gives them,
    mirrored left to right; with `ordinary` augmentation also `augmented`."""

    def __init__(self, sets: Sequence[np.ndarray], recipe: Settings, device: str, ordinary: bool):
        self.ordinary = ordinary
        self.batches = training_pairs.mixed(*(
            training_pairs.RealPairs({str(i): torch.from_numpy(pair) for i, pair in enumerate(pairs)},
                                     recipe.batch // len(sets), recipe.crop, device)
            for pairs in sets
        ))  # fmt: skip

    def __call__(self, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        blurry, sharp = self.batches(generator)
        return augmented(blurry, sharp, generator) if self.ordinary else (blurry, sharp)


def augmented(blurry: Tensor, sharp: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Pictures (n, 3, h, w) upside down or not, colours exchanged and light taken away, alike in both; noise in the
    blurry one. No quarter turns: a camera that pans along x would pan along y."""
    n, device = len(sharp), sharp.device
    turned = (torch.rand(n, 1, 1, 1, generator=generator) < 0.5).to(device)
    orders = torch.rand(n, 3, generator=generator).argsort(1).to(device)
    light = (DARKEST + (1 - DARKEST) * torch.rand(n, 1, 1, 1, generator=generator)).to(device)
    deviation = NOISIEST * torch.rand(n, 1, 1, 1, generator=generator)
    noise = (deviation * torch.randn(sharp.shape, generator=generator)).to(device)
    blurry, sharp = (torch.where(turned, picture.flip(-2), picture) for picture in (blurry, sharp))
    blurry, sharp = (light * picture[torch.arange(n, device=device)[:, None], orders] for picture in (blurry, sharp))
    return (blurry + noise).clamp(0, 1), sharp


# Results


def by_arm(results: Sequence[Result]) -> dict[str, list[Result]]:
    """Training runs, in the order of the jobs."""
    found: dict[str, list[Result]] = {}
    for run in of_task(results, train_on):
        found.setdefault(run.job.settings["arm"], []).append(run)
    return found


def difference(arms: Mapping[str, list[Result]], arm: str, rival: str) -> Comparison | None:
    """PSNR of one arm minus that of its rival, in dB; None where they have no seed in common."""
    return compare(f"PSNR, {arm} − {rival}", arms.get(arm, ()), arms.get(rival, ()))


def gains(runs: Sequence[Result]) -> list[float]:
    """PSNR above the blurry pictures' in dB, by seed."""
    return [gain(run) for run in runs]


def conditions(results: Sequence[Result]) -> str:
    """How the networks were trained and judged, for captions."""
    arms = by_arm(results)
    runs = [run for runs in arms.values() for run in runs]
    run, settings = runs[0], runs[0].job.settings
    seeds, names = {run.job.settings["seed"] for run in runs}, run.values["names"]
    pictures = {name.rpartition(", ")[0] for name in names}
    said = unlearned(arms)
    return (
        f"SRN of {run.values['parameters']:,} parameters, {settings['settings']['steps']:,} steps of "
        f"{settings['settings']['batch']} crops of {settings['settings']['crop']} px, {len(seeds)} "
        f"seed{'s' if len(seeds) > 1 else ''}; PSNR of {len(names)} blurry pictures filmed from {len(pictures)} "
        f"held-out ones, as those to train on, {_filmed_by(settings['tests']['settings']['camera'])}"
        f"{said and f'. {said}'}"
    )


def _filmed_by(camera: dict[str, Any]) -> str:
    shakes, (least, most) = f"by a camera that shakes by up to {camera['shift'][1]:g} px", camera["pan"]
    angles = ", ".join(f"{angle:g}°" for angle in camera["directions"])
    along = "always along x" if angles == "0°" else f"at {angles}"
    return f"{shakes} and pans by {least:g} to {most:g} px, {along}" if most else shakes


def paper_says(claim: str) -> str:
    return f"The paper: “{get(claim).statement}” ({get(claim).paper_values})."


def reduced(results: Sequence[Result], baseline: str) -> str:
    """What keeps these runs from speaking for SRN on REDS and GoPro; baseline: the arm that others are measured by."""
    runs, arms = of_task(results, train_on), by_arm(results)
    parts = ["blur is filmed by a simulated camera and is neither that of REDS nor of GoPro"]
    if any(run.job.settings["network"].get("width", PAPERS_WIDTH) < PAPERS_WIDTH for run in runs):
        parts.append(f"networks of {runs[0].values['parameters']:,} parameters in place of SRN's 8 million")
    if np.mean(gains(arms[baseline])) <= LITTLE:
        parts.append(f"“{baseline}” gains less than {LITTLE} dB, so that there is little to compare")
    return "; ".join(filter(None, [*parts, unlearned(arms)]))


# Figures


def show_pair(axes: Any, picture: np.ndarray, title: str) -> None:
    """Draw uint8 (3, h, w)."""
    show_image(axes, picture.transpose(1, 2, 0), title, maximum=255)
    axes.title.set_fontsize(8)


def builtin_pairs(filmed: Result, count: int) -> list[int]:
    """Numbers of the first pairs that show built-in pictures, which alone are shown."""
    if filmed.job.settings["sources"][0] != "builtin":
        return []
    pictures = len(filmed.values["names"])
    builtin = len(training_pairs.sharp_pictures("builtin"))
    return list(range(min(count, pictures, builtin)))


def draw_gains(axes: Any, arms: Mapping[str, list[Result]]) -> None:
    """A dot a seed, a line their mean."""
    for i, runs in enumerate(arms.values()):
        values = gains(runs)
        axes.plot([i - 0.25, i + 0.25], [np.mean(values)] * 2, color=PALETTE[1])
        axes.plot([i] * len(values), values, "o", color=PALETTE[0], markersize=4)
    axes.axhline(0, color="0.3", linewidth=1)
    axes.set_xticks(range(len(arms)), [arm.replace(" ", "\n") for arm in arms])
    axes.set(ylabel="PSNR above the blurry picture (dB)", xlim=(-0.5, len(arms) - 0.5))
    axes.grid(axis="x", visible=False)


def draw_differences(axes: Any, arms: Mapping[str, list[Result]], rival: str) -> None:
    """Mean differences to the rival with their intervals, where there are any."""
    others = [arm for arm in arms if arm != rival]
    for i, arm in enumerate(others):
        found = difference(arms, arm, rival)
        if found and np.isfinite(found.high):
            axes.plot([found.low, found.high], [i, i], color=PALETTE[0])
        if found:
            axes.plot(found.effect, i, "o", color=PALETTE[0])
    axes.axvline(0, color="0.3", linewidth=1)
    axes.set_yticks(range(len(others)), others)
    axes.set(xlabel=f"PSNR minus that of “{rival}” (dB)", ylim=(len(others) - 0.5, -0.5))
    axes.grid(axis="y", visible=False)


def restored_figure(results: Sequence[Result], arms: Mapping[str, list[Result]]) -> Iterator[Figure]:
    """One held-out picture, blurry, by the first run of each arm, and sharp."""
    runs = {arm: found[0] for arm, found in arms.items() if found[0].arrays}
    tests = {result.job.key: result for result in of_task(results, film) if result.arrays}
    key = next((Job.from_json(run.job.settings["tests"]).key for run in runs.values()), None)
    if key not in tests or tests[key].job.settings["sources"] != ["held out"]:
        return
    first = next(iter(runs.values()))
    index = int(np.argsort(np.subtract(first.values["psnr"], first.values["blurry"]))[-2:][0])
    pair = tests[key].arrays["pairs"][index]
    columns = {f"blurry, {first.values['blurry'][index]:.2f} dB": pair[:3]}
    for arm, run in runs.items():
        columns[f"{arm}, {run.values['psnr'][index]:.2f} dB"] = run.arrays["restored"][index]
    columns["sharp"] = pair[3:]
    figure, (row,) = subplots(1, len(columns), width=1.9, height=2.1)
    for axes, (title, picture) in zip(row, columns.items(), strict=True):
        show_pair(axes, picture, title)
    yield Figure(
        "restored", figure,
        f"A held-out picture ({first.values['names'][index]}) by networks that differ in nothing but their training "
        "set. Compare edges across the motion.",
    )  # fmt: skip
