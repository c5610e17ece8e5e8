"""Three deblurring networks into which XYDeblur's pair of rotated decoders is plugged (Ji et al., CVPR 2022, Table 2).

    DMPHN    Zhang et al., "Deep Stacked Hierarchical Multi-Patch Network for Image Deblurring", CVPR 2019
    PSS-NSC  Gao et al., "Dynamic Scene Deblurring with Parameter Selective Sharing and Nested Skip Connections",
             CVPR 2019
    MSCNN    Nah et al., "Deep Multi-Scale Convolutional Neural Network for Dynamic Scene Deblurring", CVPR 2017

Each comes in four forms: the baseline; `channel`, a wider and `layer`, a deeper one that cost about as much as `ours`,
the baseline with a second decoder of the same weights, rotated by 90 degrees.

What is certain: the baselines' layers, from the three papers and their released code. What is inferred: Table 2 gives
parameters and GMACs but no widths or depths. The forms below are the ones that hit its numbers: all 12 counts of
multiply-adds and 11 of 12 of parameters to the last printed digit (PSS-NSC's channel form has 17.88 M and not 17.89 M),
if multiply-adds are counted as ptflops does. So in `channel` it is the decoder that is twice as wide, behind a layer
that widens the features; `layer` has half as many residual blocks again; MSCNN, which has no decoder, is split behind
its tenth block, and the last nine and the output layer are what is rotated; DMPHN has four levels, 1-2-4-8.

Differs from the papers: every network adds residuals to the blurry picture, at every scale (rotated decoders need it;
MSCNN and DMPHN's finest level draw the picture itself); pictures are halved by averaging, MSCNN's are a Gaussian
pyramid; one picture is returned, the finest, and gradients flow through the coarser ones, so that a loss on it trains
everything (MSCNN and PSS-NSC have a loss for every scale, and PSS-NSC no gradient between them).
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from deblur_core.errors import UsageError
from deblur_core.models.xydeblur import padded, residual_blocks, with_rotated_weights

FORMS = ("baseline", "channel", "layer", "ours")

TABLE_2 = {
    "PSS-NSC": {
        "baseline": (6.98, 1167.24), "channel": (17.89, 3020.81), "layer": (10.08, 1703.95), "ours": (6.98, 1784.39)
    },
    "DMPHN": {
        "baseline": (7.23, 1100.18), "channel": (18.63, 3060.28), "layer": (10.33, 1509.11), "ours": (7.23, 1754.07)
    },
    "MSCNN": {
        "baseline": (11.72, 4728.69), "channel": (28.94, 11673.07), "layer": (17.25, 6960.32), "ours": (11.72, 6966.13)
    },
}  # fmt: skip
"""The paper's parameters in millions and GMACs at 1280 x 720, in its conventions (`counting.count_macs_as_ptflops`)."""


class DMPHN(nn.Module):
    """Four levels see the picture in 8, 4, 2 and 1 patches; each passes its features and residual to the next.

    Args: form, one of FORMS; width, channels at full resolution (paper: 32); blocks, residual blocks at every
    resolution of an encoder and of a decoder (paper: 2). Input y `(b, 3, h, w)` in [0, 1], at least 9 pixels high and
    wide; output of the same shape. UsageError for other inputs and forms.
    """

    def __init__(self, form: str = "baseline", width: int = 32, blocks: int = 2):
        super().__init__()
        self.form, blocks = form, deepened(blocks, form)
        self.encoders = nn.ModuleList(self._encoder(width, blocks) for _ in range(4))
        self.decoders = nn.ModuleList(self._decoder(width, blocks, form) for _ in range(4))

    @staticmethod
    def _encoder(width: int, blocks: int) -> nn.Sequential:
        return nn.Sequential(
            nn.Conv2d(3, width, 3, padding=1), *residual_blocks(width, blocks),
            nn.Conv2d(width, 2 * width, 3, stride=2, padding=1), *residual_blocks(2 * width, blocks),
            nn.Conv2d(2 * width, 4 * width, 3, stride=2, padding=1), *residual_blocks(4 * width, blocks),
        )  # fmt: skip

    @staticmethod
    def _decoder(width: int, blocks: int, form: str) -> nn.Sequential:
        widen, width = widened(4 * width, form), doubled(width, form)
        return nn.Sequential(
            widen, *residual_blocks(4 * width, blocks),
            nn.ConvTranspose2d(4 * width, 2 * width, 4, stride=2, padding=1), *residual_blocks(2 * width, blocks),
            nn.ConvTranspose2d(2 * width, width, 4, stride=2, padding=1), *residual_blocks(width, blocks),
            nn.Conv2d(width, 3, 3, padding=1),
        )  # fmt: skip

    def forward(self, y: Tensor) -> Tensor:
        picture = padded(y, 16)
        residual, features = torch.zeros_like(picture), None
        # Patches of a level: rows and columns. They lie in the batch, and features are put together for the decoder.
        grids = ((4, 2), (2, 2), (2, 1), (1, 1), (1, 1))
        for i, (encoder, decoder) in enumerate(zip(self.encoders, self.decoders, strict=True)):
            own = encoder(cut(picture + residual, *grids[i]))
            own = own if features is None else own + cut(features, *grids[i])
            features = assemble(own, *grids[i])
            # A decoder works on the patches of the next level.
            drawn = decode(decoder, (cut(features, *grids[i + 1]),), self.form)
            residual = assemble(drawn, *grids[i + 1])
        return (picture + residual)[..., : y.shape[-2], : y.shape[-1]]


def cut(picture: Tensor, rows: int, columns: int) -> Tensor:
    """`(b, c, h, w)` into `(rows * columns * b, c, h / rows, w / columns)`."""
    return torch.cat([patch for strip in picture.chunk(rows, 2) for patch in strip.chunk(columns, 3)])


def assemble(patches: Tensor, rows: int, columns: int) -> Tensor:
    """The inverse of `cut`."""
    patches = patches.unflatten(0, (rows, columns, -1))
    return torch.cat([torch.cat(list(strip), 3) for strip in patches], 2)


class PSSNSC(nn.Module):
    """Three scales, each a U-Net that starts from the coarser one's picture; residual blocks are shared by all scales.

    The nested skip connections of the released code, f_4(x + f_1 + f_2 + f_3) and so on, are four residual blocks in a
    row. Skip connections of the U-Net add. Args and shapes as for DMPHN, with 8 blocks in the paper.
    """

    def __init__(self, form: str = "baseline", width: int = 32, blocks: int = 8):
        super().__init__()
        self.form, blocks = form, deepened(blocks, form)
        widths, wider = [width, 2 * width, 4 * width], [doubled(n * width, form) for n in (1, 2, 4)]
        encoding, decoding = (
            [nn.Sequential(*residual_blocks(channels, blocks)) for channels in chosen] for chosen in (widths, wider)
        )
        self.encoders = nn.ModuleList(ScaleEncoder(width, encoding) for _ in range(3))
        self.decoders = nn.ModuleList(ScaleDecoder(width, decoding, form) for _ in range(3))

    def forward(self, y: Tensor) -> Tensor:
        finest = padded(y, 16)
        x = F.avg_pool2d(finest, 4)
        for encoder, decoder, scale in zip(self.encoders, self.decoders, (4, 2, 1), strict=True):
            blurry = F.avg_pool2d(finest, scale)
            x = F.interpolate(x, blurry.shape[-2:], mode="bilinear")
            x = blurry + decode(decoder, encoder(torch.cat((blurry, x), 1)), self.form)
        return x[..., : y.shape[-2], : y.shape[-1]]


class ScaleEncoder(nn.Module):
    def __init__(self, width: int, transforms: list[nn.Sequential]):
        super().__init__()
        self.transforms = nn.ModuleList(transforms)
        self.extract = nn.ModuleList([
            nn.Sequential(nn.Conv2d(6, width, 3, padding=1), nn.ReLU()),
            nn.Sequential(nn.Conv2d(width, 2 * width, 3, stride=2, padding=1), nn.ReLU()),
            nn.Sequential(nn.Conv2d(2 * width, 4 * width, 3, stride=2, padding=1), nn.ReLU()),
        ])  # fmt: skip

    def forward(self, picture: Tensor) -> tuple[Tensor, ...]:
        features = [picture]
        for extract, transform in zip(self.extract, self.transforms, strict=True):
            features.append(transform(extract(features[-1])))
        return tuple(features[1:])


class ScaleDecoder(nn.Module):
    def __init__(self, width: int, transforms: list[nn.Sequential], form: str):
        super().__init__()
        self.fine, self.middle, self.coarse = transforms
        self.widen = nn.ModuleList(widened(n * width, form) for n in (1, 2, 4))
        width = doubled(width, form)
        self.to_middle = nn.Sequential(nn.ConvTranspose2d(4 * width, 2 * width, 4, stride=2, padding=1), nn.ReLU())
        self.to_fine = nn.Sequential(nn.ConvTranspose2d(2 * width, width, 4, stride=2, padding=1), nn.ReLU())
        self.to_residual = nn.Conv2d(width, 3, 3, padding=1)

    def forward(self, fine: Tensor, middle: Tensor, coarse: Tensor) -> Tensor:
        fine, middle, coarse = (widen(f) for widen, f in zip(self.widen, (fine, middle, coarse), strict=True))
        features = self.middle(middle + self.to_middle(self.coarse(coarse)))
        return self.to_residual(self.fine(fine + self.to_fine(features)))


class MSCNN(nn.Module):
    """Three scales without any encoder or decoder: residual blocks of 5 x 5 kernels at one resolution.

    The first half of the blocks counts as the encoder, the second half and the output layer as the decoder. Args as for
    DMPHN, in the paper with 64 channels and 19 blocks at every scale; at least 3 pixels high and wide.
    """

    def __init__(self, form: str = "baseline", width: int = 64, blocks: int = 19):
        super().__init__()
        self.form, blocks = form, deepened(blocks, form)
        wide = doubled(width, form)
        self.encoders = nn.ModuleList(
            nn.Sequential(nn.Conv2d(channels, width, 5, padding=2), *residual_blocks(width, (blocks + 1) // 2, 5))
            for channels in (3, 6, 6)
        )
        self.decoders = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(width, wide, 5, padding=2) if wide != width else nn.Identity(),
                *residual_blocks(wide, blocks // 2, 5),
                nn.Conv2d(wide, 3, 5, padding=2),
            )
            for _ in range(3)
        )
        self.enlarge = nn.ModuleList(
            nn.Sequential(nn.Conv2d(3, 12, 5, padding=2), nn.PixelShuffle(2)) for _ in range(2)
        )

    def forward(self, y: Tensor) -> Tensor:
        finest = padded(y, 4)
        blurry = F.avg_pool2d(finest, 4)
        x = blurry + decode(self.decoders[0], (self.encoders[0](blurry),), self.form)
        for i, scale in ((1, 2), (2, 1)):
            blurry = F.avg_pool2d(finest, scale)
            features = self.encoders[i](torch.cat((blurry, self.enlarge[i - 1](x)), 1))
            x = blurry + decode(self.decoders[i], (features,), self.form)
        return x[..., : y.shape[-2], : y.shape[-1]]


def decode(decoder: nn.Module, features: tuple[Tensor, ...], form: str) -> Tensor:
    """The residual: of one decoder, or in `ours` of the pair of rotated decoders, as in `xydeblur`."""
    residual = decoder(*features)
    return residual + with_rotated_weights(decoder, features, 1) if form == "ours" else residual


def deepened(blocks: int, form: str) -> int:
    if form not in FORMS:
        raise UsageError(f"There is no form '{form}': choose {', '.join(FORMS)}.")
    return blocks * 3 // 2 if form == "layer" else blocks


def doubled(width: int, form: str) -> int:
    return 2 * width if form == "channel" else width


def widened(channels: int, form: str) -> nn.Module:
    """What stands in front of a decoder of twice the width."""
    return nn.Sequential(nn.Conv2d(channels, 2 * channels, 1), nn.ReLU()) if form == "channel" else nn.Identity()


NETWORKS: dict[str, type[nn.Module]] = {"PSS-NSC": PSSNSC, "DMPHN": DMPHN, "MSCNN": MSCNN}


def variants(height: int, width: int) -> Iterator[tuple[str, nn.Module, tuple[Tensor, ...]]]:
    """All forms at the paper's size for a picture y of this size, with names and meta inputs, for counting."""
    y = torch.empty(1, 3, height, width, device="meta")
    for name, network in NETWORKS.items():
        for form in FORMS:
            yield f"{name}, {form}", network(form), (y,)
