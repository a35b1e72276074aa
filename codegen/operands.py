"""How a contraction walks its operands: matrices, and images seen as matrices.

C[m, n] = sum over k of A[m, k] B[k, n]. B is a matrix in memory. A's element stands at
row_offset[m] + segment_offset[k // depth] + k % depth * stride: for a matrix the row offset is
m times a stride and there is one segment; a convolution's rows are the places of its windows, its
segments the rows of a window, which are contiguous in memory; the gradient of its kernel has both
the other way around. Nothing is copied ("im2col") for that.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from graphc.ir.graph import Node
from graphc.ir.types import Dim, Shape, product

from .elementwise import Unsupported

Loops = tuple[tuple[Dim, Dim], ...]  # (count, elements between) of nested loops, outermost first


@dataclass(frozen=True)
class View:
    """A as the contraction walks it.

    Attributes:
        rows, segments: the loops that make the row and the segment offsets.
        depth, stride: the elements of a segment, and how far they stand apart.
    """

    rows: Loops
    segments: Loops
    depth: Dim
    stride: Dim

    @property
    def is_matrix(self) -> bool:
        """Whether rows are evenly spaced, and K is one segment."""
        return len(self.rows) <= 1 and not self.segments

    @property
    def row_stride(self) -> Dim:
        return self.rows[0][1] if self.rows else 1


@dataclass(frozen=True)
class Product:
    """A contraction as so many matrix products.

    Attributes:
        count: how many products there are.
        m, n, k: their sizes.
        a: A's elements within one product.
        a_step, b_step: elements from one product's operand to the next one's.
        transpose_b: whether B is stored as [n, k].
        parts: the products share their operands, and each sums over a share of the batch.
    """

    count: Dim
    m: Dim
    n: int
    k: Dim
    a: View
    a_step: Dim
    b_step: Dim
    transpose_b: bool
    parts: bool = False


def product_of(node: Node, operands: Sequence[Node]) -> Product:
    """How to compute a contraction node.

    Raises:
        Unsupported: for dtypes and symbolic sizes that there is no code for.
    """
    if node.tensor.dtype != "f32":
        raise Unsupported(f"{node.op} is compiled for float32 only; got {node.tensor}")
    n = node.tensor.shape[-1]
    if not isinstance(n, int):
        raise Unsupported(f"{node.op}: the last axis of the result {node.tensor} must be fixed")
    a, b = (operand.tensor.shape for operand in operands)
    if node.op == "matmul":
        return _matmul(node, a, b, n)
    return _conv(node, a, b, n) if node.op == "conv" else _kernel_gradient(node, a, n)


def _matmul(node: Node, a: Shape, b: Shape, n: int) -> Product:
    (rows, columns), (b_rows, b_columns) = a[-2:], b[-2:]
    if node.attrs["transpose_a"]:
        m, k, view = columns, rows, View(((columns, 1),), (), rows, columns)
    else:
        m, k, view = rows, columns, View(((rows, columns),), (), columns, 1)
    transpose_b = bool(node.attrs["transpose_b"])
    if transpose_b and not isinstance(k, int):
        raise Unsupported(f"matmul: the last axis of {list(b)}, transposed, must be fixed")
    return Product(product(a[:-2]), m, n, k, view, rows * columns, b_rows * b_columns, transpose_b)


def _strides(shape: Shape) -> list[Dim]:
    """Elements between neighbours along each axis of a row-major array."""
    return [product(shape[axis + 1 :]) for axis in range(len(shape))]


def _conv(node: Node, x: Shape, kernel: Shape, n: int) -> Product:
    out = node.tensor.shape[:-1]
    strides = _strides(x)
    places = [strides[0], *_times(strides[1:-1], node.attrs["strides"])]
    taps = _times(strides[1:-1], node.attrs["dilations"])
    window = [*zip(kernel[:-2], taps, strict=True), (kernel[-2], 1)]
    rows, (*segments, (depth, stride)) = _merged([*zip(out, places, strict=True)]), _merged(window)
    m, k = product(out), product(kernel[:-1])
    return Product(1, m, n, k, View(rows, tuple(segments), depth, stride), 0, 0, False)


def _kernel_gradient(node: Node, x: Shape, n: int) -> Product:
    parts, *window = node.tensor.shape[:-1]
    strides = _strides(x)
    how = zip(x[1:-1], node.attrs["sizes"], node.attrs["strides"], node.attrs["dilations"],
              strict=True)  # fmt: skip
    out = [(dim - (size - 1) * gap - 1) // step + 1 for dim, size, step, gap in how]
    taps = [*_times(strides[1:-1], node.attrs["dilations"]), 1]
    places = _times(strides[1:-1], node.attrs["strides"])
    rows = _merged([*zip(window, taps, strict=True)])
    # The batch stays a loop of its own, so that parts can be told apart.
    inner = _merged([*zip(out, places, strict=True)])
    *segments, (depth, stride) = inner
    loops = ((x[0], strides[0]), *segments)
    m, k = product(window), product((x[0], *out))
    return Product(parts, m, n, k, View(rows, loops, depth, stride), 0, 0, False, parts=True)


def _times(strides: Sequence[Dim], factors: Sequence[int]) -> list[Dim]:
    return [stride * factor for stride, factor in zip(strides, factors, strict=True)]


def _merged(loops: Sequence[tuple[Dim, Dim]]) -> Loops:
    """Fewer loops over the same places in the same order; at least one."""
    result: list[tuple[Dim, Dim]] = []
    for count, stride in loops:
        if count == 1 and loops[-1] != (count, stride):
            continue
        if result and result[-1][1] == count * stride:
            result[-1] = (result[-1][0] * count, stride)
        else:
            result.append((count, stride))
    if len(result) > 1 and result[-1][0] == 1:
        result.pop()
    return tuple(result)
