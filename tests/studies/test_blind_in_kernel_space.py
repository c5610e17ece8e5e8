"""Blind deblurring in the kernel space: what made-up results lead to, and a run in seconds."""

import numpy as np
import pytest
import torch

from deblur_core import blur, metrics, studies
from deblur_core.data.gopro import scene_of
from deblur_core.runs import Result, Store, run_job
from deblur_core.studies import blind_in_kernel_space as blind
from deblur_core.studies.claims import Evidence, verdict

STUDY = studies.get("blind_in_kernel_space")


def made_up(lpips, measured=True, of_scenes=0.01, profile="paper"):
    """Results of GoPro's pairs: LPIPS by method; pictures differ as much as they do, alike for all methods."""
    random, found = np.random.default_rng(0), []
    pictures = [picture.pair for picture in blind.PROFILES[profile].pictures]
    hard = dict(zip(pictures, random.random(len(pictures)), strict=True))
    for job in STUDY.jobs(blind.PROFILES[profile]):
        of = job.settings.get("of", [job.to_json()])
        names = [picture["pair"] for entry in of for picture in entry["settings"]["pictures"]]
        values = {"names": names}
        if "of" in job.settings:
            if not measured:
                continue
            level = lpips[blind.method_of(blind.Job.from_json(of[0]))]
            scores = [level + hard[name] + of_scenes * random.normal() for name in names]
            values |= {"lpips": scores, "lpips as it is": [score + 0.01 for score in scores]}
        else:
            values |= {"psnr": [25 + hard[name] for name in names], "ssim": [0.8] * len(names), "macs": 10**9,
                       "shift": [0] * len(names), "spread": 1.0, "sparsity": 0.5, "reblurred": 40.0}  # fmt: skip
        found.append(Result(job, values, {}, {}))
    return found


GOOD = {blind.BLURRY: 0.4, blind.ONE_KERNEL: 0.5, "SRN": 0.35, blind.OURS: 0.3, blind.JOINT: 0.31, blind.BY_HAND: 0.32,
        "inverse of the operator": 0.2}  # fmt: skip


@pytest.fixture(autouse=True)
def all_weights(monkeypatch):
    """As if all networks were there: their weights are not looked at."""
    there = blind.weights.names()
    monkeypatch.setattr(blind.weights, "names", lambda: sorted({*there, *blind.ONCE}))
    saw = {"srn": {"blur": {"size": 11}}, "kernel_space": {"blur": {"size": 27}, "filmed": {"pairs": 512}}}
    monkeypatch.setattr(blind.weights, "card", lambda name: {
        "sha256": f"weights of {name}", "parameters": 432_500, "data": saw.get(name)})  # fmt: skip


@pytest.mark.parametrize(
    ("claim", "lpips", "says"),
    [
        ("C2.4", GOOD, "reproduced"),
        ("C2.4", GOOD | {blind.OURS: 0.38}, "contradicted"),  # SRN is better
        ("C2.4", GOOD | {blind.OURS: 0.35}, "inconclusive"),
        ("C2.4", GOOD | {blind.JOINT: 0.1, blind.BY_HAND: 0.1}, "reproduced"),  # not in the paper's comparison
        ("C2.5", GOOD, "reproduced"),
        ("C2.5", GOOD | {blind.ONE_KERNEL: 0.3}, "contradicted"),
    ],
)
def test_comparisons_follow_the_numbers(claim, lpips, says):
    assert verdict(Evidence(STUDY.evidence(made_up(lpips))[claim].comparisons)) == says


def test_small_networks_and_a_missing_rival_leave_open_what_they_are_compared_in():
    said = STUDY.evidence(made_up(GOOD))
    assert verdict(said["C2.4"]) == "inconclusive" and verdict(said["C2.5"]) == "reproduced", "at the paper's length"
    assert "0.43 M" in said["C2.4"].reduced and "iterations" not in said["C2.4"].reduced
    assert said["C2.4"].in_words.count("DeblurGAN-v2") == 1
    assert "SRN trained on blur of up to 11 px" in said["C2.4"].reduced
    assert "the operator on up to 27 px, some of it filmed" in said["C2.4"].reduced


def test_runs_too_short_for_fine_detail_decide_nothing():
    for claim, evidence in STUDY.evidence(made_up(GOOD, profile="overnight")).items():
        assert verdict(evidence) == "inconclusive" and "iterations of" in evidence.reduced, claim


def test_pictures_of_a_scene_are_one_observation():
    (comparison, *_) = STUDY.evidence(made_up(GOOD))["C2.4"].comparisons
    scenes = {scene_of(picture.pair) for picture in blind.PROFILES["overnight"].pictures}
    assert comparison.n == len(scenes) == 8 and comparison.of == "scenes"
    assert blind.by_scene({"GOPR0372_07_00_000047": 1.0, "GOPR0372_07_00_000048": 3.0, "chelsea": 5.0}) == {
        "GOPR0372_07_00": 2.0, "chelsea": 5.0
    }  # fmt: skip


def timed(results, seconds, **provenance):
    """With made-up times of jobs, in seconds, by method."""
    made = {"threads": 1, "cpu": "one", "gpu": None, "resumed": False}
    for result in blind.restorations(results):
        result.provenance.update(made | {"seconds": seconds.get(blind.method_of(result.job), 60.0)} | provenance)
    return results


def test_times_are_those_of_a_picture_as_multiples_of_the_inverses():
    results = timed(made_up(GOOD, profile="overnight"), {blind.INVERSE: 24 * 0.3, "SRN": 24 * 0.6})
    found = blind.relative_times(results)
    assert found["SRN"] == pytest.approx(2) and found[blind.OURS] == pytest.approx(200) and found[blind.INVERSE] == 1
    (table,) = (table for table in STUDY.tables(results) if table.title.startswith("Optimise"))
    rows = {row[0]: row for row in table.rows}
    column = table.columns.index("times the inverse's time")
    assert rows[blind.OURS][column] == "200" and "1 thread of one" in table.caption
    one = next(run for run in results if blind.method_of(run.job) == blind.OURS)
    one.provenance["cpu"] = "another"
    assert blind.relative_times(results) == {}, "machines differ"
    assert blind.relative_times(timed(results, {}, resumed=True)) == {}, "seconds of the last sitting alone"
    assert blind.relative_times(timed(made_up(GOOD, profile="laptop"), {})) == {}, "three pictures are mostly loading"


def test_captions_say_which_pictures_these_are():
    caption = STUDY.tables(made_up(GOOD, profile="overnight"))[0].caption
    assert "8 scenes, 4 of GoPro's training split and 4 of its test split: windows of 192 px" in caption
    assert "simulated camera" in STUDY.tables(made_up(GOOD, profile="laptop"))[0].caption


def test_ssim_has_its_interval():
    table = STUDY.tables(made_up(GOOD, profile="overnight"))[0]
    column = table.columns.index("SSIM") + 1
    assert table.columns[column] == "gain [95 %]"
    assert {row[column] for row in table.rows} == {None, "+0.000 [+0.000, +0.000]"}


def test_without_lpips_nothing_is_claimed_and_tables_say_so():
    results = made_up(GOOD, measured=False)
    assert STUDY.evidence(results) == {}
    assert blind.NOT_AVAILABLE in STUDY.tables(results)[0].to_markdown()
    assert {table.title for table in STUDY.tables(results)}.isdisjoint({"What three pictures can show"})


def test_rows_of_networks_that_are_not_there_are_left_out(monkeypatch):
    monkeypatch.setattr(blind.weights, "names", list)
    methods = {blind.method_of(job) for job in STUDY.jobs(blind.PROFILES["smoke"]) if not job.task.endswith(":judge")}
    assert methods == set(blind.METHODS) - set(blind.ONCE.values())


def test_the_sign_test_of_three_pictures():
    assert blind.sign_test(3, 3) == 0.25
    assert blind.sign_test(4, 8) == 1 and blind.sign_test(0, 6) == blind.sign_test(6, 6) < 0.05


def test_an_estimate_is_moved_to_where_it_fits():
    sharp = torch.rand(1, 3, 60, 70, generator=torch.Generator().manual_seed(0))
    sharp = blur.convolve(sharp, torch.full((1, 3, 3), 1 / 9))
    moved, inside, shift = blind.registered(sharp.roll((2, -5), (2, 3)), sharp)
    assert shift == 5 and torch.equal(moved, inside)
    assert inside.shape[-2:] == (58 - 2 * blind.REACH, 68 - 2 * blind.REACH)


def test_only_the_priors_differ_between_their_arms():
    recipes = [job.settings["recipe"] for job in STUDY.jobs(blind.PROFILES["laptop"])
               if job.settings.get("operator") == "learned" and blind.method_of(job) == blind.OURS]  # fmt: skip
    for recipe in recipes:
        assert recipe | {"kernel_weight": 0, "gradient_weight": 0} == recipes[0] | {
            "kernel_weight": 0, "gradient_weight": 0
        }  # fmt: skip
    assert len(recipes) == 3 + 2, "three pictures, and one of them without either prior"


def test_street_scenes_are_windows_of_all_pairs():
    pictures = blind.PROFILES["overnight"].pictures
    assert len(pictures) == len(set(pictures)) == 24 and {picture.side for picture in pictures} == {192}


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    return studies.collect(STUDY, "smoke", Store(tmp_path_factory.mktemp("home")), compute=True)


def test_the_blurry_input_is_scored_as_it_is(results):
    (run,) = (run for run in results if blind.method_of(run.job) == blind.BLURRY and run.arrays)
    for picture, restored in zip(blind.PROFILES["smoke"].pictures, run.arrays["restored"], strict=True):
        assert torch.equal(torch.from_numpy(restored)[None], (255 * blind.read(picture)[0]).round().to(torch.uint8))
    assert run.values["macs"] == 0 and max(run.values["psnr"]) < 50


def test_a_run_again_gives_the_same(results):
    run = next(run for run in results if "operator" in run.job.settings)
    again = run_job(run.job)
    assert np.array_equal(run.arrays["restored"], again.arrays["restored"]) and run.values == again.values


def test_turns_cost_more_than_joint_steps(results):
    runs = blind.runs_by_method(results)
    joint, turns = (np.mean([run.values["macs"] for run in runs[name]]) for name in (blind.JOINT, blind.OURS))
    assert joint < turns < 2 * joint


def test_tables_and_figures_take_any_subset(results):
    bare = [Result(result.job, result.values, {}, {}) for result in results]  # as recorded ones
    for subset in ([], results[:1], results[1:3], results[-3:], bare, results):
        for table in STUDY.tables(subset):
            assert table.to_markdown()
        assert all(figure.caption for figure in STUDY.figures(subset))
    names = {figure.name for figure in STUDY.figures(results)}
    assert {"pictures", "cost"} <= names <= {"pictures", "cost", "lpips"}
    assert "pictures" not in {figure.name for figure in STUDY.figures(bare)}
    assert metrics.available("LPIPS (AlexNet)")[0] == (set(STUDY.evidence(results)) != set())
