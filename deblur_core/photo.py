"""Deblur one photograph of one's own: luma by SelfDeblur, colour as it was."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from deblur_core import data
from deblur_core.doctor import total_memory
from deblur_core.errors import DeblurError, UsageError
from deblur_core.solvers import large_picture, nonblind, selfdeblur
from deblur_core.studies import Figure, style


def deblur_photo(
    path: Path,
    kernel_size: int,
    output: Path,
    *,
    recipe: str = "quick",
    iterations: int | None = None,
    seed: int = 0,
    whole: bool = False,
    device: str = "cpu",
) -> list[Path]:
    """Write <stem>_deblurred.png, _kernel.png and _before_after.png to `output`; returns their paths.

    Only luma is deblurred and the blurry picture's chroma is used again, as by Ren et al. (CVPR 2020). Their method
    draws the whole picture (`whole`), for minutes per 255 x 255 pixels; otherwise SelfDeblur sees only the window with
    the strongest edges, where it finds the kernel, with which all of a larger picture is then deconvolved in seconds.
    An estimate of time and memory is printed first; a run that cannot fit in memory raises DeblurError. Warns of noise
    and saturation.
    """
    blurry = data.read_image(path)
    chosen = selfdeblur.recipe(recipe)
    if iterations is not None:
        if iterations < 1:
            raise UsageError(f"At least one iteration is needed, not {iterations}.")
        chosen = replace(chosen, iterations=iterations)
    luma = large_picture.luma_of(blurry)
    selfdeblur.check_input(luma, kernel_size)
    try:  # before minutes of work, not after
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DeblurError(f"Cannot write to {output} ({error.strerror}): choose another folder with -o.") from error
    nonblind.warn_of_noise(luma, stacklevel=3)

    def solve(window: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        _announce(window, kernel_size, chosen, device)
        with nonblind.without_warning("noisy"), tqdm(total=chosen.iterations, unit="iteration") as bar:

            def progress(step: int, total: int, **info: Any) -> None:
                bar.set_postfix({name: f"{value:.4g}" for name, value in info.items()}, refresh=False)
                bar.update(step - bar.n)

            found = selfdeblur.deblur(window, kernel_size, chosen, seed=seed, device=device, progress=progress)
        return found.x, found.k

    sharp, k = large_picture.deblur(blurry, solve, None if whole else max(255, 6 * kernel_size))
    return _write(output, path.stem, blurry, sharp, k)


def _announce(luma: torch.Tensor, kernel_size: int, recipe: selfdeblur.Recipe, device: str) -> None:
    height, width = luma.shape[-2:]
    seconds, memory = selfdeblur.estimate_cost(recipe, (height, width), kernel_size, device)
    there = total_memory(device)
    cost = f"about {seconds / 60:.1f} minutes and {memory / 2**30:.1f} GiB"
    print(f"SelfDeblur on {width} x {height} pixels on {device}: {cost}.", flush=True)
    if there is not None and memory > there:
        raise DeblurError(f"This picture needs {cost}, which is not there: make it smaller, or cut out a part.")


def _write(folder: Path, stem: str, blurry: torch.Tensor, sharp: torch.Tensor, k: torch.Tensor) -> list[Path]:
    names = ("deblurred", "kernel", "before_after")
    deblurred, kernel, before_after = paths = [folder / f"{stem}_{name}.png" for name in names]
    data.write_image(deblurred, sharp)
    data.write_image(kernel, (k / k.max())[None])
    height, width = blurry.shape[-2:]
    figure, axes = style.subplots(1, 2, width=6, height=6 * height / width + 0.3)
    titles = ("blurry", "deblurred, and the blur kernel found")
    for axis, image, title in zip(axes[0], (blurry, sharp), titles, strict=True):
        style.show_image(axis, image[0].permute(1, 2, 0).squeeze(-1), title)
    style.show_image(axes[0, 1].inset_axes((0.01, 0.74, 0.25, 0.25)), k[0], maximum=None)
    Figure(before_after.stem, figure, "").save(before_after)
    return paths
