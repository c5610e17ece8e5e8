import math
import os
from pathlib import Path

import numpy as np
import pytest
import skimage.data
import skimage.io
import torch
from scipy.fft import dctn
from scipy.optimize import linprog

from deblur_core import blur
from deblur_core.errors import UsageError


@pytest.fixture(scope="module")
def sharp():
    image = torch.from_numpy(skimage.data.camera()).double() / 255
    return image[None, None, ::2, ::2]


@pytest.fixture(scope="module")
def blurry(sharp):
    return blur.convolve(sharp, blur.psf.camera_shake(15, 1).double())


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def test_gaussian_noise_has_its_moments():
    noise = blur.add_gaussian(torch.full((1, 1, 300, 300), 0.5), 0.1, seeded()) - 0.5
    assert noise.mean().item() == pytest.approx(0, abs=3 * 0.1 / 300)
    assert noise.std().item() == pytest.approx(0.1, rel=0.02)
    assert (noise.abs() > 0.1).float().mean().item() == pytest.approx(math.erfc(1 / 2**0.5), abs=0.01)


def test_noise_belongs_to_its_generator():
    y, add = torch.zeros(1, 3, 5, 5), blur.add_gaussian
    assert torch.equal(add(y, 0.1, seeded(1)), add(y, 0.1, seeded(1)))
    assert not torch.equal(add(y, 0.1, seeded(1)), add(y, 0.1, seeded(2)))
    assert torch.equal(add(y, 0.0, seeded(1)), y)


def test_quantize_8bit():
    y = torch.tensor([-0.2, 0.0, 0.4999, 1.0, 1.3])
    assert torch.equal(blur.quantize_8bit(y) * 255, torch.tensor([0.0, 0.0, 127.0, 255.0, 255.0]))
    y = torch.rand(100_000, generator=seeded())
    assert (blur.quantize_8bit(y) - y).std().item() == pytest.approx(1 / 255 / 12**0.5, rel=0.01)


@pytest.mark.parametrize("sigma", [0.01, 0.05])
def test_sigma_of_a_blurry_image(blurry, sigma):
    noisy = blur.add_gaussian(blurry, sigma, seeded())
    assert blur.estimate_sigma(noisy).item() == pytest.approx(sigma, rel=0.05)


@pytest.mark.parametrize("sigma", [0.05, 0.1])
def test_sigma_of_a_sharp_image(sharp, sigma):
    noisy = blur.add_gaussian(sharp, sigma, seeded())
    assert blur.estimate_sigma(noisy).item() == pytest.approx(sigma, rel=0.1)


def test_faint_noise_on_a_smooth_image(sharp):
    smooth = blur.convolve(sharp, blur.psf.gaussian(15, 2).double())
    noisy = blur.add_gaussian(smooth, 0.001, seeded())
    assert blur.estimate_sigma(noisy).item() == pytest.approx(0.001, rel=0.05)


@pytest.mark.skipif("DEBLUR_DATA" not in os.environ, reason="needs DEBLUR_DATA with levin2009/")
def test_the_images_of_levin_hold_little_more_than_their_rounding():
    for path in sorted((Path(os.environ["DEBLUR_DATA"]) / "levin2009").glob("im*_img.png"))[::5]:
        y = torch.from_numpy(skimage.io.imread(path))[None, None].double() / 255
        assert blur.estimate_sigma(y).item() == pytest.approx(1 / 255 / 12**0.5, rel=0.15)


def test_sigma_of_pure_noise_and_of_nothing():
    noise = blur.add_gaussian(torch.zeros(1, 1, 128, 128), 0.03, seeded())
    assert blur.estimate_sigma(noise).item() == pytest.approx(0.03, rel=0.1)
    assert blur.estimate_sigma(torch.full((1, 1, 32, 32), 0.3)).item() < 1e-9


def sigma_of_channel(y):
    """Window by window, and the line of least absolute deviations as a linear programme."""
    bands = dctn(np.lib.stride_tricks.sliding_window_view(y, (8, 8)), axes=(2, 3), norm="ortho").reshape(-1, 64)[:, 1:]
    centred = bands - bands.mean(0)
    variance = (centred**2).mean(0)
    roots = np.sqrt(np.maximum((centred**4).mean(0) / variance**2 - 3, 0))
    line = np.stack([np.ones(63), variance.min() / variance], axis=1)
    deviations = np.block([[line, -np.eye(63)], [-line, -np.eye(63)]])
    level, slope = linprog(
        [0, 0, *np.ones(63)], deviations, np.concatenate([roots, -roots]), bounds=[(None, None)] * 2 + [(0, None)] * 63
    ).x[:2]
    noise = -slope / level if level > 1e-12 else 1
    return np.sqrt(variance.min() * np.clip(noise, 0, 1))


def test_sigma_is_where_the_line_through_the_bands_vanishes(sharp, blurry):
    crops = [picture[..., 40:72, 50:90] for picture in (blurry, sharp, torch.full_like(sharp, 0.5))]
    y = blur.add_gaussian(torch.cat(crops, 1), 0.02, seeded())
    expected = [sigma_of_channel(channel) for channel in y[0].numpy()]
    assert blur.estimate_sigma(y).item() ** 2 == pytest.approx(np.mean(np.square(expected)), rel=1e-6)
    for channel, sigma in enumerate(expected):
        assert blur.estimate_sigma(y[:, channel, None]).item() == pytest.approx(sigma, rel=1e-6)


def test_each_image_has_its_own_sigma(blurry):
    images = torch.cat([blur.add_gaussian(blurry, sigma, seeded()) for sigma in (0.01, 0.04)])
    estimates = blur.estimate_sigma(images.expand(2, 3, *images.shape[2:]))
    assert estimates.tolist() == pytest.approx([0.01, 0.04], rel=0.05)
    assert blur.estimate_sigma(images.float()).dtype == torch.float32


@pytest.mark.parametrize("function", [blur.estimate_sigma, blur.quantize_8bit, lambda y: blur.add_gaussian(y, 0.1)])
def test_integers_are_refused(function):
    with pytest.raises(UsageError, match=r"floating-point image, and this one is torch\.uint8"):
        function(torch.full((1, 1, 32, 32), 100, dtype=torch.uint8))


@pytest.mark.parametrize("sigma", [-0.1, math.nan])
def test_a_deviation_that_is_none_is_refused(sigma):
    with pytest.raises(UsageError, match="0 or more, and not"):
        blur.add_gaussian(torch.zeros(1, 1, 3, 3), sigma)


def test_sigma_needs_pixels():
    with pytest.raises(UsageError, match="16x16 pixels or more"):
        blur.estimate_sigma(torch.rand(1, 1, 15, 40))
    with pytest.raises(UsageError, match=r"not of \(32, 32\)"):
        blur.estimate_sigma(torch.rand(32, 32))
