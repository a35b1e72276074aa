"""Training that goes on after a crash."""

from __future__ import annotations

import contextlib
import copy
import os
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from .callback import Callback, Logs


class BackupAndRestore(Callback):
    """Backs a run of `fit` up, so that the same script goes on when it is started again (Keras's).

    The run ends with the same bits and the same `History` as one that was not broken off: besides
    the weights and the optimizer's state, the backup has the states of random numbers and of the
    shuffling, the metrics' values so far, the place within the epoch, the history, and what the
    other callbacks have counted (Keras's has none of these). A generator is not rewound: in the
    epoch that goes on, the batches that were done are skipped.

    It is called after the other callbacks of a run, wherever it stands among them.

    Processes that run the same script side by side may have one folder: each file in it is whole,
    and of one of them, from which the others too may go on.

    Args:
        backup_dir: folder for the backup, made when needed, and for nothing else.
        save_freq: "epoch" (default), or a number of batches.
        double_checkpoint: whether the backup before the last is kept too, in case the last is
            damaged; False by default.
        delete_checkpoint: whether the backup is deleted when training is finished; True by default.

    Raises:
        ValueError: for an empty backup_dir, or another save_freq; when training begins, for a
            model without weights yet, or a backup of another model.
    """

    def __init__(
        self,
        backup_dir: str | os.PathLike[str],
        save_freq: str | int = "epoch",
        double_checkpoint: bool = False,
        delete_checkpoint: bool = True,
    ) -> None:
        super().__init__()
        if not os.fspath(backup_dir):
            raise ValueError("BackupAndRestore: backup_dir must not be empty")
        checked_frequency("BackupAndRestore", save_freq)
        self.backup_dir = backup_dir
        self.save_freq = save_freq
        self.double_checkpoint = double_checkpoint
        self.delete_checkpoint = delete_checkpoint
        self._path = Path(backup_dir) / "latest.weights.h5"
        self._before = Path(backup_dir) / "latest.weights.h5.bkp"
        self.others: list[Callback] = []  # the other callbacks of the run
        self._first: dict[str, dict[str, Any]] = {}  # their states when it began, by name
        self._note: dict[str, Any] = {}  # what the run goes on from
        self._saved: tuple[int, int] | None = None  # which file this run wrote last
        self._epoch = 0
        self._shuffles = 0  # before this epoch
        self._batches = 0
        if save_freq != "epoch":  # else no batch has to come back to Python
            self.on_train_batch_end = self._count_batch  # type: ignore[method-assign]

    def on_train_begin(self, logs: Logs | None = None) -> None:
        if not self.model.built:
            raise ValueError(
                f"BackupAndRestore: model {self.model.name!r} must be built before fit: give its "
                "first layer an input_shape, or call it on data"
            )
        self._saved = None
        self._first = {name: copy.deepcopy(_state(other)) for name, other in self._named().items()}
        self._note = self._restored()
        if self._note:
            epoch = self.params["epochs"] if self._note["stopped"] else self._note["epoch"]
            place = (self._note[name] for name in ("batches", "logs", "shuffles"))
            self.model.resume_at(epoch, *place)

    def _named(self) -> dict[str, Callback]:
        """The other callbacks by class and number; a script may add ones of other classes."""
        counts: Counter[str] = Counter()
        named = {}
        for other in self.others:
            kind = type(other).__name__
            named[f"{kind} {counts[kind]}"] = other
            counts[kind] += 1
        return named

    def _restored(self) -> dict[str, Any]:
        """The note of the last backup whose state could be put back; empty if there is none."""
        there = [path for path in (self._path, self._before) if path.exists()]
        for path in there:
            try:
                note: dict[str, Any] = self.model.load_training_state(path)
                for name, other in self._named().items():
                    vars(other).update(note["others"].get(name, {}))
                return note
            except FileNotFoundError:  # another process has ended, and deleted it
                continue
            except ValueError:
                if path is there[-1]:
                    raise
        return {}

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        self._epoch = epoch
        self._shuffles = self.model.shuffles
        if self._note.get("batches") and epoch == self._note["epoch"]:
            # Other callbacks have begun the epoch once more: what they changed is put back.
            self._restored()

    def _count_batch(self, batch: int, logs: Logs | None = None) -> None:
        self._batches += 1
        if self._batches == self.save_freq:
            self._batches = 0
            self._save(self._epoch, batch + 1, self._shuffles, logs)

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        if self.save_freq == "epoch":
            self._save(epoch + 1, 0, self.model.shuffles, None)

    def _save(self, epoch: int, batches: int, shuffles: int, logs: Logs | None) -> None:
        changed = {}
        for name, other in self._named().items():
            first = self._first[name]
            changed[name] = {k: v for k, v in _state(other).items() if not _same(v, first.get(k))}
        note = {
            "epoch": epoch, "batches": batches, "shuffles": shuffles, "logs": logs or {},
            "others": changed, "stopped": self.model.stop_training,
        }  # fmt: skip
        if self.double_checkpoint:
            with contextlib.suppress(FileNotFoundError):
                os.replace(self._path, self._before)
        self._write(note)
        self._saved = self._latest()

    def _write(self, note: dict[str, Any]) -> None:
        while True:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            try:
                return self.model.save_training_state(self._path, note)  # type: ignore[no-any-return]
            except FileNotFoundError:
                if self._path.parent.exists():
                    raise
                # Another process has ended just now, and taken the folder away.

    def _latest(self) -> tuple[int, int] | None:
        """Which file the last backup is, of this process or of another one."""
        try:
            status = self._path.stat()
        except FileNotFoundError:
            return None
        return status.st_ino, status.st_mtime_ns

    def on_train_end(self, logs: Logs | None = None) -> None:
        others = self._saved is not None and self._latest() not in (None, self._saved)
        if not self.delete_checkpoint or others:
            return
        for path in (self._path, self._before):
            path.unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # there is something else in it
            self._path.parent.rmdir()


def _state(callback: Callback) -> dict[str, Any]:
    """What a callback has in numbers, texts and arrays, in lists and dicts."""
    own = {name: value for name, value in vars(callback).items() if name != "params"}
    return {name: value for name, value in own.items() if _is_data(value)}


def _is_data(value: Any) -> bool:
    if isinstance(value, dict):
        return all(isinstance(key, str) and _is_data(part) for key, part in value.items())
    if isinstance(value, list):
        return all(map(_is_data, value))
    kinds = (bool, int, float, str, np.ndarray, np.number)
    return value is None or isinstance(value, kinds)


def _same(one: Any, other: Any) -> bool:
    """Whether data has not changed; what has not, a script gives its callbacks anew."""
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(_same(one[key], other[key]) for key in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(_same, one, other))
    numbers = isinstance(one, (float, np.floating, np.ndarray))
    return np.array_equal(one, other, equal_nan=True) if numbers else bool(one == other)


def checked_frequency(owner: str, save_freq: object) -> None:
    """Refuses a `save_freq` that is neither "epoch" nor a number of batches."""
    if save_freq != "epoch" and (not isinstance(save_freq, int) or save_freq < 1):
        raise ValueError(
            f"{owner}: save_freq must be 'epoch' or an int of at least 1, got {save_freq!r}"
        )
