"""What an optimizer is: a learning rate, slots beside variables, an update of ordinary ops."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from graphc import ops
from graphc.layers.base import automatic_name
from graphc.trace import Tensor, Variable, current


class Optimizer:
    """Base of optimizers, as `keras.optimizers.Optimizer`.

    One of one's own defines `update_step(gradient, variable, learning_rate)` with `graphc.ops` and
    `assign`, and `build(variables)` if it keeps slots. The step is traced into the training program
    and fused like everything else. The learning rate is an input: changing it never recompiles.

    Args:
        learning_rate: of each step; `lr` is the same.
        name: shown in messages.
    """

    def __init__(
        self, learning_rate: float = 0.001, name: str | None = None, **kwargs: Any
    ) -> None:
        if "lr" in kwargs:
            learning_rate = kwargs.pop("lr")
        if "decay" in kwargs:
            kwargs.pop("decay")
            warnings.warn(
                "decay is no longer an argument of optimizers; it is ignored", stacklevel=3
            )
        if kwargs:
            raise TypeError(
                f"{type(self).__name__}: unknown argument {', '.join(map(repr, sorted(kwargs)))}"
            )
        if isinstance(learning_rate, bool) or not isinstance(
            learning_rate, (int, float, np.number)
        ):
            raise ValueError(
                f"{type(self).__name__}: learning_rate must be a number, got {learning_rate!r}"
            )
        self.name = name or automatic_name(type(self).__name__)
        self.built = False
        self.iterations = Variable(0, "iteration", False, "int32")
        self._learning_rate = Variable(learning_rate, "learning_rate", False)
        self._slots: list[Variable] = []
        self._built_for: frozenset[Variable] = frozenset()

    @property
    def learning_rate(self) -> float:
        """The learning rate; assigning takes effect at the next step, without compiling again."""
        return float(self._learning_rate.value)

    @learning_rate.setter
    def learning_rate(self, value: float) -> None:
        self._learning_rate.assign(np.float32(value))

    lr = learning_rate

    @property
    def variables(self) -> list[Variable]:
        """Iterations, learning rate, then the slots."""
        return [self.iterations, self._learning_rate, *self._slots]

    def build(self, variables: Sequence[Variable]) -> None:
        """Makes the slots for these variables."""
        self.built = True

    def add_slot(self, variable: Variable, name: str) -> Variable:
        """Zeros of a variable's shape."""
        slot = Variable(np.zeros(variable.shape), f"{variable.name}/{name}", False, variable.dtype)
        self._slots.append(slot)
        return slot

    def assign(self, variable: Variable, value: Any) -> Tensor:
        """Makes a value the variable's new one; returns it."""
        tensor = ops.convert_to_tensor(value)
        current().assign(variable, tensor)
        return tensor

    def update_step(self, gradient: Tensor, variable: Variable, learning_rate: Tensor) -> None:
        """Assigns the variable (and its slots) their values after this step."""
        raise TypeError(f"{type(self).__name__} must define update_step")

    def apply(self, gradients: Sequence[Tensor], variables: Sequence[Variable]) -> None:
        """Traces a step for all variables, then counts it.

        Raises:
            ValueError: when a variable is not among those the optimizer was built for.
        """
        if not self.built:
            self.build(variables)
            self.built = True
            self._built_for = frozenset(variables)
        new = [v.name for v in variables if v not in self._built_for]
        if new:
            raise ValueError(
                f"optimizer {self.name!r} was built for other variables than {new}, and has kept "
                "nothing for these; compile the model again with a new optimizer"
            )
        learning_rate = ops.convert_to_tensor(self._learning_rate)
        for gradient, variable in zip(gradients, variables, strict=True):
            with current().scope(variable.name.rpartition("/")[0], "update"):
                self.update_step(gradient, variable, learning_rate)
        self.assign(self.iterations, ops.add(self.iterations, 1))

    def get_config(self) -> dict[str, Any]:
        """The arguments to make an equal optimizer with."""
        return {"name": self.name, "learning_rate": self.learning_rate}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Optimizer:
        """An optimizer from `get_config`'s result."""
        return cls(**config)


def fraction(owner: str, name: str, value: float) -> float:
    """A coefficient checked to be in [0, 1].

    Raises:
        ValueError: naming the optimizer and argument otherwise.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= 1:
        raise ValueError(f"{owner}: {name} must be between 0 and 1, got {value!r}")
    return float(value)
