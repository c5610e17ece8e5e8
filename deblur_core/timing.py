"""Timing for benchmarks."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import torch

K = TypeVar("K")


def in_turn(
    variants: Mapping[K, Callable[[], Any]],
    device: str = "cpu",
    repeats: int = 5,
    warm_up: int = 1,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[K, float]:
    """Median seconds of a call of each variant, all of them in turn, so that a busy moment meets them all.

    The first `warm_up` rounds, which allocate and on a GPU may record a graph, do not count. Waits for a GPU each time.
    """
    seconds: dict[K, list[float]] = {name: [] for name in variants}
    for repeat in range(-warm_up, repeats):
        for name, run in variants.items():
            started = clock()
            run()
            if torch.device(device).type == "cuda":
                torch.cuda.synchronize(device)
            if repeat >= 0:
                seconds[name].append(clock() - started)
    return {name: statistics.median(values) for name, values in seconds.items()}
