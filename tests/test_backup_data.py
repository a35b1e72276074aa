"""BackupAndRestore with data that come batch by batch, and with stateful layers."""

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from graphc import callbacks, layers, models, utils

X = np.random.default_rng(0).normal(size=(20, 3)).astype(np.float32)
Y = X.sum(1, keepdims=True)
BATCH, EPOCHS = 4, 4


class InOrder(utils.PyDataset):
    """Batches of the rows as they are."""

    def __init__(self) -> None:
        super().__init__()
        self.rows = np.arange(len(X))

    def __len__(self) -> int:
        return len(X) // BATCH

    def __getitem__(self, index: int) -> Any:
        rows = self.rows[index * BATCH :][:BATCH]
        return X[rows], Y[rows]


class OwnOrder(InOrder):
    """Shuffles its rows by NumPy's generator, and draws from it for each batch."""

    def on_epoch_end(self) -> None:
        np.random.shuffle(self.rows)

    def __getitem__(self, index: int) -> Any:
        x, y = super().__getitem__(index)
        return x + np.random.normal(size=x.shape), y


class OwnGenerators(InOrder):
    """Begins epochs anew, and draws from generators of its own, and from Python's."""

    def __init__(self) -> None:
        super().__init__()
        self.generators = [0.0, 0.0]
        self.old, self.new = np.random.RandomState(1), np.random.default_rng(2)
        self.python = random.Random(3)

    def on_epoch_begin(self) -> None:
        self.generators[0] += self.new.random()

    def __getitem__(self, index: int) -> Any:
        x, y = super().__getitem__(index)
        self.generators[1] += self.python.random() + random.random()
        return x * self.old.uniform(size=x.shape), y + sum(self.generators)


class Endless(InOrder):
    """Has no end, and gives other batches all the time."""

    num_batches = None

    def __getitem__(self, index: int) -> Any:
        return X[index % 17 :][:BATCH], Y[index % 17 :][:BATCH]


def windows() -> Any:
    return utils.timeseries_dataset_from_array(X, Y, 1, batch_size=5, shuffle=True, seed=3)


class Interrupt(callbacks.Callback):
    """Raises an error at a batch of the run."""

    def __init__(self, batch: int) -> None:
        super().__init__()
        self.left = (batch,)

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self.left = (self.left[0] - 1,)
        if not self.left[0]:
            raise InterruptedError


def made(**_: Any) -> Any:
    model = models.Sequential(
        [layers.Input((3,)), layers.Dropout(0.2), layers.Dense(1, kernel_initializer="ones")]
    )
    model.compile("adam", "mse")
    return model


def flattened() -> Any:
    """For windows of one step."""
    model = models.Sequential([layers.Input((1, 3)), layers.Flatten(), layers.Dense(1)])
    model.compile("adam", "mse")
    return model


def stateful() -> Any:
    model = models.Sequential(
        [
            layers.Input(batch_shape=(BATCH, 3)),
            layers.Reshape((3, 1)),
            layers.SimpleRNN(2, stateful=True),
            layers.Dense(1),
        ]
    )
    model.compile("adam", "mse")
    return model


def arrays() -> Any:
    return X


CASES: dict[str, tuple[Any, Any, dict[str, Any]]] = {
    "in order": (made, InOrder, {"shuffle": False}),
    "shuffled": (made, InOrder, {}),
    "an order over several epochs": (made, InOrder, {"steps_per_epoch": 3}),
    "numpy's generator": (made, OwnOrder, {}),
    "own generators": (made, OwnGenerators, {}),
    "endless": (made, Endless, {"steps_per_epoch": 6}),
    "windows": (flattened, windows, {}),
    "states of layers": (stateful, arrays, {"y": Y, "batch_size": BATCH}),
}


def run(case: str, *watch: callbacks.Callback) -> tuple[Any, ...]:
    """The script of a user: what it ends with."""
    make, data, options = CASES[case]
    utils.set_random_seed(5)
    model, validation = make(), OwnOrder() if make is made else None
    history = model.fit(
        data(), epochs=EPOCHS, verbose=0, validation_data=validation, callbacks=list(watch),
        **options,
    )  # fmt: skip
    return history.history, [w.tobytes() for w in model.get_weights()], np.random.random()


@pytest.mark.filterwarnings("ignore:the data ended after")  # of an order over several epochs
@pytest.mark.parametrize("save_freq", ["epoch", 2])
@pytest.mark.parametrize("case", CASES)
def test_goes_on_with_the_same_bits(tmp_path: Path, case: str, save_freq: Any) -> None:
    whole = run(case)
    for batch in (4, 6):  # of the first run, and of the one that goes on
        with pytest.raises(InterruptedError):
            run(case, Interrupt(batch), callbacks.BackupAndRestore(tmp_path, save_freq))
        assert list(tmp_path.iterdir()) or save_freq == "epoch"
    assert run(case, callbacks.BackupAndRestore(tmp_path, save_freq)) == whole
