"""What all layers share, and layers of one's own."""

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from graphc import layers, models, ops, optimizers

Array = np.ndarray


def draw(*shape: int) -> Array:
    return np.random.default_rng(sum(shape)).normal(size=shape).astype(np.float32)


class Block(layers.Layer):
    """Layers as attributes of all kinds, and a weight of its own."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.inner = layers.Dense(3)
        self._hidden = layers.Dense(3, use_bias=False)
        self.chain: list[layers.Layer] = []
        self.chain.append(layers.Dense(3, use_bias=False))
        self.table = {"last": layers.Dense(3, use_bias=False)}

    def build(self, input_shape: Any) -> None:
        self.scale = self.add_weight((input_shape[-1],), "ones", name="scale")

    def call(self, inputs: Any) -> Any:
        x = self._hidden(self.inner(inputs) * self.scale)
        for layer in self.chain:
            x = layer(x)
        return self.table["last"](x) + inputs


def block_model() -> Any:
    return models.Sequential([layers.Input((3,)), Block(name="block")])


def test_layers_within_layers_are_found_and_trained() -> None:
    model = block_model()
    assert [w.shape for w in model.weights] == [(3,), (3, 3), (3,), (3, 3), (3, 3), (3, 3)]
    before = model.get_weights()
    x = draw(6, 3)
    scale, kernel, bias, *others = (w.astype(np.float64) for w in before)
    wanted = (x @ kernel + bias) * scale
    for other in others:
        wanted = wanted @ other
    np.testing.assert_allclose(model.predict(x, verbose=0), wanted + x, rtol=1e-5, atol=1e-5)
    model.compile(optimizers.SGD(0.1), "mse")
    model.train_on_batch(x, -x)
    assert all((a != b).any() for a, b in zip(before, model.get_weights(), strict=True))


def test_files_name_layers_within_layers_by_attribute(tmp_path: Path) -> None:
    """As Keras 3.15 does: its files and graphc's were read by each other."""
    model, path = block_model(), tmp_path / "block.weights.h5"
    model.save_weights(path)
    names: list[str] = []
    with h5py.File(path) as file:
        file.visititems(lambda name, item: names.append(name) if hasattr(item, "shape") else None)
    assert sorted(names) == [
        f"layers/block/{rest}"
        for rest in (
            "_hidden/vars/0", "chain/dense/vars/0", "inner/vars/0", "inner/vars/1",
            "table/dense/vars/0", "vars/0",
        )
    ]  # fmt: skip
    other = block_model()
    other.load_weights(path)
    for a, b in zip(model.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


class Mode(layers.Layer):
    """1 in training, else 0."""

    def call(self, inputs: Any, training: bool = False) -> Any:
        return ops.full_like(inputs, float(training))


def test_layers_are_told_whether_it_is_training() -> None:
    model = models.Sequential([layers.Input((1,)), Mode()])
    model.compile("sgd", "mse")
    x = np.zeros((2, 1), np.float32)
    assert model.fit(x, x, verbose=0).history["loss"] == [1.0]
    assert model.evaluate(x, x, verbose=0) == 0.0
    assert not model.predict(x, verbose=0).any() and model(x, training=True).all()


def test_several_results() -> None:
    class Both(layers.Layer):
        def call(self, inputs: Any) -> Any:
            return {"sum": inputs[0] + inputs[1], "first": inputs[0]}

    a, b = layers.Input((2,)), layers.Input((2,))
    results = Both()([a, b])
    x, y = draw(3, 2), draw(3, 2) + 1
    first, total = models.Model([a, b], [results["first"], results["sum"]]).predict(
        [x, y], verbose=0
    )
    np.testing.assert_array_equal(first, x)
    np.testing.assert_array_equal(total, x + y)


def test_a_layer_without_call() -> None:
    with pytest.raises(TypeError, match=r"Nothing must define call\(self, inputs\)"):
        type("Nothing", (layers.Layer,), {})()(layers.Input((2,)))


def test_an_error_in_build_or_call_names_layer_and_input() -> None:
    class Picky(layers.Layer):
        def build(self, input_shape: Any) -> None:
            raise ValueError(f"odd width {input_shape[-1]}")

    message = (
        r"layer 'p' \(Picky\) cannot take the output of 'pixels' of shape \(None, 3\): odd width 3"
    )
    with pytest.raises(ValueError, match=message):
        Picky(name="p")(layers.Input((3,), name="pixels"))


def test_config() -> None:
    for layer in (
        layers.Dense(3, activation="relu", use_bias=False, name="d", trainable=False),
        layers.Dropout(0.25, noise_shape=(None, 1), seed=3, name="drop"),
        layers.Activation("tanh", name="act"),
        layers.Flatten(name="flat"),
    ):
        config = layer.get_config()
        again = type(layer).from_config(config)
        assert again.get_config() == config
        assert (again.name, again.trainable) == (layer.name, layer.trainable)


def test_symbolic_tensors_show_what_they_are() -> None:
    x = layers.Input((3, None), name="pixels")
    assert (x.shape, x.ndim, x.dtype) == ((None, 3, None), 3, "float32")
    assert repr(x) == "<SymbolicTensor shape=(None, 3, None), dtype=float32, name=pixels>"
    with pytest.raises(TypeError, match="has no truth value"):
        bool(x > 0)
