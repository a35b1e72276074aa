"""Evaluation of a kernel's body at one vector of elements of its domain."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from llvmlite import ir

from graphc.ir.graph import Graph, Node
from graphc.ir.place import row_bytes
from graphc.ir.types import Dim, Shape, product

from .builder import I1, I32, I64, SCALARS, Emitter, i64, memory_type, splat, zeros
from .elementwise import LOWERINGS, Unsupported, philox_uniform
from .indexing import ALL, MAPS, NONE, Index, Indexer, expand, fold_counts, fold_terms, squeeze

# Terms of a sum that are written out rather than looped over.
MOST_UNROLLED = 16

Value: TypeAlias = ir.Value


def squeezed(node: Node) -> Shape:
    """A node's shape without sizes of 1: the axes that indices are given for."""
    return tuple(dim for dim in node.tensor.shape if dim != 1)


def _positions(shape: Shape) -> dict[int, int]:
    """Axis -> its position among the axes that are not of size 1."""
    kept = [axis for axis, dim in enumerate(shape) if dim != 1]
    return {axis: at for at, axis in enumerate(kept)}


@dataclass(frozen=True)
class Access:
    """A leaf of the body and which of the reader's axes each of its axes follows."""

    leaf: Node
    axes: tuple[int, ...]


class Body:
    """A kernel's body with its memory.

    Args:
        graph: the body.
        pointers: an address for each input and, by name, for each output.
    """

    def __init__(
        self, graph: Graph, pointers: dict[Node, Value], results: dict[str, Value]
    ) -> None:
        self.graph = graph
        self.pointers = pointers
        self.results = results
        self.operands = {node: graph.operands(node) for node in graph.nx}
        self.nodes = graph.nodes()

    def access(self, node: Node, axes: Sequence[int] | None = None) -> Access:
        """What a node reads once broadcasts, transposes and unit reshapes are index maps."""
        axes = tuple(range(len(squeezed(node)))) if axes is None else tuple(axes)
        if node.op in ("broadcast", "transpose", "reshape"):
            (operand,) = self.operands[node]
            inner, outer = operand.tensor.shape, _positions(node.tensor.shape)
            if node.op == "reshape":
                return self.access(operand, axes)
            taken: Sequence[int] = (
                node.attrs["axes"]
                if node.op == "broadcast"
                else _inverse(node.attrs["permutation"])
            )
            kept = [axes[outer[taken[a]]] for a, dim in enumerate(inner) if dim != 1]
            return self.access(operand, kept)
        return Access(node, axes)


def _inverse(permutation: object) -> list[int]:
    assert isinstance(permutation, tuple)
    return sorted(range(len(permutation)), key=permutation.__getitem__)


class Point:
    """The values of body nodes at `lanes` consecutive elements of a space's last axis.

    Args:
        index: an index for each axis of the space that is not of size 1; a plain value (i64) is
            that of the first lane.
        valid: how many lanes are in memory; None for a space without a vector axis, where every
            lane holds the same element.
        known: nodes whose values are at hand: a tile of the product, results of reductions.
        flat: the index is the linear one of the domain, whatever the rank of its arrays.
        mask: the lanes (or whether all) that are of use; others read nothing.
    """

    def __init__(
        self,
        emitter: Emitter,
        body: Body,
        index: Sequence[Value | Index],
        valid: int | None,
        known: dict[Node, Value] | None = None,
        flat: bool = False,
        mask: Value | None = None,
    ) -> None:
        self.e = emitter
        self.flat = flat
        self.body = body
        last = len(index) - 1 if valid is not None else None
        self.index = [
            i if isinstance(i, Index) else Index(i, int(axis == last))
            for axis, i in enumerate(index)
        ]
        self.valid = valid
        self.mask = mask
        self.values: dict[Node, Value] = dict(known or {})
        self.indexer = Indexer(emitter)

    @property
    def lanes(self) -> int:
        return self.e.target.lanes

    def value(self, node: Node) -> Value:
        """The vector of a node's elements here."""
        if node not in self.values:
            for operand in _pending(self, node):
                self.values[operand] = self._compute(operand)
        return self.values[node]

    def _compute(self, node: Node) -> Value:
        operands = self.body.operands[node]
        if node.op in LOWERINGS:
            attrs = node.attrs
            if operands[-1].tensor.dtype.startswith("u"):
                attrs = {**attrs, "unsigned": True}
            return LOWERINGS[node.op](self.e, attrs, *(self.values[o] for o in operands))
        own = self.index[: len(squeezed(node))]
        if node.op == "input":
            return self._load(node, self.body.pointers[node], own)
        if (same := seen_through(node, operands)) is not None:
            return self._read(same, own)
        if node.op in MAPS:
            return self._mapped(node, own)
        if node.op in _LEAVES:
            return _LEAVES[node.op](self, node, own)
        raise Unsupported(f"%{node.name}: {node.op} cannot be computed in this kernel")

    def _read(self, node: Node, index: Sequence[Index], mask: Value | None = None) -> Value:
        """A node's value at another index; here, where the index is the same."""
        here = len(index) <= len(self.index)
        here &= all(a is b for a, b in zip(index, self.index, strict=False))
        if here and mask is None:
            return self.value(node)
        mask = self.indexer.both(self.mask, mask)
        return Point(self.e, self.body, index, self.valid, mask=mask).value(node)

    def _mapped(self, node: Node, index: Sequence[Index]) -> Value:
        """The operand's element where an index map puts it."""
        (operand,) = self.body.operands[node]
        shape = operand.tensor.shape
        if self.flat:  # a scalar, or an array of the domain's own shape
            return self._read(operand, self.index if squeezed(operand) else [])
        full = expand(index, node.tensor.shape)
        place, mask = MAPS[node.op](self.indexer, node.attrs, shape, full)
        if mask is None or mask is ALL:
            return self._read(operand, squeeze(place, shape))
        filling = splat(node.attrs["value"], SCALARS[node.tensor.dtype], self.lanes)
        if mask is NONE:
            return filling
        value = self._read(operand, squeeze(place, shape), mask)
        return self.e.ir.select(mask, value, filling)

    def _zero(self, node: Node) -> Value:
        return zeros(SCALARS[node.tensor.dtype], self.lanes)

    # Leaves, and ops that read several places.

    def _constant(self, node: Node, index: Sequence[Index]) -> Value:
        value, scalar = node.attrs["value"], SCALARS[node.tensor.dtype]
        if node.tensor.rank == 0 or node.tensor.elements == 1:
            number = getattr(value, "item", lambda: value)()
            return splat(number, scalar, self.lanes)
        return self._load(node, _constant_table(self.e, node), index)

    def _size(self, node: Node, _: Sequence[Index]) -> Value:
        size = self.e.spread(self.e.dim(node.attrs["dim"]), self.lanes)
        return LOWERINGS["cast"](self.e, {"dtype": node.tensor.dtype}, size)

    def _iota(self, node: Node, index: Sequence[Index]) -> Value:
        along = expand(index, node.tensor.shape)[node.attrs["axis"]]
        return self.e.ir.trunc(self.indexer.lanes(along), ir.VectorType(I32, self.lanes))

    def _random(self, node: Node, index: Sequence[Index]) -> Value:
        seed, step = (
            self.e.ir.extract_element(self._read(o, []), ir.Constant(I32, 0))
            for o in self.body.operands[node]
        )
        element = self._linear(squeezed(node), index)
        if self.e.first_row is not None and row_bytes(node):
            before = self.e.mul(self.e.first_row, row_bytes(node) // node.tensor.itemsize)
            element = self.e.ir.add(element, self.e.spread(before, self.lanes))
        return philox_uniform(self.e, seed, node.attrs["stream"], step, element)

    def _gather(self, node: Node, index: Sequence[Index]) -> Value:
        """Rows of data: the row's number is the first axis's index."""
        data, numbers = self.body.operands[node]
        full = expand(index, node.tensor.shape)
        rank = numbers.tensor.rank
        place = squeeze(full[:rank], numbers.tensor.shape)
        number = self._read(numbers, place)
        wide = ir.VectorType(I64, self.lanes)
        if number.type != wide:
            number = self.e.ir.sext(number, wide)
        if all(not i.step and i.lanes is None for i in place):
            row = Index(self.e.ir.extract_element(number, ir.Constant(I32, 0)))
        else:
            row = Index(i64(0), 0, number)
        mask = self.indexer.below(row, data.tensor.shape[0])
        value = self._read(data, squeeze([row, *full[rank:]], data.tensor.shape), mask)
        return self.e.ir.select(mask, value, self._zero(node))

    def _concat(self, node: Node, index: Sequence[Index]) -> Value:
        """The one operand's element that is here."""
        axis, full = node.attrs["axis"], expand(index, node.tensor.shape)
        result: Value | None = None
        before: Value = i64(0)
        for operand in self.body.operands[node]:
            shape = operand.tensor.shape
            place = self.indexer.affine(full[axis], 1, self.e.sub(i64(0), before))
            mask = self.indexer.below(place, shape[axis])
            at = squeeze([*full[:axis], place, *full[axis + 1 :]], shape)
            before = self.e.add(before, self.e.dim(shape[axis]))
            if mask is ALL:
                return self._read(operand, at)
            if mask is not NONE:
                value = self._read(operand, at, mask)
                result = value if result is None else self.e.ir.select(mask, value, result)
        return result

    def _fold(self, node: Node, index: Sequence[Index]) -> Value:
        """The sum of the terms: one after the other when few, else in a loop."""
        (operand,) = self.body.operands[node]
        full = expand(index, node.tensor.shape)
        shape, counts = operand.tensor.shape, fold_counts(node.attrs)

        def added(total: Value, term: Sequence[Value]) -> Value:
            place, mask = fold_terms(self.indexer, node.attrs, shape, full, term)
            value = self._read(operand, squeeze(place, shape), mask)
            kept = self.e.ir.select(mask, value, self._zero(node))
            return LOWERINGS["add"](self.e, {}, total, kept)

        total: Value = self._zero(node)
        if math.prod(counts) <= MOST_UNROLLED:
            for term in itertools.product(*(range(count) for count in counts)):
                total = added(total, [i64(number) for number in term])
            return total
        with self.e.loop(i64(0), i64(math.prod(counts)), 1, [total]) as (number, (so_far,), carry):
            carry([added(so_far, unravel(self.e, number, counts))])
        return self.e.carried[0]

    # Memory.

    def _offset(self, shape: Shape, index: Sequence[Index]) -> tuple[Value, Dim, Value | None]:
        """The element offset of a row-major array (squeezed) here: base, step by lane, lanes."""
        if self.flat and shape:
            return self.index[0].base, 1, None
        base: Value = i64(0)
        step: Dim = 0
        lanes: Value | None = None
        for at, along in enumerate(index):
            stride = product(shape[at + 1 :])
            if along.lanes is not None:
                wide = self.e.spread(self.e.dim(stride), self.lanes)
                term = self.e.ir.mul(along.lanes, wide)
                lanes = term if lanes is None else self.e.ir.add(lanes, term)
                continue
            base = self.e.add(base, self.e.mul(along.base, self.e.dim(stride)))
            if along.step and self.valid is not None:
                step = stride * along.step
        return base, step, lanes

    def _linear(self, shape: Shape, index: Sequence[Index]) -> Value:
        """The element offset in every lane."""
        base, step, lanes = self._offset(shape, index)
        total = self.e.spread(base, self.lanes)
        if step != 0:
            numbers = self.indexer.lanes(Index(i64(0), 1))
            wide = self.e.spread(self.e.dim(step), self.lanes)
            total = self.e.ir.add(total, self.e.ir.mul(numbers, wide))
        return total if lanes is None else self.e.ir.add(total, lanes)

    def _load(self, node: Node, pointer: Value, index: Sequence[Index]) -> Value:
        dtype = node.tensor.dtype
        base, step, lanes = self._offset(squeezed(node), index)
        by_lane = self.mask is not None and self.mask.type != I1
        if self.mask is not None and not by_lane:
            base = self.e.ir.select(self.mask, base, i64(0))
        same = step == 0 and lanes is None
        if same and not by_lane:
            scalar = self.e.load_scalar(self.e.address(pointer, dtype, base), dtype)
            return self.e.spread(scalar, self.lanes)
        if step == 1 and lanes is None:
            address = self.e.address(pointer, dtype, base)
            if not by_lane:
                return self.e.load(address, dtype, self.valid or 0)
            if self.e.maskable(dtype):
                return self.e.load_masked(address, dtype, self._inside())
        return self._lane_by_lane(pointer, dtype, self._linear(squeezed(node), index), same)

    def _inside(self) -> Value:
        """The mask by lane, without the lanes that are not in memory."""
        lanes = self.lanes
        bits = [int(lane < (lanes if self.valid is None else self.valid)) for lane in range(lanes)]
        return self.e.ir.and_(self.mask, ir.Constant(ir.VectorType(I1, lanes), bits))

    def _lane_by_lane(self, pointer: Value, dtype: str, offsets: Value, same: bool) -> Value:
        """A vector whose lanes stand anywhere in memory."""
        e = self.e
        if self.mask is not None:
            wide = self.mask
            if wide.type == I1:
                wide = e.spread(wide, self.lanes)
            offsets = e.ir.select(wide, offsets, zeros(I64, self.lanes))
        value: Value = zeros(SCALARS[dtype], self.lanes)
        for lane in range(self.lanes if self.valid is None or same else self.valid):
            at = ir.Constant(I32, lane)
            offset = e.ir.extract_element(offsets, at)
            element = e.load_scalar(e.address(pointer, dtype, offset), dtype)
            value = e.ir.insert_element(value, element, at)
        return value

    def store_all(self, outputs: Iterable[tuple[Node, Value]]) -> None:
        """Writes the elements here of several nodes, each to its array.

        All are computed first: one node's array may be what another node reads.
        """
        outputs = list(outputs)
        for node, _ in outputs:
            self.value(node)
        for node, pointer in outputs:
            self.store(node, pointer)

    def store(self, node: Node, pointer: Value) -> None:
        """Writes the node's elements here to a row-major array of its shape."""
        shape, dtype = squeezed(node), node.tensor.dtype
        value = self.value(node)
        base, step, _ = self._offset(shape, self.index[: len(shape)])
        address = self.e.address(pointer, dtype, base)
        self.e.store(value, address, dtype, (self.valid or 0) if step == 1 else 1)


_LEAVES: dict[str, Callable[[Point, Node, Sequence[Index]], Value]] = {
    "const": Point._constant,
    "size": Point._size,
    "iota": Point._iota,
    "random_uniform": Point._random,
    "gather": Point._gather,
    "concat": Point._concat,
    "fold": Point._fold,
}


def unravel(e: Emitter, index: Value, dims: Sequence[Dim | Value]) -> list[Value]:
    """The index of each axis, from a linear row-major index."""
    indices: list[Value] = []
    for dim in reversed(dims[1:]):
        size = e.dim(dim)
        indices.insert(0, e.rem(index, size))
        index = e.div(index, size)
    return [index, *indices] if dims else []


@contextmanager
def counting(
    e: Emitter, low: Value, high: Value, dims: Sequence[Dim | Value]
) -> Iterator[tuple[Value, list[Value]]]:
    """A loop over linear indices [low, high), each with the index of each axis.

    Counts like an odometer: after the first index there is no division.
    """
    with e.loop(low, high, 1, unravel(e, low, dims)) as (at, indices, carry):
        yield at, indices
        following: list[Value] = []
        step: Value = i64(1)
        for axis in range(len(dims) - 1, -1, -1):
            up = e.add(indices[axis], step)
            if axis:
                over = e.ir.icmp_signed("==", up, e.dim(dims[axis]))
                up = e.ir.select(over, i64(0), up)
                step = e.ir.zext(over, step.type)
            following.insert(0, up)
        carry(following)


def seen_through(node: Node, operands: Sequence[Node]) -> Node | None:
    """The operand, where a node is only another shape of it."""
    return operands[0] if node.op == "reshape" else None


def _pending(point: Point, node: Node) -> list[Node]:
    """The nodes to compute for a node's value, in order; without recursion, for deep bodies."""
    operands = point.body.operands
    order: dict[Node, None] = {}
    stack = [(node, False)]
    while stack:
        at, expanded = stack.pop()
        if at in point.values or at in order:
            continue
        if expanded:
            order[at] = None
            continue
        stack.append((at, True))
        if at.op in LOWERINGS:
            stack.extend((o, False) for o in operands[at])
        elif at.op == "reshape" or (at.op == "broadcast" and _leading(at)):
            stack.extend((o, False) for o in operands[at] if o.op in LOWERINGS)
    return list(order)


def _leading(broadcast: Node) -> bool:
    """Whether the operand's axes are the first ones of the result."""
    axes: tuple[int, ...] = broadcast.attrs["axes"]
    return axes == tuple(range(len(axes)))


def _constant_table(e: Emitter, leaf: Node) -> Value:
    """A constant array in the module's read-only data."""
    array = np.asarray(leaf.attrs["value"])
    if array.dtype == np.bool_:
        array = array.view(np.uint8)
    type_ = ir.ArrayType(memory_type(leaf.tensor.dtype), array.size)
    module = e.function.module
    name = module.get_unique_name(f"constant_{leaf.name}")
    table = ir.GlobalVariable(module, type_, name)
    table.global_constant = True
    table.linkage = "internal"
    table.initializer = ir.Constant(type_, array.ravel().tolist())
    return table
