"""What decides success: the disturbances are what they say, and the tables tell what made-up results mean."""

import os
from dataclasses import asdict, replace

import numpy as np
import pytest
import torch

from deblur_core import blur, data
from deblur_core.runs import Job, Result, run_job
from deblur_core.studies import get, jobs, pairs
from deblur_core.studies import when_it_fails as study
from deblur_core.studies.seeds import rank_correlation, seed_runs
from deblur_core.studies.when_it_fails import ARMS, PROFILES, STUDY

TINY = asdict(replace(pairs.SMOKE, iterations=2))
needs_data = pytest.mark.skipif(not os.environ.get("DEBLUR_DATA"), reason="real data: set DEBLUR_DATA")


def result(job, psnr, blurry=22.0, data_term=1e-5, **values):
    scores = {"psnr": psnr, "kernel_similarity": 0.9, "delta_fraction": 0.3, "data_term": data_term, "fit": 40.0}
    return Result(job, {**scores, "blurry": {"psnr": blurry, "ssim": 0.5}, **values}, {}, {})


def made_up(psnr, profile="overnight"):
    """Results of a profile; psnr(task, settings) says how good each run is."""
    return [result(job, psnr(job.task.rpartition(":")[2], job.settings), estimated_sigma=0.02, tv_weight=0.02,
                   fit_whole=35.0) for job in jobs(STUDY, profile)]  # fmt: skip


def rows_of(title, results):
    (table,) = [table for table in STUDY.tables(results) if table.title == title]
    return [dict(zip(table.columns, row, strict=True)) for row in table.rows]


# The runs


def test_runs_without_a_disturbance_are_those_of_other_studies():
    for profile in ("smoke", "laptop", "overnight", "paper"):
        shared = {job.key for job in jobs(get("trajectory"), profile)}  # the joint runs
        assert shared <= {job.key for job in jobs(STUDY, profile)}


@pytest.mark.parametrize("profile", PROFILES)
def test_every_disturbed_run_has_its_undisturbed_twin(profile):
    results = [result(job, 25.0) for job in jobs(STUDY, profile)]
    noise, size = study.noise_runs(results), study.size_runs(results)
    assert {pair for runs in noise.values() for pair in runs} == set(noise[0, ARMS[0]])
    assert {pair for runs in size.values() for pair in runs} == set(size[1])
    told = {result.job.key for runs in (*noise.values(), *size.values()) for result in runs.values()}
    disturbed = {r.job.key for r in results if r.job.task.endswith(("restore_noisy", "restore_resized"))}
    assert disturbed <= told, "no run is forgotten"


def test_noise_is_added_estimated_and_met_by_a_weight_in_proportion():
    settings = {"dataset": "builtin", "pair": "im1_kernel1", "crop": 64, "recipe": TINY}
    job = Job.create(study.restore_noisy, seed=0, sigma=0.05, tv_factor=10, **settings)
    found = run_job(job)
    clean = pairs.load("builtin", "im1_kernel1", 64).blurry
    added = torch.from_numpy(found.arrays["blurry"]).float() / 255 - clean[0, 0]
    assert added.std().item() == pytest.approx(0.05, rel=0.1)
    assert found.values["estimated_sigma"] == pytest.approx(0.05, rel=0.3)
    assert found.values["tv_weight"] == 10 * found.values["estimated_sigma"]
    other = run_job(Job.create(study.restore_noisy, seed=1, sigma=0.05, tv_factor=10, **settings))
    assert not np.array_equal(other.arrays["blurry"], found.arrays["blurry"]), "the seed draws the noise, too"


@pytest.mark.parametrize(("size", "told"), [(0.5, 9), (1, 17), (2, 33)])
def test_the_method_is_told_another_kernel_size(size, told):
    job = Job.create(study.restore_resized, dataset="builtin", pair="im1_kernel1", crop=64, seed=0, recipe=TINY,
                     size=size)  # fmt: skip
    found = run_job(job)
    assert found.values["kernel_size"] == told and found.arrays["k"].shape == (told, told)


def test_a_camera_that_does_not_turn_blurs_by_one_kernel():
    target, scene = study.turned("builtin", "im2_kernel1", 96, motion=1, corner=0)
    trim = study.MARGIN - study.TOLD // 2
    convolved = blur.convolve(scene.sharp, target.kernel)[..., trim:-trim, trim:-trim]
    assert target.blurry.shape == target.sharp.shape == (1, 1, 96, 96)
    assert (target.blurry - convolved).square().mean().sqrt() < 0.003, "but for noise and rounding"
    assert torch.equal(target.sharp, scene.sharp[..., 16:-16, 16:-16])


def test_one_kernel_explains_a_convolution_and_the_less_the_more_the_camera_turns():
    scene = pairs.load("builtin", "im1_kernel1", 100).sharp
    k = blur.psf.camera_shake(9, 3)
    y = blur.convolve(scene, k)[..., 12:-12, 12:-12]
    assert study.best_fit(scene, y, 9) > 90
    assert study.best_fit(scene, y, 13) > 90
    assert study.best_fit(scene, y, 5) < 40, "a frame that is too small"
    corners = [study.turned("builtin", "im1_kernel1", 96, 0, corner) for corner in (0, 2, 8)]
    fits = [study.best_fit(whole.sharp, target.blurry, 19) for target, whole in corners]
    assert fits[0] > fits[1] + 3 > fits[2] + 6


@needs_data
def test_a_photograph_is_measured_without_a_true_kernel():
    name = study.PHOTOGRAPHS[0]
    whole = study.half_size_luma("gopro", name)
    assert whole.blurry.shape == whole.sharp.shape == (1, 1, 360, 640)
    job = Job.create(study.restore_photograph, dataset="gopro", pair=name, window=128, seed=0, recipe=TINY)
    values = run_job(job).values
    assert "kernel_similarity" not in values and 0 < values["delta_fraction"] < 1
    assert values["fit"] > values["fit_whole"] > 30, "a window is nearer to a convolution than the whole picture"


def test_no_data_is_read_to_name_the_jobs(monkeypatch):
    monkeypatch.setattr(data, "load", lambda *_: pytest.fail("a picture was read"))
    for profile in ("overnight", "paper"):
        assert len({job.key for job in jobs(STUDY, profile)}) == len(jobs(STUDY, profile))


# What the tables say


def test_ways_to_meet_noise_are_compared_pair_by_pair():
    def psnr(task, settings):
        easy = pairs.PAIRS.index(settings["pair"]) if settings["pair"] in pairs.PAIRS else 0
        squared = settings["recipe"]["squared_error_until"] == 1
        return 30 + easy - 100 * settings.get("sigma", 0) + 2 * squared - 0.5 * settings.get("tv_factor", 0)

    rows = rows_of("Noise and the TV weight", made_up(psnr))
    noisy = [row for row in rows if row["noise added"] == "0.03"]
    assert [(row["loss"], row["TV weight"]) for row in noisy][:3] == [
        ("1 − SSIM", "0"), ("1 − SSIM", "1 σ = 0.02"), ("squared error", "0")]  # fmt: skip
    assert [row["difference (dB) [95 %]"] for row in noisy] == [
        None, "-0.50 [-0.50, -0.50]", "+2.00 [+2.00, +2.00]", "+1.95 [+1.95, +1.95]", "+1.50 [+1.50, +1.50]",
        "-3.00 [-3.00, -3.00]"]  # fmt: skip
    (noise, loss, weight, *_) = rows_of("In one number", made_up(psnr))
    assert [row["dB [95 %]"].split()[0] for row in (noise, loss, weight)] == ["-3.00", "+2.00", "-5.00"]


def test_kernel_sizes_are_compared_with_the_usual_one():
    rows = rows_of("Kernel size", made_up(lambda task, settings: 25 + min(settings.get("size", 1), 1)))
    assert [row["kernel size"] for row in rows] == ["0.6", "1", "1.5", "2"]
    assert rows[0]["difference (dB) [95 %]"].startswith("-0.40")
    assert rows[1]["difference (dB) [95 %]"] is None


def test_failures_are_counted_with_wilsons_interval():
    found = made_up(lambda task, settings: 22 + settings.get("corner", 0))
    rows = rows_of("Turning camera, and windows of GoPro", found)
    assert [row["failed [95 %]"] for row in rows[:4]] == [
        "4 of 4 [51%, 100%]", "4 of 4 [51%, 100%]", "0 of 4 [0%, 49%]", "0 of 4 [0%, 49%]"]  # fmt: skip
    assert [row["picture"] for row in rows[4:]] == list(study.PHOTOGRAPHS)
    assert {row["kernel similarity"] for row in rows[4:]} == {None}


def seeds(psnr, terms):
    """Undisturbed runs: (pairs, seeds) of PSNR and of data terms."""
    return [
        result(pairs.restore_job("builtin", pairs.PAIRS[i], pairs.SMOKE, seed, 64), psnr[i][seed], data_term=term)
        for i, row in enumerate(terms) for seed, term in enumerate(row)
    ]  # fmt: skip


def test_the_scatter_of_seeds_is_within_pairs():
    (row,) = rows_of("Seeds", seeds([[30, 32], [24, 26]], [[1, 1], [1, 1]]))
    assert (row["pairs"], row["runs"], row["scatter of seeds (dB)"], row["largest gap (dB)"]) == (2, 4, "1.41", "2.0")
    failed = "pairs with a failed run [95 %]"
    assert (row["failed runs"], row["slipped"]) == ("1 of 4", "0 of 2") and row[failed].startswith("1 of 2 [")
    (row,) = rows_of("Seeds", seeds([[30, 26], [24, 24]], [[1, 1], [1, 1]]))
    assert (row["failed runs"], row["slipped"]) == ("2 of 4", "1 of 2"), "the best seed of a pair cannot slip"
    assert row[failed].startswith("1 of 2 ["), "two failed runs of one pair are one failure"
    assert row["PSNR (dB) [95 %]"].startswith("26.00 [")


def test_ranks_are_of_pairs_and_the_interval_of_redrawn_pictures_or_kernels():
    def by_pair(psnr, terms):
        (found,) = seed_runs(seeds(psnr, terms)).values()
        return found

    one = [[20 + i] for i in range(8)]
    with_it, against = (rank_correlation(by_pair(one, [[s * i + 10] for i in range(8)])) for s in (1, -1))
    assert (with_it.effect, against.effect, with_it.n) == (pytest.approx(1), pytest.approx(-1), 8)
    assert with_it.low == pytest.approx(1) and against.high == pytest.approx(-1)
    twice = rank_correlation(by_pair([[20 + i] * 2 for i in range(8)], [[i + 1, i + 3] for i in range(8)]))
    assert twice.n == 8 and twice.effect == pytest.approx(1), "seeds are averaged"
    unclear = rank_correlation(by_pair(one, [[term] for term in (3, 1, 4, 8, 5, 7, 2, 6)]))
    assert unclear.low < 0 < unclear.high


def test_pairs_of_one_picture_are_no_independent_ranks():
    """Where data term and gain depend on the picture alone, 32 pairs tell as little as their four pictures."""
    pictures = [int(name[2]) for name in pairs.PAIRS]
    gains = {1: 1, 2: 3, 3: 2, 4: 4}
    (found,) = seed_runs(seeds([[20 + gains[i]] for i in pictures], [[i] for i in pictures])).values()
    ranks = rank_correlation(found)
    assert ranks.effect == pytest.approx(0.8, abs=0.05) and ranks.low < 0 < ranks.high


def test_points_for_kernels_have_a_column():
    (none, *others) = [r for r in made_up(lambda task, settings: 25.0) if r.job.task.endswith("restore_noisy")]
    point = result(none.job, 25.0, delta_fraction=1.0, estimated_sigma=0.02, tv_weight=0.02)
    assert {row["delta kernels"] for row in rows_of("Noise and the TV weight", others)} == {"0%"}
    assert {row["delta kernels"] for row in rows_of("Noise and the TV weight", [point, *others])} == {"0%", "20%"}


def test_the_rule_keeps_the_least_data_term_of_each_pair():
    psnr = [[30, 33], [25, 21]]
    (good,) = rows_of("Does the data term betray a failure?", seeds(psnr, [[2e-5, 1e-5], [3e-5, 9e-5]]))
    assert good["least is best [95 %]"].startswith("2 of 2") and good["by chance"] == "50%"
    assert good["gain of the rule (dB) [95 %]"].startswith("+1.75") and good["of an oracle (dB)"] == "1.75"
    assert good["failed above good"] == "100%"
    (bad,) = rows_of("Does the data term betray a failure?", seeds(psnr, [[1e-5, 2e-5], [9e-5, 1e-6]]))
    assert bad["least is best [95 %]"].startswith("0 of 2") and bad["gain of the rule (dB) [95 %]"].startswith("-1.75")
    assert bad["failed above good"] == "0%"


def test_figures_need_no_pictures_and_nothing_run_is_nothing_said():
    drawn = STUDY.figures(made_up(lambda task, settings: 25.0))
    assert [figure.name for figure in drawn] == ["noise", "kernel_size", "seeds", "data_term", "non_uniform"]
    assert STUDY.figures([]) == [] and STUDY.evidence([]) == {}
    assert all(not table.rows for table in STUDY.tables([]))


@pytest.mark.parametrize("only", ["restore", "restore_noisy", "restore_resized", "restore_turned"])
def test_an_unfinished_run_is_told_as_far_as_it_goes(only):
    some = [found for found in made_up(lambda task, settings: 25.0) if found.job.task.endswith(f":{only}")]
    STUDY.figures(some)
    assert any(table.rows for table in STUDY.tables(some))
