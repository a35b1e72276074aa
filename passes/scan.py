"""What simplification does to scans: unread results, and what only they need, are left out.

Work on constants alone is done once, before the loop. Work on a sequence's elements that ends in a
product with a constant is done before the loop too, for all steps at once: one large product
instead of many small ones, as cuDNN does for recurrent layers (Appleyard et al. 2016,
https://arxiv.org/abs/1604.01946).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from graphc.ir.graph import Attributes, Graph, Node
from graphc.ir.ops import OPS
from graphc.ir.scan import Parts, parts, stacked
from graphc.ir.types import Dim

from .shapes import Builder


@dataclass
class Slim:
    """A scan of which only what is read is left.

    Attributes:
        operands: positions of the operands that are left.
        attrs: the attributes.
        results: where a result that is read now stands.
    """

    operands: list[int]
    attrs: Attributes
    results: dict[int, int]


def slim(attrs: Attributes, read: set[int]) -> Slim:
    """A scan without the results that are not in `read`."""
    body: Graph = attrs["body"]
    kinds = parts(body.inputs(), attrs)
    names, first = stacked(body), len(kinds.carries)
    wanted = {name: first + at for at, name in enumerate(names) if first + at in read}
    carries = [c for at, c in enumerate(kinds.carries) if at in read]
    same = _same_at_the_end(body, kinds.carries)
    carries = list(dict.fromkeys(same.get(c, c) for c in carries))
    while True:
        roots = [body.outputs[name] for name in (*wanted, *(c.name for c in carries))]
        needed = _ancestors(body, roots)
        more = [c for c in kinds.carries if c in needed and c not in carries]
        if not more:
            break
        carries += more
    carries.sort(key=lambda c: c.index)
    kept = Parts(
        [c for c in kinds.constants if c in needed],
        carries,
        [s for s in kinds.sequences if s in needed],
    )
    inputs = [*kept.constants, *kept.carries, *kept.sequences]
    small, new = body.copy(keep=needed | set(inputs))
    place = {c: at for at, c in enumerate(carries)}
    results = {
        at: place[c if c in place else same[c]]
        for at, c in enumerate(kinds.carries)
        if c in place or same.get(c) in place
    }
    outputs = {c.name: new[body.outputs[c.name]] for c in carries}
    places: dict[Node, int] = {}
    for name, index in wanted.items():
        node = body.outputs[name]
        if node not in places:  # results of one node become one
            places[node] = len(outputs)
            outputs[name] = new[node]
        results[index] = places[node]
    small.outputs = outputs
    positions = {node: at for at, node in enumerate(body.inputs())}
    changed = {"body": small, "carries": len(carries), "sequences": len(kept.sequences)}
    return Slim([positions[i] for i in inputs], {**attrs, **changed}, results)


def _same_at_the_end(body: Graph, carries: Sequence[Node]) -> dict[Node, Node]:
    """Carries that no step reads, by another carry that ends with the same value."""
    first: dict[Node, Node] = {}
    for carry in sorted(carries, key=lambda c: body.nx.out_degree(c) == 0):
        first.setdefault(body.outputs[carry.name], carry)
    return {
        c: first[body.outputs[c.name]]
        for c in carries
        if body.nx.out_degree(c) == 0 and first[body.outputs[c.name]] is not c
    }


def _ancestors(graph: Graph, roots: Sequence[Node]) -> set[Node]:
    """Nodes that the roots depend on, and these."""
    found: set[Node] = set()
    stack = list(roots)
    while stack:
        node = stack.pop()
        if node not in found:
            found.add(node)
            stack.extend(graph.nx.predecessors(node))
    return found


def hoist(graph: Graph) -> Graph:
    """The graph with work that needs no loop taken out of loops: what depends on constants alone,
    and products of sequences' elements and constants."""
    for find, take_out in ((_invariants, _without_invariants), (_products, _hoisted)):
        found = {node: find(node) for node in graph.nx if node.op == "scan"}
        if not any(found.values()):
            continue
        result = Graph(graph.name)
        new: dict[Node, Node] = {}
        for node in graph.nodes():
            operands = [new[o] for o in graph.operands(node)]
            if found.get(node):
                new[node] = take_out(result, node, operands, found[node])
            else:
                new[node] = result.import_node(node, operands)
        result.outputs = {name: new[node] for name, node in graph.outputs.items()}
        graph = result
    return graph


def _invariants(scan: Node) -> list[Node]:
    """Nodes of a scan's body that depend on constants alone, and that others read.

    Broadcasts stay: they are free where they are read, and large in memory.
    """
    body: Graph = scan.attrs["body"]
    constants = parts(body.inputs(), scan.attrs).constants
    still, given = set(constants), set(constants)
    for node in body.nodes():
        operands = body.operands(node)
        made = operands and node.op not in ("broadcast", "random_uniform", "scan", "item")
        if node.op in ("const", "size") or (made and all(o in still for o in operands)):
            still.add(node)
    results = set(body.outputs.values())
    return [
        node
        for node in body.nodes()
        if node in still - given
        and node.op not in ("const", "size")
        and (node in results or any(user not in still for user in body.nx.successors(node)))
    ]


def _without_invariants(
    result: Graph, scan: Node, operands: list[Node], invariants: list[Node]
) -> Node:
    """The scan with each of these as one more constant."""
    body: Graph = scan.attrs["body"]
    outer, inner = parts(operands, scan.attrs), parts(body.inputs(), scan.attrs)
    whole = dict(zip(inner.constants, outer.constants, strict=True))
    needed = _ancestors(body, invariants)
    for node in body.nodes():
        if node in needed and node not in whole:
            whole[node] = result.import_node(node, [whole[o] for o in body.operands(node)])
    small = Graph(body.name)
    new = {node: small.import_node(node, ()) for node in inner.constants}
    for node in invariants:
        new[node] = small.add(
            "input", (), {"role": "data"}, type=node.tensor, scope=node.scope,
            name=body.free_name(f"once_{node.name}"),
        )  # fmt: skip
    for node in body.nodes():
        if node not in new:
            new[node] = small.import_node(node, [new[o] for o in body.operands(node)])
    small.outputs = {name: new[node] for name, node in body.outputs.items()}
    given = [*outer.constants, *(whole[n] for n in invariants), *outer.carries, *outer.sequences]
    return Builder(result, scan.scope).scan(given, {**scan.attrs, "body": small})


def _products(scan: Node) -> list[Node]:
    """Products in a scan's body that can be made before the loop."""
    body: Graph = scan.attrs["body"]
    kinds = parts(body.inputs(), scan.attrs)
    constant, along = set(kinds.constants), set(kinds.sequences)
    found = []
    for node in body.nodes():
        operands = body.operands(node)
        if node.op == "matmul":
            rows = operands[0] in along and operands[1] in constant and node.tensor.rank == 2
            if rows and not node.attrs["transpose_a"]:
                found.append(node)
                along.add(node)
        elif node.op in ("const", "size") or (node.op == "broadcast" and operands[0] in constant):
            constant.add(node)
        elif OPS[node.op].elementwise and all(o in along | constant for o in operands):
            (along if any(o in along for o in operands) else constant).add(node)
    return found


def _hoisted(result: Graph, scan: Node, operands: list[Node], products: list[Node]) -> Node:
    """The scan with each product as one more sequence."""
    builder = Builder(result, scan.scope)
    body: Graph = scan.attrs["body"]
    length: Dim = scan.attrs["length"]
    outer, inner = parts(operands, scan.attrs), parts(body.inputs(), scan.attrs)
    whole = dict(zip(inner.constants, outer.constants, strict=True))  # the same in all steps
    lifted = dict(zip(inner.sequences, outer.sequences, strict=True))
    needed = _ancestors(body, products)
    for node in body.nodes():
        if node not in needed or node in whole or node in lifted:
            continue
        given = body.operands(node)
        builder.scope = node.scope
        if not any(o in lifted for o in given):
            whole[node] = result.import_node(node, [whole[o] for o in given])
        elif node.op == "matmul":
            rows = lifted[given[0]]
            flat = builder.reshape(
                rows, (rows.tensor.shape[0] * rows.tensor.shape[1], *rows.tensor.shape[2:])
            )
            made = builder.node("matmul", flat, whole[given[1]], **node.attrs)
            lifted[node] = builder.reshape(made, (length, *node.tensor.shape))
        else:
            shape = (length, *node.tensor.shape)
            axes = tuple(range(1, len(shape)))
            terms = [
                lifted[o] if o in lifted else builder.broadcast(whole[o], shape, axes)
                for o in given
            ]
            lifted[node] = builder.node(node.op, *terms, **node.attrs)
    small, copies = body.copy()
    for at, product in enumerate(products):
        element = small.add(
            "input", (), {"role": "data"}, type=product.tensor, scope=product.scope,
            name=small.free_name(f"product_{at}"),
        )  # fmt: skip
        _replace(small, copies[product], element)
    attrs = {**scan.attrs, "body": small, "sequences": len(inner.sequences) + len(products)}
    builder.scope = scan.scope
    return builder.scan([*operands, *(lifted[p] for p in products)], attrs)


def _replace(graph: Graph, old: Node, new: Node) -> None:
    """Makes all readers of a node read another one."""
    for _, user, position in list(graph.nx.out_edges(old, keys=True)):
        graph.nx.remove_edge(old, user, position)
        graph.nx.add_edge(new, user, position)
    graph.outputs = {k: new if node is old else node for k, node in graph.outputs.items()}
