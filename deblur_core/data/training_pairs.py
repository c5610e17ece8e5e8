"""What learned models are trained on: an endless source of (blurry, sharp) crops, and whole pictures kept apart.

A source is a function of a `torch.Generator` on the CPU and nothing else, so that a batch can be made again from its
seed. Pictures wait as 8-bit tensors on the device where they are needed: a batch is cut, flipped and blurred there in
a few operations for all of its pictures.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import skimage.data
import torch
from torch import Tensor
from torch.nn.functional import pad

from deblur_core import blur
from deblur_core.data.gopro import may_train
from deblur_core.data.images import read_image
from deblur_core.data.pair import content_digest
from deblur_core.data.registry import checksums, fetch
from deblur_core.errors import UsageError

# Of the pictures that scikit-image bundles, those that no built-in pair shows, and sharp ones with texture.
_BUILTIN = ("brick", "coins", "grass", "gravel", "hubble_deep_field", "immunohistochemistry")
HELD_OUT = ("astronaut", "chelsea", "coffee")  # the colour pictures for validation: never trained on
_SUFFIXES = {".png", ".jpg", ".jpeg", ".tif", ".tiff"}


def sharp_pictures(*sources: str) -> dict[str, Tensor]:
    """Sharp pictures for training, uint8 (3, h, w), by name; grey ones get three equal channels.

    A source is "builtin" (bundled with scikit-image, eight pictures), "CBSD68", "Kodak24" (downloaded where DEBLUR_DATA
    has them not) or the path of a folder of pictures. Raises UsageError for a folder without pictures.
    """
    pictures: dict[str, Tensor] = {}
    for source in sources:
        pictures |= {f"{source}/{name}": picture for name, picture in _read_source(source).items()}
    return pictures


def _read_source(source: str) -> dict[str, Tensor]:
    if source == "builtin":
        left, right, _ = skimage.data.stereo_motorcycle()
        arrays = {name: getattr(skimage.data, name)() for name in _BUILTIN}
        return {
            name: _from_array(array)
            for name, array in ({"motorcycle_left": left, "motorcycle_right": right} | arrays).items()
        }
    if source == "held out":
        return {name: _from_array(getattr(skimage.data, name)()) for name in HELD_OUT}
    if registered := _registered(source):
        files = {Path(path).stem: fetch(path) for path in registered}
    else:
        folder = Path(source).expanduser()
        files = {file.name: file for file in sorted(folder.glob("*")) if file.suffix.lower() in _SUFFIXES}
        if not files:
            raise UsageError(f"{folder} holds no pictures: name a folder of sharp ones, 'builtin', CBSD68 or Kodak24.")
    return {name: _to_levels(read_image(file)) for name, file in files.items()}


def _registered(source: str) -> list[str]:
    return [path for path in checksums() if path.startswith(f"sharp/{source}/")]


def _from_array(array: np.ndarray) -> Tensor:
    return torch.from_numpy(np.atleast_3d(array)).permute(2, 0, 1).expand(3, -1, -1).contiguous()


def _to_levels(image: Tensor) -> Tensor:
    return image[0].expand(3, -1, -1).mul(255).round().to(torch.uint8)


def digest(*sources: str) -> str:
    """What identifies the pictures of `sharp_pictures(*sources)`; reads no file of a registered source."""
    parts: list[str | bytes] = []
    for source in sources:
        if registered := _registered(source):
            parts += [checksums()[path] for path in registered]
        else:
            for name, picture in _read_source(source).items():
                parts += [name, picture.numpy().tobytes()]
    return content_digest(*parts)


@dataclass(frozen=True)
class Blur:
    """How sharp pictures are blurred. Every picture of a batch gets a kernel of its own from a seeded collection."""

    size: int = 21  # px, odd: of the largest kernel
    kinds: tuple[str, ...] = ("shake", "shake", "x", "y")  # equally many of each: camera shake, linear motion
    count: int = 1024
    shortest: float = 1.0  # px: of the linear motions, the longest of which is the size minus 1
    noise: float = 0.002  # standard deviation; half a grey level
    gamma: float | None = None  # such as 2.2: blur intensities instead of the values in the file


def kernels(settings: Blur, seed: int) -> Tensor:
    """The collection (count, size, size): shakes of 5 px up to the full size, motions of `shortest` up to it.

    Raises UsageError for an unknown kind, an even size, and motions that do not fit into it.
    """
    if {"x", "y"} & set(settings.kinds) and not 0 <= settings.shortest <= settings.size - 1:
        raise UsageError(f"Motions of {settings.shortest} px and more do not fit into kernels of {settings.size} px.")
    random = np.random.default_rng(seed)
    return torch.cat([_kernel(settings.kinds[i % len(settings.kinds)], settings, random)
                      for i in range(settings.count)])  # fmt: skip


def _kernel(kind: str, settings: Blur, random: np.random.Generator) -> Tensor:
    size = settings.size
    if kind in ("x", "y"):
        along_x = blur.psf.linear_motion(size, random.uniform(settings.shortest, size - 1), angle=0.0)
        return along_x if kind == "x" else along_x.mT
    if kind != "shake":
        raise UsageError(f"There is no blur of the kind '{kind}': choose from shake, x, y.")
    own = int(random.integers(min(5, size) // 2, size // 2, endpoint=True)) * 2 + 1
    shake = blur.psf.camera_shake(own, int(random.integers(2**31)), extent=random.uniform(0.5, 1))
    return pad(shake, ((size - own) // 2,) * 4)


class SyntheticPairs:
    """Batches of random crops of sharp pictures, flipped and turned at random, then blurred.

    Each crop is blurred with what lies around it in the picture: no boundary is invented. With `exchange` its colours
    change places at random, too; so many neighbours as `alike`, which divides the batch, get one kernel. Called with a
    generator it returns (blurry, sharp), float32 (batch, 3, crop, crop) in [0, 1] on `device`.

    pictures: uint8 (3, h, w), by name, as `sharp_pictures`; k: a collection (n, size, size), size odd, as `kernels`.
    Raises UsageError for other ones, and for pictures that are too small or belong to a test set.
    """

    def __init__(
        self,
        pictures: Mapping[str, Tensor],
        k: Tensor,
        settings: Blur,
        batch: int,
        crop: int,
        device: str = "cpu",
        exchange: bool = False,
        alike: int = 1,
    ):
        if k.shape[-1] % 2 == 0:
            raise UsageError(f"Crops are blurred by kernels of odd size, not of {k.shape[-1]} px.")
        self.side = crop + k.shape[-1] - 1
        self.pictures = _on_device(pictures, 3, self.side, device)
        self.k, self.settings, self.batch = k.to(device), settings, batch
        self.exchange, self.alike = exchange, alike

    def __call__(self, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        x = _to_floats(random_crops(self.pictures, self.side, self.batch, generator))
        if self.exchange:
            orders = torch.rand(self.batch, 3, generator=generator).argsort(1).to(x.device, non_blocking=True)
            x = x[torch.arange(self.batch, device=x.device)[:, None], orders]
        which = torch.randint(len(self.k), (self.batch // self.alike,), generator=generator)
        which = which.repeat_interleave(self.alike).to(x.device, non_blocking=True)
        return _blurred(x, self.k[which], self.settings, generator)


class RealPairs:
    """Batches of random crops of photographed pairs, both alike: pictures uint8 (6, h, w), blurry then sharp.

    As `SyntheticPairs`; mirrored left to right only unless `turn`, because real blur is not the same in all directions.
    """

    def __init__(self, pairs: Mapping[str, Tensor], batch: int, crop: int, device: str = "cpu", turn: bool = False):
        self.pairs, self.batch, self.crop = _on_device(pairs, 6, crop, device), batch, crop
        self.turn = turn

    def __call__(self, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        both = _to_floats(random_crops(self.pairs, self.crop, self.batch, generator, turn=self.turn))
        return both[:, :3], both[:, 3:]


Source = Callable[[torch.Generator], tuple[Tensor, ...]]


def mixed(*parts: Source) -> Source:
    """Batches that consist of those of several sources."""
    return lambda generator: tuple(map(torch.cat, zip(*(part(generator) for part in parts), strict=True)))


def random_crops(
    pictures: Sequence[Tensor], side: int, count: int, generator: torch.Generator, turn: bool = True
) -> Tensor:
    """`count` square crops (count, c, side, side), each mirrored left to right or not, and with `turn` also in one of
    the eight positions of a square. Pictures are equally likely, whatever their sizes."""
    which = torch.randint(len(pictures), (count,), generator=generator).tolist()
    place = torch.rand(count, 2, generator=generator).tolist()
    mirrored = torch.rand(3, count, 1, 1, 1, generator=generator) < 0.5
    crops = []
    for index, (down, right) in zip(which, place, strict=True):
        picture = pictures[index]
        top, left = (int(share * (n - side + 1)) for share, n in zip((down, right), picture.shape[1:], strict=True))
        crops.append(picture[:, top : top + side, left : left + side])
    stacked = torch.stack(crops)
    mirrored = mirrored.to(stacked.device, non_blocking=True)
    stacked = torch.where(mirrored[0], stacked.flip(-1), stacked)
    if turn:
        stacked = torch.where(mirrored[1], stacked.flip(-2), stacked)
        stacked = torch.where(mirrored[2], stacked.transpose(-2, -1), stacked)
    return stacked


def whole_pairs(pictures: Mapping[str, Tensor], settings: Blur, seed: int) -> list[tuple[Tensor, Tensor]]:
    """Whole pictures for validation, each blurred by one kernel of each kind: (blurry, sharp), float32 (1, 3, h, w)."""
    generator = torch.Generator().manual_seed(seed)
    random = np.random.default_rng([seed, 1])  # other kernels than any `kernels` gives
    pairs = []
    for picture in pictures.values():
        for kind in dict.fromkeys(settings.kinds):
            k = _kernel(kind, settings, random)
            pairs.append(_blurred(_to_floats(picture[None]), k, settings, generator))
    return pairs


def _blurred(x: Tensor, k: Tensor, settings: Blur, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """(blurry, sharp), both smaller than x by the kernel's size minus 1."""
    if settings.gamma is None:
        y = blur.convolve(x, k)
    else:
        y = blur.convolve(x.pow(settings.gamma), k).clamp_min(0).pow(1 / settings.gamma)
    if settings.noise:
        own = torch.Generator(x.device)  # noise is drawn where the pictures are
        own.manual_seed(int(torch.randint(2**62, (), generator=generator)))
        y = blur.noise.add_gaussian(y, settings.noise, own)
    border = k.shape[-1] // 2
    return y.clamp(0, 1), x[..., border : x.shape[-2] - border, border : x.shape[-1] - border]


def _to_floats(levels: Tensor) -> Tensor:
    return levels.float().div_(255)


def _on_device(pictures: Mapping[str, Tensor], channels: int, side: int, device: str) -> list[Tensor]:
    if not pictures:
        raise UsageError("There is no picture to train on: name another source.")
    for name, picture in pictures.items():
        check_picture(name, picture, channels, side, "crop")
    return [picture.to(device) for picture in pictures.values()]


def check_picture(name: str, picture: Tensor, channels: int, side: int, part: str) -> None:
    """Raises UsageError for a picture of the official test split, for one that is not uint8 (channels, h, w), and where
    a part does not fit into it."""
    if not may_train(name):
        raise UsageError(f"{name} belongs to the official GoPro test split: nothing is trained on it.")
    if picture.dtype != torch.uint8 or picture.ndim != 3 or len(picture) != channels:
        raise UsageError(f"{name} is {picture.dtype} {tuple(picture.shape)}, and not uint8 ({channels}, h, w).")
    if min(picture.shape[1:]) < side:
        raise UsageError(
            f"{name} has {picture.shape[2]} x {picture.shape[1]} pixels, and a {part} with what blurs into it needs "
            f"{side}: leave the picture out, or make smaller {part}s."
        )
