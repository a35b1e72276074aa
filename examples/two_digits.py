"""Two inputs, two outputs: which of two digits is larger, and what is their sum?

One tower is shared by both images; the losses are weighed. Run: python examples/two_digits.py
"""

from __future__ import annotations

import numpy as np

from graphc import datasets, layers, models, optimizers, utils

Arrays = dict[str, np.ndarray]


def pairs(x: np.ndarray, y: np.ndarray, count: int, seed: int) -> tuple[Arrays, Arrays]:
    """Pairs of images, and for each whether the left digit is larger, and the sum."""
    left, right = np.random.default_rng(seed).integers(0, len(x), (2, count))
    targets = {
        "larger": (y[left] > y[right]).astype(np.float32)[:, None],
        "sum": (y[left].astype(np.int32) + y[right]),
    }
    return {"left": x[left], "right": x[right]}, targets


def main() -> dict[str, float]:
    """Trains, and returns what evaluation on images held out gives."""
    utils.set_random_seed(0)
    (x_train, y_train), (x_test, y_test) = datasets.digits.load_data()
    tower = models.Sequential(
        [
            layers.Input((8, 8)),
            layers.Reshape((8, 8, 1)),
            layers.Rescaling(1 / 16),
            layers.Conv2D(32, 3, padding="same", activation="relu"),
            layers.MaxPooling2D(2),
            layers.Conv2D(64, 3, padding="same", activation="relu"),
            layers.Flatten(),
            layers.Dropout(0.3),
            layers.Dense(64, activation="relu"),
        ]
    )
    inputs = {name: layers.Input((8, 8), name=name) for name in ("left", "right")}
    both = layers.concatenate([tower(inputs["left"]), tower(inputs["right"])])
    hidden = layers.Dense(128, activation="relu")(both)
    outputs = {
        "larger": layers.Dense(1, activation="sigmoid", name="larger")(hidden),
        "sum": layers.Dense(19, activation="softmax", name="sum")(hidden),
    }
    model = models.Model(inputs, outputs)
    model.compile(
        optimizers.Adam(2e-3),
        loss={"larger": "binary_crossentropy", "sum": "sparse_categorical_crossentropy"},
        loss_weights={"larger": 0.5, "sum": 1.0},
        metrics={"larger": ["accuracy"], "sum": ["accuracy"]},
    )
    x, y = pairs(x_train, y_train, 20_000, 0)
    model.fit(x, y, batch_size=128, epochs=8, verbose=2)
    x, y = pairs(x_test, y_test, 4_000, 1)
    logs = model.evaluate(x, y, verbose=0, return_dict=True)
    print(f"larger: {logs['larger_accuracy']:.4f}, sum: {logs['sum_accuracy']:.4f}")
    return dict(logs)


if __name__ == "__main__":
    main()
