"""The SelfDeblur studies on made-up results: who is compared with whom, and what the tables then say."""

import math
from dataclasses import asdict, replace

import numpy as np
import pytest
import torch

from deblur_core import data, metrics
from deblur_core.runs import Context, Result
from deblur_core.solvers import selfdeblur
from deblur_core.solvers.untrained import Deblurred
from deblur_core.studies import collect, get, jobs, kernel_network_depth, levin_benchmark, pairs, trajectory
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
    assert verdict(replace(evidence, reduced="")) == says
    psnr = evidence.comparisons[0]
    assert psnr.effect == pytest.approx(advantage, abs=0.05)
    assert (psnr.n, psnr.of) in [(4, "pictures"), (8, "kernels")]  # not runs: the seeds of a pair are one


def test_pairs_share_pictures_and_kernels():
    """One picture, or one kernel, on which the arms differ is no evidence, however many pairs have it."""
    for of, n, special in (("pictures", 4, "im1_"), ("kernels", 8, "_kernel3")):
        effects = [4.0 * (special in f"{name}") + 0.01 * i for i, name in enumerate(pairs.PAIRS)]
        found = pairs.compare("PSNR", pairs.PAIRS, effects, "dB")
        assert (found.n, found.of, found.unit) == (n, of, "dB") and found.low < 0 < found.effect
    seeds = pairs.compare("PSNR", ["im1_kernel1", "im1_kernel1", "im2_kernel2"], [1.0, 3.0, 5.0])
    assert seeds.effect == 3.5 and seeds.n == 2, "the seeds of a pair are one"
    lai = pairs.compare("PSNR", ["natural_01_kernel_02", "natural_02_kernel_02", "text_01_kernel_02"], [1.0, 2.0, 3.0])
    assert lai.n == 1 and lai.low == -math.inf, "one kernel alone decides nothing"


def test_the_mean_is_that_of_the_pairs_even_where_a_picture_has_more_of_them():
    found = pairs.compare("PSNR", ["im1_kernel1", "im1_kernel2", "im2_kernel3"], [1.0, 2.0, 6.0])
    assert found.effect == pytest.approx(3.0)
    assert found.high - found.effect == pytest.approx(found.effect - found.low)


@pytest.mark.parametrize(("profile", "says"), [
    ("overnight", "64 of the authors' 128 channels and 1,600 of their 5,000 iterations, by a recipe of ours that was "
                  "chosen on these very pictures"),
    ("laptop", "32 of the authors' 128 channels and 400 of their 5,000 iterations, by a recipe of ours that was chosen "
               "on Levin's pictures"),
    ("paper", "")])  # fmt: skip
def test_another_recipe_than_the_authors_decides_nothing(profile, says):
    joint = pairs.reduced(jobs(STUDY, profile))
    rate = get("kernel_network_depth").profiles[profile].recipe.kernel_rate
    depth = pairs.reduced(job for job in jobs(get("kernel_network_depth"), profile)
                          if job.settings["recipe"]["kernel_rate"] == rate)  # fmt: skip
    assert joint == depth == (says and f"SelfDeblur ran with {says}")
    levin = get("levin_benchmark").evidence([levin_result(job) for job in jobs(get("levin_benchmark"), profile)])
    assert levin["C1.8"].reduced == joint
    evidence = STUDY.evidence([result(job, 30.0) for job in jobs(STUDY, profile)])
    assert {found.reduced for found in evidence.values()} == {joint}


def test_a_run_without_its_twin_is_left_out():
    found = made_up(1.0)
    alone = found.pop(0)
    kept = arms(found)
    assert pairs.run_of(alone) not in [pairs.run_of(run) for run in kept["alternating"]]
    assert [pairs.run_of(run) for run in kept["joint"]] == [pairs.run_of(run) for run in kept["alternating"]]
    assert len(kept["joint"]) == len(found) // 2


def test_a_run_is_scored_as_it_is_saved_and_along_the_way(monkeypatch):
    """A solver that finds the truth 7 px away and 0.3 grey levels too dark: rounding puts the levels right, and a
    search within 10 px the place, one within 5 px does not."""
    pair, asked = data.load("builtin", "im1_kernel2"), {}
    recipe = selfdeblur.recipe("quick", iterations=400)
    x = (pair.sharp - 0.3 / 255).roll(7, -1)

    def found(y, kernel_size, recipe, *, snapshots, **options):
        asked.update(options, kernel_size=kernel_size, snapshots=snapshots)
        kept = {i: (x * i / 400, pair.kernel.roll(i, -1)) for i in snapshots}
        return Deblurred(x, pair.kernel, [float(i) for i in range(1, 401)], 0.5, kept)

    monkeypatch.setattr(pairs.selfdeblur, "deblur", found)
    values, arrays = pairs.solve(Context(), pair, asdict(recipe), seed=3)
    assert asked["seed"] == 3 and asked["kernel_size"] == pair.kernel_size and len(asked["snapshots"]) == 17
    assert values["psnr"] == math.inf and values["kernel_similarity"] == pytest.approx(1)
    assert values["kernel_error"] == pytest.approx(0, abs=1e-9)
    levels = np.rint(255 * x[0, 0].clamp(0, 1).numpy())
    assert values["narrow"]["psnr"] == metrics.aligned(levels.astype(np.float32) / 255, pair.sharp, 5).psnr < 40
    assert values["blurry"]["psnr"] == metrics.aligned(pair.blurry, pair.sharp, 10).psnr
    end = values["curve"][-1]
    assert end["iteration"] == 400 and end["psnr"] == pytest.approx(metrics.aligned(x, pair.sharp, 5).psnr)
    assert values["losses"] == [float(i) for i in range(2, 401, 2)] and values["data_term"] == 0.5
    assert arrays["iterations"].tolist() == [4, 20, 80, 200, 400]
    assert np.array_equal(arrays["x"], levels) and np.array_equal(arrays["k"], pair.kernel[0].numpy())
    kept = (arrays[name] for name in ("iterations", "x_snapshots", "k_snapshots"))
    for i, picture, kernel in zip(*kept, strict=True):
        assert np.abs(picture - 255 * (x[0, 0] * i / 400).clamp(0, 1).numpy()).max() <= 0.5 + 1e-4
        assert np.array_equal(kernel, pair.kernel[0].roll(int(i), -1).numpy())
    cut = pairs.load("builtin", "im1_kernel2", 64)
    assert torch.equal(cut.blurry, data.crop(pair, 64).blurry) and cut.kernel_size == pair.kernel_size


def test_failures_and_collapses_are_counted():
    job = jobs(STUDY, "laptop")[0]
    assert pairs.failed(result(job, 24.9)) and not pairs.failed(result(job, 25.1))
    assert pairs.collapsed(result(job, 30, delta=0.95)) and not pairs.collapsed(result(job, 30, delta=0.85))
    (table,) = STUDY.tables([replace_psnr(r, 20.0) for r in made_up(0.0)])
    assert [row[-1] for row in table.rows if row[1] in ("joint", "alternating")] == ["100%", "100%"]


def test_tables_and_effects_take_the_seeds_of_a_pair_as_one():
    """Half of the pairs run three times, and are the easier ones: they count no more than the others."""
    found = made_up(2.0, seeds=(1, 2))
    (table,) = STUDY.tables(found)
    psnr = {row[1]: float(row[2]) for row in table.rows if row[0].startswith("this code")}
    effect = STUDY.evidence(found)["C1.1"].comparisons[0].effect
    assert psnr["joint"] - psnr["alternating"] == pytest.approx(effect, abs=0.011)
    assert psnr["joint"] == pytest.approx(28 + 3.5, abs=0.02), "the mean of eight pairs"
    assert table.rows[2][0] == "this code, 8 pairs, 16 runs"


@pytest.mark.parametrize(
    ("alternating", "joint", "says"),
    [(0, 0, "inconclusive"), (8, 0, "reproduced"), (0, 8, "contradicted"), (1, 0, "inconclusive")],
)
def test_no_collapse_at_all_is_no_certainty(alternating, joint, says):
    collapses = {True: alternating, False: joint}
    found = [
        result(r.job, 30, delta=0.95 if pairs.PAIRS.index(r.job.settings["pair"]) < collapses[turns] else 0.3)
        for r in made_up(0.0)
        for turns in [r.job.settings["recipe"]["alternating"]]
    ]
    evidence = STUDY.evidence(found)["C1.2"]
    (deltas,) = evidence.comparisons
    assert verdict(replace(evidence, reduced="")) == says
    assert deltas.effect == (alternating - joint) / 8
    assert deltas.high - deltas.low > 0.3, "eight pairs cannot know a share better than that"


def test_a_picture_that_collapses_by_every_kernel_is_one_picture():
    found = [
        result(job, 30, delta=0.95 if turns and job.settings["pair"].startswith("im1_") else 0.3)
        for job in jobs(STUDY, "paper")
        for turns in [job.settings["recipe"]["alternating"]]
    ]
    (deltas,) = STUDY.evidence(found)["C1.2"].comparisons
    assert deltas.effect == 0.25 and deltas.low < 0 and (deltas.n, deltas.of) == (4, "pictures")


@pytest.mark.parametrize("name", ["joint_vs_alternating", "kernel_network_depth", "levin_benchmark"])
def test_captions_name_the_recipe_of_the_runs(name):
    """Recorded overnight runs have another recipe than the paper's: every table says so."""
    table = get(name).tables(collect(get(name), "overnight"))[0]
    assert "“quick” (ours, chosen on Levin's pairs; 64 channels, 1,600 iterations" in table.caption


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({}, "“released” (the authors' code of 2020; 128 channels, 5,000 iterations)"),
        ({"alternating": True, "hidden_layers": 2}, "“released” (the authors' code"),
        ({"width": 32}, "“released”, reduced (the authors' code of 2020; 32 channels"),
        ({"kernel_rate": 1.0}, "a recipe without a name (128 channels, 5,000 iterations)"),
    ],
)
def test_a_recipe_in_words(changes, says):
    assert says in selfdeblur.in_words(selfdeblur.recipe("released", **changes))


def replace_psnr(found, psnr):
    return Result(found.job, found.values | {"psnr": psnr}, {}, {})


def test_studies_share_their_joint_runs():
    joint = {job.key for job in jobs(STUDY, "laptop")}
    assert {job.key for job in jobs(get("trajectory"), "laptop")} <= joint
    depth = {job.key for job in jobs(get("kernel_network_depth"), "laptop")}
    assert len(depth & joint) == 4


def test_every_few_pairs_are_a_fair_set():
    first = [name.split("_") for name in pairs.PAIRS[:8]]
    assert len({kernel for _, kernel in first}) == 8
    assert sorted(image for image, _ in first) == sorted(2 * ["im1", "im2", "im3", "im4"])
    assert len(set(pairs.PAIRS)) == 32


def test_the_pipeline_names_what_is_fixed_learnt_and_compared():
    axes = trajectory.pipeline().figure.axes[0]
    said = " ".join(text.get_text() for text in axes.texts)
    assert all(word in said for word in ("$z_x$", "$G_x$", "sigmoid", "$G_k$", "softmax", "$k * x$", "loss"))


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


TIMED = [job for job in jobs(get("levin_benchmark"), "overnight") if job.task.endswith("durations")]


def timed(selfdeblur, slow=10.0, fast=1.0, job=TIMED[0]):
    seconds = {"Perrone & Favaro": slow, "L0 edges": fast, "SelfDeblur": selfdeblur}
    return Result(job, {"seconds": seconds}, {}, {})


def levin_result(job, better=0.0, plain_ratio=0.0, step=0.0):
    """SelfDeblur Δ better by `better` dB than all others, and by `step` than its own picture, whose error ratio is less
    by `plain_ratio`."""
    settings = job.settings
    if job.task.endswith("durations"):
        return timed(200.0, job=job)
    hard = pairs.PAIRS.index(settings["pair"])
    ours = "of" in settings
    noise = 0.01 * (hard % 3)

    def scores(psnr, norm):
        return {"psnr": psnr, "ssim": psnr / 40, "ssd": 100 / psnr, "norm": norm, "kernel_similarity": 0.9}

    values = scores(25 + hard + noise + better * ours, 1.0 if settings.get("method") == "known kernel" else 2.0 + noise)
    if ours:
        values["plain"] = scores(25 + hard + better - step + noise, 2.0 - plain_ratio)
    else:
        values["blurry"] = scores(20 + hard, 5.0)
    return Result(job, values, {}, {})


@pytest.mark.parametrize(("better", "plain_ratio", "says"), [(2.0, 0.5, "reproduced"), (2.0, -0.5, "contradicted"),
                                                             (-2.0, 0.5, "contradicted")])  # fmt: skip
def test_the_error_ratio_is_that_of_selfdeblurs_own_picture(better, plain_ratio, says):
    found = [levin_result(job, better, plain_ratio) for job in jobs(get("levin_benchmark"), "overnight")]
    evidence = get("levin_benchmark").evidence(found)
    assert verdict(replace(evidence["C1.6"], reduced="")) == says
    for claim in ("C1.6", "C1.7"):
        assert verdict(evidence[claim]) == "inconclusive" and "none runs here" in evidence[claim].reduced
        assert "none runs here" not in evidence[claim].ours


@pytest.mark.parametrize(("step", "says"), [(0.25, "reproduced"), (0.75, "contradicted")])
def test_little_is_less_than_twice_the_papers_gain_in_psnr_and_in_ssim(step, says):
    """The made-up SSIM is a fortieth of the PSNR, so that 0.75 dB are 0.019: only the PSNR is too much."""
    found = [levin_result(job, step=step) for job in jobs(get("levin_benchmark"), "paper")]
    evidence = get("levin_benchmark").evidence(found)["C1.8"]
    psnr, ssim = evidence.comparisons
    assert psnr.effect == pytest.approx(0.5 - step, abs=0.05)
    assert ssim.effect == pytest.approx(0.025 - step / 40, abs=1e-3)
    assert verdict(evidence) == says and "0.5 dB and 0.025 SSIM" in evidence.ours and "we drew" in evidence.ours


def test_durations_stand_apart_in_multiples_of_the_fastest():
    found = [levin_result(job) for job in jobs(get("levin_benchmark"), "overnight") if job not in TIMED]
    found += [timed(seconds, job=job) for seconds, job in zip((100.0, 234.0, 500.0), TIMED, strict=False)]
    scores, durations = get("levin_benchmark").tables(found)
    assert "time" not in scores.columns and len(get("levin_benchmark").tables(found[:-3])) == 1
    times = {(row[0].partition(",")[0], row[1]): row[2:] for row in durations.rows}
    assert times["paper", "Xu & Jia Δ"] == ("1", None) and times["paper", "SelfDeblur"] == ("190", None)
    assert times["this code", "L0 edges"] == ("1", "1 to 1") and times["this code", "Perrone & Favaro"][0] == "10"
    assert times["this code", "SelfDeblur, recipe released"] == ("230", "100 to 500")
    assert "“released”" in durations.caption and "“quick”" in scores.caption


def test_rows_of_the_paper_alone_are_no_table():
    assert get("levin_benchmark").tables([timed(200.0)]) == []


def test_one_line_for_a_plausible_kernel_holds_for_both_networks():
    def found(none, double):
        similar = {"no hidden layer": none, "Double-DIP": double}
        listed = jobs(get("kernel_network_depth"), "overnight")
        arm = {job: name for name, runs in kernel_network_depth.arms([result(job, 30) for job in listed]).items()
               for job in [run.job for run in runs]}  # fmt: skip
        similarities = [similar.get(arm[job], 0.9) + 0.001 * (i % 5) for i, job in enumerate(listed)]
        return [
            Result(job, result(job, 30).values | {"kernel_similarity": similarity}, {}, {})
            for job, similarity in zip(listed, similarities, strict=True)
        ]

    for none, double, says in ((0.85, 0.7, "reproduced"), (0.85, 0.82, "contradicted"), (0.7, 0.6, "contradicted")):
        evidence = get("kernel_network_depth").evidence(found(none, double))
        assert verdict(replace(evidence["C1.4"], reduced="")) == says
        assert all("softmax" in evidence[claim].reduced for claim in ("C1.3", "C1.4", "C1.5"))
        assert [len(evidence[claim].comparisons) for claim in ("C1.3", "C1.4", "C1.5")] == [6, 2, 2]


def test_depth_is_told_from_the_speed_that_comes_with_it():
    study = get("kernel_network_depth")

    def scored(job):
        recipe = job.settings["recipe"]
        fast = recipe["kernel_rate"] > study.profiles["overnight"].recipe.kernel_rate
        return result(job, 30.0 + 2 * fast + 2.5 * (recipe["hidden_layers"] == 1))

    found = [scored(job) for job in jobs(study, "overnight")]
    depth, speed = study.tables(found)
    assert depth.rows[-1][:3] == ("this code, 8 pairs", "no hidden layer, tenfold rate", "32.00")
    assert [row[1] for row in speed.rows] == ["+2.00 [+2.00, +2.00]", "+0.50 [+0.50, +0.50]"]
    without = [run for run in found if run.values["psnr"] != 32.0]
    assert len(study.tables(without)) == 1 and study.tables(without)[0].rows == depth.rows[:-1]
    assert study.evidence(without) == study.evidence(found), "the paper says nothing of it"
    begun = [*without, *(run for run in found if run.values["psnr"] == 32.0)][:-1]
    assert study.tables(begun) == study.tables(without), "until it is whole, it takes no pair from the others"
    assert study.evidence(begun) == study.evidence(found)


def test_runs_that_drifted_are_told_with_both_search_ranges():
    found = made_up(1.0)
    assert len(STUDY.tables(found)) == 1
    moved = Result(found[3].job, found[3].values | {"psnr": 31.0, "narrow": {"psnr": 21.0, "ssim": 0.5}}, {}, {})
    table = STUDY.tables([*found[:3], moved, *found[4:]])[1]
    (row,) = table.rows
    assert row[0] == moved.job.settings["pair"] and row[3:] == ("21.00", "31.00", "+10.00")


def test_the_trajectory_takes_the_seeds_of_a_pair_as_one():
    """Half of the pairs run three times, and are the easier ones."""
    found = [run for run in made_up(0.0, seeds=(1, 2)) if not run.job.settings["recipe"]["alternating"]]
    (table,) = get("trajectory").tables(found)
    mean, _, interval = table.rows[0][1].partition(" [")
    assert float(mean) == pytest.approx(26 + 3.5, abs=0.02) and interval
    assert "8 pairs with 16 joint runs" in table.caption
    single, _, none = get("trajectory").tables(found[:1])[0].rows[0][1].partition(" [")
    assert float(single) and not none, "one pair has no interval"
    first, second = found[0].job, next(run.job for run in found if run.job.settings["pair"] != pairs.PAIRS[0])
    runs = [result(first, 20.0), result(second, 26.0), result(first, 30.0)]
    iterations, curves = pairs.curves_of_pairs(runs, "psnr")
    assert len(iterations) == 17 and curves.tolist() == [[25.0] * 17, [26.0] * 17]


def test_figure_5_shows_the_kernel_of_the_papers_and_figure_4_pictures_too():
    def drawn(job):
        target = pairs.load("builtin", job.settings["pair"], job.settings["crop"])
        picture = pairs.to_bytes(target.blurry)
        return {"x": picture, "plain": picture, "k": target.kernel[0].numpy()}

    def draw(name, with_values):
        found = [with_values(job) for job in jobs(get(name), "laptop")]
        return get(name).figures([Result(r.job, r.values, drawn(r.job), {}) for r in found])[-1]

    assert draw("levin_benchmark", levin_result).caption.startswith("im4_kernel4")
    panels = draw("kernel_network_depth", lambda job: result(job, 30)).figure.axes
    shown = [panel.images[0].get_array() for panel in panels]
    pictures = sum(image.shape == (128, 128) for image in shown)
    assert pictures == len(shown) / 2 == 4 * (len(kernel_network_depth.ARMS) + 2)


@pytest.mark.parametrize(
    ("runs", "holds"),
    [
        ([timed(190, 100, job=TIMED[0]), timed(210, 110, job=TIMED[1]), timed(200, 90, job=TIMED[2])], True),
        ([timed(4000, job=TIMED[0]), timed(4100, job=TIMED[1]), timed(3900, job=TIMED[2])], False),
    ],
)
def test_time_of_the_same_order_and_200_times(runs, holds):
    ratios = levin_benchmark.duration_ratios(runs)
    assert ratios["L0 edges"][0] == pytest.approx(runs[0].values["seconds"]["SelfDeblur"])
    evidence = levin_benchmark._evidence_on_time(runs)
    assert "stand-ins" in evidence.reduced
    assert all((comparison.low > 0) == holds and (comparison.high < 0) != holds for comparison in evidence.comparisons)
    assert verdict(evidence) == "inconclusive", "another machine and other rivals decide nothing"
