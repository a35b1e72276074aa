"""Losses, as classes and functions, as in `keras.losses`.

A function takes y_true and y_pred of one shape (batch, ..., size) and returns one value for each
sample, (batch, ...): the mean, or sum over classes, along the last axis. A class reduces these to
the scalar that `fit` minimises. A loss of one's own is any function written with `graphc.ops`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from graphc.errors import unknown_name
from graphc.registration import CustomObjectScope, export, get_registered_object
from graphc.serialization import deserialize_keras_object, is_object, serialize_keras_object

from .base import (
    EPSILON,
    Loss,
    LossFunction,
    LossFunctionWrapper,
    align_weight,
    masked_weight,
    match_ranks,
    name_of,
)
from .classes import (
    CTC,
    BinaryCrossentropy,
    BinaryFocalCrossentropy,
    CategoricalCrossentropy,
    CategoricalFocalCrossentropy,
    CategoricalGeneralizedCrossEntropy,
    CategoricalHinge,
    Circle,
    CosineSimilarity,
    Dice,
    Hinge,
    Huber,
    KLDivergence,
    LogCosh,
    MeanAbsoluteError,
    MeanAbsolutePercentageError,
    MeanSquaredError,
    MeanSquaredLogarithmicError,
    Poisson,
    SparseCategoricalCrossentropy,
    SquaredHinge,
    Tversky,
)
from .margin import categorical_hinge, circle, dice, hinge, squared_hinge, tversky
from .probabilistic import (
    binary_crossentropy,
    binary_focal_crossentropy,
    categorical_crossentropy,
    categorical_focal_crossentropy,
    categorical_generalized_cross_entropy,
    kl_divergence,
    poisson,
    sparse_categorical_crossentropy,
)
from .regression import (
    cosine_similarity,
    huber,
    log_cosh,
    mean_absolute_error,
    mean_absolute_percentage_error,
    mean_squared_error,
    mean_squared_logarithmic_error,
)
from .sequence import ctc

CLASSES: tuple[type[LossFunctionWrapper], ...] = (
    BinaryCrossentropy, BinaryFocalCrossentropy, CTC, CategoricalCrossentropy,
    CategoricalFocalCrossentropy, CategoricalGeneralizedCrossEntropy, CategoricalHinge,
    Circle, CosineSimilarity, Dice, Hinge, Huber, KLDivergence, LogCosh, MeanAbsoluteError,
    MeanAbsolutePercentageError, MeanSquaredError, MeanSquaredLogarithmicError, Poisson,
    SparseCategoricalCrossentropy, SquaredHinge, Tversky,
)  # fmt: skip

# Keras's short names.
mse, mae, mape = mean_squared_error, mean_absolute_error, mean_absolute_percentage_error
msle, bce, kld = mean_squared_logarithmic_error, binary_crossentropy, kl_divergence
MSE, MAE, MAPE, MSLE = mse, mae, mape, msle
KLD, BCE, KL, kullback_leibler_divergence = kld, bce, kld, kld
cosine, logcosh = cosine_similarity, log_cosh

FUNCTIONS: dict[str, LossFunction] = {
    **{name_of(cls.function): cls.function for cls in CLASSES},  # type: ignore[attr-defined]
    "mse": mse, "mae": mae, "mape": mape, "msle": msle, "bce": bce, "kld": kld,
    "circle": circle, "cosine": cosine, "logcosh": logcosh, "kullback_leibler_divergence": kld,
}  # fmt: skip


def get(identifier: object) -> Loss:
    """The loss of a name, class, instance, function or configuration.

    Raises:
        ValueError: for an unknown name, with the nearest known one.
    """
    if isinstance(identifier, Loss):
        return identifier
    classes = {cls.__name__: cls for cls in CLASSES}
    if isinstance(identifier, Mapping) and is_object(identifier):
        return get(deserialize_keras_object({"module": "keras.losses", **identifier}))
    if isinstance(identifier, str):
        if (custom := get_registered_object(identifier)) is not None:
            return get(custom)
        name = identifier if identifier in FUNCTIONS else identifier.lower()
        if identifier in classes:
            return classes[identifier]()  # type: ignore[call-arg]
        if name in FUNCTIONS:
            return LossFunctionWrapper(FUNCTIONS[name])
        raise unknown_name("loss", identifier, [*FUNCTIONS, *classes])
    if isinstance(identifier, type) and issubclass(identifier, Loss):
        return identifier()
    if callable(identifier):
        return LossFunctionWrapper(identifier)
    raise unknown_name("loss", identifier, [*FUNCTIONS, *classes])


def serialize(loss: Any) -> Any:
    """The configuration of a loss or a function, as Keras writes it."""
    return serialize_keras_object(loss)


def deserialize(name: Any, custom_objects: Mapping[str, Any] | None = None) -> Loss:
    """The loss of a configuration; `custom_objects` are a user's own, by name."""
    with CustomObjectScope(custom_objects):
        return get(name)


def takes_integer_labels(loss: Loss) -> bool:
    """Whether y_true holds class numbers."""
    return getattr(loss, "fn", None) is sparse_categorical_crossentropy


def ignored_label(loss: Loss) -> int | None:
    """The label whose samples do not count."""
    ignored: int | None = getattr(loss, "options", {}).get("ignore_class")
    return ignored


export("keras.losses", CLASSES)
export("keras.losses", FUNCTIONS)
export("keras.losses", [LossFunctionWrapper])
export("keras", [Loss])
