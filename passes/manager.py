"""The pass manager: runs passes in order, times each, verifies after each when asked."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from graphc.ir.graph import Graph
from graphc.ir.verify import verify

from . import shapes
from .simplify import Rewrite, simplify

Pass = Callable[[Graph], Graph]


@dataclass
class Record:
    """What one pass did: its name, the graph after it, seconds, and rewrites where it has any."""

    name: str
    graph: Graph
    seconds: float
    rewrites: list[Rewrite] = field(default_factory=list)


@dataclass
class PassManager:
    """Runs passes and keeps a record of each.

    Args:
        check: verifies structure and types after each pass.
        watch: is called with each record as it is made, before it is verified.
    """

    check: bool = False
    watch: Callable[[Record], object] | None = None
    records: list[Record] = field(default_factory=list)

    def run(self, graph: Graph, passes: Sequence[tuple[str, Pass]]) -> Graph:
        """The graph after all passes.

        Raises:
            GraphError: when checking, naming the pass that left a broken graph.
        """
        for name, function in passes:
            start = time.perf_counter()
            graph = function(graph)
            self.keep(name, graph, time.perf_counter() - start)
        return graph

    def simplify(self, graph: Graph, name: str, differentiated: bool) -> Graph:
        """Runs `simplify` and records its rewrites as well."""
        start = time.perf_counter()
        graph, rewrites = simplify(graph, differentiated)
        self.keep(name, graph, time.perf_counter() - start, rewrites)
        return graph

    def keep(
        self, name: str, graph: Graph, seconds: float, rewrites: Sequence[Rewrite] = ()
    ) -> None:
        """Records a stage."""
        self.records.append(Record(name, graph, seconds, list(rewrites)))
        if self.watch is not None:
            self.watch(self.records[-1])
        if self.check:
            verify(graph)
            shapes.check(graph)
