"""Whole models in files: what comes back, with a user's own parts, and what is refused."""

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from damage import zipped

from graphc import layers, models, ops, saving

X = np.random.default_rng(0).normal(size=(8, 3)).astype(np.float32)
Y = X[:, :2]


class Scale(layers.Layer):
    """A layer of one's own."""

    def __init__(self, start: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.start = start

    def build(self, input_shape: Any) -> None:
        self.factor = self.add_weight((), lambda shape, dtype=None: self.start, name="factor")

    def call(self, inputs: Any) -> Any:
        return ops.multiply(inputs, self.factor)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "start": self.start}


def far(y_true: Any, y_pred: Any) -> Any:
    return ops.mean(ops.square(y_true - y_pred), axis=-1)


def made() -> Any:
    x = layers.Input((3,), name="x")
    y = layers.Dense(2, name="y")(Scale(3.0)(x))
    model = models.Model(x, y)
    model.compile("adam", far, metrics=["mae"])
    return model


OWN = {"Scale": Scale, "far": far}


def test_an_optimizer_that_made_no_step_comes_back(tmp_path: Path) -> None:
    """Its state in the file has no slots yet, its rate may have changed: nothing to warn about."""
    path = tmp_path / "m.keras"
    model = made()
    model.optimizer.learning_rate = 0.5
    model.save(path)
    loaded = models.load_model(path, OWN)
    assert float(loaded.optimizer.learning_rate) == 0.5
    histories = [m.fit(X, Y, 4, 2, 0, shuffle=False).history for m in (model, loaded)]
    assert histories[0] == histories[1]
    with pytest.warns(UserWarning, match="state of optimizer 'adam.*' is not read"):
        loaded.load_weights(path)  # whose momentum is not that of a file before any step


def test_all_of_a_model_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "m.keras"
    model = made()
    model.fit(X, Y, 4, 2, 0, shuffle=False)
    model.save(path)
    loaded = saving.load_model(path, custom_objects=OWN)
    assert isinstance(loaded.layers[1], Scale) and loaded.layers[1].start == 3.0
    assert loaded.metrics_names == model.metrics_names
    np.testing.assert_array_equal(loaded.predict(X, verbose=0), model.predict(X, verbose=0))
    histories = [m.fit(X, Y, 4, 2, 0, shuffle=False).history for m in (model, loaded)]
    assert histories[0] == histories[1]
    plain = models.load_model(path, OWN, compile=False)
    assert not plain.compiled


def test_open_files_are_written_and_read(tmp_path: Path) -> None:
    model = models.Sequential([layers.Input((3,)), layers.Dense(2)])
    memory = io.BytesIO()
    model.save(memory)
    memory.seek(0)
    again = saving.load_model(memory)
    np.testing.assert_array_equal(again.predict(X, verbose=0), model.predict(X, verbose=0))
    path = tmp_path / "m.anything"
    with open(path, "wb") as file:
        saving.save_model(model, file)
    with open(path, "rb") as file:
        models.load_model(file)
    with pytest.raises(ValueError, match="load_model: BytesIO is not a whole zip"):
        models.load_model(io.BytesIO(memory.getvalue()[:-9]))


def test_what_is_unknown_is_named_all_at_once(tmp_path: Path) -> None:
    path = tmp_path / "m.keras"
    saving.save_model(made(), path)
    with pytest.raises(ValueError, match=r"m\.keras: .*Scale.*far"):
        saving.load_model(path)


def test_the_archive_is_keras_own(tmp_path: Path) -> None:
    path = tmp_path / "m.keras"
    made().save(path)
    with zipfile.ZipFile(path) as archive:
        assert archive.namelist() == ["metadata.json", "config.json", "model.weights.h5"]
        assert {info.compress_type for info in archive.infolist()} == {zipfile.ZIP_STORED}
        assert json.loads(archive.read("metadata.json"))["keras_version"] == "3.15.1"
        assert json.loads(archive.read("config.json"))["class_name"] == "Functional"


def test_an_error_names_keras_2(tmp_path: Path) -> None:
    """Of which not all .keras files can be read."""
    path = tmp_path / "m.keras"
    made().save(path)
    for text, note in ((b'{"keras_version": "2.15.0"}', True), (b"{}", False), (b"[", False)):
        zipped(lambda m, text=text: m.update({"metadata.json": text}))(path)
        with pytest.raises(ValueError, match="Scale") as caught:
            models.load_model(path)
        assert ("written by Keras 2.15.0: save the model as .h5" in str(caught.value)) == note


def test_an_archive_that_was_packed_again_is_read(tmp_path: Path) -> None:
    model = models.Sequential([layers.Input((3,)), layers.Dense(2)])
    model.save(tmp_path / "m.keras")
    with (
        zipfile.ZipFile(tmp_path / "m.keras") as archive,
        zipfile.ZipFile(tmp_path / "p.keras", "w", zipfile.ZIP_DEFLATED) as packed,
    ):
        for name in archive.namelist():
            packed.writestr(name, archive.read(name))
    loaded = models.load_model(tmp_path / "p.keras")
    np.testing.assert_array_equal(loaded.get_weights()[0], model.get_weights()[0])
    model.load_weights(tmp_path / "p.keras")


def test_models_that_cannot_be_written(tmp_path: Path) -> None:
    path = tmp_path / "m.keras"
    model = models.Sequential([layers.Input((3,)), layers.Dense(2)])
    with pytest.raises(ValueError, match=r"must end in \.keras, got '.*m\.h5'"):
        model.save(tmp_path / "m.h5")
    with pytest.raises(ValueError, match="has no weights before it is built"):
        models.Sequential([layers.Dense(2)]).save(path)
    model.compile("sgd", lambda y_true, y_pred: y_true - y_pred)
    with pytest.raises(ValueError, match="a lambda has no name"):
        model.save(path)
    assert not path.exists()
    model.compile("sgd", "mse")
    model.save(path)
    with pytest.raises(FileExistsError, match="overwrite is False"):
        model.save(path, overwrite=False)
    with pytest.raises(ValueError, match=r"must end in \.keras, \.h5 or \.hdf5"):
        models.load_model(tmp_path / "m.model")
