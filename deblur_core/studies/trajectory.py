"""How picture and kernel emerge (SelfDeblur, Figure 3): x and k at several iterations, their errors along the run."""

from __future__ import annotations

from math import isfinite

from deblur_core.runs import Job, Result
from deblur_core.studies import joint_vs_alternating, pairs
from deblur_core.studies.joint_vs_alternating import Profile
from deblur_core.studies.study import Figure, Study, Table
from deblur_core.studies.style import PALETTE, show_image, subplots

PROFILES = joint_vs_alternating.PROFILES
MARKS = (0.01, 0.05, 0.2, 0.5, 1.0)


def jobs(profile: Profile) -> list[Job]:
    """The joint runs of Table 1: the same jobs, so nothing is computed twice."""
    return [
        pairs.restore_job(profile.dataset, name, profile.recipe, seed, profile.crop) for name, seed in profile.runs()
    ]


def tables(results: list[Result]) -> list[Table]:
    if not results:
        return []
    names = [result.job.settings["pair"] for result in results]
    iterations, psnr = pairs.curves(results, "psnr")
    _, error = pairs.curves_of_pairs(results, "kernel_error")
    _, similarity = pairs.curves_of_pairs(results, "kernel_similarity")
    rows = []
    for mark in MARKS:
        i = pairs.CURVE_AT.index(mark)
        mean = pairs.compare("PSNR", names, psnr[:, i])
        interval = f" [{mean.low:.2f}, {mean.high:.2f}]" if isfinite(mean.low) else ""
        rows.append(
            (
                iterations[i],
                f"{mean.effect:.2f}{interval}",
                f"{error[:, i].mean():.2e}",
                f"{similarity[:, i].mean():.3f}",
            )
        )
    return [
        Table(
            "Picture and kernel along the run",
            ("iteration", "PSNR (dB) [95 %]", "kernel error (MSE)", "kernel similarity"),
            rows,
            f"Mean over {len(error)} pairs with {len(results)} joint runs, the seeds of a pair averaged first; PSNR of "
            "single outputs, aligned within 5 px. Intervals are over pictures or over kernels, whichever is wider.",
        )
    ]


def figures(results: list[Result]) -> list[Figure]:
    if not results:
        return []
    figure, ((left, right),) = subplots(1, 2, width=3.6, height=2.8)
    for panel, value, label, logarithmic in (
        (left, "kernel_error", "kernel error (MSE)", True),
        (right, "psnr", "PSNR (dB)", False),
    ):
        iterations, values = pairs.curves(results, value)
        panel.plot(iterations, values.T, color=PALETTE[5], linewidth=0.6, alpha=0.6)
        panel.plot(iterations, pairs.curves_of_pairs(results, value)[1].mean(0), color=PALETTE[0], linewidth=2)
        panel.set(xlabel="iteration", ylabel=label, xscale="log", yscale="log" if logarithmic else "linear")
    drawn = [
        Figure(
            "curves",
            figure,
            "Kernel error and PSNR along the run: thin lines are single runs, the thick one is the mean over pairs. "
            "Salient structure comes first, details last. PSNR is aligned within 5 px here: a line that stays low is a "
            "run that failed, or a picture that drifted further, together with its kernel.",
        )
    ]
    shown = next((result for result in results if result.arrays and result.job.settings["dataset"] == "builtin"), None)
    return drawn + ([_snapshots(shown)] if shown else [])


def _snapshots(result: Result) -> Figure:
    settings, arrays = result.job.settings, result.arrays
    pair = pairs.load(settings["dataset"], settings["pair"], settings["crop"])
    columns = [("blurry", pairs.to_bytes(pair.blurry), None)]
    columns += [
        (f"iteration {i}", x, k)
        for i, x, k in zip(arrays["iterations"], arrays["x_snapshots"], arrays["k_snapshots"], strict=True)
    ]
    columns += [("truth", pairs.to_bytes(pair.sharp), pair.kernel[0].numpy())]
    figure, panels = subplots(2, len(columns), width=1.5, height=1.6)
    for (title, x, k), (top, bottom) in zip(columns, panels.T, strict=True):
        show_image(top, x, title, maximum=255)
        if k is None:
            bottom.set_axis_off()
        else:
            show_image(bottom, k, maximum=None)
    return Figure(
        "snapshots",
        figure,
        f"{settings['pair']} of the built-in set: the picture (above) and the kernel (below) as "
        "they emerge. At first the kernel is flat and the picture a few blobs; then the trace of the kernel appears, "
        "and with it edges, and detail last.",
    )


def pipeline() -> Figure:
    """Figure 2: what is fixed, what is learnt, and what is compared with what."""
    learnt, fixed = {"facecolor": PALETTE[5], "alpha": 0.5}, {"facecolor": "0.93"}
    places = {
        "$z_x$\nrandom, fixed": (0, 2, fixed),
        "$G_x$\nhourglass": (2, 2, learnt),
        "$x$": (4, 2, {"facecolor": "none"}),
        "$z_k$\nrandom, fixed": (0, 0, fixed),
        "$G_k$\ndense": (2, 0, learnt),
        "$k$": (4, 0, {"facecolor": "none"}),
        "$k * x$": (5.5, 1, {"facecolor": "none"}),
        "loss": (7, 1, {"facecolor": "none"}),
        "$y$, the\nblurry picture": (8.6, 1, fixed),
    }
    figure, ((axes,),) = subplots(width=8.4, height=2.4)
    axes.set(xlim=(-0.7, 9.4), ylim=(-0.6, 2.6))
    axes.set_axis_off()
    boxes = [
        axes.text(x, y, text, ha="center", va="center", bbox={"boxstyle": "round,pad=0.5", "edgecolor": "0.3", **look})
        for text, (x, y, look) in places.items()
    ]
    to_the_right = ((0, 1, ""), (1, 2, "sigmoid"), (3, 4, ""), (4, 5, "softmax"), (2, 6, ""), (5, 6, ""), (6, 7, ""))
    for start, end, text in (*to_the_right, (8, 7, "")):
        a, b = boxes[start], boxes[end]
        arrow = {"arrowstyle": "->", "patchA": a.get_bbox_patch(), "patchB": b.get_bbox_patch(), "color": "0.3"}
        axes.annotate("", b.get_position(), a.get_position(), arrowprops=arrow)
        x, y = (sum(pair) / 2 for pair in zip(a.get_position(), b.get_position(), strict=True))
        axes.text(x + 0.1, y + 0.1, text, ha="center", va="bottom", fontsize=8)
    caption = (
        "Grey is given and stays; blue has weights, which follow the gradient of the loss, back along the arrows. The "
        "sigmoid keeps every pixel of x between 0 and 1, the softmax makes k a kernel."
    )
    return Figure("pipeline", figure, caption)


STUDY = Study(
    "trajectory",
    "How picture and kernel emerge (SelfDeblur, Figure 3)",
    "selfdeblur",
    "01_selfdeblur",
    PROFILES,
    jobs,
    tables,
    figures,
)
