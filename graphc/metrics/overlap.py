"""F scores and intersection over union, as `keras.metrics`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from graphc import losses, ops
from graphc.budget import check_state
from graphc.trace import Tensor

from .base import Metric, assign

EPSILON = losses.EPSILON


class FBetaScore(Metric):
    """(1 + beta**2) precision recall / (beta**2 precision + recall) of classes.

    Args:
        average: None for one value a class; "micro" counts all together, "macro" is the mean,
            "weighted" the mean by how often a class is.
        beta: how much more recall counts than precision.
        threshold: a prediction above is yes; by default the largest of a sample is.
    """

    _direction = "up"

    def __init__(
        self, average: str | None = None, beta: float = 1.0, threshold: float | None = None,
        name: str = "fbeta_score", dtype: str | None = None,
    ) -> None:  # fmt: skip
        super().__init__(name, dtype)
        known = (None, "micro", "macro", "weighted")
        if average not in known:
            raise ValueError(
                f"{type(self).__name__}: average must be one of {known}, got {average!r}"
            )
        if not isinstance(beta, float) or beta <= 0:
            raise ValueError(f"{type(self).__name__}: beta must be a float above 0, got {beta!r}")
        if threshold is not None and not 0 < threshold <= 1:
            raise ValueError(
                f"{type(self).__name__}: threshold must be above 0 and at most 1, got {threshold!r}"
            )
        self.options = {"average": average, "beta": beta, "threshold": threshold}
        self.average = average
        self.beta = beta
        self.threshold = threshold

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        y_true = ops.cast(ops.convert_to_tensor(y_true), "float32")
        y_pred = ops.cast(ops.convert_to_tensor(y_pred), "float32")
        classes = y_pred.shape[-1]
        if y_pred.ndim != 2 or y_true.ndim != 2 or not isinstance(classes, int):
            raise ValueError(
                f"{type(self).__name__} takes (batch, classes), got {list(y_true.shape)} and "
                f"{list(y_pred.shape)}"
            )
        if not self.variables:
            shape = () if self.average == "micro" else (classes,)
            names = ("true_positives", "false_positives", "false_negatives", "intermediate_weights")
            self.counters = [self.add_variable(shape, name=name) for name in names]
        if self.threshold is None:
            largest = ops.greater_equal(y_pred, ops.max(y_pred, -1, keepdims=True))
            yes = ops.logical_and(largest, ops.abs(y_pred) > 1e-9)
        else:
            yes = ops.greater(y_pred, self.threshold)
        positive = ops.cast(yes, "float32")
        values = (
            positive * y_true, positive * (1.0 - y_true), (1.0 - positive) * y_true, y_true
        )  # fmt: skip
        for variable, value in zip(self.counters, values, strict=True):
            weight: Any = 1.0
            if sample_weight is not None:
                weight = losses.align_weight(sample_weight, value)
            total = ops.sum(value * weight, None if self.average == "micro" else 0)
            assign(variable, ops.add(variable, total))

    def result(self) -> Tensor:
        if not self.variables:
            return ops.convert_to_tensor(0.0)
        right, wrong, missed, weights = (ops.convert_to_tensor(v) for v in self.counters)
        precision, recall = right / (right + wrong + EPSILON), right / (right + missed + EPSILON)
        squared = self.beta**2
        score = precision * recall / (squared * precision + recall + EPSILON) * (1.0 + squared)
        if self.average == "weighted":
            return ops.sum(score * (weights / (ops.sum(weights) + EPSILON)))
        return score if self.average is None else ops.mean(score)


class F1Score(FBetaScore):
    """2 precision recall / (precision + recall) of classes.

    Args:
        average, threshold: as in `FBetaScore`.
    """

    def __init__(
        self, average: str | None = None, threshold: float | None = None, name: str = "f1_score",
        dtype: str | None = None,
    ) -> None:  # fmt: skip
        super().__init__(average, 1.0, threshold, name, dtype)
        del self.options["beta"]


class IoU(Metric):
    """Intersection over union of classes, the mean of those asked for.

    Args:
        num_classes: how many there are.
        target_class_ids: which of them count.
        ignore_class: a label whose samples do not count.
        sparse_y_true, sparse_y_pred: whether they are class numbers, not one value a class.
        axis: of the classes, where they are not sparse.
    """

    _direction = "up"
    dtype = "int32"  # Keras counts in integers

    def __init__(
        self, num_classes: int, target_class_ids: Sequence[int], name: str | None = None,
        dtype: str | None = None, ignore_class: int | None = None, sparse_y_true: bool = True,
        sparse_y_pred: bool = True, axis: int = -1,
    ) -> None:  # fmt: skip
        super().__init__(name, dtype)
        if max(target_class_ids) >= num_classes:
            raise ValueError(
                f"{type(self).__name__}: class {max(target_class_ids)} is not among {num_classes}"
            )
        self.options = {
            "num_classes": num_classes, "target_class_ids": list(target_class_ids),
            "ignore_class": ignore_class, "sparse_y_true": sparse_y_true,
            "sparse_y_pred": sparse_y_pred, "axis": axis,
        }  # fmt: skip
        self.num_classes = num_classes
        self.target_class_ids = list(target_class_ids)
        self.ignore_class = ignore_class
        self.sparse_y_true = sparse_y_true
        self.sparse_y_pred = sparse_y_pred
        self.axis = axis
        self.matrix = self.add_variable((num_classes, num_classes), name="total_confusion_matrix")

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        if not self.sparse_y_true:
            y_true = ops.argmax(y_true, self.axis)
        if not self.sparse_y_pred:
            y_pred = ops.argmax(y_pred, self.axis)
        labels, found = (
            ops.cast(ops.reshape(ops.convert_to_tensor(y), (-1,)), "int32")
            for y in (y_true, y_pred)
        )
        weight = ops.ones_like(ops.cast(labels, "float32"))
        if sample_weight is not None:
            # Keras counts in integers.
            given = ops.cast(ops.convert_to_tensor(sample_weight), "float32")
            weight = weight * ops.reshape(ops.floor(given), (-1,))
        if self.ignore_class is not None:
            weight = weight * ops.cast(ops.not_equal(labels, self.ignore_class), "float32")
        rows = ops.one_hot(labels, self.num_classes) * ops.expand_dims(weight, 1)
        counts = ops.matmul(ops.transpose(rows), ops.one_hot(found, self.num_classes))
        assign(self.matrix, ops.add(self.matrix, counts))

    def result(self) -> Tensor:
        right = ops.sum(self.matrix * np.eye(self.num_classes, dtype=np.float32), 0)
        union = ops.sum(self.matrix, 0) + ops.sum(self.matrix, 1) - right
        chosen = np.zeros(self.num_classes, np.float32)
        chosen[self.target_class_ids] = 1
        valid = ops.cast(ops.greater(union, 1e-9), "float32") * chosen
        return ops.divide(ops.sum(valid * (right / (union + EPSILON))), ops.sum(valid) + EPSILON)


def _all_classes(num_classes: int) -> list[int]:
    check_state(num_classes**2, "num_classes: the matrix of labels and predictions")
    return list(range(num_classes))


class BinaryIoU(IoU):
    """`IoU` of yes-or-no predictions.

    Args:
        target_class_ids: 0, 1 or both.
        threshold: a prediction from it on is yes.
    """

    def __init__(
        self, target_class_ids: Sequence[int] = (0, 1), threshold: float = 0.5,
        name: str | None = None, dtype: str | None = None,
    ) -> None:  # fmt: skip
        super().__init__(2, target_class_ids, name, dtype)
        self.options = {"target_class_ids": list(target_class_ids), "threshold": threshold}
        self.threshold = threshold

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        yes = ops.cast(ops.greater_equal(y_pred, self.threshold), "int32")
        super().update_state(y_true, yes, sample_weight)


class MeanIoU(IoU):
    """`IoU` of all classes.

    Args:
        num_classes, ignore_class, sparse_y_true, sparse_y_pred, axis: as in `IoU`.
    """

    def __init__(self, num_classes: int, name: str | None = None, **options: Any) -> None:
        super().__init__(num_classes, _all_classes(num_classes), name, **options)
        del self.options["target_class_ids"]


class OneHotIoU(IoU):
    """`IoU` with one-hot labels.

    Args:
        num_classes, target_class_ids, ignore_class, sparse_y_pred, axis: as in `IoU`.
    """

    def __init__(
        self, num_classes: int, target_class_ids: Sequence[int], name: str | None = None,
        sparse_y_pred: bool = False, **options: Any,
    ) -> None:  # fmt: skip
        options = {**options, "sparse_y_true": False, "sparse_y_pred": sparse_y_pred}
        super().__init__(num_classes, target_class_ids, name, **options)
        del self.options["sparse_y_true"]


class OneHotMeanIoU(OneHotIoU):
    """`IoU` of all classes with one-hot labels.

    Args:
        num_classes, ignore_class, sparse_y_pred, axis: as in `IoU`.
    """

    def __init__(self, num_classes: int, name: str | None = None, **options: Any) -> None:
        super().__init__(num_classes, _all_classes(num_classes), name, **options)
        del self.options["target_class_ids"]
