"""Loops as graphs, for tests of every stage."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from graphs import Build, build, typed

from graphc.ir.graph import Graph, Node
from graphc.passes.shapes import Builder

Body = Callable[..., dict[str, Node]]


def loop(
    b: Builder,
    body: Body,
    constants: Sequence[Node],
    carries: Sequence[Node],
    sequences: Sequence[Node],
    length: object = None,
    reverse: bool = False,
) -> list[Node]:
    """The results of a scan; body(builder, constants ..., carries ..., elements ...) names its
    outputs: "c0", "c1" ... are the carries' new values."""  # fmt: skip
    inner = Builder(Graph("step"))
    types = [
        *((f"k{at}", "data", n.tensor) for at, n in enumerate(constants)),
        *((f"c{at}", "state", n.tensor) for at, n in enumerate(carries)),
        *(
            (f"s{at}", "data", n.tensor.with_shape(n.tensor.shape[1:]))
            for at, n in enumerate(sequences)
        ),
    ]
    inputs = [
        inner.graph.add("input", (), {"role": role}, type=type_, name=name)
        for name, role, type_ in types
    ]
    inner.graph.outputs = dict(body(inner, *inputs))
    attrs = {
        "body": inner.graph,
        "carries": len(carries),
        "sequences": len(sequences),
        "length": sequences[0].tensor.shape[0] if length is None else length,
        "reverse": reverse,
    }
    scan = b.scan([*constants, *carries, *sequences], attrs)
    return [b.item(scan, at) for at in range(len(scan.type))]  # type: ignore[arg-type]


def matmul(b: Builder, x: Node, y: Node, **transposed: bool) -> Node:
    return b.node("matmul", x, y, **{"transpose_a": False, "transpose_b": False, **transposed})


def recurrent(b: Builder, u: Node, w: Node, bias: Node, h: Node, x: Node) -> dict[str, Node]:
    """An Elman cell whose matrices and bias are constants."""
    z = b.node("add", matmul(b, h, u), matmul(b, x, w))
    z = b.node("add", z, b.node("broadcast", bias, shape=z.tensor.shape, axes=(1,)))
    y = b.node("tanh", z)
    return {"c0": y, "y": b.node("mul", y, y)}


def gated(b: Builder, u: Node, h: Node, c: Node, x: Node, keep: Node) -> dict[str, Node]:
    """Two carries, gates cut out of one product, and steps left out by a mask."""
    z = b.node("add", matmul(b, h, u), x)
    rows, units = h.tensor.shape
    gates = [
        b.node("slice", z, starts=(0, at * units), sizes=(rows, units), steps=(1, 1))  # type: ignore[operator]
        for at in range(3)
    ]
    i, f, g = (
        b.node(op, gate) for op, gate in zip(("sigmoid", "sigmoid", "tanh"), gates, strict=True)
    )
    new_c = b.node("add", b.node("mul", f, c), b.node("mul", i, g))
    new_h = b.node("mul", i, b.node("tanh", new_c))
    mask = b.node("broadcast", keep, shape=h.tensor.shape, axes=(0,))
    return {
        "c0": b.node("select", mask, new_h, h),
        "c1": b.node("select", mask, new_c, c),
        "y": new_h,
    }


def powers(b: Builder, k: Node, x: Node) -> dict[str, Node]:
    """A constant's cotangent that only a carry can sum; the other order of a product."""
    y = b.node("mul", x, k)
    return {"c0": y, "before": x, "twice": b.node("add", y, y)}


def outer(b: Builder, u: Node, h: Node, x: Node) -> dict[str, Node]:
    """A loop within the loop, over the rows of the element."""

    def inner(b: Builder, u: Node, h: Node, row: Node) -> dict[str, Node]:
        spread = b.node("broadcast", row, shape=h.tensor.shape, axes=(1,))
        return {"c0": b.node("tanh", b.node("add", matmul(b, h, u), spread))}

    (new,) = loop(b, inner, [u], [h], [x])
    return {"c0": b.node("mul", new, h), "y": b.node("exp", b.node("neg", new))}


CASES: dict[str, tuple[Build, list[str]]] = {
    "recurrent": (
        lambda b, u, w, bias, h, x: loop(b, recurrent, [u, w, bias], [h], [x]),
        ["{}[7, 7]", "{}[3, 7]", "{}[7]", "{}[batch, 7]", "{}[5, batch, 3]"],
    ),
    "backwards": (
        lambda b, u, w, bias, h, x: loop(b, recurrent, [u, w, bias], [h], [x], reverse=True),
        ["{}[1, 1]", "{}[9, 1]", "{}[1]", "{}[batch, 1]", "{}[4, batch, 9]"],
    ),
    "gated": (
        lambda b, u, h, c, x, score: loop(
            b, gated, [u], [h, c], [x, b.node("less", score, b.full(0.3, score.tensor))]
        ),
        ["{}[5, 15]", "{}[batch, 5]", "{}[batch, 5]", "{}[3, batch, 15]", "{}[3, batch]"],
    ),
    "powers": (
        lambda b, k, x: loop(b, powers, [k], [x], [], length=3),
        ["{}[batch, 3]", "{}[batch, 3]"],
    ),
    "nested": (
        lambda b, u, h, x: loop(b, outer, [u], [h], [x]),
        ["{}[3, 3]", "{}[batch, 3]", "{}[2, 4, 3]"],
    ),
}  # fmt: skip


def example_loop(name: str, dtype: str = "f32") -> Graph:
    """One of CASES as a graph, its results outputs "r0", "r1" ..."""
    function, types = CASES[name]

    def results(b: Builder, *inputs: Node) -> dict[str, Node]:
        return {f"r{at}": node for at, node in enumerate(function(b, *inputs))}

    return build(results, *(typed(t.format(dtype)) for t in types))
