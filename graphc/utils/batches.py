"""Data that is made batch by batch."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import ArrayLike


class PyDataset:
    """Base of data sets that give batches by their number (`keras.utils.PyDataset`).

    One of one's own defines `__getitem__`, and `__len__` or `num_batches`; `fit`, `evaluate` and
    `predict` take it in the place of arrays. `fit` takes the batches in another order each epoch
    unless `shuffle=False`.

    Args:
        workers, use_multiprocessing, max_queue_size: how Keras makes batches ahead. graphc takes
            them and makes batches one after another, when they are needed.
    """

    def __init__(
        self, workers: int = 1, use_multiprocessing: bool = False, max_queue_size: int = 10
    ) -> None:
        self.workers = workers
        self.use_multiprocessing = use_multiprocessing
        self.max_queue_size = max_queue_size

    def __getitem__(self, index: int) -> Any:
        """A batch: x, (x,), (x, y) or (x, y, sample_weight)."""
        raise NotImplementedError(f"{type(self).__name__} must define __getitem__")

    def __iter__(self) -> Iterator[Any]:
        """The batches of an epoch in order; without end if there is no number of them."""
        count = self.num_batches
        for index in itertools.count() if count is None else range(count):
            yield self[index]

    @property
    def num_batches(self) -> int | None:
        """Number of batches of an epoch; None for endless data, of which `fit` takes
        `steps_per_epoch` batches at a time.
        """
        if hasattr(self, "__len__"):
            return len(self)
        raise NotImplementedError(f"{type(self).__name__} must define __len__ or num_batches")

    def on_epoch_begin(self) -> None:
        """Called before each epoch, evaluation and prediction."""

    def on_epoch_end(self) -> None:
        """Called after each epoch, evaluation and prediction."""


Sequence = PyDataset  # its name in Keras 2


def unpack_x_y_sample_weight(data: Any) -> tuple[Any, Any, Any]:
    """A batch as (x, y, sample_weight), None where it has none (Keras's).

    Args:
        data: x, or a tuple or list of one to three of them.

    Raises:
        ValueError: for a tuple or list of another length.
    """
    if not isinstance(data, (tuple, list)):
        return data, None, None
    if not 1 <= len(data) <= 3:
        raise ValueError(
            "expected a batch to be x, (x,), (x, y) or (x, y, sample_weight), got a "
            f"{type(data).__name__} of {len(data)}"
        )
    x, y, weight = (*data, None, None)[:3]
    return x, y, weight


def pack_x_y_sample_weight(x: Any, y: Any = None, sample_weight: Any = None) -> Any:
    """A batch as `fit` takes it: the inverse of `unpack_x_y_sample_weight` (Keras's)."""
    if y is None:
        return (x,) if isinstance(x, (tuple, list)) else x
    return (x, y) if sample_weight is None else (x, y, sample_weight)


class RowDataset(PyDataset):
    """Batches of rows that are made when they are needed; a class below says how.

    Args:
        count: number of rows.
        batch_size: rows of a batch; None for single rows.
        random: shuffles the rows before each epoch; None leaves them in order.
    """

    def __init__(
        self, count: int, batch_size: int | None, random: np.random.RandomState | None
    ) -> None:
        super().__init__()
        self._order = np.arange(count)
        self._batch_size = batch_size
        self._random = random
        self._shuffle()

    def rows(self, numbers: np.ndarray) -> Any:
        """The batch of the rows with these numbers, or for a scalar the row."""
        raise NotImplementedError(f"{type(self).__name__} must define rows")

    def __len__(self) -> int:
        return math.ceil(len(self._order) / (self._batch_size or 1))

    def __getitem__(self, index: int) -> Any:
        size = self._batch_size
        return self.rows(self._order[index] if size is None else self._order[index * size :][:size])

    def on_epoch_end(self) -> None:
        self._shuffle()

    def _shuffle(self) -> None:
        if self._random is not None:
            self._random.shuffle(self._order)


class _Windows(RowDataset):
    """Windows on a series; see `timeseries_dataset_from_array`."""

    def __init__(
        self,
        data: np.ndarray,
        targets: np.ndarray | None,
        starts: np.ndarray,
        offsets: np.ndarray,
        batch_size: int | None,
        random: np.random.RandomState | None,
    ) -> None:
        super().__init__(len(starts), batch_size, random)
        self._data, self._targets = data, targets
        self._starts, self._offsets = starts, offsets

    def rows(self, numbers: np.ndarray) -> Any:
        starts = self._starts[numbers]
        windows = self._data[starts[..., None] + self._offsets]
        return windows if self._targets is None else (windows, self._targets[starts])


def timeseries_dataset_from_array(
    data: ArrayLike,
    targets: ArrayLike | None,
    sequence_length: int,
    sequence_stride: int = 1,
    sampling_rate: int = 1,
    batch_size: int | None = 128,
    shuffle: bool = False,
    seed: int | None = None,
    start_index: int | None = None,
    end_index: int | None = None,
) -> PyDataset:
    """Windows sliding over a series (`keras.utils.timeseries_dataset_from_array`).

    Args:
        data: array (time, ...).
        targets: array (time, ...): `targets[i]` belongs to the window that starts at i; None for
            windows alone.
        sequence_length: steps of a window.
        sequence_stride: from the start of a window to that of the next; 1 by default.
        sampling_rate: from a step of a window to the next; 1 by default.
        batch_size: windows of a batch, 128 by default; None for single windows.
        shuffle: whether the windows come in another order each epoch; False by default.
        seed: of the shuffle.
        start_index, end_index: the part of the series to take, by default all of it.

    Returns:
        A `PyDataset` of batches: windows (batch, sequence_length, ...), or with targets pairs of
        windows and targets (batch, ...). (Keras returns a tf.data.Dataset or a Grain data set.)

    Raises:
        ValueError: for lengths and indices that the series is too short for.
    """
    series = np.asarray(data)
    start, end = start_index or 0, len(series) if end_index is None else end_index
    if not 0 <= start < end <= len(series):
        raise ValueError(
            f"start_index and end_index must be a part of the {len(series)} steps of data, got "
            f"{start_index!r} and {end_index!r}"
        )
    for name, value in (
        ("sequence_length", sequence_length),
        ("sequence_stride", sequence_stride),
        ("sampling_rate", sampling_rate),
    ):
        if value < 1:
            raise ValueError(f"{name} must be at least 1, got {value!r}")
    series = series[start:end]
    following = None if targets is None else np.asarray(targets)[start:end]
    count = len(series) - (sequence_length - 1) * sampling_rate
    if following is not None:
        count = min(count, len(following))
    if count < 1:
        raise ValueError(
            f"a window of {sequence_length} steps at sampling_rate {sampling_rate} does not fit in "
            f"{len(series)} steps"
        )
    return _Windows(
        series,
        following,
        np.arange(0, count, sequence_stride),
        np.arange(0, sequence_length * sampling_rate, sampling_rate),
        batch_size,
        np.random.RandomState(seed) if shuffle else None,
    )
