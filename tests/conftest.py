"""What tests of several parts share."""

import pytest

from deblur_core.solvers import acceleration


@pytest.fixture
def bfloat16(monkeypatch):
    """bfloat16 where a recipe asks for it, emulated where the processor has none."""
    monkeypatch.setattr(acceleration, "computes_in_bfloat16", lambda device: True)
