"""ModelCheckpoint: which files there are, and what is in them."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from graphc import callbacks, layers, models

X = np.random.default_rng(0).normal(size=(20, 3)).astype(np.float32)
Y = X.sum(1, keepdims=True)


def trained(*watch: callbacks.Callback, epochs: int = 3) -> models.Model:
    model = models.Sequential([layers.Input((3,)), layers.Dense(1, kernel_initializer="ones")])
    model.compile("sgd", "mse")
    model.fit(X, Y, 4, epochs, 0, callbacks=list(watch), validation_data=(X, Y))
    return model


def checkpoint(path: Path, **options: Any) -> callbacks.ModelCheckpoint:
    return callbacks.ModelCheckpoint(path, save_weights_only=True, **options)


def test_each_epoch_has_its_file(tmp_path: Path) -> None:
    model = trained(checkpoint(tmp_path / "new" / "{epoch:02d}-{val_loss:.1f}.weights.h5"))
    names = sorted(path.name[:2] for path in (tmp_path / "new").iterdir())
    assert names == ["01", "02", "03"]
    last = max((tmp_path / "new").iterdir())
    weights = model.get_weights()
    model.set_weights([0 * w for w in weights])
    model.load_weights(last)
    for got, wanted in zip(model.get_weights(), weights, strict=True):
        np.testing.assert_array_equal(got, wanted)


def test_every_so_many_batches(tmp_path: Path) -> None:
    trained(checkpoint(tmp_path / "{epoch}.{batch}.weights.h5", save_freq=4))
    names = sorted(path.name.removesuffix(".weights.h5") for path in tmp_path.iterdir())
    assert names == ["1.4", "2.3", "3.2"]  # 5 batches an epoch; the count goes on


def test_whole_models(tmp_path: Path) -> None:
    path = tmp_path / "{epoch}.keras"
    model = trained(callbacks.ModelCheckpoint(path), epochs=2)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["1.keras", "2.keras"]
    loaded = models.load_model(tmp_path / "2.keras")
    np.testing.assert_array_equal(loaded.get_weights()[0], model.get_weights()[0])
    again = [m.fit(X, Y, 4, 1, 0, shuffle=False).history["loss"] for m in (model, loaded)]
    assert again[0] == again[1]


def test_the_best_only(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    worse = iter([3.0, 1.0, 2.0])
    loss = callbacks.LambdaCallback(on_epoch_end=lambda _, logs: logs.update(val_loss=next(worse)))
    best = tmp_path / "{epoch}.weights.h5"
    trained(loss, checkpoint(best, save_best_only=True, verbose=1, initial_value_threshold=2.5))
    assert [path.name for path in tmp_path.iterdir()] == ["2.weights.h5"]
    assert "val_loss improved from 2.50000 to 1.00000" in capsys.readouterr().out


WRONG: dict[str, tuple[dict[str, Any], type[Exception], str]] = {
    "whole": ({"save_weights_only": False}, ValueError, r"must end in \.keras, got 'm\.weights"),
    "name": ({"filepath": "m.h5"}, ValueError, r"must end in \.weights\.h5, got 'm\.h5'"),
    "freq": ({"save_freq": "batch"}, ValueError, "save_freq must be 'epoch' or an int"),
}


@pytest.mark.parametrize("name", WRONG)
def test_errors(name: str) -> None:
    options, kind, message = WRONG[name]
    with pytest.raises(kind, match=message):
        callbacks.ModelCheckpoint(
            **{"filepath": "m.weights.h5", "save_weights_only": True, **options}
        )


def test_a_name_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(KeyError, match="names 'acc', which is not among epoch"):
        trained(checkpoint(tmp_path / "{acc}.weights.h5"), epochs=1)
