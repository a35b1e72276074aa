"""Loops."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from graphc.ir.graph import Graph, Node
from graphc.ir.types import Dim
from graphc.trace import Tensor, current
from graphc.tree import flatten, unflatten

from .base import cast, convert_to_tensor, recorded

Step = Callable[[Any, Any], tuple[Any, Any]]


@recorded
def scan(
    f: Step, init: Any, xs: Any = None, length: Dim | None = None, reverse: bool = False,
    unroll: int | bool = 1,
) -> tuple[Any, Any]:  # fmt: skip
    """A loop that carries values from step to step and stacks results, as `keras.ops.scan`.

    The body is traced once and compiled once, whatever the number of steps.

    Args:
        f: (carry, x) -> (new carry, y); the new carry has the carry's shapes and dtypes.
        init: the first carry: a tensor, or nested lists, tuples or dicts of them.
        xs: tensors whose first axis the steps go along, nested or not; None to have a length only.
        length: the number of steps, when xs does not tell.
        reverse: from the last element of xs to the first; results stay in the order of xs.
        unroll: accepted and not needed.

    Returns:
        The last carry, and y of all steps, stacked along a new first axis.

    Raises:
        ValueError: when lengths differ or are missing, or a carry changes its shape.
    """
    carries = [convert_to_tensor(x) for x in flatten(init)]
    sequences = [convert_to_tensor(x) for x in _leaves(xs)]
    steps = _length(sequences, length)
    trace = current()
    with trace.body("scan") as captured:
        inputs = [trace.input(f"carry_{at}", t.type, "state") for at, t in enumerate(carries)] + [
            trace.input(f"x_{at}", t.type.with_shape(t.shape[1:])) for at, t in enumerate(sequences)
        ]
        state, element = inputs[: len(carries)], inputs[len(carries) :]
        x = unflatten(xs, iter(element)) if sequences else None
        carry, y = f(unflatten(init, iter(state)), x)
        new = [cast(value, t.dtype) for value, t in zip(flatten(carry), carries, strict=True)]
        stacked = [convert_to_tensor(value) for value in _leaves(y)]
        for at, (value, t) in enumerate(zip(new, carries, strict=True)):
            if value.shape != t.shape:
                raise ValueError(
                    f"scan: carry {at} has shape {list(t.shape)}, its new value {list(value.shape)}"
                )
            trace.output(f"carry_{at}", value)
        for at, value in enumerate(stacked):
            trace.output(f"y_{at}", value)
        body = _in_order(trace.graph, list(captured.values()), inputs)
    operands = [*map(Tensor, captured), *carries, *sequences]
    attrs = {
        "body": body, "carries": len(carries), "sequences": len(sequences),
        "length": steps, "reverse": reverse,
    }  # fmt: skip
    loop = trace.builder.scan([trace.local(t) for t in operands], attrs)
    results = (Tensor(trace.builder.item(loop, at)) for at in range(len(carries) + len(stacked)))
    last = unflatten(init, results)
    return last, unflatten(y, results) if stacked else None


def _leaves(structure: Any) -> list[Any]:
    return [leaf for leaf in flatten(structure) if leaf is not None]


def _length(sequences: Sequence[Tensor], length: Dim | None) -> Dim:
    lengths = {t.shape[0] for t in sequences} | (set() if length is None else {length})
    if len(lengths) != 1:
        raise ValueError(
            f"scan: xs and length must give one number of steps, got {lengths or None}"
        )
    return lengths.pop()


def _in_order(graph: Graph, captured: Sequence[Node], inputs: Sequence[Tensor]) -> Graph:
    """The body with its inputs in the order of a scan's operands."""
    result = Graph(graph.name)
    new = {n: result.import_node(n, ()) for n in (*captured, *(t.node for t in inputs))}
    for node in graph.nodes():
        if node not in new:
            new[node] = result.import_node(node, [new[o] for o in graph.operands(node)])
    result.outputs = {name: new[node] for name, node in graph.outputs.items()}
    return result
