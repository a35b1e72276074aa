"""One sample node for each op: a test that walks the op set builds its graphs from these."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from graphs import BATCH, typed
from loops import example_loop

from graphc.ir.graph import Graph, Node, Scope
from graphc.ir.ops import OPS
from graphc.passes.shapes import RULES, Builder


@dataclass(frozen=True)
class Sample:
    """Operand types and attributes of a node; `type` where the op's rule infers none."""

    operands: tuple[str, ...] = ()
    attrs: dict[str, object] = field(default_factory=dict)
    type: str = ""


ROWS = "f32[batch, 5]"
FLAGS = "bool[batch, 5]"
ARITHMETIC = ["add", "sub", "mul", "div", "maximum", "minimum", "power"]
BINARY = [*ARITHMETIC, "equal", "less", "less_equal"]

WINDOW = {"sizes": (2,), "strides": (2,), "dilations": (1,)}

SAMPLES: dict[str, Sample] = {
    "input": Sample((), {"role": "data"}, "f32[2*batch, 3]"),
    "const": Sample((), {"value": -0.1}, "f32[]"),
    "size": Sample((), {"dim": 3 * BATCH, "dtype": "f32"}),
    "iota": Sample((), {"shape": (BATCH, 7), "axis": 1}),
    **{op: Sample((ROWS,)) for op in OPS if OPS[op].elementwise and OPS[op].operands == ("x",)},
    "logical_not": Sample((FLAGS,)),
    "cast": Sample((ROWS,), {"dtype": "i32"}),
    **{op: Sample((ROWS, ROWS)) for op in BINARY},
    "logical_and": Sample((FLAGS, FLAGS)),
    "logical_or": Sample((FLAGS, FLAGS)),
    "select": Sample((FLAGS, ROWS, ROWS)),
    "broadcast": Sample(("f32[3]",), {"shape": (BATCH, 3, 5), "axes": (1,)}),
    "reshape": Sample(("f32[batch, 6]",), {"shape": (2 * BATCH, 3)}),
    "transpose": Sample(("f32[2, 3, 5]",), {"permutation": (2, 0, 1)}),
    "slice": Sample(("f32[batch, 9]",), {"starts": (0, 1), "sizes": (BATCH, 3), "steps": (1, 3)}),
    "reverse": Sample(("f32[batch, 5]",), {"axes": (0, 1)}),
    "pad": Sample(
        ("f32[batch, 5]",), {"low": (0, 2), "high": (0, 1), "interior": (0, 1), "value": 1.5}
    ),
    "concat": Sample(("f32[batch, 5]", "f32[batch, 3]"), {"axis": 1}),
    "windows": Sample(("f32[batch, 9, 3]",), {"axis": 1, **WINDOW}),
    "fold": Sample(("f32[batch, 4, 2, 3]",), {"axis": 1, **WINDOW, "shape": (BATCH, 9, 3)}),
    "reduce_sum": Sample(("f32[batch, 3, 5]",), {"axes": (0, 2)}),
    "reduce_max": Sample((ROWS,), {"axes": (1,)}),
    "reduce_min": Sample((ROWS,), {"axes": (0,)}),
    "argmax": Sample((ROWS,), {"axis": 1}),
    "matmul": Sample((ROWS, "f32[3, 5]"), {"transpose_a": False, "transpose_b": True}),
    "conv": Sample(("f32[batch, 9, 3]", "f32[2, 3, 5]"), {"strides": (2,), "dilations": (1,)}),
    "conv_kernel_grad": Sample(
        ("f32[batch, 9, 3]", "f32[batch, 4, 5]"),
        {"sizes": (2,), "strides": (2,), "dilations": (1,), "parts": 3},
    ),
    "scatter_add": Sample(("i32[batch]", "f32[batch, 5]"), {"rows": 7}),
    "gather": Sample(("f32[9, 5]", "i32[batch]")),
    "random_uniform": Sample(("i32[]", "i32[]"), {"shape": (BATCH, 5), "stream": 2}),
}


def _fused_body() -> Graph:
    builder = Builder(Graph("rows.1"), Scope("softmax", "backward"))
    x = builder.graph.add("input", (), {"role": "data"}, type=typed(ROWS), name="x")
    total = builder.node("reduce_sum", x, axes=(1,))
    builder.graph.outputs["total"] = total
    builder.graph.outputs["y"] = builder.node("exp", x)
    return builder.graph


def sample_graph(op: str) -> tuple[Graph, Node]:
    """A graph with one node of this op, on inputs, its result the output "y"; and that node."""
    builder = Builder(Graph("sample"))
    add = builder.graph.add
    if op in ("fused", "item"):
        body = _fused_body()
        types = tuple(node.tensor for node in body.outputs.values())
        x = add("input", (), {"role": "data"}, type=typed(ROWS), name="x0")
        fused = add("fused", (x,), {"kind": "rows", "body": body}, type=types, name="rows.1")
        items = [add("item", (fused,), {"index": at}, type=t) for at, t in enumerate(types)]
        builder.graph.outputs.update({"total": items[0], "y": items[1]})
        item = items[1]
        return builder.graph, fused if op == "fused" else item
    if op == "scan":
        graph = example_loop("recurrent")
        scan = next(n for n in graph.nx if n.op == "scan")
        graph.outputs["y"] = graph.outputs["r0"]
        return graph, scan
    sample = SAMPLES[op]
    inputs = [
        add("input", (), {"role": "data"}, type=typed(type_), name=f"x{at}")
        for at, type_ in enumerate(sample.operands)
    ]
    attrs = dict(sample.attrs)
    if RULES[op] is None or sample.type:
        node = add(op, inputs, attrs, type=typed(sample.type))
    else:
        node = builder.node(op, *inputs, **attrs)
    builder.graph.outputs["y"] = node
    return builder.graph, node


def array_constants() -> Graph:
    """Constants of every kind that the text form must keep exactly."""
    builder = Builder(Graph("constants"))
    values: dict[str, object] = {
        "floats": np.array([[0.1, -0.0], [np.inf, -np.inf]], np.float32),
        "doubles": np.array([1e-300, 1 / 3, np.nan, 1e300]),
        "ints": np.array([-(2**63), 2**63 - 1], np.int64),
        "bytes": np.array([0, 255], np.uint8),
        "flags": np.array([True, False]),
        "empty": np.zeros((2, 0), np.float32),
    }
    for name, value in values.items():
        builder.graph.outputs[name] = builder.node("const", value=value)
    for name, number, dtype in (
        ("inf", float("inf"), "f32"),
        ("minus_inf", float("-inf"), "f64"),
        ("nan", float("nan"), "f32"),
        ("minus_zero", -0.0, "f32"),
        ("tiny", 5e-324, "f64"),
        ("large", 1e22, "f32"),
        ("whole", 3.0, "f32"),
        ("int", -7, "i32"),
        ("true", True, "bool"),
    ):
        builder.graph.outputs[name] = builder.const(number, dtype)
    return builder.graph
