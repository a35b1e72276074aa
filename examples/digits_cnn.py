"""A convolutional network on the digits that the package ships. Run: python examples/digits_cnn.py

The images are shifted by up to a pixel while training; 8 x 8 pixels are soon learned by heart.
"""

from __future__ import annotations

import numpy as np

from graphc import callbacks, datasets, layers, models, optimizers, utils


def shifted(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The images, and each of them moved by a pixel in four directions."""
    around = np.pad(x, ((0, 0), (1, 1), (1, 1)))
    moves = [(1, 1), (0, 1), (2, 1), (1, 0), (1, 2)]
    return np.concatenate([around[:, i : i + 8, j : j + 8] for i, j in moves]), np.tile(
        y, len(moves)
    )


def main() -> float:
    """Trains, and returns the accuracy on images held out."""
    utils.set_random_seed(0)
    (x_train, y_train), (x_test, y_test) = datasets.digits.load_data()
    x_train, y_train = shifted(x_train, y_train)
    model = models.Sequential(
        [
            layers.Input((8, 8)),
            layers.Reshape((8, 8, 1)),
            layers.Rescaling(1 / 16),
            layers.Conv2D(32, 3, padding="same", activation="relu"),
            layers.Conv2D(64, 3, padding="same", activation="relu"),
            layers.MaxPooling2D(2),
            layers.BatchNormalization(),
            layers.Conv2D(64, 3, padding="same", activation="relu"),
            layers.Flatten(),
            layers.Dropout(0.4),
            layers.Dense(128, activation="relu"),
            layers.Dropout(0.4),
            layers.Dense(10, activation="softmax"),
        ]
    )
    rate = optimizers.schedules.CosineDecay(2e-3, 12 * -(-len(x_train) // 128))
    model.compile(optimizers.Adam(rate), "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(
        x_train,
        y_train,
        batch_size=128,
        epochs=12,
        verbose=2,
        callbacks=[callbacks.TerminateOnNaN()],
    )
    accuracy = float(model.evaluate(x_test, y_test, verbose=0)[1])
    print(f"accuracy on {len(x_test)} images held out: {accuracy:.4f}")
    return accuracy


if __name__ == "__main__":
    main()
