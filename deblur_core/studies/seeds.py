"""What the seed decides for SelfDeblur, and whether a run betrays by its data term that it has failed.

A part of the study `when_it_fails`: of runs of `pairs.restore`, the same pair and recipe with several seeds.
"""

from __future__ import annotations

import numpy as np
from matplotlib.ticker import MaxNLocator
from scipy import stats

from deblur_core import metrics
from deblur_core.runs import Result
from deblur_core.studies import pairs
from deblur_core.studies.pairs import gain
from deblur_core.studies.study import Figure, Table, grouped, of_task, with_interval
from deblur_core.studies.style import DASHED, PALETTE, subplots

Setups = dict[str, dict[str, list[Result]]]
"""Runs by set-up, in words, and pair: one for every seed."""


def seed_runs(results: list[Result]) -> Setups:
    """The undisturbed runs."""

    def setup(run: Result) -> str:
        settings = run.job.settings
        extent = f"{settings['crop']} px crops" if settings["crop"] else "whole pictures"
        return f"{settings['dataset']}, {extent}, {settings['recipe']['iterations']} iterations"

    return {
        words: grouped(runs, lambda run: run.job.settings["pair"])
        for words, runs in grouped(of_task(results, pairs.restore), setup).items()
    }


def all_of(by_pair: dict[str, list[Result]]) -> list[Result]:
    return [run for group in by_pair.values() for run in group]


def _psnr(run: Result) -> float:
    return run.values["psnr"]


def repeated(by_pair: dict[str, list[Result]]) -> list[tuple[list[Result], np.ndarray]]:
    """The runs and PSNRs of the pairs that have run with several seeds."""
    return [(group, np.array(list(map(_psnr, group)))) for group in by_pair.values() if len(group) > 1]


def scatter_of_seeds(by_pair: dict[str, list[Result]]) -> float:
    """Standard deviation of PSNR between the seeds of a pair, pooled over pairs."""
    return float(np.sqrt(np.mean([values.var(ddof=1) for _, values in repeated(by_pair)])))


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


def betrayed(runs: list[Result]) -> float | None:
    """Share of (failed, good) run pairings in which the failed run has the larger data term; None without either."""
    failed, good = ([run.values["data_term"] for run in runs if pairs.failed(run) is truth] for truth in (True, False))
    return float(np.mean(np.greater.outer(failed, good))) if failed and good else None


# Tables


def tables(results: list[Result]) -> list[Table]:
    return [_seed_table(seed_runs(results)), _restart_table(seed_runs(results))]


def _seed_table(found: Setups) -> Table:
    rows: list[tuple[object, ...]] = []
    for setup, by_pair in found.items():
        runs, scatter, gap, slips = all_of(by_pair), None, None, None
        if several := [values for _, values in repeated(by_pair)]:
            scatter = f"{scatter_of_seeds(by_pair):.2f}"
            gap = f"{max(np.ptp(values) for values in several):.1f}"
            slipped = sum((values < values.max() - pairs.FAILED_BELOW).sum() for values in several)
            slips = f"{slipped} of {sum(len(values) - 1 for values in several)}"
        mean = pairs.compare("PSNR", [run.job.settings["pair"] for run in runs], list(map(_psnr, runs)))
        interval = f" [{mean.low:.2f}, {mean.high:.2f}]" if np.isfinite(mean.low) else ""
        rows.append((
            setup, len(by_pair), len(runs), f"{mean.effect:.2f}{interval}", scatter, gap,
            pairs.counted([any(map(pairs.failed, group)) for group in by_pair.values()]),
            f"{sum(map(pairs.failed, runs))} of {len(runs)}", slips,
        ))  # fmt: skip
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


def _restart_table(found: Setups) -> Table:
    rows: list[tuple[object, ...]] = []
    for setup, by_pair in found.items():
        share, hits, chance, gained, best = betrayed(all_of(by_pair)), None, None, None, None
        if several := repeated(by_pair):
            names = [group[0].job.settings["pair"] for group, _ in several]
            seeds = [values for _, values in several]
            chosen = [_psnr(min(group, key=lambda run: run.values["data_term"])) for group, _ in several]
            hits = pairs.counted([choice == values.max() for choice, values in zip(chosen, seeds, strict=True)])
            chance = f"{np.mean([1 / len(values) for values in seeds]):.0%}"
            gains = [choice - values.mean() for choice, values in zip(chosen, seeds, strict=True)]
            gained = with_interval(pairs.compare("gain", names, gains))
            best = f"{np.mean([values.max() - values.mean() for values in seeds]):.2f}"
        rows.append((setup, None if share is None else f"{share:.0%}", hits, chance, gained, best))
    columns = ("runs of", "failed above good", "least is best [95 %]", "by chance", "gain of the rule (dB) [95 %]")
    caption = (
        "Failed above good: in how many pairings of a failed with a good run the failed one has the larger data term; "
        "50 % is no information. The rule: start a few seeds and keep the run of the least data term. Its gain is over "
        "a seed at random, beside that of an oracle that knows the best seed."
    )
    return Table("Does the data term betray a failure?", (*columns, "of an oracle (dB)"), rows, caption)


# Figures


def figures(results: list[Result]) -> list[Figure]:
    found = seed_runs(results)
    return [_seed_dots(found), *_seed_pictures(found), _data_terms(found)] if found else []


def _seed_dots(found: Setups) -> Figure:
    figure, rows = subplots(len(found), 1, width=6.4, height=2.6)
    for (axes,), (setup, by_pair) in zip(rows, found.items(), strict=True):
        for i, group in enumerate(sorted(by_pair.values(), key=lambda group: max(map(gain, group)))):
            axes.plot([i, i], [min(map(gain, group)), max(map(gain, group))], color="0.7", linewidth=1, zorder=1)
            for run in group:
                color = PALETTE[1] if pairs.failed(run) else PALETTE[0]
                axes.plot(i, gain(run), "o", color=color, markersize=4)
        axes.axhline(pairs.FAILED_BELOW, **DASHED)
        axes.set(title=setup, xlabel="pair, by its best seed", ylabel="gain (dB)", xticks=[])
    caption = (
        "Every run is a dot, the seeds of a pair on one line. Below the dashed line, in orange, a run has failed. Look "
        "for long lines: there the seed decides."
    )
    return Figure("seeds", figure, caption)


def _seed_pictures(found: Setups) -> list[Figure]:
    groups = [pairs.drawable(group) for by_pair in found.values() for group in by_pair.values()]
    group = max(groups, key=len, default=[])
    if len(group) < 2:
        return []
    columns = [pairs.found_column(f"seed {run.job.settings['seed']}", run) for run in group]
    caption = f"{group[0].job.settings['pair']}: the same picture and recipe, other random numbers. Compare kernels."
    return [pairs.gallery("seed_pictures", [*columns, pairs.truth_column(pairs.target_of(group[0]))], caption)]


def _data_terms(found: Setups) -> Figure:
    several = any(repeated(by_pair) for by_pair in found.values())
    figure, (row,) = subplots(1, 1 + several, width=3.8, height=3.1)
    left, right = row[0], row[-1]
    for (setup, by_pair), marker in zip(found.items(), "os", strict=False):
        runs = all_of(by_pair)
        for failed, color, word in ((False, PALETTE[0], "good"), (True, PALETTE[1], "failed")):
            some = [run for run in runs if pairs.failed(run) is failed]
            terms = [run.values["data_term"] for run in some]
            label = f"{word}, {setup.split(', ')[1]}" if some else None
            left.plot(terms, [gain(run) for run in some], marker, color=color, markersize=4, label=label)
        for group, values in repeated(by_pair):
            logarithms = np.log2([run.values["data_term"] for run in group])
            ratios = 2 ** (logarithms - logarithms.mean())
            right.plot(ratios, values - values.mean(), marker, color=PALETTE[2], markersize=4)
    left.axhline(pairs.FAILED_BELOW, **DASHED)
    left.set(xscale="log", xlabel="data term (10⁻⁶)", ylabel="gain (dB)", title="all runs")
    left.xaxis.set_major_locator(MaxNLocator(4))  # they lie within a decade or so, which may hold no power of ten
    left.xaxis.set_major_formatter(lambda term, _: f"{1e6 * term:g}")
    left.xaxis.set_minor_formatter("")
    left.legend(fontsize=7)
    caption = "If the data term betrayed failures, orange dots would lie to the right of the blue ones"
    if several:
        right.axhline(0, color="0.5", linewidth=0.8)
        right.set(xlabel="data term, pair's mean = 1", ylabel="PSNR − pair's mean (dB)", title="seeds of each pair")
        caption += ", and the green ones would fall from the upper left to the lower right"
    caption += "."
    return Figure("data_term", figure, caption)
