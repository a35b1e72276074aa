"""Whole models in HDF5 files, as Keras 2 and 3 write them (`.h5`)."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from typing import Any, BinaryIO

from graphc import optimizers
from graphc.budget import building
from graphc.registration import CustomObjectScope
from graphc.serialization import check_config, deserialize_keras_object
from graphc.trace import Variable
from graphc.training import Trainer

from .hdf5 import Contents, reading
from .legacy_config import compile_configs, modern
from .legacy_weights import WEIGHTS, names_of, read_arrays, read_legacy_weights


def read_legacy_model(
    stream: BinaryIO, source: str, custom_objects: Mapping[str, Any] | None, compile: bool
) -> Any:
    """The model of an open HDF5 file, with its optimizer's state.

    Args:
        source: the file's name, for messages, which start with it.

    Raises:
        ValueError: when the file is damaged, or asks for what is not there.
    """
    with reading(stream, source) as contents:
        config = _json(contents, "model_config")
        if not isinstance(config, dict):
            raise ValueError(f"{source} describes no model; load_weights reads files of weights")
        version = contents.attribute("", "keras_version")
        old = not (isinstance(version, str) and version.startswith("3"))
        training = _json(contents, "training_config") if compile else None
        config = modern(config, old)
        with CustomObjectScope(custom_objects):
            check_config([config, *([] if training is None else [compile_configs(training, ())])])
            with building(max_parameters=contents.elements(WEIGHTS), initial_values=False):
                model = deserialize_keras_object(config)
            if not isinstance(model, Trainer):
                raise ValueError(f"{source} describes a {type(model).__name__}, which is no model")
            read_legacy_weights(model, contents, source)
            if training is not None:
                model.compile_from_config(compile_configs(training, model.output_names))
                _read_optimizer(model, contents)
        return model


def _json(contents: Contents, attribute: str) -> Any:
    text = contents.attribute("", attribute)
    try:
        return None if text is None else json.loads(text)
    except ValueError as error:
        raise ValueError(f"attribute {attribute!r} is no JSON: {error}") from None


def _read_optimizer(model: Any, contents: Contents) -> None:
    group, optimizer = "optimizer_weights", model.optimizer
    names = names_of(contents, group, "weight_names")
    optimizer.prepare(model.trainable_weights)
    kept = _keras_2_order(optimizer, names)
    if kept is None:
        kept = dict(zip(names, optimizer.kept_in(len(names)), strict=False))
    if kept:
        paths = [f"{group}/{name}" for name in kept]
        read_arrays(f"optimizer {optimizer.name!r}", list(kept.values()), contents, paths)
    elif names:
        warnings.warn(
            f"{contents.source}: the state of optimizer {optimizer.name!r} is not read: it has "
            f"{len(optimizer.variables)} variables, the file {len(names)}",
            stacklevel=4,
        )


def _keras_2_order(optimizer: optimizers.Optimizer, names: list[str]) -> dict[str, Variable] | None:
    """An optimizer's variables by the names that Keras 2 has for them, the rate not among them.

    Up to 2.10 (`tf_keras.optimizers.legacy`), "Adam/iter:0", then all "Adam/dense/kernel/m:0", all
    "Adam/dense/kernel/v:0"; later "iteration:0", then "Adam/m/dense/kernel:0" in Keras 3's order.

    Returns:
        None where the names are others than Keras 2's; none of them for another optimizer's.
    """
    first, *rest = names or [""]
    if first.rpartition("/")[2] not in ("iter:0", "iteration:0"):
        return None
    last = first.endswith("iter:0")
    parts = [name.partition(":")[0].split("/") for name in rest]
    if any(len(part) < 2 for part in parts):
        return {}
    kinds = [part[-1 if last else 1] for part in parts]
    slots: dict[str, list[Variable]] = {}
    for slot in optimizer.variables:
        owner, _, kind = slot.name.rpartition("/")
        unread = slot.shape == () and kind in ("rows", "columns")  # Adafactor's
        if owner and not unread:
            slots.setdefault(kind, []).append(slot)
    theirs = list(dict.fromkeys(kinds))
    if isinstance(optimizer, optimizers.Nadam):  # whose product of momentums is not written
        return {}
    if not slots:  # theirs may have some that it does not need, as SGD's without momentum
        return {first: optimizer.variables[0]}
    if [kinds.count(kind) for kind in theirs] != [len(own) for own in slots.values()]:
        return {}
    next_of = dict(zip(theirs, map(iter, slots.values()), strict=True))
    return {
        first: optimizer.variables[0],
        **{name: next(next_of[kind]) for name, kind in zip(rest, kinds, strict=True)},
    }
