"""Layers that move, turn and stretch images in training, as in `keras.layers`.

Each image of a batch has its own random numbers, other ones at every step. They work in training,
and when they are called on arrays without `training=False`. All results are float32.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, ClassVar

from graphc import ops
from graphc.ops.image import AFFINE_INTERPOLATIONS
from graphc.ops.linear import along
from graphc.random import given_seed, next_seed
from graphc.trace import Tensor, current

from .images import ImageLayer, SizedImageLayer, image_size, largest_resized

Range = tuple[float, float]


def symmetric_range(owner: str, value: Any, low: float = -1.0, high: float = 1.0) -> Range:
    """A range from two numbers, or from one that is both its ends' distance from 0.

    Args:
        owner: class and argument, for messages.
        low, high: what is allowed.

    Raises:
        ValueError: for anything else.
    """
    pair = list(value) if isinstance(value, (list, tuple)) else [value]
    numbers = all(isinstance(v, (int, float)) and not isinstance(v, bool) for v in pair)
    if not numbers or len(pair) not in (1, 2) or any(not low <= v <= high for v in pair):
        raise ValueError(
            f"{owner} must be a number or a pair of them, in [{low:g}, {high:g}], got {value!r}"
        )
    if len(pair) == 1:
        return max(-abs(pair[0]), low), abs(pair[0])
    return min(pair), max(pair)


class RandomLayer(ImageLayer):
    """An `ImageLayer` that changes images in training only.

    Args:
        seed: for numbers of its own; by default they follow `utils.set_random_seed`.
        data_format: "channels_last" (default) or "channels_first".
    """

    def __init__(
        self, seed: int | None = None, data_format: str | None = None, **kwargs: Any
    ) -> None:
        super().__init__(data_format, **kwargs)
        self.seed = given_seed(seed)

    def work(self, x: Tensor, training: bool) -> Tensor:
        x = ops.cast(x, "float32")
        return self.changed(x) if training else x

    def changed(self, x: Tensor) -> Tensor:
        """float32 images, changed."""
        raise TypeError(f"{type(self).__name__} must define changed(self, x)")

    def drawn(self, x: Tensor, low: float = 0.0, high: float = 1.0) -> Tensor:
        """A random number in [low, high) for each image: (batch, 1, 1, 1)."""
        return low + (high - low) * current().uniform((x.shape[0], 1, 1, 1), self.seed)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "seed": self.seed}


class RandomFlip(RandomLayer):
    """In training, turns every second image around (`keras.layers.RandomFlip`).

    Args:
        mode: "horizontal", "vertical", or "horizontal_and_vertical" (default), which, as in Keras,
            does both or none.
        seed, data_format: see `RandomLayer`.
    """

    _AXES: ClassVar[Mapping[str, tuple[int, ...]]] = MappingProxyType(
        {"horizontal": (2,), "vertical": (1,), "horizontal_and_vertical": (1, 2)}
    )

    def __init__(self, mode: str = "horizontal_and_vertical", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if mode not in self._AXES:
            raise ValueError(f"RandomFlip: mode must be one of {list(self._AXES)}, got {mode!r}")
        self.mode = mode

    def changed(self, x: Tensor) -> Tensor:
        return ops.where(ops.less_equal(self.drawn(x), 0.5), ops.flip(x, self._AXES[self.mode]), x)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "mode": self.mode}


class _Affine(RandomLayer):
    """What layers share that take each element from another place of the image.

    Args:
        fill_mode: what comes from outside: "reflect" (default), "wrap", "nearest", or "constant",
            which is `fill_value`.
        interpolation: "bilinear" (default) or "nearest".
        seed, data_format: see `RandomLayer`.
    """

    def __init__(
        self,
        fill_mode: str = "reflect",
        interpolation: str = "bilinear",
        seed: int | None = None,
        fill_value: float = 0.0,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(seed, data_format, **kwargs)
        fills = ("reflect", "wrap", "constant", "nearest")
        for name, value, known in (
            ("fill_mode", fill_mode, fills), ("interpolation", interpolation, AFFINE_INTERPOLATIONS)
        ):  # fmt: skip
            if value not in known:
                raise ValueError(
                    f"{type(self).__name__}: {name} must be one of {known}, got {value!r}"
                )
        self.fill_mode = fill_mode
        self.interpolation = interpolation
        self.fill_value = fill_value

    def changed(self, x: Tensor) -> Tensor:
        zero = ops.zeros((x.shape[0], 1, 1, 1))
        parts = [ops.broadcast_to(part, zero.shape) for part in (*self.transform(x), zero, zero)]
        transform = ops.reshape(ops.concatenate(parts, 1), (x.shape[0], 8))
        return ops.image.affine_transform(
            x, transform, self.interpolation, self.fill_mode, self.fill_value
        )

    def transform(self, x: Tensor) -> tuple[Any, ...]:
        """a0, a1, a2, b0, b1, b2 of `ops.image.affine_transform`, each (batch, 1, 1, 1) or ()."""
        raise TypeError(f"{type(self).__name__} must define transform(self, x)")

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "fill_mode": self.fill_mode,
            "interpolation": self.interpolation,
            "fill_value": self.fill_value,
        }


class RandomTranslation(_Affine):
    """In training, moves each image (`keras.layers.RandomTranslation`).

    Args:
        height_factor: how far down, as a part of the height: a range within [-1, 1], or a number
            for both directions.
        width_factor: how far to the right, as a part of the width.
        fill_mode, interpolation, seed, fill_value, data_format: see `_Affine`.
    """

    def __init__(self, height_factor: Any, width_factor: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.height_factor = height_factor
        self.width_factor = width_factor
        self._down = symmetric_range("RandomTranslation: height_factor", height_factor)
        self._right = symmetric_range("RandomTranslation: width_factor", width_factor)

    def transform(self, x: Tensor) -> tuple[Any, ...]:
        rows, columns = image_size(x)
        down, right = rows * self.drawn(x, *self._down), columns * self.drawn(x, *self._right)
        return 1.0, 0.0, -right, 0.0, 1.0, -down

    def get_config(self) -> dict[str, Any]:
        factors = {"height_factor": self.height_factor, "width_factor": self.width_factor}
        return {**super().get_config(), **factors}


class RandomRotation(_Affine):
    """In training, turns each image around its middle (`keras.layers.RandomRotation`).

    Args:
        factor: the angle counter-clockwise, as a part of a full turn: a range within [-1, 1], or
            a number for both directions.
        fill_mode, interpolation, seed, fill_value, data_format: see `_Affine`.
    """

    def __init__(self, factor: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.factor = symmetric_range("RandomRotation: factor", factor)

    def transform(self, x: Tensor) -> tuple[Any, ...]:
        rows, columns = image_size(x)
        middle_x, middle_y = (columns - 1) / 2, (rows - 1) / 2
        angle = 2 * math.pi * self.drawn(x, *self.factor)
        cos, sin = ops.cos(angle), ops.sin(angle)
        return (
            cos, -sin, middle_x - middle_x * cos + middle_y * sin,
            sin, cos, middle_y - middle_x * sin - middle_y * cos,
        )  # fmt: skip

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "factor": self.factor}


class RandomZoom(_Affine):
    """In training, stretches each image around its middle (`keras.layers.RandomZoom`).

    Args:
        height_factor: how much more of the height the image shows, negative to zoom in: a range
            within [-1, 1], or a number for both directions.
        width_factor: of the width; by default that of the height, which keeps proportions.
        fill_mode, interpolation, seed, fill_value, data_format: see `_Affine`.
    """

    def __init__(
        self, height_factor: Any, width_factor: Any = None, *args: Any, **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self.height_factor = height_factor
        self.width_factor = width_factor
        self._rows = symmetric_range("RandomZoom: height_factor", height_factor)
        self._columns = None
        if width_factor is not None:
            self._columns = symmetric_range("RandomZoom: width_factor", width_factor)

    def transform(self, x: Tensor) -> tuple[Any, ...]:
        rows, columns = image_size(x)
        down = 1.0 + self.drawn(x, *self._rows)
        right = down if self._columns is None else 1.0 + self.drawn(x, *self._columns)
        left, top = (1.0 - right) * ((columns - 1) / 2), (1.0 - down) * ((rows - 1) / 2)
        return right, 0.0, left, 0.0, down, top

    def get_config(self) -> dict[str, Any]:
        factors = {"height_factor": self.height_factor, "width_factor": self.width_factor}
        return {**super().get_config(), **factors}


class RandomCrop(SizedImageLayer):
    """In training, a part of each batch's images at a random place (`keras.layers.RandomCrop`).

    Otherwise, and when the images are not larger in both directions, the largest part in the
    result's proportions, brought to its size. (Keras 3.15 says so and leaves images as they are
    outside of training, and cuts small ones wrongly.)

    Args:
        height, width: of the result.
        seed: for numbers of its own; by default one is drawn.
        data_format: "channels_last" (default) or "channels_first".
    """

    def __init__(
        self, height: int, width: int, seed: int | None = None, data_format: str | None = None,
        **kwargs: Any,
    ) -> None:  # fmt: skip
        super().__init__(height, width, data_format, **kwargs)
        seed = given_seed(seed)
        self.seed = next_seed() if seed is None else seed

    def work(self, x: Tensor, training: bool) -> Tensor:
        x = ops.cast(x, "float32")
        rows, columns = image_size(x)
        if not training or rows <= self.height or columns <= self.width:
            return largest_resized(x, self.height, self.width)
        for axis, given, wanted in ((1, rows, self.height), (2, columns, self.width)):
            room = given - wanted + 1
            start = ops.cast(ops.floor(room * current().uniform((1,), self.seed)), "int32")
            x = along(x, ops.add(start, ops.arange(wanted)), axis)
        return x

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "seed": self.seed}
