"""Sampling by predict and refine: exact where the denoiser is, and each sample by its own seed."""

from dataclasses import replace

import pytest
import torch

from deblur_core.errors import UsageError
from deblur_core.models.diffusion import TRAINING, add_noise, linear_schedule, strided
from deblur_core.models.refinement import Design, Refinement, preset
from deblur_core.solvers import acceleration, refinement, refinement_benchmark
from deblur_core.solvers.acceleration import usual
from deblur_core.solvers.refinement import Restored, diffuse_back, refine

SCHEDULE = linear_schedule(6, 0.9)
MEAN, SPREAD = 0.3, 0.5


def with_design(model, **options):
    """The same weights in another design."""
    other = Refinement(replace(model.design, **options))
    other.load_state_dict(model.state_dict())
    return other


@pytest.fixture(scope="module")
def model():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = Refinement(Design(4, 4, (1, 2), blocks=1, residual_scale=2.0))
        for parameter in network.parameters():
            if not parameter.any():
                torch.nn.init.normal_(parameter, std=0.05)
    return network


def pictures(count=1, height=12, width=10, seed=0):
    return torch.rand(count, 3, height, width, generator=torch.Generator().manual_seed(seed))


def draws(model, y, seeds, **options):
    return refine(model, y, SCHEDULE, seeds, **{"precision": "float32"} | options).samples


# The loop with a perfect denoiser


def gaussian_noise(z, alpha_bar):
    """E[ε | z_t] for z_0 ~ N(MEAN, SPREAD²)."""
    surprise = z - alpha_bar**0.5 * MEAN
    return (1 - alpha_bar) ** 0.5 * surprise / (alpha_bar * SPREAD**2 + 1 - alpha_bar)


def normal(count, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return lambda: torch.randn(count, generator=generator, dtype=torch.float64)


def test_many_steps_end_in_the_exact_posterior():
    z = diffuse_back(gaussian_noise, normal(50_000), TRAINING)
    assert z.mean().item() == pytest.approx(MEAN, abs=0.01)
    assert z.std().item() == pytest.approx(SPREAD, rel=0.01)
    standard = (z - MEAN) / SPREAD
    assert standard.pow(4).mean().item() == pytest.approx(3, abs=0.1)


def test_spread_grows_from_regression_to_sampling():
    spreads = [diffuse_back(gaussian_noise, normal(20_000), strided(TRAINING, steps)).std() for steps in (1, 3, 10, 99)]
    assert spreads == sorted(spreads)
    assert spreads[0] < 0.01 * SPREAD and 0.9 * SPREAD < spreads[-1] < SPREAD


def test_one_step_is_the_posterior_mean():
    z = diffuse_back(gaussian_noise, normal(100), strided(TRAINING, 1))
    assert torch.allclose(z, torch.tensor(MEAN, dtype=z.dtype), atol=0.01)


def test_the_loop_goes_back_through_the_marginals_of_the_forward_process():
    """Stopped on the way, z_t is distributed as x_0 with noise of that level."""
    seen = {}

    def watched(z, alpha_bar):
        seen[alpha_bar] = (z.mean().item(), z.std().item())
        return gaussian_noise(z, alpha_bar)

    diffuse_back(watched, normal(50_000), strided(TRAINING, 500))
    for alpha_bar, (mean, spread) in list(seen.items())[::100]:
        forward = add_noise(MEAN + SPREAD * normal(50_000, 1)(), alpha_bar, normal(50_000, 2)())
        assert mean == pytest.approx(forward.mean().item(), abs=0.02)
        assert spread == pytest.approx(forward.std().item(), rel=0.02)


def test_a_start_far_from_noise_gives_a_wrong_spread():
    z = diffuse_back(gaussian_noise, normal(20_000), linear_schedule(500, 0.001))
    assert z.std() > 1.05 * SPREAD


# Algorithm 1 with networks


@pytest.mark.parametrize("velocity", [False, True])
def test_algorithm_1_by_hand(model, velocity):
    model = with_design(model, velocity=velocity)
    y, generator = pictures(height=8, width=8), torch.Generator().manual_seed(5)
    alphas, bars = 1 - SCHEDULE.betas, SCHEDULE.alpha_bars
    with torch.no_grad():
        initial = model.predict(y)
        z = torch.randn(3, 8, 8, generator=generator)[None]
        for t in range(SCHEDULE.steps, 0, -1):
            noise = model.estimate_noise(z, bars[t].float()[None], y)
            clean = (z - (1 - bars[t]).sqrt() * noise) / bars[t].sqrt()
            clean = model.residual(model.picture(clean, initial).clamp(0, 1), initial)
            scale = (1 - alphas[t - 1]) / (1 - bars[t])
            z = bars[t - 1].sqrt() * scale * clean + alphas[t - 1].sqrt() * (1 - bars[t - 1]) / (1 - bars[t]) * z
            if t > 1:
                z = z + ((1 - bars[t - 1]) * scale).sqrt() * torch.randn(3, 8, 8, generator=generator)
        by_hand = model.picture(z, initial).clamp(0, 1)
    assert torch.allclose(draws(model, y, [5])[:, 0], by_hand.float(), atol=1e-5)


def test_a_sample_depends_on_its_own_seed_alone(model):
    y = pictures(2)
    alone = draws(model, y[1:], [7])[0, 0]
    for samples in (draws(model, y, [3, 7, 1])[1, 1], draws(model, y, [3, 7, 1], batch=4)[1, 1],
                    draws(model, y, [7], batch=1)[1, 0]):  # fmt: skip
        assert torch.allclose(samples, alone, atol=1e-5)
    assert (draws(model, y[1:], [8])[0, 0] - alone).abs().max() > 0.01


def test_global_random_state_is_left_alone(model):
    before = torch.get_rng_state()
    first = draws(model, pictures(), [0])
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(draws(model, pictures(), [0]), first)


def test_the_predictor_runs_once_an_image_and_the_denoiser_once_a_step(model):
    calls = {"predictor": 0, "denoiser": 0}
    hooks = [
        getattr(model, name).register_forward_hook(lambda *_, name=name: calls.update({name: calls[name] + 1}))
        for name in calls
    ]
    try:
        draws(model, pictures(2), range(4))
    finally:
        [hook.remove() for hook in hooks]
    assert calls == {"predictor": 1, "denoiser": SCHEDULE.steps}


def test_pictures_are_predicted_a_batch_at_a_time(model):
    sizes = []
    hook = model.predictor.register_forward_hook(lambda _, inputs, __: sizes.append(len(inputs[0])))
    together = refine(model, pictures(5), SCHEDULE, precision="float32")
    parts = refine(model, pictures(5), SCHEDULE, batch=2, precision="float32")
    hook.remove()
    assert sizes == [5, 2, 2, 1] and torch.allclose(parts.initial, together.initial, atol=1e-6)


@pytest.mark.parametrize(("pixels", "sizes"), [(3 * 8 * 16, [3, 2]), (1, [1] * 5)])
def test_as_many_pictures_are_predicted_at_a_time_as_have_the_pixels(model, pixels, sizes, monkeypatch):
    monkeypatch.setitem(refinement.PIXELS, "cpu", pixels)
    seen = []
    hook = model.predictor.register_forward_hook(lambda _, inputs, __: seen.append(len(inputs[0])))
    restored = refine(model, pictures(5, 8, 16), SCHEDULE, precision="float32")
    hook.remove()
    assert seen == sizes
    assert not (restored.initial.requires_grad or restored.samples.requires_grad), "no gradient is kept in memory"


@pytest.mark.parametrize(("height", "width"), [(1, 1), (5, 8), (16, 16), (17, 3)])
@pytest.mark.parametrize("steps", [1, 4])
def test_any_size_and_any_number_of_steps(model, height, width, steps):
    restored = refine(model, pictures(2, height, width), linear_schedule(steps, 0.99), [0, 1, 2])
    assert restored.initial.shape == (2, 3, height, width)
    assert restored.samples.shape == (2, 3, 3, height, width)
    assert restored.samples.min() >= 0 and restored.samples.max() <= 1


@pytest.mark.usefixtures("bfloat16")
def test_bfloat16_draws_nearly_the_sample_of_float32(model):
    y = pictures()
    single, half = draws(model, y, [0]), draws(model, y, [0], precision="bfloat16")
    other = draws(model, y, [1])
    assert (single - half).square().mean().sqrt() < 0.05 * (single - other).square().mean().sqrt()


def test_clipping_keeps_estimates_pictures_all_the_way(model):
    assert not torch.allclose(draws(model, pictures(), [0], clip=False), draws(model, pictures(), [0]), atol=1e-4)


def test_without_predictor_too():
    restored = refine(Refinement(Design(0, 4, (1, 2), blocks=1)), pictures(), SCHEDULE, [0, 1])
    assert (restored.initial == 0.5).all() and restored.samples.std() > 0.1


def test_progress_counts_every_step_of_every_batch(model):
    seen = []
    draws(model, pictures(), [0, 1, 2], batch=2, progress=lambda step, steps: seen.append((step, steps)))
    assert seen == [(step, 12) for step in range(1, 13)]


def test_the_model_stays_as_it_was(model):
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    refine(model.train(), pictures(), SCHEDULE)
    assert model.training
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


def test_average_and_deviation_over_samples():
    samples = torch.rand(2, 4, 3, 5, 5, generator=torch.Generator().manual_seed(0))
    restored = Restored(samples[:, 0], samples)
    assert torch.allclose(restored.average(), samples.sum(1) / 4)
    assert torch.equal(restored.average(1), samples[:, 0])
    assert torch.allclose(restored.deviation(), samples.var(1).sqrt())


# Bad input


@pytest.mark.parametrize(
    ("words", "y", "options"),
    [
        ("(1, 1, 8, 8)", torch.zeros(1, 1, 8, 8), {}),
        ("(3, 8, 8)", torch.zeros(3, 8, 8), {}),
        ("(1, 3, 0, 8)", torch.zeros(1, 3, 0, 8), {}),
        ("not finite", torch.full((1, 3, 8, 8), torch.nan), {}),
        ("divide 8-bit levels by 255", torch.zeros(1, 3, 8, 8, dtype=torch.uint8), {}),
        ("divide 8-bit levels by 255", torch.full((1, 3, 8, 8), 128.0), {}),
        ("At least one sample", torch.zeros(1, 3, 8, 8), {"seeds": []}),
        ("twice", torch.zeros(1, 3, 8, 8), {"seeds": [1, 1]}),
        ("float16", torch.zeros(1, 3, 8, 8), {"precision": "float16"}),
        ("0 samples at a time", torch.zeros(1, 3, 8, 8), {"batch": 0}),
    ],
)
def test_what_cannot_be_refined_is_said_in_a_sentence(model, words, y, options):
    with pytest.raises(UsageError) as refused:
        refine(model, y, SCHEDULE, **options)
    assert words in str(refused.value) and str(refused.value).endswith(".")


def test_a_regression_has_nothing_to_sample():
    with pytest.raises(UsageError, match="no denoiser"):
        refine(Refinement(preset("small_regression")), torch.zeros(1, 3, 8, 8), SCHEDULE)


@pytest.mark.parametrize("count", [0, 4, -1])
def test_averages_of_samples_that_are_not_there(model, count):
    restored = refine(model, pictures(), SCHEDULE, [0, 1, 2])
    with pytest.raises(UsageError, match="1 to 3"):
        restored.average(count)


def test_a_deviation_needs_two_samples(model):
    with pytest.raises(UsageError, match="two"):
        refine(model, pictures(), SCHEDULE).deviation()


def test_a_start_far_from_noise_is_warned_of(model):
    with pytest.warns(UserWarning, match="far|pure noise"):
        refine(model, pictures(), linear_schedule(3, 0.1))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU")
def test_captured_steps_follow_eager_ones(model, monkeypatch):
    """Groups of 4 and of 2 samples, each with a graph that most of its steps replay."""

    def drawn():
        restored = refine(
            model, pictures(2), linear_schedule(12, 0.9), [0, 1, 2], batch=4, precision="float32", device="cuda"
        )
        return restored.samples

    captured = drawn()
    monkeypatch.setattr(acceleration.Captured, "__call__", lambda self, function: function())
    eager = drawn()
    assert torch.allclose(captured, eager, atol=1e-3) and (eager[:, 0] - eager[:, 1]).abs().max() > 0.01


def test_benchmark_has_a_row_for_each_variant():
    rows = refinement_benchmark.rows(cases=(("small", 8, 2),), repeats=1)
    assert [row["variant"] for row in rows] == ["plain loop, float32", "float32", usual("cpu")]
    assert rows[0]["a step"] == "1.0 x" and all(row["10 steps"] > 0 for row in rows)
