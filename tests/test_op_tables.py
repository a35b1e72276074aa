"""Every op has its row in every table: a new op that lacks one fails here."""

import ast
import inspect

import pytest
from graphs import stages
from op_samples import SAMPLES, sample_graph

from graphc.codegen.elementwise import LOWERINGS, Unsupported
from graphc.codegen.program import generate
from graphc.codegen.target import detect
from graphc.ir import interpret as interpreter
from graphc.ir.ops import OPS
from graphc.ir.verify import verify
from graphc.passes import derivatives, identities, shapes
from graphc.passes.memory import plan_memory
from graphc.passes.schedule import schedule

# Made by passes from other nodes.
BY_PASSES = {"fused", "item"}
BY_HAND = BY_PASSES | {"scan"}  # their samples are built by hand


def compared_with_op(function: object) -> set[str]:
    """The strings that a function compares a node's op with."""
    source = inspect.getsource(function)  # type: ignore[arg-type]
    return {
        str(part.value)
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Compare) and ast.unparse(node.left).endswith(".op")
        for part in node.comparators
        if isinstance(part, ast.Constant)
    }


@pytest.mark.parametrize("op", OPS)
def test_every_op_has_every_rule(op: str) -> None:
    assert op in shapes.RULES, "passes/shapes.py: no type rule"
    assert op in derivatives.DERIVATIVES, "passes/derivatives.py: no derivative, nor None"
    special = compared_with_op(interpreter._run_node) | compared_with_op(interpreter.interpret)
    assert op in interpreter.MEANING or op in special, "ir/interpret.py: no meaning"
    assert op in SAMPLES or op in BY_HAND, "tests/support/op_samples.py: no sample"
    if OPS[op].elementwise:
        assert op in LOWERINGS, "codegen/elementwise.py: no lowering"


@pytest.mark.parametrize("op", OPS)
def test_every_op_has_code(op: str) -> None:
    # Not optimised or loaded: that code can be made is what the tables are for.
    graph, _ = sample_graph(op)
    planned = plan_memory(schedule(graph)) if op in BY_PASSES else stages(graph)["memory"]
    try:
        module = generate(planned, detect()).module
    except Unsupported as error:
        pytest.fail(f"codegen: {error}")
    assert "graphc_run" in str(module)


TABLES = {
    "passes.shapes.RULES": shapes.RULES,
    "passes.derivatives.DERIVATIVES": derivatives.DERIVATIVES,
    "passes.identities.RULES": identities.RULES,
    "ir.interpret.MEANING": interpreter.MEANING,
    "codegen.elementwise.LOWERINGS": LOWERINGS,
    "op_samples.SAMPLES": SAMPLES,
}


@pytest.mark.parametrize("table", TABLES)
def test_no_table_has_an_op_that_is_gone(table: str) -> None:
    assert set(TABLES[table]) <= set(OPS)


@pytest.mark.parametrize("op", OPS)
def test_declarations_are_consistent(op: str) -> None:
    made = OPS[op]
    assert made.name == op and made.doc
    kinds = {"int", "ints", "bool", "str", "dtype", "shape", "dim", "scalar", "graph"}
    assert set(made.attributes.values()) <= kinds
    if made.commutative or made.unit is not None:
        assert len(made.operands) == 2 and made.elementwise


@pytest.mark.parametrize("op", OPS)
def test_samples_are_good_and_of_their_op(op: str) -> None:
    graph, node = sample_graph(op)
    assert node.op == op
    verify(graph)
    shapes.check(graph)
