"""Files that real Keras 2 wrote: `tests/reference/files/keras_2.tar.xz`."""

import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from graphc import layers, models

ARCHIVE = Path(__file__).parent.parent / "reference" / "files" / "keras_2.tar.xz"
with tarfile.open(ARCHIVE) as archive:
    FILES = sorted(name for name in archive.getnames() if name.endswith(".h5"))
NAMES = [name.removesuffix(".h5") for name in FILES if not name.endswith(".weights.h5")]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("keras_2")
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(folder, filter="data")
    return folder


@pytest.fixture(scope="module")
def results(folder: Path) -> dict[str, np.ndarray]:
    with np.load(folder / "results.npz") as file:
        return dict(file)


def arrays(results: dict[str, np.ndarray], name: str) -> Any:
    """One array, or a list of several."""
    found = [value for key, value in results.items() if key.rpartition("/")[0] == name]
    return found if len(found) > 1 else found[0]


def assert_predicts(model: Any, name: str, results: dict[str, np.ndarray]) -> None:
    predicted = model.predict(arrays(results, f"{name}/x"), batch_size=4, verbose=0)
    wanted = arrays(results, f"{name}/prediction")
    several = isinstance(wanted, list)
    for one, two in zip(
        *([predicted, wanted] if several else [[predicted], [wanted]]), strict=True
    ):
        np.testing.assert_allclose(one, two, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_a_model_goes_on(name: str, folder: Path, results: dict[str, np.ndarray]) -> None:
    if name == "new_Nadam":
        with pytest.warns(UserWarning, match="state of optimizer 'Nadam' is not read"):
            assert_predicts(models.load_model(folder / f"{name}.h5"), name, results)
        return
    model = models.load_model(folder / f"{name}.h5")
    assert_predicts(model, name, results)
    history = {key.split("/")[2]: value for key, value in results.items()
               if key.startswith(f"{name}/history/")}  # fmt: skip
    assert model.compiled is bool(history)
    if history:
        x, y = (arrays(results, f"{name}/{part}") for part in "xy")
        mine = model.fit(x, y, batch_size=4, epochs=2, shuffle=False, verbose=0).history
        assert set(mine) == set(history)
        for key, wanted in history.items():
            np.testing.assert_allclose(mine[key], wanted, rtol=2e-4, err_msg=key)


@pytest.mark.parametrize("name", [n for n in NAMES if f"{n}.weights.h5" in FILES])
def test_weights_alone_are_read(name: str, folder: Path, results: dict[str, np.ndarray]) -> None:
    model = models.load_model(folder / f"{name}.h5")
    for suffix in (".h5", ".weights.h5"):
        model.set_weights([np.zeros_like(weight) for weight in model.get_weights()])
        model.load_weights(folder / f"{name}{suffix}")
        assert_predicts(model, name, results)


def test_weights_go_to_layers_of_the_same_name(folder: Path) -> None:
    whole = models.load_model(folder / "several_dicts.h5")
    x = layers.Input((3,))
    first = layers.Dense(3, name="shared")
    model = models.Model(x, layers.Dense(5, name="other")(first(x)))
    other = model.get_layer("other").get_weights()
    model.load_weights(folder / "several_dicts.h5", by_name=True)
    pairs = [(first, whole.get_layer("shared").get_weights()), (model.get_layer("other"), other)]
    for layer, weights in pairs:
        for one, two in zip(layer.get_weights(), weights, strict=True):
            np.testing.assert_array_equal(one, two)
    wide = models.Model(x, layers.Dense(4, name="shared")(x))
    with pytest.raises(ValueError, match=r"has shape \(3, 4\), got \(3, 3\)"):
        wide.load_weights(folder / "several_dicts.h5", by_name=True)
    with pytest.raises(ValueError, match="by_name is for files of older versions"):
        model.load_weights("m.weights.h5", by_name=True)


def test_a_model_is_written_anew(tmp_path: Path, folder: Path, results: Any) -> None:
    """With `hard_sigmoid`, which was another function then."""
    for name in ("dense", "translation", "siamese", "old_decay"):
        models.load_model(folder / f"{name}.h5").save(tmp_path / "m.keras")
        assert_predicts(models.load_model(tmp_path / "m.keras"), name, results)
