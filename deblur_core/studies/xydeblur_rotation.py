"""What does each decoder do? (XYDeblur, Figure 3 and the signal-power figure; claims C4.4 and C4.5)

The residual of each of two decoders, looked at alone: how strong it is where pictures are blurred along x, and along y,
and which colours it draws on a chart of 24 flat patches. Rotated decoders share weights, separate ones do not.

Both are also trained with PyTorch's own initial weights, as the released code starts, while the networks of
`xydeblur_decoders` start as nothing but the identity. The start decides about colour: see `colour_shift`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np
import skimage.color
import torch
from torch import Tensor

from deblur_core import blur
from deblur_core.data import training_pairs
from deblur_core.metrics.statistics import runs_needed
from deblur_core.models.counting import count_parameters
from deblur_core.models.xydeblur import XYDeblur, with_rotated_features, with_rotated_weights
from deblur_core.runs import Context, Job, Result, task
from deblur_core.studies import learning, xydeblur_decoders
from deblur_core.studies.claims import Comparison, Evidence, paired
from deblur_core.studies.study import Figure, Study, Table
from deblur_core.studies.style import PALETTE, show_image, subplots
from deblur_core.training import seeded

NOTICEABLE = 2.3
"""The just noticeable difference of two colours in CIELAB (Mahy, Van Eycken and Oosterlinck, "Evaluation of uniform
color spaces developed after the adoption of CIELAB and CIELUV", Color Research and Application 1994)."""
LIKE_THE_PAPER = 1.0
"""Initial weights of the layers that draw residuals, relative to PyTorch's: as they are in the released code."""

CHART = {
    "dark skin": (115, 82, 68), "light skin": (194, 150, 130), "blue sky": (98, 122, 157), "foliage": (87, 108, 67),
    "blue flower": (133, 128, 177), "bluish green": (103, 189, 170), "orange": (214, 126, 44),
    "purplish blue": (80, 91, 166), "moderate red": (193, 90, 99), "purple": (94, 60, 108),
    "yellow green": (157, 188, 64), "orange yellow": (224, 163, 46), "blue": (56, 61, 150), "green": (70, 148, 73),
    "red": (175, 54, 60), "yellow": (231, 199, 31), "magenta": (187, 86, 149), "cyan": (8, 133, 161),
    "white": (243, 243, 243), "neutral 8": (200, 200, 200), "neutral 6.5": (160, 160, 160),
    "neutral 5": (122, 122, 122), "neutral 3.5": (85, 85, 85), "black": (52, 52, 52),
}  # fmt: skip
"""Row by row, in sRGB: the patches of McCamy, Marcus and Davidson, "A Color-Rendition Chart", 1976."""
COLUMNS, PATCH, GAP = 6, 48, 12  # px
FRAME = 40 / 255  # the dark cardboard between the patches
EXACT = 1e-12
"""What may remain, in float64, of an identity."""


def chart() -> Tensor:
    """Drawn, so without noise or uneven light: (1, 3, h, w) in [0, 1]."""
    rows, cell = len(CHART) // COLUMNS, PATCH + GAP
    picture = torch.full((1, 3, rows * cell + GAP, COLUMNS * cell + GAP), FRAME)
    for (top, left), colour in zip(_corners(), CHART.values(), strict=True):
        picture[0, :, top : top + PATCH, left : left + PATCH] = torch.tensor(colour)[:, None, None] / 255
    return picture


def patch_means(picture: Tensor) -> Tensor:
    """The mean colour of the middle third of every patch of a picture laid out like the chart: (24, 3)."""
    third = PATCH // 3
    return torch.stack([
        picture[0, :, top + third : top + 2 * third, left + third : left + 2 * third].mean((-2, -1))
        for top, left in _corners()
    ])  # fmt: skip


def _corners() -> list[tuple[int, int]]:
    cell = PATCH + GAP
    return [(GAP + cell * (i // COLUMNS), GAP + cell * (i % COLUMNS)) for i in range(len(CHART))]


def colour_shift(colours: Tensor, true: Tensor) -> np.ndarray:
    """How far colours (n, 3), sRGB in [0, 1], lie from the true ones in CIELAB, brightness left aside: (n,).

    2.3 is just noticeable. Nothing in training holds the colours of separate decoders: what one adds everywhere and the
    other takes away leaves their sum, and so the loss, as it was. A shift that the initial weights bring stays.
    """
    lab, other = (skimage.color.rgb2lab(colour.double().numpy()) for colour in (colours, true))
    return np.hypot(*(lab - other)[:, 1:].T)


def colour_temperature(colour: Tensor) -> float:
    """Correlated colour temperature in kelvin of an sRGB colour (3,): McCamy's formula, Color Research and Application
    1992; 6504 K for white. NaN for a colour without light."""
    x, y, z = skimage.color.rgb2xyz(colour.double().clamp(0, 1).numpy())
    if x + y + z <= 0:
        return float("nan")
    n = (x / (x + y + z) - 0.3320) / (0.1858 - y / (x + y + z))
    return float(449 * n**3 + 3525 * n**2 + 6823.3 * n + 5520.33)


def motions(length: float) -> tuple[Tensor, Tensor]:
    """The kernels of motion by `length` pixels along x, and along y."""
    along_x = blur.psf.linear_motion(2 * int(np.ceil(length / 2)) + 1, length, angle=0.0)
    return along_x, along_x.mT


def powers(network: XYDeblur, sharp: Tensor, length: float) -> np.ndarray:
    """Mean squares of two residuals (rows) where sharp (1, 3, h, w) is blurred along x and along y (columns).

    The mean over the picture and its transpose, so that a picture with more upright edges favours no direction.
    """
    device = next(network.parameters()).device
    found = np.zeros((2, 2))
    for x in (sharp, sharp.mT):
        for column, k in enumerate(motions(length)):
            with torch.no_grad():
                residuals = network.residuals(blur.convolve(x, k).to(device))
            found[:, column] += residuals[:2].square().mean((1, 2, 3, 4)).cpu().numpy() / 2
    return found


# Jobs

Profile = xydeblur_decoders.Profile
PROFILES = xydeblur_decoders.PROFILES


def jobs(profile: Profile) -> list[Job]:
    """Those that start as the identity are jobs of `xydeblur_decoders`, too."""
    two = [network for network in xydeblur_decoders.networks(profile) if network["decoders"] == 2]
    arms = [(network | start, seed) for start in ({}, {"start": LIKE_THE_PAPER})
            for seed in profile.seeds for network in two]  # fmt: skip
    # Colours of separate decoders are as the initial weights happen to leave them: few seeds cannot tell how far off.
    arms += [(network | {"start": LIKE_THE_PAPER}, seed) for seed in profile.colour_seeds
             for network in two if not network["shared"]]  # fmt: skip
    trained = [learning.learn_job(network, profile.pictures, profile.settings, seed) for network, seed in arms]
    return [*trained, *(Job.create(look, data=job.data, of=job.to_json()) for job in trained)]


@task()
def look(context: Context, *, of: dict[str, Any]) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """What the two decoders of a trained network draw.

    Values: `powers`, by held-out picture, as `powers` gives them for the longest motion of the training; `shift`, the
    colour shift of every patch in each partial result, and in the `restored` chart; `temperature` of the white patch in
    kelvin: true, in both partial results, restored. Arrays: `partial` and `chart`, the chart with each residual, and
    restored, not clipped; `residuals`, of the middle of one held-out picture blurred along x, and along y.
    """
    trained = context.result(Job.from_json(of))
    network = learning.trained_network(trained).to(context.device)
    pictures = learning.read_pictures(trained.job.settings["pictures"])
    length = pictures.blur.size - 1.0
    side = (pictures.crop or learning.SHOWN) + 2 * (pictures.blur.size // 2)
    sharp = {
        name.rpartition("/")[2]: learning.middle(picture, side)[None].float() / 255
        for name, picture in training_pairs.sharp_pictures(*pictures.held_out).items()
    }
    found = {name: powers(network, picture, length).tolist() for name, picture in sharp.items()}
    partial, restored = partial_charts(network)
    true = patch_means(chart())
    means = [*map(patch_means, partial.split(1)), patch_means(restored)]
    white = list(CHART).index("white")
    values = {
        "powers": found,
        "shift": [colour_shift(mean, true).tolist() for mean in means[:2]],
        "restored": colour_shift(means[2], true).tolist(),
        "temperature": [colour_temperature(colours[white]) for colours in (true, *means)],
    }
    first = next(iter(sharp.values()))
    with torch.no_grad():
        blurred = torch.cat([blur.convolve(first, k) for k in motions(length)]).to(context.device)
        residuals = learning.middle(network.residuals(blurred).cpu(), min(learning.SHOWN, blurred.shape[-1]))
    return values, {"partial": partial.numpy(), "chart": restored.numpy(), "residuals": residuals.numpy()}


def partial_charts(network: XYDeblur) -> tuple[Tensor, Tensor]:
    """The chart with the residual of each decoder alone (2, 3, h, w), and with both (1, 3, h, w); not clipped."""
    picture = chart()
    with torch.no_grad():
        residuals = network.residuals(picture.to(next(network.parameters()).device)).cpu()
    return picture + residuals[:, 0], picture + residuals.sum(0)


# Results


@dataclass(frozen=True)
class Arm:
    shared: bool
    like_the_paper: bool

    def __str__(self) -> str:
        start = "PyTorch's initial weights" if self.like_the_paper else "started as the identity"
        return f"{'rotated' if self.shared else 'separate'}, {start}"


ROTATED, SEPARATE = Arm(True, True), Arm(False, True)
ARMS = (SEPARATE, ROTATED, replace(SEPARATE, like_the_paper=False), replace(ROTATED, like_the_paper=False))


def of_arm(result: Result) -> dict[str, Any]:
    """The settings of the training behind a result."""
    return result.job.settings.get("of", {}).get("settings", result.job.settings)


def arms(results: list[Result], name: str) -> dict[Arm, list[Result]]:
    """Results of one task, `learn` or `look`, by arm; arms without any are left out."""
    found: dict[Arm, list[Result]] = {}
    for arm in ARMS:
        for result in results:
            network = of_arm(result)["network"] if result.job.task.endswith(f":{name}") else None
            if network and arm == Arm(network["shared"], "start" in network):
                found.setdefault(arm, []).append(result)
    return found


def preferences(run: Result) -> dict[str, tuple[float, float]]:
    """For every picture, how many octaves more power the x-decoder has under blur along x than along y, and the other
    decoder under blur along y than along x. Positive numbers are what the paper finds.

    Which decoder is which is not agreed beforehand. It is decided by all the other pictures, for chosen by the picture
    itself, pure noise would seem to prefer its own direction.
    """
    octaves = {name: np.log2(np.divide(*np.transpose(power))) for name, power in run.values["powers"].items()}
    found = {}
    for name, own in octaves.items():
        others = [values for other, values in octaves.items() if other != name] or [own]
        x = int(np.mean(others, 0).argmax())
        found[name] = (float(own[x]), float(-own[1 - x]))
    return found


def mean_shift(run: Result) -> float:
    """Of both partial results, over the patches."""
    return float(np.mean(run.values["shift"]))


def over_seeds(values: Sequence[float], form: str) -> str:
    """Their mean, and the range of the seeds where there are several: 6.54 (1.94 to 11.93)."""
    spread = f" ({min(values):{form}} to {max(values):{form}})" if len(values) > 1 else ""
    return f"{np.mean(values):{form}}{spread}"


def tables(results: list[Result]) -> list[Table]:
    looks, learned = arms(results, "look"), arms(results, "learn")
    rows = []
    for arm, runs in looks.items():
        octaves = np.mean([list(preferences(run).values()) for run in runs], 1)  # (seeds, decoders)
        gain = f"{xydeblur_decoders.mean_gain(learned[arm]):+.2f}" if arm in learned else None
        restored = np.mean([run.values["restored"] for run in runs])
        rows.append((
            str(arm), gain, *(over_seeds(decoder, "+.2f") for decoder in octaves.T),
            over_seeds([mean_shift(run) for run in runs], ".2f"), f"{restored:.2f}", "; ".join(map(_whites, runs[:3])),
            len(runs),
        ))  # fmt: skip
    if not rows:
        return []
    columns = ("two decoders", "PSNR above the blurry (dB)", "x-decoder, x − y (octaves)")
    columns += ("y-decoder, y − x (octaves)", "colour shift, partial", "restored", "white of each part (K)", "seeds")
    caption = (
        "Means over seeds, in brackets the least and the largest of several. Octaves: log2 of a residual's "
        "power under blur in its own direction over that under blur in the other; which direction is whose own is "
        f"decided by other pictures. Colour shift: in CIELAB without brightness, mean over 24 patches; {NOTICEABLE} is "
        "just noticeable. White: colour temperature of the white patch in both partial results, of the first seeds; "
        "6504 K is right."
    )
    return [Table("What each of two decoders draws", columns, rows, caption)]


def _whites(run: Result) -> str:
    return " / ".join(f"{kelvin:.0f}" if kelvin else "–" for kelvin in run.values["temperature"][1:3])


def figures(results: list[Result]) -> list[Figure]:
    looks = arms(results, "look")
    drawn = [_power_figure(looks)] if looks else []
    if all(arm in looks and looks[arm][0].arrays for arm in (SEPARATE, ROTATED)):
        drawn.append(_charts(looks))
    shown = [runs[0] for arm, runs in looks.items() if not arm.like_the_paper and runs[0].arrays]
    built_in = [run for run in shown if of_arm(run)["pictures"]["held_out"] == ["held out"]]
    return [*drawn, _residuals(built_in)] if built_in else drawn


_BY_CHOICE = (
    "Here the decoder with the larger ratio of power, blur along x to blur along y, on these same pictures is called "
    "x, so some crossing comes by choice; the octaves in the table do not have this fault."
)


def _power_figure(looks: dict[Arm, list[Result]]) -> Figure:
    quiet = {arm: runs for arm, runs in looks.items() if not arm.like_the_paper}
    shown = quiet or looks
    figure, (row,) = subplots(1, len(shown), width=3.4, height=2.8, sharey=True)
    for axes, (arm, runs) in zip(row, shown.items(), strict=True):
        for run in runs:
            mean = np.mean(list(run.values["powers"].values()), 0)
            mean = mean[np.log2(mean[:, 0] / mean[:, 1]).argsort()[::-1]]  # the x-decoder first
            for power, color, marker, name in zip(mean, PALETTE, "os", "xy", strict=False):
                label = f"{name}-decoder" if run is runs[0] else None
                axes.plot(("along x", "along y"), power, color=color, marker=marker, label=label)
        axes.set(title=f"{'rotated' if arm.shared else 'separate'} weights", yscale="log", xlabel="pictures blurred",
                 xlim=(-0.3, 1.3))  # fmt: skip
    row[0].set_ylabel("power of the residual (mean square)")
    row[0].legend()
    caption = (
        "Mean over held-out pictures, a pair of lines for each seed. Decoders that divide the work by direction make "
        "lines that fall for one and rise for the other; parallel lines divide something else. "
        f"{'Networks that started as the identity. ' if quiet else ''}{_BY_CHOICE}"
    )
    return Figure("power", figure, caption)


def _charts(looks: dict[Arm, list[Result]]) -> Figure:
    """Figure 3."""
    figure, panels = subplots(2, 3, width=2.6, height=2.2)
    for row, arm in zip(panels, (SEPARATE, ROTATED), strict=True):
        run = looks[arm][0]
        pictures = [*run.arrays["partial"], run.arrays["chart"][0]]
        titles = ("y + r₁", "y + r₂", "y + r₁ + r₂")
        for axes, picture, title, kelvin in zip(row, pictures, titles, run.values["temperature"][1:], strict=True):
            warmth = f", {kelvin:.0f} K" if kelvin else ""
            show_image(axes, picture.transpose(1, 2, 0).clip(0, 1), f"{title}{warmth}")
        row[0].set_axis_on()
        row[0].set(xticks=(), yticks=(), ylabel="rotated" if arm.shared else "separate")
        row[0].grid(False)
        row[0].spines[:].set_visible(False)
    caption = (
        "A chart with the residual of one decoder, of the other, and of both, and the colour temperature of the white "
        "patch (true: 6504 K). Both networks started with PyTorch's own weights, seed "
        f"{of_arm(looks[SEPARATE][0])['seed']}."
    )
    return Figure("charts", figure, caption)


def _residuals(runs: list[Result]) -> Figure:
    figure, panels = subplots(len(runs), 4, width=2.0, height=2.1)
    largest = max(float(np.quantile(np.abs(run.arrays["residuals"]), 0.995)) for run in runs)
    for row, run in zip(panels, runs, strict=True):
        drawn = run.arrays["residuals"].mean(2)  # (decoder, direction, h, w), grey
        power = (drawn**2).mean((2, 3))
        if power[0, 0] / power[0, 1] < power[1, 0] / power[1, 1]:
            drawn = drawn[::-1]
        weights = "rotated" if of_arm(run)["network"]["shared"] else "separate"
        for axes, (decoder, direction) in zip(row, np.ndindex(2, 2), strict=True):
            title = f"{weights}: {'xy'[decoder]}-decoder,\nblur along {'xy'[direction]}"
            show_image(axes, drawn[decoder, direction] / (2 * largest) + 0.5, title)
    caption = (
        f"Residuals of both decoders on one scale, grey is zero, black and white are ∓{largest:.3f}. Compare the first "
        "picture of a row with the second, and the third with the fourth. To restore is to draw edges across the "
        "motion; a network that gains little may only strengthen those along it. Networks that started as the "
        f"identity. {_BY_CHOICE}"
    )
    return Figure("residuals", figure, caption)


def evidence(results: list[Result]) -> dict[str, Evidence]:
    looks, found = arms(results, "look"), {}
    if SEPARATE in looks and ROTATED in looks:
        found["C4.4"] = _colour_evidence(looks)
    if ROTATED in looks:
        found["C4.5"] = _direction_evidence(looks)
    reduced = xydeblur_decoders.smaller(of_arm(next(iter(looks.values()))[0])) if looks else ""
    found = {claim: replace(said, reduced=reduced) for claim, said in found.items()}
    return found | ({"A4.1": identities()} if results else {})


@cache
def identities() -> Evidence:
    """What holds whatever the weights are, of a small network in float64 and of the counts of the paper's."""
    network = seeded(lambda: XYDeblur(width=4, blocks=1), seed=0).double()
    y = torch.rand(1, 3, 21, 30, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    with torch.no_grad():
        drawn = [network.residuals(y, how) for how in (with_rotated_weights, with_rotated_features)]
        off = max((network(y) - y - drawn[0].sum(0)).abs().max().item(), (drawn[0] - drawn[1]).abs().max().item())
    with torch.device("meta"):
        counts = [count_parameters(XYDeblur(decoders)) for decoders in (1, 2)]
    exact = f"to {'less' if off < EXACT else 'more'} than {EXACT:.0e} in float64"
    ours = f"{exact}; {counts[0]:,} and {counts[1]:,} parameters"
    return Evidence(holds=off < EXACT and counts[0] == counts[1], ours=ours)


def _colour_evidence(looks: dict[Arm, list[Result]]) -> Evidence:
    """Separate decoders shift colours by more than is noticeable, rotated ones by less."""

    def beyond(name: str, arm: Arm, sign: int) -> Comparison:
        seeds = [of_arm(run)["seed"] for run in looks[arm]]
        above = [sign * (mean_shift(run) - NOTICEABLE) for run in looks[arm]]
        return paired(name, above, [0.0] * len(above), seeds, "CIELAB", "seeds")

    shifts = {arm: over_seeds([mean_shift(run) for run in runs], ".2f") for arm, runs in looks.items()}
    ours = f"colour shift {shifts[SEPARATE]} separate, {shifts[ROTATED]} rotated"
    quiet = replace(SEPARATE, like_the_paper=False)
    if quiet in shifts:
        ours += f"; separate decoders that start as the identity {shifts[quiet]}"
    shifted = [mean_shift(run) - NOTICEABLE for run in looks[SEPARATE]]
    comparisons = (beyond(f"separate − {NOTICEABLE}", SEPARATE, 1), beyond(f"{NOTICEABLE} − rotated", ROTATED, -1))
    if comparisons[0].low <= 0 <= comparisons[0].high and (needed := runs_needed(shifted)):
        ours += f"; the first would need about {needed:,} seeds"
    if more := len(looks[SEPARATE]) - len(looks[ROTATED]):
        ours += f"; {more} of {len(shifted)} seeds of separate decoders were added after the others had left it open"
    return Evidence(comparisons, ours=ours)


def _direction_evidence(looks: dict[Arm, list[Result]]) -> Evidence:
    """By the network as the paper starts it; the others are named."""
    found = {arm: own_directions(runs) for arm, runs in looks.items()}
    said = {arm: " and ".join(f"{own.effect:+.2f}" for own in both) for arm, both in found.items()}
    others = [f"{arm} {said[arm]}" for arm in said if arm != ROTATED]
    ours = f"{said[ROTATED]} octaves of power for the own direction"
    return Evidence(found[ROTATED], ours="; ".join([ours, *others]))


def own_directions(runs: list[Result]) -> tuple[Comparison, Comparison]:
    """How much more power each decoder's residual has under its own direction of blur than under the other's, in
    octaves: that of the x-decoder and that of the y-decoder."""
    effects: tuple[dict[tuple[int, str], float], ...] = ({}, {})
    for run in runs:
        for picture, octaves in preferences(run).items():
            for effect, octave in zip(effects, octaves, strict=True):
                effect[of_arm(run)["seed"], picture] = octave
    x, y = (learning.over_seeds_and_pictures(name, effect, "octaves") for name, effect in zip(
        ("x-decoder, power under x − y", "y-decoder, power under y − x"), effects, strict=True))  # fmt: skip
    return x, y


STUDY = Study(
    "xydeblur_rotation", "What each decoder does (XYDeblur, Figure 3)", "xydeblur", "09_xydeblur_rotation", PROFILES,
    jobs, tables, figures, evidence, claims=("C4.4", "C4.5", "A4.1"),
)  # fmt: skip
