"""Any executor gives the same results, each job is computed once, and a failure costs its own job alone."""

import errno
import os
import weakref
from concurrent.futures import BrokenExecutor, Executor, Future, ThreadPoolExecutor

import numpy as np
import pytest
import torch
import toy_tasks

from deblur_core.errors import DeblurError
from deblur_core.files import WriteError
from deblur_core.runs import Job, Store, available_cores, default_executor, run_job, run_jobs, run_stored


@pytest.fixture(scope="module")
def processes():
    with default_executor(workers=2) as executor:
        yield executor


@pytest.fixture(scope="module")
def threads():
    with ThreadPoolExecutor(2) as executor:
        yield executor


@pytest.fixture(scope="module")
def in_process():
    with default_executor(workers=1) as executor:
        assert executor is None
        yield executor


@pytest.fixture(scope="module")
def dask():
    distributed = pytest.importorskip("distributed", reason="dask[distributed] is not installed")
    with (
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client.get_executor()


@pytest.fixture(params=["in_process", "threads", "processes", "dask"])
def executor(request):
    return request.getfixturevalue(request.param)


def test_any_executor_gives_the_same_in_the_order_of_the_jobs(executor, store):
    jobs = [*toy_tasks.noise_jobs(4), *toy_tasks.walk_jobs()]
    results = run_jobs(jobs, store, executor)
    assert [result.job for result in results] == jobs
    for result in results:
        alone = run_job(result.job)
        assert result.values == alone.values
        for name in alone.arrays:
            np.testing.assert_array_equal(result.arrays[name], alone.arrays[name], strict=True)
    assert not list(store.root.glob("checkpoints/*")), "checkpoints go when results are stored"


def test_a_failing_job_does_not_stop_the_others(executor, store):
    moods = ["fine", "error", "fine", "sentence", "fine"]
    jobs = [Job.create(toy_tasks.fragile, seed=seed, mood=mood) for seed, mood in enumerate(moods)]
    run_jobs(jobs[:1], store)
    with pytest.raises(DeblurError) as raised:
        run_jobs(jobs, store, executor)
    sentence = str(raised.value)
    assert sentence.startswith("2 of 5 jobs failed") and "\n" not in sentence
    assert "fragile(mood='error', seed=1): ValueError: seed 1 is unlucky" in sentence
    assert [store.get(job) is not None for job in jobs] == [mood == "fine" for mood in moods]


def test_stored_and_repeated_jobs_are_not_computed_again(store, trace):
    jobs = toy_tasks.noise_jobs(3)
    run_jobs(jobs[:1], store)
    results = run_jobs([jobs[2], jobs[0], jobs[1], jobs[2]], store)
    assert [result.job for result in results] == [jobs[2], jobs[0], jobs[1], jobs[2]]
    assert sorted(trace()) == ["noise 0", "noise 1", "noise 2"]


def test_a_damaged_entry_is_computed_again(store, trace):
    jobs = toy_tasks.noise_jobs(2)
    before = run_jobs(jobs, store)
    next(store.root.glob(f"store/*/{jobs[1].key}/arrays.npz")).write_bytes(b"")
    with pytest.warns(UserWarning, match=jobs[1].key):
        after = run_jobs(jobs, store)
    assert [result.values for result in before] == [result.values for result in after]
    assert trace() == ["noise 0", "noise 1", "noise 1"]


def test_a_killed_worker_is_one_sentence_and_what_is_finished_is_kept(store):
    jobs = [Job.create(toy_tasks.fragile, seed=seed) for seed in range(3)]
    with (
        default_executor(workers=2) as executor,
        pytest.raises(DeblurError, match=r"worker process died.*fewer workers"),
    ):
        run_jobs([*jobs, Job.create(toy_tasks.fragile, seed=9, mood="killed")], store, executor)
    assert all(store.get(job) for job in jobs)


def test_a_full_disk_ends_the_run_at_once(store, trace, monkeypatch):
    jobs = toy_tasks.noise_jobs(3)
    run_jobs(jobs[:1], store)

    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch, pytest.raises(WriteError, match="No space"):
        patch.setattr("os.fsync", full)
        run_jobs(jobs, store)
    assert trace() == ["noise 0", "noise 1"], "no work is begun that could not be kept"
    assert store.keys() == [jobs[0].key]
    assert len(run_jobs(jobs, store)) == 3


def test_an_interrupt_keeps_what_is_finished_and_begins_nothing_more(store, trace):
    moods = ["fine", "interrupt", "fine"]
    jobs = [Job.create(toy_tasks.fragile, seed=seed, mood=mood) for seed, mood in enumerate(moods)]
    with pytest.raises(KeyboardInterrupt):
        run_jobs(jobs, store)
    assert store.keys() == [jobs[0].key] and trace() == ["fragile 0", "fragile 1"]


def test_workers_that_write_elsewhere_are_noticed(store, tmp_path, monkeypatch):
    monkeypatch.setattr(Store, "put", lambda self, result: None)
    with pytest.raises(DeblurError, match="every worker must see"):
        run_jobs(toy_tasks.noise_jobs(1), store)


def test_processes_share_the_cores(processes, store):
    values = [
        result.values for result in run_jobs([Job.create(toy_tasks.worker, seed=n) for n in range(6)], store, processes)
    ]
    assert {value["threads"] for value in values} == {max(1, available_cores() // 2)}
    assert os.getpid() not in {value["process"] for value in values}


def test_no_bar_without_a_terminal(store, capfd):
    run_jobs(toy_tasks.noise_jobs(2), store, progress=True)
    captured = capfd.readouterr()
    assert captured.out == captured.err == ""


def test_threads_run_at_the_same_time(threads, store):
    assert len(run_jobs([Job.create(toy_tasks.meet, seed=seed) for seed in range(2)], store, threads)) == 2


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_each_thread_on_a_gpu_has_a_stream_of_its_own(store, tmp_path):
    jobs = [Job.create(toy_tasks.matrices, seed=seed) for seed in range(6)]
    with default_executor(workers=3, device="cuda") as executor:
        results = run_jobs(jobs, store, executor, device="cuda")
    again = run_jobs(jobs, Store(tmp_path / "again"), device="cuda")
    for result, same in zip(results, again, strict=True):
        np.testing.assert_array_equal(result.arrays["x"], same.arrays["x"])
        assert result.values["stream"] != torch.cuda.default_stream().cuda_stream
        assert result.provenance["gpu"] == torch.cuda.get_device_name()


def test_a_job_that_builds_on_another_finds_it_in_the_store(store, trace):
    base, *built = [Job.create(toy_tasks.noise, seed=4), Job.create(toy_tasks.doubled, seed=4)]
    (found,) = run_jobs(built, store)
    assert store.get(base) is not None  # computed on the way, and kept
    assert found.values["mean"] == 2 * run_jobs([base], store)[0].values["mean"]
    assert trace() == ["noise 4"]


def test_a_job_that_builds_on_another_runs_without_a_store():
    base, built = (run_job(Job.create(function, seed=4)) for function in (toy_tasks.noise, toy_tasks.doubled))
    assert built.values["mean"] == 2 * base.values["mean"]


@pytest.mark.parametrize("threaded", [False, True])
def test_a_job_and_what_it_builds_on_run_on_the_device_that_was_asked_for(store, threads, threaded):
    built, base = (Job.create(function, seed=4) for function in (toy_tasks.doubled, toy_tasks.noise))
    run_jobs([built], store, threads if threaded else None, device="cpu:0")
    assert [store.get(job).provenance["device"] for job in (built, base)] == ["cpu:0"] * 2


def test_a_failure_does_not_hold_on_to_the_tensors_of_its_job(store, monkeypatch):
    held = []

    def fail(line):
        tensor = torch.zeros(3)
        held.append(weakref.ref(tensor))
        raise ValueError(line)

    monkeypatch.setattr(toy_tasks, "note", fail)
    with pytest.raises(DeblurError, match="1 of 1 jobs failed") as raised:
        run_jobs(toy_tasks.noise_jobs(1), store)
    assert isinstance(raised.value.__cause__, ValueError) and held[0]() is None


def test_a_checkpoint_stays_until_the_result_is_stored_and_no_longer(store, monkeypatch):
    job = toy_tasks.walk_jobs()[0]
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Store, "put", interrupted)
        run_stored(job, store)
    kept = store.checkpoint(job).load()
    assert kept["step"] == 20
    run_stored(job, store)
    assert store.checkpoint(job).load() is None
    store.checkpoint(job).save(kept)  # as after a kill between the two
    run_stored(job, store)
    assert store.checkpoint(job).load() is None


def interrupted(*_):
    raise KeyboardInterrupt


def test_a_run_that_ends_early_takes_back_what_waits(store):
    futures = []

    class Dying(Executor):
        def submit(self, *call):
            futures.append(Future())
            if len(futures) == 1:
                futures[0].set_exception(BrokenExecutor())
            return futures[-1]

    with pytest.raises(DeblurError, match="worker process died"):
        run_jobs(toy_tasks.noise_jobs(3), store, Dying())
    assert [future.cancelled() for future in futures] == [False, True, True]
