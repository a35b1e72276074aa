"""Rewrite rules: each fires where its identity holds, and only there; values stay the same."""

from __future__ import annotations

import numpy as np
import pytest
from expressions import expression, graph_of
from graphs import Array, examples

from graphc.ir.graph import Graph, Scope
from graphc.ir.interpret import interpret
from graphc.ir.types import Size
from graphc.ir.verify import verify
from graphc.passes import shapes
from graphc.passes.gradient import gradient
from graphc.passes.identities import RULES
from graphc.passes.simplify import simplify


def simplified(graph: Graph, differentiated: bool = True) -> Graph:
    """The graph after the pass, checked to be sound and to have the values it had."""
    result, _ = simplify(graph, differentiated)
    verify(result)
    shapes.check(result)
    assert {n.name: n.tensor for n in result.inputs()} == {n.name: n.tensor for n in graph.inputs()}
    feeds = examples(graph, 3, {"batch": 5})
    expected, found = interpret(graph, feeds, {"batch": 5}), interpret(result, feeds, {"batch": 5})
    for name, value in expected.items():
        assert found[name].dtype == value.dtype
        np.testing.assert_allclose(found[name], value, rtol=1e-5, atol=1e-6)
    return result


PADDED = "low=(0, {}), high=(0, {}), interior=(0, 0), value=0.0"

# The rule that must fire, an expression, and what becomes of it.
FIRES = [
    ("add_unit", "add(x, 0.0)", "x"),
    ("add_unit", "add(full(0.0), x)", "x"),
    ("add_unit", "add(i, 0)", "i"),
    ("sub_unit", "sub(x, 0.0)", "x"),
    ("mul_unit", "mul(x, 1.0)", "x"),
    ("mul_unit", "mul(i, 1)", "i"),
    ("div_unit", "div(x, 1.0)", "x"),
    ("power_unit", "power(x, 1.0)", "x"),
    ("add_negated", "add(x, neg(y))", "sub(x, y)"),
    ("add_negated", "add(neg(x), y)", "sub(y, x)"),
    ("add_negated", "add(neg(x), neg(y))", "sub(neg(x), y)"),
    ("sub_negated", "sub(x, neg(y))", "add(x, y)"),
    ("sub_negated", "sub(full(0.0), x)", "neg(x)"),
    ("mul_minus_one", "mul(x, -1.0)", "neg(x)"),
    ("mul_scalars", "mul(mul(x, 2.0), 3.0)", "mul(x, 6.0)"),
    ("mul_scalars", "mul(3.0, mul(2.0, x))", "mul(x, 6.0)"),
    ("neg_neg", "neg(neg(x))", "x"),
    ("neg_neg", "neg(neg(neg(x)))", "neg(x)"),
    ("logical_not_logical_not", "logical_not(logical_not(c))", "c"),
    ("same_cast", "cast(x, dtype='f32')", "x"),
    ("known_select", "select(c, x, x)", "x"),
    ("known_select", "select(broadcast(equal(1.0, 1.0), shape=(4, 3), axes=()), x, y)", "x"),
    ("known_select", "select(broadcast(less(1.0, 1.0), shape=(4, 3), axes=()), x, y)", "y"),
    ("reshape_of_reshape", "reshape(x, shape=(4, 3))", "x"),
    ("reshape_of_reshape", "reshape(reshape(x, shape=(12,)), shape=(4, 3))", "x"),
    (
        "reshape_of_reshape",
        "reshape(reshape(x, shape=(12,)), shape=(3, 4))",
        "reshape(x, shape=(3, 4))",
    ),
    (
        "reshape_of_full",
        "reshape(broadcast(s, shape=(4, 3), axes=()), shape=(6, 2))",
        "broadcast(s, shape=(6, 2), axes=())",
    ),
    ("broadcast_of_broadcast", "broadcast(x, shape=(4, 3), axes=(0, 1))", "x"),
    (
        "broadcast_of_broadcast",
        "broadcast(broadcast(v, shape=(4, 3), axes=(1,)), shape=(2, 4, 5, 3), axes=(1, 3))",
        "broadcast(v, shape=(2, 4, 5, 3), axes=(3,))",
    ),
    ("transpose_of_transpose", "transpose(x, permutation=(0, 1))", "x"),
    ("transpose_of_transpose", "transpose(transpose(x, permutation=(1, 0)), permutation=(1, 0))", "x"),
    (
        "transpose_of_transpose",
        "transpose(transpose(t, permutation=(1, 2, 0)), permutation=(0, 2, 1))",
        "transpose(t, permutation=(1, 0, 2))",
    ),
    ("reduce_nothing", "reduce_sum(x, axes=())", "x"),
    (
        "reduce_nothing",
        "reduce_max(reshape(x, shape=(4, 1, 3)), axes=(1,))",
        "x",
    ),
    ("reduce_nothing", "reduce_min(reshape(v, shape=(1, 3)), axes=(0,))", "v"),
    (
        "argmax_of_one",
        "argmax(reshape(v, shape=(1, 3)), axis=0)",
        "0",
    ),
    (
        "sum_of_full",
        "reduce_sum(broadcast(s, shape=(4, 3), axes=()), axes=(0, 1))",
        "mul(s, 12.0)",
    ),
    (
        "sum_of_full",
        "reduce_sum(broadcast(s, shape=(batch, 3), axes=()), axes=(0, 1))",
        "mul(s, size(dim=3*batch, dtype='f32'))",
    ),
    (
        "sum_row_by_row",
        "reduce_sum(image, axes=(0, 1, 2))",
        "reduce_sum(reduce_sum(image, axes=(1, 2)), axes=(0,))",
    ),
    (
        "sum_row_by_row",
        "reduce_sum(windowed, axes=(0, 1, 2))",
        "reduce_sum(reduce_sum(windowed, axes=(1, 2)), axes=(0,))",
    ),
    ("known_size", "size(dim=7, dtype='i32')", "7"),
    ("known_size", "size(dim=7, dtype='f32')", "7.0"),
    (
        "matmul_of_transpose",
        "matmul(transpose(x, permutation=(1, 0)), w2, transpose_a=False, transpose_b=True)",
        "matmul(x, w2, transpose_a=True, transpose_b=True)",
    ),
    (
        "matmul_of_transpose",
        "matmul(x, transpose(x, permutation=(1, 0)), transpose_a=False, transpose_b=False)",
        "matmul(x, x, transpose_a=False, transpose_b=True)",
    ),
    ("drop_stop_gradient", "stop_gradient(exp(x))", "exp(x)"),
    ("pad_nothing", f"pad(x, {PADDED.format(0, 0)})", "x"),
    (
        "sum_of_pads",
        f"add(pad(x, {PADDED.format(0, 3)}), pad(y, {PADDED.format(3, 0)}))",
        "concat(x, y, axis=1)",
    ),
    (
        "sum_of_pads",
        f"add(pad(x, {PADDED.format(4, 1)}), add(pad(t2, {PADDED.format(7, 0)}), pad(y, {PADDED.format(1, 4)})))",
        "pad(concat(y, x, t2, axis=1), low=(0, 1), high=(0, 0), interior=(0, 0), value=0.0)",
    ),
    (
        "concat_of_concat",
        "concat(concat(x, y, axis=0), x, axis=0)",
        "concat(x, y, x, axis=0)",
    ),
    ("reverse_of_reverse", "reverse(reverse(x, axes=(0,)), axes=(0,))", "x"),
]  # fmt: skip
W2 = {
    "w2": "f32[5, 4]",
    "t2": "f32[4, 1]",
    "full": "f32[]",
    "image": "f32[batch, 4, 5, 3]",
    "windowed": "f32[batch, 4, 5, 3, 3, 2]",
}


def in_full(text: str) -> str:
    """full(number): the number as a first operand."""
    return text.replace("full(0.0)", "broadcast(sub(1.0, 1.0), shape=(4, 3), axes=())")


def test_products_keep_other_transposes() -> None:
    text = (
        "matmul(transpose(t, permutation=(1, 0, 2)), transpose(t, permutation=(1, 2, 0)), "
        "transpose_a=False, transpose_b=False)"
    )
    assert "transpose(t, permutation=(1, 0, 2))" in expression(simplified(graph_of(text, W2)))


@pytest.mark.parametrize(("rule", "before", "after"), FIRES, ids=[case[1] for case in FIRES])
def test_rules_fire(rule: str, before: str, after: str) -> None:
    graph = graph_of(in_full(before), W2)
    result = simplified(graph)
    assert expression(result) == after
    assert rule in {rewrite.rule for rewrite in simplify(graph)[1]}


@pytest.mark.parametrize(
    "shape", ["batch, 3, 5, 3", "4, 4, 5, 3", "batch, 4, 5, 300", "batch, 4, 5, 5, 5, 3"]
)
def test_sums_with_enough_to_share_stay(shape: str) -> None:
    text = "reduce_sum(image, axes=(0, 1, 2))"
    assert expression(simplified(graph_of(text, {"image": f"f32[{shape}]"}))) == text


def test_every_rule_is_tested() -> None:
    rules = {rule.__name__.strip("_") for row in RULES.values() for rule in row}
    softmax = {"normalised_softmax", "log_of_softmax", "log_of_sigmoid"}
    assert rules - softmax == {rule for rule, *_ in FIRES}


# Not to be changed: no identity, or one that does not hold for every value.
KEPT = [
    "mul(x, 0.0)",  # NaN for infinite x
    "sub(x, x)",
    "div(x, x)",
    "power(x, 0.0)",
    "power(x, 2.0)",
    "sub(x, 1.0)",
    "add(x, 1.0)",
    "mul(x, y)",
    "div(x, 2.0)",
    "mul(mul(x, 2.0), y)",
    "neg(exp(neg(x)))",
    "log(exp(x))",
    "exp(log(x))",
    "cast(cast(x, dtype='i32'), dtype='f32')",
    "cast(cast(x, dtype='f64'), dtype='f32')",
    "select(c, x, y)",
    "reshape(x, shape=(3, 4))",
    "reshape(broadcast(v, shape=(4, 3), axes=(1,)), shape=(12,))",
    "broadcast(v, shape=(4, 3), axes=(1,))",
    "transpose(x, permutation=(1, 0))",
    "reduce_sum(x, axes=(0,))",
    "reduce_sum(reshape(x, shape=(4, 1, 3)), axes=(1, 2))",
    "reduce_sum(broadcast(v, shape=(4, 3), axes=(1,)), axes=(0, 1))",
    "reduce_sum(broadcast(s, shape=(4, 3), axes=()), axes=(1,))",
    "reduce_max(x, axes=(0,))",
    "argmax(x, axis=0)",
    "matmul(x, v2, transpose_a=False, transpose_b=False)",
    "add(broadcast(w, shape=(4, 4), axes=(0,)), broadcast(w, shape=(4, 4), axes=(1,)))",
    "size(dim=batch, dtype='f32')",
    "copy(x)",
]


@pytest.mark.parametrize("text", KEPT)
def test_rules_do_not_fire(text: str) -> None:
    graph = graph_of(text, {"v2": "f32[3, 2]"})
    assert expression(simplified(graph)) == expression(graph)
    assert simplify(graph)[1] == []


@pytest.mark.parametrize(
    ("text", "after"),
    [
        ("add(2.0, 3.0)", "5.0"),
        ("mul(x, div(1.0, 4.0))", "mul(x, 0.25)"),
        ("exp(0.0)", "1.0"),
        ("select(less(1.0, 2.0), s, exp(s))", "s"),
        ("cast(2.9, dtype='i32')", "2"),
        ("less(2.0, 1.0)", "False"),
        ("div(1.0, 0.0)", "inf"),
    ],
)
def test_constants_fold(text: str, after: str) -> None:
    scalars = text.replace("div(1.0, 4.0)", "broadcast(div(1.0, 4.0), shape=(4, 3), axes=())")
    assert expression(simplified(graph_of(scalars))) == after


def test_constants_are_folded_in_their_own_precision() -> None:
    result = simplified(graph_of("add(0.1, 0.2)"))
    assert expression(result) == str(float(np.float32(0.1) + np.float32(0.2)))


@pytest.mark.parametrize(
    ("text", "after"),
    [
        (
            "exp(broadcast(v, shape=(4, 3), axes=(1,)))",
            "broadcast(exp(v), shape=(4, 3), axes=(1,))",
        ),
        (
            "mul(broadcast(v, shape=(4, 3), axes=(1,)), broadcast(exp(v), shape=(4, 3), axes=(1,)))",
            "broadcast(mul(v, exp(v)), shape=(4, 3), axes=(1,))",
        ),
        (
            "add(broadcast(s, shape=(4, 3), axes=()), 1.0)",
            "broadcast(add(s, 1.0), shape=(4, 3), axes=())",
        ),
    ],
)  # fmt: skip
def test_work_is_done_before_a_broadcast(text: str, after: str) -> None:
    assert expression(simplified(graph_of(text))) == after


def test_equal_nodes_are_shared() -> None:
    graph = graph_of(
        {"a": "mul(exp(x), exp(x))", "b": "add(x, y)", "c": "add(y, x)", "d": "sub(y, x)"}
    )
    result = simplified(graph)
    assert result.outputs["b"] is result.outputs["c"]
    assert [n.op for n in result.nodes()].count("exp") == 1
    assert result.outputs["d"] is not result.outputs["b"]


def test_what_differs_is_not_shared() -> None:
    graph = graph_of(
        {
            "a": "reduce_sum(q, axes=(0,))", "b": "reduce_sum(q, axes=(1,))",
            "c": "mul(q, 0.0)", "d": "mul(q, -0.0)",
            "e": "sub(x, y)", "f": "sub(y, x)",
            "g": "cast(x, dtype='i32')", "h": "cast(x, dtype='i64')",
        }
    )  # fmt: skip
    result = simplified(graph)
    assert len(set(result.outputs.values())) == 8


def test_dead_nodes_go_and_inputs_stay() -> None:
    graph = graph_of({"y": "exp(x)", "dead": "mul(sin(v), broadcast(s, shape=(3,), axes=()))"})
    del graph.outputs["dead"]
    result = simplified(graph)
    assert sorted(n.op for n in result.nodes()) == ["exp", "input", "input", "input"]


def test_nodes_keep_their_scope() -> None:
    graph = graph_of("exp(neg(neg(sin(x))))")
    for node in graph.nodes():
        node.scope = Scope(node.op, "backward", "model.py:7")
    result = simplified(graph)
    assert {n.op: n.scope.layer for n in result.nodes()} == {
        "input": "input", "sin": "sin", "exp": "exp"
    }  # fmt: skip


def test_simplified_graphs_stay_as_they_are() -> None:
    for _, before, _ in FIRES:
        once = simplified(graph_of(in_full(before), W2))
        assert expression(simplified(once)) == expression(once)


# Softmax, sigmoid and their logarithms.

SOFTMAX = """div(
    exp(sub(z, broadcast(stop_gradient(reduce_max(z, axes=(1,))), shape=(4, 3), axes=(0,)))),
    broadcast(
        reduce_sum(
            exp(sub(z, broadcast(stop_gradient(reduce_max(z, axes=(1,))), shape=(4, 3), axes=(0,)))),
            axes=(1,),
        ),
        shape=(4, 3), axes=(0,),
    ),
)"""
SHIFTED = "sub(z, broadcast(reduce_max(z, axes=(1,)), shape=(4, 3), axes=(0,)))"
LOG_SOFTMAX = f"sub({SHIFTED}, broadcast(log(reduce_sum(exp({SHIFTED}), axes=(1,))), shape=(4, 3), axes=(0,)))"
CLIP = "minimum(maximum({}, 1e-07), 0.9999999)"
Z = {"z": "f32[4, 3]"}
LOGITS = np.array([[200, -200, 0], [-200, -200, -200], [200, 199, 198], [0.5, -1, 2]], np.float32)


def evaluated(graph: Graph, z: Array) -> Array:
    return interpret(graph, {"z": z})["y"]


@pytest.mark.parametrize("form", ["{}", CLIP, "maximum({}, 1e-07)", "minimum({}, 1.0)"])
def test_the_log_of_a_softmax_is_stable(form: str) -> None:
    graph = graph_of(f"log({form.format(SOFTMAX)})", Z)
    result, rewrites = simplify(graph)
    assert expression(result) == LOG_SOFTMAX
    assert [r.rule for r in rewrites].count("log_of_softmax") == 1
    wide = LOGITS.astype(np.float64)
    top = wide.max(1, keepdims=True)
    expected = wide - top - np.log(np.exp(wide - top).sum(1, keepdims=True))
    np.testing.assert_allclose(evaluated(result, LOGITS), expected, rtol=1e-6)


def test_a_normalised_softmax_is_not_normalised_again() -> None:
    graph = graph_of(
        f"div({SOFTMAX}, broadcast(reduce_sum({SOFTMAX}, axes=(1,)), shape=(4, 3), axes=(0,)))", Z
    )
    result, rewrites = simplify(graph)
    assert expression(result) == expression(simplify(graph_of(SOFTMAX, Z))[0])
    assert "normalised_softmax" in {r.rule for r in rewrites}
    np.testing.assert_allclose(evaluated(result, LOGITS), evaluated(graph, LOGITS), rtol=1e-6)


@pytest.mark.parametrize("form", ["{}", CLIP])
@pytest.mark.parametrize("complement", [False, True])
def test_the_log_of_a_sigmoid_is_stable(form: str, complement: bool) -> None:
    p = form.format("sigmoid(z)")
    one = "broadcast(exp(0.0), shape=(4, 3), axes=())"
    graph = graph_of(f"log(sub({one}, {p}))" if complement else f"log({p})", Z)
    result, rewrites = simplify(graph)
    assert "log_of_sigmoid" in {r.rule for r in rewrites}
    signed = LOGITS.astype(np.float64) * (-1 if complement else 1)
    np.testing.assert_allclose(evaluated(result, LOGITS), -np.logaddexp(0, -signed), 1e-6, 1e-30)


E = "exp(q)"
NOT_SOFTMAX = [
    # Divided by something else than its own rows' sums.
    f"log(div({E}, broadcast(reduce_sum({E}, axes=(0,)), shape=(4, 4), axes=(1,))))",
    f"log(div({E}, broadcast(reduce_sum({E}, axes=(1,)), shape=(4, 4), axes=(1,))))",
    f"log(div({E}, broadcast(reduce_sum(mul(q, q), axes=(1,)), shape=(4, 4), axes=(0,))))",
    f"log(div({E}, broadcast(reduce_max({E}, axes=(1,)), shape=(4, 4), axes=(0,))))",
    # Clips that change more than what a logarithm must be kept from.
    "log(maximum(sigmoid(x), 0.5))",
    "log(minimum(sigmoid(x), 0.5))",
    "log(sub(sigmoid(x), 1.0))",
    "log(add(sigmoid(x), 1e-07))",
    # A softmax over the wrong axis of a square.
    f"div(div({E}, broadcast(reduce_sum({E}, axes=(1,)), shape=(4, 4), axes=(0,))), broadcast("
    f"reduce_sum(div({E}, broadcast(reduce_sum({E}, axes=(1,)), shape=(4, 4), axes=(0,))), "
    "axes=(1,)), shape=(4, 4), axes=(1,)))",
]


@pytest.mark.parametrize("text", NOT_SOFTMAX)
def test_what_only_looks_like_a_softmax_is_kept(text: str) -> None:
    graph = graph_of(text)
    assert expression(simplified(graph)) == expression(graph)


def test_crossentropy_and_its_gradient_are_stable() -> None:
    target = np.eye(3, dtype=np.float32)[[1, 0, 2, 1]]
    log_p = f"log({CLIP.format(SOFTMAX)})"
    graph = graph_of(
        {"loss": f"neg(reduce_sum(mul(t, {log_p}), axes=(0, 1)))"}, {**Z, "t": "f32[4, 3]"}
    )
    forward, _ = simplify(graph, differentiated=False)
    trained, _ = simplify(gradient(forward, "loss", ["z"]))
    results = interpret(trained, {"z": LOGITS, "t": target})
    wide = LOGITS.astype(np.float64)
    e = np.exp(wide - wide.max(1, keepdims=True))
    p = e / e.sum(1, keepdims=True)
    log_sum = wide.max(1) + np.log(e.sum(1))
    np.testing.assert_allclose(results["loss"], (log_sum - (wide * target).sum(1)).sum(), rtol=1e-6)
    np.testing.assert_allclose(results["gradient/z"], p - target, atol=1e-6)


def test_stop_gradient_is_kept_until_gradients_are_taken() -> None:
    graph = graph_of({"loss": "reduce_sum(mul(x, stop_gradient(x)), axes=(0, 1))"})
    forward = simplified(graph, differentiated=False)
    assert "stop_gradient" in [n.op for n in forward.nodes()]
    trained = simplified(gradient(forward, "loss", ["x"]))
    assert "stop_gradient" not in [n.op for n in trained.nodes()]
    x = examples(graph)["x"]
    np.testing.assert_array_equal(interpret(trained, {"x": x})["gradient/x"], x)  # not 2 x


@pytest.mark.parametrize("differentiated", [False, True])
def test_a_stopped_constant_may_go(differentiated: bool) -> None:
    assert expression(simplified(graph_of("stop_gradient(2.0)"), differentiated)) == "2.0"


def test_sizes_of_symbols_are_kept_apart() -> None:
    n = Size(("batch",))
    graph = graph_of({"a": "size(dim=batch, dtype='f32')", "b": "reduce_sum(n, axes=(0,))"})
    assert graph.outputs["a"].attrs["dim"] == n
    assert len(simplified(graph).live()) == 3
