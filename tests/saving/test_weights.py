"""Weights and optimizers' states in files."""

import resource
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from safetensors.numpy import load_file
from small_models import branches, nested, small

from graphc import layers, models, ops, optimizers

X = np.random.default_rng(0).normal(size=(8, 3)).astype(np.float32)
Y = X[:, :2]


class Blocks(layers.Layer):
    """Layers in attributes and in nested containers, one of them twice."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._last = layers.Dense(3)
        self.first = layers.Dense(3)
        self.more = [layers.Dense(3), {"a": layers.Dense(3)}, self.first, layers.Dense(3)]

    def build(self, input_shape: Any) -> None:
        self.count = self.add_weight((), "zeros", trainable=False, name="count")
        self.factor = self.add_weight((input_shape[-1],), "ones", name="factor")

    @property
    def last(self) -> Any:
        return self._last

    def call(self, inputs: Any) -> Any:
        x = self.first(inputs * self.factor) + self.count
        for layer in (self.more[0], self.more[1]["a"], self.more[3], self._last):
            x = layer(x)
        return x


def datasets(path: Path) -> list[str]:
    """Names of all datasets of an HDF5 file."""
    names: list[str] = []
    with h5py.File(path) as file:
        file.visititems(lambda name, item: names.append(name) if hasattr(item, "shape") else None)
    return names


@pytest.mark.parametrize("make", [small, branches, nested])
def test_files_give_the_weights_back(make: Any, tmp_path: Path) -> None:
    path = tmp_path / "model.weights.h5"
    model, other = make(), make()
    model.save_weights(path)
    other.load_weights(str(path))
    for mine, its in zip(model.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(mine, its)
    assert [p.name for p in tmp_path.iterdir()] == ["model.weights.h5"]


def test_files_are_laid_out_as_keras_does(tmp_path: Path) -> None:
    path = tmp_path / "model.weights.h5"
    nested().save_weights(path)
    assert datasets(path) == [
        f"layers/{group}/vars/{at}"
        for group in (
            "dense", "functional/layers/dense", "sequential/layers/dense",
            "sequential/layers/dense_1",
        )
        for at in (0, 1)
    ]  # fmt: skip


def test_files_that_do_not_fit_change_nothing(tmp_path: Path) -> None:
    model = models.Sequential([layers.Input((3,)), layers.Dense(4), layers.Dense(2)])
    before = model.get_weights()
    good = tmp_path / "other.weights.h5"
    text = tmp_path / "text.weights.h5"
    text.write_text("no HDF5")
    short = models.Sequential([layers.Input((3,)), layers.Dense(4)])
    wide = models.Sequential([layers.Input((3,)), layers.Dense(4), layers.Dense(5)])
    for other, message in (
        (short, r"layers/dense_1/vars: layer 'dense_\d+': expected 2 arrays, got 0"),
        (wide, r"dense_\d+/kernel' has shape \(4, 2\), got \(4, 5\)"),
    ):
        other.save_weights(good)
        with pytest.raises(ValueError, match=message):
            model.load_weights(good)
    with pytest.raises(ValueError, match=r"text\.weights\.h5 is not a whole HDF5 file"):
        model.load_weights(text)
    with pytest.raises(FileNotFoundError, match=r"absent\.weights\.h5"):
        model.load_weights(tmp_path / "absent.weights.h5")
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_saving_errors(tmp_path: Path) -> None:
    path = tmp_path / "model.weights.h5"
    with pytest.raises(ValueError, match=r"must end in \.weights\.h5"):
        small().save_weights(tmp_path / "model.h5")
    with pytest.raises(ValueError, match="before it is built"):
        models.Sequential([layers.Dense(2)]).save_weights(path)
    with pytest.raises(ValueError, match="must be built"):
        small().save_weights(path)
        models.Sequential([layers.Dense(2)]).load_weights(path)
    with pytest.raises(FileExistsError, match="overwrite is False"):
        small().save_weights(path, overwrite=False)
    small().save_weights(path)


@pytest.mark.parametrize("suffix", [".weights.h5", ".keras"])
def test_a_full_disk_leaves_the_old_file(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"model{suffix}"
    model = models.Sequential([layers.Input((300,)), layers.Dense(300)])
    save = model.save if suffix == ".keras" else model.save_weights
    save(path)
    before = path.read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))  # the file has 360 kB
    try:
        with pytest.raises(OSError, match="File too large"):
            save(path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]


def test_layers_in_attributes_are_where_keras_looks_for_them(tmp_path: Path) -> None:
    path = tmp_path / "model.weights.h5"
    model = models.Sequential([layers.Input((3,)), Blocks()])
    model.save_weights(path)
    # As Keras 3.15 writes them: attributes by name, private ones last, lists by class.
    assert {name.rpartition("/")[0].removeprefix("layers/blocks/") for name in datasets(path)} == {
        "vars", "first/vars", "last/vars", "more/dense/vars", "more/container/dense/vars",
        "more/dense_2/vars",
    }  # fmt: skip
    with h5py.File(path) as file:  # trainable weights come first, whenever they were made
        assert file["layers/blocks/vars/0"].shape == (3,)
    other = models.Sequential([layers.Input((3,)), Blocks()])
    other.load_weights(path)
    np.testing.assert_array_equal(model.predict(X, verbose=0), other.predict(X, verbose=0))


class Own(models.Model):
    """A model of one's own, its layers in attributes on both sides of `layers` in the alphabet."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.a, self.z, self._p = layers.Dense(2), layers.Dense(3), layers.Dense(4)
        self.blocks = [layers.Dense(5), layers.Dense(6)]

    def call(self, inputs: Any) -> Any:
        for layer in (self.a, self.z, self._p, *self.blocks):
            inputs = layer(inputs)
        return inputs


def test_models_of_ones_own_are_where_keras_looks_for_them(tmp_path: Path) -> None:
    path = tmp_path / "model.weights.h5"
    model = Own()
    model.build((None, 3))
    model.save_weights(path)
    # As Keras 3.15 writes them: what comes before "layers" by its name, the others in there.
    assert sorted({name.rpartition("/vars")[0] for name in datasets(path)}) == [
        "a", "blocks/dense", "blocks/dense_1", "layers/dense_1", "layers/dense_2",
    ]  # fmt: skip
    other = Own()
    other.build((None, 3))
    other.load_weights(path)
    np.testing.assert_array_equal(model.predict(X, verbose=0), other.predict(X, verbose=0))


class Counting(layers.Layer):
    """A layer that says itself what a file keeps of it."""

    def build(self, input_shape: Any) -> None:
        self.factor = self.add_weight((), "ones", name="factor")

    def call(self, inputs: Any) -> Any:
        return ops.multiply(inputs, self.factor)

    def save_own_variables(self, store: Any) -> None:
        store["half"] = self.factor.value / 2

    def load_own_variables(self, store: Any) -> None:
        self.factor.assign(2 * store["half"])


def test_a_layer_may_say_what_is_kept_of_it(tmp_path: Path) -> None:
    path = tmp_path / "model.weights.h5"
    model = models.Sequential([layers.Input((3,)), Counting(), layers.Dense(1)])
    model.layers[0].set_weights([6.0])
    model.save_weights(path)
    other = models.Sequential([layers.Input((3,)), Counting(), layers.Dense(1)])
    other.load_weights(path)
    assert other.layers[0].get_weights() == [6.0]
    with h5py.File(path, "r+") as file:
        del file["layers/dense/vars/0"]
    file.close()
    other.layers[0].set_weights([5.0])
    with pytest.raises(ValueError, match="layers/dense/vars has no '0'"):
        other.load_weights(path)
    assert other.layers[0].get_weights() == [5.0]  # what was read before the error is put back


def trained(optimizer: Any, epochs: int = 2) -> Any:
    model = models.Sequential([layers.Input((3,)), layers.Dense(4), layers.Dense(2)])
    model.compile(optimizer, "mse")
    if epochs:
        model.fit(X, Y, 4, epochs, 0, shuffle=False)
    return model


def test_training_goes_on_where_the_file_was_written(tmp_path: Path) -> None:
    path = tmp_path / "model.weights.h5"
    model = trained("adam")
    model.save_weights(path)
    other = trained("adam", epochs=0)
    other.load_weights(path)
    assert len(other.optimizer.variables) == 10
    histories = [m.fit(X, Y, 4, 2, 0, shuffle=False).history for m in (model, other)]
    assert histories[0] == histories[1]
    for mine, its in zip(model.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(mine, its)


def test_adafactor_has_keras_variables() -> None:
    """Two numbers for each vector too, so that states go both ways."""
    shapes = [variable.shape for variable in trained("adafactor").optimizer.variables]
    assert shapes == [
        (), (), (3,), (4,), (3, 4), (), (), (4,), (4,), (2,), (4, 2), (), (), (2,)
    ]  # fmt: skip


def test_another_optimizers_state_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "model.weights.h5"
    model = trained("adam")
    model.save_weights(path)
    other = trained(optimizers.SGD(momentum=0.5), epochs=1)
    with pytest.warns(UserWarning, match="has 6 variables, the file 10"):
        other.load_weights(path)
    np.testing.assert_array_equal(model.get_weights()[0], other.get_weights()[0])
    plain = models.Sequential([layers.Input((3,)), layers.Dense(4), layers.Dense(2)])
    plain.load_weights(path)  # not compiled


def test_what_does_not_fit_may_be_skipped(tmp_path: Path) -> None:
    path = tmp_path / "model.weights.h5"
    model = models.Sequential([layers.Input((3,)), layers.Dense(4), layers.Dense(5)])
    model.save_weights(path)
    other = models.Sequential([layers.Input((3,)), layers.Dense(4), layers.Dense(2)])
    before = other.get_weights()
    with pytest.warns(UserWarning, match=r"dense_\d+/kernel' has shape \(4, 2\), got \(4, 5\)"):
        other.load_weights(path, skip_mismatch=True)
    np.testing.assert_array_equal(other.get_weights()[0], model.get_weights()[0])
    np.testing.assert_array_equal(other.get_weights()[2], before[2])


def test_safetensors(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    model = trained("adam")
    model.save_weights(path)
    assert sorted(load_file(path)) == [
        f"layers/{name}/vars/{at}" for name in ("dense", "dense_1") for at in (0, 1)
    ]
    other = models.Sequential([layers.Input((3,)), layers.Dense(4), layers.Dense(2)])
    other.load_weights(path)
    for mine, its in zip(model.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(mine, its)
    before = other.get_weights()
    good = path.read_bytes()
    for data, reason in (
        (b"", "is not a whole safetensors file"),
        (good[:-4], "is not a whole safetensors file"),
        (b"\xff" * 8 + good[8:], "is not a whole safetensors file"),
        (good.replace(b"[3,4]", b"[4,3]"), r"has shape \(3, 4\), got \(4, 3\)"),
    ):
        path.write_bytes(data)
        with pytest.raises(ValueError, match=reason) as caught:
            other.load_weights(path)
        assert str(path) in str(caught.value)
    np.testing.assert_array_equal(other.get_weights()[0], before[0])
