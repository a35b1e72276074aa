"""User data: arrays checked against the model before anything runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .ir.types import DTYPES, Size, TensorType, short_dtype
from .layers.base import SymbolicTensor
from .tree import flatten

_KNOWN = set(DTYPES.values())


def as_array(value: object, name: str) -> np.ndarray:
    """A C-contiguous array of a dtype that programs take; a copy only when it has to be.

    Raises:
        TypeError: for object, string and other arrays that hold no numbers.
        ValueError: for no rows.
    """
    if value is None:
        raise ValueError(f"{name}: expected an array of numbers, got None")
    try:
        array = np.asarray(value)
    except ValueError:
        raise ValueError(f"{name}: the rows do not have one shape") from None
    if array.dtype in (np.float16, np.uint64):
        array = array.astype(np.float32 if array.dtype == np.float16 else np.int64)
    elif not array.dtype.isnative:
        array = array.astype(array.dtype.newbyteorder("="))
    if array.dtype not in _KNOWN:
        hint = "; rows of different lengths make such arrays" if array.dtype == object else ""
        got = f"dtype {array.dtype}{hint}" if array.ndim else f"a {type(value).__name__}"
        raise TypeError(f"{name}: expected an array of numbers, got {got}")
    if array.ndim == 0:
        raise ValueError(f"{name}: expected an array with one row a sample, got a scalar")
    if not array.shape[0]:
        raise ValueError(f"{name}: the data is empty: shape {array.shape}")
    return np.ascontiguousarray(array)


@dataclass
class Data:
    """Arrays of one length: model inputs, targets, sample weights."""

    x: list[np.ndarray]
    y: np.ndarray | None = None
    weight: np.ndarray | None = None

    @property
    def rows(self) -> int:
        return len(self.x[0])

    def arrays(self) -> dict[str, np.ndarray]:
        """By the names that programs give their inputs."""
        named = {f"x/{at}": array for at, array in enumerate(self.x)}
        if self.y is not None:
            named["y"] = self.y
        if self.weight is not None:
            named["sample_weight"] = self.weight
        return named

    def part(self, start: int, stop: int) -> Data:
        """Rows start to stop."""
        return Data(
            [a[start:stop] for a in self.x],
            None if self.y is None else self.y[start:stop],
            None if self.weight is None else self.weight[start:stop],
        )

    def types(self, leading: str) -> dict[str, TensorType]:
        """Each array's type, its first dimension a symbol."""
        return {
            name: TensorType(short_dtype(a.dtype), (Size((leading,)), *a.shape[1:]))
            for name, a in self.arrays().items()
        }


def select_inputs(
    x: Mapping[str, Any], inputs: Sequence[SymbolicTensor], keys: Sequence[str], model: str
) -> list[Any]:
    """A dict's values in the order of the model's inputs, by its keys or else the tensors' names.

    Raises:
        ValueError: when it has neither all keys nor all names.
    """
    for names in (keys, [t.name for t in inputs]):
        if all(name in x for name in names):
            return [x[name] for name in names]
    raise ValueError(f"x: model {model!r} has inputs {list(keys)}, got {sorted(map(str, x))}")


def standardize_x(
    x: object, inputs: Sequence[SymbolicTensor], keys: Sequence[str], model: str
) -> list[np.ndarray]:
    """The model's inputs as arrays, in the model's order.

    Args:
        x: an array, a list of arrays, or a dict of them by `keys`.

    Raises:
        ValueError: when number, rank or features are not what the model's inputs are.
    """
    parts: list[object]
    if isinstance(x, Mapping):
        parts = select_inputs(x, inputs, keys, model)
    elif len(inputs) > 1:
        if not isinstance(x, (list, tuple)) or len(x) != len(inputs):
            count = len(x) if isinstance(x, (list, tuple)) else "one array"
            raise ValueError(
                f"x: model {model!r} has {len(inputs)} inputs "
                f"({', '.join(t.name for t in inputs)}), got {count}"
            )
        parts = list(x)
    else:
        alone = isinstance(x, (list, tuple)) and len(x) == 1 and isinstance(x[0], np.ndarray)
        parts = [x[0] if alone else x]  # type: ignore[index]
    arrays = [
        _fit_input(as_array(part, f"x for input {t.name!r}" if len(inputs) > 1 else "x"), t)
        for part, t in zip(parts, inputs, strict=True)
    ]
    lengths = {t.name: len(a) for t, a in zip(inputs, arrays, strict=True)}
    if len(set(lengths.values())) > 1:
        raise ValueError(f"x: inputs must have the same number of rows, got {lengths}")
    return arrays


def _fit_input(array: np.ndarray, tensor: SymbolicTensor) -> np.ndarray:
    wanted = tensor.shape
    if array.ndim == len(wanted) - 1 and wanted[-1] == 1:
        array = array[..., None]
    fits = array.ndim == len(wanted) and all(
        w is None or w == g for w, g in zip(wanted, array.shape, strict=True)
    )
    if not fits:
        hint = ""
        size = int(np.prod([w or 1 for w in wanted[1:]]))
        if array.ndim == len(wanted) - 1 and array.shape == wanted[1:]:
            hint = "; for a single sample pass x[None]"
        elif array.ndim != len(wanted) and array[0].size == size:
            hint = f"; reshape it with x.reshape(len(x), {', '.join(map(str, wanted[1:]))})"
        raise ValueError(
            f"x: input {tensor.name!r} expects shape {wanted}, got {array.shape}{hint}"
        )
    return array


def standardize(
    x: object,
    y: object,
    sample_weight: object,
    inputs: Sequence[SymbolicTensor],
    keys: Sequence[str],
    model: str,
) -> Data:
    """Checked data for training and evaluation.

    Raises:
        ValueError: when lengths differ or shapes do not fit, naming the argument.
    """
    arrays = standardize_x(x, inputs, keys, model)
    data = Data(arrays)
    if y is None:
        raise ValueError("y: targets are needed to compute the loss, got None")
    if isinstance(y, (list, tuple)) and len(y) == 1 and isinstance(y[0], np.ndarray):
        y = y[0]
    data.y = as_array(y, "y")
    if len(data.y) != data.rows:
        raise ValueError(
            f"x and y must have the same number of rows, got {data.rows} and {len(data.y)}"
        )
    if sample_weight is not None:
        data.weight = as_array(sample_weight, "sample_weight")
        if len(data.weight) != data.rows:
            raise ValueError(
                f"sample_weight must have one weight for each of the {data.rows} rows of x, got "
                f"{len(data.weight)}"
            )
        data.weight = data.weight.astype(np.float32, copy=False)
    return data


def apply_class_weight(data: Data, class_weight: Mapping[int, float] | None) -> Data:
    """The data with each sample weighted as its class: the place of y's maximum, or y rounded.

    Raises:
        ValueError: when there are sample weights too, or more than one label a sample.
    """
    if class_weight is None or data.y is None:
        return data
    if data.weight is not None:
        raise ValueError(
            "class_weight and sample_weight cannot both be given; multiply the class's weight "
            "into sample_weight"
        )
    if not isinstance(class_weight, Mapping):
        raise ValueError(
            "class_weight must be a dict of class numbers and weights, got "
            f"{type(class_weight).__name__}"
        )
    for key, value in class_weight.items():
        number = isinstance(value, (int, float, np.number))
        if not isinstance(key, (int, np.integer)) or not number:
            raise ValueError(
                f"class_weight must map class numbers to weights, got {key!r}: {value!r}"
            )
    labels = data.y
    if labels.ndim > 1:
        labels = labels[..., 0] if labels.shape[-1] == 1 else labels.argmax(-1)
    if labels.ndim != 1:
        raise ValueError(f"class_weight needs one label a sample, got y of shape {data.y.shape}")
    classes, places = np.unique(np.round(labels).astype(np.int64), return_inverse=True)
    table = np.array([class_weight.get(int(c), 1.0) for c in classes], np.float32)
    return Data(data.x, data.y, table[places])


def check_labels(y: np.ndarray, classes: int) -> None:
    """Integer labels are within the classes.

    Raises:
        ValueError: with the first label that is not, and its row.
    """
    if np.issubdtype(y.dtype, np.floating) and not np.array_equal(y, np.floor(y)):
        raise ValueError("y: sparse_categorical_crossentropy needs integer labels, got fractions")
    low, high = y.min(), y.max()
    if low < 0 or high >= classes:
        row = int(np.argmax((y < 0) | (y >= classes)))
        raise ValueError(
            f"y: labels must be in [0, {classes}) for a model with {classes} outputs, got "
            f"{y.reshape(-1)[row]} at row {row}"
        )


def split_validation(data: Data, fraction: float) -> tuple[Data, Data]:
    """The first rows for training, the last fraction for validation, as Keras splits.

    Raises:
        ValueError: for a fraction that leaves either part empty.
    """
    if not isinstance(fraction, (int, float)) or not 0 < fraction < 1:
        raise ValueError(f"validation_split must be between 0 and 1, got {fraction!r}")
    at = int(np.floor(data.rows * (1.0 - fraction)))
    if at in (0, data.rows):
        raise ValueError(
            f"validation_split={fraction} of {data.rows} rows leaves no rows for "
            f"{'training' if at == 0 else 'validation'}"
        )
    return data.part(0, at), data.part(at, data.rows)


def positive(method: str, name: str, value: object, least: int = 1) -> int:
    """An argument checked to be an int of at least 1, or `least`."""
    if not isinstance(value, (int, np.integer)) or isinstance(value, bool) or value < least:
        raise ValueError(f"{method}: {name} must be an int of at least {least}, got {value!r}")
    return int(value)


def validation_epochs(freq: int | Sequence[int]) -> Callable[[int], bool]:
    """Whether to evaluate after an epoch (the first is 1)."""
    if isinstance(freq, (list, tuple, set)):
        return lambda epoch: epoch in freq
    every = positive("fit", "validation_freq", freq)
    return lambda epoch: epoch % every == 0


def count_rows(x: object) -> int:
    """The number of rows of data in any structure."""
    first = flatten(x)[0] if not isinstance(x, np.ndarray) else x
    return max(len(first), 1)
