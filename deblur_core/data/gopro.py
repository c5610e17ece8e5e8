"""GoPro: street scenes filmed at 240 frames a second; a blurry picture is the mean of 7 to 13 frames, its truth the
centre one. Nah et al., "Deep multi-scale convolutional neural network for dynamic scene deblurring", CVPR 2017.

The dataset `gopro` holds the six pairs that the released XYDeblur code carries along, `gopro_averaged` 18 pairs that
somebody else averaged from the films of five scenes; `gopro:PATH` is a whole set in the authors' layout, or in the flat
one of that code:

    PATH/train/SCENE/blur/000047.png    PATH/train/SCENE/sharp/000047.png    and the same below test/
    PATH/train/blur/SCENE_000047.png    PATH/train/sharp/SCENE_000047.png

A pair is named SCENE_000047 and has the tags (split, scene). Its blur is not one kernel: `kernel` is None.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor

from deblur_core.data.images import read_image, to_uint8
from deblur_core.data.pair import Dataset, Pair, content_digest
from deblur_core.data.registry import checksums, fetch
from deblur_core.errors import UsageError

# The official test split, whatever folder a copy of these scenes lies in.
TEST_SCENES = frozenset({
    "GOPR0384_11_00", "GOPR0384_11_05", "GOPR0385_11_01", "GOPR0396_11_00", "GOPR0410_11_00", "GOPR0854_11_00",
    "GOPR0862_11_00", "GOPR0868_11_00", "GOPR0869_11_00", "GOPR0871_11_00", "GOPR0881_11_01",
})  # fmt: skip
_SCENE = re.compile(r"(?:GOPR)?(\d{4}_\d\d_\d\d)")
KERNEL_SIZE = 31  # what blind methods are told: the blur varies over the picture and seldom reaches further

Item = TypeVar("Item")


def scene_of(name: str) -> str:
    """The scene that a pair, frame or folder belongs to; the name without its last part for other data."""
    if found := _SCENE.findall(name):
        return f"GOPR{found[-1]}"
    return name.rpartition("_")[0] or name


def may_train(name: str) -> bool:
    """Whether something of this name or path is outside the official test split."""
    return TEST_SCENES.isdisjoint(f"GOPR{scene}" for scene in _SCENE.findall(name))


def split_by_scene(items: Mapping[str, Item], held_out: Collection[str]) -> tuple[dict[str, Item], dict[str, Item]]:
    """(training, held out): all of a scene on one side, and nothing of the official test split in the training."""
    for scene in held_out:
        if scene not in {scene_of(name) for name in items}:
            raise UsageError(f"There is no scene '{scene}' to hold out: choose from {', '.join(_scenes(items))}.")
    training = {name: item for name, item in items.items() if may_train(name) and scene_of(name) not in held_out}
    return training, {name: item for name, item in items.items() if scene_of(name) in held_out}


def _scenes(names: Iterable[str]) -> list[str]:
    return sorted({scene_of(name) for name in names})


def find_pairs(root: Path, split: str, blur: str = "blur") -> dict[str, tuple[Path, Path]]:
    """The files (blurry, sharp) of the pairs below root/split, by name. A scene of the test split is never in "train".

    blur: "blur", means of the frames as they are, or "blur_gamma", means of linear intensities. Raises UsageError for
    an empty folder, and where a blurry and a sharp folder do not hold the same names.
    """
    folder = root / split
    pairs: dict[str, tuple[Path, Path]] = {}
    for blurry in (folder / blur, *sorted(folder.glob(f"*/{blur}"))):
        scene = "" if blurry.parent == folder else f"{blurry.parent.name}_"
        pairs |= match(blurry, blurry.with_name("sharp"), scene)
    if split == "train":
        pairs = {name: files for name, files in pairs.items() if may_train(name)}
    if not pairs:
        raise UsageError(
            f"{folder} holds no pairs of the {split} split: put them in {split}/SCENE/{blur} and {split}/SCENE/sharp."
        )
    return pairs


def match(blurry: Path, sharp: Path, prefix: str = "") -> dict[str, tuple[Path, Path]]:
    """The PNG files (blurry, sharp) that have one name in both folders, by prefix and name.

    Raises UsageError where a file has no twin in the other folder.
    """
    names, twins = ({file.name for file in folder.glob("*.png")} for folder in (blurry, sharp))
    if unmatched := sorted(names ^ twins):
        raise UsageError(f"{unmatched[0]} is not in both {blurry} and {sharp}: complete the folders.")
    return {f"{prefix}{Path(name).stem}": (blurry / name, sharp / name) for name in sorted(names)}


def read_pairs(pairs: Mapping[str, tuple[Path, Path]]) -> dict[str, Tensor]:
    """Pairs for training: uint8 (6, h, w), the blurry picture's three channels, then the sharp one's. In memory: 5.5 MB
    for one of 1280 x 720 px, 12 GB for the whole training split."""
    return {name: stack(name, *(read_image(file) for file in files)) for name, files in pairs.items()}


def average_frames(folder: Path, length: int = 7, gamma: float | None = None) -> dict[str, Tensor]:
    """Pairs for training from sharp frames: the mean of each run of `length` frames, and its centre frame.

    Frames are numbered PNG files; runs have no gap and no frame in common. With `gamma`, such as 2.2, intensities are
    averaged instead of the values in the files, as for the authors' blur_gamma. Names are SCENE_CENTRE, the scene
    being the folder's. Returns uint8 (6, h, w) as `read_pairs`. Raises UsageError for an even length or no such run.
    """
    if length < 3 or length % 2 == 0:
        raise UsageError(f"An average needs an odd number of frames, 3 or more, so that it has a centre: not {length}.")
    frames = {int(file.stem): file for file in sorted(folder.glob("*.png")) if file.stem.isdecimal()}
    numbers, pairs, start = sorted(frames), {}, 0
    scene = scene_of(f"{folder.name}_")
    while start + length <= len(numbers):
        run = numbers[start : start + length]
        if run[-1] - run[0] == length - 1:
            found = [read_image(frames[number]) for number in run]
            if len({image.shape for image in found}) > 1:
                raise UsageError(f"{folder} holds frames of several sizes or kinds: make them alike.")
            images = torch.cat(found)
            mean = images.mean(0) if gamma is None else images.pow(gamma).mean(0).pow(1 / gamma)
            name = f"{scene}_{run[length // 2]:06}"
            pairs[name] = stack(name, mean[None], images[length // 2, None])
            start += length
        else:
            start += 1
    if not pairs:
        raise UsageError(f"{folder} holds no {length} consecutive frames named by their numbers, such as 000047.png.")
    return pairs


def stack(name: str, blurry: Tensor, sharp: Tensor) -> Tensor:
    """One pair for training, uint8 (6, h, w), of pictures (1, 1 or 3, h, w) in [0, 1]; UsageError unless both are of
    one size, and both grey or both in colour."""
    _check_alike(name, blurry, sharp)
    both = [image.expand(1, 3, -1, -1) for image in (blurry, sharp)]
    return to_uint8(torch.cat(both, dim=1)[0])


def _check_alike(name: str, blurry: Tensor, sharp: Tensor) -> None:
    if blurry.shape != sharp.shape:
        sizes = [f"{picture.shape[-1]} x {picture.shape[-2]} pixels" for picture in (blurry, sharp)]
        if blurry.shape[1] != sharp.shape[1]:
            sizes = [f"{size} in {'grey' if picture.shape[1] == 1 else 'colour'}"
                     for size, picture in zip(sizes, (blurry, sharp), strict=True)]  # fmt: skip
        raise UsageError(f"{name}: the blurry picture has {sizes[0]}, the sharp one {sizes[1]}: make them alike.")


def open_gopro(path: str | Path) -> Dataset:
    """The pairs of a whole set in a folder laid out as this module says."""
    root = Path(path).expanduser().absolute()
    splits = [split for split in ("train", "test") if (root / split).is_dir()]
    return of_files("gopro", root, {split: find_pairs(root, split) for split in splits or ["train"]})


def of_files(dataset: str, root: Path, splits: Mapping[str, Mapping[str, tuple[Path, Path]]]) -> Dataset:
    """The dataset of filmed pairs whose files `splits` has, by split and name."""
    pairs = {name: (split, *files) for split, found in splits.items() for name, files in found.items()}

    def digest(name: str) -> str:
        return content_digest(dataset, name, *(file.read_bytes() for file in pairs[name][1:]))

    return Dataset(tuple(pairs), lambda name: _pair(dataset, name, *pairs[name], digest(name)), digest, place=str(root))


def _pair(dataset: str, name: str, split: str, blurry_file: Path, sharp_file: Path, digest: str) -> Pair:
    blurry, sharp = read_image(blurry_file), read_image(sharp_file)
    _check_alike(name, blurry, sharp)
    return Pair(
        dataset=dataset,
        name=name,
        image=name,
        kernel_name="camera",
        blurry=blurry,
        sharp=sharp,
        kernel=None,
        kernel_size=KERNEL_SIZE,
        digest=digest,
        tags=(split, scene_of(name)),
    )


def _registered(dataset: str, files: Mapping[str, tuple[str, str, str]]) -> Dataset:
    """The dataset of filmed pairs (split, blurry, sharp), by name, whose files the registry has."""

    def digest(name: str) -> str:
        return content_digest(dataset, name, *(checksums()[path] for path in files[name][1:]))

    def load(name: str) -> Pair:
        split, *paths = files[name]
        return _pair(dataset, name, split, *map(fetch, paths), digest(name))

    return Dataset(
        names=tuple(files),
        load=load,
        digest=digest,
        files=tuple(path for _, *paths in files.values() for path in paths),
        licence="CC BY 4.0",
        citation="Nah et al.: Deep multi-scale convolutional neural network for dynamic scene deblurring, CVPR 2017",
    )


def _official(name: str, split: str) -> tuple[str, str, str]:
    blurry, sharp = (f"gopro/official/{split}/{kind}/{name}.png" for kind in ("blur", "sharp"))
    return split, blurry, sharp


_SAMPLES = {f"GOPR0372_07_00_0000{number}": "train" for number in (47, 48, 49, 50)}
_SAMPLES |= dict.fromkeys(("GOPR0869_11_00_000020", "GOPR0881_11_01_000295"), "test")

GOPRO = _registered("gopro", {name: _official(name, split) for name, split in _SAMPLES.items()})


def _averaged(scene: str, frame: int, count: int) -> tuple[str, str, str]:
    start = f"gopro/averaged/{scene}_st_frame-{frame}_n_avg-{count}"
    return "train" if may_train(scene) else "test", f"{start}.png", f"{start}_gt.png"


_AVERAGED = {  # scene -> first frame: number of frames
    "GOPR0374_11_00": {614: 8, 802: 10, 815: 10, 1195: 8},
    "GOPR0384_11_00": {203: 8, 386: 8},
    "GOPR0384_11_02": {698: 8},
    "GOPR0410_11_00": {151: 8, 326: 8, 448: 8, 472: 8, 1193: 8},
    "GOPR0477_11_00": {165: 8, 171: 8, 178: 8, 198: 8, 659: 8, 792: 8},
}
# Means of an even number of frames that J. Wolberg made from the films; the sharp frame is half a frame late.
GOPRO_AVERAGED = _registered(
    "gopro_averaged",
    {
        f"{scene}_{frame:06}": _averaged(scene, frame, count)
        for scene, counts in _AVERAGED.items()
        for frame, count in counts.items()
    },
)
