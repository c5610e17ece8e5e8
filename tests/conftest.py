"""What tests of several parts share."""

import importlib.util

import pytest

from deblur_core.solvers import acceleration


@pytest.fixture
def bfloat16(monkeypatch):
    """bfloat16 where a recipe asks for it, emulated where the processor has none."""
    monkeypatch.setattr(acceleration, "computes_in_bfloat16", lambda device: True)


@pytest.fixture(scope="session")
def interpreted():
    """Loads a second copy of a module with Triton kernels under Triton's interpreter, without touching the rest of the
    session: `@triton.jit` decides at decoration whether a kernel is interpreted."""

    def load(name):
        pytest.importorskip("triton", reason="Triton is not installed")
        spec = importlib.util.find_spec(name)
        module = importlib.util.module_from_spec(spec)
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("TRITON_INTERPRET", "1")
            spec.loader.exec_module(module)
        return module

    return load
