"""Answers to exercises, right and wrong, as students write them: encoded blur kernel space."""

import numpy as np
import torch
from torch.distributions import Categorical, MixtureSameFamily, Normal


def weights(seen, left, ridge):
    """By the singular values of `seen`."""
    u, scales, v = np.linalg.svd(np.asarray(seen), full_matrices=False)
    return v.T @ (scales / (scales**2 + ridge) * (u.T @ np.asarray(left)))


def way(start, end, shares):
    return [torch.lerp(start, end, float(share)) for share in shares]


def many(mean, deviation):
    """Codes: around the mean of each picture one deviation above and one below, which have that deviation exactly."""
    return np.concatenate([np.asarray(mean + deviation), np.asarray(mean - deviation)])


def spread(mean, variance):
    return np.mean(mean.numpy(), 0), np.sqrt(variance)


def mixture(mean, deviation):
    return MixtureSameFamily(Categorical(torch.ones(mean.T.shape)), Normal(mean.T, deviation.T.abs()))


def rms(deviation):
    return np.sqrt(np.mean(np.square(deviation.numpy()), 0))


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
    "drawn_codes": [
        lambda mean, deviation: (many(mean, deviation).mean(0), many(mean, deviation).std(0)),
        lambda mean, deviation: [mixture(mean, deviation).mean, mixture(mean, deviation).stddev],
        lambda mean, deviation: torch.stack(
            [mean.mean(0), ((mean**2 + deviation**2).mean(0) - mean.mean(0) ** 2).sqrt()]),
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
    "drawn_codes": {
        "The means scatter": lambda mean, deviation: spread(mean, rms(deviation) ** 2),
        "how the means scatter": lambda mean, deviation: spread(mean, np.var(mean.numpy(), 0)),
        "mean square of": lambda mean, deviation: spread(mean, rms(deviation) ** 2 + rms(mean) ** 2),
        "You add deviations": lambda mean, deviation: spread(mean, (rms(deviation) + np.std(mean.numpy(), 0)) ** 2),
        "a sign does not count": lambda mean, deviation: spread(
            mean, np.mean(deviation.numpy(), 0) ** 2 + np.var(mean.numpy(), 0)),
        "absolute": lambda mean, deviation: spread(
            mean, np.mean(np.abs(deviation.numpy()), 0) ** 2 + np.var(mean.numpy(), 0)),
        "the variance: take": lambda mean, deviation: (
            np.mean(mean.numpy(), 0), rms(deviation) ** 2 + np.var(mean.numpy(), 0)),
        "not by n - 1": lambda mean, deviation: spread(mean, rms(deviation) ** 2 + np.var(mean.numpy(), 0, ddof=1)),
        "Each has its own": lambda mean, deviation: (many(mean, deviation).mean(), many(mean, deviation).std()),
        "shape": lambda mean, deviation: many(mean, deviation).std(0),
    },
}  # fmt: skip
