"""The toy world is exact: its posterior, its denoiser, its distances; and what its study concludes from them."""

import math

import pytest
import torch

from deblur_core import studies
from deblur_core.runs import Store
from deblur_core.studies import refinement_toy as toy
from deblur_core.studies.claims import verdict

STUDY = studies.get("refinement_toy")


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    return studies.collect(STUDY, "smoke", Store(tmp_path_factory.mktemp("home")), compute=True)


def grid(side=161, reach=1.6):
    """Pictures of two pixels on a grid, `(side², 2)`."""
    axis = torch.linspace(-reach, reach, side, dtype=torch.float64)
    return torch.cartesian_prod(axis, axis)


def log_density(mixture, x):
    components = torch.stack([
        torch.distributions.MultivariateNormal(mean, covariance).log_prob(x)
        for mean, covariance in zip(mixture.means, mixture.covariances, strict=True)
    ], -1)  # fmt: skip
    return (components + mixture.weights.log()).logsumexp(-1)


# The exact world, against sums over a grid


@pytest.mark.parametrize("y", [-0.5, 0.02, 0.3])
def test_posterior_is_bayes_rule(y):
    x = grid()
    likelihood = torch.distributions.Normal(x @ toy.BLUR, toy.NOISE).log_prob(torch.tensor(y, dtype=torch.float64))
    weights = (log_density(toy.PICTURES, x) + likelihood).softmax(0)[:, None]
    mean = (weights * x).sum(0)
    posterior = toy.PICTURES.posterior(torch.tensor([y], dtype=torch.float64), toy.BLUR, toy.NOISE)
    assert torch.allclose(posterior.mean()[0], mean, atol=1e-6)
    assert torch.allclose(posterior.variance()[0], (weights * (x - mean).square()).sum(0), atol=1e-6)


@pytest.mark.parametrize("alpha_bar", [0.95, 0.5])
def test_the_denoiser_is_perfect(alpha_bar):
    """E[ε | x_t] by Bayes' rule over x, ε = (x_t − √ᾱ x) / √(1 − ᾱ)."""
    x, noisy = grid(321), torch.tensor([0.3, -0.45], dtype=torch.float64)
    noise = (noisy - alpha_bar**0.5 * x) / (1 - alpha_bar) ** 0.5
    weights = (log_density(toy.PICTURES, x) - noise.square().sum(-1) / 2).softmax(0)
    assert torch.allclose(toy.PICTURES.noise(noisy, alpha_bar), weights @ noise, atol=1e-4)


def test_draws_have_the_moments_of_the_mixture():
    posterior = toy.posteriors(5)
    drawn = posterior.draw(40_000, torch.Generator().manual_seed(0))
    assert drawn.shape == (40_000, 5, 2)
    assert torch.allclose(drawn.mean(0), posterior.mean(), atol=0.02)
    assert torch.allclose(drawn.var(0), posterior.variance(), atol=0.02)


def test_blurry_pictures_are_spread_like_y():
    """The mean over y of the posteriors is the prior: the law of total expectation."""
    posterior = toy.posteriors(2000)
    assert torch.allclose(posterior.mean().mean(0), toy.PICTURES.mean(), atol=1e-3)
    total = posterior.variance().mean(0) + posterior.mean().var(0, correction=0)
    assert torch.allclose(total, toy.PICTURES.variance(), atol=1e-3)


def test_distance_is_zero_for_sharp_pictures_and_the_shift_of_shifted_ones():
    drawn = toy.PICTURES.draw(20_000, torch.Generator().manual_seed(0))
    assert toy.distance(drawn) < 0.01
    shift = torch.tensor([0.3, 0.0], dtype=torch.float64)  # mean of |cos| over all directions: 2/π
    assert toy.distance(drawn + shift) == pytest.approx(0.3 * 2 / math.pi, rel=0.05)


def test_discs_hold_the_share_of_sharp_pictures_that_their_caption_says():
    (axes, *_) = toy.scatter({"": torch.zeros(1, 2)}, "").figure.axes
    radius = axes.patches[0].radius
    drawn = toy.PICTURES.draw(100_000, torch.Generator().manual_seed(0))
    inside = (torch.cdist(drawn, toy.PIXELS).amin(1) <= radius).double().mean()
    assert inside == pytest.approx(toy.DISC, abs=0.003) and len(axes.patches) == len(toy.PIXELS)


# The study


def test_averaging_follows_the_law(results):
    (exact,) = toy.of_task(results, toy.draw_exactly)
    counts, errors, distances = zip(*toy.averages(exact), strict=True)
    assert counts == toy.AVERAGED
    for count, mse in zip(counts, errors, strict=True):
        assert mse / exact.values["least"] == pytest.approx(1 + 1 / count, rel=0.05)
    assert sorted(distances) == list(distances) and distances[-1] < exact.values["distance of the mean"]


def test_steps_trade_error_for_likeness(results):
    runs = sorted(toy.of_task(results, toy.diffuse, last=None), key=lambda run: run.job.settings["steps"])
    errors = [toy.relative(run, "mse") for run in runs]
    distances = [toy.relative(run, "distance") for run in runs]
    assert errors[0] == pytest.approx(1, abs=1e-3), "one step is regression"
    assert errors == sorted(errors) and distances == sorted(distances, reverse=True)


def test_an_initial_prediction_helps_only_where_the_schedule_stops_short_of_noise(results):
    residual, picture = toy.grid(results, True), toy.grid(results, False)
    assert residual.keys() == picture.keys()
    gains = {s: picture[s].values["distance"]["1"] - residual[s].values["distance"]["1"] for s in residual}
    assert gains[10, 0.05] > 0.02 and abs(gains[50, 0.5]) < 0.002


def test_tables_and_figures_take_any_subset(results):
    for subset in ([], results[:1], results[3:5], results):
        for table in STUDY.tables(subset):
            assert table.to_markdown()
        assert all(figure.caption for figure in STUDY.figures(subset))
    assert len(STUDY.tables(results)) == 4 and len(STUDY.figures(results)) == 3


# The human study


def test_what_the_evidence_says(results):
    found = STUDY.evidence(results)
    assert set(found) == set(STUDY.claims) == {"C3.5", "A3.1"}
    assert found["C3.5"].holds and "nobody was asked again" in found["C3.5"].reduced
    assert verdict(found["C3.5"]) == "inconclusive", "the paper's own table proves nothing anew"
    assert verdict(found["A3.1"]) == "exact"


def test_a_table_that_said_otherwise_would_not_bear_the_claim(results, monkeypatch):
    for cells in ((51.0, 49.0), (58.8, 40.0)):  # within chance; not mirrored
        monkeypatch.setitem(toy.TABLE_3, (toy.SINGLE, toy.MEAN), cells)
        assert STUDY.evidence(results)["C3.5"].holds is False


def test_shares_of_480_by_brute_force():
    shares = {round(100 * k / 480 + tie, 1) for k in range(481) for tie in (-1e-9, 1e-9)}
    for cells in toy.TABLE_3.values():
        for cell in cells:
            assert toy.possible(cell, 480) == (cell in shares)
            assert toy.possible(cell, toy.nearest_possible(cell))
    assert sum(not toy.possible(cells[0], 480) for cells in toy.TABLE_3.values()) == 5


def test_slack_is_the_sample_size_at_which_chance_could_explain_it():
    fewer = 480 / toy.slack(58.8)
    assert 0.588 - 1.96 * 0.5 / fewer**0.5 == pytest.approx(0.5)
