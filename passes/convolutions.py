"""What simplification does to convolutions of spread inputs, as input gradients are.

The cotangent of a convolution's input is a convolution of the result's cotangent, padded and, for
strides, with zeros between its elements (Dumoulin and Visin 2016, "A guide to convolution
arithmetic"). Two rewrites leave out what is multiplied by zero or not read:

- slice(conv(pad(x))) = conv(pad(x) by less), as when the input itself was padded;
- with s - 1 zeros between elements, the results fall into s phases along an axis, each a
  convolution of x itself with every s-th element of the kernel (Shi et al. 2016,
  https://arxiv.org/abs/1609.07009). Of few channels all phases are one convolution, with a channel
  for each, although some have fewer taps than others.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

from graphc.ir.graph import Graph, Node
from graphc.ir.types import Dim

from .shapes import Builder

Ints = tuple[int, ...]
# Fewer of them are made for all phases together, as a vector has more.
LEAST_FILTERS = 16


@dataclass
class _Spread:
    """conv(pad(x, ...), kernel), along the spatial axes; `sizes` are the result's."""

    x: Node
    kernel: Node
    low: Ints
    high: Ints
    interior: Ints
    strides: Ints
    dilations: Ints
    sizes: Ints

    @property
    def counts(self) -> Ints:
        """Elements of x."""
        return _fixed(self.x.tensor.shape[1:-1])

    @property
    def windows(self) -> Ints:
        """Elements of the kernel."""
        return _fixed(self.kernel.tensor.shape[: len(self.low)])


def _fixed(dims: tuple[Dim, ...]) -> Ints:
    """Sizes that conv's type rule holds to be fixed."""
    return tuple(dim for dim in dims if isinstance(dim, int))


def rewrite_convolutions(graph: Graph) -> Graph:
    """The graph with convolutions that compute no more than is read of them."""
    if not any(_spread(graph, node) for node in graph.nx):
        return graph
    result = Graph(graph.name)
    new: dict[Node, Node] = {}
    for node in graph.nodes():
        conv = _narrowed(graph, node) or _spread(graph, node)
        if conv is None:
            new[node] = result.import_node(node, [new[o] for o in graph.operands(node)])
            continue
        conv.x, conv.kernel = new[conv.x], new[conv.kernel]
        new[node] = _emit(Builder(result, node.scope), conv)
    result.outputs = {name: new[node] for name, node in graph.outputs.items()}
    return result


def _spread(graph: Graph, node: Node) -> _Spread | None:
    """The node as a convolution of something spread by zeros; None if it is no such thing."""
    if node.op != "conv":
        return None
    x, kernel = graph.operands(node)
    if x.op != "pad" or x.attrs["value"] != 0:
        return None
    amounts = [x.attrs[name] for name in ("low", "high", "interior")]
    if any(amount[0] or amount[-1] for amount in amounts):
        return None
    low, high, interior = (tuple(amount[1:-1]) for amount in amounts)
    (source,), attrs = graph.operands(x), node.attrs
    sizes = _fixed(node.tensor.shape[1:-1])
    return _Spread(source, kernel, low, high, interior, attrs["strides"], attrs["dilations"], sizes)


def _narrowed(graph: Graph, node: Node) -> _Spread | None:
    """The convolution that gives just a slice of another one, which nobody else reads."""
    if node.op != "slice":
        return None
    (source,) = graph.operands(node)
    conv = _spread(graph, source)
    starts, sizes, steps = (node.attrs[name] for name in ("starts", "sizes", "steps"))
    ends = (sizes[0], sizes[-1]) == (source.tensor.shape[0], source.tensor.shape[-1])
    alone = len(graph.users(source)) == 1 and source not in graph.outputs.values()
    alone &= all(len(graph.users(padded)) == 1 for padded in graph.operands(source)[:1])
    if conv is None or not (ends and alone) or any(step != 1 for step in steps):
        return None
    low, high = [], []
    for at, (start, size) in enumerate(zip(starts[1:-1], sizes[1:-1], strict=True)):
        reach = (conv.windows[at] - 1) * conv.dilations[at]
        covered = (conv.counts[at] - 1) * (conv.interior[at] + 1) + 1
        low.append(conv.low[at] - start * conv.strides[at])
        high.append((size - 1) * conv.strides[at] + 1 + reach - low[-1] - covered)
    if min(*low, *high) < 0:
        return None
    conv.low, conv.high, conv.sizes = tuple(low), tuple(high), tuple(sizes[1:-1])
    return conv


def _emit(b: Builder, conv: _Spread) -> Node:
    gaps = zip(conv.interior, conv.dilations, strict=True)
    apart = all(dilation == 1 for gap, dilation in gaps if gap)
    if any(conv.interior) and apart and all(stride == 1 for stride in conv.strides):
        return _by_phases(b, conv)
    wide = _padded(b, conv.x, conv.low, conv.high, conv.interior)
    return b.node("conv", wide, conv.kernel, strides=conv.strides, dilations=conv.dilations)


def _padded(b: Builder, x: Node, low: Ints, high: Ints, interior: Ints) -> Node:
    """x with zeros along its inner axes."""
    amounts = {"low": (0, *low, 0), "high": (0, *high, 0), "interior": (0, *interior, 0)}
    return b.node("pad", x, **amounts, value=0.0)


@dataclass(frozen=True)
class _Taps:
    """Those of a phase along an axis: where the first one is in x and in the kernel; how many."""

    of_x: int
    of_kernel: int
    count: int


@dataclass(frozen=True)
class _Phases:
    """How an axis of the result falls into s phases.

    Its element s * i + phase is the sum over u < taps of x[i + first + u] times the element
    s * u + s - 1 - phase of the kernel with `before` zeros before it. When there is one tap, only
    `kept` phases, `skipped` others before them, are not zero.
    """

    s: int
    first: int
    before: int
    taps: int
    kept: int
    skipped: int

    @staticmethod
    def of(low: int, interior: int, window: int) -> _Phases:
        """Those of an axis with these zeros before and between elements."""
        s = interior + 1
        first = (s - 1 - low) // s
        before = s - 1 - low - s * first
        taps = -(-(before + window) // s)
        if taps > 1:
            return _Phases(s, first, before, taps, s, 0)
        return _Phases(s, first, 0, 1, window, s - before - window)

    def each(self, window: int) -> list[_Taps]:
        """The taps of each phase that are not zero, s apart in the kernel."""
        found = []
        for phase in range(self.s):
            at = self.s - 1 - phase - self.before  # the kernel's element at tap 0
            skipped = max(-(at // self.s), 0)
            start = at + self.s * skipped
            found.append(_Taps(skipped, start, len(range(start, window, self.s))))
        return found


def _by_phases(b: Builder, conv: _Spread) -> Node:
    """The phases' results in each other's gaps: of one convolution of x, or of one for each."""
    axes = [_Phases.of(*how) for how in zip(conv.low, conv.interior, conv.windows, strict=True)]
    low, high, counts = [], [], []
    for axis, count, size, dilation in zip(
        axes, conv.counts, conv.sizes, conv.dilations, strict=True
    ):
        low.append(-axis.first)
        counts.append(-(-size // axis.s))
        covered = counts[-1] + (axis.taps - 1) * dilation
        high.append(max(covered - low[-1] - count, 0))
    wide = _padded(b, conv.x, tuple(low), tuple(high), (0,) * len(axes))
    filters = conv.kernel.tensor.shape[-1]
    assert isinstance(filters, int)
    each = [*map(_Phases.each, axes, conv.windows)]
    several = all(axis.s == 1 or axis.taps > 1 for axis in axes)
    if filters >= LEAST_FILTERS and several and all(t.count for taps in each for t in taps):
        made = _each_phase(b, conv, wide, each, counts)
    else:
        kernel = _kernel_of_phases(b, conv.kernel, axes)
        made = b.node("conv", wide, kernel, strides=conv.strides, dilations=conv.dilations)
    batch = made.tensor.shape[0]
    rank = len(axes)
    whole = _interleaved(b, made, axes, filters)
    nothing, ones = (0,) * (rank + 2), (1,) * (rank + 2)
    return b.node("slice", whole, starts=nothing, sizes=(batch, *conv.sizes, filters), steps=ones)


def _interleaved(b: Builder, made: Node, axes: list[_Phases], filters: int) -> Node:
    """Phases that stand beside each other, each in the others' gaps."""
    batch, *counts, _ = made.tensor.shape
    rank = len(axes)
    apart = b.reshape(made, (batch, *counts, *(axis.kept for axis in axes), filters))
    outer = (0,) * (rank + 1)
    before = tuple(axis.skipped for axis in axes)
    behind = tuple(axis.s - axis.kept - axis.skipped for axis in axes)
    apart = b.node(
        "pad", apart, low=(*outer, *before, 0), high=(*outer, *behind, 0),
        interior=(0,) * (2 * rank + 2), value=0.0,
    )  # fmt: skip
    order = [at for axis in range(rank) for at in (1 + axis, 1 + rank + axis)]
    mixed = b.node("transpose", apart, permutation=(0, *order, 2 * rank + 1))
    sizes = (count * axis.s for count, axis in zip(counts, axes, strict=True))
    return b.reshape(mixed, (batch, *sizes, filters))


def _each_phase(
    b: Builder, conv: _Spread, wide: Node, each: Sequence[Sequence[_Taps]], counts: Sequence[int]
) -> Node:
    """The phases' results beside each other, each of a convolution with its own taps alone: for a
    window of 3 and a stride of 2 these are 9 in all, where one convolution for all has 16."""
    made = []
    (batch, *_), (*_, channels, filters) = wide.tensor.shape, conv.kernel.tensor.shape
    ones = (1,) * wide.tensor.rank
    for taps in itertools.product(*each):
        kernel = b.node(
            "slice", conv.kernel, starts=(*(t.of_kernel for t in taps), 0, 0),
            sizes=(*(t.count for t in taps), channels, filters),
            steps=(*(gap + 1 for gap in conv.interior), 1, 1),
        )  # fmt: skip
        whole = b.node("conv", wide, kernel, strides=conv.strides, dilations=conv.dilations)
        starts, sizes = (0, *(t.of_x for t in taps), 0), (batch, *counts, filters)
        made.append(b.node("slice", whole, starts=starts, sizes=sizes, steps=ones))
    return b.node("concat", *made, axis=len(ones) - 1)


def _kernel_of_phases(b: Builder, kernel: Node, axes: list[_Phases]) -> Node:
    """The kernel with every s-th element for each phase, phases side by side as channels."""
    rank = len(axes)
    *windows, channels, filters = kernel.tensor.shape
    behind = (
        axis.taps * axis.kept - axis.before - window
        for axis, window in zip(axes, _fixed(tuple(windows)), strict=True)
    )
    whole = b.node(
        "pad", kernel, low=(*(axis.before for axis in axes), 0, 0), high=(*behind, 0, 0),
        interior=(0,) * (rank + 2), value=0.0,
    )  # fmt: skip
    split = [size for axis in axes for size in (axis.taps, axis.kept)]
    turned = b.node(
        "reverse", b.reshape(whole, (*split, channels, filters)), axes=tuple(range(1, 2 * rank, 2))
    )
    order = (*range(0, 2 * rank, 2), 2 * rank, *range(1, 2 * rank, 2), 2 * rank + 1)
    sorted_ = b.node("transpose", turned, permutation=order)
    taps = (axis.taps for axis in axes)
    return b.reshape(sorted_, (*taps, channels, math.prod(a.kept for a in axes) * filters))
