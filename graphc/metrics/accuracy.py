"""How often predictions are right, as functions (`keras.metrics`)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from graphc import losses, ops
from graphc.trace import Tensor

from .base import Mean


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


def accuracy(y_true: Any, y_pred: Any) -> Tensor:
    y_true, y_pred = losses.match_ranks(
        ops.convert_to_tensor(y_true), ops.convert_to_tensor(y_pred)
    )
    return ops.mean(ops.cast(ops.equal(y_true, y_pred), "float32"), -1)


def in_top_k(labels: Tensor, y_pred: Tensor, k: int) -> Tensor:
    """Whether fewer than k classes are predicted more than the label's: f32, (batch, ...)."""
    chosen = ops.one_hot(labels, y_pred.shape[-1], y_pred.dtype)  # type: ignore[arg-type]
    score = ops.sum(ops.multiply(chosen, y_pred), -1, keepdims=True)
    larger = ops.sum(ops.cast(ops.greater(y_pred, score), "float32"), -1)
    return ops.cast(ops.less(larger, float(k)), "float32")


def top_k_categorical_accuracy(y_true: Any, y_pred: Any, k: int = 5) -> Tensor:
    """1 where the one-hot label is among the k largest predictions, else 0."""
    return in_top_k(ops.argmax(y_true, -1), ops.convert_to_tensor(y_pred), k)


def sparse_top_k_categorical_accuracy(y_true: Any, y_pred: Any, k: int = 5) -> Tensor:
    """1 where the integer label is among the k largest predictions, else 0."""
    y_true, y_pred = ops.convert_to_tensor(y_true), ops.convert_to_tensor(y_pred)
    if y_true.ndim == y_pred.ndim and y_true.shape[-1] == 1:
        y_true = ops.squeeze(y_true, -1)
    return in_top_k(y_true, y_pred, k)


def accuracy_function(y_true: Tensor, y_pred: Tensor) -> Callable[..., Tensor]:
    """The form of accuracy that "accuracy" means for these shapes, as Keras chooses it."""
    if y_pred.shape[-1] == 1:
        return binary_accuracy
    same = y_true.ndim == y_pred.ndim and y_true.shape[-1] == y_pred.shape[-1]
    return categorical_accuracy if same else sparse_categorical_accuracy


def crossentropy_function(y_true: Tensor, y_pred: Tensor) -> Callable[..., Tensor]:
    """The form that "crossentropy" means for these shapes."""
    return {
        binary_accuracy: losses.binary_crossentropy,
        categorical_accuracy: losses.categorical_crossentropy,
        sparse_categorical_accuracy: losses.sparse_categorical_crossentropy,
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
