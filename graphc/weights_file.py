"""Weights in HDF5 files, in the layout of Keras 3's `.weights.h5`.

A layer's weights are datasets "layers/<class>[_n]/vars/<i>", class names in snake case, numbered
within the model. Files are written beside their final place and renamed, so that a crash or a full
disk leaves the old file.
"""

from __future__ import annotations

import os
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from .layers.base import InputLayer, Layer
from .trace import Variable
from .utils import snake_case


def _groups(layers: list[Layer], prefix: str = "layers") -> Iterator[tuple[str, list[Variable]]]:
    """The HDF5 group of each layer with weights of its own, nested models within theirs."""
    counts: Counter[str] = Counter()
    for layer in layers:
        if isinstance(layer, InputLayer):
            continue
        snake = snake_case(type(layer).__name__)
        snake = {"model": "functional"}.get(snake, snake)
        count = counts[snake]
        counts[snake] += 1
        group = f"{prefix}/{snake}_{count}" if count else f"{prefix}/{snake}"
        yield from _groups_within(layer, group)


def _groups_within(layer: Layer, group: str) -> Iterator[tuple[str, list[Variable]]]:
    """A layer's own group, then those of a model's layers, or of a layer's attributes."""
    yield f"{group}/vars", layer._own_weights
    if hasattr(layer, "layers"):
        yield from _groups(layer.layers, f"{group}/layers")
        return
    for name, inner in layer.attached().items():
        if isinstance(inner, Layer):
            yield from _groups_within(inner, f"{group}/{name}")
        else:
            yield from _groups(inner, f"{group}/{name}")


def save_weights(model: Any, filepath: str | os.PathLike[str], overwrite: bool = True) -> None:
    """Writes a model's weights.

    Raises:
        ValueError: when the name does not end in .weights.h5 or the model is not built.
        FileExistsError: when the file is there and may not be overwritten.
    """
    import h5py  # noqa: PLC0415 (half of graphc's import time, and used only here)

    path = Path(filepath)
    if not path.name.endswith(".weights.h5"):
        raise ValueError(
            f"save_weights: the file's name must end in .weights.h5, got {str(path)!r}"
        )
    if path.exists() and not overwrite:
        raise FileExistsError(f"save_weights: {path} exists and overwrite is False")
    if not model.built:
        raise ValueError(f"save_weights: model {model.name!r} has no weights before it is built")
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    os.close(handle)
    try:
        with h5py.File(temporary, "w") as file:
            for group, weights in _groups(model.layers):
                made = file.require_group(group)
                for at, weight in enumerate(weights):
                    made.create_dataset(str(at), data=weight.value)
        with open(temporary, "rb+") as written:
            os.fsync(written.fileno())
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def load_weights(model: Any, filepath: str | os.PathLike[str]) -> None:
    """Reads weights into a model; it is changed only when all of them fit.

    Raises:
        FileNotFoundError: when there is no such file.
        ValueError: when the file does not hold this model's weights, naming what differs.
    """
    import h5py  # noqa: PLC0415

    path = Path(filepath)
    if not path.is_file():
        raise FileNotFoundError(f"load_weights: no file {path}")
    if not model.built:
        raise ValueError(f"load_weights: model {model.name!r} must be built before weights fit in")
    found: list[tuple[Variable, np.ndarray]] = []
    try:
        file = h5py.File(path, "r")
    except OSError as error:
        raise ValueError(f"load_weights: {path} is not an HDF5 file: {error}") from None
    with file:
        for group, weights in _groups(model.layers):
            for at, weight in enumerate(weights):
                dataset = file.get(f"{group}/{at}")
                shape = getattr(dataset, "shape", None)
                if shape != weight.shape:
                    got = "it is missing" if shape is None else f"got shape {shape}"
                    raise ValueError(
                        f"load_weights: {path}: weight {weight.name!r} ({group}/{at}) has shape "
                        f"{weight.shape}; {got}"
                    )
                found.append((weight, dataset[()]))
    for weight, value in found:
        weight.assign(value)
