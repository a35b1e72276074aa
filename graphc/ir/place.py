"""Places: where the memory plan puts a value."""

from __future__ import annotations

import re
from dataclasses import dataclass

from .graph import Graph, Node
from .types import Dim, Size, TensorType, evaluate


@dataclass(frozen=True)
class Place:
    """An address: an argument of the program by name, or a byte offset in the arena.

    The offset is a sum of terms, each an int or an int times symbols.
    """

    argument: str = ""
    offset: tuple[Dim, ...] = ()

    def __str__(self) -> str:
        if self.argument:
            return f"argument {self.argument}"
        return f"arena[{' + '.join(map(str, self.offset)) or 0}]"

    @staticmethod
    def parse(text: str) -> Place:
        """The place that `str` printed."""
        if text.startswith("argument "):
            return Place(text.removeprefix("argument "))
        match = re.fullmatch(r"arena\[(.*)\]", text)
        if match is None:
            raise ValueError(f"not a place: {text!r}")
        return Place("", tuple(t for t in map(_parse_term, match[1].split(" + ")) if t != 0))


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


def own_arena(graph: Graph) -> tuple[Dim, ...]:
    """Bytes of the arena that a planned graph's own values take, as a sum of terms."""
    total: dict[tuple[str, ...], int] = {}
    for node in graph.nodes():
        if node.op != "item":
            continue
        place = place_of(node.attrs)
        if place.argument:
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
