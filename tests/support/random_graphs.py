"""Random graphs for property tests: a list of small numbers decides what is built."""

from __future__ import annotations

from collections.abc import Sequence

from graphs import BATCH

from graphc.ir.graph import Graph, Node
from graphc.ir.types import Dim, TensorType
from graphc.passes.shapes import Builder

Choice = tuple[int, int, int, int]

SHAPES: list[tuple[Dim, ...]] = [
    (), (5,), (BATCH,), (BATCH, 5), (5, BATCH), (5, 5), (3, 5), (1, 5), (5, 1), (BATCH, 1),
    (2, 3, 5), (BATCH, 3, 5), (3, 1, 5), (17,), (BATCH, 17), (17, 5),
]  # fmt: skip
# Between -1 and 1, or not larger than their operand: values stay of size about 1.
UNARY = ["neg", "abs", "tanh", "sin", "sigmoid", "cos", "copy", "stop_gradient", "erf"]
BINARY = ["maximum", "minimum", "mul", "sub", "add"]
# Only of exact values: a rounding error must not decide.
COMPARISONS = ["less", "less_equal", "equal"]
EXACT = {"neg", "abs", "copy", "maximum", "minimum", "broadcast", "reshape", "transpose"}


class RandomGraph:
    """Builds one graph from choices; a choice that fits nowhere adds nothing.

    Args:
        choices: (what, and three numbers to choose operands and attributes by).
        states: how many of the inputs are state, updated when a value of their type is found.
    """

    def __init__(self, choices: Sequence[Choice], inputs: Sequence[int], states: int = 0) -> None:
        self.builder = Builder(Graph("random"))
        self.graph = self.builder.graph
        self.exact: set[Node] = set()
        self.values: list[Node] = []
        for at, shape in enumerate(inputs):
            dims = SHAPES[shape % len(SHAPES)]
            static = all(isinstance(dim, int) for dim in dims)
            role = "state" if at < states and static else "data"
            node = self.graph.add(
                "input", (), {"role": role}, type=TensorType("f32", dims), name=f"x{at}"
            )
            self.values.append(node)
            self.exact.add(node)
        for choice in choices:
            self._add(*choice)
        self._name_outputs()

    def _pick(self, number: int) -> Node:
        return self.values[-1 - number % len(self.values)]  # small numbers: recent values

    def _add(self, what: int, a: int, b: int, c: int) -> None:
        makers = [
            self._unary, self._binary, self._binary, self._broadcast, self._reduce, self._matmul,
            self._transpose, self._reshape, self._select, self._iota, self._gather, self._argmax,
        ]  # fmt: skip
        node = makers[what % len(makers)](self._pick(a), b, c)
        if node is not None:
            operands = self.graph.operands(node)
            exact = node.op in EXACT or node.op in ("reduce_max", "reduce_min", "gather", "iota")
            if exact and all(o in self.exact or o.tensor.dtype == "i32" for o in operands):
                self.exact.add(node)
            self.values.append(node)

    def _same_type(self, x: Node, b: int) -> Node:
        fitting = [v for v in self.values if v.tensor == x.tensor]
        return fitting[b % len(fitting)]

    def _unary(self, x: Node, b: int, c: int) -> Node:
        return self.builder.node(UNARY[b % len(UNARY)], x)

    def _binary(self, x: Node, b: int, c: int) -> Node:
        return self.builder.node(BINARY[c % len(BINARY)], x, self._same_type(x, b))

    def _broadcast(self, x: Node, b: int, c: int) -> Node | None:
        """Repeated to a shape that another value has, or one from the list."""
        shapes = [v.tensor.shape for v in self.values] + SHAPES
        shape = shapes[b % len(shapes)]
        axes: list[int] = []
        for dim in x.tensor.shape:
            start = axes[-1] + 1 if axes else 0
            places = [a for a in range(start, len(shape)) if shape[a] == dim]
            if not places:
                return None
            axes.append(places[c % len(places)])
        return self.builder.node("broadcast", x, shape=shape, axes=tuple(axes))

    def _reduce(self, x: Node, b: int, c: int) -> Node | None:
        chosen = [a for a in range(x.tensor.rank) if b >> a & 1]
        if not chosen:
            return None
        if c % 3 == 2:
            # A mean over the axes of fixed size keeps values small.
            total = self.builder.node("reduce_sum", x, axes=tuple(chosen))
            return self.builder.node("mul", total, self.builder.full(0.125, total.tensor))
        return self.builder.node(("reduce_max", "reduce_min")[c % 3], x, axes=tuple(chosen))

    def _matmul(self, x: Node, b: int, c: int) -> Node | None:
        """With an x or its transpose on the left; symbolic only where native code can be."""
        ta, tb = bool(b & 1), bool(b & 2)
        if x.tensor.rank != 2:
            return None
        depth = x.tensor.shape[0 if ta else 1]
        fitting = [
            v for v in self.values
            if v.tensor.rank == 2 and v.tensor.shape[1 if tb else 0] == depth
            and isinstance(v.tensor.shape[0 if tb else 1], int)
            and not (tb and not isinstance(depth, int))
        ]  # fmt: skip
        if not fitting:
            return None
        product = self.builder.node(
            "matmul", x, fitting[c % len(fitting)], transpose_a=ta, transpose_b=tb
        )
        return self.builder.node("mul", product, self.builder.full(0.25, product.tensor))

    def _transpose(self, x: Node, b: int, c: int) -> Node | None:
        axes = list(range(x.tensor.rank))
        if len(axes) < 2:
            return None
        turned = axes[1:] + axes[:1] if b % 2 else axes[::-1]
        return self.builder.node("transpose", x, permutation=tuple(turned))

    def _reshape(self, x: Node, b: int, c: int) -> Node:
        shape = list(x.tensor.shape)
        if b % 3 == 0:
            return self.builder.node("reshape", x, shape=(x.tensor.elements,))
        shape.insert(c % (len(shape) + 1), 1)
        return self.builder.node("reshape", x, shape=tuple(shape))

    def _select(self, x: Node, b: int, c: int) -> Node | None:
        exact = [v for v in self.values if v.tensor == x.tensor and v in self.exact]
        if not exact:
            return None
        left, right = exact[b % len(exact)], exact[c % len(exact)]
        condition = self.builder.node(COMPARISONS[(b + c) % 3], left, right)
        return self.builder.node("select", condition, x, self._same_type(x, c))

    def _iota(self, x: Node, b: int, c: int) -> Node | None:
        if not x.tensor.rank:
            return None
        steps = self.builder.node("iota", shape=x.tensor.shape, axis=b % x.tensor.rank)
        real = self.builder.node("cast", steps, dtype="f32")
        small = self.builder.node("mul", real, self.builder.full(0.0625, real.tensor))
        return self.builder.node("add", small, x)

    def _gather(self, x: Node, b: int, c: int) -> Node | None:
        if not x.tensor.rank or not isinstance(x.tensor.shape[0], int):
            return None
        if x.tensor.shape[0] < 5:
            return None
        index = self.builder.node("iota", shape=(5,) if b % 2 else (5, 3), axis=0)
        return self.builder.node("gather", x, index)

    def _argmax(self, x: Node, b: int, c: int) -> Node | None:
        if not x.tensor.rank or x not in self.exact:
            return None
        place = self.builder.node("argmax", x, axis=b % x.tensor.rank)
        real = self.builder.node("cast", place, dtype="f32")
        return self.builder.node("mul", real, self.builder.full(0.125, real.tensor))

    def _name_outputs(self) -> None:
        """Values that nothing reads are outputs; states get new values of their types."""
        unread = [v for v in self.values if not self.graph.users(v) and v.op != "input"]
        for state in self.graph.inputs("state"):
            found = [v for v in self.values if v.tensor == state.tensor and v is not state]
            if found:
                self.graph.outputs[state.name] = found[-1]
        for at, value in enumerate(unread):
            self.graph.outputs[f"y{at}"] = value
        if not self.graph.outputs:
            self.graph.outputs["y"] = self.values[-1]


def random_graph(choices: Sequence[Choice], inputs: Sequence[int], states: int = 0) -> Graph:
    """The graph of these choices; see `RandomGraph`."""
    return RandomGraph(choices, inputs, states).graph
