"""What the studies of refinement share: pairs that differ in blur alone, and scores that measure what they say."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import stats
from torch.nn.functional import avg_pool2d

from deblur_core import metrics, trainings, weights
from deblur_core.data.training_pairs import Blur
from deblur_core.models.diffusion import TRAINING, linear_schedule, strided
from deblur_core.models.refinement import Design, expected_residual, refinement_loss
from deblur_core.runs import Context, Result, run_job
from deblur_core.studies import refining
from deblur_core.studies.learning import Pictures
from deblur_core.training import Settings

TINY = Design(4, 4, (1, 2), blocks=1)
PICTURES = Pictures(crop=32, blur=Blur(size=7, kinds=("x", "y"), count=8, shortest=4.0))
SETTINGS = Settings(steps=4, batch=2, crop=32, precision="float32", validate_every=4, average=0.5, learning_rate=1e-2)


def texture(height=64, width=64, seed=0):
    return torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(seed))


# Pictures


def test_pairs_of_two_blurs_have_the_same_sharp_picture():
    """Otherwise the length of a motion would not be all that differs."""
    short, long = (refining.blurred(replace(PICTURES, blur=replace(PICTURES.blur, size=size))) for size in (5, 9))
    assert short.keys() == long.keys() and len(short) == 6
    for name in short:
        assert torch.equal(short[name][1], long[name][1])
        assert metrics.psnr(*short[name]) > metrics.psnr(*long[name])


def test_pictures_elsewhere_are_in_colour_and_opaque():
    found = refining.sharp_pictures("elsewhere")
    assert set(found) == set(refining.ELSEWHERE)
    for picture in found.values():
        assert picture.dtype == torch.uint8 and picture.shape[0] == 3 and picture.float().std() > 10
    assert (found["logo"][:, 0, 0] == 255).all(), "what is transparent is white"
    assert set(found["horse"].unique().tolist()) == {0, 255}


# Scores


def test_texture_distance_asks_how_strong_differences_are_and_not_where():
    x = texture()
    assert refining.texture_distance(x, x) == 0
    assert refining.texture_distance(x.flip(-1), x) == pytest.approx(0, abs=1e-4)
    faint, strong = (0.5 + factor * (x - 0.5) for factor in (0.5, 1.5))
    mean = 255 * torch.cat([x.diff(dim=axis).abs().flatten() for axis in (-1, -2)]).mean().item()
    for other in (faint, strong):
        assert refining.texture_distance(other, x) == pytest.approx(0.5 * mean, rel=1e-4)


def test_entropy_is_the_number_of_yes_no_questions():
    values = torch.arange(-8, 8).float() / 255
    assert refining.entropy(refining.level_counts(values)) == 4
    assert refining.entropy(refining.level_counts(torch.full((9,), -0.2))) == 0
    counts = refining.level_counts(torch.tensor([-1.0, 0.0, 1.0, 0.4 / 255]))
    assert counts[[0, 255, 510]].tolist() == [1, 2, 1] and counts.sum() == 4


def test_averages_of_independent_samples_lose_their_noise():
    x = 0.25 + texture() / 2
    samples = x + 0.1 * torch.randn(8, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    found = refining.score_averages(samples, x)
    assert list(found) == [1, 2, 4, 8]
    for count, scores in found.items():
        assert scores["mse"] == pytest.approx(0.01 / count, rel=0.05)
    psnr, ssim = ([scores[name] for scores in found.values()] for name in ("psnr", "ssim"))
    assert psnr == sorted(psnr) and ssim == sorted(ssim)
    assert refining.doublings(6) == [1, 2, 4] and refining.doublings(1) == [1]


# Networks and jobs


@pytest.fixture(scope="module")
def trained():
    return refining.train_job(TINY, PICTURES, SETTINGS)


def test_last_and_averaged_weights_are_scored_apart(trained):
    values = run_job(trained).values
    assert len(values["names"]) == len(values["psnr"]) == len(values["last"]) == 6
    assert values["psnr"] != values["last"]
    same = refining.train_job(TINY, PICTURES, replace(SETTINGS, average=0.0))
    values = run_job(same).values
    assert values["psnr"] == values["last"]
    assert values["curve"][-1]["drift"] > 0


def test_a_seed_draws_weights_kernels_and_crops(monkeypatch):
    seen, train = [], refining.train

    def watched(network, loss, batches, recipe, **options):
        start = torch.cat([weight.detach().flatten() for weight in network.parameters()])
        seen.append((start, batches.k, options["seed"]))
        return train(network, loss, batches, recipe, **options)

    monkeypatch.setattr(refining, "train", watched)
    short = replace(SETTINGS, steps=1)
    for seed in (0, 1):
        run_job(refining.train_job(replace(TINY, predictor_width=0), PICTURES, short, seed))
    (first, k_first, zero), (second, k_second, one) = seen
    assert not torch.equal(first, second) and not torch.equal(k_first, k_second) and (zero, one) == (0, 1)


def test_a_network_is_the_papers_from_twenty_million_parameters_on():
    sizes = (Design(), replace(Design(), predictor_width=48), Design(32, 16))
    said = [refining.smaller(Result(refining.train_job(size, PICTURES, SETTINGS), {}, {}, {})) for size in sizes]
    assert said == ["", "", "a network of 8.3 M parameters, not 33 M"]


def test_a_network_without_predictor_has_nothing_to_predict():
    values = run_job(refining.train_job(replace(TINY, predictor_width=0), PICTURES, SETTINGS)).values
    assert values["names"] == [] and values["curve"][0]["loss"] > 0


def test_weights_come_back_from_their_job(trained):
    result = run_job(trained)
    model = refining.open_network(Context(result=lambda job: result), trained.to_json())
    names = set(model.state_dict())
    assert names == set(result.arrays) and not model.training
    y, x = texture(16, 16), texture(16, 16, seed=1)
    assert torch.isfinite(refinement_loss(model, (y, x), torch.Generator()))


def test_new_weights_are_new_jobs(monkeypatch):
    def keys(sha256):
        monkeypatch.setattr(weights, "names", lambda: ["refinement"])
        monkeypatch.setattr(weights, "card", lambda name: {"sha256": sha256})
        return {job.key for job in refining.restore_jobs("refinement", PICTURES, parts=2, steps=3, samples=1)}

    assert len(keys("a") | keys("b")) == 4 and keys("a") == keys("a")


def test_without_a_last_beta_the_training_schedule_is_walked_in_fewer_steps():
    assert torch.equal(refining.schedule(5, None).betas, strided(TRAINING, 5).betas)
    assert torch.equal(refining.schedule(5, 0.9).betas, linear_schedule(5, 0.9).betas)


def test_what_is_said_of_initial_predictions_is_measured_on_them(trained):
    values = run_job(refining.predict_job(trained, PICTURES)).values
    model = refining.open_network(Context(result=run_job), trained.to_json()).requires_grad_(False)
    pooled = [[], [], []]
    for i, (y, x) in enumerate(refining.blurred(PICTURES).values()):
        initial = model.predict(y)
        moved = (initial - y)[0].mean((1, 2))
        assert values["drift"][i] == pytest.approx((255 * moved).tolist(), abs=1e-4)
        corrected = (initial - moved[:, None, None]).clamp(0, 1)
        assert values["corrected"][i] == pytest.approx(metrics.psnr(corrected, x), abs=1e-4)
        for levels, found, picture in zip(pooled, values["entropy"][i], (x, x - y, x - initial), strict=True):
            levels.append((255 * picture).round().flatten())
            assert found == pytest.approx(stats.entropy(levels[-1].unique(return_counts=True)[1], base=2), abs=1e-3)
    together = [stats.entropy(torch.cat(levels).unique(return_counts=True)[1], base=2) for levels in pooled]
    assert values["pooled"] == pytest.approx(together, abs=1e-3)
    assert not values["own_loss"]
    own = refining.train_job(replace(TINY, predictor_weight=1.0), PICTURES, replace(SETTINGS, steps=1))
    assert run_job(refining.predict_job(own, PICTURES)).values["own_loss"]


def test_judges_look_at_what_they_are_told_to_and_kid_at_half_of_the_patches(trained, monkeypatch):
    """With metrics that tell which pictures they were given."""
    monkeypatch.setattr(metrics, "niqe", lambda pictures: pictures.double().mean((1, 2, 3)))
    monkeypatch.setattr(metrics, "lpips", lambda estimate, sharp: (estimate - sharp).abs().mean((1, 2, 3)))
    monkeypatch.setattr(metrics, "alexnet_features", lambda patches: patches)
    monkeypatch.setattr(metrics, "kid_alexnet", lambda real, fake, subset_size: (len(real), subset_size))
    monkeypatch.setattr(refining, "PATCH", 16)
    (job,) = refining.restore_jobs(trained, PICTURES, steps=3, samples=2, last=0.99)
    restored = run_job(job)
    y, x = map(torch.cat, zip(*refining.blurred(PICTURES).values(), strict=True))
    of = {("blurry", 0): y, ("initial", 0): torch.from_numpy(restored.arrays["initial"]) / 255,
          ("means", 1): torch.from_numpy(restored.arrays["means"][:, 1]) / 255}  # fmt: skip
    for (array, index), pictures in of.items():
        found = run_job(refining.judge_job([job], array, index)).values
        assert found["names"] == restored.values["names"]
        assert found[refining.NIQE] == pytest.approx(pictures.mean((1, 2, 3)).tolist(), abs=1e-4)
        misfit = (pictures - x).abs().mean((1, 2, 3)).tolist()
        assert found[refining.LPIPS] == pytest.approx(misfit, abs=0.6 / 255)
        assert tuple(found[refining.KID]) == (6 * 4, 12)


def test_a_part_of_the_pictures_is_restored_as_all_of_them_are(trained, monkeypatch):
    ticks = itertools.count()
    monkeypatch.setattr(refining, "clock", lambda context: lambda: float(next(ticks)))  # every picture takes a second
    settings = {"steps": 3, "samples": 2, "last": 0.99, "shown": 2}
    (whole,) = refining.restore_jobs(trained, PICTURES, **settings)
    whole, parts = (
        run_job(whole),
        [run_job(job) for job in refining.restore_jobs(trained, PICTURES, parts=4, **settings)],
    )
    names = [name for part in parts for name in part.values["names"]]
    assert sorted(names) == sorted(whole.values["names"]) and len(set(names)) == 6
    for part in parts:
        for i, name in enumerate(part.values["names"]):
            j = whole.values["names"].index(name)
            assert part.values["averages"][i] == whole.values["averages"][j]
            assert np.array_equal(part.arrays["samples"][i], whole.arrays["samples"][j])
    first, both = whole.arrays["means"][:, 0].astype(int), whole.arrays["means"][:, 1]
    assert np.array_equal(first, whole.arrays["samples"][:, 0])
    assert np.abs(whole.arrays["samples"].mean(1) - both).max() <= 1, "the mean of both, rounded"
    deviation = whole.arrays["deviation"].astype(float)
    assert deviation.shape == (6, 3, 32, 32)
    assert whole.values["deviation"] == pytest.approx(np.sqrt((deviation**2).mean((1, 2, 3))), rel=1e-3)
    assert whole.values["alpha_bar"] == pytest.approx(float(linear_schedule(3, 0.99).alpha_bars[-1]))
    assert whole.values["seconds"] == 1 / 2, "of one of its two samples"


def test_a_sample_costs_one_prediction_and_a_denoising_every_step():
    from deblur_core.models.refinement import Refinement

    costs = [refining.multiply_adds(Refinement(TINY), (1, 3, 32, 32), steps) for steps in (1, 2, 11)]
    assert costs[2] - costs[1] == 9 * (costs[1] - costs[0]) > 0
    without = Refinement(replace(TINY, predictor_width=0))
    assert refining.multiply_adds(without, (1, 3, 32, 32), 2) == 2 * (costs[1] - costs[0])


def test_judges_find_the_sharp_picture_perfect(trained):
    for measure in refining.PERCEPTUAL:
        if not metrics.available(measure)[0]:
            pytest.skip(metrics.available(measure)[1])
    pictures = replace(PICTURES, crop=256, blur=replace(PICTURES.blur, kinds=("x",)))
    job = refining.predict_job(trained, pictures)
    sharp, blurry = (run_job(refining.judge_job([job], array)).values for array in ("sharp", "blurry"))
    assert max(sharp[refining.LPIPS]) < 1e-3 < min(blurry[refining.LPIPS])
    assert np.mean(sharp[refining.NIQE]) < np.mean(blurry[refining.NIQE])
    assert sharp[refining.KID][0] < blurry[refining.KID][0]
    assert sharp["names"] == blurry["names"] and len(sharp["names"]) == 3


def test_local_contrast_tells_how_large_the_residual_of_the_shipped_predictor_is():
    """On pictures that never trained; the fit was made on others."""
    model = trainings.load("refinement").requires_grad_(False)
    expected, found = [], []
    for y, x in refining.blurred(Pictures(crop=192, blur=refining.learnt_blur("refinement", PICTURES.blur))).values():
        initial = model.predict(y)
        size = avg_pool2d((x - initial).square().mean(1, keepdim=True), 8).sqrt().clamp_min(1e-4)
        expected.append(avg_pool2d(expected_residual(initial), 8).log().flatten())
        found.append(size.log().flatten())
    expected, found = torch.cat(expected), torch.cat(found)
    assert torch.corrcoef(torch.stack([expected, found]))[0, 1] > 0.6
    assert 0.7 < (found - expected).median().exp() < 1.4
