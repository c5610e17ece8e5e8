"""The aligned metric against a plain loop over the shifts, and what must hold for every picture."""

import os
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from scipy import ndimage
from skimage import data

from deblur_core.errors import UsageError
from deblur_core.metrics import Aligned, aligned, error_ratio, wang_ssim

CAMERA = data.camera() / 255.0
LEVIN = Path(os.environ.get("DEBLUR_DATA", "")) / "levin2009"


def blurred(picture, seed=0):
    rng = np.random.default_rng(seed)
    kernel = ndimage.gaussian_filter(rng.random((7, 7)) ** 6, 0.5)
    return ndimage.convolve(picture, kernel / kernel.sum()) + 0.01 * rng.standard_normal(picture.shape)


def brute_force(estimate, sharp, max_shift, border):
    """The MATLAB protocol as it stands: interpolate the crop at every shift, keep the one of least SSD."""
    inner = slice(border, -border or None)
    rows, columns = (axis[inner, inner].astype(float) for axis in np.indices(sharp.shape))
    sharp = sharp[inner, inner]
    shifts = np.arange(-max_shift, max_shift + 0.25, 0.25)
    least = np.inf
    for dy, dx in product(shifts, shifts):
        crop = ndimage.map_coordinates(estimate, (rows + dy, columns + dx), order=1, cval=np.nan)
        ssd = np.sum((crop - sharp) ** 2)
        if ssd < least:
            least, best, shift = ssd, crop, (dy, dx)
    mse = np.mean((255 * best - 255 * sharp) ** 2)
    return 10 * np.log10(255**2 / mse), wang_ssim(best, sharp), shift, least


@pytest.mark.parametrize(
    ("max_shift", "border", "shape"),
    [
        (0, 0, (17, 12)),
        (1, 1, (16, 19)),
        (2, 5, (40, 31)),
        (3, 4, (37, 53)),
        (5, 15, (61, 64)),
    ],
)
def test_equals_brute_force(max_shift, border, shape):
    for seed in range(4):
        rng = np.random.default_rng(seed)
        moved = blurred(CAMERA, seed)
        y, x = 200 + rng.integers(-max_shift, max_shift + 1, 2)
        estimate = moved[y : y + shape[0], x : x + shape[1]]
        sharp = CAMERA[200 : 200 + shape[0], 200 : 200 + shape[1]]
        if seed == 3:  # two pictures that have nothing in common
            estimate, sharp = rng.random((2, *shape))
        psnr, ssim, shift, ssd = brute_force(estimate, sharp, max_shift, border)
        fast = aligned(estimate, sharp, max_shift, border)
        assert fast.psnr == pytest.approx(psnr, abs=1e-6)
        assert fast.ssim == pytest.approx(ssim, abs=1e-9)
        assert fast.ssd == pytest.approx(ssd, rel=1e-9)
        assert fast.shift == shift


def test_equals_brute_force_at_the_benchmark_size():
    estimate, sharp = blurred(CAMERA)[102:357, 99:354], CAMERA[100:355, 100:355]
    psnr, ssim, shift, _ = brute_force(estimate, sharp, 5, 15)
    fast = aligned(estimate, sharp)
    assert fast.psnr == pytest.approx(psnr, abs=1e-6)
    assert fast.ssim == pytest.approx(ssim, abs=1e-9)
    assert fast.shift == shift


@pytest.mark.parametrize("shift", [(1.25, 0), (-1.25, 2.5), (0.75, -3), (5, -5), (-4.75, 4.75), (0, 0)])
def test_recovers_a_shift(shift):
    rows, columns = np.indices((80, 90)) + 100.0
    estimate = CAMERA[100:180, 100:190]
    sharp = ndimage.map_coordinates(CAMERA, (rows + shift[0], columns + shift[1]), order=1)
    result = aligned(estimate, sharp)
    assert result.shift == shift
    assert result.psnr > 250
    assert result.ssim == pytest.approx(1)
    np.testing.assert_allclose(result.estimate, result.sharp, atol=1e-12)


def test_a_shift_beyond_the_range_is_not_forgiven():
    assert aligned(CAMERA[106:186, 100:180], CAMERA[100:180, 100:180], max_shift=5).psnr < 30
    assert aligned(CAMERA[106:186, 100:180], CAMERA[100:180, 100:180], max_shift=6).psnr == np.inf


def test_identical_pictures_are_perfect():
    result = aligned(CAMERA, CAMERA)
    assert (result.psnr, result.ssim, result.shift, result.ssd) == (np.inf, 1, (0, 0), 0)
    faint = 0.9 + 1e-6 * CAMERA
    assert aligned(faint, faint).shift == (0, 0)


def test_a_wider_range_never_costs_psnr():
    estimate, sharp = blurred(CAMERA)[103:203, 99:199], CAMERA[100:200, 100:200]
    scores = [aligned(estimate, sharp, max_shift).psnr for max_shift in range(0, 16, 3)]
    assert scores == sorted(scores)
    assert scores[0] < scores[-1]


@pytest.mark.parametrize(
    ("turn", "shift"),
    [
        (lambda a: a.T, lambda dy, dx: (dx, dy)),
        (lambda a: a[::-1], lambda dy, dx: (-dy, dx)),
        (lambda a: a[:, ::-1], lambda dy, dx: (dy, -dx)),
    ],
)
def test_turns_with_the_pictures(turn, shift):
    estimate, sharp = blurred(CAMERA)[102:202, 99:189], CAMERA[100:200, 100:190]
    straight, turned = aligned(estimate, sharp), aligned(turn(estimate), turn(sharp))
    assert turned.psnr == pytest.approx(straight.psnr, abs=1e-9)
    assert turned.ssim == pytest.approx(straight.ssim, abs=1e-9)
    assert turned.shift == shift(*straight.shift)


@pytest.mark.parametrize("side", [53, 60, 77, 119, 255])
def test_the_first_of_equal_shifts_wins(side):
    """Equal but for rounding, which differs from side to side; a difference of a millionth is one."""
    stripes = np.tile(CAMERA[100, 100 : 100 + side], (side, 1))
    assert aligned(np.roll(stripes, 3, axis=1), stripes).shift == (-5, 3)
    assert aligned(np.zeros((side, side)), stripes).shift == (-5, -5)
    grain = stripes + 1e-6 * np.random.default_rng(0).standard_normal(stripes.shape)
    assert aligned(np.roll(grain, (2, 3), axis=(0, 1)), grain).shift == (2, 3)


def test_peak_is_255_even_for_a_black_estimate():
    grey = np.full((64, 64), 0.5)
    assert aligned(np.zeros((64, 64)), grey).psnr == pytest.approx(20 * np.log10(2))


def test_estimate_is_neither_clipped_nor_rounded():
    assert aligned(CAMERA + 0.3, CAMERA).psnr == pytest.approx(-20 * np.log10(0.3))
    assert aligned(CAMERA + 1e-4, CAMERA).psnr == pytest.approx(80)


def test_border_is_not_looked_at():
    spoiled = CAMERA.copy()
    spoiled[:10] = spoiled[-10:] = spoiled[:, :10] = spoiled[:, -10:] = 0
    assert aligned(spoiled, CAMERA, max_shift=5, border=15).psnr == np.inf
    assert aligned(spoiled, CAMERA, max_shift=5, border=14).psnr == np.inf  # the best shift looks no further
    assert aligned(spoiled, CAMERA, max_shift=5, border=9).psnr < 60
    assert aligned(CAMERA, CAMERA).sharp.shape == (512 - 30, 512 - 30)


def test_downsampling_changes_ssim_of_large_pictures_only():
    for side, same in ((255, True), (512, False)):
        sharp, estimate = CAMERA[:side, :side], blurred(CAMERA)[:side, :side]
        plain, reduced = aligned(estimate, sharp), aligned(estimate, sharp, downsample=True)
        assert plain.psnr == reduced.psnr
        assert (plain.ssim == reduced.ssim) is same


def test_takes_tensors_of_any_float_type():
    pictures = blurred(CAMERA)[100:200, 100:200], CAMERA[100:200, 100:200]
    exact = aligned(*pictures)
    estimate, sharp = (torch.tensor(picture)[None, None] for picture in pictures)
    assert aligned(estimate.requires_grad_(), sharp).psnr == exact.psnr
    assert aligned(estimate.float(), sharp.float()).psnr == pytest.approx(exact.psnr, abs=1e-4)
    assert aligned(estimate.bfloat16(), sharp.bfloat16()).psnr == pytest.approx(exact.psnr, abs=0.1)


@pytest.mark.parametrize(
    ("estimate", "sharp", "settings", "message"),
    [
        (CAMERA, CAMERA, {"max_shift": 16}, "border of 15 px"),
        (CAMERA, CAMERA, {"max_shift": -1}, "border of 15 px"),
        (CAMERA[:40, :60], CAMERA[:40, :60], {}, "at least 41 x 41"),
        (CAMERA[:100, :100], CAMERA[:100, :101], {}, "one shape"),
        (np.zeros((3, 64, 64)), np.zeros((3, 64, 64)), {}, "grey"),
        (data.camera(), data.camera(), {}, "divide 8-bit values by 255"),
        (CAMERA * np.nan, CAMERA, {}, "NaN"),
    ],
)
def test_refuses_with_one_sentence(estimate, sharp, settings, message):
    with pytest.raises(UsageError, match=message):
        aligned(estimate, sharp, **settings)


def with_difference(difference):
    return Aligned(
        psnr=0,
        ssim=0,
        shift=(0, 0),
        ssd=np.sum(difference**2),
        estimate=CAMERA[:20, :20] + difference,
        sharp=CAMERA[:20, :20],
    )


def test_error_ratio_of_a_doubled_difference():
    known = np.random.default_rng(0).standard_normal((20, 20))
    known, doubled = with_difference(known), with_difference(2 * known)
    assert error_ratio(known, known) == error_ratio(known, known, "norm") == 1
    assert error_ratio(doubled, known) == pytest.approx(4)
    assert error_ratio(doubled, known, "norm") == pytest.approx(2)


def test_norm_ratio_is_that_of_the_largest_singular_values():
    spread = with_difference(np.eye(20))
    concentrated = with_difference(np.full((20, 20), 1 / np.sqrt(20)))  # the same sum of squares
    assert error_ratio(concentrated, spread) == pytest.approx(1)
    assert error_ratio(concentrated, spread, "norm") == pytest.approx(np.sqrt(20))


def test_error_ratio_over_no_error_is_infinite():
    some, none = with_difference(np.eye(20)), with_difference(np.zeros((20, 20)))
    assert error_ratio(some, none) == error_ratio(some, none, "norm") == np.inf
    assert error_ratio(none, none) == error_ratio(none, none, "norm") == 1
    with pytest.raises(UsageError, match='"frobenius"'):
        error_ratio(some, none, "frobenius")


@pytest.mark.skipif(not LEVIN.is_dir(), reason="needs levin2009/ in the folder DEBLUR_DATA")
def test_scores_of_doing_nothing_on_levin():
    def read(name):
        return np.asarray(Image.open(LEVIN / name), dtype=np.float64) / 255

    results = [
        aligned(read(f"im{image}_kernel{kernel}_img.png"), read(f"gt/im{image}.png"))
        for kernel in range(1, 9)
        for image in range(1, 5)
    ]
    psnr = np.array([result.psnr for result in results])
    assert psnr.mean() == pytest.approx(23.25, abs=0.005)
    assert np.mean([result.ssim for result in results]) == pytest.approx(0.6989, abs=0.00005)
    by_kernel = [24.11, 22.89, 26.48, 19.96, 27.05, 23.79, 21.23, 20.46]
    np.testing.assert_allclose(psnr.reshape(8, 4).mean(axis=1), by_kernel, atol=0.0051)
