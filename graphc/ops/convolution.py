"""Convolutions and pooling, over one to three spatial axes."""

from __future__ import annotations

import math
from collections.abc import Sequence

from graphc.ir.types import Dim
from graphc.trace import Tensor

from .base import TensorLike, convert_to_tensor, floating, node, recorded
from .elementwise import divide, multiply
from .reductions import max, sum
from .shaping import concatenate, flip, pad, reshape, split, spread, transpose

Sizes = int | Sequence[int]


def spatial(value: Sizes, rank: int, name: str) -> tuple[int, ...]:
    """One positive int for each spatial axis.

    Raises:
        ValueError: naming the argument.
    """
    values = (value,) * rank if isinstance(value, int) else tuple(value)
    if len(values) != rank or any(not isinstance(v, int) or v < 1 for v in values):
        raise ValueError(f"{name} must be a positive int or {rank} of them, got {value!r}")
    return values


def channels_last(x: Tensor, data_format: str | None) -> Tensor:
    """x with its channels moved to the last axis, if they are the first behind the batch."""
    if data_format not in (None, "channels_last", "channels_first"):
        raise ValueError(
            f"data_format must be 'channels_last' or 'channels_first', got {data_format!r}"
        )
    if data_format == "channels_first":
        return transpose(x, (0, *range(2, x.ndim), 1))
    return x


def like_input(y: Tensor, data_format: str | None) -> Tensor:
    """What `channels_last` moved, back where it was."""
    if data_format == "channels_first":
        return transpose(y, (0, y.ndim - 1, *range(1, y.ndim - 1)))
    return y


def _padding(
    shape: Sequence[Dim], window: Sequence[int], strides: Sequence[int],
    dilations: Sequence[int], padding: str,
) -> list[tuple[int, int]]:  # fmt: skip
    """Elements before and after each spatial axis, as TensorFlow's padding schemes have it."""
    if padding not in ("valid", "same", "causal"):
        raise ValueError(f"padding must be 'valid', 'same' or 'causal', got {padding!r}")
    result = []
    for dim, size, stride, dilation in zip(shape, window, strides, dilations, strict=True):
        reach = (size - 1) * dilation + 1
        if padding == "same":
            if not isinstance(dim, int):
                raise ValueError(f"padding 'same' needs spatial axes of fixed size, got {dim}")
            total = _at_least_0((-(-dim // stride) - 1) * stride + reach - dim)
            result.append((total // 2, total - total // 2))
        else:
            result.append((reach - 1 if padding == "causal" else 0, 0))
    return result


def _at_least_0(number: int) -> int:
    return number if number > 0 else 0


@recorded
def conv(
    inputs: TensorLike,
    kernel: TensorLike,
    strides: Sizes = 1,
    padding: str = "valid",
    data_format: str | None = None,
    dilation_rate: Sizes = 1,
) -> Tensor:
    """Convolution of 1, 2 or 3 spatial axes, as `keras.ops.conv`.

    Args:
        inputs: (batch, spatial ..., channels), or channels first.
        kernel: (window ..., channels / groups, filters).
        strides: steps between windows, one or one an axis.
        padding: "valid", "same", or "causal" (1 axis).
        data_format: "channels_last" (default) or "channels_first".
        dilation_rate: steps between a window's elements.

    Returns:
        (batch, new spatial ..., filters), or channels first.
    """
    x, kernel = channels_last(floating(inputs), data_format), floating(kernel)
    rank = x.ndim - 2
    strides = spatial(strides, rank, "strides")
    dilations = spatial(dilation_rate, rank, "dilation_rate")
    window = [_fixed(size) for size in kernel.shape[:rank]]
    channels, of_group = x.shape[-1], kernel.shape[-2]
    if not isinstance(channels, int) or channels % _fixed(of_group):
        raise ValueError(f"conv: {channels} channels do not fit a kernel of {list(kernel.shape)}")
    sides = _padding(x.shape[1:-1], window, strides, dilations, padding)
    x = pad(x, [(0, 0), *sides, (0, 0)])
    groups = channels // _fixed(of_group)
    parts = zip(_groups(x, groups), _groups(kernel, groups), strict=True)
    results = [node("conv", *part, strides=strides, dilations=dilations) for part in parts]
    return like_input(results[0] if groups == 1 else concatenate(results, -1), data_format)


def _groups(x: Tensor, groups: int) -> list[Tensor]:
    return [x] if groups == 1 else split(x, groups, axis=-1)


def _fixed(size: Dim) -> int:
    if not isinstance(size, int):
        raise ValueError(f"a kernel's shape must be fixed, got a size of {size}")
    return size


@recorded
def depthwise_conv(
    inputs: TensorLike,
    kernel: TensorLike,
    strides: Sizes = 1,
    padding: str = "valid",
    data_format: str | None = None,
    dilation_rate: Sizes = 1,
) -> Tensor:
    """A convolution of each channel by itself, as `keras.ops.depthwise_conv`.

    Args:
        inputs: (batch, spatial ..., channels), or channels first.
        kernel: (window ..., channels, multiplier).
        strides, padding, data_format, dilation_rate: as in `conv`.

    Returns:
        (batch, new spatial ..., channels * multiplier), or channels first.
    """
    x, kernel = channels_last(floating(inputs), data_format), floating(kernel)
    rank = x.ndim - 2
    *window, channels, multiplier = (_fixed(size) for size in kernel.shape)
    windows = _windows(
        x, window, strides, padding, 0.0, spatial(dilation_rate, rank, "dilation_rate")
    )
    wide = reshape(windows, (*windows.shape, 1))
    terms = multiply(wide, kernel)
    total = sum(terms, tuple(range(rank + 1, 2 * rank + 1)))
    return like_input(reshape(total, (*total.shape[:-2], channels * multiplier)), data_format)


@recorded
def separable_conv(
    inputs: TensorLike,
    depthwise_kernel: TensorLike,
    pointwise_kernel: TensorLike,
    strides: Sizes = 1,
    padding: str = "valid",
    data_format: str | None = None,
    dilation_rate: Sizes = 1,
) -> Tensor:
    """`depthwise_conv`, then a `conv` with windows of one element: `keras.ops.separable_conv`."""
    x = channels_last(floating(inputs), data_format)
    inner = depthwise_conv(x, depthwise_kernel, strides, padding, None, dilation_rate)
    return like_input(conv(inner, pointwise_kernel), data_format)


@recorded
def conv_transpose(
    inputs: TensorLike,
    kernel: TensorLike,
    strides: Sizes = 1,
    padding: str = "valid",
    output_padding: Sizes | None = None,
    data_format: str | None = None,
    dilation_rate: Sizes = 1,
) -> Tensor:
    """The gradient of `conv` with respect to its inputs, as `keras.ops.conv_transpose`.

    Args:
        inputs: (batch, spatial ..., channels), or channels first.
        kernel: (window ..., filters, channels).
        strides: how many times larger the result is.
        padding: "valid" or "same".
        output_padding: elements added at the result's end; by default as `strides` ask for.
        data_format, dilation_rate: as in `conv`.

    Returns:
        (batch, new spatial ..., filters), or channels first.
    """
    if padding not in ("valid", "same"):
        raise ValueError(f"padding must be 'valid' or 'same', got {padding!r}")
    x, kernel = channels_last(floating(inputs), data_format), floating(kernel)
    rank = x.ndim - 2
    strides = spatial(strides, rank, "strides")
    dilations = spatial(dilation_rate, rank, "dilation_rate")
    extra: Sequence[int | None] = (None,) * rank
    if output_padding is not None:
        extra = (output_padding,) * rank if isinstance(output_padding, int) else output_padding
    sides = []
    for size, stride, dilation, more in zip(kernel.shape, strides, dilations, extra, strict=False):
        reach = (_fixed(size) - 1) * dilation + 1
        sides.append(_transposed_padding(reach, stride, padding, more))
    wide = spread(x, [(0, 0), *sides, (0, 0)], (0, *(s - 1 for s in strides), 0), 0.0)
    turned = flip(kernel, tuple(range(rank)))
    turned = transpose(turned, (*range(rank), rank + 1, rank))
    return like_input(conv(wide, turned, dilation_rate=dilations), data_format)


def _transposed_padding(
    reach: int, stride: int, padding: str, output_padding: int | None
) -> tuple[int, int]:
    """Elements around the spread input, of which negative ones are cut off."""
    if padding == "valid":
        more = _at_least_0(stride - reach) if output_padding is None else output_padding
        return reach - 1, reach - 1 + more
    more = stride if output_padding is None else reach % 2 + output_padding
    total = reach + more - 2
    left = min(total // 2 + total % 2, reach - 1)
    return left, total - left


def _windows(
    x: Tensor, window: Sequence[int], strides: Sizes, padding: str, value: float,
    dilations: Sequence[int] | None = None,
) -> Tensor:  # fmt: skip
    """(batch, window counts ..., window ..., channels)."""
    rank = x.ndim - 2
    strides = spatial(strides, rank, "strides")
    dilations = tuple(dilations or (1,) * rank)
    sides = _padding(x.shape[1:-1], window, strides, dilations, padding)
    x = pad(x, [(0, 0), *sides, (0, 0)], constant_values=value)
    return node("windows", x, axis=1, sizes=tuple(window), strides=strides, dilations=dilations)


@recorded
def max_pool(
    inputs: TensorLike,
    pool_size: Sizes,
    strides: Sizes | None = None,
    padding: str = "valid",
    data_format: str | None = None,
) -> Tensor:
    """The largest element of each window, as `keras.ops.max_pool`.

    Args:
        inputs: (batch, spatial ..., channels), or channels first.
        pool_size: the window, one size or one an axis.
        strides: `pool_size` by default.
        padding: "valid" or "same".
        data_format: "channels_last" (default) or "channels_first".
    """
    x = channels_last(convert_to_tensor(inputs), data_format)
    rank = x.ndim - 2
    window = spatial(pool_size, rank, "pool_size")
    windows = _windows(x, window, strides or window, padding, -math.inf)
    return like_input(max(windows, tuple(range(rank + 1, 2 * rank + 1))), data_format)


@recorded
def average_pool(
    inputs: TensorLike,
    pool_size: Sizes,
    strides: Sizes | None = None,
    padding: str = "valid",
    data_format: str | None = None,
) -> Tensor:
    """The mean of each window, of what lies inside the input, as `keras.ops.average_pool`.

    Args: those of `max_pool`.
    """
    x = channels_last(floating(inputs), data_format)
    rank = x.ndim - 2
    window = spatial(pool_size, rank, "pool_size")
    strides = spatial(strides or window, rank, "strides")
    axes = tuple(range(rank + 1, 2 * rank + 1))
    total = sum(_windows(x, window, strides, padding, 0.0), axes)
    if padding == "valid":
        return like_input(divide(total, math.prod(window)), data_format)
    counts = _inside(x.shape[1:-1], window, strides)
    return like_input(divide(total, reshape(counts, (*counts.shape, 1))), data_format)


def _inside(shape: Sequence[Dim], window: Sequence[int], strides: Sequence[int]) -> Tensor:
    """How many elements of each window of padding "same" are not padding."""
    ones = (1,) * len(window)
    counts = convert_to_tensor(1.0)
    for dim, size, stride, (low, _) in zip(
        shape, window, strides, _padding(shape, window, strides, ones, "same"), strict=True
    ):
        starts = [at * stride - low for at in range(-(-_fixed(dim) // stride))]
        along = [min(start + size, _fixed(dim)) - _at_least_0(start) for start in starts]
        counts = multiply(reshape(counts, (*counts.shape, 1)), [float(n) for n in along])
    return counts
