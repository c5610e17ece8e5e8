"""KID and FID: how far a set of restored patches lies from a set of sharp ones, in the features of a network."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from deblur_core.errors import UsageError
from deblur_core.metrics.backbones import import_optional, inception_network, lpips_network
from deblur_core.metrics.batches import as_batch

_AT_ONCE = 32  # patches in memory as features of the first layers


@torch.no_grad()
def alexnet_features(patches: Tensor) -> Tensor:
    """AlexNet's last convolution after its ReLU, averaged over the patch: (n, c, h, w) in [0, 1] -> (n, 256).

    Patches keep their size, from 31 px on; c is 1 or 3. The weights are those that LPIPS compares pictures with.
    Without gradient, in float32.
    """
    network = lpips_network(patches.device)

    def features(part: Tensor) -> Tensor:
        return network.net(network.scaling_layer(2 * part.float() - 1))[-1].mean(dim=(2, 3))

    return torch.cat([features(part) for part in as_batch(patches, height=31, width=31).split(_AT_ONCE)])


@torch.no_grad()
def inception_features(patches: Tensor) -> Tensor:
    """The 2048 pooled features of Inception-v3 that FID is defined on: (n, c, h, w) in [0, 1] -> (n, 2048).

    Patches are rounded to 8 bit and resized to 299 x 299 (bilinear, antialiased, as torchmetrics does); c is 1 or 3.
    Without gradient.
    """
    network = inception_network(patches.device)
    eight_bit = (255 * as_batch(patches)).round().clamp(0, 255).to(torch.uint8)
    return torch.cat([network(part) for part in eight_bit.split(_AT_ONCE)])


def kid_alexnet(
    real: Tensor, fake: Tensor, *, subsets: int = 100, subset_size: int = 1000, seed: int = 0
) -> tuple[float, float]:
    """Kernel distance between two sets of patches on AlexNet features: mean and standard deviation over subsets.

    real and fake: patches (n, c, h, w) in [0, 1], or their `alexnet_features` (n, 256), where one set is compared
    many times. The squared maximum mean discrepancy under the kernel (a . b / 256 + 1)^3, unbiased, so it can fall
    below 0; lower is better. Each subset draws `subset_size` patches of either set, from `seed`.
    Not comparable with published KID, which is on Inception features (`kid_inception`) and often times 1000.
    Source: Binkowski et al., ICLR 2018, section 4. UsageError where a set has fewer than `subset_size` patches.
    """
    return _kid(_as_features(real, alexnet_features), _as_features(fake, alexnet_features), subsets, subset_size, seed)


def kid_inception(
    real: Tensor, fake: Tensor, *, subsets: int = 100, subset_size: int = 1000, seed: int = 0
) -> tuple[float, float]:
    """Kernel Inception distance: `kid_alexnet` on the features that published values use, `inception_features`."""
    real, fake = _as_features(real, inception_features), _as_features(fake, inception_features)
    return _kid(real, fake, subsets, subset_size, seed)


def fid_inception(real: Tensor, fake: Tensor) -> float:
    """Frechet Inception distance between two sets of patches, from 0 up but for rounding; lower is better.

    real and fake: patches (n, c, h, w) in [0, 1], or their `inception_features` (n, 2048), two or more in each set.
    The distance of two Gaussians with the means and covariances of the sets. It is too large for small sets:
    below some ten thousand patches only sets of one size compare, and `kid_inception` is the better choice.
    Source: Heusel et al., NeurIPS 2017, equation 6.
    """
    real, fake = _as_features(real, inception_features), _as_features(fake, inception_features)
    if min(len(real), len(fake)) < 2:
        raise UsageError("FID needs two patches or more in each set: cut smaller patches, or take more pictures")
    identity = nn.Identity()
    identity.num_features = real.shape[1]
    distance = import_optional("torchmetrics.image.fid").FrechetInceptionDistance(feature=identity).to(real.device)
    distance.update(real, real=True)
    distance.update(fake, real=False)
    return float(distance.compute())


def _kid(real: Tensor, fake: Tensor, subsets: int, subset_size: int, seed: int) -> tuple[float, float]:
    if subsets < 1 or not 2 <= subset_size <= min(len(real), len(fake)):
        raise UsageError(
            f"KID draws at least 1 subset of 2 or more patches, not {subsets} of {subset_size}, from sets of "
            f"{len(real)} and {len(fake)}: choose a smaller subset_size, or take more patches"
        )
    squared_distance = import_optional("torchmetrics.image.kid").poly_mmd
    generator = torch.Generator().manual_seed(seed)

    def draw(features: Tensor) -> Tensor:
        return features[torch.randperm(len(features), generator=generator)[:subset_size].to(features.device)]

    distances = torch.stack([squared_distance(draw(real), draw(fake)) for _ in range(subsets)])
    return float(distances.mean()), float(distances.std(correction=0))


def _as_features(patches: Tensor, network: Callable[[Tensor], Tensor]) -> Tensor:
    return (patches if patches.ndim == 2 else network(patches)).double()
