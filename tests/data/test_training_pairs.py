"""Pairs for training: blurred as told, cut and turned at random but repeatably, and never from a test set."""

from itertools import permutations

import numpy as np
import pytest
import torch
from PIL import Image

from deblur_core import blur, data
from deblur_core.data import training_pairs
from deblur_core.data.gopro import TEST_SCENES
from deblur_core.data.training_pairs import HELD_OUT, Blur, RealPairs, SyntheticPairs, kernels, random_crops
from deblur_core.errors import UsageError

QUIET = Blur(size=5, count=8, noise=0.0)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def picture(seed, height=40, width=50, channels=3):
    return torch.randint(256, (channels, height, width), generator=generator(seed), dtype=torch.uint8)


@pytest.fixture
def pictures():
    return {f"own/{seed}": picture(seed, 40 + seed, 60 - seed) for seed in range(4)}


def find(crop, picture):
    """Whether a crop (3, s, s) in [0, 1] lies somewhere in the picture, in any of its eight positions."""
    windows = picture.float().div(255).unfold(1, crop.shape[1], 1).unfold(2, crop.shape[2], 1)
    turned = [torch.rot90(x, n, (1, 2)) for x in (crop, crop.flip(-1)) for n in range(4)]
    return any(bool((windows == x[:, None, None]).all(dim=(0, 3, 4)).any()) for x in turned)


def test_sharp_crops_come_from_the_pictures_and_are_blurred_by_a_kernel_of_the_collection(pictures):
    k = kernels(QUIET, seed=0)
    blurry, sharp = SyntheticPairs(pictures, k, QUIET, batch=6, crop=12)(generator())
    assert blurry.shape == sharp.shape == (6, 3, 12, 12) and blurry.dtype == torch.float32
    for y, x in zip(blurry, sharp, strict=True):
        assert any(find(x, picture) for picture in pictures.values())
        # What lies beyond the crop blurs into its border; the inside is explained by the crop alone.
        inside = blur.convolve(x.expand(len(k), -1, -1, -1), k)
        assert (inside - y[:, 2:-2, 2:-2]).abs().amax((1, 2, 3)).min() < 1e-5


def test_a_batch_depends_on_its_generator_alone(pictures):
    settings = Blur(size=5, count=8, noise=0.01)
    source = SyntheticPairs(pictures, kernels(settings, 0), settings, batch=4, crop=12)
    first, again, other = source(generator(1)), source(generator(1)), source(generator(2))
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not torch.equal(first[0], other[0]) and not torch.equal(first[1], other[1])


def test_colours_change_places_together_in_both_pictures():
    picture = torch.stack([torch.full((16, 16), level, dtype=torch.uint8) for level in (30, 120, 210)])
    settings = Blur(size=5, count=1, noise=0.0)
    source = SyntheticPairs({"own/1": picture}, kernels(settings, 0), settings, batch=60, crop=12, exchange=True)
    blurry, sharp = (255 * part.mean((2, 3)) for part in source(generator()))
    torch.testing.assert_close(blurry, sharp, rtol=0, atol=1e-3)
    assert {tuple(colours) for colours in sharp.round().int().tolist()} == set(permutations((30, 120, 210)))


def test_neighbours_may_be_blurred_alike(pictures):
    k = kernels(Blur(size=5, kinds=("shake",), count=50), seed=0)
    source = SyntheticPairs(pictures, k, QUIET, batch=6, crop=12, alike=2)
    blurry, sharp = source(generator())

    def which(x, y):
        inside = blur.convolve(x.expand(len(k), -1, -1, -1), k)
        return int((inside - y[:, 2:-2, 2:-2]).abs().amax((1, 2, 3)).argmin())

    found = [which(x, y) for x, y in zip(sharp, blurry, strict=True)]
    assert found[::2] == found[1::2] and len(set(found)) > 1
    assert not torch.equal(sharp[0], sharp[1])


def test_all_eight_positions_occur_or_two():
    corner = torch.zeros(1, 3, 3, dtype=torch.uint8)
    corner[0, 0, 1] = 1  # distinguishes all eight
    turned = random_crops([corner], 3, 200, generator())
    assert len({tuple(crop.flatten().tolist()) for crop in turned}) == 4  # a mirror image maps it onto itself
    corner[0, 0, 2] = 2
    turned = random_crops([corner], 3, 200, generator())
    assert len({tuple(crop.flatten().tolist()) for crop in turned}) == 8
    mirrored = random_crops([corner], 3, 200, generator(), turn=False)
    assert {tuple(crop[0, 0].tolist()) for crop in mirrored} == {(0, 1, 2), (2, 1, 0)}


def test_crops_reach_every_place_of_every_picture():
    seen = random_crops([torch.arange(20, dtype=torch.uint8).reshape(1, 4, 5)], 2, 600, generator(), turn=False)
    assert set(seen.flatten().tolist()) == set(range(20))


def test_kernels_are_of_the_kinds_asked_for_and_seeded():
    k = kernels(Blur(size=15, count=40), seed=3)
    assert k.shape == (40, 15, 15) and (k >= 0).all()
    torch.testing.assert_close(k.sum((1, 2)), torch.ones(40))
    rows, columns = (k.sum(2) > 0).sum(1), (k.sum(1) > 0).sum(1)  # rows and columns that a kernel covers
    assert (rows[2::4] == 1).all() and (columns[3::4] == 1).all(), "motion along x and along y"
    assert columns[2::4].max() > 8 and rows[3::4].max() > 8
    assert len({(int(a), int(b)) for a, b in zip(rows[0::4], columns[0::4], strict=True)}) > 3
    assert torch.equal(k, kernels(Blur(size=15, count=40), seed=3))
    assert not torch.equal(k, kernels(Blur(size=15, count=40), seed=4))
    with pytest.raises(UsageError, match="no blur of the kind 'zoom'"):
        kernels(Blur(kinds=("zoom",)), 0)


def test_gamma_blurs_intensities_and_noise_is_as_strong_as_told():
    edge = torch.zeros(3, 40, 40, dtype=torch.uint8)
    edge[:, :, 20:] = 255
    motion = blur.psf.linear_motion(9, 8.0, 0.0)
    settings = Blur(size=9, noise=0.0)
    y, x = SyntheticPairs({"edge": edge}, motion, settings, 1, 32)(generator())
    assert float(y.mean()) == pytest.approx(float(x.mean()), abs=0.05) and 0.4 < y[(y > 0.01) & (y < 0.99)].mean() < 0.6
    bright, _ = SyntheticPairs({"edge": edge}, motion, Blur(size=9, noise=0.0, gamma=2.2), 1, 32)(generator())
    torch.testing.assert_close(bright, y.pow(1 / 2.2), atol=1e-3, rtol=0)
    grey = SyntheticPairs({"grey": torch.full_like(edge, 128)}, motion, Blur(size=9, noise=0.02), 4, 32)
    noisy, other = (grey(generator(seed))[0] for seed in (0, 1))
    assert not torch.equal(noisy, other)
    assert float(noisy.std()) == pytest.approx(0.02, rel=0.05) and float(noisy.mean()) == pytest.approx(
        128 / 255, abs=1e-3
    )


def test_validation_pictures_are_whole_and_blurred_by_every_kind(pictures):
    pairs = training_pairs.whole_pairs(pictures, QUIET, seed=0)
    assert len(pairs) == 3 * len(pictures)  # shake, x, y
    for (y, x), picture in zip(pairs[::3], pictures.values(), strict=True):
        assert y.shape == x.shape == (1, 3, picture.shape[1] - 4, picture.shape[2] - 4)
        assert torch.equal((x[0] * 255).round().to(torch.uint8), picture[:, 2:-2, 2:-2])
    again = training_pairs.whole_pairs(pictures, QUIET, seed=0)
    assert all(torch.equal(a[0], b[0]) for a, b in zip(pairs, again, strict=True))


def test_pictures_come_with_scikit_image_from_folders_or_from_the_registry(tmp_path):
    built_in = training_pairs.sharp_pictures("builtin")
    assert len(built_in) == 8 and all(p.shape[0] == 3 and p.dtype == torch.uint8 for p in built_in.values())
    assert min(min(p.shape[1:]) for p in built_in.values()) > 256 + 31
    Image.fromarray(np.full((30, 20), 7, np.uint8)).save(tmp_path / "grey.png")
    (tmp_path / "notes.txt").write_text("no picture")
    own = training_pairs.sharp_pictures(str(tmp_path))
    assert list(own) == [f"{tmp_path}/grey.png"] and own[f"{tmp_path}/grey.png"].shape == (3, 30, 20)
    assert len(training_pairs.sharp_pictures("builtin", str(tmp_path))) == 9
    with pytest.raises(UsageError, match="holds no pictures"):
        training_pairs.sharp_pictures(str(tmp_path / "nowhere"))


def test_the_pictures_of_the_built_in_pairs_and_of_validation_do_not_train():
    training = training_pairs.sharp_pictures("builtin")
    shown = {pair.partition("_")[0] for pair in data.names("builtin_colour")} | {"camera", *HELD_OUT}
    assert not shown & {name.partition("/")[2] for name in training}
    held_out = training_pairs.sharp_pictures("held out")
    assert len(held_out) == 3
    for kept in held_out.values():
        assert not any(kept.shape == picture.shape and torch.equal(kept, picture) for picture in training.values())


def test_a_digest_names_the_pictures(tmp_path):
    Image.fromarray(np.full((30, 20), 7, np.uint8)).save(tmp_path / "a.png")
    before = training_pairs.digest("builtin", str(tmp_path))
    assert before == training_pairs.digest("builtin", str(tmp_path)) != training_pairs.digest("builtin")
    Image.fromarray(np.full((30, 20), 8, np.uint8)).save(tmp_path / "a.png")
    assert training_pairs.digest("builtin", str(tmp_path)) != before
    assert training_pairs.digest("CBSD68") != training_pairs.digest("Kodak24")  # not here, and known all the same


def test_real_pairs_are_cut_alike(pictures):
    pairs = {name: torch.cat([picture, 255 - picture]) for name, picture in pictures.items()}
    for turn in (False, True):
        blurry, sharp = RealPairs(pairs, batch=5, crop=16, turn=turn)(generator())
        assert blurry.shape == (5, 3, 16, 16)
        torch.testing.assert_close(blurry + sharp, torch.ones_like(sharp))
    rows = torch.arange(16, dtype=torch.uint8)[:, None].expand(6, 16, 16)  # real blur is not turned unless told
    _, upright = RealPairs({"own/0": rows}, batch=20, crop=16)(generator())
    assert torch.equal((255 * upright).round().to(torch.uint8), rows[:3].expand(20, -1, -1, -1))


@pytest.mark.parametrize("scene", sorted(TEST_SCENES))
def test_nothing_of_the_official_test_split_trains(scene):
    averaged, bare = f"{scene}_st_frame-203_n_avg-8.png", scene.removeprefix("GOPR")
    for name in (f"{scene}_000020", f"folder/{scene}_000020.png", f"frames_{scene}", averaged, bare):
        with pytest.raises(UsageError, match="test split"):
            RealPairs({name: picture(0, channels=6)}, 1, 8)
        with pytest.raises(UsageError, match="test split"):
            SyntheticPairs({name: picture(0)}, kernels(QUIET, 0), QUIET, 1, 8)


def test_pictures_that_are_too_small_and_no_pictures_are_named(pictures):
    with pytest.raises(UsageError, match="own/3 has 57 x 43 pixels, and a crop with what blurs into it needs 44"):
        SyntheticPairs({"own/3": pictures["own/3"]}, kernels(QUIET, 0), QUIET, 1, 40)
    with pytest.raises(UsageError, match="no picture to train on"):
        RealPairs({}, 1, 8)


def test_pictures_and_kernels_of_another_kind_are_refused(pictures):
    k = kernels(QUIET, 0)
    floats = {name: picture / 255 for name, picture in pictures.items()}
    with pytest.raises(UsageError, match=r"own/0 is torch.float32 \(3, 40, 60\), and not uint8"):  # they were dark
        SyntheticPairs(floats, k, QUIET, 1, 8)
    with pytest.raises(UsageError, match=r"not uint8 \(6, h, w\)"):  # the sharp half was empty
        RealPairs(pictures, 1, 8)
    with pytest.raises(UsageError, match="odd size, not of 4 px"):  # sharp crops were a pixel smaller
        SyntheticPairs(pictures, k[:, :4, :4], QUIET, 1, 8)


@pytest.mark.parametrize("shortest", [-1.0, 5.0])
def test_motions_that_do_not_fit_into_their_kernels_are_refused(shortest):
    with pytest.raises(UsageError, match=f"Motions of {shortest} px and more do not fit into kernels of 5 px"):
        kernels(Blur(size=5, shortest=shortest), 0)
