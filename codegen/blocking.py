"""How a contraction is cut into blocks, from the target and the shapes."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from graphc.ir.graph import Node
from graphc.ir.place import round_up
from graphc.ir.types import Dim, Size, evaluate

from .elementwise import Unsupported
from .epilogue import matrices_beside
from .microkernel import CACHE_LINE
from .operands import Product, product_of
from .target import Target
from .thin import thin_scratch
from .values import Body

# Tiles of rows of a chunk, whose part of C then stays in the first-level cache.
CHUNK_TILES = 8
# Panels of a group, and tiles of rows, where the epilogue reads matrices beside C.
GROUP_PANELS, GROUP_CHUNK_TILES = 8, 2
# When K has several blocks: tiles of rows, and bytes of C, of a group's chunk at most. K's block
# where each k of A begins another cache line: then what a chunk reads of A comes from cache.
LONG_CHUNK_TILES = 48
LONG_CHUNK_BYTES = 128 * 1024
LONG_K_BLOCK = 128
# K's block when it is known only at run time: with a group of panels, within the second cache.
SYMBOLIC_K_BLOCK = 512
# Elements of a page: what is so many apart has the same place in the first-level cache.
PAGE_ELEMENTS = 1024
# The batch size that K is guessed with.
GUESS = 32
# Bytes of a loop's constant, packed, that each thread keeps: within the second-level cache.
MOST_KEPT_BYTES = 1024 * 1024


@dataclass(frozen=True)
class Contraction:
    """A product and its blocking."""

    product: Product
    tile_rows: int
    tile_vectors: int
    lanes: int
    k_block: int
    group: int
    chunk_tiles: int
    stripes: int  # that are kept packed: those of a group, or one, packed anew each time

    def __str__(self) -> str:
        """The plan as a node's annotation has it; `plan_contraction` reads it back."""
        tile = f"{self.tile_rows}x{self.width}"
        return f"{tile} k{self.k_block} chunk {self.chunk_tiles} group {self.group}"

    @property
    def together(self) -> int:
        """Elements of K in a vector, for each column."""
        return elements_together(self.product, self.lanes)

    @property
    def width(self) -> int:
        """Columns of a tile."""
        return self.tile_vectors * self.lanes

    @property
    def chunk_rows(self) -> int:
        return self.chunk_tiles * self.tile_rows

    @property
    def packed_rows(self) -> int:
        """Of A, that are packed for each chunk: where what follows along K is pages apart, and so
        falls into a few places of the first-level cache, although several tiles read each line of
        it. 0 where A is read where it is."""
        a = self.product.a
        if not (a.is_matrix and a.row_stride == 1 and isinstance(a.stride, int)):
            return 0
        shared = 2 * 4 * self.tile_rows <= CACHE_LINE
        return self.chunk_rows if shared and a.stride % PAGE_ELEMENTS == 0 else 0

    @property
    def block_segments(self) -> int:
        """Segments of A in a block of K."""
        depth = self.product.a.depth
        return self.k_block // depth if isinstance(depth, int) else 1


def plan_contraction(body: Body, node: Node, target: Target) -> Contraction:
    """Blocking as the node's annotation says; without one, from the target and the shape.

    Raises:
        Unsupported: for dtypes and symbolic sizes that there is no code for, and for a plan that
            does not fit the product.
    """
    p = product_of(node, body.operands[node])
    target = multiplier(p, target)
    if not (p.a.is_matrix or isinstance(p.a.depth, int)):
        raise Unsupported(f"{node.op} over an axis of size {p.a.depth}, which is not fixed")
    if "plan" in node.attrs:
        return _read(p, target.lanes, str(node.attrs["plan"]))
    vectors = min(target.tile_vectors, -(-p.n // target.lanes))
    width = vectors * target.lanes
    k_block = max(target.panel_bytes // (4 * width), 64)
    if isinstance(p.k, Size):
        k_block = min(k_block, SYMBOLIC_K_BLOCK)
    else:
        blocks = max(-(-p.k // k_block), 1)
        k_block = max(-(-p.k // blocks), 1)
    long = guess(p.k) > k_block
    if long and p.a.stride != 1:
        k_block = LONG_K_BLOCK
    k_block = whole_segments(p, k_block)
    rows = tile_rows(p.m, target.tile_rows)
    panels = -(-p.n // width)
    group, chunk = min(GROUP_PANELS, panels), CHUNK_TILES
    if long:
        most = LONG_CHUNK_BYTES // (4 * group * width * rows)
        chunk = min(max(most, GROUP_CHUNK_TILES), LONG_CHUNK_TILES)
    elif matrices_beside(body, node):
        chunk = GROUP_CHUNK_TILES
    else:
        group = min(max(target.panel_bytes // (4 * width * k_block), 1), panels)
    return Contraction(p, rows, vectors, target.lanes, k_block, group, chunk, 1 if long else group)


def elements_together(p: Product, lanes: int) -> int:
    """How many elements of K a vector has room for beside each other, for each column of C.

    Only where these are neighbours in A: in a convolution, whose windows' rows are contiguous.
    """
    depth = p.a.depth
    if p.a.is_matrix or p.a.stride != 1 or p.transpose_b or not isinstance(depth, int):
        return 1
    columns = 1 << (p.n - 1).bit_length()
    return math.gcd(lanes // columns, depth) if 2 * columns <= lanes else 1


def multiplier(p: Product, target: Target) -> Target:
    """Whose vectors to multiply with: narrower ones for few columns, if they do not have several
    elements of K."""
    return target if elements_together(p, target.lanes) > 1 else target.for_columns(p.n)


def blocked(
    p: Product, tile: tuple[int, int], lanes: int, k_block: int, group: int, chunk: int
) -> Contraction:
    """A plan of this tile (rows, vectors) and these blocks."""
    return Contraction(p, *tile, lanes, k_block, group, chunk, 1 if guess(p.k) > k_block else group)


def _read(p: Product, lanes: int, text: str) -> Contraction:
    """The plan that `str` printed.

    Raises:
        Unsupported: when it is none, or none for this product.
    """
    match = re.fullmatch(r"(\d+)x(\d+) k(\d+) chunk (\d+) group (\d+)", text)
    rows, width, k_block, chunk, group = map(int, match.groups()) if match else [0] * 5
    if not (rows and width and k_block and chunk and group):
        raise Unsupported(f"plan {text!r}: expected one such as '12x32 k784 chunk 8 group 2'")
    if width % lanes or whole_segments(p, k_block) != k_block:
        raise Unsupported(f"plan {text!r}: vectors have {lanes} elements, segments {p.a.depth}")
    return blocked(p, (rows, width // lanes), lanes, k_block, group, chunk)


def guess(dim: Dim) -> int:
    """A size, with `GUESS` for what is known only at run time."""
    return evaluate(dim, dict.fromkeys(dim.symbols if isinstance(dim, Size) else (), GUESS))


def whole_segments(p: Product, k_block: int) -> int:
    """About as large a block of K, of whole segments of A where these are looked up."""
    if p.a.is_matrix:
        return k_block
    assert isinstance(p.a.depth, int)
    return max(k_block // p.a.depth, 1) * p.a.depth


def tile_rows(m: Dim, most: int) -> int:
    """The tile height, not much below the most, that takes the least time for m rows."""
    if isinstance(m, Size):
        return most
    if m <= most:
        return max(m, 1)

    def turn(rows: int) -> int:
        """About how many cycles a tile takes for each k: a multiply-add's latency at least."""
        return max(rows, 4) + 1 if rows else 0

    heights = range(most, max(most * 2 // 3, 1) - 1, -1)
    return min(heights, key=lambda rows: m // rows * turn(rows) + turn(m % rows))


def contraction_scratch(plan: Contraction, target: Target) -> int:
    """Bytes that a thread needs: a group's packed stripes and chunk of C, and A's offsets."""
    tables = 0 if plan.product.a.is_matrix else plan.chunk_rows + plan.block_segments
    floats = (plan.stripes * plan.k_block + plan.group * plan.chunk_rows) * plan.width
    floats += plan.packed_rows * plan.k_block
    return max(4 * floats + 8 * tables, thin_scratch(plan.product, target.lanes))


def kept_bytes(plan: Contraction) -> int:
    """Bytes of a loop's constant B, packed, that a thread keeps from step to step; 0 for too many.

    The first cache line says whether B is there.
    """
    p, width = plan.product, plan.width
    if p.count != 1 or plan.stripes < plan.group or isinstance(p.k, Size) or p.k > plan.k_block:
        return 0
    packed = 4 * -(-p.n // width) * width * plan.k_block
    return CACHE_LINE + round_up(packed) if packed <= MOST_KEPT_BYTES else 0
