"""Penalties on weights and results, as `keras.regularizers`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from . import ops
from .registration import CustomObjectScope, export
from .serialization import serialize_keras_object
from .trace import Tensor
from .utils import resolve, snake_case


class Regularizer:
    """Base of regularizers; one of one's own defines `__call__(x)` with `graphc.ops`."""

    def __call__(self, x: Any) -> Tensor:
        """The penalty, a scalar that is added to the loss."""
        raise TypeError(f"{type(self).__name__} must define __call__(self, x)")

    def get_config(self) -> dict[str, Any]:
        """The arguments to make an equal regularizer with."""
        return dict(vars(self))

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Regularizer:
        """A regularizer from `get_config`'s result."""
        return cls(**config)


def _factor(owner: str, name: str, value: Any) -> float:
    value = 0.01 if value is None and owner != "L1L2" else value or 0.0
    if not isinstance(value, (int, float)) or value < 0:
        raise ValueError(f"{owner}: {name} must be a number of at least 0, got {value!r}")
    return float(value)


class L1L2(Regularizer):
    """l1 * sum(|x|) + l2 * sum(x**2).

    Args:
        l1, l2: factors, 0 by default.
    """

    def __init__(self, l1: float = 0.0, l2: float = 0.0) -> None:
        self.l1 = _factor("L1L2", "l1", l1)
        self.l2 = _factor("L1L2", "l2", l2)

    def __call__(self, x: Any) -> Tensor:
        total = ops.convert_to_tensor(0.0)
        if self.l1:
            total = ops.add(total, ops.multiply(self.l1, ops.sum(ops.absolute(x))))
        if self.l2:
            total = ops.add(total, ops.multiply(self.l2, ops.sum(ops.square(x))))
        return total


class L1(Regularizer):
    """l1 * sum(|x|).

    Args:
        l1: 0.01 by default.
    """

    def __init__(self, l1: float = 0.01) -> None:
        self.l1 = _factor("L1", "l1", l1)

    def __call__(self, x: Any) -> Tensor:
        return ops.multiply(self.l1, ops.sum(ops.absolute(x)))


class L2(Regularizer):
    """l2 * sum(x**2).

    Args:
        l2: 0.01 by default.
    """

    def __init__(self, l2: float = 0.01) -> None:
        self.l2 = _factor("L2", "l2", l2)

    def __call__(self, x: Any) -> Tensor:
        return ops.multiply(self.l2, ops.sum(ops.square(x)))


class OrthogonalRegularizer(Regularizer):
    """factor / 2 * mean of |products of different rows (or columns) of a matrix|.

    Args:
        factor: 0.01 by default.
        mode: "rows" or "columns": which are to be orthogonal.
    """

    def __init__(self, factor: float = 0.01, mode: str = "rows") -> None:
        if mode not in ("rows", "columns"):
            raise ValueError(
                f"OrthogonalRegularizer: mode must be 'rows' or 'columns', got {mode!r}"
            )
        self.factor = factor
        self.mode = mode

    def __call__(self, x: Any) -> Tensor:
        x = ops.convert_to_tensor(x)
        if x.ndim != 2 or not all(isinstance(d, int) for d in x.shape):
            raise ValueError(f"OrthogonalRegularizer takes matrices, got shape {list(x.shape)}")
        unit = ops.normalize(x, 1 if self.mode == "rows" else 0)
        turned = ops.transpose(unit)
        product = ops.matmul(unit, turned) if self.mode == "rows" else ops.matmul(turned, unit)
        size = product.shape[0]
        assert isinstance(size, int)
        others = ops.multiply(product, 1.0 - ops.one_hot(list(range(size)), size))
        pairs = size * (size - 1) / 2.0
        return ops.divide(self.factor * 0.5 * ops.sum(ops.absolute(others)), pairs)


l1, l2, l1_l2, orthogonal_regularizer = L1, L2, L1L2, OrthogonalRegularizer
_CLASSES: tuple[type[Regularizer], ...] = (L1, L2, L1L2, OrthogonalRegularizer)
_NAMES: dict[str, type[Regularizer]] = {
    **{cls.__name__: cls for cls in _CLASSES},
    **{snake_case(cls.__name__): cls for cls in _CLASSES},
    **{"l1_l2": L1L2, "l1": L1, "l2": L2},
}


def get(identifier: Any) -> Callable[[Any], Tensor] | None:
    """The regularizer of a name, class, instance, function or configuration; None for None.

    Raises:
        ValueError: for an unknown name, with the nearest known one.
    """
    found: Callable[[Any], Tensor] | None = resolve(
        "regularizer", identifier, _NAMES, "keras.regularizers"
    )
    return found


def serialize(regularizer: Callable[[Any], Tensor] | None) -> dict[str, Any] | None:
    """The configuration of a regularizer, as Keras writes it."""
    config: dict[str, Any] | None = serialize_keras_object(regularizer)
    return config


def deserialize(config: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """The regularizer of a configuration; `custom_objects` are a user's own, by name."""
    with CustomObjectScope(custom_objects):
        return get(config)


export("keras.regularizers", _CLASSES)
export("keras.regularizers", _NAMES)
export("keras", [Regularizer])
