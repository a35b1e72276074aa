"""Muon, as `keras.optimizers.Muon`."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any

from graphc import ops
from graphc.trace import Tensor, Variable

from .adaptive import Slotted


class Muon(Slotted):
    """For matrices, steps along the orthogonal matrix that is nearest to the momentum.

    It is found by Newton and Schulz's iteration (Jordan et al. 2024). All other weights take the
    steps of `Adam`.

    Args:
        learning_rate: 0.001 by default.
        adam_beta_1, adam_beta_2, epsilon: of Adam.
        adam_weight_decay, weight_decay: of weights that Adam changes, and of matrices.
        exclude_layers: patterns of names of weights that are left to Adam.
        exclude_embeddings: whether weights of embeddings are left to Adam.
        muon_a, muon_b, muon_c: factors of x, x**3 and x**5 in the iteration.
        adam_lr_ratio: times the learning rate, Adam's.
        momentum: how much of the momentum stays at each step.
        ns_steps: how often to iterate.
        nesterov: whether to step from the momentum after the next step.
        rms_rate: steps of a matrix are multiplied by this and by the root of its larger size; None
            for neither.
    """

    options = (
        "adam_beta_1", "adam_beta_2", "adam_weight_decay", "epsilon", "exclude_layers",
        "exclude_embeddings", "muon_a", "muon_b", "muon_c", "adam_lr_ratio", "momentum",
        "ns_steps", "nesterov", "rms_rate",
    )  # fmt: skip

    def __init__(
        self, learning_rate: Any = 0.001, adam_beta_1: float = 0.9, adam_beta_2: float = 0.999,
        adam_weight_decay: float | None = 0.004, epsilon: float = 1e-7,
        weight_decay: float | None = 0.004, *, exclude_layers: Sequence[str] | None = None,
        exclude_embeddings: bool = True, muon_a: float = 3.4445, muon_b: float = -4.7750,
        muon_c: float = 2.0315, adam_lr_ratio: float = 1, momentum: float = 0.95,
        ns_steps: int = 5, nesterov: bool = True, rms_rate: float | None = 0.2, **kwargs: Any,
    ) -> None:  # fmt: skip
        super().__init__(learning_rate, weight_decay=weight_decay, **kwargs)
        self.adam_beta_1 = adam_beta_1
        self.adam_beta_2 = adam_beta_2
        self.adam_weight_decay = adam_weight_decay
        self.epsilon = epsilon
        self.exclude_layers = list(exclude_layers or [])
        self.exclude_embeddings = exclude_embeddings
        self.muon_a, self.muon_b, self.muon_c = muon_a, muon_b, muon_c
        self.adam_lr_ratio = adam_lr_ratio
        self.momentum = momentum
        self.ns_steps = ns_steps
        self.nesterov = nesterov
        self.rms_rate = rms_rate

    def _by_adam(self, variable: Variable) -> bool:
        name = variable.name
        return (
            len(variable.shape) != 2
            or (self.exclude_embeddings and "embedding" in name.lower())
            or any(re.search(pattern, name) for pattern in self.exclude_layers)
        )

    def decay_of(self, variable: Variable) -> float | None:
        return self.adam_weight_decay if self._by_adam(variable) else self.weight_decay

    def build(self, variables: Sequence[Variable]) -> None:
        super().build(variables)
        self._moments: dict[Variable, Variable] = {}
        self._squares: dict[Variable, Variable] = {}
        for v in variables:
            self._moments[v] = self.add_slot(v, "momentum")
            if self._by_adam(v):
                self._squares[v] = self.add_slot(v, "velocity")

    def update_step(self, gradient: Tensor, variable: Variable, learning_rate: Tensor) -> None:
        if variable in self._squares:
            off = self._adam_step(gradient, variable, learning_rate)
        else:
            off = self._matrix_step(gradient, variable, learning_rate)
        self.assign(variable, ops.subtract(variable, off))

    def _adam_step(self, gradient: Tensor, variable: Variable, learning_rate: Tensor) -> Tensor:
        step = self.step()
        first, second = (ops.power(b, step) for b in (self.adam_beta_1, self.adam_beta_2))
        root = ops.divide(ops.sqrt(ops.subtract(1.0, second)), ops.subtract(1.0, first))
        rate = ops.multiply(ops.multiply(learning_rate, float(self.adam_lr_ratio)), root)
        m = self.moved(self._moments[variable], gradient, 1 - self.adam_beta_1)
        v = self.moved(self._squares[variable], ops.square(gradient), 1 - self.adam_beta_2)
        return ops.divide(ops.multiply(m, rate), ops.add(ops.sqrt(v), self.epsilon))

    def _matrix_step(self, gradient: Tensor, variable: Variable, learning_rate: Tensor) -> Tensor:
        slot = self._moments[variable]
        m = self.assign(slot, ops.add(ops.multiply(slot, self.momentum), gradient))
        direction = ops.add(gradient, ops.multiply(m, self.momentum)) if self.nesterov else m
        size = 1.0
        if self.rms_rate is not None:
            size = math.sqrt(max(variable.shape)) * self.rms_rate
        return ops.multiply(ops.multiply(self._orthogonal(direction), learning_rate), size)

    def _orthogonal(self, x: Tensor) -> Tensor:
        """x with all singular values near 1: some 0.7 to 1.2, which does as well."""
        rows, columns = x.shape
        assert isinstance(rows, int) and isinstance(columns, int)
        if rows > columns:
            return ops.transpose(self._orthogonal(ops.transpose(x)))
        x = ops.divide(x, ops.add(ops.sqrt(ops.sum(ops.square(x))), 1e-7))
        for _ in range(self.ns_steps):
            squared = ops.matmul(x, ops.transpose(x))
            more = ops.add(
                ops.multiply(squared, self.muon_b),
                ops.multiply(ops.matmul(squared, squared), self.muon_c),
            )
            x = ops.add(ops.multiply(x, self.muon_a), ops.matmul(more, x))
        return x
