"""Sources of filmed pairs by their names: read whole, split by scene, and nothing of the test split among them."""

import os

import numpy as np
import pytest
from PIL import Image

from deblur_core import data
from deblur_core.data import filmed_pairs, gopro
from deblur_core.errors import UsageError

SCENES, TEST = ("GOPR0372_07_00", "GOPR0374_11_00"), "GOPR0384_11_00"
needs_data = pytest.mark.skipif(not os.environ.get("DEBLUR_DATA"), reason="real data: set DEBLUR_DATA")


def write(path, level):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((12, 10, 3), level, np.uint8)).save(path)


@pytest.fixture
def copy(tmp_path):
    """A set in the authors' layout; blurry pictures are 100, sharp ones their scene's number."""
    for i, scene in enumerate((*SCENES, TEST)):
        for kind, level in (("blur", 100), ("sharp", i)):
            write(tmp_path / "train" / scene / kind / "000047.png", level)
    return tmp_path


@pytest.fixture
def frames(tmp_path):
    """Two scenes and one of the test split; a scene's frames are 10, 20, ... 70."""
    for scene in (*SCENES, TEST):
        for number in range(1, 8):
            write(tmp_path / "films" / scene / f"{number:06}.png", 10 * number)
    return tmp_path / "films"


def test_sources_of_films_are_told_from_sources_of_pictures():
    named = ("builtin", "gopro", "gopro:here", "CBSD68", "reds:there", "frames:a", "frames_gamma:b", "C:pictures")
    films, others = filmed_pairs.apart(named)
    assert films == ("gopro", "gopro:here", "reds:there", "frames:a", "frames_gamma:b")
    assert others == ("builtin", "CBSD68", "C:pictures")


def test_a_copy_is_read_without_its_test_split_and_its_last_scene_is_kept_apart(copy):
    training, held_out = filmed_pairs.split(f"gopro:{copy}")
    assert list(training) == [f"{SCENES[0]}_000047"] and list(held_out) == [f"{SCENES[1]}_000047"]
    for i, pair in enumerate((*training.values(), *held_out.values())):
        assert pair.shape == (6, 12, 10) and (pair[:3] == 100).all() and (pair[3:] == i).all()


def test_frames_are_averaged_scene_by_scene_and_intensities_weigh_bright_frames_more(frames):
    linear, gamma = (filmed_pairs.filmed_pairs(f"{kind}:{frames}") for kind in ("frames", "frames_gamma"))
    assert list(linear) == list(gamma) == [f"{scene}_000004" for scene in SCENES]
    for name, pair in linear.items():
        assert (pair == 40).all()
        assert (gamma[name][3:] == 40).all() and 42 <= int(gamma[name][0, 0, 0]) <= 50
    alone = filmed_pairs.filmed_pairs(f"frames:{frames / SCENES[0]}")
    assert list(alone) == [f"{SCENES[0]}_000004"]


def test_scenes_with_numbers_in_their_names_stay_apart(tmp_path):
    for scene in ("walk_01", "walk_02", "000"):
        for number in range(7):
            write(tmp_path / "films" / scene / f"{number}.png", 50)
    training, held_out = filmed_pairs.split(f"frames:{tmp_path / 'films'}")
    assert [*training, *held_out] == ["000_000003", "walk_01_000003", "walk_02_000003"]
    again = tmp_path / "more" / "000"
    again.parent.mkdir()
    (tmp_path / "films" / "000").rename(again)
    (tmp_path / "films" / "walk_01").rename(tmp_path / "films" / "000")
    with pytest.raises(UsageError, match="000_000003 is in two sources"):
        filmed_pairs.filmed_pairs(f"frames:{tmp_path / 'films'}", f"frames:{again.parent}")


def test_what_identifies_them_changes_with_a_file(copy, frames):
    for source, file in (
        (f"gopro:{copy}", copy / "train" / SCENES[0] / "blur" / "000047.png"),
        (f"frames:{frames}", frames / SCENES[0] / "000003.png"),
    ):
        before = filmed_pairs.digest(source)
        assert filmed_pairs.digest(source) == before
        write(file, 99)
        assert filmed_pairs.digest(source) != before
    assert filmed_pairs.digest(f"frames:{frames}") != filmed_pairs.digest(f"frames_gamma:{frames}")


def test_wrong_sources_are_one_sentence(copy, frames, tmp_path):
    empty = tmp_path / "empty"
    empty.mkdir()
    for source, sentence in (
        (f"frames:{frames / SCENES[0]}", f"All filmed pairs are of scene {SCENES[0]}"),
        (f"frames:{frames / TEST}", "nothing but pictures of the official GoPro test split"),
        (f"frames:{empty}", "holds neither frames nor folders of frames"),
        (f"gopro:{empty}", "holds no pairs of the train split"),
        (f"reds:{empty}", "holds no pairs"),
    ):
        with pytest.raises(UsageError, match=sentence):
            filmed_pairs.split(source)
    Image.fromarray(np.zeros((9, 9, 3), np.uint8)).save(frames / SCENES[0] / "000003.png")
    with pytest.raises(UsageError, match="frames of several sizes"):
        filmed_pairs.filmed_pairs(f"frames:{frames}")
    (copy / "train" / SCENES[0] / "sharp" / "000047.png").unlink()
    with pytest.raises(UsageError, match="is not in both"):
        filmed_pairs.filmed_pairs(f"gopro:{copy}")


def test_a_source_of_sharp_pictures_is_none_of_filmed_pairs():
    for use in (filmed_pairs.filmed_pairs, filmed_pairs.digest):
        with pytest.raises(UsageError, match="'builtin' is no source of filmed pairs: choose from gopro"):
            use("builtin")


@needs_data
def test_the_pairs_at_hand_leave_fifteen_to_train_on_and_to_validate_with():
    training, held_out = filmed_pairs.split("gopro", "gopro_averaged")
    assert {gopro.scene_of(name) for name in training} == {*SCENES, "GOPR0384_11_02"} and len(training) == 9
    assert {gopro.scene_of(name) for name in held_out} == {"GOPR0477_11_00"} and len(held_out) == 6
    folder = data.data_folder() / "gopro" / "frames_GOPR0477_11_00"
    averaged = filmed_pairs.filmed_pairs(f"frames:{folder}")
    assert len(averaged) == 4 and all(pair.shape == (6, 720, 1280) for pair in averaged.values())
