"""Adam without a schedule, as `keras.optimizers.ScheduleFreeAdamW`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from graphc import ops
from graphc.trace import Tensor, Variable

from .adaptive import Slotted
from .base import fraction


class ScheduleFreeAdamW(Slotted):
    """Adam whose weights are between its own steps and their mean (Defazio et al. 2024).

    Args:
        learning_rate: 0.0025 by default.
        beta_1: how near the weights are to the mean.
        beta_2: how much of the second moment stays at each step.
        epsilon: added to the root.
        warmup_steps: in so many steps the learning rate grows to what it is.
    """

    options = ("beta_1", "beta_2", "epsilon", "warmup_steps")

    def __init__(
        self, learning_rate: Any = 0.0025, beta_1: float = 0.9, beta_2: float = 0.999,
        epsilon: float = 1e-8, warmup_steps: int = 0, **kwargs: Any,
    ) -> None:  # fmt: skip
        super().__init__(learning_rate, **kwargs)
        self.beta_1 = fraction("ScheduleFreeAdamW", "beta_1", beta_1)
        self.beta_2 = fraction("ScheduleFreeAdamW", "beta_2", beta_2)
        self.epsilon = epsilon
        self.warmup_steps = warmup_steps

    def build(self, variables: Sequence[Variable]) -> None:
        super().build(variables)
        self._slots_of: dict[Variable, tuple[Variable, Variable]] = {}
        for v in variables:
            slots = self.add_slot(v, "momentum"), self.add_slot(v, "velocity")
            slots[0].assign(v.value)
            self._slots_of[v] = slots

    def update_step(self, gradient: Tensor, variable: Variable, learning_rate: Tensor) -> None:
        step = self.step()
        if self.warmup_steps > 0:
            share = ops.minimum(ops.divide(step, float(self.warmup_steps)), 1.0)
            learning_rate = ops.multiply(learning_rate, share)
        base, second = self._slots_of[variable]
        v = self.moved(second, ops.square(gradient), 1 - self.beta_2)
        corrected = ops.divide(v, ops.subtract(1.0, ops.power(self.beta_2, step)))
        change = ops.divide(gradient, ops.add(ops.sqrt(corrected), self.epsilon))
        before = ops.convert_to_tensor(base)
        now = self.assign(base, ops.subtract(before, ops.multiply(learning_rate, change)))
        # The mean so far follows from the weights, which are between it and the last step.
        own = ops.multiply(before, 1 - self.beta_1)
        mean = ops.divide(ops.subtract(variable, own), self.beta_1)
        mean = ops.add(mean, ops.divide(ops.subtract(now, mean), step))
        new = ops.add(ops.multiply(now, 1 - self.beta_1), ops.multiply(mean, self.beta_1))
        self.assign(variable, new)
