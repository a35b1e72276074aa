"""Embedding: rows of the table, their gradients, and masks of what is 0."""

import numpy as np
import pytest

from graphc import layers, models, optimizers

X = np.array([[1, 4, 0, 0], [2, 2, 3, 0], [3, 1, 1, 4]])


def embedded(*after: layers.Layer, steps: int | None = 4, **options: bool) -> models.Model:
    first = layers.Embedding(5, 3, **options)
    return models.Sequential([layers.Input((steps,), dtype="int32"), first, *after])


def test_rows_of_the_table() -> None:
    model = embedded()
    (table,) = model.get_weights()
    np.testing.assert_array_equal(model.predict(X, verbose=0), table[X])
    assert np.isnan(model.predict(X + 2, verbose=0)[X + 2 > 4]).all()


def test_only_rows_that_are_read_learn() -> None:
    model = embedded(layers.Flatten(), layers.Dense(1))
    before = model.get_weights()[0]
    model.compile(optimizers.SGD(0.1), "mse")
    model.fit(X, np.ones((3, 1)), epochs=2, verbose=0)
    model.fit(np.full((3, 4), 2), np.ones((3, 1)), verbose=0)
    after = model.get_weights()[0]
    assert (before != after).all()
    model.fit(np.full((3, 4), 2), np.ones((3, 1)), verbose=0)
    changed = (model.get_weights()[0] != after).any(1)
    np.testing.assert_array_equal(changed, [False, False, True, False, False])


@pytest.mark.parametrize("kind", ["LSTM", "GRU", "SimpleRNN"])
def test_masked_steps_do_not_count(kind: str) -> None:
    recurrent = getattr(layers, kind)(4)
    model = embedded(recurrent, mask_zero=True, steps=None)
    whole = model.predict(X, verbose=0)
    for row, length in enumerate((2, 3, 4)):
        alone = model.predict(X[row : row + 1, :length], verbose=0)
        np.testing.assert_allclose(whole[row], alone[0], 1e-6)


def test_a_length_known_only_from_data() -> None:
    model = embedded(layers.LSTM(3, return_sequences=True), layers.Dense(2), steps=None)
    assert model.output_shape == (None, None, 2)
    model.compile("adam", "mse")
    for steps in (2, 4):
        y = np.zeros((3, steps, 2))
        assert np.isfinite(model.fit(X[:, :steps], y, verbose=0).history["loss"][0])
        assert model.predict(X[:, :steps], verbose=0).shape == (3, steps, 2)


@pytest.mark.parametrize("sizes", [(0, 3), (5, 0.5)])
def test_errors(sizes: tuple[int, float]) -> None:
    with pytest.raises(ValueError, match="must be an int of at least 1"):
        layers.Embedding(*sizes)  # type: ignore[arg-type]
