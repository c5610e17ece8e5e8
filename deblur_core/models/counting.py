"""Parameters, multiply-accumulates and memory of a network, counted by PyTorch without computing anything."""

from __future__ import annotations

import weakref
from math import prod
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode


def count_parameters(module: nn.Module) -> int:
    """Trainable and frozen parameters; a tensor that several layers share counts once."""
    return sum(parameter.numel() for parameter in module.parameters())


def count_macs(module: nn.Module, *inputs: Any) -> int:
    """Multiply-accumulates of one forward pass module(*inputs).

    Convolutions of every kind, linear layers, matrix products and attention are counted; biases,
    normalisation, activations, resampling and FFTs are not. One MAC is two of FlopCounterMode's FLOPs. The
    forward pass runs on the meta device, which follows shapes alone: a 720p picture costs neither time nor
    memory, and the module's own tensors stay as they are.

    inputs: what forward takes, tensors on any device (torch.empty(..., device="meta") will do).
    """
    return _count(module, inputs, _VECTOR_PRODUCTS)


def count_macs_as_ptflops(module: nn.Module, *inputs: Any) -> int:
    """The same in the convention of the ptflops package, which many deblurring papers use; ungrouped layers only.

    A bias and a ReLU count as one each, and a transposed convolution as if every pixel of its *output* met the whole
    kernel: for a stride of 2 that is four times what it computes.
    """
    return _count(module, inputs, _PTFLOPS)


def peak_memory(module: nn.Module, *inputs: Tensor, training: bool = True) -> int:
    """The most bytes that tensors hold at one moment of a training step, or of using the network.

    The tensors are followed from birth to death while forward and backward pass run, on whatever device they are: on
    the meta device a large network costs nothing, and the bytes are the same. Counted are features, gradients and
    copies; the weights and the inputs themselves, the moments of an optimiser and the workspace of the convolution
    library are not. module(*inputs) is one tensor; the weights' gradients are None before and after.
    """
    own = (*module.parameters(), *module.buffers(), *inputs)
    with torch.set_grad_enabled(training), _Held({tensor.untyped_storage()._cdata: 0 for tensor in own}) as held:
        answer = module(*inputs)
        if training:
            answer.square().mean().backward()
    module.zero_grad(set_to_none=True)
    return held.peak


class _Held(TorchDispatchMode):
    """Adds up the storages of all tensors that operators return, each as long as it lives; known ones as given."""

    def __init__(self, known: dict[int, int]) -> None:
        super().__init__()
        self.storages = known
        self.now = self.peak = 0

    def __torch_dispatch__(self, operator: Any, types: Any, arguments: Any = (), options: Any = None) -> Any:
        result = operator(*arguments, **(options or {}))
        for tensor in tree_leaves(result):
            if isinstance(tensor, Tensor):
                self._hold(tensor.untyped_storage())
        self.peak = max(self.peak, self.now)
        return result

    def _hold(self, storage: torch.UntypedStorage) -> None:
        if (key := storage._cdata) not in self.storages:
            self.storages[key] = storage.nbytes()
            self.now += storage.nbytes()
            weakref.finalize(storage, self._release, key)

    def _release(self, key: int) -> None:
        self.now -= self.storages.pop(key)


def _count(module: nn.Module, inputs: tuple[Any, ...], mapping: dict[Any, Any]) -> int:
    named = (*module.named_parameters(), *module.named_buffers())
    tensors = {name: tensor.to("meta") for name, tensor in named}
    inputs = tuple(value.to("meta") if isinstance(value, torch.Tensor) else value for value in inputs)
    counter = FlopCounterMode(display=False, custom_mapping=mapping)
    with torch.no_grad(), torch.device("meta"), counter:
        functional_call(module, tensors, inputs)
    return counter.get_total_flops() // 2


def _matrix_vector(matrix: torch.Size, vector: torch.Size, **_: Any) -> int:
    return 2 * prod(matrix)


# FlopCounterMode's own table knows products of matrices but not of a matrix and a vector.
_VECTOR_PRODUCTS = {torch.ops.aten.mv: _matrix_vector, torch.ops.aten.dot: _matrix_vector}


def _convolution(_: torch.Size, weight: torch.Size, bias: Any, *options: Any, out_shape: torch.Size, **__: Any) -> int:
    transposed = options[3]
    inputs = weight[0] if transposed else weight[1]
    return 2 * prod(out_shape) * (inputs * prod(weight[2:]) + (bias is not None))


def _elementwise(*_: Any, out_shape: torch.Size, **__: Any) -> int:
    return 2 * prod(out_shape)


_PTFLOPS = _VECTOR_PRODUCTS | {torch.ops.aten.convolution: _convolution, torch.ops.aten.relu: _elementwise}
