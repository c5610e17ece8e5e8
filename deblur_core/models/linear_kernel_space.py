"""A kernel space made by hand, with nothing learned but principal components: what the learned one has to beat.

    k(place) = mean + Σ_c w_c(place) component_c    y(place) = (k(place) * x)(place)

The components are those of a collection of blur kernels, scaled so that weights w have variance 1 over it. Like the
learned space (`models.kernel_space`), a code w is a grid of cells; between their centres weights are interpolated, so
that blur varies smoothly over the picture. Extraction is least squares. On kernels whose weights vary over the picture:
Nagy and O'Leary, "Restoring images degraded by spatially variant blur", SIAM J. Sci. Comput. 1998.
"""

from __future__ import annotations

import itertools

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from deblur_core.blur import fast_length
from deblur_core.errors import UsageError
from deblur_core.models.kernel_space import Encoding, check_kernel, check_pair

NOISE = 0.004
"""Standard deviation that extraction expects of what the components do not explain, against weights of deviation 1."""


def principal_kernels(kernels: Tensor, components: int) -> tuple[Tensor, float]:
    """(1 + components, size, size), the mean of kernels (n, size, size) and their principal components, scaled so that
    weights have variance 1; and the share of the variance that they explain. UsageError for an even size, or for no
    more kernels than components."""
    if len(kernels) <= components or kernels.shape[-1] % 2 == 0:
        raise UsageError(
            f"{components} components need more than {components} kernels of odd size, not {len(kernels)} of "
            f"{kernels.shape[-1]} px."
        )
    flat = kernels.flatten(1).double()
    _, scales, directions = torch.linalg.svd(flat - flat.mean(0), full_matrices=False)
    shown = directions[:components] * scales[:components, None] / len(flat) ** 0.5
    explained = float((scales[:components] ** 2).sum() / (scales**2).sum())
    return torch.cat([flat.mean(0, keepdim=True), shown]).view(-1, *kernels.shape[1:]).float(), explained


class LinearKernelSpace(nn.Module):
    """`kernel_shape`, `encode` and `blur` as of `KernelSpace`; k holds the weights `(b, components, kh, kw)`.

    Args: kernels (n, size, size), a collection, each of sum 1, size odd; components; cell, in pixels. Blur is true
    convolution, the border of pictures is repeated. UsageError for pictures that do not match, or a k of other cells.
    """

    def __init__(self, kernels: Tensor, components: int = 24, cell: int = 64):
        super().__init__()
        self.multiple, self.channels = cell, components
        filters, self.explained = principal_kernels(kernels, components)
        self.register_buffer("filters", filters[:, None])

    def kernel_shape(self, height: int, width: int) -> tuple[int, int, int]:
        """(components, kh, kw) of k for a picture of this size: at least 2 x 2 cells."""
        return self.channels, *(max(2, -(-side // self.multiple)) for side in (height, width))

    def blur(self, sharp: Tensor, k: Tensor) -> Tensor:
        """The sharp pictures (b, c, h, w) blurred with k, not clipped; k of one picture blurs all of them."""
        check_kernel(k, sharp, self.kernel_shape(*sharp.shape[-2:]))
        seen = self._components(sharp)
        weights = self._spread(k.float(), *sharp.shape[-2:])
        return seen[:, :, 0] + (seen[:, :, 1:] * weights[:, None]).sum(2)

    @torch.no_grad()
    def encode(self, sharp: Tensor, blurry: Tensor) -> Encoding:
        """The most probable weights under a normal prior, cell by cell: each from the pixels around its centre. Without
        gradient, in float32."""
        check_pair(sharp, blurry)
        seen = self._components(sharp)
        left, seen = blurry.float() - seen[:, :, 0], seen[:, :, 1:]
        _, rows, columns = self.kernel_shape(*sharp.shape[-2:])
        # The share of each pixel in every cell is that of its row, (rows, h), times that of its column, (columns, w).
        of_rows, of_columns = (
            F.interpolate(torch.eye(n, device=sharp.device)[None], n * self.multiple, mode="linear")[0, :, :side]
            for n, side in zip((rows, columns), sharp.shape[-2:], strict=True)
        )
        equations = []
        for row, column in itertools.product(range(rows), range(columns)):
            # Only here it is not zero: half a cell beyond the cell's own borders.
            down, across = (slice(max(0, first - self.multiple // 2), first + 3 * self.multiple // 2)
                            for first in (row * self.multiple, column * self.multiple))  # fmt: skip
            share = (of_rows[row, down, None] * of_columns[column, across]).sqrt()
            part = (share * seen[..., down, across]).transpose(1, 2).flatten(2)  # (b, components, channels · pixels)
            equations.append((part @ part.mT, part @ (share * left[..., down, across]).flatten(1)[..., None]))
        normal, right = (torch.stack(sides, 1) for sides in zip(*equations, strict=True))
        normal = normal + NOISE**2 * torch.eye(self.channels, device=sharp.device)
        weights = torch.linalg.solve(normal, right)[..., 0]  # (b, cells, components)
        return Encoding(weights.mT.unflatten(2, (rows, columns)), None)

    def _components(self, picture: Tensor) -> Tensor:
        """The picture (b, c, h, w) convolved with mean and components: (b, c, 1 + components, h, w), in float32."""
        size, filters = self.filters.shape[-1], self.filters.float()
        padded = F.pad(picture.float(), (size // 2,) * 4, mode="replicate")
        if padded.is_cuda:
            correlated = F.conv2d(padded.flatten(0, 1)[:, None], filters.flip(2, 3))
            return correlated.unflatten(0, picture.shape[:2])
        # On a CPU Fourier transforms take a third of the time, forward and backward.
        whole = [fast_length(side) for side in padded.shape[-2:]]
        product = torch.fft.rfft2(padded[:, :, None], whole) * torch.fft.rfft2(filters[:, 0], whole)
        height, width = picture.shape[-2:]
        return torch.fft.irfft2(product, whole)[..., size - 1 : size - 1 + height, size - 1 : size - 1 + width]

    def _spread(self, k: Tensor, height: int, width: int) -> Tensor:
        """Numbers of cells `(b, c, kh, kw)` as those of pixels, `(b, c, height, width)`."""
        whole = [cells * self.multiple for cells in k.shape[-2:]]
        return F.interpolate(k, whole, mode="bilinear", align_corners=False)[..., :height, :width]
