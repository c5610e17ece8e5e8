import numpy as np
import pytest
import torch
from scipy.ndimage import affine_transform

from deblur_core import blur
from deblur_core.blur import nonuniform
from deblur_core.errors import UsageError

SCENE = torch.rand(1, 2, 50, 47, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
MARGIN = 9


def mean_of_warped(x, motion):
    """Brute force, one channel at a time: each moment a turned and moved copy of the picture."""
    centre = (np.array(x.shape[-2:]) - 1) / 2
    frames = []
    for down, right, angle in motion.tolist():
        # a point (down, right) from the centre is turned counter-clockwise on the screen, then moved
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        offset = centre - turn.T @ (centre + np.array([down, right]))
        frames.append([affine_transform(channel, turn.T, offset, order=1) for channel in x[0].numpy()])
    return torch.from_numpy(np.mean(frames, 0))[None]


def inner(picture):
    return picture[..., MARGIN:-MARGIN, MARGIN:-MARGIN]


def test_the_picture_is_the_mean_of_what_the_camera_sees():
    motion = nonuniform.camera_motion(1, 4.0, 0.1)
    y = nonuniform.expose(SCENE, motion, MARGIN)
    assert torch.allclose(y, inner(mean_of_warped(SCENE, motion)), atol=1e-12)


def test_a_positive_angle_turns_counter_clockwise():
    x = torch.zeros(1, 1, 41, 41, dtype=torch.float64)
    x[..., 20, 28] = 1  # to the right of the centre
    quarter = torch.tensor([[0.0, 0.0, np.pi / 2]], dtype=torch.float64)
    y = nonuniform.expose(x, quarter, 2)
    assert y[0, 0, 20 - 2 - 8, 20 - 2] == pytest.approx(1)  # above it


def test_without_a_turn_it_is_convolution():
    motion = nonuniform.camera_motion(3, 5.0, 0.0)
    k = nonuniform.kernel_at(motion, (0, 0), 11)
    convolved = blur.convolve(SCENE, k.double())
    trim = MARGIN - 5
    exposed = nonuniform.expose(SCENE, motion, MARGIN)
    assert torch.allclose(exposed, convolved[..., trim:-trim, trim:-trim], atol=1e-7)
    assert torch.equal(k, nonuniform.kernel_at(motion, (-13, 7), 11)), "the same kernel everywhere"


@pytest.mark.parametrize("place", [(0.5, 0), (-15.5, 14), (15.5, -14), (3.5, 10)])
def test_with_a_turn_every_pixel_has_its_kernel(place):
    motion = nonuniform.camera_motion(5, 3.0, 0.15)
    y = nonuniform.expose(SCENE, motion, MARGIN)
    k = nonuniform.kernel_at(motion, place, 15)
    assert k.shape == (1, 15, 15) and (k >= 0).all() and k.sum().item() == pytest.approx(1, abs=1e-6)
    row, column = (int(at + (side - 1) / 2) for at, side in zip(place, SCENE.shape[-2:], strict=True))
    here = blur.convolve(SCENE, k.double())[..., row - 7, column - 7]
    assert torch.allclose(here, y[..., row - MARGIN, column - MARGIN], atol=1e-7)
    elsewhere = nonuniform.kernel_at(motion, (-place[0], -place[1]), 15)
    assert place == (0.5, 0) or not torch.allclose(k, elsewhere, atol=0.02)


def test_no_light_is_lost_or_made():
    motion = nonuniform.camera_motion(2, 5.0, 0.1)
    spot = torch.zeros(1, 1, 61, 61, dtype=torch.float64)
    spot[..., 22:36, 26:40] = 0.7
    y = nonuniform.expose(spot, motion, 10)
    assert y.sum().item() == pytest.approx(spot.sum().item(), rel=1e-3)
    grey = torch.full_like(spot, 0.4)
    assert torch.allclose(nonuniform.expose(grey, motion, 10), torch.tensor(0.4, dtype=torch.float64))


def test_what_is_nearer_moves_further():
    motion = nonuniform.camera_motion(4, 2.0, 0.05)
    far = nonuniform.expose(SCENE, motion, MARGIN)
    further = nonuniform.expose(SCENE, motion * torch.tensor([2.0, 2.0, 1.0]), MARGIN)
    half = torch.zeros(SCENE.shape[-2:], dtype=torch.float64)
    half[:, 24:] = 1
    y = nonuniform.expose(SCENE, motion, MARGIN, foreground=[(half, 2.0)])
    assert torch.allclose(y[..., :8], far[..., :8]) and torch.allclose(y[..., -8:], further[..., -8:])
    assert torch.allclose(nonuniform.expose(SCENE, motion, MARGIN, [(torch.ones_like(half), 2.0)]), further)
    assert torch.allclose(nonuniform.expose(SCENE, motion, MARGIN, [(torch.zeros_like(half), 2.0)]), far)


def test_near_layers_hide_what_is_behind_them_moment_by_moment():
    """Soft masks, so that order and edges count: what is nearest comes last in the list."""
    motion = nonuniform.camera_motion(4, 2.0, 0.05)[::10]
    masks = torch.rand(2, *SCENE.shape[-2:], generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    frames = []
    for moment in motion:
        frame = mean_of_warped(SCENE, moment[None])
        for mask, nearness in zip(masks, (1.5, 2.0), strict=True):
            nearer = moment[None] * torch.tensor([nearness, nearness, 1.0])
            hidden = mean_of_warped(mask[None, None], nearer)
            frame = (1 - hidden) * frame + mean_of_warped(mask * SCENE, nearer)
        frames.append(inner(frame))
    y = nonuniform.expose(SCENE, motion, MARGIN, list(zip(masks, (1.5, 2.0), strict=True)))
    assert torch.allclose(y, torch.stack(frames).mean(0), atol=1e-12)


def test_a_seed_is_a_motion():
    motion = nonuniform.camera_motion(6, 5.0, 0.02)
    assert torch.equal(motion, nonuniform.camera_motion(6, 5.0, 0.02))
    assert not torch.allclose(motion, nonuniform.camera_motion(7, 5.0, 0.02), atol=0.5)
    assert motion.shape == (100, 3) and motion.mean(0).abs().max() < 1e-12
    assert motion[:, :2].abs().max().item() == pytest.approx(5) and motion[:, 2].abs().max().item() == pytest.approx(
        0.02
    )
    larger = nonuniform.camera_motion(6, 5.0, 0.04)
    assert torch.allclose(larger[:, :2], motion[:, :2]) and torch.allclose(larger[:, 2], 2 * motion[:, 2])


def test_randomness_elsewhere_is_left_alone():
    before = torch.get_rng_state()
    nonuniform.camera_motion(1, 5.0, 0.1)
    assert torch.equal(before, torch.get_rng_state())


def test_a_camera_that_looks_beyond_the_scene_is_refused():
    motion = nonuniform.camera_motion(1, 5.0, 0.0)
    with pytest.raises(UsageError, match="leave a larger one"):
        nonuniform.expose(SCENE, motion, 4)
    nonuniform.expose(SCENE, motion, 5)
    turn = torch.tensor([[0.0, 0.0, 0.3]], dtype=torch.float64)  # which moves the corners most
    with pytest.raises(UsageError, match="leave a larger one"):
        nonuniform.expose(SCENE, turn, 4)
    nonuniform.expose(SCENE, turn, 8)


def test_a_motion_of_no_numbers_or_no_moments_is_refused():
    still = torch.zeros(1, 3, dtype=torch.float64)
    with pytest.raises(UsageError, match="looks beyond the scene"):  # it gave a picture
        nonuniform.expose(SCENE, still * torch.nan, 4)
    with pytest.raises(UsageError, match="0 moments"):
        nonuniform.expose(SCENE, still[:0], 4)


@pytest.mark.parametrize("scene", [SCENE[0], (255 * SCENE).byte(), SCENE[..., :8]], ids=["3-d", "bytes", "narrow"])
def test_a_scene_that_no_camera_sees_is_refused(scene):
    with pytest.raises(UsageError, match="larger than twice the margin of 4 px"):
        nonuniform.expose(scene, torch.zeros(1, 3, dtype=torch.float64), 4)


def test_a_kernel_that_does_not_fit_is_refused():
    motion = nonuniform.camera_motion(1, 5.0, 0.1)
    for size in (9, 14):
        with pytest.raises(UsageError, match="larger odd size"):
            nonuniform.kernel_at(motion, (0, 0), size)
