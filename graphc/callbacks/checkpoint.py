"""Writing models and weights to files while training."""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import Any

from .backup import checked_frequency
from .callback import Logs
from .monitors import _Monitor


class ModelCheckpoint(_Monitor):
    """Saves the model after epochs, or every so many batches (Keras's).

    A file is written beside its final place and renamed: after a crash the old one or the new one
    is there, complete.

    Args:
        filepath: of the file; `{epoch}` (from 1), `{batch}` (from 1) and names of the logs in it
            are filled in, as in "{epoch:02d}-{val_loss:.2f}.weights.h5".
        monitor: name in the logs of what has to improve; "val_loss" by default.
        verbose: 1 prints what is saved; 0 by default.
        save_best_only: whether to save only when the value has improved.
        save_weights_only: whether to save the weights and the optimizer's state, in a file whose
            name ends in .weights.h5, or the whole model (default), in one that ends in .keras.
        mode: "min", "max", or "auto" (default), which knows the loss and the model's metrics.
        save_freq: "epoch" (default), or a number of batches.
        initial_value_threshold: what the value must be better than at first.

    Raises:
        ValueError: for a name that does not end as it must, or another save_freq.
    """

    def __init__(
        self,
        filepath: str | os.PathLike[str],
        monitor: str = "val_loss",
        verbose: int = 0,
        save_best_only: bool = False,
        save_weights_only: bool = False,
        mode: str = "auto",
        save_freq: str | int = "epoch",
        initial_value_threshold: float | None = None,
    ) -> None:
        super().__init__(monitor, mode, 0.0)
        self.filepath = os.fspath(filepath)
        ending = ".weights.h5" if save_weights_only else ".keras"
        if not self.filepath.endswith(ending):
            raise ValueError(
                f"ModelCheckpoint: with save_weights_only={save_weights_only} the file's name must "
                f"end in {ending}, got {self.filepath!r}"
            )
        checked_frequency("ModelCheckpoint", save_freq)
        self.verbose = verbose
        self.save_best_only = save_best_only
        self.save_weights_only = save_weights_only
        self.save_freq = save_freq
        self.best = initial_value_threshold
        self._epoch = 0
        self._batches = 0
        if save_freq != "epoch":  # else no batch has to come back to Python
            self.on_train_batch_end = self._count_batch  # type: ignore[method-assign]

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        self._epoch = epoch

    def _count_batch(self, batch: int, logs: Logs | None = None) -> None:
        self._batches += 1
        if self._batches == self.save_freq:
            self._batches = 0
            self._save(self._epoch, batch, logs or {})

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        if self.save_freq == "epoch":
            self._save(epoch, None, logs or {})

    def _save(self, epoch: int, batch: int | None, logs: Logs) -> None:
        path = self._path(epoch, batch, logs)
        if self.save_best_only and not self._has_improved(epoch, logs, path):
            return
        if self.verbose and not self.save_best_only:
            print(f"\nEpoch {epoch + 1}: saving model to {path}")
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        if self.save_weights_only:
            self.model.save_weights(path, overwrite=True)
        else:
            self.model.save(path, overwrite=True)

    def _has_improved(self, epoch: int, logs: Logs, path: str) -> bool:
        value: Any = logs.get(self.monitor)
        if value is None:
            warnings.warn(
                f"ModelCheckpoint: can save the best only with {self.monitor!r} available; there "
                f"is {', '.join(logs)}",
                stacklevel=2,
            )
            return True
        before = "None" if self.best is None else f"{self.best:.5f}"
        better = self._improves(value, self.best)
        if self.verbose:
            outcome = f"to {value:.5f}, saving model to {path}" if better else ""
            verb = "improved" if better else "did not improve"
            print(f"\nEpoch {epoch + 1}: {self.monitor} {verb} from {before} {outcome}".rstrip())
        if better:
            self.best = value
        return better

    def _path(self, epoch: int, batch: int | None, logs: Logs) -> str:
        given = {"epoch": epoch + 1, **logs}
        if batch is not None:
            given["batch"] = batch + 1
        try:
            return self.filepath.format(**given)
        except KeyError as error:
            raise KeyError(
                f"ModelCheckpoint: {self.filepath!r} names {error}, which is not among "
                f"{', '.join(given)}"
            ) from None
