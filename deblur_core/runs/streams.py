"""A CUDA stream for every thread."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

import torch

MOST_THREADS = 31
"""That can have streams of their own: PyTorch deals out 32 of a device in turn, and one is for the main thread."""

_OWN = threading.local()


@contextlib.contextmanager
def own_stream(device: str | torch.device) -> Iterator[None]:
    """Work on this thread's own CUDA stream, always the same one; nothing happens on a CPU.

    Graphs cannot be captured on the default stream, nor on one that another thread uses meanwhile.
    """
    if torch.device(device).type != "cuda":
        yield
        return
    own, name = vars(_OWN), str(device)
    if name not in own:
        own[name] = torch.cuda.Stream(device)
    stream = own[name]
    stream.wait_stream(torch.cuda.current_stream(device))  # what it is given may still be on the way
    with torch.cuda.stream(stream):
        yield
        stream.synchronize()
