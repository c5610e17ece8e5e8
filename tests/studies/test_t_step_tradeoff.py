"""The trade-off in T: laws that hold for every sampler, and what made-up results lead to."""

import math
from dataclasses import replace

import numpy as np
import pytest

from deblur_core import metrics, studies
from deblur_core.report import board
from deblur_core.runs import Result, Store
from deblur_core.studies import refining
from deblur_core.studies import t_step_networks as networks
from deblur_core.studies import t_step_tradeoff as tradeoff
from deblur_core.studies.claims import verdict
from deblur_core.studies.study import of_task
from deblur_core.studies.t_step_networks import Curve

STUDY = studies.get("t_step_tradeoff")
OVERNIGHT = tradeoff.PROFILES["overnight"]


# Laws


def test_error_of_averages_falls_on_a_line_over_one_by_n():
    a, b = tradeoff.decompose({n: 2.0 + 0.5 / n for n in (1, 2, 4, 8)})
    assert (a, b) == (pytest.approx(2.0), pytest.approx(0.5))


def test_a_curve_moved_to_the_right_is_that_many_times_slower():
    curve = Curve([1.0, 10.0, 100.0], [0.5, 0.3, 0.2])
    slower = Curve([3 * cost for cost in curve.costs], curve.reached)
    assert networks.speed_up(curve, slower) == pytest.approx((3, 3))
    assert networks.speed_up(slower, curve) == pytest.approx((1 / 3, 1 / 3))


def test_curves_are_compared_where_both_have_been():
    """One that never gets as good is compared at its own best."""
    costs = [1.0, 2.0, 4.0]
    ours, theirs = Curve(costs, [0.7, 0.5, 0.1]), Curve(costs, [0.6, 0.55, 0.5])
    assert networks.speed_up(ours, theirs) == pytest.approx((2, 2))
    assert networks.cost_of(0.4, Curve(costs, [0.5, 0.3, 0.1])) == pytest.approx((math.sqrt(2),) * 2)
    assert networks.cost_of(0.05, Curve(costs, [0.5, 0.3, 0.1])) == (math.inf, math.inf)
    assert max(networks.cost_of(0.3, Curve(costs, [0.5, 0.2, 0.4]))) < 2, "what was reached stays reached"


def test_a_curve_that_begins_at_equal_quality_bounds_the_ratio_on_its_side_alone():
    """Cheaper points that nobody measured may lie anywhere below its first cost, so they must not change the answer."""
    early, late = Curve([1.0, 2.0], [0.2, 0.1]), Curve([3.0, 6.0], [0.4, 0.2])
    assert networks.speed_up(early, late) == (6.0, math.inf), "at least"
    assert networks.speed_up(late, early) == (0.0, pytest.approx(1 / 6)), "at most"
    rising = Curve([2.2, 4.4], [0.58, 0.7])
    assert networks.speed_up(Curve([1.0, 2.0], [0.2, 0.3]), rising) == (0.0, math.inf), "both in their fewest steps"
    assert networks.speed_up(early._replace(whole=True), late) == (6.0, 6.0), "there is nothing cheaper than T = 1"
    assert networks.speed_up(late, early._replace(whole=True)) == pytest.approx((1 / 6, 1 / 6))


@pytest.mark.parametrize("profile", studies.PROFILES)
def test_every_schedule_may_start_from_noise(profile):
    size = tradeoff.PROFILES[profile]
    for schedule in (*size.grid, size.few, *((steps, None) for steps in (*size.times, *size.local_times))):
        assert tradeoff.ends_in_noise(schedule)
    assert not tradeoff.ends_in_noise((10, 0.02))


@pytest.mark.parametrize("profile", studies.PROFILES)
def test_jobs_are_different_and_judges_come_last(profile):
    jobs = studies.jobs(STUDY, profile)
    tasks = [job.task.rpartition(":")[2] for job in jobs]
    assert "judge" not in tasks[: len(tasks) - tasks.count("judge")]
    others = [job.key for job in jobs if not job.task.endswith(":judge")]
    assert len(set(others)) == len(others)
    for job in jobs:
        if job.task.endswith(":restore"):
            sources = job.settings["pictures"]["held_out"]
            count = {"held out": 3, "Kodak24": 24, "elsewhere": 8}[sources[0]]
            assert job.settings["parts"] <= count * len(job.settings["pictures"]["blur"]["kinds"]), "no part is empty"
    if size := tradeoff.PROFILES[profile].direct:
        with_predictor, without = size.designs
        assert tradeoff.PROFILES[profile].times[0] == 1
        assert with_predictor.predictor_width == 2 * with_predictor.denoiser_width or profile == "smoke"
        assert without.predictor_width == 0 and without.denoiser_width >= with_predictor.predictor_width
        assert with_predictor.velocity == without.velocity == (profile != "paper")
    if size := tradeoff.PROFILES[profile].local:
        one_unit, in_units = size.designs
        assert in_units == replace(one_unit, residual_scale=None, predictor_weight=100.0)


def test_what_needs_weights_of_others_is_left_out_where_they_are_missing(monkeypatch):
    monkeypatch.setattr(metrics, "available", lambda name: (False, "not available"))
    tasks = [job.task for job in studies.jobs(STUDY, "laptop")]
    assert not any(task.endswith(":judge") for task in tasks) and any(task.endswith(":restore") for task in tasks)
    assert any(job.task.endswith(":judge") for job in studies.jobs(STUDY, "overnight"))


# Made-up results


NAMES = [f"kodim{i:02}, {kind}" for i in range(1, 13) for kind in ("shake", "x")]


def made_up(single=27.0, averaged=29.0, regression=28.8, lpips=(0.10, 0.20, 0.25), faster=4.0, seeds=3,
            parameters=30_000_000, blurry=0.3, times=OVERNIGHT.times):  # fmt: skip
    """Results at overnight's sizes: PSNR in dB; LPIPS of a sample, of averages, of regression; how many times fewer
    steps a network with predictor needs; seeds, sizes and T of the networks timed, and LPIPS of their blurry pictures,
    where theirs is 0.2."""
    random = np.random.default_rng(0)
    noise = random.normal(size=len(NAMES)) / 20
    difficulty = np.arange(len(NAMES)) / 3
    found, kinds = [], {}
    for job in STUDY.jobs(replace(OVERNIGHT, times=times)):
        name, settings = job.task.rpartition(":")[2], job.settings
        values = {"names": NAMES}
        if name == "restore":
            samples = settings["samples"]
            values["seconds"] = settings["steps"] * settings["pictures"]["crop"] ** 2
            kinds[job.key] = "averaged" if samples > 1 else "single"
            if settings["part"]:
                continue
            values["averages"] = [
                {str(n): scores(single + (averaged - single) * (1 - 1 / n) * 16 / 15 + step)
                 for n in refining.doublings(samples)}
                for step in noise + difficulty
            ]  # fmt: skip
        elif name == "predict":
            kinds[job.key] = "regression" if "regression" in settings["network"] else "initial"
            level = regression if kinds[job.key] == "regression" else 26.0
            values |= {"blurry": [scores(25.0 + step) for step in difficulty],
                       "initial": [scores(level + step) for step in difficulty + noise]}  # fmt: skip
        elif name == "judge":
            (kind,) = {kinds.get(tradeoff.Job.from_json(job).key, "single") for job in settings["of"]}
            level = {"single": lpips[0], "averaged": lpips[1], "regression": lpips[2], "initial": 0.3}[kind]
            values |= {refining.LPIPS: list(level + noise / 50), refining.NIQE: list(4 + 10 * level + noise),
                       refining.KID: [level / 10, 0.001]}  # fmt: skip
        elif name == "quality_over_steps":
            times, settings = settings["times"], settings["network"]["settings"]
            if settings["seed"] >= seeds:
                continue
            quality = np.geomspace(0.5, 0.2 if settings["design"]["residual_scale"] else 0.05, len(times))
            cost = 1.0 if settings["design"]["predictor_width"] else faster
            costs = [cost * steps * (1 + 0.02 * settings["seed"]) for steps in times]
            if "velocity" in settings["design"]:  # what was recorded before that has no scores of the blurry pictures
                values["blurry"] = {key: [blurry] * len(NAMES) for key in ("texture", refining.LPIPS)} | {
                    "psnr": [25.0] * len(NAMES)
                }
            values |= {"macs": costs, "seconds": costs, "parameters": parameters}
            values |= {key: [[value] * len(NAMES) for value in quality] for key in ("texture", refining.LPIPS)}
            values["psnr"] = [[30 - value] * len(NAMES) for value in quality]
        elif settings["design"]["predictor_width"]:
            values |= {"psnr": [28.0] * len(NAMES), "last": [28.0] * len(NAMES), "blurry": [25.0] * len(NAMES)}
        else:
            continue
        found.append(Result(job, values, {}, {}))
    return found


def scores(psnr):
    return {"psnr": psnr, "mse": 10 ** (-psnr / 10), "ssim": psnr / 100, "texture": 10 - psnr / 10}


@pytest.mark.parametrize(
    ("claim", "options", "says"),
    [
        ("C3.3", {}, "inconclusive"),
        ("C3.8", {"faster": 4.0}, "reproduced"),
        ("C3.8", {"faster": 0.5}, "contradicted"),
        ("C3.8", {"faster": 4.0, "seeds": 1}, "inconclusive"),
        ("C3.8", {"faster": 4.0, "parameters": 300_000}, "inconclusive"),  # the claim is about larger ones
        # However clear: the paper's rivals, data or factors are not here.
        ("C3.1", {}, "inconclusive"),
        ("C3.2", {}, "inconclusive"),
        ("C3.4", {}, "inconclusive"),
    ],
)
def test_verdicts_follow_the_numbers(claim, options, says):
    evidence = STUDY.evidence(made_up(**options))[claim]
    assert verdict(evidence) == says
    assert evidence.reduced or (claim == "C3.8" and "parameters" not in options)


@pytest.mark.parametrize(
    ("claim", "better", "worse"),
    [
        ("C3.1", {"lpips": (0.1, 0.2, 0.3)}, {"lpips": (0.4, 0.2, 0.3)}),
        ("C3.3", {"single": 27.0}, {"single": 30.0}),
        ("C3.2", {"regression": 28.0}, {"regression": 31.0}),
        ("C3.4", {"lpips": (0.1, 0.2, 0.3)}, {"lpips": (0.4, 0.5, 0.3)}),
        ("C3.8", {"faster": 3.0}, {"faster": 0.3}),
    ],
)
def test_effects_are_positive_on_the_paper_s_side(claim, better, worse):
    assert all(comparison.low > 0 for comparison in STUDY.evidence(made_up(**better))[claim].comparisons)
    assert all(comparison.high < 0 for comparison in STUDY.evidence(made_up(**worse))[claim].comparisons)


def test_pictures_count_once_however_often_they_were_blurred():
    (comparison,) = STUDY.evidence(made_up())["C3.3"].comparisons
    assert comparison.n == 12 and comparison.effect == pytest.approx(2.0)


def test_speed_is_told_in_times():
    evidence = STUDY.evidence(made_up(faster=4.0))["C3.8"]
    assert evidence.comparisons[0].effect == pytest.approx(2.0), "log2"
    assert "4.0 times fewer multiply-adds" in evidence.ours and "at least" not in evidence.ours


def test_equal_quality_of_pictures_that_are_worse_than_blurry_ones_is_no_speed():
    evidence = STUDY.evidence(made_up(blurry=0.1))["C3.8"]
    assert not any(np.isfinite(comparison.low) for comparison in evidence.comparisons)
    assert "with and without a predictor no number of steps is on average as good as the blurry" in evidence.reduced
    assert "blurry" not in STUDY.evidence(made_up(blurry=0.3))["C3.8"].reduced
    tables = {table.title: table for table in STUDY.tables(made_up(blurry=0.1))}
    for title, level in (
        ("Quality against cost", "25.00 dB and LPIPS (AlexNet) 0.100."),
        ("Residuals in units of the local contrast", "25.00 dB."),
    ):
        assert f"The blurry pictures themselves have {level}" in tables[title].caption


@pytest.mark.parametrize(("others", "open_"), [(0.31, True), (0.27, False)])
def test_one_seed_that_restores_something_does_not_speak_for_the_others(others, open_):
    """Blurry pictures have 0.3, its own seed 0.29; the others decide on which side the mean is."""
    results = made_up(blurry=0.3)
    for seed, arms in networks.timed(of_task(results, tradeoff.quality_over_steps)).items():
        least = 0.29 if seed == 0 else others
        arms[False].values[refining.LPIPS] = [[value] * len(NAMES) for value in np.geomspace(0.5, least, 7)]
    evidence = STUDY.evidence(results)["C3.8"]
    assert ("without a predictor no number of steps is on average" in evidence.reduced) == open_
    assert np.isfinite(evidence.comparisons[0].low) != open_


@pytest.mark.parametrize(
    ("ours", "theirs", "said", "effect"),
    [
        ((0.20, 0.10), (0.40, 0.20), "at least 8.0 times fewer multiply-adds", 3.0),
        ((0.40, 0.20), (0.20, 0.10), "at most 2.0 times fewer multiply-adds", 1.0),
        ((0.20, 0.30), (0.50, 0.60), "no cost was measured", None),
    ],
)
def test_what_fewer_steps_might_have_done_leaves_the_speed_open(ours, theirs, said, effect):
    """Both networks are measured in the same few numbers of steps, a step of theirs at 4 times the cost."""
    results = made_up(faster=4.0, times=(5, 10), blurry=1.0)
    for arms in networks.timed(of_task(results, tradeoff.quality_over_steps)).values():
        for run, reached in ((arms[True], ours), (arms[False], theirs)):
            run.values[refining.LPIPS] = [[value] * len(NAMES) for value in reached]
    evidence = STUDY.evidence(results)["C3.8"]
    assert said in evidence.ours and "might have done with less" in evidence.reduced
    assert not any(np.isfinite(comparison.low) for comparison in evidence.comparisons)
    found = evidence.comparisons[0].effect
    assert math.isnan(found) if effect is None else found == pytest.approx(effect)
    assert board.setting(evidence) == "open"


def test_sharp_pictures_have_the_kid_that_was_measured():
    results = made_up()
    for run in results:
        if run.job.task.endswith(":judge") and run.job.settings["array"] == "sharp":
            run.values[refining.KID] = [-0.048, 0.019]
    table = STUDY.tables(results)[0]
    assert table.rows[-1][0] == "sharp picture" and table.rows[-1][-1] == "-48.0 ± 19.0"


def test_tables_show_what_was_measured():
    tables = {table.title: table for table in STUDY.tables(made_up())}
    ends = {row[0]: row[1:] for row in tables["The two ends, and between them"].rows}
    assert ends["plain regression"][3] == "0.250" and ends["one sample, most steps (200)"][3] == "0.100"
    assert len(tables["The law of averaging"].rows) == 5
    last = tables["What more steps are worth"].rows[-1]
    assert last[0] == 200 and last[3].startswith("+0.150 [") and last[5].startswith("+0.100 [")
    assert tables["Cost by steps and by pixels"].rows[-1] == (200, "40", "40.0", "40.0", "2.2")
    assert len(tables["Quality against cost"].rows) == 2 * 3 * len(OVERNIGHT.times)


def test_the_best_schedule_of_a_picture_is_chosen_by_the_others():
    """One picture alone would pick what chance made good for it."""

    def row(first, others):
        scores = {"a, x": first, **{f"{name}, x": others for name in "bcd"}}
        return tradeoff.Row({"texture": scores, "psnr": dict.fromkeys(scores, 30.0)})

    rows = {(10, None): row(5.0, 1.0), (20, None): row(1.0, 2.0), 4: row(0.0, 0.0), "blurry": row(0.0, 0.0)}
    schedule, chosen = tradeoff.best_perception(rows)
    assert schedule == (20, None), "that is what most of them choose"
    assert chosen.scores["texture"] == {"a, x": 5.0, "b, x": 2.0, "c, x": 2.0, "d, x": 2.0}
    assert tradeoff.best_perception(rows, among=[(10, None)])[0] == (10, None)
    assert tradeoff.best_perception({"blurry": row(0.0, 0.0)}) is None


# A run


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    return studies.collect(STUDY, "smoke", Store(tmp_path_factory.mktemp("home")), compute=True)


def test_a_run(results):
    rows = tradeoff.rows_of(results)
    assert {"blurry", "sharp", "initial", "regression", (3, None), (4, 0.9), 1, 2} == set(rows)
    assert rows["sharp"].mean("psnr") is None and rows["blurry"].mean(refining.LPIPS) is None
    assert rows[2].mean("mse") <= rows[1].mean("mse"), "averaging cannot hurt"
    assert tradeoff.most_steps(rows) == (4, 0.9) and tradeoff.averaged(rows) == 2
    elsewhere = tradeoff.rows_of(results, elsewhere=True)
    assert len(elsewhere["blurry"].scores["psnr"]) == len(refining.ELSEWHERE)
    assert set(STUDY.evidence(results)) == {"C3.2", "C3.3", "C3.8"}


def test_tables_and_figures_take_any_subset(results):
    bare = [Result(result.job, result.values, {}, {}) for result in results]  # as recorded ones
    for subset in ([], results[:3], results[3:4], results[5:7], results[-3:], bare, results, made_up()[::3], made_up()):
        for table in STUDY.tables(subset):
            assert table.to_markdown()
        assert all(figure.caption for figure in STUDY.figures(subset))
        STUDY.evidence(subset)
    assert {figure.name for figure in STUDY.figures(results)} == {"trade_off", "averaging", "pictures", "time"}
    assert {figure.name for figure in STUDY.figures(made_up())} == {"trade_off", "averaging", "time"}


def test_all_rivals_are_trained_alike():
    rivals = OVERNIGHT.direct
    settings = [job.settings for job in rivals.jobs()]
    assert all(one[key] == settings[0][key] for one in settings for key in ("pictures", "settings"))
    assert len(rivals.seeds) >= 3
    assert {one["seed"] for one in settings} == set(rivals.seeds)


def test_units_of_the_residual_are_compared_picture_by_picture_and_timed_nowhere():
    results = made_up()
    runs = of_task(results, tradeoff.quality_over_steps)
    found = networks.in_units(runs)
    assert set(found) == {0, 1, 2}
    (table,) = [table for table in STUDY.tables(results) if table.title == "Residuals in units of the local contrast"]
    assert [row[0] for row in table.rows] == list(OVERNIGHT.local_times)
    assert table.rows[-1][1:3] == ("29.80 / 0.200", "29.95 / 0.050")
    assert table.rows[-1][3].startswith("+0.150")
    trained = [run.job.settings["network"]["settings"]["design"] for arms in networks.timed(runs).values()
               for run in arms.values()]  # fmt: skip
    assert trained and all(design["residual_scale"] and design["velocity"] for design in trained)
    assert not networks.in_units([run for run in runs if run.job not in {arms[True].job for arms in found.values()}])
