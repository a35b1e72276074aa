"""Random architectures: branches, merges and shared layers, native against the interpreter."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from graphc import layers, models, utils
from graphc.ir.interpret import interpret

SIZES = st.sampled_from([1, 3, 7, 17])
UNARY = {
    "dense": lambda draw: layers.Dense(draw(SIZES), draw(st.sampled_from(["tanh", "relu", None]))),
    "norm": lambda draw: layers.LayerNormalization(),
    "batch": lambda draw: layers.BatchNormalization(),
    "softmax": lambda draw: layers.Softmax(),
    "noise": lambda draw: layers.GaussianNoise(0.0),
    "elu": lambda draw: layers.ELU(),
    "fold": lambda draw: layers.Lambda(lambda x: x[:, ::-1] * 0.5),
}
IMAGES = {
    "conv": lambda draw: layers.Conv2D(draw(SIZES), draw(st.integers(1, 3)), padding="same"),
    "strided": lambda draw: layers.Conv2D(3, 3, strides=2, padding="same", activation="relu"),
    "depthwise": lambda draw: layers.DepthwiseConv2D(3, padding="same"),
    "pool": lambda draw: layers.MaxPooling2D(2, strides=1, padding="same"),
    "mean": lambda draw: layers.AveragePooling2D(3, strides=1, padding="same"),
    "batch": lambda draw: layers.BatchNormalization(),
}
MERGES = [layers.Add, layers.Multiply, layers.Maximum, layers.Average]


@st.composite
def networks(draw: Any, images: bool) -> models.Model:
    """A DAG of 3 to 12 layers; merges take two tensors of one shape, or put them side by side."""
    table = IMAGES if images else UNARY
    inputs = layers.Input((5, 6, 3) if images else (draw(SIZES),))
    tensors = [inputs]
    for _ in range(draw(st.integers(3, 12))):
        x = draw(st.sampled_from(tensors))
        fitting = [t for t in tensors if t.shape == x.shape]
        if draw(st.integers(0, 2)) == 0:
            other = draw(st.sampled_from(fitting))
            kind = draw(st.sampled_from([*MERGES, layers.Concatenate]))
            tensors.append(kind()([x, other]))
        else:
            tensors.append(table[draw(st.sampled_from(sorted(table)))](draw)(x))
    last = layers.Flatten()(tensors[-1]) if images else tensors[-1]
    return models.Model(inputs, layers.Dense(2)(layers.concatenate([last, last])))


def check(model: models.Model, seed: int) -> None:
    """Predictions, and weights after a step, are the interpreter's of the graphs as traced."""
    random = np.random.default_rng(seed)
    x = random.normal(size=(5, *model.input_shape[1:])).astype(np.float32)
    y = random.normal(size=(5, 2)).astype(np.float32)
    program = model.program_for(x)
    state = {name: v.value for name, v in program.variables.items()}
    wanted = interpret(program.manager.records[0].graph, {"x/0": x, **state}, {"batch": 5})
    found = model.predict(x, verbose=0)
    np.testing.assert_allclose(found, wanted["output/0"], 2e-4, 2e-5)
    model.compile("sgd", "mse")
    model.dump("traced", "train")
    (train,) = (p for kind, p in model.compiled_programs() if kind == "train")
    (graph,) = (r.graph for r in train.manager.records if r.name == "update")
    feeds = {name: v.value.copy() for name, v in train.variables.items()}
    feeds |= {"x/0": x, "y/0": y, "index": np.arange(5)}
    wanted = interpret(graph, feeds, {"batch": 5, "rows": 5})
    model.train_on_batch(x, y)
    for name, variable in train.variables.items():
        if name in wanted:
            scale = np.abs(wanted[name]).max(initial=1e-3)
            np.testing.assert_allclose(variable.value, wanted[name], 1e-3, 2e-4 * scale, name)


@settings(max_examples=12, deadline=None, derandomize=True, database=None)
@given(networks(images=False), st.integers(0, 1000))
def test_vectors(model: models.Model, seed: int) -> None:
    utils.set_random_seed(seed)
    check(model, seed)


@settings(max_examples=8, deadline=None, derandomize=True, database=None)
@given(networks(images=True), st.integers(0, 1000))
def test_images(model: models.Model, seed: int) -> None:
    utils.set_random_seed(seed)
    check(model, seed)
