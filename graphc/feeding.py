"""Data that comes batch by batch: generators, iterators, and objects such as Keras's PyDataset."""

from __future__ import annotations

import copy
import itertools
import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from .callbacks import CallbackList, states
from .data import Data, apply_class_weight, standardize_x
from .execution import Run
from .nonfinite import LossWatch
from .utils import PyDataset, unpack_x_y_sample_weight

# A larger array of a data set's is its data, not an order of them: bytes.
LARGEST_STATE = 16 << 20


def comes_in_batches(x: object) -> bool:
    """Whether x gives batches rather than being an array, a list or a dict of arrays."""
    if isinstance(x, (np.ndarray, list, tuple, dict, str)) or x is None or hasattr(x, "dtype"):
        return False
    indexed = hasattr(x, "__getitem__") and hasattr(x, "__len__") and not hasattr(x, "to_numpy")
    return hasattr(x, "__next__") or indexed or isinstance(x, PyDataset)


class Batches:
    """Batches of x, (x, y) or (x, y, sample_weight), epoch by epoch.

    With `steps` an epoch goes on where the last one ended; when the source's batches are used up,
    it ends, and the next one begins anew. Without, an epoch is all of the source.

    Args:
        method: "fit", "evaluate" or "predict", for messages.
        source: an iterator, or an object with `__getitem__`, and `num_batches` or `__len__` (and
            `on_epoch_begin`, `on_epoch_end`).
        steps: batches of an epoch; by default all there are.
        shuffled: gives so many numbers in an order, a new one each time, in which an indexed
            source's batches come; by default they come in theirs.
        class_weight: class number -> weight of its samples; for indexed sources.

    Raises:
        ValueError: for endless data without steps, and class weights for an iterator.
    """

    def __init__(
        self,
        method: str,
        source: Any,
        steps: int | None,
        shuffled: Callable[[int], np.ndarray] | None = None,
        class_weight: Mapping[int, float] | None = None,
    ) -> None:
        self.source = source
        self.indexed = not hasattr(source, "__next__")
        count = None
        if self.indexed:
            count = source.num_batches if hasattr(source, "num_batches") else len(source)
            if count is None and steps is None:
                name = "steps_per_epoch" if method == "fit" else "steps"
                raise ValueError(f"{method}: the data has no end; pass {name}")
        elif class_weight is not None:
            raise ValueError(
                f"{method}: class_weight is not for iterators; let them give sample weights"
            )
        self.count = count
        self.steps = count if steps is None else steps
        self.class_weight = class_weight
        self._shuffled = None if count is None else shuffled
        self._begun = False  # whether the source has begun the epoch to come
        self._first: dict[str, Any] = {}  # its state when the run began
        self.restart()

    def restart(self) -> None:
        """Makes the next epoch begin with an indexed source's first batch."""
        self._at = 0  # batches it has given since then
        self._order: np.ndarray | None = None  # in which it gives them, when it is not its own

    def begin(self) -> None:
        """Begins an epoch, which would otherwise begin with its first batch."""
        if hasattr(self.source, "on_epoch_begin"):
            self.source.on_epoch_begin()
        self._begun = True

    def epoch(self, done: int = 0) -> Iterator[tuple[Any, Any, Any]]:
        """One epoch.

        Args:
            done: how many batches of it the run made that this one goes on from.
        """
        if not self._begun:
            self.begin()
        self._begun = False
        if not self.indexed:
            done = sum(1 for _ in itertools.islice(self.source, done))
        while self.steps is None or done < self.steps:
            try:
                batch = self._next()
            except StopIteration:
                if self.steps is not None:
                    warnings.warn(
                        f"the data ended after {done} of {self.steps} batches; it must have "
                        "steps_per_epoch * epochs of them",
                        stacklevel=4,
                    )
                break
            done += 1
            yield unpack_x_y_sample_weight(batch)
        if self._at == self.count:
            self.restart()
        if hasattr(self.source, "on_epoch_end"):
            self.source.on_epoch_end()

    def _next(self) -> Any:
        if not self.indexed:
            return next(self.source)
        if self._at == self.count:
            raise StopIteration
        if self._shuffled is not None and self._order is None:
            assert self.count is not None
            self._order = self._shuffled(self.count)
        at = self._at if self._order is None else int(self._order[self._at])
        self._at += 1
        return self.source[at]

    # What `BackupAndRestore` asks of the data of a run.

    def remember(self) -> None:
        """Keeps in mind what the source is like when a run begins."""
        self._first = copy.deepcopy(self._source_state())

    def _source_state(self) -> dict[str, Any]:
        return states.state(self.source, largest=LARGEST_STATE) if self.indexed else {}

    def state(self) -> dict[str, Any]:
        """The place in the data, and what has changed in an indexed source since `remember`."""
        source = states.changed(self._first, self._source_state())
        return {"at": self._at, "order": self._order, "source": source}

    def go_on(self, kept: dict[str, Any]) -> None:
        """Goes on from what `state` gave."""
        self._at, self._order = kept["at"], kept["order"]
        states.put_back(self.source, kept["source"])


def train_epoch(
    model: Any, batches: Batches, calls: CallbackList, epoch: int, watch: LossWatch
) -> dict[str, Any]:
    """Trains on one epoch's batches; the logs at its end."""
    done: int
    logs: dict[str, Any]
    done, logs = model.begin_epoch(epoch)
    for step, (x, y, weight) in enumerate(batches.epoch(done), done):
        data = apply_class_weight(model.checked("fit", x, y, weight), batches.class_weight)
        calls.on_train_batch_begin(step)
        run = Run(model.program("train", data, data.rows), data, np.arange(data.rows))
        logs, losses = run.go(0, 1, data.rows)
        watch.look(losses, epoch, step)
        calls.on_train_batch_end(step, logs)
        calls.on_chunk("train", step + 1, logs)
        if model.stop_training:
            break
    if not logs:
        raise ValueError("fit: the generator gave no batch")
    return logs


def evaluate(model: Any, batches: Batches, calls: CallbackList) -> dict[str, Any]:
    """Loss and metrics over all batches."""
    model.reset_metrics()
    batches.restart()
    calls.on_test_begin()
    logs: dict[str, Any] = {}
    for step, (x, y, weight) in enumerate(batches.epoch()):
        data = model.checked("evaluate", x, y, weight)
        calls.on_test_batch_begin(step)
        logs, _ = Run(model.program("evaluate", data, data.rows), data, None).go(0, 1, data.rows)
        calls.on_test_batch_end(step, logs)
        calls.on_chunk("test", step + 1, logs)
    if not logs:
        raise ValueError("evaluate: the generator gave no batch")
    calls.on_test_end(logs)
    return logs


def predict(model: Any, batches: Batches) -> list[np.ndarray]:
    """The outputs for all batches, one after another."""
    parts = []
    for x, _, _ in batches.epoch():
        data = Data(standardize_x(x, model.inputs, model.input_keys, model.name))
        run = Run(model.program("predict", data, data.rows), data, None)
        run.go(0, 1, data.rows)
        parts.append([run.rows_out[f"output/{at}"] for at in range(len(model.outputs))])
    if not parts:
        raise ValueError("predict: the generator gave no batch")
    return [np.concatenate(arrays) for arrays in zip(*parts, strict=True)]
