"""Where files live on this machine, and how one is written: whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path
from uuid import uuid4

from deblur_core.errors import DeblurError, UsageError


def home() -> Path:
    """The folder for results, checkpoints and downloads: DEBLUR_HOME, else `results/` of the working tree.

    The working tree is the repository this package is imported from, or the current folder where the package
    is installed without its repository. The folder is created by the first write.
    """
    if named := os.environ.get("DEBLUR_HOME"):
        return Path(named).expanduser().absolute()
    repository = Path(__file__).parents[2]
    return (repository if (repository / "pyproject.toml").is_file() else Path.cwd()) / "results"


def data_folder() -> Path | None:
    """The read-only folder of real data and weights that DEBLUR_DATA names; None where it is not set."""
    return named_folder("DEBLUR_DATA")


def named_folder(variable: str) -> Path | None:
    """The folder that an environment variable names; None where it is not set, UsageError where it is no folder."""
    if not (named := os.environ.get(variable)):
        return None
    folder = Path(named).expanduser().absolute()
    if not folder.is_dir():
        raise UsageError(f"{variable} names {folder}, which is not a folder: correct it, or unset it.")
    return folder


def write_atomically(path: Path, content: bytes) -> None:
    """Write `content` to `path`, creating its folder. A failure leaves `path` as it was and nothing else."""
    partial = path.with_name(f".{path.name}.{uuid4().hex}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            partial.write_bytes(content)
            os.replace(partial, path)
        finally:
            partial.unlink(missing_ok=True)
    except OSError as error:
        raise DeblurError(
            f"Cannot write {path} ({error.strerror}): make room, or choose a folder that can be written to."
        ) from error
