"""SelfDeblur's two untrained networks (Ren et al., "Neural Blind Deconvolution Using Deep Priors", CVPR 2020).

Blind deconvolution y = k * x + n is solved by optimising the weights of two networks whose inputs are fixed random
vectors (eq. 5): G_x draws the sharp image x in [0, 1], G_k draws the blur kernel k with k >= 0 and sum(k) = 1. Sigmoid
and softmax make both constraints automatic, so the problem is unconstrained.

Differs from the paper's text: the non-local blocks in the three coarser scales, ReLU6 in G_k and the layer order come
from the authors' released code, the paper does not mention them. Batch normalisation always uses the statistics of the
one picture at hand; running averages, which the released code keeps and never reads, are not kept.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from deblur_core.models.reflect_pad import reflect_pad

INPUT_CHANNELS = 8
CODE_LENGTH = 200
INPUT_SCALE = 0.1


class ImageNetwork(nn.Module):
    """G_x: an asymmetric autoencoder with skip connections (section 3.2).

    Args: width, channels of every scale (paper: 128); skip, channels of the skip branches (16); scales, halvings of the
    resolution (5); nonlocal_from, index of the first scale with a non-local block (2), None for none;
    output_channels, 1 for luma. Input z `(1, 8, h, w)`, sides larger than 2**scales pixels; output x
    `(1, output_channels, h, w)` in [0, 1], float32.
    """

    def __init__(
        self,
        width: int = 128,
        skip: int = 16,
        scales: int = 5,
        nonlocal_from: int | None = 2,
        output_channels: int = 1,
    ):
        super().__init__()
        scale: Scale | None = None
        for i in reversed(range(scales)):
            attends = nonlocal_from is not None and i >= nonlocal_from
            scale = Scale(INPUT_CHANNELS if i == 0 else width, width, skip, inner=scale, attends=attends)
        self.scales = scale
        self.to_image = nn.Conv2d(width, output_channels, 1)

    def forward(self, z: Tensor) -> Tensor:
        return torch.sigmoid(self.to_image(self.scales(z)).float())


class Scale(nn.Module):
    """One resolution of G_x: halve, transform, recurse, double, and merge with the skip branch."""

    def __init__(self, channels: int, width: int, skip: int, inner: Scale | None, attends: bool):
        super().__init__()
        self.skip = nn.Sequential(UnbiasedConv(channels, skip, 1), *norm_activation(skip))
        self.down = nn.Sequential(ReflectConv(channels, width, stride=2), *norm_activation(width))
        self.nonlocal_block = NonLocal(width) if attends else nn.Identity()
        self.refine = nn.Sequential(ReflectConv(width, width), *norm_activation(width))
        self.inner = inner if inner is not None else nn.Identity()
        self.merge = nn.Sequential(
            BatchNorm(skip + width),
            ReflectConv(skip + width, width),
            *norm_activation(width),
            UnbiasedConv(width, width, 1),
            *norm_activation(width),
        )

    def forward(self, z: Tensor) -> Tensor:  # (1, c, h, w)
        deep = self.inner(self.refine(self.nonlocal_block(self.down(z))))  # (1, width, ceil(h/2), ceil(w/2))
        # F.interpolate by 2 and cropped to z's size in one step.
        deep = torch.ops.aten.upsample_bilinear2d(deep, z.shape[-2:], False, 2.0, 2.0)
        return self.merge(Concatenate.apply(self.skip(z), deep))  # (1, width, h, w)


class Concatenate(torch.autograd.Function):
    """torch.cat along the channels, with gradients as dense tensors.

    torch.cat's are views into one tensor, with which the backward pass of upsampling takes 5 times as long on a CPU.
    """

    @staticmethod
    def forward(ctx, *parts: Tensor) -> Tensor:
        ctx.channels = [part.shape[1] for part in parts]
        return torch.cat(parts, 1)

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, ...]:
        return tuple(part.clone(memory_format=_layout(gradient)) for part in gradient.split(ctx.channels, 1))


def _layout(features: Tensor) -> torch.memory_format:
    channels_last = features.is_contiguous(memory_format=torch.channels_last)
    return torch.channels_last if channels_last else torch.contiguous_format


class NonLocal(nn.Module):
    """Dot-product non-local block (Wang et al., CVPR 2018) with pooled keys; the identity when training starts."""

    def __init__(self, width: int):
        super().__init__()
        self.query, self.key, self.value = (nn.Conv2d(width, width // 2, 1) for _ in range(3))
        self.project = UnbiasedConv(width // 2, width, 1)
        self.norm = BatchNorm(width)
        nn.init.zeros_(self.norm.weight)

    def forward(self, features: Tensor) -> Tensor:
        query = self.query(features).flatten(2)  # (1, width/2, n)
        key = F.max_pool2d(self.key(features), 2).flatten(2)  # (1, width/2, m)
        value = F.max_pool2d(self.value(features), 2).flatten(2)
        # (value keyᵀ) query instead of value (keyᵀ query): without a softmax the product is associative, and the
        # n x m affinity never has to exist.
        attended = (value @ key.mT / key.shape[-1]) @ query  # (1, width/2, n)
        attended = attended.unflatten(2, features.shape[-2:])
        return features + self.norm(self.project(attended))


class UnbiasedConv(nn.Conv2d):
    """A convolution in front of batch normalisation, which subtracts any bias again: it is kept and never computed."""

    def forward(self, features: Tensor) -> Tensor:
        return F.conv2d(features, self.weight, None, self.stride)


class ReflectConv(UnbiasedConv):
    """3x3 convolution that mirrors the border."""

    def __init__(self, channels: int, width: int, stride: int = 1):
        super().__init__(channels, width, 3, stride)

    def forward(self, features: Tensor) -> Tensor:
        return super().forward(reflect_pad(features))


class BatchNorm(nn.BatchNorm2d):
    def __init__(self, channels: int):
        super().__init__(channels, track_running_stats=False)


def norm_activation(channels: int) -> tuple[nn.Module, nn.Module]:
    return BatchNorm(channels), nn.LeakyReLU(0.2, inplace=True)


class KernelNetwork(nn.Module):
    """G_k: a fully connected network from a random code to a kernel (section 3.2; ablation in section 4.1.2).

    Args: kernel_size, side of the kernel; hidden_layers, 1 in the paper, 0 and 2 in its Table 2 (the width of the
    second hidden layer is not stated there; here it is 1000 like the first). Input `(200,)`, output `(1, side, side)`
    of sum 1, float32.
    """

    def __init__(self, kernel_size: int, hidden_layers: int = 1, hidden_width: int = 1000):
        super().__init__()
        widths = [CODE_LENGTH] + [hidden_width] * hidden_layers
        self.hidden = nn.Sequential(*(layer for a, b in pairwise(widths) for layer in (nn.Linear(a, b), nn.ReLU6())))
        self.to_kernel = nn.Linear(widths[-1], kernel_size**2)
        self.kernel_size = kernel_size

    def forward(self, z: Tensor) -> Tensor:
        k = F.softmax(self.to_kernel(self.hidden(z)).float(), -1)
        return k.view(1, self.kernel_size, self.kernel_size)

    def draw_input(self, generator: torch.Generator) -> Tensor:
        return INPUT_SCALE * torch.rand(CODE_LENGTH, generator=generator)


class ConvolutionalKernelNetwork(nn.Module):
    """Double-DIP's kernel generator: G_x's architecture draws the kernel too (Table 2, last column).

    How the paper turns its output into a kernel is not stated; a softmax over all positions keeps the constraints of
    eq. 5. Fewer scales than G_x where the kernel is too small to be halved five times, and no non-local blocks. Input
    `(1, 8, side, side)`, output `(1, side, side)`; the side is 3 pixels or more.
    """

    def __init__(self, kernel_size: int, width: int = 128, skip: int = 16):
        super().__init__()
        scales, side = 0, kernel_size
        while scales < 5 and side > 2:
            scales, side = scales + 1, (side + 1) // 2
        self.network = ImageNetwork(width, skip, scales, nonlocal_from=None)
        self.kernel_size = kernel_size

    def forward(self, z: Tensor) -> Tensor:
        logits = self.network.to_image(self.network.scales(z)).float()
        return F.softmax(logits.flatten(), 0).view(1, self.kernel_size, self.kernel_size)

    def draw_input(self, generator: torch.Generator) -> Tensor:
        return INPUT_SCALE * torch.rand(1, INPUT_CHANNELS, self.kernel_size, self.kernel_size, generator=generator)


def draw_image_input(height: int, width: int, generator: torch.Generator) -> Tensor:
    """Fixed random input of G_x: uniform in [0, 0.1], shape `(1, 8, height, width)`."""
    return INPUT_SCALE * torch.rand(1, INPUT_CHANNELS, height, width, generator=generator)


def initialize(network: nn.Module, generator: torch.Generator) -> nn.Module:
    """PyTorch's default initialisation, U(-b, b) with b = 1/sqrt(fan in), drawn from `generator` alone."""
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)):
                bound = module.weight[0].numel() ** -0.5
                module.weight.uniform_(-bound, bound, generator=generator)
                module.bias.uniform_(-bound, bound, generator=generator)
    return network


def variants(height: int, width: int, kernel_size: int = 27) -> Iterator[tuple[str, nn.Module, tuple[Tensor, ...]]]:
    """The networks for a picture y of this size, each with a name and meta inputs, for counting."""
    z = torch.empty(1, INPUT_CHANNELS, height + kernel_size - 1, width + kernel_size - 1, device="meta")
    for channels, skip in ((128, 16), (64, 8), (32, 4)):
        yield f"SelfDeblur, image, {channels} channels", ImageNetwork(channels, skip), (z,)
    yield "SelfDeblur, image, 128 channels, no non-local blocks", ImageNetwork(nonlocal_from=None), (z,)
    for layers in (0, 1, 2):
        network = KernelNetwork(kernel_size, layers)
        yield f"SelfDeblur, kernel of {kernel_size} px, {layers} hidden", network, (torch.empty(CODE_LENGTH),)
