"""Answers to exercises, right and wrong, as students write them: encoded blur kernel space."""

import numpy as np
import torch
from torch.distributions import Normal, kl_divergence


def weights(seen, left, ridge):
    """By the singular values of `seen`."""
    u, scales, v = np.linalg.svd(np.asarray(seen), full_matrices=False)
    return v.T @ (scales / (scales**2 + ridge) * (u.T @ np.asarray(left)))


def way(start, end, shares):
    return [torch.lerp(start, end, float(share)) for share in shares]


def terms(mean, deviation):
    variance = np.square(np.asarray(deviation))
    return np.asarray(mean) ** 2, variance, np.log(variance)


def kl(mean, deviation):
    square, variance, log = terms(mean, deviation)
    return (square + variance - log - 1).sum() / 2


RIGHT = {
    "ridge_weights": [
        weights,
        lambda seen, left, ridge: torch.linalg.lstsq(
            torch.cat([seen, ridge**0.5 * torch.eye(seen.shape[1])]),
            torch.cat([left, torch.zeros(seen.shape[1])])[:, None]).solution[:, 0],
        lambda seen, left, ridge: seen.T @ torch.linalg.solve(seen @ seen.T + ridge * torch.eye(len(seen)), left),
    ],
    "walk_between_codes": [
        lambda start, end, steps: way(start, end, np.linspace(0, 1, steps)),
        lambda start, end, steps: torch.stack([start * (1 - i / (steps - 1)) + end * i / (steps - 1)
                                               for i in range(steps)]),
    ],
    "normal_divergence": [
        kl,
        lambda mean, deviation: kl_divergence(Normal(mean, deviation.abs()), Normal(0.0, 1.0)).sum(),
    ],
}
WRONG = {  # by a few words of the hint that should come
    "ridge_weights": {
        "plain least squares": lambda seen, left, ridge: np.linalg.pinv(seen) @ left.numpy(),
        "on the diagonal": lambda seen, left, ridge: np.linalg.inv(seen.T @ seen + ridge) @ (seen.T @ left).numpy(),
        "You square": lambda seen, left, ridge: weights(seen, left, ridge**2),
        "Half": lambda seen, left, ridge: weights(seen, left, ridge / 2),
        "Twice": lambda seen, left, ridge: weights(seen, left, 2 * ridge),
        "The sign": lambda seen, left, ridge: weights(seen, left, -ridge),
        "beside a sum": lambda seen, left, ridge: weights(seen, left, ridge * len(left)),
        "all weights alike": lambda seen, left, ridge: np.linalg.pinv(seen) @ left.numpy() / (1 + ridge),
    },
    "walk_between_codes": {
        "last code": lambda start, end, steps: way(start, end, np.arange(steps) / steps),
        "first code": lambda start, end, steps: way(start, end, (np.arange(steps) + 1) / steps),
        "Neither end": lambda start, end, steps: way(start, end, np.linspace(0, 1, steps + 2)[1:-1]),
        "to the start": lambda start, end, steps: way(end, start, np.linspace(0, 1, steps)),
        "`end` far": lambda start, end, steps: [start + share * end for share in torch.linspace(0, 1, steps)],
        "fade in together": lambda start, end, steps: [share * start + share * end
                                                       for share in torch.linspace(0, 1, steps)],
        "is expected": lambda start, end, steps: way(start, end, np.linspace(0, 1, steps) ** 2),
        "shape": lambda start, end, steps: way(start, end, [0, 1]),
    },
    "normal_divergence": {
        "Twice": lambda mean, deviation: 2 * kl(mean, deviation),
        "where its square": lambda mean, deviation: kl(mean, np.sqrt(np.abs(np.asarray(deviation)))),
        "that of the deviation": lambda mean, deviation: kl(mean, deviation) + terms(mean, deviation)[2].sum() / 4,
        "sign of the logarithm": lambda mean, deviation: kl(mean, deviation) + terms(mean, deviation)[2].sum(),
        "The 1 is missing": lambda mean, deviation: sum(part.sum() for part in terms(mean, deviation)[:2]) / 2
        - terms(mean, deviation)[2].sum() / 2,
        "mean over all": lambda mean, deviation: kl(mean, deviation) / len(mean.flatten()),
        "missing its square": lambda mean, deviation: kl(mean, deviation) + float((mean - mean**2).sum()) / 2,
        "no number": lambda mean, deviation: (mean**2 + deviation**2 - deviation.log() * 2 - 1).sum() / 2,
    },
}  # fmt: skip
