"""Programs: many steps in a call, state in place, symbols, threads, and random graphs."""

from __future__ import annotations

import gc
import threading
from collections.abc import Mapping

import numpy as np
import pytest
from graphs import Array, build, examples, kernels, stages
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from native import Native, check_against_interpreter, steps_in_interpreter, targets
from random_graphs import Choice, random_graph

from graphc import compiler
from graphc.codegen import worker
from graphc.codegen.elementwise import Unsupported
from graphc.codegen.program import generate
from graphc.codegen.target import Target, detect
from graphc.ir.graph import Graph, Node
from graphc.ir.types import Size
from graphc.passes.shapes import Builder

pytestmark = pytest.mark.usefixtures("many_threads")
each_target = pytest.mark.parametrize("target", targets())

Nodes = Mapping[str, Node]


def training(b: Builder, x: Node, y: Node, w: Node, total: Node, count: Node) -> Nodes:
    """Steps that depend on each other: a layer trained by its error, and running sums."""
    z = b.node("tanh", b.node("matmul", x, w, transpose_a=False, transpose_b=False))
    error = b.node("sub", z, y)
    slope = b.node("matmul", x, error, transpose_a=True, transpose_b=False)
    loss = b.node("reduce_sum", b.node("mul", error, error), axes=(0, 1))
    rows = b.node("size", dim=Size(("batch",)), dtype="f32")
    return {
        "x2": b.node("sub", w, b.node("mul", slope, b.full(0.01, slope.tensor))),
        "x3": b.node("add", total, loss),
        "x4": b.node("add", count, b.node("cast", rows, dtype="i32")),
        "z": z,
        "loss": loss,
        "mean": b.node("div", b.node("reduce_sum", z, axes=(0,)), b.broadcast(rows, (3,), ())),
        "best": b.node("argmax", z, axis=1),
    }


TRAINING = build(
    training, "f32[batch, 5]", "f32[batch, 3]", "f32[5, 3]", "f32[]", "i32[]", states=(2, 3, 4)
)


@each_target
def test_many_steps_in_a_call(target: Target) -> None:
    """Whole batches and a partial last one; outputs by row, by step, and state."""
    native = Native(TRAINING, target)
    for batch, rows in ((4, 4), (4, 12), (4, 10), (7, 8), (10, 3), (1, 5)):
        steps = -(-rows // batch)
        feeds = examples(TRAINING, rows, {"batch": rows})
        expected = steps_in_interpreter(TRAINING, feeds, batch, rows)
        bits = set()
        for threads in (1, 2, 3):
            found = native.run(feeds, {"batch": batch}, threads=threads, steps=steps, rows=rows)
            for name, value in expected.items():
                shaped = found[name].reshape(value.shape)
                np.testing.assert_allclose(shaped, value, 1e-4, 1e-5, err_msg=name)
            bits.add(b"".join(value.tobytes() for value in found.values()))
        assert len(bits) == 1


@each_target
@pytest.mark.parametrize("calls", [1, 2, 3])
def test_steps_spread_over_functions(
    target: Target, calls: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many kernels one function calls, barriers and results are the same."""
    feeds = examples(TRAINING, 10, {"batch": 10})

    def run() -> tuple[dict[str, Array], str]:
        native = Native(TRAINING, target)
        found = native.run(feeds, {"batch": 4}, threads=3, steps=3, rows=10)
        return found, str(native.program.code.generated.module)

    whole, text = run()
    monkeypatch.setenv("GRAPHC_CACHE", "off")
    monkeypatch.setattr(worker, "CALLS", calls)
    parts, split = run()
    scheduled = [n for n in stages(TRAINING)["memory"].nodes() if n.op == "fused"]
    assert text.count('@"worker.') == 2  # a definition and a call
    assert split.count('@"worker.') == 2 * -(-len(scheduled) // calls)
    assert split.count('call void @"barrier"') == text.count('call void @"barrier"')
    for name, value in whole.items():
        assert parts[name].tobytes() == value.tobytes(), name


@each_target
def test_batches_chosen_by_an_index(target: Target) -> None:
    """As `fit` does it: rows of whole arrays, in the order of an index that moves on."""

    def function(b: Builder, data: Node, index: Node, total: Node) -> Nodes:
        rows = b.node("cast", b.node("gather", data, index), dtype="f32")
        sums = b.node("reduce_sum", rows, axes=(1,))
        return {"sums": sums, "x2": b.node("add", total, b.node("reduce_sum", sums, axes=(0,)))}

    graph = build(function, "u8[20, 9]", "i64[batch]", "f32[]", states=(2,))
    graph["x1"].attrs["role"] = "index"
    feeds = examples(graph, 1, {"batch": 20})
    feeds["x1"] = np.random.default_rng(1).permutation(20)
    native = Native(graph, target)
    found = native.run(feeds, {"batch": 6}, threads=2, steps=4, rows=20)
    expected = feeds["x0"][feeds["x1"]].sum(1, dtype=np.float32)
    np.testing.assert_array_equal(found["sums"], expected)
    np.testing.assert_allclose(found["x2"], feeds["x2"] + expected.sum(), rtol=1e-5)


def test_data_of_the_whole_call_does_not_move_on() -> None:
    """Only what has a row for each row of the batch does; scalars and tables stay."""

    def function(b: Builder, x: Node, table: Node, rate: Node) -> Nodes:
        spread = b.broadcast(table, x.tensor.shape, (1,))
        return {"y": b.node("mul", b.node("add", x, spread), b.full(2.0, x.tensor)), "r": rate}

    graph = build(function, "f32[batch, 3]", "f32[3]", "f32[]")
    graph["x2"].attrs["role"] = "scalar"
    feeds = examples(graph, 1, {"batch": 8})
    found = Native(graph).run(feeds, {"batch": 3}, steps=3, rows=8)
    np.testing.assert_allclose(found["y"], (feeds["x0"] + feeds["x1"]) * 2, rtol=1e-6)
    np.testing.assert_array_equal(found["r"], [feeds["x2"]] * 3)


def test_symbols_other_than_batch() -> None:
    def function(b: Builder, x: Node, w: Node) -> Nodes:
        flat = b.node("reshape", x, shape=(Size(("batch", "time")), 5))
        z = b.node("matmul", flat, w, transpose_a=False, transpose_b=False)
        z = b.node("reshape", b.node("tanh", z), shape=(*x.tensor.shape[:2], 3))
        return {
            "y": z, "last": b.node("reduce_sum", z, axes=(1,)),
            "per_step": b.node("reduce_max", z, axes=(0, 2)),
        }  # fmt: skip

    graph = build(function, "f32[batch, time, 5]", "f32[5, 3]")
    native = Native(graph)
    assert native.program.code.program.symbols == ["time"]
    for batch, time in ((1, 1), (3, 7), (16, 2)):
        symbols = {"batch": batch, "time": time}
        native.check(examples(graph, batch, symbols), symbols, threads=(1, 3))


def swap(b: Builder, x: Node, y: Node) -> Nodes:
    return {"x0": y, "x1": x}


def rotate(b: Builder, x: Node, y: Node) -> Nodes:
    return {"x0": b.node("add", x, y), "x1": b.node("sub", x, y)}


def transposed(b: Builder, x: Node, y: Node) -> Nodes:
    return {"x0": b.node("transpose", x, permutation=(1, 0)), "x1": b.node("exp", x)}


def symmetric(b: Builder, x: Node, y: Node) -> Nodes:
    return {"x0": b.node("add", x, b.node("transpose", x, permutation=(1, 0)))}


def squared(b: Builder, x: Node, y: Node) -> Nodes:
    return {
        "x0": b.node("matmul", x, y, transpose_a=False, transpose_b=False),
        "x1": b.node("matmul", y, x, transpose_a=False, transpose_b=True),
    }


def normalised(b: Builder, x: Node, y: Node) -> Nodes:
    rows = b.node("reduce_sum", b.node("mul", x, x), axes=(1,))
    return {"x0": b.node("div", x, b.broadcast(rows, x.tensor.shape, (0,))), "x1": x}


def old_beside_new(b: Builder, x: Node, y: Node) -> Nodes:
    return {"x0": b.node("exp", y), "y": b.node("sub", y, x)}


def rows_old_beside_new(b: Builder, x: Node, y: Node) -> Nodes:
    """A kernel with reductions writes a state of one element a row that it reads later."""
    rows = b.node("reduce_sum", x, axes=(1,))
    state = b.graph.add("input", (), {"role": "state"}, type=rows.tensor, name="x2")
    new = b.node("neg", b.node("reduce_max", x, axes=(1,)))
    centred = b.node("sub", x, b.broadcast(rows, x.tensor.shape, (0,)))
    squares = b.node("reduce_sum", b.node("mul", centred, centred), axes=(1,))
    return {"x2": new, "y": b.node("add", squares, state), "z": centred}


STEPS = [
    swap, rotate, transposed, symmetric, squared, normalised, old_beside_new, rows_old_beside_new
]  # fmt: skip


@each_target
@pytest.mark.parametrize("step", STEPS, ids=lambda s: s.__name__)
def test_states_that_depend_on_each_other(target: Target, step: object) -> None:
    graph = build(step, "f32[23, 23]", "f32[23, 23]", states=(0, 1))  # type: ignore[arg-type]
    feeds = examples(graph, 2)
    native = Native(graph, target)
    native.check(feeds, threads=(1, 2, 3))
    twice = steps_in_interpreter(graph, feeds, 1, 2)
    found = native.run(feeds, steps=2, threads=3)
    for name in {"x0", "x1", "x2"} & set(twice):
        np.testing.assert_allclose(found[name], twice[name], rtol=1e-4, atol=1e-4)


def layers_of_8(count: int) -> Graph:
    """Products with weights, one after the other, each followed by tanh."""

    def function(b: Builder, x: Node, *weights: Node) -> Node:
        for w in weights:
            x = b.node("tanh", b.node("matmul", x, w, transpose_a=False, transpose_b=False))
        return x

    return build(function, "f32[batch, 8]", *["f32[8, 8]"] * count)


def test_alike_kernels_are_emitted_once() -> None:
    planned = stages(layers_of_8(6))["memory"]
    assert len(kernels(planned)) == 6
    module = str(generate(planned, detect()).module)
    assert module.count('define internal void @"contraction.') == 1


def test_functions_stay_small() -> None:
    """What allocates registers takes a time that grows faster than its function."""
    planned = stages(layers_of_8(150))["memory"]
    module = generate(planned, detect()).module
    sizes = {f.name: sum(len(b.instructions) for b in f.blocks) for f in module.functions}
    parts = [size for name, size in sizes.items() if name.startswith("worker.")]
    assert len(parts) == -(-150 // worker.CALLS)
    assert max(parts) < 15 * worker.CALLS
    assert sizes["worker"] < 10 * len(parts) + 20


def test_the_collector_runs_again_after_compiling() -> None:
    graph = build(lambda b, x: b.node("tanh", x), "f32[3]")
    assert gc.isenabled()
    Native(graph)
    assert gc.isenabled()
    with pytest.raises(AttributeError), compiler._collector_paused():
        assert not gc.isenabled()
        raise AttributeError
    assert gc.isenabled()
    gc.disable()
    try:
        Native(graph)
        assert not gc.isenabled()  # as the caller had it
    finally:
        gc.enable()


def test_a_program_without_kernels() -> None:
    graph = build(lambda b, x: {}, "f32[3]", states=(0,))
    feeds = examples(graph)
    assert Native(graph).run(feeds, steps=3, threads=2) == {}


def test_calls_from_several_python_threads() -> None:
    native = Native(TRAINING)
    feeds = examples(TRAINING, 1, {"batch": 64})
    expected = native.run(feeds, {"batch": 8}, steps=8, rows=64)
    others = [Native(TRAINING) for _ in range(3)]
    found: list[dict[str, Array]] = []

    def work(program: Native) -> None:
        found.append(program.run(feeds, {"batch": 8}, steps=8, rows=64, threads=2))

    running = [threading.Thread(target=work, args=(other,)) for other in others]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    assert len(found) == 3
    for results in found:
        for name, value in expected.items():
            np.testing.assert_array_equal(results[name], value)


def test_more_threads_than_work() -> None:
    graph = build(lambda b, x: b.node("reduce_sum", b.node("exp", x), axes=(0,)), "f32[3]")
    check_against_interpreter(graph, examples(graph), threads=(1, 8, 16))


def test_small_programs_run_on_one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    native = Native(TRAINING)
    started: list[int] = []
    run = native.program.code.run
    monkeypatch.setattr(native.program.code, "run", lambda a, p: (started.append(p[0]), run(a, p)))
    feeds = examples(TRAINING, 1, {"batch": 8})
    monkeypatch.setattr(compiler, "WORK_FOR_THREADS", 10**9)
    native.run(feeds, {"batch": 8}, threads=4)
    monkeypatch.setattr(compiler, "WORK_FOR_THREADS", 100)
    native.run(feeds, {"batch": 8}, threads=4)
    assert started == [1, 4]


number = st.integers(0, 63)


@settings(
    derandomize=True, database=None, deadline=None, max_examples=40,
    suppress_health_check=list(HealthCheck),
)  # fmt: skip
@given(
    st.lists(st.tuples(number, number, number, number), min_size=1, max_size=16),
    st.lists(st.integers(0, 15), min_size=1, max_size=4),
    st.sampled_from([1, 3, 19]),
)
def test_random_graphs(choices: list[Choice], inputs: list[int], batch: int) -> None:
    graph: Graph = random_graph(choices, inputs, states=2)
    symbols = {"batch": batch}
    feeds = examples(graph, 1, symbols)
    try:
        native = Native(graph)
    except Unsupported:  # a contraction whose result's columns are a symbol
        assume(False)
    native.check(feeds, symbols, threads=(1, 3), relative=1e-3, absolute=1e-4)
