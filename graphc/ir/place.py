"""Places: where the memory plan puts a value."""

from __future__ import annotations

import re
from dataclasses import dataclass

from .graph import Graph, Node
from .ops import KERNELS
from .types import BATCH, Dim, Size, TensorType, evaluate


@dataclass(frozen=True)
class Place:
    """An address: an argument of the program by name, or a byte offset in the arena or a strip's.

    The offset is a sum of terms, each an int or an int times symbols. A strip's memory is each
    thread's own, for as many rows of the batch as the strip takes at a time.
    """

    argument: str = ""
    offset: tuple[Dim, ...] = ()
    in_strip: bool = False

    def __str__(self) -> str:
        if self.argument:
            return f"argument {self.argument}"
        memory = "strip" if self.in_strip else "arena"
        return f"{memory}[{' + '.join(map(str, self.offset)) or 0}]"

    @staticmethod
    def parse(text: str) -> Place:
        """The place that `str` printed."""
        if text.startswith("argument "):
            return Place(text.removeprefix("argument "))
        match = re.fullmatch(r"(arena|strip)\[(.*)\]", text)
        if match is None:
            raise ValueError(f"not a place: {text!r}")
        terms = tuple(t for t in map(_parse_term, match[2].split(" + ")) if t != 0)
        return Place("", terms, match[1] == "strip")


def _parse_term(text: str) -> Dim:
    first, _, rest = text.partition("*")
    if not first.isdigit():
        first, rest = "1", text
    return Size(tuple(rest.split("*")), int(first)) if rest else int(first)


def place_of(attrs: dict[str, object]) -> Place:
    """The place in a planned node's attributes."""
    return Place.parse(str(attrs["place"]))


def round_up(size: int, unit: int = 64) -> int:
    """The next multiple of a cache line."""
    return -(-size // unit) * unit


def buffer_size(type_: TensorType) -> Dim:
    """Bytes that a value takes in the arena, a multiple of the cache line for any symbols."""
    elements = type_.elements
    if isinstance(elements, Size):
        return Size(elements.symbols, round_up(elements.factor * type_.itemsize))
    return round_up(elements * type_.itemsize)


def split(dim: Dim) -> tuple[tuple[str, ...], int]:
    """A dimension's symbols and factor."""
    return (dim.symbols, dim.factor) if isinstance(dim, Size) else ((), dim)


def row_bytes(node: Node) -> int:
    """Bytes of a value for each row of the batch; 0 if it has none of its own."""
    shape = node.tensor.shape
    fixed = all(isinstance(dim, int) for dim in shape[1:])
    if not (shape and fixed and isinstance(shape[0], Size) and shape[0].symbols == (BATCH,)):
        return 0
    elements = node.tensor.elements
    assert isinstance(elements, Size)
    return elements.factor * node.tensor.itemsize


def reading_kernels(graph: Graph, node: Node) -> list[Node]:
    """The kernels that read a value, through views and items too."""
    found = []
    for user in graph.users(node):
        found += [user] if user.op in KERNELS else reading_kernels(graph, user)
    return list(dict.fromkeys(found))


def strip_of(kernel: Node) -> int:
    """The number of a kernel's strip; 0 for none."""
    number = kernel.attrs.get("strip", 0)
    assert isinstance(number, int)
    return number


def parts_summed(kernel: Node) -> int:
    """How many parts a kernel of a strip sums, each from one strip to the next; 0 for none."""
    if not strip_of(kernel):
        return 0
    body = kernel.attrs["body"]
    assert isinstance(body, Graph)
    return next((n.attrs["parts"] for n in body.nx if n.op == "conv_kernel_grad"), 0)


def strip_arguments(kernel: Node) -> list[str]:
    """What a strip's kernel must know of the rows it works on: whether they are the "first" of
    those that it sums, and from which "row" on they are, as random numbers depend on that."""
    if not strip_of(kernel):
        return []
    body = kernel.attrs["body"]
    assert isinstance(body, Graph)
    draws = any(n.op == "random_uniform" for n in body.nx)
    return ["first"] * (parts_summed(kernel) > 0) + ["row"] * draws


def strip_memory(graph: Graph) -> tuple[int, int]:
    """Bytes of a planned graph's strips: of each thread's own, and for each row of a batch of a few
    rows, which all threads share."""
    own = shared = 0
    for node in graph.nodes():
        if node.op != "item" or not (place := place_of(node.attrs)).in_strip:
            continue
        (kernel,) = graph.operands(node)
        rows = kernel.attrs["strip_rows"]
        assert isinstance(rows, int)
        end = sum(split(term)[1] for term in (*place.offset, buffer_size(node.tensor)))
        own, shared = max(own, end * rows), max(shared, end)
    return own, shared


def own_arena(graph: Graph) -> tuple[Dim, ...]:
    """Bytes of the arena that a planned graph's own values take, as a sum of terms."""
    total: dict[tuple[str, ...], int] = {}
    for node in graph.nodes():
        if node.op != "item":
            continue
        place = place_of(node.attrs)
        if place.argument or place.in_strip:
            continue
        ends = dict(map(split, place.offset))
        symbols, size = split(buffer_size(node.tensor))
        ends[symbols] = ends.get(symbols, 0) + size
        for key, end in ends.items():
            total[key] = max(total.get(key, 0), end)
    return tuple(Size(key, size) if key else size for key, size in sorted(total.items()))


def arena_size(graph: Graph) -> tuple[Dim, ...]:
    """Bytes of the arena that a planned graph needs with its scans' bodies, as a sum of terms."""
    total: dict[tuple[str, ...], int] = {}
    ends = [_sum(start, arena_size(_body(scan))) for scan, start in body_arenas(graph).items()]
    for symbols, size in (split(term) for terms in (own_arena(graph), *ends) for term in terms):
        total[symbols] = max(total.get(symbols, 0), size)
    return tuple(Size(key, size) if key else size for key, size in sorted(total.items()))


def body_arenas(graph: Graph) -> dict[Node, tuple[Dim, ...]]:
    """Where in the arena the values of each scan's body begin: behind the graph's own, and those of
    scans before it in its phase, which may run at the same time."""
    scans = sorted((n for n in graph.nx if n.op == "scan"), key=lambda n: n.index)
    own = own_arena(graph) if scans else ()
    starts: dict[Node, tuple[Dim, ...]] = {}
    following: dict[object, tuple[Dim, ...]] = {}  # by phase
    for scan in scans:
        phase = scan.attrs["phase"]
        starts[scan] = following.get(phase, own)
        following[phase] = _sum(starts[scan], arena_size(_body(scan)))
    return starts


def _body(scan: Node) -> Graph:
    body = scan.attrs["body"]
    assert isinstance(body, Graph)
    return body


def _sum(*sizes: tuple[Dim, ...]) -> tuple[Dim, ...]:
    total: dict[tuple[str, ...], int] = {}
    for symbols, size in (split(term) for terms in sizes for term in terms):
        total[symbols] = total.get(symbols, 0) + size
    return tuple(Size(key, size) if key else size for key, size in sorted(total.items()))


def arena_bytes(graph: Graph, symbols: dict[str, int]) -> int:
    """Bytes of the arena for given sizes."""
    return sum(evaluate(term, symbols) for term in arena_size(graph))
