"""What each decoder draws: chart, powers, why rotated decoders keep colours, and what made-up results lead to."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from deblur_core import studies
from deblur_core.models.xydeblur import XYDeblur
from deblur_core.runs import Result, Store, run_jobs
from deblur_core.studies import xydeblur_decoders
from deblur_core.studies import xydeblur_rotation as rotation
from deblur_core.studies.claims import verdict
from deblur_core.training import Settings, seeded, train
from deblur_core.trainings import absolute_error

STUDY = studies.get("xydeblur_rotation")


# The chart


def test_the_chart_has_24_flat_patches_of_its_colours():
    chart = rotation.chart()
    true = torch.tensor(list(rotation.CHART.values())) / 255
    assert len(rotation.CHART) == 24 and len(set(rotation.CHART.values())) == 24
    assert chart.min() >= 0 and chart.max() <= 1
    assert torch.allclose(rotation.patch_means(chart), true)
    count = (chart[0].flatten(1).T[:, None] == true).all(-1).sum(0)
    assert (count == rotation.PATCH**2).all(), "whole patches, none over another"


def test_greys_are_grey_and_fall_from_white_to_black():
    names = ["white", "neutral 8", "neutral 6.5", "neutral 5", "neutral 3.5", "black"]
    greys = torch.tensor([rotation.CHART[name] for name in names]) / 255
    assert (greys == greys[:, :1]).all() and (greys[:, 0].diff() < 0).all()
    assert (rotation.colour_shift(greys, greys.flip(0)) < 0.01).all(), "brightness is left aside"


def test_a_shift_of_colour_is_seen_whichever_way_it_goes():
    true = rotation.patch_means(rotation.chart())
    assert (rotation.colour_shift(true, true) == 0).all()
    tint = torch.tensor([0.08, -0.04, 0.0])
    for sign in (1, -1):
        assert (rotation.colour_shift(true + sign * tint, true) > rotation.NOTICEABLE).all()
    just_less = rotation.colour_shift(true + 0.05 * tint, true)
    assert (just_less > 0).all() and (just_less < rotation.NOTICEABLE).all()


def test_colour_temperatures():
    """D65 is the white of sRGB; the light of a bulb, illuminant A, has 2856 K."""
    assert rotation.colour_temperature(torch.ones(3)) == pytest.approx(6504, abs=5)
    assert rotation.colour_temperature(torch.tensor([1.0, 0.9, 0.8])) < 6000 < 7500
    assert rotation.colour_temperature(torch.tensor([0.8, 0.9, 1.0])) > 7500
    assert np.isnan(rotation.colour_temperature(torch.zeros(3)))


# Why rotated decoders keep colours


@pytest.mark.parametrize("shared", [True, False])
def test_on_one_colour_rotated_decoders_draw_the_same_colour_and_separate_ones_do_not(shared):
    network = seeded(lambda: XYDeblur(2, shared, width=4, blocks=1), 0).double()
    flat = torch.tensor([0.7, 0.5, 0.3]).double()[:, None, None].expand(1, 3, 128, 128)
    first, second = network.residuals(flat)[..., 48:80, 48:80].mean((1, 3, 4))
    assert torch.allclose(first, second, atol=1e-12) is shared


def test_training_never_brings_the_colours_of_separate_decoders_together():
    network = seeded(lambda: XYDeblur(2, False, width=4, blocks=1), 0)
    before = [decoder.fine[-1].bias.detach().clone() for decoder in network.decoders]

    def pairs(generator):
        x = torch.rand(2, 3, 16, 16, generator=generator)
        return x / 2, x

    train(network, absolute_error, pairs, Settings(steps=10, precision="float32", clip=1.0))
    after = [decoder.fine[-1].bias.detach() for decoder in network.decoders]
    assert (after[0] - before[0]).abs().min() > 1e-4
    assert torch.allclose(after[0] - after[1], before[0] - before[1], atol=1e-6)


# Powers


class Derivatives(torch.nn.Module):
    """Draws the differences of neighbours in x and in y: what motion along x and y takes away."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(1))

    def residuals(self, y):
        return torch.stack([y[..., 1:, 1:] - y[..., 1:, :-1], y[..., 1:, 1:] - y[..., :-1, 1:]])


def test_powers_are_larger_where_the_other_direction_is_blurred_for_a_derivative():
    sharp = torch.rand(1, 3, 40, 52, generator=torch.Generator().manual_seed(0))
    sharp[..., ::2] *= 0.3  # upright stripes
    found = rotation.powers(Derivatives(), sharp, 6.0)
    assert found[0, 0] < 0.3 * found[0, 1] and found[1, 1] < 0.3 * found[1, 0]
    assert found[0, 0] == pytest.approx(found[1, 1], rel=1e-5), "upright stripes favour nobody"


def look(power, shift=(0.1, 0.1), seed=0, shared=True, start=None):
    """A made-up result; power by picture."""
    profile = xydeblur_decoders.PROFILES["smoke"]
    job = next(
        job
        for job in STUDY.jobs(replace(profile, seeds=(seed,)))
        if "of" in job.settings
        and rotation.of_arm(Result(job, {}, {}, {}))["network"]["shared"] is shared
        and ("start" in rotation.of_arm(Result(job, {}, {}, {}))["network"]) is (start is not None)
    )
    values = {
        "powers": power,
        "shift": [[amount] * 24 for amount in shift],
        "restored": [0.1] * 24,
        "temperature": [6504, 6000, 7000, 6504],
    }
    return Result(job, values, {}, {})


def pictures(octaves, noise=0.1, seed=0):
    """Powers of six pictures: (octaves of decoder 0, of decoder 1) for x over y."""
    random = np.random.default_rng(seed)
    drawn = random.normal(octaves, noise, (6, 2))
    return {f"p{i}": [[2.0**first, 1.0], [2.0**second, 1.0]] for i, (first, second) in enumerate(drawn)}


def test_decoders_are_named_by_other_pictures():
    named = rotation.preferences(look(pictures((1.0, -0.5), noise=0)))
    assert all(found == pytest.approx((1.0, 0.5)) for found in named.values())
    swapped = rotation.preferences(look(pictures((-0.5, 1.0), noise=0)))
    assert all(found == pytest.approx((1.0, 0.5)) for found in swapped.values())
    noise = [
        np.mean([sum(pair) for pair in rotation.preferences(look(pictures((0, 0), 1, seed))).values()])
        for seed in range(200)
    ]
    assert abs(np.mean(noise)) < 4 * np.std(noise) / 200**0.5, "noise prefers no direction"


# Verdicts


@pytest.mark.parametrize(
    ("octaves", "says"),
    [
        ((1.0, -0.5), "reproduced"),
        ((-0.5, 1.0), "reproduced"),
        ((1.0, 0.5), "contradicted"),  # both prefer blur along x
        ((0.0, 0.0), "inconclusive"),
    ],
)
def test_directions(octaves, says):
    power = [pictures(octaves, 0.3 if octaves == (0.0, 0.0) else 0.05, seed) for seed in range(4)]
    runs = [look(power[seed], seed=seed, start=1.0) for seed in range(4)]
    found = STUDY.evidence(runs)["C4.5"]
    assert verdict(replace(found, reduced="")) == says and verdict(found) == "inconclusive", "far smaller networks"
    assert verdict(replace(STUDY.evidence(runs[:1])["C4.5"], reduced="")) == "inconclusive", "one seed"


@pytest.mark.parametrize(
    ("separate", "rotated", "says"),
    [
        (12.0, 0.2, "reproduced"),
        (12.0, 9.0, "contradicted"),
        (0.5, 0.2, "contradicted"),
        (2.3, 0.2, "inconclusive"),
    ],
)
def test_colours(separate, rotated, says):
    random, power = np.random.default_rng(0), pictures((1.0, -1.0))
    runs = []
    for seed in range(4):
        moved = random.normal(0, 0.05)
        runs += [
            look(power, (separate + moved, separate - 3 * moved), seed, False, 1.0),
            look(power, (rotated, rotated + abs(moved)), seed, True, 1.0),
        ]
    found = STUDY.evidence(runs)["C4.4"]
    assert verdict(replace(found, reduced="")) == says and "channels, not 32" in found.reduced
    assert {(comparison.n, comparison.of, comparison.unit) for comparison in found.comparisons} == {
        (4, "seeds", "CIELAB")
    }  # fmt: skip


def test_directions_are_those_of_the_paper_s_start_and_the_other_is_named():
    clear, faint = pictures((2.0, -2.0)), pictures((1.0, -1.0))
    runs = [look(power, seed=seed, start=start) for seed in range(3) for power, start in ((faint, 1.0), (clear, None))]
    assert "C4.5" not in STUDY.evidence([run for run in runs if "start" not in rotation.of_arm(run)["network"]])
    found = STUDY.evidence(runs)["C4.5"]
    assert "; rotated, started as the identity +2.00 and +2.00" in found.ours
    assert found.comparisons[0].effect == pytest.approx(1.0, abs=0.1)


def test_a_mean_over_seeds_has_its_range():
    assert rotation.over_seeds([1.0, 4.0], ".2f") == "2.50 (1.00 to 4.00)"
    assert rotation.over_seeds([1.0], "+.1f") == "+1.0"
    power = pictures((1.0, -1.0))
    (table,) = STUDY.tables([look(power, (shift, shift), seed, False, 1.0) for seed, shift in enumerate((2.0, 12.0))])
    cells = dict(zip(table.columns, table.rows[0], strict=True))
    assert cells["colour shift, partial"] == "7.00 (2.00 to 12.00)"
    assert cells["white of each part (K)"] == "6000 / 7000; 6000 / 7000", "of both seeds"


def test_the_identities_are_told_alike_on_every_machine():
    assert rotation.identities() is rotation.identities() and rotation.identities().holds
    assert rotation.identities().ours.startswith("to less than 1e-12 in float64; 4,918,627 and 4,918,627")


# The study


@pytest.mark.parametrize("profile", studies.PROFILES)
def test_trainings_are_shared_with_the_study_of_decoders(profile):
    theirs = {job.key for job in studies.jobs(studies.get("xydeblur_decoders"), profile)}
    own = studies.jobs(STUDY, profile)
    trained = [job for job in own if "of" not in job.settings]
    assert len(own) == 2 * len(trained)
    for job in trained:
        assert (job.key in theirs) is ("start" not in job.settings["network"])


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    store = Store(tmp_path_factory.mktemp("store"))
    return run_jobs(studies.jobs(STUDY, "smoke"), store)


def test_a_run(results):
    looks = rotation.arms(results, "look")
    assert list(looks) == list(rotation.ARMS) and all(len(runs) == 1 for runs in looks.values())
    for arm, (run,) in looks.items():
        partial, restored = torch.from_numpy(run.arrays["partial"]), torch.from_numpy(run.arrays["chart"])
        assert torch.allclose(partial.sum(0) - rotation.chart()[0], restored[0], atol=1e-5), "a sum of its parts"
        assert run.arrays["residuals"].shape == (2, 2, 3, 48, 48)
        assert (rotation.mean_shift(run) > rotation.NOTICEABLE) is arm.like_the_paper, "as it started"


def test_tables_and_figures_take_any_subset(results):
    bare = [Result(result.job, result.values, {}, {}) for result in results]
    for subset in ([], results[:2], results[4:5], results[6:], bare, results):
        for table in STUDY.tables(subset):
            assert table.to_markdown()
        assert all(figure.caption for figure in STUDY.figures(subset))
    assert len(STUDY.figures(results)) == 3 and len(STUDY.figures(bare)) == 1
    assert set(STUDY.evidence(results)) == set(STUDY.claims)
