"""Losses that ask for a margin, and losses of overlap, as functions (`keras.losses`)."""

from __future__ import annotations

import math
from typing import Any

from graphc import ops
from graphc.ops.base import node, recorded
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


@recorded
def circle(
    y_true: Any,
    y_pred: Any,
    ref_labels: Any = None,
    ref_embeddings: Any = None,
    remove_diagonal: bool = True,
    gamma: float = 80.0,
    margin: float = 0.4,
) -> Tensor:
    """Brings embeddings of a class together and keeps classes apart (Sun et al. 2020).

    As in Keras samples whose value is 0 do not count in means; as are those without another of
    their class, or of another, in the batch.

    Args:
        y_true: class numbers, (batch,) or (batch, 1).
        y_pred: embeddings of length 1, (batch, features).
        ref_labels, ref_embeddings: what to compare them with; themselves by default.
        remove_diagonal: whether a sample is not compared with the one at its own place.
        gamma: how sharply pairs that are far off weigh more.
        margin: the distance (1 - cosine) that pairs of a class are to be within, and pairs of two
            beyond 1 minus it.
    """
    y_pred = ops.convert_to_tensor(y_pred)
    labels = ops.reshape(ops.cast(y_true, "int32"), (-1, 1))
    others = labels if ref_labels is None else ops.reshape(ops.cast(ref_labels, "int32"), (-1, 1))
    embeddings = y_pred if ref_embeddings is None else ops.convert_to_tensor(ref_embeddings)
    # Compiled products of matrices have a fixed last axis, and here both are the batch's.
    pairs = ops.multiply(ops.expand_dims(y_pred, 1), ops.expand_dims(embeddings, 0))
    distance = ops.maximum(1.0 - ops.sum(pairs, -1), 0.0)
    same = ops.equal(labels, ops.transpose(others))
    different = ops.logical_not(same)
    if remove_diagonal:
        same = ops.logical_and(same, ops.logical_not(_diagonal(same)))
    near = gamma * ops.maximum(margin + distance, 0.0) * (distance - margin)
    far = gamma * ops.maximum(1.0 + margin - distance, 0.0) * (1.0 - margin - distance)
    (close, any_close), (apart, any_apart) = _log_sum(near, same), _log_sum(far, different)
    both = ops.logical_and(any_close, any_apart)
    loss = ops.where(both, ops.softplus(ops.where(both, close + apart, 0.0)), 0.0)
    return Tensor(loss.node, ops.greater(loss, 0.0))


def _diagonal(like: Tensor) -> Tensor:
    row, column = (node("iota", shape=like.shape, axis=axis) for axis in (0, 1))
    return ops.equal(row, column)


def _log_sum(x: Tensor, chosen: Tensor) -> tuple[Tensor, Tensor]:
    """log(sum(exp(x))) of the chosen elements of each row, and whether there are any."""
    some = ops.any(chosen, 1)
    top = ops.stop_gradient(ops.max(ops.where(chosen, x, -math.inf), 1, keepdims=True))
    top = ops.where(ops.expand_dims(some, 1), top, 0.0)
    total = ops.sum(ops.where(chosen, ops.exp(ops.where(chosen, x - top, 0.0)), 0.0), 1)
    return ops.log(ops.where(some, total, 1.0)) + ops.squeeze(top, 1), some
