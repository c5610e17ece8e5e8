"""Answers to exercises, right and wrong, as students write them: XYDeblur's decoders."""

import math

import numpy as np
import torch
from torch import nn

from deblur_core.models.counting import count_macs


def upsampled(height, width, inputs, outputs, size, stride, count=count_macs):
    layer = nn.ConvTranspose2d(inputs, outputs, size, stride, bias=False)
    return count(layer, torch.empty(1, inputs, height, width, device="meta"))


def known_scatter(effect, scatter, z=1.96):
    return next(n for n in range(1, 10_000) if abs(effect) >= z * scatter / math.sqrt(n))


def preferences(x, y):
    """Octaves of both decoders, picture by picture."""
    return np.log(np.divide(x, y)) / np.log(2)


def leads(x, y):
    first, second = preferences(x, y)
    return first - second


def left_out(values, choose=None, score=None):
    """values: (2, n), by which decoders are chosen and scored."""
    choose = choose or (lambda others, own: int(np.mean(others, 0).argmax()))
    score = score or (lambda own, x: own[x] - own[1 - x])
    rows = np.asarray(values).T
    return np.mean([score(own, choose(np.delete(rows, i, 0), own)) for i, own in enumerate(rows)])


def by_sums(x, y):
    """The decoder of the larger ratio of powers that were added up over the other pictures."""
    sums = [[np.delete(powers, i, 1).sum(1) for powers in (x, y)] for i in range(x.shape[1])]
    return np.mean([lead if np.divide(*of_x_and_y).argmax() == 0 else -lead
                    for lead, of_x_and_y in zip(leads(x, y), sums, strict=True)])  # fmt: skip


def signed(x, y):
    found = leads(x, y)
    return [lead if found.sum() > lead else -lead for lead in found]


RIGHT = {
    "upsampling_multiply_adds": [lambda h, w, i, o, size, stride: h * w * i * o * size * size, upsampled],
    "seeds_needed": [known_scatter],
    "quarter_turn": [
        lambda k: k.T.flip(0),
        lambda k: k.flip(1).T,
        lambda k: torch.stack([k[:, -1 - row] for row in range(len(k))]),
    ],
    "own_direction": [
        lambda x, y: left_out(preferences(x, y)),
        lambda x, y: torch.tensor(signed(x, y)).mean(),
    ],
}
WRONG = {  # by a few words of the hint that should come
    "upsampling_multiply_adds": {
        "zeros between the pixels": lambda h, w, i, o, size, stride: h * stride * w * stride * i * o * size**2,
        "neither fewer nor more": lambda h, w, i, o, size, stride: h * w * i * o * size**2 // stride**2,
        "size x size": lambda h, w, i, o, size, stride: h * w * i * o * size,
        "by both": lambda h, w, i, o, size, stride: h * w * i * size**2,
        "not as two": lambda h, w, i, o, size, stride: 2 * h * w * i * o * size**2,
        "the bias": lambda h, w, i, o, size, stride: h * w * i * o * size**2 + o * h * stride * w * stride,
    },
    "seeds_needed": {
        "fractions": lambda effect, scatter: (1.96 * scatter / effect) ** 2,
        "round down": lambda effect, scatter: int((1.96 * scatter / effect) ** 2),
        "a square": lambda effect, scatter: math.ceil(1.96 * scatter / abs(effect)),
        "68 %": lambda effect, scatter: known_scatter(effect, scatter, 1),
        "*each* side": lambda effect, scatter: known_scatter(effect, scatter, 3.92),
        "Upside down": lambda effect, scatter: math.ceil((1.96 * effect / scatter) ** 2),
    },
    "quarter_turn": {
        "order of your two": lambda k: k.T.flip(1),
        "a transpose": lambda k: k.T,
        "half a turn": lambda k: k.flip(0, 1),
        "left-handed": lambda k: k.flip(0),
        "left to right": lambda k: k.flip(1),
    },
    "own_direction": {
        "very picture": lambda x, y: left_out(preferences(x, y), lambda others, own: own.argmax()),
        "choose once": lambda x, y: abs(leads(x, y).mean()),
        "first decoder": lambda x, y: leads(x, y).mean(),
        "The sign": lambda x, y: -left_out(preferences(x, y)),
        "alone": lambda x, y: left_out(preferences(x, y), score=lambda own, x: own[x]),
        "Those are ratios": lambda x, y: left_out(x / y),
        "Natural": lambda x, y: left_out(np.log(x / y)),
        "added up": by_sums,
        "take their mean": signed,
    },
}  # fmt: skip
