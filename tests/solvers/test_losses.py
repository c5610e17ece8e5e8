import pytest
import torch
from skimage.metrics import structural_similarity

from deblur_core.solvers.losses import SimilarityLoss, hyper_laplacian, total_variation


def test_similarity_equals_skimage_where_the_border_is_black():
    """Zero padding, as the released code has it, is what any padding does to a picture with a black frame."""
    generator = torch.Generator().manual_seed(0)
    x, y = torch.zeros(2, 1, 1, 60, 50)
    x[..., 12:-12, 12:-12] = torch.rand(36, 26, generator=generator)
    y[..., 12:-12, 12:-12] = torch.rand(36, 26, generator=generator)
    _, full = structural_similarity(
        x[0, 0].double().numpy(), y[0, 0].double().numpy(), data_range=1, gaussian_weights=True, sigma=1.5,
        use_sample_covariance=False, full=True)  # fmt: skip
    assert SimilarityLoss(y)(x).item() == pytest.approx(1 - full.mean(), abs=1e-5)


def test_similarity_is_zero_for_the_picture_itself_and_positive_for_another():
    y = torch.rand(1, 1, 40, 40, generator=torch.Generator().manual_seed(0))
    assert SimilarityLoss(y)(y).item() == pytest.approx(0, abs=1e-6)
    assert SimilarityLoss(y)(1 - y).item() > 0.5


def test_total_variation_of_a_step_is_its_height_times_its_length():
    x = torch.zeros(1, 1, 10, 8)
    x[..., 4:] = 0.5
    assert total_variation(x).item() == pytest.approx(0.5 * 10 / 80, abs=1e-5)


def test_total_variation_is_isotropic():
    ramp = torch.arange(50.0)
    x = (ramp[:, None] * 0.6 + ramp[None] * 0.8)[None, None]
    assert total_variation(x[..., :-1, :-1]).item() == pytest.approx(1, rel=0.03)


@pytest.mark.parametrize("exponent", [0.66, 1.0])
def test_the_hyper_laplacian_of_a_ramp_is_the_power_of_its_slope(exponent):
    """Sobel's filters answer to a slope of 1 with 8, and sum the three colours."""
    ramp = torch.arange(12.0)
    x = (0.03 * ramp[:, None] - 0.02 * ramp).expand(1, 3, 12, 12)
    slopes = (24 * 0.03) ** 2 + (24 * 0.02) ** 2
    assert hyper_laplacian(x, exponent).item() == pytest.approx((slopes + 1e-6) ** (exponent / 2), rel=1e-4)
