"""Losses, as classes and functions, as in `keras.losses`.

A function takes y_true and y_pred of one shape (batch, ..., size) and returns one value for each
sample, (batch, ...): the mean, or sum over classes, along the last axis. A class reduces these to
the scalar that `fit` minimises. A loss of one's own is any function written with `graphc.ops`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from . import ops
from .errors import unknown_name
from .trace import Tensor
from .utils import snake_case

EPSILON = 1e-7  # keras.config.epsilon()

LossFunction = Callable[..., Tensor]


def match_ranks(y_true: Tensor, y_pred: Tensor) -> tuple[Tensor, Tensor]:
    """Drops or adds a last axis of size 1 where the ranks differ by one, as Keras does."""
    if y_true.ndim == y_pred.ndim + 1 and y_true.shape[-1] == 1:
        y_true = ops.squeeze(y_true, -1) if y_pred.ndim > 1 else y_true
        y_pred = ops.expand_dims(y_pred, -1) if y_pred.ndim == 1 else y_pred
    elif y_pred.ndim == y_true.ndim + 1 and y_pred.shape[-1] == 1:
        y_true = ops.expand_dims(y_true, -1)
    return y_true, y_pred


def _prepared(y_true: Any, y_pred: Any) -> tuple[Tensor, Tensor]:
    y_pred = ops.convert_to_tensor(y_pred)
    y_true = ops.cast(ops.convert_to_tensor(y_true), y_pred.dtype)
    y_true, y_pred = match_ranks(y_true, y_pred)
    if y_true.shape != y_pred.shape and y_true.ndim:  # Keras broadcasts, which hides mistakes
        raise ValueError(
            f"y_true of shape {list(y_true.shape)} and y_pred of shape {list(y_pred.shape)} must "
            "be of one shape"
        )
    return y_true, y_pred


def mean_squared_error(y_true: Any, y_pred: Any) -> Tensor:
    """mean((y_true - y_pred)**2)."""
    y_true, y_pred = _prepared(y_true, y_pred)
    return ops.mean(ops.square(ops.subtract(y_true, y_pred)), -1)


def mean_absolute_error(y_true: Any, y_pred: Any) -> Tensor:
    """mean(|y_true - y_pred|)."""
    y_true, y_pred = _prepared(y_true, y_pred)
    return ops.mean(ops.absolute(ops.subtract(y_true, y_pred)), -1)


def binary_crossentropy(
    y_true: Any, y_pred: Any, from_logits: bool = False, label_smoothing: float = 0.0
) -> Tensor:
    """mean(-y_true log(p) - (1 - y_true) log(1 - p)).

    Args:
        y_true, y_pred: (batch, ..., size); y_true in [0, 1].
        from_logits: p = sigmoid(y_pred) rather than y_pred, computed without overflow.
        label_smoothing: moves y_true towards 0.5 by this fraction.
    """
    y_true, y_pred = _prepared(y_true, y_pred)
    if label_smoothing:
        y_true = ops.add(ops.multiply(y_true, 1.0 - label_smoothing), 0.5 * label_smoothing)
    if from_logits:
        value = ops.subtract(ops.softplus(y_pred), ops.multiply(y_pred, y_true))
    else:
        p = ops.clip(y_pred, EPSILON, 1 - EPSILON)
        one = ops.multiply(y_true, ops.log(p))
        zero = ops.multiply(ops.subtract(1.0, y_true), ops.log(ops.subtract(1.0, p)))
        value = ops.negative(ops.add(one, zero))
    return ops.mean(value, -1)


def _log_probabilities(y_pred: Tensor, from_logits: bool, axis: int) -> Tensor:
    """log(p), p renormalised and clipped as Keras does; softmax before it makes this stable."""
    if from_logits:
        return ops.log_softmax(y_pred, axis)
    p = ops.divide(y_pred, ops.sum(y_pred, axis, True))
    return ops.log(ops.clip(p, EPSILON, 1 - EPSILON))


def categorical_crossentropy(
    y_true: Any,
    y_pred: Any,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
) -> Tensor:
    """-sum(y_true log(p)) over the classes.

    Args:
        y_true: (batch, ..., classes), probabilities such as one-hot rows.
        y_pred: (batch, ..., classes), probabilities or logits.
        from_logits: p = softmax(y_pred), computed without overflow.
        label_smoothing: moves y_true towards uniform by this fraction.
        axis: of the classes.
    """
    try:
        y_true, y_pred = _prepared(y_true, y_pred)
    except ValueError as error:
        hint = "for integer labels use 'sparse_categorical_crossentropy'"
        raise ValueError(f"{error}; {hint}") from None
    if label_smoothing:
        classes = y_true.shape[axis]
        if not isinstance(classes, int):
            raise ValueError("categorical_crossentropy: the number of classes must be fixed")
        y_true = ops.add(ops.multiply(y_true, 1.0 - label_smoothing), label_smoothing / classes)
    return ops.negative(
        ops.sum(ops.multiply(y_true, _log_probabilities(y_pred, from_logits, axis)), axis)
    )


def sparse_categorical_crossentropy(
    y_true: Any, y_pred: Any, from_logits: bool = False, axis: int = -1
) -> Tensor:
    """-log(p[y_true]).

    Args:
        y_true: (batch, ...) or (batch, ..., 1), integers in [0, classes).
        y_pred: (batch, ..., classes), probabilities or logits.
        from_logits: p = softmax(y_pred), computed without overflow.
        axis: of the classes, the last.
    """
    y_true, y_pred = ops.convert_to_tensor(y_true), ops.convert_to_tensor(y_pred)
    if y_true.ndim == y_pred.ndim and y_true.shape[-1] == 1:
        y_true = ops.squeeze(y_true, -1)
    classes = y_pred.shape[axis]
    if (
        y_true.shape != y_pred.shape[:-1]
        or not isinstance(classes, int)
        or axis not in (-1, y_pred.ndim - 1)
    ):
        raise ValueError(
            f"sparse_categorical_crossentropy: y_true must be integers of shape "
            f"{list(y_pred.shape[:-1])}, got {list(y_true.shape)}; for one-hot labels use "
            "'categorical_crossentropy'"
        )
    chosen = ops.one_hot(y_true, classes, y_pred.dtype)
    return ops.negative(
        ops.sum(ops.multiply(chosen, _log_probabilities(y_pred, from_logits, axis)), axis)
    )


class Loss:
    """Base of losses; one of one's own defines `call(y_true, y_pred)`.

    Args:
        name: shown in messages.
        reduction: "sum_over_batch_size" (the mean over samples), "mean" (the same; with sample
            weights divided by their sum), "sum", or None or "none".
    """

    def __init__(
        self, name: str | None = None, reduction: str | None = "sum_over_batch_size"
    ) -> None:
        known = ("sum_over_batch_size", "mean", "mean_with_sample_weight", "sum", "none", None)
        if reduction not in known:
            raise unknown_name("reduction", reduction, [k for k in known if k])
        self.name = name or type(self).__name__
        self.reduction = reduction

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        """One value a sample."""
        raise TypeError(f"{type(self).__name__} must define call(self, y_true, y_pred)")

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Tensor:
        """The reduced loss.

        Args:
            y_true, y_pred: as the loss takes them.
            sample_weight: one weight a sample, or one for each of the loss's values. Values that
                y_pred's mask hides do not count.
        """
        values = self.call(y_true, y_pred)
        weight = masked_weight(sample_weight, getattr(y_pred, "mask", None), self.reduction)
        if weight is not None:
            weight = align_weight(weight, values)
            values = ops.multiply(values, weight)
        if self.reduction in ("none", None):
            return values
        if self.reduction == "sum":
            return ops.sum(values)
        if self.reduction == "mean_with_sample_weight" and weight is not None:
            # Keras divides by the sum of the weights as they are, before they are repeated.
            return _divided(ops.sum(values), ops.sum(weight))
        return ops.mean(values)

    def get_config(self) -> dict[str, Any]:
        """The arguments to make an equal loss with."""
        return {"name": self.name, "reduction": self.reduction}


def masked_weight(sample_weight: Any, mask: Tensor | None, reduction: str | None) -> Tensor | None:
    """Sample weights that are 0 where a mask hides the value; means go over the others only."""
    if mask is None:
        return None if sample_weight is None else ops.convert_to_tensor(sample_weight)
    weight = ops.cast(mask, "float32")
    if reduction in ("mean", "sum_over_batch_size"):
        total = ops.sum(ops.ones_like(weight))
        weight = ops.multiply(weight, _divided(total, ops.sum(weight)))
    if sample_weight is None:
        return weight
    given = ops.cast(ops.convert_to_tensor(sample_weight), "float32")
    longer, shorter = (weight, given) if weight.ndim >= given.ndim else (given, weight)
    return ops.multiply(longer, align_weight(shorter, longer))


def _divided(x: Tensor, y: Tensor) -> Tensor:
    """x / y; 0 where y is 0."""
    some = ops.not_equal(y, 0.0)
    return ops.where(some, ops.divide(x, ops.where(some, y, 1.0)), 0.0)


def align_weight(sample_weight: Any, values: Tensor) -> Tensor:
    """Sample weights in the values' dtype and rank."""
    weight = ops.cast(ops.convert_to_tensor(sample_weight), values.dtype)
    while weight.ndim > values.ndim and weight.shape[-1] == 1:
        weight = ops.squeeze(weight, -1)
    while weight.ndim < values.ndim:
        weight = ops.expand_dims(weight, -1)
    return weight


def name_of(function: object) -> str:
    """What to call a loss or metric that is a function, or an object that is called like one."""
    for attribute in ("name", "__name__"):
        if isinstance(name := getattr(function, attribute, None), str):
            return name
    return snake_case(type(function).__name__)


class LossFunctionWrapper(Loss):
    """A loss that calls a function with fixed options."""

    def __init__(
        self,
        function: LossFunction,
        name: str | None = None,
        reduction: str | None = "sum_over_batch_size",
        **options: Any,
    ) -> None:
        super().__init__(name or name_of(function), reduction)
        self.function = function
        self.options = options

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        return ops.convert_to_tensor(self.function(y_true, y_pred, **self.options))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), **self.options}


class MeanSquaredError(LossFunctionWrapper):
    """Mean of squared differences."""

    def __init__(
        self, reduction: str | None = "sum_over_batch_size", name: str = "mean_squared_error"
    ) -> None:
        super().__init__(mean_squared_error, name, reduction)


class MeanAbsoluteError(LossFunctionWrapper):
    """Mean of absolute differences."""

    def __init__(
        self, reduction: str | None = "sum_over_batch_size", name: str = "mean_absolute_error"
    ) -> None:
        super().__init__(mean_absolute_error, name, reduction)


class BinaryCrossentropy(LossFunctionWrapper):
    """Crossentropy of independent yes-or-no predictions; see `binary_crossentropy`."""

    def __init__(
        self,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        reduction: str | None = "sum_over_batch_size",
        name: str = "binary_crossentropy",
    ) -> None:
        super().__init__(
            binary_crossentropy, name, reduction,
            from_logits=from_logits, label_smoothing=label_smoothing,
        )  # fmt: skip


class CategoricalCrossentropy(LossFunctionWrapper):
    """Crossentropy with one-hot labels; see `categorical_crossentropy`."""

    def __init__(
        self,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str = "categorical_crossentropy",
    ) -> None:
        super().__init__(
            categorical_crossentropy, name, reduction,
            from_logits=from_logits, label_smoothing=label_smoothing, axis=axis,
        )  # fmt: skip


class SparseCategoricalCrossentropy(LossFunctionWrapper):
    """Crossentropy with integer labels; see `sparse_categorical_crossentropy`."""

    def __init__(
        self,
        from_logits: bool = False,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str = "sparse_categorical_crossentropy",
    ) -> None:
        super().__init__(
            sparse_categorical_crossentropy, name, reduction, from_logits=from_logits, axis=axis
        )


CLASSES: tuple[type[LossFunctionWrapper], ...] = (
    MeanSquaredError,
    MeanAbsoluteError,
    BinaryCrossentropy,
    CategoricalCrossentropy,
    SparseCategoricalCrossentropy,
)
FUNCTIONS: dict[str, LossFunction] = {
    "mean_squared_error": mean_squared_error,
    "mse": mean_squared_error,
    "mean_absolute_error": mean_absolute_error,
    "mae": mean_absolute_error,
    "binary_crossentropy": binary_crossentropy,
    "bce": binary_crossentropy,
    "categorical_crossentropy": categorical_crossentropy,
    "sparse_categorical_crossentropy": sparse_categorical_crossentropy,
}
mse, MSE, mae, MAE = mean_squared_error, MeanSquaredError, mean_absolute_error, MeanAbsoluteError


def get(identifier: object) -> Loss:
    """The loss of a name, class, instance or function.

    Raises:
        ValueError: for an unknown name, with the nearest known one.
    """
    if isinstance(identifier, Loss):
        return identifier
    classes = {cls.__name__: cls for cls in CLASSES}
    if isinstance(identifier, str):
        name = identifier if identifier in FUNCTIONS else identifier.lower()
        if identifier in classes:
            return classes[identifier]()  # type: ignore[call-arg]
        if name in FUNCTIONS:
            return LossFunctionWrapper(FUNCTIONS[name])
        raise unknown_name("loss", identifier, [*FUNCTIONS, *classes])
    if isinstance(identifier, type) and issubclass(identifier, Loss):
        return identifier()
    if callable(identifier):
        return LossFunctionWrapper(identifier)
    raise unknown_name("loss", identifier, [*FUNCTIONS, *classes])


def takes_integer_labels(loss: Loss) -> bool:
    """Whether y_true holds class numbers."""
    return getattr(loss, "function", None) is sparse_categorical_crossentropy
