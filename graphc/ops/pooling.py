"""Pooling to a size, over one to three spatial axes."""

from __future__ import annotations

import numpy as np

from graphc.trace import Tensor

from .base import TensorLike, convert_to_tensor, floating, recorded
from .convolution import Sizes, channels_last, like_input, spatial
from .elementwise import add, maximum, multiply
from .linear import along
from .shaping import reshape


@recorded
def adaptive_average_pool(
    inputs: TensorLike, output_size: Sizes, data_format: str | None = None
) -> Tensor:
    """The means of so many windows that cover each axis, as `keras.ops.adaptive_average_pool`.

    Args:
        inputs: (batch, spatial ..., channels), or channels first; spatial axes fixed.
        output_size: the number of windows, one or one an axis. Window i of n begins at
            floor(i * size / n) and ends before ceil((i + 1) * size / n).
        data_format: "channels_last" (default) or "channels_first".

    Returns:
        (batch, *output_size, channels), or channels first; floats.
    """
    return _pooled(floating(inputs), output_size, data_format, mean=True)


@recorded
def adaptive_max_pool(
    inputs: TensorLike, output_size: Sizes, data_format: str | None = None
) -> Tensor:
    """The largest elements of so many windows, as `keras.ops.adaptive_max_pool`.

    Args: those of `adaptive_average_pool`.
    """
    return _pooled(convert_to_tensor(inputs), output_size, data_format, mean=False)


def _pooled(x: Tensor, output_size: Sizes, data_format: str | None, mean: bool) -> Tensor:
    x = channels_last(x, data_format)
    for axis, count in enumerate(spatial(output_size, x.ndim - 2, "output_size"), 1):
        size = x.shape[axis]
        if not isinstance(size, int):
            raise ValueError(f"spatial axes must be fixed, got shape {list(x.shape)}")
        x = _pooled_along(x, axis, size, count, mean)
    return like_input(x, data_format)


def _pooled_along(x: Tensor, axis: int, size: int, count: int, mean: bool) -> Tensor:
    """Element by element of the windows; those that are shorter have their last one again."""
    starts = np.arange(count) * size // count
    lengths = -(-np.arange(1, count + 1) * size // count) - starts
    total: Tensor | None = None
    for at in range(int(lengths.max())):
        part = along(x, (starts + np.minimum(at, lengths - 1)).astype(np.int32), axis)
        if mean:
            weights = np.where(at < lengths, 1 / lengths, 0.0).astype(np.float32)
            shape = [count if a == axis else 1 for a in range(x.ndim)]
            part = multiply(part, reshape(convert_to_tensor(weights), shape))
        combined = add if mean else maximum
        total = part if total is None else combined(total, part)
    assert total is not None
    return total
