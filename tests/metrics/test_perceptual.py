"""LPIPS and KID against their equations in float64, with random weights and, where they are, the real ones."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from scipy import ndimage
from skimage import data
from torch.nn import functional as F

from deblur_core import metrics
from deblur_core.data import registry
from deblur_core.errors import DeblurError, UsageError
from deblur_core.metrics import backbones

pytestmark = pytest.mark.skipif(importlib.util.find_spec("lpips") is None, reason="needs deblur-core[perceptual]")
ASTRONAUT = torch.from_numpy(np.moveaxis(data.astronaut()[20:116, 180:260] / 255.0, -1, 0)[None]).float()
LAYERS = {0: (64, 3, 11), 3: (192, 64, 5), 6: (384, 192, 3), 8: (256, 384, 3), 10: (256, 256, 3)}


def random_weights():
    generator = torch.Generator().manual_seed(0)
    weights = {}
    for layer, (outputs, inputs, side) in LAYERS.items():
        scale = (2 / (inputs * side**2)) ** 0.5
        weights[f"features.{layer}.weight"] = scale * torch.randn(outputs, inputs, side, side, generator=generator)
        weights[f"features.{layer}.bias"] = 0.1 * torch.randn(outputs, generator=generator)
    return weights


@pytest.fixture
def random_alexnet(tmp_path, monkeypatch):
    path = tmp_path / backbones.ALEXNET_FEATURES
    path.parent.mkdir()
    save_file(random_weights(), path)
    monkeypatch.setenv("DEBLUR_DATA", str(tmp_path))
    monkeypatch.setattr(registry, "is_intact", lambda path, local: True)
    backbones.lpips_network.cache_clear()
    yield random_weights()
    backbones.lpips_network.cache_clear()


@pytest.fixture
def real_alexnet():
    here, reason = metrics.available("LPIPS (AlexNet)")
    if not here or not reason.endswith(".safetensors"):
        pytest.skip(f"needs {backbones.ALEXNET_FEATURES} in the folder DEBLUR_DATA")
    backbones.lpips_network.cache_clear()
    return load_file(registry.fetch(backbones.ALEXNET_FEATURES))


@pytest.fixture(params=["random_alexnet", "real_alexnet"])
def alexnet(request):
    return request.getfixturevalue(request.param)


def activations(picture, weights):
    """The five ReLU outputs of AlexNet (Krizhevsky 2014) in float64, on inputs with the mean and spread of ImageNet."""
    mean, spread = torch.tensor([[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]]).double().view(2, 1, 3, 1, 1)
    x, outputs = (picture.double() - mean) / spread, []
    for layer, (stride, padding) in zip(LAYERS, [(4, 2), (1, 2), (1, 1), (1, 1), (1, 1)], strict=True):
        x = F.max_pool2d(x, 3, 2) if layer in (3, 6) else x
        weight, bias = (weights[f"features.{layer}.{name}"].double() for name in ("weight", "bias"))
        x = F.conv2d(x, weight, bias, stride, padding).relu()
        outputs.append(x)
    return outputs


def lpips_by_equation(first, second, weights):
    """Zhang et al. 2018, equation 1: sum over layers of the mean over positions of |w (a - b)|^2, |a| = |b| = 1."""
    package = Path(importlib.util.find_spec("lpips").origin).parent
    heads = torch.load(package / "weights" / "v0.1" / "alex.pth", map_location="cpu", weights_only=True)
    total = 0
    for layer, (a, b) in enumerate(zip(activations(first, weights), activations(second, weights), strict=True)):
        a, b = (features / features.norm(dim=1, keepdim=True) for features in (a, b))
        total += (heads[f"lin{layer}.model.1.weight"].double() * (a - b) ** 2).sum(dim=1).mean()
    return float(total)


def blurred(picture, sigma):
    return torch.from_numpy(ndimage.gaussian_filter(picture.numpy(), (0, 0, sigma, sigma)))


def noisy(picture, sigma):
    return picture + sigma * torch.randn(picture.shape, generator=torch.Generator().manual_seed(1))


def test_lpips_is_its_equation(alexnet):
    pictures = torch.cat([blurred(ASTRONAUT, 2), noisy(ASTRONAUT, 0.1), 1 - ASTRONAUT])
    expected = [lpips_by_equation(picture[None], ASTRONAUT, alexnet) for picture in pictures]
    scores = metrics.lpips(pictures, ASTRONAUT)
    assert scores.shape == (3,) and scores.tolist() == pytest.approx(expected, rel=1e-4)
    assert metrics.lpips(pictures, ASTRONAUT.expand(3, -1, -1, -1)).tolist() == pytest.approx(expected, rel=1e-4)
    assert metrics.lpips(ASTRONAUT, pictures[:1]).item() == pytest.approx(expected[0], rel=1e-4)  # symmetric


def test_lpips_of_equal_pictures_is_zero_and_grey_is_three_equal_channels(random_alexnet):
    grey = ASTRONAUT[:, :1]
    assert metrics.lpips(ASTRONAUT, ASTRONAUT).item() == 0
    assert metrics.lpips(noisy(grey, 0.1), grey) == metrics.lpips(noisy(grey, 0.1).expand(-1, 3, -1, -1), grey)


def test_lpips_grows_with_blur_and_noise(real_alexnet):
    blurs = metrics.lpips(torch.cat([blurred(ASTRONAUT, sigma) for sigma in (0.5, 1, 2, 4)]), ASTRONAUT)
    noises = metrics.lpips(torch.cat([noisy(ASTRONAUT, sigma) for sigma in (0.02, 0.05, 0.1, 0.2)]), ASTRONAUT)
    assert (blurs.diff() > 0).all() and (noises.diff() > 0).all() and blurs[0] > 0


def test_torchvisions_whole_alexnet_serves_too(random_alexnet, tmp_path):
    expected = metrics.lpips(blurred(ASTRONAUT, 2), ASTRONAUT)
    (tmp_path / backbones.ALEXNET_FEATURES).unlink()
    torch.save(random_alexnet | {"classifier.1.bias": torch.zeros(4096)}, tmp_path / backbones.ALEXNET)
    backbones.lpips_network.cache_clear()
    assert metrics.available("LPIPS (AlexNet)")[0]
    assert torch.equal(metrics.lpips(blurred(ASTRONAUT, 2), ASTRONAUT), expected)


def test_loading_a_network_draws_nothing_from_the_global_generator(random_alexnet):
    before = torch.random.get_rng_state()
    metrics.lpips(ASTRONAUT, ASTRONAUT)
    assert torch.equal(torch.random.get_rng_state(), before)


@pytest.mark.parametrize(
    ("estimate", "sharp", "reason"),
    [
        (torch.zeros(1, 3, 30, 64), torch.zeros(1, 3, 30, 64), "at least 31 x 31 pixels, not 30 x 64"),
        (torch.zeros(1, 3, 40, 40), torch.zeros(1, 3, 40, 41), "pictures of one size"),
        (torch.zeros(3, 3, 40, 40), torch.zeros(2, 3, 40, 40), "pictures of one size"),
        (torch.zeros(3, 40, 40), torch.zeros(1, 3, 40, 40), "expected pictures"),
        (torch.zeros(1, 3, 40, 40, dtype=torch.uint8), torch.zeros(1, 3, 40, 40), "divide 8-bit values by 255"),
        (torch.full((1, 3, 40, 40), torch.nan), torch.zeros(1, 3, 40, 40), "not NaN"),
    ],
)
def test_bad_pictures_are_one_sentence(estimate, sharp, reason):
    with pytest.raises(UsageError, match=reason):
        metrics.lpips(estimate, sharp)


def test_patches_are_the_grid_of_the_paper():
    pictures = torch.rand(2, 3, 720, 1280, generator=torch.Generator().manual_seed(0))
    cut = metrics.patches(pictures)
    assert cut.shape == (30, 3, 240, 256), "15 for each picture"
    assert torch.equal(cut[15 + 7], pictures[1, :, 240:480, 512:768]), "second row, third column"
    assert cut.double().sum() == pytest.approx(pictures.double().sum()), "every pixel once"
    assert metrics.patches(pictures[:, :, :500, :300]).shape == (4, 3, 240, 256)
    with pytest.raises(UsageError, match="100 x 300 pixels holds no patch of 240 x 256"):
        metrics.patches(pictures[:, :, :100, :300])
    with pytest.raises(UsageError, match="3 dimensions"):
        metrics.patches(pictures[0])


def squared_distance_by_loops(real, fake):
    """Binkowski et al. 2018, section 4: the unbiased estimate, pair by pair."""

    def kernel(a, b):
        return (a @ b / len(a) + 1) ** 3

    n, m = len(real), len(fake)
    within = [
        sum(kernel(s[i], s[j]) for i in range(len(s)) for j in range(len(s)) if i != j) / (len(s) * (len(s) - 1))
        for s in (real, fake)
    ]
    return sum(within) - 2 * sum(kernel(a, b) for a in real for b in fake) / (n * m)


def features(n, shift=0.0, seed=0, width=5):
    return shift + torch.randn(n, width, generator=torch.Generator().manual_seed(seed)).double()


def test_kid_is_the_kernel_distance_and_that_of_torchmetrics():
    real, fake = features(9), features(9, shift=0.5, seed=1)
    mean, spread = metrics.kid_alexnet(real, fake, subsets=3, subset_size=9)
    assert mean == pytest.approx(squared_distance_by_loops(real.numpy(), fake.numpy()), rel=1e-12)
    assert spread == pytest.approx(0, abs=1e-12), "every subset is the whole set"
    with pytest.warns(UserWarning, match="buffer"):
        reference = backbones.import_optional("torchmetrics.image.kid").KernelInceptionDistance(
            feature=torch.nn.Identity(), subsets=1, subset_size=9
        )
    reference.update(real, real=True)
    reference.update(fake, real=False)
    assert mean == pytest.approx(float(reference.compute()[0]), rel=1e-6)


def test_kid_is_near_zero_for_one_distribution_and_grows_with_the_distance():
    real = features(200)
    scores = [metrics.kid_alexnet(real, features(300, s, seed=1), subsets=20, subset_size=100) for s in (0, 0.3, 1)]
    means = [mean for mean, _ in scores]
    assert abs(means[0]) < 0.05 < means[1] < means[2] and all(spread > 0 for _, spread in scores)


def test_kid_is_its_seeds_and_leaves_the_global_generator_alone():
    real, fake = features(30), features(30, 0.3, seed=1)
    before = torch.random.get_rng_state()
    first, again, other = (metrics.kid_alexnet(real, fake, subsets=4, subset_size=10, seed=s) for s in (0, 0, 1))
    assert first == again != other
    assert torch.equal(torch.random.get_rng_state(), before)


def test_kid_is_the_mean_and_the_standard_deviation_over_its_subsets():
    """Of two subsets, the first of which is known, the second is as far from the mean as the first."""
    real, fake = features(30), features(30, 0.3, seed=1)
    (first, none), (mean, spread) = (metrics.kid_alexnet(real, fake, subsets=n, subset_size=10) for n in (1, 2))
    assert none == 0 and spread == pytest.approx(abs(first - mean), rel=1e-9) and spread > 0
    assert metrics.kid_alexnet(real, fake, subset_size=10) == metrics.kid_alexnet(
        real, fake, subsets=100, subset_size=10
    )


def test_alexnet_features_of_patches(alexnet, monkeypatch):
    cut = metrics.patches(torch.cat([ASTRONAUT, blurred(ASTRONAUT, 2)]), 32, 40)
    monkeypatch.setattr(metrics.distributions, "_AT_ONCE", 5)  # of 12
    expected = activations(cut, alexnet)[-1].mean(dim=(2, 3))
    torch.testing.assert_close(metrics.alexnet_features(cut).double(), expected, rtol=1e-3, atol=1e-4)
    sharp, blurry = cut.split(6)
    scores = [metrics.kid_alexnet(sharp, fake, subsets=2, subset_size=6) for fake in (sharp, blurry)]
    assert scores[1][0] > scores[0][0]
    assert scores[1] == metrics.kid_alexnet(metrics.alexnet_features(sharp), blurry, subsets=2, subset_size=6)


@pytest.mark.parametrize(("subsets", "size"), [(1, 31), (0, 10), (1, 1)])
def test_kid_of_too_few_patches_is_one_sentence(subsets, size):
    with pytest.raises(UsageError, match="choose a smaller subset_size"):
        metrics.kid_alexnet(features(30), features(40), subsets=subsets, subset_size=size)


def test_an_unknown_metric_is_one_sentence():
    with pytest.raises(UsageError, match="choose from LPIPS"):
        metrics.available("FVD")


@pytest.mark.parametrize("metric", ["lpips", "niqe", "kid_alexnet", "kid_inception", "fid_inception"])
def test_offline_without_weights_says_what_to_do(metric, tmp_path, monkeypatch):
    monkeypatch.delenv("DEBLUR_DATA", raising=False)
    monkeypatch.setenv("DEBLUR_HOME", str(tmp_path))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(registry, "_SOURCES", {"weights/": "http://127.0.0.1:9/"})  # nobody listens there
    for cached in (backbones.lpips_network, backbones.inception_network, metrics.perceptual._pristine_model):
        cached.cache_clear()
    pictures = torch.rand(2, 3, 192, 192)
    with pytest.raises(DeblurError, match=r"cannot be reached.* set DEBLUR_DATA to a folder that holds weights/"):
        getattr(metrics, metric)(pictures) if metric == "niqe" else getattr(metrics, metric)(pictures, pictures)
    assert list(tmp_path.iterdir()) == []
    assert all("not available" in metrics.available(name)[1] for name in metrics.PERCEPTUAL)
