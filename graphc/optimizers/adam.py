"""Adam, as `keras.optimizers.Adam`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from graphc import ops
from graphc.trace import Tensor, Variable

from .base import Optimizer, fraction


class Adam(Optimizer):
    """w -= rate' * m / (sqrt(v) + epsilon), the bias correction in rate' (Kingma and Ba 2015).

    Args:
        learning_rate: 0.001 by default.
        beta_1, beta_2: how much of the first and second moments stays at each step.
        epsilon: added to the root, "epsilon hat" of the paper's section 2.1.
        amsgrad: uses the largest v so far (Reddi et al. 2018).
    """

    def __init__(
        self,
        learning_rate: Any = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        amsgrad: bool = False,
        *,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(learning_rate, name, **kwargs)
        self.beta_1 = fraction("Adam", "beta_1", beta_1)
        self.beta_2 = fraction("Adam", "beta_2", beta_2)
        self.epsilon = epsilon
        self.amsgrad = amsgrad
        self._slots_of: dict[Variable, tuple[Variable, Variable]] = {}
        self._largest: dict[Variable, Variable] = {}
        self._rate: Tensor | None = None

    def build(self, variables: Sequence[Variable]) -> None:
        super().build(variables)
        for v in variables:
            self._slots_of[v] = self.add_slot(v, "momentum"), self.add_slot(v, "velocity")
        if self.amsgrad:
            self._largest = {v: self.add_slot(v, "velocity_hat") for v in variables}

    def before_updates(self) -> None:
        self._rate = None

    def _corrected_rate(self, learning_rate: Tensor) -> Tensor:
        """rate * sqrt(1 - beta_2**t) / (1 - beta_1**t): once a step, with the first variable."""
        if self._rate is None:
            step = ops.cast(ops.add(self.iterations, 1), "float32")
            root = ops.sqrt(ops.subtract(1.0, ops.power(self.beta_2, step)))
            whole = ops.subtract(1.0, ops.power(self.beta_1, step))
            self._rate = ops.divide(ops.multiply(learning_rate, root), whole)
        return self._rate

    def update_step(self, gradient: Tensor, variable: Variable, learning_rate: Tensor) -> None:
        rate = self._corrected_rate(learning_rate)
        first, second = self._slots_of[variable]
        m = self._approach(first, gradient, 1 - self.beta_1)
        v = self._approach(second, ops.square(gradient), 1 - self.beta_2)
        if self.amsgrad:
            largest = self._largest[variable]
            v = self.assign(largest, ops.maximum(largest, v))
        step = ops.divide(ops.multiply(m, rate), ops.add(ops.sqrt(v), self.epsilon))
        self.assign(variable, ops.subtract(variable, step))

    def _approach(self, slot: Variable, value: Tensor, by: float) -> Tensor:
        """slot += (value - slot) * by"""
        change = ops.multiply(ops.subtract(value, slot), by)
        return self.assign(slot, ops.add(slot, change))

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(), "beta_1": self.beta_1, "beta_2": self.beta_2,
            "epsilon": self.epsilon, "amsgrad": self.amsgrad,
        }  # fmt: skip
