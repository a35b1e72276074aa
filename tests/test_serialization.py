"""What configurations may name: own objects, plain values; and what is refused, and how."""

import json
from typing import Any

import numpy as np
import pytest

from graphc import initializers, layers, losses, metrics, models, ops, optimizers, regularizers
from graphc.budget import building
from graphc.saving import (
    CustomObjectScope,
    custom_object_scope,
    deserialize_keras_object,
    get_custom_objects,
    get_registered_name,
    get_registered_object,
    register_keras_serializable,
    serialize_keras_object,
)


@register_keras_serializable("tests")
class Scaled(layers.Layer):
    def __init__(self, factor: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.factor = factor

    def call(self, inputs: Any) -> Any:
        return inputs * self.factor


class Cell(layers.Layer):
    def __init__(self, units: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.units = self.state_size = units

    def build(self, input_shape: Any) -> None:
        self.kernel = self.add_weight((input_shape[-1], self.units), name="kernel")

    def call(self, inputs: Any, states: Any) -> Any:
        return ops.matmul(inputs, self.kernel), states


def doubled(x: Any) -> Any:
    return x * 2.0


def wrong_by(y_true: Any, y_pred: Any) -> Any:
    return ops.mean(ops.abs(y_true - y_pred), axis=-1)


def config_of(layer: str, **arguments: Any) -> dict[str, Any]:
    return {
        "module": "keras.layers", "class_name": layer, "config": arguments, "registered_name": None
    }  # fmt: skip


# Own objects.


def test_registration() -> None:
    assert get_registered_name(Scaled) == "tests>Scaled"
    assert get_registered_object("tests>Scaled") is Scaled
    assert get_custom_objects()["tests>Scaled"] is Scaled
    assert get_registered_name(doubled) == "doubled"
    assert get_registered_object("doubled") is None
    with custom_object_scope({"doubled": doubled}):
        with CustomObjectScope({"other": Cell}):
            assert get_registered_object("doubled") is doubled
        assert get_registered_object("other") is None
    assert get_registered_object("doubled", {"doubled": doubled}) is doubled
    with pytest.raises(ValueError, match="class int has no get_config"):
        register_keras_serializable()(int)


def test_a_layer_of_ones_own_is_written_with_its_constructors_arguments() -> None:
    config = serialize_keras_object(Scaled(0.5, name="s"))
    assert (config["class_name"], config["registered_name"]) == ("Scaled", "tests>Scaled")
    assert config["config"]["factor"] == 0.5
    again = deserialize_keras_object(config)
    assert (type(again), again.factor, again.name) == (Scaled, 0.5, "s")
    with pytest.raises(ValueError, match="argument 'factor' is an object; define get_config"):
        serialize_keras_object(Scaled(layers.Dense(2)))  # type: ignore[arg-type]


def test_own_objects_in_a_model() -> None:
    model = models.Sequential(
        [
            layers.Input((4, 3)),
            layers.RNN([Cell(3), Cell(2)], return_sequences=True),
            layers.TimeDistributed(layers.Dense(2, activation=doubled)),
            layers.Lambda(doubled),
        ]
    )
    model.compile("sgd", wrong_by, metrics=[wrong_by])
    config = model.to_json()
    own = {"Cell": Cell, "doubled": doubled, "wrong_by": wrong_by}
    assert models.model_from_json(config, own).to_json() == config
    with pytest.raises(ValueError, match=r"(?s)class Cell.*function doubled.*function wrong_by"):
        models.model_from_json(config)


def test_strings_mean_own_objects_in_a_scope() -> None:
    with custom_object_scope({"doubled": doubled, "wrong_by": wrong_by}):
        assert layers.Dense(1, activation="doubled").activation is doubled
        assert losses.get("wrong_by").fn is wrong_by  # type: ignore[attr-defined]
        assert metrics.get("wrong_by").fn is wrong_by  # type: ignore[attr-defined]


# Values.


@pytest.mark.parametrize(
    "value",
    [None, True, 3, 0.5, "text", [1, [2.5, None]], {"a": {"b": [1]}}, slice(1, None, 2), ..., b"x"],
)
def test_values_are_read_again(value: Any) -> None:
    config = json.loads(json.dumps(serialize_keras_object(value)))
    assert deserialize_keras_object(config) == value


def test_arrays() -> None:
    array = np.arange(6, dtype=np.int32).reshape(2, 3)
    again = deserialize_keras_object(json.loads(json.dumps(serialize_keras_object(array))))
    assert again.dtype == array.dtype
    np.testing.assert_array_equal(again, array)
    assert serialize_keras_object(np.float32(0.5)) == 0.5


def test_what_cannot_be_written() -> None:
    with pytest.raises(TypeError, match="object has no get_config"):
        serialize_keras_object(object())
    lambda_layer = layers.Lambda(lambda x: x)
    with pytest.raises(ValueError, match="a lambda has no name to find it by"):
        serialize_keras_object(lambda_layer)
    x = layers.Input((3,))
    model = models.Model(x, ops.clip(x, 0.0, ops.max(x)))
    with pytest.raises(ValueError, match=r"a tensor as x_max of ops\.clip cannot be written"):
        model.get_config()


def test_each_kind_reads_and_writes() -> None:
    made: list[tuple[Any, Any]] = [
        (initializers, initializers.HeNormal(seed=1)),
        (regularizers, regularizers.L2(0.5)),
        (losses, losses.Huber(0.5)),
        (metrics, metrics.AUC(num_thresholds=5)),
        (optimizers, optimizers.Adam(0.5)),
        (optimizers.schedules, optimizers.schedules.CosineDecay(0.1, 10)),
        (layers, layers.Dense(3)),
    ]
    for module, instance in made:
        config = module.serialize(instance)
        assert module.serialize(module.deserialize(config)) == config
    assert isinstance(optimizers.get({"class_name": "adam", "config": {}}), optimizers.Adam)
    assert losses.get({"class_name": "mean_squared_error", "config": {}}).name
    with pytest.raises(ValueError, match="expected the config of a layer"):
        layers.deserialize(losses.serialize(losses.Huber()))


# Options.


def test_penalties_are_attributes() -> None:
    dense = layers.Dense(2, kernel_regularizer="l2", bias_constraint="non_neg")
    assert isinstance(dense.kernel_regularizer, regularizers.L2)  # type: ignore[attr-defined]
    assert dense.bias_regularizer is None  # type: ignore[attr-defined]
    lstm = layers.LSTM(2, recurrent_regularizer="l1")
    assert isinstance(lstm.recurrent_regularizer, regularizers.L1)
    depthwise = layers.DepthwiseConv2D(2, depthwise_regularizer="l2")
    depthwise.build((None, 4, 4, 1))
    assert depthwise.kernel.regularizer is depthwise.depthwise_regularizer  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("layer", "option"),
    [("ReLU", "gamma_constraint"), ("Dense", "gamma_regularizer"), ("Flatten", "kernel_constraint"),
     ("Conv2D", "embeddings_regularizer"), ("BatchNormalization", "kernel_regularizer")],
)  # fmt: skip
def test_penalties_on_weights_that_are_not_there(layer: str, option: str) -> None:
    arguments = {"Dense": (2,), "Conv2D": (2, 3)}.get(layer, ())
    with pytest.raises(TypeError, match=f"{layer}: unknown argument '{option}'"):
        getattr(layers, layer)(*arguments, **{option: None})


def test_options_that_have_their_default() -> None:
    layers.Dense(2, quantization_config=None, lora_rank=None, autocast=True)
    layers.BatchNormalization(renorm=False, renorm_momentum=0.99)
    with pytest.raises(ValueError, match="Dense: lora_rank must be None"):
        layers.Dense(2, lora_rank=4)
    with pytest.raises(ValueError, match="Dense: dtype must be 'float32', got 'mixed_float16'"):
        layers.Dense(2, dtype="mixed_float16")
    seed = {"module": "keras.random", "class_name": "SeedGenerator", "config": {"seed": 3}}
    assert deserialize_keras_object(config_of("Dropout", rate=0.5, seed=seed)).seed == 3


# What is refused.


def test_all_that_is_not_there_is_named_at_once() -> None:
    bad = [
        config_of("RandomHue", factor=0.1, name="turn"),
        config_of("Dense", units=2, name="d", lora_rank=4, kernel_initializer={
            "module": "keras.initializers", "class_name": "STFT", "config": {}}),
        config_of("Dense", units=2, name="e", activation={
            "module": "builtins", "class_name": "function", "config": "my_own"}),
        {"module": "os", "class_name": "system", "config": {}, "registered_name": "system"},
        config_of("Dense", units=2, name="f", dtype={
            "module": "keras", "class_name": "DTypePolicy", "config": {"name": "mixed_float16"}}),
        config_of("InputLayer", batch_shape=[None, 1], dtype="string", name="g"),
    ]  # fmt: skip
    config = {"module": "keras", "class_name": "Sequential", "config": {"name": "s", "layers": bad}}
    with pytest.raises(ValueError, match="not there") as caught:
        deserialize_keras_object(config)
    for part in (
        "class keras.layers.RandomHue (in RandomHue 'turn')",
        "lora_rank=4 (in Dense 'd')",
        "class keras.initializers.STFT (in Dense 'd')",
        "function my_own (in Dense 'e')",
        "class system",
        "dtype='mixed_float16' (in Dense 'f')",
        "dtype='string' (in InputLayer 'g')",
    ):
        assert part in str(caught.value)


def test_wrong_arguments_of_several_layers_are_named_at_once() -> None:
    bad = [config_of("Dense", units=-1), config_of("Dropout", rate=2.0), config_of("ReLU", no=1)]
    config = {"module": "keras", "class_name": "Sequential", "config": {"name": "s", "layers": bad}}
    with pytest.raises(ValueError, match=r"(?s)units must be.*rate must be.*unknown argument 'no'"):
        deserialize_keras_object(config)


@pytest.mark.parametrize("safe_mode", [True, False])
def test_code_is_never_run(safe_mode: bool) -> None:
    code = {"class_name": "__lambda__", "config": {"code": "4wEA", "defaults": None}}
    with pytest.raises(ValueError, match="marshalled Python, which is never run"):
        deserialize_keras_object(config_of("Lambda", function=code), safe_mode=safe_mode)


@pytest.mark.parametrize(
    ("module", "name"),
    [("builtins", "eval"), ("os", "system"), ("keras.utils", "get_file"), ("graphc.utils", "re"),
     ("keras.src.ops.numpy", "np"), ("subprocess", "Popen")],
)  # fmt: skip
def test_modules_are_never_imported(module: str, name: str) -> None:
    function = {"module": module, "class_name": "function", "config": name}
    for config in (function, {"module": module, "class_name": name, "config": {}}):
        with pytest.raises(ValueError, match=f"{name}"):
            deserialize_keras_object(config)


def test_deep_configs() -> None:
    config: Any = {}
    for _ in range(10_000):
        config = {"layer": [config]}
    with pytest.raises(ValueError, match="may have 200 levels"):
        deserialize_keras_object(config)
    with pytest.raises(ValueError, match="nested too deep"):
        models.model_from_json("[" * 100_000 + "]" * 100_000)
    with pytest.raises(ValueError, match="no JSON"):
        models.model_from_json("{'a': 1}")


def test_sizes_are_bounded() -> None:
    config = config_of("Dense", units=10**9) | {"build_config": {"input_shape": [None, 10**6]}}
    with building(max_parameters=100), pytest.raises(ValueError, match="100 are left of those"):
        deserialize_keras_object(config)
    small = config_of("Dense", units=3) | {"build_config": {"input_shape": [None, 2]}}
    with building(max_parameters=9, initial_values=False):
        assert not deserialize_keras_object(small).kernel.numpy().any()
        with pytest.raises(ValueError, match="has 6 elements, where 0 are left"):
            deserialize_keras_object(small)
    auc = metrics.serialize(metrics.AUC()) | {"config": {"num_thresholds": 10**9}}
    iou = {"module": "keras.metrics", "class_name": "MeanIoU", "config": {"num_classes": 10**6}}
    for huge in (auc, iou):
        with building(), pytest.raises(ValueError, match="elements, at most 10000000 are allowed"):
            deserialize_keras_object(huge)


def test_sizes_that_would_make_graphs_without_end() -> None:
    config = config_of("UpSampling2D", size=[10**9, 1], interpolation="bilinear")
    with pytest.raises(ValueError, match="size must be at most 256"):
        deserialize_keras_object(config)


def calls(*nodes: list[Any]) -> dict[str, Any]:
    """A model of two inputs' layers and Dense layers with calls on these tensors."""
    start = config_of("InputLayer", batch_shape=[None, 3], name="x") | {"name": "x"}
    made = [
        config_of("Dense", units=3, name=f"d{at}") | {"name": f"d{at}", "inbound_nodes": [
            {"args": [{"class_name": "__keras_tensor__", "config": {"keras_history": place}}],
             "kwargs": {}} for place in places]}
        for at, places in enumerate(nodes)
    ]  # fmt: skip
    ends = {"input_layers": [["x", 0, 0]], "output_layers": [["d0", 0, 0]]}
    config = {"name": "m", "layers": [start, *made], **ends}
    return {
        "module": "keras.src.models.functional", "class_name": "Functional", "config": config,
        "registered_name": "Functional",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (calls([["d1", 0, 0]], [["d0", 0, 0]]), "calls wait for each other"),
        (calls([["y", 0, 0]]), "there is no call"),
        (calls([["x", 1, 0]]), "there is no call"),
        (calls([["x", 0, 1]]), "there is no tensor"),
        (calls([["x", 0, 0]], [["x", 0, -1]]), "there is no tensor"),
        (calls([]), "there is no tensor"),
    ],
)
def test_graphs_that_do_not_fit_together(config: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        deserialize_keras_object(config)


def test_a_long_chain_is_read_in_linear_time() -> None:
    count = 200
    nodes = [[[f"d{at + 1}", 0, 0]] for at in range(count - 1)]
    config = calls(*nodes, [["x", 0, 0]])  # each layer before those it needs
    model = deserialize_keras_object(config)
    assert len(model.layers) == count + 1
