"""REDS in the authors' layout: pairs by split and scene, the same with or without the folders of the splits."""

import numpy as np
import pytest
import torch
from PIL import Image

from deblur_core import data
from deblur_core.data import gopro, reds
from deblur_core.errors import UsageError


def write(path, level, size=(12, 10)):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((*size, 3), level, np.uint8)).save(path)


@pytest.fixture(params=["with folders of the splits", "without"])
def root(request, tmp_path):
    for split, scenes in (("train", ("000", "001")), ("val", ("000",))):
        folder = tmp_path / split if request.param.startswith("with ") else tmp_path
        for scene in scenes:
            for number in (0, 1):
                for kind, level in (("blur", 100), ("blur_comp", 110), ("sharp", 10 * int(scene) + number)):
                    write(folder / f"{split}_{kind}" / scene / f"0000000{number}.png", level)
    return tmp_path


def test_a_whole_copy_is_a_dataset(root):
    names = data.names(f"reds:{root}")
    assert names == [f"{scene}_0000000{n}" for scene in ("train_000", "train_001", "val_000") for n in (0, 1)]
    pair = data.load(f"reds:{root}", "train_001_00000001")
    assert pair.dataset == "reds" and pair.tags == ("train", "train_001") and pair.kernel is None
    assert (pair.blurry * 255 == 100).all() and (pair.sharp * 255).unique().tolist() == [11]
    digests = {data.digest(f"reds:{root}", name) for name in names}
    assert pair.digest in digests and len(digests) == len(names)
    assert data.available(f"reds:{root}") == (True, str(root))


def test_pairs_are_read_for_training_and_split_by_scene(root):
    pairs = gopro.read_pairs(reds.find_pairs(root, "train"))
    assert all(pair.shape == (6, 12, 10) and pair.dtype == torch.uint8 for pair in pairs.values())
    training, held_out = gopro.split_by_scene(pairs, held_out=["train_001"])
    assert {int(pair[3:].max()) for pair in training.values()} == {0, 1}
    assert {int(pair[3:].max()) for pair in held_out.values()} == {10, 11}
    compressed = gopro.read_pairs(reds.find_pairs(root, "val", blur="blur_comp"))
    assert all((pair[:3] == 110).all() for pair in compressed.values()) and len(compressed) == 2


def test_incomplete_and_empty_folders_are_named(root, tmp_path):
    sharp = next(root.glob("**/train_sharp/001/00000001.png"))
    sharp.unlink()
    with pytest.raises(UsageError, match=r"^00000001\.png is not in both .*train_blur.001 and .*train_sharp.001: "):
        reds.find_pairs(root, "train")
    (sharp.parent / "00000000.png").unlink()
    sharp.parent.rmdir()
    with pytest.raises(UsageError, match=r"^00000000\.png is not in both .*train_blur.001 and"):
        data.names(f"reds:{root}")
    for empty in (tmp_path / "nowhere", sharp.parent):
        with pytest.raises(UsageError, match="holds no pairs: put them in train_blur/SCENE and train_sharp/SCENE"):
            data.names(f"reds:{empty}")


def test_pictures_of_unlike_sizes_are_named(root):
    write(next(root.glob("**/val_sharp/000/00000001.png")), 1, size=(12, 11))
    with pytest.raises(UsageError, match="val_000_00000001: the blurry picture has 10 x 12 pixels, the sharp one 11"):
        gopro.read_pairs(reds.find_pairs(root, "val"))
    with pytest.raises(UsageError, match="val_000_00000001: the blurry picture has 10 x 12 pixels, the sharp one 11"):
        data.load(f"reds:{root}", "val_000_00000001")
