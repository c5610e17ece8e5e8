"""The checkers of the notebooks on the number of decoders and on their rotation."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from deblur_core.models.counting import count_macs, count_macs_as_ptflops
from deblur_core.teaching import checkers
from deblur_core.teaching.checkers import NOTHING_YET


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


@pytest.mark.parametrize("name", RIGHT)
def test_right_answers_are_praised_however_they_are_written(name):
    checker = getattr(checkers, name)
    for answer in RIGHT[name]:
        assert checker.hint(answer) == f"Right. {checker.praise}"


@pytest.mark.parametrize(("name", "words"), [(name, words) for name in WRONG for words in WRONG[name]])
def test_a_mistake_gets_its_own_hint(name, words):
    hint = getattr(checkers, name).hint(WRONG[name][words])
    assert hint.startswith("Not yet. ") and words in hint


@pytest.mark.parametrize("name", WRONG)
def test_every_hint_is_given_to_some_mistake_here(name):
    checker = getattr(checkers, name)
    given = {checker.hint(answer).removeprefix("Not yet. ") for answer in WRONG[name].values()}
    assert set(checker.mistakes) == given


@pytest.mark.parametrize("name", RIGHT)
def test_an_untouched_stub_is_no_mistake(name):
    assert getattr(checkers, name).hint(lambda *_: ...) == NOTHING_YET


def test_the_numbers_of_the_praise():
    """The paper's first upsampling at 1280 x 720 by our counter, and by the convention of ptflops."""
    of = (180, 320, 128, 64, 4, 2)
    assert upsampled(*of) == pytest.approx(7.55e9, rel=1e-3)
    assert upsampled(*of, count=count_macs_as_ptflops) == pytest.approx(30.2e9, rel=0.03)  # without padding
