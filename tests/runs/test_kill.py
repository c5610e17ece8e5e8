"""Real processes, really killed: a restart ends with the numbers of an undisturbed run."""

import os
import signal
import time
from collections import Counter

import numpy as np
import pytest
import toy_tasks

from deblur_core.runs import Context, Store, run_job, run_jobs

WALK = "run_jobs(toy_tasks.walk_jobs(wait=0.03), Store(sys.argv[1]))"
POOL = """
with default_executor(workers=2) as executor:
    count, first, others = int(sys.argv[2]), float(sys.argv[3]), float(sys.argv[4])
    jobs = toy_tasks.noise_jobs(count, wait=others)
    jobs[0] = Job.create(toy_tasks.noise, seed=0, wait=first)
    run_jobs(jobs, Store(sys.argv[1]), executor)
"""


def wait_until(condition, seconds=40.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)


def test_killed_and_restarted_equals_undisturbed(store, trace, start, tmp_path):
    jobs = toy_tasks.walk_jobs(wait=0.03)
    process = start(WALK, store.root)
    wait_until(lambda: "walk 1 12" in trace())
    process.kill()
    assert process.wait() == -signal.SIGKILL
    assert store.keys() == [jobs[0].key]

    restarted = start(WALK, store.root)
    assert restarted.wait() == 0, restarted.stderr.read()
    counts = Counter(trace())
    assert all(counts[f"walk 0 {step}"] == 1 for step in range(23)), "a finished job is not run again"
    assert all(counts[f"walk 1 {step}"] == 1 for step in range(10)), "a checkpoint saves the steps before it"
    results = [store.get(job) for job in jobs]
    assert [result.provenance["resumed"] for result in results] == [False, True, False]
    for result, undisturbed in zip(results, run_jobs(jobs, Store(tmp_path / "other")), strict=True):
        assert result.values == undisturbed.values
        np.testing.assert_array_equal(result.arrays["place"], undisturbed.arrays["place"], strict=True)


@pytest.mark.parametrize("stop", [0, 4, 5, 17, 22])
def test_resumed_at_any_step_the_numbers_are_the_same(store, stop, monkeypatch):
    job = toy_tasks.walk_jobs()[0]

    def stop_there(line):
        if line == f"walk 0 {stop}":
            raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(toy_tasks, "note", stop_there)
        run_job(job, Context(checkpoint=store.checkpoint(job)))
    resumed, straight = run_job(job, Context(checkpoint=store.checkpoint(job))), run_job(job)
    assert resumed.provenance["resumed"] == (stop >= 5)
    assert resumed.values == straight.values
    np.testing.assert_array_equal(resumed.arrays["place"], straight.arrays["place"])


def test_two_runs_at_once_compute_each_job_once(store, trace, start):
    script = "run_jobs(toy_tasks.noise_jobs(8, wait=0.2), Store(sys.argv[1]))"
    runs = [start(script, store.root) for _ in range(2)]
    for run in runs:
        assert run.wait() == 0, run.stderr.read()
    assert sorted(trace()) == [f"noise {seed}" for seed in range(8)]
    assert len(store.keys()) == 8


def processes_of_group(group: int) -> int:
    """How many processes of the group live, without zombies."""
    states = []
    for path in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{path}/stat") as file:
                state, _, member = file.read().rpartition(")")[2].split()[:3]
        except (FileNotFoundError, ProcessLookupError):
            continue
        states += [state] * (int(member) == group)
    return sum(state != "Z" for state in states)


needs_proc = pytest.mark.skipif(not os.path.exists("/proc/self/stat"), reason="needs /proc")


@needs_proc
def test_workers_end_when_their_run_is_killed(store, trace, start):
    process = start(POOL, store.root, 40, 0.5, 0.5)
    wait_until(lambda: len(trace()) > 2)
    assert processes_of_group(process.pid) >= 3
    process.kill()
    wait_until(lambda: processes_of_group(process.pid) == 0, 10)
    assert len(trace()) < 10
    assert store.keys() and len(list(store.results())) == len(store.keys())


@needs_proc
def test_an_interrupt_ends_busy_and_idle_workers_at_once_and_in_silence(store, trace, start):
    process = start(POOL, store.root, 2, 3, 60)
    wait_until(lambda: len(trace()) == 2)
    assert store.keys() == [], "each worker has a job"
    wait_until(lambda: len(store.keys()) == 1)
    time.sleep(0.3)
    os.killpg(process.pid, signal.SIGINT)  # as Ctrl-C does
    wait_until(lambda: processes_of_group(process.pid) == 0, 10)
    said = process.stderr.read()
    assert said.endswith("KeyboardInterrupt\n") and "SpawnProcess" not in said
    assert len(store.keys()) == 1
