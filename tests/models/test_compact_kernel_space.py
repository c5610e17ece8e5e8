"""The compact kernel space: its blur is the convolution it claims to be, and k holds the blur and nothing else."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from deblur_core import blur, metrics
from deblur_core.data import training_pairs
from deblur_core.data.images import middle
from deblur_core.errors import UsageError
from deblur_core.models.compact_kernel_space import CompactKernelSpace, Design, start_from_shakes
from deblur_core.models.kernel_space import kernel_space_loss
from deblur_core.training import seeded

TINY = Design(channels=6, cell=16, extent=7, hidden=8)


def tiny():
    """Its perceptrons have something to say, as after some training."""
    model = seeded(lambda: CompactKernelSpace(TINY), 0).eval()
    generator = torch.Generator().manual_seed(0)
    for weight in model.parameters():
        weight.data += 0.1 * torch.randn(weight.shape, generator=generator)
    return model.requires_grad_(False)


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def uniform(*shape, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def test_any_numbers_decode_to_blur_kernels():
    kernels = tiny().decode(3 * normal(2, 6, 2, 3))
    assert kernels.shape == (2, 2, 3, 7, 7) and kernels.min() >= 0
    torch.testing.assert_close(kernels.sum((-2, -1)), torch.ones(2, 2, 3), rtol=0, atol=1e-3)
    assert kernels[0, 0, 0].sub(kernels[1, 1, 2]).abs().max() > 0.01


@pytest.mark.parametrize(("height", "width"), [(32, 32), (37, 50), (64, 48), (9, 20)])
def test_equal_cells_are_one_convolution(height, width):
    model, x = tiny(), uniform(2, 3, height, width)
    k = normal(2, 6, 1, 1).expand(2, *model.kernel_shape(height, width))
    expected = blur.convolve(blur.pad_for_same(x, 7), model.decode(k)[:, 0, 0])
    torch.testing.assert_close(model.blur(x, k), expected, rtol=0, atol=1e-5)


def test_different_cells_are_interpolated():
    model, x = tiny(), uniform(1, 3, 48, 48)
    k = normal(1, 6, 3, 3)
    expected = torch.zeros_like(x)
    for row in range(3):
        for column in range(3):
            cell = torch.zeros(1, 1, 3, 3)
            cell[0, 0, row, column] = 1
            share = F.interpolate(cell, (48, 48), mode="bilinear", align_corners=False)
            expected += share * blur.convolve(blur.pad_for_same(x, 7), model.decode(k)[:, row, column])
    torch.testing.assert_close(model.blur(x, k), expected, rtol=0, atol=1e-5)


def test_k_does_not_know_how_bright_the_pictures_are_and_each_picture_has_its_own():
    model, x, y = tiny(), uniform(2, 3, 48, 32) / 2, uniform(2, 3, 48, 32, seed=1) / 2
    k = model.encode(x, y).mean
    torch.testing.assert_close(model.encode(x + 0.3, y + 0.3).mean, k, rtol=0, atol=1e-3)
    torch.testing.assert_close(model.encode(x[1:], y[1:]).mean, k[1:], rtol=1e-3, atol=1e-3)


@pytest.fixture(scope="module")
def untrained():
    shakes = training_pairs.kernels(training_pairs.Blur(size=15, kinds=("shake",), count=256), seed=0)
    model = CompactKernelSpace(Design(channels=32, extent=15))
    return start_from_shakes(model, shakes).eval().requires_grad_(False), shakes


def test_one_sharp_picture_is_that_of_all_the_blurry_ones(untrained):
    model, _ = untrained
    random = torch.Generator().manual_seed(3)
    sharp, blurry = torch.rand(1, 3, 70, 90, generator=random), torch.rand(3, 3, 70, 90, generator=random)
    each = torch.cat([model.encode(sharp, picture).mean for picture in blurry.split(1)])
    torch.testing.assert_close(model.encode(sharp, blurry).mean, each, rtol=1e-4, atol=1e-5)
    assert not torch.allclose(each[0], each[1], rtol=1e-2)
    with pytest.raises(UsageError, match="of one size"):
        model.encode(sharp.repeat(2, 1, 1, 1), blurry)


def test_k_of_one_picture_blurs_another_from_the_start(untrained):
    model, shakes = untrained
    first, second = (middle(picture[None].float() / 255, 142)
                     for picture in list(training_pairs.sharp_pictures("held out").values())[:2])  # fmt: skip
    for k in training_pairs.kernels(training_pairs.Blur(size=15, kinds=("shake",), count=3), seed=1).split(1):
        inner = slice(7, -7)
        y = blur.convolve(first, k)
        code = model.encode(first[..., inner, inner], y).mean
        again = model.blur(second[..., inner, inner], code)
        truth = blur.convolve(second, k)
        average = blur.convolve(second, shakes.mean(0, keepdim=True))
        assert metrics.psnr(again, truth) > metrics.psnr(average, truth) + 3


def test_a_cell_without_texture_takes_the_blur_of_the_whole_picture(untrained):
    model, shakes = untrained
    x = uniform(1, 3, 128, 256)
    x[..., 128:] = 0.5
    y = blur.convolve(blur.pad_for_same(x, 15), shakes[:1])
    seen, beside, plain = (model.explain(x, y)[0, :, column] for column in (0, 2, 3))
    assert seen.norm() > 1 and not torch.allclose(seen, beside, atol=0.1)
    usual = model.explain(torch.cat((x, x), 2), torch.cat((y, y), 2))[0, :2, 3]  # twice as high, the same on the whole
    torch.testing.assert_close(plain, usual, rtol=0, atol=0.2)
    assert (plain - seen).norm() < 0.5 * seen.norm()


def test_every_part_learns_and_k_may_come_from_another_picture():
    model = tiny().train().requires_grad_(True)
    batch = uniform(2, 3, 32, 32), uniform(2, 3, 32, 32, seed=1)
    swapped = kernel_space_loss(model, (*batch, torch.tensor([1, 0])), torch.Generator().manual_seed(0))
    own = kernel_space_loss(model, batch, torch.Generator().manual_seed(0))
    again = kernel_space_loss(model, (*batch, torch.tensor([0, 1])), torch.Generator().manual_seed(0))
    assert own == again != swapped
    own.backward()
    assert all(weight.grad.abs().sum() > 0 for weight in model.parameters())


def test_without_vae_head_k_is_what_is_extracted():
    model = seeded(lambda: CompactKernelSpace(replace(TINY, variational=False)), 0)
    x, y = uniform(2, 3, 32, 32), uniform(2, 3, 32, 32, seed=1)
    encoding = model.encode(x, y)
    assert encoding.deviation is None and encoding.mean.shape == (2, *model.kernel_shape(32, 32))
    assert torch.equal(encoding.draw(torch.Generator()), encoding.mean)
    assert kernel_space_loss(model, (y, x), torch.Generator()).isfinite()


def test_what_cannot_be_used_is_refused_in_one_sentence():
    model, x = tiny(), uniform(1, 3, 32, 32)
    with pytest.raises(UsageError, match=r"at least 8 x 8 pixels, half a cell"):
        model.encode(x[..., :7], x[..., :7])
    with pytest.raises(UsageError, match="of one size"):
        model.encode(x, x[..., 1:])
    with pytest.raises(UsageError, match=r"has the shape \(1, 6, 2, 2\)"):
        model.blur(x, normal(1, 6, 2, 3))


@pytest.mark.parametrize("design", [Design(cell=18), Design(cell=15), Design(extent=8)], ids=str)
def test_a_design_that_cannot_be_is_refused(design):
    with pytest.raises(UsageError, match=rf"not {design.cell} and {design.extent}"):
        CompactKernelSpace(design)
