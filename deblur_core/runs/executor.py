"""Running many jobs: on any executor, each one once, whatever fails or is killed meanwhile."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import traceback
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import (
    BrokenExecutor,
    Executor,
    Future,
    ProcessPoolExecutor,
    ThreadPoolExecutor,
    as_completed,
)
from contextlib import closing, contextmanager
from functools import partial

import torch
from tqdm import tqdm  # type: ignore[import-untyped]

from ..errors import DeblurError
from ..files import WriteError
from .job import Context, Job, Result, run_job, unwatched
from .provenance import available_cores
from .store import Store
from .streams import MOST_THREADS, own_stream


def run_jobs(
    jobs: Iterable[Job],
    store: Store,
    executor: Executor | None = None,
    device: str = "cpu",
    progress: bool = False,
) -> list[Result]:
    """The results of `jobs`, in their order, computed where the store has none.

    `executor` is any `concurrent.futures.Executor` whose workers see the store's folder (also a Dask client's
    `get_executor()`); None runs one job after another in this process. `progress` shows a bar on a terminal.
    A job that fails does not stop the others; then a DeblurError says how many failed and why the first did.
    """
    jobs = list(jobs)
    results = {job: store.get(job) for job in jobs}
    missing = [job for job, result in results.items() if result is None]
    failures: dict[Job, Exception] = {}
    try:
        with closing(_outcomes(missing, store, executor, device)) as outcomes:
            # None makes tqdm look whether there is a terminal: no bar in a log or a notebook.
            hidden = None if progress else True
            for job, failure in tqdm(outcomes, total=len(missing), unit="job", disable=hidden):
                results[job] = store.get(job)
                if failure is not None:
                    failures[job] = failure
                elif results[job] is None:
                    failures[job] = DeblurError(f"no result came to {store.root}, which every worker must see")
    except BrokenExecutor as error:
        raise DeblurError(
            "A worker process died, most often for want of memory: the finished jobs are kept, "
            "so start again with fewer workers."
        ) from error
    if failures:
        first = next(job for job in missing if job in failures)
        reason = failures[first]
        said = str(reason) if isinstance(reason, DeblurError) else f"{type(reason).__name__}: {reason}"
        raise DeblurError(
            f"{len(failures)} of {len(results)} jobs failed, the others are kept; the first, {first}: {said}"
        ) from reason
    return [results[job] for job in jobs]  # type: ignore[misc]


def run_stored(job: Job, store: Store, device: str = "cpu", progress: Callable[..., None] = unwatched) -> Result:
    """The result of one job, computed where the store has none; what it builds on comes by the same way."""
    with store.lock(job), own_stream(device):
        checkpoint = store.checkpoint(job)
        if (found := store.get(job)) is None:  # looked up here, for who held the lock may just have finished it
            needed = partial(run_stored, store=store, device=device)
            found = run_job(job, Context(device, checkpoint, progress, needed))
            store.put(found)
        checkpoint.drop()
    return found


@contextmanager
def default_executor(workers: int = 1, device: str = "cpu") -> Iterator[Executor | None]:
    """What runs jobs on this machine, for `run_jobs`.

    One worker is this process. More are, on the CPU, fresh processes that share its cores and, on a GPU,
    at most 31 threads of this process, which share one CUDA context; each has a stream of its own.
    """
    if workers <= 1:
        yield None
        return
    executor: Executor
    if device.startswith("cuda"):
        executor = ThreadPoolExecutor(min(workers, MOST_THREADS))
    else:
        threads = max(1, available_cores() // workers)
        spawn = multiprocessing.get_context("spawn")  # a forked copy of torch's thread pools can hang
        executor = ProcessPoolExecutor(workers, spawn, _begin_worker, (threads,))
    try:
        yield executor
    finally:
        executor.shutdown(cancel_futures=True)


def _begin_worker(threads: int) -> None:
    end_with_parent()
    torch.set_num_threads(threads)


def end_with_parent() -> None:
    """What a worker process begins with, so that it ends quietly and at once with Ctrl-C, and whenever its parent does.

    Nothing is lost: what a worker writes is complete or absent.
    """
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C reaches the workers too
    threading.Thread(target=_wait_for_parent, daemon=True).start()


def _wait_for_parent() -> None:
    # A worker holds both ends of its queue, so without this it would outlive a killed parent for ever.
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _outcomes(
    jobs: list[Job], store: Store, executor: Executor | None, device: str
) -> Generator[tuple[Job, Exception | None], None, None]:
    """Each job, as they finish, with what it raised. Raises what leaves no other job a chance."""
    futures: dict[Future, Job] = {}
    calls: Iterable[tuple[Job, Callable]]
    try:
        if executor is None:
            calls = ((job, partial(_compute, job, store, device)) for job in jobs)
        else:
            futures = {executor.submit(_compute, job, store, device): job for job in jobs}
            calls = ((futures[future], future.result) for future in as_completed(futures))
        for job, call in calls:
            try:
                call()
            except (BrokenExecutor, WriteError):
                raise
            except Exception as failure:
                traceback.clear_frames(failure.__traceback__)  # which hold on to the job's tensors
                yield job, failure
            else:
                yield job, None
    finally:
        for future in futures:
            future.cancel()


def _compute(job: Job, store: Store, device: str) -> None:
    """Runs in a worker. The result travels through the store, so nothing large passes between processes."""
    run_stored(job, store, device)
