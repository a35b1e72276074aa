"""Metrics of yes-or-no decisions at thresholds, as `keras.metrics`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np

from graphc import losses, ops
from graphc.budget import check_state
from graphc.serialization import with_objects
from graphc.trace import Tensor, Variable

from .accuracy import in_top_k
from .base import Metric, assign

EPSILON = losses.EPSILON
NEVER = -1e10  # below every prediction
NAMES = {
    "tp": "true_positives", "fp": "false_positives",
    "tn": "true_negatives", "fn": "false_negatives",
}  # fmt: skip


def ratio(x: Any, y: Any) -> Tensor:
    """x / y; 0 where y is 0."""
    some = ops.not_equal(y, 0.0)
    return ops.where(some, ops.divide(x, ops.where(some, y, 1.0)), 0.0)


class ConfusionMetric(Metric):
    """What these metrics share: counts of decisions at thresholds.

    Args:
        thresholds: a prediction above one counts as yes.
        counted: which of "tp", "fp", "tn" and "fn" are kept.
        top_k: only the k largest predictions of a sample can be yes.
        class_id: only this class of several counts.
    """

    def __init__(
        self, thresholds: Sequence[float], counted: Sequence[str], name: str | None,
        dtype: str | None, top_k: int | None = None, class_id: int | None = None,
    ) -> None:  # fmt: skip
        super().__init__(name, dtype)
        self.thresholds = list(thresholds)
        self.counted = counted
        self.top_k = top_k
        self.class_id = class_id

    def build(self, shape: Sequence[int]) -> None:
        """Makes the counters."""
        self.counts: dict[str, Variable] = {
            kind: self.add_variable(shape, name=NAMES[kind]) for kind in self.counted
        }

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        y_pred = ops.cast(ops.convert_to_tensor(y_pred), "float32")
        y_true = ops.cast(ops.convert_to_tensor(y_true), "float32")
        y_true, y_pred = losses.match_ranks(y_true, y_pred)
        weight = ops.ones_like(y_pred)
        if sample_weight is not None:
            weight = ops.multiply(weight, losses.align_weight(sample_weight, y_pred))
        if self.top_k is not None:
            y_pred = _only_top(y_pred, self.top_k)
        if self.class_id is not None:
            at = (..., slice(self.class_id, self.class_id + 1))
            y_true, y_pred, weight = y_true[at], y_pred[at], weight[at]
        self.count(ops.not_equal(y_true, 0.0), y_pred, weight)

    def count(self, label: Tensor, y_pred: Tensor, weight: Tensor) -> None:
        """Adds all elements' decisions at each threshold."""
        rows = [ops.reshape(x, (1, -1)) for x in (label, y_pred, weight)]
        limits = np.asarray(self.thresholds, np.float32)[:, None]
        self.add(rows[0], ops.greater(rows[1], limits), rows[2], 1)

    def add(self, label: Tensor, yes: Tensor, weight: Tensor, axis: int) -> None:
        """Adds decisions, summed over an axis."""
        true, false = ops.cast(label, "float32"), ops.cast(ops.logical_not(label), "float32")
        positive = ops.cast(yes, "float32")
        negative = ops.subtract(1.0, positive)
        terms = {
            "tp": (true, positive), "fp": (false, positive),
            "tn": (false, negative), "fn": (true, negative),
        }  # fmt: skip
        for kind, variable in self.counts.items():
            a, b = terms[kind]
            total = ops.sum(ops.multiply(ops.multiply(a, b), weight), axis)
            assign(variable, ops.add(variable, total))

    def one_or_all(self, values: Tensor) -> Tensor:
        """A scalar for a single threshold."""
        return values[0] if len(self.thresholds) == 1 else values


def _only_top(y_pred: Tensor, k: int) -> Tensor:
    """Predictions that fewer than k others of the sample exceed; the rest are never yes."""
    classes = y_pred.shape[-1]
    assert isinstance(classes, int)
    among = [in_top_k(ops.full_like(y_pred[..., 0], at), y_pred, k) for at in range(classes)]
    return ops.where(ops.greater(ops.stack(among, -1), 0.0), y_pred, NEVER)


def _thresholds(given: Any, default: float) -> list[float]:
    values = [default] if given is None else np.atleast_1d(given).tolist()
    if given is not None and any(not 0 <= v <= 1 for v in values):
        raise ValueError(f"thresholds must be between 0 and 1, got {given!r}")
    return values


class _Count(ConfusionMetric):
    """The number of {} at thresholds.

    Args:
        thresholds: a number or several; 0.5 by default.
    """

    kind: str

    def __init__(
        self, thresholds: Any = None, name: str | None = None, dtype: str | None = None
    ) -> None:
        super().__init__(_thresholds(thresholds, 0.5), [self.kind], name, dtype)
        self.options = {"thresholds": thresholds}
        self.build((len(self.thresholds),))

    def result(self) -> Tensor:
        return self.one_or_all(ops.convert_to_tensor(self.counts[self.kind]))


class TruePositives(_Count):
    __doc__ = (_Count.__doc__ or "").format("right yes decisions")
    kind = "tp"


class FalsePositives(_Count):
    __doc__ = (_Count.__doc__ or "").format("wrong yes decisions")
    kind = "fp"


class TrueNegatives(_Count):
    __doc__ = (_Count.__doc__ or "").format("right no decisions")
    kind = "tn"


class FalseNegatives(_Count):
    __doc__ = (_Count.__doc__ or "").format("wrong no decisions")
    kind = "fn"


class _Rate(ConfusionMetric):
    """The part of {} that is right.

    Args:
        thresholds: a number or several; 0.5 by default, and none with top_k.
        top_k: only the k largest predictions of a sample can be yes.
        class_id: only this class counts.
    """

    others: str
    _direction = "up"

    def __init__(
        self, thresholds: Any = None, top_k: int | None = None, class_id: int | None = None,
        name: str | None = None, dtype: str | None = None,
    ) -> None:  # fmt: skip
        default = 0.5 if top_k is None else NEVER
        limits = _thresholds(thresholds, default)
        super().__init__(limits, ["tp", self.others], name, dtype, top_k, class_id)
        self.options = {"thresholds": thresholds, "top_k": top_k, "class_id": class_id}
        self.build((len(self.thresholds),))

    def result(self) -> Tensor:
        right = self.counts["tp"]
        return self.one_or_all(ratio(right, ops.add(right, self.counts[self.others])))


class Precision(_Rate):
    __doc__ = (_Rate.__doc__ or "").format("the yes decisions")
    others = "fp"


class Recall(_Rate):
    __doc__ = (_Rate.__doc__ or "").format("what should be yes")
    others = "fn"


class _AtValue(ConfusionMetric):
    """The best {} at thresholds where {} is at least a value.

    Args:
        value: that value, between 0 and 1; it may be given by its name too.
        num_thresholds: how many thresholds are tried, evenly from 0 to 1.
        class_id: only this class counts.
    """

    wanted: str
    held: str
    _direction = "up"

    def __init__(
        self, value: float = -1.0, num_thresholds: int = 200, class_id: int | None = None,
        name: str | None = None, dtype: str | None = None, **named: float,
    ) -> None:  # fmt: skip
        value = named.pop(self.held, value)
        if named:
            raise TypeError(f"{type(self).__name__}: unknown argument {', '.join(named)}")
        if not 0 <= value <= 1:
            raise ValueError(
                f"{type(self).__name__}: expected a value between 0 and 1, got {value!r}"
            )
        if num_thresholds <= 0:
            raise ValueError(
                f"{type(self).__name__}: num_thresholds must be above 0, got {num_thresholds!r}"
            )
        check_state(num_thresholds, f"{type(self).__name__}: num_thresholds")
        limits = [0.5] if num_thresholds == 1 else np.linspace(0, 1, num_thresholds).tolist()
        super().__init__(limits, list(NAMES), name, dtype, None, class_id)
        self.options = {
            self.held: value, "num_thresholds": num_thresholds, "class_id": class_id
        }  # fmt: skip
        self.value = value
        self.build((len(limits),))

    def _rates(self) -> dict[str, Tensor]:
        tp, fp, tn, fn = (self.counts[kind] for kind in ("tp", "fp", "tn", "fn"))
        return {
            "sensitivity": ratio(tp, ops.add(tp, fn)), "specificity": ratio(tn, ops.add(tn, fp)),
            "recall": ratio(tp, ops.add(tp, fn)), "precision": ratio(tp, ops.add(tp, fp)),
        }  # fmt: skip

    def result(self) -> Tensor:
        rates = self._rates()
        held = ops.greater_equal(rates[self.held], self.value)
        return ops.max(ops.where(held, rates[self.wanted], 0.0))


class SensitivityAtSpecificity(_AtValue):
    __doc__ = (_AtValue.__doc__ or "").format("sensitivity", "specificity")
    wanted, held = "sensitivity", "specificity"


class SpecificityAtSensitivity(_AtValue):
    __doc__ = (_AtValue.__doc__ or "").format("specificity", "sensitivity")
    wanted, held = "specificity", "sensitivity"


class PrecisionAtRecall(_AtValue):
    __doc__ = (_AtValue.__doc__ or "").format("precision", "recall")
    wanted, held = "precision", "recall"


class RecallAtPrecision(_AtValue):
    __doc__ = (_AtValue.__doc__ or "").format("recall", "precision")
    wanted, held = "recall", "precision"


class AUC(ConfusionMetric):
    """The area under the ROC or the precision-recall curve, from a number of its points.

    Args:
        num_thresholds: how many points, at thresholds evenly from 0 to 1.
        curve: "ROC" or "PR".
        summation_method: "interpolation" (trapezoids; for PR that of Davis and Goadrich 2006),
            "minoring" or "majoring".
        thresholds: in place of num_thresholds.
        multi_label: whether each label has an area of its own, and the mean is taken.
        num_labels: how many there are, if multi_label.
        label_weights: weights of the labels.
        from_logits: whether predictions are logits.
    """

    _direction = "up"

    def __init__(
        self, num_thresholds: int = 200, curve: str = "ROC",
        summation_method: str = "interpolation", name: str | None = None, dtype: str | None = None,
        thresholds: Sequence[float] | None = None, multi_label: bool = False,
        num_labels: int | None = None, label_weights: Sequence[float] | None = None,
        from_logits: bool = False,
    ) -> None:  # fmt: skip
        for argument, value, known in (
            ("curve", curve, ("ROC", "PR")),
            ("summation_method", summation_method, ("interpolation", "minoring", "majoring")),
        ):
            if value not in known:
                raise ValueError(f"AUC: {argument} must be one of {known}, got {value!r}")
        if num_thresholds < 2:
            raise ValueError(f"AUC: num_thresholds must be at least 2, got {num_thresholds!r}")
        check_state(num_thresholds, "AUC: num_thresholds")
        inner = (
            np.linspace(0, 1, num_thresholds)[1:-1] if thresholds is None else sorted(thresholds)
        )
        limits = [-EPSILON, *inner, 1 + EPSILON]
        super().__init__(limits, list(NAMES), name, dtype)
        self.options = {
            "num_thresholds": len(limits), "curve": curve, "summation_method": summation_method,
            "multi_label": multi_label, "num_labels": num_labels, "from_logits": from_logits,
            "label_weights": None if label_weights is None else np.asarray(label_weights).tolist(),
        } | ({} if thresholds is None else {"thresholds": limits[1:-1]})  # fmt: skip
        self.curve = curve
        self.summation_method = summation_method
        self.multi_label = multi_label
        self.label_weights = label_weights
        self.from_logits = from_logits
        if not multi_label:
            self.build((len(limits),))
        elif num_labels:
            self.build((len(limits), num_labels))

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        if self.from_logits:
            y_pred = ops.sigmoid(y_pred)
        super().update_state(y_true, y_pred, sample_weight)

    def count(self, label: Tensor, y_pred: Tensor, weight: Tensor) -> None:
        if self.label_weights is not None and not self.multi_label:
            weight = ops.multiply(weight, np.asarray(self.label_weights, np.float32))
        if not self.multi_label:
            super().count(label, y_pred, weight)
            return
        labels = y_pred.shape[-1]
        if not self.variables:
            assert isinstance(labels, int)
            self.build((len(self.thresholds), labels))
        limits = np.asarray(self.thresholds, np.float32)[:, None, None]
        yes = ops.greater(ops.expand_dims(y_pred, 0), limits)
        self.add(ops.expand_dims(label, 0), yes, ops.expand_dims(weight, 0), 1)

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        return cls(**with_objects(config, "label_weights"))

    def _areas(self) -> Tensor:
        """The area of each strip, from threshold to threshold."""
        tp, fp, tn, fn = (
            ops.convert_to_tensor(self.counts[kind]) for kind in ("tp", "fp", "tn", "fn")
        )
        recall = ratio(tp, tp + fn)
        if self.curve == "PR" and self.summation_method == "interpolation":
            return _interpolated(tp, fp, fn)
        x, y = (ratio(fp, fp + tn), recall) if self.curve == "ROC" else (recall, ratio(tp, tp + fp))
        if self.summation_method == "interpolation":
            heights = (y[:-1] + y[1:]) / 2.0
        else:
            choose = ops.minimum if self.summation_method == "minoring" else ops.maximum
            heights = choose(y[:-1], y[1:])
        return (x[:-1] - x[1:]) * heights

    def result(self) -> Tensor:
        if not self.variables:
            return ops.convert_to_tensor(0.0)
        areas = self._areas()
        if not self.multi_label:
            return ops.sum(areas)
        of_labels = ops.sum(areas, 0)
        if self.label_weights is None:
            return ops.mean(of_labels)
        weights = np.asarray(self.label_weights, np.float32)
        return ops.divide(ops.sum(of_labels * weights), float(weights.sum()))


def _interpolated(tp: Tensor, fp: Tensor, fn: Tensor) -> Tensor:
    """Strips of the precision-recall curve, true positives linear in positives."""
    steps, positives = tp[:-1] - tp[1:], tp + fp
    slope = ratio(steps, ops.maximum(positives[:-1] - positives[1:], 0.0))
    intercept = tp[1:] - slope * positives[1:]
    both = ops.logical_and(positives[:-1] > 0.0, positives[1:] > 0.0)
    quotient = ops.where(both, ratio(positives[:-1], positives[1:]), 1.0)
    area = slope * (steps + intercept * ops.log(quotient))
    return ratio(area, ops.maximum(tp[1:] + fn[1:], 0.0))
