"""Products of matrices and indexing."""

from __future__ import annotations

from graphc.ir.types import product
from graphc.trace import Tensor

from .base import (
    TensorLike,
    broadcast_shapes,
    broadcast_to,
    cast,
    common_dtype,
    convert_to_tensor,
    node,
    recorded,
)
from .elementwise import add, equal, greater_equal, less, logical_and, multiply, where
from .shaping import expand_dims, reshape, transpose


@recorded
def matmul(x1: TensorLike, x2: TensorLike) -> Tensor:
    """Matrix product over the last two axes, the others broadcast; vectors as in NumPy."""
    a, b = convert_to_tensor(x1), convert_to_tensor(x2)
    dtype = common_dtype([a.type.dtype, b.type.dtype])
    a, b = cast(a, dtype), cast(b, dtype)
    vectors = a.ndim == 1, b.ndim == 1
    if vectors[0]:
        a = expand_dims(a, 0)
    if vectors[1]:
        b = expand_dims(b, 1)
    if min(a.ndim, b.ndim) < 2 or a.shape[-1] != b.shape[-2]:
        raise ValueError(
            f"matmul: expected (..., m, k) and (..., k, n), got {list(a.shape)} and {list(b.shape)}"
        )
    result = _rows_by_matrix(a, b) if b.ndim == 2 else _many_products(a, b)
    kept = [
        dim
        for axis, dim in enumerate(result.shape)
        if not (
            (vectors[0] and axis == result.ndim - 2) or (vectors[1] and axis == result.ndim - 1)
        )
    ]
    return reshape(result, kept)


def _rows_by_matrix(a: Tensor, b: Tensor) -> Tensor:
    """All rows of a, whatever its rank, in one product."""
    rows = reshape(a, (-1, a.shape[-1]))
    result = node("matmul", rows, b, transpose_a=False, transpose_b=False)
    return reshape(result, (*a.shape[:-1], b.shape[1]))


def _many_products(a: Tensor, b: Tensor) -> Tensor:
    outer = broadcast_shapes(a.shape[:-2], b.shape[:-2])
    a, b = (broadcast_to(x, (*outer, *x.shape[-2:])) for x in (a, b))
    return node("matmul", a, b, transpose_a=False, transpose_b=False)


@recorded
def take(x: TensorLike, indices: TensorLike, axis: int | None = None) -> Tensor:
    """The elements of x at indices along an axis (of x flattened by default).

    Negative indices count from the end; for an index out of range the result is NaN, or 0 in a
    tensor that is not of floats.
    """
    x, indices = convert_to_tensor(x), convert_to_tensor(indices)
    indices = indices if indices.type.dtype in ("i32", "i64") else cast(indices, "i32")
    if axis is None:
        x, axis = reshape(x, (-1,)), 0
    axis %= x.ndim
    size = node("size", dim=x.shape[axis], dtype=indices.type.dtype)
    indices = where(less(indices, 0), add(indices, size), indices)
    order = (axis, *(a for a in range(x.ndim) if a != axis))
    rows = transpose(x, order) if axis else x
    result = node("gather", rows, indices)
    if x.type.is_float:
        inside = logical_and(greater_equal(indices, 0), less(indices, size))
        shape = (*indices.shape, *(1,) * (x.ndim - 1))
        result = where(reshape(inside, shape), result, float("nan"))
    if not axis:
        return result
    rank = indices.ndim
    back = (*range(rank, rank + axis), *range(rank), *range(rank + axis, result.ndim))
    return transpose(result, back)


def along(x: Tensor, index: TensorLike, axis: int) -> Tensor:
    """The elements of x at int32 indices (n,) along an axis, without moving the axis."""
    index = convert_to_tensor(index, "i32")
    before = x.shape[:axis]
    size = node("size", dim=x.shape[axis], dtype="i32")
    rows = reshape(x, (product((*before, x.shape[axis])), *x.shape[axis + 1 :]))
    starts = multiply(node("iota", shape=(product(before),), axis=0), size)
    found = node("gather", rows, add(reshape(starts, (-1, 1)), reshape(index, (1, -1))))
    return reshape(found, (*before, *index.shape, *x.shape[axis + 1 :]))


@recorded
def take_along_axis(x: TensorLike, indices: TensorLike, axis: int | None = None) -> Tensor:
    """x's element at an index along an axis, one index for each place of the other axes.

    Without an axis both are taken as flat, as `keras.ops.take_along_axis` does.
    """
    x, indices = convert_to_tensor(x), cast(convert_to_tensor(indices), "i32")
    if axis is None:
        x, indices, axis = reshape(x, (-1,)), reshape(indices, (-1,)), 0
    axis %= x.ndim
    last = (*(a for a in range(x.ndim) if a != axis), axis)
    rows, places = (transpose(t, last) if axis != x.ndim - 1 else t for t in (x, indices))
    size = node("size", dim=rows.shape[-1], dtype="i32")
    number = node("iota", shape=(product(rows.shape[:-1]),), axis=0)
    start = reshape(multiply(number, size), (*rows.shape[:-1], 1))
    found = take(rows, add(where(less(places, 0), add(places, size), places), start))
    back = tuple(sorted(range(x.ndim), key=last.__getitem__))
    return transpose(found, back) if axis != x.ndim - 1 else found


@recorded
def one_hot(x: TensorLike, num_classes: int, dtype: object = "float32") -> Tensor:
    """1 at each integer's place along a new last axis, 0 elsewhere."""
    x = cast(convert_to_tensor(x), "i32")
    target = (*x.shape, num_classes)
    places = node("iota", shape=target, axis=len(target) - 1)
    return cast(equal(expand_dims(x, -1), places), dtype)
