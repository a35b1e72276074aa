"""Runs a planned graph in real bytes, kernel by kernel: sees values that overwrite each other."""

from __future__ import annotations

import itertools
from collections.abc import Mapping

import numpy as np

from graphc.ir.graph import Graph, Node
from graphc.ir.interpret import interpret
from graphc.ir.place import arena_bytes, buffer_size, place_of, reading_kernels, strip_memory
from graphc.ir.types import BATCH, DTYPES, evaluate

Array = np.ndarray


class MemoryMachine:
    """The memory of one program: its arguments, its arena, and that of its strips.

    Strips take the whole batch at a time here, as natively when its rows are few.

    Args:
        graph: as planned.
        feeds: an array for each input; state is copied and changes.
        symbols: values of all symbols.
    """

    def __init__(self, graph: Graph, feeds: Mapping[str, Array], symbols: dict[str, int]) -> None:
        self.graph, self.symbols = graph, symbols
        self.arguments = {n.name: np.array(feeds[n.name], order="C") for n in graph.inputs()}
        for name, node in graph.outputs.items():
            if name not in self.arguments:
                self.arguments[name] = np.zeros(self._shape(node), DTYPES[node.tensor.dtype])
        self.arena = np.full(arena_bytes(graph, symbols), 0x7F, np.uint8)
        room = strip_memory(graph)[0] * symbols.get(BATCH, 0)
        self.strips = np.full(room, 0x7F, np.uint8)

    def _shape(self, node: Node) -> tuple[int, ...]:
        return tuple(evaluate(dim, self.symbols) for dim in node.tensor.shape)

    def _memory(self, node: Node) -> Array:
        """The memory of an input, an item or a view."""
        place, shape = place_of(node.attrs), self._shape(node)
        if place.argument:
            return self.arguments[place.argument].reshape(shape)
        start, stop = byte_range(node, self.symbols, padded=False)
        memory = self.strips if place.in_strip else self.arena
        return memory[start:stop].view(DTYPES[node.tensor.dtype]).reshape(shape)

    def run(self, backwards: bool = False) -> dict[str, Array]:
        """The outputs after one step, kernels of a phase in one order or the other."""
        phases = itertools.groupby(
            (n for n in self.graph.nodes() if n.op == "fused"), lambda n: n.attrs["phase"]
        )
        for _, group in phases:
            kernels = list(group)
            for kernel in reversed(kernels) if backwards else kernels:
                self._run_kernel(kernel)
        return {name: self.arguments[name].copy() for name in self.graph.outputs}

    def _run_kernel(self, kernel: Node) -> None:
        body = kernel.attrs["body"]
        assert isinstance(body, Graph)
        operands = self.graph.operands(kernel)
        feeds = {
            inner.name: self._memory(operand).copy()
            for inner, operand in zip(body.inputs(), operands, strict=True)
        }
        results = list(interpret(body, feeds, self.symbols).values())
        for item in self.graph.users(kernel):
            index = item.attrs["index"]
            assert isinstance(index, int)
            self._memory(item)[...] = results[index]


def byte_range(node: Node, symbols: dict[str, int], padded: bool = True) -> tuple[int, int]:
    """The arena's bytes that a value in it takes, up to the next cache line when padded."""
    start = sum(evaluate(term, symbols) for term in place_of(node.attrs).offset)
    used = evaluate(node.tensor.elements, symbols) * node.tensor.itemsize
    return start, start + (evaluate(buffer_size(node.tensor), symbols) if padded else used)


def overlaps(graph: Graph, symbols: dict[str, int]) -> list[tuple[Node, Node]]:
    """Pairs of values that share bytes of the arena, or of strips, and are alive together.

    Outside of a strip's memory, all of its phases are one: threads go through them on their own.
    """
    values = []
    for item in (n for n in graph.nodes() if n.op == "item"):
        if not place_of(item.attrs).argument:
            kernels = [graph.operands(item)[0], *reading_kernels(graph, item)]
            phases = [p for k in kernels for p in _phases(graph, k, place_of(item.attrs).in_strip)]
            values.append((item, *byte_range(item, symbols), min(phases), max(phases)))
    return [
        (a[0], b[0])
        for a, b in itertools.combinations(values, 2)
        if place_of(a[0].attrs).in_strip == place_of(b[0].attrs).in_strip
        and a[1] < b[2] and b[1] < a[2] and a[3] <= b[4] and b[3] <= a[4]
    ]  # fmt: skip


def _phases(graph: Graph, kernel: Node, in_strip: bool) -> list[int]:
    """The phases in which threads may be at a kernel, or at another one of its strip."""
    together = [kernel]
    if "strip" in kernel.attrs and not in_strip:
        together = [n for n in graph.nodes() if n.attrs.get("strip") == kernel.attrs["strip"]]
    return [int(str(k.attrs["phase"])) for k in together]
