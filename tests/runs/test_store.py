"""The store believes complete entries alone, survives kills and full disks, and travels in packs."""

import errno
import os
import random
import shutil
import signal
import threading
import time
import warnings
import zipfile
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest
import toy_tasks

from deblur_core.errors import DeblurError, UsageError
from deblur_core.files import WriteError
from deblur_core.runs import Job, Result, Store, run_job


@pytest.fixture(autouse=True)
def no_unexpected_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        yield


@pytest.fixture(scope="module")
def results() -> list[Result]:
    return [run_job(job) for job in toy_tasks.noise_jobs(3)]


def entry(store: Store, job: Job):
    return store.root / "store" / job.key[:2] / job.key


def assert_same(a: Result | None, b: Result):
    assert a is not None
    assert (a.job, a.values, a.provenance) == (b.job, b.values, b.provenance)
    assert a.arrays.keys() == b.arrays.keys()
    for name in b.arrays:
        np.testing.assert_array_equal(a.arrays[name], b.arrays[name], strict=True)


def test_what_is_put_comes_back(store, results):
    bare = Result(results[0].job, {}, {}, {})
    bare = replace(bare, job=Job.create(toy_tasks.fragile, seed=1))
    assert store.get(bare.job) is None and store.keys() == []
    for result in [*results, bare]:
        store.put(result)
        assert_same(store.get(result.job), result)
    (entry(store, bare.job).parent / ".DS_Store").touch()  # what a file manager leaves behind
    assert store.keys() == sorted(result.job.key for result in [*results, bare])
    assert {result.job for result in store.results()} == {result.job for result in [*results, bare]}


def test_a_good_entry_stays(store, results):
    store.put(results[0])
    store.put(replace(results[0], values={"mean": 0.0}))
    assert_same(store.get(results[0].job), results[0])


def flip(name, position):
    def flip(folder):
        content = bytearray((folder / name).read_bytes())
        content[position] ^= 1
        (folder / name).write_bytes(bytes(content))

    return flip


DAMAGE = {
    "flipped bit in the arrays": flip("arrays.npz", 150),
    "flipped digit in the values": lambda folder: rewrite(folder, b'"mean":', b'"mean":1'),
    "broken JSON": lambda folder: rewrite(folder, b'"job"', b'job"'),
    "no JSON object": lambda folder: (folder / "result.json").write_text("[]"),
    "NaN smuggled in": lambda folder: rewrite(folder, b"null", b"NaN"),
    "truncated JSON": lambda folder: os.truncate(folder / "result.json", 100),
    "empty JSON": lambda folder: os.truncate(folder / "result.json", 0),
    "truncated arrays": lambda folder: os.truncate(folder / "arrays.npz", 100),
    "no JSON file": lambda folder: (folder / "result.json").unlink(),
    "arrays of another": lambda folder: np.savez(folder / "arrays.npz", field=np.zeros(8, np.float32)),
    "no arrays": lambda folder: (folder / "arrays.npz").unlink(),
    "no folder": lambda folder: (shutil.rmtree(folder), folder.touch()),
}


def rewrite(folder, old, new):
    content = (folder / "result.json").read_bytes()
    assert old in content
    (folder / "result.json").write_bytes(content.replace(old, new, 1))


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE.keys())
def test_damage_is_noticed_and_set_aside(store, results, damage):
    job = results[0].job
    store.put(results[0])
    damage(entry(store, job))
    with pytest.warns(UserWarning, match=f"{job.key} is damaged"):
        assert store.get(job) is None
    assert [path.name.startswith(job.key) for path in (store.root / "damaged").iterdir()] == [True]
    assert store.get(job) is None and store.keys() == []
    store.put(results[0])
    assert_same(store.get(job), results[0])


def test_an_entry_that_another_process_mends_meanwhile_is_not_damaged(store, results, monkeypatch):
    store.put(results[0])
    good = entry(store, results[0].job)
    shutil.copytree(good, store.root / "copy")
    flip("arrays.npz", 150)(good)
    lock = Store._lock

    @contextmanager
    def wait_for_the_other(self, key):
        shutil.rmtree(good)
        (store.root / "copy").rename(good)  # what it did while it held the lock
        with lock(self, key):
            yield

    monkeypatch.setattr(Store, "_lock", wait_for_the_other)
    assert_same(store.get(results[0].job), results[0])
    assert not (store.root / "damaged").exists()


def test_an_entry_that_another_process_places_meanwhile_stays_and_is_not_new(store, results, tmp_path, monkeypatch):
    store.put(results[0])
    store.pack(tmp_path / "pack.zip")
    other = Store(tmp_path / "other")
    other.put(replace(results[0], provenance={"cpu": "mine"}))
    with monkeypatch.context() as patch:
        patch.setattr(Store, "_get", lambda self, key: None)  # looked a moment before
        assert other.unpack(tmp_path / "pack.zip") == 0
    assert other.get(results[0].job).provenance == {"cpu": "mine"}


def test_a_store_stays_where_it_is_when_the_working_folder_changes(results, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    store = Store("results")
    monkeypatch.chdir("/")
    assert store.root == tmp_path / "results"


def test_an_entry_under_another_key_is_damaged(store, results):
    store.put(results[0])
    other = entry(store, results[1].job)
    other.parent.mkdir(exist_ok=True)
    shutil.copytree(entry(store, results[0].job), other)
    with pytest.warns(UserWarning, match=f"{results[1].job.key} is damaged"):
        assert store.get(results[1].job) is None
    assert_same(store.get(results[0].job), results[0])


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize("moment", range(4))
def test_a_kill_while_writing_leaves_no_half_entry(store, results, moment):
    """Killed before the first or second file is on the disk, before it is moved into place, and after."""
    if (child := os.fork()) == 0:
        calls = iter(range(100))

        def deadly(call):
            def deadly(*arguments):
                if next(calls) == moment:
                    os.kill(os.getpid(), signal.SIGKILL)
                return call(*arguments)

            return deadly

        os.fsync, os.replace = deadly(os.fsync), deadly(os.replace)
        try:
            store.put(results[0])
        finally:
            os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) == (moment < 3)
    if moment < 3:
        assert store.keys() == [] and store.get(results[0].job) is None
        store.put(results[0])
    assert_same(store.get(results[0].job), results[0])


def refuse(number):
    def refuse(*_, **__):
        raise OSError(number, os.strerror(number))

    return refuse


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EDQUOT])
@pytest.mark.parametrize("call", ["os.fsync", "os.replace", "os.mkdir"])
def test_full_or_read_only_folder_is_one_sentence(store, results, monkeypatch, call, number):
    store.put(results[0])
    with monkeypatch.context() as patch, pytest.raises(WriteError, match=os.strerror(number)) as raised:
        patch.setattr(call, refuse(number))
        store.put(results[1])
    assert "DEBLUR_HOME" in str(raised.value) and "\n" not in str(raised.value)
    assert store.keys() == [results[0].job.key]
    assert list((store.root / "partial").iterdir()) == []


def test_a_folder_that_cannot_be(tmp_path, results):
    (tmp_path / "file").touch()
    store = Store(tmp_path / "file" / "results")
    assert store.get(results[0].job) is None
    for attempt in (
        lambda: store.put(results[0]),
        lambda: store.lock(results[0].job).__enter__(),
        lambda: store.checkpoint(results[0].job).save({"step": 1}),
        lambda: Store(tmp_path).pack(store.root / "pack.zip"),
    ):
        with pytest.raises(WriteError, match="Cannot write below"):
            attempt()


def test_full_disk_keeps_the_checkpoint_before(store, results, monkeypatch):
    checkpoint = store.checkpoint(results[0].job)
    checkpoint.save({"step": 1})
    with monkeypatch.context() as patch, pytest.raises(WriteError, match="No space"):
        patch.setattr("os.fsync", refuse(errno.ENOSPC))
        checkpoint.save({"step": 2})
    assert checkpoint.load() == {"step": 1}


def test_jobs_whose_keys_begin_alike_have_checkpoints_of_their_own(store):
    alike = {}
    for job in toy_tasks.noise_jobs(300):  # of 256 beginnings
        alike.setdefault(job.key[:2], []).append(job)
    first, second = next(jobs for jobs in alike.values() if len(jobs) > 1)[:2]
    store.checkpoint(first).save({"step": 1})
    assert store.checkpoint(second).load() is None


def test_one_thread_at_a_time_holds_a_lock(store, results):
    inside, most = 0, 0

    def hold():
        nonlocal inside, most
        with (
            store.lock(results[0].job),
            Store(store.root).lock(results[0].job),
        ):  # its holder may take it again
            inside += 1
            most = max(most, inside)
            time.sleep(0.05)
            inside -= 1

    threads = [threading.Thread(target=hold) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 1


def test_pack_and_unpack(store, results, tmp_path):
    for result in results:
        store.put(result)
    assert store.pack(tmp_path / "all.zip") == 3
    assert store.pack(tmp_path / "again.zip") == 3
    assert store.pack(tmp_path / "named.zip", [result.job.key for result in results[::-1]] * 2) == 3
    for same in ("again.zip", "named.zip"):
        assert (tmp_path / "all.zip").read_bytes() == (tmp_path / same).read_bytes()
    other = Store(tmp_path / "other")
    other.put(replace(results[0], provenance={"cpu": "mine"}))
    assert other.unpack(tmp_path / "all.zip") == 2
    assert other.unpack(tmp_path / "all.zip") == 0
    assert other.get(results[0].job).provenance == {"cpu": "mine"}, "a good entry is not overwritten"
    for result in results[1:]:
        assert_same(other.get(result.job), result)


def test_pack_of_some(store, results, tmp_path):
    for result in results[:2]:
        store.put(result)
    assert store.pack(tmp_path / "one.zip", [results[1].job.key]) == 1
    other = Store(tmp_path / "other")
    other.unpack(tmp_path / "one.zip")
    assert other.keys() == [results[1].job.key]
    with pytest.raises(DeblurError, match="Only 1 of the 2"):
        store.pack(tmp_path / "gone.zip", [results[0].job.key, results[2].job.key])
    assert not (tmp_path / "gone.zip").exists()


def test_unpack_replaces_a_damaged_entry(store, results, tmp_path):
    store.put(results[0])
    store.pack(tmp_path / "pack.zip")
    flip("arrays.npz", 150)(entry(store, results[0].job))
    with pytest.warns(UserWarning, match="damaged"):
        assert store.unpack(tmp_path / "pack.zip") == 1
    assert_same(store.get(results[0].job), results[0])


def test_a_damaged_pack_adds_nothing(store, results, tmp_path):
    for result in results:
        store.put(result)
    store.pack(tmp_path / "pack.zip")
    good = (tmp_path / "pack.zip").read_bytes()
    chance, target = random.Random(0), Store(tmp_path / "other")
    refused = 0
    for _ in range(80):
        position = chance.randrange(len(good))
        bad = bytearray(good)
        bad[position] ^= 1 << chance.randrange(8)
        (tmp_path / "bad.zip").write_bytes(bytes(bad))
        try:  # a flip may hit a date or an attribute, which carry nothing
            target.unpack(tmp_path / "bad.zip")
        except DeblurError:
            refused += 1
            assert target.keys() == []
        else:
            for result in results:
                assert_same(target.get(result.job), result)
            target.clean("store")
    assert refused > 40
    for length in (0, 1, len(good) // 2, len(good) - 1):
        (tmp_path / "bad.zip").write_bytes(good[:length])
        with pytest.raises(DeblurError, match=r"bad\.zip is no sound pack"):
            target.unpack(tmp_path / "bad.zip")
    assert target.keys() == [] and list((target.root / "partial").iterdir()) == []


def tampered(content, job, other):
    """The members of a pack of one entry, changed in ways that the checksums of the zip itself allow."""
    folder, elsewhere = f"{job.key}/", f"{other.key}/"
    entry, arrays = content[folder + "result.json"], content[folder + "arrays.npz"]
    return {
        "better value": {**content, folder + "result.json": entry.replace(b'"mean":', b'"mean":9')},
        "no arrays": {folder + "result.json": entry},
        "another key": {elsewhere + "result.json": entry, elsewhere + "arrays.npz": arrays},
        "one good, one not": {**content, elsewhere + "result.json": entry},
    }


@pytest.mark.parametrize("change", ["better value", "no arrays", "another key", "one good, one not"])
def test_a_tampered_pack_adds_nothing(store, results, tmp_path, change):
    job, other = results[0].job, results[1].job
    store.put(results[0])
    store.pack(tmp_path / "good.zip")
    with zipfile.ZipFile(tmp_path / "good.zip") as pack:
        content = {name: pack.read(name) for name in pack.namelist()}
    members = tampered(content, job, other)[change]
    with zipfile.ZipFile(tmp_path / "bad.zip", "w") as pack:
        for name, data in members.items():
            pack.writestr(name, data)
        pack.comment = f"results in {len(members)} files".encode()
    target = Store(tmp_path / "other")
    with pytest.raises(DeblurError, match="nothing was added"):
        target.unpack(tmp_path / "bad.zip")
    assert target.keys() == [] and list((target.root / "partial").iterdir()) == []


@pytest.mark.parametrize("sealed", [False, True])
@pytest.mark.parametrize("name", ["../evil", "/evil", "0" * 32 + "/../../evil", "0" * 32 + "/evil", "photo.png"])
def test_a_foreign_zip_writes_nothing(store, tmp_path, name, sealed):
    with zipfile.ZipFile(tmp_path / "foreign.zip", "w") as pack:
        pack.writestr(name, "evil")
        pack.comment = b"results in 1 files" if sealed else b""
    with pytest.raises(DeblurError, match=r"foreign|does not belong"):
        store.unpack(tmp_path / "foreign.zip")
    assert not list(tmp_path.rglob("evil*")) and store.keys() == []


def test_a_missing_pack(store, tmp_path):
    for path in (tmp_path / "no.zip", tmp_path):
        with pytest.raises(DeblurError, match="check the name"):
            store.unpack(path)


def test_clean(store, results):
    for result in results:
        store.put(result)
        store.checkpoint(result.job).save({"step": 1})
    old = entry(store, results[0].job)
    os.utime(old, (0, time.time() - 10 * 86400))
    os.utime(entry(store, results[1].job), (0, time.time() - 4 * 86400))
    leftover = store.root / "partial" / "tmp-of-a-killed-writer"
    leftover.mkdir()
    os.utime(leftover, (0, time.time() - 7200))
    at_work = store.root / "partial" / "tmp-of-a-writer-at-work"
    at_work.mkdir()
    with pytest.raises(UsageError, match="cellar"):
        store.clean("cellar")
    assert store.clean() == 0 and not leftover.exists() and len(store.keys()) == 3
    assert store.clean("store", "checkpoints", older_than=5) == 1 and not old.exists()
    assert store.clean("checkpoints", "damaged") == 3 and len(store.keys()) == 2
    assert store.clean("store") == 2 and store.keys() == []
    assert list((store.root / "partial").iterdir()) == [at_work]
