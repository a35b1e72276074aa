"""Sequential and functional models: how they are put together, and what they predict."""

from typing import Any

import numpy as np
import pytest

from graphc import layers, models, ops

Array = np.ndarray


def draw(*shape: int) -> Array:
    return np.random.default_rng(sum(shape)).normal(size=shape).astype(np.float32)


def dense(x: Array, layer: Any) -> Array:
    kernel, bias = layer.get_weights()
    return x @ kernel + bias


def close(actual: Any, wanted: Array) -> None:
    assert actual.shape == wanted.shape
    np.testing.assert_allclose(actual, wanted, rtol=1e-5, atol=1e-5)


# Sequential.


def test_shapes_come_with_the_data() -> None:
    model = models.Sequential([layers.Dense(4), layers.Dense(2)])
    assert not model.built and model.weights == [] and len(model.layers) == 2
    with pytest.raises(AttributeError, match="has no inputs yet"):
        _ = model.input
    x = draw(6, 3)
    result = model.predict(x, verbose=0)
    assert model.built and model.input_shape == (None, 3) and model.output_shape == (None, 2)
    close(result, dense(dense(x, model.layers[0]), model.layers[1]))


@pytest.mark.parametrize("wrap", [np.asarray, np.ndarray.tolist, lambda x: [x]])
def test_shapes_come_with_the_first_fit(wrap: Any) -> None:
    model = models.Sequential([layers.Dense(2)])
    model.compile("sgd", "mse")
    with pytest.raises(ValueError, match=r"of shape \(None,\)"):
        model.fit(np.ones(4), np.ones(4))
    model.fit(wrap(draw(4, 3)), draw(4, 2), verbose=0)
    assert model.input_shape == (None, 3) and len(model.weights) == 2


def test_shapes_come_with_the_first_call() -> None:
    inner = models.Sequential([layers.Dense(2)])
    x = layers.Input((None, 3))
    assert inner(x).shape == (None, None, 2)
    assert inner.input_shape == (None, None, 3)


@pytest.mark.parametrize(
    "first",
    [
        [layers.Dense(2, input_shape=(3,))],
        [layers.Dense(2, input_shape=[3])],
        [layers.Dense(2, input_shape=3)],
        [layers.Dense(2, input_dim=3)],
        [layers.Dense(2, batch_input_shape=(None, 3))],
        [layers.Input((3,)), layers.Dense(2)],
        [layers.InputLayer((3,)), layers.Dense(2)],
    ],
    ids=str,
)
def test_shapes_given(first: list[Any]) -> None:
    model = models.Sequential(first)
    assert model.built and model.input_shape == (None, 3) and model.output_shape == (None, 2)
    assert [type(layer).__name__ for layer in model.layers] == ["Dense"]
    assert model.input is model.inputs[0] and model.output is model.outputs[0]


def test_build() -> None:
    model = models.Sequential([layers.Dense(2)])
    model.build((None, 5))
    assert [w.shape for w in model.weights] == [(5, 2), (2,)]
    with pytest.raises(ValueError, match="has no layers"):
        models.Sequential().build((None, 5))


def test_add_and_pop() -> None:
    model = models.Sequential([layers.Input((3,)), layers.Dense(4, name="a")])
    x = draw(5, 3)
    first = model.predict(x, verbose=0)
    model.add(layers.Dense(2, name="b"))
    assert model.output_shape == (None, 2) and len(model.weights) == 4
    close(model.predict(x, verbose=0), dense(first, model.layers[1]))
    assert model.pop().name == "b"
    assert model.output_shape == (None, 4) and len(model.weights) == 2
    np.testing.assert_array_equal(model.predict(x, verbose=0), first)


def test_pop_of_a_layer_that_another_model_has_too() -> None:
    shared = layers.Dense(4)
    model = models.Sequential([layers.Input((3,)), layers.Dense(4), shared])
    models.Sequential([layers.Input((4,)), shared])
    model.pop()
    assert model.output_shape == (None, 4) and len(model.weights) == 2


def test_adding_what_does_not_fit_fails_at_once_and_names_both() -> None:
    seven = layers.Dense(2, name="seven")
    models.Sequential([layers.Input((7,)), seven])
    model = models.Sequential([layers.Input((3,)), layers.Dense(4, name="four")])
    with pytest.raises(ValueError) as caught:
        model.add(seven)
    message = str(caught.value)
    for part in ("'seven' (Dense)", "'four' of shape (None, 4)", "expected 7 features", "got 4"):
        assert part in message
    assert len(model.layers) == 1 and model.output_shape == (None, 4)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda x: x, "expected a layer, got function"),
        (layers.Dense, "expected a layer, got type"),
        (layers.Dense(1, name="twice"), "already is a layer named 'twice'"),
        (layers.Input((3,)), "Input must come first"),
    ],
)
def test_add_errors(wrong: Any, message: str) -> None:
    model = models.Sequential([layers.Input((3,)), layers.Dense(1, name="twice")])
    with pytest.raises(ValueError, match=message):
        model.add(wrong)
    assert len(model.layers) == 1


def test_pop_of_nothing() -> None:
    with pytest.raises(ValueError, match="there are no layers"):
        models.Sequential().pop()


# Functional models.


def test_a_shared_layer_has_one_set_of_weights() -> None:
    a, b, shared = layers.Input((3,)), layers.Input((3,)), layers.Dense(2, bias_initializer="ones")
    model = models.Model([a, b], ops.subtract(shared(a), 2.0 * shared(b)))
    assert [w.shape for w in model.get_weights()] == [(3, 2), (2,)]
    x, y = draw(4, 3), draw(4, 3) + 1
    close(model.predict([x, y], verbose=0), dense(x, shared) - 2 * dense(y, shared))
    with pytest.raises(AttributeError, match="was called 2 times"):
        _ = shared.output


def test_models_are_layers() -> None:
    inner = models.Sequential(
        [layers.Input((3,)), layers.Dense(4, activation="relu")], name="inner"
    )
    x = layers.Input((3,))
    model = models.Model(x, layers.Dense(2)(inner(x)))
    assert [layer.name for layer in model.layers][1] == "inner"
    assert len(model.weights) == 4
    data = draw(5, 3)
    hidden = np.maximum(dense(data, inner.layers[0]), 0)
    close(model.predict(data, verbose=0), dense(hidden, model.layers[-1]))


def test_several_inputs_and_outputs() -> None:
    a, b = layers.Input((3,), name="a"), layers.Input((2,), name="b")
    model = models.Model([a, b], [a * 2.0, b + 1.0, layers.Flatten()(b)])
    x, y = draw(4, 3), draw(4, 2)
    given: list[Any] = [[x, y], (x, y), {"a": x, "b": y}, {"b": y, "a": x, "other": x}]
    for data in given:
        results = model.predict(data, verbose=0)
        assert isinstance(results, list)
        for result, wanted in zip(results, (x * 2, y + 1, y), strict=True):
            np.testing.assert_array_equal(result, wanted)
    assert model.input_shape == [(None, 3), (None, 2)]
    assert model.output_shape == [(None, 3), (None, 2), (None, 2)]
    assert model.input == model.inputs and model.output == model.outputs


def test_structures_of_inputs_and_outputs() -> None:
    a, b = layers.Input((2,), name="first"), layers.Input((2,), name="second")
    model = models.Model({"p": a, "q": b}, {"difference": a - b, "sum": a + b})
    x, y = draw(3, 2), draw(3, 2) + 5
    for data in ({"q": y, "p": x}, {"second": y, "first": x}):
        results = model.predict(data, verbose=0)
        assert list(results) == ["difference", "sum"]
        np.testing.assert_array_equal(results["difference"], x - y)
        np.testing.assert_array_equal(results["sum"], x + y)
    outer = models.Model([a, b], model({"q": b, "p": a})["difference"])
    np.testing.assert_array_equal(outer.predict([x, y], verbose=0), x - y)
    with pytest.raises(ValueError, match=r"has inputs \['p', 'q'\], got \['p'\]"):
        model.predict({"p": x}, verbose=0)


@pytest.mark.parametrize(("structure", "kind"), [(list, np.ndarray), (tuple, np.ndarray)])
def test_one_output_in_a_list_is_that_output(structure: Any, kind: Any) -> None:
    x = layers.Input((2,))
    assert type(models.Model([x], structure([x + 1])).predict(draw(3, 2), verbose=0)) is kind
    pair = models.Model(x, structure([x + 1, x + 2])).predict(draw(3, 2), verbose=0)
    assert type(pair) is structure


def test_tensors_of_a_model_make_another() -> None:
    model = models.Sequential(
        [layers.Input((3,)), layers.Dense(4, name="hidden"), layers.Dense(2, name="top")]
    )
    hidden = models.Model(model.input, model.get_layer("hidden").output)
    x = draw(5, 3)
    close(hidden.predict(x, verbose=0), dense(x, model.layers[0]))
    assert model.layers[1].input is model.layers[0].output
    inputs = layers.Input((3,), name="pixels")
    first = models.Model(inputs, layers.Dense(2)(inputs)).layers[0]
    assert first.input is inputs and first.output is inputs


def test_get_layer() -> None:
    model = models.Sequential(
        [layers.Input((3,)), layers.Dense(4, name="a"), layers.Dense(2, name="b")]
    )
    assert model.get_layer("b") is model.get_layer(index=1) is model.get_layer(index=-1)
    for arguments, message in (
        ({"name": "c"}, r"no layer 'c'; there are \['a', 'b'\]"),
        ({"index": 2}, "no layer at index 2; there are 2"),
        ({}, "either a name or an index"),
        ({"name": "a", "index": 0}, "either a name or an index"),
    ):
        with pytest.raises(ValueError, match=message):
            model.get_layer(**arguments)  # type: ignore[arg-type]


A, B = layers.Input((3,), name="a"), layers.Input((3,), name="b")
WRONG: dict[str, tuple[Any, Any, str]] = {
    "disconnected": (A, layers.Dense(2)(B), r"need the tensor of 'b' \(test_models\.py:\d+\)"),
    "half": (A, layers.Dense(2)(A + B), "need the tensor of 'b'"),
    "double": (A, layers.Dense(2, name="x")(layers.Dense(3, name="x")(A)), r"\['x'\] repeat"),
    "behind": (layers.Dense(3, name="h")(A), A, r"need the tensor of 'a' .* inputs \['h'\]"),
    "array": (np.ones(3), A, "inputs must be tensors .* got ndarray"),
    "layer": (A, layers.Dense(3), "outputs must be tensors .* got Dense"),
    "nothing": (A, None, "outputs must be tensors .* got NoneType"),
    "empty": ([], A, "inputs must be tensors"),
}


def test_batch_size_shows_and_does_not_bind() -> None:
    model = models.Sequential([layers.Input(shape=(3,), batch_size=32), layers.Dense(2)])
    assert model.input_shape == (32, 3) and model.output_shape == (32, 2)
    assert model.predict(draw(5, 3), verbose=0).shape == (5, 2)
    assert layers.Input(batch_shape=(4, 3)).shape == (4, 3)
    with pytest.raises(ValueError, match="batch_size must be an int of at least 1, got 0"):
        layers.Input((3,), batch_size=0)
    with pytest.raises(ValueError, match="takes the place of shape"):
        layers.Input((3,), batch_shape=(2, 3))


@pytest.mark.parametrize("name", WRONG)
def test_graph_errors(name: str) -> None:
    inputs, outputs, message = WRONG[name]
    with pytest.raises(ValueError, match=message):
        models.Model(inputs, outputs)


def test_calling_layers_wrongly() -> None:
    with pytest.raises(TypeError, match=r"'d' is called on layers\.Input's tensors.* got float"):
        layers.Dense(2, name="d")([[1.0, 2.0]])
    inner = models.Sequential([layers.Input((3,), name="inside"), layers.Dense(2)])
    with pytest.raises(
        ValueError, match=r"input 'inside' expects shape \(None, 3\), got \[batch, 4\]"
    ):
        inner(layers.Input((4,)))
    with pytest.raises(ValueError, match="expected 1 inputs, got 2"):
        inner([A, B])


# Predictions.


@pytest.fixture(scope="module")
def network() -> Any:
    x = layers.Input((20,))
    hidden = layers.Dense(33, activation="tanh")(x)
    return models.Model(x, layers.Dense(7, activation="softmax")(hidden))


def test_predictions_do_not_depend_on_the_batch(network: Any) -> None:
    x = draw(203, 20)
    whole = network.predict(x, verbose=0)
    close(whole.sum(-1), np.ones(203))
    for size in (1, 7, 32, 203, 1000):
        np.testing.assert_array_equal(network.predict(x, batch_size=size, verbose=0), whole)
    np.testing.assert_array_equal(network.predict_on_batch(x[:5]), whole[:5])
    np.testing.assert_array_equal(network(x[7:8]), whole[7:8])


def test_calling_a_model_predicts(network: Any) -> None:
    for x in (draw(3, 20), draw(1, 20), np.asfortranarray(draw(3, 20)), draw(6, 20)[::2]):
        wanted = network.predict(x, verbose=0)
        for _ in range(3):  # the second call takes a shorter way
            np.testing.assert_array_equal(network(x), wanted)
        np.testing.assert_array_equal(network(x.tolist()), wanted)


@pytest.mark.parametrize(
    "dtype", ["float16", "float64", "int8", "uint8", "int64", "uint64", ">f4", "bool"]
)
def test_data_of_other_dtypes(network: Any, dtype: str) -> None:
    x = np.abs(np.round(4 * draw(3, 20))).astype(dtype)
    wanted = network.predict(x.astype(np.float32), verbose=0)
    np.testing.assert_array_equal(network.predict(x, verbose=0), wanted)
    for _ in range(2):
        np.testing.assert_array_equal(network(x), wanted)


def test_outputs_of_other_dtypes_by_both_ways() -> None:
    x = layers.Input((3,), dtype="int32")
    model = models.Model(x, x + 1)
    data = np.int32([[1, 2, 3]])
    for result in (model.predict(data, verbose=0), model(data), model(data)):
        assert result.dtype == np.int32
        np.testing.assert_array_equal(result, [[2, 3, 4]])


def test_lengths_known_only_when_the_model_runs() -> None:
    inner_input = layers.Input((None, 3))
    inner = models.Model(inner_input, layers.Dense(2)(inner_input))
    a, b = layers.Input((None, 3)), layers.Input((5, 3))
    model = models.Model([a, b], [inner(a), inner(b)])
    for length in (1, 4, 9):
        x, y = draw(2, length, 3), draw(2, 5, 3)
        for data, result in zip((x, y), model.predict([x, y], verbose=0), strict=True):
            close(result, dense(data, inner.layers[1]))
    assert model.output_shape == [(None, None, 2), (None, 5, 2)]


def test_a_subclass_with_inputs_and_outputs() -> None:
    class Mine(models.Model):
        pass

    x = layers.Input((3,))
    data = draw(2, 3)
    np.testing.assert_array_equal(Mine(x, x * 2.0).predict(data, verbose=0), data * 2)
    with pytest.raises(ValueError, match="neither tensors nor a call"):
        Mine().predict(data, verbose=0)
