"""Perception against distortion before any network: diffusion with the perfect denoiser on pictures of two pixels.

Whang et al., "Deblurring via Stochastic Refinement", CVPR 2022. Pictures come from a Gaussian mixture, blur is the mean
of the two pixels, so prior, posterior, E[x | y] and the noise in any z_t are formulas; what is left of the method is
its sampler, run as it is. Distortion is mean squared error; perception is the distance of the distribution of
restorations from that of sharp pictures, as Blau and Michaeli define it ("The Perception-Distortion Tradeoff", CVPR
2018). The perfect f_θ here is E[ε | z_t], where the squared error is least and sampling exact; the paper's L1 loss is
least at the median of each pixel's noise.

The second part holds the paper's human study, which cannot be repeated, against arithmetic (claim C3.5).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import ceil, floor, log
from typing import Any

import numpy as np
import torch
from matplotlib.patches import Circle
from torch import Tensor

from deblur_core.metrics.statistics import rate_interval
from deblur_core.models.diffusion import TRAINING, linear_schedule, strided
from deblur_core.runs import Context, Job, Result, task
from deblur_core.solvers.refinement import diffuse_back
from deblur_core.studies.claims import Evidence
from deblur_core.studies.study import Figure, Study, Table, of_task
from deblur_core.studies.style import PALETTE, subplots


@dataclass(frozen=True)
class Mixture:
    """Gaussian mixtures in d dimensions: weights `(..., K)`, means `(..., K, d)`, covariances `(K, d, d)`, float64."""

    weights: Tensor
    means: Tensor
    covariances: Tensor

    def mean(self) -> Tensor:  # (..., d)
        return (self.weights[..., None] * self.means).sum(-2)

    def variance(self) -> Tensor:
        """Of every dimension `(..., d)`."""
        inside = self.covariances.diagonal(dim1=-2, dim2=-1) + (self.means - self.mean()[..., None, :]).square()
        return (self.weights[..., None] * inside).sum(-2)

    def shifted(self, by: Tensor) -> Mixture:
        return replace(self, means=self.means - by[..., None, :])

    def draw(self, count: int, generator: torch.Generator) -> Tensor:
        """`(count, ..., d)`"""
        shape = self.means.shape[:-2]
        weights = self.weights.reshape(-1, self.weights.shape[-1])
        which = torch.multinomial(weights, count, replacement=True, generator=generator).T.reshape(count, *shape)
        means = self.means.expand(count, *self.means.shape)
        chosen = means.gather(-2, which[..., None, None].expand(*which.shape, 1, means.shape[-1]))[..., 0, :]
        noise = torch.randn(chosen.shape, generator=generator, dtype=chosen.dtype)
        return chosen + (torch.linalg.cholesky(self.covariances)[which] @ noise[..., None])[..., 0]

    def posterior(self, y: Tensor, blur: Tensor, noise: float) -> Mixture:
        """The mixtures of x given y = blur · x + noise, blur `(d,)`, y `(n,)`: Bayes' rule for each component."""
        gain = self.covariances @ blur  # (K, d)
        spread = gain @ blur + noise**2  # variance of y in each component, (K,)
        surprise = y[:, None] - self.means @ blur  # (n, K)
        logits = self.weights.log() - surprise.square() / (2 * spread) - spread.log() / 2
        means = self.means + surprise[..., None] * (gain / spread[:, None])
        kept = self.covariances - gain[:, :, None] * gain[:, None, :] / spread[:, None, None]
        return Mixture(logits.softmax(-1), means, kept)

    def noise(self, noisy: Tensor, alpha_bar: float) -> Tensor:
        """E[ε | x_t], the perfect f_θ, for noisy = √ᾱ x + √(1 − ᾱ) ε `(..., d)`."""
        identity = torch.eye(self.means.shape[-1], dtype=noisy.dtype)
        spread = alpha_bar * self.covariances + (1 - alpha_bar) * identity  # of x_t in each component
        surprise = noisy[..., None, :] - alpha_bar**0.5 * self.means
        whitened = torch.einsum("kij,...kj->...ki", torch.linalg.inv(spread), surprise)
        logits = self.weights.log() - (surprise * whitened).sum(-1) / 2 - torch.logdet(spread) / 2
        return (1 - alpha_bar) ** 0.5 * (logits.softmax(-1)[..., None] * whitened).sum(-2)

    def quantiles(self, direction: Tensor, probabilities: Tensor) -> Tensor:
        """Of direction · x, for a single mixture."""
        means, spread = self.means @ direction, (self.covariances @ direction @ direction).sqrt()
        grid = torch.linspace(float((means - 6 * spread).min()), float((means + 6 * spread).max()), 4001)
        below = (torch.special.ndtr((grid[:, None] - means) / spread) * self.weights).sum(-1)
        return torch.from_numpy(np.interp(probabilities, below, grid))


TEXTURE = 0.1
"""Standard deviation of each pixel around its kind of picture."""
PIXELS = torch.tensor([[-0.6, 0.6], [0.6, -0.6], [-0.6, -0.6], [0.6, 0.6]], dtype=torch.float64)
PICTURES = Mixture(
    torch.tensor([0.3, 0.2, 0.25, 0.25], dtype=torch.float64),
    PIXELS,
    TEXTURE**2 * torch.eye(2, dtype=torch.float64).expand(4, 2, 2),
)
"""Sharp pictures of two pixels in [−1, 1]: an edge that rises, an edge that falls, dark, bright."""
BLUR, NOISE = torch.tensor([0.5, 0.5], dtype=torch.float64), 0.05
"""A blurry picture is the mean of both pixels, plus noise."""
AVERAGED = (1, 2, 4, 8, 16)
LAW = 0.02
"""By which share errors of so many drawn samples may be off the law of averaging, by chance."""
STEPS = (1, 2, 3, 5, 10, 20, 50, 100, 200, 500)
GRID_STEPS, GRID_LAST = (10, 20, 50, 100, 200, 500), (0.01, 0.05, 0.2, 0.5)
"""T and last beta of linear schedules; the paper's own grid is not known."""


@dataclass(frozen=True)
class Profile:
    """steps: of schedules that all end in pure noise; grid: (T, last beta) of linear ones."""

    steps: tuple[int, ...] = STEPS
    grid: tuple[tuple[int, float], ...] = tuple((steps, last) for steps in GRID_STEPS for last in GRID_LAST)
    pictures: int = 500
    samples: int = 16


PROFILES = {
    "smoke": Profile((1, 5, 20), ((10, 0.05), (10, 0.5), (50, 0.05), (50, 0.5)), pictures=100),
    "laptop": Profile(),
    "overnight": Profile(),
    "paper": Profile(),
}


def jobs(profile: Profile) -> list[Job]:
    size = {"pictures": profile.pictures, "samples": profile.samples}
    ends_in_noise = [Job.create(diffuse, steps=steps, **size) for steps in profile.steps]
    linear = [
        Job.create(diffuse, steps=steps, last=last, residual=residual, pictures=profile.pictures, samples=4)
        for residual in (True, False)
        for steps, last in profile.grid
    ]
    return [Job.create(draw_exactly, **size), *ends_in_noise, *linear]


# Tasks


@task()
def draw_exactly(
    context: Context, *, pictures: int, samples: int, seed: int = 0
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Samples of the posterior itself."""
    posterior = posteriors(pictures)
    drawn = posterior.draw(samples, torch.Generator().manual_seed(seed))
    return scores(drawn, posterior), {"points": drawn[0].numpy(), "means": posterior.mean().numpy()}


@task()
def diffuse(
    context: Context,
    *,
    steps: int,
    pictures: int,
    samples: int,
    last: float | None = None,
    residual: bool = True,
    seed: int = 0,
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Samples by the paper's sampler with the perfect denoiser.

    last: of a linear schedule; None: the training schedule in fewer steps. residual: of x − E[x | y], with the perfect
    initial predictor; else of x itself.
    """
    schedule = strided(TRAINING, steps) if last is None else linear_schedule(steps, last)
    posterior = posteriors(pictures)
    initial = posterior.mean() if residual else torch.zeros(pictures, 2, dtype=torch.float64)
    unknown = posterior.shifted(initial)
    generator = torch.Generator().manual_seed(seed)
    shape = (samples, pictures, 2)
    # Schedules that end far from pure noise belong to the grid: what they cost is a result, no cause for a warning.
    z = diffuse_back(unknown.noise, lambda: torch.randn(shape, generator=generator, dtype=torch.float64), schedule)
    drawn = initial + z
    return scores(drawn, posterior) | {"alpha_bar": schedule.alpha_bars[-1].item()}, {"points": drawn[0].numpy()}


def posteriors(count: int) -> Mixture:
    """The posteriors of `count` blurry pictures, which lie at the quantiles of the distribution of y."""
    noisy = replace(PICTURES, covariances=PICTURES.covariances + 2 * NOISE**2 * torch.eye(2, dtype=torch.float64))
    y = noisy.quantiles(BLUR, (torch.arange(count) + 0.5) / count)
    return PICTURES.posterior(y, BLUR, NOISE)


def scores(drawn: Tensor, posterior: Mixture) -> dict[str, Any]:
    """Of samples `(n, pictures, 2)` and of their means over 2, 4, ... of them: mean squared error a pixel against the
    sharp picture, of which the part that no restoration avoids is known exactly; distance from sharp pictures."""
    least = posterior.variance().mean().item()
    means = {
        count: drawn.unflatten(0, (-1, count)).mean(1) for count in AVERAGED if count <= len(drawn)
    }  # each (n / count, pictures, 2)
    return {
        "least": least,
        "mse": {count: least + (mean - posterior.mean()).square().mean().item() for count, mean in means.items()},
        "distance": {count: distance(mean.flatten(0, 1)) for count, mean in means.items()},
        "distance of the mean": distance(posterior.mean()),
    }


def distance(points: Tensor, directions: int = 16) -> float:
    """Sliced Wasserstein-1 distance between points `(n, 2)` and the mixture of sharp pictures, on the scale −1 … 1:
    the mean over directions, in each of which the best transport joins equal ranks."""
    ranks = (torch.arange(len(points)) + 0.5) / len(points)
    angles = torch.arange(directions, dtype=torch.float64) * torch.pi / directions
    slices = torch.stack([angles.cos(), angles.sin()], 1)
    moved = [(points @ way).sort()[0] - PICTURES.quantiles(way, ranks) for way in slices]
    return torch.stack(moved).abs().mean().item()


# The paper's human study, Table 3: of 480 ratings, the percentage that prefers the first to the second

RATINGS = 480
SINGLE, MEAN, TRUTH = "Ours", "Ours-SA", "Reference"
TABLE_3 = {
    ("HINet", "MPRNet"): (54.9, 45.1),
    (SINGLE, "HINet"): (70.9, 29.1),
    (SINGLE, "MPRNet"): (73.4, 26.6),
    (MEAN, "HINet"): (69.0, 31.0),
    (MEAN, "MPRNet"): (74.7, 25.3),
    (SINGLE, MEAN): (58.8, 41.2),
    (TRUTH, "HINet"): (85.5, 14.5),
    (TRUTH, "MPRNet"): (88.1, 11.9),
    (TRUTH, SINGLE): (62.9, 37.1),
    (TRUTH, MEAN): (73.3, 26.7),
}
STATED = ((SINGLE, "HINet"), (SINGLE, "MPRNet"), (MEAN, "HINet"), (MEAN, "MPRNet"), (SINGLE, MEAN))
"""The comparisons that C3.5 is about."""


def possible(percentage: float, ratings: int) -> bool:
    """Whether a share of so many ratings, rounded to a tenth of a percent, can be this percentage."""
    low, high = ((percentage + step) * ratings / 100 for step in (-0.05 - 1e-9, 0.05 + 1e-9))
    return ceil(low) <= floor(high)


def nearest_possible(percentage: float) -> int:
    """The number of ratings nearest to 480 that allows this percentage."""
    return min((n for n in range(1, 2 * RATINGS) if possible(percentage, n)), key=lambda n: (abs(n - RATINGS), n))


def slack(percentage: float) -> float:
    """How many times fewer independent ratings would leave the share above one half beyond chance (95 %, normal)."""
    return RATINGS * ((percentage / 100 - 0.5) / (1.96 * 0.5)) ** 2


# Tables

DISTANCE = "distance from sharp pictures (scale −1 … 1)"


def tables(results: list[Result]) -> list[Table]:
    drawn = (_averaging_table, _steps_table, _grid_table, _preference_table)
    return [table for draw in drawn for table in draw(results)] if results else []


def _averaging_table(results: list[Result]) -> Iterator[Table]:
    for run in of_task(results, draw_exactly):
        least = run.values["least"]
        rows: list[tuple[object, ...]] = [
            (f"mean of {count}" if count > 1 else "one sample", f"{mse:.4f}", f"{mse / least:.3f}",
             f"{1 + 1 / count:.3f}", f"{far:.3f}")
            for count, mse, far in averages(run)
        ]  # fmt: skip
        rows.append(("E[x | y]", f"{least:.4f}", "1.000", "1.000", f"{run.values['distance of the mean']:.3f}"))
        yield Table(
            "Averages of exact posterior samples",
            ("restoration", "mean squared error", "times the least", "1 + 1/n", DISTANCE),
            rows,
            "A single sample has twice the least error, 3.01 dB, and is distributed like sharp pictures; the mean of n "
            "has 1 + 1/n times the least error, and looks less and less like them.",
        )


def averages(run: Result) -> list[tuple[int, float, float]]:
    """(n, mean squared error, distance) of means of n samples, by n, which JSON has as text."""
    return [(n, run.values["mse"][str(n)], run.values["distance"][str(n)]) for n in sorted(map(int, run.values["mse"]))]


def _steps_table(results: list[Result]) -> Iterator[Table]:
    rows = [
        (run.job.settings["steps"], f"{run.values['mse']['1']:.4f}", f"{relative(run, 'mse'):.3f}",
         f"{run.values['distance']['1']:.3f}")
        for run in of_task(results, diffuse, last=None)
    ]  # fmt: skip
    if rows:
        yield Table(
            "Steps, with the perfect denoiser",
            ("T", "mean squared error", "times the least", DISTANCE),
            rows,
            "One sample each; every schedule ends in pure noise. One step is regression, many steps are posterior "
            "sampling: T walks from one end of the trade-off to the other.",
        )


def relative(run: Result, score: str) -> float:
    """Of single samples; the error in units of the least one."""
    return run.values[score]["1"] / (run.values["least"] if score == "mse" else 1)


def grid(results: list[Result], residual: bool) -> dict[tuple[int, float], Result]:
    """The runs of linear schedules by (T, last beta)."""
    found = of_task(results, diffuse, residual=residual)
    by_schedule = {(run.job.settings["steps"], run.job.settings["last"]): run for run in found}
    return {schedule: run for schedule, run in by_schedule.items() if schedule[1] is not None}


def _grid_table(results: list[Result]) -> Iterator[Table]:
    arms = {"picture": grid(results, False), "residual": grid(results, True)}
    every = arms["picture"] | arms["residual"]
    lasts, rows = sorted({last for _, last in every}), []
    for steps in sorted({steps for steps, _ in every}):
        left = [every[steps, last].values["alpha_bar"] if (steps, last) in every else None for last in lasts]
        rows.append((steps, "ᾱ_T", *(value if value is None else f"{value:.1g}" for value in left)))
        for name, arm in arms.items():
            runs = [arm.get((steps, last)) for last in lasts]
            cells = [run and f"{relative(run, 'mse'):.2f} / {relative(run, 'distance'):.3f}" for run in runs]
            rows.append((steps, name, *cells))
    if rows:
        yield Table(
            "Linear schedules, with the perfect denoiser",
            ("T", "diffused", *(f"last beta {last:g}" for last in lasts)),
            rows,
            f"Error, times the least / {DISTANCE}, of one sample. Where ᾱ_T is far from 0, sampling "
            "starts where diffusion never is, which costs both; less so for residuals of the initial prediction "
            "E[x | y], which are small. Where ᾱ_T is nearly 0, a perfect denoiser has no use for a prediction.",
        )


def _preference_table(_: list[Result]) -> Iterator[Table]:
    rows = []
    for (first, second), (percentage, opposite) in TABLE_3.items():
        interval = rate_interval(round(percentage / 100 * RATINGS), RATINGS)
        rows.append(
            (f"{first} over {second}", f"{percentage:.1f}", f"{100 * interval.low:.1f} to {100 * interval.high:.1f}",
             f"{percentage + opposite:.1f}", "yes" if possible(percentage, RATINGS) else "no",
             nearest_possible(percentage))
        )  # fmt: skip
    yield Table(
        "The human study's table against arithmetic",
        ("preference", "printed (%)", "95 % interval (%)", "sum with its mirror", f"a share of {RATINGS} ratings?",
         "ratings that allow it"),
        rows,
        "Nobody was asked again. Intervals are Wilson's and take all ratings for independent, though 20 raters judged "
        f"24 pairs each. Shares of {RATINGS} come in steps of 0.208 %: where no step rounds to the printed value, the "
        "number of ratings was another, or the value is misprinted. We read the table from lecture slides on the paper "
        "(Sogang University, 2022); a slip may be theirs.",
    )  # fmt: skip


# Figures

DISC = 0.96
"""The share of sharp pictures that lies within the discs of `scatter`."""


def figures(results: list[Result]) -> list[Figure]:
    drawn = []
    exact, steps = of_task(results, draw_exactly), of_task(results, diffuse, last=None)
    if exact and steps and exact[0].arrays:
        drawn.append(_restorations_figure(exact[0], steps))
    if exact and steps:
        drawn.append(_trade_off_figure(exact[0], steps))
    if grid(results, True) and grid(results, False):
        drawn.append(_grid_figure(results))
    return drawn


def _restorations_figure(exact: Result, steps: list[Result]) -> Figure:
    chosen = [run for run in steps if run.job.settings["steps"] in (1, 5, 20, 500)]
    panels = {"E[x | y]": exact.arrays["means"], "posterior samples": exact.arrays["points"]}
    panels |= {f"T = {run.job.settings['steps']}": run.arrays["points"] for run in chosen}
    return scatter(
        panels,
        f"Each dot restores one blurry picture; {100 * DISC:.0f} % of sharp pictures lie in the four discs. Look at "
        "the upper left and the lower right one, the two edges: their blur is the same grey. E[x | y] puts a third "
        "thing between them, and so does a single step; with many steps each sample decides.",
    )


def scatter(panels: dict[str, Any], caption: str) -> Figure:
    """Restorations `(n, 2)` by title, over discs that hold the share DISC of sharp pictures."""
    radius = TEXTURE * (-2 * log(1 - DISC)) ** 0.5  # of a round Gaussian in two dimensions
    figure, (row,) = subplots(1, len(panels), width=1.9, height=2.4)
    for axes, (title, points) in zip(row, panels.items(), strict=True):
        for mean in PIXELS.tolist():
            axes.add_patch(Circle(mean, radius, color=PALETTE[4], alpha=0.35, linewidth=0))
        axes.scatter(*points.T, s=4, color=PALETTE[0], linewidths=0)
        axes.set(title=title, xlabel="left pixel", aspect="equal", xlim=(-1.1, 1.1), ylim=(-1.1, 1.1))
    row[0].set_ylabel("right pixel")
    return Figure("restorations", figure, caption)


def _trade_off_figure(exact: Result, steps: list[Result]) -> Figure:
    figure, ((axes,),) = subplots(width=5.2, height=3.4)
    least = exact.values["least"]

    def curve(points: list[tuple[str, float, float]], label: str, color: str, marker: str, below: bool) -> None:
        axes.plot([mse / least for _, mse, _ in points], [far for _, _, far in points], color=color, marker=marker,
                  markersize=4, label=label)  # fmt: skip
        for name, mse, far in points:
            if name in ("50", "100", "200"):  # on top of 500
                continue
            axes.annotate(name, (mse / least, far), xytext=(-3, -3) if below else (4, 3), textcoords="offset points",
                          fontsize=7, color=color, ha="right" if below else "left",
                          va="top" if below else "bottom")  # fmt: skip

    single = [(str(run.job.settings["steps"]), run.values["mse"]["1"], run.values["distance"]["1"]) for run in steps]
    curve(single, "one sample, T steps", PALETTE[0], "o", below=False)
    curve(
        [(str(count), mse, far) for count, mse, far in averages(exact)],
        "mean of n exact samples",
        PALETTE[1],
        "s",
        below=True,
    )
    axes.plot(1, exact.values["distance of the mean"], "*", color=PALETTE[6], markersize=10, label="E[x | y]")
    axes.set(xlabel="mean squared error, times the least", ylabel=DISTANCE)
    axes.legend()
    caption = (
        "The trade-off, with no network that could be blamed: nothing lies at the lower left. Numbers are T and n. "
        "Fewer steps and more averaging both lower the error, and pay with likeness to sharp pictures."
    )
    return Figure("trade_off", figure, caption)


def _grid_figure(results: list[Result]) -> Figure:
    figure, (row,) = subplots(1, 2, width=3.6, height=3.3)
    for axes, score, label in zip(row, ("mse", "distance"), ("mean squared error, times the least",
                                  DISTANCE), strict=True):  # fmt: skip
        for residual, dash in ((True, "-"), (False, ":")):
            runs = grid(results, residual)
            for last, color in zip(sorted({last for _, last in runs}), PALETTE, strict=False):
                curve = sorted((steps, relative(run, score)) for (steps, other), run in runs.items() if other == last)
                name = f"{last:g}, {'residual' if residual else 'picture'}"
                axes.plot(*zip(*curve, strict=True), dash, marker="o", markersize=3, color=color, label=name)
        axes.set(xscale="log", xlabel="T", ylabel=label, xticks=(ticks := sorted({steps for steps, _ in runs})),
                 xticklabels=ticks)  # fmt: skip
        axes.minorticks_off()
    row[0].legend(title="last beta", fontsize=7, title_fontsize=7)
    caption = (
        "Linear schedules, of residuals (solid) and of pictures (dotted). Look at small T and small betas: they end "
        "far from pure noise, and their samples are neither near the truth nor like sharp pictures. Dotted and solid "
        "meet where the schedule ends in noise."
    )
    return Figure("schedules", figure, caption)


def evidence(results: list[Result]) -> dict[str, Evidence]:
    """C3.5 by the paper's own table, which decides nothing: whether every preference that it states exceeds one half
    beyond chance, were its ratings independent."""
    if not results:
        return {}
    lows = [rate_interval(round(TABLE_3[pair][0] / 100 * RATINGS), RATINGS).low for pair in STATED]
    mirrored = all(abs(sum(cells) - 100) < 0.05 for cells in TABLE_3.values())
    strange = [pair for pair, cells in TABLE_3.items() if not possible(cells[0], RATINGS)]
    ours = (
        f"by the paper's Table 3 {sum(low > 0.5 for low in lows)} of {len(STATED)} preferences exceed one half beyond "
        f"chance (lowest 95 % limit {100 * min(lows):.1f} %), were all {RATINGS} ratings of each independent; the "
        "smallest needs "
        f"{RATINGS / min(slack(TABLE_3[pair][0]) for pair in STATED):.0f} that are"
    )
    reduced = (
        "only the paper's own table was read; nobody was asked again, its ratings are not independent, and "
        f"{len(strange)} of its {len(TABLE_3)} percentages are no share of {RATINGS}"
    )
    found = {"C3.5": Evidence(holds=mirrored and min(lows) > 0.5, ours=ours, reduced=reduced)}
    for run in of_task(results, draw_exactly):
        off = [mse / run.values["least"] / (1 + 1 / count) - 1 for count, mse, _ in averages(run)]
        counts = ", ".join(str(count) for count, *_ in averages(run))
        most = max(map(abs, off))
        ours = f"off by at most {100 * most:.2g} %, means of {counts} samples of an exact posterior"
        found["A3.1"] = Evidence(holds=most < LAW, ours=ours)
    return found


STUDY = Study(
    "refinement_toy", "Perception against distortion, without a network (refinement)", "refinement",
    "11_refinement_toy", PROFILES, jobs, tables, figures, evidence, claims=("C3.5", "A3.1"),
)  # fmt: skip
