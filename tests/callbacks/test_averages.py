"""SwapEMAWeights: the numbers are those of Keras 3.15.1 on JAX."""

from typing import Any

import numpy as np
import pytest

from graphc import callbacks, layers, models, optimizers

X = np.linspace(-1, 1, 24).reshape(8, 3).astype(np.float32)
Y = np.linspace(0, 3, 8)[:, None] ** 2


def model(use_ema: bool = True) -> models.Model:
    made = models.Sequential([layers.Input((3,)), layers.Dense(1)])
    made.set_weights([np.ones((3, 1)), np.zeros(1)])
    made.compile(optimizers.SGD(0.125, use_ema=use_ema, ema_momentum=0.75), "mse")
    return made


class Bias(callbacks.Callback):
    """The bias at each beginning and end of an epoch."""

    def __init__(self, stop_after: int = 9) -> None:
        super().__init__()
        self.seen: list[float] = []
        self.stop_after = stop_after

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self.seen.append(round(float(self.model.get_weights()[1][0]), 5))

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.on_epoch_begin(epoch)
        self.model.stop_training = epoch == self.stop_after


@pytest.mark.parametrize(
    ("swap_on_epoch", "wanted"),
    [
        (False, [0.0, 1.58714, 1.58714, 2.39066, 2.39066, 2.79739]),
        (True, [0.0, 0.8108, 1.58714, 1.40526, 2.39066, 1.96609]),
    ],
)
def test_fit_validates_with_the_averages(swap_on_epoch: bool, wanted: list[float]) -> None:
    made, bias = model(), Bias()
    history = made.fit(
        X, Y, 4, 3, 0, shuffle=False, validation_data=(X, Y),
        callbacks=[callbacks.SwapEMAWeights(swap_on_epoch), bias],
    ).history  # fmt: skip
    np.testing.assert_allclose(history["loss"], [12.442088, 3.7575576, 1.539886], 1e-5)
    np.testing.assert_allclose(history["val_loss"], [8.405913, 4.919189, 2.6412609], 1e-5)
    np.testing.assert_allclose(bias.seen, wanted, atol=2e-5)
    np.testing.assert_allclose(made.get_weights()[1], [1.9660887], 1e-5)


def test_a_fit_that_stops_early_ends_with_the_averages() -> None:
    made, bias = model(), Bias(stop_after=0)
    made.fit(
        X, Y, 4, 3, 0, shuffle=False, callbacks=[callbacks.SwapEMAWeights(swap_on_epoch=True), bias]
    )
    np.testing.assert_allclose(made.get_weights()[1], [0.8108], atol=2e-5)


def test_weights_are_back_after_evaluation_prediction_and_errors() -> None:
    made = model()
    made.fit(X, Y, 4, 1, 0, shuffle=False)
    made.set_weights([np.zeros((3, 1)), np.full(1, 5.0)])
    swap = callbacks.SwapEMAWeights()
    with_averages = made.predict(X, verbose=0, callbacks=[swap])
    assert np.abs(with_averages - 5).min() > 1
    assert made.get_weights()[1] == [5.0]
    evaluated = made.evaluate(X, Y, verbose=0, callbacks=[swap])
    np.testing.assert_allclose(evaluated, np.mean((with_averages - Y) ** 2), 1e-5)

    def fail(batch: int, logs: Any) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        breaking = callbacks.LambdaCallback(on_test_batch_end=fail)
        made.evaluate(X, Y, verbose=0, callbacks=[swap, breaking])
    assert made.get_weights()[1] == [5.0]


def test_an_optimizer_without_averages() -> None:
    with pytest.raises(ValueError, match=r"compile the model with SGD\(use_ema=True\)"):
        model(use_ema=False).fit(X, Y, verbose=0, callbacks=[callbacks.SwapEMAWeights()])
