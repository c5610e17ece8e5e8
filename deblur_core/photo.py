"""Deblur one photograph of one's own, by SelfDeblur or in the encoded blur kernel space."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

import torch.nn.functional as F
from torch import Tensor
from tqdm import tqdm

from deblur_core import data, trainings
from deblur_core.doctor import total_memory
from deblur_core.errors import DeblurError, UsageError
from deblur_core.solvers import kernel_space, large_picture, nonblind, selfdeblur
from deblur_core.studies import Figure, style

NAMES = {"selfdeblur": "SelfDeblur", "kernel_space": "Deblurring in the kernel space"}


def deblur_photo(
    path: str | Path,
    kernel_size: int | None,
    output: str | Path,
    *,
    method: str = "selfdeblur",
    recipe: str = "quick",
    iterations: int | None = None,
    seed: int = 0,
    whole: bool = False,
    device: str = "cpu",
) -> list[Path]:
    """Write <stem>_deblurred.png, _kernel.png and _before_after.png to `output`; returns their paths.

    "selfdeblur" (Ren et al., CVPR 2020) takes one kernel of `kernel_size` for the whole picture. Only luma is deblurred
    and the blurry picture's chroma is used again. Their method draws the whole picture (`whole`), for minutes per 255 x
    255 pixels; otherwise SelfDeblur sees only the window with the strongest edges, where it finds the kernel, with
    which all of a larger picture is then deconvolved (`large_picture.deblur`). "kernel_space" (Tran et al., CVPR 2021)
    always draws the whole picture, in colour; its blur may differ from place to place, and _kernel.png shows the kernel
    of each cell. An estimate of time and memory is printed first; a run that cannot fit in memory raises DeblurError.
    Warns of noise and saturation.

    path: a JPEG, PNG or TIFF picture; kernel_size: odd, in pixels, for "selfdeblur" alone; recipe, of the method's
    RECIPES; iterations: instead of the recipe's. Raises UsageError for an unknown method or recipe and a kernel size or
    picture that cannot be used, DeblurError where files cannot be read or written.
    """
    path, output = Path(path), Path(output)
    if method not in NAMES:
        raise UsageError(f"There is no method '{method}': choose one of {', '.join(NAMES)}.")
    if method == "selfdeblur" and kernel_size is None:
        raise UsageError("SelfDeblur has to know how large the blur may be: pass --kernel-size.")
    if method == "kernel_space" and (whole or kernel_size is not None):
        raise UsageError("--kernel-size and --whole are for selfdeblur alone: leave them out with kernel_space.")
    blurry = data.read_image(path)
    luma = large_picture.luma_of(blurry)
    if method == "selfdeblur":
        chosen, model = selfdeblur.recipe(recipe), None
        selfdeblur.check_input(luma, kernel_size)
    else:
        chosen, model = kernel_space.recipe(recipe), trainings.compact_kernel_space()
        blurry = blurry.expand(1, 3, -1, -1)
        kernel_space.check_input(model, blurry)
    if iterations is not None:
        if iterations < 1:
            raise UsageError(f"At least one iteration is needed, not {iterations}.")
        chosen = replace(chosen, iterations=iterations)
    try:  # before minutes of work, not after
        output.mkdir(parents=True, exist_ok=True)
        TemporaryFile(dir=output).close()
    except OSError as error:
        raise DeblurError(f"Cannot write to {output} ({error.strerror}): choose another folder with -o.") from error
    if luma.std() < 1 / 255:
        raise UsageError(f"{path.name} is of one grey all over: without an edge, nothing tells its blur.")
    nonblind.warn_of_noise(luma, stacklevel=3)

    def draw(part: Tensor, *arguments: Any, estimate: tuple[float, int], run: Callable[..., Any]) -> Any:
        _announce(method, part, estimate, device)
        total = chosen.iterations + getattr(chosen, "warm_up", 0)
        with nonblind.without_warning("noisy"), tqdm(total=total, unit="iteration", disable=None) as bar:

            def progress(step: int, total: int, **info: Any) -> None:
                bar.set_postfix({name: f"{value:.4g}" for name, value in info.items()}, refresh=False)
                bar.update(step - bar.n)

            return run(*arguments, chosen, seed=seed, device=device, progress=progress)

    if model is not None:
        nonblind.warn_of_saturation(luma, stacklevel=3)
        estimate = kernel_space.estimate_cost(model, chosen, tuple(blurry.shape[-2:]), device)
        found = draw(blurry, model, blurry, estimate=estimate, run=kernel_space.deblur)
        return _write(output, path.stem, blurry, found.x, _side_by_side(model.decode(found.k)[0]))

    def solve(window: Tensor) -> tuple[Tensor, Tensor]:
        seconds, memory = selfdeblur.estimate_cost(chosen, tuple(window.shape[-2:]), kernel_size, device)
        estimate = seconds, max(memory, 110 * luma.numel())  # measured, of the deconvolution of the whole picture
        found = draw(window, window, kernel_size, estimate=estimate, run=selfdeblur.deblur)
        return found.x, found.k

    sharp, k = large_picture.deblur(blurry, solve, None if whole else max(255, 6 * kernel_size), device=device)
    return _write(output, path.stem, blurry, sharp, k)


def _announce(method: str, picture: Tensor, estimate: tuple[float, int], device: str) -> None:
    (height, width), (seconds, memory) = picture.shape[-2:], estimate
    there = total_memory(device)
    time = f"{seconds / 60:.0f} minutes" if seconds > 100 else f"{max(1, seconds):.0f} s"
    cost = f"about {time} and {max(0.1, memory / 2**30):.1f} GiB"
    print(f"{NAMES[method]} on {width} x {height} pixels on {device}: {cost}.", flush=True)
    if there is not None and memory > there:
        raise DeblurError(f"This picture needs {cost}, which is not there: make it smaller, or cut out a part.")


def _side_by_side(kernels: Tensor) -> Tensor:
    """(rows, columns, h, w) -> (1, rows · h, columns · w)."""
    return kernels.movedim(2, 1).flatten(2).flatten(0, 1)[None]


def _no_finer_than_shown(image: Tensor) -> Tensor:
    """The picture (1, c, h, w), averaged to about the 900 pixels that half of the figure is wide."""
    factor = max(1, min(image.shape[-1] // 900, image.shape[-2]))
    return F.avg_pool2d(image, factor) if factor > 1 else image


def _write(folder: Path, stem: str, blurry: Tensor, sharp: Tensor, k: Tensor) -> list[Path]:
    names = ("deblurred", "kernel", "before_after")
    deblurred, kernel, before_after = paths = [folder / f"{stem}_{name}.png" for name in names]
    data.write_image(deblurred, sharp)
    data.write_image(kernel, (k / k.max())[None])
    height, width = blurry.shape[-2:]
    figure, axes = style.subplots(1, 2, width=6, height=6 * height / width + 0.3)
    titles = ("blurry", "deblurred, and the blur found")
    for axis, image, title in zip(axes[0], (blurry, sharp), titles, strict=True):
        style.show_image(axis, _no_finer_than_shown(image)[0].permute(1, 2, 0).squeeze(-1), title)
    style.show_image(axes[0, 1].inset_axes((0.01, 0.74, 0.25, 0.25)), k[0], maximum=None)
    Figure(before_after.stem, figure, "").save(before_after)
    return paths
