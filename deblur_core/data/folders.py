"""Where files live on this machine."""

from __future__ import annotations

import os
from pathlib import Path

from deblur_core.errors import UsageError


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
