"""A planned graph as one LLVM module, whose entry point runs many steps in a call.

entry(arguments, parameters): `arguments` holds an address for each input, each output that is not
a state's new value, and the arena; `parameters` holds int64s: threads, steps, rows, batch size, and
then the values of the other symbols. Step s works on rows [s * batch size, ...); inputs of role
data or index, and outputs, whose first dimension is `batch` move on by as many rows; outputs of
another shape get one value a step, one after the other. State is updated in place.
"""

from __future__ import annotations

from collections.abc import Collection

from llvmlite import ir

from graphc.ir.graph import Graph, Node
from graphc.ir.scan import parts
from graphc.ir.types import BATCH

from .interface import Program, describe
from .kernels import Kernels, Memory
from .target import Target
from .threads import emit_barrier, emit_entry, emit_wait
from .worker import Worker

ENTRY = "graphc_run"


def sized(graph: Graph, target: Target) -> Program:
    """The program of a planned graph without code: what memory it needs is known."""
    program = describe(graph)
    kernels = Memory(program.module, target, [], _has_few_rows(graph))
    _functions(graph, kernels)
    program.scratch = kernels.bytes_a_thread
    return program


def _has_few_rows(graph: Graph) -> bool:
    """Programs that update state train on batches; others predict, perhaps single rows."""
    return not any(n.name in graph.outputs for n in graph.inputs("state"))


def generate(graph: Graph, target: Target, worker: type[Worker] | None = None) -> Program:
    """The module of a scheduled graph with places.

    Args:
        worker: what emits the steps; `Worker` by default.

    Raises:
        Unsupported: naming the kernel, its layer and what there is no code for.
    """
    program = describe(graph)
    module = program.module
    kernels = Kernels(module, target, [BATCH, *program.symbols], _has_few_rows(graph))
    functions = _functions(graph, kernels)
    program.functions = {node.name: function.name for node, function in functions.items()}
    program.kept, program.kept_bytes = kernels.kept, kernels.kept_bytes
    program.scratch = kernels.bytes_a_thread
    wait = emit_wait(module, target)
    barrier = emit_barrier(module, target, wait)
    steps = (worker or Worker)(graph, program, target, barrier, functions).emit()
    emit_entry(module, target, ENTRY, steps, wait)
    return program


def _functions(
    graph: Graph, kernels: Kernels, constants: Collection[Node] = ()
) -> dict[Node, ir.Function]:
    """The function of each fused node, in scans' bodies too.

    Args:
        constants: of the loop that the graph is the body of.
    """
    functions: dict[Node, ir.Function] = {}
    for place, node in enumerate(graph.nodes()):
        if node.op == "fused":
            functions[node] = kernels.function(graph, node, constants, place)
        elif node.op == "scan":
            body: Graph = node.attrs["body"]
            functions |= _functions(body, kernels, parts(body.inputs(), node.attrs).constants)
    return functions
