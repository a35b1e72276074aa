"""Layers that bring images to a size, as in `keras.layers`."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, ClassVar

from graphc import ops
from graphc.ir.types import FLOATS
from graphc.layers.base import Layer
from graphc.ops.convolution import channels_last, like_input
from graphc.ops.image import whole_numbers
from graphc.trace import Tensor
from graphc.utils.resizing import largest_part


class ImageLayer(Layer):
    """What layers share that work on images: (batch, height, width, channels), or one of them.

    Args:
        data_format: "channels_last" (default) or "channels_first".
    """

    unwritten_defaults: ClassVar[Mapping[str, Any]] = MappingProxyType(
        {**Layer.unwritten_defaults, "bounding_box_format": None}
    )

    default_training: ClassVar[bool | None] = True

    def __init__(self, data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.data_format = data_format or "channels_last"
        if self.data_format not in ("channels_last", "channels_first"):
            raise ValueError(
                f"{type(self).__name__}: data_format must be 'channels_last' or 'channels_first', "
                f"got {data_format!r}"
            )

    def call(self, inputs: Any, training: bool = True) -> Tensor:
        if isinstance(inputs, (dict, list, tuple)):
            raise ValueError(
                f"{type(self).__name__} takes images alone, not together with labels or boxes"
            )
        if inputs.ndim not in (3, 4):
            raise ValueError(
                "expected images (batch, height, width, channels) or one image, got shape "
                f"{list(inputs.shape)}"
            )
        x = ops.expand_dims(inputs, 0) if inputs.ndim == 3 else inputs
        x = channels_last(x, self.data_format)
        if any(not isinstance(size, int) for size in x.shape[1:3]):
            raise ValueError(f"height and width must be fixed, got shape {list(inputs.shape)}")
        result = like_input(self.work(x, training), self.data_format)
        return ops.squeeze(result, 0) if inputs.ndim == 3 else result

    def work(self, x: Tensor, training: bool) -> Tensor:
        """The result for a batch with channels last."""
        raise TypeError(f"{type(self).__name__} must define work(self, x, training)")

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "data_format": self.data_format}


class SizedImageLayer(ImageLayer):
    """An `ImageLayer` whose results have a height and a width."""

    def __init__(
        self, height: int, width: int, data_format: str | None = None, **kwargs: Any
    ) -> None:
        super().__init__(data_format, **kwargs)
        for name, value in (("height", height), ("width", width)):
            if not isinstance(value, int) or value < 1:
                raise ValueError(
                    f"{type(self).__name__}: {name} must be an int of at least 1, got {value!r}"
                )
        self.height = height
        self.width = width

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "height": self.height, "width": self.width}


class Resizing(SizedImageLayer):
    """Images of another size (`keras.layers.Resizing`).

    Integers are rounded, and keep their dtype; the rest is float32.

    Args:
        height, width: of the result.
        interpolation: "bilinear" (default), "nearest", "bicubic", "lanczos3" or "lanczos5".
        crop_to_aspect_ratio: whether the largest part in the result's proportions is taken.
        pad_to_aspect_ratio: whether `fill_value` is put around to get the result's proportions.
        fill_mode: only "constant".
        antialias: whether a smaller image's elements take in all that lies between them.
        data_format: "channels_last" (default) or "channels_first".
    """

    def __init__(
        self,
        height: int,
        width: int,
        interpolation: str = "bilinear",
        crop_to_aspect_ratio: bool = False,
        pad_to_aspect_ratio: bool = False,
        fill_mode: str = "constant",
        fill_value: float = 0.0,
        antialias: bool = False,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(height, width, data_format, **kwargs)
        self.options = {
            "interpolation": interpolation,
            "antialias": bool(antialias),
            "crop_to_aspect_ratio": crop_to_aspect_ratio,
            "pad_to_aspect_ratio": pad_to_aspect_ratio,
            "fill_mode": fill_mode,
            "fill_value": fill_value,
        }

    def work(self, x: Tensor, training: bool) -> Tensor:
        result = ops.image.resize(x, (self.height, self.width), **self.options)  # type: ignore[arg-type]
        given = x.type.dtype
        if given in FLOATS or result.type.dtype == given:
            return result
        return whole_numbers(result, given)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), **self.options}


class CenterCrop(SizedImageLayer):
    """The middle of images (`keras.layers.CenterCrop`).

    Of a smaller image the largest part in the result's proportions is brought to its size.

    Args:
        height, width: of the result.
        data_format: "channels_last" (default) or "channels_first".
    """

    def work(self, x: Tensor, training: bool) -> Tensor:
        x = ops.cast(x, "float32")
        rows, columns = image_size(x)
        if rows >= self.height and columns >= self.width:
            top, left = (rows - self.height) // 2, (columns - self.width) // 2
            return x[:, top : top + self.height, left : left + self.width]
        return largest_resized(x, self.height, self.width)


def image_size(x: Tensor) -> tuple[int, int]:
    """Height and width, which `ImageLayer` has checked to be fixed."""
    rows, columns = x.shape[1:3]
    assert isinstance(rows, int) and isinstance(columns, int)
    return rows, columns


def largest_resized(x: Tensor, height: int, width: int) -> Tensor:
    """The largest part in the proportions of a size, brought to that size."""
    top, left, rows, columns = largest_part(image_size(x), (height, width))
    return ops.image.resize(x[:, top : top + rows, left : left + columns], (height, width))
