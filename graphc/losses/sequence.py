"""The loss of label sequences, as a function (`keras.losses`)."""

from __future__ import annotations

from typing import Any

from graphc import ops
from graphc.ops.base import node
from graphc.trace import Tensor


def ctc(y_true: Any, y_pred: Any) -> Tensor:
    """Connectionist temporal classification; see `ops.ctc_loss`.

    Args:
        y_true: (batch, labels), integers; 0 is the blank, and stands behind shorter labellings.
        y_pred: (batch, steps, classes), logits; all steps count.
    """
    y_true, y_pred = ops.convert_to_tensor(y_true), ops.convert_to_tensor(y_pred)
    if y_true.ndim != 2 or y_pred.ndim != 3:
        raise ValueError(
            "ctc: expected y_true (batch, labels) and y_pred (batch, steps, classes), got "
            f"{list(y_true.shape)} and {list(y_pred.shape)}"
        )
    given = ops.cast(y_true, "int32")
    labels = ops.sum(ops.cast(ops.not_equal(given, 0), "int32"), -1)
    steps = node("size", dim=y_pred.shape[1], dtype="i32")
    return ops.ctc_loss(given, y_pred, labels, ops.broadcast_to(steps, y_pred.shape[:1]))
