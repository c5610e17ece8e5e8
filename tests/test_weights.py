"""Weights travel with a card: what is damaged, missing or of another architecture is refused in one sentence."""

import json
from dataclasses import replace

import pytest
import torch
from torch import nn

from deblur_core import blur, data, metrics, training_data, trainings, weights
from deblur_core.data import training_pairs
from deblur_core.data.images import middle
from deblur_core.data.training_pairs import Blur
from deblur_core.errors import DeblurError, UsageError
from deblur_core.models.counting import count_parameters
from deblur_core.runs import from_settings


def network(width=4):
    return nn.Sequential(nn.Conv2d(3, width, 3), nn.ReLU(), nn.Conv2d(width, 3, 3))


@pytest.fixture
def saved(tmp_path):
    chosen = network()
    weights.save("tiny", chosen.state_dict(), {"seed": 7, "scores": {"psnr": 30.5}}, tmp_path)
    return chosen, tmp_path


def test_weights_come_back_bit_for_bit_with_their_card(saved):
    chosen, folder = saved
    other = network().train()
    assert weights.load("tiny", other, folder) is other and not other.training
    for name, value in other.state_dict().items():
        assert torch.equal(value, chosen.state_dict()[name])
    card = weights.card("tiny", folder)
    assert card["seed"] == 7 and card["scores"] == {"psnr": 30.5} and card["name"] == "tiny"
    assert card["bytes"] == (folder / "tiny.safetensors").stat().st_size and len(card["sha256"]) == 64
    assert weights.names(folder) == ["tiny"]


def test_channels_last_weights_are_kept_too(saved):
    _, folder = saved
    last = network().to(memory_format=torch.channels_last)
    weights.save("last", last.state_dict(), {}, folder)
    x = torch.rand(1, 3, 8, 8)
    torch.testing.assert_close(weights.load("last", network(), folder)(x), last(x))


@pytest.mark.parametrize("damage", [lambda content: content[:-1], lambda content: content[:-1] + b"x", lambda _: b""])
def test_damaged_weights_are_refused(saved, damage):
    _, folder = saved
    path = folder / "tiny.safetensors"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(DeblurError, match=r"is not the file that its card describes: restore it, or run deblur train"):
        weights.load("tiny", network(), folder)
    path.unlink()
    with pytest.raises(DeblurError, match="is not the file"):
        weights.load("tiny", network(), folder)


def test_a_damaged_or_missing_card_is_named(saved):
    _, folder = saved
    for damage in ("{", "{}", "[]"):
        (folder / "tiny.json").write_text(damage)
        with pytest.raises(DeblurError, match="damaged"):
            weights.load("tiny", network(), folder)
    (folder / "tiny.json").unlink()
    with pytest.raises(UsageError, match=r"no weights 'tiny' in .*: make them with deblur train tiny"):
        weights.load("tiny", network(), folder)


@pytest.mark.parametrize("half", ["safetensors", "json"])
def test_half_a_set_of_one_s_own_is_refused_and_not_passed_over(saved, half, monkeypatch):
    _, folder = saved
    (folder / f"tiny.{half}").rename(folder / f"xydeblur.{half}")
    monkeypatch.setenv("DEBLUR_WEIGHTS", str(folder))
    assert "tiny" not in weights.names()
    with pytest.raises((DeblurError, UsageError), match=str(folder)):
        weights.load("xydeblur", network())


@pytest.mark.parametrize("other", [network(5), network()[:1], nn.Sequential(*network(), nn.Conv2d(3, 3, 1))])
def test_another_architecture_is_refused_and_left_as_it_was(saved, other):
    _, folder = saved
    before = [weight.clone() for weight in other.parameters()]
    with pytest.raises(DeblurError, match=r"another architecture \(first difference: \d\.(weight|bias)\)"):
        weights.load("tiny", other, folder)
    assert all(torch.equal(a, b) for a, b in zip(before, other.parameters(), strict=True))


@pytest.mark.parametrize("name", weights.names())
def test_what_comes_with_the_project_is_small_and_as_its_card_says(name):
    card = weights.card(name)
    loaded = trainings.load(name)
    assert card["bytes"] < 5_000_000 and card["parameters"] == count_parameters(loaded)
    assert {"recipe", "data", "seed", "made by", "scores", "baseline"} <= card.keys()
    assert all(torch.isfinite(weight).all() for weight in loaded.parameters())
    assert "/" not in json.dumps(card["data"]["sources"])


def test_the_shipped_xydeblur_restores_what_it_has_never_seen():
    """One picture with each kind of blur, scored again; the card has the mean over nine."""
    card, network = weights.card("xydeblur"), trainings.load("xydeblur")
    assert card["scores"]["psnr"] > card["baseline"]["psnr"] + 2
    learnt = from_settings(Blur, card["data"]["blur"])
    sharp = {"chelsea": training_pairs.sharp_pictures("held out")["held out/chelsea"]}
    gains = []
    for blurry, x in training_pairs.whole_pairs(sharp, learnt, seed=0):
        with torch.no_grad():
            gains.append(metrics.psnr(network(blurry).clamp(0, 1), x) - metrics.psnr(blurry, x))
    assert min(gains) > 0 and sum(gains) / len(gains) > 2, gains


@pytest.mark.parametrize("name", ["GOPR0869_11_00_000020", "GOPR0881_11_01_000295"])
def test_the_shipped_xydeblur_does_not_worsen_a_real_test_pair(name):
    available, reason = data.available("gopro")
    if not available:
        pytest.skip(reason)
    pair = data.load("gopro", name)
    with torch.no_grad():
        restored = trainings.load("xydeblur")(pair.blurry).clamp(0, 1)
    assert metrics.psnr(restored, pair.sharp) > metrics.psnr(pair.blurry, pair.sharp)


def test_the_shipped_blur_operator_takes_a_blur_from_one_picture_to_another():
    """Two camera shakes that never trained, and one of the built-in set; the card has the mean over 12 transfers."""
    card, operator = weights.card("kernel_space"), trainings.load("kernel_space").requires_grad_(False)
    assert card["scores"]["psnr"] > card["baseline"]["psnr"] + 5
    learnt = from_settings(Blur, card["data"]["blur"])
    average = training_pairs.kernels(learnt, seed=0).mean(0, keepdim=True)
    inner = slice(learnt.size // 2, -(learnt.size // 2))
    pictures = training_pairs.sharp_pictures("held out")
    source, target = (middle(pictures[f"held out/{name}"][None].float() / 255, 192 + learnt.size - 1)
                      for name in ("astronaut", "chelsea"))  # fmt: skip
    known = training_data.pad_kernel(data.load("builtin", "im1_kernel4").kernel, learnt.size)
    gains = []
    for k in (*training_pairs.kernels(replace(learnt, count=2), seed=77).split(1), known):
        code = operator.encode(source[..., inner, inner], blur.convolve(source, k)).mean
        truth = blur.convolve(target, k)
        again = operator.blur(target[..., inner, inner], code)
        gains.append(metrics.psnr(again, truth) - metrics.psnr(blur.convolve(target, average), truth))
    assert min(gains) > 5, gains


def test_the_shipped_operator_recognises_the_blur_that_its_inverse_learns_to_undo():
    """A picture blurred by the kernels that it gives back is the picture blurred by the true ones."""
    learnt = Blur(size=11, kinds=("shake", "x"), count=6, shortest=6.0)
    seen, true = trainings.seen_by_operator(learnt, 0), training_pairs.kernels(learnt, 0)
    torch.testing.assert_close(seen.sum((1, 2)), torch.ones(6), rtol=0, atol=1e-3)
    another = middle(training_pairs.sharp_pictures("held out")["held out/coffee"][None].float() / 255, 160)
    for found, k in zip(seen.split(1), training_data.pad_kernel(true, 27).split(1), strict=True):
        assert metrics.psnr(blur.convolve(another, found), blur.convolve(another, k)) > 43  # dB
