"""XYDeblur: its size, its rotations, and what its decoders share."""

import pytest
import torch

from deblur_core.errors import UsageError
from deblur_core.models.counting import count_macs, count_parameters
from deblur_core.models.selfdeblur import initialize
from deblur_core.models.xydeblur import ResidualBlock, XYDeblur, rotate, with_rotated_features, with_rotated_weights


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def small(decoders=2, shared=True, seed=0):
    return initialize(XYDeblur(decoders, shared, width=4, blocks=1), generator(seed)).double()


def picture(*shape, seed=1):
    return torch.rand(shape, generator=generator(seed)).double()


@pytest.mark.parametrize("decoders", [1, 2, 3, 4])
def test_shared_decoders_cost_no_parameters(decoders):
    assert count_parameters(XYDeblur(decoders)) == 4_918_627


@pytest.mark.parametrize("decoders", [1, 2, 3])
def test_every_separate_decoder_has_its_own_parameters(decoders):
    assert count_parameters(XYDeblur(decoders, shared=False)) == 2_418_368 + decoders * 2_500_259


@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize(("decoders", "macs"), [(1, 640.5e9), (2, 965.9e9), (3, 1291.4e9), (4, 1616.8e9)])
def test_multiply_adds_grow_with_the_decoders_alone(decoders, macs, shared):
    y = torch.empty(1, 3, 720, 1280, device="meta")
    assert count_macs(XYDeblur(decoders, shared), y) == pytest.approx(macs, abs=0.05e9)


def test_wider_and_deeper_single_decoders_cost_as_much_as_two():
    y = torch.empty(1, 3, 720, 1280, device="meta")
    pair = count_macs(XYDeblur(2), y)
    for control in (XYDeblur(1, width=39), XYDeblur(1, blocks=9)):
        assert count_macs(control, y) == pytest.approx(pair, rel=0.03)
        assert count_parameters(control) > 1.4 * count_parameters(XYDeblur(2))


@pytest.mark.parametrize("decoders", [1, 2, 3, 4])
@pytest.mark.parametrize("size", [(16, 16), (12, 20)])
def test_rotating_weights_is_rotating_features(decoders, size):
    network, y = small(decoders), picture(2, 3, *size)
    target = picture(decoders, 2, 3, *size, seed=2)
    gradients = []
    for decode in (with_rotated_weights, with_rotated_features):
        residuals = network.residuals(y, decode)
        gradients.append([residuals, *torch.autograd.grad((residuals * target).sum(), network.parameters())])
    for first, second in zip(*gradients, strict=True):
        assert torch.allclose(first, second, rtol=1e-10, atol=1e-10)


def test_every_convolution_but_those_of_residuals_is_rectified():
    block, f = ResidualBlock(3), picture(1, 3, 5, 5).float() - 0.5
    torch.testing.assert_close(block(f), f + block.second(block.first(f).clamp_min(0)))
    network = XYDeblur(1, width=4, blocks=1)
    counts = [sum(isinstance(layer, torch.nn.ReLU) for layer in part.modules())
              for part in (network.encoder, network.decoders[0])]  # fmt: skip
    assert counts == [3, 4], "at every resolution; after every enlargement and every merging"


def test_kernels_turn_counter_clockwise():
    """A decoder whose only kernel looks one pixel to the right looks one pixel up after a quarter turn."""
    decoder = torch.nn.Conv2d(1, 1, 3, padding=1, bias=False)
    torch.nn.init.zeros_(decoder.weight)
    decoder.weight.data[0, 0, 1, 2] = 1
    dot = torch.zeros(1, 1, 5, 5)
    dot[0, 0, 2, 2] = 1
    moved = with_rotated_weights(decoder, (dot,), 1)
    assert moved[0, 0, 3, 2] == 1, "the pixel below the dot sees it above"
    assert torch.equal(with_rotated_features(decoder, (dot,), 1), moved)


def test_four_shared_decoders_restore_rotated_features_as_they_restore_features():
    """The sum over all four rotations is equivariant; decoder i + 1 draws rotated what decoder i drew."""
    network = small(4)
    features = network.encode(picture(1, 3, 16, 12))
    turned = tuple(rotate(feature, 1) for feature in features)
    drawn = [with_rotated_weights(network.decoders[0], features, turns) for turns in range(4)]
    again = [with_rotated_weights(network.decoders[0], turned, turns) for turns in range(4)]
    for i in range(4):
        assert torch.allclose(again[(i + 1) % 4], rotate(drawn[i], 1), atol=1e-12)
    assert torch.allclose(sum(again), rotate(sum(drawn), 1), atol=1e-12)


@pytest.mark.parametrize("decoders", [1, 2, 4])
def test_the_whole_network_does_not_commute_with_rotation(decoders):
    network, y = small(decoders), picture(1, 3, 16, 16)
    assert not torch.allclose(network(rotate(y, 1)), rotate(network(y), 1), atol=1e-4)


def test_the_restored_picture_is_the_blurry_one_and_all_residuals():
    for shared in (True, False):
        network, y = small(3, shared), picture(2, 3, 11, 18)
        residuals = network.residuals(y)
        assert residuals.shape == (3, *y.shape)
        assert torch.allclose(network(y), y + residuals[0] + residuals[1] + residuals[2])


def test_one_decoder_is_a_u_net_whoever_it_might_share_with():
    assert torch.equal(small(1)(picture(1, 3, 8, 8)), small(1, shared=False)(picture(1, 3, 8, 8)))


def test_a_step_on_one_residual_moves_shared_decoders_together_and_separate_ones_alone():
    y = picture(1, 3, 12, 12)
    for shared in (True, False):
        network = small(2, shared)
        before = network.residuals(y).detach()
        optimizer = torch.optim.SGD(network.decoders.parameters(), lr=0.1)
        network.residuals(y)[0].square().sum().backward()
        optimizer.step()
        after = network.residuals(y).detach()
        assert not torch.allclose(after[0], before[0])
        assert torch.equal(after[1], before[1]) is not shared
        if shared:
            features = network.encode(y)
            assert torch.allclose(after[1], with_rotated_features(network.decoders[0], features, 1))


@pytest.mark.parametrize("shared", [True, False])
def test_every_weight_learns(shared):
    network = small(2, shared)
    (network(picture(1, 3, 16, 16)) - picture(1, 3, 16, 16, seed=2)).abs().mean().backward()
    assert all(weight.grad.abs().max() > 0 for weight in network.parameters())


@pytest.mark.parametrize("size", [(3, 3), (4, 4), (5, 9), (6, 31), (7, 8), (33, 48)])
def test_any_size_is_restored(size):
    y = picture(2, 3, *size)
    x = small()(y)
    assert x.shape == y.shape
    assert x.isfinite().all()


def test_sizes_in_between_see_a_mirrored_border():
    network, y = small(), picture(1, 3, 12, 18)
    mirrored = torch.cat((y, y[..., [16, 15]]), -1)
    assert torch.allclose(network(y), network(mirrored)[..., :18], atol=1e-12)
    assert not torch.allclose(network(y), network(torch.cat((y, y[..., [0, 0]]), -1))[..., :18], atol=1e-6)


@pytest.mark.parametrize("shape", [(1, 1, 16, 16), (1, 4, 16, 16), (3, 16, 16), (1, 16, 16, 3)])
def test_pictures_without_three_channels_are_refused(shape):
    with pytest.raises(UsageError, match="colour pictures"):
        small()(torch.rand(shape))


def test_bytes_are_refused():
    with pytest.raises(UsageError, match=r"of floats in \[0, 1\], not torch\.uint8"):  # it drew on them
        small()(torch.full((1, 3, 16, 16), 100, dtype=torch.uint8))


@pytest.mark.parametrize("size", [(1, 1), (1, 64), (64, 2)])
def test_pictures_of_a_pixel_or_two_are_refused(size):
    with pytest.raises(UsageError, match="at least 3 x 3"):
        small()(torch.rand(1, 3, *size))


@pytest.mark.parametrize(("decoders", "shared"), [(0, True), (5, True), (0, False), (-1, False)])
def test_impossible_numbers_of_decoders_are_refused(decoders, shared):
    with pytest.raises(UsageError, match="decoders"):
        XYDeblur(decoders, shared)


def test_initialisation_follows_its_generator_alone():
    y = picture(1, 3, 16, 16)
    assert torch.equal(small(seed=0)(y), small(seed=0)(y))
    assert not torch.allclose(small(seed=0)(y), small(seed=1)(y))
    upsampling = initialize(XYDeblur(1), generator()).decoders[0].coarse[-2].weight  # 128 to 64 channels, 4x4
    assert upsampling.abs().max() <= 1 / 32  # PyTorch's own default, fan in 64 * 16


def test_weights_travel_between_numbers_of_shared_decoders():
    single, pair, y = small(1), small(2, seed=1), picture(1, 3, 16, 16)
    pair.load_state_dict(single.state_dict(), strict=True)
    assert torch.equal(pair.residuals(y)[:1], single.residuals(y))
    with pytest.raises(RuntimeError, match=r"decoders\.1"):
        small(2, shared=False).load_state_dict(single.state_dict(), strict=True)


def test_bfloat16_weights_keep_the_picture_in_float32():
    network = initialize(XYDeblur(2, width=8, blocks=1), generator())
    y = picture(1, 3, 16, 16).float()
    with torch.no_grad():
        exact, rounded = network(y), network.bfloat16()(y)
    assert rounded.dtype == torch.float32
    assert (rounded - exact).abs().max() < 0.01 * (exact - y).abs().max() + 1e-3


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_the_layout_of_memory_changes_nothing(layout):
    y = picture(2, 3, 16, 20)
    assert torch.allclose(small().to(memory_format=layout)(y.to(memory_format=layout)), small()(y), atol=1e-12)
