"""Metrics, as in `keras.metrics`, accumulated in native code.

A metric's state are variables; `update_state` and `result` are traced into the program once, with
`graphc.ops`. A metric of one's own is a subclass of `Metric`, or a function like a loss function,
whose mean over samples is reported.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from . import losses, ops
from .errors import unknown_name
from .layers.base import automatic_name
from .losses import (
    binary_crossentropy,
    categorical_crossentropy,
    mae,
    mean_absolute_error,
    mean_squared_error,
    mse,
    sparse_categorical_crossentropy,
)
from .trace import Tensor, Variable, current

# As in Keras, losses are metrics too: metrics.mean_squared_error.
__all__ = [
    "Accuracy", "BinaryAccuracy", "BinaryCrossentropy", "CategoricalAccuracy",
    "CategoricalCrossentropy", "Mean", "MeanAbsoluteError", "MeanMetricWrapper",
    "MeanSquaredError", "Metric", "SparseCategoricalAccuracy", "SparseCategoricalCrossentropy",
    "binary_accuracy", "binary_crossentropy", "categorical_accuracy", "categorical_crossentropy",
    "get", "mae", "mean_absolute_error", "mean_squared_error", "mse",
    "sparse_categorical_accuracy", "sparse_categorical_crossentropy",
]  # fmt: skip


class Metric:
    """Base of metrics.

    A metric of one's own makes variables with `add_variable` in its constructor and defines
    `update_state(y_true, y_pred, sample_weight=None)` and `result()`.
    """

    _direction: str | None = None  # "up" when more is better, "down" when less is: for callbacks

    def __init__(self, name: str | None = None, dtype: str | None = None) -> None:
        if dtype not in (None, "float32"):
            raise ValueError(f"{type(self).__name__}: dtype must be 'float32', got {dtype!r}")
        self.name = name or automatic_name(type(self).__name__)
        self.variables: list[Variable] = []

    def add_variable(
        self,
        shape: Sequence[int] = (),
        initializer: object = "zeros",
        dtype: str | None = None,
        name: str = "value",
    ) -> Variable:
        """A state variable, zero at the start of each epoch."""
        if initializer not in ("zeros", None):
            raise ValueError(f"metric {self.name!r}: variables start at zero")
        variable = Variable(np.zeros(shape), f"{self.name}/{name}", False, dtype or "float32")
        self.variables.append(variable)
        return variable

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Takes a batch into account."""
        raise TypeError(f"{type(self).__name__} must define update_state(self, y_true, y_pred)")

    def result(self) -> Any:
        """The value so far."""
        raise TypeError(f"{type(self).__name__} must define result(self)")

    def reset_state(self) -> None:
        """Forgets everything."""
        for variable in self.variables:
            variable.assign(np.zeros(variable.shape))

    def get_config(self) -> dict[str, Any]:
        """The arguments to make an equal metric with."""
        return {"name": self.name}


def assign(variable: Variable, value: Any) -> None:
    """Makes a value the variable's new one, in the program being traced."""
    current().assign(variable, ops.cast(ops.convert_to_tensor(value), variable.dtype))


class Mean(Metric):
    """The mean of all values, weighted if weights are given."""

    def __init__(self, name: str | None = None, dtype: str | None = None) -> None:
        super().__init__(name, dtype)
        self.total = self.add_variable(name="total")
        self.count = self.add_variable(name="count")

    def update_state(self, values: Any, sample_weight: Any = None) -> None:  # type: ignore[override]
        values = ops.cast(ops.convert_to_tensor(values), "float32")
        if sample_weight is None:
            count = ops.sum(ops.ones_like(values))
        else:
            weight = losses.align_weight(sample_weight, values)
            values = ops.multiply(values, weight)
            count = ops.sum(ops.broadcast_to(weight, values.shape))
        assign(self.total, ops.add(self.total, ops.sum(values)))
        assign(self.count, ops.add(self.count, count))

    def result(self) -> Tensor:
        # 0 before the first batch, as in Keras.
        some = ops.greater(self.count, 0.0)
        return ops.where(some, ops.divide(self.total, ops.where(some, self.count, 1.0)), 0.0)


class MeanMetricWrapper(Mean):
    """The mean over samples of a function of y_true and y_pred."""

    def __init__(
        self, fn: Callable[..., Tensor], name: str | None = None, dtype: str | None = None,
        **options: Any,
    ) -> None:  # fmt: skip
        super().__init__(name or losses.name_of(fn), dtype)
        self.fn = fn
        self.options = options
        self._direction = _direction(fn)

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:  # type: ignore[override]
        # As in Keras, a mask counts only where there are sample weights.
        mask = getattr(y_pred, "mask", None)
        if sample_weight is not None and mask is not None:
            sample_weight = losses.masked_weight(sample_weight, mask, "sum")
        super().update_state(self.fn(y_true, y_pred, **self.options), sample_weight)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), **self.options}


def _direction(function: object) -> str | None:
    if any(function is known for known in losses.FUNCTIONS.values()):
        return "down"
    accuracies = (binary_accuracy, categorical_accuracy, sparse_categorical_accuracy, _equal)
    return "up" if any(function is known for known in accuracies) else None


def binary_accuracy(y_true: Any, y_pred: Any, threshold: float = 0.5) -> Tensor:
    """The fraction along the last axis of predictions on the right side; the threshold is below."""
    y_true, y_pred = ops.convert_to_tensor(y_true), ops.convert_to_tensor(y_pred)
    y_true, y_pred = losses.match_ranks(y_true, y_pred)
    decided = ops.cast(ops.greater(y_pred, threshold), y_pred.dtype)
    return ops.mean(ops.cast(ops.equal(ops.cast(y_true, y_pred.dtype), decided), "float32"), -1)


def categorical_accuracy(y_true: Any, y_pred: Any) -> Tensor:
    """1 where the largest prediction is at the largest label, else 0."""
    hit = ops.equal(ops.argmax(y_true, -1), ops.argmax(y_pred, -1))
    return ops.cast(hit, "float32")


def sparse_categorical_accuracy(y_true: Any, y_pred: Any) -> Tensor:
    """1 where the largest prediction is at the label, else 0."""
    y_true, y_pred = ops.convert_to_tensor(y_true), ops.convert_to_tensor(y_pred)
    if y_true.ndim == y_pred.ndim and y_true.shape[-1] == 1:
        y_true = ops.squeeze(y_true, -1)
    return ops.cast(ops.equal(ops.cast(y_true, "int32"), ops.argmax(y_pred, -1)), "float32")


def accuracy_function(y_true: Tensor, y_pred: Tensor) -> Callable[..., Tensor]:
    """The form of accuracy that "accuracy" means for these shapes, as Keras chooses it."""
    if y_pred.shape[-1] == 1:
        return binary_accuracy
    same = y_true.ndim == y_pred.ndim and y_true.shape[-1] == y_pred.shape[-1]
    return categorical_accuracy if same else sparse_categorical_accuracy


def crossentropy_function(y_true: Tensor, y_pred: Tensor) -> Callable[..., Tensor]:
    """The form that "crossentropy" means for these shapes."""
    return {
        binary_accuracy: binary_crossentropy,
        categorical_accuracy: categorical_crossentropy,
        sparse_categorical_accuracy: sparse_categorical_crossentropy,
    }[accuracy_function(y_true, y_pred)]


class ByShape(Mean):
    """A mean whose function is chosen when shapes are known: "accuracy", "crossentropy"."""

    def __init__(
        self, choose: Callable[[Tensor, Tensor], Callable[..., Tensor]], name: str
    ) -> None:
        super().__init__(name)
        self.choose = choose
        self._direction = "up" if choose is accuracy_function else "down"

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:  # type: ignore[override]
        function = self.choose(y_true, y_pred)
        super().update_state(function(y_true, y_pred), sample_weight)


class Accuracy(MeanMetricWrapper):
    """How often y_pred equals y_true."""

    def __init__(self, name: str = "accuracy", dtype: str | None = None) -> None:
        super().__init__(_equal, name, dtype)


def _equal(y_true: Any, y_pred: Any) -> Tensor:
    y_true, y_pred = losses.match_ranks(
        ops.convert_to_tensor(y_true), ops.convert_to_tensor(y_pred)
    )
    return ops.mean(ops.cast(ops.equal(y_true, y_pred), "float32"), -1)


class BinaryAccuracy(MeanMetricWrapper):
    """How often predictions are on the right side of a threshold."""

    def __init__(
        self, name: str = "binary_accuracy", dtype: str | None = None, threshold: float = 0.5
    ) -> None:
        super().__init__(binary_accuracy, name, dtype, threshold=threshold)


class CategoricalAccuracy(MeanMetricWrapper):
    """How often the largest prediction is at the one-hot label."""

    def __init__(self, name: str = "categorical_accuracy", dtype: str | None = None) -> None:
        super().__init__(categorical_accuracy, name, dtype)


class SparseCategoricalAccuracy(MeanMetricWrapper):
    """How often the largest prediction is at the integer label."""

    def __init__(self, name: str = "sparse_categorical_accuracy", dtype: str | None = None) -> None:
        super().__init__(sparse_categorical_accuracy, name, dtype)


class MeanSquaredError(MeanMetricWrapper):
    """Mean of squared differences."""

    def __init__(self, name: str = "mean_squared_error", dtype: str | None = None) -> None:
        super().__init__(mean_squared_error, name, dtype)


class MeanAbsoluteError(MeanMetricWrapper):
    """Mean of absolute differences."""

    def __init__(self, name: str = "mean_absolute_error", dtype: str | None = None) -> None:
        super().__init__(mean_absolute_error, name, dtype)


class BinaryCrossentropy(MeanMetricWrapper):
    """See `binary_crossentropy`."""

    def __init__(
        self, name: str = "binary_crossentropy", dtype: str | None = None,
        from_logits: bool = False, label_smoothing: float = 0.0,
    ) -> None:  # fmt: skip
        super().__init__(
            binary_crossentropy, name, dtype,
            from_logits=from_logits, label_smoothing=label_smoothing,
        )  # fmt: skip


class CategoricalCrossentropy(MeanMetricWrapper):
    """See `categorical_crossentropy`."""

    def __init__(
        self, name: str = "categorical_crossentropy", dtype: str | None = None,
        from_logits: bool = False, label_smoothing: float = 0.0, axis: int = -1,
    ) -> None:  # fmt: skip
        super().__init__(
            categorical_crossentropy, name, dtype,
            from_logits=from_logits, label_smoothing=label_smoothing, axis=axis,
        )  # fmt: skip


class SparseCategoricalCrossentropy(MeanMetricWrapper):
    """See `sparse_categorical_crossentropy`."""

    def __init__(
        self, name: str = "sparse_categorical_crossentropy", dtype: str | None = None,
        from_logits: bool = False, axis: int = -1,
    ) -> None:  # fmt: skip
        super().__init__(
            sparse_categorical_crossentropy, name, dtype, from_logits=from_logits, axis=axis
        )


CLASSES: tuple[type[Metric], ...] = (
    Accuracy, BinaryAccuracy, CategoricalAccuracy, SparseCategoricalAccuracy, MeanSquaredError,
    MeanAbsoluteError, BinaryCrossentropy, CategoricalCrossentropy, SparseCategoricalCrossentropy,
)  # fmt: skip
FUNCTIONS: dict[str, Callable[..., Tensor]] = {
    **losses.FUNCTIONS,
    "binary_accuracy": binary_accuracy,
    "categorical_accuracy": categorical_accuracy,
    "sparse_categorical_accuracy": sparse_categorical_accuracy,
}
_BY_SHAPE = {
    "accuracy": accuracy_function,
    "acc": accuracy_function,
    "crossentropy": crossentropy_function,
    "ce": crossentropy_function,
}


def get(identifier: object) -> Metric:
    """The metric of a name, class, instance or function.

    Raises:
        ValueError: for an unknown name, with the nearest known one.
    """
    if isinstance(identifier, Metric):
        return identifier
    classes = {cls.__name__: cls for cls in CLASSES}
    if isinstance(identifier, str):
        if identifier in _BY_SHAPE:
            return ByShape(_BY_SHAPE[identifier], identifier)
        if identifier in classes:
            metric = classes[identifier]()
            metric.name = identifier  # Keras reports a metric under the name it was asked for by
            return metric
        name = identifier if identifier in FUNCTIONS else identifier.lower()
        if name in FUNCTIONS:
            return MeanMetricWrapper(FUNCTIONS[name], identifier)
    elif isinstance(identifier, type) and issubclass(identifier, Metric):
        return identifier()
    elif callable(identifier):
        return MeanMetricWrapper(identifier)
    raise unknown_name("metric", identifier, [*_BY_SHAPE, *FUNCTIONS, *classes])
