"""Reads strings of digits whose places nobody marked: Conv2D, bidirectional LSTM, and CTC.

Strings of 3 to 5 digits are made by setting digits side by side, with gaps of 0 to 3 columns; those
to train on also of digits that are turned, stretched, and moved a little. 0.969 of the
strings held out, made of digits that are in none to train on, are read without a mistake.
Run: python examples/strings_ctc.py --data mnist10k.npz. The file holds x_train, x_test, uint8
(n, 28, 28), and y_train, y_test, digits; 8,000 and 2,000 of the 70,000 images of MNIST do
(https://yann.lecun.com/exdb/mnist, also in `keras.datasets.mnist`).
"""

from __future__ import annotations

import argparse

import numpy as np

from graphc import layers, losses, models, ops, optimizers, utils

SIZE, HEIGHT, WIDTH, LONGEST = 14, 16, 84, 5


def strings(x: np.ndarray, y: np.ndarray, count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Images (count, HEIGHT, WIDTH) and labels (count, LONGEST), digit + 1, 0 behind the last."""
    random = np.random.default_rng(seed)
    halves = x.reshape(-1, SIZE, 2, SIZE, 2).mean((2, 4)).astype(np.float32) / 255
    images = np.zeros((count, HEIGHT, WIDTH), np.float32)
    labels = np.zeros((count, LONGEST), np.int32)
    for image, label in zip(images, labels, strict=True):
        at = 0
        for place in range(int(random.integers(3, LONGEST + 1))):
            chosen, down = int(random.integers(len(x))), int(random.integers(3))
            image[down : down + SIZE, at : at + SIZE] = halves[chosen]
            label[place] = y[chosen] + 1
            at += SIZE + int(random.integers(0, 4))
    return images, labels


def varied(x: np.ndarray, y: np.ndarray, times: int) -> tuple[np.ndarray, np.ndarray]:
    """The images, and as often others of them, turned and stretched; and their labels."""
    change = models.Sequential(
        [
            layers.Input((*x.shape[1:], 1)),
            layers.RandomRotation(0.04, "constant"),
            layers.RandomZoom(0.12, 0.12, "constant"),
            layers.RandomTranslation(0.05, 0.05, "constant"),
        ]
    )
    others = [change.predict_in_training(x[..., None])[..., 0] for _ in range(times)]
    return np.concatenate([x, *others]), np.tile(y, times + 1)


def block(filters: int) -> list[layers.Layer]:
    """A convolution, normalised over the batch."""
    conv = layers.Conv2D(filters, 3, padding="same", use_bias=False)
    return [conv, layers.BatchNormalization(), layers.ReLU()]


def read(model: models.Model, images: np.ndarray) -> np.ndarray:
    """The labels of strings, padded with 0."""
    logits = model.predict(images, verbose=0)
    found, _ = ops.ctc_decode(logits, [logits.shape[1]] * len(logits))
    return np.maximum(found[0, :, :LONGEST], 0)


def main() -> float:
    """Trains, and returns the part of strings of digits held out that is exactly right."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--data", required=True, help="the .npz file")
    data = np.load(parser.parse_args().data)
    utils.set_random_seed(0)
    images, labels = strings(*varied(data["x_train"], data["y_train"], 5), 48_000, 0)
    model = models.Sequential(
        [
            layers.Input((HEIGHT, WIDTH)),
            layers.Permute((2, 1)),
            layers.Reshape((WIDTH, HEIGHT, 1)),
            *block(16),
            layers.MaxPooling2D(2),
            *block(32),
            layers.MaxPooling2D(2),
            *block(64),
            # A digit is three to four steps wide, and two equal ones have room for a blank between.
            layers.Reshape((WIDTH // 4, HEIGHT // 4 * 64)),
            layers.Dropout(0.2),
            layers.Bidirectional(layers.LSTM(48, return_sequences=True)),
            layers.Dropout(0.2),
            layers.Dense(11),
        ]
    )
    epochs, batch = 3, 32
    steps = epochs * len(images) // batch
    warmup = steps // 20
    rate = optimizers.schedules.CosineDecay(
        3e-4, steps - warmup, warmup_target=3e-3, warmup_steps=warmup
    )
    model.compile(optimizers.Adam(rate, clipnorm=5.0), losses.CTC())
    model.fit(images, labels, batch_size=batch, epochs=epochs, verbose=2)
    images, labels = strings(data["x_test"], data["y_test"], 1000, 1)
    right = float((read(model, images) == labels).all(1).mean())
    print(f"strings read without a mistake: {right:.3f}")
    return right


if __name__ == "__main__":
    main()
