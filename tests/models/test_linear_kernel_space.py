"""A kernel space made by hand: it is convolution where blur is uniform, and extraction inverts it."""

import numpy as np
import pytest
import torch

from deblur_core import blur
from deblur_core.errors import UsageError
from deblur_core.models.counting import peak_memory
from deblur_core.models.linear_kernel_space import LinearKernelSpace


@pytest.fixture(scope="module")
def kernels():
    return torch.cat([blur.psf.camera_shake(9, seed) for seed in range(60)])


@pytest.fixture(scope="module")
def space(kernels):
    return LinearKernelSpace(kernels, components=59, cell=32)  # all of them: every kernel of the collection is in it


@pytest.fixture(scope="module")
def x():
    return torch.rand(1, 3, 70, 100, generator=torch.Generator().manual_seed(0))


def code_of(space, kernel, shape):
    """The weights of a kernel, the same in all cells."""
    mean, components = space.filters[0, 0].double().flatten(), space.filters[1:, 0].double().flatten(1)
    weights = torch.linalg.lstsq(components.T, (kernel.double().flatten() - mean)[:, None]).solution.float()
    return weights.view(1, -1, 1, 1).expand(1, *space.kernel_shape(*shape))


def test_equal_weights_everywhere_are_a_convolution(space, kernels, x):
    k = kernels[7:8]
    again = space.blur(x, code_of(space, k, x.shape[-2:]))
    assert torch.allclose(again, blur.convolve(blur.pad_for_same(x, 9), k), atol=1e-4)


def test_weights_have_unit_variance_over_the_collection(space, kernels):
    codes = torch.cat([code_of(space, kernel, (32, 32))[..., 0, 0] for kernel in kernels])
    assert torch.allclose(codes[:, :20].var(0, correction=0), torch.ones(20), atol=0.02)
    assert codes[:, :20].mean(0).abs().max() < 0.02


def test_blur_is_linear_in_the_code_and_differs_from_place_to_place(space, kernels, x):
    first, second = (code_of(space, kernels[i], x.shape[-2:]) for i in (3, 20))
    half = space.blur(x, (first + second) / 2)
    assert torch.allclose(half, (space.blur(x, first) + space.blur(x, second)) / 2, atol=1e-5)
    mixed = first.clone()
    mixed[..., 2:] = second[..., 2:]  # cells of 32 px, the centres of which are at 15.5, 47.5, 79.5, 111.5
    here = space.blur(x, mixed)
    assert torch.allclose(here[..., :48], space.blur(x, first)[..., :48], atol=1e-5)
    assert torch.allclose(here[..., 80:], space.blur(x, second)[..., 80:], atol=1e-5)
    assert not torch.allclose(here[..., 60:68], space.blur(x, second)[..., 60:68], atol=1e-3)


def test_extraction_explains_what_was_blurred_and_fits_other_pictures(space, kernels, x):
    ends = [code_of(space, kernels[i], (70, 100)) for i in (3, 20)]
    code = torch.lerp(*ends, torch.linspace(0, 1, ends[0].shape[-1]))  # from left to right
    found = space.encode(x, space.blur(x, code)).mean
    other = torch.rand(1, 3, 70, 100, generator=torch.Generator().manual_seed(2))
    wanted, got, none = (space.blur(other, k) for k in (code, found, 0 * code))
    assert (got - wanted).square().mean() < 0.05 * (none - wanted).square().mean()
    same = space.encode(x, blur.convolve(blur.pad_for_same(x, 9), kernels[5:6]))
    truth = blur.convolve(blur.pad_for_same(other, 9), kernels[5:6])
    assert (space.blur(other, same.mean) - truth).square().mean().sqrt() < 0.01 and same.deviation is None


def test_extraction_needs_memory_in_proportion_to_the_picture(kernels):
    space = LinearKernelSpace(kernels, 3, cell=8)
    extraction = torch.nn.Module()
    extraction.forward = lambda x: space.encode(x, x).mean
    small, large = (peak_memory(extraction, torch.rand(1, 1, side, side), training=False) for side in (64, 256))
    assert large < 20 * small, "16 times the pixels"


def test_pictures_and_codes_that_do_not_match_are_refused(space, kernels, x):
    with pytest.raises(UsageError, match="picture of one size"):
        space.encode(x, x[..., :-1])
    k = code_of(space, kernels[3], x.shape[-2:])
    for wrong in (k.repeat(1, 1, 2, 1), k[..., :-1], k[:, :-1], k.expand(3, -1, -1, -1)):
        with pytest.raises(UsageError, match=r"of 2 picture\(s\) of 100 x 70 pixels has the shape \(2, 59, 3, 4\)"):
            space.blur(x.expand(2, -1, -1, -1), wrong)
    both = space.blur(x.expand(2, -1, -1, -1), torch.cat((k, 0 * k)))
    assert torch.allclose(both[:1], space.blur(x, k), atol=1e-6) and not torch.allclose(both[1], both[0], atol=1e-3)
    assert torch.allclose(space.blur(x.expand(2, -1, -1, -1), k), both[:1], atol=1e-6), "one k blurs all"


def test_gradients_reach_picture_and_code(space, x):
    small = LinearKernelSpace(torch.cat([blur.psf.camera_shake(5, seed) for seed in range(5)]), 3, cell=8).double()
    picture = torch.rand(1, 1, 9, 12, dtype=torch.float64, requires_grad=True)
    code = torch.randn(1, *small.kernel_shape(9, 12), dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(small.blur, (picture, code), eps=1e-2, atol=1e-3, rtol=1e-2)  # in float32 inside


def test_the_first_components_explain_most(kernels):
    shares = [LinearKernelSpace(kernels, n).explained for n in (5, 20, 59)]
    assert np.all(np.diff(shares) > 0) and shares[0] > 0.25 and shares[-1] == pytest.approx(1)
    with pytest.raises(UsageError, match="more than 60"):
        LinearKernelSpace(kernels, 60)
