"""PyTorch's own initial weights come from one global state that all threads share; here each network has it alone."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

import torch

_LOCK = threading.RLock()


@contextlib.contextmanager
def own_randomness(seed: int = 0) -> Iterator[None]:
    """Within, PyTorch's global random numbers on the CPU begin at `seed`, and no other thread that asks for its own
    draws from them or changes them; afterwards they go on as if nothing had been."""
    with _LOCK, torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        yield
