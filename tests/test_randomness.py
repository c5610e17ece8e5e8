"""Networks that threads build at the same time get the weights that they would get alone."""

import threading

import torch
from torch import nn

from deblur_core import data
from deblur_core.randomness import own_randomness
from deblur_core.solvers import selfdeblur
from deblur_core.training import seeded


def test_the_global_state_goes_on_as_if_nothing_had_been():
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    with own_randomness(1):
        drawn = torch.rand(2)
        with own_randomness(1):
            assert torch.equal(torch.rand(2), drawn)
    assert torch.equal(torch.rand(3), expected)


def test_solvers_in_other_threads_do_not_disturb_what_a_seed_decides():
    def build():
        return nn.Sequential(*(nn.Conv2d(16, 16, 3) for _ in range(20)))

    alone = seeded(build, 1)
    y, over = data.load("builtin", "im1_kernel1").blurry[..., :48, :48], threading.Event()

    def disturb():
        while not over.is_set():
            selfdeblur.optimisation(y, 5, selfdeblur.recipe("quick", width=8), 0, "cpu")

    others = [threading.Thread(target=disturb) for _ in range(2)]
    for other in others:
        other.start()
    try:
        for _ in range(20):
            again = seeded(build, 1)
            assert all(torch.equal(a, b) for a, b in zip(again.parameters(), alone.parameters(), strict=True))
    finally:
        over.set()
        for other in others:
            other.join()
