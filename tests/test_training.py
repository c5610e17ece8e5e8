"""The training loop: seeded, resumable, honest about what went wrong, and it learns."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from deblur_core import training
from deblur_core.errors import DeblurError, UsageError
from deblur_core.runs import Checkpoint
from deblur_core.training import PictureValidation, Settings, average_decay, learning_rate, seeded, train

SETTINGS = Settings(steps=12, batch=4, crop=12, learning_rate=0.01, validate_every=5, precision="float32")


def network():
    return nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 1, 3, padding=1))


def pairs(generator):
    """Smooth random pictures and the same twice as bright, which a network can learn to tell."""
    x = torch.rand(4, 1, 12, 12, generator=generator)
    return x, 0.8 - 0.5 * x


def loss(network, batch, generator):
    """With noise of its own, as a diffusion loss has."""
    y, x = batch
    noisy = y + 0.01 * torch.randn(y.shape, generator=generator)
    return (network(noisy).float() - x).square().mean()


def run(settings=SETTINGS, seed=0, initial=0, **options):
    return train(seeded(network, initial), loss, pairs, settings, seed=seed, **options)


def flat(network):
    return torch.cat([weight.detach().flatten() for weight in network.parameters()])


def weights(trained):
    return flat(trained.network)


def score(network):
    return {"sum": float(sum(weight.sum() for weight in network.parameters()))}


class Stop(Exception):
    pass


def stop_at(step):
    def progress(now, total, **info):
        if now == step:
            raise Stop

    return progress


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("stops", [(1,), (5,), (11,), (3, 7, 10)])
def test_a_run_that_was_stopped_ends_as_if_it_had_not_been(tmp_path, monkeypatch, stops, precision):
    monkeypatch.setattr(training, "CHECKPOINT_AFTER", -1)  # after every step
    settings = replace(SETTINGS, precision=precision, weight_decay=0.1, clip=0.5, halve_at=(0.5,))
    undisturbed = run(settings, validate=score)
    checkpoint = Checkpoint(tmp_path / "run.pt")
    for step in stops:
        with pytest.raises(Stop):
            run(settings, validate=score, checkpoint=checkpoint, progress=stop_at(step))
    resumed = run(settings, validate=score, checkpoint=checkpoint)
    assert torch.equal(weights(resumed), weights(undisturbed))
    assert resumed.losses == undisturbed.losses and resumed.curve == undisturbed.curve


KILLED = """
import os, sys
from pathlib import Path
from deblur_core import training
from test_training import Checkpoint, run

def progress(step, total, **info):
    if step == 8:
        os._exit(9)  # no clean-up whatever, as with a kill

training.CHECKPOINT_AFTER = -1
run(checkpoint=Checkpoint(Path(sys.argv[1])), progress=progress)
"""


def test_a_killed_process_goes_on_from_its_checkpoint(tmp_path):
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parent)}
    killed = subprocess.run([sys.executable, "-c", KILLED, tmp_path / "run.pt"], env=environment)
    assert killed.returncode == 9
    steps = []
    resumed = run(checkpoint=Checkpoint(tmp_path / "run.pt"), progress=lambda step, total, **info: steps.append(step))
    assert steps == [8, 9, 10, 11, 12]
    torch.testing.assert_close(weights(resumed), weights(run()), rtol=0, atol=1e-6)  # threads may differ there


def test_a_seed_decides_everything_and_another_seed_is_another_run():
    first, again, other = run(), run(), run(seed=1)
    assert torch.equal(weights(first), weights(again)) and first.losses == again.losses
    assert not torch.equal(weights(first), weights(other)) and first.losses[0] != other.losses[0]
    assert not torch.equal(weights(first), weights(run(initial=1)))


def test_nothing_depends_on_or_moves_the_global_random_state():
    torch.manual_seed(1)
    first, state = run(), torch.get_rng_state()
    torch.manual_seed(1)
    assert torch.equal(state, torch.get_rng_state())
    torch.manual_seed(2)
    assert torch.equal(weights(first), weights(run()))


def test_the_averaged_weights_are_the_weighted_sum_of_all_earlier_ones():
    seen = []

    def watched(network, batch, generator):
        seen.append(flat(network))
        return loss(network, batch, generator)

    own = seeded(network, 0)
    trained = train(own, watched, pairs, replace(SETTINGS, average=0.4))
    seen.append(flat(own))
    shares = [1.0]  # of the start, then of the weights after steps 1, 2, ...: the decay grows to 0.4 at the sixth
    for decay in [1 / 10, 2 / 11, 3 / 12, 4 / 13, 5 / 14, *[0.4] * 7]:
        shares = [decay * share for share in shares] + [1 - decay]
    assert sum(shares) == pytest.approx(1)
    torch.testing.assert_close(weights(trained), sum(s * w for s, w in zip(shares, seen, strict=True)))
    assert average_decay(0.999, 10**6) == 0.999
    last = train(other := seeded(network, 0), loss, pairs, replace(SETTINGS, average=0.0))
    assert torch.equal(weights(last), flat(other))


def test_every_step_and_purpose_has_random_numbers_of_its_own():
    drawn = []

    def noted(generator):
        drawn.append(torch.rand((), generator=generator).item())

    def watched(network, batch, generator):
        noted(generator)
        return loss(network, batch, generator)

    train(seeded(network, 0), watched, lambda generator: noted(generator) or pairs(generator), SETTINGS)
    assert len(set(drawn)) == len(drawn) == 2 * SETTINGS.steps


def test_weights_decay_apart_from_adam_whose_memories_are_as_long_as_told():
    """The gradient is 1 at first, then -1: Adam's mean of both is (0.25 - 0.5) / 0.75, its mean square 1."""

    def moved(gradients, **settings):
        layer = nn.Linear(1, 1, bias=False)
        nn.init.ones_(layer.weight)
        signs = iter(gradients)
        settings = replace(SETTINGS, steps=2, schedule="constant", average=0.0, learning_rate=0.1, **settings)
        train(layer, lambda layer, batch, _: next(signs) * layer.weight.sum(), pairs, settings)
        return layer.weight.item()

    assert moved([0.0, 0.0], weight_decay=0.5) == pytest.approx((1 - 0.1 * 0.5) ** 2)
    assert moved([1.0, -1.0], betas=(0.5, 0.5)) == pytest.approx(1 - 0.1 * (1 - 1 / 3), abs=1e-6)


def test_layers_that_draw_pictures_start_quietly():
    layers = nn.Sequential(nn.Conv2d(3, 4, 1), nn.Conv2d(4, 3, 1))
    before = [layer.weight.clone() for layer in layers], [layer.bias.clone() for layer in layers]
    training.start_quietly(layers, 0.1)
    for was, now in zip(before, ([x.weight for x in layers], [x.bias for x in layers]), strict=True):
        assert torch.equal(now[0], was[0])
        torch.testing.assert_close(now[1], 0.1 * was[1])


def test_learning_rates_are_those_of_the_schedule():
    cosine = Settings(steps=100, learning_rate=2.0, final_rate=1.0)
    assert [learning_rate(cosine, step) for step in (0, 50, 75)] == pytest.approx([2, 1.5, 1 + 0.5 * (1 - 0.5**0.5)])
    restarted = replace(cosine, restart_at=(0.5,), final_rate=0.0)
    assert [learning_rate(restarted, step) for step in (0, 25, 50, 75)] == pytest.approx([2, 1, 2, 1])
    halved = replace(cosine, schedule="constant", halve_at=(0.25, 0.5))
    assert [learning_rate(halved, step) for step in (0, 24, 25, 49, 50, 99)] == [2, 2, 1, 1, 0.5, 0.5]
    warm = replace(cosine, schedule="constant", warm_up=4)
    assert [learning_rate(warm, step) for step in range(5)] == [0.5, 1, 1.5, 2, 2]
    rates = [learning_rate(cosine, step) for step in range(100)]
    assert rates == sorted(rates, reverse=True) and rates[-1] > 1


def test_the_rate_of_the_schedule_is_what_moves_the_weights():
    start = flat(seeded(network, 0))
    moved = {rate: (weights(run(replace(SETTINGS, steps=1, learning_rate=rate, average=0.0))) - start).abs().max()
             for rate in (0.01, 0.02)}  # fmt: skip
    assert moved[0.01] == pytest.approx(0.01, rel=0.01) and moved[0.02] == pytest.approx(0.02, rel=0.01)  # Adam's first


@pytest.mark.usefixtures("bfloat16")
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_network_learns(precision):
    trained = run(replace(SETTINGS, steps=80, precision=precision, average=0.9), validate=score)
    assert sum(trained.losses[-10:]) < 0.5 * sum(trained.losses[:10])
    assert [row["step"] for row in trained.curve] == [*range(5, 81, 5)]
    assert trained.curve[1]["loss"] == pytest.approx(sum(trained.losses[5:10]) / 5)
    assert trained.curve[-1]["sum"] == score(trained.network)["sum"], "of the averaged weights"
    assert not trained.network.training and all(
        weight.dtype == torch.float32 for weight in trained.network.parameters()
    )


@pytest.mark.usefixtures("bfloat16")
def test_bfloat16_follows_float32():
    long = replace(SETTINGS, steps=60)
    exact, rounded = (torch.tensor(run(replace(long, precision=p)).losses) for p in ("float32", "bfloat16"))
    assert not torch.equal(exact, rounded)
    torch.testing.assert_close(rounded[:10], exact[:10], rtol=0.02, atol=0)
    assert rounded[-10:].mean() == pytest.approx(float(exact[-10:].mean()), rel=0.15)


@pytest.mark.usefixtures("bfloat16")
def test_frozen_weights_stay_and_clipping_limits_the_gradient():
    own = seeded(network, 0)
    own[0].requires_grad_(False)
    before = own[0].weight.clone()
    train(own, loss, pairs, replace(SETTINGS, precision="bfloat16"))
    assert torch.equal(own[0].weight, before) and not torch.equal(own[2].weight, seeded(network, 0)[2].weight)
    clipped = seeded(network, 0)
    train(clipped, lambda *arguments: 1e6 * loss(*arguments), pairs, replace(SETTINGS, steps=1, clip=0.7))
    assert torch.cat([weight.grad.flatten() for weight in clipped.parameters()]).norm() == pytest.approx(0.7, rel=1e-3)


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_a_loss_that_is_not_finite_ends_the_run_with_the_step_and_a_remedy(value):
    calls = []

    def breaking(network, batch, generator):
        calls.append(1)
        return loss(network, batch, generator) + (value if len(calls) >= 7 else 0)

    with pytest.raises(DeblurError, match=r"not finite from step 7 on: lower the learning rate \(now 0.01\)"):
        train(seeded(network, 0), breaking, pairs, SETTINGS)
    assert len(calls) == 7


def test_a_network_that_is_no_better_than_doing_nothing_is_doubted():
    doubted = run(validate=lambda network: {"psnr": 20.0}, baseline={"psnr": 21.5})
    assert doubted.doubts == [f"At step {step} of 12 the network is no better than doing nothing: psnr 20 against 21.5."
                              for step in (5, 12)]  # fmt: skip
    assert run(validate=lambda network: {"psnr": 22.0}, baseline={"psnr": 21.5}).doubts == []
    often = run(replace(SETTINGS, validate_every=1), validate=lambda network: {"psnr": 20.0}, baseline={"psnr": 21.5})
    assert [said.split()[2] for said in often.doubts] == ["3", "12"], "not before a quarter of the run"
    assert len(run(validate=lambda network: {"psnr": float("nan")}, baseline={"psnr": 21.5}).doubts) == 2


def test_validation_scores_whole_pictures_and_knows_the_score_of_the_blurry_ones():
    sharp = torch.linspace(0, 1, 12 * 15).reshape(1, 1, 12, 15)
    validate = PictureValidation([(sharp + 0.1, sharp), (sharp + 0.01, sharp)])
    assert validate.baseline["psnr"] == pytest.approx((20 + 40) / 2, abs=1e-3)
    halved = PictureValidation([(sharp + 0.1, sharp)], restore=lambda network, y: network(y)[1])
    found = halved(lambda y: (None, y - 0.09))
    assert PictureValidation([(sharp, sharp)])(lambda y: y + (y == 1))["psnr"] == float("inf"), "clipped"
    assert found["psnr"] > 39 and halved.baseline["psnr"] == pytest.approx(20, abs=1e-3)


def test_a_checkpoint_of_another_run_or_architecture_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(training, "CHECKPOINT_AFTER", -1)
    checkpoint = Checkpoint(tmp_path / "run.pt")
    with pytest.raises(Stop):
        run(checkpoint=checkpoint, progress=stop_at(6))
    with pytest.raises(DeblurError, match="belongs to another run"):
        run(seed=1, checkpoint=checkpoint)
    with pytest.raises(DeblurError, match="another architecture"):
        train(nn.Sequential(nn.Conv2d(1, 1, 3)), loss, pairs, SETTINGS, checkpoint=checkpoint)
    state = checkpoint.load()
    checkpoint.save({key: value for key, value in state.items() if key != "averaged"})
    with pytest.raises(DeblurError, match="another version of this code"):
        run(checkpoint=checkpoint)
    checkpoint.save(state)
    checkpoint.path.write_bytes(checkpoint.path.read_bytes()[:-9] + b"123456789")
    with pytest.warns(UserWarning, match="damaged"):
        damaged = run(checkpoint=checkpoint)
    assert torch.equal(weights(damaged), weights(run()))


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"steps": 0}, "at least one step"),
        ({"validate_every": 0}, "validation interval"),
        ({"schedule": "linear"}, "schedule 'linear'"),
        ({"precision": "float16"}, "precision 'float16'"),
    ],
)
def test_impossible_settings_are_refused(changes, sentence):
    with pytest.raises(UsageError, match=sentence):
        run(replace(SETTINGS, **changes))


@pytest.mark.parametrize("layer", [nn.BatchNorm2d(1), nn.Dropout(0.1)])
def test_layers_that_would_break_the_promise_of_repetition_are_refused(layer):
    with pytest.raises(UsageError, match=f"is a {type(layer).__name__}"):
        train(nn.Sequential(nn.Conv2d(1, 1, 3, padding=1), layer), loss, pairs, SETTINGS)


@pytest.mark.usefixtures("bfloat16")
def test_two_networks_train_together():
    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.predictor, self.denoiser = network(), network()

    def joint(networks, batch, generator):
        y, x = batch
        first = networks.predictor(y)
        noise = torch.randn(x.shape, generator=generator)
        return (networks.denoiser(x - first + noise) - noise).abs().mean()

    together = train(own := seeded(Two, 0), joint, pairs, replace(SETTINGS, steps=40, precision="bfloat16"))
    start = seeded(Two, 0)
    for part in ("predictor", "denoiser"):
        assert not torch.equal(getattr(own, part)[0].weight, getattr(start, part)[0].weight)
    assert sum(together.losses[-5:]) < sum(together.losses[:5])
