"""Large colour pictures: the kernel comes from a window, the picture from the whole, colour from the blurry one."""

import warnings

import pytest
import torch

from deblur_core import blur, data, metrics
from deblur_core.errors import UsageError
from deblur_core.solvers import large_picture, nonblind
from deblur_core.solvers.large_picture import deblur, luma_of, place


@pytest.fixture(scope="module")
def coffee():
    return data.load("builtin_colour", "coffee_kernel_31")


@pytest.fixture(scope="module")
def deblurred(coffee):
    """x, and the window that the solver saw; the solver knows the kernel."""
    seen = []

    def solve(window):
        seen.append(window)
        return None, coffee.kernel

    x, k = deblur(coffee.blurry, solve, 96, weight=2e-4)
    assert k is coffee.kernel
    return x, *seen


def test_the_solver_sees_one_window_and_the_whole_picture_is_deconvolved(coffee, deblurred):
    x, window = deblurred
    luma = luma_of(coffee.blurry)
    assert window.shape == (1, 1, 96, 96)
    rows, columns = place(luma, 96)
    assert torch.equal(window, luma[..., rows, columns])
    assert x.shape == coffee.blurry.shape
    far_away = (..., slice(0, 96), slice(0, 96))
    before, after = (metrics.psnr(luma_of(image[far_away]), luma_of(coffee.sharp[far_away]))
                     for image in (coffee.blurry, x))  # fmt: skip
    assert after > before + 3


def test_chroma_stays_as_it_was(coffee, deblurred):
    x, _ = deblurred
    unclipped = ((x > 0) & (x < 1)).all(1, keepdim=True).expand(-1, 2, -1, -1)
    change = (data.to_luma_chroma(x)[1] - data.to_luma_chroma(coffee.blurry)[1])[unclipped]
    assert unclipped.float().mean() > 0.8 and change.abs().max() < 1e-5


def test_grey_stays_grey(coffee, deblurred):
    x, _ = deblur(luma_of(coffee.blurry), lambda window: (None, coffee.kernel), 96, weight=2e-4)
    assert x.shape[1] == 1
    colour, _ = deblurred
    inside = ((colour > 0) & (colour < 1)).all(1, keepdim=True)
    assert torch.allclose(luma_of(colour)[inside], x[inside], atol=1e-5)


@pytest.mark.parametrize("side", [None, 350])
def test_a_solver_that_saw_the_whole_picture_has_the_last_word(coffee, side):
    """A picture hardly larger than the window counts as the whole."""
    drawn = torch.rand(1, 1, 400, 600, generator=torch.Generator().manual_seed(0))
    x, _ = deblur(luma_of(coffee.blurry), lambda window: (drawn, coffee.kernel), side)
    assert x is drawn


def test_the_picture_is_deconvolved_on_the_device_asked_for(coffee, monkeypatch):
    devices = []

    def watched(luma, k, weight, observed):
        devices.extend(tensor.device.type for tensor in (luma, k, observed))
        return torch.zeros(luma.shape)

    monkeypatch.setattr(nonblind, "sparse_irls", watched)
    x, k = deblur(coffee.blurry, lambda window: (None, coffee.kernel), 96, device="meta")
    assert devices == ["meta"] * 3 and x.device.type == k.device.type == "cpu"


def test_what_a_solver_drew_in_its_window_alone_is_not_the_answer(coffee):
    x, _ = deblur(luma_of(coffee.blurry), lambda window: (torch.zeros_like(window), coffee.kernel), 96)
    assert x.shape == (1, 1, 400, 600) and x.mean() > 0.1


def test_the_window_has_the_edges():
    picture = torch.full((1, 1, 120, 200), 0.5)
    picture[..., 70:110, 150:190] = torch.rand(40, 40, generator=torch.Generator().manual_seed(0))
    rows, columns = place(picture, 50)
    assert rows.start <= 70 and rows.stop >= 110 and columns.start <= 150 and columns.stop >= 190


@pytest.mark.parametrize(
    ("height", "width", "seen"),
    [(50, 100, (50, 50)), (50, 99, (50, 99)), (49, 300, (49, 300)), (300, 49, (300, 49)), (300, 51, (50, 50))],
)
def test_a_window_is_chosen_among_two_or_more(height, width, seen):
    luma = torch.rand(1, 1, height, width, generator=torch.Generator().manual_seed(0))
    rows, columns = place(luma, 50)
    assert (rows.stop - rows.start, columns.stop - columns.start) == seen


def test_colours_beyond_black_and_white_are_cut_and_the_others_have_the_new_luma():
    y = torch.tensor([0.8, 0.4, 0.3]).reshape(1, 3, 1, 1).expand(1, 3, 4, 5)
    dark, middle, bright = (large_picture.recolour(torch.full((1, 1, 4, 5), luma), y) for luma in (0.1, 0.4, 0.9))
    assert dark.min() == 0 and bright.max() == 1
    torch.testing.assert_close(luma_of(middle), torch.full((1, 1, 4, 5), 0.4), rtol=0, atol=1e-3)
    torch.testing.assert_close(middle[:, 0] - middle[:, 1], y[:, 0] - y[:, 1], rtol=0, atol=1e-3)


def test_pixels_left_out_do_not_matter():
    generator = torch.Generator().manual_seed(0)
    y, k = torch.rand(1, 1, 40, 48, generator=generator), blur.psf.gaussian(5, 1.0)
    observed = torch.rand(1, 1, 40, 48, generator=generator) > 0.1
    other = torch.where(observed, y, torch.rand(1, 1, 40, 48, generator=generator))
    x, same = (nonblind.sparse_irls(values, k, 1e-2, tolerance=1e-6, observed=observed) for values in (y, other))
    assert torch.allclose(x, same, atol=1e-3)
    assert not torch.allclose(nonblind.sparse_irls(y, k, 1e-3), nonblind.sparse_irls(other, k, 1e-3), atol=0.01)
    assert torch.equal(nonblind.sparse_irls(y, k, 1e-3, observed=observed | True), nonblind.sparse_irls(y, k, 1e-3))


def test_lamps_are_left_out():
    night = data.load("builtin_colour", "rocket_kernel_31")
    sharp = luma_of(night.sharp)
    x, _ = deblur(night.blurry, lambda window: (None, night.kernel), None, weight=2e-4)
    naive = nonblind.sparse_irls(luma_of(night.blurry), night.kernel, 2e-4)
    assert metrics.psnr(luma_of(x), sharp) > metrics.psnr(naive, sharp) + 2
    assert 0.01 < large_picture.saturated_share(night.blurry) < 0.05


def half_saturated():
    bright = torch.full((1, 3, 64, 64), 1.0)
    bright[..., :32] = torch.rand(64, 32, generator=torch.Generator().manual_seed(0))
    return bright


@pytest.mark.parametrize("draws", [True, False])
def test_highlights_are_warned_of_once_and_before_the_work(draws):
    """Also where the solver draws the whole picture, so that nothing is deconvolved."""
    said_before = []

    def solve(window):
        said_before.extend(str(warning.message) for warning in said)
        nonblind.warn_of_saturation(window)
        return (window if draws else None), blur.psf.gaussian(5, 1.0)

    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        deblur(half_saturated(), solve, None)
    assert len(said) == len(said_before) == 1 and "50% of this picture is saturated" in said_before[0]


def test_a_window_of_highlights_is_warned_of_in_a_dark_picture():
    dark = torch.full((1, 1, 300, 300), 0.1)
    dark[..., 100:110, 100:110] = 1
    with pytest.warns(UserWarning, match="6% of this picture is saturated"):
        deblur(dark, lambda window: (None, blur.psf.gaussian(5, 1.0)), 40)


@pytest.mark.parametrize("shape", [(1, 2, 40, 40), (2, 3, 40, 40), (3, 40, 40), (1, 4, 40, 40)])
def test_what_is_no_picture_is_named(shape):
    with pytest.raises(UsageError, match="grey or RGB"):
        deblur(torch.rand(shape), lambda window: (None, blur.psf.delta(3)), 16)


def test_a_kernel_that_does_not_sum_to_one_is_refused(coffee):
    with pytest.raises(UsageError, match="sums to 2"):
        deblur(coffee.blurry, lambda window: (None, 2 * coffee.kernel), 96)
