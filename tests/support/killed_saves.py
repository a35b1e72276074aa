"""A process that saves a model again and again is killed at random moments.

Run as a script: killed_saves.py FOLDER KILLS. Each child writes FOLDER/m.keras with a vocabulary,
and FOLDER/m.weights.h5, with all weights 1 and with all weights 2, by turns; the parent kills it
(SIGKILL) and looks whether both files are whole. Prints how many kills came while a file was
being written.
"""

import os
import random
import signal
import sys
import time
from pathlib import Path

import numpy as np

from graphc import layers, models


def made() -> models.Model:
    lookup = layers.IntegerLookup()
    lookup.adapt([[1, 2, 3]])
    x = layers.Input((4,), dtype="int64")
    y = layers.Flatten()(layers.Embedding(4, 200)(lookup(x)))
    return models.Model(x, layers.Dense(200)(y))


def save(model: models.Model, folder: Path, value: int) -> None:
    model.set_weights([np.full(w.shape, value, np.float32) for w in model.weights])
    model.save(folder / "m.keras")
    model.save_weights(folder / "m.weights.h5")


def look(model: models.Model, folder: Path) -> None:
    """Fails unless both files are whole, and of one of the two."""
    model.load_weights(folder / "m.weights.h5")
    loaded = models.load_model(folder / "m.keras")
    for one in (model, loaded):
        values = {value for w in one.get_weights() for value in np.unique(w).tolist()}
        assert values in ({1.0}, {2.0}), values
    assert loaded.layers[1].get_vocabulary(False) == [3, 2, 1]


def main(folder: Path, kills: int) -> None:
    model, numbers, within = made(), random.Random(5), 0
    save(model, folder, 1)
    for _ in range(kills):
        child = os.fork()
        if child == 0:
            while True:
                for value in (2, 1):
                    save(model, folder, value)
        time.sleep(numbers.uniform(0.0, 0.06))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        within += any(path.name.startswith(".") for path in folder.iterdir())
        look(model, folder)
    save(model, folder, 1)
    assert {path.name for path in folder.iterdir()} == {"m.keras", "m.weights.h5"}
    print(within)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
