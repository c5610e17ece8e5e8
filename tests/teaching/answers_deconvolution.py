"""Answers to exercises, right and wrong, as students write them: deconvolution and the kernel network."""

import numpy as np
import torch
from scipy import linalg, optimize

from deblur_core.models.counting import count_parameters
from deblur_core.models.selfdeblur import KernelNetwork


def minimised(v, beta):
    def entry(value):
        found = optimize.minimize_scalar(
            lambda w: abs(w) + beta / 2 * (w - value) ** 2, bounds=(-4, 4), method="bounded", options={"xatol": 1e-9}
        )
        return found.x if abs(found.x) > 1e-6 else 0

    return np.array([entry(value) for value in v.flatten().tolist()]).reshape(v.shape)


def ratios(estimate, known, sharp):
    a, b = estimate - sharp, known - sharp
    return np.sum(a * a) / np.sum(b * b), linalg.svdvals(a)[0] / linalg.svdvals(b)[0]


def frobenius(estimate, known, sharp):
    return ratios(estimate, known, sharp)[0], np.linalg.norm(estimate - sharp) / np.linalg.norm(known - sharp)


def counted(side, hidden):
    return count_parameters(KernelNetwork(side, hidden))


def contrast(z, rates, ways=2, bias=1.0):
    return np.exp(ways * sum(rates.tolist()) * (bias + sum(z.tolist())))


RIGHT = {
    "soft_threshold": [lambda v, beta: torch.nn.functional.softshrink(v, 1 / beta), minimised],
    "error_ratios": [ratios, lambda *pictures: torch.tensor(ratios(*pictures))],
    "kernel_network_parameters": [counted],
    "reachable_contrast": [contrast],
}
WRONG = {  # by a few words of the hint that should come
    "soft_threshold": {
        "*hard* threshold": lambda v, beta: v * (v.abs() * beta > 1),
        "subtract beta": lambda v, beta: torch.nn.Softshrink(beta)(v),
        "Twice too far": lambda v, beta: torch.nn.Softshrink(2 / beta)(v),
        "Half as far": lambda v, beta: torch.nn.Softshrink(1 / (2 * beta))(v),
        "overshoot": lambda v, beta: v - np.sign(v) / beta,
        "mirrored": lambda v, beta: torch.relu(v - 1 / beta),
        "sign of v back": lambda v, beta: torch.relu(v.abs() - 1 / beta),
        "makes nothing zero": lambda v, beta: v / (1 + 1 / beta),
    },
    "error_ratios": {
        "Upside down": lambda e, k, s: [1 / ratio for ratio in ratios(e, k, s)],
        "swapped": lambda e, k, s: ratios(e, k, s)[::-1],
        "ratio of the roots": lambda e, k, s: (frobenius(e, k, s)[1], ratios(e, k, s)[1]),
        "Frobenius": frobenius,
        "is squared": lambda e, k, s: (ratios(e, k, s)[0], ratios(e, k, s)[1] ** 2),
        "absolute differences": lambda e, k, s: (abs(e - s).mean() / abs(k - s).mean(), ratios(e, k, s)[1]),
        "ratios of the pictures": lambda e, k, s: ratios(e, k, 0),
        "each of them": lambda e, k, s: (((e - k) ** 2).sum() / ((k - s) ** 2).sum(),
                                         np.linalg.norm(e - k, 2) / np.linalg.norm(k - s, 2)),
    },
    "kernel_network_parameters": {
        "biases are missing: a layer": lambda side, hidden: counted(side, hidden) - side**2 - 1000 * hidden,
        "not kernel_size": lambda side, hidden: counted(side, hidden) - (1001 if hidden else 201) * (side**2 - side),
        "always count one": lambda side, hidden: counted(side, 1),
        "layer too many": lambda side, hidden: counted(side, hidden + 1),
        "200 inputs for every layer": lambda side, hidden: 201 * side**2 + hidden * 201_000,
        "hidden layers alone": lambda side, hidden: sum([201_000, 1_001_000][:hidden]),
        "biases of the last layer": lambda side, hidden: counted(side, hidden) - side**2,
        "softmax has no parameters": lambda side, hidden: counted(side, hidden) + (side**2 + 1) * side**2,
    },
    "reachable_contrast": {
        "Only one of the two": lambda z, rates: contrast(z, rates, ways=1),
        "bias moves, too": lambda z, rates: contrast(z, rates, bias=0.0),
        "factor exp(gap)": lambda z, rates: 2 * rates.sum() * (1 + z.sum()),
        "rates fall": lambda z, rates: contrast(z, rates[:1].expand(len(rates))),
        "mean rate once": lambda z, rates: contrast(z, rates.mean()[None]),
        "count the entries": lambda z, rates: contrast(torch.ones(len(z)), rates),
        "length of z": lambda z, rates: contrast(z.norm()[None], rates),
    },
}  # fmt: skip
