"""Index maps: where the operand of a layout op is read, for an index of its result.

An index of an axis is the same in all lanes, or goes up by a step from lane to lane, or is given
lane by lane. Maps that leave the operand (padding) come with a mask: which lanes are inside.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from llvmlite import ir

from graphc.ir.types import Dim, Shape

from .builder import I1, I64, Emitter, i64

Value: TypeAlias = ir.Value
Attrs: TypeAlias = dict[str, Any]


@dataclass(frozen=True, eq=False)
class Index:
    """An axis's index in each lane: base + step * lane, or `lanes` (a vector) where it is given.

    It is known to be in `span`, [first, end), if there is one: then some padding and all but one
    part of a concatenation need no mask, or no code.
    """

    base: Value
    step: int = 0
    lanes: Value | None = None
    span: tuple[int, int] | None = None


ZERO = Index(i64(0), span=(0, 1))
ALL, NONE = ir.Constant(I1, 1), ir.Constant(I1, 0)  # masks


def expand(index: Sequence[Index], shape: Shape) -> list[Index]:
    """An index for every axis, from those of the axes that are not of size 1."""
    given = iter(index)
    return [ZERO if dim == 1 else next(given) for dim in shape]


def squeeze(index: Sequence[Index], shape: Shape) -> list[Index]:
    """The indices of the axes that are not of size 1."""
    return [i for i, dim in zip(index, shape, strict=True) if dim != 1]


class Indexer:
    """Arithmetic on indices, emitted."""

    def __init__(self, e: Emitter) -> None:
        self.e = e

    def lanes(self, index: Index) -> Value:
        """The index as a vector of i64."""
        if index.lanes is not None:
            return index.lanes
        lanes = self.e.target.lanes
        first = self.e.spread(index.base, lanes)
        if not index.step:
            return first
        steps = [index.step * lane for lane in range(lanes)]
        return self.e.ir.add(first, ir.Constant(ir.VectorType(I64, lanes), steps))

    def _vector(self, value: Value) -> Value:
        return self.e.spread(value, self.e.target.lanes)

    def affine(self, index: Index, factor: int, offset: Value) -> Index:
        """index * factor + offset."""
        e = self.e
        base = e.add(e.mul(index.base, factor), offset)
        if index.lanes is None:
            span = None
            if index.span and factor == 1 and isinstance(offset, ir.Constant):
                first, end = index.span
                span = (first + offset.constant, end + offset.constant)
            return Index(base, index.step * factor, span=span)
        lanes = e.ir.mul(index.lanes, self._vector(i64(factor)))
        return Index(base, 0, e.ir.add(lanes, self._vector(offset)))

    def plus(self, a: Index, b: Index) -> Index:
        """a + b."""
        if a.lanes is None and b.lanes is None:
            return Index(self.e.add(a.base, b.base), a.step + b.step)
        return Index(self.e.add(a.base, b.base), 0, self.e.ir.add(self.lanes(a), self.lanes(b)))

    def divide(self, index: Index, by: int) -> tuple[Index, Index]:
        """Quotient and remainder; of a negative index both are of no use."""
        if by == 1:
            return index, ZERO
        if index.lanes is None and not index.step:
            return Index(self.e.div(index.base, by)), Index(self.e.rem(index.base, by))
        lanes, divisor = self.lanes(index), self._vector(i64(by))
        quotient = self.e.ir.udiv(lanes, divisor)
        remainder = self.e.ir.urem(lanes, divisor)
        return Index(ZERO.base, 0, quotient), Index(ZERO.base, 0, remainder)

    def below(self, index: Index, size: Dim) -> Value:
        """Whether 0 <= index < size: one bit, or one a lane; ALL or NONE where it is known."""
        if index.span and isinstance(size, int):
            first, end = index.span
            if first >= 0 and end <= size:
                return ALL
            if end <= 0 or first >= size:
                return NONE
        limit = self.e.dim(size)
        if index.lanes is None and not index.step:
            return self.e.ir.icmp_unsigned("<", index.base, limit)
        return self.e.ir.icmp_unsigned("<", self.lanes(index), self._vector(limit))

    def is_zero(self, index: Index) -> Value:
        """Whether the index is 0: one bit, or one a lane."""
        return self.below(index, 1)

    def both(self, a: Value | None, b: Value | None) -> Value | None:
        """The lanes in both masks."""
        if a is None or b is None:
            return b if a is None else a
        if a is ALL or b is NONE:
            return b
        if b is ALL or a is NONE:
            return a
        if a.type != b.type:
            a, b = (v if v.type != I1 else self._vector(v) for v in (a, b))
        return self.e.ir.and_(a, b)


Mapped: TypeAlias = tuple[list[Index], Value | None]
Map: TypeAlias = Callable[[Indexer, Attrs, Shape, list[Index]], Mapped]


def _broadcast(_: Indexer, attrs: Attrs, shape: Shape, index: list[Index]) -> Mapped:
    axes = zip(attrs["axes"], shape, strict=True)
    return [ZERO if dim == 1 else index[axis] for axis, dim in axes], None


def _transpose(_: Indexer, attrs: Attrs, shape: Shape, index: list[Index]) -> Mapped:
    result = [ZERO] * len(shape)
    for axis, source in enumerate(attrs["permutation"]):
        result[source] = index[axis]
    return result, None


def _slice(x: Indexer, attrs: Attrs, _: Shape, index: list[Index]) -> Mapped:
    how = zip(index, attrs["starts"], attrs["steps"], strict=True)
    return [
        i if (start, step) == (0, 1) else x.affine(i, step, i64(start)) for i, start, step in how
    ], None


def _reverse(x: Indexer, attrs: Attrs, shape: Shape, index: list[Index]) -> Mapped:
    last = [x.e.sub(x.e.dim(dim), i64(1)) for dim in shape]
    return [
        x.affine(i, -1, last[axis]) if axis in attrs["axes"] else i for axis, i in enumerate(index)
    ], None


def _pad(x: Indexer, attrs: Attrs, shape: Shape, index: list[Index]) -> Mapped:
    mask: Value | None = None
    result = []
    for axis, (dim, at) in enumerate(zip(shape, index, strict=True)):
        low, high, gap = (attrs[name][axis] for name in ("low", "high", "interior"))
        place = at
        if low or high or gap:
            place = x.affine(at, 1, i64(-low))
            if gap:
                # Divided as unsigned: what is below 0 becomes too large.
                place, between = x.divide(place, gap + 1)
                mask = x.both(mask, x.is_zero(between))
            mask = x.both(mask, x.below(place, dim))
        result.append(place)
    return result, mask


def _windows(x: Indexer, attrs: Attrs, shape: Shape, index: list[Index]) -> Mapped:
    axis, rank = attrs["axis"], len(attrs["sizes"])
    inner = []
    for at, (stride, dilation) in enumerate(zip(attrs["strides"], attrs["dilations"], strict=True)):
        first = x.affine(index[axis + at], stride, i64(0))
        inner.append(x.plus(first, x.affine(index[axis + rank + at], dilation, i64(0))))
    return [*index[:axis], *inner, *index[axis + 2 * rank :]], None


# Op -> the operand's index (all axes) and mask, from attributes, its shape and the result's index.
MAPS: dict[str, Map] = {
    "broadcast": _broadcast,
    "transpose": _transpose,
    "slice": _slice,
    "reverse": _reverse,
    "pad": _pad,
    "windows": _windows,
}


def fold_terms(
    x: Indexer, attrs: Attrs, shape: Shape, index: list[Index], term: Sequence[Value]
) -> Mapped:
    """Where fold's operand, of this shape, has the term of a number (one an axis) for its result.

    Without dilation, every stride-th element of a window from the place's remainder on can hold
    it; otherwise each element may.
    """
    axis, sizes = attrs["axis"], attrs["sizes"]
    rank = len(sizes)
    mask: Value | None = None
    windows, elements = [], []
    for at, number in enumerate(term):
        stride, dilation = attrs["strides"][at], attrs["dilations"][at]
        place = index[axis + at]
        if dilation == 1:
            quotient, remainder = x.divide(place, stride)
            element = x.affine(remainder, 1, x.e.mul(number, stride))
            window = x.affine(quotient, 1, x.e.sub(i64(0), number))
            mask = x.both(mask, x.below(element, sizes[at]))
        else:
            element = Index(number)
            start = x.affine(place, 1, x.e.sub(i64(0), x.e.mul(number, dilation)))
            window, between = x.divide(start, stride)
            mask = x.both(mask, x.is_zero(between))
        mask = x.both(mask, x.below(window, shape[axis + at]))
        windows.append(window)
        elements.append(element)
    return [*index[:axis], *windows, *elements, *index[axis + rank :]], mask


def fold_counts(attrs: Attrs) -> list[int]:
    """How many terms `fold_terms` has along each axis."""
    how = zip(attrs["sizes"], attrs["strides"], attrs["dilations"], strict=True)
    return [-(-size // stride) if dilation == 1 else size for size, stride, dilation in how]
