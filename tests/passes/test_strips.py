"""Strips: which kernels go through the batch together, where values are, and the same results."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import pytest
from graphs import Array, build, examples, stages
from memory_machine import MemoryMachine, overlaps
from native import Native, targets

from graphc.codegen.interface import FEW_ROWS
from graphc.codegen.target import Target
from graphc.ir.graph import Graph, Node
from graphc.ir.interpret import interpret
from graphc.ir.place import place_of, strip_memory, strip_of
from graphc.ir.types import Size
from graphc.passes import strips
from graphc.passes.shapes import Builder

pytestmark = pytest.mark.usefixtures("many_threads")

IMAGES, KERNEL, SECOND = "f32[batch, 9, 9, 4]", "f32[3, 3, 4, 5]", "f32[3, 3, 5, 6]"


@pytest.fixture(autouse=True)
def _small_strips(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Strips for images of a few hundred bytes, a few rows at a time."""
    monkeypatch.setattr(strips, "LEAST_BYTES", 1)
    monkeypatch.setattr(strips, "STRIP_BYTES", 8_000)
    monkeypatch.setattr(strips, "LEAST_PLACES", 16)
    yield


def conv(b: Builder, x: Node, kernel: Node) -> Node:
    return b.node("conv", x, kernel, strides=(1, 1), dilations=(1, 1))


def relu(b: Builder, x: Node) -> Node:
    return b.node("maximum", x, b.full(0.0, x.tensor))


def gradient_of_kernel(b: Builder, x: Node, dy: Node) -> Node:
    return b.node("conv_kernel_grad", x, dy, sizes=(3, 3), parts=1, strides=(1, 1),
                  dilations=(1, 1))  # fmt: skip


def two_layers(b: Builder, x: Node, first: Node, second: Node) -> dict[str, Node]:
    """Two convolutions, their kernels' gradients, and a sum over each image and over all."""
    h = relu(b, conv(b, x, first))
    y = relu(b, conv(b, h, second))
    down = b.node("pad", y, low=(0, 2, 2, 0), high=(0, 2, 2, 0), interior=(0,) * 4, value=0.0)
    turned = b.node("transpose", second, permutation=(0, 1, 3, 2))
    dh = b.node("mul", conv(b, down, turned), h)
    rows = b.node("reduce_sum", y, axes=(1, 2))
    return {
        "first": gradient_of_kernel(b, x, dh),
        "second": gradient_of_kernel(b, h, y),
        "rows": rows,
        "all": b.node("reduce_sum", rows, axes=(0,)),
    }


TWO_LAYERS = build(two_layers, IMAGES, KERNEL, SECOND)


def in_strips(graph: Graph) -> dict[str, int]:
    """Kernels by name, those without a strip too: its number or 0."""
    return {n.name: strip_of(n) for n in graph.nodes() if n.op == "fused"}


def ops_in(graph: Graph, number: int) -> set[str]:
    found = (n for n in graph.nodes() if n.op == "fused" and strip_of(n) == number)
    return {inner.op for kernel in found for inner in kernel.attrs["body"].nodes()}  # type: ignore[union-attr]


def test_layers_and_their_gradients_are_one_strip() -> None:
    planned = stages(TWO_LAYERS)["memory"]
    numbers = in_strips(planned)
    assert set(numbers.values()) == {0, 1}
    assert {"conv", "conv_kernel_grad", "pad", "reduce_sum"} <= ops_in(planned, 1)
    # The kernel that is turned around is one for all rows; sums over the batch wait for all.
    assert ops_in(planned, 0) <= {"input", "transpose", "reduce_sum", "reshape", "const"}
    rows = {n.attrs["strip_rows"] for n in planned.nodes() if strip_of(n)}
    assert len(rows) == 1 and 0 < int(str(rows.pop())) < 10


def test_what_a_strip_alone_reads_has_memory_for_its_rows() -> None:
    planned = stages(TWO_LAYERS)["memory"]
    inside = [n for n in planned.nodes() if n.op == "item" and place_of(n.attrs).in_strip]
    assert sorted(str(n.type) for n in inside) == sorted(
        f"f32[batch, {shape}]" for shape in ("7, 7, 5", "5, 5, 6", "9, 9, 6", "7, 7, 5")
    )
    own, shared = strip_memory(planned)
    rows = next(int(str(n.attrs["strip_rows"])) for n in planned.nodes() if strip_of(n))
    assert shared == own // rows
    assert 0 < shared < sum(4 * 64 * -(-n.tensor.elements.factor // 64) for n in inside)  # type: ignore[union-attr]


@pytest.mark.parametrize("backwards", [False, True])
def test_no_value_is_overwritten_while_it_is_needed(backwards: bool) -> None:
    planned = stages(TWO_LAYERS)["memory"]
    symbols = {"batch": 7}
    feeds = examples(TWO_LAYERS, 3, symbols)
    assert overlaps(planned, symbols) == []
    found = MemoryMachine(planned, feeds, symbols).run(backwards)
    for name, value in interpret(TWO_LAYERS, feeds, symbols).items():
        np.testing.assert_allclose(found[name], value, 1e-4, 1e-4, err_msg=name)


def check(graph: Graph, batches: Sequence[int], target: Target | None = None) -> None:
    """Natively as in the interpreter, with the same bits on any number of threads."""
    native = Native(graph, target)
    for batch in batches:
        feeds = examples(graph, 6, {"batch": batch})
        threads = (1, 2, 3, 4, 20)
        native.check(feeds, {"batch": batch}, threads=threads, relative=1e-4, absolute=1e-4)


@pytest.mark.parametrize("target", targets())
def test_the_same_as_the_interpreter(target: Target) -> None:
    """Parts without rows, and parts that several strips make up."""
    check(TWO_LAYERS, (1, FEW_ROWS, FEW_ROWS + 1, 15, 16, 17, 40), target)


def test_a_batch_of_few_rows_is_shared_by_the_threads() -> None:
    """Threads share few rows, and each has rows of many."""

    def function(b: Builder, x: Node, first: Node, second: Node) -> Node:
        return relu(b, conv(b, relu(b, conv(b, x, first)), second))

    graph = build(function, IMAGES, KERNEL, SECOND)
    assert 1 in in_strips(stages(graph)["memory"]).values()
    check(graph, (1, 2, FEW_ROWS, FEW_ROWS + 1, 15, 16, 33))


def test_steps_and_a_smaller_last_batch() -> None:
    native = Native(TWO_LAYERS)
    feeds = examples(TWO_LAYERS, 5, {"batch": 43})
    whole: dict[str, list[Array]] = {}
    for threads in (1, 3):
        found = native.run(feeds, {"batch": 20}, threads=threads, steps=3, rows=43)
        for name, value in found.items():
            whole.setdefault(name, []).append(value)
    for step, (start, stop) in enumerate(((0, 20), (20, 40), (40, 43))):
        part = {**feeds, "x0": feeds["x0"][start:stop]}
        expected = interpret(TWO_LAYERS, part, {"batch": stop - start})
        for name, (one, three) in whole.items():
            assert one.tobytes() == three.tobytes()
            value = one[start:stop] if name == "rows" else one[step]
            close = 1e-6 * np.abs(expected[name]).max()
            np.testing.assert_allclose(value, expected[name], 1e-5, close, err_msg=name)


def test_random_numbers_do_not_depend_on_strips(monkeypatch: pytest.MonkeyPatch) -> None:
    def function(b: Builder, x: Node, kernel: Node, seed: Node, step: Node) -> Node:
        noise = b.node("random_uniform", seed, step, shape=x.tensor.shape, stream=3)
        y = conv(b, b.node("add", x, noise), kernel)
        again = b.node("random_uniform", seed, step, shape=y.tensor.shape, stream=4)
        return relu(b, b.node("mul", y, again))

    graph = build(function, IMAGES, KERNEL, "i32[]", "i32[]")
    feeds = {**examples(graph, 1, {"batch": 37}), "x2": np.int32(9), "x3": np.int32(4)}
    feeds = {name: np.asarray(value) for name, value in feeds.items()}

    def run() -> Array:
        native = Native(graph)
        assert 1 in in_strips(native.program.graph).values() or strips.LEAST_BYTES > 1
        return native.run(feeds, {"batch": 37}, threads=2)["y"]

    inside = run()
    monkeypatch.setattr(strips, "LEAST_BYTES", 10**9)
    np.testing.assert_array_equal(run(), inside)
    np.testing.assert_allclose(interpret(graph, feeds, {"batch": 37})["y"], inside, 1e-4, 1e-5)


def mean(b: Builder, x: Node, y: Node) -> Node:
    total = b.node("reduce_sum", y, axes=(0,))
    return b.node("sub", x, b.node("broadcast", total, shape=x.tensor.shape, axes=(1, 2, 3)))


def turned(b: Builder, x: Node, y: Node) -> Node:
    return b.node("add", x, b.node("reverse", y, axes=(0,)))


def numbered(b: Builder, x: Node, y: Node) -> Node:
    number = b.node("iota", shape=x.tensor.shape, axis=0)
    return b.node("mul", y, b.node("cast", number, dtype="f32"))


def sized(b: Builder, x: Node, y: Node) -> Node:
    size = b.node("size", dim=x.tensor.shape[0], dtype="f32")
    return b.node("div", y, b.broadcast(size, x.tensor.shape, ()))


def picked(b: Builder, x: Node, y: Node) -> Node:
    """Rows of the batch in another order."""
    order = b.node("cast", b.node("reduce_max", x, axes=(1, 2, 3)), dtype="i32")
    return b.node("gather", b.node("mul", y, y), b.node("minimum", order, b.full(0, order.tensor)))


@pytest.mark.parametrize("last", [mean, turned, numbered, sized, picked])
def test_rows_that_depend_on_the_batch(last: Callable[[Builder, Node, Node], Node]) -> None:
    """They are not in a strip with what they depend on, and so are right."""

    def function(b: Builder, x: Node, kernel: Node) -> Node:
        y = x
        for _ in range(3):
            y = relu(b, conv(b, y, kernel))
        small = b.node("slice", x, starts=(0,) * 4, sizes=y.tensor.shape, steps=(1,) * 4)
        return last(b, small, y)

    graph = build(function, IMAGES, "f32[3, 3, 4, 4]")
    planned = stages(graph)["memory"]
    (item,) = planned.outputs.values()
    (kernel,) = planned.operands(item)
    assert strip_of(kernel) != 1 and 1 in in_strips(planned).values()
    check(graph, (33,))


def test_views_of_arguments_with_several_rows() -> None:
    """Where such an argument's rows are, a strip does not know: not by another shape of it either."""

    def function(b: Builder, x: Node, kernel: Node) -> Node:
        y = b.reshape(x, (Size(("batch",)), 9, 9, 4))
        for _ in range(3):
            y = relu(b, conv(b, y, kernel))
        return y

    graph = build(function, "f32[2*batch, 162]", "f32[3, 3, 4, 4]")
    check(graph, (2, 20))


def test_little_work_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(strips, "LEAST_BYTES", 10_000)
    assert set(in_strips(stages(TWO_LAYERS)["memory"]).values()) == {0}


def test_a_large_matrix_is_not_read_for_each_strip(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(strips, "SMALL_MATRIX", 100)

    def function(b: Builder, x: Node, w: Node) -> Node:
        y = b.node("matmul", x, w, transpose_a=False, transpose_b=False)
        return b.node("reduce_sum", b.node("exp", y), axes=(1,))

    few = stages(build(function, "f32[batch, 50]", "f32[50, 40]"))["memory"]
    assert set(in_strips(few).values()) == {0}
