"""Functions of images, as in `keras.ops.image`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from graphc.ir.types import DTYPES, Dim, product
from graphc.trace import Tensor
from graphc.utils.resizing import INTERPOLATIONS, largest_part, nearest_points, point_weights

from .arithmetic import ceil, floor_divide, mod, round
from .base import TensorLike, cast, convert_to_tensor, floating, node, recorded
from .convolution import channels_last, like_input
from .elementwise import (
    absolute,
    add,
    clip,
    floor,
    greater_equal,
    less,
    logical_and,
    multiply,
    subtract,
    where,
)
from .linear import along
from .shaping import pad, reshape

FILLS = ("constant", "nearest", "wrap", "mirror", "reflect")
AFFINE_INTERPOLATIONS = ("nearest", "bilinear")


@recorded
def resize(
    images: TensorLike,
    size: Sequence[int],
    interpolation: str = "bilinear",
    antialias: bool = False,
    crop_to_aspect_ratio: bool = False,
    pad_to_aspect_ratio: bool = False,
    fill_mode: str = "constant",
    fill_value: float = 0.0,
    data_format: str | None = None,
) -> Tensor:
    """Images of another size, as `keras.ops.image.resize`.

    Args:
        images: (batch, height, width, channels) or (height, width, channels), or channels first;
            height and width fixed.
        size: (height, width) of the result.
        interpolation: "bilinear" (default), "nearest", "bicubic", "lanczos3" or "lanczos5".
        antialias: whether a smaller image's elements take in all that lies between them.
        crop_to_aspect_ratio: whether the largest part in the result's proportions is taken.
        pad_to_aspect_ratio: whether `fill_value` is put around to get the result's proportions.
        fill_mode: only "constant".
        data_format: "channels_last" (default) or "channels_first".

    Returns:
        float32 in general; of integers with "nearest" their dtype.

    Raises:
        ValueError: naming the argument.
    """
    x = convert_to_tensor(images)
    if x.ndim == 3:
        several = reshape(x, (1, *x.shape))
        return _resized_one(several, size, interpolation, antialias, crop_to_aspect_ratio,
                            pad_to_aspect_ratio, fill_mode, fill_value, data_format)  # fmt: skip
    height, width = _checked_size(x, size)
    if interpolation not in INTERPOLATIONS:
        raise ValueError(
            f"resize: interpolation must be one of {INTERPOLATIONS}, got {interpolation!r}"
        )
    if fill_mode != "constant":
        raise ValueError(f"resize: fill_mode must be 'constant', got {fill_mode!r}")
    if crop_to_aspect_ratio and pad_to_aspect_ratio:
        raise ValueError(
            "resize: only one of crop_to_aspect_ratio and pad_to_aspect_ratio can be True"
        )
    x = channels_last(x, data_format)
    if crop_to_aspect_ratio:
        top, left, rows, columns = largest_part(_sizes(x), (height, width))
        x = x[:, top : top + rows, left : left + columns]
    elif pad_to_aspect_ratio:
        x = _padded(x, height, width, fill_value)
    for axis, wanted in ((1, height), (2, width)):
        x = _resized_along(x, axis, wanted, interpolation, antialias)
    return like_input(x, data_format)


def _resized_one(images: Tensor, *options: object) -> Tensor:
    result = resize(images, *options)  # type: ignore[arg-type]
    return reshape(result, result.shape[1:])


def _checked_size(x: Tensor, size: Sequence[int]) -> tuple[int, int]:
    if x.ndim != 4:
        raise ValueError(f"expected images of 3 or 4 axes, got shape {list(x.shape)}")
    sizes = tuple(size)
    if len(sizes) != 2 or any(not isinstance(s, int) or s < 1 for s in sizes):
        raise ValueError(f"resize: size must be two positive ints, height and width, got {size!r}")
    return sizes[0], sizes[1]


def _sizes(x: Tensor) -> tuple[int, int]:
    """Height and width of images with channels last."""
    return _known(x.shape[1], x), _known(x.shape[2], x)


def _known(size: Dim, x: Tensor) -> int:
    if not isinstance(size, int):
        raise ValueError(f"height and width of images must be fixed, got shape {list(x.shape)}")
    return size


def _padded(x: Tensor, height: int, width: int, value: float) -> Tensor:
    """x in the middle of an image of the result's proportions."""
    rows, columns = _sizes(x)
    sides = []
    for size, whole in ((rows, columns * height / width), (columns, rows * width / height)):
        # As in Keras, what is left over when the difference is odd is left out.
        side = int((max(size, int(whole)) - size) / 2)
        sides.append((side, side))
    return pad(x, [(0, 0), *sides, (0, 0)], constant_values=value)


def _resized_along(x: Tensor, axis: int, size: int, interpolation: str, antialias: bool) -> Tensor:
    before = _known(x.shape[axis], x)
    if before == size:
        return x
    if interpolation == "nearest":
        return along(x, nearest_points(before, size).astype(np.int32), axis)
    x = floating(x)
    places, weights = _taps(point_weights(before, size, interpolation, antialias))
    shape = [size if a == axis else 1 for a in range(x.ndim)]
    total: Tensor | None = None
    for place, weight in zip(places, weights, strict=True):
        term = multiply(along(x, place, axis), reshape(convert_to_tensor(weight), shape))
        total = term if total is None else add(total, term)
    assert total is not None
    return total


def _taps(weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of weights (n, old), the consecutive ones that are not 0: places and weights (taps, n)."""
    there = weights != 0
    first = there.argmax(1)
    last = weights.shape[1] - 1 - there[:, ::-1].argmax(1)
    count = int((last - first).max()) + 1
    places = np.minimum(first, weights.shape[1] - count) + np.arange(count)[:, None]
    return places.astype(np.int32), weights[np.arange(len(weights)), places]


@recorded
def affine_transform(
    images: TensorLike,
    transform: TensorLike,
    interpolation: str = "bilinear",
    fill_mode: str = "constant",
    fill_value: float = 0.0,
    data_format: str | None = None,
) -> Tensor:
    """Images moved, turned, stretched, as `keras.ops.image.affine_transform`.

    Args:
        images: (batch, height, width, channels) or (height, width, channels), or channels first.
        transform: (batch, 8) or (8,): a0, a1, a2, b0, b1, b2, 0, 0 take the result's place (x, y)
            to the input's place (a0 x + a1 y + a2, b0 x + b1 y + b2).
        interpolation: "bilinear" (default) or "nearest".
        fill_mode: what lies outside: "constant" (default), `fill_value`; "nearest", the border;
            "wrap", "mirror" or "reflect", the image again, as in `scipy.ndimage` ("reflect"
            repeats the border, "mirror" does not).
        data_format: "channels_last" (default) or "channels_first".

    Returns:
        float32, of the images' shape.

    Raises:
        ValueError: naming the argument.
    """
    for name, value, known in (
        ("interpolation", interpolation, AFFINE_INTERPOLATIONS), ("fill_mode", fill_mode, FILLS),
    ):  # fmt: skip
        if value not in known:
            raise ValueError(f"affine_transform: {name} must be one of {known}, got {value!r}")
    x, t = floating(images), floating(transform)
    one = x.ndim == 3
    x = channels_last(reshape(x, (1, *x.shape)) if one else x, data_format)
    t = reshape(t, (1, *t.shape)) if t.ndim == 1 else t
    if x.ndim != 4 or t.ndim != 2 or t.shape[1] != 8:
        raise ValueError(
            "affine_transform: expected images of 3 or 4 axes and transforms (batch, 8), got "
            f"shapes {list(x.shape)} and {list(t.shape)}"
        )
    grid = (*x.shape[:3], 1)
    row, column = (cast(node("iota", shape=grid, axis=axis), "f32") for axis in (1, 2))
    a0, a1, a2, b0, b1, b2 = (reshape(t[:, at], (t.shape[0], 1, 1, 1)) for at in range(6))
    down = add(add(multiply(b0, column), multiply(b1, row)), b2)
    right = add(add(multiply(a0, column), multiply(a1, row)), a2)
    result = _sampled(x, down, right, interpolation, fill_mode, fill_value)
    result = like_input(result, data_format)
    return reshape(result, result.shape[1:]) if one else result


def _sampled(
    x: Tensor, down: Tensor, right: Tensor, interpolation: str, fill_mode: str, fill_value: float
) -> Tensor:
    """x at places (batch, height, width, 1) between its elements."""
    height, width = _sizes(x)
    pixels = reshape(x, (product(x.shape[:3]), x.shape[3]))
    start = multiply(node("iota", shape=down.shape, axis=0), height)
    total: Tensor | None = None
    for row, row_weight in _neighbours(down, interpolation):
        for column, column_weight in _neighbours(right, interpolation):
            (y, y_inside), (z, z_inside) = (
                _inside(cast(row, "i32"), height, fill_mode),
                _inside(cast(column, "i32"), width, fill_mode),
            )
            place = add(multiply(add(start, y), width), z)
            value = node("gather", pixels, reshape(place, place.shape[:3]))
            if fill_mode == "constant":
                value = where(logical_and(y_inside, z_inside), value, fill_value)
            term = multiply(value, multiply(row_weight, column_weight))
            total = term if total is None else add(total, term)
    assert total is not None
    return total


def _neighbours(place: Tensor, interpolation: str) -> list[tuple[Tensor, Tensor]]:
    """Whole places around a place, with their weights."""
    if interpolation == "nearest":  # halves away from 0, as in JAX
        half = where(less(place, 0.0), ceil(subtract(place, 0.5)), floor(add(place, 0.5)))
        return [(half, convert_to_tensor(1.0))]
    low = floor(place)
    part = subtract(place, low)
    return [(low, subtract(1.0, part)), (add(low, 1.0), part)]


def _inside(index: Tensor, size: int, fill_mode: str) -> tuple[Tensor, Tensor]:
    """An index that is within the image, and whether the given one was."""
    inside = logical_and(greater_equal(index, 0), less(index, size))
    if fill_mode == "wrap":
        return mod(index, size), inside
    if fill_mode == "mirror":
        return _mirrored(index, size), inside
    if fill_mode == "reflect":  # the borders between elements mirror: places of twice as many
        twice = _mirrored(add(multiply(2, index), 1), 2 * size + 1)
        return floor_divide(subtract(twice, 1), 2), inside
    return clip(index, 0, size - 1), inside


def _mirrored(index: Tensor, size: int) -> Tensor:
    if size == 1:
        return multiply(index, 0)
    last = size - 1
    return absolute(subtract(mod(add(index, last), 2 * last), last))


def whole_numbers(x: Tensor, dtype: str) -> Tensor:
    """x as a dtype of integers: the nearest within its range."""
    limits = np.iinfo(DTYPES[dtype])
    return cast(clip(round(x), float(limits.min), float(limits.max)), dtype)
