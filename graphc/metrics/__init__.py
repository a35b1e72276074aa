"""Metrics, as in `keras.metrics`, accumulated in native code.

A metric's state are variables; `update_state` and `result` are traced into the program once, with
`graphc.ops`; outside of a program they take NumPy arrays. A metric of one's own is a subclass of
`Metric`, or a function like a loss function, whose mean over samples is reported.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

# As in Keras, losses are metrics too: metrics.mean_squared_error.
from graphc import losses
from graphc.errors import unknown_name
from graphc.losses import (
    binary_crossentropy,
    categorical_crossentropy,
    mae,
    mean_absolute_error,
    mean_squared_error,
    mse,
    sparse_categorical_crossentropy,
)
from graphc.registration import CustomObjectScope, export, get_registered_object
from graphc.serialization import deserialize_keras_object, is_object, serialize_keras_object
from graphc.trace import Tensor
from graphc.utils import snake_case

from .accuracy import (
    ByShape,
    accuracy_function,
    binary_accuracy,
    categorical_accuracy,
    crossentropy_function,
    sparse_categorical_accuracy,
    sparse_top_k_categorical_accuracy,
    top_k_categorical_accuracy,
)
from .base import Mean, MeanMetricWrapper, Metric, Sum, assign
from .confusion import (
    AUC,
    FalseNegatives,
    FalsePositives,
    Precision,
    PrecisionAtRecall,
    Recall,
    RecallAtPrecision,
    SensitivityAtSpecificity,
    SpecificityAtSensitivity,
    TrueNegatives,
    TruePositives,
)
from .means import (
    Accuracy,
    BinaryAccuracy,
    BinaryCrossentropy,
    CategoricalAccuracy,
    CategoricalCrossentropy,
    CategoricalHinge,
    Hinge,
    KLDivergence,
    LogCoshError,
    MeanAbsoluteError,
    MeanAbsolutePercentageError,
    MeanSquaredError,
    MeanSquaredLogarithmicError,
    Poisson,
    SparseCategoricalAccuracy,
    SparseCategoricalCrossentropy,
    SparseTopKCategoricalAccuracy,
    SquaredHinge,
    TopKCategoricalAccuracy,
)
from .overlap import BinaryIoU, F1Score, FBetaScore, IoU, MeanIoU, OneHotIoU, OneHotMeanIoU
from .regression import (
    ConcordanceCorrelation,
    CosineSimilarity,
    PearsonCorrelation,
    R2Score,
    RootMeanSquaredError,
)

CLASSES: tuple[type[Metric], ...] = (
    Accuracy, BinaryAccuracy, CategoricalAccuracy, SparseCategoricalAccuracy,
    TopKCategoricalAccuracy, SparseTopKCategoricalAccuracy, MeanSquaredError, MeanAbsoluteError,
    MeanAbsolutePercentageError, MeanSquaredLogarithmicError, LogCoshError, KLDivergence,
    Poisson, Hinge, SquaredHinge, CategoricalHinge, BinaryCrossentropy, CategoricalCrossentropy,
    SparseCategoricalCrossentropy, CosineSimilarity, PearsonCorrelation, ConcordanceCorrelation,
    RootMeanSquaredError, R2Score, AUC, Precision, Recall, TruePositives, FalsePositives,
    TrueNegatives, FalseNegatives, SensitivityAtSpecificity, SpecificityAtSensitivity,
    PrecisionAtRecall, RecallAtPrecision, F1Score, FBetaScore, IoU, BinaryIoU, MeanIoU,
    OneHotIoU, OneHotMeanIoU, Mean, Sum,
)  # fmt: skip
FUNCTIONS: dict[str, Callable[..., Tensor]] = {
    **losses.FUNCTIONS,
    "binary_accuracy": binary_accuracy,
    "categorical_accuracy": categorical_accuracy,
    "sparse_categorical_accuracy": sparse_categorical_accuracy,
    "top_k_categorical_accuracy": top_k_categorical_accuracy,
    "sparse_top_k_categorical_accuracy": sparse_top_k_categorical_accuracy,
}
_BY_SHAPE = {
    "accuracy": accuracy_function,
    "acc": accuracy_function,
    "crossentropy": crossentropy_function,
    "ce": crossentropy_function,
}


def get(identifier: object) -> Metric:
    """The metric of a name, class, instance, function or configuration.

    Raises:
        ValueError: for an unknown name, with the nearest known one.
    """
    if isinstance(identifier, Metric):
        return identifier
    classes = {cls.__name__: cls for cls in CLASSES}
    classes |= {snake_case(name): cls for name, cls in classes.items()} | {"auc": AUC}
    if isinstance(identifier, Mapping) and is_object(identifier):
        return get(deserialize_keras_object({"module": "keras.metrics", **identifier}))
    if isinstance(identifier, str):
        if (custom := get_registered_object(identifier)) is not None:
            return get(custom)
        if identifier in _BY_SHAPE:
            return ByShape(_BY_SHAPE[identifier], identifier)
        name = identifier if identifier in FUNCTIONS else identifier.lower()
        if name in FUNCTIONS and identifier != "cosine_similarity":
            return MeanMetricWrapper(FUNCTIONS[name], identifier)
        if identifier in classes:
            metric = classes[identifier]()
            metric.name = identifier  # Keras reports a metric under the name it was asked for by
            return metric
    elif isinstance(identifier, type) and issubclass(identifier, Metric):
        return identifier()
    elif callable(identifier):
        return MeanMetricWrapper(identifier)
    raise unknown_name("metric", identifier, [*_BY_SHAPE, *FUNCTIONS, *classes])


def serialize(metric: Any) -> Any:
    """The configuration of a metric or a function, as Keras writes it."""
    return serialize_keras_object(metric)


def deserialize(config: Any, custom_objects: Mapping[str, Any] | None = None) -> Metric:
    """The metric of a configuration; `custom_objects` are a user's own, by name."""
    with CustomObjectScope(custom_objects):
        return get(config)


export("keras.metrics", CLASSES)
export("keras.metrics", FUNCTIONS)
export("keras.metrics", [MeanMetricWrapper])
export("keras", [Metric])
