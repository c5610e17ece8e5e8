import importlib.util
import os

import pytest

NAME = "deblur_core.models.triton_reflect_pad"


@pytest.fixture(scope="session")
def interpreted_pad():
    """The Triton kernel under the interpreter, in a copy of its module: `triton.jit` decides when it decorates."""
    pytest.importorskip("triton", reason="Triton is not installed")
    spec = importlib.util.find_spec(NAME)
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(os.environ, "TRITON_INTERPRET", "1")
        spec.loader.exec_module(module)
    return module.pad


@pytest.fixture
def interpreter(monkeypatch):
    monkeypatch.setenv("TRITON_INTERPRET", "1")
