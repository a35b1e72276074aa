"""Callbacks that keep what an epoch reported: in memory and in a file."""

from __future__ import annotations

import csv
import os
from typing import IO, Any

import numpy as np

from .callback import Callback, Logs


class History(Callback):
    """Keeps the logs of every epoch; what `fit` returns, and `model.history`.

    Attributes:
        history: name -> list of values, one an epoch. Goes on over several runs with one
            History; `fit` makes a new one each time.
        epoch: numbers of the epochs of the last run.
    """

    def __init__(self) -> None:
        super().__init__()
        self.history: dict[str, list[Any]] = {}
        self.epoch: list[int] = []

    def on_train_begin(self, logs: Logs | None = None) -> None:
        self.epoch = []

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        self.epoch.append(epoch)
        for name, value in (logs or {}).items():
            self.history.setdefault(name, []).append(value)
        self.model.history = self


class CSVLogger(Callback):
    """Writes a line for each epoch into a CSV file: epoch, then the values sorted by name.

    The columns are those of the first epoch. If it had no validation, a `val_` column follows
    for each, so that later epochs may fill it; a missing value reads NA (as in Keras).

    Args:
        filename: path of the file.
        separator: between the columns; "," by default.
        append: whether to add to a file that exists, without a second header, rather than
            overwrite it, the default.
    """

    def __init__(
        self, filename: str | os.PathLike[str], separator: str = ",", append: bool = False
    ) -> None:
        super().__init__()
        self.filename = os.fspath(filename)
        self.sep = separator
        self.append = append
        self.keys: list[str] | None = None
        self._file: IO[str] | None = None

    def on_train_begin(self, logs: Logs | None = None) -> None:
        self.on_close()
        self._file = open(self.filename, "a" if self.append else "w", newline="")  # noqa: SIM115
        self.keys = None

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        assert self._file is not None, "on_train_begin opens the file"
        logs = logs or {}
        writer = csv.writer(self._file, delimiter=self.sep)
        if self.keys is None:
            self.keys = sorted(logs)
            if not any(name.startswith("val_") for name in self.keys):
                self.keys += [f"val_{name}" for name in self.keys]
            if self._file.tell() == 0:  # new, or empty, or not appending
                writer.writerow(["epoch", *self.keys])
        writer.writerow([epoch, *(_cell(logs.get(name, "NA")) for name in self.keys)])
        self._file.flush()

    def on_train_end(self, logs: Logs | None = None) -> None:
        self.on_close()

    def on_close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None


def _cell(value: Any) -> Any:
    if isinstance(value, (list, tuple)) or (isinstance(value, np.ndarray) and value.ndim):
        return f'"[{", ".join(map(str, value))}]"'
    return value
