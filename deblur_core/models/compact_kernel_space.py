"""A learned kernel space with structure, small enough to be trained on a laptop.

The networks of the paper (`models.kernel_space`) have to find out by themselves that blur is a convolution, which takes
them 600,000 iterations. Here that much is given, and what blur kernels look like is learned, by the same loss. k is a
grid of cells with some numbers each, as there.

**Extractor.** In every cell, the gradients of y are explained by those of x through a mean kernel and components,

    w = argmin Σ (∂y − mean * ∂x − Σ_i w_i component_i * ∂x)² + ridge ‖w − w̄‖²,    k = w + mlp(w),

with learned components and ridge; w̄ is the answer for the whole picture, on which cells without texture fall back. A
network that looks at both pictures may hide something of the picture in k; least squares cannot, so k taken from one
picture fits another one.

**Operator.** Each cell's numbers are decoded into a blur kernel, not negative and of sum 1; between the centres of the
cells kernels are interpolated (Nagy and O'Leary, "Restoring images degraded by spatially variant blur", SIAM J. Sci.
Comput. 1998):

    kernel(k) ∝ max(0, mean + Σ_i k_i component_i + mlp(k))    ŷ(place) = Σ_cells share(cell, place) (kernel * x)(place)

Both perceptrons start at zero and the components as principal components of camera shakes (`start_from_shakes`): at
first this is nearly `LinearKernelSpace`, in which k has variance 1, and learning goes on from there. Numbers drawn from
a normal distribution make a blur kernel, too. What is no convolution nearby, such as saturation, it cannot do.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from deblur_core.blur import convolve
from deblur_core.errors import UsageError
from deblur_core.models.kernel_space import Encoding, check_kernel, check_pair
from deblur_core.models.linear_kernel_space import principal_kernels

STRIDE, TRAINING_STRIDE = 2, 4  # px: of the rows and columns that least squares looks at


@dataclass(frozen=True)
class Design:
    """Sizes; `variational` and `divergence_weight` as in `kernel_space.Design`."""

    channels: int = 64  # of k, and components
    cell: int = 64  # px, a multiple of 4
    extent: int = 27  # px, odd: of components and decoded kernels
    hidden: int = 256  # of both multi-layer perceptrons
    variational: bool = True
    divergence_weight: float = 0.1


class CompactKernelSpace(nn.Module):
    """Extractor and operator. Pictures are `(b, c, h, w)` in [0, 1], at least half a cell high and wide; k is
    `(b, channels, kh, kw)`, at least 2 x 2 cells. UsageError for other shapes, and for a design that cannot be. All of
    it in float32."""

    def __init__(self, design: Design):
        super().__init__()
        if design.cell % TRAINING_STRIDE or design.extent % 2 == 0:
            raise UsageError(
                f"Cells are a multiple of {TRAINING_STRIDE} px wide and kernels an odd number of px, "
                f"not {design.cell} and {design.extent}."
            )
        self.design = design
        self.multiple, self.channels = design.cell, design.channels
        self.mean, self.components = (
            nn.Parameter(torch.randn(count, design.extent, design.extent) / design.extent**2)
            for count in (1, design.channels)
        )
        self.ridge = nn.Parameter(torch.tensor([-14.0, -18.0]))  # logarithms: of its share in the power of the
        # filtered gradients, and of the rest
        self.to_code = perceptron(design.channels, design.hidden, design.channels * (1 + design.variational))
        self.to_kernel = perceptron(design.channels, design.hidden, design.extent**2)
        if design.variational:
            nn.init.constant_(self.to_code[-1].bias[design.channels :], 0.05)

    def kernel_shape(self, height: int, width: int) -> tuple[int, int, int]:
        """(c, kh, kw) of k for a picture of this size. UsageError for a picture smaller than half a cell."""
        if min(height, width) < self.multiple // 2:
            raise UsageError(
                f"The blur operator needs pictures of at least {self.multiple // 2} x {self.multiple // 2} pixels, "
                f"half a cell of its kernel, not {width} x {height}."
            )
        return self.channels, *(max(2, -(-side // self.multiple)) for side in (height, width))

    def encode(self, sharp: Tensor, blurry: Tensor) -> Encoding:
        """The blur between two pictures of one size; a single sharp picture is that of all the blurry ones."""
        check_pair(sharp, blurry[:1] if len(sharp) == 1 else blurry)
        with torch.autocast(sharp.device.type, enabled=False):
            explained = self.explain(sharp.float(), blurry.float())
            mean, *deviation = self.to_code(explained).movedim(-1, 1).split(self.channels, 1)
            return Encoding(explained.movedim(-1, 1) + mean, deviation[0] if deviation else None)

    def explain(self, sharp: Tensor, blurry: Tensor) -> Tensor:
        """w `(b, kh, kw, channels)`, cell by cell."""
        _, rows, columns = self.kernel_shape(*sharp.shape[-2:])
        stride = TRAINING_STRIDE if self.training else STRIDE
        count, side, border = self.channels, self.multiple // stride, self.design.extent // 2
        x, y = (gradients(self._whole(picture)) for picture in (sharp, blurry))  # (2, 1, h, w) or (2 b, 1, h, w)
        filters = torch.cat((self.components, self.mean)).flip(1, 2)[:, None]  # a convolution correlates
        filtered = F.conv2d(F.pad(x, (border,) * 4, mode="replicate"), filters, stride=stride)
        if len(sharp) == 1:
            filtered = filtered.repeat_interleave(len(blurry), 0)
        filtered = torch.cat((filtered[:, :-1], y[..., ::stride, ::stride] - filtered[:, -1:]), 1)
        cells = filtered.view(2, len(blurry), count + 1, rows, side, columns, side)
        cells = cells.permute(1, 3, 5, 0, 4, 6, 2).flatten(3, 5)  # (b, kh, kw, pixels, channels + 1)
        moments = cells.mT @ cells / cells.shape[-2]
        return self._solve(moments, self._solve(moments.mean((1, 2), keepdim=True), moments.new_zeros(count)))

    def _solve(self, moments: Tensor, usual: Tensor) -> Tensor:
        """The w nearest to the usual one that moments `(..., channels + 1, channels + 1)` of gradients allow."""
        normal, right = moments[..., :-1, :-1], moments[..., :-1, -1:]
        power = normal.diagonal(dim1=-2, dim2=-1).mean(-1)[..., None, None]
        ridge = power * self.ridge[0].exp() + self.ridge[1].exp()
        solvable = normal + ridge * torch.eye(self.channels, device=moments.device)
        return usual + torch.linalg.solve(solvable, right - normal @ usual[..., None])[..., 0]

    def decode(self, k: Tensor) -> Tensor:
        """The blur kernels of k: `(b, kh, kw, extent, extent)`, each of sum 1."""
        k = k.float().movedim(1, -1)
        kernels = self.mean[0] + torch.tensordot(k, self.components, 1)
        kernels = (kernels + self.to_kernel(k).unflatten(-1, kernels.shape[-2:])).clamp_min(0)
        return kernels / (kernels.sum((-2, -1), keepdim=True) + 1e-6)

    def blur(self, sharp: Tensor, k: Tensor) -> Tensor:
        """The sharp pictures blurred with k; k of one picture blurs all of them. The border is repeated."""
        height, width = sharp.shape[-2:]
        check_kernel(k, sharp, self.kernel_shape(height, width))
        with torch.autocast(sharp.device.type, enabled=False):
            kernels = self.decode(k).expand(len(sharp), -1, -1, -1, -1).flatten(0, 2)
            return self._blur(self._whole(sharp.float()), kernels)[..., :height, :width]

    def forward(
        self, sharp: Tensor, blurry: Tensor, generator: torch.Generator | None = None, source: Tensor | None = None
    ) -> tuple[Tensor, Encoding]:
        """As `KernelSpace.forward`."""
        encoding = self.encode(sharp, blurry)
        k = encoding.draw(generator) if generator else encoding.mean
        return self.blur(sharp, k if source is None else k[source]), encoding

    def _blur(self, sharp: Tensor, kernels: Tensor) -> Tensor:
        """Whole cells, each blurred by its own kernel (n, extent, extent) half a cell beyond its borders, blended."""
        cell, border = self.multiple, self.design.extent // 2
        around = cell // 2 + border
        padded = F.pad(sharp, (around,) * 4, mode="replicate")
        patches = padded.unfold(2, 2 * cell + 2 * border, cell).unfold(3, 2 * cell + 2 * border, cell)
        blurred = convolve(patches.permute(0, 2, 3, 1, 4, 5).flatten(0, 2), kernels)  # (n, 3, 2 cell, 2 cell)
        ramp = 1 - (torch.arange(2 * cell, device=sharp.device) + 0.5 - cell).abs() / cell
        share = ramp[:, None] * ramp
        weighted = torch.cat((blurred * share, share.expand(len(blurred), 1, -1, -1)), 1)
        size = [side + cell for side in sharp.shape[-2:]]
        sums = F.fold(weighted.flatten(1).unflatten(0, (len(sharp), -1)).mT, size, 2 * cell, stride=cell)
        inside = sums[..., cell // 2 : -(cell // 2), cell // 2 : -(cell // 2)]
        return inside[:, :-1] / inside[:, -1:]

    def _whole(self, picture: Tensor) -> Tensor:
        """The picture, its last row and column repeated until it consists of whole cells."""
        _, rows, columns = self.kernel_shape(*picture.shape[-2:])
        below, right = (n * self.multiple - side for n, side in zip((rows, columns), picture.shape[-2:], strict=True))
        return F.pad(picture, (0, right, 0, below), mode="replicate")


def perceptron(inputs: int, hidden: int, outputs: int) -> nn.Sequential:
    """Of zero at first."""
    last = nn.Linear(hidden, outputs)
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)
    return nn.Sequential(nn.Linear(inputs, hidden), nn.SiLU(), nn.Linear(hidden, hidden), nn.SiLU(), last)


def gradients(picture: Tensor) -> Tensor:
    """Differences between neighbouring pixels of the mean colour, to the right and down, below each other in the batch:
    (b, c, h, w) -> (2 b, 1, h, w)."""
    grey = picture.mean(1, keepdim=True)
    grey = F.pad(grey, (0, 1, 0, 1), mode="replicate")
    return torch.cat((grey[..., :-1, :].diff(dim=3), grey[..., :-1].diff(dim=2)))


def start_from_shakes(model: CompactKernelSpace, kernels: Tensor) -> CompactKernelSpace:
    """The same model with mean and components of a collection of kernels (n, extent, extent), each of sum 1."""
    filters, _ = principal_kernels(kernels, model.channels)
    with torch.no_grad():
        model.mean.copy_(filters[:1])
        model.components.copy_(filters[1:])
    return model
