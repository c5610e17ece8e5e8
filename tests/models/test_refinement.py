"""Stochastic refinement: the size of its networks, and its diffusion equations against composition and Bayes' rule."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from deblur_core.errors import UsageError
from deblur_core.models import diffusion
from deblur_core.models.counting import count_macs, count_parameters
from deblur_core.models.diffusion import Schedule, add_noise, linear_schedule, remove_noise, strided
from deblur_core.models.refinement import (
    PRESETS,
    Block,
    Design,
    Refinement,
    UNet,
    colour_drift,
    expected_residual,
    pad_to_multiple,
    preset,
    refinement_loss,
    regression_loss,
    variants,
)

TINY = Design(4, 4, (1, 2), blocks=1)
LOCAL = replace(TINY, residual_scale=None, predictor_weight=1.0)
SCHEDULE = Schedule(torch.tensor([0.1, 0.3, 0.2, 0.6], dtype=torch.float64))


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def model(design=TINY, seed=0):
    """With weights that are not zero anywhere, as after some training."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = Refinement(design)
        for parameter in network.parameters():
            if not parameter.any():
                torch.nn.init.normal_(parameter, std=0.05)
    return network


def pictures(*shape, seed=0):
    return torch.rand(shape, generator=generator(seed))


# The paper's counts: 26, 7 and 28 million; together 33 million


def test_networks_have_the_size_that_the_paper_states():
    with torch.device("meta"):
        counted = {name: count_parameters(network) / 1e6 for name, network, _ in variants(64, 64)}
    predictor, denoiser = (counted[f"Refinement, paper, {part}"] for part in ("initial predictor", "denoiser"))
    assert (round(predictor), round(denoiser), round(predictor + denoiser)) == (26, 7, 33)
    assert predictor == pytest.approx(26.24, abs=0.005)
    assert round(counted["Refinement, direct, denoiser"]) == 28


def test_small_weights_fit_into_five_megabytes_each():
    for name in ("small", "small_regression"):
        assert 4 * count_parameters(Refinement(preset(name))) < 5e6


def test_the_predictor_costs_four_times_a_step_of_the_denoiser():
    network = Refinement(preset("paper"))
    with torch.device("meta"):
        predictor = count_macs(network.predictor, torch.empty(1, 3, 128, 128))
        denoiser = count_macs(network.denoiser, torch.empty(1, 6, 128, 128), torch.empty(1))
    assert predictor / denoiser == pytest.approx(4, rel=0.01)
    assert predictor == pytest.approx(43e9, rel=0.01)


def test_cost_is_linear_in_pixels():
    costs = [count_macs(UNet(3, 8, TINY), torch.empty(1, 3, side, 2 * side)) for side in (32, 64)]
    assert costs[1] == 4 * costs[0]


# The networks


@pytest.mark.parametrize(("height", "width"), [(1, 1), (7, 9), (16, 24), (33, 5)])
def test_any_size(height, width):
    network = model()
    y, z = pictures(2, 3, height, width), pictures(2, 3, height, width, seed=1)
    assert network.predict(y).shape == y.shape
    assert network.estimate_noise(z, torch.tensor([0.5, 0.1]), y).shape == z.shape


def test_pictures_are_extended_and_enlarged_by_repeating_pixels():
    x = pictures(1, 4, 5, 6)
    extended = pad_to_multiple(x, 4)
    assert extended.shape == (1, 4, 8, 8) and torch.equal(extended[..., :5, :6], x)
    assert torch.equal(extended[..., 5:, :6], x[..., -1:, :].expand(-1, -1, 3, -1))
    assert torch.equal(extended[..., 6:], extended[..., 5:6].expand(-1, -1, -1, 2))
    up = Block(4, 3, 0, "up")  # nothing but its shortcut at first
    assert torch.allclose(up(x, None), up.shortcut(x).repeat_interleave(2, -1).repeat_interleave(2, -2), atol=1e-6)


def test_fully_convolutional_a_shift_of_the_picture_shifts_the_prediction():
    network, y = model(), pictures(1, 3, 64, 64)
    shift = network.denoiser.multiple
    there, here = network.predict(y[..., shift:]), network.predict(y)[..., shift:]
    inside = (..., slice(16, -16), slice(16, -16))
    assert torch.allclose(there[inside], here[inside], atol=1e-6)
    assert not torch.allclose(there, here, atol=1e-6)  # the border reaches some way in


def test_untrained_the_prediction_is_the_blurry_picture_and_the_estimated_noise_zero():
    network, y = Refinement(TINY), pictures(1, 3, 8, 8)
    assert torch.equal(network.predict(y), y)
    assert not network.estimate_noise(y, torch.tensor([0.5]), y).any()


def test_a_batch_is_its_pictures_one_by_one():
    network, y, z = model(), pictures(2, 3, 8, 8), pictures(2, 3, 8, 8, seed=1)
    levels = torch.tensor([0.9, 0.01])
    together = network.estimate_noise(z, levels, y)
    alone = torch.cat([network.estimate_noise(z[i : i + 1], levels[i : i + 1], y[i : i + 1]) for i in (0, 1)])
    assert torch.allclose(together, alone, atol=1e-6)
    assert not torch.allclose(network.estimate_noise(z, levels.flip(0), y), together, atol=1e-4)


def test_velocity_is_what_turns_signal_and_noise_into_one_another():
    """z_t = cos φ z + sin φ ε with √ᾱ = cos φ, so that its derivative by φ is v = cos φ ε − sin φ z."""
    network = Refinement(replace(TINY, velocity=True))
    z, noise = torch.randn(2, 4, 3, 8, 8, generator=generator(), dtype=torch.float64)
    alpha_bar = torch.tensor([0.02, 0.3, 0.9, 0.999], dtype=torch.float64)[:, None, None, None]
    angle = alpha_bar.sqrt().acos()

    def noisy(angle):
        return add_noise(z, angle.cos().square(), noise)

    velocity = (noisy(angle + 1e-6) - noisy(angle - 1e-6)) / 2e-6
    assert torch.allclose(network.noise_of(velocity, noisy(angle), alpha_bar), noise, atol=1e-7)
    assert Refinement(TINY).noise_of(velocity, noisy(angle), alpha_bar) is velocity


def test_with_velocity_the_untrained_denoiser_takes_what_stands_out_from_a_residual_of_unit_power_for_noise():
    network, z = Refinement(replace(TINY, velocity=True)), pictures(2, 3, 8, 8)
    levels = torch.tensor([0.2, 0.9])
    assert torch.allclose(network.estimate_noise(z, levels, z), (1 - levels)[:, None, None, None].sqrt() * z)
    assert not any(PRESETS[name].velocity for name in PRESETS)


def test_noise_level_tells_small_noise_apart_and_holds_beyond_training():
    def at(alpha_bar):
        return model().estimate_noise(pictures(1, 3, 8, 8), torch.tensor([alpha_bar]), pictures(1, 3, 8, 8, seed=1))

    assert not torch.allclose(at(1 - 1e-5), at(1 - 1e-4), atol=1e-5)
    assert not torch.allclose(at(1 - 1e-6), at(1 - 1e-5), atol=1e-5)
    assert torch.equal(at(1e-24), at(1e-6))


def test_residual_and_picture_are_each_others_inverse_and_scaled_to_two():
    network = model(Design(4, 4, (1, 2), blocks=1, residual_scale=3.0))
    sharp, initial = pictures(1, 3, 4, 4), pictures(1, 3, 4, 4, seed=1)
    assert torch.allclose(network.picture(network.residual(sharp, initial), initial), sharp, atol=1e-6)
    assert Refinement(TINY).residual(1.0, torch.zeros(1)).item() == 2


def test_local_units_are_small_where_the_prediction_is_smooth_and_the_inverse_holds():
    network = model(LOCAL)
    sharp, initial = pictures(2, 3, 24, 32), pictures(2, 3, 24, 32, seed=1)
    initial[..., :16] = 0.5
    unit = network.unit(initial)
    assert unit.shape == (2, 1, 24, 32)
    assert unit[..., :11].max() == pytest.approx(0.25 * 0.002**0.7), "the floor, where a window sees nothing"
    assert unit[..., 11].min() > 2 * unit[..., :11].max(), "a window of 9 px and the gradient reach 5 px far"
    assert unit[..., 20:].min() > 10 * unit[..., :11].max()
    assert torch.allclose(network.picture(network.residual(sharp, initial), initial), sharp, atol=1e-5)


def test_a_ramp_has_the_local_unit_of_its_slope():
    ramp = 0.02 * torch.arange(40.0).expand(1, 3, 40, 40)
    unit = expected_residual(ramp)[..., 10:-10, 10:-10]
    assert torch.allclose(unit, torch.full_like(unit, 0.25 * (0.02**2 + 0.002**2) ** 0.35))


@pytest.mark.parametrize("missing", [{"predictor_width": 0}, {"predictor_weight": 0.0}])
def test_local_units_need_a_prediction_with_a_loss_of_its_own(missing):
    with pytest.raises(UsageError, match="initial predictor with a loss of its own"):
        Refinement(replace(LOCAL, **missing))


def test_in_local_units_the_predictor_learns_from_its_own_loss_alone():
    y, x = pictures(2, 3, 16, 16), pictures(2, 3, 16, 16, seed=1)

    def gradients(design):
        network = model(design)
        refinement_loss(network, (y, x), generator()).backward()
        return [torch.cat([weight.grad.flatten() for weight in part.parameters()])
                for part in (network.predictor, network.denoiser)]  # fmt: skip

    (of_predictor, of_denoiser), (thrice, same) = gradients(LOCAL), gradients(replace(LOCAL, predictor_weight=3.0))
    assert of_predictor.abs().max() > 0 and torch.allclose(thrice, 3 * of_predictor)
    assert of_denoiser.abs().max() > 0 and torch.equal(same, of_denoiser)


def test_without_predictor_diffusion_draws_the_picture_in_minus_one_to_one():
    network, x = model(Design(0, 4, (1, 2), blocks=1)), pictures(1, 3, 8, 8)
    assert torch.allclose(network.residual(x, network.predict(x)), 2 * x - 1)


def test_unknown_preset():
    with pytest.raises(UsageError, match=r"huge.*small"):
        preset("huge")


# The loss


def test_loss_is_the_mean_absolute_error_of_the_noise():
    """Before training the estimate is zero, and the mean absolute value of a standard normal is √(2/π)."""
    y, x = pictures(4, 3, 64, 64), pictures(4, 3, 64, 64, seed=1)
    assert refinement_loss(Refinement(TINY), (y, x), generator()).item() == pytest.approx(0.798, abs=0.005)


def test_loss_vanishes_for_a_denoiser_that_knows_the_residual():
    network, y, x = model(), pictures(2, 3, 8, 8), pictures(2, 3, 8, 8, seed=1)
    z = network.residual(x, network.predict(y))
    network.estimate_noise = lambda noisy, alpha_bar, _: (
        (noisy - alpha_bar[:, None, None, None].sqrt() * z) / (1 - alpha_bar[:, None, None, None]).sqrt()
    )
    levels = strided(diffusion.TRAINING, 5)  # in float32, not the smallest noise of all
    assert refinement_loss(network, (y, x), generator(), levels).item() == pytest.approx(0, abs=1e-3)


def test_the_one_loss_teaches_both_networks():
    network = model()
    refinement_loss(network, (pictures(2, 3, 8, 8), pictures(2, 3, 8, 8, seed=1)), generator()).backward()
    for part in (network.predictor, network.denoiser):
        assert all(parameter.grad.abs().sum() > 0 for parameter in part.parameters())


def test_every_picture_of_a_batch_has_a_noise_level_of_its_own():
    network, levels = model(), []
    network.estimate_noise = lambda noisy, alpha_bar, _: levels.append(alpha_bar) or noisy
    refinement_loss(network, (pictures(5, 3, 8, 8), pictures(5, 3, 8, 8, seed=1)), generator())
    assert len(levels[0].unique()) == 5


def test_losses_draw_from_their_generator_alone():
    network, batch = model(), (pictures(2, 3, 8, 8), pictures(2, 3, 8, 8, seed=1))
    losses = [refinement_loss(network, batch, generator(seed)).item() for seed in (0, 0, 1)]
    assert losses[0] == losses[1] != losses[2]


def test_the_colour_option_counts_a_drift_and_is_off_in_the_paper():
    batch = (pictures(2, 3, 8, 8), pictures(2, 3, 8, 8, seed=1))
    tied = Design(4, 4, (1, 2), blocks=1, colour_weight=2.0)
    drift = colour_drift(model().predict(batch[0]), batch[0])
    gain = refinement_loss(model(tied), batch, generator()) - refinement_loss(model(), batch, generator())
    assert preset("paper").colour_weight == 0
    assert gain.item() == pytest.approx(2 * drift.item(), abs=1e-5) and drift > 0
    assert colour_drift(batch[0] + 0.1, batch[0]).item() == pytest.approx(0.1, abs=1e-6)


def test_a_loss_of_its_own_for_the_predictor_is_an_option_that_is_off_in_the_paper():
    batch = (pictures(2, 3, 8, 8), pictures(2, 3, 8, 8, seed=1))
    own = Design(4, 4, (1, 2), blocks=1, predictor_weight=3.0)
    gain = refinement_loss(model(own), batch, generator()) - refinement_loss(model(), batch, generator())
    assert preset("paper").predictor_weight == 0
    assert gain.item() == pytest.approx(3 * regression_loss(model(), batch, generator()).item(), rel=1e-4)


def test_regression_loss_is_the_squared_error_of_the_prediction():
    y, x = pictures(2, 3, 8, 8), pictures(2, 3, 8, 8, seed=1)
    assert regression_loss(Refinement(TINY), (y, x), generator()).item() == pytest.approx((y - x).square().mean())


# The equations, in float64


def test_forward_steps_compose_to_the_marginal():
    """A draw is linear in x_0 and each step's noise: its mean and variance follow from the coefficients."""
    one, zero = torch.ones((), dtype=torch.float64), torch.zeros((), dtype=torch.float64)
    for t in range(1, SCHEDULE.steps + 1):
        coefficients = []
        for source in range(t + 1):  # x_0, then the noise of steps 1 ... t
            x = one if source == 0 else zero
            for step in range(1, t + 1):
                x = SCHEDULE.forward_step(x, step, one if step == source else zero)
            coefficients.append(x.item())
        alpha_bar = SCHEDULE.alpha_bars[t].item()
        assert coefficients[0] == pytest.approx(add_noise(one, alpha_bar, zero).item())
        assert sum(c**2 for c in coefficients[1:]) == pytest.approx(add_noise(zero, alpha_bar, one).item() ** 2)


@pytest.mark.parametrize("t", [2, 3, 4])
def test_posterior_is_bayes_rule(t):
    """q(x_{t−1} | x_t, x_0) ∝ q(x_t | x_{t−1}) q(x_{t−1} | x_0), summed on a grid."""
    clean, noisy = torch.tensor(0.7, dtype=torch.float64), torch.tensor(-0.4, dtype=torch.float64)
    beta, before = SCHEDULE.betas[t - 1], SCHEDULE.alpha_bars[t - 1]
    x = torch.linspace(-8, 8, 20001, dtype=torch.float64)
    likelihood = torch.distributions.Normal((1 - beta).sqrt() * x, beta.sqrt()).log_prob(noisy)
    prior = torch.distributions.Normal(before.sqrt() * clean, (1 - before).sqrt()).log_prob(x)
    weights = (likelihood + prior).softmax(0)
    mean, variance = SCHEDULE.posterior(noisy, clean, t)
    assert mean.item() == pytest.approx((weights * x).sum().item(), abs=1e-9)
    assert variance == pytest.approx((weights * (x - mean).square()).sum().item(), abs=1e-9)


def test_the_last_step_returns_the_clean_signal_without_noise():
    clean, noisy = pictures(2, 3), pictures(2, 3, seed=1)
    mean, variance = SCHEDULE.posterior(noisy, clean, 1)
    assert torch.allclose(mean, clean) and variance == 0


@pytest.mark.parametrize("alpha_bar", [1 - 1e-6, 0.5, 1e-4])
def test_removing_the_noise_that_was_added_gives_the_signal_back(alpha_bar):
    clean, noise = pictures(5).double(), pictures(5, seed=1).double()
    assert torch.allclose(remove_noise(add_noise(clean, alpha_bar, noise), alpha_bar, noise), clean, atol=1e-9)


# Schedules


@pytest.mark.parametrize(("steps", "last", "left"), [(10, 0.5, 4.4e-2), (20, 0.1, 0.355), (100, 0.02, 0.365),
                                                     (500, 0.02, 6.5e-3), (2000, 0.01, 4.4e-5)])  # fmt: skip
def test_what_linear_schedules_leave_of_the_signal(steps, last, left):
    assert linear_schedule(steps, last).alpha_bars[-1].item() == pytest.approx(left, rel=0.02)


@pytest.mark.parametrize("steps", [1, 7, 500, 2000])
def test_a_strided_schedule_ends_where_the_whole_one_does(steps):
    short = strided(diffusion.TRAINING, steps)
    assert short.steps == steps
    assert short.alpha_bars[-1].item() == pytest.approx(diffusion.TRAINING.alpha_bars[-1].item(), rel=1e-6)
    nearest = SCHEDULE.alpha_bars[[0, 1, 3, 4]]  # to thirds of four steps
    torch.testing.assert_close(strided(SCHEDULE, 3).alpha_bars, nearest)
    assert linear_schedule(1, 0.7).betas.item() == pytest.approx(0.7)


def test_training_draws_every_noise_level_between_the_ends():
    levels = SCHEDULE.draw_levels(20_000, generator()).double()
    ends = SCHEDULE.alpha_bars
    assert ends[-1] <= levels.min() < ends[-1] + 1e-3 and 1 - 1e-3 < levels.max() <= 1
    counts = torch.histc(levels.sqrt(), 1000, float(ends[-1].sqrt()), 1.0)
    assert (counts > 0).all()  # continuous, not T values
    for t in range(1, SCHEDULE.steps + 1):  # each step has its share
        share = ((levels >= ends[t]) & (levels < ends[t - 1])).double().mean().item()
        assert share == pytest.approx(1 / SCHEDULE.steps, abs=0.015)
        roots = levels[(levels >= ends[t]) & (levels < ends[t - 1])].sqrt()
        middle = (ends[t].sqrt() + ends[t - 1].sqrt()) / 2
        assert (roots < middle).double().mean().item() == pytest.approx(0.5, abs=0.025), "uniform in the root"
    assert torch.equal(SCHEDULE.draw_levels(5, generator(3)), SCHEDULE.draw_levels(5, generator(3)))


def test_a_schedule_that_drowns_everything_stays_finite():
    schedule = linear_schedule(500, 0.9)
    clean = remove_noise(torch.ones(1), schedule.alpha_bars[-1].item(), torch.ones(1) * (1 - 1e-6))
    mean, variance = schedule.posterior(torch.ones(1), clean, schedule.steps)
    assert torch.isfinite(clean).all() and torch.isfinite(mean).all() and 0 <= variance <= 1
    with pytest.raises(UsageError, match="drowns all of the signal before its end"):
        strided(schedule, 100)


@pytest.mark.parametrize("wrong", [lambda: linear_schedule(0, 0.5), lambda: Schedule(torch.tensor([])),
                                   lambda: Schedule(torch.tensor([[0.1]])), lambda: Schedule(torch.tensor([0.1, 1.0])),
                                   lambda: Schedule(torch.tensor([0.0])), lambda: Schedule(torch.tensor([torch.nan])),
                                   lambda: strided(SCHEDULE, 5), lambda: strided(SCHEDULE, 0)])  # fmt: skip
def test_impossible_schedules_are_refused_in_a_sentence(wrong):
    with pytest.raises(UsageError, match=r"\w+ .*[.]$"):
        wrong()


@pytest.mark.parametrize("t", [-1, 0, 5])
def test_steps_that_a_schedule_does_not_have_are_refused(t):
    for step in (SCHEDULE.forward_step, SCHEDULE.posterior):
        with pytest.raises(UsageError, match=f"steps of this schedule are 1 to 4: there is no step {t}"):  # 0 was 4
            step(torch.zeros(3), *([t, torch.zeros(3)] if step == SCHEDULE.forward_step else [torch.zeros(3), t]))


@pytest.mark.parametrize("name", ["direct", "small_regression"])
def test_bytes_and_grey_pictures_are_refused(name):
    with torch.device("meta"):
        model = Refinement(preset(name))
    for picture in (torch.zeros(1, 3, 8, 8, dtype=torch.uint8), torch.zeros(1, 1, 8, 8)):  # bytes: black for mid-grey
        with pytest.raises(UsageError, match="colour pictures"):
            model.predict(picture)


def test_a_start_far_from_noise_is_warned_of(recwarn):
    linear_schedule(10, 0.5).check_start()
    assert not recwarn
    Schedule(torch.tensor([0.96])).check_start()
    assert not recwarn
    for schedule, left in ((linear_schedule(10, 0.05), "78%"), (Schedule(torch.tensor([0.94])), "6%")):
        with pytest.warns(UserWarning, match=left):
            schedule.check_start()


def test_no_convolution_of_one_pixel_has_a_stride():
    """Its gradient corrupts memory on a CPU: github.com/uxlfoundation/oneDNN/issues/6035."""
    for name in PRESETS:
        for layer in Refinement(PRESETS[name]).to("meta").modules():
            assert not isinstance(layer, nn.Conv2d) or layer.kernel_size != (1, 1) or layer.stride == (1, 1)
