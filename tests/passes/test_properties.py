"""Random graphs through all passes: sound after each, and of the same values, in memory too."""

from __future__ import annotations

import numpy as np
from graphs import examples, stages
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from memory_machine import MemoryMachine, overlaps
from random_graphs import Choice, random_graph

from graphc.ir.graph import Graph
from graphc.ir.interpret import interpret
from graphc.ir.text import parse, to_text
from graphc.passes.gradient import gradient
from graphc.passes.shapes import Builder, check
from graphc.passes.simplify import simplify

number = st.integers(0, 63)
choices = st.lists(st.tuples(number, number, number, number), min_size=1, max_size=20)
inputs = st.lists(st.integers(0, 15), min_size=1, max_size=4)
batches = st.sampled_from([1, 3, 7])
repeatable = settings(
    derandomize=True, database=None, deadline=None, max_examples=80,
    suppress_health_check=[HealthCheck.too_slow],
)  # fmt: skip


@repeatable
@given(choices, inputs, batches)
def test_every_pass_keeps_the_values(choices: list[Choice], inputs: list[int], batch: int) -> None:
    graph = random_graph(choices, inputs, states=2)
    symbols = {"batch": batch}
    feeds = examples(graph, 1, symbols)
    expected = interpret(graph, feeds, symbols)
    made = stages(graph)  # each verified
    for name, stage in made.items():
        assert to_text(parse(to_text(stage))) == to_text(stage)
        same_values(interpret(stage, feeds, symbols), expected, name)
    planned = made["memory"]
    assert overlaps(planned, symbols) == []
    for backwards in (False, True):
        machine = MemoryMachine(planned, feeds, symbols)
        same_values(machine.run(backwards), expected, "in memory")


def same_values(found: dict[str, np.ndarray], expected: dict[str, np.ndarray], where: str) -> None:
    assert list(found) == list(expected)
    for name, value in expected.items():
        assert found[name].dtype == value.dtype
        np.testing.assert_allclose(found[name], value, 1e-4, 1e-5, err_msg=f"{name} {where}")


def summed(graph: Graph) -> Graph:
    """The graph with one output, the sum of all that it had."""
    builder = Builder(graph)
    total = builder.const(0.0, "f32")
    for value in graph.outputs.values():
        axes = tuple(range(value.tensor.rank))
        total = builder.node("add", total, builder.node("reduce_sum", value, axes=axes))
    graph.outputs = {"loss": total}
    return graph


@repeatable
@given(choices, inputs, batches)
def test_simplified_gradients_keep_their_values(
    choices: list[Choice], inputs: list[int], batch: int
) -> None:
    graph = summed(random_graph(choices, inputs))
    forward, _ = simplify(graph, differentiated=False)
    made = gradient(forward, "loss", [n.name for n in forward.inputs()])
    check(made)
    symbols = {"batch": batch}
    feeds = examples(graph, 1, symbols)
    expected = interpret(made, feeds, symbols)
    plain = interpret(gradient(graph, "loss", list(feeds)), feeds, symbols)
    for stage in stages(made).values():
        found = interpret(stage, feeds, symbols)
        for name, value in expected.items():
            np.testing.assert_allclose(found[name], value, 1e-3, 1e-4, err_msg=name)
            np.testing.assert_allclose(plain[name], value, 1e-3, 1e-4, err_msg=name)
