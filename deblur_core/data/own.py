"""A folder of the user's own pictures as a dataset:

    PATH/blurry/NAME.png        the pictures to deblur
    PATH/sharp/NAME.png         optional: the truth, same size
    PATH/kernels/NAME.png       optional: the blur kernel, odd size, for true convolution; any scale
    PATH/kernel_size.txt        instead of kernels: one odd number, what blind methods are told

A picture is a PNG, JPEG or TIFF file. `sharp` and `kernels`, where they exist, hold the names of `blurry`.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

from torch import Tensor

from deblur_core import blur
from deblur_core.data.images import read_image
from deblur_core.data.pair import Dataset, Pair, content_digest
from deblur_core.errors import UsageError

_SUFFIXES = {".png", ".jpg", ".jpeg", ".tif", ".tiff"}


def open_folder(path: str | Path) -> Dataset:
    """The dataset in a folder laid out as this module says; UsageError where the layout does not fit."""
    root = Path(path).expanduser().absolute()
    blurry = _pictures(root / "blurry")
    if not blurry:
        raise UsageError(f"{root} holds no pictures to deblur: put them in {root / 'blurry'}.")
    for folder in ("sharp", "kernels"):
        unmatched = sorted(blurry.keys() ^ _pictures(root / folder).keys())
        if unmatched and (root / folder).is_dir():
            raise UsageError(f"{root}: '{unmatched[0]}' is not in both blurry and {folder}: name them alike.")
    load, digest = partial(_load, root), partial(_digest, root)
    return Dataset(names=tuple(blurry), load=load, digest=digest, place=str(root))


def _pictures(folder: Path) -> dict[str, Path]:
    """The pictures of a folder by their names without suffix; none where there is no such folder."""
    files = sorted(folder.iterdir()) if folder.is_dir() else []
    files = [file for file in files if file.suffix.lower() in _SUFFIXES]
    pictures = {file.stem: file for file in files}
    if len(pictures) < len(files):
        raise UsageError(f"{folder} holds two pictures that differ only in the suffix: rename one of them.")
    return pictures


def _find(root: Path, name: str) -> tuple[Path, Path | None, Path | None]:
    sharp, kernel = (_pictures(root / folder).get(name) for folder in ("sharp", "kernels"))
    return _pictures(root / "blurry")[name], sharp, kernel


def _digest(root: Path, name: str) -> str:
    *pictures, kernel = _find(root, name)
    size = root / "kernel_size.txt"
    files = (*pictures, kernel or (size if size.is_file() else None))
    return content_digest("folder", name, *(file.read_bytes() if file else b"" for file in files))


def _load(root: Path, name: str) -> Pair:
    blurry_file, sharp_file, kernel_file = _find(root, name)
    blurry = read_image(blurry_file)
    sharp = read_image(sharp_file) if sharp_file else None
    if sharp is not None and sharp.shape != blurry.shape:
        raise UsageError(f"{sharp_file} and {blurry_file} differ in size or colours: make them alike.")
    kernel = _read_kernel(kernel_file) if kernel_file else None
    return Pair(
        dataset=f"folder:{root}",
        name=name,
        image=name,
        kernel_name="unknown" if kernel is None else "own",
        blurry=blurry,
        sharp=sharp,
        kernel=kernel,
        kernel_size=_read_size(root / "kernel_size.txt") if kernel is None else max(kernel.shape),
        digest=_digest(root, name),
    )


def _read_kernel(path: Path) -> Tensor:
    """A kernel picture as (1, kh, kw), sum 1."""
    kernel = read_image(path).mean(dim=1)
    if kernel.shape[1] % 2 == 0 or kernel.shape[2] % 2 == 0 or kernel.sum() == 0:
        raise UsageError(f"{path} is no blur kernel: its height and width have to be odd, and not all black.")
    return blur.normalize(kernel)


def _read_size(path: Path) -> int:
    text = path.read_text().strip() if path.is_file() else ""
    if not text.isdecimal() or int(text) % 2 == 0:
        raise UsageError(f"The kernel size is not known: write one odd number to {path}, or add kernels.")
    return int(text)
