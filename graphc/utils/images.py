"""Images in files, as Pillow's images and as arrays. Pillow is needed: graphc[images]."""

from __future__ import annotations

import io
import os
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from graphc.errors import unknown_name

if TYPE_CHECKING:
    from PIL.Image import Image

# What Pillow calls an image of 1, 3 or 4 channels. Grey ones of 16 and 32 bits stay what they are.
COLOR_MODES = {"grayscale": ("L", "I;16", "I"), "rgb": ("RGB",), "rgba": ("RGBA",)}
_RESAMPLING = ("nearest", "bilinear", "bicubic", "hamming", "box", "lanczos")


def load_img(
    path: str | os.PathLike[str] | io.BytesIO,
    color_mode: str = "rgb",
    target_size: tuple[int, int] | None = None,
    interpolation: str = "nearest",
    keep_aspect_ratio: bool = False,
) -> Image:
    """Reads an image from a file (`keras.utils.load_img`).

    Args:
        path: of the file, or the file's bytes in an `io.BytesIO`.
        color_mode: "grayscale", "rgb" (default) or "rgba".
        target_size: (height, width) to resize to; by default it stays as it is.
        interpolation: how Pillow resizes: "nearest" (default), "bilinear", "bicubic", "hamming",
            "box" or "lanczos".
        keep_aspect_ratio: whether to cut the middle out, in the shape of the target, rather than
            to distort the image.

    Returns:
        An image of Pillow's; `img_to_array` makes an array of it.

    Raises:
        ImportError: without Pillow.
        FileNotFoundError: when there is no such file.
        ValueError: for a file that is no image, and unknown arguments.
    """
    if color_mode not in COLOR_MODES:
        raise unknown_name("color_mode", color_mode, COLOR_MODES)
    if interpolation not in _RESAMPLING:
        raise unknown_name("interpolation", interpolation, _RESAMPLING)
    pillow = _pillow("load_img")
    file = path if isinstance(path, io.BytesIO) else io.BytesIO(Path(path).read_bytes())
    try:
        image: Image = pillow.open(file)
        image.load()
    except Exception as error:  # Pillow raises anything for damaged files
        raise ValueError(f"load_img: {path} is no image, or is damaged: {error}") from None
    modes = COLOR_MODES[color_mode]
    if image.mode not in modes:
        image = image.convert(modes[0])
    if target_size is None or image.size == (target_size[1], target_size[0]):
        return image
    height, width = target_size
    box = None
    if keep_aspect_ratio:
        cut_height = min(image.height, image.width * height // width)
        cut_width = min(image.width, image.height * width // height)
        top, left = (image.height - cut_height) // 2, (image.width - cut_width) // 2
        box = (left, top, left + cut_width, top + cut_height)
    resampling = pillow.Resampling[interpolation.upper()]
    return image.resize((width, height), resampling, box=box)


def img_to_array(
    img: Image | ArrayLike, data_format: str | None = None, dtype: DTypeLike | None = None
) -> np.ndarray:
    """Pillow's image as an array (`keras.utils.img_to_array`).

    Args:
        img: an image, or an array (height, width) or (height, width, channels).
        data_format: "channels_last" (default) or "channels_first".
        dtype: of the array; float32 by default.

    Returns:
        An array (height, width, channels) or (channels, height, width).

    Raises:
        ValueError: for another number of axes, and an unknown data_format.
    """
    array = np.asarray(img, dtype or np.float32)
    if array.ndim == 2:
        array = array[..., None]
    if array.ndim != 3:
        raise ValueError(f"img_to_array: expected an image, got an array of shape {array.shape}")
    return array.transpose(2, 0, 1) if _channels_first(data_format) else array


def array_to_img(
    x: ArrayLike, data_format: str | None = None, scale: bool = True, dtype: DTypeLike | None = None
) -> Image:
    """An array as Pillow's image (`keras.utils.array_to_img`).

    Args:
        x: array (height, width, channels), of 1, 3 or 4 channels.
        data_format: "channels_last" (default) or "channels_first".
        scale: whether the least value becomes 0 and the largest 255; True by default.
        dtype: to compute in; float32 by default.

    Returns:
        An image of 8 bits a channel; of 32 bits for one channel with values above 255.

    Raises:
        ImportError: without Pillow.
        ValueError: for another shape, and an unknown data_format.
    """
    pillow = _pillow("array_to_img")
    array = np.asarray(x, dtype or np.float32)
    if array.ndim == 3 and _channels_first(data_format):
        array = array.transpose(1, 2, 0)
    if array.ndim != 3 or array.shape[-1] not in (1, 3, 4):
        raise ValueError(
            "array_to_img: expected (height, width, channels) with 1, 3 or 4 channels, got an "
            f"array of shape {np.shape(x)}"
        )
    if scale:
        array = array - array.min()
        array = array / (array.max() or 1) * 255
    if array.shape[-1] > 1:
        image: Image = pillow.fromarray(array.astype(np.uint8))
        return image
    image = pillow.fromarray(array[..., 0].astype(np.int32 if array.max() > 255 else np.uint8))
    return image


def save_img(
    path: str | os.PathLike[str] | io.BytesIO,
    x: ArrayLike,
    data_format: str | None = None,
    file_format: str | None = None,
    scale: bool = True,
    **kwargs: Any,
) -> None:
    """Writes an array as an image file (`keras.utils.save_img`).

    Args:
        path: of the file, or an `io.BytesIO` to write to.
        x, data_format, scale: as in `array_to_img`.
        file_format: "png", "jpeg" and so on; by default as the name ends.
        kwargs: for Pillow's `Image.save`.

    Raises:
        ImportError, ValueError: as `array_to_img`.
    """
    if file_format is None and not isinstance(path, io.BytesIO):
        file_format = Path(path).suffix[1:]
    kind = (file_format or "").lower().replace("jpg", "jpeg")
    image = array_to_img(x, data_format, scale)
    if image.mode == "RGBA" and kind == "jpeg":
        warnings.warn("save_img: JPEG has no transparency; it is left out", stacklevel=2)
        image = image.convert("RGB")
    image.save(path, kind or None, **kwargs)


def _pillow(function: str) -> Any:
    """Pillow's module, which is imported only where it is needed."""
    try:
        from PIL import Image  # noqa: PLC0415
    except ImportError:
        raise ImportError(f"{function} needs Pillow: pip install graphc[images]") from None
    return Image


def _channels_first(data_format: str | None) -> bool:
    if data_format not in (None, "channels_last", "channels_first"):
        raise unknown_name("data_format", data_format, ("channels_last", "channels_first"))
    return data_format == "channels_first"
