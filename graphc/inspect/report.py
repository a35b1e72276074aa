"""What the compiler did with a program, in numbers: what `explain` prints and the page shows."""

from __future__ import annotations

from dataclasses import dataclass

from graphc.compiler import Executable
from graphc.costs import kernels
from graphc.ir.graph import Graph, Node
from graphc.ir.ops import ANNOTATIONS, CONTRACTIONS
from graphc.ir.place import arena_bytes, buffer_size, place_of, reading_kernels, strip_memory
from graphc.ir.types import BATCH, evaluate
from graphc.passes.legalize import FREE
from graphc.passes.shapes import multiplications

ROWS = 32  # Keras's batch size, where numbers depend on one


@dataclass(frozen=True)
class Kernel:
    """One kernel: its function, what it computes and for whom.

    Attributes:
        phase: kernels of one phase run together; a loop's count for themselves.
        layers: that its nodes come from.
        ops: of its body, what costs nothing left out.
        operations: about how many a step of `ROWS` rows takes.
    """

    name: str
    function: str
    kind: str
    phase: int
    layers: tuple[str, ...]
    ops: tuple[str, ...]
    operations: int


@dataclass(frozen=True)
class Buffer:
    """A value in memory: its place in the arena, its life, and why it is there.

    Attributes:
        kernel: that writes it.
        origin, part: of the node's scope: where it descends from, and forward, backward or update.
        offset, size: in bytes in a step of `ROWS` rows; the offset of a program's argument is None.
        born, last: phases.
    """

    name: str
    kernel: str
    type: str
    layer: str
    origin: int
    part: str
    why: str
    offset: int | None
    size: int
    born: int
    last: int


def sizes(graph: Graph) -> dict[str, int]:
    """The symbols' values that reports reckon with: `ROWS` for the batch, otherwise 1."""
    return {**dict.fromkeys(graph.symbols(), 1), BATCH: ROWS}


def kernel_list(program: Executable) -> list[Kernel]:
    """The kernels of a program, in the order in which they run."""
    found = []
    known = sizes(program.graph)
    for node, _ in kernels(program.graph, known):
        body: Graph = node.attrs["body"]
        costly = [n for n in body.nodes() if n.op != "input" and n.op not in FREE]
        operations = sum(
            2 * evaluate(multiplications(body, n), known)
            if n.op in CONTRACTIONS
            else evaluate(n.tensor.elements, known)
            for n in costly
        )
        layers = tuple(dict.fromkeys(n.scope.layer for n in costly if n.scope.layer))
        ops = tuple(dict.fromkeys(n.op for n in costly))
        function = program.code.generated.functions[node.name]
        kind, phase = str(node.attrs["kind"]), int(node.attrs["phase"])
        found.append(Kernel(node.name, function, kind, phase, layers, ops, operations))
    return found


def buffers(graph: Graph, known: dict[str, int]) -> list[Buffer]:
    """The values that a planned graph's kernels write, arguments included, loops' bodies' not."""
    found = []
    for item in graph.nodes():
        if item.op != "item":
            continue
        (kernel,) = graph.operands(item)
        phases = [k.attrs["phase"] for k in (kernel, *reading_kernels(graph, item))]
        offset, size = _bytes(graph, item, known)
        why = str(item.attrs.get("kept", "a loop's result"))
        found.append(
            Buffer(
                item.name, kernel.name, str(item.type), item.scope.layer, item.scope.origin,
                item.scope.phase, why, offset, size, phases[0], max(phases),
            )
        )  # fmt: skip
    return found


def _bytes(graph: Graph, item: Node, known: dict[str, int]) -> tuple[int | None, int]:
    """A value's offset, None for an argument, and its size; strips' memory is behind the arena."""
    place, start = place_of(item.attrs), 0
    if place.in_strip:
        start = arena_bytes(graph, known)
        known = {**known, BATCH: graph.operands(item)[0].attrs["strip_rows"]}
    size = evaluate(buffer_size(item.tensor), known)
    if place.argument:
        return None, size
    return start + sum(evaluate(term, known) for term in place.offset), size


@dataclass(frozen=True)
class Memory:
    """Bytes at a batch of `ROWS` rows.

    Attributes:
        arena: what the plan takes, a strip's memory for one thread included.
        apart: what it would take if each value had a place of its own.
        registers: values that kernels make and never write.
    """

    arena: int
    apart: int
    registers: int


def memory(graph: Graph, known: dict[str, int]) -> Memory:
    """What a planned graph takes and saves."""
    items = (n for n in graph.nodes() if n.op == "item" and not place_of(n.attrs).argument)
    apart = sum(evaluate(buffer_size(item.tensor), known) for item in items)
    inner = [node.attrs["body"] for node in graph.nx if node.op == "scan"]
    apart += max((memory(body, known).apart for body in inner), default=0)
    registers = 0
    for node, _ in kernels(graph, known):
        body: Graph = node.attrs["body"]
        written = set(body.outputs.values())
        registers += sum(
            evaluate(n.tensor.elements, known) * n.tensor.itemsize
            for n in body.nx
            if n not in written and n.op != "input" and n.op not in FREE
        )
    return Memory(arena_bytes(graph, known) + strip_memory(graph)[0], apart, registers)


def recomputed(graph: Graph) -> list[tuple[Node, list[str]]]:
    """Values that several kernels make again rather than read: one node, and the kernels' names.

    Scalars, and what is free to make, are left out.
    """
    numbers: dict[object, int] = {}
    value: dict[Node, int] = {}
    makers: dict[int, tuple[Node, list[str]]] = {}

    def number(key: object) -> int:
        return numbers.setdefault(key, len(numbers))

    def plain(node: Node, operands: list[int]) -> int:
        attrs = {k: v for k, v in node.attrs.items() if k not in ANNOTATIONS}
        return number((node.op, repr(sorted(attrs.items())), str(node.type), *operands))

    for node in graph.nodes():
        operands = graph.operands(node)
        if node.op == "fused":
            body: Graph = node.attrs["body"]
            given = dict(zip(body.inputs(), operands, strict=True))
            for inner in body.nodes():
                if inner in given:
                    value[inner] = value[given[inner]]
                    continue
                value[inner] = plain(inner, [value[o] for o in body.operands(inner)])
                if inner.op not in FREE and inner.tensor.rank:
                    makers.setdefault(value[inner], (inner, []))[1].append(node.name)
        elif node.op == "item" and operands[0].op == "fused":
            body = operands[0].attrs["body"]
            value[node] = value[list(body.outputs.values())[node.attrs["index"]]]
        elif node.op in ("input", "scan", "item"):
            value[node] = number((node.name,))
        else:
            value[node] = plain(node, [value[o] for o in operands])
    return [(node, names) for node, names in makers.values() if len(set(names)) > 1]
