"""One slider. It decorates: the notebook has called the same function once above it, for paper and for HTML."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from IPython.display import display
from ipywidgets import HTML, SelectionSlider, VBox

from deblur_core.studies.study import Figure


def slide(function: Callable[[Any], Figure], values: Sequence[Any], label: str) -> None:
    """Show function(value), anew whenever the slider comes to rest on another value.

    Not by `interact`: its Output widget makes nbclient, which runs notebooks without a browser, wait for ever now and
    then. It answers the widget on the socket where it waits for the cell to end, and can miss that end.
    """
    slider = SelectionSlider(options=list(values), description=label, continuous_update=False)
    frame = HTML(function(slider.value)._repr_html_())

    def follow(change: dict) -> None:
        frame.value = function(change["new"])._repr_html_()

    slider.observe(follow, names="value")
    display(VBox([slider, frame]))
