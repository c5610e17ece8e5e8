"""Networks that studies train: they start at the blurry picture, learn, and are compared with care."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from deblur_core import metrics, weights
from deblur_core.data import write_image
from deblur_core.data.training_pairs import Blur
from deblur_core.errors import UsageError
from deblur_core.models.counting import count_parameters
from deblur_core.runs import Result, run_job
from deblur_core.studies import learning
from deblur_core.studies.learning import Pictures, compare, gain, held_out, learn_job
from deblur_core.training import Settings, seeded

SMALL = Pictures(crop=48, blur=Blur(size=9, kinds=("x",), count=8, shortest=6.0))
QUICK = Settings(steps=3, batch=2, crop=32, precision="float32")
XY = {"name": "xydeblur", "decoders": 2, "width": 4, "blocks": 1}


@pytest.fixture(scope="module")
def result():
    return run_job(learn_job(XY, SMALL, QUICK, seed=0))


@pytest.mark.parametrize("name", learning.NETWORKS)
def test_every_network_starts_near_the_blurry_picture(name):
    network = seeded(lambda: learning.build({"name": name, "width": 4, "blocks": 2}), seed=0)
    y = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert metrics.psnr(network(y), y) > 40


def test_a_start_scales_what_is_drawn_at_first():
    y = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        usual, loud = (
            seeded(lambda start=start: learning.build(XY | start), 0)(y) - y for start in ({}, {"start": 0.5})
        )
    torch.testing.assert_close(loud, 50 * usual, rtol=1e-3, atol=1e-5)


def test_a_seed_draws_weights_kernels_and_crops_and_the_loss_is_absolute(monkeypatch):
    seen, train = [], learning.train

    def watched(network, loss, batches, recipe, **options):
        start = torch.cat([weight.detach().flatten() for weight in network.parameters()])
        seen.append((start, batches.k, options["seed"], loss))
        return train(network, loss, batches, recipe, **options)

    monkeypatch.setattr(learning, "train", watched)
    for network, seed in ((XY, 0), (XY, 1), (XY | {"decoders": 1}, 1)):
        run_job(learn_job(network, SMALL, QUICK, seed))
    (first, k_first, *_), (second, k_second, *_), (third, k_third, *_) = seen
    assert not torch.equal(first, second) and not torch.equal(k_first, k_second)
    assert torch.equal(k_second, k_third) and torch.equal(second, third), "shared decoders have the same weights"
    assert [seed for _, _, seed, _ in seen] == [0, 1, 1]
    loss, x = seen[0][-1], torch.tensor([1.0, -3.0])
    assert loss(lambda y: y, (x, torch.zeros(2)), torch.Generator()) == 2


def test_values_and_arrays_tell_of_the_same_network(result):
    names, pairs = held_out(SMALL)
    network = learning.trained_network(result)
    assert result.values["names"] == names == ["astronaut, x", "chelsea, x", "coffee, x"]
    assert result.values["parameters"] == count_parameters(network)
    assert result.arrays["restored"].shape == (3, 3, 48, 48)
    for i, (blurry, sharp) in enumerate(pairs):
        restored = learning.restore(network, blurry)
        assert result.values["psnr"][i] == pytest.approx(metrics.psnr(restored, sharp), abs=1e-4)
        assert result.values["blurry"][i] == pytest.approx(metrics.psnr(blurry, sharp), abs=1e-4)
        assert np.abs(result.arrays["restored"][i] - 255 * restored[0].numpy()).max() <= 0.51


def test_restored_pictures_are_in_range_and_kept_in_the_middle(result):
    network = learning.trained_network(result)
    bright = learning.restore(network, 1.5 + torch.zeros(1, 3, 16, 16))
    assert bright.max() == 1 and learning.restore(network, -torch.ones(1, 3, 16, 16)).min() == 0
    pictures = [torch.rand(1, 3, 150, 140), torch.rand(1, 3, 131, 200)]
    kept = learning.to_bytes(pictures)
    assert kept.shape == (2, 3, 128, 128)
    assert np.abs(kept[0] - 255 * pictures[0][0, :, 11:139, 6:134].numpy()).max() <= 0.5 + 1e-4


def test_a_run_that_learned_nothing_is_doubted_and_a_large_network_not_kept(monkeypatch):
    monkeypatch.setattr(learning, "SMALL", 100)
    run = run_job(learn_job(XY | {"start": 1.0}, SMALL, QUICK, seed=0))
    assert gain(run) < 0 and len(run.values["doubts"]) > 0
    assert set(run.arrays) == {"restored"}


def test_a_job_is_its_pictures_and_shipped_weights_are_judged_by_the_blur_they_have_learnt(tmp_path):
    def keys():
        folder = (str(tmp_path),)
        return [learn_job(XY, replace(SMALL, **{field: folder}), QUICK, 0).key for field in ("sources", "held_out")]

    seen = []
    for level in (0.2, 0.4):
        write_image(tmp_path / "one.png", torch.full((1, 3, 70, 70), level))
        learning._digest.cache_clear()
        seen += keys()
    learning._digest.cache_clear()
    assert len(set(seen)) == 4
    learnt = weights.card("xydeblur")["data"]["blur"]
    assert learning.shipped_job("xydeblur", SMALL).settings["pictures"]["blur"] == learnt


def test_seeds_differ_and_held_out_pictures_do_not(result):
    other = run_job(learn_job(XY, SMALL, QUICK, seed=1))
    assert other.values["blurry"] == result.values["blurry"]
    assert other.values["psnr"] != result.values["psnr"]
    again = run_job(learn_job(XY, SMALL, QUICK, seed=0))
    assert again.values == result.values


def test_a_tiny_network_learns():
    settings = Settings(steps=150, batch=4, crop=32, learning_rate=2e-3, warm_up=20, clip=1.0, precision="float32")
    run = run_job(learn_job({"name": "MSCNN", "width": 8, "blocks": 4}, SMALL, settings, seed=0))
    assert gain(run) > 0.2 and not run.values["doubts"]


@pytest.mark.parametrize("wrong", [{"name": "unet"}, {"name": "DMPHN", "form": "narrow"}])
def test_unknown_networks_get_one_sentence(wrong):
    with pytest.raises(UsageError, match="choose"):
        learning.build(wrong)


def test_a_crop_that_no_picture_holds_gets_one_sentence():
    with pytest.raises(UsageError, match="smaller crop"):
        held_out(Pictures(crop=1000))


# Comparing


def run(seed, psnr, pictures=4):
    names = [f"{i}, {kind}" for i in range(pictures) for kind in ("x", "y")]
    values = {"names": names, "psnr": list(psnr), "blurry": [20.0] * len(names)}
    return Result(learn_job(XY, SMALL, QUICK, seed), values, {}, {})


def test_the_wider_of_two_intervals_counts():
    by_seed = compare("", [run(s, [25 + s] * 8) for s in range(3)], [run(s, [25] * 8) for s in range(3)])
    assert by_seed.n == 3 and by_seed.effect == pytest.approx(1) and by_seed.low < 0
    by_picture = compare("", [run(s, 25 + np.arange(8)) for s in range(3)], [run(s, [25] * 8) for s in range(3)])
    assert by_picture.n == 4 and by_picture.effect == pytest.approx(3.5)


def test_one_seed_decides_nothing_and_none_in_common_compares_nothing():
    assert compare("", [run(0, [26] * 8)], [run(0, [25] * 8)]).low == -np.inf
    assert compare("", [run(0, [26] * 8)], [run(1, [25] * 8)]) is None


def test_what_is_missing_is_said_of_seeds_and_pictures_each():
    random = np.random.default_rng(0)

    def effects(of_seeds, of_pictures, mean=0.1):
        scatter = {seed: of_seeds * value for seed, value in enumerate((-1.0, -0.4, 0.2, 1.2))}
        shift = dict(zip("abcdef", of_pictures * random.permutation([-1.0, -0.6, -0.2, 0.2, 0.6, 1.0]), strict=True))
        kinds = {"x": 3.0, "y": -3.0}  # which are no chance: both are in the mean of every picture
        return {
            (seed, f"{name}, {kind}"): mean + scatter[seed] + shift[name] + kinds[kind]
            for seed in scatter
            for name in shift
            for kind in kinds
        }

    assert learning.more_needed(effects(0.01, 0.01)) == learning.more_needed(effects(0.01, 0.01, mean=-0.1)) == ""
    only_seeds, only_pictures = learning.more_needed(effects(1.0, 0.01)), learning.more_needed(effects(0.01, 1.0))
    assert only_seeds.endswith("seeds") and "pictures" not in only_seeds
    assert only_pictures.endswith("pictures") and "seeds" not in only_pictures
    one_seed = {(0, "a, x"): 0.1, (0, "b, x"): -0.3}
    assert learning.more_needed(one_seed) == "at least 2 seeds", "more pictures would not settle it"


def test_runs_that_learned_nothing_are_named():
    better, same, worse = ([run(seed, [20 + gain] * 8) for seed in range(2)] for gain in (0.5, 0.004, -0.2))
    assert learning.unlearned({"a": better}) == ""
    said = learning.unlearned({"a": better, "b": [better[0], worse[1]], "c": same})
    assert said == "3 of 6 runs end no better than the blurry picture (b, seed 1; c, seeds 0, 1)"
    assert learning.unlearned({"b": [better[0], worse[1]]}).startswith("1 of 2 runs ends ")
