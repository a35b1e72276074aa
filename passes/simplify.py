"""Simplification: constant folding, algebraic identities, common subexpressions, dead code.

The graph is rebuilt once, operands first; each node is made through `Simplifier.make`, which tries
the op's rules and then shares equal nodes. A rule's docstring is its identity.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from graphc.ir.graph import Attributes, Graph, Node
from graphc.ir.interpret import MEANING
from graphc.ir.ops import OPS
from graphc.ir.types import DTYPES, TensorType

from .scan import hoist, slim
from .shapes import Builder, infer

Attrs = Attributes
Rule = Callable[..., "Node | None"]


@dataclass
class Rewrite:
    """One rule that fired: the node it was tried on and what stands in its place."""

    rule: str
    before: str
    after: str


@dataclass
class Simplifier:
    """Builds simplified nodes into a new graph."""

    builder: Builder
    differentiated: bool
    shared: dict[object, Node] = field(default_factory=dict)
    rewrites: list[Rewrite] = field(default_factory=list)

    def make(self, op: str, *operands: Node, **attrs: object) -> Node:
        """The node for op(operands), simplified."""
        for rule in RULES.get(op, ()):
            result = rule(self, attrs, *operands)
            if result is not None:
                self._record(rule.__name__.strip("_"), op, operands, result)
                return result
        if OPS[op].elementwise:
            result = _fold(self, op, operands, attrs) or _hoist_broadcast(self, op, operands, attrs)
            if result is not None:
                return result
        if OPS[op].commutative and operands[0].index > operands[1].index:
            operands = operands[::-1]
        key = (op, operands, tuple((k, _hashable(v)) for k, v in sorted(attrs.items())))
        if key not in self.shared:
            self.shared[key] = self.builder.node(op, *operands, **attrs)
        return self.shared[key]

    def _record(self, rule: str, op: str, operands: Sequence[Node], result: Node) -> None:
        before = f"{op}({', '.join(map(str, operands))})"
        self.rewrites.append(Rewrite(rule, before, str(result)))

    def const(self, value: object, dtype: str) -> Node:
        """A shared scalar constant."""
        key = ("const", dtype, _hashable(value))
        if key not in self.shared:
            self.shared[key] = self.builder.const(value, dtype)  # type: ignore[arg-type]
        return self.shared[key]

    def full(self, value: float, like: TensorType) -> Node:
        """A shared constant repeated to a type."""
        scalar = self.const(value, like.dtype)
        return self.make("broadcast", scalar, shape=like.shape, axes=()) if like.rank else scalar

    def item(self, node: Node, index: int) -> Node:
        """A shared result of a node that has several."""
        key = ("item", node, index)
        if key not in self.shared:
            self.shared[key] = self.builder.item(node, index)
        return self.shared[key]

    def operands(self, node: Node) -> list[Node]:
        return self.builder.graph.operands(node)

    def match(self, node: Node, op: str) -> list[Node] | None:
        """The operands of a node if it has this op."""
        return self.operands(node) if node.op == op else None

    def scalar(self, node: Node) -> float | None:
        """The value that all elements of a node are known to have."""
        while node.op == "broadcast":
            (node,) = self.operands(node)
        value = node.attrs["value"] if node.op == "const" else None
        return value if isinstance(value, (int, float)) else None


def _hashable(value: object) -> object:
    if isinstance(value, np.ndarray):
        return (value.dtype.str, value.shape, value.tobytes())
    if isinstance(value, float):
        return (math.copysign(1.0, value), value)  # 0.0 and -0.0 differ
    return (type(value).__name__, value)


def _fold(s: Simplifier, op: str, operands: Sequence[Node], attrs: Attrs) -> Node | None:
    if any(o.op != "const" or o.tensor.rank for o in operands):
        return None
    values = [np.asarray(o.attrs["value"], DTYPES[o.tensor.dtype]) for o in operands]
    with np.errstate(all="ignore"):
        result = np.asarray(MEANING[op](*values, **attrs))
    dtype = str(attrs["dtype"]) if op == "cast" else operands[-1].tensor.dtype
    return s.const(result.item(), "bool" if result.dtype == np.bool_ else dtype)


def _hoist_broadcast(s: Simplifier, op: str, operands: Sequence[Node], attrs: Attrs) -> Node | None:
    """f(broadcast(x), broadcast(y)) = broadcast(f(x, y)): computed once an element of x and y."""
    if any(o.op != "broadcast" for o in operands) or op == "stop_gradient":
        return None
    inner = [s.operands(o)[0] for o in operands]
    axes = operands[0].attrs["axes"]
    same = all(o.attrs["axes"] == axes for o in operands)
    if not same or any(i.tensor.shape != inner[0].tensor.shape for i in inner):
        return None
    small = s.make(op, *inner, **attrs)
    return s.make("broadcast", small, shape=operands[0].tensor.shape, axes=axes)


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
    "add": (_unit("add"), _add_negated),
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
    "reduce_sum": (_reduce_nothing, _sum_of_full),
    "reduce_max": (_reduce_nothing,),
    "reduce_min": (_reduce_nothing,),
    "argmax": (_argmax_of_one,),
    "size": (_known_size,),
    "matmul": (_matmul_of_transpose,),
}


def simplify(graph: Graph, differentiated: bool = True) -> tuple[Graph, list[Rewrite]]:
    """An equal graph with less in it, and the rewrites that led there.

    Args:
        graph: before fusion.
        differentiated: False before `gradient`, which still needs stop_gradient.
    """
    graph = hoist(graph)
    s = Simplifier(Builder(Graph(graph.name)), differentiated)
    target = s.builder.graph
    live = graph.live()
    new: dict[Node, Node] = {}
    moved: dict[Node, dict[int, int]] = {}  # a scan's results: where they stand now
    for node in graph.nodes():
        operands = [new[o] for o in graph.operands(node)] if node in live else []
        s.builder.scope = node.scope
        if node.op == "input":  # kept even when unread: they are the program's signature
            new[node] = target.import_node(node, ())
        elif node not in live:
            continue
        elif node.op == "const" and node.tensor.rank == 0:
            new[node] = s.const(node.attrs["value"], node.tensor.dtype)
        elif node.op == "scan":
            read = {n.attrs["index"] for n in graph.users(node) if n in live}
            new[node], moved[node] = _scan(s, node, operands, read)
        elif node.op == "item":
            (source,) = graph.operands(node)
            new[node] = s.item(new[source], moved[source][node.attrs["index"]])
        else:
            new[node] = s.make(node.op, *operands, **node.attrs)
    target.outputs = {name: new[node] for name, node in graph.outputs.items()}
    # Rules leave operands behind that nobody reads any more.
    result, _ = target.copy(keep=target.live() | set(target.inputs()))
    return result, s.rewrites


def _scan(
    s: Simplifier, node: Node, operands: Sequence[Node], read: set[int]
) -> tuple[Node, dict[int, int]]:
    """A scan whose body is simplified, without what nobody reads, and where its results stand."""
    body, rewrites = simplify(node.attrs["body"], s.differentiated)
    s.rewrites += rewrites
    less = slim({**node.attrs, "body": body}, read)
    return s.builder.scan([operands[at] for at in less.operands], less.attrs), less.results
