"""PyDataset, windows on a series, and batches packed and unpacked."""

from itertools import islice
from typing import Any

import numpy as np
import pytest

from graphc.utils import (
    PyDataset,
    Sequence,
    pack_x_y_sample_weight,
    timeseries_dataset_from_array,
    unpack_x_y_sample_weight,
)  # fmt: skip


def test_a_dataset_is_iterated_by_its_number_of_batches() -> None:
    class Squares(PyDataset):
        def __getitem__(self, index: int) -> int:
            return index**2

    class Finite(Squares):
        def __len__(self) -> int:
            return 3

    class Endless(Squares):
        num_batches = None  # type: ignore[assignment]

    assert Sequence is PyDataset
    assert Finite(workers=4, use_multiprocessing=True, max_queue_size=2).workers == 4
    assert list(Finite()) == [0, 1, 4]
    assert list(islice(Endless(), 5)) == [0, 1, 4, 9, 16]
    with pytest.raises(NotImplementedError, match="Squares must define __len__ or num_batches"):
        list(Squares())
    with pytest.raises(NotImplementedError, match="PyDataset must define __getitem__"):
        PyDataset()[0]


def test_packing() -> None:
    assert unpack_x_y_sample_weight("x") == ("x", None, None)
    for batch in (("x",), ["x", "y"], ("x", "y", "w")):
        assert unpack_x_y_sample_weight(batch) == (*batch, None, None)[:3]
    with pytest.raises(ValueError, match=r"\(x, y, sample_weight\), got a tuple of 4"):
        unpack_x_y_sample_weight((1, 2, 3, 4))
    assert pack_x_y_sample_weight("x") == "x"
    assert pack_x_y_sample_weight(["a", "b"]) == (["a", "b"],)
    assert pack_x_y_sample_weight("x", "y") == ("x", "y")
    assert pack_x_y_sample_weight("x", "y", "w") == ("x", "y", "w")


def test_windows() -> None:
    """The example of Keras's documentation, and targets beside them."""
    batches = timeseries_dataset_from_array(
        np.arange(99), None, 10, sampling_rate=2, sequence_stride=3, batch_size=20
    )
    assert [len(batch) for batch in batches] == [20, 7]
    windows = np.concatenate(list(batches))
    np.testing.assert_array_equal(
        windows, 3 * np.arange(27)[:, None] + 2 * np.arange(10)
    )  # the last one ends at 96, so that one at 81 would not fit
    data = np.arange(20.0).reshape(10, 2)
    batches = timeseries_dataset_from_array(
        data[:-3], data[3:, 0], 3, batch_size=None, start_index=1, end_index=6
    )
    assert len(batches) == 3
    for at, (window, target) in enumerate(batches):
        np.testing.assert_array_equal(window, data[1 + at : 4 + at])
        assert target == data[4 + at, 0]


def test_windows_are_shuffled_anew_each_epoch() -> None:
    def epochs(seed: int) -> list[list[int]]:
        batches = timeseries_dataset_from_array(
            np.arange(12), np.arange(12), 2, batch_size=4, shuffle=True, seed=seed
        )
        found = []
        for _ in range(2):
            for windows, targets in batches:
                np.testing.assert_array_equal(windows[:, 0], targets)
            found.append(np.concatenate([targets for _, targets in batches]).tolist())
            batches.on_epoch_end()
        return found

    first, second = epochs(1)
    assert sorted(first) == sorted(second) == list(range(11))
    assert first != second
    assert epochs(1) == [first, second]
    assert epochs(2) != [first, second]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"start_index": 10}, "must be a part of the 10 steps of data, got 10 and None"),
        ({"start_index": 4, "end_index": 4}, "got 4 and 4"),
        ({"end_index": 11}, "got None and 11"),
        ({"sequence_stride": 0}, "sequence_stride must be at least 1, got 0"),
        ({"sampling_rate": 5}, "of 3 steps at sampling_rate 5 does not fit in 10 steps"),
    ],
)
def test_windows_that_do_not_fit(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        timeseries_dataset_from_array(np.arange(10), None, 3, **options)
