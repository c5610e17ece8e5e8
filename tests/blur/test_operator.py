import subprocess
import sys
from types import SimpleNamespace

import pytest
import torch
from scipy.signal import convolve2d

from deblur_core import blur
from deblur_core.blur import operator
from deblur_core.errors import UsageError

# (batch, channels, height, width), (kernels, height, width): ones, primes, non-square, even, kernel as large
# as the image
SHAPES = [
    ((1, 1, 1, 1), (1, 1, 1)),
    ((2, 1, 7, 5), (2, 1, 1)),
    ((2, 3, 17, 23), (2, 5, 7)),
    ((3, 2, 13, 11), (1, 3, 11)),
    ((2, 1, 33, 20), (2, 33, 1)),
    ((1, 2, 12, 31), (1, 4, 6)),
    ((2, 1, 9, 9), (2, 9, 9)),
]


def random(*shapes, dtype=torch.float64, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return [torch.rand(shape, generator=generator, dtype=dtype).requires_grad_() for shape in shapes]


def value_and_gradients(x, k, method):
    y = blur.convolve(x, k, method)
    (g,) = random(y.shape, dtype=y.dtype, seed=1)
    return [y, *torch.autograd.grad(y, (x, k), g)]


def relative_error(estimate, truth):
    return ((estimate.double() - truth).abs().max() / truth.abs().max()).item()


def test_convolution_is_true_convolution(method):
    x, k = random((2, 3, 11, 14), (2, 3, 5))
    y = blur.convolve(x, k, method)
    for image in range(2):
        for channel in range(3):
            truth = convolve2d(x[image, channel].detach(), k[image].detach(), mode="valid")
            torch.testing.assert_close(y[image, channel].detach(), torch.tensor(truth))


@pytest.mark.parametrize("shapes", SHAPES, ids=str)
@pytest.mark.parametrize("fast", ["fft", "triton"])
def test_methods_agree_in_value_and_gradients(fast, shapes, interpreter):
    x, k = random(*shapes)
    reference = value_and_gradients(x, k, "direct")
    torch.testing.assert_close(value_and_gradients(x, k, fast), reference, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("shapes", [*SHAPES, ((1, 1, 160, 131), (1, 75, 75))], ids=str)
def test_fft_in_float32_is_as_accurate_as_direct(shapes):
    """At most twice the error of PyTorch's own float32 convolution, plus a floor."""
    x, k = random(*shapes)
    truth = value_and_gradients(x, k, "direct")
    x, k = (v.detach().float().requires_grad_() for v in (x, k))
    ours, theirs = (value_and_gradients(x, k, method) for method in ("fft", "direct"))
    for a, b, t in zip(ours, theirs, truth, strict=True):
        assert relative_error(a, t) <= 2 * relative_error(b, t) + 1e-6


@pytest.mark.parametrize("shapes", SHAPES, ids=str)
def test_adjoint_is_the_transpose(method, shapes):
    x, k = random(*shapes)
    blurred = blur.convolve(x, k, method)
    (y,) = random(blurred.shape, seed=2)
    transposed = blur.convolve_adjoint(y, k, method)
    assert transposed.shape == x.shape
    torch.testing.assert_close((blurred * y).sum(), (x * transposed).sum(), rtol=1e-12, atol=1e-12)


def test_adjoint_is_the_gradient_of_the_blur(method):
    x, k = random((2, 2, 12, 15), (2, 5, 4))
    y = blur.convolve(x, k, method)
    (g,) = random(y.shape, seed=3)
    (gradient,) = torch.autograd.grad(y, x, g)
    torch.testing.assert_close(gradient, blur.convolve_adjoint(g, k, method))


@pytest.mark.parametrize("kernels", [1, 2])
@pytest.mark.parametrize("operation", [blur.convolve, blur.convolve_adjoint])
def test_derivatives_match_finite_differences(method, operation, kernels):
    x, k = random((2, 2, 5, 4), (kernels, 3, 2))
    assert torch.autograd.gradcheck(lambda x, k: operation(x, k, method), (x, k), fast_mode=True)


@pytest.mark.parametrize("wanted", [0, 1])
def test_gradient_of_one_argument_alone(method, wanted):
    arguments = random((2, 1, 9, 8), (2, 3, 3))
    both = value_and_gradients(*arguments, method)[1 + wanted]
    arguments[1 - wanted].requires_grad_(False)
    y = blur.convolve(*arguments, method)
    (g,) = random(y.shape, seed=1)
    torch.testing.assert_close(torch.autograd.grad(y, arguments[wanted], g)[0], both)


def test_blurs_compose(method):
    """Convolution is associative: blurring twice is blurring once by the convolved kernels."""
    x, k, k2 = random((1, 1, 20, 21), (1, 4, 3), (1, 5, 5))
    both = blur.convolve_adjoint(k2[None], blur.flip(k), method)[0]  # full convolution
    twice = blur.convolve(blur.convolve(x, k, method), k2, method)
    torch.testing.assert_close(twice, blur.convolve(x, both, method))


@pytest.mark.parametrize("size", [(1, 1), (3, 3), (5, 7), (4, 6), (2, 5)])
@pytest.mark.parametrize("mode", ["replicate", "reflect", "circular", "constant"])
def test_a_delta_at_the_centre_changes_nothing(size, mode):
    (x,) = random((1, 2, 9, 10))
    k = torch.zeros(1, *size, dtype=x.dtype)
    k[0, size[0] // 2, size[1] // 2] = 1
    torch.testing.assert_close(blur.convolve(blur.pad_for_same(x, size, mode), k), x)


def test_a_delta_off_the_centre_moves_the_image_towards_it(method):
    x = torch.zeros(1, 1, 9, 9, dtype=torch.float64)
    x[0, 0, 4, 4] = 1
    k = torch.zeros(1, 5, 5, dtype=torch.float64)
    k[0, 2 + 1, 2 - 2] = 1  # one down, two left of the centre
    y = blur.convolve(blur.pad_for_same(x, 5, "constant"), k, method)
    assert y[0, 0, 5, 2] == pytest.approx(1)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_computed_in_float32(method, dtype):
    x, k = (v.detach().to(dtype) for v in random((2, 1, 15, 16), (2, 7, 5)))
    y = blur.convolve(x, k, method)
    assert y.dtype == dtype
    torch.testing.assert_close(y, blur.convolve(x.double(), k.double()).to(dtype), rtol=1e-2, atol=0)
    assert blur.convolve(x, k.float(), method).dtype == torch.float32


def test_autocast_does_not_lower_the_precision():
    x, k = (v.detach().float() for v in random((1, 1, 40, 40), (1, 9, 9)))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y = blur.convolve(x, k, "direct")
    torch.testing.assert_close(y, blur.convolve(x, k, "direct"), rtol=0, atol=0)


def test_normalize_and_flip():
    (k,) = random((3, 4, 5))
    torch.testing.assert_close(blur.normalize(k).sum((1, 2)), torch.ones(3, dtype=k.dtype))
    assert torch.equal(blur.flip(k)[0, 0], k[0, -1].flip(0))
    for bad in (torch.zeros(1, 3, 3), -torch.ones(1, 3, 3), torch.full((1, 3, 3), torch.nan)):
        with pytest.raises(UsageError, match="positive, finite sum"):
            blur.normalize(bad)


@pytest.mark.parametrize(
    "x, k, message",
    [
        ((1, 1, 5, 5), (1, 7, 3), "7x3 kernel does not fit into a 5x5 image"),
        ((1, 1, 5, 5), (1, 0, 3), "0x3 kernel does not fit"),
        ((1, 5, 5), (1, 3, 3), "images .batch, channel, height, width."),
        ((1, 1, 5, 5), (3, 3), "kernels .batch, height, width."),
        ((3, 1, 5, 5), (2, 3, 3), "2 kernels for 3 images"),
        ((0, 1, 5, 5), (0, 3, 3), "0 kernels for 0 images"),
    ],
)
def test_impossible_shapes_are_refused(x, k, message):
    with pytest.raises(UsageError, match=message):
        blur.convolve(torch.rand(x), torch.rand(k))


def test_other_misuse_is_refused(monkeypatch):
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    x, k = torch.rand(1, 1, 5, 5), torch.rand(1, 3, 3)
    with pytest.raises(UsageError, match="Unknown blur method 'fast'"):
        blur.convolve(x, k, "fast")
    with pytest.raises(UsageError, match="needs a CUDA device"):
        blur.convolve(x, k, "triton")
    with pytest.raises(UsageError, match="floating-point"):
        blur.convolve((255 * x).byte(), k)
    for size in ((11, 3), (3, 11)):
        with pytest.raises(UsageError, match=f"larger than half the {size[0]}x{size[1]} kernel"):
            blur.pad_for_same(x, size, "reflect")
    with pytest.raises(UsageError, match="Unknown padding 'mirror'"):
        blur.pad_for_same(x, 3, "mirror")
    with pytest.raises(UsageError, match="kernels of 1x1 pixels or more, not for 0x3"):  # it cropped
        blur.pad_for_same(x, (0, 3))
    with pytest.raises(UsageError, match=r"an image of shape \(5, 5\)"):
        blur.pad_for_same(x[0, 0], 3)
    with pytest.raises(UsageError, match=r"got shapes \(1, 5, 5\) and"):  # as it was passed, not as it is padded
        blur.convolve_adjoint(x[0], k)
    with pytest.raises(UsageError, match=r"and \(3,\)"):
        blur.convolve_adjoint(x, k[0, 0])
    with pytest.raises(UsageError, match="one device"):
        blur.convolve(x, k.to("meta"))


def test_transforms_have_the_next_length_of_small_factors_that_four_divides():
    fast = sorted(4 * 2**a * 3**b * 5**c for a in range(9) for b in range(6) for c in range(4))
    assert [blur.fast_length(n) for n in range(1, 900)] == [next(m for m in fast if m >= n) for n in range(1, 900)]


@pytest.mark.parametrize(("images", "fastest"), [(2**15 - 1, "triton"), (2**15, "fft")])
def test_no_more_images_than_a_grid_holds_go_to_the_gpu_kernel(images, fastest, monkeypatch):
    monkeypatch.setattr(operator, "triton_is_usable", lambda device: True)
    x = SimpleNamespace(shape=(images, 2, 8, 8), dtype=torch.float32, is_cuda=True, device="cuda")
    assert operator._fastest(x, torch.ones(1, 5, 5)) == fastest


def test_a_missing_triton_is_told_once(monkeypatch):
    monkeypatch.setitem(sys.modules, "triton", None)  # makes `import triton` fail
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (9, 0))
    operator.triton_is_usable.cache_clear()
    with pytest.warns(UserWarning, match="Triton is not installed") as caught:
        assert not operator.triton_is_usable(torch.device("cuda"))
        assert not operator.triton_is_usable(torch.device("cuda"))
    assert len(caught) == 1
    operator.triton_is_usable.cache_clear()


def test_a_gpu_that_triton_does_not_know_is_not_asked(monkeypatch, recwarn):
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (7, 5))
    assert not operator.triton_is_usable.__wrapped__(torch.device("cuda")) and not recwarn.list


def test_importing_the_package_needs_neither_triton_nor_cuda():
    program = (
        "import sys, torch, deblur_core.blur;assert 'triton' not in sys.modules and not torch.cuda.is_initialized()"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
