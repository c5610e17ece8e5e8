"""Photographs of one's own: what `deblur photo` itself does is in test_cli.py."""

import pytest
import torch

from deblur_core import photo
from deblur_core.data import write_image
from deblur_core.errors import DeblurError, UsageError
from deblur_core.photo import _no_finer_than_shown, deblur_photo


@pytest.mark.parametrize(("height", "width", "factor"), [(300, 1700, 1), (3000, 4000, 4), (3, 4000, 3), (9000, 40, 1)])
def test_the_figure_gets_no_more_pixels_than_it_can_show(height, width, factor):
    picture = torch.full((1, 3, height, width), 0.25)
    shown = _no_finer_than_shown(picture)
    assert shown.shape == (1, 3, height // factor, width // factor)
    assert torch.allclose(shown, torch.tensor(0.25))


def test_the_deconvolution_of_the_whole_picture_is_in_the_estimate(tmp_path, monkeypatch):
    write_image(tmp_path / "wide.png", torch.linspace(0, 1, 600).expand(1, 1, 300, 600))
    monkeypatch.setattr(photo.selfdeblur, "estimate_cost", lambda *of: (1.0, 0))
    monkeypatch.setattr(photo, "total_memory", lambda device: 100 * 300 * 600)
    with pytest.raises(DeblurError, match="which is not there"):
        deblur_photo(tmp_path / "wide.png", 9, tmp_path)


@pytest.mark.parametrize(("method", "kernel_size"), [("selfdeblur", 9), ("kernel_space", None)])
def test_a_picture_of_one_grey_is_refused(tmp_path, method, kernel_size):
    write_image(tmp_path / "sky.png", torch.full((1, 1, 64, 64), 0.5))
    for path, folder in ((tmp_path / "sky.png", tmp_path), (str(tmp_path / "sky.png"), str(tmp_path))):
        with pytest.raises(UsageError, match=r"sky\.png is of one grey"):
            deblur_photo(path, kernel_size, folder, method=method)
