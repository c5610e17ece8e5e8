"""The plug-in's costs are the paper's, and what its study concludes from training runs."""

import dataclasses
from dataclasses import replace

import numpy as np
import pytest

from deblur_core import studies
from deblur_core.models.backbones import FORMS, NETWORKS, TABLE_2
from deblur_core.runs import Result, run_job
from deblur_core.studies import xydeblur_backbones as plug
from deblur_core.studies.claims import verdict
from deblur_core.studies.learning import Pictures, learn, learn_job

STUDY = studies.get("xydeblur_backbones")
SEEDS = (0, 1, 2)
PLACES = [f"picture {i}, {kind}" for i in range(8) for kind in ("x", "y")]


@pytest.fixture(scope="module")
def results():
    return [run_job(job) for job in studies.jobs(STUDY, "smoke")]


def made_up(advantage, scatter_of_seeds=0.0, networks=NETWORKS):
    """Runs whose forms differ from the baseline by advantage[form] dB, plus a part that is each run's own."""
    random = np.random.default_rng(0)
    runs = []
    for name in networks:
        for form in FORMS:
            for seed in SEEDS:
                job = learn_job({"name": name, "form": form}, Pictures(), plug.PROFILES["smoke"].settings, seed)
                gains = (
                    1 + advantage[form] + scatter_of_seeds * random.normal() + 0.01 * random.normal(size=len(PLACES))
                )
                blurry = np.linspace(24, 32, len(PLACES))
                values = {"names": PLACES, "psnr": (blurry + gains).tolist(), "blurry": blurry.tolist(),
                          "parameters": 1000, "curve": [], "doubts": []}  # fmt: skip
                runs.append(Result(job, values, {}, {}))
    return runs


HELPS = {"baseline": 0.0, "channel": 0.1, "layer": 0.2, "ours": 0.4}


# Costs


def test_costs_are_those_of_table_2(results):
    found = plug.costs(results)
    assert set(found) == set(TABLE_2)
    for name, forms in found.items():
        assert forms["ours"]["parameters"] == forms["baseline"]["parameters"]
        for form, values in forms.items():
            parameters, gmacs = TABLE_2[name][form]
            assert values["macs_as_ptflops"] / 1e9 == pytest.approx(gmacs, abs=0.005)
            assert values["parameters"] / 1e6 == pytest.approx(parameters, abs=0.012)


def test_the_papers_memory_is_that_of_training(results):
    for name, forms in plug.costs(results).items():
        paper = plug.paper_times(name, "training_bytes")
        assert plug.times(forms, "training_bytes") == pytest.approx(paper, abs=0.07)
        assert abs(plug.times(forms, "restoring_bytes")["layer"] - paper["layer"]) > 0.3


def test_the_paper_says_what_the_claims_quote():
    gains = [plug.PAPER[name]["ours"][i] - plug.PAPER[name]["baseline"][i] for i in (0, 1) for name in plug.PAPER]
    assert [round(gain, 2) for gain in gains] == [0.33, 0.35, 0.76, 0.10, 1.05, 0.28]
    assert [round(plug.paper_times(name, "training_bytes")["ours"], 2) for name in plug.PAPER] == [1.5, 1.49, 1.49]
    assert [round(plug.paper_times(name, "macs_as_ptflops")["ours"], 2) for name in plug.PAPER] == [1.53, 1.59, 1.47]


def test_other_counts_would_contradict_the_claim(results):
    found = STUDY.evidence(results)["C4.2"]
    assert settled(found) == "exact"
    assert verdict(found) == "inconclusive" and "inferred from these counts" in found.reduced, "not found and confirmed"
    for value, factor in (("macs_as_ptflops", 1.01), ("training_bytes", 1.2)):
        changed = [
            dataclasses.replace(run, values=run.values | {value: run.values[value] * factor})
            if run.job.settings.get("form") == "ours"
            else run
            for run in results
        ]
        assert settled(STUDY.evidence(changed)["C4.2"]) == "contradicted"


# Gains


def settled(evidence):
    """The verdict if these runs were on the paper's own data, and the layouts from its text."""
    return verdict(replace(evidence, reduced=""))


def test_runs_say_what_they_show():
    found = STUDY.evidence(made_up(HELPS))
    assert set(found) == {"C4.1", "C4.3"}
    assert len(found["C4.1"].comparisons) == 3 and len(found["C4.3"].comparisons) == 6
    assert settled(found["C4.1"]) == settled(found["C4.3"]) == "reproduced"
    assert verdict(found["C4.1"]) == "inconclusive", "blur made here decides nothing about GoPro"
    assert found["C4.1"].comparisons[0].effect == pytest.approx(0.4, abs=0.02)
    assert "neither GoPro nor RealBlur" in found["C4.1"].reduced


def test_a_better_rival_contradicts_only_its_claim():
    found = STUDY.evidence(made_up(HELPS | {"channel": 0.6}))
    assert settled(found["C4.1"]) == "reproduced" and settled(found["C4.3"]) == "contradicted"


def test_an_advantage_within_the_scatter_of_seeds_is_inconclusive_and_says_how_many_it_takes():
    """Sixteen pictures agree within each run: an interval over pictures alone would call it settled."""
    found = STUDY.evidence(made_up(HELPS, scatter_of_seeds=0.5))
    assert settled(found["C4.1"]) == "inconclusive"
    assert "seeds needed)" in found["C4.1"].ours and "pictures" not in found["C4.1"].ours
    assert all(comparison.n == len(SEEDS) for comparison in found["C4.1"].comparisons)


def test_missing_networks_and_seeds_are_told():
    found = STUDY.evidence(made_up(HELPS, networks=("MSCNN",)))
    assert "without PSS-NSC and DMPHN" in found["C4.1"].reduced
    other_seeds = [run for run in made_up(HELPS) if (run.job.settings["seed"] == 0) == (
        run.job.settings["network"]["form"] == "ours")]  # fmt: skip
    assert STUDY.evidence(other_seeds) == {}
    assert STUDY.tables(other_seeds)


def test_runs_that_learned_nothing_are_told_beside_means_and_claims():
    assert "no better" not in STUDY.tables(made_up(HELPS))[0].caption
    runs = made_up(HELPS | {"channel": -1.0})
    named = "PSS-NSC channel, seeds"
    assert named in STUDY.tables(runs)[0].caption and named in STUDY.evidence(runs)["C4.3"].reduced
    assert "no better" not in STUDY.evidence(runs)["C4.1"].reduced, "no run that it compares"


def test_one_seed_has_no_scatter():
    def caption(runs):
        return next(figure for figure in STUDY.figures(runs) if figure.name == "gains").caption

    assert "than the dots scatter" in caption(made_up(HELPS))
    alone = caption([run for run in made_up(HELPS) if run.job.settings["seed"] == 0])
    assert "no scatter to compare with" in alone and "than the dots scatter" not in alone


# The whole


def test_smoke_run_draws_everything_from_any_subset(results):
    for subset in ([], results[:3], results[-1:], results):
        assert all(table.to_markdown() for table in STUDY.tables(subset))
        assert all(figure.caption for figure in STUDY.figures(subset))
    assert [figure.name for figure in STUDY.figures(results)] == ["costs", "gains", "restored_mscnn"]
    assert set(STUDY.evidence(results)) == {"C4.1", "C4.2"}


def test_profiles_train_what_the_claims_need():
    for profile in ("overnight", "paper"):
        runs = [job.settings for job in studies.jobs(STUDY, profile) if job.task.endswith(f":{learn.__name__}")]
        asked = {(run["network"]["name"], run["network"]["form"], run["seed"]) for run in runs}
        assert len(runs) == len(asked) == len(NETWORKS) * len(FORMS) * 3
        assert all(set(run["pictures"]["sources"]).isdisjoint(run["pictures"]["held_out"]) for run in runs)
