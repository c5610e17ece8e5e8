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


def made_up(first=28.0, batch=28.5, network=29.0, averaging=0.2, seeds=(0, 1, 2), profile=OVERNIGHT):
    """Results in a shuffled order: PSNR in dB of each rung with averaged weights, and what averaging gains; the same
    for all seeds but for a little chance. Blurry pictures have 27."""
    random, found = np.random.default_rng(0), []
    for job in STUDY.jobs(profile):
        settings = job.settings
        if settings["seed"] not in seeds:
            continue
        large = settings["design"]["predictor_width"] == profile.width
        level = network if large else batch if settings["settings"]["batch"] == profile.batch else first
        difficulty, chance = np.arange(len(NAMES)) / 3, random.normal(size=(2, len(NAMES))) / 50
        values = {"names": NAMES, "blurry": list(27 + difficulty), "parameters": 400_000 if large else 100_000}
        values |= {"psnr": list(level + difficulty + chance[0])}
        values |= {"last": list(level - averaging + difficulty + chance[1])}
        found.append(Result(job, values, {}, {}))
    random.shuffle(found)
    return found


def test_every_rung_is_compared_with_the_one_below_and_with_its_last_weights():
    added, averaged = ablation.steps_up(made_up()), ablation.averaging(made_up())
    assert [comparison.effect for comparison in added.values()] == pytest.approx([0.5, 0.5], abs=0.02)
    assert [comparison.effect for comparison in averaged.values()] == pytest.approx([0.2] * 3, abs=0.02)
    assert list(added) == [ablation.BATCH, ablation.NETWORK] and list(averaged) == [ablation.FIRST, *added]
    assert all(comparison.low > 0 for comparison in (*added.values(), *averaged.values()))
    (table,) = STUDY.tables(made_up())
    assert [row[1:3] for row in table.rows] == [(None, None), (4, "100,000"), (16, "100,000"), (16, "400,000")]
    assert [row[6] is None for row in table.rows] == [True, True, False, False]


@pytest.mark.parametrize("harm", [{"averaging": -0.2}, {"batch": 27.8}, {"network": 28.2}])
def test_a_remedy_that_harms_speaks_against_the_claim(harm):
    (evidence,) = STUDY.evidence(made_up(**harm)).values()
    assert min(evidence.comparisons, key=lambda comparison: comparison.effect).high < 0
    assert verdict(evidence) == "inconclusive"


def test_what_is_unlike_the_paper_is_said():
    (evidence,) = STUDY.evidence(made_up()).values()
    assert "0.43 M parameters, not 33 M" in evidence.reduced and "2,000 steps" in evidence.reduced
    assert "HINet was not run" in evidence.reduced and "over the blurry picture" not in evidence.reduced
    (evidence,) = STUDY.evidence(made_up(first=27.1)).values()
    assert "“small batch and network” gains less than 0.2 dB over the blurry picture" in evidence.reduced


@pytest.mark.parametrize("seeds", [(), (0,), (0, 2)])
def test_an_unfinished_run_is_shown_as_far_as_it_is(seeds):
    results = made_up(seeds=seeds)
    assert len(STUDY.tables(results)) == len(STUDY.figures(results)) == len(STUDY.evidence(results)) == bool(seeds)
    for rung, runs in ablation.trainings(results).items():
        assert set(ablation.averaging(runs)) == {rung}, "a training alone keeps its name"
        assert not ablation.steps_up(runs) and len(STUDY.tables(runs)[0].rows) == 2


def test_the_ladder_is_fair():
    """As many steps on every rung, by a constant rate, since a falling one averages too; and the average reaches back
    over a small part of the training, as the paper's does."""
    for name in ("overnight", "paper"):
        profile = ablation.PROFILES[name]
        recipes = [job.settings["settings"] for job in STUDY.jobs(profile)]
        assert len({recipe["steps"] for recipe in recipes}) == 1
        assert {recipe["schedule"] for recipe in recipes} == {"constant"}
        assert 1 / (1 - profile.settings.average) <= 0.05 * profile.settings.steps + 1e-6
        assert profile.batch > profile.settings.batch and profile.width > profile.design.predictor_width


def test_runs_in_seconds(tmp_path):
    results = studies.collect(STUDY, "smoke", Store(tmp_path), compute=True)
    assert [len(runs) for runs in ablation.trainings(results).values()] == [1, 1, 1]
    assert results[0].values["psnr"] != results[0].values["last"], "the average lags behind the last weights"
    (figure,) = STUDY.figures(results)
    assert figure.name == "ladder"
