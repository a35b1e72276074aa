"""The identities that simplification rewrites by, op by op. A rule's docstring is its identity."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from typing import TYPE_CHECKING

from graphc.ir.graph import Attributes, Node
from graphc.ir.ops import OPS
from graphc.ir.types import Size, product

from .shapes import infer

if TYPE_CHECKING:
    from .simplify import Simplifier

Attrs = Attributes
# (simplifier, attributes, *operands) -> what stands in the node's place, or None.
Rule = Callable[..., "Node | None"]
# Terms of a sum that are looked through for neighbours.
MOST_TERMS = 16
# Sums over the batch and so many places at least, for so many columns at most (and so many places
# of a window, as in the gradient of a depthwise kernel), go row by row.
FEWEST_PLACES, MOST_COLUMNS, MOST_BESIDE = 16, 256, 16


def _unit(op: str) -> Rule:
    unit = OPS[op].unit

    def rule(s: Simplifier, _: Attrs, x: Node, y: Node) -> Node | None:
        if s.scalar(y) == unit:
            return x
        return y if OPS[op].commutative and s.scalar(x) == unit else None

    rule.__name__ = f"{op}_unit"
    return rule


def _add_negated(s: Simplifier, _: Attrs, x: Node, y: Node) -> Node | None:
    """x + -y = x - y"""
    if negated := s.match(y, "neg"):
        return s.make("sub", x, negated[0])
    if negated := s.match(x, "neg"):
        return s.make("sub", y, negated[0])
    return None


def _sub_negated(s: Simplifier, _: Attrs, x: Node, y: Node) -> Node | None:
    """x - -y = x + y;  0 - y = -y"""
    if negated := s.match(y, "neg"):
        return s.make("add", x, negated[0])
    return s.make("neg", y) if s.scalar(x) == 0 else None


def _mul_minus_one(s: Simplifier, _: Attrs, x: Node, y: Node) -> Node | None:
    """x * -1 = -x"""
    if s.scalar(y) == -1:
        return s.make("neg", x)
    return s.make("neg", y) if s.scalar(x) == -1 else None


def _mul_scalars(s: Simplifier, _: Attrs, x: Node, y: Node) -> Node | None:
    """(x * a) * b = x * (a * b) for scalars a and b"""
    for scaled, other in ((x, y), (y, x)):
        inner = s.match(scaled, "mul")
        if inner and s.scalar(other) is not None:
            for kept, factor in (inner, inner[::-1]):
                if s.scalar(factor) is not None:
                    return s.make("mul", kept, s.make("mul", factor, other))
    return None


def _involution(op: str) -> Rule:
    def rule(s: Simplifier, _: Attrs, x: Node) -> Node | None:
        inner = s.match(x, op)
        return inner[0] if inner else None

    rule.__name__ = f"{op}_{op}"
    return rule


def _reverse_of_reverse(s: Simplifier, attrs: Attrs, x: Node) -> Node | None:
    """reverse(reverse(x)) = x along the same axes"""
    inner = s.match(x, "reverse")
    return inner[0] if inner and x.attrs["axes"] == attrs["axes"] else None


def _drop_stop_gradient(s: Simplifier, _: Attrs, x: Node) -> Node | None:
    """stop_gradient(x) = x, once gradients are taken"""
    return x if s.differentiated else None


def _same_cast(s: Simplifier, attrs: Attrs, x: Node) -> Node | None:
    """cast(x, dtype of x) = x"""
    return x if attrs["dtype"] == x.tensor.dtype else None


def _known_select(s: Simplifier, _: Attrs, condition: Node, x: Node, y: Node) -> Node | None:
    """select(true, x, y) = x;  select(c, x, x) = x"""
    if x is y:
        return x
    known = s.scalar(condition)
    return None if known is None else (x if known else y)


def _reshape_of_reshape(s: Simplifier, attrs: Attrs, x: Node) -> Node | None:
    """reshape(reshape(x)) = reshape(x);  reshape(x, shape of x) = x"""
    if attrs["shape"] == x.tensor.shape:
        return x
    inner = s.match(x, "reshape")
    return s.make("reshape", inner[0], shape=attrs["shape"]) if inner else None


def _reshape_of_full(s: Simplifier, attrs: Attrs, x: Node) -> Node | None:
    """reshape(broadcast(scalar)) = broadcast(scalar)"""
    inner = s.match(x, "broadcast")
    if inner and inner[0].tensor.rank == 0:
        return s.make("broadcast", inner[0], shape=attrs["shape"], axes=())
    return None


def _broadcast_of_broadcast(s: Simplifier, attrs: Attrs, x: Node) -> Node | None:
    """broadcast(broadcast(x)) = broadcast(x);  broadcast(x, shape of x) = x"""
    if attrs["shape"] == x.tensor.shape:
        return x
    inner = s.match(x, "broadcast")
    if not inner:
        return None
    outer: tuple[int, ...] = attrs["axes"]
    first: tuple[int, ...] = x.attrs["axes"]
    axes = tuple(outer[a] for a in first)
    return s.make("broadcast", inner[0], shape=attrs["shape"], axes=axes)


def _transpose_of_transpose(s: Simplifier, attrs: Attrs, x: Node) -> Node | None:
    """transpose(transpose(x)) = transpose(x);  the identical permutation = x"""
    permutation: tuple[int, ...] = attrs["permutation"]
    if permutation == tuple(range(len(permutation))):
        return x
    inner = s.match(x, "transpose")
    if not inner:
        return None
    first = x.attrs["permutation"]
    composed = tuple(first[a] for a in permutation)
    return s.make("transpose", inner[0], permutation=composed)


def _pad_nothing(s: Simplifier, attrs: Attrs, x: Node) -> Node | None:
    """pad(x) by nothing = x"""
    amounts = (attrs["low"], attrs["high"], attrs["interior"])
    return None if any(any(amount) for amount in amounts) else x


def _padded_axis(s: Simplifier, node: Node) -> tuple[int, int, int] | None:
    """(axis, where its operand begins and ends) if a node adds zeros along this axis alone."""
    if node.op != "pad" or node.attrs["value"] != 0 or any(node.attrs["interior"]):
        return None
    low, high = node.attrs["low"], node.attrs["high"]
    axes = [axis for axis in range(len(low)) if low[axis] or high[axis]]
    if len(axes) != 1 or min(*low, *high) < 0:
        return None
    size = s.operands(node)[0].tensor.shape[axes[0]]
    return (axes[0], low[axes[0]], low[axes[0]] + size) if isinstance(size, int) else None


def _side_by_side(s: Simplifier, first: Node, second: Node) -> Node | None:
    """The padded concatenation of two padded values of which one begins where the other ends."""
    where, other = _padded_axis(s, first), _padded_axis(s, second)
    if where is None or other is None or where[0] != other[0]:
        return None
    if where[1] == other[2]:
        first, second = second, first
    elif where[2] != other[1]:
        return None
    axis = where[0]
    joined = s.make("concat", *s.operands(first), *s.operands(second), axis=axis)
    high = second.attrs["high"]
    return s.make("pad", joined, **{**first.attrs, "high": high})


def _sum_of_pads(s: Simplifier, _: Attrs, x: Node, y: Node) -> Node | None:
    """pad(x) + pad(y) = pad(concat(x, y)) for zeros around neighbours, as slices' gradients are"""
    for total, padded in ((x, y), (y, x)):
        terms = _terms(s, total) if _padded_axis(s, padded) else []
        for at, term in enumerate(terms):
            if (joined := _side_by_side(s, term, padded)) is not None:
                rest = terms[:at] + terms[at + 1 :]
                return reduce(lambda a, b: s.make("add", a, b), [*rest, joined])
    return None


def _terms(s: Simplifier, node: Node) -> list[Node]:
    """What a sum is of; itself alone when it is none, or of many."""
    terms = [node]
    for _ in range(MOST_TERMS):
        at = next((at for at, term in enumerate(terms) if term.op == "add"), None)
        if at is None:
            return terms
        terms[at : at + 1] = s.operands(terms[at])
    return [node]


def _concat_of_concat(s: Simplifier, attrs: Attrs, *parts: Node) -> Node | None:
    """concat(concat(x, y), z) = concat(x, y, z) along the same axis"""
    flat = [
        inner
        for part in parts
        for inner in (s.operands(part) if part.op == "concat" and part.attrs == attrs else [part])
    ]
    return s.make("concat", *flat, **attrs) if len(flat) > len(parts) else None


def _reduce_nothing(s: Simplifier, attrs: Attrs, x: Node) -> Node | None:
    """a reduction over no axis, or over axes of size 1 = reshape(x)"""
    axes: tuple[int, ...] = attrs["axes"]
    if all(x.tensor.shape[a] == 1 for a in axes):
        shape = [dim for a, dim in enumerate(x.tensor.shape) if a not in axes]
        return s.make("reshape", x, shape=tuple(shape))
    return None


def _argmax_of_one(s: Simplifier, attrs: Attrs, x: Node) -> Node | None:
    """argmax along an axis of size 1 = 0"""
    result = infer("argmax", [x.tensor], attrs)
    return s.full(0, result) if x.tensor.shape[attrs["axis"]] == 1 else None


def _sum_of_full(s: Simplifier, attrs: Attrs, x: Node) -> Node | None:
    """reduce_sum(broadcast(scalar)) over all axes = scalar * size"""
    inner = s.match(x, "broadcast")
    if not inner or inner[0].tensor.rank or len(attrs["axes"]) != x.tensor.rank:
        return None
    size = s.make("size", dim=x.tensor.elements, dtype=x.tensor.dtype)
    return s.make("mul", inner[0], size)


def _sum_row_by_row(s: Simplifier, attrs: Attrs, x: Node) -> Node | None:
    """reduce_sum(x) over batch and places = reduce_sum(reduce_sum(x) over places) over the batch

    Threads share a sum that keeps columns by columns, of which an image's channels are few.
    """
    axes: tuple[int, ...] = attrs["axes"]
    leading = 1 < len(axes) < x.tensor.rank and axes == tuple(range(len(axes)))
    if not leading or not isinstance(x.tensor.shape[0], Size):
        return None
    inner = axes[1:]
    *windows, columns = [dim for dim in x.tensor.shape[len(axes) :] if dim != 1] or [1]
    sizes = [product(x.tensor.shape[axis] for axis in inner), product(windows), columns]
    places, beside, columns = (size if isinstance(size, int) else 0 for size in sizes)
    if places < FEWEST_PLACES or not (0 < columns <= MOST_COLUMNS and 0 < beside <= MOST_BESIDE):
        return None
    return s.make("reduce_sum", s.make("reduce_sum", x, axes=inner), axes=(0,))


def _known_size(s: Simplifier, attrs: Attrs) -> Node | None:
    """size(int) = int"""
    dim, dtype = attrs["dim"], str(attrs["dtype"])
    if not isinstance(dim, int):
        return None
    return s.const(float(dim) if dtype in ("f32", "f64") else dim, dtype)


def _matmul_of_transpose(s: Simplifier, attrs: Attrs, a: Node, b: Node) -> Node | None:
    """matmul(transpose(a), b) = matmul(a, b) with a transposed on the way in"""
    ta, tb = bool(attrs["transpose_a"]), bool(attrs["transpose_b"])
    inner_a, inner_b = (_turned(s, x) for x in (a, b))
    if not inner_a and not inner_b:
        return None
    if inner_a:
        a, ta = inner_a[0], not ta
    if inner_b:
        b, tb = inner_b[0], not tb
    return s.make("matmul", a, b, transpose_a=ta, transpose_b=tb)


def _turned(s: Simplifier, x: Node) -> list[Node] | None:
    """[y] where x is y with the last two axes exchanged."""
    inner = s.match(x, "transpose")
    rank = x.tensor.rank
    swapped = (*range(rank - 2), rank - 1, rank - 2)
    return inner if inner and x.attrs["permutation"] == swapped else None


def _softmax_parts(s: Simplifier, p: Node) -> tuple[Node, Node] | None:
    """(z - max, sum) where p = exp(z - max) / broadcast(sum), sum over the last axis."""
    quotient = s.match(p, "div")
    e = s.match(quotient[0], "exp") if quotient else None
    spread = s.match(quotient[1], "broadcast") if quotient else None
    if not quotient or not e or not spread:
        return None
    total = s.match(spread[0], "reduce_sum")
    if not total or total[0] is not quotient[0] or not _along_rows(spread[0], quotient[1]):
        return None
    return e[0], spread[0]


def _along_rows(total: Node, spread: Node) -> bool:
    """Whether a sum over the last axis is repeated along that axis, and not along another."""
    last = spread.tensor.rank - 1
    return bool(total.attrs["axes"] == (last,) and spread.attrs["axes"] == tuple(range(last)))


def _normalised_softmax(s: Simplifier, _: Attrs, x: Node, y: Node) -> Node | None:
    """softmax(z) / sum(softmax(z)) = softmax(z)"""
    spread = s.match(y, "broadcast")
    total = s.match(spread[0], "reduce_sum") if spread else None
    if not spread or not total or total[0] is not x or not _along_rows(spread[0], y):
        return None
    return x if _softmax_parts(s, x) else None


def _unclipped(s: Simplifier, x: Node) -> Node:
    """x within clips to (tiny, 1 - tiny), which keep log(x) finite; a stable log needs none."""
    for op, low, high in (("minimum", 0.999, 1.0), ("maximum", 0.0, 1e-3), ("minimum", 0.999, 1.0)):
        inner = s.match(x, op)
        if inner:
            for value, bound in (inner, inner[::-1]):
                known = s.scalar(bound)
                if known is not None and low <= known <= high:
                    x = value
                    break
    return x


def _log_of_softmax(s: Simplifier, _: Attrs, x: Node) -> Node | None:
    """log(clip(softmax(z))) = (z - max) - log(sum(exp(z - max)))"""
    parts = _softmax_parts(s, _unclipped(s, x))
    if parts is None:
        return None
    shifted, total = parts
    axes = tuple(range(x.tensor.rank - 1))
    spread = s.make("broadcast", s.make("log", total), shape=x.tensor.shape, axes=axes)
    return s.make("sub", shifted, spread)


def _log_of_sigmoid(s: Simplifier, _: Attrs, x: Node) -> Node | None:
    """log(clip(sigmoid(z))) = min(z, 0) - log1p(exp(-|z|));  log(1 - sigmoid(z)) likewise of -z"""
    if inner := s.match(_unclipped(s, x), "sigmoid"):
        z = inner[0]
    elif (difference := s.match(x, "sub")) and s.scalar(difference[0]) == 1:
        inner = s.match(_unclipped(s, difference[1]), "sigmoid")
        if not inner:
            return None
        z = s.make("neg", inner[0])
    else:
        return None
    tail = s.make("log1p", s.make("exp", s.make("neg", s.make("abs", z))))
    return s.make("sub", s.make("minimum", z, s.full(0.0, z.tensor)), tail)


# Op -> the rules tried on it, in order.
RULES: dict[str, tuple[Rule, ...]] = {
    "add": (_unit("add"), _add_negated, _sum_of_pads),
    "sub": (_unit("sub"), _sub_negated),
    "mul": (_unit("mul"), _mul_minus_one, _mul_scalars),
    "div": (_unit("div"), _normalised_softmax),
    "power": (_unit("power"),),
    "neg": (_involution("neg"),),
    "logical_not": (_involution("logical_not"),),
    "stop_gradient": (_drop_stop_gradient,),
    "cast": (_same_cast,),
    "select": (_known_select,),
    "log": (_log_of_softmax, _log_of_sigmoid),
    "reverse": (_reverse_of_reverse,),
    "reshape": (_reshape_of_reshape, _reshape_of_full),
    "broadcast": (_broadcast_of_broadcast,),
    "transpose": (_transpose_of_transpose,),
    "pad": (_pad_nothing,),
    "concat": (_concat_of_concat,),
    "reduce_sum": (_reduce_nothing, _sum_of_full, _sum_row_by_row),
    "reduce_max": (_reduce_nothing,),
    "reduce_min": (_reduce_nothing,),
    "argmax": (_argmax_of_one,),
    "size": (_known_size,),
    "matmul": (_matmul_of_transpose,),
}
