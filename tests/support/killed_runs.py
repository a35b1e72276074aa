"""A training run that is killed at random moments and started again until it ends.

Run as a script: killed_runs.py FOLDER KILLS. A child process trains, with shuffling, dropout,
momentum, metrics and validation; its weights and history go into a file. The parent kills it
(SIGKILL) KILLS times, each time at a random moment of its training, and starts it again; then it
lets it end. So for backups after each epoch, and after every 4 batches: FOLDER/epoch/result.npz and
FOLDER/4/result.npz; FOLDER/whole/result.npz is of a run that is not killed. Prints how many kills
came before a run's end.

Compiling takes longer than all of the training, so the parent does it; a child begins with the
model as a new process has it.
"""

import json
import os
import random
import signal
import sys
import time
from pathlib import Path

import numpy as np

from graphc import callbacks, layers, models, optimizers, utils

EPOCHS = 4


utils.set_random_seed(7)
X = np.random.default_rng(0).normal(size=(40, 3)).astype(np.float32)
Y = (X.sum(1, keepdims=True) > 0).astype(np.float32)


def compiled() -> models.Model:
    """The model, its programs compiled; nothing has run."""
    model = models.Sequential(
        [layers.Input((3,)), layers.Dense(4), layers.Dropout(0.4), layers.Dense(1, "sigmoid")]
    )
    optimizer = optimizers.SGD(0.1, momentum=0.9)
    model.compile(optimizer, "binary_crossentropy", metrics=["accuracy"])
    for kind in ("train", "evaluate"):
        model.program(kind, model.checked("fit", X[:36], Y[:36], None))
    return model


def train(model: models.Model, folder: Path, save_freq: str | int, ready: int) -> None:
    """The script of a user."""

    def slower(batch: int, logs: object) -> None:
        time.sleep(0.002)

    watch = [
        callbacks.BackupAndRestore(folder / "backup", save_freq=save_freq),
        callbacks.LearningRateScheduler(lambda epoch, rate: rate * 0.9),
        callbacks.LambdaCallback(
            on_train_begin=lambda logs: os.write(ready, b"."), on_train_batch_end=slower
        ),
    ]
    history = model.fit(
        X[:36], Y[:36], 6, EPOCHS, 0, callbacks=watch, validation_data=(X[36:], Y[36:])
    )
    told = json.dumps([history.epoch, history.history])
    np.savez(folder / "result.npz", *model.get_weights(), told=np.array(told))


def run(model: models.Model, folder: Path, save_freq: str | int, pause: float | None) -> bool:
    """One start of the script, killed some time after training begins; whether it was."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        train(model, folder, save_freq, writer)
        os._exit(0)
    os.close(writer)
    os.read(reader, 1)
    os.close(reader)
    if pause is not None:
        time.sleep(pause)
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    assert status in (0, signal.SIGKILL), status
    return os.WIFSIGNALED(status)


def main() -> None:
    folder, kills = Path(sys.argv[1]), int(sys.argv[2])
    model, moments = compiled(), random.Random(0)
    done = 0
    for name, save_freq in (("whole", "epoch"), ("epoch", "epoch"), ("4", 4)):
        (folder / name).mkdir()
        for _ in range(0 if name == "whole" else kills):
            done += run(model, folder / name, save_freq, moments.uniform(0.0, 0.1))
        run(model, folder / name, save_freq, None)
    print(done)


if __name__ == "__main__":
    main()
