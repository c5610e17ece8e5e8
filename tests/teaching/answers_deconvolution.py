"""Answers to exercises, right and wrong, as students write them: deconvolution and the kernel network."""

import math

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


def svd_ratios(n, seed=0):
    """Two errors of equal SSD: all of it in one singular value, and shared out alike."""
    u, _, v = np.linalg.svd(np.random.RandomState(seed).standard_normal((n, n)))
    return np.outer(u[:, 0], v[0]), u @ v / n**0.5


def noise(n):
    errors = np.random.RandomState(0).standard_normal((2, n, n))
    return errors / np.linalg.norm(errors, axis=(1, 2), keepdims=True)


def counted(side, hidden):
    return count_parameters(KernelNetwork(side, hidden))


def trained(cover, share, rate, z, ways=2, bias=1.0):
    """Step by step, as the two weights move apart."""
    on, beside, n = 0.0, 0.0, 0
    while cover * math.exp(on) / (cover * math.exp(on) + (1 - cover) * math.exp(beside)) < share:
        on, n = on + rate * (bias + sum(z.tolist())), n + 1
        beside -= (ways - 1) * rate * (bias + sum(z.tolist()))
    return n


def logit(share):
    return math.log(share / (1 - share))


def per_step(rate, z, bias=1.0):
    return 2 * rate * (bias + float(z.sum()))


RIGHT = {
    "soft_threshold": [lambda v, beta: torch.nn.functional.softshrink(v, 1 / beta), minimised],
    "ratios_apart": [
        svd_ratios,
        lambda n: [(np.outer(range(n), range(n)) / np.linalg.norm(range(n)) ** 2).tolist(), torch.eye(n) / n**0.5],
        lambda n: (torch.ones(n, n), torch.eye(n).flip(0) * n**0.5),
        lambda n: np.stack([np.eye(1, n * n).reshape(n, n), linalg.circulant(np.eye(n)[1]) / n**0.5]),
    ],
    "kernel_network_parameters": [counted],
    "iterations_needed": [
        trained,
        lambda cover, share, rate, z: math.ceil((logit(share) - logit(cover)) / per_step(rate, z)),
    ],
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
    "ratios_apart": {
        "larger SSD": lambda n: (np.ones((n, n)), np.eye(n)),
        "wrong way round": lambda n: svd_ratios(n)[::-1],
        "Both ratios are 1": lambda n: (np.eye(1, n * n).reshape(n, n), np.ones((n, n)) / n),
        "is zero": lambda n: (np.ones((n, n)), np.zeros((n, n))),
        "SSD ratio 1 and the norm ratio": noise,
        "SSD ratio 9 and": lambda n: (3 * svd_ratios(n)[0], svd_ratios(n)[1]),
        "shape": lambda n: (1, n**0.5),
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
    "iterations_needed": {
        "all beside it": lambda cover, share, rate, z: math.ceil(logit(share) / per_step(rate, z)),
        "above a flat kernel": lambda cover, share, rate, z: math.ceil(math.log(share / cover) / per_step(rate, z)),
        "Only one of the two": lambda *given: trained(*given, ways=1),
        "bias moves, too": lambda *given: trained(*given, bias=0.0),
        "in an exponent": lambda cover, share, rate, z: math.ceil(
            math.exp(logit(share) - logit(cover)) / per_step(rate, z)),
        "not of 10": lambda cover, share, rate, z: math.ceil(
            math.log10(share * (1 - cover) / cover / (1 - share)) / per_step(rate, z)),
        "count the entries": lambda cover, share, rate, z: trained(cover, share, rate, torch.ones(len(z))),
        "no fractions": lambda cover, share, rate, z: (logit(share) - logit(cover)) / per_step(rate, z),
        "round down": lambda *given: trained(*given) - 1,
    },
}  # fmt: skip
