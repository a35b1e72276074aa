"""`graphc demo`: trains a classifier on real handwritten digits and writes down every stage."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np

from . import datasets, layers, models, optimizers, utils


def digits_model() -> models.Sequential:
    """A small classifier of 8x8 images, compiled for training."""
    model = models.Sequential(
        [
            layers.Input(shape=(8, 8)),
            layers.Flatten(),
            layers.Dense(512, activation="relu"),
            layers.Dropout(0.4),
            layers.Dense(256, activation="relu"),
            layers.Dropout(0.4),
            layers.Dense(10, activation="softmax"),
        ],
        name="digits",
    )
    model.compile(
        optimizer=optimizers.Adam(learning_rate=0.001),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    return model


def write_stages(model: models.Model, folder: Path) -> int:
    """Writes each stage of each compiled program as a text file; returns how many."""
    written = 0
    for kind, program in model.compiled_programs():
        (folder / kind).mkdir(parents=True, exist_ok=True)
        for number, stage in enumerate(program.stages.values()):
            path = folder / kind / f"{number:02}-{stage.name}.txt"
            path.write_text(stage.text(), encoding="utf-8")
            written += 1
    return written


def run(folder: Path, epochs: int, started: float) -> float:
    """Trains, reports and saves; returns the accuracy on the held-out fifth.

    Args:
        folder: where weights and stages go.
        epochs: how long to train.
        started: `time.time()` at process start.
    """
    utils.set_random_seed(0)
    (x_train, y_train), (x_test, y_test) = datasets.digits.load_data(test_fraction=0.2, seed=0)
    print(f"Handwritten digits: {len(x_train)} images to train on, {len(x_test)} held out.")
    x_train, x_test = (x.astype(np.float32) / 16 for x in (x_train, x_test))
    model = digits_model()
    model.summary()
    model.fit(x_train, y_train, batch_size=64, epochs=epochs, verbose=1)
    loss, accuracy = model.evaluate(x_test, y_test, verbose=0)
    print(
        f"\nTest accuracy: {accuracy:.4f} (loss {loss:.4f}) on {len(x_test)} images not trained on."
    )
    folder.mkdir(parents=True, exist_ok=True)
    weights = folder / "digits.weights.h5"
    model.save_weights(weights)
    count = write_stages(model, folder)
    compilation = sum(program.seconds for _, program in model.compiled_programs())
    print(f"Weights: {weights}")
    print(f"Every stage of the compiler: {count} files in {folder}/train and {folder}/evaluate")
    print(
        f"Done in {time.time() - started:.1f} s from process start; {compilation:.1f} s of them "
        "compiled the programs."
    )
    return float(accuracy)
