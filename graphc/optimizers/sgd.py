"""Gradient descent with momentum, as `keras.optimizers.SGD`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from graphc import ops
from graphc.trace import Tensor, Variable

from .base import Optimizer, fraction


class SGD(Optimizer):
    """v = momentum * v - rate * g;  w += v, or with nesterov w += momentum * v - rate * g.

    Args:
        learning_rate: 0.01 by default.
        momentum: in [0, 1]; 0 keeps no slot.
        nesterov: Nesterov's look-ahead form (Sutskever et al. 2013).
    """

    def __init__(
        self,
        learning_rate: Any = 0.01,
        momentum: float = 0.0,
        nesterov: bool = False,
        *,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(learning_rate, name, **kwargs)
        self.momentum = fraction("SGD", "momentum", momentum)
        self.nesterov = nesterov
        self._momentums: dict[Variable, Variable] = {}

    def build(self, variables: Sequence[Variable]) -> None:
        super().build(variables)
        if self.momentum:
            self._momentums = {v: self.add_slot(v, "momentum") for v in variables}

    def update_step(self, gradient: Tensor, variable: Variable, learning_rate: Tensor) -> None:
        step = ops.multiply(gradient, learning_rate)
        if not self.momentum:
            self.assign(variable, ops.subtract(variable, step))
            return
        slot = self._momentums[variable]
        velocity = self.assign(slot, ops.subtract(ops.multiply(slot, self.momentum), step))
        if self.nesterov:
            velocity = ops.subtract(ops.multiply(velocity, self.momentum), step)
        self.assign(variable, ops.add(variable, velocity))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "momentum": self.momentum, "nesterov": self.nesterov}
