"""One look for every figure: the Okabe-Ito palette, no chart junk, pixels shown as they are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import matplotlib.style
from cycler import cycler
from matplotlib.axes import Axes
from matplotlib.figure import Figure

# Okabe & Ito, "Color Universal Design", 2008: told apart with every kind of colour vision.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
STYLE = {
    "axes.prop_cycle": cycler(color=PALETTE),
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 10,
    "axes.grid": True,
    "grid.alpha": 0.25,
    "font.size": 9,
    "legend.frameon": False,
    "figure.dpi": 110,
    "savefig.dpi": 150,
    "savefig.facecolor": "white",
    "image.interpolation": "nearest",
    "image.cmap": "gray",
}
DASHED = {"color": "0.5", "linestyle": "--", "linewidth": 1}
"""A level to compare with."""


def subplots(
    rows: int = 1, columns: int = 1, width: float = 3.2, height: float = 2.6, **options: Any
) -> tuple[Figure, Any]:
    """A figure of rows x columns axes, each of width x height inches, and the array of these axes.

    The house style holds for the whole process from the first call on. pyplot is not involved: a notebook
    shows the figure once, where it is returned, and a server without a display draws it too.
    """
    matplotlib.style.use(STYLE)
    figure = Figure(figsize=(width * columns, height * rows), layout="constrained")
    return figure, figure.subplots(rows, columns, squeeze=False, **options)


def show_image(axes: Axes, image: Any, title: str = "", maximum: float | None = 1.0) -> None:
    """Draw a picture `(h, w)` or `(h, w, 3)` on the scale 0 to `maximum`; None is its own maximum."""
    axes.imshow(image, vmin=0, vmax=maximum)
    axes.set_title(title)
    axes.set_axis_off()


def show_spread(
    axes: Axes, values: Sequence[float], mean: float, row: int, color: str = PALETTE[0], of_mean: str = PALETTE[1]
) -> None:
    """Draw values as dots in one row, and their mean as a bar."""
    axes.plot(values, [row] * len(values), "o", color=color, markersize=4, alpha=0.5)
    axes.plot(mean, row, "|", color=of_mean, markersize=18, markeredgewidth=2.5)
