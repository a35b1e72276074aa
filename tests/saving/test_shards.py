"""Weights in several files, which Keras writes with `max_shard_size`."""

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from damage import Damage, refused, text

from graphc import layers, models

Y = "layers/dense_1/vars"


def made() -> Any:
    return models.Sequential([layers.Input((3,)), layers.Dense(4), layers.Dense(2)])


def spread(model: Any, folder: Path) -> Path:
    """The files as Keras 3.15 writes them: the second layer's arrays are in two."""
    path = folder / "m.weights.json"
    arrays = model.get_weights()
    for number, part in enumerate((arrays[:3], arrays[3:])):
        with h5py.File(folder / f"m_{number:05}.weights.h5", "w") as file:
            file.create_group("vars")
            for at, array in enumerate(part, 3 * number):
                group = ("layers/dense/vars", Y)[at // 2]
                file.create_dataset(f"{group}/{at % 2}", data=array)
    first, second = "m_00000.weights.h5", "m_00001.weights.h5"
    places = {"/layers/dense/vars": first, f"/{Y}": [first, second]}
    path.write_text(json.dumps({"metadata": {"total_size": 1}, "weight_map": places}))
    return path


def test_all_are_read(tmp_path: Path) -> None:
    model, other = made(), made()
    other.load_weights(spread(model, tmp_path))
    for one, two in zip(model.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(one, two)


def names(*given: Any) -> Damage:
    """Another map."""
    return text(json.dumps({"weight_map": {str(at): n for at, n in enumerate(given)}}).encode())


def twice(path: Path) -> None:
    with h5py.File(path.with_name("m_00001.weights.h5"), "r+") as file:
        file[f"{Y}/0"] = np.ones((4, 2))


DAMAGED: dict[str, tuple[Damage, str]] = {
    "empty": (text(b""), "is no map of weights"),
    "a list": (text(b"[]"), "is no map of weights"),
    "no text": (text(b"\xff\xfe"), "is no map of weights"),
    "nested": (text(b"[" * 100_000), "is no map of weights"),
    "large": (text(b" " * (17 << 20)), "has more than 16,777,216 bytes"),
    "many": (names(*(f"{at}.weights.h5" for at in range(1001))), "names more than 1,000 files"),
    "a way out": (names("../m.weights.h5"), "which is no .weights.h5 beside it"),
    "from the root": (names(["/etc/x.weights.h5"]), "which is no .weights.h5 beside it"),
    "another file": (names("/etc/passwd"), "which is no .weights.h5 beside it"),
    "numbers": (names(7), "is no map of weights"),
    "absent": (names("x.weights.h5"), "no file .*x.weights.h5"),
    "one missing": (names("m_00000.weights.h5"), "has no '1'|expected 2 arrays, got 1"),
    "one damaged": (
        lambda path: path.with_name("m_00001.weights.h5").write_bytes(b"x"),
        "m_00001.weights.h5 is not a whole HDF5 file",
    ),
    "twice": (twice, f"{Y}/0 is in m_00001.weights.h5 and in another file"),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_damage(name: str, tmp_path: Path) -> None:
    damage, reason = DAMAGED[name]
    path = spread(made(), tmp_path)
    damage(path)
    model = made()
    before = model.get_weights()
    refused(path, reason, lambda: model.load_weights(path))
    for one, two in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, two)
