"""One slider. It decorates: the notebook has called the same function once above it, for paper and for HTML."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ipywidgets import SelectionSlider, interact


def slide(function: Callable[[Any], Any], values: Sequence[Any], label: str) -> None:
    """Show what function(value) returns, anew whenever the slider comes to rest on another value."""
    slider = SelectionSlider(options=list(values), description=label, continuous_update=False)

    def show(value):
        return function(value)

    interact(show, value=slider)
