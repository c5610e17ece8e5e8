"""Samples and their spread: what made-up results lead to, and a run in seconds."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from deblur_core import studies
from deblur_core.data.training_pairs import Blur
from deblur_core.models.refinement import Design, expected_residual
from deblur_core.runs import Job, Result, Store, run_job
from deblur_core.studies import refining
from deblur_core.studies import stochastic_refinement as refinement
from deblur_core.studies.claims import verdict
from deblur_core.studies.learning import Pictures

STUDY = studies.get("stochastic_refinement")
PICTURES = [f"picture{i}, x" for i in range(12)]
OVERNIGHT = refinement.PROFILES["overnight"]
# As if a network of the paper's size had learnt shakes of three sizes.
MIXED = replace(OVERNIGHT.pictures, blur=Blur(size=15, kinds=("shake",)))
SMOKE = refinement.PROFILES["smoke"].pictures, refinement.PROFILES["smoke"].settings
THREE = replace(OVERNIGHT, network="", design=Design(), pictures=MIXED)


def made_up(spreads=(3.0, 4.0, 5.0), gain=1.0, residual=4.0, lost=0.0, size=(712, 1272), own_loss=False):
    """Results at overnight's sizes: standard deviations in grey levels from the smallest shake to the largest, dB that
    the initial prediction gains, bits of the residual, dB that large pictures lose; whether the prediction had a
    loss of its own."""
    random = np.random.default_rng(0)
    noise = 0.05 * random.normal(size=len(PICTURES))
    found, sizes = [], sorted({refinement.size_of(Result(job, {}, {}, {})) for job in restoring()})
    for job in STUDY.jobs(THREE):
        name = job.task.rpartition(":")[2]
        values = {"names": PICTURES}
        if name == "restore":
            if job.settings["part"]:
                continue
            spread = spreads[sizes.index(job.settings["pictures"]["blur"]["size"])]
            scores = {str(n): {"psnr": 25.0 + n, "mse": 0.01 / n} for n in (1, 2, 4, 8)}
            values |= {"deviation": list((spread + noise) / 255), "blurry": [25.0] * 12, "averages": [scores] * 12}
        elif name == "predict":
            blurry, initial = ([{"psnr": 25 + psnr + i, "texture": 3.0} for i, psnr in enumerate(step + noise)]
                               for step in (0, gain))  # fmt: skip
            values |= {
                "blurry": blurry, "initial": initial, "corrected": [26.0] * 12, "drift": [[1.0, -1.0, 0.0]] * 12,
                "entropy": [[7.0, 4.5, residual + step] for step in noise], "pooled": [7.2, 4.6, residual],
                "own_loss": own_loss,
            }  # fmt: skip
        elif name == "whole_and_tiles":
            values |= {key: [[28.0 - lost + step, 28.0] for step in noise / 10] for key in ("initial", "samples")}
            values["size"] = list(size)
        else:
            values |= {
                "psnr": [26.0] * 12, "last": [25.9] * 12, "blurry": [25.0] * 12, "parameters": 1000,
                "curve": [{"step": 1, "loss": 0.9, "psnr": 25.0, "drift": 1.0}, {"step": 2, "loss": 0.2, "psnr": 26.0,
                                                                             "drift": 0.5}],
            }  # fmt: skip
        found.append(Result(job, values, {}, {}))
    return found


def restoring():
    return [job for job in STUDY.jobs(THREE) if job.task.endswith(":restore")]


@pytest.mark.parametrize(
    ("claim", "options", "says"),
    [
        ("C3.7", {"spreads": (3.0, 4.0, 5.0)}, "reproduced"),
        ("C3.7", {"spreads": (5.0, 4.0, 3.0)}, "contradicted"),
        ("C3.7", {"spreads": (3.0, 5.0, 4.0)}, "contradicted"),  # it has to grow all the way
        ("C3.9", {"residual": 4.0}, "reproduced"),
        ("C3.9", {"residual": 7.5}, "contradicted"),
        ("C3.10", {"gain": 1.0}, "reproduced"),
        ("C3.10", {"gain": -1.0}, "contradicted"),
        ("C3.10", {"gain": 1.0, "own_loss": True}, "inconclusive"),  # the claim is about a predictor without
        ("C3.11", {"lost": 0.0}, "reproduced"),
        ("C3.11", {"lost": 0.05}, "reproduced"),  # a little
        ("C3.11", {"lost": 0.2}, "contradicted"),
        ("C3.11", {"size": (256, 256)}, "inconclusive"),  # nothing is said of such pictures
    ],
)
def test_verdicts_follow_the_numbers(claim, options, says):
    assert verdict(STUDY.evidence(made_up(**options))[claim]) == says


def test_a_predictor_without_a_loss_of_its_own_speaks_for_one_that_had_it():
    (comparison,) = STUDY.evidence(made_up(gain=3.0, own_loss=True))["C3.10"].comparisons
    assert comparison.effect == pytest.approx(1.0), "made_up's small networks gain 1 dB"


def test_small_networks_decide_nothing_shipped_or_trained_here():
    restored = next(run for run in made_up() if run.job.task.endswith(":restore"))
    tiny = refining.train_job(OVERNIGHT.design, OVERNIGHT.pictures, OVERNIGHT.settings)
    for network in ("refinement", tiny):
        run = Result(refining.predict_job(network, OVERNIGHT.pictures), restored.values, {}, {})
        assert "not 33 M" in refining.smaller(run)
    assert refining.smaller(restored) == ""


def test_a_curve_that_lies_on_the_line_of_the_blurry_pictures_is_named():
    results = made_up()
    (told,) = [figure.caption for figure in STUDY.figures(results) if figure.name == "training"]
    assert "changes next to nothing" not in told, "made_up's networks gain 1 dB"
    for run in results:
        if run.job.task.endswith(":train_refinement") and run.job.settings["design"]["colour_weight"]:
            run.values["curve"] = [point | {"psnr": 25.01} for point in run.values["curve"]]
    (told,) = [figure.caption for figure in STUDY.figures(results) if figure.name == "training"]
    assert 'By "paper\'s loss + colour loss" g(y) changes next to nothing' in told


def test_pictures_under_three_sizes_of_shake_are_paired():
    comparisons = STUDY.evidence(made_up())["C3.7"].comparisons
    assert [comparison.n for comparison in comparisons] == [12, 12]
    assert [comparison.effect for comparison in comparisons] == pytest.approx([1, 1])
    assert comparisons[0].high - comparisons[0].low < 1e-6, "what pictures have in common cancels"


def test_scatter_in_local_units_is_that_of_every_pixel_over_the_unit_there():
    design = Design(4, 4, (1, 2), blocks=1, residual_scale=None, predictor_weight=100.0)
    pictures = Pictures(crop=32, blur=Blur(size=7, kinds=("shake",), count=8))
    network = refining.train_job(design, pictures, refinement.PROFILES["smoke"].settings)
    assert refining.in_local_units(network) and not refining.in_local_units(refining.train_job(Design(), *SMOKE))
    (job,) = refining.restore_jobs(network, pictures, steps=3, samples=2)
    restored = run_job(job)
    values = run_job(Job.create(refinement.relative_spread, of=[job.to_json()])).values
    for i, name in enumerate(restored.values["names"]):
        unit = expected_residual(torch.from_numpy(restored.arrays["initial"][i : i + 1]).float() / 255)
        spread = (torch.from_numpy(restored.arrays["deviation"][i]).float() / unit[0]).square().mean().sqrt().item()
        assert values["names"][i] == name and values["spread"][i] == pytest.approx(spread, rel=1e-4)
        least, most = (255 * edge.item() for edge in unit.aminmax())
        assert least <= values["unit"][i] <= most
        assert restored.values["deviation"][i] * 255 <= values["spread"][i] * most * 1.01


def test_scatter_is_told_in_units_where_the_network_has_them():
    measured = [job for job in STUDY.jobs(OVERNIGHT) if job.task.endswith(":relative_spread")]
    assert len(measured) == len(refinement.sizes_of(refining.learnt_blur("refinement", MIXED.blur)))
    assert not [job for job in STUDY.jobs(THREE) if job.task.endswith(":relative_spread")]
    shares = {7: 0.5, 11: 0.6, 15: 0.7}
    of = {job.settings["pictures"]["blur"]["size"]: job for job in restoring()}
    told = [Result(Job.create(refinement.relative_spread, of=[of[size].to_json()]),
                   {"names": PICTURES, "spread": [share] * 12, "unit": [8.0] * 12}, {}, {})
            for size, share in shares.items()]  # fmt: skip
    results = made_up() + told
    (table,) = (table for table in STUDY.tables(results) if table.title.startswith("Scatter"))
    assert [row[2:4] for row in table.rows] == [("8.00", "0.500"), ("8.00", "0.600"), ("8.00", "0.700")]
    assert STUDY.evidence(results)["C3.7"].ours.endswith("0.500, 0.600, 0.700")


def test_frames_of_one_scene_are_one_picture():
    assert refining.picture_of("GOPR0372_07_00_000047, shake") == refining.picture_of("GOPR0372_07_00_000048, shake")
    assert refining.picture_of("kodim01, x") == "kodim01"


def test_three_sizes_up_to_the_largest_that_was_learnt():
    assert refinement.sizes_of(Blur(size=15)) == [7, 11, 15] and refinement.sizes_of(Blur(size=9)) == [5, 7, 9]
    assert refinement.sizes_of(Blur(size=7)) == [5, 7] and refinement.sizes_of(Blur(size=3)) == [3]
    blurs = [job.settings["pictures"]["blur"] for job in restoring()]
    assert {blur["size"] for blur in blurs} == {7, 11, 15} and all(blur["kinds"] == ["shake"] for blur in blurs)


def test_crops_cover_the_picture_and_lose_their_rims():
    picture = torch.arange(3 * 260 * 400).reshape(1, 3, 260, 400)
    tiles = refinement.to_tiles(picture)
    assert tiles.shape == (6, 3, 128, 128)
    assert torch.equal(tiles[4], picture[0, :, 128:256, 128:256])
    inside = refinement.inside(tiles)
    assert inside.shape == (3, 6 * 96, 96) and torch.equal(inside[:, 96:192], picture[0, :, 16:112, 144:240])


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    return studies.collect(STUDY, "smoke", Store(tmp_path_factory.mktemp("home")), compute=True)


def test_an_untrained_predictor_does_not_care_for_the_size(results):
    (compared,) = studies.of_task(results, refinement.whole_and_tiles)
    assert np.allclose(*np.transpose(compared.values["initial"]), atol=0.01)


def test_errors_of_samples_are_that_of_their_mean_and_their_scatter(results):
    for run in studies.of_task(results, refining.restore):
        n = run.job.settings["samples"]
        for scores, deviation in zip(run.values["averages"], run.values["deviation"], strict=True):
            expected = scores[str(n)]["mse"] + deviation**2 * (n - 1) / n
            assert scores["1"]["mse"] == pytest.approx(expected, rel=1e-3)


def test_tables_and_figures_take_any_subset(results):
    bare = [Result(result.job, result.values, {}, {}) for result in results]  # as recorded ones
    for subset in ([], results[:1], results[2:3], results[4:], bare, results):
        for table in STUDY.tables(subset):
            assert table.to_markdown()
        assert all(figure.caption for figure in STUDY.figures(subset))
    assert len(STUDY.tables(results)) == 5
    assert {figure.name for figure in STUDY.figures(results)} == {
        "training", "restorations", "deviation", "spread", "entropy"
    }  # fmt: skip
    assert {figure.name for figure in STUDY.figures(bare)} == {"training", "spread"}
    assert set(STUDY.evidence(results)) == set(STUDY.claims)


def test_only_built_in_pictures_are_shown():
    assert {figure.name for figure in STUDY.figures(made_up())} == {"training", "spread"}


def test_the_loss_is_the_only_difference_of_the_trainings():
    arms = refinement.by_loss([Result(job, {}, {}, {}) for job in studies.jobs(STUDY, "overnight")])
    assert set(arms) == set(refinement.ARMS)
    for name, runs in arms.items():
        for one, other in zip(arms[refinement.ALONE], runs, strict=True):
            mine, theirs = one.job.settings, other.job.settings
            assert mine["design"] | refinement.ARMS[name] == theirs["design"]
            assert mine | {"design": theirs["design"]} == theirs


def test_profiles_run_what_they_say():
    first = run_job(studies.jobs(STUDY, "smoke")[0])
    assert first.values["curve"][-1]["step"] == 3
