"""Which arithmetic a recipe gets: fast where the processor computes in bfloat16, exact where it would emulate it."""

import gc
import weakref
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from torch import nn

from deblur_core.errors import UsageError
from deblur_core.models.diffusion import linear_schedule
from deblur_core.models.refinement import Design, Refinement
from deblur_core.runs import computes_in_bfloat16
from deblur_core.solvers import acceleration, refinement, selfdeblur, untrained
from deblur_core.solvers.acceleration import Bfloat16, Captured, arithmetic
from deblur_core.solvers.refinement import refine
from deblur_core.studies import pairs

CPUINFO = Path("/proc/cpuinfo")


@pytest.mark.parametrize("native", [False, True])
def test_bfloat16_is_used_where_the_processor_computes_in_it(native, monkeypatch):
    monkeypatch.setattr(acceleration, "computes_in_bfloat16", lambda device: native)
    assert arithmetic("bfloat16", "cpu") is (torch.bfloat16 if native else torch.float32)
    assert arithmetic("float32", "cpu") is torch.float32
    run = selfdeblur.optimisation(torch.rand(1, 1, 32, 32), 5, pairs.SMOKE, 0, "cpu")
    assert isinstance(run.artists[0], Bfloat16) == native


def test_elsewhere_a_recipe_gives_what_float32_gives(monkeypatch):
    monkeypatch.setattr(acceleration, "computes_in_bfloat16", lambda device: False)
    model, y = Refinement(Design(4, 4, (1, 2), blocks=1)), torch.rand(1, 3, 16, 16)
    drawn = [refine(model, y, linear_schedule(3, 0.95), precision=p).samples for p in ("bfloat16", "float32")]
    assert torch.equal(*drawn)


def test_the_processor_s_own_list_of_instructions_decides():
    if not CPUINFO.exists():
        pytest.skip("no /proc/cpuinfo here")
    flags = CPUINFO.read_text()
    assert computes_in_bfloat16() == ("avx512_bf16" in flags or "amx_bf16" in flags)


def test_the_memory_of_a_run_is_free_as_soon_as_it_is_over(monkeypatch):
    """Not only when Python looks for cycles: on a GPU, recorded graphs hold all that an iteration computes."""
    kept = []
    for owner in (untrained.Optimisation, refinement._Denoiser):
        begin = owner.__init__

        def watched(self, *args, begin=begin, **options):
            begin(self, *args, **options)
            kept.append(weakref.ref(self))

        monkeypatch.setattr(owner, "__init__", watched)
    gc.disable()
    try:
        selfdeblur.deblur(torch.full((1, 1, 32, 32), 0.5), 5, pairs.SMOKE)
        refine(Refinement(Design(4, 4, (1, 2), blocks=1)), torch.rand(1, 3, 16, 16), linear_schedule(3, 0.95))
        assert [run() for run in kept] == [None, None]
    finally:
        gc.enable()


def test_other_formats_are_refused():
    with pytest.raises(UsageError, match="no precision 'float16'"):
        arithmetic("float16", "cpu")


class Normalised(nn.Module):
    """A convolution in front of batch normalisation, and a layer that nothing uses."""

    def __init__(self):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2, track_running_stats=False)
        self.unused = nn.Linear(1, 1)

    def forward(self, z):
        return self.norm(self.conv(z))


def test_a_twin_rounds_the_present_weights_and_gives_back_the_gradients_of_one_pass():
    network = Normalised()
    twin, z = Bfloat16(network), torch.rand(1, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    gradients = []
    for _ in range(2):
        with torch.no_grad():
            network.norm.bias += 0.3  # which no gradient here depends on
        drawn = twin(z)
        assert drawn.dtype == torch.bfloat16 and torch.equal(twin.twin.norm.bias, network.norm.bias)
        (drawn.float() * z).sum().backward()
        twin.return_gradients()
        gradients.append([parameter.grad.clone() for parameter in (*network.conv.parameters(), network.norm.weight)])
    assert all(torch.equal(a, b) for a, b in zip(*gradients, strict=True)), "the second pass adds nothing to the first"
    assert {weight.dtype for weight in network.parameters()} == {torch.float32}
    assert {weight.dtype for weight in twin.twin.norm.parameters()} == {torch.float32}
    assert network.norm.weight.grad.dtype == network.conv.weight.grad.dtype == torch.float32
    assert network.unused.weight.grad is None


def test_a_function_is_called_eagerly_then_recorded_once_and_replayed_from_then_on(monkeypatch):
    said = []

    def say(what):
        said.append(f"{what}, {'locked' if Captured.lock.locked() else 'free'}")

    class Graph:
        def replay(self):
            say("replay")

    @contextmanager
    def recording(graph, **options):
        said.append("record")
        yield

    for name, stand_in in (("CUDAGraph", Graph), ("graph", recording), ("current_stream", lambda: None)):
        monkeypatch.setattr(torch.cuda, name, stand_in)
    captured = Captured(eager_calls=2)
    for _ in range(4):
        captured(lambda: say("call"))
    assert said == ["call, locked", "call, locked", "record", "call, locked", "replay, free", "replay, free"]
