"""Strips: kernels that go through the batch a few rows at a time, all of them before the next rows.

Kernels one after the other write and read arrays of a whole batch, which leave the caches before
they are read again. Where each row of a result follows from that row of the operands alone, as in
the layers of a net for images, forward and backward, the kernels can be strip-mined together: a
thread takes a few rows through all of them, then the next ones (depth-first execution; Wolfe,
"High Performance Compilers for Parallel Computing", on strip mining). What only kernels of the
strip read takes memory for these rows alone, one piece for each thread, and there is no barrier.

Sums over the batch end a strip, and so do products whose matrix would be read for too few rows. A
convolution kernel's gradient in parts is summed strip by strip, each part by one thread: the order
of its terms does not depend on the number of threads.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass

import networkx as nx

from graphc.ir.graph import Graph, Node
from graphc.ir.ops import CONTRACTIONS, KERNELS
from graphc.ir.place import reading_kernels, row_bytes
from graphc.ir.types import BATCH, Dim, Size

from .legalize import PARTS
from .locality import follows_rows, viewed

# Bytes of what the largest kernel of a strip reads and writes: about half of a core's own cache.
STRIP_BYTES = 512 * 1024
MOST_ROWS = 16
# Bytes a row that a strip's kernels must read of each other's results to make it worth while.
LEAST_BYTES = 32 * 1024
# A matrix with more elements is multiplied by at least so many rows of an operand for each row of
# the batch, as each strip reads (and packs) it anew.
SMALL_MATRIX, LEAST_PLACES = 4096, 64


@dataclass(frozen=True)
class Strip:
    """Kernels that go through the batch together, so many rows at a time."""

    number: int
    rows: int


def is_partial(kernel: Node) -> bool:
    """Whether a kernel is a convolution kernel's gradient in parts, and nothing else."""
    if kernel.op != "fused" or kernel.attrs["kind"] != "contraction":
        return False
    body: Graph = kernel.attrs["body"]
    (node, *others) = (n for n in body.nodes() if n.op != "input")
    return not others and node.op == "conv_kernel_grad" and node.attrs["parts"] == PARTS


def find_strips(graph: Graph, order: nx.DiGraph) -> tuple[dict[Node, int], dict[Node, Strip]]:
    """Stages, and the strip of each kernel that has one: those of a stage with an odd number.

    Args:
        graph: fused.
        order: which kernels come before which others.
    """
    results = set(graph.outputs.values())
    able = {kernel for kernel in order if _goes_row_by_row(graph, kernel, results)}
    while True:
        stage = _stages(order, able)
        kernels = defaultdict(set)
        for kernel in able:
            kernels[stage[kernel]].add(kernel)
        idle = [group for group in kernels.values() if _read_within(graph, group) < LEAST_BYTES]
        if not idle:
            break
        able = able.difference(*idle)
    strips = {at: Strip(at, _rows(graph, group)) for at, group in kernels.items()}
    return stage, {kernel: strips[stage[kernel]] for kernel in able}


def _stages(order: nx.DiGraph, able: Collection[Node]) -> dict[Node, int]:
    """The first stage that each kernel can be in: an odd one where it goes row by row."""
    stage: dict[Node, int] = {}
    for kernel in nx.topological_sort(order):
        first = max((stage[before] for before in order.predecessors(kernel)), default=0)
        stage[kernel] = first + (first % 2 != (kernel in able))
    return stage


def _goes_row_by_row(graph: Graph, kernel: Node, results: set[Node]) -> bool:
    """Whether a row of the results follows from that row of the operands, for any few rows."""
    if kernel.op != "fused" or kernel.attrs["kind"] == "scatter":
        return False
    operands = (viewed(graph, operand) for operand in graph.operands(kernel))
    arguments = [n for n in (*operands, *graph.users(kernel)) if n.op == "input" or n in results]
    if any(map(_has_several_rows, arguments)):
        return False
    body: Graph = kernel.attrs["body"]
    streamed = {inner for inner in body.inputs() if row_bytes(inner)}
    if is_partial(kernel):
        return len(streamed) == len(body.inputs())
    firsts = {node.tensor.shape[:1] for node in (*streamed, *body.outputs.values())}
    if len(firsts) != 1 or not all(row_bytes(node) for node in body.outputs.values()):
        return False
    ((dim,),) = firsts
    return all(_fits(body, node, dim) for node in body.nodes()) and follows_rows(
        body, streamed, dim
    )


def _has_several_rows(argument: Node) -> bool:
    """Whether an argument of the program has several rows for each of the batch."""
    first = argument.tensor.shape[:1]
    return any(isinstance(dim, Size) and BATCH in dim.symbols and dim.factor != 1 for dim in first)


def _fits(body: Graph, node: Node, dim: Dim) -> bool:
    """Whether a node depends on the batch in no other way than by having a row for each of it."""
    shape = node.tensor.shape
    if shape[:1] == (dim,):
        shape = shape[1:]
    along_batch = node.op == "iota" and node.attrs["axis"] == 0 and len(shape) < node.tensor.rank
    if along_batch or any(isinstance(d, Size) and BATCH in d.symbols for d in shape):
        return False
    if node.op in CONTRACTIONS:
        return _is_worth_reading(node, body.operands(node)[1])
    return node.op != "size"


def _is_worth_reading(product: Node, matrix: Node) -> bool:
    """Whether a product has enough rows for its matrix, or one for each row of the batch."""
    size, rows = matrix.tensor.elements, 1
    for dim in product.tensor.shape[:-1]:
        rows *= dim.factor if isinstance(dim, Size) else dim
    return isinstance(size, Size) or size <= SMALL_MATRIX or rows >= LEAST_PLACES


def is_within(graph: Graph, item: Node, kernels: set[Node], results: set[Node]) -> bool:
    """Whether nothing but these kernels reads one's value: then a strip's rows of it are enough."""
    if not row_bytes(item) or _is_result(graph, item, results):
        return False
    return kernels.issuperset(reading_kernels(graph, item))


def _is_result(graph: Graph, node: Node, results: set[Node]) -> bool:
    views = (user for user in graph.users(node) if user.op not in KERNELS)
    return node in results or any(_is_result(graph, view, results) for view in views)


def _read_within(graph: Graph, kernels: set[Node]) -> int:
    """Bytes a row of values that one of these kernels makes and another one reads."""
    items = {item for kernel in kernels for item in graph.users(kernel)}
    return sum(
        row_bytes(item) for item in items if not kernels.isdisjoint(reading_kernels(graph, item))
    )


def _rows(graph: Graph, kernels: Collection[Node]) -> int:
    """How many rows keep the largest kernel's operands and results in cache."""
    most = max(
        sum(map(row_bytes, (*graph.operands(kernel), *graph.users(kernel)))) for kernel in kernels
    )
    return min(max(STRIP_BYTES // most, 1), MOST_ROWS)
