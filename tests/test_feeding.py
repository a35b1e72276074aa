"""Generators, iterators and indexed batches train, evaluate and predict as arrays do."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from graphc import callbacks, layers, models, utils

X = np.random.default_rng(0).normal(size=(11, 3)).astype(np.float32)
Y = X.sum(1, keepdims=True) > 0
W = np.linspace(0.5, 1.5, 11)


class Indexed:
    """Like keras.utils.PyDataset."""

    def __init__(self) -> None:
        self.epochs = 0

    def __len__(self) -> int:
        return 3

    def __getitem__(self, at: int) -> tuple[np.ndarray, ...]:
        rows = slice(4 * at, 4 * at + 4)
        return X[rows], Y[rows], W[rows]

    def on_epoch_end(self) -> None:
        self.epochs += 1


def endless() -> Iterator[tuple[np.ndarray, ...]]:
    while True:
        yield from (Indexed()[at] for at in range(3))


def model() -> models.Model:
    made = models.Sequential(
        [layers.Input((3,)), layers.Dense(1, "sigmoid", kernel_initializer="ones")]
    )
    made.compile("adam", "binary_crossentropy", metrics=["accuracy"], weighted_metrics=["mse"])
    return made


@pytest.mark.parametrize("kind", ["generator", "indexed"])
def test_batches_train_as_arrays_do(kind: str) -> None:
    arrays, batches, source = model(), model(), Indexed()
    wanted = arrays.fit(
        X, Y, 4, 3, 0, sample_weight=W, shuffle=False, validation_data=(X, Y, W)
    ).history
    x: Any = source if kind == "indexed" else endless()
    found = batches.fit(
        x, epochs=3, verbose=0, shuffle=False, validation_data=endless(), validation_steps=3,
        steps_per_epoch=None if kind == "indexed" else 3,
    ).history  # fmt: skip
    assert list(found) == list(wanted)
    for name, values in wanted.items():
        np.testing.assert_allclose(found[name], values, 1e-6, err_msg=name)
    for a, b in zip(arrays.get_weights(), batches.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert source.epochs == (3 if kind == "indexed" else 0)


def test_evaluation_and_prediction() -> None:
    made = model()
    wanted = made.evaluate(X, Y, 4, 0, sample_weight=W)
    np.testing.assert_allclose(made.evaluate(Indexed(), verbose=0), wanted, 1e-6)
    np.testing.assert_allclose(made.evaluate(endless(), verbose=0, steps=3), wanted, 1e-6)
    halves = made.predict((part for part in (X[:4], X[4:])), verbose=0)
    np.testing.assert_array_equal(halves, made.predict(X, verbose=0))


def test_a_generator_that_ends_early() -> None:
    made, source = model(), iter([Indexed()[0], Indexed()[1]])
    with pytest.warns(UserWarning, match="the data ended after 2 of 5 batches"):
        made.fit(source, steps_per_epoch=5, verbose=0)
    with pytest.raises(ValueError, match="the generator gave no batch"):
        made.fit(iter([]), verbose=0)


def test_callbacks_stop_between_batches() -> None:
    made, seen = model(), []

    def stop(batch: int, logs: Any) -> None:
        seen.append(batch)
        made.stop_training = batch == 1

    made.fit(
        endless(),
        steps_per_epoch=5,
        verbose=0,
        callbacks=[callbacks.LambdaCallback(on_train_batch_end=stop)],
    )
    assert seen == [0, 1]


class Recorded(utils.PyDataset):
    """Batches and hooks in the order in which they are asked for."""

    def __init__(self, num_batches: int | None) -> None:
        super().__init__()
        self.count = num_batches
        self.events: list[int | str] = []

    @property
    def num_batches(self) -> int | None:
        return self.count

    def __getitem__(self, at: int) -> list[np.ndarray]:
        self.events.append(at)
        return [X[:2], Y[:2]]

    def on_epoch_begin(self) -> None:
        self.events.append("begin")

    def on_epoch_end(self) -> None:
        self.events.append("end")


def test_epochs_of_a_dataset_go_on_where_the_last_one_ended() -> None:
    """What Keras asks for, but for its look at the first batch before training."""
    made = model()
    data = Recorded(5)
    with pytest.warns(UserWarning, match="the data ended after 2 of 3 batches"):
        made.fit(data, epochs=3, steps_per_epoch=3, shuffle=False, verbose=0)
    first, second = ["begin", 0, 1, 2, "end"], ["begin", 3, 4, "end"]
    assert data.events == first + second + first
    assert made.optimizer.iterations.value == 8
    data = Recorded(None)
    made.fit(data, epochs=2, steps_per_epoch=2, verbose=0)
    assert data.events == ["begin", 0, 1, "end", "begin", 2, 3, "end"]
    data = Recorded(5)
    made.fit(X, Y, epochs=2, validation_data=data, validation_steps=2, verbose=0)
    assert data.events == ["begin", 0, 1, "end"] * 2
    with pytest.raises(ValueError, match="fit: the data has no end; pass steps_per_epoch"):
        made.fit(Recorded(None))
    with pytest.raises(ValueError, match="predict: the data has no end; pass steps"):
        made.predict(Recorded(None))


def test_a_dataset_is_shuffled_by_batches() -> None:
    utils.set_random_seed(0)
    data = Recorded(6)
    model().fit(data, epochs=2, verbose=0)
    first, second = data.events[1:7], data.events[9:15]
    assert sorted(map(int, first)) == sorted(map(int, second)) == list(range(6))
    assert first != second


def test_class_weights_of_batches() -> None:
    made, other = model(), model()
    weights = {0: 0.5, 1: 3.0}
    wanted = made.fit(X[:2], Y[:2], 2, 1, 0, class_weight=weights, shuffle=False).history
    assert other.fit(Recorded(1), verbose=0, class_weight=weights).history == wanted
    with pytest.raises(ValueError, match="fit: class_weight is not for iterators"):
        made.fit(endless(), class_weight=weights)


def test_what_is_for_arrays_only() -> None:
    with pytest.raises(ValueError, match="x gives batches, which bring y"):
        model().fit(endless(), validation_split=0.2)
