"""Programs that time themselves: the ordinary one's kernels, with a clock read behind each.

The times of a thread are nanoseconds, one number for each of `measured(graph)`, added up over the
steps in the thread's row of the state input COUNTERS.
"""

from __future__ import annotations

import time

from llvmlite import ir

from graphc.ir.graph import Graph, Node
from graphc.ir.ops import KERNELS
from graphc.ir.place import Place, round_up
from graphc.ir.types import TensorType

from .builder import I32, I64, PTR, Emitter, i64
from .interface import Program
from .program import generate
from .target import Target
from .worker import Worker

COUNTERS = "profile/nanoseconds"


def measured(graph: Graph) -> list[Node | None]:
    """What has a counter, in order: barriers (None), kernels and scans, those in bodies too."""

    def inside(graph: Graph) -> list[Node]:
        found = []
        for node in graph.nodes():
            if node.op in KERNELS:
                found += [node, *(inside(node.attrs["body"]) if node.op == "scan" else [])]
        return found

    return [None, *inside(graph)]


def generate_profiled(graph: Graph, target: Target, threads: int) -> tuple[Graph, Program]:
    """A planned graph with its counters, and its module.

    Args:
        threads: the most that will run it.
    """
    graph, _ = graph.copy()
    # No two threads write to one cache line.
    columns = round_up(8 * len(measured(graph))) // 8
    graph.add(
        "input", (), {"role": "state", "place": str(Place(COUNTERS))},
        type=TensorType("i64", (threads, columns)), name=COUNTERS,
    )  # fmt: skip
    return graph, generate(graph, target, ProfilingWorker)


class ProfilingWorker(Worker):
    """The steps, with a clock."""

    def emit(self) -> ir.Function:
        """The function, made with those that it calls."""
        self.slots = {node: at for at, node in enumerate(measured(self.graph))}
        self.clock = emit_clock(self.program.module, self.target)
        return super().emit()

    def begin(self) -> None:
        """Finds the thread's counters, and starts the clock."""
        e = self.e
        _, columns = self.graph[COUNTERS].tensor.shape
        own = e.mul(self.thread, columns)
        self.counters = e.address(self.bases[COUNTERS], "i64", own)
        self.last = e.ir.alloca(I64)
        e.ir.store(e.ir.call(self.clock, []), self.last)

    def done(self, kernel: Node | None) -> None:
        """Adds the time since the last call to the kernel's counter."""
        e = self.e
        now, before = e.ir.call(self.clock, []), e.ir.load(self.last, typ=I64)
        e.ir.store(now, self.last)
        counter = e.address(self.counters, "i64", i64(self.slots[kernel]))
        total = e.add(e.ir.load(counter, typ=I64), e.sub(now, before))
        e.ir.store(total, counter)


def emit_clock(module: ir.Module, target: Target) -> ir.Function:
    """clock(): nanoseconds."""
    function = ir.Function(module, ir.FunctionType(I64, []), "clock_nanoseconds")
    function.linkage = "internal"
    e = Emitter(function, target, {})
    place = e.ir.alloca(I64, size=2)
    read = e.declare("clock_gettime", I32, I32, PTR)
    e.ir.call(read, [ir.Constant(I32, time.CLOCK_MONOTONIC), place])
    seconds, rest = (e.ir.load(e.address(place, "i64", i64(at)), typ=I64) for at in (0, 1))
    e.ir.ret(e.add(e.mul(seconds, 1_000_000_000), rest))
    return function
