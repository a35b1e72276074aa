"""Fusion: which nodes become one kernel, and what therefore is never stored."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from expressions import graph_of
from graphs import build, examples, kernels, stages

from graphc.ir.graph import Graph, Node
from graphc.ir.interpret import interpret
from graphc.ir.text import to_text
from graphc.ir.verify import verify
from graphc.passes import shapes
from graphc.passes.fuse import fuse
from graphc.passes.gradient import gradient
from graphc.passes.legalize import legalize
from graphc.passes.shapes import Builder
from graphc.passes.simplify import simplify


def fused(graph: Graph) -> Graph:
    """The simplified, fused graph, checked to be sound and to have the values it had."""
    before = simplify(graph)[0]
    text = to_text(before)
    result = fuse(before)
    assert to_text(before) == text, "the pass changed its input"
    verify(result)
    shapes.check(result)
    assert all(n.op in ("input", "fused", "item", "reshape") for n in result.nodes())
    symbols = {"batch": 5}
    feeds = examples(graph, 3, symbols)
    expected = interpret(graph, feeds, symbols)
    for name, value in interpret(result, feeds, symbols).items():
        np.testing.assert_allclose(value, expected[name], rtol=2e-5, atol=1e-6, err_msg=name)
    return result


def stored(graph: Graph) -> list[str]:
    """Types of the values that have a place in the arena of the planned graph."""
    planned = stages(graph)["memory"]
    items = [n for n in planned.nodes() if n.op == "item"]
    return sorted(str(n.type) for n in items if str(n.attrs["place"]).startswith("arena"))


B = {"a": "f32[batch, 4]", "b": "f32[4, 3]"}
PRODUCT = "matmul(a, b, transpose_a=False, transpose_b=False)"
ALONG = "broadcast({}, shape=(4, 3), axes=(0,))"
ROW_MAX = ALONG.format("reduce_max(x, axes=(1,))")
E = f"exp(sub(x, {ROW_MAX}))"
SOFTMAX = f"div({E}, {ALONG.format(f'reduce_sum({E}, axes=(1,))')})"

# An expression and its kernels: kind, and ops that cost something.
GROUPS: dict[str, list[tuple[str, str]]] = {
    "mul(exp(x), add(y, 1.0))": [("loop", "add exp mul")],
    f"maximum(add({PRODUCT}, broadcast(v, shape=(batch, 3), axes=(1,))), 0.0)": [
        ("contraction", "add matmul maximum")
    ],
    f"tanh(mul({PRODUCT}, n))": [("contraction", "matmul mul tanh")],
    f"reduce_sum(exp({PRODUCT}), axes=(1,))": [("contraction", "matmul"), ("rows", "exp reduce_sum")],
    "matmul(exp(a), b, transpose_a=False, transpose_b=False)": [
        ("loop", "exp"), ("contraction", "matmul")
    ],
    "matmul(transpose(exp(x), permutation=(1, 0)), w2, transpose_a=False, transpose_b=False)": [
        ("loop", "exp"), ("contraction", "matmul")
    ],
    SOFTMAX: [("rows", "div exp reduce_max reduce_sum sub")],
    f"reduce_sum(mul(y, log({SOFTMAX})), axes=(1,))": [
        ("rows", "exp log mul reduce_max reduce_sum reduce_sum sub sub")
    ],
    "reduce_sum(mul(x, x), axes=(0,))": [("columns", "mul reduce_sum")],
    "exp(reduce_sum(mul(t, t), axes=(0, 1)))": [("columns", "exp mul reduce_sum")],
    "reduce_sum(mul(x, x), axes=(0, 1))": [("rows", "mul reduce_sum"), ("rows", "reduce_sum")],
    "reduce_sum(t, axes=(0, 2))": [("rows", "reduce_sum"), ("columns", "reduce_sum")],
    "reduce_sum(reshape(x, shape=(4, 1, 3)), axes=(0, 1))": [("columns", "reduce_sum")],
    "sub(x, broadcast(reduce_sum(x, axes=(0,)), shape=(4, 3), axes=(1,)))": [
        ("columns", "reduce_sum"), ("loop", "sub")
    ],
    "mul(x, broadcast(exp(w), shape=(4, 3), axes=(0,)))": [("rows", "exp mul")],
    "mul(x, broadcast(exp(v), shape=(4, 3), axes=(1,)))": [("loop", "exp"), ("loop", "mul")],
    "exp(transpose(x, permutation=(1, 0)))": [("loop", "exp transpose")],
    "transpose(exp(x), permutation=(1, 0))": [("loop", "exp transpose")],
    "exp(reshape(sin(x), shape=(12,)))": [("loop", "sin"), ("loop", "exp")],
    "exp(reshape(sin(x), shape=(4, 1, 3)))": [("loop", "exp reshape sin")],
    "gather(exp(x), gather(j, k))": [("loop", "exp"), ("loop", "gather"), ("loop", "gather")],
    "exp(gather(x, j))": [("loop", "exp gather")],
    "argmax(exp(x), axis=1)": [("rows", "argmax exp")],
    "argmax(x, axis=0)": [("rows", "argmax transpose")],
    "cast(argmax(x, axis=1), dtype='f32')": [("rows", "argmax cast")],
    "x": [("loop", "copy")],
    "reshape(x, shape=(12,))": [("loop", "copy")],
    "broadcast(v, shape=(4, 3), axes=(1,))": [("loop", "copy")],
    # What is made again in each reader has no memory of its own: copied where an address is read.
    "reshape(broadcast(v, shape=(4, 3), axes=(1,)), shape=(12,))": [
        ("loop", "copy"), ("loop", "copy")
    ],
    "matmul(x, broadcast(v, shape=(3, 5), axes=(0,)), transpose_a=False, transpose_b=False)": [
        ("loop", "copy"), ("contraction", "matmul")
    ],
    "gather(x, iota(shape=(2,), axis=0))": [("loop", "copy"), ("loop", "gather")],
}  # fmt: skip
TYPES = {**B, "w2": "f32[4, 5]", "j": "i32[4]", "k": "i32[2]"}
FREE = {"broadcast", "const", "iota", "size"}


@pytest.mark.parametrize("text", GROUPS)
def test_groups(text: str) -> None:
    graph = graph_of(text, TYPES)
    feeds = {"j", "k"} & {n.name for n in graph.inputs()}
    for name in feeds:  # indices within the data
        graph[name].attrs["role"] = "index"
    result = fuse(simplify(graph)[0]) if feeds else fused(graph)
    found = [(kind, " ".join(op for op in ops if op not in FREE)) for kind, ops in kernels(result)]
    assert found == GROUPS[text]


def test_readers_in_one_kernel_share_what_they_read() -> None:
    graph = graph_of({"a": "sin(exp(x))", "b": "cos(exp(x))", "c": "exp(x)"})
    assert kernels(fused(graph)) == [("loop", ["cos", "exp", "sin"])]


def test_a_loss_and_a_metric_share_their_sweep() -> None:
    graph = graph_of({"a": "reduce_sum(exp(x), axes=(1,))", "b": "argmax(exp(x), axis=1)"})
    assert kernels(fused(graph)) == [("rows", ["argmax", "exp", "reduce_sum"])]


def test_readers_of_other_shapes_do_not_join() -> None:
    graph = graph_of({"a": "exp(x)", "b": "exp(t)", "c": "exp(v)"})
    assert len(kernels(fused(graph))) == 3


def test_a_kernel_never_waits_for_itself() -> None:
    # exp(x) feeds both the product and its epilogue: it cannot be in the product's kernel.
    graph = graph_of(
        "mul(matmul(exp(q), q, transpose_a=False, transpose_b=False), exp(q))"
    )  # fmt: skip
    assert kernels(fused(graph)) == [("loop", ["exp"]), ("contraction", ["matmul", "mul"])]


Update = Callable[[Builder, str, Node], None]


def training_step(update: Update) -> Graph:
    """A dense layer with a squared error, its gradients, and an update of its weights."""

    def forward(b: Builder, x: Node, y: Node, w: Node, v: Node) -> dict[str, Node]:
        z = b.node("matmul", x, w, transpose_a=False, transpose_b=False)
        h = b.node(
            "maximum", b.node("add", z, b.broadcast(v, z.tensor.shape, (1,))), b.full(0.0, z.tensor)
        )
        error = b.node("sub", h, y)
        return {"loss": b.node("reduce_sum", b.node("mul", error, error), axes=(0, 1))}

    types = ["f32[batch, 5]", "f32[batch, 7]", "f32[5, 7]", "f32[7]"]
    graph = build(forward, *types, states=(2, 3))
    graph = gradient(simplify(graph, differentiated=False)[0], "loss", ["x2", "x3"])
    builder = Builder(graph)
    for name in ("x2", "x3"):
        update(builder, name, graph.outputs.pop(f"gradient/{name}"))
    return graph


def scaled(b: Builder, factor: float, x: Node) -> Node:
    return b.node("mul", x, b.full(factor, x.tensor))


def descend(b: Builder, name: str, slope: Node) -> None:
    b.graph.outputs[name] = b.node("sub", b.graph[name], scaled(b, 0.01, slope))


def momentum(b: Builder, name: str, slope: Node) -> None:
    old = b.graph.add("input", (), {"role": "state"}, type=slope.tensor, name=f"m_{name}")
    new = b.node("add", scaled(b, 0.9, old), slope)
    b.graph.outputs[f"m_{name}"] = new
    b.graph.outputs[name] = b.node("sub", b.graph[name], scaled(b, 0.01, new))


def with_norm(b: Builder, name: str, slope: Node) -> None:
    squares = b.node("mul", slope, slope)
    axes = tuple(range(slope.tensor.rank))
    b.graph.outputs[f"norm/{name}"] = b.node("reduce_sum", squares, axes=axes)
    descend(b, name, slope)


@pytest.mark.parametrize("update", [descend, momentum])
def test_the_update_is_the_epilogue_of_the_kernels_gradient(update: Update) -> None:
    graph = training_step(update)
    products = [ops for kind, ops in kernels(fused(graph)) if kind == "contraction"]
    assert len(products) == 2 and "sub" in products[1]
    # Nothing of the weight's shape is in memory beside the weights and slots themselves.
    assert stored(graph).count("f32[5, 7]") == 0
    # The bias's gradient likewise goes into its update, in the kernel that sums it.
    (columns,) = [ops for kind, ops in kernels(fused(graph)) if kind == "columns"]
    assert "reduce_sum" in columns and "sub" in columns
    assert stored(graph).count("f32[7]") == 0


def test_a_gradient_that_others_read_is_stored() -> None:
    graph = training_step(with_norm)
    assert stored(graph).count("f32[5, 7]") == 1
    fused(graph)


def test_a_gradient_that_is_a_result_is_written_there() -> None:
    def update(b: Builder, name: str, slope: Node) -> None:
        b.graph.outputs[f"slope/{name}"] = slope
        descend(b, name, slope)

    graph = training_step(update)
    assert stored(graph).count("f32[5, 7]") == 0
    planned = stages(graph)["memory"]
    assert planned.outputs["slope/x2"].attrs["place"] == "argument slope/x2"


def test_results_are_of_kernels_and_one_name_each() -> None:
    graph = graph_of({"a": "exp(x)", "b": "exp(x)", "c": "x", "d": "neg(neg(x))"})
    result = fused(graph)
    assert len(set(result.outputs.values())) == 4
    assert all(node.op == "item" for node in result.outputs.values())


@pytest.mark.parametrize(
    ("text", "reductions"),
    [
        ("reduce_sum(t, axes=(0, 1, 2))", [(2,), (0, 1)]),
        ("reduce_sum(t, axes=(0, 2))", [(2,), (0,)]),
        ("reduce_sum(t, axes=(1, 2))", [(1, 2)]),
        ("reduce_sum(t, axes=(0, 1))", [(0, 1)]),
        ("reduce_sum(v, axes=(0,))", [(0,)]),
        ("reduce_max(reshape(x, shape=(4, 3, 1)), axes=(0, 2))", [(0,)]),
        ("reduce_max(reshape(x, shape=(1, 4, 3)), axes=(0, 2))", [(1,)]),
        ("reduce_max(reshape(x, shape=(4, 1, 3)), axes=(0, 1, 2))", [(1,), (0,)]),
        ("reduce_max(reshape(v, shape=(1, 3, 1)), axes=(0, 2))", []),
        ("reduce_max(reshape(t, shape=(2, 4, 3, 1)), axes=(0, 2))", [(2,), (0,)]),
        ("reduce_max(reshape(x, shape=(4, 3, 1)), axes=(0, 1))", [(1,), (0,)]),
        ("argmax(t, axis=1)", [(2,)]),
        ("argmax(t, axis=2)", [(2,)]),
        ("argmax(reshape(x, shape=(4, 3, 1)), axis=1)", [(1,)]),
    ],
)
def test_reductions_that_a_kernel_cannot_do_at_once(
    text: str, reductions: list[tuple[int, ...]]
) -> None:
    graph = graph_of(text)
    legal = legalize(graph)
    verify(legal)
    shapes.check(legal)
    found = [n.attrs.get("axes", (n.attrs.get("axis"),)) for n in legal.nodes() if n.op in REDUCING]
    assert found == reductions
    feeds = examples(graph, 1)
    np.testing.assert_allclose(
        interpret(legal, feeds)["y"], interpret(graph, feeds)["y"], rtol=1e-5
    )


REDUCING = {"reduce_sum", "reduce_max", "argmax"}


def test_ten_thousand_nodes() -> None:
    """Deep, and wide: recursion and what is not near-linear would show."""

    def tower(b: Builder, x: Node) -> Node:
        y = x
        for at in range(5000):
            y = b.node(("sin", "tanh", "neg", "cos")[at % 4], y)
        for _ in range(100):
            rows = b.node("reduce_max", y, axes=(1,))
            y = b.node("sub", y, b.broadcast(rows, y.tensor.shape, (0,)))
        total = b.node("reduce_sum", y, axes=(0,))
        for at in range(2500):
            total = b.node("sin", b.node("add", total, b.full(at / 8, total.tensor)))
        return total

    graph = build(tower, "f32[batch, 3]")
    assert len(graph) > 10_000
    planned = stages(graph, check=False)["memory"]
    feeds = examples(graph, 0, {"batch": 2})
    expected, found = interpret(graph, feeds)["y"], interpret(planned, feeds)["y"]
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4)


def test_windows_are_not_stored_whatever_sizes_of_1_stand_around_them() -> None:
    """As a depthwise convolution's are, which its gradients read again."""

    def depthwise(b: Builder, x: Node, kernel: Node, dy: Node) -> dict[str, Node]:
        steps = {"sizes": (3,), "strides": (1,), "dilations": (1,)}
        windows = b.node("windows", x, axis=1, **steps)
        shape = (*windows.tensor.shape, 1)
        wide = b.reshape(windows, shape)
        spread = b.broadcast(kernel, shape, (2, 3, 4))
        slope = b.broadcast(dy, shape, (0, 1, 3, 4))
        y = b.node("reduce_sum", b.node("mul", wide, spread), axes=(2,))
        dkernel = b.node("reduce_sum", b.node("mul", wide, slope), axes=(0, 1))
        back = b.reshape(b.node("mul", slope, spread), windows.tensor.shape)
        dx = b.node("fold", back, axis=1, **steps, shape=x.tensor.shape)
        return {"y": y, "dkernel": dkernel, "dx": dx}

    graph = build(depthwise, "f32[batch, 7, 5]", "f32[3, 5, 1]", "f32[batch, 5, 5, 1]")
    result = fused(graph)
    kept = [str(n.type) for n in result.nodes() if n.op == "item"]
    assert sorted(kept) == ["f32[3, 5, 1]", "f32[batch, 5, 5, 1]", "f32[batch, 7, 5]"]
