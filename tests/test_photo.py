"""Photographs of one's own: what `deblur photo` itself does is in test_cli.py."""

import pytest
import torch

from deblur_core.photo import _no_finer_than_shown


@pytest.mark.parametrize(("height", "width", "factor"), [(300, 1700, 1), (3000, 4000, 4), (3, 4000, 3), (9000, 40, 1)])
def test_the_figure_gets_no_more_pixels_than_it_can_show(height, width, factor):
    picture = torch.full((1, 3, height, width), 0.25)
    shown = _no_finer_than_shown(picture)
    assert shown.shape == (1, 3, height // factor, width // factor)
    assert torch.allclose(shown, torch.tensor(0.25))
