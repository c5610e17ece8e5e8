"""How many decoders: equal conditions for all, rivals of equal cost, and what made-up results lead to."""

from dataclasses import replace

import numpy as np
import pytest

from deblur_core import studies
from deblur_core.runs import Result, run_job
from deblur_core.studies import learning
from deblur_core.studies import xydeblur_decoders as decoders
from deblur_core.studies.claims import verdict

STUDY = studies.get("xydeblur_decoders")
PLACES = [f"picture {i}, {kind}" for i in range(8) for kind in "xy"]


def made_up(gains, seeds=(0, 1, 2, 3), scatter=0.02):
    """Results at overnight's sizes: gains in dB of 1 to 4 rotated decoders; what else there is gains nothing."""
    profile = replace(decoders.PROFILES["overnight"], seeds=(0, 1, 2, 3))
    random = np.random.default_rng(0)
    found = []
    for job in (job for job in STUDY.jobs(profile) if "seed" in job.settings):
        network, seed = job.settings["network"], job.settings["seed"]
        plain = network["shared"] and (network["width"], network["blocks"]) == (profile.width, profile.blocks)
        gain = gains[network["decoders"] - 1] if plain else 0.0
        blurry = 25 + np.arange(len(PLACES)) / 2  # pictures differ far more than networks
        noise = scatter * (random.normal() + random.normal(size=len(PLACES)))
        values = {
            "names": PLACES,
            "psnr": (blurry + gain + noise).tolist(),
            "blurry": blurry.tolist(),
            "parameters": 1000,
            "curve": [{"step": 1, "loss": 0.1, "psnr": 29.0}, {"step": 2, "loss": 0.1, "psnr": 29.5}],
        }
        if seed in seeds:
            found.append(Result(job, values, {}, {}))
    return found


@pytest.mark.parametrize(
    ("gains", "says"),
    [
        ((0.0, 0.3, 0.35, 0.35), "reproduced"),
        ((0.0, 0.2, 0.4, 0.6), "contradicted"),  # the fourth helps as the second did
        ((0.0, 0.2, 0.8, 0.2), "contradicted"),  # three would be better
        ((0.0, -0.3, -0.3, -0.3), "contradicted"),  # one is enough
        ((0.0, 0.005, 0.005, 0.005), "inconclusive"),
    ],
)
def test_enough_means_that_the_second_brings_more_than_those_after_it(gains, says):
    found = STUDY.evidence(made_up(gains))["C4.6"]
    assert verdict(replace(found, reduced="")) == says
    assert verdict(found) == "inconclusive" and "networks of 16 channels, not 32" in found.reduced, "far smaller"
    assert not decoders.smaller(STUDY.jobs(decoders.PROFILES["paper"])[-1].settings)


def test_one_seed_decides_nothing():
    assert verdict(STUDY.evidence(made_up((0.0, 0.3, 0.3, 0.3), seeds=(2,), scatter=0))["C4.6"]) == "inconclusive"


def test_an_open_question_says_how_many_seeds_it_would_take():
    results = made_up((0.0, 0.005, 0.005, 0.005))
    two, one = (decoders.arms(results)[name] for name in ("2 rotated", decoders.SINGLE))
    needed = learning.more_needed(learning.differences(two, one))
    assert needed.startswith("about ") and "seeds" in needed
    assert f"PSNR, 2 − 1 decoders would need {needed}" in STUDY.evidence(results)["C4.6"].ours
    (table,) = STUDY.tables(results)
    column = {row[0]: row[-1] for row in table.rows}
    assert column["2 rotated"] == needed
    (table,) = STUDY.tables(made_up((0.0, 0.3, 0.3, 0.3)))
    assert {row[0]: row[-1] for row in table.rows}["2 rotated"] == "settled"
    (table,) = STUDY.tables(made_up((0.0, 0.3, 0.3, 0.3), seeds=(0,)))
    assert {row[0]: row[-1] for row in table.rows}["2 rotated"] == "at least 2 seeds"


def test_the_shipped_pair_is_compared_picture_by_picture_and_with_shorter_training():
    blurry = np.full(len(PLACES), 25.0)
    random = np.random.default_rng(0)

    def shipped(model, gain):
        job = decoders.Job.create(learning.shipped, model=model, pictures=decoders.PROFILES["overnight"].pictures)
        values = {"names": PLACES, "blurry": blurry.tolist(), "parameters": 1000,
                  "psnr": (blurry + gain + 0.01 * random.normal(size=len(PLACES))).tolist()}  # fmt: skip
        return Result(job, values, {}, {})

    ahead = [shipped("xydeblur_unet", 3.0), shipped("xydeblur", 3.4)]
    found = decoders.pair_shipped(ahead)
    assert found.n == 8 and found.of == "pictures" and found.low > 0 and found.effect == pytest.approx(0.4, abs=0.02)
    assert decoders.pair_shipped(ahead[:1]) is None
    open_yet, alike = made_up((0.0, 0.005, 0.005, 0.005)), made_up((0.0, 0.3, 0.3, 0.3))
    caption = STUDY.tables(open_yet + ahead)[-1].caption
    steps = decoders.weights.card("xydeblur")["recipe"]["steps"]
    assert f"After {steps:,} steps" in caption and "ahead on these pictures; after the 2,500" in caption
    assert "steps" not in STUDY.tables(alike + ahead)[-1].caption, "nothing has changed"
    assert "no interval over seeds" in STUDY.tables(ahead + alike)[-1].caption


def test_two_points_are_no_curve():
    results = made_up((0, 0, 0, 0))
    assert "curves" not in [figure.name for figure in STUDY.figures(results)]
    for run in results:
        run.values["curve"] = [{"step": step, "psnr": 30.0} for step in (1, 2, 3)]
    assert "curves" in [figure.name for figure in STUDY.figures(results)]


@pytest.mark.parametrize("profile", studies.PROFILES)
def test_all_networks_train_under_the_same_conditions(profile):
    runs = [job for job in studies.jobs(STUDY, profile) if "seed" in job.settings]
    for condition in ("pictures", "settings"):
        assert all(run.settings[condition] == runs[0].settings[condition] for run in runs)
    networks = [run.settings["network"] for run in runs]
    seeds = [run.settings["seed"] for run in runs]
    per_network = [{seed for seed, other in zip(seeds, networks, strict=True) if other == one} for one in networks]
    assert all(found == set(seeds) for found in per_network)
    assert len(set(seeds)) >= (3 if profile in studies.study.DECIDING else 1)


@pytest.mark.parametrize("profile", studies.PROFILES)
def test_rivals_cost_what_two_decoders_cost_as_nearly_as_whole_numbers_allow(profile):
    size = decoders.PROFILES[profile]
    pair = decoders.multiply_adds(2, size.width, size.blocks)

    def off(width, blocks):
        return abs(decoders.multiply_adds(1, width, blocks) / pair - 1)

    assert off(size.wider, size.blocks) == min(off(size.wider + step, size.blocks) for step in (-1, 0, 1))
    assert off(size.width, size.deeper) == min(off(size.width, size.deeper + step) for step in (-1, 0, 1))


def test_the_paper_has_the_paper_s_network():
    assert decoders.multiply_adds(1, 32, 6) == pytest.approx(640.5e9, abs=0.05e9)
    assert {(n["width"], n["blocks"]) for n in decoders.networks(decoders.PROFILES["paper"])} == {
        (32, 6), (39, 6), (32, 9)
    }  # fmt: skip


@pytest.fixture(scope="module")
def results():
    return [run_job(job) for job in studies.jobs(STUDY, "smoke")]


def test_a_run(results):
    found = decoders.arms(results)
    assert list(found) == [*decoders.ROTATED, "2 separate", decoders.WIDER, decoders.DEEPER]
    parameters = {name: runs[0].values["parameters"] for name, runs in found.items()}
    assert len({parameters[name] for name in decoders.ROTATED}) == 1
    assert parameters["2 separate"] > parameters["2 rotated"]
    measured = decoders.measured_costs(results)
    for cost in ("bytes", "seconds"):
        assert all(measured[name][cost] > 0 for name in found)
        assert measured[decoders.SINGLE][cost] == 1
    memory = [measured[name]["bytes"] for name in decoders.ROTATED]
    assert memory == sorted(memory) and 1.3 < memory[1] < 1.8


def test_tables_and_figures_take_any_subset(results):
    bare = [Result(result.job, result.values, {}, {}) for result in results]  # as recorded ones
    for subset in ([], results[:1], results[1:2], results[3:5], bare, results):
        for table in STUDY.tables(subset):
            assert table.to_markdown()
        for figure in STUDY.figures(subset):
            assert figure.caption
    drawn = [figure.name for figure in STUDY.figures(results)]
    assert drawn == ["decoders", "pictures", "shipped"] and len(STUDY.figures(bare)) == 1
    assert STUDY.evidence(results[:3]) == {}
    assert set(STUDY.evidence(results)) == set(STUDY.claims)
