"""The memory plan: places that never clash, and an arena that is no larger than it must be."""

from __future__ import annotations

import itertools
import random

import pytest
from graphs import build, stages
from memory_machine import byte_range, overlaps
from random_graphs import random_graph

from graphc.ir.graph import Graph, Node
from graphc.ir.place import arena_bytes, place_of
from graphc.ir.text import to_text
from graphc.passes.memory import FreeList, plan_memory
from graphc.passes.shapes import Builder

BATCHES = (1, 2, 7, 64, 1000)


def towers(b: Builder, x: Node) -> dict[str, Node]:
    """Values of many sizes, some alive for long."""
    long = b.node("reduce_sum", x, axes=(0,))
    y = x
    for at in range(6):
        y = b.node("sub", y, b.broadcast(b.node("reduce_sum", y, axes=(0,)), y.tensor.shape, (1,)))
        if at == 3:
            y = b.node("mul", y, b.broadcast(long, y.tensor.shape, (1,)))
    return {"y": b.node("reduce_sum", y, axes=(0, 1)), "rows": b.node("reduce_max", y, axes=(1,))}


def check_plan(planned: Graph, batch: int) -> None:
    symbols = {"batch": batch, "time": 3}
    assert overlaps(planned, symbols) == []
    size = arena_bytes(planned, symbols)
    for item in (n for n in planned.nodes() if n.op == "item"):
        place = place_of(item.attrs)
        if not place.argument:
            start, end = byte_range(item, symbols)
            assert 0 <= start < end <= size and start % 64 == 0


@pytest.mark.parametrize("batch", BATCHES)
def test_values_that_live_together_do_not_overlap(batch: int) -> None:
    check_plan(stages(build(towers, "f32[batch, 9]"))["memory"], batch)
    two = build(
        lambda b, x, t: {**towers(b, x), "t": towers(b, t)["y"]}, "f32[batch, 9]", "f32[time, 9]"
    )
    check_plan(stages(two)["memory"], batch)


@pytest.mark.parametrize("seed", range(25))
def test_random_graphs_do_not_overlap(seed: int) -> None:
    chooser = random.Random(seed)
    choices = [tuple(chooser.randrange(64) for _ in range(4)) for _ in range(30)]
    graph = random_graph(choices, [3, 5, 10, 11], states=2)  # type: ignore[arg-type]
    planned = stages(graph, check=False)["memory"]
    for batch in BATCHES:
        check_plan(planned, batch)


def test_space_is_used_again() -> None:
    def chain(b: Builder, x: Node) -> Node:
        for _ in range(10):
            x = b.node("matmul", x, x, transpose_a=False, transpose_b=False)
        return x

    planned = stages(build(chain, "f32[64, 64]"))["memory"]
    assert arena_bytes(planned, {}) == 2 * 64 * 64 * 4  # one is read while the next is written


def test_every_input_item_and_view_has_a_place() -> None:
    def views(b: Builder, x: Node, w: Node) -> dict[str, Node]:
        turned = b.node("reshape", b.node("exp", x), shape=(10,))
        return {
            "x1": b.node("neg", w),
            "y": b.node("gather", turned, b.node("cast", w, dtype="i32")),
        }

    planned = stages(build(views, "f32[2, 5]", "f32[3]", states=(1,)))["memory"]
    for node in planned.nodes():
        assert ("place" in node.attrs) == (node.op != "fused")
        if node.op == "reshape":
            assert node.attrs["place"] == planned.operands(node)[0].attrs["place"]
    assert {n.name: place_of(n.attrs).argument for n in planned.inputs()} == {
        "x0": "x0", "x1": "x1"
    }  # fmt: skip
    for name, node in planned.outputs.items():
        assert place_of(node.attrs).argument == name


def test_a_view_keeps_its_value_alive() -> None:
    def late_reader(b: Builder, x: Node) -> Node:
        kept = b.node("reshape", b.node("exp", x), shape=(64,))
        y = x
        for _ in range(4):
            y = b.node("matmul", y, y, transpose_a=False, transpose_b=False)
        return b.node("add", b.node("reshape", y, shape=(64,)), kept)

    check_plan(stages(build(late_reader, "f32[8, 8]"))["memory"], 1)


def test_the_input_graph_stays_as_it_is() -> None:
    scheduled = stages(build(towers, "f32[batch, 9]"))["schedule"]
    text = to_text(scheduled)
    plan_memory(scheduled)
    assert to_text(scheduled) == text


@pytest.mark.parametrize("seed", range(10))
def test_the_free_list_gives_each_byte_to_one(seed: int) -> None:
    chooser = random.Random(seed)
    free, held = FreeList(), list[tuple[int, int]]()
    most = 0
    for _ in range(200):
        if held and chooser.random() < 0.45:
            start, size = held.pop(chooser.randrange(len(held)))
            free.release(start, size)
        else:
            size = 64 * chooser.randrange(1, 6)
            held.append((free.allocate(size), size))
        most = max(most, sum(size for _, size in held))
        spans = sorted((start, start + size) for start, size in held)
        assert all(a[1] <= b[0] for a, b in itertools.pairwise(spans))
        assert not spans or spans[-1][1] <= free.end
    for start, size in held:
        free.release(start, size)
    assert free.free == [(0, free.end)]
    assert most <= free.end <= 2 * most


def test_the_free_list_grows_its_last_gap() -> None:
    free = FreeList()
    assert [free.allocate(64), free.allocate(64)] == [0, 64]
    free.release(64, 64)
    assert free.allocate(192) == 64 and free.end == 256
