import numpy as np
import pytest
import torch

from deblur_core.blur import psf
from deblur_core.errors import UsageError

SHAKES = [psf.camera_shake(size, seed) for size in (11, 19, 27, 75) for seed in range(5)]
KERNELS = [
    *SHAKES,
    psf.camera_shake(1, 0),
    psf.camera_shake(15, 3, extent=1.0, jerks=10),
    *(psf.linear_motion(15, 14, angle) for angle in (0, 30, 45, 90, 200)),
    psf.linear_motion(5, 0, 10),
    psf.gaussian(15, 2.0),
    psf.gaussian(3, 50),
    psf.delta(7),
]


def centroid(k):
    position = torch.arange(k.shape[-1]) - k.shape[-1] // 2
    return [(k[0].sum(axis).double() @ position.double()).item() for axis in (1, 0)]  # down, right


def variance(k, direction):
    down, right = torch.meshgrid(*2 * [torch.arange(k.shape[-1]).double() - k.shape[-1] // 2], indexing="ij")
    return (k[0] * (down * direction[0] + right * direction[1]) ** 2).sum().item()


@pytest.mark.parametrize("k", KERNELS)
def test_kernels_are_distributions_around_the_centre_pixel(k):
    assert k.dtype == torch.float32 and k.ndim == 3 and k.shape[1] == k.shape[2]
    assert (k >= 0).all()
    assert k.sum().item() == pytest.approx(1, abs=1e-6)
    assert centroid(k) == pytest.approx([0, 0], abs=1e-5)


def test_a_seed_is_a_kernel():
    assert torch.equal(psf.camera_shake(21, 5), psf.camera_shake(21, 5))
    flat = torch.stack([psf.camera_shake(21, seed).flatten() for seed in range(20)])
    similarity = torch.nn.functional.normalize(flat) @ torch.nn.functional.normalize(flat).T
    assert (similarity - torch.eye(20)).max() < 0.95


def test_camera_shake_leaves_global_randomness_alone():
    torch.manual_seed(0)
    before = torch.get_rng_state()
    psf.camera_shake(21, 5)
    assert torch.equal(before, torch.get_rng_state())


def test_camera_shake_is_a_thin_connected_path():
    """A trace, not a cloud: few pixels are lit, and they hang together."""
    from scipy.ndimage import label

    for k in SHAKES[5:]:
        lit = k[0] > 0
        assert label(lit, structure=torch.ones(3, 3))[1] == 1
        assert lit.float().mean() < 0.35


def test_camera_shake_dwells_and_hurries():
    """Speed varies: the brightest lit pixels hold several times the mass of the median one."""
    assert all(k.max() / k[k > 0].median() > 2 for k in SHAKES)


def test_camera_shake_reaches_as_far_as_asked():
    for extent in (0.4, 0.8, 1.0):
        lit = (psf.camera_shake(41, 7, extent=extent)[0] > 0).nonzero() - 20
        assert extent * 20 <= lit.abs().max() <= extent * 20 + 1


def test_known_kernel_pixels():
    assert torch.allclose(psf.linear_motion(5, 4, 0)[0, 2], torch.tensor([0.5, 1, 1, 1, 0.5]) / 4, atol=5e-3)
    up_right = psf.linear_motion(9, 8, 45)[0]
    assert up_right[0:4, 5:9].sum() > 0.3 and up_right[0:4, 0:4].sum() == 0
    assert psf.delta(3)[0, 1, 1] == 1
    assert torch.allclose(psf.linear_motion(5, 0, 70), psf.delta(5))


def test_spread_matches_the_continuous_kernel():
    """Variance per axis: length^2 / 12 of a line, sigma^2 of a Gaussian."""
    line = psf.linear_motion(31, 24, 30)
    assert variance(line, (-0.5, 3**0.5 / 2)) == pytest.approx(24**2 / 12, rel=0.02)
    assert variance(psf.gaussian(31, 3), (0, 1)) == pytest.approx(9, rel=1e-3)


@pytest.mark.parametrize("size", [-1, 0, 2, 20, 5.5])
def test_sizes_without_a_centre_pixel_are_refused(size):
    makers = (
        lambda: psf.camera_shake(size, 0),
        lambda: psf.linear_motion(size, 0, 0),
        lambda: psf.gaussian(size, 1),
        lambda: psf.delta(size),
    )
    for make in makers:
        with pytest.raises(UsageError, match="odd size"):
            make()


def test_impossible_shapes_are_refused():
    for length in (9, -1):
        with pytest.raises(UsageError, match=f"0 to 8 px long, not {length}"):
            psf.linear_motion(9, length, 0)
    with pytest.raises(UsageError, match="positive"):
        psf.gaussian(9, 0)
    for wrong in ({"extent": 1.5}, {"extent": 0.0}, {"jerks": -1.0}):
        with pytest.raises(UsageError, match="extent <= 1 and jerks >= 0"):
            psf.camera_shake(9, 0, **wrong)
    for path in ([[-3.0], [0.0]], [[0.0], [5.0]], [[float("nan")], [0.0]]):  # the first wrapped around, unnoticed
        with pytest.raises(UsageError, match="leaves a kernel of 5x5"):
            psf.rasterize(np.array(path), 5)
    assert psf.rasterize(np.array([[2 + 1e-9], [0.0]]), 5)[0, 4, 2] == pytest.approx(1), "rounding is no reason"
