"""The public face of the data: builtin pairs, windows of them, own folders, answers to bad requests."""

from importlib.metadata import files
from itertools import product

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.ndimage import uniform_filter
from scipy.signal import fftconvolve

from deblur_core import data
from deblur_core.data import builtin
from deblur_core.errors import DeblurError, UsageError


@pytest.fixture(autouse=True)
def fresh_machine(tmp_path, monkeypatch):
    monkeypatch.delenv("DEBLUR_DATA", raising=False)
    monkeypatch.setenv("DEBLUR_HOME", str(tmp_path / "home"))


def residual(pair, kernel):
    """How far the blurry image is from the sharp one blurred by `kernel`, as (mean, standard deviation)."""
    expected = fftconvolve(pair.sharp[0, 0].double(), kernel[0].double(), mode="valid")
    margin = kernel.shape[-1] // 2
    blurry = pair.blurry[0, 0, margin:-margin, margin:-margin].numpy()
    return (blurry - expected).mean(), (blurry - expected).std()


@pytest.mark.parametrize("name", data.names("builtin"))
def test_builtin_pairs_are_convolutions_with_their_kernel(name):
    pair = data.load("builtin", name)
    assert pair.blurry.shape == pair.sharp.shape == (1, 1, 255, 255)
    assert pair.kernel.min() >= 0 and pair.kernel.sum() == pytest.approx(1)
    mean, deviation = residual(pair, pair.kernel)
    noise = np.hypot(builtin._NOISE, 1 / 255 / np.sqrt(12))  # the noise and the rounding to 8 bits
    assert abs(mean) < 1e-4 and deviation == pytest.approx(noise, rel=0.1)
    assert residual(pair, pair.kernel.flip(-2, -1))[1] > 2 * deviation


def test_builtin_kernels_have_the_sizes_of_levin_and_fit_what_methods_are_told():
    pairs = [data.load("builtin", f"im1_kernel{number}") for number in range(1, 9)]
    assert [pair.kernel.shape[-1] for pair in pairs] == [19, 17, 15, 27, 13, 21, 23, 23]
    assert [pair.kernel_size for pair in pairs] == [17, 15, 13, 27, 11, 19, 21, 21]
    for pair in pairs:
        border = (pair.kernel.shape[-1] - pair.kernel_size) // 2
        inside = pair.kernel[:, border : border + pair.kernel_size, border : border + pair.kernel_size]
        assert inside.sum() == pytest.approx(1)
        assert pair.kernel.max() < 0.5, "nearly a delta"


def test_builtin_images_are_8_bit_and_beyond_the_border_lies_the_real_scene():
    pair = data.load("builtin", "im2_kernel4")
    for image in (pair.blurry, pair.sharp):
        assert torch.equal(image, data.to_uint8(image) / 255)
    scene = builtin._scene("im2")
    assert scene.shape == (281, 281)
    assert np.array_equal(scene[13:-13, 13:-13], data.to_uint8(pair.sharp)[0, 0])
    whole = fftconvolve(scene / 255, pair.kernel[0].double(), mode="valid")
    assert np.abs(whole - pair.blurry[0, 0].numpy())[0].mean() < 0.003  # the topmost row is as good as any


def test_builtin_noise_differs_from_pair_to_pair():
    pairs = [data.load("builtin", name) for name in ("im1_kernel5", "im2_kernel5")]
    noise = [
        pair.blurry[0, 0, 6:-6, 6:-6].numpy() - fftconvolve(pair.sharp[0, 0], pair.kernel[0], mode="valid")
        for pair in pairs
    ]
    assert abs(np.corrcoef(noise[0].ravel(), noise[1].ravel())[0, 1]) < 0.05


def test_builtin_content_is_the_same_everywhere():
    """Recorded results refer to these digests: after a change here they have to be computed again."""
    digests = [data.digest("builtin", name) for name in data.names("builtin")]
    assert len(set(digests)) == 32
    assert data.content_digest(*digests)[:16] == "127204e9670c4966"


def test_builtin_pictures_come_with_scikit_image():
    bundled = {path.name for path in files("scikit-image") if path.parent.name == "data"}
    assert {f"{scene[0]}.png" for scene in builtin._SCENES.values()} <= bundled


def test_loading_gives_fresh_tensors():
    data.load("builtin", "im1_kernel1").blurry.zero_()
    assert data.load("builtin", "im1_kernel1").blurry.max() > 0.5


def test_crop_is_the_window_with_the_strongest_edges_in_both_images():
    pair = data.load("builtin", "im3_kernel2")
    small = data.crop(pair, 128)
    assert small.blurry.shape == small.sharp.shape == (1, 1, 128, 128)
    corners = [
        (row, column)
        for row in range(128)
        for column in range(128)
        if torch.equal(pair.sharp[..., row : row + 128, column : column + 128], small.sharp)
    ]
    assert len(corners) == 1
    row, column = corners[0]
    assert torch.equal(pair.blurry[..., row : row + 128, column : column + 128], small.blurry)
    assert small.kernel is pair.kernel and small.kernel_size == pair.kernel_size

    smooth = uniform_filter(pair.sharp[0, 0].numpy(), 3)

    def edges(top, left):
        down, right = np.gradient(smooth[top : top + 128, left : left + 128])
        return np.sum(down**2 + right**2)

    others = [edges(*corner) for corner in product(range(0, 128, 16), repeat=2)]
    assert edges(row, column) > 0.98 * max(others) > 1.1 * min(others)


def test_crop_has_its_own_digest_and_one_window_per_image():
    pair = data.load("builtin", "im1_kernel1")
    digests = {pair.digest, data.crop(pair, 128).digest, data.crop(pair, 96).digest}
    assert len(digests) == 3 and data.crop(pair, 128).digest in digests
    other = data.crop(data.load("builtin", "im1_kernel8"), 128)
    assert torch.equal(other.sharp, data.crop(pair, 128).sharp) and other.digest not in digests
    assert torch.equal(data.crop(pair, 255).blurry, pair.blurry)
    for size in (0, 1, 256):
        with pytest.raises(UsageError, match="Cannot crop"):
            data.crop(pair, size)


def test_the_strongest_edges_are_those_of_one_picture_of_floats():
    picture = torch.rand(2, 1, 9, 9, generator=torch.Generator().manual_seed(0))
    for other in (picture, picture[0], (255 * picture[:1]).byte()):  # 255 times a byte has no room in a byte
        with pytest.raises(UsageError, match=r"one image .1, c, h, w. of floats"):
            data.strongest_window(other, 4)


def test_unknown_names_are_answered_with_the_known_ones():
    for ask in (data.names, data.available, data.verify, data.fetch_dataset):
        with pytest.raises(UsageError, match="no dataset 'levine': choose from builtin, builtin_colour, levin, lai"):
            ask("levine")
    for ask in (data.load, data.digest):
        with pytest.raises(UsageError, match="no pair 'im5_kernel1' in levin: choose from im1_kernel1, "):
            ask("levin", "im5_kernel1")


def test_what_is_not_here_is_described_with_the_remedy():
    rows = {row["dataset"]: row for row in data.describe()}
    assert list(rows) == list(data.DATASETS)
    assert rows["builtin"]["available"] and rows["builtin"]["pairs"] == 32
    assert not rows["levin"]["available"] and rows["levin"]["pairs"] == 32 and rows["lai"]["pairs"] == 40
    assert rows["levin"]["where"] == "44 of 44 files missing: run `deblur data fetch levin`"
    assert set(data.verify("lai").values()) == {"missing"} and data.verify("builtin") == {}


def test_digests_of_registered_pairs_need_no_files():
    digests = [data.digest(dataset, name) for dataset in ("levin", "lai") for name in data.names(dataset)]
    assert len(set(digests)) == 72


@pytest.fixture
def own(tmp_path):
    """A folder with two pictures, their truths and one even simpler kernel each."""
    root = tmp_path / "own"
    random = np.random.default_rng(0)
    for folder in ("blurry", "sharp"):
        (root / folder).mkdir(parents=True)
        for name in ("cat", "dog"):
            picture = Image.fromarray(random.integers(0, 256, (20, 30, 3), dtype=np.uint8))
            picture.save(root / folder / f"{name}.png")
    (root / "kernels").mkdir()
    for name in ("cat", "dog"):
        kernel = np.array([[0, 0, 0], [0, 100, 0], [0, 0, 50]], np.uint8)
        Image.fromarray(kernel).save(root / "kernels" / f"{name}.png")
    return root


def test_own_folder_is_read_as_laid_out(own):
    dataset = f"folder:{own}"
    assert data.names(dataset) == ["cat", "dog"] and data.available(dataset) == (True, str(own))
    pair = data.load(dataset, "dog")
    assert pair.blurry.shape == pair.sharp.shape == (1, 3, 20, 30) and pair.kernel_size == 3
    assert pair.kernel[0].tolist() == [[0, 0, 0], [0, pytest.approx(2 / 3), 0], [0, 0, pytest.approx(1 / 3)]]
    assert torch.equal(pair.blurry, data.read_image(own / "blurry" / "dog.png"))


def test_own_folder_needs_only_blurry_pictures_and_a_kernel_size(own):
    for path in [*(own / "sharp").iterdir(), *(own / "kernels").iterdir()]:
        path.unlink()
    (own / "sharp").rmdir()
    (own / "kernels").rmdir()
    for wrong in (None, "", "four", "4", "-3"):
        if wrong is not None:
            (own / "kernel_size.txt").write_text(wrong)
        with pytest.raises(UsageError, match="kernel size is not known"):
            data.load(f"folder:{own}", "cat")
    (own / "kernel_size.txt").write_text("25\n")
    pair = data.load(f"folder:{own}", "cat")
    assert pair.sharp is None and pair.kernel is None and pair.kernel_size == 25
    assert data.crop(pair, 16).sharp is None
    (own / "kernel_size.txt").write_text("27\n")
    assert data.digest(f"folder:{own}", "cat") != pair.digest
    (own / "blurry" / "cat.png").rename(own / "blurry" / "cat.PNG")
    assert data.names(f"folder:{own}") == ["cat", "dog"]


def test_own_digest_follows_every_file_that_is_read(own):
    seen = {data.digest(f"folder:{own}", "cat")}
    for path in (own / "blurry" / "cat.png", own / "sharp" / "cat.png", own / "kernels" / "cat.png"):
        path.write_bytes(path.read_bytes() + b"more")
        seen.add(data.digest(f"folder:{own}", "cat"))
    assert len(seen) == 4


def test_own_folder_that_does_not_fit_says_what_is_wrong(own, tmp_path):
    dataset = f"folder:{own}"
    with pytest.raises(UsageError, match="no pictures to deblur: put them in"):
        data.names(f"folder:{tmp_path / 'nothing'}")
    Image.new("L", (30, 20)).save(own / "sharp" / "dog.png")
    with pytest.raises(UsageError, match="differ in size or colours"):
        data.load(dataset, "dog")
    (own / "sharp" / "dog.png").unlink()
    with pytest.raises(UsageError, match="'dog' is not in both blurry and sharp"):
        data.load(dataset, "cat")
    (own / "sharp" / "dog.png").write_bytes(b"damaged")
    with pytest.raises(DeblurError, match=r"dog\.png is damaged"):
        data.load(dataset, "dog")
    for bad in (Image.new("L", (4, 3), 9), Image.new("L", (3, 3), 0)):
        bad.save(own / "kernels" / "cat.png")
        with pytest.raises(UsageError, match="no blur kernel"):
            data.load(dataset, "cat")
    Image.new("L", (9, 9)).save(own / "blurry" / "dog.jpg")
    with pytest.raises(UsageError, match="differ only in the suffix"):
        data.names(dataset)
