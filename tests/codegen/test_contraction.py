"""Contractions, native against interpreted: every transpose, odd sizes, blocks, epilogues."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping

import numpy as np
import pytest
from graphs import BATCH, Array, build, examples, kernels, stages, tensor
from native import Native, check_against_interpreter, targets

from graphc.codegen.target import Target
from graphc.ir.graph import Graph, Node
from graphc.ir.types import Dim, TensorType
from graphc.passes.shapes import Builder

pytestmark = pytest.mark.usefixtures("many_threads")
each_target = pytest.mark.parametrize("target", targets())

Nodes = Mapping[str, Node]
TRANSPOSES = list(itertools.product((False, True), repeat=2))
# (m, k, n), odd and even, each of them 1 somewhere.
SIZES = [
    (1, 1, 1), (1, 7, 17), (17, 1, 3), (31, 3, 1), (7, 17, 31), (3, 100, 7), (100, 31, 17),
    (13, 257, 33), (6, 64, 100), (257, 5, 49),
]  # fmt: skip


def operands(m: Dim, k: Dim, n: Dim, ta: bool, tb: bool) -> list[TensorType]:
    a = tensor("f32", k, m) if ta else tensor("f32", m, k)
    return [a, tensor("f32", n, k) if tb else tensor("f32", k, n)]


def products(ta: bool, tb: bool) -> Callable[..., Nodes]:
    def function(b: Builder, *inputs: Node) -> Nodes:
        pairs = zip(inputs[::2], inputs[1::2], strict=True)
        return {
            f"y{at}": b.node("matmul", x, y, transpose_a=ta, transpose_b=tb)
            for at, (x, y) in enumerate(pairs)
        }

    return function


@each_target
@pytest.mark.parametrize(("ta", "tb"), TRANSPOSES)
def test_odd_sizes(ta: bool, tb: bool, target: Target) -> None:
    types = itertools.chain.from_iterable(operands(*size, ta, tb) for size in SIZES)
    graph = build(products(ta, tb), *types)
    check_against_interpreter(
        graph, examples(graph, 1), target=target, threads=(1, 2, 3), absolute=1e-4
    )


@each_target
@pytest.mark.parametrize(("ta", "tb"), TRANSPOSES)
def test_more_depth_than_a_block_holds(ta: bool, tb: bool, target: Target) -> None:
    sizes = [(5, 3001, 3), (14, 4099, 35)]
    types = itertools.chain.from_iterable(operands(*size, ta, tb) for size in sizes)
    graph = build(products(ta, tb), *types)
    check_against_interpreter(
        graph, examples(graph, 1), target=target, relative=1e-4, absolute=1e-3
    )


@each_target
def test_rows_of_pages(target: Target) -> None:
    """A transposed A whose rows are pages long is packed where tiles are small."""
    types = itertools.chain.from_iterable(
        operands(*size, True, False) for size in [(1024, 37, 19), (1024, 3001, 5), (2048, 1, 40)]
    )
    graph = build(products(True, False), *types)
    check_against_interpreter(
        graph, examples(graph, 1), target=target, threads=(1, 3), relative=1e-4, absolute=1e-3
    )


@each_target
def test_symbolic_sizes(target: Target) -> None:
    """Rows by batch, as in a layer; depth by batch, as in its kernel's gradient."""

    def function(b: Builder, x: Node, w: Node, y: Node, v: Node, s: Node) -> Nodes:
        return {
            "forward": b.node("matmul", x, w, transpose_a=False, transpose_b=False),
            "backward": b.node("matmul", y, w, transpose_a=False, transpose_b=True),
            "kernel": b.node("matmul", x, y, transpose_a=True, transpose_b=False),
            "wide": b.node("matmul", v, y, transpose_a=False, transpose_b=False),
            "turned": b.node("matmul", v, s, transpose_a=True, transpose_b=False),
        }

    types = [
        tensor("f32", BATCH, 19), tensor("f32", 19, 37), tensor("f32", BATCH, 37),
        tensor("f32", 7, BATCH), tensor("f32", 7, 5),
    ]  # fmt: skip
    native = Native(build(function, *types), target)
    for batch in (1, 2, 7, 31, 1030):
        symbols = {"batch": batch}
        feeds = examples(native.graph, batch, symbols)
        native.check(feeds, symbols, threads=(1, 3), relative=1e-4, absolute=3e-4)


def bias_relu(b: Builder, z: Node, v: Node, r: Node, c: Node) -> Nodes:
    biased = b.node("add", z, b.broadcast(v, z.tensor.shape, (1,)))
    return {"y": b.node("maximum", biased, b.full(0.0, z.tensor))}


def gelu(b: Builder, z: Node, v: Node, r: Node, c: Node) -> Nodes:
    inner = b.node("erf", b.node("mul", z, b.full(math.sqrt(0.5), z.tensor)))
    half = b.node("mul", z, b.full(0.5, z.tensor))
    return {"y": b.node("mul", half, b.node("add", inner, b.full(1.0, z.tensor)))}


def residual(b: Builder, z: Node, v: Node, r: Node, c: Node) -> Nodes:
    return {"y": b.node("add", r, b.node("tanh", z))}


def by_rows(b: Builder, z: Node, v: Node, r: Node, c: Node) -> Nodes:
    return {"y": b.node("mul", z, b.broadcast(c, z.tensor.shape, (0,)))}


def several(b: Builder, z: Node, v: Node, r: Node, c: Node) -> Nodes:
    """Two results and the product itself, one of them of another dtype."""
    positive = b.node("less", b.full(0.0, z.tensor), z)
    return {"z": z, "positive": positive, "y": b.node("select", positive, z, b.node("neg", r))}


def masked(b: Builder, z: Node, v: Node, r: Node, c: Node) -> Nodes:
    seed, step = b.const(3, "i32"), b.const(5, "i32")
    chance = b.node("random_uniform", seed, step, shape=z.tensor.shape, stream=0)
    keep = b.node("less", chance, b.full(0.5, z.tensor))
    return {"y": b.node("select", keep, z, b.full(0.0, z.tensor))}


def positions(b: Builder, z: Node, v: Node, r: Node, c: Node) -> Nodes:
    columns = b.node("iota", shape=z.tensor.shape, axis=1)
    part = b.node("mul", b.node("cast", columns, dtype="f32"), b.full(0.01, z.tensor))
    return {"y": b.node("mul", z, part)}


EPILOGUES = [bias_relu, gelu, residual, by_rows, several, masked, positions]


@each_target
@pytest.mark.parametrize("epilogue", EPILOGUES, ids=lambda e: e.__name__)
def test_epilogues(epilogue: Callable[..., Nodes], target: Target) -> None:
    def function(b: Builder, x: Node, w: Node, v: Node, r: Node, c: Node) -> Nodes:
        return epilogue(b, b.node("matmul", x, w, transpose_a=False, transpose_b=False), v, r, c)

    for m, n in ((BATCH, 35), (13, 300), (BATCH, 1), (1, 17)):
        types = [
            tensor("f32", m, 9), tensor("f32", 9, n), tensor("f32", n), tensor("f32", m, n),
            tensor("f32", m),
        ]  # fmt: skip
        graph = build(function, *types)
        made = kernels(stages(graph, check=False)["fuse"])
        assert [kind for kind, _ in made] == ["contraction"]
        symbols = {"batch": 11}
        feeds = examples(graph, 2, symbols)
        check_against_interpreter(graph, feeds, symbols, target=target)


def momentum_step(n: int, m: Dim = 29) -> Graph:
    """An optimizer's step as the epilogue of a kernel's gradient: weights and slot in place."""

    def function(b: Builder, x: Node, y: Node, w: Node, slot: Node) -> Nodes:
        slope = b.node("matmul", x, y, transpose_a=True, transpose_b=False)
        new = b.node("add", b.node("mul", slot, b.full(0.9, w.tensor)), slope)
        return {"x3": new, "x2": b.node("sub", w, b.node("mul", new, b.full(0.1, w.tensor)))}

    types = [tensor("f32", BATCH, m), tensor("f32", BATCH, n), *[tensor("f32", m, n)] * 2]
    return build(function, *types, states=(2, 3))


@each_target
@pytest.mark.parametrize("n", [1, 17, 300])
def test_weights_are_updated_in_place(n: int, target: Target) -> None:
    graph = momentum_step(n)
    symbols = {"batch": 21}
    feeds = examples(graph, 4, symbols)
    check_against_interpreter(
        graph, feeds, symbols, target=target, threads=(1, 2, 3), absolute=1e-4
    )


def test_the_old_weights_can_be_read_beside_the_new() -> None:
    """The kernel overwrites w, and another of its results reads the old w."""

    def function(b: Builder, x: Node, y: Node, w: Node) -> Nodes:
        product = b.node("matmul", x, y, transpose_a=True, transpose_b=False)
        new = b.node("add", product, b.full(0.5, w.tensor))
        return {"x2": new, "y": b.node("add", b.node("mul", w, w), product)}

    graph = build(function, "f32[batch, 5]", "f32[batch, 7]", "f32[5, 7]", states=(2,))
    symbols = {"batch": 4}
    check_against_interpreter(graph, examples(graph, 1, symbols), symbols)


def test_results_do_not_depend_on_the_threads() -> None:
    """Bit by bit, for a network's step with shapes that do not divide evenly."""

    def function(b: Builder, x: Node, w: Node, u: Node) -> Nodes:
        h = b.node("tanh", b.node("matmul", x, w, transpose_a=False, transpose_b=False))
        y = b.node("matmul", h, u, transpose_a=False, transpose_b=False)
        slope = b.node("matmul", h, y, transpose_a=True, transpose_b=False)
        back = b.node("matmul", y, u, transpose_a=False, transpose_b=True)
        return {"y": y, "slope": slope, "back": back, "sum": b.node("reduce_sum", y, axes=(0, 1))}

    graph = build(function, "f32[batch, 70]", "f32[70, 130]", "f32[130, 33]")
    native = Native(graph)
    feeds = examples(graph, 1, {"batch": 203})
    native.check(feeds, {"batch": 203}, threads=(1, 2, 3, 4, 7), relative=1e-3, absolute=5e-3)


@pytest.mark.parametrize("threads", [2, 3])
def test_rows_do_not_depend_on_their_neighbours(threads: int) -> None:
    """A row's result is the same bits in a batch of any size."""
    graph = build(products(False, False), "f32[batch, 67]", "f32[67, 45]")
    native = Native(graph)
    x: Array = np.random.default_rng(1).normal(size=(40, 67)).astype(np.float32)
    w = examples(graph, symbols={"batch": 1})["x1"]
    whole = native.run({"x0": x, "x1": w}, {"batch": 40}, threads=threads)["y0"]
    for start, stop in ((0, 1), (3, 10), (39, 40), (7, 33)):
        part = native.run({"x0": x[start:stop], "x1": w}, {"batch": stop - start})["y0"]
        np.testing.assert_array_equal(part, whole[start:stop])


def test_nan_and_infinity_stay_in_their_rows() -> None:
    graph = build(products(False, False), "f32[batch, 9]", "f32[9, 19]")
    feeds = examples(graph, 1, {"batch": 20})
    feeds["x0"][3, 4], feeds["x0"][17, 0] = np.nan, np.inf
    found = check_against_interpreter(graph, feeds, {"batch": 20})["y0"]
    assert np.isnan(found[3]).all() and np.isinf(found[17]).all()
    assert np.isfinite(np.delete(found, [3, 17], 0)).all()


@each_target
def test_a_row_is_the_same_alone_and_among_others(target: Target) -> None:
    """Few rows read B where it is, more rows pack it: the sums are in one order."""

    def function(b: Builder, x: Node, w: Node, bias: Node) -> Nodes:
        y = b.node("matmul", x, w, transpose_a=False, transpose_b=False)
        return {"y": b.node("add", y, b.node("broadcast", bias, shape=y.tensor.shape, axes=(1,)))}

    for width in (1, 37, 160):
        types = [tensor("f32", BATCH, 301), tensor("f32", 301, width), tensor("f32", width)]
        native = Native(build(function, *types), target)
        feeds = examples(native.graph, 5, {"batch": 40})
        together = native.run(feeds, {"batch": 40}, threads=3)["y"]
        for rows in (1, 2, 3, 7, 8, 9):
            some = native.run({**feeds, "x0": feeds["x0"][:rows]}, {"batch": rows}, threads=3)["y"]
            assert some.tobytes() == together[:rows].tobytes()
