"""Fusion: groups nodes into kernels, and makes each group one `fused` node with a body graph.

A kernel runs over a domain: the shape of its full values, sizes of 1 left out. There are five
kinds:

- "loop": elementwise over the domain;
- "rows": reductions over the domain's last axes, and elementwise work before, between and after
  them, on full values and on values that have one element a row;
- "columns": reductions that keep the domain's last axis, elementwise work on their operands
  before, and on their results after;
- "contraction": one contraction and the elementwise work on its result (its epilogue): bias,
  activation, or the whole optimizer step;
- "scatter": one scatter_add.

A scan stays a node, with its body fused in the same way.

Where it was chosen what of the forward pass is kept for the backward pass (recompute.py), the two
have kernels of their own: in a common one, what is kept would be made when it is read, and what is
made again from the start.

Groups are formed from the outputs backwards, so that work is done where its result is read: a
node joins the groups of its users when they can be one kernel, and otherwise starts a group of
its own, one step higher. A node's group is always higher than the other groups that read it,
which is why the result cannot have a cycle. A second sweep merges groups into a producer.

What a kernel writes to memory says why, in its item's annotation `kept`.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

from graphc.ir.graph import Graph, Node
from graphc.ir.ops import CONTRACTIONS, OPS, REDUCTIONS
from graphc.ir.types import Shape

from . import reasons
from .legalize import ADDRESSES, FREE, LOADS, is_free, is_view, legalize, reduced_axes, squeeze
from .shapes import Builder

# What takes an instruction or two.
CHEAP = frozenset({
    "add", "sub", "mul", "neg", "cast", "maximum", "minimum", "equal", "less", "less_equal",
    "logical_and", "logical_or", "logical_not", "select",
})  # fmt: skip
# Read their operands at other places than their own element's.
ELSEWHERE = LOADS | CONTRACTIONS | {"scatter_add", "random_uniform", "scan"}


@dataclass(eq=False)
class Group:
    """Nodes that become one kernel."""

    height: int
    full: Shape  # the domain
    kind: str = "loop"
    part: Shape | None = None  # rows: a row value's shape; columns: a result's shape
    members: set[Node] = field(default_factory=set)
    side: str = ""  # which work it is of, where that of the forward pass is apart


class Fuser:
    """Forms the groups of a legalised graph."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.operands = {node: graph.operands(node) for node in graph.nx}
        self.users = {node: graph.users(node) for node in graph.nx}
        self.group: dict[Node, Group] = {}
        self.results = set(graph.outputs.values())
        self.views = {n for n in graph.nx if n.op == "item" or is_view(graph, n)}
        self.inlined: set[Node] = set()
        self.numbers: set[Node] = set()
        self.divided = any({"kept", "again"} & node.attrs.keys() for node in graph.nx)
        self.refusals: dict[Node, str] = {}  # why a node is not in its readers' kernel
        self._find_inlined()
        self._find_numbers()

    def _find_inlined(self) -> None:
        """Elementwise work that only ops read which take each element once, at another place.

        It is done on the way, in each such reader; in memory it would only be moved about.
        """
        for node in reversed(self.graph.nodes()):
            users = self.users[node]
            simple = OPS[node.op].elementwise or (node.op == "reshape" and node not in self.views)
            if simple and users and node not in self.results:
                moved = LOADS - {"gather"}
                together = {self.side(node)} == {self.side(u) for u in users}
                if together and all(u.op in moved or u in self.inlined for u in users):
                    self.inlined.add(node)

    def _find_numbers(self) -> None:
        """Cheap elementwise work on constants and indices alone, such as the numbers of a window's
        places: made again where it is read, as reading it from memory would cost more."""
        made: set[Node] = set()
        for node in self.graph.nodes():
            if node.op in FREE | CHEAP and all(o in made for o in self.operands[node]):
                made.add(node)
        for node in reversed(self.graph.nodes()):
            if node in made and node.op in CHEAP and node not in self.results:
                users = self.users[node]  # a view needs its operand in memory
                if not any(u.op in ADDRESSES or u in self.views for u in users):
                    self.numbers.add(node)

    def side(self, node: Node) -> str:
        """Which work a node is of: no kernel does both what comes early and what comes late."""
        if not self.divided or node.scope.phase == "forward":
            return ""
        return "segment" if node.attrs.get("again") == "segment" else "backward"

    def free(self, node: Node) -> bool:
        """Whether the node is made again in each kernel that reads it."""
        return is_free(self.graph, node) or node in self.inlined or node in self.numbers

    def outside(self, node: Node) -> bool:
        """Whether the node never is a member of a kernel by itself."""
        return node.op == "input" or self.free(node) or node in self.views

    def run(self) -> list[Group]:
        """The groups, producers first."""
        for node in reversed(self.graph.nodes()):
            if not self.outside(node):
                self._place(node)
        self._merge_into_producers()
        return sorted(set(self.group.values()), key=self._order)

    def _order(self, group: Group) -> tuple[int, int]:
        return (-group.height, min(node.index for node in group.members))

    def readers(self, node: Node) -> list[tuple[Node, Node, str]]:
        """(reader, direct user, how) for each kernel node that reads this one.

        how: "same" element, "row" (through a broadcast over the last axes), "other".
        """
        found = []
        for user in self.users[node]:
            seen_through = user in self.views or user in self.inlined or user in self.numbers
            if seen_through or user.op in ("slice", "windows"):
                found += [(reader, user, "other") for reader, *_ in self.readers(user)]
            elif user.op == "reshape" and self.free(user):
                found += [(reader, user, how) for reader, _, how in self.readers(user)]
            elif user.op == "broadcast":
                axes: tuple[int, ...] = user.attrs["axes"]
                how = "row" if axes == tuple(range(len(axes))) and axes else "other"
                found += [
                    (reader, user, how if inner == "same" else "other")
                    for reader, _, inner in self.readers(user)
                ]
            elif user.op in ELSEWHERE:
                found.append((user, user, "other"))
            else:
                found.append((user, user, "same"))
        return found

    def _place(self, node: Node) -> None:
        readers = self.readers(node)
        height = max((self.group[r].height for r, *_ in readers), default=-1)
        top = [(r, how) for r, _, how in readers if self.group[r].height == height]
        refusal = self._refusal(node, top)
        if refusal is None and top:
            joined = self._join(node, top)
        else:
            self.refusals[node] = refusal or ""
            joined = self._start(node, height + 1)
        self.group[node] = joined
        joined.members.add(node)

    def _start(self, node: Node, height: int) -> Group:
        side = self.side(node)
        if node.op == "scan":
            return Group(height, (), "scan", side=side)
        shape = squeeze(node.tensor.shape)
        group = Group(height, shape, side=side)
        if node.op in CONTRACTIONS:
            group.kind = "contraction"
        elif node.op == "scatter_add":
            group.kind = "scatter"
        elif node.op in REDUCTIONS:
            self._reduce_into(node, group)
        return group

    def _reduce_into(self, node: Node, group: Group) -> bool:
        """Makes a loop group the group of a reduction whose result it works on."""
        operand = self.operands[node][0].tensor.shape
        axes = reduced_axes(node)
        trailing = all(a in axes or operand[a] == 1 for a in range(min(axes), len(operand)))
        kind, full = ("rows" if trailing else "columns"), squeeze(operand)
        if group.kind == "loop" and group.full == squeeze(node.tensor.shape):
            group.kind, group.full, group.part = kind, full, group.full
            return True
        same = group.kind == kind and group.full == full
        return (
            same
            and group.part == squeeze(node.tensor.shape)
            and (kind == "rows" or self._columns_axes(group) == self._kept_axes(node))
        )

    def _kept_axes(self, node: Node) -> tuple[int, ...]:
        axes = reduced_axes(node)
        shape = self.operands[node][0].tensor.shape
        return tuple(
            i for i, a in enumerate(a for a, dim in enumerate(shape) if dim != 1) if a not in axes
        )

    def _columns_axes(self, group: Group) -> tuple[int, ...] | None:
        for member in group.members:
            if member.op in REDUCTIONS:
                return self._kept_axes(member)
        return None

    def _refusal(self, node: Node, top: list[tuple[Node, str]]) -> str | None:
        """Why these readers and the node cannot be one kernel; None if they can."""
        if node.op == "scan":
            return "the loop's kernels run step by step"
        for reader, _ in top:
            if self.group[reader].side != self.side(node):
                return reasons.apart(reader)
        groups = list(dict.fromkeys(self.group[reader] for reader, _ in top))
        for other in groups[1:]:
            if not self._mergeable(groups[0], other):
                kinds = f"{groups[0].kind} and {other.kind}"
                return f"read by two kernels that cannot be one: {kinds}"
        for reader, how in top:
            if not self._fits(node, reader, how, self.group[reader]):
                return reasons.misfit(node, reader, how)
        rows = any(how == "row" for _, how in top)
        for reader, _ in top:
            if not self._admits(node, self.group[reader], rows):
                return reasons.no_place(node, reader, self.group[reader].kind)
        return None

    def _join(self, node: Node, top: list[tuple[Node, str]]) -> Group:
        """The one group of all these readers with the node in it."""
        groups = list(dict.fromkeys(self.group[reader] for reader, _ in top))
        merged = groups[0]
        for other in groups[1:]:
            self._absorb(merged, other)
        if merged.kind == "loop" and any(how == "row" for _, how in top):
            merged.kind, merged.part = "rows", squeeze(node.tensor.shape)
        if node.op in CONTRACTIONS:
            merged.kind = "contraction"
        elif node.op in REDUCTIONS:
            self._reduce_into(node, merged)
        return merged

    def _mergeable(self, a: Group, b: Group) -> bool:
        if a.side != b.side:
            return False
        if (a.kind, a.full, a.part) == (b.kind, b.full, b.part):
            return a.kind in ("loop", "rows") or (
                a.kind == "columns" and self._columns_axes(a) == self._columns_axes(b)
            )
        if "loop" in (a.kind, b.kind):
            loop, other = (a, b) if a.kind == "loop" else (b, a)
            if other.kind == "contraction":
                return loop.full == other.full
            return loop.full == other.full if other.kind == "rows" else loop.full == other.part
        return False

    def _absorb(self, into: Group, other: Group) -> None:
        if into.kind == "loop":
            into.kind, into.full, into.part = other.kind, other.full, other.part
        into.members |= other.members
        for member in other.members:
            self.group[member] = into

    def _fits(self, node: Node, reader: Node, how: str, group: Group) -> bool:
        """Whether the reader can take the node's value from a register."""
        if how == "other":
            return False
        if reader.op in REDUCTIONS:
            if how != "same" or group.full != squeeze(node.tensor.shape):
                return False
            return group.kind == "rows" or OPS[node.op].elementwise or node.op in LOADS
        if how == "row":
            shape = squeeze(node.tensor.shape)
            if group.kind == "loop":  # may become rows
                return 0 < len(shape) < len(group.full) and group.full[: len(shape)] == shape
            return group.kind == "rows" and group.part == shape
        return True

    def _admits(self, node: Node, group: Group, rows: bool) -> bool:
        """Whether the group can compute the node, in its kind or in one it can turn into.

        rows: some reader takes one element a row, so that a loop would become rows.
        """
        shape = squeeze(node.tensor.shape)
        if rows and group.kind == "loop":
            group = Group(0, group.full, "rows", shape, group.members)
        if node.op in CONTRACTIONS:
            return group.kind == "loop" and group.full == shape
        if node.op == "scatter_add":
            return False
        if node.op in REDUCTIONS:
            trial = Group(0, group.full, group.kind, group.part, group.members)
            return self._reduce_into(node, trial)
        return shape in (group.full, group.part)

    def _merge_into_producers(self) -> None:
        """Merges a group into the lowest group it reads, when that is lower than all the others."""
        for group in sorted(set(self.group.values()), key=self._order):
            producers = self._producers(group)
            if not producers or group.kind not in ("loop", "rows"):
                continue
            lowest = min(producers, key=lambda g: g.height)
            alone = all(p is lowest or p.height > lowest.height for p in producers)
            mergeable = lowest.kind != "columns" and self._mergeable(lowest, group)
            if alone and mergeable and self._direct(lowest, group):
                self._absorb(lowest, group)

    def _sources(self, node: Node) -> list[Node]:
        """The kernel nodes whose memory or registers a node reads, seen through free nodes."""
        found = []
        for operand in self.operands[node]:
            if self.free(operand) or operand in self.views:
                found += self._sources(operand)
            elif operand.op != "input":
                found.append(operand)
        return found

    def _producers(self, group: Group) -> set[Group]:
        sources = {s for member in group.members for s in self._sources(member)}
        return {self.group[s] for s in sources} - {group}

    def _direct(self, producer: Group, group: Group) -> bool:
        """Whether every value that the group reads of the producer fits in a register."""
        for member in producer.members:
            for reader, _, how in self.readers(member):
                if reader in group.members and not self._fits(member, reader, how, group):
                    return False
        return True


def fuse(graph: Graph, prefix: str = "") -> Graph:
    """A graph of kernels: inputs, `fused` nodes, items of these, and views.

    Args:
        graph: what to fuse.
        prefix: of the kernels' names: that of the scan whose body the graph is.
    """
    legal = legalize(graph)
    fuser = Fuser(legal)
    groups = fuser.run()
    result = Graph(graph.name)
    new: dict[Node, Node] = {}
    for node in legal.inputs():
        new[node] = result.import_node(node, ())
    counts: dict[str, int] = defaultdict(int)
    for group in groups:
        counts[group.kind] += 1
        name = f"{prefix}{group.kind}.{counts[group.kind]}"
        if group.kind == "scan":
            _emit_scan(fuser, group, result, new, name)
        else:
            _emit(fuser, group, result, new, name)
    result.outputs = {name: new[node] for name, node in legal.outputs.items()}
    return result


def _emit(fuser: Fuser, group: Group, result: Graph, new: dict[Node, Node], name: str) -> None:
    """Adds a group's kernel to the graph: body, fused node, one item for each result."""
    body = Graph(name)
    inner: dict[Node, Node] = {}
    operands: list[Node] = []

    def inside(node: Node) -> Node:
        if node not in inner:
            if node in group.members or fuser.free(node):
                inner[node] = body.import_node(node, [inside(o) for o in fuser.operands[node]])
            else:
                operands.append(_memory(fuser, node, result, new))
                inner[node] = body.add(
                    "input", (), {"role": "data"}, type=node.tensor, name=body.free_name(node.name)
                )
        return inner[node]

    members = sorted(group.members, key=lambda node: node.index)
    for node in members:
        inside(node)
    written = [node for node in members if _read_outside(fuser, group, node)]
    body.outputs = {node.name: inner[node] for node in written}
    types = tuple(node.tensor for node in written)
    anchor = max(members, key=lambda n: (n.op in CONTRACTIONS, n.op in REDUCTIONS, n.index))
    attrs = {"kind": group.kind, "body": body}
    if all("again" in node.attrs for node in members):
        attrs["again"] = anchor.attrs["again"]
    kernel = result.add("fused", operands, attrs, type=types, scope=anchor.scope, name=name)
    for index, node in enumerate(written):
        new[node] = result.add(
            "item", (kernel,), {"index": index, "kept": _reason(fuser, group, node)},
            type=node.tensor, scope=node.scope, name=result.free_name(node.name),
        )  # fmt: skip


def _emit_scan(fuser: Fuser, group: Group, result: Graph, new: dict[Node, Node], name: str) -> None:
    """Adds a scan with its body fused, and an item for each result, read or not."""
    (node,) = group.members
    operands = [_memory(fuser, operand, result, new) for operand in fuser.operands[node]]
    attrs = {**node.attrs, "body": fuse(node.attrs["body"], f"{name}/")}
    scan = result.add("scan", operands, attrs, type=node.type, scope=node.scope, name=name)
    known = {item.attrs["index"]: item for item in fuser.users[node]}
    builder = Builder(result, node.scope)
    for index in range(len(node.type)):  # type: ignore[arg-type]
        item = builder.item(scan, index)
        if index in known:
            new[known[index]] = item


def _memory(fuser: Fuser, node: Node, result: Graph, new: dict[Node, Node]) -> Node:
    """The result graph's node for a value in memory: an input, an item, or a view of one."""
    if node not in new:
        source = _memory(fuser, fuser.operands[node][0], result, new)
        new[node] = result.import_node(node, (source,))
    return new[node]


def _reason(fuser: Fuser, group: Group, node: Node) -> str:
    """Why a kernel's value is written to memory."""
    if node in fuser.results:
        return "a result of the program"
    if "kept" in node.attrs:
        return str(node.attrs["kept"])
    outside = [
        reader
        for reader, _, how in fuser.readers(node)
        if fuser.group[reader] is not group or how == "other"
    ]
    return fuser.refusals.get(node) or reasons.later(outside[-1])


def _read_outside(fuser: Fuser, group: Group, node: Node) -> bool:
    if node in fuser.results:
        return True
    return any(
        fuser.group[reader] is not group or how == "other" for reader, _, how in fuser.readers(node)
    )
