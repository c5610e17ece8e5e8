"""Counts of parameters and multiply-accumulates against counts by hand."""

import pytest
import torch
from torch import nn

from deblur_core.models.counting import count_macs, count_macs_as_ptflops, count_parameters, peak_memory


class Product(nn.Module):
    def forward(self, a, b):
        return a @ b


class Shared(nn.Module):
    """One weight in two layers, a buffer that is not saved, and a tensor made on the way."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(4, 4, bias=False), nn.Linear(4, 4, bias=False)
        self.second.weight = self.first.weight
        self.register_buffer("offset", torch.ones(4), persistent=False)

    def forward(self, x):
        return self.second(self.first(x)) + self.offset + torch.arange(4)


@pytest.mark.parametrize(
    ("module", "shape", "macs", "parameters"),
    [
        (nn.Conv2d(3, 8, 3, padding=1), (1, 3, 20, 30), 20 * 30 * 8 * 3 * 9, 8 * 3 * 9 + 8),
        (nn.Conv2d(3, 8, (3, 5), stride=2), (2, 3, 21, 31), 2 * 10 * 14 * 8 * 3 * 15, 8 * 3 * 15 + 8),
        (nn.Conv2d(8, 6, 3, groups=2, bias=False), (1, 8, 7, 9), 5 * 7 * 6 * 4 * 9, 6 * 4 * 9),
        (nn.Conv2d(8, 8, 3, groups=8, bias=False), (1, 8, 7, 9), 5 * 7 * 8 * 9, 8 * 9),
        (nn.Conv2d(1, 1, 3, dilation=2, bias=False), (1, 1, 9, 9), 5 * 5 * 9, 9),
        # every input pixel of a transposed convolution meets the whole kernel, whatever the stride
        (nn.ConvTranspose2d(8, 6, 4, stride=2, padding=1), (1, 8, 7, 9), 7 * 9 * 8 * 6 * 16, 8 * 6 * 16 + 6),
        (nn.ConvTranspose2d(8, 6, 3, stride=2, groups=2), (2, 8, 7, 9), 2 * 7 * 9 * 8 * 3 * 9, 8 * 3 * 9 + 6),
        (nn.Linear(200, 1000), (1, 200), 200 * 1000, 200 * 1000 + 1000),
        (nn.Linear(200, 1000), (200,), 200 * 1000, 200 * 1000 + 1000),
        (nn.Linear(5, 7, bias=False), (2, 3, 5), 2 * 3 * 5 * 7, 5 * 7),
        (nn.Sequential(nn.BatchNorm2d(3), nn.ReLU(), nn.Upsample(scale_factor=2)), (1, 3, 8, 8), 0, 6),
        (nn.Sequential(nn.Conv2d(1, 2, 1), nn.Conv2d(2, 1, 1)), (1, 1, 5, 5), 25 * 2 + 25 * 2, 4 + 3),
        (Shared(), (3, 4), 2 * 3 * 4 * 4, 16),
    ],
)
def test_counts_by_hand(module, shape, macs, parameters):
    assert count_macs(module, torch.zeros(shape)) == macs
    assert count_parameters(module) == parameters


@pytest.mark.parametrize(
    ("a", "b", "macs"),
    [
        ((5, 6), (6, 7), 5 * 6 * 7),
        ((2, 3, 5, 6), (2, 3, 6, 7), 2 * 3 * 5 * 6 * 7),
        ((5, 6), (6,), 5 * 6),
        ((6,), (6,), 6),
    ],
)
def test_matrix_products_by_hand(a, b, macs):
    assert count_macs(Product(), torch.zeros(a), torch.zeros(b)) == macs


def test_attention_by_hand():
    attention = nn.MultiheadAttention(16, num_heads=4, batch_first=True)
    tokens = torch.zeros(2, 10, 16)
    projections, scores_and_sums = 4 * 2 * 10 * 16 * 16, 2 * 2 * 10 * 10 * 16
    assert count_macs(attention, tokens, tokens, tokens) == projections + scores_and_sums


def test_frozen_parameters_count():
    assert count_parameters(nn.Linear(3, 2).requires_grad_(False)) == 8


def test_counting_computes_nothing():
    wide = nn.Conv2d(3, 10_000, 3, padding=1)  # its output at 720p would take 37 GB
    assert count_macs(wide, torch.empty(1, 3, 720, 1280, device="meta")) == 720 * 1280 * 10_000 * 27


def test_counting_leaves_the_module_as_it_was():
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)).train()
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    count_macs(module, torch.randn(2, 3, 8, 8))
    after = module.state_dict()
    assert all(torch.equal(after[name], tensor) for name, tensor in before.items())
    assert module.training
    assert module(torch.randn(2, 3, 8, 8)).device.type == "cpu"


def test_ptflops_counts_biases_activations_and_transposed_convolutions_at_their_output():
    network = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1, bias=False), nn.ReLU(), nn.ConvTranspose2d(8, 6, 4, stride=2, padding=1)
    )
    expected = 7 * 9 * 8 * 3 * 9 + 7 * 9 * 8 + 14 * 18 * 6 * (8 * 16 + 1)
    assert count_macs_as_ptflops(network, torch.zeros(1, 3, 7, 9)) == expected


def convolutions(number):
    return nn.Sequential(*(nn.Conv2d(4, 4, 3, padding=1, bias=False) for _ in range(number)))


@pytest.mark.parametrize("device", ["meta", "cpu"])
def test_peak_memory_by_hand(device):
    """Pictures of 4 x 10 x 10 floats. Without gradients input and output of one layer are all there is; with them every
    layer's output waits for the backward pass."""
    picture, y = 4 * 4 * 10 * 10, torch.zeros(1, 4, 10, 10, device=device)
    assert peak_memory(convolutions(5).to(device), y, training=False) == 2 * picture
    grown = [peak_memory(convolutions(n).to(device), y) for n in (10, 11, 12)]
    assert grown[1] - grown[0] == grown[2] - grown[1] == picture
    assert peak_memory(nn.Flatten().to(device), y, training=False) == 0, "a view of the input takes nothing"


def test_peak_memory_leaves_the_module_alone():
    module = convolutions(2)
    peak_memory(module, torch.zeros(1, 4, 10, 10))
    assert all(weight.grad is None and weight.device.type == "cpu" for weight in module.parameters())
