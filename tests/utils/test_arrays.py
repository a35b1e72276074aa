"""One-hot rows, normalised vectors, padded sequences and splits, as Keras makes them."""

import random
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from graphc.utils import (
    normalize,
    pad_sequences,
    set_random_seed,
    split_dataset,
    standardize_dtype,
    to_categorical,
)


def test_to_categorical() -> None:
    expected = [[0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]
    np.testing.assert_array_equal(to_categorical([1, 2]), expected)
    np.testing.assert_array_equal(to_categorical([[1], [2]]), expected)
    np.testing.assert_array_equal(to_categorical([1.0, 2.9]), expected)  # Keras truncates as well
    assert to_categorical([[0, 1], [1, 0]], 4).shape == (2, 2, 4)
    assert to_categorical(1).tolist() == [0.0, 1.0]
    assert to_categorical([], 3).shape == (0, 3)


def test_to_categorical_names_the_wrong_class() -> None:
    with pytest.raises(ValueError, match="from 0 to 2, received 3"):
        to_categorical([0, 3], 3)
    with pytest.raises(ValueError, match="received -1"):
        to_categorical([0, -1])
    with pytest.raises(ValueError, match="`num_classes` is needed"):
        to_categorical([])


def test_normalize() -> None:
    x = np.array([[3.0, 4.0], [0.0, 0.0]])
    np.testing.assert_allclose(normalize(x), [[0.6, 0.8], [0.0, 0.0]])
    np.testing.assert_allclose(normalize(x, order=1), [[3 / 7, 4 / 7], [0.0, 0.0]])
    # Keras 3.15 takes axis 0 for -1.
    np.testing.assert_allclose(normalize([[3, 1], [4, 0]], axis=0), [[0.6, 1.0], [0.8, 0.0]])


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, [[0, 0, 1], [0, 2, 3], [4, 5, 6]]),
        ({"maxlen": 2}, [[0, 1], [2, 3], [5, 6]]),
        ({"maxlen": 2, "truncating": "post"}, [[0, 1], [2, 3], [4, 5]]),
        ({"padding": "post", "value": -1}, [[1, -1, -1], [2, 3, -1], [4, 5, 6]]),
        ({"maxlen": 4, "dtype": "float64", "value": 0.5}, [[0.5] * 3 + [1], [0.5, 0.5, 2, 3],
                                                           [0.5, 4, 5, 6]]),
    ],
)  # fmt: skip
def test_pad_sequences(options: dict[str, Any], expected: list[list[float]]) -> None:
    padded = pad_sequences([[1], [2, 3], [4, 5, 6]], **options)
    assert padded.tolist() == expected
    assert padded.dtype == options.get("dtype", "int32")


def test_pad_sequences_of_other_things() -> None:
    vectors = [np.ones((1, 2)), [], np.full((2, 2), 3.9)]
    assert pad_sequences(vectors).tolist() == [[[0, 0], [1, 1]], [[0, 0], [0, 0]], [[3, 3], [3, 3]]]
    words = pad_sequences([["a"], ["bc", "d"]], dtype=object, value="")
    assert words.tolist() == [["", "a"], ["bc", "d"]]


@pytest.mark.parametrize(
    ("sequences", "options", "message"),
    [
        (3, {}, "expected a list of sequences, got 3"),
        ([[1], 2], {}, "sequence 1 is none: 2"),
        ([], {}, "there are no sequences to take a length from"),
        ([[1]], {"padding": "left"}, "padding must be 'pre' or 'post', got 'left'"),
        ([[1]], {"truncating": "left"}, "truncating must be 'pre' or 'post', got 'left'"),
        ([[1]], {"maxlen": 0}, "maxlen must be at least 1, got 0"),
        ([["a"]], {"value": "b"}, "value 'b' needs dtype=object, got 'int32'"),
        ([[[1, 2]], [[3]]], {}, r"of sequence 1 have shape \(1,\), those before it \(2,\)"),
    ],
)
def test_pad_sequences_errors(sequences: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        pad_sequences(sequences, **options)


def test_split_dataset() -> None:
    x, y = np.arange(20).reshape(10, 2), np.arange(10)
    left, right = split_dataset(x, left_size=0.75)  # round(7.5) is 8
    assert (left.tolist(), right.tolist()) == (x[:8].tolist(), x[8:].tolist())
    (x_left, y_left), (x_right, y_right) = split_dataset([x, y], 2, right_size=3)
    assert (y_left.tolist(), y_right.tolist()) == ([0, 1], [7, 8, 9])
    assert (x_left[:, 0] == 2 * y_left).all() and (x_right[:, 0] == 2 * y_right).all()


def test_split_dataset_shuffles_as_keras() -> None:
    y = np.arange(10)
    before = random.getstate()
    left, right = split_dataset(y, right_size=4, shuffle=True, seed=3)
    assert random.getstate() == before
    random.seed(3)
    order = list(range(10))
    random.shuffle(order)
    assert [*left, *right] == order
    parts = []
    for _ in range(2):
        set_random_seed(5)
        parts.append(split_dataset(y, 3, shuffle=True)[0].tolist())
    assert parts[0] == parts[1]


@pytest.mark.parametrize(
    ("dataset", "sizes", "message"),
    [
        ([1, 2], (1, None), "expected arrays, got int at place 0"),
        (np.zeros(4), ("1", None), "left_size must be an int or a float, got '1'"),
        ([np.zeros(4), np.zeros(3)], (1, None), r"of the same length, got \[4, 3\]"),
        (np.zeros(4), (None, None), "left_size or right_size is needed"),
        (np.zeros(4), (None, 4), "right_size must be an int from 1 to 3, or a float .* got 4"),
        (np.zeros(4), (1.0, None), r"left_size must be .* got 1\.0"),
        (np.zeros(4), (3, 2), "left_size 3 and right_size 2 are more than all 4 rows"),
        (np.zeros(4), (0.1, None), r"left_size 0\.1 and right_size None leave one part of 4 rows"),
    ],
)
def test_split_dataset_errors(dataset: Any, sizes: tuple[Any, Any], message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        split_dataset(dataset, *sizes)


@pytest.mark.parametrize(
    ("dtype", "name"),
    [
        (None, "float32"), (int, "int32"), (float, "float32"), (bool, "bool"), (str, "string"),
        ("float16", "float16"), (np.int64, "int64"), (np.dtype("uint8"), "uint8"),
        (SimpleNamespace(__name__="bfloat16"), "bfloat16"),
    ],
)  # fmt: skip
def test_dtypes_have_keras_names(dtype: Any, name: str) -> None:
    assert standardize_dtype(dtype) == name


@pytest.mark.parametrize("dtype", ["float3", list, 7, np.dtype("U3")])
def test_other_dtypes_are_refused(dtype: Any) -> None:
    with pytest.raises(ValueError, match="dtype: expected one of bfloat16, bool"):
        standardize_dtype(dtype)
