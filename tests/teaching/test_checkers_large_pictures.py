"""The checkers of the notebook on large kernels and photographs: right answers, and every mistake with its hint."""

import numpy as np
import pytest
import torch
from scipy.signal import convolve2d

from deblur_core.teaching import checkers
from deblur_core.teaching.checkers import NOTHING_YET


def blurred(x, k):
    return torch.from_numpy(convolve2d(x, k, mode="valid"))


def reduced(side):
    return max(1, int(np.floor(side / 256 + 0.5)))


RIGHT = {
    "camera": [
        lambda x, k: blurred(x, k).clamp(max=1),
        lambda x, k: np.minimum(blurred(x, k).numpy(), 1),
    ],
    "ssim_reduction": [
        lambda height, width: reduced(min(height, width) - 30),
        lambda height, width: 1 + (min(height, width) - 30 >= 384) + (min(height, width) - 30 >= 640),
    ],
}
WRONG = {
    "camera": {
        "Blur first": lambda x, k: blurred(x.clamp(0, 1), k).clamp(0, 1),
        "Nothing is clipped": blurred,
        "scale the picture": lambda x, k: blurred(x, k) / blurred(x, k).max(),
        "this is correlation": lambda x, k: blurred(x, k.flip(0, 1)).clamp(0, 1),
    },
    "ssim_reduction": {
        "forget the border": lambda height, width: reduced(min(height, width)),
        "two sides": lambda height, width: reduced(min(height, width) - 15),
        "shorter side": lambda height, width: reduced(max(height, width) - 30),
        "at least 1": lambda height, width: int((min(height, width) - 30) / 256 + 0.5),
        "half to even": lambda height, width: max(1, round((min(height, width) - 30) / 256)),
        "You cut off": lambda height, width: max(1, (min(height, width) - 30) // 256),
        "whole number": lambda height, width: max(1, (min(height, width) - 30) / 256),
    },
}


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
