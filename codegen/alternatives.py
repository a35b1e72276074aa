"""Other ways to cut a contraction into blocks that a model of the caches finds about as good.

Each changes one thing of the plan, and none changes a bit of the result, as every element is summed
over K in order, in one accumulator:

- another register tile, of as many accumulators: which elements are summed side by side;
- a smaller or larger block of K: an element's sum rests in memory, in float32 as in a register,
  between blocks;
- a lower or higher chunk, a smaller or larger group: in which order elements get their turn.
"""

from __future__ import annotations

from collections.abc import Mapping

from graphc.ir.graph import Node
from graphc.ir.types import Dim, Size, evaluate

from .blocking import (
    GUESS,
    Contraction,
    blocked,
    contraction_scratch,
    kept_bytes,
    multiplier,
    plan_contraction,
    tile_rows,
    whole_segments,
)
from .target import Target
from .values import Body

# The most that are worth trying: tiles, blocks of K, groups or chunks.
MOST = (2, 1, 1)
# How much slower the model may find them.
CLOSE = 1.25
# Bytes of the first-level cache that a stripe of B may take; of the second one for a chunk of C.
FIRST_BYTES, SECOND_BYTES = 32 * 1024, 512 * 1024
# Bytes a cycle from the second-level cache, and from behind it.
SECOND_RATE, FAR_RATE = 32, 10
# Multiply-adds that are under way at a time: their latency times how many start in a cycle.
UNDER_WAY = 8


def alternatives(
    body: Body, node: Node, target: Target, sizes: Mapping[str, int], in_loop: bool, scratch: int
) -> list[Contraction]:
    """The plan without tuning, and the alternatives to it: of each kind the most promising ones.

    Args:
        node: a contraction.
        sizes: of symbolic dimensions.
        in_loop: whether a scan runs it: then what the plan keeps from step to step must stay kept.
        scratch: bytes that a thread has, for the program takes no more memory than was planned.
    """
    plan = plan_contraction(body, node, target)
    most = CLOSE * estimate(plan, sizes)
    found = [plan]
    for kind, count in zip(_changed(plan, multiplier(plan.product, target)), MOST, strict=True):
        close = [
            other
            for other in dict.fromkeys(kind)
            if other != plan
            and estimate(other, sizes) <= most
            and contraction_scratch(other, target) <= scratch
            and (not in_loop or bool(kept_bytes(plan)) <= kept_bytes(other) <= kept_bytes(plan))
        ]
        found += sorted(close, key=lambda other: estimate(other, sizes))[:count]
    return found


def _changed(plan: Contraction, target: Target) -> list[list[Contraction]]:
    """The plan with other tiles, with other blocks of K, and with other groups and chunks."""
    p, lanes, tile = plan.product, plan.lanes, (plan.tile_rows, plan.tile_vectors)
    vectors_of_c = -(-p.n // lanes)
    tiles, blocks, orders = [], [], []
    for vectors in range(1, min(4, vectors_of_c) + 1):
        most = target.tile_rows * target.tile_vectors // vectors
        # A tile's sums, a row of B and an element of A are in registers.
        if most * vectors + vectors + 1 <= target.registers:
            rows, panels = tile_rows(p.m, most), -(-vectors_of_c // vectors)
            group = min(-(-plan.group * plan.tile_vectors // vectors), panels)
            chunk = max(plan.chunk_rows // rows, 1)
            tiles.append(blocked(p, (rows, vectors), lanes, plan.k_block, group, chunk))
    panels = -(-vectors_of_c // plan.tile_vectors)
    for times, over in ((1, 2), (2, 1)):
        k = plan.k_block * times // over
        k = whole_segments(p, max(min(k, p.k) if isinstance(p.k, int) else k, 1))
        group = min(max(plan.group * times // over, 1), panels)
        chunk = max(plan.chunk_tiles * times // over, 1)
        blocks.append(blocked(p, tile, lanes, k, plan.group, plan.chunk_tiles))
        orders.append(blocked(p, tile, lanes, plan.k_block, group, plan.chunk_tiles))
        orders.append(blocked(p, tile, lanes, plan.k_block, plan.group, chunk))
    return [tiles, blocks, orders]


def estimate(plan: Contraction, sizes: Mapping[str, int]) -> float:
    """About how many cycles one of the products takes: what tells plans apart."""
    p, width = plan.product, plan.width

    def known(dim: Dim) -> int:
        given = dict.fromkeys(dim.symbols if isinstance(dim, Size) else (), GUESS)
        return max(evaluate(dim, {**given, **sizes}), 1)

    m, k = known(p.m), known(p.k)
    k_block, chunk_rows = min(plan.k_block, k), min(plan.chunk_rows, m)
    blocks, chunks, panels = -(-k // k_block), -(-m // chunk_rows), -(-p.n // width)
    sums, loads = plan.tile_rows * plan.tile_vectors, plan.tile_rows + plan.tile_vectors
    turn = max(sums, loads, UNDER_WAY) / 2
    if 4 * k_block * width > FIRST_BYTES:  # B's row for a turn is in the second-level cache
        turn = max(turn, 4 * width / SECOND_RATE)
    tiles = -(-m // plan.tile_rows) * panels
    cycles = tiles * (k * turn + 2 * blocks * sums)
    # B is packed for each chunk, or for all of them where a group's stripes stay.
    stay = blocks == 1 and plan.stripes == plan.group
    cycles += 2 * 4 * k * panels * width * (1 if stay else chunks) / FAR_RATE
    # A is read once for each panel: again from cache where a chunk's part of it fits there.
    near = 4 * chunk_rows * k_block <= SECOND_BYTES
    groups = -(-panels // plan.group)
    cycles += 4 * m * k * (groups / FAR_RATE + panels / (SECOND_RATE if near else FAR_RATE))
    # A group's chunk of C comes by once for each block and for the epilogue.
    in_cache = 4 * chunk_rows * min(plan.group, panels) * width <= SECOND_BYTES
    return cycles + 4 * m * panels * width * (blocks + 1) / (SECOND_RATE if in_cache else FAR_RATE)
