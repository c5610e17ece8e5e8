"""The SelfDeblur studies on made-up results: who is compared with whom, and what the tables then say."""

from dataclasses import replace

import pytest

from deblur_core.runs import Result
from deblur_core.studies import collect, get, jobs, levin_benchmark, pairs
from deblur_core.studies.claims import verdict
from deblur_core.studies.joint_vs_alternating import PROFILES, STUDY, Profile, arms


def result(job, psnr, delta=0.3):
    scores = {"psnr": psnr, "ssim": psnr / 40, "kernel_similarity": 0.9, "kernel_error": 1e-5, "delta_fraction": delta}
    curve = [{"iteration": i, **scores} for i, _ in enumerate(pairs.CURVE_AT, 1)]
    values = {**scores, "narrow": scores, "blurry": {"psnr": 22.0, "ssim": 0.5}, "curve": curve}
    return Result(job, values, {}, {})


def made_up(advantage, seeds=(1,)):
    """Joint runs better by `advantage` dB on pairs whose difficulty differs much more."""
    profile = replace(PROFILES["laptop"], repeated=4, more_seeds=seeds)
    found = []
    for i, job in enumerate(STUDY.jobs(profile)):
        settings = job.settings
        hardness = pairs.PAIRS.index(settings["pair"])
        joint = not settings["recipe"]["alternating"]
        found.append(result(job, 26 + hardness + advantage * joint + 0.01 * (i % 3)))
    return found


@pytest.mark.parametrize(("advantage", "says"), [(2.0, "reproduced"), (-2.0, "contradicted"), (0.0, "inconclusive")])
def test_pairs_are_compared_with_themselves(advantage, says):
    evidence = STUDY.evidence(made_up(advantage))["C1.1"]
    assert verdict(evidence) == says
    psnr = evidence.comparisons[0]
    assert psnr.effect == pytest.approx(advantage, abs=0.05)
    assert psnr.n == 8  # pairs, not runs: the seeds of a pair are one


def test_a_run_without_its_twin_is_left_out():
    found = made_up(1.0)
    alone = found.pop(0)
    kept = arms(found)
    assert pairs.run_of(alone) not in [pairs.run_of(run) for run in kept["alternating"]]
    assert [pairs.run_of(run) for run in kept["joint"]] == [pairs.run_of(run) for run in kept["alternating"]]
    assert len(kept["joint"]) == len(found) // 2


def test_failures_and_collapses_are_counted():
    job = jobs(STUDY, "laptop")[0]
    assert pairs.failed(result(job, 24.9)) and not pairs.failed(result(job, 25.1))
    assert pairs.collapsed(result(job, 30, delta=0.95)) and not pairs.collapsed(result(job, 30, delta=0.85))
    (table,) = STUDY.tables([replace_psnr(r, 20.0) for r in made_up(0.0)])
    assert [row[-1] for row in table.rows if row[1] in ("joint", "alternating")] == ["100%", "100%"]


def replace_psnr(found, psnr):
    return Result(found.job, found.values | {"psnr": psnr}, {}, {})


def test_studies_share_their_joint_runs():
    joint = {job.key for job in jobs(STUDY, "laptop")}
    assert {job.key for job in jobs(get("trajectory"), "laptop")} <= joint
    depth = {job.key for job in jobs(get("kernel_network_depth"), "laptop")}
    precision = {job.key for job in jobs(get("precision"), "laptop")}
    assert len(depth & joint) == 4
    assert len(precision & joint) == 2


def test_every_few_pairs_are_a_fair_set():
    first = [name.split("_") for name in pairs.PAIRS[:8]]
    assert len({kernel for _, kernel in first}) == 8
    assert sorted(image for image, _ in first) == sorted(2 * ["im1", "im2", "im3", "im4"])
    assert len(set(pairs.PAIRS)) == 32


def test_nothing_run_is_nothing_said():
    for name in ("joint_vs_alternating", "trajectory", "precision", "kernel_network_depth", "levin_benchmark"):
        study = get(name)
        assert study.figures([]) == []
        assert study.evidence([]) == {}
        study.tables([])


def test_the_recorded_overnight_run_covers_levins_set():
    found = collect(STUDY, "overnight")
    kept = arms(found)
    assert {pairs.run_of(run)[0] for run in kept["joint"]} == set(pairs.PAIRS)
    assert all(run.provenance["commit"] for run in found)
    assert all(run.job.settings["dataset"] == "levin" and not run.arrays for run in found)


def test_a_profile_repeats_its_first_pairs():
    profile = Profile("builtin", pairs.PAIRS[:3], pairs.SMOKE, repeated=2, more_seeds=(1, 2))
    assert [seed for _, seed in profile.runs()] == [0, 0, 0, 1, 1, 2, 2]
    assert profile.runs()[3][0] == pairs.PAIRS[0]


def timed(selfdeblur, slow=10.0, fast=1.0):
    seconds = {"Perrone & Favaro": slow, "L0 edges": fast, "SelfDeblur": selfdeblur}
    return Result(jobs(get("levin_benchmark"), "laptop")[0], {"seconds": seconds}, {}, {})


@pytest.mark.parametrize(
    ("runs", "holds"),
    [
        ([timed(190, slow=100), timed(210, slow=110), timed(200, slow=90)], True),
        ([timed(4000), timed(4100), timed(3900)], False),
    ],
)
def test_time_of_the_same_order_and_200_times(runs, holds):
    ratios = levin_benchmark.duration_ratios(runs)
    assert ratios["L0 edges"][0] == pytest.approx(runs[0].values["seconds"]["SelfDeblur"])
    evidence = levin_benchmark._evidence_on_time(ratios)
    assert all((comparison.low > 0) == holds and (comparison.high < 0) != holds for comparison in evidence.comparisons)
    assert verdict(evidence) == "inconclusive", "another machine and other rivals decide nothing"
