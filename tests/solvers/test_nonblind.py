"""Deconvolution with a known kernel: each step against brute force or dense algebra, then whole pictures."""

import itertools
import math
import os
import threading
import warnings

import numpy as np
import pytest
import torch
from scipy.linalg import circulant
from scipy.optimize import minimize_scalar

from deblur_core import blur, data, metrics
from deblur_core.errors import UsageError
from deblur_core.solvers import nonblind

SOLVERS = [nonblind.hyper_laplacian, nonblind.sparse_irls, nonblind.wiener, nonblind.richardson_lucy]
needs_data = pytest.mark.skipif(not os.environ.get("DEBLUR_DATA"), reason="real data: set DEBLUR_DATA")


def random(*shape, seed=0):
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def smooth(*shape, seed=0):
    """A random picture between 0.3 and 0.7, so that no solver has to clip it."""
    x = blur.convolve(random(1, 1, shape[0] + 4, shape[1] + 4, seed=seed), blur.psf.gaussian(5, 1.0).double())
    return 0.3 + 0.4 * (x - x.min()) / (x.max() - x.min())


def matrix(operator, shape):
    """The matrix of a linear operator on pictures (1, 1, *shape)."""
    basis = torch.eye(math.prod(shape), dtype=torch.float64).reshape(-1, 1, 1, *shape)
    return np.stack([operator(e).flatten().numpy() for e in basis], axis=1)


# --- the steps -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("alpha", [0.5, 2 / 3, 0.8, 1])
@pytest.mark.parametrize("beta", [1, 8, 181])
def test_shrinking_finds_the_minimum(alpha, beta):
    v = torch.linspace(-2, 2, 81, dtype=torch.float64)
    found = nonblind.shrink(v, beta, alpha)

    def energy(w, target):
        return abs(w) ** alpha + beta / 2 * (w - target) ** 2

    for target, w in zip(v.tolist(), found.tolist(), strict=True):
        grid = np.linspace(0, target, 2001)
        best = int(np.argmin(energy(grid, target)))
        around = sorted((grid[max(best - 1, 0)], grid[min(best + 1, 2000)]))
        refined = minimize_scalar(energy, args=(target,), bounds=around, method="bounded", options={"xatol": 1e-11}).x
        brute = min((0.0, refined), key=lambda candidate, target=target: energy(candidate, target))
        assert energy(w, target) <= energy(brute, target) + 1e-12
        assert w == pytest.approx(brute, abs=1e-6)


def test_hyper_laplacian_does_what_dense_algebra_does():
    """The whole splitting, on the periodic picture, with matrices in place of spectra."""
    y, k, weight = smooth(12, 13), blur.normalize(random(1, 3, 5, seed=1)), 1e-3
    padded, top, left = nonblind.periodic(y, k)
    h, w = padded.shape[-2:]

    def periodic_blur(x):
        rolled = [k[0, i, j] * x.roll((i - 1, j - 2), (-2, -1)) for i in range(3) for j in range(5)]
        return sum(rolled)

    blurring = matrix(periodic_blur, (h, w))
    along_y = np.kron(circulant([-1] + [0] * (h - 2) + [1]), np.eye(w))
    along_x = np.kron(np.eye(h), circulant([-1] + [0] * (w - 2) + [1]))
    differences = np.concatenate([along_y, along_x])
    target = padded.flatten().numpy()
    x, beta = target, 1.0
    while beta < 256:
        auxiliary = nonblind.shrink(torch.from_numpy(differences @ x), beta, 2 / 3).numpy()
        left_side = blurring.T @ blurring + weight * beta * differences.T @ differences
        x = np.linalg.solve(left_side, blurring.T @ target + weight * beta * differences.T @ auxiliary)
        beta *= 2 * np.sqrt(2)
    expected = x.reshape(h, w)[top : top + 12, left : left + 13]
    np.testing.assert_allclose(nonblind.hyper_laplacian(y, k, weight)[0, 0], expected, atol=1e-8)


@pytest.mark.parametrize("passes", [0, 1])
@pytest.mark.parametrize("kernel_shape", [(3, 5), (4, 2)])
def test_every_pass_of_sparse_deconvolution_solves_its_normal_equations(kernel_shape, passes):
    """Some of the pixels, as saturated ones, are not observed. A pass weighs differences by what they were before."""
    x_true, k, weight = smooth(13, 15), blur.normalize(random(1, *kernel_shape, seed=1)), 1e-2
    y = blur.convolve(x_true, k)
    observed = random(*y.shape, seed=2) > 0.1
    odd = torch.nn.functional.pad(k, (0, 1 - k.shape[2] % 2, 0, 1 - k.shape[1] % 2))
    frame = tuple(a + b - 1 for a, b in zip(y.shape[-2:], odd.shape[-2:], strict=True))
    blurring = matrix(lambda x: blur.convolve(x, odd), frame) * observed.flatten().numpy()[:, None]
    priors = []
    for factor, *axes in ((1, -2), (1, -1), (0.25, -2, -2), (0.25, -1, -1), (0.25, -2, -1)):

        def difference(x, axes=axes):
            for axis in axes:
                x = x.diff(dim=axis)
            return x

        priors.append((factor, matrix(difference, frame)))
    reweighted = [np.ones(len(d)) for _, d in priors]
    for _ in range(passes + 1):
        prior = sum(factor * (d.T * w) @ d for (factor, d), w in zip(priors, reweighted, strict=True))
        solution = np.linalg.solve(blurring.T @ blurring + weight * prior, blurring.T @ y.flatten().numpy())
        reweighted = [np.maximum(np.abs(d @ solution), 0.01) ** (0.8 - 2) for _, d in priors]
    expected = solution.reshape(frame)
    rows, columns = (slice(n - 1 - n // 2, n - 1 - n // 2 + m) for n, m in zip(odd.shape[1:], y.shape[2:], strict=True))
    settings = {"passes": passes, "iterations": 2000, "tolerance": 1e-13, "observed": observed}
    np.testing.assert_allclose(nonblind.sparse_irls(y, k, weight, **settings)[0, 0], expected[rows, columns], atol=1e-9)


def test_reweighting_lowers_the_sparse_energy():
    pair = data.crop(data.load("builtin", "im1_kernel5"), 64)
    weight = 1e-3

    def energy(passes):
        """On the frame of y alone, with the boundary that `blur.pad_for_same` gives: near enough to compare."""
        x = nonblind.sparse_irls(pair.blurry, pair.kernel, weight, passes=passes)
        misfit = blur.convolve(x, pair.kernel) - pair.blurry[..., 6:-6, 6:-6]
        factors = (1, 1, 0.25, 0.25, 0.25)
        prior = sum(
            c * d.abs().clamp_min(0.01).pow(0.8).sum() for c, d in zip(factors, nonblind.differences_of(x), strict=True)
        )
        return float(misfit.square().sum() + weight * prior)

    assert energy(2) < energy(1) < energy(0)


def test_transposes_are_transposes():
    x, k = random(1, 1, 11, 14), random(1, 3, 4, seed=1)
    parts = nonblind.differences_of(x)
    others = [random(*part.shape, seed=i) for i, part in enumerate(parts)]
    inner = sum((a * b).sum() for a, b in zip(parts, others, strict=True))
    torch.testing.assert_close(inner, (x * nonblind.differences_adjoint(others)).sum(), rtol=1e-12, atol=0)
    forward, adjoint = nonblind.valid_operator(k, x.shape[-2:])
    torch.testing.assert_close(forward(x), blur.convolve(x, k, "direct"), rtol=1e-12, atol=1e-12)
    y = random(*forward(x).shape, seed=2)
    torch.testing.assert_close(adjoint(y), blur.convolve_adjoint(y, k, "direct"), rtol=1e-12, atol=1e-12)


def test_conjugate_gradients_come_nearer_with_every_step_and_end_exactly():
    a = random(12, 12)
    a = a @ a.T + 0.1 * torch.eye(12, dtype=torch.float64)
    truth = random(12, seed=1)
    b = a @ truth

    def error(iterations):
        x = nonblind.conjugate_gradients(lambda v: a @ v, b, torch.zeros_like(b), iterations, 1e-14)
        return float((x - truth) @ a @ (x - truth))

    errors = [error(iterations) for iterations in range(14)]
    assert all(after < before for before, after in itertools.pairwise(errors[:8]))
    assert errors[-1] < 1e-12 * errors[0]


# --- whole pictures --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("solver", "gain"), zip(SOLVERS, (9, 9, 6, 5), strict=True))
def test_a_picture_blurred_by_a_known_kernel_is_restored(solver, gain):
    pair = data.load("builtin", "im1_kernel5")
    before, after = (metrics.aligned(x, pair.sharp) for x in (pair.blurry, solver(pair.blurry, pair.kernel)))
    assert after.psnr > before.psnr + gain
    assert after.ssim > before.ssim


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("kernel_shape", [(9, 7), (6, 8)])
def test_x_lies_in_the_frame_of_y(solver, kernel_shape):
    """An off-centre kernel, odd or even, moves the picture; with the centre (kh // 2, kw // 2) it is moved back."""
    sharp = data.load("builtin", "im1_kernel1").sharp[..., :128, :128]
    k = torch.zeros(1, *kernel_shape)
    k[0, 1, 1], k[0, 2, 2], k[0, 3, 1] = 0.5, 0.3, 0.2
    y = blur.convolve(blur.pad_for_same(sharp, kernel_shape), k)
    assert metrics.aligned(y, sharp).shift != (0, 0)
    assert metrics.aligned(solver(y, k), sharp).shift == (0, 0)


@pytest.mark.parametrize("solver", SOLVERS)
def test_where_nothing_blurred_nothing_changes(solver):
    y = data.load("builtin", "im1_kernel5").sharp[..., :96, :96]
    weight = {} if solver is nonblind.richardson_lucy else {"weight": 1e-5}
    assert (solver(y, blur.psf.delta(7), **weight) - y).abs().max() < 0.01


@pytest.mark.parametrize("solver", SOLVERS)
def test_a_flat_picture_stays_flat(solver):
    y = torch.full((1, 1, 40, 40), 0.4)
    torch.testing.assert_close(solver(y, blur.psf.gaussian(7, 2.0)), y, atol=0.01, rtol=0)


@pytest.mark.parametrize("solver", SOLVERS)
def test_each_channel_is_deconvolved_on_its_own(solver):
    y = torch.cat([data.load("builtin", f"im{i}_kernel5").blurry[..., :64, :64] for i in (1, 2, 3)], dim=1)
    k = blur.psf.gaussian(7, 1.2)
    weight = {} if solver is nonblind.richardson_lucy else {"weight": 1e-3}
    together = solver(y, k, **weight)
    alone = torch.cat([solver(channel, k, **weight) for channel in y.split(1, dim=1)], dim=1)
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=0)


@pytest.mark.parametrize("solver", SOLVERS[:3])
@pytest.mark.parametrize("sigma", [0.01, 0.05])
def test_the_default_weight_withstands_noise(solver, sigma):
    pair = data.load("builtin", "im1_kernel2")
    y = blur.add_gaussian(pair.blurry, sigma, torch.Generator().manual_seed(0))
    scores = [
        metrics.aligned(x, pair.sharp).psnr
        for x in (solver(y, pair.kernel), y, solver(y, pair.kernel, 1e-5), solver(y, pair.kernel, 10.0))
    ]
    assert scores[0] > max(scores[1:]) + 1


@needs_data
def test_the_known_kernels_of_levin_score_as_published():
    """34.53 dB and 0.9492 on average (Ren et al., CVPR 2020, Table 3)."""
    pairs = [data.load("levin", name) for name in data.names("levin")]
    scores = [metrics.aligned(nonblind.sparse_irls(pair.blurry, pair.kernel), pair.sharp) for pair in pairs]
    assert np.mean([score.psnr for score in scores]) == pytest.approx(34.53, abs=1)
    assert np.mean([score.ssim for score in scores]) == pytest.approx(0.9492, abs=0.01)


# --- bad input -------------------------------------------------------------------------------------------------------

Y, K = torch.full((1, 1, 20, 20), 0.5), blur.psf.delta(5)
NEGATIVE = torch.tensor([[[0.6, -0.2, 0.6]]])


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize(
    ("y", "k", "advice"),
    [
        (Y, 0.9 * K, "sums to 0.9, not to 1: divide it"),
        (Y, NEGATIVE, "negative values .* clip"),
        (Y, K * math.nan, "not finite"),
        (Y * math.nan, K, "not finite"),
        (Y * 255, K, "divide 8-bit levels by 255"),
        ((Y * 255).byte(), K, "divide 8-bit levels by 255"),
        (Y, blur.psf.delta(21), "larger picture or a smaller kernel"),
        (Y[0], K, "one picture"),
        (torch.cat([Y, Y]), K, "one by one"),
        (Y, K[0], "one kernel"),
        (Y, torch.cat([K, K]), "one kernel"),
    ],
)
def test_impossible_input_is_refused_in_one_sentence(solver, y, k, advice):
    with pytest.raises(UsageError, match=advice):
        solver(y, k)


def test_impossible_settings_are_refused():
    for weight in (-1, math.nan, math.inf):  # the last two gave NaN
        with pytest.raises(UsageError, match=f"0 or more, and not {weight}"):
            nonblind.sparse_irls(Y, K, weight)
    with pytest.raises(UsageError, match="At least one iteration"):  # it gave mid-grey
        nonblind.richardson_lucy(Y, K, 0)
    with pytest.raises(UsageError, match="exponent"):
        nonblind.hyper_laplacian(Y, K, alpha=2)
    for solver in (nonblind.hyper_laplacian, nonblind.wiener):  # where the kernel has a zero, 0 / 0
        with pytest.raises(UsageError, match="must be positive"):
            solver(Y, torch.full((1, 2, 2), 0.25), 0.0)


def test_only_one_s_own_warnings_are_silenced_and_only_in_one_s_own_thread():
    bright = torch.ones(1, 1, 4, 4)
    with warnings.catch_warnings(record=True) as said, nonblind.without_warning("saturated"):
        warnings.simplefilter("always")
        with nonblind.without_warning("noisy"):
            nonblind.warn_of_saturation(bright)
            warnings.warn("Somebody's saturated market.", stacklevel=1)
            other = threading.Thread(target=nonblind.warn_of_saturation, args=(bright,))
            other.start()
            other.join()
        nonblind.warn_of_saturation(bright)
    assert [str(warning.message).split()[0] for warning in said] == ["Somebody's", "100%"]


def test_a_saturated_picture_is_warned_of_and_others_are_not():
    y = smooth(40, 40)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        nonblind.wiener(y, K.double())
    y[..., :6, :6] = 1  # 2.25 percent
    with pytest.warns(UserWarning, match="2% of this picture is saturated"):
        nonblind.wiener(y, K.double())
    for level, share in ((253, 0), (254, 100)):
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            nonblind.warn_of_saturation(torch.full((1, 1, 4, 4), level / 255))
        assert [str(warning.message).split()[0] for warning in said] == [f"{share}%"] * bool(share)


def test_noise_is_that_of_the_middle():
    noise = 0.05 * torch.randn(1, 1, 200, 300, generator=torch.Generator().manual_seed(0))
    outside = torch.ones(1, 1, 200, 300)
    outside[..., 36:164, 86:214] = 0
    assert nonblind.noise_level(0.5 + noise * outside) == 0
    assert nonblind.noise_level(0.5 + noise * (1 - outside)) == pytest.approx(0.05, rel=0.1)
