"""User data: arrays checked against the model before anything runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .ir.types import DTYPES, Size, TensorType, short_dtype
from .layers.symbolic import SymbolicTensor
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
    """Arrays of one length: model inputs, and for each output a target and sample weights."""

    x: list[np.ndarray]
    y: list[np.ndarray | None] = field(default_factory=list)
    weight: list[np.ndarray | None] = field(default_factory=list)

    @property
    def rows(self) -> int:
        return len(self.x[0])

    def arrays(self) -> dict[str, np.ndarray]:
        """By the names that programs give their inputs."""
        kinds: dict[str, Sequence[np.ndarray | None]] = {
            "x": self.x, "y": self.y, "sample_weight": self.weight
        }  # fmt: skip
        return {
            f"{kind}/{at}": array
            for kind, arrays in kinds.items()
            for at, array in enumerate(arrays)
            if array is not None
        }

    def part(self, start: int, stop: int) -> Data:
        """Rows start to stop."""
        cut = [
            [None if a is None else a[start:stop] for a in arrays]
            for arrays in (self.y, self.weight)
        ]
        return Data([a[start:stop] for a in self.x], *cut)

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
        w is None or w == g for w, g in zip(wanted[1:], array.shape[1:], strict=True)
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
    outputs: Sequence[str],
    wanted: Sequence[bool],
    model: str,
) -> Data:
    """Checked data for training and evaluation.

    Args:
        x, y, sample_weight: as the user gave them.
        inputs, keys: of the model, and what dicts call them.
        outputs: names of the model's outputs.
        wanted: which of them have a target.
        model: its name.

    Raises:
        ValueError: when lengths differ or shapes do not fit, naming the argument.
    """
    data = Data(standardize_x(x, inputs, keys, model))
    if y is None:
        raise ValueError("y: targets are needed to compute the loss, got None")
    data.y = [
        None if part is None else _rows(part, name, data.rows)
        for part, name in _by_output(y, outputs, wanted, "y")
    ]
    if sample_weight is None:
        return data
    if len(outputs) > 1 and not isinstance(sample_weight, (list, tuple, dict)):
        sample_weight = [sample_weight] * len(outputs)
    data.weight = [
        None if part is None else _rows(part, name, data.rows).astype(np.float32, copy=False)
        for part, name in _by_output(sample_weight, outputs, wanted, "sample_weight", optional=True)
    ]
    return data


def _rows(part: object, name: str, rows: int) -> np.ndarray:
    array = as_array(part, name)
    if len(array) != rows:
        raise ValueError(
            f"x and {name} must have the same number of rows, got {rows} and {len(array)}"
        )
    return array


def _by_output(
    given: Any, outputs: Sequence[str], wanted: Sequence[bool], argument: str,
    optional: bool = False,
) -> list[tuple[object, str]]:  # fmt: skip
    """Each output's entry, and what to call it in messages.

    Raises:
        ValueError: for missing or surplus entries, naming the outputs.
    """
    names = [f"{argument} for output {name!r}" for name in outputs]
    if len(outputs) == 1 and not isinstance(given, dict):
        if isinstance(given, (list, tuple)) and len(given) == 1:
            given = given[0] if isinstance(given[0], np.ndarray) else given
        return [(given, argument)]
    if isinstance(given, dict):
        missing = [n for n, w in zip(outputs, wanted, strict=True) if w and n not in given]
        surplus = [str(key) for key in given if key not in outputs]
        if surplus or (missing and not optional):
            raise ValueError(
                f"{argument}: the model has outputs {', '.join(outputs)}, got "
                f"{', '.join(map(str, given))}"
            )
        entries = [given.get(name) for name in outputs]
    else:
        count = len(given) if isinstance(given, (list, tuple)) else "one array"
        entries = list(given) if isinstance(given, (list, tuple)) else []
        if len(entries) == sum(wanted) != len(outputs):  # those without a loss may be left out
            rest = iter(entries)
            entries = [next(rest) if w else None for w in wanted]
        if len(entries) != len(outputs):
            raise ValueError(
                f"{argument}: the model has {len(outputs)} outputs ({', '.join(outputs)}), got "
                f"{count}"
            )
    for entry, name, needed in zip(entries, names, wanted, strict=True):
        if entry is None and needed and not optional:
            raise ValueError(f"{name}: targets are needed to compute the loss, got None")
    return [
        (entry if needed else None, name)
        for entry, name, needed in zip(entries, names, wanted, strict=True)
    ]


def apply_class_weight(data: Data, class_weight: Mapping[int, float] | None) -> Data:
    """The data with each sample weighted as its class: the place of y's maximum, or y rounded.

    Raises:
        ValueError: when there are sample weights too, or more than one label a sample.
    """
    if class_weight is None or not data.y:
        return data
    if len(data.y) > 1:
        raise ValueError("class_weight is only for models with one output; use sample_weight")
    if data.weight:
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
    labels = data.y[0]
    assert labels is not None
    shape = labels.shape
    if labels.ndim > 1:
        labels = labels[..., 0] if labels.shape[-1] == 1 else labels.argmax(-1)
    if labels.ndim != 1:
        raise ValueError(f"class_weight needs one label a sample, got y of shape {shape}")
    classes, places = np.unique(np.round(labels).astype(np.int64), return_inverse=True)
    table = np.array([class_weight.get(int(c), 1.0) for c in classes], np.float32)
    return Data(data.x, data.y, [table[places]])


def check_labels(y: np.ndarray, classes: int, ignored: int | None = None) -> None:
    """Integer labels are within the classes, or the one that is ignored.

    Raises:
        ValueError: with the first label that is not, and its row.
    """
    if np.issubdtype(y.dtype, np.floating) and not np.array_equal(y, np.floor(y)):
        raise ValueError("y: sparse_categorical_crossentropy needs integer labels, got fractions")
    low, high = y.min(), y.max()
    if low < 0 or high >= classes:
        wrong = ((y < 0) | (y >= classes)) & (y != ignored)
        if not wrong.any():
            return
        row = int(np.argmax(wrong))
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
