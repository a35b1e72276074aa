"""Native loops against the interpreter: every target, odd sizes, more steps than one."""

from __future__ import annotations

import numpy as np
import pytest
from graphs import build, examples
from loops import CASES, example_loop, loop, recurrent
from native import Native, check_against_interpreter, targets

from graphc.codegen.target import Target
from graphc.ir.graph import Node
from graphc.passes.gradient import gradient
from graphc.passes.shapes import Builder


@pytest.mark.parametrize("target", targets())
@pytest.mark.parametrize("name", CASES)
def test_loops(name: str, target: Target) -> None:
    native = Native(example_loop(name), target)
    for rows in (1, 6):
        native.check(examples(native.graph, symbols={"batch": rows}), {"batch": rows})


@pytest.mark.parametrize("name", CASES)
def test_gradients(name: str) -> None:
    graph = example_loop(name)
    b = Builder(graph)
    parts = [
        b.node("reduce_sum", b.node("sin", n), axes=tuple(range(n.tensor.rank)))
        for n in graph.outputs.values()
    ]
    for part in parts[1:]:
        parts[0] = b.node("add", parts[0], part)
    graph.outputs["loss"] = parts[0]
    whole = gradient(graph, "loss", [n.name for n in graph.inputs()])
    check_against_interpreter(whole, examples(graph, symbols={"batch": 5}), {"batch": 5})


def test_a_length_known_only_when_run() -> None:
    types = ["f32[3, 3]", "f32[9, 3]", "f32[3]", "f32[batch, 3]", "f32[time, batch, 9]"]

    def function(b: Builder, *nodes: Node) -> dict[str, Node]:
        last, every = loop(b, recurrent, nodes[:3], nodes[3:4], nodes[4:])
        return {"last": last, "rows": b.node("transpose", every, permutation=(1, 0, 2))}

    native = Native(build(function, *types))
    for steps in (1, 7):
        sizes = {"batch": 3, "time": steps}
        native.check(examples(native.graph, symbols=sizes), sizes)


def test_state_goes_on_over_loops() -> None:
    types = ["f32[3, 3]", "f32[2, 3]", "f32[3]", "f32[4, 3]", "f32[5, 4, 2]"]

    def function(b: Builder, *nodes: Node) -> dict[str, Node]:
        last, _ = loop(b, recurrent, nodes[:3], nodes[3:4], nodes[4:])
        return {"x3": last, "y": b.node("neg", last)}

    graph = build(function, *types, states=[3])
    native, feeds = Native(graph), examples(graph)
    twice = native.run(feeds, steps=2, rows=2)
    once = native.run(feeds)
    again = native.run({**feeds, "x3": once["x3"]})
    np.testing.assert_array_equal(twice["x3"], again["x3"])
