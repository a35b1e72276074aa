"""The memory plan: every value's place.

A result's place is the program's argument of that name, so state is updated in place; every other
value has an offset in one arena, whose space is used again when the last phase that reads the
value is over. Sizes are linear in the symbols, so buffers are kept apart by their symbols: first
those of fixed size, then those proportional to `batch`, and so on; offsets hold for any values.
In a loop without barriers no space is used again, as threads are at different phases.

Threads are in different phases of a strip, too. Values that only its kernels read have places in
memory of the thread's own, used again as soon as their last reader is done; for all others the
strip is as one phase.
"""

from __future__ import annotations

from bisect import insort
from collections import defaultdict
from collections.abc import Mapping

from graphc.ir.graph import Graph, Node
from graphc.ir.ops import KERNELS
from graphc.ir.place import Place, buffer_size, reading_kernels, split, strip_of
from graphc.ir.types import Dim, Size

from .strips import is_within


class FreeList:
    """First-fit allocation in a growing range of bytes."""

    def __init__(self) -> None:
        self.free: list[tuple[int, int]] = []  # (start, end), sorted, not adjacent
        self.end = 0

    def allocate(self, size: int) -> int:
        """The start of `size` bytes that are in use from now on."""
        for at, (start, end) in enumerate(self.free):
            if end - start >= size:
                self.free[at : at + 1] = [(start + size, end)] if end - start > size else []
                return start
        if self.free and self.free[-1][1] == self.end:
            start, _ = self.free.pop()
        else:
            start = self.end
        self.end = start + size
        return start

    def release(self, start: int, size: int) -> None:
        """Gives bytes back."""
        insort(self.free, (start, start + size))
        joined: list[tuple[int, int]] = []
        for low, high in self.free:
            if joined and joined[-1][1] == low:
                joined[-1] = (joined[-1][0], high)
            else:
                joined.append((low, high))
        self.free = joined


# When a value is made and when it is read for the last time.
Life = tuple[int, int]


def _lives(graph: Graph, items: list[Node]) -> dict[Node, Life]:
    """The phases in which these values are made, and read for the last time."""
    kernels = [n for n in graph.nodes() if n.op in KERNELS]
    strips: dict[int, Life] = {}
    for kernel in kernels:  # in the order of their phases
        phase, number = kernel.attrs["phase"], strip_of(kernel)
        strips[number] = strips.get(number, (phase,))[0], phase

    def ends(kernel: Node) -> Life:
        phase, number = kernel.attrs["phase"], strip_of(kernel)
        return strips[number] if number else (phase, phase)

    lives = {}
    for item in items:
        (kernel,) = graph.operands(item)
        if "owned" in kernel.attrs and kernel.op == "fused":
            lives[item] = (0, len(kernels))
            continue
        lives[item] = (
            ends(kernel)[0],
            max(ends(k)[1] for k in (kernel, *reading_kernels(graph, item))),
        )
    return lives


def _starts(lives: Mapping[Node, Life]) -> tuple[dict[Node, int], dict[tuple[str, ...], int]]:
    """Where values start among those with the same symbols, and how much each kind takes."""
    lists: dict[tuple[str, ...], FreeList] = defaultdict(FreeList)
    starts: dict[Node, int] = {}
    born: dict[int, list[Node]] = defaultdict(list)
    last: dict[int, list[Node]] = defaultdict(list)
    for item, (first, end) in lives.items():
        born[first].append(item)
        last[end].append(item)
    for phase in range(max([*born, *last], default=-1) + 1):
        for item in born[phase]:
            symbols, size = split(buffer_size(item.tensor))
            starts[item] = lists[symbols].allocate(size)
        for item in last[phase]:
            symbols, size = split(buffer_size(item.tensor))
            lists[symbols].release(starts[item], size)
    return starts, {symbols: free.end for symbols, free in lists.items()}


def _in_strips(graph: Graph, items: list[Node]) -> dict[Node, Place]:
    """Places of values that only kernels of one strip read."""
    members: dict[int, set[Node]] = defaultdict(set)
    for kernel in graph.nodes():
        if number := strip_of(kernel):
            members[number].add(kernel)
    results = set(graph.outputs.values())
    within: dict[int, dict[Node, Life]] = defaultdict(dict)
    for item in items:
        (kernel,) = graph.operands(item)
        number = strip_of(kernel)
        if number and is_within(graph, item, members[number], results):
            phases = [k.attrs["phase"] for k in (kernel, *reading_kernels(graph, item))]
            within[number][item] = (phases[0], max(phases))
    places = {}
    for lives in within.values():
        for item, start in _starts(lives)[0].items():
            symbols, _ = split(buffer_size(item.tensor))
            places[item] = Place("", (Size(symbols, start),) if start else (), in_strip=True)
    return places


def _offsets(graph: Graph, items: list[Node]) -> dict[Node, tuple[Dim, ...]]:
    """Arena offsets of these values."""
    starts, sizes = _starts(_lives(graph, items))
    bases: dict[tuple[str, ...], tuple[Dim, ...]] = {}
    base: tuple[Dim, ...] = ()
    for symbols in sorted(sizes):
        bases[symbols] = base
        base += (Size(symbols, sizes[symbols]) if symbols else sizes[symbols],)
    offsets = {}
    for item, start in starts.items():
        symbols, _ = split(buffer_size(item.tensor))
        own: Dim = Size(symbols, start) if symbols else start
        offsets[item] = tuple(t for t in (*bases[symbols], own) if split(t)[1])
    return offsets


def plan_memory(graph: Graph) -> Graph:
    """The scheduled graph with a place on every input, item and view."""
    named = {node: Place(name) for name, node in graph.outputs.items()}
    items = [n for n in graph.nodes() if n.op == "item"]
    given = named | _in_strips(graph, [item for item in items if item not in named])
    offsets = _offsets(graph, [item for item in items if item not in given])
    result = Graph(graph.name)
    new: dict[Node, Node] = {}
    places: dict[Node, Place] = {}
    for node in graph.nodes():
        operands = graph.operands(node)
        if node.op in KERNELS:
            planned = {"body": plan_memory(node.attrs["body"])} if node.op == "scan" else {}
            new[node] = result.import_node(node, [new[o] for o in operands], **planned)
            continue
        if node.op == "input":
            places[node] = Place(node.name)
        elif node.op == "item":
            places[node] = given.get(node) or Place("", offsets[node])
        else:
            places[node] = places[operands[0]]
        new[node] = result.import_node(node, [new[o] for o in operands], place=str(places[node]))
    result.outputs = {name: new[node] for name, node in graph.outputs.items()}
    return result
