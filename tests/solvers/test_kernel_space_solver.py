"""Deblurring in a kernel space: the seed decides, both unknowns move, and k is found where x is known."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from deblur_core import blur
from deblur_core.errors import UsageError
from deblur_core.models.counting import count_parameters
from deblur_core.models.kernel_space import Design, KernelPrior, KernelSpace, charbonnier
from deblur_core.runs import Checkpoint
from deblur_core.solvers import kernel_space, kernel_space_benchmark, untrained
from deblur_core.solvers.kernel_space import RECIPES, Recipe, deblur, estimate_cost, usual_kernel
from deblur_core.solvers.losses import hyper_laplacian
from deblur_core.training import seeded

TINY = Recipe(
    iterations=10, warm_up=4, width=8, skip=2, nonlocal_from=None, kernel_blocks=1, image_rate=0.01, kernel_rate=1e-3,
    similarity_weight=(0.1, 0.0), average_from=0.8, precision="float32",
)  # fmt: skip
DESIGN = Design(
    width=8, feature_blocks=1, extractor=(8, 16, 16, 16), extractor_blocks=1, adapter=(8, 8, 8, 8),
    reconstruction_blocks=1, tail=8,
)  # fmt: skip


@pytest.fixture(scope="module")
def model():
    return seeded(lambda: KernelSpace(DESIGN), 0).eval()


@pytest.fixture(scope="module")
def y():
    sharp = torch.rand(1, 3, 78, 90, generator=torch.Generator().manual_seed(0))
    return blur.convolve(sharp, blur.psf.camera_shake(9, 1))  # of no whole cells: 70 x 82


def same(a, b):
    return torch.equal(a.x, b.x) and torch.equal(a.k, b.k) and a.losses == b.losses


@pytest.mark.usefixtures("bfloat16")
@pytest.mark.parametrize("alternating", [False, True])
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_run_is_its_seed(model, y, alternating, precision):
    recipe = replace(TINY, alternating=alternating, precision=precision)
    state = torch.get_rng_state()
    first, again, other = (deblur(model, y, recipe, seed=seed) for seed in (0, 0, 1))
    assert same(first, again)
    assert not torch.equal(first.x, other.x) and not torch.equal(first.k, other.k)
    assert torch.equal(state, torch.get_rng_state())


def test_the_answer_is_a_picture_and_a_kernel_of_the_space(model, y):
    weights = [weight.clone() for weight in model.parameters()]
    found = deblur(model, y, TINY, snapshots=(3, 14))
    assert found.x.shape == y.shape and 0 <= found.x.min() <= found.x.max() <= 1
    assert found.k.shape == (1, *model.kernel_shape(*y.shape[-2:])) and set(found.snapshots) == {3, 14}
    assert len(found.losses) == TINY.warm_up + TINY.iterations
    assert all(map(torch.equal, weights, model.parameters())), "the operator is not trained here"
    assert next(model.parameters()).requires_grad and next(model.parameters()).dtype == torch.float32


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_lowers_its_data_term(model, y, name):
    """Without a change of objective on the way, losses are comparable."""
    tiny = {key: getattr(TINY, key) for key in ("width", "skip", "nonlocal_from", "kernel_blocks", "precision")}
    recipe = kernel_space.recipe(name, **tiny, iterations=60, warm_up=0, image_rate=0.01, average_from=1.0)
    losses = deblur(model, y, recipe).losses
    assert losses[28] < 0.8 * losses[0], "in the first half"


def test_the_warm_up_draws_the_blurry_picture_and_the_usual_kernel(model, y):
    recipe = replace(TINY, iterations=1, warm_up=150, kernel_rate=3e-3, average_from=1.0)
    run = kernel_space.optimisation(model, y, recipe, 0, "cpu")
    start = usual_kernel(model, y)
    run.step()
    before = [F.mse_loss(run.x, y), F.mse_loss(run.k, start)]
    while run.iteration < 150:
        run.step()
    after = [F.mse_loss(run.x, y), F.mse_loss(run.k, start)]
    assert after[0] < 0.3 * before[0] and after[1] < 0.3 * before[1]


def test_the_usual_kernel_is_extracted_from_a_few_shakes_at_a_time(model, y, monkeypatch):
    """Of a large picture, all of them at once would need more memory than the run that follows."""
    whole, batches = usual_kernel(model, y), []
    monkeypatch.setattr(kernel_space, "SHAKEN", 3 * y[0, 0].numel() + 1)
    monkeypatch.setattr(model, "encode", lambda *pair: batches.append(len(pair[0])) or KernelSpace.encode(model, *pair))
    assert torch.allclose(usual_kernel(model, y), whole, atol=1e-6) and batches == [3, 3, 2]


def test_a_turn_moves_one_network_at_a_time_and_a_joint_step_both(model, y):
    """In the first iteration x moves alike; k's gradient is then taken at the picture already moved."""
    joint, alternating = (
        kernel_space.optimisation(model, y, replace(TINY, warm_up=0, alternating=turns), 0, "cpu")
        for turns in (False, True)
    )
    for run in (joint, alternating):
        run.step()
    image, kernel = (
        [[weight.grad for weight in run.unknowns[i].network.parameters() if weight.grad is not None]
         for run in (joint, alternating)] for i in (0, 1)
    )  # fmt: skip
    assert all(map(torch.equal, *image))
    assert not all(map(torch.equal, *kernel))


def test_halves_and_fifths_are_those_of_the_iterations_after_the_warm_up(model, y):
    weights = {"kernel_weight": (2.0, 3.0), "similarity_weight": (0.0, 0.0), "gradient_weight": (0.0, 0.0)}
    run = kernel_space.optimisation(model, y, replace(TINY, warm_up=5, iterations=20, **weights), 0, "cpu")
    phases, rates = [], []

    def note(phase):
        phases.append(run.phases.index(phase))
        rates.append([optimizer.param_groups[0]["lr"] for optimizer in run.optimizers])

    run._optimise = note
    for _ in range(25):
        run.step()
    assert phases == [0] * 5 + [1] * 10 + [2] * 10
    fallen = torch.tensor([0.7**fifth for fifth in [0] * 5 + [i // 4 for i in range(20)]])
    torch.testing.assert_close(torch.tensor(rates), torch.outer(fallen, torch.tensor([0.01, 1e-3])))
    x, k = torch.rand_like(y), torch.rand(1, *model.kernel_shape(*y.shape[-2:]))
    for phase, weight in zip(run.phases[1:], (2, 3), strict=True):
        loss, data_term = phase.objective(x, k)
        assert (loss - data_term).item() == pytest.approx(weight * k.square().mean().item(), rel=1e-4)


def test_k_is_found_where_the_picture_is_known(y):
    """Through G_k alone: the gradient reaches k through the operator, and explains y better and better."""
    model = seeded(lambda: KernelSpace(DESIGN), 1).eval()
    with torch.no_grad():
        model.adapter.up[-1].weight *= 10  # an untrained operator hardly looks at k
    sharp = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(2))
    k_true = 3 * torch.randn(1, *model.kernel_shape(64, 64), generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        target = model.blur(sharp, k_true)
    run = kernel_space.optimisation(model, target.clamp(0, 1), replace(TINY, kernel_rate=3e-3), 0, "cpu")
    kernel, misfits = run.unknowns[1], []
    for _ in range(60):
        run.optimizers[1].zero_grad()
        misfit = charbonnier(model.blur(sharp, kernel.network(kernel.z)) - target).mean()
        misfit.backward()
        run.optimizers[1].step()
        misfits.append(misfit.item())
    assert misfits[-1] < 0.7 * misfits[0]


def test_norms_pull_k_to_zero_and_the_prior_pulls_gradients(model, y):
    def run(**changes):
        return deblur(model, y, replace(TINY, iterations=60, warm_up=0, kernel_rate=3e-3, **changes))

    free, short, flat = run(), run(kernel_weight=(1.0, 1.0)), run(gradient_weight=(0.1, 0.1))
    unsquared = run(kernel_weight=(0.3, 0.3), squared_norm=False)
    assert max(short.k.norm(), unsquared.k.norm()) < 0.5 * free.k.norm()
    assert hyper_laplacian(flat.x, 0.66) < 0.8 * hyper_laplacian(free.x, 0.66)


def test_a_killed_run_goes_on_where_it_was(model, y, tmp_path, monkeypatch):
    undisturbed = deblur(model, y, TINY)
    times = iter(range(0, 100_000, 61))  # every look at the clock is a minute later: a checkpoint every iteration
    monkeypatch.setattr(untrained.time, "perf_counter", lambda: next(times))
    monkeypatch.setattr(untrained, "REPORT_EVERY", 7)

    def kill(iteration, total, **info):
        raise KeyboardInterrupt

    checkpoint = Checkpoint(tmp_path / "run.pt")
    with pytest.raises(KeyboardInterrupt):
        deblur(model, y, TINY, checkpoint=checkpoint, progress=kill)
    assert checkpoint.load()["iteration"] == 6
    assert same(undisturbed, deblur(model, y, TINY, checkpoint=checkpoint))


def test_progress_tells_the_psnr_where_the_truth_is_known(model, y):
    seen = []
    deblur(model, y, TINY, truth=y, progress=lambda *at, **info: seen.append((at, info)))
    ((at, info),) = seen
    assert at == (14, 14) and set(info) == {"loss", "psnr"}


@pytest.mark.usefixtures("bfloat16")
def test_bfloat16_follows_float32(model, y):
    runs = [kernel_space.optimisation(model, y, replace(TINY, warm_up=0, precision=p), 0, "cpu")
            for p in ("float32", "bfloat16")]  # fmt: skip
    for run in runs:
        run.step()
    assert runs[0].loss.item() == pytest.approx(runs[1].loss.item(), rel=0.05)
    for of in (lambda run: [run.unknowns[0].network.to_image.weight], lambda run: run.unknowns[1].network.parameters()):
        exact, rounded = (torch.cat([weight.grad.flatten() for weight in of(run)]) for run in runs)
        assert torch.cosine_similarity(exact, rounded, dim=0) > 0.99


def test_estimate_grows_with_the_picture_and_the_iterations(model):
    recipe = replace(TINY, iterations=100)
    seconds, memory = estimate_cost(model, recipe, (64, 64))
    assert seconds > 0 and memory > 1e6
    assert estimate_cost(model, recipe, (512, 512))[1] > 3.5 * estimate_cost(model, recipe, (256, 256))[1]
    assert estimate_cost(model, replace(recipe, iterations=1, warm_up=0), (64, 64))[0] < seconds


@pytest.mark.parametrize(
    ("shape", "says"),
    [
        ((1, 1, 80, 80), "colour"),
        ((2, 3, 80, 80), "one colour"),
        ((1, 3, 80, 32), "small"),
        ((1, 3, 80, 40), "64 x 64"),
    ],
)
def test_impossible_pictures_are_refused_in_a_sentence(model, shape, says):
    with pytest.raises(UsageError, match=says):
        deblur(model, torch.rand(shape), TINY)


def test_pictures_with_nan_and_unknown_recipes_are_refused(model, y):
    broken = y.clone()
    broken[0, 0, 3, 3] = torch.nan
    with pytest.raises(UsageError, match="finite"):
        deblur(model, broken, TINY)
    with pytest.raises(UsageError, match="divide 8-bit levels by 255"):
        deblur(model, 255 * y, TINY)
    with pytest.raises(UsageError, match="joint"):
        kernel_space.recipe("fast")


def test_a_run_without_an_iteration_is_refused(model, y):
    with pytest.raises(UsageError, match="At least one iteration"):
        deblur(model, y, replace(TINY, warm_up=0, iterations=0))
    with pytest.raises(UsageError, match="not -1 after 3"):  # it took two steps
        deblur(model, y, replace(TINY, warm_up=3, iterations=-1))


def test_a_picture_that_asks_for_gradients_is_deblurred_like_another(model, y):
    short = replace(TINY, warm_up=1, iterations=2)
    assert torch.equal(deblur(model, y.clone().requires_grad_(), short).x, deblur(model, y, short).x)


def test_the_prior_of_k_has_the_released_size_and_any_grid():
    with torch.device("meta"):
        assert count_parameters(KernelPrior(512)) == 34_787_264
    prior = KernelPrior(16, blocks=1)
    z = prior.draw_input(2, 3, torch.Generator().manual_seed(0))
    assert prior(z).shape == (1, 16, 2, 3)


def test_sparse_gradients_cost_less_than_the_same_edge_spread_out():
    """α < 1: one step of height 1 against a ramp to the same height; a gradient of power 1 would cost the same."""
    step, ramp = torch.zeros(1, 3, 8, 40), torch.linspace(0, 1, 21).expand(1, 3, 8, 21)
    step[..., 20:] = 1
    ramp = torch.cat([torch.zeros(1, 3, 8, 10), ramp, torch.ones(1, 3, 8, 9)], -1)
    assert hyper_laplacian(step, 0.66) < 0.7 * hyper_laplacian(ramp, 0.66)
    assert hyper_laplacian(step, 1.0) == pytest.approx(hyper_laplacian(ramp, 1.0).item(), rel=0.05)


def test_the_plain_loop_of_the_benchmark_minimises_the_same(model, y):
    recipe = replace(TINY, warm_up=0, input_noise=0.0, gradient_weight=(0.01, 0.01), kernel_weight=(0.1, 0.1))
    run = kernel_space.optimisation(model, y, recipe, 0, "cpu")
    run.step()
    assert kernel_space_benchmark.plain_step(model, y, recipe)().item() == pytest.approx(run.loss.item(), rel=1e-4)


def test_benchmark_rows_compare_with_the_plain_code():
    rows = kernel_space_benchmark.rows(cases=(("small", "quick", 64),), repeats=1)
    assert [row["variant"] for row in rows].count(kernel_space_benchmark.PLAIN) == 3 and len(rows) == 9
    assert all(row["plain"] == "1.0 x" for row in rows if row["variant"] == kernel_space_benchmark.PLAIN)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU")
def test_captured_iterations_follow_eager_ones(model, y, monkeypatch):
    from deblur_core.solvers import acceleration

    captured = deblur(model, y, TINY, device="cuda")
    monkeypatch.setattr(acceleration.Captured, "__call__", lambda self, function: function())
    eager = deblur(model, y, TINY, device="cuda")
    assert captured.losses == pytest.approx(eager.losses, rel=1e-2)
