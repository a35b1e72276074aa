"""Configurations of Keras 2, as HDF5 files have them, in Keras 3's spelling."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from graphc import ops
from graphc.registration import (
    exported,
    get_registered_name,
    get_registered_object,
    register_keras_serializable,
)

# What classes were called.
OLD_NAMES = {
    "Model": "Functional",
    "ThresholdedReLU": "ReLU",
    "Policy": "DTypePolicy",
    "BatchNormalizationV1": "BatchNormalization",
    "BatchNormalizationV2": "BatchNormalization",
    "Convolution1D": "Conv1D",
    "Convolution2D": "Conv2D",
    "Convolution3D": "Conv3D",
    "Deconvolution2D": "Conv2DTranspose",
    "SeparableConvolution2D": "SeparableConv2D",
}
# What functions were called, as losses and as metrics.
OLD_LOSSES = {"huber_loss": "huber", "cosine_proximity": "cosine_similarity"}

# Where the classes of a layer's options are.
MODULES = (
    "keras.layers", "keras.models", "keras.initializers", "keras.regularizers",
    "keras.constraints", "keras.optimizers.schedules", "keras",
)  # fmt: skip

# Options that were written and have no effect, by class.
_SEPARABLE = ("kernel_initializer", "kernel_regularizer", "kernel_constraint")
_UNUSED: dict[str, tuple[str, ...]] = {
    "SeparableConv1D": _SEPARABLE,
    "SeparableConv2D": _SEPARABLE,
    "MultiHeadAttention": ("query_shape", "key_shape", "value_shape"),
    "SpatialDropout1D": ("noise_shape",),
    "SpatialDropout2D": ("noise_shape",),
    "SpatialDropout3D": ("noise_shape",),
    "LSTMCell": ("implementation",),
    "GRUCell": ("implementation",),
    "Discretization": ("dtype",),
    "IntegerLookup": ("dtype",),
    "StringLookup": ("dtype",),
    "TextVectorization": ("dtype",),
    "Lambda": ("function_type", "module", "output_shape_type", "output_shape_module"),
}


@register_keras_serializable("graphc")
def keras_2_hard_sigmoid(x: Any) -> Any:
    """0.2 * x + 0.5 held between 0 and 1: what `hard_sigmoid` was before Keras 3."""
    return ops.clip(ops.add(ops.multiply(x, 0.2), 0.5), 0.0, 1.0)


def modern(config: Any, old: bool) -> Any:
    """A configuration of Keras 2 as Keras 3 has it; one of Keras 3 with its modules.

    Args:
        old: whether it is of Keras 2.
    """
    if isinstance(config, list):
        return [modern(part, old) for part in config]
    if not isinstance(config, dict):
        return config
    if "class_name" not in config or "config" not in config or ("module" in config and not old):
        return {name: modern(value, old) for name, value in config.items()}
    name, inner = str(config["class_name"]), config["config"]
    kind = OLD_NAMES.get(name, name)
    if kind == "Sequential" and isinstance(inner, list):
        inner = {"layers": inner}
    if isinstance(inner, dict):
        inner = {key: modern(value, old) for key, value in inner.items()}
        inner = _modern_options(name, kind, inner) if old else inner
    module = next((m for m in MODULES if exported(m, kind) is not None), None)
    return {
        "registered_name": None,
        **config,
        "module": module,
        "class_name": kind,
        "config": inner,
    }


def _modern_options(name: str, kind: str, options: dict[str, Any]) -> dict[str, Any]:
    """The options of a class in Keras 2, which is called `kind` now."""
    if kind == "Lambda":
        options["function"] = _modern_function(options)
    for unused in _UNUSED.get(kind, ()):
        options.pop(unused, None)
    if options.get("time_major") is False:
        del options["time_major"]
    if name == "ThresholdedReLU":
        options["threshold"] = options.pop("theta", 1.0)
    if kind == "InputLayer" and "batch_input_shape" in options:
        options["batch_shape"] = options.pop("batch_input_shape")
    axis = options.get("axis")
    if isinstance(axis, list) and len(axis) == 1:
        options["axis"] = axis[0]
    for option in ("activation", "recurrent_activation"):
        if options.get(option) == "hard_sigmoid":
            options[option] = get_registered_name(keras_2_hard_sigmoid)
    if exported("keras.initializers", kind):
        options.pop("dtype", None)
    return options


def _modern_function(options: Mapping[str, Any]) -> Any:
    """A Lambda's function: a name, or code, which is refused with all else that is not there."""
    function = options.get("function")
    if isinstance(function, str):
        return {"class_name": "function", "config": function, "module": None}
    return {"class_name": "__lambda__", "config": {"code": function}}


def compile_configs(training: Mapping[str, Any], outputs: Sequence[str]) -> dict[str, Any]:
    """The arguments of `compile` in a "training_config", in Keras 3's spelling.

    Args:
        outputs: names of the model's.
    """

    def each(change: Callable[[str, dict[str, Any]], dict[str, Any]], config: Any) -> Any:
        """Changes the objects of an argument, in its lists and dicts."""
        if isinstance(config, list):
            return [each(change, part) for part in config]
        if isinstance(config, str):
            return OLD_LOSSES.get(config, config)
        if not isinstance(config, dict):
            return config
        if "class_name" not in config:
            return {name: each(change, part) for name, part in config.items()}
        if not isinstance(config["config"], dict):  # a function
            return config
        return {**config, **change(str(config["class_name"]), dict(config["config"]))}

    def metric(kind: str, options: dict[str, Any]) -> dict[str, Any]:
        name = str(options.get("name"))
        owner = next((o for o in outputs if name.startswith(f"{o}_") and len(outputs) > 1), None)
        if owner is not None:  # which comes before the name once more
            options["name"] = name.removeprefix(f"{owner}_")
        if options.get("dtype") == "float32":  # of the values, not of the state
            del options["dtype"]
        if options.get("fn") in ("cosine_similarity", "cosine_proximity"):  # the loss is below 0
            kind = "CosineSimilarity"
            del options["fn"]
        if isinstance(options.get("fn"), str):
            options["fn"] = {"class_name": "function", "config": options["fn"], "module": None}
        return {"module": "keras.metrics", "class_name": kind, "config": options}

    return {
        "optimizer": each(_modern_optimizer, training["optimizer_config"]),
        "loss": each(_modern_loss, training.get("loss")),
        "loss_weights": training.get("loss_weights"),
        "metrics": each(metric, training.get("metrics")),
        "weighted_metrics": each(metric, training.get("weighted_metrics")),
    }


def _modern_loss(kind: str, options: dict[str, Any]) -> dict[str, Any]:
    options.pop("fn", None)
    if options.get("reduction") == "auto":
        options["reduction"] = "sum_over_batch_size"
    return {"module": "keras.losses", "class_name": kind, "config": options}


def _modern_optimizer(kind: str, options: dict[str, Any]) -> dict[str, Any]:
    known = kind.removeprefix("Custom>")  # as Keras 2.11 to 2.15 write their own
    if get_registered_object(kind) is None and exported("keras.optimizers", known) is not None:
        kind = known
    for unused in ("is_legacy_optimizer", "jit_compile"):
        options.pop(unused, None)
    if "lr" in options:
        options["learning_rate"] = options.pop("lr")
    decay, rate = options.pop("decay", 0.0), options.get("learning_rate")
    if isinstance(rate, dict):
        options["learning_rate"] = modern(rate, old=True)
    elif decay and kind != "Nadam":  # whose momentum it was for
        schedule = {"initial_learning_rate": rate, "decay_steps": 1, "decay_rate": decay}
        options["learning_rate"] = {
            "module": "keras.optimizers.schedules", "class_name": "InverseTimeDecay",
            "config": schedule,
        }  # fmt: skip
    return {"module": "keras.optimizers", "class_name": kind, "config": options}
