"""Pairs filmed from sharp pictures: blurred as told, from place to place differently, and repeatable."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from deblur_core import blur
from deblur_core.blur import nonuniform
from deblur_core.data import camera_pairs as module
from deblur_core.data.camera_pairs import Camera, camera_pairs
from deblur_core.data.gopro import TEST_SCENES
from deblur_core.data.training_pairs import RealPairs
from deblur_core.errors import UsageError

STEADY = Camera(side=32, shift=(0.01, 0.01), turn=0.0, near=0.0)


def picture(seed, height=70, width=90):
    return torch.randint(256, (3, height, width), generator=torch.Generator().manual_seed(seed), dtype=torch.uint8)


PICTURES = {f"own/{seed}": picture(seed) for seed in range(3)}


def made(camera, count=6, seed=0, **options):
    return torch.stack(list(camera_pairs(PICTURES, camera, count, seed, **options).values()))


def sharpness(pictures):
    return pictures.float().diff(dim=-1).abs().mean()


def test_sharp_pictures_are_windows_of_all_pictures_alike():
    camera = Camera(side=24, shift=(1.0, 2.0), turn=1.0)
    pairs = camera_pairs(PICTURES, camera, 6, seed=0)
    assert list(pairs) == [f"own/{i % 3}/{i}" for i in range(6)]
    for name, pair in pairs.items():
        windows = PICTURES[name.rpartition("/")[0]].unfold(1, 24, 1).unfold(2, 24, 1)
        assert pair.shape == (6, 24, 24) and pair.dtype == torch.uint8
        assert (windows == pair[3:, None, None]).all(dim=(0, 3, 4)).any()
        assert sharpness(pair[:3]) < 0.8 * sharpness(pair[3:])


def test_a_steady_pan_is_straight_motion_along_x():
    pairs = made(replace(STEADY, pan=(8.0, 8.0)), count=3)
    motion = blur.psf.linear_motion(9, 8.0, angle=0.0)
    for pair in pairs.float() / 255:
        inside = blur.convolve(pair[None, 3:], motion)
        assert (inside - pair[:3, 4:-4, 4:-4]).abs().mean() < 0.01
    still = made(STEADY, count=3)
    assert (still[:, :3].int() - still[:, 3:].int()).abs().max() <= 6


def test_with_a_turn_the_corners_are_blurred_more_than_the_middle():
    pairs = made(replace(STEADY, side=48, turn=6.0), count=12).float()
    lost = (pairs[:, :3] - pairs[:, 3:]).abs().mean((0, 1))
    assert lost[:12, :12].mean() > 1.3 * lost[18:30, 18:30].mean()


def test_motions_are_as_large_as_told_and_a_pan_goes_where_told():
    camera = Camera(side=100, shift=(1.0, 3.0), turn=4.0)
    motions = torch.stack([module._filmed(camera, np.random.default_rng(seed))[0] for seed in range(60)])
    shifts = motions[..., :2].abs().amax((1, 2))
    corners = motions[..., 2].abs().amax(1) * 100 / 2**0.5  # px that the turn moves them
    assert 1 <= shifts.min() < 1.3 and 2.7 < shifts.max() <= 3
    assert corners.min() < 0.4 and 3.6 < corners.max() <= 4
    up, _ = module._filmed(replace(STEADY, pan=(8.0, 8.0), directions=(90.0,)), np.random.default_rng(0))
    assert (up[-1] - up[0]).tolist() == pytest.approx([-8, 0, 0], abs=0.03)


def test_what_is_near_is_blurred_more():
    camera = replace(STEADY, shift=(2.0, 2.0), nearness=(2.0, 2.0))
    everywhere_near = camera_pairs(PICTURES, replace(camera, near=1.0), 6, seed=0)
    nowhere = camera_pairs(PICTURES, camera, 6, seed=0)
    assert sum(sharpness(pair[:3]) for pair in everywhere_near.values()) < sum(
        sharpness(pair[:3]) for pair in nowhere.values()
    )
    assert all(
        torch.equal(pair[3:], other[3:]) for pair, other in zip(everywhere_near.values(), nowhere.values(), strict=True)
    )


def test_another_order_exchanges_the_blurs_and_nothing_else(monkeypatch):
    camera, order = Camera(side=24, shift=(1.0, 2.0)), [2, 0, 1]
    filmed = []

    def note(scene, motion, margin, layers):
        filmed.append((motion, layers))
        return expose(scene, motion, margin, layers)

    expose = nonuniform.expose
    monkeypatch.setattr(module.nonuniform, "expose", note)
    straight, exchanged = made(camera, 3), made(camera, 3, order=order)
    assert torch.equal(straight[:, 3:], exchanged[:, 3:]) and not torch.equal(straight[:, :3], exchanged[:, :3])
    for i, j in enumerate(order):
        assert torch.equal(filmed[3 + i][0], filmed[j][0]) and len(filmed[3 + i][1]) == len(filmed[j][1])
    assert torch.equal(made(camera, 3, order=[0, 1, 2]), straight)


def test_a_seed_is_a_set():
    camera = Camera(side=24, shift=(1.0, 2.0))
    assert torch.equal(made(camera), made(camera))
    other = made(camera, seed=1)
    assert not torch.equal(made(camera)[:, 3:], other[:, 3:]) and not torch.equal(made(camera)[:, :3], other[:, :3])


@pytest.mark.parametrize("seed", range(8))
def test_the_margin_holds_every_motion(seed):
    """`expose` refuses to look beyond the scene."""
    made(Camera(side=16, shift=(2.0, 2.0), pan=(4.0, 4.0), turn=3.0, near=0.5, nearness=(1.0, 1.5)), 3, seed)


def test_they_train_like_photographed_pairs():
    source = RealPairs(camera_pairs(PICTURES, Camera(side=24, shift=(1.0, 2.0)), 3, 0), batch=2, crop=16)
    blurry, sharp = source(torch.Generator().manual_seed(0))
    assert blurry.shape == sharp.shape == (2, 3, 16, 16) and not torch.equal(blurry, sharp)


def test_wrong_requests_are_one_sentence():
    with pytest.raises(UsageError, match=r"own/0 has 90 x 70 pixels, and a pair with what blurs into it needs \d\d\d"):
        made(Camera(side=128))
    with pytest.raises(UsageError, match="no picture to film"):
        camera_pairs({}, Camera(), 1, 0)
    with pytest.raises(UsageError, match="test split"):
        camera_pairs({f"{min(TEST_SCENES)}_000020": picture(0)}, STEADY, 1, 0)
