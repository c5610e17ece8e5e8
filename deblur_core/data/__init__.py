"""Data: one way to name, find and read pairs of blurry and sharp images.

    >>> pair = load("builtin", "im1_kernel4")
    >>> pair.blurry.shape, pair.kernel_size
    (torch.Size([1, 1, 255, 255]), 27)

A dataset is one of `DATASETS`, `folder:PATH` for a folder of one's own (the module `own` has its layout),
or `gopro:PATH` and `reds:PATH` for a whole copy of GoPro or REDS (the modules `gopro` and `reds` have their layouts).
"""

from __future__ import annotations

from collections.abc import Sequence

from tqdm import tqdm

from deblur_core.data import registry
from deblur_core.data.builtin import BUILTIN
from deblur_core.data.builtin_colour import BUILTIN_COLOUR
from deblur_core.data.folders import data_folder, home
from deblur_core.data.gopro import GOPRO, GOPRO_AVERAGED, open_gopro
from deblur_core.data.images import (
    from_luma_chroma,
    matlab_luma,
    read_image,
    to_luma_chroma,
    to_uint8,
    write_image,
)
from deblur_core.data.lai import LAI
from deblur_core.data.levin import LEVIN
from deblur_core.data.own import open_folder
from deblur_core.data.pair import Dataset, Pair, content_digest, crop, strongest_window
from deblur_core.data.photos import PHOTOS
from deblur_core.data.reds import open_reds
from deblur_core.errors import UsageError

__all__ = [
    "DATASETS",
    "Pair",
    "available",
    "content_digest",
    "crop",
    "data_folder",
    "describe",
    "digest",
    "fetch_dataset",
    "from_luma_chroma",
    "home",
    "load",
    "matlab_luma",
    "names",
    "read_image",
    "strongest_window",
    "to_luma_chroma",
    "to_uint8",
    "verify",
    "write_image",
]

_DATASETS = {
    "builtin": BUILTIN,
    "builtin_colour": BUILTIN_COLOUR,
    "levin": LEVIN,
    "lai": LAI,
    "photos": PHOTOS,
    "gopro": GOPRO,
    "gopro_averaged": GOPRO_AVERAGED,
}
DATASETS = tuple(_DATASETS)


def _open(dataset: str) -> Dataset:
    if dataset.startswith("folder:"):
        return open_folder(dataset.removeprefix("folder:"))
    if dataset.startswith("gopro:"):
        return open_gopro(dataset.removeprefix("gopro:"))
    if dataset.startswith("reds:"):
        return open_reds(dataset.removeprefix("reds:"))
    if dataset not in _DATASETS:
        raise UsageError(
            f"There is no dataset '{dataset}': choose from {', '.join(DATASETS)}, folder:PATH, gopro:PATH, reds:PATH."
        )
    return _DATASETS[dataset]


def _open_pair(dataset: str, name: str) -> Dataset:
    opened = _open(dataset)
    if name not in opened.names:
        raise UsageError(f"There is no pair '{name}' in {dataset}: choose from {', '.join(opened.names)}.")
    return opened


def names(dataset: str) -> list[str]:
    """The names of a dataset's pairs. UsageError for an unknown dataset or a folder of another layout."""
    return list(_open(dataset).names)


def load(dataset: str, name: str) -> Pair:
    """Read a pair; what is not on this machine is downloaded first.

    Raises UsageError for an unknown dataset or name, DeblurError where a file is damaged or cannot be had.
    """
    return _open_pair(dataset, name).load(name)


def digest(dataset: str, name: str) -> str:
    """What identifies the pair's content, 64 hexadecimal digits; reads no file of a registered dataset."""
    return _open_pair(dataset, name).digest(name)


def available(dataset: str) -> tuple[bool, str]:
    """Whether the whole dataset is on this machine, and where it is or how to get it."""
    opened = _open(dataset)
    found = [local for path in opened.files if (local := registry.find(path))]
    if missing := len(opened.files) - len(found):
        return False, f"{missing} of {len(opened.files)} files missing: run `deblur data fetch {dataset}`"
    downloaded = any(local.is_relative_to(home()) for local in found)
    return True, opened.place or ("downloaded" if downloaded else "DEBLUR_DATA")


def describe(datasets: Sequence[str] = DATASETS) -> list[dict[str, object]]:
    """One row per dataset: its name, number of pairs, whether and where it is here, licence and citation."""
    rows = []
    for dataset in datasets:
        opened = _open(dataset)
        here, where = available(dataset)
        rows.append(
            {
                "dataset": dataset,
                "pairs": len(opened.names),
                "available": here,
                "where": where,
                "licence": opened.licence,
                "citation": opened.citation,
            }
        )
    return rows


def fetch_dataset(dataset: str, progress: bool = False) -> None:
    """Bring all files of a dataset to this machine; done before is not done again."""
    for path in tqdm(_open(dataset).files, desc=dataset, unit="file", disable=not progress):
        registry.fetch(path)


def verify(dataset: str) -> dict[str, str]:
    """Each file of a dataset as `good`, `damaged` or `missing`, by its path below the data folder."""

    def verdict(path: str) -> str:
        if (local := registry.find(path)) is None:
            return "missing"
        return "good" if registry.is_intact(path, local) else "damaged"

    return {path: verdict(path) for path in _open(dataset).files}
