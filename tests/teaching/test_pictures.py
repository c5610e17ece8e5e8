"""Pictures stand on one scale, and the slider calls what stands above it."""

import numpy as np
import pytest
import torch

from deblur_core.errors import UsageError
from deblur_core.teaching import pictures, widgets


def test_pictures_share_a_scale_whatever_they_are_made_of():
    grey = torch.full((1, 1, 4, 6), 0.5)
    grey[..., 0] = 1.2
    kernel = torch.tensor([[[0.0, 0.1], [0.2, 0.7]]])
    levels = {"bytes": np.full((4, 6), 51, np.uint8), "own": torch.full((3, 4, 6), 51, dtype=torch.uint8)}
    shown = pictures.show({"tensor": grey} | levels, {"kernel": kernel}, "Look.")
    (tensor, integers, colours, own) = (axes.images[0] for axes in shown.figure.axes)
    assert tensor.get_clim() == integers.get_clim() == (0, 1)
    assert tensor.get_array().max() == 1 and np.allclose(integers.get_array(), 0.2)
    assert colours.get_array().shape == (4, 6, 3) and np.allclose(colours.get_array(), 0.2)
    assert np.isclose(own.get_clim()[1], 0.7), "a kernel has its own scale"
    assert [axes.get_title() for axes in shown.figure.axes] == ["tensor", "bytes", "own", "kernel"]
    assert "Look." in shown._repr_html_()


@pytest.mark.parametrize("shape", [(2, 3, 4, 4), (2, 1, 4, 4), (4, 4, 3), (5,)], ids=str)
def test_what_is_not_one_picture_is_told_apart(shape):
    with pytest.raises(UsageError, match=r"shown as \(h, w\) or \(3, h, w\), not"):
        pictures.show({"several": np.zeros(shape)})


def test_curves_count_from_one_unless_told_otherwise():
    (panel,) = pictures.plot({"a": [3, 2, 1], "b": [1, 2, 3]}, xlabel="step").figure.axes
    assert panel.lines[0].get_xdata().tolist() == [1, 2, 3] and panel.get_legend() and panel.get_xlabel() == "step"
    for at in ((10, 100), np.array([10, 100])):
        (panel,) = pictures.plot({"a": [3, 2]}, at, xscale="log").figure.axes
        assert list(panel.lines[0].get_xdata()) == [10, 100] and panel.get_legend() is None


def test_the_slider_shows_another_figure_once_it_is_released(monkeypatch):
    shown = []
    monkeypatch.setattr(widgets, "display", shown.append)
    widgets.slide(lambda n: pictures.show({f"frame {n}": np.eye(n)}, caption=f"Frame {n}."), [4, 20, 80], "iteration")
    slider, frame = shown[0].children
    assert slider.options == (4, 20, 80) and slider.description == "iteration" and not slider.continuous_update
    assert "Frame 4." in frame.value
    slider.value = 80
    assert "Frame 80." in frame.value
