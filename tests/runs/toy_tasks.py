"""Small tasks for the tests of the engine, in a module of their own because workers import them."""

import os
import signal
import threading
import time

import numpy as np
import torch

from deblur_core.errors import DeblurError
from deblur_core.runs import Context, Job, task


def note(line: str) -> None:
    """Leave a trace that outlives a kill, where a test asked for one."""
    if path := os.environ.get("TOY_TRACE"):
        with open(path, "a") as file:
            file.write(line + "\n")


@task(numerics=3)
def noise(context: Context, *, seed: int, size: int = 8, wait: float = 0.0):
    note(f"noise {seed}")
    time.sleep(wait)
    field = torch.randn(size, generator=torch.Generator().manual_seed(seed))
    return {"mean": field.mean().item(), "best": float("inf"), "pair": (1, np.float32(0.5))}, {"field": field}


@task()
def walk(context: Context, *, seed: int, steps: int, wait: float = 0.0):
    """A random walk whose every step depends on all before it: a resumed one shows any loss of state."""
    generator = torch.Generator().manual_seed(seed)
    place, begun = torch.zeros(4, dtype=torch.float64), 0
    if state := context.checkpoint.load():
        generator.set_state(state["generator"])
        place, begun = state["place"], state["step"]
    for step in range(begun, steps):
        note(f"walk {seed} {step}")
        place = torch.sin(3 * place) + torch.randn(4, generator=generator, dtype=torch.float64)
        if step % 5 == 4:
            context.checkpoint.save({"generator": generator.get_state(), "place": place, "step": step + 1})
        time.sleep(wait)
    return {"norm": place.norm().item()}, {"place": place.numpy()}


@task()
def fragile(context: Context, *, seed: int, mood: str = "fine"):
    note(f"fragile {seed}")
    if mood == "error":
        raise ValueError(f"seed {seed} is unlucky")
    if mood == "sentence":
        raise DeblurError("The picture is too small.")
    if mood == "interrupt":
        raise KeyboardInterrupt
    if mood == "killed":
        time.sleep(1)
        os.kill(os.getpid(), signal.SIGKILL)
    return {"seed": seed}, {}


_meeting = threading.Barrier(2)


@task()
def meet(context: Context, *, seed: int):
    """Ends only if two threads are in it at the same time."""
    _meeting.wait(timeout=20)
    return {}, {}


@task()
def objects(context: Context):
    return {}, {"objects": np.array([{}, []], dtype=object)}


@task()
def worker(context: Context, *, seed: int):
    time.sleep(0.2)
    return {"threads": torch.get_num_threads(), "process": os.getpid()}, {}


@task()
def matrices(context: Context, *, seed: int):
    """Enough work on a GPU for jobs to overlap, and the stream that it ran on."""
    generator = torch.Generator(context.device).manual_seed(seed)
    x = torch.randn(512, 512, generator=generator, device=context.device)
    for _ in range(100):
        x = torch.sin(x @ x)
    return {"stream": torch.cuda.current_stream().cuda_stream}, {"x": x.cpu()}


def undecorated(context: Context):
    return {}, {}


def noise_jobs(count: int, **settings) -> list[Job]:
    return [Job.create(noise, seed=seed, **settings) for seed in range(count)]


def walk_jobs(wait: float = 0.0) -> list[Job]:
    return [Job.create(walk, seed=seed, steps=23, wait=wait) for seed in range(3)]


@task()
def doubled(context: Context, *, seed: int):
    """Builds on the result of another job."""
    base = context.result(Job.create(noise, seed=seed))
    return {"mean": 2 * base.values["mean"]}, {"field": 2 * base.arrays["field"]}
