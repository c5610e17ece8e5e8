"""Speed of sampling by predict and refine, beside a plain loop in float32."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch

from deblur_core.models.diffusion import Schedule, linear_schedule, remove_noise
from deblur_core.models.refinement import Refinement, preset
from deblur_core.randomness import own_randomness
from deblur_core.solvers.acceleration import usual
from deblur_core.solvers.refinement import refine
from deblur_core.timing import in_turn

CASES = (("small", 64, 8), ("small", 128, 8), ("small", 256, 8), ("paper", 128, 4))
"""(preset, side in pixels, samples). More steps cost in proportion."""
STEPS = (5, 10)
"""The difference of two runs is the cost of the steps alone."""


def rows(
    device: str = "cpu", cases: tuple[tuple[str, int, int], ...] = CASES, repeats: int = 3
) -> list[dict[str, Any]]:
    """Median time of a run of each length, all in turn, and how many times a step beats that of the plain loop."""
    table = []
    for name, pixels, samples in cases:
        with own_randomness():
            model = Refinement(preset(name)).to(device).eval()
        y = torch.rand(1, 3, pixels, pixels, device=device)
        variants: dict[str, Callable[[Schedule], Any]] = {
            "plain loop, float32": partial(plain, model, y, samples),
            "float32": partial(refine, model, y, seeds=range(samples), device=device, precision="float32"),
            usual(device): partial(refine, model, y, seeds=range(samples), device=device),
        }
        runs = {
            (variant, steps): partial(run, schedule=linear_schedule(steps, 0.95))
            for variant, run in variants.items()
            for steps in STEPS
        }
        median = in_turn(runs, device, repeats)
        short, long = STEPS
        a_step = {variant: (median[variant, long] - median[variant, short]) / (long - short) for variant in variants}
        table += [
            {
                "operation": f"refinement, {name} networks, {samples} samples of {pixels} px",
                "variant": variant,
                "device": device,
                "milliseconds a step": round(1e3 * a_step[variant], 2),
                f"{long} steps": round(1e3 * median[variant, long], 1),
                "a step": f"{a_step['plain loop, float32'] / a_step[variant]:.1f} x",
            }
            for variant in variants
        ]
    return table


@torch.no_grad()
def plain(model: Refinement, y: torch.Tensor, samples: int, schedule: Schedule) -> torch.Tensor:
    """What one would write first: Algorithm 1 line by line, channels first."""
    y = y.expand(samples, -1, -1, -1)
    initial = model.predict(y[:1])
    z = torch.randn_like(y)
    for t in range(schedule.steps, 0, -1):
        alpha_bar = torch.full((samples,), schedule.alpha_bars[t].item(), device=y.device)
        clean = remove_noise(z, alpha_bar[:, None, None, None], model.estimate_noise(z, alpha_bar, y))
        clean = clean.clamp(model.residual(0.0, initial), model.residual(1.0, initial))
        mean, variance = schedule.posterior(z, clean, t)
        z = mean + variance**0.5 * torch.randn_like(z)
    return model.picture(z, initial).clamp(0, 1).cpu()
