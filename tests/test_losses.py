"""Losses against their formulas in float64."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
from computing import compute

from graphc import layers, losses, models, ops
from graphc.ir.types import TensorType
from graphc.trace import Trace

Array = np.ndarray
RANDOM = np.random.default_rng(2)
ROWS, CLASSES = 9, 5
REAL = RANDOM.normal(size=(2, ROWS, CLASSES)).astype(np.float32)
PROBABLE = RANDOM.uniform(0.01, 0.99, (ROWS, CLASSES)).astype(np.float32)
BINARY = RANDOM.integers(0, 2, (ROWS, CLASSES)).astype(np.float32)
INDEX = RANDOM.integers(0, CLASSES, ROWS)
ONE_HOT = np.eye(CLASSES, dtype=np.float32)[INDEX]
LOGITS = (3 * REAL[1]).astype(np.float32)


def bce(y: Array, p: Array) -> Array:
    p = np.clip(p, np.float32(1e-7), np.float32(1 - 1e-7)).astype(np.float64)
    return (-y * np.log(p) - (1 - y) * np.log(1 - p)).mean(-1)


def bce_logits(y: Array, x: Array) -> Array:
    x = x.astype(np.float64)
    return (np.logaddexp(0, x) - x * y).mean(-1)


def cce(y: Array, p: Array) -> Array:
    p = p / p.astype(np.float64).sum(-1, keepdims=True)
    return -(y * np.log(np.clip(p, 1e-7, 1 - 1e-7))).sum(-1)


def cce_logits(y: Array, x: Array) -> Array:
    x = x.astype(np.float64)
    return -(y * (x - np.log(np.exp(x).sum(-1, keepdims=True)))).sum(-1)


def smooth(y: Array, by: float, towards: float) -> Array:
    return y * (1 - by) + by * towards


# name -> the loss, y_true, y_pred, and the value of each sample.
CASES: dict[str, tuple[Callable[..., Any], Array, Array, Array]] = {
    "mse": (losses.mse, REAL[0], REAL[1], ((REAL[0] - REAL[1]) ** 2).mean(-1)),
    "mae": (losses.mae, REAL[0], REAL[1], np.abs(REAL[0] - REAL[1]).mean(-1)),
    "mse of uint8": (losses.mse, np.uint8(BINARY), PROBABLE, ((BINARY - PROBABLE) ** 2).mean(-1)),
    "mse, y a column less": (
        losses.mse, REAL[0, :, 0], REAL[1, :, :1], (REAL[0, :, 0] - REAL[1, :, 0]) ** 2
    ),
    "mse, y a column more": (
        losses.mse, REAL[0, :, :, None], REAL[1], ((REAL[0] - REAL[1]) ** 2).mean(-1)
    ),
    "mse of sequences": (losses.mse, REAL, REAL[::-1], ((REAL - REAL[::-1]) ** 2).mean(-1)),
    "bce": (losses.binary_crossentropy, BINARY, PROBABLE, bce(BINARY, PROBABLE)),
    "bce of certainty": (
        losses.binary_crossentropy, BINARY, 1 - BINARY, bce(BINARY, np.float32(1 - BINARY))
    ),
    "bce from logits": (
        partial(losses.binary_crossentropy, from_logits=True), BINARY, LOGITS,
        bce_logits(BINARY, LOGITS),
    ),
    "bce from far logits": (
        partial(losses.binary_crossentropy, from_logits=True), BINARY, 100 * LOGITS,
        bce_logits(BINARY, 100 * LOGITS),
    ),
    "bce, smooth": (
        partial(losses.binary_crossentropy, label_smoothing=0.2), BINARY, PROBABLE,
        bce(smooth(BINARY, 0.2, 0.5), PROBABLE),
    ),
    "cce": (losses.categorical_crossentropy, ONE_HOT, PROBABLE, cce(ONE_HOT, PROBABLE)),
    "cce from logits": (
        partial(losses.categorical_crossentropy, from_logits=True), ONE_HOT, LOGITS,
        cce_logits(ONE_HOT, LOGITS),
    ),
    "cce from far logits": (
        partial(losses.categorical_crossentropy, from_logits=True), ONE_HOT, 20 * LOGITS,
        cce_logits(ONE_HOT, 20 * LOGITS),
    ),
    "cce, smooth": (
        partial(losses.categorical_crossentropy, label_smoothing=0.1), ONE_HOT, PROBABLE,
        cce(smooth(ONE_HOT, 0.1, 1 / CLASSES), PROBABLE),
    ),
    "sparse": (
        losses.sparse_categorical_crossentropy, INDEX, PROBABLE, cce(ONE_HOT, PROBABLE)
    ),
    "sparse, y a column": (
        losses.sparse_categorical_crossentropy, np.uint8(INDEX[:, None]), PROBABLE,
        cce(ONE_HOT, PROBABLE),
    ),
    "sparse, y floats": (
        losses.sparse_categorical_crossentropy, np.float32(INDEX), PROBABLE,
        cce(ONE_HOT, PROBABLE),
    ),
    "sparse from logits": (
        partial(losses.sparse_categorical_crossentropy, from_logits=True), INDEX, LOGITS,
        cce_logits(ONE_HOT, LOGITS),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_values(name: str) -> None:
    function, y_true, y_pred, wanted = CASES[name]
    result = compute({name: function}, y_true, y_pred)[name]
    assert result.shape == wanted.shape
    np.testing.assert_allclose(result, wanted, rtol=3e-6, atol=3e-7)


def test_reductions() -> None:
    weight = np.float32(RANDOM.uniform(0.5, 2, ROWS))
    each = ((REAL[0] - REAL[1]) ** 2).mean(-1)
    wanted: dict[tuple[str | None, bool], Array] = {
        ("sum_over_batch_size", True): (each * weight).mean(),
        ("sum_over_batch_size", False): each.mean(),
        ("mean", True): (each * weight).mean(),
        ("mean_with_sample_weight", True): (each * weight).sum() / weight.sum(),
        ("mean_with_sample_weight", False): each.mean(),
        ("sum", True): (each * weight).sum(),
        ("sum", False): each.sum(),
        ("none", True): each * weight,
        (None, False): each,
    }

    def reduced(reduction: str | None, weighted: bool) -> Callable[..., Any]:
        loss = losses.MeanSquaredError(reduction=reduction)
        return lambda y, p, w: loss(y, p, w if weighted else None)

    results = compute({key: reduced(*key) for key in wanted}, REAL[0], REAL[1], weight)
    for key, value in wanted.items():
        np.testing.assert_allclose(results[key], value, rtol=3e-6, err_msg=str(key))


@pytest.mark.parametrize("shape", [(2,), (2, 1), (2, ROWS), (2, ROWS, 1)], ids=str)
def test_weights_of_sequences_or_of_their_steps(shape: tuple[int, ...]) -> None:
    weight = np.float32(RANDOM.uniform(0.5, 2, shape))
    result = compute({"loss": losses.MeanSquaredError()}, REAL, REAL[::-1], weight)["loss"]
    steps = ((REAL - REAL[::-1]) ** 2).mean(-1)
    np.testing.assert_allclose(result, (steps * weight.reshape(2, -1)).mean(), rtol=3e-6)


@pytest.mark.parametrize("zero", [0.0, -0.0])
def test_zero_logits_learn(zero: float) -> None:
    """The derivative at the logit 0 is p - y, though the formula has a kink there."""
    model = models.Sequential(
        [layers.Input((1,)), layers.Dense(2, kernel_initializer="zeros", use_bias=False)]
    )
    model.compile("sgd", losses.BinaryCrossentropy(from_logits=True))
    model.optimizer.learning_rate = 1.0
    model.train_on_batch(np.ones((1, 1)), np.array([[zero, 1.0]]))
    np.testing.assert_allclose(model.get_weights()[0], [[-0.25, 0.25]], rtol=1e-6)


WRONG: dict[str, tuple[Callable[..., Any], tuple[int, ...], tuple[int, ...], str]] = {
    "mse": (losses.mse, (4, 3), (4, 1), r"\[4, 3\].*\[4, 1\]"),
    "mae": (losses.mae, (4,), (4, 3), r"\[4\].*\[4, 3\]"),
    "bce": (losses.binary_crossentropy, (4, 2), (4, 3), r"\[4, 2\].*\[4, 3\]"),
    "cce": (losses.categorical_crossentropy, (4, 1), (4, 3), "'sparse_categorical_crossentropy'"),
    "cce of index": (losses.categorical_crossentropy, (4,), (4, 3), "for integer labels use"),
    "sparse": (losses.sparse_categorical_crossentropy, (4, 3), (4, 3), "'categorical_cross"),
}


@pytest.mark.parametrize("name", WRONG)
def test_shapes_must_agree(name: str) -> None:
    function, y_true, y_pred, message = WRONG[name]
    with Trace("test") as trace, pytest.raises(ValueError, match=message):
        function(
            trace.input("t", TensorType("f32", y_true)), trace.input("p", TensorType("f32", y_pred))
        )


@pytest.mark.parametrize("name", [*losses.FUNCTIONS, "MSE", *(c.__name__ for c in losses.CLASSES)])
def test_get_by_name(name: str) -> None:
    loss = losses.get(name)
    assert loss.reduction == "sum_over_batch_size"
    # Keras calls the class so.
    assert loss.name in {f.__name__ for f in losses.FUNCTIONS.values()} | {"huber_loss"}


def test_get() -> None:
    mse = losses.MeanSquaredError()
    assert losses.get(mse) is mse
    assert isinstance(losses.get(losses.MeanAbsoluteError), losses.MeanAbsoluteError)
    assert losses.get(partial(losses.mse)).name == "partial"
    assert losses.get(lambda y, p: p).name == "<lambda>"
    assert losses.takes_integer_labels(losses.get("sparse_categorical_crossentropy"))
    assert not losses.takes_integer_labels(mse)
    with pytest.raises(ValueError, match=r"Unknown loss 'msee'\. Did you mean 'mse'"):
        losses.get("msee")
    with pytest.raises(ValueError, match="Unknown loss 7"):
        losses.get(7)
    with pytest.raises(ValueError, match=r"Unknown reduction 'summ'\. Did you mean 'sum'"):
        losses.MeanSquaredError(reduction="summ")


def test_config() -> None:
    loss = losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.1, name="mine")
    assert loss.get_config() == {
        "name": "mine", "reduction": "sum_over_batch_size", "from_logits": True,
        "label_smoothing": 0.1, "axis": -1,
    }  # fmt: skip
    assert losses.CategoricalCrossentropy(**loss.get_config()).get_config() == loss.get_config()


def test_a_loss_of_ones_own() -> None:
    class Scaled(losses.Loss):
        def call(self, y_true: Any, y_pred: Any) -> Any:
            return ops.sum(ops.abs(y_true - y_pred), axis=-1) * 10

    model = models.Sequential([layers.Input((2,)), layers.Activation("linear")])
    x, y = REAL[0, :4, :2], REAL[1, :4, :2]
    wanted = 10 * np.abs(y - x).sum(-1).mean()
    for loss in (Scaled(), lambda y, p: 10 * ops.sum(ops.abs(y - p), axis=-1)):
        model.compile("sgd", loss)
        np.testing.assert_allclose(model.evaluate(x, y, verbose=0), wanted, rtol=1e-5)


def test_circle_without_pairs_is_0_and_has_no_gradient() -> None:
    embeddings = np.eye(4, dtype=np.float32)
    assert losses.circle(np.arange(4), embeddings).tolist() == [0, 0, 0, 0]  # none of a class
    assert losses.circle(np.zeros(4), embeddings).tolist() == [0, 0, 0, 0]  # none of another
    mixed = losses.circle(np.array([0, 0, 1, 2]), embeddings, gamma=1.0)
    assert (mixed[:2] > 0).all() and mixed[2:].tolist() == [0, 0]
    model = models.Sequential([layers.Input((4,)), layers.Dense(3), layers.UnitNormalization()])
    model.compile("sgd", losses.Circle())
    model.fit(embeddings, np.array([0, 0, 1, 2]), verbose=0)
    assert all(np.isfinite(w).all() for w in model.get_weights())
