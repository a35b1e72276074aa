"""How near predictions are, as `keras.metrics`."""

from __future__ import annotations

from typing import Any

from graphc import losses, ops
from graphc.trace import Tensor

from .base import FunctionMetric, Mean, Metric, assign

EPSILON = losses.EPSILON


def cosine_similarity(y_true: Any, y_pred: Any, axis: int = -1) -> Tensor:
    """The cosine of the angle between y_true and y_pred; the loss of this name is minus it."""
    return ops.negative(losses.cosine_similarity(y_true, y_pred, axis))


def _pair(y_true: Any, y_pred: Any) -> tuple[Tensor, Tensor]:
    y_pred = ops.convert_to_tensor(y_pred)
    return losses.match_ranks(ops.cast(ops.convert_to_tensor(y_true), y_pred.dtype), y_pred)


def pearson_correlation(y_true: Any, y_pred: Any, axis: int = -1) -> Tensor:
    """Pearson's correlation of y_true and y_pred along an axis."""
    normal = []
    for y in _pair(y_true, y_pred):
        centred = y - ops.mean(y, axis, keepdims=True)
        normal.append(centred / ops.sqrt(ops.var(centred, axis, keepdims=True)))
    return ops.mean(normal[0] * normal[1], axis)


def concordance_correlation(y_true: Any, y_pred: Any, axis: int = -1) -> Tensor:
    """Lin's concordance along an axis, as Keras computes it (both centred at y_pred's mean)."""
    y_true, y_pred = _pair(y_true, y_pred)
    means = [ops.mean(y, axis, keepdims=True) for y in (y_true, y_pred)]
    variances = [ops.var(y, axis, keepdims=True) for y in (y_true, y_pred)]
    together = (y_true - means[1]) * (y_pred - means[1])
    scale = variances[0] + variances[1] + ops.square(means[0] - means[1])
    return ops.mean(2.0 * together / (scale + EPSILON), axis)


class RootMeanSquaredError(Mean):
    """The root of the mean of squared differences."""

    _direction = "down"

    def __init__(self, name: str = "root_mean_squared_error", dtype: str | None = None) -> None:
        super().__init__(name, dtype)

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:  # type: ignore[override]
        y_true, y_pred = _pair(y_true, y_pred)
        super().update_state(ops.square(y_pred - y_true), sample_weight)

    def result(self) -> Tensor:
        return ops.sqrt(super().result())


class CosineSimilarity(FunctionMetric):
    """The cosine of the angle; see `cosine_similarity`."""

    function = staticmethod(cosine_similarity)
    forgotten = ("axis",)
    _direction = "up"


class PearsonCorrelation(FunctionMetric):
    """See `pearson_correlation`."""

    function = staticmethod(pearson_correlation)
    _direction = "up"


class ConcordanceCorrelation(FunctionMetric):
    """See `concordance_correlation`."""

    function = staticmethod(concordance_correlation)
    _direction = "up"


class R2Score(Metric):
    """The part of the variance that is explained, 1 at best.

    Args:
        class_aggregation: of several outputs: "uniform_average", "variance_weighted_average", or
            None for one value each.
        num_regressors: for the adjusted score, if above 0.
    """

    _direction = "up"

    def __init__(
        self, class_aggregation: str | None = "uniform_average", num_regressors: int = 0,
        name: str = "r2_score", dtype: str | None = None,
    ) -> None:  # fmt: skip
        super().__init__(name, dtype)
        known = (None, "uniform_average", "variance_weighted_average")
        if class_aggregation not in known:
            raise ValueError(
                f"R2Score: class_aggregation must be one of {known}, got {class_aggregation!r}"
            )
        self.options = {
            "class_aggregation": class_aggregation, "num_regressors": num_regressors
        }  # fmt: skip
        self.class_aggregation = class_aggregation
        self.num_regressors = num_regressors
        self.num_samples = self.add_variable(name="num_samples")
        self.built = False

    def _build(self, outputs: int) -> None:
        names = ("squared_sum", "sum", "residual", "count")
        self.squares, self.total, self.residual, self.count = (
            self.add_variable((outputs,), name=name) for name in names
        )
        self.built = True

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        y_true, y_pred = _pair(y_true, y_pred)
        outputs = y_pred.shape[-1]
        if y_pred.ndim != 2 or not isinstance(outputs, int):
            raise ValueError(f"R2Score takes (batch, outputs), got {list(y_pred.shape)}")
        if not self.built:
            self._build(outputs)
        weight = ops.convert_to_tensor(1.0 if sample_weight is None else sample_weight)
        if weight.ndim == 1:
            weight = ops.expand_dims(weight, 1)
        weight = ops.broadcast_to(ops.cast(weight, "float32"), y_true.shape)
        weighted = y_true * weight
        for variable, value in (
            (self.total, weighted),
            (self.squares, y_true * weighted),
            (self.residual, ops.square(y_true - y_pred) * weight),
            (self.count, weight),
        ):
            assign(variable, ops.add(variable, ops.sum(value, 0)))
        assign(self.num_samples, ops.add(self.num_samples, ops.sum(ops.ones_like(y_true))))

    def result(self) -> Tensor:
        if not self.built:
            return ops.convert_to_tensor(0.0)
        total = self.squares - self.total * (self.total / self.count)
        raw = 1.0 - self.residual / total
        raw = ops.where(ops.equal(ops.abs(raw), float("inf")), 0.0, raw)
        score = raw
        if self.class_aggregation == "uniform_average":
            score = ops.mean(raw)
        elif self.class_aggregation is not None:
            score = ops.divide(ops.sum(total * raw), ops.sum(total))
        if not self.num_regressors:
            return score
        free = self.num_samples - 1.0 - float(self.num_regressors)
        adjusted = 1.0 - (1.0 - score) * (self.num_samples - 1.0) / free
        return ops.where(ops.greater(free, 0.0), adjusted, score)
