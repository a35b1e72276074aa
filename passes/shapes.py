"""Type inference: the table of every op's type rule, and the builder that applies it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from graphc.ir.graph import Attributes, Graph, GraphError, Node, Scope
from graphc.ir.ops import OPS
from graphc.ir.types import Dim, Shape, TensorType, product, short_dtype

Attrs = Attributes
Rule = Callable[[Sequence[TensorType], Attrs], TensorType]


class TypeRuleError(GraphError):
    """Operands or attributes do not fit the op's type rule."""


def _same(types: Sequence[TensorType]) -> TensorType:
    if any(t != types[0] for t in types[1:]):
        raise TypeRuleError(f"operands must have one type; got {', '.join(map(str, types))}")
    return types[0]


def _elementwise(types: Sequence[TensorType], _: Attrs) -> TensorType:
    return _same(types)


def _float(types: Sequence[TensorType], _: Attrs) -> TensorType:
    if not types[0].is_float:
        raise TypeRuleError(f"operand must be a float tensor; got {types[0]}")
    return _same(types)


def _predicate(types: Sequence[TensorType], _: Attrs) -> TensorType:
    return _same(types).with_dtype("bool")


def _logical(types: Sequence[TensorType], _: Attrs) -> TensorType:
    if types[0].dtype != "bool":
        raise TypeRuleError(f"operands must be bool; got {types[0]}")
    return _same(types)


def _select(types: Sequence[TensorType], _: Attrs) -> TensorType:
    condition, x, y = types
    if condition != x.with_dtype("bool"):
        raise TypeRuleError(f"condition must be bool{list(x.shape)}; got {condition}")
    return _same([x, y])


def _const(_: Sequence[TensorType], attrs: Attrs) -> TensorType:
    value = attrs["value"]
    shape = getattr(value, "shape", ())
    if shape == () and not hasattr(value, "dtype"):
        raise TypeRuleError("a scalar constant's dtype must be given with its type")
    return TensorType(short_dtype(value.dtype), shape)


def _broadcast(types: Sequence[TensorType], attrs: Attrs) -> TensorType:
    (x,), shape, axes = types, _shape(attrs), _ints(attrs, "axes")
    if len(axes) != x.rank or list(axes) != sorted(set(axes)):
        raise TypeRuleError(f"axes {axes} must be increasing, one for each axis of {x}")
    for axis, dim in zip(axes, x.shape, strict=True):
        if not 0 <= axis < len(shape) or shape[axis] != dim:
            raise TypeRuleError(f"{x} does not fit axes {axes} of {list(shape)}")
    return x.with_shape(shape)


def _reshape(types: Sequence[TensorType], attrs: Attrs) -> TensorType:
    (x,), shape = types, _shape(attrs)
    if product(shape) != x.elements:
        raise TypeRuleError(f"{x} has {x.elements} elements, {list(shape)} {product(shape)}")
    return x.with_shape(shape)


def _transpose(types: Sequence[TensorType], attrs: Attrs) -> TensorType:
    (x,), permutation = types, _ints(attrs, "permutation")
    if sorted(permutation) != list(range(x.rank)):
        raise TypeRuleError(f"permutation {permutation} does not fit {x}")
    return x.with_shape([x.shape[axis] for axis in permutation])


def _reduce(types: Sequence[TensorType], attrs: Attrs) -> TensorType:
    (x,), axes = types, _ints(attrs, "axes")
    if list(axes) != sorted(set(axes)) or not all(0 <= axis < x.rank for axis in axes):
        raise TypeRuleError(f"axes {axes} must be increasing and within {x}")
    return x.with_shape([dim for axis, dim in enumerate(x.shape) if axis not in axes])


def _argmax(types: Sequence[TensorType], attrs: Attrs) -> TensorType:
    axis = attrs["axis"]
    assert isinstance(axis, int)
    return _reduce(types, {"axes": (axis,)}).with_dtype("i32")


def _matmul(types: Sequence[TensorType], attrs: Attrs) -> TensorType:
    a, b = types
    if a.rank != 2 or b.rank != 2 or a.dtype != b.dtype or not a.is_float:
        raise TypeRuleError(f"operands must be two float matrices of one dtype; got {a} and {b}")
    m, k = reversed(a.shape) if attrs["transpose_a"] else a.shape
    k_b, n = reversed(b.shape) if attrs["transpose_b"] else b.shape
    if k != k_b:
        raise TypeRuleError(f"inner dimensions differ: {k} of {a} and {k_b} of {b}")
    return a.with_shape((m, n))


def _gather(types: Sequence[TensorType], _: Attrs) -> TensorType:
    data, index = types
    if data.rank < 1 or index.dtype not in ("i32", "i64"):
        raise TypeRuleError(f"data must have rows and the index ints; got {data} and {index}")
    return data.with_shape(index.shape + data.shape[1:])


def _random(types: Sequence[TensorType], attrs: Attrs) -> TensorType:
    if any(t != TensorType("i32") for t in types):
        raise TypeRuleError(f"seed and step must be i32 scalars; got {types}")
    return TensorType("f32", _shape(attrs))


def _shape(attrs: Attrs) -> Shape:
    shape: Shape = attrs["shape"]
    return shape


def _ints(attrs: Attrs, name: str) -> tuple[int, ...]:
    values: tuple[int, ...] = attrs[name]
    return values


_FLOAT_ONLY = [
    "exp",
    "expm1",
    "log",
    "log1p",
    "sqrt",
    "rsqrt",
    "sin",
    "cos",
    "tanh",
    "sigmoid",
    "erf",
    "floor",
    "power",
    "div",
]
_SAME = ["neg", "abs", "sign", "stop_gradient", "copy", "add", "sub", "mul", "maximum", "minimum"]

# Op -> the type of its result. None: the node is made with its type (inputs, passes' own nodes).
RULES: dict[str, Rule | None] = {
    **dict.fromkeys(_FLOAT_ONLY, _float),
    **dict.fromkeys(_SAME, _elementwise),
    **dict.fromkeys(("equal", "less", "less_equal"), _predicate),
    **dict.fromkeys(("logical_not", "logical_and", "logical_or"), _logical),
    "is_finite": lambda types, attrs: _float(types, attrs).with_dtype("bool"),
    "cast": lambda types, attrs: types[0].with_dtype(str(attrs["dtype"])),
    "select": _select,
    "input": None,
    "const": _const,
    "size": lambda _, attrs: TensorType(str(attrs["dtype"])),
    "iota": lambda _, attrs: TensorType("i32", _shape(attrs)),
    "broadcast": _broadcast,
    "reshape": _reshape,
    "transpose": _transpose,
    "reduce_sum": _reduce,
    "reduce_max": _reduce,
    "reduce_min": _reduce,
    "argmax": _argmax,
    "matmul": _matmul,
    "gather": _gather,
    "random_uniform": _random,
    "fused": None,
    "item": None,
}


def infer(op: str, types: Sequence[TensorType], attrs: Attrs) -> TensorType:
    """The type of an op's result.

    Raises:
        TypeRuleError: when operands or attributes do not fit, naming the op.
    """
    rule = RULES[op]
    if rule is None:
        raise TypeRuleError(f"{op}: the type cannot be inferred")
    try:
        return rule(types, attrs)
    except TypeRuleError as error:
        raise TypeRuleError(f"{op}: {error}") from None


def check(graph: Graph) -> None:
    """Checks every node's type against its op's rule, in bodies too.

    Raises:
        GraphError: naming the first node whose type is not what its rule gives.
    """
    for node in graph.nodes():
        if node.op == "fused":
            check(node.attrs["body"])
        scalar = node.op == "const" and node.tensor.rank == 0
        if RULES[node.op] is None or scalar:
            continue
        types = [operand.tensor for operand in graph.operands(node)]
        try:
            inferred = infer(node.op, types, node.attrs)
        except GraphError as error:
            raise GraphError(f"{graph.name}: %{node.name}: rule: types fit: {error}") from None
        if inferred != node.type:
            raise GraphError(
                f"{graph.name}: %{node.name} ({node.op}): rule: the type is {inferred}; "
                f"got {node.type}"
            )


class Builder:
    """Appends typed nodes to a graph under a scope; the passes and `graphc.ops` build with it."""

    def __init__(self, graph: Graph, scope: Scope | None = None) -> None:
        self.graph = graph
        self.scope = scope or Scope()

    def node(self, op: str, *operands: Node, **attrs: object) -> Node:
        """One node of an op whose type its rule infers."""
        type_ = infer(op, [operand.tensor for operand in operands], attrs)
        return self.graph.add(op, operands, attrs, type=type_, scope=self.scope)

    def const(self, value: float | int | bool, dtype: str) -> Node:
        """A scalar constant."""
        return self.graph.add(
            "const", (), {"value": value}, type=TensorType(dtype), scope=self.scope
        )

    def full(self, value: float | int | bool, like: TensorType) -> Node:
        """A constant repeated to a type."""
        return self.broadcast(self.const(value, like.dtype), like.shape, ())

    def broadcast(self, x: Node, shape: Shape, axes: tuple[int, ...]) -> Node:
        """`x` repeated to a shape; `x` itself when it has that shape."""
        if x.tensor.shape == shape:
            return x
        return self.node("broadcast", x, shape=shape, axes=axes)

    def reshape(self, x: Node, shape: Sequence[Dim]) -> Node:
        """`x` under another shape; `x` itself when it has that shape."""
        if x.tensor.shape == tuple(shape):
            return x
        return self.node("reshape", x, shape=tuple(shape))


for _name in OPS:
    assert _name in RULES, f"op {_name} has no type rule"
