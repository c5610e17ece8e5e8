"""What a checker is: it prints praise, or a hint that fits the mistake.

A checker knows the right function and the plausible wrong ones. It calls the student's function on a few probes
and compares: an answer that agrees with a known mistake gets the hint for that mistake. It never raises.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

NOTHING_YET = "Nothing to check yet: put your own lines in the place of the dots, and return the result."
NOTHING_THERE = "Not yet. In one of the cases that are tried here, your function returns nothing."


@dataclass(frozen=True)
class Checker:
    """right and the mistakes, by the hint that leads out of them, all take one probe's arguments.

    Where a question has many right answers, `measure` takes from each result what is compared, and right is one of
    them.
    """

    right: Callable
    mistakes: Mapping[str, Callable]
    probes: Sequence[tuple]
    praise: str
    measure: Callable[[np.ndarray], Any] = lambda result: result  # where many results are right: what they share
    otherwise: str = ""  # a hint for what was measured of a result that is no known mistake

    def __call__(self, answer: Callable) -> None:
        print(self.hint(answer))

    def hint(self, answer: Callable) -> str:
        """Praise, or what the first probe with a wrong result tells."""
        for probe in self.probes:
            try:
                value = answer(*copy.deepcopy(probe))
                if value is None or value is Ellipsis:
                    return NOTHING_YET if probe is self.probes[0] else NOTHING_THERE
                given = _numbers(value)
            except Exception as error:
                return f"Your function does not get to its end yet{_asked(probe)}. {type(error).__name__}: {error}"
            expected = _numbers(self.right(*probe))
            of_shape = given.shape == expected.shape
            if of_shape:
                given, expected = self._measured(given), self._measured(expected)
            if not _agree(given, expected):
                other = self.otherwise.format(*given.flatten()) if of_shape else ""
                return f"Not yet. {self._diagnosis(given, probe) or other or _difference(given, expected, probe)}"
        return f"Right. {self.praise}"

    def _diagnosis(self, given: np.ndarray, probe: tuple) -> str | None:
        for hint, mistake in self.mistakes.items():
            if _agree(given, self._measured(_numbers(mistake(*probe)))):
                return hint
        return None

    def _measured(self, result: np.ndarray) -> np.ndarray:
        with np.errstate(all="ignore"):
            return np.asarray(self.measure(result), dtype=np.float64)


def _numbers(value: Any) -> np.ndarray:
    """A tensor, an array, a number or nested lists of them."""
    if isinstance(value, list | tuple):
        return np.array([_numbers(part) for part in value])
    return np.asarray(value.detach().cpu().double() if isinstance(value, Tensor) else value, dtype=np.float64)


def _agree(given: np.ndarray, expected: np.ndarray) -> bool:
    return given.shape == expected.shape and np.allclose(given, expected, rtol=1e-4, atol=1e-6, equal_nan=True)


def _difference(given: np.ndarray, expected: np.ndarray, probe: tuple) -> str:
    if given.shape != expected.shape:
        return f"The result has the shape {given.shape}; {expected.shape} is expected."
    worst = np.unravel_index(np.nan_to_num(np.abs(given - expected), nan=np.inf).argmax(), given.shape)
    place = f" at {tuple(map(int, worst))}" if worst else ""
    return f"The result{place}{_asked(probe)} is {given[worst]:.6g}; {expected[worst]:.6g} is expected."


def _asked(probe: tuple) -> str:
    """Numbers can be named, pictures cannot."""
    return f" for {probe}" if all(isinstance(argument, int | float) for argument in probe) else ""


def random(*shape: int) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(sum(shape)))
