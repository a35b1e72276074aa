"""fit, evaluate and predict: what they compute."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from graphc import callbacks, compiled, layers, models, ops, optimizers, utils

Array = np.ndarray
RANDOM = np.random.default_rng(5)
PIXELS = RANDOM.integers(0, 17, (1797, 64)).astype(np.uint8)
DIGITS = RANDOM.integers(0, 10, 1797)


def digits_model(optimizer: Any = "sgd", dropout: float = 0.0) -> Any:
    model = models.Sequential(
        [
            layers.Input((64,)),
            layers.Dense(24, activation="relu"),
            *([layers.Dropout(dropout)] if dropout else []),
            layers.Dense(10, activation="softmax"),
        ]
    )
    model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def linear_model(**compile_options: Any) -> Any:
    model = models.Sequential([layers.Input((3,)), layers.Dense(2, use_bias=False)])
    model.compile(**{"optimizer": "sgd", "loss": "mse", **compile_options})
    return model


def linear_loss(y_true: Any, y_pred: Any) -> Any:
    """Its gradient does not depend on the weights."""
    return ops.sum(y_true * y_pred, axis=-1)


def small_data(rows: int = 12) -> tuple[Array, Array]:
    random = np.random.default_rng(rows)
    return random.normal(size=(rows, 3)).astype("f"), random.normal(size=(rows, 2)).astype("f")


def same(actual: list[Array], wanted: list[Array]) -> None:
    for a, b in zip(actual, wanted, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.fixture
def compilations(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the programs compiled."""
    names: list[str] = []
    original = compiled.compile_trace

    def counting(trace: Any, *args: Any, **kwargs: Any) -> Any:
        names.append(trace.graph.name)
        return original(trace, *args, **kwargs)

    monkeypatch.setattr(compiled, "compile_trace", counting)
    return names


@pytest.mark.parametrize("rate", ["lr", "learning_rate"])
def test_the_readmes_lines(rate: str, capsys: Any) -> None:
    x_train = RANDOM.random((600, 784))
    y_train = np.eye(10)[RANDOM.integers(0, 10, 600)]

    model = models.Sequential()
    model.add(layers.Dense(32, activation="relu", input_shape=(784,)))
    model.add(layers.Dense(10, activation="softmax"))
    if rate == "learning_rate":  # the same as a functional model
        input_tensor = layers.Input(shape=(784,))
        x = layers.Dense(32, activation="relu")(input_tensor)
        output_tensor = layers.Dense(10, activation="softmax")(x)
        model = models.Model(inputs=input_tensor, outputs=output_tensor)
    model.compile(optimizer=optimizers.RMSprop(**{rate: 0.001}), loss="mse", metrics=["accuracy"])
    history = model.fit(x_train, y_train, batch_size=128, epochs=10)

    assert list(history.history) == ["accuracy", "loss"]
    assert history.history["loss"][-1] < history.history["loss"][0]
    assert history.epoch == list(range(10))
    text = capsys.readouterr().out
    assert "Epoch 1/10" in text and "Epoch 10/10" in text and "5/5" in text


def train_epoch(x: Array, y: Array, weights: list[Array], batch: int, rate: float) -> list[float]:
    """An epoch of gradient descent on the digits model in float64, in place; the losses."""
    w1, b1, w2, b2 = weights
    losses = []
    for start in range(0, len(x), batch):
        rows, labels = x[start : start + batch].astype(np.float64), y[start : start + batch]
        hidden = np.maximum(rows @ w1 + b1, 0)
        scores = hidden @ w2 + b2
        p = np.exp(scores - scores.max(-1, keepdims=True))
        p /= p.sum(-1, keepdims=True)
        losses.append(-np.log(p[np.arange(len(rows)), labels]).sum())
        d_scores = (p - np.eye(10)[labels]) / len(rows)
        d_hidden = (d_scores @ w2.T) * (hidden > 0)
        for w, gradient in (
            (w2, hidden.T @ d_scores), (b2, d_scores.sum(0)),
            (w1, rows.T @ d_hidden), (b1, d_hidden.sum(0)),
        ):  # fmt: skip
            np.subtract(w, rate * gradient, out=w)
    return losses


def test_one_compilation_serves_1797_rows_and_the_last_five_are_exact(
    compilations: list[str],
) -> None:
    model = digits_model(optimizers.SGD(0.002))
    before = [w.astype(np.float64) for w in model.get_weights()]
    wanted = [w.copy() for w in before]
    losses = train_epoch(PIXELS, DIGITS, wanted, 128, 0.002)
    history = model.fit(PIXELS, DIGITS, batch_size=128, shuffle=False, verbose=0).history
    assert compilations == ["train"]
    np.testing.assert_allclose(history["loss"], sum(losses) / 1797, rtol=1e-5)
    for start, exact, actual in zip(before, wanted, model.get_weights(), strict=True):
        scale = np.abs(exact - start).max()
        np.testing.assert_allclose(actual, exact, rtol=0, atol=1e-4 * scale)


def test_the_last_batch_is_a_step_like_others() -> None:
    utils.set_random_seed(1)
    model, other = digits_model("adam"), digits_model("adam")
    other.set_weights(model.get_weights())
    model.fit(PIXELS, DIGITS, batch_size=128, shuffle=False, verbose=0)
    other.fit(PIXELS[:1792], DIGITS[:1792], batch_size=128, shuffle=False, verbose=0)
    other.train_on_batch(PIXELS[1792:], DIGITS[1792:])
    same(model.get_weights(), other.get_weights())
    assert model.optimizer.iterations.value == 15


def test_other_batch_sizes_and_row_counts_compile_nothing(compilations: list[str]) -> None:
    model = linear_model()
    for rows, batch in ((12, 4), (12, 5), (7, 32), (1, 1), (100, 64)):
        x, y = small_data(rows)
        model.fit(x, y, batch_size=batch, verbose=0)
        model.evaluate(x, y, batch_size=batch, verbose=0)
        model.predict(x, batch_size=batch, verbose=0)
        model.train_on_batch(x, y)
        model(x)
    assert sorted(compilations) == ["evaluate", "predict", "train"]


def test_data_of_any_dtype_trains_as_float32() -> None:
    x, y = (np.round(5 * np.abs(part)) for part in small_data())
    model = linear_model(metrics=["mae"])
    start = model.get_weights()
    results = []
    for dtype in ("float32", "uint8", "int64", "float64", "float16"):
        model.set_weights(start)
        data = x.astype(dtype), y.astype(dtype)
        history = model.fit(*data, batch_size=5, shuffle=False, verbose=0).history
        results.append([*model.get_weights(), history["mae"], history["loss"]])
    for result in results[1:]:
        same(result, results[0])


def test_lists_are_data_too() -> None:
    model = linear_model()
    x, y = small_data(4)
    assert model.evaluate(x.tolist(), y.tolist(), verbose=0) == model.evaluate(x, y, verbose=0)
    assert model.fit(x.tolist(), [y], verbose=0).epoch == [0]


def test_fit_is_train_on_batch_in_a_loop() -> None:
    utils.set_random_seed(2)
    model = digits_model("adam", dropout=0.3)
    utils.set_random_seed(2)
    other = digits_model("adam", dropout=0.3)
    x, y = PIXELS[:300], DIGITS[:300]
    model.fit(x, y, batch_size=64, epochs=2, shuffle=False, verbose=0)
    for _ in range(2):
        for start in range(0, 300, 64):
            other.train_on_batch(x[start : start + 64], y[start : start + 64])
    same(model.get_weights(), other.get_weights())


def orders_of_rows(epochs: int, **options: Any) -> list[list[int]]:
    """In which order fit takes 16 rows, epoch by epoch."""
    model = models.Sequential([layers.Input((1,)), layers.Activation("linear")])
    model.compile("sgd", "mae")
    orders: list[list[int]] = []
    means = [0.0]

    def note(batch: int, logs: dict[str, float]) -> None:
        means[batch + 1 :] = [logs["loss"]]  # the running mean
        orders[-1].append(round(means[batch + 1] * (batch + 1) - means[batch] * batch))

    watch = callbacks.LambdaCallback(
        on_epoch_begin=lambda epoch, logs: orders.append([]), on_train_batch_end=note
    )
    x = np.arange(16.0)[:, None]
    model.fit(x, 0 * x, batch_size=1, epochs=epochs, verbose=0, callbacks=[watch], **options)
    return orders


def test_shuffling() -> None:
    utils.set_random_seed(3)
    first, second = orders_of_rows(2)
    assert sorted(first) == sorted(second) == list(range(16))
    assert first != second and list(range(16)) not in (first, second)
    utils.set_random_seed(3)
    assert orders_of_rows(2) == [first, second]
    assert orders_of_rows(2, shuffle=False) == [list(range(16))] * 2


def test_on_batch_methods() -> None:
    x, y = small_data()
    model = linear_model(metrics=["mae"])
    error = y - x @ model.get_weights()[0]
    wanted = [(error**2).mean(), np.abs(error).mean()]
    assert model.test_on_batch(x, y) == pytest.approx(wanted, rel=1e-5)
    assert model.test_on_batch(x, y, return_dict=True) == pytest.approx(
        dict(zip(["loss", "mae"], wanted, strict=True)), rel=1e-5
    )
    assert model.train_on_batch(x, y) == pytest.approx(wanted, rel=1e-5)
    weight = np.linspace(0, 1, 12)
    error = y - x @ model.get_weights()[0]
    assert model.train_on_batch(x, y, sample_weight=weight)[0] == pytest.approx(
        ((error**2).mean(-1) * weight).mean(), rel=1e-5
    )
    assert isinstance(linear_model().train_on_batch(x, y), float)
    np.testing.assert_array_equal(model.predict_on_batch(x), model.predict(x, verbose=0))


def test_evaluate() -> None:
    x, y = small_data(11)
    model = linear_model(metrics=["mae"])
    error = y - x @ model.get_weights()[0]
    wanted = {"loss": (error**2).mean(), "mae": np.abs(error).mean()}
    before = model.get_weights()
    for batch in (None, 1, 4, 11):
        logs = model.evaluate(x, y, batch_size=batch, verbose=0, return_dict=True)
        assert logs == pytest.approx(wanted, rel=1e-5)
    assert model.evaluate(x, y, verbose=0) == pytest.approx(list(wanted.values()), rel=1e-5)
    assert isinstance(linear_model().evaluate(x, y, verbose=0), float)
    same(model.get_weights(), before)


LOSSES: dict[str, Callable[[Any, Any], Any]] = {
    "ignores y": lambda y, p: ops.mean(ops.square(p), -1),
    "ignores the model": lambda y, p: ops.mean(ops.square(y), -1),
    "is a scalar": lambda y, p: ops.mean(ops.square(y - p)),
}


@pytest.mark.parametrize("name", LOSSES)
def test_odd_losses(name: str) -> None:
    x, y = small_data()
    model = linear_model(loss=LOSSES[name])
    before = model.get_weights()[0]
    prediction = x @ before
    wanted = {
        "ignores y": prediction**2,
        "ignores the model": y**2,
        "is a scalar": (y - prediction) ** 2,
    }
    loss = model.fit(x, y, batch_size=12, verbose=0).history["loss"][0]
    assert loss == pytest.approx(wanted[name].mean(), rel=1e-5)
    assert (model.get_weights()[0] == before).all() == (name == "ignores the model")


def test_a_model_without_weights_trains_nothing() -> None:
    model = models.Sequential([layers.Input((3,)), layers.Activation("relu")])
    model.compile("adam", "mse")
    x, _ = small_data()
    loss = model.fit(x, x, epochs=2, verbose=0).history["loss"]
    assert loss == pytest.approx([np.square(np.minimum(x, 0)).mean()] * 2, rel=1e-5)


def test_weights_that_are_shared_get_the_sum_of_gradients() -> None:
    a, b, shared = layers.Input((3,)), layers.Input((3,)), layers.Dense(2, use_bias=False)
    model = models.Model([a, b], shared(a) + 3.0 * shared(b))
    model.compile(optimizers.SGD(1.0), linear_loss)
    (x, y), z = small_data(), small_data(12)[0][::-1]
    start = model.get_weights()[0]
    model.fit([x, z], y, batch_size=12, verbose=0)
    wanted = -(x + 3 * z).T @ y / 12
    np.testing.assert_allclose(model.get_weights()[0] - start, wanted, rtol=1e-4, atol=1e-5)


def test_compiling_again_keeps_weights_and_the_loss() -> None:
    x, y = small_data()
    model = linear_model(metrics=["mae"])
    model.fit(x, y, verbose=0)
    before = model.get_weights()
    model.compile("adam")
    assert model.metrics_names == ["loss", "mae"]
    same(model.get_weights(), before)
    model.compile("adam", "mae", metrics=["mse"])
    assert model.metrics_names == ["loss", "mse"]
    error = y - x @ before[0]
    assert model.evaluate(x, y, verbose=0) == pytest.approx(
        [np.abs(error).mean(), (error**2).mean()], rel=1e-5
    )


def test_repeated_predictions_see_new_weights_and_other_arrays() -> None:
    """`predict` keeps everything prepared for arrays like the last one."""
    model = models.Sequential([layers.Input((3,)), layers.Dense(2)])
    model.compile("sgd", "mse")
    x = np.random.default_rng(0).normal(size=(8, 3)).astype(np.float32)
    for rows in (1, 1, 5, 1, 8):
        kernel, bias = model.get_weights()
        for given in (x[:rows], x[:rows][::-1], x[:rows].astype(np.float64), x[:rows].tolist()):
            for predict in (lambda a: model.predict(a, verbose=0), model):
                result = predict(given if isinstance(given, np.ndarray) else np.array(given))
                np.testing.assert_allclose(result, np.asarray(given) @ kernel + bias, rtol=1e-4)
        model.train_on_batch(x, x[:, :2])
    first = model.predict(x[:1], verbose=0)
    assert model.predict(x[:1], verbose=0) is not first
