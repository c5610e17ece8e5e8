"""SelfDeblur's networks: their size, their constraints, and the shortcuts they take."""

import pytest
import torch
import torch.nn.functional as F

from deblur_core.models.counting import count_macs, count_parameters
from deblur_core.models.selfdeblur import (
    BatchNorm,
    Concatenate,
    ConvolutionalKernelNetwork,
    ImageNetwork,
    KernelNetwork,
    NonLocal,
    Scale,
    UnbiasedConv,
    draw_image_input,
    initialize,
)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize(("width", "skip", "parameters"), [(128, 16, 2_365_521), (64, 8, 596_521), (32, 4, 151_701)])
def test_image_network_has_the_size_of_the_released_one(width, skip, parameters):
    assert count_parameters(ImageNetwork(width, skip)) == parameters


def test_the_nonlocal_blocks_hold_100_032_of_the_parameters():
    assert count_parameters(ImageNetwork()) - count_parameters(ImageNetwork(nonlocal_from=None)) == 100_032


@pytest.mark.parametrize(("side", "parameters"), [(11, 322_121), (19, 562_361), (27, 930_729), (75, 5_831_625)])
def test_kernel_network_has_the_size_of_the_released_one(side, parameters):
    assert count_parameters(KernelNetwork(side)) == parameters


@pytest.mark.parametrize(("side", "macs"), [(281, 24.5e9), (154, 7.35e9), (100, 3.1e9)])
def test_multiply_adds_of_the_image_network(side, macs):
    z = torch.empty(1, 8, side, side, device="meta")
    assert count_macs(ImageNetwork(), z) == pytest.approx(macs, rel=0.01)


@pytest.mark.parametrize(("height", "width"), [(64, 64), (45, 70), (33, 37), (47, 101)])
def test_images_of_any_size_stay_within_0_and_1(height, width):
    network = initialize(ImageNetwork(8, 2), generator())
    x = network(draw_image_input(height, width, generator(1)))
    assert x.shape == (1, 1, height, width)
    assert 0 <= x.min() < x.max() <= 1


@pytest.mark.parametrize("make", [lambda side: KernelNetwork(side, 0), lambda side: KernelNetwork(side, 1),
                                  lambda side: KernelNetwork(side, 2),
                                  lambda side: ConvolutionalKernelNetwork(side, 8, 2)])  # fmt: skip
@pytest.mark.parametrize("side", [3, 5, 11, 27])
def test_kernels_are_non_negative_and_sum_to_one(make, side):
    network = initialize(make(side), generator())
    k = network(network.draw_input(generator(1)))
    assert k.shape == (1, side, side)
    assert k.min() >= 0
    assert k.sum().item() == pytest.approx(1, abs=1e-5)


def test_hidden_layers_change_the_depth():
    depths = [
        sum(isinstance(module, torch.nn.Linear) for module in KernelNetwork(11, layers).modules())
        for layers in range(3)
    ]
    assert depths == [1, 2, 3]


def test_nonlocal_block_starts_as_the_identity():
    features = torch.randn(1, 8, 9, 7, generator=generator())
    assert torch.equal(NonLocal(8)(features), features)


def test_nonlocal_block_equals_the_affinity_it_never_builds():
    block = initialize(NonLocal(8), generator()).double()
    torch.nn.init.ones_(block.norm.weight)
    features = torch.randn(1, 8, 9, 7, generator=generator(1)).double()
    theta = block.query(features).flatten(2)
    phi = F.max_pool2d(block.key(features), 2).flatten(2)
    g = F.max_pool2d(block.value(features), 2).flatten(2)
    affinity = theta.mT @ phi / phi.shape[-1]  # (1, positions, pooled positions)
    attended = (affinity @ g.mT).mT.reshape(1, 4, 9, 7)
    expected = features + block.norm(block.project(attended))
    assert torch.allclose(block(features), expected, atol=1e-12)


def test_a_bias_before_batch_normalisation_changes_nothing():
    conv, norm = initialize(UnbiasedConv(3, 5, 3), generator()).double(), BatchNorm(5).double()
    features = torch.randn(1, 3, 8, 9, generator=generator(1)).double()
    with_bias = norm(F.conv2d(features, conv.weight, conv.bias + 1.5))
    assert torch.allclose(norm(conv(features)), with_bias, atol=1e-12)


def test_initialisation_follows_its_generator_alone():
    a, b, c = (initialize(ImageNetwork(8, 2), generator(seed)).to_image.weight for seed in (0, 0, 1))
    assert torch.equal(a, b)
    assert not torch.equal(a, c)
    weights = initialize(torch.nn.Linear(400, 300), generator()).weight
    assert weights.abs().max() <= 1 / 20
    assert weights.std().item() == pytest.approx(1 / 20 / 3**0.5, rel=0.02)  # PyTorch's own default
    assert weights.mean().item() == pytest.approx(0, abs=1e-3)
    bias = initialize(torch.nn.Linear(400, 3000), generator()).bias
    assert bias.std().item() == pytest.approx(1 / 20 / 3**0.5, rel=0.05) and abs(bias.mean().item()) < 2e-3


def test_a_scale_by_hand():
    scale = initialize(Scale(3, 4, 2, inner=None, attends=False), generator()).double()
    z = torch.randn(1, 3, 9, 12, generator=generator(1)).double()

    def standardised(features):
        variance, mean = torch.var_mean(features, (2, 3), correction=0, keepdim=True)
        return (features - mean) / (variance + 1e-5).sqrt()

    def activated(features):
        normal = standardised(features)
        return torch.where(normal < 0, 0.2 * normal, normal)

    def mirrored(features, layer, stride=1):
        return F.conv2d(F.pad(features, (1, 1, 1, 1), "reflect"), layer.weight, stride=stride)

    deep = activated(mirrored(activated(mirrored(z, scale.down[0], 2)), scale.refine[0]))
    deep = F.interpolate(deep, scale_factor=2, mode="bilinear", align_corners=False)[..., :9, :12]
    both = torch.cat((activated(F.conv2d(z, scale.skip[0].weight)), deep), 1)
    merged = activated(mirrored(standardised(both), scale.merge[1]))
    expected = activated(F.conv2d(merged, scale.merge[4].weight))
    assert torch.allclose(scale(z), expected, atol=1e-9)


def test_concatenation_gives_every_part_its_own_gradient():
    parts = [torch.rand(1, channels, 4, 5, requires_grad=True) for channels in (2, 3, 5)]
    weight = torch.rand(1, 10, 4, 5)
    joined = Concatenate.apply(*parts)
    assert torch.equal(joined, torch.cat(parts, 1))
    gradients = torch.autograd.grad((joined * weight).sum(), parts)
    assert all(torch.equal(a, b) for a, b in zip(gradients, weight.split((2, 3, 5), 1), strict=True))


def test_a_kernel_network_by_hand():
    network = initialize(KernelNetwork(3, 1, hidden_width=20), generator()).double()
    first, last = network.hidden[0], network.to_kernel
    with torch.no_grad():
        first.weight.mul_(1000)  # beyond ReLU6's ends
    z = network.draw_input(generator(1)).double()
    hidden = first.weight @ z + first.bias
    assert hidden.min() < 0 and hidden.max() > 6
    shares = (last.weight @ hidden.clamp(0, 6) + last.bias).exp()
    assert torch.allclose(network(z), (shares / shares.sum()).reshape(1, 3, 3).float(), atol=1e-6)


def test_a_convolutional_kernel_is_shared_out_among_all_positions():
    network = initialize(ConvolutionalKernelNetwork(5, 8, 2), generator())
    z = network.draw_input(generator(1))
    shares = network.network.to_image(network.network.scales(z)).exp()
    assert torch.allclose(network(z), shares[0] / shares.sum(), atol=1e-6)


def test_inputs_are_uniform_up_to_a_tenth():
    for z in (
        draw_image_input(9, 12, generator()),
        KernelNetwork(5).draw_input(generator()),
        ConvolutionalKernelNetwork(5, 8, 2).draw_input(generator()),
    ):
        assert 0 <= z.min() < 0.005 and 0.095 < z.max() <= 0.1
        assert z.mean().item() == pytest.approx(0.05, abs=0.006)


def test_a_kernel_is_halved_until_two_pixels_are_left_and_five_times_at_most():
    networks = [ConvolutionalKernelNetwork(side, 4, 2) for side in (3, 5, 27, 75)]
    assert [sum(isinstance(layer, Scale) for layer in network.modules()) for network in networks] == [1, 2, 4, 5]


def test_only_the_coarser_scales_attend_to_all_of_the_picture():
    scales = [layer for layer in ImageNetwork(4, 2, nonlocal_from=2).modules() if isinstance(layer, Scale)]
    assert [isinstance(scale.nonlocal_block, NonLocal) for scale in scales] == [False, False, True, True, True]
