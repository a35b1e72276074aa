"""Optimizers with a learning rate for each weight, beside Adam, as in `keras.optimizers`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from graphc import ops
from graphc.trace import Tensor, Variable

from .adam import Adam
from .base import Optimizer, fraction


class Slotted(Optimizer):
    """An optimizer that keeps the slots of these names, with these first values."""

    slots: tuple[tuple[str, float], ...] = ()
    options: tuple[str, ...] = ()

    def build(self, variables: Sequence[Variable]) -> None:
        super().build(variables)
        self._of = {
            v: [self.add_slot(v, name, self.first_value(name, value)) for name, value in self.slots]
            for v in variables
        }

    def first_value(self, name: str, default: float) -> float:
        """A slot's first value."""
        return default

    def get_config(self) -> dict[str, Any]:
        own = {k: v for k, v in vars(self).items() if k in self.options}
        return {**super().get_config(), **own}

    def moved(self, slot: Variable, value: Tensor, by: float | Tensor) -> Tensor:
        """slot += (value - slot) * by"""
        change = ops.multiply(ops.subtract(value, slot), by)
        return self.assign(slot, ops.add(slot, change))

    def step(self) -> Tensor:
        """The number of this update, from 1."""
        return ops.cast(ops.add(self.iterations, 1), "float32")


class AdamW(Adam):
    """`Adam` with decoupled weight decay (Loshchilov and Hutter 2019).

    Args:
        weight_decay: 0.004 by default.
        others: see `Adam`.
    """

    def __init__(
        self, learning_rate: Any = 0.001, weight_decay: float = 0.004, beta_1: float = 0.9,
        beta_2: float = 0.999, epsilon: float = 1e-7, amsgrad: bool = False, **kwargs: Any,
    ) -> None:  # fmt: skip
        if weight_decay is None:
            raise ValueError("AdamW: weight_decay must be a number, got None")
        super().__init__(
            learning_rate, beta_1, beta_2, epsilon, amsgrad, weight_decay=weight_decay, **kwargs
        )


class Adamax(Slotted):
    """`Adam` with the largest gradient in place of the second moment (Kingma and Ba 2015).

    Args:
        learning_rate: 0.001 by default.
        beta_1, beta_2: how much of the moment and of the largest gradient stays at each step.
        epsilon: added to the largest gradient.
    """

    slots = (
        ("momentum", 0.0),
        ("norm", 0.0),
    )
    options = ("beta_1", "beta_2", "epsilon")

    def __init__(
        self, learning_rate: Any = 0.001, beta_1: float = 0.9, beta_2: float = 0.999,
        epsilon: float = 1e-7, **kwargs: Any,
    ) -> None:  # fmt: skip
        super().__init__(learning_rate, **kwargs)
        self.beta_1 = fraction("Adamax", "beta_1", beta_1)
        self.beta_2 = fraction("Adamax", "beta_2", beta_2)
        self.epsilon = epsilon

    def update_step(self, gradient: Tensor, variable: Variable, learning_rate: Tensor) -> None:
        first, norm = self._of[variable]
        m = self.moved(first, gradient, 1 - self.beta_1)
        u = self.assign(norm, ops.maximum(ops.multiply(norm, self.beta_2), ops.abs(gradient)))
        whole = ops.subtract(1.0, ops.power(self.beta_1, self.step()))
        rate = ops.divide(learning_rate, whole)
        change = ops.divide(ops.multiply(rate, m), ops.add(u, self.epsilon))
        self.assign(variable, ops.subtract(variable, change))


class Nadam(Slotted):
    """`Adam` with Nesterov's momentum (Dozat 2015).

    Args:
        learning_rate: 0.001 by default.
        beta_1, beta_2: how much of the first and second moments stays at each step.
        epsilon: added to the root.
    """

    slots = (
        ("momentum", 0.0),
        ("velocity", 0.0),
    )
    options = ("beta_1", "beta_2", "epsilon")

    def __init__(
        self, learning_rate: Any = 0.001, beta_1: float = 0.9, beta_2: float = 0.999,
        epsilon: float = 1e-7, **kwargs: Any,
    ) -> None:  # fmt: skip
        super().__init__(learning_rate, **kwargs)
        self.beta_1 = fraction("Nadam", "beta_1", beta_1)
        self.beta_2 = fraction("Nadam", "beta_2", beta_2)
        self.epsilon = epsilon
        self._product = Variable(1.0, "u_product", False)

    def build(self, variables: Sequence[Variable]) -> None:
        super().build(variables)
        self._slots.append(self._product)

    def _momentum_at(self, step: Tensor) -> Tensor:
        return ops.multiply(self.beta_1, 1.0 - 0.5 * ops.power(0.96, step))

    def before_updates(self) -> None:
        self.assign(self._product, ops.multiply(self._product, self._momentum_at(self.step())))

    def update_step(self, gradient: Tensor, variable: Variable, learning_rate: Tensor) -> None:
        first, second = self._of[variable]
        step = self.step()
        now, following = self._momentum_at(step), self._momentum_at(step + 1.0)
        m = self.moved(first, gradient, 1 - self.beta_1)
        v = self.moved(second, ops.square(gradient), 1 - self.beta_2)
        ahead = following / (1.0 - self._product * following)
        current = (1.0 - now) / (1.0 - self._product)
        m_hat = ops.add(ops.multiply(m, ahead), ops.multiply(gradient, current))
        v_hat = ops.divide(v, 1.0 - ops.power(self.beta_2, step))
        change = ops.multiply(m_hat, learning_rate)
        change = ops.divide(change, ops.add(ops.sqrt(v_hat), self.epsilon))
        self.assign(variable, ops.subtract(variable, change))


class Adagrad(Slotted):
    """w -= rate * g / sqrt(sum of g**2 + epsilon) (Duchi et al. 2011).

    Args:
        learning_rate: 0.001 by default.
        initial_accumulator_value: the sum's first value, 0.1 by default.
        epsilon: keeps the root from 0.
    """

    slots = (("accumulator", 0.1),)
    options = ("initial_accumulator_value", "epsilon")

    def __init__(
        self, learning_rate: Any = 0.001, initial_accumulator_value: float = 0.1,
        epsilon: float = 1e-7, **kwargs: Any,
    ) -> None:  # fmt: skip
        super().__init__(learning_rate, **kwargs)
        self.initial_accumulator_value = initial_accumulator_value
        self.epsilon = epsilon

    def first_value(self, name: str, default: float) -> float:
        return self.initial_accumulator_value

    def update_step(self, gradient: Tensor, variable: Variable, learning_rate: Tensor) -> None:
        (slot,) = self._of[variable]
        total = self.assign(slot, ops.add(slot, ops.square(gradient)))
        root = ops.sqrt(ops.add(total, self.epsilon))
        self.assign(variable, ops.subtract(variable, learning_rate * gradient / root))


class Adadelta(Slotted):
    """w -= rate * g * rms(changes) / rms(gradients) (Zeiler 2012).

    Args:
        learning_rate: 0.001 by default; 1 is the paper's.
        rho: how much of the means of squares stays at each step.
        epsilon: added under the roots.
    """

    slots = (
        ("accumulated_grad", 0.0),
        ("accumulated_delta_var", 0.0),
    )
    options = ("rho", "epsilon")

    def __init__(
        self, learning_rate: Any = 0.001, rho: float = 0.95, epsilon: float = 1e-7, **kwargs: Any
    ) -> None:
        super().__init__(learning_rate, **kwargs)
        self.rho = fraction("Adadelta", "rho", rho)
        self.epsilon = epsilon

    def update_step(self, gradient: Tensor, variable: Variable, learning_rate: Tensor) -> None:
        gradients, changes = self._of[variable]
        kept = ops.multiply(gradients, self.rho)
        mean = self.assign(gradients, kept + (1 - self.rho) * ops.square(gradient))
        roots = [ops.sqrt(ops.add(x, self.epsilon)) for x in (changes, mean)]
        change = ops.divide(ops.multiply(roots[0], gradient), roots[1])
        self.assign(changes, changes * self.rho + (1 - self.rho) * ops.square(change))
        self.assign(variable, ops.subtract(variable, learning_rate * change))


class Ftrl(Slotted):
    """Follow the regularised leader (McMahan et al. 2013).

    Args:
        learning_rate: 0.001 by default.
        learning_rate_power: at most 0.
        initial_accumulator_value: of the sum of squares, 0.1 by default.
        l1_regularization_strength, l2_regularization_strength: penalties.
        l2_shrinkage_regularization_strength: penalty on the size of steps.
        beta: added to the rate's denominator.
    """

    slots = (
        ("accumulator", 0.1),
        ("linear", 0.0),
    )
    options = (
        "learning_rate_power", "initial_accumulator_value", "l1_regularization_strength",
        "l2_regularization_strength", "l2_shrinkage_regularization_strength", "beta",
    )  # fmt: skip

    def __init__(
        self, learning_rate: Any = 0.001, learning_rate_power: float = -0.5,
        initial_accumulator_value: float = 0.1, l1_regularization_strength: float = 0.0,
        l2_regularization_strength: float = 0.0,
        l2_shrinkage_regularization_strength: float = 0.0, beta: float = 0.0, **kwargs: Any,
    ) -> None:  # fmt: skip
        super().__init__(learning_rate, **kwargs)
        given = {
            "initial_accumulator_value": initial_accumulator_value,
            "l1_regularization_strength": l1_regularization_strength,
            "l2_regularization_strength": l2_regularization_strength,
            "l2_shrinkage_regularization_strength": l2_shrinkage_regularization_strength,
        }
        for name, value in given.items():
            if value < 0:
                raise ValueError(f"Ftrl: {name} must be at least 0, got {value!r}")
        if learning_rate_power > 0:
            raise ValueError(
                f"Ftrl: learning_rate_power must be at most 0, got {learning_rate_power!r}"
            )
        self.learning_rate_power = learning_rate_power
        self.initial_accumulator_value = initial_accumulator_value
        self.l1_regularization_strength = l1_regularization_strength
        self.l2_regularization_strength = l2_regularization_strength
        self.l2_shrinkage_regularization_strength = l2_shrinkage_regularization_strength
        self.beta = beta

    def first_value(self, name: str, default: float) -> float:
        return self.initial_accumulator_value if name == "accumulator" else default

    def update_step(self, gradient: Tensor, variable: Variable, learning_rate: Tensor) -> None:
        squares, slot = self._of[variable]
        power, l1 = -self.learning_rate_power, self.l1_regularization_strength
        l2 = self.l2_regularization_strength + self.beta / (2.0 * learning_rate)
        shrunk = gradient + 2 * self.l2_shrinkage_regularization_strength * variable
        before = ops.power(squares, power)
        total = ops.add(squares, ops.square(gradient))
        after = ops.power(total, power)
        linear = self.assign(slot, slot + shrunk - (after - before) / learning_rate * variable)
        quadratic = after / learning_rate + 2.0 * l2
        self.assign(variable, (ops.clip(linear, -l1, l1) - linear) / quadratic)
        self.assign(squares, total)


class Lion(Slotted):
    """w -= rate * sign of a moving gradient (Chen et al. 2023).

    Args:
        learning_rate: 0.001 by default.
        beta_1: how much of the moment counts in the sign; above 0.
        beta_2: how much of the moment stays at each step.
    """

    slots = (("momentum", 0.0),)
    options = ("beta_1", "beta_2")

    def __init__(
        self, learning_rate: Any = 0.001, beta_1: float = 0.9, beta_2: float = 0.99, **kwargs: Any
    ) -> None:
        super().__init__(learning_rate, **kwargs)
        self.beta_1 = fraction("Lion", "beta_1", beta_1)
        self.beta_2 = fraction("Lion", "beta_2", beta_2)
        if not self.beta_1:
            raise ValueError("Lion: beta_1 must be above 0")

    def update_step(self, gradient: Tensor, variable: Variable, learning_rate: Tensor) -> None:
        (slot,) = self._of[variable]
        mixed = ops.add(ops.multiply(slot, self.beta_1), gradient * (1 - self.beta_1))
        self.assign(variable, ops.subtract(variable, learning_rate * ops.sign(mixed)))
        self.assign(slot, ops.add(ops.multiply(slot, self.beta_2), gradient * (1 - self.beta_2)))


class Lamb(Slotted):
    """`Adam` with steps in proportion to each variable's length (You et al. 2020).

    Args:
        learning_rate: 0.001 by default.
        beta_1, beta_2: how much of the first and second moments stays at each step.
        epsilon: added to the root.
    """

    slots = (
        ("momentum", 0.0),
        ("velocity", 0.0),
    )
    options = ("beta_1", "beta_2", "epsilon")

    def __init__(
        self, learning_rate: Any = 0.001, beta_1: float = 0.9, beta_2: float = 0.999,
        epsilon: float = 1e-7, **kwargs: Any,
    ) -> None:  # fmt: skip
        super().__init__(learning_rate, **kwargs)
        self.beta_1 = fraction("Lamb", "beta_1", beta_1)
        self.beta_2 = fraction("Lamb", "beta_2", beta_2)
        self.epsilon = epsilon

    def update_step(self, gradient: Tensor, variable: Variable, learning_rate: Tensor) -> None:
        first, second = self._of[variable]
        step = self.step()
        m = self.moved(first, gradient, 1 - self.beta_1)
        v = self.moved(second, ops.square(gradient), 1 - self.beta_2)
        m_hat = ops.divide(m, 1.0 - ops.power(self.beta_1, step))
        v_hat = ops.divide(v, 1.0 - ops.power(self.beta_2, step))
        update = ops.divide(m_hat, ops.add(ops.sqrt(v_hat), self.epsilon))
        lengths = [ops.sqrt(ops.sum(ops.square(x))) for x in (variable, update)]
        known = ops.logical_and(lengths[0] > 0.0, lengths[1] > 0.0)
        ratio = ops.where(known, lengths[0] / ops.where(known, lengths[1], 1.0), 1.0)
        self.assign(variable, ops.subtract(variable, ratio * learning_rate * update))
