"""The ladder of plain regression: what made-up results lead to, and a run in seconds."""

import numpy as np
import pytest

from deblur_core import studies
from deblur_core.runs import Result, Store
from deblur_core.studies import regression_ablation as ablation
from deblur_core.studies.claims import verdict

STUDY = studies.get("regression_ablation")
OVERNIGHT = ablation.PROFILES["overnight"]
NAMES = [f"kodim{i:02}, {kind}" for i in range(1, 13) for kind in ("shake", "x")]


def made_up(last=28.0, averaged=28.2, batch=28.5, network=29.0, seeds=(0, 1, 2), profile=OVERNIGHT):
    """Results in a shuffled order: PSNR in dB of each rung, the same for all seeds but for a little chance."""
    random, found = np.random.default_rng(0), []
    for job in STUDY.jobs(profile):
        settings = job.settings
        if settings["seed"] not in seeds:
            continue
        large, many = (settings["design"]["predictor_width"] == profile.width,
                       settings["settings"]["batch"] == profile.batch)  # fmt: skip
        level = network if large else batch if many else averaged
        difficulty, chance = np.arange(len(NAMES)) / 3, random.normal(size=(2, len(NAMES))) / 50
        values = {"names": NAMES, "blurry": [27.0] * len(NAMES), "parameters": 400_000 if large else 100_000}
        values |= {"psnr": list(level + difficulty + chance[0]), "last": list(last + difficulty + chance[1])}
        found.append(Result(job, values, {}, {}))
    random.shuffle(found)
    return found


def test_every_rung_is_compared_with_the_one_below():
    added = ablation.steps_up(ablation.ladder(made_up()))
    assert list(added) == [ablation.AVERAGED, ablation.BATCH, ablation.NETWORK]
    assert [comparison.effect for comparison in added.values()] == pytest.approx([0.2, 0.3, 0.5], abs=0.02)
    assert all(comparison.low > 0 for comparison in added.values())
    (table,) = STUDY.tables(made_up())
    assert [row[1] for row in table.rows] == [None, 4, 4, 16, 16]
    assert [row[2] for row in table.rows] == [None, "100,000", "100,000", "100,000", "400,000"]
    assert [row[4] is None for row in table.rows] == [True, True, False, False, False]


@pytest.mark.parametrize("rung", ["averaged", "batch", "network"])
def test_a_remedy_that_harms_speaks_against_the_claim(rung):
    (evidence,) = STUDY.evidence(made_up(**{rung: 27.0})).values()
    low = min(evidence.comparisons, key=lambda comparison: comparison.effect)
    assert low.high < 0
    assert "HINet was not run" in evidence.reduced and verdict(evidence) == "inconclusive"


def test_the_paper_s_size_and_hinet_are_missed():
    (evidence,) = STUDY.evidence(made_up()).values()
    assert "0.43 M parameters, not 33 M" in evidence.reduced and "2,000 steps" in evidence.reduced


@pytest.mark.parametrize("seeds", [(), (0,), (0, 2)])
def test_an_unfinished_run_is_shown_as_far_as_it_is(seeds):
    results = made_up(seeds=seeds)
    assert len(STUDY.tables(results)) == len(STUDY.figures(results)) == len(STUDY.evidence(results)) == bool(seeds)
    for rung, runs in ablation.trainings(results).items():
        there = {ablation.LAST, ablation.AVERAGED} if rung == ablation.AVERAGED else {rung}
        assert set(ablation.ladder(runs)) == there, "a training alone keeps its name"


def test_the_ladder_is_fair():
    """As many steps on every rung, by a constant rate, since a falling one averages too; and the average reaches back
    over a small part of the training, as the paper's does."""
    for name in ("overnight", "paper"):
        profile = ablation.PROFILES[name]
        recipes = [job.settings["settings"] for job in STUDY.jobs(profile)]
        assert len({recipe["steps"] for recipe in recipes}) == 1
        assert {recipe["schedule"] for recipe in recipes} == {"constant"}
        assert 1 / (1 - profile.settings.average) <= 0.05 * profile.settings.steps
        assert profile.batch > profile.settings.batch and profile.width > profile.design.predictor_width


def test_runs_in_seconds(tmp_path):
    results = studies.collect(STUDY, "smoke", Store(tmp_path), compute=True)
    assert [len(runs) for runs in ablation.trainings(results).values()] == [1, 1, 1]
    assert results[0].values["psnr"] != results[0].values["last"], "the average lags behind the last weights"
    (figure,) = STUDY.figures(results)
    assert figure.name == "ladder"
