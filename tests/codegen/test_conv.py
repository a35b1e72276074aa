"""Convolutions and products of many matrices against the interpreter, on every target."""

from __future__ import annotations

import pytest
from graphs import Array, build, examples
from native import check_against_interpreter, targets

from graphc.codegen.target import Target
from graphc.ir.graph import Graph, Node
from graphc.passes.shapes import Builder, windowed

Nodes = dict[str, Node]
Ints = tuple[int, ...]
each_target = pytest.mark.parametrize("target", targets())

# Spatial sizes, channels, filters, window, strides, dilations.
CASES: list[tuple[Ints, int, int, Ints, Ints, Ints]] = [
    ((13,), 3, 5, (3,), (1,), (1,)),
    ((28, 28), 1, 32, (3, 3), (1, 1), (1, 1)),
    ((9, 11), 17, 70, (3, 2), (2, 1), (1, 2)),
    ((5, 7), 33, 16, (1, 1), (1, 1), (1, 1)),
    ((5, 7), 8, 1, (1, 1), (2, 3), (1, 1)),
    ((7, 8), 5, 40, (7, 8), (1, 1), (1, 1)),
    ((6, 5, 4), 3, 9, (2, 3, 2), (1, 2, 1), (2, 1, 1)),
    # Few filters: vectors hold 2, 4, 8 or 16 elements of a window's row for each, on AVX-512.
    ((6, 7), 2, 7, (3, 3), (1, 1), (1, 1)),
    ((6, 9), 4, 3, (3, 3), (1, 2), (1, 1)),
    ((6, 9), 8, 2, (2, 3), (1, 1), (2, 2)),
    ((6, 5), 16, 1, (3, 3), (1, 1), (1, 1)),
]


def convolution(case: tuple[Ints, int, int, Ints, Ints, Ints], parts: int) -> Graph:
    sizes, channels, filters, window, strides, dilations = case
    how = zip(sizes, window, strides, dilations, strict=True)
    out = tuple(windowed(*part) for part in how)

    def function(b: Builder, x: Node, kernel: Node, bias: Node, dy: Node) -> Nodes:
        y = b.node("conv", x, kernel, strides=strides, dilations=dilations)
        y = b.node("add", y, b.broadcast(bias, y.tensor.shape, (len(sizes) + 1,)))
        dkernel = b.node(
            "conv_kernel_grad", x, dy, sizes=window, strides=strides, dilations=dilations,
            parts=parts,
        )  # fmt: skip
        return {"y": b.node("maximum", y, b.full(0.0, y.tensor)), "dkernel": dkernel}

    dims = ", ".join(map(str, sizes))
    return build(
        function, f"f32[batch, {dims}, {channels}]",
        f"f32[{', '.join(map(str, window))}, {channels}, {filters}]", f"f32[{filters}]",
        f"f32[batch, {', '.join(map(str, out))}, {filters}]",
    )  # fmt: skip


@each_target
@pytest.mark.parametrize("case", CASES, ids=str)
def test_convolution(case: tuple[Ints, int, int, Ints, Ints, Ints], target: Target) -> None:
    graph = convolution(case, parts=1)
    symbols = {"batch": 5}
    check_against_interpreter(
        graph, examples(graph, 1, symbols), symbols, target=target, absolute=2e-4, relative=1e-4
    )


def test_more_parts_than_images() -> None:
    graph = convolution(CASES[0], parts=4)
    for batch in (1, 3, 6):
        symbols = {"batch": batch}
        check_against_interpreter(graph, examples(graph, 1, symbols), symbols, absolute=1e-4)


@each_target
@pytest.mark.parametrize(("transpose_a", "transpose_b"), [(0, 0), (0, 1), (1, 0), (1, 1)])
def test_many_products(transpose_a: int, transpose_b: int, target: Target) -> None:
    a, b_ = ("7, 20", "20, 37")
    a = ", ".join(reversed(a.split(", "))) if transpose_a else a
    b_ = ", ".join(reversed(b_.split(", "))) if transpose_b else b_

    def function(b: Builder, x: Node, y: Node) -> Nodes:
        how = {"transpose_a": bool(transpose_a), "transpose_b": bool(transpose_b)}
        product = b.node("matmul", x, y, **how)
        scaled = b.node("mul", product, b.full(0.5, product.tensor))
        return {"y": scaled, "max": b.node("reduce_max", scaled, axes=(3,))}

    graph = build(function, f"f32[batch, 3, {a}]", f"f32[batch, 3, {b_}]")
    symbols = {"batch": 4}
    feeds: dict[str, Array] = examples(graph, 1, symbols)
    check_against_interpreter(graph, feeds, symbols, target=target, absolute=1e-4)


def test_a_sum_over_nothing_is_zero() -> None:
    def function(b: Builder, x: Node, y: Node) -> Nodes:
        return {"y": b.node("matmul", x, y, transpose_a=True, transpose_b=False)}

    graph = build(function, "f32[0, 3]", "f32[0, 5]")
    check_against_interpreter(graph, examples(graph), {"batch": 1})
