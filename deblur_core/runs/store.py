"""Finished jobs on disk. An entry is moved into place complete, and believed only while its checksums hold.

<root>/store/<2 digits>/<key>/  result.json, arrays.npz      <root>/checkpoints/<key>.pt
<root>/damaged/                 entries set aside            <root>/locks, <root>/partial
"""

from __future__ import annotations

import io
import itertools
import json
import os
import re
import time
import warnings
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from filelock import FileLock

from ..errors import DeblurError, UsageError
from ..files import replacing, sha256, write, writing
from .job import Checkpoint, Job, Result, canonical

_KEY = "[0-9a-f]{32}"
_FILES = ("result.json", "arrays.npz")
_PARTS = ("store", "checkpoints", "damaged")


class _Damaged(Exception):
    """Why an entry is not to be believed."""


class Store:
    """The results below `root`, a folder that any number of processes and machines may share."""

    def __init__(self, root: str | Path):
        self.root = Path(root).resolve()  # absolute: workers may run in another folder

    def get(self, job: Job) -> Result | None:
        """The job's result; None where there is none, or a damaged one: that is set aside with a warning."""
        return self._get(job.key)

    def put(self, result: Result) -> None:
        """Add the result in one step. A good entry that already stands is kept."""
        buffer = io.BytesIO()
        np.savez_compressed(buffer, **result.arrays)  # type: ignore[arg-type]
        arrays = buffer.getvalue()
        entry = {
            "job": result.job.to_json(),
            "values": result.values,
            "provenance": result.provenance,
            "arrays": sha256(arrays),
        }
        entry["checksum"] = sha256(canonical(entry).encode())
        key = result.job.key
        with self._workshop() as workshop:
            (workshop / key).mkdir()
            write(workshop / key / "result.json", canonical(entry).encode())
            write(workshop / key / "arrays.npz", arrays)
            self._place(workshop / key)

    def keys(self) -> list[str]:
        return sorted(path.name for path in self.root.glob("store/*/*") if re.fullmatch(_KEY, path.name))

    def results(self) -> Iterator[Result]:
        """All results, by key."""
        return (result for key in self.keys() if (result := self._get(key)) is not None)

    def lock(self, job: Job) -> AbstractContextManager[None]:
        """A context that one process or thread at a time is in for this job; a kill leaves it too."""
        return self._lock(job.key)

    def checkpoint(self, job: Job) -> Checkpoint:
        return Checkpoint(self.root / "checkpoints" / f"{job.key}.pt")

    def pack(self, path: str | Path, keys: Iterable[str] | None = None) -> int:
        """Write all results, or those with these keys, to a zip file for `unpack`; returns how many."""
        wanted = sorted(self.keys() if keys is None else set(keys))
        good = [key for key in wanted if self._get(key) is not None]
        if keys is not None and len(good) < len(wanted):
            raise DeblurError(f"Only {len(good)} of the {len(wanted)} results to pack are there: run the others.")
        with replacing(Path(path)) as partial, zipfile.ZipFile(partial, "w") as pack:
            for key, file in itertools.product(good, _FILES):
                # A bare ZipInfo has no date and no owner: the same results give the same bytes.
                pack.writestr(zipfile.ZipInfo(f"{key}/{file}"), (self._entry(key) / file).read_bytes())
            pack.comment = _seal(len(good) * len(_FILES))
        return len(good)

    def unpack(self, path: str | Path) -> int:
        """Add the results of a pack, all checked before the first is added; returns how many were new."""
        with self._workshop() as workshop:
            try:
                for key, file, content in _unzip(path):
                    (workshop / key).mkdir(exist_ok=True)
                    write(workshop / key / file, content)
                entries = sorted(workshop.iterdir())
                for entry in entries:
                    _read(entry)
            except _Damaged as reason:
                raise DeblurError(
                    f"{path} is no sound pack of results ({reason}): nothing was added, "
                    "check the name or copy the file again."
                ) from reason
            return sum(self._place(entry) for entry in entries)

    def clean(self, *parts: str, older_than: float = 0.0) -> int:
        """Delete what in "store", "checkpoints" or "damaged" is older than so many days; returns how many.

        Leftovers of killed writers go with any call.
        """
        if unknown := sorted(set(parts) - set(_PARTS)):
            raise UsageError(f"Cannot clean {unknown[0]!r}: choose from {', '.join(_PARTS)}.")
        chosen = {part: time.time() - 86400 * older_than for part in parts} | {"partial": time.time() - 3600}
        removed = dict.fromkeys(chosen, 0)
        with self._workshop() as workshop:
            for part, latest in chosen.items():
                for path in self.root.glob(f"{part}/*/*" if part == "store" else f"{part}/*"):
                    with suppress(FileNotFoundError):  # another process was faster
                        if path.stat().st_mtime <= latest:
                            # First moved away, so that a kill leaves no half entry.
                            os.replace(path, workshop / f"{part}-{path.name}")
                            removed[part] += 1
        return sum(removed[part] for part in parts)

    def _entry(self, key: str) -> Path:
        return self.root / "store" / key[:2] / key

    def _get(self, key: str) -> Result | None:
        with suppress(_Damaged):
            return _read(self._entry(key))
        with self._lock(key):  # and look again, for another process may just have moved or replaced it
            try:
                return _read(self._entry(key))
            except _Damaged as reason:
                aside = self.root / "damaged" / f"{key}-{time.time_ns()}"
                with writing(self.root):
                    aside.parent.mkdir(exist_ok=True)
                    os.replace(self._entry(key), aside)
                warnings.warn(
                    f"Stored result {key} is damaged ({reason}): moved to damaged/, it counts as not run.",
                    stacklevel=3,
                )
                return None

    def _place(self, folder: Path) -> bool:
        """Make the complete `folder`, named by its key, an entry. False where a good one already stands."""
        if self._get(folder.name) is not None:
            return False
        entry = self._entry(folder.name)
        entry.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.replace(folder, entry)
        except OSError:
            if not entry.exists():
                raise
            return False  # another process placed it since the look
        return True

    @contextmanager
    def _workshop(self) -> Iterator[Path]:
        """A passing folder on the disk of the entries, where things are made before they are moved."""
        with writing(self.root):
            (self.root / "partial").mkdir(parents=True, exist_ok=True)
            with TemporaryDirectory(dir=self.root / "partial") as folder:
                yield Path(folder)

    @contextmanager
    def _lock(self, key: str) -> Iterator[None]:
        with writing(self.root):
            (self.root / "locks").mkdir(parents=True, exist_ok=True)
            # A singleton, so that the thread that holds it may take it again. The system frees it at a kill.
            lock = FileLock(self.root / "locks" / f"{key}.lock", is_singleton=True)
            lock.acquire()
        try:
            yield
        finally:
            lock.release()


def _unzip(path: str | Path) -> Iterator[tuple[str, str, bytes]]:
    """Key, file and content of all members of a pack. Raises _Damaged, whatever zipfile trips over."""
    try:
        with zipfile.ZipFile(path) as pack:
            if pack.comment != _seal(len(pack.infolist())):
                raise _Damaged("members are missing or foreign")
            for member in pack.infolist():
                key, _, file = member.filename.partition("/")
                if not re.fullmatch(_KEY, key) or file not in _FILES:
                    raise _Damaged(f"{member.filename!r} does not belong in one")
                yield key, file, pack.read(member)
    except OSError as error:
        raise _Damaged(error.strerror) from error
    except Exception as error:
        raise _Damaged(str(error) or type(error).__name__) from error


def _seal(members: int) -> bytes:
    # Zip notices a damaged member, but not one that a damaged directory no longer lists.
    return f"results in {members} files".encode()


def _read(folder: Path) -> Result | None:
    """The entry in `folder`, which is named by its key; None where there is no folder. Raises _Damaged."""
    if not folder.exists():
        return None
    try:
        entry = json.loads((folder / "result.json").read_bytes())
        packed = (folder / "arrays.npz").read_bytes()
        if entry.pop("checksum") != sha256(canonical(entry).encode()):
            raise _Damaged("result.json does not match its checksum")
        if entry["arrays"] != sha256(packed):
            raise _Damaged("arrays.npz does not match its checksum")
        job = Job.from_json(entry["job"])
        if job.key != folder.name:
            raise _Damaged(f"it is the result of job {job.key}")
        with np.load(io.BytesIO(packed), allow_pickle=False) as arrays:
            return Result(job, entry["values"], dict(arrays), entry["provenance"])
    except OSError as error:
        raise _Damaged(f"{Path(error.filename or folder).name} cannot be read: {error.strerror}") from error
    except (ValueError, LookupError, TypeError, AttributeError, zipfile.BadZipFile) as error:
        raise _Damaged(f"not an entry: {error}") from error
