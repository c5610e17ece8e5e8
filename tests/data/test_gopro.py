"""GoPro: both layouts, frames averaged into pairs, and a split by scene that test sequences never cross."""

import os

import numpy as np
import pytest
import torch
from PIL import Image

from deblur_core import data
from deblur_core.data import gopro
from deblur_core.errors import UsageError

TRAINING, TEST = "GOPR0372_07_00", "GOPR0384_11_00"
needs_data = pytest.mark.skipif(not os.environ.get("DEBLUR_DATA"), reason="real data: set DEBLUR_DATA")


def write(path, level, size=(12, 10), channels=(3,)):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((*size, *channels), level, np.uint8)).save(path)


@pytest.fixture
def root(tmp_path):
    """The authors' layout, with a scene of the test split in the wrong folder."""
    for split, scene in (("train", TRAINING), ("train", TEST), ("test", TEST)):
        for number in (47, 48):
            for kind, level in (("blur", 100), ("blur_gamma", 110), ("sharp", number)):
                write(tmp_path / split / scene / kind / f"0000{number}.png", level)
    return tmp_path


def test_the_official_test_split_is_known():
    assert len(gopro.TEST_SCENES) == 11 and {TEST, "GOPR0410_11_00"} <= gopro.TEST_SCENES
    assert not gopro.may_train(TEST) and gopro.may_train(TRAINING) and gopro.may_train("kodim01")
    for folder in ("2024_05_01", "0001_02_03", TRAINING):  # whatever the folders are called
        assert not gopro.may_train(f"data/{folder}/{TEST}_000001.png") and gopro.may_train(f"data/{folder}/kodim01.png")
        assert gopro.scene_of(f"data/{folder}/{TEST}_000001.png") == TEST
        assert not gopro.may_train(f"data/{TEST}/{folder}/000001.png")


def test_a_scene_is_found_in_every_kind_of_name():
    nested, averaged = f"test/{TEST}/blur/000047.png", f"{TEST}_st_frame-386_n_avg-8_gt.png"
    for name in (f"{TEST}_000047", nested, averaged, f"frames_{TEST}", "0384_11_00"):
        assert gopro.scene_of(name) == TEST
    assert gopro.scene_of("street_000012") == "street" and gopro.scene_of("street") == "street"


def test_both_layouts_give_the_same_pairs(root, tmp_path):
    nested = gopro.find_pairs(root, "test")
    assert list(nested) == [f"{TEST}_000047", f"{TEST}_000048"]
    flat = tmp_path / "flat"
    for name, files in nested.items():
        for kind, file in zip(("blur", "sharp"), files, strict=True):
            (flat / "test" / kind).mkdir(parents=True, exist_ok=True)
            (flat / "test" / kind / f"{name}.png").write_bytes(file.read_bytes())
    found = gopro.read_pairs(gopro.find_pairs(flat, "test"))
    assert found.keys() == nested.keys()
    for name, pair in found.items():
        assert pair.shape == (6, 12, 10) and pair.dtype == torch.uint8
        assert (pair[:3] == 100).all() and (pair[3:] == int(name[-2:])).all()
    with_gamma = gopro.read_pairs(gopro.find_pairs(root, "test", blur="blur_gamma"))
    assert all((pair[:3] == 110).all() for pair in with_gamma.values())


def test_test_scenes_in_the_training_folder_are_left_out(root):
    assert {gopro.scene_of(name) for name in gopro.find_pairs(root, "train")} == {TRAINING}
    (root / "train" / TRAINING).rename(root / "elsewhere")
    with pytest.raises(UsageError, match="holds no pairs of the train split"):
        gopro.find_pairs(root, "train")


def test_the_split_is_by_scene():
    items = {f"{scene}_0000{number}": number for scene in (TRAINING, "GOPR0477_11_00", TEST) for number in (1, 2)}
    training, held_out = gopro.split_by_scene(items, held_out=["GOPR0477_11_00"])
    assert {gopro.scene_of(name) for name in training} == {TRAINING} and len(training) == 2
    assert {gopro.scene_of(name) for name in held_out} == {"GOPR0477_11_00"} and len(held_out) == 2
    with pytest.raises(UsageError, match="no scene 'GOPR0001_00_00' to hold out: choose from GOPR0372_07_00, "):
        gopro.split_by_scene(items, held_out=["GOPR0001_00_00"])


def test_incomplete_empty_and_unequal_folders_are_named(root, tmp_path):
    with pytest.raises(UsageError, match=r"holds no pairs of the train split: put them in train/SCENE/blur"):
        gopro.find_pairs(tmp_path / "nowhere", "train")
    write(root / "test" / TEST / "sharp" / "000048.png", 1, size=(12, 11))
    with pytest.raises(UsageError, match="_000048: the blurry picture has 10 x 12 pixels, the sharp one 11 x 12"):
        gopro.read_pairs(gopro.find_pairs(root, "test"))
    with pytest.raises(UsageError, match="_000048: the blurry picture has 10 x 12 pixels, the sharp one 11 x 12"):
        data.load(f"gopro:{root}", f"{TEST}_000048")
    write(root / "test" / TEST / "sharp" / "000048.png", 1, channels=())
    with pytest.raises(UsageError, match="has 10 x 12 pixels in colour, the sharp one 10 x 12 pixels in grey: make"):
        gopro.read_pairs(gopro.find_pairs(root, "test"))
    (root / "train" / TRAINING / "blur" / "000048.png").unlink()
    with pytest.raises(UsageError, match=r"^000048\.png is not in both .*blur and .*sharp: complete"):
        gopro.find_pairs(root, "train")
    (root / "test" / TEST / "sharp" / "000048.png").unlink()
    with pytest.raises(UsageError, match=r"^000048\.png is not in both .*blur and .*sharp: complete"):
        gopro.find_pairs(root, "test")


def test_a_whole_copy_is_a_dataset(root):
    dataset = f"gopro:{root}"
    assert data.names(dataset) == [f"{TRAINING}_000047", f"{TRAINING}_000048", f"{TEST}_000047", f"{TEST}_000048"]
    pair = data.load(dataset, f"{TEST}_000047")
    assert (
        pair.tags == ("test", TEST) and pair.kernel is None and pair.blurry.shape == pair.sharp.shape == (1, 3, 12, 10)
    )
    assert pair.digest == data.digest(dataset, f"{TEST}_000047") != data.digest(dataset, f"{TEST}_000048")
    write(root / "test" / TEST / "blur" / "000047.png", 101)
    assert data.digest(dataset, f"{TEST}_000047") != pair.digest
    assert data.load(dataset, f"{TRAINING}_000048").tags == ("train", TRAINING)


def test_frames_are_averaged_around_their_centre(tmp_path):
    folder = tmp_path / "frames_GOPR0477_11_00"
    for number in (60, 61, 62, 63, 64, 65, 66, 70, 71):  # one gap
        write(folder / f"0000{number}.png", 2 * number)
    pairs = gopro.average_frames(folder, length=3)
    assert list(pairs) == ["GOPR0477_11_00_000061", "GOPR0477_11_00_000064"]
    for name, pair in pairs.items():
        assert (pair == 2 * int(name[-2:])).all(), "a mean of evenly spaced levels is the centre's"
    write(folder / "000060.png", 0)
    write(folder / "000061.png", 0)
    write(folder / "000062.png", 255)
    linear = gopro.average_frames(folder, 3)["GOPR0477_11_00_000061"]
    assert (linear[:3] == 85).all() and (linear[3:] == 0).all()
    gamma = gopro.average_frames(folder, 3, gamma=2.2)["GOPR0477_11_00_000061"]
    assert (gamma[:3] == round(255 * (1 / 3) ** (1 / 2.2))).all()
    for number in (73, 74, 76, 77, 78):  # the run begins within the first three that are left
        write(folder / f"0000{number}.png", 1)
    write(folder / "poster.png", 1)
    assert list(gopro.average_frames(folder, 3))[2:] == ["GOPR0477_11_00_000077"]
    for length in (4, 1, 0):
        with pytest.raises(UsageError, match="odd number of frames"):
            gopro.average_frames(folder, length)
    with pytest.raises(UsageError, match="holds no 9 consecutive frames"):
        gopro.average_frames(folder, 9)
    with pytest.raises(UsageError, match="holds no 3 consecutive frames"):
        gopro.average_frames(tmp_path / "nowhere", 3)
    for number in range(3):
        write(folder / f"{10**18 + number}.png", 0)  # a time in nanoseconds: nobody counts that far
    assert list(gopro.average_frames(folder, 3))[-1] == f"GOPR0477_11_00_{10**18 + 1}"


@needs_data
def test_the_six_pairs_are_real_and_their_blurry_pictures_are_smoother():
    assert data.available("gopro")[0] and set(data.verify("gopro").values()) == {"good"}
    tags = {name: data.load("gopro", name).tags[0] for name in data.names("gopro")}
    assert list(tags.values()).count("train") == 4 and list(tags.values()).count("test") == 2
    for name, split in tags.items():
        assert gopro.may_train(name) == (split == "train")
    pair = data.load("gopro", "GOPR0372_07_00_000047")
    assert pair.blurry.shape == (1, 3, 720, 1280)
    assert pair.blurry.diff().abs().mean() < 0.8 * pair.sharp.diff().abs().mean()


@needs_data
def test_the_averaged_pairs_are_whole_blurred_and_keep_to_the_split():
    assert set(data.verify("gopro_averaged").values()) == {"good"}
    pairs = [data.load("gopro_averaged", name) for name in data.names("gopro_averaged")[::4]]
    assert len(data.names("gopro_averaged")) == 18 and len({pair.digest for pair in pairs}) == len(pairs)
    for pair in pairs:
        assert (pair.tags[0] == "test") == (pair.tags[1] in gopro.TEST_SCENES)
        assert pair.blurry.diff().abs().mean() < 0.9 * pair.sharp.diff().abs().mean()


@needs_data
def test_averages_of_real_frames_are_blurred_and_aligned_with_their_truth():
    folder = data.data_folder() / "gopro" / "frames_GOPR0477_11_00"
    pairs = gopro.average_frames(folder, length=13)
    assert len(pairs) == 4 and not set(map(gopro.scene_of, pairs)) & gopro.TEST_SCENES
    for pair in pairs.values():
        blurry, sharp = pair.float().split(3)
        assert blurry.diff().abs().mean() < 0.9 * sharp.diff().abs().mean()

        def misfit(shift, blurry=blurry, sharp=sharp):
            return (blurry[..., 20:-20] - sharp.roll(shift, -1)[..., 20:-20]).square().mean()

        assert misfit(0) < min(misfit(-4), misfit(4))
