"""Models in files from Keras to graphc and back, where Keras is: GRAPHC_LIVE_KERAS=1.

Every layer of the tables in `tests/reference`, a model a line; every optimizer and the families of
`tests/reference/files` with training that goes on in the other library.
"""

import dataclasses
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from agreement import LIVE

if not LIVE:
    pytest.skip("GRAPHC_LIVE_KERAS=1 compares with Keras itself", allow_module_level=True)

import convolution
import keras
import layers
import recurrent
from families import DECAY, FAMILIES, Family, dense

import graphc

pytestmark = pytest.mark.filterwarnings("default")


def convolutional(lib: ModuleType, case: Any) -> Any:
    made = getattr(lib.layers, case.layer)(**case.arguments)
    last = [lib.layers.Flatten(), lib.layers.Dense(2)]
    return lib.models.Sequential([lib.layers.Input(case.shape), made, *last])


def repeated(lib: ModuleType, case: Any) -> Any:
    first = [lib.layers.Masking(0.5)] if case.masked else []
    parts = [*first, recurrent.layer(lib, case), lib.layers.Dense(2)]
    return lib.models.Sequential([lib.layers.Input((case.steps, 3)), *parts])


def merged(lib: ModuleType, case: Any) -> Any:
    inputs = [lib.layers.Input(shape) for shape in case.shapes]
    first = [lib.layers.Masking(0.5)(x) for x in inputs] if case.masked else inputs
    made = getattr(lib.layers, case.layer)(**case.arguments)
    if case.layer == "Normalization" and "mean" not in case.arguments:
        made.adapt(2 * layers.random(case, "data", (9, *case.shapes[0])) + 1)
    whole = first if len(first) > 1 else first[0]
    result = made(*first, **case.call) if case.separate else made(whole, **case.call)
    return lib.models.Model(inputs, lib.layers.Dense(2)(result))


TABLES = [(convolutional, convolution), (repeated, recurrent), (merged, layers)]
CASES = [pytest.param(make, case, id=case.name) for make, table in TABLES for case in table.CASES]


@pytest.mark.parametrize(("make", "case"), CASES)
def test_layer(make: Any, case: Any, tmp_path: Path) -> None:
    keras.backend.clear_session()
    random = np.random.default_rng(0)
    one, other = make(keras, case), make(graphc, case)
    weights = one.get_weights()
    if case.layer != "Normalization":  # Keras's does not notice new ones
        weights = [(random.random(w.shape) * 0.4 + 0.05).astype(w.dtype) for w in weights]
    one.set_weights(weights)
    other.set_weights(weights)
    x = [random.normal(size=(4, *t.shape[1:])).astype(np.float32) for t in one.inputs]
    given = x if len(x) > 1 else x[0]
    one.save(tmp_path / "keras.keras")
    other.save(tmp_path / "graphc.keras")
    results = [
        model.predict(given, verbose=0)
        for model in (
            one,
            other,
            graphc.models.load_model(tmp_path / "keras.keras"),
            keras.models.load_model(tmp_path / "graphc.keras"),
        )
    ]
    for result in results[1:]:
        np.testing.assert_allclose(result, results[0], rtol=1e-4, atol=1e-5)


OPTIMIZERS: list[tuple[str, dict[str, Any]]] = [
    ("SGD", {"learning_rate": 0.05, "momentum": 0.9, "nesterov": True}),
    ("Adam", {"learning_rate": 0.01, "weight_decay": 0.01}),
    ("Adam", {"learning_rate": DECAY, "clipnorm": 1.0}),
    ("Adam", {"learning_rate": 0.01, "gradient_accumulation_steps": 2}),
    ("AdamW", {"learning_rate": 0.01}),
    ("Adamax", {"learning_rate": 0.01}),
    ("Nadam", {"learning_rate": 0.01}),
    ("Adagrad", {"learning_rate": 0.05}),
    ("Adadelta", {"learning_rate": 0.5}),
    ("RMSprop", {"centered": True, "momentum": 0.5}),
    ("Ftrl", {"learning_rate": 0.05}),
    ("Lion", {"learning_rate": 0.001}),
    ("Lamb", {"learning_rate": 0.01}),
]  # fmt: skip
TRAINED = [*FAMILIES, *(Family(dense, ((3,),), optimizer=given) for given in OPTIMIZERS)]


@pytest.mark.parametrize("there", ["from Keras", "to Keras"])
@pytest.mark.parametrize("family", TRAINED, ids=lambda f: f"{f.name} {f.optimizer}")
def test_training_goes_on(family: Family, there: str, tmp_path: Path) -> None:
    if family.backend == "tensorflow" != keras.backend.backend():
        pytest.skip("KERAS_BACKEND=tensorflow trains it")
    keras.backend.clear_session()
    family = dataclasses.replace(family, suffix=".keras")
    source, target = (keras, graphc) if there == "from Keras" else (graphc, keras)
    model = family.compiled(source)
    model.set_weights(family.weights(model))
    if family.trains:
        family.losses(model)
    model.save(tmp_path / "m.keras")
    other = target.models.load_model(tmp_path / "m.keras")
    for one, two in zip(family.predictions(model), family.predictions(other), strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-4, atol=1e-5)
    if family.trains:
        np.testing.assert_allclose(family.losses(model), family.losses(other), rtol=1e-4)
