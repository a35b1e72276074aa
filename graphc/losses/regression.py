"""Losses of numbers, as functions (`keras.losses`)."""

from __future__ import annotations

import math
from typing import Any

from graphc import ops
from graphc.trace import Tensor

from .base import EPSILON, prepared


def mean_squared_error(y_true: Any, y_pred: Any) -> Tensor:
    """mean((y_true - y_pred)**2)."""
    y_true, y_pred = prepared(y_true, y_pred)
    return ops.mean(ops.square(ops.subtract(y_true, y_pred)), -1)


def mean_absolute_error(y_true: Any, y_pred: Any) -> Tensor:
    """mean(|y_true - y_pred|)."""
    y_true, y_pred = prepared(y_true, y_pred)
    return ops.mean(ops.absolute(ops.subtract(y_true, y_pred)), -1)


def mean_absolute_percentage_error(y_true: Any, y_pred: Any) -> Tensor:
    """100 mean(|y_true - y_pred| / |y_true|)."""
    y_true, y_pred = prepared(y_true, y_pred)
    scale = ops.maximum(ops.absolute(y_true), EPSILON)
    return ops.multiply(100.0, ops.mean(ops.absolute((y_true - y_pred) / scale), -1))


def mean_squared_logarithmic_error(y_true: Any, y_pred: Any) -> Tensor:
    """mean((log(1 + y_true) - log(1 + y_pred))**2)."""
    y_true, y_pred = prepared(y_true, y_pred)
    logs = [ops.log(ops.maximum(y, EPSILON) + 1.0) for y in (y_pred, y_true)]
    return ops.mean(ops.square(logs[0] - logs[1]), -1)


def cosine_similarity(y_true: Any, y_pred: Any, axis: int = -1) -> Tensor:
    """-cos of the angle between y_true and y_pred: -1 for the same direction."""
    y_true, y_pred = prepared(y_true, y_pred)
    units = [ops.normalize(y, axis) for y in (y_true, y_pred)]
    return ops.negative(ops.sum(units[0] * units[1], axis))


def huber(y_true: Any, y_pred: Any, delta: float = 1.0) -> Tensor:
    """mean of error**2 / 2 up to an error of delta, and linear beyond (Huber 1964)."""
    y_true, y_pred = prepared(y_true, y_pred)
    error = y_pred - y_true
    size = ops.absolute(error)
    beyond = delta * size - 0.5 * delta * delta
    return ops.mean(ops.where(size <= delta, 0.5 * ops.square(error), beyond), -1)


def log_cosh(y_true: Any, y_pred: Any) -> Tensor:
    """mean(log(cosh(y_pred - y_true)))."""
    y_true, y_pred = prepared(y_true, y_pred)
    error = y_pred - y_true
    return ops.mean(error + ops.softplus(error * -2.0) - math.log(2.0), -1)
