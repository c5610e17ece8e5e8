"""NIQE against a second implementation: block by block, with grid search, from the paper and its authors' choices."""

import numpy as np
import pytest
import torch
from scipy import ndimage, special
from skimage import data

from deblur_core import metrics
from deblur_core.data import registry
from deblur_core.errors import UsageError
from deblur_core.metrics import backbones, perceptual

CAMERA = data.camera()
SHAPES = np.arange(200, 10001) / 1000


@pytest.fixture
def made_up(tmp_path, monkeypatch):
    generator = np.random.default_rng(0)
    root = generator.standard_normal((36, 36))
    model = {"mu_pris_param": generator.random((1, 36)), "cov_pris_param": root @ root.T / 36 + 0.1 * np.eye(36)}
    (tmp_path / "weights").mkdir()
    np.savez(tmp_path / backbones.NIQE, **model)
    monkeypatch.setenv("DEBLUR_DATA", str(tmp_path))
    monkeypatch.setattr(registry, "is_intact", lambda path, local: True)
    perceptual._pristine_model.cache_clear()
    yield model
    perceptual._pristine_model.cache_clear()


@pytest.fixture
def real():
    if not metrics.available("NIQE")[0]:
        pytest.skip(f"needs {backbones.NIQE} in the folder DEBLUR_DATA")
    perceptual._pristine_model.cache_clear()
    return dict(np.load(registry.fetch(backbones.NIQE)))


@pytest.fixture(params=["made_up", "real"])
def model(request):
    return request.getfixturevalue(request.param)


def fit(values):
    """Lasmar, Stitou and Berthoumieu 2009: the moments of an asymmetric generalised Gaussian, by grid search."""
    if not values.any():  # flat: the release finds the first shape, and no scales
        return SHAPES[0], np.nan, np.nan
    left, right = np.sqrt(np.mean(values[values < 0] ** 2)), np.sqrt(np.mean(values[values > 0] ** 2))
    ratio = left / right
    moments = np.mean(abs(values)) ** 2 / np.mean(values**2) * (ratio**3 + 1) * (ratio + 1) / (ratio**2 + 1) ** 2
    table = special.gamma(2 / SHAPES) ** 2 / (special.gamma(1 / SHAPES) * special.gamma(3 / SHAPES))
    shape = SHAPES[np.argmin((table - moments) ** 2)]
    scale = np.sqrt(special.gamma(1 / shape) / special.gamma(3 / shape))
    return shape, left * scale, right * scale


def imresize_half(picture):
    """MATLAB's imresize: the cubic of Keys 1981 stretched twofold, rows of weights that sum to 1, mirrored border."""

    def cubic(x):
        x = abs(x)
        return (1.5 * x**3 - 2.5 * x**2 + 1) * (x <= 1) + (-0.5 * x**3 + 2.5 * x**2 - 4 * x + 2) * ((x > 1) & (x <= 2))

    def weights(length):
        matrix = np.zeros((length // 2, length))
        for row in range(length // 2):
            for column in range(-4, length + 4):
                weight = cubic((column - (2 * row + 0.5)) / 2) / 2
                source = -1 - column if column < 0 else 2 * length - 1 - column if column >= length else column
                matrix[row, source] += weight
        return matrix

    return weights(picture.shape[0]) @ picture @ weights(picture.shape[1]).T


def niqe_block_by_block(luma, model):
    offsets = np.arange(-3, 4)
    window = np.exp(-(offsets[:, None] ** 2 + offsets**2) / (2 * (7 / 6) ** 2))
    window /= window.sum()
    rows, columns = luma.shape[0] // 96, luma.shape[1] // 96
    luma = luma[: 96 * rows, : 96 * columns].astype(float)
    scales = []
    for side in (96, 48):
        mean = ndimage.correlate(luma, window, mode="nearest")
        spread = np.sqrt(abs(ndimage.correlate(luma**2, window, mode="nearest") - mean**2))
        normalized = np.round(luma - mean, 9) / (spread + 1)  # flat areas and ramps are 0, not a rounding error
        blocks = []
        for row in range(rows):
            for column in range(columns):
                block = normalized[side * row : side * (row + 1), side * column : side * (column + 1)]
                shape, left, right = fit(block)
                values = [shape, (left + right) / 2]
                for shift in (0, 1), (1, 0), (1, 1), (1, -1):
                    shape, left, right = fit(block * np.roll(block, shift, axis=(0, 1)))
                    mean_product = (right - left) * special.gamma(2 / shape) / special.gamma(1 / shape)
                    values += [shape, mean_product, left, right]
                blocks.append(values)
        scales.append(blocks)
        luma = imresize_half(luma)
    features = np.concatenate(scales, axis=1)
    difference = model["mu_pris_param"].ravel() - np.nanmean(features, axis=0)
    textured = features[~np.isnan(features).any(axis=1)]
    covariance = (model["cov_pris_param"] + np.cov(textured, rowvar=False)) / 2
    return np.sqrt(difference @ np.linalg.pinv(covariance) @ difference)


def picture(array):
    return torch.from_numpy(array / 255.0)[None, None]


def test_niqe_is_a_second_implementation(model):
    crops = [CAMERA[100:310, 90:400], CAMERA[290:500, 190:500]]
    scores = metrics.niqe(torch.cat([picture(crop) for crop in crops]))
    assert scores.shape == (2,) and scores.dtype == torch.float64
    assert scores.tolist() == pytest.approx([niqe_block_by_block(crop, model) for crop in crops], rel=1e-9)


def test_niqe_grows_with_blur_and_noise(real):
    crop = CAMERA[:384, :384].astype(float)
    grain = np.random.default_rng(0).standard_normal(crop.shape)
    blurs = [metrics.niqe(picture(ndimage.gaussian_filter(crop, sigma))).item() for sigma in (0, 1, 2, 4)]
    noises = [metrics.niqe(picture(crop + sigma * grain)).item() for sigma in (0, 10, 25, 60)]
    assert (np.diff(blurs) > 0).all() and (np.diff(noises) > 0).all()


def test_niqe_sees_colour_as_luma_and_drops_what_is_not_a_whole_block(made_up):
    crop = picture(CAMERA[100:310, 90:400])
    expected = metrics.niqe(crop)
    assert torch.equal(metrics.niqe(crop.expand(-1, 3, -1, -1)), expected)
    assert torch.equal(metrics.niqe(crop[..., :192, :288]), expected)
    assert torch.equal(metrics.niqe(crop.float()), expected)
    assert torch.equal(metrics.niqe(crop + 0.4 / 255), expected), "rounded to 8 bit"


def test_niqe_does_not_see_a_change_of_brightness(made_up):
    dark = picture(CAMERA[100:310, 90:400] // 2)
    assert metrics.niqe(dark + 40 / 255).item() == pytest.approx(metrics.niqe(dark).item(), rel=1e-6)


def test_a_flat_block_counts_little_and_flat_pictures_not_at_all(made_up):
    levels = CAMERA[100:292, 90:378].copy()
    levels[:120, :120] = 255
    assert metrics.niqe(picture(levels)).item() == pytest.approx(niqe_block_by_block(levels, made_up), rel=1e-9)
    with pytest.raises(UsageError, match="two blocks that are not flat"):
        metrics.niqe(torch.full((1, 3, 192, 192), 0.3))


def test_a_small_picture_is_one_sentence():
    with pytest.raises(UsageError, match="two blocks of 96 x 96 pixels or more, not 96 x 191"):
        metrics.niqe(torch.zeros(1, 1, 96, 191))
