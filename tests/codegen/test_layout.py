"""Layout ops against the interpreter: slices, padding, windows and the like, on every target."""

from __future__ import annotations

import pytest
from graphs import BATCH, build, examples
from native import check_against_interpreter, targets

from graphc.codegen.target import Target
from graphc.ir.graph import Node
from graphc.passes.shapes import Builder

Nodes = dict[str, Node]
Ints = tuple[int, ...]
each_target = pytest.mark.parametrize("target", targets())


def window(sizes: tuple[int, ...], strides: object = 1, dilations: object = 1) -> dict[str, object]:
    def spread(value: object) -> tuple[int, ...]:
        return value if isinstance(value, tuple) else (int(str(value)),) * len(sizes)

    return {"axis": 1, "sizes": sizes, "strides": spread(strides), "dilations": spread(dilations)}


@each_target
def test_slices_and_reversal(target: Target) -> None:
    def function(b: Builder, x: Node, z: Node) -> Nodes:
        y = b.node("exp", x)
        half = b.node("slice", y, starts=(0, 1, 3), sizes=(BATCH, 4, 17), steps=(1, 2, 1))
        return {
            "half": b.node("neg", half),
            "steps": b.node("slice", x, starts=(0, 0, 1), sizes=(BATCH, 9, 6), steps=(1, 1, 3)),
            "one": b.node("slice", x, starts=(0, 8, 0), sizes=(BATCH, 1, 21), steps=(1, 1, 1)),
            "last one": b.node("slice", x, starts=(0, 0, 8), sizes=(BATCH, 9, 1), steps=(1, 1, 1)),
            "back": b.node("reverse", y, axes=(1, 2)),
            "rows": b.node("reverse", b.node("mul", y, y), axes=(0,)),
            "gates": b.node("mul", *(
                b.node("slice", z, starts=(0, at), sizes=(BATCH, 5), steps=(1, 1))
                for at in (0, 10)
            )),
            "sum": b.node("reduce_sum", half, axes=(1, 2)),
            "max": b.node("reduce_max", half, axes=(1,)),
        }  # fmt: skip

    graph = build(function, "f32[batch, 9, 21]", "f32[batch, 15]")
    symbols = {"batch": 5}
    check_against_interpreter(graph, examples(graph, 1, symbols), symbols, target=target)


@each_target
def test_padding(target: Target) -> None:
    def function(b: Builder, x: Node, image: Node, flags: Node) -> Nodes:
        def pad(
            node: Node, low: object, high: object, interior: object, value: object = 0.0
        ) -> Node:
            return b.node("pad", node, low=low, high=high, interior=interior, value=value)

        return {
            "channels": pad(x, (0, 1, 2), (0, 0, 3), (0, 0, 0), 1.5),
            "places": b.node("exp", pad(x, (0, 2, 0), (0, 1, 0), (0, 2, 0), float("-inf"))),
            "between": pad(x, (0, 0, 1), (0, 0, 0), (0, 0, 2)),
            "image": pad(image, (0, 1, 1, 0), (0, 2, 3, 0), (0, 0, 0, 0)),
            "spread": pad(b.node("neg", image), (0, 1, 0, 0), (0, 0, 0, 0), (0, 1, 1, 0)),
            "flags": pad(flags, (0, 1), (0, 1), (0, 0), True),
        }

    graph = build(function, "f32[batch, 3, 7]", "f32[batch, 5, 19, 1]", "bool[batch, 3]")
    symbols = {"batch": 3}
    check_against_interpreter(graph, examples(graph, 1, symbols), symbols, target=target)


@each_target
def test_concatenation(target: Target) -> None:
    def function(b: Builder, x: Node, y: Node, z: Node) -> Nodes:
        wide = b.node("concat", x, b.node("exp", y), z, axis=2)
        return {
            "channels": b.node("neg", wide),
            "places": b.node("concat", x, x, axis=1),
            "rows": b.node("concat", y, y, axis=0),
            "total": b.node("reduce_sum", b.node("tanh", wide), axes=(2,)),
            "three": b.node("concat", y, b.node("broadcast", b.const(2.0, "f32"), axes=(),
                                                shape=(BATCH, 3, 2)), y, axis=2),
        }  # fmt: skip

    graph = build(function, "f32[batch, 3, 17]", "f32[batch, 3, 1]", "f32[batch, 3, 33]")
    symbols = {"batch": 4}
    check_against_interpreter(graph, examples(graph, 1, symbols), symbols, target=target)


@each_target
@pytest.mark.parametrize("channels", [1, 5, 37])
def test_windows_and_folds(channels: int, target: Target) -> None:
    """Pooling by sums and maxima, and what they have as gradients."""

    def function(b: Builder, x: Node) -> Nodes:
        results = {}
        for at, how in enumerate([
            window((2, 2), 2), window((3, 3), (2, 1)), window((2, 3), 1, (2, 1)),
            window((3, 2), 2, (2, 3)), window((5, 4)), window((9, 8)), window((1, 2), 3),
        ]):  # fmt: skip
            windows = b.node("windows", x, **how)
            top = b.node("reduce_max", windows, axes=(3, 4))
            total = b.node("reduce_sum", windows, axes=(3, 4))
            spread = b.broadcast(b.node("mul", top, total), windows.tensor.shape, (0, 1, 2, 5))
            chosen = b.node("select", b.node("less", windows, spread), spread, windows)
            results[f"top{at}"] = top
            results[f"total{at}"] = total
            results[f"fold{at}"] = b.node("fold", chosen, **how, shape=x.tensor.shape)
        return results

    graph = build(function, f"f32[batch, 9, 8, {channels}]")
    symbols = {"batch": 3}
    check_against_interpreter(
        graph, examples(graph, 1, symbols), symbols, target=target, absolute=1e-4
    )


@each_target
def test_windows_written_out(target: Target) -> None:
    def function(b: Builder, x: Node) -> Nodes:
        how = window((3,), 2)
        y = b.node("windows", x, **how)
        return {"y": y, "back": b.node("fold", y, **how, shape=x.tensor.shape)}

    graph = build(function, "f32[batch, 20]")
    symbols = {"batch": 3}
    check_against_interpreter(graph, examples(graph, 1, symbols), symbols, target=target)


@each_target
def test_scatter_add(target: Target) -> None:
    def function(b: Builder, index: Node, x: Node, y: Node) -> Nodes:
        rows = b.node("scatter_add", index, x, rows=7)
        one = b.node("scatter_add", index, y, rows=9)
        return {"rows": b.node("neg", rows), "one": one, "kept": b.node("gather", rows, index)}

    graph = build(function, "i32[batch, 3]", "f32[batch, 3, 21]", "f32[batch, 3]")
    symbols = {"batch": 6}
    feeds = examples(graph, 1, symbols)
    feeds["x0"] = feeds["x0"] % 7
    check_against_interpreter(graph, feeds, symbols, target=target)


@each_target
def test_gather_of_computed_rows(target: Target) -> None:
    def function(b: Builder, data: Node, index: Node, table: Node) -> Nodes:
        rows = b.node("gather", data, index)
        return {
            "rows": b.node("exp", rows),
            "turned": b.node("transpose", rows, permutation=(1, 0, 2)),
            "numbers": b.node("gather", table, index),
        }

    graph = build(function, "f32[11, 2, 19]", "i64[batch]", "f32[11]")
    symbols = {"batch": 23}
    feeds = examples(graph, 1, symbols)
    feeds["x1"] = feeds["x1"] % 11
    check_against_interpreter(graph, feeds, symbols, target=target)
