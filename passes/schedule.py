"""Scheduling: kernels into phases; a barrier separates phases, and kernels of one run together.

State is updated in place: a kernel that writes the new value of a state input runs in a later
phase than all others that read the old one. Where that cannot be, because a reader of the old
value needs the new one first, the new value is made elsewhere and copied at the end.

Kernels that make values of the forward pass again (recompute.py) are held back until all else that
their first reader needs is there, so that these values take no memory before.

Kernels that go through the batch a few rows at a time (strips.py) say so, and loops in which each
thread can keep to its own rows (locality.py): these have no barriers.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

import networkx as nx

from graphc.ir.graph import Graph, Node
from graphc.ir.ops import KERNELS, OPS, REDUCTIONS
from graphc.ir.place import reading_kernels
from graphc.ir.types import Dim

from .legalize import squeeze
from .locality import owned_rows
from .strips import find_strips


def _kernel_of(graph: Graph, node: Node) -> Node:
    while node.op not in KERNELS:
        (node,) = graph.operands(node)
    return node


def _only_own_element(graph: Graph, kernel: Node, state: Node) -> bool:
    """Whether a kernel reads a state's elements only where it writes their new values."""
    if kernel.op == "scan":
        return False
    body = kernel.attrs["body"]
    assert isinstance(body, Graph)
    for operand, inner in zip(graph.operands(kernel), body.inputs(), strict=True):
        if operand is state:
            users = body.users(inner)
            if not all(
                OPS[u.op].elementwise and u.tensor.shape == state.tensor.shape for u in users
            ):
                return False
        elif operand.op == "reshape" and state in graph.nx.predecessors(operand):
            return False
    # A row's values are read again after the row's reductions, when some are already written.
    own = squeeze(state.tensor.shape)
    return not any(
        n.op in REDUCTIONS and squeeze(body.operands(n)[0].tensor.shape) == own for n in body.nx
    )


def _dependences(graph: Graph) -> tuple[nx.DiGraph, set[str]]:
    """The kernels' order, with in-place updates last, and the states to be copied instead."""
    order = nx.DiGraph()
    for kernel in (n for n in graph.nodes() if n.op in KERNELS):
        order.add_node(kernel)
        for item in graph.users(kernel):
            order.add_edges_from((kernel, reader) for reader in reading_kernels(graph, item))
    _hold_back(order)
    copied = set()
    for name, value in graph.outputs.items():
        if name not in graph or graph[name].op != "input":
            continue
        state, writer = graph[name], _kernel_of(graph, value)
        others = [r for r in reading_kernels(graph, state) if r is not writer]
        blocked = any(nx.has_path(order, writer, reader) for reader in others)
        if blocked or not _only_own_element(graph, writer, state):
            copied.add(name)
        else:
            order.add_edges_from((reader, writer) for reader in others)
    return order, copied


def _hold_back(order: nx.DiGraph) -> None:
    """Orders kernels that make values again behind what else their first reader reads.

    That has no cycle: what comes before the first reader depends on none of these values.
    """
    if not any("again" in kernel.attrs for kernel in order):
        return
    at: dict[Node, tuple[int, int]] = {}  # by generation: what a kernel reads has a lower one
    for number, kernels in enumerate(nx.topological_generations(order)):
        at |= {kernel: (number, kernel.index) for kernel in kernels}
    first: dict[Node, Node] = {}
    for kernel in sorted(at, key=at.__getitem__, reverse=True):
        if "again" in kernel.attrs:
            readers = (first.get(reader, reader) for reader in order.successors(kernel))
            first[kernel] = min(readers, key=at.__getitem__)
    held = [
        (source, kernel)
        for kernel, reader in first.items()
        for source in order.predecessors(reader)
        if "again" not in source.attrs
    ]
    order.add_edges_from(held)


def _with_copies(graph: Graph, names: set[str]) -> Graph:
    """A copy of the graph with these outputs going through a kernel that copies."""
    graph, _ = graph.copy()
    for name in sorted(names):
        value = graph.outputs[name]
        body = Graph(f"copy_{name}")
        inner = body.add("input", (), {"role": "data"}, type=value.tensor, name="x")
        body.outputs["y"] = body.add("copy", (inner,), type=value.tensor, name="y")
        kernel = graph.add(
            "fused", (value,), {"kind": "loop", "body": body}, type=(value.tensor,),
            scope=value.scope,
        )  # fmt: skip
        graph.outputs[name] = graph.add(
            "item", (kernel,), {"index": 0}, type=value.tensor, scope=value.scope
        )
    return graph


def schedule(graph: Graph) -> Graph:
    """The graph in the order it runs in, each kernel with its phase, and its strip if any."""
    return _schedule(graph, None, in_strips=True)


def _schedule(graph: Graph, owned: Dim | None, in_strips: bool) -> Graph:
    """The graph in order.

    Args:
        owned: for a loop's body, the dimension whose rows each thread has some of throughout.
        in_strips: whether kernels may go through the batch a few rows at a time.
    """
    order, copied = _dependences(graph)
    if copied:
        graph = _with_copies(graph, copied)
        order, _ = _dependences(graph)
    stage, strips = find_strips(graph, order) if in_strips else (dict.fromkeys(order, 0), {})
    phase = _phases(order, stage)
    result = Graph(graph.name)
    new: dict[Node, Node] = {n: result.import_node(n, ()) for n in graph.inputs()}

    def bring(node: Node) -> Node:
        if node not in new:
            new[node] = result.import_node(node, [bring(o) for o in graph.operands(node)])
        return new[node]

    for kernel in sorted(phase, key=lambda k: (phase[k], k.index)):
        operands = [bring(o) for o in graph.operands(kernel)]
        changes: dict[str, object] = {"phase": phase[kernel]}
        if kernel in strips:
            changes |= {"strip": strips[kernel].number, "strip_rows": strips[kernel].rows}
        if owned is not None:
            changes["owned"] = owned
        if kernel.op == "scan":
            own = owned_rows(kernel.attrs)
            changes["body"] = _schedule(kernel.attrs["body"], own, in_strips=False)
            changes |= {"owned": own} if own is not None else {}
        new[kernel] = result.import_node(kernel, operands, **changes)
        for item in graph.users(kernel):
            bring(item)
    result.outputs = {name: new[node] for name, node in graph.outputs.items()}
    return result


def _phases(order: nx.DiGraph, stage: Mapping[Node, int]) -> dict[Node, int]:
    """Each kernel's phase: stage by stage, those that need nothing of each other together."""
    stages: dict[int, list[Node]] = defaultdict(list)
    for kernel in order:
        stages[stage[kernel]].append(kernel)
    generations = (
        kernels
        for at in sorted(stages)
        for kernels in nx.topological_generations(order.subgraph(stages[at]))
    )
    return {kernel: index for index, kernels in enumerate(generations) for kernel in kernels}
