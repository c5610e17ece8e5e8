"""Files that are complete or absent, whenever the process is killed."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..errors import DeblurError


class StoreError(DeblurError):
    """The results folder cannot be written, so no further job could be kept."""


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Say in one sentence that the system refuses to write below `folder` (full, read-only, not a folder)."""
    try:
        yield
    except OSError as error:
        raise StoreError(
            f"Cannot write below {folder} ({error.strerror or error}): make room there, "
            "or choose a folder that can be written (DEBLUR_HOME for results)."
        ) from error


def write(path: Path, data: bytes) -> None:
    """Write `data` through to the disk, so that a later rename never publishes an empty file."""
    with open(path, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Where to write what takes the place of `path`, in one step, if all went well. One writer at a time."""
    with writing(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(path.name + ".partial")
        try:
            yield partial
            os.replace(partial, path)
        except BaseException:
            partial.unlink(missing_ok=True)
            raise


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
