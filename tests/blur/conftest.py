"""Triton's interpreter for these tests: the interpreted copy of the module is put in the place from which the operator
imports it, for one test at a time."""

import sys

import pytest
import torch

NAME = "deblur_core.blur.triton_convolve"


@pytest.fixture(scope="session")
def interpreted_module(interpreted):
    module = interpreted(NAME)
    try:
        module.correlate(torch.ones(1, 1, 1), torch.ones(1, 1, 1))
    except Exception as error:  # Triton's InterpreterError, from Triton 3.6 under NumPy 2.4
        if "0-dimensional arrays" in str(error):
            pytest.skip("the interpreter of this Triton does not run under this NumPy")
        raise
    return module


@pytest.fixture
def interpreter(interpreted_module, monkeypatch):
    monkeypatch.setenv("TRITON_INTERPRET", "1")
    monkeypatch.setitem(sys.modules, NAME, interpreted_module)


@pytest.fixture(params=["direct", "fft", "triton"])
def method(request):
    """Every exact method, on the CPU."""
    if request.param == "triton":
        request.getfixturevalue("interpreter")
    return request.param
