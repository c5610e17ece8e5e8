"""Classical blind deconvolution: its steps on problems with known answers, then whole pictures."""

import math

import numpy as np
import pytest
import torch
from skimage.restoration import denoise_tv_chambolle

from deblur_core import blur, data, metrics
from deblur_core.errors import DeblurError, UsageError
from deblur_core.solvers import classical, nonblind

METHODS = [classical.perrone_favaro, classical.edge_based]
NAMES = [method.__name__ for method in METHODS]


@pytest.fixture(scope="module")
def pair():
    return data.load("builtin", "im1_kernel2")


@pytest.fixture(scope="module", params=METHODS, ids=NAMES)
def found(request, pair):
    return request.param(pair.blurry, pair.kernel_size)


def test_the_kernel_is_recovered_the_right_way_round(found, pair):
    _, k = found
    assert metrics.kernel_similarity(k, pair.kernel) > 0.7
    assert metrics.kernel_similarity(blur.flip(k), pair.kernel) < metrics.kernel_similarity(k, pair.kernel) - 0.1


def test_the_picture_is_better_than_the_blurry_one(found, pair):
    x, _ = found
    before, after = (metrics.aligned(picture, pair.sharp) for picture in (pair.blurry, x))
    assert after.psnr > before.psnr + 4
    assert after.ssim > before.ssim + 0.1


def test_kernel_and_picture_explain_the_blurry_one(found, pair):
    x, k = found
    margin = pair.kernel_size // 2
    explained = blur.convolve(x, k) - pair.blurry[..., margin:-margin, margin:-margin]
    unchanged = pair.blurry - blur.convolve(blur.pad_for_same(pair.blurry, pair.kernel_size), k)
    assert explained.square().mean() < 0.05 * unchanged.square().mean()


def test_the_kernel_is_a_kernel(found, pair):
    x, k = found
    assert k.shape == (1, pair.kernel_size, pair.kernel_size)
    assert x.shape == pair.blurry.shape and x.min() >= 0 and x.max() <= 1
    assert k.min() >= 0
    assert float(k.sum()) == pytest.approx(1, abs=1e-5)
    position = torch.arange(pair.kernel_size) - pair.kernel_size // 2
    for axis in (1, 2):
        assert abs(float((k.sum(axis)[0] * position).sum())) <= 1


@pytest.mark.parametrize("method", METHODS, ids=NAMES)
def test_the_same_picture_gives_the_same_answer(method, pair):
    y = pair.blurry[..., 60:140, 60:140]
    for first, second in zip(method(y, 9), method(y, 9), strict=True):
        assert torch.equal(first, second)


@pytest.mark.parametrize("method", METHODS, ids=NAMES)
@pytest.mark.parametrize("size", [3, 21])
def test_any_odd_size_gives_a_kernel_of_that_size(method, size, pair):
    x, k = method(pair.blurry[..., 60:140, 60:160], size)
    assert k.shape == (1, size, size) and x.shape == (1, 1, 80, 100)
    assert torch.isfinite(x).all() and float(k.sum()) == pytest.approx(1, abs=1e-5)


def test_a_sharp_picture_is_left_alone(pair):
    x, k = classical.perrone_favaro(pair.sharp, 9)
    assert metrics.delta_fraction(k) > 0.9
    assert metrics.aligned(x, pair.sharp).psnr > 30


# --- the steps -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("larger", [False, True], ids=["x like y", "x larger than y"])
def test_the_sharp_picture_determines_the_kernel(larger, pair):
    sharp, k = pair.sharp.double()[..., :90, :80], blur.normalize(pair.kernel[:, 4:13, 4:13].double())
    y = blur.convolve(sharp, k)
    x = sharp if larger else sharp[..., 4:-4, 4:-4]
    normal, b = classical.kernel_equations(x, y, 9)
    basis = torch.eye(81, dtype=torch.float64).reshape(81, 1, 9, 9)
    matrix = torch.stack([normal(e).flatten() for e in basis], dim=1)
    torch.testing.assert_close(matrix, matrix.T, rtol=1e-8, atol=1e-10)
    torch.testing.assert_close(torch.linalg.solve(matrix, b.flatten()), k.flatten(), rtol=0, atol=1e-6)
    weighted, _ = classical.kernel_equations(x, y, 9, 0.3)
    torch.testing.assert_close(weighted(k) - normal(k), 0.3 * k)


def test_the_prior_s_weight_falls_in_equal_ratios_over_all_scales():
    seen = []

    def estimate(y, k, weights):
        seen.append((k.shape[-1], weights))
        return k

    classical._coarse_to_fine(torch.rand(1, 1, 40, 40), 7, estimate, (0.1, 1e-3), 3)
    sizes, weights = zip(*seen, strict=True)
    assert list(sizes) == sorted(set(sizes)) and sizes[0] == 3 and sizes[-1] == 7
    assert np.concatenate(weights) == pytest.approx(np.geomspace(0.1, 1e-3, 3 * len(sizes)))


def test_few_edges_keeps_a_step_and_drops_the_noise():
    step = torch.full((1, 1, 48, 48), 0.2)
    step[..., 24:] = 0.8
    noisy = blur.add_gaussian(step, 0.01, torch.Generator().manual_seed(0))
    x = classical._few_edges(noisy, blur.psf.delta(3), 5e-3)

    def edges(picture):
        return (picture[..., 4:-4, 4:-4].diff(dim=-1).abs() > 2e-3).sum(-1).float().mean()

    assert edges(noisy) > 30, "nearly every pixel of a row"
    assert edges(x) < 1.5, "little more than the one step"
    assert (x - step)[..., 4:-4, 4:-4].abs().max() < 0.03


def test_total_variation_steps_descend_to_the_minimum_that_an_independent_solver_finds():
    step = torch.full((1, 1, 48, 48), 0.2)
    step[..., 24:] = 0.8
    y = blur.add_gaussian(step, 0.05, torch.Generator().manual_seed(0))
    k, weight = blur.psf.delta(3), 0.1

    def energy(x):
        dy = torch.nn.functional.pad(x.diff(dim=-2), (0, 0, 0, 1))
        dx = torch.nn.functional.pad(x.diff(dim=-1), (0, 1))
        return float((x - y).square().sum() / 2 + weight * (dy**2 + dx**2).sqrt().sum())

    x = blur.pad_for_same(y, 3)
    energies = []
    for _ in range(30):
        x = classical._total_variation_step(x, y, k, weight)
        energies.append(energy(x[..., 1:-1, 1:-1]))
    chambolle = torch.from_numpy(denoise_tv_chambolle(y[0, 0].numpy(), weight, eps=1e-7, max_num_iter=2000))[None, None]
    assert energies[4] < energies[0]
    assert energies[-1] == pytest.approx(energy(chambolle), rel=0.02)
    assert energies[-1] < 0.5 * energy(y)


# --- bad input -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS, ids=NAMES)
@pytest.mark.parametrize(
    ("y", "size", "advice"),
    [
        (torch.rand(1, 3, 64, 64), 9, "luma"),
        (torch.rand(1, 1, 20, 64), 9, "too small"),
        (torch.rand(1, 1, 64, 64), 8, "odd"),
        (torch.rand(1, 1, 64, 64), 65, "too large"),
        (torch.full((1, 1, 64, 64), math.nan), 9, "not finite"),
    ],
)
def test_impossible_input_is_refused_in_one_sentence(method, y, size, advice):
    with pytest.raises(UsageError, match=advice):
        method(y, size)


@pytest.mark.parametrize("method", METHODS, ids=NAMES)
def test_no_kernel_is_made_up_for_a_picture_without_edges(method):
    with pytest.raises(DeblurError, match="no strong edges"):
        method(torch.full((1, 1, 64, 64), 0.5), 9)


def test_impossible_settings_are_refused(pair):
    for method, weights in ((classical.perrone_favaro, "tv_weights"), (classical.edge_based, "edge_weights")):
        for settings in ({"iterations": 0}, {weights: (0.01, 0.0)}, {weights: (-1.0, 1.0)}):
            with pytest.raises(UsageError, match="Iterations are 1 or more, and weights of a prior positive"):
                method(pair.blurry, 9, **settings)


def test_a_kernel_that_is_too_large_for_the_picture_is_named_as_a_reason(pair):
    with pytest.raises(DeblurError, match=r"too small for a kernel of this size: .* a smaller kernel"):
        classical.edge_based(pair.blurry[..., 60:100, 60:100], 39)


@pytest.mark.parametrize("method", METHODS, ids=NAMES)
def test_noise_and_saturation_are_warned_of(method, pair):
    y = pair.blurry[..., 60:140, 60:140]
    with pytest.warns(UserWarning, match=r"noisy \(standard deviation about 0.0[45]"):
        method(blur.add_gaussian(y, 0.05, torch.Generator().manual_seed(0)), 9)
    bright = y.clone()
    bright[..., :20, :20] = 1
    with pytest.warns(UserWarning, match="saturated"):
        method(bright, 9)


def test_the_last_step_is_the_sparse_one(pair):
    """So that another non-blind solver, or another weight, can take k and start from there."""
    y = pair.blurry[..., 60:140, 60:140]
    x, k = classical.edge_based(y, 9, final_weight=1e-3)
    assert torch.equal(x, nonblind.sparse_irls(y, k, 1e-3))
