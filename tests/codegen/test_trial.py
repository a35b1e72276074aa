"""Kernels by themselves, and which run is fastest."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import pytest
from graphs import build, stages

from graphc.codegen import trial
from graphc.codegen.kernels import signature
from graphc.codegen.target import detect
from graphc.ir.graph import Graph, Node
from graphc.passes.shapes import Builder

PLAN = f"2x{2 * detect().lanes} k16 chunk 3 group 2"


def planned() -> Graph:
    """An optimizer's step, in place, whose gradient comes from a batch."""

    def step(b: Builder, x: Node, dy: Node, w: Node) -> dict[str, Node]:
        return {
            "x2": b.node("sub", w, b.node("matmul", x, dy, transpose_a=True, transpose_b=False))
        }

    graph = build(step, "f32[batch, 30]", "f32[batch, 40]", "f32[30, 40]", states=(2,))
    return stages(graph)["memory"]


def kernel(graph: Graph) -> Node:
    (found,) = [n for n in graph.nodes() if n.op == "fused"]
    return found


def test_a_kernel_by_itself_has_the_same_code() -> None:
    """Alone it is the same function, which writes its last operand's memory."""
    graph = planned()
    program = trial.alone(graph, kernel(graph), PLAN, ["batch"])
    kernel(graph).attrs["body"] = trial.with_plan(kernel(graph), PLAN)
    assert signature(program, kernel(program)) == signature(graph, kernel(graph))
    assert " {2, 3} " in signature(program, kernel(program))
    assert PLAN in signature(program, kernel(program))


def test_the_plan_goes_into_a_copy() -> None:
    graph = planned()
    before = signature(graph, kernel(graph))
    trial.with_plan(kernel(graph), PLAN)
    assert signature(graph, kernel(graph)) == before


@pytest.mark.parametrize("times", [1, 3])
def test_it_runs_as_often_as_it_is_told(times: int, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = itertools.count(5.0, 2.0)
    monkeypatch.setattr(trial.time, "thread_time", lambda: next(clock))
    found: list[np.ndarray] = []
    make = trial._memory

    def remembered(*arguments: Any) -> list[np.ndarray]:
        found.extend(make(*arguments))
        return list(found)

    monkeypatch.setattr(trial, "_memory", remembered)
    graph = planned()
    sizes = {"batch": 8}
    program = trial.alone(graph, kernel(graph), PLAN, ["batch"])
    (run,) = trial.timed([program], detect(), sizes, 1)
    x, dy, w, _ = (array[:count] for array, count in zip(found, (240, 320, 1200, 0), strict=True))
    expected = w.reshape(30, 40).astype("f8")
    expected = expected - times * (x.reshape(8, 30).T @ dy.reshape(8, 40))
    assert run(times) == 2.0
    assert abs(w.reshape(30, 40) - expected).max() < 1e-4


def fake(seconds: float | Iterable[float]) -> Callable[[int], float]:
    """Runs that take so long, each time or one time after another."""
    each = itertools.repeat(seconds) if isinstance(seconds, float) else iter(seconds)
    return lambda times: times * next(each)


@pytest.mark.parametrize(
    ("seconds", "winner"),
    [
        ([1.0], 0),
        ([1.0, 0.9, 0.5, 0.8], 2),
        ([1.0, 0.97, 2.0], 0),  # not by the margin
        ([1e-9, 0.5e-9], 1),
    ],
)
def test_the_fastest_wins_by_a_margin(seconds: list[float], winner: int) -> None:
    found, speedup = trial.fastest([fake(s) for s in seconds])
    assert found == winner
    assert speedup == pytest.approx(seconds[0] / seconds[winner])


def test_luck_does_not_last() -> None:
    lucky = [1.0] * (trial.ROUNDS - 1) + [0.5] + [1.0] * trial.ROUNDS
    assert trial.fastest([fake(1.0), fake(lucky)]) == (0, 1.0)


def test_interruptions_do_not_count() -> None:
    interrupted = [1.0] + [0.8, 9.0] * trial.ROUNDS
    assert trial.fastest([fake(1.0), fake(interrupted)]) == (1, pytest.approx(1.25))
