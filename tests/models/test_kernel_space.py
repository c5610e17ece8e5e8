"""The encoded blur kernel space: its sizes at the paper's preset, pictures of any size, and what its loss counts."""

import pytest
import torch

from deblur_core.errors import UsageError
from deblur_core.models.counting import count_macs, count_parameters
from deblur_core.models.kernel_space import (
    Adapter,
    Block,
    Design,
    Encoding,
    KernelPrior,
    KernelSpace,
    MirroredBlock,
    charbonnier,
    divergence,
    kernel_space_loss,
    preset,
)

TINY = Design(8, 1, (8, 8, 16), 1, (8, 8, 16), 1, 8, variational=True)  # cells of 32 px


def tiny(seed=0):
    """With an extractor and an adapter that have something to say, as after some training."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = KernelSpace(TINY)
        for part in (model.extractor, model.adapter):
            for weight in part.parameters():
                weight.data *= 3
    return model


def pictures(*shape, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(("name", "millions", "extractor"), [("paper", 49.2, 25.5), ("paper_vae", 115.3, 91.6)])
def test_the_paper_s_sizes(name, millions, extractor):
    with torch.device("meta"):
        model = KernelSpace(preset(name))
    assert count_parameters(model) / 1e6 == pytest.approx(millions, abs=0.05)
    assert count_parameters(model.features) == 814_208
    assert count_parameters(model.extractor) / 1e6 == pytest.approx(extractor, abs=0.05)
    assert count_parameters(model.adapter) / 1e6 == pytest.approx(21.0, abs=0.05)
    assert count_parameters(model.reconstruction) / 1e6 == pytest.approx(1.81, abs=0.005)
    assert model.kernel_shape(256, 256) == (512, 2, 2)


def test_the_paper_s_multiply_adds_and_a_file_of_at_most_5_mb():
    with torch.device("meta"):
        model, picture = KernelSpace(preset("paper")), torch.empty(1, 3, 256, 256)
        shared = count_macs(model.features, picture)  # the features of the sharp picture serve both
        assert (count_macs(model, picture, picture) + shared) / 1e9 == pytest.approx(9.8 + 16.0, abs=0.1)
        assert 4 * count_parameters(KernelSpace(preset("small"))) < 5e6


@pytest.mark.parametrize(("height", "width"), [(32, 32), (33, 70), (96, 64)])
def test_pictures_of_any_size_from_one_cell_on(height, width):
    model, x = tiny(), pictures(2, 3, height, width)
    k = model.encode(x, pictures(2, 3, height, width, seed=1))
    assert k.mean.shape == k.deviation.shape == (2, *model.kernel_shape(height, width))
    assert model.blur(x, k.mean).shape == x.shape
    torch.testing.assert_close(model.blur(x, k.mean[:1])[:1], model.blur(x[:1], k.mean[:1]))  # one k blurs them all


def test_blur_depends_on_the_kernel_and_not_on_what_it_was_taken_from():
    model, x, other = tiny(), pictures(1, 3, 64, 64), pictures(1, 3, 64, 64, seed=1)
    k = model.encode(other, other.roll(1, -1)).mean
    assert not torch.allclose(model.blur(x, k), model.blur(x, k + 1), atol=1e-6)


def test_the_vae_term_is_twice_the_divergence():
    drawn = torch.Generator().manual_seed(0)
    mean, deviation = (torch.randn(2, 4, 2, 2, generator=drawn) for _ in range(2))
    normal = torch.distributions.Normal(mean, deviation.abs())
    expected = 2 * torch.distributions.kl_divergence(normal, torch.distributions.Normal(0.0, 1.0)).sum()
    assert divergence(Encoding(mean, deviation)).item() == pytest.approx(expected.item(), rel=1e-4)


def test_the_loss_by_hand():
    """Where two pictures were blurred alike, k of one has to fit the other."""
    torch.testing.assert_close(charbonnier(torch.tensor([0.0, 3e-3, -1.0])), torch.tensor([1e-3, 1e-5**0.5, 1.0]))
    model, y, x = tiny(), pictures(2, 3, 40, 64), pictures(2, 3, 40, 64, seed=1)
    encoding, seeded = model.encode(x, y), torch.Generator().manual_seed(3)
    k = encoding.mean + encoding.deviation * torch.randn(encoding.mean.shape, generator=seeded)
    model._blur = lambda sharp, _, k: sharp * k[:, :1, :1, :1]  # an operator that hangs on k
    for source in (torch.tensor([0, 1]), torch.tensor([1, 0])):
        again = x * k[source][:, :1, :1, :1]
        expected = ((again - y) ** 2 + 1e-6).sqrt().mean() + 10 * divergence(encoding) / x.numel()
        loss = kernel_space_loss(model, (y, x, source), torch.Generator().manual_seed(3))
        torch.testing.assert_close(loss, expected)


def test_the_adapter_by_hand():
    model, features, k = seeded_adapter(), pictures(1, 4, 16, 16) - 0.5, pictures(1, 3, 4, 4, seed=1) - 0.5
    (first, second), (last, middle) = model.down, model.up
    fine = first(features)
    coarse = second(torch.where(fine > 0, fine, 0.2 * fine))
    again = middle(torch.cat((coarse, k), 1).clamp_min(0))
    torch.testing.assert_close(model(features, k), last(torch.cat((fine, again), 1).clamp_min(0)).tanh())


def seeded_adapter():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return Adapter(4, (5, 6), 3)


def test_blocks_start_small_mirror_their_border_and_the_prior_of_k_starts_in_a_tenth():
    assert Block(64).first.weight.std().item() == pytest.approx(0.1 * (2 / (9 * 64)) ** 0.5, rel=0.02)
    flat = MirroredBlock(4)(torch.ones(1, 4, 5, 5))
    torch.testing.assert_close(flat, flat[..., 2:3, 2:3].expand_as(flat))
    z = KernelPrior(16, blocks=1).draw_input(2, 3, torch.Generator().manual_seed(0))
    assert z.shape == (1, 2, 64, 96) and z.min() >= 0 and 0.099 < z.max() <= 0.1


def test_other_sizes_are_extended_by_their_last_pixels_and_cropped_again():
    model, x = tiny(), pictures(1, 3, 40, 70)
    k = pictures(1, *model.kernel_shape(40, 70), seed=1)
    whole = torch.nn.functional.pad(x, (0, 26, 0, 24), mode="replicate")
    torch.testing.assert_close(model.blur(x, k), model.blur(whole, k)[..., :40, :70])


def test_the_loss_teaches_every_part_and_draws_from_its_generator_alone():
    model, batch = tiny(), (pictures(2, 3, 64, 64), pictures(2, 3, 64, 64, seed=1))
    losses = [kernel_space_loss(model, batch, torch.Generator().manual_seed(seed)) for seed in (0, 0, 1)]
    assert losses[0] == losses[1] != losses[2]
    losses[0].backward()
    assert all(weight.grad.abs().sum() > 0 for weight in model.parameters())


def test_a_blurred_picture_is_float32():
    model, x = tiny(), pictures(1, 3, 64, 64)
    k = model.encode(x, x).mean
    assert model.blur(x.double(), k).dtype == torch.float32 and torch.equal(model.blur(x.double(), k), model.blur(x, k))


@pytest.mark.parametrize("channels", [1, 4, 12])
def test_the_prior_of_k_draws_as_few_numbers_as_a_space_has(channels):
    prior = KernelPrior(channels, blocks=1)
    k = prior(prior.draw_input(2, 3, torch.Generator().manual_seed(0)))
    assert k.shape == (1, channels, 2, 3) and k.isfinite().all()


def test_what_cannot_be_used_is_refused_in_one_sentence():
    model, x = tiny(), pictures(1, 3, 64, 64)
    for call, sentence in (
        (lambda: model.encode(x, pictures(1, 3, 64, 32)), "of one size"),
        (lambda: model.encode(x[..., :31], x[..., :31]), "at least 32 x 32 pixels"),
        (lambda: model.blur(x, torch.zeros(1, 8, 3, 3)), "has the shape"),
        (lambda: model.blur(x[:, :1], torch.zeros(1, 8, 2, 2)), "colour pictures"),
        (lambda: model.blur((255 * x).byte(), torch.zeros(1, 8, 2, 2)), r"of floats in \[0, 1\], not torch\.uint8"),
        (lambda: model.blur(x[0], torch.zeros(1, 8, 2, 2)), r"not \(3, 64, 64\)"),
        (lambda: model(x, x[..., 1:]), "of one size"),  # which has the same cells
        (lambda: preset("large"), "There is no preset 'large'"),
    ):
        with pytest.raises(UsageError, match=sentence):
            call()
