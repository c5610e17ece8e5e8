"""Answers to exercises, right and wrong, as students write them: XYDeblur's plug-in."""

import math

import torch

from deblur_core.models.counting import count_macs_as_ptflops
from deblur_core.models.xydeblur import ResidualBlock


def turn(f, n=1):
    return torch.rot90(f, n)


def counted(channels, size, height, width):
    with torch.device("meta"):
        block = ResidualBlock(channels, size)
        pictures = [torch.empty(1, channels, height // n, width // n) for n in (1, 2, 4)]
    return sum(count_macs_as_ptflops(block, picture) for picture in pictures)


def price(channels, size, height, width, scales=1 + 1 / 4 + 1 / 16, layers=2, bias=1, relus=1):
    return height * width * scales * channels * (layers * (channels * size**2 + bias) + relus)


RIGHT = {
    "plug_in": [
        lambda decoder, f: decoder(f) + turn(decoder(turn(f, 3)), -3),
        lambda decoder, f: turn(turn(decoder(f), -1) + decoder(turn(f, -1))),
    ],
    "block_multiply_adds": [counted],
    "affordable_width": [
        lambda width, ratio: max(n for n in range(200) if n**2 <= ratio * width**2),
        lambda width, ratio: math.floor(math.sqrt(ratio) * width),
    ],
}
WRONG = {  # by a few words of the hint that should come
    "plug_in": {
        "the same decoder twice": lambda decoder, f: decoder(f) + decoder(f),
        "still lies on its side: turn": lambda decoder, f: decoder(f) + decoder(turn(f, -1)),
        "turned clockwise": lambda decoder, f: decoder(f) + decoder(turn(f)),
        "rotated clockwise": lambda decoder, f: decoder(f) + turn(decoder(turn(f)), -1),
        "upside down": lambda decoder, f: decoder(f) + turn(decoder(turn(f, -1)), -1),
        "the residual alone": lambda decoder, f: decoder(f) + turn(decoder(f)),
        "second residual alone": lambda decoder, f: turn(decoder(turn(f, -1))),
        "the mean": lambda decoder, f: (decoder(f) + turn(decoder(turn(f, -1)))) / 2,
    },
    "block_multiply_adds": {
        "on three scales": lambda *of: price(*of, scales=1),
        "a quarter of the pixels": lambda *of: price(*of, scales=1.75),
        "two convolutions": lambda *of: price(*of, layers=1),
        "counted once": lambda *of: price(*of, bias=0, relus=0),
        "biases are missing": lambda *of: price(*of, bias=0),
        "ReLU is missing": lambda *of: price(*of, relus=0),
        "one ReLU": lambda *of: price(*of, relus=2),
        "size x size": lambda channels, size, *rest: price(channels, size**0.5, *rest),
    },
    "affordable_width": {
        "grows with the square": lambda width, ratio: int(width * ratio),
        "where a root is needed": lambda width, ratio: int(width * ratio**2),
        "no fractions": lambda width, ratio: width * math.sqrt(ratio),
        "You round, and": lambda width, ratio: round(width * math.sqrt(ratio)),
        "You round up": lambda width, ratio: math.ceil(width * math.sqrt(ratio)),
    },
}
