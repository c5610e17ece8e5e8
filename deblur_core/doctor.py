"""What this machine can do for this project, and what is missing."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import torch

from deblur_core import data, metrics, weights
from deblur_core.errors import DeblurError
from deblur_core.runs import provenance


def examine() -> dict[str, str]:
    """One line a topic. Looks and writes nothing."""
    machine = provenance()
    gpus = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    extras = {"notebooks": "papermill", "cluster": "dask", "perceptual": "lpips", "test": "pytest"}
    missing = [name for name, module in extras.items() if find_spec(module) is None]
    memory = total_memory()
    facts = {
        "deblur": f"{machine['deblur_core']}, commit {(machine['commit'] or 'unknown')[:12]}",
        "python": f"{machine['python']}, {machine['platform']}",
        "torch": machine["torch"],
        "cpu": f"{machine['cpu']}, {machine['cores']} cores" + (f", {memory / 2**30:.0f} GiB" if memory else ""),
        "bfloat16": "computed" if machine["bfloat16"] else "not computed by this CPU: float32 stands in",
        "gpu": ", ".join(gpus) or "none that PyTorch can use: everything runs on the CPU",
        "triton": "yes" if find_spec("triton") else "no: PyTorch's own operators are used",
        "extras": f"missing: pip install 'deblur-core[{','.join(missing)}]'" if missing else "all installed",
        "DEBLUR_HOME": _describe_folder(data.home()),
        "DEBLUR_DATA": _told(data.data_folder) or "not set: benchmarks are downloaded when they are asked for",
        "DEBLUR_WEIGHTS": _told(weights.own) or "not set: the networks that come with the project are used",
    }
    for dataset in data.DATASETS:
        facts[f"data {dataset}"] = _told(lambda dataset=dataset: f"{len(data.names(dataset))} pairs, "
                                         f"{data.available(dataset)[1]}")  # fmt: skip
    for metric in metrics.PERCEPTUAL:
        facts[metric] = _told(lambda metric=metric: metrics.available(metric)[1])
    return facts


def _told(look: Callable[[], object]) -> str:
    """What there is to say, if only what is wrong; empty for None."""
    try:
        return str(look() or "")
    except DeblurError as error:
        return str(error)


def total_memory(device: str = "cpu") -> int | None:
    """Bytes that this machine or GPU has; None where the system does not tell."""
    if device.startswith("cuda"):
        return torch.cuda.get_device_properties(device).total_memory
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return None


def _describe_folder(path: Path) -> str:
    existing = next((folder for folder in (path, *path.parents) if folder.exists()), None)
    if existing is None or not existing.is_dir() or not os.access(existing, os.W_OK):
        return f"{path}, which cannot be written: set DEBLUR_HOME to another folder"
    return f"{path}, {shutil.disk_usage(existing).free / 2**30:.0f} GiB free"
