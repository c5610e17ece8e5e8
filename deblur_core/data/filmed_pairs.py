"""Pairs for training whose blur a camera made, by the name of their source; nothing of the official test split.

    gopro, gopro_averaged               the few pairs of these datasets
    gopro:PATH, reds:PATH               the training split of a whole copy, see the modules `gopro` and `reds`
    frames:PATH, frames_gamma:PATH      sharp frames, a folder of a scene or of folders: means of seven are the blur

Blur of frames_gamma is a mean of intensities, the values in the files being their 2.2th root.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from torch import Tensor

from deblur_core.data import gopro, reds
from deblur_core.data.pair import content_digest
from deblur_core.errors import UsageError
from deblur_core.files import sha256

_DATASETS = {"gopro": gopro.GOPRO, "gopro_averaged": gopro.GOPRO_AVERAGED}
_COPIES = {"gopro": gopro.find_pairs, "reds": reds.find_pairs}
_FRAMES = {"frames": None, "frames_gamma": 2.2}
_LENGTH = 7  # frames that make a blurry picture, as the fewest of GoPro


def apart(sources: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """(sources of filmed pairs, all others)."""
    filmed = tuple(source for source in sources if source in _DATASETS or _kind(source) in {*_COPIES, *_FRAMES})
    return filmed, tuple(source for source in sources if source not in filmed)


def filmed_pairs(*sources: str) -> dict[str, Tensor]:
    """Pairs uint8 (6, h, w), the blurry picture's three channels, then the sharp one's, by scene and frame.

    All of them in memory, as `gopro.read_pairs` says. Raises UsageError for another source, and where one holds none to
    train on.
    """
    _check(sources)
    pairs: dict[str, Tensor] = {}
    for source in sources:
        found = {name: pair for name, pair in _read(source).items() if gopro.may_train(name)}
        if not found:
            raise UsageError(f"{source} holds nothing but pictures of the official GoPro test split: name another one.")
        if twice := sorted(pairs.keys() & found.keys()):
            raise UsageError(f"{twice[0]} is in two sources: name one of them, or rename a folder.")
        pairs |= found
    return pairs


def split(*sources: str) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """(training, held out) of `filmed_pairs`: the last scene is kept apart. UsageError where there is only one."""
    pairs = filmed_pairs(*sources)
    scenes = sorted({gopro.scene_of(name) for name in pairs})
    if len(scenes) < 2:
        raise UsageError(
            f"All filmed pairs are of scene {scenes[0]}, and one scene has to be kept apart: name another source, too."
        )
    return gopro.split_by_scene(pairs, held_out=scenes[-1:])


def digest(*sources: str) -> str:
    """What identifies the pairs of `filmed_pairs(*sources)`: their files, none of which is decoded."""
    _check(sources)
    parts: list[str | bytes] = []
    for source in sources:
        if dataset := _DATASETS.get(source):
            parts += [dataset.digest(name) for name in dataset.names]
        else:
            parts += [_kind(source)]
            for name, files in _files(source).items():
                parts += [name, *(sha256(file.read_bytes()) for file in files)]
    return content_digest(*parts)


def _check(sources: Sequence[str]) -> None:
    if others := apart(sources)[1]:
        raise UsageError(f"'{others[0]}' is no source of filmed pairs: choose from {', '.join(_DATASETS)}, gopro:PATH, "
                         "reds:PATH, frames:PATH, frames_gamma:PATH.")  # fmt: skip


def _kind(source: str) -> str:
    return source.partition(":")[0] if ":" in source else ""


def _path(source: str) -> Path:
    return Path(source.partition(":")[2]).expanduser()


def _files(source: str) -> dict[str, tuple[Path, ...]]:
    if find := _COPIES.get(_kind(source)):
        return find(_path(source), "train")
    return {scene.name: tuple(sorted(scene.glob("*.png"))) for scene in _scenes(_path(source))}


def _scenes(folder: Path) -> list[Path]:
    """The folder itself where frames lie in it, else the folders in it."""
    return [folder] if any(folder.glob("*.png")) else sorted(scene for scene in folder.glob("*") if scene.is_dir())


def _read(source: str) -> dict[str, Tensor]:
    if dataset := _DATASETS.get(source):
        loaded = {name: dataset.load(name) for name in dataset.names if gopro.may_train(name)}
        return {name: gopro.stack(name, pair.blurry, pair.sharp) for name, pair in loaded.items()}
    if find := _COPIES.get(_kind(source)):
        return gopro.read_pairs(find(_path(source), "train"))
    scenes, gamma = _scenes(_path(source)), _FRAMES[_kind(source)]
    if not scenes:
        raise UsageError(f"{_path(source)} holds neither frames nor folders of frames: name another folder.")
    return {name: pair for scene in scenes for name, pair in gopro.average_frames(scene, _LENGTH, gamma).items()}
