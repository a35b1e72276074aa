"""A layer of one's own: a gated linear unit with a learned scale, in a digits classifier.

A layer makes its weights in `build` and computes with `graphc.ops` in `call`; it is differentiated,
fused and compiled like the built-in ones. Run: python examples/own_layer.py
"""

from __future__ import annotations

from typing import Any

from graphc import datasets, layers, models, ops, utils


class GatedDense(layers.Layer):
    """scale * (x @ value) * sigmoid(x @ gate), from (batch, features) to (batch, units)."""

    def __init__(self, units: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.units = units

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        features = input_shape[-1]
        assert features is not None
        self.value = self.add_weight((features, self.units), name="value")
        self.gate = self.add_weight((features, self.units), name="gate")
        self.scale = self.add_weight((self.units,), initializer="ones", name="scale")

    def call(self, inputs: Any) -> Any:
        opened = ops.sigmoid(ops.matmul(inputs, self.gate))
        return ops.matmul(inputs, self.value) * opened * self.scale


def main() -> float:
    """Trains, and returns the accuracy on images held out."""
    utils.set_random_seed(0)
    (x_train, y_train), (x_test, y_test) = datasets.digits.load_data()
    model = models.Sequential(
        [
            layers.Input(shape=(8, 8)),
            layers.Flatten(),
            GatedDense(96),
            layers.Dense(10, activation="softmax"),
        ]
    )
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(x_train / 16, y_train, batch_size=64, epochs=10, verbose=2)
    accuracy = float(model.evaluate(x_test / 16, y_test, verbose=0)[1])
    print(f"accuracy on {len(x_test)} images held out: {accuracy:.3f}")
    return accuracy


if __name__ == "__main__":
    main()
