"""REDS: scenes filmed at 120 frames a second; a blurry picture is the mean of frames and of interpolated ones.
Nah et al., "NTIRE 2019 Challenge on Video Deblurring and Super-Resolution: Dataset and Study", CVPR Workshops 2019.

`reds:PATH` is a whole copy in the authors' layout, as its archives unpack:

    PATH/train/train_blur/000/00000000.png    PATH/train/train_sharp/000/00000000.png    and val/val_blur, val/val_sharp

or the same without the folders train and val. Both splits have scenes of the same numbers, so a pair is named by
split, scene and frame, train_000_00000000; `gopro.scene_of` and `gopro.split_by_scene` know these names, and
`gopro.read_pairs` reads the pairs for training. The blur is not one kernel: `kernel` is None.
"""

from __future__ import annotations

from pathlib import Path

from deblur_core.data.gopro import match, of_files
from deblur_core.data.pair import Dataset
from deblur_core.errors import UsageError

SPLITS = ("train", "val")  # the sharp pictures of the test split are not public


def find_pairs(root: Path, split: str, blur: str = "blur") -> dict[str, tuple[Path, Path]]:
    """The files (blurry, sharp) of the pairs of a split, by name.

    blur: "blur", or "blur_comp" for the pictures that were compressed as a video too. Raises UsageError where there are
    none, and where a blurry and a sharp folder do not hold the same names.
    """
    folder = _folder(root, split)
    blurry, sharp = (folder / f"{split}_{kind}" for kind in (blur, "sharp"))
    scenes = sorted({scene.name for kind in (blurry, sharp) for scene in kind.glob("*") if scene.is_dir()})
    pairs = {}
    for scene in scenes:
        pairs |= match(blurry / scene, sharp / scene, f"{split}_{scene}_")
    if not pairs:
        raise UsageError(f"{folder} holds no pairs: put them in {split}_{blur}/SCENE and {split}_sharp/SCENE.")
    return pairs


def open_reds(path: str | Path) -> Dataset:
    """The pairs of a whole copy, of those splits that are there."""
    root = Path(path).expanduser().absolute()
    splits = [split for split in SPLITS if (_folder(root, split) / f"{split}_sharp").is_dir()] or SPLITS[:1]
    return of_files("reds", root, {split: find_pairs(root, split) for split in splits})


def _folder(root: Path, split: str) -> Path:
    return root / split if (root / split).is_dir() else root
