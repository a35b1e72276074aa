"""Means of functions of y_true and y_pred, as `keras.metrics`."""

from __future__ import annotations

from graphc import losses

from . import accuracy
from .base import FunctionMetric


class Accuracy(FunctionMetric):
    """How often y_pred equals y_true; see `accuracy`."""

    function = staticmethod(accuracy.accuracy)
    _direction = "up"


class BinaryAccuracy(FunctionMetric):
    """How often predictions are on the right side of a threshold; see `binary_accuracy`."""

    function = staticmethod(accuracy.binary_accuracy)
    _direction = "up"


class CategoricalAccuracy(FunctionMetric):
    """How often the largest prediction is at the one-hot label; see `categorical_accuracy`."""

    function = staticmethod(accuracy.categorical_accuracy)
    _direction = "up"


class SparseCategoricalAccuracy(FunctionMetric):
    """How often the largest prediction is at the integer label."""

    function = staticmethod(accuracy.sparse_categorical_accuracy)
    _direction = "up"


class TopKCategoricalAccuracy(FunctionMetric):
    """How often the one-hot label is among the k largest predictions."""

    function = staticmethod(accuracy.top_k_categorical_accuracy)
    _direction = "up"


class SparseTopKCategoricalAccuracy(FunctionMetric):
    """How often the integer label is among the k largest predictions."""

    function = staticmethod(accuracy.sparse_top_k_categorical_accuracy)
    _direction = "up"


class MeanSquaredError(FunctionMetric):
    """Mean of squared differences; see `mean_squared_error`."""

    function = staticmethod(losses.mean_squared_error)
    _direction = "down"


class MeanAbsoluteError(FunctionMetric):
    """Mean of absolute differences; see `mean_absolute_error`."""

    function = staticmethod(losses.mean_absolute_error)
    _direction = "down"


class MeanAbsolutePercentageError(FunctionMetric):
    """Mean of relative differences, in percent; see `mean_absolute_percentage_error`."""

    function = staticmethod(losses.mean_absolute_percentage_error)
    _direction = "down"


class MeanSquaredLogarithmicError(FunctionMetric):
    """Mean of squared differences of logarithms; see `mean_squared_logarithmic_error`."""

    function = staticmethod(losses.mean_squared_logarithmic_error)
    _direction = "down"


class LogCoshError(FunctionMetric):
    """Mean of log(cosh(difference)); see `log_cosh`."""

    function = staticmethod(losses.log_cosh)
    default_name = "logcosh"
    _direction = "down"


class KLDivergence(FunctionMetric):
    """Kullback-Leibler divergence; see `kl_divergence`."""

    function = staticmethod(losses.kl_divergence)
    _direction = "down"


class Poisson(FunctionMetric):
    """Of counts; see `poisson`."""

    function = staticmethod(losses.poisson)
    _direction = "down"


class Hinge(FunctionMetric):
    """Margin of signs; see `hinge`."""

    function = staticmethod(losses.hinge)
    _direction = "down"


class SquaredHinge(FunctionMetric):
    """Squared margin of signs; see `squared_hinge`."""

    function = staticmethod(losses.squared_hinge)
    _direction = "down"


class CategoricalHinge(FunctionMetric):
    """Margin of the right class; see `categorical_hinge`."""

    function = staticmethod(losses.categorical_hinge)
    _direction = "down"


class BinaryCrossentropy(FunctionMetric):
    """Crossentropy of yes-or-no predictions; see `binary_crossentropy`."""

    function = staticmethod(losses.binary_crossentropy)
    forgotten = ("axis",)
    _direction = "down"


class CategoricalCrossentropy(FunctionMetric):
    """Crossentropy with one-hot labels; see `categorical_crossentropy`."""

    function = staticmethod(losses.categorical_crossentropy)
    _direction = "down"


class SparseCategoricalCrossentropy(FunctionMetric):
    """Crossentropy with integer labels; see `sparse_categorical_crossentropy`."""

    function = staticmethod(losses.sparse_categorical_crossentropy)
    _direction = "down"
