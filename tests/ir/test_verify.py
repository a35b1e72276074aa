"""The verifier: each way to break a graph gets an error with the node and the rule."""

from collections.abc import Callable

import numpy as np
import pytest
from graphs import build, stages, tensor
from op_samples import array_constants, sample_graph

from graphc.ir.graph import Graph, GraphError, Node
from graphc.ir.ops import OPS
from graphc.ir.verify import equal, verify


@pytest.mark.parametrize("op", OPS)
def test_good_graphs_pass(op: str) -> None:
    verify(sample_graph(op)[0])


def test_constants_and_every_stage_pass() -> None:
    verify(array_constants())
    graph = build(lambda b, x: b.node("exp", b.node("reduce_sum", x, axes=(0,))), "f32[batch, 3]")
    for stage in stages(graph).values():
        verify(stage)


Break = Callable[[Graph, Node], object]


def set_attr(key: str, value: object) -> Break:
    return lambda graph, node: node.attrs.update({key: value})


def drop_edge(graph: Graph, node: Node) -> None:
    graph.nx.remove_edge(graph.operands(node)[0], node, 0)


def add_edge(key: int) -> Break:
    return lambda graph, node: graph.nx.add_edge(graph.operands(node)[0], node, key)


def set_field(field: str, value: object) -> Break:
    return lambda graph, node: setattr(node, field, value)


def body_of(node: Node) -> Graph:
    body = node.attrs["body"]
    assert isinstance(body, Graph)
    return body


def break_body(graph: Graph, node: Node) -> None:
    body_of(node).nodes()[-1].op = "frob"


def retype_body(graph: Graph, node: Node) -> None:
    body_of(node).inputs()[0].type = tensor("f64", 1)


def drop_result(graph: Graph, node: Node) -> None:
    del body_of(node).outputs["total"]


def output_of_fused(graph: Graph, node: Node) -> None:
    graph.outputs["y"] = node


def output_to_data(graph: Graph, node: Node) -> None:
    graph.outputs["x0"] = node


def output_of_other_type(graph: Graph, node: Node) -> None:
    output_to_data(graph, node)
    graph["x0"].attrs["role"] = "state"


def foreign_output(graph: Graph, node: Node) -> None:
    graph.outputs["y"] = sample_graph("neg")[1]


# A name for the case, the sample's op, what is broken in it, and what the message says.
BROKEN: list[tuple[str, str, Break, str]] = [
    ("unknown op", "neg", set_field("op", "frob"), "rule: the op is in the op set"),
    ("too few operands", "add", drop_edge, "rule: operands are x, y; got positions [1]"),
    ("too many operands", "add", add_edge(2), "rule: operands are x, y; got positions [0, 1, 2]"),
    ("a gap", "neg", add_edge(3), "rule: operands are x; got positions [0, 3]"),
    ("operands of a leaf", "neg", set_field("op", "iota"), "rule: operands are none"),
    ("a gap in a kernel", "fused", add_edge(2), "rule: operands are ...; got positions [0, 2]"),
    ("missing", "argmax", lambda g, n: n.attrs.clear(), "attribute 'axis' (int) is required"),
    ("surplus", "neg", set_attr("axis", 1), "rule: no attribute 'axis'"),
    ("int", "argmax", set_attr("axis", 1.0), "attribute 'axis' is of kind int; got 1.0"),
    ("bool for int", "argmax", set_attr("axis", True), "attribute 'axis' is of kind int; got True"),
    ("ints", "reduce_sum", set_attr("axes", [0]), "attribute 'axes' is of kind ints; got [0]"),
    ("ints of str", "reduce_sum", set_attr("axes", ("0",)), "attribute 'axes' is of kind ints"),
    ("shape", "iota", set_attr("shape", (2, "n")), "attribute 'shape' is of kind shape"),
    ("bool", "matmul", set_attr("transpose_a", 1), "attribute 'transpose_a' is of kind bool"),
    ("dtype", "cast", set_attr("dtype", np.int32), "attribute 'dtype' is of kind dtype"),
    ("dtype's name", "cast", set_attr("dtype", "f16"), "attribute 'dtype' is of kind dtype"),
    ("dim", "size", set_attr("dim", "batch"), "attribute 'dim' is of kind dim; got 'batch'"),
    ("scalar", "const", set_attr("value", "one"), "attribute 'value' is of kind scalar"),
    ("str", "input", set_attr("role", 3), "attribute 'role' is of kind str; got 3"),
    ("graph", "fused", set_attr("body", "graph g {}"), "attribute 'body' is of kind graph"),
    ("phase", "fused", set_attr("phase", "first"), "attribute 'phase' is of kind int; got 'first'"),
    ("place", "item", set_attr("place", 64), "attribute 'place' is of kind str; got 64"),
    ("role", "input", set_attr("role", "weight"), "role is one of data, index, state, scalar; got"),
    ("type's dtype", "neg", set_field("type", tensor("f16", 2)), "rule: dtype 'f16' is known"),
    ("taken name", "neg", set_field("name", "x0"), "rule: the name is the node's alone"),
    ("unknown name", "neg", set_field("name", "new"), "rule: the name is the node's alone"),
    ("within a body", "fused", break_body, "rows.1: %exp_2 (frob): rule: the op is in the op set"),
    ("body's inputs", "fused", retype_body, "rule: operands match the body's inputs (f64[1])"),
    ("body's results", "fused", drop_result, "rule: the type is the body's results"),
    ("no such result", "item", set_attr("index", 2), "rule: index is that of one of several"),
    ("negative result", "item", set_attr("index", -1), "rule: index is that of one of several"),
    ("another result", "item", set_attr("index", 0), "rule: the type is the result's, f32[batch]"),
]  # fmt: skip


@pytest.mark.parametrize("case", BROKEN, ids=lambda case: case[0])
def test_broken_nodes(case: tuple[str, str, Break, str]) -> None:
    _, op, break_it, message = case
    graph, node = sample_graph(op)
    break_it(graph, node)
    with pytest.raises(GraphError) as error:
        verify(graph)
    assert f"sample: %{node.name} ({node.op}): " in str(error.value)
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("op", "break_it", "message"),
    [
        ("neg", foreign_output, "sample: output 'y': %neg_1 is not a node of the graph"),
        ("fused", output_of_fused, "sample: output 'y': %rows.1 has several results"),
        (
            "argmax",
            output_of_other_type,
            "sample: output 'x0': rule: an input that an output updates is state of its type, "
            "i32[batch]; got role 'state', f32[batch, 5]",
        ),
    ],
)
def test_broken_outputs(op: str, break_it: Break, message: str) -> None:
    graph, node = sample_graph(op)
    break_it(graph, node)
    with pytest.raises(GraphError) as error:
        verify(graph)
    assert str(error.value) == message


def test_a_cycle_is_named() -> None:
    graph = build(lambda b, x: b.node("neg", b.node("exp", x)), "f32[2]")
    graph.nx.add_edge(graph["neg_2"], graph["exp_1"], 1)
    with pytest.raises(GraphError, match="the graph has a cycle: ") as error:
        verify(graph)
    assert "%exp_1 -> %neg_2" in str(error.value) or "%neg_2 -> %exp_1" in str(error.value)


def test_add_refuses_taken_names_and_foreign_operands() -> None:
    graph, _ = sample_graph("neg")
    with pytest.raises(GraphError, match="%x0: the name is taken by another node"):
        graph.add("input", (), {"role": "data"}, type=tensor("f32"), name="x0")
    with pytest.raises(GraphError, match="%y: operand %x0 is not a node of this graph"):
        graph.add("neg", sample_graph("exp")[0].inputs(), type=tensor("f32"), name="y")
    assert "y" not in graph and len(graph) == 2


def test_equal_tells_graphs_apart() -> None:
    graph, _ = sample_graph("argmax")
    same, other = sample_graph("argmax")[0], sample_graph("argmax")[0]
    other.nodes()[-1].attrs["axis"] = 0
    assert equal(graph, same)
    assert not equal(graph, other)
