"""Small graphs for tests: how to build them, feed them, and bring them through the passes."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from graphc.compiler import build as run_passes
from graphc.ir.graph import Graph, Node
from graphc.ir.types import DTYPES, Dim, Size, TensorType, evaluate
from graphc.ir.verify import verify
from graphc.passes import shapes
from graphc.passes.shapes import Builder
from graphc.trace import Trace

Array = np.ndarray
Build = Callable[..., Any]

BATCH = Size(("batch",))


def tensor(dtype: str, *shape: Dim) -> TensorType:
    return TensorType(dtype, shape)


def typed(text: str) -> TensorType:
    """The type that a text such as "f32[2*batch, 3]" names."""
    dtype, dims = re.fullmatch(r"(\w+)\[(.*)\]", text).groups()  # type: ignore[union-attr]
    return TensorType(dtype, tuple(_dim(part.strip()) for part in dims.split(",") if part.strip()))


def _dim(text: str) -> Dim:
    factors = text.split("*")
    symbols = tuple(f for f in factors if not f.isdigit())
    number = int(np.prod([int(f) for f in factors if f.isdigit()], dtype=int))
    return Size(symbols, number) if symbols else number


def build(function: Build, *types: TensorType | str, states: Sequence[int] = ()) -> Graph:
    """The graph of function(builder, x0, x1 ...), an output "y" or several by name.

    Args:
        types: of the inputs.
        states: which inputs are state.
    """
    builder = Builder(Graph("test"))
    inputs = []
    for at, given in enumerate(types):
        type_ = typed(given) if isinstance(given, str) else given
        role = "state" if at in states else "data"
        inputs.append(builder.graph.add("input", (), {"role": role}, type=type_, name=f"x{at}"))
    result = function(builder, *inputs)
    outputs = {"y": result} if isinstance(result, Node) else dict(result)
    builder.graph.outputs.update(outputs)
    verify(builder.graph)
    shapes.check(builder.graph)
    return builder.graph


def example(type_: TensorType, seed: int = 0, symbols: Mapping[str, int] | None = None) -> Array:
    """Random values of a type: of size about 1 for floats, small for ints."""
    random = np.random.default_rng(seed)
    shape = tuple(evaluate(dim, dict(symbols or {})) for dim in type_.shape)
    if type_.is_float:
        return np.asarray(random.normal(size=shape), DTYPES[type_.dtype])
    low = 0 if type_.dtype[0] in "ub" else -9
    high = 2 if type_.dtype == "bool" else 10
    return np.asarray(random.integers(low, high, shape), DTYPES[type_.dtype])


def examples(
    graph: Graph, seed: int = 0, symbols: Mapping[str, int] | None = None
) -> dict[str, Array]:
    """An example for each input of a graph."""
    seeds = itertools.count(seed)
    return {n.name: example(n.tensor, next(seeds), symbols) for n in graph.inputs()}


def trace_of(graph: Graph) -> Trace:
    """A trace that made this graph."""
    trace = Trace(graph.name)
    trace.graph = graph
    trace.builder = Builder(graph)
    return trace


def stages(graph: Graph, check: bool = True) -> dict[str, Graph]:
    """The graph after each pass of a program without training, each verified."""
    manager = run_passes(trace_of(graph), check=check)
    return {record.name: record.graph for record in manager.records}


def ops_of(graph: Graph) -> list[str]:
    """The ops of a graph's nodes other than inputs, sorted, those of kernels' bodies included."""
    found = []
    for node in graph.nodes():
        body = node.attrs.get("body")
        found += ops_of(body) if isinstance(body, Graph) else [node.op]
    return sorted(op for op in found if op not in ("input", "item"))


def kernels(graph: Graph) -> list[tuple[str, list[str]]]:
    """(kind, ops of the body) of each kernel, in order."""
    return [
        (str(node.attrs["kind"]), ops_of(node.attrs["body"]))  # type: ignore[arg-type]
        for node in graph.nodes()
        if node.op == "fused"
    ]
