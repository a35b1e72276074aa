"""The least to keep: a minimum cut between values that must not be made again and those that are
read (as in PyTorch's min-cut rematerialization, and Checkmate, Jain et al. 2019,
https://arxiv.org/abs/1910.02653).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import networkx as nx

from graphc.ir.graph import Graph, Node
from graphc.ir.types import Size, TensorType, evaluate

# What a symbol stands for where sizes are compared.
GUESS = 32


def guessed_bytes(type_: TensorType) -> int:
    """About how large a value is."""
    symbols = type_.elements.symbols if isinstance(type_.elements, Size) else ()
    return type_.itemsize * evaluate(type_.elements, dict.fromkeys(symbols, GUESS))


def in_order(nodes: Iterable[Node]) -> list[Node]:
    """A set's nodes as the graph has them: a graph's text must not depend on addresses."""
    return sorted(nodes, key=lambda n: n.index)


def least_to_keep(
    graph: Graph,
    read: set[Node],
    costly: Callable[[Node], bool],
    given: Callable[[Node], bool] = lambda node: False,
    unkept: Callable[[Node], bool] = lambda node: False,
) -> set[Node]:
    """The values to keep, the least bytes of all choices, so that `read` can be had from them.

    Of equal choices the one closest to `read`, so that the least is made again.

    Args:
        costly: whether a value must not be made again.
        given: whether it is there in any case, so that nothing needs to be kept for it.
        unkept: whether it has no memory of its own: it is always made again. Never of a costly one.
    """
    flow = nx.DiGraph()
    made: set[Node] = set()
    roots = in_order(node for node in read if not given(node))
    stack, seen = list(roots), set(roots)
    while stack:
        node = stack.pop()
        room = {} if unkept(node) else {"capacity": guessed_bytes(node.tensor)}
        flow.add_edge((node, "in"), (node, "out"), **room)
        if costly(node):
            made.add(node)
            continue
        for operand in graph.nx.predecessors(node):
            if given(operand):
                continue
            flow.add_edge((operand, "out"), (node, "in"))
            if operand not in seen:
                seen.add(operand)
                stack.append(operand)
    kept: set[Node] = set()
    # What no edge links is cut apart: costly values separate a deep network into small parts.
    for part in list(nx.weakly_connected_components(flow)):
        nodes = {node for node, _ in part}
        if made & nodes:
            kept |= _cut(flow.subgraph(part), in_order(made & nodes), in_order(read & nodes))
    return kept


def _cut(flow: nx.DiGraph, made: list[Node], read: list[Node]) -> set[Node]:
    """The nodes between whose "in" and "out" a minimum cut from `made` to `read` goes."""
    flow = nx.DiGraph(flow)
    flow.add_edges_from(("made", (node, "in")) for node in made)
    flow.add_edges_from(((node, "out"), "read") for node in read)
    _, (behind, _) = nx.minimum_cut(flow, "made", "read")
    nodes = {end[0] for end in flow if isinstance(end, tuple)}
    return {n for n in nodes if (n, "in") in behind and (n, "out") not in behind}
