"""The optimisation: what it promises about randomness, resumption, constraints and its input."""

import copy
import warnings
import weakref
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from deblur_core import blur, data
from deblur_core.errors import DeblurError, UsageError
from deblur_core.models.selfdeblur import NonLocal
from deblur_core.runs import Checkpoint
from deblur_core.solvers import selfdeblur, untrained
from deblur_core.solvers.selfdeblur import RECIPES, Recipe, check_input, deblur, estimate_cost

TINY = Recipe(
    iterations=12, width=8, skip=2, image_rate=0.02, kernel_rate=5e-4, squared_error_until=0.5, average_from=0.8,
    precision="float32",
)  # fmt: skip


@pytest.fixture(scope="module")
def y():
    return data.crop(data.load("builtin", "im1_kernel3"), 48).blurry


def begun(y, seed=0, **changes):
    return selfdeblur.optimisation(y, 9, replace(TINY, **changes), seed, "cpu")


def same(a, b):
    return torch.equal(a.x, b.x) and torch.equal(a.k, b.k) and a.losses == b.losses


@pytest.mark.usefixtures("bfloat16")
@pytest.mark.parametrize("alternating", [False, True])
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_run_is_its_seed(y, alternating, precision):
    recipe = replace(TINY, alternating=alternating, precision=precision)
    state = torch.get_rng_state()
    first, again, other = (deblur(y, 9, recipe, seed=seed) for seed in (0, 0, 1))
    assert same(first, again)
    assert not torch.equal(first.x, other.x)
    assert not torch.equal(first.k, other.k)
    assert torch.equal(state, torch.get_rng_state())


def test_the_answer_keeps_the_constraints(y):
    found = deblur(y, 9, TINY)
    assert found.x.shape == y.shape
    assert 0 <= found.x.min() <= found.x.max() <= 1
    assert found.k.shape == (1, 9, 9)
    assert found.k.min() >= 0
    assert found.k.sum().item() == pytest.approx(1, abs=1e-5)
    assert len(found.losses) == TINY.iterations


def test_noise_and_saturation_are_warned_of_and_ordinary_pictures_are_not(y):
    short = replace(TINY, iterations=2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        deblur(y, 9, short)
    with pytest.warns(UserWarning, match=r"noisy \(standard deviation about 0.0[45]"):
        deblur(blur.add_gaussian(y, 0.05, torch.Generator().manual_seed(0)), 9, short)
    bright = y.clone()
    bright[..., :24] = 1
    with pytest.warns(UserWarning, match="50% of this picture is saturated"):
        deblur(bright, 9, short)


@pytest.mark.usefixtures("bfloat16")
def test_joint_alternating_and_every_kernel_network_lower_the_loss(y):
    for changes in ({}, {"alternating": True}, {"hidden_layers": 0}, {"hidden_layers": 2},
                    {"kernel_network": "convolutional"}, {"tv_weight": 1e-3}, {"precision": "bfloat16"}):  # fmt: skip
        losses = deblur(y, 9, replace(TINY, iterations=20, squared_error_until=1.0, **changes)).losses
        assert losses[-1] < 0.9 * losses[0], changes


def test_alternating_moves_the_kernel_with_the_picture_already_moved(y):
    """In the first iteration θ_x moves alike in both; the gradient of θ_k is then taken at the new picture."""
    joint, alternating = (
        selfdeblur.optimisation(y, 9, replace(TINY, alternating=alternating), 0, "cpu") for alternating in (False, True)
    )
    for run in (joint, alternating):
        run.step()
    pairs = list(zip(*(run.unknowns[0].network.parameters() for run in (joint, alternating)), strict=True))
    assert all(torch.equal(a, b) for a, b in pairs)
    kernels = [list(run.unknowns[1].network.parameters()) for run in (joint, alternating)]
    gradients = [[p.grad for p in parameters] for parameters in kernels]
    assert any(not torch.equal(a, b) for a, b in zip(*gradients, strict=True))


def test_learning_rates_are_halved_where_the_recipe_says(y):
    run, rates = begun(y, iterations=4, halve_at=(0.5, 0.75)), []
    for _ in range(4):
        run.step()
        rates.append([optimizer.param_groups[0]["lr"] for optimizer in run.optimizers])
    assert rates == [[0.02 * part, 5e-4 * part] for part in (1, 1, 0.5, 0.25)]


def test_noise_is_drawn_anew_by_the_seed_around_an_input_that_stays(y):
    run, other = (begun(y, seed, input_noise=0.01) for seed in (0, 1))
    z, code = (unknown.z.clone() for unknown in run.unknowns)
    drawn = []
    for _ in range(2):
        run.step()
        drawn.append((run.inputs[0] - z).flatten())
    other.step()
    drawn.append((other.inputs[0] - other.unknowns[0].z).flatten())
    assert [noise.std().item() for noise in drawn] == pytest.approx([0.01] * 3, rel=0.05)
    assert (torch.corrcoef(torch.stack(drawn)) - torch.eye(3)).abs().max() < 0.05
    assert torch.equal(run.unknowns[0].z, z) and torch.equal(run.inputs[1], code), "none for the kernel's network"


def test_the_answer_is_the_mean_of_the_last_outputs_and_a_snapshot_is_one_output(y):
    run, outputs = begun(y, iterations=4, average_from=0.5), []
    for _ in range(4):
        run.step()
        run.keep_snapshot()
        outputs.append((run.x[..., 4:-4, 4:-4].clone(), run.k.clone()))
    for found, before, last in zip(run.answer(), *outputs[2:], strict=True):
        torch.testing.assert_close(found, (before + last) / 2, rtol=1e-5, atol=1e-8)
    for kept, output in zip(run.snapshots.values(), outputs, strict=True):
        assert torch.equal(kept[0], output[0]) and torch.equal(kept[1], output[1])


def test_variation_is_minimised_too_and_is_not_in_the_data_term(y):
    plain, smooth, similar = (
        begun(y, **changes) for changes in ({}, {"tv_weight": 0.5}, {"squared_error_until": 0.0, "tv_weight": 0.5})
    )
    for run in (plain, smooth, similar):
        run.step()
    squared_error = (blur.convolve(plain.x, plain.k) - y).square().mean().item()
    x = plain.x[0, 0].double().numpy()
    variation = np.hypot(np.diff(x, axis=0, append=x[-1:]), np.diff(x, axis=1, append=x[:, -1:])).mean()
    assert plain.loss.item() == pytest.approx(squared_error)
    assert smooth.loss.item() == pytest.approx(squared_error + 0.5 * variation)
    for run in (plain, smooth, similar):
        assert run.residuals.item() == pytest.approx(0.05 * squared_error)


def test_the_networks_take_turns_in_both_phases(y):
    run, drawn = begun(y, iterations=2, alternating=True), []
    run.unknowns[1].network.register_forward_hook(lambda *_: drawn.append(run.iteration))
    run.step()
    run.step()
    assert drawn == [0, 0, 1, 1]


def test_the_networks_are_those_of_the_recipe(y):
    def count(kind, which, **changes):
        return sum(isinstance(layer, kind) for layer in begun(y, **changes).unknowns[which].network.modules())

    assert [count(NonLocal, 0, nonlocal_from=first) for first in (None, 3, 2)] == [0, 2, 3]
    assert [count(nn.Linear, 1, hidden_layers=layers) for layers in (0, 2)] == [1, 3]
    assert begun(y, kernel_network="convolutional").unknowns[1].network.network.to_image.in_channels == TINY.width


def test_pictures_need_be_neither_square_nor_float32(y):
    wide, short = y[..., :32, :], replace(TINY, iterations=2)
    found = deblur(wide.double(), 9, short)
    assert found.x.shape == wide.shape and found.x.dtype == torch.float32
    assert same(found, deblur(wide, 9, short))


def test_a_killed_run_goes_on_where_it_was(y, tmp_path, monkeypatch):
    undisturbed = deblur(y, 9, TINY, snapshots=(3, 12))
    times = iter(range(0, 100_000, 61))  # every look at the clock is a minute later: a checkpoint every iteration
    monkeypatch.setattr(untrained.time, "perf_counter", lambda: next(times))

    class Killed(Exception):
        pass

    def kill_at_seven(iteration, total, **info):
        raise Killed

    checkpoint = Checkpoint(tmp_path / "run.pt")
    monkeypatch.setattr(untrained, "REPORT_EVERY", 7)
    with pytest.raises(Killed):
        deblur(y, 9, TINY, snapshots=(3, 12), checkpoint=checkpoint, progress=kill_at_seven)
    assert checkpoint.load()["iteration"] == 6
    resumed = deblur(y, 9, TINY, snapshots=(3, 12), checkpoint=checkpoint)
    assert same(undisturbed, resumed)
    assert sorted(resumed.snapshots) == [3, 12]
    assert torch.equal(resumed.snapshots[3][0], undisturbed.snapshots[3][0])


def test_a_state_has_all_that_a_run_goes_on_with(y):
    """Also while it averages, and where nothing is left to do but to answer."""
    changes = {"iterations": 4, "average_from": 0.25, "halve_at": (0.5,)}
    run, states = begun(y, **changes), []
    for _ in range(4):
        run.step()
        states.append(copy.deepcopy(run.state()))
    for state in states:
        resumed = begun(y, **changes)
        resumed.restore(state)
        while resumed.iteration < 4:
            resumed.step()
        for name in ("losses", "residuals", "x", "k"):
            assert torch.equal(getattr(resumed, name), getattr(run, name)), name
        assert all(torch.equal(a, b) for a, b in zip(resumed.answer(), run.answer(), strict=True))


def test_a_state_is_kept_once_a_minute(y, monkeypatch):
    now, kept, checkpoint = [0.0], [], Checkpoint()

    def step_takes_25_seconds(*at, **info):
        now[0] += 25

    monkeypatch.setattr(untrained.time, "perf_counter", lambda: now[0])
    monkeypatch.setattr(untrained, "REPORT_EVERY", 1)
    monkeypatch.setattr(checkpoint, "save", lambda state: kept.append(state["iteration"]))
    deblur(y, 9, replace(TINY, iterations=7), checkpoint=checkpoint, progress=step_takes_25_seconds)
    assert kept == [3, 6]


def test_a_checkpoint_of_another_kind_of_device_is_left_alone(y, tmp_path):
    """Its generator cannot go on here; what it would have drawn is not what is drawn from the start."""
    started = selfdeblur.optimisation(y, 9, TINY, 0, "cpu")
    started.step()
    checkpoint = Checkpoint(tmp_path / "run.pt")
    checkpoint.save(started.state() | {"noise": torch.zeros(16, dtype=torch.uint8)})  # as that of a GPU
    with pytest.warns(UserWarning, match="another kind of device"):
        again = deblur(y, 9, TINY, checkpoint=checkpoint)
    assert same(again, deblur(y, 9, TINY))
    state = started.state()
    del state["inputs"]
    checkpoint.save(state)
    with pytest.warns(UserWarning, match="another version of this code"):
        assert same(deblur(y, 9, TINY, checkpoint=checkpoint), again)


def test_golden_run(y):
    """Locks the numerics: a change here changes every recorded result, so raise the task's numerics version with it.

    Only the first iterations: a network of this size amplifies the last bit of a sum within ten.
    """
    found = deblur(y, 9, replace(TINY, iterations=4, halve_at=(), squared_error_until=0.5, average_from=1.0))
    assert found.losses == pytest.approx(GOLDEN, rel=5e-3)
    assert found.k.max().item() == pytest.approx(0.013479, rel=5e-3)


GOLDEN = [0.01729, 0.016144, 0.443786, 0.420667]


@pytest.mark.usefixtures("bfloat16")
def test_bfloat16_follows_float32(y):
    """The first gradients agree to bfloat16's rounding; where runs go from there, a study compares."""
    runs = [selfdeblur.optimisation(y, 9, replace(TINY, precision=p), 0, "cpu") for p in ("float32", "bfloat16")]
    for run in runs:
        run.step()
    assert runs[0].loss.item() == pytest.approx(runs[1].loss.item(), rel=0.05)
    exact, rounded = (run.unknowns[0].network.to_image.weight.grad.flatten() for run in runs)
    assert torch.cosine_similarity(exact, rounded, dim=0) > 0.99


def test_snapshots_and_progress(y):
    seen = []
    found = deblur(y, 9, TINY, snapshots=(1, 5), truth=y, progress=lambda *at, **info: seen.append((at, info)))
    assert set(found.snapshots) == {1, 5}
    assert found.snapshots[5][0].shape == y.shape
    (at, info) = seen[-1]
    assert at == (12, 12)
    assert set(info) == {"loss", "psnr"}


def test_kernel_comes_out_in_true_orientation():
    """Blur by an off-centre tap moves the picture; the estimate of k must move its mass the same way."""
    sharp = data.crop(data.load("builtin", "im3_kernel1"), 64).sharp
    k = torch.zeros(1, 7, 7)
    k[0, 3, 3:6] = torch.tensor([0.2, 0.3, 0.5])  # a horizontal ramp: heavier to the right
    y = blur.convolve(blur.pad_for_same(sharp, 7), k)
    run = selfdeblur.optimisation(y, 7, replace(TINY, kernel_rate=0.01), 0, "cpu")
    truth = blur.pad_for_same(sharp, 7)
    kernel = run.unknowns[1]
    for _ in range(150):  # fit k alone, the picture being known
        run.optimizers[1].zero_grad()
        estimate = kernel.network(kernel.z)
        (blur.convolve(truth, estimate) - y).square().mean().backward()
        run.optimizers[1].step()
    columns = estimate[0].sum(0)
    assert (columns * torch.arange(7)).sum().item() == pytest.approx(4.3, abs=0.3)


def test_the_data_term_is_its_mean_over_the_last_iterations(y):
    """Also in a run that is too short to forget where the mean started."""
    found = deblur(y, 9, replace(TINY, squared_error_until=1.0))
    assert found.residual == pytest.approx(np.average(found.losses, weights=0.95 ** np.arange(11, -1, -1)), rel=1e-4)


def test_a_phase_that_is_over_keeps_no_graph(y, monkeypatch):
    made, alive = [], weakref.WeakSet()

    class Recorded:
        def __init__(self):
            made.append(alive.add(self))

        def __call__(self, function):
            function()

    monkeypatch.setattr(untrained, "Captured", Recorded)
    run = selfdeblur.optimisation(y, 9, TINY, 0, "cpu")
    run.device = torch.device("cuda")  # as far as steps ask
    for _ in range(TINY.iterations):
        run.step()
        assert len(alive) == 1
    assert len(made) == 2


@pytest.mark.parametrize(("device", "seconds"), [("cpu", 500.0), ("cuda", 100.0)])
def test_the_estimate_counts_the_steps_that_a_run_consists_of(device, seconds, monkeypatch):
    """On a GPU that is the fast replay of a graph, of which a short run has few."""
    now = [0.0]

    class Steps:
        iteration, unknowns = 0, ()

        def step(self):
            self.iteration += 1
            now[0] += 5.0 if self.iteration < 9 else 1.0

        def finish(self):
            pass

    steps = Steps()
    steps.device = torch.device(device)
    monkeypatch.setattr(untrained.time, "perf_counter", lambda: now[0])
    assert untrained.measure_cost(lambda tile: steps, (64, 64), 64, 100, "cpu") == (seconds, 0)


def test_the_estimate_is_scaled_from_a_tile_and_counts_a_tensor_once(monkeypatch):
    now, tiles = [0.0], []
    features = torch.ones(10, requires_grad=True)

    class Steps:
        iteration, device = 0, torch.device("cpu")
        unknowns = (untrained.Unknown(nn.Linear(3, 5, bias=False), None, 0.1),)

        def step(self):
            self.iteration += 1
            now[0] += 2.0
            (features * features).sum().backward()  # which needs both factors, and they are one

        def finish(self):
            pass

    monkeypatch.setattr(untrained.time, "perf_counter", lambda: now[0])
    seconds, memory = untrained.measure_cost(lambda tile: tiles.append(tile) or Steps(), (128, 40), 64, 100, "cpu")
    assert tiles == [(64, 40)] and seconds == 2.0 * 100 * 2
    assert memory == 2 * 10 * 4 + 4 * 3 * 5 * 4, "features grow with the picture; weight, gradient, moments do not"


def test_estimate_grows_with_the_picture_and_the_iterations():
    recipe = replace(TINY, iterations=100)
    seconds, memory = estimate_cost(recipe, (64, 64), 9)
    assert seconds > 0
    assert memory > 1e6
    assert estimate_cost(recipe, (510, 510), 9)[1] > 3.5 * estimate_cost(recipe, (255, 255), 9)[1]
    assert estimate_cost(replace(recipe, iterations=1), (64, 64), 9)[0] < seconds


@pytest.mark.parametrize(
    ("shape", "size", "says"),
    [
        ((1, 3, 64, 64), 9, "luma"),
        ((1, 1, 64, 64), 8, "odd"),
        ((1, 1, 64, 64), 1, "odd"),
        ((1, 1, 64, 64), -3, "odd"),
        ((1, 1, 64, 64), 65, "too large"),
        ((1, 1, 64, 33), 33, "too large"),
        ((2, 1, 64, 64), 9, "luma"),
        ((1, 1, 8, 64), 3, "too small"),
        ((1, 1, 64, 31), 3, "too small"),
    ],
)
def test_impossible_requests_are_refused_in_a_sentence(shape, size, says):
    with pytest.raises(UsageError, match=says):
        check_input(torch.rand(shape), size)


def test_the_least_and_the_largest_that_can_be_used_are_not_refused():
    check_input(torch.rand(1, 1, 32, 32), 3)
    check_input(torch.rand(1, 1, 32, 64), 31)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"kernel_network": "convolutionl"}, "no kernel network 'convolutionl': choose dense or convolutional"),
        ({"hidden_layers": -1}, "-1 hidden layers"),
        ({"iterations": 0}, "At least one iteration"),
    ],
)
def test_impossible_recipes_are_refused_in_a_sentence(y, changes, says):
    with pytest.raises(UsageError, match=says):
        deblur(y, 9, replace(TINY, **changes))


def test_pictures_with_nan_are_refused():
    y = torch.rand(1, 1, 64, 64)
    y[0, 0, 3, 3] = torch.nan
    with pytest.raises(UsageError, match="finite"):
        check_input(y, 9)


def test_pictures_in_8_bit_levels_are_refused():
    with pytest.raises(UsageError, match="divide 8-bit levels by 255"):
        check_input(255 * torch.rand(1, 1, 64, 64), 9)


def test_a_diverged_run_says_so(y):
    with pytest.raises(DeblurError, match="diverged"):
        deblur(y, 9, replace(TINY, image_rate=float("inf")))


def test_a_diverged_run_ends_instead_of_reporting(y, monkeypatch):
    reports = []
    monkeypatch.setattr(untrained, "REPORT_EVERY", 2)
    with pytest.raises(DeblurError, match="diverged"):
        deblur(y, 9, replace(TINY, image_rate=float("inf")), progress=lambda *at, **info: reports.append(at))
    assert reports == []


def test_a_diverged_run_ends_before_its_state_is_kept(y, monkeypatch):
    kept = []
    checkpoint = Checkpoint()
    monkeypatch.setattr(checkpoint, "save", lambda state: kept.append(state["losses"][state["iteration"] - 1]))
    monkeypatch.setattr(untrained, "CHECKPOINT_AFTER", -1)
    with pytest.raises(DeblurError, match="diverged"):
        deblur(y, 9, replace(TINY, image_rate=float("inf")), checkpoint=checkpoint)
    assert len(kept) < TINY.iterations and all(map(torch.isfinite, kept))


def test_unknown_recipes_are_refused():
    with pytest.raises(UsageError, match="quick"):
        selfdeblur.recipe("fast")
    assert selfdeblur.recipe("quick", iterations=3) == replace(RECIPES["quick"], iterations=3)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU")
def test_captured_iterations_follow_eager_ones(y, monkeypatch):
    from deblur_core.solvers import acceleration

    captured = deblur(y, 9, TINY, device="cuda")
    monkeypatch.setattr(acceleration.Captured, "__call__", lambda self, function: function())
    eager = deblur(y, 9, TINY, device="cuda")
    assert captured.losses == pytest.approx(eager.losses, rel=1e-2)
