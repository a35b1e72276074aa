"""Loops: gradients against central differences, simplification, hoisting, and the plan."""

from __future__ import annotations

import numpy as np
import pytest
from graphs import Array, build, examples, ops_of, stages, typed
from loops import CASES, example_loop, loop, matmul, powers, recurrent

from graphc.ir.graph import Graph, Node
from graphc.ir.interpret import interpret
from graphc.ir.text import parse, to_text
from graphc.ir.verify import equal, verify
from graphc.passes import shapes
from graphc.passes.gradient import gradient
from graphc.passes.shapes import Builder
from graphc.passes.simplify import simplify

ROWS = {"batch": 4}


def with_loss(graph: Graph) -> Graph:
    """The graph with a loss that reads every result, each element with another weight."""
    b = Builder(graph)
    total = b.const(0.0, "f64")
    for node in list(graph.outputs.values()):
        axes = tuple(range(node.tensor.rank))
        total = b.node("add", total, b.node("reduce_sum", b.node("sin", node), axes=axes))
    graph.outputs = {"loss": total}
    return graph


@pytest.mark.parametrize("name", CASES)
def test_gradients(name: str) -> None:
    graph = with_loss(example_loop(name, "f64"))
    inputs = [n.name for n in graph.inputs()]
    whole = gradient(graph, "loss", inputs)
    verify(whole)
    shapes.check(whole)
    slim, _ = simplify(whole)
    verify(slim)
    feeds = {n: 0.7 * x for n, x in examples(graph, symbols=ROWS).items()}
    found, again = interpret(whole, feeds, ROWS), interpret(slim, feeds, ROWS)

    def loss(name: str, value: Array) -> float:
        return float(interpret(graph, {**feeds, name: value}, ROWS)["loss"])

    random = np.random.default_rng(0)
    for which in inputs:
        wanted, step = random.normal(size=feeds[which].shape), 1e-5
        ahead, behind = (loss(which, feeds[which] + s * wanted) for s in (step, -step))
        given = float((found[f"gradient/{which}"] * wanted).sum())
        np.testing.assert_allclose(given, (ahead - behind) / (2 * step), rtol=1e-6, atol=1e-8)
        np.testing.assert_allclose(again[f"gradient/{which}"], found[f"gradient/{which}"], 1e-12)


@pytest.mark.parametrize("name", CASES)
def test_text_and_simplification(name: str) -> None:
    graph = example_loop(name)
    assert equal(parse(to_text(graph)), graph)
    slim, _ = simplify(graph)
    feeds = examples(graph, symbols=ROWS)
    wanted = interpret(graph, feeds, ROWS)
    for key, value in interpret(slim, feeds, ROWS).items():
        np.testing.assert_allclose(value, wanted[key], 1e-5, 1e-6)
    text = to_text(stages(graph)["memory"])
    assert to_text(parse(text)) == text


def the_scan(graph: Graph) -> Node:
    (scan,) = (n for n in graph.nx if n.op == "scan")
    return scan


def test_what_nobody_reads_is_left_out() -> None:
    def function(b: Builder, k: Node, x: Node, unread: Node) -> Node:
        results = loop(b, with_unread, [k], [x, unread], [], length=3)
        return results[0]

    def with_unread(b: Builder, k: Node, x: Node, unread: Node) -> dict[str, Node]:
        return {**powers(b, k, x), "c1": b.node("exp", unread), "same": b.node("mul", x, k)}

    slim, _ = simplify(build(function, *["f32[batch, 3]"] * 3))
    scan = the_scan(slim)
    assert ops_of(scan.attrs["body"]) == ["mul"]
    assert len(scan.type) == 1 and scan.attrs["carries"] == 1  # type: ignore[arg-type]
    assert len(slim.operands(scan)) == 2


def test_products_of_elements_are_made_before_the_loop() -> None:
    graph = example_loop("recurrent")
    slim, _ = simplify(graph)
    assert ops_of(the_scan(slim).attrs["body"]).count("matmul") == 1
    products = [n for n in slim.nx if n.op == "matmul"]
    assert [str(n.type) for n in products] == ["f32[5*batch, 7]"]


def test_a_constants_gradient_is_one_product() -> None:
    graph = with_loss(example_loop("recurrent", "f64"))
    whole, _ = simplify(gradient(simplify(graph)[0], "loss", ["x0", "x1", "x2"]))
    scans = [n for n in whole.nx if n.op == "scan"]
    assert [ops_of(n.attrs["body"]).count("matmul") for n in scans] == [1, 1]
    shapes_ = {str(whole.outputs[f"gradient/x{at}"].type) for at in (0, 1)}
    assert shapes_ == {"f64[7, 7]", "f64[3, 7]"}
    kept = next(n for n in scans if not n.attrs["reverse"]).attrs["body"]
    assert sorted(str(n.op) for n in kept.outputs.values()) == ["input", "mul", "tanh", "tanh"]


def test_what_depends_on_constants_alone_is_made_before_the_loop() -> None:
    def body(b: Builder, w: Node, h: Node, x: Node) -> dict[str, Node]:
        first = b.node("slice", w, starts=(0, 0), sizes=(1, 3), steps=(1, 1))
        bias = b.reshape(b.node("exp", first), (3,))
        spread = b.broadcast(bias, h.tensor.shape, (1,))
        return {"c0": b.node("mul", b.node("add", h, x), spread), "bias": bias}

    graph = build(
        lambda b, w, h, x: dict(zip("yz", loop(b, body, [w], [h], [x]), strict=True)),
        "f32[2, 3]", "f32[batch, 3]", "f32[2, batch, 3]",
    )  # fmt: skip
    slim, _ = simplify(graph)
    assert set(ops_of(the_scan(slim).attrs["body"])) == {"add", "mul", "broadcast"}
    assert {"slice", "exp"} <= {n.op for n in slim.nx}
    feeds = examples(graph, symbols=ROWS)
    wanted = interpret(graph, feeds, ROWS)
    for key, value in interpret(slim, feeds, ROWS).items():
        np.testing.assert_allclose(value, wanted[key], 1e-5, 1e-6)


def test_values_of_other_layers_are_not_hoisted() -> None:
    def body(b: Builder, w: Node, h: Node, x: Node) -> dict[str, Node]:
        return {"c0": matmul(b, b.node("add", h, x), w)}

    graph = build(lambda b, w, h, x: loop(b, body, [w], [h], [x])[0],
                  "f32[3, 3]", "f32[batch, 3]", "f32[2, batch, 3]")  # fmt: skip
    slim, _ = simplify(graph)
    assert [n.op for n in slim.nx if n.op == "matmul"] == []


def test_a_bodys_buffers_lie_behind_the_graphs() -> None:
    planned = stages(example_loop("recurrent"))["memory"]
    scan = the_scan(planned)
    inner = [n for n in scan.attrs["body"].nx if n.op == "item"]
    assert scan.attrs["phase"] > 0 and all("place" in n.attrs for n in inner)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"length": 4}, "sequences have 4 elements"),
        ({"carries": 0, "sequences": 2}, "operands match the body's inputs"),
    ],
)
def test_broken_loops(change: dict[str, object], message: str) -> None:
    graph = example_loop("recurrent")
    scan = the_scan(graph)
    scan.attrs.update(change)
    with pytest.raises(ValueError, match=message):
        verify(graph)


def test_a_carry_keeps_its_type() -> None:
    def body(b: Builder, h: Node, x: Node) -> dict[str, Node]:
        return {"c0": b.node("concat", h, x, axis=1)}

    with pytest.raises(ValueError, match="a carry keeps its type"):
        build(lambda b, h, x: loop(b, body, [], [h], [x])[0], "f32[batch, 3]", "f32[2, batch, 3]")


def test_recurrent_is_what_numpy_says() -> None:
    graph = build(
        lambda b, u, w, bias, h, x: dict(zip("hy", loop(b, recurrent, [u, w, bias], [h], [x]), strict=True)),
        *(typed(t.format("f64")) for t in CASES["recurrent"][1]),
    )  # fmt: skip
    feeds = examples(graph, symbols=ROWS)
    u, w, bias, h, x = feeds.values()
    for at in range(5):
        h = np.tanh(h @ u + x[at] @ w + bias)
    np.testing.assert_allclose(interpret(graph, feeds, ROWS)["h"], h)
