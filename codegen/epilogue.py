"""Epilogues: the elementwise work on a contraction's sums, and the stores."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from llvmlite import ir

from graphc.ir.graph import Node

from .builder import Emitter, i64
from .elementwise import LOWERINGS
from .values import Body, Point, unravel

Value: TypeAlias = ir.Value


class Epilogue:
    """What is done with the elements of a contraction, a vector of a row at a time."""

    def __init__(self, e: Emitter, body: Body, node: Node) -> None:
        self.e, self.body, self.node = e, body, node
        self.shape = node.tensor.shape
        self.linear = _reads_by_row(body, node)

    def outer(self, row: Value) -> list[Value]:
        """The index of each axis but the last one, from a row's number.

        Without a division where it does not matter which axis counts the rows.
        """
        if not self.linear:
            return unravel(self.e, row, self.shape[:-1])
        index: list[Value] = [i64(0)] * (len(self.shape) - 1)
        long = [axis for axis, dim in enumerate(self.shape[:-1]) if dim != 1]
        if long:
            index[long[-1]] = row
        return index

    def finish(self, outer: Sequence[Value], column: Value, sums: Value, valid: int) -> None:
        """Works on a vector of sums whose first `valid` lanes are elements, and stores results."""
        index = [*outer, column]
        kept = [i for i, dim in zip(index, self.shape, strict=True) if dim != 1]
        # Without an axis of lanes there is one column.
        lanes = valid if self.shape[-1] != 1 else None
        point = Point(self.e, self.body, kept, lanes, {self.node: sums})
        outputs = self.body.graph.outputs.items()
        point.store_all((node, self.body.results[name]) for name, node in outputs)


def matrices_beside(body: Body, node: Node) -> list[Node]:
    """The epilogue's inputs that it reads where it writes C."""
    inputs = body.graph.inputs()
    return [n for n in inputs if n.tensor == node.tensor and n not in body.operands[node]]


def _reads_by_row(body: Body, node: Node) -> bool:
    """Whether all that is read stands where C is written, or depends on the column alone."""
    shape = node.tensor.shape
    for inner in body.nodes:
        if inner is node or inner in body.operands[node]:
            continue
        if inner.op == "broadcast":
            if inner.attrs["axes"] not in ((), (len(shape) - 1,)):
                return False
        elif inner.op not in LOWERINGS and inner.op not in ("input", "const", "size"):
            return False
    return True
