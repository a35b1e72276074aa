"""Models in files from Keras to graphc and back, where Keras is: GRAPHC_LIVE_KERAS=1.

Every layer, loss, metric and optimizer of the tables in `tests/reference`, and the families of
`tests/reference/files`, with training that goes on in the other library.
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

import keras
import losses
import metrics
import optimizers
import tables
from families import FAMILIES

import graphc

pytestmark = pytest.mark.filterwarnings("default")
BOTH = [(keras, graphc), (graphc, keras)]
WAYS = pytest.mark.parametrize(("source", "target"), BOTH, ids=["from Keras", "to Keras"])


def objects(lib: ModuleType) -> dict[str, Any]:
    """What is in no library."""
    return {"doubled": tables.doubled, "Holder": tables.holder(lib)}


@pytest.mark.parametrize("case", tables.MODELS, ids=lambda model: model.name)
def test_layer(case: tables.Model, tmp_path: Path) -> None:
    keras.backend.clear_session()
    random = np.random.default_rng(0)
    one, other = case.build(keras), case.build(graphc)
    weights = one.get_weights()
    if case.given_weights:
        weights = [(random.random(w.shape) * 0.4 + 0.05).astype(w.dtype) for w in weights]
    one.set_weights(weights)
    other.set_weights(weights)
    x = case.inputs(one)
    one.save(tmp_path / "keras.keras")
    other.save(tmp_path / "graphc.keras")
    results = [
        model.predict(x, verbose=0)
        for model in (
            one,
            other,
            graphc.models.load_model(tmp_path / "keras.keras", objects(graphc)),
            keras.models.load_model(tmp_path / "graphc.keras", objects(keras)),
        )
    ]
    for result in results[1:]:
        np.testing.assert_allclose(result, results[0], rtol=1e-4, atol=1e-5)


@WAYS
@pytest.mark.parametrize("case", tables.PREPARING, ids=lambda case: case.name)
def test_layer_that_prepares(case: Any, source: Any, target: Any, tmp_path: Path) -> None:
    """With what it took from data."""
    pytest.importorskip("tensorflow")
    if source is keras and case.data is not None and case.arguments.get("split") == "character":
        pytest.skip("Keras cannot read its file: a token is a line break")
    model = tables.holding(source, case)
    model.save(tmp_path / "m.keras")
    other = target.models.load_model(tmp_path / "m.keras", objects(target))
    call = {key: np.array(value, np.float32) for key, value in case.call.items()}
    one, two = (np.asarray(m.layers[1].held(np.array(case.inputs), **call)) for m in (model, other))
    np.testing.assert_allclose(one, two, rtol=1e-6) if one.dtype.kind == "f" else (
        np.testing.assert_array_equal(one, two)
    )


@WAYS
@pytest.mark.parametrize(
    ("table", "case"),
    [pytest.param(t, case, id=case.name) for t in (losses, optimizers) for case in t.CASES],
)
def test_compiled(table: Any, case: Any, source: Any, target: Any, tmp_path: Path) -> None:
    """With every loss and every optimizer, and the optimizer's state."""
    keras.backend.clear_session()
    model, data = table.compiled(source, case)
    fit = {"batch_size": 3, "epochs": 2, "shuffle": False, "verbose": 0}
    model.fit(**data, **fit)
    model.save(tmp_path / "m.keras")
    other = target.models.load_model(tmp_path / "m.keras")
    if source is keras:  # whose own model fails in a second fit that keeps averages
        model = keras.models.load_model(tmp_path / "m.keras")
    one, two = (m.fit(**data, **fit).history for m in (model, other))
    assert one.keys() == two.keys()
    for name, wanted in one.items():
        np.testing.assert_allclose(two[name], wanted, rtol=2e-4, atol=1e-6)


@WAYS
@pytest.mark.parametrize("case", metrics.CASES, ids=lambda case: case.name)
def test_metric(case: Any, source: Any, target: Any, tmp_path: Path) -> None:
    keras.backend.clear_session()
    model = metrics.compiled(source, case)
    model.save(tmp_path / "m.keras")
    other = target.models.load_model(tmp_path / "m.keras")
    ones, others = (m.get_compile_config()["weighted_metrics"] for m in (model, other))
    assert [part["class_name"] for part in ones] == [part["class_name"] for part in others]
    if case.target != "ints":
        x, y = metrics.made(case, case.output, "p"), metrics.made(case, case.target, "y")
        one, two = (m.evaluate(x, y, 4, verbose=0, return_dict=True)["m"] for m in (model, other))
        np.testing.assert_allclose(one, two, rtol=1e-4)


@WAYS
@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_training_goes_on(family: Any, source: Any, target: Any, tmp_path: Path) -> None:
    if family.backend == "tensorflow" != keras.backend.backend():
        pytest.skip("KERAS_BACKEND=tensorflow trains it")
    keras.backend.clear_session()
    family = dataclasses.replace(family, suffix=".keras")
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
