"""The mirrored border: interpreted on the CPU, compiled on a GPU where there is one."""

import importlib

import pytest
import torch

from deblur_core.models.reflect_pad import reference, reflect_pad

reflect_pad_module = importlib.import_module("deblur_core.models.reflect_pad")

SHAPES = [(1, 8, 2, 2), (1, 1, 3, 2), (2, 5, 7, 4), (1, 16, 17, 31), (1, 3, 64, 65)]


def check(pad, shape, device, dtype):
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(shape, generator=generator).to(device, dtype).to(memory_format=torch.channels_last)
    g = torch.randn(shape[0], shape[1], shape[2] + 2, shape[3] + 2, generator=generator).to(device, dtype)
    found = x.clone().requires_grad_()
    expected = x.double().requires_grad_()
    out = pad(found)
    assert torch.equal(out.double(), reference(expected))  # values are only moved
    (gradient,) = torch.autograd.grad(out, found, g)
    (truth,) = torch.autograd.grad(reference(expected), expected, g.double())
    (same_dtype,) = torch.autograd.grad(reference(plain := x.clone().requires_grad_()), plain, g)
    error, allowed = (gradient - truth).abs().max(), 2 * (same_dtype - truth).abs().max() + 1e-6
    assert error <= allowed


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("shape", SHAPES)
def test_interpreted_kernel_moves_values_and_gathers_gradients(interpreter, interpreted_pad, shape, dtype):
    check(interpreted_pad, shape, "cpu", dtype)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU")
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("shape", [*SHAPES, (1, 128, 281, 277)])
def test_compiled_kernel_moves_values_and_gathers_gradients(shape, dtype):
    check(reflect_pad, shape, "cuda", dtype)


def test_padding_is_adjoint_to_its_gradient(interpreter, interpreted_pad):
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(1, 3, 5, 6, generator=generator).to(memory_format=torch.channels_last).requires_grad_()
    g = torch.randn(1, 3, 7, 8, generator=generator)
    out = interpreted_pad(x)
    (gradient,) = torch.autograd.grad(out, x, g)
    assert torch.allclose((out * g).sum(), (x * gradient).sum(), rtol=1e-5)


def test_on_the_cpu_pytorch_pads():
    x = torch.rand(1, 2, 4, 5)
    assert torch.equal(reflect_pad(x), torch.nn.functional.pad(x, (1, 1, 1, 1), mode="reflect"))


@pytest.mark.parametrize("usable", [True, False])
def test_a_gpu_that_triton_does_not_know_is_padded_for_by_pytorch(monkeypatch, usable):
    pytest.importorskip("triton", reason="Triton is not installed")
    monkeypatch.setattr(reflect_pad_module, "triton_is_usable", lambda device: usable)
    chosen = reflect_pad_module._kernel.__wrapped__(torch.device("cuda", 0))
    assert (chosen is not reference) == usable


def test_maps_beyond_32_bit_indices_are_left_to_pytorch():
    assert reflect_pad_module._fits(torch.Size((1, 144, 2000, 3000)))
    assert not reflect_pad_module._fits(torch.Size((1, 144, 4000, 6000)))
