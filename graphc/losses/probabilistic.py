"""Losses of probabilities, as functions (`keras.losses`)."""

from __future__ import annotations

from typing import Any

from graphc import ops
from graphc.trace import Tensor

from .base import EPSILON, prepared


def binary_crossentropy(
    y_true: Any,
    y_pred: Any,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
) -> Tensor:
    """mean(-y_true log(p) - (1 - y_true) log(1 - p)).

    Args:
        y_true, y_pred: (batch, ..., size); y_true in [0, 1].
        from_logits: p = sigmoid(y_pred) rather than y_pred, computed without overflow.
        label_smoothing: moves y_true towards 0.5 by this fraction.
        axis: along which the mean is taken.
    """
    y_true, y_pred = prepared(y_true, y_pred)
    return ops.mean(_binary(_towards_half(y_true, label_smoothing), y_pred, from_logits), axis)


def _towards_half(y_true: Tensor, label_smoothing: float) -> Tensor:
    if not label_smoothing:
        return y_true
    return ops.add(ops.multiply(y_true, 1.0 - label_smoothing), 0.5 * label_smoothing)


def _binary(y_true: Tensor, y_pred: Tensor, from_logits: bool) -> Tensor:
    if from_logits:
        return ops.subtract(ops.softplus(y_pred), ops.multiply(y_pred, y_true))
    p = ops.clip(y_pred, EPSILON, 1 - EPSILON)
    one = ops.multiply(y_true, ops.log(p))
    zero = ops.multiply(ops.subtract(1.0, y_true), ops.log(ops.subtract(1.0, p)))
    return ops.negative(ops.add(one, zero))


def binary_focal_crossentropy(
    y_true: Any,
    y_pred: Any,
    apply_class_balancing: bool = False,
    alpha: float = 0.25,
    gamma: float = 2.0,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
) -> Tensor:
    """`binary_crossentropy` with easy samples weighing less (Lin et al. 2017, focal loss).

    Args:
        apply_class_balancing: whether class 1 weighs alpha and class 0 weighs 1 - alpha.
        gamma: samples are weighed by (1 - probability of the true class)**gamma.
        from_logits, label_smoothing, axis: as in `binary_crossentropy`.
    """
    y_true, y_pred = prepared(y_true, y_pred)
    y_true = _towards_half(y_true, label_smoothing)
    p = ops.sigmoid(y_pred) if from_logits else y_pred
    of_truth = y_true * p + (1.0 - y_true) * (1.0 - p)
    value = ops.power(1.0 - of_truth, gamma) * _binary(y_true, p, False)
    if apply_class_balancing:
        value = (y_true * alpha + (1.0 - y_true) * (1.0 - alpha)) * value
    return ops.mean(value, axis)


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
        y_true, y_pred = prepared(y_true, y_pred)
    except ValueError as error:
        hint = "for integer labels use 'sparse_categorical_crossentropy'"
        raise ValueError(f"{error}; {hint}") from None
    y_true = _towards_uniform(y_true, label_smoothing)
    return ops.negative(
        ops.sum(ops.multiply(y_true, _log_probabilities(y_pred, from_logits, axis)), axis)
    )


def _towards_uniform(y_true: Tensor, label_smoothing: float) -> Tensor:
    if not label_smoothing:
        return y_true
    classes = y_true.shape[-1]
    if not isinstance(classes, int):
        raise ValueError("label_smoothing needs a fixed number of classes")
    return ops.add(ops.multiply(y_true, 1.0 - label_smoothing), label_smoothing / classes)


def categorical_focal_crossentropy(
    y_true: Any,
    y_pred: Any,
    alpha: float = 0.25,
    gamma: float = 2.0,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
) -> Tensor:
    """`categorical_crossentropy` with easy samples weighing less (Lin et al. 2017, focal loss).

    Args:
        alpha: factor of all.
        gamma: classes are weighed by (1 - probability)**gamma.
        from_logits, label_smoothing, axis: as in `categorical_crossentropy`.
    """
    y_true, y_pred = prepared(y_true, y_pred)
    y_true = _towards_uniform(y_true, label_smoothing)
    p = ops.softmax(y_pred, axis) if from_logits else y_pred
    p = ops.clip(ops.divide(p, ops.sum(p, axis, True)), EPSILON, 1 - EPSILON)
    weight = ops.multiply(ops.power(ops.subtract(1.0, p), gamma), alpha)
    return ops.sum(weight * (ops.negative(y_true) * ops.log(p)), axis)


def sparse_categorical_crossentropy(
    y_true: Any,
    y_pred: Any,
    from_logits: bool = False,
    ignore_class: int | None = None,
    axis: int = -1,
) -> Tensor:
    """-log(p[y_true]).

    Args:
        y_true: (batch, ...) or (batch, ..., 1), integers in [0, classes).
        y_pred: (batch, ..., classes), probabilities or logits.
        from_logits: p = softmax(y_pred), computed without overflow.
        ignore_class: a label whose samples do not count.
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
    counted = None
    if ignore_class is not None:
        counted = ops.not_equal(ops.cast(y_true, "int32"), ignore_class)
        y_true = ops.where(counted, y_true, 0)
        y_pred = ops.where(ops.expand_dims(counted, -1), y_pred, 0.0)
    chosen = ops.one_hot(y_true, classes, y_pred.dtype)
    values = ops.negative(
        ops.sum(ops.multiply(chosen, _log_probabilities(y_pred, from_logits, axis)), axis)
    )
    return values if counted is None else Tensor(ops.where(counted, values, 0.0).node, counted)


def categorical_generalized_cross_entropy(y_true: Any, y_pred: Any, q: float = 0.5) -> Tensor:
    """(1 - p[y_true]**q) / q: robust to wrong labels (Zhang and Sabuncu 2018).

    Args:
        y_true: (batch, ...), integers in [0, classes).
        y_pred: (batch, ..., classes), probabilities.
        q: between crossentropy (towards 0) and mean absolute error (1).
    """
    y_true, y_pred = ops.convert_to_tensor(y_true), ops.convert_to_tensor(y_pred)
    classes = y_pred.shape[-1]
    if not isinstance(classes, int):
        raise ValueError("categorical_generalized_cross_entropy needs a fixed number of classes")
    p = ops.sum(y_pred * ops.one_hot(y_true, classes, y_pred.dtype), -1)
    return ops.divide(1.0 - ops.power(p, q), q)


def kl_divergence(y_true: Any, y_pred: Any) -> Tensor:
    """sum(y_true log(y_true / y_pred)): Kullback-Leibler divergence of distributions."""
    y_true, y_pred = prepared(y_true, y_pred)
    y_true, y_pred = (ops.clip(y, EPSILON, 1.0) for y in (y_true, y_pred))
    return ops.sum(y_true * ops.log(ops.divide(y_true, y_pred)), -1)


def poisson(y_true: Any, y_pred: Any) -> Tensor:
    """mean(y_pred - y_true log(y_pred)): of counts, up to a constant."""
    y_true, y_pred = prepared(y_true, y_pred)
    return ops.mean(y_pred - y_true * ops.log(y_pred + EPSILON), -1)
