"""An Inception network on 28 x 28 digits (Szegedy et al. 2015).

Run: python examples/inception.py --data mnist10k.npz. The file holds x_train, x_test, uint8
(n, 28, 28), and y_train, y_test, digits; 8,000 and 2,000 of the 70,000 images of MNIST do
(https://yann.lecun.com/exdb/mnist, also in `keras.datasets.mnist`).
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np

from graphc import layers, models, optimizers, utils


def module(x: Any, one: int, three: int, five: int, pool: int) -> Any:
    """Four towers side by side; the arguments are their filters."""
    relu: dict[str, Any] = {"activation": "relu", "padding": "same"}
    towers = [
        layers.Conv2D(one, 1, **relu)(x),
        layers.Conv2D(three, 3, **relu)(layers.Conv2D(three // 2, 1, **relu)(x)),
        layers.Conv2D(five, 5, **relu)(layers.Conv2D(five // 2, 1, **relu)(x)),
        layers.Conv2D(pool, 1, **relu)(layers.MaxPooling2D(3, strides=1, padding="same")(x)),
    ]
    return layers.BatchNormalization()(layers.concatenate(towers))


def main() -> float:
    """Trains, and returns the accuracy on images held out."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--data", required=True, help="the .npz file")
    data = np.load(parser.parse_args().data)
    utils.set_random_seed(0)
    inputs = layers.Input((28, 28))
    x = layers.Rescaling(1 / 255)(layers.Reshape((28, 28, 1))(inputs))
    x = layers.MaxPooling2D(2)(layers.Conv2D(24, 3, padding="same", activation="relu")(x))
    x = module(x, 12, 24, 8, 8)
    x = layers.MaxPooling2D(2)(x)
    x = module(x, 24, 48, 16, 16)
    x = layers.Dropout(0.3)(layers.Flatten()(layers.MaxPooling2D(2)(x)))
    model = models.Model(inputs, layers.Dense(10, activation="softmax")(x))
    epochs, batch = 8, 64
    steps = epochs * len(data["x_train"]) // batch
    rate = optimizers.schedules.CosineDecay(3e-3, steps)
    model.compile(optimizers.Adam(rate), "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(data["x_train"], data["y_train"], batch_size=batch, epochs=epochs, verbose=2)
    accuracy = float(model.evaluate(data["x_test"], data["y_test"], verbose=0)[1])
    print(f"accuracy on {len(data['y_test'])} images held out: {accuracy:.4f}")
    return accuracy


if __name__ == "__main__":
    main()
