"""Kernels without reductions, native against interpreted: elementwise, layout, gather, random."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping

import numpy as np
import pytest
from graphs import BATCH, Array, build, examples, tensor
from native import Native, check_against_interpreter, targets
from op_samples import sample_graph

from graphc.codegen.elementwise import Unsupported
from graphc.codegen.target import Target
from graphc.ir.graph import Graph, Node, Scope
from graphc.ir.interpret import interpret
from graphc.ir.ops import OPS
from graphc.ir.types import DTYPES
from graphc.passes.shapes import Builder

pytestmark = pytest.mark.usefixtures("many_threads")
each_target = pytest.mark.parametrize("target", targets())

Nodes = Mapping[str, Node]
SIZES = (1, 3, 7, 17, 31, 100, 257)
FLOAT_UNARY = [
    "neg", "abs", "sign", "floor", "exp", "expm1", "log", "log1p", "sqrt", "rsqrt", "sin", "cos",
    "tanh", "sigmoid", "erf", "copy", "stop_gradient",
]  # fmt: skip
PLAIN = [op for op in OPS if op not in ("fused", "item")]


@pytest.mark.parametrize("op", PLAIN)
def test_every_op_on_its_sample(op: str) -> None:
    graph, _ = sample_graph(op)
    symbols = {"batch": 7}
    feeds = examples(graph, 2, symbols)
    if op == "gather":
        feeds["x1"] = np.arange(7, dtype=np.int32)[::-1] % 9
    if op == "power":
        feeds["x0"] = np.abs(feeds["x0"])
    check_against_interpreter(graph, feeds, symbols)


def of_sizes(b: Builder, *inputs: Node) -> Nodes:
    """tanh(x * y) + x for each size, and the whole by symbol."""
    pairs = zip(inputs[::2], inputs[1::2], strict=True)
    return {
        f"y{at}": b.node("add", b.node("tanh", b.node("mul", x, y)), x)
        for at, (x, y) in enumerate(pairs)
    }


@each_target
def test_sizes(target: Target) -> None:
    types = [*(tensor("f32", n) for n in SIZES), tensor("f32", BATCH), tensor("f32", BATCH, 3)]
    graph = build(of_sizes, *(t for t in types for _ in range(2)))
    native = Native(graph, target)
    for batch in SIZES:
        feeds = examples(graph, batch, {"batch": batch})
        native.check(feeds, {"batch": batch}, threads=(1, 2, 3))


@each_target
def test_functions_of_one_float(target: Target) -> None:
    def every(b: Builder, x: Node, y: Node) -> Nodes:
        waves = {op: b.node(op, x) for op in ("sin", "cos")}  # for arguments of common size only
        return waves | {op: b.node(op, y) for op in FLOAT_UNARY if op not in waves}

    graph = build(every, "f32[300]", "f32[300]")
    x = np.linspace(-9, 9, 300, dtype=np.float32)
    y = np.where(np.arange(300) % 10, x, np.geomspace(1e-30, 1e30, 300)).astype(np.float32)
    check_against_interpreter(graph, {"x0": x, "x1": y}, target=target)


@each_target
def test_special_floats(target: Target) -> None:
    binary = ["add", "sub", "mul", "div", "maximum", "minimum", "equal", "less", "less_equal"]
    unary = [op for op in FLOAT_UNARY if op not in ("sin", "cos")]

    def every(b: Builder, x: Node, y: Node) -> Nodes:
        results = {op: b.node(op, x, y) for op in binary}
        results |= {op: b.node(op, x) for op in (*unary, "is_finite")}
        results["relu"] = b.node("maximum", x, b.full(0.0, x.tensor))
        results["relu_left"] = b.node("maximum", b.full(0.0, x.tensor), x)
        results["cap"] = b.node("minimum", x, b.full(1.0, x.tensor))
        return results

    special = [np.nan, np.inf, -np.inf, 0.0, -0.0, 1.0, -2.5, 3e38, 1e-40]
    x, y = np.array(list(itertools.product(special, special)), np.float32).T
    graph = build(every, *[tensor("f32", len(x))] * 2)
    found = check_against_interpreter(graph, {"x0": x, "x1": y}, target=target)
    for op in ("neg", "abs", "floor", "copy", "sqrt"):  # signs of zeros too
        expected = interpret(graph, {"x0": x, "x1": y})[op]
        np.testing.assert_array_equal(np.signbit(found[op][x == 0]), np.signbit(expected[x == 0]))


ORDERED = ["maximum", "minimum", "equal", "less", "less_equal"]


def arithmetic(b: Builder, *inputs: Node) -> Nodes:
    """What ops do on each dtype, with itself and with a constant of it."""
    results = {}
    for x, y in zip(inputs[::2], inputs[1::2], strict=True):
        dtype = x.tensor.dtype
        ops = [*ORDERED, "add", "mul"] if dtype == "bool" else [*ORDERED, "add", "sub", "mul"]
        results |= {f"{op}_{dtype}": b.node(op, x, y) for op in ops}
        if dtype != "bool":
            results |= {f"{op}_{dtype}": b.node(op, x) for op in ("neg", "abs", "sign")}
        constant = b.full(True if dtype == "bool" else 100, x.tensor)
        results |= {f"{op}_{dtype}_constant": b.node(op, x, constant) for op in ORDERED}
        condition = results[f"less_{dtype}"]
        results[f"select_{dtype}"] = b.node("select", condition, x, y)
    return results


@each_target
def test_every_dtype(target: Target) -> None:
    graph = build(arithmetic, *(tensor(d, 37) for d in DTYPES for _ in range(2)))
    random = np.random.default_rng(3)
    feeds = {}
    for node in graph.inputs():
        dtype = DTYPES[node.tensor.dtype]
        if dtype.kind in "iu":  # the whole range: order must not depend on the sign bit's meaning
            bounds = np.iinfo(dtype)
            feeds[node.name] = random.integers(bounds.min, bounds.max, 37, dtype, endpoint=True)
        else:
            feeds[node.name] = np.array(
                random.normal(size=37) > 0 if dtype.kind == "b" else random.normal(size=37), dtype
            )
    check_against_interpreter(graph, feeds, target=target)


@each_target
def test_casts_between_all_dtypes(target: Target) -> None:
    def casts(b: Builder, *inputs: Node) -> Nodes:
        return {
            f"{x.tensor.dtype}_{dtype}": b.node("cast", x, dtype=dtype)
            for x in inputs
            for dtype in DTYPES
        }

    graph = build(casts, *(tensor(d, 19) for d in DTYPES))
    feeds = examples(graph, 4)
    for node in graph.inputs():
        dtype = DTYPES[node.tensor.dtype]
        if dtype.kind == "f":  # fractions within all ranges: beyond them nothing is promised
            feeds[node.name] = np.linspace(0, 127.9, 19).astype(dtype)
        elif dtype.kind in "iu":
            ends = [np.iinfo(dtype).min, np.iinfo(dtype).max]
            feeds[node.name][:2] = ends
    check_against_interpreter(graph, feeds, target=target)


def test_nan_is_true_and_floats_are_cut_towards_zero() -> None:
    graph = build(
        lambda b, x: {d: b.node("cast", x, dtype=d) for d in ("bool", "i32", "i8", "f64")},
        "f32[9]",
    )
    x = np.array([-1.5, -0.9, -0.0, 0.0, 0.9, 1.5, 100.7, 1e-40, -100.2], np.float32)
    check_against_interpreter(graph, {"x0": x})
    flags = build(lambda b, x: b.node("cast", x, dtype="bool"), "f32[2]")
    nan = np.array([np.nan, np.inf], np.float32)
    assert check_against_interpreter(flags, {"x0": nan})["y"].all()


@each_target
def test_logic(target: Target) -> None:
    def logic(b: Builder, x: Node, y: Node, z: Node) -> Nodes:
        both = {op: b.node(op, x, y) for op in ("logical_and", "logical_or")}
        mixed = b.node("select", both["logical_and"], z, b.node("neg", z))
        return {**both, "not": b.node("logical_not", x), "mixed": mixed}

    graph = build(logic, "bool[batch, 31]", "bool[batch, 31]", "f32[batch, 31]")
    for batch in (1, 5):
        feeds = examples(graph, 1, {"batch": batch})
        check_against_interpreter(graph, feeds, {"batch": batch}, target=target)


SHAPE = (3, 5, 17)


@each_target
def test_broadcasts_along_every_axis(target: Target) -> None:
    subsets = [s for count in range(4) for s in itertools.combinations(range(3), count)]
    symbolic = (BATCH, 5, 17)

    def spread(b: Builder, x: Node, z: Node, *parts: Node) -> Nodes:
        results = {}
        for at, axes in enumerate(subsets):
            wide = b.node("broadcast", parts[at], shape=SHAPE, axes=axes)
            results[f"y{at}"] = b.node("sub", x, wide)
            if 0 not in axes:
                wide = b.node("broadcast", parts[at], shape=symbolic, axes=axes)
                results[f"z{at}"] = b.node("mul", z, wide)
        return results

    parts = [tensor("f32", *(SHAPE[a] for a in axes)) for axes in subsets]
    graph = build(spread, tensor("f32", *SHAPE), tensor("f32", *symbolic), *parts)
    symbols = {"batch": 4}
    feeds = examples(graph, 5, symbols)
    check_against_interpreter(graph, feeds, symbols, target=target)


@each_target
def test_every_permutation(target: Target) -> None:
    permutations = list(itertools.permutations(range(3)))

    def turn(b: Builder, x: Node, q: Node, z: Node) -> Nodes:
        results = {
            f"y{at}": b.node("exp", b.node("transpose", x, permutation=p))
            for at, p in enumerate(permutations)
        }
        results["mixed"] = b.node("add", q, b.node("transpose", q, permutation=(1, 0)))
        results["symbolic"] = b.node("transpose", z, permutation=(1, 0))
        results["units"] = b.node(
            "transpose", b.node("reshape", q, shape=(1, 17, 1, 17)), permutation=(3, 0, 2, 1)
        )
        return results

    graph = build(turn, tensor("f32", *SHAPE), "f32[17, 17]", "f32[batch, 7]")
    symbols = {"batch": 31}
    feeds = examples(graph, 6, symbols)
    check_against_interpreter(graph, feeds, symbols, target=target)


@each_target
def test_transposes_of_every_size(target: Target) -> None:
    shapes = [(m, n) for m in (1, 3, 17, 31) for n in (1, 7, 16, 100)]

    def turn(b: Builder, *inputs: Node) -> Nodes:
        return {f"y{at}": b.node("transpose", x, permutation=(1, 0)) for at, x in enumerate(inputs)}

    graph = build(turn, *(tensor("f32", *shape) for shape in shapes))
    check_against_interpreter(graph, examples(graph, 7), target=target)


@each_target
def test_reshapes(target: Target) -> None:
    def reshape(b: Builder, x: Node, z: Node, v: Node) -> Nodes:
        flat = b.node("reshape", b.node("exp", x), shape=(255,))
        wide = b.node("broadcast", v, shape=(5, 3), axes=(1,))
        thin = b.node("reshape", v, shape=(3, 1))
        thin = b.node("transpose", thin, permutation=(1, 0))
        return {
            "thin": b.node("neg", thin),
            "flat": b.node("neg", flat),
            "turned": b.node(
                "transpose", b.node("reshape", flat, shape=(51, 5)), permutation=(1, 0)
            ),
            "unit": b.node("sin", b.node("reshape", x, shape=(3, 1, 5, 17))),
            "rows": b.node(
                "broadcast", b.node("reshape", thin, shape=(3,)), shape=(3, 3), axes=(0,)
            ),
            "merged": b.node("cos", b.node("reshape", z, shape=(6 * BATCH,))),
            "of a broadcast": b.node("reshape", wide, shape=(15,)),
            "of a constant": b.node("reshape", b.node("const", value=CONSTANT), shape=(15,)),
        }

    graph = build(reshape, tensor("f32", *SHAPE), "f32[batch, 2, 3]", "f32[3]")
    feeds = examples(graph, 8, {"batch": 5})
    check_against_interpreter(graph, feeds, {"batch": 5}, target=target)


CONSTANT = np.linspace(-1, 1, 15, dtype=np.float32).reshape(5, 3)


@each_target
def test_leaves(target: Target) -> None:
    """Constants of every dtype, indices along every axis, sizes."""

    def leaves(b: Builder, x: Node) -> Nodes:
        results = {}
        for dtype in DTYPES:
            first = -3 if dtype[0] in "fi" else 250 if dtype == "u8" else 0
            value = np.arange(first, first + 15).reshape(5, 3).astype(DTYPES[dtype])
            constant = b.node("const", value=value)
            results[f"const_{dtype}"] = constant
            results[f"turned_{dtype}"] = b.node("transpose", constant, permutation=(1, 0))
            results[f"size_{dtype}"] = b.node("size", dim=BATCH, dtype=dtype)
        for axis in range(3):
            results[f"iota{axis}"] = b.node("iota", shape=(BATCH, 3, 5), axis=axis)
        thin = b.node("const", value=CONSTANT.reshape(5, 1, 3))
        results["thin"] = b.node("add", x, b.node("reshape", thin, shape=(5, 3)))
        results["one"] = b.node("const", value=np.full((1, 1), 4.0, np.float32))
        results["unit"] = b.node("iota", shape=(3, 1), axis=1)
        return results

    graph = build(leaves, "f32[5, 3]")
    feeds = examples(graph, 9)
    check_against_interpreter(graph, feeds, {"batch": 7}, target=target)


INDEX = np.random.default_rng(2).integers(0, 9, (4, 5))


@each_target
@pytest.mark.parametrize("index_dtype", ["i32", "i64"])
def test_gathers(target: Target, index_dtype: str) -> None:
    dtypes = ["f32", "f64", "u8", "i64", "bool", "i16"]

    def gathers(b: Builder, index: Node, *data: Node) -> Nodes:
        one = b.node(
            "reshape", b.node("gather", index, b.node("iota", shape=(1,), axis=0)), shape=(5,)
        )
        rows = {f"rows_{x.tensor.dtype}": b.node("gather", x, index) for x in data[:6]}
        cells = {f"cells_{x.tensor.dtype}": b.node("gather", x, index) for x in data[6:]}
        blocks = b.node("gather", b.node("reshape", data[0], shape=(9, 1, 17)), one)
        spread = b.node("broadcast", cells["cells_f32"], shape=(4, 5, 3), axes=(0, 1))
        return {
            **rows,
            **cells,
            "blocks": blocks,
            "exp": b.node("exp", rows["rows_f32"]),
            "s": spread,
        }

    types = [*(tensor(d, 9, 17) for d in dtypes), *(tensor(d, 9) for d in dtypes)]
    graph = build(gathers, tensor(index_dtype, 4, 5), *types)
    feeds = {**examples(graph, 3), "x0": INDEX.astype(DTYPES[index_dtype])}
    check_against_interpreter(graph, feeds, target=target)


@each_target
def test_random_numbers_are_exactly_the_interpreters(target: Target) -> None:
    shapes = [(n,) for n in SIZES] + [(3, 5, 17), (BATCH, 31), (5, 1, 3), ()]

    def draw(b: Builder, seed: Node, step: Node) -> Nodes:
        return {
            f"y{at}": b.node("random_uniform", seed, step, shape=shape, stream=at)
            for at, shape in enumerate(shapes)
        }

    graph = build(draw, "i32[]", "i32[]")
    native = Native(graph, target)
    for seed, step in ((0, 0), (-7, 3), (2**31 - 1, 2**31 - 1)):
        feeds = {"x0": np.array(seed, np.int32), "x1": np.array(step, np.int32)}
        native.check(feeds, {"batch": 9}, threads=(1, 3), relative=0, absolute=0)


def test_dropout_is_one_kernel_and_exact() -> None:
    def dropout(b: Builder, x: Node, seed: Node, step: Node) -> Node:
        chance = b.node("random_uniform", seed, step, shape=x.tensor.shape, stream=1)
        kept = b.node("less", b.full(0.25, x.tensor), chance)
        return b.node(
            "select", kept, b.node("mul", x, b.full(2.0, x.tensor)), b.full(0.0, x.tensor)
        )

    graph = build(dropout, "f32[batch, 33]", "i32[]", "i32[]")
    feeds = examples(graph, 1, {"batch": 40})
    found = check_against_interpreter(graph, feeds, {"batch": 40}, relative=0, absolute=0)["y"]
    assert 0.2 < (found == 0).mean() < 0.3


def test_a_deep_kernel() -> None:
    def deep(b: Builder, x: Node) -> Node:
        for at in range(300):
            x = b.node("sub" if at % 2 else "add", b.node("mul", x, b.full(0.5, x.tensor)), x)
            x = b.node("minimum", x, b.full(9.0, x.tensor))
        return x

    graph = build(deep, "f32[17]")
    check_against_interpreter(graph, examples(graph, 1), relative=1e-3)


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda b, x: b.node("exp", x), r"kernel loop\.1 of layer 'my layer': exp is compiled for"),
        (
            lambda b, x: b.node("matmul", x, x, transpose_a=False, transpose_b=False),
            r"kernel contraction\.1 of layer 'my layer': matmul is compiled for float32 only",
        ),
    ],
)
def test_what_there_is_no_code_for_is_named(function: Callable[..., Node], message: str) -> None:
    graph: Graph = build(function, "f64[3, 3]")
    for node in graph.nodes():
        node.scope = Scope("my layer")
    with pytest.raises(Unsupported, match=message):
        Native(graph)


def test_arrays_on_odd_addresses() -> None:
    """Arguments need no more than their elements' alignment."""
    graph = build(lambda b, x: b.node("add", x, b.node("neg", b.node("exp", x))), "f32[batch, 17]")
    native = Native(graph)
    whole: Array = np.random.default_rng(0).normal(size=9 * 17 + 3).astype(np.float32)
    for start in range(4):
        x = whole[start : start + 8 * 17].reshape(8, 17)
        native.check({"x0": x}, {"batch": 8}, threads=(1, 2))
