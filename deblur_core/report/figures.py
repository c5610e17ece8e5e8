"""The main job: run what is missing, execute the notebooks, write the report."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Executor
from contextlib import contextmanager
from pathlib import Path

from deblur_core import studies, weights
from deblur_core.data import home
from deblur_core.errors import DeblurError, UsageError
from deblur_core.report import board, readme
from deblur_core.report.build import build
from deblur_core.report.execute import execute_all
from deblur_core.runs import available_cores, default_executor, run_jobs


def regenerate(
    profile: str = "laptop",
    only: Sequence[str] = (),
    workers: int | None = None,
    scheduler: str | None = None,
    device: str = "cpu",
    output: Path | None = None,
) -> None:
    """Run the studies at `profile`, execute their notebooks and write the report.

    The committed report is rewritten by the whole laptop run with the networks that come along, so that it never mixes
    sizes nor loses a study or a recorded run; anything else is written to DEBLUR_HOME.
    """
    if profile not in studies.PROFILES:
        raise UsageError(f"There is no profile '{profile}': choose one of {', '.join(studies.PROFILES)}.")
    if workers is not None and workers < 1:
        raise UsageError(f"At least one worker is needed, not {workers}.")
    chosen = [studies.get(name) for name in dict.fromkeys(only)] or list(studies.discover().values())
    committed = studies.REPOSITORY / "reports"
    whole = profile == "laptop" and not only and weights.own() is None
    output = output.resolve() if output else committed if whole else home() / "reports" / profile
    if output == committed and not whole:
        raise UsageError("reports/ holds the whole laptop report: choose another folder with -o for this one.")
    try:  # before hours of work, not after
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        advice = "choose another folder with -o, or DEBLUR_HOME for all results."
        raise DeblurError(f"Cannot write to {output} ({error.strerror}): {advice}") from error

    store = studies.default_store()
    wanted = list(dict.fromkeys(job for study in chosen for job in studies.jobs(study, profile)))
    kept = set(store.keys())
    print(f"{len(wanted)} jobs, {sum(job.key in kept for job in wanted)} of them done before.", flush=True)
    with _executor(workers, scheduler, device) as executor:
        run_jobs(wanted, store, executor, device, progress=True)

    notebooks = _notebooks({study.notebook for study in chosen} if only else None)
    execute_all(notebooks, profile, output / "notebooks", workers or available_cores())
    rows = build(output, profile, store, chosen)
    if output == committed:
        readme.update(studies.REPOSITORY / "README.md", output)
    spoken = {claim for study in chosen for claim in study.claims}
    verdicts = {row.claim.id: row.verdict for row in rows if not only or row.claim.id in spoken}
    print(*filter(None, [board.summary(verdicts), f"Open {output / 'index.html'}"]), sep=". ", end=".\n")


def _notebooks(stems: set[str] | None) -> list[Path]:
    found = sorted((studies.REPOSITORY / "notebooks").glob("[0-9]*.ipynb"))
    return [path for path in found if stems is None or path.stem in stems]


@contextmanager
def _executor(workers: int | None, scheduler: str | None, device: str) -> Iterator[Executor | None]:
    if scheduler is None:
        with default_executor(workers or (8 if device.startswith("cuda") else available_cores()), device) as local:
            yield local
        return
    try:
        from dask.distributed import Client
    except ImportError as error:
        raise DeblurError("A cluster needs Dask: pip install 'deblur-core[cluster]'.") from error
    try:
        client = Client(scheduler, timeout=10)
    except (OSError, ValueError) as error:
        raise DeblurError(f"No Dask scheduler answers at {scheduler}: start one, or leave --scheduler out.") from error
    with client:
        yield client.get_executor()
