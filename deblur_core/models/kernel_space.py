"""Encoded blur kernel space (Tran et al., "Explore Image Deblurring via Encoded Blur Kernel Space", CVPR 2021).

    k = extractor(x, y)    ŷ = operator(x, k)    minimise over both networks Σ ρ(y − ŷ), ρ(d) = √(d² + 10⁻⁶)

From pairs of a sharp picture x and its blurry version y two networks are learned together: an extractor, which finds
out what blur k lies between the two, and an operator, which blurs any picture with it. k is not a picture of a kernel:
it is a grid of cells with some hundred numbers each, so that blur may differ from place to place. With the VAE head
the extractor gives mean and deviation of k, and k drawn from a standard normal distribution blurs too.

The operator is an adapter, a U-Net that gets k where it is narrowest, and a reconstruction of the residual blur, which
is added to x. Extractor and operator see the same features of a picture, at a quarter of its resolution.

**Names.** The paper calls the operator F and the extractor G. The released code calls its encoder "function F" and the
adapter "function G", the other way round. Neither letter is used here.

Facts of the code that the paper does not state: all sizes of `Design`; no convolution of the extractor and only the
last one of the adapter has a bias; the adapter ends in a tanh; the residual blocks start small; the VAE term is twice
the Kullback-Leibler divergence, because it lacks the factor 1/2, of weight 10; the deviation may be negative. The code
sums the loss over all pixels, here it is divided by their number, which for Adam is a change of scale.

Differs from the code: pictures of any size from one cell on, extended at the right and below and cropped again (the
code needs multiples of 128 px and fails at 128 x 128). Presets "paper" and "paper_vae" have its exact sizes, 49.2 and
115.3 million parameters.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from deblur_core.errors import UsageError
from deblur_core.models.colour import check_colour

CHARBONNIER = 1e-6  # ε² of ρ


@dataclass(frozen=True)
class Design:
    """Sizes of the networks, as channels, and options of the loss."""

    width: int = 64  # of the features at a quarter of the resolution
    feature_blocks: int = 10  # residual blocks
    extractor: tuple[int, ...] = (128, 256, 512, 512, 512)  # after every halving; without VAE the last is that of k
    extractor_blocks: int = 4
    adapter: tuple[int, ...] = (64, 128, 256, 512, 512)  # after every halving
    reconstruction_blocks: int = 20
    tail: int = 64  # at full resolution
    variational: bool = False  # whether the extractor also gives a deviation
    divergence_weight: float = 10.0  # of the VAE term, relative to ρ summed over all values of a picture


PRESETS = {
    "paper": Design(),
    "paper_vae": Design(extractor=(128, 256, 512, 1024, 1024), variational=True),
    # Ours, to be trained on a laptop.
    "small": Design(
        width=32,
        feature_blocks=2,
        extractor=(32, 64, 128, 128),
        extractor_blocks=1,
        adapter=(32, 32, 64, 64),
        reconstruction_blocks=4,
        tail=8,
        variational=True,
        divergence_weight=0.1,
    ),
}


def preset(name: str) -> Design:
    """A named design. Raises UsageError for an unknown name."""
    if name not in PRESETS:
        raise UsageError(f"There is no preset '{name}': choose one of {', '.join(PRESETS)}.")
    return PRESETS[name]


class Encoding(NamedTuple):
    """What the extractor says of k: mean `(b, c, kh, kw)` and deviation, of the same shape, None without VAE head."""

    mean: Tensor
    deviation: Tensor | None

    def draw(self, generator: torch.Generator) -> Tensor:
        """k = mean + deviation * ε, ε standard normal; the mean without VAE head."""
        if self.deviation is None:
            return self.mean
        noise = torch.randn(self.mean.shape, generator=generator, device=generator.device)
        return self.mean + self.deviation * noise.to(self.mean.device)


class KernelSpace(nn.Module):
    """Extractor and operator. Pictures are `(b, 3, h, w)` in [0, 1], at least `multiple` pixels high and wide.

    k is `(b, c, kh, kw)`, a cell for every `multiple` x `multiple` pixels, and at least 2 x 2 cells; UsageError for
    other shapes.
    """

    def __init__(self, design: Design):
        super().__init__()
        self.design = design
        self.multiple = 4 * 2 ** len(design.adapter)
        self.channels = design.extractor[-1] // (2 if design.variational else 1)
        if len(design.extractor) != len(design.adapter):
            raise UsageError("Extractor and adapter have to halve their features equally often.")
        self.features = features(design)
        self.extractor = extractor(design)
        self.adapter = Adapter(design.width, design.adapter, self.channels)
        self.reconstruction = reconstruction(design)

    @property
    def dtype(self) -> torch.dtype:
        return next(self.parameters()).dtype

    def kernel_shape(self, height: int, width: int) -> tuple[int, int, int]:
        """(c, kh, kw) of k for a picture of this size. UsageError for a picture smaller than a cell."""
        if min(height, width) < self.multiple:
            raise UsageError(
                f"The blur operator needs pictures of at least {self.multiple} x {self.multiple} pixels, one cell of "
                f"its kernel, not {width} x {height}."
            )
        return self.channels, *(max(2, -(-side // self.multiple)) for side in (height, width))

    def encode(self, sharp: Tensor, blurry: Tensor) -> Encoding:
        """The blur between two pictures of one size, in float32."""
        check_pair(sharp, blurry)
        return self._encode(self._features(sharp), self._features(blurry))

    def blur(self, sharp: Tensor, k: Tensor) -> Tensor:
        """The sharp pictures blurred with k, in float32 and not clipped; k of one picture blurs all of them."""
        check_kernel(k, sharp, self.kernel_shape(*sharp.shape[-2:]))
        return self._blur(sharp, self._features(sharp), k)

    def forward(
        self, sharp: Tensor, blurry: Tensor, generator: torch.Generator | None = None, source: Tensor | None = None
    ) -> tuple[Tensor, Encoding]:
        """The sharp pictures blurred with what is extracted from both, and the latter: k is drawn, or the mean without
        a generator; picture i gets the k of picture source[i], by default its own."""
        check_pair(sharp, blurry)
        of_sharp = self._features(sharp)
        encoding = self._encode(of_sharp, self._features(blurry))
        k = encoding.draw(generator) if generator else encoding.mean
        return self._blur(sharp, of_sharp, k if source is None else k[source]), encoding

    def _encode(self, of_sharp: Tensor, of_blurry: Tensor) -> Encoding:
        code = self.extractor(torch.cat((of_sharp, of_blurry), 1)).float()
        return Encoding(*code.chunk(2, 1)) if self.design.variational else Encoding(code, None)

    def _blur(self, sharp: Tensor, of_sharp: Tensor, k: Tensor) -> Tensor:
        k = k.to(self.dtype).expand(len(sharp), *k.shape[1:])
        residual = self.reconstruction(self.adapter(of_sharp, k)).float()
        return sharp.float() + residual[..., : sharp.shape[-2], : sharp.shape[-1]]

    def _features(self, picture: Tensor) -> Tensor:
        """Of the picture, its last row and column repeated until it consists of whole cells."""
        check_colour(picture)
        height, width = picture.shape[-2:]
        _, rows, columns = self.kernel_shape(height, width)
        below, right = rows * self.multiple - height, columns * self.multiple - width
        picture = F.pad(picture, (0, right, 0, below), mode="replicate").to(self.dtype)
        return self.features(picture.contiguous(memory_format=torch.channels_last))


def check_pair(sharp: Tensor, blurry: Tensor) -> None:
    """Raises UsageError unless a blur can be extracted from the two."""
    if sharp.shape != blurry.shape or sharp.ndim != 4:
        raise UsageError(
            "A blur is extracted from a sharp and a blurry picture of one size, not from "
            f"{tuple(sharp.shape)} and {tuple(blurry.shape)}."
        )


def check_kernel(k: Tensor, sharp: Tensor, shape: tuple[int, int, int]) -> None:
    """Raises UsageError unless k blurs these pictures (b, c, h, w), whose kernels have this shape."""
    if sharp.ndim != 4:
        raise UsageError(f"The blur operator takes pictures (batch, channel, height, width), not {tuple(sharp.shape)}.")
    if k.shape[1:] != shape or len(k) not in (1, len(sharp)):
        height, width = sharp.shape[-2:]
        raise UsageError(
            f"The kernel of {len(sharp)} picture(s) of {width} x {height} pixels has the shape "
            f"{(len(sharp), *shape)}, not {tuple(k.shape)}."
        )


def kernel_space_loss(model: nn.Module, batch: tuple[Tensor, ...], generator: torch.Generator) -> Tensor:
    """ρ(y − operator(x, k)), the mean over pixels and channels, k drawn from what the extractor says of x and y; with
    the VAE head plus weight * Σ(μ² + σ² − ln(σ² + 10⁻⁸) − 1), divided by the same number of values.

    batch: (blurry, sharp), each `(b, 3, h, w)` in [0, 1]; `generator` draws k. A third tensor `(b,)` may say from which
    pictures of the batch k is taken: where two were blurred alike, k of one has to fit the other.
    """
    blurry, sharp, *source = batch
    again, encoding = model(sharp, blurry, generator, *source)
    loss = charbonnier(again - blurry).mean()
    if encoding.deviation is not None:
        loss = loss + model.design.divergence_weight * divergence(encoding) / sharp.numel()
    return loss


def charbonnier(difference: Tensor) -> Tensor:
    """ρ(d) = √(d² + ε²), value by value."""
    return (difference.square() + CHARBONNIER).sqrt()


def divergence(encoding: Encoding) -> Tensor:
    """Twice the Kullback-Leibler divergence from the standard normal distribution, summed."""
    variance = encoding.deviation.square()
    return (encoding.mean.square() + variance - (variance + 1e-8).log() - 1).sum()


def features(design: Design) -> nn.Sequential:
    """A picture `(b, 3, h, w)` to `(b, width, h/4, w/4)`, the same for sharp and blurry ones."""
    layers: list[nn.Module] = []
    for channels, stride in ((3, 1), (design.width, 2), (design.width, 2)):
        layers += [nn.Conv2d(channels, design.width, 3, stride, padding=1), nn.LeakyReLU(0.1, inplace=True)]
    return nn.Sequential(*layers, *(Block(design.width) for _ in range(design.feature_blocks)))


def extractor(design: Design) -> nn.Sequential:
    """Features of both pictures `(b, 2 width, h/4, w/4)` to k, or to its mean and deviation."""
    layers: list[nn.Module] = [
        nn.Conv2d(2 * design.width, design.width, 7, padding=3, padding_mode="reflect", bias=False),
        nn.ReLU(inplace=True),
    ]
    last = design.width
    for channels in design.extractor:
        layers += [nn.Conv2d(last, channels, 3, 2, padding=1, bias=False), nn.ReLU(inplace=True)]
        last = channels
    return nn.Sequential(*layers, *(MirroredBlock(last) for _ in range(design.extractor_blocks)))


class Adapter(nn.Module):
    """U-Net from features `(b, width, h, w)` and k to features of the same shape in (−1, 1)."""

    def __init__(self, width: int, widths: tuple[int, ...], kernel_channels: int):
        super().__init__()
        ins, outs = (width, *widths[:-1]), widths
        self.down = nn.ModuleList(nn.Conv2d(a, b, 4, 2, 1, bias=False) for a, b in zip(ins, outs, strict=True))
        last = len(widths) - 1
        self.up = nn.ModuleList(
            nn.ConvTranspose2d(b + (kernel_channels if i == last else b), a, 4, 2, 1, bias=i == 0)
            for i, (a, b) in enumerate(zip(ins, outs, strict=True))
        )

    def forward(self, features: Tensor, k: Tensor) -> Tensor:
        kept = [self.down[0](features)]
        for conv in self.down[1:]:
            kept.append(conv(F.leaky_relu(kept[-1], 0.2)))
        features = k
        for conv in reversed(self.up):
            features = conv(F.relu(torch.cat((kept.pop(), features), 1)))
        return features.tanh()


def reconstruction(design: Design) -> nn.Sequential:
    """Adapted features `(b, width, h, w)` to the residual blur `(b, 3, 4 h, 4 w)`."""
    width, tail = design.width, design.tail
    return nn.Sequential(
        *(Block(width) for _ in range(design.reconstruction_blocks)),
        *double(width, width),
        *double(width, tail),
        nn.Conv2d(tail, tail, 3, padding=1),
        nn.LeakyReLU(0.1, inplace=True),
        nn.Conv2d(tail, 3, 3, padding=1),
    )


def double(channels: int, width: int) -> tuple[nn.Module, ...]:
    return nn.Conv2d(channels, 4 * width, 3, padding=1), nn.PixelShuffle(2), nn.LeakyReLU(0.1, inplace=True)


class Block(nn.Module):
    """f + conv(relu(conv(f))), without normalisation; little more than f at first."""

    def __init__(self, channels: int):
        super().__init__()
        self.first, self.second = (nn.Conv2d(channels, channels, 3, padding=1) for _ in range(2))
        for conv in (self.first, self.second):
            nn.init.kaiming_normal_(conv.weight)
            with torch.no_grad():
                conv.weight *= 0.1
            nn.init.zeros_(conv.bias)

    def forward(self, features: Tensor) -> Tensor:
        return features + self.second(F.relu(self.first(features)))


class MirroredBlock(nn.Module):
    """The extractor's residual block: the border mirrored, no bias there."""

    def __init__(self, channels: int, bias: bool = False):
        super().__init__()
        self.first, self.second = (
            nn.Conv2d(channels, channels, 3, padding=1, padding_mode="reflect", bias=bias) for _ in range(2)
        )

    def forward(self, features: Tensor) -> Tensor:
        return features + self.second(F.relu(self.first(features)))


class KernelPrior(nn.Sequential):
    """G_k, the untrained network that draws k when a picture is deblurred: noise z `(1, channels/8, 32 kh, 32 kw)` to k
    `(1, channels, kh, kw)`, which is not bounded; kh and kw at least 2.

    The released code has it for k of 512 channels and 2 x 2 cells, 34.8 million parameters; blocks: 6 there.
    """

    HALVINGS = 5

    def __init__(self, channels: int, blocks: int = 6):
        widths = [min(max(1, channels // 8) * 2**i, channels) for i in range(self.HALVINGS + 1)]
        layers: list[nn.Module] = [nn.Conv2d(widths[0], widths[0], 7, padding=3, padding_mode="reflect"), nn.ReLU()]
        for inputs, outputs in pairwise(widths):
            layers += [nn.Conv2d(inputs, outputs, 3, 2, padding=1), nn.ReLU()]
        super().__init__(*layers, *(MirroredBlock(channels, bias=True) for _ in range(blocks)))
        self.channels = widths[0]

    def draw_input(self, rows: int, columns: int, generator: torch.Generator) -> Tensor:
        """Fixed random input for k of rows x columns cells: uniform in [0, 0.1]."""
        sides = (side * 2**self.HALVINGS for side in (rows, columns))
        return 0.1 * torch.rand(1, self.channels, *sides, generator=generator)


def variants(height: int, width: int) -> Iterator[tuple[str, nn.Module, tuple[Tensor, ...]]]:
    """Extraction and application together, for pairs of this size, each with a name and meta inputs, for counting."""
    picture = torch.empty(1, 3, height, width, device="meta")
    for name, design in PRESETS.items():
        model = KernelSpace(design)
        if min(height, width) >= model.multiple:
            yield f"Encoded blur kernel space, {name}", model, (picture, picture)
