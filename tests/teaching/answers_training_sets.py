"""Answers to exercises, right and wrong, as students write them: training sets."""

import math

import numpy as np
import torch
from scipy import stats


def walk(ring, step=1):
    order = [0] * len(ring)
    for i, who in enumerate(ring.tolist()):
        order[who] = int(ring[(i - step) % len(ring)])
    return order


def half(d, t):
    return t * stats.sem(d.numpy())


def pair(blurry, sharp, noise):
    return torch.stack([(blurry + noise).clip(0, 1), sharp])


def dark(picture, order, light):
    return torch.stack([light * picture[i] for i in order])


RIGHT = {
    "others_blur": [walk, lambda ring: torch.roll(ring, 1)[torch.argsort(ring)]],
    "room_inside": [
        lambda d, margin, t: min(margin + d.mean() - half(d, t), margin - d.mean() - half(d, t)),
        lambda d, margin, t: min(
            margin - max(stats.t.interval(0.95, len(d) - 1, d.mean(), stats.sem(d))),
            margin + min(stats.t.interval(0.95, len(d) - 1, d.mean(), stats.sem(d)))),
        lambda d, margin, t: margin - abs(np.mean(d.numpy())) - t * np.std(d.numpy(), ddof=1) / math.sqrt(len(d)),
    ],
    "augmented_pair": [
        lambda y, x, order, light, noise: pair(dark(y, order, light), dark(x, order, light), noise),
        lambda y, x, order, light, noise: [
            np.clip(light * y[order].numpy() + noise.numpy(), 0, 1), light * x[order].numpy()],
    ],
    "share_of_ceiling": [
        lambda o, a, f: (a.mean() - o.mean()) / (f.mean() - o.mean()) if f.mean() > o.mean() else math.nan,
        lambda o, a, f: float((a - o).sum() / (f - o).sum()) if (f - o).sum() > 0 else np.nan,
    ],
}  # fmt: skip
WRONG = {  # by a few words of the hint that should come
    "others_blur": {
        "plain shuffle": lambda ring: ring.tolist(),
        "wrote it to the places": lambda ring: np.roll(ring.numpy(), 1),
        "one *after* him": lambda ring: walk(ring, -1),
        "Everybody keeps": lambda ring: list(range(len(ring))),
        "plain shift": lambda ring: [len(ring) - 1, *range(len(ring) - 1)],
        "two places": lambda ring: walk(ring, 2),
    },
    "room_inside": {
        "left out the scatter": lambda d, margin, t: margin - abs(d.mean()),
        "other side passes": lambda d, margin, t: margin - d.mean() - half(d, t),
        "clear of zero": lambda d, margin, t: abs(d.mean()) - half(d, t),
        "divide by n - 1": lambda d, margin, t: margin - abs(d.mean()) - t * np.std(d.numpy()) / len(d) ** 0.5,
        "Their mean scatters less": lambda d, margin, t: margin - abs(d.mean()) - t * d.std(),
        "not by n.": lambda d, margin, t: margin - abs(d.mean()) - t * d.std() / len(d),
        "leaves more": lambda d, margin, t: margin - abs(d.mean()) + half(d, t),
        "average first": lambda d, margin, t: margin - d.abs().mean() - half(d, t),
        "The sign": lambda d, margin, t: abs(d.mean()) + half(d, t) - margin,
    },
    "augmented_pair": {
        "keep it clean": lambda y, x, order, light, noise: [
            (dark(picture, order, light) + noise).clip(0, 1) for picture in (y, x)],
        "add it last": lambda y, x, order, light, noise: [
            light * (y[order] + noise).clip(0, 1), dark(x, order, light)],
        "kept its colours": lambda y, x, order, light, noise: pair(dark(y, order, light), light * x, noise),
        "kept its light": lambda y, x, order, light, noise: pair(dark(y, order, light), x[order], noise),
        "clip it": lambda y, x, order, light, noise: [dark(y, order, light) + noise, dark(x, order, light)],
        "colours are as they were": lambda y, x, order, light, noise: pair(light * y, light * x, noise),
        "light is as it was": lambda y, x, order, light, noise: pair(y[order], x[order], noise),
        "noise is missing": lambda y, x, order, light, noise: [dark(y, order, light), dark(x, order, light)],
        "other way round": lambda y, x, order, light, noise: pair(
            dark(y, order, light), dark(x, order, light), noise)[[1, 0]],
    },
    "share_of_ceiling": {
        "a share of it means nothing": lambda o, a, f: (a.mean() - o.mean()) / (f.mean() - o.mean()),
        "a ratio explodes": lambda o, a, f: np.mean(((a - o) / (f - o)).numpy()),
        "one a seed": lambda o, a, f: np.mean(
            [(q - p).mean() / (r - p).mean() for p, q, r in zip(o, a, f, strict=True)]),
        "one a picture": lambda o, a, f: np.mean(
            [(q - p).mean() / (r - p).mean() for p, q, r in zip(o.T, a.T, f.T, strict=True)]),
        "no zero": lambda o, a, f: a.mean() / f.mean(),
        "Upside down": lambda o, a, f: (f.mean() - o.mean()) / (a.mean() - o.mean()),
        "cut off": lambda o, a, f: (
            min(1.0, float((a.mean() - o.mean()) / (f.mean() - o.mean()))) if f.mean() > o.mean() else math.nan),
        "is missing": lambda o, a, f: 1 - (a.mean() - o.mean()) / (f.mean() - o.mean()),
        "in decibels": lambda o, a, f: a.mean() - o.mean(),
    },
}  # fmt: skip
