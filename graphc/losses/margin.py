"""Losses that ask for a margin, and losses of overlap, as functions (`keras.losses`)."""

from __future__ import annotations

from typing import Any

from graphc import ops
from graphc.trace import Tensor

from .base import EPSILON, prepared

Axes = int | tuple[int, ...] | None


def _signs(y_true: Tensor) -> Tensor:
    """Labels 0 and 1 as -1 and 1; labels of -1 and 1 as they are."""
    other = ops.logical_and(ops.not_equal(y_true, 0.0), ops.not_equal(y_true, 1.0))
    binary = ops.equal(ops.sum(ops.cast(other, "float32")), 0.0)
    return ops.where(binary, 2.0 * y_true - 1.0, y_true)


def hinge(y_true: Any, y_pred: Any) -> Tensor:
    """mean(max(1 - y_true y_pred, 0)), y_true -1 or 1 (or 0 or 1)."""
    y_true, y_pred = prepared(y_true, y_pred)
    return ops.mean(ops.maximum(1.0 - _signs(y_true) * y_pred, 0.0), -1)


def squared_hinge(y_true: Any, y_pred: Any) -> Tensor:
    """mean(max(1 - y_true y_pred, 0)**2), y_true -1 or 1 (or 0 or 1)."""
    y_true, y_pred = prepared(y_true, y_pred)
    return ops.mean(ops.square(ops.maximum(1.0 - _signs(y_true) * y_pred, 0.0)), -1)


def categorical_hinge(y_true: Any, y_pred: Any) -> Tensor:
    """max(1 + largest wrong prediction - right prediction, 0), y_true one-hot."""
    y_true, y_pred = prepared(y_true, y_pred)
    right = ops.sum(y_true * y_pred, -1)
    wrong = ops.max((1.0 - y_true) * y_pred, -1)
    return ops.maximum(wrong - right + 1.0, 0.0)


def dice(y_true: Any, y_pred: Any, axis: Axes = None) -> Tensor:
    """1 - 2 sum(y_true y_pred) / (sum(y_true) + sum(y_pred)), over axes (all by default)."""
    y_true, y_pred = prepared(y_true, y_pred)
    both = ops.sum(y_true * y_pred, axis)
    total = ops.sum(y_true, axis) + ops.sum(y_pred, axis) + EPSILON
    return 1.0 - ops.divide(2.0 * both, total)


def tversky(
    y_true: Any, y_pred: Any, alpha: float = 0.5, beta: float = 0.5, axis: Axes = None
) -> Tensor:
    """1 - Tversky index (Salehi et al. 2017), over axes (all by default).

    Args:
        alpha, beta: weights of labels that are missed, and of predictions that are wrong; Keras
            names them the other way round, and computes this.
    """
    y_true, y_pred = prepared(y_true, y_pred)
    both = ops.sum(y_true * y_pred, axis)
    missed = ops.sum((1.0 - y_pred) * y_true, axis)
    wrong = ops.sum(y_pred * (1.0 - y_true), axis)
    return 1.0 - ops.divide(both, both + missed * alpha + wrong * beta + EPSILON)
