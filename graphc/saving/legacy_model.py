"""Whole models in HDF5 files, as Keras 1, 2 and 3 write them (`.h5`)."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Mapping
from typing import Any, BinaryIO

from graphc import losses, metrics, optimizers
from graphc.budget import building
from graphc.registration import CustomObjectScope, exported
from graphc.serialization import deserialize_keras_object
from graphc.trace import Variable
from graphc.training import Trainer

from .hdf5 import Contents, reading
from .legacy_weights import WEIGHTS, names_of, read_arrays, read_legacy_weights

# What classes were called.
OLD_NAMES = {
    "Model": "Functional",
    "Policy": "DTypePolicy",
    "BatchNormalizationV1": "BatchNormalization",
    "BatchNormalizationV2": "BatchNormalization",
    "Convolution1D": "Conv1D",
    "Convolution2D": "Conv2D",
    "Convolution3D": "Conv3D",
    "Deconvolution2D": "Conv2DTranspose",
    "SeparableConvolution2D": "SeparableConv2D",
}


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
        with CustomObjectScope(custom_objects):
            with building(max_parameters=contents.elements(WEIGHTS), initial_values=False):
                model = deserialize_keras_object(modern(config))
            if not isinstance(model, Trainer):
                raise ValueError(f"{source} describes a {type(model).__name__}, which is no model")
            read_legacy_weights(model, contents, source)
            training = _json(contents, "training_config") if compile else None
            if training is not None:
                model.compile(**_compile_arguments(training))
                _read_optimizer(model, contents)
        return model


def _json(contents: Contents, attribute: str) -> Any:
    text = contents.attribute("", attribute)
    try:
        return None if text is None else json.loads(text)
    except ValueError as error:
        raise ValueError(f"attribute {attribute!r} is no JSON: {error}") from None


# Where the classes of a layer's options are.
MODULES = (
    "keras.layers", "keras.models", "keras.initializers", "keras.regularizers",
    "keras.constraints", "keras.optimizers.schedules", "keras",
)  # fmt: skip


def modern(config: Any) -> Any:
    """A configuration of Keras 1 or 2 as Keras 3 has it; one of Keras 3 as it is."""
    if isinstance(config, list):
        return [modern(part) for part in config]
    if not isinstance(config, dict):
        return config
    if "class_name" not in config or "config" not in config or "module" in config:
        return {name: modern(value) for name, value in config.items()}
    name, inner = str(config["class_name"]), config["config"]
    kind = OLD_NAMES.get(name, name)
    if kind == "Sequential" and isinstance(inner, list):
        inner = {"layers": inner}
    if isinstance(inner, dict):
        inner = _modern_options(kind, {key: modern(value) for key, value in inner.items()})
    module = next((m for m in MODULES if exported(m, kind) is not None), None)
    return {
        "registered_name": None,
        **config,
        "module": module,
        "class_name": kind,
        "config": inner,
    }


def _modern_options(kind: str, options: dict[str, Any]) -> dict[str, Any]:
    if kind == "InputLayer" and "batch_input_shape" in options:
        options["batch_shape"] = options.pop("batch_input_shape")
    axis = options.get("axis")
    if isinstance(axis, list) and len(axis) == 1:
        options["axis"] = axis[0]
    if "lr" in options:
        options["learning_rate"] = options.pop("lr")
    if exported("keras.optimizers", kind):
        options.pop("decay", None)  # which Keras 3 ignores
    if exported("keras.initializers", kind):
        options.pop("dtype", None)
    if exported("keras.losses", kind):
        options.pop("fn", None)
        if options.get("reduction") == "auto":
            options["reduction"] = "sum_over_batch_size"
    return options


def _compile_arguments(training: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "optimizer": _each(optimizers.get, training["optimizer_config"]),
        "loss": _each(losses.get, training.get("loss")),
        "loss_weights": training.get("loss_weights"),
        "metrics": _each(metrics.get, training.get("metrics")),
        "weighted_metrics": _each(metrics.get, training.get("weighted_metrics")),
    }


def _each(get: Callable[[Any], Any], config: Any) -> Any:
    """The objects of an argument of `compile`, in its lists and dicts."""
    if isinstance(config, list):
        return [_each(get, part) for part in config]
    if not isinstance(config, dict):
        return config
    if "class_name" not in config:
        return {name: _each(get, part) for name, part in config.items()}
    if config["class_name"] == "MeanMetricWrapper":  # tf.keras's metric of a function
        return config["config"]["fn"]
    options = {name: modern(value) for name, value in config["config"].items()}
    kind = config["class_name"]
    return get({"class_name": kind, "config": _modern_options(kind, options)})


def _read_optimizer(model: Any, contents: Contents) -> None:
    group = "optimizer_weights"
    names = names_of(contents, group, "weight_names")
    model.optimizer.prepare(model.trainable_weights)
    own = model.optimizer.kept_in(len(names)) or _keras_2_order(model.optimizer, names)
    if own:
        paths = [f"{group}/{name}" for name in names]
        read_arrays(f"optimizer {model.optimizer.name!r}", own, contents, paths)
    elif names:
        warnings.warn(
            f"{contents.source}: the state of optimizer {model.optimizer.name!r} is not read: it "
            f"has {len(model.optimizer.variables)} variables, the file {len(names)}",
            stacklevel=4,
        )


def _keras_2_order(optimizer: optimizers.Optimizer, names: list[str]) -> list[Variable]:
    """An optimizer's variables as Keras 2 names and orders them, without the learning rate.

    Up to 2.10 (`tf_keras.optimizers.legacy`), "Adam/iter:0", then all "Adam/dense/kernel/m:0", all
    "Adam/dense/kernel/v:0"; later "iteration:0", then "Adam/m/dense/kernel:0" in Keras 3's order.

    Returns:
        None of them where the names are others.
    """
    first, *rest = names or [""]
    if first.rpartition("/")[2] not in ("iter:0", "iteration:0"):
        return []
    last = first.endswith("iter:0")
    parts = [name.partition(":")[0].split("/") for name in rest]
    if any(len(part) < 2 for part in parts):
        return []
    kinds = [part[-1 if last else 1] for part in parts]
    slots: dict[str, list[Variable]] = {}
    for slot in optimizer.variables:
        if "/" in slot.name:
            slots.setdefault(slot.name.rpartition("/")[2], []).append(slot)
    theirs = list(dict.fromkeys(kinds))
    counts = [kinds.count(kind) for kind in theirs]
    if counts != [len(own) for own in slots.values()]:
        return []
    next_of = dict(zip(theirs, map(iter, slots.values()), strict=True))
    return [optimizer.variables[0], *(next(next_of[kind]) for kind in kinds)]
