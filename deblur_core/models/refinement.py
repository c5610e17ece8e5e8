"""Initial predictor and residual denoiser of Whang et al., "Deblurring via Stochastic Refinement", CVPR 2022.

g_θ(y) is a deterministic first restoration of the blurry picture y; f_θ estimates the noise in a noisy version of the
residual z = x − g_θ(y), told the noise level ᾱ and y. Both are trained together by the one loss of section 3.2, so that
g_θ has no loss of its own. models/diffusion.py has the equations, solvers/refinement.py draws samples.

There is no official code. Stated by the paper: U-Nets as in SR3 (Saharia et al., 2021), fully convolutional, without
self-attention, group normalisation and positional encoding; channel multipliers 1, 2, 3, 4; 64 and 32 base channels;
about 26 and 7 million parameters, 28 million for one denoiser without predictor; the L1 loss; the continuous ᾱ.
Inferred from these counts: three residual blocks a level (four on the way up), two in the middle, resampling blocks,
and a noise level that passes two layers of four times the base channels: 26.2, 7.0 and 27.8 million.
Ours, where nothing is known: the order inside a block; the noise level enters as ln(ᾱ / (1 − ᾱ)); every block and both
networks start as "change nothing", so that training without normalisation is stable, and g_θ(y) = y at first; the
denoiser works on pictures scaled to [−1, 1], so that z stays within [−2, 2]; zero padding. `residual_scale`,
`colour_weight`, `predictor_weight` and `velocity` are off in the paper's preset.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from deblur_core.errors import UsageError
from deblur_core.models.colour import check_colour
from deblur_core.models.diffusion import TRAINING, Schedule, add_noise


@dataclass(frozen=True)
class Design:
    """Sizes of the networks and options of the loss."""

    predictor_width: int = 64  # base channels; 0: no predictor, diffusion draws the picture itself
    denoiser_width: int = 32  # 0: no denoiser, a plain regression
    multipliers: tuple[int, ...] = (1, 2, 3, 4)  # of the base channels, level by level
    blocks: int = 3  # residual blocks a level
    residual_scale: float | None = 1.0  # of z; more spends fewer noise levels on a residual that noise has drowned;
    # None: over what the local contrast of g_θ(y) lets expect, see `expected_residual`; needs a predictor_weight
    colour_weight: float = 0.0  # of a loss on the mean colour of g_θ(y), which blur does not change
    predictor_weight: float = 0.0  # of a loss of its own for g_θ(y), its squared error
    velocity: bool = field(default=False, metadata={"later": True})  # what the denoiser's network gives, see `noise_of`


PRESETS = {
    "paper": Design(),
    # The paper's comparison without an initial predictor.
    "direct": Design(predictor_width=0, denoiser_width=64),
    # Ours, to be trained on a laptop. Local units keep samples of a small denoiser from growing false texture. The
    # one loss teaches a predictor nothing in a short training: the denoiser sees y, too, and can do without it.
    "small": Design(16, 16, (1, 2, 3), blocks=1, residual_scale=None, predictor_weight=100.0),
    "small_regression": Design(16, 0, (1, 2, 3), blocks=1),
}


def preset(name: str) -> Design:
    """A named design. Raises UsageError for an unknown name."""
    if name not in PRESETS:
        raise UsageError(f"There is no preset '{name}': choose one of {', '.join(PRESETS)}.")
    return PRESETS[name]


class Refinement(nn.Module):
    """Both networks. Pictures are `(b, 3, h, w)` in [0, 1] and of any size, residuals z `(b, 3, h, w)` in the
    denoiser's units: the difference of two pictures over `unit`."""

    def __init__(self, design: Design):
        super().__init__()
        if design.residual_scale is None and not (design.predictor_width and design.predictor_weight):
            raise UsageError(
                "Units by local contrast need an initial predictor with a loss of its own: pass a predictor_width "
                "and a predictor_weight, or a number as residual_scale."
            )
        self.design = design
        self.predictor = UNet(3, design.predictor_width, design) if design.predictor_width else None
        self.denoiser = UNet(6, design.denoiser_width, design, conditional=True) if design.denoiser_width else None

    @property
    def dtype(self) -> torch.dtype:
        return next(self.parameters()).dtype

    def scaled(self, blurry: Tensor) -> Tensor:
        """y as both networks see it, in [−1, 1] and in their precision."""
        return (2 * blurry - 1).to(self.dtype)

    def predict(self, blurry: Tensor) -> Tensor:
        """g_θ(y) `(b, 3, h, w)`, not clipped; mid-grey where there is no predictor. UsageError for other pictures."""
        check_colour(blurry)
        if self.predictor is None:
            return torch.full_like(blurry, 0.5)
        return blurry + self.predictor(self.scaled(blurry)).float() / 2

    def estimate_noise(self, noisy: Tensor, alpha_bar: Tensor, blurry: Tensor) -> Tensor:
        """f_θ(z_t, ᾱ, y): the noise in z_t `(b, 3, h, w)` at the levels alpha_bar `(b,)`."""
        given = self.denoiser(torch.cat([noisy.to(self.dtype), self.scaled(blurry)], 1), alpha_bar).float()
        return self.noise_of(given, noisy, alpha_bar[:, None, None, None])

    def noise_of(self, given: Tensor, noisy: Tensor, alpha_bar: Tensor | float) -> Tensor:
        """The noise in z_t, from what the denoiser's network gives: itself, or with `velocity` v = √ᾱ ε − √(1 − ᾱ) z,
        so that ε = √ᾱ v + √(1 − ᾱ) z_t (Salimans and Ho, "Progressive Distillation", ICLR 2022).

        Where z has drowned nearly all of z_t is noise, which a network need not repeat, and an error of v is not
        magnified in ẑ = √ᾱ z_t − √(1 − ᾱ) v, as one of ε is by 1/√ᾱ.
        """
        return alpha_bar**0.5 * given + (1 - alpha_bar) ** 0.5 * noisy if self.design.velocity else given

    def unit(self, initial: Tensor) -> Tensor | float:
        """What 1 in the denoiser's units is in [0, 1], given g_θ(y)."""
        scale = self.design.residual_scale
        return expected_residual(initial) if scale is None else 1 / (2 * scale)

    def residual(self, sharp: Tensor | float, initial: Tensor) -> Tensor:
        """z = x − g_θ(y), in the denoiser's units."""
        return (sharp - initial) / self.unit(initial)

    def picture(self, residual: Tensor, initial: Tensor) -> Tensor:
        """x = g_θ(y) + z."""
        return initial + residual * self.unit(initial)


def refinement_loss(
    model: Refinement, batch: tuple[Tensor, Tensor], generator: torch.Generator, schedule: Schedule = TRAINING
) -> Tensor:
    """L = E‖ε − f_θ(√ᾱ (x − g_θ(y)) + √(1 − ᾱ) ε, ᾱ, y)‖₁, the mean over pixels; both networks learn from it.

    In units by local contrast f_θ alone does, and g_θ from its own loss: divided by units as small as 0.003, this one's
    gradient would drown that of the other.
    batch: (blurry, sharp), each `(b, 3, h, w)` in [0, 1]; `generator` draws noise levels and noise.
    """
    blurry, sharp = batch
    initial = model.predict(blurry)
    known = initial if model.design.residual_scale else initial.detach()
    alpha_bar = schedule.draw_levels(len(blurry), generator).to(blurry.device)
    noise = torch.randn(blurry.shape, generator=generator, device=generator.device).to(blurry.device)
    noisy = add_noise(model.residual(sharp, known), alpha_bar[:, None, None, None], noise)
    loss = (noise - model.estimate_noise(noisy, alpha_bar, blurry)).abs().mean()
    if model.design.colour_weight:
        loss = loss + model.design.colour_weight * colour_drift(initial, blurry)
    if model.design.predictor_weight:
        loss = loss + model.design.predictor_weight * F.mse_loss(initial, sharp)
    return loss


def colour_drift(initial: Tensor, blurry: Tensor) -> Tensor:
    """Mean absolute difference of the mean colours of two pictures, in [0, 1]: the loss of refinement leaves the mean
    colour of g_θ(y) open, for the residual can put it right."""
    return (initial - blurry).mean((2, 3)).abs().mean()


def expected_residual(initial: Tensor, window: int = 9, floor: float = 0.002) -> Tensor:
    """How large x − g_θ(y) is likely to be, pixel by pixel: `(b, 3, h, w)` in [0, 1] to `(b, 1, h, w)`, at least 0.003.

    0.25 c^0.7, with c the root mean square of the gradient's length in a window, in grey: fitted to CBSD68, blurred and
    predicted by the small network. A data-dependent prior as in Lee et al., "PriorGrad", ICLR 2022: with z in these
    units, noise of one level is as likely to be texture on a cheek as in a meadow, which keeps samples from growing
    texture where the picture is smooth.
    """
    grey = initial.mean(1, keepdim=True)
    down, right = torch.gradient(F.pad(grey, (1, 1, 1, 1), mode="replicate"), dim=(2, 3))
    power = (down.square() + right.square())[..., 1:-1, 1:-1]
    around = F.avg_pool2d(F.pad(power, (window // 2,) * 4, mode="replicate"), window, stride=1)
    return 0.25 * (around + floor**2) ** 0.35


def regression_loss(model: Refinement, batch: tuple[Tensor, Tensor], generator: torch.Generator) -> Tensor:
    """Mean squared error of g_θ(y) alone: the plain regression of the paper's Table 4, with the same predictor."""
    blurry, sharp = batch
    return F.mse_loss(model.predict(blurry), sharp)


class UNet(nn.Module):
    """Fully convolutional U-Net: `(b, channels, h, w)` to `(b, 3, h, w)`, any h and w; with `conditional` it is told
    the noise levels `(b,)` in (0, 1)."""

    def __init__(self, channels: int, width: int, design: Design, conditional: bool = False):
        super().__init__()
        embedding = 4 * width if conditional else 0
        self.embed = NoiseLevel(embedding) if conditional else None
        self.first = nn.Conv2d(channels, width, 1)

        def block(channels: int, width: int, resample: str = "") -> Block:
            return Block(channels, width, embedding, resample)

        widths = [width * multiplier for multiplier in design.multipliers]
        encoder, kept, last = [], [width], width
        for level, width in enumerate(widths):
            for _ in range(design.blocks):
                encoder.append(block(last, width))
                kept.append(last := width)
            if level + 1 < len(widths):
                encoder.append(block(width, width, "down"))
                kept.append(width)
        decoder = []
        for level, width in reversed(list(enumerate(widths))):
            for _ in range(design.blocks + 1):
                decoder.append(block(last + kept.pop(), width))
                last = width
            if level > 0:
                decoder.append(block(width, width, "up"))
        self.encoder, self.decoder = nn.ModuleList(encoder), nn.ModuleList(decoder)
        self.middle = nn.ModuleList(block(widths[-1], widths[-1]) for _ in range(2))
        self.last = nn.Conv2d(width, 3, 3, padding=1)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)
        self.multiple = 2 ** (len(widths) - 1)

    def forward(self, x: Tensor, alpha_bar: Tensor | None = None) -> Tensor:
        height, width = x.shape[-2:]
        level = None if self.embed is None else self.embed(alpha_bar)  # (b, embedding)
        features = self.first(pad_to_multiple(x, self.multiple))
        kept = [features]
        for block in self.encoder:
            features = block(features, level)
            kept.append(features)
        for block in self.middle:
            features = block(features, level)
        for block in self.decoder:
            if block.resample != "up":
                features = torch.cat([features, kept.pop()], 1)
            features = block(features, level)
        return self.last(F.silu(features))[..., :height, :width]


class NoiseLevel(nn.Module):
    """ᾱ `(b,)` to `(b, embedding)` through two layers.

    They see the logarithm of the signal-to-noise ratio, which tells small noise levels apart as well as large ones;
    beyond what training draws it is held, so that a schedule may begin in purer noise.
    """

    def __init__(self, embedding: int):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(1, embedding), nn.SiLU(), nn.Linear(embedding, embedding), nn.SiLU())

    def forward(self, alpha_bar: Tensor) -> Tensor:
        signal_to_noise = alpha_bar.float().logit().clamp(-10, 14) / 10
        return self.layers(signal_to_noise[:, None].to(self.layers[0].weight.dtype))


class Block(nn.Module):
    """Residual block: swish, 3x3 convolution, plus noise level, swish, 3x3 convolution; nothing but its shortcut at
    first.

    "down" halves the resolution by stride 2, "up" doubles it by repeating pixels, both with a 1x1 shortcut.
    """

    def __init__(self, channels: int, width: int, embedding: int, resample: str):
        super().__init__()
        self.resample = resample
        stride = 2 if resample == "down" else 1
        self.first = nn.Conv2d(channels, width, 3, stride, padding=1)
        self.second = nn.Conv2d(width, width, 3, padding=1)
        nn.init.zeros_(self.second.weight)
        nn.init.zeros_(self.second.bias)
        self.level = nn.Linear(embedding, width) if embedding else None
        same = channels == width and not resample
        self.shortcut = nn.Identity() if same else nn.Conv2d(channels, width, 1)

    def forward(self, x: Tensor, level: Tensor | None) -> Tensor:
        in_place = not torch.is_grad_enabled()
        features = F.silu(x)
        # Not a 1x1 convolution with a stride: with few channels, oneDNN's gradient of it writes past its memory.
        x = self.shortcut(x[..., ::2, ::2] if self.resample == "down" else x)
        if self.resample == "up":  # repeating pixels and a 1x1 convolution may change places
            features, x = (F.interpolate(part, scale_factor=2.0, mode="nearest") for part in (features, x))
        features = self.first(features)
        if self.level is not None:
            features += self.level(level)[:, :, None, None]
        return self.second(F.silu(features, inplace=in_place)).add_(x)


def pad_to_multiple(x: Tensor, multiple: int) -> Tensor:
    """`(b, c, h, w)` extended at the right and below by its last pixels, until `multiple` divides h and w."""
    down, right = (-side % multiple for side in x.shape[-2:])
    return F.pad(x, (0, right, 0, down), mode="replicate") if down or right else x


def variants(height: int, width: int) -> Iterator[tuple[str, nn.Module, tuple[Tensor, ...]]]:
    """The networks for a picture of this size, each with a name and meta inputs, for counting."""
    picture, both = (torch.empty(1, channels, height, width, device="meta") for channels in (3, 6))
    for name, design in PRESETS.items():
        model = Refinement(design)
        if model.predictor is not None:
            yield f"Refinement, {name}, initial predictor", model.predictor, (picture,)
        if model.denoiser is not None:
            yield f"Refinement, {name}, denoiser", model.denoiser, (both, torch.rand(1))
