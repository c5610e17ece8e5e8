"""Pictures to tensors and back, and the two luma definitions that deblurring papers use."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from deblur_core.errors import DeblurError, UsageError
from deblur_core.files import write_atomically

_FORMATS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG"}


def read_image(path: str | Path) -> Tensor:
    """Read a JPEG, PNG or TIFF picture: float32 (1, c, h, w) in [0, 1], c = 1 (grey) or 3 (colour).

    The EXIF orientation is applied, palettes are expanded and transparency is composited on white. 16-bit
    grey keeps its precision; of 16-bit colour Pillow decodes the upper 8 bits. Raises DeblurError where the
    file cannot be read or holds no usable picture.
    """
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise DeblurError(f"Cannot read {path} ({error.strerror}): check the path.") from error
    if not content:
        raise DeblurError(f"{path} is empty: copy or download it again.")
    try:
        with Image.open(io.BytesIO(content)) as picture:
            values = _values(ImageOps.exif_transpose(picture))
    except Image.DecompressionBombError as error:
        raise DeblurError(f"{path} has more pixels than Pillow opens: make it smaller, or cut out a part.") from error
    except Exception as error:  # Pillow's decoders raise nearly every kind, from SyntaxError to struct.error
        raise DeblurError(f"{path} is damaged or not a picture: give a JPEG, PNG or TIFF file.") from error
    height, width = values.shape[:2]
    if min(height, width) < 2:
        raise DeblurError(f"{path} has {width} x {height} pixels: give a picture of at least 2 x 2.")
    if not np.isfinite(values).all():
        raise DeblurError(f"{path} holds NaN or infinite values: replace them before deblurring.")
    if values.min() < 0 or values.max() > 1:
        raise DeblurError(f"{path} holds values out of range: scale floats to [0, 1], integers to 16 bits.")
    return torch.from_numpy(values.reshape(height, width, -1)).permute(2, 0, 1)[None].contiguous()


def _values(picture: Image.Image) -> np.ndarray:
    """The picture as float32 (h, w) or (h, w, 3) in [0, 1]."""
    if picture.mode == "F":
        return np.array(picture)
    if picture.mode.startswith("I"):  # 16-bit grey is I;16, I;16B or I, depending on the file and on Pillow
        return np.asarray(picture).astype(np.float32) / 65535
    grey = picture.mode in ("1", "L", "LA", "La")
    if picture.has_transparency_data:
        rgba = np.asarray(picture.convert("RGBA"), dtype=np.float32) / 255
        colour, alpha = rgba[..., :3], rgba[..., 3:]
        colour = colour * alpha + (1 - alpha)
        return colour[..., 0] if grey else colour
    return np.asarray(picture.convert("L" if grey else "RGB"), dtype=np.float32) / 255


def write_image(path: str | Path, image: Tensor) -> None:
    """Write an image (1, c, h, w), clipped to [0, 1], as an 8-bit PNG or JPEG, whichever the suffix says.

    c is 1 (grey) or 3 (colour). The file appears whole or not at all. Raises UsageError for another suffix or shape and
    for integers, DeblurError for values that are not finite and where the folder cannot be written to.
    """
    path = Path(path)
    if path.suffix.lower() not in _FORMATS:
        raise UsageError(f"Cannot write {path}: end the name in .png, .jpg or .jpeg.")
    if image.ndim != 4 or image.shape[0] != 1 or image.shape[1] not in (1, 3) or not image.numel():
        raise UsageError(f"Cannot write {path}: an image has the shape (1, 1 or 3, h, w), not {tuple(image.shape)}.")
    if not torch.isfinite(image).all():
        raise DeblurError(f"Not writing {path}: the image holds NaN or infinite values.")
    (levels,) = to_uint8(image).permute(0, 2, 3, 1).numpy()
    encoded = io.BytesIO()
    Image.fromarray(levels.squeeze(2) if levels.shape[2] == 1 else levels).save(
        encoded, _FORMATS[path.suffix.lower()], quality=95
    )
    write_atomically(path, encoded.getvalue())


def to_uint8(image: Tensor) -> Tensor:
    """The nearest of 256 levels for values in [0, 1], clipped, on the CPU; any shape. UsageError for integers."""
    if not image.is_floating_point():
        raise UsageError(f"8-bit levels are made of floats in [0, 1], not of {image.dtype}.")
    return image.detach().cpu().float().clamp(0, 1).mul(255).round().to(torch.uint8)


def to_luma_chroma(rgb: Tensor) -> tuple[Tensor, Tensor]:
    """Full-range BT.601, as in JPEG and OpenCV: rgb (b, 3, h, w) -> luma (b, 1, h, w), chroma (b, 2, h, w).

    All in [0, 1]; the chroma channels are Cb and Cr, with 0.5 for grey. UsageError for other shapes and for integers.
    """
    red, green, blue = _colours(rgb)
    luma = 0.299 * red + 0.587 * green + 0.114 * blue
    return luma, torch.cat([(blue - luma) / 1.772, (red - luma) / 1.402], dim=1) + 0.5


def from_luma_chroma(luma: Tensor, chroma: Tensor) -> Tensor:
    """The inverse of `to_luma_chroma`. Not clipped: a deblurred luma with old chroma can leave [0, 1]."""
    cb, cr = (chroma - 0.5).split(1, dim=1)
    red, blue = luma + 1.402 * cr, luma + 1.772 * cb
    return torch.cat([red, (luma - 0.299 * red - 0.114 * blue) / 0.587, blue], dim=1)


def matlab_luma(rgb: Tensor) -> Tensor:
    """The luma of MATLAB's rgb2ycbcr: rgb (b, 3, h, w) in [0, 1] -> (b, 1, h, w) in [16/255, 235/255].

    Evaluations on Lai's set use it, so their PSNR is 1.3 dB above one on full-range luma. UsageError for other shapes
    and for integers.
    """
    red, green, blue = _colours(rgb)
    return (16 + 65.481 * red + 128.553 * green + 24.966 * blue) / 255


def _colours(rgb: Tensor) -> tuple[Tensor, ...]:
    if rgb.ndim != 4 or rgb.shape[1] != 3 or not rgb.is_floating_point():
        raise UsageError(
            f"Luma is that of colour pictures (batch, 3, height, width) of floats, not of {rgb.dtype} "
            f"{tuple(rgb.shape)}: a grey picture is its own."
        )
    return rgb.split(1, dim=1)


def middle(picture: Tensor, side: int) -> Tensor:
    """The central square of `(..., h, w)`; UsageError where a picture is smaller, or side not positive."""
    height, width = picture.shape[-2:]
    if not 0 < side <= min(height, width):
        raise UsageError(
            f"No square of {side} pixels fits into a picture of {width} x {height}: choose a smaller crop."
        )
    top, left = (height - side) // 2, (width - side) // 2
    return picture[..., top : top + side, left : left + side]
