"""Optional packages stay optional, and Inception features are those of the network that torch-fidelity defines."""

import subprocess
import sys
from importlib.util import find_spec

import numpy as np
import pytest
import torch
from scipy.linalg import sqrtm

from deblur_core import metrics
from deblur_core.data import registry
from deblur_core.doctor import examine
from deblur_core.errors import DeblurError, UsageError
from deblur_core.metrics import backbones

PACKAGES = ("lpips", "torchvision", "torchmetrics", "torch_fidelity")
needs_packages = pytest.mark.skipif(
    any(find_spec(name) is None for name in PACKAGES), reason="needs deblur-core[perceptual]"
)


def test_importing_the_metrics_imports_none_of_the_optional_packages():
    program = f"import sys, deblur_core.metrics; sys.exit(bool(set({PACKAGES!r}) & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", program]).returncode == 0


def test_without_the_optional_packages_the_rest_works(monkeypatch, tmp_path):
    backbones.lpips_network.cache_clear()
    backbones.inception_network.cache_clear()
    for name in PACKAGES:
        monkeypatch.setitem(sys.modules, name, None)  # what Python does for a package that is not there
    picture = torch.rand(1, 3, 40, 40)
    assert metrics.psnr(picture, picture) == np.inf
    for metric in (metrics.lpips, metrics.kid_alexnet, metrics.kid_inception, metrics.fid_inception):
        with pytest.raises(DeblurError, match=r"pip install 'deblur-core\[perceptual\]'"):
            metric(picture, picture)
    reasons = {name: metrics.available(name)[1] for name in metrics.PERCEPTUAL if name != "NIQE"}
    assert all("torchvision" in reason and "pip install" in reason for reason in reasons.values())


def test_doctor_tells_what_each_metric_needs(monkeypatch, tmp_path):
    monkeypatch.delenv("DEBLUR_DATA", raising=False)
    monkeypatch.setenv("DEBLUR_HOME", str(tmp_path))
    facts = examine()
    assert all(facts[name].startswith("not available") for name in metrics.PERCEPTUAL)


@needs_packages
def test_fid_is_the_distance_of_two_gaussians():
    generator = np.random.default_rng(0)
    real, fake = generator.standard_normal((60, 6)), 0.4 + generator.standard_normal((50, 6)) @ np.diag(range(1, 7))
    first, second = np.cov(real, rowvar=False), np.cov(fake, rowvar=False)
    expected = ((real.mean(0) - fake.mean(0)) ** 2).sum() + np.trace(first + second - 2 * sqrtm(first @ second).real)
    real, fake = torch.from_numpy(real), torch.from_numpy(fake)
    assert metrics.fid_inception(real, fake) == pytest.approx(expected, rel=1e-6)
    assert metrics.fid_inception(real, real) == pytest.approx(0, abs=1e-6)
    assert metrics.fid_inception(real, real + 3) == pytest.approx(6 * 9)
    with pytest.raises(UsageError, match="two patches or more"):
        metrics.fid_inception(real, fake[:1])


@needs_packages
def test_inception_features_are_those_of_torch_fidelity(tmp_path, monkeypatch):
    module = backbones.import_optional("torch_fidelity.feature_extractor_inceptionv3")
    with monkeypatch.context() as patch:  # the same network with random weights
        patch.setattr(module, "load_state_dict_from_url", lambda *args, **kwargs: {})
        patch.setattr(module.FeatureExtractorInceptionV3, "load_state_dict", lambda self, weights: None)
        network = module.FeatureExtractorInceptionV3("inception-v3-compat", ["2048"]).eval()
    path = tmp_path / backbones.INCEPTION
    path.parent.mkdir()
    torch.save(network.state_dict(), path)
    monkeypatch.setenv("DEBLUR_DATA", str(tmp_path))
    monkeypatch.setattr(registry, "is_intact", lambda path, local: True)
    backbones.inception_network.cache_clear()
    patches = torch.randint(0, 256, (2, 3, 299, 299), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    torch.manual_seed(0)
    before = torch.get_rng_state()
    features = metrics.inception_features(patches / 255)
    assert torch.equal(before, torch.get_rng_state())  # its first weights are drawn, and replaced
    backbones.inception_network.cache_clear()
    with torch.no_grad():
        torch.testing.assert_close(features, network(patches)[0])
    assert features.shape == (2, 2048) and metrics.available("KID (Inception)")[0]
