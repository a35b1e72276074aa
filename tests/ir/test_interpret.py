"""The reference interpreter: what it takes, what it refuses, and the ops that NumPy has not."""

import math
from typing import Any

import numpy as np
import pytest
from graphs import BATCH, build, example, examples, stages, tensor
from op_samples import array_constants, sample_graph

from graphc.ir.graph import Node
from graphc.ir.interpret import interpret, philox_uniform
from graphc.ir.ops import OPS
from graphc.ir.types import DTYPES, evaluate
from graphc.passes.shapes import Builder


@pytest.mark.parametrize("op", OPS)
def test_results_have_the_nodes_types(op: str) -> None:
    graph, _ = sample_graph(op)
    symbols = {"batch": 4}
    seen: list[Node] = []

    def watch(node: Node, value: np.ndarray) -> None:
        seen.append(node)
        shape = tuple(evaluate(dim, symbols) for dim in node.tensor.shape)
        assert (value.shape, value.dtype) == (shape, DTYPES[node.tensor.dtype])

    results = interpret(graph, examples(graph, 1, symbols), symbols, watch)
    assert "y" in results and graph.outputs["y"] in seen


def test_constants_have_their_values() -> None:
    results = interpret(array_constants(), {})
    assert math.copysign(1, results["minus_zero"]) == -1 and results["true"].dtype == bool
    np.testing.assert_array_equal(results["floats"], np.array([[0.1, 0], [np.inf, -np.inf]], "f4"))


# What a function of IR ops gives for small arrays.
MEANINGS: dict[str, tuple[dict[str, object], list[object], object]] = {
    "gather": ({}, [[[1.0, 2], [3, 4], [5, 6]], np.array([2, 0], np.int32)], [[5.0, 6], [1, 2]]),
    "iota": ({"shape": (2, 3), "axis": 1}, [], [[0, 1, 2], [0, 1, 2]]),
    "broadcast": ({"shape": (2, 3), "axes": (0,)}, [[1.0, 2]], [[1.0, 1, 1], [2, 2, 2]]),
    "transpose": ({"permutation": (1, 0)}, [[[1.0, 2], [3, 4]]], [[1.0, 3], [2, 4]]),
    "argmax": ({"axis": 0}, [[1.0, 3, 3]], 1),
    "sigmoid": ({}, [[-800.0, 0, 800]], [0.0, 0.5, 1]),
    "maximum": ({}, [[1.0, math.nan], [math.nan, 2]], [math.nan, math.nan]),
    "sign": ({}, [[-2.0, 0, math.nan]], [-1.0, 0, math.nan]),
    "erf": ({}, [[0.5]], [math.erf(0.5)]),
    "matmul": (
        {"transpose_a": True, "transpose_b": True},
        [[[1.0], [2]], [[3.0, 4], [5, 6], [7, 8]]],
        [[11.0, 17, 23]],
    ),
}


@pytest.mark.parametrize("op", MEANINGS)
def test_meanings(op: str) -> None:
    attrs, operands, expected = MEANINGS[op]
    arrays = [a if isinstance(a, np.ndarray) else np.array(a, np.float32) for a in operands]
    short = {np.dtype(np.float32): "f32", np.dtype(np.int32): "i32"}
    types = [tensor(short[a.dtype], *a.shape) for a in arrays]
    graph = build(lambda b, *xs: b.node(op, *xs, **attrs), *types)
    result = interpret(graph, {f"x{at}": a for at, a in enumerate(arrays)})["y"]
    np.testing.assert_allclose(result, np.array(expected, result.dtype), rtol=1e-6)


def test_symbols_are_told_by_shapes_or_given() -> None:
    graph = build(lambda b, x: b.node("size", dim=x.tensor.elements, dtype="i64"), "f32[batch, 3]")
    assert interpret(graph, {"x0": np.zeros((5, 3), np.float32)})["y"] == 15
    lonely = build(lambda b: b.node("size", dim=2 * BATCH, dtype="i32"))
    assert interpret(lonely, {}, {"batch": 9})["y"] == 18


@pytest.mark.parametrize(
    ("feeds", "message"),
    [
        ({}, "input %x0: no array given"),
        ({"x0": np.zeros((2, 4))}, r"input %x0: expected f32\[batch, 3\], got shape \(2, 4\)"),
        ({"x0": np.zeros(3)}, r"input %x0: expected f32\[batch, 3\], got shape \(3,\)"),
        (
            {"x0": np.zeros((2, 3)), "x1": np.zeros(3)},
            r"input %x1: expected f32\[batch\], got shape \(3,\)",
        ),
    ],
)
def test_feeds_that_do_not_fit(feeds: dict[str, Any], message: str) -> None:
    graph = build(lambda b, x, y: {"a": x, "b": y}, "f32[batch, 3]", "f32[batch]")
    with pytest.raises(ValueError, match=message):
        interpret(graph, feeds)


def test_every_stage_runs() -> None:
    def layer(b: Builder, x: Node, w: Node, v: Node) -> dict[str, Node]:
        z = b.node("matmul", x, w, transpose_a=False, transpose_b=False)
        y = b.node("tanh", b.node("add", z, b.broadcast(v, z.tensor.shape, (1,))))
        return {"y": y, "x2": b.node("mul", v, b.node("reduce_sum", y, axes=(0,)))}

    graph = build(layer, "f32[batch, 5]", "f32[5, 3]", "f32[3]", states=(2,))
    feeds = examples(graph, 3, {"batch": 7})
    expected = interpret(graph, feeds)
    assert expected["x2"].shape == (3,) and np.abs(expected["x2"]).min() > 0
    for name, stage in stages(graph).items():
        results = interpret(stage, feeds)
        for key, value in expected.items():
            np.testing.assert_allclose(results[key], value, rtol=1e-6, err_msg=name)


def test_philox_is_uniform_and_a_function_of_its_counter() -> None:
    values = philox_uniform(1, 2, 3, 100_000)
    assert values.dtype == np.float32 and values.min() >= 0 and values.max() < 1
    assert abs(values.mean() - 0.5) < 0.005 and abs(values.var() - 1 / 12) < 0.002
    assert abs(np.corrcoef(values[:-1], values[1:])[0, 1]) < 0.01
    np.testing.assert_array_equal(values[:10], philox_uniform(1, 2, 3, 10))
    for other in ((2, 2, 3), (1, 3, 3), (1, 2, 4)):
        assert np.mean(values == philox_uniform(*other, 100_000)) < 0.001
    assert philox_uniform(-1, 2, 3, 4).shape == (4,)  # seeds are taken modulo 2**32


def test_philox_agrees_with_its_publication() -> None:
    # Random123's known answer for philox2x32-10 of counter (0, 0) and key 0; 24 bits are used.
    assert philox_uniform(0, 0, 0, 1)[0] * 2**24 == 0xFF1DAE59 >> 8


def test_inputs_are_not_changed() -> None:
    graph = build(lambda b, x: b.node("neg", b.node("copy", x)), "f32[3]")
    x = example(tensor("f32", 3))
    kept = x.copy()
    interpret(graph, {"x0": x})
    np.testing.assert_array_equal(x, kept)
