"""Pairs whose blur differs from place to place, made from sharp pictures, so that nothing has to be downloaded.

A window of a picture is filmed by a shaking hand that also turns the camera, and pans it where asked to; in part of the
pairs something stands nearer than the rest and moves further (`blur.nonuniform`). Pairs are uint8 (6, side, side),
blurry then sharp, as `training_pairs.RealPairs` takes them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil, cos, radians, sin, sqrt

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from deblur_core.blur import nonuniform
from deblur_core.data.training_pairs import check_picture
from deblur_core.errors import UsageError

Filmed = tuple[Tensor, list[tuple[Tensor, float]]]


@dataclass(frozen=True)
class Camera:
    """How pairs are filmed. Distances are in pixels; of a range, any value is equally likely."""

    side: int = 128  # of a pair
    shift: tuple[float, float] = (2.0, 4.0)  # of the shaking hand: the largest distance from the centre along an axis
    pan: tuple[float, float] = (0.0, 0.0)  # the length of a steady motion
    directions: tuple[float, ...] = (0.0,)  # of the pan, in degrees counter-clockwise from the right
    turn: float = 2.0  # how far the turn moves the corners, at most
    near: float = 0.5  # the share of pairs with something near in them
    nearness: tuple[float, float] = (1.3, 2.0)  # how many times as far as the rest it is moved

    @property
    def margin(self) -> int:
        """How much of the scene around a pair's picture can blur into it."""
        return ceil((self.shift[1] + self.pan[1] / 2) * max(self.nearness[1], 1) + self.turn) + 1


def camera_pairs(
    pictures: Mapping[str, Tensor], camera: Camera, count: int, seed: int, order: Sequence[int] | None = None
) -> dict[str, Tensor]:
    """`count` pairs from random windows of sharp pictures uint8 (3, h, w), each picture as often as any other.

    Pair i is filmed as number order[i], by default i: another order gives the same sharp pictures the same blurs, but
    each the blur of another one. Raises UsageError for pictures that are too small, or that belong to a test set.
    """
    if not pictures:
        raise UsageError("There is no picture to film: name another source.")
    whole = camera.side + 2 * camera.margin
    names = list(pictures)
    pairs = {}
    for i in range(count):
        name = names[i % len(names)]
        scene = _window(name, pictures[name], whole, np.random.default_rng([seed, i, 0]))
        motion, layers = _filmed(camera, np.random.default_rng([seed, order[i] if order is not None else i, 1]))
        blurry = nonuniform.expose(scene, motion, camera.margin, layers)
        inner = slice(camera.margin, whole - camera.margin)
        both = torch.cat([blurry, scene[..., inner, inner]], dim=1)[0]
        pairs[f"{name}/{i}"] = both.mul(255).round().clamp(0, 255).to(torch.uint8)
    return pairs


def _window(name: str, picture: Tensor, side: int, random: np.random.Generator) -> Tensor:
    """(1, 3, side, side) in [0, 1]."""
    check_picture(name, picture, 3, side, "pair")
    top, left = (int(random.integers(n - side, endpoint=True)) for n in picture.shape[1:])
    return picture[None, :, top : top + side, left : left + side].float() / 255


def _filmed(camera: Camera, random: np.random.Generator) -> Filmed:
    """A motion, and what is near, as `nonuniform.expose` takes them."""
    angle = random.uniform(-camera.turn, camera.turn) / (camera.side / sqrt(2))
    motion = nonuniform.camera_motion(int(random.integers(2**31)), random.uniform(*camera.shift), angle)
    direction, steps = radians(random.choice(camera.directions)), torch.linspace(-0.5, 0.5, len(motion)).to(motion)
    along = torch.tensor([-sin(direction), cos(direction), 0], dtype=motion.dtype)  # down, right, turn
    motion += random.uniform(*camera.pan) * steps[:, None] * along
    if random.random() >= camera.near:
        return motion, []
    # A random landscape, cut at a height, is an island or a coast with a soft edge.
    coarse = torch.from_numpy(random.normal(size=(1, 1, 4, 4))).float()
    whole = camera.side + 2 * camera.margin
    landscape = F.interpolate(coarse, size=(whole, whole), mode="bicubic", align_corners=True)[0, 0]
    return motion, [((landscape * whole / 8).sigmoid(), random.uniform(*camera.nearness))]
