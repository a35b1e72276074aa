"""Recomputation: what the backward pass reads of the forward pass, and what it makes again.

By itself every forward value that a backward node reads stays in memory until then. This pass keeps
the least that the others can be made of again (cut.py): it annotates that as `kept`, and puts
clones of the others, with phase "backward" and the annotation `again`, where backward nodes read
them. The same ops on the same
values give the same bits; random numbers are functions of their stream and place, so their clones
draw the same.

- "small": cheap work is done again, as elementwise work, pooling windows and random numbers are;
  products, loops and sums over more than a window are not.
- "segments": products are made again as well. The forward pass is cut into about sqrt(n) segments
  of its n products where little goes from one to the next; that is kept, and when the backward pass
  comes to a segment, what "small" would have kept of it is computed again (Chen et al. 2016,
  "Training deep nets with sublinear memory cost", https://arxiv.org/abs/1604.06174).

What is made again must not be made before it is needed, or it would be kept after all: fusion keeps
forward work, segments' and the rest in kernels of their own, and `schedule` holds kernels of clones
back until everything else that their first reader needs is there.
"""

from __future__ import annotations

import bisect
import itertools
import math
from collections.abc import Callable
from dataclasses import replace

from graphc.ir.graph import Graph, Node
from graphc.ir.ops import CONTRACTIONS, LEAVES, REDUCTIONS
from graphc.ir.types import Size

from .cut import guessed_bytes, least_to_keep
from .legalize import FREE, reduced_axes

PLANS = ("small", "segments")
FORWARD, BACKWARD = "forward", "backward"
# Loops and their results are never made again.
LOOPS = frozenset({"scan", "item"})
# What a clone is made for: a segment's clones, or the node that reads it.
SEGMENT, READER = "segment", "reader"
# Why a value is in memory.
KEPT = "the backward pass is computed from it"
# Have no memory of their own: made in each kernel that reads them, or views.
UNKEPT = FREE | {"reshape"}
# Reductions over so many elements each, as windows have, are cheap.
FEW = 32
# Residuals, and other joins of works of different depth, that are made again in one chain.
MOST_JOINS = 4


def recompute(graph: Graph, plan: str) -> Graph:
    """The graph with clones of what is not kept, read by its backward pass.

    Args:
        graph: a training program, before fusion.
        plan: "small" or "segments".
    """
    forward = _Forward(graph)
    read = forward.read_late()
    if not read:
        return graph
    kept = forward.least_to_keep(read, forward.costly)
    clones = {READER: forward.between(kept, read)}
    if plan == "segments":
        borders, last = forward.borders(kept)

        def costly(node: Node) -> bool:
            if node in last:
                return forward.costly(node)
            return node in borders or (forward.takes_long(node) and node.op not in CONTRACTIONS)

        read, kept = kept, forward.least_to_keep(kept, costly)
        clones = {SEGMENT: forward.between(kept, read), **clones}
    return _with_clones(forward, kept, clones)


class _Forward:
    """What of a graph can be computed before any cotangent is there.

    Attributes:
        nodes: forward nodes, and cheap backward ones that read only such, as the index of a
            window's maximum.
        given: of all nodes, those that are there in any case: inputs, what needs no memory, and
            values whose size does not grow with the batch, which are as large as weights at most.
    """

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.order = graph.nodes()
        self.operands = {node: graph.operands(node) for node in self.order}
        self.given: set[Node] = set()
        self.nodes: set[Node] = set()
        for node in self.order:
            if self._is_given(node):
                self.given.add(node)
            # A loop's result is there with the loop.
            cheap = node.op == "item" or not self.takes_long(node)
            if node.scope.phase == FORWARD or (
                cheap and all(o in self.nodes for o in self.operands[node])
            ):
                self.nodes.add(node)
        self.breaks = self._find_breaks()

    def _find_breaks(self) -> set[Node]:
        """Where chains of cheap work that goes on beside products, as residuals do, are broken.

        To make the end of one again is to make all of it, long before most of it is read.
        """
        breaks: set[Node] = set()
        depth: dict[Node, int] = {}  # products before a node, and with it
        joins: dict[Node, int] = {}  # of works of different depth, since the last costly node
        for node in self.order:
            below = [o for o in self.operands[node] if o in self.nodes and o not in self.given]
            depths = {depth[o] for o in below} - {0}
            depth[node] = max(depths, default=0) + (node.op in CONTRACTIONS | LOOPS)
            if self.takes_long(node):
                joins[node] = 0
                continue
            joins[node] = max((joins[o] for o in below), default=0) + (len(depths) > 1)
            if joins[node] == MOST_JOINS and node in self.nodes:
                breaks.add(node)
                joins[node] = 0
        return breaks

    def _is_given(self, node: Node) -> bool:
        if node.op == "scan":
            return False
        if node.op in LEAVES or not isinstance(node.tensor.elements, Size):
            return True
        return node.op in FREE and all(o in self.given for o in self.operands[node])

    def costly(self, node: Node) -> bool:
        """Whether a node is not to be made again, unless that is done for whole segments."""
        return node in self.breaks or self.takes_long(node)

    def takes_long(self, node: Node) -> bool:
        """Whether a node is not cheap to make again."""
        if node.op in REDUCTIONS:
            (operand,) = self.operands[node]
            dims = [operand.tensor.shape[axis] for axis in reduced_axes(node)]
            sizes = [dim for dim in dims if isinstance(dim, int)]
            return len(sizes) < len(dims) or math.prod(sizes) > FEW
        return node.op in CONTRACTIONS | LOOPS or node.op == "scatter_add"

    def least_to_keep(self, read: set[Node], costly: Callable[[Node], bool]) -> set[Node]:
        """What to keep so that the rest of `read` can be made of it without what is costly."""
        return least_to_keep(
            self.graph, read, costly, self.given.__contains__, lambda node: node.op in UNKEPT
        )

    def read_late(self) -> set[Node]:
        """The values that all other nodes read of these."""
        return {
            operand
            for node in self.order
            if node not in self.nodes
            for operand in self.operands[node]
            if operand in self.nodes and operand not in self.given
        }

    def between(self, kept: set[Node], read: set[Node]) -> set[Node]:
        """What has to be made again of what is kept, for all that is read."""
        found, there = set[Node](), kept | self.given
        stack = list(read - kept)
        while stack:
            node = stack.pop()
            if node not in found:
                found.add(node)
                stack += (o for o in self.operands[node] if o not in there)
        return found

    def borders(self, wanted: set[Node]) -> tuple[set[Node], set[Node]]:
        """The values that go from one segment to a later one, and the nodes of the last segment,
        which the backward pass comes to at once.

        Args:
            wanted: what a segment's clones are for: about as many bytes of it in each segment.
        """
        line = [n for n in self.order if n.scope.phase == FORWARD and n not in self.given]
        last_read = self._last_read(line)
        crossing = _crossing(line, last_read)
        sizes = (guessed_bytes(node.tensor) if node in wanted else 0 for node in line)
        sums = list(itertools.accumulate(sizes))
        count = round(math.sqrt(sum(node.op in CONTRACTIONS for node in line)))
        cuts = []
        for segment in range(1, count):
            # Where the least goes across, of the places half a segment around the even one.
            low, high = (sums[-1] * (segment + half) / count for half in (-0.5, 0.5))
            places = range(bisect.bisect_left(sums, low), bisect.bisect_left(sums, high))
            if places:
                cuts.append(min(places, key=crossing.__getitem__))
        values = {
            node
            for at, node in enumerate(line)
            if node.op not in UNKEPT and any(at <= cut < last_read[node] for cut in cuts)
        }
        return values, set(line[max(cuts, default=-1) + 1 :])

    def _last_read(self, line: list[Node]) -> dict[Node, int]:
        """The place of each node's last forward reader, seen through what has no memory."""
        last = {node: at for at, node in enumerate(line)}
        for at, node in reversed(list(enumerate(line))):
            for operand in self.operands[node]:
                if operand in last:
                    reader = last[node] if node.op in UNKEPT else at
                    last[operand] = max(last[operand], reader)
        return last


def _crossing(line: list[Node], last_read: dict[Node, int]) -> list[int]:
    """How many bytes are read behind each place that are made before or at it."""
    change = [0] * (len(line) + 1)
    for at, node in enumerate(line):
        if node.op not in UNKEPT | {"scan"}:
            size = guessed_bytes(node.tensor)
            change[at] += size
            change[last_read[node]] -= size
    return list(itertools.accumulate(change))


def _with_clones(forward: _Forward, kept: set[Node], clones: dict[str, set[Node]]) -> Graph:
    """The graph with clones, read by its backward pass.

    Args:
        clones: what is cloned, by the annotation, each kind reading those before it.
    """
    graph, result = forward.graph, Graph(forward.graph.name)
    before = _ancestors(forward, kept | {n for n in forward.nodes if n.scope.phase == FORWARD})
    # The node that stands for one: in the forward pass, then for each kind of clones, the last of
    # them for all backward nodes.
    levels: list[dict[Node, Node]] = [{} for _ in range(len(clones) + 1)]
    for node in forward.order:
        operands = forward.operands[node]
        read = levels[0 if node in forward.nodes else -1]
        made = levels[0][node] = result.import_node(node, [read[o] for o in operands])
        if node in before:
            made.scope = replace(node.scope, phase=FORWARD)
        if node in kept:
            made.attrs["kept"] = KEPT
        for (annotation, nodes), (below, level) in zip(
            clones.items(), itertools.pairwise(levels), strict=True
        ):
            level[node] = below[node]
            if node in nodes:
                level[node] = result.add(
                    node.op, [level[o] for o in operands], {**node.attrs, "again": annotation},
                    type=node.type, scope=replace(node.scope, phase=BACKWARD),
                )  # fmt: skip
    result.outputs = {name: levels[0][node] for name, node in graph.outputs.items()}
    lean, _ = result.copy(keep=result.live() | set(result.inputs()))
    return lean


def _ancestors(forward: _Forward, roots: set[Node]) -> set[Node]:
    """Nodes that these depend on, and these, without the inputs."""
    found: set[Node] = set()
    stack = list(roots)
    while stack:
        node = stack.pop()
        if node not in found and node.op != "input":
            found.add(node)
            stack += forward.operands[node]
    return found
