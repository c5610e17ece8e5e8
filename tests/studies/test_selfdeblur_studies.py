"""The SelfDeblur studies on made-up results: who is compared with whom, and what the tables then say."""

from dataclasses import replace

import pytest

from deblur_core.runs import Result
from deblur_core.solvers import selfdeblur
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
    assert verdict(evidence) == says
    assert deltas.n == 8 and deltas.effect == (alternating - joint) / 8
    assert deltas.high - deltas.low > 0.3, "eight pairs cannot know a share better than that"


@pytest.mark.parametrize("name", ["joint_vs_alternating", "kernel_network_depth", "levin_benchmark"])
def test_captions_name_the_recipe_of_the_runs(name):
    """Recorded overnight runs have another recipe than the paper's: every table says so."""
    (table,) = get(name).tables(collect(get(name), "overnight"))
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
    precision = {job.key for job in jobs(get("precision"), "laptop")}
    assert len(depth & joint) == 4
    assert len(precision & joint) == 1


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


def timed(selfdeblur, slow=10.0, fast=1.0):
    seconds = {"Perrone & Favaro": slow, "L0 edges": fast, "SelfDeblur": selfdeblur}
    job = next(job for job in jobs(get("levin_benchmark"), "laptop") if job.task.endswith("durations"))
    return Result(job, {"seconds": seconds}, {}, {})


def levin_result(job, better=0.0, plain_ratio=0.0):
    """SelfDeblur Δ better by `better` dB than all others, its own picture's error ratio less by `plain_ratio`."""
    settings = job.settings
    if job.task.endswith("durations"):
        return timed(200.0)
    hard = pairs.PAIRS.index(settings["pair"])
    ours = "of" in settings
    noise = 0.01 * (hard % 3)

    def scores(psnr, norm):
        return {"psnr": psnr, "ssim": psnr / 40, "ssd": 100 / psnr, "norm": norm, "kernel_similarity": 0.9}

    values = scores(25 + hard + noise + better * ours, 1.0 if settings.get("method") == "known kernel" else 2.0 + noise)
    if ours:
        values["plain"] = scores(25 + hard + better, 2.0 - plain_ratio)
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


def test_time_is_cited_in_seconds_and_ours_in_multiples_of_the_fastest():
    found = [levin_result(job) for job in jobs(get("levin_benchmark"), "overnight")]
    (table,) = get("levin_benchmark").tables(found)
    times = {(row[0].partition(",")[0], row[1]): row[-1] for row in table.rows}
    assert table.columns[-1] == "time" and times["paper", "SelfDeblur"] == "224.01 s"
    assert times["this code", "L0 edges"] == "1.0 ×" and times["this code", "Perrone & Favaro"] == "10.0 ×"
    assert times["this code", "SelfDeblur"] == "200.0 ×" and times["this code", "SelfDeblur Δ"] is None


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
    assert pictures == len(shown) / 2 == 4 * (len(kernel_network_depth.ARMS) + 1)


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
