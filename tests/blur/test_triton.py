"""The Triton kernel: interpreted, compiled (neither needs a GPU), and on the GPU where there is one.

Values, gradients and adjointness on the CPU are in test_operator.py, which runs every method.
"""

import os

import pytest
import torch

from deblur_core import blur

triton = pytest.importorskip("triton", reason="Triton is not installed")

cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU")
compiled = pytest.mark.skipif(os.environ.get("TRITON_INTERPRET") == "1", reason="kernels are interpreted")

# (batch, channels, height, width), (kernels, height, width)
AWKWARD = [
    ((1, 1, 1, 1), (1, 1, 1)),
    ((2, 2, 37, 41), (2, 5, 7)),
    ((2, 1, 67, 33), (1, 31, 32)),
    ((1, 1, 65, 96), (1, 1, 75)),
]
LARGE = [((4, 3, 113, 127), (4, 13, 13)), ((1, 1, 281, 281), (1, 27, 27)), ((2, 1, 330, 474), (2, 75, 75))]


def value_and_gradients(x, k, method):
    generator = torch.Generator().manual_seed(1)
    x, k = x.detach().requires_grad_(), k.detach().requires_grad_()
    y = blur.convolve(x, k, method)
    g = torch.rand(y.shape, generator=generator).to(y)
    return [y.detach(), *torch.autograd.grad(y, (x, k), g)]


def inputs(shapes, device="cpu", dtype=torch.float32):
    generator = torch.Generator().manual_seed(0)
    x, k = (torch.rand(shape, generator=generator).to(device, dtype) for shape in shapes)
    return x, blur.normalize(k)


def assert_as_accurate_as_conv2d(shapes, device):
    """At most twice the error of PyTorch's own float32 convolution against float64, plus a floor."""
    x, k = inputs(shapes, device)
    truth = value_and_gradients(x.double(), k.double(), "fft")
    theirs = value_and_gradients(x, k, "direct")
    for ours, other, exact in zip(value_and_gradients(x, k, "triton"), theirs, truth, strict=True):
        assert ours.shape == exact.shape
        error, floor = (ours - exact).abs().max(), 1e-6 * exact.abs().max()
        assert error <= 2 * (other - exact).abs().max() + floor


@pytest.mark.parametrize("shapes", [*AWKWARD, ((1, 1, 76, 77), (1, 75, 75))], ids=str)
def test_interpreted_kernel_is_as_accurate_as_conv2d(shapes, interpreter):
    assert_as_accurate_as_conv2d(shapes, "cpu")


def test_the_sum_is_split_where_tiles_are_few(interpreted_module):
    """Few outputs, many taps, as in the gradient in k: many programs share the sum, none is lost."""
    x, g = torch.rand(1, 70, 70), torch.rand(1, 60, 60)
    partial = interpreted_module.correlate(x, g)
    assert partial.shape[1] > 8
    exact = torch.nn.functional.conv2d(x[None].double(), g[None].double())[0]
    torch.testing.assert_close(partial.double().sum(1), exact, rtol=1e-5, atol=0)


@compiled
@pytest.mark.parametrize("dtype", ["fp32", "fp64"])
def test_kernel_compiles_for_hopper(dtype):
    """What the interpreter accepts, the compiler may refuse; it needs no GPU to say so."""
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    from deblur_core.blur.triton_convolve import COLS, DEPTH, _correlate

    constants = {"FLIP_TAPS": True, "FLIP_OUT": True, "ROWS": 64, "COLS": COLS, "DEPTH": DEPTH}
    kinds = dict.fromkeys(("image", "taps", "out"), f"*{dtype}") | dict.fromkeys(constants, "constexpr")
    source = ASTSource(_correlate, {name: kinds.get(name, "i32") for name in _correlate.arg_names}, constants)
    options = {"num_warps": 4, "num_stages": 1}
    kernel = triton.compile(source, target=GPUTarget("cuda", 90, 32), options=options)
    assert {"fp32": "tf32", "fp64": "f64"}[dtype] in kernel.asm["ptx"].replace("wgmma.fence", "")


@pytest.fixture
def without_tf32(monkeypatch):
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)


@cuda
@compiled
@pytest.mark.parametrize("shapes", AWKWARD + LARGE, ids=str)
def test_gpu_kernel_is_as_accurate_as_conv2d(shapes, without_tf32):
    assert_as_accurate_as_conv2d(shapes, "cuda")


@cuda
@compiled
@pytest.mark.parametrize("method", ["auto", "fft", "triton"])
def test_gpu_adjoint_is_the_transpose(method):
    x, k = inputs(((2, 3, 61, 50), (2, 11, 9)), "cuda", torch.float64)
    blurred = blur.convolve(x, k, method)
    y = torch.rand_like(blurred)
    torch.testing.assert_close((blurred * y).sum(), (x * blur.convolve_adjoint(y, k, method)).sum())


@cuda
@compiled
def test_gpu_kernel_gives_the_same_numbers_every_time():
    x, k = inputs(LARGE[1], "cuda")
    first, second = (value_and_gradients(x, k, "triton") for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


@cuda
@compiled
@pytest.mark.parametrize("method", ["fft", "triton"])
def test_forward_and_backward_can_be_captured_in_a_graph(method):
    x, k = (v.requires_grad_() for v in inputs(LARGE[1], "cuda"))
    g = torch.rand_like(blur.convolve(x, k, method))

    def step():
        y = blur.convolve(x, k, method)
        return [y, *torch.autograd.grad(y, (x, k), g)]

    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        step()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        captured = step()
    with torch.no_grad():
        x.copy_(torch.rand_like(x))  # the graph reads its inputs anew
    graph.replay()
    for ours, eager in zip(captured, step(), strict=True):
        torch.testing.assert_close(ours, eager)
