"""Training that goes on after a crash."""

from __future__ import annotations

import contextlib
import copy
import os
from collections import Counter
from pathlib import Path
from typing import Any, Protocol

from .callback import Callback, Logs
from .states import changed, generators, put_back, put_back_generators, state


class Feed(Protocol):
    """Data of a run that comes batch by batch."""

    def begin(self) -> None:
        """Begins an epoch, which would otherwise begin with its first batch."""

    def remember(self) -> None:
        """Keeps in mind what its source is like when the run begins."""

    def state(self) -> dict[str, Any]:
        """Its place, and what has changed in its source since then."""

    def go_on(self, kept: dict[str, Any]) -> None:
        """Goes on from what `state` gave."""


class BackupAndRestore(Callback):
    """Backs a run of `fit` up, so that the same script goes on when it is started again (Keras's).

    The run ends with the same bits and the same `History` as one that was not broken off: besides
    the weights and the optimizer's state, the backup has the states of recurrent layers, of random
    numbers (NumPy's and Python's too) and of the shuffling, the metrics' values so far, the place
    within the epoch, the history, and what the other callbacks and indexed data sets have counted:
    their attributes that are numbers, texts, arrays of numbers, and generators of random numbers
    (Keras's has none of these). Iterators are not rewound: in the epoch that goes on, the batches
    that were done are skipped.

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
        self.feeds: dict[str, Feed] = {}  # its data that come batch by batch: training, validation
        self._first: dict[str, dict[str, Any]] = {}  # the callbacks' states when it began, by name
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
        for feed in self.feeds.values():
            feed.remember()
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
                    put_back(other, note["others"].get(name, {}))
                for name, feed in self.feeds.items():
                    feed.go_on(note["feeds"][name])
                put_back_generators(note["generators"])
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
            # The epoch has begun once more: what that changed is put back.
            if "training" in self.feeds:
                self.feeds["training"].begin()
            self._restored()

    def _count_batch(self, batch: int, logs: Logs | None = None) -> None:
        self._batches += 1
        if self._batches == self.save_freq:
            self._batches = 0
            # A feed keeps its order; the one of arrays is made again when the epoch goes on.
            shuffles = self.model.shuffles if "training" in self.feeds else self._shuffles
            self._save(self._epoch, batch + 1, shuffles, logs)

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        if self.save_freq == "epoch":
            self._save(epoch + 1, 0, self.model.shuffles, None)

    def _save(self, epoch: int, batches: int, shuffles: int, logs: Logs | None) -> None:
        others = {
            name: changed(self._first[name], _state(other)) for name, other in self._named().items()
        }
        note = {
            "epoch": epoch, "batches": batches, "shuffles": shuffles, "logs": logs or {},
            "others": others, "stopped": self.model.stop_training,
            "feeds": {name: feed.state() for name, feed in self.feeds.items()},
            "generators": generators(),
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
    return state(callback, apart=("params",))


def checked_frequency(owner: str, save_freq: object) -> None:
    """Refuses a `save_freq` that is neither "epoch" nor a number of batches."""
    if save_freq != "epoch" and (not isinstance(save_freq, int) or save_freq < 1):
        raise ValueError(
            f"{owner}: save_freq must be 'epoch' or an int of at least 1, got {save_freq!r}"
        )
