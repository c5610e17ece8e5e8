"""SRN: the published size, three passes of one network, a memory that hands on, any size of picture."""

import pytest
import torch
from torch.nn.functional import avg_pool2d, interpolate

from deblur_core.errors import UsageError
from deblur_core.models.counting import count_macs, count_parameters
from deblur_core.models.selfdeblur import initialize
from deblur_core.models.srn import SRN, ConvLSTM, pyramid, srn_loss
from deblur_core.training import Settings, seeded, start_quietly, train


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def small(seed=0, **sizes):
    return initialize(SRN(**{"width": 4, "blocks": 1} | sizes), generator(seed)).double()


def picture(*shape, seed=1):
    return torch.rand(shape, generator=generator(seed)).double()


def test_parameters_at_the_papers_size_by_hand():
    """A residual block has two convolutions of 5 x 5 kernels; encoder and decoder have three of them a resolution."""
    blocks = sum(6 * 2 * (25 * c**2 + c) for c in (32, 64, 128))
    down = (25 * 6 * 32 + 32) + (25 * 32 * 64 + 64) + (25 * 64 * 128 + 128)
    up = (16 * 128 * 64 + 64) + (16 * 64 * 32 + 32) + (25 * 32 * 3 + 3)
    memory = 9 * 256 * 512 + 512
    with torch.device("meta"):
        network, y = SRN(), torch.empty(1, 3, 720, 1280)
        once = SRN(scales=1)
    assert count_parameters(network) == blocks + down + up + memory == 8_061_411
    assert count_parameters(once) == count_parameters(network), "all scales share their weights"
    assert count_macs(network, y) == pytest.approx(count_macs(once, y) * (1 + 1 / 4 + 1 / 16), rel=0.01)


@pytest.mark.parametrize("size", [(9, 13), (16, 32), (33, 48)])
def test_any_size_is_restored_at_every_scale_and_every_weight_learns(size):
    network, y, sharp = small(), picture(2, 3, *size), picture(2, 3, *size, seed=2)
    estimates = network.all_scales(y)
    assert [x.shape for x in estimates] == [target.shape for target in pyramid(sharp, 3)]
    assert torch.equal(network(y), estimates[0]) and estimates[0].shape == y.shape
    srn_loss(network, (y, sharp), generator()).backward()
    assert all(weight.grad is not None and weight.grad.abs().max() > 0 for weight in network.parameters())


def test_what_draws_nothing_changes_nothing():
    network, y = small(), picture(1, 3, 18, 20)
    torch.nn.init.zeros_(network.draw[-1].weight)
    torch.nn.init.zeros_(network.draw[-1].bias)
    assert torch.equal(network(y), y)
    assert start_quietly(SRN(4, 1))(y.float()).sub(y).abs().max() < 0.05


def test_the_loss_is_the_sum_of_the_scales():
    class Offsets:
        """Is wrong by 1 at full size, by 2 at half and by 3 at a quarter."""

        def all_scales(self, y):
            return [x + 1 + i for i, x in enumerate(pyramid(y, 3))]

    y = picture(1, 3, 16, 16)
    assert srn_loss(Offsets(), (y, y), generator()).item() == pytest.approx(1 + 4 + 9)


def test_halves_are_means_of_four_pixels_and_an_odd_side_is_rounded_up():
    y = picture(1, 3, 12, 8)
    assert torch.allclose(pyramid(y, 3)[2], avg_pool2d(y, 4))
    odd = pyramid(torch.ones(1, 3, 7, 5), 3)
    assert [tuple(x.shape[-2:]) for x in odd] == [(7, 5), (4, 3), (2, 2)]
    assert all((x == 1).all() for x in odd), "nothing from beyond the border"


def test_the_coarse_pass_reaches_the_fine_one_by_its_estimate_and_by_memory():
    network, y = small(), picture(1, 3, 32, 32)
    coarse = pyramid(y, 3)[2]
    alone = SRN(4, 1, scales=1).double()
    alone.load_state_dict(network.state_dict())
    assert torch.allclose(alone(coarse), network.all_scales(y)[2]), "the coarsest pass sees its own picture alone"
    for cut in (lambda m: m.memory.gates.weight[:, 16:], lambda m: m.fine[0].weight[:, 3:]):
        deaf = small()
        with torch.no_grad():
            cut(deaf).zero_()
        assert (deaf(y) - network(y)).abs().max() > 1e-6


def test_three_passes_by_hand():
    network, y = small(), picture(1, 3, 32, 48)

    def enlarged(tensor, like):
        return interpolate(tensor, like.shape[-2:], mode="bilinear", align_corners=False)

    x, state, estimates = avg_pool2d(y, 4), None, []
    for blurry in (avg_pool2d(y, 4), avg_pool2d(y, 2), y):
        fine = network.fine(torch.cat((blurry, enlarged(x, blurry)), 1))
        middle = network.middle(fine)
        coarse = network.coarse(middle)
        hidden, cell = (torch.zeros_like(coarse),) * 2 if state is None else (enlarged(s, coarse) for s in state)
        gates = network.memory.gates(torch.cat((coarse, hidden), 1))
        forget, admit, show = gates[:, :48].sigmoid().chunk(3, 1)
        cell = forget * cell + admit * gates[:, 48:].tanh()
        state = show * cell.tanh(), cell
        x = blurry + network.draw(fine + network.to_fine(middle + network.to_middle(state[0])))
        estimates.insert(0, x)
    for found, expected in zip(network.all_scales(y), estimates, strict=True):
        torch.testing.assert_close(found, expected)
    assert network.fine[:2](picture(1, 6, 8, 8) - 0.5).min() == network.to_fine(picture(1, 8, 8, 8) - 0.5).min() == 0


def test_no_gradient_flows_from_an_estimate_into_the_coarser_one():
    """The last bias is added to every pixel of an estimate, and so is its gradient: once, of this estimate alone."""
    network, y = small(), picture(1, 3, 32, 48)
    network.all_scales(y)[0].sum().backward()
    assert network.draw[-1].bias.grad.tolist() == pytest.approx([32 * 48] * 3)


def test_memory_by_hand():
    """Gates that see nothing but their biases: every pixel of a state is one number, and so is an enlarged one."""
    memory = ConvLSTM(1).double()
    torch.nn.init.zeros_(memory.gates.weight)
    biases = torch.tensor([1.0, 2.0, 3.0, 4.0], dtype=torch.float64)
    with torch.no_grad():
        memory.gates.bias.copy_(biases)
    forget, admit, show = biases[:3].sigmoid()
    new = biases[3].tanh()
    hidden, cell = memory(picture(1, 1, 4, 6), None)
    assert torch.allclose(cell, (admit * new).expand_as(cell))
    assert torch.allclose(hidden, (show * torch.tanh(admit * new)).expand_as(hidden))
    _, again = memory(picture(1, 1, 8, 12), (hidden, cell))
    assert again.shape == (1, 1, 8, 12) and torch.allclose(again, (forget * admit * new + admit * new).expand_as(again))


def test_a_state_of_zeros_is_none():
    memory, features = initialize(ConvLSTM(3), generator()).double(), picture(2, 3, 5, 6)
    nothing = torch.zeros_like(features)
    for found, expected in zip(memory(features, None), memory(features, (nothing, nothing)), strict=True):
        assert torch.equal(found, expected)


def test_pictures_of_a_batch_do_not_mix():
    network, y = small(), picture(2, 3, 16, 16)
    assert torch.allclose(network(y)[1:], network(y[1:]))


@pytest.mark.usefixtures("bfloat16")
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_it_trains_in_both_precisions(precision):
    """To undo a change of brightness, from a start that does nothing."""
    x = torch.rand(4, 3, 16, 16, generator=generator())
    settings = Settings(steps=30, batch=4, crop=16, learning_rate=3e-3, precision=precision, average=0.0)
    network = seeded(lambda: start_quietly(SRN(4, 1)), seed=0)
    losses = train(network, srn_loss, lambda _: (0.8 * x, x), settings).losses
    assert losses[-1] < 0.5 * losses[0]


def test_wrong_requests_are_one_sentence():
    for shape in ((1, 3, 8, 8), (1, 1, 32, 32), (3, 32, 32)):
        with pytest.raises(UsageError, match="pictures"):
            small()(torch.rand(shape).double())
