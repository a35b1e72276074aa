"""Adafactor, as `keras.optimizers.Adafactor`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from graphc import ops
from graphc.trace import Tensor, Variable

from .adaptive import Slotted


class Adafactor(Slotted):
    """Steps by the root of the second moment, kept as its rows' and columns' means.

    For matrices the moment is rows * columns / mean(rows), for vectors it is kept whole; steps are
    relative to the weights' size (Shazeer and Stern 2018).

    Args:
        learning_rate: 0.001 by default; at most 1 / sqrt(step).
        beta_2_decay: the moment's share that stays is 1 - step ** beta_2_decay.
        epsilon_1: added to squared gradients.
        epsilon_2: the least size of weights that steps are relative to.
        clip_threshold: the largest root mean square of a step before these factors.
        relative_step: accepted; as in Keras it changes nothing.
    """

    options = ("beta_2_decay", "epsilon_1", "epsilon_2", "clip_threshold", "relative_step")

    def __init__(
        self, learning_rate: Any = 0.001, beta_2_decay: float = -0.8, epsilon_1: float = 1e-30,
        epsilon_2: float = 1e-3, clip_threshold: float = 1.0, relative_step: bool = True,
        **kwargs: Any,
    ) -> None:  # fmt: skip
        super().__init__(learning_rate, **kwargs)
        self.beta_2_decay = beta_2_decay
        self.epsilon_1 = epsilon_1
        self.epsilon_2 = epsilon_2
        self.clip_threshold = clip_threshold
        self.relative_step = relative_step

    def build(self, variables: Sequence[Variable]) -> None:
        super().build(variables)
        self._means: dict[Variable, tuple[Variable, Variable]] = {}
        self._moments: dict[Variable, Variable] = {}
        for v in variables:
            if len(v.shape) >= 2:
                rows = self.add_slot(v, "rows", shape=v.shape[:-1])
                columns = self.add_slot(v, "columns", shape=(*v.shape[:-2], v.shape[-1]))
                self._means[v] = rows, columns
            else:  # Keras has two numbers in their place, which nothing reads
                for name in ("rows", "columns"):
                    self.add_slot(v, name, shape=())
            self._moments[v] = self.add_slot(v, "velocity")

    def update_step(self, gradient: Tensor, variable: Variable, learning_rate: Tensor) -> None:
        step = self.step()
        rate = ops.minimum(learning_rate, ops.rsqrt(step))
        size = ops.maximum(_root_mean_square(ops.convert_to_tensor(variable)), self.epsilon_2)
        new = ops.power(step, self.beta_2_decay)
        square = ops.add(ops.square(gradient), self.epsilon_1)
        if variable in self._means:
            rows, columns = self._means[variable]
            r = self.moved(rows, ops.mean(square, -1), new)
            c = self.moved(columns, ops.mean(square, -2), new)
            share = ops.divide(r, ops.mean(r, -1, keepdims=True))
            whole = ops.multiply(ops.expand_dims(share, -1), ops.expand_dims(c, -2))
            moment = self.assign(self._moments[variable], whole)
        else:
            moment = self.moved(self._moments[variable], square, new)
        change = ops.divide(gradient, ops.sqrt(moment))
        too_large = ops.divide(_root_mean_square(change), self.clip_threshold)
        change = ops.divide(change, ops.maximum(too_large, 1.0))
        off = ops.multiply(ops.multiply(rate, size), change)
        self.assign(variable, ops.subtract(variable, off))


def _root_mean_square(x: Tensor) -> Tensor:
    return ops.sqrt(ops.mean(ops.square(x)))
