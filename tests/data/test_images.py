"""Reading and writing pictures, and the luma definitions."""

from functools import partial

import numpy as np
import pytest
import torch
from PIL import Image

from deblur_core.data import folders
from deblur_core.data.images import (
    from_luma_chroma,
    matlab_luma,
    read_image,
    to_luma_chroma,
    to_uint8,
    write_image,
)
from deblur_core.errors import DeblurError, UsageError

RAMP = np.arange(12, dtype=np.uint8).reshape(3, 4) * 20


def saved(path, array, mode=None, **options):
    picture = Image.fromarray(array)
    (picture.convert(mode) if mode else picture).save(path, **options)
    return path


@pytest.mark.parametrize("suffix", [".png", ".tif", ".bmp"])
def test_grey_is_one_channel_in_unit_range(tmp_path, suffix):
    image = read_image(saved(tmp_path / f"grey{suffix}", RAMP))
    assert image.shape == (1, 1, 3, 4) and image.dtype == torch.float32
    assert torch.equal(image[0, 0], torch.from_numpy(RAMP) / 255)


def test_colour_channels_are_red_green_blue(tmp_path):
    rgb = np.zeros((2, 3, 3), np.uint8)
    rgb[..., 0], rgb[..., 1] = 255, 51
    image = read_image(saved(tmp_path / "colour.png", rgb))
    assert image.shape == (1, 3, 2, 3)
    assert image[0, :, 0, 0].tolist() == pytest.approx([1, 0.2, 0])


def test_16_bit_grey_keeps_its_precision(tmp_path):
    levels = np.array([[0, 1, 257], [32768, 65534, 65535]], np.uint16)
    for suffix in (".png", ".tif"):
        image = read_image(saved(tmp_path / f"deep{suffix}", levels))
        assert (image[0, 0] * 65535).round().int().tolist() == levels.tolist()


def test_float_tiff_is_read_as_it_is(tmp_path):
    values = np.linspace(0, 1, 6, dtype=np.float32).reshape(2, 3)
    assert torch.equal(read_image(saved(tmp_path / "float.tif", values))[0, 0], torch.from_numpy(values))


def test_palette_is_expanded(tmp_path):
    rgb = np.zeros((4, 4, 3), np.uint8)
    rgb[:2] = (255, 0, 0)
    image = read_image(saved(tmp_path / "palette.png", rgb, mode="P"))
    assert image[0, :, 0, 0].tolist() == [1, 0, 0] and image[0, :, 3, 3].tolist() == [0, 0, 0]


def test_cmyk_jpeg_becomes_rgb(tmp_path):
    red = np.full((8, 8, 3), (255, 0, 0), np.uint8)
    image = read_image(saved(tmp_path / "print.jpg", red, mode="CMYK", quality=95))
    assert image[0, :, 4, 4].tolist() == pytest.approx([1, 0, 0], abs=0.05)


def test_transparency_is_composited_on_white(tmp_path):
    rgba = np.zeros((2, 3, 4), np.uint8)
    rgba[:, 1, 3], rgba[:, 2, 3] = 51, 255  # black: invisible, a fifth opaque, opaque
    image = read_image(saved(tmp_path / "alpha.png", rgba))
    assert image.shape == (1, 3, 2, 3)
    assert image[0, 0, 0].tolist() == pytest.approx([1, 0.8, 0])
    grey = read_image(saved(tmp_path / "grey.png", rgba, mode="LA"))
    assert grey.shape == (1, 1, 2, 3) and torch.allclose(grey, image[:, :1])


def test_transparent_palette_entry_is_white(tmp_path):
    picture = Image.new("P", (3, 2), 0)
    picture.putpalette([0, 0, 0, 255, 0, 0])
    picture.putpixel((1, 0), 1)
    picture.save(tmp_path / "palette.png", transparency=0)
    image = read_image(tmp_path / "palette.png")
    assert image[0, :, 0, 0].tolist() == [1, 1, 1] and image[0, :, 0, 1].tolist() == [1, 0, 0]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_undone(tmp_path, orientation):
    upright = np.zeros((16, 32), np.uint8)
    upright[:8, :8] = 255  # bright in the top left corner only
    undo = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # how the camera held this way stores the picture
    picture = Image.fromarray(upright)
    if orientation > 1:
        picture = picture.transpose(Image.Transpose(undo[orientation]))
    exif = Image.Exif()
    exif[0x0112] = orientation
    picture.save(tmp_path / "photo.jpg", exif=exif, quality=95)
    image = read_image(tmp_path / "photo.jpg")[0, 0]
    assert image.shape == (16, 32)
    assert (image - torch.from_numpy(upright) / 255).abs().max() < 0.1


def write_truncated(path):
    saved(path, np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8))
    path.write_bytes(path.read_bytes()[:2000])


@pytest.mark.parametrize(
    ("make", "what"),
    [
        (lambda path: None, "No such file"),
        (lambda path: path.mkdir(), "directory"),
        (lambda path: path.write_bytes(b""), "is empty"),
        (lambda path: path.write_text("not a picture"), "damaged or not a picture"),
        (write_truncated, "damaged or not a picture"),
        (lambda path: saved(path, np.zeros((1, 1), np.uint8)), "1 x 1 pixels"),
        (lambda path: saved(path, np.zeros((1, 9), np.uint8)), "9 x 1 pixels"),
        (lambda path: saved(path, np.full((4, 4), np.nan, np.float32), format="TIFF"), "NaN"),
        (lambda path: saved(path, np.full((4, 4), 7, np.float32), format="TIFF"), "out of range"),
    ],
)
def test_unusable_pictures_are_one_clear_sentence(tmp_path, make, what):
    path = tmp_path / "bad.png"
    make(path)
    with pytest.raises(DeblurError, match=what) as caught:
        read_image(path)
    assert str(path) in str(caught.value) and str(caught.value).endswith(".")
    assert "\n" not in str(caught.value)


def test_a_picture_that_is_too_large_is_not_called_damaged(tmp_path, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 5)
    with pytest.raises(DeblurError, match=r"large\.png has more pixels than Pillow opens"):
        read_image(saved(tmp_path / "large.png", RAMP))


@pytest.mark.parametrize("channels", [1, 3])
def test_png_round_trip_is_exact_to_8_bits(tmp_path, channels):
    image = torch.rand(1, channels, 5, 7, generator=torch.Generator().manual_seed(0))
    write_image(tmp_path / "new" / "folder" / "a.png", image)
    assert (read_image(tmp_path / "new" / "folder" / "a.png") - image).abs().max() <= 0.5 / 255 + 1e-6


def test_values_outside_the_range_are_clipped(tmp_path):
    write_image(tmp_path / "a.png", torch.tensor([[[[-1.0, 0.0], [1.0, 2.0]]]]))
    assert read_image(tmp_path / "a.png").flatten().tolist() == [0, 0, 1, 1]


def test_jpeg_is_close(tmp_path):
    smooth = torch.linspace(0, 1, 32).expand(1, 3, 32, 32)
    write_image(tmp_path / "a.JPG", smooth)
    assert (read_image(tmp_path / "a.JPG") - smooth).abs().max() < 0.03


def test_write_refuses_unknown_suffix_and_nan(tmp_path):
    with pytest.raises(UsageError, match=r"\.png"):
        write_image(tmp_path / "a.webp", torch.zeros(1, 1, 4, 4))
    with pytest.raises(DeblurError, match="NaN"):
        write_image(tmp_path / "a.png", torch.full((1, 1, 4, 4), torch.nan))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("shape", [(4, 4), (3, 4, 4), (2, 3, 4, 4), (1, 2, 4, 4), (1, 4, 4, 4), (1, 3, 0, 4)], ids=str)
def test_what_is_no_picture_is_not_written(tmp_path, shape):
    with pytest.raises(UsageError, match=r"not \("):  # two channels became grey and transparency
        write_image(tmp_path / "a.png", torch.zeros(shape))
    assert list(tmp_path.iterdir()) == []


def test_bytes_are_not_taken_for_floats(tmp_path):
    levels = torch.full((1, 3, 4, 4), 100, dtype=torch.uint8)
    for use in (to_luma_chroma, matlab_luma, to_uint8, partial(write_image, tmp_path / "a.png")):  # these wrote white
        with pytest.raises(UsageError, match=r"floats.* not of torch\.uint8"):
            use(levels)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("shape", [(1, 1, 4, 4), (3, 4, 4), (3, 3, 4)], ids=str)
def test_luma_is_that_of_colour(shape):
    for luma in (to_luma_chroma, matlab_luma):
        with pytest.raises(UsageError, match=r"colour pictures .batch, 3, height, width."):
            luma(torch.zeros(shape))


def test_folder_that_cannot_be_made_is_one_sentence(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(DeblurError, match="Cannot write"):
        write_image(tmp_path / "file" / "a.png", torch.zeros(1, 1, 4, 4))


def test_full_disk_keeps_the_old_file_and_leaves_nothing_else(tmp_path):
    resource = pytest.importorskip("resource", reason="file size limits exist on POSIX only")
    write_image(tmp_path / "a.png", torch.zeros(1, 1, 4, 4))
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        with pytest.raises(DeblurError, match="Cannot write"):
            write_image(tmp_path / "a.png", torch.rand(1, 3, 64, 64))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]
    assert read_image(tmp_path / "a.png").shape == (1, 1, 4, 4)


def test_luma_chroma_agrees_with_jpeg_and_inverts():
    rgb = torch.rand(2, 3, 6, 5, generator=torch.Generator().manual_seed(1))
    luma, chroma = to_luma_chroma(rgb)
    assert luma.shape == (2, 1, 6, 5) and chroma.shape == (2, 2, 6, 5)
    assert torch.allclose(from_luma_chroma(luma, chroma), rgb, atol=1e-6)
    levels = (rgb[0].permute(1, 2, 0) * 255).round().byte().numpy()
    jpeg = np.asarray(Image.fromarray(levels).convert("YCbCr"), dtype=np.float32) / 255
    ours = torch.cat([luma, chroma], dim=1)[0].permute(1, 2, 0).numpy()
    assert np.abs(ours - jpeg).max() < 1.5 / 255


def test_grey_has_no_chroma():
    luma, chroma = to_luma_chroma(torch.full((1, 3, 2, 2), 0.3))
    assert torch.allclose(luma, torch.tensor(0.3)) and torch.allclose(chroma, torch.tensor(0.5))


def test_matlab_luma_has_limited_range_and_matches_scikit_image():
    from skimage.color import rgb2ycbcr

    black_white = torch.tensor([0.0, 1.0]).expand(1, 3, 1, 2)
    assert (matlab_luma(black_white) * 255).flatten().tolist() == pytest.approx([16, 235])
    rgb = torch.rand(1, 3, 4, 4, generator=torch.Generator().manual_seed(2))
    expected = rgb2ycbcr(rgb[0].permute(1, 2, 0).numpy())[..., 0]
    assert np.allclose(matlab_luma(rgb)[0, 0] * 255, expected, atol=1e-3)


def test_home_is_where_the_variable_says_else_in_the_working_tree(tmp_path, monkeypatch):
    monkeypatch.setenv("DEBLUR_HOME", str(tmp_path / "elsewhere"))
    assert folders.home() == tmp_path / "elsewhere" and not folders.home().exists()
    monkeypatch.delenv("DEBLUR_HOME")
    monkeypatch.chdir(tmp_path)
    assert folders.home().name == "results" and (folders.home().parent / "pyproject.toml").is_file()
    monkeypatch.setattr(folders, "__file__", str(tmp_path / "site-packages/deblur_core/data/folders.py"))
    assert folders.home() == tmp_path / "results"


def test_data_folder_has_to_exist(tmp_path, monkeypatch):
    monkeypatch.delenv("DEBLUR_DATA", raising=False)
    assert folders.data_folder() is None
    monkeypatch.setenv("DEBLUR_DATA", str(tmp_path))
    assert folders.data_folder() == tmp_path
    monkeypatch.setenv("DEBLUR_DATA", str(tmp_path / "gone"))
    with pytest.raises(UsageError, match="DEBLUR_DATA"):
        folders.data_folder()
