"""Exercises on XYDeblur."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from deblur_core.teaching.checkers.checker import Checker, random

# The pair of decoders: a decoder, a function (h, w) -> (h, w), and features (h, w) -> sum of both residuals (h, w)


def _plug_in(decoder: Callable, features: Tensor, turns: int = 1) -> Tensor:
    return decoder(features) + torch.rot90(decoder(torch.rot90(features, -turns)), turns)


def _decoder(kernel: Tensor) -> Callable[[Tensor], Tensor]:
    return lambda features: F.conv2d(features[None, None], kernel[None, None], padding="same")[0, 0].relu()


plug_in = Checker(
    right=_plug_in,
    mistakes={
        "That is the same decoder twice: turn the features before the second one reads them.":
            lambda decoder, features: 2 * decoder(features),
        "The second residual still lies on its side: turn it back before you add it.":
            lambda decoder, features: decoder(features) + decoder(torch.rot90(features, -1)),
        "The second residual still lies on its side (turn it back before you add it), and the features must be turned "
        "clockwise.": lambda decoder, features: decoder(features) + decoder(torch.rot90(features, 1)),
        "Your kernels are rotated clockwise: features that turn one way see kernels that turn the other way. (The "
        "released code has this pair; it is as good.)": lambda decoder, features: _plug_in(decoder, features, -1),
        "You turn the residual the same way as the features: now it is upside down. Turn it back.":
            lambda decoder, features: decoder(features) + torch.rot90(decoder(torch.rot90(features, -1)), -1),
        "You turn the residual alone. The decoder has to see turned features, or its kernels never meet the picture "
        "from the side.": lambda decoder, features: decoder(features) + torch.rot90(decoder(features)),
        "That is the second residual alone: add the decoder's own.":
            lambda decoder, features: _plug_in(decoder, features) - decoder(features),
        "You take the mean of the residuals. Each decoder does a part of the work: add them.":
            lambda decoder, features: _plug_in(decoder, features) / 2,
    },
    probes=((_decoder(random(3, 3) - 0.4), random(6, 6)), (_decoder(random(5, 5) - 0.5), random(7, 7))),
    praise="In a real network the kernels are turned instead, which is the same and as fast or faster.",
)  # fmt: skip


# Multiply-adds of a residual block on three scales, as ptflops counts: channels, size of kernels, height, width


def _block(
    channels: float, size: float, height: float, width: float, scales: Sequence[int] = (1, 4, 16),
    layers: int = 2, bias: int = 1, relus: int = 1,
) -> float:  # fmt: skip
    pixels = sum(height * width / scale for scale in scales)
    return pixels * channels * (layers * (channels * size**2 + bias) + relus)


block_multiply_adds = Checker(
    right=_block,
    mistakes={
        "The smaller pictures are missing: the block works on three scales.": lambda *of: _block(*of, scales=(1,)),
        "Half the sides is a quarter of the pixels, and a quarter of the sides a sixteenth.":
            lambda *of: _block(*of, scales=(1, 2, 4)),
        "A residual block has two convolutions.": lambda *of: _block(*of, layers=1),
        "That is every multiplication, counted once. In ptflops' books the bias counts as one for each number that a "
        "convolution writes, and the ReLU, too.": lambda *of: _block(*of, bias=0, relus=0),
        "The biases are missing: one for each number that a convolution writes.": lambda *of: _block(*of, bias=0),
        "The ReLU is missing: one for each of its numbers.": lambda *of: _block(*of, relus=0),
        "There is one ReLU in a block, between the convolutions.": lambda *of: _block(*of, relus=2),
        "A kernel has size x size weights, not size.":
            lambda channels, size, *of: _block(channels, size**0.5, *of),
    },
    probes=((64, 5, 720, 1280), (32, 3, 16, 48)),
    praise="For MSCNN these are 247.96 G, and the difference that step 4 found is nine of them and the drawing layer.",
)  # fmt: skip


# Width that a network may have: channels now, times the multiply-adds -> channels


affordable_width = Checker(
    right=lambda width, ratio: np.floor(width * ratio**0.5),
    mistakes={
        "A layer reads `width` channels and writes `width` channels, so its cost grows with the square of the width.":
            lambda width, ratio: np.floor(width * ratio),
        "You square where a root is needed: the cost is the square of the width.":
            lambda width, ratio: np.floor(width * ratio**2),
        "There are no fractions of channels: cut off.": lambda width, ratio: width * ratio**0.5,
        "You round, and rounding up costs more than it may: cut off.":
            lambda width, ratio: np.round(width * ratio**0.5),
        "You round up, and then it costs more than it may.": lambda width, ratio: np.ceil(width * ratio**0.5),
    },
    probes=((32, 1.6), (32, 1.53), (64, 1.47), (16, 2.5)),
    praise="39 channels everywhere are what the pair would pay for in PSS-NSC. The paper's wider rival takes 2.6 times "
    "the baseline's multiply-adds, not 1.5.",
)  # fmt: skip


# Multiply-adds of a transposed convolution: height and width of what it reads, channels in and out, size, stride


def _upsampling(height: int, width: int, inputs: int, outputs: int, size: int, stride: int) -> int:
    return height * width * inputs * outputs * size**2


upsampling_multiply_adds = Checker(
    right=_upsampling,
    mistakes={
        "You let every pixel of the *output* meet the whole kernel, as some packages do. Most of what they multiply "
        "are the zeros between the pixels: each pixel of the *input* is multiplied with the kernel, once.":
            lambda *of: _upsampling(*of) * of[-1] ** 2,
        "The stride moves the products to other places. It makes them neither fewer nor more.":
            lambda *of: _upsampling(*of) // of[-1] ** 2,
        "A kernel has size x size weights for every pair of channels.":
            lambda *of: _upsampling(*of) // of[-2],
        "Every channel that goes in meets every channel that comes out: multiply by both.":
            lambda *of: _upsampling(*of) // of[3],
        "A multiplication and an addition count as one multiply-add, not as two operations.":
            lambda *of: 2 * _upsampling(*of),
        "Additions of the bias are not counted here, only multiplications.":
            lambda *of: _upsampling(*of) + of[0] * of[1] * of[-1] ** 2 * of[3],
    },
    probes=((5, 7, 3, 2, 6, 3), (180, 320, 128, 64, 4, 2)),
    praise="For the paper's first upsampling these are 7.55 G. A package that looks at the output says 30.2 G.",
)  # fmt: skip


# How many seeds: effect, scatter of the differences between runs of one seed -> number


def _seeds(effect: float, scatter: float, factor: float = 1.96) -> float:
    return (factor * scatter / effect) ** 2


seeds_needed = Checker(
    right=lambda effect, scatter: np.ceil(_seeds(effect, scatter)),
    mistakes={
        "There are no fractions of runs: round up.": _seeds,
        "You round down, and then the interval still reaches zero: round up.":
            lambda effect, scatter: np.floor(_seeds(effect, scatter)),
        "The standard error falls with the *root* of the number of seeds, so their number is a square.":
            lambda effect, scatter: np.ceil(_seeds(effect, scatter) ** 0.5),
        "Where is 1.96? One standard error on either side is 68 %, not 95 %.":
            lambda effect, scatter: np.ceil(_seeds(effect, scatter, 1)),
        "The interval reaches 1.96 standard errors to *each* side; zero has to be outside one of them.":
            lambda effect, scatter: np.ceil(_seeds(effect, scatter, 2 * 1.96)),
        "Upside down: the smaller the effect, the more seeds.":
            lambda effect, scatter: np.ceil((1.96 * effect / scatter) ** 2),
    },
    probes=((0.05, 0.12), (0.2, 0.71), (0.1, 0.25)),
    praise="Half the effect needs four times the runs: small differences between single runs mean little.",
)  # fmt: skip


# A kernel (n, n), rotated by 90 degrees counter-clockwise


quarter_turn = Checker(
    right=lambda k: torch.rot90(k, 1, (0, 1)),
    mistakes={
        "That is clockwise. Either the order of your two operations or the side that you flip has to change.":
            lambda k: torch.rot90(k, -1, (0, 1)),
        "That is a transpose. It mirrors along the diagonal, and no rotation does that: mirror once more.":
            lambda k: k.T,
        "That is half a turn.": lambda k: torch.rot90(k, 2, (0, 1)),
        "That is a mirror image, upside down. A rotation keeps left-handed things left-handed; transpose as well.":
            lambda k: k.flip(0),
        "That is a mirror image, left to right: transpose as well.": lambda k: k.flip(1),
    },
    probes=((random(3, 3),), (random(5, 5),)),
    praise="Two operations that move no number twice: that is all that XYDeblur's second decoder costs in code.",
)  # fmt: skip


# Which is the x-decoder: powers (2, n) of two decoders for n pictures, blurred along x and along y -> octaves by which
# it prefers x more than the other one, where each picture is judged by a choice that was made without it


def _lead(under_x: Tensor, under_y: Tensor) -> Tensor:
    """By how many octaves the first decoder prefers x more than the second one, for each picture."""
    first, second = (under_x / under_y).log2()
    return first - second


def _chosen_by_others(lead: Tensor, others: Tensor) -> Tensor:
    return (others.sign() * lead).mean()


def _without(values: Tensor) -> Tensor:
    """For each entry the sum of all the others."""
    return values.sum(-1, keepdim=True) - values


def _x_alone(under_x: Tensor, under_y: Tensor) -> Tensor:
    octaves = (under_x / under_y).log2()
    return octaves.gather(0, _without(octaves).argmax(0, keepdim=True)).mean()


own_direction = Checker(
    right=lambda x, y: _chosen_by_others(_lead(x, y), _without(_lead(x, y))),
    mistakes={
        "You choose by the very picture that is scored. Then even noise prefers its own direction, and nothing is ever "
        "negative. Leave that picture out.": lambda x, y: _lead(x, y).abs().mean(),
        "You choose once, by all the pictures, and the one that is scored has its say. Leave it out.":
            lambda x, y: _lead(x, y).mean().abs(),
        "You take the first decoder for the x-decoder. Which of the two it is nobody has agreed beforehand.":
            lambda x, y: _lead(x, y).mean(),
        "The sign: the x-decoder is the one that prefers x more.":
            lambda x, y: -_chosen_by_others(_lead(x, y), _without(_lead(x, y))),
        "That is the preference of the x-decoder alone. Subtract that of the other decoder.": _x_alone,
        "Those are ratios. An octave is a factor of 2: take log2 of them.":
            lambda x, y: _chosen_by_others((x / y)[0] - (x / y)[1], _without((x / y)[0] - (x / y)[1])),
        "Natural logarithm? For octaves it is log2.":
            lambda x, y: np.log(2) * _chosen_by_others(_lead(x, y), _without(_lead(x, y))),
        "You choose by the powers added up over the others, so one picture of much power decides. Take the mean of the "
        "octaves.": lambda x, y: _chosen_by_others(_lead(x, y), _lead(_without(x), _without(y))),
        "That is one number for each picture: take their mean.":
            lambda x, y: _without(_lead(x, y)).sign() * _lead(x, y),
    },
    probes=((torch.tensor([[0.4, 3.2, 4.6, 0.7, 3.8], [2.1, 3.8, 1.0, 3.3, 1.0]]),
             torch.tensor([[0.3, 1.7, 1.2, 0.6, 5.5], [0.9, 0.3, 0.9, 1.1, 5.0]])),
            (torch.tensor([[1.0, 2.0, 1.5, 2.0], [8.0, 4.0, 3.0, 0.5]]),
             torch.tensor([[1.5, 1.0, 2.0, 1.0], [1.0, 1.0, 1.0, 0.2]]))),
    praise="For noise this is zero on average. Whoever chooses and scores by the same pictures finds a preference in "
    "anything.",
)  # fmt: skip
