"""The loss functions as classes, as in `keras.losses`."""

from __future__ import annotations

from typing import Any

from . import margin as margins
from . import probabilistic, regression, sequence
from .base import FunctionLoss


def _circle(
    y_true: Any, y_pred: Any, gamma: float = 80.0, margin: float = 0.4,
    remove_diagonal: bool = True,
) -> Any:  # fmt: skip
    """`circle` with the options that its class takes."""
    return margins.circle(
        y_true, y_pred, gamma=gamma, margin=margin, remove_diagonal=remove_diagonal
    )


_circle.__name__ = "circle"


class BinaryCrossentropy(FunctionLoss):
    """Crossentropy of independent yes-or-no predictions; see `binary_crossentropy`."""

    function = staticmethod(probabilistic.binary_crossentropy)


class BinaryFocalCrossentropy(FunctionLoss):
    """Focal crossentropy of yes-or-no predictions; see `binary_focal_crossentropy`."""

    function = staticmethod(probabilistic.binary_focal_crossentropy)


class CategoricalCrossentropy(FunctionLoss):
    """Crossentropy with one-hot labels; see `categorical_crossentropy`."""

    function = staticmethod(probabilistic.categorical_crossentropy)


class CategoricalFocalCrossentropy(FunctionLoss):
    """Focal crossentropy with one-hot labels; see `categorical_focal_crossentropy`."""

    function = staticmethod(probabilistic.categorical_focal_crossentropy)


class CategoricalGeneralizedCrossEntropy(FunctionLoss):
    """Crossentropy robust to wrong labels; see `categorical_generalized_cross_entropy`."""

    function = staticmethod(probabilistic.categorical_generalized_cross_entropy)


class SparseCategoricalCrossentropy(FunctionLoss):
    """Crossentropy with integer labels; see `sparse_categorical_crossentropy`."""

    function = staticmethod(probabilistic.sparse_categorical_crossentropy)
    forgotten = ("axis",)


class KLDivergence(FunctionLoss):
    """Kullback-Leibler divergence; see `kl_divergence`."""

    function = staticmethod(probabilistic.kl_divergence)


class Poisson(FunctionLoss):
    """Of counts; see `poisson`."""

    function = staticmethod(probabilistic.poisson)


class MeanSquaredError(FunctionLoss):
    """Mean of squared differences; see `mean_squared_error`."""

    function = staticmethod(regression.mean_squared_error)


class MeanAbsoluteError(FunctionLoss):
    """Mean of absolute differences; see `mean_absolute_error`."""

    function = staticmethod(regression.mean_absolute_error)


class MeanAbsolutePercentageError(FunctionLoss):
    """Mean of relative differences, in percent; see `mean_absolute_percentage_error`."""

    function = staticmethod(regression.mean_absolute_percentage_error)


class MeanSquaredLogarithmicError(FunctionLoss):
    """Mean of squared differences of logarithms; see `mean_squared_logarithmic_error`."""

    function = staticmethod(regression.mean_squared_logarithmic_error)


class CosineSimilarity(FunctionLoss):
    """Minus the cosine of the angle; see `cosine_similarity`."""

    function = staticmethod(regression.cosine_similarity)
    forgotten = ("axis",)


class Huber(FunctionLoss):
    """Squared near 0, linear beyond; see `huber`."""

    function = staticmethod(regression.huber)
    default_name = "huber_loss"
    forgotten = ("delta",)


class LogCosh(FunctionLoss):
    """Mean of log(cosh(difference)); see `log_cosh`."""

    function = staticmethod(regression.log_cosh)


class Hinge(FunctionLoss):
    """Margin of signs; see `hinge`."""

    function = staticmethod(margins.hinge)


class SquaredHinge(FunctionLoss):
    """Squared margin of signs; see `squared_hinge`."""

    function = staticmethod(margins.squared_hinge)


class CategoricalHinge(FunctionLoss):
    """Margin of the right class; see `categorical_hinge`."""

    function = staticmethod(margins.categorical_hinge)


class Dice(FunctionLoss):
    """Of overlap; axis None by default, one value for the batch; see `dice`."""

    function = staticmethod(margins.dice)


class Tversky(FunctionLoss):
    """Of overlap, with weights for the two kinds of error; see `tversky`."""

    function = staticmethod(margins.tversky)


class Circle(FunctionLoss):
    """Of embeddings and class numbers; see `circle`."""

    function = staticmethod(_circle)


class CTC(FunctionLoss):
    """Of label sequences, over all alignments; see `ctc`."""

    function = staticmethod(sequence.ctc)
