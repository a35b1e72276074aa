"""The op set: one declaration an op, with its operands, attributes and algebraic facts.

An op's other rules stand in one table each: its type in passes/shapes.py, its derivative in
passes/gradient.py, its reference meaning in ir/interpret.py, its lowering in codegen/.
tests/test_op_tables.py walks this module and fails for an op that any table lacks.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class OpDef:
    """One op.

    Attributes:
        operands: names of the operands, in order; ("...",) for any number.
        attributes: attribute name -> kind ("int", "ints", "bool", "str", "dtype", "shape",
            "dim", "scalar", "graph"); all are required.
        elementwise: each element of the result depends on the same element of the operands,
            which all have the result's shape.
        commutative: the two operands may be swapped.
        unit: x op unit == x (right unit, and left too when commutative).
    """

    name: str
    operands: tuple[str, ...]
    doc: str
    attributes: dict[str, str] = field(default_factory=dict)
    elementwise: bool = False
    commutative: bool = False
    unit: float | None = None


OPS: dict[str, OpDef] = {}


def _op(name: str, operands: str, doc: str, **facts: object) -> None:
    OPS[name] = OpDef(name, tuple(operands.split()), doc, **facts)  # type: ignore[arg-type]


def _elementwise(name: str, operands: str, doc: str, **facts: object) -> None:
    _op(name, operands, doc, elementwise=True, **facts)


# Leaves.
_op(
    "input",
    "",
    "a value given from outside; role: data, index, state or scalar",
    attributes={"role": "str"},
)
_op("const", "", "a constant scalar or small array", attributes={"value": "scalar"})
_op(
    "size",
    "",
    "the number of elements that a dimension stands for, as a scalar of a dtype",
    attributes={"dim": "dim", "dtype": "dtype"},
)
_op(
    "iota",
    "",
    "each element's index along an axis (i32)",
    attributes={"shape": "shape", "axis": "int"},
)

# Elementwise, one operand.
_elementwise("neg", "x", "-x")
_elementwise("abs", "x", "|x|")
_elementwise("sign", "x", "-1, 0 or 1")
_elementwise("floor", "x", "largest integer not above x")
_elementwise("exp", "x", "e**x")
_elementwise("expm1", "x", "e**x - 1")
_elementwise("log", "x", "natural logarithm")
_elementwise("log1p", "x", "log(1 + x)")
_elementwise("sqrt", "x", "square root")
_elementwise("rsqrt", "x", "1 / sqrt(x)")
_elementwise("sin", "x", "sine")
_elementwise("cos", "x", "cosine")
_elementwise("tanh", "x", "hyperbolic tangent")
_elementwise("sigmoid", "x", "1 / (1 + e**-x)")
_elementwise("erf", "x", "error function")
_elementwise("is_finite", "x", "neither infinite nor NaN (bool)")
_elementwise("logical_not", "x", "not x (bool)")
_elementwise("stop_gradient", "x", "x, through which no cotangent flows")
_elementwise("copy", "x", "x in memory of its own")
_elementwise("cast", "x", "x converted to another dtype", attributes={"dtype": "dtype"})

# Elementwise, two or three operands.
_elementwise("add", "x y", "x + y", commutative=True, unit=0.0)
_elementwise("sub", "x y", "x - y", unit=0.0)
_elementwise("mul", "x y", "x * y", commutative=True, unit=1.0)
_elementwise("div", "x y", "x / y", unit=1.0)
_elementwise("maximum", "x y", "the larger; NaN if either is NaN", commutative=True)
_elementwise("minimum", "x y", "the smaller; NaN if either is NaN", commutative=True)
_elementwise("power", "x y", "x**y", unit=1.0)
_elementwise("equal", "x y", "x == y (bool)", commutative=True)
_elementwise("less", "x y", "x < y (bool)")
_elementwise("less_equal", "x y", "x <= y (bool)")
_elementwise("logical_and", "x y", "x and y (bool)", commutative=True)
_elementwise("logical_or", "x y", "x or y (bool)", commutative=True)
_elementwise("select", "condition x y", "x where condition holds, else y")

# Layout.
_op(
    "broadcast",
    "x",
    "x repeated; axes[i] is the result's axis that operand axis i becomes",
    attributes={"shape": "shape", "axes": "ints"},
)
_op(
    "reshape",
    "x",
    "the same elements in row-major order under another shape",
    attributes={"shape": "shape"},
)
_op(
    "transpose",
    "x",
    "axes permuted: result axis i is operand axis permutation[i]",
    attributes={"permutation": "ints"},
)

_op(
    "slice",
    "x",
    "along each axis, `sizes` elements from `starts` on, `steps` apart",
    attributes={"starts": "ints", "sizes": "shape", "steps": "ints"},
)
_op("reverse", "x", "the elements in reverse order along axes", attributes={"axes": "ints"})
_op(
    "pad",
    "x",
    "a value put before, after, and between the elements along each axis",
    attributes={"low": "ints", "high": "ints", "interior": "ints", "value": "scalar"},
)
_op("concat", "...", "the operands one after another along an axis", attributes={"axis": "int"})
_op(
    "windows",
    "x",
    "all windows of consecutive axes from `axis` on: these axes count windows, and as many new "
    "ones behind them the elements of a window",
    attributes={"axis": "int", "sizes": "ints", "strides": "ints", "dilations": "ints"},
)
_op(
    "fold",
    "x",
    "windows added up, each element where `windows` would have taken it from",
    attributes={
        "axis": "int",
        "sizes": "ints",
        "strides": "ints",
        "dilations": "ints",
        "shape": "shape",
    },
)

# Reductions: the axes disappear.
_op("reduce_sum", "x", "sum over axes", attributes={"axes": "ints"})
_op("reduce_max", "x", "maximum over axes", attributes={"axes": "ints"})
_op("reduce_min", "x", "minimum over axes", attributes={"axes": "ints"})
_op("argmax", "x", "index (i32) of the first maximum along an axis", attributes={"axis": "int"})

# Contraction, indexing, random numbers.
_op(
    "matmul",
    "a b",
    "matrix product over the last two axes, either operand transposed on the way in; other axes, "
    "the same in both, count matrices",
    attributes={"transpose_a": "bool", "transpose_b": "bool"},
)
_op(
    "conv",
    "x kernel",
    "correlation of x (batch, spatial ..., channels) with a kernel (window ..., channels, filters) "
    "wherever the window fits",
    attributes={"strides": "ints", "dilations": "ints"},
)
_op(
    "conv_kernel_grad",
    "x dy",
    "the cotangent of conv's kernel, of window `sizes`, from that of its result; the batch in "
    "`parts` consecutive shares, each summed by itself",
    attributes={"sizes": "ints", "strides": "ints", "dilations": "ints", "parts": "int"},
)
_op("gather", "data index", "rows of data chosen by an index; zeros where it is out of range")
_op(
    "scatter_add",
    "index updates",
    "`rows` rows, each the sum of the updates whose index it is; others are left out",
    attributes={"rows": "dim"},
)
_op(
    "random_uniform",
    "seed step",
    "f32 in [0, 1) from the counter-based Philox generator: a "
    "function of seed, stream, step and the element's position only",
    attributes={"shape": "shape", "stream": "int"},
)

# A loop.
_op(
    "scan",
    "...",
    "a loop of `length` steps, counted down when `reverse`: operands are constants, initial "
    "carries, and sequences whose first axis the steps go along; the body's inputs, in this order, "
    "are the constants, the carries (state that outputs of their names update) and an element of "
    "each sequence; results are the last carries, then the body's other outputs, stacked",
    attributes={
        "body": "graph",
        "carries": "int",
        "sequences": "int",
        "length": "dim",
        "reverse": "bool",
    },
)

# Made by the passes.
_op(
    "fused",
    "...",
    "one kernel: its body is a graph whose inputs are the operands",
    attributes={"kind": "str", "body": "graph"},
)
_op("item", "x", "one result of a node that has several", attributes={"index": "int"})

# Attributes that passes add to any node: why it is in memory and not only in a kernel's registers,
# where it stands in the schedule and in memory, the dimension whose rows each belong to one thread
# throughout a loop, for what it makes a value of the forward pass again, how a contraction is cut
# into blocks, if not as codegen/blocking.py would, and with which other kernels one goes through
# the batch, how many rows at a time.
ANNOTATIONS: dict[str, str] = {
    "kept": "str", "phase": "int", "owned": "dim", "place": "str", "again": "str", "plan": "str",
    "strip": "int", "strip_rows": "int",
}  # fmt: skip

# Nodes with a body, which the schedule puts in order; `fused` ones are single kernels.
KERNELS = frozenset({"fused", "scan"})
LEAVES = frozenset({"input", "const", "size", "iota"})
CONTRACTIONS = frozenset({"matmul", "conv", "conv_kernel_grad"})
REDUCTIONS = frozenset({"reduce_sum", "reduce_max", "reduce_min", "argmax"})
