"""Derivatives against central differences in float64, in the reference interpreter."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import pytest
from graphs import Array, build

from graphc.ir.graph import Graph, GraphError, Node, Scope
from graphc.ir.interpret import interpret
from graphc.ir.verify import verify
from graphc.passes import shapes
from graphc.passes.derivatives import DERIVATIVES
from graphc.passes.gradient import gradient
from graphc.passes.shapes import Builder
from graphc.passes.simplify import simplify

Function = Callable[..., Node]
Case = tuple[Function, Sequence[str], tuple[float, float]]

ANY, POSITIVE, WITHIN_ONE = (-2.0, 2.0), (0.3, 2.3), (-0.9, 0.9)


def op(name: str, **attrs: object) -> Function:
    return lambda b, *operands: b.node(name, *operands, **attrs)


def chosen(b: Builder, x: Node, y: Node, z: Node) -> Node:
    return b.node("select", b.node("less", x, y), b.node("mul", x, z), b.node("exp", y))


def twice_cast(b: Builder, x: Node) -> Node:
    return b.node("mul", x, b.node("cast", b.node("cast", x, dtype="f64"), dtype="f64"))


def cast_of_int(b: Builder, x: Node) -> Node:
    steps = b.node("cast", b.node("cast", x, dtype="i32"), dtype="f64")
    return b.node("mul", x, steps)


def gathered(b: Builder, x: Node) -> Node:
    return b.node("gather", x, b.node("const", value=np.array([[2, 0], [2, 1]], np.int32)))


def scattered(b: Builder, x: Node) -> Node:
    index = b.node("const", value=np.array([2, 0, 2, 7], np.int32))
    return b.node("scatter_add", index, x, rows=3)


WINDOW: dict[str, object] = {"sizes": (3,), "strides": (2,), "dilations": (1,)}
X = ["f64[3, 5]"]
XY = ["f64[3, 5]", "f64[3, 5]"]

# Op -> a function with it, the operands' types, and the range of the points.
RULES: dict[str, Case] = {
    **{name: (op(name), X, ANY) for name in ("neg", "abs", "exp", "expm1", "sin", "cos", "tanh")},
    **{name: (op(name), X, ANY) for name in ("sigmoid", "erf", "copy")},
    **{name: (op(name), X, POSITIVE) for name in ("log", "sqrt", "rsqrt")},
    **{name: (op(name), XY, ANY) for name in ("add", "sub", "mul", "maximum", "minimum")},
    "log1p": (op("log1p"), X, WITHIN_ONE),
    "div": (op("div"), XY, POSITIVE),
    "power": (op("power"), XY, POSITIVE),
    "cast": (twice_cast, X, ANY),
    "select": (chosen, [*XY, "f64[3, 5]"], ANY),
    "broadcast": (op("broadcast", shape=(2, 3, 4, 5), axes=(1, 3)), X, ANY),
    "reshape": (op("reshape", shape=(5, 1, 3)), X, ANY),
    "transpose": (op("transpose", permutation=(2, 0, 1)), ["f64[2, 3, 5]"], ANY),
    "reduce_sum": (op("reduce_sum", axes=(0, 2)), ["f64[2, 3, 5]"], ANY),
    "reduce_max": (op("reduce_max", axes=(1,)), ["f64[2, 3, 5]"], ANY),
    "reduce_min": (op("reduce_min", axes=(0, 1)), ["f64[2, 3, 5]"], ANY),
    "slice": (op("slice", starts=(0, 1), sizes=(3, 2), steps=(1, 3)), X, ANY),
    "reverse": (op("reverse", axes=(1,)), X, ANY),
    "pad": (op("pad", low=(1, 0), high=(0, 2), interior=(2, 0), value=1.0), X, ANY),
    "concat": (op("concat", axis=1), ["f64[3, 2]", "f64[3, 1]", "f64[3, 3]"], ANY),
    "windows": (op("windows", axis=1, **WINDOW), ["f64[2, 8, 3]"], ANY),
    "fold": (op("fold", axis=1, **WINDOW, shape=(2, 8, 3)), ["f64[2, 3, 3, 3]"], ANY),
    "conv": (
        op("conv", strides=(2, 1), dilations=(1, 2)),
        ["f64[2, 6, 5, 2]", "f64[3, 2, 2, 3]"],
        ANY,
    ),
    "conv_kernel_grad": (
        op("conv_kernel_grad", **WINDOW, parts=1),
        ["f64[2, 8, 2]", "f64[2, 3, 3]"],
        ANY,
    ),
    "gather": (gathered, X, ANY),
    "scatter_add": (scattered, ["f64[4, 3]"], ANY),
    "matmul": (op("matmul", transpose_a=False, transpose_b=False), ["f64[3, 5]", "f64[5, 2]"], ANY),
}


def softmax(b: Builder, z: Node) -> Node:
    top = b.node("stop_gradient", b.node("reduce_max", z, axes=(1,)))
    e = b.node("exp", b.node("sub", z, b.broadcast(top, z.tensor.shape, (0,))))
    return b.node("div", e, b.broadcast(b.node("reduce_sum", e, axes=(1,)), z.tensor.shape, (0,)))


def crossentropy(b: Builder, z: Node, target: Node) -> Node:
    log_p = b.node("log", softmax(b, z))
    return b.node("neg", b.node("reduce_sum", b.node("mul", target, log_p), axes=(1,)))


def layer(b: Builder, x: Node, w: Node, v: Node) -> Node:
    z = b.node("matmul", x, w, transpose_a=False, transpose_b=False)
    return b.node("tanh", b.node("add", z, b.broadcast(v, z.tensor.shape, (1,))))


def shared(b: Builder, x: Node) -> Node:
    e = b.node("exp", x)
    return b.node("mul", b.node("add", e, b.node("sin", e)), b.node("mul", e, x))


def normalised(b: Builder, x: Node) -> Node:
    count = b.node("size", dim=5, dtype="f64")
    mean = b.node("div", b.node("reduce_sum", x, axes=(1,)), b.broadcast(count, (3,), ()))
    off = b.node("sub", x, b.broadcast(mean, x.tensor.shape, (0,)))
    spread = b.node("rsqrt", b.node("reduce_sum", b.node("mul", off, off), axes=(1,)))
    return b.node("mul", off, b.broadcast(spread, x.tensor.shape, (0,)))


def gram(b: Builder, x: Node) -> Node:
    return b.node("matmul", x, x, transpose_a=True, transpose_b=False)


def outer(b: Builder, x: Node, y: Node) -> Node:
    return b.node("mul", b.broadcast(x, (3, 5), (0,)), b.broadcast(y, (3, 5), (1,)))


def vector_op(b: Builder, x: Node) -> Node:
    rows = b.broadcast(b.node("reduce_max", x, axes=(1,)), (3, 5), (0,))
    return b.node("minimum", b.node("mul", rows, x), b.node("abs", x))


# Matmul's operands by (transpose_a, transpose_b).
TRANSPOSED = {
    (False, False): ["f64[3, 5]", "f64[5, 2]"],
    (False, True): ["f64[3, 5]", "f64[2, 5]"],
    (True, False): ["f64[5, 3]", "f64[5, 2]"],
    (True, True): ["f64[5, 3]", "f64[2, 5]"],
}
CHAINS: dict[str, Case] = {
    "softmax": (softmax, X, ANY),
    "crossentropy": (crossentropy, XY, POSITIVE),
    "dense layer": (layer, ["f64[3, 5]", "f64[5, 2]", "f64[2]"], WITHIN_ONE),
    "shared subexpressions": (shared, X, ANY),
    "normalised rows": (normalised, X, ANY),
    "x times itself": (gram, X, ANY),
    "one operand twice": (lambda b, x: b.node("mul", x, x), X, ANY),
    "x to the x": (lambda b, x: b.node("power", x, x), X, POSITIVE),
    "outer product": (outer, ["f64[3]", "f64[5]"], ANY),
    "extrema": (vector_op, X, ANY),
    "scalar": (lambda b, x: b.node("tanh", x), ["f64[]"], ANY),
    "of size 1": (op("reduce_sum", axes=(1,)), ["f64[3, 1]"], ANY),
    "broadcast of a scalar": (op("broadcast", shape=(3, 5), axes=()), ["f64[]"], ANY),
    "reduce all": (op("reduce_max", axes=(0, 1)), X, ANY),
    "negative base": (lambda b, x: b.node("power", x, b.full(3.0, x.tensor)), X, ANY),
    "through an int": (cast_of_int, X, (0.1, 3.7)),
    **{
        f"matmul {a} {b}": (op("matmul", transpose_a=a, transpose_b=b), types, ANY)
        for (a, b), types in TRANSPOSED.items()
    },
}
CASES = {**RULES, **CHAINS}


def points(graph: Graph, span: tuple[float, float]) -> dict[str, Array]:
    """Feeds without two equal numbers, so that none is near a kink between two of them."""
    sizes = [math.prod(int(str(d)) for d in n.tensor.shape) for n in graph.inputs()]
    total = 2 * sum(sizes)  # even, so that 0 is none of them
    pool = np.random.default_rng(5).permutation(np.linspace(*span, total))
    ends = np.cumsum(sizes)
    return {
        n.name: pool[end - size : end].reshape([int(str(d)) for d in n.tensor.shape])
        for n, size, end in zip(graph.inputs(), sizes, ends, strict=True)
    }


def with_loss(case: Case) -> Graph:
    """The sum of the function's results, each times a number of its own."""
    function, types, _ = case

    def loss(b: Builder, *inputs: Node) -> dict[str, Node]:
        y = function(b, *inputs)
        shape = [int(str(d)) for d in y.tensor.shape]
        factors = np.asarray(np.random.default_rng(7).normal(size=shape))
        weights = b.node("const", value=factors) if shape else b.const(float(factors), "f64")
        weighted = b.node("mul", y, weights)
        return {"loss": b.node("reduce_sum", weighted, axes=tuple(range(len(shape))))}

    return build(loss, *types)


def differences(graph: Graph, feeds: dict[str, Array], step: float = 1e-5) -> dict[str, Array]:
    """The loss's central differences in each element of each input."""
    result = {}
    for name, x in feeds.items():
        slopes = np.zeros(x.shape)
        for at in np.ndindex(x.shape):
            sides = []
            for sign in (1, -1):
                moved = x.copy()
                moved[at] += sign * step
                sides.append(float(interpret(graph, {**feeds, name: moved})["loss"]))
            slopes[at] = (sides[0] - sides[1]) / (2 * step)
        result[name] = slopes
    return result


def gradients(graph: Graph, feeds: dict[str, Array]) -> dict[str, Array]:
    """What the pass gives, checked to be the same once it is simplified."""
    made = gradient(graph, "loss", list(feeds))
    verify(made)
    shapes.check(made)
    assert [node.name for node in made.inputs()] == list(feeds)
    results = interpret(made, feeds)
    simple = interpret(simplify(made)[0], feeds)
    for name, value in results.items():
        np.testing.assert_allclose(simple[name], value, rtol=1e-9, atol=1e-12, err_msg=name)
    return {name: results[f"gradient/{name}"] for name in feeds}


@pytest.mark.parametrize("case", CASES)
def test_derivatives_agree_with_central_differences(case: str) -> None:
    graph = with_loss(CASES[case])
    feeds = points(graph, CASES[case][2])
    expected = differences(graph, feeds)
    for name, value in gradients(graph, feeds).items():
        assert (value.dtype, value.shape) == (np.float64, feeds[name].shape)
        np.testing.assert_allclose(value, expected[name], rtol=1e-6, atol=1e-7)


def test_every_derivative_has_a_case() -> None:
    assert set(RULES) == {name for name, rule in DERIVATIVES.items() if rule is not None}


def slopes(function: Function, *arrays: Sequence[float]) -> list[list[float]]:
    """The derivatives of the sum of a function of vectors."""
    types = [f"f64[{len(array)}]" for array in arrays]
    graph = build(
        lambda b, *xs: {"loss": b.node("reduce_sum", function(b, *xs), axes=(0,))}, *types
    )
    feeds = {f"x{at}": np.array(array, np.float64) for at, array in enumerate(arrays)}
    return [value.tolist() for value in gradients(graph, feeds).values()]


def test_ties_of_two_go_to_one_of_them() -> None:
    assert slopes(op("maximum"), [1, 2, 3], [2, 2, 2]) == [[0, 0, 1], [1, 1, 0]]
    assert slopes(op("minimum"), [1, 2, 3], [2, 2, 2]) == [[1, 0, 0], [0, 1, 1]]
    # So relu's derivative at 0 is 0, as in Keras.
    zero = [0.0, -0.0]
    assert slopes(lambda b, x: b.node("maximum", x, b.full(0.0, x.tensor)), zero) == [[0, 0]]


@pytest.mark.parametrize("name", ["maximum", "minimum"])
def test_ties_go_to_a_constant(name: str) -> None:
    """Wherever it stands, for the two may be exchanged: ReLU has the derivative 0 at 0."""
    side = 1.0 if name == "maximum" else -1.0
    for swapped in (False, True):

        def clipped(b: Builder, x: Node, swapped: bool = swapped) -> Node:
            pair = (x, b.full(0.0, x.tensor))
            return b.node(name, *(pair[::-1] if swapped else pair))

        assert slopes(clipped, [-side, 0.0, -0.0, side]) == [[0, 0, 0, 1]]


@pytest.mark.parametrize(("name", "best"), [("reduce_max", 3), ("reduce_min", 1)])
def test_ties_of_a_reduction_are_shared(name: str, best: float) -> None:
    def extremum(b: Builder, x: Node) -> Node:
        return b.node("reshape", b.node(name, x, axes=(0,)), shape=(1,))

    (found,) = slopes(extremum, [best, 2, best, 2, best, best])
    assert found == [0.25, 0, 0.25, 0, 0.25, 0.25]


def test_powers_at_zero() -> None:
    assert slopes(lambda b, x: b.node("power", x, b.full(2.0, x.tensor)), [0, -1]) == [[0, -2]]
    assert slopes(op("power"), [0.0, 0.0], [1.0, 2.0]) == [[1, 0], [0, 0]]


FLAT: dict[str, Function] = {
    **{name: op(name) for name in ("sign", "floor", "stop_gradient")},
    "argmax": lambda b, x: b.node("cast", b.node("argmax", x, axis=0), dtype="f64"),
    "less": lambda b, x: b.node("cast", b.node("less", x, b.node("exp", x)), dtype="f64"),
    "size": lambda b, x: b.node("size", dim=3, dtype="f64"),
    "an int": lambda b, x: b.node("cast", b.node("cast", x, dtype="i64"), dtype="f64"),
    "other input": lambda b, x: b.full(2.0, x.tensor),
}


@pytest.mark.parametrize("name", FLAT)
def test_zero_where_the_loss_does_not_depend(name: str) -> None:
    def loss(b: Builder, x: Node) -> dict[str, Node]:
        y = FLAT[name](b, x)
        return {"loss": b.node("reduce_sum", y, axes=tuple(range(y.tensor.rank)))}

    graph = build(loss, "f64[3]")
    found = gradients(graph, {"x0": np.array([0.5, 1.5, -2.5])})["x0"]
    np.testing.assert_array_equal(found, np.zeros(3))


def test_only_what_is_asked_for_is_differentiated() -> None:
    graph = with_loss((op("mul"), XY, ANY))
    made = gradient(graph, "loss", ["x1"])
    assert list(made.outputs) == ["loss", "gradient/x1"]
    added = [n.op for n in made.nodes() if n in made.live() and n.scope.phase == "backward"]
    assert added == ["broadcast", "mul", "mul"]  # of 1, the weights, x0


def test_gradient_nodes_have_the_scope_of_what_they_differentiate() -> None:
    graph = with_loss(CHAINS["dense layer"])
    for node in graph.nodes():
        node.scope = Scope(f"layer of {node.name}", "forward", "model.py:1")
    before = {node.name for node in graph.nodes()}
    made = gradient(graph, "loss", ["x1"])
    assert {n.scope.phase for n in made.nodes() if n.name in before} == {"forward"}
    matmuls = [n for n in made.nodes() if n.op == "matmul" and n.name not in before]
    forward = next(n for n in graph.nodes() if n.op == "matmul")
    assert {n.scope for n in matmuls} == {
        Scope(f"layer of {forward.name}", "backward", "model.py:1")
    }


def test_second_derivatives() -> None:
    graph = build(
        lambda b, x: {"loss": b.node("reduce_sum", b.node("sin", x), axes=(0,))}, "f64[3]"
    )
    first = gradient(graph, "loss", ["x0"])
    slope = first.outputs.pop("gradient/x0")
    first.outputs["total"] = Builder(first).node("reduce_sum", slope, axes=(0,))
    x = np.array([0.5, 1.0, -2.0])
    second = interpret(gradient(first, "total", ["x0"]), {"x0": x})["gradient/x0"]
    np.testing.assert_allclose(second, -np.sin(x), rtol=1e-12)


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (
            lambda b, x: b.node("exp", x),
            r"output 'loss': a loss must be a float scalar; got f64\[3",
        ),
        (
            lambda b, x: b.node("reduce_sum", b.node("cast", x, dtype="i32"), axes=(0, 1)),
            r"output 'loss': a loss must be a float scalar; got i32\[\]",
        ),
    ],
)
def test_a_loss_must_be_a_float_scalar(function: Function, message: str) -> None:
    graph = build(lambda b, x: {"loss": function(b, x)}, *X)
    with pytest.raises(GraphError, match=message):
        gradient(graph, "loss", ["x0"])
