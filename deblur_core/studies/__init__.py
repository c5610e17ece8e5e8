"""The studies: one module per table or ablation, found by its STUDY, and where their results come from."""

from __future__ import annotations

import importlib
import json
import pkgutil
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

import deblur_core
from deblur_core.data import home
from deblur_core.errors import DeblurError, UsageError
from deblur_core.files import write_atomically
from deblur_core.runs import Job, Result, Store, run_jobs
from deblur_core.studies.study import PROFILES, Figure, Study, Table, of_task

__all__ = [
    "PROFILES",
    "Figure",
    "Study",
    "Table",
    "collect",
    "default_store",
    "discover",
    "get",
    "jobs",
    "of_task",
    "record",
    "recorded",
    "recording",
]

REPOSITORY = Path(deblur_core.__file__).resolve().parents[1]


@cache
def discover() -> dict[str, Study]:
    """Every module here that defines STUDY, by name, in the order of the notebooks."""
    modules = [importlib.import_module(f"{__name__}.{module.name}") for module in pkgutil.iter_modules(__path__)]
    studies = [module.STUDY for module in modules if hasattr(module, "STUDY")]
    return {study.name: study for study in sorted(studies, key=lambda study: (study.notebook, study.name))}


def get(name: str) -> Study:
    """The study of this name; UsageError for an unknown one."""
    if name not in discover():
        raise UsageError(f"There is no study '{name}': choose one of {', '.join(discover())}.")
    return discover()[name]


def jobs(study: Study, profile: str) -> list[Job]:
    """The jobs of a study at a named profile; UsageError where it has no such profile."""
    if profile not in study.profiles:
        raise UsageError(f"Study {study.name} has no profile '{profile}': choose one of {', '.join(study.profiles)}.")
    return study.jobs(study.profiles[profile])


def default_store() -> Store:
    return Store(home())


def collect(
    study: Study, profile: str, store: Store | None = None, compute: bool = False, **options: Any
) -> list[Result]:
    """Results of a study in the order of its jobs, from the store, else from the recorded results.

    With compute, what the store lacks is run first (options go to run_jobs), so that all arrays are there.
    Without, what is missing is left out. Without a store, recorded results are all there is.
    """
    wanted = jobs(study, profile)
    if compute:
        return run_jobs(wanted, store or default_store(), **options)
    known = recorded()
    found = ((store.get(job) if store else None) or known.get(job.key) for job in wanted)
    return [result for result in found if result is not None]


def record(study: Study, profile: str, results: Iterable[Result]) -> Path:
    """Write the numbers of results, not their arrays, to the file to commit: a line a job, six digits."""
    entries = [
        {"job": result.job.to_json(), "values": _rounded(result.values), "provenance": result.provenance}
        for result in results
    ]
    lines = ",\n".join(json.dumps(entry, sort_keys=True) for entry in entries)
    head = f'{{"study": {json.dumps(study.name)}, "profile": {json.dumps(profile)}, "results": [\n'
    path = recording(study, profile)
    write_atomically(path, f"{head}{lines}\n]}}\n".encode())
    return path


def recording(study: Study, profile: str) -> Path:
    """The file that holds, or would hold, the recorded results of a study at a profile."""
    return _recorded_folder() / f"{study.name}.{profile}.json"


def recorded() -> dict[str, Result]:
    """Every recorded result by the key of its job: studies share jobs, so what one recorded serves another."""
    files = sorted(_recorded_folder().glob("*.*.json"))
    return {result.job.key: result for path in files for result in _read(path, path.stat().st_mtime_ns)}


def _recorded_folder() -> Path:
    return REPOSITORY / "reports" / "recorded"


@cache
def _read(path: Path, modified: int) -> list[Result]:
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))["results"]
        return [Result(Job.from_json(entry["job"]), entry["values"], {}, entry["provenance"]) for entry in entries]
    except (ValueError, KeyError, TypeError) as error:
        raise DeblurError(f"{path} is damaged: restore it with git, or record it again.") from error


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.6g}")
    if isinstance(value, dict):
        return {key: _rounded(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(inner) for inner in value]
    return value
