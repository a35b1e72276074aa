"""Kernels with reductions, native against interpreted: rows, columns, everything."""

from __future__ import annotations

import itertools
from collections.abc import Mapping

import numpy as np
import pytest
from graphs import BATCH, Array, build, examples, tensor
from native import Native, check_against_interpreter, targets

from graphc.codegen.target import Target
from graphc.ir.graph import Node
from graphc.ir.types import DTYPES
from graphc.passes.shapes import Builder
from graphc.passes.simplify import simplify

pytestmark = pytest.mark.usefixtures("many_threads")
each_target = pytest.mark.parametrize("target", targets())

Nodes = Mapping[str, Node]
SIZES = (1, 3, 7, 17, 31, 100, 257)
REDUCTIONS = ["reduce_sum", "reduce_max", "reduce_min"]
SHAPE = (5, 7, 33)
AXES = [a for count in range(1, 4) for a in itertools.combinations(range(3), count)]


@each_target
@pytest.mark.parametrize("op", REDUCTIONS)
def test_reductions_over_any_axes(op: str, target: Target) -> None:
    def reduce(b: Builder, x: Node, z: Node) -> Nodes:
        results = {f"fixed{axes}": b.node(op, b.node("sin", x), axes=axes) for axes in AXES}
        return results | {f"batch{axes}": b.node(op, z, axes=axes) for axes in AXES}

    graph = build(reduce, tensor("f32", *SHAPE), tensor("f32", BATCH, 7, 33))
    native = Native(graph, target)
    for batch in (1, 4, 19):
        symbols = {"batch": batch}
        native.check(examples(graph, batch, symbols), symbols, threads=(1, 2, 3))


@each_target
def test_axes_behind_the_reduced_ones(target: Target) -> None:
    """Short ones, as a window's, are taken together; longer ones one after the other."""

    def reduce(b: Builder, *inputs: Node) -> Nodes:
        return {f"y{at}": b.node("reduce_sum", x, axes=(1, 2)) for at, x in enumerate(inputs)}

    shapes = [(BATCH, 5, 4, 3, 3, 20), (2, 5, 1, 2, 16), (BATCH, 3, 4, 5, 5, 7)]
    graph = build(reduce, *(tensor("f32", *shape) for shape in shapes))
    native = Native(graph, target)
    for batch in (1, 4):
        native.check(examples(graph, batch, {"batch": batch}), {"batch": batch}, threads=(1, 2, 3))


@each_target
def test_rows_and_columns_of_every_size(target: Target) -> None:
    def reduce(b: Builder, *inputs: Node) -> Nodes:
        results = {}
        for at, x in enumerate(inputs):
            results[f"rows{at}"] = b.node("reduce_sum", b.node("mul", x, x), axes=(1,))
            results[f"columns{at}"] = b.node("exp", b.node("reduce_max", x, axes=(0,)))
            results[f"all{at}"] = b.node("reduce_sum", x, axes=(0, 1))
        return results

    types = [tensor("f32", BATCH, n) for n in SIZES] + [tensor("f32", n, BATCH) for n in (3, 31)]
    graph = build(reduce, *types)
    native = Native(graph, target)
    for batch in (1, 2, 17):
        symbols = {"batch": batch}
        native.check(examples(graph, batch, symbols), symbols, threads=(1, 3), absolute=1e-4)


@each_target
def test_sizes_of_one(target: Target) -> None:
    def reduce(b: Builder, x: Node, z: Node, s: Node, t: Node) -> Nodes:
        results = {f"x{axes}": b.node("reduce_sum", x, axes=axes) for axes in AXES}
        results |= {f"z{axes}": b.node("reduce_max", z, axes=axes) for axes in AXES}
        results |= {f"s{axes}": b.node("reduce_min", s, axes=axes) for axes in AXES}
        results |= {f"t{axes}": b.node("reduce_sum", t, axes=axes) for axes in AXES}
        results |= {f"argmax{axis}": b.node("argmax", x, axis=axis) for axis in range(3)}
        return results

    graph = build(reduce, "f32[5, 1, 7]", "f32[1, batch, 1]", "f32[1, 1, 1]", "f32[4, 3, 5, 1]")
    for batch in (1, 6):
        symbols = {"batch": batch}
        check_against_interpreter(graph, examples(graph, 2, symbols), symbols, target=target)


@each_target
def test_every_dtype(target: Target) -> None:
    def reduce(b: Builder, *inputs: Node) -> Nodes:
        results = {}
        for x, op, axis in itertools.product(inputs, REDUCTIONS, (0, 1)):
            if x.tensor.dtype in ("bool", "i8", "u8", "i16", "u16") and op == "reduce_sum":
                continue  # the front widens these first
            results[f"{op}_{x.tensor.dtype}_{axis}"] = b.node(op, x, axes=(axis,))
        for x in inputs:
            results[f"argmax_{x.tensor.dtype}"] = b.node("argmax", x, axis=1)
        return results

    graph = build(reduce, *(tensor(dtype, 5, 19) for dtype in DTYPES))
    random = np.random.default_rng(3)
    feeds = examples(graph, 4)
    for node in graph.inputs():
        dtype = DTYPES[node.tensor.dtype]
        if dtype.kind in "iu":  # the whole range, and far from it: no bound may be taken for 0
            bounds = np.iinfo(dtype)
            whole = random.integers(bounds.min, bounds.max, (5, 19), dtype, endpoint=True)
            feeds[node.name] = whole
            feeds[node.name][0] = bounds.max - random.integers(0, 5, 19)
            feeds[node.name][1] = bounds.min + random.integers(0, 5, 19)
    check_against_interpreter(graph, feeds, target=target)


def argmaxes(b: Builder, x: Node, z: Node) -> Nodes:
    results = {f"a{axis}": b.node("argmax", x, axis=axis) for axis in range(x.tensor.rank)}
    return results | {f"b{axis}": b.node("argmax", z, axis=axis) for axis in range(2)}


@each_target
def test_argmax_takes_the_first(target: Target) -> None:
    graph = build(argmaxes, tensor("f32", *SHAPE), "f32[batch, 40]")
    for seed, highest in ((0, 2), (1, 5), (2, 1000)):
        random = np.random.default_rng(seed)
        feeds = {
            "x0": random.integers(0, highest, SHAPE).astype(np.float32),
            "x1": -random.integers(0, highest, (6, 40)).astype(np.float32),
        }
        check_against_interpreter(graph, feeds, {"batch": 6}, target=target)


NAN, INF = np.nan, np.inf
ROWS = [
    [1.0, NAN, 3, NAN, 0], [NAN] * 5, [-INF] * 5, [-INF, INF, INF, 1, 2], [0.0, -0.0, 0, -0.0, 0],
    [NAN, INF, -INF, 0, 1], [-0.0, 0.0, -1, -2, -3],
]  # fmt: skip


@each_target
@pytest.mark.parametrize("columns", [5, 23])
def test_special_floats(target: Target, columns: int) -> None:
    def reduce(b: Builder, x: Node) -> Nodes:
        results = {
            f"{op}{axis}": b.node(op, x, axes=(axis,)) for op in REDUCTIONS for axis in (0, 1)
        }
        return {**results, "a": b.node("argmax", x, axis=1), "b": b.node("argmax", x, axis=0)}

    wide = np.full((len(ROWS), columns), -INF, np.float32)
    wide[:, -5:] = ROWS
    graph = build(reduce, tensor("f32", *wide.shape))
    check_against_interpreter(graph, {"x0": wide}, target=target)


def softmax(b: Builder, x: Node) -> Node:
    top = b.node("reduce_max", x, axes=(1,))
    e = b.node("exp", b.node("sub", x, b.broadcast(top, x.tensor.shape, (0,))))
    return b.node("div", e, b.broadcast(b.node("reduce_sum", e, axes=(1,)), x.tensor.shape, (0,)))


def classify(b: Builder, z: Node, y: Node) -> Nodes:
    """What the end of a classifier does with its rows."""
    p = softmax(b, z)
    log_p = b.node("log", p)
    loss = b.node("neg", b.node("reduce_sum", b.node("mul", y, log_p), axes=(1,)))
    right = b.node("equal", b.node("argmax", p, axis=1), b.node("argmax", y, axis=1))
    hits = b.node("reduce_sum", b.node("cast", right, dtype="f32"), axes=(0,))
    return {"p": p, "log_p": log_p, "loss": loss, "hits": hits}


@each_target
@pytest.mark.parametrize("columns", [1, 10, 100, 1000])
def test_softmax(columns: int, target: Target) -> None:
    # Simplified, as the logarithm then is that of log-softmax.
    graph, _ = simplify(build(classify, *[f"f32[batch, {columns}]"] * 2))
    native = Native(graph, target)
    for batch, scale in ((1, 1.0), (7, 50.0)):
        feeds = examples(graph, batch, {"batch": batch})
        feeds["x0"] = feeds["x0"] * np.float32(scale)
        feeds["x1"] = np.abs(feeds["x1"])
        relative = 1e-4 if columns == 1000 else 2e-5
        found = native.check(feeds, {"batch": batch}, threads=(1, 2, 3), relative=relative)
        np.testing.assert_allclose(found["p"].sum(1), 1, rtol=1e-5)


def normalise(b: Builder, x: Node, v: Node) -> Nodes:
    """Rows of mean 0 and variance 1, scaled; and means of both axes of what comes out."""
    count = b.broadcast(b.node("size", dim=x.tensor.shape[1], dtype="f32"), x.tensor.shape[:1], ())
    mean = b.node("div", b.node("reduce_sum", x, axes=(1,)), count)
    off = b.node("sub", x, b.broadcast(mean, x.tensor.shape, (0,)))
    variance = b.node("div", b.node("reduce_sum", b.node("mul", off, off), axes=(1,)), count)
    spread = b.node("rsqrt", b.node("add", variance, b.full(1e-3, variance.tensor)))
    unit = b.node("mul", off, b.broadcast(spread, x.tensor.shape, (0,)))
    y = b.node("tanh", b.node("mul", unit, b.broadcast(v, x.tensor.shape, (1,))))
    return {
        "y": y, "mean": mean, "rows": b.node("reduce_sum", y, axes=(1,)),
        "columns": b.node("reduce_sum", y, axes=(0,)),
    }  # fmt: skip


@each_target
@pytest.mark.parametrize("columns", [3, 31, 100, 257])
def test_normalisation(columns: int, target: Target) -> None:
    graph = build(normalise, f"f32[batch, {columns}]", f"f32[{columns}]")
    feeds = examples(graph, 3, {"batch": 9})
    check_against_interpreter(graph, feeds, {"batch": 9}, target=target, absolute=5e-5)


@each_target
def test_rows_of_a_symbolic_length(target: Target) -> None:
    graph = build(normalise, "f32[5, batch]", "f32[batch]")
    native = Native(graph, target)
    for batch in SIZES:
        feeds = examples(graph, batch, {"batch": batch})
        native.check(feeds, {"batch": batch}, absolute=1e-4)


@each_target
def test_columns_and_what_goes_before_and_after(target: Target) -> None:
    def columns(b: Builder, x: Node, v: Node, t: Node) -> Nodes:
        shifted = b.node("sub", x, b.broadcast(v, x.tensor.shape, (1,)))
        e = b.node("exp", shifted)
        total = b.node("reduce_sum", e, axes=(0,))
        cube = b.node("reduce_sum", b.node("mul", t, t), axes=(0, 2))
        middle = b.node("reduce_max", t, axes=(1,))
        return {
            "e": e, "total": total, "after": b.node("mul", b.node("log", total), v),
            "cube": cube, "middle": b.node("neg", middle),
        }  # fmt: skip

    for n in (1, 31, 257):
        graph = build(columns, f"f32[batch, {n}]", f"f32[{n}]", tensor("f32", BATCH, 3, n))
        for batch in (1, 13):
            symbols = {"batch": batch}
            feeds = examples(graph, batch, symbols)
            check_against_interpreter(graph, feeds, symbols, target=target, absolute=1e-4)


@each_target
def test_rows_of_several_axes(target: Target) -> None:
    def rows(b: Builder, x: Node) -> Nodes:
        top = b.node("reduce_max", x, axes=(1, 2))
        e = b.node("exp", b.node("sub", x, b.broadcast(top, x.tensor.shape, (0,))))
        total = b.node("reduce_sum", e, axes=(1, 2))
        y = b.node("div", e, b.broadcast(total, x.tensor.shape, (0,)))
        return {"y": y, "squares": b.node("reduce_sum", b.node("mul", y, y), axes=(1, 2))}

    for shape in ((5, 3, 7), (BATCH, 7, 33), (3, BATCH, 17)):
        graph = build(rows, tensor("f32", *shape))
        symbols = {"batch": 4}
        check_against_interpreter(graph, examples(graph, 2, symbols), symbols, target=target)


def test_sums_of_many_do_not_depend_on_the_threads() -> None:
    graph = build(
        lambda b, x: {
            "all": b.node("reduce_sum", x, axes=(0, 1)), "rows": b.node("reduce_sum", x, axes=(1,)),
            "columns": b.node("reduce_sum", x, axes=(0,)),
        },
        "f32[batch, 129]",
    )  # fmt: skip
    x: Array = np.random.default_rng(1).normal(size=(1000, 129)).astype(np.float32) * 1e3
    native = Native(graph)
    found = native.check(
        {"x0": x}, {"batch": 1000}, threads=(1, 2, 3, 4, 7), relative=1e-4, absolute=1.0
    )
    np.testing.assert_allclose(found["columns"], x.astype(float).sum(0), 1e-4, 0.1)
