"""Sums, means, extrema over axes."""

from __future__ import annotations

from collections.abc import Sequence

from graphc.ir.types import product
from graphc.trace import Tensor

from .base import TensorLike, cast, convert_to_tensor, floating, node, recorded
from .elementwise import add, divide, exp, log, square, stop_gradient, subtract
from .shaping import reshape


def normal_axes(x: Tensor, axis: int | Sequence[int] | None) -> tuple[int, ...]:
    if axis is None:
        return tuple(range(x.ndim))
    given = (axis,) if isinstance(axis, int) else tuple(axis)
    if any(not -x.ndim <= a < x.ndim for a in given):
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
    """log(sum(exp(x))), without overflow."""
    x = floating(x)
    top = stop_gradient(max(x, axis, True))
    result = add(log(sum(exp(subtract(x, top)), axis, True)), top)
    if keepdims:
        return result
    return reshape(result, [d for a, d in enumerate(x.shape) if a not in normal_axes(x, axis)])
