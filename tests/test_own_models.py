"""Models that are classes of the user's own, and models from tensors inside of others."""

from typing import Any

import numpy as np
import pytest

from graphc import layers, models, ops


class Block(models.Model):
    def __init__(self, units: int) -> None:
        super().__init__()
        self.first = layers.Dense(units, activation="relu")
        self.more = [layers.Dense(units) for _ in range(2)]
        self.dropout = layers.Dropout(0.5)

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        x = self.first(inputs)
        for layer in self.more:
            x = x + layer(x)
        return self.dropout(x, training=training)


class TwoHeads(models.Model):
    def __init__(self) -> None:
        super().__init__()
        self.block = Block(8)
        self.classes = layers.Dense(3, activation="softmax")
        self.value = layers.Dense(1)

    def call(self, inputs: Any) -> Any:
        x = self.block(inputs)
        return {"class": self.classes(x), "value": self.value(x)}


X = np.random.default_rng(0).random((50, 5), dtype=np.float32)
Y = {"class": np.arange(50) % 3, "value": X.sum(1)}


def test_fit_with_named_outputs() -> None:
    model = TwoHeads()
    model.compile(
        "adam",
        loss={"class": "sparse_categorical_crossentropy", "value": "mse"},
        metrics={"class": ["accuracy"]},
    )
    history = model.fit(X, Y, epochs=20, verbose=0).history
    assert set(history) == {"loss", "class_loss", "value_loss", "class_accuracy"}
    assert history["loss"][-1] < history["loss"][0]
    results = model.predict(X, verbose=0)
    assert {name: r.shape for name, r in results.items()} == {"class": (50, 3), "value": (50, 1)}
    assert [layer.name for layer in model.layers] == [
        model.block.name, model.classes.name, model.value.name
    ]  # fmt: skip
    # In the order of the attributes, as in Keras.
    assert [w.shape for w in model.weights[:3]] == [(5, 8), (8,), (8, 8)]
    assert model.count_params() == 228


def test_weights_go_to_a_file_and_back(tmp_path: Any) -> None:
    one, other = TwoHeads(), TwoHeads()
    one.build((None, 5))
    one.save_weights(tmp_path / "m.weights.h5")
    other.build((None, 5))
    other.load_weights(tmp_path / "m.weights.h5")
    np.testing.assert_array_equal(one(X)["value"], other(X)["value"])


def test_as_a_layer_of_a_functional_model() -> None:
    block = Block(4)
    inputs = layers.Input((5,))
    outer = models.Model(inputs, layers.Dense(2)(block(inputs)))
    assert outer.predict(X, verbose=0).shape == (50, 2)
    assert outer.count_params() == block.count_params() + 10
    # The class is the same model on its own.
    kernel, bias = outer.layers[-1].get_weights()
    expected = block.predict(X, verbose=0) @ kernel + bias
    np.testing.assert_allclose(outer.predict(X, verbose=0), expected, rtol=1e-5, atol=1e-6)


def test_own_weights_and_several_inputs() -> None:
    class Product(models.Model):
        def build(self, input_shape: Any) -> None:
            self.kernel = self.add_weight((input_shape["u"][-1], 2))

        def call(self, inputs: Any) -> Any:
            return ops.matmul(inputs["u"] * inputs["v"], self.kernel)

    model = Product()
    model.compile("sgd", "mse")
    model.fit({"u": X, "v": X}, np.ones((50, 2)), verbose=0)
    expected = (X * X) @ model.get_weights()[0]
    np.testing.assert_allclose(model.predict({"v": X, "u": X}, verbose=0), expected, rtol=1e-5)


def test_summary_has_the_shapes_of_the_calls() -> None:
    model = Block(4)
    model.build((None, 5))
    lines: list[str] = []
    model.summary(print_fn=lines.append)
    assert "(None, 4)" in lines[0] and "?" not in lines[0]


def test_train_step_is_refused() -> None:
    class Own(Block):
        def train_step(self, data: Any) -> Any:
            return {}

    with pytest.raises(ValueError, match="Own defines train_step"):
        Own(2).compile("sgd", "mse")


def test_model_from_inner_tensors() -> None:
    inputs = layers.Input((5,))
    hidden = layers.Dense(4, activation="relu")(inputs)
    outputs = layers.Dense(3)(ops.tanh(hidden))
    whole = models.Model(inputs, outputs)
    front, back = models.Model(inputs, hidden), models.Model(hidden, outputs)
    expected = whole.predict(X, verbose=0)
    got = back.predict(front.predict(X, verbose=0), verbose=0)
    np.testing.assert_array_equal(got, expected)
    assert back.layers[0].output.shape == (None, 4) and back.count_params() == 15
    assert len(whole.layers) == 4  # unchanged
    back.compile("sgd", "mse")
    back.fit(np.ones((4, 4)), np.ones((4, 3)), verbose=0)
    assert np.abs(whole.predict(X, verbose=0) - expected).max() > 0  # the layers are shared


def test_inputs_that_no_output_needs() -> None:
    a, b = layers.Input((5,)), layers.Input((7,), name="unused")
    model = models.Model([a, b], layers.Dense(2)(a))
    model.compile("sgd", "mse")
    data = [X, np.ones((50, 7), np.float32)]
    model.fit(data, np.ones((50, 2)), verbose=0)
    assert model.predict(data, verbose=0).shape == (50, 2)
    assert "unused" in [layer.name for layer in model.layers[:2]]
