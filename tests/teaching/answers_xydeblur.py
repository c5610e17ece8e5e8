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


def decibels(x, y):
    return 10 * math.log10(float(x.square().sum() / x.numel()) / float(y.square().sum() / y.numel()))


RIGHT = {
    "upsampling_multiply_adds": [lambda h, w, i, o, size, stride: h * w * i * o * size * size, upsampled],
    "seeds_needed": [known_scatter],
    "quarter_turn": [
        lambda k: k.T.flip(0),
        lambda k: k.flip(1).T,
        lambda k: torch.stack([k[:, -1 - row] for row in range(len(k))]),
    ],
    "octaves": [lambda x, y: decibels(x, y) / (10 * math.log10(2))],
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
        "clockwise": lambda k: k.T.flip(1),
        "a transpose": lambda k: k.T,
        "half a turn": lambda k: k.flip(0, 1),
        "transpose as well": lambda k: k.flip(0),
        "instead of the columns": lambda k: k.flip(1),
    },
    "octaves": {
        "other way round": lambda x, y: np.log2(decibels_ratio(y, x)),
        "the ratio. An octave": lambda x, y: decibels_ratio(x, y),
        "Natural": lambda x, y: math.log(decibels_ratio(x, y)),
        "decibels": decibels,
        "*squares*": lambda x, y: math.log2(x.abs().mean() / y.abs().mean()),
        "amplitudes": lambda x, y: 0.5 * math.log2(decibels_ratio(x, y)),
        "mean first": lambda x, y: math.log2(x.std(correction=0) / y.std(correction=0)) * 2,
    },
}


def decibels_ratio(x, y):
    return 10 ** (decibels(x, y) / 10)
