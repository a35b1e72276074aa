"""Recurrent layers that keep their states between batches."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from graphc import layers, models


def _model(batch: int, steps: int, stateful: bool) -> models.Model:
    """Two recurrent layers, one over stacked cells."""
    inputs = layers.Input((steps, 2), batch_size=batch)
    hidden = layers.LSTM(5, return_sequences=True, stateful=stateful)(inputs)
    cells = [layers.GRUCell(3), layers.SimpleRNNCell(4)]
    return models.Model(inputs, layers.RNN(cells, return_sequences=True, stateful=stateful)(hidden))


@pytest.mark.parametrize(
    "run", [lambda m, x: m.predict(x, verbose=0), lambda m, x: m(x)], ids=["predict", "call"]
)
def test_parts_of_a_sequence_are_the_sequence(run: Callable[[Any, Any], Any]) -> None:
    x = np.random.default_rng(0).normal(size=(4, 9, 2)).astype(np.float32)
    whole, parts = _model(4, 9, False), _model(4, 3, True)
    parts.set_weights(whole.get_weights())
    expected = whole.predict(x, verbose=0)
    for _ in range(2):
        got = [run(parts, x[:, at : at + 3]) for at in (0, 3, 6)]
        np.testing.assert_allclose(np.concatenate(got, 1), expected, rtol=2e-6, atol=1e-7)
        for layer in parts.layers[1:]:
            layer.reset_state()


def test_batches_of_one_call_follow_each_other() -> None:
    x = np.random.default_rng(0).normal(size=(4, 6, 2)).astype(np.float32)
    whole, parts = _model(4, 6, False), _model(4, 3, True)
    parts.set_weights(whole.get_weights())
    got = parts.predict(np.concatenate([x[:, :3], x[:, 3:]]), verbose=0)
    expected = whole.predict(x, verbose=0)
    np.testing.assert_allclose(
        np.concatenate([got[:4], got[4:]], 1), expected, rtol=2e-6, atol=1e-7
    )


def test_training_carries_states_from_step_to_step() -> None:
    x = np.random.default_rng(0).normal(size=(8, 3, 2)).astype(np.float32)
    model = _model(4, 3, True)
    model.compile("sgd", "mse")
    y = np.zeros((8, 3, 4), np.float32)
    model.fit(x, y, epochs=1, shuffle=False, verbose=0)
    states = [np.array(v.value) for v in model.layers[1].states]
    again = _model(4, 3, True)
    again.compile("sgd", "mse")
    again.set_weights(model.get_weights())
    assert all(np.abs(state).max() > 0 for state in states)
    assert model.count_params() == again.count_params()  # states are not weights
    before = model.evaluate(x[:4], y[:4], verbose=0)
    assert before != again.evaluate(x[:4], y[:4], verbose=0)  # which starts with zeros


def test_bidirectional_is_stateful_in_both_directions() -> None:
    inputs = layers.Input(batch_shape=(2, 3, 2))
    layer = layers.Bidirectional(layers.GRU(3, stateful=True))
    model = models.Model(inputs, layer(inputs))
    x = np.ones((2, 3, 2), np.float32)
    assert np.abs(model(x) - model(x)).max() > 0
    for one in (layer.forward_layer, layer.backward_layer):
        one.reset_state()
    np.testing.assert_array_equal(model(x), _fresh(model, x, layer))


def _fresh(model: models.Model, x: np.ndarray, layer: Any) -> np.ndarray:
    layer.forward_layer.reset_state()
    layer.backward_layer.reset_state()
    result: np.ndarray = model(x)
    return result


def test_what_stateful_layers_cannot_take() -> None:
    with pytest.raises(ValueError, match="give Input a batch_size"):
        models.Sequential([layers.Input((3, 2)), layers.LSTM(2, stateful=True)])
    model = _model(4, 3, True)
    model.compile("sgd", "mse")
    x = np.ones((6, 3, 2), np.float32)
    with pytest.raises(ValueError, match="predict: stateful layers keep the states of 4 rows"):
        model.predict(x, verbose=0)
    with pytest.raises(ValueError, match=r"fit: .* batch_size must be 4 .* got 2 and 8"):
        model.fit(np.ones((8, 3, 2)), np.ones((8, 3, 4)), batch_size=2, verbose=0)
    with pytest.raises(ValueError, match="4 rows"):
        model.train_on_batch(x, np.ones((6, 3, 4)))
    with pytest.raises(ValueError, match="is not stateful"):
        layers.LSTM(2).reset_state()
