"""The readers of Levin's and Lai's sets against the real files."""

import os
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from itertools import product

import numpy as np
import pytest
import torch
from scipy.ndimage import shift
from scipy.signal import fftconvolve
from torch.nn.functional import pad

from deblur_core import data
from deblur_core.data import registry

needs_data = pytest.mark.skipif(not os.environ.get("DEBLUR_DATA"), reason="real data: set DEBLUR_DATA")


def least_misfit(pair, kernel):
    """Mean squared difference of the blurry image and the sharp one blurred by `kernel`, at the best shift.

    The best shift in whole pixels, then in quarters: half a pixel off costs as much as the wrong orientation.
    """
    blurred = fftconvolve(pair.sharp[0, 0], kernel[0], mode="same")
    target = pair.blurry[0, 0, 20:-20, 20:-20].numpy()

    def misfit(moved):
        return float(np.square(moved[20:-20, 20:-20] - target).mean())

    whole = min(product(range(-6, 7), repeat=2), key=lambda by: misfit(np.roll(blurred, by, axis=(0, 1))))
    quarters = product(np.arange(-0.5, 0.75, 0.25), repeat=2)
    return min(misfit(shift(blurred, np.add(whole, fraction), order=1)) for fraction in quarters)


@needs_data
@pytest.mark.parametrize("number", range(1, 9))
def test_levin_kernels_explain_the_blur_as_they_stand_and_not_rotated(number):
    for image in range(1, 5):
        pair = data.load("levin", f"im{image}_kernel{number}")
        assert pair.blurry.shape == pair.sharp.shape == (1, 1, 255, 255)
        assert pair.kernel.sum() == pytest.approx(1) and pair.kernel.min() >= 0
        assert pair.kernel.shape[-1] - pair.kernel_size == (0 if number == 4 else 2)
        upright, rotated = least_misfit(pair, pair.kernel), least_misfit(pair, pair.kernel.flip(-2, -1))
        assert upright < 0.0002 and rotated > 1.5 * upright


@needs_data
@pytest.mark.parametrize("category", ["manmade", "natural", "people", "saturated", "text"])
def test_lai_blur_is_a_convolution_plus_uniform_noise_unless_saturated(category):
    for number, size in enumerate((31, 51, 55, 75), start=1):
        pair = data.load("lai", f"{category}_01_kernel_0{number}")
        assert pair.tags == (category,)
        assert pair.blurry.shape == pair.sharp.shape and pair.blurry.shape[1] == 3
        assert pair.kernel.shape == (1, size, size) and pair.kernel_size == size
        padded = pad(pair.sharp, (size // 2,) * 4, mode="replicate")[0, 1]
        difference = pair.blurry[0, 1].numpy() - fftconvolve(padded, pair.kernel[0], mode="valid")
        noise = np.sqrt(0.01**2 + (1 / 255) ** 2) / np.sqrt(12)  # uniform of width 0.01, rounded to 8 bits
        if category == "saturated":
            assert difference.std() > 3 * noise
        else:
            assert difference.mean() == pytest.approx(0.005, abs=0.002) and difference.std() < 1.5 * noise


@needs_data
def test_lai_without_the_estimated_kernels_has_the_same_digest(tmp_path, monkeypatch):
    pair = data.load("lai", "text_02_kernel_01")
    source = data.data_folder()
    for path in ("lai2016/blurry_rgb/text_02_kernel_01.png", "lai2016/ground_truth/text_02.png"):
        (tmp_path / path).parent.mkdir(parents=True)
        (tmp_path / path).symlink_to(source / path)
    monkeypatch.setenv("DEBLUR_DATA", str(tmp_path))
    without = data.load("lai", "text_02_kernel_01")
    assert without.kernel is None and without.kernel_size == 31 and without.digest == pair.digest
    assert torch.equal(without.blurry, pair.blurry)


@needs_data
def test_real_data_are_whole():
    for dataset in ("levin", "lai"):
        assert data.available(dataset) == (True, "DEBLUR_DATA")
        assert set(data.verify(dataset).values()) == {"good"}


@needs_data
def test_levin_is_fetched_verified_and_then_read_without_a_data_folder(tmp_path, monkeypatch, capfd):
    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *args):
            pass

    httpd = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=os.environ["DEBLUR_DATA"]))
    threading.Thread(target=httpd.serve_forever, daemon=True).start()
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    source = f"http://127.0.0.1:{httpd.server_port}/levin2009/"
    monkeypatch.setattr(registry, "_SOURCES", {"levin2009/": source})
    provided = data.load("levin", "im3_kernel6")
    monkeypatch.delenv("DEBLUR_DATA")
    monkeypatch.setenv("DEBLUR_HOME", str(tmp_path))

    data.fetch_dataset("levin")
    assert capfd.readouterr() == ("", "")
    httpd.shutdown()
    httpd.server_close()

    assert data.available("levin") == (True, "downloaded")
    downloaded = data.load("levin", "im3_kernel6")
    assert torch.equal(downloaded.blurry, provided.blurry) and downloaded.digest == provided.digest
    (tmp_path / "data/levin2009/gt/im1.png").write_bytes(b"damaged")
    (tmp_path / "data/levin2009/gt/im2.png").unlink()
    verdicts = data.verify("levin")
    assert verdicts.pop("levin2009/gt/im1.png") == "damaged"
    assert verdicts.pop("levin2009/gt/im2.png") == "missing"
    assert set(verdicts.values()) == {"good"} and not data.available("levin")[0]
