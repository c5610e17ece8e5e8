"""Speed of the blur operator, and of one iteration of blind deblurring with it, beside plain float32 code."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from deblur_core.blur import pad_for_same
from deblur_core.models import selfdeblur as networks
from deblur_core.models.compact_kernel_space import CompactKernelSpace, Design
from deblur_core.models.kernel_space import KernelPrior, KernelSpace, charbonnier, preset
from deblur_core.randomness import own_randomness
from deblur_core.runs import own_stream
from deblur_core.solvers.acceleration import usual
from deblur_core.solvers.kernel_space import RECIPES, Recipe, optimisation, usual_kernel
from deblur_core.solvers.selfdeblur_benchmark import plain_similarity
from deblur_core.timing import in_turn

CASES = (("small", "quick", 256), ("paper", "joint", 256))
"""(operator, recipe, side of the picture in pixels); the second one takes minutes on a CPU."""
PLAIN = "plain float32"


def rows(
    device: str = "cpu", repeats: int = 5, cases: tuple[tuple[str, str, int], ...] | None = None
) -> list[dict[str, Any]]:
    """Median time of each variant, all in turn within one run, and how many times it beats the plain one."""
    table = compact_rows(device, repeats)
    for name, recipe, pixels in cases or (CASES if torch.device(device).type == "cuda" else CASES[:1]):
        with own_randomness():
            model = KernelSpace(preset(name)).eval().to(device)
        y = torch.rand(1, 3, pixels, pixels, generator=torch.Generator().manual_seed(0)).to(device)
        for operation, variants in (
            ("operator, forward", forwards(model, y)),
            (f"iteration, '{recipe}'", iterations(model, y, RECIPES[recipe], device)),
        ):
            table += _rows(f"kernel space, {name}, {pixels} px: {operation}", variants, device, repeats)
    return table


def forwards(model: KernelSpace, y: Tensor) -> dict[str, Callable[[], Any]]:
    k = usual_kernel(model, y)

    @torch.no_grad()
    def blur(operator: KernelSpace) -> Tensor:
        return operator.blur(y, k)

    def twin(**form: Any) -> KernelSpace:
        copied = KernelSpace(model.design).to(y.device)
        copied.load_state_dict(model.state_dict())
        return copied.to(**form).eval()

    return {
        PLAIN: partial(blur, twin()),
        "float32": partial(blur, twin(memory_format=torch.channels_last)),
        "bfloat16": partial(blur, twin(dtype=torch.bfloat16, memory_format=torch.channels_last)),
    }


def iterations(model: KernelSpace, y: Tensor, recipe: Recipe, device: str) -> dict[str, Callable[[], Any]]:
    """Of the first half, after the warm-up."""
    long = replace(recipe, warm_up=0, iterations=10_000)

    def step(**changes: Any) -> Callable[[], None]:
        with own_stream(device):
            return optimisation(model, y, replace(long, **changes), 0, device).step

    return {
        PLAIN: plain_step(model, y, recipe),
        "float32": step(precision="float32", alternating=False),
        usual(device): step(alternating=False),
        f"{usual(device)}, alternating": step(alternating=True),
    }


def compact_rows(device: str, repeats: int, pixels: int = 256) -> list[dict[str, Any]]:
    """The compact operator, beside the same cells blurred by PyTorch's direct convolution."""
    with own_randomness():
        model = CompactKernelSpace(Design()).requires_grad_(False).to(device)
    y = torch.rand(1, 3, pixels, pixels, generator=torch.Generator().manual_seed(0)).to(device)
    k = torch.zeros(1, *model.kernel_shape(pixels, pixels), device=device)

    def direct() -> Tensor:
        """Every cell's kernel blurs the whole picture, and shares of all of them are added."""
        kernels = model.decode(k)[0].flatten(0, 1)
        size = kernels.shape[-1]
        padded = pad_for_same(y, size)[0][:, None]
        blurred = F.conv2d(padded, kernels.flip(1, 2)[:, None])  # (3, cells, h, w)
        cells = torch.eye(len(kernels), device=device).unflatten(1, k.shape[-2:])
        shares = F.interpolate(cells[None], (pixels, pixels), mode="bilinear", align_corners=False)
        return (blurred * shares).sum(1)

    torch.testing.assert_close(direct()[None], model.blur(y, k), rtol=0, atol=1e-4)
    variants = {PLAIN: direct, "float32, Fourier, cell by cell": lambda: model.blur(y, k)}
    return _rows(f"kernel space, compact, {pixels} px: operator, forward", variants, device, repeats)


def _rows(operation: str, variants: dict[str, Callable[[], Any]], device: str, repeats: int) -> list[dict[str, Any]]:
    with own_stream(device):
        seconds = in_turn(variants, device, repeats, warm_up=4)  # a GPU records its graph in the fourth
    return [
        {
            "operation": operation,
            "variant": variant,
            "device": device,
            "milliseconds": round(1e3 * time_needed, 2),
            "plain": f"{seconds[PLAIN] / time_needed:.1f} x",
        }
        for variant, time_needed in seconds.items()
    ]


def plain_step(model: KernelSpace, y: Tensor, recipe: Recipe) -> Callable[[], Tensor]:
    """What one would write first, as the released code does: float32, channels first, SSIM by five convolutions, noise
    and filters made anew, one Adam for all weights."""
    generator = torch.Generator().manual_seed(0)
    channels, *cells = model.kernel_shape(*y.shape[-2:])
    image = networks.ImageNetwork(recipe.width, recipe.skip, nonlocal_from=recipe.nonlocal_from, output_channels=3)
    kernel = KernelPrior(channels, recipe.kernel_blocks)
    for network in (image, kernel):
        networks.initialize(network, generator).to(y.device)
    z_image = networks.draw_image_input(*y.shape[-2:], generator).to(y.device)
    z_kernel = kernel.draw_input(*cells, generator).to(y.device)
    operator = KernelSpace(model.design).to(y.device).eval().requires_grad_(False)
    operator.load_state_dict(model.state_dict())
    optimizer = torch.optim.Adam([*image.parameters(), *kernel.parameters()], lr=recipe.image_rate)
    similarity = plain_similarity(y)

    def step() -> Tensor:
        optimizer.zero_grad()
        x, k = (
            network(z + recipe.input_noise * torch.randn_like(z))
            for network, z in ((image, z_image), (kernel, z_kernel))
        )
        blurred = operator.blur(x, k)
        sobel = torch.tensor([[1.0, 0, -1], [2, 0, -2], [1, 0, -1]], device=x.device).expand(1, 3, 3, 3)
        power = F.conv2d(x, sobel).square() + F.conv2d(x, sobel.mT).square()
        loss = charbonnier(blurred - y).mean() + recipe.similarity_weight[0] * (1 - similarity(blurred))
        loss = loss + recipe.kernel_weight[0] * k.square().mean()
        loss = loss + recipe.gradient_weight[0] * (power + 1e-6).pow(recipe.exponent / 2).mean()
        loss.backward()
        optimizer.step()
        return loss

    return step
