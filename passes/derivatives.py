"""The table of derivatives: what each op's operands' cotangents are."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from graphc.ir.graph import Attributes, GraphError, Node
from graphc.ir.types import TensorType

from .shapes import Builder


@dataclass(frozen=True, eq=False)
class Term:
    """A node with arithmetic, so that the rules below read like a table of derivatives."""

    builder: Builder
    node: Node

    def op(self, name: str, *others: Term | float, **attrs: object) -> Term:
        operands = [self.node, *(self._lift(other) for other in others)]
        return Term(self.builder, self.builder.node(name, *operands, **attrs))

    def _lift(self, other: Term | float) -> Node:
        if isinstance(other, Term):
            return other.node
        return self.builder.full(other, self.node.tensor)

    @property
    def type(self) -> TensorType:
        return self.node.tensor

    def __add__(self, other: Term | float) -> Term:
        return self.op("add", other)

    def __sub__(self, other: Term | float) -> Term:
        return self.op("sub", other)

    def __rsub__(self, other: float) -> Term:
        return Term(self.builder, self._lift(other)) - self

    def __mul__(self, other: Term | float) -> Term:
        return self.op("mul", other)

    def __truediv__(self, other: Term | float) -> Term:
        return self.op("div", other)

    def __neg__(self) -> Term:
        return self.op("neg")

    def where(self, condition: Term) -> Term:
        """This where the condition holds, else 0."""
        return condition.op("select", self, Term(self.builder, self._lift(0.0)))


def _broadcast(dy: Term, x: Term) -> Term:
    axes = x.node.attrs["axes"]
    new = tuple(a for a in range(dy.type.rank) if a not in axes)
    return dy.op("reduce_sum", axes=new)


def _spread(value: Term, like: Term, y: Term) -> Term:
    """A reduction's result (or cotangent) repeated over the axes that were reduced away."""
    axes: tuple[int, ...] = y.node.attrs["axes"]
    kept = tuple(a for a in range(like.type.rank) if a not in axes)
    return value.op("broadcast", shape=like.type.shape, axes=kept)


def _extremum(dy: Term, y: Term, x: Term) -> list[Term]:
    """Ties share the cotangent evenly, as in JAX; in windows the first of them gets it all, as by
    its select_and_scatter."""
    if x.node.op == "windows":
        return _first_extremum(dy, y, x)
    chosen = x.op("equal", _spread(y, x, y))
    count = _spread(
        chosen.op("cast", dtype=x.type.dtype).op("reduce_sum", axes=y.node.attrs["axes"]), x, y
    )
    return [(_spread(dy, x, y) / count).where(chosen)]


def _one_of_two(
    dy: Term, y: Term, a: Term, b: Term, beyond: Callable[[str, Term, Term], Term]
) -> list[Term]:
    """Ties go to b, but to a constant where there is one: at 0, ReLU has the derivative 0.

    a > b exactly where max(a, b) > b, and y is the value more likely to be kept anyway.
    """
    if _is_constant(a) and not _is_constant(b):
        return _one_of_two(dy, y, b, a, beyond)[::-1]
    return [dy.where(beyond("less", y, b)), dy.where(beyond("less_equal", b, a))]


def _is_constant(x: Term) -> bool:
    node = x.node
    while node.op == "broadcast":
        (node,) = x.builder.graph.operands(node)
    return node.op == "const"


def _first_extremum(dy: Term, y: Term, x: Term) -> list[Term]:
    axes: tuple[int, ...] = y.node.attrs["axes"]
    shape = x.type.shape
    number: Term | None = None
    for axis in axes:
        along = Term(x.builder, x.builder.node("iota", shape=shape, axis=axis))
        number = along if number is None else number * _fixed(x, axis) + along
    assert number is not None
    none = Term(x.builder, x.builder.full(2**31 - 1, number.type))
    best = x.op("equal", _spread(y, x, y)).op("select", number, none)
    first = best.op("reduce_min", axes=axes)
    return [_spread(dy, x, y).where(number.op("equal", _spread(first, x, y)))]


def _inverse(permutation: Sequence[int]) -> tuple[int, ...]:
    return tuple(sorted(range(len(permutation)), key=permutation.__getitem__))


def _matmul(dy: Term, y: Term, a: Term, b: Term) -> list[Term]:
    ta, tb = y.node.attrs["transpose_a"], y.node.attrs["transpose_b"]
    if ta:
        da = b.op("matmul", dy, transpose_a=tb, transpose_b=True)
    else:
        da = dy.op("matmul", b, transpose_a=False, transpose_b=not tb)
    if tb:
        db = dy.op("matmul", a, transpose_a=True, transpose_b=ta)
    else:
        db = a.op("matmul", dy, transpose_a=not ta, transpose_b=False)
    return [da, db]


def _slice(dy: Term, y: Term, x: Term) -> list[Term]:
    """Back in its place, zeros around and between."""
    attrs = y.node.attrs
    low, high, interior = [], [], []
    for dim, start, size, step in zip(
        x.type.shape, attrs["starts"], attrs["sizes"], attrs["steps"], strict=True
    ):
        fixed = isinstance(dim, int) and size
        low.append(start)
        high.append(dim - start - (size - 1) * step - 1 if fixed else 0)
        interior.append(step - 1)
    padding = {"low": tuple(low), "high": tuple(high), "interior": tuple(interior)}
    return [dy.op("pad", **padding, value=0.0)]


def _pad(dy: Term, y: Term, x: Term) -> list[Term]:
    steps = tuple(gap + 1 for gap in y.node.attrs["interior"])
    return [dy.op("slice", starts=y.node.attrs["low"], sizes=x.type.shape, steps=steps)]


def _concat(dy: Term, y: Term, *parts: Term) -> list[Term]:
    axis: int = y.node.attrs["axis"]
    rank, start, results = dy.type.rank, 0, []
    for part in parts:
        size = part.type.shape[axis]
        if not isinstance(size, int):
            raise GraphError(f"%{y.node.name}: concat along an axis of size {size} has no gradient")
        starts = tuple(start if a == axis else 0 for a in range(rank))
        results.append(dy.op("slice", starts=starts, sizes=part.type.shape, steps=(1,) * rank))
        start += size
    return results


def _fold(dy: Term, y: Term, _: Term) -> list[Term]:
    return [dy.op("windows", **{k: v for k, v in y.node.attrs.items() if k != "shape"})]


def _fixed(x: Term, axis: int) -> int:
    """The size of an axis that conv's type rule holds to be fixed."""
    size = x.type.shape[axis]
    assert isinstance(size, int)
    return size


def _conv_input(dy: Term, kernel: Term, like: TensorType, attrs: Attributes) -> Term:
    """The cotangent of conv's x: its result's, spread and padded, convolved with the kernel turned
    around (Dumoulin and Visin 2016, "A guide to convolution arithmetic")."""
    strides, dilations = attrs["strides"], attrs["dilations"]
    rank = len(strides)
    low, high = [0], [0]
    for at, (stride, dilation) in enumerate(zip(strides, dilations, strict=True)):
        reach = (_fixed(kernel, at) - 1) * dilation
        covered = (_fixed(dy, at + 1) - 1) * stride + 1 + reach
        size = like.shape[at + 1]
        assert isinstance(size, int)
        low.append(reach)
        high.append(reach + size - covered)
    interior = (0, *(stride - 1 for stride in strides), 0)
    wide = dy.op("pad", low=(*low, 0), high=(*high, 0), interior=interior, value=0.0)
    turned = kernel.op("reverse", axes=tuple(range(rank)))
    turned = turned.op("transpose", permutation=(*range(rank), rank + 1, rank))
    return wide.op("conv", turned, strides=(1,) * rank, dilations=dilations)


def _conv(dy: Term, y: Term, x: Term, kernel: Term) -> list[Term]:
    attrs = y.node.attrs
    sizes = kernel.type.shape[: len(attrs["strides"])]
    by_part = x.op("conv_kernel_grad", dy, sizes=sizes, parts=1, **attrs)
    dkernel = by_part.op("reshape", shape=kernel.type.shape)
    return [_conv_input(dy, kernel, x.type, attrs), dkernel]


def _conv_kernel_grad(dkernel: Term, y: Term, x: Term, dy: Term) -> list[Term]:
    attrs = {k: y.node.attrs[k] for k in ("strides", "dilations")}
    kernel = dkernel.op("reshape", shape=y.type.shape[1:])
    return [_conv_input(dy, kernel, x.type, attrs), x.op("conv", kernel, **attrs)]


# Op -> the cotangents of its operands from (cotangent of the result, result, operands ...).
# None: not differentiable, so no cotangent flows through it.
DERIVATIVES: dict[str, Callable[..., Sequence[Term | None]] | None] = {
    "neg": lambda dy, y, x: [-dy],
    "abs": lambda dy, y, x: [dy * x.op("sign")],
    "exp": lambda dy, y, x: [dy * y],
    "expm1": lambda dy, y, x: [dy * (y + 1.0)],
    "log": lambda dy, y, x: [dy / x],
    "log1p": lambda dy, y, x: [dy / (x + 1.0)],
    "sqrt": lambda dy, y, x: [dy * 0.5 / y],
    "rsqrt": lambda dy, y, x: [dy * -0.5 * y / x],
    "sin": lambda dy, y, x: [dy * x.op("cos")],
    "cos": lambda dy, y, x: [-(dy * x.op("sin"))],
    "tanh": lambda dy, y, x: [dy * (1.0 - y * y)],
    "sigmoid": lambda dy, y, x: [dy * (y * (1.0 - y))],
    "erf": lambda dy, y, x: [dy * (-(x * x)).op("exp") * (2 / math.sqrt(math.pi))],
    "copy": lambda dy, y, x: [dy],
    "cast": lambda dy, y, x: [dy.op("cast", dtype=x.type.dtype) if x.type.is_float else None],
    "add": lambda dy, y, a, b: [dy, dy],
    "sub": lambda dy, y, a, b: [dy, -dy],
    "mul": lambda dy, y, a, b: [dy * b, dy * a],
    "div": lambda dy, y, a, b: [dy / b, -(dy * y / b)],
    "maximum": lambda dy, y, a, b: _one_of_two(dy, y, a, b, lambda op, x, other: other.op(op, x)),
    "minimum": lambda dy, y, a, b: _one_of_two(dy, y, a, b, lambda op, x, other: x.op(op, other)),
    "power": lambda dy, y, a, b: [
        dy * b * a.op("power", b - 1.0),
        # 0**b has no derivative in b through log(0); JAX gives 0 there as well.
        (dy * y * a.op("log")).where(Term(a.builder, a._lift(0.0)).op("less", a)),
    ],
    "select": lambda dy, y, c, a, b: [
        None,
        dy.where(c),
        dy.where(c.op("logical_not")),
    ],
    "broadcast": lambda dy, y, x: [_broadcast(dy, y)],
    "reshape": lambda dy, y, x: [dy.op("reshape", shape=x.type.shape)],
    "transpose": lambda dy, y, x: [
        dy.op("transpose", permutation=_inverse(y.node.attrs["permutation"]))
    ],
    "slice": _slice,
    "reverse": lambda dy, y, x: [dy.op("reverse", axes=y.node.attrs["axes"])],
    "pad": _pad,
    "concat": _concat,
    "windows": lambda dy, y, x: [dy.op("fold", **y.node.attrs, shape=x.type.shape)],
    "fold": _fold,
    "reduce_sum": lambda dy, y, x: [_spread(dy, x, y)],
    "reduce_max": _extremum,
    "reduce_min": _extremum,
    "matmul": _matmul,
    "conv": _conv,
    "conv_kernel_grad": _conv_kernel_grad,
    "gather": lambda dy, y, data, index: [
        index.op("scatter_add", dy, rows=data.type.shape[0]) if data.type.is_float else None,
        None,
    ],
    "scatter_add": lambda dy, y, index, updates: [None, dy.op("gather", index)],
    # Piecewise constant, integer, boolean, or without float operands.
    **dict.fromkeys(
        [
            "input",
            "const",
            "size",
            "iota",
            "sign",
            "floor",
            "is_finite",
            "logical_not",
            "equal",
            "less",
            "less_equal",
            "logical_and",
            "logical_or",
            "argmax",
            "random_uniform",
            "stop_gradient",
        ]
    ),
    # Loops and their results are differentiated by the pass itself; kernels are made after it.
    **dict.fromkeys(["scan", "item", "fused"]),
}
