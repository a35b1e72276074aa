"""Who is speaking? A masked bidirectional LSTM on the Japanese Vowels.

Run: python examples/vowels_lstm.py --data japanese_vowels.npz. The file holds x_train and x_test,
float32 (n, 29, 12), padded with zeros behind length_train and length_test steps, and y_train and
y_test, the speaker from 0 to 8. The recordings are the UCI data set 128, "Japanese Vowels"
(https://archive.ics.uci.edu/dataset/128).
"""

from __future__ import annotations

import argparse

import numpy as np

from graphc import layers, models, optimizers, utils


def main() -> float:
    """Trains, and returns the accuracy on recordings held out."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--data", required=True, help="the .npz file")
    data = np.load(parser.parse_args().data)
    utils.set_random_seed(0)
    model = models.Sequential(
        [
            layers.Input((29, 12)),
            layers.Masking(),
            layers.GaussianNoise(0.1),
            layers.Bidirectional(layers.LSTM(48)),
            layers.Dropout(0.3),
            layers.Dense(9, activation="softmax"),
        ]
    )
    model.compile(optimizers.Adam(4e-3), "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(data["x_train"], data["y_train"], batch_size=32, epochs=40, verbose=2)
    accuracy = float(model.evaluate(data["x_test"], data["y_test"], verbose=0)[1])
    print(f"accuracy on {len(data['y_test'])} recordings held out: {accuracy:.4f}")
    return accuracy


if __name__ == "__main__":
    main()
