"""Answers to exercises, right and wrong, as students write them: large pictures."""

import math

import numpy as np
import torch
from scipy.optimize import minimize_scalar
from scipy.signal import convolve2d


def blurred(x, k):
    return torch.from_numpy(convolve2d(x, k, mode="valid"))


def psnr(estimate, sharp):
    return -10 * math.log10(((estimate - sharp) ** 2).mean())


def slope(sharp, estimate):
    return float(torch.linalg.lstsq(estimate.reshape(-1, 1), sharp.reshape(-1, 1)).solution)


RIGHT = {
    "camera": [
        lambda x, k: blurred(x, k).clamp(max=1),
        lambda x, k: np.minimum(blurred(x, k).numpy(), 1),
    ],
    "psnr_at_best_brightness": [
        lambda estimate, sharp: psnr(slope(sharp, estimate) * estimate, sharp),
        lambda estimate, sharp: -minimize_scalar(lambda factor: -psnr(factor * estimate, sharp)).fun,
        lambda estimate, sharp: (
            -10 * np.log10(((sharp**2).sum() - (sharp * estimate).sum() ** 2 / (estimate**2).sum()) / sharp.numel())
        ),
    ],
}
WRONG = {
    "camera": {
        "Blur first": lambda x, k: blurred(x.clamp(0, 1), k).clamp(0, 1),
        "Nothing is clipped": blurred,
        "scale the picture": lambda x, k: blurred(x, k) / blurred(x, k).max(),
        "this is correlation": lambda x, k: blurred(x, k.flip(0, 1)).clamp(0, 1),
    },
    "psnr_at_best_brightness": {
        "as it is": psnr,
        "mean brightness": lambda estimate, sharp: psnr(estimate / estimate.mean() * sharp.mean(), sharp),
        "brightest pixels": lambda estimate, sharp: psnr(estimate / estimate.max() * sharp.max(), sharp),
        "as strong as": lambda estimate, sharp: psnr(estimate / torch.dist(estimate, 0 * sharp) * sharp.norm(), sharp),
        "*sharp* picture": lambda estimate, sharp: psnr(estimate, slope(estimate, sharp) * sharp),
        "that is multiplied": lambda estimate, sharp: psnr(slope(estimate, sharp) * estimate, sharp),
        "You divide": lambda estimate, sharp: psnr(estimate / slope(estimate, sharp), sharp),
        "You add a number": lambda estimate, sharp: psnr(
            np.polyval(np.polyfit(estimate.flatten(), sharp.flatten(), 1), estimate.numpy()), sharp.numpy()
        ),
        "sign is wrong": lambda estimate, sharp: -psnr(slope(sharp, estimate) * estimate, sharp),
    },
}
