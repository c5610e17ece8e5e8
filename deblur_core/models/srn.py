"""SRN-DeblurNet (Tao et al., "Scale-recurrent Network for Deep Image Deblurring", CVPR 2018).

    x_i, h_i = Network(y_i, x_{i+1}↑, h_{i+1}↑)

One network, an encoder and a decoder of residual blocks with 5 x 5 kernels, restores the picture three times: at a
quarter of its sides, at half, and at full size, always with the same weights. Each time it sees the blurry picture y_i
of that size beside the coarser estimate, enlarged; and a convolutional LSTM between encoder and decoder hands on what
the coarser pass has found out about the blur. Every estimate has its loss, the mean squared error against the sharp
picture of its size; there is no gradient from one estimate into the coarser one, only through the LSTM's state.

Parameters at the paper's size: 8.06 million, counted here.

Differs from the paper and its released code: an estimate is the blurry picture plus what the network draws, so that an
untrained network can start at "change nothing" (the code draws the picture itself); pictures are halved by averaging
four pixels (bilinear sampling there); pictures of any size, mirrored to a multiple of 16 and cropped again.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import ceil

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from deblur_core.models.xydeblur import padded, residual_blocks

State = tuple[Tensor, Tensor]


class SRN(nn.Module):
    """The scale-recurrent network.

    Args: width, channels at full resolution (paper: 32); blocks, residual blocks at each of the three resolutions of
    the encoder and of the decoder (paper: 3); scales, how often the picture is restored (paper: 3). Input y
    `(b, 3, h, w)` in [0, 1], for three scales at least 9 pixels high and wide; output x of the same shape, not clipped.
    UsageError for other inputs.
    """

    def __init__(self, width: int = 32, blocks: int = 3, scales: int = 3):
        super().__init__()
        self.scales = scales
        self.fine = encoder(6, width, blocks, stride=1)
        self.middle = encoder(width, 2 * width, blocks, stride=2)
        self.coarse = encoder(2 * width, 4 * width, blocks, stride=2)
        self.memory = ConvLSTM(4 * width)
        self.to_middle = decoder(4 * width, 2 * width, blocks)
        self.to_fine = decoder(2 * width, width, blocks)
        self.draw = nn.Sequential(*residual_blocks(width, blocks, 5), nn.Conv2d(width, 3, 5, padding=2))

    def forward(self, y: Tensor) -> Tensor:
        return self.all_scales(y)[0]

    def all_scales(self, y: Tensor) -> list[Tensor]:
        """The estimates, the finest first: `(b, 3, h, w)`, then half of its sides, rounded up, and so on."""
        blurry = pyramid(padded(y, 4 * 2 ** (self.scales - 1)), self.scales)
        x, state, estimates = blurry[-1], None, []
        for picture in reversed(blurry):
            x = F.interpolate(x.detach(), picture.shape[-2:], mode="bilinear")
            residual, state = self._restore(torch.cat((picture, x), 1), state)
            x = picture + residual
            estimates.insert(0, x)
        height, width = y.shape[-2:]
        return [x[..., : ceil(height / 2**i), : ceil(width / 2**i)] for i, x in enumerate(estimates)]

    def _restore(self, pictures: Tensor, state: State | None) -> tuple[Tensor, State]:
        fine = self.fine(pictures)
        middle = self.middle(fine)
        state = self.memory(self.coarse(middle), state)
        return self.draw(fine + self.to_fine(middle + self.to_middle(state[0]))), state


class ConvLSTM(nn.Module):
    """Long short-term memory whose gates are 3 x 3 convolutions (Shi et al., NeurIPS 2015, without peepholes).

    The state is (hidden, cell), both like the features; that of a coarser scale is enlarged bilinearly, None is zero.
    """

    def __init__(self, channels: int):
        super().__init__()
        self.gates = nn.Conv2d(2 * channels, 4 * channels, 3, padding=1)

    def forward(self, features: Tensor, state: State | None) -> State:
        if state is None:
            state = (torch.zeros_like(features), torch.zeros_like(features))
        hidden, cell = (F.interpolate(part, features.shape[-2:], mode="bilinear") for part in state)
        forget, admit, show, new = self.gates(torch.cat((features, hidden), 1)).chunk(4, 1)
        cell = forget.sigmoid() * cell + admit.sigmoid() * new.tanh()
        return show.sigmoid() * cell.tanh(), cell


def encoder(inputs: int, channels: int, blocks: int, stride: int) -> nn.Sequential:
    conv = nn.Conv2d(inputs, channels, 5, stride, padding=2)
    return nn.Sequential(conv, nn.ReLU(), *residual_blocks(channels, blocks, 5))


def decoder(channels: int, outputs: int, blocks: int) -> nn.Sequential:
    conv = nn.ConvTranspose2d(channels, outputs, 4, stride=2, padding=1)
    return nn.Sequential(*residual_blocks(channels, blocks, 5), conv, nn.ReLU())


def pyramid(picture: Tensor, scales: int) -> list[Tensor]:
    """The picture, half of it, a quarter, ...; an odd side is rounded up, by what lies inside the picture."""
    pictures = [picture]
    while len(pictures) < scales:
        pictures.append(F.avg_pool2d(pictures[-1], 2, ceil_mode=True))
    return pictures


def srn_loss(network: nn.Module, batch: tuple[Tensor, ...], generator: torch.Generator) -> Tensor:
    """The sum over the scales of the mean squared error against the sharp picture of that size.

    batch: (blurry, sharp), each `(b, 3, h, w)` in [0, 1]; nothing is drawn from the generator.
    """
    blurry, sharp = batch
    estimates = network.all_scales(blurry)
    targets = pyramid(sharp, len(estimates))
    return sum((x.float() - target).square().mean() for x, target in zip(estimates, targets, strict=True))


def variants(height: int, width: int) -> Iterator[tuple[str, nn.Module, tuple[Tensor, ...]]]:
    """The network at its authors' size and at ours, for a picture of this size, with meta inputs, for counting."""
    y = torch.empty(1, 3, height, width, device="meta")
    yield "SRN", SRN(), (y,)
    yield "SRN, small", SRN(width=16, blocks=1), (y,)
