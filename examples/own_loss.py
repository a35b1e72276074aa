"""A loss and a metric of one's own: quantile regression, which predicts a range and not a mean.

Both are plain functions of y_true and y_pred written with `graphc.ops`; they are differentiated,
fused and compiled like the built-in ones. Run: python examples/own_loss.py
"""

from __future__ import annotations

from typing import Any

import numpy as np

from graphc import layers, models, ops, utils

LOW, HIGH = 0.1, 0.9


def quantile_loss(y_true: Any, y_pred: Any) -> Any:
    """The pinball loss (Koenker and Bassett 1978) of a lower and an upper quantile.

    y_true is (batch, 1), y_pred (batch, 2): the predicted 10 % and 90 % quantiles.
    """
    error = y_true - y_pred
    level = np.array([LOW, HIGH], np.float32)
    return ops.mean(ops.maximum(level * error, (level - 1) * error), axis=-1)


def width(y_true: Any, y_pred: Any) -> Any:
    """How far apart the two quantiles are: |upper - lower|."""
    return ops.absolute(ops.sum(y_pred * np.array([-1.0, 1.0], np.float32), axis=-1))


def main() -> float:
    """Trains, and returns the share of new samples that fall in the predicted range."""
    utils.set_random_seed(0)
    draws = np.random.default_rng(0)
    x = draws.uniform(-1, 1, (4000, 1)).astype(np.float32)
    y = np.sin(3 * x) + draws.normal(size=x.shape) * (0.1 + 0.3 * (x > 0))
    model = models.Sequential(
        [
            layers.Dense(64, activation="tanh", input_shape=(1,)),
            layers.Dense(64, activation="tanh"),
            layers.Dense(2),
        ]
    )
    model.compile("adam", loss=quantile_loss, metrics=[width])
    model.fit(x[:3000], y[:3000], batch_size=64, epochs=30, verbose=2)
    low, high = model.predict(x[3000:], verbose=0).T
    inside = float(np.mean((low <= y[3000:, 0]) & (y[3000:, 0] <= high)))
    print(f"share of new samples in the predicted range: {inside:.3f} (80 % aimed at)")
    return inside


if __name__ == "__main__":
    main()
