"""The text form: everything in a graph prints, and parses back to the same graph."""

import numpy as np
import pytest
from graphs import BATCH, build, stages, tensor
from op_samples import array_constants, sample_graph

from graphc.ir.graph import Graph, GraphError, Node, Scope
from graphc.ir.ops import OPS
from graphc.ir.text import parse, to_text
from graphc.ir.types import Size


def described(graph: Graph) -> list[object]:
    """All of a graph that its text must keep, without going through the text."""
    return [
        graph.name,
        {name: node.name for name, node in graph.outputs.items()},
        *(node_described(graph, node) for node in graph.nodes()),
    ]


def node_described(graph: Graph, node: Node) -> tuple[object, ...]:
    operands = [operand.name for operand in graph.operands(node)]
    attrs = {key: value_described(value) for key, value in node.attrs.items()}
    return node.name, node.op, operands, attrs, node.type, node.scope


def value_described(value: object) -> object:
    if isinstance(value, Graph):
        return described(value)
    if isinstance(value, np.ndarray):
        return value.dtype, value.shape, value.tobytes()
    if isinstance(value, float):
        return "float", np.float64(value).tobytes()
    if isinstance(value, tuple):
        return [value_described(part) for part in value]
    return type(value), value


def check_round_trip(graph: Graph) -> None:
    text = to_text(graph)
    again = parse(text)
    assert described(again) == described(graph)
    assert to_text(again) == text


@pytest.mark.parametrize("op", OPS)
def test_every_op_round_trips(op: str) -> None:
    graph, _ = sample_graph(op)
    check_round_trip(graph)


def test_a_description_tells_graphs_apart() -> None:
    graph, node = sample_graph("add")
    before = described(graph)
    node.scope = Scope("other")
    assert described(graph) != before


def test_constants_round_trip_bit_by_bit() -> None:
    check_round_trip(array_constants())


def test_annotations_round_trip_at_every_stage() -> None:
    graph = build(
        lambda b, x, w: {"x1": b.node("add", w, w), "y": b.node("reduce_sum", x, axes=(0, 1))},
        "f32[batch, 40]", "f32[40]", states=(1,),
    )  # fmt: skip
    for name, stage in stages(graph).items():
        check_round_trip(stage)
        text = to_text(stage)
        assert ("phase=1" in text) == (name in ("schedule", "memory"))
        assert ('place="argument x1"' in text) == (name == "memory")
        assert ('place="arena[0]"' in text) == (name == "memory")


@pytest.mark.parametrize("dim", [7, BATCH, 64 * BATCH, 6 * Size(("batch", "time")), 0], ids=str)
def test_symbolic_dimensions_round_trip(dim: int | Size) -> None:
    graph = Graph("g")
    graph.outputs["y"] = graph.add("input", (), {"role": "data"}, type=tensor("f32", dim, 3))
    check_round_trip(graph)
    assert f"f32[{dim}, 3]" in to_text(graph)


def test_a_products_symbols_are_sorted() -> None:
    text = 'graph g {\n  %x = input() {role="data"} : f32[time*3*batch*2]\n  return x=%x\n}\n'
    assert to_text(parse(text)) == text.replace("time*3*batch*2", "6*batch*time")


ODD = [
    "dense_1", "my layer", "block/conv-2.x", "a:b", "3d", "inf", "nan", "-inf", "nan-1", "1e5",
    'quote"d', "back\\slash", "tab\t", "Größe", "層", "graph", "return", "true", "array", "//", "{",
    "", " ", "f32",
]  # fmt: skip


@pytest.mark.parametrize("name", ODD)
def test_odd_layer_names_round_trip(name: str) -> None:
    graph = Graph("g")
    scope = Scope(name, "update", f"user's {name}.py:12")
    graph.outputs["y"] = graph.add(
        "input", (), {"role": "data"}, type=tensor("f32"), scope=scope, name="x"
    )
    check_round_trip(graph)


@pytest.mark.parametrize("name", [name for name in ODD if name])
def test_odd_names_of_nodes_outputs_and_graphs_round_trip(name: str) -> None:
    graph = Graph(name)
    x = graph.add("input", (), {"role": "state"}, type=tensor("f32"), name=name)
    graph.outputs[name] = graph.add("neg", (x,), type=tensor("f32"))
    check_round_trip(graph)


def test_where_strings_round_trip() -> None:
    graph = Graph("g")
    for at, where in enumerate(["model.py:3", 'a "b" // c', "C:\\x\\n.py:1", "línea:2", "\n"]):
        graph.outputs[f"y{at}"] = graph.add(
            "input", (), {"role": "data"}, type=tensor("i8", 2), scope=Scope("", "forward", where)
        )
    check_round_trip(graph)


def test_comments_and_layout_do_not_matter() -> None:
    loose = """
    // a comment
    graph g{%x=input(){role="data"}:f32[2]// after
      // between
      "a // string is no comment" %y=neg(%x):f32[2] return y=%y} // end"""
    graph = parse(loose)
    assert graph["x"].scope.where == "a // string is no comment"
    assert [node.op for node in graph.nodes()] == ["input", "neg"]
    line = 'graph g { %x = input() {role="data"} : f32[] "a//b" return y=%x }'
    assert parse(line)["x"].scope.where == "a//b"


def test_the_text_of_a_small_graph() -> None:
    graph = build(
        lambda b, x, w: b.node("matmul", x, w, transpose_a=False, transpose_b=False),
        "f32[batch, 4]", "f32[4, 3]", states=(1,),
    )  # fmt: skip
    assert to_text(graph) == (
        "graph test {\n"
        '  %x0 = input() {role="data"} : f32[batch, 4]\n'
        '  %x1 = input() {role="state"} : f32[4, 3]\n'
        "  %matmul_2 = matmul(%x0, %x1) {transpose_a=false, transpose_b=false} : f32[batch, 3]\n"
        "  return y=%matmul_2\n"
        "}\n"
    )


X = '%x = input() {role="data"} : f32[2]'

# Text -> the line of the error and what its message says.
ERRORS: dict[str, tuple[int, str]] = {
    "": (1, "expected 'graph', got 'the end'"),
    "grph g {": (1, "expected 'graph', got 'grph'"),
    "graph { return }": (1, "expected the graph's name, got '{'"),
    f"graph g {{\n  {X}\n": (2, "expected a node such as %x, or return, got 'the end'"),
    f"graph g {{\n  {X}\n  %y = neg(%x) : f32[": (3, "the text ends within a graph"),
    f"graph g {{\n  {X}\n  return y=%x": (3, "expected '}'"),
    f"graph g {{\n  {X}\n  return y=%x\n}}\n}}": (5, "unexpected '}' after the graph"),
    f"graph g {{\n  {X}\n  return y=%z\n}}": (3, "%z is read before it is defined"),
    f"graph g {{\n  {X}\n  return y=x\n}}": (3, "expected a value such as %x, got 'x'"),
    f"graph g {{\n  {X}\n  return y=%x, y=%x\n}}": (3, "output 'y' is given twice"),
    f"graph g {{\n  {X}\n  %y = frob(%x) : f32[2]\n  return\n}}": (3, "unknown op 'frob'"),
    f"graph g {{\n  {X}\n  {X}\n  return\n}}": (3, "%x: the name is taken"),
    f"graph g {{\n  {X}\n  %y = neg(%w) : f32[2]\n}}": (3, "%w is read before it is defined"),
    f"graph g {{\n  {X}\n  %y = neg(%x) : f16[2]\n}}": (3, "unknown dtype 'f16'; expected one of"),
    f"graph g {{\n  {X}\n  %y = neg(%x) f32[2]\n}}": (3, "expected ':', got 'f32'"),
    f"graph g {{\n  {X}\n  %y = neg(%x : f32[2]\n}}": (3, "expected ',', got ':'"),
    f"graph g {{\n  {X}\n  %y = neg(%x) : f32[2.5]\n}}": (3, "expected an integer, got '2.5'"),
    f"graph g {{\n  {X}\n  %y = neg(%x) : f32[,]\n}}": (3, "expected a dimension"),
    f"graph g {{\n  {X}\n  %y ! neg(%x) : f32[2]\n}}": (3, "unexpected character '!'"),
    f"graph g {{\n  {X}\n  y = neg(%x) : f32[2]\n}}": (3, "expected a node such as %x, or return"),
    'graph g {\n  %x = input() {rol="data"} : f32[]\n}': (2, "input has no attribute 'rol'"),
    "graph g {\n  %x = input() {role=data} : f32[]\n}": (2, "expected a string, got 'data'"),
    'graph g {\n  %x = input() {role="d"\n': (2, "expected ',', got 'the end'"),
    'graph g {\n  %x = input() {role="a\\q"} : f32[]\n}': (2, "not a string"),
    "graph g {\n  %c = const() {value=one} : f32[]\n}": (2, "expected a number, got 'one'"),
    "graph g {\n  %c = const() {value=1, value=2} : f32[]\n}": (2, "'value' is given twice"),
    "graph g {\n  %c = const() {value=array(f32[3], 1, 2)} : f32[3]\n}": (
        2, "array of f32[3] with 2 numbers"),
    "graph g {\n  %c = const() {value=array(f32[n], 1)} : f32[1]\n}": (
        2, "an array's shape must be of ints"),
    "graph g {\n  %c = const() {value=array(u8[1], 300)} : u8[1]\n}": (2, "do not fit u8"),
    f"graph g {{\n  {X}\n  %y = argmax(%x) {{axis=0.5}} : i32[]\n}}": (
        3, "expected an integer, got '0.5'"),
    f"graph g {{\n  {X}\n  %y = argmax(%x) {{axis=inf}} : i32[]\n}}": (
        3, "expected an integer, got 'inf'"),
    f"graph g {{\n  {X}\n  %y = reduce_sum(%x) {{axes=0}} : f32[]\n}}": (
        3, "expected '[', got '0'"),
    f"graph g {{\n  {X}\n  %y = cast(%x) {{dtype=float}} : f32[]\n}}": (3, "unknown dtype 'float'"),
    f'graph g {{\n  {X}\n  %y = fused(%x) {{kind="loop", body=3}} : f32[2]\n}}': (
        3, "expected 'graph', got '3'"),
    "graph g {\n  %a = matmul() {transpose_a=1}\n}": (2, "expected true or false"),
}  # fmt: skip


@pytest.mark.parametrize("text", ERRORS)
def test_errors_name_the_line_and_what_was_expected(text: str) -> None:
    line, message = ERRORS[text]
    with pytest.raises(GraphError) as error:
        parse(text)
    assert str(error.value).startswith(f"line {line}: ")
    assert message in str(error.value)
    shown = str(error.value).splitlines()[-1].strip()
    assert shown == (text.splitlines()[line - 1].strip() if text else "")
