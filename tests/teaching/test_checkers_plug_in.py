"""The checkers of the notebook on the plug-in."""

import math

import pytest
import torch
from torch import nn

from deblur_core.models.backbones import NETWORKS
from deblur_core.models.counting import count_macs_as_ptflops
from deblur_core.models.xydeblur import ResidualBlock
from deblur_core.teaching import checkers
from deblur_core.teaching.checkers import NOTHING_YET


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


@pytest.mark.parametrize(("name", "answer"), [(name, answer) for name, answers in RIGHT.items() for answer in answers])
def test_right_answers_are_praised(name, answer):
    assert getattr(checkers, name).hint(answer).startswith("Right. ")


@pytest.mark.parametrize(
    ("name", "words", "answer"), [(name, words, wrong) for name in WRONG for words, wrong in WRONG[name].items()]
)
def test_every_mistake_gets_its_hint(name, words, answer):
    assert words in getattr(checkers, name).hint(answer)


@pytest.mark.parametrize("name", RIGHT)
def test_every_hint_is_tried_and_a_stub_is_no_mistake(name):
    checker = getattr(checkers, name)
    assert len(checker.mistakes) == len(WRONG[name])
    assert checker.hint(lambda *probe: ...) == NOTHING_YET
    assert checker.hint(lambda *probe: 0.123).startswith("Not yet.")


def test_the_affordable_width_is_affordable():
    """39 channels cost less than 1.53 times the 32 of PSS-NSC, and 41 more."""
    y = torch.empty(1, 3, 64, 64, device="meta")

    def macs(width):
        with torch.device("meta"):
            network: nn.Module = NETWORKS["PSS-NSC"](width=width)
        return count_macs_as_ptflops(network, y)

    assert macs(39) < 1.53 * macs(32) < macs(41)
