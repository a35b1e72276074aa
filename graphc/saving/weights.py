"""Weights and optimizers' states in HDF5 files, in the layout of Keras 3's `.weights.h5`.

A layer's weights are datasets "layers/<class>[_n]/vars/<i>", class names in snake case, numbered
within the model; an optimizer's are "optimizer/vars/<i>".
"""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any, BinaryIO

import numpy as np

from graphc.trace import Variable
from graphc.utils.atomic import replacing

from .archive import members, weights_of
from .hdf5 import Contents, Store, opened, reading, refuse
from .layout import places
from .legacy_weights import names_of, read_legacy_weights
from .shards import reading_shards
from .tensors import read_tensors, write_tensors

OPTIMIZER, TRAINING = "optimizer", "training"
TENSORS, SHARDS = ".safetensors", ".weights.json"
# Datasets that may be there and are not needed: a compiled model's, an older Keras's, a backup's.
_UNUSED = re.compile(r"((^|.*/)(optimizer|seed_generator)|training)/.*")


def save_weights(model: Any, filepath: str | os.PathLike[str], overwrite: bool = True) -> None:
    """Writes a model's weights and, when it is compiled, its optimizer's state.

    Args:
        filepath: ends in .weights.h5; or in .safetensors for the weights without the optimizer's
            state, by the names they have in .weights.h5. After a crash the old file or the new one
            is there, whole.
        overwrite: whether a file that is there may be replaced.

    Raises:
        ValueError: when the name does not end so or the model is not built.
        FileExistsError: when the file is there and may not be overwritten.
        OSError: when it cannot be written; then the old file is as it was.
    """
    path = Path(filepath)
    if not path.name.endswith((".weights.h5", TENSORS)):
        raise ValueError(
            f"save_weights: the file's name must end in .weights.h5 or {TENSORS}, got {str(path)!r}"
        )
    if path.exists() and not overwrite:
        raise FileExistsError(f"save_weights: {path} exists and overwrite is False")
    if not model.built:
        raise ValueError(f"save_weights: model {model.name!r} has no weights before it is built")
    with replacing(path) as temporary:
        if path.suffix == TENSORS:
            write_tensors(temporary, _kept(places(model)))
            return
        with open(temporary, "w+b") as stream:
            write_weights(model, stream)


def _kept(owners: Mapping[Any, str]) -> dict[str, np.ndarray]:
    """The arrays that are kept of layers and optimizers, by their paths."""
    kept: dict[str, np.ndarray] = {}
    for owner, place in owners.items():
        values: dict[str, np.ndarray] = {}
        owner.save_own_variables(values)
        kept |= {f"{_group(place)}/{name}": value for name, value in values.items()}
    return kept


def write_weights(
    model: Any, stream: BinaryIO, more: Mapping[str, np.ndarray] = MappingProxyType({})
) -> None:
    """Writes the HDF5 file of a model's weights and its optimizer's state into an open file.

    Args:
        more: further datasets by their paths.
    """
    import h5py  # noqa: PLC0415 (half of graphc's import time, and used only here)

    # Into Python's file, whose errors on a full disk come where they happen, and are plain.
    with h5py.File(stream, "w") as file:
        owners: dict[Any, str] = dict(places(model))
        if model.compiled:
            owners[model.optimizer] = OPTIMIZER
        for owner, place in owners.items():
            file.create_group(_group(place)).attrs["name"] = owner.name
        for path, value in {**_kept(owners), **more}.items():
            file.create_dataset(path, data=value)


def _group(place: str) -> str:
    return f"{place}/vars".lstrip("/")


def load_weights(
    model: Any, filepath: str | os.PathLike[str], skip_mismatch: bool = False, by_name: bool = False
) -> None:
    """Reads weights into a model, and its optimizer's state if it is compiled and there is one.

    Args:
        filepath: ends in .weights.h5; in .weights.json for Keras's several files; in .keras for the
            weights in a whole model's file; in .safetensors for what `save_weights` wrote; or in
            .h5 or .hdf5 for files of older versions, whose layers are taken in their order.
        skip_mismatch: whether layers that the file's weights do not fit keep theirs, with a
            warning.
        by_name: whether to take layers of the same names from a file of an older version, and
            leave the others as they are.

    Raises:
        FileNotFoundError: when there is no such file.
        ValueError: when the file does not hold this model's weights, naming what differs; then the
            model is as it was.
    """
    path = Path(filepath)
    old = path.suffix in (".h5", ".hdf5") and not path.name.endswith(".weights.h5")
    if not old and not path.name.endswith((".weights.h5", ".keras", TENSORS, SHARDS)):
        raise ValueError(
            f"load_weights: the file's name must end in .weights.h5, {SHARDS}, .keras, {TENSORS} "
            f"or, for files of older versions, .h5 or .hdf5; got {str(path)!r}"
        )
    if by_name and not old:
        raise ValueError(
            f"load_weights: by_name is for files of older versions (.h5, .hdf5), got {str(path)!r}"
        )
    if not model.built:
        raise ValueError(f"load_weights: model {model.name!r} must be built before weights fit in")
    source = f"load_weights: {path}"
    with opened("load_weights", path) as stream, unchanged_on_errors(model):
        if path.suffix == TENSORS:
            read_weights(model, read_tensors(path, source), source, skip_mismatch)
            return
        with _contents(stream, path, source) as contents:
            if old or names_of(contents, "", "layer_names"):  # as Keras 2.11 called such too
                read_legacy_weights(model, contents, source, skip_mismatch, by_name)
            else:
                read_weights(model, contents, source, skip_mismatch)


@contextmanager
def _contents(stream: BinaryIO, path: Path, source: str) -> Iterator[Contents]:
    """What is in a file of HDF5, or around it."""
    with ExitStack() as stack:
        if path.name.endswith(SHARDS):
            yield stack.enter_context(reading_shards(stream, path, source))
            return
        if path.suffix == ".keras":
            archive = stack.enter_context(members(stream, source))
            stream = stack.enter_context(weights_of(archive, stream, source))
        yield stack.enter_context(reading(stream, source))


@contextmanager
def unchanged_on_errors(model: Any) -> Iterator[None]:
    """Puts the weights and the optimizer's state back when the block fails."""
    variables = state(model)
    before = [variable.numpy() for variable in variables]
    try:
        yield
    except BaseException:
        for variable, value in zip(variables, before, strict=True):
            variable.assign(value)
        raise


def state(model: Any) -> list[Variable]:
    """What files keep of a model, and its optimizer's variables if it is compiled."""
    return [*_of_layers(model), *(model.optimizer.variables if model.compiled else ())]


def _of_layers(model: Any) -> list[Variable]:
    return [*model.weights, *(v for layer in places(model) for v in layer.unlisted_variables)]


def read_weights(
    model: Any, datasets: Mapping[str, Any], source: str, skip_mismatch: bool = False
) -> None:
    """Reads the weights and the optimizer's state of an open HDF5 file, as `load_weights`.

    Args:
        datasets: of the file, from `hdf5.reading`.
        source: the file's name, for messages, which start with it.
    """
    room = sum(2 * variable.value.nbytes for variable in _of_layers(model))
    layers = places(model)
    # Where what does not fit is left as it is, arrays are read before any is changed.
    late = isinstance(datasets, Contents) and not skip_mismatch
    datasets = _renamed(datasets, layers.values())
    wrong = _surplus(datasets, layers.values())
    for layer, place in layers.items():
        wrong += _read(layer, Store(datasets, _group(place), room, late))
    refuse(model, source, wrong, skip_mismatch)
    if model.compiled:
        wrong = _read_optimizer(model, Store(datasets, _group(OPTIMIZER), room, late))
        refuse(model, source, wrong, skip=False)


def _read(owner: Any, store: Store) -> list[str]:
    """Reads what belongs to a layer or an optimizer; says what is wrong, if anything."""
    try:
        owner.load_own_variables(store)
    except KeyError as error:
        return [f"{store.group} has no {error}"]
    except Exception as error:  # a damaged block, or whatever a user's method raises
        return [f"{store.group}: {error}"]
    return []


def _read_optimizer(model: Any, store: Store) -> list[str]:
    """Reads an optimizer's state, if the file has one; it may come before any training here."""
    optimizer = model.optimizer
    if len(store) > len(optimizer.variables):
        optimizer.prepare(model.trainable_weights)
    if optimizer.kept_in(len(store)):
        return _read(optimizer, store)
    if store:
        warnings.warn(
            f"the state of optimizer {optimizer.name!r} is not read: it has "
            f"{len(optimizer.variables)} variables, the file {len(store)}",
            stacklevel=5,
        )
    return []


def _renamed(datasets: Mapping[str, Any], places: Iterable[str]) -> Mapping[str, Any]:
    """Datasets by the names that layers have now: Keras 2.12 to 2.15 wrote some by private ones."""
    known = {_group(place) for place in places}
    renamed = {}
    for path in datasets:
        group, _, name = path.rpartition("/")
        now = group.replace("_layer_checkpoint_dependencies", "layers").replace("/_", "/")
        if group not in known and now in known and f"{now}/{name}" not in datasets:
            renamed[path] = f"{now}/{name}"
    return {renamed.get(path, path): dataset for path, dataset in datasets.items()}


def _surplus(datasets: Iterable[str], places: Iterable[str]) -> list[str]:
    """What is in the file and belongs to nothing in the model."""
    known = {_group(place) for place in places}
    return [
        f"{path} belongs to no layer"
        for path in datasets
        if path.rpartition("/")[0] not in known and not _UNUSED.fullmatch(path)
    ]
