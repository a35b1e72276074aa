"""Functions that move elements without computing on them."""

from __future__ import annotations

from collections.abc import Sequence

from graphc.ir.types import Dim, Shape, product
from graphc.ir.types import divide as divide_dims
from graphc.trace import Tensor

from .base import TensorLike, broadcast_to, convert_to_tensor, node, recorded


def shape(x: TensorLike) -> Shape:
    """The shape: ints, and symbols for dimensions known only when the program runs."""
    return convert_to_tensor(x).shape


@recorded
def reshape(x: TensorLike, newshape: Sequence[Dim]) -> Tensor:
    """x's elements in row-major order under another shape; one dimension may be -1."""
    x = convert_to_tensor(x)
    target = list(newshape)
    if -1 in target:
        at = target.index(-1)
        missing = divide_dims(x.type.elements, product(d for d in target if d != -1))
        if missing is None or target.count(-1) > 1:
            raise ValueError(f"reshape: {list(x.shape)} does not fit {target}")
        target[at] = missing
    if product(target) != x.type.elements:
        raise ValueError(
            f"reshape: {list(x.shape)} has {x.type.elements} elements, {target} has "
            f"{product(target)}"
        )
    return x if x.shape == tuple(target) else node("reshape", x, shape=tuple(target))


@recorded
def transpose(x: TensorLike, axes: Sequence[int] | None = None) -> Tensor:
    """x with its axes permuted; reversed by default."""
    x = convert_to_tensor(x)
    permutation = tuple(axes) if axes is not None else tuple(reversed(range(x.ndim)))
    return node("transpose", x, permutation=tuple(a % x.ndim for a in permutation))


@recorded
def expand_dims(x: TensorLike, axis: int) -> Tensor:
    """x with a new axis of size 1."""
    x = convert_to_tensor(x)
    axis %= x.ndim + 1
    return reshape(x, (*x.shape[:axis], 1, *x.shape[axis:]))


@recorded
def squeeze(x: TensorLike, axis: int | None = None) -> Tensor:
    """x without its axis (or all axes) of size 1."""
    x = convert_to_tensor(x)
    if axis is None:
        return reshape(x, [d for d in x.shape if d != 1])
    if x.shape[axis] != 1:
        raise ValueError(f"squeeze: axis {axis} of {list(x.shape)} is not of size 1")
    axis %= x.ndim
    return reshape(x, (*x.shape[:axis], *x.shape[axis + 1 :]))


@recorded
def zeros_like(x: TensorLike) -> Tensor:
    """Zeros of x's shape and dtype."""
    return full_like(x, 0)


@recorded
def ones_like(x: TensorLike) -> Tensor:
    """Ones of x's shape and dtype."""
    return full_like(x, 1)


@recorded
def full_like(x: TensorLike, fill_value: TensorLike) -> Tensor:
    """A value repeated to x's shape and dtype."""
    x = convert_to_tensor(x)
    return broadcast_to(convert_to_tensor(fill_value, x.type.dtype), x.shape)
