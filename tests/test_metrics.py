"""Metrics against NumPy, accumulated over uneven batches."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from graphc import callbacks, layers, losses, metrics, models, ops

Array = np.ndarray
RANDOM = np.random.default_rng(3)
ROWS, CLASSES = 50, 5
PROBABLE = RANDOM.dirichlet(np.full(CLASSES, 0.7), ROWS).astype(np.float32)
INDEX = np.where(RANDOM.random(ROWS) < 0.5, PROBABLE.argmax(-1), RANDOM.integers(0, CLASSES, ROWS))
ONE_HOT = np.eye(CLASSES, dtype=np.float32)[INDEX]
BINARY = RANDOM.integers(0, 2, (ROWS, 1)).astype(np.float32)
SINGLE = RANDOM.random((ROWS, 1)).astype(np.float32)
WEIGHT = np.float32(RANDOM.uniform(0.25, 2, ROWS))


def identity(columns: int, **task: Any) -> Any:
    """A model that predicts its input."""
    model = models.Sequential([layers.Input((columns,)), layers.Activation("linear")])
    model.compile("sgd", "mse" if "loss" not in task else task.pop("loss"), **task)
    return model


def evaluate(y: Array, y_pred: Array, *metric: Any, **options: Any) -> dict[str, float]:
    """Metrics by name, over batches of 16, 16, 16 and 2."""
    kind = options.pop("kind", "metrics")
    sparse = y_pred.shape[-1] > 1 and y.shape[1:] != y_pred.shape[1:]
    loss = "sparse_categorical_crossentropy" if sparse else "mse"
    model = identity(y_pred.shape[1], loss=loss, **{kind: list(metric)})
    logs = model.evaluate(y_pred, y, batch_size=16, verbose=0, return_dict=True, **options)
    return {name: value for name, value in logs.items() if name != "loss"}


def log_p(p: Array) -> Array:
    return np.log(np.clip(p.astype(np.float64), 1e-7, 1 - 1e-7))


HITS = PROBABLE.argmax(-1) == INDEX
SIDES = (SINGLE > 0.5) == BINARY
CASES: dict[str, tuple[Array, Array, list[Any], list[Array]]] = {
    "one-hot": (
        ONE_HOT, PROBABLE,
        [
            "accuracy", "categorical_accuracy", metrics.CategoricalAccuracy(name="hits"),
            "binary_accuracy", metrics.BinaryAccuracy(threshold=0.2, name="above"), "mse", "mae",
            "categorical_crossentropy", metrics.CategoricalCrossentropy(name="ce"),
            metrics.CategoricalCrossentropy(name="smooth", label_smoothing=0.5),
        ],
        [
            HITS, HITS, HITS,
            ((PROBABLE > 0.5) == ONE_HOT).mean(-1), ((PROBABLE > 0.2) == ONE_HOT).mean(-1),
            ((PROBABLE - ONE_HOT) ** 2).mean(-1), np.abs(PROBABLE - ONE_HOT).mean(-1),
            -(ONE_HOT * log_p(PROBABLE)).sum(-1), -(ONE_HOT * log_p(PROBABLE)).sum(-1),
            -((ONE_HOT * 0.5 + 0.1) * log_p(PROBABLE)).sum(-1),
        ],
    ),
    "index": (
        INDEX, PROBABLE,
        ["accuracy", "acc", "sparse_categorical_accuracy", "sparse_categorical_crossentropy"],
        [HITS, HITS, HITS, -(ONE_HOT * log_p(PROBABLE)).sum(-1)],
    ),
    "a column of index": (INDEX[:, None], PROBABLE, ["accuracy"], [HITS]),
    "binary": (
        BINARY, SINGLE, ["accuracy", "binary_accuracy", "bce", metrics.MeanSquaredError()],
        [
            SIDES, SIDES, -BINARY * log_p(SINGLE) - (1 - BINARY) * log_p(1 - SINGLE),
            (BINARY - SINGLE) ** 2,
        ],
    ),
    "flat binary": (BINARY[:, 0], SINGLE, ["accuracy", "mse"], [SIDES, (BINARY - SINGLE) ** 2]),
    "several sigmoids": (ONE_HOT, PROBABLE, ["acc"], [HITS]),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_values_over_uneven_batches(name: str) -> None:
    y, y_pred, asked, wanted = CASES[name]
    for value, exact in zip(evaluate(y, y_pred, *asked).values(), wanted, strict=True):
        np.testing.assert_allclose(value, exact.mean(), rtol=3e-6)


def test_thresholds_are_strict() -> None:
    half = np.full((3, 1), 0.5, np.float32)
    assert evaluate(half * 0, half, "binary_accuracy") == {"binary_accuracy": 1.0}


def test_weighted_metrics_divide_by_the_weights_and_others_ignore_them() -> None:
    asked = ["accuracy", "mse"]
    unweighted = evaluate(ONE_HOT, PROBABLE, *asked, sample_weight=WEIGHT)
    weighted = evaluate(ONE_HOT, PROBABLE, *asked, sample_weight=WEIGHT, kind="weighted_metrics")
    error = ((PROBABLE - ONE_HOT) ** 2).mean(-1)
    for logs, weight in ((unweighted, np.ones(ROWS)), (weighted, WEIGHT)):
        np.testing.assert_allclose(logs["accuracy"], np.average(HITS, weights=weight), rtol=1e-6)
        np.testing.assert_allclose(logs["mse"], np.average(error, weights=weight), rtol=3e-6)


def test_equal_values() -> None:
    y = np.float32([[1, 2], [3, 4]])
    assert evaluate(y, np.float32([[1, 0], [3, 4]]), metrics.Accuracy()) == {"accuracy": 0.75}


# What a metric is called in the logs: observed with Keras 3.15.
NAMES: list[tuple[Any, str]] = [
    ("accuracy", "accuracy"),
    ("acc", "acc"),
    ("mse", "mse"),
    ("MSE", "MSE"),
    ("mean_squared_error", "mean_squared_error"),
    ("MeanSquaredError", "MeanSquaredError"),
    (metrics.MeanSquaredError, "mean_squared_error"),
    (metrics.MeanSquaredError(), "mean_squared_error"),
    (metrics.MeanSquaredError(name="q"), "q"),
    (metrics.mean_squared_error, "mean_squared_error"),
    (losses.MeanSquaredError(), "mean_squared_error"),
    ("bce", "bce"),
    (metrics.BinaryAccuracy(), "binary_accuracy"),
    (lambda y, p: ops.mean(p, -1), "<lambda>"),
]


@pytest.mark.parametrize(("given", "name"), NAMES, ids=[name for _, name in NAMES])
def test_names(given: Any, name: str) -> None:
    model = identity(1, metrics=[given])
    assert model.metrics_names == ["loss", name]


def test_a_clash_is_called_weighted() -> None:
    model = identity(1, metrics=["mae"], weighted_metrics=["mae", "mse"])
    assert model.metrics_names == ["loss", "mae", "weighted_mae", "mse"]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["acuracy"], r"Unknown metric 'acuracy'\. Did you mean 'accuracy'"),
        ([3], "Unknown metric 3"),
        ("accuracy", r"metrics must be a list such as \['accuracy'\], got 'accuracy'"),
        (["loss_"], "Unknown metric 'loss_'"),
        ([metrics.MeanSquaredError(name="loss")], "a metric cannot be called 'loss'"),
    ],
)
def test_errors(given: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        identity(1, metrics=given)


def test_equal_names_are_numbered() -> None:
    model = identity(
        1, metrics=["mae", metrics.MeanAbsoluteError(name="mae")], weighted_metrics=["mae"]
    )
    assert model.metrics_names == ["loss", "mae", "mae_1", "weighted_mae"]


class Rows(metrics.Metric):
    """How many rows there were since the last reset."""

    def __init__(self) -> None:
        super().__init__(name="rows")
        self.count = self.add_variable(name="count")

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        ones = ops.ones_like(ops.sum(y_pred, -1))
        metrics.assign(self.count, self.count + ops.sum(ones))

    def result(self) -> Any:
        return self.count


def test_metrics_start_again_each_epoch_and_each_evaluation() -> None:
    model = identity(CLASSES, metrics=[Rows()])
    history = model.fit(PROBABLE, ONE_HOT, epochs=3, batch_size=16, verbose=0).history
    assert history["rows"] == [ROWS] * 3
    for _ in range(2):
        assert model.evaluate(PROBABLE, ONE_HOT, batch_size=16, verbose=0)[1] == ROWS
    assert [model.test_on_batch(PROBABLE[:7], ONE_HOT[:7])[1] for _ in range(2)] == [7, 7]
    assert [model.train_on_batch(PROBABLE[:7], ONE_HOT[:7])[1] for _ in range(2)] == [7, 7]


class Largest(metrics.Metric):
    """The largest weighted prediction of all."""

    def __init__(self) -> None:
        super().__init__(name="largest")
        self.value = self.add_variable(name="value")

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        if sample_weight is not None:
            y_pred = y_pred * ops.expand_dims(sample_weight, -1)
        metrics.assign(self.value, ops.maximum(self.value, ops.max(y_pred)))

    def result(self) -> Any:
        return self.value * 2.0


def test_a_metric_of_ones_own() -> None:
    wanted = {
        "metrics": 2 * PROBABLE.max(),
        "weighted_metrics": 2 * (WEIGHT[:, None] * PROBABLE).max(),
    }
    for kind, value in wanted.items():
        logs = evaluate(ONE_HOT, PROBABLE, Largest(), kind=kind, sample_weight=WEIGHT)
        np.testing.assert_allclose(logs["largest"], value, rtol=1e-6)


def test_a_function_as_metric() -> None:
    def spread(y_true: Any, y_pred: Any) -> Any:
        return ops.max(y_pred, -1) - ops.min(y_pred, -1)

    logs = evaluate(ONE_HOT, PROBABLE, spread)
    np.testing.assert_allclose(logs["spread"], np.ptp(PROBABLE, -1).mean(), rtol=3e-6)


@pytest.mark.parametrize(
    ("metric", "mode"),
    [("accuracy", "up"), ("mse", "down"), ("BinaryAccuracy", "up"), ("bce", "down")],
)
def test_callbacks_know_what_is_better(metric: str, mode: str) -> None:
    model = identity(1, metrics=[metric])
    assert {m.name: m._direction for m in model.metrics} == {"loss": None, metric: mode}
    watch = callbacks.EarlyStopping(f"val_{metric}", patience=1)
    epochs = model.fit(
        SINGLE, BINARY, validation_data=(SINGLE, BINARY), epochs=9, verbose=0, callbacks=[watch]
    ).epoch
    assert epochs == [0, 1]  # nothing improves, as there is nothing to train


def test_a_direction_that_nobody_knows() -> None:
    custom: Callable[..., Any] = lambda y, p: ops.mean(p, -1)  # noqa: E731
    model = identity(1, metrics=[custom])
    with pytest.raises(ValueError, match="Pass mode='min' or mode='max'"):
        model.fit(SINGLE, BINARY, verbose=0, callbacks=[callbacks.EarlyStopping("<lambda>")])
