"""What the learned models see: batches, validation, and a description of both for the card of the weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from deblur_core import metrics
from deblur_core.blur import convolve
from deblur_core.blur.noise import add_gaussian
from deblur_core.data import camera_pairs, content_digest, filmed_pairs, training_pairs
from deblur_core.data import load as load_pair
from deblur_core.data.gopro import scene_of
from deblur_core.data.images import middle
from deblur_core.errors import UsageError
from deblur_core.training import Batch, PictureValidation, Settings, Source, Validation


@dataclass(frozen=True)
class Data:
    """Where batches come from, how the network is judged, and a JSON-able description of both for the card."""

    pairs: Source
    validate: Validation | None
    baseline: dict[str, float]  # scores of doing nothing, see `training.train`
    description: dict[str, Any]


def restoration_pairs(
    sources: tuple[str, ...],
    settings: Settings,
    seed: int,
    device: str,
    restore: Callable[[nn.Module, Tensor], Tensor] = lambda network, blurry: network(blurry),
    turn: bool = False,
    **blurred: Any,
) -> Data:
    """Batches from sources of sharp pictures, which are blurred (see `blurred_pictures` for `blurred`), from sources of
    filmed pairs (see `data.filmed_pairs`; with `turn` in all eight positions of a square), or half and half; validation
    by what is held out of each."""
    films, pictures = filmed_pairs.apart(sources)
    if not films:
        return blurred_pictures(pictures, settings, seed, device, restore=restore, **blurred)
    if not pictures:
        return films_alone(films, settings, device, restore, turn)
    if settings.batch < 2:
        raise UsageError("Filmed and blurred pictures share a batch: it needs at least two.")
    half = settings.batch // 2
    synthetic = blurred_pictures(
        pictures, replace(settings, batch=settings.batch - half), seed, device, restore=restore, **blurred
    )
    filmed = films_alone(films, replace(settings, batch=half), device, restore, turn)
    validate = PictureValidation([*synthetic.validate.pairs, *filmed.validate.pairs], restore, device)
    batches = training_pairs.mixed(synthetic.pairs, filmed.pairs)
    return Data(batches, validate, validate.baseline, synthetic.description | {"filmed": filmed.description})


def films_alone(
    sources: tuple[str, ...],
    settings: Settings,
    device: str,
    restore: Callable[[nn.Module, Tensor], Tensor],
    turn: bool = False,
) -> Data:
    """Batches of filmed pairs; validation by some pairs of a scene that does not train."""
    pairs, held_out = filmed_pairs.split(*sources)
    validate = PictureValidation(as_pairs(held_out), restore, device)
    batches = training_pairs.RealPairs(pairs, settings.batch, settings.crop, device, turn)
    return Data(batches, validate, validate.baseline, _said_of_films(sources, pairs, held_out))


VALIDATED = 6
"""So many filmed pairs, spread over their scene, are enough to validate with."""


def as_pairs(films: Mapping[str, Tensor]) -> list[tuple[Tensor, Tensor]]:
    """(blurry, sharp), float32 (1, 3, h, w) in [0, 1], of at most `VALIDATED` filmed pairs uint8 (6, h, w)."""
    chosen = list(films.values())[:: max(1, -(-len(films) // VALIDATED))]
    return [tuple(half[None].float() / 255 for half in pair.split(3)) for pair in chosen]


def _said_of_films(
    sources: tuple[str, ...], pairs: Mapping[str, Tensor], held_out: Mapping[str, Tensor]
) -> dict[str, Any]:
    return {
        "sources": [Path(source).name for source in sources],
        "pairs": len(pairs),
        "scenes": len({scene_of(name) for name in pairs}),
        "held out": sorted({scene_of(name) for name in held_out}),
    }


def blurred_pictures(
    sources: tuple[str, ...],
    settings: Settings,
    seed: int,
    device: str,
    blur: training_pairs.Blur = training_pairs.Blur(),  # noqa: B008, it is frozen
    restore: Callable[[nn.Module, Tensor], Tensor] = lambda network, blurry: network(blurry),
    exchange: bool = False,
    collection: Callable[[training_pairs.Blur, int], Tensor] = training_pairs.kernels,
) -> Data:
    """Sharp pictures blurred on the fly by a collection of kernels, with `exchange` in exchanged colours; validation by
    the PSNR of three whole pictures that never train, blurred by kernels as `training_pairs.kernels` has them."""
    pictures = training_pairs.sharp_pictures(*sources)
    held_out = training_pairs.whole_pairs(training_pairs.sharp_pictures("held out"), blur, seed=0)
    validate = PictureValidation(held_out, restore, device)
    return Data(
        training_pairs.SyntheticPairs(
            pictures, collection(blur, seed), blur, settings.batch, settings.crop, device, exchange
        ),
        validate,
        validate.baseline,
        {
            "sources": [Path(source).name for source in sources],
            "pictures": len(pictures),
            "blur": asdict(blur),
            "exchanged colours": exchange,
            "held out": list(training_pairs.HELD_OUT),
        },
    )


def blurred_alike(
    sources: tuple[str, ...], settings: Settings, seed: int, device: str, blur: training_pairs.Blur, filmed: int
) -> Data:
    """For a kernel space: batches (blurry, sharp, source), see `kernel_space_loss`. Neighbours are blurred by one
    kernel, a shake or one of the eight of the built-in set and, where built-in pictures are not the only source, of
    Levin's, and swap their k; the last `filmed` pictures of a batch keep their own: they are filmed by a simulated
    turning camera, or are filmed pairs where sources of these are named (see `data.filmed_pairs`), whose sharp halves
    serve as pictures where nothing else does.

    Validation: k of one held-out picture, from a shake that never trains, blurs another one; the baseline is the mean
    kernel. Filmed pairs of a scene that never trains are blurred anew by their own k; the baseline is the sharp half.
    """
    if settings.batch - filmed < 2 or (settings.batch - filmed) % 2:
        raise UsageError(
            f"Neighbours swap their blur, and {filmed} pictures of a batch keep theirs: the batch is {filmed + 2}, "
            f"{filmed + 4} ..., not {settings.batch}."
        )
    films, named = filmed_pairs.apart(sources)
    real, held_out = filmed_pairs.split(*films) if films else ({}, {})
    pictures = training_pairs.sharp_pictures(*named) or {name: pair[3:] for name, pair in real.items()}
    known_sets = ["builtin"] if named == ("builtin",) else ["levin", "builtin"]
    known = [load_pair(name, f"im1_kernel{i}").kernel for name in known_sets for i in range(1, 9)]
    k = torch.cat([training_pairs.kernels(blur, seed), *(pad_kernel(k, blur.size) for k in known * KNOWN)])
    shaken = training_pairs.SyntheticPairs(
        pictures, k, blur, settings.batch - filmed, settings.crop, device, exchange=True, alike=2
    )
    camera = camera_pairs.Camera(side=settings.crop + 32)
    scenes = real or camera_pairs.camera_pairs(_large_enough(pictures, camera), camera, FILMED, seed)
    turned = training_pairs.RealPairs(scenes, filmed, settings.crop, device, turn=True)
    together = training_pairs.mixed(shaken, turned)
    source = torch.arange(settings.batch, device=device)
    source[: settings.batch - filmed] ^= 1  # its neighbour

    def pairs(generator: torch.Generator) -> Batch:
        return *together(generator), source

    validate = TransferValidation(
        training_pairs.sharp_pictures("held out"), blur, k.mean(0, keepdim=True), device, held_out
    )
    description = {
        "sources": [Path(source).name for source in named],
        "pictures": len(pictures),
        "blur": asdict(blur),
        "known kernels": {"sets": known_sets, "times": KNOWN},
        "filmed": {"of a batch": filmed}
        | (_said_of_films(films, real, held_out) if films else {"pairs": FILMED, "camera": asdict(camera)}),
        "held out": list(training_pairs.HELD_OUT),
    }
    return Data(pairs, validate, validate.baseline, description)


KNOWN, FILMED = 64, 512
"""How often each known kernel is in the collection of thousands of shakes; pairs filmed by a turning camera."""


def pad_kernel(k: Tensor, size: int) -> Tensor:
    """k (1, kh, kw) with zeros around it: (1, size, size), all of them odd. UsageError for a k that does not fit."""
    if any(side > size or (size - side) % 2 for side in k.shape[-2:]):
        raise UsageError(f"A kernel of {k.shape[-1]} x {k.shape[-2]} px does not fit into the middle of {size} px.")
    return F.pad(k, ((size - k.shape[-1]) // 2,) * 2 + ((size - k.shape[-2]) // 2,) * 2)


def _large_enough(pictures: dict[str, Tensor], camera: camera_pairs.Camera) -> dict[str, Tensor]:
    least = camera.side + 2 * camera.margin
    return {name: picture for name, picture in pictures.items() if min(picture.shape[1:]) >= least}


class TransferValidation:
    """`psnr`: the mean PSNR of held-out pictures blurred with k of one another, against the blur that k was taken from.
    `filmed`, where there are `films`: that of the middles of such pairs, each blurred anew with its own k."""

    def __init__(
        self,
        pictures: dict[str, Tensor],
        blur: training_pairs.Blur,
        mean: Tensor,
        device: str,
        films: Mapping[str, Tensor] | None = None,
    ):
        random = torch.Generator().manual_seed(0)
        side = min(256 + blur.size - 1, *(min(picture.shape[1:]) for picture in pictures.values()))
        wide = [middle(picture[None].float() / 255, side) for picture in pictures.values()]
        self.device, self.sets = device, []
        border, scores = blur.size // 2, []
        for k in training_pairs.kernels(replace(blur, count=4), seed=10_000).split(1):
            blurred = [convolve(x, k) for x in wide]
            noisy = [add_gaussian(y, blur.noise, random).clamp(0, 1) for y in blurred]
            sharp = [x[..., border:-border, border:-border] for x in wide]
            self.sets.append(tuple(map(torch.cat, (sharp, blurred, noisy))))
            scores += [metrics.psnr(convolve(x, mean), y) for x, y in zip(wide, blurred, strict=True)]
        self.baseline = {"psnr": float(np.mean(scores))}
        self.films = [
            tuple(middle(picture, min(256, *picture.shape[2:])) for picture in pair) for pair in as_pairs(films or {})
        ]
        if self.films:
            self.baseline["filmed"] = float(np.mean([metrics.psnr(sharp, blurry) for blurry, sharp in self.films]))

    def __call__(self, network: nn.Module) -> dict[str, float]:
        moved, own = [], []
        with torch.no_grad():
            for sharp, blurred, noisy in self.sets:
                k = network.encode(sharp.to(self.device), noisy.to(self.device)).mean
                again = network.blur(sharp.to(self.device), k.roll(1, 0)).clamp(0, 1).cpu()
                moved += [metrics.psnr(ours[None], true[None]) for ours, true in zip(again, blurred, strict=True)]
            for blurry, sharp in self.films:
                k = network.encode(sharp.to(self.device), blurry.to(self.device)).mean
                own.append(metrics.psnr(network.blur(sharp.to(self.device), k).clamp(0, 1).cpu(), blurry))
        return {"psnr": float(np.mean(moved))} | ({"filmed": float(np.mean(own))} if own else {})


def digest(sources: tuple[str, ...]) -> str:
    """What identifies the pictures and filmed pairs of these sources."""
    films, pictures = filmed_pairs.apart(sources)
    found = training_pairs.digest(*pictures)
    return content_digest(found, filmed_pairs.digest(*films)) if films else found
