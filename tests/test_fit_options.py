"""fit's arguments: validation, weights, epochs, what is printed; and the hooks of callbacks."""

from functools import cache
from typing import Any

import numpy as np
import pytest

from graphc import callbacks, layers, models

Array = np.ndarray
RANDOM = np.random.default_rng(7)
X = RANDOM.normal(size=(20, 3)).astype(np.float32)
Y = RANDOM.normal(size=(20, 2)).astype(np.float32)
START = RANDOM.normal(size=(3, 2)).astype(np.float32)


@cache
def compiled_model() -> Any:
    """One for the whole module, as compiling takes most of the time."""
    model = models.Sequential([layers.Input((3,)), layers.Dense(2, use_bias=False)])
    model.compile("sgd", "mse", metrics=["mae"])
    return model


def linear_model() -> Any:
    """The model as it is at first: plain gradient descent keeps nothing but its weights."""
    model = compiled_model()
    model.set_weights([START])
    model.optimizer.learning_rate = 0.01
    model.optimizer.iterations.assign(0)
    return model


def fitted(x: Array = X, y: Array = Y, **options: Any) -> tuple[Array, dict[str, list[float]]]:
    """Weights and history of a model trained in order."""
    model = linear_model()
    given = {"batch_size": 4, "shuffle": False, "verbose": 0, **options}
    history = model.fit(x, y, **given).history
    return model.get_weights()[0], history


# Validation.


def test_validation_split_is_the_end_and_not_trained_on() -> None:
    split, history = fitted(validation_split=0.3, epochs=3)
    alone, _ = fitted(X[:14], Y[:14], epochs=3)
    given, again = fitted(X[:14], Y[:14], validation_data=(X[14:], Y[14:]), epochs=3)
    np.testing.assert_array_equal(split, alone)
    np.testing.assert_array_equal(split, given)
    assert list(history) == ["loss", "mae", "val_loss", "val_mae"]
    assert history == again and {len(values) for values in history.values()} == {3}
    wanted = np.square(Y[14:] - X[14:] @ split).mean()
    assert history["val_loss"][-1] == pytest.approx(wanted, rel=1e-5)


def test_validation_weights_and_batch() -> None:
    weight = RANDOM.uniform(0, 2, 20)
    batches: list[int] = []
    watch = callbacks.LambdaCallback(on_test_batch_end=lambda batch, logs: batches.append(batch))
    end, history = fitted(
        validation_data=(X, Y, weight), validation_batch_size=7, validation_split=0.5,
        callbacks=[watch],
    )  # fmt: skip
    assert batches == [0, 1, 2]
    error = np.square(Y - X @ end).mean(-1)
    assert history["val_loss"] == pytest.approx([(error * weight).mean()], rel=1e-5)
    assert history["val_mae"] == pytest.approx([np.abs(Y - X @ end).mean()], rel=1e-5)


@pytest.mark.parametrize(("frequency", "wanted"), [(1, 5), (2, 2), ([1, 4], 2), ((5,), 1), (9, 0)])
def test_validation_frequency(frequency: Any, wanted: int) -> None:
    _, history = fitted(epochs=5, validation_data=(X, Y), validation_freq=frequency)
    assert len(history["loss"]) == 5 and len(history.get("val_loss", [])) == wanted


def test_initial_epoch() -> None:
    model = linear_model()
    assert model.fit(X, Y, epochs=5, initial_epoch=3, verbose=0).epoch == [3, 4]
    assert model.fit(X, Y, epochs=2, initial_epoch=3, verbose=0).epoch == []
    assert model.optimizer.iterations.value == 2


# Weights of samples and classes.


def step(weight: Array) -> Array:
    """What one step of gradient descent on all rows gives."""
    gradient = 2 / 2 * X.T @ ((X @ START - Y) * weight.reshape(20, 1)) / 20
    return START - 0.01 * gradient


@pytest.mark.parametrize("shape", [(20,), (20, 1)], ids=str)
def test_sample_weight(shape: tuple[int, ...]) -> None:
    weight = RANDOM.uniform(0, 2, shape)
    actual, history = fitted(batch_size=20, sample_weight=weight)
    np.testing.assert_allclose(actual, step(weight), rtol=1e-5)
    error = np.square(Y - X @ START).mean(-1)
    assert history["loss"] == pytest.approx([(error * weight.reshape(20)).mean()], rel=1e-5)
    assert history["mae"] == pytest.approx([np.abs(Y - X @ START).mean()], rel=1e-5)


CLASS_WEIGHTS: list[tuple[Array, dict[int, float], list[float]]] = [
    (np.array([0, 1, 2, 1]), {0: 2.0, 1: 0.5, 2: 3.0}, [2, 0.5, 3, 0.5]),
    (np.array([[0], [1], [2], [1]], np.uint8), {1: 0.5}, [1, 0.5, 1, 0.5]),
    (np.eye(3)[[0, 1, 2, 1]], {0: 2.0, np.int64(2): 3.0}, [2, 1, 3, 1]),
    (np.array([[0.6], [0.4], [-0.7], [-1]]), {1: 2.0, 0: 3.0, -1: 4.0, 7: 9.0}, [2, 3, 4, 4]),
]


@pytest.mark.parametrize(("y", "class_weight", "wanted"), CLASS_WEIGHTS)
def test_class_weight(y: Array, class_weight: dict[int, float], wanted: list[float]) -> None:
    x = X[:4]
    columns = 3 if y.ndim == 1 or y.shape[-1] == 3 else 1
    model = models.Sequential([layers.Input((3,)), layers.Dense(columns, "sigmoid")])
    model.compile("sgd", "sparse_categorical_crossentropy" if y.ndim == 1 else "mse")

    def trained(**weights: Any) -> list[Any]:
        model.set_weights([np.full((3, columns), 0.5), np.zeros(columns)])
        history = model.fit(x, y, verbose=0, shuffle=False, **weights).history
        return [*model.get_weights(), history["loss"]]

    one, other = trained(class_weight=class_weight), trained(sample_weight=np.array(wanted))
    for a, b in zip(one, other, strict=True):
        np.testing.assert_array_equal(a, b)


def test_class_weight_leaves_validation_alone() -> None:
    labels = np.arange(20) % 2
    model = models.Sequential([layers.Input((3,)), layers.Dense(1, "sigmoid")])
    model.compile("sgd", "bce")
    history = model.fit(
        X, labels, validation_split=0.5, class_weight={0: 5.0, 1: 7.0}, verbose=0
    ).history
    assert history["val_loss"][0] == pytest.approx(model.evaluate(X[10:], labels[10:], verbose=0))


# What is printed.


@pytest.mark.parametrize("verbose", [0, 1, 2, "auto"])
def test_verbose(verbose: Any, capsys: Any) -> None:
    model = linear_model()
    model.fit(X, Y, epochs=2, batch_size=8, verbose=verbose, validation_split=0.2)
    model.evaluate(X, Y, verbose=verbose)
    model.predict(X, verbose=verbose)
    text = capsys.readouterr().out
    if verbose == 0:
        assert text == ""
        return
    assert text.count("Epoch ") == 2 and "Epoch 2/2" in text
    assert text.count("val_mae: ") == 2 and text.count("mae: ") == 5
    assert "2/2" in text and "1/1" in text


# Callbacks.

ALL_HOOKS = [name for name in vars(callbacks.Callback) if name.startswith("on_")]
KERAS_HOOKS = [
    name for name in ALL_HOOKS
    if "chunk" not in name and name not in ("on_close", "on_batch_begin", "on_batch_end")
]  # fmt: skip


class Recorder(callbacks.Callback):
    """Writes down hooks as "name number: keys of the logs"."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []


def recording(hook: str) -> Any:
    def method(self: Recorder, *args: Any, logs: Any = None) -> None:
        *number, logs = args if args and not isinstance(args[-1], int) else (*args, logs)
        numbered = "".join(f" {n}" for n in number)
        self.lines.append(f"{hook.removeprefix('on_')}{numbered}: {' '.join(logs or {})}".strip())

    return method


for hook in KERAS_HOOKS:
    setattr(Recorder, hook, recording(hook))

TEST = [
    "test_begin:", "test_batch_begin 0:", "test_batch_end 0: loss mae", "test_batch_begin 1:",
    "test_batch_end 1: loss mae", "test_end: loss mae",
]  # fmt: skip
EPOCH = [
    "train_batch_begin 0:", "train_batch_end 0: loss mae", "train_batch_begin 1:",
    "train_batch_end 1: loss mae", *TEST,
]  # fmt: skip
# Recorded with Keras 3.15.1 on JAX: fit, evaluate and predict of 5 rows in batches of 3.
KERAS_ORDER = [
    "train_begin:",
    "epoch_begin 0:", *EPOCH, "epoch_end 0: loss mae val_loss val_mae",
    "epoch_begin 1:", *EPOCH, "epoch_end 1: loss mae val_loss val_mae",
    "train_end: loss mae val_loss val_mae",
    *TEST,
    "predict_begin:", "predict_batch_begin 0:", "predict_batch_end 0: outputs",
    "predict_batch_begin 1:", "predict_batch_end 1: outputs", "predict_end:",
]  # fmt: skip


def test_hooks_come_in_keras_order() -> None:
    model = linear_model()
    x, y, recorder = X[:5], Y[:5], Recorder()
    model.fit(x, y, batch_size=3, epochs=2, verbose=0, validation_data=(x, y), callbacks=[recorder])
    assert recorder.params == {"verbose": 0, "epochs": 2, "steps": 2}
    assert recorder.model is model
    model.evaluate(x, y, batch_size=3, verbose=0, callbacks=[recorder])
    model.predict(x, batch_size=3, verbose=0, callbacks=[recorder])
    model.train_on_batch(x, y)
    assert recorder.lines == KERAS_ORDER


def test_batch_callbacks_see_running_means_and_batches_of_predictions() -> None:
    seen: list[tuple[int, float]] = []
    outputs: list[Array] = []
    watch = callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: seen.append((batch, logs["loss"])),
        on_predict_batch_end=lambda batch, logs: outputs.append(logs["outputs"]),
    )
    model = linear_model()
    model.optimizer.learning_rate = 0.0
    history = model.fit(X, Y, batch_size=8, shuffle=False, verbose=0, callbacks=[watch]).history
    error = np.square(Y - X @ START).mean(-1)
    wanted = [error[:8].mean(), error[:16].mean(), error.mean()]
    assert [batch for batch, _ in seen] == [0, 1, 2]
    assert [loss for _, loss in seen] == pytest.approx(wanted, rel=1e-5)
    assert history["loss"] == [seen[-1][1]]
    model.predict(X, batch_size=8, verbose=0, callbacks=[watch])
    assert [len(part) for part in outputs] == [8, 8, 4]
    np.testing.assert_array_equal(np.concatenate(outputs), model.predict(X, verbose=0))


def test_callbacks_do_not_change_what_is_learnt() -> None:
    silent, history = fitted(epochs=3)
    watched, again = fitted(epochs=3, callbacks=[Recorder()])
    np.testing.assert_array_equal(silent, watched)
    assert history == again


def test_weights_and_rates_that_a_callback_sets_hold_from_the_next_step() -> None:
    model = linear_model()

    def interfere(batch: int, logs: Any) -> None:
        if batch == 1:
            model.set_weights([START * 2])
        if batch == 2:
            model.optimizer.learning_rate = 0.0

    watch = callbacks.LambdaCallback(on_train_batch_end=interfere)
    model.fit(X, Y, batch_size=4, shuffle=False, verbose=0, callbacks=[watch])
    actual = model.get_weights()[0]
    assert model.optimizer.iterations.value == 5
    other = linear_model()
    other.set_weights([START * 2])
    other.train_on_batch(X[8:12], Y[8:12])
    np.testing.assert_array_equal(actual, other.get_weights()[0])


def test_stop_training() -> None:
    model = linear_model()

    def stop(*_: Any, **__: Any) -> None:
        model.stop_training = True

    watch = callbacks.LambdaCallback(on_train_batch_end=stop)
    history = model.fit(
        X, Y, batch_size=4, epochs=4, verbose=0, validation_data=(X, Y), callbacks=[watch]
    )
    assert model.optimizer.iterations.value == 1
    assert history.epoch == [0] and list(history.history) == ["loss", "mae", "val_loss", "val_mae"]
    watch = callbacks.LambdaCallback(on_epoch_end=stop)
    assert model.fit(X, Y, batch_size=4, epochs=4, verbose=0, callbacks=[watch]).epoch == [0]
    assert model.optimizer.iterations.value == 6
    assert model.fit(X, Y, batch_size=4, epochs=2, verbose=0).epoch == [0, 1]


def test_history_stays_what_fit_left() -> None:
    model = linear_model()
    history = model.fit(X, Y, epochs=2, verbose=0)
    assert model.history is history and history.epoch == [0, 1]
    model.evaluate(X, Y, verbose=0)
    model.predict(X, verbose=0, callbacks=[Recorder()])
    assert model.history is history and list(history.history) == ["loss", "mae"]


def test_learning_rate_callbacks_and_the_history() -> None:
    model = linear_model()
    schedule = callbacks.LearningRateScheduler(lambda epoch: 0.5 / (epoch + 1))
    history = model.fit(X, Y, epochs=2, verbose=0, callbacks=[schedule]).history
    assert history["learning_rate"] == [0.5, 0.25]
    assert list(history) == ["loss", "mae", "learning_rate"]
    assert model.optimizer.learning_rate == 0.25


def test_callbacks_are_closed_when_training_is_broken_off() -> None:
    closed = []

    class Breaking(callbacks.Callback):
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            raise RuntimeError("broken")

        def on_close(self) -> None:
            closed.append(True)

    with pytest.raises(RuntimeError, match="broken"):
        linear_model().fit(X, Y, verbose=0, callbacks=[Breaking()])
    assert closed == [True]
