"""Swapped and synthesised blur: what made-up results lead to, what the sets are made of, and runs in seconds."""

import numpy as np
import pytest
import torch

from deblur_core import metrics, studies
from deblur_core.data.camera_pairs import Camera
from deblur_core.runs import Result, Store, run_job
from deblur_core.studies import blur_swap, blur_synthesis, operators, training_sets
from deblur_core.studies.claims import Comparison, Evidence, verdict
from deblur_core.studies.study import of_task
from deblur_core.studies.training_sets import Scenes, as_floats, derangement, film, train_on
from deblur_core.training import Settings

SWAP, SYNTHESIS = studies.get("blur_swap"), studies.get("blur_synthesis")
BOTH = pytest.mark.parametrize("study", [SWAP, SYNTHESIS], ids=lambda study: study.name)


# Verdicts


def made_up(study, gains, profile="overnight", scatter=0.03, width=None, drawn=0):
    """Training runs of this profile: what each arm gains over the blurry picture, in dB; drawn: seed of the scatter."""
    random, found = np.random.default_rng(drawn), []
    names = [f"picture{i % 27}, {i}" for i in range(54)]
    for job in studies.jobs(study, profile):
        if not job.task.endswith(":train_on"):
            continue
        settings = job.settings
        if width:
            settings["network"]["width"] = width
            job = type(job).create(train_on, data=job.data, **settings)
        psnr = 25 + gains.get(settings["arm"], 1.0) + scatter * random.normal(size=len(names)) + np.arange(54) % 27
        values = {"names": names, "psnr": list(psnr), "blurry": list(25.0 + np.arange(54) % 27), "parameters": 236_603,
                  "curve": [], "doubts": []}  # fmt: skip
        found.append(Result(job, values, {}, {}))
    return found


def within(study, gains, claim, **options):
    """The verdict if nothing but the comparisons counted."""
    said = study.evidence(made_up(study, gains, **options))[claim]
    return verdict(Evidence(said.comparisons))


@pytest.mark.parametrize(
    ("swapped", "says"), [(1.0, "reproduced"), (0.95, "reproduced"), (0.8, "contradicted"), (1.2, "contradicted")]
)
def test_comparable_means_within_the_margin_on_both_sides(swapped, says):
    assert within(SWAP, {blur_swap.CLAIMED: swapped}, "C2.2") == says


def test_no_significant_difference_is_not_the_same_as_comparable():
    found = made_up(SWAP, {}, scatter=3.0, drawn=1)
    arms = training_sets.by_arm(found)
    difference = training_sets.difference(arms, blur_swap.CLAIMED, blur_swap.ORIGINAL)
    assert difference.low < 0 < difference.high
    assert blur_swap.answer(difference) == "undecided"
    assert verdict(Evidence(SWAP.evidence(found)["C2.2"].comparisons)) == "inconclusive"


def test_the_answer_agrees_with_the_verdict():
    for effect in (-0.3, -0.05, 0.0, 0.05, 0.3):
        found = Comparison("", effect, effect - 0.04, effect + 0.04, 5, "dB")
        says = {"yes": "reproduced", "no": "contradicted", "undecided": "inconclusive"}[blur_swap.answer(found)]
        sides = blur_swap.equivalent(found)
        assert verdict(Evidence(sides)) == says and {side.of for side in sides} == {found.of}


def test_simulated_cameras_cannot_decide_on_reds_and_gopro():
    for options in ({}, {"width": 32}):
        assert verdict(SWAP.evidence(made_up(SWAP, {}, **options))["C2.2"]) == "inconclusive"
        assert verdict(SYNTHESIS.evidence(made_up(SYNTHESIS, {}, **options))["C2.3"]) == "inconclusive"


@pytest.mark.parametrize(
    ("study", "claim", "baseline"), [(SWAP, "C2.2", blur_swap.ORIGINAL), (SYNTHESIS, "C2.3", blur_synthesis.ORDINARY)]
)
def test_where_the_baseline_learns_nothing_there_is_little_to_compare(study, claim, baseline):
    for gain, little in ((0.01, True), (1.0, False)):
        said = study.evidence(made_up(study, {baseline: gain}, width=32))[claim].reduced
        assert "REDS" in said and ("little to compare" in said) == little


@BOTH
def test_runs_that_learned_nothing_are_told_in_caption_and_claim(study):
    arm = {SWAP.name: blur_swap.CLAIMED, SYNTHESIS.name: blur_synthesis.COMBINED}[study.name]
    seeds = study.profiles["overnight"].seeds
    for gain, told in ((-0.3, True), (1.0, False)):
        found = made_up(study, {arm: gain})
        said = (
            f"{len(seeds)} of {len(found)} runs end no better than the blurry picture "
            f"({arm}, seeds {', '.join(map(str, seeds))})"
        )
        for text in (study.tables(found)[-1].caption, study.evidence(found)[study.claims[0]].reduced):
            assert (said in text) is told


@BOTH
def test_captions_say_that_all_pans_go_one_way(study):
    assert "pans by 4 to 9 px, always along x" in study.tables(made_up(study, {}))[-1].caption
    assert "pans" not in training_sets.conditions(made_up(study, {}, profile="paper"))


@pytest.mark.parametrize(("combined", "says"), [(1.3, "reproduced"), (0.7, "contradicted"), (1.0, "inconclusive")])
def test_synthesised_blur_helps_or_does_not(combined, says):
    gains = {blur_synthesis.COMBINED: combined}
    assert within(SYNTHESIS, gains, "C2.3", scatter=0.3) == says
    said = SYNTHESIS.evidence(made_up(SYNTHESIS, gains))["C2.3"].reduced
    assert "236,603 parameters" in said, "a fraction of SRN's width"


@BOTH
def test_the_papers_statement_stands_in_the_table_and_no_number_of_it(study):
    table = study.tables(made_up(study, {}))[-1]
    assert "numbers not available" in table.caption and "The paper" in table.caption
    assert any("paper" in column for column in table.columns)


# Sets


@pytest.mark.parametrize("count", [2, 3, 24])
def test_nobody_gets_his_own_blur_and_every_blur_is_used_once(count):
    for seed in range(5):
        order = derangement(count, seed)
        assert sorted(order) == list(range(count)) and all(i != other for i, other in enumerate(order))
    assert derangement(24, 0) != derangement(24, 1)


SCENES = Scenes(Camera(side=64, shift=(0.5, 1.0), pan=(4.0, 9.0), near=0.0), count=4, tests=2)


@pytest.fixture(scope="module")
def pairs():
    own, others = (training_sets.film_job(SCENES, motions, 3) for motions in ("own", "others"))
    return {"own": run_job(own), "others": run_job(others), "swapped": run_job(
        training_sets.swap_job(own, others, "linear", 3))}  # fmt: skip


def test_swapped_pairs_show_the_same_pictures_under_the_blur_of_another(pairs):
    originals, again, swapped = (pairs[name].arrays["pairs"] for name in ("own", "others", "swapped"))
    assert np.array_equal(originals[:, 3:], again[:, 3:]) and np.array_equal(originals[:, 3:], swapped[:, 3:])
    scores = pairs["swapped"].values
    assert np.mean(scores["swapped"]) > np.mean(scores["own"]) + 1, "nearer to filming than the own blur is"
    blurry, target = as_floats(swapped)[0], as_floats(again)[0]
    assert scores["swapped"][2] == pytest.approx(metrics.psnr(blurry[2:3], target[2:3]))


def test_new_cameras_film_the_same_pictures_by_motions_that_are_new(pairs):
    new = run_job(training_sets.film_job(SCENES, "new", 3, rounds=2)).arrays["pairs"]
    originals = pairs["own"].arrays["pairs"]
    assert np.array_equal(new[:, 3:], np.concatenate([originals[:, 3:]] * 2))
    blurs = np.concatenate([originals[:1, :3], new[[0, 4], :3]])
    assert len({picture.tobytes() for picture in blurs}) == 3


def test_held_out_pictures_are_other_pictures(pairs):
    tests = run_job(training_sets.held_out_job(SCENES))
    names = [{name.rpartition(", ")[0] for name in result.values["names"]} for result in (tests, pairs["own"])]
    assert not names[0] & names[1]


@pytest.mark.parametrize("operator", ["linear", "lines"])
def test_synthesised_blur_differs_from_round_to_round_and_from_seed_to_seed(operator):
    own = training_sets.film_job(SCENES, "own", 3)
    one, other = (run_job(training_sets.synthesise_job(own, operator, 4, seed)).arrays["pairs"] for seed in (3, 4))
    assert one.shape == (16, 6, 64, 64)
    drawn = slice(4, None, 8)  # of four pairs, k of another one may come back
    assert len({picture.tobytes() for picture in (*one[drawn, :3], *other[drawn, :3])}) == 4
    again = run_job(training_sets.synthesise_job(own, operator, 4, 3)).arrays["pairs"]
    assert np.array_equal(one, again)


def test_drawn_blurs_keep_the_brightness():
    sharp = torch.full((3, 3, 64, 64), 0.5)
    k = training_sets.drawn("linear", sharp, torch.Generator().manual_seed(0))
    assert k.shape[0] == 3 and 1 < k.std() < 1.5
    blurry, _ = as_floats(training_sets.reblurred("linear", sharp, k))
    assert torch.allclose(blurry, sharp, atol=0.02)


# Training


def test_ordinary_augmentation_does_the_same_to_both_pictures():
    x = torch.rand(4, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    blurry, sharp = training_sets.augmented(x, x, torch.Generator().manual_seed(1))
    assert (blurry - sharp).abs().max() < 6 * training_sets.NOISIEST and not torch.equal(blurry, sharp)
    light = sharp.mean((1, 2, 3)) / x.mean((1, 2, 3))
    assert (light >= training_sets.DARKEST).all() and (light <= 1).all()
    assert not torch.allclose(sharp / light[:, None, None, None], x), "colours change places"


def test_every_set_has_its_share_of_a_batch():
    white, black = np.full((2, 6, 16, 16), 255, np.uint8), np.zeros((2, 6, 16, 16), np.uint8)
    source = training_sets.Mixed([white, black], Settings(steps=1, batch=6, crop=8), "cpu", ordinary=False)
    blurry, sharp = source(torch.Generator().manual_seed(0))
    assert blurry.shape == (6, 3, 8, 8) and blurry.mean() == sharp.mean() == 0.5


@pytest.fixture(scope="module", params=[SWAP, SYNTHESIS], ids=lambda study: study.name)
def run(request, tmp_path_factory):
    store = Store(tmp_path_factory.mktemp("home"))
    return request.param, studies.collect(request.param, "smoke", store, compute=True)


def test_arms_differ_in_their_sets_alone(run):
    _, results = run
    trained = of_task(results, train_on)
    settings = [result.job.settings for result in trained]
    assert len({one["arm"] for one in settings}) == len(settings) == 4
    for one in settings:
        one.pop("arm"), one.pop("sets")
        assert one == settings[0]
    assert len({tuple(result.values["psnr"]) for result in trained}) == 4
    assert all(result.values["blurry"] == trained[0].values["blurry"] for result in trained)


def test_tables_and_figures_take_any_subset(run):
    study, results = run
    bare = [Result(result.job, result.values, {}, {}) for result in results]  # as recorded ones
    trained = of_task(results, train_on)
    for subset in ([], results[:1], results[:4], results[3:5], trained, trained[1:2], bare, results):
        for table in study.tables(subset):
            assert table.to_markdown()
        assert all(figure.caption for figure in study.figures(subset))
    assert len(study.tables(results)) == 2 and len(study.figures(results)) == 3 and len(study.figures(bare)) == 1
    assert set(study.evidence(results)) == set(study.claims)


@BOTH
def test_profiles_run_what_they_say(study):
    for profile in studies.PROFILES:
        tests = [job for job in studies.jobs(study, profile) if job.task.endswith(f":{film.__name__}")
                 and job.settings["seed"] == training_sets.TESTS]  # fmt: skip
        assert len(tests) == 1, "all arms are judged by the same pictures"
    seeds = {job.settings["seed"] for job in studies.jobs(study, "overnight") if job.task.endswith(":train_on")}
    assert len(seeds) >= 5
    assert blur_swap.ARMS["learned"] == blur_swap.CLAIMED and set(blur_swap.ARMS) == set(operators.NAMES)
