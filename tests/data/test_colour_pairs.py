"""The built-in colour pairs are made like Lai's, and photographs come without a truth."""

import numpy as np
import pytest
import requests
from scipy.signal import fftconvolve
from torch.nn.functional import pad

from deblur_core import data
from deblur_core.errors import DeblurError

LINEAR = [name for name in data.names("builtin_colour") if name.startswith(("astronaut", "coffee"))]


@pytest.fixture(autouse=True)
def fresh_machine(tmp_path, monkeypatch):
    monkeypatch.delenv("DEBLUR_DATA", raising=False)
    monkeypatch.setenv("DEBLUR_HOME", str(tmp_path / "home"))


def misfit(pair, channel=1):
    half = pair.kernel.shape[-1] // 2
    padded = pad(pair.sharp, (half,) * 4, mode="replicate")[0, channel].double()
    return pair.blurry[0, channel].numpy() - fftconvolve(padded, pair.kernel[0].double(), mode="valid")


@pytest.mark.parametrize("name", LINEAR)
def test_blur_is_convolution_plus_uniform_noise(name):
    pair = data.load("builtin_colour", name)
    assert pair.blurry.shape == pair.sharp.shape and pair.blurry.shape[1] == 3
    assert pair.kernel.shape[-1] == pair.kernel_size and pair.kernel.sum() == pytest.approx(1)
    noise = np.sqrt(0.01**2 + (1 / 255) ** 2) / np.sqrt(12)  # uniform of width 0.01, rounded to 8 bits
    assert misfit(pair).mean() == pytest.approx(0.005, abs=5e-4)
    assert misfit(pair).std() == pytest.approx(noise, rel=0.05)


def test_lamps_are_no_convolution_of_their_picture():
    pair = data.load("builtin_colour", "rocket_kernel_51")
    assert pair.tags == ("saturated",)
    assert misfit(pair).max() > 0.3, "light beyond the camera's range is moved before it is clipped"
    assert np.median(np.abs(misfit(pair) - 0.005)) < 0.005, "where no lamp is near, nothing is wrong"


@pytest.mark.parametrize(("dataset", "name"), [("builtin_colour", "chelsea_kernel_25")])
def test_a_photograph_has_no_truth(dataset, name):
    pair = data.load(dataset, name)
    assert pair.sharp is None and pair.kernel is None and pair.tags == ("photograph",)


def test_colour_content_is_the_same_everywhere():
    """Recorded results refer to these digests: after a change here they have to be computed again."""
    digests = [data.digest("builtin_colour", name) for name in data.names("builtin_colour")]
    assert len(set(digests)) == 7
    assert data.content_digest(*digests)[:16] == "b00feb185ee4afe0"


def test_photographs_are_named_and_identified_without_being_here(monkeypatch):
    assert data.names("photos") == ["fishes", "flower", "house"]
    assert len({data.digest("photos", name) for name in data.names("photos")}) == 3
    assert not data.available("photos")[0]

    def offline(*arguments, **options):
        raise requests.ConnectionError("no network")

    monkeypatch.setattr(requests, "get", offline)
    with pytest.raises(DeblurError, match=r"photos/house\.jpg"):
        data.load("photos", "house")
