"""The schedule: kernels in phases, state updated in place after all that read its old value."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from graphs import build, examples, stages
from memory_machine import MemoryMachine, overlaps

from graphc.ir.graph import Graph, Node
from graphc.ir.interpret import interpret
from graphc.ir.place import place_of, reading_kernels
from graphc.ir.text import to_text
from graphc.passes.fuse import fuse
from graphc.passes.schedule import schedule
from graphc.passes.shapes import Builder
from graphc.passes.simplify import simplify

Step = Callable[..., dict[str, Node]]


def matmul(b: Builder, x: Node, y: Node) -> Node:
    return b.node("matmul", x, y, transpose_a=False, transpose_b=False)


def swap(b: Builder, x: Node, y: Node) -> dict[str, Node]:
    return {"x0": y, "x1": x}


def rotate(b: Builder, x: Node, y: Node, z: Node) -> dict[str, Node]:
    return {"x0": y, "x1": z, "x2": x}


def crossed(b: Builder, x: Node, y: Node) -> dict[str, Node]:
    return {"x0": b.node("add", x, y), "x1": b.node("sub", x, y)}


def one_after_another(b: Builder, x: Node, y: Node) -> dict[str, Node]:
    """y's update reads x's new value, and the old one too."""
    new = b.node("mul", x, y)
    return {"x0": new, "x1": b.node("add", b.node("sin", x), b.node("exp", new))}


def transposed(b: Builder, x: Node) -> dict[str, Node]:
    return {"x0": b.node("transpose", x, permutation=(1, 0))}


def symmetric(b: Builder, x: Node) -> dict[str, Node]:
    return {"x0": b.node("add", x, b.node("transpose", x, permutation=(1, 0)))}


def squared(b: Builder, x: Node) -> dict[str, Node]:
    return {"x0": matmul(b, x, x)}


def norm(b: Builder, x: Node) -> dict[str, Node]:
    """Every element of the new value depends on a whole row of the old."""
    rows = b.node("reduce_sum", b.node("mul", x, x), axes=(1,))
    return {"x0": b.node("div", x, b.broadcast(rows, x.tensor.shape, (0,)))}


def norm_of_view(b: Builder, x: Node) -> dict[str, Node]:
    """The same behind sizes of 1."""
    thin = b.node("reshape", x, shape=(4, 1, 4))
    rows = b.node("reduce_max", b.node("mul", thin, thin), axes=(1, 2))
    return {"x0": b.node("add", x, b.broadcast(rows, x.tensor.shape, (0,)))}


def reshaped(b: Builder, x: Node) -> dict[str, Node]:
    flat = b.node("reshape", x, shape=(16,))
    turned = b.node("gather", flat, b.node("iota", shape=(16,), axis=0))
    return {"x0": b.node("reshape", b.node("exp", turned), shape=(4, 4)), "y": b.node("neg", x)}


def to_each_other(b: Builder, x: Node, y: Node) -> dict[str, Node]:
    """Both products read both old values."""
    return {"x0": matmul(b, x, y), "x1": matmul(b, y, x)}


def unchanged(b: Builder, x: Node) -> dict[str, Node]:
    return {"x0": x, "y": b.node("exp", x)}


def same_value(b: Builder, x: Node, y: Node) -> dict[str, Node]:
    new = b.node("sin", b.node("add", x, y))
    return {"x0": new, "x1": new, "y": new}


def read_by_others(b: Builder, x: Node) -> dict[str, Node]:
    first, last = b.node("reduce_sum", x, axes=(0,)), b.node("reduce_sum", x, axes=(1,))
    return {"x0": b.node("tanh", x), "a": first, "b": last, "c": matmul(b, x, x)}


def old_beside_new(b: Builder, x: Node, y: Node) -> dict[str, Node]:
    """The old value is read by a result of the kernel that writes the new one."""
    return {"x0": b.node("exp", y), "y": b.node("sub", y, x)}


# Name -> a step, how many 4x4 states it has, and whether some go through a copy.
STEPS: dict[str, tuple[Step, int, bool]] = {
    "swap": (swap, 2, True),
    "rotate": (rotate, 3, True),
    "crossed": (crossed, 2, True),
    "one after another": (one_after_another, 2, False),
    "transposed": (transposed, 1, True),
    "symmetric": (symmetric, 1, True),
    "squared": (squared, 1, True),
    "norm": (norm, 1, True),
    "norm of view": (norm_of_view, 1, True),
    "reshaped": (reshaped, 1, False),
    "to each other": (to_each_other, 2, True),
    "unchanged": (unchanged, 1, False),
    "same value": (same_value, 2, False),
    "read by others": (read_by_others, 1, False),
    "old beside new": (old_beside_new, 2, False),
}


def step_graph(name: str) -> Graph:
    step, states, _ = STEPS[name]
    return build(step, *["f32[4, 4]"] * states, states=range(states))


def phases(graph: Graph) -> dict[str, int]:
    return {n.name: int(str(n.attrs["phase"])) for n in graph.nodes() if n.op == "fused"}


@pytest.mark.parametrize("name", STEPS)
@pytest.mark.parametrize("backwards", [False, True])
def test_values_are_right_in_memory(name: str, backwards: bool) -> None:
    """In whatever order the kernels of a phase run."""
    graph = step_graph(name)
    planned = stages(graph)["memory"]
    feeds = examples(graph, 5)
    machine = MemoryMachine(planned, feeds, {})
    for _ in range(2):
        expected = interpret(graph, feeds)
        found = machine.run(backwards)
        for key, value in expected.items():
            np.testing.assert_allclose(found[key], value, rtol=1e-5, atol=1e-6, err_msg=key)
        feeds = {key: machine.arguments[key].copy() for key in feeds}


@pytest.mark.parametrize("name", STEPS)
def test_copies_are_made_only_where_they_must_be(name: str) -> None:
    planned = stages(step_graph(name))["memory"]
    copies = [n for n in phases(planned) if n.startswith("fused")]
    assert bool(copies) == STEPS[name][2]


@pytest.mark.parametrize("name", STEPS)
def test_a_state_is_written_after_all_others_have_read_it(name: str) -> None:
    planned = stages(step_graph(name))["memory"]
    for state in planned.inputs("state"):
        if state.name not in planned.outputs:
            continue
        item = planned.outputs[state.name]
        assert place_of(item.attrs).argument == state.name
        (writer,) = planned.operands(item)
        for reader in reading_kernels(planned, state):
            assert reader is writer or reader.attrs["phase"] < writer.attrs["phase"]  # type: ignore[operator]


def test_readers_follow_writers_in_later_phases() -> None:
    def chain(b: Builder, x: Node) -> Node:
        for _ in range(3):
            x = matmul(b, x, x)
        return b.node("reduce_sum", x, axes=(0, 1))

    planned = stages(build(chain, "f32[4, 4]"))["schedule"]
    assert list(phases(planned).values()) == [0, 1, 2, 3, 4]


def test_independent_kernels_share_a_phase() -> None:
    def apart(b: Builder, x: Node, y: Node) -> dict[str, Node]:
        return {
            "a": b.node("exp", x),
            "b": b.node("reduce_sum", y, axes=(0,)),
            "c": matmul(b, y, y),
        }

    planned = stages(build(apart, "f32[3]", "f32[4, 4]"))["schedule"]
    assert list(phases(planned).values()) == [0, 0, 0]


def test_kernels_stand_in_the_order_of_their_phases() -> None:
    planned = stages(step_graph("read by others"))["schedule"]
    order = list(phases(planned).values())
    assert order == sorted(order) and order[-1] > 0


@pytest.mark.parametrize("name", STEPS)
def test_the_input_graph_stays_as_it_is(name: str) -> None:
    before = fuse(simplify(step_graph(name))[0])
    text = to_text(before)
    schedule(before)
    assert to_text(before) == text


@pytest.mark.parametrize("name", STEPS)
def test_nothing_overlaps(name: str) -> None:
    assert overlaps(stages(step_graph(name))["memory"], {}) == []
