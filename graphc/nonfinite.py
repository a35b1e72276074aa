"""Where infinities and NaN come from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from .ir.graph import Graph, Node
from .ir.interpret import interpret


@dataclass(frozen=True)
class NonFinite:
    """The first value that is not finite: what `find_nonfinite` returns."""

    node: str
    op: str
    layer: str
    phase: str
    where: str

    def __str__(self) -> str:
        layer = f"layer {self.layer!r}" if self.layer else "no layer"
        called = f", called at {self.where}" if self.where else ""
        return f"first non-finite value: %{self.node} = {self.op}, {layer}, {self.phase}{called}"


def first_nonfinite(
    graph: Graph, arrays: Mapping[str, np.ndarray], state: Mapping[str, np.ndarray], rows: int
) -> NonFinite | None:
    """The first node, operands before users, whose value is not finite; None if all are.

    Args:
        graph: of a training program before fusion.
        arrays: data by input name.
        state: variables' values by input name.
        rows: the batch size.
    """
    found: list[Node] = []

    def watch(node: Node, value: np.ndarray) -> None:
        wrong = np.issubdtype(value.dtype, np.floating) and not np.isfinite(value).all()
        if wrong and not found:
            found.append(node)

    interpret(graph, {**state, **arrays}, {"batch": rows}, watch)
    if not found:
        return None
    node = found[0]
    layer = node.scope.layer
    if node.op == "input":
        layer = "data" if node.name in arrays else node.name.rpartition("/")[0]
    phase = "data" if layer == "data" else node.scope.phase
    return NonFinite(node.name, node.op, layer, phase, node.scope.where)


class LossWatch:
    """Says once, with epoch and step, that the loss is no longer finite."""

    def __init__(self) -> None:
        self.said = False

    def look(self, step_losses: np.ndarray, epoch: int, start: int) -> None:
        if self.said:
            return
        wrong = ~np.isfinite(step_losses)
        if wrong.any():
            self.said = True
            step = start + int(np.argmax(wrong)) + 1
            print(
                f"\nThe loss became {step_losses[np.argmax(wrong)]} in epoch {epoch + 1}, step "
                f"{step}; training goes on. model.find_nonfinite(x, y) names where it comes from; "
                "callbacks.TerminateOnNaN() stops."
            )
