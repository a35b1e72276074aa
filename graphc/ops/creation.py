"""Tensors of a pattern: constants, ranges, diagonals and triangles."""

from __future__ import annotations

import math
from collections.abc import Sequence

from graphc.ir.types import Dim
from graphc.trace import Tensor

from .base import TensorLike, broadcast_to, cast, convert_to_tensor, node, recorded
from .elementwise import add, equal, less, less_equal, multiply, where


def full(shape: Sequence[Dim], fill_value: TensorLike, dtype: object = None) -> Tensor:
    """A value repeated to a shape; float32 unless told."""
    return broadcast_to(convert_to_tensor(fill_value, dtype or "float32"), tuple(shape))


def zeros(shape: Sequence[Dim], dtype: object = None) -> Tensor:
    """Zeros of a shape; float32 unless told."""
    return full(shape, 0, dtype)


def ones(shape: Sequence[Dim], dtype: object = None) -> Tensor:
    """Ones of a shape; float32 unless told."""
    return full(shape, 1, dtype)


def arange(
    start: float, stop: float | None = None, step: float | None = None, dtype: object = None
) -> Tensor:
    """Numbers from start on, step apart, below stop; with one argument from 0 to below it."""
    if stop is None:
        start, stop = 0, start
    step = 1 if step is None else step
    if step == 0:
        raise ValueError("arange: step must not be 0")
    if dtype is None:
        dtype = "int32" if all(isinstance(v, int) for v in (start, stop, step)) else "float32"
    count = math.ceil((stop - start) / step)
    places = node("iota", shape=(max(count, 0),), axis=0)
    return cast(add(multiply(places, step), start), dtype)


def linspace(start: float, stop: float, num: int = 50, endpoint: bool = True) -> Tensor:
    """So many numbers evenly apart, from start to stop, with or without stop itself."""
    gaps = num - 1 if endpoint else num
    step = (stop - start) / gaps if gaps > 0 else 0.0
    places = node("iota", shape=(num,), axis=0)
    return cast(add(multiply(places, float(step)), float(start)), "float32")


def _places(shape: tuple[Dim, ...]) -> tuple[Tensor, Tensor]:
    """Each element's row and column, of the last two axes."""
    rank = len(shape)
    row, column = (node("iota", shape=shape, axis=rank - at) for at in (2, 1))
    return row, column


def eye(N: int, M: int | None = None, k: int = 0, dtype: object = None) -> Tensor:
    """(N, M) with ones on the diagonal that begins k columns to the right, zeros elsewhere."""
    row, column = _places((N, N if M is None else M))
    return cast(equal(column, add(row, k)), dtype or "float32")


def identity(n: int, dtype: object = None) -> Tensor:
    """(n, n) with ones on the diagonal."""
    return eye(n, dtype=dtype)


def tri(N: Dim, M: Dim | None = None, k: int = 0, dtype: object = None) -> Tensor:
    """(N, M) with ones up to the k-th diagonal, zeros right of it."""
    row, column = _places((N, N if M is None else M))
    return cast(less_equal(column, add(row, k)), dtype or "float32")


@recorded
def tril(x: TensorLike, k: int = 0) -> Tensor:
    """x with zeros right of the k-th diagonal of the last two axes."""
    x = convert_to_tensor(x)
    row, column = _places(x.shape)
    return where(less_equal(column, add(row, k)), x, 0)


@recorded
def triu(x: TensorLike, k: int = 0) -> Tensor:
    """x with zeros left of the k-th diagonal of the last two axes."""
    x = convert_to_tensor(x)
    row, column = _places(x.shape)
    return where(less(column, add(row, k)), 0, x)
