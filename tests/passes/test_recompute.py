"""Recomputation: what is kept and made again, when it is made, and that nothing else changes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from graphs import build, examples
from memory_machine import MemoryMachine, overlaps

from graphc.ir.graph import Graph, Node
from graphc.ir.interpret import interpret
from graphc.ir.place import arena_bytes, reading_kernels
from graphc.ir.text import parse, to_text
from graphc.ir.verify import verify
from graphc.passes import shapes
from graphc.passes.fuse import fuse
from graphc.passes.gradient import gradient
from graphc.passes.legalize import FREE
from graphc.passes.memory import plan_memory
from graphc.passes.recompute import PLANS, recompute
from graphc.passes.schedule import schedule
from graphc.passes.shapes import Builder
from graphc.passes.simplify import simplify

SYMBOLS = {"batch": 6}


def product(b: Builder, x: Node, w: Node) -> Node:
    return b.node("matmul", x, w, transpose_a=False, transpose_b=False)


def chain(length: int) -> Callable[..., dict[str, Node]]:
    """So many products, each activated, and gated by its operand before."""

    def function(b: Builder, x: Node, *weights: Node) -> dict[str, Node]:
        assert len(weights) == length
        for w in weights:
            y = product(b, x, w)
            x = b.node("tanh", b.node("mul", y, x))
        return {"loss": b.node("reduce_sum", x, axes=(0, 1))}

    return function


def dropout(b: Builder, x: Node, w: Node, v: Node, seed: Node, step: Node) -> dict[str, Node]:
    x = product(b, x, w)
    uniform = b.node("random_uniform", seed, step, shape=x.tensor.shape, stream=3)
    kept = b.node("less", uniform, b.full(0.5, uniform.tensor))
    x = b.node("select", kept, b.node("exp", x), b.full(0.0, x.tensor))
    return {"loss": b.node("reduce_sum", product(b, x, v), axes=(0, 1))}


def pooling(b: Builder, x: Node, w: Node, v: Node) -> dict[str, Node]:
    wide = product(b, x, w)
    wide = b.node("maximum", wide, b.full(0.0, wide.tensor))
    windows = b.node("windows", wide, axis=1, sizes=(2,), strides=(2,), dilations=(1,))
    narrow = b.node("reduce_max", windows, axes=(2,))
    return {"loss": b.node("reduce_sum", product(b, narrow, v), axes=(0, 1))}


def differentiated(function: Callable[..., dict[str, Node]], *types: str) -> Graph:
    """A training program whose results are the loss and the gradients of the f32 states."""
    data = f"f32[batch, {types[0].partition('[')[2].partition(',')[0]}]"
    graph = build(function, data, *types, states=range(1, 1 + len(types)))
    wrt = [n.name for n in graph.inputs("state") if n.tensor.is_float]
    return simplify(gradient(graph, "loss", wrt))[0]


CASES = {
    "chain": differentiated(chain(9), *["f32[8, 8]"] * 9),
    "dropout": differentiated(dropout, "f32[8, 8]", "f32[8, 2]", "i32[]", "i32[]"),
    "pooling": differentiated(pooling, "f32[8, 8]", "f32[4, 2]"),
}


def planned(graph: Graph) -> Graph:
    return plan_memory(schedule(fuse(graph)))


def clones(graph: Graph) -> list[str]:
    return sorted(n.op for n in graph.nodes() if "again" in n.attrs)


@pytest.mark.parametrize("plan", PLANS)
@pytest.mark.parametrize("case", CASES)
def test_the_results_are_the_same_bits(case: str, plan: str) -> None:
    graph = CASES[case]
    feeds = examples(graph, symbols=SYMBOLS)
    again = recompute(graph, plan)
    verify(again)
    shapes.check(again)
    np.testing.assert_equal(interpret(again, feeds), interpret(graph, feeds))
    wanted = MemoryMachine(planned(graph), feeds, SYMBOLS).run()
    final = planned(again)
    assert overlaps(final, SYMBOLS) == []
    for backwards in (False, True):
        results = MemoryMachine(final, feeds, SYMBOLS).run(backwards)
        np.testing.assert_equal(results, wanted)


@pytest.mark.parametrize("plan", PLANS)
@pytest.mark.parametrize("case", CASES)
def test_clones_are_backward_nodes_and_run_late(case: str, plan: str) -> None:
    graph = recompute(CASES[case], plan)
    assert clones(graph) or case == "pooling"
    assert {n.scope.phase for n in graph.nodes() if "again" in n.attrs} <= {"backward"}
    final = planned(graph)
    assert to_text(parse(to_text(final))) == to_text(final)
    made_again = [n for n in final.nodes() if n.op == "fused" and "again" in n.attrs]
    for kernel in made_again:
        # Held back until all else that its first reader reads is there.
        readers = [r for item in final.users(kernel) for r in reading_kernels(final, item)]
        first = min(readers, key=lambda r: r.attrs["phase"])
        others = [o for operand in final.operands(first) for o in sources(final, operand)]
        waited = [o.attrs["phase"] for o in others if "again" not in o.attrs]
        assert "again" in first.attrs or max(waited) < kernel.attrs["phase"]
    assert not any(
        {n.scope.phase for n in body.nodes() if n.op not in FREE | {"input"}} > {"forward"}
        for body in (n.attrs["body"] for n in final.nodes() if n.op == "fused")
    )


def sources(graph: Graph, node: Node) -> list[Node]:
    """The kernel that makes a value, if any."""
    while node.op not in ("fused", "input"):
        (node,) = graph.operands(node)
    return [node] if node.op == "fused" else []


def test_small_makes_cheap_work_again_and_keeps_products() -> None:
    found = clones(recompute(CASES["chain"], "small"))
    assert "tanh" in found and "matmul" not in found


def test_segments_make_products_again() -> None:
    assert "matmul" in clones(recompute(CASES["chain"], "segments"))


def test_random_numbers_are_drawn_again_from_their_stream() -> None:
    graph = recompute(CASES["dropout"], "small")
    drawn = [n for n in graph.nodes() if n.op == "random_uniform"]
    assert sorted("again" in n.attrs for n in drawn) == [False, True]
    assert {(n.attrs["stream"], str(n.type)) for n in drawn} == {(3, "f32[batch, 8]")}


def test_where_a_maximum_was_is_kept_as_the_least() -> None:
    """A bool for each element of a window, and not the element; and the second product's operand."""
    graph = planned(recompute(CASES["pooling"], "small"))
    kept = [
        n for n in graph.nodes() if str(n.attrs.get("kept", "")).startswith("the backward pass")
    ]
    assert {str(n.type) for n in kept} == {"bool[batch, 8]", "bool[batch, 4, 2]", "f32[batch, 4]"}


def test_what_does_not_grow_with_the_batch_is_left_alone() -> None:
    def fixed(b: Builder, x: Node, w: Node) -> dict[str, Node]:
        grown = b.node("exp", w)
        return {"loss": b.node("reduce_sum", product(b, product(b, grown, w), grown), axes=(0, 1))}

    graph = differentiated(fixed, "f32[8, 8]")
    for plan in PLANS:
        assert recompute(graph, plan) is graph


def test_a_program_without_a_backward_pass_is_left_alone() -> None:
    graph = build(chain(3), "f32[batch, 8]", *["f32[8, 8]"] * 3, states=(1, 2, 3))
    for plan in PLANS:
        assert recompute(graph, plan) is graph


def residuals(b: Builder, x: Node, *weights: Node) -> dict[str, Node]:
    for w in weights:
        y = b.node("exp", product(b, x, w))
        x = b.node("add", x, b.node("tanh", b.node("sin", y)))
    return {"loss": b.node("reduce_sum", x, axes=(0, 1))}


def plain(b: Builder, x: Node, *weights: Node) -> dict[str, Node]:
    for w in weights:
        x = b.node("tanh", b.node("sin", b.node("exp", product(b, x, w))))
    return {"loss": b.node("reduce_sum", x, axes=(0, 1))}


def peak(function: Callable[..., dict[str, Node]], layers: int, plan: str | None) -> int:
    """Bytes of the arena for each row."""
    graph = differentiated(function, *["f32[16, 16]"] * layers)
    final = planned(recompute(graph, plan) if plan else graph)
    return arena_bytes(final, {"batch": 1}) - arena_bytes(final, {"batch": 0})


@pytest.mark.parametrize("function", [plain, residuals])
def test_plans_take_less_and_segments_about_the_square_root(
    function: Callable[..., dict[str, Node]],
) -> None:
    kept, small, segments = (peak(function, 64, plan) for plan in (None, *PLANS))
    assert small < 0.55 * kept and segments < 0.5 * small
    # Four times the layers take about twice the memory.
    assert segments < 2.5 * peak(function, 16, "segments")
