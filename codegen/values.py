"""Evaluation of a kernel's body at one vector of elements of its domain."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from llvmlite import ir

from graphc.ir.graph import Graph, Node
from graphc.ir.types import Shape, product

from .builder import I32, I64, SCALARS, Emitter, memory_type, splat, zeros
from .elementwise import LOWERINGS, Unsupported, philox_uniform

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
        index: an index (i64) for each axis of the space; the last is that of the first lane.
        valid: how many lanes are in memory; None for a space without a vector axis, where every
            lane holds the same element.
        known: nodes whose values are at hand: a tile of the product, results of reductions.
        flat: the index is the linear one of the domain, whatever the rank of its arrays.
    """

    def __init__(
        self,
        emitter: Emitter,
        body: Body,
        index: Sequence[Value],
        valid: int | None,
        known: dict[Node, Value] | None = None,
        flat: bool = False,
    ) -> None:
        self.e = emitter
        self.flat = flat
        self.body = body
        self.index = list(index)
        self.valid = valid
        self.values: dict[Node, Value] = dict(known or {})

    @property
    def lanes(self) -> int:
        return self.e.target.lanes

    def value(self, node: Node) -> Value:
        """The vector of a node's elements here."""
        if node not in self.values:
            for operand in _pending(self.body, node, self.values):
                self.values[operand] = self._compute(operand)
        return self.values[node]

    def _compute(self, node: Node) -> Value:
        if node.op in LOWERINGS:
            operands = [self.values[o] for o in self.body.operands[node]]
            attrs = node.attrs
            if self.body.operands[node][-1].tensor.dtype.startswith("u"):
                attrs = {**attrs, "unsigned": True}
            return LOWERINGS[node.op](self.e, attrs, *operands)
        access = self.body.access(node)
        leaf, axes = access.leaf, access.axes
        # A value at hand is that of the point's own place, not of a transposed one.
        if leaf in self.values and axes == tuple(range(len(axes))):
            return self.values[leaf]
        if leaf.op == "input":
            return self._load(leaf, self.body.pointers[leaf], axes)
        if leaf.op == "const":
            return self._constant(leaf, axes)
        if leaf.op == "size":
            size = self.e.spread(self.e.dim(leaf.attrs["dim"]), self.lanes)
            return LOWERINGS["cast"](self.e, {"dtype": leaf.tensor.dtype}, size)
        if leaf.op == "iota":
            position = _positions(leaf.tensor.shape).get(leaf.attrs["axis"])
            if position is None:  # an axis of size 1
                return splat(0, I32, self.lanes)
            lanes = self._lane_indices(axes[position])
            return self.e.ir.trunc(lanes, ir.VectorType(I32, self.lanes))
        if leaf.op == "random_uniform":
            return self._random(leaf, axes)
        if leaf.op == "gather":
            return self._gather(leaf, axes)
        if LOWERINGS.get(leaf.op) is not None:  # seen through a broadcast or a unit reshape
            return self.value(leaf)
        raise Unsupported(f"%{leaf.name}: {leaf.op} cannot be computed in this kernel")

    def _constant(self, leaf: Node, axes: tuple[int, ...]) -> Value:
        value, scalar = leaf.attrs["value"], SCALARS[leaf.tensor.dtype]
        if leaf.tensor.rank == 0 or leaf.tensor.elements == 1:
            number = getattr(value, "item", lambda: value)()
            return splat(number, scalar, self.lanes)
        table = _constant_table(self.e, leaf)
        return self._load(leaf, table, axes)

    def offset(self, shape: Shape, axes: Sequence[int]) -> tuple[Value, int | None]:
        """The element offset of a row-major array at this point, and the axis of the lanes."""
        if self.flat and axes:
            return self.index[0], len(shape) - 1
        total: Value = ir.Constant(I64, 0)
        vector_axis = None
        for at, axis in enumerate(axes):
            stride = product(shape[at + 1 :])
            total = self.e.add(total, self.e.mul(self.e.dim(stride), self.index[axis]))
            if self.valid is not None and axis == len(self.index) - 1:
                vector_axis = at
        return total, vector_axis

    def _load(self, leaf: Node, pointer: Value, axes: Sequence[int]) -> Value:
        shape, dtype = squeezed(leaf), leaf.tensor.dtype
        offset, vector_axis = self.offset(shape, axes)
        address = self.e.address(pointer, dtype, offset)
        if vector_axis is None:
            return self.e.spread(self.e.load_scalar(address, dtype), self.lanes)
        stride = product(shape[vector_axis + 1 :])
        if stride == 1:
            return self.e.load(address, dtype, self.valid or 0)
        step = self.e.dim(stride)
        return self._lane_by_lane(
            dtype, lambda lane: self.e.address(address, dtype, self.e.mul(step, lane))
        )

    def _lane_by_lane(self, dtype: str, address: object) -> Value:
        """A vector whose lanes stand apart in memory."""
        value: Value = zeros(SCALARS[dtype], self.lanes)
        for lane in range(self.valid or 0):
            element = self.e.load_scalar(address(ir.Constant(I64, lane)), dtype)  # type: ignore[operator]
            value = self.e.ir.insert_element(value, element, ir.Constant(I32, lane))
        return value

    def _lane_indices(self, axis: int) -> Value:
        first = self.e.spread(self.index[axis], self.lanes)
        if self.valid is None or axis != len(self.index) - 1:
            return first
        steps = ir.Constant(ir.VectorType(I64, self.lanes), list(range(self.lanes)))
        return self.e.ir.add(first, steps)

    def _random(self, leaf: Node, axes: Sequence[int]) -> Value:
        seed, step = (
            self.e.load_scalar(self.body.pointers[self.body.access(o).leaf], "i32")
            if self.body.access(o).leaf.op == "input"
            else self.e.ir.extract_element(self.value(o), ir.Constant(I32, 0))
            for o in self.body.operands[leaf]
        )
        offset, vector_axis = self.offset(squeezed(leaf), axes)
        index = self.e.spread(offset, self.lanes)
        if vector_axis is not None:
            stride = self.e.dim(product(squeezed(leaf)[vector_axis + 1 :]))
            steps = ir.Constant(ir.VectorType(I64, self.lanes), list(range(self.lanes)))
            index = self.e.ir.add(index, self.e.ir.mul(steps, self.e.spread(stride, self.lanes)))
        return philox_uniform(self.e, seed, leaf.attrs["stream"], step, index)

    def _gather(self, leaf: Node, axes: Sequence[int]) -> Value:
        """Rows of data: the index gives the first axis."""
        data, index = self.body.operands[leaf]
        pointer, index_pointer = self.body.pointers[data], self.body.pointers[index]
        row_shape = tuple(d for d in data.tensor.shape[1:] if d != 1)
        index_axes, row_axes = (
            axes[: len(axes) - len(row_shape)],
            axes[len(axes) - len(row_shape) :],
        )
        row_size = self.e.dim(product(row_shape))
        at, index_vector = self.offset(squeezed(index), index_axes)
        inner, row_vector = self.offset(row_shape, row_axes)
        dtype = data.tensor.dtype

        def row(lane: Value) -> Value:
            place = self.e.address(index_pointer, index.tensor.dtype, self.e.add(at, lane))
            number = self.e.load_scalar(place, index.tensor.dtype)
            if number.type != I64:
                number = self.e.ir.sext(number, I64)
            return self.e.address(pointer, dtype, self.e.add(self.e.mul(row_size, number), inner))

        zero = ir.Constant(I64, 0)
        if index_vector is not None:
            return self._lane_by_lane(dtype, row)
        if row_vector is None:
            return self.e.spread(self.e.load_scalar(row(zero), dtype), self.lanes)
        if row_vector != len(row_shape) - 1:
            raise Unsupported(f"%{leaf.name}: gather with its rows transposed")
        return self.e.load(row(zero), dtype, self.valid or 0)

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
        offset, vector_axis = self.offset(shape, range(len(shape)))
        address = self.e.address(pointer, dtype, offset)
        if vector_axis is None:
            self.e.store(value, address, dtype, 1)
        else:
            self.e.store(value, address, dtype, self.valid or 0)


def _pending(body: Body, node: Node, known: dict[Node, Value]) -> list[Node]:
    """The nodes to compute for a node's value, in order; without recursion, for deep bodies."""
    order: dict[Node, None] = {}
    stack = [(node, False)]
    while stack:
        at, expanded = stack.pop()
        if at in known or at in order:
            continue
        if expanded:
            order[at] = None
            continue
        stack.append((at, True))
        leaf = body.access(at).leaf
        if at.op in LOWERINGS:
            stack.extend((o, False) for o in body.operands[at])
        elif leaf is not at and leaf.op in LOWERINGS:
            stack.append((leaf, False))
    return list(order)


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
