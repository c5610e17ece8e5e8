import pytest


@pytest.fixture(scope="session")
def interpreted_pad(interpreted):
    return interpreted("deblur_core.models.triton_reflect_pad").pad


@pytest.fixture
def interpreter(monkeypatch):
    monkeypatch.setenv("TRITON_INTERPRET", "1")
