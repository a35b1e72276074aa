"""Whole models and weights in files as Keras 2 writes them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from graphc import layers, models

X = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
GLOROT = {"class_name": "GlorotUniform", "config": {"seed": None, "dtype": "float32"}}
ZEROS = {"class_name": "Zeros", "config": {}}


def dense(name: str, units: int, **options: Any) -> dict[str, Any]:
    """A Dense as tf.keras 2 writes it."""
    config = {
        "name": name, "trainable": True, "dtype": "float32", "units": units, "activation": "tanh",
        "use_bias": True, "kernel_initializer": GLOROT, "bias_initializer": ZEROS,
        "kernel_regularizer": {"class_name": "L2", "config": {"l2": 0.01}},
        "bias_regularizer": None, "activity_regularizer": None, "kernel_constraint": None,
        "bias_constraint": None, **options,
    }  # fmt: skip
    return {"class_name": "Dense", "config": config}


NORMAL = {
    "class_name": "BatchNormalizationV1",
    "config": {
        "name": "normal", "trainable": True, "dtype": "float32", "axis": [1], "momentum": 0.99,
        "epsilon": 0.001, "center": True, "scale": True, "beta_initializer": ZEROS,
        "gamma_initializer": {"class_name": "Ones", "config": {}},
        "moving_mean_initializer": ZEROS,
        "moving_variance_initializer": {"class_name": "Ones", "config": {}},
        "beta_regularizer": None, "gamma_regularizer": None, "beta_constraint": None,
        "gamma_constraint": None,
    },
}  # fmt: skip
ADAM = {
    "class_name": "Adam",
    "config": {"name": "Adam", "lr": 0.25, "decay": 0.0, "beta_1": 0.8, "beta_2": 0.999,
               "epsilon": 1e-7, "amsgrad": False},
}  # fmt: skip
ACCURACY = {
    "class_name": "MeanMetricWrapper",
    "config": {"name": "mean_absolute_error", "dtype": "float32", "fn": "mean_absolute_error"},
}
LOSS = {"class_name": "MeanSquaredError", "config": {"reduction": "auto", "name": "loss"}}
TRAINING = {
    "optimizer_config": ADAM, "loss": LOSS, "metrics": [ACCURACY], "weighted_metrics": None,
    "sample_weight_mode": None, "loss_weights": None,
}  # fmt: skip


def sequential() -> dict[str, Any]:
    """As Keras 2.1 writes it: a list, and the input's shape in the first layer."""
    first = dense("first", 4, batch_input_shape=[None, 3])
    return {"class_name": "Sequential", "config": [first, NORMAL, dense("last", 2)]}


def functional() -> dict[str, Any]:
    """As tf.keras 2 writes it: a shared layer, and calls as lists."""
    start = {
        "class_name": "InputLayer", "name": "start", "inbound_nodes": [],
        "config": {"batch_input_shape": [None, 3], "dtype": "float32", "sparse": False,
                   "ragged": False, "name": "start"},
    }  # fmt: skip
    twice = {**dense("twice", 3), "name": "twice", "inbound_nodes": [
        [["start", 0, 0, {}]], [["twice", 0, 0, {}]]]}  # fmt: skip
    add = {
        "class_name": "Add", "config": {"name": "add", "trainable": True, "dtype": "float32"},
        "name": "add", "inbound_nodes": [[["twice", 0, 0, {}], ["twice", 1, 0, {}]]],
    }  # fmt: skip
    config = {
        "name": "model_1", "layers": [start, twice, add],
        "input_layers": [["start", 0, 0]], "output_layers": [["add", 0, 0]],
    }  # fmt: skip
    return {"class_name": "Model", "config": config}


SHAPES = {
    "first": {"kernel": (3, 4), "bias": (4,)},
    "normal": {"gamma": (4,), "beta": (4,), "moving_mean": (4,), "moving_variance": (4,)},
    "last": {"kernel": (4, 2), "bias": (2,)},
    "twice": {"kernel": (3, 3), "bias": (3,)},
}


def write(path: Path, model: dict[str, Any], named: list[str]) -> dict[str, np.ndarray]:
    """A whole-model file; the weights in it."""
    numbers = np.random.default_rng(1)
    weights: dict[str, np.ndarray] = {}
    with h5py.File(path, "w") as file:
        file.attrs["keras_version"] = b"2.4.0"
        file.attrs["model_config"] = json.dumps(model).encode()
        file.attrs["training_config"] = json.dumps(TRAINING)
        group = file.create_group("model_weights")
        # Long lists of names stand in several parts.
        for at, name in enumerate(named):
            group.attrs[f"layer_names{at}"] = np.array([name.encode()])
        for name in named:
            inner = group.create_group(name)
            shapes = SHAPES.get(name, {})
            inner.attrs["weight_names"] = [f"{name}/{kind}:0".encode() for kind in shapes]
            for kind, shape in shapes.items():
                array = (numbers.random(shape) + 0.1).astype(np.float32)
                weights[f"{name}/{kind}"] = array
                inner.create_dataset(f"{name}/{kind}:0", data=array)
        slots = file.create_group("optimizer_weights")
        slots.attrs["weight_names"] = np.array([b"training/Adam/iter:0"])
        slots.create_dataset("training/Adam/iter:0", data=7)
    return weights


def load(path: Path) -> Any:
    with pytest.warns(UserWarning, match="state of optimizer .* is not read"):
        return models.load_model(path)


def test_a_sequential_model(tmp_path: Path) -> None:
    path = tmp_path / "m.h5"
    weights = write(path, sequential(), ["first", "normal", "last"])
    model = load(path)
    assert [layer.name for layer in model.layers] == ["first", "normal", "last"]
    w = weights
    hidden = np.tanh(X @ w["first/kernel"] + w["first/bias"])
    normal = (hidden - w["normal/moving_mean"]) / np.sqrt(w["normal/moving_variance"] + 0.001)
    normal = normal * w["normal/gamma"] + w["normal/beta"]
    wanted = np.tanh(normal @ w["last/kernel"] + w["last/bias"])
    np.testing.assert_allclose(model.predict(X, verbose=0), wanted, rtol=1e-5, atol=1e-6)
    assert float(model.optimizer.learning_rate) == 0.25 and model.optimizer.beta_1 == 0.8
    assert model.metrics_names == ["loss", "mean_absolute_error"]
    assert not models.load_model(path, compile=False).compiled


def test_a_functional_model(tmp_path: Path) -> None:
    path = tmp_path / "m.hdf5"
    weights = write(path, functional(), ["start", "twice", "add"])
    first = np.tanh(X @ weights["twice/kernel"] + weights["twice/bias"])
    second = np.tanh(first @ weights["twice/kernel"] + weights["twice/bias"])
    np.testing.assert_allclose(load(path).predict(X, verbose=0), first + second, rtol=1e-5)


def test_weights_go_into_a_model_in_their_order(tmp_path: Path) -> None:
    path = tmp_path / "m.h5"
    weights = write(path, sequential(), ["first", "normal", "last"])
    parts = [layers.Dense(4), layers.ReLU(), layers.BatchNormalization(), layers.Dense(2)]
    model = models.Sequential([layers.Input((3,)), *parts])
    model.load_weights(path)
    for mine, its in zip(model.get_weights(), weights.values(), strict=True):
        np.testing.assert_array_equal(mine, its)
    with h5py.File(path) as whole, h5py.File(tmp_path / "m.weights.h5", "w") as alone:
        part = whole["model_weights"]  # weights alone, as Keras 2.11 may have called them
        for name in part:
            part.copy(name, alone)
        for name, value in part.attrs.items():
            alone.attrs[name] = value
    model.set_weights([np.zeros_like(array) for array in model.get_weights()])
    model.load_weights(tmp_path / "m.weights.h5")
    np.testing.assert_array_equal(model.get_weights()[0], weights["first/kernel"])
    with pytest.raises(ValueError, match=r"has 3 layers with weights \(first, normal, last\)"):
        models.Sequential([layers.Input((3,)), layers.Dense(4)]).load_weights(path)
    other = models.Sequential([layers.Input((3,)), *parts[:3], layers.Dense(5)])
    with pytest.warns(UserWarning, match=r"has shape \(4, 5\), got \(4, 2\)"):
        other.load_weights(path, skip_mismatch=True)


WEIGHTS = ["first/kernel", "first/bias", "normal/gamma", "normal/beta", "last/kernel", "last/bias"]
MOMENTUM = {"name": "RMSprop", "learning_rate": 0.1, "momentum": 0.5, "centered": False}
STATES: dict[str, tuple[dict[str, Any], list[str]]] = {
    "adam of 2.4": (ADAM, [
        "training/Adam/iter:0",
        *(f"training/Adam/{name}/{slot}:0" for slot in "mv" for name in WEIGHTS),
    ]),
    "adam of 2.12": (ADAM, [
        "iteration:0", *(f"Adam/{slot}/{name}:0" for name in WEIGHTS for slot in "mv"),
    ]),
    "rmsprop of 2.4": ({"class_name": "RMSprop", "config": MOMENTUM}, [
        "RMSprop/iter:0",
        *(f"RMSprop/{name}/{slot}:0" for slot in ("rms", "momentum") for name in WEIGHTS),
    ]),
    "rmsprop of 2.12": ({"class_name": "RMSprop", "config": MOMENTUM}, [
        "iteration:0",
        *(f"RMSprop/{slot}/{name}:0" for slot in ("velocity", "momentum") for name in WEIGHTS),
    ]),
}  # fmt: skip


@pytest.mark.parametrize("case", STATES)
def test_an_optimizers_state(tmp_path: Path, case: str) -> None:
    """In the orders of Keras 2, as tf_keras's optimizers, old and new ones, make their slots."""
    optimizer, names = STATES[case]
    path = tmp_path / "m.h5"
    write(path, sequential(), ["first", "normal", "last"])
    values = {}
    with h5py.File(path, "r+") as file:
        file.attrs["training_config"] = json.dumps({**TRAINING, "optimizer_config": optimizer})
        del file["optimizer_weights"]
        slots = file.create_group("optimizer_weights")
        slots.attrs["weight_names"] = [name.encode() for name in names]
        slots.create_dataset(names[0], data=7)
        for at, name in enumerate(names[1:]):
            owner = next(weight for weight in WEIGHTS if weight in name)
            layer, _, kind = owner.partition("/")
            values[name] = np.full(SHAPES[layer][kind], at, np.float32)
            slots.create_dataset(name, data=values[name])
    model = models.load_model(path)
    assert model.optimizer.iterations.value == 7
    assert float(model.optimizer.learning_rate) == pytest.approx(optimizer["config"].get("lr", 0.1))
    own = {"m": "momentum", "v": "velocity", "rms": "velocity"}
    found = {variable.name: variable.value for variable in model.optimizer.variables[2:]}
    assert len(found) == len(values)
    for name, value in values.items():
        owner = next(weight for weight in WEIGHTS if weight in name)
        (slot,) = {part for part in name.partition(":")[0].split("/")} & {*own, *own.values()}
        np.testing.assert_array_equal(found[f"{owner}/{own.get(slot, slot)}"], value)


def attribute(name: str, value: Any) -> Callable[[Any], None]:
    return lambda file: file.attrs.__setitem__(name, value)


def config(**parts: Any) -> Callable[[Any], None]:
    given = sequential()
    given["config"][0].update(parts)
    return attribute("model_config", json.dumps(given))


KERNEL = "model_weights/last/last/kernel:0"
WRONG: dict[str, tuple[Callable[[Any], Any], str]] = {
    "no config": (lambda f: f.attrs.pop("model_config"), "describes no model"),
    "no JSON": (attribute("model_config", "{"), "'model_config' is no JSON"),
    "numbers": (attribute("model_config", 7), "attribute 'model_config' of '' is no text"),
    "a layer": (attribute("model_config", json.dumps(dense("d", 2))), "a Dense, which is no model"),
    "an operation of TensorFlow": (config(class_name="TFOpLambda"), "class TFOpLambda"),
    "a Lambda": (
        config(class_name="Lambda", config={"name": "l", "function": ["4wEAAA==", None, None]}),
        "ambda",
    ),
    "a billion units": (config(config={"units": 10**9, "batch_input_shape": [None, 3]}), "element"),
    "a layer missing": (lambda f: f.pop("model_weights/last"), "has 2 layers with weights"),
    "a weight missing": (lambda f: f.pop(KERNEL), "there is no 'model_weights/last/last/kernel:0'"),
    "no weights": (lambda f: f.pop("model_weights"), "has 0 layers with weights"),
    "names of nothing": (
        lambda f: f["model_weights"].attrs.__setitem__("layer_names", [b"x", b"y", b"z"]),
        "has 0 layers with weights",
    ),
    "a link": (
        lambda f: (f.pop(KERNEL), f.__setitem__(KERNEL, h5py.ExternalLink("/etc/passwd", "/"))),
        "is a link to another place",
    ),
    "no optimizer": (attribute("training_config", "{}"), "optimizer_config"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_errors(name: str, tmp_path: Path) -> None:
    path = tmp_path / "m.h5"
    write(path, sequential(), ["first", "normal", "last"])
    damage, reason = WRONG[name]
    with h5py.File(path, "r+") as file:
        damage(file)
    with pytest.raises(ValueError, match=reason) as caught:
        models.load_model(path)
    assert str(path) in str(caught.value)
