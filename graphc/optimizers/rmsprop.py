"""RMSprop, as `keras.optimizers.RMSprop`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from graphc import ops
from graphc.trace import Tensor, Variable

from .base import Optimizer, fraction


class RMSprop(Optimizer):
    """w -= rate * g / sqrt(mean of g**2 + epsilon) (Hinton 2012). Epsilon is inside the root.

    Args:
        learning_rate: 0.001 by default.
        rho: how much of the mean stays at each step.
        momentum: in [0, 1]; 0 keeps no slot.
        epsilon: keeps the root from 0.
        centered: subtracts the squared mean gradient under the root.
    """

    def __init__(
        self,
        learning_rate: Any = 0.001,
        rho: float = 0.9,
        momentum: float = 0.0,
        epsilon: float = 1e-7,
        centered: bool = False,
        *,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(learning_rate, name, **kwargs)
        self.rho = fraction("RMSprop", "rho", rho)
        self.momentum = fraction("RMSprop", "momentum", momentum)
        self.epsilon = epsilon
        self.centered = centered
        self._velocities: dict[Variable, Variable] = {}
        self._momentums: dict[Variable, Variable] = {}
        self._averages: dict[Variable, Variable] = {}

    def build(self, variables: Sequence[Variable]) -> None:
        super().build(variables)
        self._velocities = {v: self.add_slot(v, "velocity") for v in variables}
        if self.momentum:
            self._momentums = {v: self.add_slot(v, "momentum") for v in variables}
        if self.centered:
            self._averages = {v: self.add_slot(v, "average_gradient") for v in variables}

    def update_step(self, gradient: Tensor, variable: Variable, learning_rate: Tensor) -> None:
        velocity = self._velocities[variable]
        mean_square = self._decay(velocity, ops.square(gradient))
        if self.centered:
            mean = self._decay(self._averages[variable], gradient)
            mean_square = ops.subtract(mean_square, ops.square(mean))
        root = ops.sqrt(ops.add(mean_square, self.epsilon))
        step = ops.divide(ops.multiply(gradient, learning_rate), root)
        if self.momentum:
            slot = self._momentums[variable]
            step = self.assign(slot, ops.add(ops.multiply(slot, self.momentum), step))
        self.assign(variable, ops.subtract(variable, step))

    def _decay(self, slot: Variable, value: Tensor) -> Tensor:
        """slot = rho * slot + (1 - rho) * value"""
        kept = ops.multiply(slot, self.rho)
        return self.assign(slot, ops.add(kept, ops.multiply(value, 1 - self.rho)))

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(), "rho": self.rho, "momentum": self.momentum,
            "epsilon": self.epsilon, "centered": self.centered,
        }  # fmt: skip
