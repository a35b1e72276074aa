"""Loops whose threads own rows: which qualify, and that they compute what others do."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from graphs import BATCH, build, examples, stages
from loops import example_loop, gated, loop, matmul
from native import Native

from graphc.ir.graph import Graph, Node
from graphc.ir.place import arena_bytes, arena_size, body_arenas, place_of
from graphc.ir.types import evaluate
from graphc.passes.shapes import Builder

pytestmark = pytest.mark.usefixtures("many_threads")

Step = Callable[[Builder, Node, Node], Node]


def scans(graph: Graph) -> list[Node]:
    return [n for n in graph.nodes() if n.op == "scan"]


@pytest.mark.parametrize("name", ["recurrent", "backwards", "gated", "powers"])
def test_rows_follow_from_rows(name: str) -> None:
    planned = stages(example_loop(name))["memory"]
    (scan,) = scans(planned)
    assert scan.attrs["owned"] == BATCH
    body = scan.attrs["body"]
    assert all(n.attrs["owned"] == BATCH for n in body.nodes() if n.op == "fused")
    # Threads may be at different kernels: nobody's space is used again.
    places = [place_of(n.attrs) for n in body.nodes() if n.op == "item"]
    own = [p.offset for p in places if not p.argument]
    assert len(set(own)) == len(own)


def mean(b: Builder, h: Node, x: Node) -> Node:
    """Every row depends on all rows."""
    total = b.node("reduce_sum", h, axes=(0,))
    return b.node("sub", x, b.node("broadcast", total, shape=h.tensor.shape, axes=(1,)))


def turned(b: Builder, h: Node, x: Node) -> Node:
    return b.node("tanh", b.node("add", b.node("reverse", h, axes=(0,)), x))


def copied(b: Builder, h: Node, x: Node) -> Node:
    """All rows read the first one."""
    first = b.node("cast", b.node("mul", h, b.full(0.0, h.tensor)), dtype="i32")
    index = b.node("reduce_max", first, axes=(1,))
    return b.node("add", x, b.node("gather", h, index))


def gram(b: Builder, h: Node, x: Node) -> Node:
    """The rows are an operand that every thread reads whole."""
    square = b.node("matmul", h, h, transpose_a=True, transpose_b=False)
    return b.node("tanh", b.node("add", matmul(b, x, square), h))


def looked_up(b: Builder, h: Node, x: Node) -> Node:
    first = b.node("reduce_max", x, axes=(1,))
    index = b.node("cast", b.node("maximum", first, b.node("neg", first)), dtype="i32")
    return b.node("add", b.node("gather", h, index), x)


@pytest.mark.parametrize("step", [mean, turned, copied, gram, looked_up])
def test_rows_follow_from_others(step: Step) -> None:
    """Not owned, and so right on several threads, many times over."""

    def function(b: Builder, h: Node, x: Node) -> dict[str, Node]:
        (last,) = loop(b, lambda b, h, x: {"c0": step(b, h, x)}, [], [h], [x])
        return {"y": last}

    graph = build(function, "f32[batch, 3]", "f32[20, batch, 3]")
    (scan,) = scans(stages(graph)["schedule"])
    assert "owned" not in scan.attrs
    native = Native(graph)
    sizes = {"batch": 7}
    native.check(examples(graph, symbols=sizes), sizes, threads=(1, 2, 3, 4), relative=1e-4)


def test_large_constants_are_split_by_columns() -> None:
    def function(b: Builder, u: Node, h: Node) -> dict[str, Node]:
        (last,) = loop(b, lambda b, u, h: {"c0": matmul(b, h, u)}, [u], [h], [], length=3)
        return {"y": last}

    for width, owned in ((256, True), (512, False)):
        graph = build(function, f"f32[{width}, {width}]", f"f32[batch, {width}]")
        (scan,) = scans(stages(graph)["schedule"])
        assert ("owned" in scan.attrs) == owned


def test_a_fixed_batch_is_not_told_from_other_sizes() -> None:
    def function(b: Builder, h: Node, x: Node) -> dict[str, Node]:
        return {"y": loop(b, lambda b, h, x: {"c0": b.node("add", h, x)}, [], [h], [x])[0]}

    (scan,) = scans(stages(build(function, "f32[3, 3]", "f32[5, 3, 3]"))["schedule"])
    assert "owned" not in scan.attrs


def test_loops_of_one_phase_run_at_the_same_time() -> None:
    """As the directions of a bidirectional layer: each in memory of its own."""

    def function(b: Builder, u: Node, h: Node, x: Node, keep: Node) -> dict[str, Node]:
        results = {}
        for name, reverse in (("forth", False), ("back", True)):
            last, *_ = loop(b, gated, [u], [h, h], [x, keep], reverse=reverse)
            results[name] = last
        return results

    types = ["f32[5, 15]", "f32[batch, 5]", "f32[3, batch, 15]", "bool[3, batch]"]
    native = Native(build(function, *types))
    planned = native.program.graph
    first, second = scans(planned)
    assert first.attrs["phase"] == second.attrs["phase"]
    inner = arena_size(first.attrs["body"])
    begins = body_arenas(planned)
    assert inner and begins[first] != begins[second]
    for rows in (1, 6):
        known = {"batch": rows}
        starts = [sum(evaluate(t, known) for t in begins[s]) for s in (first, second)]
        needed = sum(evaluate(term, known) for term in inner)
        assert starts[1] - starts[0] >= needed
        assert arena_bytes(planned, known) >= starts[1] + needed
        native.check(examples(native.graph, symbols=known), known, threads=(1, 2, 3, 4))


@pytest.mark.parametrize("rows", [1, 2, 5, 40])
def test_fewer_rows_than_threads(rows: int) -> None:
    native = Native(example_loop("gated"))
    sizes = {"batch": rows}
    native.check(examples(native.graph, symbols=sizes), sizes, threads=(1, 2, 3, 4))
