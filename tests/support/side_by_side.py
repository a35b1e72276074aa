"""A training script that several processes run at the same time, in one folder.

Run as: side_by_side.py FOLDER NAME. Checkpoints of each epoch and of the best one, and the backup,
are in FOLDER; weights and history of this process go into FOLDER/NAME.npz. Machine code is kept
where GRAPHC_CACHE says.
"""

import json
import sys
from pathlib import Path

import numpy as np

from graphc import callbacks, layers, models, optimizers, utils

EPOCHS = 15


def main() -> None:
    folder, name = Path(sys.argv[1]), sys.argv[2]
    utils.set_random_seed(7)
    x = np.random.default_rng(0).normal(size=(40, 3)).astype(np.float32)
    y = (x.sum(1, keepdims=True) > 0).astype(np.float32)
    model = models.Sequential(
        [layers.Input((3,)), layers.Dense(4), layers.Dropout(0.4), layers.Dense(1, "sigmoid")]
    )
    model.compile(optimizers.SGD(0.1, momentum=0.9), "binary_crossentropy", metrics=["accuracy"])
    watch = [
        callbacks.BackupAndRestore(folder / "backup", double_checkpoint=True),
        callbacks.ModelCheckpoint(folder / "last.keras"),
        callbacks.ModelCheckpoint(
            folder / "best.weights.h5", "loss", save_best_only=True, save_weights_only=True
        ),
    ]
    history = model.fit(x, y, 8, EPOCHS, 0, callbacks=watch)
    told = json.dumps([history.epoch, history.history])
    np.savez(folder / f"{name}.npz", *model.get_weights(), told=np.array(told))


if __name__ == "__main__":
    main()
