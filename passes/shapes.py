"""Type inference: the table of every op's type rule, and the builder that applies it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from graphc.ir.graph import Attributes, Graph, GraphError, Node, Scope
from graphc.ir.ops import KERNELS, OPS
from graphc.ir.scan import result_types
from graphc.ir.types import Dim, Shape, Size, TensorType, product, short_dtype

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


def _slice(types: Sequence[TensorType], attrs: Attrs) -> TensorType:
    (x,), sizes = types, attrs["sizes"]
    starts, steps = _ints(attrs, "starts"), _ints(attrs, "steps")
    if not len(starts) == len(sizes) == len(steps) == x.rank:
        raise TypeRuleError(f"starts, sizes and steps must have a number for each axis of {x}")
    for dim, start, size, step in zip(x.shape, starts, sizes, steps, strict=True):
        whole = (start, step) == (0, 1) and size == dim
        if not whole and not (
            isinstance(dim, int) and isinstance(size, int) and start >= 0 and step >= 1
            and size >= 0 and start + max(size - 1, 0) * step < max(dim, 1)
        ):  # fmt: skip
            raise TypeRuleError(f"{size} elements from {start} by {step} are not in {dim} of {x}")
    return x.with_shape(sizes)


def _reverse(types: Sequence[TensorType], attrs: Attrs) -> TensorType:
    _reduce(types, attrs)
    return types[0]


def _pad(types: Sequence[TensorType], attrs: Attrs) -> TensorType:
    (x,) = types
    parts = [_ints(attrs, name) for name in ("low", "high", "interior")]
    if any(len(part) != x.rank or min(part, default=0) < 0 for part in parts):
        raise TypeRuleError(f"low, high and interior must have a count for each axis of {x}")
    shape: list[Dim] = []
    for dim, low, high, gap in zip(x.shape, *parts, strict=True):
        if isinstance(dim, int):
            shape.append(low + dim + max(dim - 1, 0) * gap + high)
        elif low or high or gap:
            raise TypeRuleError(f"axis of size {dim} of {x} cannot be padded")
        else:
            shape.append(dim)
    return x.with_shape(shape)


def _concat(types: Sequence[TensorType], attrs: Attrs) -> TensorType:
    axis = attrs["axis"]
    if not types or not 0 <= axis < types[0].rank:
        raise TypeRuleError(f"axis {axis} is not one of the operands'")
    total: Dim = 0
    for x in types:
        same = x.rank == types[0].rank and x.dtype == types[0].dtype
        if not same or any(
            a != b
            for at, (a, b) in enumerate(zip(x.shape, types[0].shape, strict=True))
            if at != axis
        ):
            raise TypeRuleError(f"operands differ beside axis {axis}: {types[0]} and {x}")
        total = _sum(total, x.shape[axis])
    shape = types[0].shape
    return types[0].with_shape((*shape[:axis], total, *shape[axis + 1 :]))


def _sum(a: Dim, b: Dim) -> Dim:
    """a + b, of sizes with the same symbols."""
    if isinstance(a, int) and isinstance(b, int):
        return a + b
    if a == 0:
        return b
    if isinstance(a, Size) and isinstance(b, Size) and a.symbols == b.symbols:
        return Size(a.symbols, a.factor + b.factor)
    raise TypeRuleError(f"sizes {a} and {b} cannot be added")


def windowed(dim: Dim, size: int, stride: int, dilation: int) -> int:
    """How many windows an axis has.

    Raises:
        TypeRuleError: when there is none, or the axis has no fixed size.
    """
    reach = (size - 1) * dilation + 1
    if not isinstance(dim, int):
        raise TypeRuleError(f"windows over an axis of size {dim}, which is not fixed")
    if min(size, stride, dilation) < 1 or dim < reach:
        raise TypeRuleError(
            f"a window of {size} (dilation {dilation}, stride {stride}) does not fit {dim}"
        )
    return (dim - reach) // stride + 1


def _windows(types: Sequence[TensorType], attrs: Attrs) -> TensorType:
    (x,), axis = types, attrs["axis"]
    sizes, strides, dilations = (_ints(attrs, n) for n in ("sizes", "strides", "dilations"))
    if not len(sizes) == len(strides) == len(dilations) or not 0 <= axis <= x.rank - len(sizes):
        raise TypeRuleError(f"sizes, strides and dilations must fit axes of {x} from {axis} on")
    end = axis + len(sizes)
    how = zip(x.shape[axis:end], sizes, strides, dilations, strict=True)
    counts = [windowed(*part) for part in how]
    return x.with_shape((*x.shape[:axis], *counts, *sizes, *x.shape[end:]))


def _fold(types: Sequence[TensorType], attrs: Attrs) -> TensorType:
    (x,) = types
    whole = x.with_shape(_shape(attrs))
    if _windows([whole], attrs) != x:
        raise TypeRuleError(f"{x} is not what windows of {whole} are")
    return whole


def _conv(types: Sequence[TensorType], attrs: Attrs) -> TensorType:
    x, kernel = types
    strides, dilations = _ints(attrs, "strides"), _ints(attrs, "dilations")
    rank = len(strides)
    if (
        not (x.rank == kernel.rank == rank + 2 and len(dilations) == rank)
        or x.dtype != kernel.dtype
    ):
        raise TypeRuleError(f"{x} and kernel {kernel} do not fit {rank} strides")
    if x.shape[-1] != kernel.shape[-2]:
        raise TypeRuleError(
            f"channels differ: {x.shape[-1]} of {x}, {kernel.shape[-2]} of {kernel}"
        )
    how = zip(x.shape[1:-1], kernel.shape, strides, dilations, strict=False)
    counts = [windowed(dim, _fixed(size), stride, gap) for dim, size, stride, gap in how]
    return x.with_shape((x.shape[0], *counts, kernel.shape[-1]))


def _conv_kernel_grad(types: Sequence[TensorType], attrs: Attrs) -> TensorType:
    x, dy = types
    kernel = x.with_shape((*_ints(attrs, "sizes"), x.shape[-1], dy.shape[-1]))
    if _conv([x, kernel], attrs) != dy:
        raise TypeRuleError(f"{dy} is not the result of convolving {x} with {kernel}")
    return kernel.with_shape((attrs["parts"], *kernel.shape))


def _fixed(dim: Dim) -> int:
    if not isinstance(dim, int):
        raise TypeRuleError(f"size {dim} must be fixed")
    return dim


def _scatter_add(types: Sequence[TensorType], attrs: Attrs) -> TensorType:
    index, updates = types
    if index.dtype not in ("i32", "i64") or updates.shape[: index.rank] != index.shape:
        raise TypeRuleError(f"an update for each index must be given; got {index} and {updates}")
    return updates.with_shape((attrs["rows"], *updates.shape[index.rank :]))


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
    if a.rank < 2 or a.rank != b.rank or a.dtype != b.dtype or not a.is_float:
        raise TypeRuleError(f"operands must be two float matrices of one dtype; got {a} and {b}")
    if a.shape[:-2] != b.shape[:-2]:
        raise TypeRuleError(f"operands must be as many matrices; got {a} and {b}")
    m, k = reversed(a.shape[-2:]) if attrs["transpose_a"] else a.shape[-2:]
    k_b, n = reversed(b.shape[-2:]) if attrs["transpose_b"] else b.shape[-2:]
    if k != k_b:
        raise TypeRuleError(f"inner dimensions differ: {k} of {a} and {k_b} of {b}")
    return a.with_shape((*a.shape[:-2], m, n))


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
    "slice": _slice,
    "reverse": _reverse,
    "pad": _pad,
    "concat": _concat,
    "windows": _windows,
    "fold": _fold,
    "reduce_sum": _reduce,
    "reduce_max": _reduce,
    "reduce_min": _reduce,
    "argmax": _argmax,
    "matmul": _matmul,
    "conv": _conv,
    "conv_kernel_grad": _conv_kernel_grad,
    "gather": _gather,
    "scatter_add": _scatter_add,
    "random_uniform": _random,
    "scan": None,
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
        if node.op in KERNELS:
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


def multiplications(graph: Graph, node: Node) -> Dim:
    """How many multiplications a contraction takes."""
    a, b = (operand.tensor for operand in graph.operands(node))
    if node.op == "conv_kernel_grad":
        return product((*node.tensor.shape[1:-1], *b.shape))
    depth = product(b.shape[:-1])
    if node.op == "matmul":
        depth = a.shape[-2 if node.attrs["transpose_a"] else -1]
    return node.tensor.elements * depth


class Builder:
    """Appends typed nodes to a graph under a scope; the passes and `graphc.ops` build with it."""

    def __init__(self, graph: Graph, scope: Scope | None = None) -> None:
        self.graph = graph
        self.scope = scope or Scope()

    def node(self, op: str, *operands: Node, **attrs: object) -> Node:
        """One node of an op whose type its rule infers."""
        type_ = infer(op, [operand.tensor for operand in operands], attrs)
        return self.graph.add(op, operands, attrs, type=type_, scope=self.scope)

    def scan(self, operands: Sequence[Node], attrs: Attrs) -> Node:
        """A loop; its results are taken with `item`."""
        types = result_types([operand.tensor for operand in operands], attrs)
        return self.graph.add("scan", operands, attrs, type=types, scope=self.scope)

    def item(self, node: Node, index: int) -> Node:
        """One result of a node that has several."""
        assert isinstance(node.type, tuple)
        return self.graph.add(
            "item", (node,), {"index": index}, type=node.type[index], scope=self.scope
        )

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
