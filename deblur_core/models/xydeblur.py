"""XYDeblur and its relatives: one encoder, one to four decoders (Ji et al., "XYDeblur: Divide and Conquer for Single
Image Deblurring", CVPR 2022).

    z = E(y)    r_i = D(z; rotation by i * 90 degrees of Θ_d)    x = y + r_0 + r_1

Every decoder D sees the same features and draws a residual; the sum of all residuals is added to the blurry picture y.
Trained on the sum alone, two decoders divide the work, roughly into horizontal and vertical structure. In XYDeblur they
share their weights: the kernels of decoder i are those of decoder 0, rotated by i * 90 degrees *counter-clockwise* as
the picture is seen on the screen. With one decoder the model is a U-Net of the same size, with separate weights the
paper's U-Net 2D.

Rotating the kernels and rotating the features are the same thing, because the decoder is rotation-symmetric in all but
its weights (odd kernels, and 4x4 ones exactly between the pixels): with R a rotation, D(f; R Θ) = R D(R⁻¹ f; Θ). Hence
the direction that changes its name on the way: the paper describes kernels rotated counter-clockwise; the released code
rotates the features counter-clockwise and the residual back, which rotates the kernels clockwise. For two decoders this
only exchanges their names, {Θ, R Θ} = {R⁻¹ Θ', Θ'} with Θ' = R Θ, so both are the same family of networks.

Differs from the released code: any number of decoders, width and depth; pictures of any size, mirrored to a multiple of
4 and cropped again (the code needs multiples of 4); kernels are rotated and not features, which was as fast or faster
at every size measured on a CPU (`xydeblur_benchmark`). One batch of rotated features for all decoders won for small
inputs, such as one crop of 64 px, and lost for large ones.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import cycle

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

from deblur_core.errors import UsageError
from deblur_core.models.colour import check_colour

Features = tuple[Tensor, Tensor, Tensor]


class XYDeblur(nn.Module):
    """The whole family.

    Args: decoders, 1 (U-Net), 2 (the paper) or more; shared, whether they share one set of rotated weights, for at most
    4 decoders, or have weights of their own; width, channels at full resolution (paper: 32); blocks, residual blocks
    at every resolution of the encoder and of a decoder (paper: 6). Input y `(b, 3, h, w)` in [0, 1], at least 3 pixels
    high and wide; output x of the same shape, not clipped to [0, 1]. Raises UsageError for other inputs.
    """

    def __init__(self, decoders: int = 2, shared: bool = True, width: int = 32, blocks: int = 6):
        super().__init__()
        if decoders < 1 or (shared and decoders > 4):
            raise UsageError(f"There cannot be {decoders} decoders: choose 1 to 4, or more with separate weights.")
        self.encoder = Encoder(width, blocks)
        self.decoders = nn.ModuleList(Decoder(width, blocks) for _ in range(1 if shared else decoders))
        self.turns = range(decoders) if shared else [0] * decoders

    def forward(self, y: Tensor) -> Tensor:
        return y + self.residuals(y).sum(0)

    def residuals(self, y: Tensor, decode: Decode | None = None) -> Tensor:
        """What every decoder draws: `(decoders, b, 3, h, w)`, in the number format of the weights.

        decode: how a decoder is rotated, `with_rotated_weights` (default) or `with_rotated_features`.
        """
        features = self.encode(y)
        decode = decode or with_rotated_weights
        decoders = cycle(self.decoders)  # shared: the only one again and again
        drawn = [decode(decoder, features, turns) for decoder, turns in zip(decoders, self.turns, strict=False)]
        return torch.stack(drawn)[..., : y.shape[-2], : y.shape[-1]]

    def encode(self, y: Tensor) -> Features:
        """Features at full, half and quarter resolution of y, mirrored at its lower and right border."""
        return self.encoder(padded(y, 4).to(next(self.parameters()).dtype))


def padded(y: Tensor, multiple: int) -> Tensor:
    """A colour picture mirrored at its lower and right border until both sides are multiples of `multiple`.

    Channels-last, and so is everything computed from it: on a CPU the faster layout of convolutions. UsageError for
    what is no colour picture or too small to be mirrored so far.
    """
    check_colour(y)
    height, width = y.shape[-2:]
    if min(height, width) <= multiple // 2:
        least = multiple // 2 + 1
        raise UsageError(f"The network needs pictures of at least {least} x {least} pixels, not {height} x {width}.")
    y = F.pad(y, (0, -width % multiple, 0, -height % multiple), mode="reflect")
    return y.contiguous(memory_format=torch.channels_last)


class Encoder(nn.Module):
    """y `(b, 3, h, w)` to features `(b, width, h, w)`, `(b, 2 width, h/2, w/2)` and `(b, 4 width, h/4, w/4)`."""

    def __init__(self, width: int, blocks: int):
        super().__init__()
        self.fine = nn.Sequential(nn.Conv2d(3, width, 3, padding=1), nn.ReLU(), *residual_blocks(width, blocks))
        self.middle = halve(width, blocks)
        self.coarse = halve(2 * width, blocks)

    def forward(self, y: Tensor) -> Features:
        fine = self.fine(y)
        middle = self.middle(fine)
        return fine, middle, self.coarse(middle)


class Decoder(nn.Module):
    """The encoder's features to a residual `(b, 3, h, w)`; it takes the two finer ones by skip connections."""

    def __init__(self, width: int, blocks: int):
        super().__init__()
        self.coarse = nn.Sequential(*residual_blocks(4 * width, blocks), *double(4 * width))
        self.merge_middle = merge(2 * width)
        self.middle = nn.Sequential(*residual_blocks(2 * width, blocks), *double(2 * width))
        self.merge_fine = merge(width)
        self.fine = nn.Sequential(*residual_blocks(width, blocks), nn.Conv2d(width, 3, 3, padding=1))

    def forward(self, fine: Tensor, middle: Tensor, coarse: Tensor) -> Tensor:
        features = self.merge_middle(torch.cat((self.coarse(coarse), middle), 1))
        features = self.merge_fine(torch.cat((self.middle(features), fine), 1))
        return self.fine(features)


class ResidualBlock(nn.Module):
    """f + conv(relu(conv(f))), without normalisation; size, of the kernels in pixels."""

    def __init__(self, channels: int, size: int = 3):
        super().__init__()
        self.first, self.second = (nn.Conv2d(channels, channels, size, padding=size // 2) for _ in range(2))

    def forward(self, features: Tensor) -> Tensor:
        return features + self.second(F.relu(self.first(features)))


def residual_blocks(channels: int, number: int, size: int = 3) -> list[ResidualBlock]:
    return [ResidualBlock(channels, size) for _ in range(number)]


def halve(channels: int, blocks: int) -> nn.Sequential:
    conv = nn.Conv2d(channels, 2 * channels, 3, stride=2, padding=1)
    return nn.Sequential(conv, nn.ReLU(), *residual_blocks(2 * channels, blocks))


def double(channels: int) -> tuple[nn.Module, nn.Module]:
    return nn.ConvTranspose2d(channels, channels // 2, 4, stride=2, padding=1), nn.ReLU()


def merge(channels: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(2 * channels, channels, 1), nn.ReLU())


Decode = Callable[[nn.Module, Features, int], Tensor]


def with_rotated_weights(decoder: nn.Module, features: tuple[Tensor, ...], turns: int) -> Tensor:
    """The decoder with its kernels rotated by turns * 90 degrees counter-clockwise."""
    if turns % 4 == 0:
        return decoder(*features)
    # Contiguous again: the backward pass of a convolution with transposed weights takes several times as long on a CPU.
    rotated = {
        name: rotate(weight, turns).contiguous(memory_format=torch.channels_last)
        for name, weight in decoder.named_parameters()
        if weight.ndim == 4
    }
    return functional_call(decoder, rotated, features)


def with_rotated_features(decoder: nn.Module, features: tuple[Tensor, ...], turns: int) -> Tensor:
    """The same values: features rotated clockwise, decoded, and the residual rotated back counter-clockwise."""
    return rotate(decoder(*(rotate(feature, -turns) for feature in features)), turns)


def rotate(tensor: Tensor, turns: int) -> Tensor:
    """Rotate the last two axes, rows downwards, by turns * 90 degrees counter-clockwise."""
    return torch.rot90(tensor, turns, (-2, -1))


def variants(height: int, width: int) -> Iterator[tuple[str, nn.Module, tuple[Tensor, ...]]]:
    """The family at the paper's size for a picture y of this size, with names and meta inputs, for counting."""
    y = torch.empty(1, 3, height, width, device="meta")
    yield "U-Net of XYDeblur, 1 decoder", XYDeblur(1), (y,)
    yield "U-Net of XYDeblur, 1 decoder, wider", XYDeblur(1, width=39), (y,)
    yield "U-Net of XYDeblur, 1 decoder, deeper", XYDeblur(1, blocks=9), (y,)
    for decoders in (2, 3, 4):
        yield f"XYDeblur, {decoders} shared rotated decoders", XYDeblur(decoders), (y,)
        yield f"XYDeblur, {decoders} separate decoders", XYDeblur(decoders, shared=False), (y,)
