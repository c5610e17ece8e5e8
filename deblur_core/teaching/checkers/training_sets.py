"""Exercises on training sets: swapped and synthesised blur."""

from __future__ import annotations

import torch
from torch import Tensor

from deblur_core.teaching.checkers.checker import Checker, random

# Nobody gets his own blur: a random ring (n,) -> whose blur pair i gets (n,)


def _around(ring: Tensor, shift: int) -> Tensor:
    order = torch.empty_like(ring)
    order[ring] = ring.roll(shift)
    return order


others_blur = Checker(
    right=lambda ring: _around(ring, 1),
    mistakes={
        "That is a plain shuffle. Some may keep their own blur: look for i with order[i] == i.": lambda ring: ring,
        "You turned the ring, but wrote it to the places 0, 1, 2. It belongs to the places that the ring names.":
            lambda ring: ring.roll(1),
        "Everybody gets the blur of the one *after* him in the ring. That is a fair swap, too; asked for is the one "
        "before.": lambda ring: _around(ring, -1),
        "Everybody keeps his own: turn the ring by one place.": lambda ring: _around(ring, 0),
        "That is the plain shift by one, without the ring: pair 1 always gets the blur of pair 0.":
            lambda ring: torch.arange(len(ring)).roll(1),
        "You turn the ring by two places. In a ring of two that gives everybody his own.":
            lambda ring: _around(ring, 2),
    },
    probes=((torch.tensor([3, 0, 4, 1, 5, 2]),), (torch.tensor([1, 4, 2, 0, 3]),)),
    praise="Every blur is used exactly once, so the swapped set has neither more nor less blur than the original one.",
)  # fmt: skip


# Equivalence: (differences (n,), margin, t) -> how far inside the margin the whole interval lies


def _room(differences: Tensor, margin: float, t: float, correction: int = 1, power: float = 0.5) -> Tensor:
    half = t * differences.std(correction=correction) / len(differences) ** power
    return margin - differences.mean().abs() - half


room_inside = Checker(
    right=_room,
    mistakes={
        "You left out the scatter. A mean inside the margin may be luck: its whole interval has to be inside.":
            lambda d, margin, t: margin - d.mean().abs(),
        "Too large a difference on the other side passes unseen: take the absolute value of the mean.":
            lambda d, margin, t: _room(d, margin, t) + d.mean().abs() - d.mean(),
        "You ask whether the interval is clear of zero. That would show a difference; here it has to be clear of the "
        "margin.": lambda d, margin, t: _room(d, 0.0, t) + 2 * d.mean().abs(),
        "Standard deviations of samples divide by n - 1.": lambda d, margin, t: _room(d, margin, t, correction=0),
        "That is how far a single difference scatters. Their mean scatters less: divide by √n.":
            lambda d, margin, t: _room(d, margin, t, power=0),
        "Divide by √n, not by n.": lambda d, margin, t: _room(d, margin, t, power=1),
        "More scatter must leave less room, and yours leaves more: subtract it.":
            lambda d, margin, t: _room(d, margin, -t),
        "You average the absolute differences. Those of different signs cancel in the mean: average first.":
            lambda d, margin, t: _room(d, margin, t) + d.mean().abs() - d.abs().mean(),
        "The sign: room is what is left of the margin.": lambda d, margin, t: -_room(d, margin, t),
    },
    probes=((random(5) * 0.3 - 0.25, 0.1, 2.776445), (random(8) * 0.1 - 0.02, 0.2, 2.364624)),
    praise="Above zero, the two are comparable. Few runs leave no room, however small their mean difference is.",
)  # fmt: skip


# An augmented pair: (blurry, sharp, order of colours, light, noise) -> both, stacked


def _pair(blurry: Tensor, sharp: Tensor, order: Tensor, light: float, noise: Tensor) -> Tensor:
    return torch.stack([(light * blurry[order] + noise).clamp(0, 1), light * sharp[order]])


augmented_pair = Checker(
    right=_pair,
    mistakes={
        "There is noise in the sharp picture, too. It is the answer that the network learns: keep it clean.":
            lambda y, x, order, light, noise: (light * torch.stack([y, x])[:, order] + noise).clamp(0, 1),
        "You darken the noise as well. It comes from the sensor, whatever the light: add it last.":
            lambda y, x, order, light, noise: torch.stack([light * (y[order] + noise).clamp(0, 1), light * x[order]]),
        "The sharp picture has kept its colours: the network would learn to change colours.":
            lambda y, x, order, light, noise: torch.stack([_pair(y, x, order, light, noise)[0], light * x]),
        "The sharp picture has kept its light: the network would learn to brighten.":
            lambda y, x, order, light, noise: torch.stack([_pair(y, x, order, light, noise)[0], x[order]]),
        "Noise may leave [0, 1], and no camera's file does: clip it.":
            lambda y, x, order, light, noise: torch.stack([light * y[order] + noise, light * x[order]]),
        "The colours are as they were: index the first dimension by `order`.":
            lambda y, x, order, light, noise: torch.stack([(light * y + noise).clamp(0, 1), light * x]),
        "The light is as it was: multiply both by `light`.":
            lambda y, x, order, light, noise: _pair(y, x, order, 1.0, noise),
        "The noise is missing.": lambda y, x, order, light, noise: _pair(y, x, order, light, 0 * noise),
        "First blurry, then sharp: yours are the other way round.":
            lambda *given: _pair(*given).flip(0),
    },
    probes=((random(3, 4, 5), random(4, 4, 5)[1:], torch.tensor([2, 0, 1]), 0.7, random(3, 4, 5) - 0.6),
            (random(3, 2, 6), random(5, 2, 6)[2:], torch.tensor([1, 2, 0]), 0.9, random(5, 2, 6)[:3] - 0.3)),
    praise="What is done to both cannot be mistaken for blur; what is done to one alone is what the network undoes.",
)  # fmt: skip


# How much of new cameras: PSNR (seeds, pictures) of three arms -> share of their gain, NaN where they have none


def _share(ordinary: Tensor, added: Tensor, filmed: Tensor) -> Tensor:
    return (added - ordinary).mean() / (filmed - ordinary).mean()


share_of_ceiling = Checker(
    right=lambda ordinary, added, filmed: (
        _share(ordinary, added, filmed) if (filmed - ordinary).mean() > 0 else torch.tensor(torch.nan)),
    mistakes={
        "New cameras gain nothing here, so a share of it means nothing.": _share,
        "You average ratios. Where new cameras happen to gain nothing a ratio explodes: average first, then divide.":
            lambda ordinary, added, filmed: ((added - ordinary) / (filmed - ordinary)).mean(),
        "You average ratios, one a seed: average over seeds and pictures first, then divide.":
            lambda ordinary, added, filmed: ((added - ordinary).mean(1) / (filmed - ordinary).mean(1)).mean(),
        "You average ratios, one a picture: average over seeds and pictures first, then divide.":
            lambda ordinary, added, filmed: ((added - ordinary).mean(0) / (filmed - ordinary).mean(0)).mean(),
        "Decibels have no zero that means nothing: subtract the ordinary arm from both before you divide.":
            lambda ordinary, added, filmed: added.mean() / filmed.mean(),
        "Upside down: new cameras are the whole.":
            lambda ordinary, added, filmed: (filmed - ordinary).mean() / (added - ordinary).mean(),
        "You cut off at 1. Added blur may do more than new cameras.": lambda *given: _share(*given).clamp(max=1),
        "That is the share that is missing.":
            lambda ordinary, added, filmed: (filmed - added).mean() / (filmed - ordinary).mean(),
        "That is the gain in decibels. Divide it by that of new cameras.":
            lambda ordinary, added, filmed: (added - ordinary).mean(),
    },
    probes=((25 + random(3, 4), 25.6 + random(4, 3).T, 26.3 + random(5, 4)[:3]),
            (28 + random(2, 5), 27.9 + random(5, 2).T, 28.8 + random(3, 5)[1:]),
            (27 + random(3, 4), 26.7 + random(4, 3).T, 26.1 + random(5, 4)[:3]),
            (27 + random(3, 4), 27.3 + random(4, 3).T, 27 + random(3, 4)),
            (26 + random(3, 4), 27.9 + random(4, 3).T, 26.8 + random(5, 4)[:3])),
    praise="This number means something only where new cameras clearly help. Near 1, synthesised blur replaces "
    "filming; at 0 it was useless; below 0 it did harm.",
)  # fmt: skip
