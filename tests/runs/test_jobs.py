"""Jobs are data with stable keys; running one depends on nothing else; checkpoints are exact or refused."""

import math
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest
import torch
import toy_tasks

from deblur_core.errors import DeblurError
from deblur_core.files import sha256
from deblur_core.runs import Checkpoint, Context, Job, from_settings, run_job, task


@dataclass(frozen=True)
class Recipe:
    rates: tuple = (0.5, 0.25)
    name: str = "quick"


def test_golden_key():
    # If this fails, every stored result of every user is lost: change the key only on purpose.
    job = Job.create(toy_tasks.noise, data="d1", seed=7, size=np.int64(4))
    assert job.key == "0a6c273ce289ca0396bb0a45e8f91283"
    assert job.canonical_settings == '{"seed":7,"size":4,"wait":0.0}'


def test_one_key_for_one_work():
    def key(**settings):
        return Job.create(toy_tasks.noise, seed=1, **settings).key

    assert key(size={"b": 1, "a": (2, 3)}) == key(size={"a": [2, 3], "b": 1})
    assert key(size=Recipe()) == key(size={"name": "quick", "rates": [0.5, 0.25]})
    assert key(size=8) == key(), "a default written out is the same work"


@dataclass(frozen=True)
class Outer:
    inner: Recipe
    size: int = 1


@dataclass(frozen=True)
class Grown(Recipe):
    average: float = field(default=0.0, metadata={"later": True})


def test_a_field_that_came_later_leaves_the_keys_of_earlier_results_alone():
    def key(recipe):
        return Job.create(toy_tasks.noise, seed=1, size=Outer(recipe)).key

    assert key(Grown()) == key(Recipe()) != key(Grown(average=0.9))
    job = Job.create(toy_tasks.noise, seed=1, size=Grown(average=0.9))
    assert from_settings(Grown, job.settings["size"]) == Grown(average=0.9)


def test_dataclasses_come_back_from_settings_as_they_went():
    outer = Outer(Recipe(rates=(0.1,), name="slow"), size=3)
    job = Job.create(toy_tasks.noise, seed=1, size=outer)
    assert from_settings(Outer, job.settings["size"]) == outer
    with pytest.raises(TypeError, match="unknown"):
        from_settings(Recipe, {"unknown": 1})


def test_another_key_for_other_work():
    job = Job.create(toy_tasks.noise, seed=1)
    others = [
        Job.create(toy_tasks.noise, seed=2),
        Job.create(toy_tasks.noise, seed=1, size=9),
        Job.create(toy_tasks.noise, seed=1, data="other"),
        Job.create(toy_tasks.fragile, seed=1),
        replace(job, numerics=job.numerics + 1),
    ]
    assert len({job.key, *(other.key for other in others)}) == 6


def test_frozen_and_hashable():
    job = Job.create(toy_tasks.noise, seed=1, size=[1, 2])
    job.settings["size"].append(3)
    assert job.settings["size"] == [1, 2]
    assert len({job, Job.create(toy_tasks.noise, seed=1, size=(1, 2))}) == 1
    assert Job.from_json(job.to_json()) == job


@pytest.mark.parametrize("bad", [math.nan, math.inf, {1, 2}, Path("x"), np.array([np.nan]), toy_tasks.noise])
def test_settings_that_json_cannot_say(bad):
    with pytest.raises((TypeError, ValueError), match="JSON"):
        Job.create(toy_tasks.noise, seed=bad)


def test_tasks_that_no_worker_could_run():
    @task()
    def local(context):
        return {}, {}

    with pytest.raises(TypeError, match="importable"):
        Job.create(local)
    with pytest.raises(TypeError, match="decorate"):
        Job.create(toy_tasks.undecorated)
    with pytest.raises(TypeError, match="sede"):
        Job.create(toy_tasks.noise, seed=1, sede=1)
    with pytest.raises(TypeError, match="seed"):
        Job.create(toy_tasks.noise)


def test_same_job_same_numbers_other_seed_other_numbers():
    job = Job.create(toy_tasks.noise, seed=1)
    first, second = run_job(job), run_job(job)
    other = run_job(Job.create(toy_tasks.noise, seed=2))
    assert first.values == second.values != other.values
    np.testing.assert_array_equal(first.arrays["field"], second.arrays["field"])
    assert not np.isclose(first.arrays["field"], other.arrays["field"]).any()


def test_a_result_tells_the_device_and_the_time_that_its_job_took(monkeypatch):
    times = iter((100.0, 102.5))
    monkeypatch.setattr("deblur_core.runs.job.time.perf_counter", lambda: next(times))
    facts = run_job(Job.create(toy_tasks.noise, seed=1), Context(device="cpu:0")).provenance
    assert facts["device"] == "cpu:0" and facts["seconds"] == 2.5 and not facts["resumed"]


def test_values_are_plain_json():
    values = run_job(Job.create(toy_tasks.noise, seed=1)).values
    assert values["best"] is None and values["pair"] == [1, 0.5]


def test_jobs_of_other_code_are_refused():
    job = Job.create(toy_tasks.noise, seed=1)
    for other in (2, 4):
        with pytest.raises(DeblurError, match=f"version {other}, this code of 3"):
            run_job(replace(job, numerics=other))
    for name in ("toy_tasks:gone", "no_such_module:noise"):
        with pytest.raises(DeblurError, match="no task"):
            run_job(replace(job, task=name))


def test_arrays_of_objects_are_refused():
    with pytest.raises(TypeError, match="objects"):
        run_job(Job.create(toy_tasks.objects))


def test_checkpoint_brings_back_every_bit(tmp_path):
    checkpoint = Checkpoint(tmp_path / "new" / "a.pt")
    assert checkpoint.load() is None and not checkpoint.resumed
    weights = torch.nn.Linear(3, 2).requires_grad_()
    optimiser = torch.optim.Adam(weights.parameters(), lr=0.1)
    weights(torch.ones(3)).sum().backward()
    optimiser.step()
    random = np.random.default_rng(5)
    state = {"optimiser": optimiser.state_dict(), "numpy": random.bit_generator.state, "losses": [1.5, None]}
    checkpoint.save(state)
    loaded = checkpoint.load()
    assert checkpoint.resumed
    assert loaded["numpy"] == state["numpy"] and loaded["losses"] == state["losses"]
    assert torch.equal(loaded["optimiser"]["state"][0]["exp_avg"], optimiser.state[weights.weight]["exp_avg"])
    checkpoint.drop()
    checkpoint.drop()
    assert checkpoint.load() is None


def test_damaged_checkpoint_is_noticed(tmp_path):
    path = tmp_path / "a.pt"
    checkpoint = Checkpoint(path)
    checkpoint.save({"x": torch.zeros(50)})
    good = path.read_bytes()
    for position in range(0, len(good), 97):
        path.write_bytes(good[:position] + bytes([good[position] ^ 1]) + good[position + 1 :])
        with pytest.warns(UserWarning, match=r"a\.pt is damaged"):
            assert checkpoint.load() is None
    for length in (0, 64, len(good) - 1):
        path.write_bytes(good[:length])
        with pytest.warns(UserWarning, match="damaged"):
            assert checkpoint.load() is None


def test_what_could_not_be_loaded_is_not_saved(tmp_path):
    checkpoint = Checkpoint(tmp_path / "a.pt")
    checkpoint.save({"step": 1})
    with pytest.raises(Exception, match="Weights only"):
        checkpoint.save({"x": np.zeros(3)})
    assert checkpoint.load() == {"step": 1}
    torch.save({"x": np.zeros(3)}, tmp_path / "foreign")
    content = (tmp_path / "foreign").read_bytes()
    checkpoint.path.write_bytes(sha256(content).encode() + content)  # whole, but of objects that could run code
    with pytest.raises(Exception, match="Weights only"):
        checkpoint.load()


def test_interrupted_save_keeps_the_state_before(tmp_path, monkeypatch):
    checkpoint = Checkpoint(tmp_path / "a.pt")
    checkpoint.save({"step": 1})

    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("os.replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        checkpoint.save({"step": 2})
    assert checkpoint.load() == {"step": 1} and len(list(tmp_path.iterdir())) == 1


def test_without_a_store_nothing_is_kept():
    context = Context()
    context.checkpoint.save({"step": 1})
    assert context.checkpoint.load() is None
    context.checkpoint.drop()
