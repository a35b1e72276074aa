"""What a caller must know to run a program: its arguments, its symbols, its memory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from llvmlite import ir

from graphc.ir.graph import Graph
from graphc.ir.place import arena_size, strip_memory
from graphc.ir.types import BATCH, Dim, Size, TensorType, evaluate

# The most rows of a batch that all threads go through a strip with together. What they are summed
# to depends on that, and so it does not depend on the number of threads.
FEW_ROWS = 3
PARAMETER_NAMES = ("threads", "steps", "rows", "batch")


@dataclass
class Program:
    """The module and what a caller must know to run it.

    Attributes:
        arguments: names of the inputs and outputs, in the order of `arguments`; the arena is last.
        symbols: symbolic dimensions other than batch, in the order of `parameters`.
        arena: bytes of the arena that buffers take, a sum of terms.
        strips: bytes of it for strips: each thread's own, and those a row of a batch of a few rows.
        scratch: bytes of the arena that each thread takes besides.
        functions: the name of each kernel's function; kernels that are alike share one.
        kept: of these functions, those that keep something in a loop, and how far below a thread's
            scratch memory.
        kept_bytes: what a thread keeps, all in all: a part of `scratch`.
    """

    module: ir.Module
    arguments: list[str]
    symbols: list[str]
    arena: tuple[Dim, ...]
    strips: tuple[int, int] = (0, 0)
    scratch: int = 0
    functions: dict[str, str] = field(default_factory=dict)
    kept: dict[str, int] = field(default_factory=dict)
    kept_bytes: int = 0

    def arena_bytes(self, threads: int, sizes: Mapping[str, int]) -> int:
        """Bytes of the arena, threads' memory included, for the symbols' values."""
        arena = sum(evaluate(term, sizes) for term in self.arena)
        own, shared = self.strips
        strips = max(own * threads, shared * min(sizes[BATCH], FEW_ROWS))
        return arena + self.scratch * threads + strips + 64


def streams(type_: TensorType) -> bool:
    """Whether an argument of this type has a row for each row of the batch."""
    return type_.rank > 0 and type_.shape[0] == Size((BATCH,))


def describe(graph: Graph) -> Program:
    """The program of a planned graph, its module empty."""
    state = {n.name for n in graph.inputs()}
    outputs = [name for name in graph.outputs if name not in state]
    arguments = [n.name for n in graph.inputs()] + outputs
    symbols = [s for s in graph.symbols() if s != BATCH]
    return Program(
        ir.Module(graph.name), arguments, symbols, arena_size(graph), strip_memory(graph)
    )
