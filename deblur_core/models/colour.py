"""What every network for colour pictures asks of its input."""

from __future__ import annotations

from torch import Tensor

from deblur_core.errors import UsageError


def check_colour(picture: Tensor) -> None:
    """Raises UsageError unless these are pictures (b, 3, h, w) of floats: some networks would take bytes."""
    if picture.ndim != 4 or picture.shape[1] != 3 or not picture.is_floating_point():
        raise UsageError(
            "The network takes colour pictures (batch, 3, height, width) of floats in [0, 1], "
            f"not {picture.dtype} {tuple(picture.shape)}."
        )
