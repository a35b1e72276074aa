"""Sums, means, extrema over axes."""

from __future__ import annotations

import builtins
from collections.abc import Sequence

from graphc.ir.types import product
from graphc.trace import Tensor

from .base import TensorLike, broadcast_to, cast, convert_to_tensor, floating, node, recorded
from .control import scan
from .creation import zeros
from .elementwise import (
    add,
    divide,
    exp,
    isfinite,
    log,
    multiply,
    negative,
    not_equal,
    sqrt,
    square,
    stop_gradient,
    subtract,
    where,
)
from .shaping import concatenate, moveaxis, ravel, reshape, split


def normal_axes(x: Tensor, axis: int | Sequence[int] | None) -> tuple[int, ...]:
    if axis is None:
        return tuple(range(x.ndim))
    given = (axis,) if isinstance(axis, int) else tuple(axis)
    if builtins.any(not -x.ndim <= a < x.ndim for a in given):
        raise ValueError(f"axis {axis} is out of range for shape {list(x.shape)}")
    return tuple(sorted({a % x.ndim for a in given}))


def _reduce(op: str, x: Tensor, axis: int | Sequence[int] | None, keepdims: bool) -> Tensor:
    axes = normal_axes(x, axis)
    result = node(op, x, axes=axes)
    if keepdims:
        return reshape(result, [1 if a in axes else d for a, d in enumerate(x.shape)])
    return result


@recorded
def sum(x: TensorLike, axis: int | Sequence[int] | None = None, keepdims: bool = False) -> Tensor:
    """Sum over axes (all by default); bools and ints of less than 32 bits add up as 32 bits."""
    x = convert_to_tensor(x)
    wide = {"bool": "i32", "i8": "i32", "i16": "i32", "u8": "u32", "u16": "u32"}
    return _reduce("reduce_sum", cast(x, wide.get(x.type.dtype, x.type.dtype)), axis, keepdims)


@recorded
def mean(x: TensorLike, axis: int | Sequence[int] | None = None, keepdims: bool = False) -> Tensor:
    """Arithmetic mean over axes (all by default); ints and bools are taken as float32."""
    x = floating(x)
    count = node("size", dim=product(x.shape[a] for a in normal_axes(x, axis)), dtype=x.type.dtype)
    return divide(sum(x, axis, keepdims), count)


@recorded
def max(x: TensorLike, axis: int | Sequence[int] | None = None, keepdims: bool = False) -> Tensor:
    """Largest element over axes (all by default)."""
    return _reduce("reduce_max", convert_to_tensor(x), axis, keepdims)


@recorded
def min(x: TensorLike, axis: int | Sequence[int] | None = None, keepdims: bool = False) -> Tensor:
    """Smallest element over axes (all by default)."""
    return _reduce("reduce_min", convert_to_tensor(x), axis, keepdims)


@recorded
def var(x: TensorLike, axis: int | Sequence[int] | None = None, keepdims: bool = False) -> Tensor:
    """Variance (divided by the count) over axes."""
    return mean(square(subtract(x, mean(x, axis, True))), axis, keepdims)


@recorded
def std(x: TensorLike, axis: int | Sequence[int] | None = None, keepdims: bool = False) -> Tensor:
    """Standard deviation (its square divided by the count) over axes."""
    return sqrt(var(x, axis, keepdims))


@recorded
def moments(
    x: TensorLike, axes: int | Sequence[int], keepdims: bool = False
) -> tuple[Tensor, Tensor]:
    """Mean and variance over axes."""
    return mean(x, axes, keepdims), var(x, axes, keepdims)


@recorded
def average(
    x: TensorLike, axis: int | Sequence[int] | None = None, weights: TensorLike = None
) -> Tensor:
    """Mean over axes; weighted by weights of x's shape, or of one axis's size."""
    if weights is None:
        return mean(x, axis)
    x, weights = floating(x), floating(weights)
    if weights.ndim == 1 and isinstance(axis, int):
        shape = [d if a == axis % x.ndim else 1 for a, d in enumerate(x.shape)]
        weights = reshape(weights, shape)
    weights = broadcast_to(weights, x.shape)
    return divide(sum(multiply(x, weights), axis), sum(weights, axis))


@recorded
def prod(x: TensorLike, axis: int | Sequence[int] | None = None, keepdims: bool = False) -> Tensor:
    """Product over axes of fixed size (all by default)."""
    x = convert_to_tensor(x)
    axes = normal_axes(x, axis)
    for at in axes:
        x = _product(x, at)
    return x if keepdims else reshape(x, [d for a, d in enumerate(x.shape) if a not in axes])


def _product(x: Tensor, axis: int) -> Tensor:
    """The product along an axis, kept as 1: of its halves, until one is left."""
    size = x.shape[axis]
    if not isinstance(size, int):
        raise ValueError(f"prod: axis {axis} of {list(x.shape)} must have a fixed size")
    while size > 1:
        half, odd = size // 2, size % 2
        first, second, *rest = split(x, [half, 2 * half] if odd else 2, axis)
        x = concatenate([multiply(first, second), *rest], axis)
        size = half + odd
    return x


@recorded
def any(x: TensorLike, axis: int | Sequence[int] | None = None, keepdims: bool = False) -> Tensor:
    """Whether some element over axes is not 0."""
    return cast(max(cast(cast(x, "bool"), "i32"), axis, keepdims), "bool")


@recorded
def all(x: TensorLike, axis: int | Sequence[int] | None = None, keepdims: bool = False) -> Tensor:
    """Whether no element over axes is 0."""
    return cast(min(cast(cast(x, "bool"), "i32"), axis, keepdims), "bool")


@recorded
def count_nonzero(x: TensorLike, axis: int | Sequence[int] | None = None) -> Tensor:
    """The number (int32) of elements over axes that are not 0."""
    return sum(not_equal(x, 0), axis)


@recorded
def cumsum(x: TensorLike, axis: int | None = None) -> Tensor:
    """Sums of the elements up to each along an axis; of x flattened by default."""
    x = convert_to_tensor(x)
    if axis is None:
        x, axis = ravel(x), 0
    x = cast(x, "i32") if x.type.dtype == "bool" else x
    first = moveaxis(x, axis, 0)
    start = zeros(first.shape[1:], x.dtype)

    def step(total: Tensor, element: Tensor) -> tuple[Tensor, Tensor]:
        total = add(total, element)
        return total, total

    return moveaxis(scan(step, start, first)[1], 0, axis)


@recorded
def argmin(x: TensorLike, axis: int | None = None) -> Tensor:
    """Index (int32) of the first minimum along an axis, or among all elements by default."""
    x = convert_to_tensor(x)
    signed = cast(x, "i64") if x.type.dtype.startswith(("u", "bool")) else x
    return argmax(negative(signed), axis)


@recorded
def argmax(x: TensorLike, axis: int | None = None) -> Tensor:
    """Index (int32) of the first maximum along an axis, or among all elements by default."""
    x = convert_to_tensor(x)
    if axis is None:
        x, axis = reshape(x, (x.type.elements,)), 0
    return node("argmax", x, axis=normal_axes(x, axis)[0])


@recorded
def logsumexp(
    x: TensorLike, axis: int | Sequence[int] | None = None, keepdims: bool = False
) -> Tensor:
    """log(sum(exp(x))), without overflow: -inf where all elements are."""
    x = floating(x)
    top = max(x, axis, True)
    top = stop_gradient(where(isfinite(top), top, 0.0))
    result = add(log(sum(exp(subtract(x, top)), axis, True)), top)
    if keepdims:
        return result
    return reshape(result, [d for a, d in enumerate(x.shape) if a not in normal_axes(x, axis)])
