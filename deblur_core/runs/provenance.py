"""Where numbers come from: versions, commit, hardware, time. Never a path, a user or a host name."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from datetime import datetime, timezone
from functools import cache
from pathlib import Path
from typing import Any

import numpy
import torch

from .. import __version__

_PACKAGE = Path(__file__).resolve().parents[1]


def available_cores() -> int:
    """CPU cores that this process may use, which on a shared machine are fewer than it has."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def computes_in_bfloat16(device: str | torch.device = "cpu") -> bool:
    """Whether the device has instructions for bfloat16. Elsewhere PyTorch emulates it, slower than float32."""
    device = torch.device(device)
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    return any(getattr(torch.cpu, f"_is_{unit}_supported", bool)() for unit in ("avx512_bf16", "amx_tile"))


def provenance(device: str = "cpu", seconds: float | None = None, resumed: bool = False) -> dict[str, Any]:
    """What made a result, JSON-able. `seconds` covers the last sitting alone where `resumed` is true.

    The number of threads is named because the order of a parallel sum moves its last bit.
    """
    return _software() | {
        "platform": f"{platform.system()} {platform.machine()}",
        "cpu": _cpu_name(),
        "cores": available_cores(),
        "threads": torch.get_num_threads(),
        "bfloat16": computes_in_bfloat16(device),
        "device": device,
        "gpu": torch.cuda.get_device_name(device) if device.startswith("cuda") else None,
        "seconds": seconds,
        "resumed": resumed,
        "finished": datetime.now(timezone.utc).isoformat(timespec="seconds"),
    }


@cache
def _software() -> dict[str, Any]:
    # Once per process: the code that is loaded stays the same when the working tree moves on. A package that
    # git does not track, installed somewhere inside another repository, has no commit of its own.
    # DEBLUR_COMMIT names it on a machine that got the code without its repository.
    commit = os.environ.get("DEBLUR_COMMIT") or (
        _git("rev-parse", "HEAD") if _git("ls-files", "--error-unmatch", "__init__.py") else None
    )
    return {
        "deblur_core": __version__,
        "commit": commit,
        "dirty": bool(commit and _git("status", "--porcelain", "--", ".")),
        "python": platform.python_version(),
        "torch": str(torch.__version__),
        "numpy": numpy.__version__,
    }


def _git(*arguments: str) -> str | None:
    """What git answers in the package's folder; None without git or a repository."""
    command = ["git", "--no-optional-locks", "-C", str(_PACKAGE), *arguments]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return answer.stdout.strip() if answer.returncode == 0 else None


@cache
def _cpu_name() -> str:
    try:
        model = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    except OSError:
        model = None
    return model.group(1).strip() if model else platform.processor() or platform.machine()
