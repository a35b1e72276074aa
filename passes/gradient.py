"""Symbolic reverse-mode differentiation: the sweep over a graph, and over loops within it.

The gradient of a scan is a scan in the other direction over the cotangents of the body. It needs
values of the forward body: a minimum cut between those that must not be computed again and those
that are read (cut.py) says which to keep, as further results of the forward scan; what lies behind
the cut is computed again in each step.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from graphc.ir.graph import Graph, GraphError, Node
from graphc.ir.ops import CONTRACTIONS, REDUCTIONS
from graphc.ir.scan import Parts, parts, result_types, stacked
from graphc.ir.types import Dim, TensorType

from .cut import in_order, least_to_keep
from .derivatives import DERIVATIVES, Term
from .shapes import Builder

LOOPS = frozenset({"scan", "item"})
# Not to be computed again: their values are kept instead.
COSTLY = CONTRACTIONS | REDUCTIONS | LOOPS | {
    "exp", "expm1", "log", "log1p", "sin", "cos", "tanh", "sigmoid", "erf", "power", "gather",
    "scatter_add", "random_uniform",
}  # fmt: skip


def gradient(graph: Graph, loss: str, wrt: Sequence[str]) -> Graph:
    """Adds the gradient of the scalar output `loss` with respect to each input named in `wrt`.

    The results are outputs named "gradient/<input>", of the inputs' types; zero where the loss
    does not depend on the input. Cotangent nodes have the scope of the node they belong to, with
    phase "backward".

    Raises:
        GraphError: when the loss is not a float scalar, naming it.
    """
    result, _ = graph.copy()
    root = result.outputs[loss]
    if root.tensor.rank or not root.tensor.is_float:
        raise GraphError(f"output {loss!r}: a loss must be a float scalar; got {root.tensor}")
    sources = [result[name] for name in wrt]
    builder = Builder(result)
    seeds = {root: builder.const(1.0, root.tensor.dtype)}
    cotangents = _pull_back(builder, seeds, sources)
    for name, source in zip(wrt, sources, strict=True):
        builder.scope = replace(source.scope, phase="backward")
        zero = source not in cotangents
        result.outputs[f"gradient/{name}"] = (
            builder.full(0.0, source.tensor) if zero else cotangents[source]
        )
    return result


def _pull_back(
    builder: Builder, seeds: Mapping[Node, Node], sources: Iterable[Node]
) -> dict[Node, Node]:
    """Every node's cotangent, from those of some nodes, added to the builder's graph."""
    graph = builder.graph
    nodes = [n for n in graph.nodes() if n not in set(seeds.values())]
    active = _depends_on(graph, nodes, sources)
    cotangents = dict(seeds)
    of_items: dict[Node, dict[int, Node]] = {}  # by loop, and by its result's number
    for node in reversed(nodes):
        if node not in active or node.op == "input":
            continue
        builder.scope = replace(node.scope, phase="backward")
        operands = graph.operands(node)
        if node.op == "item" and node in cotangents:
            of_items.setdefault(operands[0], {})[node.attrs["index"]] = cotangents[node]
            continue
        if node.op == "scan" and node in of_items:
            wanted = [operand in active for operand in operands]
            results: Sequence[Node | None] = _Loop(
                builder, node, of_items[node], wanted
            ).cotangents()
        elif node in cotangents:
            results = _apply(builder, node, operands, cotangents[node])
        else:
            continue
        for operand, term in zip(operands, results, strict=True):
            if term is not None and operand in active:
                so_far = cotangents.get(operand)
                cotangents[operand] = builder.node("add", so_far, term) if so_far else term
    return cotangents


def _apply(
    builder: Builder, node: Node, operands: Sequence[Node], dy: Node
) -> Sequence[Node | None]:
    rule = DERIVATIVES[node.op]
    if rule is None:
        return [None] * len(operands)
    terms = rule(*(Term(builder, n) for n in (dy, node, *operands)))
    return [None if term is None else term.node for term in terms]


def _depends_on(graph: Graph, nodes: Sequence[Node], sources: Iterable[Node]) -> set[Node]:
    """The nodes whose value a differentiable path links to some source."""
    active = set(sources)
    for node in nodes:
        passes = DERIVATIVES[node.op] is not None or node.op in LOOPS
        if passes and any(o in active for o in graph.operands(node)):
            active.add(node)
    return active


@dataclass
class _Sum:
    """A constant's cotangent: terms summed over the steps, in the loop or behind it.

    `inside` are summed by a carry. A product with the transpose of its first factor, or a sum
    over axes, is made once behind the loop of its operands of all steps.
    """

    inside: list[Node] = field(default_factory=list)
    behind: list[Node] = field(default_factory=list)


class _Loop:
    """The gradient of one scan.

    Args:
        builder: of the graph that the scan is in.
        scan: will have more results: values that the reverse loop reads.
        given: the cotangents of its results, by number.
        wanted: for each operand, whether its cotangent is of use.
    """

    def __init__(
        self, builder: Builder, scan: Node, given: Mapping[int, Node], wanted: Sequence[bool]
    ) -> None:
        self.outer, self.scan, self.given = builder, scan, given
        self.length: Dim = scan.attrs["length"]
        body: Graph = scan.attrs["body"]
        self.work, _ = body.copy()
        self.forward = set(self.work.nx)
        self.inner = parts(self.work.inputs(), scan.attrs)
        self.operands = parts(builder.graph.operands(scan), scan.attrs)
        self.wanted = parts(wanted, scan.attrs)
        self.back = Builder(self.work, scan.scope)
        self.sums: dict[Node, _Sum] = {}

    def cotangents(self) -> list[Node | None]:
        """The cotangent of each of the scan's operands."""
        self._sweep()
        roots = [*self.carried.values(), *self.along.values()]
        for total in self.sums.values():
            roots += total.inside + [o for n in total.behind for o in self.work.operands(n)]
        self.kept = least_to_keep(
            self.work,
            self._frontier(roots),
            lambda node: node in self.inner.carries or node.op in COSTLY,
        )
        self._keep()
        return self._reverse(roots)

    def _sweep(self) -> None:
        """Differentiates the body: `carried` and `along` are its carries' and sequences' parts."""
        work = self.work
        seeds: dict[Node, Node] = {}
        names = [*(c.name for c in self.inner.carries), *stacked(work)]
        self.seeds: dict[int, Node] = {}
        for index, name in enumerate(names):
            node, is_carry = work.outputs[name], index < len(self.inner.carries)
            if not node.tensor.is_float or not (is_carry or index in self.given):
                continue
            role = {"role": "state" if is_carry else "data"}
            seed = work.add("input", (), role, type=node.type, name=work.free_name(f"d_{name}"))
            self.seeds[index] = seed
            seeds[node] = self.back.node("add", seeds[node], seed) if node in seeds else seed
        wanted = [
            node
            for nodes, flags in (
                (self.inner.constants, self.wanted.constants),
                (self.inner.sequences, self.wanted.sequences),
            )
            for node, flag in zip(nodes, flags, strict=True)
            if flag and node.tensor.is_float
        ]
        found = _pull_back(self.back, seeds, [*wanted, *self.inner.carries])
        # A loop in the body may have more results now.
        self.forward |= {
            user for n in self.forward if n.op == "scan" for user in work.nx.successors(n)
        }
        self.carried = {
            c: found.get(c) or self.back.full(0.0, c.tensor)
            for c in self.inner.carries
            if c.tensor.is_float
        }
        self.along = {s: found[s] for s in self.inner.sequences if s in found and s in wanted}
        for constant in self.inner.constants:
            if constant in found and constant in wanted:
                self.sums[constant] = self._terms(found[constant])

    def _terms(self, node: Node) -> _Sum:
        total, stack = _Sum(), [node]
        while stack:
            term = stack.pop()
            operands = self.work.operands(term)
            if term in self.forward:
                total.inside.append(term)
            elif term.op == "add":
                stack += operands
            elif term.op == "matmul" and term.tensor.rank == 2:
                total.behind.append(self._as_outer_product(term, operands))
            elif term.op == "reduce_sum":
                total.behind.append(term)
            else:
                total.inside.append(term)
        return total

    def _as_outer_product(self, term: Node, operands: Sequence[Node]) -> Node:
        """The product with its first factor transposed, and the second one not."""
        a, b = operands
        if not term.attrs["transpose_a"]:
            a = self.back.node("transpose", a, permutation=(1, 0))
        if term.attrs["transpose_b"]:
            b = self.back.node("transpose", b, permutation=(1, 0))
        return self.back.node("matmul", a, b, transpose_a=True, transpose_b=False)

    def _frontier(self, roots: Iterable[Node]) -> set[Node]:
        """The forward values that the backward nodes read."""
        seen, found, stack = set(), set(), list(roots)
        while stack:
            node = stack.pop()
            if node in self.forward:
                found.add(node)
            elif node not in seen:
                seen.add(node)
                stack.extend(self.work.nx.predecessors(node))
        return found

    def _keep(self) -> None:
        """Makes the forward scan give the values of all steps: `stacks`, by the body's node."""
        work, scan = self.work, self.scan
        operands = [*self.operands.constants, *self.operands.carries, *self.operands.sequences]
        names = {work.outputs[name]: name for name in reversed(stacked(work))}
        for node in in_order(self.kept - names.keys()):
            name = work.free_name(f"kept/{node.name}")
            work.outputs[name], names[node] = node, name
        inputs = [*self.inner.constants, *self.inner.carries, *self.inner.sequences]
        body, _ = work.copy(keep=work.live() | set(inputs))
        scan.attrs = {**scan.attrs, "body": body}
        scan.type = result_types([operand.tensor for operand in operands], scan.attrs)
        places = {name: at for at, name in enumerate(stacked(body), len(self.inner.carries))}
        self.stacks = dict(zip(self.inner.sequences, self.operands.sequences, strict=True))
        self.stacks |= {n: self.outer.item(scan, places[names[n]]) for n in in_order(self.kept)}

    def _reverse(self, roots: Sequence[Node]) -> list[Node | None]:
        """Adds the loop over the cotangents; its results by the forward scan's operands."""
        graph = Graph(f"{self.scan.attrs['body'].name}/backward")
        new, operands = self._inputs(graph, self._needed(roots))
        for node in self.work.nodes():
            if node in self.needed and node not in new:
                new[node] = graph.import_node(node, [new[o] for o in self.work.operands(node)])
        builder = Builder(graph, replace(self.scan.scope, phase="backward"))
        for carry, value in self.carried.items():
            graph.outputs[self._seed(carry).name] = new[value]
        for constant, total in self.sums.items():
            if total.inside:
                value = graph[f"sum/{constant.name}"]
                for term in total.inside:
                    value = builder.node("add", value, new[term])
                graph.outputs[f"sum/{constant.name}"] = value
        factors = [o for total in self.sums.values() for t in total.behind for o in self._of(t)]
        results = [n for n in (*self.along.values(), *factors) if n not in self.stacks]
        for at, node in enumerate(dict.fromkeys(results)):
            graph.outputs[f"stacked/{at}"] = new[node]
        attrs = {
            **self.scan.attrs,
            "body": graph,
            "carries": len(operands.carries),
            "sequences": len(operands.sequences),
            "reverse": not self.scan.attrs["reverse"],
        }
        loop = self.outer.scan([*operands.constants, *operands.carries, *operands.sequences], attrs)
        first = len(operands.carries)
        for at, node in enumerate(dict.fromkeys(results)):
            self.stacks[node] = self.outer.item(loop, first + at)
        return self._results(loop)

    def _seed(self, carry: Node) -> Node:
        return self.seeds[self.inner.carries.index(carry)]

    def _of(self, term: Node) -> list[Node]:
        """The values of which a term behind the loop takes those of all steps."""
        return self.work.operands(term)

    def _needed(self, roots: Sequence[Node]) -> set[Node]:
        """What the loop over the cotangents computes or is given."""
        stack = [n for n in roots if n not in self.stacks]
        self.needed: set[Node] = set()
        while stack:
            node = stack.pop()
            if node not in self.needed:
                self.needed.add(node)
                if node not in self.stacks:
                    stack.extend(self.work.nx.predecessors(node))
        return self.needed

    def _inputs(self, graph: Graph, needed: set[Node]) -> tuple[dict[Node, Node], Parts[Node]]:
        """The inputs of the loop's body, and what they are given outside."""
        new: dict[Node, Node] = {}
        given: Parts[Node] = Parts([], [], [])

        def add(node: Node | None, name: str, role: str, type_: TensorType) -> None:
            made = graph.add("input", (), {"role": role}, type=type_, name=graph.free_name(name))
            if node is not None:
                new[node] = made

        for node, source in zip(self.inner.constants, self.operands.constants, strict=True):
            if node in needed:
                add(node, node.name, "data", node.tensor)
                given.constants.append(source)
        for carry in self.carried:
            index = self.inner.carries.index(carry)
            add(self.seeds[index], self.seeds[index].name, "state", carry.tensor)
            start = self.given.get(index) or self.outer.full(0.0, carry.tensor)
            given.carries.append(start)
        for constant, total in self.sums.items():
            if total.inside:
                add(None, f"sum/{constant.name}", "state", constant.tensor)
                given.carries.append(self.outer.full(0.0, constant.tensor))
        for node, stack in self.stacks.items():
            if node in needed:
                add(node, node.name, "data", node.tensor)
                given.sequences.append(stack)
        for index, seed in self.seeds.items():
            if index >= len(self.inner.carries) and seed in needed:
                add(seed, seed.name, "data", seed.tensor)
                given.sequences.append(self.given[index])
        return new, given

    def _results(self, loop: Node) -> list[Node | None]:
        carried = {c: self.outer.item(loop, at) for at, c in enumerate(self.carried)}
        sums = [c for c, total in self.sums.items() if total.inside]
        inside = {c: self.outer.item(loop, len(carried) + at) for at, c in enumerate(sums)}
        constants: list[Node | None] = []
        for constant in self.inner.constants:
            terms = [inside[constant]] if constant in inside else []
            if constant in self.sums:
                terms += [self._behind(term) for term in self.sums[constant].behind]
            total = terms[0] if terms else None
            for term in terms[1:]:
                total = self.outer.node("add", total, term)  # type: ignore[arg-type]
            constants.append(total)
        sequences = [
            self.stacks[self.along[s]] if s in self.along else None for s in self.inner.sequences
        ]
        return [*constants, *(carried.get(c) for c in self.inner.carries), *sequences]

    def _behind(self, term: Node) -> Node:
        """A sum over the steps, from the stacks of its operands."""
        stacks = [self.stacks[node] for node in self._of(term)]
        if term.op == "reduce_sum":
            axes = (0, *(a + 1 for a in term.attrs["axes"]))
            return self.outer.node("reduce_sum", *stacks, axes=axes)
        rows = [
            self.outer.reshape(s, (s.tensor.shape[0] * s.tensor.shape[1], s.tensor.shape[2]))
            for s in stacks
        ]
        return self.outer.node("matmul", *rows, **term.attrs)
