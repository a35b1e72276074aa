"""Functions, layers and losses on arrays, outside of a model: one program for each kind of call."""

import numpy as np
import pytest

from graphc import layers, losses, metrics, ops, utils
from graphc.trace import Variable

X = np.random.default_rng(0).normal(size=(4, 3))


def test_functions_take_and_return_arrays() -> None:
    found = ops.softmax(X)
    assert isinstance(found, np.ndarray) and found.dtype == np.float32
    wanted = np.exp(X) / np.exp(X).sum(-1, keepdims=True)
    np.testing.assert_allclose(found, wanted, 1e-5)
    np.testing.assert_array_equal(ops.reshape(np.arange(6), (2, 3)), [[0, 1, 2], [3, 4, 5]])
    first, second = ops.split(X, [1], axis=1)
    assert (first.shape, second.shape) == ((4, 1), (4, 2))
    np.testing.assert_array_equal(ops.add([1, 2], 3), [4, 5])


def test_variables_are_read_when_the_call_is_made() -> None:
    one, other = Variable([1.0, 2.0], "v"), Variable([5.0, 6.0], "v")
    for variable in (one, other):
        np.testing.assert_array_equal(ops.multiply(variable, 2.0), 2 * variable.value)
    one.assign([7.0, 8.0])
    np.testing.assert_array_equal(ops.multiply(one, 2.0), [14, 16])


def test_layers() -> None:
    dense = layers.Dense(2, activation="tanh")
    kernel = dense(X) is not None and dense.kernel.value
    np.testing.assert_allclose(dense(X), np.tanh(X @ kernel), 1e-5, 1e-6)
    dense.set_weights([np.zeros((3, 2)), np.ones(2)])
    np.testing.assert_allclose(dense(X), np.full((4, 2), np.tanh(1)), 1e-6)
    outputs = layers.LSTM(3, return_state=True)(np.ones((2, 5, 3)))
    assert [y.shape for y in outputs] == [(2, 3)] * 3


def test_training_is_an_argument() -> None:
    utils.set_random_seed(0)
    drop, ones = layers.Dropout(0.5), np.ones((8, 8))
    np.testing.assert_array_equal(drop(ones), ones)
    first, second = drop(ones, training=True), drop(ones, training=True)
    assert set(np.unique(first)) == {0.0, 2.0} and not np.array_equal(first, second)


def test_losses_as_classes_and_functions() -> None:
    y = np.zeros_like(X)
    np.testing.assert_allclose(losses.mean_squared_error(y, X), (X**2).mean(-1), 1e-5)
    weighted = losses.MeanSquaredError()(y, X, sample_weight=[1, 0, 0, 1])
    np.testing.assert_allclose(weighted, (X[[0, 3]] ** 2).mean() / 2, 1e-5)
    np.testing.assert_allclose(losses.Huber()([1.0, 2.0], [1.0, 3.0]), 0.25)


def test_metrics() -> None:
    accuracy = metrics.BinaryAccuracy()
    accuracy.update_state([0, 1, 1], [0.1, 0.8, 0.4])
    np.testing.assert_allclose(accuracy.result(), 2 / 3, 1e-6)
    np.testing.assert_allclose(accuracy([1, 1, 1], [0.9, 0.9, 0.9]), 5 / 6, 1e-6)


def test_programs_are_compiled_once() -> None:
    dense = layers.Dense(2)
    for _ in range(3):
        dense(X)
    dense(X[:2])
    assert len(dense._eager_programs) == 2  # type: ignore[attr-defined]


def test_errors_are_those_of_the_function() -> None:
    with pytest.raises(ValueError, match="4 elements cannot be cut into 3 equal parts"):
        ops.split(X, 3)
    with pytest.raises(TypeError, match="tensors, on arrays, or inside"):
        layers.Dense(2)("text")
