"""What makes an optimisation step fast: bfloat16 twins of float32 networks, and CUDA graphs."""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable

import torch
from torch import Tensor, nn

from deblur_core.errors import UsageError
from deblur_core.runs import computes_in_bfloat16


def arithmetic(precision: str, device: str | torch.device) -> torch.dtype:
    """What the precision "bfloat16" or "float32" of a recipe means on a device.

    bfloat16 is there for speed. A processor without instructions for it, as in most laptops, takes 2 to 3 times as long
    as in float32, so there the exact arithmetic is used. Raises UsageError for another precision.
    """
    if precision not in ("bfloat16", "float32"):
        raise UsageError(f"There is no precision '{precision}': choose bfloat16 or float32.")
    return torch.bfloat16 if precision == "bfloat16" and computes_in_bfloat16(device) else torch.float32


def usual(device: str | torch.device) -> str:
    """For rows of a benchmark: what a recipe's "bfloat16" is here."""
    return f"usual: {str(arithmetic('bfloat16', device)).removeprefix('torch.')}"


class Bfloat16:
    """Draws with a bfloat16 twin of a network whose weights, gradients and optimiser stay in float32.

    The same arithmetic as autocast, but one fused copy of all weights an iteration instead of a cast for each, and
    no excursion to float32 for padding and upsampling. Batch normalisation keeps float32 parameters and statistics.
    """

    def __init__(self, network: nn.Module):
        self.twin = copy.deepcopy(network).to(torch.bfloat16)
        for module in self.twin.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.float()
        self.weights, self.twin_weights = list(network.parameters()), list(self.twin.parameters())

    def __call__(self, z: Tensor) -> Tensor:
        self.refresh()
        return self.twin(z.to(torch.bfloat16))

    def refresh(self) -> None:
        """Round the weights anew, and forget the twin's gradients."""
        with torch.no_grad():
            torch._foreach_copy_(self.twin_weights, self.weights)
        for weight in self.twin_weights:
            weight.grad = None

    def return_gradients(self) -> None:
        """Give the network, in float32, the gradients that the twin has."""
        drawn = [
            (weight, twin)
            for weight, twin in zip(self.weights, self.twin_weights, strict=True)
            if twin.grad is not None
        ]
        for weight, _ in drawn:
            weight.grad = torch.empty_like(weight)
        torch._foreach_copy_([weight.grad for weight, _ in drawn], [twin.grad for _, twin in drawn])


def rounded(network: nn.Module, precision: str, device: str | torch.device) -> Bfloat16 | None:
    """The network's bfloat16 twin where that is the arithmetic that the precision means here; else None."""
    return Bfloat16(network) if arithmetic(precision, device) is torch.bfloat16 else None


class Captured:
    """Calls of one function: a few run eagerly, the next is recorded as a CUDA graph, all others replay that.

    Eager calls and the recording hold one lock: threads that optimise other pictures on the same GPU only replay then.
    The function is passed and not kept: it is most often a method of what owns this, and the memory of a run that is
    over would have to wait for Python's garbage collection.
    """

    lock = threading.Lock()

    def __init__(self, eager_calls: int = 3):
        self.eager_calls = eager_calls
        self.graph: torch.cuda.CUDAGraph | None = None

    def __call__(self, function: Callable[[], None]) -> None:
        if self.graph is not None:
            self.graph.replay()
        elif self.eager_calls > 0:
            self.eager_calls -= 1
            with self.lock:
                function()
        else:
            with self.lock:
                self.graph = torch.cuda.CUDAGraph()
                with torch.cuda.graph(
                    self.graph, stream=torch.cuda.current_stream(), capture_error_mode="thread_local"
                ):
                    function()
            self.graph.replay()
