"""XYDeblur's pair of rotated decoders as a plug-in for PSS-NSC, DMPHN and MSCNN (Table 2; claims C4.1 to C4.3).

What the four forms of each network cost is counted at the paper's sizes, without computing anything. What they gain is
measured on reduced networks that are trained alike, on pictures blurred here, not on GoPro and RealBlur.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from deblur_core.data.training_pairs import Blur
from deblur_core.models.backbones import FORMS, NETWORKS, TABLE_2
from deblur_core.models.counting import count_macs, count_macs_as_ptflops, count_parameters, peak_memory
from deblur_core.runs import Context, Job, Result, task
from deblur_core.studies import learning
from deblur_core.studies.claims import Comparison, Evidence
from deblur_core.studies.learning import Pictures, compare, gain, held_out, learn, learn_job, read_pictures, to_bytes
from deblur_core.studies.study import Figure, Study, Table, of_task, with_interval
from deblur_core.studies.style import PALETTE, show_image, subplots
from deblur_core.training import Settings

PAPER = {
    "PSS-NSC": {
        "baseline": (30.94, 28.78, 3.79, 0.9494, 0.8716), "channel": (31.06, 28.63, 5.97, 0.9509, 0.8667),
        "layer": (31.18, 28.78, 5.55, 0.9524, 0.8721), "ours": (31.27, 28.88, 5.68, 0.9531, 0.8765),
    },
    "DMPHN": {
        "baseline": (30.28, 26.97, 1.62, 0.9408, 0.8170), "channel": (30.23, 26.86, 2.52, 0.9414, 0.8201),
        "layer": (30.48, 27.78, 2.30, 0.9443, 0.8366), "ours": (30.63, 28.02, 2.41, 0.9458, 0.8459),
    },
    "MSCNN": {
        "baseline": (29.22, 27.91, 3.21, 0.9273, 0.8442), "channel": (29.34, 27.92, 4.84, 0.9292, 0.8432),
        "layer": (28.97, 27.92, 4.71, 0.9250, 0.8449), "ours": (29.98, 28.19, 4.78, 0.9382, 0.8550),
    },
}  # fmt: skip
"""The rest of Table 2: PSNR on GoPro and on RealBlur in dB, GPU memory in GB for 256 x 256 pixels, SSIM on
GoPro and on RealBlur."""
KINDS = {"shake": "shake", "x": "motion along x", "y": "motion along y"}
ABOUT_HALF = (1.4, 1.6)
"""What "about half as much again" allows."""


@dataclass(frozen=True)
class Profile:
    """sizes: width and blocks, as in `models.backbones`, of the networks that are trained."""

    sizes: Mapping[str, tuple[int, int]]
    forms: tuple[str, ...]
    seeds: tuple[int, ...]
    pictures: Pictures
    settings: Settings


# Shakes too: motion along x and y alone might flatter decoders that differ by a quarter turn.
_PHOTOGRAPHS = {"sources": ("builtin", "CBSD68"), "held_out": ("Kodak24",)}
_SHAKES = Blur(size=9, kinds=("shake", "x", "y"), count=1024, shortest=6.0)

PROFILES = {
    "smoke": Profile(
        {"MSCNN": (4, 2)}, ("baseline", "ours"), (0,), Pictures(crop=48),
        Settings(steps=4, batch=2, crop=32, precision="float32"),
    ),
    "laptop": Profile(
        {"MSCNN": (8, 4)}, ("baseline", "ours"), (0,), Pictures(crop=96),
        Settings(steps=600, batch=4, crop=48, learning_rate=2e-3, warm_up=20, clip=1.0, precision="float32",
                 validate_every=100),
    ),
    "overnight": Profile(
        {"PSS-NSC": (8, 2), "DMPHN": (6, 2), "MSCNN": (8, 4)}, FORMS, (0, 1, 2),
        Pictures(**_PHOTOGRAPHS, crop=128, blur=_SHAKES),
        Settings(steps=1500, batch=4, crop=48, learning_rate=2e-3, warm_up=100, clip=1.0, precision="float32",
                 validate_every=750),
    ),
    "paper": Profile(
        {"PSS-NSC": (32, 8), "DMPHN": (32, 2), "MSCNN": (64, 19)}, FORMS, (0, 1, 2),
        Pictures(**_PHOTOGRAPHS, blur=Blur()),
        Settings(steps=100_000, batch=8, crop=256, learning_rate=1e-4, warm_up=1000, clip=1.0, validate_every=10_000),
    ),
}  # fmt: skip


def jobs(profile: Profile) -> list[Job]:
    costs = [Job.create(cost, network=network, form=form) for network in NETWORKS for form in FORMS]
    return costs + [
        learn_job(
            {"name": network, "form": form, "width": width, "blocks": blocks}, profile.pictures, profile.settings, seed
        )
        for network, (width, blocks) in profile.sizes.items()
        for seed in profile.seeds
        for form in profile.forms
    ]


@task(numerics=1)
def cost(context: Context, *, network: str, form: str) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Of one form at the paper's size: parameters; multiply-adds at 1280 x 720, in the convention of ptflops and each
    counted once; bytes held by tensors at the peak of a training step and of a restoration, 256 x 256 pixels."""
    with torch.device("meta"):
        made = NETWORKS[network](form)
        large, small = torch.empty(1, 3, 720, 1280), torch.empty(1, 3, 256, 256)
    values = {
        "parameters": count_parameters(made),
        "macs_as_ptflops": count_macs_as_ptflops(made, large),
        "macs": count_macs(made, large),
        "training_bytes": peak_memory(made, small),
        "restoring_bytes": peak_memory(made, small, training=False),
    }
    return values, {}


# Results


def costs(results: Sequence[Result]) -> dict[str, dict[str, dict[str, int]]]:
    """What was counted, by network and form; networks of which all forms are there."""
    found: dict[str, dict[str, dict[str, int]]] = {}
    for result in of_task(results, cost):
        found.setdefault(result.job.settings["network"], {})[result.job.settings["form"]] = result.values
    return {network: forms for network, forms in found.items() if len(forms) == len(FORMS)}


def trained(results: Sequence[Result]) -> dict[str, dict[str, list[Result]]]:
    """Training runs by network and form, in the order of their seeds."""
    found: dict[str, dict[str, list[Result]]] = {}
    for result in of_task(results, learn):
        network = result.job.settings["network"]
        found.setdefault(network["name"], {}).setdefault(network["form"], []).append(result)
    return found


def by_form(results: Sequence[Result]) -> dict[str, list[Result]]:
    """Training runs by network and form in one: "DMPHN channel"."""
    return {f"{network} {form}": runs
            for network, forms in trained(results).items() for form, runs in forms.items()}  # fmt: skip


def times(forms: Mapping[str, Mapping[str, int]], value: str) -> dict[str, float]:
    """How many times the baseline's `value` each form has."""
    return {form: values[value] / forms["baseline"][value] for form, values in forms.items()}


def paper_times(network: str, value: str) -> dict[str, float]:
    """The same of the paper's numbers: "parameters", "macs_as_ptflops" or "training_bytes"."""
    if value == "training_bytes":
        numbers = {form: row[2] for form, row in PAPER[network].items()}
    else:
        numbers = {form: row[value != "parameters"] for form, row in TABLE_2[network].items()}
    return {form: number / numbers["baseline"] for form, number in numbers.items()}


def compared(forms: Mapping[str, list[Result]], network: str, form: str, rival: str) -> Comparison | None:
    """form against rival, in dB; None where they have no seed in common."""
    return compare(f"PSNR of {network}, {form} against {rival}", forms.get(form, ()), forms.get(rival, ()))


# Tables


def tables(results: list[Result]) -> list[Table]:
    return [*_cost_table(results), *_gain_table(results)]


def _cost_table(results: list[Result]) -> Iterator[Table]:
    rows: list[tuple[object, ...]] = []
    for network, forms in costs(results).items():
        training, restoring = times(forms, "training_bytes"), times(forms, "restoring_bytes")
        for form, values in forms.items():
            parameters, gmacs = TABLE_2[network][form]
            memory = PAPER[network][form][2]
            rows.append((
                network, form, f"{parameters:.2f}", f"{values['parameters'] / 1e6:.2f}", f"{gmacs:.2f}",
                f"{values['macs_as_ptflops'] / 1e9:.2f}", f"{values['macs'] / 1e9:.2f}",
                f"{memory:.2f} (×{paper_times(network, 'training_bytes')[form]:.2f})",
                f"{values['training_bytes'] / 1e9:.2f} (×{training[form]:.2f})",
                f"{values['restoring_bytes'] / 1e9:.3f} (×{restoring[form]:.2f})",
            ))  # fmt: skip
    if rows:
        columns = ("network", "form", "million parameters, paper", "here", "GMACs, paper", "here", "each counted once")
        columns += ("memory in GB, paper", "here, training", "here, restoring")
        yield Table(
            "What the plug-in costs (Table 2)", columns, rows,
            "Parameters and multiply-adds of the paper's sizes at 1280 x 720, counted as the package ptflops does and, "
            "in the next column, each multiplication once. Memory for 256 x 256 pixels: the paper's is a GPU's, with "
            "an unknown batch; here, bytes of features and gradients at the peak, followed tensor by tensor, for one "
            "picture, weights left out. In brackets: times the baseline. The paper's ratios agree with training.",
        )  # fmt: skip


def _gain_table(results: list[Result]) -> Iterator[Table]:
    rows: list[tuple[object, ...]] = []
    for network, forms in trained(results).items():
        for form, runs in forms.items():
            paper, baseline = PAPER[network][form], PAPER[network]["baseline"]
            gopro, realblur = (f"{paper[i]:.2f} ({paper[i] - baseline[i]:+.2f}) / {paper[i + 3]:.4f}" for i in (0, 1))
            over = compared(forms, network, form, "baseline") if form != "baseline" else None
            rows.append((
                network, form, gopro, realblur, f"{runs[0].values['parameters']:,}",
                f"{np.mean([gain(run) for run in runs]):+.2f}", over and with_interval(over), len(runs),
            ))  # fmt: skip
    if rows:
        columns = ("network", "form", "paper, GoPro: PSNR (over the baseline) / SSIM", "paper, RealBlur")
        columns += ("parameters here",)
        columns += ("over the blurry picture (dB)", "over the baseline (dB)", "seeds")
        said = learning.unlearned(by_form(results))
        yield Table(
            "What the plug-in gains", columns, rows,
            f"PSNR. Here: reduced networks, {_conditions(results)}; means over held-out pictures and seeds. In "
            "brackets 95 % intervals over pictures or over seeds, whichever is wider; one seed gives none."
            f"{said and f' {said}.'}",
        )  # fmt: skip


def _conditions(results: Sequence[Result]) -> str:
    run = next(run for forms in trained(results).values() for runs in forms.values() for run in runs)
    settings, blur = run.job.settings["settings"], run.job.settings["pictures"]["blur"]
    return (
        f"{settings['steps']} steps of {settings['batch']} crops of {settings['crop']} px, blurred by "
        f"{' or '.join(KINDS[kind] for kind in dict.fromkeys(blur['kinds']))} of less than {blur['size']} px"
    )


# Figures


def figures(results: list[Result]) -> list[Figure]:
    return [*_cost_figure(results), *_gain_figure(results), *_picture_figures(results)]


def _cost_figure(results: list[Result]) -> Iterator[Figure]:
    found = costs(results)
    if not found:
        return
    panels = (
        ("parameters", "parameters"),
        ("macs_as_ptflops", "multiply-adds"),
        ("training_bytes", "memory, training"),
        ("restoring_bytes", "memory, restoring"),
    )
    figure, (row,) = subplots(1, len(panels), width=2.5, height=2.6, sharey=True)
    for axes, (value, title) in zip(row, panels, strict=True):
        for i, form in enumerate(FORMS[1:]):
            at = np.arange(len(found)) + 0.27 * (i - 1)
            ours = [times(forms, value)[form] for forms in found.values()]
            axes.bar(at, ours, 0.25, color=PALETTE[i], label=form)
            if value != "restoring_bytes":
                printed = [paper_times(network, value)[form] for network in found]
                axes.plot(at, printed, "D", color="black", markersize=3.5, label="paper" if i == 2 else None)
        axes.axhline(1, color="0.3", linewidth=1)
        axes.set_xticks(range(len(found)), list(found))
        axes.set_title(title)
        axes.grid(axis="x", visible=False)
    row[0].set_ylabel("times the baseline")
    figure.legend(*row[0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
    yield Figure(
        "costs", figure,
        "What each form costs, as many times the baseline; bars: this code, diamonds: the paper. Only ours costs no "
        "parameters. Training takes about the same memory in all three, and there they are comparable; in "
        "multiply-adds the wider one is not. To restore a picture, ours takes little more memory than the baseline.",
    )  # fmt: skip


def _gain_figure(results: list[Result]) -> Iterator[Figure]:
    found = trained(results)
    if not found:
        return
    figure, (row,) = subplots(1, len(found), width=2.6, height=2.9, sharey=True)
    for axes, (network, forms) in zip(row, found.items(), strict=True):
        present = [form for form in FORMS if form in forms]
        for i, form in enumerate(present):
            gains = [gain(run) for run in forms.get(form, ())]
            axes.plot([i - 0.25, i + 0.25], [np.mean(gains)] * 2, color=PALETTE[1])
            axes.plot([i] * len(gains), gains, "o", color=PALETTE[0], markersize=4)
        axes.axhline(0, color="0.3", linewidth=1)
        axes.set_xticks(range(len(present)), present)
        axes.set(title=network, xlim=(-0.5, len(present) - 0.5))
        axes.grid(axis="x", visible=False)
    row[0].set_ylabel("PSNR above the blurry picture (dB)")
    several = any(len(runs) > 1 for forms in found.values() for runs in forms.values())
    look = (
        "Reduced networks, each trained alike from every seed: a dot a seed, a line their mean. Look whether ours "
        "stands higher than the other forms by more than the dots scatter."
        if several
        else "Reduced networks, trained alike. One seed: no scatter to compare with."
    )
    yield Figure("gains", figure, f"{look} A dot at 0 is a network that learnt nothing.")


def _picture_figures(results: list[Result]) -> Iterator[Figure]:
    for network, forms in trained(results).items():
        runs = {form: runs[0] for form, runs in forms.items() if runs[0].arrays}
        if {"baseline", "ours"} <= runs.keys():
            above = np.subtract(runs["baseline"].values["psnr"], runs["baseline"].values["blurry"])
            yield restored(runs, network, int(np.argsort(above)[len(above) // 2]))


def restored(runs: Mapping[str, Result], network: str, index: int) -> Figure:
    """One held-out picture, blurry, by each of the runs, and sharp."""
    first = next(iter(runs.values()))
    _, pairs = held_out(read_pictures(first.job.settings["pictures"]))
    blurry, sharp = (to_bytes([picture])[0] for picture in pairs[index])
    shown = [("blurry", blurry, first.values["blurry"][index])]
    shown += [(form, run.arrays["restored"][index], run.values["psnr"][index]) for form, run in runs.items()]
    figure, (row,) = subplots(1, len(shown) + 1, width=2.1, height=2.3)
    for axes, (title, picture, psnr) in zip(row, shown, strict=False):
        show_image(axes, picture.transpose(1, 2, 0), f"{title}, {psnr:.2f} dB", maximum=255)
    show_image(row[-1], sharp.transpose(1, 2, 0), "sharp", maximum=255)
    name = first.values["names"][index]
    caption = (
        f"{network}, reduced, on a held-out picture ({name}): compare edges across the motion with the blurry ones."
    )
    return Figure(f"restored_{network.lower().replace('-', '_')}", figure, caption)


# Evidence


def evidence(results: list[Result]) -> dict[str, Evidence]:
    spoken = {}
    if len(found := costs(results)) == len(NETWORKS):
        spoken["C4.2"] = _evidence_on_costs(found)
    for claim, rivals in (("C4.1", ("baseline",)), ("C4.3", ("channel", "layer"))):
        if said := _evidence_on_gains(trained(results), rivals):
            spoken[claim] = said
    return spoken


def _evidence_on_costs(found: dict[str, dict[str, dict[str, int]]]) -> Evidence:
    """The ratios of multiply-adds to the paper's two decimals; of memory, about a half more."""
    macs, memory = (
        {network: times(forms, value)["ours"] for network, forms in found.items()}
        for value in ("macs_as_ptflops", "training_bytes")
    )
    printed = {network: paper_times(network, "macs_as_ptflops")["ours"] for network in found}
    return Evidence(
        holds=all(round(macs[n], 2) == round(printed[n], 2) for n in found)
        and all(ABOUT_HALF[0] <= ratio <= ABOUT_HALF[1] for ratio in (*macs.values(), *memory.values())),
        ours=f"GMACs {_ratios(macs)}; features and gradients at the peak of a training step {_ratios(memory)}; of "
        "layouts inferred from that table, and memory of training, which agrees with it, where restoring does not",
        reduced="the layouts were inferred from these counts",
    )


def _ratios(by_network: Mapping[str, float]) -> str:
    return ", ".join(f"{network} ×{ratio:.2f}" for network, ratio in by_network.items())


def _evidence_on_gains(found: dict[str, dict[str, list[Result]]], rivals: Sequence[str]) -> Evidence | None:
    comparisons, said, used = [], [], {}
    for network, forms in found.items():
        for rival in rivals:
            if comparison := compared(forms, network, "ours", rival):
                comparisons.append(comparison)
                pair = {f"{network} {form}": forms[form] for form in ("ours", rival)}
                # Seeds would not help networks that do nothing.
                needed = "" if learning.unlearned(pair) else learning.more_needed(
                    learning.differences(forms["ours"], forms[rival]))  # fmt: skip
                used |= pair
                said.append(f"{network} {comparison.effect:+.2f} dB over {rival}{needed and f' ({needed} needed)'}")
    if not comparisons:
        return None
    missing = [network for network in NETWORKS if network not in found]
    left_out = f"without {' and '.join(missing)}" if missing else ""
    parts = ("trained on blur made here, on neither GoPro nor RealBlur", left_out, learning.unlearned(used))
    return Evidence(tuple(comparisons), ours=", ".join(said), reduced="; ".join(filter(None, parts)))


STUDY = Study(
    "xydeblur_backbones", "Rotated decoders as a plug-in (XYDeblur, Table 2)", "xydeblur",
    "10_xydeblur_backbones", PROFILES, jobs, tables, figures, evidence, claims=("C4.1", "C4.2", "C4.3"),
)  # fmt: skip
