"""Functions that move elements without computing on them."""

from __future__ import annotations

import builtins
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from graphc.ir.types import Dim, Shape, product
from graphc.ir.types import divide as divide_dims
from graphc.trace import Tensor

from .base import TensorLike, broadcast_to, cast, common_dtype, convert_to_tensor, node, recorded


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


def _axis(x: Tensor, axis: int) -> int:
    """The axis counted from the first.

    Raises:
        ValueError: when x has no such axis.
    """
    if not -x.ndim <= axis < x.ndim:
        raise ValueError(f"axis {axis} is out of range for shape {list(x.shape)}")
    return axis % x.ndim


@recorded
def concatenate(xs: Sequence[TensorLike], axis: int = 0) -> Tensor:
    """Tensors one after another along an axis; the other sizes must be equal."""
    tensors = [convert_to_tensor(x) for x in xs]
    dtype = common_dtype([t.type.dtype for t in tensors])
    tensors = [cast(t, dtype) for t in tensors]
    at = _axis(tensors[0], axis)
    return tensors[0] if len(tensors) == 1 else node("concat", *tensors, axis=at)


@recorded
def stack(xs: Sequence[TensorLike], axis: int = 0) -> Tensor:
    """Tensors of one shape along a new axis."""
    tensors = [convert_to_tensor(x) for x in xs]
    at = axis % (tensors[0].ndim + 1)
    return concatenate([expand_dims(t, at) for t in tensors], at)


@recorded
def slice(inputs: TensorLike, start_indices: Sequence[int], shape: Sequence[Dim]) -> Tensor:
    """The block of a shape that begins at these indices, as `keras.ops.slice`."""
    x = convert_to_tensor(inputs)
    return _block(x, start_indices, shape, (1,) * x.ndim)


def _block(x: Tensor, starts: Sequence[int], sizes: Sequence[Dim], steps: Sequence[int]) -> Tensor:
    if tuple(sizes) == x.shape and set(steps) <= {1}:
        return x
    return node("slice", x, starts=tuple(starts), sizes=tuple(sizes), steps=tuple(steps))


@recorded
def getitem(x: TensorLike, key: object) -> Tensor:
    """x[key]: ints, slices of fixed axes, whole slices, None and Ellipsis, as in NumPy."""
    x = convert_to_tensor(x)
    keys = list(key) if isinstance(key, tuple) else [key]
    given = sum(k is not None and k is not Ellipsis for k in keys)
    if given > x.ndim or any(isinstance(k, Tensor) for k in keys):
        raise IndexError(
            f"{key!r} does not index shape {list(x.shape)}; to gather rows use ops.take"
        )
    at = keys.index(Ellipsis) if Ellipsis in keys else len(keys)
    keys[at : at + 1] = [builtins.slice(None)] * (x.ndim - given)
    starts: list[int] = []
    sizes: list[Dim] = []
    steps: list[int] = []
    result: list[Dim] = []  # without the axes that an int takes away, with new ones
    turned = []
    dims = iter(x.shape)
    for one in keys:
        if one is None:
            result.append(1)
            continue
        start, size, step = _span(one, next(dims), x.shape)
        if step < 0:
            turned.append(len(starts))
            start, step = start + (_number(size) - 1) * step, -step
        starts, sizes, steps = [*starts, start], [*sizes, size], [*steps, step]
        if isinstance(one, builtins.slice):
            result.append(size)
    block = _block(x, starts, sizes, steps)
    return reshape(flip(block, turned) if turned else block, result)


def _number(size: Dim) -> int:
    assert isinstance(size, int)
    return size


def _span(key: object, dim: Dim, shape: Shape) -> tuple[int, Dim, int]:
    """Start, size and step that an int or a slice takes of an axis."""
    if key == builtins.slice(None):
        return 0, dim, 1
    if not isinstance(dim, int):
        raise IndexError(f"an axis of size {dim} of shape {list(shape)} can only be taken whole")
    if isinstance(key, builtins.slice):
        places = range(*key.indices(dim))
        return (places[0] if places else 0), len(places), (places.step if places else 1)
    if not isinstance(key, int) or not -dim <= key < dim:
        raise IndexError(f"{key!r} does not index an axis of size {dim} of shape {list(shape)}")
    return key % dim, 1, 1


@recorded
def split(x: TensorLike, indices_or_sections: int | Sequence[int], axis: int = 0) -> list[Tensor]:
    """Parts of x along an axis: so many equal ones, or those between indices."""
    x = convert_to_tensor(x)
    at = _axis(x, axis)
    size = x.shape[at]
    if not isinstance(size, int):
        raise ValueError(f"split: axis {axis} of {list(x.shape)} must have a fixed size")
    if isinstance(indices_or_sections, int):
        count = indices_or_sections
        if count < 1 or size % count:
            raise ValueError(f"split: {size} elements cannot be cut into {count} equal parts")
        bounds = [size // count * part for part in range(count + 1)]
    else:
        bounds = [0, *indices_or_sections, size]
    parts = []
    for low, high in pairwise(bounds):
        starts = [low if a == at else 0 for a in range(x.ndim)]
        sizes = [high - low if a == at else dim for a, dim in enumerate(x.shape)]
        parts.append(_block(x, starts, sizes, (1,) * x.ndim))
    return parts


@recorded
def flip(x: TensorLike, axis: int | Sequence[int] | None = None) -> Tensor:
    """x with the order of elements reversed along axes; all by default."""
    x = convert_to_tensor(x)
    given = range(x.ndim) if axis is None else [axis] if isinstance(axis, int) else axis
    return node("reverse", x, axes=tuple(sorted(_axis(x, a) for a in given)))


@recorded
def pad(
    x: TensorLike,
    pad_width: int | Sequence[Any],
    mode: str = "constant",
    constant_values: float | None = None,
) -> Tensor:
    """x with elements put before and after it along each axis, as `keras.ops.pad`.

    Args:
        pad_width: (before, after) for each axis, or one pair or number for all.
        mode: "constant", "reflect" (without the border) or "symmetric" (with it).
        constant_values: 0 by default.
    """
    x = convert_to_tensor(x)
    if isinstance(pad_width, int):
        pad_width = [(pad_width, pad_width)] * x.ndim
    elif len(pad_width) and isinstance(pad_width[0], int):
        pad_width = [tuple(pad_width)] * x.ndim
    if mode == "constant":
        value = 0 if constant_values is None else constant_values
        return spread(x, pad_width, (0,) * x.ndim, value)
    if mode not in ("reflect", "symmetric"):
        raise ValueError(f"pad: mode must be constant, reflect or symmetric, got {mode!r}")
    border = int(mode == "reflect")
    for axis, (low, high) in enumerate(pad_width):
        if low or high:
            size = _number(x.shape[axis])
            before, after = (border, border + low), (size - border - high, size - border)
            parts = [flip(_between(x, axis, *span), axis) for span in (before, after)]
            x = concatenate([parts[0], x, parts[1]], axis)
    return x


def _between(x: Tensor, axis: int, low: int, high: int) -> Tensor:
    starts = [low if a == axis else 0 for a in range(x.ndim)]
    sizes = [high - low if a == axis else dim for a, dim in enumerate(x.shape)]
    return _block(x, starts, sizes, (1,) * x.ndim)


def spread(
    x: Tensor, pad_width: Sequence[tuple[int, int]], interior: Sequence[int], value: float
) -> Tensor:
    """x with a value around it and between its elements; negative widths cut elements off."""
    low, high = (tuple(max(side[at], 0) for side in pad_width) for at in (0, 1))
    if any(low) or any(high) or any(interior):
        value = bool(value) if x.type.dtype == "bool" else value
        x = node("pad", x, low=low, high=high, interior=tuple(interior), value=value)
    for axis, (before, after) in enumerate(pad_width):
        if before < 0 or after < 0:
            x = _between(x, axis, max(-before, 0), _number(x.shape[axis]) - max(-after, 0))
    return x


@recorded
def ravel(x: TensorLike) -> Tensor:
    """x's elements along one axis."""
    return reshape(x, (-1,))


@recorded
def swapaxes(x: TensorLike, axis1: int, axis2: int) -> Tensor:
    """x with two axes exchanged."""
    x = convert_to_tensor(x)
    order = list(range(x.ndim))
    order[axis1], order[axis2] = order[axis2], order[axis1]
    return transpose(x, order)


@recorded
def moveaxis(
    x: TensorLike, source: int | Sequence[int], destination: int | Sequence[int]
) -> Tensor:
    """x with axes at other places, the others in their order."""
    x = convert_to_tensor(x)
    given, wanted = (
        [_axis(x, a) for a in ([axes] if isinstance(axes, int) else axes)]
        for axes in (source, destination)
    )
    order = [a for a in range(x.ndim) if a not in given]
    for to, origin in sorted(zip(wanted, given, strict=True)):
        order.insert(to, origin)
    return transpose(x, order)


@recorded
def repeat(x: TensorLike, repeats: int, axis: int | None = None) -> Tensor:
    """Each element along an axis so often one after another; of x flattened by default."""
    x = convert_to_tensor(x)
    if axis is None:
        x, axis = ravel(x), 0
    at = _axis(x, axis)
    before, size, after = x.shape[:at], x.shape[at], x.shape[at + 1 :]
    wide = broadcast_to(expand_dims(x, at + 1), (*before, size, repeats, *after))
    return reshape(wide, (*before, size * repeats, *after))


@recorded
def tile(x: TensorLike, repeats: int | Sequence[int]) -> Tensor:
    """The whole of x so often one after another along each axis, aligned at the last."""
    x = convert_to_tensor(x)
    given = (repeats,) if isinstance(repeats, int) else tuple(repeats)
    rank = max(x.ndim, len(given))
    counts = (1,) * (rank - len(given)) + given
    sizes = (1,) * (rank - x.ndim) + x.shape
    wide = broadcast_to(
        reshape(x, [d for size in sizes for d in (1, size)]),
        [d for pair in zip(counts, sizes, strict=True) for d in pair],
    )
    return reshape(wide, [count * size for count, size in zip(counts, sizes, strict=True)])


@recorded
def roll(
    x: TensorLike, shift: int | Sequence[int], axis: int | Sequence[int] | None = None
) -> Tensor:
    """x with elements moved along axes, those that leave at the end put at the beginning."""
    x = convert_to_tensor(x)
    if axis is None:
        return reshape(roll(ravel(x), shift, 0), x.shape)
    axes = [axis] if isinstance(axis, int) else list(axis)
    shifts = [shift] * len(axes) if isinstance(shift, int) else list(shift)
    for one, by in zip(axes, shifts, strict=True):
        size = x.shape[_axis(x, one)]
        if not isinstance(size, int):
            raise ValueError(f"roll: axis {one} of {list(x.shape)} must have a fixed size")
        if by % size:
            first, last = split(x, [size - by % size], one)
            x = concatenate([last, first], one)
    return x
