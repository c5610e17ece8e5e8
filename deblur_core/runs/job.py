"""What a run is made of: a task (a function), a job (one call of it, as data), its context and its result."""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import io
import json
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

import numpy as np
import torch

from ..errors import DeblurError
from ..files import sha256, write_atomically
from .provenance import provenance

T = TypeVar("T")


def task(numerics: int = 1) -> Callable[[Callable], Callable]:
    """Mark the module-level function `f(context, **settings) -> (values, arrays)` as a task.

    It is deterministic and owns its randomness; `values` is a JSON-able dict, `arrays` a dict of arrays.
    Raise `numerics` whenever a change of the code changes the numbers by more than rounding, in which machines differ
    too: older results are found no more.
    """

    def mark(function: Callable) -> Callable:
        function.numerics = numerics  # type: ignore[attr-defined]
        return function

    return mark


@dataclass(frozen=True)
class Job:
    """One independent piece of work, made by `create`: a call of the function that `task` names."""

    task: str  # "module:function"
    canonical_settings: str  # a string, because a dict is neither frozen nor hashable
    data: str = ""  # digest of the data that the task reads
    numerics: int = 1

    @classmethod
    def create(cls, function: Callable, /, data: str = "", **settings: Any) -> Job:
        """The job of calling `function`, a task, with `settings` (JSON-able values or dataclasses).

        Defaults of the function are settings like any other: to write one out leaves the job the same, to
        change one in the code does not. Raises TypeError or ValueError for what could not be run elsewhere.
        """
        name = f"{function.__module__}:{function.__qualname__}"
        module = sys.modules.get(function.__module__)
        if function.__module__ == "__main__" or getattr(module, function.__qualname__, None) is not function:
            raise TypeError(f"{name} is not a function of an importable module, so no worker could run it.")
        if not hasattr(function, "numerics"):
            raise TypeError(f"{name} is not a task: decorate it with @task().")
        signature = inspect.signature(function)
        signature.bind(None, **settings)
        parameters = list(signature.parameters.values())[1:]  # without the context
        defaults = {p.name: p.default for p in parameters if p.default is not p.empty}
        return cls(name, canonical(defaults | settings), data, function.numerics)

    @property
    def settings(self) -> dict[str, Any]:
        """A fresh dict: changing it does not change the job."""
        return json.loads(self.canonical_settings)

    @cached_property
    def key(self) -> str:
        """32 hexadecimal digits that name the job, the same on every machine."""
        return sha256(canonical(self.to_json()).encode())[:32]

    def to_json(self) -> dict[str, Any]:
        return {"task": self.task, "settings": self.settings, "data": self.data, "numerics": self.numerics}

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> Job:
        return cls(fields["task"], canonical(fields["settings"]), fields["data"], fields["numerics"])

    def __str__(self) -> str:
        simple = (f"{k}={v!r}" for k, v in self.settings.items() if not isinstance(v, (dict, list)))
        return f"{self.task.rpartition(':')[2]}({', '.join(simple)})"


@dataclass(frozen=True, eq=False)
class Result:
    """What a job gave. In `values` a number that is not finite is None, since JSON knows no other."""

    job: Job
    values: dict[str, Any]
    arrays: dict[str, np.ndarray]
    provenance: dict[str, Any]


class Checkpoint:
    """One file from which a killed job goes on. Without a path nothing is kept.

    The state is a dict of tensors, numbers, strings and lists or dicts of them, as `state_dict()` of an
    optimiser or `get_state()` of a generator; tensors come back on the CPU.
    """

    def __init__(self, path: Path | None = None):
        self.path = path
        self.resumed = False  # whether `load` found a state

    def save(self, state: dict[str, Any]) -> None:
        """Replace the file in one step. Raises UnpicklingError for a state that `load` would refuse."""
        if self.path is None:
            return
        buffer = io.BytesIO()
        torch.save(state, buffer)
        buffer.seek(0)
        torch.load(buffer, weights_only=True, map_location="cpu")
        # torch.load does not notice a flipped bit, so the file begins with a checksum.
        write_atomically(self.path, sha256(buffer.getvalue()).encode() + buffer.getvalue())

    def load(self) -> dict[str, Any] | None:
        """The state saved last; None where there is none, or with a warning where it is damaged."""
        if self.path is None or not self.path.exists():
            return None
        content = self.path.read_bytes()
        if sha256(content[64:]).encode() != content[:64]:
            warnings.warn(f"Checkpoint {self.path.name} is damaged: its job starts again.", stacklevel=2)
            return None
        self.resumed = True
        return torch.load(io.BytesIO(content[64:]), weights_only=True, map_location="cpu")

    def drop(self) -> None:
        if self.path is not None:
            self.path.unlink(missing_ok=True)


def unwatched(step: int, total: int, **info: Any) -> None:
    pass


def _computed_anew(job: Job) -> Result:
    return run_job(job)


@dataclass(frozen=True)
class Context:
    """What a task is told about the run that must not change its numbers.

    result(job) is the result of another job that a task builds on: from the store where one is at work, which keeps
    it too, else computed anew.
    """

    device: str = "cpu"
    checkpoint: Checkpoint = field(default_factory=Checkpoint)
    progress: Callable[..., None] = unwatched  # called as progress(step, total, **info)
    result: Callable[[Job], Result] = _computed_anew


def run_job(job: Job, context: Context | None = None) -> Result:
    """Run the job here and now, without a store.

    Raises DeblurError where this code lacks the task or has another numerics version, TypeError for arrays of objects,
    and what the task raises.
    """
    context = context or Context()
    module, _, name = job.task.partition(":")
    try:
        function = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise DeblurError(f"This code has no task {job.task} ({error}): run the job with its own code.") from error
    if function.numerics != job.numerics:
        raise DeblurError(
            f"{job} is of numerics version {job.numerics}, this code of {function.numerics}: create it anew."
        )
    started = time.perf_counter()
    values, arrays = function(context, **job.settings)
    seconds = time.perf_counter() - started
    arrays = {name: np.asarray(array) for name, array in arrays.items()}
    if pickled := [name for name, array in arrays.items() if array.dtype.hasobject]:
        raise TypeError(f"{job} returned arrays of Python objects: {', '.join(pickled)}.")
    facts = provenance(context.device, seconds, context.checkpoint.resumed)
    return Result(job, _plain(values), arrays, facts)


def canonical(value: Any) -> str:
    """The one JSON text of `value`. ValueError for NaN and infinity, TypeError for what JSON cannot say.

    A dataclass's field with the metadata {"later": True} came after results had been recorded: it is left out at its
    default, so that these keep their keys.
    """
    return json.dumps(value, sort_keys=True, allow_nan=False, separators=(",", ":"), default=_encode)


def from_settings(kind: type[T], settings: dict[str, Any]) -> T:
    """The dataclass that became `settings` in a job: lists are tuples again, and dataclasses inside it themselves."""
    hints = get_type_hints(kind)

    def revived(name: str, value: Any) -> Any:
        if dataclasses.is_dataclass(hints.get(name)):
            return from_settings(hints[name], value)
        return tuple(value) if isinstance(value, list) else value

    return kind(**{name: revived(name, value) for name, value in settings.items()})


def _plain(value: Any) -> Any:
    """`value` as it comes back from the store, so that fresh and stored results are the same."""
    return json.loads(json.dumps(value, default=_encode), parse_constant=lambda _: None)


def _encode(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = ((field, getattr(value, field.name)) for field in dataclasses.fields(value))
        return {field.name: held for field, held in fields if held != field.default or not field.metadata.get("later")}
    if isinstance(value, (np.generic, np.ndarray)):
        return value.tolist()
    raise TypeError(f"{value!r} is a {type(value).__name__}, which JSON cannot say.")
