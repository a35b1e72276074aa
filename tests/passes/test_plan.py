"""Fusion, schedule and memory plan of a training step, as the compiler leaves them."""

from __future__ import annotations

import numpy as np
import pytest
from graphs import kernels
from memory_machine import overlaps

from graphc import layers, models, ops, optimizers
from graphc.ir.graph import Graph


class ClippedSGD(optimizers.Optimizer):
    """Divides each gradient by its norm, which reads all of it before any is used."""

    def update_step(self, gradient: ops.Tensor, variable: object, learning_rate: object) -> None:
        norm = ops.sqrt(ops.sum(ops.square(gradient)))
        self.assign(variable, variable - gradient / norm * learning_rate)


def planned(optimizer: object, units: int = 24) -> Graph:
    """The planned training step of a two-layer network."""
    model = models.Sequential(
        [
            layers.Dense(units, activation="relu", input_shape=(20,), name="hidden"),
            layers.Dense(5, activation="softmax", name="top"),
        ]
    )
    model.compile(optimizer, "categorical_crossentropy", metrics=["accuracy"])
    x, y = np.zeros((4, 20), np.float32), np.eye(5, dtype=np.float32)[:4]
    model.train_on_batch(x, y)
    ((_, program),) = model.compiled_programs()
    return program.graph


def stored_in_arena(graph: Graph, shape: tuple[int, ...]) -> list[str]:
    """Values of a shape that the memory plan gives a place in the arena."""
    return [
        node.name
        for node in graph.nodes()
        if node.op == "item"
        and node.tensor.shape == shape
        and str(node.attrs["place"]).startswith("arena")
    ]


@pytest.mark.parametrize("name", ["sgd", "rmsprop", "adam"])
def test_a_gradient_read_by_its_update_alone_is_not_stored(name: str) -> None:
    graph = planned(name)
    for shape in ((20, 24), (24, 5), (24,), (5,)):
        assert stored_in_arena(graph, shape) == []


def test_a_gradient_read_by_something_else_is_stored() -> None:
    graph = planned(ClippedSGD(0.1))
    assert stored_in_arena(graph, (20, 24)) != []
    assert stored_in_arena(graph, (24, 5)) != []


def test_the_update_is_the_epilogue_of_the_kernel_gradient() -> None:
    made = kernels(planned("sgd"))
    updates = [parts for kind, parts in made if kind == "contraction" and "sub" in parts]
    assert len(updates) == 2
    assert (
        sum(kind == "contraction" for kind, _ in made) == 5
    )  # two forward, one back, two gradients


def test_an_update_comes_after_all_that_read_the_old_weight() -> None:
    graph = planned("adam")
    phases = {n: n.attrs["phase"] for n in graph.nodes() if n.op == "fused"}
    checked = 0
    for name, value in graph.outputs.items():
        if name in graph and graph[name].op == "input":
            (writer,) = graph.operands(value)
            readers = [k for k in phases if graph[name] in graph.operands(k) and k is not writer]
            assert all(phases[reader] < phases[writer] for reader in readers), name
            checked += len(readers)
    assert checked > 0


@pytest.mark.parametrize("batch", [1, 5, 128])
def test_values_that_live_together_do_not_overlap(batch: int) -> None:
    assert overlaps(planned("adam"), {"batch": batch, "rows": 1000}) == []
