"""Speed of the blur, forward and backward (gradients in image and kernel), every method side by side."""

import time
from collections.abc import Callable

import numpy as np
import torch

from .operator import convolve

CASES = ((1, 100, 11), (1, 255, 17), (1, 255, 27), (8, 255, 27), (1, 400, 51), (1, 800, 75))
"""(batch, blurry image size, kernel size) as in SelfDeblur's inner loop on the images of Levin and Lai."""


def rows(device: str = "cpu", cases: tuple[tuple[int, int, int], ...] = CASES) -> list[dict]:
    """One row per case and method; p20, p50 and p80 are milliseconds.

    On CPU they are wall-clock times. On CUDA they are those of the captured graph, what the GPU needs, and
    `eager` is the median when launched call by call, what the host needs if that is more. `floor` is what the
    direct sum needs at the memory bandwidth and float32 matrix rate measured here, `roofline` is floor / p50;
    FFT has less to compute than the direct sum. `direct` is conv2d as a user would call it, with TF32 where
    cuDNN is allowed to use it.
    """
    on_gpu = torch.device(device).type == "cuda"
    hardware = {
        "device": torch.cuda.get_device_name(device) if on_gpu else f"CPU, {torch.get_num_threads()} threads",
        "torch": torch.__version__,
    }
    ceilings = _ceilings(device) if on_gpu else None
    table = []
    for batch, size, kernel in cases:
        for method in ("direct", "fft", "triton") if on_gpu else ("direct", "fft"):
            step, bytes_moved, operations = _step(batch, size, kernel, method, device)
            times = _times_on_gpu(step) if on_gpu else _times_on_cpu(step)
            if ceilings:
                times["floor"] = 1e3 * max(bytes_moved / ceilings[0], operations / ceilings[1])
                times["roofline"] = times["floor"] / times["p50"]
            case = {"batch": batch, "size": size, "kernel": kernel, "method": method}
            table.append({**case, **times, **hardware})
    return table


def _step(batch: int, size: int, kernel: int, method: str, device: str) -> tuple[Callable[[], object], int, int]:
    """A forward and backward pass, the bytes it must move, and the operations of the direct sum."""
    generator = torch.Generator().manual_seed(0)
    full = size + kernel - 1
    x, k, g = (
        torch.rand(shape, generator=generator).to(device)
        for shape in ((batch, 1, full, full), (batch, kernel, kernel), (batch, 1, size, size))
    )
    x.requires_grad_(), k.requires_grad_()
    # each of the three sums has a product per tap and pixel of y, reads two of x, k, y and writes the third
    bytes_moved = 3 * (x.nbytes + k.nbytes + g.nbytes)
    operations = 3 * 2 * g.numel() * kernel**2
    return lambda: torch.autograd.grad(convolve(x, k, method), (x, k), g), bytes_moved, operations


def _times_on_cpu(step: Callable[[], object], seconds: float = 0.3) -> dict[str, float]:
    step()
    times: list[float] = []
    end = time.perf_counter() + seconds
    while not times or time.perf_counter() < end:
        start = time.perf_counter()
        step()
        times.append(1e3 * (time.perf_counter() - start))
    return dict(zip(("p20", "p50", "p80"), np.percentile(times, [20, 50, 80]).tolist(), strict=True))


def _times_on_gpu(step: Callable[[], object]) -> dict[str, float]:
    from triton.testing import do_bench, do_bench_cudagraph

    eager = do_bench(step, warmup=20, rep=50, return_mode="median")
    captured = do_bench_cudagraph(step, rep=20, quantiles=[0.2, 0.5, 0.8])
    return {**dict(zip(("p20", "p50", "p80"), captured, strict=True)), "eager": eager}


def _ceilings(device: str) -> tuple[float, float]:
    """Bytes per second of a copy (read and written) and float32 operations per second of a matrix product."""
    from triton.testing import do_bench

    a = torch.rand(8192, 8192, device=device)
    b = torch.empty_like(a)
    copy = do_bench(lambda: b.copy_(a), return_mode="median") / 1e3
    product = do_bench(lambda: torch.mm(a, a, out=b), return_mode="median") / 1e3
    return 2 * a.nbytes / copy, 2 * len(a) ** 3 / product
