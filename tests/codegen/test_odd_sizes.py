"""Kernels against the interpreter on odd sizes and every tail, on every target that runs here."""

from __future__ import annotations

import pytest
from graphs import BATCH, build, examples
from native import check_against_interpreter, targets

from graphc import compiler
from graphc.codegen.target import Target
from graphc.ir.graph import Graph, Node
from graphc.passes.shapes import Builder

SIZES = [1, 3, 7, 17, 31, 100, 257]

pytestmark = pytest.mark.parametrize("target", targets())


@pytest.fixture(autouse=True)
def threads_even_for_little_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiler, "WORK_FOR_THREADS", 0)


def check(graph: Graph, target: Target, symbols: dict[str, int] | None = None) -> None:
    feeds = examples(graph, symbols=symbols)
    check_against_interpreter(graph, feeds, symbols, target=target, absolute=1e-4)


def matmul(b: Builder, x: Node, y: Node, ta: bool = False, tb: bool = False) -> Node:
    return b.node("matmul", x, y, transpose_a=ta, transpose_b=tb)


@pytest.mark.parametrize("n", SIZES)
def test_softmax_with_its_row_reductions(n: int, target: Target) -> None:
    def softmax(b: Builder, x: Node) -> dict[str, Node]:
        shape = x.tensor.shape
        top = b.broadcast(b.node("reduce_max", x, axes=(1,)), shape, (0,))
        e = b.node("exp", b.node("sub", x, top))
        total = b.broadcast(b.node("reduce_sum", e, axes=(1,)), shape, (0,))
        return {"p": b.node("div", e, total), "best": b.node("argmax", x, axis=1)}

    graph = build(softmax, f"f32[batch, {n}]")
    for rows in (1, 5, 33):
        check(graph, target, {"batch": rows})


@pytest.mark.parametrize("n", SIZES)
def test_column_sums_and_sums_of_all(n: int, target: Target) -> None:
    def sums(b: Builder, x: Node) -> dict[str, Node]:
        squared = b.node("mul", x, x)
        return {
            "columns": b.node("reduce_sum", squared, axes=(0,)),
            "all": b.node("reduce_sum", x, axes=(0, 1)),
            "largest": b.node("reduce_max", x, axes=(0,)),
        }

    graph = build(sums, f"f32[batch, {n}]")
    for rows in (1, 17):
        check(graph, target, {"batch": rows})


SHAPES = [
    (1, 1, 1), (1, 257, 10), (3, 7, 17), (17, 31, 3), (31, 100, 1), (100, 3, 31), (257, 17, 100),
    (7, 1, 257), (13, 3000, 5), (64, 64, 64),
]  # fmt: skip


@pytest.mark.parametrize(("m", "k", "n"), SHAPES)
def test_matmul_with_every_transpose(m: int, k: int, n: int, target: Target) -> None:
    def products(b: Builder, x: Node, xt: Node, y: Node, yt: Node) -> dict[str, Node]:
        return {
            "plain": matmul(b, x, y),
            "a transposed": matmul(b, xt, y, ta=True),
            "b transposed": matmul(b, x, yt, tb=True),
            "both": matmul(b, xt, yt, ta=True, tb=True),
        }

    types = [f"f32[{m}, {k}]", f"f32[{k}, {m}]", f"f32[{k}, {n}]", f"f32[{n}, {k}]"]
    check(build(products, *types), target)


@pytest.mark.parametrize("n", SIZES)
def test_epilogue_of_bias_activation_and_residual(n: int, target: Target) -> None:
    def dense(b: Builder, x: Node, w: Node, bias: Node, rest: Node) -> Node:
        z = matmul(b, x, w)
        z = b.node("add", z, b.broadcast(bias, z.tensor.shape, (1,)))
        return b.node("add", b.node("tanh", z), rest)

    types = ["f32[batch, 13]", f"f32[13, {n}]", f"f32[{n}]", f"f32[batch, {n}]"]
    graph = build(dense, *types)
    for rows in (1, 5, 14, 131):
        check(graph, target, {"batch": rows})


@pytest.mark.parametrize("n", SIZES)
def test_kernel_gradient_with_the_update_as_epilogue(n: int, target: Target) -> None:
    def step(b: Builder, x: Node, dy: Node, w: Node, m: Node) -> dict[str, Node]:
        g = matmul(b, x, dy, ta=True)
        moved = b.node("add", b.node("mul", m, b.full(0.9, m.tensor)), g)
        return {"x3": moved, "x2": b.node("sub", w, b.node("mul", moved, b.full(0.1, w.tensor)))}

    types = ["f32[batch, 29]", f"f32[batch, {n}]", f"f32[29, {n}]", f"f32[29, {n}]"]
    graph = build(step, *types, states=(2, 3))
    for rows in (1, 33, 700):
        check(graph, target, {"batch": rows})


def test_batch_is_a_symbol_everywhere(target: Target) -> None:
    graph = build(lambda b, x: b.node("exp", x), "f32[batch]")
    assert graph.inputs()[0].tensor.shape == (BATCH,)
    for rows in (1, 2, 15, 16, 17, 1000):
        check(graph, target, {"batch": rows})
