"""Places and sizes of values in memory."""

import pytest
from graphs import build, stages, tensor

from graphc.ir.place import (
    Place,
    arena_bytes,
    arena_size,
    buffer_size,
    place_of,
    round_up,
    split,
)
from graphc.ir.types import Size, TensorType

N, T = Size(("batch",)), Size(("time",))


@pytest.mark.parametrize(
    ("place", "text"),
    [
        (Place("dense/kernel"), "argument dense/kernel"),
        (Place("my layer: a + b"), "argument my layer: a + b"),
        (Place("", ()), "arena[0]"),
        (Place("", (64,)), "arena[64]"),
        (Place("", (128, 64 * N, 320 * N * T)), "arena[128 + 64*batch + 320*batch*time]"),
        (Place("", (N,)), "arena[batch]"),
    ],
    ids=str,
)
def test_places_round_trip(place: Place, text: str) -> None:
    assert str(place) == text
    assert Place.parse(text) == place
    assert place_of({"place": text}) == place


@pytest.mark.parametrize("text", ["", "stack[0]", "arena", "arena[0"])
def test_what_is_no_place(text: str) -> None:
    with pytest.raises(ValueError, match="not a place"):
        Place.parse(text)


def test_sizes_are_whole_cache_lines() -> None:
    assert [round_up(n) for n in (0, 1, 64, 65)] == [0, 64, 64, 128]
    assert buffer_size(tensor("f32")) == 64
    assert buffer_size(tensor("f64", 3, 5)) == 128
    assert buffer_size(tensor("bool", N)) == 64 * N  # a line for one row, so for any number
    assert buffer_size(TensorType("f32", (N, T, 17))) == 128 * N * T
    assert (split(128 * N), split(64)) == ((("batch",), 128), ((), 64))


def test_the_arena_covers_every_value() -> None:
    # The sum over rows is stored for the second kernel, as is that of x1 over its own symbol.
    graph = build(
        lambda b, x, z: {
            "y": b.node("reduce_sum", x, axes=(0, 1)),
            "z": b.node("reduce_sum", z, axes=(0, 1)),
        },
        "f32[batch, 3]", "f32[time, 5]",
    )  # fmt: skip
    planned = stages(graph)["memory"]
    assert arena_size(planned) == (64 * N, 64 * T)
    assert arena_bytes(planned, {"batch": 10, "time": 3}) == 64 * 13
