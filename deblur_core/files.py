"""Files that are complete or absent, whenever the process is killed."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from .errors import DeblurError


class WriteError(DeblurError):
    """The system refuses to write: results could not be kept, nor those of any further job."""


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Say in one sentence that the system refuses to write below `folder` (full, read-only, not a folder)."""
    try:
        yield
    except OSError as error:
        raise WriteError(
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
    """Where to write what takes the place of `path`, in one step, if all went well; else `path` stays as it was."""
    with writing(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f".{path.name}.{uuid4().hex}")  # its own, for several may write the same file
        try:
            yield partial
            os.replace(partial, path)
        finally:
            partial.unlink(missing_ok=True)


def write_atomically(path: Path, content: bytes) -> None:
    """Write `content` to `path`, creating its folder."""
    with replacing(path) as partial:
        write(partial, content)


def sha256(data: bytes) -> str:
    """As 64 hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()
