"""PSNR and SSIM against known answers, scikit-image itself, and an SSIM written out window by window."""

import numpy as np
import pytest
import skimage.metrics
import torch
from skimage import data

from deblur_core.errors import UsageError
from deblur_core.metrics import psnr, ssim, wang_ssim

CAMERA = data.camera() / 255.0
COLOUR = np.moveaxis(data.astronaut()[:96, :80] / 255.0, -1, 0)
VARIANTS = [ssim, wang_ssim]


def noisy(picture, width=0.1):
    return picture + width * np.random.default_rng(0).standard_normal(picture.shape)


def ssim_by_windows(a, b):
    """Wang et al. 2004, equations 13-16, one window after the other, on the range [0, 255]."""
    a, b = 255 * a, 255 * b
    offsets = np.arange(11) - 5
    weight = np.exp(-(offsets[:, None] ** 2 + offsets**2) / (2 * 1.5**2))
    weight /= weight.sum()
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    scores = []
    for y in range(a.shape[0] - 10):
        for x in range(a.shape[1] - 10):
            p, q = a[y : y + 11, x : x + 11], b[y : y + 11, x : x + 11]
            mean_p, mean_q = (weight * p).sum(), (weight * q).sum()
            variance_p, variance_q = (weight * (p - mean_p) ** 2).sum(), (weight * (q - mean_q) ** 2).sum()
            covariance = (weight * (p - mean_p) * (q - mean_q)).sum()
            scores.append(
                (2 * mean_p * mean_q + c1)
                * (2 * covariance + c2)
                / ((mean_p**2 + mean_q**2 + c1) * (variance_p + variance_q + c2))
            )
    return np.mean(scores)


def matlab_reduce(a, factor):
    """imfilter(a, ones(f) / f^2, 'symmetric'), then a(1:f:end, 1:f:end)."""
    back = (factor - 1) // 2  # from a pixel to the start of its window, centred at floor((f + 1) / 2)
    padded = np.pad(a, factor, mode="symmetric")
    rows, columns = (range(0, length, factor) for length in a.shape)
    corner = factor - back
    return np.array(
        [
            [padded[y + corner : y + corner + factor, x + corner : x + corner + factor].mean() for x in columns]
            for y in rows
        ]
    )


def test_psnr_of_a_constant_difference():
    assert psnr(CAMERA + 0.1, CAMERA) == pytest.approx(20)
    assert psnr(CAMERA + 10, CAMERA) == pytest.approx(-20)
    assert psnr(CAMERA, CAMERA) == np.inf


def test_psnr_is_that_of_scikit_image():
    expected = skimage.metrics.peak_signal_noise_ratio(COLOUR, noisy(COLOUR), data_range=1)
    assert psnr(noisy(COLOUR), COLOUR) == expected


def test_ssim_is_that_of_scikit_image():
    def oracle(a, b):
        return skimage.metrics.structural_similarity(a, b, data_range=1, channel_axis=-1)

    assert ssim(noisy(COLOUR), COLOUR) == pytest.approx(
        oracle(np.moveaxis(noisy(COLOUR), 0, -1), np.moveaxis(COLOUR, 0, -1))
    )
    assert ssim(noisy(COLOUR), COLOUR) != pytest.approx(wang_ssim(noisy(COLOUR), COLOUR), abs=1e-3)


@pytest.mark.parametrize("shape", [(11, 11), (40, 29)])
def test_wang_ssim_window_by_window(shape):
    sharp = CAMERA[100 : 100 + shape[0], 90 : 90 + shape[1]]
    for estimate in (noisy(sharp), 1 - sharp, np.random.default_rng(1).random(shape)):
        assert wang_ssim(estimate, sharp) == pytest.approx(ssim_by_windows(estimate, sharp), abs=1e-10)


@pytest.mark.parametrize(
    ("shape", "factor"),
    [
        ((383, 500), 1),
        ((384, 500), 2),
        ((639, 641), 2),
        ((640, 653), 3),
        ((896, 897), 4),
    ],
)
def test_downsampling_is_matlabs(shape, factor):
    sharp = np.pad(CAMERA, ((0, 512), (0, 512)), mode="reflect")[: shape[0], : shape[1]]
    estimate = noisy(sharp)
    expected = wang_ssim(matlab_reduce(estimate, factor), matlab_reduce(sharp, factor))
    assert wang_ssim(estimate, sharp, downsample=True) == pytest.approx(expected, abs=1e-10)


@pytest.mark.parametrize("variant", VARIANTS)
def test_ssim_is_a_similarity(variant):
    estimate = noisy(CAMERA)
    assert variant(CAMERA, CAMERA) == 1
    assert variant(estimate, CAMERA) == pytest.approx(variant(CAMERA, estimate))
    assert variant(estimate.T, CAMERA.T) == pytest.approx(variant(estimate, CAMERA))
    assert 1 > variant(noisy(CAMERA, 0.05), CAMERA) > variant(estimate, CAMERA) > variant(1 - CAMERA, CAMERA)
    assert variant(1 - CAMERA, CAMERA) < 0


@pytest.mark.parametrize("score", [psnr, *VARIANTS])
def test_channels_dimensions_and_types(score):
    estimate, sharp = noisy(CAMERA[:50, :40]), CAMERA[:50, :40]
    expected = score(estimate, sharp)
    assert score(estimate[None], sharp[None, None]) == expected
    assert score(torch.tensor(estimate)[None, None], sharp) == expected
    assert score(np.float32(estimate), torch.tensor(sharp).float()) == pytest.approx(expected, abs=1e-4)
    assert score(np.stack([estimate] * 3), np.stack([sharp] * 3)) == pytest.approx(expected)


@pytest.mark.parametrize("score", [psnr, *VARIANTS])
@pytest.mark.parametrize(
    ("estimate", "sharp", "message"),
    [
        (CAMERA, CAMERA[:-1], r"\(1, 512, 512\) and \(1, 511, 512\)"),
        (CAMERA[None, None].repeat(2, 0), CAMERA[None, None].repeat(2, 0), r"\(2, 1, 512, 512\)"),
        (CAMERA[0], CAMERA[0], "one shape"),
        (CAMERA[:0], CAMERA[:0], "not 0 x 512"),
        (data.camera(), data.camera(), "uint8"),
        (CAMERA, CAMERA + np.inf, "infinity"),
    ],
)
def test_refuses_with_one_sentence(score, estimate, sharp, message):
    with pytest.raises(UsageError, match=message):
        score(estimate, sharp)


@pytest.mark.parametrize(("variant", "side"), [(ssim, 7), (wang_ssim, 11)])
def test_ssim_needs_one_window(variant, side):
    assert -1 <= variant(CAMERA[:side, :side], CAMERA[-side:, -side:]) <= 1
    with pytest.raises(UsageError, match=f"at least {side} x {side}"):
        variant(CAMERA[: side - 1, :side], CAMERA[: side - 1, :side])
