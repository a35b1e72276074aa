"""A tiny transformer: do the brackets match? Classifies sequences of ( ) [ ] by attention.

Run: python examples/transformer.py
"""

from __future__ import annotations

from typing import Any

import numpy as np

from graphc import layers, models, ops, optimizers, utils

LENGTH, WIDTH = 16, 48


def sequences(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Tokens (count, LENGTH), 1 to 4 for ( [ ) ], 0 behind the end; and whether brackets match.

    Half of them match; in the others one token is replaced by another.
    """
    random = np.random.default_rng(seed)
    x, y = np.zeros((count, LENGTH), np.int32), np.zeros((count, 1), np.float32)
    for row in range(count):
        tokens, open_ones = [], []
        size = 2 * int(random.integers(2, LENGTH // 2 + 1))
        while len(tokens) < size:
            left = size - len(tokens)
            if not open_ones or (len(open_ones) < left and random.random() < 0.5):
                open_ones.append(int(random.integers(1, 3)))
                tokens.append(open_ones[-1])
            else:
                tokens.append(open_ones.pop() + 2)
        y[row] = random.random() < 0.5
        if not y[row]:
            at = int(random.integers(size))
            tokens[at] = (tokens[at] - 1 + int(random.integers(1, 4))) % 4 + 1
        x[row, :size] = tokens
    return x, y


class Positions(layers.Layer):
    """Adds a learned vector for each step."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        _, steps, features = input_shape
        assert steps is not None and features is not None
        self.positions = self.add_weight((steps, features), "uniform", name="positions")

    def call(self, inputs: Any) -> Any:
        return ops.add(inputs, self.positions)


def encoder(x: Any) -> Any:
    """Attention and a feed-forward net, each with a shortcut and normalised before."""
    y = layers.LayerNormalization()(x)
    x = layers.add([x, layers.MultiHeadAttention(4, WIDTH // 4)(y, y)])
    y = layers.Dense(2 * WIDTH, activation="gelu")(layers.LayerNormalization()(x))
    return layers.add([x, layers.Dense(WIDTH)(y)])


def main() -> float:
    """Trains, and returns the accuracy on other sequences."""
    utils.set_random_seed(0)
    inputs = layers.Input((LENGTH,), dtype="int32")
    x = Positions()(layers.Embedding(5, WIDTH, mask_zero=True)(inputs))
    for _ in range(3):
        x = encoder(x)
    x = layers.GlobalAveragePooling1D()(layers.LayerNormalization()(x))
    model = models.Model(inputs, layers.Dense(1, activation="sigmoid")(x))
    x_train, y_train = sequences(20_000, 0)
    epochs, batch = 12, 128
    rate = optimizers.schedules.CosineDecay(
        1e-4, epochs * len(x_train) // batch, warmup_target=2e-3, warmup_steps=200
    )
    model.compile(optimizers.AdamW(rate), "binary_crossentropy", metrics=["accuracy"])
    model.fit(x_train, y_train, batch_size=batch, epochs=epochs, verbose=2)
    accuracy = float(model.evaluate(*sequences(2_000, 1), verbose=0)[1])
    print(f"accuracy on 2000 other sequences: {accuracy:.4f}")
    return accuracy


if __name__ == "__main__":
    main()
