"""Graphs in text form: passes over one, and runs of one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np

from graphc.compiler import compile_trace
from graphc.errors import unknown_name
from graphc.ir.graph import Graph, GraphError
from graphc.ir.interpret import interpret
from graphc.ir.types import BATCH, DTYPES, Size, divide, evaluate
from graphc.ir.verify import verify
from graphc.passes import shapes
from graphc.passes.fuse import fuse
from graphc.passes.gradient import gradient
from graphc.passes.legalize import legalize
from graphc.passes.manager import Pass, PassManager
from graphc.passes.memory import plan_memory
from graphc.passes.recompute import recompute
from graphc.passes.schedule import schedule
from graphc.passes.shapes import Builder
from graphc.trace import Trace, Variable

PASSES = {
    "forward": "simplify, keeping what a gradient may need",
    "gradient": "adds the gradient of the loss",
    "simplify": "folds constants, applies identities, shares equal nodes, drops dead ones",
    "recompute": "keeps less for the backward pass, and does cheap work again",
    "segments": "keeps still less: does products again as well, a segment at a time",
    "legalize": "what fuse begins with: brings nodes to what single kernels can do",
    "fuse": "groups nodes into kernels",
    "schedule": "orders kernels into phases, and those that go through the batch in strips",
    "memory": "gives every value a place",
}


def run_passes(
    graph: Graph, names: Sequence[str], loss: str | None = None, wrt: Sequence[str] = ()
) -> Graph:
    """The graph after these passes, verified after each.

    Args:
        names: of passes, in order.
        loss: for gradient: the output to differentiate; the only one by default.
        wrt: for gradient: the inputs; all state of floats by default.

    Raises:
        ValueError: for an unknown pass, output or input.
        GraphError: when a pass leaves a broken graph, or cannot take the one it is given.
    """
    manager = PassManager(check=True)
    simple: dict[str, Pass] = {
        "recompute": partial(recompute, plan="small"),
        "segments": partial(recompute, plan="segments"),
        "legalize": legalize,
        "fuse": fuse,
        "schedule": schedule,
        "memory": plan_memory,
    }
    for name in names:
        if name in ("forward", "simplify"):
            graph = manager.simplify(graph, name, differentiated=name == "simplify")
        elif name == "gradient":
            graph = _differentiated(graph, loss, wrt)
            manager.keep(name, graph, 0.0)
        elif name in simple:
            graph = manager.run(graph, [(name, simple[name])])
        else:
            raise unknown_name("pass", name, PASSES)
    return graph


def _differentiated(graph: Graph, loss: str | None, wrt: Sequence[str]) -> Graph:
    if loss is None and len(graph.outputs) != 1:
        raise ValueError(f"gradient: name the loss, one of the outputs {', '.join(graph.outputs)}")
    loss = loss or next(iter(graph.outputs))
    if loss not in graph.outputs:
        raise unknown_name("output", loss, graph.outputs)
    inputs = {node.name: node for node in graph.inputs()}
    names = list(wrt) or [n.name for n in graph.inputs("state") if n.tensor.is_float]
    for name in names:
        if name not in inputs:
            raise unknown_name("input", name, inputs)
    return gradient(graph, loss, names)


def run_graph(
    graph: Graph, feeds: Mapping[str, np.ndarray], compiled: bool = False
) -> dict[str, np.ndarray]:
    """The graph's outputs by name.

    Args:
        feeds: an array for each input; its dtype is converted to the input's, its shape gives
            symbols their values.
        compiled: runs native code, not the interpreter.

    Raises:
        ValueError: when an input is missing or does not fit.
        GraphError: when a graph that passes have fused is to be compiled.
    """
    verify(graph)
    shapes.check(graph)
    symbols: dict[str, int] = {}
    arrays = {}
    for node in graph.inputs():
        if node.name not in feeds:
            raise ValueError(f"input %{node.name}: {node.tensor} is not fed; use --feed")
        arrays[node.name] = np.ascontiguousarray(feeds[node.name], DTYPES[node.tensor.dtype])
        _bind(node.name, node.tensor.shape, arrays[node.name].shape, symbols)
    if extra := sorted(set(feeds) - set(arrays)):
        raise unknown_name("input", extra[0], arrays)
    return _native(graph, arrays, symbols) if compiled else interpret(graph, arrays, symbols)


def _bind(
    name: str, expected: tuple[int | Size, ...], shape: tuple[int, ...], symbols: dict[str, int]
) -> None:
    """Takes symbols' values from an array's shape; a lone symbol's, as inputs have them."""
    fits = len(expected) == len(shape)
    for dim, size in zip(expected, shape, strict=False):
        if isinstance(dim, Size) and len(dim.symbols) == 1 and dim.symbols[0] not in symbols:
            value = divide(size, dim.factor)
            fits = fits and isinstance(value, int)
            symbols[dim.symbols[0]] = value if isinstance(value, int) else 1
        fits = fits and evaluate(dim, symbols) == size
    if not fits:
        known = ", ".join(f"{s}={v}" for s, v in symbols.items())
        raise ValueError(
            f"input %{name}: expected shape [{', '.join(map(str, expected))}]"
            f"{f' ({known})' if known else ''}, got {list(shape)}"
        )


def _native(
    graph: Graph, arrays: Mapping[str, np.ndarray], symbols: dict[str, int]
) -> dict[str, np.ndarray]:
    if any(node.op == "fused" for node in graph.nx):
        raise GraphError(f"graph {graph.name} is fused already: compile one from before fuse")
    trace = Trace(graph.name)
    trace.graph, trace.builder = graph, Builder(graph)
    state = {n.name: Variable(arrays[n.name], n.name, dtype=arrays[n.name].dtype.name)
             for n in graph.inputs("state")}  # fmt: skip
    trace.names.update({variable: name for name, variable in state.items()})
    program = compile_trace(trace)
    results = {
        name: np.empty([evaluate(d, symbols) for d in shape], dtype)
        for name, (dtype, shape) in program.output_types().items()
    }
    others = {n: a for n, a in arrays.items() if n not in state}
    addresses = {n: a.ctypes.data for n, a in {**others, **results}.items()}
    rest = dict(symbols)
    batch = rest.pop(BATCH, 1)
    program.run(addresses, steps=1, rows=batch, batch=batch, symbols=rest)
    return {n: results[n] if n in results else state[n].value for n in graph.outputs}
