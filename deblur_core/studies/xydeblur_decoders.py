"""How many decoders are enough? (XYDeblur, Figure 5; claim C4.6)

Networks with one to four decoders, rotated copies of one or with weights of their own, and single decoders made wider
or deeper until they cost what two do. All are trained alike; seeds decide crops, kernels and initial weights.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np
import torch
from torch import nn

from deblur_core import weights
from deblur_core.data.training_pairs import Blur
from deblur_core.models.counting import count_macs, peak_memory
from deblur_core.models.xydeblur import XYDeblur
from deblur_core.runs import Context, Job, Result, task
from deblur_core.studies import learning
from deblur_core.studies.claims import Comparison, Evidence, paired
from deblur_core.studies.learning import Pictures
from deblur_core.studies.study import Figure, Study, Table, of_task, with_interval
from deblur_core.studies.style import PALETTE, show_image, subplots
from deblur_core.training import Settings, seeded
from deblur_core.trainings import absolute_error

SINGLE, WIDER, DEEPER = "1 decoder", "1 decoder, wider", "1 decoder, deeper"
ROTATED = (SINGLE, "2 rotated", "3 rotated", "4 rotated")
SHIPPED = {"xydeblur_unet": SINGLE, "xydeblur": "2 rotated"}
"""Weights that come with the project."""
PAPER_WIDTH = 32
SEPARATE = (SINGLE, "2 separate", "3 separate", "4 separate")


@dataclass(frozen=True)
class Profile:
    """wider and deeper: width and blocks with which a single decoder costs nearly as many multiply-adds as two;
    shipped: whether the weights that come with the project are judged, too; colour_seeds: more seeds of two separate
    decoders that start as the paper's, whose colours `xydeblur_rotation` looks at."""

    width: int
    blocks: int
    wider: int
    deeper: int
    pictures: Pictures
    settings: Settings
    seeds: tuple[int, ...]
    separate: tuple[int, ...] = (2,)
    shipped: bool = True
    colour_seeds: tuple[int, ...] = ()


# Shakes too: motion along x and y alone might flatter decoders that differ by a quarter turn.
_MIXED = Blur(size=9, kinds=("shake", "x", "y"), shortest=6.0)
_PHOTOGRAPHS = Pictures(("builtin", "CBSD68"), ("Kodak24",), crop=128, blur=_MIXED)
PROFILES = {
    "smoke": Profile(
        4, 1, 5, 2, Pictures(crop=48), Settings(steps=3, batch=2, crop=32, precision="float32", validate_every=2), (0,)
    ),
    "laptop": Profile(
        8, 1, 10, 2, Pictures(crop=128),
        Settings(steps=500, batch=4, crop=48, learning_rate=3e-3, warm_up=20, clip=1.0, average=0.99,
                 precision="float32", validate_every=100),
        (0,),
    ),
    "overnight": Profile(
        16, 2, 20, 3, _PHOTOGRAPHS,
        Settings(steps=2500, batch=8, crop=48, learning_rate=1e-3, warm_up=100, clip=1.0, validate_every=1250),
        (0, 1, 2), colour_seeds=(3, 4, 5, 6, 7),
    ),
    "paper": Profile(
        32, 6, 39, 9, replace(_PHOTOGRAPHS, crop=256, blur=Blur()),
        Settings(steps=40_000, batch=8, crop=128, learning_rate=3e-4, warm_up=500, clip=1.0, validate_every=5000),
        (0, 1, 2), separate=(2, 3, 4), shipped=False,
    ),
}  # fmt: skip


def networks(profile: Profile) -> list[dict[str, Any]]:
    """As `learning.build` takes them."""
    plain = {"name": "xydeblur", "decoders": 1, "shared": True, "width": profile.width, "blocks": profile.blocks}
    rotated = [{**plain, "decoders": number} for number in (1, 2, 3, 4)]
    separate = [{**plain, "decoders": number, "shared": False} for number in profile.separate]
    return [*rotated, *separate, {**plain, "width": profile.wider}, {**plain, "blocks": profile.deeper}]


def jobs(profile: Profile) -> list[Job]:
    settings = profile.settings
    measured = Job.create(costs, networks=networks(profile), batch=settings.batch, crop=settings.crop)
    there = [model for model in SHIPPED if profile.shipped and model in weights.names()]
    shipped = [learning.shipped_job(model, profile.pictures) for model in there]
    return [measured, *shipped, *(
        learning.learn_job(network, profile.pictures, settings, seed)
        for seed in profile.seeds
        for network in networks(profile)
    )]  # fmt: skip


# What a network costs


@task()
def costs(
    context: Context, *, networks: list[dict[str, Any]], batch: int, crop: int, repeats: int = 5
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Of one training step of each of `networks`: `bytes` at the peak for one picture of 256 x 256 px, `seconds` for a
    batch of crops.

    Time is the median over turns in which every network takes one step, and the only number here that is not the same
    twice. On a CPU it is processor time.
    """
    y = torch.rand(batch, 3, crop, crop, generator=torch.Generator().manual_seed(0)).to(context.device)
    made = [seeded(lambda network=network: learning.build(network), 0).to(context.device) for network in networks]
    clock = time.perf_counter if y.is_cuda else time.process_time

    def seconds(network: nn.Module) -> float:
        started = clock()
        absolute_error(network, (y, y), torch.Generator()).backward()
        if y.is_cuda:
            torch.cuda.synchronize(y.device)
        return clock() - started

    turns = [[seconds(network) for network in made] for _ in range(1 + repeats)][1:]  # the first one allocates
    picture = torch.empty(1, 3, 256, 256, device="meta")
    return {
        "bytes": [peak_memory(network.to("meta"), picture) for network in made],
        "seconds": [statistics.median(times) for times in zip(*turns, strict=True)],
    }, {}


@cache
def multiply_adds(decoders: int, width: int, blocks: int) -> int:
    """Of one picture of 1280 x 720 px, as in the paper; shared or separate weights make no difference."""
    y = torch.empty(1, 3, 720, 1280, device="meta")
    return count_macs(XYDeblur(decoders, shared=False, width=width, blocks=blocks), y)


# Results


def arms(results: list[Result]) -> dict[str, list[Result]]:
    """Training runs by network, in the order of their jobs."""
    runs = of_task(results, learning.learn)
    smallest = {size: min((run.job.settings["network"][size] for run in runs), default=0) for size in _SIZES}
    found: dict[str, list[Result]] = {}
    for run in runs:
        found.setdefault(_arm(run.job.settings["network"], smallest), []).append(run)
    return found


_SIZES = ("width", "blocks")


def _arm(network: dict[str, Any], smallest: dict[str, int]) -> str:
    if network["decoders"] > 1:
        return f"{network['decoders']} {'rotated' if network['shared'] else 'separate'}"
    if network["width"] > smallest["width"]:
        return WIDER
    return DEEPER if network["blocks"] > smallest["blocks"] else SINGLE


def shipped(results: list[Result]) -> dict[str, Result]:
    """Scores of the weights that come with the project, by the names that `arms` gives."""
    judged = {run.job.settings["model"]: run for run in of_task(results, learning.shipped)}
    return {name: judged[model] for model, name in SHIPPED.items() if model in judged}


def measured_costs(results: list[Result]) -> dict[str, dict[str, float]]:
    """`bytes` and `seconds` of every network in units of the single decoder's, by the names that `arms` gives."""
    found = {}
    for result in of_task(results, costs):
        made = result.job.settings["networks"]
        smallest = {size: min(network[size] for network in made) for size in _SIZES}
        names = [_arm(network, smallest) for network in made]
        values = {key: np.divide(result.values[key], result.values[key][names.index(SINGLE)])
                  for key in ("bytes", "seconds")}  # fmt: skip
        found = {name: {key: float(values[key][i]) for key in values} for i, name in enumerate(names)}
    return found


def mean_gain(runs: list[Result]) -> float:
    """PSNR above the blurry picture's, in dB."""
    return float(np.mean([learning.gain(run) for run in runs]))


def cost_of(runs: list[Result]) -> int:
    network = runs[0].job.settings["network"]
    return multiply_adds(network["decoders"], network["width"], network["blocks"])


def tables(results: list[Result]) -> list[Table]:
    found, measured = arms(results), measured_costs(results)
    if not found:
        return []
    rows = []
    for name, runs in found.items():
        against = needed = None
        comparison = learning.compare(name, runs, found.get(SINGLE, ())) if name != SINGLE else None
        if comparison:
            against = with_interval(comparison, 3)
            open_or_not = "cannot be said" if comparison.low <= 0 <= comparison.high else "settled"
            needed = learning.more_needed(learning.differences(runs, found[SINGLE])) or open_or_not
        rows.append((
            name, f"{runs[0].values['parameters']:,}", f"{cost_of(runs) / 1e9:.1f}",
            f"{measured[name]['bytes']:.2f}" if name in measured else None,
            f"{mean_gain(runs):+.3f}", against, needed,
        ))  # fmt: skip
    columns = ("network", "parameters", "GMACs at 1280x720", "memory of a step", "PSNR above the blurry (dB)")
    columns += ("above 1 decoder (dB)", "needed")
    times = ", ".join(f"{cost['seconds']:.1f} times for {name}" for name, cost in measured.items() if name != SINGLE)
    caption = (
        f"Equal steps, batches and learning rates; seeds and held-out pictures in common. {_said_of(found)} Memory: "
        "at the peak of a training step, 256 x 256 px, in units of the first row. In brackets the 95 % interval over "
        "pictures or over seeds, whichever is wider; one seed has none. Needed: how many seeds or pictures would set a "
        "network apart from the first row, by the effect and scatter seen here; settled: zero is outside the interval."
        + (f" Time of a step, measured: {times}." if times else "")
        + (f" {said}." if (said := learning.unlearned(found)) else "")
    )
    return [Table("Number of decoders", columns, rows, caption), *_shipped_table(results)]


def _shipped_table(results: list[Result]) -> list[Table]:
    found, comparison = shipped(results), pair_shipped(results)
    if not found:
        return []
    rows = [
        (name, f"{run.values['parameters']:,}", f"{np.mean(run.values['blurry']):.2f}",
         f"{np.mean(run.values['psnr']):.2f}", f"{learning.gain(run):+.2f}",
         with_interval(comparison) if comparison and name != SINGLE else None)
        for name, run in found.items()
    ]  # fmt: skip
    run = next(iter(found.values()))
    blur = learning.read_pictures(run.job.settings["pictures"]).blur
    caption = (
        f"One network each, on {len(run.values['names'])} held-out pictures with the blur that they were trained on: "
        f"shakes of up to {blur.size} px and motion of {blur.shortest:.0f} to {blur.size - 1} px along x or y. In "
        f"brackets the 95 % interval over pictures; one training each: no interval over seeds.{_longer(results)}"
    )
    columns = ("network", "parameters", "PSNR of the blurry (dB)", "restored (dB)", "gain (dB)", "above 1 decoder (dB)")
    return [Table("Weights that come with the project", columns, rows, caption)]


def pair_shipped(results: list[Result]) -> Comparison | None:
    """How much better the pair of the weights that come with the project is than the single decoder, over pictures."""
    runs = shipped(results)
    if len(runs) < len(SHIPPED):
        return None
    one, two = (runs[name].values for name in SHIPPED.values())
    pictures = [name.rpartition(", ")[0] for name in two["names"]]
    return paired("PSNR, 2 − 1 decoders", two["psnr"], one["psnr"], pictures, "dB", "pictures")


def _longer(results: list[Result]) -> str:
    """What longer training has changed, where it has: both numbers of steps, and where the pair then stands."""
    found = arms(results)
    here = learning.compare("", found.get("2 rotated", ()), found.get(SINGLE, ()))
    there = pair_shipped(results)
    if here is None or there is None or _place(here) == _place(there):
        return ""
    short = found[SINGLE][0].job.settings["settings"]["steps"]
    steps = {weights.card(model)["recipe"]["steps"] for model in SHIPPED}
    return (
        f" After {' or '.join(f'{number:,}' for number in sorted(steps))} steps, on other blur and crops, the pair is "
        f"{_place(there)} on these pictures; after the {short:,} of the first table it is {_place(here)}. One training "
        "each decides nothing, but it shows why curves come before order."
    )


def _place(comparison: Comparison) -> str:
    if comparison.low <= 0 <= comparison.high:
        return "neither ahead nor behind, for all that is known"
    return "ahead" if comparison.effect > 0 else "behind"


def _said_of(found: dict[str, list[Result]]) -> str:
    run = next(iter(found.values()))[0]
    settings, places = run.job.settings["settings"], run.values["names"]
    return f"{settings['steps']:,} steps; {len(places)} blurry pictures held out."


def figures(results: list[Result]) -> list[Figure]:
    found = arms(results)
    if not found:
        return []
    short = {name: runs[0] for name, runs in found.items() if name in (SINGLE, "2 rotated", "4 rotated")}
    caption = "Held-out pictures, restored: look at the fur and at the rim of the cup."
    longer = "The same by the weights that come with the project, which saw longer training and more kinds of blur."
    return [
        *([_decoders(found)] if SINGLE in found else []),
        *_curves(found),
        *_pictures("pictures", short, caption),
        *_pictures("shipped", shipped(results), longer),
    ]


def _decoders(found: dict[str, list[Result]]) -> Figure:
    """Figure 5: the area of a circle is the number of multiply-adds."""
    figure, ((axes,),) = subplots(width=5.2, height=3.4)
    unit = cost_of(found[SINGLE])

    def circle(name: str, number: float, color: str, label: str = "") -> None:
        axes.scatter(number, mean_gain(found[name]), 160 * cost_of(found[name]) / unit, color=color, alpha=0.6,
                     label=label, linewidths=0)  # fmt: skip
        gains = [learning.gain(run) for run in found[name]]
        if len(gains) > 1:
            axes.plot([number] * len(gains), gains, "_", color=color, markersize=9)

    for family, color, shift in ((ROTATED, PALETTE[0], 0.0), (SEPARATE, PALETTE[1], 0.07)):
        present = [(i + shift * (i > 1), name) for i, name in enumerate(family, 1) if name in found]
        axes.plot([i for i, _ in present], [mean_gain(found[name]) for _, name in present], color=color,
                  label=f"{family[1].partition(' ')[2]} weights")  # fmt: skip
        for i, name in present:
            circle(name, i, PALETTE[6] if name == SINGLE else color)
    for name, color, place in ((WIDER, PALETTE[2], 0.75), (DEEPER, PALETTE[4], 1.25)):
        if name in found:
            circle(name, place, color, name)
    axes.set(xlabel="number of decoders", ylabel="PSNR above the blurry picture (dB)", xticks=(1, 2, 3, 4),
             xlim=(0.4, 4.6))  # fmt: skip
    axes.margins(y=0.2)
    legend = axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
    for handle in legend.legend_handles:
        if hasattr(handle, "set_sizes"):
            handle.set_sizes([40])
    caption = (
        "The area of a circle is the number of multiply-adds. Where does the curve bend? Compare the scatter of seeds "
        "(dashes, where there are several) with what a decoder adds, and two decoders with one that costs the same."
    )
    return Figure("decoders", figure, caption)


def _curves(found: dict[str, list[Result]]) -> list[Figure]:
    """None where networks were validated so seldom that a curve cannot show whether they still learn."""
    if min(len(run.values["curve"]) for runs in found.values() for run in runs) < 3:
        return []
    figure, ((axes,),) = subplots(width=5.2, height=3.0)
    for (name, runs), color in zip(found.items(), PALETTE * 2, strict=False):
        steps = [row["step"] for row in runs[0].values["curve"]]
        gains = np.mean(
            [[row["psnr"] for row in run.values["curve"]] - np.mean(run.values["blurry"]) for run in runs], 0
        )
        axes.plot(steps, gains, color=color, label=name, linestyle="--" if "separate" in name else "-")
    axes.axhline(0, color="0.5", linewidth=0.8)
    axes.set(xlabel="training step", ylabel="PSNR above the blurry picture (dB)")
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
    caption = "Held-out pictures, while the networks learn. A curve that still rises has not had its last word."
    return [Figure("curves", figure, caption)]


def _pictures(figure_name: str, shown: dict[str, Result], caption: str) -> list[Figure]:
    """Of the built-in pictures alone, where the runs have their arrays."""
    if not shown or not all(run.arrays for run in shown.values()):
        return []
    pictures = learning.read_pictures(next(iter(shown.values())).job.settings["pictures"])
    if pictures.held_out != ("held out",):
        return []
    names, pairs = learning.held_out(pictures)
    blurry, sharp = (learning.to_bytes([pair[i] for pair in pairs]) for i in (0, 1))
    rows = (names.index("chelsea, x"), names.index("coffee, y"))
    figure, panels = subplots(len(rows), len(shown) + 2, width=1.8, height=1.9)
    for i, row in zip(rows, panels, strict=True):
        columns = [(f"blurred along {names[i][-1]}", blurry)]
        for name, run in shown.items():
            gain = run.values["psnr"][i] - run.values["blurry"][i]
            columns.append((f"{name}\n{gain:+.2f} dB", run.arrays["restored"]))
        for axes, (title, stack) in zip(row, [*columns, ("sharp", sharp)], strict=True):
            show_image(axes, stack[i].transpose(1, 2, 0), title, maximum=255)
    return [Figure(figure_name, figure, caption)]


def evidence(results: list[Result]) -> dict[str, Evidence]:
    """Two are enough: the second decoder helps, and more than the third does, or the third and fourth together."""
    found = arms(results)
    if not all(name in found for name in ROTATED):
        return {}
    one, two, three, four = (learning.scores(found[name]) for name in ROTATED)
    common = sorted(one.keys() & two.keys() & three.keys() & four.keys())
    if not common:
        return {}

    def bend(more: dict[tuple[int, str], float]) -> dict[tuple[int, str], float]:
        return {place: (two[place] - one[place]) - (more[place] - two[place]) for place in common}

    effects = {
        "PSNR, 2 − 1 decoders": learning.differences(found["2 rotated"], found[SINGLE]),
        "gain of the 2nd − gain of the 3rd": bend(three),
        "gain of the 2nd − gain of the 3rd and 4th": bend(four),
    }
    comparisons = tuple(learning.over_seeds_and_pictures(name, effect, "dB") for name, effect in effects.items())
    ours = " / ".join(f"{mean_gain(found[name]):+.3f}" for name in ROTATED) + " dB above the blurry, 1 to 4 rotated"
    for name, effect in effects.items():
        if needed := learning.more_needed(effect):
            ours += f"; {name} would need {needed}"
    return {"C4.6": Evidence(comparisons, ours=ours, reduced=smaller(found[SINGLE][0].job.settings))}


def smaller(settings: Mapping[str, Any]) -> str:
    """How far a training, by its settings, falls short of the paper's; empty at its size."""
    width, steps = settings["network"]["width"], settings["settings"]["steps"]
    return f"networks of {width} channels, not {PAPER_WIDTH}, after {steps:,} steps" if width < PAPER_WIDTH else ""


STUDY = Study(
    "xydeblur_decoders", "Number of decoders (XYDeblur, Figure 5)", "xydeblur", "08_xydeblur_decoders", PROFILES,
    jobs, tables, figures, evidence, claims=("C4.6",),
)  # fmt: skip
