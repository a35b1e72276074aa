"""Preparing arrays: one-hot rows, vectors of length 1, sequences of one length, splits."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from graphc.random import next_seed


def to_categorical(x: ArrayLike, num_classes: int | None = None) -> np.ndarray:
    """One-hot rows for class numbers (`keras.utils.to_categorical`).

    Args:
        x: class numbers of any shape, cast to int64; a last axis of length 1 is dropped.
        num_classes: length of the rows; the largest class number plus one by default.

    Returns:
        A float64 array of shape `x.shape + (num_classes,)`: 1 at the class, 0 elsewhere.

    Raises:
        ValueError: for a class outside 0 .. num_classes - 1. (In Keras a negative one silently
            counts from the end.)
    """
    classes = np.asarray(x).astype(np.int64)
    if classes.ndim > 1 and classes.shape[-1] == 1:
        classes = classes[..., 0]
    if not num_classes:
        if classes.size == 0:
            raise ValueError("Argument `num_classes` is needed, as `x` is empty.")
        num_classes = int(classes.max()) + 1
    wrong = classes[(classes < 0) | (classes >= num_classes)]
    if wrong.size:
        raise ValueError(
            f"Argument `x`: expected class numbers from 0 to {num_classes - 1}, "
            f"received {wrong[0]}."
        )
    one_hot = np.zeros((*classes.shape, num_classes))
    np.put_along_axis(one_hot, classes[..., None], 1.0, axis=-1)
    return one_hot


def normalize(x: ArrayLike, axis: int = -1, order: float = 2) -> np.ndarray:
    """Divides the vectors along an axis by their norms (`keras.utils.normalize`).

    Args:
        x: array of numbers.
        axis: the axis along which a vector lies. (Keras 3.15 gets 0 wrong: it divides along
            the last axis by the norms of the first.)
        order: the norm, as in `numpy.linalg.norm`: 1, 2 (default), `numpy.inf` ...

    Returns:
        A new floating-point array of the same shape; vectors of norm 0 stay 0.
    """
    array = np.asarray(x)
    norm = np.linalg.norm(array, order, axis, keepdims=True)
    return np.asarray(array / np.where(norm == 0, 1, norm))


def pad_sequences(
    sequences: Sequence[Any],
    maxlen: int | None = None,
    dtype: DTypeLike = "int32",
    padding: str = "pre",
    truncating: str = "pre",
    value: float | str = 0.0,
) -> np.ndarray:
    """Sequences of different lengths as one array (`keras.utils.pad_sequences`).

    Args:
        sequences: list of lists or arrays, (length, ...) each.
        maxlen: the length of all; by default that of the longest.
        dtype: of the array, "int32" by default; `object` for strings of any length.
        padding: where shorter ones are filled, "pre" (default) or "post".
        truncating: where longer ones lose elements, "pre" (default) or "post".
        value: what fills; 0 by default.

    Returns:
        An array (len(sequences), maxlen, ...).

    Raises:
        ValueError: for what is no list of sequences, an empty one, elements of different shapes,
            a `maxlen` of 0, another `padding` or `truncating`, and a string as value without a
            dtype for it.
    """
    for name, side in (("padding", padding), ("truncating", truncating)):
        if side not in ("pre", "post"):
            raise ValueError(f"pad_sequences: {name} must be 'pre' or 'post', got {side!r}")
    if not hasattr(sequences, "__len__"):
        raise ValueError(f"pad_sequences: expected a list of sequences, got {sequences!r}")
    for at, sequence in enumerate(sequences):
        if not hasattr(sequence, "__len__"):
            raise ValueError(f"pad_sequences: sequence {at} is none: {sequence!r}")
    if maxlen is not None and maxlen < 1:
        raise ValueError(f"pad_sequences: maxlen must be at least 1, got {maxlen!r}")
    if isinstance(value, str) and np.dtype(dtype).kind not in "OSU":
        raise ValueError(f"pad_sequences: value {value!r} needs dtype=object, got {dtype!r}")
    if maxlen is None and not len(sequences):
        raise ValueError("pad_sequences: there are no sequences to take a length from")
    longest = max(map(len, sequences)) if maxlen is None else maxlen
    shape = next((np.shape(s)[1:] for s in sequences if len(s)), ())
    padded = np.full((len(sequences), longest, *shape), value, dtype)
    for at, sequence in enumerate(sequences):
        kept = np.asarray(sequence[-longest:] if truncating == "pre" else sequence[:longest], dtype)
        if len(kept) and kept.shape[1:] != shape:
            raise ValueError(
                f"pad_sequences: elements of sequence {at} have shape {kept.shape[1:]}, those "
                f"before it {shape}"
            )
        if len(kept):
            padded[at, slice(len(kept)) if padding == "post" else slice(-len(kept), None)] = kept
    return padded


def split_dataset(
    dataset: Any,
    left_size: float | None = None,
    right_size: float | None = None,
    shuffle: bool = False,
    seed: int | None = None,
) -> tuple[Any, Any]:
    """Cuts arrays in two (`keras.utils.split_dataset`).

    Args:
        dataset: an array, or a tuple or list of arrays with the same number of rows.
        left_size: rows of the left part: an int, or as a float their share; by default what the
            right part leaves.
        right_size: the same for the right part. One of the two is needed.
        shuffle: whether to shuffle the rows before; False by default.
        seed: of the shuffle: the same order as in Keras. (Keras seeds Python's generator with it.)

    Returns:
        The left and the right part: arrays, or tuples of arrays. (Keras returns data sets of
        TensorFlow or PyTorch.)

    Raises:
        TypeError: for anything but arrays, and sizes that are no numbers.
        ValueError: for arrays of different lengths, and sizes that do not fit.
    """
    arrays = list(dataset) if isinstance(dataset, (tuple, list)) else [dataset]
    for at, array in enumerate(arrays):
        if not isinstance(array, np.ndarray) or not array.ndim:
            raise TypeError(
                f"split_dataset: expected arrays, got {type(array).__name__} at place {at}"
            )
    lengths = [len(array) for array in arrays]
    if len(set(lengths)) != 1:
        raise ValueError(f"split_dataset: expected arrays of the same length, got {lengths}")
    left, right = _split_sizes(left_size, right_size, lengths[0])
    if shuffle:
        order = list(range(lengths[0]))
        random.Random(next_seed() if seed is None else seed).shuffle(order)
        arrays = [array[order] for array in arrays]
    parts = [array[:left] for array in arrays], [array[-right:] for array in arrays]
    if isinstance(dataset, np.ndarray):
        return parts[0][0], parts[1][0]
    return tuple(parts[0]), tuple(parts[1])


def _split_sizes(left: float | None, right: float | None, rows: int) -> tuple[int, int]:
    if left is None and right is None:
        raise ValueError("split_dataset: left_size or right_size is needed")
    counts: list[int | None] = []
    for name, size in (("left_size", left), ("right_size", right)):
        if size is not None and (isinstance(size, bool) or not isinstance(size, (int, float))):
            raise TypeError(f"split_dataset: {name} must be an int or a float, got {size!r}")
        if size is not None and not 0 < size < (rows if isinstance(size, int) else 1):
            raise ValueError(
                f"split_dataset: {name} must be an int from 1 to {rows - 1}, or a float between 0 "
                f"and 1, got {size!r}"
            )
        counts.append(round(size * rows) if isinstance(size, float) else size)
    first, second = counts
    if first is None:
        assert second is not None
        first = rows - second
    if second is None:
        second = rows - first
    if first + second > rows:
        raise ValueError(
            f"split_dataset: left_size {left!r} and right_size {right!r} are more than all "
            f"{rows} rows"
        )
    if not first or not second:
        raise ValueError(
            f"split_dataset: left_size {left!r} and right_size {right!r} leave one part of "
            f"{rows} rows empty"
        )
    return first, second


# What Keras knows.
_DTYPES = frozenset({
    "bool", "uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64", "bfloat16",
    "float8_e4m3fn", "float8_e5m2", "float16", "float32", "float64", "complex64", "complex128",
    "string",
})  # fmt: skip
_PYTHON_DTYPES = {bool: "bool", int: "int32", float: "float32", str: "string"}


def standardize_dtype(dtype: Any) -> str:
    """The name of a dtype of NumPy, Python, JAX or PyTorch (`keras.utils.standardize_dtype`).

    Args:
        dtype: a name, a type, or what has it as its name; None for "float32". As in Keras, Python's
            int is "int32" and its float "float32".

    Raises:
        ValueError: for what Keras has no dtype of.
    """
    known = _PYTHON_DTYPES.get(dtype) if isinstance(dtype, type) else None
    if dtype is None or known is not None:
        return known or "float32"
    name = getattr(dtype, "name", None) or getattr(dtype, "__name__", None) or str(dtype)
    name = str(name).rpartition(".")[2]  # "torch.float32"
    if name not in _DTYPES:
        raise ValueError(f"dtype: expected one of {', '.join(sorted(_DTYPES))}, got {dtype!r}")
    return name
