"""What weights are held to after each step, as `keras.constraints`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from . import ops
from .registration import CustomObjectScope, export
from .serialization import serialize_keras_object
from .trace import Tensor
from .utils import resolve, snake_case

EPSILON = 1e-7  # keras.config.epsilon()
Axis = int | Sequence[int]


class Constraint:
    """Base of constraints; one of one's own defines `__call__(w)` with `graphc.ops`."""

    def __call__(self, w: Any) -> Tensor:
        """The weights as they are to be."""
        raise TypeError(f"{type(self).__name__} must define __call__(self, w)")

    def get_config(self) -> dict[str, Any]:
        """The arguments to make an equal constraint with."""
        return dict(vars(self))

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Constraint:
        """A constraint from `get_config`'s result."""
        return cls(**config)


def _norm(w: Any, axis: Axis) -> Tensor:
    axes = axis if isinstance(axis, int) else tuple(axis)
    return ops.sqrt(ops.sum(ops.square(w), axes, keepdims=True))


class MaxNorm(Constraint):
    """Lengths along an axis at most max_value.

    Args:
        max_value: 2 by default.
        axis: 0 by default: of the weights into each unit.
    """

    def __init__(self, max_value: float = 2, axis: Axis = 0) -> None:
        self.max_value = max_value
        self.axis = axis

    def __call__(self, w: Any) -> Tensor:
        norms = _norm(w, self.axis)
        return w * (ops.clip(norms, 0.0, float(self.max_value)) / (EPSILON + norms))  # type: ignore[no-any-return]


class NonNeg(Constraint):
    """No weight below 0."""

    def __call__(self, w: Any) -> Tensor:
        return ops.multiply(w, ops.cast(ops.greater_equal(w, 0.0), "float32"))


class UnitNorm(Constraint):
    """Lengths along an axis of 1.

    Args:
        axis: 0 by default.
    """

    def __init__(self, axis: Axis = 0) -> None:
        self.axis = axis

    def __call__(self, w: Any) -> Tensor:
        return ops.divide(w, EPSILON + _norm(w, self.axis))


class MinMaxNorm(Constraint):
    """Lengths along an axis between two values.

    Args:
        min_value, max_value: 0 and 1 by default.
        rate: how much of the way to go at each step, 1 by default.
        axis: 0 by default.
    """

    def __init__(
        self, min_value: float = 0.0, max_value: float = 1.0, rate: float = 1.0, axis: Axis = 0
    ) -> None:
        self.min_value = min_value
        self.max_value = max_value
        self.rate = rate
        self.axis = axis

    def __call__(self, w: Any) -> Tensor:
        norms = _norm(w, self.axis)
        wanted = self.rate * ops.clip(norms, self.min_value, self.max_value)
        wanted = wanted + (1 - self.rate) * norms
        return ops.multiply(w, ops.divide(wanted, EPSILON + norms))


max_norm, non_neg, unit_norm, min_max_norm = MaxNorm, NonNeg, UnitNorm, MinMaxNorm
_CLASSES: tuple[type[Constraint], ...] = (MaxNorm, NonNeg, UnitNorm, MinMaxNorm)
_NAMES: dict[str, type[Constraint]] = {
    **{cls.__name__: cls for cls in _CLASSES},
    **{snake_case(cls.__name__): cls for cls in _CLASSES},
}


def get(identifier: Any) -> Callable[[Any], Tensor] | None:
    """The constraint of a name, class, instance, function or configuration; None for None.

    Raises:
        ValueError: for an unknown name, with the nearest known one.
    """
    found: Callable[[Any], Tensor] | None = resolve(
        "constraint", identifier, _NAMES, "keras.constraints"
    )
    return found


def serialize(constraint: Callable[[Any], Tensor] | None) -> dict[str, Any] | None:
    """The configuration of a constraint, as Keras writes it."""
    config: dict[str, Any] | None = serialize_keras_object(constraint)
    return config


def deserialize(config: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """The constraint of a configuration; `custom_objects` are a user's own, by name."""
    with CustomObjectScope(custom_objects):
        return get(config)


export("keras.constraints", _CLASSES)
export("keras.constraints", _NAMES)
export("keras", [Constraint])
