"""Configurations of models: as Keras writes them, both ways; models made of them and of others."""

import json
from typing import Any

import numpy as np
import pytest
from agreed_configs import KERAS, plain
from configs import MODELS

import graphc
from graphc import layers, losses, models, ops, optimizers
from graphc.models import Model, clone_model, model_from_json

# Keras writes masks as functions of the inputs, and its own functions' options.
READ_ONLY = ("sequence", "functions_with_defaults")
SILENT = {"training": False, "mask": None, "constant_values": None}


def written(model: Any) -> Any:
    return comparable(json.loads(model.to_json()))


def comparable(config: Any) -> Any:
    """Without what Keras writes of the moment when a model is put together, and of its backend."""

    def kept(part: Any) -> Any:
        if isinstance(part, dict):
            return {
                key: kept(value)
                for key, value in part.items()
                if key != "jit_compile" and (key not in SILENT or value is not SILENT[key])
            }
        return [kept(value) for value in part] if isinstance(part, list) else part

    return kept(plain(config))


@pytest.mark.parametrize("name", [name for name in MODELS if name not in READ_ONLY])
def test_a_model_is_written_as_keras_does(name: str) -> None:
    assert written(MODELS[name](graphc)) == comparable(KERAS[name])  # type: ignore[arg-type]


@pytest.mark.parametrize("name", [name for name in MODELS if name not in READ_ONLY])
def test_a_model_of_keras_is_read(name: str) -> None:
    assert written(model_from_json(json.dumps(KERAS[name]))) == comparable(KERAS[name])


@pytest.mark.parametrize("name", ["functions", "functions_with_defaults", "sequence", "own_calls"])
def test_a_model_of_keras_computes_the_same(name: str) -> None:
    made = MODELS[name](graphc)  # type: ignore[arg-type]
    read = model_from_json(json.dumps(KERAS[name]))
    read.set_weights(made.get_weights())
    x = np.random.default_rng(0).normal(size=(3, *made.inputs[0].shape[1:])).astype(np.float32)
    x[:, 1:] *= x[:, :1] > 0  # some masked steps
    pairs = zip(flat(made.predict(x, verbose=0)), flat(read.predict(x, verbose=0)), strict=True)
    for expected, actual in pairs:
        np.testing.assert_array_equal(actual, expected)


def flat(results: Any) -> list[np.ndarray]:
    parts = results.values() if isinstance(results, dict) else results
    if isinstance(results, np.ndarray):
        return [results]
    return [array for part in parts for array in flat(part)]


def test_from_config_and_get_config() -> None:
    for name in ("heads", "compiled"):
        model = MODELS[name](graphc)  # type: ignore[arg-type]
        again = type(model).from_config(model.get_config())
        assert again.get_config() == model.get_config()


def test_a_compiled_model_trains_on() -> None:
    model = models.Sequential([layers.Input((4,)), layers.Dense(1, kernel_regularizer="l2")])
    rate = optimizers.schedules.ExponentialDecay(0.1, 2, 0.5)
    model.compile(optimizers.SGD(rate, momentum=0.9), losses.Huber(0.5))
    again = model_from_json(model.to_json())
    again.set_weights(model.get_weights())
    assert again.optimizer.built
    x = np.random.default_rng(1).random((5, 4), dtype=np.float32)
    y = 3 * x[:, :1]
    history = [m.fit(x, y, epochs=2, shuffle=False, verbose=0).history for m in (model, again)]
    assert history[0] == history[1]


def test_compiling_again_keeps_what_is_not_given() -> None:
    model = models.Sequential([layers.Input((2,)), layers.Dense(1)])
    assert model.get_compile_config() == {}
    model.compile("sgd", "mse")
    assert model.get_compile_config()["metrics"] is None
    model.compile("sgd", "mse", metrics=["mae"])
    model.compile("adam")
    config = model.get_compile_config()
    assert (config["loss"], config["metrics"]) == ("mse", ["mae"])
    assert config["optimizer"]["class_name"] == "Adam"


class Own(models.Model):
    def __init__(self, units: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.units = units
        self.first, self.last = layers.Dense(units), layers.Dense(1)

    def call(self, inputs: Any) -> Any:
        return self.last(self.first(inputs["x"]))


def test_a_model_with_a_call_of_its_own() -> None:
    model = Own(3, name="own")
    model.build({"x": (None, 4)})
    model.compile("sgd", "mse")
    again = model_from_json(model.to_json(), {"Own": Own})
    assert (type(again), again.units, again.name) == (Own, 3, "own")
    assert again.to_json() == model.to_json()
    assert [w.shape for w in again.weights] == [w.shape for w in model.weights]
    assert clone_model(model).units == 3
    with pytest.raises(ValueError, match="not there: class Own"):
        model_from_json(model.to_json())


def test_a_layer_of_several_models_stays_one() -> None:
    x, y, z = (layers.Input((4,)) for _ in range(3))
    tied = layers.Dense(4, name="tied")
    model = models.Model(z, models.Model(y, tied(y))(models.Model(x, tied(x))(z)))
    assert "shared_object_id" in model.to_json()
    again = model_from_json(model.to_json())
    assert len(again.weights) == 2
    first, second = (part.get_layer("tied") for part in again.layers[1:])
    assert first is second
    assert "shared_object" not in models.Sequential([layers.Input((4,)), tied]).to_json()


def test_a_config_of_keras_2_is_read() -> None:
    dense = {"name": "d", "units": 2, "activation": "relu", "batch_input_shape": [None, 3]}
    model = models.Sequential.from_config(
        {"name": "old", "layers": [{"class_name": "Dense", "config": dense}]}
    )
    assert (model.name, model.input_shape, model.output_shape) == ("old", (None, 3), (None, 2))
    start = {"class_name": "InputLayer", "name": "x", "inbound_nodes": []}
    start["config"] = {"name": "x", "batch_input_shape": [None, 3], "dtype": "float32"}
    d = {"class_name": "Dense", "name": "d", "config": {"name": "d", "units": 2}}
    both = {"class_name": "Add", "name": "a", "config": {"name": "a"}}
    d["inbound_nodes"] = [[["x", 0, 0, {}]]]
    both["inbound_nodes"] = [[["d", 0, 0, {}], ["d", 0, 0, {}]]]
    config = {
        "name": "m", "layers": [start, d, both],
        "input_layers": [["x", 0, 0]], "output_layers": [["a", 0, 0]],
    }  # fmt: skip
    assert Model.from_config(config).output_shape == (None, 2)


def test_clones_have_layers_of_their_own() -> None:
    x = layers.Input((4,), name="x")
    twice = layers.Dense(4, name="d")
    model = models.Model({"x": x}, [ops.concatenate([twice(twice(x)), x], -1) * 2.0])
    model.compile("adam", "mse")
    clone = clone_model(model)
    assert clone.to_json() == model.to_json()
    assert clone.get_layer("d") is not twice
    assert len(clone.weights) == 2
    renamed = clone_model(
        models.Sequential([layers.Input((4,)), twice]),
        clone_function=lambda layer: type(layer).from_config({**layer.get_config(), "name": "e"}),
    )
    assert [layer.name for layer in renamed.layers] == ["e"]


def test_clones_with_another_call_on_other_tensors() -> None:
    x = layers.Input((4,))
    model = models.Model(x, layers.Dense(2, name="d")(x))

    def then_drop(layer: Any, *args: Any, **kwargs: Any) -> Any:
        return layers.Dropout(0.5)(layer(*args, **kwargs))

    other = layers.Input((4,), name="other")
    clone = clone_model(model, input_tensors=other, call_function=then_drop)
    assert [type(layer).__name__ for layer in clone.layers] == ["InputLayer", "Dense", "Dropout"]
    assert clone.inputs == [other]
    with pytest.raises(ValueError, match="input_tensors must be 1 tensors"):
        clone_model(model, input_tensors=[other, other])
    chain = models.Sequential([layers.Input((4,)), layers.Dense(2)])
    with pytest.raises(ValueError, match="call_function is for functional models"):
        clone_model(chain, call_function=then_drop)


CALLS: dict[str, Any] = {
    "dropout": lambda: layers.Dropout(0.5),
    "noise": lambda: layers.GaussianNoise(9.0),
    "normalization": layers.BatchNormalization,
    "attention": lambda: layers.MultiHeadAttention(1, 2, dropout=0.5),
    "recurrent": lambda: layers.SimpleRNN(2, dropout=0.5, return_sequences=True),
    "wrapped": lambda: layers.TimeDistributed(layers.Dropout(0.5)),
    "both ways": lambda: layers.Bidirectional(layers.LSTM(1, dropout=0.5, return_sequences=True)),
    "model": lambda: models.Sequential([layers.Input((4, 3)), layers.Dropout(0.5)]),
}


@pytest.mark.parametrize("training", [False, True, None])
@pytest.mark.parametrize("name", CALLS)
def test_what_a_call_says_of_training_is_kept(name: str, training: bool | None) -> None:
    """Through a configuration: whether predict and training compute what inference does."""
    layer, inputs = CALLS[name](), layers.Input((4, 3))
    arguments = [inputs, inputs] if name == "attention" else [inputs]
    said = {} if training is None else {"training": training}
    made, plain = Model(inputs, layer(*arguments, **said)), Model(inputs, layer(*arguments))
    read = model_from_json(made.to_json())
    assert written(read) == written(made)
    read.set_weights(made.get_weights())
    x = np.random.default_rng(0).normal(size=(2, 4, 3)).astype(np.float32)
    inference = plain.predict(x, verbose=0)
    for model in (made, read):
        assert np.array_equal(model.predict(x, verbose=0), inference) == (training is not True)
        assert np.array_equal(model(x, training=True), inference) == (training is False)


@pytest.mark.parametrize("name", ["dropout", "noise", "recurrent"])
def test_what_keras_writes_with_every_call_is_not_said(name: str) -> None:
    inputs = layers.Input((4, 3))
    config = json.loads(Model(inputs, CALLS[name]()(inputs)).to_json())
    (node,) = config["config"]["layers"][1]["inbound_nodes"]
    node["kwargs"]["training"] = False
    x = np.ones((2, 4, 3), np.float32)
    read = model_from_json(json.dumps(config))
    assert not np.array_equal(read.predict(x, verbose=0), read(x, training=True))
    # Keras 2 wrote it where it was said.
    node = [[*node["args"][0]["config"]["keras_history"], {"training": False}]]
    config["config"]["layers"][1]["inbound_nodes"] = [node]
    read = model_from_json(json.dumps(config))
    np.testing.assert_array_equal(read.predict(x, verbose=0), read(x, training=True))


def test_augmentation_is_for_training_unless_it_is_said() -> None:
    """Keras writes `training=True` with every call of these layers."""
    inputs = layers.Input((4, 4, 3))
    plain = Model(inputs, layers.RandomBrightness(0.5)(inputs))
    said = Model(inputs, layers.RandomBrightness(0.5)(inputs, training=True))
    config = json.loads(plain.to_json())
    (node,) = config["config"]["layers"][1]["inbound_nodes"]
    node["kwargs"]["training"] = True
    x = np.random.default_rng(0).random((2, 4, 4, 3)).astype(np.float32)
    for text, changes in ((json.dumps(config), False), (said.to_json(), True)):
        model = model_from_json(text)
        assert np.array_equal(model.predict(x, verbose=0), x) != changes
        assert not np.array_equal(model(x, training=True), x)
