"""Data that comes batch by batch: generators, iterators, and objects such as Keras's PyDataset."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np

from .callbacks import CallbackList
from .data import Data, standardize_x
from .execution import Run
from .nonfinite import LossWatch


def comes_in_batches(x: object) -> bool:
    """Whether x gives batches rather than being an array, a list or a dict of arrays."""
    if isinstance(x, (np.ndarray, list, tuple, dict, str)) or x is None or hasattr(x, "dtype"):
        return False
    indexed = hasattr(x, "__getitem__") and hasattr(x, "__len__") and not hasattr(x, "to_numpy")
    return hasattr(x, "__next__") or indexed


class Batches:
    """Batches of x, (x, y) or (x, y, sample_weight).

    Args:
        source: an iterator, or an object with `__len__` and `__getitem__` (and `on_epoch_end`).
        steps: batches of an epoch; by default all there are.
        shuffle: whether an indexed source's batches come in another order each time.
    """

    def __init__(self, source: Any, steps: int | None, shuffle: bool = False) -> None:
        self.source = source
        self.indexed = not hasattr(source, "__next__")
        self.steps = steps if steps is not None or not self.indexed else len(source)
        self.shuffle = shuffle

    def __iter__(self) -> Iterator[tuple[Any, Any, Any]]:
        """One epoch."""
        given = self._from_index() if self.indexed else self.source
        count = 0
        while self.steps is None or count < self.steps:
            try:
                batch = next(given)
            except StopIteration:
                if self.steps is not None:
                    warnings.warn(
                        f"the data ended after {count} of {self.steps} batches; the generator must "
                        "give steps_per_epoch * epochs of them",
                        stacklevel=4,
                    )
                break
            count += 1
            parts = batch if isinstance(batch, tuple) else (batch,)
            yield (*parts, None, None)[:3]
        if hasattr(self.source, "on_epoch_end"):
            self.source.on_epoch_end()

    def _from_index(self) -> Iterator[Any]:
        order = np.arange(len(self.source))
        for at in np.random.permutation(order) if self.shuffle else order:
            yield self.source[int(at)]


def train_epoch(
    model: Any, batches: Batches, calls: CallbackList, epoch: int, watch: LossWatch
) -> dict[str, Any]:
    """Trains on one epoch's batches; the logs at its end."""
    model.reset_metrics()
    logs: dict[str, Any] = {}
    for step, (x, y, weight) in enumerate(batches):
        data = model.checked("fit", x, y, weight)
        calls.on_train_batch_begin(step)
        run = Run(model.program("train", data), data, np.arange(data.rows))
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
    calls.on_test_begin()
    logs: dict[str, Any] = {}
    for step, (x, y, weight) in enumerate(batches):
        data = model.checked("evaluate", x, y, weight)
        calls.on_test_batch_begin(step)
        logs, _ = Run(model.program("evaluate", data), data, None).go(0, 1, data.rows)
        calls.on_test_batch_end(step, logs)
        calls.on_chunk("test", step + 1, logs)
    if not logs:
        raise ValueError("evaluate: the generator gave no batch")
    calls.on_test_end(logs)
    return logs


def predict(model: Any, batches: Batches) -> list[np.ndarray]:
    """The outputs for all batches, one after another."""
    parts = []
    for x, _, _ in batches:
        data = Data(standardize_x(x, model.inputs, model.input_keys, model.name))
        run = Run(model.program("predict", data), data, None)
        run.go(0, 1, data.rows)
        parts.append([run.rows_out[f"output/{at}"] for at in range(len(model.outputs))])
    if not parts:
        raise ValueError("predict: the generator gave no batch")
    return [np.concatenate(arrays) for arrays in zip(*parts, strict=True)]
